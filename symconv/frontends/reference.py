"""References `package.module:attribute` to modules in Python code.

Owns: `is_reference`; `load`, `load_module`: importing, walking to the attribute, calling it where it makes a
module; one-line causes for all that fails.
Must not know: torch (it is imported only once a reference has to be read).
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from collections.abc import Iterator
from typing import Any

from symconv.errors import ModelError
from symconv.layers import WeightedNetwork


def is_reference(text: str) -> bool:
    """Whether a text is meant as a reference (expressions have calls or a chain, and no colon)."""
    return ":" in text and not any(mark in text for mark in ("(", ")", ">>"))


def load(reference: str) -> WeightedNetwork:
    """The layers of the module that a reference names (see `load_module`).

    Raises:
        ModelError: the reference cannot be imported, found or called, or what it gives is not read as layers.
    """
    module = load_module(reference)
    from symconv.frontends.torch_modules import from_module

    return from_module(module, reference.strip())


def load_module(reference: str) -> Any:
    """The nn.Module that a reference names.

    Args:
        reference: `package.module:attribute`, importable from the current folder; the attribute may have dots, and is an
            nn.Module or something that returns one when called without arguments.

    Raises:
        ModelError: the reference cannot be imported, found or called, or what it gives is no nn.Module.
    """
    reference = reference.strip()
    module_name, _, attribute = reference.partition(":")
    if not all(part.isidentifier() for part in module_name.split(".")) or not all(attribute.split(".")):
        raise ModelError(f"a reference has the form `package.module:attribute`; found `{reference}`.")
    with _importing(), contextlib.redirect_stdout(sys.stderr):  # what user code prints must not mix with our output
        found = _walk(reference, _import(reference, module_name), attribute)
        if "torch" not in sys.modules and not callable(found):  # a module cannot exist where torch was never imported
            raise ModelError(f"`{reference}` must be an nn.Module or make one; found {type(found).__name__}.")
        from symconv.frontends.torch_modules import is_module

        module = found if is_module(found) else _made(reference, found)
    if not is_module(module):
        raise ModelError(f"`{reference}` must return an nn.Module; found {type(module).__name__}.")
    return module


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """The current folder importable, as it is for `python -m`."""
    here = ""
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def _import(reference: str, name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ModelError(f"`{reference}`: there is no module `{error.name}`. Start from the folder that holds it.") from None
        raise ModelError(f"`{reference}`: importing `{name}` fails: {_cause(error)}") from None
    except (Exception, SystemExit) as error:
        raise ModelError(f"`{reference}`: importing `{name}` fails: {_cause(error)}") from None


def _walk(reference: str, found: Any, attribute: str) -> Any:
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            close = difflib.get_close_matches(name, dir(found), n=2)
            hint = f" Did you mean {' or '.join(f'`{match}`' for match in close)}?" if close else ""
            raise ModelError(f"`{reference}`: there is no attribute `{name}`.{hint}") from None
        except Exception as error:
            raise ModelError(f"`{reference}`: reading `{name}` fails: {_cause(error)}") from None
    return found


def _made(reference: str, found: Any) -> Any:
    """What a class or function returns."""
    if not callable(found):
        raise ModelError(f"`{reference}` must be an nn.Module or make one; found {type(found).__name__}.")
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise ModelError(f"`{reference}` cannot be called without arguments: {_cause(error)}") from None


def _cause(error: BaseException, width: int = 200) -> str:
    """The exception in one line."""
    lines = str(error).split("\n")
    return f"{type(error).__name__}: {lines[0]}"[:width]

"""The entry point: finds the command line, runs it, and turns what comes out into an exit code.

Owns: where cli.py is (a checkout has it at the top level, the wheel as symconv/cli.py), exceptions to exit codes.
Must not know: what any command does.

    what comes out of a command                     exit code
    an int                                          that int
    UsageError, or an option that does not parse    2
    OutsideFragment, BudgetExceeded, no memory      3
    Ctrl-C                                          130
    a closed pipe on standard output                141
    anything else                                   70, with a traceback and a reproducer
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import symconv
from symconv.errors import BudgetExceeded, InternalError, OutsideFragment, UsageError

USAGE, UNKNOWN, INTERNAL, INTERRUPTED, CLOSED_PIPE = 2, 3, 70, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code.

    Args:
        arguments: what follows the program's name; None takes it from `sys.argv`.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if any("\0" in argument for argument in given):
            raise UsageError("an argument must not hold a null character. Leave it out.")
        code = command_line().app(args=given, prog_name="symconv", standalone_mode=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # typer turns a closed pipe into exit code 1, which here would say "refuted"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except Exception as error:
        return _explain(error, given)
    return code if isinstance(code, int) else 0


def command_line() -> ModuleType:
    """The module that holds the typer application `app`, always under the name `symconv.cli`.

    Raises:
        InternalError: cli.py is neither in the package nor beside it.
    """
    package = os.path.dirname(os.path.abspath(symconv.__file__))
    if os.path.exists(os.path.join(package, "cli.py")):
        return importlib.import_module("symconv.cli")
    if "symconv.cli" not in sys.modules:
        _load("symconv.cli", os.path.join(os.path.dirname(package), "cli.py"))
    return sys.modules["symconv.cli"]


def _load(name: str, path: str) -> None:
    """Imports the file `path` as the module `name`."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not os.path.exists(path):
        raise InternalError(f"`cli.py` must be installed with symconv; {path} does not exist. Reinstall symconv.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _explain(error: Exception, given: Sequence[str]) -> int:
    """Says on standard error what went wrong, and returns the exit code."""
    show = getattr(error, "show", None)
    if show is not None and hasattr(error, "exit_code"):  # an option that does not parse, whichever click typer carries
        show()
        return int(error.exit_code)
    if isinstance(error, UsageError):
        print(f"error: {error}", file=sys.stderr)
        return USAGE
    if isinstance(error, (OutsideFragment, BudgetExceeded, MemoryError)):
        print(f"unknown: {str(error) or 'out of memory'}", file=sys.stderr)
        return UNKNOWN
    _print_bug(error, given)
    return INTERNAL


def _print_bug(error: Exception, given: Sequence[str]) -> None:
    """A traceback, and what to put into a report."""
    import platform
    import shlex
    import traceback

    traceback.print_exception(error)
    print(
        f"\ninternal error: {type(error).__name__}: {error}\n"
        "This is a bug in symconv; no verdict was reached. Please report it with the lines above and this reproducer:\n\n"
        f"  symconv {shlex.join(given)}\n\n"
        f"  Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        file=sys.stderr,
    )

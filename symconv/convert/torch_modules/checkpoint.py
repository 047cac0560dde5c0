"""Checkpoints of a given module as checkpoints of the converted one, and back.

Owns: `Rule`, `rules_of`, `translate`.
Must not know: how layers are converted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from symconv.convert.torch_modules.moving import Move
from symconv.convert.torch_modules.sites import join
from symconv.convert.torch_modules.tying import old_norm
from symconv.errors import ModelError

SHOWN = 4


@attrs.frozen(eq=False)
class Rule:
    """One name before and after.

    Args:
        before, after: names; both end in a dot where everything below them is meant.
        move: what happens to the tensor on the way (None: nothing).
        folded: the tensor was one of several that made a weight, which is all that was kept.
    """

    before: str
    after: str
    move: Move | None = None
    folded: bool = False


def rules_of(core: nn.Module, name: str, kernel: Move, bias: Move | None, *, tie: bool) -> list[Rule]:
    """The rules of one converted layer under one of its names."""
    rules = []
    for parameter, move in (("weight", kernel), ("bias", bias)):
        if move is None:
            continue
        before, after = join(name, parameter), join(name, f"conv.{parameter}")
        parts = join(name, f"parametrizations.{parameter}.")
        made = join(name, f"conv.parametrizations.{parameter}.")
        if old_norm(core, parameter) is not None:
            pairs = ((f"{before}_g", f"{made}original0"), (f"{before}_v", f"{made}original1"))
            rules += [Rule(*pair, folded=not tie) for pair in pairs]
        elif parametrize.is_parametrized(core, parameter):
            rules.append(Rule(parts, made, folded=not tie))
        elif hasattr(core, f"{parameter}_orig"):
            rules.append(Rule(f"{before}_orig", after, folded=True))
        elif tie and not move.is_identity:
            rules.append(Rule(before, f"{made}original"))
        else:
            rules.append(Rule(before, after, None if tie else move))
    return rules


def translate(state: Mapping[str, Any] | str | Path, rules: Sequence[Rule], *, forth: bool, prefix: str, strict: bool) -> dict[str, Any]:
    """A state_dict, or a file of one, with every rule applied; see `ModuleConversion.convert_state_dict`."""
    given = read(state) if isinstance(state, (str, Path)) else state
    if not isinstance(given, Mapping):
        raise ModelError(f"a state_dict (names to tensors) or a file's path is needed; found {type(given).__name__}.")
    renamed = _renamed(given, rules, forth=forth, prefix=prefix, strict=strict)
    out: OrderedDict[str, Any] = OrderedDict()
    for key, value in given.items():
        rule = renamed.get(key)
        new = key if rule is None else rule[0]
        if new in out or (rule is not None and new in given and new != key):
            raise ModelError(f"`{new}` would be overwritten by `{key}`; the state_dict has both. Is it converted already?")
        out[new] = value if rule is None else _moved(value, rule[1], key, forth=forth)
    metadata = getattr(given, "_metadata", None)
    if metadata is not None:
        out._metadata = metadata.copy()  # type: ignore[attr-defined]  # what load_state_dict reads versions from
    return out


def _renamed(given: Mapping[str, Any], rules: Sequence[Rule], *, forth: bool, prefix: str, strict: bool) -> dict[str, tuple[str, Rule]]:
    """For every name that a rule changes: the new name, and the rule."""
    found: dict[str, tuple[str, Rule]] = {}
    missing = []
    for rule in rules:
        old, new = (prefix + part for part in ((rule.before, rule.after) if forth else (rule.after, rule.before)))
        keys = [key for key in given if key.startswith(old)] if old.endswith(".") else [old] if old in given else []
        if not keys:
            missing.append((old, new))
        for key in keys:
            _require_whole(rule, key)
            found[key] = (new + key[len(old) :], rule)
    if missing and strict:
        raise ModelError(_missing(given, missing, prefix))
    return found


def _require_whole(rule: Rule, key: str) -> None:
    if rule.folded:
        raise ModelError(
            f"`{key}` was folded into the weight that it makes, so checkpoints of its parts cannot be mapped. Load the checkpoint into the "
            "given module and convert that, or convert with tie=True."
        )


def _missing(given: Mapping[str, Any], missing: list[tuple[str, str]], prefix: str) -> str:
    names = [old for old, _ in missing]
    listed = ", ".join(f"`{name}`" for name in names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    if any(new in given for _, new in missing):
        hint = "It has the names of the other side; is it converted already?"
    elif not prefix and any(key.endswith(f".{names[0]}") for key in given):
        place = next(key for key in given if key.endswith(f".{names[0]}"))
        hint = f"There is `{place}`; give prefix={place[: -len(names[0])]!r}."
    elif any(isinstance(value, Mapping) for value in given.values()):
        inner = next(key for key, value in given.items() if isinstance(value, Mapping))
        hint = f"The checkpoint is nested; give its part, such as checkpoint[{inner!r}]."
    else:
        hint = "Give a checkpoint of the same module, or strict=False to convert what is there."
    return f"the state_dict has no {listed}. {hint}"


def _moved(value: Any, rule: Rule, key: str, *, forth: bool) -> Any:
    if rule.move is None:
        return value
    shape = rule.move.source_shape if forth else rule.move.target_shape
    if not isinstance(value, Tensor):
        raise ModelError(f"`{key}` must be a tensor; found {type(value).__name__}.")
    if tuple(value.shape) != shape:
        raise ModelError(f"`{key}` must have shape {shape}; found {tuple(value.shape)}. Give a checkpoint of the same module.")
    if value.layout is not torch.strided or value.is_quantized:
        raise ModelError(f"`{key}` must be dense and not quantized; found {value.dtype}, {value.layout}.")
    with torch.no_grad():
        return rule.move.carry(value.detach()) if forth else rule.move.back(value.detach(), key)


def read(path: str | Path) -> Mapping[str, Any]:
    """A checkpoint's tensors on the CPU; nothing in the file is executed.

    Raises:
        ModelError: the file cannot be read, or holds more than tensors and plain values.
    """
    place = Path(path)
    if not place.is_file():
        raise ModelError(f"`{place}` is no file. Give a safetensors file, or one that torch.save wrote.")
    try:
        if place.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(place)
        return torch.load(place, map_location="cpu", weights_only=True)
    except ImportError:
        raise ModelError("safetensors files need the extra `models`: pip install 'symconv[models]'.") from None
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise ModelError(f"`{place}` cannot be read as a checkpoint of tensors: {type(error).__name__}: {first}"[:400]) from None

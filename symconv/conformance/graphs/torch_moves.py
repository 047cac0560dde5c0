"""PyTorch's functions that move samples or change types, applied to traced values.

Owns: their rules.
Must not know: graphs, files.
Source: PyTorch 2.13, torch, torch.nn.functional and torch.Tensor.

A rule takes the arguments of the call, values among them traced, everything else as Python has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from symconv.conformance.graphs import operators
from symconv.conformance.graphs.torch_calls import Rule, value_of
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment

# --- selections -------------------------------------------------------------------------------------------------------


def moved(function: Callable[..., torch.Tensor]) -> Rule:
    """A selection that torch does to a tensor in the same way."""

    def apply(arithmetic: Arithmetic, x: Traced, *args: Any, **given: Any) -> Traced:
        if any(isinstance(item, Traced) for item in (*args, *given.values())):
            raise OutsideFragment("a selection whose places are computed")
        return arithmetic.moved(x, lambda value: function(value, *args, **given))

    return apply


def cut(function: Callable[..., Sequence[torch.Tensor]]) -> Rule:
    """A function that cuts a tensor into several."""

    def apply(arithmetic: Arithmetic, x: Traced, *args: Any, **given: Any) -> list[Traced]:
        count = len(function(x.value, *args, **given))
        return [arithmetic.moved(x, lambda value, k=k: function(value, *args, **given)[k]) for k in range(count)]  # type: ignore[misc]

    return apply


def getitem(arithmetic: Arithmetic, x: Any, place: Any) -> Any:
    """x[place]."""
    if not isinstance(x, Traced):
        return x[place]
    parts = place if isinstance(place, list) else [place]
    if not all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts):
        raise OutsideFragment("an index that is computed, or a list, is not evaluated here")
    return arithmetic.moved(x, lambda value: value[tuple(parts)])


def joined(arithmetic: Arithmetic, xs: Sequence[Traced], dim: int = 0, **renamed: int) -> Traced:
    """cat."""
    axis = renamed.get("axis", dim)
    return operators.concatenated(arithmetic, xs, operators.axis_of(axis, xs[0].value.ndim))


def stack(arithmetic: Arithmetic, xs: Sequence[Traced], dim: int = 0) -> Traced:
    """stack."""
    return arithmetic.joined(list(xs), lambda values: torch.stack(values, dim))


def extended(arithmetic: Arithmetic, x: Traced, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Traced:
    """pad."""
    margins = [(0, 0)] * x.value.ndim
    for place in range(len(pad) // 2):
        margins[-1 - place] = pad[2 * place], pad[2 * place + 1]
    fill = arithmetic.constant(np.array(float(value))) if value else None
    spelled = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    return operators.padded(arithmetic, x, margins, spelled, fill)


def attribute_of(arithmetic: Arithmetic, x: Any, name: str) -> Any:
    """x.shape and the like."""
    if name == "shape":
        return tuple(x.value.shape)
    if name == "T" and x.value.ndim == 2:
        return arithmetic.moved(x, lambda value: value.T)
    if name == "ndim":
        return x.value.ndim
    raise OutsideFragment(f"the attribute `{name}` of a value is not evaluated here")


def size_of(arithmetic: Arithmetic, x: Traced, dim: int | None = None) -> Any:
    """size."""
    return tuple(x.value.shape) if dim is None else x.value.shape[dim]


def converted(arithmetic: Arithmetic, x: Traced, *args: Any, **given: Any) -> Traced:
    """to."""
    wanted = [item for item in (*args, *given.values()) if isinstance(item, torch.dtype)]
    return cast(arithmetic, x, wanted[0]) if wanted else x


def cast(arithmetic: Arithmetic, x: Traced, dtype: torch.dtype) -> Traced:
    """A conversion to a type."""
    formats = {torch.float32: (24, 2.0**-126), torch.float16: (11, 2.0**-14), torch.bfloat16: (8, 2.0**-126), torch.float64: (53, 0.0)}
    if dtype in formats:
        return operators.as_floats(arithmetic, x, *formats[dtype])
    raise OutsideFragment(f"a conversion to {dtype} is not evaluated here")


def masked(arithmetic: Arithmetic, x: Traced, mask: Traced, value: Any) -> Traced:
    """masked_fill."""
    return operators.where(arithmetic, mask, value_of(arithmetic, value), x)


def unchanged(arithmetic: Arithmetic, x: Traced, *_: Any, **__: Any) -> Traced:
    """The value itself."""
    return x

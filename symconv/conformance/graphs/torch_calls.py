"""Calls that torch.fx traced: their arguments, put together again.

Owns: `thawed`, `value_of`.
Must not know: graphs, files.
Source: PyTorch 2.13, torch, torch.nn.functional and torch.Tensor.

A rule takes the arguments of the call, values among them traced, everything else as Python has it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np
import torch

from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment

Rule = Callable[..., Any]


def thawed(frozen: Hashable, values: Iterator[Any]) -> Any:
    """An argument, from what the front end keeps of it and the values that stand in it, in order.

    Raises:
        OutsideFragment: it is of a kind that is not known here.
    """
    key: Any = frozen
    kind, rest = key[0], key[1:]
    match kind:
        case "value":
            return next(values)
        case "float":
            return float.fromhex(rest[0])
        case "int":
            return int(rest[0])
        case "bool":
            return rest[0] == "True"
        case "NoneType":
            return None
        case "str":
            return rest[0]
        case "dtype":
            return getattr(torch, rest[0].removeprefix("torch."))
        case "list":
            return [thawed(item, values) for item in rest]
        case "dict":
            return {key: thawed(item, values) for key, item in rest}
        case "slice":
            return slice(*(thawed(item, values) for item in rest))
        case "...":
            return Ellipsis
        case "device" | "memory_format" | "layout":
            return None
    raise OutsideFragment(f"an argument of kind {kind!r} is not understood here")


def value_of(arithmetic: Arithmetic, x: Any) -> Traced:
    """A traced value, or a number as one."""
    if isinstance(x, Traced):
        return x
    if isinstance(x, (bool, int, float)):
        return arithmetic.constant(np.array(float(x)))
    raise OutsideFragment(f"{type(x).__name__} where a value is expected")

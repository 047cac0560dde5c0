"""How two weightings of one layer differ, in one sentence.

Owns: `weights_cause`.
Must not know: graphs, deciders.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from symconv.layers import Conv, ConvTranspose, Layer, Weights

NAMES = {"kernel": "weight", "bias": "bias", "mean": "mean", "variance": "variance"}


def weights_cause(layer: Layer, left: Weights, right: Weights, of: str) -> str | None:
    """What differs between two weightings; undoing it makes them equal, bit for bit."""
    changed = [name for name in NAMES if not _equal(getattr(left, name), getattr(right, name))]
    if changed == ["bias"]:
        return _bias(left.bias, right.bias, of)
    if changed != ["kernel"]:
        both = " and ".join("weights" if name == "kernel" else NAMES[name] for name in changed)
        if "kernel" in changed and "bias" in changed and len(changed) == 2:
            permuted = _output_channels(layer, left, right)
            return f"{permuted} at {of}" if permuted else f"{both} of {of} differ"
        return f"{both} of {of} differ" if changed else None
    moved = _rearranged(layer, left.kernel, right.kernel)
    return f"{moved} at {of}" if moved else _values(left.kernel, right.kernel, "weight", of)


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right or not np.any(left if right is None else right)
    return bool(np.array_equal(left, right))


def _bias(left: Any, right: Any, of: str) -> str:
    if right is None or not np.any(right):
        return f"the bias of {of} is missing"
    if left is None or not np.any(left):
        return f"{of} has a bias that the original does not have"
    if left.shape == right.shape and np.array_equal(np.sort(left), np.sort(right)):
        return f"the biases of {of} are in another order"
    return _values(left, right, "bias", of)


def _rearranged(layer: Layer, left: Any, right: Any) -> str | None:
    """A kernel that is the other one in another order."""
    if not isinstance(layer, (Conv, ConvTranspose)) or left.shape != right.shape:
        return None
    spatial = tuple(range(2, left.ndim))
    for count in range(len(spatial), 0, -1):
        for axes in itertools.combinations(spatial, count):
            if np.array_equal(np.flip(left, axes), right):
                return "the kernel is reversed" + ("" if axes == spatial else f" on axis {', '.join(str(axis - 2) for axis in axes)}")
    if left.shape[0] == left.shape[1] and np.array_equal(left.swapaxes(0, 1), right):
        return "input and output channels of the kernel are swapped"
    if left.ndim == 4 and left.shape[2] == left.shape[3] and np.array_equal(left.swapaxes(2, 3), right):
        return "the two axes of the kernel are swapped"
    for axis in (0, 1):
        order = _order(np.moveaxis(left, axis, 0), np.moveaxis(right, axis, 0))
        if order is not None:
            outward = (axis == 0) == isinstance(layer, Conv)
            if layer.groups > 1 and _interleaves(order, layer.groups):
                return "the channels of the groups are interleaved"
            return f"the {'output' if outward else 'input'} channels of the kernel are in another order"
    return None


def _order(left: Any, right: Any) -> list[int] | None:
    """Where each slice of `right` is in `left`, if they are the same slices."""
    where: dict[bytes, list[int]] = {}
    for k, part in enumerate(left):
        where.setdefault(np.ascontiguousarray(part).tobytes(), []).append(k)
    order = []
    for part in right:
        places = where.get(np.ascontiguousarray(part).tobytes())
        if not places:
            return None
        order.append(places.pop(0))
    return order


def _interleaves(order: list[int], groups: int) -> bool:
    count = len(order)
    if count % groups:
        return False
    return any(order == np.arange(count).reshape(-1, parts).T.ravel().tolist() for parts in (groups, count // groups))


def _output_channels(layer: Layer, left: Weights, right: Weights) -> str | None:
    """Kernel and bias in the same other order of output channels."""
    if not isinstance(layer, Conv) or left.kernel.shape != right.kernel.shape or left.bias is None or right.bias is None:
        return None
    order = _order(left.kernel, right.kernel)
    if order is None or not np.array_equal(np.asarray(left.bias)[order], right.bias):
        return None
    if layer.groups > 1 and _interleaves(order, layer.groups):
        return "the channels of the groups are interleaved"
    return "the output channels are in another order"


def _values(left: Any, right: Any, what: str, of: str) -> str:
    plural = {"weight": "weights", "bias": "biases"}[what]
    if left is None or right is None or left.shape != right.shape:
        return f"the {plural} of {of} differ"
    places = np.argwhere(np.asarray(left) != np.asarray(right))
    if len(places) == 1:
        index = tuple(int(k) for k in places[0])
        a, b = left[index], right[index]
        last = _neighbours(a, b)
        shown = "[" + ", ".join(map(str, index)) + "]"
        how = " in its last bit" if last else ""
        return f"one {what} of {of} differs{how}: {shown} is {_number(a)} on the left and {_number(b)} on the right"
    if np.array_equal(np.asarray(left), -np.asarray(right)):
        return f"the {plural} of {of} have the other sign"
    return f"{len(places):,} of {left.size:,} {plural} of {of} differ"


def _neighbours(left: Any, right: Any) -> bool:
    """Whether two numbers are next to one another in the widest of float16, float32 and float64 that has them next to one another."""
    for dtype in (np.float64, np.float32, np.float16):
        a, b = dtype(left), dtype(right)
        if a == left and b == right and np.nextafter(a, b) == b:
            return True
    return False


def _number(value: Any) -> str:
    """The shortest decimal that reads back as the stored number."""
    short = np.float32(value)
    return str(short) if value.dtype.kind == "f" and short == value else repr(value.item())

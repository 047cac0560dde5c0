"""Slices that take the same samples off the ends of their axes at every extent.

Owns: `cuts`.
Must not know: layers.
Source: ONNX Slice, versions 1 to 13.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.graph import Node, OnnxModel

FAR = (1 << 31) - 1
"""An end at or beyond this is the end of the axis, whatever its extent."""

Lookup = Callable[[str], Sequence[Extent | None] | None]


def cuts(model: OnnxModel, node: Node, shape: Sequence[Extent], integers: Lookup) -> dict[int, tuple[int, int]] | str:
    """Per axis how many samples a Slice takes off before and after; or why that depends on the extent."""
    found = _arguments(model, node, integers, len(shape))
    if isinstance(found, str):
        return found
    out: dict[int, tuple[int, int]] = {}
    for axis, start, end, step in found:
        if step.number != 1:
            return f"it takes one sample in {step}"
        if axis in out:
            return f"it names axis {axis} twice"
        before, after = _before(start, shape[axis]), _after(end, shape[axis])
        if before is None or after is None:
            return f"its {'start' if before is None else 'end'} on axis {axis} is not a fixed distance from the end of the axis"
        out[axis] = before, after
    return out


def _arguments(model: OnnxModel, node: Node, integers: Lookup, rank: int) -> list[tuple[int, Extent, Extent, Extent]] | str:
    if "starts" in node.attributes:
        columns = [[Extent.of(int(item)) for item in node.attributes.get(name, ())] for name in ("starts", "ends", "axes")]
        columns.append([])
    else:
        columns = []
        for position, name in enumerate(("starts", "ends", "axes", "steps"), 1):
            held = integers(node.input(position)) if node.input(position) else ()
            if held is None or any(item is None for item in held):
                return f"its {name} are not known before it runs"
            fixed = model.constant(node.input(position)) if node.input(position) else None
            if fixed is not None and fixed.dtype.kind not in "iu":
                return f"its {name} are not integers"
            columns.append([item for item in held if item is not None])
    starts, ends, axes, steps = columns
    axes = axes or [Extent.of(axis) for axis in range(len(starts))]
    steps = steps or [Extent.of(1)] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return "it has different numbers of starts, ends, axes and steps"
    places = [axis.number for axis in axes]
    if any(place is None or not -rank <= place < rank for place in places):
        return f"its axes are not those of a tensor of rank {rank}"
    return [(place % rank, *rest) for place, *rest in zip(places, starts, ends, steps, strict=True) if place is not None]  # type: ignore[misc]


def _before(start: Extent, extent: Extent) -> int | None:
    """Samples before the start; a start counted from the end is a fixed distance only where the extent is a number."""
    number = start.number
    if number is None:
        return None
    if number >= 0:
        return number
    if number <= -FAR:
        return 0
    return None if extent.number is None else max(extent.number + number, 0)


def _after(end: Extent, extent: Extent) -> int | None:
    """Samples after the end."""
    number = end.number
    if number is None:
        return None if (rest := (extent - end).number) is None else max(rest, 0)
    if number >= FAR:
        return 0
    if number < 0:
        return -number
    return None if extent.number is None else max(extent.number - number, 0)

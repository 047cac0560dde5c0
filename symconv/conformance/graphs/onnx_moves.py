"""ONNX operators that move samples, compute with integers and shapes, or change types, applied to traced values.

Owns: their rules.
Must not know: files, the onnx package, graphs.
Source: ONNX operator specification, operator sets 9 to 26, of the default domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from symconv.conformance.graphs import operators
from symconv.conformance.graphs.onnx_calls import Call, Rule, axes_of
from symconv.conformance.graphs.operators import integers
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment

ELEMENT_TYPES = {1: (24, 2.0**-126), 10: (11, 2.0**-14), 16: (8, 2.0**-126), 11: (53, 0.0)}
"""ONNX's float types: significant bits, and the least normal number."""
INTEGER_TYPES = {2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool}


# --- selections -------------------------------------------------------------------------------------------------------


def reshape(arithmetic: Arithmetic, call: Call) -> Traced:
    """Reshape."""
    x, target = call[0], integers(call[1])
    if not call.attribute("allowzero", 0):
        target = [x.value.shape[axis] if extent == 0 else extent for axis, extent in enumerate(target)]
    return arithmetic.moved(x, lambda value: value.reshape(target))


def flatten(arithmetic: Arithmetic, call: Call) -> Traced:
    """Flatten."""
    axis = int(call.attribute("axis", 1))
    at = axis + call.rank if axis < 0 else axis
    shape = call[0].value.shape
    return arithmetic.moved(call[0], lambda value: value.reshape(math.prod(shape[:at]), -1))


def transpose(arithmetic: Arithmetic, call: Call) -> Traced:
    """Transpose."""
    order = call.attribute("perm") or tuple(reversed(range(call.rank)))
    return arithmetic.moved(call[0], lambda value: value.permute(*order))


def squeeze(arithmetic: Arithmetic, call: Call) -> Traced:
    """Squeeze."""
    shape = call[0].value.shape
    axes = axes_of(call)
    gone = [axis for axis, extent in enumerate(shape) if extent == 1] if axes is None else axes
    if any(shape[axis] != 1 for axis in gone):
        raise OutsideFragment("a Squeeze of an axis that has more than one sample")
    kept = [extent for axis, extent in enumerate(shape) if axis not in gone]
    return arithmetic.moved(call[0], lambda value: value.reshape(kept))


def unsqueeze(arithmetic: Arithmetic, call: Call) -> Traced:
    """Unsqueeze."""
    axes = integers(call[1])
    rank = call.rank + len(axes)
    places = {operators.axis_of(axis, rank) for axis in axes}
    rest = iter(call[0].value.shape)
    shape = [1 if axis in places else next(rest) for axis in range(rank)]
    return arithmetic.moved(call[0], lambda value: value.reshape(shape))


def split(arithmetic: Arithmetic, call: Call) -> list[Traced]:
    """Split."""
    axis = operators.axis_of(int(call.attribute("axis", 0)), call.rank)
    count, held = call[0].value.shape[axis], call.get(1)
    if held is not None:
        sizes = integers(held)
    else:
        each = -(-count // call.outputs)
        sizes = [each] * (call.outputs - 1) + [count - each * (call.outputs - 1)]
    ends = np.cumsum(sizes)
    return [
        operators.taken(arithmetic, call[0], axis, torch.arange(int(end) - size, int(end))) for end, size in zip(ends, sizes, strict=True)
    ]


def sliced(arithmetic: Arithmetic, call: Call) -> Traced:
    """Slice."""
    starts, ends = integers(call[1]), integers(call[2])
    axes = integers(call.get(3)) if call.get(3) is not None else list(range(len(starts)))
    steps = integers(call.get(4)) if call.get(4) is not None else [1] * len(starts)
    found = call[0]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        found = operators.sliced(arithmetic, found, axis, start, end, step)
    return found


def gather(arithmetic: Arithmetic, call: Call) -> Traced:
    """Gather."""
    return operators.gathered(arithmetic, call[0], int(call.attribute("axis", 0)), call[1].value)


def expand(arithmetic: Arithmetic, call: Call) -> Traced:
    """Expand."""
    shape = torch.broadcast_shapes(call[0].value.shape, tuple(integers(call[1])))
    return arithmetic.moved(call[0], lambda value: value.expand(shape))


def tile(arithmetic: Arithmetic, call: Call) -> Traced:
    """Tile."""
    repeats = integers(call[1])
    return arithmetic.moved(call[0], lambda value: value.repeat(*repeats))


def pad(arithmetic: Arithmetic, call: Call) -> Traced:
    """Pad."""
    pads = list(call.attribute("pads") or ()) or integers(call[1])
    axes = axes_of(call, 3) if call.get(3) is not None else list(range(call.rank))
    assert axes is not None
    fill = call.get(2)
    if fill is None and call.attribute("value", 0.0):
        fill = arithmetic.constant(np.array(float(call.attribute("value"))))
    margins = [(0, 0)] * call.rank
    for place, axis in enumerate(axes):
        margins[axis] = pads[place], pads[place + len(axes)]
    return operators.padded(arithmetic, call[0], margins, str(call.attribute("mode", "constant")), fill)


def depth_to_space(arithmetic: Arithmetic, call: Call) -> Traced:
    """DepthToSpace."""
    from symconv.conformance.torch_indexing import DepthToSpace

    r = int(call.attribute("blocksize"))
    return arithmetic.moved(call[0], DepthToSpace((r,) * (call.rank - 2), str(call.attribute("mode", "DCR"))))


def space_to_depth(arithmetic: Arithmetic, call: Call) -> Traced:
    """SpaceToDepth."""
    from symconv.conformance.torch_indexing import SpaceToDepth

    r = int(call.attribute("blocksize"))
    return arithmetic.moved(call[0], SpaceToDepth((r,) * (call.rank - 2), "DCR"))


def concat(arithmetic: Arithmetic, call: Call) -> Traced:
    """Concat."""
    xs = [call[place] for place in range(len(call.inputs))]
    return operators.concatenated(arithmetic, xs, operators.axis_of(int(call.attribute("axis")), call.rank))


# --- integers, shapes, casts ------------------------------------------------------------------------------------------


def shape(arithmetic: Arithmetic, call: Call) -> Traced:
    """Shape."""
    shape = list(call[0].value.shape)
    return Traced(torch.tensor(shape[slice(call.attribute("start", 0), call.attribute("end"))], dtype=torch.int64))


def ranged(arithmetic: Arithmetic, call: Call) -> Traced:
    """Range."""
    start, end, step = (integers(call[place])[0] for place in range(3))
    return Traced(torch.arange(start, end, step, dtype=call[0].value.dtype))


def constant_of_shape(arithmetic: Arithmetic, call: Call) -> Traced:
    """ConstantOfShape."""
    fill = call.attribute("value", np.float32(0))
    if not isinstance(fill, np.generic):
        raise OutsideFragment("ConstantOfShape with a value that is not one number is not evaluated here")
    return arithmetic.constant(np.full(integers(call[0]), fill))


def modulo(arithmetic: Arithmetic, call: Call) -> Traced:
    """Mod of whole numbers."""
    a, b = call[0].value, call[1].value
    if call[0].is_real or not bool((a >= 0).all() and (b > 0).all()):
        raise OutsideFragment("Mod of floats or of negative integers is not evaluated here")
    return Traced(torch.remainder(a, b))


def cast(arithmetic: Arithmetic, call: Call) -> Traced:
    """Cast."""
    to = int(call.attribute("to"))
    if to in ELEMENT_TYPES:
        significant, least = ELEMENT_TYPES[to]
        return operators.as_floats(arithmetic, call[0], significant, least)
    if to in INTEGER_TYPES:
        dtype = INTEGER_TYPES[to]
        return operators.as_integers(arithmetic, call[0], dtype) if call[0].is_real else Traced(call[0].value.to(dtype))
    raise OutsideFragment(f"a Cast to the element type {to} is not evaluated here")


def compared(test: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Rule:
    """A comparison."""
    return lambda arithmetic, call: operators.compared(arithmetic, call[0], call[1], test)


def logical(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Rule:
    """An operator on truth values."""
    return lambda arithmetic, call: Traced(function(call[0].value, call[1].value))

"""Values of a graph that do not depend on its inputs, computed exactly.

Owns: `constant`; which operators are exact on constants.
Must not know: layers.

Floats are only moved, never computed with: a runtime's rounding is not symconv's to guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from symconv.errors import ModelError
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.tensors import DTYPES, Tensor

MOST_NODES = 4096
REMEMBERED = 4096
SAFE = 1 << 31
"""Integers below this are multiplied and added without overflow."""

Arrays = Sequence[np.ndarray | None]


class _NotConstant(Exception):
    """The value depends on an input, or is not computed exactly."""


class _TooLarge(Exception):
    """The value, or one that it is computed from, has more elements than asked for."""


def constant(model: OnnxModel, value: str, limit: int) -> np.ndarray | None:
    """See `OnnxModel.constant`."""
    known: dict[str, np.ndarray | None] = model.remembered("constants", dict)
    if value in known:
        found = known[value]
        return found if found is None or found.size <= limit else None
    try:
        found = _evaluate(model, value, limit, known)
    except (_NotConstant, ModelError, ValueError, IndexError, TypeError, OverflowError, KeyError, AttributeError):  # malformed nodes too
        found = None
    except _TooLarge:
        return None
    if found is None or found.size <= REMEMBERED:
        known[value] = found
    return found


def _evaluate(model: OnnxModel, value: str, limit: int, known: dict[str, np.ndarray | None]) -> np.ndarray:
    order = _ancestors(model, value, known)
    local: dict[str, np.ndarray] = {}
    for name in order:
        tensor = model.initializer(name)
        if name in known:
            held = known[name]
            if held is None:
                raise _NotConstant
            local[name] = held
        elif tensor is not None:
            if tensor.elements > limit:
                raise _TooLarge
            local[name] = tensor.array()
        else:
            node = model.producer(name)
            assert node is not None, "only computed values follow"
            inputs = [local[item] if item else None for item in node.inputs]
            result = np.asarray(_FOLDS[node.op](node, inputs, limit))
            if result.size > limit:
                raise _TooLarge
            local[name] = result
    return local[value]


def _ancestors(model: OnnxModel, value: str, known: dict[str, np.ndarray | None]) -> list[str]:
    """The values that `value` is computed from, in order of computation, itself last."""
    order: list[str] = []
    seen: set[str] = set()
    stack = [(value, False)]
    while stack:
        name, done = stack.pop()
        if done:
            order.append(name)
            continue
        if name in seen:
            continue
        seen.add(name)
        if model.overrides(name):
            raise _NotConstant
        stack.append((name, True))
        if name in known or model.initializer(name) is not None:
            continue
        node = model.producer(name)
        if node is None or node.domain or node.op not in _FOLDS or node.outputs[0] != name or len(seen) > MOST_NODES:
            raise _NotConstant
        stack.extend((item, False) for item in node.inputs if item)
    return order


def _bounded(shape: Sequence[int], limit: int) -> tuple[int, ...]:
    """A shape that is not too large to make."""
    total = 1
    for extent in shape:
        if extent < 0:
            raise _NotConstant
        total *= max(extent, 1)
    if total > limit:
        raise _TooLarge
    return tuple(int(extent) for extent in shape)


def _given(array: np.ndarray | None) -> np.ndarray:
    if array is None:
        raise _NotConstant
    return array


def integers(array: np.ndarray | None) -> list[int]:
    """A one-dimensional tensor of integers."""
    held = _given(array)
    if held.ndim > 1 or held.dtype.kind not in "iu":
        raise _NotConstant
    return [int(item) for item in held.reshape(-1)]


def _axes(node: Node, inputs: Arrays, position: int = 1) -> list[int] | None:
    """Axes given as an attribute (older opsets) or as an input."""
    if "axes" in node.attributes:
        return list(node.attributes["axes"])
    return integers(inputs[position]) if len(inputs) > position and inputs[position] is not None else None


def _constant(node: Node, inputs: Arrays, limit: int) -> Any:
    (name, held), *rest = node.attributes.items()
    if rest:
        raise _NotConstant
    match name:
        case "value" if isinstance(held, Tensor) and held.elements <= limit:
            return held.array()
        case "value_int" | "value_ints":
            return np.array(held, dtype=np.int64)
        case "value_float" | "value_floats":
            return np.array(held, dtype=np.float32)
    raise _NotConstant


def _reshape(node: Node, inputs: Arrays, limit: int) -> Any:
    held, target = _given(inputs[0]), integers(inputs[1])
    if not node.attributes.get("allowzero", 0):
        target = [held.shape[axis] if extent == 0 else extent for axis, extent in enumerate(target)]
    if any(extent < -1 for extent in target) or target.count(-1) > 1:
        raise _NotConstant
    return held.reshape(target)


def _transpose(node: Node, inputs: Arrays, limit: int) -> Any:
    return np.transpose(_given(inputs[0]), node.attributes.get("perm"))


def _squeeze(node: Node, inputs: Arrays, limit: int) -> Any:
    axes = _axes(node, inputs)
    return np.squeeze(_given(inputs[0]), None if axes is None else tuple(axes))


def _unsqueeze(node: Node, inputs: Arrays, limit: int) -> Any:
    axes = _axes(node, inputs)
    if axes is None:
        raise _NotConstant
    return np.expand_dims(_given(inputs[0]), tuple(axes))


def _concat(node: Node, inputs: Arrays, limit: int) -> Any:
    held = [_given(item) for item in inputs]
    if sum(item.size for item in held) > limit:
        raise _TooLarge
    if len({item.dtype for item in held}) != 1:
        raise _NotConstant
    return np.concatenate(held, axis=node.attributes["axis"])


def _cast(node: Node, inputs: Arrays, limit: int) -> Any:
    held, name = _given(inputs[0]), TensorProto.DataType.Name(node.attributes["to"])
    if name not in DTYPES or name == "BFLOAT16" or held.dtype.kind not in "iufb":
        raise _NotConstant
    with np.errstate(all="ignore"):
        result = held.astype(DTYPES[name])
        if not np.array_equal(result.astype(held.dtype), held) or not np.array_equal(result.astype(object), held.astype(object)):
            raise _NotConstant
    return result


def _slice(node: Node, inputs: Arrays, limit: int) -> Any:
    held = _given(inputs[0])
    if "starts" in node.attributes:
        starts, ends = list(node.attributes["starts"]), list(node.attributes["ends"])
        axes, steps = list(node.attributes.get("axes", range(len(starts)))), [1] * len(starts)
    else:
        starts, ends = integers(inputs[1]), integers(inputs[2])
        axes = integers(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
        steps = integers(inputs[4]) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    index = [slice(None)] * held.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        count = held.shape[axis]
        if step < 0 and end >= count:  # nothing by the specification, everything in ONNX Runtime for the largest end
            raise _NotConstant
        if step < 0:  # numpy takes a start before the first sample for nothing, ONNX for the first sample
            first = min(max(start + count if start < 0 else start, 0), count - 1)
            index[axis] = slice(first if count else 0, None if end < -count else end, step)
        else:
            index[axis] = slice(start, end, step)
    return held[tuple(index)]


def _gather(node: Node, inputs: Arrays, limit: int) -> Any:
    held, index = _given(inputs[0]), _given(inputs[1])
    if index.dtype.kind not in "iu" or index.size * max(held.size, 1) > limit * max(held.shape[node.attributes.get("axis", 0)], 1):
        raise _NotConstant
    return np.take(held, index, axis=node.attributes.get("axis", 0))


def _shape(node: Node, inputs: Arrays, limit: int) -> Any:
    shape = _given(inputs[0]).shape
    return np.array(shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))], dtype=np.int64)


def _constant_of_shape(node: Node, inputs: Arrays, limit: int) -> Any:
    value = node.attributes.get("value")
    fill = np.zeros(1, np.float32) if value is None else value.array()
    return np.full(_bounded(integers(inputs[0]), limit), fill.reshape(-1)[0], dtype=fill.dtype)


def _expand(node: Node, inputs: Arrays, limit: int) -> Any:
    held, target = _given(inputs[0]), integers(inputs[1])
    return np.broadcast_to(held, _bounded(np.broadcast_shapes(held.shape, _bounded(target, limit)), limit))


def _range(node: Node, inputs: Arrays, limit: int) -> Any:
    start, end, step = (integers(item)[0] for item in inputs)
    if not step or abs(end - start) // abs(step) > limit:
        raise _NotConstant
    return np.arange(start, end, step, dtype=_given(inputs[0]).dtype)


def _arithmetic(function: Callable[[Any, Any], Any]) -> Callable[[Node, Arrays, int], Any]:
    def fold(node: Node, inputs: Arrays, limit: int) -> Any:
        left, right = map(_given, inputs)
        if left.dtype.kind not in "iu" or left.dtype != right.dtype or left.dtype.itemsize < 4:
            raise _NotConstant
        if any(
            item.size and int(np.abs(item.astype(object)).max()) >= (SAFE if item.dtype.itemsize == 8 else 1 << 15)
            for item in (left, right)
        ):
            raise _NotConstant
        _bounded(np.broadcast_shapes(left.shape, right.shape), limit)
        return function(left, right).astype(left.dtype)

    return fold


def _divide(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Integer division as C does it; the sign of a rest is not settled by the specification, so negative operands are left alone."""
    if (left < 0).any() or (right <= 0).any():
        raise _NotConstant
    return left // right


_FOLDS: dict[str, Callable[[Node, Arrays, int], Any]] = {
    "Constant": _constant,
    "Identity": lambda node, inputs, limit: _given(inputs[0]),
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": _concat,
    "Cast": _cast,
    "Slice": _slice,
    "Gather": _gather,
    "Shape": _shape,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Range": _range,
    "Add": _arithmetic(lambda a, b: a + b),
    "Sub": _arithmetic(lambda a, b: a - b),
    "Mul": _arithmetic(lambda a, b: a * b),
    "Div": _arithmetic(_divide),
}

OPERATORS = frozenset(_FOLDS)
"""Operators whose value on constants is computed here."""

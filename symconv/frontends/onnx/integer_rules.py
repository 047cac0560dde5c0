"""Integers that a model computes from its extents, operator by operator.

Owns: `INTEGER_RULES`. A rule returns None, or raises, where the result does not follow.
Must not know: layers.
"""

from __future__ import annotations

from collections.abc import Callable

from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.graph import Node
from symconv.frontends.onnx.state import Integers, State


def _shape_of(state: State, node: Node) -> Integers | None:
    shape = state.shapes.get(node.input(0))
    if shape is None:
        return None
    return Integers(1, shape[slice(node.attributes.get("start", 0), node.attributes.get("end"))])


def _gathered(state: State, node: Node) -> Integers:
    held, index = state.operand(node, 0), state.operand(node, 1)
    if held.rank != 1 or node.attributes.get("axis", 0) not in (0, -1):
        raise ValueError
    return Integers(index.rank, tuple(held.items[place] for place in state.plain(node, 1)))


def _sliced(state: State, node: Node) -> Integers:
    held = state.operand(node, 0)
    if "starts" in node.attributes:
        start, end, step = node.attributes["starts"][0], node.attributes["ends"][0], 1
    else:
        step = state.plain(node, 4)[0] if node.input(4) else 1
        start, end = state.plain(node, 1)[0], state.plain(node, 2)[0]
    if held.rank != 1 or step < 1:
        raise ValueError
    return Integers(1, held.items[start:end:step])


def _joined(state: State, node: Node) -> Integers:
    parts = [state.operand(node, position) for position in range(len(node.inputs))]
    if any(part.rank != 1 for part in parts):
        raise ValueError
    return Integers(1, tuple(item for part in parts for item in part.items))


def _as_scalar(state: State, node: Node) -> Integers:
    held = state.operand(node, 0)
    if len(held.items) != 1:
        raise ValueError
    return Integers(0, held.items)


def _as_vector(state: State, node: Node) -> Integers:
    held = state.operand(node, 0)
    if held.rank:
        raise ValueError
    return Integers(1, held.items)


def _reshaped_integers(state: State, node: Node) -> Integers | None:
    if node.input(0) not in state.numbers:
        return None
    held, target = state.operand(node, 0), state.plain(node, 1)
    return Integers(len(target), held.items) if target in ([], [-1], [len(held.items)]) else None


def _kept(state: State, node: Node) -> Integers | None:
    return state.numbers.get(node.input(0))


def _combined(function: Callable[[Extent, Extent], Extent | None]) -> Callable[[State, Node], Integers | None]:
    def rule(state: State, node: Node) -> Integers | None:
        if not all(name in state.numbers for name in node.inputs):
            return None
        left, right = state.operand(node, 0), state.operand(node, 1)
        count = max(len(left.items), len(right.items))
        if min(len(left.items), len(right.items)) not in (1, count):
            raise ValueError
        pairs = zip(*(item.items * (count if len(item.items) == 1 else 1) for item in (left, right)), strict=True)
        return Integers(max(left.rank, right.rank), tuple(None if a is None or b is None else function(a, b) for a, b in pairs))

    return rule


def _quotient(a: Extent, b: Extent) -> Extent | None:
    """Integer division; quotients of extents that are not negative."""
    return a.over(b.number) if b.number is not None and b.number > 0 else a.divided(b)


INTEGER_RULES: dict[str, Callable[[State, Node], Integers | None]] = {
    "Shape": _shape_of,
    "Gather": _gathered,
    "Slice": _sliced,
    "Concat": _joined,
    "Squeeze": _as_scalar,
    "Unsqueeze": _as_vector,
    "Reshape": _reshaped_integers,
    "Cast": _kept,
    "Identity": _kept,
    "Floor": _kept,
    "Ceil": _kept,
    "Add": _combined(lambda a, b: a + b),
    "Sub": _combined(lambda a, b: a - b),
    "Mul": _combined(lambda a, b: a * b),
    "Div": _combined(_quotient),
}

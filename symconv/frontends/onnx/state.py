"""What is known of a model's values while its nodes are followed in order.

Owns: `State`, `Integers`, `Shape`.
Must not know: operators.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.graph import Node, OnnxModel

Shape = tuple[Extent, ...]
MOST_INTEGERS = 64
"""Elements of an integer tensor that is followed."""


@attrs.frozen
class Integers:
    """A tensor of integers of at most one axis: one expression an element, None where it is not known."""

    rank: int
    items: tuple[Extent | None, ...]


class State:
    """Extents of values, and the elements of small integer tensors, by value name."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.shapes: dict[str, Shape] = {}
        self.numbers: dict[str, Integers] = {}

    def operand(self, node: Node, position: int) -> Integers:
        name = node.input(position)
        if name not in self.numbers:
            raise KeyError(name)
        return self.numbers[name]

    def plain(self, node: Node, position: int) -> list[int]:
        """An operand whose elements are numbers."""
        found = [None if item is None else item.number for item in self.operand(node, position).items]
        if any(item is None for item in found):
            raise ValueError
        return [item for item in found if item is not None]

    def broadcast(self, shapes: Sequence[Shape], value: str) -> Shape | None:
        """The extents of a value that is broadcast; an atom of its own where either extent could be it, and the other 1."""
        one = Extent.of(1)
        out: list[Extent] = []
        for axis in range(1, max(map(len, shapes)) + 1):
            extents = {shape[-axis] for shape in shapes if len(shape) >= axis} - {one}
            if len(extents) > 1:
                numbers = [extent for extent in extents if extent.number is not None]
                if len(numbers) > 1:
                    return None
                extents = set(numbers) or {Extent.of(f"{value}[{max(map(len, shapes)) - axis}]")}
            out.append(extents.pop() if extents else one)
        return tuple(reversed(out))

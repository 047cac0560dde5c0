"""Small integers in place of a model's weights, drawn so that reshuffled weights stay reshuffled.

Owns: `Whole`, `changeable`.
Must not know: files, runtimes.

Every stored number w becomes f(w): f(0) = 0, f(-w) = -f(w), and f is the same for both models, so it commutes with every reshuffle
that only moves taps, repeats them or sets them to zero. The models with f(w) are then proved to be the same once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import attrs
import numpy as np

from symconv.frontends.onnx.graph import Node, OnnxModel

MIXING = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
"""Odd constants of the finaliser of SplitMix64 (Steele, Lea, Flood 2014)."""
FLOATS = frozenset({"FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"})
LINEAR = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (0, 1, 2), "MatMul": (0, 1), "Add": (0, 1), "Sub": (0, 1), "Mul": (0, 1),
    "Sum": tuple(range(16)), "PRelu": (1,), "BatchNormalization": (1, 2, 3), "LayerNormalization": (0, 1, 2), "Shape": (0,),
    "InstanceNormalization": (1, 2), "Where": (1, 2),
}  # fmt: skip
"""Operators, and the inputs whose numbers may be any others without a change of meaning."""
MOVING = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Slice", "Expand", "Tile", "Pad", "Gather"})
"""Operators that move the numbers of their first input, or add zeros; all of it may be changed where their output may be."""


@attrs.frozen
class Whole:
    """The map f.

    Args:
        seed: which one.
        most: the largest magnitude.
        share: how much of what is not 0 stays so.
    """

    seed: int
    most: int
    share: float = 1.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """f of an array, in its type."""
        held = np.ascontiguousarray(values, dtype=np.float64)
        mixed = np.abs(held).view(np.uint64) + np.uint64((MIXING[0] * (self.seed + 1)) % 2**64)
        with np.errstate(over="ignore"):
            for shift, factor in ((30, MIXING[1]), (27, MIXING[2])):
                mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
            mixed ^= mixed >> np.uint64(31)
        size = 1 + mixed % np.uint64(self.most)
        if self.share < 1:
            size = size * ((mixed >> np.uint64(40)) < np.uint64(int(self.share * 2**24)))
        return (np.sign(held) * size.astype(np.float64)).astype(values.dtype)


def changeable(model: OnnxModel) -> tuple[frozenset[str], frozenset[str]]:
    """Names of stored tensors that may become other numbers, and of values that become ones: variances of BatchNormalization.

    Exporters store equal tensors once, so a tensor of ones may be a variance and a scale; it becomes ones then.
    """
    uses = _Uses(model)
    stored = [*_stored(model)]
    ones = {name for name in stored if uses.of(name) >= {VARIANCE} and FIXED not in uses.of(name)}
    changed = {name for name in stored if uses.of(name) == {FREE}}
    moved = {value for value, source in uses.moved.items() if source in ones}
    return frozenset(changed), frozenset(ones | moved)


FREE, VARIANCE, FIXED = "free", "variance", "fixed"
"""What a number is used as: anything that may be another number, a variance, or something with a meaning of its own."""


class _Uses:
    """How values are used, those that only move them included."""

    def __init__(self, model: OnnxModel) -> None:
        self.model, self.extents = model, _extents(model)
        self.readers: dict[str, list[tuple[Node, int]]] = defaultdict(list)
        self.moved: dict[str, str] = {}
        for node in model.nodes:
            for position, value in enumerate(node.inputs):
                self.readers[value].append((node, position))
            for value in node.captures:
                self.readers[value].append((node, -1))
            if node.op == "Identity" and not node.domain:
                self.moved[node.outputs[0]] = self.moved.get(node.inputs[0], node.inputs[0])
        self._known: dict[str, frozenset[str]] = {}

    def of(self, value: str) -> frozenset[str]:
        """All that a value is used as; what nothing reads is fixed."""
        if value not in self._known:
            self._known[value] = frozenset({FIXED})  # an output of the model, or one that a caller may override
            if value not in self.model.outputs and value not in self.model.overridable and self.readers[value]:
                self._known[value] = frozenset().union(*(self._use(node, position) for node, position in self.readers[value]))
        return self._known[value]

    def _use(self, node: Node, position: int) -> frozenset[str]:
        if node.domain or {*node.outputs} & self.extents:
            return frozenset({FIXED})
        if (node.op in MOVING and position == 0) or node.op == "Concat":
            return self.of(node.outputs[0])
        if node.op == "BatchNormalization" and position == 4:
            return frozenset({VARIANCE})
        return frozenset({FREE if position in LINEAR.get(node.op, ()) else FIXED})


def _extents(model: OnnxModel) -> frozenset[str]:
    """Values that are computed from extents, and from nothing else that varies."""
    known = {item.name for item in model.proto.graph.initializer}
    found: set[str] = set()
    for node in model.nodes:
        given = {value for value in (*node.inputs, *node.captures) if value}
        if node.op in ("Shape", "Size") or (given & found and given <= found | known):
            found.update(node.outputs)
        elif given <= known:
            known.update(node.outputs)
    return frozenset(found)


def _stored(model: OnnxModel) -> Iterator[str]:
    names = [item.name for item in model.proto.graph.initializer]
    names += [node.outputs[0] for node in model.nodes if node.op == "Constant" and node.outputs]
    for name in names:
        tensor = model.initializer(name)
        if tensor is not None and tensor.dtype in FLOATS:
            yield name

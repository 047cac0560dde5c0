"""The extents of a model's values, and the integers that it computes from them, for all sizes at once.

Owns: `analysis`, `Analysis`.
Must not know: layers.

Free dimensions of the inputs are atoms. A value of an operator that is not followed gets its declared rank and extents, where the file
declares them, with atoms of its own; such a declaration is believed. Integers computed in float32 (as exporters write scaled extents) are
followed as integers, which is exact below 2^24.
"""

from __future__ import annotations

import contextlib

import attrs

from symconv.frontends.onnx.constants import OPERATORS as FOLDED_OPERATORS
from symconv.frontends.onnx.extents import Extent, Unbounded
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.integer_rules import INTEGER_RULES
from symconv.frontends.onnx.shape_rules import SHAPE_RULES, given_axes, target_shape
from symconv.frontends.onnx.state import MOST_INTEGERS, Integers, Shape, State
from symconv.frontends.onnx.tensors import MOST_AXES

SAME_SHAPE = frozenset((
    "Identity", "Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Clip", "HardSigmoid",
    "HardSwish", "Gelu", "Mish", "Swish", "ThresholdedRelu", "Shrink", "Dropout", "BatchNormalization", "InstanceNormalization",
    "GroupNormalization", "LayerNormalization", "Cast", "Erf", "Sqrt", "Exp", "Log", "Abs", "Neg", "Floor", "Ceil", "Round",
    "Reciprocal", "Softmax", "LogSoftmax", "Sin", "Cos", "LRN", "LpNormalization", "Not", "Sign", "CumSum",
))  # fmt: skip
BROADCAST = frozenset((
    "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Where", "Equal", "Less", "Greater", "And", "Or", "Mod",
))  # fmt: skip
"""Operators whose output has the extents of their inputs, broadcast."""


@attrs.frozen(eq=False)
class Analysis:
    """What is known of every value of one model."""

    model: OnnxModel
    shapes: dict[str, Shape]
    numbers: dict[str, Integers]
    believed: tuple[str, ...] = ()
    """Computed values that other nodes use, of which only the file's declaration says what extents they have."""

    def shape(self, value: str) -> Shape | None:
        """The extents of a value, or None."""
        return self.shapes.get(value)

    def integers(self, value: str) -> tuple[Extent | None, ...] | None:
        """The elements of an integer tensor of at most one axis, or None."""
        found = self.numbers.get(value)
        return None if found is None else found.items


def analysis(model: OnnxModel) -> Analysis:
    """The analysis of a model, made once."""
    return model.remembered("analysis", lambda: _Follower(model).run())


def say(model: OnnxModel, value: str, channels: int, axes: int) -> None:
    """Tells the analysis, before it is made, what is known from elsewhere of a value whose shape does not follow from the graph."""
    said = model.remembered("said", dict)
    said[value] = tuple(Extent.of(channels if axis == 1 else f"{value}[{axis}]") for axis in range(axes + 2))


def _atom(dimension: str) -> str:
    """A declared dimension's name, as none of the names that extents are given here (`value[axis]`, and sums in parentheses)."""
    return f"{dimension}'" if dimension.rstrip("'").endswith(("]", ")")) else dimension


class _Follower(State):
    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model)
        graph = model.proto.graph
        self.said: dict[str, Shape] = model.remembered("said", dict)
        self.believed: list[str] = []
        self.declared = {item.name: item for item in (*graph.value_info, *graph.output, *graph.input)}

    def run(self) -> Analysis:
        stored = {item.name for item in self.model.proto.graph.initializer} | set(self.model.inputs)
        for name in stored:
            self.given(name)
        for node in self.model.nodes:
            self.follow(node)
        return Analysis(self.model, self.shapes, self.numbers, tuple(self.believed))

    def given(self, name: str) -> None:
        """An input or initializer."""
        tensor = self.model.initializer(name)
        if tensor is not None and not self.model.overrides(name):
            self.shapes[name] = tuple(map(Extent.of, tensor.shape))
            self.stored(name)
        elif (declared := self.declaration(name)) is not None:
            self.shapes[name] = declared

    def stored(self, name: str) -> None:
        """The elements of a small constant, where they are integers."""
        tensor = self.model.initializer(name)
        if tensor is not None and (len(tensor.shape) > 1 or tensor.elements > MOST_INTEGERS):
            return
        found = self.model.constant(name, MOST_INTEGERS)
        if found is not None and found.ndim <= 1 and found.dtype.kind in "iuf":
            self.shapes[name] = tuple(map(Extent.of, found.shape))
            whole = [
                float(item).is_integer() and abs(float(item)) < 2**62 if found.dtype.kind == "f" else True for item in found.reshape(-1)
            ]
            items = tuple(Extent.of(int(item)) if fits else None for item, fits in zip(found.reshape(-1), whole, strict=True))
            self.numbers[name] = Integers(found.ndim, items)

    def declaration(self, name: str) -> Shape | None:
        """What the file says of a value; free dimensions become atoms."""
        item = self.declared.get(name)
        if item is None or item.type.WhichOneof("value") != "tensor_type" or not item.type.tensor_type.HasField("shape"):
            return None
        dims = item.type.tensor_type.shape.dim
        if len(dims) > MOST_AXES:
            return None
        free = self.model.producer(name) is not None  # a name that is declared for a computed value is a claim, not a definition
        return tuple(
            Extent.of(int(dim.dim_value))
            if dim.WhichOneof("value") == "dim_value" and 0 <= dim.dim_value < 2**62
            else Extent.of(_atom(dim.dim_param) if dim.dim_param and not free else f"{name}[{axis}]")
            for axis, dim in enumerate(dims)
        )

    def follow(self, node: Node) -> None:
        outputs = [name for name in node.outputs if name]
        if not outputs:
            return
        first = node.outputs[0]
        tensor = self.model.initializer(first)
        if tensor is not None:
            self.shapes[first] = tuple(map(Extent.of, tensor.shape))
        if first and not node.domain and node.op in FOLDED_OPERATORS:
            self.stored(first)
        for rule in (self.follow_integers, self.follow_shape):
            if not node.domain and first and first not in self.shapes:
                # nodes that are malformed have no shape; what reads them says why
                with contextlib.suppress(Unbounded, ValueError, IndexError, TypeError, KeyError, AttributeError, ArithmeticError):
                    rule(node)
        for name in outputs:
            if name not in self.shapes and (declared := self.declaration(name)) is not None:
                self.shapes[name] = declared
                self.believed += [name] if self.model.consumers(name) else []
            elif name not in self.shapes and name in self.said:
                self.shapes[name] = self.said[name]

    def follow_integers(self, node: Node) -> None:
        rule = INTEGER_RULES.get(node.op)
        found = rule(self, node) if rule is not None else None
        if found is not None and len(found.items) <= MOST_INTEGERS:
            self.numbers[node.outputs[0]] = found
            self.shapes[node.outputs[0]] = (Extent.of(len(found.items)),) * found.rank

    def follow_shape(self, node: Node) -> None:
        found = self.shape(node)
        if found is not None:
            self.shapes[node.outputs[0]] = found

    def shape(self, node: Node) -> Shape | None:
        if node.op in SAME_SHAPE:
            return self.shapes.get(node.input(0))
        if node.op in BROADCAST:
            return self.broadcast([self.shapes[name] for name in node.inputs if name], node.outputs[0])
        rule = SHAPE_RULES.get(node.op)
        return rule(self, node) if rule is not None else None


__all__ = ["Analysis", "Integers", "Shape", "analysis", "given_axes", "say", "target_shape"]

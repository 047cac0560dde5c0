"""The layers of a model that change extents, and what each is equivalent to: the object that `symconv explain MODEL.onnx --json` prints.

Owns: `ModelExplanation`, `explain_model`; which nodes are looked at together.
Must not know: layout, options, weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import attrs

from symconv.convert.conversion import Conversion
from symconv.convert.cost import cost_of
from symconv.convert.layer import convert_layer
from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.nodes import Reading, readings
from symconv.layers import (
    AvgPool,
    Conv,
    ConvTranspose,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    channels_through,
    input_channels,
)
from symconv.layers.expression import format_layer
from symconv.operators.domain import domain
from symconv.operators.steps import rates
from symconv.prove.stage import words_of
from symconv.report.extents import domain_text, extent_formula

SCHEMA = "symconv.explain-model/1"
FORMS = ("lr-shuffle", "transposed", "zero-insertion", "unshuffle")
WATCHED = frozenset(
    ("ConvTranspose", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "AveragePool", "MaxPool", "LpPool", "MaxUnpool", "GridSample")
)
"""Operators that are listed where they are not read."""

Json = dict[str, Any]


@attrs.frozen(kw_only=True)
class Equivalent:
    """One form of a layer, or why there is none.

    Args:
        to: the form.
        target: the layer of that form as an expression, or None.
        relation, domain: how the layer compares with it.
        multiplications, parameters: of the target; multiplications for each input sample, "p/q".
        reason: why there is none.
    """

    to: str
    target: str | None
    relation: str | None = None
    domain: str | None = None
    multiplications: str | None = None
    parameters: int | None = None
    reason: str | None = None


@attrs.frozen(kw_only=True)
class ModelLayer:
    """One layer of a model that changes extents, or that could not be read.

    Args:
        name: its node; where several nodes belong together, the one with the weights.
        nodes, operators: all of its nodes in order, and their operators.
        layer: as an expression, or None.
        channels: (input, output), or None.
        extents: per axis the output extent as a formula in n, and the valid n.
        direction: "up", "down", or "" where the extents only shift.
        multiplications, parameters: for each input sample, "p/q".
        fixed: input extents that the model fixes and for which alone it is that layer, or ().
        forms: what it is equivalent to.
        reason: why it could not be read, or (with a layer) why nothing more is said of it; else "".
    """

    name: str
    nodes: tuple[str, ...]
    operators: tuple[str, ...]
    layer: str | None = None
    channels: tuple[int, int] | None = None
    extents: tuple[tuple[str, str], ...] = ()
    direction: str = ""
    multiplications: str | None = None
    parameters: int | None = None
    fixed: tuple[int | None, ...] = ()
    forms: tuple[Equivalent, ...] = ()
    reason: str = ""


@attrs.frozen(kw_only=True)
class ModelExplanation:
    """What is said of a whole model.

    Args:
        model: the file.
        opset: version of the default operator set.
        nodes: how many there are.
        inputs, outputs: names and extents as they are known.
        layers: those that change extents.
        overridable: constants that a caller may override, read at their defaults.
        seconds: how long it took.
    """

    model: str
    opset: int
    nodes: int
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    layers: tuple[ModelLayer, ...]
    overridable: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> Json:
        """The JSON object, with plain values only."""
        return {"schema": SCHEMA} | attrs.asdict(self)


def explain_model(model: OnnxModel, *, budget: float) -> ModelExplanation:
    """Reads every layer that changes extents, and looks for its other forms.

    Args:
        model: the model.
        budget: seconds for everything; what is not decided by then says so.
    """
    started = time.perf_counter()
    found = tuple(_Explainer(model, time.monotonic() + budget).layers())
    return ModelExplanation(
        model=str(model.path),
        opset=model.opset,
        nodes=len(model.nodes),
        inputs=tuple((name, _shape(model, name)) for name in model.inputs),
        outputs=tuple((name, _shape(model, name)) for name in model.outputs),
        layers=found,
        overridable=tuple(sorted(model.overridable)),
        seconds=round(time.perf_counter() - started, 6),
    )


def _shape(model: OnnxModel, value: str) -> str:
    shape = model.shape(value)
    return "of unknown shape" if shape is None else f"({', '.join('?' if item is None else str(item) for item in shape)})"


class _Explainer:
    """One model on its way to rows."""

    def __init__(self, model: OnnxModel, deadline: float) -> None:
        self.model, self.deadline = model, deadline
        self.readings = readings(model)
        self.known: dict[tuple[Layer, int], tuple[Equivalent, ...]] = {}

    def layers(self) -> Iterator[ModelLayer]:
        done: set[int] = set()
        for node in self.model.nodes:
            reading = self.readings[node.index]
            if node.index in done:
                continue
            if reading.layer is None:
                if self.is_watched(node):
                    yield self.row((reading,))
                continue
            if self.resamples(reading):
                parts = tuple(part for part in self.stretch(reading) if part.span[0].index not in done)
                done |= {member.index for part in parts for member in part.span}
                yield self.row(parts)

    def is_watched(self, node: Node) -> bool:
        """Whether a node that is not read may change extents."""
        if node.domain:
            return False
        if node.op in WATCHED:
            return True
        if node.op == "Conv":
            return any(step != 1 for step in node.attributes.get("strides") or () if isinstance(step, int))
        shape = self.model.shape(node.outputs[0]) if node.op == "Reshape" and node.outputs else None
        return shape is not None and len(shape) in (6, 8)  # rank 4 or 5 spelled with its phases apart

    def resamples(self, reading: Reading) -> bool:
        assert reading.layer is not None, "asked of layers only"
        return any(
            isinstance(layer, (ConvTranspose, Upsample, Shuffle, Unshuffle))
            or (isinstance(layer, (Conv, AvgPool)) and any(step != 1 for step in layer.stride))
            for layer in reading.layer.layers
        )

    def stretch(self, reading: Reading) -> tuple[Reading, ...]:
        """The reading with the neighbour that makes one layer of it: the convolution beside a shuffle or resize, the crop behind."""
        assert reading.layer is not None, "asked of layers only"
        kinds = {type(layer) for layer in reading.layer.layers}
        before, after = self.neighbour(reading, before=True), self.neighbour(reading, before=False)
        if Shuffle in kinds and before is not None and self.is_convolution(before):
            return before, reading
        if kinds & {Upsample, Unshuffle} and after is not None and self.is_convolution(after):
            return reading, after
        if ConvTranspose in kinds and after is not None and self.is_crop(after):
            return reading, after
        return (reading,)

    def neighbour(self, reading: Reading, *, before: bool) -> Reading | None:
        """The reading that alone makes the input, or alone takes the output."""
        value = reading.input if before else reading.output
        users = {id(self.readings[node.index]): self.readings[node.index] for node in self.model.consumers(value) if node.op != "Shape"}
        if len(users) != 1 or value in self.model.outputs:
            return None
        maker = self.model.producer(value)
        found = (None if maker is None else self.readings[maker.index]) if before else next(iter(users.values()))
        if found is None or found.layer is None or not found.all_extents or (found.output if before else found.input) != value:
            return None
        return found

    def is_convolution(self, reading: Reading) -> bool:
        assert reading.layer is not None, "asked of layers only"
        return all(isinstance(layer, Conv) and set(layer.stride) == {1} for layer in reading.layer.layers)

    def is_crop(self, reading: Reading) -> bool:
        assert reading.layer is not None, "asked of layers only"
        return all(isinstance(layer, Pad) and layer.mode == "zeros" for layer in reading.layer.layers)

    def row(self, parts: tuple[Reading, ...]) -> ModelLayer:
        nodes = [node for part in parts for node in part.span]
        weighted = next((node for node in nodes if node.op in ("ConvTranspose", "Conv")), nodes[0])
        names: dict[str, Any] = {
            "name": weighted.name,
            "nodes": tuple(node.name for node in nodes),
            "operators": tuple(node.op for node in nodes),
        }
        if parts[0].layer is None:
            return ModelLayer(**names, reason=parts[0].reason)
        chain = tuple(layer for part in parts if part.layer is not None for layer in part.layer.layers)
        axes = next((part.axes for part in parts if part.axes is not None), 2)
        fixed = next((part.extents for part in parts if not part.all_extents), ())
        try:
            return ModelLayer(**names, fixed=fixed, **self.described(chain, axes, parts[0].input))
        except BudgetExceeded as stop:
            return ModelLayer(**names, fixed=fixed, layer=format_layer(Sequential(chain), axes), reason=stop.detail)
        except (LayerError, OutsideFragment) as error:
            return ModelLayer(**names, reason=str(error))

    def described(self, chain: tuple[Layer, ...], axes: int, value: str) -> Json:
        """The fields that follow from the layers."""
        bound = Sequential(chain).bind(axes)
        channels = self.channels(bound.layers, value)
        words = words_of(bound.layers, channels, axes)
        ratios = [rates(word) for word in words]
        grows, shrinks = any(q > p for p, q in ratios), any(q < p for p, q in ratios)
        cost = cost_of(bound.layers, channels)
        return {
            "layer": format_layer(bound, axes),
            "channels": (channels, channels_through(bound.layers, channels)[-1]),
            "extents": tuple((extent_formula(word, domain(word)), domain_text(domain(word))) for word in words),
            "direction": "up" if grows and not shrinks else "down" if shrinks and not grows else "",
            "multiplications": str(cost.multiplications),
            "parameters": cost.parameters,
            "forms": self.forms(bound, channels),
        }

    def channels(self, layers: tuple[Layer, ...], value: str) -> int:
        needed = input_channels(layers)
        if needed is not None:
            return needed
        shape = self.model.shape(value)
        found = shape[1] if shape is not None and len(shape) > 1 else None
        if not isinstance(found, int) or found < 1:
            raise LayerError("the model does not say how many channels its input has")
        return found

    def forms(self, layer: Sequential, channels: int) -> tuple[Equivalent, ...]:
        if (layer, channels) not in self.known:
            self.known[layer, channels] = tuple(self.every_form(layer, channels))
        return self.known[layer, channels]

    def every_form(self, layer: Sequential, channels: int) -> Iterator[Equivalent]:
        """Each form that is another layer than this one and those before."""
        seen = {format_layer(layer, layer.axes)}
        for to in FORMS:
            left = self.deadline - time.monotonic()
            if left <= 0:
                yield Equivalent(to=to, target=None, reason="unknown: the budget ran out; give more with --budget")
                continue
            found = convert_layer(layer, to, channels=channels, budget=left, presburger=False)
            if found.target in seen:
                continue
            if found.target is not None:
                seen.add(found.target)
            yield _equivalent(found)


def _equivalent(found: Conversion) -> Equivalent:
    verdict = found.verdict if found.target is not None else None
    return Equivalent(
        to=found.to,
        target=found.target,
        relation=None if verdict is None else verdict.relation.value,
        domain=None if verdict is None or verdict.domain is None else verdict.domain.value,
        multiplications=None if found.after is None else str(found.after.multiplications),
        parameters=None if found.after is None else found.after.parameters,
        reason=None if found.reason is None else found.reason.split("; the closest candidate", 1)[0],
    )

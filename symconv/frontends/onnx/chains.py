"""What stands between two values of a model, read backwards, and the one way to write a chain.

Owns: `chain_to`, `Stretch`, `normal`.
Must not know: weights' values, what chains are for.

Zero insertion has no operator. It is read where channels of zeros are added and then shuffled as phases: Pad on the channels, then
depth-to-space in DCR order, whose first phase holds the samples. Behind the last sample s - 1 zeros remain.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.nodes import read, read_alone
from symconv.frontends.onnx.reading import Reading
from symconv.frontends.onnx.shapes import analysis
from symconv.layers import BatchNorm, Conv, ConvTranspose, Identity, Layer, Margins, Pad, Shuffle, ZeroInsert

LONGEST = 32
"""Readings of one stretch, at most."""


@attrs.frozen(eq=False)
class Stretch:
    """The nodes from one value to another, as a chain of layers.

    Args:
        layers: in normal form.
        input, output: the values before and after.
        nodes: those that the chain was read from, in order; what computes the sizes of a Reshape is not among them.
        kernel, bias: names of the values that hold the weights of the one layer that has some, as in `Reading`.
        fixed: whether it is that chain only at the extents that the model fixes.
    """

    layers: tuple[Layer, ...]
    input: str
    output: str
    nodes: tuple[Node, ...]
    kernel: str | None
    bias: str | None
    fixed: bool

    @property
    def axes(self) -> int:
        """Spatial axes."""
        return next(layer.axes for layer in self.layers if layer.axes is not None)


def chain_to(model: OnnxModel, output: str, ends: Callable[[str], bool]) -> Stretch | str:
    """The chain that computes `output`, back to the first value of which `ends` is true; or why there is none.

    A chain holds at most one layer with weights.
    """
    value, found, parts = output, list[Reading](), list[tuple[Layer, ...]]()
    while not ends(value):
        node = model.producer(value)
        if node is None or len(found) >= LONGEST:
            return f"the value `{value}` is not computed from where the stretch begins"
        reading = read(model, node)
        if any(ends(inner) for part in reading.span for inner in part.outputs if inner != reading.output):
            reading = read_alone(model, node)  # a Pad before the stretch is none of its layers
        if reading.layer is None and parts and (inserted := _insertion(model, node, parts[-1])) is not None:
            parts[-1:] = [inserted]
        elif reading.layer is None:
            return reading.reason
        elif reading.notes:
            return reading.notes[0]  # runtimes and the specification disagree: another form would show which of them is followed
        else:
            parts.append(reading.layer.layers)
        if reading.output != value:
            return f"the value `{value}` stands inside a span of nodes"
        found.append(reading)
        value = reading.input
    found.reverse()
    layers = tuple(layer for part in reversed(parts) for layer in part)
    weighted = [reading for reading in found if reading.layer is not None and any(map(_has_weights, reading.layer.layers))]
    if len(weighted) > 1 or any(reading.form or reading.mean for reading in weighted):
        return "several of its layers have weights"
    held = weighted[0] if weighted else None
    return Stretch(
        normal(layers),
        value,
        output,
        tuple(node for reading in found for node in reading.span),
        held.kernel if held else None,
        held.bias if held else None,
        not all(reading.all_extents for reading in found),
    )


def normal(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The same chain without identities, with paddings by zeros joined and moved into the convolution that they precede.

    Every step keeps the function at every extent, and the extents that are accepted.
    """
    out: list[Layer] = []
    for layer in layers:
        joined = _joined(out.pop(), layer) if out else (layer,)
        out += [item for item in joined if not _changes_nothing(item)]
    return tuple(out)


def _joined(one: Layer, two: Layer) -> tuple[Layer, ...]:
    """Two layers as one, where a padding by zeros is followed by another or by a convolution; else both."""
    first, second = _amounts(one), _amounts(two)
    if first is None:
        return one, two
    if isinstance(two, Conv) and two.padding_mode == "zeros" and _least(first) >= 0:
        return (attrs.evolve(two, padding=_sum(first, two.padding)),)
    if second is None:
        return one, two
    both = _sum(first, second)
    extends = _least(first) >= 0 and _least(both) >= 0
    return (Pad(both),) if extends or max(_most(first), _most(second)) <= 0 else (one, two)


def _changes_nothing(layer: Layer) -> bool:
    amounts = _amounts(layer)
    return isinstance(layer, Identity) or (amounts is not None and _least(amounts) == 0 == _most(amounts))


def _sum(one: Margins, two: Margins) -> Margins:
    return tuple((a + b, c + d) for (a, c), (b, d) in zip(one, two, strict=True))


def _least(amounts: Margins) -> int:
    return min(map(min, amounts))


def _most(amounts: Margins) -> int:
    return max(map(max, amounts))


def _amounts(layer: Layer) -> Margins | None:
    """The amounts of a padding by zeros."""
    return layer.amounts if isinstance(layer, Pad) and layer.mode == "zeros" and isinstance(layer.amounts, tuple) else None


def _has_weights(layer: Layer) -> bool:
    return isinstance(layer, (Conv, ConvTranspose, BatchNorm))


def _insertion(model: OnnxModel, node: Node, after: tuple[Layer, ...]) -> tuple[Layer, ...] | None:
    """Zero insertion, if the node adds the channels of zeros that a shuffle in DCR order spreads."""
    shuffle = after[0] if len(after) == 1 else None
    if not isinstance(shuffle, Shuffle) or not isinstance(shuffle.factor, tuple):
        return None
    pads, shape = _channel_pads(model, node), analysis(model).shape(node.input(0))
    if pads is None or shape is None or len(shape) != len(shuffle.factor) + 2 or len(pads) != 2 * len(shape):
        return None
    wanted = [0] * len(pads)
    channels = shape[1].number
    if not channels or (shuffle.order != "DCR" and channels != 1):  # one channel's phases stand in the same order
        return None
    wanted[len(shape) + 1] = (shuffle.phases - 1) * channels
    if pads != wanted:
        return None
    return ZeroInsert(shuffle.factor), Pad(tuple((0, factor - 1) for factor in shuffle.factor))


def _channel_pads(model: OnnxModel, node: Node) -> list[int] | None:
    """The pads of a Pad node that extends by zeros; None if it is none, or they are not constant."""
    if node.op != "Pad" or node.domain or node.attributes.get("mode", "constant") != "constant" or node.input(3):
        return None
    if model.opset < 11:
        pads = node.attributes.get("pads")
        return list(pads) if isinstance(pads, tuple) and node.attributes.get("value", 0.0) == 0 else None
    if node.input(2):
        held = model.constant(node.input(2))
        if held is None or held.size != 1 or held.reshape(-1)[0] != 0:
            return None
    found = model.constant(node.input(1))
    return None if found is None or found.dtype.kind not in "iu" else [int(item) for item in found.reshape(-1)]

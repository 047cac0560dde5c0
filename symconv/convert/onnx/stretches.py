"""Which parts of a model could be rewritten to a form, and which layers change the sampling rate at all.

Owns: `sites`, `Site`, `with_crops`.
Must not know: whether a form exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from symconv.frontends.onnx.chains import Stretch, chain_to
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.nodes import read
from symconv.frontends.onnx.reading import Reading
from symconv.layers import AvgPool, Conv, ConvTranspose, Layer, Pad, Shuffle, Unshuffle, Upsample, ZeroInsert

RATES = frozenset(("ConvTranspose", "DepthToSpace", "SpaceToDepth", "Resize", "Upsample", "MaxUnpool"))
WINDOWS = frozenset(("Conv", "AveragePool", "MaxPool", "LpPool", "ConvInteger", "QLinearConv", "DeformConv"))
"""Operators that change the sampling rate where a stride is over 1."""

NOT_LINEAR = {"MaxPool": "it is not linear", "LpPool": "it is not linear", "MaxUnpool": "it is not linear"}
MEANT = {"lr-shuffle": "ConvTranspose", "zero-insertion": "ConvTranspose", "unshuffle": "Conv"}
"""The operator that a form is for; layers of it that stay were wanted."""


@attrs.frozen(eq=False)
class Site:
    """A layer that changes the sampling rate, or that was named.

    Args:
        name: of the node that stands for it.
        kind: its operator.
        stretch: what would be rewritten, or None.
        reason: why nothing is, or "".
        meant: whether it is of the kind that the form is for.
    """

    name: str
    kind: str
    stretch: Stretch | None
    reason: str = ""
    meant: bool = True


def sites(model: OnnxModel, to: str, named: frozenset[str]) -> list[Site]:
    """The layers that change the sampling rate, in order, and those with taps that are `named`, with what would be rewritten of them."""
    found, covered = list[Site](), set[int]()
    for node in model.nodes:
        if node.index in covered:
            continue
        site = _site(model, node, to, node.name in named)
        if site is None:
            continue
        if site.stretch is not None:
            covered |= {part.index for part in site.stretch.nodes}
        else:
            covered |= {part.index for part in read(model, node).span}
        found.append(site)
    return found + list(_inside(model, to))


def _site(model: OnnxModel, node: Node, to: str, named: bool) -> Site | None:
    reading = read(model, node)
    if node.op == "Pad" and len(reading.span) > 1:
        return None  # the convolution after it stands for both
    seeds = {"transposed": _to_transposed, "unshuffle": _to_unshuffle}.get(to, _from_transposed)
    found = seeds(model, node, reading, named)
    if isinstance(found, Stretch):
        return Site(node.name, node.op, found)
    if not _changes_rate(node, reading):
        return Site(node.name, node.op, None, found, False) if named and found else None
    if reading.layer is None:
        return Site(node.name, node.op, None, NOT_LINEAR.get(node.op, reading.reason), node.op == MEANT.get(to))
    return Site(node.name, node.op, None, found, node.op == MEANT.get(to) and not isinstance(found, Stretch) and node.op == "ConvTranspose")


def _changes_rate(node: Node, reading: Reading) -> bool:
    if reading.layer is not None:
        return any(map(_resamples, reading.layer.layers)) and reading.span[-1] is node
    if node.domain or node.op in RATES:
        return not node.domain
    return node.op in WINDOWS and any(isinstance(step, int) and step > 1 for step in node.attributes.get("strides") or ())


def _resamples(layer: Layer) -> bool:
    match layer:
        case Conv(stride=stride) | AvgPool(stride=stride):
            return max(stride) > 1
        case ConvTranspose() | Shuffle() | Unshuffle() | Upsample() | ZeroInsert():
            return True
    return False


def _layers(reading: Reading) -> tuple[Layer, ...]:
    return () if reading.layer is None else reading.layer.layers


def _from_transposed(model: OnnxModel, node: Node, reading: Reading, named: bool) -> Stretch | str:
    """A transposed convolution alone."""
    if node.op == "ConvTranspose" and reading.layer is not None:
        return chain_to(model, reading.output, lambda value: value == reading.input)
    if any(isinstance(layer, Conv) for layer in _layers(reading)):
        return "it is a convolution already; the form is for transposed convolutions"
    return "it has no kernel; the form is for transposed convolutions"


def _to_unshuffle(model: OnnxModel, node: Node, reading: Reading, named: bool) -> Stretch | str:
    """A convolution with a stride."""
    layer = next((layer for layer in _layers(reading) if isinstance(layer, Conv)), None)
    if layer is not None and node.op == "Conv":
        if max(layer.stride) > 1:
            return chain_to(model, reading.output, lambda value: value == reading.input)
        return "it has no stride; the form is for convolutions with one"
    return "the form is for convolutions with a stride"


def _to_transposed(model: OnnxModel, node: Node, reading: Reading, named: bool) -> Stretch | str:
    """A convolution and the shuffle and crop behind it; zeros inserted and the convolution behind them; a transposed convolution."""
    if node.op == "ConvTranspose" and reading.layer is not None:
        return chain_to(model, reading.output, lambda value: value == reading.input)
    if node.op != "Conv" or not any(isinstance(layer, Conv) for layer in _layers(reading)):
        return "it has no kernel, and none stands before it that it could join" if _layers(reading) else ""
    output, shuffled = _behind(model, reading)
    starts = list(_before(model, reading))
    for start in starts:
        found = chain_to(model, output, lambda value, start=start: value == start)  # type: ignore[misc]
        if isinstance(found, Stretch) and (shuffled or any(isinstance(layer, ZeroInsert) for layer in found.layers)):
            return found
    if named:
        return chain_to(model, output, lambda value: value == reading.input)
    return "it is a convolution with no shuffle behind it"


def _behind(model: OnnxModel, reading: Reading) -> tuple[str, bool]:
    """The value after the shuffle and crops that follow, and whether there is a shuffle; it counts even where others see its input too."""
    value, shuffled = reading.output, False
    spans = {id(found): found for found in (read(model, user) for user in _users(model, value)) if found.input == value}
    shuffles = [found for found in spans.values() if _layers(found) and all(isinstance(layer, Shuffle) for layer in _layers(found))]
    if len(shuffles) == 1:
        value, shuffled = shuffles[0].output, True
    while (following := _next(model, value)) is not None:
        layers = _layers(following)
        crops = shuffled and all(isinstance(layer, Pad) and layer.mode == "zeros" and _crops(layer) for layer in layers)
        if not layers or not crops:
            break
        value = following.output
    return value, shuffled


def with_crops(model: OnnxModel, stretch: Stretch) -> Stretch:
    """The stretch with the crops that follow it, which can be part of what is written for it."""
    found = stretch
    while (following := _next(model, found.output)) is not None:
        layers = _layers(following)
        if not layers or not all(isinstance(layer, Pad) and layer.mode == "zeros" and _crops(layer) for layer in layers):
            break
        longer = chain_to(model, following.output, lambda value: value == stretch.input)
        if not isinstance(longer, Stretch):
            break
        found = longer
    return found


def _crops(layer: Pad) -> bool:
    return isinstance(layer.amounts, tuple) and all(amount <= 0 for pair in layer.amounts for amount in pair)


def _before(model: OnnxModel, reading: Reading) -> Iterator[str]:
    """Values that the stretch may begin at: before inserted zeros or a padding or crop, or before the convolution itself."""
    value, earlier = reading.input, list[str]()
    for _ in range(4):
        node = model.producer(value)
        if node is None or len(_users(model, value)) != 1 or value in model.outputs:
            break
        before = read(model, node)
        layers = _layers(before)
        padding = bool(layers) and all(isinstance(layer, Pad) and layer.mode == "zeros" for layer in layers)
        one = (model.shape(before.output) or (0, 0))[1] == 1  # one channel's phases are alike in both orders
        shuffle = bool(layers) and all(isinstance(layer, Shuffle) and (one or layer.order == "DCR") for layer in layers)
        if not (padding or shuffle or (before.layer is None and node.op == "Pad")):
            break
        value = before.input
        earlier.append(value)
    yield from reversed(earlier)
    yield reading.input


def _users(model: OnnxModel, value: str) -> list[Node]:
    return [node for node in model.consumers(value) if node.op != "Shape" or node.domain]


def _next(model: OnnxModel, value: str) -> Reading | None:
    """The reading that alone uses a value."""
    users = _users(model, value)
    if value in model.outputs or len(users) != 1 or value in users[0].captures:
        return None
    following = read(model, users[0])
    return following if following.input == value else None


def _inside(model: OnnxModel, to: str) -> Iterator[Site]:
    """Layers of subgraphs and functions, which stay as they are."""
    for node in model.nodes:
        for graph in _graphs(node.proto):
            yield from _listed(graph.node, f"it stands in a subgraph of `{node.name}`, and subgraphs stay as they are", to)
    for function in model.proto.functions:
        yield from _listed(function.node, f"it stands in the function `{function.name}`, and functions stay as they are", to)


def _graphs(proto: Any) -> Iterator[Any]:
    for attribute in proto.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else [])
        yield from attribute.graphs


def _listed(nodes: Any, reason: str, to: str) -> Iterator[Site]:
    for item in nodes:
        strides = [step for attribute in item.attribute if attribute.name == "strides" for step in attribute.ints]
        if item.domain in ("", "ai.onnx") and (item.op_type in RATES or (item.op_type in WINDOWS and max(strides, default=1) > 1)):
            yield Site(item.name or next(iter(item.output), item.op_type), item.op_type, None, reason, item.op_type == MEANT.get(to))
        for graph in _graphs(item):
            yield from _listed(graph.node, reason, to)

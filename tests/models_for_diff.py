"""ONNX models for tests of `diff`: a part between two other layers, right and wrong conversions of it, and planted mutations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from symconv.conformance.onnx_builder import to_onnx
from symconv.convert.layer import convert_layer
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, Pad, Pointwise, Sequential, Shuffle, Weights, flatten

Member = tuple[Layer, Weights | None]
Part = list[Member]


def integers(shape: tuple[int, ...], seed: int = 0, most: int = 4) -> np.ndarray:
    """Small integers, none of them 0, no two channels alike."""
    rng = np.random.default_rng(seed)
    return (rng.integers(1, most + 1, shape) * rng.choice([-1, 1], shape)).astype(np.float32)


def weighted(layer: Conv | ConvTranspose, seed: int = 0) -> Part:
    """A layer with integer weights."""
    out = layer.out_channels if isinstance(layer, Conv) else layer.in_channels
    inner = (layer.in_channels if isinstance(layer, Conv) else layer.out_channels) // layer.groups
    bias = integers((layer.out_channels,), seed + 1) if layer.bias else None
    return [(layer, Weights(integers((out, inner, *layer.kernel), seed), bias))]


def converted(part: Part, to: str = "lr-shuffle") -> Part:
    """The part in another form, its weights moved by the proved reshuffle."""
    ((layer, own),) = part
    found = convert_layer(layer, to, presburger=False, check=False)
    assert found.target_layer is not None and found.reshuffle is not None
    kernel, bias = found.reshuffle.apply(own.kernel, own.bias)
    members = flatten(found.target_layer)
    return [(item, Weights(kernel, bias) if isinstance(item, (Conv, ConvTranspose)) else None) for item in members]


def changed(part: Part, kind: type, change: Callable[[Layer, Weights | None], Member]) -> Part:
    """The part with its first layer of a kind changed."""
    k = next(k for k, (layer, _) in enumerate(part) if isinstance(layer, kind))
    return [*part[:k], change(*part[k]), *part[k + 1 :]]


def model(part: Part, channels: int, path: Path, *, around: bool = True, axes: int | None = None) -> Path:
    """A file: convolution, ReLU, the part, ReLU; or the part alone."""
    axes = axes or Sequential(tuple(layer for layer, _ in part)).axes
    first = weighted(Conv.make(axes, channels, channels, 3, padding=1), 77)
    relu: Part = [(Pointwise("ReLU"), None)]
    members = [*first, *relu, *part, *relu] if around else part
    made = to_onnx([layer for layer, _ in members], axes, channels, [own for _, own in members])
    onnx.save(made, path)
    return path


def save(nodes: list, weights: dict[str, np.ndarray], path: Path, shape: list | None = None, opset: int = 17) -> Path:
    """A file of given nodes from `x` to `y`."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or ["N", 4, "H", "W"])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    held = [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "g", [given], [out], held)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 9
    onnx.save(made, path)
    return path


# --- bugs that shipped: name, right part, wrong part, channels, words that the cause must hold -----------------------


def _with(**fields: object) -> Callable[[Layer, Weights | None], Member]:
    return lambda layer, own: (attrs.evolve(layer, **fields), own)


def shipped() -> Iterator[tuple[str, Part, Part, int, str]]:
    """Each bug planted in the model itself and in its conversion; the right part always comes first."""
    k3 = ConvTranspose.make(1, 2, 3, 3, 2, 1, 1)
    part = weighted(k3)
    yield "output padding split evenly", part, changed(part, ConvTranspose, _with(padding=((0, 2),))), 2, "shifted"
    split = converted(changed(part, ConvTranspose, _with(padding=((0, 2),))))
    yield "output padding split evenly, converted", part, split, 2, "shifted"
    for r in (2, 3):
        shuffled = converted(weighted(ConvTranspose.make(2, 2, 2, 2 * r, r, r // 2)))
        original = weighted(ConvTranspose.make(2, 2, 2, 2 * r, r, r // 2))
        order = "DCR" if next(layer for layer, _ in shuffled if isinstance(layer, Shuffle)).order == "CRD" else "CRD"
        yield f"channel order, r={r}", original, changed(shuffled, Shuffle, _with(order=order)), 2, "order"
        upscale = [*weighted(Conv.make(2, 2, 2 * r * r, 3, padding=1)), (Shuffle((r, r), "CRD"), None)]
        yield f"CRD taken for DCR, r={r}", upscale, changed(upscale, Shuffle, _with(order="DCR")), 2, "DCR order; the original used CRD"
    k4 = weighted(ConvTranspose.make(2, 2, 3, 4, 2, 1))
    flipped = [(k4[0][0], attrs.evolve(k4[0][1], kernel=np.flip(k4[0][1].kernel, (2, 3)).copy()))]
    yield "kernel flip missing", k4, converted(flipped), 2, "reversed"
    yield "kernel flip doubled", k4, flipped, 2, "reversed"
    op = weighted(ConvTranspose.make(1, 2, 3, 3, 2, 1, 1))
    padded = [*changed(op, ConvTranspose, _with(output_padding=(0,))), (Pad(((0, 1),)), None)]
    yield "output padding taken for zeros", op, padded, 2, "zero padding"
    yield "output padding left out", op, changed(op, ConvTranspose, _with(output_padding=(0,))), 2, "output padding 1 became 0"
    dilated = weighted(ConvTranspose.make(1, 2, 2, 3, 2, 1, 1, dilation=2))
    yield "dilation ignored", dilated, changed(dilated, ConvTranspose, _with(dilation=(1,))), 2, "dilation 2"
    undilated = converted(changed(dilated, ConvTranspose, _with(dilation=(1,))))
    yield "dilation ignored, converted", dilated, undilated, 2, "dilation 2 is ignored"
    rectangle = weighted(ConvTranspose.make(2, 2, 2, (3, 5), 2, (1, 2)))
    swapped = changed(rectangle, ConvTranspose, _with(padding=((2, 2), (1, 1))))
    yield "pads of the axes swapped", rectangle, swapped, 2, "swapped"
    yield "pads of the axes swapped, converted", rectangle, converted(swapped), 2, "swapped"
    grouped = weighted(ConvTranspose.make(1, 4, 6, 4, 2, 1, groups=2))
    right = converted(grouped)

    def interleave(layer: Layer, own: Weights | None) -> Member:
        order = np.arange(own.kernel.shape[0]).reshape(2, -1).T.ravel()
        return layer, Weights(own.kernel[order].copy(), own.bias[order].copy())

    yield "groups interleaved", grouped, changed(right, Conv, interleave), 4, "interleaved"
    jax = weighted(ConvTranspose.make(1, 2, 2, 4, 4))
    yield "pads of the dilated input", jax, changed(jax, ConvTranspose, _with(padding=((3, 3),))), 2, "pads"
    negative = weighted(ConvTranspose.make(2, 2, 2, 3, 2, ((2, 0), (0, 1))))
    yield "mixed crop turned around", negative, changed(negative, ConvTranspose, _with(padding=((0, 2), (1, 0)))), 2, "pads"
    sub = integers((3, 2, 3), 5)
    icnr = [(Conv.make(1, 2, 6, 3, padding=1, bias=False), Weights(np.repeat(sub, 2, axis=0))), (Shuffle((2,), "CRD"), None)]
    tiled = changed(icnr, Conv, lambda layer, own: (layer, Weights(np.tile(sub, (2, 1, 1)))))
    yield "ICNR by tiling", icnr, tiled, 2, "order"
    bias = converted(weighted(ConvTranspose.make(1, 2, 3, 4, 2, 1)))

    def tile(layer: Layer, own: Weights | None) -> Member:
        return layer, Weights(own.kernel, own.bias.reshape(-1, 2).T.ravel().copy())

    yield "bias tiled", weighted(ConvTranspose.make(1, 2, 3, 4, 2, 1)), changed(bias, Conv, tile), 2, "bias"
    yield (
        "bias lost",
        k4,
        changed(converted(k4), Conv, lambda layer, own: (layer, attrs.evolve(own, bias=0 * own.bias))),
        2,
        "bias is missing",
    )


# --- planted mutations ------------------------------------------------------------------------------------------------


def mutations(proto: onnx.ModelProto, seed: int, count: int) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Mutants of a model that are other functions, each with what was done: attributes, operators, constants, wires."""
    rng = np.random.default_rng(seed)
    makers = [_last_bit, _sign, _pads, _operator, _dropped, _swapped_inputs, _mode, _bias, _flipped, _permuted]
    made = 0
    for maker in itertools.cycle(makers):
        mutant = onnx.ModelProto()
        mutant.CopyFrom(proto)
        what = maker(mutant.graph, rng)
        if what:
            made += 1
            yield what, mutant
        if made >= count:
            return


def _floats(graph: onnx.GraphProto) -> list:
    used = {value for node in graph.node for value in node.input}
    return [item for item in graph.initializer if item.data_type == TensorProto.FLOAT and item.dims and item.name in used]


def _replace(item: onnx.TensorProto, values: np.ndarray) -> None:
    item.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), item.name))


def _entry(graph: onnx.GraphProto, rng: np.random.Generator) -> tuple:
    items = _floats(graph)
    item = items[int(rng.integers(len(items)))]
    values = numpy_helper.to_array(item).copy()
    return item, values, tuple(int(rng.integers(extent)) for extent in values.shape)


def _last_bit(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    item, values, place = _entry(graph, rng)
    values[place] = np.nextafter(values[place], np.float32(np.inf))
    _replace(item, values)
    return f"last bit of {item.name}{list(place)}"


def _sign(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    item, values, place = _entry(graph, rng)
    if not values[place]:
        return ""
    values[place] = -values[place]
    _replace(item, values)
    return f"sign of {item.name}{list(place)}"


def _pads(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    nodes = [node for node in graph.node if any(item.name == "pads" and max(item.ints) > 0 for item in node.attribute)]
    if not nodes:
        return ""
    node = nodes[int(rng.integers(len(nodes)))]
    pads = next(item for item in node.attribute if item.name == "pads")
    half = len(pads.ints) // 2
    axis = int(rng.integers(half))
    if pads.ints[axis] == 0:
        return ""
    pads.ints[axis] -= 1
    pads.ints[axis + half] += 1
    return f"pads of {node.name or node.output[0]} shifted"


def _operator(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    others = {"Relu": "Abs", "Tanh": "Sigmoid", "Sigmoid": "Tanh", "Add": "Sub", "MaxPool": "AveragePool", "Sub": "Add"}
    nodes = [node for node in graph.node if node.op_type in others]
    if not nodes:
        return ""
    node = nodes[int(rng.integers(len(nodes)))]
    was, node.op_type = node.op_type, others[node.op_type]
    return f"{was} became {node.op_type}"


def _dropped(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    nodes = [node for node in graph.node if node.op_type in ("Relu", "Tanh", "Sigmoid")]
    if not nodes:
        return ""
    node = nodes[int(rng.integers(len(nodes)))]
    was = node.op_type
    node.op_type = "Identity"
    return f"{was} dropped"


def _swapped_inputs(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    nodes = [node for node in graph.node if node.op_type in ("Sub", "Concat", "Div") and node.input[0] != node.input[1]]
    if not nodes:
        return ""
    node = nodes[int(rng.integers(len(nodes)))]
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return f"inputs of {node.op_type} swapped"


def _mode(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    for node in graph.node:
        for item in node.attribute:
            if node.op_type in ("DepthToSpace", "SpaceToDepth") and item.name == "mode":
                item.s = b"CRD" if item.s == b"DCR" else b"DCR"
                return "channel order"
    return ""


def _bias(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    names = {item.name: item for item in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose") and len(node.input) == 3]
    nodes = [node for node in nodes if node.input[2] in names and numpy_helper.to_array(names[node.input[2]]).any()]
    if not nodes:
        return ""
    del nodes[int(rng.integers(len(nodes)))].input[2]
    return "bias dropped"


def _flipped(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    items = [item for item in _floats(graph) if len(item.dims) >= 3 and max(item.dims[2:]) > 1]
    if not items:
        return ""
    item = items[int(rng.integers(len(items)))]
    values = numpy_helper.to_array(item)
    turned = np.flip(values, tuple(range(2, values.ndim)))
    if np.array_equal(values, turned):
        return ""
    _replace(item, turned)
    return f"{item.name} flipped"


def _permuted(graph: onnx.GraphProto, rng: np.random.Generator) -> str:
    items = [item for item in _floats(graph) if len(item.dims) >= 3 and item.dims[0] > 1]
    if not items:
        return ""
    item = items[int(rng.integers(len(items)))]
    values = numpy_helper.to_array(item)
    rolled = np.roll(values, 1, axis=0)
    if np.array_equal(values, rolled):
        return ""
    _replace(item, rolled)
    return f"channels of {item.name} rolled"


def batch_norm(channels: int, axes: int, seed: int = 0) -> Part:
    """BatchNorm with statistics."""
    rng = np.random.default_rng(seed)
    draws = [rng.normal(size=channels).astype(np.float32) for _ in range(3)]
    return [(BatchNorm(channels, axes), Weights(draws[0], draws[1], draws[2], rng.uniform(0.5, 2, channels).astype(np.float32)))]


def branching(path: Path) -> Path:
    """A model with a residual sum, a difference, a concatenation, pooling, both ways of upsampling and three nonlinearities."""
    node = helper.make_node
    weights = {
        "w1": integers((4, 4, 3, 3), 1), "b1": integers((4,), 2), "w2": integers((4, 4, 3, 3), 3), "b2": integers((4,), 4),
        "w3": integers((4, 8, 4, 4), 5), "b3": integers((8,), 6), "w4": integers((8, 12, 3, 3), 7)[:, :12], "b4": integers((8,), 8),
        "w5": integers((2, 2, 2, 2), 9),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], "relu1"),
        node("Conv", ["b", "w2", "b2"], ["c"], "second", pads=[1, 1, 1, 1]),
        node("Add", ["c", "b"], ["d"], "residual"),
        node("Sub", ["d", "x"], ["e"], "minus"),
        node("ConvTranspose", ["e", "w3", "b3"], ["f"], "up", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("MaxPool", ["f"], ["g"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", ["g", "e"], ["h"], "both", axis=1),
        node("Conv", ["h", "w4", "b4"], ["i"], "third", pads=[1, 1, 1, 1]),
        node("Relu", ["i"], ["j"], "relu2"),
        node("DepthToSpace", ["j"], ["k"], "shuffle", blocksize=2, mode="CRD"),
        node("Conv", ["k", "w5"], ["y"], "last"),
    ]
    return save(nodes, weights, path)


def curved(path: Path) -> Path:
    """A model whose numbers are no integers, with nonlinearities that have no rounding theorem."""
    rng = np.random.default_rng(3)
    weights = {
        name: (rng.normal(size=shape) * 0.4).astype(np.float32)
        for name, shape in (("w1", (6, 4, 3, 3)), ("b1", (6,)), ("w2", (6, 6, 3, 3)), ("w3", (6, 8, 4, 4)), ("b3", (8,)))
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], "relu"),
        node("Conv", ["b", "w2"], ["c"], "second", pads=[1, 1, 1, 1]),
        node("Sigmoid", ["c"], ["d"], "gate"),
        node("Sub", ["d", "b"], ["e"], "minus"),
        node("Concat", ["e", "b"], ["f"], "both", axis=2),
        node("Softmax", ["f"], ["g"], "soft", axis=1),
        node("ConvTranspose", ["g", "w3", "b3"], ["h"], "up", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("MaxPool", ["h"], ["i"], "pool", kernel_shape=[2, 2], strides=[1, 1]),
        node("Relu", ["i"], ["j"], "relu2"),
        node("DepthToSpace", ["j"], ["k"], "shuffle", blocksize=2, mode="CRD"),
        node("Tanh", ["k"], ["y"], "tanh"),
    ]
    return save(nodes, weights, path)

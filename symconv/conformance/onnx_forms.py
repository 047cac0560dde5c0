"""Ways to spell one weighted chain in ONNX: node by node, with a unit axis, as a matrix product with Col2Im.

Owns: `spellings`. Must not know: runtimes, timing, proofs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import onnx
from onnx import helper

from symconv.conformance.onnx_builder import IR_VERSION, OPSET, TYPES, Graph, flat_pads, to_onnx
from symconv.layers import Conv, ConvTranspose, Identity, Layer, Pad, Shuffle, Unshuffle, Upsample, Weights, ZeroInsert
from symconv.layers.base import Margins

Spelling = tuple[str, str, Callable[[], onnx.ModelProto]]


def spellings(layers: Sequence[Layer], axes: int, channels: int, weights: Sequence[Weights | None], dtype: str) -> Iterator[Spelling]:
    """(name, why, maker) of every spelling of a bound chain."""
    yield "as is", "a node a layer", lambda: to_onnx(list(layers), axes, channels, weights, dtype)
    if axes == 1:
        lifted = [_lifted(layer) for layer in layers]
        if all(layer is not None for layer in lifted):
            yield (
                "two axes",
                "a unit axis in front: the runtime's blocked convolutions are for two axes",
                lambda: _two_axes([layer for layer in lifted if layer is not None], channels, weights, dtype),
            )
    bare = [(layer, own) for layer, own in zip(layers, weights, strict=True) if not isinstance(layer, Identity)]
    if len(bare) == 1:
        core, own = bare[0]
        if isinstance(core, ConvTranspose) and core.groups == 1 and own is not None and _folds(core):
            yield "matmul, Col2Im", "one product on the input where it lies, then overlap-add", lambda: _folded(core, own, dtype)


def _folds(core: ConvTranspose) -> bool:
    return all(a == b for a, b in core.padding) and core.axes <= 2


def _two_axes(layers: Sequence[Layer], channels: int, weights: Sequence[Weights | None], dtype: str) -> onnx.ModelProto:
    """The chain with a unit axis, between Unsqueeze and Squeeze."""
    wide = [own if own is None or own.kernel is None else attrs.evolve(own, kernel=np.asarray(own.kernel)[:, :, None]) for own in weights]
    model = to_onnx(list(layers), 2, channels, wide, dtype)
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["lifted" if name == "x" else name for name in node.input]
        node.output[:] = ["flat" if name == "y" else name for name in node.output]
    axis = onnx.numpy_helper.from_array(np.asarray([2], np.int64), "unit_axis")
    graph.initializer.append(axis)
    graph.node.insert(0, helper.make_node("Unsqueeze", ["x", "unit_axis"], ["lifted"], name="lift"))
    graph.node.append(helper.make_node("Squeeze", ["flat", "unit_axis"], ["y"], name="drop"))
    for value in (graph.input[0], graph.output[0]):
        dims = list(value.type.tensor_type.shape.dim)
        del value.type.tensor_type.shape.dim[2]
        assert len(dims) == 4, "two axes were spelled"
    return model


def _lifted(layer: Layer) -> Layer | None:
    """A layer on one axis as the same on two, the first one of extent 1; None where that is not said here."""
    match layer:
        case Conv():
            return attrs.evolve(
                layer,
                kernel=(1, *layer.kernel),
                stride=(1, *layer.stride),
                padding=((0, 0), *layer.padding),
                dilation=(1, *layer.dilation),
            )
        case ConvTranspose():
            return attrs.evolve(
                layer,
                kernel=(1, *layer.kernel),
                stride=(1, *layer.stride),
                padding=((0, 0), *layer.padding),
                output_padding=(0, *layer.output_padding),
                dilation=(1, *layer.dilation),
            )
        case Pad(amounts=amounts):
            assert not isinstance(amounts, int), "layer is bound"
            wider: Margins = ((0, 0), *amounts)
            return attrs.evolve(layer, amounts=wider)
        case Shuffle(factor=factor) | Unshuffle(factor=factor) | ZeroInsert(factor=factor) | Upsample(factor=factor):
            assert isinstance(factor, tuple), "layer is bound"
            return attrs.evolve(layer, factor=(1, *factor))
        case Identity():
            return layer
        case _:
            return None


def _folded(core: ConvTranspose, own: Weights, dtype: str) -> onnx.ModelProto:
    """W^T X, then Col2Im. Output extents are computed from the input's: (n - 1) s + ke + op - pb - pe."""
    graph = Graph(core.axes, dtype)
    kernel = np.asarray(own.kernel)
    matrix = kernel.reshape(core.in_channels, -1).T
    columns = graph.node("Reshape", ["x", graph.integers([0, core.in_channels, -1])])
    product = graph.node("MatMul", [graph.real(matrix), columns])
    effective = [d * (k - 1) + 1 for d, k in zip(core.dilation, core.kernel, strict=True)]
    sides = zip(effective, core.stride, core.padding, core.output_padding, strict=True)
    shift = [ke - s + op - a - b for ke, s, (a, b), op in sides]
    extents = graph.extents("x")
    sizes = graph.node("Add", [graph.node("Mul", [extents, graph.integers(core.stride)]), graph.integers(shift)])
    made = graph.node(
        "Col2Im",
        [product, sizes, graph.integers(core.kernel)],
        dilations=list(core.dilation),
        pads=flat_pads(core.padding),
        strides=list(core.stride),
    )
    if own.bias is not None:
        made = graph.node("Add", [made, graph.real(np.asarray(own.bias).reshape(-1, *(1,) * core.axes))])
    graph.node("Identity", [made], output="y")
    kind, free = TYPES[dtype], [f"extent_{axis}" for axis in range(core.axes)]
    inputs = [helper.make_tensor_value_info("x", kind, ["batch", core.in_channels, *free])]
    outputs = [helper.make_tensor_value_info("y", kind, ["batch", core.out_channels, *(f"out_{name}" for name in free)])]
    whole = helper.make_graph(graph.nodes, "folded", inputs, outputs, graph.constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="symconv")


def random_weights(layers: Sequence[Layer], draw: Callable[[tuple[int, ...]], Any]) -> list[Weights | None]:
    """Weights for the one parametric layer of a chain, in PyTorch's layouts."""
    made: list[Weights | None] = []
    for layer in layers:
        if not isinstance(layer, (Conv, ConvTranspose)):
            made.append(None)
            continue
        outer = (layer.out_channels, layer.in_channels) if isinstance(layer, Conv) else (layer.in_channels, layer.out_channels)
        shape = (outer[0], outer[1] // layer.groups, *layer.kernel)
        assert math.prod(shape) > 0, "kernels are not empty"
        made.append(Weights(kernel=draw(shape), bias=draw((layer.out_channels,)) if layer.bias else None))
    return made

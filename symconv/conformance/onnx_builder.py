"""Chains of layers as ONNX models, built node by node with onnx.helper.

Owns: `to_onnx`: weights, dynamic batch and extents, the spelling of every layer that ONNX lacks.
Must not know: runtimes, PyTorch's exporter, what is done with the model.
Source: the operators of ONNX opset 21 (https://onnx.ai/onnx/operators/).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from symconv.errors import OutsideFragment
from symconv.layers import (
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Pointwise,
    PReLU,
    Shuffle,
    Unshuffle,
    Upsample,
    Weights,
    ZeroInsert,
    channels_through,
    flatten,
)
from symconv.layers.base import Margins, PerAxis
from symconv.layers.sequential import name

OPSET = 21
IR_VERSION = 10
TYPES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16}
_PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge"}
_AXES_NAMES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def to_onnx(
    chain: Layer | Sequence[Layer],
    axes: int,
    channels: int,
    weights: Sequence[Weights | None],
    dtype: str = "float32",
    opset: int = OPSET,
) -> onnx.ModelProto:
    """The chain as a model with input `x` and output `y` of shapes (batch, channels, *extents), batch and extents free.

    Args:
        chain: a layer or bound or unbound layers.
        axes: spatial axes.
        channels: input channels.
        weights: one entry a layer.
        dtype: a key of `TYPES`.
        opset: of the default domain.

    Raises:
        OutsideFragment: a layer has no spelling in ONNX.
        LayerError: the layers do not fit together.
    """
    members = [member for item in ((chain,) if isinstance(chain, Layer) else chain) for member in flatten(item)]
    bound = tuple(member.bind(axes) for member in members)
    counts = channels_through(bound, channels)
    graph = Graph(axes, dtype)
    value = "x"
    for layer, own, inward in zip(bound, weights, counts, strict=False):
        value = _spell(layer, own, inward, value, graph)
    graph.node("Identity", [value], output="y")
    free = ["batch", *_AXES_NAMES[axes]]
    kind = TYPES[dtype]
    inputs = [helper.make_tensor_value_info("x", kind, [free[0], counts[0], *free[1:]])]
    outputs = [helper.make_tensor_value_info("y", kind, [free[0], counts[-1], *(f"out_{axis}" for axis in free[1:])])]
    made = helper.make_graph(graph.nodes, "chain", inputs, outputs, graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION, producer_name="symconv")


class Graph:
    """Nodes and constants while a model is being written."""

    def __init__(self, axes: int, dtype: str) -> None:
        self.axes, self.dtype = axes, np.dtype(dtype)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Appends a node and returns the name of its output."""
        out = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=f"{kind}_{len(self.nodes)}", **attributes))
        return out

    def constant(self, values: Any) -> str:
        """Appends a tensor and returns its name."""
        key = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), key))
        return key

    def real(self, values: Any) -> str:
        """A tensor in the model's number format."""
        return self.constant(np.asarray(values, dtype=self.dtype))

    def integers(self, values: Sequence[int]) -> str:
        """A tensor of int64."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def extents(self, value: str) -> str:
        """The extents of a value, as a tensor."""
        return self.node("Shape", [value], start=2)

    def reshape(self, value: str, parts: Sequence[str]) -> str:
        """The value in the shape that the parts make together."""
        shape = self.node("Concat", parts, axis=0)
        return self.node("Reshape", [value, shape])

    @property
    def spatial(self) -> list[int]:
        """The spatial axes of a value."""
        return list(range(2, 2 + self.axes))


@singledispatch
def _spell(layer: Layer, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    """Appends one bound layer and returns the name of its output."""
    raise OutsideFragment(f"`{name(layer)}` has no spelling in ONNX here")


@_spell.register
def _conv(layer: Conv, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    assert own is not None
    pads = layer.padding
    if layer.padding_mode != "zeros":
        value = extend(value, pads, layer.padding_mode, graph)
        pads = ((0, 0),) * graph.axes
    inputs = [value, graph.real(own.kernel)] + ([] if own.bias is None else [graph.real(own.bias)])
    return graph.node(
        "Conv",
        inputs,
        kernel_shape=list(layer.kernel),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=flat_pads(pads),
        group=layer.groups,
    )


@_spell.register
def _conv_transpose(layer: ConvTranspose, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    """Runtimes refuse output padding of the stride or more: it is taken from the end's padding, and zeros are appended."""
    assert own is not None
    native = all(more < step for more, step in zip(layer.output_padding, layer.stride, strict=True))
    pads, more, bias = layer.padding, layer.output_padding, own.bias
    if not native:
        pads = tuple((before, max(after - op, 0)) for (before, after), op in zip(layer.padding, more, strict=True))
    inputs = [value, graph.real(own.kernel)] + ([graph.real(bias)] if native and bias is not None else [])
    value = graph.node(
        "ConvTranspose",
        inputs,
        kernel_shape=list(layer.kernel),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        pads=flat_pads(pads),
        group=layer.groups,
        output_padding=list(more) if native else [0] * graph.axes,
    )
    if native:
        return value
    lacking = tuple((0, max(op - after, 0)) for (_, after), op in zip(layer.padding, more, strict=True))
    value = extend(value, lacking, "zeros", graph)
    return value if bias is None else graph.node("Add", [value, graph.real(_per_channel(bias, graph.axes))])


def _per_channel(values: Any, axes: int) -> Any:
    return np.asarray(values).reshape(-1, *(1,) * axes)


def flat_pads(pads: Margins) -> list[int]:
    """ONNX's order: all begins, then all ends."""
    return [before for before, _ in pads] + [after for _, after in pads]


@_spell.register
def _pad(layer: Pad, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    assert not isinstance(layer.amounts, int), "layer is bound"
    return extend(value, layer.amounts, layer.mode, graph)


def extend(value: str, amounts: Margins, mode: str, graph: Graph) -> str:
    """Pad and Slice; a crop comes first in the modes zeros and circular, last in reflect and replicate, as in PyTorch."""
    grown = tuple((max(before, 0), max(after, 0)) for before, after in amounts)
    removed = tuple((max(-before, 0), max(-after, 0)) for before, after in amounts)
    steps = [_grow, _crop] if mode in ("reflect", "replicate") else [_crop, _grow]
    for step in steps:
        value = step(value, removed if step is _crop else grown, mode, graph)
    return value


def _grow(value: str, amounts: Margins, mode: str, graph: Graph) -> str:
    if not any(map(any, amounts)):
        return value
    if mode == "circular":
        return _wrap(value, amounts, graph)
    pads = graph.integers(flat_pads(amounts))
    kind = _PAD_MODES[mode]
    inputs = [value, pads, graph.real(0.0) if kind == "constant" else "", graph.integers(graph.spatial)]
    return graph.node("Pad", inputs, mode=kind)


def _wrap(value: str, amounts: Margins, graph: Graph) -> str:
    """Both ends put together from slices: Pad's mode `wrap` is young, and OpenVINO lacks it."""
    last = int(np.iinfo(np.int64).max)
    for axis, (before, after) in zip(graph.spatial, amounts, strict=True):
        parts = [(-before, last)] * bool(before) + [(0, last)] + [(0, after)] * bool(after)
        cut = [value if part == (0, last) else _slice(value, axis, *part, graph) for part in parts]
        value = graph.node("Concat", cut, axis=axis) if len(cut) > 1 else value
    return value


def _slice(value: str, axis: int, start: int, end: int, graph: Graph) -> str:
    return graph.node("Slice", [value, graph.integers([start]), graph.integers([end]), graph.integers([axis])])


def _crop(value: str, amounts: Margins, mode: str, graph: Graph) -> str:
    cut = [(axis, before, after) for axis, (before, after) in zip(graph.spatial, amounts, strict=True) if before or after]
    if not cut:
        return value
    starts = graph.integers([before for _, before, _ in cut])
    ends = graph.integers([-after if after else np.iinfo(np.int64).max for _, _, after in cut])
    return graph.node("Slice", [value, starts, ends, graph.integers([axis for axis, _, _ in cut])])


@_spell.register
def _shuffle(layer: Shuffle, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    factor = _tuple(layer.factor)
    if graph.axes == 2 and factor[0] == factor[1]:
        return graph.node("DepthToSpace", [value], blocksize=factor[0], mode=layer.order)
    kept = channels // math.prod(factor)
    batch, extents = graph.integers([0]), graph.extents(value)
    first = [kept, *factor] if layer.order == "CRD" else [*factor, kept]
    split = graph.reshape(value, [batch, graph.integers(first), extents])
    channel, phase = (1, 2) if layer.order == "CRD" else (1 + graph.axes, 1)
    order = [0, channel, *(index for axis in range(graph.axes) for index in (2 + graph.axes + axis, phase + axis))]
    moved = graph.node("Transpose", [split], perm=order)
    return graph.reshape(moved, [batch, graph.integers([kept]), _scaled(extents, factor, "Mul", graph)])


@_spell.register
def _unshuffle(layer: Unshuffle, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    factor = _tuple(layer.factor)
    if graph.axes == 2 and factor[0] == factor[1] and layer.order == "DCR":
        return graph.node("SpaceToDepth", [value], blocksize=factor[0])
    small = _scaled(graph.extents(value), factor, "Div", graph)
    batch = graph.integers([0])
    parts = [batch, graph.integers([channels])]
    for axis, r in enumerate(factor):
        parts += [graph.node("Slice", [small, graph.integers([axis]), graph.integers([axis + 1])]), graph.integers([r])]
    split = graph.reshape(value, parts)
    phases, positions = range(3, 3 + 2 * graph.axes, 2), range(2, 2 + 2 * graph.axes, 2)
    order = (0, 1, *phases, *positions) if layer.order == "CRD" else (0, *phases, 1, *positions)
    moved = graph.node("Transpose", [split], perm=list(order))
    return graph.reshape(moved, [batch, graph.integers([channels * math.prod(factor)]), small])


def _scaled(extents: str, factor: PerAxis, kind: str, graph: Graph) -> str:
    return graph.node(kind, [extents, graph.integers(factor)])


@_spell.register
def _channel_shuffle(layer: ChannelShuffle, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    shape = graph.node("Shape", [value])
    split = graph.node("Reshape", [value, graph.integers([0, layer.groups, channels // layer.groups, -1])])
    moved = graph.node("Transpose", [split], perm=[0, 2, 1, 3])
    return graph.node("Reshape", [moved, shape])


@_spell.register
def _zero_insert(layer: ZeroInsert, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    """Every sample gets an axis of its own, is padded there to s samples, and the s - 1 zeros at the end are cut off."""
    factor = _tuple(layer.factor)
    own_axes = graph.integers([3 + 2 * axis for axis in range(graph.axes)])
    extents = _scaled(graph.extents(value), factor, "Mul", graph)
    single = graph.node("Unsqueeze", [value, own_axes])
    pads = graph.integers([0] * graph.axes + [s - 1 for s in factor])
    padded = graph.node("Pad", [single, pads, graph.real(0.0), own_axes], mode="constant")
    whole = graph.reshape(padded, [graph.integers([0, channels]), extents])
    return _crop(whole, tuple((0, s - 1) for s in factor), "zeros", graph)


@_spell.register
def _upsample(layer: Upsample, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    scales = graph.constant(np.asarray([1, 1, *_tuple(layer.factor)], dtype=np.float32))
    if layer.mode.startswith("nearest"):  # by an integer factor both are floor(o / r)
        kind = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return graph.node("Resize", [value, "", scales], **kind)
    transformation = "align_corners" if layer.align_corners else "half_pixel"
    more: dict[str, Any] = {"cubic_coeff_a": -0.75} if layer.mode == "cubic" else {}
    return graph.node("Resize", [value, "", scales], mode=layer.mode, coordinate_transformation_mode=transformation, **more)


@_spell.register
def _avg_pool(layer: AvgPool, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    if layer.ceil_mode and (layer.divisor_override is not None or any(layer.padding)):
        raise OutsideFragment("`AvgPool` with ceil_mode and padding, or with a divisor of its own, has no spelling in ONNX here")
    window: dict[str, Any] = {
        "kernel_shape": list(layer.kernel),
        "strides": list(layer.stride),
        "pads": flat_pads(tuple((p, p) for p in layer.padding)),
    }
    if layer.divisor_override is not None:  # the sum of a window first: AveragePool has divided already
        ones = graph.real(np.ones((channels, 1, *layer.kernel)))
        summed = graph.node("Conv", [value, ones], group=channels, **window)
        return graph.node("Div", [summed, graph.real(layer.divisor_override)])
    return graph.node("AveragePool", [value], ceil_mode=int(layer.ceil_mode), count_include_pad=int(layer.count_include_pad), **window)


@_spell.register
def _batch_norm(layer: BatchNorm, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    assert own is not None
    variance = np.asarray(own.variance, dtype=np.float64) + layer.eps  # the attribute epsilon is float32 in every model
    kernel = np.ones(layer.num_features) if own.kernel is None else own.kernel
    bias = np.zeros(layer.num_features) if own.bias is None else own.bias
    parts = [graph.real(part) for part in (kernel, bias, own.mean, variance)]
    return graph.node("BatchNormalization", [value, *parts], epsilon=0.0)


@_spell.register
def _identity(layer: Identity, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    return value


@_spell.register
def _prelu(layer: PReLU, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    assert own is not None
    return graph.node("PRelu", [value, graph.real(_per_channel(own.kernel, graph.axes))])


@_spell.register
def _pointwise(layer: Pointwise, own: Weights | None, channels: int, value: str, graph: Graph) -> str:
    from symconv.conformance.onnx_pointwise import spell_pointwise

    return spell_pointwise(layer, value, graph)


def _tuple(factor: int | PerAxis) -> PerAxis:
    assert isinstance(factor, tuple), "layer is bound"
    return factor

"""Stretches of a model as chains of layers with their weights.

Owns: `network`, `path`; weights as arrays of exactly the stored values.
Must not know: what nodes mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symconv.errors import ModelError
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.nodes import read
from symconv.frontends.onnx.reading import Reading
from symconv.frontends.onnx.tensors import shown
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, PReLU, Sequential, WeightedNetwork, Weights

LARGEST = 1 << 31
"""Elements of one parameter, at most."""


def readings_of(model: OnnxModel, nodes: Sequence[Node], *, fixed_extents: bool = False) -> tuple[Reading, ...]:
    """The readings of a linear path of nodes, each once, in order; with `fixed_extents` also those that hold only at given extents.

    Raises:
        ModelError: the nodes are no path, a node is no layer, or is one only at the extents that the model fixes.
    """
    found: dict[int, Reading] = {}
    for node in nodes:
        reading = read(model, node)
        found.setdefault(id(reading), reading)
    chain = tuple(found.values())
    if not chain:
        raise ModelError(f"`{model.path}`: a path of nodes must hold at least one.")
    for reading in chain:
        name = shown(reading.span[0].name)
        if reading.layer is None:
            raise ModelError(f"`{model.path}`: node {name} is not read as a layer: {reading.reason}.")
        if not reading.all_extents and not fixed_extents:
            at = ", ".join("any" if extent is None else str(extent) for extent in reading.extents)
            raise ModelError(
                f"`{model.path}`: node {name} is a layer only at the input extents that the model fixes ({at}); "
                "symconv compares layers at all extents. Export the model with dynamic axes."
            )
    for before, after in itertools.pairwise(chain):
        if after.input != before.output:
            raise ModelError(
                f"`{model.path}`: node {shown(after.span[0].name)} does not take the output of node {shown(before.span[-1].name)}, "
                "so these nodes are no path. Name one layer, or the first and last node of a stretch without branches."
            )
    return chain


def layers_of(model: OnnxModel, nodes: Sequence[Node]) -> Sequential:
    """A linear path of nodes as a chain without weights; raises as `readings_of` does."""
    return Sequential(tuple(layer for reading in readings_of(model, nodes) if reading.layer is not None for layer in reading.layer.layers))


def network(model: OnnxModel, nodes: Sequence[Node], *, fixed_extents: bool = False) -> WeightedNetwork:
    """A linear path of nodes as a chain with weights of the same values.

    Args:
        model: the model.
        nodes: a single node, or a path in order; a node that belongs to a span stands for all of it.
        fixed_extents: whether readings that hold only at the extents that the model fixes are let through.

    Raises:
        ModelError: as `readings_of`; or a weight is not constant, not a finite number, or does not fit.
    """
    layers: list[Layer] = []
    weights: list[Weights | None] = []
    chain = readings_of(model, nodes, fixed_extents=fixed_extents)
    for reading in chain:
        assert reading.layer is not None, "checked"
        for layer in reading.layer.layers:
            layers.append(layer)
            weights.append(_weights(model, reading, layer))
    name = chain[0].span[0].name if len(chain) == 1 else f"{chain[0].span[0].name}..{chain[-1].span[-1].name}"
    return WeightedNetwork(Sequential(tuple(layers)), tuple(weights), f"{model.path}::{name}", _channels(model, chain[0].input))


def _channels(model: OnnxModel, value: str) -> int | None:
    """The channels of a value, if the model says how many."""
    shape = model.shape(value)
    found = shape[1] if shape is not None and len(shape) > 2 else None
    return found if isinstance(found, int) and found > 0 else None


def is_weighted(model: OnnxModel, nodes: Sequence[Node]) -> bool:
    """Whether all parameters on a path are constant, so that `network` can load them."""
    return all(
        reading.kernel is not None
        and not any(map(model.overrides, filter(None, (reading.kernel, reading.bias, reading.mean, reading.variance))))
        for reading in readings_of(model, nodes)
        if reading.layer is not None
        for layer in reading.layer.layers
        if isinstance(layer, (Conv, ConvTranspose, BatchNorm, PReLU))
    )


def _weights(model: OnnxModel, reading: Reading, layer: Layer) -> Weights | None:
    node = reading.span[-1]
    match layer:
        case Conv() | ConvTranspose():
            inner = layer.in_channels if isinstance(layer, ConvTranspose) else layer.out_channels
            other = layer.out_channels if isinstance(layer, ConvTranspose) else layer.in_channels
            kernel = _array(model, node, reading.kernel, (inner, other // layer.groups, *layer.kernel))
            return Weights(kernel, _array(model, node, reading.bias, (layer.out_channels,)) if layer.bias else None)
        case PReLU(num_parameters=count):
            return Weights(_array(model, node, reading.kernel, (count,)))
        case BatchNorm() if reading.form:
            return _affine(model, node, reading, layer)
        case BatchNorm(num_features=count):
            kernel, bias, mean, variance = (
                _array(model, node, name, (count,)) for name in (reading.kernel, reading.bias, reading.mean, reading.variance)
            )
            if (variance + layer.eps <= 0).any():
                raise ModelError(f"`{model.path}`: the variance of node {shown(node.name)} plus epsilon must be positive.")
            return Weights(kernel, bias, mean, variance)
    return None


def _affine(model: OnnxModel, node: Node, reading: Reading, layer: BatchNorm) -> Weights:
    """Arithmetic with a constant c as gamma (x - mean) / sqrt(variance) + beta; a divisor c is the root of the variance c^2."""
    count = layer.num_features
    held = _array(model, node, reading.kernel, None).reshape(-1)
    c = np.broadcast_to(held, (count,))
    ones, zeros = np.ones(count), np.zeros(count)
    match reading.form:
        case "add":
            return Weights(ones, c, zeros, ones)
        case "subtract":
            return Weights(ones, -c, zeros, ones)
        case "subtract-from":
            return Weights(-ones, c, zeros, ones)
        case "multiply":
            return Weights(c, zeros, zeros, ones)
    if (c == 0).any():
        raise ModelError(f"`{model.path}`: node {shown(node.name)} divides by 0.")
    if any(Fraction(float(item)) ** 2 != Fraction(float(item) ** 2) for item in np.unique(c)):
        raise ModelError(f"`{model.path}`: node {shown(node.name)} divides by numbers whose squares are not exact in float64.")
    return Weights(np.sign(c), zeros, zeros, c * c)


def _array(model: OnnxModel, node: Node, name: str | None, shape: tuple[int, ...] | None) -> np.ndarray:
    """A parameter with its stored values; float32, float16, bfloat16 and small integers as float64 of the same values."""
    if name is None:
        raise ModelError(
            f"`{model.path}`: node {shown(node.name)} has parameters that are not constant, so there are no weights to compare."
        )
    found = model.constant(name, LARGEST)
    if found is None:
        raise ModelError(f"`{model.path}`: the value {shown(name)} of node {shown(node.name)} cannot be loaded.")
    with np.errstate(invalid="ignore"):
        array = found.astype(np.float64)
    if found.dtype.kind not in "fiu" or (found.dtype.kind in "iu" and not np.array_equal(array.astype(object), found.astype(object))):
        raise ModelError(f"`{model.path}`: the value {shown(name)} must be of numbers that float64 holds; found {found.dtype}.")
    if not np.isfinite(array).all():
        raise ModelError(f"`{model.path}`: the value {shown(name)} of node {shown(node.name)} must be finite; it holds infinities or NaN.")
    if shape is not None and array.size == int(np.prod(shape)) and array.shape != shape:
        array = array.reshape(shape)  # slopes and scales may carry axes of 1
    if shape is not None and array.shape != shape:
        raise ModelError(f"`{model.path}`: the value {shown(name)} has shape {array.shape}, but node {shown(node.name)} needs {shape}.")
    return array


def path(model: OnnxModel, first: Node, last: Node) -> tuple[Node, ...]:
    """The nodes from one to another, if every value between has one user; parts of a span count as one node.

    Raises:
        ModelError: there is no such path; the message names where it branches.
    """
    out = list(read(model, first).span)
    seen = {node.index for node in out}
    while last.index not in seen:
        value = read(model, out[-1]).output
        users = [node for node in model.consumers(value) if node.op != "Shape" or node.domain]
        spans = {id(read(model, node)): read(model, node) for node in users}
        if len(spans) != 1 or (value in model.outputs):
            where = (
                "is an output of the model" if value in model.outputs else f"is used by {len(users)} nodes" if users else "is used by none"
            )
            raise ModelError(
                f"`{model.path}`: there is no path without branches from {shown(first.name)} to {shown(last.name)}: "
                f"the value {shown(value)} after {shown(out[-1].name)} {where}."
            )
        (reading,) = spans.values()
        if reading.span[-1].index in seen:
            raise ModelError(f"`{model.path}`: there is no path from {shown(first.name)} to {shown(last.name)}.")
        out.extend(reading.span)
        seen |= {node.index for node in reading.span}
    return tuple(out)


def whole(model: OnnxModel) -> tuple[Node, ...]:
    """All nodes of a model that is one path from its input to its output.

    Raises:
        ModelError: it has several inputs or outputs, or branches.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"`{model.path}` has {len(model.inputs)} inputs and {len(model.outputs)} outputs; as one layer a model must have one of each. "
            "Name a node: model.onnx::node."
        )
    users = [node for node in model.consumers(model.inputs[0]) if node.op != "Shape" or node.domain]
    starts = {id(read(model, node)): read(model, node) for node in users}
    end = model.producer(model.outputs[0])
    if len(starts) != 1 or end is None:
        raise ModelError(
            f"`{model.path}` is not one path of layers: its input is used by {len(users)} nodes. Name a node: model.onnx::node."
        )
    (start,) = starts.values()
    return path(model, start.span[0], end)

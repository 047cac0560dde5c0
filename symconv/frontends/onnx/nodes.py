"""What a node is: one of symconv's layers, or the reason why not.

Owns: `read`, `read_alone`, `readings`; which operators belong together.
Must not know: weights' values, text syntax.
Source: ONNX operator specification, operator sets 9 to 28.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from symconv.errors import LayerError, ModelError
from symconv.frontends.onnx import convolutions, elementwise, resampling
from symconv.frontends.onnx.extents import Unbounded
from symconv.frontends.onnx.graph import FIRST_OPSET, Node, OnnxModel
from symconv.frontends.onnx.patterns import VIEWS, moves
from symconv.frontends.onnx.reading import Reading, Site, Unreadable
from symconv.layers import Conv, Identity, Layer, Pad, Pointwise, Sequential

__all__ = ["OPERATORS", "Reading", "read", "read_alone", "readings"]

READERS: dict[str, Callable[[Site], Reading]] = {
    "Conv": convolutions.read_conv,
    "ConvTranspose": convolutions.read_conv_transpose,
    "DepthToSpace": resampling.read_shuffle,
    "SpaceToDepth": resampling.read_shuffle,
    "Pad": resampling.read_pad,
    "Slice": resampling.read_slice,
    "Resize": resampling.read_resize,
    "Upsample": resampling.read_resize,
    "AveragePool": resampling.read_average_pool,
    "BatchNormalization": elementwise.read_batch_norm,
    "PRelu": elementwise.read_prelu,
    "Identity": elementwise.read_identity,
    "Dropout": elementwise.read_identity,
    **dict.fromkeys(elementwise.NONLINEAR, elementwise.read_pointwise),
    **dict.fromkeys(elementwise.ARITHMETIC, elementwise.read_arithmetic),
}
OPERATORS = tuple(sorted({*READERS, *VIEWS}))
"""Operators of the default domain that are read."""


def read(model: OnnxModel, node: Node) -> Reading:
    """What a node is; with the nodes beside it where they only make sense together.

    Nodes that belong together (the parts of a shuffle, a Pad and its Conv, x times sigmoid(x)) have one and the same reading.
    """
    return readings(model)[node.index]


def read_alone(model: OnnxModel, node: Node) -> Reading:
    """What a node is without a Pad before it, or whatever else stands beside it."""
    return _read_one(model, node)


def readings(model: OnnxModel) -> dict[int, Reading]:
    """The reading of every node, by its index; made once for a model."""
    return model.remembered("readings", lambda: _all_readings(model))


def _all_readings(model: OnnxModel) -> dict[int, Reading]:
    found = {node.index: _read_one(model, node) for node in model.nodes}
    for node in model.nodes:
        joined = _padded(model, node, found) or _gated(model, node, found)
        if joined is not None:
            for part in joined.span:
                found[part.index] = joined
    return found


def _read_one(model: OnnxModel, node: Node) -> Reading:
    try:
        if node.domain:
            raise Unreadable(f"`{node.op}` is of the domain `{node.domain}`, which symconv does not read")
        if model.opset < FIRST_OPSET:
            raise Unreadable(f"`{node.op}` is of operator set {model.opset}; symconv reads {FIRST_OPSET} and newer")
        if node.op in VIEWS:
            return moves(model)[node.index]
        if node.op not in READERS:
            raise Unreadable(f"`{node.op}` is no layer that symconv knows")
        if not node.inputs or not node.inputs[0] or not node.outputs or not node.outputs[0]:
            raise Unreadable(f"`{node.op}` has no input or no output")
        return READERS[node.op](Site(model, node))
    except (Unreadable, LayerError, ModelError) as error:
        reason = str(error)
    except Unbounded:
        reason = f"`{node.op}` has extents that symconv does not follow"
    except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError) as error:
        reason = f"`{node.op}` is malformed: {type(error).__name__}: {str(error)[:80]}"
    return Reading(None, None, None, None, (node,), node.input(0), next(iter(node.outputs), ""), reason)


def _only_user(model: OnnxModel, value: str) -> Node | None:
    """The one node that uses a value which is seen nowhere else."""
    users = model.consumers(value)
    return users[0] if len(users) == 1 and value not in model.outputs else None


def _padded(model: OnnxModel, node: Node, found: dict[int, Reading]) -> Reading | None:
    """Pad and Conv as one convolution."""
    pad, after = found[node.index], _only_user(model, node.outputs[0]) if node.op == "Pad" and not node.domain and node.outputs else None
    if (
        after is None
        or after.op != "Conv"
        or after.domain
        or after.input(0) != node.outputs[0]
        or list(after.inputs).count(after.input(0)) != 1
    ):
        return None
    conv = found[after.index]
    if pad.layer is None or conv.layer is None or len(conv.layer.layers) != 1 or not conv.all_extents or not pad.all_extents:
        return None
    (extension,), (layer,) = pad.layer.layers, conv.layer.layers
    if not (isinstance(extension, Pad) and isinstance(layer, Conv) and isinstance(extension.amounts, tuple)):
        return None
    if min(amount for pair in extension.amounts for amount in pair) < 0 or (extension.mode != "zeros" and any(map(any, layer.padding))):
        return None
    padding = tuple((a + b, c + d) for (a, c), (b, d) in zip(extension.amounts, layer.padding, strict=True))
    whole = attrs.evolve(layer, padding=padding, padding_mode=extension.mode)
    return attrs.evolve(conv, layer=Sequential((whole,)), span=(node, after), input=pad.input)


def _gated(model: OnnxModel, node: Node, found: dict[int, Reading]) -> Reading | None:
    """x times sigmoid(x): SiLU."""
    after = _only_user(model, node.outputs[0]) if node.op == "Sigmoid" and not node.domain and node.outputs else None
    if after is None or after.op != "Mul" or after.domain or sorted(after.inputs) != sorted((node.input(0), node.outputs[0])):
        return None
    if node.input(0) == node.outputs[0]:
        return None
    layer: Layer = Pointwise("SiLU")
    return Reading(Sequential((layer,)), None, None, None, (node, after), node.input(0), after.outputs[0])


def is_plain(reading: Reading) -> bool:
    """Whether a reading changes nothing."""
    return reading.layer is not None and all(isinstance(layer, Identity) for layer in reading.layer.layers)

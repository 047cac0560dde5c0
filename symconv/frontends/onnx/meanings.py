"""What decides an ONNX node's outputs, so that equal meanings are equal keys, across operator sets too.

Owns: `key`, `is_commutative`, `impurity`, `growth`.
Must not know: layers, weights' values.
Source: ONNX operator specification, operator sets 9 to 28 and their changelogs.

An operator is named with the version that its operator set means, except where all versions from 9 on mean the same for the
attributes that are written out here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from onnx import TensorProto, defs

from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.tensors import Tensor

STEADY = frozenset({
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "Conv", "ConvTranspose", "Cos", "DepthToSpace", "Div", "Elu", "Equal", "Erf",
    "Exp", "Expand", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool",
    "Greater", "GreaterOrEqual", "Identity", "InstanceNormalization", "LSTM", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
    "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Mean", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "Range", "Reciprocal",
    "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Round", "ScatterND", "Selu",
    "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze",
    "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Operators that mean the same from operator set 9 on, once attributes are written out and moved to inputs as newer versions have them."""
COMMUTATIVE = frozenset({"Add", "Mul", "And", "Or", "Xor", "Equal", "Max", "Min", "Sum", "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor"})
RANDOM = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"})
SOUNDS_RANDOM = ("random", "dropout", "sampl", "bernoulli", "multinomial")
"""Parts of names by which operators of other domains are taken to draw random numbers."""
FLOAT8 = frozenset({17, 18, 19, 20, 24})
"""Element types for which a cast has more to settle."""
SUMS = frozenset({"Add", "Sub", "Sum"})
MAXIMA = frozenset({"Concat", "Max", "Min", "Where"})
FIRSTS = frozenset({
    "Abs", "AveragePool", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalAveragePool", "GlobalMaxPool", "Identity", "MaxPool",
    "Neg", "Pad", "ReduceMax", "ReduceMean", "ReduceMin", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose",
    "Unsqueeze",
})  # fmt: skip


def is_commutative(node: Node) -> bool:
    """Whether the inputs may change places."""
    return not node.domain and node.op in COMMUTATIVE


def growth(node: Node) -> str:
    """How outputs grow with inputs; see `Operation`."""
    if node.domain:
        return ""
    if node.op == "Pad" and node.attributes.get("mode", "constant") == "constant" and (len(node.inputs) > 2 and node.inputs[2]):
        return ""
    return "sum" if node.op in SUMS else "max" if node.op in MAXIMA else "first" if node.op in FIRSTS else ""


def impurity(model: OnnxModel, node: Node) -> str:
    """Why equal inputs need not give equal outputs, or ""."""
    if node.domain and not any(_called(model, node.proto)):
        sounds = any(part in node.op.lower() for part in SOUNDS_RANDOM)
        return f"`{node.domain}.{node.op}` is not known, and its name says that it draws random numbers" if sounds else ""
    if node.domain:
        return f"`{node.op}` is a function that draws random numbers" if _draws(model, (node.proto,), set()) else ""
    if node.op in RANDOM:
        return f"`{node.op}` draws random numbers"
    if node.op == "Dropout" and node.input(2):
        held = model.constant(node.input(2))
        if held is None or held.any():
            return "`Dropout` draws random numbers in training mode"
    inner = [sub for item in node.proto.attribute for sub in (item.g, *item.graphs)]
    if any(_draws(model, graph.node, set()) for graph in inner):
        return f"`{node.op}` holds a subgraph that draws random numbers"
    return ""


def _draws(model: OnnxModel, nodes: Iterable[Any], seen: set[int]) -> bool:
    """Whether one of some nodes, or of those in subgraphs and functions that they use, may draw random numbers."""
    for item in nodes:
        if item.op_type in RANDOM or (item.op_type == "Dropout" and len(item.input) > 2 and item.input[2]):
            return True
        bodies = [sub.node for attribute in item.attribute for sub in (attribute.g, *attribute.graphs)]
        for place, function in _called(model, item):
            if place not in seen:
                seen.add(place)
                bodies.append(function.node)
        if any(_draws(model, body, seen) for body in bodies):
            return True
    return False


def _called(model: OnnxModel, item: Any) -> Iterator[tuple[int, Any]]:
    """The functions of the model that a node may call, with their places."""
    for place, function in enumerate(model.proto.functions):
        if function.name == item.op_type and _domain(function.domain) == _domain(item.domain):
            yield place, function


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def key(model: OnnxModel, node: Node, rank: int | None) -> tuple[Hashable, dict[str, Any], tuple[tuple[int, ...], ...]]:
    """What decides the outputs besides the inputs; the attributes as people read them; attributes that newer versions take as inputs.

    Returns:
        The key, the attributes, and per optional input that the node spells as an attribute: (position, *values).
    """
    attributes = {name: _plain(model, value) for name, value in node.attributes.items()}
    schema = _schema(model, node)
    if schema is None:
        return (node.domain, node.op, _version(model, node), _functions(model, node), _frozen(attributes)), attributes, ()
    for name, held in schema.attributes.items():
        if name not in attributes and held.default_value.type:
            attributes[name] = _plain(model, _default(held.default_value))
    version: Any = schema.since_version
    moved: tuple[tuple[int, ...], ...] = ()
    if not node.domain and node.op in STEADY:
        version, moved = _settled(node, attributes, schema.since_version, rank)
    return (node.domain, node.op, version, _frozen(attributes)), attributes, moved


def _settled(node: Node, attributes: dict[str, Any], since: int, rank: int | None) -> tuple[Any, tuple[tuple[int, ...], ...]]:
    """Attributes in the newest form; a version where the meaning is not the same in all of them."""
    op = node.op
    moved: list[tuple[int, ...]] = []
    if op in ("Softmax", "LogSoftmax"):
        axis = attributes.get("axis", -1)
        last = axis == -1 or (rank is not None and axis == rank - 1)
        if last:
            attributes["axis"] = -1
            return "last", ()
        return (since if since >= 13 else ("coerced", since)), ()
    if op in ("Squeeze", "Unsqueeze") or op.startswith("Reduce"):
        axes = attributes.pop("axes", None)
        if axes or (axes is not None and not op.startswith("Reduce")):
            moved.append((1, *axes))
        if op.startswith("Reduce"):
            attributes.setdefault("noop_with_empty_axes", 0)
    if op == "Split":
        if "split" in attributes:
            moved.append((1, *attributes.pop("split")))
        if node.input(1):
            attributes.pop("num_outputs", None)
        attributes["outputs"] = len(node.outputs)
    if op == "Slice" and "starts" in attributes:
        starts, ends = attributes.pop("starts"), attributes.pop("ends")
        axes = attributes.pop("axes", tuple(range(len(starts))))
        moved += [(1, *starts), (2, *ends), (3, *axes)]
    if op == "Reshape":
        attributes.setdefault("allowzero", 0)
    if op in ("Add", "Sub", "Mul", "Div", "Pow"):
        attributes.pop("consumed_inputs", None)
    if op == "Clip" and since < 11:
        return since, ()  # bounds as attributes of type float; read as a layer where it is one
    if op in ("Conv", "ConvTranspose", "MaxPool"):
        for name, fill in (("strides", 1), ("dilations", 1), ("pads", 0), ("output_padding", 0)):
            if name in attributes and all(item == fill for item in attributes[name]):
                attributes.pop(name)
        if "kernel_shape" in attributes and op != "MaxPool":
            attributes.pop("kernel_shape")  # it must be that of the weights, which are inputs
    if op == "Cast" and attributes.get("to") not in FLOAT8:
        attributes.pop("saturate", None)
        attributes.pop("round_mode", None)
    if op == "MaxPool" and attributes.get("ceil_mode", 0):
        return since, ()  # whether a last window that starts in the padding counts was settled late
    if op == "Shape":
        attributes.setdefault("start", 0)
    if op == "DepthToSpace":
        attributes.setdefault("mode", "DCR")
    return "all", tuple(moved)


def _schema(model: OnnxModel, node: Node) -> Any:
    try:
        return defs.get_schema(node.op, model.opset, node.domain) if not node.domain else None
    except defs.SchemaError:
        return None


def _version(model: OnnxModel, node: Node) -> int:
    return next((entry.version for entry in model.proto.opset_import if entry.domain == node.domain), model.opset)


def _functions(model: OnnxModel, node: Node) -> Hashable:
    """The model's functions and the overload that is meant, for a node that may be one of them."""
    return (node.proto.overload, _surroundings(model)) if any(_called(model, node.proto)) else ""


def _surroundings(model: OnnxModel) -> Hashable:
    """What decides, besides themselves, what nodes inside a subgraph or a function compute: operator sets and functions."""

    def found() -> Hashable:
        sets = sorted((_domain(entry.domain), entry.version) for entry in model.proto.opset_import)
        return (*sets, *(_message(model, function) for function in model.proto.functions))

    return model.remembered("surroundings", found)


def _message(model: OnnxModel, message: Any) -> str:
    """A digest of a graph or another message, with the contents of tensors that are stored beside the file."""
    hashed = hashlib.sha256(message.SerializeToString(deterministic=True))
    stack = [message]
    while stack:
        item = stack.pop()
        if isinstance(item, TensorProto):
            if item.data_location == TensorProto.EXTERNAL:
                hashed.update(f"{item.name} {Tensor.make(item, model.path.absolute().parent).digest()}".encode())
            continue
        for field, value in item.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend(value if field.is_repeated else (value,))
    return hashed.hexdigest()


def _default(attribute: Any) -> Any:
    kinds = type(attribute)
    match attribute.type:
        case kinds.FLOAT:
            return attribute.f
        case kinds.INT:
            return attribute.i
        case kinds.STRING:
            return attribute.s.decode()
        case kinds.INTS:
            return tuple(attribute.ints)
        case kinds.FLOATS:
            return tuple(attribute.floats)
        case kinds.STRINGS:
            return tuple(item.decode() for item in attribute.strings)
    return None


def _plain(model: OnnxModel, value: Any) -> Any:
    """An attribute's value as something hashable."""
    if isinstance(value, Tensor):
        return ("tensor", value.dtype, value.shape, value.digest())
    if isinstance(value, (tuple, list)):
        return tuple(_plain(model, item) for item in value)
    if hasattr(value, "SerializeToString"):
        return ("message", _message(model, value), _surroundings(model))
    return value


def _frozen(attributes: dict[str, Any]) -> Hashable:
    """Attributes in order; floats by their bits, so that 0.0 and -0.0 differ and NaN equals itself."""
    return tuple((name, _bits(attributes[name])) for name in sorted(attributes))


def _bits(value: Any) -> Hashable:
    if isinstance(value, float):
        return ("float", value.hex())
    return tuple(map(_bits, value)) if isinstance(value, tuple) else (type(value).__name__, value)

"""A bundle held against the two models that it is about, trusting neither it nor what made it.

Owns: `check_bundle`, `untouched`, `BundleResult`.
Must not know: how models are rewritten (nothing of `convert` is used), terminals.

What is established, in this order: the bundle's certificates are accepted by the independent checker; what both files hold besides the
nodes and tensors that the bundle lists is the same, byte for byte; what is listed touches the rest through the layers' inputs and outputs
alone; the layers read from the two files are those of the certificates; and the weights of the one are those of the other, moved as the
certificate says, bit for bit. Then the two models compute the same function, up to rounding, at all extents that both accept.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from onnx import TensorProto

from symconv import layers as descriptions
from symconv.checker import Malformed, check_certificate
from symconv.checker.extents import Chain
from symconv.checker.grammar import certificate as parsed
from symconv.conformance.bundle_moves import Moves, NotMoves
from symconv.errors import ModelError
from symconv.frontends.onnx.chains import Stretch, chain_to, normal
from symconv.frontends.onnx.graph import OnnxModel
from symconv.frontends.onnx.shapes import analysis, say
from symconv.frontends.onnx.wire import BYTES, Field, fields, only
from symconv.layers import Layer, input_channels

GRAPH, NODE, INITIALIZER, VALUE_INFO = 7, 1, 5, 13
MODEL_FIELDS = {
    1: "ir_version",
    2: "producer_name",
    3: "producer_version",
    4: "domain",
    5: "model_version",
    6: "doc_string",
    8: "opset_import",
    14: "metadata_props",
    20: "training_info",
    25: "functions",
}
GRAPH_FIELDS = {
    2: "name",
    10: "doc_string",
    11: "input",
    12: "output",
    13: "value_info",
    14: "quantization_annotation",
    15: "sparse_initializer",
}
FLOATS = {"FLOAT": np.uint32, "DOUBLE": np.uint64, "FLOAT16": np.uint16, "BFLOAT16": np.uint16}


class Rejected(Exception):
    """Why, and where."""

    def __init__(self, place: str, reason: str) -> None:
        self.place, self.reason = place, reason
        super().__init__(f"{place}: {reason}")


@attrs.frozen
class BundleResult:
    """Whether everything that a bundle says holds of two models; if not, the first place where it does not, and why."""

    accepted: bool
    layers: int
    certificates: int
    reason: str = ""
    place: str = ""
    notes: tuple[str, ...] = ()


Progress = Callable[[int, int, str], None]


def check_bundle(
    bundle: Mapping[str, Any], original: OnnxModel, converted: OnnxModel, *, progress: Progress = lambda *_: None
) -> BundleResult:
    """Checks a bundle that is spelled as its format says.

    Raises:
        ModelError: a tensor of a model cannot be read.
    """
    counts = len(bundle["layers"]), len(bundle["certificates"])
    try:
        notes = _Checking(bundle, original, converted).check(progress)
    except Rejected as fault:
        return BundleResult(False, *counts, fault.reason, fault.place)
    return BundleResult(True, *counts, notes=notes)


def untouched(model: OnnxModel, nodes: Iterable[str], initializers: Iterable[str], other: OnnxModel) -> str:
    """SHA-256 of what a model holds besides the nodes and tensors that are named, and values that the other model has not.

    The digest is over the digests of all fields, the model's first, then those of its graph, as bundle-format.md says.
    """
    whole = hashlib.sha256()
    for _, value in _remains(model, frozenset(nodes), frozenset(initializers), _values(other)):
        whole.update(value)
    return whole.hexdigest()


class _Checking:
    def __init__(self, bundle: Mapping[str, Any], original: OnnxModel, converted: OnnxModel) -> None:
        self.bundle, self.models = bundle, {"original": original.without_defaults(), "converted": converted.without_defaults()}
        self.moves: dict[str, Moves] = {}
        self.notes: list[str] = []

    def check(self, progress: Progress) -> tuple[str, ...]:
        self.check_certificates()
        self.check_rest()
        for side in self.models:
            self.check_seams(side)
        outputs = [layer["output"] for layer in self.bundle["layers"]]
        if len(set(outputs)) != len(outputs):
            raise Rejected("layers", "two layers have the same output")
        places = [f"layers[{position}] ({layer['name'][:80]})" for position, layer in enumerate(self.bundle["layers"])]
        befores = [self.check_side(place, "original", layer) for place, layer in zip(places, self.bundle["layers"], strict=True)]
        for layer, before in zip(self.bundle["layers"], befores, strict=True):  # the original's weights say what its input is
            say(self.models["converted"], layer["input"], input_channels(before.layers) or 0, before.axes)
        self.check_declarations()
        for position, (place, layer, before) in enumerate(zip(places, self.bundle["layers"], befores, strict=True)):
            progress(position, len(places), layer["name"])
            self.check_layer(place, layer, before)
        progress(len(places), len(places), "")
        return tuple(self.notes)

    def check_certificates(self) -> None:
        for key, record in self.bundle["certificates"].items():
            place = f"certificates.{key[:12]}"
            try:
                result = check_certificate(record)
            except Malformed as error:
                raise Rejected(place, f"the certificate is malformed: {error}") from None
            if not result.accepted:
                raise Rejected(f"{place}.{result.place}", f"the checker rejects it: {result.reason}")
            if record["format"] != "symconv.certificate/1" or record["claim"]["left_in_right"] is not True:
                raise Rejected(place, "it does not claim that the left layer is contained in the right one")
            try:
                self.moves[key] = Moves.of(record)
            except NotMoves as error:
                raise Rejected(place, str(error)) from None

    def check_rest(self) -> None:
        """Everything that is not listed is the same in both files."""
        left, right = (self.remains(side) for side in self.models)
        for one, two in zip(left, right, strict=False):
            if one[1] != two[1]:
                where = one[0] if one[0] == two[0] else f"{one[0]} of the original, {two[0]} of the converted model"
                raise Rejected(where, "the two models differ here, and the bundle does not list it")
        if len(left) != len(right):
            longer = left if len(left) > len(right) else right
            which = "original" if longer is left else "converted model"
            raise Rejected(longer[min(len(left), len(right))][0], f"only the {which} has it, and the bundle does not list it")
        for side, found in (("original", left), ("converted", right)):
            if hashlib.sha256(b"".join(value for _, value in found)).hexdigest() != self.bundle[side]["untouched"]:
                raise Rejected(f"{side}.untouched", "it is not the digest of what the models hold besides the layers")

    def remains(self, side: str) -> list[tuple[str, bytes]]:
        listed, model = self.bundle[side], self.models[side]
        other = self.models["converted" if side == "original" else "original"]
        for kind, known in (
            ("nodes", {node.name for node in model.nodes}),
            ("initializers", {t.name for t in model.proto.graph.initializer}),
        ):
            for name in listed[kind]:
                if name not in known:
                    raise Rejected(f"{side}.{kind}", f"the model has no `{name[:80]}`")
        return list(_remains(model, frozenset(listed["nodes"]), frozenset(listed["initializers"]), _values(other)))

    def check_seams(self, side: str) -> None:
        """What is listed is seen by the rest through the layers' outputs alone, and begins at values that both models have."""
        model, listed = self.models[side], self.bundle[side]
        ends = {layer["output"] for layer in self.bundle["layers"]}
        inner = {value for node in model.nodes if node.name in set(listed["nodes"]) for value in node.outputs if value} - ends
        inner |= set(listed["initializers"])
        if found := inner & {item.name for item in model.proto.graph.input}:
            raise Rejected(f"{side}.initializers", f"`{min(found)[:80]}` is an input of the model")
        for value in model.outputs:
            if value in inner:
                raise Rejected(f"{side}.nodes", f"`{value[:80]}` is an output of the model")
        for node in model.nodes:
            if node.name not in set(listed["nodes"]) and (found := inner & {*node.inputs, *node.captures}):
                raise Rejected(f"{side}: node {node.name[:80]}", f"it uses `{min(found)[:80]}`, which the bundle lists as changed")
        for position, layer in enumerate(self.bundle["layers"]):
            if layer["input"] in inner:
                raise Rejected(f"layers[{position}].input", f"`{layer['input'][:80]}` is changed by another layer inside")

    def check_declarations(self) -> None:
        """No extent of the new nodes rests on what the converted file says; what the user's own file says is noted."""
        listed = set(self.bundle["converted"]["nodes"])
        for value in analysis(self.models["converted"]).believed:
            node = self.models["converted"].producer(value)
            if node is not None and node.name in listed:
                raise Rejected(f"converted: node {node.name[:80]}", f"no extents are known of what {node.op[:80]} computes")
        if believed := analysis(self.models["original"]).believed:
            more = f" and {len(believed) - 3} more" if len(believed) > 3 else ""
            self.notes.append(f"the extents that the file declares of {', '.join(name[:80] for name in believed[:3])}{more} are believed")

    def check_layer(self, place: str, layer: Mapping[str, Any], before: Stretch) -> None:
        record, moves = self.bundle["certificates"][layer["certificate"]], self.moves[layer["certificate"]]
        after = self.check_side(place, "converted", layer)
        self.check_domain(place, layer, record)
        old = self.check_tensors(f"{place}.before", "original", layer["before"], before)
        new = self.check_tensors(f"{place}.after", "converted", layer["after"], after)
        self.check_weights(place, moves, *((old, new) if layer["way"] == "forth" else (new, old)))

    def check_side(self, place: str, side: str, layer: Mapping[str, Any]) -> Stretch:
        """The nodes are the layers of the certificate: its left chain is the smaller class."""
        model, key = self.models[side], "before" if side == "original" else "after"
        record = self.bundle["certificates"][layer["certificate"]]
        name = "left" if (layer["way"] == "forth") == (side == "original") else "right"
        place = f"{place}.{key}"
        stretch = chain_to(model, layer["output"], lambda value: value == layer["input"])
        if isinstance(stretch, str):
            raise Rejected(
                place, f"the {side} model is no chain of layers from `{layer['input'][:80]}` to `{layer['output'][:80]}`: {stretch}"
            )
        if [node.name for node in stretch.nodes] != list(layer[key]["nodes"]):
            raise Rejected(f"{place}.nodes", f"the {side} model's layer is made of other nodes")
        listed = set(self.bundle[side]["nodes"])
        for node in stretch.nodes:
            if node.name not in listed:
                raise Rejected(f"{place}.nodes", f"`{node.name[:80]}` is not listed as changed")
        wanted = normal(tuple(_layer(item) for item in record[name]))
        if stretch.layers != wanted or input_channels(stretch.layers) != record["in_channels"]:
            raise Rejected(place, f"the {side} model's layer is {_shown(stretch.layers)}, the certificate's {_shown(wanted)}")
        return stretch

    def check_tensors(self, place: str, side: str, listed: Mapping[str, Any], stretch: Stretch) -> dict[str, np.ndarray]:
        """The weights are those that the bundle names; returns their bits."""
        model, found = self.models[side], {}
        for what, value in (("kernel", stretch.kernel), ("bias", stretch.bias)):
            entry = listed[what]
            if entry is None and value is None and not (what == "bias" and any(getattr(layer, "bias", False) for layer in stretch.layers)):
                continue
            if entry is None or value is None or value != entry["value"]:
                raise Rejected(f"{place}.{what}", f"the {side} model's layer has the {what} `{str(value)[:80]}`")
            if value in model.overridable:
                raise Rejected(f"{place}.{what}", f"`{value[:80]}` is an input of the model, so a caller may replace it")
            dtype, bits = _bits(model, value)
            if dtype != entry["dtype"] or list(bits.shape) != entry["shape"]:
                raise Rejected(f"{place}.{what}", f"`{value[:80]}` is of type {dtype} and shape {list(bits.shape)}")
            if hashlib.sha256(bits.reshape(-1).view(np.uint8).data).hexdigest() != entry["sha256"]:
                raise Rejected(f"{place}.{what}.sha256", f"`{value[:80]}` has another content")
            found[what] = bits
        return found

    def check_weights(self, place: str, moves: Moves, small: Mapping[str, np.ndarray], large: Mapping[str, np.ndarray]) -> None:
        """The larger class's weights are the smaller one's, moved."""
        if set(small) != set(large) or "kernel" not in small:
            raise Rejected(place, "one layer has a bias and the other has none")
        for what, fault in (("kernel", moves.kernel_fault), ("bias", moves.bias_fault)):
            if what not in small:
                continue
            if small[what].dtype != large[what].dtype:
                raise Rejected(f"{place}.{what}", "the element types before and after are not the same")
            if reason := fault(small[what], large[what]):
                raise Rejected(f"{place}.{what}", reason)

    def check_domain(self, place: str, layer: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """The converted layer accepts every extent that the original one does, or that the model has; else that is noted."""
        wider = "right_wider" if layer["way"] == "forth" else "left_wider"
        if record["claim"]["domain"]["relation"] in ("same", wider):
            return
        after = parsed(dict(record))["right" if layer["way"] == "forth" else "left"]
        chains = [Chain(after, axis) for axis in range(record["axes"])]
        shape = (self.models["original"].shape(layer["input"]) or ())[2:]
        fits = len(shape) == len(chains) and all(isinstance(n, int) and chain.valid(n) for n, chain in zip(shape, chains, strict=True))
        if not fits:
            shown = record["claim"]["domain"]["extents"]
            self.notes.append(f"{layer['name']}: the converted layer rejects extents that the original one accepts, such as {shown}")


def _remains(model: OnnxModel, nodes: frozenset[str], initializers: frozenset[str], others: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """(what it is, digest) for every field of a model and its graph that is not listed.

    Raises:
        ModelError: a tensor other than the graph's initializers is stored beside the file, so that no field holds its content.
    """
    if name := _stored_elsewhere(model.proto):
        raise ModelError(
            f"`{model.path}`: `{name[:80]}` keeps external data in an attribute, a subgraph or a sparse tensor; store it in the file."
        )
    with open(model.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        buffer = memoryview(mapped)
        try:
            graph = only(buffer, GRAPH)
            if graph is None:
                raise ModelError(f"`{model.path}` holds no graph.")
            for field in fields(buffer):
                if field.start != graph.start:
                    yield MODEL_FIELDS.get(field.number, f"field {field.number}"), _digest(buffer, field)
            yield from _graph_remains(model, buffer, graph, nodes, initializers, others)
        finally:
            buffer.release()


def _graph_remains(
    model: OnnxModel, buffer: memoryview, graph: Field, nodes: frozenset[str], initializers: frozenset[str], others: frozenset[str]
) -> Iterator[tuple[str, bytes]]:
    names = {node.index: node.name for node in model.nodes}
    own, proto = _values(model), model.proto.graph
    seen = dict.fromkeys((NODE, INITIALIZER, VALUE_INFO), 0)
    for field in fields(buffer, graph.body, graph.stop):
        if field.kind != BYTES or field.number not in seen:
            yield f"graph.{GRAPH_FIELDS.get(field.number, f'field {field.number}')}", _digest(buffer, field)
            continue
        position = seen[field.number]
        seen[field.number] += 1
        if field.number == NODE and names[position] not in nodes:
            yield f"node {names[position][:80]}", _digest(buffer, field)
        elif field.number == INITIALIZER and proto.initializer[position].name not in initializers:
            yield f"initializer {proto.initializer[position].name[:80]}", _tensor_digest(model, buffer, field, proto.initializer[position])
        elif field.number == VALUE_INFO:
            name = proto.value_info[position].name
            if (name in own) == (name in others):
                yield f"value_info {name[:80]}", _digest(buffer, field)


def _stored_elsewhere(proto: Any) -> str:
    """The name of a tensor with external data that is none of the main graph's initializers, or ""."""
    graph = proto.graph
    stack: list[Any] = [*graph.node, *graph.sparse_initializer, *proto.functions, *proto.training_info]
    while stack:
        item = stack.pop()
        if isinstance(item, TensorProto):
            if item.data_location == TensorProto.EXTERNAL:
                return str(item.name or "a tensor")
            continue
        for field, value in item.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend(value if field.is_repeated else (value,))
    return ""


def _digest(buffer: memoryview, field: Field) -> bytes:
    return hashlib.sha256(buffer[field.start : field.stop]).digest()


def _tensor_digest(model: OnnxModel, buffer: memoryview, field: Field, proto: Any) -> bytes:
    """Of the entry and its content; where that is external, the entry without the place, then the content."""
    if proto.data_location != TensorProto.EXTERNAL:
        return _digest(buffer, field)
    bare = TensorProto()
    bare.ParseFromString(bytes(buffer[field.body : field.stop]))
    del bare.external_data[:]
    tensor = model.initializer(proto.name)
    assert tensor is not None, "it was loaded"
    whole = hashlib.sha256(bare.SerializeToString(deterministic=True))
    for chunk in tensor.chunks():
        whole.update(chunk)
    return whole.digest()


def _values(model: OnnxModel) -> frozenset[str]:
    """Every value that the main graph has."""
    graph = model.proto.graph
    stored = {item.name for item in (*graph.input, *graph.initializer)} | {item.values.name for item in graph.sparse_initializer}
    return frozenset(stored | {value for node in graph.node for value in node.output if value})


def _bits(model: OnnxModel, name: str) -> tuple[str, np.ndarray]:
    """A weight's element type and bits, as unsigned integers."""
    tensor = model.initializer(name)
    array = tensor.array() if tensor is not None else model.constant(name, 1 << 31)
    if array is None:
        raise ModelError(f"`{model.path}`: the value `{name}` is not constant.")
    if tensor is None and any(item.data_type == TensorProto.BFLOAT16 for item in model.proto.graph.initializer):
        raise Rejected(
            name, "it is computed in a model with bfloat16 weights, so its element type is not known"
        )  # such constants are widened
    dtype = tensor.dtype if tensor is not None else {"f2": "FLOAT16", "f4": "FLOAT", "f8": "DOUBLE"}.get(array.dtype.str[1:], "")
    if dtype not in FLOATS:
        raise Rejected(name, f"it has elements of type {dtype or array.dtype}")
    array = np.ascontiguousarray(array)
    if dtype == "BFLOAT16":
        return dtype, (array.view(np.uint32) >> 16).astype(np.uint16)
    return dtype, array.view(FLOATS[dtype])


def _layer(record: Mapping[str, Any]) -> Layer:
    made: Layer = getattr(descriptions, record["type"])(**{name: _tuples(value) for name, value in record.items() if name != "type"})
    return made


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _shown(chain: Sequence[Layer]) -> str:
    from symconv.layers import Sequential
    from symconv.layers.expression import format_layer

    whole = Sequential(tuple(chain))
    return f"`{format_layer(whole, whole.axes)}`"


__all__ = ["BundleResult", "check_bundle", "untouched"]

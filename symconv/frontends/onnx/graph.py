"""An ONNX file as a graph of named nodes: opened without running anything or loading external data, and checked.

Owns: `load`, `OnnxModel`, `Node`; what a well-formed graph is.
Must not know: what nodes compute.
Source: ONNX IR specification, IR version 13.

Subgraphs (of If, Loop, Scan) and functions of the model are kept opaque: their stored tensors are checked, and what they take from
the outer graph counts as an input of their node.
"""

from __future__ import annotations

import difflib
import heapq
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

import attrs
import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, ModelProto, TensorProto, defs

from symconv.errors import ModelError
from symconv.frontends.onnx.tensors import Tensor, shown

T = TypeVar("T")
Dimension = int | str | None
"""An extent, the name of a free one, or None if nothing is said."""

MOST_BYTES = (1 << 31) - 1
FIRST_OPSET = 9
FOLDED = 1 << 16
"""Elements of a constant that is computed by `constant`, at most."""


@attrs.frozen(eq=False)
class Node:
    """One node of the main graph.

    Args:
        name: unique in the graph: the node's own name, else that of its first output; a number is appended where names repeat.
        op, domain: operator; the default domain is "".
        inputs, outputs: value names, "" where an optional one is left out.
        attributes: name to int, float, str, Tensor, GraphProto, or a tuple of such.
        proto: what the file holds.
        index: its place in the file.
        captures: outer values that its subgraphs use.
    """

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any
    index: int
    captures: tuple[str, ...] = ()

    def input(self, position: int) -> str:
        """The input at a position, "" if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""


@attrs.frozen(eq=False)
class OnnxModel:
    """A checked ONNX model.

    Args:
        path: the file.
        proto: the ModelProto, without external data.
        opset: version of the default domain.
        nodes: the main graph in an order in which every value is computed before it is used.
        inputs, outputs: value names of the main graph; values with an initializer are no inputs.
        overridable: graph inputs that have an initializer as default; they are read at their defaults.
        defaults: whether `constant` and the extents read them so; if not, they are inputs like others.
    """

    path: Path
    proto: Any
    opset: int
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    overridable: frozenset[str]
    _tensors: Mapping[str, Tensor]
    _names: Mapping[str, Node]
    _producers: Mapping[str, Node]
    _consumers: Mapping[str, tuple[Node, ...]]
    defaults: bool = True
    _memory: dict[str, Any] = attrs.field(factory=dict)

    def without_defaults(self) -> OnnxModel:
        """The same model, of which nothing is known that a caller may override."""
        return attrs.evolve(self, defaults=False, memory={}) if self.defaults and self.overridable else self

    def overrides(self, value: str) -> bool:
        """Whether a caller may replace a stored value, and its default is not to be relied on."""
        return not self.defaults and value in self.overridable

    def node(self, name: str) -> Node:
        """The node of that name, or the one that computes the value of that name.

        Raises:
            ModelError: there is none; the message names close ones.
        """
        found = self._names.get(name) or self._producers.get(name)
        if found is None:
            close = difflib.get_close_matches(name, list(self._names)[:100_000], n=3, cutoff=0.5)
            listed = close or [node.name for node in self.nodes[:3]]
            hint = f" {'Did you mean' if close else 'It starts with'} {', '.join(shown(match) for match in listed)}{'?' if close else '.'}"
            raise ModelError(f"`{self.path}` has no node {shown(name)}.{hint if listed else ' It has no nodes.'}")
        return found

    def has_node(self, name: str) -> bool:
        """Whether `node` finds one."""
        return name in self._names or name in self._producers

    def producer(self, value: str) -> Node | None:
        """The node that computes a value; None for inputs and initializers."""
        return self._producers.get(value)

    def consumers(self, value: str) -> tuple[Node, ...]:
        """The nodes that use a value, in order, those included whose subgraphs do."""
        return self._consumers.get(value, ())

    def initializer(self, value: str) -> Tensor | None:
        """The stored tensor of a value: an initializer, or the output of a Constant node; None for anything else."""
        return self._tensors.get(value)

    def constant(self, value: str, limit: int = FOLDED) -> np.ndarray | None:
        """A value that no input of the model has a part in, computed exactly; None otherwise, or if it has over `limit` elements."""
        from symconv.frontends.onnx.constants import constant

        return constant(self, value, limit)

    def shape(self, value: str) -> tuple[Dimension, ...] | None:
        """The extents of a value as far as inputs, initializers and declarations tell; None if not even the rank is known."""
        from symconv.frontends.onnx.shapes import analysis

        found = analysis(self).shape(value)
        return None if found is None else tuple(extent.number if extent.number is not None else str(extent) for extent in found)

    def remembered(self, what: str, make: Callable[[], T]) -> T:
        """What was made once for this model under that name."""
        if what not in self._memory:
            self._memory[what] = make()
        return cast("T", self._memory[what])


def load(path: str | Path) -> OnnxModel:
    """Opens a model; weights in external files are located and measured, not loaded.

    Raises:
        ModelError: the file cannot be read, is no ONNX model, or is malformed.
    """
    path = Path(path)
    proto = _parse(path)
    if not proto.HasField("graph"):
        raise ModelError(f"`{path}` is not an ONNX model, or is truncated: it holds no graph.")
    opset = _opset(path, proto)
    try:
        return _Reading(path, proto, opset).model()
    except RecursionError:
        raise ModelError(f"`{path}` is nested too deeply.") from None


def _parse(path: Path) -> Any:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"`{path}` is not a file.")
        if status.st_size > MOST_BYTES:
            raise ModelError(f"`{path}` has {status.st_size} bytes; an ONNX file over 2 GB must keep its weights as external data.")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"`{path}` cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    proto = ModelProto()
    try:
        proto.ParseFromString(content)
    except (DecodeError, ValueError, RecursionError):  # ValueError: text that is not UTF-8
        raise ModelError(f"`{path}` is not an ONNX model, or is damaged: it does not parse.") from None
    if not all(isinstance(text, str) for text in _texts(proto)):  # what is not UTF-8 comes as bytes
        raise ModelError(f"`{path}` is not an ONNX model, or is damaged: it holds a name that is not UTF-8.")
    return proto


def _texts(message: Any) -> Iterator[Any]:
    """Every string of a message and the messages in it; contents of tensors are not touched."""
    stack = [message]
    while stack:
        item = stack.pop()
        if isinstance(item, TensorProto):
            yield from (item.name, item.doc_string, *(part for entry in item.external_data for part in (entry.key, entry.value)))
            continue
        for field, value in item.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend(value if field.is_repeated else (value,))
            elif field.type == field.TYPE_STRING:
                yield from value if field.is_repeated else (value,)


def _opset(path: Path, proto: Any) -> int:
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    if len(versions) != 1:
        raise ModelError(f"`{path}` must name one version of the default operator set; found {sorted(versions) or 'none'}.")
    opset = int(versions.pop())
    if opset < 1:
        raise ModelError(f"`{path}` must name an operator set of version 1 or newer; found {opset}.")
    return opset


class _Reading:
    """One model on the way from message to checked graph."""

    def __init__(self, path: Path, proto: Any, opset: int) -> None:
        self.path, self.proto, self.opset = path, proto, opset
        self.folder = path.absolute().parent

    def fail(self, message: str) -> ModelError:
        return ModelError(f"`{self.path}`: {message}")

    def model(self) -> OnnxModel:
        graph = self.proto.graph
        tensors = {}
        for item in graph.initializer:
            if not item.name or item.name in tensors:
                raise self.fail(f"two initializers have the name {shown(item.name)}." if item.name else "an initializer has no name.")
            tensors[item.name] = self.tensor(item)
        sparse = {item.values.name for item in graph.sparse_initializer}
        for item in graph.sparse_initializer:
            self.tensor(item.values), self.tensor(item.indices)
        for function in self.proto.functions:
            if function.domain in ("", "ai.onnx") and defs.has(function.name):
                raise self.fail(
                    f"its function {shown(function.name)} has the name of an operator of ONNX; runtimes do not agree which counts."
                )
            self.opaque(function.node)
        declared = [item.name for item in graph.input]
        if repeated := [name for name, count in Counter(declared).items() if count > 1 or not name]:
            raise self.fail(f"two inputs have the name {shown(repeated[0])}." if repeated[0] else "an input has no name.")
        nodes = self.nodes(graph)
        producers = self.producers(nodes, {*declared, *tensors, *sparse})
        self.check_used(nodes, {*declared, *tensors, *sparse, *producers}, graph)
        nodes = self.sorted(nodes, producers)
        for node in nodes:
            held = node.attributes.get("value")
            if node.op == "Constant" and node.domain == "" and isinstance(held, Tensor) and node.outputs:
                tensors[node.outputs[0]] = attrs.evolve(held, name=node.outputs[0])
        consumers: dict[str, dict[int, Node]] = defaultdict(dict)
        for node in nodes:
            for value in (*node.inputs, *node.captures):
                consumers[value][node.index] = node
        given = frozenset(declared) & ({*tensors} | sparse)
        return OnnxModel(
            self.path,
            self.proto,
            self.opset,
            tuple(nodes),
            tuple(name for name in declared if name not in given),
            tuple(item.name for item in graph.output),
            given if self.proto.ir_version >= 4 else frozenset(),  # before, every initializer had to be an input as well
            MappingProxyType(tensors),
            MappingProxyType({node.name: node for node in nodes}),
            MappingProxyType(producers),
            MappingProxyType({value: tuple(users.values()) for value, users in consumers.items()}),
        )

    def tensor(self, proto: Any, name: str | None = None) -> Tensor:
        try:
            return Tensor.make(proto, self.folder, name)
        except ModelError as error:
            raise self.fail(str(error)) from None

    def nodes(self, graph: Any) -> list[Node]:
        names = _unique([item.name or next(filter(None, item.output), item.op_type) for item in graph.node])
        return [self.node(item, name, index) for index, (item, name) in enumerate(zip(graph.node, names, strict=True))]

    def node(self, item: Any, name: str, index: int) -> Node:
        if not item.op_type:
            raise self.fail(f"node {shown(name)} names no operator.")
        attributes: dict[str, Any] = {}
        for attribute in item.attribute:
            if attribute.name in attributes:
                raise self.fail(f"node {shown(name)} has two attributes {shown(attribute.name)}.")
            attributes[attribute.name] = self.attribute(name, attribute)
        domain = "" if item.domain == "ai.onnx" else item.domain
        captured = dict.fromkeys(value for graph in _graphs(item) for value in _free(graph))
        return Node(
            name, item.op_type, domain, tuple(item.input), tuple(item.output), MappingProxyType(attributes), item, index, tuple(captured)
        )

    def attribute(self, owner: str, attribute: Any) -> Any:
        """The value of one attribute; its stored tensors are checked."""
        kinds = AttributeProto
        match attribute.type:
            case kinds.FLOAT:
                return attribute.f
            case kinds.INT:
                return attribute.i
            case kinds.STRING:
                return attribute.s.decode("utf-8", "replace")
            case kinds.TENSOR:
                return self.tensor(attribute.t, attribute.t.name or f"{owner}.{attribute.name}")
            case kinds.FLOATS:
                return tuple(attribute.floats)
            case kinds.INTS:
                return tuple(attribute.ints)
            case kinds.STRINGS:
                return tuple(item.decode("utf-8", "replace") for item in attribute.strings)
            case kinds.TENSORS:
                return tuple(self.tensor(item) for item in attribute.tensors)
            case kinds.GRAPH:
                self.inside(attribute.g)
                return attribute.g
            case kinds.GRAPHS:
                for graph in attribute.graphs:
                    self.inside(graph)
                return tuple(attribute.graphs)
            case kinds.SPARSE_TENSOR:
                self.tensor(attribute.sparse_tensor.values), self.tensor(attribute.sparse_tensor.indices)
                return attribute.sparse_tensor
            case _:
                return attribute

    def inside(self, graph: Any) -> None:
        """Checks the tensors that a subgraph stores."""
        for item in graph.initializer:
            self.tensor(item)
        for item in graph.sparse_initializer:
            self.tensor(item.values), self.tensor(item.indices)
        self.opaque(graph.node)

    def opaque(self, items: Iterable[Any]) -> None:
        for item in items:
            for attribute in item.attribute:
                self.attribute(item.name, attribute)

    def producers(self, nodes: list[Node], given: set[str]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for node in nodes:
            for value in filter(None, node.outputs):
                if value in found or value in given:
                    other = f"node {shown(found[value].name)}" if value in found else "an input or initializer"
                    raise self.fail(f"the value {shown(value)} is computed by node {shown(node.name)} and also by {other}.")
                found[value] = node
        return found

    def check_used(self, nodes: list[Node], known: set[str], graph: Any) -> None:
        for node in nodes:
            for value in (*filter(None, node.inputs), *node.captures):
                if value not in known:
                    raise self.fail(f"node {shown(node.name)} uses the value {shown(value)}, which nothing computes.")
        for item in graph.output:
            if item.name not in known:
                raise self.fail(f"the output {shown(item.name)} is computed by nothing.")

    def sorted(self, nodes: list[Node], producers: dict[str, Node]) -> list[Node]:
        """The file's order where it is an order of computation, else the closest one."""
        before = [{producers[v].index for v in (*node.inputs, *node.captures) if v in producers} for node in nodes]
        after: dict[int, list[int]] = defaultdict(list)
        for index, sources in enumerate(before):
            for source in sources:
                after[source].append(index)
        missing = [len(sources) for sources in before]
        ready = [index for index, count in enumerate(missing) if count == 0]
        heapq.heapify(ready)
        order = []
        while ready:
            index = heapq.heappop(ready)
            order.append(nodes[index])
            for follower in after[index]:
                missing[follower] -= 1
                if missing[follower] == 0:
                    heapq.heappush(ready, follower)
        if len(order) < len(nodes):
            stuck = next(node for node, count in zip(nodes, missing, strict=True) if count)
            raise self.fail(f"the graph has a cycle; node {shown(stuck.name)} needs, through others, its own output.")
        return order


def _unique(names: list[str]) -> list[str]:
    """The names, each that repeats an earlier one with a number appended."""
    taken, seen, out = set(names), Counter[str](), []
    for name in names:
        seen[name] += 1
        unique = name
        while seen[name] > 1 and unique in taken:
            unique = f"{name}#{seen[name]}"
            seen[name] += unique in taken
        taken.add(unique)
        out.append(unique)
    return out


def _graphs(item: Any) -> Iterator[Any]:
    for attribute in item.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def _free(graph: Any) -> list[str]:
    """The values that a subgraph takes from outside."""
    own = {item.name for item in (*graph.input, *graph.initializer)} | {item.values.name for item in graph.sparse_initializer}
    own |= {value for item in graph.node for value in item.output}
    used = [value for item in graph.node for value in item.input]
    used += [value for item in graph.node for inner in _graphs(item) for value in _free(inner)]
    used += [item.name for item in graph.output]
    return [value for value in used if value and value not in own]

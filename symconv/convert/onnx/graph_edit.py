"""A plan as edits of a graph: which nodes and tensors go, which come, under names that nothing else has.

Owns: `edits`, `Edits`, `NewTensor`, `Rewritten`, `written`.
Must not know: bytes, files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper

from symconv.convert.choice import FORTH
from symconv.convert.onnx.bits import Transfer
from symconv.convert.onnx.emission import Emitted, Names, emit
from symconv.convert.onnx.plan import Change, Plan
from symconv.convert.onnx.weights import Held, digest
from symconv.errors import InternalError
from symconv.frontends.onnx.chains import Stretch
from symconv.frontends.onnx.graph import Node
from symconv.layers import input_channels
from symconv.prove.reshuffle import has_bias

CONSTANTS_BEFORE = 4
"""Before this IR version an initializer has to be an input too; new tensors are Constant nodes there."""


@attrs.frozen(eq=False)
class NewTensor:
    """A tensor that comes; `make` gives its content as a flat array when it is written."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    external: bool
    make: Callable[[], np.ndarray]


@attrs.frozen(eq=False)
class Rewritten:
    """A layer before and after: names of its weights' values, and their digests."""

    change: Change
    nodes: tuple[str, ...]
    kernel: str
    bias: str | None
    digests: Callable[[], dict[str, tuple[str, str]]]


@attrs.frozen(eq=False)
class Edits:
    """What changes in a graph.

    Args:
        removed_nodes: places in the file.
        new_nodes: by the place in the file that they take, one after the other.
        removed_initializers: names.
        new_tensors: in order.
        gone: values that nothing computes any more.
        layers: what was rewritten.
    """

    removed_nodes: frozenset[int]
    new_nodes: dict[int, list[NodeProto]]
    removed_initializers: frozenset[str]
    new_tensors: list[NewTensor]
    gone: frozenset[str]
    layers: tuple[Rewritten, ...]


def edits(plan: Plan) -> Edits:
    """The edits of a plan."""
    return _Editing(plan).done()


def written(plan: Plan, change: Change, kernel: str, bias: str | None, names: Names) -> Emitted:
    """The nodes that a change puts in, between the values that its stretch stands between."""
    choice, stretch = change.choice, change.stretch
    assert choice.target is not None, "it was chosen"
    return emit(
        choice.target,
        input_channels(choice.target) or input_channels(stretch.layers) or 0,
        input=stretch.input,
        output=stretch.output,
        kernel=kernel,
        bias=bias,
        base=_main(stretch).proto.name or stretch.output,
        names=names,
        opset=plan.model.opset,
        depth_to_space=plan.request.constraints.depth_to_space,
        even="symmetric-pads" in plan.request.constraints.switches,
        stepwise=change.stepwise,
    )


def _main(stretch: Stretch) -> Node:
    """The node with the weights."""
    return next(node for node in stretch.nodes if node.op in ("Conv", "ConvTranspose"))


class _Editing:
    def __init__(self, plan: Plan) -> None:
        self.plan, self.model = plan, plan.model
        self.names = Names(_taken(plan.model.proto))
        self.as_nodes = plan.model.proto.ir_version < CONSTANTS_BEFORE
        self.new_nodes: dict[int, list[NodeProto]] = {}
        self.tensors: list[NewTensor] = []
        self.moved: dict[tuple[str, int, bool], str] = {}
        self.digests: dict[str, str] = {}
        self.layers: list[Rewritten] = []

    def done(self) -> Edits:
        for change in self.plan.changes:
            self.rewrite(change)
        removed, gone = self.removed()
        return Edits(removed, self.new_nodes, self.unused(removed), self.tensors, gone, tuple(self.layers))

    def rewrite(self, change: Change) -> None:
        choice, stretch = change.choice, change.stretch
        assert choice.moves is not None, "it was chosen"
        main = _main(stretch)
        last = self.model.producer(stretch.output)
        assert last is not None, "it is computed by the stretch"
        after = choice.moves.target if choice.way == FORTH else choice.moves.source
        kernel = self.weights(change, change.kernel, change.kernel_moves)
        bias = None
        if change.bias is not None and change.bias_moves is not None and has_bias(after):
            bias = self.weights(change, change.bias, change.bias_moves)
        made = written(self.plan, change, kernel, bias, self.names)
        nodes = list(made.nodes)
        if made.main is not None:
            _inherit(nodes[made.main], main, domain=main.proto.domain)
        for name, array in made.constants.items():
            self.tensor(NewTensor(name, "INT64", array.shape, False, lambda array=array: array), last.index)  # type: ignore[misc]
        self.new_nodes.setdefault(last.index, []).extend(nodes)
        self.layers.append(
            Rewritten(change, tuple(node.output[0] for node in nodes), kernel, bias, lambda: self.digested(change, kernel, bias))
        )

    def weights(self, change: Change, held: Held, moves: Transfer) -> str:
        """The name of the moved tensor; the old one where nothing moves, one for all layers that share it and move it alike."""
        if moves.is_identity:
            return held.name
        forth = change.choice.way == FORTH
        key = (held.name, id(change.choice), moves is change.kernel_moves)
        if key not in self.moved:
            name = self.moved[key] = self.names.fresh(f"{held.name}.{change.form}")
            shape = moves.target if forth else moves.source
            last = self.model.producer(change.stretch.output)
            assert last is not None, "it is computed by the stretch"
            tensor = NewTensor(name, held.dtype, shape, held.external, lambda: self.make(name, held, moves, forth))
            self.tensor(tensor, last.index)
        return self.moved[key]

    def make(self, name: str, held: Held, moves: Transfer, forth: bool) -> np.ndarray:
        bits = held.load()
        if held.name not in self.digests:
            self.digests[held.name] = digest(bits)
        made = moves.forth(bits) if forth else moves.back(bits)
        if made is None:
            raise InternalError(f"the weights `{held.name}` are not those that were planned with; the file changed while it was read")
        self.digests[name] = digest(made)
        return made

    def digested(self, change: Change, kernel: str, bias: str | None) -> dict[str, tuple[str, str]]:
        """Digests of the weights before and after, known once the tensors are written."""
        found = {"kernel": (change.kernel, kernel)}
        if change.bias is not None and bias is not None:
            found["bias"] = (change.bias, bias)
        out = {}
        for what, (held, name) in found.items():
            if held.name not in self.digests:
                self.digests[held.name] = digest(held.load())
            out[what] = (self.digests[held.name], self.digests[name])
        return out

    def tensor(self, tensor: NewTensor, place: int) -> None:
        if not self.as_nodes:
            self.tensors.append(tensor)
            return
        array = tensor.make()
        proto = TensorProto(
            name=tensor.name, data_type=TensorProto.DataType.Value(tensor.dtype), dims=tensor.shape, raw_data=array.tobytes()
        )
        node = helper.make_node("Constant", [], [tensor.name], self.names.fresh(f"{tensor.name}/Constant"), value=proto)
        self.new_nodes.setdefault(place, []).append(node)

    def removed(self) -> tuple[frozenset[int], frozenset[str]]:
        """Nodes that go: those of the stretches, and those that served them alone; and the values that go with them."""
        model = self.model
        ends = {change.stretch.output for change in self.plan.changes}
        starts = {change.stretch.input for change in self.plan.changes} | self.still_used()
        gone: dict[int, Node] = {}
        waiting = [node for change in self.plan.changes for node in change.stretch.nodes]
        while waiting:
            node = waiting.pop()
            if node.index in gone:
                continue
            gone[node.index] = node
            waiting += [user for value in node.outputs if value and value not in ends for user in model.consumers(value)]
            for value in node.inputs:
                before = model.producer(value) if value and value not in starts else None
                if before is not None and all(self.serves(item, starts, gone) for item in before.outputs if item):
                    waiting.append(before)
        return frozenset(gone), frozenset(value for node in gone.values() for value in node.outputs if value and value not in ends)

    def still_used(self) -> set[str]:
        """Weights that the new nodes use, new ones and those that did not move."""
        found = {rewritten.kernel for rewritten in self.layers} | {rewritten.bias for rewritten in self.layers}
        return {name for name in found if name is not None}

    def serves(self, value: str, starts: set[str], gone: dict[int, Node]) -> bool:
        """Whether a value serves nothing but nodes that go."""
        seen = value in starts or value in self.model.outputs
        return not seen and all(user.index in gone for user in self.model.consumers(value))

    def unused(self, removed: frozenset[int]) -> frozenset[str]:
        """Initializers that only removed nodes used; none where training may use them too."""
        if self.model.proto.training_info:
            return frozenset()
        model, graph = self.model, self.model.proto.graph
        named = {item.name for item in graph.input} | set(model.outputs) | {item.tensor_name for item in graph.quantization_annotation}
        named |= {entry.value for item in graph.quantization_annotation for entry in item.quant_parameter_tensor_names}
        still = self.still_used() | {change.stretch.input for change in self.plan.changes}
        found = set()
        for item in graph.initializer:
            users = model.consumers(item.name)
            if users and all(user.index in removed for user in users) and item.name not in named | still:
                found.add(item.name)
        return frozenset(found)


def _inherit(node: NodeProto, before: Node, *, domain: str) -> None:
    """The node takes over what a reader may have written on the one that it stands for."""
    if before.proto.name:
        node.name = before.proto.name
    node.domain = domain
    node.doc_string = before.proto.doc_string
    if hasattr(node, "metadata_props"):
        node.metadata_props.extend(before.proto.metadata_props)


def _taken(proto: Any) -> Iterator[str]:
    """Every name in a model, in subgraphs and functions too."""
    yield from _names(proto.graph)
    for function in proto.functions:
        yield from (*function.input, *function.output)
        for node in function.node:
            yield from _node_names(node)


def _names(graph: Any) -> Iterator[str]:
    for group in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (item.name for item in group)
    yield from (item.values.name for item in graph.sparse_initializer)
    for node in graph.node:
        yield from _node_names(node)


def _node_names(node: Any) -> Iterator[str]:
    yield node.name
    yield from node.input
    yield from node.output
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from _names(attribute.g)
        for graph in attribute.graphs:
            yield from _names(graph)

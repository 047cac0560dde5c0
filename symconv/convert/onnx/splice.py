"""A model file written from another one: what changes is put in, everything else is copied byte for byte.

Owns: `write_model`, `Written`.
Must not know: why something changes, what nodes mean.

The file is not parsed and serialised again: its bytes are copied field by field, so that unknown fields, unusual encodings and order
survive. Content moves once, from the old file to the new one, tensor by tensor. Where tensors lie outside the file, all of them go into one
new file beside the new model; `external_data` is all that changes in their entries.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
from onnx import AttributeProto, TensorProto

from symconv.convert.onnx.graph_edit import Edits, NewTensor
from symconv.errors import ModelError
from symconv.frontends.onnx.graph import OnnxModel
from symconv.frontends.onnx.tensors import BITS, Tensor, shown
from symconv.frontends.onnx.wire import BYTES, Field, fields, only

GRAPH, NODE, INITIALIZER, VALUE_INFO, RAW_DATA = 7, 1, 5, 13, 9
"""Numbers of ModelProto.graph, GraphProto.node, .initializer, .value_info and TensorProto.raw_data (onnx.proto3)."""

LIMIT = (1 << 31) - (1 << 16)
"""Bytes of a model file; beyond them new tensors are written as external data."""
ALIGNED = 4096
"""External tensors of at least this size start at a multiple of it."""
CHUNK = 1 << 22


@attrs.frozen
class Written:
    """The files that were written: the model, and its external data or None."""

    model: Path
    data: Path | None


Sink = Callable[[BinaryIO], None]


@attrs.frozen(eq=False)
class Piece:
    """Some bytes of the new file: how many, and how they are written."""

    size: int
    write: Sink


def write_model(
    model: OnnxModel, edits: Edits, path: Path, *, limit: int = LIMIT, progress: Callable[[int, int, str], None] = lambda *_: None
) -> Written:
    """Writes the edited model to `path`, and its external data, if there is any, to the same name with `.data` appended.

    Raises:
        ModelError: the old file changed, or keeps tensors in places that cannot be copied.
    """
    if model.path.stat().st_size == 0:
        raise ModelError(f"`{model.path}` is empty.")
    with open(model.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        return _Splicing(model, edits, path, memoryview(buffer), progress).write(limit)


class _Splicing:
    def __init__(self, model: OnnxModel, edits: Edits, path: Path, buffer: memoryview, progress: Callable[[int, int, str], None]) -> None:
        self.model, self.edits, self.path, self.buffer, self.progress = model, edits, path, buffer, progress
        self.data = path.with_name(path.name + ".data")
        self.placed: list[tuple[int, int, Sink, str]] = []
        self.known: dict[tuple[Path, int, int], int] = {}
        self.end = 0

    def write(self, limit: int) -> Written:
        try:
            self.check_opaque()
            pieces = self.pieces(False)
            if sum(piece.size for piece in pieces) > limit:
                self.placed, self.known, self.end = [], {}, 0
                pieces = self.pieces(True)
            total = len(self.placed)
            if total:
                with open(self.data, "wb") as sink:
                    for position, (offset, _, write, name) in enumerate(self.placed):
                        self.progress(position, total, name)
                        sink.write(bytes(offset - sink.tell()))
                        write(sink)
            with open(self.path, "wb") as sink:
                for piece in pieces:
                    start = sink.tell()
                    piece.write(sink)
                    if sink.tell() - start != piece.size:
                        raise ModelError(f"`{self.model.path}` changed while it was read.")
            return Written(self.path, self.data if total else None)
        finally:
            self.buffer.release()

    def pieces(self, outside: bool) -> list[Piece]:
        """The new file, in pieces; with `outside` all new weights go to the external file."""
        graph = only(self.buffer, GRAPH)
        if graph is None:
            raise ModelError(f"`{self.model.path}` holds no graph.")
        inner = list(self.graph(graph, outside))
        size = sum(piece.size for piece in inner)
        out: list[Piece] = []
        for field in fields(self.buffer):
            if field.start == graph.start:
                out += [_given(_head(GRAPH, size)), *inner]
            else:
                out.append(self.copied(field))
        return out

    def graph(self, graph: Field, outside: bool) -> Iterator[Piece]:
        """The fields of the graph, edited."""
        listed = list(fields(self.buffer, graph.body, graph.stop))
        last = max((k for k, field in enumerate(listed) if field.number == INITIALIZER), default=len(listed) - 1)
        nodes = initializers = infos = 0
        proto = self.model.proto.graph
        for position, field in enumerate(listed):
            if field.kind != BYTES:
                yield self.copied(field)
            elif field.number == NODE:
                for node in self.edits.new_nodes.get(nodes, ()):
                    yield _message(NODE, node)
                if nodes not in self.edits.removed_nodes:
                    yield self.copied(field)
                nodes += 1
            elif field.number == INITIALIZER:
                if proto.initializer[initializers].name not in self.edits.removed_initializers:
                    yield self.kept(field, proto.initializer[initializers])
                initializers += 1
            elif field.number == VALUE_INFO:
                if proto.value_info[infos].name not in self.edits.gone | self.edits.removed_initializers:
                    yield self.copied(field)
                infos += 1
            else:
                yield self.copied(field)
            if position == last:
                yield from (self.added(tensor, outside) for tensor in self.edits.new_tensors)

    def copied(self, field: Field) -> Piece:
        return Piece(field.stop - field.start, lambda sink: self.copy(sink, field.start, field.stop))

    def copy(self, sink: BinaryIO, start: int, stop: int) -> None:
        for at in range(start, stop, CHUNK):
            sink.write(self.buffer[at : min(at + CHUNK, stop)])

    def kept(self, field: Field, proto: TensorProto) -> Piece:
        """An initializer that stays; if its content is external, it moves to the new file."""
        if proto.data_location != TensorProto.EXTERNAL:
            return self.copied(field)
        tensor = self.model.initializer(proto.name)
        assert tensor is not None, "it was loaded"
        place = tensor.location()
        key = (*place, tensor.bytes)
        if key not in self.known:
            self.known[key] = self.place(tensor.bytes, lambda sink: _stream(sink, tensor), proto.name)
        moved = TensorProto()
        moved.ParseFromString(bytes(self.buffer[field.body : field.stop]))
        self.refer(moved, self.known[key], tensor.bytes)
        return _message(INITIALIZER, moved)

    def added(self, tensor: NewTensor, outside: bool) -> Piece:
        """A new initializer."""
        size = int(np.prod(tensor.shape, dtype=object)) * BITS[tensor.dtype] // 8
        proto = TensorProto(name=tensor.name, data_type=TensorProto.DataType.Value(tensor.dtype), dims=tensor.shape)
        if tensor.external or (outside and tensor.dtype != "INT64"):
            self.refer(proto, self.place(size, lambda sink: _write_array(sink, tensor), tensor.name), size)
            return _message(INITIALIZER, proto)
        start = proto.SerializeToString()
        head = _head(RAW_DATA, size)
        whole = _head(INITIALIZER, len(start) + len(head) + size) + start + head

        def write(sink: BinaryIO) -> None:
            sink.write(whole)
            _write_array(sink, tensor)

        return Piece(len(whole) + size, write)

    def place(self, size: int, write: Sink, name: str) -> int:
        """Reserves room in the external file; returns where."""
        offset = -(-self.end // ALIGNED) * ALIGNED if size >= ALIGNED else self.end
        self.placed.append((offset, size, write, name))
        self.end = offset + size
        return offset

    def refer(self, proto: TensorProto, offset: int, size: int) -> None:
        """Makes a tensor's entry point into the new external file."""
        proto.data_location = TensorProto.EXTERNAL
        del proto.external_data[:]
        for key, value in (("location", self.data.name), ("offset", str(offset)), ("length", str(size))):
            proto.external_data.add(key=key, value=value)

    def check_opaque(self) -> None:
        """Only the graph's own initializers are moved to another external file; nodes are copied as they are."""
        proto = self.model.proto
        owners = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
        found = [(node.name, tensor) for node in owners for tensor in _tensors(node)]
        found += [(item.values.name, tensor) for item in proto.graph.sparse_initializer for tensor in (item.values, item.indices)]
        for name, tensor in found:
            if tensor.data_location == TensorProto.EXTERNAL:
                raise ModelError(
                    f"`{self.model.path}`: {shown(name)} keeps external data in an attribute, a subgraph or a sparse tensor, where it is "
                    "copied as it is and would be lost. Save the model with these inside the file."
                )


def _tensors(node: Any) -> Iterator[Any]:
    """Every tensor that a node's attributes hold, in subgraphs too."""
    kinds = AttributeProto
    for attribute in node.attribute:
        yield from [attribute.t] if attribute.type == kinds.TENSOR else attribute.tensors
        for sparse in [attribute.sparse_tensor] if attribute.type == kinds.SPARSE_TENSOR else attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)
        for graph in [attribute.g] if attribute.type == kinds.GRAPH else attribute.graphs:
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            for inner in graph.node:
                yield from _tensors(inner)


def _stream(sink: BinaryIO, tensor: Tensor) -> None:
    for chunk in tensor.chunks():
        sink.write(chunk)


def _write_array(sink: BinaryIO, tensor: NewTensor) -> None:
    array: Any = np.ascontiguousarray(tensor.make()).reshape(-1)
    sink.write(memoryview(array.byteswap() if array.dtype.byteorder == ">" else array).cast("B"))


def _message(number: int, proto: Any) -> Piece:
    body = proto.SerializeToString()
    return _given(_head(number, len(body)) + body)


def _given(content: bytes) -> Piece:
    return Piece(len(content), lambda sink: _put(sink, content))


def _put(sink: BinaryIO, content: bytes) -> None:
    sink.write(content)


def _head(number: int, size: int) -> bytes:
    """Tag and length of a field of bytes."""
    return _varint(number << 3 | BYTES) + _varint(size)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""An ONNX model that can be opened and run: copied into a folder of its own, cut by edits of its graph, handed to runtimes.

Owns: `OnnxSubject`: its weights on disk once, any number of opened models beside them.
Must not know: where a model is cut and why, what is compared.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import attrs
import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper

from symconv.conformance.graphs.crossval_integers import Whole, changeable
from symconv.conformance.runtimes import Call, load
from symconv.conformance.torch_runs import TorchSetting, Unsupported
from symconv.errors import ModelError, OutsideFragment
from symconv.frontends.model_files import open_model
from symconv.frontends.onnx.dataflow import dataflow
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.tensors import DTYPES, Tensor
from symconv.prove.graphs.dataflow import Dataflow, Value

INLINE = 1024
"""Bytes up to which a tensor stays in the model's own file."""
STORE = "weights.bin"
CHUNK = 1 << 20
FORMATS = {"FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16", "BFLOAT16": "bfloat16"}
Arrays = Mapping[str, Any]


@attrs.frozen(eq=False)
class OnnxSubject:
    """A model, copied.

    Args:
        model: the copy.
        graph: its operations.
        folder: where it and what is made of it lie; removed by whoever made it.
        formats: the number formats of its floats.
    """

    model: OnnxModel
    graph: Dataflow
    folder: Path
    formats: tuple[str, ...]
    backends = ("onnxruntime", "openvino")
    _serial: Iterator[int] = attrs.field(factory=itertools.count)

    @classmethod
    def make(cls, path: Path, folder: Path) -> OnnxSubject:
        """The copy of a file.

        Raises:
            ModelError: it cannot be read, or its weights are no numbers.
        """
        return cls._staged(open_model(path), folder, None)

    @property
    def bytes(self) -> int:
        """Size of the weights."""
        return (self.folder / STORE).stat().st_size

    def whole(self, to: Whole, folder: Path) -> OnnxSubject:
        """The same with small integers for weights."""
        return self._staged(self.model, folder, to)

    @classmethod
    def _staged(cls, model: OnnxModel, folder: Path, to: Whole | None) -> OnnxSubject:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = _Staging(model, folder, to).saved()
        except OSError as error:
            raise ModelError(f"`{model.path}` cannot be copied to a temporary folder: {error.strerror or error}.") from None
        copy = open_model(path)
        graph = attrs.evolve(dataflow(copy), source=str(model.path))
        return cls(copy, graph, folder, _formats(copy))

    def natural(self, inputs: Arrays, wanted: Sequence[Value]) -> dict[Value, Any]:
        """What the model computes at some of its values, in ONNX Runtime; floats as float64.

        Raises:
            Unsupported: the runtime refuses the model or the inputs.
        """
        if not wanted:
            return {}
        run = self.opened({}, wanted, {})
        found = run(TorchSetting("cpu", self.formats[0] if self.formats else "float32"), "onnxruntime", inputs)
        return dict(zip(wanted, found, strict=True))

    def opened(self, fed: Mapping[Value, str], outputs: Sequence[Value], samples: Arrays) -> Run:
        """The model cut as `opened.opened` says, ready to run; `samples` says what is fed (its types and ranks)."""
        proto = _Cutting(self.model, fed, outputs, samples).proto()
        path = self.folder / f"opened{next(self._serial)}.onnx"
        path.write_bytes(proto.SerializeToString())
        return Run(path, tuple(outputs), {}, {item.name for item in proto.graph.input})


@attrs.frozen(eq=False)
class Run:
    """An opened model on disk, loaded once for each setting."""

    path: Path
    outputs: tuple[Value, ...]
    _loaded: dict[tuple[str, str, str], Call | str]
    takes: set[str]

    def __call__(self, setting: TorchSetting, backend: str, inputs: Arrays) -> list[Any]:
        """The outputs for inputs by name; inputs that nothing reads are left out.

        Raises:
            Unsupported: the runtime refuses.
        """
        key = backend, setting.dtype, setting.device
        if key not in self._loaded:
            try:
                self._loaded[key] = load(backend).prepare(self.path, setting.dtype, setting.device)
            except Exception as error:  # a runtime raises what it likes
                self._loaded[key] = _told(error)
        call = self._loaded[key]
        if isinstance(call, str):
            raise Unsupported(f"{backend}: {call}")
        try:
            found = call({name: array for name, array in inputs.items() if name in self.takes})
            return [found[name] for name in self.outputs]
        except Exception as error:
            raise Unsupported(f"{backend}: {_told(error)}") from error

    def forget(self) -> None:
        """Closes all sessions."""
        self._loaded.clear()


def _told(error: Exception) -> str:
    """What a runtime says, in one line: the first, or the last one where the first ones only say where it comes from."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    line = lines[-1] if lines[0].startswith("Exception from") else lines[0]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)[:160]


def _formats(model: OnnxModel) -> tuple[str, ...]:
    """The number formats of a model's stored tensors and inputs."""
    held = [tensor.dtype for item in model.proto.graph.initializer if (tensor := model.initializer(item.name)) is not None]
    held += [TensorProto.DataType.Name(item.type.tensor_type.elem_type) for item in model.proto.graph.input]
    return tuple(dict.fromkeys(FORMATS[name] for name in held if name in FORMATS))


class _Staging:
    """One model on its way to a folder: large tensors go to one file, piece by piece."""

    def __init__(self, model: OnnxModel, folder: Path, to: Whole | None) -> None:
        self.model, self.folder, self.to = model, folder, to
        self.changed, self.ones = changeable(model) if to is not None else (frozenset(), frozenset())

    def saved(self) -> Path:
        proto = _without(self.model.proto, ("initializer",))
        with (self.folder / STORE).open("wb") as store:
            for item in self.model.proto.graph.initializer:
                tensor = self.model.initializer(item.name)
                assert tensor is not None, "it is an initializer"
                proto.graph.initializer.append(self._tensor(tensor, store))
        for node in proto.graph.node:
            self._constant(node)
        path = self.folder / "model.onnx"
        path.write_bytes(proto.SerializeToString())
        return path

    def _tensor(self, tensor: Tensor, store: BinaryIO) -> TensorProto:
        kept = TensorProto(name=tensor.name, data_type=tensor.proto.data_type, dims=tensor.shape)
        if tensor.dtype not in DTYPES:  # strings, numbers of 4 bits and such: as they are
            kept.CopyFrom(tensor.proto)
            return kept
        if tensor.bytes <= INLINE:
            kept.raw_data = b"".join(map(bytes, self._pieces(tensor)))
            return kept
        start = store.tell()
        for piece in self._pieces(tensor):
            store.write(piece)
        kept.data_location = TensorProto.EXTERNAL
        for key, value in (("location", STORE), ("offset", str(start)), ("length", str(tensor.bytes))):
            kept.external_data.add(key=key, value=value)
        return kept

    def _pieces(self, tensor: Tensor) -> Iterator[Any]:
        """The content, checked and changed if it is to be."""
        if tensor.dtype not in FORMATS:
            yield from tensor.chunks()
            return
        flat = tensor.array().reshape(-1)
        for start in range(0, max(flat.size, 1), CHUNK):
            part = flat[start : start + CHUNK]
            if not np.isfinite(part).all():
                raise ModelError(f"`{self.model.path}`: the tensor `{tensor.name}` must be finite; found NaN or infinity.")
            yield self._bits(tensor, self._new(tensor.name, part))

    def _new(self, name: str, part: np.ndarray) -> np.ndarray:
        if name in self.ones:
            return np.ones_like(part)
        return self.to(part) if self.to is not None and name in self.changed else part

    @staticmethod
    def _bits(tensor: Tensor, part: np.ndarray) -> bytes:
        if tensor.dtype == "BFLOAT16":  # held as float32 of the same values
            return (np.ascontiguousarray(part, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
        return np.ascontiguousarray(part, DTYPES[tensor.dtype]).tobytes()

    def _constant(self, node: NodeProto) -> None:
        """Numbers in a node itself: a Constant's and a slope changed; none added to variances that are ones."""
        if self.to is not None and node.op_type == "LeakyRelu":
            slope = next((item.f for item in node.attribute if item.name == "alpha"), 0.01)
            _set(node, "alpha", float(self.to(np.array([slope], dtype=np.float32))[0]))
        if node.op_type == "BatchNormalization" and len(node.input) > 4 and node.input[4] in self.ones:
            _set(node, "epsilon", 0.0)
        if node.op_type != "Constant" or not {*node.output} & (self.changed | self.ones):
            return
        tensor = self.model.initializer(node.output[0])
        assert tensor is not None, "it is stored"
        for attribute in node.attribute:
            if attribute.name == "value":
                made = TensorProto(name=attribute.t.name, data_type=attribute.t.data_type, dims=tensor.shape)
                made.raw_data = b"".join(self._pieces(tensor))
                attribute.t.CopyFrom(made)


def _set(node: NodeProto, name: str, value: float) -> None:
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


class _Cutting:
    """One model cut: nodes that the outputs need, readers of what is fed reading new inputs."""

    def __init__(self, model: OnnxModel, fed: Mapping[Value, str], outputs: Sequence[Value], samples: Arrays) -> None:
        self.model, self.fed, self.outputs, self.samples = model, fed, outputs, samples

    def proto(self) -> ModelProto:
        nodes = self._needed()
        read = {self.fed.get(value, value) for node in nodes for value in (*node.inputs, *node.captures)}
        graph = self.model.proto.graph
        proto = _without(self.model.proto, ("node", "input", "output", "initializer", "value_info"))
        proto.graph.node.extend(self._renamed(node) for node in nodes)
        proto.graph.initializer.extend(item for item in graph.initializer if item.name in read)
        proto.graph.input.extend(item for item in graph.input if item.name in read)
        is_fixed = all(isinstance(extent, int) for name in self.model.inputs for extent in self.model.shape(name) or (None,))
        for name in dict.fromkeys(self.fed.values()):
            if name in read:
                sample = np.asarray(self.samples[name])
                kind = self._kind(sample)
                proto.graph.input.append(helper.make_tensor_value_info(name, kind, sample.shape if is_fixed else [None] * sample.ndim))
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in self.outputs)
        return proto

    def _kind(self, sample: np.ndarray) -> int:
        """The element type of what is fed: floats have the model's own."""
        if sample.dtype.kind == "f":
            own = _formats(self.model)[:1] or ("float32",)
            return int(getattr(TensorProto, next(name for name, known in FORMATS.items() if known == own[0])))
        return int(helper.np_dtype_to_tensor_dtype(sample.dtype))

    def _needed(self) -> list[Node]:
        wanted = list(self.outputs)
        found: dict[int, Node] = {}
        while wanted:
            node = self.model.producer(wanted.pop())
            if node is None or node.index in found:
                continue
            if any(value in self.fed for value in node.captures):
                raise OutsideFragment(f"`{node.name}` ({node.op}) has a subgraph that reads a value at which the model is cut")
            found[node.index] = node
            wanted += [value for value in (*node.inputs, *node.captures) if value not in self.fed]
        return [node for node in self.model.nodes if node.index in found]

    def _renamed(self, node: Node) -> NodeProto:
        made = NodeProto()
        made.CopyFrom(node.proto)
        if any(value in self.fed for value in node.inputs):
            del made.input[:]
            made.input.extend(self.fed.get(value, value) for value in node.inputs)
        return made


def _without(proto: ModelProto, left_out: Sequence[str]) -> ModelProto:
    """A model's message without some fields of its graph, and without copying them on the way."""
    made = ModelProto()
    for source, target, skipped in ((proto, made, ("graph",)), (proto.graph, made.graph, left_out)):
        for field, value in source.ListFields():
            if field.name in skipped:
                continue
            if field.is_repeated:
                getattr(target, field.name).extend(value)
            elif field.type == field.TYPE_MESSAGE:
                getattr(target, field.name).CopyFrom(value)
            else:
                setattr(target, field.name, value)
    return made

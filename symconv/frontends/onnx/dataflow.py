"""An ONNX model as a graph of operations, for comparison with another.

Owns: `dataflow`.
Must not know: what nodes mean (`nodes` does), how graphs are compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from functools import partial
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from symconv.errors import ModelError
from symconv.frontends.onnx.chains import chain_to
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.meanings import growth, impurity, is_commutative, key
from symconv.frontends.onnx.network import network
from symconv.frontends.onnx.nodes import Reading, readings
from symconv.frontends.onnx.shapes import analysis
from symconv.frontends.onnx.tensors import Tensor, shown
from symconv.layers import BatchNorm, Conv, ConvTranspose, PReLU, Sequential, Shuffle
from symconv.prove.graphs.dataflow import Constant, Dataflow, Declared, Operation, Stretch

FOLDS_AT = 1 << 16
"""Elements of constants that are computed from others, at most."""
WEIGHTED = (Conv, ConvTranspose, BatchNorm, PReLU)


def dataflow(model: OnnxModel) -> Dataflow:
    """The graph of a model; weights are read when they are needed, their digests at once."""
    return _Builder(model).graph()


class _Builder:
    """One model on its way."""

    def __init__(self, model: OnnxModel) -> None:
        self.model, self.readings = model, dict(readings(model))
        self.constants: dict[str, Constant] = {}
        self.notes: dict[str, None] = {}
        self.inserted = self._insertions()
        self.readings |= {node.index: reading for reading in self.inserted for node in reading.span}
        self.spans = {id(reading): self._is_read(reading) for reading in self.readings.values()}

    def _insertions(self) -> list[Reading]:
        """Zero insertion, which `chains` reads where channels of zeros are added and then spread as phases."""
        found = []
        for reading in {id(item): item for item in self.readings.values()}.values():
            first = reading.layer.layers[0] if reading.layer is not None and reading.layer.layers else None
            pad = self.model.producer(reading.input) if isinstance(first, Shuffle) and first.order == "DCR" else None
            if pad is None or pad.op != "Pad" or self.readings[pad.index].layer is not None:
                continue
            source = pad.input(0)
            chain = chain_to(self.model, reading.output, lambda value, source=source: value == source)  # type: ignore[misc]
            if not isinstance(chain, str) and not chain.fixed:
                span = (pad, *reading.span)
                found.append(Reading(Sequential(chain.layers), None, None, chain.axes, span, chain.input, chain.output))
        return found

    def graph(self) -> Dataflow:
        operations = []
        for node in self.model.nodes:
            reading = self.readings[node.index]
            if self._is_constant(node):
                continue
            is_read, is_last = self.spans[id(reading)], node.index == reading.span[-1].index
            if is_read and is_last:
                operations.append(self._stretch(reading))
            elif not is_read or self._seen_outside(node, reading):  # what is inside a span may be used elsewhere too
                operations += self._normalisation(node) or [self._opaque(node)]
        used = {value for operation in operations for value in operation.inputs} | set(self.model.outputs)
        for value in used:
            self._constant(value)
        if self.model.overridable:
            self.notes["inputs that have a default in the file are read at their defaults"] = None
        believed = analysis(self.model).believed
        if believed:
            more = f" and {len(believed) - 3} more" if len(believed) > 3 else ""
            named = ", ".join(f"`{name}`" for name in believed[:3])
            self.notes[f"the extents that a file declares of {named}{more} are believed"] = None
        inputs = {name: self._declared(name) for name in self.model.inputs}
        return Dataflow(str(self.model.path), tuple(operations), inputs, self.model.outputs, self.constants, tuple(self.notes))

    def _declared(self, name: str) -> Declared:
        info = next(item for item in self.model.proto.graph.input if item.name == name)
        tensor = info.type.tensor_type
        if tensor.elem_type not in TensorProto.DataType.values():
            raise ModelError(
                f"`{self.model.path}`: input {shown(name)} has the element type {tensor.elem_type}, which ONNX does not define."
            )
        dtype = TensorProto.DataType.Name(tensor.elem_type) if info.type.HasField("tensor_type") else info.type.WhichOneof("value") or "?"
        return Declared(dtype, self.model.shape(name))

    def _is_read(self, reading: Reading) -> bool:
        """Whether a reading is a layer that has its weights."""
        if reading.layer is None:
            return False
        if any(getattr(layer, "bias", False) for layer in reading.layer.layers) and reading.bias is None:
            return False
        return reading.kernel is not None or not any(isinstance(layer, WEIGHTED) for layer in reading.layer.layers)

    def _seen_outside(self, node: Node, reading: Reading) -> bool:
        """Whether a value inside a span is used outside of it."""
        inside = {item.index for item in reading.span}
        values = {value for value in node.outputs if value} - {reading.output}
        return bool(values & set(self.model.outputs)) or any(u.index not in inside for v in values for u in self.model.consumers(v))

    def _is_constant(self, node: Node) -> bool:
        return all(not value or self._constant(value) is not None for value in node.outputs)

    def _constant(self, value: str) -> Constant | None:
        if not value or value in self.constants:
            return self.constants.get(value)
        tensor = self.model.initializer(value)
        if tensor is not None:
            digest = f"{tensor.dtype} {tensor.shape} {tensor.digest()}"
            self.constants[value] = Constant(tensor.shape, digest, tensor.array)
            return self.constants[value]
        node = self.model.producer(value)
        if node is None or value in self.model.inputs:
            return None
        found = self.model.constant(value, FOLDS_AT)
        if found is None:
            return None
        self.constants[value] = _held(found)
        return self.constants[value]

    def _stretch(self, reading: Reading) -> Operation:
        assert reading.layer is not None
        layers, last = reading.layer.layers, reading.span[-1]
        self.notes |= dict.fromkeys(reading.notes)
        names = (reading.kernel, reading.bias, reading.mean, reading.variance)
        held = tuple(None if name is None else self._digest(name) for name in names)
        shape = self.model.shape(reading.input)
        channels = shape[1] if shape is not None and len(shape) > 1 and isinstance(shape[1], int) else None
        fixed = None if reading.all_extents else tuple(-1 if extent is None else extent for extent in reading.extents)
        stretch = Stretch(
            layers,
            reading.axes,
            reading.input,
            reading.output,
            (layers, held, reading.form, fixed),
            partial(self._weights, reading),
            channels or None,
            fixed,
        )
        name = next((node.name for node in reading.span if node.op in ("Conv", "ConvTranspose")), last.name)
        op = " ".join(node.op for node in reading.span)
        return Operation(name, op, ("layers", stretch.key), (reading.input,), (reading.output,), stretch=stretch)

    def _digest(self, name: str) -> str:
        constant = self._constant(name)
        if constant is not None:
            return constant.digest
        found = self.model.constant(name, 1 << 31)
        assert found is not None, "a reading's parameter is constant"
        return _held(found).digest

    def _weights(self, reading: Reading) -> Any:
        assert reading.layer is not None
        if not any(isinstance(layer, WEIGHTED) for layer in reading.layer.layers):
            return (None,) * len(reading.layer.layers)
        return network(self.model, [reading.span[-1]], fixed_extents=True).weights

    def _opaque(self, node: Node) -> Operation:
        shape = self.model.shape(node.input(0)) if node.input(0) else None
        known, attributes, moved = key(self.model, node, None if shape is None else len(shape))
        inputs = [*node.inputs]
        while inputs and not inputs[-1]:
            inputs.pop()
        for position, *values in moved:
            inputs += [""] * (position + 1 - len(inputs))
            inputs[position] = self._made(values)
        names: Hashable = (known, tuple(node.captures), len(node.outputs))
        attributes |= _numbers(node)
        return Operation(
            node.name,
            node.op,
            names,
            (*inputs, *node.captures),
            node.outputs,
            is_commutative(node),
            impurity(self.model, node),
            None,
            {name: value for name, value in attributes.items() if not isinstance(value, tuple) or len(value) < 16},
            growth(node),
        )

    def _normalisation(self, node: Node) -> list[Operation]:
        """LayerNormalization as the operators that its definition (ONNX, LayerNormalization-17) and exporters of older sets write."""
        shape = self.model.shape(node.input(0))
        if node.op != "LayerNormalization" or node.domain or not node.input(1) or any(node.outputs[1:]):
            return []
        axis = node.attributes.get("axis", -1)
        if (axis >= 0 and shape is None) or node.attributes.get("stash_type", 1) != 1:
            return []
        axes = tuple(range(axis if axis < 0 else axis - len(shape or ()), 0))
        x, end = node.input(0), node.outputs[0]
        two = self._constant_of(np.array(2.0, dtype=np.float32))
        eps = self._constant_of(np.array(node.attributes.get("epsilon", 1e-5), dtype=np.float32))
        steps: list[tuple[str, tuple[str, ...], str]] = [
            ("ReduceMean", (x,), "mean"), ("Sub", (x, "mean"), "centred"), ("Pow", ("centred", two), "squares"),
            ("ReduceMean", ("squares",), "variance"), ("Add", ("variance", eps), "shifted"), ("Sqrt", ("shifted",), "root"),
            ("Div", ("centred", "root"), "normal"), ("Mul", ("normal", node.input(1)), "scaled" if node.input(2) else "end"),
        ]  # fmt: skip
        steps += [("Add", ("scaled", node.input(2)), "end")] if node.input(2) else []
        local = {name: f"{end}\0{name}" for _, _, name in steps} | {"end": end}
        made = []
        for k, (op, inputs, output) in enumerate(steps):
            names = tuple(local.get(value, value) for value in inputs)
            attributes: dict[str, Any] = {"axes": axes, "keepdims": 1} if op == "ReduceMean" else {}
            name = node.name if local[output] == end else f"{node.name} ({op}, step {k + 1})"
            made.append(self._opaque(Node(name, op, "", names, (local[output],), attributes, node.proto, node.index)))
        return made

    def _constant_of(self, array: Any) -> str:
        name = f"\0{array.dtype} {array.tolist()}"
        self.constants.setdefault(name, _held(array))
        return name

    def _made(self, values: list[int]) -> str:
        """A constant of integers that newer versions take as an input."""
        name = f"\0integers {values}"
        self.constants.setdefault(name, _held(np.array(values, dtype=np.int64)))
        return name


def _numbers(node: Node) -> dict[str, Any]:
    """Attributes that are tensors of one number, as numbers."""
    tensors = {name: value for name, value in node.attributes.items() if isinstance(value, Tensor) and value.elements == 1}
    return {name: value.array().reshape(-1)[0] for name, value in tensors.items()}


def _held(array: Any) -> Constant:
    dtype = TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(array.dtype))
    raw = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(raw.tobytes()).hexdigest()
    return Constant(tuple(array.shape), f"{dtype} {tuple(array.shape)} {digest}", lambda: array)

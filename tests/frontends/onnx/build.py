"""Small ONNX models, written in one line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from symconv.frontends.onnx.graph import OnnxModel, load
from symconv.frontends.onnx.nodes import Reading, read


def node(op: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: Any) -> NodeProto:
    """A node; names are separated by blanks, `_` is an input that is left out."""
    kept = {key: value for key, value in attributes.items() if value is not None}
    names = ["" if item == "_" else item for item in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=name or None, domain=domain or None, **kept)


def proto(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Sequence[int | str | None]],
    outputs: Iterable[str] = ("y",),
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    ir: int = 8,
) -> ModelProto:
    """A model; constants are arrays, lists of integers, or floats."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def array(value: Any) -> np.ndarray:
    found = np.asarray(value)
    return found if isinstance(value, np.ndarray) else found.astype(np.float32 if found.dtype.kind == "f" else np.int64)


def opened(folder: Path, model: ModelProto, name: str = "model.onnx") -> OnnxModel:
    """The model, written and read again."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return load(path)


def reading(
    folder: Path,
    op: str,
    shape: Sequence[int | str | None],
    constants: Mapping[str, Any] | None = None,
    opset: int = 17,
    inputs: str | None = None,
    **attributes: Any,
) -> Reading:
    """What one node is; its inputs are x and the constants, in order."""
    names = inputs if inputs is not None else " ".join(["x", *(constants or {})])
    model = opened(folder, proto([node(op, names, "y", **attributes)], {"x": shape}, constants=constants, opset=opset))
    return read(model, model.nodes[0])

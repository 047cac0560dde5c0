"""Constants folded by the specification, and operands that are no integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from symconv.frontends.onnx.graph import OnnxModel, load
from symconv.frontends.onnx.nodes import read


def slicing(path: Path, data: np.ndarray | None, operands: list[np.ndarray]) -> OnnxModel:
    """A model of one Slice, of a constant or of the input x (1, 1, h, w)."""
    names = ["starts", "ends", "axes", "steps"][: len(operands)]
    held = [numpy_helper.from_array(value, name) for value, name in zip(operands, names, strict=True)]
    if data is not None:
        held.append(numpy_helper.from_array(data, "data"))
    node = helper.make_node("Slice", ["x" if data is None else "data", *names], ["y"], name="cut")
    inward = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, "h", "w"])
    outward = helper.make_tensor_value_info("y", TensorProto.FLOAT if data is None else TensorProto.INT64, None)
    graph = helper.make_graph([node], "g", [inward], [outward], held)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path / "m.onnx")
    return load(path / "m.onnx")


@pytest.mark.parametrize(
    ("start", "end", "step", "wanted"),
    [(-9, -9, -1, [0]), (1, -9, -1, [1, 0]), (9, 0, -2, [2]), (-9, 2, 1, [0, 1]), (2, 2**31 - 1, -1, None)],
)
def test_slices_of_constants_are_those_of_the_specification(
    tmp_path: Path, start: int, end: int, step: int, wanted: list[int] | None
) -> None:
    model = slicing(tmp_path, np.arange(3), [np.array([value]) for value in (start, end, 0, step)])
    found = model.constant("y")
    assert (None if found is None else found.tolist()) == wanted


def test_a_slice_from_a_float_is_not_read(tmp_path: Path) -> None:
    whole = [np.array([value]) for value in (1, 2**31 - 1, 2)]
    model = slicing(tmp_path, None, whole)
    assert read(model, model.node("cut")).layer is not None
    reading = read(*((bent := slicing(tmp_path, None, [whole[0].astype(np.float64), *whole[1:]])), bent.node("cut")))
    assert reading.layer is None and "not integers" in reading.reason

"""ONNX's own node tests: symconv's operator applied to the inputs gives the outputs, or the node is listed with the reason."""

from __future__ import annotations

import functools
import importlib
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import ModelProto, numpy_helper  # noqa: E402

from symconv.conformance.onnx_evaluate import evaluate, exact  # noqa: E402
from symconv.frontends.onnx.graph import load  # noqa: E402
from symconv.frontends.onnx.network import network  # noqa: E402
from symconv.frontends.onnx.nodes import read  # noqa: E402

OPERATORS = {"Conv", "ConvTranspose", "DepthToSpace", "SpaceToDepth", "Pad", "Resize", "Upsample", "AveragePool"}
MODULES = ("averagepool", "conv", "convtranspose", "depthtospace", "pad", "resize", "spacetodepth", "upsample")

DILATED, WIDE, COLOURED, FRACTION = "has dilations", "more than half its kernel", "only padding with 0", "only whole factors"
OUT_OF_SCOPE = {
    "test_averagepool_2d_dilations": DILATED,
    "test_averagepool_2d_pads": WIDE,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": DILATED,
    "test_averagepool_3d_dilations_small": DILATED,
    "test_constant_pad": COLOURED,
    "test_constant_pad_axes": COLOURED,
    "test_constant_pad_negative_axes": COLOURED,
    "test_resize_downsample_scales_cubic": FRACTION,
    "test_resize_downsample_scales_cubic_A_n0p5_exclude_outside": FRACTION,
    "test_resize_downsample_scales_cubic_align_corners": FRACTION,
    "test_resize_downsample_scales_cubic_antialias": FRACTION,
    "test_resize_downsample_scales_linear": FRACTION,
    "test_resize_downsample_scales_linear_align_corners": FRACTION,
    "test_resize_downsample_scales_linear_antialias": FRACTION,
    "test_resize_downsample_scales_linear_half_pixel_symmetric": FRACTION,
    "test_resize_downsample_scales_nearest": FRACTION,
    "test_resize_downsample_sizes_cubic": FRACTION,
    "test_resize_downsample_sizes_cubic_antialias": FRACTION,
    "test_resize_downsample_sizes_linear_antialias": FRACTION,
    "test_resize_downsample_sizes_linear_pytorch_half_pixel": FRACTION,
    "test_resize_downsample_sizes_nearest": FRACTION,
    "test_resize_downsample_sizes_nearest_not_larger": "keeps the aspect ratio",
    "test_resize_downsample_sizes_nearest_not_smaller": "keeps the aspect ratio",
    "test_resize_tf_crop_and_resize": FRACTION,
    "test_resize_tf_crop_and_resize_axes_2_3": FRACTION,
    "test_resize_tf_crop_and_resize_axes_3_2": FRACTION,
    "test_resize_tf_crop_and_resize_extrapolation_value": FRACTION,
    "test_resize_upsample_scales_cubic_A_n0p5_exclude_outside": "leaves out or smooths samples",
    "test_resize_upsample_scales_cubic_asymmetric": "in asymmetric coordinates",
    "test_resize_upsample_scales_linear_half_pixel_symmetric": FRACTION,
    "test_resize_upsample_sizes_cubic": FRACTION,
    "test_resize_upsample_sizes_nearest": FRACTION,
    "test_resize_upsample_sizes_nearest_axes_2_3": FRACTION,
    "test_resize_upsample_sizes_nearest_axes_3_2": FRACTION,
    "test_resize_upsample_sizes_nearest_ceil_half_pixel": "by half_pixel and ceil",
    "test_resize_upsample_sizes_nearest_floor_align_corners": "by align_corners and floor",
    "test_resize_upsample_sizes_nearest_not_larger": "keeps the aspect ratio",
    "test_resize_upsample_sizes_nearest_not_smaller": "keeps the aspect ratio",
    "test_resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric": "by asymmetric and round_prefer_ceil",
}
"""Node tests that are no layer of symconv's, and a part of the reason that reading gives."""

FOUR_DECIMALS = {"test_averagepool_2d_ceil_last_window_starts_on_pad"}
"""Averages whose stored inputs and outputs were both rounded to four decimals, each up to half a unit of the last."""

LARGE = {"test_averagepool_3d_default"}


@functools.cache
def node_tests() -> dict[str, Any]:
    """The tests of the operators, by name; only their modules are imported, which is all that takes time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in MODULES:
            importlib.import_module(f"onnx.backend.test.case.node.{name}")
        from onnx.backend.test.case.node import _NodeTestCases

    found = {}
    for case in _NodeTestCases:
        if case.model is not None and len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in OPERATORS:
            found[case.name] = case
    return found


def stored(case: Any, folder: Path) -> Path:
    """The test's model with all inputs but the first as initializers, as a file."""
    model = ModelProto()
    model.CopyFrom(case.model)
    for value, array in list(zip(model.graph.input, case.data_sets[0][0], strict=True))[1:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), value.name))
    del model.graph.input[1:]
    path = folder / "node.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def names(*, large: bool) -> list[str]:
    return sorted(name for name in node_tests() if (name in LARGE) is large)


def test_the_operators_have_tests() -> None:
    assert {case.model.graph.node[0].op_type for case in node_tests().values()} == OPERATORS
    assert len(node_tests()) >= 89
    assert set(node_tests()) > set(OUT_OF_SCOPE)


@pytest.mark.slow
def test_none_is_missing() -> None:
    """The modules imported hold all tests of the operators that ONNX's loader knows."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    every = {case.name for case in cases if len(case.model.graph.node) == 1 and case.model.graph.node[0].op_type in OPERATORS}
    assert every == set(node_tests())


@pytest.mark.parametrize("name", names(large=False))
def test_node(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", names(large=True))
def test_large_node(name: str, tmp_path: Path) -> None:
    check(name, tmp_path)


def check(name: str, folder: Path) -> None:
    case = node_tests()[name]
    model = load(stored(case, folder))
    reading = read(model, model.nodes[0])
    if name in OUT_OF_SCOPE:
        assert reading.layer is None
        assert OUT_OF_SCOPE[name] in reading.reason
        return
    assert reading.layer is not None, reading.reason
    chain = network(model, model.nodes, fixed_extents=True)
    inputs, outputs = case.data_sets[0]
    for x, y in zip(np.asarray(inputs[0]), np.asarray(outputs[0]), strict=True):
        found = evaluate(chain, x)
        assert found.values.shape == y.shape
        bound = found.bound() + (Fraction(2, 20_000) if name in FOUR_DECIMALS else 0)
        assert (np.abs(found.values - np.vectorize(exact, otypes=[object])(y)) <= bound).all()

"""Single nodes as layers: what each setting is, and why others are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from symconv.errors import ModelError
from symconv.frontends.onnx.network import network, path, whole
from symconv.frontends.onnx.nodes import read
from symconv.frontends.text import parse
from symconv.layers import Sequential, flatten
from symconv.layers.expression import format_layer
from tests.frontends.onnx.build import node, opened, proto, reading

IMAGE: Sequence[int | str] = ("n", 4, "h", "w")
SIGNAL: Sequence[int | str] = ("n", 4, "t")
EVERYTHING = 2**63 - 1


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def spelled(expression: str, axes: int) -> str:
    return format_layer(Sequential(flatten(parse(expression))), axes)


Case = tuple[str, Sequence[Any], Mapping[str, Any], dict[str, Any], str]

LAYERS: list[Case] = [
    ("Conv", IMAGE, {"k": ones(6, 4, 3, 2), "b": ones(6)}, {}, "Conv2d(4, 6, (3, 2))"),
    ("Conv", IMAGE, {"k": ones(6, 2, 3, 3)}, {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 0]}, "Conv2d(4, 6, 3, stride=(2, 1), padding=(1, 0), groups=2, bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 3)}, {"pads": [0, 2], "dilations": [2]}, "ZeroPad1d((0, 2)) >> Conv1d(4, 2, 3, dilation=2, bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 3)}, {"pads": [-1, 2]}, "Crop(1, 0) >> ZeroPad1d((0, 2)) >> Conv1d(4, 2, 3, bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"auto_pad": "SAME_UPPER"}, "Conv1d(4, 2, 4, padding='same', bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"auto_pad": "SAME_LOWER"}, "ZeroPad1d((2, 1)) >> Conv1d(4, 2, 4, bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 1)}, {"auto_pad": "SAME_UPPER", "strides": [3]}, "Conv1d(4, 2, 1, stride=3, bias=False)"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"auto_pad": "VALID"}, "Conv1d(4, 2, 4, bias=False)"),
    ("ConvTranspose", IMAGE, {"k": ones(4, 2, 4, 4), "b": ones(2)}, {"strides": [2, 2], "pads": [1] * 4}, "ConvTranspose2d(4, 2, 4, stride=2, padding=1)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"strides": [2], "pads": [1, 1], "output_padding": [1]}, "ConvTranspose1d(4, 2, 3, stride=2, padding=1, output_padding=1, bias=False)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"strides": [2], "pads": [1, 0]}, "ConvTranspose1d(4, 2, 3, stride=2, bias=False) >> Crop(1, 0)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"strides": [2], "auto_pad": "SAME_UPPER"}, "ConvTranspose1d(4, 2, 3, stride=2, bias=False) >> Crop(0, 1)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"strides": [2], "auto_pad": "SAME_LOWER"}, "ConvTranspose1d(4, 2, 3, stride=2, bias=False) >> Crop(1, 0)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3), "b": ones(2)}, {"strides": [2], "pads": [-1, 0]}, "ZeroPad1d((1, 0)) >> ConvTranspose1d(4, 2, 3, stride=2) >> Crop(1, 0)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 1)}, {"strides": [3], "auto_pad": "SAME_LOWER"}, "ZeroPad1d(1) >> ConvTranspose1d(4, 2, 1, stride=3, padding=2, bias=False)"),
    ("DepthToSpace", IMAGE, {}, {"blocksize": 2}, "DepthToSpace(2)"),
    ("DepthToSpace", IMAGE, {}, {"blocksize": 2, "mode": "CRD"}, "PixelShuffle(2)"),
    ("SpaceToDepth", IMAGE, {}, {"blocksize": 3}, "SpaceToDepth(3)"),
    ("Pad", SIGNAL, {"p": [0, 0, 2, 0, 0, 3]}, {}, "ZeroPad1d((2, 3))"),
    ("Pad", SIGNAL, {"p": [0, 0, -2, 0, 0, 3]}, {}, "ZeroPad1d((-2, 3))"),
    ("Pad", SIGNAL, {"p": [0, 0, -2, 0, 0, 0]}, {"mode": "reflect"}, "Crop(2, 0)"),
    ("Pad", SIGNAL, {"p": [0, 0, 1, 0, 0, 2], "v": np.float32(0)}, {"mode": "edge"}, "ReplicationPad1d((1, 2))"),
    ("Slice", SIGNAL, {"s": [1], "e": [-2], "a": [-1]}, {}, "Crop(1, 2)"),
    ("Slice", IMAGE, {"s": [0, 3], "e": [EVERYTHING, EVERYTHING], "a": [2, 3], "t": [1, 1]}, {}, "Crop(3, 0, 0, 0)"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 3.0]}, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, "Upsample(scale_factor=(2, 3))"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 2.0]}, {"coordinate_transformation_mode": "asymmetric"}, "Upsample(scale_factor=2)"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 3.0, 3.0]}, {}, "Upsample(scale_factor=3)"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 3.0, 3.0]}, {"mode": "linear"}, "Upsample(scale_factor=3, mode='bilinear')"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 3.0, 3.0]}, {"mode": "cubic"}, "Upsample(scale_factor=3, mode='bicubic')"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 2.0]}, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, "Upsample(scale_factor=2, mode='bilinear', align_corners=True)"),
    ("AveragePool", IMAGE, {}, {"kernel_shape": [2, 2], "strides": [2, 2]}, "AvgPool2d(2)"),
    ("AveragePool", IMAGE, {}, {"kernel_shape": [3, 3], "pads": [1] * 4}, "AvgPool2d(3, stride=1, padding=1, count_include_pad=False)"),
    ("AveragePool", SIGNAL, {}, {"kernel_shape": [3], "pads": [2, 1], "count_include_pad": 1}, "ZeroPad1d((2, 1)) >> AvgPool1d(3, stride=1)"),
    ("AveragePool", SIGNAL, {}, {"kernel_shape": [4], "auto_pad": "SAME_UPPER"}, "AvgPool1d(4, stride=1, padding=2, count_include_pad=False) >> Crop(1, 0)"),
    ("BatchNormalization", IMAGE, {name: ones(4) for name in "gbmv"}, {"epsilon": 0.5}, "BatchNorm2d(4, eps=0.5)"),
    ("Mul", IMAGE, {"c": ones(4, 1, 1)}, {}, "BatchNorm2d(4, eps=0.0)"),
    ("PRelu", IMAGE, {"c": ones(4, 1, 1)}, {}, "PReLU(4)"),
    ("PRelu", IMAGE, {"c": ones(1)}, {}, "PReLU()"),
    ("LeakyRelu", IMAGE, {}, {"alpha": 0.2}, "LeakyReLU(0.2)"),
    ("Clip", IMAGE, {"low": np.float32(0), "high": np.float32(6)}, {}, "ReLU6()"),
    ("Clip", IMAGE, {"low": np.float32(-1), "high": np.float32(0.3)}, {}, "Hardtanh(-1.0, 0.3)"),
    ("HardSigmoid", IMAGE, {}, {"alpha": 1 / 6}, "Hardsigmoid()"),
    ("ThresholdedRelu", IMAGE, {}, {"alpha": 0.5}, "Threshold(0.5, 0.0)"),
    ("Selu", IMAGE, {}, {}, "SELU()"),
    ("Dropout", IMAGE, {}, {}, "Identity()"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "shape", "constants", "attributes", "expected"), LAYERS, ids=[f"{case[0]}-{case[4]}" for case in LAYERS])
def test_layers(
    tmp_path: Path, op: str, shape: Sequence[Any], constants: dict[str, Any], attributes: dict[str, Any], expected: str
) -> None:
    found = reading(tmp_path, op, shape, constants, **attributes)
    axes = len(shape) - 2
    assert found.layer is not None, found.reason
    assert format_layer(found.layer, axes) == spelled(expected, axes)
    assert found.all_extents and (found.input, found.output) == ("x", "y")


REFUSED: list[Case] = [
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"auto_pad": "SAME_UPPER", "strides": [2]}, "its pads depend on the extent"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"auto_pad": "SAME_UPPER", "pads": [1, 1]}, "both auto_pad=SAME_UPPER and pads"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"pads": [1]}, "must hold 2 integers"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"strides": [0]}, "must be at least 1"),
    ("Conv", SIGNAL, {"k": ones(2, 3, 4)}, {}, "has weights for 3 input channels, but receives 4"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4)}, {"kernel_shape": [3]}, "kernel_shape (3,), but weights of shape (2, 4, 4)"),
    ("Conv", SIGNAL, {"k": ones(3, 2, 4)}, {"group": 2}, "which does not divide"),
    ("Conv", SIGNAL, {"k": ones(2, 4, 4), "b": ones(3)}, {}, "a bias that is not one number"),
    ("Conv", IMAGE, {"k": ones(2, 4, 4)}, {}, "its input has rank 4"),
    ("Conv", ("n", 4, "a", "b", "c", "d"), {"k": ones(2, 4, 1, 1, 1, 1)}, {}, "acts on 4 spatial axes"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"output_shape": [9]}, "the fixed output_shape (9,)"),
    ("ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, {"strides": [2], "output_padding": [2]}, "ONNX wants it smaller"),
    ("DepthToSpace", IMAGE, {}, {}, "needs a positive blocksize"),
    ("DepthToSpace", SIGNAL, {}, {"blocksize": 2}, "its input has rank 3"),
    ("SpaceToDepth", IMAGE, {}, {"blocksize": 2, "mode": "CRD"}, "which operator set 17 does not have"),
    ("Pad", SIGNAL, {"p": [0, 0, 2, 0, 0, 3], "v": np.float32(1)}, {}, "only padding with 0 is linear"),
    ("Pad", SIGNAL, {"p": [0, 1, 2, 0, 0, 3]}, {}, "pads the batch or the channels"),
    ("Pad", SIGNAL, {"p": [0, 0, -2, 0, 0, 3]}, {"mode": "reflect"}, "both extends and crops"),
    ("Pad", SIGNAL, {"p": [2, 3]}, {}, "has 2 pads for 3 axes"),
    ("Slice", SIGNAL, {"s": [1], "e": [5], "a": [2]}, {}, "its end on axis 2 is not a fixed distance"),
    ("Slice", SIGNAL, {"s": [-3], "e": [EVERYTHING], "a": [2]}, {}, "its start on axis 2 is not a fixed distance"),
    ("Slice", SIGNAL, {"s": [0], "e": [EVERYTHING], "a": [2], "t": [2]}, {}, "takes one sample in 2"),
    ("Slice", SIGNAL, {"s": [1], "e": [EVERYTHING], "a": [1]}, {}, "a part of the batch or of the channels"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 1.5, 2.0]}, {}, "resizes by 1.5, 2"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 2.0, 2.0, 2.0]}, {}, "resizes the batch or the channels"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 3.0, 3.0]}, {"coordinate_transformation_mode": "asymmetric"}, "by asymmetric and round_prefer_floor"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 2.0]}, {"nearest_mode": "floor"}, "by half_pixel and floor"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 2.0]}, {"mode": "cubic", "cubic_coeff_a": -0.5}, "cubic_coeff_a=-0.5"),
    ("Resize", IMAGE, {"r": np.zeros(0, np.float32), "s": [1.0, 1.0, 2.0, 2.0]}, {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, "in asymmetric coordinates"),
    ("AveragePool", IMAGE, {}, {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1}, "windows that may start in the padding"),
    ("AveragePool", SIGNAL, {}, {"kernel_shape": [3], "pads": [1, 0], "strides": [2]}, "different ones on the two sides"),
    ("BatchNormalization", IMAGE, {name: ones(4) for name in "gbmv"}, {"training_mode": 1}, "training mode"),
    ("Mul", IMAGE, {"c": ones(4)}, {}, "varies with the batch or the position"),
    ("Add", IMAGE, {"c": ones(3, 1, 1)}, {}, "another number of channels"),
    ("PRelu", IMAGE, {"c": ones(4, 1, 5)}, {}, "varies with the batch or the position"),
    ("Clip", IMAGE, {"low": np.float32(-1)}, {}, "one bound only"),
    ("HardSigmoid", IMAGE, {}, {}, "other constants"),
    ("Softplus", IMAGE, {}, {}, "is no layer that symconv knows"),
    ("MaxPool", IMAGE, {}, {"kernel_shape": [2, 2]}, "is no layer that symconv knows"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "shape", "constants", "attributes", "expected"), REFUSED, ids=[f"{case[0]}-{case[4]}" for case in REFUSED])
def test_refused(
    tmp_path: Path, op: str, shape: Sequence[Any], constants: dict[str, Any], attributes: dict[str, Any], expected: str
) -> None:
    found = reading(tmp_path, op, shape, constants, **attributes)
    assert found.layer is None
    assert expected in found.reason


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "expected"),
    [
        ("Conv", {"k": ones(2, 4, 3)}, {"auto_pad": "SAME_UPPER", "strides": [2]}, "ZeroPad1d((0, 1)) >> Conv1d(4, 2, 3, stride=2, bias=False)"),
        ("ConvTranspose", {"k": ones(4, 2, 3)}, {"output_shape": [7], "auto_pad": "SAME_UPPER"}, "ConvTranspose1d(4, 2, 3, bias=False) >> Crop(0, 1)"),
        ("ConvTranspose", {"k": ones(4, 2, 3)}, {"output_shape": [7]}, "ConvTranspose1d(4, 2, 3, bias=False) >> Crop(1, 0)"),
        ("Slice", {"s": [-4], "e": [5], "a": [2]}, {}, "Crop(2, 1)"),
        ("Reshape", {"t": [1, 4, 6]}, {}, "Identity()"),
    ],
)  # fmt: skip
def test_fixed_extents(tmp_path: Path, op: str, constants: dict[str, Any], attributes: dict[str, Any], expected: str) -> None:
    """What depends on the extent is read where the model fixes it, and says so; a chain for all extents it is not."""
    found = reading(tmp_path, op, [1, 4, 6], constants, **attributes)
    assert found.layer is not None, found.reason
    assert format_layer(found.layer, 1) == spelled(expected, 1)
    assert found.extents == (6,) and not found.all_extents
    model = opened(tmp_path, proto([node(op, " ".join(["x", *constants]), "y", **attributes)], {"x": [1, 4, 6]}, constants=constants))
    with pytest.raises(ModelError, match=r"only at the input extents that the model fixes \(6\)"):
        network(model, model.nodes)


def test_older_operator_sets(tmp_path: Path) -> None:
    odd = {"strides": [2], "auto_pad": "SAME_UPPER"}
    assert "contradicts its text" in reading(tmp_path, "ConvTranspose", SIGNAL, {"k": ones(4, 2, 3)}, 9, **odd).reason
    assert reading(tmp_path, "Pad", SIGNAL, opset=9, pads=[0, 0, 1, 0, 0, 1]).layer is not None
    assert reading(tmp_path, "Slice", SIGNAL, opset=9, starts=[1], ends=[-1], axes=[2]).layer is not None
    assert reading(tmp_path, "Upsample", SIGNAL, {"s": [1.0, 1.0, 2.0]}, 9).layer is not None
    assert "in asymmetric" in reading(tmp_path, "Upsample", SIGNAL, {"s": [1.0, 1.0, 2.0]}, 9, mode="linear").reason
    assert reading(tmp_path, "Clip", SIGNAL, opset=9, min=0.0).layer is not None
    assert "of operator set 8" in reading(tmp_path, "Relu", SIGNAL, opset=8).reason
    assert "domain `com.example`" in reading(tmp_path, "Relu", SIGNAL, domain="com.example").reason


def test_axes_and_wrap_of_newer_operator_sets(tmp_path: Path) -> None:
    found = reading(tmp_path, "Pad", IMAGE, {"p": [1, 2], "a": [-1]}, 19, inputs="x p _ a", mode="wrap")
    assert found.layer is not None and format_layer(found.layer, 2) == "CircularPad2d((1, 2, 0, 0))"
    found = reading(tmp_path, "Resize", IMAGE, {"s": [3.0]}, 18, inputs="x _ s", axes=[2])
    assert found.layer is not None and format_layer(found.layer, 2) == "Upsample(scale_factor=(3, 1))"


def test_parts_that_are_one_layer(tmp_path: Path) -> None:
    nodes = [
        node("Pad", "x p", "a", "pad", mode="reflect"), node("Conv", "a k", "b", "conv"),
        node("Sigmoid", "b", "c", "gate"), node("Mul", "b c", "y", "product"),
    ]  # fmt: skip
    model = opened(tmp_path, proto(nodes, {"x": SIGNAL}, constants={"p": [0, 0, 1, 0, 0, 2], "k": ones(2, 4, 3)}))
    first, second = read(model, model.node("pad")), read(model, model.node("gate"))
    assert first is read(model, model.node("conv")) and second is read(model, model.node("product"))
    assert (first.input, first.output, first.kernel) == ("x", "b", "k")
    assert first.layer is not None and first.layer.layers[0].padding_mode == "reflect"
    found = network(model, whole(model))
    assert format_layer(found.layer, 1) == "ReflectionPad1d((1, 2)) >> Conv1d(4, 2, 3, bias=False) >> SiLU()"
    assert [item.name for item in path(model, model.node("conv"), model.node("gate"))] == ["pad", "conv", "gate", "product"]


def test_a_value_that_is_used_elsewhere_keeps_its_parts(tmp_path: Path) -> None:
    nodes = [node("Pad", "x p", "a"), node("Conv", "a k", "b"), node("Relu", "a", "y")]
    model = opened(tmp_path, proto(nodes, {"x": SIGNAL}, ["y", "b"], {"p": [0, 0, 1, 0, 0, 2], "k": ones(2, 4, 3)}))
    assert len(read(model, model.node("b")).span) == 1
    with pytest.raises(ModelError, match="is used by 2 nodes"):
        path(model, model.node("a"), model.node("b"))
    with pytest.raises(ModelError, match="has 1 inputs and 2 outputs"):
        whole(model)


def test_weights_have_the_stored_values(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float16)
    model = opened(tmp_path, proto([node("Conv", "x k", "y")], {"x": SIGNAL}, constants={"k": kernel}))
    (weights,) = network(model, model.nodes).weights
    assert weights is not None and weights.kernel.dtype == np.float64 and (weights.kernel == kernel).all()
    assert network(model, model.nodes).channels == 4


@pytest.mark.parametrize(("op", "scale", "shift"), [("Add", 1, 3), ("Sub", 1, -3), ("Mul", 3, 0), ("Div", 1 / 3, 0)])
def test_arithmetic_with_constants(tmp_path: Path, op: str, scale: float, shift: float) -> None:
    model = opened(tmp_path, proto([node(op, "x c", "y")], {"x": SIGNAL}, constants={"c": np.float32(3)}))
    (weights,) = network(model, model.nodes).weights
    assert weights is not None
    assert (weights.kernel / np.sqrt(weights.variance) == scale).all() and (weights.bias == shift).all()


def test_a_constant_less_the_input(tmp_path: Path) -> None:
    model = opened(tmp_path, proto([node("Sub", "c x", "y")], {"x": SIGNAL}, constants={"c": np.float32(3)}))
    (weights,) = network(model, model.nodes).weights
    assert weights is not None and (weights.kernel == -1).all() and (weights.bias == 3).all()


def test_weights_that_are_no_constants(tmp_path: Path) -> None:
    model = opened(tmp_path, proto([node("Conv", "x k", "y")], {"x": SIGNAL, "k": [2, 4, 3]}))
    found = read(model, model.nodes[0])
    assert found.layer is not None and found.kernel is None
    with pytest.raises(ModelError, match="not constant"):
        network(model, model.nodes)
    broken = opened(tmp_path, proto([node("Conv", "x k", "y")], {"x": SIGNAL}, constants={"k": ones(2, 4, 3) * np.nan}))
    with pytest.raises(ModelError, match="must be finite"):
        network(broken, broken.nodes)


def test_defaults_of_inputs_are_named(tmp_path: Path) -> None:
    model = opened(tmp_path, proto([node("Conv", "x k", "y")], {"x": SIGNAL, "k": [2, 4, 3]}, constants={"k": ones(2, 4, 3)}))
    assert model.inputs == ("x",) and model.overridable == {"k"}
    old = opened(tmp_path, proto([node("Conv", "x k", "y")], {"x": SIGNAL, "k": [2, 4, 3]}, constants={"k": ones(2, 4, 3)}, ir=3))
    assert old.overridable == frozenset()

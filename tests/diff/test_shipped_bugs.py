"""Bugs that shipped, planted in converted models: the right conversion is identical, the wrong one is refuted on an input."""

import numpy as np
import onnxruntime
import pytest
from models_for_diff import converted, integers, model, save, shipped
from onnx import helper

import symconv
from symconv.layers import ConvTranspose
from symconv.prove.graphs.outcome import Likeness

BUGS = {name: rest for name, *rest in shipped()}


def replayed(path, witness):
    """What ONNX Runtime says at the place of a witness."""
    session = onnxruntime.InferenceSession(str(path))
    inputs = {n: np.array(h["values"], dtype=h["dtype"]).reshape(h["shape"]) for n, h in witness["inputs"].items()}
    (y,) = session.run(None, inputs)
    return tuple(y.shape) if witness["at"] is None else float(y[tuple(witness["at"])])


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_that_shipped_is_refuted_by_an_input_and_named(name, tmp_path):
    right, wrong, channels, words = BUGS[name]
    a, b = model(right, channels, tmp_path / "a.onnx"), model(wrong, channels, tmp_path / "b.onnx")
    found = symconv.diff(a, b)
    assert found.relation is Likeness.DIFFERENT
    assert found.evidence == "exact run"  # small integers: what ONNX Runtime computes here is exact
    assert words in found.cause
    values = [replayed(path, found.witness) for path in (a, b)]
    assert values[0] != values[1]
    shown = [found.witness[key] for key in ("left_value", "right_value")]
    assert values == (shown if found.witness["at"] is not None else [tuple(item) for item in shown])


@pytest.mark.parametrize("name", [name for name, (right, *_) in BUGS.items() if isinstance(right[0][0], ConvTranspose)])
def test_the_right_conversion_is_proved_identical(name, tmp_path):
    right, _, channels, _ = BUGS[name]
    a, b = model(right, channels, tmp_path / "a.onnx"), model(converted(right), channels, tmp_path / "b.onnx")
    found = symconv.diff(a, b, run=False)
    assert found.relation is Likeness.IDENTICAL
    assert [row.relation for row in found.rows] == [Likeness.IDENTICAL]


def test_the_classic_shift_gives_the_published_numbers(tmp_path):
    """x=[1,2,3], w=[1,10,100]: 10 102 20 203 30 300, not 1 10 102 20 203 30 (torch-mlir 4360)."""
    weights = {"w": np.array([[[1, 10, 100]]], np.float32)}
    paths = []
    for name, pads in (("right", [1, 1]), ("wrong", [0, 2])):
        node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2], pads=pads, output_padding=[1])
        paths.append(save([node], weights, tmp_path / f"{name}.onnx", ["N", 1, "L"]))
    found = symconv.diff(*paths)
    assert found.relation is Likeness.DIFFERENT
    assert "pads are shifted by one: (0, 2) instead of (1, 1)" in found.cause
    outputs = [onnxruntime.InferenceSession(p).run(None, {"x": np.array([[[1, 2, 3]]], np.float32)})[0].ravel().tolist() for p in paths]
    assert outputs == [[10, 102, 20, 203, 30, 300], [1, 10, 102, 20, 203, 30]]


@pytest.mark.parametrize("kernel", [3, 4])
def test_same_upper_is_not_same_lower(kernel, tmp_path):
    weights = {"w": integers((2, 2, kernel))}
    paths = []
    for pad in ("SAME_UPPER", "SAME_LOWER"):
        node = helper.make_node("Conv", ["x", "w"], ["y"], auto_pad=pad)
        paths.append(save([node], weights, tmp_path / f"{pad}.onnx", ["N", 2, "L"]))
    found = symconv.diff(*paths)
    assert found.relation is (Likeness.IDENTICAL if kernel == 3 else Likeness.DIFFERENT)
    assert kernel == 3 or "shifted by one" in found.cause

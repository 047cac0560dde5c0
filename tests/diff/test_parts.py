"""Parts as operators: exact distances, normalisation folded with a proved bound, and what no proof covers."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from models_for_diff import batch_norm, changed, converted, integers, model, save, weighted
from onnx import helper

import symconv
from symconv.conformance.torch_oracle import to_module
from symconv.layers import BatchNorm, Conv, ConvTranspose, Pointwise, Sequential, Shuffle, Weights
from symconv.prove.graphs.folding import Part, fold
from symconv.prove.graphs.outcome import Likeness
from symconv.prove.graphs.stretches import LARGE, _decided, compare_parts, distance, same_layers

LAYERS = [
    Conv.make(1, 2, 4, 3, padding=1),
    Conv.make(2, 4, 4, (2, 3), stride=(2, 1), padding=1, groups=2, padding_mode="reflect"),
    ConvTranspose.make(1, 2, 3, 3, 2, 1, 1),
    ConvTranspose.make(1, 4, 2, 5, 3, 1, 1, groups=2, dilation=2),
    ConvTranspose.make(2, 2, 2, (3, 2), (2, 3), 0, 1),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_distance_of_equal_layers_is_that_of_the_general_decider(layer):
    rng = np.random.default_rng(1)
    ((_, one),) = weighted(layer, 3)
    two = Weights(one.kernel + rng.normal(size=one.kernel.shape), one.bias + rng.normal(size=one.bias.shape))
    found = distance(layer, one, two)
    general = _decided(Part((layer,), (one,)), Part((layer,), (two,)), None, 30, 0.0)
    assert found == general.distance > 0


@pytest.mark.parametrize("layer", LAYERS[1:4])
@pytest.mark.parametrize("only_bias", [False, True])
def test_the_witness_of_a_large_layer_is_one_of_the_whole_layer(layer, only_bias, monkeypatch):
    ((_, one),) = weighted(layer, 3)
    kernel, bias = one.kernel.copy(), one.bias.copy()
    (bias if only_bias else kernel)[(-1,) * (1 if only_bias else kernel.ndim)] += 9
    sides = [Part((layer,), (own,)) for own in (one, Weights(kernel, bias))]
    monkeypatch.setattr("symconv.prove.graphs.stretches.SOME", 0)
    found = same_layers(*sides).witness
    for side, key in zip(sides, ("left_value", "right_value"), strict=True):
        x = torch.zeros([1, *found["input"]["shape"]], dtype=torch.float64)
        for index, value in found["input"]["entries"]:
            x[(0, *index)] = float(value)
        y = to_module(Sequential(side.layers), layer.axes, weights=side.weights)(x)
        assert y[(0, *found["at"])].item() == float(Fraction(found[key]))
    assert found["left_value"] != found["right_value"]


def test_a_difference_that_rounding_hides_is_found():
    layer = Conv.make(1, 1, 1, 1, bias=False)
    one, two = Weights(np.array([[[1.0]]])), Weights(np.array([[[1.0 + 2.0**-52]]]))
    assert distance(layer, one, two) == Fraction(1, 2**52)
    tiny = Weights(np.array([[[1e-300]]]))
    assert distance(layer, one, tiny) == 1 - Fraction(1e-300)


def test_large_kernels_are_moved_before_they_are_compared():
    part = weighted(ConvTranspose.make(1, 64, 64, 16, 8, 4))
    part = [(part[0][0], Weights(np.random.default_rng(0).normal(size=(256, 128, 16)), np.arange(128.0)))]
    layer = ConvTranspose.make(1, 256, 128, 16, 8, 4)
    part = [(layer, part[0][1])]
    assert part[0][1].kernel.size > LARGE
    other = converted(part)
    sides = [(tuple(layer for layer, _ in side), tuple(own for _, own in side)) for side in (part, other)]
    assert compare_parts(*sides, None, 60).relation is Likeness.IDENTICAL
    (_, own) = other[0]
    nonzero = tuple(np.argwhere(own.kernel != 0)[7])
    kernel = own.kernel.copy()
    kernel[nonzero] = np.nextafter(kernel[nonzero], np.inf)
    sides[1] = (sides[1][0], (Weights(kernel, own.bias), *sides[1][1][1:]))
    found = compare_parts(*sides, None, 60)
    assert found.relation is Likeness.DIFFERENT
    assert found.distance == abs(Fraction(kernel[nonzero]) - Fraction(own.kernel[nonzero]))


@pytest.mark.parametrize("layer", [Conv.make(2, 3, 4, 3, padding=1), ConvTranspose.make(2, 2, 4, 4, 2, 1, groups=2)])
def test_normalisation_folded_in_float32_is_equal_up_to_a_proved_distance(layer, tmp_path):
    part = [*weighted(layer), *batch_norm(4, 2, 3)]
    norm = part[1][1]
    scale = norm.kernel.astype(np.float64) / np.sqrt(norm.variance.astype(np.float64) + 1e-5)
    held = part[0][1]
    factors = scale.reshape(-1, 1, 1, 1) if isinstance(layer, Conv) else np.repeat(scale.reshape(2, 2), 1, axis=0)[..., None, None]
    kernel = (held.kernel * factors).astype(np.float32)
    bias = ((held.bias - norm.mean) * scale + norm.bias).astype(np.float32)
    folded = [(layer, Weights(kernel, bias))]
    a, b = (model(side, layer.in_channels, tmp_path / f"{k}.onnx") for k, side in enumerate((part, folded)))
    found = symconv.diff(a, b)
    assert found.relation is Likeness.UP_TO
    (row,) = found.rows
    assert 0 < row.distance < Fraction(1, 10**5) and not row.exact
    assert found.bound is not None and found.bound >= row.distance
    wrong = [(layer, Weights(np.flip(kernel, 2).copy(), bias))]
    assert symconv.diff(a, model(wrong, layer.in_channels, tmp_path / "w.onnx")).relation is Likeness.DIFFERENT


def test_the_bound_of_a_folded_normalisation_holds_for_a_finer_one():
    """The exact fold lies within the bound of the float64 one, checked with 60 digits."""
    from decimal import Decimal, localcontext

    (layer, own), (norm, stats) = [*weighted(Conv.make(1, 1, 2, 3)), *batch_norm(2, 1, 5)]
    part = fold((layer, norm), (own, stats))
    with localcontext() as context:
        context.prec = 60
        for c in range(2):
            root = (Decimal(float(stats.variance[c])) + Decimal(float(norm.eps))).sqrt()
            scale = Decimal(float(stats.kernel[c])) / root
            exact = [Decimal(float(w)) * scale for w in own.kernel[c].ravel()]
            shift = (Decimal(float(own.bias[c])) - Decimal(float(stats.mean[c]))) * scale + Decimal(float(stats.bias[c]))
            gaps = [abs(e - Decimal(float(w))) for e, w in zip(exact, part.weights[0].kernel[c].ravel(), strict=True)]
            gaps.append(abs(shift - Decimal(float(part.weights[0].bias[c]))))
            assert sum(gaps) <= Decimal(part.error.numerator) / Decimal(part.error.denominator)
    assert part.error < Fraction(1, 10**12)


def test_arithmetic_that_is_exact_is_folded_without_a_bound():
    layer = Conv.make(1, 1, 2, 1)
    half = (BatchNorm(2, 1, 0.0), Weights(np.array([0.5, 4.0]), np.array([1.0, 2.0]), np.zeros(2), np.ones(2)))
    own = Weights(integers((2, 1, 1)), integers((2,)))
    part = fold((layer, half[0]), (own, half[1]))
    assert part.error == 0
    assert part.weights[0].bias.tolist() == [own.bias[0] * 0.5 + 1, own.bias[1] * 4 + 2]


def test_a_bias_as_an_add_is_the_same_layer(tmp_path):
    weights = {"w": integers((2, 3, 3)), "b": integers((2,)), "c": integers((2,)).reshape(2, 1)}
    node = helper.make_node
    one = save([node("Conv", ["x", "w", "b"], ["y"])], weights, tmp_path / "one.onnx", ["N", 3, "L"])
    two = save([node("Conv", ["x", "w"], ["a"]), node("Add", ["c", "a"], ["y"])], weights, tmp_path / "two.onnx", ["N", 3, "L"])
    assert symconv.diff(one, two).relation is Likeness.IDENTICAL


def test_a_shuffle_may_change_places_with_a_nonlinearity(tmp_path):
    conv = weighted(Conv.make(2, 2, 8, 3, padding=1))
    relu, shuffle = (Pointwise("ReLU"), None), (Shuffle((2, 2)), None)
    after = weighted(Conv.make(2, 2, 2, 1), 9)
    a = model([*conv, relu, shuffle, *after], 2, tmp_path / "a.onnx")
    b = model([*conv, shuffle, relu, *after], 2, tmp_path / "b.onnx")
    assert symconv.diff(a, b).relation is Likeness.IDENTICAL
    turned = changed([*conv, shuffle, relu, *after], Shuffle, lambda layer, own: (Shuffle((2, 2), "DCR"), own))
    assert symconv.diff(a, model(turned, 2, tmp_path / "c.onnx")).relation is Likeness.DIFFERENT


def test_same_layers_refuses_what_is_not_the_same():
    ((a, v),) = weighted(Conv.make(1, 2, 2, 3, padding=1))
    ((b, w),) = weighted(Conv.make(1, 2, 2, 3, padding=2))
    assert same_layers(Part((a,), (v,)), Part((b,), (w,))) is None


def test_a_difference_in_a_dead_channel_is_not_called_a_difference_of_the_model(tmp_path):
    """The second layer multiplies the changed channel by 0: the layers differ, the models do not, and no verdict is given."""
    node = helper.make_node
    w = integers((2, 1, 3))
    kill = np.array([[[1], [0]]], np.float32)
    relu = [node("Conv", ["x", "w"], ["a"], "first"), node("Relu", ["a"], ["b"]), node("Conv", ["b", "k"], ["y"], "second")]
    other = w.copy()
    other[1] += 1
    one = save(relu, {"w": w, "k": kill}, tmp_path / "one.onnx", ["N", 1, "L"])
    two = save(relu, {"w": other, "k": kill}, tmp_path / "two.onnx", ["N", 1, "L"])
    found = symconv.diff(one, two)
    assert found.relation is Likeness.UNKNOWN
    assert [row.relation for row in found.rows] == [Likeness.DIFFERENT]
    assert found.reason == "not_shown_at_output" and "1 part differs inside" in found.detail


def test_without_running_a_part_that_is_the_whole_model_is_refuted_by_proof(tmp_path):
    right = weighted(ConvTranspose.make(1, 1, 1, 3, 2, 1, 1))
    wrong = changed(right, ConvTranspose, lambda layer, own: (ConvTranspose.make(1, 1, 1, 3, 2, ((0, 2),), 1), own))
    a, b = (model(side, 1, tmp_path / f"{k}.onnx", around=False) for k, side in enumerate((right, wrong)))
    found = symconv.diff(a, b, run=False)
    assert found.relation is Likeness.DIFFERENT and found.evidence == "proof"
    assert found.witness["kind"] == "input"

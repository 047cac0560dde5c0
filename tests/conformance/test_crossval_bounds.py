"""The bounds behind cross-validation, against brute force: sums of taps, sizes of integers, rounding errors, transposes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from symconv.app.equivalents import random_pairs
from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Outcome
from symconv.conformance.instances import draw_exact, draw_extents, draw_real
from symconv.conformance.magnitudes import forward_bound, fraction_bits, obstacle
from symconv.conformance.pairing import pair_certificate, pair_networks
from symconv.conformance.plan import Plan
from symconv.conformance.precision import PRECISIONS, gamma, relative
from symconv.conformance.random_layers import random_layers
from symconv.conformance.rounding import backward_error, forward_error
from symconv.conformance.taps import column_sums, column_terms, row_sums, row_terms
from symconv.conformance.torch_oracle import operator_matrix
from symconv.conformance.torch_runs import TorchSetting, run_torch
from symconv.errors import CertificateError, LayerError, OutsideFragment
from symconv.frontends.text import parse
from symconv.layers import Weights, flatten
from symconv.prove.decide import decide
from symconv.prove.reshuffle import kernel_shape

LAYERS = [
    "Conv1d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)",
    "Conv2d(2, 3, (3, 2), stride=(1, 3), dilation=(2, 1), bias=False)",
    "ConvTranspose1d(4, 6, 5, stride=3, padding=1, output_padding=1, groups=2, bias=False)",
    "ConvTranspose1d(2, 3, 4, stride=4, dilation=2, output_padding=3, bias=False)",
    "ConvTranspose2d(2, 2, (4, 3), stride=(2, 1), dilation=(1, 2), bias=False)",
]


def matrix(text: str, kernel: Any, extents: tuple[int, ...]) -> tuple[Any, Any]:
    """(layer, its operator matrix) by pushing impulses through PyTorch."""
    (layer,) = flatten(parse(text))
    bound: Any = layer.bind(len(extents))
    return bound, operator_matrix(bound, len(extents), bound.in_channels, extents, (Weights(kernel),))


@pytest.mark.parametrize("text", LAYERS)
def test_sums_of_taps_bound_rows_and_columns_and_are_reached(text: str) -> None:
    (layer,) = flatten(parse(text))
    axes = layer.axes or 1
    kernel = np.random.default_rng(1).integers(1, 5, kernel_shape(layer)).astype(float)  # type: ignore[arg-type]
    extents = {1: (13,), 2: (9, 9)}[axes]
    bound, dense = matrix(text, kernel, extents)
    dense = np.abs(dense.astype(float))
    rows = dense.sum(axis=1).reshape(bound.out_channels, -1).max(axis=1)
    columns = dense.sum(axis=0).reshape(bound.in_channels, -1).max(axis=1)
    assert np.array_equal(rows, row_sums(bound, kernel))
    assert np.array_equal(columns, column_sums(bound, kernel))
    assert (dense != 0).sum(axis=1).max() == row_terms(bound)
    assert (dense != 0).sum(axis=0).max() == column_terms(bound)


def test_no_partial_sum_is_larger_than_its_bound() -> None:
    """The worst input reaches the bound, so it is not smaller than it may be."""
    chain = tuple(layer.bind(1) for layer in flatten(parse("Conv1d(2, 4, 3, padding=1) >> PixelShuffle(2) >> AvgPool1d(2)")))
    chance = np.random.default_rng(0)
    weights = (Weights(chance.integers(1, 4, (4, 2, 3)).astype(float), np.ones(4)), None, None)
    size, at = forward_bound(chain, weights, 3)
    assert size.bits == 1 and at[0].most == 3
    worst = run_torch(chain, weights, 1, np.full((1, 2, 6), 3.0), None, TorchSetting()).forward.max()
    assert worst <= size.most and size.worst == 2 * at[1].most  # a window's sum before it is halved


def test_fraction_bits() -> None:
    assert fraction_bits(np.array([1.0, 2.0])) == 0
    assert fraction_bits(np.array([0.75, 2.0])) == 2
    assert fraction_bits(np.array([1 / 3])) is None


def test_constants_that_are_no_binary_fractions_have_no_exact_mode() -> None:
    for text in (
        "AvgPool1d(3)",
        "Upsample(scale_factor=3, mode='linear')",
        "BatchNorm1d(2)",
        "Sigmoid()",
        "LeakyReLU()",
        "ReLU() >> GELU()",
    ):
        assert obstacle(tuple(layer.bind(1) for layer in flatten(parse(text)))), text
    for text in ("AvgPool1d(4)", "Upsample(scale_factor=4, mode='linear')", "ReLU6()", "Hardtanh()"):
        assert obstacle(tuple(layer.bind(1) for layer in flatten(parse(text)))) is None, text


def test_integers_drawn_stay_exact_whatever_the_order_of_summation() -> None:
    """Shuffled channels change the order of every sum; in bfloat16 nothing else than exactness survives that."""
    pair = pair_networks(parse("Conv2d(16, 4, 3, padding=1)"), parse("Conv2d(16, 4, 3, padding=1)"))
    chance = np.random.default_rng(3)
    for name in ("float32", "bfloat16", "float16"):
        found = draw_exact(pair, PRECISIONS[name], (6, 6), chance)
        assert found.bound is not None and found.bound <= 2.0 ** PRECISIONS[name].sums
        own = found.left[0]
        assert own is not None and np.count_nonzero(own.kernel)
        order = chance.permutation(16)
        again = (Weights(own.kernel[:, order], own.bias),)
        setting = TorchSetting(dtype=name, algorithm="onednn")
        one = run_torch(pair.left, found.left, 2, found.x, None, setting).forward
        two = run_torch(pair.left, again, 2, found.x[:, order], None, setting).forward
        assert np.array_equal(one, two)


def test_gamma_is_highams() -> None:
    assert gamma(3, 2.0**-53) == 3 * 2.0**-53 / (1 - 3 * 2.0**-53)
    assert gamma(2.0**53, 2.0**-53) == np.inf
    assert relative(PRECISIONS["float32"], 7, 5) == pytest.approx(gamma(8, 2.0**-24), rel=1e-12)  # storing costs nothing more
    assert relative(PRECISIONS["bfloat16"], 7, 5) > gamma(5, 2.0**-8)
    assert relative(PRECISIONS["tf32"], 1, 1) > 2 * 2.0**-10


def test_rounding_errors_stay_below_their_bounds_and_the_bounds_are_near() -> None:
    """Random layers in float32 against float64, output and gradients; a bound a thousand times too small would be seen."""
    largest = {"forward": 0.0, "input": 0.0, "parameters": 0.0}
    texts = [text for text, _ in itertools.islice(random_layers(11, (1, 2)), 12)]
    for k, text in enumerate(texts):
        try:
            layer = parse(text)
        except LayerError:
            continue
        pair = pair_networks(layer, layer)
        chance = np.random.default_rng(k)
        precision = PRECISIONS["float32"]
        found = draw_real(pair, precision, draw_extents(pair, chance), chance)
        chain = pair.left
        exact = run_torch(chain, found.left, pair.axes, found.x, (found.g, found.g), TorchSetting(algorithm="no-onednn"))
        seen = run_torch(chain, found.left, pair.axes, found.x, (found.g, found.g), TorchSetting(dtype="float32", algorithm="onednn"))
        forward = forward_error(chain, found.left, pair.axes, found.x, precision)
        back = backward_error(chain, found.left, pair.axes, forward, found.g, precision)
        largest["forward"] = max(largest["forward"], _ratio(seen.forward, exact.forward, forward.output.numpy()))
        largest["input"] = max(largest["input"], _ratio(seen.x, exact.x, back.x.numpy()))
        for at, (kernel, _) in exact.parameters.items():
            largest["parameters"] = max(largest["parameters"], _ratio(seen.parameters[at][0], kernel, back.parameters[at][0]))
    assert all(0.001 < value <= 1 for value in largest.values()), largest


def _ratio(found: Any, exact: Any, bound: Any) -> float:
    return float((np.abs(found - exact) / bound).max())


def test_a_bound_that_is_infinite_is_no_bound() -> None:
    pair = pair_networks(parse("Conv1d(1, 1, 300)"), parse("Conv1d(1, 1, 300)"))
    found = draw_real(pair, PRECISIONS["bfloat16"], (300,), np.random.default_rng(0))
    with pytest.raises(OutsideFragment, match="infinite"):
        forward_error(pair.left, found.left, 1, found.x, PRECISIONS["bfloat16"])


def test_an_infinite_bound_passes_nothing() -> None:
    """300 taps meet in one sample of the input gradient, more than bfloat16's bound can follow; the forward bound is finite."""
    pair = pair_networks(parse("ConvTranspose1d(1, 1, 300, stride=300)"), parse("ConvTranspose1d(1, 1, 300, stride=300)"))
    plan = Plan(dtypes=("bfloat16",), algorithms=("onednn",), evidence=("bounded",), extents=(2,), count=1)
    seen = {row.direction: row for row in cross_validate(pair, plan).rows}
    assert seen["forward"].outcome is Outcome.WITHIN
    assert seen["input-grad"].outcome is Outcome.UNSUPPORTED and "infinite" in seen["input-grad"].reason


def test_gradients_go_through_the_transpose_of_the_reshuffle() -> None:
    """<L theta, g> = <theta, L^T g> for every certified reshuffle, kernels and biases."""
    for k, (left, right) in enumerate(itertools.islice(random_pairs(23, (1, 2)), 10)):
        pair = pair_networks(left, right)
        chance = np.random.default_rng(k)
        for carry in pair.carries:
            if carry.source is None:
                continue
            source = draw_real(pair, PRECISIONS["float64"], draw_extents(pair, chance), chance)
            own = (source.left if pair.free == "left" else source.right)[carry.source]
            assert own is not None
            moved = carry.apply(own)
            g = chance.uniform(-1, 1, moved.kernel.shape)
            h = None if moved.bias is None else chance.uniform(-1, 1, moved.bias.shape)
            back = carry.transpose(g, h)
            one = (moved.kernel * g).sum() + (0 if h is None else (moved.bias * h).sum())
            two = (own.kernel * back[0]).sum() + (0 if own.bias is None else (own.bias * back[1]).sum())
            assert one == pytest.approx(two, rel=1e-12)


def test_a_certificate_brings_its_own_reshuffle() -> None:
    """A class with a dead tap has many reshuffles; the certificate's is used, and one that the checker rejects is refused."""
    left, right = parse("ConvTranspose1d(2, 3, 4, stride=2, padding=1)"), parse("Conv1d(2, 6, 3, padding=1) >> PixelShuffle(2)")
    record = decide(left, right, presburger=False).certificate
    assert record is not None
    pair = pair_certificate(record, "proof.json")
    assert pair.trust == "certified" and pair.source == "proof.json" and pair.free == "left"
    ours = pair_networks(left, right)
    own = Weights(np.random.default_rng(0).uniform(-1, 1, (2, 3, 4)), np.arange(3.0))
    for one, two in zip(pair.carries[0].move.apply(own.kernel, own.bias), ours.carries[0].move.apply(own.kernel, own.bias), strict=True):
        assert np.array_equal(one, two)
    moves = record["stages"][0]["weights"]["blocks"][0]["forth"]
    moves[0][1], moves[1][1] = moves[1][1], moves[0][1]
    with pytest.raises(CertificateError, match="rejects"):
        pair_certificate(record, "proof.json")


def test_a_certificate_of_a_refutation_has_nothing_to_carry() -> None:
    record = decide(
        parse("Conv1d(1, 1, 3, padding=1)"), parse("Conv1d(1, 1, 3, padding=1, padding_mode='circular')"), presburger=False
    ).certificate
    assert record is not None
    with pytest.raises(CertificateError, match="refutes both"):
        pair_certificate(record, "proof.json")

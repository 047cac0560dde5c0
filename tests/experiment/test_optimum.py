"""The best linear layers: bases against PyTorch, optima against brute force, inclusions against errors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import symconv
from symconv.conformance.torch_oracle import to_module
from symconv.errors import UsageError
from symconv.experiment.classes import LinearClass, basis_of, contained_pairs, linear_classes
from symconv.experiment.images import FIT, HELD_OUT, bundled, degraded, trimmed
from symconv.experiment.optimum import Moments, error_of, moments, optimum, psnr, total
from symconv.layers import Conv, ConvTranspose, Sequential, Weights

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "representation-power.json"
ALL = [item for r in (2, 3) for item in linear_classes(r, (1, 3))]


def test_the_classes_multiply_and_have_taps_as_they_say() -> None:
    for r, k in itertools.product((2, 3, 4), (1, 3, 5)):
        members = [item for item in linear_classes(r, (k,)) if item.group == k]
        low = next(item for item in members if item.name == "LR and shuffle")
        deconvolution = next(item for item in members if item.name == "transposed")
        nearest = [item for item in members if item.name == "nearest first"]
        assert low.cost.multiplications == deconvolution.cost.multiplications == nearest[0].cost.multiplications == r * r * k * k
        assert low.cost.parameters == deconvolution.cost.parameters == nearest[-1].cost.parameters == r * r * k * k
        assert nearest[-1].cost.multiplications == r * r * low.cost.multiplications


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.expression)
def test_bases_are_what_pytorch_computes(item: LinearClass) -> None:
    """An impulse in the middle, random integer taps: every output sample, exactly (cubic weights by r = 3 are over 108)."""
    basis = basis_of(item)
    draw = np.random.default_rng(0)
    values = {param: int(draw.integers(-9, 10)) for param in basis.parameters}
    weights = []
    for layer in item.layers:
        if isinstance(layer, (Conv, ConvTranspose)):
            kernel = np.zeros((*((1, 1) if isinstance(layer, ConvTranspose) else (layer.out_channels, 1)), *layer.kernel))
            for param, value in values.items():
                kernel[param[1:]] = value
            weights.append(Weights(kernel))
        else:
            weights.append(None)
    half = basis.reach + 2
    impulse = torch.zeros(1, 1, 2 * half + 1, 2 * half + 1, dtype=torch.float64)
    impulse[0, 0, half, half] = 108**2
    with torch.no_grad():
        found = to_module(Sequential(item.layers), 2, weights=tuple(weights))(impulse)[0, 0].numpy()
    wanted = np.zeros_like(found)
    for (py, px), (y, x), param, c in basis.terms:  # y[r q + phase] sees x[q + offset], so the impulse at half is seen by q = half - offset
        wanted[item.factor * (half - y) + py, item.factor * (half - x) + px] += float(c * (1 if param is None else values[param]) * 108**2)
    assert np.abs(found - wanted).max() <= (0 if item.factor == 2 else 1e-8)


def small_moments(reach: int, r: int = 2) -> tuple[np.ndarray, np.ndarray, Moments]:
    high = np.random.default_rng(4).random((r * 40, r * 33))
    low = degraded(high, r)
    return low, high, moments(low, high, r, reach)


@pytest.mark.parametrize(
    "expression",
    [
        "Conv2d(1, 4, 3, padding=1, bias=False) >> PixelShuffle(2)",
        'Upsample(scale_factor=2, mode="bicubic") >> Conv2d(1, 1, 3, padding=1, bias=False)',
    ],
)
def test_the_optimum_is_that_of_brute_force(expression: str) -> None:
    """Each unit kernel through PyTorch gives a column; least squares over the samples that count."""
    item = LinearClass("", 2, expression)
    basis = basis_of(item)
    low, high, held = small_moments(4)
    best = optimum(basis, held)
    columns = []
    module = to_module(Sequential(item.layers), 2)
    inside = np.s_[8:-8, 8:-8]
    (weight,) = module.parameters()
    for index in range(weight.numel()):
        with torch.no_grad():
            weight.zero_().view(-1)[index] = 1
            columns.append(module(torch.tensor(low)[None, None])[0, 0].numpy()[inside].ravel())
    wanted = high[inside].ravel()
    solution, *_ = np.linalg.lstsq(np.array(columns).T, wanted, rcond=None)
    error = float(np.mean((np.array(columns).T @ solution - wanted) ** 2))
    assert held.count == wanted.size and best.rank == len(columns)
    assert best.error == pytest.approx(error, rel=1e-10)
    assert error_of(best.weights, held) == pytest.approx(error, rel=1e-10)


def test_moments_add_up_and_refuse_images_that_are_too_small() -> None:
    low, high, whole = small_moments(2)
    fixed = basis_of(LinearClass("", 2, 'Upsample(scale_factor=2, mode="bicubic")'))
    double = total([whole, whole])
    assert optimum(fixed, double).error == pytest.approx(optimum(fixed, whole).error, rel=1e-12) and double.count == 2 * whole.count
    with pytest.raises(UsageError, match="too small"):
        moments(low[:4], high[:8], 2, 2)


def measured(r: int, kernels: tuple[int, ...]) -> tuple[tuple[LinearClass, ...], list[float], list[int]]:
    classes = linear_classes(r, kernels)
    bases = [basis_of(item) for item in classes]
    reach = max(basis.reach for basis in bases)
    fit = total([moments(degraded(high, r), high, r, reach) for image in bundled().of(FIT) for high in [trimmed(image.luminance, r)]])
    found = [optimum(basis, fit) for basis in bases]
    return classes, [best.error for best in found], [best.rank for best in found]


def check_inclusions(r: int, kernels: tuple[int, ...]) -> None:
    classes, errors, ranks = measured(r, kernels)
    number = {item.expression: k for k, item in enumerate(classes)}
    seen = 0
    for smaller, larger, equal in contained_pairs(classes):
        one, two = errors[number[smaller.expression]], errors[number[larger.expression]]
        assert two <= one * (1 + 1e-9), (smaller.expression, larger.expression)
        assert not equal or abs(one - two) <= 1e-9 * one
        seen += 1
    assert seen >= len(classes)
    for item, rank in zip(classes, ranks, strict=True):
        verdict = symconv.check(item.expression, item.expression, channels=1, presburger=False)
        assert rank == verdict.dimension.left, item.expression


def test_a_contained_class_is_never_better() -> None:
    check_inclusions(2, (3,))


@pytest.mark.slow
@pytest.mark.parametrize("r", [2, 3, 4])
def test_a_contained_class_is_never_better_anywhere_in_the_table(r: int) -> None:
    check_inclusions(r, (1, 3, 5))


@pytest.mark.parametrize("r", [2, pytest.param(3, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_the_committed_closed_forms_are_found_again(r: int) -> None:
    """To 1e-6 dB."""
    if not RESULTS.exists():
        pytest.skip("no results are committed yet")
    record = json.loads(RESULTS.read_text())
    item = next(one for one in record["linear"]["factors"] if one["factor"] == r)
    classes = linear_classes(r, tuple(record["linear"]["kernels"]))
    assert [one["expression"] for one in item["classes"]] == [one.expression for one in classes]
    images, held = bundled(), {}
    for image in images.images:
        high = trimmed(image.luminance, r)
        held[image.name] = moments(degraded(high, r), high, r, item["margin"])
    fit = total([held[image.name] for image in images.of(FIT)])
    for one, recorded in zip(classes, item["classes"], strict=True):
        best = optimum(basis_of(one), fit)
        found = [psnr(error_of(best.weights, held[image.name])) for image in images.of(HELD_OUT)]
        assert psnr(best.error) == pytest.approx(recorded["fit_psnr"], abs=1e-6)
        assert found == pytest.approx(recorded["psnr"], abs=1e-6)

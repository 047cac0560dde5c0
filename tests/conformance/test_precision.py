"""The rounding model of devices: a tensor core's arithmetic, emulated with rationals, stays within the unit that is assumed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from symconv.conformance.instances import draw_exact
from symconv.conformance.magnitudes import backward_bounds, forward_bound
from symconv.conformance.pairing import pair_networks
from symconv.conformance.precision import PRECISIONS, TENSOR_CORES, gamma, precision_on, relative
from symconv.conformance.torch_runs import TorchSetting
from symconv.frontends.text import parse

NEAREST = 2.0**-24


def exponent(value: Fraction) -> int:
    """e with 2^e <= |value| < 2^(e + 1)."""
    found = abs(value).numerator.bit_length() - abs(value).denominator.bit_length()
    return found if abs(value) >= Fraction(2) ** found else found - 1


def cut(value: Fraction, unit: Fraction) -> Fraction:
    """Truncated towards zero to a multiple of the unit."""
    whole = abs(value) // unit * unit
    return whole if value >= 0 else -whole


def step(c: Fraction, products: Sequence[Fraction], fraction_bits: int) -> Fraction:
    """Align to the largest, cut, add, round towards zero to 24 bits (Fasi et al. 2021)."""
    addends = [value for value in (c, *products) if value]
    if not addends:
        return Fraction(0)
    unit = Fraction(2) ** (max(map(exponent, addends)) - fraction_bits)
    total = sum((cut(value, unit) for value in addends), Fraction(0))
    return cut(total, Fraction(2) ** (exponent(total) - 23)) if total else total


def core(products: Sequence[Fraction], block: int, fraction_bits: int) -> Fraction:
    """A dot product in blocks, one after another."""
    c = Fraction(0)
    for start in range(0, len(products), block):
        c = step(c, products[start : start + block], fraction_bits)
    return c


def excess(products: Sequence[Fraction], block: int, fraction_bits: int) -> float:
    """The error over the sum of magnitudes."""
    error = abs(core(products, block, fraction_bits) - sum(products, Fraction(0)))
    return float(error / sum(map(abs, products)))


@pytest.mark.parametrize(("block", "fraction_bits"), [(1, 23), (4, 23), (8, 24), (16, 25), (32, 25)])
def test_a_tensor_core_stays_within_the_bound(block: int, fraction_bits: int) -> None:
    chance = random.Random(block)
    unit = precision_on("float16", "cuda").accumulate
    for _ in range(60):
        count = chance.choice((1, 2, 3, block, block + 1, 40))
        spread = chance.choice((0, 4, 13, 24))
        numbers = [(chance.randint(-2047, 2047), chance.randint(-2047, 2047), chance.randint(-spread, 0)) for _ in range(count)]
        products = [Fraction(a * b) * Fraction(2) ** shift for a, b, shift in numbers]
        if any(products):
            assert excess(products, block, fraction_bits) <= gamma(count, unit)


def test_nearest_rounding_would_be_too_narrow_a_model() -> None:
    """One large product and small ones that are each cut to nothing: beyond gamma(n + 1) of float32, within that of the model."""
    for block, fraction_bits in ((4, 23), (16, 25)):
        small = Fraction(2047, 2048) * Fraction(2) ** -fraction_bits  # below one unit of the largest, so all of it is lost
        products = [Fraction(1), *[small] * (63 * 2 ** (fraction_bits - 23))]
        found = excess(products, block, fraction_bits)
        if fraction_bits == 23:
            assert found > gamma(len(products) + 1, NEAREST)
        assert 0 < found <= gamma(len(products), precision_on("bfloat16", "cuda").accumulate)


@pytest.mark.parametrize("fraction_bits", [23, 24, 25])
def test_integers_up_to_2_to_the_24_are_exact(fraction_bits: int) -> None:
    chance = random.Random(fraction_bits)
    for _ in range(60):
        room, products = 2**24, []
        while room > 0 and len(products) < 40:
            size = min(room, chance.choice((1, 3, 2**10, 2**22)))
            products.append(Fraction(chance.choice((-1, 1)) * size))
            room -= size
        chance.shuffle(products)
        assert core(products, chance.choice((1, 4, 16)), fraction_bits) == sum(products, Fraction(0))


def test_only_what_may_run_on_tensor_cores_has_the_wider_unit() -> None:
    for name, found in PRECISIONS.items():
        assert precision_on(name, "cpu") == TorchSetting("cpu", name).precision == found
        wider = TorchSetting("cuda", name).precision
        assert wider == precision_on(name, "cuda") and wider.accumulate == (2.0**-21 if name in TENSOR_CORES else found.accumulate)
        assert (wider.narrow, wider.sums, wider.significant) == (found.narrow, found.sums, found.significant)
        assert (relative(wider, 9, 2) > relative(found, 9, 2)) == (name in TENSOR_CORES)
    assert "2^-21" in precision_on("tf32", "cuda").model and "tensor core" not in PRECISIONS["tf32"].model


def test_gradients_that_become_factors_fit_the_format() -> None:
    """In tf32 sums have 24 bits and factors 11: a gradient between two layers is a sum, and then a factor."""
    text = "Conv1d(2, 64, 3) >> ReLU() >> Conv1d(64, 64, 9)"
    pair, precision = pair_networks(parse(text), parse(text)), PRECISIONS["tf32"]
    instance = draw_exact(pair, precision, (12,), np.random.default_rng(0))
    _, at = forward_bound(pair.left, instance.left, np.abs(instance.x).max())
    _, _, factor = backward_bounds(pair.left, instance.left, at, np.abs(instance.g).max(), np.abs(instance.g).sum())
    assert 0 < factor <= 2.0**precision.significant
    first = instance.left[0]
    assert first is not None and np.abs(first.kernel).max() < 3  # the largest integers that are tried would not do

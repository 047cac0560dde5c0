"""Nonlinearities with bounds, and the digits that sums with many places are made of."""

from fractions import Fraction

import attrs
import mpmath
import numpy as np
import pytest
import torch

from symconv.conformance.graphs.functions import FUNCTIONS
from symconv.conformance.graphs.traced import Arithmetic
from symconv.conformance.graphs.wide import WideArithmetic, _digits, _places, _slices
from symconv.conformance.precision import PRECISIONS
from symconv.errors import OutsideFragment
from symconv.layers.pointwise import NONLINEARITIES

GIVEN = {"Threshold": {"threshold": 0.13, "value": 2.0}, "Hardshrink": {"lambd": 0.53}}
POINTS = np.concatenate([np.random.default_rng(0).normal(size=60) * 3, np.array([-60.0, -8.0, 0.0, 1e-30, 8.0, 19.0, 60.0])])

EXACT = {
    "Sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "LogSigmoid": lambda x: -mpmath.log1p(mpmath.exp(-x)),
    "Tanh": mpmath.tanh,
    "Tanhshrink": lambda x: x - mpmath.tanh(x),
    "SiLU": lambda x: x / (1 + mpmath.exp(-x)),
    "Mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
    "GELU": lambda x: x * mpmath.ncdf(x),
    "ELU": lambda x: x if x > 0 else mpmath.expm1(x),
    "CELU": lambda x: x if x > 0 else mpmath.expm1(x),
    "SELU": lambda x: mpmath.mpf("1.0507009873554804934") * (x if x > 0 else mpmath.mpf("1.6732632423543772848") * mpmath.expm1(x)),
    "Softplus": lambda x: x if x > 20 else mpmath.log1p(mpmath.exp(x)),
    "Softsign": lambda x: x / (1 + abs(x)),
    "Hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "Hardsigmoid": lambda x: mpmath.mpf(min(max(x + 3, 0), 6)) / 6,
    "LeakyReLU": lambda x: x if x > 0 else mpmath.mpf(0.01) * x,
}


def arguments(name):
    return dict(NONLINEARITIES[name]) | GIVEN.get(name, {})


@pytest.mark.parametrize("arithmetic", [Arithmetic(None, enclosing=True, decimals="module"), WideArithmetic(decimals="module")],
                         ids=["float64", "wide"])  # fmt: skip
@pytest.mark.parametrize("name", EXACT)
def test_balls_hold_the_exact_values(name, arithmetic):
    found = FUNCTIONS[name].apply(arithmetic, arithmetic.given(POINTS), arguments(name))
    with mpmath.workprec(400):
        for x, value, error in zip(POINTS, found.value.tolist(), found.errors[0].tolist(), strict=True):
            exact = EXACT[name](mpmath.mpf(x))
            assert abs(exact - mpmath.mpf(value)) <= error, (name, x)
    assert name == "SELU" or float((found.errors[0] / found.value.abs().clamp(min=1e-9)).max()) < 1e-3


@pytest.mark.parametrize("name", sorted(NONLINEARITIES))
def test_a_ball_around_the_input_holds_what_comes_of_any_point_in_it(name):
    """The slopes that are used are no smaller than the functions' own: differences over small and large steps."""
    arithmetic, rng = Arithmetic(None, enclosing=True, decimals="module"), np.random.default_rng(1)
    points = np.linspace(-9, 9, 1801)
    for width in (1e-6, 1e-3, 0.3):
        x = arithmetic.given(points)
        x = attrs.evolve(x, errors=(torch.full_like(x.value, width),))
        try:
            found = FUNCTIONS[name].apply(arithmetic, x, arguments(name))
        except OutsideFragment as error:
            assert name in GIVEN and "jump" in str(error)
            continue
        for side in (-1.0, 1.0, rng.uniform(-1, 1, points.size)):
            moved = FUNCTIONS[name].plain(torch.from_numpy(points + side * width), arguments(name))
            assert (moved - found.value).abs().le(found.errors[0] + 1e-14).all(), (name, width)


@pytest.mark.parametrize("name", sorted(NONLINEARITIES))
def test_obstacles_are_what_evaluation_says(name):
    for integers, arithmetic in ((False, Arithmetic(PRECISIONS["float32"])), (True, Arithmetic(None, integers=True))):
        reason = FUNCTIONS[name].obstacle(arguments(name), integers=integers)
        x = arithmetic.given(np.array([-3.0, -1.0, 2.0]))
        if reason is None:
            FUNCTIONS[name].apply(arithmetic, x, arguments(name))
        else:
            with pytest.raises(OutsideFragment):
                FUNCTIONS[name].apply(arithmetic, x, arguments(name))


def test_digits_make_up_their_value():
    rng = np.random.default_rng(2)
    integers = np.array(
        [int(v) << int(s) for v, s in zip(rng.integers(-(2**60), 2**60, 50), rng.integers(0, 200, 50), strict=True)], dtype=object
    )
    digits = _digits(integers, 10, 0)
    assert all(np.abs(digit).max() < 2**16 for _, digit in digits)
    total = sum(np.array([int(v) for v in digit], dtype=object) << power for power, digit in digits)
    assert (total == integers).all()
    weights = (rng.normal(size=40) * 2.0 ** rng.integers(-60, 5, 40)).astype(np.float32).astype(np.float64)
    slices, rest = _slices(weights, 1000)
    assert rest is None and all(np.abs(digit).max() < 2 ** (53 - 16 - 10) for _, digit in slices)
    for k, weight in enumerate(weights):
        assert sum(Fraction(int(digit[k])) * Fraction(2) ** power for power, digit in slices) == Fraction(float(weight))
    tiny = np.array([1.0, 1e-300])
    slices, rest = _slices(tiny, 1000)  # what is too small for digits is bounded
    assert rest is not None and rest[1] >= 1e-300 and rest[0] == 0


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 1e-300, -(2.0**900), 2.0**-256, -3 * 2.0**-257])
def test_places_are_cut_towards_zero(value):
    exact = Fraction(value) * 2**256
    assert abs(_places(value, 256)) <= abs(exact) < abs(_places(value, 256)) + 1
    assert _places(value, 256) * exact >= 0

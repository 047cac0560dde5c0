"""Two networks with weights tried on a few inputs, every value enclosed rigorously: an input on which they part refutes that they are one.

Owns: `find_parting`, `Parting`, `enclose`.
Must not know: certificates, verdicts.

Values are Arb balls: a midpoint and a radius that is proved to hold the exact value, whatever the nonlinearities. Two networks part where
their balls do not meet. That says nothing of how far they are apart at most, and balls that meet say nothing at all.
"""

from __future__ import annotations

import itertools
import random
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import prod
from typing import Any

import attrs
import flint
from flint import arb, fmpq

from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.layers import AvgPool, BatchNorm, Conv, ConvTranspose, Layer, Pointwise, PReLU, Weights, channels_after
from symconv.operators.budget import Budget
from symconv.operators.denote import ExtentRejected, Index, indices, output_extents, terms
from symconv.operators.domain import Domain

PRECISION = 256
"""Bits of a midpoint; sums of small integers times floats fit without rounding."""
MOST_TERMS = 3_000_000
"""Products in one pass through one network, at most; beyond, an input is not tried."""
MOST_SAMPLES = 300_000
"""Samples of any signal on the way, at most."""
TRIALS = 8
LARGEST, SMALLEST, FINEST = 1000, -1000, -4000
"""Powers of 2: no value that is shown is larger, no difference smaller, no number finer (it is shown as 0, with a radius)."""
Balls = dict[Index, Any]
_ZERO: Any = arb(0)
_ONE: Any = arb(1)


@attrs.frozen
class Parting:
    """An input on which two networks part.

    Args:
        extents: of the input.
        entries: its nonzero samples by (channel, *positions), small integers.
        at: an output sample, (channel, *positions).
        left, right: both values there, midpoints where they are not rational; more than twice the radius apart.
        radius: how far the exact values can be from those.
    """

    extents: tuple[int, ...]
    entries: tuple[tuple[Index, int], ...]
    at: Index
    left: Fraction
    right: Fraction
    radius: Fraction


Network = tuple[Sequence[Layer], Sequence[Weights | None]]


def find_parting(left: Network, right: Network, channels: int, domains: Sequence[Domain], budget: Budget) -> Parting | None:
    """The first input tried on which the two part, with as few nonzero samples as are quickly found; None if none is found.

    Args:
        left, right: bound chains with their weights.
        channels: of the input.
        domains: the extents valid for both, an axis each.
        budget: time; when it runs out the search ends without an answer.

    Raises:
        BudgetExceeded: the time ran out.
    """
    for extents in _extents(domains):
        if channels * prod(extents) > MOST_SAMPLES:
            return None
        for entries in _inputs((channels, *extents)):
            try:
                found = _parts(left, right, channels, extents, entries, budget)
            except ExtentRejected:
                break
            except (OutsideFragment, LayerError):
                return None
            if found is not None:
                return _fewer(found, left, right, channels, budget)
    return None


def _extents(domains: Sequence[Domain]) -> Iterator[tuple[int, ...]]:
    """The smallest common extents, and some larger ones, where borders are not all there is."""
    found = (tuple(item.first(least) for item in domains) for least in (1, 3, 5, 8, 13))
    return (extents for extents in dict.fromkeys(found) if None not in extents)  # type: ignore[misc]


def _inputs(shape: Index) -> Iterator[dict[Index, int]]:
    """Zero, single impulses in the middle, and small integers everywhere."""
    yield {}
    middle = tuple(n // 2 for n in shape[1:])
    yield {(0, *middle): 1}
    yield {(0, *middle): -1}
    for seed in range(TRIALS):
        chance = random.Random(seed)
        most = 1 + seed % 4 * 3
        yield {index: value for index in indices(shape) if (value := chance.randint(-most, most))}


def _parts(
    left: Network, right: Network, channels: int, extents: tuple[int, ...], entries: Mapping[Index, int], budget: Budget
) -> Parting | None:
    shape = (channels, *extents)
    budget.check_time()
    one, two = (enclose(network, shape, entries, budget) for network in (left, right))
    if one is None or two is None or one[0] != two[0]:
        return None
    with _precise():
        for at in indices(one[0]):
            a, b = one[1].get(at, _ZERO), two[1].get(at, _ZERO)
            shown = None if a.overlaps(b) else _shown(a, b)
            if shown is not None:
                return Parting(extents, tuple(sorted(entries.items())), at, *shown)
    return None


def _shown(a: Any, b: Any) -> tuple[Fraction, Fraction, Fraction] | None:
    """Two values and what they are off at most: short ones where that still tells them apart; None where no sensible ones do."""
    if any(not ball.is_finite() or abs(ball).upper() > arb((1, LARGEST)) for ball in (a, b)):
        return None
    middles = [_near(ball.mid()) for ball in (a, b)]
    values = middles[0][0], middles[1][0]
    radius = max(sum(_near(ball.rad()), off) for ball, (_, off) in zip((a, b), middles, strict=True))
    gap = abs(values[0] - values[1])
    if gap <= 2 * radius or gap < Fraction(2) ** SMALLEST:
        return None
    if not radius:
        return *values, radius
    short = Fraction(float(values[0])), Fraction(float(values[1]))
    off = radius + max(abs(x - y) for x, y in zip(values, short, strict=True))
    wider = Fraction(2) ** (off.numerator.bit_length() - off.denominator.bit_length() + 1)  # the next power of 2 is a short number
    return (*short, wider) if abs(short[0] - short[1]) > 2 * wider else (*values, radius)


def _fewer(found: Parting, left: Network, right: Network, channels: int, budget: Budget) -> Parting:
    """The same with samples set to 0 as long as the outputs still part, first many at a time."""
    size = len(found.entries) // 2
    while size >= 1 and len(found.entries) > 1:
        shorter = None
        for start in itertools.islice(range(0, len(found.entries), size), 8):
            if budget.remaining() < 0.5 * budget.seconds:
                return found
            kept = dict(found.entries[:start] + found.entries[start + size :])
            try:
                shorter = _parts(left, right, channels, found.extents, kept, budget)
            except BudgetExceeded:
                return found
            if shorter is not None:
                break
        if shorter is not None:
            found, size = shorter, min(size, max(1, len(shorter.entries) // 2))
        else:
            size //= 2
    return found


def enclose(network: Network, shape: Index, entries: Mapping[Index, int], budget: Budget) -> tuple[Index, Balls] | None:
    """The output's shape, and a ball around each output sample that can be nonzero; None if that takes too many products.

    Raises:
        ExtentRejected: a layer does not accept the extents.
        OutsideFragment: a layer that has no enclosure here.
    """
    with _precise():
        values: Balls = {index: arb(value) for index, value in entries.items()}
        spent = 0
        for layer, own in zip(*network, strict=True):
            if isinstance(layer, (Pointwise, PReLU)):
                values = _curved(layer, own, shape, values, budget)
                continue
            after = (channels_after(layer, shape[0]), *output_extents((layer,), shape[1:]))
            if prod(after) > MOST_SAMPLES:
                return None
            if isinstance(layer, BatchNorm):
                values = _normalised(layer, own, shape, values)
                budget.check_time()
            else:
                spent += _products(layer, shape, after)
                if spent > MOST_TERMS:
                    return None
                values = _linear(layer, own, shape, after, values, budget)
            shape = after
        return shape, values


def _products(layer: Layer, before: Index, after: Index) -> int:
    """The terms of a layer, those that read padding counted."""
    if isinstance(layer, Conv):
        return prod(after) * (layer.in_channels // layer.groups) * prod(layer.kernel)
    if isinstance(layer, ConvTranspose):
        return prod(before) * (layer.out_channels // layer.groups) * prod(layer.kernel)
    return prod(after) * (prod(layer.kernel) if isinstance(layer, AvgPool) else 1)


def _linear(layer: Layer, own: Weights | None, before: Index, after: Index, values: Balls, budget: Budget) -> Balls:
    found: Balls = {}
    held: dict[Any, Any] = {}
    for count, (o, i, param, coefficient) in enumerate(terms(layer, before, after)):
        if not count % 4096:
            budget.check_time()
        if i is not None and i not in values:
            continue
        key = param, coefficient
        if key not in held:
            held[key] = _coefficient(own, param) * _ball(coefficient)
        term = held[key] if i is None else held[key] * values[i]
        found[o] = found[o] + term if o in found else term
    return found


def _coefficient(own: Weights | None, param: tuple[Any, ...] | None) -> Any:
    if param is None:
        return _ONE
    assert own is not None, "layers with parameters bring weights"
    array = own.kernel if param[0] == "w" else own.bias
    return _ball(array[tuple(param[1:])])


def _normalised(layer: BatchNorm, own: Weights | None, shape: Index, values: Balls) -> Balls:
    """gamma (x - mean) / sqrt(var + eps) + beta."""
    if own is None or own.mean is None or own.variance is None:
        raise OutsideFragment("`BatchNorm` without statistics")
    scales, shifts = [], []
    for c in range(shape[0]):
        sigma = (_ball(own.variance[c]) + setting(layer.eps)).sqrt()
        gamma = _ONE if own.kernel is None else _ball(own.kernel[c])
        scales.append(gamma / sigma)
        shifts.append((_ZERO if own.bias is None else _ball(own.bias[c])) - _ball(own.mean[c]) * scales[c])
    return {index: values.get(index, _ZERO) * scales[index[0]] + shifts[index[0]] for index in indices(shape)}


def _curved(layer: Layer, own: Weights | None, shape: Index, values: Balls, budget: Budget) -> Balls:
    """A pointwise nonlinearity; samples that are left out are 0, as before."""
    slopes: list[Any] = []
    given: dict[str, Any] = {}
    if isinstance(layer, PReLU):
        assert own is not None, "layers with parameters bring weights"
        slopes = [_ball(item) for item in own.kernel]
    else:
        assert isinstance(layer, Pointwise), "the only other nonlinearity"
        given = {name: value if isinstance(value, str) else setting(value) for name, value in layer.arguments}
    found: Balls = {}
    for index in values if layer.keeps_zero else indices(shape):
        budget.check_time()
        x = values.get(index, _ZERO)
        found[index] = _leaky(x, slopes[index[0] % len(slopes)]) if isinstance(layer, PReLU) else FUNCTIONS[layer.name](x, given)
    return found


# --- nonlinearities, as PyTorch defines them ------------------------------------------------------------------------


def _choose(x: Any, at: Any, above: Callable[[Any], Any], below: Callable[[Any], Any], *, strict: bool) -> Any:
    """above(x) where x > at (`strict`) or x >= at, else below(x); both, where the ball does not say."""
    if x > at or (not strict and x >= at):
        return above(x)
    if x < at or (strict and x <= at):
        return below(x)
    return above(x).union(below(x))


def _leaky(x: Any, slope: Any) -> Any:
    return _choose(x, _ZERO, lambda v: v, lambda v: slope * v, strict=False)


def _clamp(x: Any, low: Any, high: Any) -> Any:
    return x.max(low).min(high)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


def _softplus(x: Any, beta: Any, threshold: Any) -> Any:
    return _choose(x * beta, threshold, lambda v: v / beta, lambda v: v.exp().log1p() / beta, strict=True)


def _gelu(x: Any, given: Mapping[str, Any]) -> Any:
    if given.get("approximate", "none") == "none":
        return x / 2 * (1 + (x / arb(2).sqrt()).erf())
    root = (2 / arb.pi()).sqrt().union(setting(0.7978845608028654))
    cubic = arb(fmpq(44715, 1000000)).union(setting(0.044715))
    inner = root * (x + cubic * x * x * x)
    return x / 2 * (1 + inner.tanh())


def _elu(x: Any, alpha: Any, rate: Any) -> Any:
    return _choose(x, _ZERO, lambda v: v, lambda v: alpha * (v / rate).expm1(), strict=True)


def _hard_sigmoid(x: Any) -> Any:
    return _clamp(_sixth() * x + arb((1, -1)), _ZERO, _ONE)


def _sixth() -> Any:
    """1 / 6, and the float32 number that files hold for it."""
    return arb(fmpq(1, 6)).union(setting(1 / 6))


def _mish(x: Any) -> Any:
    return x * x.exp().log1p().tanh()


def _selu(x: Any) -> Any:
    scale = setting(1.0507009873554804934193349852946)
    return scale * _elu(x, setting(1.6732632423543772848170429916717), _ONE)


FUNCTIONS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "ReLU": lambda x, _: x.max(_ZERO),
    "ReLU6": lambda x, _: _clamp(x, _ZERO, arb(6)),
    "LeakyReLU": lambda x, a: _leaky(x, a["negative_slope"]),
    "ELU": lambda x, a: _elu(x, a["alpha"], _ONE),
    "CELU": lambda x, a: _elu(x, a["alpha"], a["alpha"]),
    "SELU": lambda x, _: _selu(x),
    "GELU": _gelu,
    "Sigmoid": lambda x, _: _sigmoid(x),
    "LogSigmoid": lambda x, _: -(-x).exp().log1p(),
    "Tanh": lambda x, _: x.tanh(),
    "Tanhshrink": lambda x, _: x - x.tanh(),
    "SiLU": lambda x, _: x * _sigmoid(x),
    "Mish": lambda x, _: _mish(x),
    "Softplus": lambda x, a: _softplus(x, a["beta"], a["threshold"]),
    "Softsign": lambda x, _: x / (1 + abs(x)),
    "Softshrink": lambda x, a: (x - a["lambd"]).max(_ZERO) + (x + a["lambd"]).min(_ZERO),
    "Hardshrink": lambda x, a: _hardshrink(x, a["lambd"]),
    "Hardtanh": lambda x, a: _clamp(x, a["min_val"], a["max_val"]),
    "Hardswish": lambda x, _: x * _hard_sigmoid(x),
    "Hardsigmoid": lambda x, _: _hard_sigmoid(x),
    "Threshold": lambda x, a: _choose(x, a["threshold"], lambda v: v, lambda v: a["value"], strict=True),
}


def _hardshrink(x: Any, bound: Any) -> Any:
    """0 where -bound <= x <= bound, else x."""
    if x > bound or x < -bound:
        return x
    if x <= bound and x >= -bound:
        return _ZERO
    return x.union(_ZERO)


# --- balls ------------------------------------------------------------------------------------------------------


_LOCK = threading.RLock()
"""The precision is one for all threads."""


@contextmanager
def _precise() -> Iterator[None]:
    with _LOCK:
        before = flint.ctx.prec
        flint.ctx.prec = PRECISION
        try:
            yield
        finally:
            flint.ctx.prec = before


def _ball(value: Any) -> Any:
    """A ball around a stored number or a rational."""
    exact = Fraction(value.item() if hasattr(value, "item") else value)
    if not exact.denominator & (exact.denominator - 1):  # dyadic: no rounding
        return arb((exact.numerator, -(exact.denominator.bit_length() - 1)))
    return arb(fmpq(exact.numerator, exact.denominator))


def setting(value: float) -> Any:
    """A ball around a setting of a function, as a float64 number and as the nearest float32 one.

    A file stores the latter, and the front end reads it as the shortest decimal that is meant; a module holds the former.
    """
    exact = _ball(value)
    try:
        single = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return exact
    return exact if single == value else exact.union(_ball(single))


def _near(value: Any) -> tuple[Fraction, Fraction]:
    """An exact ball (a midpoint, a radius) of magnitude at most 2^LARGEST as a rational, and how far that is off at most."""
    mantissa, exponent = (int(part) for part in value.man_exp())
    if exponent < FINEST and mantissa:
        return Fraction(0), Fraction(2) ** max(exponent + mantissa.bit_length(), SMALLEST - 1)
    return Fraction(mantissa) * Fraction(2) ** exponent, Fraction(0)


__all__ = ["Parting", "enclose", "find_parting"]

"""The same arithmetic with hundreds of binary places, for graphs so deep that the bounds of float64 say nothing at their outputs.

Owns: `WideArithmetic`: values as integers times 2^-places with a bound beside each, exact but for the places cut off.
Must not know: graphs, operators' names.

Selections are applied to the numbers of the samples instead of the samples, maxima to their ranks. Sums of products are cut into
digits: integers of a few bits whose products and sums float64 holds exactly, so that PyTorch's own convolutions and matrix products
compute them, a pair of digits at a time. Functions are taken of Arb balls. What has no such form is computed in float64 with its bound,
which is sound, but narrows what comes after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from flint import arb, ctx
from torch import Tensor

from symconv.conformance.graphs.traced import MARGIN, Apply, Arithmetic, Kernel, Traced
from symconv.errors import OutsideFragment

DIGIT = 16
"""Bits of a digit of a value."""
HELD = 53
"""Bits of an integer that float64 holds."""
MOST_SLICES = 12
"""Digits of a weight, at most; what is left of smaller weights is bounded."""
MOST_SAMPLES = 1 << 20
NEEDLESS = 2.0**-10
"""Digits that are this small beside the bound of a value are left out of sums of products."""

Integers = np.ndarray[Any, np.dtype[Any]]


@attrs.frozen(eq=False)
class Places:
    """A value's integers, the bound on how far the exact values are from them, and the tensors that show them in float64."""

    integers: Integers
    radius: Integers
    value: Tensor
    error: Tensor


class WideArithmetic(Arithmetic):
    """Values with many places; bounds are on our own evaluation only.

    Args:
        places: binary places behind the point.
        device: where PyTorch computes.
        decimals: as in `Arithmetic`.
    """

    is_wide = True

    def __init__(self, *, places: int = 256, device: str = "cpu", decimals: str = "either") -> None:
        super().__init__(None, enclosing=True, device=device, decimals=decimals)
        self.places = places
        self.cut = 2.0**-places  # what cutting off the places behind the last one can lose

    # --- between the two forms ------------------------------------------------------------------------------------

    def lifted(self, x: Traced) -> tuple[Integers, Integers]:
        """The integers and the bounds of a value; a value that was changed since is taken as float64 has it."""
        wide = x.wide
        if isinstance(wide, Places) and wide.value is x.value and wide.error is x.errors[0]:
            return wide.integers, wide.radius
        values = x.value.detach().cpu().double().numpy()
        _check(values.size)
        found = np.empty(values.size, dtype=object)
        found[:] = [_places(v, self.places) for v in values.ravel().tolist()]
        radius = self.errors(x)[0].cpu().numpy() + self.cut * (values != np.rint(values))
        return found.reshape(values.shape), np.broadcast_to(radius, values.shape)

    def made(self, integers: Any, radius: Any, terms: int = 0) -> Traced:
        """A value of integers and bounds."""
        integers = np.asarray(integers, dtype=object)
        _check(integers.size)
        flat = integers.ravel().tolist()
        try:
            shown = [math.ldexp(float(m >> (self.places - 128)), -128) if m else 0.0 for m in flat]
        except OverflowError:
            raise OutsideFragment("a value is beyond the numbers of float64") from None
        values = np.array(shown).reshape(integers.shape)
        held = np.asarray(np.broadcast_to(radius, integers.shape) * MARGIN, dtype=np.float64)
        if not (np.isfinite(held).all() and np.isfinite(values).all()):
            raise OutsideFragment("a value or its bound is beyond the numbers of float64")
        same = np.array(
            [not rest and m == _places(v, self.places) for m, v, rest in zip(flat, shown, held.ravel().tolist(), strict=True)], dtype=bool
        )
        far = np.where(same.reshape(values.shape), 0.0, held + np.abs(values) * 2.0**-51 + 2.0**-127)
        value, errors = (torch.from_numpy(np.asarray(part)).to(self.device) for part in (values, far))
        return Traced(value, (errors,), terms=terms, wide=Places(integers, held, value, errors))

    # --- selections and maxima ------------------------------------------------------------------------------------

    def moved(self, x: Traced, apply: Apply) -> Traced:
        return self.joined([x], lambda values: apply(values[0])) if x.is_real else super().moved(x, apply)

    def joined(self, xs: Sequence[Traced], apply: Callable[[list[Tensor]], Tensor]) -> Traced:
        if not all(x.is_real for x in xs):
            return super().joined(xs, apply)
        lifts = [self.lifted(x) for x in xs]
        places, start = [], 1
        for x in xs:
            numbers = torch.arange(start, start + x.value.numel(), dtype=torch.float64, device=self.device)
            places.append(numbers.reshape(x.value.shape))
            start += x.value.numel()
        at = apply(places).cpu().numpy().astype(np.int64)
        _check(at.size)
        integers = np.concatenate([np.zeros(1, dtype=object), *(integers.ravel() for integers, _ in lifts)])
        radius = np.concatenate([np.zeros(1), *(radius.ravel() for _, radius in lifts)])
        return self.made(integers[at], radius[at], max(x.terms for x in xs))

    def extremal(self, x: Traced, apply: Apply, largest: Apply) -> Traced:
        if not x.is_real:
            return super().extremal(x, apply, largest)
        integers, radius = self.lifted(x)
        flat = integers.ravel()
        order = np.argsort(flat, kind="stable")
        ranks = np.empty(flat.size)
        ranks[order] = np.arange(flat.size)
        at = apply(torch.from_numpy(ranks.reshape(integers.shape)).to(self.device))
        if not bool(torch.isfinite(at).all()):
            raise OutsideFragment("a pooling window that lies in the padding")
        reach = largest(torch.from_numpy(np.array(radius)).to(self.device)).cpu().numpy()
        return self.made(flat[order][at.cpu().numpy().astype(np.int64)], reach)

    def chosen(self, a: Traced, b: Traced, apply: Callable[[Tensor, Tensor], Tensor]) -> Traced:
        if not (a.is_real or b.is_real):
            return super().chosen(a, b, apply)
        (m, r), (n, s) = self.lifted(a), self.lifted(b)
        choose: Any = np.maximum if apply is torch.maximum else np.minimum
        return self.made(choose(m, n), np.maximum(r, s))

    def close(self, x: Traced, apply: Apply) -> Traced:
        integers, radius = self.lifted(x)
        if apply is torch.relu:
            return self.made(np.maximum(integers, 0), radius)
        if apply is torch.abs:
            return self.made(np.abs(integers), radius)
        return super().close(x, apply)

    # --- sums, products, quotients -----------------------------------------------------------------------------------

    def sum(self, a: Traced, b: Traced, sign: int = 1) -> Traced:
        if not (a.is_real or b.is_real):
            return super().sum(a, b, sign)
        (m, r), (n, s) = self.lifted(a), self.lifted(b)
        return self.made(m + n if sign > 0 else m - n, r + s)

    def quotient(self, a: Traced, b: Traced) -> Traced:
        (m, r), (n, s) = self.lifted(a), self.lifted(b)
        least = b.value.abs().cpu().numpy() * (1 - 2.0**-50) - s - 2.0**-126
        if not (least > 0).all():
            raise OutsideFragment("a division by a number that may be 0 within its bound")
        found = (m << self.places) // n
        ratio = (a.value.abs().cpu().numpy() * (1 + 2.0**-50) + r + 2.0**-126) / least
        cut = np.where(np.asarray((m << self.places) % n == 0, dtype=bool), 0.0, self.cut)
        return self.made(found, (r + ratio * s) / least + cut)

    def product(self, a: Traced, b: Traced, apply: Callable[[Tensor, Tensor], Tensor], terms: int = 1, stores: int = 1) -> Traced:
        if not (a.is_real and b.is_real):
            return super().product(a, b, apply, terms, stores)
        (m, r), (n, s) = self.lifted(a), self.lifted(b)
        left, right = (np.abs(x.value.cpu().numpy()) * (1 + 2.0**-50) + 2.0**-126 for x in (a, b))
        if apply is torch.mul:
            return self.made((m * n) >> self.places, left * s + r * (right + s) + self.cut)

        def bounded(x: Any, y: Any) -> Any:
            return apply(torch.from_numpy(np.array(x)), torch.from_numpy(np.array(y))).numpy()

        (one, p), (two, q) = (self._digits(*part, terms) for part in ((m, r), (n, s)))
        r, s = r + p, s + q
        total: Any = 0
        for p, x in one:
            for q, y in two:
                total = total + (_whole(apply(torch.from_numpy(x), torch.from_numpy(y)).numpy()) << (p + q))
        if isinstance(total, int):
            total = np.zeros(bounded(left, right).shape, dtype=object)
        return self.made(total >> self.places, bounded(left, s) + bounded(r, right + s) + self.cut)

    def linear(self, x: Traced, apply: Apply, absolute: Apply, *, kernel: Kernel | None = None, **settings: Any) -> Traced:
        if kernel is None:
            return super().linear(x, apply, absolute, kernel=None, **settings)
        integers, radius = self.lifted(x)
        slices, rest = ([(0, None)], None) if kernel.weights is None else _slices(kernel.weights, settings["terms"])
        total: Any = 0
        digits, lost = self._digits(integers, radius, settings["terms"])
        radius = radius + lost
        for p, digit in digits:
            for q, weights in slices:
                part = kernel.apply(weights)(torch.from_numpy(digit).to(self.device)).cpu().numpy()
                total = total + (_whole(part) << (p + q + SHIFT))
        reach = absolute(torch.from_numpy(np.array(radius)).to(self.device)).cpu().numpy()
        if isinstance(total, int):
            total = np.zeros(reach.shape, dtype=object)
        if rest is not None:
            size = x.value.abs() + x.errors[0]
            reach = reach + kernel.apply(rest)(size).cpu().numpy() * MARGIN
        found = self.made(total >> SHIFT, reach + self.cut, settings["terms"])
        return found if kernel.shift is None else self.sum(found, kernel.shift)

    def _digits(self, integers: Integers, radius: Integers, terms: int) -> tuple[list[tuple[int, Integers]], float]:
        """A value as digits, without those that are small beside its bound; and what is lost by that."""
        widest = float(radius.max()) if radius.size else 0.0
        power = max(math.frexp(widest * NEEDLESS)[1] - 1 + self.places, 0) // DIGIT * DIGIT if widest else 0
        return _digits(integers, math.ceil(math.log2(max(terms, 1))), power), math.ldexp(1.0, power - self.places) if power else 0.0

    # --- functions ------------------------------------------------------------------------------------------------

    def curved(self, x: Traced, point: Callable[[Any], Any]) -> Traced:
        """A function of every sample, taken of balls."""
        integers, radius = self.lifted(x)
        made, reach = [], []
        with ctx.workprec(self.places + 64):
            unit = arb((1, self.places))
            known: dict[tuple[int, float], tuple[int, float]] = {}
            for key in zip(integers.ravel().tolist(), radius.ravel().tolist(), strict=True):
                if key not in known:
                    ball = point(arb((key[0], -self.places)) + arb(0, key[1]))
                    if not ball.is_finite():
                        raise OutsideFragment("a function is not defined, or grows beyond all bounds, on what a value may be")
                    whole = (ball.mid() * unit).floor().unique_fmpz()
                    is_exact = ball.is_exact() and arb(whole) == ball.mid() * unit
                    known[key] = int(whole), 0.0 if is_exact else float(ball.rad()) * (1 + 2.0**-20) + self.cut
                made.append(known[key][0])
                reach.append(known[key][1])
        found = np.empty(len(made), dtype=object)
        found[:] = made
        return self.made(found.reshape(integers.shape), np.array(reach).reshape(integers.shape))


SHIFT = 2048
"""More binary places than the digits of weights begin behind the point."""


def _places(value: float, places: int) -> int:
    """A float64 number times 2^places, cut off."""
    mantissa, exponent = math.frexp(value)
    whole, shift = int(mantissa * 2.0**53), exponent - 53 + places
    return whole << shift if shift >= 0 else (abs(whole) >> -shift) * (1 if whole > 0 else -1)


def _check(samples: int) -> None:
    if samples > MOST_SAMPLES:
        raise OutsideFragment(f"a value of {samples:,} samples is not evaluated with many places; {MOST_SAMPLES:,} are the most")


def _digits(integers: Integers, reserve: int, least: int) -> list[tuple[int, Integers]]:
    """Digits (power of 2, float64 integers) with the sum of digit 2^power the value; those that are all 0 or below `least` left out."""
    if DIGIT * 2 + reserve > HELD:
        raise OutsideFragment("so many terms in a sum that float64 does not hold it")
    flat = integers.ravel().tolist()
    bits = max((abs(m).bit_length() for m in flat), default=0)
    count = -(-bits // DIGIT)
    raw = b"".join(abs(m).to_bytes(count * DIGIT // 8, "little") for m in flat)
    signs = np.array([-1.0 if m < 0 else 1.0 for m in flat])
    table = np.frombuffer(raw, dtype="<u2").reshape(len(flat), count)
    kept = [k for k in range(least // DIGIT, count) if table[:, k].any()]
    return [(k * DIGIT, (table[:, k] * signs).reshape(integers.shape)) for k in kept]


def _slices(weights: Any, terms: int) -> tuple[list[tuple[int, Integers]], Integers | None]:
    """Weights as digits, and the magnitude of what is left of them, or None."""
    bits = HELD - DIGIT - math.ceil(math.log2(max(terms, 1)))
    largest = float(np.abs(weights).max()) if weights.size else 0.0
    if not largest:
        return [], None
    if bits < 4:
        raise OutsideFragment("so many terms in a sum that float64 does not hold it")
    power = math.frexp(largest)[1] - bits
    found, rest = [], np.asarray(weights, dtype=np.float64)
    for _ in range(MOST_SLICES):
        digit = np.trunc(np.ldexp(rest, -power))
        found.append((power, digit))
        rest = rest - np.ldexp(digit, power)
        if not rest.any():
            break
        power -= bits
    kept = [(power, digit) for power, digit in found if digit.any() and power > -SHIFT]
    left = np.abs(rest) + sum(np.ldexp(np.abs(digit), power) for power, digit in found if power <= -SHIFT)
    return kept, left if np.any(left) else None


def _whole(values: Any) -> Integers:
    """Integers that float64 holds, as Python's."""
    found: Integers = np.asarray(values, dtype=np.float64).astype(np.int64).astype(object)
    return found

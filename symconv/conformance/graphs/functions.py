"""Pointwise functions applied to traced values: piecewise linear ones with a rounding theorem, the others enclosed by ball arithmetic.

Owns: `FUNCTIONS`, `Function`, `kinked`.
Must not know: graphs, layers.

How accurately a runtime computes exp, tanh or erf is specified nowhere, so such functions have no theorem for runtimes. Their
exact values are enclosed all the same: at a float64 number by Arb (python-flint, correctly rounded balls), and around it by the
largest slope L of the function: |f(x) - f(v)| <= L |x - v|.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import numpy as np
import torch
from flint import arb, ctx
from torch import Tensor, nn

from symconv.conformance.graphs.traced import MARGIN, Arithmetic, Traced, Track
from symconv.conformance.graphs.wide import WideArithmetic
from symconv.conformance.magnitudes import fraction_bits
from symconv.errors import OutsideFragment
from symconv.prove.trial import FUNCTIONS as EXACT

MOST_ENCLOSED = 1 << 20
"""Samples of one value that are enclosed, at most; each one costs a few microseconds."""
BITS = 80
Arguments = Mapping[str, Any]
Point = Callable[[Any, Arguments], Any]


@attrs.frozen(kw_only=True)
class Function:
    """A pointwise function.

    Args:
        name: as messages have it.
        plain: its float64 values.
        point: its exact value at a float64 number, as an arb; None: it is computed by `traced`.
        slope: its largest slope, or None if `point` takes balls.
        traced: how values with bounds go through it, or None.
        fractional: why it does not keep integers, or None.
    """

    name: str
    plain: Callable[[Tensor, Arguments], Tensor]
    point: Point | None = None
    slope: Callable[[Arguments], float] | None = None
    traced: Callable[[Arithmetic, Traced, Arguments], Traced] | None = None
    fractional: Callable[[Arguments], str | None] | None = None

    def obstacle(self, arguments: Arguments, *, integers: bool = False) -> str | None:
        """Why it has no rounding theorem, or does not keep integers."""
        if integers:
            return f"{self.name} does not keep integers" if self.fractional is None else self.fractional(arguments)
        return f"{self.name} has no rounding theorem here" if self.traced is None else None

    def apply(self, arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
        """The function of a value.

        Raises:
            OutsideFragment: a runtime's error is asked for and there is no theorem.
        """
        if not x.is_real:
            raise OutsideFragment(f"{self.name} of integers is not evaluated here")
        if arithmetic.integers:
            reason = self.obstacle(arguments, integers=True)
            if reason is not None:
                raise OutsideFragment(reason)
        if self.traced is not None and (arithmetic.tracks or arithmetic.integers):
            return self.traced(arithmetic, x, arguments)
        if not arithmetic.tracks:
            return Traced(self.plain(x.value, arguments))
        if not all(track.ours for track in arithmetic.tracks) or self.point is None:
            raise OutsideFragment(f"{self.name} has no rounding theorem here")
        settings = _balls_of(arithmetic, arguments)
        if isinstance(arithmetic, WideArithmetic):
            point = self.point
            return arithmetic.curved(x, lambda ball: point(ball, settings))
        return self._enclosed(x, arguments, settings)

    def _enclosed(self, x: Traced, arguments: Arguments, settings: dict[str, Any]) -> Traced:
        assert self.point is not None
        if x.value.numel() > MOST_ENCLOSED:
            raise OutsideFragment(f"{self.name} of {x.value.numel():,} samples is not enclosed; {MOST_ENCLOSED:,} are the most")
        with ctx.workprec(BITS):
            return self._balls(x, arguments, settings)

    def _balls(self, x: Traced, arguments: Arguments, settings: dict[str, Any]) -> Traced:
        assert self.point is not None
        if self.slope is None:
            balls = zip(x.value.flatten().tolist(), x.errors[0].flatten().tolist(), strict=True)
            pairs = [_float(self.point(arb(v, e), settings)) for v, e in balls]
            return _made(x, np.array(pairs).reshape(-1, 2), 0.0)
        places, back = np.unique(x.value.cpu().numpy().ravel(), return_inverse=True)
        pairs = [_float(self.point(arb(v), settings)) for v in places.tolist()]
        return _made(x, np.array(pairs).reshape(-1, 2)[back], self.slope(arguments))


def _float(ball: Any) -> tuple[float, float]:
    """A float64 number near a ball and a bound on how far any point of the ball is from it."""
    if not ball.is_finite():
        raise OutsideFragment("a function is not defined, or grows beyond all bounds, on what a value may be")
    middle = float(ball.mid())
    if ball.is_exact() and ball == arb(middle):
        return middle, 0.0
    return middle, float(ball.rad()) * (1 + 2.0**-20) + abs(middle) * 2.0**-52 + 2.0**-1070


def _made(x: Traced, pairs: Any, slope: float) -> Traced:
    value, error = (torch.from_numpy(np.ascontiguousarray(pairs[:, k])).reshape(x.value.shape).to(x.value.device) for k in (0, 1))
    return Traced(value, ((error + slope * x.errors[0]) * MARGIN,))


# --- piecewise linear -------------------------------------------------------------------------------------------------


def kinked(
    arithmetic: Arithmetic, x: Traced, slope: Tensor, *, doubt: float = 0.0, stored: Callable[[Track], float] = lambda track: 0.0
) -> Traced:
    """x where it is positive, `slope` x elsewhere; `doubt` bounds how far a runtime's slope may be from it."""
    value = torch.where(x.value >= 0, x.value, slope * x.value)
    if arithmetic.is_wide:
        none = arithmetic.given(np.array(0.0))
        factor = Traced(slope, (torch.full_like(slope, doubt),))
        low = arithmetic.product(arithmetic.chosen(x, none, torch.minimum), factor, torch.mul)
        return arithmetic.sum(arithmetic.chosen(x, none, torch.maximum), low)
    if arithmetic.integers:
        bits = fraction_bits(slope.cpu().numpy())
        if bits is None:
            raise OutsideFragment("a slope is no integer, and no binary fraction of few bits")
        return arithmetic.sized(value, x.bits + bits, torch.maximum(value.abs(), x.value.abs()), (x,), factors=True)
    errors = []
    for track, error in zip(arithmetic.tracks, x.errors, strict=True):
        reach = x.value.abs() if track.ours else x.value.abs() + x.errors[0] + error
        rho = (1 + track.rho(2, 2)) * (1 + stored(track)) - 1
        bent = slope.abs().clamp(min=1) * error + (slope.abs() * rho + doubt) * (reach + x.errors[0]) + track.lost(2)
        positive = x.value - x.errors[0] - error > 0
        errors.append(torch.where(positive, error, bent * MARGIN))
    return Traced(value, tuple(errors))


def _clamped(arithmetic: Arithmetic, x: Traced, low: float | None, high: float | None) -> Traced:
    """max(low, min(high, x))."""
    held = [None if c is None else arithmetic.bound(c) for c in (low, high)]
    doubt = max((item[1] for item in held if item is not None), default=0.0)
    for item, choose in zip(held, (torch.maximum, torch.minimum), strict=True):
        if item is not None:
            x = arithmetic.chosen(x, arithmetic.given(np.array(item[0])), choose)
    return x if not doubt else attrs.evolve(x, errors=tuple((error + doubt) * MARGIN for error in x.errors))


def _leaky(arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
    slope, doubt = arithmetic.decimal(float(arguments["negative_slope"]))
    return kinked(arithmetic, x, arithmetic.tensor(np.array(slope)), doubt=doubt, stored=lambda track: track.precision.unit)


def hard_sigmoid(arithmetic: Arithmetic, x: Traced, alpha: float, beta: float, *, either: bool = False) -> Traced:
    """max(0, min(1, alpha x + beta)); `either`: alpha as ONNX's text gives it, or as a float32 number."""
    slope = arithmetic.either(alpha) if either else arithmetic.decimal(alpha)
    (a, more), (b, rest) = slope, arithmetic.decimal(beta)
    if arithmetic.is_wide:
        return _composed(arithmetic, x, alpha, beta, slope)
    held = arithmetic.linear(
        x,
        lambda value: a * value + b,
        lambda value: abs(a) * value,
        terms=4,
        stores=3,
        bias=torch.full_like(x.value, abs(b)),
        extra=lambda track: 4 * track.precision.unit,
    )
    errors = []
    for error, e in zip(held.errors, x.errors, strict=True):
        wide = (error + more * (x.value.abs() + x.errors[0] + e) + rest) * MARGIN
        outside = (held.value - wide - held.errors[0] > 1) | (held.value + wide + held.errors[0] < 0)
        errors.append(wide.masked_fill(outside, 0.0))
    return attrs.evolve(held, value=held.value.clamp(0, 1), errors=tuple(errors), terms=0)


def _composed(arithmetic: Arithmetic, x: Traced, alpha: float, beta: float, slope: tuple[float, float]) -> Traced:
    """The same, a step at a time."""
    if (alpha, beta, arithmetic.decimals) == (1 / 6, 0.5, "module"):  # min(max(x + 3, 0), 6) / 6
        lifted = _clamped(arithmetic, arithmetic.sum(x, arithmetic.given(np.array(3.0))), 0.0, 6.0)
        return arithmetic.averaged(lifted, 6.0)
    factor, shift = (
        Traced(torch.tensor(number, dtype=torch.float64), (torch.tensor(max(doubt, abs(number) * 2.0**-53), dtype=torch.float64),))
        for number, doubt in (slope, arithmetic.decimal(beta))
    )
    return _clamped(arithmetic, arithmetic.sum(arithmetic.product(x, factor, torch.mul), shift), 0.0, 1.0)


def _hard_swish(arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
    return attrs.evolve(arithmetic.product(x, hard_sigmoid(arithmetic, x, 1 / 6, 0.5, either=True), torch.mul), terms=0)


def _softsign(arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
    one = arithmetic.constant(np.array(1.0))
    found = arithmetic.quotient(x, arithmetic.sum(arithmetic.close(x, torch.abs), one))
    if arithmetic.is_wide:
        return found
    slack = tuple((error + rounding) * MARGIN for error, rounding in zip(x.errors, _roundings(arithmetic, found), strict=True))
    return attrs.evolve(found, errors=tuple(map(torch.minimum, found.errors, slack)), terms=0)  # its slope is at most 1


def _roundings(arithmetic: Arithmetic, found: Traced) -> list[Tensor]:
    """What the sum and the quotient of a number that two tracks share can lose."""
    return [torch.full_like(found.value, 8 * max(track.precision.unit, track.rho(4, 4))) for track in arithmetic.tracks]


def _softshrink(arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
    lambd = float(arguments["lambd"])
    inside = _clamped(arithmetic, x, -lambd, lambd) if lambd else None
    return x if inside is None else attrs.evolve(arithmetic.sum(x, inside, -1), terms=0)


def _jumping(keeps: Callable[[Tensor, Arguments], tuple[Tensor, Tensor]]) -> Callable[[Arithmetic, Traced, Arguments], Traced]:
    """x where a condition holds and a constant elsewhere; certain only away from the jump, whose distance `keeps` gives too."""

    def apply(arithmetic: Arithmetic, x: Traced, arguments: Arguments) -> Traced:
        kept, distance = keeps(x.value, arguments)
        other = float(arguments.get("value", 0.0))
        doubt = sum(arithmetic.decimal(float(v))[1] for v in arguments.values())
        for error in x.errors:
            if not bool((distance.abs() > x.errors[0] + error + doubt).all()):
                raise OutsideFragment("a value is so close to a jump of its function that rounding may carry it across")
        value = torch.where(kept, x.value, torch.full_like(x.value, other))
        if arithmetic.integers:
            bits = fraction_bits(np.array([other]))
            if bits is None:
                raise OutsideFragment("a constant is no integer, and no binary fraction of few bits")
            return arithmetic.sized(value, max(x.bits, bits), torch.maximum(value.abs(), x.value.abs()), (x,))
        errors = tuple(torch.where(kept, error, torch.full_like(error, arithmetic.decimal(other)[1])) for error in x.errors)
        return Traced(value, errors)

    return apply


def _whole(*names: str) -> Callable[[Arguments], str | None]:
    """That the named constants are binary fractions of few bits."""

    def check(arguments: Arguments) -> str | None:
        found = all(fraction_bits(np.array(float(arguments[name]))) is not None for name in names)
        return None if found else f"{names[0]} is no integer, and no binary fraction of few bits"

    return check


def _module(name: str) -> Callable[[Tensor, Arguments], Tensor]:
    def call(x: Tensor, arguments: Arguments) -> Tensor:
        found: Tensor = getattr(nn, name)(**arguments)(x)
        return found

    return call


def _balls_of(arithmetic: Arithmetic, given: Arguments) -> dict[str, Any]:
    """Settings as balls that hold what they may stand for."""
    return {key: value if isinstance(value, str) else arb(*arithmetic.decimal(float(value))) for key, value in given.items()}


def _celu_slope(arguments: Arguments) -> float:
    if float(arguments["alpha"]) <= 0:
        raise OutsideFragment("CELU with a negative alpha is not enclosed")
    return 1.0


_SLOPES: dict[str, Callable[[Arguments], float] | None] = {
    "Sigmoid": lambda a: 0.25,
    "LogSigmoid": lambda a: 1.0,
    "Tanh": lambda a: 1.0,
    "Tanhshrink": lambda a: 1.0,
    "SiLU": lambda a: 1.1,
    "Mish": lambda a: 1.1,
    "ELU": lambda a: max(1.0, abs(float(a["alpha"])) * (1 + 2.0**-20)),
    "CELU": _celu_slope,
    "GELU": lambda a: 1.15,
    "Softplus": None,
}
"""The largest slope; None: PyTorch's jumps at its threshold, so that it is taken of balls."""


def _exact(name: str) -> Point:
    return EXACT[name]


SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def _selu(x: Any) -> Any:
    alpha, scale = (arb(number, 2.0**-24) for number in SELU)  # files hold float32 numbers, and not all the same ones
    return scale * (x if x > 0 else alpha * x.expm1())


FUNCTIONS: dict[str, Function] = {
    name: Function(name=name, plain=_module(name), point=_exact(name), slope=slope) for name, slope in _SLOPES.items()
} | {
    "ReLU": Function(name="ReLU", plain=_module("ReLU"), traced=lambda c, x, a: c.close(x, torch.relu), fractional=lambda a: None),
    "ReLU6": Function(name="ReLU6", plain=_module("ReLU6"), traced=lambda c, x, a: _clamped(c, x, 0.0, 6.0), fractional=lambda a: None),
    "Hardtanh": Function(
        name="Hardtanh",
        plain=_module("Hardtanh"),
        traced=lambda c, x, a: _clamped(c, x, float(a["min_val"]), float(a["max_val"])),
        fractional=_whole("min_val", "max_val"),
    ),
    "LeakyReLU": Function(name="LeakyReLU", plain=_module("LeakyReLU"), traced=_leaky, fractional=_whole("negative_slope")),
    "Hardsigmoid": Function(name="Hardsigmoid", plain=_module("Hardsigmoid"), traced=lambda c, x, a: hard_sigmoid(c, x, 1 / 6, 0.5)),
    "Hardswish": Function(name="Hardswish", plain=_module("Hardswish"), traced=_hard_swish),
    "Softsign": Function(name="Softsign", plain=_module("Softsign"), traced=_softsign),
    "Softshrink": Function(name="Softshrink", plain=_module("Softshrink"), traced=_softshrink, fractional=_whole("lambd")),
    "Hardshrink": Function(
        name="Hardshrink",
        plain=_module("Hardshrink"),
        traced=_jumping(lambda x, a: (x.abs() > float(a["lambd"]), x.abs() - float(a["lambd"]))),
        fractional=_whole("lambd"),
    ),
    "Threshold": Function(
        name="Threshold",
        plain=_module("Threshold"),
        traced=_jumping(lambda x, a: (x > float(a["threshold"]), x - float(a["threshold"]))),
        fractional=_whole("threshold", "value"),
    ),
    "SELU": Function(name="SELU", plain=_module("SELU"), point=lambda x, a: _selu(x), slope=lambda a: 1.7582),
}

ELEMENTARY: dict[str, Function] = {
    "Exp": Function(name="Exp", plain=lambda x, a: x.exp(), point=lambda x, a: x.exp()),
    "Log": Function(name="Log", plain=lambda x, a: x.log(), point=lambda x, a: x.log()),
    "Sqrt": Function(name="Sqrt", plain=lambda x, a: x.sqrt(), point=lambda x, a: x.sqrt()),
    "Erf": Function(name="Erf", plain=lambda x, a: torch.erf(x), point=lambda x, a: x.erf(), slope=lambda a: 2 / math.sqrt(math.pi) + 1e-9),
    "Sin": Function(name="Sin", plain=lambda x, a: x.sin(), point=lambda x, a: x.sin(), slope=lambda a: 1.0),
    "Cos": Function(name="Cos", plain=lambda x, a: x.cos(), point=lambda x, a: x.cos(), slope=lambda a: 1.0),
}
"""Functions that are no layers."""

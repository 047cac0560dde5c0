"""The few one-axis primitives that every layer is a word over, and the extents that they produce.

Owns: the primitives, each with its formula; extents; periods.
Must not know: layers, channels, parameters beyond a tap's index.

x is a signal of extent n on one axis, y the result of extent m:

    Extend(mode, pb, pe)   y[o] = x~[o - pb]                       m = n + pb + pe
    Expand(s)              y[s i] = x[i], else 0                   m = (n - 1) s + 1
    Correlate(c, offsets)  y[o] = sum_t c_t x[o + offset_t]        m = n - span
    Decimate(s)            y[o] = x[s o]                           m = floor((n - 1) / s) + 1
    Join(r)                y[r i + phase] = x_phase[i]             m = r n
    Split(r)               y_phase[i] = x[r i + phase]             m = n / r
    Average                y[o] = sum of x in window o / divisor   m as AvgPool
    Interpolate(r)         y[o] = x at o (n - 1) / (m - 1)         m = r n
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from fractions import Fraction

import attrs

Number = int | Fraction


class Rejection(enum.Enum):
    """Why an extent is not valid for a step."""

    SMALL = "too small"
    INDIVISIBLE = "not divisible"


@attrs.frozen
class Extend:
    """Extends by a padding mode, or crops where an amount is negative (zeros only); refuses extents below `room`."""

    mode: str
    before: int
    after: int
    room: int = 0


@attrs.frozen
class Expand:
    """Zero insertion."""

    factor: int


@attrs.frozen
class Decimate:
    """Subsampling."""

    factor: int


@attrs.frozen
class Correlate:
    """Correlation with fixed coefficients, or with free taps (coefficients None; entry t has tap index taps[t])."""

    offsets: tuple[int, ...]
    span: int
    coefficients: tuple[Number, ...] | None = None
    taps: tuple[int, ...] = ()

    @property
    def free(self) -> bool:
        """Whether the coefficients are the layer's parameters."""
        return self.coefficients is None


@attrs.frozen
class Join:
    """Interleaves phases; `digits` = (slot, place, radix): phase = sum of place times the slot's value."""

    factor: int
    digits: tuple[tuple[int, int, int], ...] = ()


@attrs.frozen
class Split:
    """Takes phases apart; `digits` as for `Join`."""

    factor: int
    digits: tuple[tuple[int, int, int], ...] = ()


@attrs.frozen
class Average:
    """AvgPool on one axis: windows of k samples from s o - pad, divided by the divisor PyTorch uses."""

    kernel: int
    stride: int
    pad: int
    ceil: bool
    include_pad: bool
    fixed_divisor: int | None = None
    room: int = 0

    def window(self, position: int, extent: int | None) -> tuple[int, int, int]:
        """(first, stop, divisor) of the window of output `position`; an extent None has no borders."""
        first = position * self.stride - self.pad
        stop = first + self.kernel
        if extent is not None:
            stop = min(stop, extent + self.pad)
        size = stop - first
        if extent is not None:
            first, stop = max(first, 0), min(stop, extent)
        if self.fixed_divisor is not None:
            return first, stop, self.fixed_divisor
        return first, stop, size if self.include_pad else stop - first


@attrs.frozen
class Interpolate:
    """Interpolation with align_corners: weights depend on the extent, so it has no bi-infinite meaning."""

    factor: int
    mode: str


Step = Extend | Expand | Decimate | Correlate | Join | Split | Average | Interpolate


def advance(step: Step, n: int) -> int | Rejection:
    """The output extent of `step` on extent n >= 1, or why there is none."""
    m = _formula(step, n)
    if isinstance(step, (Extend, Average)) and n < step.room:
        return Rejection.SMALL
    if isinstance(step, Extend) and step.mode != "zeros" and _too_wide(step, n):
        return Rejection.SMALL
    if m < 1:
        return Rejection.SMALL
    if isinstance(step, Split) and n % step.factor:
        return Rejection.INDIVISIBLE
    return m


def _formula(step: Step, n: int) -> int:
    match step:
        case Extend():
            return n + step.before + step.after
        case Expand():
            return (n - 1) * step.factor + 1
        case Correlate():
            return n - step.span
        case Decimate():
            return (n - 1) // step.factor + 1
        case Join() | Interpolate():
            return n * step.factor
        case Split():
            return n // step.factor
        case Average():
            room = n + 2 * step.pad - step.kernel
            if not step.ceil:
                return room // step.stride + 1
            m = -(-room // step.stride) + 1
            return m - 1 if (m - 1) * step.stride >= n + step.pad else m


def _too_wide(step: Extend, n: int) -> bool:
    widest = max(step.before, step.after)
    return widest >= n if step.mode == "reflect" else step.mode == "circular" and widest > n


def extents(steps: Sequence[Step], n: int) -> tuple[int, ...] | Rejection:
    """Extents before each step and after the last, or the first rejection (SMALL wins over INDIVISIBLE)."""
    seen = [n]
    indivisible = False
    for step in steps:
        m = advance(step, seen[-1])
        if m is Rejection.INDIVISIBLE:
            indivisible = True
            m = _formula(step, seen[-1])
        if isinstance(m, Rejection) or m < 1:
            return Rejection.SMALL
        seen.append(m)
    return Rejection.INDIVISIBLE if indivisible else tuple(seen)


def rates(steps: Sequence[Step]) -> tuple[int, int]:
    """(P, Q): the least input shift that moves every intermediate signal by whole samples, and the output shift.

    For every valid n, n + P is valid too and the output extent grows by exactly Q.
    """
    up, down = 1, 1  # a shift of `down` at the input is a shift of `up` here
    for step in steps:
        match step:
            case Expand() | Join() | Interpolate():
                up *= step.factor
            case Decimate() | Split():
                up, down = _slow(up, down, step.factor)
            case Average():
                up, down = _slow(up, down, step.stride)
            case _:
                pass
    return down, up


def _slow(up: int, down: int, factor: int) -> tuple[int, int]:
    shared = math.gcd(up, factor)
    return up // shared, down * (factor // shared)

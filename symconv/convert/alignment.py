"""Formulas of the target forms on one axis: from what a source reads to taps, pads and crops.

Owns: `Reads`, `Transpose`; one function a form.
Must not know: channels, other axes, layers. Nothing here is trusted; what comes of it is decided.

Notation, per axis: a window has rates P, Q and an extent n* with output extent m* (see `symconv.convert.window`); c, ce
are the output samples cropped before and after; lo, hi the first and last input sample that a block of Q outputs reads,
d the common distance of the reads, k = (hi - lo)/d + 1, ke = d(k-1) + 1.

    low_resolution  Conv(k, stride P, pb = -lo, pe = P (t - 1) - n* + hi + 1) >> PixelShuffle(Q) >> Crop(c, ce)
                    where t = ceil((m* + c)/Q), ce = Q t - m* - c, and the block starts at output -c.
    transposed      ConvTranspose(k, stride Q), pb = -min(o - Q i), pe - op = ke - Q - (m* - Q n*) - pb; needs P = 1.
    expanded        ZeroInsert(Q) >> Conv(k, stride P), pb = max(P o - Q i), pe = P (m* - 1) - Q (n* - 1) - 1 + ke - pb.
    unshuffled      Pad(a, b) >> PixelUnshuffle(P) >> Conv(k) [>> PixelShuffle(Q) >> Crop(c, ce)].

For a transposed convolution (P = 1, Q = s) low_resolution with c = 0 is the universal lowering. With c = pb mod s it is

    k_LR = ceil(ke/s), ce = (pe - ke - op) mod s,
    pads ceil(ke/s) - 1 - floor(pb/s) before, ceil((ke + op - pe)/s) - 1 after,
    W[phase][u] = w~[phase + s (k_LR - 1 - u)]

where w~ is the kernel with its dilation written out, zero beyond it. Proof: output o = s M + phase - c is the sum over
s i + x = o + pb of w~[x] x[i]. With pb = s floor(pb/s) + c that is x = phase + s (M + floor(pb/s) - i), and
i = M + u - (k_LR - 1 - floor(pb/s)) gives x = phase + s (k_LR - 1 - u); every x in [0, ke) has exactly one (phase, u).
No c needs fewer taps: with c = pb - delta the taps x = 0 and x = ke - 1 are read floor((ke - 1 - delta)/s) - floor(-delta/s)
samples apart, which is at least floor((ke - 1)/s) = ceil(ke/s) - 1. `least_lead` finds a c with the fewest taps that
crops least. Where s and d share a factor the reads may share one too, and the LR convolution is dilated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence

import attrs

from symconv.convert.window import Window

Sides = tuple[int, int]
"""(before, after), in samples."""


@attrs.frozen
class Reads:
    """A correlation on one axis.

    Args:
        kernel, dilation, stride: its taps.
        pads: before it, on its own grid; negative amounts crop.
        crops: after it and its shuffle, at least 0.
        lead: pads in front of an unshuffle, on the input grid.
    """

    kernel: int
    dilation: int
    stride: int
    pads: Sides
    crops: Sides = (0, 0)
    lead: Sides = (0, 0)


@attrs.frozen
class Transpose:
    """A transposed convolution on one axis, and what is padded (or cropped, if negative) after it."""

    kernel: int
    dilation: int
    stride: int
    padding: int
    output_padding: int
    after: Sides


def low_resolution(window: Window, lead: int) -> Reads:
    """The LR correlation whose shuffled output is cropped by `lead` samples before."""
    low, high, gap = _span(itertools.chain.from_iterable(window.block(lead)))
    pads, crops = _margins(window, lead, low, high)
    return Reads((high - low) // gap + 1, gap, window.inward, pads, crops)


def _margins(window: Window, lead: int, low: int, high: int) -> tuple[Sides, Sides]:
    """(pads, crops) of an LR correlation that reads from `low` to `high`."""
    p, q = window.inward, window.outward
    blocks = -(-(window.output + lead) // q)
    tail = q * blocks - window.output - lead
    before, after = -low, p * (blocks - 1) - window.extent + high + 1
    if before < 0 < after and before % p == 0:  # a crop beside a pad would refuse small extents; crop the output instead
        before, lead = 0, lead - before // p * q
    elif after < 0 < before and after % p == 0:
        after, tail = 0, tail - after // p * q
    return (before, after), (lead, tail)


def least_lead(window: Window) -> int:
    """The c with the shortest span of reads; among equals the one that crops least, then the smallest."""
    first = [reads[0] if reads else None for reads in window.support]
    last = [reads[-1] if reads else None for reads in window.support]
    lows, highs = _running(first, min), _running(last, max)
    late_lows, late_highs = _running(first[::-1], min), _running(last[::-1], max)

    def cost(c: int) -> tuple[int, int, int]:
        here = window.outward - c
        low, high = (None if value is None else value - window.inward for value in (late_lows[c], late_highs[c]))
        low, high = _either(lows[here], low, min) or 0, _either(highs[here], high, max) or 0
        return high - low, sum(_margins(window, c, low, high)[1]), c

    return min(range(window.outward), key=cost)


def transposed(window: Window, widen: bool) -> Transpose:
    """The transposed convolution; where its output would be too short, zeros follow its kernel (`widen`) or its output."""
    stride = max(1, window.outward // window.inward)
    low, high, gap = _span(o - stride * i for o, reads in enumerate(window.support) for i in reads)
    most = max(stride, gap) - 1
    growth = window.output - stride * window.extent
    if widen:
        low -= max(0, -(-low // gap)) * gap
        high += max(0, -(-(growth + stride - 1 - most - high) // gap)) * gap
    before, behind = -low, high + 1 - stride - growth  # pb and pe - op
    kernel = (high - low) // gap + 1
    if before >= 0 and 0 <= before - behind <= most:
        return Transpose(kernel, gap, stride, before, before - behind, (0, 0))
    extra = -behind if 0 <= -behind <= most else 0
    padding = max(0, min(before, behind + extra))
    return Transpose(kernel, gap, stride, padding, extra, (padding - before, padding - extra - behind))


def expanded(window: Window) -> Reads:
    """The correlation on the zero-inserted grid."""
    p, q = window.inward, window.outward
    low, high, gap = _span(q * i - p * o for o, reads in enumerate(window.support) for i in reads)
    before, after = -low, p * (window.output - 1) - (window.extent - 1) * q + high
    crops = (0, 0)
    if before < 0 < after and before % p == 0:
        before, crops = 0, (-before // p, 0)
    elif after < 0 < before and after % p == 0:
        after, crops = 0, (0, -after // p)
    return Reads((high - low) // gap + 1, gap, p, (before, after), crops)


def unshuffled(window: Window, lead: int, align: bool) -> Reads:
    """The LR correlation behind an unshuffle, exact where n is congruent to `window.divisible` modulo P.

    With `align` the input is padded so that the first tap meets phase 0, which needs ceil(span/P) taps at most.
    """
    p, q = window.inward, window.outward
    n, m = window.divisible
    samples = list(itertools.chain.from_iterable(window.block(lead))) or [0]
    start = -min(samples) % p if align else 0
    low, high, gap = _span((i + start) // p for i in samples)
    blocks = -(-(m + lead) // q)
    stop = -(n + start) % p
    before, after = -low, blocks - (n + start + stop) // p + high
    if before < 0 < after or after < 0 < before:  # both belong to the input grid then
        start, stop, before, after = start + p * before, stop + p * after, 0, 0
    return Reads((high - low) // gap + 1, gap, 1, (before, after), (lead, q * blocks - m - lead), (start, stop))


def _span(samples: Iterable[int]) -> tuple[int, int, int]:
    """(first, last, common distance) of a set of samples; one tap at 0 for the empty set."""
    known = sorted(set(samples)) or [0]
    return known[0], known[-1], math.gcd(*(x - known[0] for x in known)) or 1


def _running(values: Sequence[int | None], better: Callable[[int, int], int]) -> list[int | None]:
    """Entry k: the best of the first k values (None where there is none)."""
    start: list[int | None] = [None]
    return list(itertools.accumulate([*start, *values], lambda a, b: _either(a, b, better)))


def _either(a: int | None, b: int | None, better: Callable[[int, int], int]) -> int | None:
    if a is None or b is None:
        return b if a is None else a
    return better(a, b)

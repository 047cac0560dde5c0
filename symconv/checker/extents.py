"""A chain on one axis: its valid extents, how its output grows, where borders are felt, which rows must be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, lcm

from .faults import Budget, need
from .layers import Layer, Line
from .syntax import CAP

WIDEST = 2**18
"""Reads of one sample before a layer counts as too large."""


class Chain:
    """The lines of a chain on an axis: moving the input by `period` samples moves the output by `shift`."""

    def __init__(self, layers: Sequence[Layer], axis: int) -> None:
        self.axis, self.lines = axis, [layer.lines[axis] for layer in layers]
        self.period, self.shift = 1, 1
        for line in self.lines:
            need(line.breadth() <= WIDEST, "too large for the checker's budget")
            common = gcd(self.shift * line.up, line.down)
            self.period, self.shift = self.period * (line.down // common), self.shift * line.up // common
            need(max(self.period, self.shift) <= CAP, "too large for the checker's budget")

    def extents(self, n: int) -> list[int]:
        """The extent before every line and after the last."""
        found = [n]
        for line in self.lines:
            found.append(line.extent(found[-1]))
        return found

    def output(self, n: int) -> int:
        """The extent after the last line."""
        return self.extents(n)[-1]

    def valid(self, n: int) -> bool:
        """Whether every line accepts what it receives."""
        return n >= 1 and all(line.accepts(m) for line, m in zip(self.lines, self.extents(n), strict=False))

    def first(self, residue: int, period: int) -> int | None:
        """The smallest valid n = residue + t period, t >= 0; `period` is a multiple of the chain's own.

        In such a class every extent grows by its step >= 1 with t and divisibility stays as it is, so all larger ones are valid too.
        """
        m, step, t = residue, period, 0
        for line in self.lines:
            if line.kind == "Unshuffle" and m % line.r:
                return None
            t = max(t, -((m - line.least()) // step))
            m, step = line.extent(m), step * line.up // line.down
            t = max(t, -((m - 1) // step))
        return residue + t * period

    def firsts(self, period: int, budget: Budget) -> list[int | None]:
        """`first` for all residues 1..period."""
        budget.spend(period * (2 + len(self.lines)))
        return [self.first(residue, period) for residue in range(1, period + 1)]


def common_starts(one: Chain, other: Chain, budget: Budget) -> tuple[int, list[int]]:
    """(P, the first common valid extent of each class modulo P that has one)."""
    period = lcm(one.period, other.period)
    firsts = zip(one.firsts(period, budget), other.firsts(period, budget), strict=True)
    starts = [max(n, m) for n, m in firsts if n is not None and m is not None]
    need(bool(starts), "no extent is valid for both sides")
    return period, starts


def check_outputs(one: Chain, other: Chain, starts: Sequence[int]) -> None:
    """The output extents must be equal at all common extents: they grow alike, and start alike in each class."""
    need(one.shift * other.period == other.shift * one.period, "output extents grow differently")
    need(all(one.output(n) == other.output(n) for n in starts), "output extents differ")


def windowed(lines: Sequence[Line]) -> bool:
    """Whether the finite operators are windows of the bi-infinite one: `out` is how far the untruncated signal reaches out at each end."""
    out = [0, 0]
    for line in lines:
        primitives = line.window()
        if primitives is None:
            return False
        for kind, f, after in primitives:
            if kind == "extend":
                if (f > 0 and out[0] > 0) or (after > 0 and out[1] > 0):
                    return False
                out = [out[0] - f, out[1] - after]
            elif kind == "expand":
                out = [out[0] * f, out[1] * f]
            elif kind == "correlate":
                out = [out[0] + f, out[1] + f]
            else:  # decimate, unshuffle
                out = [out[0] // f if kind == "decimate" else -(-out[0] // f), -(-out[1] // f)]
    return True


def constant_windowed(lines: Sequence[Line]) -> bool:
    """The same for a constant signal, a bias: nothing may extend it."""
    found = [line.window() for line in lines]
    return all(each is not None and all(kind != "extend" or max(f, after) <= 0 for kind, f, after in each) for each in found)


Tail = tuple[Chain, int]
"""A chain, and the line before which its rows end: 0, or for a bias the line behind the parametric one."""


def held(tails: Sequence[Tail], n: int, o: int, budget: Budget) -> tuple[bool, bool]:
    """Whether the rows at output sample o, extent n, are the same at larger extents: (at o, at o as counted from the right end).

    Samples are followed backwards with an anchor: 0 until an end is met, then that end (-1 left, 1 right), from which the sample keeps
    its distance as the extent grows; a wrap moves the anchor to the other end. Held from the left: no sample without anchor or
    anchored left meets the right end, none anchored right meets the left end, so that the same ends are met at each larger extent;
    and at the input, over all rows, those anchored right lie strictly behind the others, so that they stay different samples.
    Held from the right: the mirror image. Held from both: no end was met.
    """
    from_left = from_right = True
    samples: set[tuple[int, int]] = set()
    for chain, end in tails:
        states, extents = {(o, 0)}, chain.extents(n)
        for at in range(len(chain.lines) - 1, end - 1, -1):
            line, (low, high), above, states = chain.lines[at], chain.lines[at].inside(extents[at]), states, set()
            for position, anchor in above:
                budget.spend(line.breadth())
                for x, _, _ in line.reads(position, extents[at]):
                    if low <= x < high:
                        states.add((x, anchor))
                        continue
                    met = -1 if x < low else 1
                    if anchor == -met:
                        return False, False
                    from_left, from_right = from_left and (anchor, met) != (0, 1), from_right and (anchor, met) != (0, -1)
                    settled = line.settle(x, extents[at])
                    if settled is not None:
                        states.add((settled, -met if line.mode == "circular" else met))
        samples |= states
    left, free, right = ([x for x, anchor in samples if anchor == end] for end in (-1, 0, 1))
    from_left = from_left and (not right or max(left + free, default=-1) < min(right))
    from_right = from_right and (not left or max(left) < min(free + right, default=n))
    return from_left, from_right


def samples(tails: Sequence[Tail], starts: Sequence[int], period: int, budget: Budget) -> Iterator[tuple[int, int]]:
    """(n, o) such that the rows there are all the rows at all extents start + t period, t >= 0, for all starts.

    Extents are visited upwards until, for some c with Q <= c <= m, all rows o < c are held from the left and all o >= c - Q from the
    right (Q is the output shift). At a larger extent the first c rows are then those held from the left, the last m - c + Q those
    held from the right, and between them the rows c - Q <= o < c, which meet no end, repeat. For the same reason rows held at
    one extent are not given again at the next.
    """
    shift = tails[0][0].shift * (period // tails[0][0].period)
    for n in starts:
        low, high = 0, tails[0][0].output(n)
        while True:
            budget.spend(high - low + 1)
            yield from ((n, o) for o in range(low, high))
            m = tails[0][0].output(n)
            while low < m and held(tails, n, low, budget)[0]:
                low += 1
            while high > 0 and held(tails, n, high - 1, budget)[1]:
                high -= 1
            if shift <= low and high <= low - shift:
                break
            n, high = n + period, high + shift

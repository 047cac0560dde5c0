"""Extents of a chain on one axis: which are valid, how outputs grow, where borders are felt, which must be visited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import gcd, lcm

from .faults import Budget, need
from .layers import Layer

WIDEST = 2**18
"""Reads of one sample."""


class Extents:
    """A chain on one axis: moving the input by `period` samples moves the output by `shift`."""

    def __init__(self, layers: Sequence[Layer], axis: int) -> None:
        self.layers, self.axis = layers, axis
        need(all(layer.breadth(axis) <= WIDEST for layer in layers), "too large for the checker's budget")
        self.period, self.shift = 1, 1
        for layer in layers:
            up, down = layer.rate(axis)
            common = gcd(self.shift * up, down)
            self.period, self.shift = self.period * (down // common), self.shift * up // common

    def all(self, n: int) -> list[int]:
        """The extents before every layer and after the last."""
        extents = [n]
        for layer in self.layers:
            extents.append(layer.extent(self.axis, extents[-1]))
        return extents

    def valid(self, n: int) -> bool:
        """Whether every layer accepts what it receives."""
        extents = self.all(n)
        return min(extents) >= 1 and all(
            m >= layer.least(self.axis) and m % layer.divisor(self.axis) == 0 for layer, m in zip(self.layers, extents, strict=False)
        )

    def first(self, residue: int, period: int) -> int | None:
        """The smallest valid n >= residue with n = residue mod `period`, a multiple of the chain's own period.

        Along the class every extent grows by a fixed step >= 1, and divisibility is the same throughout; so n is valid
        iff it is large enough for each layer.
        """
        m, step, turns = residue, period, 0
        for layer in self.layers:
            if m % layer.divisor(self.axis):
                return None
            turns = max(turns, -((m - layer.least(self.axis)) // step))
            up, down = layer.rate(self.axis)
            m, step = layer.extent(self.axis, m), step * up // down
            turns = max(turns, -((m - 1) // step))
        return residue + turns * period


def common(left: Extents, right: Extents, budget: Budget) -> tuple[int, list[int | None], list[int | None]]:
    """(P, first valid extents of the left side, of the right side), one for each residue 1..P."""
    period = lcm(left.period, right.period)
    budget.spend(period * (4 + len(left.layers) + len(right.layers)))
    return period, [left.first(n, period) for n in range(1, period + 1)], [right.first(n, period) for n in range(1, period + 1)]


def compare_domains(left: list[int | None], right: list[int | None]) -> tuple[bool, bool, bool]:
    """On one axis: is every extent of the left valid on the right, is every one of the right on the left, is there a common one."""
    forth = all(n is None or (m is not None and m <= n) for n, m in zip(left, right, strict=True))
    back = all(m is None or (n is not None and n <= m) for n, m in zip(left, right, strict=True))
    return forth, back, any(n is not None and m is not None for n, m in zip(left, right, strict=True))


def windowed(layers: Sequence[Layer], axis: int) -> bool:
    """Whether the finite operators are windows of the bi-infinite one; (l, r) is how far the untruncated signal reaches out."""
    l, r = 0, 0  # noqa: E741
    for layer in layers:
        primitives = layer.window(axis)
        if primitives is None:
            return False
        for kind, f, after in primitives:
            if kind == "extend":
                if (f > 0 and l > 0) or (after > 0 and r > 0):
                    return False
                l, r = l - f, r - after  # noqa: E741
            elif kind == "expand":
                l, r = l * f, r * f  # noqa: E741
            elif kind == "decimate":
                l, r = l // f, -(-r // f)  # noqa: E741
            elif kind == "unshuffle":
                l, r = -(-l // f), -(-r // f)  # noqa: E741
            else:
                l, r = l + f, r + f  # noqa: E741
    return True


def bias_windowed(tail: Sequence[Layer], axis: int) -> bool:
    """The same for a constant signal: nothing may extend it."""
    found = [layer.window(axis) for layer in tail]
    return all(
        primitives is not None and all(kind != "extend" or max(before, after) <= 0 for kind, before, after in primitives)
        for primitives in found
    )


def settle(layer: Layer, axis: int, x: int, n: int) -> int | None:
    """Where a read of sample x beyond the ends goes: to another sample, or (zeros) nowhere."""
    low, high = layer.inside(axis, n)
    mode = layer.mode(axis)
    if mode == "zeros":
        return None
    if mode == "reflect":
        x = 2 * low - x if x < low else 2 * (high - 1) - x
    elif mode == "replicate":
        x = low if x < low else high - 1
    else:
        x = x + high - low if x < low else x - (high - low)
    need(low <= x < high, "a read leaves the extent that was taken for valid")
    return x


def borders(sides: Sequence[tuple[Extents, int]], n: int, o: int, budget: Budget) -> tuple[bool, bool]:
    """Whether output row o at extent n stays the same as the extent grows: (held from the left, held from the right).

    Each side is a chain and the layer from which its row starts. Samples are followed backwards with an anchor: 0 as
    long as no end was met, else the end (-1 left, 1 right) that the sample keeps its distance to. A row held from the
    left (o fixed) is the same at every larger extent of the class if no sample without anchor or anchored at the left
    meets the right end, and none anchored at the right meets the left end; for the anchors then say where each sample
    goes. A wrap moves the anchor to the other end. At the input the samples at the right must lie strictly behind those at
    the left, on both sides taken together, or they could be the same sample at one extent and different ones at another.
    Held from the right: the mirror image. Held both ways means that no end was met.
    """
    from_left = from_right = True
    found: set[tuple[int, int]] = set()
    for chain, start in sides:
        extents, states = chain.all(n), {(o, 0)}
        for layer, m in zip(chain.layers[start:][::-1], extents[start:-1][::-1], strict=True):
            low, high = layer.inside(chain.axis, m)
            below: set[tuple[int, int]] = set()
            for position, anchor in states:
                budget.spend(layer.breadth(chain.axis))
                for x, _, _ in layer.reads(chain.axis, position, m, None):
                    if low <= x < high:
                        below.add((x, anchor))
                        continue
                    end = -1 if x < low else 1
                    if end == -anchor:
                        return False, False
                    from_left, from_right = from_left and (anchor != 0 or end == -1), from_right and (anchor != 0 or end == 1)
                    to = settle(layer, chain.axis, x, m)
                    if to is not None:
                        below.add((to, -end if layer.mode(chain.axis) == "circular" else end))
            states = below
        found |= states
    left, right, free = ([x for x, anchor in found if anchor == at] for at in (-1, 1, 0))
    apart_left = not right or max(left + free, default=right[0] - 1) < min(right)
    apart_right = not left or max(left) < min(right + free, default=left[0] + 1)
    return from_left and apart_left, from_right and apart_right


def visits(left: tuple[Extents, int], right: tuple[Extents, int], starts: Sequence[int], period: int, budget: Budget) -> Iterator[tuple[int, int]]:
    """(n, o): one of every kind of row at all extents start, start + period, ..., for every start.

    Extents are visited upwards until Q <= c <= m rows exist such that all o < c are held from the left and all o >= c - Q from the
    right (Q the output shift). Then every row at a larger extent is a row of this one: at the ends the held ones, between them the
    rows c - Q <= o < c again and again. For the same reason rows that were held at an extent are left out at the next.
    """
    chain = left[0]
    shift = chain.shift * (period // chain.period)
    sides = (left,) if left == right else (left, right)
    for start in starts:
        n, low, high = start, 0, chain.all(start)[-1]
        while True:
            budget.spend(high - low + 1)
            yield from ((n, o) for o in range(low, high))
            clear, m = low, chain.all(n)[-1]
            while clear < m and borders(sides, n, clear, budget)[0]:
                clear += 1
            settled = high
            while settled > 0 and borders(sides, n, settled - 1, budget)[1]:
                settled -= 1
            if shift <= clear and settled <= clear - shift:
                break
            n, low, high = n + period, clear, settled + shift

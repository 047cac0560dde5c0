"""Which input extents a layer accepts on one axis, and what it makes of them.

Owns: `Domain` (an eventually periodic set of extents), domains of words, comparison of domains and output extents.
Must not know: channels, parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import attrs

from symconv.errors import BudgetExceeded
from symconv.operators.steps import Rejection, Split, Step, extents, rates

LONGEST_PERIOD = 100_000


@attrs.frozen
class Domain:
    """{n >= least : n mod period in residues}."""

    least: int
    period: int
    residues: frozenset[int]

    def __contains__(self, n: int) -> bool:
        return n >= self.least and n % self.period in self.residues

    def meet(self, other: Domain) -> Domain:
        """The extents in both."""
        period = _bounded(math.lcm(self.period, other.period))
        if period == 1:
            return Domain(max(self.least, other.least), 1, self.residues & other.residues)
        both = (r for r in range(period) if r % self.period in self.residues and r % other.period in other.residues)
        return Domain(max(self.least, other.least), period, frozenset(both))

    def first(self, least: int = 1) -> int | None:
        """The smallest member of at least `least`, or None if the domain is empty."""
        start = max(least, self.least)
        if self.period == 1:
            return start if self.residues else None
        return next((n for n in range(start, start + self.period) if n % self.period in self.residues), None)

    def members(self, least: int = 1) -> Iterator[int]:
        """All members from `least` on, ascending, without end (empty for the empty domain)."""
        n = self.first(least)
        while n is not None:
            yield n
            n = self.first(n + 1)

    def not_in(self, other: Domain) -> int | None:
        """The smallest member that is not in `other`, or None."""
        start = self.first()
        if start is None:
            return None
        stop = max(start, self.least, other.least) + _bounded(math.lcm(self.period, other.period))
        if self.period == 1 and other.period == 1:
            stop = start + 1  # both are rays (or empty): the least member decides
        return next((n for n in range(start, stop) if n in self and n not in other), None)


def _bounded(period: int) -> int:
    if period > LONGEST_PERIOD:
        raise BudgetExceeded(f"extents repeat only after {period:,} samples, more than the budget allows")
    return period


def domain(word: Sequence[Step]) -> Domain:
    """The extents that a word accepts."""
    least = smallest(lambda n: extents(word, n) is not Rejection.SMALL)
    last = max((index for index, step in enumerate(word) if isinstance(step, Split)), default=-1)
    if last < 0:
        return Domain(least, 1, frozenset({0}))
    period = _bounded(rates(word[: last + 1])[0])
    return Domain(least, period, frozenset(n % period for n in range(least, least + period) if isinstance(extents(word, n), tuple)))


def smallest(holds: Callable[[int], bool], least: int = 1) -> int:
    """The smallest n >= `least` for which the monotone predicate holds."""
    step = 1
    while not holds(least + step - 1):
        step *= 2
    low, high = least + step // 2, least + step - 1  # holds(high); fails below low
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def output_extent(word: Sequence[Step], n: int) -> int:
    """The output extent of a word on an extent of its domain."""
    seen = extents(word, n)
    assert isinstance(seen, tuple), "n is in the domain"
    return seen[-1]


def extents_differ(left: Sequence[Step], right: Sequence[Step], common: Domain) -> int | None:
    """The smallest common extent whose output extents differ, or None if they never do."""
    start = common.first()
    if start is None:
        return None
    (p_left, q_left), (p_right, q_right) = rates(left), rates(right)
    period = _bounded(math.lcm(p_left, p_right, common.period))
    for n in common.members():
        if output_extent(left, n) != output_extent(right, n):
            return n
        if n >= common.least + period and q_left * p_right == q_right * p_left:
            return None
        if n > common.least + LONGEST_PERIOD * 4:
            raise BudgetExceeded("the output extents could not be compared within the budget")
    return None

"""What one axis of a chain reads: the support of its interior operator, and its extents.

Owns: `Window`, `window_of`.
Must not know: channels, parameters, target forms.

Away from the borders an output sample reads finitely many input samples, and the pattern repeats: a shift of P input
samples is a shift of Q output samples. A window holds one period of that, and one extent with its output extent:

    y[o] depends on x[i] only if i - P floor(o / Q) is in support[o mod Q]
    m(n) = m* + Q floor((n - n*) / P)

Conversions are synthesised from windows and then decided, so a window may be too large without harm.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from symconv.errors import OutsideFragment
from symconv.operators.budget import Budget
from symconv.operators.domain import Domain, domain, output_extent, smallest
from symconv.operators.steps import Average, Correlate, Decimate, Expand, Extend, Join, Split, Step, rates

UNITS = 16
"""Units of work for each output phase."""


@attrs.frozen
class Window:
    """One axis of a chain.

    Args:
        inward, outward: P and Q.
        support: for each output phase the input samples read, ascending.
        extent, output: n* and m*; the output extent grows at n*, so that the floor above is exact there.
        divisible: as (n, m), an extent that is a multiple of P if the chain accepts one.
    """

    inward: int
    outward: int
    support: tuple[tuple[int, ...], ...]
    extent: int
    output: int
    divisible: tuple[int, int]

    def behind(self, before: int, after: int) -> Window:
        """The same reads on a signal that was extended by `before` and `after` samples."""
        support = tuple(tuple(i + before for i in reads) for reads in self.support)
        n, m = self.divisible
        return attrs.evolve(self, support=support, extent=self.extent + before + after, divisible=(n + before + after, m))

    def block(self, lead: int) -> tuple[tuple[int, ...], ...]:
        """The reads of the Q outputs from -lead on (0 <= lead < Q), one a phase."""
        late = tuple(tuple(i - self.inward for i in reads) for reads in self.support[self.outward - lead :])
        return late + self.support[: self.outward - lead]

    def overreach(self) -> tuple[int, int]:
        """How many samples before the first and after the last one are read."""
        first = min((reads[0] for reads in self.support if reads), default=0)
        ahead = (self.output - 1) // self.outward * self.inward
        phase = (self.output - 1) % self.outward
        last = ahead + max((reads[-1] - (self.inward if p > phase else 0) for p, reads in enumerate(self.support) if reads), default=0)
        return max(0, -first), max(0, last - self.extent + 1)


def window_of(word: Sequence[Step], budget: Budget) -> Window:
    """The window of one axis.

    Raises:
        BudgetExceeded: one period reads more samples than the budget allows.
        OutsideFragment: the chain has no period.
    """
    inward, outward = rates(word)
    budget.afford(outward * UNITS)
    support = tuple(tuple(sorted(reads(word, o, budget))) for o in range(outward))
    accepted = domain(word)
    return Window(inward, outward, support, *_growth(word, accepted, inward), _divisible(word, accepted, inward))


def reads(word: Sequence[Step], position: int, budget: Budget) -> set[int]:
    """The input samples that output `position` of the bi-infinite signal may depend on."""
    here = {position}
    for step in reversed(word):
        here = _back(step, here)
        budget.spend(len(here) + 1)
    return here


def _back(step: Step, here: set[int]) -> set[int]:
    match step:
        case Extend(before=before):
            return {p - before for p in here}
        case Expand(factor=f):
            return {p // f for p in here if p % f == 0}
        case Decimate(factor=f):
            return {p * f for p in here}
        case Join(factor=f):
            return {p // f for p in here}
        case Split(factor=f):
            return {p * f + phase for p in here for phase in range(f)}
        case Correlate(offsets=offsets):
            return {p + offset for p in here for offset in offsets}
        case Average():
            return {q for p in here for q in range(*step.window(p, None)[:2])}
        case _:
            raise OutsideFragment(f"`{type(step).__name__}` is not shift-invariant, and no form has weights that change with the extent")


def _growth(word: Sequence[Step], accepted: Domain, inward: int) -> tuple[int, int]:
    """(n*, m*): an extent at which the output extent has just grown, or the smallest one where none is skipped."""
    start = _first(accepted)
    if inward == 1:
        return start, output_extent(word, start)
    least = output_extent(word, start)
    grown = _first(accepted, smallest(lambda n: output_extent(word, _first(accepted, n)) > least, start))
    return grown, output_extent(word, grown)


def _divisible(word: Sequence[Step], accepted: Domain, inward: int) -> tuple[int, int]:
    least = -(-_first(accepted) // inward) * inward
    multiples = range(least, least + inward * accepted.period, inward)
    n = next((n for n in multiples if n in accepted), _first(accepted))
    return n, output_extent(word, n)


def _first(accepted: Domain, least: int = 1) -> int:
    n = accepted.first(least)
    assert n is not None, "the domain is not empty"
    return n

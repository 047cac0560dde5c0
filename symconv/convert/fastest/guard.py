"""The whole with its layers replaced is never slower than it was beyond noise: what does not show there is put back.

Owns: `settle`, `Settled`, `Attempt`, `at_least_as_fast`.
Must not know: what the whole is, how layers are replaced.

A layer that is faster alone need not make its model faster: neighbours hand over samples in another memory layout, caches are filled by
others. So the whole is raced against itself as it was, in the same interleaved rounds that layers are raced in. It passes if it is not
slower in the median, and the lower end of the interval of its ratio is not below what the given whole shows against itself, or 1. In
doubt the race is repeated with more time, and what then is in doubt still is put back: first the half of the layers that saves least, and
so on. So a whole with n layers takes at most log2(n) + 1 sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from symconv.convert.fastest.clock import WALL, Lap, race

AGAIN = 2
"""By how much longer a race in doubt is the second time."""

Call = Callable[[], object]


@attrs.frozen
class Attempt:
    """The whole with the layers at some places replaced, against the given whole."""

    kept: frozenset[int]
    lap: Lap
    control: Lap


@attrs.frozen
class Settled:
    """What was kept.

    Args:
        kept: places of the layers that stay replaced.
        before, after: seconds of one pass of the given whole, and of the new one, in the same rounds.
        whole: the new whole against the given one; None if nothing is replaced.
        control: the given whole against itself.
        attempts: every set that was tried.
    """

    kept: frozenset[int]
    before: float
    after: float
    whole: Lap | None
    control: Lap
    attempts: tuple[Attempt, ...] = ()


def settle(
    given: Call,
    made: Callable[[frozenset[int]], Call],
    gains: Sequence[float],
    seconds: float,
    device: str = "cpu",
    *,
    clock: str = WALL,
    needed: frozenset[int] = frozenset(),
    progress: Callable[[str], None] = lambda _: None,
) -> Settled:
    """The largest of a few sets of layers with which the whole is not slower than it was.

    Args:
        given: one pass of the whole as it was.
        made: one pass of the whole with the layers at these places replaced; asked for one set at a time.
        gains: seconds that each layer saves where it is measured alone.
        seconds: for each race.
        device, clock: as for `race`.
        needed: places that are replaced whatever it costs.
        progress: told what is under way.
    """
    free = sorted((place for place in range(len(gains)) if place not in needed), key=lambda place: -gains[place])
    attempts: list[Attempt] = []
    while kept := needed | frozenset(free):
        progress(f"the whole, with {len(kept)} of {len(gains)} layers replaced")
        call = made(kept)
        before, lap, control = _raced(given, call, seconds, device, clock)
        if free and lap.ratio >= 1 and not at_least_as_fast(lap, control):
            before, lap, control = _raced(given, call, AGAIN * seconds, device, clock)
        attempts.append(Attempt(kept, lap, control))
        if not free or at_least_as_fast(lap, control):
            return Settled(kept, before, lap.seconds, lap, control, tuple(attempts))
        free = free[: len(free) // 2]
    progress("the whole")
    made(kept)
    (first,), control = race([given], min(seconds, 1.0), device, drop=False, clock=clock)
    return Settled(kept, first.seconds, first.seconds, None, control, tuple(attempts))


def _raced(given: Call, call: Call, seconds: float, device: str, clock: str) -> tuple[float, Lap, Lap]:
    (first, lap), control = race([given, call], seconds, device, drop=False, clock=clock)
    return first.seconds, lap, control


def at_least_as_fast(lap: Lap, control: Lap) -> bool:
    """Whether a call is not slower than the first one in the median, and surely not by more than that one differs from itself."""
    return lap.ratio >= 1 and lap.low >= min(1.0, control.low)

"""What was measured of one way to compute a layer, and which way wins.

Owns: `Row`, `Contest`, `contest`, `faster`, rows from and to plain values.
Must not know: forms, engines, torch.

The layer itself is the first call and wins ties: another way must be faster beyond what the layer differs from itself in the same
rounds, with 95 % confidence, and again in a second race of the two alone (the best of many measurements is partly luck).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs

from symconv.convert.fastest.clock import WALL, Lap, race

MARGIN = 1.02
"""A way must be this much faster at least, however quiet the machine is."""
TRIED = 3
"""Ways that are raced alone, at most."""

CHOSEN, MEASURED, SLOW, REFUSED = "chosen", "measured", "dropped", "refused"


@attrs.frozen(kw_only=True)
class Row:
    """One way to compute a layer.

    Args:
        form, engine: what is executed and how; `why` says what may make it fast.
        status: "chosen", "measured", "dropped" (clearly slower after a few rounds) or "refused" (`reason` says why).
        multiplications, bytes, weight_bytes: for one forward pass; what a library stores inside one call is not seen.
        peak_bytes: by which one call raises the resident memory, or None.
        lap: times, or None.
    """

    form: str
    engine: str
    why: str
    status: str
    reason: str = ""
    multiplications: int | None = None
    bytes: int | None = None
    weight_bytes: int | None = None
    peak_bytes: int | None = None
    lap: Lap | None = None

    @property
    def name(self) -> str:
        """Form and engine."""
        return self.form if self.form == self.engine else f"{self.form}: {self.engine}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return attrs.asdict(self)


@attrs.frozen
class Contest:
    """How calls did against the first one.

    Args:
        laps: one for each call.
        control: the first call against itself: what chance alone does.
        best: the place of the call that wins, 0 where none is faster than the first.
        confirmed: the winner against the first one, raced alone, or None.
    """

    laps: tuple[Lap, ...]
    control: Lap
    best: int
    confirmed: Lap | None

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        """The rows of the calls with their laps and what became of them."""
        found = [
            attrs.evolve(row, lap=lap, status=SLOW if lap.rounds < self.laps[0].rounds else MEASURED)
            for row, lap in zip(rows, self.laps, strict=True)
        ]
        found[self.best] = attrs.evolve(found[self.best], status=CHOSEN)
        return found


def contest(
    calls: Sequence[Callable[[], object]],
    seconds: float,
    device: str = "cpu",
    *,
    clock: str = WALL,
    progress: Callable[[str], None] = lambda _: None,
) -> Contest:
    """All calls in one race; then the fastest, one by one, alone against the first, until one is faster again."""
    progress(f"measuring {len(calls)} ways")
    laps, control = race(calls, 0.6 * seconds, device, clock=clock)
    for place in sorted(range(1, len(calls)), key=lambda k: -laps[k].ratio)[:TRIED]:
        if not faster(laps[place], control):
            break
        progress("confirming")
        (_, lap), again = race([calls[0], calls[place]], 0.4 * seconds, device, clock=clock)
        if faster(lap, again):
            return Contest(tuple(laps), again, place, lap)
    return Contest(tuple(laps), control, 0, None)


def faster(lap: Lap, control: Lap) -> bool:
    """Whether a call is faster than the first one, beyond what that one differs from itself."""
    return lap.ratio >= MARGIN and lap.low > max(1.0, control.high)


def row_of(item: dict[str, Any]) -> Row:
    """A row from plain values; raises TypeError, ValueError or KeyError where they are none."""
    row = Row(**{**item, "lap": lap_of(item["lap"])})
    counts = (row.multiplications, row.bytes, row.weight_bytes, row.peak_bytes)
    words = (row.form, row.engine, row.why, row.status, row.reason)
    if not all(count is None or isinstance(count, int) for count in counts) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"no row: {item!r}")
    return row


def lap_of(item: dict[str, Any] | None) -> Lap | None:
    """A lap from plain values; raises as `row_of` does."""
    if item is None:
        return None
    lap = Lap(**item)
    if not all(isinstance(value, int | float) and 0 <= value < math.inf for value in attrs.astuple(lap)) or not lap.ratio:
        raise TypeError(f"no lap: {item!r}")
    return lap


def own_version() -> str:
    """Symconv's version, "unknown" where it is not installed."""
    try:
        return version("symconv")
    except PackageNotFoundError:
        return "unknown"

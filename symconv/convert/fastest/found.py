"""What was found: the choice for one layer, and for the layers of a module or a model.

Owns: `Choice`, `Site`, what may become of a layer and why, the fields of their JSON objects.
Must not know: how anything was measured; torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from symconv.convert.fastest.clock import WALL, Lap
from symconv.convert.fastest.equivalents import Forms
from symconv.convert.fastest.guard import Settled
from symconv.convert.fastest.ranking import CHOSEN, Row

if TYPE_CHECKING:
    from symconv.convert.fastest.routes import Route

SCHEMA = "symconv.fastest/1"
FASTER, KEPT, REFUSED, LEFT_OUT, UNUSED, PUT_BACK = "faster", "kept", "refused", "left out", "not run", "put back"
REWRITTEN = "rewritten"
"""Of a layer that the target cannot run as it stands: in the fastest form that it can."""


@attrs.frozen(kw_only=True)
class Choice:
    """What was found for one layer.

    Args:
        source: the layer as an expression.
        shape: of the input that was timed.
        device, dtype, threads, clock: where, and by which time.
        rows: every route, the layer itself first.
        chosen: the row that is used.
        control: the layer against itself: what chance alone does.
        confirmed: the chosen route against the layer, raced alone, or None if the layer itself is kept.
        cached: whether the times are from an earlier run.
        forms: the certified forms.
        route: how the chosen row is executed, or None for the layer itself.
    """

    source: str
    shape: tuple[int, ...]
    device: str
    dtype: str
    threads: int
    clock: str = WALL
    rows: tuple[Row, ...]
    control: Lap | None
    confirmed: Lap | None
    cached: bool
    forms: Forms = attrs.field(repr=False)
    route: Route | None = attrs.field(repr=False, default=None)

    @property
    def chosen(self) -> Row:
        """The row that is used."""
        return next(row for row in self.rows if row.status == CHOSEN)

    @property
    def speed_up(self) -> float:
        """Of what is used over the layer: 1 where the layer itself is kept."""
        return 1.0 if self.confirmed is None else self.confirmed.ratio

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        form = next(form for form in self.forms.found if form.name == self.chosen.form)
        return {
            "source": self.source,
            "shape": list(self.shape),
            "device": self.device,
            "dtype": self.dtype,
            "threads": self.threads,
            "clock": self.clock,
            "chosen": self.chosen.name,
            "speed_up": self.speed_up,
            "cached": self.cached,
            "control": None if self.control is None else attrs.asdict(self.control),
            "confirmed": None if self.confirmed is None else attrs.asdict(self.confirmed),
            "rows": [row.to_dict() for row in self.rows],
            "refused": [{"form": name, "reason": reason} for name, reason in self.forms.refused],
            "verdict": None if form.verdict is None else form.verdict.to_dict(),
        }


def stored(choice: Choice) -> dict[str, Any]:
    """What is kept on disk of a choice."""
    plain = choice.to_dict()
    return {key: plain[key] for key in ("rows", "control", "confirmed")}


@attrs.frozen(kw_only=True)
class Site:
    """What was found for one layer of a module.

    Args:
        name, names: its dotted names.
        source: the layer, with the neighbours that are executed with it, as an expression.
        status: "faster", "kept" (the layer itself is the fastest), "put back" (faster alone, but not in the whole), "refused", "left
            out", or "not run" by the example.
        reason: of the last four.
        shape: of its input when the example runs.
        choice: the measurements.
    """

    name: str
    names: tuple[str, ...]
    source: str
    status: str
    reason: str = ""
    shape: tuple[int, ...] = ()
    choice: Choice | None = attrs.field(default=None, repr=False)

    @property
    def saved(self) -> float:
        """Seconds that the layer saves in one pass, by what was measured of it alone."""
        lap = None if self.choice is None else self.choice.rows[0].lap
        return 0.0 if self.choice is None or lap is None else lap.seconds * (1 - 1 / self.choice.speed_up)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only."""
        return {
            "name": self.name,
            "names": list(self.names),
            "source": self.source,
            "status": self.status,
            "reason": self.reason,
            "shape": list(self.shape),
            "choice": None if self.choice is None else self.choice.to_dict(),
        }


def put_back(settled: Settled, place: int) -> str:
    """Why a layer was put back: what was seen of the whole with it, in the smallest set that had it."""
    tried = [attempt for attempt in settled.attempts if place in attempt.kept]
    if not tried:
        return "faster alone, but not tried in the whole"
    lap = tried[-1].lap
    others = len(tried[-1].kept) - 1
    beside = f" and {others} other{'s' * (others > 1)}" if others else ""
    return f"faster alone, but with it{beside} the whole has {lap.ratio:.2f} times its speed (95 %: {lap.low:.2f} to {lap.high:.2f})"

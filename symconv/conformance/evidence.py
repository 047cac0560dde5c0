"""What a cross-validation found: one row for each setting, direction and kind of evidence.

Owns: `Row`, `Deviation`, `Evidence`, `Outcome`. Must not know: torch, rendering.
"""

from __future__ import annotations

import enum
import math
from typing import Any

import attrs

SCHEMA = "symconv.crossval/1"


class Outcome(enum.StrEnum):
    """What the numbers of one row say.

    identical: integers, equal bit for bit to each other and to the exact ones (zero counts as one number).
    within: every error is within its bound.
    transform: no integers, but the exact ones after rounding to the nearest: an algorithm with fractional constants.
    deviates: something else. One such row refutes.
    unsupported: nothing was compared; the reason says why.
    """

    IDENTICAL = "identical"
    WITHIN = "within"
    TRANSFORM = "transform"
    DEVIATES = "deviates"
    UNSUPPORTED = "unsupported"


@attrs.frozen(kw_only=True)
class Deviation:
    """The worst value of a row that deviates.

    Args:
        side: left or right: whose value it is.
        what: output, input gradient, or whose gradient.
        place: its index.
        found, exact: the value and the exact one (its float64 value).
        bound: the largest error allowed there.
        extents: of the input.
        draw: which instance; with the seed it can be drawn again.
    """

    side: str
    what: str
    place: tuple[int, ...]
    found: float
    exact: float
    bound: float
    extents: tuple[int, ...]
    draw: int


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table.

    Args:
        backend, device, dtype, memory_format, algorithm, mode: the setting.
        direction: forward, input-grad or weight-grad.
        evidence: exact or bounded.
        outcome: what was seen.
        instances: how many were compared.
        values: how many numbers.
        bound: exact: the largest |partial sum| over its unit that can occur; bounded: the largest error allowed.
        limit: exact: 2^p, up to which sums are exact; bounded: None.
        ratio: bounded: the largest error over its bound.
        reason: why unsupported, or a remark.
        deviation: the worst value, where it deviates.
        scope: "pair", or of whole models "model" (the models, opened) or "parts" (each pair of parts that is not the same layer).
    """

    backend: str
    device: str
    dtype: str
    memory_format: str = "contiguous"
    algorithm: str = ""
    mode: str = "eager"
    direction: str = "forward"
    evidence: str = "exact"
    outcome: Outcome = Outcome.UNSUPPORTED
    instances: int = 0
    values: int = 0
    bound: float | None = None
    limit: float | None = None
    ratio: float | None = None
    reason: str = ""
    deviation: Deviation | None = None
    scope: str = "pair"

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return attrs.asdict(self, value_serializer=_plain)


def _plain(_: Any, __: Any, value: Any) -> Any:
    if isinstance(value, Outcome):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def severity(row: Row) -> tuple[bool, float]:
    """How much a row that deviates is to be shown first."""
    worst = row.deviation
    error = 0.0 if worst is None else abs(worst.found - worst.exact)
    return row.evidence == "exact", error if math.isfinite(error) else math.inf


@attrs.frozen(kw_only=True)
class OpenedAt:
    """How a pair of models was opened for one kind of evidence and one number format.

    Args:
        evidence, dtype: which.
        cuts: operator, why, whether it was left out (or only cut after), how often.
        shown: values compared.
        operations: left in the opened models, per side.
    """

    evidence: str
    dtype: str
    cuts: tuple[dict[str, Any], ...]
    shown: int
    operations: tuple[int, int]


@attrs.frozen(kw_only=True)
class Models:
    """What is known of a pair of whole models.

    Args:
        operations: per side, those that an output depends on.
        congruent: left ones with a counterpart of the same operator and constants.
        shapes: of the inputs that were run.
        parts: distinct pairs of parts that are other layers: left, right, count, and the reason if they were not run by themselves.
        opened: how the models were opened.
        assumptions: of the proof.
    """

    operations: tuple[int, int]
    congruent: int
    shapes: dict[str, list[int]]
    parts: tuple[dict[str, Any], ...]
    opened: tuple[OpenedAt, ...]
    assumptions: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Evidence:
    """Everything about one pair.

    Args:
        left, right: the chains as expressions.
        relation, trust, source: what was decided before, what vouches for it, and where it comes from.
        free: whose parameters were carried to the other side: "left" or "right" if they were drawn, "left_own" or "right_own" if
            the layer brought them; "own" if both did.
        rows: what was seen.
        seed, count: of the instances.
        environment: what computed.
        snippet: Python text that shows the first deviation again, or None.
        seconds: wall-clock time.
        models: what is known of whole models, None for layers.
    """

    left: str
    right: str
    relation: str
    trust: str | None
    free: str
    source: str
    rows: tuple[Row, ...]
    seed: int
    count: int
    environment: dict[str, Any]
    snippet: str | None = None
    seconds: float = 0.0
    models: Models | None = None

    @property
    def deviations(self) -> tuple[Row, ...]:
        """The rows that refute."""
        return tuple(row for row in self.rows if row.outcome is Outcome.DEVIATES)

    @property
    def worst(self) -> Row | None:
        """The deviation to show: exact evidence before bounded, then the largest error."""
        return max(self.deviations, key=severity, default=None)

    @property
    def ran(self) -> tuple[Row, ...]:
        """The rows in which something was compared."""
        return tuple(row for row in self.rows if row.outcome is not Outcome.UNSUPPORTED)

    @property
    def verdict(self) -> str:
        """agrees, deviates, or nothing_ran."""
        return "deviates" if self.deviations else "agrees" if self.ran else "nothing_ran"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "left": self.left,
            "right": self.right,
            "relation": self.relation,
            "trust": self.trust,
            "source": self.source,
            "parameters": self.free,
            "seed": self.seed,
            "count": self.count,
            "environment": self.environment,
            "rows": [row.to_dict() for row in self.rows],
            "snippet": self.snippet,
            "seconds": self.seconds,
            "models": None if self.models is None else attrs.asdict(self.models, value_serializer=_plain),
        }

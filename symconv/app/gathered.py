"""What a run of the whole matrix has seen, setting by setting, and the clock that divides its time.

Owns: `Gathered`, `Clock`, `plain`. Must not know: which layers are run.
"""

from __future__ import annotations

import math
import time
from typing import Any

import attrs

SHARES = {"real layers": 0.45, "times": 0.13, "compiled": 0.17, "random layers": 0.15, "theorems": 0.1}
"""How the time is divided; what a part leaves over, the next ones may use."""
FIELDS = ("backend", "device", "dtype", "memory_format", "algorithm", "mode", "direction", "evidence")


@attrs.define
class Gathered:
    """Everything seen so far, setting by setting, without the single rows."""

    settings: dict[tuple[str, ...], dict[str, Any]] = attrs.field(factory=dict)
    deviations: list[dict[str, Any]] = attrs.field(factory=list)
    compared: int = 0

    def add(self, evidence: Any, name: str) -> None:
        """Counts the rows of one pair; one that deviates is kept whole."""
        self.compared += len(evidence.ran)
        for row in evidence.rows:
            key = tuple(getattr(row, field) for field in FIELDS)
            found = self.settings.setdefault(
                key, {"pairs": {}, "values": 0, "ratio": None, "bound": None, "limit": row.limit, "reasons": {}}
            )
            found["pairs"][row.outcome.value] = found["pairs"].get(row.outcome.value, 0) + 1
            found["values"] += row.values
            for field in ("ratio", "bound", "limit"):
                value = getattr(row, field)
                if value is not None:
                    found[field] = value if found[field] is None else max(found[field], value)
            for reason in row.reason.split("; ") if row.reason else ():
                found["reasons"][reason] = found["reasons"].get(reason, 0) + 1
        if evidence.deviations:
            worst = {"name": name, "left": evidence.left, "right": evidence.right, "snippet": evidence.snippet}
            self.deviations.append(worst | {"rows": [row.to_dict() for row in evidence.deviations]})

    def records(self) -> list[dict[str, Any]]:
        """One record a setting, direction and kind of evidence."""
        return [dict(zip(FIELDS, key, strict=True)) | found for key, found in sorted(self.settings.items())]


def plain(value: Any) -> Any:
    """The value with infinities and NaN as words: JSON has no numbers for them."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Clock:
    """The time of one part; unused time goes to the next."""

    def __init__(self, seconds: float) -> None:
        self.start, self.seconds, self.given = time.monotonic(), seconds, 0.0
        self.until = self.start

    def open(self, part: str) -> None:
        """Starts a part: it may run until its share, and all shares before it, are used up."""
        self.given += SHARES[part]
        self.until = self.start + self.seconds * min(self.given, 1.0)

    def open_all(self) -> None:
        """Gives all of the time that is left."""
        self.until = self.start + self.seconds

    def over(self) -> bool:
        """Whether the part's time is up."""
        return time.monotonic() >= self.until

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.start

"""How a check ends early: a malformed file, a claim that does not hold, a budget that ran out."""

from __future__ import annotations

from typing import Self

WORK = 6_000_000
"""Samples read and coefficients combined before a file counts as too large; some ten seconds."""


class Fault(ValueError):
    """Why a file is not accepted, and at which place in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = ""

    def within(self, place: str) -> Self:
        """The same fault, seen from one level further out."""
        self.place = place + ("" if self.place[:1] in ("", "[") else ".") + self.place
        return self


class Malformed(Fault):
    """The file is not in the format."""


class Rejected(Fault):
    """The file is in the format, and something that it claims is not so."""


class Budget:
    """A counter of work, so that no file keeps the checker busy for long."""

    def __init__(self, work: int = WORK) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Counts `work`; raises Rejected when there is none left."""
        self.left -= work
        if self.left < 0:
            raise Rejected("too large for the checker's budget")


def need(holds: bool, reason: str) -> None:
    """Raises Rejected unless the condition holds."""
    if not holds:
        raise Rejected(reason)

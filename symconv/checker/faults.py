"""How a check ends early: a malformed file, a claim that does not hold, work without end."""

from __future__ import annotations

from types import TracebackType

WORK = 3_000_000
"""Samples read and coefficients combined before a file counts as too large: some ten seconds."""


class Fault(ValueError):
    """Why a file is not accepted, and the place in it."""

    place = ""


class Malformed(Fault):
    """The file is not in the format."""


class Rejected(Fault):
    """The file is in the format, but something that it claims is not so."""


def need(holds: bool, reason: str) -> None:
    """Raises Rejected unless the condition holds."""
    if not holds:
        raise Rejected(reason)


class at:
    """`with at(place):` puts the place before that of every fault inside."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(fault, Fault):
            fault.place = self.place + ("" if fault.place[:1] in ("", "[") else ".") + fault.place


class Budget:
    """A counter of work."""

    left = WORK

    def spend(self, work: int) -> None:
        """Counts `work`; Rejected when there is none left."""
        self.left -= work
        need(self.left >= 0, "too large for the checker's budget")

"""How much time and work a decision may use.

Owns: `Budget`. Must not know: what is being decided.
"""

from __future__ import annotations

import time

from symconv.errors import BudgetExceeded

DEFAULT_SECONDS = 60.0
DEFAULT_WORK = 20_000_000


class Budget:
    """A deadline and a bound on work units; one unit is about one table entry, so memory is bounded too.

    Args:
        seconds: wall-clock seconds from now.
        work: units of work.
    """

    def __init__(self, seconds: float = DEFAULT_SECONDS, work: int = DEFAULT_WORK) -> None:
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.work = work
        self._countdown = 0

    def spend(self, units: int = 1) -> None:
        """Counts `units` of work.

        Raises:
            BudgetExceeded: the work or the time is used up.
        """
        self.work -= units
        if self.work < 0:
            raise BudgetExceeded("the tables of this question are larger than the work budget allows")
        self._countdown -= units
        if self._countdown < 0:
            self._countdown = 2000
            self.check_time()

    def afford(self, units: int) -> None:
        """Raises BudgetExceeded at once if `units` more would not fit; spends nothing."""
        if units > self.work:
            raise BudgetExceeded(f"the question needs tables of about {units:,} entries, more than the budget allows")

    def check_time(self) -> None:
        """Raises BudgetExceeded if the deadline has passed."""
        if time.monotonic() > self.deadline:
            raise BudgetExceeded(f"the budget of {self.seconds:g} seconds ran out; give more with --budget")

    def remaining(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self.deadline - time.monotonic())

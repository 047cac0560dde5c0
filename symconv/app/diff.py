"""`symconv diff`: two models in, what is not the same out.

Owns: the exit code: 0 the same, 1 not the same, 3 unknown; what `--up-to` is. Must not know: how models are compared or shown.
"""

from __future__ import annotations

from fractions import Fraction

import symconv.api
from symconv.app.arguments import one_output, read_budget
from symconv.app.output import emit
from symconv.app.progress import steps
from symconv.errors import UsageError
from symconv.prove.graphs.outcome import Comparison, Likeness
from symconv.report.page import Page


def diff(left: str, right: str, *, up_to: str | None, budget: float, run: bool, as_json: bool, as_format: str) -> int:
    """Compares, reports, and returns the exit code."""
    one_output(as_json, as_format)
    seconds, distance = read_budget(budget), read_distance(up_to)
    with steps()("comparing") as report:
        found = symconv.api.diff(left, right, budget=seconds, up_to=distance, run=run, progress=lambda done, known: report(done, known, ""))

    def page() -> Page:
        from symconv.report.diff import diff_page

        return diff_page(found)

    emit(found.to_dict, page, as_json=as_json, as_format=as_format)
    return exit_code(found, distance)


def read_distance(text: str | None) -> Fraction | None:
    """A distance such as 1e-6 or 1/1000.

    Raises:
        UsageError: not a number of at least 0.
    """
    if text is None:
        return None
    try:
        if len(text) > 40 or ("e" in text.lower() and abs(int(text.lower().split("e")[1])) > 400):
            raise ValueError
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"`--up-to` must be a number of at least 0, such as 1e-6; found {text[:40]!r}.") from None
    if value < 0:
        raise UsageError(f"`--up-to` must be at least 0; found {text}.")
    return value


def exit_code(found: Comparison, up_to: Fraction | None) -> int:
    """0 identical, or every part within the distance asked for; 1 not the same; 3 unknown."""
    if found.relation is Likeness.IDENTICAL:
        return 0
    if found.relation is Likeness.UNKNOWN:
        return 3
    if found.relation is Likeness.UP_TO and up_to is not None:
        return 0 if all(row.distance is not None and row.distance <= up_to for row in found.rows) else 1
    return 1

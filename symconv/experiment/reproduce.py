"""Whether results are those of before: closed forms to 1e-6 dB, trained networks within the spread of before.

Owns: `compare_results`, the tolerances. Must not know: how results are made or shown.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]

CLOSED_FORM = 1e-6
"""Decibels."""
SPREADS = 2.0
"""Standard errors of the two means that they may differ by, beside what the fewest digits shown hide."""
ROUNDING = 5e-3


def compare_results(new: Record, old: Record) -> Record:
    """What both have in common, compared.

    Returns:
        `linear` and `trained`: how many numbers were compared and the largest difference in decibels; and `problems`, sentences,
        none if the results are reproduced.
    """
    linear, trained = list(_linear(new, old)), list(_trained(new, old))
    problems = [f"{name}: {gap:.1e} dB" for name, gap in linear if not abs(gap) <= CLOSED_FORM]
    problems += [f"{name}: {gap:+.3f} dB, more than {allowed:.3f}" for name, gap, allowed in trained if not abs(gap) <= allowed]
    if not linear and not trained:
        problems.append("the two have no closed form and no trained network in common")
    return {
        "linear": {"compared": len(linear), "largest": max((abs(gap) for _, gap in linear), default=None)},
        "trained": {"compared": len(trained), "largest": max((abs(gap) for _, gap, _ in trained), default=None)},
        "problems": problems,
    }


def _linear(new: Record, old: Record) -> Iterator[tuple[str, float]]:
    before = {
        (item["factor"], one["expression"]): dict(zip([*old["linear"]["images"], "fit"], [*one["psnr"], one["fit_psnr"]], strict=True))
        for item in old.get("linear", {}).get("factors", [])
        for one in item["classes"]
    }
    for item in new.get("linear", {}).get("factors", []):
        for one in item["classes"]:
            held = before.get((item["factor"], one["expression"]), {})
            for image, value in zip([*new["linear"]["images"], "fit"], [*one["psnr"], one["fit_psnr"]], strict=True):
                if image in held:
                    yield f"{one['expression']} on {image}", value - held[image]


def _trained(new: Record, old: Record) -> Iterator[tuple[str, float, float]]:
    if new.get("trained", {}).get("schedule") != old.get("trained", {}).get("schedule"):
        return
    before = {one["expression"]: _scores(one) for one in old.get("trained", {}).get("networks", [])}
    for one in new.get("trained", {}).get("networks", []):
        found, held = _scores(one), before.get(one["expression"], [])
        if held:
            allowed = SPREADS * math.hypot(_error(found), _error(held)) + ROUNDING
            yield one["expression"], statistics.fmean(found) - statistics.fmean(held), allowed


def _scores(network: Record) -> list[float]:
    return [statistics.fmean(run["psnr"]) for run in network["runs"]]


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else math.inf

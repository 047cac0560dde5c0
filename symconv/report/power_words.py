"""Names and numbers that the parts of the page share.

Owns: names of the networks, means, spreads, ranges in words. Must not know: what is compared.
"""

from __future__ import annotations

import statistics
from typing import Any

Record = dict[str, Any]

ARM = {
    "low": "LR",
    "bicubic": "HR, bicubic first",
    "nearest": "HR, nearest first",
    "transposed": "HR, transposed first",
    "low-parameters": "LR, few parameters",
}
HIGH = ("bicubic", "nearest", "transposed")


def mean(values: list[float]) -> float:
    """The arithmetic mean."""
    return statistics.fmean(values)


def spread(values: list[float]) -> float:
    """The standard deviation of a sample; 0 for a single value."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def between(values: list[float], signed: bool = True) -> str:
    """The least and the greatest value, or the only one."""
    least, most = (f"{value:+.2f}" if signed else f"{value:.1f}" for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"

"""Time and memory of calls, beside each other.

Owns: `race`, `Lap`, `peak`, `CLOCKS`.
Must not know: what is called. torch is imported only to wait for a device other than the cpu.

Every round runs each call once, so that what disturbs the machine disturbs all of them alike, and ratios are taken within a round. The
first call runs twice a round: the ratio of the two is what chance alone does.
"""

from __future__ import annotations

import ctypes
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

ROUNDS = 7
"""Fewest rounds."""
HOPELESS = 1.6
"""What is slower than the fastest by this factor after a few rounds is measured no more."""

FAR = 3.0
"""What is slower by this factor already before the first round runs in none."""

WALL, PROCESSOR = "wall", "processor"
CLOCKS = {WALL: time.perf_counter, PROCESSOR: time.thread_time}
"""What passes, or what the calling thread alone uses: on a busy machine with one thread the second one is steadier."""

Call = Callable[[], object]


@attrs.frozen
class Lap:
    """How one call did.

    Args:
        seconds: the median.
        ratio: the median over the rounds of (first call) / (this call): above 1 is faster.
        low, high: an interval of order statistics that holds the median of that ratio with 95 % confidence.
        rounds: how many.
    """

    seconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def race(calls: Sequence[Call], seconds: float, device: str = "cpu", *, drop: bool = True, clock: str = WALL) -> tuple[list[Lap], Lap]:
    """(one lap for each call, the lap of the first call against itself), in about `seconds`."""
    everyone = [calls[0], *calls]
    times: list[list[float]] = [[] for _ in everyone]
    warm = [[_timed(call, device, clock) for _ in range(3)][1:] for call in everyone]
    running = list(range(len(everyone)))
    if drop:
        fastest = min(map(min, warm))
        times = [own if place < 2 or min(warm[place]) <= FAR * fastest else warm[place] for place, own in enumerate(times)]
        running = [place for place in running if place < 2 or min(warm[place]) <= FAR * fastest]
    chance = random.Random(0)
    end, done = time.perf_counter() + seconds, 0
    while done < ROUNDS or time.perf_counter() < end:
        for place in chance.sample(running, len(running)):  # nobody always runs after the same neighbour
            times[place].append(_timed(everyone[place], device, clock))
        done += 1
        if drop and done in (ROUNDS, 3 * ROUNDS):
            running = _hopeful(times, running)
    laps = [_lap(warm[0] if own is warm[place] else times[0], own) for place, own in enumerate(times[1:], start=1)]
    return laps, laps[0]


def _hopeful(times: Sequence[Sequence[float]], running: Sequence[int]) -> list[int]:
    medians = {place: statistics.median(times[place]) for place in running}
    best = min(medians.values())
    return [place for place in running if place < 2 or medians[place] <= HOPELESS * best]


def _timed(call: Call, device: str, clock: str) -> float:
    now = CLOCKS[clock]
    if device != "cpu":
        _synchronize(device)
    start = now()
    call()
    if device != "cpu":
        _synchronize(device)
    return now() - start


def _synchronize(device: str) -> None:
    import torch

    if device.startswith("mps"):
        torch.mps.synchronize()
    else:
        torch.cuda.synchronize(device)


def _lap(first: Sequence[float], own: Sequence[float]) -> Lap:
    ratios = sorted(a / b for a, b in zip(first, own, strict=False))
    low, high = interval(len(ratios))
    return Lap(statistics.median(own), statistics.median(ratios), ratios[low], ratios[high], len(ratios))


def interval(count: int) -> tuple[int, int]:
    """Places of the order statistics that enclose the median with 95 % confidence (the normal approximation of the binomial)."""
    half = 0.98 * count**0.5
    low = max(0, int(count / 2 - half))
    return low, count - 1 - low


def peak(call: Call) -> int | None:
    """Bytes by which the resident memory of the process grows at most during one call; None where the system does not say (Linux does)."""
    marks = Path("/proc/self/clear_refs")
    if not os.access(marks, os.W_OK):
        return None
    call()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        marks.write_text("5", encoding="ascii")  # resets the peak (Linux, proc(5))
        before = _status("VmRSS")
        kept = call()
        after = _status("VmHWM")
        del kept
    except (OSError, AttributeError, ValueError):
        return None
    return max(0, after - before)


def available() -> int | None:
    """Bytes of memory that are free to be used, or None where the system does not say (Linux does)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no {field}")

"""Time and memory of networks that are compared, measured side by side.

Owns: `compare`: interleaved times per megapixel and peak memory of several networks.
Must not know: what the networks are for.

The networks take turns, round by round, so that whatever slows the machine down slows them all; a ratio is the median of the
ratios of one round. A megapixel is a million samples of the high-resolution grid.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import UsageError

ROUNDS = 7
EXTENT = 480
"""High-resolution samples on each axis; 2, 3 and 4 divide it."""
MEGA = 1_000_000
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@attrs.frozen
class Timed:
    """What one network took.

    Args:
        rounds: seconds for a megapixel, round by round.
        megabytes: peak memory beyond what was in use before, for a megapixel; None where it cannot be measured.
    """

    rounds: tuple[float, ...]
    megabytes: float | None

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    def ratio(self, other: Timed) -> float:
        """The median over the rounds of this time over the other one."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of it."""
        return {"seconds": self.seconds, "least": min(self.rounds), "most": max(self.rounds), "megabytes": self.megabytes}


def compare(
    networks: Mapping[Any, tuple[Any, int, int]],
    extent: int = EXTENT,
    *,
    rounds: int = ROUNDS,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> dict[Any, Timed]:
    """Measures networks against one another.

    Args:
        networks: a module in evaluation mode, its input channels, and high-resolution samples for each input sample on one axis, by name.
        extent: high-resolution samples on each axis.
        rounds: how often each of them runs.
        device: cpu or cuda.
        progress: told after every round.

    Raises:
        UsageError: the extent is no multiple of some network's factor.
    """
    import torch

    for _, _, factor in networks.values():
        if extent % factor:
            raise UsageError(f"the extent of {extent} samples must be divisible by r = {factor}; it leaves {extent % factor} over.")
    inputs = {
        name: torch.rand((1, channels, extent // factor, extent // factor), generator=torch.Generator().manual_seed(0)).to(device)
        for name, (_, channels, factor) in networks.items()
    }
    modules = {name: module.to(device) for name, (module, _, _) in networks.items()}
    with torch.no_grad():
        runs = {name: partial(modules[name], inputs[name]) for name in networks}
        megabytes = {name: _peak(run, device) for name, run in runs.items()}
        times: dict[Any, list[float]] = {name: [] for name in networks}
        for number in range(rounds):
            for name, run in runs.items():
                times[name].append(_seconds(run, device) / extent**2 * MEGA)
            progress(number + 1, rounds)
    scale = MEGA / extent**2
    return {name: Timed(tuple(held), _times(megabytes[name], scale)) for name, held in times.items()}


def _times(megabytes: float | None, scale: float) -> float | None:
    return None if megabytes is None else megabytes * scale


def _seconds(run: Callable[[], Any], device: str) -> float:
    import torch

    if device != "cpu":
        torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _peak(run: Callable[[], Any], device: str) -> float | None:
    """Megabytes beyond those in use, at the peak; the run before it loads kernels and fills caches."""
    import torch

    run()
    gc.collect()
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before) / 2**20
    try:
        _trim()
        RESET.write_text("5")  # Linux: the high-water mark of resident memory starts again at what is resident now
        before = _resident("VmRSS")
        run()
        return max(0.0, (_resident("VmHWM") - before) / 1024)
    except (OSError, ValueError):
        return None


def _trim() -> None:
    """Gives freed memory back to the system, so that using it again counts (glibc only)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _resident(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])

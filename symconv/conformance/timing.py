"""How long a chain takes and how much memory: medians of interleaved runs under one setting; and which kernels run.

Owns: `Timed`, `interleaved`, `kernels`. Must not know: which of the chains is meant to be faster.

On a CUDA device a sample is a row of calls between two events of the stream, long enough that the clock's resolution and the first
launch weigh little. The input is the same at every call, so that what fits into the device's cache is read from there.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import torch

from symconv.conformance.torch_runs import TorchSetting, build, compiled, measured, refused, require_working, tensor
from symconv.conformance.torch_switches import configured
from symconv.layers import Layer, Weights

Weighted = tuple[Sequence[Layer], Sequence[Weights | None]]
SAMPLE = 1e-3
"""Seconds that one sample on a CUDA device takes at least, if `MOST_CALLS` calls take as long."""
MOST_CALLS = 50
CALLS = r"cuda[A-Z]|cu[A-Z]|Mem(cpy|set)|Activity Buffer"
"""What a profile has beside kernels."""
NAME = 120
"""Characters of a kernel's name."""


@attrs.frozen
class Timed:
    """How one chain did.

    Args:
        seconds: of one forward pass, the median.
        memory: bytes beyond those in use, at the peak of one pass (CUDA devices; None elsewhere).
    """

    seconds: float
    memory: int | None = None


def interleaved(chains: Sequence[Weighted], axes: int, x: Any, setting: TorchSetting, rounds: int = 10, warm: int = 3) -> list[Timed]:
    """One forward pass of every chain; a round runs each chain in turn.

    Raises:
        Unsupported: PyTorch refuses, or memory runs out.
        DeviceLost: the device answers nothing any more.
    """
    try:
        with configured(setting), torch.no_grad():
            given = tensor(x, axes, setting)
            made = [compiled(build(chain, weights, axes, setting), setting) for chain, weights in chains]
            return _timed([partial(own, given) for own in made], setting.device, rounds, warm)
    except (RuntimeError, NotImplementedError, TypeError, MemoryError) as error:
        require_working(setting.device)
        raise refused(error) from error


def _timed(calls: Sequence[Callable[[], Any]], device: str, rounds: int, warm: int) -> list[Timed]:
    first = [measured(call, device, warm)[-1] for call in calls]
    repeats = [min(MOST_CALLS, max(1, math.ceil(SAMPLE / max(seconds, 1e-9)))) if device == "cuda" else 1 for seconds in first]
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, count, own in zip(calls, repeats, times, strict=True):
            (seconds,) = measured(partial(_again, call, count), device, 1)
            own.append(seconds / count)
    return [Timed(statistics.median(own), _memory(call, device)) for call, own in zip(calls, times, strict=True)]


def _again(call: Callable[[], Any], count: int) -> None:
    for _ in range(count):
        call()


def _memory(call: Callable[[], Any], device: str) -> int | None:
    if device != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return max(0, torch.cuda.max_memory_allocated() - before)


def kernels(chains: Sequence[Weighted], axes: int, x: Any, setting: TorchSetting) -> list[list[str]]:
    """The names of what runs on a CUDA device in one forward pass of every chain, by the profiler.

    Nothing where there is no such device, or where the system forbids the profiler. Times are not to be measured afterwards in the same
    process: what the profiler has attached to the driver may stay there.

    Raises:
        Unsupported: PyTorch refuses, or memory runs out.
        DeviceLost: the device answers nothing any more.
    """
    if setting.device != "cuda":
        return [[] for _ in chains]
    try:
        with configured(setting), torch.no_grad():
            given = tensor(x, axes, setting)
            return [_names(partial(compiled(build(chain, weights, axes, setting), setting), given)) for chain, weights in chains]
    except (RuntimeError, NotImplementedError, TypeError, MemoryError) as error:
        require_working(setting.device)
        raise refused(error) from error


def _names(call: Callable[[], Any]) -> list[str]:
    from torch.profiler import ProfilerActivity, profile

    call()
    try:
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            call()
            torch.cuda.synchronize()
        found = [event.key for event in seen.key_averages() if not re.match(CALLS, event.key)]
    except (RuntimeError, AssertionError):
        return []
    return list(dict.fromkeys(name[:NAME] for name in found))

"""How long a chain takes: medians of interleaved runs under one setting.

Owns: `interleaved`. Must not know: which of the chains is meant to be faster.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch

from symconv.conformance.torch_runs import TorchSetting, Unsupported, build, compiled, configured, measured, tensor
from symconv.layers import Layer, Weights

Weighted = tuple[Sequence[Layer], Sequence[Weights | None]]


def interleaved(chains: Sequence[Weighted], axes: int, x: Any, setting: TorchSetting, rounds: int = 10, warm: int = 3) -> list[float]:
    """The median time of one forward pass of every chain, in seconds; a round runs each chain once.

    Raises:
        Unsupported: PyTorch refuses, or memory runs out.
    """
    try:
        with configured(setting), torch.no_grad():
            given = tensor(x, axes, setting)
            calls = [compiled(build(chain, weights, axes, setting), setting) for chain, weights in chains]
            times: list[list[float]] = [[] for _ in calls]
            for k in range(warm + rounds):
                for call, own in zip(calls, times, strict=True):
                    (seconds,) = measured(lambda call=call: call(given), setting.device, 1)  # type: ignore[misc]
                    if k >= warm:
                        own.append(seconds)
            return [statistics.median(own) for own in times]
    except (RuntimeError, NotImplementedError, MemoryError) as error:
        raise Unsupported(str(error).splitlines()[0][:160] if str(error) else type(error).__name__) from error

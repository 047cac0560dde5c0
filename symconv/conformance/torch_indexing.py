"""The layers that torch.nn lacks, as modules made of indexing and torch.nn.functional.pad.

Owns: `Extend`, `Expand`, `DepthToSpace`, `SpaceToDepth` on any number of axes.
Must not know: layer descriptions.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

Margins = tuple[tuple[int, int], ...]

_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class Extend(nn.Module):
    """torch.nn.functional.pad with one pair an axis, first spatial axis first."""

    def __init__(self, amounts: Margins, mode: str) -> None:
        super().__init__()
        self.flat = [side for pair in reversed(amounts) for side in pair]
        self.mode = _MODES[mode]

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.flat, self.mode)


class Expand(nn.Module):
    """y[s i] = x[i], zeros between."""

    def __init__(self, factor: tuple[int, ...]) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        extents = [(extent - 1) * s + 1 for extent, s in zip(x.shape[2:], self.factor, strict=True)]
        y = x.new_zeros((*x.shape[:2], *extents))
        kept: Any = (..., *(slice(None, None, s) for s in self.factor))
        y[kept] = x
        return y


class DepthToSpace(nn.Module):
    """Channel c r^D + phase (CRD) or phase C + c (DCR) to channel c and position r i + phase, phases row-major."""

    def __init__(self, factor: tuple[int, ...], order: str) -> None:
        super().__init__()
        self.factor, self.order = factor, order

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, *extents = x.shape
        axes = len(extents)
        kept = channels // math.prod(self.factor)
        first = (kept, *self.factor) if self.order == "CRD" else (*self.factor, kept)
        channel, phase = (1, 2) if self.order == "CRD" else (1 + axes, 1)
        pairs = [index for axis in range(axes) for index in (2 + axes + axis, phase + axis)]
        y = x.reshape(batch, *first, *extents).permute(0, channel, *pairs)
        return y.reshape(batch, kept, *(n * r for n, r in zip(extents, self.factor, strict=True)))


class SpaceToDepth(nn.Module):
    """The inverse of DepthToSpace."""

    def __init__(self, factor: tuple[int, ...], order: str) -> None:
        super().__init__()
        self.factor, self.order = factor, order

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, *extents = x.shape
        axes = len(extents)
        small = [n // r for n, r in zip(extents, self.factor, strict=True)]
        split = [part for pair in zip(small, self.factor, strict=True) for part in pair]
        phases, positions = range(3, 3 + 2 * axes, 2), range(2, 2 + 2 * axes, 2)
        first = (1, *phases) if self.order == "CRD" else (*phases, 1)
        return x.reshape(batch, channels, *split).permute(0, *first, *positions).reshape(batch, -1, *small)

"""Low-resolution chains as plain numbers: what the engines execute.

Owns: `Lowered`, `lowered`.
Must not know: torch, how it is executed, where weights come from.

    [Pad(mode) >>] [Pad(zeros) >>] Conv(stride 1, dilation 1) [>> PixelShuffle(r), CRD] [>> Crop]

On every axis: input extent n, pads (pb, pe), K taps, m = n + pb + pe - K + 1 blocks, factor r, crops (c, ce), output extent r m - c - ce.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from symconv.layers import Conv, Identity, Layer, Margins, Pad, Shuffle


@attrs.frozen
class Lowered:
    """The numbers of such a chain.

    Args:
        in_channels, out_channels: of the chain; its convolution has out_channels * prod(factors) output channels.
        groups: of the convolution.
        kernel, pads, factors, crops: per axis.
        bias: whether the convolution has one.
        before: paddings by other modes than zeros, executed first.
    """

    in_channels: int
    out_channels: int
    groups: int
    kernel: tuple[int, ...]
    pads: Margins
    factors: tuple[int, ...]
    crops: Margins
    bias: bool
    before: tuple[Pad, ...] = ()

    @property
    def axes(self) -> int:
        """Spatial axes."""
        return len(self.kernel)

    @property
    def phases(self) -> int:
        """Output phases of one block."""
        return math.prod(self.factors)

    @property
    def taps(self) -> int:
        """Taps of one phase and channel pair."""
        return math.prod(self.kernel)

    @property
    def cropped(self) -> bool:
        """Whether anything is cropped."""
        return any(map(any, self.crops))

    def extended(self, extents: Sequence[int]) -> tuple[int, ...]:
        """Extents after the paddings that are executed first."""
        for pad in self.before:
            assert not isinstance(pad.amounts, int), "layer is bound"
            extents = [n + sum(pair) for n, pair in zip(extents, pad.amounts, strict=True)]
        return tuple(extents)

    def blocks(self, extents: Sequence[int]) -> tuple[int, ...]:
        """Samples of the convolution's output."""
        return tuple(n + a + b - k + 1 for n, (a, b), k in zip(self.extended(extents), self.pads, self.kernel, strict=True))

    def output(self, extents: Sequence[int]) -> tuple[int, ...]:
        """Output extents."""
        return tuple(r * m - a - b for r, m, (a, b) in zip(self.factors, self.blocks(extents), self.crops, strict=True))


def lowered(layers: Sequence[Layer]) -> Lowered | None:
    """The numbers of a bound chain, or None if it is of another kind."""
    rest = [layer for layer in layers if not isinstance(layer, Identity)]
    before: list[Pad] = []
    while rest and isinstance(rest[0], Pad):
        before.append(rest.pop(0))  # type: ignore[arg-type]
    conv = rest.pop(0) if rest else None
    if not isinstance(conv, Conv) or set(conv.stride) != {1} or set(conv.dilation) != {1}:
        return None
    factors: tuple[int, ...] = (1,) * conv.axes
    if rest and isinstance(rest[0], Shuffle):
        shuffle = rest.pop(0)
        if shuffle.order != "CRD":  # type: ignore[attr-defined]
            return None
        factors = shuffle.factor  # type: ignore[attr-defined]
    crops: Margins = ((0, 0),) * conv.axes
    if rest and isinstance(rest[0], Pad):
        amounts = rest.pop(0).amounts  # type: ignore[attr-defined]
        crops = tuple((-a, -b) for a, b in amounts)
    if rest or min(map(min, crops)) < 0 or any(max(pair) >= r > 0 and max(pair) > 0 for pair, r in zip(crops, factors, strict=True)):
        return None
    pads, first = _zero_pads(conv, before)
    return Lowered(
        conv.in_channels, conv.out_channels // math.prod(factors), conv.groups, conv.kernel, pads, factors, crops, conv.bias, first
    )


def _zero_pads(conv: Conv, before: list[Pad]) -> tuple[Margins, tuple[Pad, ...]]:
    """(zero pads of the convolution, what is executed first)."""
    none: Margins = ((0, 0),) * conv.axes
    if conv.padding_mode != "zeros":
        return none, (*before, Pad(conv.padding, conv.padding_mode))
    last = before[-1] if before else None
    if last is None or last.mode != "zeros" or any(map(any, conv.padding)) or min(map(min, last.amounts)) < 0:  # type: ignore[arg-type]
        return conv.padding, tuple(before)
    return last.amounts, tuple(before[:-1])  # type: ignore[return-value]

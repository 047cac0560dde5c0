"""ICNR as index arithmetic: which entries of a kernel must agree for its output to be a nearest-neighbour resize.

Owns: `shuffled_channels`, `transposed_taps`.
Must not know: tensors, random numbers.

Before a shuffle: PS(W * f) = N(W0 * f) for every f, with N the nearest-neighbour resize by r, iff all phases of an output channel have
the same kernel (claim 18). Under CRD channel c r^D + phase is phase `phase` of c, so the copies are interleaved; under DCR it is
phase C + c, so they are tiled.

A transposed convolution, per axis: y[o] = sum over s i + x = o + pb of w[x] f[i]. Write o = s M + phi and x = phi + pb + s j, so i = M - j.
The output is a nearest resize by s iff w[phi + pb + s j] is the same for phi = 0 .. s-1, for every j: the kernel is constant on the
blocks [pb + s j, pb + s j + s). A block that sticks out of the kernel (or, with dilation, meets an offset without a tap) is zero.
Source: Aitken et al. 2017, arXiv 1707.02937, for one order and no padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symconv.errors import LayerError
from symconv.layers.rearrange import ORDERS


def shuffled_channels(channels: int, factor: Sequence[int], order: str) -> list[int]:
    """For each channel before the shuffle, the channel after it that it becomes a phase of.

    Raises:
        LayerError: the order is unknown, or r^D does not divide the channels.
    """
    name, phases = str(order).upper(), math.prod(factor)
    if name not in ORDERS:
        raise LayerError(f"`icnr_.order` must be one of 'crd', 'dcr'; found {order!r}.")
    if phases < 1 or channels % phases:
        raise LayerError(f"`icnr_` needs a number of output channels divisible by {phases} (factor {tuple(factor)}); found {channels}.")
    after = channels // phases
    return [channel // phases if name == "CRD" else channel % after for channel in range(channels)]


def transposed_taps(kernel: int, stride: int, padding: int, dilation: int = 1) -> list[int | None]:
    """For each tap on one axis the base tap that it copies, or None where it must be zero; base taps are numbered from 0.

    Raises:
        LayerError: only the zero kernel resizes.
    """
    if dilation > 1 and stride > 1:
        raise LayerError(f"`icnr_` needs dilation 1, for taps side by side must agree; found dilation {dilation} with stride {stride}.")
    first = padding % stride
    blocks = (kernel - first) // stride
    if blocks < 1:
        raise LayerError(
            f"`icnr_` needs a kernel with a whole block of {stride} taps (the stride) from tap {first} on (padding {padding}); "
            f"found {kernel} taps. Use at least {first + stride}."
        )
    return [(tap - first) // stride if first <= tap < first + blocks * stride else None for tap in range(kernel)]

"""How many products one output sample adds up, and so how large integers may be that are added without rounding.

Owns: `terms`, `largest_integer`. Must not know: torch, number formats but for their significands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symconv.errors import LayerError
from symconv.layers import Conv, ConvTranspose, Layer, Upsample

LARGEST = 8


def largest_integer(count: int, significand: int) -> int:
    """The largest integer v with count * v * v < 2^(significand - 1), at most 8; 0 if there is none."""
    return min(LARGEST, math.isqrt(max(0, (2 ** (significand - 1) - 1) // max(1, count))))


def terms(layers: Sequence[Layer]) -> int:
    """The most products that one output sample adds up, counted by the kernel entries that it reads.

    Raises:
        LayerError: a resize with weights that are no integers.
    """
    found = 1
    for layer in layers:
        if isinstance(layer, (Conv, ConvTranspose)):
            taps = layer.kernel
            if isinstance(layer, ConvTranspose) and set(layer.dilation) == {1}:
                taps = tuple(-(-k // s) for k, s in zip(layer.kernel, layer.stride, strict=True))
            found = layer.in_channels // layer.groups * math.prod(taps) + 1
        if isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
            raise LayerError("linear and cubic resizes have weights that are no integers; only nearest ones can be made faster.")
    return found

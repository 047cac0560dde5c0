"""Extents at which a pair of chains is run: large enough that somewhere every tap meets a real sample, small enough to afford.

Owns: `telling`, `samples_read`, `multiplications`. Must not know: devices, results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from symconv.convert.cost import cost_of
from symconv.layers import AvgPool, Conv, ConvTranspose, Layer, Shuffle, Unshuffle, Upsample, ZeroInsert
from symconv.operators.steps import rates
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity

PERIODS = 2
"""Whole output periods beside the one sample that reads the most."""


def telling(pairing: Any, wanted: Sequence[int], batch: int, most: float | None = None) -> tuple[int, ...]:
    """The extents wanted, or smaller ones in about their proportion so that one pass takes at most `most` multiplications.

    Never less than what `PERIODS` output periods and one sample more read on either side, zero padding left out: so some outputs of every
    phase have all of their taps on real samples, and extents smaller than that are raised.

    Args:
        pairing: a `Pairing`.
        wanted: extents, one an axis.
        batch: samples that run together.
        most: multiplications of the more costly chain.
    """
    least = [_least(pairing, axis) for axis in range(pairing.axes)]
    share = 1.0
    while True:
        tried = [max(low, math.floor(share * n)) for low, n in zip(least, wanted, strict=True)]
        found = tuple(int(item.first(n) or item.first() or n) for n, item in zip(tried, pairing.domains, strict=True))
        if most is None or tried == least or multiplications(pairing, found, batch) <= most:
            return found
        share *= 0.9


def multiplications(pairing: Any, extents: Sequence[int], batch: int) -> float:
    """Of one pass through the more costly of both chains, borders left out."""
    each = max(float(cost_of(chain, pairing.channels).multiplications) for chain in (pairing.left, pairing.right))
    return batch * math.prod(extents) * each


def _least(pairing: Any, axis: int) -> int:
    found = []
    for chain in (pairing.left, pairing.right):
        linear = tuple(layer for layer in chain if not is_nonlinearity(layer))
        _, period = rates(words_of(linear, pairing.channels, pairing.axes)[axis])
        found.append(samples_read(chain, axis, PERIODS * period + 1))
    return max(found)


def samples_read(chain: Sequence[Layer], axis: int, count: int) -> int:
    """How many neighbouring input samples `count` neighbouring output samples read at most, borders left out."""
    for layer in reversed(chain):
        count = _read(layer, axis, count)
    return count


def _read(layer: Layer, axis: int, count: int) -> int:
    match layer:
        case Conv():
            return (count - 1) * layer.stride[axis] + layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
        case ConvTranspose():
            return (count - 1 + layer.dilation[axis] * (layer.kernel[axis] - 1)) // layer.stride[axis] + 1
        case AvgPool():
            return (count - 1) * layer.stride[axis] + layer.kernel[axis]
        case Shuffle(factor=tuple(factor)) | ZeroInsert(factor=tuple(factor)):
            return (count + factor[axis] - 2) // factor[axis] + 1
        case Unshuffle(factor=tuple(factor)):
            return count * factor[axis]
        case Upsample(factor=tuple(factor)):
            more = {"linear": 1, "cubic": 3}.get(layer.mode, 0)
            return (count + factor[axis] - 2) // factor[axis] + 1 + more
        case _:
            return count

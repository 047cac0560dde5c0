"""What a chain or an engine does at given extents, counted: multiplications, and bytes that must move through memory.

Owns: `Account`, `chain_account`. Must not know: engines, torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from symconv.convert.cost import cost_of
from symconv.layers import Conv, ConvTranspose, Layer, channels_through
from symconv.operators.domain import output_extent
from symconv.prove.stage import words_of


@attrs.frozen
class Account:
    """Counts for one forward pass.

    Args:
        multiplications: of kernel entries with samples; structural zeros count where they are multiplied.
        moved: samples read and written by every pass over memory: input, weights, what is stored between, output. What a library
            stores inside one call is not seen.
        weights: samples of the rearranged parameters that are kept.
    """

    multiplications: int
    moved: int
    weights: int


def chain_account(layers: Sequence[Layer], axes: int, channels: int, shape: Sequence[int]) -> Account:
    """A bound chain executed layer by layer on an input of this shape: every layer reads its input and writes its output."""
    extents, moved = list(shape[2:]), 0
    rate = cost_of(layers, channels).multiplications
    counts = channels_through(tuple(layers), channels)
    size = shape[0] * shape[1] * math.prod(extents)
    for layer, inward, outward in zip(layers, counts, counts[1:], strict=False):
        extents = [output_extent(word, n) for word, n in zip(words_of((layer,), inward, axes), extents, strict=True)]
        after = shape[0] * outward * math.prod(extents)
        moved, size = moved + size + after, after
    weights = sum(map(_weights, layers))
    return Account(int(rate * shape[0] * math.prod(shape[2:])), moved + weights, weights)


def _weights(layer: Layer) -> int:
    if not isinstance(layer, (Conv, ConvTranspose)):
        return 0
    return layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel)

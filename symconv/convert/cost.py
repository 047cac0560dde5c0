"""What a chain costs, exactly.

Owns: `Cost`, `cost_of`.
Must not know: how chains are compared or converted.

Unit: multiplications for each sample position of the input grid (all channels together), in the limit of large extents,
where padded and cropped borders weigh nothing. Zero taps count: a dense kernel multiplies by them too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import attrs

from symconv.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    PReLU,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
    channels_through,
)


@attrs.frozen
class Cost:
    """Multiplications for each input sample position, and parameters of all layers."""

    multiplications: Fraction
    parameters: int


def cost_of(layers: Sequence[Layer], channels: int) -> Cost:
    """The cost of a bound chain on `channels` input channels."""
    rate, total, parameters = Fraction(1), Fraction(0), 0
    counts = channels_through(tuple(layers), channels)
    for layer, inward, outward in zip(layers, counts, counts[1:], strict=False):
        after = rate * _growth(layer)
        total += _per_sample(layer, inward, outward) * (rate if isinstance(layer, ConvTranspose) else after)
        parameters += _parameters(layer)
        rate = after
    return Cost(total, parameters)


def _growth(layer: Layer) -> Fraction:
    """Samples after the layer for each sample before it."""
    match layer:
        case Conv(stride=stride) | AvgPool(stride=stride):
            return Fraction(1, math.prod(stride))
        case ConvTranspose(stride=stride):
            return Fraction(math.prod(stride))
        case Shuffle():
            return Fraction(layer.phases)
        case Unshuffle():
            return Fraction(1, layer.phases)
        case ZeroInsert(factor=factor) | Upsample(factor=factor):
            assert isinstance(factor, tuple), "layer is bound"
            return Fraction(math.prod(factor))
        case _:
            return Fraction(1)


def _per_sample(layer: Layer, inward: int, outward: int) -> int:
    """Multiplications for each sample of the layer's output grid (of its input grid for ConvTranspose)."""
    match layer:
        case Conv() | ConvTranspose():
            return inward * outward // layer.groups * math.prod(layer.kernel)
        case Upsample(mode="linear" | "cubic"):
            assert isinstance(layer.factor, tuple), "layer is bound"
            taps = 2 if layer.mode == "linear" else 4
            return outward * math.prod(taps for r in layer.factor if r > 1)
        case AvgPool() | BatchNorm():
            return outward
        case _:
            return 0


def _parameters(layer: Layer) -> int:
    match layer:
        case Conv() | ConvTranspose():
            kernel = layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel)
            return kernel + (layer.out_channels if layer.bias else 0)
        case BatchNorm():
            return 2 * layer.num_features
        case PReLU():
            return layer.num_parameters
        case _:
            return 0

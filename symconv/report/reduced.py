"""The smallest layer that shows what a layer does: one channel pair, and one axis at a time.

Owns: `one_pair`, `one_axis`. Must not know: what is shown of it.

Channels of a kernel all do the same, so an explanation shows one pair of them; where a shuffle makes phases of channels,
as many as it has phases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.errors import LayerError
from symconv.layers import (
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
    channels_through,
)
from symconv.operators.wiring import is_parametric

Chain = tuple[Layer, ...]


@attrs.frozen
class Reduced:
    """A bound chain with as few channels as it can have, and how many it takes."""

    chain: Chain
    channels: int


def one_pair(chain: Chain) -> Reduced | None:
    """The chain for one channel pair; None if its channels do not come apart.

    Args:
        chain: bound, with at most one layer that has parameters.
    """
    at = next((k for k, layer in enumerate(chain) if is_parametric(layer)), None)
    before, after = (chain, ()) if at is None else (chain[:at], chain[at + 1 :])
    inward, ratio = _least(before)
    middle = int(inward * ratio)
    try:
        reduced = tuple(map(_ungrouped, before))
        if at is not None:
            outward, _ = _least(after)
            layer = _narrowed(chain[at], middle, outward)
            if layer is None:
                return None
            reduced += (layer, *map(_ungrouped, after))
        channels_through(reduced, inward)
    except LayerError:
        return None
    return Reduced(reduced, inward)


def one_axis(reduced: Reduced, axis: int) -> Reduced | None:
    """The chain on one of its axes; None where axes do not come apart."""
    if sum(isinstance(layer, (Shuffle, Unshuffle)) for layer in reduced.chain) > 1:
        return None
    try:
        return one_pair(tuple(_on_axis(layer, axis) for layer in reduced.chain))
    except LayerError:  # cubic interpolation exists on two axes only
        return None


def _least(layers: Sequence[Layer]) -> tuple[int, Fraction]:
    """(the least number of channels that the shuffles among `layers` accept, channels after them for each before)."""
    need, ratio = 1, Fraction(1)
    for layer in layers:
        if isinstance(layer, Unshuffle):
            ratio *= layer.phases
        elif isinstance(layer, Shuffle):
            ratio /= layer.phases
            need = math.lcm(need, ratio.denominator)
    return need, ratio


def _ungrouped(layer: Layer) -> Layer:
    return Identity() if isinstance(layer, ChannelShuffle) else layer


def _narrowed(layer: Layer, inward: int, outward: int) -> Layer | None:
    """The layer with parameters on `inward` and `outward` channels; None for groups that a shuffle splits."""
    if isinstance(layer, BatchNorm):
        return attrs.evolve(layer, num_features=inward) if inward == outward else None
    assert isinstance(layer, (Conv, ConvTranspose)), "a layer with parameters"
    if layer.groups > 1 and inward > 1:
        return None
    return attrs.evolve(layer, in_channels=inward, out_channels=outward, groups=1)


def _on_axis(layer: Layer, axis: int) -> Layer:
    match layer:
        case Conv():
            return _taken(layer, axis, "kernel", "stride", "padding", "dilation")
        case ConvTranspose():
            return _taken(layer, axis, "kernel", "stride", "padding", "output_padding", "dilation")
        case AvgPool():
            divisor = layer.divisor_override
            kept = attrs.evolve(layer, divisor_override=divisor if axis == 0 or divisor is None else 1)
            return _taken(kept, axis, "kernel", "stride", "padding")
        case BatchNorm():
            return attrs.evolve(layer, spatial_axes=1)
        case Upsample() | Shuffle() | Unshuffle() | ZeroInsert():
            return _taken(layer, axis, "factor")
        case Pad():
            return _taken(layer, axis, "amounts")
        case _:
            return layer


def _taken(layer: Layer, axis: int, *names: str) -> Layer:
    changes: dict[str, Any] = {name: (getattr(layer, name)[axis],) for name in names}
    return attrs.evolve(layer, **changes)

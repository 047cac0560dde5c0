"""Layers that only move samples between channels and positions.

Owns: periodic shuffling, its inverse, channel shuffling, zero insertion.
Must not know: what the moves look like as operators.
Source: torch.nn.PixelShuffle, PixelUnshuffle, ChannelShuffle (PyTorch 2.13); ONNX DepthToSpace-13, SpaceToDepth-13.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from symconv.layers.base import Layer, PerAxis, bound_factor, factor, factor_axes, integer, one_of

ORDERS = ("CRD", "DCR")


def _shuffle_factor(value: Any) -> int | PerAxis:
    return factor("Shuffle", "factor", value)


def _shuffle_order(value: Any) -> str:
    return one_of("Shuffle", "mode", value, ORDERS)


def _unshuffle_factor(value: Any) -> int | PerAxis:
    return factor("Unshuffle", "factor", value)


def _unshuffle_order(value: Any) -> str:
    return one_of("Unshuffle", "mode", value, ORDERS)


def _groups(value: Any) -> int:
    return integer("ChannelShuffle", "groups", value, 1)


def _insert_factor(value: Any) -> int | PerAxis:
    return factor("ZeroInsert", "factor", value)


@attrs.frozen
class Shuffle(Layer):
    """Periodic shuffling (PixelShuffle, depth-to-space): channels become phases.

    CRD reads channel c r^D + phase, DCR reads channel phase C + c; phases are row-major over the axes.

    Args:
        factor: r for all axes, or one factor per axis.
        order: "CRD" (PixelShuffle) or "DCR" (the default of ONNX and TensorFlow).
    """

    factor: int | PerAxis = attrs.field(converter=_shuffle_factor)
    order: str = attrs.field(default="CRD", converter=_shuffle_order)

    @property
    def axes(self) -> int | None:
        return factor_axes(self.factor)

    def bind(self, axes: int) -> Shuffle:
        super().bind(axes)
        return attrs.evolve(self, factor=bound_factor(self.factor, axes))

    @property
    def phases(self) -> int:
        """r^D, the number of channels that become one (needs a bound layer)."""
        return math.prod(self.factor) if isinstance(self.factor, tuple) else self.factor


@attrs.frozen
class Unshuffle(Layer):
    """Inverse of periodic shuffling (PixelUnshuffle, space-to-depth): phases become channels.

    Args: as for `Shuffle`. Every extent must be divisible by the factor of its axis.
    """

    factor: int | PerAxis = attrs.field(converter=_unshuffle_factor)
    order: str = attrs.field(default="CRD", converter=_unshuffle_order)

    @property
    def axes(self) -> int | None:
        return factor_axes(self.factor)

    def bind(self, axes: int) -> Unshuffle:
        super().bind(axes)
        return attrs.evolve(self, factor=bound_factor(self.factor, axes))

    @property
    def phases(self) -> int:
        """r^D, the number of channels that one becomes (needs a bound layer)."""
        return math.prod(self.factor) if isinstance(self.factor, tuple) else self.factor


@attrs.frozen
class ChannelShuffle(Layer):
    """Channel shuffling: channel a (C/g) + b moves to b g + a, for a < g, b < C/g.

    Args:
        groups: g; the number of channels must be divisible by it.
    """

    groups: int = attrs.field(converter=_groups)


@attrs.frozen
class ZeroInsert(Layer):
    """Zero insertion (expand): y[s i] = x[i], zeros between; extent n becomes (n - 1) s + 1.

    Args:
        factor: s for all axes, or one per axis.
    """

    factor: int | PerAxis = attrs.field(converter=_insert_factor)

    @property
    def axes(self) -> int | None:
        return factor_axes(self.factor)

    def bind(self, axes: int) -> ZeroInsert:
        super().bind(axes)
        return attrs.evolve(self, factor=bound_factor(self.factor, axes))

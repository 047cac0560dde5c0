"""Concrete parameters beside weightless layers.

Owns: `Weights` of one layer, `WeightedNetwork`.
Must not know: torch, files, exact arithmetic (arrays are only carried here).
"""

from __future__ import annotations

from typing import Any

import attrs

from symconv.layers.base import Layer
from symconv.layers.sequential import Sequential


@attrs.frozen(eq=False)
class Weights:
    """The parameters of one layer, as numpy arrays of finite floats or integers.

    Args:
        kernel: Conv (out_channels, in_channels // groups, *kernel); ConvTranspose (in_channels, out_channels // groups,
            *kernel); BatchNorm gamma (num_features,); PReLU slopes (num_parameters,).
        bias: (out_channels,) or None; BatchNorm beta.
        mean, variance: BatchNorm's running statistics (num_features,), otherwise None.
    """

    kernel: Any
    bias: Any = None
    mean: Any = None
    variance: Any = None


@attrs.frozen(eq=False)
class WeightedNetwork:
    """A chain of layers with concrete parameters.

    Args:
        layer: the chain, flat.
        weights: one entry a member of the chain; None where the layer has no parameters.
        source: where it came from, for messages, e.g. "my.module:net".
        channels: input channels, where it is known from elsewhere than its layers (a node of a model); else None.
    """

    layer: Sequential
    weights: tuple[Weights | None, ...]
    source: str = ""
    channels: int | None = None

    @property
    def members(self) -> tuple[Layer, ...]:
        """The chain's layers, one for each entry of `weights`."""
        return self.layer.layers

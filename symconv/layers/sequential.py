"""Chains of layers, and the two things that a chain decides for its members: axes and channels.

Owns: `Sequential`, `flatten`, `bind`, `channels_through`.
Must not know: what the layers compute.
"""

from __future__ import annotations

import attrs

from symconv.errors import LayerError
from symconv.layers.base import Layer
from symconv.layers.rearrange import ChannelShuffle, Shuffle, Unshuffle


@attrs.frozen
class Sequential(Layer):
    """Layers applied from left to right; `A >> B` in expressions."""

    layers: tuple[Layer, ...] = ()

    @property
    def axes(self) -> int | None:
        known = {layer.axes for layer in self.layers} - {None}
        if len(known) > 1:
            listed = ", ".join(f"{name(layer)}: {layer.axes}" for layer in self.layers if layer.axes is not None)
            raise LayerError(f"the layers of one chain must act on the same number of spatial axes; found {listed}.")
        return known.pop() if known else None

    def bind(self, axes: int) -> Sequential:
        return Sequential(tuple(layer.bind(axes) for layer in self.layers))


def name(layer: Layer) -> str:
    """The layer's class name, for messages."""
    return type(layer).__name__


def flatten(layer: Layer) -> tuple[Layer, ...]:
    """The chain's members, nested chains opened, without recursion limits."""
    out: list[Layer] = []
    stack: list[Layer] = [layer]
    while stack:
        top = stack.pop()
        if isinstance(top, Sequential):
            stack.extend(reversed(top.layers))
        else:
            out.append(top)
    return tuple(out)


def channels_after(layer: Layer, channels: int) -> int:
    """Output channels of a bound layer that receives `channels` channels.

    Raises:
        LayerError: the layer does not accept that many channels.
    """
    fixed = layer.channels
    if fixed is not None:
        if fixed[0] != channels:
            raise LayerError(f"`{name(layer)}` expects {fixed[0]} input channels, but receives {channels} from the layer before it.")
        return fixed[1]
    if isinstance(layer, Shuffle):
        if channels % layer.phases:
            raise LayerError(
                f"`Shuffle` with factor {layer.factor} needs a number of channels divisible by {layer.phases}; it receives {channels}."
            )
        return channels // layer.phases
    if isinstance(layer, Unshuffle):
        return channels * layer.phases
    if isinstance(layer, ChannelShuffle) and channels % layer.groups:
        raise LayerError(f"`ChannelShuffle.groups` must divide the number of channels; found groups={layer.groups}, channels={channels}.")
    return channels


def input_channels(layers: tuple[Layer, ...]) -> int | None:
    """The input channels that a bound chain requires, or None if it takes any number."""
    ratio_up, ratio_down = 1, 1  # channels here = input * ratio_up / ratio_down
    for layer in layers:
        if layer.channels is not None:
            needed = layer.channels[0] * ratio_down
            if needed % ratio_up:
                raise LayerError(f"`{name(layer)}` expects {layer.channels[0]} channels, which no number of input channels gives.")
            return needed // ratio_up
        if isinstance(layer, Shuffle):
            ratio_down *= layer.phases
        elif isinstance(layer, Unshuffle):
            ratio_up *= layer.phases
    return None


def channels_through(layers: tuple[Layer, ...], channels: int) -> tuple[int, ...]:
    """Channels before each layer and after the last, for `channels` at the input.

    Raises:
        LayerError: some layer does not accept what it receives.
    """
    counts = [channels]
    for layer in layers:
        counts.append(channels_after(layer, counts[-1]))
    return tuple(counts)

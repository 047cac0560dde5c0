"""What a conversion starts from: a bound chain, cut into the part to convert and what stays.

Owns: `Source`, `bind_source`, `parts`.
Must not know: forms, verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from symconv.errors import LayerError
from symconv.layers import Layer, Pad, Sequential
from symconv.layers.expression import format_layer
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair
from symconv.prove.stages import is_nonlinearity

Chain = tuple[Layer, ...]


@attrs.frozen
class Source:
    """A bound chain.

    Args:
        head: nonlinearities before what is converted.
        core: what is converted.
        tail: what stays after it: `kept` paddings, then nonlinearities.
        axes, channels: spatial axes and input channels.
    """

    head: Chain
    core: Chain
    tail: Chain
    axes: int
    channels: int
    kept: int = 0

    @property
    def whole(self) -> Chain:
        """The whole chain."""
        return self.head + self.core + self.tail

    @property
    def text(self) -> str:
        """The whole chain as an expression."""
        return format_layer(Sequential(self.whole), self.axes)

    @property
    def kernel(self) -> Layer | None:
        """The layer with parameters, if there is one."""
        return next((layer for layer in self.core if is_parametric(layer)), None)

    @property
    def obstacle(self) -> str | None:
        """Why the core is not one linear stage with at most one layer of parameters, or None."""
        if any(map(is_nonlinearity, self.core)):
            return "there are nonlinearities between linear layers; convert each linear stage on its own"
        if sum(map(is_parametric, self.core)) > 1:
            return (
                "two layers with parameters stand in one linear stage, and the class of their composition "
                "is not a linear space; convert each of them on its own"
            )
        return None


def bind_source(layer: Layer, channels: int | None) -> Source:
    """The chain of a layer, with nonlinearities at both ends set apart.

    Raises:
        LayerError: the layers do not fit together, lack a number of channels, or are all nonlinearities.
    """
    pair = bind_pair(layer, layer, channels)
    if pair.assumptions:
        raise LayerError("no layer says how many input channels there are. Give the number with --channels (Python: channels=...).")
    layers = pair.left
    straight = [k for k, member in enumerate(layers) if not is_nonlinearity(member)]
    if not straight:
        raise LayerError("there is no linear layer to convert. Give a chain with a convolution, a shuffle or another fixed linear layer.")
    start, stop = straight[0], straight[-1] + 1
    return Source(layers[:start], layers[start:stop], layers[stop:], pair.axes, pair.channels)


def parts(whole: Source) -> Iterator[Source]:
    """The source as it is, then with more and more paddings at its end left out of what is converted."""
    yield whole
    core = whole.core
    for stop in range(len(core) - 1, 0, -1):
        if not isinstance(core[stop], Pad):
            return
        yield attrs.evolve(whole, core=core[:stop], tail=core[stop:] + whole.tail, kept=len(core) - stop)

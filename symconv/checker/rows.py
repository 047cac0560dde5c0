"""The rows of one side of a block: an output sample as linear forms in the parameters, one for each input sample."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from math import prod

from .extents import Chain, constant_windowed, windowed
from .faults import Budget, need
from .layers import Layer, Line, Read
from .syntax import Number
from .wires import Digit, has_part, parts

Index = tuple[int, ...]
Form = dict[Index, Number]
"""Parameter [p, q, j...] to coefficient."""
State = tuple[int, Index, Index]
"""(channel, position on each axis of the block, parameter so far)."""


class Side:
    """One side of a stage: its layers, the channels before each and after the last, its chain on each axis."""

    def __init__(self, layers: Sequence[Layer], channels: Sequence[int], axes: int) -> None:
        self.layers, self.channels, self.chains = layers, channels, [Chain(layers, axis) for axis in range(axes)]
        free = [k for k, layer in enumerate(layers) if layer.parametric]
        need(len(free) <= 1, "a stage has more than one parametric layer")
        self.weights = layers[free[0]] if free else None
        self.free, self.bias, self.tail = bool(free), any(layer.biased for layer in layers), free[0] + 1 if free else 0

    def windowed(self, axis: int, bias: bool) -> bool:
        """Whether the finite rows on this axis are those of the bi-infinite signal."""
        lines = self.chains[axis].lines
        return constant_windowed(lines[self.tail :]) if bias else windowed(lines)


class Reader:
    """One side of a block: the chain, or (bias) the tail behind its parametric layer, on some axes and some digits of each index.

    `digits` has those of out, in, p and q. Where the block has not all axes and digits, every other digit and position is 0.
    """

    def __init__(self, side: Side, bias: bool, axes: Sequence[int], digits: dict[str, list[Digit]], budget: Budget) -> None:
        self.side, self.bias, self.axes, self.digits, self.budget = side, bias, axes, digits, budget
        self.first = side.tail if bias else 0
        self.layers, self.channels = side.layers[self.first :], side.channels[self.first :]
        self.chains = [side.chains[axis] for axis in axes]

    @cached_property
    def q(self) -> list[int]:
        """All q parts."""
        return parts(self.digits["q"], self.budget)

    def has(self, parameter: Index) -> bool:
        """Whether the block has this parameter."""
        weights = None if self.bias else self.side.weights
        kernel = [weights.lines[axis].k if weights else 1 for axis in self.axes]
        known = len(parameter) == 2 + len(kernel) and all(j < k for j, k in zip(parameter[2:], kernel, strict=True))
        return known and has_part(parameter[0], self.digits["p"]) and has_part(parameter[1], self.digits["q"])

    def row(self, extents: Sequence[int | None], out: Index) -> dict[Index, Form]:
        """The row of output index `out`, followed backwards through the layers; an extent None is the bi-infinite signal's."""
        states: dict[State, Number] = {(out[0], out[1:], ()): 1}
        known = [None if n is None else chain.extents(n)[self.first :] for n, chain in zip(extents, self.chains, strict=True)]
        for at in range(len(self.layers) - 1, -1, -1):
            layer, inward, outward = self.layers[at], self.channels[at], self.channels[at + 1]
            lines = [layer.lines[axis] for axis in self.axes]
            breadth = 1 + sum(line.breadth() for line in lines)
            before = [None if ends is None else ends[at] for ends in known]
            above, states = states, {}
            for (channel, position, parameter), weight in above.items():
                for below, phases, chosen in channel_reads(layer, inward, outward, (channel, *self._everywhere(position)), self.q):
                    self.budget.spend(breadth)
                    for reads in product(*map(settled_reads, lines, position, before, (phases[axis] for axis in self.axes))):
                        taps = (*chosen, *(j for _, j, _ in reads)) if chosen else parameter
                        state, share = (below, tuple(x for x, _, _ in reads), taps), weight
                        for _, _, c in reads:
                            share = share if c == 1 else share * c
                        states[state] = states.get(state, 0) + share
                        self.budget.spend(1)
        row: dict[Index, Form] = {}
        zeros = (0,) * len(self.axes)
        for (channel, position, parameter), weight in states.items():
            entry, parameter = ((0, *zeros), (channel, 0, *zeros)) if self.bias else ((channel, *position), parameter or (0, 0, *zeros))
            form = row.setdefault(entry, {})
            form[parameter] = form.get(parameter, 0) + weight
        return row

    def _everywhere(self, position: Index) -> Index:
        """The position on all axes: 0 on those that are not the block's."""
        if len(position) == len(self.side.chains):
            return position
        found = dict(zip(self.axes, position, strict=True))
        return tuple(found.get(axis, 0) for axis in range(len(self.side.chains)))


def settled_reads(line: Line, o: int, n: int | None, phase: int | None) -> list[Read]:
    """What a layer reads on one axis, the reads beyond the ends settled."""
    reads = line.reads(o, n, phase)
    if n is None:
        return reads
    low, high = line.inside(n)
    settled = [(x if low <= x < high else line.settle(x, n), j, c) for x, j, c in reads]
    return [(x, j, c) for x, j, c in settled if x is not None]


def channel_reads(
    layer: Layer, before: int, after: int, index: Index, some: Sequence[int] | None = None
) -> list[tuple[int, Sequence[int | None], Index]]:
    """(input channel, phase that Unshuffle reads on each axis, (p, q)) for an output index (channel, positions); all q, or some.

    Shuffle: y[c, r i + phase] = x[(c, phase), i]. Unshuffle: y[(c, phase), i] = x[c, r i + phase]. (c, phase) is c R + phase in CRD
    order and phase C + c in DCR order, R the product of the factors, C the number of c, phase row-major over the axes.
    ChannelShuffle: y[b g + a] = x[a C/g + b], a < g. A parametric layer's output p reads the inputs q of its group.
    """
    channel, none = index[0], [None] * len(layer.lines)
    if layer.parametric:
        width = before // layer.groups
        start = channel // (after // layer.groups) * width
        return [(start + q, none, (channel, q)) for q in (range(width) if some is None else some)]
    if layer.kind == "ChannelShuffle":
        b, a = divmod(channel, layer.groups)
        return [(a * (before // layer.groups) + b, none, ())]
    factors, crd, phase = [line.r for line in layer.lines], layer.fields.get("order") == "CRD", 0
    if layer.kind == "Shuffle":
        for r, position in zip(factors, index[1:], strict=True):
            phase = phase * r + position % r
        return [(channel * prod(factors) + phase if crd else phase * after + channel, none, ())]
    if layer.kind == "Unshuffle":
        c, phase = divmod(channel, prod(factors)) if crd else divmod(channel, before)[::-1]
        return [(c, [phase // prod(factors[axis + 1 :]) % r for axis, r in enumerate(factors)], ())]
    return [(channel, none, ())]

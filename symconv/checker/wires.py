"""Channels: the digits of channel indices followed through a chain as wires, and, for flat parts, the indices themselves.

Both readings compile to one step a layer, used backwards: from a channel state above the layer (and the output
position) to the channel states below it, with the phases that Unshuffle reads and the (p, q) that a parametric layer uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .faults import Budget, Rejected, need
from .layers import BatchNorm, ChannelShuffle, Conv, ConvTranspose, Layer, Shuffle, Unshuffle

State = tuple[int, ...]
Weight = tuple[int, int]
Back = tuple[State, Sequence[int] | None, Weight | None]
"""(state below, phase per axis of the block, (p part, q part))."""
Step = Callable[[State, Sequence[int]], Sequence[Back]]
COARSE = "the digits are not fine enough"


class Wire:
    """One digit on its way from where it begins to where it ends."""

    def __init__(self, radix: int, digit: bool = False) -> None:
        self.radix, self.digit = radix, digit
        self.parts: list[Wire] = []
        self.ends: set[tuple[str, int]] = set()

    def split(self, high: int) -> list[Wire]:
        """The wire as a digit of radix `high` and one for the rest."""
        need(not self.digit and self.radix % high == 0, COARSE)
        self.parts = [Wire(high), Wire(self.radix // high)]
        return self.parts

    def leaves(self) -> list[Wire]:
        """The wires that it was split into, most significant first."""
        return [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]


def begin(radix: int) -> list[Wire]:
    """A new wire; a digit of radix 1 is none."""
    return [Wire(radix)] if radix > 1 else []


def leaves(wires: Sequence[Wire]) -> list[Wire]:
    """All leaves, in order."""
    return [leaf for wire in wires for leaf in wire.leaves()]


def cut(wires: Sequence[Wire], sizes: Sequence[int]) -> list[list[Wire]]:
    """The wires of a number as those of its parts of the given sizes, high part first; created wires are split where needed."""
    rest, groups = list(reversed(wires)), []
    for size in sizes:
        group: list[Wire] = []
        while size > 1:
            wire = rest.pop()
            if size % wire.radix:
                wire, low = wire.split(size)
                rest.append(low)
            size //= wire.radix
            group.append(wire)
        groups.append(group)
    return groups


def places(wires: Sequence[Wire]) -> list[tuple[Wire, int]]:
    """(leaf, place value) of a number's wires."""
    found, place = [], 1
    for leaf in reversed(leaves(wires)):
        found.append((leaf, place))
        place *= leaf.radix
    return found


def parts_of(digits: Sequence[tuple[int, int]]) -> Iterator[tuple[State, int]]:
    """Every choice of values for the digits (radix, place), with the channel part that it makes."""
    for values in product(*(range(radix) for radix, _ in digits)):
        yield values, sum(value * place for value, (_, place) in zip(values, digits, strict=True))


def values_of(part: int, digits: Sequence[tuple[int, int]]) -> State | None:
    """The values of the digits that make a channel part, or None if others would be needed."""
    values = tuple(part // place % radix for radix, place in digits)
    return values if sum(value * place for value, (_, place) in zip(values, digits, strict=True)) == part else None


@dataclass(frozen=True)
class Path:
    """A chain as one block sees it: digits (radix, place) of the output, input, p and q, and a backward step a layer."""

    layers: Sequence[Layer]
    steps: Sequence[Step]
    outputs: Sequence[tuple[int, int]]
    inputs: Sequence[tuple[int, int]]
    p: Sequence[tuple[int, int]]
    q: Sequence[tuple[int, int]]


class Wiring:
    """A chain as a network of wires. With `bias` it is what follows a parametric layer, and its input is p, one wire."""

    def __init__(self, layers: Sequence[Layer], channels: Sequence[int], digits: tuple[Sequence[int], Sequence[int]], bias: bool) -> None:
        in_digits, out_digits = digits
        self.layers = layers
        self.inputs = begin(channels[0]) if bias else [Wire(radix, digit=True) for radix in in_digits]
        self.group, self.q = list[Wire](), list[Wire]()
        self.p = self.inputs if bias else []
        self.phases: list[list[list[Wire]]] = []
        now = self.inputs
        for layer, before, after in zip(layers, channels, channels[1:], strict=False):
            phases: list[list[Wire]] = []
            if isinstance(layer, Conv | ConvTranspose | BatchNorm):
                self.group, self.q = cut(now, [layer.groups, before // layer.groups])
                now = self.p = self.group + begin(after // layer.groups)
            elif isinstance(layer, Shuffle):
                if layer.order == "CRD":
                    now, *phases = cut(now, [after, *layer.factor])
                else:
                    *phases, now = cut(now, [*layer.factor, after])
            elif isinstance(layer, Unshuffle):
                phases = [begin(factor) for factor in layer.factor]
                created = [wire for part in phases for wire in part]
                now = now + created if layer.order == "CRD" else created + now
            elif isinstance(layer, ChannelShuffle):
                high, low = cut(now, [layer.groups, before // layer.groups])
                now = low + high
            self.phases.append(phases)
        groups = cut(now, out_digits)
        need(all(len(group) == 1 for group in groups), COARSE)
        self.outputs = [group[0] for group in groups]
        self._mark([] if bias else self.inputs)

    def _mark(self, inputs: Sequence[Wire]) -> None:
        """Notes at every wire which axes and digits it is tied to."""
        for parts in self.phases:
            for axis, part in enumerate(parts):
                for leaf in leaves(part):
                    leaf.ends.add(("axis", axis))
        for name, wires in (("in", inputs), ("out", self.outputs)):
            for k, wire in enumerate(wires):
                wire.ends.add((name, k))

    def wires(self) -> set[Wire]:
        """Every wire, as finely as it was split."""
        begun = [self.inputs, self.p, self.q, *(part for parts in self.phases for part in parts)]
        return {leaf for wires in begun for leaf in leaves(wires)}

    def path(self, axes: Sequence[int], inside: set[Wire], budget: Budget) -> Path:
        """What the block with these axes and wires sees."""
        live, steps = [wire for wire in self.outputs if wire in inside], list[Step]()

        def digits(wires: Sequence[Wire]) -> list[tuple[int, int]]:
            return [(leaf.radix, place) for leaf, place in places(wires) if leaf in inside]

        for layer, phases in zip(reversed(self.layers), reversed(self.phases), strict=True):
            parts = [places(phases[axis]) for axis in axes] if phases else []
            if isinstance(layer, Shuffle):
                steps.append(_shuffled([(at, leaf.radix, place) for at, part in enumerate(parts) for leaf, place in part]))
                live = live + [leaf for part in parts for leaf, _ in part]
            elif isinstance(layer, Unshuffle):
                chosen = [[(live.index(leaf), place) for leaf, place in part] for part in parts]
                kept = [at for at in range(len(live)) if all(at != gone for part in chosen for gone, _ in part)]
                steps.append(_unshuffled(chosen, kept))
                live = [live[at] for at in kept]
            elif layer.parametric:
                p = [(live.index(leaf), place) for leaf, place in places(self.p) if leaf in inside]
                kept = [live.index(leaf) for leaf in leaves(self.group) if leaf in inside]
                budget.spend(prod(radix for radix, _ in digits(self.q)))
                steps.append(_weighed(p, kept, list(parts_of(digits(self.q)))))
                live = [live[at] for at in kept] + [leaf for leaf, _ in places(self.q) if leaf in inside]
            else:
                steps.append(_unchanged)
        at_input = {leaf: place for leaf, place in places(self.inputs)}
        inputs = [(leaf.radix, at_input[leaf]) for leaf in live]
        outputs = [(wire.radix, place) for wire, place in reversed(places(self.outputs)) if wire in inside]
        return Path(self.layers, steps[::-1], outputs, inputs, digits(self.p), digits(self.q))


def _unchanged(state: State, position: Sequence[int]) -> Sequence[Back]:
    return ((state, None, None),)


def _shuffled(created: Sequence[tuple[int, int, int]]) -> Step:
    """The phases position mod r, as digits, join the state."""

    def step(state: State, position: Sequence[int]) -> Sequence[Back]:
        return ((state + tuple(position[at] // place % radix for at, radix, place in created), None, None),)

    return step


def _unshuffled(chosen: Sequence[Sequence[tuple[int, int]]], kept: Sequence[int]) -> Step:
    """Some digits of the state are the phases that are read."""

    def step(state: State, position: Sequence[int]) -> Sequence[Back]:
        phases = [sum(state[at] * place for at, place in part) for part in chosen]
        return ((tuple(state[at] for at in kept), phases, None),)

    return step


def _weighed(p: Sequence[tuple[int, int]], kept: Sequence[int], q: Sequence[tuple[State, int]]) -> Step:
    """The state is p; its group digits stay, and q is any."""

    def step(state: State, position: Sequence[int]) -> Sequence[Back]:
        high, group = sum(state[at] * place for at, place in p), tuple(state[at] for at in kept)
        return [(group + values, None, (high, low)) for values, low in q]

    return step


def flat_path(layers: Sequence[Layer], channels: Sequence[int], bias: bool, budget: Budget) -> Path:
    """The whole chain at once: a state is the channel index alone."""
    p, q = ([(channels[0], 1)] if bias else []), list[tuple[int, int]]()
    for layer, before, after in zip(layers, channels, channels[1:], strict=False):
        if isinstance(layer, Conv | ConvTranspose | BatchNorm):
            p, q = [(after, 1)], [(before // layer.groups, 1)]
            budget.spend(before)
    steps = [_flat_step(layer, before, after) for layer, before, after in zip(layers, channels, channels[1:], strict=False)]
    return Path(layers, steps, [(channels[-1], 1)], [(channels[0], 1)], p, q)


def _flat_step(layer: Layer, before: int, after: int) -> Step:
    """The layer on channel indices, by its definition."""

    def shuffled(state: State, position: Sequence[int]) -> Sequence[Back]:
        assert isinstance(layer, Shuffle)
        phase = 0
        for o, r in zip(position, layer.factor, strict=True):
            phase = phase * r + o % r
        return (((state[0] * prod(layer.factor) + phase if layer.order == "CRD" else phase * after + state[0],), None, None),)

    def unshuffled(state: State, position: Sequence[int]) -> Sequence[Back]:
        assert isinstance(layer, Unshuffle)
        channel, phase = divmod(state[0], prod(layer.factor)) if layer.order == "CRD" else divmod(state[0], before)[::-1]
        phases = []
        for r in reversed(layer.factor):
            phases.append(phase % r)
            phase //= r
        return (((channel,), phases[::-1], None),)

    def regrouped(state: State, position: Sequence[int]) -> Sequence[Back]:
        assert isinstance(layer, ChannelShuffle)
        b, a = divmod(state[0], layer.groups)
        return (((a * (before // layer.groups) + b,), None, None),)

    def weighed(state: State, position: Sequence[int]) -> Sequence[Back]:
        assert isinstance(layer, Conv | ConvTranspose | BatchNorm)
        group, width = state[0] // (after // layer.groups), before // layer.groups
        return [((group * width + q,), None, (state[0], q)) for q in range(width)]

    kinds: dict[type[Layer], Step] = {Shuffle: shuffled, Unshuffle: unshuffled, ChannelShuffle: regrouped}
    return weighed if layer.parametric else kinds.get(type(layer), _unchanged)

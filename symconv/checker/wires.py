"""The digits of channel indices, followed through a chain as wires: where each begins and ends, and what it is tied to."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from .faults import Budget, need
from .layers import Layer

Digit = tuple[int, int]
"""(radix, place value)."""
End = tuple[str, int]
"""("axis", a), ("in", k) or ("out", k): a phase of an axis, an input digit, an output digit."""


class Wire:
    """One digit on its way, and what it is tied to so far. Input digits (`whole`) must not be split."""

    def __init__(self, radix: int, *ends: End, whole: bool = False) -> None:
        self.radix, self.whole, self.ends, self.parts = radix, whole, set(ends), list[Wire]()

    def split(self, high: int) -> list[Wire]:
        """The wire as a digit of radix `high` and one for the rest."""
        need(not self.whole and self.radix % high == 0, "the digits are not fine enough")
        self.parts = [Wire(high, *self.ends), Wire(self.radix // high, *self.ends)]
        return self.parts

    def leaves(self) -> list[Wire]:
        """The wires that it was split into, most significant first."""
        return [leaf for part in self.parts for leaf in part.leaves()] if self.parts else [self]


def begin(radix: int, *ends: End) -> list[Wire]:
    """A new wire; a digit of radix 1 is none."""
    return [Wire(radix, *ends)] if radix > 1 else []


def cut(wires: Sequence[Wire], sizes: Sequence[int]) -> list[list[Wire]]:
    """The wires of an index as those of its parts of the given sizes, high part first; wires are split where needed."""
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


def digits(wires: Sequence[Wire]) -> list[tuple[Wire, Digit]]:
    """The wires of an index with their radices and place values."""
    found, place = [], 1
    for leaf in reversed([leaf for wire in wires for leaf in wire.leaves()]):
        found.append((leaf, (leaf.radix, place)))
        place *= leaf.radix
    return found


class Wiring:
    """The wires of a chain; or (`bias`) of the tail behind its parametric layer, where p begins as one wire."""

    def __init__(self, layers: Sequence[Layer], channels: Sequence[int], ins: Sequence[int], outs: Sequence[int], bias: bool) -> None:
        now = begin(channels[0]) if bias else [Wire(radix, ("in", k), whole=True) for k, radix in enumerate(ins)]
        begun, self.p, self.q = [*now], now if bias else [], list[Wire]()
        for layer, before, after in zip(layers, channels, channels[1:], strict=False):
            factors, rest_first, created = [line.r for line in layer.lines], layer.fields.get("order") == "CRD", list[Wire]()
            if layer.parametric:
                group, self.q = cut(now, [layer.groups, before // layer.groups])
                created = begin(after // layer.groups)
                now = self.p = group + created
            elif layer.kind == "Shuffle":
                parts = cut(now, [after, *factors] if rest_first else [*factors, after])
                now = parts.pop(0 if rest_first else -1)
                for axis, wires in enumerate(parts):
                    for wire in wires:
                        wire.ends.add(("axis", axis))
            elif layer.kind == "Unshuffle":
                created = [wire for axis, factor in enumerate(factors) for wire in begin(factor, ("axis", axis))]
                now = now + created if rest_first else created + now
            elif layer.kind == "ChannelShuffle":
                high, low = cut(now, [layer.groups, before // layer.groups])
                now = low + high
            begun += created
        for k, group in enumerate(cut(now, outs)):
            need(len(group) == 1, "the digits are not fine enough")
            group[0].ends.add(("out", k))
        self.wires = [leaf for wire in begun for leaf in wire.leaves()]


def has_part(part: int, allowed: Sequence[Digit]) -> bool:
    """Whether a channel part is made of these digits alone."""
    return part == sum(part // place % radix * place for radix, place in allowed)


def parts(allowed: Sequence[Digit], budget: Budget) -> list[int]:
    """All channel parts that the digits make."""
    budget.spend(prod(radix for radix, _ in allowed))
    found = [0]
    for radix, place in allowed:
        found = [part + value * place for part in found for value in range(radix)]
    return found

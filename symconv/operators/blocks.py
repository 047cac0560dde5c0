"""Two stages side by side, split into independent blocks of channel digits and axes.

Owns: `assemble`, `Block`, `Side`.
Must not know: ranks, verdicts.

Each stage's family is a tensor product over its connected digits and axes; a block is a connected component of both
stages' components together. Classes compare block by block (the factorization lemma in docs/theory/soundness.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterator

import attrs

from symconv.operators.budget import Budget
from symconv.operators.rows import AxisProgram, Entries, Form, Param, Slot
from symconv.operators.steps import Join, Split, Step
from symconv.operators.wiring import Indivisible, Wire, Wiring, free_step, places

Node = tuple[str, int]
"""("in", digit), ("out", digit) or ("axis", axis)."""


@attrs.frozen
class PureWire:
    """A digit of one stage that no axis touches: it enters, leaves or passes through a kernel, or both ends are one."""

    radix: int
    in_digit: int | None
    out_digit: int | None
    place_in: int
    place_out: int
    place_p: int
    place_q: int


@attrs.define
class Side:
    """One stage's share of a block."""

    programs: dict[int, AxisProgram]
    slot_outputs: dict[int, tuple[int | None, ...]]
    """Per axis: for each slot its output digit, or None."""
    pure: tuple[PureWire, ...]


@attrs.define
class Block:
    """A set of digits and axes in which both stages are independent of everything else."""

    axes: tuple[int, ...]
    in_digits: tuple[int, ...]
    out_digits: tuple[int, ...]
    in_places: tuple[int, ...]
    out_places: tuple[int, ...]
    left: Side
    right: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """(left, right)."""
        return self.left, self.right


@attrs.define
class Assembly:
    """The blocks of a pair of stages, with the digits they are made of."""

    in_radices: tuple[int, ...]
    out_radices: tuple[int, ...]
    blocks: tuple[Block, ...]


class _View:
    """One wiring seen as the weight family or as the bias family."""

    def __init__(self, wiring: Wiring, constant: bool) -> None:
        self.wiring, self.constant = wiring, constant
        free = wiring.free
        self.place_in = {} if constant else places(wiring.inputs)
        self.place_out = places(wiring.outputs)
        self.place_p = places(free.groups + free.outputs) if free else {}
        self.place_q = places(free.inputs) if free and not constant else {}
        self.in_index = {wire: k for k, wire in enumerate(wiring.input_digits())} if not constant else {}
        self.out_index = {wire: k for k, wire in enumerate(wiring.output_digits())}
        self.slots: list[list[Wire]] = [[] for _ in range(wiring.axes)]
        self.starts = [0] * wiring.axes
        self.words = [self._resolve(axis) for axis in range(wiring.axes)]
        owners = [wire for slots in self.slots for wire in slots]
        if len(set(owners)) < len(owners):
            raise Indivisible  # a digit moves from one axis to another
        self.tied = set(owners)

    def _resolve(self, axis: int) -> list[Step]:
        word: list[Step] = []
        slots = self.slots[axis]
        for item in self.wiring.words[axis]:
            if not isinstance(item, tuple):
                word.append(item)
                continue
            kind, factor, wires = item
            digits = places(wires)
            for wire in digits:
                if wire not in slots:
                    slots.append(wire)
            word.append(kind(factor, tuple((slots.index(w), place, w.radix) for w, place in digits.items())))
        if self.constant:
            start = free_step(word)
            assert start is not None, "the bias family belongs to a stage with a free layer"
            self.starts[axis] = start + 1
            self._forget(axis, word)
        return word

    def _forget(self, axis: int, word: list[Step]) -> None:
        """Drops the digits of the steps up to the free one, which the bias family never reaches."""
        start = self.starts[axis]
        used = {digit[0] for step in word[start:] if isinstance(step, (Join, Split)) for digit in step.digits}
        kept = sorted(used)
        self.slots[axis] = [self.slots[axis][slot] for slot in kept]
        renumber = {slot: k for k, slot in enumerate(kept)}
        for index, step in enumerate(word):
            if isinstance(step, (Join, Split)):
                digits = tuple((renumber[d], p, r) for d, p, r in step.digits) if index >= start else ()
                word[index] = type(step)(step.factor, digits)

    def slot(self, wire: Wire) -> Slot:
        return Slot(
            wire.radix, self.place_in.get(wire, 0), self.place_out.get(wire, 0), self.place_p.get(wire, 0), self.place_q.get(wire, 0)
        )

    def program(self, axis: int) -> AxisProgram:
        return AxisProgram(self.words[axis], [self.slot(wire) for wire in self.slots[axis]], self.starts[axis])

    def pure_wires(self) -> list[PureWire]:
        ends = dict.fromkeys([*self.in_index, *self.out_index])
        return [
            PureWire(
                wire.radix,
                self.in_index.get(wire),
                self.out_index.get(wire),
                self.place_in.get(wire, 0),
                self.place_out.get(wire, 0),
                self.place_p.get(wire, 0),
                self.place_q.get(wire, 0),
            )
            for wire in ends
            if wire not in self.tied
        ]

    def links(self) -> Iterator[list[Node]]:
        """Groups of nodes that this stage ties together."""
        for axis, slots in enumerate(self.slots):
            nodes: list[Node] = [("axis", axis)]
            for wire in slots:
                nodes += self.nodes(wire)
            yield nodes
        for wire in dict.fromkeys([*self.in_index, *self.out_index]):
            yield self.nodes(wire)

    def nodes(self, wire: Wire) -> list[Node]:
        found: list[Node] = []
        if wire in self.in_index:
            found.append(("in", self.in_index[wire]))
        if wire in self.out_index:
            found.append(("out", self.out_index[wire]))
        return found


class _Union:
    def __init__(self) -> None:
        self.parent: dict[Hashable, Hashable] = {}

    def find(self, x: Hashable) -> Hashable:
        self.parent.setdefault(x, x)
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = self.parent[x]
        return x

    def join(self, items: list[Node]) -> None:
        for item in items:
            self.parent[self.find(item)] = self.find(items[0])


def assemble(left: Wiring, right: Wiring, constant: bool = False) -> Assembly:
    """The blocks of two refined stages, for the weights (default) or for the bias family (`constant`).

    Raises:
        Indivisible: a digit is tied to two axes, so the stage is no tensor product over axes.
    """
    views = _View(left, constant), _View(right, constant)
    union = _Union()
    for view in views:
        for nodes in view.links():
            union.join(nodes)
    groups: dict[Hashable, list[Node]] = {}
    for node in sorted(union.parent):  # type: ignore[type-var]
        groups.setdefault(union.find(node), []).append(node)  # type: ignore[arg-type]
    ins = tuple(w.radix for w in left.input_digits()) if not constant else ()
    outs = tuple(w.radix for w in left.output_digits())
    in_places, out_places = _place_values(ins), _place_values(outs)
    blocks = tuple(_block(sorted(nodes), views, in_places, out_places) for nodes in sorted(groups.values()))
    return Assembly(ins, outs, blocks)


def _place_values(radices: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(radices[k + 1 :]) for k in range(len(radices)))


def _block(nodes: list[Node], views: tuple[_View, _View], in_places: tuple[int, ...], out_places: tuple[int, ...]) -> Block:
    axes = tuple(k for kind, k in nodes if kind == "axis")
    ins = tuple(k for kind, k in nodes if kind == "in")
    outs = tuple(k for kind, k in nodes if kind == "out")
    sides = [_side(view, axes, ins, outs) for view in views]
    return Block(axes, ins, outs, in_places, out_places, sides[0], sides[1])


def _side(view: _View, axes: tuple[int, ...], ins: tuple[int, ...], outs: tuple[int, ...]) -> Side:
    pure = tuple(w for w in view.pure_wires() if w.in_digit in ins or w.out_digit in outs)
    slot_outputs = {axis: tuple(view.out_index.get(wire) for wire in view.slots[axis]) for axis in axes}
    return Side({axis: view.program(axis) for axis in axes}, slot_outputs, pure)


def expand_pure(side: Side, entries: Entries, digits: dict[int, int], budget: Budget, most: int | None = None) -> Entries:
    """`entries` of the axes of a block, times what its pure wires contribute for the output `digits`.

    `most` limits the values of digits that only enter (two are enough where no axis is involved).
    """
    for wire in side.pure:
        entering = wire.in_digit is not None
        if wire.out_digit is None:
            values = range(wire.radix if most is None else min(wire.radix, most))
        else:
            values = range(digits[wire.out_digit], digits[wire.out_digit] + 1)
        budget.spend(len(entries) * len(values))
        entries = {
            (key[0] + (wire.place_in * v if entering else 0), *key[1:]): _shift(form, wire.place_p * v, wire.place_q * v)
            for key, form in entries.items()
            for v in values
        }
    return entries


def _shift(form: Form, p: int, q: int) -> Form:
    return {(param[0] + p, param[1] + q, *param[2:]): c for param, c in form.items()} if p or q else form


def tensor(parts: list[Entries], budget: Budget) -> Entries:
    """The tensor product of one-axis entries: channel, p and q parts add, samples and taps concatenate."""
    if len(parts) == 1:
        return parts[0]
    out: Entries = {}
    for combination in itertools.product(*(part.items() for part in parts)):
        key = (sum(k[0] for k, _ in combination), *(k[1] for k, _ in combination))
        form: Form = {}
        for terms in itertools.product(*(f.items() for _, f in combination)):
            param: Param = (sum(t[0][0] for t in terms), sum(t[0][1] for t in terms), *(t[0][2] for t in terms))
            form[param] = form.get(param, 0) + math.prod(t[1] for t in terms)
        out[key] = form
        budget.spend(len(form))
    return out

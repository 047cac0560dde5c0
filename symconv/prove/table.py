"""The joint rows of a block: everything that two stages do, over all common extents, as a finite list.

Owns: `joint_rows` and the cutoff. Must not know: ranks, verdicts.

Two theorems make the list finite (docs/theory/soundness.md):

- Window: if both words are pure on an axis, every entry at every extent is an entry of the bi-infinite operator, and
  every bi-infinite row is seen at some extent. So one output period of the bi-infinite operator is enough.
- Cutoff: otherwise extents are visited in each residue class until a strip of one output period separates the rows
  that touched the left border from those that touched the right one. From there on every row of a larger extent is a
  shifted copy of a row already seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import attrs

from symconv.operators.blocks import Block, Side, expand_pure, tensor
from symconv.operators.budget import Budget
from symconv.operators.domain import Domain, smallest
from symconv.operators.rows import BOTH, LEFT, RIGHT, AxisProgram, Entries, Form, InIndex, collide, pure
from symconv.operators.steps import Interpolate, extents, rates

Extents = tuple[int, ...]


@attrs.frozen
class Place:
    """Where a joint row stands: an entry of the operators at concrete extents of the block's axes.

    Args:
        extents: input extents, one an axis of the block.
        out: (output channel part, output sample on each axis).
        into: (input channel part, input sample on each axis).
    """

    extents: tuple[int, ...]
    out: tuple[int, ...]
    into: InIndex

    @property
    def size(self) -> tuple[int, ...]:
        """Orders places from small to large."""
        return (max(self.extents, default=0), sum(self.extents), *self.out, *self.into)


@attrs.define
class JointRow:
    """A pair of linear forms that stand at the same entry, and the smallest place where they do."""

    left: Form
    right: Form
    place: Place


@attrs.define
class _Sample:
    """One output sample of one axis: the entries of both stages for every value of the digits tied to the axis."""

    extent: int | None
    position: int
    entries: dict[tuple[int, ...], tuple[Entries, Entries]]
    touched: int = 0


@attrs.define
class AxisTable:
    """All samples of one axis that matter, for both stages."""

    tied: tuple[int, ...]
    samples: list[_Sample]
    shift: tuple[int, int]
    cutoff: int | None
    windowed: bool


@attrs.define
class BlockTable:
    """The distinct joint rows of a block, smallest places first, and per axis the largest extent that was needed."""

    rows: list[JointRow]
    cutoffs: dict[int, int] = attrs.field(factory=dict)


def joint_rows(
    block: Block, domains: Sequence[Domain], radices: Sequence[int], budget: Budget, *, interior: bool = False, at: Extents | None = None
) -> BlockTable:
    """All distinct joint rows of a block.

    Args:
        block: the block.
        domains: the common extents of every axis of the layers.
        radices: radices of all output digits.
        budget: charged for every path and entry.
        interior: look at the bi-infinite operator only, whatever the borders do.
        at: look at these input extents only.
    """
    tables = {
        axis: axis_table(block, axis, domains[axis], radices, budget, interior, None if at is None else at[axis]) for axis in block.axes
    }
    found: dict[tuple[frozenset[object], frozenset[object]], JointRow] = {}
    for samples in itertools.product(*(tables[axis].samples for axis in block.axes)):
        for digits in _digit_values(block.out_digits, radices):
            left, right = (_side_row(block, side, which, samples, tables, digits, budget) for which, side in enumerate(block.sides))
            _record(block, samples, tables, digits, left, right, domains, found)
    rows = sorted(found.values(), key=lambda row: row.place.size)
    table = BlockTable(rows)
    for k, axis in enumerate(block.axes):
        seen = max((row.place.extents[k] for row in rows), default=domains[axis].first() or 1)
        table.cutoffs[axis] = tables[axis].cutoff or seen
    return table


def _digit_values(digits: Sequence[int], radices: Sequence[int]) -> Iterator[dict[int, int]]:
    for values in itertools.product(*(range(radices[d]) for d in digits)):
        yield dict(zip(digits, values, strict=True))


def _side_row(
    block: Block,
    side: Side,
    which: int,
    samples: tuple[_Sample, ...],
    tables: dict[int, AxisTable],
    digits: dict[int, int],
    budget: Budget,
) -> Entries:
    parts = []
    for axis, sample in zip(block.axes, samples, strict=True):
        tied = tuple(digits[d] for d in tables[axis].tied)
        entries = sample.entries[tied][which]
        if not entries:
            return {}
        parts.append(entries)
    return expand_pure(side, tensor(parts, budget), digits, budget)


def _record(
    block: Block,
    samples: tuple[_Sample, ...],
    tables: dict[int, AxisTable],
    digits: dict[int, int],
    left: Entries,
    right: Entries,
    domains: Sequence[Domain],
    found: dict[tuple[frozenset[object], frozenset[object]], JointRow],
) -> None:
    channel = 0
    for digit, value in digits.items():
        channel += block.out_places[digit] * value
    for into in left.keys() | right.keys():
        a, b = left.get(into, {}), right.get(into, {})
        key = (frozenset(a.items()), frozenset(b.items()))
        row = found.get(key)
        if row is not None and all(s.extent is None for s in samples) and row.place.size[0] <= 1:
            continue
        place = _place(block, samples, tables, channel, into, domains)
        if row is None:
            found[key] = JointRow(a, b, place)
        elif place.size < row.place.size:
            row.place = place


def _place(
    block: Block, samples: tuple[_Sample, ...], tables: dict[int, AxisTable], channel: int, into: InIndex, domains: Sequence[Domain]
) -> Place:
    ns, outs, ins = [], [channel], [into[0]]
    for k, (axis, sample) in enumerate(zip(block.axes, samples, strict=True)):
        n, o, i = sample.extent, sample.position, into[k + 1]
        if n is None and (not tables[axis].windowed or domains[axis].first() is None):
            n = 0  # an interior row has a place on the bi-infinite signal only
        elif n is None:
            n, o, i = seen_at(block.left.programs[axis], tables[axis].shift, o, i, domains[axis])
        ns.append(n)
        outs.append(o)
        ins.append(i)
    return Place(tuple(ns), tuple(outs), tuple(ins))


def seen_at(program: AxisProgram, shift: tuple[int, int], position: int, sample: int, domain: Domain) -> tuple[int, int, int]:
    """(n, o, i): the smallest common extent that shows a bi-infinite entry, and the entry's place there."""
    p, q = shift
    steps = max(-(sample // p), -(position // q))
    o, i = position + steps * q, sample + steps * p
    least = domain.first(i + 1)
    assert least is not None, "the common domain is not empty"
    if program.output(least) <= o:
        grown = smallest(lambda n: program.output(domain.first(n) or n) > o, least)
        least = domain.first(grown)
        assert least is not None
    return least, o, i


def axis_table(
    block: Block, axis: int, domain: Domain, radices: Sequence[int], budget: Budget, interior: bool, at: int | None = None
) -> AxisTable:
    """The samples of one axis: at one extent, by the window theorem, or up to the cutoff."""
    programs = tuple(side.programs[axis] for side in block.sides)
    tied = tuple(sorted({d for side in block.sides for d in side.slot_outputs[axis] if d is not None}))
    if at is not None:  # the two may grow at different rates and still agree in shape here
        values = list(itertools.product(*(range(radices[d]) for d in tied)))
        return AxisTable(tied, _at_extent(block, axis, programs, tied, values, at, budget), (0, 0), at, False)
    shift = common_shift(programs)
    if not interior and any(isinstance(step, Interpolate) for program in programs for step in program.steps):
        programs[0].row(0, (-1,) * len(programs[0].slots), None, budget)
        programs[1].row(0, (-1,) * len(programs[1].slots), None, budget)
    windowed = all(pure(program) for program in programs)
    if interior or windowed:
        budget.afford(shift[1])
        values = list(itertools.product(*(range(radices[d]) for d in tied)))
        samples = [_sample(block, axis, programs, tied, values, None, o, budget) for o in range(shift[1])]
        return AxisTable(tied, samples, shift, None, windowed and not interior)
    samples, cutoff = visit(block, axis, programs, tied, radices, domain, budget)
    return AxisTable(tied, samples, shift, cutoff, False)


def _sample(
    block: Block,
    axis: int,
    programs: tuple[AxisProgram, ...],
    tied: tuple[int, ...],
    values: list[tuple[int, ...]],
    n: int | None,
    position: int,
    budget: Budget,
    seen: Sequence[Sequence[int] | None] = (None, None),
) -> _Sample:
    sample = _Sample(n, position, {})
    reaches = []
    for value in values:
        known = dict(zip(tied, value, strict=True))
        pair = []
        for side, program, inner in zip(block.sides, programs, seen, strict=True):
            digits = tuple(-1 if d is None else known[d] for d in side.slot_outputs[axis])
            row = program.row(position, digits, inner, budget)
            sample.touched |= row.touched
            reaches.append(row.reach)
            pair.append(row.entries)
        sample.entries[value] = (pair[0], pair[1])
    if collide(reaches):
        sample.touched = BOTH
    return sample


def common_shift(programs: Sequence[AxisProgram]) -> tuple[int, int]:
    """(P, Q): the least input shift that moves both stages by whole samples, and the output shift."""
    (p_left, q_left), (p_right, q_right) = (rates(program.steps) for program in programs)
    assert q_left * p_right == q_right * p_left, "stages with different rates are not compared"
    period = math.lcm(p_left, p_right)
    return period, period // p_left * q_left


def visit(
    block: Block,
    axis: int,
    programs: tuple[AxisProgram, ...],
    tied: tuple[int, ...],
    radices: Sequence[int],
    domain: Domain,
    budget: Budget,
) -> tuple[list[_Sample], int]:
    """Every sample of every common extent, class by class modulo the period, until the cutoff theorem applies."""
    shift = common_shift(programs)
    period = math.lcm(shift[0], domain.period)
    strip = shift[1] * (period // shift[0])
    budget.afford(period)
    values = list(itertools.product(*(range(radices[d]) for d in tied)))
    samples: list[_Sample] = []
    cutoff = 0
    for start in itertools.takewhile(lambda n: n < domain.least + period, domain.members()):
        n = start
        while True:
            here = _at_extent(block, axis, programs, tied, values, n, budget)
            samples += here
            if separated(here, strip):
                break
            n += period
        cutoff = max(cutoff, n)
    return samples, cutoff


def _at_extent(
    block: Block,
    axis: int,
    programs: tuple[AxisProgram, ...],
    tied: tuple[int, ...],
    values: list[tuple[int, ...]],
    n: int,
    budget: Budget,
) -> list[_Sample]:
    """Every output sample at extent n."""
    seen = [extents(program.steps, n) for program in programs]
    assert isinstance(seen[0], tuple) and isinstance(seen[1], tuple), "n is a common extent"
    budget.afford(seen[0][-1])
    return [_sample(block, axis, programs, tied, values, n, o, budget, seen) for o in range(seen[0][-1])]  # type: ignore[arg-type]


def separated(samples: Sequence[_Sample], strip: int) -> bool:
    """Whether some c has: rows before c did not touch the right border, rows from c - strip on not the left one."""
    first_right = next((s.position for s in samples if s.touched & RIGHT), len(samples))
    last_left = next((s.position for s in reversed(samples) if s.touched & LEFT), -1)
    return last_left + 1 + strip <= first_right

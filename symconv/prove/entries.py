"""All entries of two stages' operators, listed: what exact comparison of concrete weights needs.

Owns: `EntryList`, `list_entries`. Must not know: weights, verdicts.

Unlike joint rows, entries keep their output index, because an operator's norm is a maximum over outputs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import attrs

from symconv.operators.blocks import Assembly, Block, expand_pure, tensor
from symconv.operators.budget import Budget
from symconv.operators.domain import Domain
from symconv.operators.rows import BOTH, LEFT, RIGHT, AxisProgram, Entries, Form, collide, pure
from symconv.operators.steps import extents, rates


@attrs.frozen
class Sample:
    """One output sample of one axis that matters: at an extent, or (extent None) of the bi-infinite signal."""

    extent: int | None
    position: int
    seen: tuple[tuple[int, ...] | None, tuple[int, ...] | None]


@attrs.frozen
class Entry:
    """One entry of a block: output channel part and samples, input index, both forms."""

    channel: int
    samples: tuple[int, ...]
    into: tuple[int, ...]
    left: Form
    right: Form


@attrs.frozen
class EntryList:
    """A block's entries."""

    block: Block
    entries: list[Entry]


def axis_samples(
    programs: Sequence[tuple[AxisProgram | None, AxisProgram | None]], domain: Domain, budget: Budget, *, windows: bool = True
) -> list[Sample]:
    """The output samples of one axis that stand for all, for several pairs of programs at once.

    Args:
        programs: (left, right) programs: the weights' and, if any, the biases' (None for a side without).
        domain: common extents.
        budget: charged for every path.
        windows: whether the window theorem may replace extents by the bi-infinite signal.
    """
    left, right = programs[0]
    assert left is not None and right is not None, "the weights have a program on each side"
    period = math.lcm(rates(left.steps)[0], rates(right.steps)[0])
    shift = period // rates(left.steps)[0] * rates(left.steps)[1]
    if windows and all(pure(program) for pair in programs for program in pair if program is not None):
        budget.afford(shift)
        return [Sample(None, position, (None, None)) for position in range(shift)]
    whole = math.lcm(period, domain.period)
    strip = shift * (whole // period)
    budget.afford(whole)
    found: list[Sample] = []
    for start in itertools.takewhile(lambda n: n < domain.least + whole, domain.members()):
        n = start
        while True:
            here = _at(left, right, n)
            found += here
            if _separated([_touched(programs, sample, budget) for sample in here], strip):
                break
            n += whole
    return found


def _at(left: AxisProgram, right: AxisProgram, n: int) -> list[Sample]:
    seen = extents(left.steps, n), extents(right.steps, n)
    assert isinstance(seen[0], tuple) and isinstance(seen[1], tuple), "n is a common extent"
    return [Sample(n, position, (seen[0], seen[1])) for position in range(seen[0][-1])]


def _touched(programs: Sequence[tuple[AxisProgram | None, AxisProgram | None]], sample: Sample, budget: Budget) -> int:
    touched, reaches = 0, []
    for pair in programs:
        for program, seen in zip(pair, sample.seen, strict=True):
            for digits in _all_digits(program) if program is not None else ():
                assert program is not None
                row = program.row(sample.position, digits, seen, budget)
                touched |= row.touched
                reaches.append(row.reach)
    return BOTH if collide(reaches) else touched


def _all_digits(program: AxisProgram) -> list[tuple[int, ...]]:
    """Every value of the slots that are output digits; the others are unknown before the row is followed."""
    return list(itertools.product(*(range(slot.radix) if slot.place_out else (-1,) for slot in program.slots)))


def _separated(touched: Sequence[int], strip: int) -> bool:
    first_right = next((k for k, t in enumerate(touched) if t & RIGHT), len(touched))
    last_left = next((k for k in reversed(range(len(touched))) if touched[k] & LEFT), -1)
    return last_left + 1 + strip <= first_right


def list_entries(assembly: Assembly, samples: Sequence[Sequence[Sample]], budget: Budget) -> list[EntryList]:
    """Every entry of every block at the given samples of each axis."""
    return [EntryList(block, _block_entries(block, assembly, samples, budget)) for block in assembly.blocks]


def _block_entries(block: Block, assembly: Assembly, samples: Sequence[Sequence[Sample]], budget: Budget) -> list[Entry]:
    out: list[Entry] = []
    numbers = [range(len(samples[axis])) for axis in block.axes]
    digit_values = [range(assembly.out_radices[d]) for d in block.out_digits]
    for values in itertools.product(*digit_values):
        digits = dict(zip(block.out_digits, values, strict=True))
        channel = sum(block.out_places[d] * v for d, v in digits.items())
        for chosen in itertools.product(*numbers):
            here = [samples[axis][k] for axis, k in zip(block.axes, chosen, strict=True)]
            left, right = (_side_entries(block, which, here, digits, budget) for which in (0, 1))
            for into in sorted(left.keys() | right.keys()):
                out.append(Entry(channel, chosen, into, left.get(into, {}), right.get(into, {})))
    return out


def _side_entries(block: Block, which: int, here: Sequence[Sample], digits: dict[int, int], budget: Budget) -> Entries:
    side = block.sides[which]
    parts = []
    for axis, sample in zip(block.axes, here, strict=True):
        env = tuple(-1 if d is None else digits[d] for d in side.slot_outputs[axis])
        row = side.programs[axis].row(sample.position, env, sample.seen[which], budget)
        if not row.entries:
            return {}
        parts.append(row.entries)
    start: Entries = tensor(parts, budget) if parts else {(0,): {(0, 0): 1}}
    return expand_pure(side, start, digits, budget)

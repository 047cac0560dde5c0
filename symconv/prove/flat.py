"""Blocks whose channels do not factor into digits: one block with everything in it, from the definition-level tables.

Owns: `flat_rows`. Must not know: ranks, verdicts.

Slow: cost grows with channels and axes; the budget bounds it. The extents to visit come from the same two theorems,
applied to each axis with every phase followed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from symconv.layers import BatchNorm, ConvTranspose, Layer
from symconv.operators.blocks import Block, Side
from symconv.operators.budget import Budget
from symconv.operators.denote import Form as TableForm
from symconv.operators.denote import Param as TableParam
from symconv.operators.denote import Table, denote
from symconv.operators.domain import Domain
from symconv.operators.rows import AxisProgram, Form, Param, pure
from symconv.operators.steps import Correlate, Decimate, Split, Step
from symconv.operators.wiring import free_step, is_parametric
from symconv.prove.table import BlockTable, JointRow, Place, visit


def phase_free(word: Sequence[Step], constant: bool) -> AxisProgram:
    """A program that follows every phase, so that it touches whatever borders the real one touches."""
    steps: list[Step] = []
    for step in word:
        if isinstance(step, Split):
            steps += [Correlate(tuple(range(step.factor)), 0, (1,) * step.factor), Decimate(step.factor)]
        else:
            steps.append(step)
    free = free_step(steps)
    return AxisProgram(steps, (), free + 1 if constant and free is not None else 0)


def flat_block(
    words: tuple[Sequence[Sequence[Step]], Sequence[Sequence[Step]]], axes: int, constant: bool, digits: tuple[int, int]
) -> Block:
    """The one block of a flat part; its programs serve to find the extents only."""
    sides = [
        Side({axis: phase_free(words[side][axis], constant) for axis in range(axes)}, dict.fromkeys(range(axes), ()), ()) for side in (0, 1)
    ]
    return Block(tuple(range(axes)), tuple(range(digits[0])), tuple(range(digits[1])), (1,) * digits[0], (1,) * digits[1], *sides)


def windowed(block: Block) -> bool:
    """Whether the window theorem holds for both sides on every axis."""
    return all(pure(side.programs[axis]) for side in block.sides for axis in block.axes)


def flat_rows(
    block: Block,
    chains: tuple[tuple[Layer, ...], tuple[Layer, ...]],
    channels: int,
    domains: Sequence[Domain],
    constant: bool,
    budget: Budget,
    at: tuple[int, ...] | None = None,
) -> BlockTable:
    """All distinct joint rows of two chains, over every combination of the extents that matter (or at `at` only)."""
    per_axis: list[list[int]] = []
    cutoffs = {}
    for axis in block.axes:
        if at is not None:
            per_axis.append([at[axis]])
            cutoffs[axis] = at[axis]
            continue
        programs = tuple(side.programs[axis] for side in block.sides)
        samples, cutoffs[axis] = visit(block, axis, programs, (), (), domains[axis], budget)
        seen = sorted({sample.extent for sample in samples if sample.extent is not None})
        per_axis.append(seen[-1:] if windowed(block) else seen)
    found: dict[tuple[frozenset[object], frozenset[object]], JointRow] = {}
    for extents in itertools.product(*per_axis):
        budget.afford(channels * math.prod(extents))
        left, right = (_table(chain, channels, extents, budget) for chain in chains)
        _collect(found, extents, left, right, chains, constant)
    rows = sorted(found.values(), key=lambda row: row.place.size)
    return BlockTable(rows, cutoffs)


def _table(chain: tuple[Layer, ...], channels: int, extents: tuple[int, ...], budget: Budget) -> Table:
    table = denote(chain, channels, extents)
    budget.spend(sum(len(row) for row in table.entries.values()))
    budget.check_time()
    return table


def _collect(
    found: dict[tuple[frozenset[object], frozenset[object]], JointRow],
    extents: tuple[int, ...],
    left: Table,
    right: Table,
    chains: tuple[tuple[Layer, ...], tuple[Layer, ...]],
    constant: bool,
) -> None:
    kernels = [next((layer for layer in chain if is_parametric(layer)), None) for chain in chains]
    nowhere = (0,) * (len(extents) + 1)
    for out in left.entries.keys() | right.entries.keys() | left.constants.keys() | right.constants.keys():
        if constant:
            pairs = {nowhere: (left.constants.get(out, {}), right.constants.get(out, {}))}
        else:
            a, b = left.entries.get(out, {}), right.entries.get(out, {})
            pairs = {into: (a.get(into, {}), b.get(into, {})) for into in a.keys() | b.keys()}
        for into, forms in pairs.items():
            one, two = (_rename(form, layer, len(extents)) for form, layer in zip(forms, kernels, strict=True))
            key = (frozenset(one.items()), frozenset(two.items()))
            place = Place(extents, out, into)
            if (one or two) and (key not in found or place.size < found[key].place.size):
                found[key] = JointRow(one, two, place)


def _rename(form: TableForm, layer: Layer | None, axes: int) -> Form:
    return {_parameter(param, layer, axes): c for param, c in form.items()}


def _parameter(param: TableParam, layer: Layer | None, axes: int) -> Param:
    """(p, q, taps...) of a table's parameter: output channel, input channel within the group, taps."""
    if param is None:
        return (0,) * (axes + 2)
    kind, *index = param
    numbers = [int(item) for item in index]
    if kind == "b" or isinstance(layer, BatchNorm):
        return (numbers[0], *(0,) * (axes + 1))
    if isinstance(layer, ConvTranspose):
        group, q = divmod(numbers[0], layer.in_channels // layer.groups)
        return (group * (layer.out_channels // layer.groups) + numbers[1], q, *numbers[2:])
    return tuple(numbers)

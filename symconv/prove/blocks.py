"""One block decided: dimensions, inclusions, reshuffles, annihilators.

Owns: `decide_block`. Must not know: how blocks combine into a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import attrs

from symconv.operators.blocks import Block, PureWire, Side, expand_pure
from symconv.operators.budget import Budget
from symconv.operators.domain import Domain
from symconv.operators.rows import Form, Param
from symconv.prove.linear import Annihilator, Reshuffle, compare_rows
from symconv.prove.table import BlockTable, Extents, JointRow, Place, joint_rows


@attrs.frozen
class Functional:
    """A functional on operator entries of one block.

    Args:
        terms: (place, coefficient).
        kernel: the unit parameter that it sees.
        value: what it gives there.
        attempt: the other class's parameters that come closest (they agree at all smaller places).
        shown: what `kernel` gives at each place.
    """

    terms: tuple[tuple[Place, Fraction], ...]
    kernel: Param
    value: Fraction
    attempt: Form
    shown: tuple[Fraction, ...]


@attrs.frozen
class BlockResult:
    """One block decided; `forth` is None if the left class is not in the right one, `back` likewise.

    A block of channel digits alone carries empty reshuffles: each parameter goes to the one at the same entry.
    """

    block: Block
    left: int
    right: int
    both: int
    forth: Reshuffle | None
    back: Reshuffle | None
    not_forth: Functional | None
    not_back: Functional | None
    cutoffs: dict[int, int]
    sample: tuple[tuple[Place, Form] | None, tuple[Place, Form] | None]
    """For each side one nonzero entry, as a functional for blocks that do not separate."""
    seen: tuple[frozenset[Param], frozenset[Param]] = (frozenset(), frozenset())
    """For each side the parameters that some entry shows (empty for channel digits alone, where all are seen)."""


def decide_block(
    block: Block,
    domains: Sequence[Domain],
    radices: tuple[Sequence[int], Sequence[int]],
    budget: Budget,
    *,
    interior: bool = False,
    at: Extents | None = None,
) -> BlockResult:
    """Decides one block exactly.

    Args:
        block: from `assemble`.
        domains: common extents, for every axis.
        radices: of the (input, output) digits.
        budget: for the whole decision.
        interior: the bi-infinite question.
        at: the question at these extents only.
    """
    if not block.axes:
        return _channels_only(block, radices, budget)
    return compare_table(block, joint_rows(block, domains, radices[1], budget, interior=interior, at=at), budget)


def compare_table(block: Block, table: BlockTable, budget: Budget) -> BlockResult:
    """Ranks, reshuffles and annihilators of a block whose joint rows are known."""
    answer = compare_rows([(row.left, row.right) for row in table.rows], budget)
    return BlockResult(
        block,
        answer.left,
        answer.right,
        answer.both,
        answer.forth,
        answer.back,
        _locate(answer.not_forth, table.rows),
        _locate(answer.not_back, table.rows),
        table.cutoffs,
        (_first_entry(table.rows, 0), _first_entry(table.rows, 1)),
        (frozenset(p for row in table.rows for p in row.left), frozenset(p for row in table.rows for p in row.right)),
    )


def _locate(annihilator: Annihilator | None, rows: list[JointRow]) -> Functional | None:
    if annihilator is None:
        return None
    return Functional(
        tuple((rows[k].place, c) for k, c in annihilator.terms),
        annihilator.kernel,
        annihilator.value,
        annihilator.attempt,
        annihilator.shown,
    )


def _first_entry(rows: list[JointRow], side: int) -> tuple[Place, Form] | None:
    for row in rows:
        form = row.right if side else row.left
        if form:
            return row.place, form
    return None


def _channels_only(block: Block, radices: tuple[Sequence[int], Sequence[int]], budget: Budget) -> BlockResult:
    """Digits without axes: every class is spanned by entries, so two values a digit decide and a formula counts.

    The entries of a side are those whose tied digits agree. A side without parameters on its digits has one vector.
    """
    rows = _corner_rows(block, radices[1], budget)
    answer = compare_rows([(row.left, row.right) for row in rows], budget)
    left, right = (_dimension(side, block, radices) for side in block.sides)
    both = answer.both if min(left, right) <= 1 else _entries(block, radices, _ties(block.left) + _ties(block.right))
    return BlockResult(
        block,
        left,
        right,
        both,
        None if answer.forth is None else {},
        None if answer.back is None else {},
        _locate(answer.not_forth, rows),
        _locate(answer.not_back, rows),
        {},
        (_first_entry(rows, 0), _first_entry(rows, 1)),
    )


def _corner_rows(block: Block, out_radices: Sequence[int], budget: Budget) -> list[JointRow]:
    import itertools

    rows = []
    spans = [range(min(2, out_radices[d])) for d in block.out_digits]
    for values in itertools.product(*spans):
        digits = dict(zip(block.out_digits, values, strict=True))
        channel = sum(block.out_places[d] * v for d, v in digits.items())
        left, right = (expand_pure(side, {(0,): {(0, 0): 1}}, digits, budget, most=2) for side in block.sides)
        for into in sorted(left.keys() | right.keys()):
            rows.append(JointRow(left.get(into, {}), right.get(into, {}), Place((), (channel,), into)))
    return rows


def _ties(side: Side) -> list[tuple[int, int]]:
    return [(w.in_digit, w.out_digit) for w in side.pure if w.in_digit is not None and w.out_digit is not None]


def _has_parameters(wire: PureWire) -> bool:
    return bool(wire.place_p or wire.place_q)


def _dimension(side: Side, block: Block, radices: tuple[Sequence[int], Sequence[int]]) -> int:
    if not any(_has_parameters(wire) for wire in side.pure):
        return 1
    return _entries(block, radices, _ties(side))


def _entries(block: Block, radices: tuple[Sequence[int], Sequence[int]], ties: list[tuple[int, int]]) -> int:
    """How many index tuples satisfy all ties (input digit, output digit)."""
    parent: dict[tuple[str, int], tuple[str, int]] = {}

    def find(x: tuple[str, int]) -> tuple[str, int]:
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for i, o in ties:
        parent[find(("in", i))] = find(("out", o))
    nodes = [("in", d) for d in block.in_digits] + [("out", d) for d in block.out_digits]
    roots = {find(node): radices[0][node[1]] if node[0] == "in" else radices[1][node[1]] for node in nodes}
    return math.prod(roots.values())

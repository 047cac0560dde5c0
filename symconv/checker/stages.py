"""A stage: its two sides, its weights and bias parts split into blocks, and how the blocks' claims combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from .blocks import Node, Outcome, Sample, Table, Ties, check_block
from .extents import Extents, bias_windowed, common, visits, windowed
from .faults import Budget, Fault, Rejected, need
from .layers import Layer
from .records import Part, Stage
from .rows import Reader
from .wires import Path, Wire, Wiring, flat_path


class Side:
    """One side of a stage: a chain of layers with at most one parametric layer."""

    def __init__(self, layers: Sequence[Layer], channels: Sequence[int], axes: int) -> None:
        self.layers, self.channels = layers, channels
        self.chains = [Extents(layers, axis) for axis in range(axes)]
        free = [at for at, layer in enumerate(layers) if layer.parametric]
        need(len(free) <= 1, "more than one parametric layer in a stage")
        self.free = bool(free)
        self.tail = free[0] + 1 if free else 0
        self.bias = self.free and layers[free[0]].biased

    def windowed(self, axis: int, bias: bool) -> bool:
        """Whether the finite rows on this axis are those of the bi-infinite signal."""
        return bias_windowed(self.layers[self.tail :], axis) if bias else windowed(self.layers, axis)


Pair = tuple[Side, Side]


class Rows:
    """The samples that make up all extents of a stage, axis by axis."""

    def __init__(self, sides: Pair, budget: Budget) -> None:
        self.sides, self.budget = sides, budget
        self.axes = len(sides[0].chains)
        self.periods: list[int] = []
        self.starts: list[list[int]] = []
        for left, right in zip(sides[0].chains, sides[1].chains, strict=True):
            period, first, second = common(left, right, budget)
            starts = [max(n, m) for n, m in zip(first, second, strict=True) if n is not None and m is not None]
            need(bool(starts), "the two sides have no common valid extent")
            need(left.shift * right.period == right.shift * left.period, "output extents grow differently")
            need(all(left.all(n)[-1] == right.all(n)[-1] for n in starts), "output extents differ")
            self.periods.append(period)
            self.starts.append(starts)

    def windowed(self, axis: int, compared: Pair, bias: bool) -> bool:
        """Whether both compared sides are windowed."""
        return all(side.windowed(axis, bias) for side in compared)

    def samples(self, axis: int, compared: Pair, bias: bool, interior: bool) -> list[Sample]:
        """Samples (n, o) whose rows are all that there are."""
        chain = self.sides[0].chains[axis]
        if interior or self.windowed(axis, compared, bias):
            shift = chain.shift * (self.periods[axis] // chain.period)
            self.budget.spend(shift)
            return [(None, o) for o in range(shift)]
        left, right = ((side.chains[axis], side.tail if bias else 0) for side in compared)
        return list(visits(left, right, self.starts[axis], self.periods[axis], self.budget))


def check_part(part: Part, rows: Rows, compared: Pair, bias: bool, interior: bool) -> Outcome:
    """All blocks of a part; dimensions are the products of theirs."""
    axes, budget = rows.axes, rows.budget
    channels = 1 if bias else compared[0].channels[0]
    need(prod(part.in_digits) == channels and not (bias and part.in_digits), "in_digits do not make up the input channels")
    need(prod(part.out_digits) == compared[0].channels[-1], "out_digits do not make up the output channels")
    _check_partition(part, axes)
    views = [_Flat(part, side, bias, budget) if part.flat else _Digits(part, side, bias, budget) for side in compared]
    outcomes = []
    for at, block in enumerate(part.blocks):
        try:
            left, right = (
                Reader(view.path(at), [side.chains[axis] for axis in block.axes], side.tail if bias else 0, bias, budget)
                for view, side in zip(views, compared, strict=True)
            )
            if block.axes:
                samples = [rows.samples(axis, compared, bias, interior) for axis in block.axes]
                table: Table | Ties = Table(left, right, samples, budget)
            else:
                radices = {("in", k): part.in_digits[k] for k in block.inputs} | {("out", k): part.out_digits[k] for k in block.outputs}
                table = Ties(radices, [view.ties(at) for view in views], [side.free for side in compared])
            outcomes.append(check_block(block, (left, right), table, interior))
        except Fault as fault:
            raise fault.within(f"blocks[{at}]") from None
    return Outcome(
        prod(found.left for found in outcomes),
        prod(found.right for found in outcomes),
        prod(found.both for found in outcomes),
        all(found.forth for found in outcomes),
        all(found.back for found in outcomes),
        prod(found.scale for found in outcomes),
    )


def _check_partition(part: Part, axes: int) -> None:
    """The blocks partition all axes and digits; a flat part has one block and whole channel indices."""
    for name, count in (("axes", axes), ("inputs", len(part.in_digits)), ("outputs", len(part.out_digits))):
        lists = [getattr(block, name) for block in part.blocks]
        need(all(tuple(sorted(items)) == items for items in lists), "indices of blocks must ascend")
        need(sorted(k for items in lists for k in items) == list(range(count)), f"the blocks do not partition the {name}")
    need(all(block.axes or block.inputs or block.outputs for block in part.blocks), "a block is empty")
    flat = len(part.blocks) == 1 and len(part.in_digits) <= 1 and len(part.out_digits) <= 1
    need(flat or not part.flat, "a flat part has one block and one digit for all channels")


class _Flat:
    """A side without digits."""

    def __init__(self, part: Part, side: Side, bias: bool, budget: Budget) -> None:
        first = side.tail if bias else 0
        self._path = flat_path(side.layers[first:], side.channels[first:], bias, budget)

    def path(self, at: int) -> Path:
        return self._path

    def ties(self, at: int) -> list[tuple[Node, Node]]:
        return []


class _Digits:
    """A side as wires, each in its block."""

    def __init__(self, part: Part, side: Side, bias: bool, budget: Budget) -> None:
        first = side.tail if bias else 0
        self.part, self.budget = part, budget
        self.wiring = Wiring(side.layers[first:], side.channels[first:], (part.in_digits, part.out_digits), bias)
        homes = {("axis", k): at for at, block in enumerate(part.blocks) for k in block.axes}
        homes |= {("in", k): at for at, block in enumerate(part.blocks) for k in block.inputs}
        homes |= {("out", k): at for at, block in enumerate(part.blocks) for k in block.outputs}
        self.inside: list[set[Wire]] = [set() for _ in part.blocks]
        for wire in self.wiring.wires():
            need(sum(kind == "axis" for kind, _ in wire.ends) <= 1, "a digit is tied to two axes, but the part is not flat")
            at = {homes[end] for end in wire.ends}
            need(len(at) == 1, "digits and axes that are tied lie in different blocks")
            self.inside[at.pop()].add(wire)

    def path(self, at: int) -> Path:
        return self.wiring.path(self.part.blocks[at].axes, self.inside[at], self.budget)

    def ties(self, at: int) -> list[tuple[Node, Node]]:
        return [(("in", ends["in"]), ("out", ends["out"])) for ends in (dict(wire.ends) for wire in self.inside[at]) if len(ends) == 2]


@dataclass(frozen=True)
class Inclusions:
    """What a stage establishes: with biases and without, each (left in right, right in left)."""

    whole: tuple[bool, bool]
    linear: tuple[bool, bool]
    interior: tuple[bool, bool] | None
    dimension: tuple[int, int, int | None]


def check_stage(stage: Stage, left: Side, right: Side, budget: Budget) -> Inclusions:
    """The stage's parts, combined."""
    sides = (left, right)
    need(left.channels[-1] == right.channels[-1], "output channels differ")
    rows = Rows(sides, budget)
    whole, linear, dimension = _combined(stage.weights, stage.bias, rows, sides, False)
    biased = [side for side in sides if side.bias]
    axes = range(rows.axes)
    plain = all(rows.windowed(axis, sides, False) for axis in axes)
    plain_bias = all(side.windowed(axis, True) for side in biased for axis in axes)
    undecided = (stage.weights.flat and not plain) or (stage.bias is not None and stage.bias.flat and not plain_bias)
    if undecided or (plain and plain_bias):
        need(stage.interior is None, "interior must be null here")
        return Inclusions(whole, linear, None if undecided else whole, dimension)
    if stage.interior is None:
        raise Rejected("interior is missing")
    try:
        interior, _, _ = _combined(stage.interior.weights, stage.interior.bias, rows, sides, True)
    except Fault as fault:
        raise fault.within("interior") from None
    return Inclusions(whole, linear, interior, dimension)


Both = tuple[bool, bool]


def _combined(weights: Part, bias: Part | None, rows: Rows, sides: Pair, interior: bool) -> tuple[Both, Both, tuple[int, int, int | None]]:
    """(inclusions with bias, without, dimensions) of a stage or its interior."""
    left, right = sides
    try:
        found = check_part(weights, rows, sides, False, interior)
    except Fault as fault:
        raise fault.within("weights") from None
    need((bias is None) == (not left.bias and not right.bias), "bias must be null exactly if no side has one")
    extra = Outcome(0, 0, 0, True, True, 1)
    if bias is not None:
        try:
            extra = check_part(bias, rows, (left if left.bias else right, right if right.bias else left), True, interior)
        except Fault as fault:
            raise fault.within("bias") from None
    linear = _linear(found, left.free, right.free)
    bias_dims = (extra.left if left.bias else 0, extra.right if right.bias else 0)
    bias_both = extra.both if left.bias and right.bias else 0
    forth = linear[0] and (bias_dims[0] == 0 or (left.bias and right.bias and extra.forth))
    back = linear[1] and (bias_dims[1] == 0 or (left.bias and right.bias and extra.back))
    dims = (found.left + bias_dims[0] if left.free else 0, found.right + bias_dims[1] if right.free else 0)
    if left.free and right.free:
        both: int | None = found.both + bias_both
    else:
        both = 0 if (forth if not left.free else back) else None
    return (forth, back), linear, (*dims, both)


def _linear(found: Outcome, left_free: bool, right_free: bool) -> Both:
    """Inclusions without bias. An inclusion of products of families holds factor by factor, unless the smaller one is zero."""
    none = found.left == 0 and found.right == 0
    if not left_free and not right_free:
        same = none or (found.left != 0 and found.forth and found.back and found.scale == 1)
        return same, same
    forth = found.left == 0 or found.forth if right_free else none
    back = found.right == 0 or found.back if left_free else none
    return forth, back

"""One linear stage of each network, decided: weights, bias, interior.

Owns: `decide_stage`, `StageResult`. Must not know: nonlinearities, certificates, text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import attrs

from symconv.layers import Conv, ConvTranspose, Layer
from symconv.operators.blocks import Assembly, assemble
from symconv.operators.budget import Budget
from symconv.operators.domain import Domain, domain, extents_differ
from symconv.operators.rows import pure
from symconv.operators.steps import Step, rates
from symconv.operators.wiring import Indivisible, Wiring, is_parametric, refine, wire
from symconv.prove.blocks import BlockResult, Functional, compare_table, decide_block
from symconv.prove.flat import flat_block, flat_rows, windowed
from symconv.theory.relation import Relation

Words = list[list[Step]]
EVERYWHERE = Domain(1, 1, frozenset({0}))


@attrs.frozen
class PartResult:
    """The weight family or the bias family of a stage, block by block.

    Args:
        in_digits, out_digits: radices.
        blocks: the decided blocks.
        flat: whether channels did not factor and one block holds everything.
    """

    in_digits: tuple[int, ...]
    out_digits: tuple[int, ...]
    blocks: tuple[BlockResult, ...]
    flat: bool

    @property
    def left(self) -> int:
        """Dimension of the left family."""
        return math.prod(block.left for block in self.blocks)

    @property
    def right(self) -> int:
        """Dimension of the right family."""
        return math.prod(block.right for block in self.blocks)

    @property
    def both(self) -> int:
        """Dimension of the intersection of the two spans."""
        return math.prod(block.both for block in self.blocks)

    @property
    def forth(self) -> bool:
        """Whether the left span lies in the right one."""
        return self.left == 0 or all(block.forth is not None for block in self.blocks)

    @property
    def back(self) -> bool:
        """Whether the right span lies in the left one."""
        return self.right == 0 or all(block.back is not None for block in self.blocks)

    @property
    def scale(self) -> Fraction:
        """For two spans of one vector each that coincide: left vector over right vector."""
        scale = Fraction(1)
        for block in self.blocks:
            for form in (block.forth or {}).values():
                for coefficient in form.values():
                    scale *= coefficient
        return scale


@attrs.frozen
class StageResult:
    """A stage decided for all common extents.

    Args:
        left, right: the stage's layers.
        channels: input channels.
        words: per side and axis, the steps (for extents).
        domains: common valid extents, an axis each.
        weights, bias: the two parts; bias is None if neither side has one.
        interior: the same two parts for the bi-infinite signal, or None where they are the same question.
        interior_known: False if the interior question was not decided.
    """

    left: tuple[Layer, ...]
    right: tuple[Layer, ...]
    channels: int
    words: tuple[Words, Words]
    domains: tuple[Domain, ...]
    weights: PartResult
    bias: PartResult | None
    interior: tuple[PartResult, PartResult | None] | None
    interior_known: bool

    @property
    def fixed(self) -> tuple[bool, bool]:
        """Whether each side is one function."""
        return not any(map(is_parametric, self.left)), not any(map(is_parametric, self.right))

    @property
    def biased(self) -> tuple[bool, bool]:
        """Whether each side has bias parameters."""
        return has_bias(self.left), has_bias(self.right)

    def inclusions(self, *, linear: bool = False, interior: bool = False) -> tuple[bool, bool]:
        """(left in right, right in left), with biases unless `linear`."""
        weights, bias = self.interior if interior and self.interior is not None else (self.weights, self.bias)
        forth, back = self._weights(weights)
        if linear or bias is None:
            return forth, back
        left_bias, right_bias = self.biased
        if left_bias and right_bias:
            return forth and bias.forth, back and bias.back
        return forth and (not left_bias or bias.left == 0), back and (not right_bias or bias.right == 0)

    def _weights(self, part: PartResult) -> tuple[bool, bool]:
        left_fixed, right_fixed = self.fixed
        both_zero = part.left == 0 and part.right == 0
        if left_fixed and right_fixed:
            same = both_zero or (part.forth and part.back and part.left == part.right and part.scale == 1)
            return same, same
        return (both_zero if right_fixed else part.forth), (both_zero if left_fixed else part.back)

    def relation(self, *, linear: bool = False, interior: bool = False) -> Relation:
        """The relation, with biases unless `linear`."""
        return Relation.of(*self.inclusions(linear=linear, interior=interior))

    def dead_taps(self, side: int) -> list[list[int]]:
        """Per axis, the taps of one side (0 left, 1 right) that no entry at any extent shows."""
        layer = next((item for item in (self.right if side else self.left) if is_parametric(item)), None)
        dead: list[list[int]] = [[] for _ in self.domains]
        for block in self.weights.blocks if layer is not None else ():
            for k, axis in enumerate(block.block.axes):
                taps = layer.kernel[axis] if isinstance(layer, (Conv, ConvTranspose)) else 1
                dead[axis] = sorted(set(range(taps)) - {param[k + 2] for param in block.seen[side]})
        return dead

    @property
    def dimension(self) -> tuple[int, int, int | None]:
        """(left, right, intersection), biases included; the intersection with one function is 0 or None (empty)."""
        left_fixed, right_fixed = self.fixed
        left_bias, right_bias = self.biased
        left = 0 if left_fixed else self.weights.left + (self.bias.left if self.bias and left_bias else 0)
        right = 0 if right_fixed else self.weights.right + (self.bias.right if self.bias and right_bias else 0)
        if left_fixed or right_fixed:
            forth, back = self._weights(self.weights)
            point_inside = (left_fixed and forth) or (right_fixed and back)
            return left, right, 0 if point_inside else None
        shared = self.bias.both if self.bias and left_bias and right_bias else 0
        return left, right, self.weights.both + shared


@attrs.frozen
class ShapesDiffer:
    """The stages cannot be the same: output channels or output extents differ.

    Args:
        extents: the smallest common extents that show it, or () if the channels differ.
        interior: whether even the sampling rates differ.
    """

    extents: tuple[int, ...]
    rates_differ: bool


@attrs.frozen
class NoCommonExtent:
    """No extent is valid for both sides."""


def has_bias(layers: Sequence[Layer]) -> bool:
    """Whether a stage has bias parameters (BatchNorm always has)."""
    return any(getattr(layer, "bias", True) for layer in layers if is_parametric(layer))


def plain_words(wiring: Wiring) -> Words:
    """The steps of every axis, without digits: enough for extents and rates."""
    return [[item if not isinstance(item, tuple) else item[0](item[1]) for item in word] for word in wiring.words]


def words_of(layers: tuple[Layer, ...], channels: int, axes: int) -> Words:
    """The steps of every axis of a chain (nonlinearities left out by the caller), for extents only."""
    from symconv.layers import Shuffle, Unshuffle
    from symconv.operators.lowering import axis_word
    from symconv.operators.steps import Join, Split

    words: Words = [[] for _ in range(axes)]
    for layer in layers:
        for axis in range(axes):
            if isinstance(layer, (Shuffle, Unshuffle)):
                assert isinstance(layer.factor, tuple), "layer is bound"
                kind = Join if isinstance(layer, Shuffle) else Split
                if layer.factor[axis] > 1:
                    words[axis].append(kind(layer.factor[axis]))
            else:
                words[axis].extend(axis_word(layer, axis))
    return words


def decide_stage(
    left: tuple[Layer, ...],
    right: tuple[Layer, ...],
    channels: tuple[int, int, int],
    axes: int,
    budget: Budget,
    at: tuple[int, ...] | None = None,
) -> StageResult | ShapesDiffer | NoCommonExtent:
    """Decides two stages exactly.

    Args:
        left, right: bound layers without nonlinearities.
        channels: (input, left output, right output).
        axes: spatial axes.
        budget: for everything.
        at: input extents of the stage, to decide there only.

    Raises:
        OutsideFragment: a stage is not a linear family.
        BudgetExceeded: too large.
    """
    words = words_of(left, channels[0], axes), words_of(right, channels[0], axes)
    different_rates = any(_slope(one) != _slope(two) for one, two in zip(*words, strict=True))
    if channels[1] != channels[2]:
        return ShapesDiffer((), different_rates)
    domains = tuple(domain(one).meet(domain(two)) for one, two in zip(*words, strict=True))
    firsts = [item.first() for item in domains]
    if any(first is None for first in firsts):
        return NoCommonExtent()
    for axis, (one, two) in enumerate(zip(*words, strict=True)):
        n = extents_differ(one, two, domains[axis]) if at is None else None
        if n is not None:
            return ShapesDiffer(tuple(n if a == axis else int(f or 1) for a, f in enumerate(firsts)), different_rates)
    return _Stage(left, right, channels[0], axes, words, domains, budget, at).result()


def _slope(word: Sequence[Step]) -> Fraction:
    p, q = rates(word)
    return Fraction(q, p)


def _at_infinity(part: PartResult) -> PartResult:
    """A windowed part as an interior one: its entries stand at the same samples of the bi-infinite signal."""

    def moved(functional: Functional | None) -> Functional | None:
        if functional is None:
            return None
        terms = tuple((attrs.evolve(place, extents=(0,) * len(place.extents)), c) for place, c in functional.terms)
        return attrs.evolve(functional, terms=terms)

    blocks = (attrs.evolve(block, not_forth=moved(block.not_forth), not_back=moved(block.not_back)) for block in part.blocks)
    return attrs.evolve(part, blocks=tuple(blocks))


class _Stage:
    """The parts of one stage, digits where channels factor and flat where they do not."""

    def __init__(
        self,
        left: tuple[Layer, ...],
        right: tuple[Layer, ...],
        channels: int,
        axes: int,
        words: tuple[Words, Words],
        domains: tuple[Domain, ...],
        budget: Budget,
        at: tuple[int, ...] | None = None,
    ) -> None:
        self.at = at
        self.left, self.right, self.channels, self.axes = left, right, channels, axes
        self.words, self.domains, self.budget = words, domains, budget

    def result(self) -> StageResult:
        weights, interior_weights = self._part(self.left, self.right, constant=False)
        biased = has_bias(self.left), has_bias(self.right)
        bias, interior_bias = None, None
        if any(biased):
            one = self.left if biased[0] else self.right
            two = self.right if biased[1] else self.left
            bias, interior_bias = self._part(one, two, constant=True)
        known = interior_weights is not None and (bias is None or interior_bias is not None)
        interior: tuple[PartResult, PartResult | None] | None = None
        if known and (interior_weights is not weights or interior_bias is not bias):
            assert interior_weights is not None
            interior = (
                _at_infinity(weights) if interior_weights is weights else interior_weights,
                _at_infinity(bias) if bias is not None and interior_bias is bias else interior_bias,
            )
        return StageResult(self.left, self.right, self.channels, self.words, self.domains, weights, bias, interior, known)

    def _part(self, left: tuple[Layer, ...], right: tuple[Layer, ...], constant: bool) -> tuple[PartResult, PartResult | None]:
        """(the part, the interior part); the interior part is the part itself if all its blocks are windowed."""
        try:
            one, two = wire(left, self.channels, self.axes), wire(right, self.channels, self.axes)
            refine(one, two)
            assembly = assemble(one, two, constant)
        except Indivisible:
            return self._flat(left, right, constant)
        part = self._blocks(assembly, interior=False)
        if self.at is not None:
            return part, None
        if all(pure(side.programs[axis]) for block in assembly.blocks for side in block.sides for axis in block.axes):
            return part, part
        return part, self._blocks(assembly, interior=True)

    def _blocks(self, assembly: Assembly, interior: bool) -> PartResult:
        radices = assembly.in_radices, assembly.out_radices
        results = tuple(
            decide_block(block, self.domains, radices, self.budget, interior=interior, at=None if interior else self.at)
            for block in assembly.blocks
        )
        return PartResult(assembly.in_radices, assembly.out_radices, results, flat=False)

    def _flat(self, left: tuple[Layer, ...], right: tuple[Layer, ...], constant: bool) -> tuple[PartResult, PartResult | None]:
        from symconv.layers import channels_through

        outward = channels_through(left, self.channels)[-1]
        ins = () if constant or self.channels == 1 else (self.channels,)
        outs = () if outward == 1 else (outward,)
        words = words_of(left, self.channels, self.axes), words_of(right, self.channels, self.axes)
        block = flat_block(words, self.axes, constant, (len(ins), len(outs)))
        table = flat_rows(block, (left, right), self.channels, self.domains, constant, self.budget, self.at)
        part = PartResult(ins, outs, (compare_table(block, table, self.budget),), flat=True)
        return part, part if windowed(block) and self.at is None else None

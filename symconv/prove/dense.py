"""Weighted stages as explicit matrices: several weighted layers in a row, or channels that do not factor.

Owns: `dense_difference`. Must not know: blocks, reshuffles.

Slow and exact: tables by the definition-level meaning, with numbers for parameters, at every extent up to the cutoff.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from symconv.layers import BatchNorm, Layer, Weights
from symconv.operators.budget import Budget
from symconv.operators.denote import layer_table
from symconv.operators.domain import Domain
from symconv.operators.steps import Step
from symconv.operators.wiring import is_parametric
from symconv.prove.entries import axis_samples
from symconv.prove.flat import phase_free

if TYPE_CHECKING:
    from symconv.prove.weighted import Difference

Index = tuple[int, ...]
Matrix = dict[Index, dict[Index, Fraction]]
Weighted = tuple[tuple[Layer, ...], tuple[Weights | None, ...]]
Words = Sequence[Sequence[Step]]


def dense_difference(
    left: Weighted, right: Weighted, channels: int, domains: Sequence[Domain], words: tuple[Words, Words], budget: Budget
) -> Difference | None:
    """How two weighted stages differ, or None if they are the same function; see `stage_difference`."""
    from symconv.prove.weighted import Difference

    worst: Difference | None = None
    smallest: Difference | None = None
    for extents in _extents(left, right, domains, words, budget):
        one, two = (operator(side, channels, extents, budget) for side in (left, right))
        for out in sorted(one[0].keys() | two[0].keys()):
            a, b = one[0].get(out, {}), two[0].get(out, {})
            shift = one[1].get(out, Fraction(0)), two[1].get(out, Fraction(0))
            gaps = {i: a.get(i, Fraction(0)) - b.get(i, Fraction(0)) for i in a.keys() | b.keys()}
            distance = sum(map(abs, gaps.values()), abs(shift[0] - shift[1]))
            if not distance:
                continue
            into = min((i for i, gap in gaps.items() if gap), default=None)
            values = (shift[0] + (a.get(into, 0) if into else 0), shift[1] + (b.get(into, 0) if into else 0))
            if values[0] == values[1]:  # the constants make up for it on this impulse, so they part on the zero input
                into, values = None, shift
            found = Difference(distance, extents, out, into, Fraction(values[0]), Fraction(values[1]))
            smallest = smallest or found
            if worst is None or distance > worst.distance:
                worst = found
    if worst is None or smallest is None:
        return None
    return Difference(worst.distance, smallest.extents, smallest.out, smallest.into, smallest.left, smallest.right)


def _extents(left: Weighted, right: Weighted, domains: Sequence[Domain], words: tuple[Words, Words], budget: Budget) -> list[Index]:
    """Extents that stand for all, small ones first: up to the cutoff on every axis.

    All steps are followed with every phase and tap. The constants that biases add are followed with them: a bias is
    a constant signal that enters at its layer, and its rows touch no border that the stage's rows do not touch.
    """
    axes = []
    for axis, domain in enumerate(domains):
        programs = phase_free(words[0][axis], False), phase_free(words[1][axis], False)
        samples = axis_samples([programs], domain, budget, windows=False)
        axes.append(sorted({s.extent for s in samples if s.extent is not None}))
    return sorted(itertools.product(*axes), key=lambda ns: (max(ns), ns))


def operator(side: Weighted, channels: int, extents: Index, budget: Budget) -> tuple[Matrix, dict[Index, Fraction]]:
    """The stage's matrix and constants at concrete extents."""
    shape: Index = (channels, *extents)
    indices = list(itertools.product(*(range(size) for size in shape)))
    matrix: Matrix = {index: {index: Fraction(1)} for index in indices}
    constants: dict[Index, Fraction] = {}
    for layer, weights in zip(*side, strict=True):
        table = layer_table(layer, shape)
        matrix, constants = _apply(layer, weights, table, matrix, constants, budget)
        shape = table.out_shape
    return matrix, constants


def _apply(
    layer: Layer, weights: Weights | None, table: Any, matrix: Matrix, constants: dict[Index, Fraction], budget: Budget
) -> tuple[Matrix, dict[Index, Fraction]]:
    out: Matrix = {}
    shifts: dict[Index, Fraction] = {}
    for o, row in table.entries.items():
        total: dict[Index, Fraction] = {}
        shift = _value(layer, weights, table.constants.get(o, {}))
        for y, form in row.items():
            w = _value(layer, weights, form)
            if not w:
                continue
            shift += w * constants.get(y, 0)
            source = matrix[y]
            budget.spend(4 * len(source) + 1)
            for i, c in source.items():
                total[i] = total.get(i, Fraction(0)) + w * c
        out[o] = {i: c for i, c in total.items() if c}
        if shift:
            shifts[o] = shift
    return out, shifts


def _value(layer: Layer, weights: Weights | None, form: dict[Any, Any]) -> Fraction:
    from symconv.prove.weighted import exact

    total = Fraction(0)
    for param, c in form.items():
        if param is None:
            total += c
            continue
        assert weights is not None and (is_parametric(layer) or isinstance(layer, BatchNorm))
        kind, *index = param
        total += c * exact(weights.bias[index[0]] if kind == "b" else weights.kernel[tuple(index)])
    return total

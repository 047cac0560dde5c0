"""The member of a function class nearest to a layer with weights: an orthogonal projection, in exact arithmetic.

Owns: `project_layer`, `Projection`.
Must not know: torch, which classes are of interest.

A class that is contained in another one is a linear subspace of the other's kernels, spanned by the columns of the reshuffle L. The
nearest member is the one at which the rest is orthogonal to all columns: L' (w - L theta) = 0. Two kernel entries are related only if some
column has both, so the equations fall apart into small independent ones. The distance is that of the kernels and biases: the Frobenius
norm of the difference of the operators, for each input sample, away from the borders.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import attrs

from symconv.errors import LayerError, OutsideFragment
from symconv.layers import Conv, ConvTranspose, Layer, Sequential, WeightedNetwork, Weights, flatten
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair, decide_stages
from symconv.prove.reshuffle import Reshuffle, bias_length, kernel_shape, reshuffle, torch_indices
from symconv.theory.verdict import Verdict

MOST_ENTRIES = 2_000_000
"""Kernel entries that are projected one by one."""

Index = tuple[int, ...]
Column = dict[Index, Fraction]
"""Kernel index of the larger class to coefficient: one column of the reshuffle."""


@attrs.frozen
class Projection:
    """The nearest member of a smaller class.

    Args:
        layer, onto: the layer and the class, as expressions.
        verdict: the inclusion that makes the class a subspace of the layer's own class.
        parameters: of the nearest member, exact: kernel index to value, in PyTorch's layout, and the biases.
        nearest: the member with its parameters rounded to float64.
        squared_distance: exact: kernels and biases together; `kernel_distance` leaves the biases out.
    """

    layer: str
    onto: str
    verdict: Verdict
    parameters: dict[Index, Fraction]
    biases: dict[int, Fraction]
    nearest: WeightedNetwork
    squared_distance: Fraction
    kernel_distance: Fraction

    @property
    def distance(self) -> float:
        """The distance, rounded."""
        return math.sqrt(self.squared_distance)


def project_layer(layer: WeightedNetwork, onto: Layer, *, seconds: float = DEFAULT_SECONDS) -> Projection:
    """The member of the class `onto` that is nearest to `layer`.

    Args:
        layer: a linear chain with one layer of parameters, with weights.
        onto: a weightless chain whose class the class of `layer` contains.
        seconds: the budget.

    Raises:
        LayerError: the two do not fit together, or `onto` is not contained in the class of `layer`.
        OutsideFragment: that could not be decided, or there are too many kernel entries.
    """
    pair = bind_pair(onto, layer.layer)
    at, member = _own(layer)
    _afford(member)
    verdict, stages = decide_stages(Sequential(pair.left), Sequential(pair.right), seconds=seconds, presburger=False)
    if verdict.left_in_right is None:
        raise OutsideFragment(
            f"whether `{verdict.left}` is contained in `{verdict.right}` is unknown: {verdict.detail}", verdict.reason or ""
        )
    if not verdict.left_in_right:
        raise LayerError(
            f"`onto` must be contained in the class of the layer; `{verdict.left}` and `{verdict.right}` are {verdict.relation.value}. "
            "Ask `symconv check` why."
        )
    found = reshuffle(stages[0])
    if found is None:
        raise LayerError(f"`onto` must have a layer with parameters; `{verdict.left}` has none.")
    assert isinstance(found.source, (Conv, ConvTranspose)), "a projection is onto a convolution"
    held = layer.weights[at]
    assert held is not None, "a layer with parameters carries weights"
    kernel, kernel_rest = _nearest(_columns(found), _entries(held.kernel))
    biases, bias_rest = _nearest(_bias_columns(found), _entries(held.bias) if held.bias is not None else {})
    shifts = {index[0]: value for index, value in biases.items()}
    weights = _rounded(found.source, kernel, shifts)
    return Projection(
        layer=format_layer(layer.layer, pair.axes),
        onto=format_layer(Sequential(flatten(onto)), pair.axes),
        verdict=verdict,
        parameters=kernel,
        biases=shifts,
        nearest=WeightedNetwork(Sequential(pair.left), tuple(weights if is_parametric(item) else None for item in pair.left)),
        squared_distance=kernel_rest + bias_rest,
        kernel_distance=kernel_rest,
    )


def _own(layer: WeightedNetwork) -> tuple[int, Conv | ConvTranspose]:
    owners = [(k, member) for k, member in enumerate(layer.members) if is_parametric(member)]
    if len(owners) != 1 or not isinstance(owners[0][1], (Conv, ConvTranspose)):
        raise LayerError(f"a projection needs a chain with exactly one convolution and no other parameters; found {len(owners)}.")
    return owners[0][0], owners[0][1]


def _afford(member: Conv | ConvTranspose) -> None:
    count = math.prod(kernel_shape(member))
    if count > MOST_ENTRIES:
        raise OutsideFragment(f"the kernel has {count:,} entries; at most {MOST_ENTRIES:,} are projected exactly", "budget")


def _columns(found: Reshuffle) -> dict[Index, Column]:
    columns: dict[Index, Column] = defaultdict(dict)
    for v, w, c in found.entries():
        source = tuple(map(int, torch_indices(found.source, list(v))))
        columns[source][tuple(map(int, torch_indices(found.target, list(w))))] = c
    return dict(columns)


def _bias_columns(found: Reshuffle) -> dict[Index, Column]:
    columns: dict[Index, Column] = defaultdict(dict)
    for b, d, c in found.bias_entries():
        columns[b,][d,] = c
    return dict(columns)


def _entries(array: Any) -> dict[Index, Fraction]:
    return {index: Fraction(float(array[index])) for index in itertools.product(*map(range, array.shape))}


def _nearest(columns: dict[Index, Column], values: dict[Index, Fraction]) -> tuple[dict[Index, Fraction], Fraction]:
    """The parameters of the nearest member, and the squared distance."""
    best: dict[Index, Fraction] = {}
    image: dict[Index, Fraction] = defaultdict(Fraction)
    for names in _components(columns):
        group = [columns[name] for name in names]
        for name, column, value in zip(names, group, _solved(group, values), strict=True):
            best[name] = value
            for slot, c in column.items():
                image[slot] += c * value
    return best, sum(((value - image.get(slot, 0)) ** 2 for slot, value in values.items()), Fraction(0))


def _components(columns: dict[Index, Column]) -> Iterator[list[Index]]:
    """Columns that share kernel entries, directly or through others."""
    users: dict[Index, list[Index]] = defaultdict(list)
    for name, column in columns.items():
        for slot in column:
            users[slot].append(name)
    seen: set[Index] = set()
    for first in columns:
        if first in seen:
            continue
        group, stack = [], [first]
        seen.add(first)
        while stack:
            name = stack.pop()
            group.append(name)
            for other in _beside(columns[name], users):
                if other not in seen:
                    seen.add(other)
                    stack.append(other)
        yield sorted(group)


def _beside(column: Column, users: dict[Index, list[Index]]) -> Iterable[Index]:
    return itertools.chain.from_iterable(users[slot] for slot in column)


def _solved(group: list[Column], values: dict[Index, Fraction]) -> list[Fraction]:
    """A solution of the normal equations; where columns depend on one another, those that add nothing get 0."""
    right = [sum((c * values[slot] for slot, c in column.items()), Fraction(0)) for column in group]
    if len(group) == 1:
        return [right[0] / sum(c * c for c in group[0].values())]
    import flint

    products = [[sum((c * b[slot] for slot, c in a.items() if slot in b), Fraction(0)) for b in group] for a in group]
    rows = [
        [flint.fmpq(Fraction(v).numerator, Fraction(v).denominator) for v in (*row, end)] for row, end in zip(products, right, strict=True)
    ]
    reduced, rank = flint.fmpq_mat(rows).rref()
    solved = [Fraction(0)] * len(group)
    for row in range(rank):
        pivot = next(k for k in range(len(group)) if reduced[row, k] != 0)
        end = reduced[row, len(group)]
        solved[pivot] = Fraction(int(end.p), int(end.q))
    return solved


def _rounded(layer: Conv | ConvTranspose, kernel: dict[Index, Fraction], biases: dict[int, Fraction]) -> Weights:
    import numpy as np

    array = np.zeros(kernel_shape(layer))
    for index, value in kernel.items():
        array[index] = float(value)
    return Weights(array, np.array([float(biases.get(b, 0)) for b in range(bias_length(layer))]) if layer.bias else None)

"""The factorization lemma: classes on several axes are decided axis by axis.

Source: symconv's docs, theory/soundness, lemma 3.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from ..theorem import Agreement, Case, Counterexample, Exact, Theorem, Twin, Values
from ..twins import by_size, text

Columns = list[list[int]]


def _kron(one: Columns, two: Columns) -> Columns:
    """The tensor products of columns of one and of the other."""
    return [[a * b for a in left for b in right] for left in one for right in two]


def _rank(columns: Columns) -> int:
    import flint

    return int(flint.fmpz_mat(columns).rank()) if columns else 0


def _inside(one: Columns, two: Columns) -> bool:
    return _rank(one + two) == _rank(two)


def _meet(one: Columns, two: Columns) -> int:
    """The dimension of the intersection of the spans."""
    return _rank(one) + _rank(two) - _rank(one + two)


def _pairs(seed: int, count: int) -> Iterator[tuple[Columns, Columns]]:
    """Random pairs of spans in 3 or 4 dimensions, among them many inclusions."""
    chance = random.Random(seed)
    for _ in range(count):
        height = chance.choice((3, 4))
        draw = [[chance.randint(-2, 2) for _ in range(height)] for _ in range(4)]
        right = draw[: chance.randint(1, 3)]
        mixes = [
            [sum(c * column[row] for c, column in zip(weights, right, strict=True)) for row in range(height)]
            for weights in itertools.product((0, 1, -1), repeat=len(right))
        ]
        left = chance.sample(mixes, min(len(mixes), chance.randint(1, 2))) if chance.random() < 0.6 else draw[2 : 2 + chance.randint(1, 2)]
        yield left, right


def _law() -> Iterator[str]:
    for number, ((a, c), (b, e)) in enumerate(zip(_pairs(1, 250), _pairs(2, 250), strict=True)):
        left, right = _kron(a, b), _kron(c, e)
        if _rank(left) != _rank(a) * _rank(b):
            yield f"pair {number}: the dimension is no product"
        if _meet(left, right) != _meet(a, c) * _meet(b, e):
            yield f"pair {number}: the intersection's dimension is no product"
        if _rank(left) and _inside(left, right) != (_inside(a, c) and _inside(b, e)):
            yield f"pair {number}: inclusion is not decided factor by factor"


def _engine() -> Iterator[Case]:
    """Two-axis pairs whose relation follows from their axes: equal (2 | k) or strictly inside."""
    for ky, kx in itertools.product((1, 2, 3, 4), repeat=2):
        up = [-(-k // 2) for k in (ky, kx)]
        crop = f" >> Crop((0, {2 * up[1] - kx}, 0, {2 * up[0] - ky}))"
        left = f"ConvTranspose2d(1, 1, ({ky}, {kx}), stride=2, bias=False)"
        right = f"Conv2d(1, 4, ({up[0]}, {up[1]}), padding=({up[0] - 1}, {up[1] - 1}), bias=False) >> PixelShuffle(2){crop}"
        whole = ky % 2 == 0 and kx % 2 == 0
        yield Case(left, right, "equal" if whole else "left_in_right", left_dimension=ky * kx, right_dimension=4 * up[0] * up[1])


def _zero(values: Values) -> Counterexample | None:
    """L = 0 on one factor: the product is in everything, whatever the other factor does."""
    width = values["width"]
    units: list[Any] = [[int(row == column) for row in range(width)] for column in range(width)]
    a, b = [[0] * width], units
    c = e = units[:1]
    if _inside(_kron(a, b), _kron(c, e)) == (_inside(a, c) and _inside(b, e)):
        return None
    return Counterexample(
        values, f"{text(values)}: the first factor is 0, so the product is inside; the second factor {b} is not inside {e}", None
    )


def _sum(values: Values) -> Counterexample | None:
    """Spans of elementary tensors, against sums of two products."""
    width = values["width"]
    units = [[int(row == column) for row in range(width)] for column in range(width)]
    diagonal = [[sum(tensor) for tensor in zip(*(_kron([u], [u])[0] for u in units), strict=True)]]
    square = [diagonal[0][row * width : (row + 1) * width] for row in range(width)]
    if _rank(square) <= 1:  # as a matrix, a product of two vectors has rank 1
        return None
    return Counterexample(values, f"{text(values)}: {diagonal[0]} is no product of two vectors, so no factor decides it", None)


THEOREM = Theorem(
    name="factorization",
    numbers=(31,),
    group="engine_laws",
    title="Spans of elementary tensors: dimensions and intersections multiply; a nonzero inclusion holds iff it holds factor by factor.",
    statement=(
        "Let L = L1 (x) L2 and R = R1 (x) R2. Then dim L = dim L1 dim L2 and dim (L meet R) = dim (L1 meet R1) dim (L2 meet R2).",
        "If L is not 0, L is inside R iff L1 is inside R1 and L2 is inside R2. The classes of two layers on several axes, and over channel",
        "pairs, are such products.",
    ),
    proof=(
        "If L1 is not inside R1 choose f1 zero on R1 and not on L1, and f2 not zero on L2: f1 (x) f2 is zero on R and not on L.",
        "Conversely tensor products of linear maps L1 to R1 and L2 to R2 are one of L to R.",
        "For intersections extend a basis of the meet to L1 and to R1, likewise on the second factor: basis tensors of L that are in R are",
        "those whose two factors are in the meets.",
    ),
    source="docs/theory/soundness, lemma 3",
    scope="proved on paper for all spaces; exact ranks on 250 random pairs; the engine on two-axis layers with k <= 4, s = 2",
    exact=(Exact("exact ranks", "dimension, intersection and inclusion", "250 random pairs of spans in 3 and 4 dimensions", _law),),
    agreements=(Agreement("engine", "two-axis relations follow from the axes", "ConvTranspose2d, kernels up to 4 x 4, stride 2", _engine),),
    twins=(
        Twin("zero products", "the inclusion holds iff it holds factor by factor, for L = 0 too", by_size("width", {}, 4), _zero),
        Twin(
            "sums of products",
            "every class on two axes is a product of classes on one axis",
            by_size("width", {}, 4),
            _sum,
        ),
    ),
)

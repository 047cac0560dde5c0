"""The relation by brute force: unit parameters through PyTorch, ranks of matrices stacked over extents.

Shares nothing with the engine but the layer descriptions. Slow; small layers only.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from symconv.conformance.torch_oracle import operator_matrix, parameter_families
from symconv.layers import Layer, Sequential
from symconv.operators.denote import output_extents
from symconv.operators.wiring import is_parametric


def _vector(matrix: Any, constant: Any) -> list[Fraction]:
    return [Fraction(x) for x in np.asarray(matrix, dtype=object).ravel().tolist()] + [
        Fraction(x) for x in np.asarray(constant, dtype=object).ravel().tolist()
    ]


def family(chain: tuple[Layer, ...], axes: int, channels: int, grid: list[tuple[int, ...]]) -> tuple[bool, list[list[Fraction]]]:
    """(is one function, one stacked vector a parameter)."""
    fixed = not any(map(is_parametric, chain))
    columns: list[list[Fraction]] = []
    for extents in grid:
        if fixed:
            matrix = operator_matrix(Sequential(chain), axes, channels, extents, None)
            members = [(matrix, np.zeros(np.asarray(matrix).shape[0], dtype=object))]
        else:
            members = parameter_families(Sequential(chain), axes, channels, extents)
        parts = [_vector(matrix, constant) for matrix, constant in members]
        columns = [a + b for a, b in zip(columns, parts, strict=True)] if columns else parts
    return fixed, columns


def rank(columns: list[list[Fraction]]) -> int:
    """Exact rank of the matrix with these columns (equal rows count once)."""
    rows = {row for row in zip(*columns, strict=True) if any(row)}
    if not rows:
        return 0
    return int(flint.fmpq_mat([[flint.fmpq(x.numerator, x.denominator) for x in row] for row in rows]).rank())


def relation(left: tuple[Layer, ...], right: tuple[Layer, ...], axes: int, channels: int, grid: list[tuple[int, ...]]) -> dict[str, Any]:
    """relation and dimensions on the stacked extents of `grid`."""
    (left_fixed, a), (right_fixed, b) = (family(chain, axes, channels, grid) for chain in (left, right))
    rank_a, rank_b, joint = rank(a), rank(b), rank(a + b)
    if left_fixed and right_fixed:
        forth = back = a == b
        inside = forth
    elif left_fixed or right_fixed:
        forth = joint == rank_b if left_fixed else rank_a == 0 and rank_b == 0
        back = joint == rank_a if right_fixed else rank_a == 0 and rank_b == 0
        inside = forth if left_fixed else back
    else:
        forth, back = joint == rank_b, joint == rank_a
        inside = True
    name = {(True, True): "equal", (True, False): "left_in_right", (False, True): "right_in_left", (False, False): "incomparable"}[
        forth, back
    ]
    both: int | None = rank_a + rank_b - joint
    if left_fixed or right_fixed:
        both = 0 if inside else None
    return {"relation": name, "left": 0 if left_fixed else rank_a, "right": 0 if right_fixed else rank_b, "intersection": both}


def valid_extents(chains: tuple[tuple[Layer, ...], ...], axes: int, channels: int, most: int) -> list[list[int]]:
    """Per axis, extents up to `most` that PyTorch accepts for all chains, the other axes kept roomy and divisible."""
    import torch

    from symconv.conformance.torch_oracle import to_module

    modules = [to_module(Sequential(chain), axes) for chain in chains]

    def accepted(extents: tuple[int, ...]) -> bool:
        try:
            for chain in chains:  # PyTorch returns uninitialised memory for some circular pads; the textbook sum refuses them
                output_extents(chain, extents)
            outs = [module(torch.zeros((1, channels, *extents), dtype=torch.float64)) for module in modules]
        except (RuntimeError, ValueError):
            return False
        return all(out.numel() for out in outs)

    return [
        [n for n in range(1, most + 1) if any(accepted(tuple(n if a == axis else roomy for a in range(axes))) for roomy in (12, 16, 18))]
        for axis in range(axes)
    ]


def grid(per_axis: list[list[int]], most: int) -> list[tuple[int, ...]]:
    """Extents to stack: all combinations of the smallest and some larger ones."""
    picks = [axis[:most] for axis in per_axis]
    return list(itertools.product(*picks))

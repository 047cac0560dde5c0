"""Two other ways to compare the same two layers, which answer for the extents tried alone.

Symbolic: generic kernels in SymPy, the reshuffle given by hand, operator matrices compared entry by entry at one extent.
Brute force: every unit kernel through PyTorch, exact ranks of the matrices stacked over extents.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sympy
import torch
from prove import brute_force

from benchmarks.configurations import upsampling
from benchmarks.conftest import Figures
from symconv.api import as_network, check, weightless
from symconv.layers import Layer, flatten
from symconv.operators.denote import denote
from symconv.operators.symbolic import operator_matrix
from symconv.theory.relation import Relation

pytestmark = pytest.mark.benchmark(timer=time.process_time)

GROUP = "the same question, three ways"


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """PyTorch on one core, as the others are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def chains(axes: int, channels: int) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
    left, right = (flatten(weightless(as_network(text)).bind(axes)) for text in upsampling(axes, channels))
    return left, right


def by_hand(axes: int, channels: int) -> dict[sympy.Symbol, sympy.Symbol]:
    """LR tap u of phase phi is tap phi + 2 (1 - u) of the transposed kernel, per axis."""
    moves = {}
    binary = list(itertools.product((0, 1), repeat=axes))
    for c, a in itertools.product(range(channels), repeat=2):
        for number, phi in enumerate(binary):
            for u in binary:
                taps = [p + 2 * (1 - x) for p, x in zip(phi, u, strict=True)]
                moves[_symbol(c * 2**axes + number, a, *u)] = _symbol(a, c, *taps)
    return moves


def _symbol(*index: int) -> sympy.Symbol:
    return sympy.Symbol("_".join(["w", *map(str, index)]))


def _equal_matrices(axes: int, channels: int, extent: int) -> bool:
    left, right = (operator_matrix(denote(chain, channels, (extent,) * axes)) for chain in chains(axes, channels))
    moves = by_hand(axes, channels)
    return left.shape == right.shape and all(a == b.xreplace(moves) for a, b in zip(left, right, strict=True))


def _relation(axes: int, channels: int, most: int) -> str:
    left, right = chains(axes, channels)
    grid = list(itertools.product(range(1, most + 1), repeat=axes))
    return str(brute_force.relation(left, right, axes, channels, grid)["relation"])


def _named(axes: int, channels: int) -> str:
    return f"{axes}-D, {channels} channel{'' if channels == 1 else 's'}"


def _add(benchmark: Any, figures: Figures, way: str, axes: int, channels: int, note: str) -> None:
    figures.add(GROUP, f"{_named(axes, channels)}: {way}", 1000 * benchmark.stats.stats.median, "ms", note=note)


@pytest.mark.parametrize(("axes", "channels"), [(1, 1), (2, 1), (2, 4), (3, 1)])
def test_symconv(benchmark: Any, figures: Figures, axes: int, channels: int) -> None:
    verdict = benchmark.pedantic(check, upsampling(axes, channels), rounds=15, warmup_rounds=1)
    assert verdict.relation is Relation.EQUAL
    _add(benchmark, figures, "symconv", axes, channels, "all extents; finds the reshuffle; certificate")


@pytest.mark.parametrize(("axes", "channels", "extent"), [(1, 1, 8), (2, 1, 4), (2, 1, 8), (2, 4, 4), (3, 1, 4)])
def test_symbolic_matrices(benchmark: Any, figures: Figures, axes: int, channels: int, extent: int) -> None:
    equal = benchmark.pedantic(_equal_matrices, (axes, channels, extent), rounds=3)
    assert equal
    _add(benchmark, figures, "SymPy matrices", axes, channels, f"extent {extent} alone; the reshuffle must be known")


@pytest.mark.parametrize(("axes", "channels", "most"), [(1, 1, 4), (2, 1, 3), (2, 4, 2), (3, 1, 2)])
def test_brute_force_ranks(benchmark: Any, figures: Figures, axes: int, channels: int, most: int) -> None:
    assert _relation(1, 1, 2) == "equal"  # what PyTorch sets up on first use is not counted
    relation = benchmark.pedantic(_relation, (axes, channels, most), rounds=2)
    assert relation == "equal"
    _add(benchmark, figures, "ranks through PyTorch", axes, channels, f"extents 1 to {most} alone")

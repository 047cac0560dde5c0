"""Weights moved along a reshuffle bit for bit, whatever their element type, piece by piece.

Owns: `Transfer`.
Must not know: files, layers' meaning.

A reshuffle is a tensor product of small maps. In the layouts of kernels the place of an entry is a sum with one term a factor, so only the
factors' places are kept, never one number for each entry: the memory is that of a piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.layers import Conv, ConvTranspose
from symconv.prove.reshuffle import Move, Reshuffle, bias_length, kernel_shape, torch_indices

PIECE = 1 << 18
"""Entries that are moved at once, about: few enough to stay in the processor's cache."""
FEWEST = 64
"""Fewer entries than this are not worth a view of their own."""

Blocks = tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...]
Places = tuple[np.ndarray, np.ndarray]
"""Source and target places of one factor; entry k of the one goes to entry k of the other."""


@attrs.frozen(eq=False)
class Transfer:
    """Where each entry of one tensor goes in another.

    Args:
        source, target: shapes.
        factors: the places of each factor; an entry's place is the sum over the factors.
    """

    source: tuple[int, ...]
    target: tuple[int, ...]
    factors: tuple[Places, ...]

    @classmethod
    def of_kernel(cls, moves: Reshuffle) -> Transfer | None:
        """The kernel's moves; None if entries are added up or scaled, which is not moving."""
        if not _only_moves(moves.moves):
            return None
        sides = [[_kernel_places(layer, block, side) for block in moves.moves] for side, layer in enumerate(_sides(moves))]
        if any(places is None for side in sides for places in side):
            sides = [[_all_places(layer, moves.moves, side)] for side, layer in enumerate(_sides(moves))]
        return cls(kernel_shape(moves.source), kernel_shape(moves.target), tuple(zip(*sides, strict=True)))

    @classmethod
    def of_bias(cls, moves: Reshuffle) -> Transfer | None:
        """The bias's moves; None if there is none, or entries are added up or scaled."""
        if moves.bias is None or not _only_moves(moves.bias):
            return None
        factors = tuple((_first([v for v, _, _ in block]), _first([w for _, w, _ in block])) for _, block in moves.bias)
        return cls((bias_length(moves.source),), (bias_length(moves.target),), factors)

    @property
    def is_identity(self) -> bool:
        """Whether the target is the source."""
        return self.source == self.target and all(np.array_equal(one, two) for one, two in self.factors)

    def forth(self, bits: np.ndarray) -> np.ndarray:
        """The target's bits from the source's; zero where nothing goes. Both are flat arrays of unsigned integers."""
        out = np.zeros(math.prod(self.target), dtype=bits.dtype)
        for source, target in self._pieces():
            target.put(out, source.take(bits))
        return out

    def back(self, bits: np.ndarray) -> np.ndarray | None:
        """The source's bits of which `forth` makes these; None if there are none."""
        out = np.zeros(math.prod(self.source), dtype=bits.dtype)
        for source, target in self._pieces():
            source.put(out, target.take(bits))
        moved = 0
        for source, target in self._pieces():
            part = source.take(out)
            if not np.array_equal(part, target.take(bits)):
                return None
            moved += int(np.count_nonzero(part))
        return out if moved == np.count_nonzero(bits) else None

    def _pieces(self) -> Iterator[tuple[_Piece, _Piece]]:
        """The places, some at a time: factors with steady steps as strided views, the others one place after the other."""
        runs = [run for places in self.factors if (run := _run(places)) is not None]
        loose = [places for places in self.factors if _run(places) is None]
        starts = [_outer_sum([places[side] for places in loose]) for side in (0, 1)]
        size = math.prod(run.count for run in runs)
        if size < FEWEST <= starts[0].size or not runs:
            ends = [np.add.outer(starts[side], _outer_sum([run.places(side) for run in runs])).ravel() for side in (0, 1)]
            for first in range(0, ends[0].size, PIECE):
                yield _Listed(ends[0][first : first + PIECE]), _Listed(ends[1][first : first + PIECE])
            return
        runs.sort(key=lambda run: run.count)
        longest = runs[-1]
        step = max(1, PIECE // max(1, size // longest.count * starts[0].size))
        for first in range(0, longest.count, step):
            part = (*runs[:-1], attrs.evolve(longest, count=min(step, longest.count - first)))
            for start in zip(*starts, strict=True):
                one, two = (_Strided(part, side, int(start[side]) + first * longest.steps[side]) for side in (0, 1))
                yield one, two


@attrs.frozen
class _Run:
    """A factor whose places are 0, step, 2 step, ... on both sides."""

    count: int
    steps: tuple[int, int]

    def places(self, side: int) -> np.ndarray:
        return np.arange(self.count, dtype=np.int64) * self.steps[side]


def _run(places: Places) -> _Run | None:
    """The factor as a run, if it is a long one."""
    count = places[0].size
    if count < 2 or any(side[0] != 0 for side in places):
        return None
    steps = (int(places[0][1]), int(places[1][1]))
    run = _Run(count, steps)
    return run if all(np.array_equal(places[side], run.places(side)) for side in (0, 1)) else None


@attrs.frozen(eq=False)
class _Listed:
    """Entries at listed places."""

    places: np.ndarray

    def take(self, array: np.ndarray) -> np.ndarray:
        return array[self.places]

    def put(self, array: np.ndarray, values: np.ndarray) -> None:
        array[self.places] = values


@attrs.frozen(eq=False)
class _Strided:
    """The entries of a product of runs, an axis a run."""

    runs: tuple[_Run, ...]
    side: int
    start: int

    def take(self, array: np.ndarray) -> np.ndarray:
        strides = [run.steps[self.side] * array.itemsize for run in self.runs]
        return np.ndarray([run.count for run in self.runs], array.dtype, array.data, self.start * array.itemsize, strides)

    def put(self, array: np.ndarray, values: np.ndarray) -> None:
        self.take(array)[...] = values


_Piece = _Listed | _Strided


def _sides(moves: Reshuffle) -> tuple[Any, Any]:
    return moves.source, moves.target


def _only_moves(blocks: Blocks) -> bool:
    """Whether every target entry receives one source entry at most, unscaled; factors have digits of their own, so each is asked alone."""
    return all(all(move[2] == 1 for move in block) and len({move[1] for move in block}) == len(block) for _, block in blocks)


def _first(parameters: Sequence[tuple[int, ...]]) -> np.ndarray:
    return np.array([parameter[0] for parameter in parameters], dtype=np.int64)


def _columns(blocks: Sequence[tuple[tuple[int, ...], tuple[Move, ...]]], axes: int, side: int) -> list[np.ndarray]:
    """The parameters (p, q, taps...) of the product of some blocks, an array a column."""
    columns = [np.zeros(1, dtype=np.int64) for _ in range(axes + 2)]
    for block_axes, moves in blocks:
        own = np.zeros((axes + 2, len(moves)), dtype=np.int64)
        for at, position in [(0, 0), (1, 1), *((axis + 2, k + 2) for k, axis in enumerate(block_axes))]:
            own[at] = [(w if side else v)[position] for v, w, _ in moves]
        columns = [np.add.outer(total, column).ravel() for total, column in zip(columns, own, strict=True)]
    return columns


def _flat(layer: Conv | ConvTranspose, columns: list[np.ndarray]) -> np.ndarray:
    places: np.ndarray = np.ravel_multi_index(torch_indices(layer, columns), kernel_shape(layer))
    return places


def _kernel_places(layer: Conv | ConvTranspose, block: tuple[tuple[int, ...], tuple[Move, ...]], side: int) -> np.ndarray | None:
    """The places of one factor, all others at 0; None if places do not add up."""
    columns = _columns([block], layer.axes, side)
    if isinstance(layer, ConvTranspose):  # its p is group and output channel; the two stand on different axes of the kernel
        outward = layer.out_channels // layer.groups
        mixed = (columns[0] % outward != 0) & (columns[0] >= outward)
        if mixed.any():
            return None
    return _flat(layer, columns)


def _all_places(layer: Conv | ConvTranspose, blocks: Blocks, side: int) -> np.ndarray:
    return _flat(layer, _columns(blocks, layer.axes, side))


def _outer_sum(arrays: Sequence[np.ndarray]) -> np.ndarray:
    total = np.zeros(1, dtype=np.int64)
    for array in arrays:
        total = np.add.outer(total, array).ravel()
    return total

"""Reshuffles of whole kernels, from the blocks of a decided stage.

Owns: `Reshuffle`: which left kernel entries go to which right ones, and moving weights along.
Must not know: torch. (numpy is imported when weights are moved.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import attrs

from symconv.layers import BatchNorm, Conv, ConvTranspose
from symconv.operators.rows import Param
from symconv.operators.wiring import is_parametric
from symconv.prove.blocks import BlockResult
from symconv.prove.stage import PartResult, StageResult

Move = tuple[Param, Param, Fraction]
"""(left parameter, right parameter, coefficient) within one block."""


@attrs.frozen
class Reshuffle:
    """The linear map L with A(theta) = B(L theta): a tensor product of one small map a block.

    Args:
        source, target: the two parametric layers.
        moves: per block its axes and moves.
        bias: the same for the biases, or None if the source has none.
    """

    source: Conv | ConvTranspose | BatchNorm
    target: Conv | ConvTranspose | BatchNorm
    moves: tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...]
    bias: tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...] | None

    @property
    def axes(self) -> int:
        """Spatial axes."""
        return self.source.axes

    def entries(self) -> Iterator[tuple[Param, Param, Fraction]]:
        """Every (left parameter, right parameter, coefficient) with whole parameters (p, q, taps...)."""
        yield from _product(self.moves, self.axes)

    def bias_entries(self) -> Iterator[tuple[int, int, Fraction]]:
        """Every (left bias index, right bias index, coefficient)."""
        for v, w, c in _product(self.bias or (), self.axes) if self.bias is not None else ():
            yield v[0], w[0], c

    def apply(self, kernel: Any, bias: Any = None) -> tuple[Any, Any]:
        """(kernel, bias) of the target from those of the source; arrays in PyTorch's layouts, dtype kept.

        Entries that receive one source entry with coefficient 1 are moved bit for bit.
        """
        import numpy as np

        out = np.zeros(kernel_shape(self.target), dtype=kernel.dtype)
        _scatter(out, kernel, self.moves, self.axes, self.source, self.target)
        return out, self.apply_bias(bias, kernel.dtype)

    def apply_bias(self, bias: Any, dtype: Any = float) -> Any:
        """The target's bias from the source's: None if the target has none, zeros of `dtype` if the source has none."""
        import numpy as np

        if not has_bias(self.target):
            return None
        out = np.zeros(bias_length(self.target), dtype=dtype if bias is None else bias.dtype)
        if bias is not None and self.bias is not None:
            for v, w, c in self.bias_entries():
                out[w] = out[w] + bias[v] * _number(c) if c != 1 or out[w] else bias[v]
        return out


def reshuffle(stage: StageResult, *, forth: bool = True) -> Reshuffle | None:
    """The reshuffle of a stage from left to right (or from right to left), None where there is none.

    Both sides must have a parametric layer.
    """
    source = next((layer for layer in (stage.left if forth else stage.right) if is_parametric(layer)), None)
    target = next((layer for layer in (stage.right if forth else stage.left) if is_parametric(layer)), None)
    if source is None or target is None or not stage.inclusions(linear=True)[0 if forth else 1]:
        return None
    assert isinstance(source, (Conv, ConvTranspose, BatchNorm)) and isinstance(target, (Conv, ConvTranspose, BatchNorm))
    bias = None
    if all(stage.biased) and stage.bias is not None and stage.inclusions()[0 if forth else 1]:
        bias = _moves(stage.bias, forth)
    return Reshuffle(source, target, _moves(stage.weights, forth), bias)


def _moves(part: PartResult, forth: bool) -> tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...]:
    return tuple((block.block.axes, tuple(_block_moves(block, part, forth))) for block in part.blocks)


def _block_moves(block: BlockResult, part: PartResult, forth: bool) -> Iterator[Move]:
    if block.block.axes:
        for v, form in ((block.forth if forth else block.back) or {}).items():
            for w, c in form.items():
                yield v, w, Fraction(c)
        return
    yield from _channel_moves(block, part, forth)


def _channel_moves(block: BlockResult, part: PartResult, forth: bool) -> Iterator[Move]:
    """Digits without axes: each parameter goes to the one at the same entry."""
    source, target = block.block.sides if forth else block.block.sides[::-1]
    nodes = [("in", d) for d in block.block.in_digits] + [("out", d) for d in block.block.out_digits]
    follows = {("out", w.out_digit): ("in", w.in_digit) for w in source.pure if w.in_digit is not None and w.out_digit is not None}
    loose = [node for node in nodes if node not in follows]
    radices = [part.in_digits[d] if kind == "in" else part.out_digits[d] for kind, d in loose]
    for values in itertools.product(*(range(r) for r in radices)):
        at = dict(zip(loose, values, strict=True))
        at |= {node: at[leader] for node, leader in follows.items()}  # a digit that passes through is one digit
        params = []
        for side in (source, target):
            p = q = 0
            for wire in side.pure:
                ends = [at[kind, d] for kind, d in (("in", wire.in_digit), ("out", wire.out_digit)) if d is not None]
                if len(set(ends)) > 1:
                    break
                p, q = p + wire.place_p * ends[0], q + wire.place_q * ends[0]
            else:
                params.append((p, q))
        if len(params) == 2:
            yield params[0], params[1], Fraction(1)


def _product(parts: tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...], axes: int) -> Iterator[Move]:
    for combination in itertools.product(*(moves for _, moves in parts)):
        ends = []
        for side in (0, 1):
            index = [0] * (axes + 2)
            for (block_axes, _), move in zip(parts, combination, strict=True):
                param = move[1] if side else move[0]
                index[0] += param[0]
                index[1] += param[1]
                for k, axis in enumerate(block_axes):
                    index[axis + 2] = param[k + 2]
            ends.append(tuple(index))
        yield ends[0], ends[1], math.prod((move[2] for move in combination), start=Fraction(1))


def _scatter(
    out: Any, kernel: Any, parts: tuple[tuple[tuple[int, ...], tuple[Move, ...]], ...], axes: int, source: Any, target: Any
) -> None:
    """out[target index] += c kernel[source index] for every move, vectorised over the product of the blocks."""
    import numpy as np

    sums = [[np.zeros(1, dtype=np.int64) for _ in range(axes + 2)] for _ in range(2)]
    scale = np.ones(1, dtype=object)
    scaled = any(move[2] != 1 for _, moves in parts for move in moves)
    for block_axes, moves in parts:
        for side in (0, 1):
            params = [move[1] if side else move[0] for move in moves]
            columns: dict[int, Any] = {k: np.zeros(len(moves), dtype=np.int64) for k in range(axes + 2)}
            for column, position in [(0, 0), (1, 1), *((axis + 2, k + 2) for k, axis in enumerate(block_axes))]:
                columns[column] = np.array([param[position] for param in params], dtype=np.int64)
            sums[side] = [np.add.outer(total, columns[k]).ravel() for k, total in enumerate(sums[side])]
        if scaled:
            scale = np.multiply.outer(scale, np.array([move[2] for move in moves], dtype=object)).ravel()
    values = kernel[torch_indices(source, sums[0])]
    where = torch_indices(target, sums[1])
    if scaled:
        values = np.array([value * _number(c) for value, c in zip(values.tolist(), scale, strict=True)], dtype=out.dtype)
    flat = np.ravel_multi_index(where, out.shape)
    hit = np.zeros(out.size, dtype=bool)
    hit[flat] = True
    if np.count_nonzero(hit) == flat.size:  # every entry receives one value at most
        out[where] = values
    else:
        np.add.at(out, where, values)


def _number(c: Fraction) -> Any:
    return c.numerator if c.denominator == 1 else float(c)


def torch_indices(layer: Any, columns: list[Any]) -> tuple[Any, ...]:
    """Columns of parameters (p, q, taps...) as index arrays into PyTorch's weight tensor."""
    p, q, *taps = columns
    if isinstance(layer, BatchNorm):
        return (p,)
    if isinstance(layer, ConvTranspose):
        outward, inward = layer.out_channels // layer.groups, layer.in_channels // layer.groups
        return (p // outward * inward + q, p % outward, *taps)
    return (p, q, *taps)


def kernel_shape(layer: Conv | ConvTranspose | BatchNorm) -> tuple[int, ...]:
    """Shape of PyTorch's weight tensor."""
    if isinstance(layer, BatchNorm):
        return (layer.num_features,)
    if isinstance(layer, ConvTranspose):
        return (layer.in_channels, layer.out_channels // layer.groups, *layer.kernel)
    return (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel)


def has_bias(layer: Conv | ConvTranspose | BatchNorm) -> bool:
    """Whether the layer has a bias (BatchNorm always)."""
    return True if isinstance(layer, BatchNorm) else layer.bias


def parameter_count(layer: Conv | ConvTranspose | BatchNorm) -> int:
    """Number of parameters, biases included."""
    return math.prod(kernel_shape(layer)) + (bias_length(layer) if has_bias(layer) else 0)


def bias_length(layer: Conv | ConvTranspose | BatchNorm) -> int:
    """Number of biases."""
    return layer.num_features if isinstance(layer, BatchNorm) else layer.out_channels

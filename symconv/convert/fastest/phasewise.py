"""Phases by themselves: only the taps that a phase reads are multiplied, and no block is computed to be cropped.

Owns: `Phasewise`.
Must not know: proofs, timing, modules.

Where the stride does not divide what is padded, a low-resolution kernel has structural zeros (k = 4, s = 2, p = 1: 20 of 36). On every axis
the phases that read the same taps are one group; a product of groups is one matrix product.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from symconv.convert.fastest.account import Account
from symconv.convert.fastest.arranging import Span, columns, extended, finish, phase_bias, rows
from symconv.convert.fastest.engines import Engine
from symconv.convert.fastest.products import BLAS, Product


@attrs.frozen
class Group:
    """Phases [start, stop) of one axis, which read the taps [low, high)."""

    phases: Span
    taps: Span


def groups_of(reads: Sequence[Span]) -> list[Group]:
    """The groups of one axis; `reads` is the span of each phase."""
    found: list[Group] = []
    for phase, taps in enumerate(reads):
        if found and found[-1].taps == taps:
            found[-1] = Group((found[-1].phases[0], phase + 1), taps)
        else:
            found.append(Group((phase, phase + 1), taps))
    return found


@attrs.frozen
class Phasewise(Engine):
    """One matrix product for each group of phases."""

    product: Product = BLAS
    reads: tuple[tuple[Span, ...], ...] = ()

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.product.name}, phases apart"

    @property
    def why(self) -> str:
        """What may make it fast."""
        return f"no structural zero is multiplied; {self.product.why}"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """For one group of channels."""
        return self.low.groups == 1 and self.product.fits(device, dtype)

    @property
    def _groups(self) -> list[tuple[Group, ...]]:
        return list(itertools.product(*(groups_of(axis) for axis in self.reads)))

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """A matrix for each group."""
        low = self.low
        split = weight.reshape(low.out_channels, *low.factors, low.in_channels, *low.kernel)
        count = shape[0] * math.prod(low.blocks(shape[2:]))
        matrices = []
        for group in self._groups:
            part = split
            for axis, here in enumerate(group):
                part = part.narrow(1 + axis, here.phases[0], _size(here.phases))
                part = part.narrow(2 + low.axes + axis, here.taps[0], _size(here.taps))
            taps = part.movedim(1 + low.axes, -1).flatten(1 + low.axes).flatten(0, low.axes)
            matrices.append(self.product.prepare(taps, count) if taps.numel() else None)
        return matrices, phase_bias(bias, low)

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Arrange what all groups read, multiply each, interleave."""
        low, (matrices, bias) = self.low, state
        x = extended(x, low)
        blocks = tuple(n + a + b - k + 1 for n, (a, b), k in zip(x.shape[2:], low.pads, low.kernel, strict=True))
        extents = [r * m - a - b for r, m, (a, b) in zip(low.factors, blocks, low.crops, strict=True)]
        out = x.new_empty((x.shape[0], low.out_channels, *extents))
        shared = columns(x, low, [(0, k) for k in low.kernel], False) if self._shared else None
        for group, matrix in zip(self._groups, matrices, strict=True):
            phases = [_size(here.phases) for here in group]
            if matrix is None:
                made = x.new_zeros((x.shape[0], low.out_channels, *phases, *blocks))
            elif self.product.by_rows:
                made = self.product.run(matrix, rows(x, low, [here.taps for here in group]))
                made = made.view(x.shape[0], *blocks, low.out_channels, *phases)
                made = made.movedim(tuple(range(1, 1 + low.axes)), tuple(range(-low.axes, 0)))
            else:
                made = self.product.run(matrix, self._samples(x, group, shared)).view(x.shape[0], low.out_channels, *phases, *blocks)
            own = bias
            for axis, here in enumerate(group):
                own = None if own is None else own.narrow(3 + 2 * axis, here.phases[0], phases[axis])
            finish(made, low, own, out, [here.phases[0] for here in group])
        return out

    @property
    def _shared(self) -> bool:
        """Whether the taps of every group lie under one another in the columns of all taps."""
        return self.low.axes == 1 and not self.product.by_rows

    def _samples(self, x: Tensor, group: Sequence[Group], shared: Tensor | None) -> Tensor:
        if shared is None:
            return columns(x, self.low, [here.taps for here in group], False)
        start, stop = group[0].taps
        return shared.narrow(1, start * self.low.in_channels, (stop - start) * self.low.in_channels)

    def account(self, shape: Sequence[int]) -> Account:
        """Only what is read is multiplied, and kept."""
        low = self.low
        blocks = shape[0] * math.prod(low.blocks(shape[2:]))
        taps = [math.prod(_size(here.taps) for here in group) for group in self._groups]
        phases = [math.prod(_size(here.phases) for here in group) for group in self._groups]
        read = sum(t * p for t, p in zip(taps, phases, strict=True))
        weights = low.in_channels * low.out_channels * read
        copied = blocks * low.in_channels * (low.taps if self._shared else sum(taps))
        made = blocks * low.out_channels * low.phases
        output = shape[0] * low.out_channels * math.prod(low.output(shape[2:]))
        return Account(blocks * weights, math.prod(shape) + weights + 2 * copied + 2 * made + output, weights)


def _size(span: Span) -> int:
    return span[1] - span[0]

"""Kernels and biases of tensors moved along a reshuffle, and back.

Owns: `Move`: the plan of one reshuffle, its use on tensors of any dtype and device, the way back.
Must not know: modules, names, files.

A reshuffle is a tensor product of a channel part and a tap part. Where the flat positions of both add up (they do in PyTorch's layouts)
only the two parts' positions are kept, so a plan is far smaller than the kernel that it moves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import attrs
import numpy as np
import torch
from torch import Tensor

from symconv.errors import ModelError
from symconv.layers import BatchNorm, Conv, ConvTranspose
from symconv.prove.reshuffle import Move as Step
from symconv.prove.reshuffle import Reshuffle, bias_length, kernel_shape, torch_indices

Parametric = Conv | ConvTranspose | BatchNorm
AT_ONCE = 2**20
"""Entries moved at once, so that positions need little memory."""

Blocks = tuple[tuple[tuple[int, ...], tuple[Step, ...]], ...]


@attrs.frozen(eq=False)
class Positions:
    """Flat positions of the moves on one side: those of the outer part plus those of the inner part."""

    outer: Tensor
    inner: Tensor

    def all(self, device: torch.device) -> Tensor:
        """Every position, the inner part running fastest."""
        return (self.outer.to(device)[:, None] + self.inner.to(device)).flatten()

    def parts(self, device: torch.device, rows: int) -> Iterator[Tensor]:
        """The same, `rows` entries of the outer part at a time."""
        for start in range(0, len(self.outer), rows):
            yield Positions(self.outer[start : start + rows], self.inner).all(device)


@attrs.frozen(eq=False)
class Move:
    """One linear map between two tensors' entries.

    Args:
        source_shape, target_shape: of the tensors.
        source, target: positions; move k adds `scale[k]` times entry source[k] to entry target[k].
        scale: one number a move, or None where all are 1.
        moves_only: every target entry receives one source entry at most, unscaled: bits are kept.
        sees_all: every source entry is moved somewhere, so that bits that are kept can be moved back.
    """

    source_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    source: Positions
    target: Positions
    scale: Tensor | None
    moves_only: bool
    sees_all: bool

    def forth(self, tensor: Tensor) -> Tensor:
        """The target's tensor from the source's; differentiable. Sums are formed in double precision and rounded once."""
        if tensor.is_meta:
            return tensor.new_empty(self.target_shape)
        source, target = self.source.all(tensor.device), self.target.all(tensor.device)
        values = tensor.reshape(-1)[source]
        if self.moves_only:
            return torch.index_copy(values.new_zeros(self.target_size), 0, target, values).reshape(self.target_shape)
        wide = values.to(torch.complex128 if values.is_complex() else torch.float64)
        if self.scale is not None:
            wide = wide * self.scale.to(tensor.device)
        return torch.index_add(wide.new_zeros(self.target_size), 0, target, wide).to(tensor.dtype).reshape(self.target_shape)

    def carry(self, tensor: Tensor) -> Tensor:
        """What `forth` gives, for tensors that need no gradient; little memory beyond the result."""
        if not self.moves_only or tensor.is_meta:
            return self.forth(tensor)
        return self._carried(tensor, self.source, self.target, self.target_shape)

    def _carried(self, tensor: Tensor, start: Positions, end: Positions, shape: tuple[int, ...]) -> Tensor:
        given, made = tensor.detach().reshape(-1), tensor.new_zeros(math.prod(shape))
        rows = max(1, AT_ONCE // len(self.source.inner))
        for here, there in zip(start.parts(tensor.device, rows), end.parts(tensor.device, rows), strict=True):
            made[there] = given[here]
        return made.reshape(shape)

    def on(self, device: torch.device) -> Move:
        """The same plan with its positions on another device."""
        sides = (Positions(part.outer.to(device), part.inner.to(device)) for part in (self.source, self.target))
        source, target = sides
        return attrs.evolve(self, source=source, target=target, scale=None if self.scale is None else self.scale.to(device))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is moved at all."""
        here, there = self.source.all(torch.device("cpu")), self.target.all(torch.device("cpu"))
        same = self.source_shape == self.target_shape and self.moves_only and self.sees_all
        return same and torch.equal(here, there)

    def back(self, tensor: Tensor, label: str) -> Tensor:
        """The source's tensor, bit for bit, from what `forth` made of it.

        Raises:
            ModelError: the way back does not exist, or the tensor is not in the image of `forth`; the first entry that shows it is named.
        """
        if not (self.moves_only and self.sees_all):
            why = "some taps were never read" if self.moves_only else "taps were added up"
            raise ModelError(f"`{label}` cannot be reverted: in the conversion {why}. Keep the original, or convert with tie=True.")
        if tensor.is_meta:
            return tensor.new_empty(self.source_shape)
        made = self._carried(tensor, self.target, self.source, self.source_shape)
        self._require_image(tensor, made, label)
        return made

    def _require_image(self, tensor: Tensor, made: Tensor, label: str) -> None:
        image = self.carry(made)
        again, given = _bits(image), _bits(tensor)
        if torch.equal(again, given):
            return
        place = tuple(int(index) for index in (again != given).nonzero()[0][: tensor.dim()])
        raise ModelError(
            f"`{label}` cannot be reverted: entry {place} is {tensor[place].item()}, where the given layer allows only "
            f"{image[place].item()}. Training left the given layer's class; convert with tie=True to stay in it."
        )

    @property
    def target_size(self) -> int:
        """Entries of the target."""
        return math.prod(self.target_shape)


def _bits(tensor: Tensor) -> Tensor:
    """The tensor as bytes, so that -0.0 and NaN compare by what they are."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).reshape(*tensor.shape, -1)


def kernel_move(reshuffle: Reshuffle) -> Move:
    """The plan of a reshuffle's kernel."""
    layers = (reshuffle.source, reshuffle.target)
    outer = tuple(block for block in reshuffle.moves if not block[0])
    inner = tuple(block for block in reshuffle.moves if block[0])
    if not all(_adds_up(layer, inner, side) for side, layer in enumerate(layers)):
        outer, inner = (*outer, *inner), ()
    sides = [tuple(_flat(part, side, layer) for part in (outer, inner)) for side, layer in enumerate(layers)]
    return _plan((*outer, *inner), [kernel_shape(layer) for layer in layers], sides)


def bias_move(reshuffle: Reshuffle) -> Move | None:
    """The plan of a reshuffle's bias, or None where the source has none."""
    if reshuffle.bias is None:
        return None
    lengths = [(bias_length(layer),) for layer in (reshuffle.source, reshuffle.target)]
    nothing = np.zeros(1, np.int64)
    return _plan(reshuffle.bias, lengths, [(_totals(reshuffle.bias, side, lambda used, param: param[0]), nothing) for side in (0, 1)])


def _plan(blocks: Blocks, shapes: Sequence[tuple[int, ...]], sides: Sequence[tuple[np.ndarray, ...]]) -> Move:
    """The plan for blocks in the order of the positions; a product moves to different entries iff each block does."""
    scales: list[list[Fraction]] = [[move[2] for move in moves] for _, moves in blocks]
    unit = all(c == 1 for scale in scales for c in scale)
    scale = None if unit else torch.tensor([float(math.prod(cs)) for cs in itertools.product(*scales)], dtype=torch.float64)
    distinct = [math.prod(len({move[1] if side else move[0] for move in moves}) for _, moves in blocks) for side in (0, 1)]
    source, target = (Positions(*(torch.from_numpy(part) for part in parts)) for parts in sides)
    moves_only = unit and distinct[1] == math.prod(len(moves) for _, moves in blocks)
    return Move(shapes[0], shapes[1], source, target, scale, moves_only, distinct[0] == math.prod(shapes[0]))


def _flat(blocks: Blocks, side: int, layer: Parametric) -> np.ndarray:
    """Flat positions in PyTorch's weight tensor of the product of some blocks, all other digits and taps being 0."""
    columns = [_totals(blocks, side, lambda _, param, place=place: param[place]) for place in (0, 1)]
    for axis in range(layer.axes):
        columns.append(_totals(blocks, side, lambda used, param, axis=axis: param[2 + used.index(axis)] if axis in used else 0))
    return np.ravel_multi_index(torch_indices(layer, columns), kernel_shape(layer)).astype(np.int64)


def _totals(blocks: Blocks, side: int, part: Callable[..., int]) -> np.ndarray:
    """A part of the whole parameters: its sums over the product of the blocks, the last block running fastest."""
    total = np.zeros(1, np.int64)
    for used, moves in blocks:
        total = np.add.outer(total, np.array([part(used, move[1] if side else move[0]) for move in moves], np.int64)).ravel()
    return total


def _adds_up(layer: Parametric, inner: Blocks, side: int) -> bool:
    """Whether the flat position is the sum of the channels' and the taps' (a transposed layout splits its output channel)."""
    return isinstance(layer, Conv) or not any((move[1] if side else move[0])[0] for _, moves in inner for move in moves)

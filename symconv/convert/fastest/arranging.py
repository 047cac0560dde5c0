"""Tensors arranged for matrix products and back: padding, taps as rows or columns, periodic shuffling with its crop in one copy.

Owns: `extended`, `columns`, `rows`, `finish`.
Must not know: kernels, libraries of matrix products, timing.

A copy costs as much as many multiplications, so every sample is written once: zero padding is written together with the taps, and shuffle,
crop and bias together with the output.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from symconv.convert.fastest.lowered import Lowered
from symconv.layers import Margins

MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}

WIDE = {torch.float32: torch.complex64, torch.float64: torch.complex128}
"""A number format as wide as a pair of another's."""

Span = tuple[int, int]


def extended(x: Tensor, low: Lowered) -> Tensor:
    """The input after the paddings that are executed first."""
    for pad in low.before:
        assert not isinstance(pad.amounts, int), "layer is bound"
        x = functional.pad(x, flat(pad.amounts), MODES[pad.mode])
    return x


def flat(amounts: Margins) -> list[int]:
    """Paddings in the order of torch.nn.functional.pad."""
    return [amount for pair in reversed(amounts) for amount in pair]


def windows(low: Lowered) -> list[tuple[int, ...]]:
    """All taps, in the order of the kernel."""
    return list(itertools.product(*map(range, low.kernel)))


def overlap(tap: int, before: int, extent: int, blocks: int) -> tuple[int, int, int]:
    """(first block, first sample, count): where block t reads sample t + tap - before within the signal."""
    first = max(0, before - tap)
    stop = min(blocks, extent + before - tap)
    return first, first + tap - before, max(0, stop - first)


def _tapped(target: Tensor, source: Tensor, taps: Sequence[int], low: Lowered, first: int) -> None:
    """Writes the samples that one tap reads; spatial axes start at `first` on both sides. What lies outside the signal is zero."""
    for axis, tap in enumerate(taps):
        place = first + axis
        start, sample, count = overlap(tap, low.pads[axis][0], source.shape[place], target.shape[place])
        if start:
            target.narrow(place, 0, min(start, target.shape[place])).zero_()
        if start + count < target.shape[place]:
            target.narrow(place, start + count, target.shape[place] - start - count).zero_()
        if not count:
            return
        target, source = target.narrow(place, start, count), source.narrow(place, sample, count)
    target.copy_(source)


def columns(x: Tensor, low: Lowered, spans: Sequence[Span], ones: bool) -> Tensor:
    """(batch, taps * channels [+ 1], blocks): every tap of the spans under one another; the last row is 1 if `ones`."""
    blocks = _blocks(x, low)
    taps = list(itertools.product(*(range(*span) for span in spans)))
    if _in_place(taps, low) and not ones and tuple(x.shape[2:]) == blocks and x.is_contiguous():
        return x.flatten(2)
    channels, count = low.in_channels, len(taps) * low.in_channels
    made = x.new_empty((x.shape[0], count + ones, *blocks))
    for place, tap in enumerate(taps):
        _tapped(made[:, place * channels : (place + 1) * channels], x, tap, low, 2)
    if ones:
        made[:, count:].fill_(1)
    return made.flatten(2)


def _blocks(x: Tensor, low: Lowered) -> tuple[int, ...]:
    """The blocks of an input that is extended already."""
    return tuple(n + a + b - k + 1 for n, (a, b), k in zip(x.shape[2:], low.pads, low.kernel, strict=True))


def _in_place(taps: Sequence[tuple[int, ...]], low: Lowered) -> bool:
    """Whether block t reads sample t and nothing else."""
    return len(taps) == 1 and all(tap == before for tap, (before, _) in zip(taps[0], low.pads, strict=True))


def channels_behind(x: Tensor) -> Tensor:
    """(batch, *extents, channels), contiguous; one plain transposition a sample, which PyTorch does in blocks."""
    batch, channels, extents = x.shape[0], x.shape[1], x.shape[2:]
    plain = x.contiguous().flatten(2)
    made = plain.new_empty((batch, plain.shape[2], channels))
    for target, source in zip(made, plain, strict=True):
        target.copy_(source.t())
    return made.view(batch, *extents, channels)


def rows(x: Tensor, low: Lowered, spans: Sequence[Span]) -> Tensor:
    """(batch * blocks, taps * channels): every tap of the spans side by side."""
    blocks = _blocks(x, low)
    behind = channels_behind(x)
    taps = list(itertools.product(*(range(*span) for span in spans)))
    if not _in_place(taps, low) or tuple(x.shape[2:]) != blocks:
        made = behind.new_empty((x.shape[0], *blocks, len(taps), low.in_channels))
        for place, tap in enumerate(taps):
            _tapped(made.select(-2, place), behind, tap, low, 1)
        behind = made
    return behind.reshape(x.shape[0] * math.prod(blocks), -1)


def finish(blocks: Tensor, low: Lowered, bias: Tensor | None, out: Tensor | None = None, first: Sequence[int] | None = None) -> Tensor:
    """The output from (batch, channels, *phases, *blocks), any strides: phases interleaved, borders cropped, bias added, in one copy.

    `bias` comes as `phase_bias` makes it. With `out`, only the phases that `blocks` has are written, which start at `first`.
    """
    axes = low.axes
    order = [0, 1]
    for axis in range(axes):
        order += [2 + axes + axis, 2 + axis]
    source = blocks.permute(order)
    counts = blocks.shape[2 + axes :]
    plain = out is None and not low.cropped
    if plain and low.phases == 1 and bias is None:
        return source.reshape(*blocks.shape[:2], *counts)
    extents = [r * m - a - b for r, m, (a, b) in zip(low.factors, counts, low.crops, strict=True)]
    made = blocks.new_empty((*blocks.shape[:2], *extents)) if out is None else out
    starts = [0] * axes if first is None else list(first)
    shapes = zip(low.factors, counts, low.crops, starts, blocks.shape[2:], strict=False)
    pieces = [list(_pieces(factor, count, crop, start, phases)) for factor, count, crop, start, phases in shapes]
    for combination in itertools.product(*pieces):
        here, there, shift = source, made, bias
        for axis, (block, many, phase, some, factor, place) in enumerate(combination):
            at = 2 + 2 * axis
            here = here.narrow(at, block, many).narrow(at + 1, phase, some)
            there = _split(there, at, place, many, some, factor)
            shift = None if shift is None else shift.narrow(at + 1, phase, some)
        if shift is None:
            _copy(there, here)
        else:
            torch.add(here, shift, out=there)
    return made


def phase_bias(bias: Tensor | None, low: Lowered) -> Tensor | None:
    """The bias of all phases in the shape that `finish` adds: (1, channels, 1, phases, ...)."""
    if bias is None:
        return None
    shape = (1, low.out_channels, *(size for r in low.factors for size in (1, r)))
    return bias.reshape(shape)


def _pieces(factor: int, blocks: int, crop: Span, start: int, phases: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(block, blocks, phase, phases, factor, output sample) of the rectangles of one axis that are not cropped.

    `start` is the first phase there is; a phase p of block t is output sample factor * t + start + p - crop[0].
    """
    lead, tail = crop
    low, high = max(0, lead - start), min(phases, factor - tail - start)
    head = 1 if low > 0 else 0
    end = 1 if high < phases else 0
    if blocks == 1 and (head or end):
        if high > low:
            yield 0, 1, low, high - low, factor, start + low - lead
        return
    if head and phases > low:
        yield 0, 1, low, phases - low, factor, start + low - lead
    if blocks - head - end > 0:
        yield head, blocks - head - end, 0, phases, factor, factor * head + start - lead
    if end and high > 0:
        yield blocks - 1, 1, 0, high, factor, factor * (blocks - 1) + start - lead


def _split(target: Tensor, at: int, place: int, blocks: int, phases: int, factor: int) -> Tensor:
    """The view (..., blocks, phases, ...) of samples place + factor t + p of axis `at`."""
    step = target.stride(at)
    shape = (*target.shape[:at], blocks, phases, *target.shape[at + 1 :])
    strides = (*target.stride()[:at], factor * step, step, *target.stride()[at + 1 :])
    return target.as_strided(shape, strides, target.storage_offset() + place * step)


def _copy(target: Tensor, source: Tensor) -> None:
    """A copy; pairs of samples that end up beside each other are written as one complex number, which is faster."""
    wide = WIDE.get(target.dtype)
    if wide is not None and target.shape[-1] == 2 and target.stride(-1) == 1 and _even(target):
        pairs = torch.view_as_complex(target)
        if source.stride(-1) == 1 and _even(source):
            pairs.copy_(torch.view_as_complex(source))
        else:
            torch.complex(source[..., 0], source[..., 1], out=pairs)
        return
    target.copy_(source)


def _even(tensor: Tensor) -> bool:
    """Whether all strides but the last, and the offset, are even, so that pairs are complex numbers."""
    return tensor.storage_offset() % 2 == 0 and not any(stride % 2 for stride in tensor.stride()[:-1])

"""Target forms: from the windows of a source to candidate chains.

Owns: `proposals`, one function a form.
Must not know: the formulas on one axis (alignment has them), verdicts. Nothing here is trusted.

    lr-shuffle      [Pad >>] Conv [>> PixelShuffle(Q)] [>> Crop]; alignments "end" (c = 0) and "both" (fewest taps)
    transposed      ConvTranspose [>> Pad or Crop]
    zero-insertion  ZeroInsert(Q) >> [Pad >>] Conv [>> Crop]
    unshuffle       [Pad >>] PixelUnshuffle(P) >> Conv [>> PixelShuffle(Q)] [>> Crop]

A border mode other than zeros is realised once, by extending the input as far as the source reads beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import attrs

from symconv.convert.alignment import Reads, Sides, expanded, least_lead, low_resolution, transposed, unshuffled
from symconv.convert.window import Window
from symconv.layers import ChannelShuffle, Conv, ConvTranspose, Layer, Margins, Pad, Shuffle, Unshuffle, ZeroInsert


@attrs.frozen
class Frame:
    """What is the same on all axes of the target.

    Args:
        in_channels, out_channels: of the whole chain.
        groups: of the target's convolution.
        bias: whether it has one.
        mode: how the input is extended at the borders.
        transpose_channels: whether channels change from phase-major (DCR) to channel-major before the shuffle.
    """

    in_channels: int
    out_channels: int
    groups: int
    bias: bool
    mode: str = "zeros"
    transpose_channels: bool = False


@attrs.frozen
class Proposal:
    """A candidate chain, its alignment's name, and the taps of its convolution per axis."""

    layers: tuple[Layer, ...]
    alignment: str
    kernel: tuple[int, ...]


def proposals(to: str, windows: Sequence[Window], frame: Frame) -> list[Proposal]:
    """The candidates for one form, without repetitions."""
    unique: dict[tuple[Layer, ...], Proposal] = {}
    for proposal in _SYNTHESES[to](windows, frame):
        unique.setdefault(proposal.layers, proposal)
    return list(unique.values())


def _lr_shuffle(windows: Sequence[Window], frame: Frame) -> Iterator[Proposal]:
    prefix, behind = _prefixed(windows, frame.mode)
    for name, leads in (("end", [0] * len(behind)), ("both", [least_lead(window) for window in behind])):
        axes = [low_resolution(window, lead) for window, lead in zip(behind, leads, strict=True)]
        yield _shuffled(name, axes, [window.outward for window in behind], prefix, frame)


def _transposed(windows: Sequence[Window], frame: Frame) -> Iterator[Proposal]:
    prefix, behind = _prefixed(windows, frame.mode)
    for name, widen in (("padded output", False), ("wider kernel", True)):
        axes = [transposed(window, widen) for window in behind]
        after = [axis.after for axis in axes]
        layer = ConvTranspose.make(
            len(axes),
            frame.in_channels,
            frame.out_channels,
            tuple(axis.kernel for axis in axes),
            tuple(axis.stride for axis in axes),
            tuple(axis.padding for axis in axes),
            tuple(axis.output_padding for axis in axes),
            frame.groups,
            frame.bias,
            tuple(axis.dilation for axis in axes),
        )
        yield Proposal((*_pad(prefix, frame.mode), layer, *_pad(after)), name if _some(after) else "exact", layer.kernel)


def _zero_insertion(windows: Sequence[Window], frame: Frame) -> Iterator[Proposal]:
    prefix, behind = _prefixed(windows, frame.mode)
    axes = [expanded(window) for window in behind]
    factors = tuple(window.outward for window in behind)
    insert = (ZeroInsert(factors),) if max(factors) > 1 else ()
    core = _convolution(axes, [(0, 0)] * len(axes), attrs.evolve(frame, mode="zeros"), 1)
    yield Proposal((*_pad(prefix, frame.mode), *insert, *core, *_crop(axes)), "exact", tuple(axis.kernel for axis in axes))


def _unshuffle(windows: Sequence[Window], frame: Frame) -> Iterator[Proposal]:
    prefix, behind = _prefixed(windows, frame.mode)
    factors = tuple(window.inward for window in behind)
    if max(factors) == 1:
        yield from _lr_shuffle(windows, frame)
        return
    inner = attrs.evolve(frame, in_channels=frame.in_channels * math.prod(factors), mode="zeros")
    for name, align in (("low-resolution pads", False), ("input pads", True)):
        axes = [unshuffled(window, least_lead(window), align) for window in behind]
        first = _pads([prefix, [axis.lead for axis in axes]], frame.mode)
        rest = _shuffled(name, axes, [window.outward for window in behind], [(0, 0)] * len(axes), inner)
        yield attrs.evolve(rest, layers=(*first, Unshuffle(factors), *rest.layers))


_SYNTHESES: dict[str, Callable[[Sequence[Window], Frame], Iterator[Proposal]]] = {
    "lr-shuffle": _lr_shuffle,
    "transposed": _transposed,
    "zero-insertion": _zero_insertion,
    "unshuffle": _unshuffle,
}
FORMS = tuple(_SYNTHESES)


def _prefixed(windows: Sequence[Window], mode: str) -> tuple[list[Sides], list[Window]]:
    """The padding that realises a border mode, and the windows behind it."""
    if mode == "zeros":
        return [(0, 0)] * len(windows), list(windows)
    pads = [window.overreach() for window in windows]
    return pads, [window.behind(*pad) for window, pad in zip(windows, pads, strict=True)]


def _shuffled(name: str, axes: list[Reads], factors: list[int], prefix: list[Sides], frame: Frame) -> Proposal:
    layers = (*_convolution(axes, prefix, frame, math.prod(factors)), *_shuffle(factors, frame), *_crop(axes))
    return Proposal(layers, name, tuple(axis.kernel for axis in axes))


def _convolution(axes: Sequence[Reads], prefix: Sequence[Sides], frame: Frame, phases: int) -> tuple[Layer, ...]:
    """[Pad >>] Conv; the padding stands in the convolution where PyTorch can say it."""
    first = _pads([prefix, [axis.pads for axis in axes]], frame.mode)
    padding: Margins = ((0, 0),) * len(axes)
    mode = "zeros"
    if len(first) == 1:
        amounts = first[0].amounts
        assert isinstance(amounts, tuple), "made here, an axis each"
        if all(before == after >= 0 for before, after in amounts):
            padding, mode, first = amounts, first[0].mode, ()
    conv = Conv.make(
        len(axes),
        frame.in_channels,
        frame.out_channels * phases,
        tuple(axis.kernel for axis in axes),
        tuple(axis.stride for axis in axes),
        padding,
        tuple(axis.dilation for axis in axes),
        frame.groups,
        frame.bias,
        mode,
    )
    return (*first, conv)


def _pads(parts: Sequence[Sequence[Sides]], mode: str) -> tuple[Pad, ...]:
    """An extension by `mode`, then one by zeros that only outputs cropped later or taps of zero can see.

    What the second one adds does not matter, so replication, which no extent refuses, takes it over.
    """
    first, second = parts
    if not _some(first):
        return _pad(second)
    if not _some(second) or (mode == "replicate" and min(map(min, second)) >= 0):
        return _pad([(a + x, b + y) for (a, b), (x, y) in zip(first, second, strict=True)], mode)
    return (*_pad(first, mode), *_pad(second))


def _pad(pads: Sequence[Sides], mode: str = "zeros") -> tuple[Pad, ...]:
    return (Pad(tuple(pads), mode),) if _some(pads) else ()


def _some(pads: Sequence[Sides]) -> bool:
    return any(any(pair) for pair in pads)


def _shuffle(factors: Sequence[int], frame: Frame) -> tuple[Layer, ...]:
    if max(factors) == 1:
        return ()
    order = (ChannelShuffle(math.prod(factors)),) if frame.transpose_channels else ()
    return (*order, Shuffle(tuple(factors)))


def _crop(axes: Sequence[Reads]) -> tuple[Pad, ...]:
    return _pad([(-before, -after) for before, after in (axis.crops for axis in axes)])

"""Each layer as a word over the one-axis primitives: the normal form that the deciders work on.

Owns: `axis_word`, the word of one layer on one axis.
Must not know: channels and groups (wiring does), decisions.

Adding a layer means adding one function here; `denote` holds the same layer's textbook sum, and a test compares them.
"""

from __future__ import annotations

from fractions import Fraction
from functools import singledispatch

from symconv.errors import OutsideFragment
from symconv.layers import (
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Upsample,
    ZeroInsert,
)
from symconv.operators.budget import Budget
from symconv.operators.steps import Average, Correlate, Decimate, Expand, Extend, Interpolate, Step

Word = tuple[Step, ...]

CUBIC = Fraction(-3, 4)
"""PyTorch's cubic coefficient a."""

MOST_TAPS = 100_000
"""Taps on one axis beyond which a word is refused as a budget matter, before any memory is used."""


@singledispatch
def axis_word(layer: Layer, axis: int) -> Word:
    """The word of a bound layer on `axis`. Shuffle and Unshuffle carry digits, so wiring makes their steps.

    Raises:
        OutsideFragment: the layer is not a shift-invariant linear operator away from the borders.
    """
    raise OutsideFragment(f"`{type(layer).__name__}` is not a linear layer that symconv can lower")


@axis_word.register(Identity)
@axis_word.register(ChannelShuffle)
def _nothing(layer: Layer, axis: int) -> Word:
    return ()


@axis_word.register
def _batch_norm(layer: BatchNorm, axis: int) -> Word:
    """One tap per axis: a depthwise 1x1 convolution with a bias."""
    if not layer.track_running_stats:
        raise OutsideFragment("`BatchNorm` without running statistics normalises by its own input and is not linear")
    if not layer.affine:
        raise OutsideFragment("`BatchNorm` with affine=False can only scale by positive numbers; its class is not a linear space")
    return (_free(1, 1),)


@axis_word.register
def _conv(layer: Conv, axis: int) -> Word:
    """y[o] = sum_j w[j] x~[s o + d j - pb]: extend, correlate, decimate."""
    return (
        *_extend(layer.padding_mode, *layer.padding[axis]),
        _free(layer.kernel[axis], layer.dilation[axis]),
        *_decimate(layer.stride[axis]),
    )


@axis_word.register
def _conv_transpose(layer: ConvTranspose, axis: int) -> Word:
    """Zero insertion, extension by ke - 1 - pb and ke - 1 - pe + op, correlation with the reversed kernel."""
    reach = layer.dilation[axis] * (layer.kernel[axis] - 1)
    before, after = layer.padding[axis]
    return (
        *_expand(layer.stride[axis]),
        *_extend("zeros", reach - before, reach - after + layer.output_padding[axis]),
        _free(layer.kernel[axis], layer.dilation[axis], reverse=True),
    )


@axis_word.register
def _pad(layer: Pad, axis: int) -> Word:
    """Extension by the positive amounts and a crop by the negative ones, in PyTorch's order."""
    assert not isinstance(layer.amounts, int), "layer is bound"
    before, after = layer.amounts[axis]
    if layer.mode == "zeros":
        room = -min(before, 0) - min(after, 0)  # PyTorch crops first, and no more than there is
        return (Extend("zeros", before, after, room),) if before or after else ()
    grow = _extend(layer.mode, max(before, 0), max(after, 0))
    crop = _extend("zeros", min(before, 0), min(after, 0))
    return (*crop, *grow) if layer.mode == "circular" else (*grow, *crop)


@axis_word.register
def _zero_insert(layer: ZeroInsert, axis: int) -> Word:
    assert isinstance(layer.factor, tuple), "layer is bound"
    return _expand(layer.factor[axis])


@axis_word.register
def _upsample(layer: Upsample, axis: int) -> Word:
    """Replicate padding, zero insertion, correlation with the interpolation kernel, crop to r n samples.

    y[o] = sum_i h(o - r i - (r - 1)/2) x~[i], h the box, hat or cubic kernel of width r.
    """
    assert isinstance(layer.factor, tuple), "layer is bound"
    r = layer.factor[axis]
    if r == 1:
        return ()
    if layer.align_corners:
        return (Interpolate(r, layer.mode),)
    if layer.mode in ("nearest", "nearest-exact"):
        return Expand(r), Extend("zeros", r - 1, r - 1), _fixed((1,) * r)
    lobes, weigh = (1, _hat) if layer.mode == "linear" else (2, _cubic)
    _refuse_if_huge(2 * lobes * r)
    low = (r - 1) // 2 - lobes * r + 1  # h(t) != 0 only for low <= t <= high
    high = r - 1 - low
    taps = tuple(weigh(Fraction(2 * t - (r - 1), 2 * r)) for t in range(high, low - 1, -1))
    window = _extend("zeros", high - r * lobes, r * (1 - lobes) - 1 - low)
    return Extend("replicate", lobes, lobes), Expand(r), *window, _fixed(taps)


def _hat(t: Fraction) -> Fraction:
    return max(Fraction(0), 1 - abs(t))


def _cubic(t: Fraction) -> Fraction:
    t, a = abs(t), CUBIC
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return a * (((t - 5) * t + 8) * t - 4) if t < 2 else Fraction(0)


@axis_word.register
def _avg_pool(layer: AvgPool, axis: int) -> Word:
    """A correlation with 1/k and a decimation where the divisor is constant, else the `Average` step.

    `divisor_override` divides once, on the first axis.
    """
    k, s, pad = layer.kernel[axis], layer.stride[axis], layer.padding[axis]
    divisor = None
    if layer.divisor_override is not None:
        divisor = layer.divisor_override if axis == 0 else 1
    constant = divisor is not None or pad == 0 or layer.count_include_pad
    room = k if layer.axes == 3 else 0  # AvgPool3d refuses extents below its kernel, whatever the padding
    if layer.ceil_mode or not constant:
        return (Average(k, s, pad, layer.ceil_mode, layer.count_include_pad, divisor, room),)
    _refuse_if_huge(k)
    return *((Extend("zeros", pad, pad, room),) if pad else ()), _fixed((Fraction(1, divisor or k),) * k), *_decimate(s)


def _extend(mode: str, before: int, after: int) -> Word:
    return (Extend(mode, before, after),) if before or after else ()


def _expand(factor: int) -> Word:
    return (Expand(factor),) if factor > 1 else ()


def _decimate(factor: int) -> Word:
    return (Decimate(factor),) if factor > 1 else ()


def _refuse_if_huge(taps: int) -> None:
    Budget(work=MOST_TAPS).afford(taps)


def _fixed(coefficients: tuple[int | Fraction, ...]) -> Correlate:
    kept = tuple((offset, c) for offset, c in enumerate(coefficients) if c)
    return Correlate(tuple(offset for offset, _ in kept), len(coefficients) - 1, tuple(c for _, c in kept))


def _free(kernel: int, dilation: int, reverse: bool = False) -> Correlate:
    """Free taps: w[j] at offset d j, or at d (k - 1 - j) for the reversed kernel."""
    _refuse_if_huge(kernel)
    taps = tuple(range(kernel))
    offsets = tuple(dilation * (kernel - 1 - j if reverse else j) for j in taps)
    return Correlate(offsets, dilation * (kernel - 1), None, taps)

"""Layers applied to traced values: convolutions, normalisation, interpolation, nonlinearities.

Owns: `apply_layer`, `layer_obstacle`.
Must not know: graphs, operators that are no layers.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from symconv.conformance.graphs.functions import ELEMENTARY, FUNCTIONS, kinked
from symconv.conformance.graphs.operators import Window, average_pool
from symconv.conformance.graphs.traced import Apply, Arithmetic, Kernel, Traced, Track, stored_as
from symconv.conformance.magnitudes import factors, fraction_bits, power_of_two_divisor
from symconv.conformance.precision import Precision
from symconv.conformance.taps import meeting, row_terms
from symconv.conformance.torch_indexing import Extend
from symconv.conformance.torch_oracle import to_module
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
    Pointwise,
    PReLU,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    Weights,
    ZeroInsert,
)
from symconv.layers.pointwise import NONLINEARITIES

CUBIC = 1.375
"""The largest sum of the magnitudes of cubic weights on one axis."""


def apply_layer(arithmetic: Arithmetic, layer: Layer, own: Weights | None, x: Traced) -> Traced:
    """What a layer makes of a value.

    Raises:
        OutsideFragment: it has no theorem (where errors are bounded), or does not keep integers (where these are counted).
    """
    if not x.is_real and not isinstance(layer, (Identity, Shuffle, Unshuffle, ChannelShuffle)):
        raise OutsideFragment(f"{type(layer).__name__} of integers is not evaluated here")
    try:
        return _apply(layer, own, x, arithmetic)
    except RuntimeError as error:
        raise OutsideFragment(f"PyTorch does not take these extents: {str(error).splitlines()[0][:120]}") from None


def layer_obstacle(layer: Layer, own: Weights | None, *, integers: bool = False) -> str | None:
    """Why a layer has no rounding theorem, or does not keep integers, whatever its extents; None if it does."""
    if isinstance(layer, Pointwise):
        return FUNCTIONS[layer.name].obstacle(dict(NONLINEARITIES[layer.name]) | dict(layer.arguments), integers=integers)
    if isinstance(layer, Upsample) and layer.align_corners and integers:
        return "interpolation with align_corners=True has weights that depend on the extent"
    if isinstance(layer, AvgPool) and layer.ceil_mode:
        return "average pooling with ceil_mode has no rounding theorem here"
    return _fractions(layer, own) if integers else None


def _fractions(layer: Layer, own: Weights | None) -> str | None:
    """Why a layer does not keep integers."""
    if isinstance(layer, BatchNorm):
        return None if own is None or _plain(layer, own) is not None else "BatchNorm divides by a square root"
    if isinstance(layer, AvgPool):
        return None if power_of_two_divisor(layer) is not None else "average pooling divides by a number that is no power of 2"
    if isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
        factor = layer.factor if isinstance(layer.factor, tuple) else (layer.factor,)
        return f"{layer.mode} interpolation has weights that are no binary fractions" if any(r & (r - 1) for r in factor) else None
    parts = () if own is None else (own.kernel, own.bias)
    if any(part is not None and fraction_bits(part) is None for part in parts):
        return "its weights are no integers, and no binary fractions of few bits"
    return None


@singledispatch
def _apply(layer: Layer, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    raise OutsideFragment(f"{type(layer).__name__} is not evaluated here")


@_apply.register
def _identity(layer: Identity, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    return x


@_apply.register(Shuffle)
@_apply.register(Unshuffle)
@_apply.register(ChannelShuffle)
@_apply.register(Pad)
@_apply.register(ZeroInsert)
def _moves(layer: Layer, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    return arithmetic.moved(x, _module(layer, None, x, arithmetic))


@_apply.register(Conv)
@_apply.register(ConvTranspose)
def _convolution(layer: Conv | ConvTranspose, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    if own is None:
        raise OutsideFragment("a convolution without weights is not evaluated here")
    kernel = np.asarray(own.kernel, dtype=np.float64)
    bias = None if own.bias is None else np.asarray(own.bias, dtype=np.float64)
    _check_rank(layer, x, layer.axes)
    weights, shift = arithmetic.tensor(kernel), None if bias is None else arithmetic.tensor(bias)
    column = (-1, *(1,) * layer.axes)
    bits = 0
    if arithmetic.integers:
        found, held = fraction_bits(kernel), 0 if bias is None else fraction_bits(bias)
        if found is None or held is None:
            raise OutsideFragment("a convolution's weights are no integers, and no binary fractions of few bits")
        bits = max(found, held - x.bits)
    return arithmetic.linear(
        x,
        _operator(layer, weights, shift),
        _operator(layer, weights.abs()),
        terms=row_terms(layer) + 1,
        stores=meeting(layer, scattered=isinstance(layer, ConvTranspose)) + 2,
        bias=None if shift is None else shift.abs().reshape(column),
        bits=bits,
        extra=lambda track: _stored(track, kernel, bias),
        kernel=Kernel(
            lambda part: _operator(layer, arithmetic.tensor(part)),
            kernel,
            None if bias is None else arithmetic.constant(bias.reshape(column)),
        ),
    )


def _operator(layer: Conv | ConvTranspose, weights: Tensor, bias: Tensor | None = None) -> Apply:
    """A convolution as a function of its input (a module takes longer to make than to run)."""
    alike = all(before == after for before, after in layer.padding)
    pads = tuple(before for before, _ in layer.padding)
    if isinstance(layer, ConvTranspose):
        transposed = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[layer.axes - 1]
        crop = Extend(tuple((-before, -after) for before, after in layer.padding), "zeros")

        def spread(x: Tensor) -> Tensor:
            own = pads if alike else 0
            found: Tensor = transposed(x, weights, bias, layer.stride, own, layer.output_padding, layer.groups, layer.dilation)
            return found if alike else crop(found)

        return spread
    conv = (functional.conv1d, functional.conv2d, functional.conv3d)[layer.axes - 1]
    is_plain = alike and layer.padding_mode == "zeros"
    extend = Extend(layer.padding, layer.padding_mode)

    def gather(x: Tensor) -> Tensor:
        found: Tensor = conv(
            x if is_plain else extend(x), weights, bias, layer.stride, pads if is_plain else 0, layer.dilation, layer.groups
        )
        return found

    return gather


def _stored(track: Track, *parts: Any) -> float:
    """Weights that the storage format does not hold are rounded to it first."""
    arrays = [np.asarray(part, dtype=np.float64) for part in parts if part is not None and not track.ours]
    held = all(np.array_equal(stored_as(array, track.precision.storage), array) for array in arrays)
    return 0.0 if held else track.precision.unit * (1 + track.precision.unit)


@_apply.register
def _batch_norm(layer: BatchNorm, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    if own is None or own.mean is None or own.variance is None:
        raise OutsideFragment("BatchNorm without running statistics is not evaluated here")
    gamma, beta, mean, variance = (_column(part, x, arithmetic) for part in _filled(layer, own))
    if arithmetic.is_wide:
        return _normalised(arithmetic, x, gamma, beta, mean, variance, layer.eps)
    scale = gamma / torch.sqrt(variance + layer.eps)
    plain = _plain(layer, own)
    if arithmetic.integers and plain is None:
        raise OutsideFragment("BatchNorm divides by a square root")
    factor, centre = scale.abs(), (scale * mean).abs()
    counted = arithmetic.linear(
        x,
        lambda value: (value - mean) * scale + beta,
        lambda value: value * factor,
        terms=x.terms + (3 if plain is not None else 12),
        stores=6,
        bias=centre + beta.abs(),
        bits=plain or 0,
        extra=lambda track: _stored(track, own.kernel, own.bias, own.mean, own.variance) * 4,
    )
    return counted


def _normalised(arithmetic: Arithmetic, x: Traced, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Traced:
    """gamma (x - mean) / sqrt(variance + eps) + beta, a step at a time."""
    gammas, betas, means, variances = (arithmetic.given(part.cpu().numpy()) for part in (gamma, beta, mean, variance))
    root = ELEMENTARY["Sqrt"].apply(arithmetic, arithmetic.sum(variances, arithmetic.given(np.array(float(eps)))), {})
    scaled = arithmetic.product(arithmetic.sum(x, means, -1), arithmetic.quotient(gammas, root), torch.mul)
    return arithmetic.sum(scaled, betas)


def _filled(layer: BatchNorm, own: Weights) -> tuple[Any, Any, Any, Any]:
    ones, zeros = np.ones(layer.num_features), np.zeros(layer.num_features)
    return ones if own.kernel is None else own.kernel, zeros if own.bias is None else own.bias, own.mean, own.variance


def _column(part: Any, x: Traced, arithmetic: Arithmetic) -> Tensor:
    """One number a channel, as it broadcasts against a value."""
    array = np.asarray(part, dtype=np.float64)
    return arithmetic.tensor(array).reshape(-1, *(1,) * max(x.value.ndim - 2, 0))


def _plain(layer: BatchNorm, own: Weights) -> int | None:
    """The fraction bits of scales and shifts that need no root; None if they need one or have too many bits."""
    _, _, _, variance = _filled(layer, own)
    if layer.eps or not bool((np.asarray(variance) == 1).all()):
        return None
    found = [fraction_bits(part) for part in _filled(layer, own)[:3]]
    scale, shift, mean = found
    if scale is None or shift is None or mean is None:
        return None
    return max(scale + mean, shift)


@_apply.register
def _prelu(layer: PReLU, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    if own is None:
        raise OutsideFragment("PReLU without slopes is not evaluated here")
    return kinked(arithmetic, x, _column(own.kernel, x, arithmetic), stored=lambda track: _stored(track, own.kernel))


@_apply.register
def _pointwise(layer: Pointwise, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    return FUNCTIONS[layer.name].apply(arithmetic, x, dict(NONLINEARITIES[layer.name]) | dict(layer.arguments))


@_apply.register
def _avg_pool(layer: AvgPool, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    if arithmetic.integers and power_of_two_divisor(layer) is None:
        raise OutsideFragment("average pooling divides by a number that is no power of 2")
    if layer.ceil_mode:
        if arithmetic.tracks or arithmetic.integers:
            raise OutsideFragment("average pooling with ceil_mode has no rounding theorem here")
        return arithmetic.moved(x, _module(layer, None, x, arithmetic))
    pads = tuple((amount, amount) for amount in layer.padding)
    window = Window(layer.kernel, layer.stride, pads, (1,) * len(layer.kernel))
    return average_pool(arithmetic, x, window, counts_padding=layer.count_include_pad, divisor=layer.divisor_override)


@_apply.register
def _upsample(layer: Upsample, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Traced:
    apply = _module(layer, None, x, arithmetic)
    if layer.mode.startswith("nearest"):
        return arithmetic.moved(x, apply)
    if layer.align_corners and arithmetic.integers:
        raise OutsideFragment("interpolation with align_corners=True has weights that depend on the extent")
    axes = x.value.ndim - 2
    bound = layer.bind(axes)
    if arithmetic.is_wide and layer.mode == "linear":
        return _interpolated(arithmetic, x, bound)
    bits = sum(int(math.log2(2 * r)) if r > 1 else 0 for r in factors(bound))
    if arithmetic.integers and any(r & (r - 1) for r in factors(bound)):
        raise OutsideFragment(f"{layer.mode} interpolation has weights that are no binary fractions")
    if layer.mode == "cubic":
        bits = 3 * bits + 2 * axes
    absolute = _cubic_reach(bound, axes) if layer.mode == "cubic" else apply
    steps = {"linear": 2.0, "cubic": 16.0}[layer.mode]
    reach = max(x.value.shape[2:]) + 2
    most = float(x.value.abs().max()) if x.value.numel() else 0.0

    def spread(track: Track) -> float:
        """Interpolation weights are functions of a position that is itself rounded (in float32 for narrow formats)."""
        return axes * steps * 6 * reach * _positions(track.precision) * most * 2

    return arithmetic.linear(x, apply, absolute, terms=24 * axes, stores=4, bits=bits, spread=spread)


def _interpolated(arithmetic: Arithmetic, x: Traced, layer: Upsample) -> Traced:
    """Linear interpolation, an axis at a time, by weights that are whole numbers over a common divisor."""
    for place, factor in enumerate(factors(layer)):
        n = x.value.shape[2 + place]
        m, divisor = n * factor, (n * factor - 1 if layer.align_corners else 2 * factor) or 1
        weights = np.zeros((m, n))
        for o in range(m):
            at = o * (n - 1) if layer.align_corners else max(2 * o + 1 - factor, 0)
            first, rest = divmod(at, divisor)
            last = min(first + 1, n - 1)
            weights[o, first] += divisor - rest
            weights[o, last] += rest
        matrix = arithmetic.tensor(weights)

        def apply(value: Tensor, matrix: Tensor = matrix, axis: int = 2 + place) -> Tensor:
            return torch.tensordot(value, matrix, dims=([axis], [1])).movedim(-1, axis)

        whole = arithmetic.linear(x, apply, apply, terms=2 * divisor, kernel=Kernel(lambda _, apply=apply: apply))  # type: ignore[misc]
        x = arithmetic.averaged(whole, float(divisor))
    return x


def _positions(precision: Precision) -> float:
    return precision.accumulate


def _cubic_reach(layer: Upsample, axes: int) -> Any:
    """At least |A| for a cubic interpolation: the row sum of the magnitudes times the largest sample."""
    nearest = to_module(Upsample(layer.factor, "nearest"), axes)

    def absolute(value: Tensor) -> Tensor:
        spread: Tensor = nearest(value)
        return CUBIC**axes * spread.amax(dim=tuple(range(2, spread.ndim)), keepdim=True).expand_as(spread)

    return absolute


def _module(layer: Layer, own: Weights | None, x: Traced, arithmetic: Arithmetic) -> Any:
    """PyTorch's module in float64, without gradients."""
    axes = layer.axes or x.value.ndim - 2
    _check_rank(layer, x, axes)
    return to_module(Sequential((layer,)), axes, device=arithmetic.device, weights=(own,))


def _check_rank(layer: Layer, x: Traced, axes: int) -> None:
    if x.value.ndim != axes + 2:
        raise OutsideFragment(f"{type(layer).__name__} acts on {axes} axes, and its input has {x.value.ndim - 2}")

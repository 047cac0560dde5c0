"""Chains made ready for exact comparison: normalisation folded into the convolution before it, with a bound on what that changes.

Owns: `Part`, `fold`, `gain_of`.
Must not know: graphs, verdicts.

BatchNorm multiplies by gamma / sqrt(var + eps), which is irrational in general. It is replaced by a layer with float64
weights. Where every number comes out exactly, as it does for a bias that is added or a factor of few bits, the operator is the
same. Otherwise each number is within 2^-48 of the exact one, relative to the sum of the magnitudes that enter it, so the
operators are within 2^-48 of the gain of the magnitudes; that bound is carried along and added to any distance.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

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
    Shuffle,
    Unshuffle,
    Upsample,
    Weights,
    ZeroInsert,
)
from symconv.prove.weighted import exact_weights

RELATIVE = Fraction(1, 2**48)
"""Relative to the magnitudes that enter it, how far a folded weight can be from the exact one (a few roundings of 2^-53)."""
LEAST = Fraction(1, 2**900)
"""What underflow can cost, at most."""
LIPSCHITZ = frozenset({"ReLU", "ReLU6", "Hardtanh", "Sigmoid", "LogSigmoid", "Tanh", "Tanhshrink", "Softsign", "Softshrink", "Hardsigmoid"})
"""Nonlinearities that bring no two numbers further apart."""


@attrs.frozen(eq=False)
class Part:
    """A chain with weights, ready to be compared.

    Args:
        layers, weights: the chain.
        error: how far its operator can be from that of the chain it was made from, for inputs |x| <= 1; 0: it is the same.
    """

    layers: tuple[Layer, ...]
    weights: tuple[Weights | None, ...]
    error: Fraction = Fraction(0)

    @property
    def parametric(self) -> int:
        """How many layers have weights that multiply the input."""
        return sum(isinstance(layer, (Conv, ConvTranspose, BatchNorm)) for layer in self.layers)


def fold(layers: tuple[Layer, ...], weights: tuple[Weights | None, ...]) -> Part:
    """The chain without identities, and with BatchNorm folded into the convolution right before it."""
    kept: list[tuple[Layer, Weights | None]] = []
    bounds: list[Fraction] = []
    for layer, own in zip(layers, weights, strict=True):
        if isinstance(layer, Identity):
            continue
        if not isinstance(layer, BatchNorm) or own is None:
            kept.append((layer, own))
            bounds.append(Fraction(0))
            continue
        scale, shift, size, is_exact = _affine(layer, own)
        before, held = kept[-1] if kept else (None, None)
        if isinstance(before, (Conv, ConvTranspose)) and held is not None:
            kept[-1], bound = _into(before, held, scale, shift, size, is_exact)
            bounds[-1] += bound
        else:
            kept.append(_plain(layer, scale, shift))
            bounds.append(Fraction(0) if is_exact else RELATIVE * (upper(float(np.abs(scale).max())) + upper(float(size.max()))) + LEAST)
    return Part(tuple(layer for layer, _ in kept), tuple(own for _, own in kept), _carried(kept, bounds))


def _affine(layer: BatchNorm, own: Weights) -> tuple[Any, Any, Any, bool]:
    """Scale and shift in float64, the magnitudes that the shift is made of, and whether both are exact."""
    mean, variance = (np.asarray(v, dtype=np.float64) for v in (own.mean, own.variance))
    gamma = np.ones(layer.num_features) if own.kernel is None else np.asarray(own.kernel, dtype=np.float64)
    beta = np.zeros(layer.num_features) if own.bias is None else np.asarray(own.bias, dtype=np.float64)
    scale = gamma / np.sqrt(variance + np.float64(layer.eps))
    size = np.abs(beta) + np.abs(mean * scale)
    try:
        exact = exact_weights(layer, own)
    except OutsideFragment:
        exact = None
    if exact is not None:
        scales, shifts = (_floats(values) for values in (exact.kernel, exact.bias))
        if scales is not None and shifts is not None:
            return scales, shifts, size, True
    return scale, beta - mean * scale, size, False


def _floats(values: Any) -> Any:
    """Rationals as float64, or None if one is not a float."""
    found = [float(value) for value in values]
    same = all(Fraction(a) == b for a, b in zip(found, values, strict=True))
    return np.array(found) if same else None


def _plain(layer: BatchNorm, scale: Any, shift: Any) -> tuple[Layer, Weights]:
    """BatchNorm with an exact scale and shift: mean 0, variance 1, eps 0."""
    count = layer.num_features
    return BatchNorm(count, layer.spatial_axes, 0.0), Weights(scale, shift, np.zeros(count), np.ones(count))


def _into(
    layer: Conv | ConvTranspose, own: Weights, scale: Any, shift: Any, size: Any, is_exact: bool
) -> tuple[tuple[Layer, Weights], Fraction]:
    """The convolution with the affine map behind it, and how far it can be from the exact one."""
    before = np.asarray(own.kernel, dtype=np.float64)
    if isinstance(layer, Conv):
        factors = np.broadcast_to(scale.reshape(-1, *(1,) * (before.ndim - 1)), before.shape)
    else:  # (in_channels, out_channels // groups, taps): output channels are group-major
        inward = layer.in_channels // layer.groups
        rows = np.repeat(scale.reshape(layer.groups, -1), inward, axis=0)
        factors = np.broadcast_to(rows.reshape(*rows.shape, *(1,) * layer.axes), before.shape)
    kernel = before * factors
    bias = np.zeros(layer.out_channels) if own.bias is None else np.asarray(own.bias, dtype=np.float64)
    made = attrs.evolve(layer, bias=True)
    if is_exact and _exact_product(before, factors, kernel):
        shifted = _floats(
            [Fraction(float(b)) * Fraction(float(s)) + Fraction(float(t)) for b, s, t in zip(bias, scale, shift, strict=True)]
        )
        if shifted is not None:
            return (made, Weights(kernel, shifted)), Fraction(0)
    magnitudes = Weights(kernel, np.abs(bias * scale) + size)
    return (made, Weights(kernel, bias * scale + shift)), 2 * RELATIVE * largest_row(made, magnitudes) + LEAST


def _exact_product(left: Any, right: Any, product: Any) -> bool:
    """Whether no product was rounded (Dekker's product: the rest of each one, from halves of few bits, is 0)."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        (a, b), (c, d) = _halves(left), _halves(right)
        rest = ((a * c - product) + a * d + b * c) + b * d
    tiny = (product != 0) & (np.abs(product) < 2.0**-900)
    return bool((rest == 0).all() and not tiny.any() and not ((product == 0) & (left != 0) & (right != 0)).any())


def _halves(values: Any) -> tuple[Any, Any]:
    high = values * 134217729.0
    high = high - (high - values)
    return high, values - high


def _carried(kept: list[tuple[Layer, Weights | None]], bounds: list[Fraction]) -> Fraction:
    """The errors of all layers at the end of the chain, for inputs |x| <= 1."""
    if not any(bounds):
        return Fraction(0)
    total, size = Fraction(0), Fraction(1)
    for (layer, own), bound in zip(kept, bounds, strict=True):
        gain, grown = gain_of(layer, own), size_of(layer, own, size)
        if gain is None or grown is None:
            raise OutsideFragment("BatchNorm is folded here, and no bound is known for what follows it", "irrational")
        total, size = total * gain + bound * max(Fraction(1), size), grown
    return total


def size_of(layer: Layer, own: Weights | None, size: Fraction) -> Fraction | None:
    """A bound on the magnitude of a layer's outputs for inputs of magnitude `size`; None if none is known."""
    gain = gain_of(layer, own)
    if gain is None:
        return None
    if isinstance(layer, (Conv, ConvTranspose)):
        bias = 0.0 if own is None or own.bias is None else float(np.abs(np.asarray(own.bias, dtype=np.float64)).max())
        return gain * size + upper(bias)
    if isinstance(layer, BatchNorm):
        return None if own is None else gain * size + upper(float(_affine(layer, own)[2].max()))
    if isinstance(layer, Pointwise):
        at_zero = 0 if layer.keeps_zero else 1 if layer.name in ("Sigmoid", "LogSigmoid", "Hardsigmoid") else None
        return None if at_zero is None else gain * size + at_zero
    return gain * size


def upper(value: float) -> Fraction:
    """A rational that is certainly not smaller than what `value` was rounded from."""
    return Fraction(math.nextafter(value * (1 + 2.0**-40), math.inf))


def largest_row(layer: Conv | ConvTranspose, own: Weights) -> Fraction:
    """A bound on the largest row sum of magnitudes, the bias counted."""
    rows = row_sums(layer, np.abs(np.asarray(own.kernel, dtype=np.float64)))
    if own.bias is not None:
        rows = rows + np.abs(np.asarray(own.bias, dtype=np.float64)).reshape(-1, *(1,) * (rows.ndim - 1))
    return upper(float(rows.max())) if rows.size else Fraction(0)


def row_sums(layer: Conv | ConvTranspose, kernel: Any) -> Any:
    """Sums of a kernel over all taps that one output sample sees in the interior: (out_channels, phases with taps)."""
    if isinstance(layer, Conv):
        return kernel.sum(axis=tuple(range(1, kernel.ndim))).reshape(-1, *(1,) * layer.axes)
    classes, count = residues(layer)
    grouped = kernel.reshape(layer.groups, layer.in_channels // layer.groups, *kernel.shape[1:]).sum(axis=1)
    flat = grouped.reshape(layer.out_channels, -1)
    out = np.zeros((count, layer.out_channels))
    np.add.at(out, classes.ravel(), flat.T)
    return out.T


def residues(layer: ConvTranspose) -> tuple[Any, int]:
    """For every tap the number of the phase (residues of d j modulo the stride) of the output samples that see it, and how many there are.

    Phases that see no tap have no number, so that large strides cost nothing; their samples are the bias.
    """
    total, count = np.zeros(layer.kernel, dtype=np.int64), 1
    for axis, (taps, step, gap) in enumerate(zip(layer.kernel, layer.stride, layer.dilation, strict=True)):
        places = [j * gap % step for j in range(taps)]
        numbers = {place: number for number, place in enumerate(sorted(set(places)))}
        own = np.array([numbers[place] for place in places], dtype=np.int64)
        total = total * len(numbers) + own.reshape(-1, *(1,) * (layer.axes - axis - 1))
        count *= len(numbers)
    return total, count


def gain_of(layer: Layer, own: Weights | None) -> Fraction | None:
    """How far two outputs can be apart where two inputs differ by at most 1; None if there is no bound that is known."""
    if isinstance(layer, (Conv, ConvTranspose)):
        return None if own is None else largest_row(layer, Weights(own.kernel))
    if isinstance(layer, BatchNorm):
        return None if own is None else upper(float(np.abs(_affine(layer, own)[0]).max()))
    if isinstance(layer, PReLU):
        return None if own is None else max(Fraction(1), upper(float(np.abs(own.kernel).max())))
    if isinstance(layer, (Identity, Shuffle, Unshuffle, ChannelShuffle, Pad, ZeroInsert)):
        return Fraction(1)
    if isinstance(layer, Upsample):
        return Fraction(11, 8) ** (layer.axes or 2) if layer.mode == "cubic" else Fraction(1)
    if isinstance(layer, AvgPool):
        scale = 1 if layer.divisor_override is None else Fraction(math.prod(layer.kernel), abs(layer.divisor_override))
        return max(Fraction(1), Fraction(scale))
    if isinstance(layer, Pointwise):
        if layer.name in LIPSCHITZ:
            return Fraction(1)
        if layer.name == "LeakyReLU":
            return max(Fraction(1), abs(Fraction(float(dict(layer.arguments).get("negative_slope", 0.01)))))
    return None

"""How large the integers get: a bound on every partial sum of a chain, forward and backward.

Owns: `forward_bound`, `backward_bounds`, `obstacle`. Must not know: torch, number formats.

All bounds are on M / u, where M bounds the magnitude of every partial sum and u = 2^-q is a unit that all values are
multiples of. Integers with M / u <= 2^p are exact in a format with p significant bits, whatever the order of summation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.taps import column_sums, row_sums
from symconv.layers import AvgPool, BatchNorm, Conv, ConvTranspose, Layer, Pad, Pointwise, PReLU, Upsample, Weights
from symconv.layers.sequential import name

KEEPS_INTEGERS = ("ReLU", "ReLU6", "Hardtanh", "Threshold")
CUBIC = 1.375
"""The largest sum of the magnitudes of cubic weights, at half-way between two samples."""


@attrs.frozen
class Size:
    """Magnitude of the largest value, the unit 2^-bits, and the largest M / u so far."""

    most: float
    bits: int
    worst: float

    def grown(self, most: float, bits: int = 0) -> Size:
        """After a layer whose partial sums and values stay within `most`, in units 2^-bits times the old."""
        return Size(most, self.bits + bits, max(self.worst, most * 2.0 ** (self.bits + bits)))


def obstacle(chain: Sequence[Layer]) -> str | None:
    """Why a chain does not compute with integers (or dyadic fractions of few bits) alone, or None."""
    for layer in chain:
        if isinstance(layer, BatchNorm):
            return "BatchNorm divides by a square root"
        if isinstance(layer, AvgPool) and power_of_two_divisor(layer) is None:
            return f"{name(layer)} divides by a number that is no power of 2"
        if isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
            if layer.align_corners:
                return "interpolation with align_corners=True has fractional weights that depend on the extent"
            if any(r & (r - 1) for r in factors(layer)):
                return f"{layer.mode} interpolation by {max(factors(layer))} has weights that are no binary fractions"
        if isinstance(layer, Pointwise) and not _keeps_integers(layer):
            return f"{layer.name} does not keep integers"
    return None


def _keeps_integers(layer: Pointwise) -> bool:
    whole = all(float(value).is_integer() for _, value in layer.arguments if not isinstance(value, str))
    return layer.name in KEEPS_INTEGERS and whole


def power_of_two_divisor(layer: AvgPool) -> int | None:
    """The divisor if it is one power of 2 at every place."""
    if layer.divisor_override is None and (layer.ceil_mode or (not layer.count_include_pad and any(layer.padding))):
        return None
    divisor = abs(layer.divisor_override) if layer.divisor_override is not None else math.prod(layer.kernel)
    return divisor if not divisor & (divisor - 1) else None


def factors(layer: Upsample) -> tuple[int, ...]:
    """The factor of each axis of a bound layer."""
    assert isinstance(layer.factor, tuple), "layer is bound"
    return layer.factor


MOST_BITS = 24


def fraction_bits(values: Any) -> int | None:
    """The smallest q for which all values are multiples of 2^-q, or None beyond `MOST_BITS`."""
    array = np.asarray(values, dtype=np.float64)
    return next((q for q in range(MOST_BITS + 1) if bool((array * 2.0**q == np.rint(array * 2.0**q)).all())), None)


def kernel_bits(own: Weights) -> int:
    """The fraction bits of a kernel that has some (callers ask `fraction_bits` first)."""
    return fraction_bits(own.kernel) or 0


def forward_bound(chain: Sequence[Layer], weights: Sequence[Weights | None], most: float) -> tuple[Size, list[Size]]:
    """The bound for integer inputs of magnitude `most`, and the bound at the input of every layer."""
    size, at = Size(most, 0, most), []
    for layer, own in zip(chain, weights, strict=True):
        at.append(size)
        if isinstance(layer, (Conv, ConvTranspose)):
            assert own is not None
            rows, bits = row_sums(layer, own.kernel) * size.most, kernel_bits(own)
            if own.bias is not None:
                rows = rows + np.abs(np.asarray(own.bias, dtype=np.float64))
                bits = max(bits, (fraction_bits(own.bias) or 0) - size.bits)
            size = size.grown(float(rows.max()), bits)
        elif isinstance(layer, PReLU):
            assert own is not None
            size = size.grown(size.most * max(1.0, float(np.abs(own.kernel).max())), kernel_bits(own))
        else:
            size = _fixed(layer, size)
    return size, at


def _fixed(layer: Layer, size: Size) -> Size:
    if isinstance(layer, AvgPool):
        divisor = power_of_two_divisor(layer) or 1
        summed = size.grown(size.most * math.prod(layer.kernel))
        return Size(summed.most / divisor, size.bits + int(math.log2(divisor)), summed.worst)
    if isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
        bits = sum(int(math.log2(2 * r)) if r > 1 else 0 for r in factors(layer))
        if layer.mode == "linear":
            return size.grown(size.most, bits)
        return size.grown(size.most * CUBIC ** len(factors(layer)), 3 * bits + 2 * len(factors(layer)))
    if isinstance(layer, Pointwise):
        return size.grown(max(size.most, *(abs(float(v)) for _, v in layer.arguments if not isinstance(v, str)), 6.0))
    return size


def backward_bounds(
    chain: Sequence[Layer], weights: Sequence[Weights | None], at: Sequence[Size], most: float, total: float
) -> tuple[Size, float, float]:
    """Bounds of the backward pass.

    Args:
        chain, weights: the chain.
        at: the bound at the input of every layer, from `forward_bound`.
        most: the largest magnitude in the gradient at the output.
        total: the sum of its magnitudes.

    Returns:
        The bound on partial sums of input gradients, on those of weight and bias gradients, and on gradients that are factors of products.
    """
    size, parameters, factor = Size(most, 0, most), 0.0, 0.0
    for layer, own, before in reversed(list(zip(chain, weights, at, strict=True))):
        if isinstance(layer, (Conv, ConvTranspose)):
            assert own is not None
            factor = max(factor, size.most * 2.0**size.bits)
            parameters = max(parameters, total * max(before.most, 1.0) * 2.0 ** (size.bits + before.bits))
            columns, rows = column_sums(layer, own.kernel), row_sums(layer, own.kernel)
            padded = _copies(Pad(layer.padding, layer.padding_mode)) if isinstance(layer, Conv) else 1.0
            size = size.grown(size.most * float(columns.max()) * padded, kernel_bits(own))
            total *= float(rows.max())
        elif isinstance(layer, PReLU):
            assert own is not None
            slope = max(1.0, float(np.abs(own.kernel).max()))
            factor = max(factor, size.most * 2.0**size.bits)
            parameters = max(parameters, total * before.most * 2.0 ** (size.bits + before.bits))
            size, total = size.grown(size.most * slope, kernel_bits(own)), total * slope
        else:
            size, total = _fixed_back(layer, size), total * _row(layer)
    return size, parameters, factor


def _row(layer: Layer) -> float:
    """The sum of magnitudes in a row of a fixed layer's operator, at most."""
    if isinstance(layer, Upsample) and layer.mode == "cubic":
        return float(CUBIC ** len(factors(layer)))
    return float(math.prod(layer.kernel)) if isinstance(layer, AvgPool) else 1.0


def _fixed_back(layer: Layer, size: Size) -> Size:
    if isinstance(layer, Upsample):
        bits = 0 if layer.mode.startswith("nearest") else _fixed(layer, size).bits - size.bits
        return size.grown(size.most * copies(layer), bits)
    if isinstance(layer, AvgPool):
        return size.grown(size.most * copies(layer), int(math.log2(power_of_two_divisor(layer) or 1)))
    return size.grown(size.most * copies(layer))


def copies(layer: Layer) -> float:
    """The sum of magnitudes in a column of a fixed layer's operator, at most: how often a sample is read."""
    if isinstance(layer, Pad):
        return _copies(layer)
    if isinstance(layer, Upsample):
        each = {"nearest": 1.0, "nearest-exact": 1.0, "linear": 2.0, "cubic": 3 * CUBIC}[layer.mode]
        return float(math.prod(each * r for r in factors(layer)))
    if isinstance(layer, AvgPool):
        return float(math.prod(-(-k // s) for k, s in zip(layer.kernel, layer.stride, strict=True)))
    return 1.0


def _copies(pad: Pad) -> float:
    assert not isinstance(pad.amounts, int), "layer is bound"
    if pad.mode == "zeros":
        return 1.0
    if pad.mode == "replicate":
        return float(math.prod(1 + max(before, 0) + max(after, 0) for before, after in pad.amounts))
    return float(math.prod(3 if max(pair) > 0 else 1 for pair in pad.amounts))

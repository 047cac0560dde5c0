"""Weighted layers: the exact operator distance of every stage, from the stored floats."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from math import isfinite, isqrt, prod
from typing import Any

from .blocks import Sample
from .extents import Chain, check_outputs, common_starts, constant_windowed, samples, windowed
from .faults import Budget, Malformed, need
from .layers import Layer
from .rows import Index, channel_reads, settled_reads
from .syntax import Number

READ = 8
"""Work that a read with a weight counts for: whole kernels are followed, so large ones end as too large."""
Values = dict[str, Sequence[Number]]
"""The flat kernel and bias of a layer, as exact numbers."""


class Array:
    """A stored array: its shape and its doubles."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.shape: tuple[int, ...] = record["shape"]
        try:
            raw = base64.b64decode(record["float64"], validate=True)
        except (binascii.Error, ValueError):
            raise Malformed("base64 text is needed") from None
        if len(raw) != 8 * prod(self.shape):
            raise Malformed("the array has not as many numbers as its shape says")
        self.values: tuple[float, ...] = struct.unpack(f"<{len(raw) // 8}d", raw)
        if not all(map(isfinite, self.values)):
            raise Malformed("finite numbers are needed")

    def exact(self) -> list[Fraction]:
        """The numbers that the doubles are."""
        return [Fraction(value) for value in self.values]


def exact_values(layer: Layer, channels: tuple[int, int], record: dict[str, Any] | None) -> Values | None:
    """A layer's kernel and bias as they act; BatchNorm's are its scale gamma / sqrt(variance + eps) and shift beta - mean scale.

    A BatchNorm with an irrational scale becomes a nonlinearity, which the other side must have with the same four vectors.
    """
    need((record is not None) == (layer.parametric or layer.kind == "PReLU"), "weights are given exactly where a layer has some")
    if record is None:
        return None
    arrays = {name: Array(record[name]) if record[name] is not None else None for name in ("kernel", "bias", "mean", "variance")}
    kernel, bias, mean, variance = arrays.values()
    statistics = layer.kind == "BatchNorm"
    need(kernel is not None and (mean is not None) == statistics == (variance is not None), "an array is missing, or is one too many")
    need((bias is not None) == layer.biased, "a bias is given exactly where the layer has one")
    assert kernel is not None
    need(kernel.shape == _shape(layer, channels), "the kernel has the wrong shape")
    need(all(array is None or array.shape == (channels[1],) for array in (bias, mean, variance)), "a vector has the wrong length")
    if mean is None or variance is None or bias is None:
        return {"kernel": kernel.values, "bias": bias.exact() if bias else ()}  # type: ignore[dict-item]
    found = [_scale(*of, layer.fields["eps"]) for of in zip(kernel.exact(), variance.exact(), strict=True)]
    scale = [s for s in found if s is not None]
    if len(scale) < len(found):
        layer.nonlinear = True
        return {name: array.exact() for name, array in (("kernel", kernel), ("bias", bias), ("mean", mean), ("variance", variance))}
    shift = [b - m * s for b, m, s in zip(bias.exact(), mean.exact(), scale, strict=True)]
    return {"kernel": scale, "bias": shift}


def _shape(layer: Layer, channels: tuple[int, int]) -> tuple[int, ...]:
    if layer.kind in ("BatchNorm", "PReLU"):
        return (layer.fields["num_parameters"],) if layer.kind == "PReLU" else (channels[1],)
    taps = tuple(line.k for line in layer.lines)
    one, other = channels if layer.kind == "ConvTranspose" else channels[::-1]
    return (one, other // layer.groups, *taps)


def _scale(gamma: Fraction, variance: Fraction, eps: float) -> Fraction | None:
    """gamma / sqrt(variance + eps), or None if that is irrational."""
    square = variance + Fraction(eps)
    if gamma == 0:
        return gamma
    need(square > 0, "the variance is not positive")
    top, bottom = isqrt(square.numerator), isqrt(square.denominator)
    rational = top * top == square.numerator and bottom * bottom == square.denominator
    return gamma * bottom / top if rational else None


class Network:
    """One side of a weighted stage: its layers, the channels between them, their exact values."""

    def __init__(
        self, layers: Sequence[Layer], channels: Sequence[int], values: Sequence[Values | None], axes: int, budget: Budget
    ) -> None:
        self.layers, self.channels, self.values, self.budget = layers, channels, values, budget
        self.axes, self.chains = range(axes), [Chain(layers, axis) for axis in range(axes)]
        self.tails = [0, *(k + 1 for k, layer in enumerate(layers) if layer.biased)]

    def windowed(self, axis: int) -> bool:
        """Whether the operator and all that biases add are windows of the bi-infinite ones."""
        lines = self.chains[axis].lines
        return windowed(lines) and all(constant_windowed(lines[tail:]) for tail in self.tails[1:])

    def row(self, extents: Sequence[int | None], out: Index) -> tuple[dict[Index, Number], Number]:
        """The entries of output index `out`, and its constant, followed backwards; an extent None is the bi-infinite signal's."""
        states: dict[Index, Number] = {out: 1}
        constant: Number = 0
        known = [None if n is None else chain.extents(n) for n, chain in zip(extents, self.chains, strict=True)]
        for at in range(len(self.layers) - 1, -1, -1):
            layer, values = self.layers[at], self.values[at]
            before = [None if ends is None else ends[at] for ends in known]
            above, states = states, {}
            for index, weight in above.items():
                if values is not None and layer.biased:
                    constant += Fraction(weight) * Fraction(values["bias"][index[0]])
                for below, phases, chosen in channel_reads(layer, self.channels[at], self.channels[at + 1], index):
                    for reads in product(*(settled_reads(layer.lines[a], index[a + 1], before[a], phases[a]) for a in self.axes)):
                        share = weight
                        for _, _, c in reads:
                            share = share if c == 1 else Fraction(share) * c
                        if chosen and values is not None:
                            tap = values["kernel"][self._place(at, chosen, [j for _, j, _ in reads])]
                            share = tap if share == 1 else Fraction(share) * Fraction(tap)  # a stored float is not rounded by being kept
                        state = (below, *(x for x, _, _ in reads))
                        states[state] = Fraction(states[state]) + Fraction(share) if state in states else share
                        self.budget.spend(READ)
        return states, constant

    def _place(self, at: int, chosen: Index, taps: Sequence[int]) -> int:
        """Where a kernel holds the tap of output channel p and input channel q of its group."""
        (p, q), layer = chosen, self.layers[at]
        inward, outward = self.channels[at] // layer.groups, self.channels[at + 1] // layer.groups
        if layer.kind == "BatchNorm":
            return p
        place = (p // outward * inward + q) * outward + p % outward if layer.kind == "ConvTranspose" else p * inward + q
        for line, j in zip(layer.lines, taps, strict=True):
            place = place * line.k + j
        return place


def stage_distance(left: Network, right: Network, budget: Budget) -> Number:
    """The largest sum, over an output's row, of differences of entries and constants."""
    need(left.channels[-1] == right.channels[-1], "output channels differ")
    taken = [_samples(left.chains[axis], right.chains[axis], (left, right), axis, budget) for axis in left.axes]
    worst = Fraction(0)
    for places in product(*taken):
        extents, positions = [n for n, _ in places], [o for _, o in places]
        for channel in range(left.channels[-1]):
            (one, a), (other, b) = (side.row(extents, (channel, *positions)) for side in (left, right))
            pairs = ((one.get(index, 0), other.get(index, 0)) for index in one.keys() | other.keys())
            gaps = (Fraction(x) - Fraction(y) for x, y in pairs if x != y)
            worst = max(worst, sum(map(abs, gaps), abs(Fraction(a) - b)))
    return worst


def _samples(one: Chain, other: Chain, sides: tuple[Network, Network], axis: int, budget: Budget) -> list[Sample]:
    """Samples whose rows, operators and constants together, are all that there are."""
    period, starts = common_starts(one, other, budget)
    check_outputs(one, other, starts)
    if all(side.windowed(axis) for side in sides):
        shift = one.shift * (period // one.period)
        budget.spend(shift)
        return [(None, o) for o in range(shift)]
    return list(samples([(side.chains[axis], tail) for side in sides for tail in side.tails], starts, period, budget))

"""Chains with weights applied to one input by their definitions, in exact arithmetic, with what bounds a runtime's rounding.

Owns: `evaluate`, `Evaluated`.
Must not know: ONNX, torch; nonlinearities (they are no exact rationals).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from symconv.layers import Layer, WeightedNetwork, Weights
from symconv.operators.denote import Form, Index, Param, Table, layer_table
from symconv.prove.weighted import exact_weights

UNIT = Fraction(1, 1 << 24)
"""Half a unit in the last place of 1 in float32."""


@attrs.frozen(eq=False)
class Evaluated:
    """An exact output, and what it is a sum of.

    Args:
        values: the output, (channels, *extents), of exact numbers.
        sizes: the same sums with every summand replaced by its absolute value.
        terms: the longest sum that an output sample is, all layers together.
    """

    values: np.ndarray
    sizes: np.ndarray
    terms: int

    def bound(self) -> np.ndarray:
        """The most that float32 arithmetic can be off, in any order of summation, with and without fused operations.

        A sum of K products is computed within K u / (1 - K u) times the sum of their absolute values; two more roundings
        are allowed for coefficients that are themselves quotients and for storing the result.
        """
        count = (self.terms + 3) * UNIT
        return self.sizes * (count / (1 - count))


def evaluate(network: WeightedNetwork, x: np.ndarray) -> Evaluated:
    """What a linear chain makes of one input.

    Args:
        network: the chain; every layer that has parameters has weights.
        x: (channels, *extents), integers or floats, which are taken at their exact values.

    Raises:
        ExtentRejected: the chain does not accept these extents.
        OutsideFragment: a layer is not linear, or its weights are irrational.
    """
    values, sizes = Signal.of(x), Signal.of(np.abs(x))
    terms = 1
    for layer, weights in zip(network.members, network.weights, strict=True):
        bound = layer.bind(x.ndim - 1)
        table = layer_table(bound, values.shape)
        rows = _Rows.of(table, _parameters(bound, weights))
        values, sizes = rows.applied(values), rows.applied(sizes, absolute=True)
        terms *= max((len(row) + (index in table.constants) for index, row in table.entries.items()), default=1) or 1
    return Evaluated(values.array(), sizes.array(), terms)


@attrs.frozen(eq=False)
class Signal:
    """Exact samples over one denominator, which keeps the sums in integers."""

    shape: Index
    samples: dict[Index, int]
    denominator: int

    @classmethod
    def of(cls, x: np.ndarray) -> Signal:
        """An array's exact values."""
        held = {index: exact(item) for index, item in np.ndenumerate(x)}
        denominator = math.lcm(*(value.denominator for value in held.values()))
        return cls(x.shape, {index: int(value * denominator) for index, value in held.items()}, denominator)

    def array(self) -> np.ndarray:
        """The samples as an array of exact numbers."""
        out = np.empty(self.shape, dtype=object)
        for index, sample in self.samples.items():
            out[index] = Fraction(sample, self.denominator)
        return out


@attrs.frozen(eq=False)
class _Rows:
    """A table with its parameters put in, over one denominator."""

    shape: Index
    entries: dict[Index, list[tuple[Index, int]]]
    constants: dict[Index, int]
    denominator: int

    @classmethod
    def of(cls, table: Table, parameters: Mapping[Param, Fraction]) -> _Rows:
        def value(form: Form) -> Fraction:
            return sum((c * parameters[param] if param is not None else Fraction(c) for param, c in form.items()), Fraction(0))

        entries = {o: [(i, value(form)) for i, form in row.items()] for o, row in table.entries.items()}
        constants = {o: value(form) for o, form in table.constants.items()}
        found = {item.denominator for row in entries.values() for _, item in row} | {item.denominator for item in constants.values()}
        scale = math.lcm(*found)
        whole = {o: [(i, int(item * scale)) for i, item in row] for o, row in entries.items()}
        return cls(table.out_shape, whole, {o: int(item * scale) for o, item in constants.items()}, scale)

    def applied(self, signal: Signal, *, absolute: bool = False) -> Signal:
        sign = abs if absolute else int
        x, unit = signal.samples, signal.denominator
        out = {o: sum(sign(c) * x[i] for i, c in row) + sign(self.constants.get(o, 0)) * unit for o, row in self.entries.items()}
        return Signal(self.shape, out, unit * self.denominator)


def exact(item: Any) -> Fraction:
    """The exact value of a number, be it numpy's or Python's."""
    return Fraction(item.item() if isinstance(item, np.generic) else item)


def _parameters(layer: Layer, weights: Weights | None) -> dict[Param, Fraction]:
    held = exact_weights(layer, weights)
    if held is None:
        return {}
    found: dict[Param, Fraction] = {("w", *index): exact(item) for index, item in np.ndenumerate(held.kernel)}
    if held.bias is not None:
        found |= {("b", *index): exact(item) for index, item in np.ndenumerate(held.bias)}
    return found

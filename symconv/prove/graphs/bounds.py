"""How far a proved distance inside a model can move its outputs, where that is known.

Owns: `part_gain`, `output_bound`.
Must not know: how distances are found.

For model inputs |x| <= 1: a bound X on the magnitude of every value of the left model and a bound e on how far the right
model's value is from it. Through a layer of gain g both grow by g; a part at distance d adds d max(1, X). Where an operator
has no bound that is known here, there is none at the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from symconv.layers import Layer, Weights
from symconv.prove.graphs.dataflow import Dataflow, Operation, Value
from symconv.prove.graphs.folding import gain_of, size_of
from symconv.prove.graphs.outcome import Row

Sizes = tuple[Fraction, Fraction] | None
"""(magnitude, error), or None where nothing is known."""


def part_gain(chain: tuple[Sequence[Layer], Sequence[Weights | None]]) -> Fraction | None:
    """How far two outputs of a chain can be apart where two inputs differ by at most 1; None if no bound is known."""
    total = Fraction(1)
    for layer, own in zip(*chain, strict=True):
        gain = gain_of(layer, own)
        if gain is None:
            return None
        total *= gain
    return total


def output_bound(graph: Dataflow, rows: Sequence[Row]) -> Fraction | None:
    """How far the outputs are apart for model inputs |x| <= 1, all rows being equal up to a distance."""
    parts = {row.at[0]: row for row in rows}
    known: dict[Value, Sizes] = {value: (Fraction(1), Fraction(0)) for value in graph.inputs}
    for operation in graph.operations:
        for value in operation.outputs:
            known[value] = _through(operation, graph, known)
            row = parts.get(value)
            if row is not None:
                known[value] = _apart(row, known[value], known.get(row.since[0]))
    found = [known.get(value) for value in graph.outputs]
    errors = [item[1] for item in found if item is not None]
    return max(errors) if errors and len(errors) == len(found) else None


def _apart(row: Row, through: Sizes, source: Sizes) -> Sizes:
    if source is None or through is None or row.distance is None or row.gain is None:
        return None
    size, error = source
    return through[0], row.gain * error + row.distance * max(Fraction(1), size)


def _through(operation: Operation, graph: Dataflow, known: dict[Value, Sizes]) -> Sizes:
    stretch = operation.stretch
    if stretch is not None:
        start = known.get(stretch.source)
        if start is None:
            return None
        size, error = start
        for layer, own in zip(stretch.layers, stretch.weights(), strict=True):
            gain, grown = gain_of(layer, own), size_of(layer, own, size)
            if gain is None or grown is None:
                return None
            size, error = grown, error * gain
        return size, error
    found: list[tuple[Fraction, Fraction]] = []
    for value in filter(None, operation.inputs):
        item = _constant(graph, value) if value in graph.constants else known.get(value)
        if item is None:
            return None
        found.append(item)
    if operation.growth == "sum":
        return sum((size for size, _ in found), Fraction(0)), sum((error for _, error in found), Fraction(0))
    if operation.growth == "first" and found:
        return found[0]
    if operation.growth == "max" and found:
        return max(size for size, _ in found), max(error for _, error in found)
    return None


def _constant(graph: Dataflow, value: Value) -> Sizes:
    array = np.asarray(graph.constants[value].array())
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        return None
    return Fraction(float(np.abs(array.astype(np.float64)).max())) * 2 if array.size else Fraction(0), Fraction(0)

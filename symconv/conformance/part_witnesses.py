"""Operators that stand for one another, proved to differ by an input on which they do.

Owns: `with_witnesses`.
Must not know: how graphs are compared, how results are shown.

A row of a comparison whose parts are operators names the values that both are computed from. These are given small integers, equal on
both sides, and both parts are evaluated: without rounding where they keep integers, else enclosed by balls. Results that differ for
sure make the row `different`. That says something of the parts alone: in their models other values may reach them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from symconv.certificate.encode import rational
from symconv.conformance.graphs.values import Evaluated, decimals_of, enclose, evaluate
from symconv.conformance.model_candidates import candidates, meet
from symconv.conformance.partings import shown
from symconv.errors import BudgetExceeded, OutsideFragment
from symconv.prove.graphs.dataflow import Dataflow, Value, pairing
from symconv.prove.graphs.outcome import Comparison, Likeness, Row

MOST = 1 << 20
"""Samples of the values given to a part, at most."""
SHAPES = 3
"""Inputs of the left model from which shapes inside it are taken."""

Graphs = tuple[Dataflow, Dataflow]
Arrays = dict[Value, Any]


def with_witnesses(found: Comparison, left: Dataflow, right: Dataflow, seconds: float) -> Comparison:
    """The comparison with its undecided operators tried on small integers.

    Args:
        found: a comparison of the two models.
        left, right: the models.
        seconds: the budget.
    """
    deadline = time.monotonic() + seconds
    tried = [row for row in found.rows if row.relation is Likeness.UNKNOWN and row.reason == "structure" and row.given]
    if not tried:
        return found
    better: dict[int, Row] = {}
    for shapes in _shapes(left, right, [pair[0] for row in tried for pair in row.given], deadline):
        for row in tried:
            if id(row) not in better and time.monotonic() < deadline:
                witness = _witness(row, (left, right), shapes, deadline)
                if witness is not None:
                    better[id(row)] = attrs.evolve(row, relation=Likeness.DIFFERENT, witness=witness, reason=None)
    return attrs.evolve(found, rows=tuple(better.get(id(row), row) for row in found.rows))


def _shapes(left: Dataflow, right: Dataflow, values: list[Value], deadline: float) -> Iterator[dict[Value, Any]]:
    """Shapes and types of values of the left model, on some of its inputs."""
    pairs = pairing(left.inputs, right.inputs, by_place=left.returned is not None or right.returned is not None) or []
    made = 0
    for given in candidates({a: meet(left.inputs[a], right.inputs[b]) for a, b in pairs}):
        if time.monotonic() > deadline or made == SHAPES:
            return
        try:
            run = evaluate(left, given, keep=list(dict.fromkeys(values)), seconds=deadline - time.monotonic())
        except OutsideFragment:
            continue
        except BudgetExceeded:
            return
        made += 1
        yield run.values


def _witness(row: Row, graphs: Graphs, shapes: Mapping[Value, Any], deadline: float) -> dict[str, Any] | None:
    """An input on which the two parts of a row differ for sure."""
    if any(a not in shapes or shapes[a].dtype.kind != "f" for a, _ in row.given):
        return None
    for left, right in _inputs(row, shapes):
        for exact in (True, False):
            try:
                both = _both(row, graphs, (left, right), exact, deadline)
            except (OutsideFragment, BudgetExceeded):
                continue
            found = None if both is None else _apart(row, left, both)
            if found is not None:
                return found
    return None


def _inputs(row: Row, shapes: Mapping[Value, Any]) -> Iterator[tuple[Arrays, Arrays]]:
    """Equal numbers for values that stand for one another: each another one throughout, then small integers."""
    groups = _groups(row.given)
    if sum(shapes[group[0][0]].size for group in groups) > MOST:
        return
    for fills in ((-1, 2, -3), (1, 0, 2), (2, 2, 2), None, None):
        for seed in range(1 if fills else 2):
            rng = np.random.default_rng(seed)
            left: Arrays = {}
            right: Arrays = {}
            for number, group in enumerate(groups):
                shape = shapes[group[0][0]].shape
                array = np.full(shape, float(fills[number % 3])) if fills else rng.integers(-4, 5, shape).astype(np.float64)
                left |= dict.fromkeys((a for a, _ in group), array)
                right |= dict.fromkeys((b for _, b in group), array)
            yield left, right


def _groups(pairs: tuple[tuple[Value, Value], ...]) -> list[list[tuple[Value, Value]]]:
    """Pairs that share a value belong together: all of their values are equal."""
    groups: list[list[tuple[Value, Value]]] = []
    for pair in pairs:
        near = [group for group in groups if any(pair[0] == a or pair[1] == b for a, b in group)]
        groups = [group for group in groups if group not in near] + [[item for group in near for item in group] + [pair]]
    return groups


def _both(row: Row, graphs: Graphs, given: tuple[Arrays, Arrays], exact: bool, deadline: float) -> tuple[Evaluated, Evaluated] | None:
    seconds = max(deadline - time.monotonic(), 0.0)
    found = []
    for graph, values, wanted in zip(graphs, given, row.at, strict=True):
        if exact:
            found.append(evaluate(graph, values, integers=True, keep=[wanted], seconds=seconds))
        else:
            found.append(enclose(graph, values, keep=[wanted], decimals=decimals_of(*graphs), seconds=seconds))
    one, two = found
    return None if exact and not (one.exact and two.exact) else (one, two)


def _apart(row: Row, given: Arrays, both: tuple[Evaluated, Evaluated]) -> dict[str, Any] | None:
    (x, y), (a, b) = (side.values.get(value) for side, value in zip(both, row.at, strict=True)), row.at
    if x is None or y is None:
        return None
    witness: dict[str, Any] = {"kind": "operators", "inputs": shown(given)}
    if x.shape != y.shape:
        return witness | {"at": None, "left_value": list(x.shape), "right_value": list(y.shape), "exact": True}
    reach = [np.zeros(x.shape) if side.own is None else side.own[value] for side, value in zip(both, (a, b), strict=True)]
    clear = np.abs(x.astype(np.float64) - y.astype(np.float64)) > (reach[0] + reach[1]) * (1 + 2.0**-40)
    if not clear.any():
        return None
    at = tuple(int(k) for k in np.argwhere(clear)[0])
    return witness | {
        "at": list(at),
        "left_value": rational(Fraction(float(x[at]))),
        "right_value": rational(Fraction(float(y[at]))),
        "left_bound": float(reach[0][at]),
        "right_bound": float(reach[1][at]),
        "exact": both[0].own is None,
    }

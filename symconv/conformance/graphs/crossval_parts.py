"""The parts in which two models differ in their layers, each cross-validated as a pair of layers with parameters of its own.

Owns: `model_parts`, `PartPair`, `part_rows`.
Must not know: whole models' runs, the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Outcome, Row, severity
from symconv.conformance.pairing import Pairing, pair_networks
from symconv.conformance.plan import Plan
from symconv.conformance.stagewise import merged
from symconv.errors import LayerError, ModelError, OutsideFragment
from symconv.layers import Identity, Layer, Sequential, WeightedNetwork, Weights
from symconv.prove.graphs.dataflow import Dataflow, Operation
from symconv.prove.graphs.outcome import Comparison, Likeness
from symconv.prove.graphs.outcome import Row as ProofRow

Chain = tuple[tuple[Layer, ...], tuple[Weights | None, ...]]
LARGE = 1 << 20
"""Weights from which on a part is run once under each setting."""


@attrs.frozen(eq=False)
class PartPair:
    """Two parts that stand for one another.

    Args:
        left_text, right_text: the parts as layers.
        count: how often the pair occurs in the models.
        pairing: how they are run, or None.
        reason: why they are not.
        size: weights on the left.
    """

    left_text: str
    right_text: str
    count: int
    pairing: Pairing | None
    reason: str
    size: int


def model_parts(found: Comparison, graphs: tuple[Dataflow, Dataflow], seconds: float) -> list[PartPair]:
    """The distinct pairs of parts that were compared as layers, in the order of the left model."""
    names = [{operation.name: operation for operation in graph.operations} for graph in graphs]
    pairs: dict[object, list[ProofRow]] = {}
    for row in found.rows:
        sides = [[names[side].get(name) for name in (row.right if side else row.left)] for side in (0, 1)]
        if all(side and all(op is not None and op.stretch is not None for op in side) for side in sides):
            pairs.setdefault((row.left_text, row.right_text), []).append(row)
    parts = []
    for rows in pairs.values():
        first = rows[0]
        one, two = ([names[side][name] for name in (first.right if side else first.left)] for side in (0, 1))
        parts.append(_part(first, len(rows), one, two, seconds))
    return parts


def _part(row: ProofRow, count: int, left: Sequence[Operation], right: Sequence[Operation], seconds: float) -> PartPair:
    channels = next((op.stretch.channels for op in (*left[:1], *right[:1]) if op.stretch and op.stretch.channels), None)
    chains = [_chain(side) for side in (left, right)]
    reason = ""
    size = sum(own.kernel.size for own in chains[0][1] if own is not None)
    pairing = None
    try:
        pairing = pair_networks(Sequential(chains[0][0]), Sequential(chains[1][0]), channels=channels, seconds=seconds)
    except (OutsideFragment, LayerError, ModelError) as error:
        reason = str(error)
        if row.relation is Likeness.IDENTICAL:
            pairing = _with_own(chains, channels, seconds)
        else:
            reason = "equal up to a distance only, so its weights are not carried"
    return PartPair(row.left_text, row.right_text, count, pairing, "" if pairing is not None else reason, size)


def _with_own(chains: Sequence[Chain], channels: int | None, seconds: float) -> Pairing | None:
    """No kernel can be carried, but the models' own weights can be compared."""
    networks = [WeightedNetwork(Sequential(layers), weights, "") for layers, weights in chains]
    try:
        return pair_networks(*networks, channels=channels, seconds=seconds)
    except (OutsideFragment, LayerError, ModelError):
        return None


def _chain(operations: Sequence[Operation]) -> Chain:
    layers: list[Layer] = []
    weights: list[Weights | None] = []
    for operation in operations:
        assert operation.stretch is not None, "asked before"
        for layer, own in zip(operation.stretch.layers, operation.stretch.weights(), strict=True):
            if not isinstance(layer, Identity):
                layers.append(layer)
                weights.append(own)
    return tuple(layers), tuple(weights)


def part_rows(parts: Sequence[PartPair], plan: Plan) -> Iterator[tuple[Row, str | None]]:
    """One row for every setting, direction and kind of evidence, over all parts; with the snippet of a deviation."""
    runs = []
    snippet, worst = None, None
    for part in parts:
        if part.pairing is None:
            continue
        count = 1 if part.size > LARGE else plan.count
        evidence = cross_validate(part.pairing, attrs.evolve(plan, extents=None, count=count))
        runs.append(evidence.rows)
        if evidence.worst is not None and (worst is None or severity(evidence.worst) > severity(worst)):
            worst, snippet = evidence.worst, evidence.snippet
    for several in zip(*runs, strict=True):
        row = attrs.evolve(merged(several, ""), scope="parts")
        yield row, snippet if row.outcome is Outcome.DEVIATES else None

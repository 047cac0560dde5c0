"""Two aligned graphs decided, from the outputs back: which parts are the same, and which are not.

Owns: `compare`: which parts are compared with which, and what follows for the whole.
Must not know: onnx, torch, runtimes, texts for people beyond one sentence a row.

Values *correspond* if their numbers are equal or matched operations compute them. An *obligation* is a pair of values that
an output needs to be equal. It is met by congruence (matched operations whose inputs' obligations are met), or by a region:
chains from values that correspond to the two values, compared as operators. By induction over the left graph's order, if
every obligation that the outputs lead to is met by something identical, the models are the same function.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.errors import ModelError
from symconv.layers import Layer, Pointwise, PReLU, Weights
from symconv.layers.expression import format_layer
from symconv.prove.graphs.alignment import Alignment, align
from symconv.prove.graphs.bounds import output_bound, part_gain
from symconv.prove.graphs.causes import explain_layers
from symconv.prove.graphs.dataflow import Dataflow, Operation, Value, pairing
from symconv.prove.graphs.outcome import Comparison, Likeness, Row
from symconv.prove.graphs.stretches import Finding, compare_parts
from symconv.prove.graphs.structure import explain_operations

SMALL = Fraction(1, 1000)
"""A distance of at most this part of a layer's gain is called small: `equal_up_to` and not `different`."""
FARTHEST = 24
"""Operations that a region reaches back, at most."""
MOST_REGIONS = 5
"""Regions tried for one obligation."""
SMALL_REGION = 1000
"""Weights of a region up to which it is tried although a shorter one differs for sure (its rest may make up for it)."""
GOOD = (Likeness.IDENTICAL,)

Progress = Callable[[int, int], None]
Obligation = tuple[Value, Value]


@attrs.frozen(eq=False)
class Region:
    """Two chains of operations from corresponding values; either may be empty."""

    left: tuple[Operation, ...]
    right: tuple[Operation, ...]
    sources: Obligation
    targets: Obligation

    @property
    def readable(self) -> bool:
        """Whether all of it is read as layers."""
        return all(operation.stretch is not None for operation in (*self.left, *self.right))


def compare(
    left: Dataflow, right: Dataflow, *, seconds: float, up_to: Fraction | None = None, progress: Progress | None = None
) -> Comparison:
    """Compares two models; a difference of the whole is shown later, by running them.

    Args:
        left, right: the models.
        seconds: the budget; what is not decided by then is `unknown`.
        up_to: parts at this distance or less count as equal up to a distance.
        progress: told how many parts are decided, and of how many that are known so far.

    Raises:
        ModelError: the models take different inputs or have different numbers of outputs.
    """
    started = time.perf_counter()
    by_place = left.returned is not None or right.returned is not None
    inputs, outputs = (pairing(*names, by_place=by_place) for names in ((left.inputs, right.inputs), (left.outputs, right.outputs)))
    for kind, pairs, counts in (
        ("inputs", inputs, (len(left.inputs), len(right.inputs))),
        ("outputs", outputs, (len(left.outputs), len(right.outputs))),
    ):
        if pairs is None:
            raise ModelError(f"the two models have different numbers of {kind}: {counts[0]} and {counts[1]}. There is nothing to pair.")
    assert inputs is not None and outputs is not None
    if None not in (left.returned, right.returned) and left.returned != right.returned:
        raise ModelError("the two modules return their outputs in different structures, so there is nothing to pair.")
    one, two = left.live(), right.live()
    named = outputs
    outputs = list(
        zip(
            (one.outputs[left.outputs.index(a)] for a, _ in outputs), (two.outputs[right.outputs.index(b)] for _, b in outputs), strict=True
        )
    )
    alignment = align(one, two, inputs, outputs)
    walk = _Walk(alignment, time.monotonic() + seconds, up_to, progress)
    declared = [_declared(left, right, pair) for pair in inputs if not left.inputs[pair[0]].agrees(right.inputs[pair[1]])]
    rows = (*declared, *walk.rows())
    relation = _whole(rows)
    return Comparison(
        left=left.source,
        right=right.source,
        relation=relation,
        rows=rows,
        operations=(len(one.operations), len(two.operations)),
        congruent=len(alignment.matched),
        bound=output_bound(one, rows) if relation is Likeness.UP_TO else None,
        reason=_reason(rows) if relation is Likeness.UNKNOWN else None,
        assumptions=_assumptions(left, right, inputs, named, rows),
        seconds=round(time.perf_counter() - started, 6),
    )


def _declared(left: Dataflow, right: Dataflow, pair: tuple[Value, Value]) -> Row:
    a, b = left.inputs[pair[0]], right.inputs[pair[1]]
    cause = f"input `{pair[0]}` is {a} on the left and {b} on the right"
    return Row(
        left=(), right=(), left_text=str(a), right_text=str(b), relation=Likeness.DIFFERENT, cause=cause, proved=True, at=pair,
        reason="inputs_differ", detail="the models take different inputs",
    )  # fmt: skip


def _whole(rows: Sequence[Row]) -> Likeness:
    """What the parts say of the whole: parts that differ do not make the whole differ, only a witness does."""
    kinds = {row.relation for row in rows}
    if not kinds - {Likeness.IDENTICAL}:
        return Likeness.IDENTICAL
    return Likeness.UP_TO if not kinds - {Likeness.IDENTICAL, Likeness.UP_TO} else Likeness.UNKNOWN


def _reason(rows: Sequence[Row]) -> str:
    if any(row.relation is Likeness.DIFFERENT for row in rows):
        return "not_shown_at_output"
    return next((row.reason for row in rows if row.relation is Likeness.UNKNOWN and row.reason), "undecided")


def _assumptions(
    left: Dataflow, right: Dataflow, inputs: Sequence[Obligation], outputs: Sequence[Obligation], rows: Sequence[Row]
) -> tuple[str, ...]:
    own = [*dict.fromkeys((*left.assumptions, *right.assumptions))]
    for kind, pairs, order in (("inputs", inputs, tuple(right.inputs)), ("outputs", outputs, right.outputs)):
        if any(a != b for a, b in pairs) and (kind == "inputs" or None in (left.returned, right.returned)):
            own.append(f"{kind} are paired by position, for their names differ: " + ", ".join(f"{a} with {b}" for a, b in pairs[:4]))
        elif tuple(b for _, b in pairs) != order:
            own.append(f"{kind} are paired by name; the two models have them in different orders")
    if any(left.inputs[a].narrower(right.inputs[b]) or right.inputs[b].narrower(left.inputs[a]) for a, b in inputs):
        own.append("only inputs that both models accept count: one of them fixes an extent that the other leaves free")
    repeated = dict.fromkeys(name for graph in (left, right) for name in graph.repeated())
    if repeated:
        own.append(f"extents of the inputs that have the same name are equal: {', '.join(repeated)}")
    if any(row.domain == "right_wider" for row in rows):
        own.append("only extents that the left model accepts count: the right one accepts more")
    return (
        "exact arithmetic, so no rounding; weights are the exact values of the stored floats",
        "operators that are not read as layers are functions of their inputs and attributes",
        *own,
    )


class _Walk:
    """All obligations of two graphs, met or reported."""

    def __init__(self, alignment: Alignment, deadline: float, up_to: Fraction | None, progress: Progress | None) -> None:
        self.alignment, self.deadline, self.up_to, self.progress = alignment, deadline, up_to, progress
        self.graphs = alignment.left, alignment.right
        self.pairs = {(id(a), id(b)) for a, b in alignment.matched}
        self.matched_left = {id(a) for a, _ in alignment.matched}
        self.matched_right = {id(b) for _, b in alignment.matched}

    def rows(self) -> list[Row]:
        """One row for every obligation that congruence does not meet."""
        found: list[Row] = []
        waiting: list[Obligation] = list(reversed(self.alignment.outputs))
        seen: set[Obligation] = set()
        while waiting:
            pair = waiting.pop()
            if pair in seen or self._equal(pair):
                continue
            seen.add(pair)
            if self.progress is not None:
                self.progress(len(found), len(found) + len(waiting))
            row, further = self._meet(pair)
            waiting += further
            if row is not None:
                found.append(row)
        order = {operation.name: place for place, operation in enumerate(self.graphs[0].operations)}
        values = {value: order[operation.name] for operation in self.graphs[0].operations for value in operation.outputs}
        return sorted(found, key=lambda row: values.get(row.at[0], -1))

    def _equal(self, pair: Obligation) -> bool:
        return self.alignment.numbers[0][pair[0]] == self.alignment.numbers[1][pair[1]]

    def _meet(self, pair: Obligation) -> tuple[Row | None, list[Obligation]]:
        """How an obligation is met, and the obligations that remain."""
        one, two = self._producers(pair)
        if one is not None and two is not None and self._are_matched(one, two, pair):
            return self._matched(one, two, pair)
        if one is not None and two is not None and (one.impure or two.impure):
            return self._unknown(one, two, pair, "not_deterministic", one.impure or two.impure), []
        first: tuple[Region, Row] | None = None
        for region in itertools.islice(self._regions(pair), MOST_REGIONS):
            if first is not None and not _may_grow(*first, region):
                break
            finer = self._finer(region) if first is None and _parameters(region) > SMALL_REGION else None
            if finer is not None:  # several large layers in a row have no operator that is quickly written down
                return finer
            row = self._decide(region, is_first=first is None)
            if row.relation in GOOD or (first is None and row.relation is Likeness.UP_TO):
                return row, [region.sources]
            first = first or (region, row)
        if first is not None:
            finer = self._finer(first[0]) if first[1].cause is None else None
            return finer or (first[1], [first[0].sources])
        return self._structure(pair, one, two)

    def _producers(self, pair: Obligation) -> tuple[Operation | None, Operation | None]:
        return self.graphs[0].producers.get(pair[0]), self.graphs[1].producers.get(pair[1])

    def _are_matched(self, one: Operation, two: Operation, pair: Obligation) -> bool:
        return (id(one), id(two)) in self.pairs and one.outputs.index(pair[0]) == two.outputs.index(pair[1])

    # --- matched operations -------------------------------------------------------------------------------------

    def _matched(self, one: Operation, two: Operation, pair: Obligation) -> tuple[Row | None, list[Obligation]]:
        if one.stretch is not None and two.stretch is not None:
            return None, [(one.stretch.source, two.stretch.source)]
        wanted = list(zip(one.inputs, two.inputs, strict=True))
        if all(self.alignment.correspond(a, b) for a, b in wanted):
            return None, wanted
        order = self._permutation(one.inputs, two.inputs)
        if order is None or order == tuple(range(len(wanted))):
            return None, wanted
        permuted = [(a, two.inputs[k]) for a, k in zip(one.inputs, order, strict=True)]
        if one.commutative:
            return None, permuted
        cause = (
            f"the inputs of `{one.name}` ({one.op}) are swapped"
            if len(order) == 2
            else f"the inputs of `{one.name}` ({one.op}) are reordered"
        )
        row = self._row(
            (one,), (two,), pair, Finding(relation=Likeness.UNKNOWN, reason="structure", detail="the same inputs in another order")
        )
        varying = tuple((a, b) for a, b in permuted if self.graphs[0].varies(a) and self.graphs[1].varies(b))
        return attrs.evolve(row, cause=cause, proved=True, given=varying), permuted

    def _permutation(self, left: Sequence[Value], right: Sequence[Value]) -> tuple[int, ...] | None:
        """The order of the right inputs in which most of them correspond to the left ones, if not all do as they are."""
        if len(left) > 6:
            return None
        fits = [[self.alignment.correspond(a, b) for b in right] for a in left]
        orders = itertools.permutations(range(len(right)))
        return max(orders, key=lambda order: sum(fits[k][p] for k, p in enumerate(order)))

    # --- regions ------------------------------------------------------------------------------------------------

    def _regions(self, pair: Obligation) -> Iterator[Region]:
        """Chains back to corresponding values, short ones first; regions that are read as layers, and no others, may grow."""
        paths = [self._path(side, value) for side, value in enumerate(pair)]
        lengths = sorted(itertools.product(*(range(len(path)) for path in paths)), key=lambda lengths: (sum(lengths), lengths))
        for i, j in lengths:
            if i == j == 0:
                continue
            a, b = paths[0][i][0], paths[1][j][0]
            if self.alignment.correspond(a, b):
                left, right = paths[0][i][1], paths[1][j][1]
                yield Region(tuple(reversed(left)), tuple(reversed(right)), (a, b), pair)

    def _path(self, side: int, value: Value) -> list[tuple[Value, tuple[Operation, ...]]]:
        """The values before `value` along stretches, with the operations from there to it (last first)."""
        found: list[tuple[Value, tuple[Operation, ...]]] = [(value, ())]
        while len(found) <= FARTHEST:
            operation = self.graphs[side].producers.get(found[-1][0])
            if operation is None or operation.stretch is None:
                break
            found.append((operation.stretch.source, (*found[-1][1], operation)))
        return found

    def _decide(self, region: Region, *, is_first: bool = True) -> Row:
        started = time.perf_counter()
        chains = [_chain(operations) for operations in (region.left, region.right)]
        left = self.deadline - time.monotonic()
        if left <= 0:
            finding = Finding(
                relation=Likeness.UNKNOWN, reason="budget", detail="the budget ran out before this part; give more with --budget"
            )
            return self._row(region.left, region.right, region.targets, finding)
        channels = next((op.stretch.channels for op in (*region.left[:1], *region.right[:1]) if op.stretch and op.stretch.channels), None)
        allowed = min(left, max(1.0, left / 2) if is_first else 3.0)
        finding = compare_parts(chains[0], chains[1], channels, allowed)
        finding = _graded(finding, chains[0], self.up_to)
        if finding.relation is Likeness.DIFFERENT and any(op.stretch and op.stretch.extents for op in (*region.left, *region.right)):
            note = "the parts differ at some extents, but the model fixes the extents, so this may not show"
            finding = attrs.evolve(finding, relation=Likeness.UNKNOWN, reason="fixed_extents", detail=note)
        row = self._row(region.left, region.right, region.targets, finding)
        if row.relation not in GOOD and is_first:
            tries = 0.0 if row.relation is Likeness.UP_TO else min(20.0, self.deadline - time.monotonic())
            cause = explain_layers(region.left, region.right, chains[0], chains[1], channels, tries)
            if cause is not None:
                row = attrs.evolve(row, cause=cause.text, proved=cause.proved)
        return attrs.evolve(row, since=region.sources, gain=part_gain(chains[0]), seconds=round(time.perf_counter() - started, 6))

    def _finer(self, region: Region) -> tuple[Row, list[Obligation]] | None:
        """The last pair of layers of a region with equal descriptions on both sides, where the rest can be compared by itself."""
        if len(region.left) != len(region.right) or len(region.left) < 2:
            return None
        kinds = [[None if op.stretch is None else op.stretch.layers for op in side] for side in (region.left, region.right)]
        if any(a is None or b is None or not _alike(a, b) for a, b in zip(*kinds, strict=True)):
            return None
        one, two = region.left[-1], region.right[-1]
        assert one.stretch is not None and two.stretch is not None
        last = Region((one,), (two,), (one.stretch.source, two.stretch.source), region.targets)
        return self._decide(last), [last.sources]

    # --- everything else ----------------------------------------------------------------------------------------

    def _structure(self, pair: Obligation, one: Operation | None, two: Operation | None) -> tuple[Row, list[Obligation]]:
        """Values that are computed in other ways: by other operators, or by one more on one side."""
        cause, further = explain_operations(one, two, pair, self.graphs, self.alignment.correspond)
        finding = cause.finding or Finding(relation=Likeness.UNKNOWN, reason="structure", detail=cause.text)
        finding = _graded(finding, None, self.up_to, cause.gain)
        row = self._row((one,) if one and cause.left else (), (two,) if two and cause.right else (), pair, finding)
        return attrs.evolve(row, cause=cause.text, proved=cause.proved, gain=cause.gain, given=tuple(further)), further

    def _unknown(self, one: Operation, two: Operation, pair: Obligation, reason: str, detail: str) -> Row:
        return self._row((one,), (two,), pair, Finding(relation=Likeness.UNKNOWN, reason=reason, detail=detail))

    def _row(self, left: Sequence[Operation], right: Sequence[Operation], pair: Obligation, finding: Finding) -> Row:
        return Row(
            left=tuple(op.name for op in left),
            right=tuple(op.name for op in right),
            left_text=_text(left),
            right_text=_text(right),
            relation=finding.relation,
            distance=finding.distance,
            exact=finding.exact,
            domain=finding.domain,
            witness=finding.witness,
            trust=finding.trust,
            reason=finding.reason,
            detail=finding.detail,
            at=pair,
        )


def _may_grow(first: Region, row: Row, region: Region) -> bool:
    """Whether a longer region is worth a try: the short one does not fit together, or what is around it may make up for it."""
    fits = row.relation is Likeness.DIFFERENT and (row.witness is None or row.witness["kind"] != "shapes")
    if not fits or _is_curved(first):  # a nonlinearity may have changed places with a shuffle
        return True
    return _parameters(region) <= SMALL_REGION and not _is_curved(region)


def _is_curved(region: Region) -> bool:
    layers = [layer for op in (*region.left, *region.right) if op.stretch is not None for layer in op.stretch.layers]
    return any(isinstance(layer, (Pointwise, PReLU)) for layer in layers)


def _parameters(region: Region) -> int:
    held = (own for op in (*region.left, *region.right) if op.stretch is not None for own in op.stretch.weights() if own is not None)
    return sum(int(own.kernel.size) for own in held)


def _chain(operations: Sequence[Operation]) -> tuple[tuple[Layer, ...], tuple[Weights | None, ...]]:
    layers: list[Layer] = []
    weights: list[Weights | None] = []
    for operation in operations:
        assert operation.stretch is not None, "regions are read as layers"
        layers += operation.stretch.layers
        weights += operation.stretch.weights()
    return tuple(layers), tuple(weights)


def _graded(finding: Finding, chain: Any, up_to: Fraction | None, gain: Fraction | None = None) -> Finding:
    """`different` by a small distance is `equal_up_to`; a domain that became narrower is a difference."""
    if finding.relation is Likeness.IDENTICAL and finding.domain in ("left_wider", "overlapping"):
        detail = "the right side does not accept every extent that the left side accepts"
        return attrs.evolve(finding, relation=Likeness.DIFFERENT, detail=detail)
    if (
        finding.relation not in (Likeness.DIFFERENT, Likeness.UP_TO)
        or finding.distance is None
        or finding.domain in ("left_wider", "overlapping")
    ):
        return finding
    if gain is None and chain is not None:
        gain = part_gain(chain)
    small = (up_to is not None and finding.distance <= up_to) or (gain is not None and finding.distance <= gain * SMALL)
    return attrs.evolve(finding, relation=Likeness.UP_TO if small else Likeness.DIFFERENT)


def _alike(left: Sequence[Layer], right: Sequence[Layer]) -> bool:
    return [(type(layer), layer.channels) for layer in left] == [(type(layer), layer.channels) for layer in right]


def _text(operations: Sequence[Operation]) -> str:
    """A part as people read it."""
    texts = []
    for operation in operations:
        stretch = operation.stretch
        texts += [operation.op] if stretch is None else [format_layer(layer) for layer in stretch.layers]
    return " >> ".join(texts)


__all__ = ["Comparison", "Likeness", "Row", "compare"]

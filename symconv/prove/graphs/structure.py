"""Values that two graphs compute by other operators: what was changed, left out or put in.

Owns: `explain_operations`, `Structural`.
Must not know: layers, runtimes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from symconv.errors import OutsideFragment
from symconv.prove.graphs.dataflow import Dataflow, Operation, Value
from symconv.prove.graphs.folding import upper
from symconv.prove.graphs.outcome import Likeness
from symconv.prove.graphs.stretches import Finding, difference, exact_sum

DEPTH = 4
"""Operations that may be left out at one place, at most."""

Correspond = Callable[[Value, Value], bool]


@attrs.frozen(kw_only=True)
class Structural:
    """One difference of structure.

    Args:
        text: one sentence.
        left, right: whether the operation of that side belongs to it.
        proved: whether that is all that differs, given that the remaining obligations are met.
        finding: how far it is proved what it does, or None.
        gain: a bound on the growth of the left operation, or None.
    """

    text: str
    left: bool = True
    right: bool = True
    proved: bool = False
    finding: Finding | None = None
    gain: Fraction | None = None


def explain_operations(
    one: Operation | None, two: Operation | None, pair: tuple[Value, Value], graphs: Sequence[Dataflow], correspond: Correspond
) -> tuple[Structural, list[tuple[Value, Value]]]:
    """What differs at a pair of values, and the obligations that remain if it is accepted."""
    if one is not None and two is not None and one.op == two.op and len(one.inputs) == len(two.inputs):
        found = _reordered(one, two, graphs, correspond) or _same_operator(one, two, graphs)
        if found is not None:
            return found
    for is_left, start, verb in ((True, one, "missing on the right"), (False, two, "on the right only")):
        skipped = _skipped(graphs[not is_left], start, _fitting(pair, is_left, correspond))
        if skipped is not None:
            names, value = skipped
            text = f"{names} {'are' if ' and ' in names else 'is'} {verb}"
            further = [(value, pair[1]) if is_left else (pair[0], value)]
            return Structural(text=text, left=is_left, right=not is_left, proved=True), further
    if one is not None and two is not None:
        varying = [[value for value in op.inputs if graph.varies(value)] for op, graph in ((one, graphs[0]), (two, graphs[1]))]
        if one.op != two.op and len(varying[0]) == len(varying[1]):
            further = _paired(varying[0], varying[1], correspond)
            return Structural(text=f"`{one.op}` became `{two.op}` at `{one.name}`", proved=True), further
        text = f"`{pair[0]}` is computed by `{one.name}` ({one.op}) on the left and by `{two.name}` ({two.op}) on the right"
        return Structural(text=text), []
    told = [
        f"computed by `{op.name}` ({op.op})" if op is not None else f"the value `{value}`" for op, value in ((one, pair[0]), (two, pair[1]))
    ]
    return Structural(text=f"what is {told[0]} on the left is {told[1]} on the right", left=one is not None, right=two is not None), []


def _fitting(pair: tuple[Value, Value], is_left: bool, correspond: Correspond) -> Callable[[Value], bool]:
    """Whether a value of one side corresponds to the other side's value of the pair."""
    return lambda value: correspond(value, pair[1]) if is_left else correspond(pair[0], value)


def _paired(left: Sequence[Value], right: Sequence[Value], correspond: Correspond) -> list[tuple[Value, Value]]:
    if len(left) == 2 and not correspond(left[0], right[0]) and correspond(left[0], right[1]):
        return [(left[0], right[1]), (left[1], right[0])]
    return list(zip(left, right, strict=True))


def _skipped(graph: Dataflow, start: Operation | None, fits: Callable[[Value], bool]) -> tuple[str, Value] | None:
    """The operations between a corresponding value and `start`, which the other side does without."""
    level: list[tuple[Operation, tuple[Operation, ...]]] = [] if start is None else [(start, (start,))]
    for _ in range(DEPTH):
        further: list[tuple[Operation, tuple[Operation, ...]]] = []
        for operation, path in level:
            for value in operation.inputs:
                if graph.varies(value) and fits(value):
                    return " and ".join(f"`{op.name}` ({op.op})" for op in reversed(path)), value
                producer = graph.producers.get(value)
                if producer is not None:
                    further.append((producer, (*path, producer)))
        level = further[:32]
    return None


def _same_operator(one: Operation, two: Operation, graphs: Sequence[Dataflow]) -> tuple[Structural, list[tuple[Value, Value]]] | None:
    """The same operator with other attributes or constants."""
    further: list[tuple[Value, Value]] = []
    texts: list[str] = []
    finding, gain = None, None
    if one.key != two.key:
        names = sorted({*one.attributes, *two.attributes})
        texts += [
            f"`{name}` {_shown(one.attributes.get(name))} became {_shown(two.attributes.get(name))}"
            for name in names
            if one.attributes.get(name) != two.attributes.get(name)
        ]
        texts = texts or ["its attributes differ"]
    for place, (a, b) in enumerate(zip(one.inputs, two.inputs, strict=True)):
        left, right = graphs[0].constants.get(a), graphs[1].constants.get(b)
        if left is None and right is None and a and b:
            further.append((a, b))
        elif left is None or right is None:
            if a or b:
                return None
        elif left.digest != right.digest:
            texts.append(_constants(left, right, a))
            if one.key == two.key and place == 1:
                finding, gain = _product(one, left, right)
    if not texts:
        return None
    if len(texts) > 1:
        finding = None
    return Structural(text=f"{', '.join(texts)} at `{one.name}` ({one.op})", proved=True, finding=finding, gain=gain), further


def _reordered(
    one: Operation, two: Operation, graphs: Sequence[Dataflow], correspond: Correspond
) -> tuple[Structural, list[tuple[Value, Value]]] | None:
    """The same operator on the same inputs in another order."""
    if one.key != two.key or not 2 <= len(one.inputs) <= 6 or not all((*one.inputs, *two.inputs)):
        return None
    for order in itertools.permutations(range(len(two.inputs))):
        pairs = [(a, two.inputs[k]) for a, k in zip(one.inputs, order, strict=True)]
        if all(correspond(a, b) for a, b in pairs) and order != tuple(range(len(order))):
            text = f"the inputs of `{one.name}` ({one.op}) are {'swapped' if len(order) == 2 else 'in another order'}"
            varying = [(a, b) for a, b in pairs if graphs[0].varies(a) and graphs[1].varies(b)]
            return Structural(text=text, proved=True), varying
    return None


def _shown(value: Any) -> str:
    text = "(default)" if value is None else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _constants(left: Any, right: Any, name: str) -> str:
    if left.shape != right.shape:
        return f"the constant `{name}` has the shape {left.shape} on the left and {right.shape} on the right"
    try:
        a, b = np.asarray(left.array()), np.asarray(right.array())
    except (ValueError, TypeError):
        return f"the constant `{name}` differs"
    if a.dtype != b.dtype:
        return f"the constant `{name}` is {a.dtype} on the left and {b.dtype} on the right"
    places = np.argwhere(a != b)
    if len(places) == 1:
        index = tuple(int(k) for k in places[0])
        last = " in its last bit" if a.dtype.kind == "f" and np.nextafter(a[index], b[index]) == b[index] else ""
        shown = f"[{', '.join(map(str, index))}] " if index else ""
        return f"one number of `{name}` differs{last}: {shown}is {a[index]!s} on the left and {b[index]!s} on the right"
    return f"{len(places):,} of {a.size:,} numbers of `{name}` differ" if len(places) else f"the constant `{name}` differs in its bits"


def _product(operation: Operation, left: Any, right: Any) -> tuple[Finding | None, Fraction | None]:
    """A matrix product with other constants: the exact operator distance is the largest column sum of |differences|."""
    attributes = operation.attributes
    if operation.op not in ("MatMul", "Gemm") or len(left.shape) < 2 or left.shape != right.shape:
        return None, None
    if operation.op == "Gemm" and (attributes.get("alpha", 1.0) != 1.0 or attributes.get("transA", 0)):
        return None, None
    a, b = np.asarray(left.array()), np.asarray(right.array())
    if a.dtype.kind != "f":
        return None, None
    axis = -1 if operation.op == "Gemm" and attributes.get("transB", 0) else -2
    try:
        high, low = (np.moveaxis(part, axis, -1).reshape(-1, a.shape[axis]) for part in difference(a, b))
    except OutsideFragment:
        return None, None
    sums = np.abs(high).sum(axis=1)
    near = np.nonzero(sums >= sums.max() * (1 - 2.0**-20))[0]
    worst = max(exact_sum(high[k], low[k]) for k in near)
    if not worst:
        return Finding(relation=Likeness.IDENTICAL, distance=Fraction(0), exact=True), None
    gain = upper(float(np.abs(a.astype(np.float64)).sum(axis=axis).max()))
    return Finding(relation=Likeness.DIFFERENT, distance=worst, exact=True), gain

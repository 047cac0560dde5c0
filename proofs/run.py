"""Runs a theorem: every part by its backend, every twin until it is refuted.

Owns: `prove`. Must not know: terminals, processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from symconv.api import check
from symconv.frontends.text import parse
from symconv.layers import flatten
from symconv.operators.denote import ExtentRejected, denote

from . import smt
from .theorem import Agreement, Case, Check, Counterexample, Definition, Exact, Identity, Outcome, Result, Theorem, Twin, Values

CANDIDATES = 20_000
"""Values tried for a twin before it counts as not refuted."""


def prove(theorem: Theorem) -> Result:
    """Everything about one theorem; a twin that is not refuted, or whose replay disagrees, is a failure."""
    start = time.perf_counter()
    checks: list[Check] = []
    for definition in theorem.definitions:
        checks.append(_timed("symconv's definitions", definition.name, partial(_problem, _departures, definition)))
    for obligation in theorem.obligations:
        checks += smt.check(obligation)
    for identity in theorem.identities:
        checks.append(_timed("sympy", identity.name, partial(_difference, identity)))
    for exact in theorem.exact:
        checks.append(_timed("exact", exact.name, partial(_problem, _failures, exact)))
    for agreement in theorem.agreements:
        checks.append(_timed("engine", agreement.name, partial(_problem, _surprises, agreement)))
    found = {}
    for twin in theorem.twins:
        begun = time.perf_counter()
        example = counterexample(twin)
        ok = example is not None and example.replayed is not False
        detail = "no counterexample" if example is None else "PyTorch does not show it" if not ok else example.text
        checks.append(Check("twin", twin.name, Outcome.REFUTED if ok else Outcome.FAILED, detail, time.perf_counter() - begun))
        if example is not None:
            found[twin.name] = example
    return Result(theorem.name, tuple(checks), found, time.perf_counter() - start)


def counterexample(twin: Twin) -> Counterexample | None:
    """The first, which is the smallest, counterexample."""
    for count, values in enumerate(twin.candidates()):
        if count >= CANDIDATES:
            return None
        if (example := twin.refute(values)) is not None:
            return example
    return None


def _timed(backend: str, part: str, failure: Callable[[], str | None]) -> Check:
    start = time.perf_counter()
    problem = failure()
    outcome = Outcome.PROVED if problem is None else Outcome.FAILED
    return Check(backend, part, outcome, problem or "holds", time.perf_counter() - start)


def _problem(search: Callable[[Any], Iterator[str]], part: Any) -> str | None:
    return next(search(part), None)


def _failures(exact: Exact) -> Iterator[str]:
    yield from exact.failures()


def _difference(identity: Identity) -> str | None:
    import sympy

    left, right = identity.sides()
    if left is right:
        return "one side is compared with itself"
    gap = left - right
    zero = sympy.expand(gap) == 0 if isinstance(gap, sympy.Expr) else gap.applyfunc(sympy.expand).is_zero_matrix
    return None if zero else f"the sides differ by {gap}"


def _departures(definition: Definition) -> Iterator[str]:
    """Where a definition's formula and symconv's layer part."""
    compared = 0
    for values in definition.grid():
        chain = flatten(parse(definition.layer(values)))
        for n in definition.extents:
            try:
                table = denote(chain, 1, (n,))
            except ExtentRejected:
                continue
            m = table.out_shape[1]
            if m != definition.extent(values, n):
                yield f"{definition.layer(values)} at extent {n}: output extent {m}, not {definition.extent(values, n)}"
            for o in range(m):
                row = table.entries[(0, o)]
                for i in range(n):
                    held = {param[1:] for param in row.get((0, i), {}) if param is not None}
                    if held != definition.taps(values, n, o, i):
                        yield f"{definition.layer(values)} at extent {n}: entry ({o}, {i}) holds {held}"
                    compared += 1
    if not compared:
        yield "nothing was compared"


def _surprises(agreement: Agreement) -> Iterator[str]:
    count = 0
    for case in agreement.cases():
        count += 1
        yield from surprise(case)
    if not count:
        yield "no instance"


def surprise(case: Case) -> Iterator[str]:
    """Where `symconv.check` answers otherwise than predicted, and what predicts nothing."""
    verdict = check(case.left, case.right, channels=case.channels, presburger=False)
    seen = {
        "relation": verdict.relation.value,
        "linear_relation": verdict.linear_relation and verdict.linear_relation.value,
        "interior_relation": verdict.interior_relation and verdict.interior_relation.value,
        "left_dimension": verdict.dimension and verdict.dimension.left,
        "right_dimension": verdict.dimension and verdict.dimension.right,
        "intersection": verdict.dimension and verdict.dimension.intersection,
    }
    if all(getattr(case, field) is None for field in seen):
        yield f"{case.left} against {case.right}: nothing is predicted"
    for field, found in seen.items():
        wanted = getattr(case, field)
        if wanted is not None and found != wanted:
            yield f"{case.left} against {case.right}: {field} is {found}, predicted {wanted}"


def values_text(values: Values) -> str:
    """k=4, s=2."""
    return ", ".join(f"{name}={value}" for name, value in values.items())

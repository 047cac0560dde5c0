"""Mutation of theorems: every formula is altered in small ways, and every altered theorem must be caught.

Owns: `mutants_of`, `caught`. Must not know: how results are printed.

A mutant is caught if a solver refutes an obligation, or does not prove it, or says that its givens cannot hold, or sees that
one side is compared with itself. A given is dropped, loosened or altered wherever it is used at once, since that is what
leaving out a hypothesis of the theorem would be.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from . import smt
from .terms import Term, mutants
from .theorem import Obligation, Outcome, Theorem

RECORD = Path(__file__).parent / "still_true.json"


@attrs.frozen
class Mutant:
    """A changed theorem: the obligations that the change touches."""

    theorem: str
    change: str
    obligations: tuple[Obligation, ...]


def mutants_of(theorem: Theorem) -> Iterator[Mutant]:
    """Every mutant of a theorem's obligations, in a fixed order."""
    yield from _goals(theorem)
    seen: dict[str, Term] = {}
    for obligation in theorem.obligations:
        for given in obligation.given:
            seen.setdefault(str(given), given)
    for written, given in seen.items():
        touched = tuple(item for item in theorem.obligations if written in map(str, item.given))
        dropped = tuple(attrs.evolve(item, given=tuple(g for g in item.given if str(g) != written)) for item in touched)
        yield Mutant(theorem.name, f"without {written}", dropped)
        for how, changed in mutants(given, positive=False):
            swap: Mapping[str, Term] = {written: changed}
            altered = tuple(attrs.evolve(item, given=tuple(swap.get(str(g), g) for g in item.given)) for item in touched)
            yield Mutant(theorem.name, f"assuming {how}", altered)


def _goals(theorem: Theorem) -> Iterator[Mutant]:
    for item in theorem.obligations:
        for how, changed in mutants(item.goal):
            yield Mutant(theorem.name, f"{item.name}: claiming {how}", (attrs.evolve(item, goal=changed),))
        for side in item.goal.args if item.goal.op == "=" else ():
            yield Mutant(theorem.name, f"{item.name}: {side} compared with itself", (attrs.evolve(item, goal=Term("=", (side, side))),))


def caught(mutant: Mutant) -> bool:
    """Whether Z3 does not prove one of the changed obligations."""
    return any(smt.check_with("z3", item).outcome is Outcome.FAILED for item in mutant.obligations)


def reason(change: str) -> str:
    """Why a mutant that is proved is no gap, by the kind of change; `still_true` lists them all (a category each, not an argument each)."""
    if change.startswith("without"):
        return "follows from the other givens of every step that states it; stated because the definition asks for it"
    if change.startswith("assuming"):
        return "the step holds more generally than it is used: it does not reach the edge of this given, or needs one part of it only"
    return "what is claimed is weaker, or the same because a term is zero or cancels: true as altered"


def still_true() -> dict[str, list[str]]:
    """Theorem to the changes after which it is still true, as recorded; a change that is not listed there must be caught."""
    record: dict[str, list[str]] = json.loads(RECORD.read_text())
    return record

"""What a theorem is: frozen values that the command, the tests and the report share.

Owns: `Theorem` and its parts.
Must not know: solvers, terminals, the theorems.

    Hypothesis   what is assumed, and why it is needed
    Definition   a layer's taps and extents as formulas, compared with symconv's own layers on a grid
    Obligation   a formula that Z3 and cvc5 must both prove, all hyper-parameters symbolic
    Identity     an equation that SymPy must confirm
    Exact        a statement computed exactly on a grid or by a finite argument, its range stated
    Agreement    what `symconv.check` must answer on instances
    Twin         a bent variant, refuted by its smallest counterexample
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from .terms import Term

GROUPS = {
    "same_layer": "The layers are the same, and exactly when",
    "dual_and_resize": "The dual, resizing, checkerboards",
    "networks": "Networks in low and in high resolution",
    "arithmetic": "Arithmetic that everybody uses",
    "engine_laws": "The laws that the engine rests on",
}
"""Folder to heading, in the order of reading."""

Values = Mapping[str, int]


class Outcome(enum.Enum):
    """What one backend says of one part of a theorem; the value is the message."""

    PROVED = "proved"
    REFUTED = "refuted"
    FAILED = "failed"
    NOT_RUN = "not run"


@attrs.frozen
class Hypothesis:
    """What is assumed.

    Args:
        formula: for the solvers.
        why: what goes wrong without it, or which definition asks for it.
    """

    formula: Term
    why: str


@attrs.frozen
class Definition:
    """The taps that one entry of a layer's operator holds, as a formula, and the layer itself.

    Args:
        name: what it is called.
        statement: the formula in words and signs.
        layer: an expression with the hyper-parameters in braces.
        taps: (values, n, o, i) to the kernel indices that entry (o, i) holds, computed by the formula.
        extent: (values, n) to the output extent, computed by the formula; below 1 where there is no output.
        grid: the hyper-parameters on which formula and layer are compared.
        extents: the input extents on which they are compared.
    """

    name: str
    statement: str
    layer: Callable[[Values], str]
    taps: Callable[[Values, int, int, int], set[tuple[int, ...]]]
    extent: Callable[[Values, int], int]
    grid: Callable[[], Iterable[Values]]
    extents: tuple[int, ...] = (1, 2, 3, 5)


@attrs.frozen
class Obligation:
    """A formula to be proved: wherever `given` holds, `goal` holds.

    Args:
        name: a few words, unique in its theorem.
        given: hypotheses, named quotients and earlier goals.
        goal: what both solvers must prove.
        note: how the step is seen by hand.
    """

    name: str
    given: tuple[Term, ...]
    goal: Term
    note: str = ""


@attrs.frozen
class Identity:
    """An equation between two expressions or matrices of SymPy, made when it is checked."""

    name: str
    statement: str
    sides: Callable[[], tuple[Any, Any]]


@attrs.frozen
class Exact:
    """A statement computed exactly.

    Args:
        name: a few words.
        statement: what holds.
        range: for which values it is computed.
        failures: a sentence for every value at which it does not hold; none is a proof for the range.
    """

    name: str
    statement: str
    range: str
    failures: Callable[[], Iterable[str]]


@attrs.frozen
class Case:
    """One question to `symconv.check` and the answer that a theorem predicts; None predicts nothing."""

    left: str
    right: str
    relation: str | None = None
    linear_relation: str | None = None
    interior_relation: str | None = None
    left_dimension: int | None = None
    right_dimension: int | None = None
    intersection: int | None = None
    channels: int | None = None


@attrs.frozen
class Agreement:
    """What the engine must answer.

    Args:
        name: a few words.
        statement: what is predicted.
        range: which instances.
        cases: every instance, in a fixed order.
    """

    name: str
    statement: str
    range: str
    cases: Callable[[], Iterable[Case]]


@attrs.frozen
class Counterexample:
    """Values that refute a twin.

    Args:
        values: the hyper-parameters.
        text: what goes wrong, with numbers.
        replayed: True if PyTorch's own layers were run in exact integers and show it; None where no layer is spoken of.
    """

    values: Values
    text: str
    replayed: bool | None


@attrs.frozen
class Twin:
    """A statement bent as people bend it, which is false.

    Args:
        name: a few words.
        bend: what was changed.
        candidates: values in increasing order of size, so that the first one that refutes is smallest.
        refute: the counterexample at these values, or None if the bent statement holds there.
    """

    name: str
    bend: str
    candidates: Callable[[], Iterable[Values]]
    refute: Callable[[Values], Counterexample | None]


@attrs.frozen
class Theorem:
    """A statement with everything that proves it.

    Args:
        name: how the command calls it.
        numbers: the entries of the list of claims that it settles.
        group: a key of `GROUPS`.
        title: the statement in one sentence.
        statement: the statement in full, as lines.
        proof: readable steps, as lines.
        source: where the claim is made.
        scope: for which hyper-parameters and extents it is proved, and by what.
        corrections: what the claim got wrong or left out.
    """

    name: str
    numbers: tuple[int, ...]
    group: str
    title: str
    statement: tuple[str, ...]
    proof: tuple[str, ...]
    source: str
    scope: str
    hypotheses: tuple[Hypothesis, ...] = ()
    definitions: tuple[Definition, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    identities: tuple[Identity, ...] = ()
    exact: tuple[Exact, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    twins: tuple[Twin, ...] = ()
    corrections: tuple[str, ...] = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends that this theorem asks for, in the order in which they run."""
        asked = (
            ("symconv's definitions", self.definitions),
            ("z3", self.obligations),
            ("cvc5", self.obligations),
            ("sympy", self.identities),
            ("exact", self.exact),
            ("engine", self.agreements),
        )
        return tuple(name for name, parts in asked if parts)


@attrs.frozen
class Check:
    """What one backend says of one part of a theorem."""

    backend: str
    part: str
    outcome: Outcome
    detail: str
    seconds: float


@attrs.frozen
class Result:
    """Everything that was found out about one theorem."""

    theorem: str
    checks: tuple[Check, ...]
    counterexamples: Mapping[str, Counterexample]
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """Proved if nothing failed, something was proved, and every part was run by some backend; the checks say by which.

        A step may be run by either solver; every other part has one backend, whatever its name.
        """
        if any(check.outcome is Outcome.FAILED for check in self.checks):
            return Outcome.FAILED
        ran = {_part(check) for check in self.checks if check.outcome is not Outcome.NOT_RUN}
        proved = any(check.outcome is Outcome.PROVED for check in self.checks)
        return Outcome.PROVED if proved and ran == set(map(_part, self.checks)) else Outcome.NOT_RUN


def _part(check: Check) -> tuple[str, str]:
    """What a check is of: its part, and the kind of part, since a step and a computation may have one name."""
    return ("solver" if check.backend in ("z3", "cvc5") else check.backend), check.part

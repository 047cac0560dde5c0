"""What a comparison of two models says: one row for each place where they are not the same by congruence, and the whole.

Owns: `Likeness`, `Row`, `Comparison`; their JSON.
Must not know: how it was found, or how it is shown.
"""

from __future__ import annotations

import enum
from fractions import Fraction
from typing import Any

import attrs

from symconv.certificate.encode import rational

SCHEMA = "symconv.diff/1"


class Likeness(enum.StrEnum):
    """How two layers, or two models, compare."""

    IDENTICAL = "identical"
    UP_TO = "equal_up_to"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Row:
    """Two parts that stand for one another, given equal inputs.

    Args:
        left, right: the operations of each side, in order; none where the side has nothing there.
        left_text, right_text: the parts as layers, or as operators.
        relation: how they compare.
        distance: a proved bound on how far the outputs are apart for inputs |x| <= 1, or None; the operator distance itself if `exact`.
        exact: whether the distance is the supremum, not only a bound.
        gain: a bound on the outputs' growth: how far two outputs of the left part are apart where two inputs differ by at most 1.
        domain: how the extents that each side accepts compare, where that is not "same".
        witness: input and both outputs as `check` has them, or None.
        trust: "certified" if the independent checker accepted what this rests on, "congruence" if equal layers were compared weight
            by weight; None if it is exact arithmetic that nothing re-checked.
        reason, detail: why an unknown is one.
        cause: the shortest true sentence on what differs, or None.
        proved: whether undoing that cause was proved to make the two sides the same.
        seconds: time it took.
        at: the values that the parts compute.
        since: the values that they are computed from, where each part is a chain.
        given: the pairs of values that they are computed from, taken as equal, where they are operators.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    left_text: str
    right_text: str
    relation: Likeness
    distance: Fraction | None = None
    exact: bool = False
    gain: Fraction | None = None
    domain: str | None = None
    witness: dict[str, Any] | None = None
    trust: str | None = None
    reason: str | None = None
    detail: str | None = None
    cause: str | None = None
    proved: bool = False
    seconds: float = 0.0
    at: tuple[str, str] = ("", "")
    since: tuple[str, str] = ("", "")
    given: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of a row."""
        found = attrs.asdict(self, recurse=False)
        found |= {name: list(found[name]) for name in ("left", "right", "at", "since")}
        found["given"] = [list(pair) for pair in self.given]
        found |= {name: None if found[name] is None else rational(found[name]) for name in ("distance", "gain")}
        return found | {"relation": self.relation.value}


@attrs.frozen(kw_only=True)
class Comparison:
    """How two models compare.

    Args:
        left, right: where they came from.
        relation: identical; equal_up_to (every part is identical or equal up to a small proved distance); different (a witness
            for the whole models, or a proof); unknown.
        rows: the parts that are not the same by congruence, in the order of the left model.
        operations: per side, how many operations there are that an output depends on.
        congruent: how many operations of the left model have a counterpart with the same operator and the same constants.
        bound: a proved bound on how far the outputs are apart for model inputs |x| <= 1, or None.
        cause: the shortest true sentence on what differs, or None.
        witness: an input of the whole models, with both outputs, or None.
        evidence: what a difference of the whole models rests on: "proof", "exact run", "bounded run"; "run" if only rounded
            numbers show it, which is no proof; or None.
        reason, detail: why an unknown is one.
        assumptions: sentences that the answer rests on.
        seconds: time it took.
    """

    left: str
    right: str
    relation: Likeness
    rows: tuple[Row, ...]
    operations: tuple[int, int]
    congruent: int
    bound: Fraction | None = None
    cause: str | None = None
    witness: dict[str, Any] | None = None
    evidence: str | None = None
    reason: str | None = None
    detail: str | None = None
    assumptions: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The object that `symconv diff --json` prints."""
        found = attrs.asdict(self, recurse=False)
        found |= {
            "rows": [row.to_dict() for row in self.rows],
            "operations": {"left": self.operations[0], "right": self.operations[1]},
            "relation": self.relation.value,
            "bound": None if self.bound is None else rational(self.bound),
            "assumptions": list(self.assumptions),
        }
        return {"schema": SCHEMA, **found}

"""What a decision says: a frozen record with the fields of the JSON contract.

Owns: `Verdict`. Must not know: how it was found, or how it is shown.
"""

from __future__ import annotations

from typing import Any

import attrs

from symconv.theory.relation import Claim, DomainRelation, Relation, Trust

SCHEMA = "symconv.check/1"
ALL_EXTENTS = "all_extents"


@attrs.frozen(kw_only=True)
class Dimension:
    """Parameters that the function can see, over all channels, biases included; None where there is no such number."""

    left: int
    right: int
    intersection: int | None


@attrs.frozen(kw_only=True)
class Verdict:
    """The answer to one comparison; `to_dict()` is the object that `--json` prints.

    Args:
        left, right: the two layers as expressions.
        relation: counts biases; `linear_relation` leaves them out; `interior_relation` is for the bi-infinite signal.
        domain: how the valid extents compare; `domain_extents` the smallest that show a difference.
        scope: "all_extents", or "extents" when only the extents given were compared.
        cutoff: agreement at every common extent up to this one implies agreement at all of them (the largest over axes).
        trust: what vouches, or None for unknown.
        dimension: of the classes and of their intersection.
        reason: a short word for an unknown, else None; `detail` is a sentence.
        left_in_right, right_in_left: True proved, False refuted, None undecided.
        witness: replayable refutation, or None.
        certificate: the certificate object, or None.
        deciders: which deciders ran and what they said.
        dead_taps: per side and axis, taps that no extent sees.
        parameters: per side, the number of parameters, seen or not.
        distance: weighted layers: the exact operator distance as "p/q".
        assumptions: sentences that the verdict rests on.
        seconds: wall-clock time of the decision.
    """

    left: str
    right: str
    relation: Relation
    interior_relation: Relation | None = None
    linear_relation: Relation | None = None
    domain: DomainRelation | None = None
    domain_extents: tuple[int, ...] | None = None
    scope: str = ALL_EXTENTS
    cutoff: int | None = None
    trust: Trust | None = None
    dimension: Dimension | None = None
    reason: str | None = None
    detail: str | None = None
    left_in_right: bool | None = None
    right_in_left: bool | None = None
    witness: dict[str, Any] | None = None
    certificate: dict[str, Any] | None = None
    deciders: dict[str, str] = attrs.field(factory=dict)
    dead_taps: dict[str, list[list[int]]] | None = None
    parameters: dict[str, int] | None = None
    distance: str | None = None
    assumptions: tuple[str, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, field by field, with plain values only."""
        fields = attrs.asdict(self, value_serializer=_plain)
        return {"schema": SCHEMA, **fields}

    def proves(self, claim: Claim, *, common_extents: bool = False) -> bool | None:
        """Whether the verdict proves (True), refutes (False) or leaves open (None) a claim.

        A narrower domain refutes `equal` and `left-in-right` (the right side must accept what the left one does),
        unless only common extents count.
        """
        if self.relation in (Relation.IDENTICAL, Relation.DIFFERENT):
            holds: bool | None = self.relation is Relation.IDENTICAL
        elif self.relation is Relation.SHAPES_DIFFER:
            holds = False
        else:
            forth, back = self.left_in_right, self.right_in_left
            if claim is Claim.EQUAL:
                holds = False if False in (forth, back) else (True if forth and back else None)
            else:
                holds = forth if claim is Claim.LEFT_IN_RIGHT else back
        if not common_extents and self._domain_refutes(claim):
            return False
        return holds

    def _domain_refutes(self, claim: Claim) -> bool:
        if self.domain in (None, DomainRelation.SAME):
            return False
        if claim is Claim.LEFT_IN_RIGHT:
            return self.domain is not DomainRelation.RIGHT_WIDER
        if claim is Claim.RIGHT_IN_LEFT:
            return self.domain is not DomainRelation.LEFT_WIDER
        return True


def _plain(_: Any, __: Any, value: Any) -> Any:
    if isinstance(value, (Relation, DomainRelation, Trust, Claim)):
        return value.value
    return list(value) if isinstance(value, tuple) else value

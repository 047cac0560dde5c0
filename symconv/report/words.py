"""Verdicts in words.

Owns: headlines, and names of relations, domains, claims, trust. Must not know: layout.
"""

from __future__ import annotations

from fractions import Fraction

from symconv.report.extents import extents_text
from symconv.report.numbers import approximately
from symconv.report.page import Tone
from symconv.theory.relation import Claim, DomainRelation, Relation, Trust
from symconv.theory.verdict import ALL_EXTENTS, Verdict

RELATION = {
    Relation.EQUAL: "equal",
    Relation.LEFT_IN_RIGHT: "left in right, strictly",
    Relation.RIGHT_IN_LEFT: "right in left, strictly",
    Relation.INCOMPARABLE: "incomparable",
    Relation.SHAPES_DIFFER: "shapes differ",
    Relation.IDENTICAL: "identical",
    Relation.DIFFERENT: "different",
    Relation.UNKNOWN: "unknown",
}

CLAIM = {
    Claim.EQUAL: "equal",
    Claim.LEFT_IN_RIGHT: "left in right",
    Claim.RIGHT_IN_LEFT: "right in left",
}

DOMAIN = {
    DomainRelation.SAME: "same",
    DomainRelation.LEFT_WIDER: "left wider",
    DomainRelation.RIGHT_WIDER: "right wider",
    DomainRelation.OVERLAPPING: "overlapping",
    DomainRelation.DISJOINT: "disjoint",
}

OUTCOME = {True: "proved", False: "refuted", None: "open"}

TRUST = {
    Trust.CERTIFIED: "certified: the independent checker accepted the certificate",
    Trust.SOLVER: "solver: an SMT solver decided it, and nothing else vouches",
    Trust.SAMPLED: "sampled: numbers agreed; this is no proof",
}

DECIDER = {
    "rank": "exact rank over the rationals",
    "exact": "exact rational arithmetic on the weights",
    "enclosures": "both outputs on one input, enclosed by balls that do not meet",
    "checker": "independent checker",
    "presburger": "Z3 with symbolic extents",
}

_CLASSES = {
    Relation.EQUAL: "both realise the same functions",
    Relation.LEFT_IN_RIGHT: "the right layer does all the left one does, and more",
    Relation.RIGHT_IN_LEFT: "the left layer does all the right one does, and more",
    Relation.INCOMPARABLE: "each layer realises functions the other cannot",
}


def headline(verdict: Verdict, *, interior: bool = False) -> str:
    """The answer in one line.

    Args:
        verdict: of a check.
        interior: answer for the bi-infinite signal instead.
    """
    relation = verdict.interior_relation if interior else verdict.relation
    if interior and relation in _CLASSES:
        return f"{RELATION[relation]} in the interior: away from the borders {_CLASSES[relation]}"
    if interior and relation is not Relation.SHAPES_DIFFER:
        return f"unknown in the interior: {verdict.detail or 'the question without borders was not decided'}"
    if relation is Relation.EQUAL:
        return f"equal{_place(verdict)}: {_equal(verdict)}"
    if relation in _CLASSES:
        return f"{RELATION[relation]}{_place(verdict)}: {_CLASSES[relation]}"
    if relation is Relation.SHAPES_DIFFER:
        return f"not equal: {_shapes(verdict)}"
    if relation is Relation.IDENTICAL:
        return f"identical{_place(verdict)}: both compute the same function, for every input{_and_extent(verdict)}"
    if relation is Relation.DIFFERENT:
        return f"different: {_distance(verdict)}"
    for holds, claim in ((verdict.left_in_right, Claim.LEFT_IN_RIGHT), (verdict.right_in_left, Claim.RIGHT_IN_LEFT)):
        if holds:
            return f"{CLAIM[claim]}: proved; whether strictly is open"
    return f"unknown: {verdict.detail or verdict.reason or 'not decided'}"


def _place(verdict: Verdict) -> str:
    if verdict.scope != ALL_EXTENTS:
        return " at the extents given"
    return "" if verdict.domain in (None, DomainRelation.SAME) else " on common extents"


def _equal(verdict: Verdict) -> str:
    if _place(verdict):
        return "the same functions there, for every kernel and input"
    return f"{_CLASSES[Relation.EQUAL]}, for every kernel, input and extent"


def _and_extent(verdict: Verdict) -> str:
    return "" if _place(verdict) else " and extent"


def _shapes(verdict: Verdict) -> str:
    witness = verdict.witness or {}
    shapes = [witness[key] for key in ("left_shape", "right_shape") if key in witness]
    channels = witness.get("channels") or [shape[0] for shape in shapes]
    if channels[0] != channels[1]:
        return f"{channels[0]} output channels on the left, {channels[1]} on the right"
    where = f"shapes differ at extent {extents_text(witness['extents'])}" if witness.get("extents") else "shapes differ"
    if shapes:
        return f"{where}: {extents_text(shapes[0][1:])} on the left, {extents_text(shapes[1][1:])} on the right"
    return where


def _distance(verdict: Verdict) -> str:
    if verdict.distance is None:
        return "the two compute different functions"
    value = Fraction(verdict.distance)
    return f"outputs differ by up to {approximately(value, 3)}, for inputs in [-1, 1]{'' if _place(verdict) else ' of any extent'}"


def domain(verdict: Verdict) -> str:
    """How the valid extents compare, as a sentence; empty where they are the same or not known."""
    at = extents_text(verdict.domain_extents or ())
    return {
        DomainRelation.LEFT_WIDER: f"left wider: the right layer rejects extent {at}, which the left one accepts",
        DomainRelation.RIGHT_WIDER: f"right wider: the left layer rejects extent {at}, which the right one accepts",
        DomainRelation.OVERLAPPING: f"overlapping: each layer accepts extents that the other rejects, such as {at} (left only)",
        DomainRelation.DISJOINT: "disjoint: no extent is valid for both",
    }.get(verdict.domain or DomainRelation.SAME, "")


def tone(holds: bool | None) -> Tone:
    """The tone of a claim's outcome."""
    return {True: Tone.PROVED, False: Tone.REFUTED, None: Tone.OPEN}[holds]


def duration(seconds: float) -> str:
    """12 ms; 1.5 s"""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms" if seconds < 0.01 else f"{1000 * seconds:.0f} ms"

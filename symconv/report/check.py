"""The page of a check: the relation first, then why.

Owns: `check_page`. Must not know: widths, colours, exit codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.errors import SymconvError
from symconv.frontends.text import parse
from symconv.prove.decide import bind_pair
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity
from symconv.report import words
from symconv.report.extents import domain_text, extent_formula
from symconv.report.numbers import number
from symconv.report.page import Block, Fact, Facts, Page, Prose, Section
from symconv.report.picture import PARAMETRIC, kernel_pictures
from symconv.report.witness import SIDES, witness_blocks
from symconv.theory.relation import Claim, DomainRelation, Relation
from symconv.theory.verdict import ALL_EXTENTS, Verdict

MOST_TAPS = 12
LONGEST_RATIONAL = 60
NO_ARITHMETIC = (Relation.UNKNOWN, Relation.SHAPES_DIFFER, Relation.IDENTICAL, Relation.DIFFERENT)
"""Relations whose verdicts name their arithmetic themselves, or need none."""


@attrs.frozen(kw_only=True)
class Question:
    """What was asked, beside the two layers.

    Args:
        claim: what should be proved.
        holds: the outcome for that claim: True, False or None for open.
        interior: judged without borders.
        common_extents: judged on common extents only.
        saved: where the certificate was written, or None.
    """

    claim: Claim = Claim.EQUAL
    holds: bool | None = None
    interior: bool = False
    common_extents: bool = False
    saved: str | None = None


def check_page(verdict: Verdict, question: Question) -> Page:
    """The report of one comparison."""
    sections = [Section("", (Facts(tuple(_facts(verdict, question))),))]
    sections += _moves(verdict)
    sections += _refutation(verdict, question)
    sections.append(Section("Proof" if verdict.trust else "What was done", tuple(proof_blocks(verdict, question.saved))))
    return Page(words.headline(verdict, interior=question.interior), words.tone(question.holds), tuple(sections))


def _facts(verdict: Verdict, question: Question) -> list[Fact]:
    rows = [Fact(side, getattr(verdict, side), is_expression=True) for side in SIDES]
    rows.append(Fact("claim", _claim(verdict, question)))
    rows += extent_facts(verdict)
    rows.append(Fact("domain", words.domain(verdict)))
    rows.append(Fact("dimension", dimension_text(verdict)))
    rows += _other_relations(verdict, question)
    rows.append(Fact("distance", _distance(verdict)))
    rows.append(Fact("dead taps", dead_taps(verdict)))
    return [row for row in rows if row.text]


def _claim(verdict: Verdict, question: Question) -> str:
    text = f"{words.CLAIM[question.claim]}: {words.OUTCOME[question.holds]}"
    if question.interior:
        return f"{text}, without borders"
    if question.holds is False and verdict.proves(question.claim, common_extents=True):
        return f"{text} by the narrower domain; --common-extents leaves that out"
    return text


def extent_facts(verdict: Verdict, names: tuple[str, str] = SIDES) -> list[Fact]:
    """Output extents as formulas; one fact if both layers have the same."""
    try:
        formulas = [_formulas(verdict, side) for side in SIDES]
    except SymconvError:
        return []
    if formulas[0] == formulas[1]:
        return [Fact("extents", formulas[0])]
    return [Fact("extents", "\n".join(f"{name}: {text}" for name, text in zip(names, formulas, strict=True)))]


def _formulas(verdict: Verdict, side: str) -> str:
    from symconv.operators.domain import domain

    channels = (verdict.certificate or {}).get("in_channels")
    pair = bind_pair(parse(verdict.left), parse(verdict.right), channels)
    chain = tuple(layer for layer in getattr(pair, side) if not is_nonlinearity(layer))
    return formula_text(
        [(extent_formula(word, domain(word)), domain_text(domain(word))) for word in words_of(chain, pair.channels, pair.axes)]
    )


def formula_text(axes: Sequence[tuple[str, str]]) -> str:
    """(formula, domain) of every axis as one line."""
    texts = [f"m = {formula} for {valid}" for formula, valid in axes]
    if len(set(texts)) == 1:
        return texts[0] + (" on every axis" if len(texts) > 1 else "")
    return "; ".join(f"axis {axis}: {text}" for axis, text in enumerate(texts))


def dimension_text(verdict: Verdict, names: tuple[str, str] = SIDES) -> str:
    """Dimensions of both classes and of their intersection."""
    if verdict.dimension is None:
        return ""
    counts = verdict.parameters or _parameters(verdict.certificate)
    parts = []
    for side, name in zip(SIDES, names, strict=True):
        dimension = getattr(verdict.dimension, side)
        total = counts.get(side)
        if total == 0:
            parts.append(f"{name} 0 (one function)")
        else:
            parts.append(f"{name} {dimension}" + (f" of {total} parameters" if total not in (None, dimension) else ""))
    shared = verdict.dimension.intersection
    if shared is not None:
        parts.append(f"intersection {shared}")
    elif 0 in counts.values():  # a class against one function that is not in it
        parts.append("intersection empty")
    return ", ".join(parts)


def _parameters(certificate: Mapping[str, Any] | None) -> dict[str, int]:
    """Parameters of each side, counted on the certificate's layers."""
    if certificate is None:
        return {}
    return {side: sum(_layer_parameters(layer) for layer in certificate[side]) for side in SIDES}


def _layer_parameters(layer: Mapping[str, Any]) -> int:
    if layer["type"] not in PARAMETRIC:
        return 0
    if layer["type"] == "BatchNorm":
        return 2 * int(layer["num_features"])
    kernel = layer["in_channels"] * layer["out_channels"] // layer["groups"] * math.prod(layer["kernel"])
    return int(kernel + (layer["out_channels"] if layer["bias"] else 0))


def _other_relations(verdict: Verdict, question: Question) -> list[Fact]:
    rows = []
    if verdict.linear_relation not in (None, verdict.relation):
        rows.append(Fact("without bias", words.RELATION[verdict.linear_relation]))
    main, other = verdict.relation, verdict.interior_relation
    if question.interior:
        rows.append(Fact("with borders", words.RELATION[main]))
    elif other not in (None, main):
        rows.append(Fact("interior", f"{words.RELATION[other]}, away from the borders"))
    return rows


def _distance(verdict: Verdict) -> str:
    """The largest difference of the outputs that an input in [-1, 1] can make, exactly if that is short."""
    if verdict.relation is not Relation.DIFFERENT or verdict.distance is None:
        return ""
    return f"exactly {verdict.distance}" if len(verdict.distance) <= LONGEST_RATIONAL else number(Fraction(verdict.distance))


def dead_taps(verdict: Verdict) -> str:
    """Which taps no output of any extent depends on."""
    parts = []
    for side in SIDES:
        for axis, taps in enumerate((verdict.dead_taps or {}).get(side, ())):
            if taps:
                listed = ", ".join(map(str, taps[:MOST_TAPS])) + (f" and {len(taps) - MOST_TAPS} more" if len(taps) > MOST_TAPS else "")
                parts.append(f"{side}, axis {axis}: {listed}")
    return "; ".join(parts)


def _moves(verdict: Verdict) -> list[Section]:
    """Where the taps go, in the direction that holds (left to right if both do)."""
    forth = bool(verdict.left_in_right)
    if not forth and not verdict.right_in_left:
        return []
    blocks = kernel_pictures(verdict.certificate, forth=forth)
    return [Section(_moves_title(verdict, forth), blocks)] if blocks else []


def _moves_title(verdict: Verdict, forth: bool) -> str:
    source, target = SIDES if forth else SIDES[::-1]
    fixed = not (verdict.parameters or _parameters(verdict.certificate)).get(source, 1)
    return f"The {target} kernel that gives the {source} function" if fixed else "Where each tap goes"


def _refutation(verdict: Verdict, question: Question) -> list[Section]:
    if verdict.witness is None:
        return []
    return [Section(_refutation_title(verdict, question), witness_blocks(verdict.witness))]


def _refutation_title(verdict: Verdict, question: Question) -> str:
    title = "With borders: what differs" if question.interior and question.holds else "What differs"
    refutes = (verdict.witness or {}).get("refutes")
    if refutes == "left_in_right":
        return f"{title}: a left kernel that no right kernel matches"
    if refutes == "right_in_left":
        return f"{title}: a right kernel that no left kernel matches"
    return title


def proof_blocks(verdict: Verdict, saved: str | None) -> list[Block]:
    """What vouches for the verdict, and what it rests on."""
    rows = [Fact("reason", verdict.reason or "")]
    rows.append(Fact("trust", words.TRUST[verdict.trust] if verdict.trust else ""))
    rows.append(Fact("scope", _scope(verdict)))
    rows.append(Fact("deciders", "; ".join(f"{words.DECIDER.get(name, name)}: {said}" for name, said in verdict.deciders.items())))
    exact = () if verdict.relation in NO_ARITHMETIC else ("exact arithmetic, so no rounding",)
    rows.append(Fact("assumes", "; ".join((*exact, *verdict.assumptions))))
    rows.append(Fact("certificate", saved or ("keep it with --certificate FILE" if verdict.certificate else "")))
    rows.append(Fact("time", words.duration(verdict.seconds)))
    blocks: list[Block] = [Facts(tuple(row for row in rows if row.text))]
    if verdict.relation is Relation.UNKNOWN and verdict.detail and not words.headline(verdict).endswith(verdict.detail):
        blocks.insert(0, Prose(verdict.detail))
    return blocks


def _scope(verdict: Verdict) -> str:
    if verdict.relation is Relation.UNKNOWN and verdict.trust is None:
        return ""
    if verdict.scope != ALL_EXTENTS:
        return "the extents given, and no others"
    if verdict.relation is Relation.SHAPES_DIFFER:
        return "one extent refutes"
    common = "every extent" if verdict.domain in (None, DomainRelation.SAME) else "every common extent"
    return common + (f"; what holds up to extent {verdict.cutoff} holds for all (cutoff)" if verdict.cutoff else "")

"""The page of a conversion: the converted layer first, then why it is the same, where its taps come from and what it costs.

Owns: `convert_page`. Must not know: widths, colours, exit codes, how candidates are found.
"""

from __future__ import annotations

from fractions import Fraction

from symconv.convert.conversion import Candidate, Conversion
from symconv.report import words
from symconv.report.check import dimension_text, extent_facts, proof_blocks
from symconv.report.page import Fact, Facts, Lines, Page, Prose, Section, Table, Tone
from symconv.report.picture import kernel_pictures
from symconv.report.witness import witness_blocks
from symconv.theory.relation import DomainRelation, Relation
from symconv.theory.verdict import Verdict

NAMES = ("given", "converted")
UNIT = "Multiplications for each sample of the input, all channels together; * is the converted layer."

_RELATION = {
    Relation.EQUAL: "equal: both realise the same functions",
    Relation.LEFT_IN_RIGHT: "the converted layer does all that the given one does, and could do more",
}


def convert_page(conversion: Conversion, saved: str | None = None) -> Page:
    """The report of one conversion; `saved` is the file that the certificate was written to."""
    return _refused(conversion) if conversion.target is None else _done(conversion, conversion.target, saved)


def _done(conversion: Conversion, target: str, saved: str | None) -> Page:
    verdict = conversion.verdict
    assert verdict is not None, "a target was decided"
    narrower = verdict.domain not in (DomainRelation.SAME, DomainRelation.RIGHT_WIDER)
    sections = [Section("", (Facts(tuple(_facts(conversion, verdict, target))),))]
    moves = kernel_pictures(verdict.certificate, names=NAMES)
    if moves:
        fixed = conversion.before.parameters == 0
        sections.append(Section("The kernel of the converted layer" if fixed else "Where each tap goes", moves))
    sections.append(Section("Cost", (Prose(UNIT), _cost(conversion))))
    sections += _notes(conversion)
    sections.append(Section("Proof", tuple(proof_blocks(verdict, saved))))
    head = "converted, on common extents" if narrower else "converted"
    return Page(f"{head}: {target}", Tone.PROVED, tuple(sections))


def _facts(conversion: Conversion, verdict: Verdict, target: str) -> list[Fact]:
    rows = [
        Fact("given", conversion.source, is_expression=True),
        Fact("converted", target, is_expression=True),
        Fact("relation", _RELATION.get(verdict.relation, words.RELATION[verdict.relation])),
        *extent_facts(verdict, NAMES),
        Fact("domain", _domain(verdict)),
        Fact("dimension", dimension_text(verdict, NAMES)),
    ]
    return [row for row in rows if row.text]


def _domain(verdict: Verdict) -> str:
    return (
        words.domain(verdict)
        .replace("left wider: ", "")
        .replace("the right layer", "the converted layer")
        .replace("the left one", "the given one")
    )


def _refused(conversion: Conversion) -> Page:
    reason = conversion.reason or "unknown: not decided"
    head = reason.split("; the closest candidate", 1)[0]
    rows = [Fact("given", conversion.source, is_expression=True), Fact("wanted", conversion.to)]
    closest = conversion.verdict
    if closest is not None:
        rows.append(Fact("closest", closest.right, is_expression=True))
        rows.append(Fact("relation", f"{words.RELATION[closest.relation]} (left: given, right: closest)"))
        rows += extent_facts(closest, ("given", "closest"))
    sections = [Section("", (Facts(tuple(rows)),))]
    if closest is not None and closest.witness is not None:
        sections.append(Section("What differs (left: given, right: closest)", witness_blocks(closest.witness)))
    if len(conversion.candidates) > 1:
        sections.append(Section("What was tried", (_candidates(conversion),)))
    sections += _notes(conversion)
    return Page(head, Tone.REFUTED if reason.startswith("no") else Tone.OPEN, tuple(sections))


def _notes(conversion: Conversion) -> list[Section]:
    return [Section("Notes", (Lines(tuple(f"- {note}" for note in conversion.notes)),))] if conversion.notes else []


def _cost(conversion: Conversion) -> Table:
    """The given layer and every candidate; the chosen one is marked."""
    before = conversion.before
    given = ("", conversion.source, "", number(before.multiplications), str(before.parameters), "")
    return Table(
        ("", "layer", "taps", "multiplications", "parameters", "relation"),
        (given, *map(_row, conversion.candidates)),
        frozenset({3, 4}),
    )


def _candidates(conversion: Conversion) -> Table:
    return Table(
        ("", "layer", "taps", "multiplications", "parameters", "relation"), tuple(map(_row, conversion.candidates)), frozenset({3, 4})
    )


def _row(candidate: Candidate) -> tuple[str, ...]:
    taps = "x".join(map(str, candidate.kernel))
    relation = (
        words.RELATION[candidate.relation]
        .replace("left in right, strictly", "can do more")
        .replace("right in left, strictly", "can do less")
    )
    if candidate.domain not in (None, DomainRelation.SAME):
        relation += f", domain {words.DOMAIN[candidate.domain]}"
    return ("*" if candidate.chosen else "", candidate.text, taps, number(candidate.multiplications), str(candidate.parameters), relation)


def number(value: Fraction) -> str:
    """A count for each sample of the input: an integer, or a decimal where it is none."""
    return str(value) if value.denominator == 1 else f"{float(value):.4g}"

"""The page of a comparison of two models: the answer, the parts that are not the same, the input that shows it, the cause.

Owns: `diff_page`. Must not know: widths, colours, exit codes.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from symconv.prove.graphs.outcome import Comparison, Likeness, Row
from symconv.report.page import Block, Fact, Facts, Lines, Page, Prose, Section, Table, Tone

MOST_ROWS = 40
MOST_TOLD = 4
MOST_ENTRIES = 24
SHORT = 20
"""Characters of a rational that is shown as it is."""
NAMES = {
    Likeness.IDENTICAL: "identical",
    Likeness.UP_TO: "equal up to a distance",
    Likeness.DIFFERENT: "different",
    Likeness.UNKNOWN: "unknown",
}
SHORT_NAMES = NAMES | {Likeness.UP_TO: "equal up to"}
TONES = {Likeness.IDENTICAL: Tone.PROVED, Likeness.UP_TO: Tone.PLAIN, Likeness.DIFFERENT: Tone.REFUTED, Likeness.UNKNOWN: Tone.OPEN}
EVIDENCE = {
    "proof": "proof: what differs reaches from the input to the output",
    "exact run": "a run without rounding: integers below 2^24 all the way",
    "bounded run": "a run whose rounding is bounded: the exact outputs are apart, whatever was rounded",
    "run": "a run with rounding, whose outputs are further apart than 2^-12 of the largest: no proof",
}


SHAPES = "the outputs have different shapes, which no rounding changes"


def diff_page(found: Comparison) -> Page:
    """The report of one comparison."""
    sections = [Section("", (Facts(tuple(_facts(found))),))]
    if found.rows:
        sections.append(Section("Parts that are not the same by congruence", tuple(_parts(found))))
        sections += [Section(_title(row), (Facts(tuple(_row_facts(row))),)) for row in _told(found.rows)]
    if found.witness is not None:
        sections.append(Section("An input that shows it", tuple(_witness(found.witness))))
    if found.cause is not None:
        sections.append(Section("Cause", (Prose(_sentence(found.cause)),)))
    return Page(_headline(found), TONES[found.relation], tuple(sections))


def _headline(found: Comparison) -> str:
    match found.relation:
        case Likeness.IDENTICAL:
            return "identical: the same function of every input, at every extent"
        case Likeness.UP_TO:
            return "equal up to a distance: every part is the same, or proved to be close"
        case Likeness.DIFFERENT:
            return "different: the two models are not the same function"
    counts = [sum(row.relation is kind for row in found.rows) for kind in (Likeness.DIFFERENT, Likeness.UNKNOWN)]
    told = [f"{counts[0]} {'part differs' if counts[0] == 1 else 'parts differ'}" if counts[0] else ""]
    told += [f"{counts[1]} {'part' if counts[1] == 1 else 'parts'} could not be decided" if counts[1] else ""]
    shown = "no input shows it at the output" if found.witness is None else "a run parts at the output, which is no proof"
    return f"unknown: {' and '.join(filter(None, told))}, and {shown}"


def _facts(found: Comparison) -> list[Fact]:
    left, right = found.operations
    rows = [Fact("left", f"{found.left} ({_count(left)})"), Fact("right", f"{found.right} ({_count(right)})")]
    kinds = {kind: sum(row.relation is kind for row in found.rows) for kind in Likeness}
    told = ", ".join(f"{count} {NAMES[kind]}" for kind, count in kinds.items() if count)
    congruent = f"{found.congruent} of {left} on the left have the same operator and constants on the right"
    rows.append(Fact("operations", congruent))
    if told:
        rows.append(Fact("other parts", told))
    rows += _trust(found)
    if found.relation is Likeness.UP_TO:
        worst = max((row.distance for row in found.rows if row.distance is not None), default=Fraction(0))
        rows.append(Fact("distance", f"at most {number(worst)} in each part, for inputs |x| <= 1 of that part: proved"))
        bound = (
            "none known: an operator on the way has no bound"
            if found.bound is None
            else f"outputs at most {number(found.bound)} apart for model inputs |x| <= 1: proved, a worst case"
        )
        rows.append(Fact("at the output", bound))
    if found.evidence is not None:
        has_shapes = found.evidence != "proof" and found.witness is not None and found.witness["at"] is None
        rows.append(Fact("evidence", SHAPES if has_shapes else EVIDENCE[found.evidence]))
    if found.relation is Likeness.UNKNOWN and found.detail:
        rows.append(Fact("why", found.detail))
    rows.append(Fact("assumes", "; ".join(found.assumptions)))
    rows.append(Fact("time", f"{found.seconds:.2g} s" if found.seconds >= 1 else f"{1000 * found.seconds:.0f} ms"))
    return rows


def _trust(found: Comparison) -> list[Fact]:
    """What vouches for the parts that are the same or close."""
    near = [row for row in found.rows if row.relation in (Likeness.IDENTICAL, Likeness.UP_TO)]
    if not near:
        return []
    certified = sum(row.trust == "certified" for row in near)
    weighed = sum(row.trust == "congruence" for row in near)
    told = [f"{certified} certified: the independent checker accepted what they rest on" if certified else ""]
    told += [f"{weighed} equal layers, compared weight by weight" if weighed else ""]
    told += [f"{rest} by exact arithmetic that nothing re-checked" if (rest := len(near) - certified - weighed) else ""]
    return [Fact("trust", f"of {_plural(len(near))} that are the same or close, {'; '.join(filter(None, told))}")]


def _plural(parts: int) -> str:
    return f"{parts} part{'' if parts == 1 else 's'}"


def _count(operations: int) -> str:
    return f"{operations:,} operation{'' if operations == 1 else 's'}"


def _parts(found: Comparison) -> list[Block]:
    rows = sorted(found.rows, key=lambda row: row.relation is Likeness.IDENTICAL)[:MOST_ROWS]
    shown = [row for row in found.rows if row in rows]
    table = Table(
        ("left", "right", "relation", "distance"),
        tuple((_names(row.left), _names(row.right), SHORT_NAMES[row.relation], _distance(row)) for row in shown),
    )
    blocks: list[Block] = [table]
    if len(found.rows) > len(shown):
        blocks.append(Prose(f"{len(found.rows) - len(shown)} more parts, all identical, are left out here; --json lists them."))
    return blocks


def _told(rows: tuple[Row, ...]) -> list[Row]:
    """The parts that are shown in detail: those that differ, else those that are unknown, else the one that is furthest apart."""
    for kind in (Likeness.DIFFERENT, Likeness.UNKNOWN):
        found = [row for row in rows if row.relation is kind]
        if found:
            return found[:MOST_TOLD]
    near = [row for row in rows if row.relation is Likeness.UP_TO]
    return sorted(near, key=lambda row: row.distance or 0)[-1:]


def _title(row: Row) -> str:
    if row.left == row.right:
        return f"{_names(row.left)}: {NAMES[row.relation]}"
    return f"{_names(row.left)} and {_names(row.right)}: {NAMES[row.relation]}"


def _names(names: tuple[str, ...]) -> str:
    if not names:
        return "(nothing)"
    return names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]}"


def _distance(row: Row) -> str:
    if row.relation is Likeness.IDENTICAL:
        return "0"
    if row.distance is None:
        return "-"
    return f"{'' if row.exact else '<='}{number(row.distance)}"


def number(value: Fraction) -> str:
    """A rational as a short decimal that is not smaller (whole numbers as they are)."""
    if value.denominator == 1 and value < 10**6:
        return str(value)
    if value > 10**300:
        return "1e300 or more"
    text = f"{float(value):.2e}"
    if Fraction(text) < value:
        mantissa, exponent = text.split("e")
        text = f"{float(mantissa) + 0.01:.2f}e{exponent}"
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


def _row_facts(row: Row) -> list[Fact]:
    facts = [Fact("left", row.left_text or "(nothing)", is_expression=True)]
    facts.append(Fact("right", row.right_text or "(nothing)", is_expression=True))
    if row.cause:
        facts.append(Fact("cause", _sentence(row.cause)))
    elif row.detail:
        facts.append(Fact("why", _sentence(row.detail)))
    if row.domain:
        facts.append(Fact("extents", f"accepted by the two sides: {row.domain.replace('_', ' ')}"))
    if row.witness is not None:
        facts += _row_witness(row.witness)
    return facts


def _row_witness(witness: dict[str, Any]) -> list[Fact]:
    if witness["kind"] == "operators":
        return [Fact("shows at", _operators(witness))]
    extents = " x ".join(map(str, witness["extents"]))
    if witness["kind"] == "shapes":
        return [Fact("shows at", f"input extents {extents}: the output extents, or channels, differ")]
    entries = witness["input"]["entries"]
    given = "the zero input" if not entries else f"x{entries[0][0]} = {entries[0][1]}, all else 0"
    left, right = (Fraction(witness[f"{side}_value"]) for side in ("left", "right"))
    values = f"{_value(left)} on the left, {_value(right)} on the right"
    if _value(left) == _value(right):
        values = f"{_value(left)} on both sides as far as shown, {number(abs(left - right))} apart"
    return [Fact("shows at", f"input extents {extents}, {given}: y{witness['at']} is {values}")]


def _operators(witness: dict[str, Any]) -> str:
    """An input of operators on which they differ, in one line."""
    given = []
    for name, held in witness["inputs"].items():
        values, shape = held["values"], " x ".join(map(str, held["shape"])) or "a number"
        alike = values is not None and len(set(values)) == 1
        given.append(f"{name} = {values[0]:g} throughout" if alike else f"{name} of small integers ({shape})")
    if witness["at"] is None:
        return f"{', '.join(given)}: the shapes {witness['left_value']} and {witness['right_value']}"
    left, right = (_value(Fraction(witness[f"{side}_value"])) for side in ("left", "right"))
    about = "" if witness["exact"] else "about "
    return f"{', '.join(given)}: at {witness['at']} it is {about}{left} on the left, {about}{right} on the right"


def _value(value: Fraction) -> str:
    """A rational as it is if it is short, else as a decimal of 12 digits."""
    return str(value) if len(str(value)) <= SHORT else f"{float(value):.12g}"


def _witness(witness: dict[str, Any]) -> list[Block]:
    if witness["kind"] != "model":
        return [Facts(tuple(_row_witness(witness)))]
    facts, lines = [], []
    for name, held in witness["inputs"].items():
        shape = " x ".join(map(str, held["shape"])) or "a number"
        facts.append(Fact(f"input {name}", f"{held['dtype']}, {shape}"))
        if held["values"] is not None and len(held["values"]) <= MOST_ENTRIES:
            lines.append(f"{name} = {' '.join(f'{value:g}' for value in held['values'])}")
    at = witness["at"]
    if at is None:
        first = f"its shape is {tuple(witness['left_value'])} on the left and {tuple(witness['right_value'])} on the right"
    else:
        left, right = (_bounded(witness, side) for side in ("left", "right"))
        first = f"at {list(at)}: {left} on the left, {right} on the right"
    facts.append(Fact(f"output {witness['output']}", f"parts {first}" if at is not None else first))
    if witness["replayed_by"] is not None:
        facts.append(Fact("replayed by", _replay(witness)))
    return [Facts(tuple(facts)), *([Lines(tuple(lines))] if lines else [])]


def _bounded(witness: dict[str, Any], side: str) -> str:
    """A value with its bound, with as many digits as tell the two values apart."""
    value, bound = witness[f"{side}_value"], witness.get(f"{side}_bound")
    digits = 6
    while digits < 17 and f"{witness['left_value']:.{digits}g}" == f"{witness['right_value']:.{digits}g}":
        digits += 1
    return f"{value:.{digits}g}" + (f" (within {number(Fraction(bound))})" if bound else "")


def _replay(witness: dict[str, Any]) -> str:
    values = witness["replayed_values"]
    if values is None or witness["at"] is None or values == [witness["left_value"], witness["right_value"]]:
        return str(witness["replayed_by"])
    return f"{witness['replayed_by']}: {values[0]:g} on the left, {values[1]:g} on the right"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."

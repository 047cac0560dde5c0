"""What the report of a cross-validation says of whole models: what was proved, how they were opened, which parts were run by themselves.

Owns: `model_facts`, `opened_sections`, `part_sections`. Must not know: torch, widths, exit codes.
"""

from __future__ import annotations

from typing import Any

from symconv.report.page import Block, Fact, Prose, Section, Table

MOST_PARTS = 12
MOST_CUTS = 16
RELATIONS = {"identical": "identical", "equal_up_to": "equal up to a proved distance, which counts in the bounds"}


def model_facts(evidence: Any) -> list[Fact]:
    """The facts at the top."""
    about = evidence.models
    same = f"{about.congruent} of {about.operations[0]} operators are the same"
    parts = sum(part["count"] for part in about.parts)
    noun = "part is" if parts == 1 else "parts are"
    proved = f", {parts} {noun} proved to be {'the same function' if evidence.relation == 'identical' else 'the same, or close'}"
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape)) or 'one number'}" for name, shape in about.shapes.items())
    return [
        Fact("left", evidence.left),
        Fact("right", evidence.right),
        Fact("proved", f"{RELATIONS[evidence.relation]}: {same}{proved if parts else ''}"),
        Fact("inputs", shapes),
    ]


def opened_sections(evidence: Any) -> list[Section]:
    """Which operators have no pass line, and where the models were cut."""
    found: dict[tuple[str, str, bool, str, int], list[str]] = {}
    shown: dict[tuple[str, int], list[str]] = {}
    for item in evidence.models.opened:
        shown.setdefault((item.evidence, item.shown), []).append(item.dtype)
        for cut in item.cuts:
            found.setdefault((item.evidence, cut["op"], cut["left_out"], cut["why"], cut["count"]), []).append(item.dtype)
    if not shown:
        return []
    values = "; ".join(f"{kind} {' and '.join(dtypes)} at {count}" for (kind, count), dtypes in shown.items())
    blocks: list[Block] = []
    rows = [
        (f"{kind} {', '.join(dtypes)}", f"{count} {op}", "left out" if left_out else "cut after", why)
        for (kind, op, left_out, why, count), dtypes in sorted(found.items(), key=lambda item: (item[0][0], not item[0][2]))
    ]
    if rows:
        more = [("...", f"{len(rows) - MOST_CUTS} more", "", "they are in --json")] if len(rows) > MOST_CUTS else []
        blocks.append(Table(("for", "operators", "", "why"), (*rows[:MOST_CUTS], *more)))
        told = (
            "Behind an operator that is left out, and where the models are cut, both are fed the same numbers; what enters there is "
            "compared. The models so opened are proved to be the same once more. "
        )
        blocks.append(Prose(f"{told}Values compared: {values}."))
    else:
        blocks.append(Prose(f"Nothing is left out, and nothing cut: outputs are compared. Values: {values}."))
    return [Section("How the models were opened", tuple(blocks))]


def part_sections(evidence: Any, table: Table | None) -> list[Section]:
    """The parts that are other layers on the two sides, with what was seen of them."""
    parts = evidence.models.parts
    if not parts:
        return []
    rows = [(part["left"], part["right"], str(part["count"])) for part in parts]
    more = [("...", f"{len(rows) - MOST_PARTS} more pairs", "")] if len(rows) > MOST_PARTS else []
    blocks: list[Block] = [Table(("left", "right", "times"), (*rows[:MOST_PARTS], *more), frozenset({2}))]
    blocks += [table] if table is not None else []
    not_run = [(f"{part['left']} and {part['right']}", part["reason"]) for part in parts if part["reason"]]
    if not_run:
        blocks.append(Table(("not run by itself", "why"), tuple(not_run)))
    return [Section("The parts by themselves, with weights drawn and carried", tuple(blocks))]

"""The page and the JSON object of a converted model: what became of each layer that changes the sampling rate, and why not of others.

Owns: `model_conversion_page`, `model_conversion_record`. Must not know: how layers are chosen, how files are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symconv.convert.cost import Cost
from symconv.report.convert import number
from symconv.report.page import Fact, Facts, Page, Prose, Section, Table, Tone

if TYPE_CHECKING:
    from symconv.convert.onnx.plan import Change, Plan

SCHEMA = "symconv.convert-model/1"
UNIT = "Multiplications are for each sample of the layer's input, all channels together, in the limit of large extents."
SHOWN = 6
"""Names of one group that are shown; the JSON object has them all."""


def model_conversion_record(plan: Plan, files: Sequence[Path | None], dry_run: bool) -> dict[str, Any]:
    """The JSON object; `files` are the model, its bundle and its external data, None where there is none."""
    model, bundle, data = (None if path is None else str(path) for path in files)
    return {
        "schema": SCHEMA,
        "model": str(plan.model.path),
        "to": plan.request.to,
        "target": list(plan.request.constraints.words),
        "dry_run": dry_run,
        "output": model,
        "bundle": bundle,
        "external_data": data,
        "changes": [change_record(change) for change in plan.changes],
        "stays": [
            {"node": stay.name, "operator": stay.kind, "layer": stay.text or None, "status": stay.status, "reason": stay.reason}
            for stay in plan.stays
        ],
    }


def change_record(change: Change) -> dict[str, Any]:
    """A rewritten layer as plain values."""
    choice = change.choice
    source, target = choice.texts
    assert choice.after is not None and choice.verdict is not None, "it was chosen"
    return {
        "node": change.name,
        "operator": change.kind,
        "layer": source,
        "target": target,
        "relation": choice.verdict.relation.value,
        "trust": None if choice.verdict.trust is None else choice.verdict.trust.value,
        "weights": {
            what: None if held is None else {"value": held.name, "dtype": held.dtype, "shape": list(held.shape)}
            for what, held in (("kernel", change.kernel), ("bias", change.bias))
        },
        "cost": {"before": _cost(choice.before), "after": _cost(choice.after)},
        "notes": list(change.notes),
    }


def _cost(cost: Cost) -> dict[str, str | int]:
    return {"multiplications": str(cost.multiplications), "parameters": cost.parameters}


def model_conversion_page(plan: Plan, files: Sequence[Path | None], dry_run: bool) -> Page:
    """The report: the answer, the files, one part for each kind of change, and the layers that stay."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for change in plan.changes:
        groups.setdefault(change.choice.texts, []).append(change)
    sections = [Section("", (Facts(tuple(_facts(plan, files))),))]
    for position, members in enumerate(groups.values()):
        title = "What becomes what" if position == 0 else ""
        sections.append(Section(title, (*((Prose(UNIT),) if position == 0 else ()), Facts(tuple(_group(members))))))
    if plan.stays:
        sections.append(Section("What stays, and why", (_stays(plan),)))
    return Page(_headline(plan, dry_run), _tone(plan), tuple(sections))


def _headline(plan: Plan, dry_run: bool) -> str:
    done, missed = len(plan.changes), sum(stay.status != "kept" for stay in plan.stays)
    verb = "would be rewritten" if dry_run else "rewritten, each proved and checked" if done == 1 else "rewritten, all proved and checked"
    head = f"{_layers(done)} {verb}" if done else "nothing to rewrite" if not missed else "nothing rewritten"
    return f"{head}; {_layers(missed)} could not be" if missed else head


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _tone(plan: Plan) -> Tone:
    found = {stay.status for stay in plan.stays}
    if found & {"no", "refused"}:
        return Tone.REFUTED
    return Tone.OPEN if "unknown" in found else Tone.PROVED if plan.changes else Tone.PLAIN


def _facts(plan: Plan, files: Sequence[Path | None]) -> Iterable[Fact]:
    yield Fact("model", str(plan.model.path))
    yield Fact("form", plan.request.to)
    if plan.request.constraints.words:
        yield Fact("target", ", ".join(plan.request.constraints.words))
    for label, path in zip(("written", "bundle", "data"), files, strict=True):
        if path is not None:
            yield Fact(label, str(path))
    if plan.changes:
        before, after = (_total(plan, side) for side in ("before", "after"))
        yield Fact("parameters", f"of these layers {before:,} before, {after:,} after; the weights are moved bit for bit")
    if files[0] is not None:
        yield Fact("check again", f"symconv verify {files[1]} --model {files[0]} --original {plan.model.path}")


def _total(plan: Plan, side: str) -> int:
    costs = {(change.kernel.name, change.choice.texts): getattr(change.choice, side) for change in plan.changes}
    return sum(cost.parameters for cost in costs.values())


def _group(members: Sequence[Change]) -> Iterable[Fact]:
    choice = members[0].choice
    source, target = choice.texts
    assert choice.after is not None, "it was chosen"
    names = [change.name for change in members]
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    yield Fact("node" if len(names) == 1 else f"{len(names)} nodes", "\n".join(names[:SHOWN] + more))
    yield Fact("from", source, is_expression=True)
    yield Fact("to", target, is_expression=True)
    yield Fact("cost", _compared("multiplications", choice.before.multiplications, choice.after.multiplications))
    yield Fact("", _compared("parameters", choice.before.parameters, choice.after.parameters))
    for note in dict.fromkeys(note for change in members for note in change.notes):
        yield Fact("note", note)


def _compared(what: str, before: Fraction | int, after: Fraction | int) -> str:
    first, second = number(Fraction(before)), number(Fraction(after))
    if before == after or not before:
        return f"{first} {what} before and after" if before == after else f"{what} {first} before, {second} after"
    return f"{what} {first} before, {second} after ({float(Fraction(after) / Fraction(before)):.2f} times)"


def _stays(plan: Plan) -> Table:
    """One row for each reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for stay in plan.stays:
        groups.setdefault((stay.kind, stay.text, stay.reason), []).append(stay.name)
    rows = [(_named(names), text or kind, reason) for (kind, text, reason), names in groups.items()]
    return Table(("node", "layer", "why"), tuple(rows))


def _named(names: Sequence[str]) -> str:
    return " ".join(names) if len(names) <= SHOWN else f"{' '.join(names[:SHOWN])} and {len(names) - SHOWN} more"

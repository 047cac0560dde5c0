"""The page and the JSON object of an ONNX model made faster: its layers in one table, the whole before and after, what stays and why.

Owns: `fastest_model_page`, `fastest_model_record`. Must not know: how anything was measured, widths.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.convert.fastest.found import FASTER, PUT_BACK, REWRITTEN, SCHEMA, Choice, Site
from symconv.convert.fastest.ranking import Row
from symconv.convert.onnx.fastest_record import FastestModel
from symconv.report.bench import duration, quantity
from symconv.report.convert_model import change_record
from symconv.report.page import Fact, Facts, Page, Prose, Section, Table, Tone

COLUMNS = ("", "layer", "form", "mult.", "bytes", "time", "speed-up")
NUMERIC = frozenset({3, 4, 5, 6})
READING = (
    "A layer as it stands, and the fastest other form of it: multiplications and bytes of one pass, its time and speed-up alone. * is what "
    "the model has now; ? may be noise."
)
SHOWN = 6


def fastest_model_record(made: FastestModel, files: Sequence[Path | None], dry_run: bool) -> dict[str, Any]:
    """The JSON object: that of a module, and what concerns files: the model, its bundle and its external data, None where there is none."""
    settled = made.settled
    model, bundle, data = (None if path is None else str(path) for path in files)
    return {
        "schema": SCHEMA,
        "before": settled.before,
        "after": settled.after,
        "whole": None if settled.whole is None else attrs.asdict(settled.whole),
        "control": attrs.asdict(settled.control),
        "layers": [layer.to_dict() for layer in made.layers],
        "model": str(made.plan.model.path),
        "runtime": made.runtime,
        "inputs": {name: list(shape) for name, shape in made.inputs.items()},
        "target": list(made.plan.request.constraints.words),
        "dry_run": dry_run,
        "output": model,
        "bundle": bundle,
        "external_data": data,
        "changes": [change_record(change) for change in made.plan.changes],
    }


def fastest_model_page(made: FastestModel, files: Sequence[Path | None], dry_run: bool) -> Page:
    """The report."""
    measured = [layer for layer in made.layers if layer.choice is not None]
    sections = [Section("", (Facts(tuple(_facts(made, files))),))]
    if measured:
        labels = _labels([layer.name for layer in measured])
        rows = tuple(row for layer in measured for row in _rows(layer, labels[layer.name]))
        sections.append(Section("Layers", (Table(COLUMNS, rows, NUMERIC), Prose(READING))))
    for layer in measured:
        assert layer.choice is not None, "it was measured"
        if layer.status in (FASTER, REWRITTEN, PUT_BACK):
            sections.append(Section(layer.name, (_all_ways(layer.choice, layer.reason if layer.status == REWRITTEN else ""),)))
    rest = _reasons(layer for layer in made.layers if layer.reason and layer.status != REWRITTEN)
    if rest:
        sections.append(Section("What stays, and why", (Table(("layer", "", "why"), rest),)))
    return Page(_headline(made, dry_run), _tone(made), tuple(sections))


def _headline(made: FastestModel, dry_run: bool) -> str:
    count, whole = len(made.plan.changes), made.settled.whole
    if whole is None:
        back = sum(layer.status == PUT_BACK for layer in made.layers)
        return "nothing is written: " + ("the whole is not faster" if back else "no layer is faster beyond noise")
    verb = "would be rewritten" if dry_run else "rewritten, proved and checked"
    return f"{whole.ratio:.2f} times as fast: {count} layer{'s' * (count != 1)} {verb}"


def _tone(made: FastestModel) -> Tone:
    return Tone.PROVED if made.plan.changes else Tone.PLAIN


def _facts(made: FastestModel, files: Sequence[Path | None]) -> Iterable[Fact]:
    settled = made.settled
    yield Fact("model", str(made.plan.model.path))
    yield Fact("inputs", ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in made.inputs.items()))
    clock = ", time of the processor" if made.clock == "processor" else ""
    yield Fact("measured in", f"{made.where}, {made.threads} thread{'s' * (made.threads > 1)}{clock}")
    if made.plan.request.constraints.words:
        yield Fact("target", ", ".join(made.plan.request.constraints.words))
    yield Fact("one pass", f"{duration(settled.before)} before, {duration(settled.after)} after")
    if settled.whole is not None:
        yield Fact("speed-up", f"{settled.whole.ratio:.2f} (95 %: {settled.whole.low:.2f} to {settled.whole.high:.2f})")
    control = settled.control
    yield Fact("noise", f"the given model against itself: {control.ratio:.2f} (95 %: {control.low:.2f} to {control.high:.2f})")
    cached = [layer.name for layer in made.layers if layer.choice is not None and layer.choice.cached]
    if cached:
        yield Fact("earlier run", f"the times of {_named(cached)} are from one; --no-cache measures again")
    back = [layer.name for layer in made.layers if layer.status == PUT_BACK]
    if back:
        yield Fact("put back", _named(back))
    for label, path in zip(("written", "bundle", "data"), files, strict=True):
        if path is not None:
            yield Fact(label, str(path))
    if files[0] is not None:
        again = ["symconv", "verify", files[1], "--model", files[0], "--original", made.plan.model.path]
        yield Fact("check again", shlex.join(map(str, again)))


def _rows(layer: Site, label: str) -> Iterable[tuple[str, ...]]:
    """The layer as it stands, and what is written for it, or the best of what was not."""
    choice = layer.choice
    assert choice is not None, "it was measured"
    given, others = choice.rows[0], [row for row in choice.rows[1:] if row.lap is not None]
    changed = layer.status in (FASTER, REWRITTEN)
    best = choice.chosen if choice.chosen is not given else max(others, key=_ratio, default=None)
    yield ("" if changed else "*", label, *_cells(given), "")
    if best is not None:
        speed = f"{choice.speed_up:.2f}" if best is choice.chosen else f"{_ratio(best):.2f}{' ?' if _ratio(best) >= 1 else ''}"
        yield ("*" if changed else "", "", *_cells(best), speed)


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Short names: without the operator that exporters append, and without the path before, where they still differ."""
    short = {name: (name.rsplit("/", 2)[-2:] if "/" in name.strip("/") else [name])[0] for name in names}
    return short if len(set(short.values())) == len(names) else {name: name for name in names}


def _ratio(row: Row) -> float:
    return 0.0 if row.lap is None else row.lap.ratio


def _cells(row: Row) -> tuple[str, ...]:
    seconds = "" if row.lap is None else duration(row.lap.seconds)
    return row.name, quantity(row.multiplications or 0), quantity(row.bytes or 0), seconds


def _all_ways(choice: Choice, needed: str) -> Facts:
    """What was written for a layer, and all that was measured; `needed` says why the target asks for it."""
    form = next(form for form in choice.forms.found if form.name == choice.chosen.form)
    from symconv.layers import Sequential
    from symconv.layers.expression import format_layer

    control, confirmed = choice.control, choice.confirmed
    asked = [Fact("asked for", f"{needed}, so the fastest form that the target can run is written")] if needed else []
    facts = [
        Fact("given", choice.source, is_expression=True),
        Fact("written", format_layer(Sequential(form.layers), choice.forms.axes), is_expression=True),
        Fact("input", "x".join(map(str, choice.shape)) + (", measured in an earlier run" if choice.cached else "")),
        Fact("why", choice.chosen.why),
        *asked,
    ]
    if control is not None and confirmed is not None:
        facts.append(
            Fact(
                "noise",
                f"the layer against itself: {control.ratio:.2f} (95 %: {control.low:.2f} to {control.high:.2f}); what was chosen, alone "
                f"against it: {confirmed.ratio:.2f} ({confirmed.low:.2f} to {confirmed.high:.2f})",
            )
        )
    others = [
        f"{row.name} {row.lap.ratio:.2f}{' ?' if row.status == 'dropped' else ''}"
        for row in sorted(choice.rows[1:], key=_ratio, reverse=True)
        if row.lap is not None
    ]
    facts.append(Fact("speed-ups", "\n".join(others)))
    facts += [Fact("refused", f"{row.name}: {row.reason}") for row in choice.rows if row.status == "refused"]
    return Facts(tuple(facts))


def _reasons(layers: Iterable[Site]) -> tuple[tuple[str, str, str], ...]:
    """One row for each reason."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for layer in layers:
        groups.setdefault((layer.source, layer.status, layer.reason), []).append(layer.name)
    return tuple((_named(names), source, reason) for (source, _, reason), names in groups.items())


def _named(names: Sequence[str]) -> str:
    return " ".join(names) if len(names) <= SHOWN else f"{' '.join(names[:SHOWN])} and {len(names) - SHOWN} more"

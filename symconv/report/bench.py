"""Pages of measurements: the choice for one layer, for a module's layers, and many layers beside each other.

Owns: `choice_page`, `module_page`, `bench_page`. Must not know: widths, colours, how anything was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from symconv.report.page import Fact, Facts, Lines, Page, Prose, Section, Table, Tone

if TYPE_CHECKING:
    from symconv.convert.fastest import Choice, FastestConversion

READING = (
    "mult.: multiplications of one pass; bytes: what its passes over memory read and write; peak: by how much one call raises the resident "
    "memory. speed-up: the layer's time over the form's, median over rounds in which each ran once."
)
COLUMNS = ("", "form", "mult.", "bytes", "peak", "time", "speed-up")
NUMERIC = frozenset({2, 3, 4, 5, 6})


def choice_page(choice: Choice, saved: str | None = None) -> Page:
    """The report of one layer."""
    plain = choice.to_dict()
    chosen = choice.chosen
    kept = choice.route is None
    head = "the layer itself is the fastest" if kept else f"{plain['speed_up']:.2f} times as fast: {chosen.name}"
    facts = [
        Fact("given", choice.source, is_expression=True),
        Fact("input", _shape(choice.shape)),
        Fact("measured on", _where(plain)),
    ]
    if choice.route is not None:
        from symconv.layers import Sequential
        from symconv.layers.expression import format_layer

        facts.insert(1, Fact("executed", format_layer(Sequential(choice.route.layers), choice.forms.axes), is_expression=True))
        facts.append(Fact("why", chosen.why))
        facts.append(Fact("weights", "moved bit for bit" if choice.route.exact else "sums of given ones, rounded once"))
        facts.append(Fact("proof", _proof(choice, saved)))
    facts.append(Fact("noise", _noise(plain)))
    sections = [Section("", (Facts(tuple(facts)),)), Section("What was measured", (_rows(plain["rows"]), Prose(READING)))]
    refused = _refused(plain)
    if refused:
        sections.append(Section("What was not", (Lines(tuple(refused)),)))
    return Page(head, Tone.PLAIN if kept else Tone.PROVED, tuple(sections))


def _proof(choice: Choice, saved: str | None) -> str:
    form = next(form for form in choice.forms.found if form.name == choice.chosen.form)
    where = f"; the certificate is in {saved}" if saved else ""
    if form.verdict is None:
        return "the layer's own form; its code gave the layer's integers, bit for bit, at several extents"
    trust = form.verdict.trust.value if form.verdict.trust is not None else ""
    return f"the form is {trust} for all extents; its code gave the layer's integers, bit for bit, at several extents{where}"


def _where(plain: Mapping[str, Any]) -> str:
    threads = f"{plain['threads']} thread{'s' * (plain['threads'] > 1)}"
    clock = ", time of the processor" if plain["clock"] == "processor" else ""
    return f"{plain['device']}, {plain['dtype']}, {threads}{clock}{', in an earlier run' if plain['cached'] else ''}"


def _noise(plain: Mapping[str, Any]) -> str:
    control = plain["control"]
    if control is None:
        return "not measured"
    spread = f"the layer against itself: {control['ratio']:.2f} (95 %: {control['low']:.2f} to {control['high']:.2f})"
    confirmed = plain["confirmed"]
    if confirmed is None:
        return spread
    return f"{spread}; what was chosen, alone against it: {confirmed['ratio']:.2f} ({confirmed['low']:.2f} to {confirmed['high']:.2f})"


def _rows(rows: Sequence[Mapping[str, Any]]) -> Table:
    measured = [row for row in rows if row["lap"] is not None]
    ordered = sorted(measured, key=lambda row: -row["lap"]["ratio"])
    return Table(COLUMNS, tuple(_row(row) for row in ordered), NUMERIC)


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    lap = row["lap"]
    return (
        "*" if row["status"] == "chosen" else "",
        name_of(row),
        quantity(row["multiplications"]),
        quantity(row["bytes"]),
        "" if row["peak_bytes"] is None else quantity(row["peak_bytes"]),
        duration(lap["seconds"]),
        f"{lap['ratio']:.2f}{'' if row['status'] != 'dropped' else ' ?'}",
    )


def name_of(row: Mapping[str, Any]) -> str:
    """Form and engine."""
    return str(row["form"]) if row["form"] == row["engine"] else f"{row['form']}: {row['engine']}"


def _refused(plain: Mapping[str, Any]) -> list[str]:
    lines = [f"- {name_of(row)}: {row['reason']}" for row in plain["rows"] if row["status"] == "refused"]
    return lines + [f"- {item['form']}: {item['reason'].split('; the closest candidate', 1)[0]}" for item in plain["refused"]]


def module_page(made: FastestConversion, source: str) -> Page:
    """The report of a whole module."""
    faster = [layer for layer in made.layers if layer.status == "faster"]
    facts = [Fact("module", source), Fact("one pass", f"{duration(made.before)} before, {duration(made.after)} after")]
    if made.whole is not None:
        facts.append(Fact("speed-up", f"{made.whole.ratio:.2f} (95 %: {made.whole.low:.2f} to {made.whole.high:.2f})"))
    if made.control is not None:
        facts.append(
            Fact("noise", f"the module against itself: {made.control.ratio:.2f} ({made.control.low:.2f} to {made.control.high:.2f})")
        )
    rows = []
    for layer in made.layers:
        choice = layer.choice
        rows.append((layer.name or "the module", layer.status, "" if choice is None else choice.chosen.name, _speed(choice)))
    table = Table(("layer", "", "executed", "speed-up"), tuple(rows), frozenset({3}))
    sections = [Section("", (Facts(tuple(facts)),)), Section("Layers", (table,))]
    for layer in faster:
        assert layer.choice is not None, "a faster layer was measured"
        plain = layer.choice.to_dict()
        top = Facts((Fact("given", layer.source, is_expression=True), Fact("input", _shape(layer.shape)), Fact("noise", _noise(plain))))
        sections.append(Section(layer.name or "the module", (top, _rows(plain["rows"]))))
    rest = [f"- {layer.name or 'the module'}: {layer.reason}" for layer in made.layers if layer.reason]
    if rest:
        sections.append(Section("What stays, and why", (Lines(tuple(rest)),)))
    head = f"{len(faster)} of {len(made.layers)} layers are faster" if made.layers else "no layer of the module is one that has other forms"
    return Page(head, Tone.PROVED if faster else Tone.PLAIN, tuple(sections))


def _speed(choice: Choice | None) -> str:
    return "" if choice is None else f"{choice.speed_up:.2f}"


def bench_page(record: Mapping[str, Any]) -> Page:
    """Many layers: what was fastest for each; one layer: all of its forms."""
    layers = record["layers"]
    about = record["environment"]
    device = ", ".join(f"{name}: {found['name']}" for name, found in about["devices"].items())
    versions = ", ".join(f"{name} {number}" for name, number in about["packages"].items() if number)
    facts = [Fact("device", f"{device}, {_threads(about)}{_clock(layers)}"), Fact("versions", f"Python {about['python']}, {versions}")]
    sections = [Section("", (Facts(tuple(facts)),))]
    if len(layers) > 1:
        facts.append(Fact("speed-up", f"geometric mean {record['geometric_mean']:.2f}, least {record['least']:.2f}"))
        sections = [Section("", (Facts(tuple(facts)),)), Section("The fastest form of each layer", (_summary(layers),))]
    for item in layers:
        top = [Fact("layer", item["source"], is_expression=True), Fact("input", _shape(item["shape"])), Fact("noise", _noise(item))]
        sections.append(Section(item["name"] if item["name"] != item["source"] else "", (Facts(tuple(top)), _rows(item["rows"]))))
    sections.append(Section("How to read it", (Prose(READING), Prose("* is kept; ? was clearly slower, and left after a few rounds."))))
    if len(layers) > 1:
        mean, least = record["geometric_mean"], record["least"]
        head = f"{len(layers)} layers: {mean:.2f} times as fast in the geometric mean, at least {least:.2f}"
    else:
        head = f"{layers[0]['speed_up']:.2f} times as fast: {layers[0]['chosen']}"
    return Page(head, Tone.PLAIN, tuple(sections))


def _clock(layers: Sequence[Mapping[str, Any]]) -> str:
    return ", time of the processor" if layers[0]["clock"] == "processor" else ""


def _threads(about: Mapping[str, Any]) -> str:
    return f"{about['threads']} thread{'s' * (about['threads'] > 1)}"


def _summary(layers: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for item in layers:
        given, chosen = item["rows"][0], next(row for row in item["rows"] if row["status"] == "chosen")
        rows.append(
            (
                item["name"],
                _shape(item["shape"]),
                duration(given["lap"]["seconds"]),
                duration(chosen["lap"]["seconds"]),
                f"{item['speed_up']:.2f}",
                name_of(chosen),
            )
        )
    return Table(("layer", "input", "given", "fastest", "speed-up", "form"), tuple(rows), frozenset({2, 3, 4}))


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def duration(seconds: float) -> str:
    """Seconds for people."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def quantity(count: int) -> str:
    """A count with a decimal prefix."""
    for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= power:
            return f"{count / power:.3g} {prefix}"
    return str(count)

"""The table beside a file of evidence: what was seen on one device.

Owns: `evidence_page`. Must not know: how it was gathered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symconv.report.page import Fact, Facts, Page, Prose, Section, Table, Tone

TONES = {"agrees": Tone.PROVED, "deviates": Tone.REFUTED, "nothing_ran": Tone.OPEN}
HEADLINES = {"agrees": "every layer gave the numbers that it must give", "deviates": "some layer deviates", "nothing_ran": "nothing ran"}


def evidence_page(record: Mapping[str, Any]) -> Page:
    """The whole page of one record."""
    devices = record["environment"]["devices"]
    name = ", ".join(str(about["name"]) for about in devices.values())
    sections = [Section("", (Facts(_facts(record)),)), _settings(record), _reals(record)]
    if record["times"]:
        sections.append(_times(record))
    if record["theorems"]:
        sections.append(_theorems(record))
    if record["deviations"]:
        rows = tuple((str(item["name"]), str(item.get("left", "")), str(item.get("right", ""))) for item in record["deviations"])
        sections.append(Section("What deviates", (Table(("where", "left", "right"), rows), Prose("The snippets are in the JSON file."))))
    if record["left_out"]:
        sections.append(Section("Left out", (Table(("what, and why",), tuple((text,) for text in record["left_out"])),)))
    return Page(f"{name}: {HEADLINES[record['verdict']]}", TONES[record["verdict"]], tuple(sections))


def _facts(record: Mapping[str, Any]) -> tuple[Fact, ...]:
    about = record["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    facts = [Fact("versions", f"Python {about['python']}, {packages}")]
    for name, found in about["devices"].items():
        facts.append(Fact(name, ", ".join(f"{key} {value}" for key, value in found.items() if value)))
    numbers = sum(item["values"] for item in record["settings"])
    compiled = record["compiled"]
    return (
        *facts,
        Fact("real layers", f"{len(record['real'])} pairs; {len(compiled['pairs'])} of them compiled ({compiled['compiler']})"),
        Fact("random layers", f"{record['random']['pairs']:,} pairs, {record['random']['deviating']} deviate, seed {record['seed']}"),
        Fact("numbers", f"{numbers:,} compared in {record['seconds']} s"),
    )


def _settings(record: Mapping[str, Any]) -> Section:
    rows = []
    for item in record["settings"]:
        how = " ".join(word for word in (item["algorithm"], item["memory_format"], item["mode"]) if word)
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(item["pairs"].items()))
        ratio = _ratio(item["ratio"])
        by = item["device"] if item["backend"] == "torch" else item["backend"]
        rows.append((by, item["dtype"], how, item["direction"], item["evidence"], outcomes, ratio))
    columns = ("run by", "numbers", "how", "direction", "evidence", "pairs", "error / bound")
    return Section("What was seen", (Table(columns, tuple(rows), frozenset({6})), *_reasons(record)))


def _ratio(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.2g}"


def _reasons(record: Mapping[str, Any]) -> tuple[Table, ...]:
    found: dict[str, dict[str, None]] = {}
    for item in record["settings"]:
        for reason in item["reasons"]:
            found.setdefault(reason, {})[f"{item['backend']} {item['dtype']} {item['evidence']}"] = None
    rows = tuple((reason, ", ".join(where)) for reason, where in found.items())
    return (Table(("why not, or remark", "where"), rows),) if rows else ()


def _reals(record: Mapping[str, Any]) -> Section:
    rows = tuple(
        (
            item["name"],
            item["form"],
            item["right"],
            "x".join(map(str, item["extents"])),
            ", ".join(f"{count} {outcome}" for outcome, count in sorted(item["outcomes"].items())),
            _ratio(item["ratio"]),
        )
        for item in record["real"]
    )
    return Section("Real layers", (Table(("layer", "form", "which is", "extents", "rows", "error / bound"), rows, frozenset({5})),))


def _times(record: Mapping[str, Any]) -> Section:
    dtypes = [name for name in ("float32", "tf32", "float16") if any(name in item for item in record["times"])]
    columns = ("layer", "form", "extents", *(f"{name}, ms (ratio)" for name in dtypes))
    rows = tuple(
        (item["name"], item["form"], "x".join(map(str, item["extents"])), *(_time(item.get(d)) for d in dtypes)) for item in record["times"]
    )
    told = "Forward pass, batch of 2, medians of interleaved runs: the layer, its form, and layer over form (above 1 the form is faster)."
    return Section("Times", (Prose(told), Table(columns, rows)))


def _time(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if "reason" in found:
        return str(found["reason"])
    return f"{1000 * found['layer']:.3g}, {1000 * found['form']:.3g} ({found['ratio']:.2f})"


def _theorems(record: Mapping[str, Any]) -> Section:
    rows: Sequence[tuple[str, ...]] = [
        (item["name"], f"{item['confirmed']} of {item['cases']}", f"{item['numbers']:,}") for item in record["theorems"]
    ]
    return Section("Theorems", (Table(("theorem", "instances that agree", "numbers"), tuple(rows), frozenset({2})),))

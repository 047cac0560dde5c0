"""The table beside a file of evidence: what was seen on one device.

Owns: `evidence_page`. Must not know: how it was gathered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symconv.report.page import Fact, Facts, Page, Prose, Section, Table, Tone

TONES = {"agrees": Tone.PROVED, "deviates": Tone.REFUTED, "broken": Tone.OPEN, "nothing_ran": Tone.OPEN}
HEADLINES = {
    "agrees": "every layer gave the numbers that it must give",
    "deviates": "some layer deviates",
    "broken": "what ran agrees, but some runs broke off",
    "nothing_ran": "nothing ran",
}


def evidence_page(record: Mapping[str, Any]) -> Page:
    """The whole page of one record."""
    devices = record["environment"]["devices"]
    name = ", ".join(str(about["name"]) for about in devices.values())
    sections = [Section("", (Facts(_facts(record)),))]
    if record["failed"]:
        broken = tuple((str(item["what"]), str(item["why"])) for item in record["failed"])
        sections.append(Section("Broke off", (Table(("what", "why"), broken),)))
    assumed = tuple((name, str(model)) for name, model in record["assumptions"].items())
    sections += [_settings(record), Section("What the bounds assume", (Table(("numbers", "of the device"), assumed),)), _reals(record)]
    if record["times"]:
        sections.append(_times(record))
    if record["theorems"]:
        sections.append(_theorems(record))
    if record["deviations"]:
        rows = tuple((str(item["name"]), str(item.get("left", "")), str(item.get("right", ""))) for item in record["deviations"])
        sections.append(Section("What deviates", (Table(("where", "left", "right"), rows), Prose("The snippets are in the JSON file."))))
    if record["left_out"]:
        sections.append(Section("Left out", (Table(("what, and why",), tuple((text,) for text in record["left_out"])),)))
    until = "" if record["complete"] else f" (so far: the run did not end, or has not yet; {record['seconds']} s)"
    return Page(f"{name}: {HEADLINES[record['verdict']]}{until}", TONES[record["verdict"]], tuple(sections))


def _facts(record: Mapping[str, Any]) -> tuple[Fact, ...]:
    about = record["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items() if version)
    facts = [Fact("versions", f"Python {about['python']}, {packages}")]
    for name, found in about["devices"].items():
        facts.append(Fact(name, ", ".join(f"{key} {value}" for key, value in found.items() if value)))
    facts += [Fact(name, value) for name, value in about["overrides"].items()]
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
            _extents(item["runs"]),
            ", ".join(f"{count} {outcome}" for outcome, count in sorted(item["outcomes"].items())),
            _ratio(item["ratio"]),
        )
        for item in record["real"]
    )
    return Section("Real layers", (Table(("layer", "form", "which is", "extents", "rows", "error / bound"), rows, frozenset({5})),))


def _extents(runs: Sequence[Mapping[str, Any]]) -> str:
    """Each size once; what ran at another one than the first run is named."""
    sizes: dict[str, list[str]] = {}
    for run in runs:
        who = run["dtypes"] if run["backends"] == ["torch"] else run["backends"]
        sizes.setdefault("x".join(map(str, run["extents"])), []).extend(who)
    first, *others = sizes.items()
    return ", ".join([first[0], *(f"{size} ({', '.join(dict.fromkeys(who))})" for size, who in others)])


def _times(record: Mapping[str, Any]) -> Section:
    dtypes = [name for name in ("float32", "tf32", "float16") if any(name in item for item in record["times"])]
    columns = ("layer", "form", "extents", *(f"{name}, ms (ratio)" for name in dtypes))
    rows = tuple(
        (item["name"], item["form"], "x".join(map(str, item["extents"])), *(_time(item.get(d)) for d in dtypes)) for item in record["times"]
    )
    how = ", ".join(dict.fromkeys(str(item["algorithm"]) for item in record["times"]))
    told = (
        f"Forward pass, {how}, batch of 2, medians of interleaved runs: the layer, its form, layer over form (above 1 the form is faster)."
    )
    more = " The JSON file has the peak memory, and the names of the kernels." if "float16" in dtypes else ""
    return Section("Times", (Prose(told + more), Table(columns, rows)))


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

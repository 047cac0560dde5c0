"""The page of a cross-validation, and of the theorems that were confirmed numerically.

Owns: `crossval_page`, `corpus_page`, `corpus_record`. Must not know: torch, widths, exit codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs

from symconv.report.crossval_models import model_facts, opened_sections, part_sections
from symconv.report.page import Fact, Facts, Lines, Page, Prose, Section, Table, Tone

CORPUS_SCHEMA = "symconv.crossval-corpus/1"
HEADLINES = {
    "agrees": "agrees: both {} gave the same numbers under every setting that ran",
    "deviates": "deviates: the {} gave numbers that they must not give",
    "nothing_ran": "nothing ran: no setting could be compared",
}
TONES = {"agrees": Tone.PROVED, "deviates": Tone.REFUTED, "nothing_ran": Tone.OPEN}
PARAMETERS = {
    "left": "drawn on the left, carried to the right by the reshuffle",
    "right": "drawn on the right, carried to the left by the reshuffle",
    "left_own": "the left layer's own, carried to the right by the reshuffle",
    "right_own": "the right layer's own, carried to the left by the reshuffle",
    "own": "the layers' own weights",
}


@attrs.frozen
class TheoremRow:
    """What was observed of one theorem.

    Args:
        name: the theorem.
        title: its statement in one sentence.
        cases: instances that predict that kernels agree.
        confirmed: those that agreed under every setting.
        deviating: expressions of those that did not.
        left_out: why others were not run.
        numbers: how many numbers were compared.
        largest: the largest error over its bound.
    """

    name: str
    title: str
    cases: int
    confirmed: int
    deviating: tuple[str, ...]
    left_out: tuple[str, ...]
    numbers: int
    largest: float


def crossval_page(evidence: Any) -> Page:
    """The report of one pair."""
    headline = HEADLINES[evidence.verdict].format("layers" if evidence.models is None else "models")
    if evidence.models is not None and evidence.ran and not any(row.scope == "model" for row in evidence.ran):
        headline = f"{evidence.verdict}: the parts alone; the whole models ran under no setting"
    return Page(headline, TONES[evidence.verdict], tuple(_sections(evidence)))


def _sections(evidence: Any) -> list[Section]:
    counts = [
        Fact("instances", f"{evidence.count} for each setting, seed {evidence.seed}"),
        Fact("numbers", f"{sum(row.values for row in evidence.rows):,} compared"),
    ]
    about = model_facts(evidence) if evidence.models is not None else _pair_facts(evidence)
    sections = [Section("", (Facts((*about, *counts)),))]
    if evidence.models is None:
        sections += _seen("What was seen", evidence.rows)
    else:
        rows = {scope: [row for row in evidence.rows if row.scope == scope] for scope in ("model", "parts")}
        sections += _seen("What was seen of the whole models", rows["model"])
        sections += opened_sections(evidence)
        sections += part_sections(evidence, _table(rows["parts"]))
    sections += _deviations(evidence)
    sections += _remarks(evidence.rows)
    sections.append(Section("Run with", (Facts(_environment(evidence.environment)),)))
    if evidence.snippet:
        sections.append(Section("To see the deviation again", (Lines(_short(evidence.snippet)),)))
    return sections


def _pair_facts(evidence: Any) -> list[Fact]:
    return [
        Fact("left", evidence.left, is_expression=True),
        Fact("right", evidence.right, is_expression=True),
        Fact("relation", _relation(evidence)),
        Fact("parameters", PARAMETERS[evidence.free]),
    ]


def _seen(title: str, rows: Sequence[Any]) -> list[Section]:
    table = _table(rows)
    return [] if table is None else [Section(title, (table, *_legend(rows)))]


def _table(rows: Sequence[Any]) -> Table | None:
    """What ran, one line for a setting and a direction."""
    ran = [group for group in _groups(rows) if any(row.outcome.value != "unsupported" for row in group)]
    columns = ("run by", "numbers", "how", "direction", "exact", "bounded")
    return Table(columns, tuple(map(_row, ran))) if ran else None


def _relation(evidence: Any) -> str:
    told = evidence.relation.replace("_", " ")
    by = {"certified": "certified", "solver": "by a solver"}.get(evidence.trust or "", "not certified")
    return f"{told} ({by}; {evidence.source})"


def _groups(rows: Sequence[Any]) -> list[list[Any]]:
    """The exact and the bounded row of one setting and direction together."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for row in rows:
        key = (row.backend, row.device, row.dtype, row.memory_format, row.algorithm, row.mode, row.direction)
        found.setdefault(key, []).append(row)
    return list(found.values())


def _row(group: Sequence[Any]) -> tuple[str, ...]:
    first = group[0]
    by = first.device if first.backend == "torch" else first.backend
    plain = {"contiguous": "", "eager": ""}
    how = " ".join(word for word in (first.algorithm, *(plain.get(w, w) for w in (first.memory_format, first.mode))) if word)
    cells = {row.evidence: _cell(row) for row in group}
    return by, first.dtype, how, first.direction, cells.get("exact", ""), cells.get("bounded", "")


def _cell(row: Any) -> str:
    word = {"within": "", "unsupported": "-", "deviates": "DEVIATES"}.get(row.outcome.value, row.outcome.value)
    if row.evidence == "bounded" and row.ratio is not None:
        told = "off the scale" if not math.isfinite(row.ratio) else f"{row.ratio:.2g}"
        return f"{word} {told}".strip()
    return str(word)


def _legend(rows: Sequence[Any]) -> tuple[Prose, ...]:
    told = []
    exact = [row for row in rows if row.evidence == "exact" and row.bound is not None]
    if exact:
        sums = "; ".join(f"{dtype} {most:,.0f} of 2^{math.log2(limit):.0f}" for dtype, (most, limit) in _largest(exact).items())
        told.append(
            Prose(
                "exact: small integers, so that every partial sum is exact in any order and the results must be equal bit for bit. "
                f"Largest partial sum possible: {sums}."
            )
        )
    if any(row.evidence == "bounded" and row.ratio is not None for row in rows):
        told.append(Prose("bounded: random reals; the largest error over the rounding bound proved for it (1 is the most allowed)."))
    return tuple(told)


def _largest(rows: Sequence[Any]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for row in rows:
        found[row.dtype] = max(found.get(row.dtype, (0.0, row.limit)), (row.bound, row.limit))
    return found


def _deviations(evidence: Any) -> list[Section]:
    if not evidence.deviations:
        return []
    row = evidence.worst
    worst, noun = row.deviation, "model" if row.scope == "model" else "part" if row.scope == "parts" else "layer"
    setting = " ".join(word for word in (row.backend, row.device, row.dtype, row.memory_format, row.algorithm, row.mode) if word)
    facts = [
        Fact("setting", f"{setting}, {row.direction}, {row.evidence} mode"),
        Fact("value", f"{worst.what} of the {worst.side} {noun} at [{', '.join(map(str, worst.place))}]"),
        Fact("found", f"{worst.found!r}"),
        Fact("exact", f"{worst.exact!r}"),
        Fact("allowed", "no error at all" if not worst.bound else f"{worst.bound:.3g}"),
        Fact("input", f"extents {'x'.join(map(str, worst.extents))}, instance {worst.draw} of seed {evidence.seed}"),
    ]
    title = f"The worst of {len(evidence.deviations)} deviations" if len(evidence.deviations) > 1 else "The deviation"
    return [Section(title, (Facts(tuple(facts)),))]


def _remarks(rows: Sequence[Any]) -> list[Section]:
    """Everything that did not run, or ran with a remark, with its reason; each reason once."""
    found: dict[str, dict[str, list[Any]]] = {}
    every: dict[str, list[Any]] = {}
    for row in rows:
        name = f"{row.backend if row.backend != 'torch' else row.device} {row.dtype}"
        every.setdefault(name, []).append(row)
        for reason in row.reason.split("; ") if row.reason else ():
            found.setdefault(reason, {}).setdefault(name, []).append(row)
    if not found:
        return []
    table = tuple((reason, "; ".join(_where(name, own, every[name]) for name, own in where.items())) for reason, where in found.items())
    return [Section("Not run, or with a remark", (Table(("why", "where"), table),))]


def _where(name: str, own: Sequence[Any], every: Sequence[Any]) -> str:
    """A number format, with the algorithms, directions and evidence that are concerned, unless all are."""
    told = [name]
    for field in ("memory_format", "algorithm", "mode", "direction", "evidence"):
        mine = dict.fromkeys(getattr(row, field) for row in own)
        if len(mine) < len({getattr(row, field) for row in every}):
            told.append(" and ".join(mine))
    return " ".join(told)


def _environment(found: Any) -> tuple[Fact, ...]:
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items() if version)
    facts = [Fact("versions", f"Python {found['python']}, {packages}")]
    for name, about in found["devices"].items():
        told = ", ".join(f"{key} {value}" if key != "name" else str(value) for key, value in about.items() if value and key != "memory")
        facts.append(Fact(name, told))
    return tuple(facts)


def _short(text: str, most: int = 40, width: int = 110) -> tuple[str, ...]:
    lines = text.splitlines()
    if len(lines) > most or any(len(line) > width for line in lines):
        return (*[line[:width] for line in lines[:3]], "...", "(the whole text is in the field `snippet` of --json)")
    return tuple(lines)


def corpus_page(rows: Sequence[TheoremRow], about: Any) -> Page:
    """Which theorems were observed."""
    bad = [row for row in rows if row.deviating]
    spoken = [row for row in rows if row.confirmed]
    told = f"{len(spoken) - len([row for row in bad if row.confirmed])} of {len(rows)} theorems confirmed numerically"
    headline = told if not bad else f"{len(bad)} of {len(rows)} theorems have an instance that deviates"
    table = tuple(
        (row.name, f"{row.confirmed} of {row.cases}", f"{row.numbers:,}", f"{row.largest:.2g}" if row.numbers else "") for row in rows
    )
    columns = ("theorem", "instances that agree", "numbers", "error / bound")
    sections = [Section("", (Table(columns, table, frozenset({1, 2, 3})),))]
    wrong = tuple((row.name, text) for row in bad for text in row.deviating)
    if wrong:
        sections.append(Section("What deviates", (Table(("theorem", "instance"), wrong),)))
    left_out = tuple((row.name, reason) for row in rows for reason in row.left_out)
    if left_out:
        sections.append(Section("Left out", (Table(("theorem", "why"), left_out),)))
    sections.append(Section("Run with", (Facts(_environment(about)),)))
    return Page(headline, Tone.REFUTED if bad else Tone.PROVED if spoken else Tone.OPEN, tuple(sections))


def corpus_record(rows: Sequence[TheoremRow], about: Any, seed: int) -> dict[str, Any]:
    """The JSON object of `crossval --corpus`."""
    outcome = "deviates" if any(row.deviating for row in rows) else "agrees" if any(row.confirmed for row in rows) else "nothing_ran"
    theorems = [attrs.asdict(row, value_serializer=lambda _, __, value: list(value) if isinstance(value, tuple) else value) for row in rows]
    return {"schema": CORPUS_SCHEMA, "verdict": outcome, "seed": seed, "environment": about, "theorems": theorems}

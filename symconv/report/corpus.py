"""The theorem corpus: where it is installed, its pages and its JSON object.

Owns: `package`, `list_page`, `prove_page`, `prove_record`. Must not know: how theorems are proved, processes.

A checkout has the corpus at the top level as proofs/, the wheel as symconv/_proofs; both are loaded under the one name
`symconv._proofs`, so that site-packages gains no module named `proofs`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import symconv
from symconv.errors import InternalError
from symconv.report.page import Fact, Facts, Page, Prose, Section, Table, Tone
from symconv.report.printed.as_text import characters
from symconv.report.printed.mathematics import from_term
from symconv.report.printed.prose import paragraphs
from symconv.report.versions import versions

SCHEMA = "symconv.prove/1"
NAME = "symconv._proofs"


def package() -> ModuleType:
    """The corpus as a package.

    Raises:
        InternalError: it is neither in symconv nor beside it.
    """
    if NAME in sys.modules:
        return sys.modules[NAME]
    home = Path(symconv.__file__).resolve().parent
    if (home / "_proofs" / "__init__.py").exists():
        return importlib.import_module(NAME)
    folder = home.parent / "proofs"
    spec = importlib.util.spec_from_file_location(NAME, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None or not (folder / "__init__.py").exists():
        raise InternalError(f"`proofs` must be installed with symconv; {folder} does not exist. Reinstall symconv.")
    module = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[NAME]
        raise
    return module


def list_page(theorems: Sequence[Any]) -> Page:
    """Every theorem with its claims, backends and statement; nothing is run."""
    rows = tuple((item.name, _numbers(item), ", ".join(item.backends), item.title) for item in theorems)
    table = Table(("theorem", "claims", "backends", "statement"), rows)
    how = "Nothing was run. `symconv prove NAME...` proves some of them, `symconv prove --all` all."
    return Page(f"{len(theorems)} theorems", Tone.PLAIN, (Section("", (table, Prose(how))),))


def prove_page(theorems: Sequence[Any], results: Mapping[str, Any]) -> Page:
    """What was proved; one theorem in full, several as a table."""
    good = [item for item in theorems if _status(results[item.name]) == "proved"]
    tone = Tone.PROVED if len(good) == len(theorems) else Tone.REFUTED
    if len(theorems) == 1:
        return _one(theorems[0], results[theorems[0].name], tone)
    rows = tuple(_row(item, results[item.name]) for item in theorems)
    sections = [Section("", (Table(("theorem", "status", "backends", "false twins", "seconds", "scope"), rows, frozenset({4})),))]
    problems = tuple(
        (item.name, check.backend, check.part, check.detail) for item in theorems for check in results[item.name].checks if _failed(check)
    )
    if problems:
        sections.append(Section("What failed", (Table(("theorem", "backend", "part", "why"), problems),)))
    if missing := _missing(results):
        sections.append(Section("", (Prose(missing),)))
    return Page(f"{len(good)} of {len(theorems)} theorems proved", tone, tuple(sections))


def _row(theorem: Any, result: Any) -> tuple[str, ...]:
    refuted = sum(check.backend == "twin" and not _failed(check) for check in result.checks)
    backends = ", ".join(_told(name, outcome) for name, outcome in _backends(result).items())
    return theorem.name, _status(result), backends, f"{refuted} of {len(theorem.twins)} refuted", f"{result.seconds:.1f}", theorem.scope


def _told(name: str, outcome: str) -> str:
    return name if outcome == "proved" else f"{name} ({outcome})"


def _one(theorem: Any, result: Any, tone: Tone) -> Page:
    facts = Facts((Fact("claims", _numbers(theorem)), Fact("scope", theorem.scope), Fact("source", theorem.source)))
    parts = [
        Section("", (facts,)),
        Section("Statement", _paragraphs(theorem.statement)),
        Section("Proof", _paragraphs(theorem.proof)),
    ]
    if theorem.hypotheses:
        rows = tuple((characters(from_term(item.formula)), item.why) for item in theorem.hypotheses)
        parts.append(Section("Hypotheses", (Table(("formula", "why it is needed"), rows),)))
    checks = tuple(
        (check.backend, check.part, check.outcome.value, check.detail, f"{check.seconds:.2f}")
        for check in result.checks
        if check.backend != "twin"
    )
    parts.append(Section("What was checked", (Table(("backend", "part", "outcome", "detail", "seconds"), checks, frozenset({4})),)))
    for twin in theorem.twins:
        example = result.counterexamples.get(twin.name)
        told = "not refuted" if example is None else f"{example.text}{_replayed(example)}"
        bent = Facts((Fact("bent statement", twin.bend), Fact("counterexample", told)))
        parts.append(Section(f"False twin: {twin.name}", (bent,)))
    if theorem.corrections:
        parts.append(Section("Corrections", _paragraphs(theorem.corrections)))
    return Page(f"{_status(result)}: {theorem.title}", tone, tuple(parts))


def _paragraphs(lines: Sequence[str]) -> tuple[Prose, ...]:
    return tuple(map(Prose, paragraphs(lines)))


def _replayed(example: Any) -> str:
    return {True: " (PyTorch shows it)", False: " (PyTorch does not show it)", None: ""}[example.replayed]


def prove_record(theorems: Sequence[Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object, schema symconv.prove/1; without results a list of what there is."""
    ran = [_status(results[item.name]) for item in theorems if item.name in results]
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "outcome": None if not ran else "proved" if all(status == "proved" for status in ran) else "failed",
        "theorems": [_record(item, results.get(item.name)) for item in theorems],
    }


def digest(theorem: Any) -> str:
    """SHA-256 of everything that is to be proved, so that a saved result is not taken for one of an altered theorem."""
    smt = importlib.import_module(f"{package().__name__}.smt")
    told = [theorem.name, *theorem.statement, *smt.files(theorem).values()]
    told += [
        text
        for part in (*theorem.definitions, *theorem.identities, *theorem.exact, *theorem.agreements)
        for text in (part.name, part.statement)
    ]
    told += [part.range for part in (*theorem.exact, *theorem.agreements)]
    told += [text for twin in theorem.twins for text in (twin.name, twin.bend)]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()


def _record(theorem: Any, result: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": theorem.name,
        "claims": list(theorem.numbers),
        "group": theorem.group,
        "title": theorem.title,
        "statement": list(theorem.statement),
        "scope": theorem.scope,
        "source": theorem.source,
        "corrections": list(theorem.corrections),
        "digest": digest(theorem),
        "outcome": "not run" if result is None else _status(result),
        "backends": dict.fromkeys(theorem.backends, "not run") if result is None else _backends(result),
        "seconds": None if result is None else round(result.seconds, 3),
    }
    if result is None:
        return record
    record["checks"] = [
        {
            "backend": check.backend,
            "part": check.part,
            "outcome": check.outcome.value,
            "detail": check.detail,
            "seconds": round(check.seconds, 3),
        }
        for check in result.checks
    ]
    record["twins"] = [_twin(twin, result.counterexamples.get(twin.name)) for twin in theorem.twins]
    return record


def _twin(twin: Any, example: Any) -> dict[str, Any]:
    found = None if example is None else {"values": dict(example.values), "text": example.text, "replayed": example.replayed}
    return {"name": twin.name, "bend": twin.bend, "counterexample": found}


def _status(result: Any) -> str:
    return str(result.outcome.value)


def _failed(check: Any) -> bool:
    return bool(check.outcome.value == "failed")


def _backends(result: Any) -> dict[str, str]:
    """Backend to its worst outcome: failed, not run, proved."""
    worst: dict[str, str] = {}
    for check in result.checks:
        if check.backend != "twin":
            seen = {worst.get(check.backend, "proved"), check.outcome.value}
            worst[check.backend] = next(value for value in ("failed", "not run", "proved") if value in seen)
    return worst


def _missing(results: Mapping[str, Any]) -> str:
    left_out = {
        f"{check.backend}: {check.detail}" for result in results.values() for check in result.checks if check.outcome.value == "not run"
    }
    return f"Not run, and nothing is said to be proved by it: {'; '.join(sorted(left_out))}." if left_out else ""


def _numbers(theorem: Any) -> str:
    return ", ".join(map(str, theorem.numbers))

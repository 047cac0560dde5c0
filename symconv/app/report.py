"""`symconv report`: theorems and saved verdicts in, one printable file out.

Owns: which arguments are files and which are theorems, the output file, the exit code. Must not know: what a report says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.app.arguments import writable
from symconv.app.prove import PROCESSES, chosen, run
from symconv.certificate.encode import read, write_atomically
from symconv.errors import CertificateError, UsageError
from symconv.report.corpus import SCHEMA, package
from symconv.report.page import Fact, Facts, Page, Section, Tone
from symconv.report.printed.document import Mark
from symconv.report.printed.measured import SCHEMA as MEASURED
from symconv.report.printed.measured import Measured
from symconv.report.printed.record import Found, SavedVerdict, Standing, fresh, read_theorems, read_verdict, status
from symconv.report.printed.report import FORMATS, headline, report, write

TONES = {Mark.PROVED: Tone.PROVED, Mark.FAILED: Tone.REFUTED, Mark.REFUTED: Tone.REFUTED, Mark.NOT_RUN: Tone.OPEN, Mark.PLAIN: Tone.PLAIN}
FAILED, OPEN, REJECTED = 1, 3, 4


@attrs.frozen
class _Asked:
    """What the report is about: theorems by name, results read from files, saved verdicts, measurements."""

    names: tuple[str, ...]
    results: Mapping[str, Found]
    saved: tuple[SavedVerdict, ...]
    measured: tuple[Measured, ...]


def print_report(what: Sequence[str], output: Path, *, everything: bool, force: bool, processes: int = PROCESSES) -> int:
    """Writes the report.

    Args:
        what: theorems, numbers of claims or groups; files that --json, --certificate or `power` wrote. Nothing is the whole corpus.
        output: FILE.md, FILE.html or FILE.pdf.
        everything: the whole corpus, beside what is named.
        force: whether an existing file is overwritten.
        processes: how many theorems are proved at once.

    Returns:
        0 if everything in the report is proved or certified, 1 if a theorem failed, 3 if something was not run or has no
        certificate, 4 if a certificate was rejected; the report is written in each case.

    Raises:
        UsageError: an unknown theorem, a file that is none of these, another suffix, a package that is missing.
        CertificateError: the output file exists, or cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"`--output` must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}; found `{output.name}`.")
    path = writable(output, force=force)
    assert path is not None
    _require(suffix)
    asked = _asked(what, everything=everything)
    missing = [name for name in asked.names if name not in asked.results]
    results = dict(asked.results)
    if missing:
        results |= {name: fresh(result) for name, result in run(missing, processes=processes).items()}
    theorems = [package().load(name) for name in asked.names]
    document = write(report(theorems, results, asked.saved, asked.measured), suffix)
    write_atomically(path, document, force=force)
    _tell(theorems, results, asked.saved, path)
    return _exit_code(theorems, results, asked.saved)


def _asked(what: Sequence[str], *, everything: bool) -> _Asked:
    files = [text for text in what if _is_file(text)]
    named = [text for text in what if not _is_file(text)]
    known = {name: package().load(name) for name in package().NAMES} if files or everything or not what else {}
    results: dict[str, Found] = {}
    saved: list[SavedVerdict] = []
    measured: list[Measured] = []
    for text in files:
        path = Path(text)
        record = _record(path)
        if record.get("schema") == SCHEMA:
            results |= read_theorems(path, record, known)
        elif record.get("schema") == MEASURED:
            measured.append(Measured(path.name, record))
        else:
            saved.append(read_verdict(path, record))
    names = set(results)
    if named or everything or not what:
        names |= set(chosen(named, everything=everything))
    return _Asked(tuple(name for name in package().NAMES if name in names), results, tuple(saved), tuple(measured))


def _record(path: Path) -> dict[str, Any]:
    try:
        return read(path)
    except CertificateError as error:
        raise UsageError(str(error)) from error


def _is_file(text: str) -> bool:
    """A path rather than the name of a theorem."""
    return "/" in text or "\\" in text or text.lower().endswith(".json") or (Path(text).is_file() and text not in package().NAMES)


def _require(suffix: str) -> None:
    """Refuses before anything is proved what could not be written afterwards."""
    needed = {".pdf": ("typst", "matplotlib"), ".html": ("matplotlib",)}.get(suffix, ())
    from importlib.util import find_spec

    if missing := [name for name in needed if find_spec(name) is None]:
        raise UsageError(
            f"a report as {suffix[1:].upper()} needs {' and '.join(f'`{name}`' for name in missing)}, not installed here. "
            "Run `pip install 'symconv[report]'`, or ask for FILE.md."
        )


def _exit_code(theorems: Sequence[Any], results: Mapping[str, Found], saved: Sequence[SavedVerdict]) -> int:
    told = {status(theorem, results.get(theorem.name)) for theorem in theorems}
    standings = {item.standing for item in saved}
    if Standing.REJECTED in standings:
        return REJECTED
    if "failed" in told:
        return FAILED
    return OPEN if "not run" in told or Standing.NOTHING in standings else 0


def _tell(theorems: Sequence[Any], results: Mapping[str, Found], saved: Sequence[SavedVerdict], path: Path) -> None:
    from symconv.report.terminal import console, print_page

    line, mark = headline(theorems, results, saved) if theorems or saved else ("measured, not proved", Mark.PLAIN)
    rows = [Fact("report", str(path))]
    rows += [Fact(item.name, f"{item.standing.value}: {item.why}" if item.why else item.standing.value) for item in saved]
    left = sorted(
        {f"{check.backend}: {check.detail}" for found in results.values() for check in found.checks if check.outcome == "not run"}
    )
    rows += [Fact("not run", "; ".join(left))] if left else []
    print_page(Page(line, TONES[mark], (Section("", (Facts(tuple(rows)),)),)), console())

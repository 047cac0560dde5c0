"""The whole report, from theorems with their results and from saved verdicts.

Owns: the order of the parts; `FORMATS`, `write`. Must not know: files, processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symconv.report.printed.appendix import appendix
from symconv.report.printed.document import Block, Break, Contents, Document, Heading, Mark, words
from symconv.report.printed.measured import Measured, measured_chapters
from symconv.report.printed.opening import answers, corrections, reading
from symconv.report.printed.record import Found, SavedVerdict, Standing, status
from symconv.report.printed.theorems import chapters, summary
from symconv.report.printed.verdicts import verdict_chapters
from symconv.report.versions import versions

TITLE = "Is the deconvolution layer the same as a convolutional layer?"
FORMATS = (".md", ".html", ".pdf")


def report(
    theorems: Sequence[Any], results: Mapping[str, Found], saved: Sequence[SavedVerdict], measured: Sequence[Measured] = ()
) -> Document:
    """The document.

    Args:
        theorems: of the corpus, in the order of reading.
        results: name to what was found; a theorem without a result is reported as not run.
        saved: verdicts and certificates, already checked again.
        measured: results of `symconv power`.
    """
    blocks: list[Block] = []
    if theorems:
        blocks += answers(theorems, results)
    if theorems or len(saved) + len(measured) > 1:
        blocks += [Break(), Heading(2, words("Contents")), Contents(), Break()]
    if theorems:
        blocks += [*reading(), *summary(theorems, results), *corrections(theorems), *chapters(theorems, results)]
    blocks += [*verdict_chapters(saved), *measured_chapters(measured)]
    blocks += appendix(theorems, results, saved) if theorems or saved else []
    title = "Proofs about deconvolution and convolution layers" if theorems else "Verdicts on layers" if saved else "Layers, measured"
    version = versions()["symconv"]
    maker = f"symconv {version}" if version[0].isdigit() else "symconv"
    said = (
        f"{maker} · on the note “{TITLE}”, arXiv 1609.07009"
        if theorems
        else f"{maker} · {'saved verdicts, checked again' if saved else 'results of symconv power'}"
    )
    line, mark = headline(theorems, results, saved) if theorems or saved else ("measured, not proved", Mark.PLAIN)
    return Document(title, said, line, mark, tuple(blocks))


def headline(theorems: Sequence[Any], results: Mapping[str, Found], saved: Sequence[SavedVerdict]) -> tuple[str, Mark]:
    """The outcome in one line."""
    told = [status(theorem, results.get(theorem.name)) for theorem in theorems]
    parts, marks = [], []
    if theorems:
        twins = sum(len(theorem.twins) for theorem in theorems)
        refuted = sum(check.outcome == "refuted" for found in results.values() for check in found.checks if check.backend == "twin")
        rest = "".join(f", {told.count(word)} {word}" for word in ("failed", "not run") if word in told)
        parts.append(
            f"{told.count('proved')} of {len(told)} {_plural('theorem', len(told))} proved{rest}; {refuted} of {twins} false twins refuted"
        )
        marks.append(Mark.FAILED if "failed" in told else Mark.NOT_RUN if "not run" in told else Mark.PROVED)
    if saved:
        accepted = sum(item.standing is Standing.ACCEPTED for item in saved)
        rejected = sum(item.standing is Standing.REJECTED for item in saved)
        open_ = len(saved) - accepted - rejected
        rest = "".join(f", {count} {word}" for count, word in ((rejected, "rejected"), (open_, "without a certificate")) if count)
        parts.append(f"{accepted} of {len(saved)} {_plural('verdict', len(saved))} certified{rest}")
        marks.append(Mark.FAILED if rejected else Mark.NOT_RUN if open_ else Mark.PROVED)
    worst = next((mark for mark in (Mark.FAILED, Mark.NOT_RUN, Mark.PROVED) if mark in marks), Mark.PLAIN)
    return "; ".join(parts), worst


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def write(document: Document, suffix: str) -> bytes:
    """The document in the form that a file's suffix names, one of `FORMATS`."""
    if suffix == ".md":
        from symconv.report.printed.as_markdown import markdown

        return markdown(document).encode()
    if suffix == ".html":
        from symconv.report.printed.as_html import html

        return html(document).encode()
    from symconv.report.printed.as_pdf import pdf

    return pdf(document)

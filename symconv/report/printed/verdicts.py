"""Saved verdicts and certificates as chapters.

Owns: `verdict_chapters`; `page_block`, a block of a page as one of a document. Must not know: writers, how verdicts are found.
"""

from __future__ import annotations

from collections.abc import Sequence

from symconv.report import words as worded
from symconv.report.check import Question, check_page
from symconv.report.layout import picture_lines
from symconv.report.page import Block as PageBlock
from symconv.report.page import Facts, Lines, Page, Picture, Prose
from symconv.report.page import Table as PageTable
from symconv.report.picture import kernel_pictures
from symconv.report.printed.document import Block, Box, Code, Heading, Labelled, Listing, Mark, Paragraph, Table, Text, words
from symconv.report.printed.prose import prose
from symconv.report.printed.record import SavedVerdict, Standing
from symconv.report.verify import Checked, verify_page
from symconv.theory.relation import Claim

WIDTH = 84
"""Columns of pictures in characters."""
SHORT, LONG = 18, 60
"""Characters of a cell that is not broken; and beyond which a column gets no wider."""
LEFT_OUT = frozenset({"claim", "time", "certificate", "trust"})
"""Facts of a check that a file does not hold, or that are told anew here."""


def verdict_chapters(saved: Sequence[SavedVerdict]) -> list[Block]:
    """One chapter a file, in the order given."""
    if not saved:
        return []
    blocks: list[Block] = [Heading(1, words("Verdicts"), "verdicts")]
    for place, item in enumerate(saved, 1):
        blocks += [Heading(2, words(item.name), f"verdict-{place}"), *_chapter(item)]
    return blocks


def _chapter(item: SavedVerdict) -> list[Block]:
    if item.standing is Standing.REJECTED:
        return [Box(words(f"rejected: {item.why}"), Mark.FAILED, (Paragraph(words(_rejected(item))), *_sides(item)))]
    if item.verdict is None:
        assert item.checked is not None and item.certificate is not None
        page = verify_page((Checked(item.name, item.certificate, item.checked),))
        told = _page(page, Mark.PROVED, _trust(item))
        return [*told, *(page_block(block) for block in kernel_pictures(dict(item.certificate)))]
    question = Question(claim=Claim.EQUAL, holds=item.verdict.proves(Claim.EQUAL))
    return _page(check_page(item.verdict, question), Mark.PROVED if item.standing is Standing.ACCEPTED else Mark.PLAIN, _trust(item))


def _rejected(item: SavedVerdict) -> str:
    if item.checked is not None and item.checked.accepted:
        return (
            "The independent checker accepts the certificate in this file, but the record around it says something else. "
            "Nothing that the record says is proved."
        )
    return "The independent checker rejected the certificate in this file. Nothing that it claims is proved."


def _sides(item: SavedVerdict) -> tuple[Block, ...]:
    if item.verdict is None:
        return ()
    return (Labelled((("left", (Code(item.verdict.left),)), ("right", (Code(item.verdict.right),)))),)


def _trust(item: SavedVerdict) -> str:
    if item.standing is Standing.ACCEPTED:
        return "certified: the independent checker accepted the certificate in making this report"
    trust = item.verdict.trust if item.verdict is not None else None
    said = f"the record says “{worded.TRUST[trust].split(':')[0]}”; " if trust is not None else ""
    return f"{said}{item.why}"


def _page(page: Page, mark: Mark, trust: str) -> list[Block]:
    blocks: list[Block] = [Box(words(page.headline), mark, (Labelled((("trust", words(trust)),)),))]
    for section in page.sections:
        blocks += [Heading(3, words(section.title))] if section.title else []
        blocks += [page_block(block) for block in section.blocks]
    return blocks


def page_block(block: PageBlock) -> Block:
    """A part of a page as a part of a document."""
    match block:
        case Facts(rows=rows):
            return Labelled(tuple((fact.label, _fact(fact.text, fact.is_expression)) for fact in rows if fact.label not in LEFT_OUT))
        case Prose(text=text):
            return Paragraph(words(text))
        case Lines(lines=lines):
            return Listing(lines)
        case Picture():
            return Listing(tuple(picture_lines(block, WIDTH)))
        case PageTable(columns=columns, rows=rows):
            return Table(columns, tuple(tuple(words(cell) for cell in row) for row in rows), _widths((columns, *rows)))


def _widths(lines: Sequence[Sequence[str]]) -> tuple[float, ...]:
    """Columns of short cells are as wide as these; the others share the rest."""
    longest = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return tuple(0 if length <= SHORT else min(length, LONG) for length in longest)


def _fact(text: str, is_expression: bool) -> Text:
    return (Code(text),) if is_expression else prose(text.replace("\n", "; "))

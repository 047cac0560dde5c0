"""Pages as Markdown: GitHub's dialect, readable as plain text too.

Owns: `markdown`. Must not know: results, terminals.
"""

from __future__ import annotations

from symconv.report.layout import picture_lines
from symconv.report.page import Block, Fact, Facts, Lines, Page, Picture, Prose, Section, Table

WIDTH = 100
"""Columns of pictures."""
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~$"})


def markdown(page: Page) -> str:
    """The page as Markdown text that ends with a line break."""
    parts = [f"**{_escape(page.headline)}**"]
    for section in page.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    head = [f"## {_escape(section.title)}"] if section.title else []
    return head + [_block(block) for block in section.blocks]


def _block(block: Block) -> str:
    match block:
        case Facts(rows=rows):
            return "\n".join(["| | |", "|---|---|", *(f"| {_escape(fact.label)} | {_fact(fact)} |" for fact in rows)])
        case Prose(text=text):
            return _escape(text)
        case Lines(lines=lines):
            return _fenced(list(lines))
        case Picture():
            return _fenced(picture_lines(block, WIDTH))
        case Table():
            return _table(block)


def _fact(fact: Fact) -> str:
    return f"`{fact.text}`" if fact.is_expression else "<br>".join(map(_escape, fact.text.split("\n")))


def _fenced(lines: list[str]) -> str:
    return "\n".join(["```text", *lines, "```"])


def _table(table: Table) -> str:
    rules = ["---:" if k in table.numeric else "---" for k in range(len(table.columns))]
    rows = [table.columns, tuple(rules), *(tuple(_escape(text) for text in row) for row in table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _escape(text: str) -> str:
    return text.translate(_ESCAPED).replace("\n", " ")

"""Pages for a terminal: aligned, wrapped to its width, coloured only where it is one.

Owns: `print_page`, `console`. Must not know: results, exit codes.
"""

from __future__ import annotations

import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from symconv.report.layout import picture_lines, table_lines, wrap_expression
from symconv.report.page import Block, Fact, Facts, Lines, Page, Picture, Prose, Section, Table, Tone

WIDEST = 120
"""Columns beyond which lines are not made longer, for the reader's sake."""
INDENT = 2
STYLE = {Tone.PROVED: "bold green", Tone.REFUTED: "bold red", Tone.OPEN: "bold yellow", Tone.PLAIN: "bold"}


def console(file: TextIO | None = None, width: int | None = None) -> Console:
    """A console on `file` (standard output by default) that takes texts as they are."""
    return Console(file=file or sys.stdout, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_page(page: Page, on: Console) -> None:
    """Prints a page."""
    width = min(on.width, WIDEST)
    for line in wrap_expression(page.headline, width):
        _put(on, line, width, STYLE[page.tone])
    labels = [fact.label for section in page.sections for block in section.blocks if isinstance(block, Facts) for fact in block.rows]
    column = max(map(len, labels), default=0) + 2
    for section in page.sections:
        on.print()
        _print_section(section, column, width, on)


def _print_section(section: Section, column: int, width: int, on: Console) -> None:
    if section.title:
        _put(on, section.title, width, "bold")
    for number, block in enumerate(section.blocks):
        if number and not (isinstance(block, Facts) and isinstance(section.blocks[number - 1], Facts)):
            on.print()
        _print_block(block, column, width, on)


def _print_block(block: Block, column: int, width: int, on: Console) -> None:
    match block:
        case Facts(rows=rows):
            for fact in rows:
                _print_fact(fact, column, width, on)
        case Prose(text=text):
            _put(on, text, width, indent=INDENT)
        case Lines(lines=lines):
            for line in lines:
                _put(on, line, width, indent=INDENT, hang=2)
        case Picture():
            for line in picture_lines(block, width - INDENT):
                _put_whole(on, " " * INDENT + line)
        case Table():
            for line in table_lines(block, width - INDENT):
                _put_whole(on, " " * INDENT + line)


def _print_fact(fact: Fact, column: int, width: int, on: Console) -> None:
    """The label, then the text hanging beside it."""
    room = max(20, width - INDENT - column)
    texts = wrap_expression(fact.text, room) if fact.is_expression else fact.text.split("\n")
    pieces = [piece.rstrip() for text in texts for piece in _wrapped(on, text, room)]
    for number, piece in enumerate(pieces):
        line = Text(" " * INDENT)
        line.append((fact.label if number == 0 else "").ljust(column), style="dim")
        line.append(piece)
        line.rstrip()
        on.print(line, no_wrap=True, overflow="ignore", crop=False)


def _wrapped(on: Console, text: str, width: int) -> list[str]:
    return [line.plain for line in Text(text).wrap(on, width)]


def _put(on: Console, text: str, width: int, style: str = "", indent: int = 0, hang: int = 0) -> None:
    """A paragraph, wrapped."""
    for number, piece in enumerate(_wrapped(on, text, max(20, width - indent - hang))):
        margin = " " * (indent + (hang if number else 0))
        on.print(Text((margin + piece).rstrip(), style=style), no_wrap=True, overflow="ignore", crop=False)


def _put_whole(on: Console, line: str) -> None:
    """A line that keeps its spaces; samples in brackets stand out."""
    text = Text(line.rstrip())
    text.highlight_regex(r"\[[^\]\s]+\]", "bold red")
    on.print(text, no_wrap=True, overflow="ignore", crop=False)

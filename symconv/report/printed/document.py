"""What a printed report is made of: blocks of text, formulas, tables and figures, without any markup.

Owns: `Document` and its parts. Must not know: theorems, verdicts, typst, HTML, Markdown.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs

from symconv.report.printed.mathematics import Node


@attrs.frozen
class Words:
    """Plain text."""

    text: str


@attrs.frozen
class Formula:
    """Mathematics in a line of text."""

    node: Node


@attrs.frozen
class Code:
    """An expression, a command or the name of a file, in type of fixed width."""

    text: str


@attrs.frozen
class Strong:
    """Words that stand out."""

    text: str


@attrs.frozen
class Link:
    """A reference to the block with this anchor in the same document."""

    text: str
    anchor: str


Span = Words | Formula | Code | Strong | Link
Text = tuple[Span, ...]


class Mark(enum.Enum):
    """What a box or a cell reports; shown by its word and a colour, so that grey paper loses nothing."""

    PROVED = "proved"
    REFUTED = "refuted"
    FAILED = "failed"
    NOT_RUN = "not run"
    PLAIN = ""


@attrs.frozen
class Heading:
    """A heading; level 1 begins a part, 2 a chapter, 3 a section within one (left out of the contents)."""

    level: int
    text: Text
    anchor: str = ""


@attrs.frozen
class Paragraph:
    """A paragraph; `small` ones are notes."""

    text: Text
    small: bool = False


@attrs.frozen
class Display:
    """A formula on lines of its own, and the punctuation after it."""

    lines: tuple[Node, ...]
    after: str = ""


@attrs.frozen
class Steps:
    """Numbered items, or bullets."""

    items: tuple[Text, ...]
    numbered: bool = True


@attrs.frozen
class Labelled:
    """Labels with a text each, one under the other."""

    rows: tuple[tuple[str, Text], ...]


@attrs.frozen
class Table:
    """Columns with a heading each.

    Args:
        columns: the headings.
        rows: cells.
        widths: relative widths; 0 is as wide as the content.
        caption: may be empty.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    widths: tuple[float, ...]
    caption: Text = ()


@attrs.frozen
class Figure:
    """A drawing.

    Args:
        draw: makes the SVG; called by writers that show drawings only.
        alternative: the same in characters, for writers that do not.
        caption: what is seen.
        width: the part of the text's width that it takes.
        spoken: one sentence for readers who do not see it.
    """

    draw: Callable[[], bytes]
    alternative: tuple[str, ...]
    caption: Text
    width: float
    spoken: str


@attrs.frozen
class Listing:
    """Lines that keep their breaks and spaces."""

    lines: tuple[str, ...]


@attrs.frozen
class Box:
    """Blocks that belong together under a title: a statement, a false twin."""

    title: Text
    mark: Mark
    blocks: tuple[Block, ...]


@attrs.frozen
class Break:
    """A new page."""


@attrs.frozen
class Contents:
    """The table of contents."""


Block = Heading | Paragraph | Display | Steps | Labelled | Table | Figure | Listing | Box | Break | Contents


@attrs.frozen
class Document:
    """A report: title, a line under it, the answer in one line, then blocks."""

    title: str
    subtitle: str
    headline: str
    mark: Mark
    blocks: tuple[Block, ...]


def words(text: str) -> Text:
    """Plain text as a text."""
    return (Words(text),) if text else ()


def plain(text: Text) -> str:
    """The text without formulas' structure, for places that take characters only."""
    return "".join("" if isinstance(span, Formula) else span.text for span in text)

"""What a report says, as plain records: a headline and sections of facts, tables, kernel grids and prose.

Owns: `Page` and its parts. Must not know: verdicts, colours, widths, Markdown.

Pages are built from results (check, convert, explain, verify) and handed to a renderer (terminal, markdown). Texts hold
no markup of any kind.
"""

from __future__ import annotations

import enum

import attrs


class Tone(enum.Enum):
    """What a headline reports: it decides the colour, never the words."""

    PROVED = "proved"
    REFUTED = "refuted"
    OPEN = "open"
    PLAIN = "plain"


@attrs.frozen
class Fact:
    """One labelled statement of one or several lines; a layer expression breaks at its `>>` where it is too long for one."""

    label: str
    text: str
    is_expression: bool = False


@attrs.frozen
class Facts:
    """Labelled statements, one under the other."""

    rows: tuple[Fact, ...]


@attrs.frozen
class Prose:
    """A paragraph."""

    text: str


@attrs.frozen
class Lines:
    """Lines that keep their breaks and spaces, such as formulas."""

    lines: tuple[str, ...]


@attrs.frozen
class Grid:
    """A small array of short texts: a kernel, an input, an output.

    Args:
        title: what it is; may be empty.
        slices: 2-D arrays, side by side (one for 1 and 2 axes, one a first index for 3 axes).
    """

    title: str
    slices: tuple[tuple[tuple[str, ...], ...], ...]


@attrs.frozen
class Grids:
    """Grids that belong together, under a caption."""

    caption: str
    grids: tuple[Grid, ...]


@attrs.frozen
class Picture:
    """Groups of grids side by side: a left kernel and where its taps go, two outputs."""

    groups: tuple[Grids, ...]


@attrs.frozen
class Table:
    """Columns with a heading each; `numeric` columns are aligned to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


Block = Facts | Prose | Lines | Picture | Table


@attrs.frozen
class Section:
    """A part of a page under a title; the first section of a page may have none."""

    title: str
    blocks: tuple[Block, ...]


@attrs.frozen
class Page:
    """A report: the answer in one line, then why."""

    headline: str
    tone: Tone
    sections: tuple[Section, ...]

"""Pictures and tables as lines of text of a given width.

Owns: `picture_lines`, `table_lines`, `wrap_expression`. Must not know: colours, what is pictured.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from symconv.report.page import Grid, Grids, Picture, Table

GAP = 3
"""Blanks between grids."""


LONGEST_WORD = 40
"""Longer words, such as paths, may be broken."""


def picture_lines(picture: Picture, width: int) -> list[str]:
    """The groups side by side where they fit into `width`, otherwise one under the other."""
    titled = any(grid.title for group in picture.groups for grid in group.grids)
    lines: list[str] = []
    for group in picture.groups:
        beside = _beside(lines, group, width, titled)
        if beside is not None:
            lines = beside
        else:
            lines += [*([""] if lines else []), *_group_lines(group, width, titled)]
    return lines


def _beside(lines: list[str], group: Grids, width: int, titled: bool) -> list[str] | None:
    """`lines` with the group to their right, or None if there is no room or the group would become much taller."""
    if not lines:
        return None
    taken = max(map(len, lines)) + 2 * GAP
    block = _group_lines(group, width - taken, titled)
    fits = taken + max(map(len, block)) <= width
    if not fits or (len(block) > 2 * len(lines) + 4 and len(block) > len(_group_lines(group, width, titled))):
        return None
    return _join([lines, block], 2 * GAP)


def _group_lines(group: Grids, width: int, titled: bool) -> list[str]:
    """The caption, then the grids in as many rows as the width asks for; all cells of a group are equally wide."""
    cell = max((len(text) for grid in group.grids for plane in grid.slices for row in plane for text in row), default=1)
    blocks = [_grid_lines(grid, cell, titled) for grid in group.grids]
    widest = max((max(map(len, block)) for block in blocks), default=0)
    fit = max(1, (width + GAP) // (widest + GAP))
    out = [group.caption]
    for start in range(0, len(blocks), fit):
        padded = [[line.ljust(widest) for line in block] for block in blocks[start : start + fit]]
        out += [*([""] if start else []), *_join(padded, GAP)]
    return [line.rstrip() for line in out]


def _grid_lines(grid: Grid, cell: int, titled: bool) -> list[str]:
    rows = max(len(plane) for plane in grid.slices)
    body = [" | ".join(" ".join(text.rjust(cell) for text in plane[y]) for plane in grid.slices) for y in range(rows)]
    return [grid.title, *body] if titled else body


def _join(blocks: Sequence[list[str]], gap: int) -> list[str]:
    """Blocks of lines side by side, tops aligned."""
    height = max(map(len, blocks))
    widths = [max(map(len, block)) for block in blocks]
    rows = [[block[y] if y < len(block) else "" for block in blocks] for y in range(height)]
    return [(" " * gap).join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def table_lines(table: Table, width: int) -> list[str]:
    """A table with a rule under its heading; where it is too wide, its widest columns are wrapped between words (within paths, too)."""
    rows = [table.columns, *table.rows]
    columns = range(len(table.columns))
    widths = [max(1, *(len(row[k]) for row in rows)) for k in columns]
    least = [max(1, *(min(len(word), LONGEST_WORD) for row in rows for word in ["", *row[k].split()])) for k in columns]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        loose = [k for k in columns if widths[k] > least[k]]
        if not loose:
            break
        widths[max(loose, key=lambda k: widths[k])] -= 1
    rule = "  ".join("-" * w for w in widths)
    return [*_row_lines(table, table.columns, widths), rule, *(line for row in table.rows for line in _row_lines(table, row, widths))]


def _row_lines(table: Table, row: Sequence[str], widths: Sequence[int]) -> list[str]:
    cells = [_cell_lines(text, w) for text, w in zip(row, widths, strict=True)]
    lines = []
    for y in range(max(map(len, cells))):
        texts = [cell[y] if y < len(cell) else "" for cell in cells]
        placed = [text.rjust(w) if k in table.numeric else text.ljust(w) for k, (text, w) in enumerate(zip(texts, widths, strict=True))]
        lines.append("  ".join(placed).rstrip())
    return lines


def _cell_lines(text: str, width: int) -> list[str]:
    """The text between words, a chain first at its `>>`."""
    pieces = (textwrap.wrap(piece, width, break_on_hyphens=False) for piece in wrap_expression(text, width))
    return [line for piece in pieces for line in piece] or [""]


def wrap_expression(text: str, width: int) -> list[str]:
    """A chain on one line if it fits, otherwise one layer a line."""
    if len(text) <= width:
        return [text]
    first, *rest = text.split(" >> ")
    return [first, *(f">> {layer}" for layer in rest)]

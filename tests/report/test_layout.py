"""Lines of text: nothing is wider than it may be, nothing is lost."""

from __future__ import annotations

import io

import pytest

from symconv.report.layout import picture_lines, table_lines, wrap_expression
from symconv.report.markdown import markdown
from symconv.report.page import Fact, Facts, Grid, Grids, Lines, Page, Picture, Prose, Section, Table, Tone
from symconv.report.terminal import console, print_page

EXPRESSION = "ZeroPad2d((1, 2, 1, 2)) >> Conv2d(56, 9, 3) >> PixelShuffle(3) >> Crop(1, 2, 1, 2)"
CELLS = ((("a", "b"), ("c", "d")),)


def page() -> Page:
    sections = (
        Section("", (Facts((Fact("left", EXPRESSION, is_expression=True), Fact("a long label", "words " * 30))),)),
        Section("Moves", (Prose("One *pair* is shown."), Picture((Grids("left kernel", (Grid("", CELLS),)),)), Lines(("E = a + b",)))),
        Section("Cost", (Table(("layer", "count"), ((EXPRESSION, "96"), ("Identity()", "7")), frozenset({1})),)),
    )
    return Page("equal: both realise the same functions", Tone.PROVED, sections)


def rendered(width: int, file: io.StringIO | None = None) -> str:
    out = file or io.StringIO()
    print_page(page(), console(out, width))
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = rendered(width)
    assert max(map(len, text.splitlines())) <= min(width, 120)
    assert all(line == line.rstrip() for line in text.splitlines())
    assert text.startswith("equal: ")


def test_no_colour_where_there_is_no_terminal() -> None:
    assert "\x1b" not in rendered(80)


def test_texts_are_taken_as_they_are() -> None:
    out = io.StringIO()
    print_page(Page("a [bold]b[/] :smile:", Tone.PLAIN, (Section("", (Prose("[red]x[/red] [0,1]"),)),)), console(out, 80))
    assert out.getvalue() == "a [bold]b[/] :smile:\n\n  [red]x[/red] [0,1]\n"


def test_grids_go_under_each_other_where_there_is_no_room() -> None:
    picture = Picture((Grids("left", (Grid("", CELLS),)), Grids("right", tuple(Grid(f"phase {k}", CELLS) for k in range(6)))))
    wide, narrow = picture_lines(picture, 100), picture_lines(picture, 30)
    assert wide[0].split() == ["left", "right"]
    assert max(map(len, wide)) <= 100 and max(map(len, narrow)) <= 30
    assert all(f"phase {k}" in "\n".join(narrow) for k in range(6))


def test_cells_of_a_group_are_equally_wide() -> None:
    assert picture_lines(Picture((Grids("k", (Grid("", ((("1/2", "b"), (".", "d")),)),)),)), 40) == ["k", "1/2   b", "  .   d"]


def test_expressions_break_at_their_layers() -> None:
    assert wrap_expression(EXPRESSION, 200) == [EXPRESSION]
    assert wrap_expression(EXPRESSION, 40)[1:3] == [">> Conv2d(56, 9, 3)", ">> PixelShuffle(3)"]


def test_tables_wrap_between_words() -> None:
    table = Table(("layer", "count"), ((EXPRESSION, "96"),), frozenset({1}))
    lines = table_lines(table, 40)
    assert max(map(len, lines)) <= 40
    assert "".join(line.strip() for line in lines[2:]).replace(" ", "").replace("96", "", 1) == EXPRESSION.replace(" ", "")


def test_markdown() -> None:
    text = markdown(page())
    assert text.startswith("**equal: both realise the same functions**\n\n| | |\n|---|---|\n")
    assert f"| left | `{EXPRESSION}` |" in text
    assert "One \\*pair\\* is shown." in text
    assert "```text\nleft kernel\na b\nc d\n```" in text
    assert "| layer | count |\n| --- | ---: |" in text
    assert text.endswith("\n") and not text.endswith("\n\n")


def test_a_column_without_texts() -> None:
    table = Table(("", "layer"), (("", EXPRESSION),))
    assert max(map(len, table_lines(table, 40))) <= 40

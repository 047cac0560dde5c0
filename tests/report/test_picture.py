"""Kernel pictures: every label stands where the reshuffle puts that tap."""

from __future__ import annotations

import itertools

import pytest

from symconv.frontends.text import parse
from symconv.prove.decide import decide, decide_stages
from symconv.prove.reshuffle import reshuffle
from symconv.report.layout import picture_lines
from symconv.report.page import Block, Grid, Lines, Picture, Prose
from symconv.report.picture import LETTERS, kernel_pictures


def drawn(left: str, right: str, *, forth: bool = True) -> tuple[Block, ...]:
    verdict = decide(parse(left), parse(right), presburger=False, check=False)
    return kernel_pictures(verdict.certificate, forth=forth)


def lines(blocks: tuple[Block, ...], width: int = 78) -> list[str]:
    """Every line of every block, as a reader sees it."""
    out: list[str] = []
    for block in blocks:
        if isinstance(block, Picture):
            out += picture_lines(block, width)
        elif isinstance(block, Lines):
            out += block.lines
        elif isinstance(block, Prose):
            out.append(block.text)
    return out


def test_the_two_dimensional_example() -> None:
    blocks = drawn("ConvTranspose2d(1, 1, 4, stride=2, padding=2, bias=False)", "Conv2d(1, 4, 2, bias=False) >> PixelShuffle(2)")
    assert lines(blocks) == [
        "left kernel      right kernel, by output phase",
        "                 phase 0,0   phase 0,1   phase 1,0   phase 1,1",
        "a b c d          k i         l j         o m         p n",
        "e f g h          c a         d b         g e         h f",
        "i j k l",
        "m n o p",
    ]


def test_empty_slots_are_dots() -> None:
    blocks = drawn("ConvTranspose1d(1, 1, 4, stride=2, padding=1, bias=False)", "Conv1d(1, 2, 3, padding=1, bias=False) >> PixelShuffle(2)")
    assert lines(blocks)[-1] == "a b c d          d b .     . c a"


def test_phases_without_taps_are_drawn() -> None:
    blocks = drawn("ConvTranspose1d(1, 1, 1, stride=2, output_padding=1, bias=False)", "Conv1d(1, 2, 1, bias=False) >> PixelShuffle(2)")
    assert lines(blocks)[-1] == "a                a         ."


def test_channel_phases_of_depth_to_space() -> None:
    blocks = drawn("ConvTranspose2d(3, 2, 2, stride=2, bias=False)", "Conv2d(3, 8, 1, bias=False) >> DepthToSpace(2)")
    assert lines(blocks)[0] == "One channel pair is shown; all 6 pairs look alike."
    assert lines(blocks)[-2:] == ["a b              a           b           c           d", "c d"]


def test_an_unshuffle_is_drawn_by_input_phase() -> None:
    blocks = drawn("Conv1d(1, 1, 4, stride=2, bias=False)", "PixelUnshuffle(2) >> Conv1d(2, 1, 2, bias=False)")
    assert lines(blocks)[0] == "left kernel      right kernel, by input phase"
    assert lines(blocks)[-1] == "a b c d          a c       b d"


def test_sums_of_taps() -> None:
    left = "Upsample(scale_factor=2) >> Conv1d(1, 1, 3, padding=1, bias=False)"
    assert lines(drawn(left, "ConvTranspose1d(1, 1, 4, stride=2, padding=1, bias=False)"))[-1].split() == [
        "a",
        "b",
        "c",
        "c",
        "b+c",
        "a+b",
        "a",
    ]


def test_long_sums_get_a_name_and_a_legend() -> None:
    left = "AvgPool1d(5, stride=1) >> Conv1d(1, 1, 9, bias=False)"
    shown = lines(drawn(left, "Conv1d(1, 1, 13, bias=False)"))
    assert any("s1" in line.split() for line in shown)
    assert any(line.startswith("s1 = ") for line in shown)


def test_one_function_gives_a_kernel_of_numbers() -> None:
    assert lines(drawn("AvgPool1d(2)", "Conv1d(1, 1, 2, stride=2, bias=False)")) == ["right kernel", "1/2 1/2"]


def test_the_other_direction() -> None:
    left = "ConvTranspose1d(1, 1, 4, stride=2, padding=2, bias=False)"
    shown = lines(drawn(left, "Conv1d(1, 2, 2, bias=False) >> PixelShuffle(2)", forth=False))
    assert shown[0].split("kernel")[0].strip() == "right"
    assert shown[-1].split() == ["a", "b", "c", "d", "b", "d", "a", "c"]


def test_three_axes_are_slices() -> None:
    shown = lines(drawn("ConvTranspose3d(1, 1, 2, stride=2, bias=False)", "Conv3d(1, 8, 1, bias=False) >> PixelShuffle(2)"), 200)
    assert shown[2].startswith("a b | e f")


def test_nothing_moves() -> None:
    assert lines(drawn("Conv2d(3, 4, 3)", "Conv2d(3, 4, 3)")) == ["Every tap stays where it is."]


def test_large_kernels_are_drawn_axis_by_axis() -> None:
    left, right = (
        "ConvTranspose2d(1, 1, 64, stride=32, padding=16, bias=False)",
        "Conv2d(1, 1024, 3, padding=1, bias=False) >> PixelShuffle(32)",
    )
    shown = lines(drawn(left, right))
    assert shown[0] == "Per axis: the taps of the left kernel, by slot of the right kernel."
    assert "phase 0:    48   16    ." in shown
    assert "... 24 more phases" in shown


def test_no_reshuffle_no_picture() -> None:
    assert drawn("Conv1d(1, 1, 3, padding=1)", "Conv1d(1, 1, 3, padding=1, padding_mode='reflect')") == ()
    assert kernel_pictures(None) == ()


def test_stages_are_numbered() -> None:
    left = "Conv1d(1, 1, 3) >> ReLU() >> ConvTranspose1d(1, 1, 2, stride=2, bias=False)"
    shown = lines(drawn(left, "Conv1d(1, 1, 3) >> ReLU() >> Conv1d(1, 2, 1, bias=False) >> PixelShuffle(2)"))
    assert "Stage 1 of 2:" in shown and "Stage 2 of 2:" in shown


MOVED = [
    (
        "ConvTranspose1d(1, 1, 5, stride=2, padding=2, output_padding=1, bias=False)",
        "Conv1d(1, 2, 5, padding=2, bias=False) >> PixelShuffle(2)",
    ),
    (
        "ConvTranspose2d(1, 1, (3, 2), stride=(2, 1), bias=False)",
        "Conv2d(1, 2, (2, 2), padding=1, bias=False) >> PixelShuffle((2, 1)) >> Crop(0, 0, 0, 1)",
    ),
    (
        "ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False)",
        "ZeroPad2d((0, 1, 0, 1)) >> Conv2d(1, 4, 2, bias=False) >> PixelShuffle(2)",
    ),
    ("Conv2d(1, 1, 3, stride=3, bias=False)", "PixelUnshuffle(3) >> Conv2d(9, 1, 1, bias=False)"),
]


@pytest.mark.parametrize(("left", "right"), MOVED)
def test_labels_are_the_reshuffle(left: str, right: str) -> None:
    """Letters are read back from the picture and compared with the reshuffle's own entries."""
    verdict, stages = decide_stages(parse(left), parse(right), presburger=False, check=False)
    assert verdict.left_in_right
    moves = reshuffle(stages[0])
    assert moves is not None
    picture = next(block for block in kernel_pictures(verdict.certificate) if isinstance(block, Picture))
    source, target = picture.groups
    letters = {letter: tap for tap, letter in _cells(source.grids[0], len(moves.source.kernel))}
    assert list(letters) == list(LETTERS[: len(letters)])
    found = set()
    for number, grid in enumerate(target.grids):
        for tap, text in _cells(grid, len(moves.target.kernel)):
            found |= {(letters[letter], number, tap) for letter in text.split("+") if text != "."}
    assert found == {(v[2:], max(w[:2]), w[2:]) for v, w, c in moves.entries() if c == 1}


def _cells(grid: Grid, axes: int) -> list[tuple[tuple[int, ...], str]]:
    (rows,) = grid.slices
    places = itertools.product(range(len(rows)), range(len(rows[0])))
    return [((y, x)[2 - axes :], rows[y][x]) for y, x in places]

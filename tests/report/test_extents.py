"""Extent formulas: what is printed gives the extents that the layers have."""

from __future__ import annotations

import re
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symconv.frontends.text import parse
from symconv.layers import flatten
from symconv.operators.domain import Domain, domain, output_extent
from symconv.operators.steps import Step
from symconv.prove.stage import words_of
from symconv.report.extents import domain_text, extent_formula, extents_text

FORMULAS = [
    ("ConvTranspose1d(1, 1, 4, stride=2, padding=2)", "2 n - 2", "n >= 2"),
    ("ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)", "2 n", "n >= 1"),
    ("Conv1d(1, 1, 3, padding=1)", "n", "n >= 1"),
    ("Conv1d(1, 1, 3, stride=2, padding=1)", "floor((n + 1)/2)", "n >= 1"),
    ("Conv1d(1, 1, 4, stride=2)", "floor(n/2) - 1", "n >= 4"),
    ("Conv1d(1, 4, 3, stride=2, padding=1) >> PixelShuffle(2)", "2 floor((n + 1)/2)", "n >= 1"),
    ("PixelUnshuffle(2) >> Conv1d(2, 1, 2)", "n/2 - 1", "even n >= 4"),
    ("PixelUnshuffle(3) >> Conv1d(3, 1, 2, padding=1)", "n/3 + 1", "n >= 3, a multiple of 3"),
    ("PixelUnshuffle(2) >> Crop(1, 0) >> PixelUnshuffle(2)", "(n - 2)/4", "n >= 6, n mod 4 = 2"),
    ("ConvTranspose1d(1, 1, 3, stride=3) >> Conv1d(1, 1, 3, stride=2)", "floor((3 n - 1)/2)", "n >= 1"),
    ("AvgPool1d(3, 2, padding=1, ceil_mode=True)", "floor(n/2) + 1", "n >= 1"),
    ("Upsample(scale_factor=3) >> Conv1d(1, 1, 5)", "3 n - 4", "n >= 2"),
]


def word_of(text: str) -> tuple[list[Step], Domain]:
    """The steps of the one axis of an expression, and the extents it accepts."""
    word = words_of(flatten(parse(text).bind(1)), 1, 1)[0]
    return word, domain(word)


def value(formula: str, n: int) -> float:
    """What a formula gives at n; every division in it is exact or inside a floor."""
    return eval(re.sub(r"(\d) (n|floor)", r"\1 * \2", formula), {"n": n, "floor": floor})


@pytest.mark.parametrize(("text", "formula", "valid"), FORMULAS)
def test_formulas(text: str, formula: str, valid: str) -> None:
    word, accepted = word_of(text)
    assert extent_formula(word, accepted) == formula
    assert domain_text(accepted) == valid


@pytest.mark.parametrize("text", [text for text, _, _ in FORMULAS])
def test_formulas_hold_far_out(text: str) -> None:
    word, accepted = word_of(text)
    formula = extent_formula(word, accepted)
    assert all(value(formula, n) == output_extent(word, n) for n in range(1, 300) if n in accepted)


PART = st.one_of(
    st.builds("Conv1d(1, 1, {}, stride={}, padding={})".format, st.integers(1, 6), st.integers(1, 4), st.integers(0, 3)),
    st.builds("ConvTranspose1d(1, 1, {}, stride={})".format, st.integers(1, 6), st.integers(1, 4)),
    st.builds("AvgPool1d({}, stride={}, ceil_mode={})".format, st.integers(1, 4), st.integers(1, 4), st.booleans()),
    st.builds("ZeroInsert({})".format, st.integers(1, 4)),
    st.builds("Crop({}, {})".format, st.integers(0, 3), st.integers(0, 3)),
)


@given(st.lists(PART, min_size=1, max_size=3))
def test_every_formula_is_right_or_says_how_it_grows(parts: list[str]) -> None:
    word, accepted = word_of(" >> ".join(parts))
    formula = extent_formula(word, accepted)
    members = [n for n in range(accepted.least, accepted.least + 60) if n in accepted]
    if formula.startswith("grows"):
        return
    for clause in formula.split("; "):
        text, _, condition = clause.partition(" if n mod ")
        period, residue = map(int, condition.split(" = ")) if condition else (1, 0)
        assert all(value(text, n) == output_extent(word, n) for n in members if n % period == residue)


def test_extents_text() -> None:
    assert extents_text((8,)) == "8"
    assert extents_text((8, 9, 10)) == "8 x 9 x 10"


def test_a_word_that_accepts_nothing_has_no_formula() -> None:
    nothing = Domain(1, 2, frozenset())
    assert extent_formula([], nothing) == ""
    assert domain_text(nothing) == "no extent"

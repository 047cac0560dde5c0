"""Witnesses in words: what is printed is what the witness holds."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from symconv.frontends.text import parse
from symconv.prove.decide import decide
from symconv.report.layout import picture_lines
from symconv.report.page import Facts, Picture, Prose
from symconv.report.witness import number, place, witness_blocks


def witness(left: str, right: str) -> dict[str, Any]:
    found = decide(parse(left), parse(right), presburger=False, check=False).witness
    assert found is not None
    return found


def shown(data: dict[str, Any]) -> list[str]:
    out: list[str] = []
    for block in witness_blocks(data):
        if isinstance(block, Facts):
            out += [f"{fact.label}: {fact.text}" for fact in block.rows]
        elif isinstance(block, Picture):
            out += picture_lines(block, 78)
        elif isinstance(block, Prose):
            out.append(block.text)
    return out


def test_two_kernels_side_by_side() -> None:
    data = witness("Conv1d(1, 1, 3, padding=1, bias=False)", "Conv1d(1, 1, 3, padding=1, padding_mode='reflect', bias=False)")
    assert shown(data) == [
        "extent: 2",
        "left kernel: weight[0,0,2] = 1; all else 0",
        "right kernel: weight[0,0,0] = 1; all else 0",
        "input: x[0,0] = 1; all else 0",
        "left output      right output",
        " 0  [0]           0  [1]",
        "The coefficient of x[0,1] in y[0,0] equals the coefficient of x[0,0] in y[0,1] at extent 2 for every right kernel, "
        "but they differ by 1 for the left kernel above.",
    ]


def test_a_bias() -> None:
    data = witness("ConvTranspose1d(1, 1, 2, stride=2)", "Conv1d(1, 2, 1) >> PixelShuffle(2)")
    text = shown(data)
    assert "right kernel: bias[1] = 1; all else 0" in text or "right kernel: bias[0] = 1; all else 0" in text
    assert "input: all zero" in text
    assert text[-1].startswith("The constant in y[0,")


def test_one_function_has_no_kernel() -> None:
    text = shown(witness("AvgPool1d(2)", "Conv1d(1, 1, 2, stride=2, bias=False)"))
    assert "left kernel: none: one fixed function" in text
    assert text[-1] == "The left layer is one function, and the right layer realises others."


def test_shapes() -> None:
    text = shown(
        witness("ConvTranspose1d(1, 1, 3, stride=2, padding=1)", "ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)")
    )
    assert text == ["input: extent 1", "left output: 1 channel of extent 1", "right output: 1 channel of extent 2"]


def test_shapes_known_by_their_channels_only() -> None:
    assert shown({"kind": "shapes", "extents": [], "channels": [2, 3]}) == ["left output: 2 channels", "right output: 3 channels"]


def test_two_functions() -> None:
    data = {
        "kind": "input",
        "extents": [1],
        "input": {"shape": [1, 1], "entries": [[[0, 0], "1"]]},
        "at": [0, 0],
        "left_value": "1/2",
        "right_value": "1/3",
    }
    assert shown(data)[-3:] == ["left output: y[0,0] = 1/2", "right output: y[0,0] = 1/3", "difference: 1/6"]


def test_outputs_too_large_to_print() -> None:
    data = witness(
        "ConvTranspose2d(64, 64, 9, stride=3, bias=False)", "ConvTranspose2d(64, 64, 9, stride=3, padding=0, groups=2, bias=False)"
    )
    assert any("too large to print" in line for line in shown(data))


def test_large_outputs_show_the_part_around_the_difference() -> None:
    data = witness("Conv1d(1, 1, 1, bias=False)", "Conv1d(1, 1, 3, padding=1, bias=False)")
    cells = [[[0, k], "1"] for k in range(100)]
    data |= {
        "left_output": {"shape": [1, 100], "entries": cells},
        "right_output": {"shape": [1, 100], "entries": cells[:-1]},
        "at": [0, 99],
    }
    text = "\n".join(shown(data))
    assert "samples 88 to 99" in text
    assert "[1]" in text and "[0]" in text


@pytest.mark.parametrize(
    ("terms", "law"),
    [
        (["1"], "The coefficient of x[0,0] in y[0,0] is 0 at extent 1 for every right kernel, but it is 2 for the left kernel above."),
        (["1", "1", "-2"], "Write A(o;i) for the coefficient of x[i] in y[o]. Then A(0,0;0,0) + A(0,0;0,0) - 2 A(0,0;0,0) is 0"),
        (["1"] * 9, "A combination of 9 operator entries (the certificate lists it) is 0"),
    ],
)
def test_laws(terms: list[str], law: str) -> None:
    kernel = {"shape": [1, 1, 1], "entries": [[[0, 0, 0], "1"]], "bias": []}
    entry = {"extents": [1], "out": [0, 0], "in": [0, 0]}
    data = {
        "kind": "kernel",
        "refutes": "left_in_right",
        "extents": [1],
        "left_kernel": kernel,
        "right_kernel": kernel,
        "input": {"shape": [1, 1], "entries": []},
        "left_output": None,
        "right_output": None,
        "at": [0, 0],
        "annihilator": {"terms": [entry | {"coefficient": c} for c in terms], "sees": "left", "value": "2"},
    }
    assert shown(data)[-1].startswith(law)


def test_entries_at_several_extents_name_them() -> None:
    left = "Upsample(scale_factor=2, mode='bilinear') >> Conv2d(1, 1, 3, padding=1, bias=False)"
    text = shown(witness(left, "ConvTranspose2d(1, 1, 6, stride=2, padding=2, bias=False)"))[-1]
    assert "(extent 1 x 1)" in text and "(extent 2 x 1)" in text


def test_numbers_are_exact_where_that_is_short() -> None:
    assert number(Fraction(1, 3)) == "1/3"
    assert number(Fraction(1, 2**40)) == "9.09494702e-13"
    assert place("y", (0, 12)) == "y[0,12]"

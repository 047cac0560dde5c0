"""Witnesses of random refuted pairs, replayed in PyTorch: the outputs part, and the functional is what it claims to be."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from prove.test_brute_force import random_pair

from symconv.conformance.replay import _module, replay
from symconv.errors import LayerError
from symconv.frontends.text import parse
from symconv.layers import Layer
from symconv.layers.expression import format_layer
from symconv.prove.decide import bind_pair, decide
from symconv.theory.verdict import Verdict


def check_witness(left: Layer, right: Layer, channels: int | None, verdict: Verdict) -> None:
    """Both outputs part at the place named; the annihilator is zero on the other class; printed outputs are PyTorch's."""
    pair = bind_pair(left, right, channels)
    witness = verdict.witness
    assert witness is not None
    if witness["kind"] == "shapes":
        return
    refuted = {"left_in_right": verdict.left_in_right, "right_in_left": verdict.right_in_left}
    assert refuted[witness["refutes"]] is False
    found = replay(pair.left, pair.right, pair.axes, witness)
    assert found.parts
    assert found.annihilated is not False
    for side, chain in (("left", pair.left), ("right", pair.right)):
        if witness[f"{side}_output"] is not None:
            check_output(chain, pair.axes, witness, side)


def check_output(chain: tuple[Layer, ...], axes: int, witness: dict[str, Any], side: str) -> None:
    """The whole output that the witness prints."""
    module = _module(chain, axes, witness[f"{side}_kernel"])
    x = torch.zeros((1, *witness["input"]["shape"]), dtype=torch.float64)
    for index, value in witness["input"]["entries"]:
        x[(0, *index)] = float(Fraction(value))
    expected = torch.zeros((1, *witness[f"{side}_output"]["shape"]), dtype=torch.float64)
    for index, value in witness[f"{side}_output"]["entries"]:
        expected[(0, *index)] = float(Fraction(value))
    with torch.no_grad():
        torch.testing.assert_close(module(x), expected, rtol=1e-9, atol=1e-9)


def run(axes: int, seeds: range, most: int) -> int:
    """Replays the witnesses of all refuted pairs among the seeds, in both directions; how many there were."""
    torch.set_num_threads(1)
    done = 0
    for seed in seeds:
        drawn = random_pair(seed, axes, most)
        if drawn is None:
            continue
        left, right, channels = drawn
        for one, two in ((left, right), (right, left)):
            verdict = decide(one, two, channels=channels, presburger=False, check=False, seconds=10)
            if verdict.witness is None:
                continue
            try:
                check_witness(one, two, channels, verdict)
            except Exception as error:
                error.add_note(f"seed {seed}, {channels} channels: {format_layer(one, axes)} | {format_layer(two, axes)}")
                raise
            done += verdict.witness["kind"] == "kernel"
    return done


@pytest.mark.parametrize(
    ("axes", "seeds", "most", "least"), [(1, range(300, 400), 2, 24), (2, range(300, 320), 1, 4), (3, range(300, 304), 1, 0)]
)
def test_random_witnesses_hold_in_pytorch(axes: int, seeds: range, most: int, least: int) -> None:
    assert run(axes, seeds, most) >= least


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_random_witnesses(part: int) -> None:
    first = 50_000 + 1000 * part
    assert run(1, range(first, first + 1000), 4) + run(2, range(first, first + 150), 2) + run(3, range(first, first + 20), 2) >= 300


B = "bias=False"
CASES = [
    # one function against a class, and against another one
    ("AvgPool1d(2)", f"Conv1d(1,1,3,stride=2,padding=1,{B}) >> Crop(0,0)"),
    (f"Conv1d(1,1,2,stride=2,{B})", "AvgPool1d(2)"),
    ("AvgPool1d(2)", "AvgPool1d(2,stride=2) >> Crop(0,0) >> ZeroPad1d(1) >> Crop(2,0)"),
    ("AvgPool2d((2,1),divisor_override=3)", "AvgPool2d((2,1),divisor_override=2)"),
    ("AvgPool2d(2,stride=1,padding=1,count_include_pad=False)", "AvgPool2d(2,stride=1,padding=1)"),
    ("ZeroPad1d((1,-1))", "ZeroPad1d((-1,1))"),
    # classes that are zero
    (f"Conv1d(1,1,1,{B}) >> Crop(1,0) >> ZeroPad1d((1,0))", f"Conv1d(1,1,1,{B})"),
    (f"ZeroInsert(2) >> Crop(1,0) >> AvgPool1d(1,stride=2) >> Conv1d(1,1,1,{B})", f"AvgPool1d(2,stride=1) >> Conv1d(1,1,1,{B})"),
    ("ZeroInsert(2) >> Crop(1,0) >> AvgPool1d(1,stride=2) >> Conv1d(1,1,1)", "AvgPool1d(2,stride=1) >> Conv1d(1,1,1)"),
    # biases
    ("Conv1d(1,1,3,padding=1)", f"Conv1d(1,1,3,padding=1,{B})"),
    ("Conv1d(2,2,3,padding=1) >> ZeroPad1d(1)", "ZeroPad1d(1) >> Conv1d(2,2,3,padding=1)"),
    ("ConvTranspose2d(3,2,4,stride=2,padding=1)", "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)"),
    ("BatchNorm1d(3)", "Conv1d(3,3,1,groups=3)  >> Crop(1,0) >> ZeroPad1d((1,0))"),
    ("Conv1d(1,4,1) >> PixelShuffle(2)", "ConvTranspose1d(1,2,2,stride=2)"),
    # groups, orders of channels, digits on two axes
    (f"Conv2d(4,4,1,groups=2,{B})", f"ChannelShuffle(2) >> Conv2d(4,4,1,groups=2,{B})"),
    (f"Conv2d(2,8,1,groups=2,{B}) >> PixelShuffle((2,1))", f"Conv2d(2,8,1,groups=2,{B}) >> DepthToSpace((2,1))"),
    (f"PixelShuffle(2) >> Conv2d(1,1,3,padding=1,{B})", f"ChannelShuffle(2) >> PixelShuffle(2) >> Conv2d(1,1,3,padding=1,{B})"),
    (f"ChannelShuffle(2) >> Conv1d(6,6,1,groups=3,{B})", f"ChannelShuffle(3) >> Conv1d(6,6,1,groups=3,{B})"),
    ("PixelShuffle(2) >> PixelUnshuffle((4,1))", "PixelShuffle(2) >> PixelUnshuffle((1,4))"),
    # means that differ in the divisor of the last window, interpolation
    ("AvgPool1d(3,stride=2,padding=1,ceil_mode=True)", f"Conv1d(1,1,3,stride=2,padding=1,{B})"),
    ("Upsample(scale_factor=2,mode='linear')", f"ConvTranspose1d(1,1,4,stride=2,padding=1,{B})"),
    (
        "Upsample(scale_factor=(2,1),mode='bicubic') >> Conv2d(1,1,3,padding=1)",
        "Upsample(scale_factor=(2,1),mode='bilinear') >> Conv2d(1,1,3,padding=1)",
    ),
]


@pytest.mark.parametrize(("left", "right"), CASES)
def test_chosen_witnesses_hold_in_pytorch(left: str, right: str) -> None:
    for one, two in ((left, right), (right, left)):
        for channels in (None, 4):
            try:
                verdict = decide(parse(one), parse(two), channels=channels, presburger=False)
            except LayerError:
                continue  # the layers say how many channels there are, or do not
            if verdict.relation.value in ("equal", "unknown"):
                raise AssertionError((one, two, verdict.relation, verdict.reason))
            check_witness(parse(one), parse(two), channels, verdict)

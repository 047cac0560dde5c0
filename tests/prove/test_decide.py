"""The decision on the layers that matter: relations, dimensions, domains, certificates, witnesses."""

from __future__ import annotations

import time
from typing import Any

import pytest

import symconv
from symconv.checker import check_certificate
from symconv.conformance.replay import replay
from symconv.errors import InternalError, LayerError
from symconv.frontends.text import parse
from symconv.prove import decide as decision
from symconv.prove.decide import bind_pair, decide
from symconv.testing import assert_same_layer
from symconv.theory.relation import Claim

B = "bias=False"
PAIRS: list[tuple[str, str, str, tuple[int, int, int | None] | None, dict[str, str]]] = [
    (f"ConvTranspose1d(1,1,4,stride=2,padding=2,{B})", f"Conv1d(1,2,2,{B}) >> PixelShuffle(2)", "equal", (4, 4, 4), {}),
    (
        f"ConvTranspose2d(3,2,4,stride=2,padding=1,{B})",
        f"Conv2d(3,8,2,padding=1,{B}) >> PixelShuffle(2) >> Crop(1,1,1,1)",
        "equal",
        (96, 96, 96),
        {},
    ),
    (
        f"ConvTranspose2d(3,2,4,stride=2,padding=1,{B})",
        f"Conv2d(3,8,3,padding=1,{B}) >> PixelShuffle(2)",
        "left_in_right",
        (96, 216, 96),
        {},
    ),
    (
        "ConvTranspose2d(3,2,4,stride=2,padding=1)",
        "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)",
        "left_in_right",
        (98, 104, 98),
        {"linear_relation": "equal"},
    ),
    (
        f"ConvTranspose2d(1,1,3,stride=2,padding=1,output_padding=1,{B})",
        f"ZeroPad2d((0,1,0,1)) >> Conv2d(1,4,2,{B}) >> PixelShuffle(2)",
        "left_in_right",
        (9, 16, 9),
        {},
    ),
    (
        f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B})",
        f"Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2, mode='CRD')",
        "equal",
        (16, 16, 16),
        {},
    ),
    (
        f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B})",
        f"Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2, mode='DCR')",
        "incomparable",
        (16, 16, 8),
        {},
    ),
    (f"ConvTranspose2d(2,4,2,stride=2,{B})", f"Conv2d(2,16,1,{B}) >> DepthToSpace(2, mode='DCR')", "equal", (32, 32, 32), {}),
    (
        f"Upsample(scale_factor=2) >> Conv1d(1,1,3,padding=1,{B})",
        f"ConvTranspose1d(1,1,4,stride=2,padding=1,{B})",
        "left_in_right",
        (3, 4, 3),
        {},
    ),
    (
        f"Upsample(scale_factor=2,mode='bilinear') >> Conv2d(1,1,3,padding=1,{B})",
        f"ConvTranspose2d(1,1,6,stride=2,padding=2,{B})",
        "incomparable",
        (9, 36, 0),
        {"interior_relation": "left_in_right"},
    ),
    (
        f"PixelShuffle(2) >> Conv2d(1,1,3,padding=1,{B})",
        f"Conv2d(4,4,3,padding=1,{B}) >> PixelShuffle(2)",
        "left_in_right",
        (9, 144, 9),
        {},
    ),
    (f"Conv2d(1,2,4,stride=2,{B})", f"PixelUnshuffle(2) >> Conv2d(4,2,2,{B})", "equal", (32, 32, 32), {"domain": "left_wider"}),
    (
        f"ConvTranspose1d(1,1,2,stride=2,dilation=2,{B})",
        f"Conv1d(1,2,2,padding=1,{B}) >> PixelShuffle(2) >> Crop(0,1)",
        "left_in_right",
        (2, 4, 2),
        {},
    ),
    (
        f"Conv1d(1,1,3,padding=1,{B})",
        f"Conv1d(1,1,3,padding=1,padding_mode='reflect',{B})",
        "incomparable",
        (3, 3, 1),
        {"interior_relation": "equal"},
    ),
    (
        f"ConvTranspose1d(1,1,3,stride=2,padding=1,{B})",
        f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})",
        "shapes_differ",
        None,
        {},
    ),
    ("AvgPool1d(2)", f"Conv1d(1,1,2,stride=2,{B})", "left_in_right", (0, 2, 0), {}),
    (f"ConvTranspose3d(1,1,2,stride=2,{B})", f"Conv3d(1,8,1,{B}) >> PixelShuffle(2)", "equal", (8, 8, 8), {}),
]
MIRROR = {"left_in_right": "right_in_left", "left_wider": "right_wider"}


@pytest.mark.parametrize(("left", "right", "relation", "dimension", "more"), PAIRS, ids=[f"{a} | {b}" for a, b, *_ in PAIRS])
def test_relations(left: str, right: str, relation: str, dimension: Any, more: dict[str, str]) -> None:
    verdict = symconv.check(left, right)
    record = verdict.to_dict()
    assert record["relation"] == relation
    assert record["trust"] == "certified" and check_certificate(record["certificate"]).accepted
    if dimension is not None:
        assert tuple(record["dimension"].values()) == dimension
        assert verdict.deciders["presburger"] == "agrees"
    for field, value in more.items():
        assert record[field] == value
    if relation != "equal":
        assert verdict.witness is not None
    if verdict.witness is not None and verdict.witness["kind"] == "kernel":
        pair = bind_pair(parse(left), parse(right))
        replayed = replay(pair.left, pair.right, pair.axes, verdict.witness)
        assert replayed.parts and (replayed.annihilated or verdict.witness["annihilator"] is None)


@pytest.mark.parametrize(("left", "right", "relation", "dimension", "more"), PAIRS, ids=[f"{b} | {a}" for a, b, *_ in PAIRS])
def test_mirrored(left: str, right: str, relation: str, dimension: Any, more: dict[str, str]) -> None:
    verdict = symconv.check(right, left, presburger=False)
    assert verdict.relation == MIRROR.get(relation, relation)
    for field, value in more.items():
        assert verdict.to_dict()[field] == MIRROR.get(value, value)


def test_channels_do_not_cost() -> None:
    def seconds(channels: int) -> float:
        one = parse(f"ConvTranspose2d({channels},{channels},4,stride=2,padding=1)")
        two = parse(f"Conv2d({channels},{4 * channels},2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)")
        best = 9.0
        for _ in range(3):
            start = time.perf_counter()
            assert decide(one, two, presburger=False).relation == "left_in_right"
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(2048) < 5 * seconds(1) + 0.05


def test_networks() -> None:
    first = "Conv2d(3,8,3,padding=1) >> ReLU() >> PixelShuffle(2)"
    second = "Conv2d(3,8,3,padding=1) >> PixelShuffle(2) >> ReLU()"
    assert symconv.check(first, second).relation == "equal"
    assert symconv.check(first.replace("ReLU()", "PReLU(8)"), second.replace("ReLU()", "PReLU(2)")).relation == "unknown"
    assert symconv.check(first, second.replace("ReLU()", "GELU()")).reason == "nonlinearities_differ"
    deconv = "ConvTranspose2d(4,2,4,stride=2,padding=1) >> ReLU() >> Conv2d(2,1,3,padding=1)"
    low = "Conv2d(4,8,3,padding=1) >> PixelShuffle(2) >> ReLU() >> Conv2d(2,1,3,padding=1)"
    verdict = symconv.check(deconv, low)
    assert (verdict.relation, verdict.left_in_right, verdict.right_in_left) == ("unknown", True, None)
    assert verdict.proves(Claim.LEFT_IN_RIGHT) is True and verdict.proves(Claim.EQUAL) is None
    # zero padding commutes with ReLU and not with Sigmoid
    pad = "ZeroPad1d(1) >> {0}() >> Conv1d(1,1,3)", "{0}() >> ZeroPad1d(1) >> Conv1d(1,1,3)"
    assert symconv.check(*(text.format("ReLU") for text in pad)).relation == "equal"
    assert symconv.check(*(text.format("Sigmoid") for text in pad)).relation == "unknown"


def test_empty_stages_are_told_apart_by_their_channels() -> None:
    text = "ReLU() >> Conv1d(3,2,2) >> Tanh()"
    assert symconv.check(text, text).relation == "equal"


def test_outside_the_fragment() -> None:
    assert symconv.check("Conv1d(1,1,3) >> Conv1d(1,1,3)", "Conv1d(1,1,5)").reason == "outside_fragment"
    corners = symconv.check("Upsample(scale_factor=2,mode='linear',align_corners=True) >> Conv1d(1,1,1)", "ConvTranspose1d(1,1,3,stride=2)")
    assert corners.relation in ("unknown", "shapes_differ")
    assert symconv.check("Conv1d(1,1,1000000000)", "Conv1d(1,1,1000000000)").reason == "budget"
    assert (
        symconv.check("PixelUnshuffle(2) >> Conv1d(2,1,1)", "ZeroPad1d((0,1)) >> PixelUnshuffle(2) >> Conv1d(2,1,1)").reason
        == "disjoint_domains"
    )


def test_fixed_layers() -> None:
    assert symconv.check("AvgPool2d(2, divisor_override=2)", "AvgPool2d(2)").relation == "incomparable"
    assert symconv.check("AvgPool2d(2)", "AvgPool2d(2, divisor_override=4)").relation == "equal"
    assert symconv.check("PixelShuffle(2)", "DepthToSpace(2)", channels=4).relation == "equal"
    assert symconv.check("PixelShuffle(2)", "DepthToSpace(2)", channels=12).relation == "incomparable"
    assert symconv.check("CircularPad1d(2)", "CircularPad1d(1) >> CircularPad1d(1)").relation == "incomparable"
    assert symconv.check("PixelShuffle(2) >> PixelUnshuffle(2)", "Identity()", channels=8).relation == "equal"
    with pytest.raises(LayerError, match="--channels"):
        symconv.check("PixelShuffle(2)", "DepthToSpace(2)")


def test_dead_taps() -> None:
    verdict = symconv.check("ZeroInsert(2) >> Conv1d(1,1,3,stride=2)", "Conv1d(1,1,2)")
    assert verdict.relation == "equal" or verdict.dead_taps is not None
    assert verdict.dead_taps == {"left": [[1]], "right": [[]]}


def test_contradiction_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from symconv.prove import presburger

    monkeypatch.setattr(presburger, "confirm", lambda stage, budget: "contradicts")
    with pytest.raises(InternalError, match="contradict"):
        decide(parse("Conv1d(1,1,1)"), parse("Conv1d(1,1,1)"))


def test_what_the_checker_cannot_take_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "accept", lambda record: False)
    assert decide(parse("Conv1d(1,1,1)"), parse("Conv1d(1,1,1)")).trust == "solver"
    verdict = decide(parse("Conv1d(1,1,1)"), parse("Conv1d(1,1,1)"), presburger=False)
    assert (verdict.relation, verdict.trust, verdict.reason) == ("unknown", None, "budget")


def test_assert_same_layer() -> None:
    assert (
        assert_same_layer("ConvTranspose1d(1,1,2,stride=2,bias=False)", "Conv1d(1,2,1,bias=False) >> PixelShuffle(2)").trust == "certified"
    )
    with pytest.raises(AssertionError, match="left_in_right"):
        assert_same_layer("ConvTranspose1d(1,1,2,stride=2)", "Conv1d(1,2,1) >> PixelShuffle(2)")
    with pytest.raises(AssertionError, match="left_wider"):
        assert_same_layer("Conv1d(1,1,2,stride=2)", "PixelUnshuffle(2) >> Conv1d(2,1,1)")
    assert_same_layer("Conv1d(1,1,2,stride=2)", "PixelUnshuffle(2) >> Conv1d(2,1,1)", common_extents=True)


def test_interior_of_mixed_parts() -> None:
    """The weights have borders and the biases do not: the interior question is asked of both."""
    verdict = symconv.check(
        "Conv2d(3,8,3,padding=1,padding_mode='reflect') >> PixelShuffle(2)", "ConvTranspose2d(3,2,6,stride=2,padding=2)", presburger=False
    )
    assert verdict.trust == "certified" and verdict.interior_relation == "right_in_left"
    flat = symconv.check("DepthToSpace(2) >> Conv1d(3,2,1) >> ZeroPad1d(1)", "PixelShuffle(2) >> Conv1d(3,2,1) >> ZeroPad1d(1)")
    assert flat.trust == "certified"


def test_a_dimension_beyond_the_format_leaves_the_checker_out() -> None:
    layer = f"ConvTranspose1d({2**40}, {2**40}, 3, stride=2)"
    verdict = decide(parse(layer), parse(layer))
    assert (verdict.relation.value, verdict.trust and verdict.trust.value) == ("equal", "solver")


def test_layers_of_different_rates_are_compared_where_their_shapes_agree() -> None:
    pair = "ConvTranspose1d(1,1,2,stride=2,bias=False)", "ConvTranspose1d(1,1,2,bias=False)"
    assert symconv.check(*pair, extents=(1,)).relation.value == "equal"
    assert symconv.check(*pair, extents=(2,)).relation.value == "shapes_differ"
    apart = "Conv1d(1,1,1,stride=2,bias=False)", "Conv1d(1,1,3,bias=False)"
    verdict = symconv.check(*apart, extents=(3,))
    assert verdict.relation.value == "shapes_differ"
    larger = symconv.check("Conv1d(1,1,2,stride=2,bias=False)", "Conv1d(1,1,3,bias=False)", extents=(3,))
    assert (larger.relation.value, larger.trust and larger.trust.value) == ("left_in_right", "certified")

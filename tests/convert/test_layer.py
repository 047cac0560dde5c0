"""Conversions of one layer: every form, real layers, random ones, round trips, and every way to say no."""

from __future__ import annotations

import json
import math
import random
import time
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from convert.cases import FIXED, one_axis, random_chain, random_convolution, random_transposed, replay, whole

from symconv.convert.conversion import Conversion, convert_weights
from symconv.convert.forms import FORMS
from symconv.convert.layer import convert_layer
from symconv.errors import LayerError
from symconv.frontends.text import parse
from symconv.layers import Conv, ConvTranspose, Sequential, flatten
from symconv.layers.expression import format_layer
from symconv.prove.reshuffle import kernel_shape
from symconv.theory.relation import DomainRelation, Relation

CONTAINED = (Relation.EQUAL, Relation.LEFT_IN_RIGHT)

REAL = {
    "ConvTranspose2d(100, 512, 4, bias=False)": "Conv2d(100, 512, 4, padding=3, bias=False)",
    "ConvTranspose2d(512, 256, 4, stride=2, padding=1, bias=False)": (
        "Conv2d(512, 1024, 2, padding=1, bias=False) >> PixelShuffle(2) >> Crop(1)"
    ),
    "ConvTranspose2d(21, 21, 64, stride=32, padding=16)": "Conv2d(21, 21504, 2, padding=1) >> PixelShuffle(32) >> Crop(16)",
    "ConvTranspose2d(21, 21, 16, stride=8, padding=4)": "Conv2d(21, 1344, 2, padding=1) >> PixelShuffle(8) >> Crop(4)",
    "ConvTranspose2d(21, 21, 4, stride=2, padding=1)": "Conv2d(21, 84, 2, padding=1) >> PixelShuffle(2) >> Crop(1)",
    "ConvTranspose2d(256, 128, 2, stride=2)": "Conv2d(256, 512, 1) >> PixelShuffle(2)",
    "ConvTranspose2d(256, 256, 4, stride=4)": "Conv2d(256, 4096, 1) >> PixelShuffle(4)",
    "ConvTranspose2d(56, 1, 9, stride=3, padding=4, output_padding=2)": (
        "ZeroPad2d((1, 2, 1, 2)) >> Conv2d(56, 9, 3) >> PixelShuffle(3) >> Crop(1, 2, 1, 2)"
    ),
    "Conv2d(32, 9, 3, padding=1) >> PixelShuffle(3)": "Conv2d(32, 9, 3, padding=1) >> PixelShuffle(3)",
    "Conv2d(64, 256, 3, padding=1) >> PixelShuffle(2)": "Conv2d(64, 256, 3, padding=1) >> PixelShuffle(2)",
    "ConvTranspose1d(512, 256, 16, stride=8, padding=4)": "Conv1d(512, 2048, 2, padding=1) >> PixelShuffle(8) >> Crop(4)",
    "ConvTranspose1d(128, 64, 4, stride=2, padding=1)": "Conv1d(128, 128, 2, padding=1) >> PixelShuffle(2) >> Crop(1)",
    "ConvTranspose1d(64, 32, 8, stride=4) >> Crop(2, 2)": "Conv1d(64, 128, 2, padding=1) >> PixelShuffle(4) >> Crop(2)",
    "ConvTranspose1d(512, 512, 3, stride=2, padding=1, output_padding=1, groups=512)": (
        "ZeroPad1d((0, 1)) >> Conv1d(512, 1024, 2, groups=512) >> PixelShuffle(2)"
    ),
    "ConvTranspose1d(1026, 1, 1024, stride=256)": "Conv1d(1026, 256, 4, padding=3) >> PixelShuffle(256)",
    "ConvTranspose3d(320, 320, 2, stride=2)": "Conv3d(320, 2560, 1) >> PixelShuffle(2)",
    "ConvTranspose2d(512, 17, 4, stride=2, padding=1)": "Conv2d(512, 68, 2, padding=1) >> PixelShuffle(2) >> Crop(1)",
}
"""Decoders that people ship, and their LR forms."""


def answered(conversion: Conversion) -> None:
    """A conversion has a contained target, or a reason and data that show it."""
    if conversion.target is None:
        assert conversion.target_layer is None and conversion.reshuffle is None and conversion.after is None
        assert conversion.reason is not None and conversion.reason.startswith("no: because ")
        assert conversion.witness is not None
        return
    assert conversion.reason is None and conversion.witness is None and conversion.after is not None
    assert conversion.verdict is not None and conversion.verdict.left_in_right
    chosen = [candidate for candidate in conversion.candidates if candidate.chosen]
    assert len(chosen) == 1 and chosen[0].relation in CONTAINED
    if conversion.to != "unshuffle":
        assert chosen[0].domain in (DomainRelation.SAME, DomainRelation.RIGHT_WIDER)


def converted(text: str, to: str, **more: Any) -> Conversion:
    conversion = convert_layer(parse(text), to, **more)
    answered(conversion)
    return conversion


# --- the LR form --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", REAL)
def test_real_layers_have_the_known_lr_form(source: str) -> None:
    conversion = converted(source, "lr-shuffle")
    assert conversion.target == REAL[source]
    assert conversion.verdict is not None and conversion.verdict.domain is DomainRelation.SAME
    layer = parse(source)
    free = next(member for member in flatten(layer) if isinstance(member, (Conv, ConvTranspose)))
    if math.prod(kernel_shape(free)) < 300_000 and free.groups == 1:  # PyTorch is slow on many groups
        replay(layer, conversion, random.Random(source), count=1)


def test_the_cheaper_alignment_is_chosen_and_costs_are_exact() -> None:
    conversion = converted("ConvTranspose2d(3, 2, 4, stride=2, padding=1)", "lr-shuffle")
    by_name = {candidate.alignment: candidate for candidate in conversion.candidates}
    assert by_name["both"].chosen and by_name["both"].kernel == (2, 2) and by_name["both"].multiplications == 96
    assert not by_name["end"].chosen and by_name["end"].kernel == (3, 3) and by_name["end"].multiplications == 216
    assert all(candidate.relation is Relation.LEFT_IN_RIGHT for candidate in conversion.candidates)
    assert conversion.cost == {"before": {"multiplications": "96", "parameters": 98}, "after": {"multiplications": "96", "parameters": 104}}
    assert any("6 more bias freedom" in note for note in conversion.notes)
    assert any("2x2 with a crop" in note and "3x3 without" in note for note in conversion.notes)


def test_costs_of_strided_and_upsampled_chains() -> None:
    assert converted("Conv2d(1, 2, 3, stride=(2, 1))", "zero-insertion").before.multiplications == 9
    assert converted("Conv2d(2, 4, 3, stride=2, groups=2)", "unshuffle").before.multiplications == Fraction(36, 4)
    assert converted("Upsample(scale_factor=2) >> Conv1d(1, 1, 3, padding=1)", "lr-shuffle").before.multiplications == 6


def test_no_crop_and_no_padding_where_none_is_needed() -> None:
    assert converted("ConvTranspose2d(2, 2, 3, stride=3)", "lr-shuffle").target == "Conv2d(2, 18, 1) >> PixelShuffle(3)"
    assert converted("ConvTranspose1d(1, 1, 4, stride=2, padding=2)", "lr-shuffle").target == "Conv1d(1, 2, 2) >> PixelShuffle(2)"
    mixed = converted("ConvTranspose2d(2, 3, (3, 2), stride=(1, 2), padding=(1, 0))", "lr-shuffle")
    assert mixed.target == "Conv2d(2, 6, (3, 1), padding=(1, 0)) >> PixelShuffle((1, 2))"


def test_stride_one_needs_no_shuffle_and_flips_the_kernel() -> None:
    conversion = converted("ConvTranspose2d(2, 3, 3, padding=1, bias=False)", "lr-shuffle")
    assert conversion.target == "Conv2d(2, 3, 3, padding=1, bias=False)"
    kernel = np.arange(54.0).reshape(2, 3, 3, 3)
    assert np.array_equal(convert_weights(conversion, kernel)[0], kernel.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])


def test_a_common_factor_of_stride_and_dilation_dilates_the_lr_convolution() -> None:
    conversion = converted("ConvTranspose1d(1, 1, 3, stride=2, dilation=4, bias=False)", "lr-shuffle")
    assert conversion.target == "Conv1d(1, 2, 3, padding=4, dilation=2, bias=False) >> PixelShuffle(2) >> Crop(0, 1)"


def test_wide_padding_crops_the_output_where_a_crop_of_the_input_would_refuse_extents() -> None:
    conversion = converted("ConvTranspose1d(1, 1, 2, stride=2, dilation=8, output_padding=7, padding=10)", "lr-shuffle")
    assert conversion.verdict is not None and conversion.verdict.domain is DomainRelation.SAME
    assert "Crop" in str(conversion.target)


def check_transposed(source: ConvTranspose) -> Conversion:
    """Both alignments contain the source on its own domain."""
    conversion = convert_layer(source, "lr-shuffle")
    answered(conversion)
    assert 1 <= len(conversion.candidates) <= 2
    for candidate in conversion.candidates:
        assert candidate.relation in CONTAINED and candidate.domain is DomainRelation.SAME, (conversion.source, candidate)
    return conversion


def test_random_transposed_convolutions_in_both_alignments() -> None:
    rng = random.Random(1)
    for number in range(120):
        source = random_transposed(rng)
        conversion = check_transposed(source)
        if number % 3 == 0:
            replay(source, conversion, rng)


@pytest.mark.slow
def test_twenty_thousand_transposed_convolutions_in_both_alignments() -> None:
    rng = random.Random(2)
    compared = 0
    for number in range(20_000):
        source = random_transposed(rng)
        conversion = check_transposed(source)
        if number % 10 == 0:
            compared += replay(source, conversion, rng)
    assert compared >= 6000


# --- all forms ----------------------------------------------------------------------------------------------------


def test_random_chains_in_every_form() -> None:
    rng = random.Random(3)
    done = replayed = 0
    while done < 40:
        source = random_chain(rng)
        to = rng.choice(FORMS)
        try:
            conversion = convert_layer(source, to, presburger=False)
        except LayerError:  # the draw gave channels or extents that no layer accepts
            continue
        answered(conversion)
        done += 1
        if conversion.target is not None:
            assert Sequential(tuple(m.bind(whole(source)[1]) for m in flatten(parse(conversion.target)))) == Sequential(
                flatten(conversion.target_layer or source)
            )
            replayed += replay(source, conversion, rng, count=1)
    assert replayed > 40


def test_random_strided_convolutions_unshuffled() -> None:
    rng = random.Random(4)
    for _ in range(40):
        source = random_convolution(rng)
        conversion = convert_layer(source, "unshuffle", presburger=False)
        answered(conversion)
        assert conversion.target is not None
        replay(source, conversion, rng, count=1)


@pytest.mark.parametrize("text", FIXED)
def test_layers_without_parameters_become_constant_kernels(text: str) -> None:
    rng = random.Random(text)
    for to in FORMS:
        conversion = converted(text, to, channels=4, presburger=False)
        if conversion.target is not None:
            assert any("no parameters" in note for note in conversion.notes)
            replay(parse(text), conversion, rng, count=1, channels=4)


FOUND = [
    ("Upsample(scale_factor=2) >> Conv1d(1, 1, 3, padding=1)", "lr-shuffle", "Conv1d(1, 2, 2, padding=1) >> PixelShuffle(2) >> Crop(1)"),
    ("Upsample(scale_factor=2) >> Conv2d(3, 2, 3, padding=1)", "transposed", "ConvTranspose2d(3, 2, 4, stride=2, padding=1)"),
    (
        "ZeroInsert(2) >> ZeroPad1d((2, 3)) >> Conv1d(1, 1, 4)",
        "transposed",
        "ConvTranspose1d(1, 1, 4, stride=2, padding=1, output_padding=1)",
    ),
    ("ConvTranspose2d(3, 2, 4, stride=2, padding=1)", "zero-insertion", "ZeroInsert(2) >> Conv2d(3, 2, 4, padding=2)"),
    ("Conv2d(8, 4, 3, padding=1)", "transposed", "ConvTranspose2d(8, 4, 3, padding=1)"),
    (
        "Conv2d(4, 16, 3, padding=1, bias=False) >> PixelShuffle(2)",
        "transposed",
        "ConvTranspose2d(4, 4, 6, stride=2, padding=2, bias=False)",
    ),
    ("Conv2d(4, 16, 2, bias=False) >> DepthToSpace(2)", "transposed", "ConvTranspose2d(4, 4, 4, stride=2, padding=2, bias=False)"),
    ("Conv2d(4, 16, 1, groups=2) >> DepthToSpace(2)", "lr-shuffle", "Conv2d(4, 16, 1, groups=2) >> ChannelShuffle(4) >> PixelShuffle(2)"),
    ("Conv2d(4, 16, 1) >> DepthToSpace(2)", "lr-shuffle", "Conv2d(4, 16, 1) >> PixelShuffle(2)"),
    (
        "Conv1d(1, 2, 1, padding=1, bias=False) >> PixelShuffle(2)",
        "transposed",
        "ConvTranspose1d(1, 1, 2, stride=2, bias=False) >> ZeroPad1d(2)",
    ),
    ("Conv2d(1, 2, 4, stride=2)", "unshuffle", "PixelUnshuffle(2) >> Conv2d(4, 2, 2)"),
    ("PixelUnshuffle(2) >> Conv2d(8, 4, 3, padding=1)", "lr-shuffle", "Conv2d(2, 4, 6, stride=2, padding=2)"),
    (
        "PixelShuffle(2) >> Conv2d(4, 4, 3, padding=1, padding_mode='circular')",
        "lr-shuffle",
        "Conv2d(16, 16, 2, padding=1, padding_mode='circular') >> PixelShuffle(2) >> Crop(1)",
    ),
    (
        "Upsample(scale_factor=2, mode='bilinear') >> Conv2d(1, 1, 3)",
        "lr-shuffle",
        "Conv2d(1, 4, 3, padding=1, padding_mode='replicate') >> PixelShuffle(2) >> Crop(1)",
    ),
    (
        "LeakyReLU(0.5) >> ConvTranspose2d(3, 2, 4, stride=2, padding=1) >> Tanh()",
        "lr-shuffle",
        "LeakyReLU(0.5) >> Conv2d(3, 8, 2, padding=1) >> PixelShuffle(2) >> Crop(1) >> Tanh()",
    ),
    ("BatchNorm2d(3)", "transposed", "ConvTranspose2d(3, 3, 1, groups=3)"),
]


@pytest.mark.parametrize(("source", "to", "target"), FOUND)
def test_known_conversions(source: str, to: str, target: str) -> None:
    conversion = converted(source, to)
    assert conversion.target is not None
    layer = parse(source)
    axes = whole(layer)[1]
    assert conversion.target == format_layer(parse(target), axes)
    if "BatchNorm" not in source:
        replay(layer, conversion, random.Random(source))


def test_paddings_at_the_end_are_kept_where_they_cannot_be_absorbed() -> None:
    source = "ConvTranspose2d(3, 2, 4, stride=2, padding=1) >> ZeroPad2d(1)"
    conversion = converted(source, "lr-shuffle")
    assert conversion.target == "Conv2d(3, 8, 2, padding=1) >> PixelShuffle(2) >> Crop(1) >> ZeroPad2d(1)"
    assert any("ZeroPad2d(1) stays as it is" in note for note in conversion.notes)
    replay(parse(source), conversion, random.Random(9))
    source = "Conv2d(4, 4, 3, padding=1, padding_mode='reflect') >> ZeroPad2d(1) >> ReLU()"
    conversion = converted(source, "transposed")
    assert conversion.target == "ReflectionPad2d(1) >> ConvTranspose2d(4, 4, 3, padding=2) >> ZeroPad2d(1) >> ReLU()"
    replay(parse(source), conversion, random.Random(9))


def test_unshuffle_states_the_extents_that_it_takes() -> None:
    conversion = converted("Conv2d(3, 8, 3, stride=2, padding=1, groups=1)", "unshuffle")
    assert conversion.verdict is not None and conversion.verdict.domain is DomainRelation.LEFT_WIDER
    assert any("n = 0 mod 2" in note for note in conversion.notes)
    assert any("drop-in replacement needs the same domain" in note for note in conversion.notes)


def test_a_layer_in_its_form_stays_what_it_is() -> None:
    conversion = converted("Conv2d(64, 256, 3, padding=1) >> PixelShuffle(2)", "lr-shuffle")
    assert conversion.target == conversion.source and "the layer has this form already" in conversion.notes


# --- round trips --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["lr-shuffle", "zero-insertion"])
def test_round_trips_give_the_weights_back_bit_for_bit(to: str) -> None:
    rng, numbers = random.Random(7), np.random.default_rng(7)
    for _ in range(25):
        axes = rng.choice((1, 2))
        stride = tuple(rng.randint(1, 3) for _ in range(axes))
        kernel = tuple(s * rng.randint(1, 3) for s in stride)
        padding = tuple(rng.randint(0, k - 1) for k in kernel)
        groups = rng.choice((1, 2))
        source = ConvTranspose.make(axes, 2 * groups, groups, kernel, stride, padding, 0, groups, False)
        there = convert_layer(source, to, presburger=False)
        assert there.target_layer is not None
        back = convert_layer(there.target_layer, "transposed", presburger=False)
        weights = numbers.normal(size=kernel_shape(source)).astype(np.float32)
        moved, _ = convert_weights(back, convert_weights(there, weights)[0])
        assert back.target == there.source
        assert moved.dtype == np.float32 and np.array_equal(moved, weights)


def test_a_round_trip_through_a_larger_class_keeps_the_taps_among_zeros() -> None:
    rng, numbers = random.Random(8), np.random.default_rng(8)
    for _ in range(25):
        k, s, d, pb, pe, op = one_axis(rng)
        source = ConvTranspose.make(1, 1, 1, k, s, ((pb, pe),), op, 1, False, d)
        there = convert_layer(source, "lr-shuffle", presburger=False)
        assert there.target_layer is not None
        back = convert_layer(there.target_layer, "transposed", presburger=False)
        weights = numbers.normal(size=(1, 1, k))
        moved, _ = convert_weights(back, convert_weights(there, weights)[0])
        assert np.array_equal(moved[moved != 0], weights.ravel()), (there.source, there.target, back.target)


# --- answers of no ------------------------------------------------------------------------------------------------

REFUSED = [
    ("Conv2d(4, 16, 3, stride=2)", "transposed", "1/2, 1/2 output samples"),
    ("PixelUnshuffle(2) >> Conv2d(4, 4, 1)", "transposed", "a whole number of them"),
    ("Conv2d(1, 4, 2, padding=1) >> PixelShuffle(2)", "transposed", "its biases do not fit, though its kernels do"),
    ("PixelShuffle(2) >> Conv2d(4, 4, 3, padding=1, padding_mode='reflect')", "lr-shuffle", "borders differently"),
    (
        "Upsample(scale_factor=2, mode='bilinear') >> Conv2d(1, 1, 3, padding=1, bias=False)",
        "lr-shuffle",
        "away from the borders the two agree",
    ),
    ("Upsample(scale_factor=2, mode='bicubic') >> Conv2d(1, 1, 3, padding=1, bias=False)", "transposed", "mode 'replicate'"),
    ("PixelShuffle(2) >> Crop(1) >> Conv1d(1, 1, 3, padding=1, bias=False)", "lr-shuffle", "where the unlimited signal is not zero"),
    ("ZeroInsert(2) >> Conv1d(1, 1, 3, stride=3)", "lr-shuffle", "output extents"),
]


@pytest.mark.parametrize(("source", "to", "fragment"), REFUSED)
def test_every_no_has_a_reason_and_a_witness(source: str, to: str, fragment: str) -> None:
    conversion = converted(source, to)
    assert conversion.target is None
    assert fragment in str(conversion.reason)
    assert not any(candidate.chosen for candidate in conversion.candidates)
    assert conversion.verdict is not None
    if conversion.witness is not None and conversion.witness["kind"] == "kernel":
        assert conversion.witness["refutes"] == "left_in_right"
        outputs = [conversion.witness[f"{side}_output"] for side in ("left", "right")]
        assert None in outputs or outputs[0] != outputs[1]
        assert conversion.witness["annihilator"]["terms"]
    else:
        assert conversion.witness is not None and conversion.witness["left_shape"] != conversion.witness["right_shape"]


def test_what_is_outside_is_unknown_and_not_no() -> None:
    for text, word in (
        ("Conv1d(1, 1, 3) >> Conv1d(1, 1, 3)", "two layers with parameters"),
        ("Conv1d(1, 1, 3) >> ReLU() >> Conv1d(1, 1, 3)", "each linear stage on its own"),
        ("Upsample(scale_factor=2, mode='linear', align_corners=True) >> Conv1d(1, 1, 3)", "not shift-invariant"),
    ):
        conversion = convert_layer(parse(text), "lr-shuffle")
        assert conversion.target is None and str(conversion.reason).startswith("unknown: ") and word in str(conversion.reason)


def test_no_time_is_unknown() -> None:
    conversion = convert_layer(parse("ConvTranspose1d(1, 1, 4, stride=2)"), "lr-shuffle", budget=0.0)
    assert conversion.target is None and "budget ran out" in str(conversion.reason)


@pytest.mark.parametrize(
    "text",
    [
        "ConvTranspose1d(1, 1, 1000000000)",
        "Conv1d(1, 1, 1, stride=1000000000)",
        "ConvTranspose1d(1, 1, 1, stride=1000000000)",
        "ConvTranspose1d(1, 1, 3, stride=2, padding=1000000000)",
    ],
)
def test_large_numbers_answer_within_seconds(text: str) -> None:
    for to in FORMS:
        start = time.perf_counter()
        conversion = convert_layer(parse(text), to, budget=5.0)
        assert time.perf_counter() - start < 5
        assert conversion.target is not None or conversion.reason is not None


# --- the contract -------------------------------------------------------------------------------------------------


def test_to_dict_is_plain_json() -> None:
    for text, to in (("ConvTranspose2d(3, 2, 4, stride=2, padding=1)", "lr-shuffle"), REFUSED[0][:2], REFUSED[2][:2]):
        conversion = converted(text, to)
        found = json.loads(json.dumps(conversion.to_dict()))
        assert found["schema"] == "symconv.convert/1" and found["to"] == to
        assert found["source"] == text and found["target"] == conversion.target
        assert found["verdict"]["schema"] == "symconv.check/1"
        assert [candidate["chosen"] for candidate in found["candidates"]].count(True) == (conversion.target is not None)
        assert set(found["candidates"][0]) >= {"text", "relation", "domain", "multiplications", "parameters", "chosen"}


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(LayerError, match="`to` must be one of"):
        convert_layer(parse("Conv1d(1, 1, 1)"), "faster")
    with pytest.raises(LayerError, match="channels"):
        convert_layer(parse("Upsample(scale_factor=2)"), "lr-shuffle")
    with pytest.raises(LayerError, match="no linear layer"):
        convert_layer(parse("ReLU()"), "lr-shuffle", channels=3)
    conversion = converted("ConvTranspose1d(1, 1, 4, stride=2)", "lr-shuffle")
    with pytest.raises(LayerError, match="shape"):
        convert_weights(conversion, np.zeros((1, 1, 3)))
    with pytest.raises(LayerError, match="no weights to convert"):
        convert_weights(converted(*REFUSED[0][:2]), np.zeros((1,)))

"""Explanations: their numbers are those of the operators."""

from __future__ import annotations

import json

import pytest

from symconv.errors import LayerError, UsageError
from symconv.frontends.text import parse
from symconv.report.explain import explain_page
from symconv.report.explanation import SCHEMA, Explanation, explain_layer
from symconv.report.operator import joined
from symconv.report.page import Lines, Section, Tone
from symconv.report.reduced import one_axis, one_pair

FIELDS = {
    "schema", "layer", "axes", "channels", "extents", "parameters", "dimension", "dead_taps", "taps", "matrix", "seen", "polyphase",
    "phases", "constants", "cost", "forms", "omitted", "seconds",
}  # fmt: skip


@pytest.fixture(scope="module")
def dcgan() -> Explanation:
    return explain_layer(parse("ConvTranspose2d(3, 2, 4, stride=2, padding=1)"))


def test_fields(dcgan: Explanation) -> None:
    record = dcgan.to_dict()
    assert set(record) == FIELDS
    assert record["schema"] == SCHEMA
    assert json.loads(json.dumps(record)) == record


def test_numbers(dcgan: Explanation) -> None:
    assert (dcgan.channels, dcgan.parameters, dcgan.dimension) == ((3, 2), 98, 98)
    assert dcgan.dead_taps == [[], []]
    assert dcgan.phases == [[2, 2], [2, 2]]
    assert dcgan.even_overlap and dcgan.upsamples
    assert dcgan.to_dict()["cost"] == {"per_input_sample": "96", "per_output_sample": "24"}
    assert [item["formula"] for item in dcgan.extents] == ["2 n", "2 n"]


def test_matrix_of_one_channel_pair(dcgan: Explanation) -> None:
    assert dcgan.matrix is not None
    assert (dcgan.matrix["in_shape"], dcgan.matrix["out_shape"]) == ([1, 2, 2], [1, 4, 4])
    entries = {(tuple(o), tuple(i)): text for o, i, text in dcgan.matrix["entries"]}
    assert len(entries) == 36
    assert entries[(0, 1, 1), (0, 0, 0)] == "k" and entries[(0, 1, 1), (0, 1, 1)] == "a"


def test_seen(dcgan: Explanation) -> None:
    assert dcgan.seen is not None
    assert dcgan.seen[0]["extents"] == [{"extent": 1, "seen": [1, 2]}, {"extent": 2, "seen": [0, 1, 2, 3]}]


def test_constants(dcgan: Explanation) -> None:
    assert dcgan.constants is not None
    assert [item["gain"] for item in dcgan.constants] == ["f + h + n + p", "e + g + m + o", "b + d + j + l", "a + c + i + k"]


def test_polyphase_is_the_interior() -> None:
    found = explain_layer(parse("ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1)")).polyphase
    assert found is not None
    assert found["components"] == [[[0, 0], [0, 0], "b"], [[0, 1], [0, 0], "a z + c"]]


def test_uneven_overlap_is_named() -> None:
    found = explain_layer(parse("ConvTranspose1d(1, 1, 3, stride=2)"))
    assert found.even_overlap is False
    section = _section(found, "Checkerboard")
    assert "uneven" in str(section.blocks[0])
    assert isinstance(section.blocks[-1], Lines)


def test_a_fixed_layer_keeps_constants() -> None:
    found = explain_layer(parse("Upsample(scale_factor=2, mode='bilinear')"), channels=1)
    assert found.parameters == 0
    assert "every phase sums to 1" in str(_section(found, "Checkerboard"))


def test_dead_taps() -> None:
    found = explain_layer(parse("ConvTranspose1d(1, 1, 4, stride=2, padding=3, bias=False) >> Crop(0, 0)"))
    assert found.dimension is not None and found.dimension <= found.parameters


def test_forms(dcgan: Explanation) -> None:
    targets = {item["to"]: item["target"] for item in dcgan.forms}
    assert targets["lr-shuffle"] == "Conv2d(3, 8, 2, padding=1) >> PixelShuffle(2) >> Crop(1)"
    assert "transposed" not in targets, "the layer has this form already"


def test_nonlinear_chains_leave_the_operator_out() -> None:
    found = explain_layer(parse("Conv1d(1, 2, 3) >> ReLU() >> Conv1d(2, 1, 3)"))
    assert found.matrix is None and "nonlinear" in found.omitted["operator"]
    assert found.extents[0]["formula"] == "n - 4"


def test_large_layers_are_bounded() -> None:
    found = explain_layer(parse("Conv1d(1, 1, 1000000000)"))
    assert found.matrix is None and found.omitted


def test_given_extents() -> None:
    found = explain_layer(parse("Conv1d(1, 1, 3)"), extents=(5,))
    assert found.matrix is not None and found.matrix["extents"] == [5]
    with pytest.raises(UsageError, match="not valid"):
        explain_layer(parse("Conv1d(1, 1, 3)"), extents=(2,))
    with pytest.raises(LayerError, match="1 integer"):
        explain_layer(parse("Conv1d(1, 1, 3)"), extents=(5, 5))


def test_the_page_answers_first(dcgan: Explanation) -> None:
    page = explain_page(dcgan)
    assert page.tone is Tone.PLAIN
    assert page.headline == "3 to 2 channels, extent n to 2 n, 98 parameters, all of them seen"


def test_one_channel_pair() -> None:
    reduced = one_pair(parse("Conv2d(6, 32, 3, groups=2) >> PixelShuffle(4)").bind(2).layers)
    assert reduced is not None
    assert [layer.channels for layer in reduced.chain] == [(1, 16), None]
    part = one_axis(reduced, 0)
    assert part is not None and part.chain[0].channels == (1, 4)


def test_channels_that_do_not_come_apart() -> None:
    assert one_pair(parse("PixelUnshuffle(2) >> Conv2d(8, 8, 3, groups=8)").bind(2).layers) is None


def test_sums() -> None:
    from fractions import Fraction

    assert joined([]) == "0"
    assert joined([(Fraction(-1), "a"), (Fraction(1, 2), "b"), (Fraction(-3), "")]) == "-a + 1/2 b - 3"


def _section(found: Explanation, title: str) -> Section:
    return next(section for section in explain_page(found).sections if section.title == title)

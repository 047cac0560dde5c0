"""The matrix of `make gpu`: all its code on the CPU here; the tests marked gpu are the same on a CUDA device."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from symconv.app import gpu_evidence
from symconv.app.equivalents import equivalents, random_pairs
from symconv.app.gathered import Clock, plain
from symconv.app.gpu_evidence import gather, main
from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Outcome
from symconv.conformance.pairing import pair_networks
from symconv.conformance.plan import make_plan
from symconv.conformance.real_layers import REAL_LAYERS
from symconv.frontends.text import parse
from symconv.report.evidence import evidence_page
from symconv.report.markdown import markdown

FEW = [real for real in REAL_LAYERS if real.name in ("ESPCN x3", "Kokoro")]


def test_the_matrix_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_evidence, "CASES", 1)
    record = gather("cpu", seconds=200, most_extent=3, reals=FEW[:1], randoms=1, theorems=("orders",), compiler="eager")
    assert record["verdict"] == "agrees" and not record["deviations"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert [item["name"] for item in record["real"]] == ["ESPCN x3"]
    assert record["compiled"]["pairs"] and record["random"]["pairs"] == 1
    assert all(item["float32"]["ratio"] > 0 for item in record["times"])
    seen = {(item["dtype"], item["algorithm"], item["memory_format"], item["direction"]) for item in record["settings"]}
    assert {"float64", "float32", "bfloat16", "float16"} <= {dtype for dtype, *_ in seen}
    assert {"onednn", "no-onednn"} <= {algorithm for _, algorithm, *_ in seen}
    assert {"forward", "input-grad", "weight-grad"} <= {direction for *_, direction in seen}
    page = markdown(evidence_page(record))
    assert "every layer gave the numbers" in page and "ESPCN x3" in page


def test_time_is_divided_and_what_is_left_out_is_named() -> None:
    record = gather("cpu", seconds=0, most_extent=3, reals=FEW, randoms=5)
    assert record["verdict"] == "nothing_ran"
    assert any("Kokoro" in text and "no time left" in text for text in record["left_out"])
    clock = Clock(100)
    clock.open("real layers")
    assert not clock.over() and clock.until - clock.start == pytest.approx(50)


def test_the_command_writes_both_files_and_overwrites_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "cpu.json"
    arguments = ["-o", str(target), "--device", "cpu", "--seconds", "0"]
    assert main(arguments) == 3  # no time, so nothing ran
    assert json.loads(target.read_text())["schema"] == "symconv.evidence/1" and target.with_suffix(".md").exists()
    assert main(arguments) == 2 and "already exists" in capsys.readouterr().err
    assert main(["-o", str(tmp_path / "x.txt"), "--device", "cpu"]) == 2
    assert main(["-o", str(tmp_path / "x.json"), "--device", "tpu"]) == 2


def test_infinities_are_words_in_json() -> None:
    assert plain({"ratio": [float("inf"), 0.5], "n": {"x": float("nan")}}) == {"ratio": ["inf", 0.5], "n": {"x": "nan"}}


# On a CUDA device.

TRANSPOSED, SHUFFLED = "ConvTranspose2d(64, 32, 4, stride=2, padding=1)", "Conv2d(64, 128, 3, padding=1) >> PixelShuffle(2)"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float64", "float32", "tf32", "bfloat16", "float16"])
def test_a_conversion_agrees_under_every_setting(dtype: str) -> None:
    plan = make_plan(device="cuda", dtypes=dtype, algorithms="all", memory_formats="all", count=2)
    evidence = cross_validate(pair_networks(parse(TRANSPOSED), parse(SHUFFLED)), plan)
    _agrees(evidence)


@pytest.mark.gpu
@pytest.mark.parametrize("real", REAL_LAYERS, ids=lambda real: real.name)
def test_every_real_layer_agrees(real: Any) -> None:
    for _, target in equivalents(real):
        pair = pair_networks(real.layer, target)
        extents = tuple(item.first(n) or 1 for n, item in zip(real.extents, pair.domains, strict=True))
        plan = make_plan(device="cuda", dtypes="float32,float16", algorithms="cudnn", count=1, extents=extents)
        _agrees(cross_validate(pair, plan))


@pytest.mark.gpu
def test_random_layers_agree() -> None:
    plan = make_plan(device="cuda", dtypes="float64,float32,tf32", algorithms="cudnn,cudnn-deterministic", count=1)
    for left, right in itertools.islice(random_pairs(17), 40):
        _agrees(cross_validate(pair_networks(left, right), plan))


@pytest.mark.gpu
def test_compiled_modules_agree() -> None:
    plan = make_plan(device="cuda", dtypes="float32", algorithms="cudnn", modes="compile", count=1)
    _agrees(cross_validate(pair_networks(parse(TRANSPOSED), parse(SHUFFLED)), plan))


def _agrees(evidence: Any) -> None:
    """Nothing deviates, something ran; an algorithm with fractional constants is named, not hidden."""
    assert evidence.ran
    assert not evidence.deviations, (evidence.left, evidence.right, evidence.worst)
    assert all(row.reason for row in evidence.rows if row.outcome in (Outcome.TRANSFORM, Outcome.UNSUPPORTED))

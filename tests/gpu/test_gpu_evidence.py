"""The matrix of `make gpu`: all its code on the CPU here; the tests marked gpu are the same on a CUDA device."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from symconv.app import gathered
from symconv.app.equivalents import equivalents, random_pairs
from symconv.app.evidence_jobs import Setup
from symconv.app.gathered import Clock, plain
from symconv.app.gpu_evidence import gather, main
from symconv.app.reach import telling
from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Outcome
from symconv.conformance.instances import BATCH
from symconv.conformance.pairing import pair_networks
from symconv.conformance.plan import make_plan
from symconv.conformance.real_layers import REAL_LAYERS, RealLayer
from symconv.frontends.text import parse
from symconv.report.evidence import evidence_page
from symconv.report.markdown import markdown

FEW = [
    RealLayer("small", "Conv2d(2, 4, 3, padding=1) >> PixelShuffle(2)", (4, 4), "", ("Conv2d(2, 4, 3, padding=1) >> DepthToSpace(2)",)),
    next(real for real in REAL_LAYERS if real.name == "Kokoro"),
]
SMALL = Setup("cpu", most=1.0, compiler="eager", threads=1, cases=1)


def test_the_matrix_runs_on_the_cpu() -> None:
    record = gather(SMALL, seconds=200, reals=FEW[:1], randoms=1, theorems=("orders",))
    assert record["verdict"] == "agrees" and record["complete"] and not record["deviations"] and not record["failed"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    (real,) = record["real"]
    assert real["name"] == "small" and [run["extents"] for run in real["runs"]] == [[5, 5], [5, 5]]
    assert record["compiled"]["pairs"] and record["random"]["pairs"] == 1
    assert all(item["float32"]["ratio"] > 0 for item in record["times"])
    seen = {(item["dtype"], item["algorithm"], item["memory_format"], item["direction"]) for item in record["settings"]}
    assert {"float64", "float32", "bfloat16", "float16"} <= {dtype for dtype, *_ in seen}
    assert {"onednn", "no-onednn"} <= {algorithm for _, algorithm, *_ in seen}
    assert {"forward", "input-grad", "weight-grad"} <= {direction for *_, direction in seen}
    page = markdown(evidence_page(record))
    assert "every layer gave the numbers" in page and "small" in page and "5x5" in page


@pytest.mark.slow
def test_processes_find_what_one_finds() -> None:
    """The same settings and numbers, whoever computes; times differ."""
    found = []
    for workers in (0, 2):
        record = gather(SMALL, seconds=200, workers=workers, reals=FEW[:1], randoms=2, theorems=())
        assert record["verdict"] == "agrees" and record["random"]["pairs"] == 2
        found.append({key: record[key] for key in ("real", "settings", "compiled", "random", "left_out", "failed")})
    assert found[0] == found[1]


def test_time_is_divided_and_what_is_left_out_is_named() -> None:
    record = gather(SMALL, seconds=0, reals=FEW, randoms=5)
    assert record["verdict"] == "nothing_ran"
    assert any("Kokoro" in text and "no time left" in text for text in record["left_out"])
    assert any("(theorems)" in text for text in record["left_out"]) and any("random layers" in text for text in record["left_out"])
    clock = Clock(100)
    clock.open("real layers")
    assert not clock.over() and clock.until - clock.start == pytest.approx(45)


def test_time_left_over_goes_to_what_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part whose share is nothing runs in the end all the same, if the others needed less than theirs."""
    shares = dict.fromkeys(gathered.SHARES, 0.0) | {"theorems": 1.0}
    monkeypatch.setattr(gathered, "SHARES", shares)
    record = gather(SMALL, seconds=200, reals=FEW[:1], randoms=1, theorems=("orders",))
    assert not record["left_out"] and record["real"] and record["times"] and record["compiled"]["pairs"]
    assert record["random"]["pairs"] == 1 and len(record["theorems"]) == 1


def test_the_command_writes_both_files_and_overwrites_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new" / "cpu.json"
    arguments = ["-o", str(target), "--device", "cpu", "--seconds", "0", "--workers", "0"]
    assert main(arguments) == 3  # no time, so nothing ran
    assert json.loads(target.read_text())["schema"] == "symconv.evidence/1" and target.with_suffix(".md").exists()
    assert main(arguments) == 2 and "already exists" in capsys.readouterr().err
    assert main(["-o", str(tmp_path / "x.txt"), "--device", "cpu"]) == 2
    assert main(["-o", str(tmp_path / "x.json"), "--device", "tpu"]) == 2
    (tmp_path / "file").write_text("")
    wrong = (["--seconds", "nan"], ["--workers", "-1"], ["--most-multiplications", "0"], ["--backend", "tvm"], ["--seed", "-1"])
    for more in wrong:
        assert main(["-o", str(tmp_path / "x.json"), "--device", "cpu", *more]) == 2
    assert main(["-o", str(tmp_path / "file" / "x.json"), "--device", "cpu", "--seconds", "0"]) == 2
    assert not (tmp_path / "x.json").exists() and "Traceback" not in capsys.readouterr().err


def test_infinities_are_words_in_json() -> None:
    assert plain({"ratio": [float("inf"), 0.5], "n": {"x": float("nan")}}) == {"ratio": ["inf", 0.5], "n": {"x": "nan"}}


# On a CUDA device.

TRANSPOSED, SHUFFLED = "ConvTranspose2d(64, 32, 4, stride=2, padding=1)", "Conv2d(64, 128, 3, padding=1) >> PixelShuffle(2)"


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float64", "float32", "tf32", "bfloat16", "float16"])
def test_a_conversion_agrees_under_every_setting(dtype: str) -> None:
    plan = make_plan(device="cuda", dtypes=dtype, algorithms="all", memory_formats="all", count=1)
    evidence = cross_validate(pair_networks(parse(TRANSPOSED), parse(SHUFFLED)), plan)
    _agrees(evidence)


@pytest.mark.gpu
def test_real_layers_agree() -> None:
    """At the least extents at which all taps meet samples; `make gpu` has run them at their own extents by now."""
    plan = make_plan(device="cuda", dtypes="float32,float16", algorithms="cudnn", count=1)
    for real in REAL_LAYERS[::3]:
        form, target = equivalents(real)[0]
        pair = pair_networks(real.layer, target)
        _agrees(cross_validate(pair, attrs.evolve(plan, extents=telling(pair, (1,) * pair.axes, BATCH))), f"{real.name} {form}")


@pytest.mark.gpu
def test_random_layers_agree() -> None:
    plan = make_plan(device="cuda", dtypes="float64,float32,tf32", algorithms="cudnn", count=1)
    for left, right in itertools.islice(random_pairs(17), 12):
        _agrees(cross_validate(pair_networks(left, right), plan))


@pytest.mark.gpu
def test_what_a_program_set_before_reaches_no_run() -> None:
    """TF32 for everything and deterministic algorithms: float32 is float32 all the same, and is not TF32."""
    layers = parse("Conv2d(64, 64, 3)"), parse("Conv2d(64, 64, 3) >> Identity()")
    plan = make_plan(device="cuda", dtypes="float32,tf32", algorithms="cudnn", directions="forward", count=1, extents=(9, 9))
    before = torch.backends.fp32_precision
    torch.backends.fp32_precision = "tf32"
    torch.use_deterministic_algorithms(True)
    try:
        evidence = cross_validate(pair_networks(*layers), plan)
    finally:
        torch.backends.fp32_precision = before
        torch.use_deterministic_algorithms(False)
    _agrees(evidence)
    assert {row.dtype for row in evidence.ran} == {"float32", "tf32"}


@pytest.mark.gpu
def test_processes_share_the_device() -> None:
    record = gather(Setup("cuda", most=1.0, compiler="eager", cases=1), 120, workers=2, reals=FEW[:1], randoms=2, theorems=("orders",))
    assert record["verdict"] == "agrees" and not record["failed"], record["failed"]
    times = record["times"][0]["float32"]
    assert times["ratio"] > 0 and times["memory"][0] > 0
    assert set(record["real"][0]["kernels"]) == {"float32", "tf32", "bfloat16", "float16"}


@pytest.mark.gpu
def test_compiled_modules_agree() -> None:
    plan = make_plan(device="cuda", dtypes="float32", algorithms="cudnn", modes="compile", count=1)
    _agrees(cross_validate(pair_networks(parse(TRANSPOSED), parse(SHUFFLED)), plan))


def _agrees(evidence: Any, name: str = "") -> None:
    """Nothing deviates, something ran; an algorithm with fractional constants is named, not hidden."""
    assert evidence.ran
    assert not evidence.deviations, (name, evidence.left, evidence.right, evidence.worst)
    assert all(row.reason for row in evidence.rows if row.outcome in (Outcome.TRANSFORM, Outcome.UNSUPPORTED))

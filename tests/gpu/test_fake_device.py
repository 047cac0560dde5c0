"""All code for CUDA devices on a device that is not there: where tensors are is checked, what kernels compute is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu.fake_device import fake_cuda
from torch import nn

from symconv.app.evidence_jobs import Setup
from symconv.app.gpu_evidence import gather, main
from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Outcome
from symconv.conformance.pairing import pair_networks
from symconv.conformance.plan import make_plan
from symconv.conformance.real_layers import REAL_LAYERS, RealLayer
from symconv.conformance.torch_runs import DeviceLost, require_device
from symconv.errors import UsageError
from symconv.frontends.text import parse
from symconv.report.evidence import evidence_page
from symconv.report.markdown import markdown

PAIR = ("ConvTranspose2d(2, 1, 4, stride=2, padding=1)", "Conv2d(2, 4, 3, padding=1) >> PixelShuffle(2)")
EVERY = {"float64", "float32", "tf32", "bfloat16", "float16"}
RUNS: tuple[tuple[tuple[str, str], dict[str, str]], ...] = (
    (("ConvTranspose1d(2, 2, 3, stride=2, groups=2)", "ZeroInsert(2) >> ZeroPad1d(2) >> Conv1d(2, 2, 3, groups=2)"), {"dtypes": "all"}),
    (PAIR, {"dtypes": "float32", "algorithms": "all", "memory_formats": "all"}),
    (("Conv3d(1, 8, 2) >> PixelShuffle(2)", "Conv3d(1, 8, 2) >> DepthToSpace(2, mode='CRD')"), {"dtypes": "bfloat16"}),
    (("Upsample(scale_factor=2, mode='bilinear') >> Conv2d(1, 1, 2)",) * 2, {"dtypes": "tf32"}),
    (("BatchNorm1d(2)",) * 2, {"dtypes": "float16"}),
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_fake_device_is_as_strict_as_a_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_cuda(monkeypatch, memory=4096) as fake:
        there, here = torch.ones(3, device="cuda"), torch.ones(3)
        assert there.device.type == (there * 2).device.type == nn.Linear(3, 3).to("cuda").weight.device.type == "cuda"
        assert there.cpu().device.type == here.device.type == "cpu" and here.to("cuda").is_cuda and not there.to("cpu").is_cuda
        for wrong in (lambda: there + here, lambda: nn.Linear(3, 3)(there), lambda: nn.Linear(3, 3).to("cuda")(here)):
            with pytest.raises(RuntimeError, match="same device"):
                wrong()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        with pytest.raises(torch.OutOfMemoryError):
            torch.ones(2000, device="cuda")
        fake.broken = "an illegal memory access"
        with pytest.raises(RuntimeError, match="illegal"):
            there + 1


@pytest.mark.parametrize(("pair", "words"), RUNS, ids=[pair[0] for pair, _ in RUNS])
def test_every_setting_runs_from_end_to_end(pair: tuple[str, str], words: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_cuda(monkeypatch) as fake:
        plan = make_plan(device="cuda", count=1, **({"algorithms": "cudnn"} | words))
        evidence = cross_validate(pair_networks(*map(parse, pair)), plan)
        assert evidence.verdict == "agrees" and fake.operations > 50
        told = {row.reason for row in evidence.rows if row.outcome is Outcome.UNSUPPORTED}
    assert not any("device" in reason or "Error" in reason for reason in told), told
    assert {row.dtype for row in evidence.ran} == (EVERY if words["dtypes"] == "all" else {words["dtypes"]})


def test_the_matrix_runs_from_end_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[dict[str, Any]] = []
    reals = [RealLayer("small", "Conv2d(1, 4, 2) >> PixelShuffle(2)", (1, 1), "", ("Conv2d(1, 4, 2) >> DepthToSpace(2, mode='CRD')",))]
    with fake_cuda(monkeypatch):
        setup = Setup("cuda", most=1.0, compiler="eager", cases=1)
        record = gather(setup, 300, reals=reals, randoms=1, theorems=("orders",), save=saved.append)
    assert record["verdict"] == "agrees" and not record["failed"] and record["complete"]
    assert [run["dtypes"][-1] for run in record["real"][0]["runs"]] == ["float16", "bfloat16", "float16"]
    assert record["real"][0]["kernels"] == {dtype: [[], []] for dtype in ("float32", "tf32", "bfloat16", "float16")}  # nothing to profile
    assert record["times"][0]["float16"]["memory"] == [4096, 4096] and record["times"][0]["algorithm"] == "cudnn-benchmark"
    assert "2^-21" in record["assumptions"]["bfloat16"] and "2^-24" in record["assumptions"]["float32"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record == saved[-1]
    assert not saved[0]["complete"] and "did not end" in markdown(evidence_page(saved[0]))
    # dynamo asks the driver itself: that the compiled part did not run is said, not hidden
    assert record["compiled"]["pairs"] == [] and any("torch.compile" in text for text in record["left_out"])


def test_memory_that_runs_out_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_cuda(monkeypatch, memory=3000):
        plan = make_plan(device="cuda", dtypes="float32", algorithms="cudnn", count=1, extents=(9, 9))
        evidence = cross_validate(pair_networks(*map(parse, PAIR)), plan)
    assert evidence.verdict == "nothing_ran" and {row.reason for row in evidence.rows} == {"out of memory"}


def test_a_lost_device_is_told_from_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fault in a kernel every call fails: that is no row that says unsupported, and no pass."""
    pair = pair_networks(*map(parse, PAIR))
    reals = [real for real in REAL_LAYERS if real.name in ("ESPCN x3", "Kokoro")]
    with fake_cuda(monkeypatch) as fake:
        fake.broken = "CUDA error: an illegal memory access was encountered"
        with pytest.raises(DeviceLost, match="illegal"):
            cross_validate(pair, make_plan(device="cuda", dtypes="float32", count=1))
        record = gather(Setup("cuda", most=1.0), 200, reals=reals, randoms=2, theorems=("orders",))
    assert record["verdict"] == "broken" and "illegal" in record["failed"][0]["why"]
    assert not record["real"] and any("no time left" in text or "device" in text for text in record["left_out"])
    assert "Broke off" in markdown(evidence_page(record))


def test_a_device_that_is_not_there_is_bad_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # no driver, no card, or CUDA_VISIBLE_DEVICES=""
    with pytest.raises(UsageError, match=r"`--device cuda` .* (does not see here|is built without)"):
        require_device("cuda")
    assert main(["-o", str(tmp_path / "x.json"), "--device", "cuda"]) == 2
    assert "cuda" in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "shape", "dtype"),
    [
        ("ConvTranspose1d(4, 4, 3, stride=2, padding=1, output_padding=1, groups=4)", (1, 4, 7), torch.float32),
        ("Upsample(scale_factor=2) >> Conv1d(3, 2, 3, padding=1)", (2, 3, 7), torch.float16),
    ],
)
def test_the_fastest_forms_run_on_a_device(text: str, shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    from symconv.conformance.bench_setting import random_members
    from symconv.convert.fastest.choosing import Setting, choose

    with fake_cuda(monkeypatch):
        members = random_members(parse(text), len(shape) - 2, "cuda", dtype)
        choice = choose(parse(text), members, shape, Setting(seconds=0.05, cached=False))
    assert choice.device == "cuda: fake" and len(choice.rows) > 2
    assert not any("device" in row.reason for row in choice.rows)


def test_networks_are_trained_and_measured_on_a_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from symconv.experiment.networks import Shape
    from symconv.experiment.training import Pairs, Schedule, train

    shape = Shape(arm="nearest", factor=2, width=2, hidden=0)
    schedule = Schedule(epochs=1, steps=2, batch=2, patch=16, rate=1e-3)
    before = torch.are_deterministic_algorithms_enabled()
    with fake_cuda(monkeypatch):
        pairs = Pairs(("one",), (torch.rand(1, 1, 24, 24).to("cuda"),), (torch.rand(1, 1, 48, 48).to("cuda"),))
        try:
            record = train(shape, schedule, 0, pairs, pairs, tmp_path, device="cuda")
        finally:
            torch.use_deterministic_algorithms(before)
    assert record["losses"] and record["training_seconds"] > 0

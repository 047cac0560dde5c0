"""`symconv convert package.module:attribute`: a table of what changes, what stays and why, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from app.commands import run

NETS = """
from torch import nn
up = lambda: nn.ConvTranspose1d(2, 2, 4, 2, 1)
same = nn.ModuleDict({"a": up(), "b": up(), "c": nn.ConvTranspose1d(2, 1, 2, 2)})
mixed = nn.ModuleDict({"a": up(), "b": nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2)), "c": nn.utils.parametrizations.weight_norm(up())})
plain = nn.Linear(2, 2)
down = nn.Conv2d(1, 1, 3, 2, 1)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_nets.py").write_text(NETS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_of_what_changes(capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "convert", "some_nets:same", "--to", "lr-shuffle")
    assert done.code == 0 and done.out.startswith("3 of 3 layers converted to lr-shuffle")
    assert "\na, b\n" in done.out and "\nc\n" in done.out and max(map(len, done.out.splitlines())) <= 80
    assert done.out.count("certified, for every kernel, input and extent\n") == 2


def test_what_stays_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    partly = run(capsys, "convert", "some_nets:mixed", "--to", "lr-shuffle", "--format", "md")
    assert partly.code == 1 and "1 of 2 layers" in partly.out and "c stays as it is" in partly.out and "tie=True" in partly.out
    assert run(capsys, "convert", "some_nets:mixed", "--to", "lr-shuffle", "--except", "c").code == 0
    none = run(capsys, "convert", "some_nets:plain", "--to", "lr-shuffle")
    assert none.code == 0 and none.out.startswith("nothing to convert")
    fewer = run(capsys, "convert", "some_nets:down", "--to", "unshuffle")
    assert fewer.code == 1 and "--common-extents" in fewer.out
    allowed = run(capsys, "convert", "some_nets:down", "--to", "unshuffle", "--common-extents")
    assert allowed.code == 0 and "which takes fewer extents" in allowed.out
    assert run(capsys, "convert", "some_nets:same", "--to", "lr-shuffle", "--budget", "1e-9").code == 3


def test_the_json_object_and_certificates(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    record = json.loads(run(capsys, "convert", "some_nets:same", "--to", "zero-insertion", "--json").out)
    assert [layer["status"] for layer in record["layers"]] == ["converted"] * 3 and record["schema"] == "symconv.convert-module/1"
    kept = run(capsys, "convert", "some_nets:same", "--to", "lr-shuffle", "--only", "c", "--certificate", "c.json")
    assert kept.code == 0 and run(capsys, "verify", "c.json").code == 0
    many = run(capsys, "convert", "some_nets:same", "--to", "lr-shuffle", "--certificate", "d.json")
    assert many.code == 2 and "has 2" in many.err and not (folder / "d.json").exists()
    for wrong in (["-o", "x.onnx"], ["--only", "zz"], ["--target", "no-fun"]):
        assert run(capsys, "convert", "some_nets:same", "--to", "lr-shuffle", *wrong).code == 2

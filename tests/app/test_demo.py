"""The demonstration: its table, its certificates, its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

import symconv.api
from symconv.app import demo

FEW = (
    ("DCGAN", "ConvTranspose2d(8, 4, 4, stride=2, padding=1)"),
    ("ESPCN", "Conv2d(8, 9, 3, padding=1) >> PixelShuffle(3)"),
)


def test_every_decoder_parses() -> None:
    from symconv.frontends.text import parse

    assert len({text for _, text in demo.DECODERS}) == len(demo.DECODERS) > 20
    assert all(parse(text).axes in (1, 2, 3) for _, text in demo.DECODERS)


def test_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DECODERS", FEW)
    monkeypatch.setenv("COLUMNS", "120")
    for _ in range(2):  # a second run writes over the first
        assert demo.main(["--out", str(tmp_path / "proofs")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("4 of 4 layers certified, 4 of 4 certificates accepted")
    assert "2x2 / 3x3" in out and "equal, 512" in out
    names = sorted(path.name for path in (tmp_path / "proofs").iterdir())
    assert names == ["01-dcgan-bias.json", "01-dcgan-no-bias.json", "02-espcn-bias.json", "02-espcn-no-bias.json"]


def test_a_rejected_certificate_fails_the_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DECODERS", FEW[:1])
    monkeypatch.setattr(symconv.api, "verify", lambda _: symconv.api.Verification(False, "no", "", None))
    assert demo.main(["--out", str(tmp_path)]) == 1
    assert "0 of 2 certificates accepted" in capsys.readouterr().out


def test_an_unusable_folder_fails_the_demo(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert demo.main(["--out", str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.startswith("error: ")

"""What the commands print, at 80 and at 120 columns, as files to look at.

After a change that is meant, write them anew and look at what changed:

    SYMCONV_SNAPSHOTS=write python -m pytest tests/app/test_snapshots.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from app.commands import run

SNAPSHOTS = Path(__file__).with_name("snapshots")

COMMANDS = {
    "equal": ["check", "ConvTranspose2d(1,1,4,stride=2,padding=2,bias=False)", "Conv2d(1,4,2,bias=False) >> PixelShuffle(2)"],
    "left-in-right": ["check", "ConvTranspose2d(3,2,4,stride=2,padding=1)", "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)"],
    "empty-slots": [
        "check",
        "ConvTranspose2d(3,2,4,stride=2,padding=1,bias=False)",
        "Conv2d(3,8,3,padding=1,bias=False) >> PixelShuffle(2)",
    ],
    "incomparable": ["check", "Conv1d(1,1,3,padding=1,bias=False)", "Conv1d(1,1,3,padding=1,padding_mode='reflect',bias=False)"],
    "interior": [
        "check",
        "Upsample(scale_factor=2,mode='bilinear') >> Conv2d(1,1,3,padding=1,bias=False)",
        "ConvTranspose2d(1,1,6,stride=2,padding=2,bias=False)",
        "--interior",
        "--claim",
        "left-in-right",
    ],
    "shapes": ["check", "ConvTranspose1d(1,1,3,stride=2,padding=1)", "ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1)"],
    "narrower": ["check", "Conv2d(1,2,4,stride=2,bias=False)", "PixelUnshuffle(2) >> Conv2d(4,2,2,bias=False)"],
    "fixed": ["check", "AvgPool1d(2)", "Conv1d(1,1,2,stride=2,bias=False)"],
    "sums": [
        "check",
        "Upsample(scale_factor=2) >> Conv1d(1,1,3,padding=1,bias=False)",
        "ConvTranspose1d(1,1,4,stride=2,padding=1,bias=False)",
    ],
    "large": [
        "check",
        "ConvTranspose2d(21,21,64,stride=32,padding=16,bias=False)",
        "Conv2d(21,21504,3,padding=1,bias=False) >> PixelShuffle(32)",
    ],
    "depth-to-space": [
        "check",
        "ConvTranspose2d(2,4,2,stride=2,groups=2,bias=False)",
        "Conv2d(2,16,1,groups=2,bias=False) >> DepthToSpace(2)",
    ],
    "unknown": ["check", "Conv2d(1,1,3) >> Conv2d(1,1,3)", "Conv2d(1,1,5)"],
    "stages": [
        "check",
        "Conv2d(1,1,3) >> ReLU() >> Conv2d(1,4,2,padding=1,bias=False) >> PixelShuffle(2)",
        "Conv2d(1,1,3) >> ReLU() >> ConvTranspose2d(1,1,4,stride=2,bias=False)",
    ],
    "convert": ["convert", "ConvTranspose2d(3,2,4,stride=2,padding=1)", "--to", "lr-shuffle"],
    "convert-fixed": ["convert", "Upsample(scale_factor=2,mode='bilinear')", "--to", "lr-shuffle", "--channels", "1"],
    "convert-narrower": ["convert", "Conv2d(1,2,4,stride=2)", "--to", "unshuffle"],
    "convert-no": ["convert", "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)", "--to", "transposed"],
    "explain": ["explain", "ConvTranspose2d(3,2,4,stride=2,padding=1)"],
    "explain-uneven": ["explain", "ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1)"],
    "explain-strided": ["explain", "Conv1d(4,8,3,stride=2,padding=1)"],
    "explain-subpixel": ["explain", "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1)"],
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_snapshot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    result = run(capsys, *COMMANDS[name])
    text = re.sub(r"^(  time +).*$", r"\1(time)", result.out, flags=re.MULTILINE)
    assert max(map(len, text.splitlines())) <= width
    path = SNAPSHOTS / f"{name}-{width}.txt"
    if os.environ.get("SYMCONV_SNAPSHOTS") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")

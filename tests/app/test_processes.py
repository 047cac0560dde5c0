"""Commands as real processes: what a shell sees, and what a cold start loads."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT = "ConvTranspose2d(3,2,4,stride=2,padding=1)"
RIGHT = "Conv2d(3,8,3,padding=1) >> PixelShuffle(2)"
HEAVY = ("torch", "sympy", "numpy")


def symconv(*arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-m", "symconv", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_check_cold_loads_nothing_heavy() -> None:
    result = symconv("check", LEFT, RIGHT, "--claim", "left-in-right", flags=("-X", "importtime"))
    assert result.returncode == 0, result.stderr[-2000:]
    loaded = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "symconv.prove.decide" in loaded
    assert not [name for name in loaded if name.split(".")[0] in HEAVY]


def test_json_alone_on_standard_output() -> None:
    result = symconv("check", LEFT, RIGHT, "--json", "--no-presburger")
    assert result.returncode == 1
    assert json.loads(result.stdout)["relation"] == "left_in_right"
    assert result.stderr == ""


def test_an_error_goes_to_standard_error() -> None:
    result = symconv("check", "Conv2d(3,", RIGHT)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_closed_pipe_is_no_verdict() -> None:
    command = f"{sys.executable} -m symconv check '{LEFT}' '{RIGHT}' --no-presburger | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode in (1, 141), "141, or 1 (refuted) where the report fitted into the pipe"
    assert "Traceback" not in result.stderr

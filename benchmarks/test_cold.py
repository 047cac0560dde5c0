"""Commands as processes, from start to exit."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.configurations import upsampling
from benchmarks.conftest import Figures

ROOT = Path(__file__).resolve().parents[1]
COLD = [sys.executable, "-I", "-S", str(Path(__file__).with_name("cold.py"))]
SYMCONV = [sys.executable, "-m", "symconv"]
ROUNDS = 7


def cold(command: list[str]) -> dict[str, float]:
    """Seconds, megabytes and exit code of a command; files are in the page cache after the first run."""
    done = subprocess.run([*COLD, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("name", "options"),
    [("symconv check", []), ("symconv check --json", ["--json"]), ("symconv check --no-presburger", ["--no-presburger"])],
)
def test_check(benchmark: Any, figures: Figures, name: str, options: list[str]) -> None:
    _measure(benchmark, figures, name, [*SYMCONV, "check", *upsampling(2, 64), *options], seconds=0.5, megabytes=200)


def test_the_checker_alone(benchmark: Any, figures: Figures, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    subprocess.run([*SYMCONV, "check", *upsampling(2, 64), "--certificate", str(path)], cwd=ROOT, capture_output=True, check=True)
    command = [sys.executable, "-I", "-S", str(ROOT / "symconv" / "checker"), str(path)]
    _measure(benchmark, figures, "python -I -S checker", command)


def _measure(benchmark: Any, figures: Figures, name: str, command: list[str], **most: float) -> None:
    assert cold(command)["code"] == 0
    results: list[dict[str, float]] = []
    benchmark.pedantic(lambda: results.append(cold(command)), rounds=ROUNDS)
    assert all(result["code"] == 0 for result in results)
    group = "as a process, cold"
    figures.add(group, f"{name}: wall clock", min(r["seconds"] for r in results), "s", most=most.get("seconds"))
    figures.add(group, f"{name}: processor time", statistics.median(r["processor"] for r in results), "s")
    figures.add(group, f"{name}: largest memory", max(r["megabytes"] for r in results), "MB", most=most.get("megabytes"))

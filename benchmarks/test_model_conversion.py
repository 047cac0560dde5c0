"""Whole models converted and verified as processes: time beside that of reading, hashing and writing as much, and memory."""

from __future__ import annotations

import hashlib
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.conftest import Figures
from benchmarks.large_model import write_large_model
from benchmarks.test_cold import SYMCONV, cold

GROUP = "a model of 500 layers and 1 GB, external data"
LAYERS, MEGABYTES = 500, 1000
WIDEST = 256
FIXED = 160
"""Megabytes beside the tensors: the interpreter, its packages, the graph, the bundle."""
CHUNK = 1 << 22


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """A place whose content goes when the benchmark ends; pytest would keep it."""
    yield tmp_path
    for path in tmp_path.iterdir():
        path.unlink()


def copied(source: Path, target: Path) -> float:
    """Processor seconds of the least that a conversion does: read, hash what was and what comes, write."""
    started = time.process_time()
    before, after = hashlib.sha256(), hashlib.sha256()
    with open(source, "rb") as file, open(target, "wb") as sink:
        while chunk := file.read(CHUNK):
            before.update(chunk)
            after.update(chunk)
            sink.write(chunk)
    target.unlink()
    return time.process_time() - started


def test_convert_and_verify(benchmark: Any, figures: Figures, folder: Path) -> None:
    model = write_large_model(folder, LAYERS, MEGABYTES)
    least = copied(folder / "model.bin", folder / "copy.bin")
    out = folder / "out.onnx"
    convert = [*SYMCONV, "convert", str(model), "--to", "lr-shuffle", "-o", str(out), "--force"]
    found: list[dict[str, float]] = []
    benchmark.pedantic(lambda: found.append(cold(convert)), rounds=2)
    verify = cold([*SYMCONV, "verify", str(folder / "out.symconv.json"), "--model", str(out), "--original", str(model)])
    assert [result["code"] for result in (*found, verify)] == [0] * 3
    figures.add(GROUP, "read, hash twice, write: processor time", least, "s", note="what nothing can do without")
    figures.add(GROUP, "convert, self-check included: processor time", min(r["processor"] for r in found), "s")
    figures.add(GROUP, "the same over reading, hashing and writing", min(r["processor"] for r in found) / least, "times", most=4.0)
    figures.add(GROUP, "convert: wall clock", min(r["seconds"] for r in found), "s")
    figures.add(GROUP, "convert: largest memory", max(r["megabytes"] for r in found), "MB", most=FIXED)
    figures.add(GROUP, "verify: processor time", verify["processor"], "s")
    figures.add(GROUP, "verify: largest memory", verify["megabytes"], "MB", most=FIXED)


def test_one_large_tensor(benchmark: Any, figures: Figures, folder: Path) -> None:
    """Memory follows the largest tensor, before or after, not the model."""
    model = write_large_model(folder, 40, MEGABYTES, WIDEST)
    out = folder / "out.onnx"
    found: list[dict[str, float]] = []
    command = [*SYMCONV, "convert", str(model), "--to", "lr-shuffle", "-o", str(out)]
    benchmark.pedantic(lambda: found.append(cold(command)), rounds=1)
    assert found[0]["code"] == 0 and os.path.getsize(folder / "out.onnx.data") > MEGABYTES * 2**20
    group = f"a model of 1.25 GB with one tensor of {WIDEST} MB"
    figures.add(group, "convert, self-check included: largest memory", found[0]["megabytes"], "MB", most=2 * WIDEST + FIXED)
    figures.add(group, "of this process, for comparison", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, "MB")

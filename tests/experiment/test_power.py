"""`symconv power` as a command: the table, the page from results, refusals, a run that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from app.commands import run

from symconv.errors import UsageError
from symconv.experiment.measure import compare
from symconv.experiment.parts import read_results
from symconv.layers import Conv, Sequential, Unshuffle, flatten
from symconv.operators.symbolic import interior_row

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "evidence" / "representation-power.json"


def pictures(folder: Path, count: int = 3) -> Path:
    for number in range(count):
        smooth = PIL.Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 24), dtype=np.uint8)).resize((120, 96))
        smooth.save(folder / f"{number}.png")
    return folder


def test_the_table_is_the_corpus_s_and_the_engine_s(capsys: pytest.CaptureFixture[str]) -> None:
    """Theorem 24, counted again: costs by hand, dimensions from the engine's own verdict, the field from its tap relation."""
    found = run(capsys, "power", "--no-timing", "--factors", "2,3", "--widths", "2,4", "--kernels", "3", "--depth", "2", "--json")
    record = json.loads(found.out)
    assert found.code == 0 and not found.err and record["schema"] == "symconv.power/1"
    pairs = record["cost"]["pairs"]
    assert [(pair["high"]["factor"], pair["high"]["channels"]) for pair in pairs] == [(2, 2), (2, 4), (3, 2), (3, 4)]
    for pair in pairs:
        high, low = pair["high"], pair["low"]
        r, n = high["factor"], high["channels"]
        assert high["multiplications"] == low["multiplications"] == r * r * n * n * 9
        assert low["channels"] == r * n and low["parameters"] == low["dimension"] == (r * n) ** 2 * 9 == r * r * high["dimension"]
        body = Sequential((Unshuffle(r), *[Conv.make(2, low["channels"], low["channels"], 3, padding=1, bias=False)]))
        one_layer = (
            {i[1] for i in interior_row(flatten(body.bind(2)), (low["channels"] // r**2, low["channels"], 1), (0, 0, 0))}
            if low["channels"] % r**2 == 0
            else None
        )
        assert one_layer is None or max(one_layer) - min(one_layer) + 1 == r * 3
        assert low["receptive_field"] == r * high["receptive_field"] == r * 5


def test_times_take_turns_and_count_a_megapixel() -> None:
    import torch

    class Slow(torch.nn.Module):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds, self.seen = seconds, order

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(self.seconds)
            time.sleep(self.seconds)
            return x

    order: list[float] = []
    found = compare({"a": (Slow(0.02), 1, 1), "b": (Slow(0.01), 1, 2)}, 100, rounds=3)
    assert order[-6:] == [0.02, 0.01] * 3
    assert 2 <= found["a"].seconds < 4 and 1 <= found["b"].seconds < 3 and found["a"].ratio(found["b"]) > 1
    with pytest.raises(UsageError, match="divisible by r = 3"):
        compare({"a": (Slow(0), 1, 3)}, 100)


def test_everything_on_one_s_own_images_and_the_page_from_the_results_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    pictures(folder)
    (folder / "broken.png").write_bytes(b"no picture")
    results, page = tmp_path / "r.json", tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    options = (
        "--images",
        str(folder),
        "--grid",
        "tiny",
        "--seeds",
        "1",
        "--factors",
        "2",
        "--widths",
        "2",
        "--kernels",
        "1",
        "--extent",
        "24",
    )
    found = run(capsys, "power", "--part", "all", *options, "--processes", "1", "--state", str(tmp_path / "state"), "-o", str(results))
    assert found.code == 0 and "`broken.png` is skipped" in found.err
    assert "The best linear layers, r = 2" in found.out and "Trained networks, r = 2, n = 2, 0 hidden layers" in found.out
    assert max(map(len, found.out.splitlines())) <= 120
    record = json.loads(results.read_text())
    assert set(record) == {"schema", "environment", "images", "skipped", "cost", "linear", "trained"}
    assert record["skipped"][0][0] == "broken.png"

    same = run(capsys, "power", "--results", str(results), "--against", str(results))
    assert same.code == 0 and "reproduced" in same.out
    record["linear"]["factors"][0]["classes"][0]["psnr"][0] += 2e-6
    (tmp_path / "moved.json").write_text(json.dumps(record))
    moved = run(capsys, "power", "--results", str(results), "--against", str(tmp_path / "moved.json"))
    assert moved.code == 1 and "-2.0e-06" in moved.out

    again = run(capsys, "power", "--results", str(results), "--page", str(page))
    assert again.code == 0 and again.out == found.out
    text = page.read_text()
    links = re.findall(r"\]\(([^)h][^)]*)\)", text)
    assert all((page.parent / link).exists() for link in links) and "../r.json" in links
    drawn = {path.name: path.read_bytes() for path in (page.parent / "page").iterdir()}
    assert set(drawn) == {"linear.svg", "psnr.svg", "parameters.svg", "crops.png"}
    assert run(capsys, "power", "--results", str(results), "--page", str(page)).code == 2
    assert run(capsys, "power", "--results", str(results), "--page", str(page), "--force").code == 0
    assert page.read_text() == text and drawn == {path.name: path.read_bytes() for path in (page.parent / "page").iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--part", "speed"), "`--part` must be all, or some of cost, linear, trained"),
        (("--factors", "2,x"), "`--factors` must be integers from 2"),
        (("--factors", "1"), "`--factors` must be integers from 2"),
        (("--widths", "0"), "`--widths` must be integers from 1"),
        (("--factors", "7", "--extent", "480"), "480 is not divisible by r = 7"),
        (("--part", "trained", "--grid", "huge"), "`--grid` must be one of tiny, default, large"),
        (("--part", "trained", "--grid", "tiny", "--extent", "481"), "481 is not divisible by"),
        (("--part", "linear", "--images", "nowhere"), "there is no folder nowhere"),
        (("--part", "linear", "--images", "."), "must hold at least two usable images"),
        (("--seeds", "0"), "`--seeds` must be from 1"),
        (("--part", "linear", "--kernels", "3,4"), "must be odd for the part linear"),
        (("--device", "abacus"), "`--device` must be cpu or cuda"),
        (("--results", "nowhere.json"), "cannot be read"),
        (("--results", "other.json"), "must hold results of `symconv power`"),
        (("--results", "broken.json"), "is not valid JSON"),
        (("--no-timing", "-o", "other.json"), "already exists"),
        (("--json", "--format", "md"), "give one of the two"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text('{"schema": "symconv.check/1"}')
    Path("broken.json").write_text("{")
    found = run(capsys, "power", *arguments)
    assert found.code == 2 and message in found.err and not found.out


def test_images_that_are_too_small_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PIL.Image.fromarray(np.zeros((30, 300), dtype=np.uint8)).save(pictures(tmp_path, 1) / "small.png")
    found = run(capsys, "power", "--part", "linear", "--images", str(tmp_path))
    assert found.code == 2 and "found 1." in found.err and "small.png: it has 30 x 300 samples" in found.err


def test_a_report_of_results_does_not_need_torch(tmp_path: Path) -> None:
    record = {"schema": "symconv.power/1", "environment": {}}
    (tmp_path / "r.json").write_text(json.dumps(record))
    assert read_results(tmp_path / "r.json") == record
    code = "import sys, symconv.app.main as m; assert m.main(['power', '--results', sys.argv[1]]) == 0; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "r.json")], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def test_the_committed_page_is_made_from_the_committed_results(tmp_path: Path) -> None:
    if not RESULTS.exists():
        pytest.skip("no results are committed yet")
    from symconv.report.power_document import document

    page = ROOT / "docs" / "representation-power.md"
    text = document(read_results(RESULTS), "docs/evidence/representation-power.json", "evidence/representation-power.json", page.stem)
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("shift", "noise", "seeds", "said"),
    [(0.5, 0.01, 5, "better in 3"), (-0.5, 0.01, 5, "worse in 3"), (0.01, 0.5, 5, "undecided in 3"), (0.5, 0.01, 2, "undecided in 3")],
)
def test_the_answer_says_what_was_found(shift: float, noise: float, seeds: int, said: str) -> None:
    from symconv.report.power import headline

    draw = np.random.default_rng(0)

    def network(arm: str, level: float) -> dict[str, object]:
        runs = [{"psnr": [level + noise * draw.standard_normal()], "seed": seed} for seed in range(seeds)]
        return {"arm": arm, "factor": 2, "width": 8, "hidden": 1, "runs": runs}

    networks = [network("low", 30 + shift), *(network(arm, 30) for arm in ("bicubic", "nearest", "transposed"))]
    found = headline({"trained": {"networks": networks}})
    word, count = said.split(" in ")
    assert re.search(
        {"better": rf"better in {count} of 3", "worse": rf"worse in {count},", "undecided": rf"undecided in {count}$"}[word], found
    )


@pytest.mark.slow
def test_a_killed_command_leaves_no_process_behind_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    command = [sys.executable, "-m", "symconv", "power", "--part", "trained", "--grid", "tiny", "--seeds", "4", "--no-timing"]
    command += ["--images", str(pictures(folder)), "--state", str(tmp_path / "state")]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    while len(list(tmp_path.glob("state/*/result.json"))) < 2:
        time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    patience = time.monotonic() + 60
    while any(_session(path) == child.pid for path in Path("/proc").glob("[0-9]*/stat")):
        assert time.monotonic() < patience, "a process of the killed command goes on"
        time.sleep(0.1)
    held = {path: path.stat().st_mtime_ns for path in tmp_path.glob("state/*/result.json")}
    assert 2 <= len(held) < 20
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert len(list(tmp_path.glob("state/*/result.json"))) == 20
    assert all(path.stat().st_mtime_ns == when for path, when in held.items())


def _session(path: Path) -> int:
    try:
        return int(path.read_text().rsplit(")", 1)[1].split()[3])
    except OSError:
        return 0

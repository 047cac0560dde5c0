"""Training: widths at equal cost, the same bits after a kill, refusals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from symconv.errors import UsageError
from symconv.experiment import checkpoint
from symconv.experiment.checkpoint import parameters_digest
from symconv.experiment.grid import GRIDS, Grid, run
from symconv.experiment.images import FIT, HELD_OUT, Image, ImageSet
from symconv.experiment.networks import ARMS, HIGH, LOW, LOW_PARAMETERS, Shape
from symconv.experiment.quality import quality
from symconv.experiment.training import Patches, Schedule, build, pairs_of, train

ROOT = Path(__file__).resolve().parents[2]
SHAPE = Shape(LOW, 2, 2, 1)
SCHEDULE = Schedule(epochs=6, steps=3, batch=2, patch=12)


def images(count: int = 3, extent: int = 96) -> ImageSet:
    """Smooth noise, so that something can be learnt."""
    found = []
    for number in range(count):
        noise = np.random.default_rng(number).random((extent // 8, extent // 8))
        smooth = torch.nn.functional.interpolate(torch.tensor(noise)[None, None], scale_factor=8.0, mode="bicubic")[0, 0].numpy()
        found.append(Image(f"{number}.png", HELD_OUT if number == 1 else FIT, str(number), "made", smooth.clip(0, 1)))
    return ImageSet(tuple(found))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def trained(folder: Path, seed: int = 0, schedule: Schedule = SCHEDULE, progress: Any = lambda done, of, loss: None) -> dict[str, Any]:
    held = images()
    sides = [pairs_of(held.of(split), 2, 48, "cpu") for split in (FIT, HELD_OUT)]
    return train(SHAPE, schedule, seed, *sides, folder, digest="d", progress=progress)


@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize("hidden", [0, 1, 3])
def test_the_arms_cost_what_they_claim(r: int, n: int, hidden: int) -> None:
    """Counted again by hand: multiplications a high-resolution sample, parameters with biases."""
    shapes = {arm: Shape(arm, r, n, hidden) for arm in ARMS}
    m = shapes[LOW].channels
    assert m == r * n
    high = 25 * n + 9 * n * n * hidden + 9 * n
    assert shapes["nearest"].multiplications == high and shapes["bicubic"].multiplications == high + 16
    assert shapes[LOW].multiplications * r * r == 25 * m + 9 * m * m * hidden + 9 * m * r * r
    taps = 2 * r + r % 2
    assert shapes["transposed"].multiplications * r * r == high * r * r + taps * taps
    if hidden:
        assert abs(float(shapes[LOW].multiplications / shapes["nearest"].multiplications) - 1) < 0.15
    few, own = shapes[LOW_PARAMETERS], shapes["nearest"].cost.parameters
    assert few.cost.parameters <= own < attrs.evolve(few, arm=LOW, width=1).cost.parameters + own
    wider = 26 * (few.channels + 1) + hidden * (9 * (few.channels + 1) ** 2 + few.channels + 1) + r * r * (9 * (few.channels + 1) + 1)
    assert wider > own


def test_every_network_gives_r_times_the_extent_and_starts_as_its_seed_says() -> None:
    for arm in ARMS:
        for r in (2, 3, 4):
            network = build(Shape(arm, r, 8, 1), 5)
            assert network(torch.zeros(1, 1, 7, 9)).shape == (1, 1, 7 * r, 9 * r)
            assert (
                parameters_digest(network)
                == parameters_digest(build(Shape(arm, r, 8, 1), 5))
                != parameters_digest(build(Shape(arm, r, 8, 1), 6))
            )


@pytest.mark.parametrize("r", [2, 3, 4])
def test_a_transposed_convolution_begins_as_bilinear_interpolation(r: int) -> None:
    first = build(Shape("transposed", r, 8, 1), 0)[0]
    x = torch.rand(1, 1, 6, 7)
    wanted = torch.nn.functional.interpolate(x, scale_factor=float(r), mode="bilinear")
    with torch.no_grad():
        assert (first(x) - wanted)[..., r:-r, r:-r].abs().max() < 1e-6


def test_patches_are_parts_of_the_pairs_in_eight_orientations() -> None:
    r, held = 3, images()
    pairs = pairs_of(held.of(FIT), r, 48, "cpu")
    patches = Patches.of(pairs, Schedule(1, 1, batch=64, patch=12), r)
    low, high = patches.draw(torch.Generator().manual_seed(3))
    seen = set()
    for small, large in zip(low, high, strict=True):
        places = [
            (turn, flip)
            for one, two in zip(pairs.low, pairs.high, strict=True)
            for turn in range(4)
            for flip in (False, True)
            if _has(
                one[0, 0],
                two[0, 0],
                torch.rot90(small[0].flip(-1) if flip else small[0], turn),
                torch.rot90(large[0].flip(-1) if flip else large[0], turn),
                r,
            )
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) == 8


def _has(low: torch.Tensor, high: torch.Tensor, small: torch.Tensor, large: torch.Tensor, r: int) -> bool:
    windows = low.unfold(0, 4, 1).unfold(1, 4, 1)
    places = (windows == small).all(-1).all(-1).nonzero().tolist()
    return any(torch.equal(high[r * y : r * y + 12, r * x : r * x + 12], large) for y, x in places)


def test_quality_is_psnr_and_ssim_without_borders() -> None:
    wanted = torch.rand(1, 1, 40, 40, dtype=torch.float64)
    found = wanted.clone()
    found[..., :8, :] = 0
    assert quality(found, wanted, 2) == (float("inf"), pytest.approx(1.0))
    psnr, ssim = quality((wanted * 0.5 + 0.2), wanted, 2)
    error = float(((wanted * 0.5 - 0.2)[..., 8:-8, 8:-8] ** 2).mean())
    assert psnr == pytest.approx(-10 * np.log10(error)) and 0 < ssim < 1


CHILD = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
import torch
torch.set_num_threads(1)
from pathlib import Path
import test_training
def slowly(done, of, loss):
    print(done, flush=True)
    time.sleep(0.3)
test_training.trained(Path(sys.argv[1]), progress=slowly)
"""


def test_killed_twice_and_started_again_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole")
    code = CHILD.format(root=str(ROOT), tests=str(ROOT / "tests" / "experiment"))
    for kill_after in (2, 4):
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) == kill_after:
                os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        held = torch.load(tmp_path / "killed" / "checkpoint.pt", weights_only=True)
        assert held["state"]["epoch"] == kill_after and not (tmp_path / "killed" / "result.json").exists()
        assert held["state"]["losses"] == whole["losses"][:kill_after]
    steps: list[int] = []
    again = trained(tmp_path / "killed", progress=lambda done, of, loss: steps.append(done))
    assert steps == [5, 6]  # what was done is not done again
    same = ("parameters_sha256", "psnr", "ssim", "losses", "key")
    assert {name: again[name] for name in same} == {name: whole[name] for name in same}
    assert trained(tmp_path / "killed") == again
    assert trained(tmp_path / "other", seed=1)["parameters_sha256"] != whole["parameters_sha256"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path, schedule=attrs.evolve(SCHEDULE, epochs=1))
    before = (tmp_path / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(checkpoint.os, "replace", lambda *paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(tmp_path / "checkpoint.pt", b"half")
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_folder_of_another_run_or_a_broken_one_is_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    with pytest.raises(UsageError, match="another run \\(other seed\\)"):
        trained(tmp_path, seed=1)
    (tmp_path / "result.json").unlink()
    with pytest.raises(UsageError, match="another run \\(other schedule\\)"):
        trained(tmp_path, schedule=attrs.evolve(SCHEDULE, rate=1e-4))
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="is no checkpoint"):
        trained(tmp_path)


def test_patches_and_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="divisible by r = 5"):
        Schedule(1, 1, patch=12).check(5)
    with pytest.raises(UsageError, match="samples; patches and margins need 97"):
        pairs_of(images().of(FIT), 2, 97, "cpu")
    with pytest.raises(UsageError, match="at least one image"):
        pairs_of((), 2, 48, "cpu")
    with pytest.raises(UsageError, match="as few parameters"):
        _ = Shape(LOW_PARAMETERS, 4, 1, 0).channels


SMALL = Grid(((2, (2,), (0,)),), 1, Schedule(epochs=1, steps=2, batch=2, patch=12))


def test_a_grid_is_run_reported_and_not_run_again(tmp_path: Path) -> None:
    told: list[float] = []
    one = run(SMALL, images(), tmp_path, processes=1, progress=lambda name, part, whole: told.append(whole))
    assert told[-1] == pytest.approx(1.0) and told == sorted(told)
    assert [network["arm"] for network in one["networks"]] == list(ARMS)
    assert [crop["title"] for crop in one["crops"]] == ["original", "interpolated", LOW, *HIGH]
    assert json.loads(json.dumps(one)) == one == run(SMALL, images(), tmp_path, processes=1)


@pytest.mark.slow
def test_a_grid_gives_the_same_networks_however_many_run_at_once(tmp_path: Path) -> None:
    one = run(SMALL, images(), tmp_path / "one", processes=1)
    two = run(SMALL, images(), tmp_path / "two", processes=2)
    for a, b in zip(one["networks"], two["networks"], strict=True):
        assert [held["parameters_sha256"] for held in a["runs"]] == [held["parameters_sha256"] for held in b["runs"]]
        assert [held["psnr"] for held in a["runs"]] == [held["psnr"] for held in b["runs"]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_tiny_grid_runs_on_a_gpu_and_goes_on_there(tmp_path: Path) -> None:
    plan = attrs.evolve(GRIDS["tiny"], seeds=1)
    one = run(plan, images(), tmp_path, device="cuda")
    assert run(plan, images(), tmp_path, device="cuda") == one

"""Which networks are trained with which seeds, and running them side by side.

Owns: the grids, units of work, processes, the collected record.
Must not know: how one network is trained, how results are shown.

Every unit trains one network with one seed on one thread of its own process, so the result depends neither on how many run at once nor
on their order. A unit's folder holds its checkpoint and in the end its result; what is finished is never done again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import UsageError
from symconv.experiment.images import FIT, HELD_OUT, ImageSet
from symconv.experiment.networks import ARMS, HIGH, LOW, Shape
from symconv.experiment.quality import MIDDLE, quality
from symconv.experiment.training import Schedule, load, pairs_of, train

Progress = Callable[[str, float, float], None]
"""(unit, part of it done, in [0, 1]; part of everything done)."""


@attrs.frozen
class Grid:
    """Networks, seeds and a schedule.

    Args:
        members: (r, widths n, hidden layers) of what is trained, all arms each.
        seeds: how many.
        schedule: of every network.
        least: high-resolution samples that each image must have on each axis.
    """

    members: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]
    seeds: int
    schedule: Schedule
    least: int = 96

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """All networks."""
        return tuple(Shape(arm, r, n, h) for r, widths, hidden in self.members for n in widths for h in hidden for arm in ARMS)

    @property
    def factors(self) -> tuple[int, ...]:
        """All r, in order."""
        return tuple(dict.fromkeys(r for r, _, _ in self.members))


GRIDS = {
    "tiny": Grid(((2, (2,), (0,)),), 2, Schedule(epochs=2, steps=4, batch=4)),
    "default": Grid(((2, (8,), (0, 1, 2)), (3, (8,), (1,))), 5, Schedule(epochs=20, steps=100)),
    "large": Grid(
        ((2, (16, 32), (1, 3, 5)), (3, (16, 32), (1, 3, 5)), (4, (16, 32), (1, 3, 5))),
        5,
        Schedule(epochs=100, steps=500, batch=32, patch=48),
    ),
}
"""`tiny` is for tests, `default` takes minutes on two cores, `large` wants a GPU."""


@attrs.frozen
class Unit:
    """One network with one seed."""

    shape: Shape
    seed: int

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.shape.name}-s{self.seed}"


def run(
    grid: Grid,
    images: ImageSet,
    state: Path,
    *,
    device: str = "cpu",
    processes: int = 2,
    progress: Progress = lambda name, part, whole: None,
) -> dict[str, Any]:
    """Trains what is not trained yet, and collects everything.

    Args:
        grid: what to train.
        images: split.
        state: the folder of checkpoints and results.
        device: cpu or cuda; on cuda one unit runs after another, in this process.
        processes: units at once on the cpu.
        progress: told after every epoch.

    Raises:
        UsageError: an image is too small, a patch does not fit, or the folder holds another experiment.
    """
    for r in grid.factors:
        grid.schedule.check(r)
        for split in (FIT, HELD_OUT):
            pairs_of(images.of(split), r, max(grid.least, grid.schedule.patch), "cpu")
    units = [Unit(shape, seed) for seed in range(grid.seeds) for shape in grid.shapes]
    meter = _Meter(units, grid.schedule.epochs, progress)
    records: dict[Unit, dict[str, Any]] = {}
    if device != "cpu" or processes == 1:
        for unit in units:
            records[unit] = _train(unit, grid, images, state, device, lambda done, of, loss, unit=unit: meter.at(unit, done))
            meter.at(unit, grid.schedule.epochs)
    else:
        records = _in_processes(units, grid, images, state, processes, meter)
    return _collected(grid, images, state, records, device)


def _train(unit: Unit, grid: Grid, images: ImageSet, state: Path, device: str, progress: Any) -> dict[str, Any]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        least = max(grid.least, grid.schedule.patch)
        fit, held = (pairs_of(images.of(split), unit.shape.factor, least, device) for split in (FIT, HELD_OUT))
        folder = state / unit.name
        digest = digest_of(images)
        return train(unit.shape, grid.schedule, unit.seed, fit, held, folder, device=device, digest=digest, progress=progress)
    finally:
        torch.set_num_threads(threads)


def _in_processes(
    units: Sequence[Unit], grid: Grid, images: ImageSet, state: Path, processes: int, meter: _Meter
) -> dict[Unit, dict[str, Any]]:
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's threads
    reports = fresh.Queue()
    records: dict[Unit, dict[str, Any]] = {}
    with ProcessPoolExecutor(
        min(processes, len(units)), mp_context=fresh, initializer=_begin, initargs=(grid, images, state, reports)
    ) as pool:
        waiting = {pool.submit(_in_process, unit): unit for unit in units}
        left = set(waiting)
        try:
            while left:
                _drain(reports, meter)
                for done in [future for future in left if future.done()]:
                    left.discard(done)
                    records[waiting[done]] = done.result()
                    meter.at(waiting[done], grid.schedule.epochs)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {unit: records[unit] for unit in units}


_GIVEN: list[Any] = []
"""In a process of the pool: what all its units share."""


def _begin(grid: Grid, images: ImageSet, state: Path, reports: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _GIVEN[:] = grid, images, state, reports
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A killed run must not leave processes behind that go on training."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_process(unit: Unit) -> dict[str, Any]:
    grid, images, state, reports = _GIVEN
    return _train(unit, grid, images, state, "cpu", lambda done, of, loss: reports.put((unit, done)))


def _drain(reports: Any, meter: _Meter) -> None:
    import queue

    try:
        unit, done = reports.get(timeout=0.5)
        meter.at(unit, done)
    except queue.Empty:
        pass


class _Meter:
    """How much of everything is done, each unit weighing what it multiplies."""

    def __init__(self, units: Sequence[Unit], epochs: int, progress: Progress) -> None:
        self.epochs, self.progress = epochs, progress
        self.weights = {unit: 500 + float(unit.shape.multiplications) for unit in units}
        self.done = dict.fromkeys(units, 0)

    def at(self, unit: Unit, epochs: int) -> None:
        """Notes that `epochs` of a unit are done."""
        self.done[unit] = max(self.done[unit], epochs)
        whole = sum(self.weights[each] * done for each, done in self.done.items()) / (self.epochs * sum(self.weights.values()))
        self.progress(unit.name, self.done[unit] / self.epochs, whole)


def digest_of(images: ImageSet) -> str:
    """SHA-256 of which images there are and how they are split."""
    return hashlib.sha256(json.dumps([[image.sha256, image.split] for image in images.images]).encode()).hexdigest()


def _collected(grid: Grid, images: ImageSet, state: Path, records: dict[Unit, dict[str, Any]], device: str) -> dict[str, Any]:
    networks = []
    for shape in grid.shapes:
        runs = [
            {name: record[name] for name in ("psnr", "ssim", "training_seconds", "parameters_sha256")} | {"seed": unit.seed}
            for unit, record in records.items()
            if unit.shape == shape
        ]
        networks.append(_described(shape) | {"runs": runs})
    return {
        "schedule": attrs.asdict(grid.schedule),
        "seeds": grid.seeds,
        "device": device,
        "images": [image.name for image in images.of(HELD_OUT)],
        "baseline": [_baseline(images, r) for r in grid.factors],
        "networks": networks,
        "crops": _crops(grid, images, state),
    }


def _described(shape: Shape) -> dict[str, Any]:
    return {
        "arm": shape.arm,
        "factor": shape.factor,
        "width": shape.width,
        "hidden": shape.hidden,
        "channels": shape.channels,
        "expression": shape.expression,
        "multiplications": float(shape.multiplications),
        "parameters": shape.cost.parameters,
    }


def _baseline(images: ImageSet, factor: int) -> dict[str, Any]:
    """What bicubic interpolation alone reaches on the held-out images."""
    found = pairs_of(images.of(HELD_OUT), factor, 0, "cpu")
    scores = [quality(_bicubic(low, factor), high, factor) for low, high in zip(found.low, found.high, strict=True)]
    return {"factor": factor, "psnr": [score[0] for score in scores], "ssim": [score[1] for score in scores]}


def _bicubic(low: Any, factor: int) -> Any:
    import torch

    return torch.nn.functional.interpolate(low, scale_factor=float(factor), mode="bicubic")


CROP = 60
"""High-resolution samples of a crop on each axis; 2, 3 and 4 divide it."""


def _crops(grid: Grid, images: ImageSet, state: Path) -> list[dict[str, Any]]:
    """The same part of one held-out image from the first seed's networks at the first factor, width and the most hidden layers."""
    import torch

    r, widths, hidden = grid.members[0]
    pairs = pairs_of(images.of(HELD_OUT), r, 0, "cpu")
    low, high = pairs.low[0], pairs.high[0]
    rows, columns = (_busiest(high, r)) if min(high.shape[-2:]) >= CROP + 8 * r else (4 * r, 4 * r)
    shown = {"original": high, "interpolated": _bicubic(low, r)}
    with torch.no_grad():
        for arm in (LOW, *HIGH):
            unit = Unit(Shape(arm, r, widths[0], hidden[-1]), 0)
            shown[arm] = load(unit.shape, state / unit.name)(low - MIDDLE) + MIDDLE
    return [
        {
            "title": title,
            "image": pairs.names[0],
            "factor": r,
            "at": [rows, columns],
            "psnr": None if title == "original" else quality(tensor, high, r)[0],
            "samples": _bytes(tensor[0, 0, rows : rows + CROP, columns : columns + CROP]),
        }
        for title, tensor in shown.items()
    ]


def _busiest(high: Any, factor: int) -> tuple[int, int]:
    """The corner of the crop with the most detail: the greatest differences, on a coarse raster."""
    import torch

    detail = (high[0, 0, 1:, 1:] - high[0, 0, :-1, :-1]).abs()
    edge = 4 * factor
    pooled = torch.nn.functional.avg_pool2d(detail[None, None, edge:-edge, edge:-edge], CROP, CROP // 2)[0, 0]
    at = int(pooled.argmax())
    return edge + at // pooled.shape[1] * (CROP // 2), edge + at % pooled.shape[1] * (CROP // 2)


def _bytes(samples: Any) -> dict[str, Any]:
    """Samples as bytes, compressed, so that a page can be made again from the results alone."""
    import base64
    import zlib

    raw = (samples.clamp(0, 1) * 255).round().byte().cpu().numpy()
    return {"shape": list(raw.shape), "zlib": base64.b64encode(zlib.compress(raw.tobytes(), 9)).decode()}


def chosen(name: str) -> Grid:
    """The grid of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in GRIDS:
        raise UsageError(f"`--grid` must be one of {', '.join(GRIDS)}; found {name!r}.")
    return GRIDS[name]


__all__ = ["GRIDS", "Grid", "Unit", "chosen", "run"]

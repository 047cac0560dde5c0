"""`check` in process: its time, and what channels, axes and large hyper-parameters do to it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from benchmarks.configurations import AXES, CHANNELS, LARGE, lowering, upsampling
from benchmarks.conftest import Figures
from symconv.api import check
from symconv.theory.relation import Relation, Trust
from symconv.theory.verdict import Verdict

ROUNDS = 31

pytestmark = pytest.mark.benchmark(timer=time.process_time)
"""Processor time of one core, so that what else runs on the machine does not count."""


class Interleaved:
    """The times of several jobs, each run once in every round, so that what disturbs one disturbs all."""

    def __init__(self, jobs: dict[Hashable, Callable[[], Any]]) -> None:
        self.jobs = jobs
        self.times: dict[Hashable, list[float]] = {key: [] for key in jobs}

    def one_round(self) -> None:
        for key, job in self.jobs.items():
            started = time.process_time()
            job()
            self.times[key].append(time.process_time() - started)

    def median(self, *keys: Hashable) -> float:
        """Of the first round nothing is counted: it fills caches."""
        return statistics.median(value for key in keys for value in self.times[key][1:])


@pytest.mark.parametrize("presburger", [True, False], ids=["all deciders", "without Z3"])
def test_axes_and_channels(benchmark: Any, figures: Figures, presburger: bool) -> None:
    def job(axes: int, channels: int) -> Callable[[], Verdict]:
        return lambda: check(*upsampling(axes, channels), presburger=presburger)

    jobs = {(axes, channels): job(axes, channels) for axes in AXES for channels in CHANNELS}
    for one in jobs.values():
        verdict = one()
        assert (verdict.relation, verdict.trust) == (Relation.EQUAL, Trust.CERTIFIED)
    run = Interleaved(jobs)
    benchmark.pedantic(run.one_round, rounds=ROUNDS)
    group = "check in process" if presburger else "check in process, without Z3"
    for axes, channels in jobs:
        plural = "" if channels == 1 else "s"
        figures.add(group, f"{axes}-D, {channels} channel{plural}", 1000 * run.median((axes, channels)), "ms", most=10)
    flat = run.median(*((1, channels) for channels in CHANNELS))
    for axes in AXES[1:]:
        figures.add(group, f"{axes}-D / 1-D", run.median(*((axes, channels) for channels in CHANNELS)) / flat, "times", most=3)
    for axes in AXES:
        ratio = run.median((axes, CHANNELS[1])) / run.median((axes, CHANNELS[0]))
        figures.add(group, f"{CHANNELS[1]} channels / 1, {axes}-D", ratio, "times", most=1.5)


@pytest.mark.parametrize("name", LARGE)
def test_large_hyper_parameters(benchmark: Any, figures: Figures, name: str) -> None:
    layer = LARGE[name]
    verdict = benchmark.pedantic(check, (layer, lowering(layer)), rounds=5, warmup_rounds=1)
    assert verdict.left_in_right and verdict.trust is Trust.CERTIFIED
    z3 = "" if verdict.deciders["presburger"] == "agrees" else "Z3 left out: too many taps"
    words = "equal" if verdict.relation is Relation.EQUAL else "left in right"
    note = "; ".join(filter(None, (words, z3)))
    figures.add("large hyper-parameters", name, 1000 * benchmark.stats.stats.median, "ms", most=5000, note=note)

"""Random one-axis configurations, decided, certified and checked without Z3: how many in a second of one core."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.configurations import lowering, near_miss, random_transpose
from benchmarks.conftest import Figures
from symconv.layers import Sequential
from symconv.prove.decide import decide
from symconv.theory.relation import Trust

pytestmark = pytest.mark.benchmark(timer=time.process_time)

COUNT = 500
SEED = 20160922


def lowerings(rng: random.Random) -> tuple[Any, Any]:
    layer = random_transpose(rng)
    return layer, lowering(layer)


def near_misses(rng: random.Random) -> tuple[Any, Any]:
    layer = random_transpose(rng)
    return layer, near_miss(rng, lowering(layer))


def themselves(rng: random.Random) -> tuple[Any, Any]:
    layer = random_transpose(rng)
    return layer, Sequential((layer,))


KINDS: dict[str, Callable[[random.Random], tuple[Any, Any]]] = {
    "a layer and its lowering": lowerings,
    "a layer and a near miss of its lowering": near_misses,
    "a layer and itself": themselves,
}


@pytest.mark.parametrize("kind", KINDS)
def test_random_configurations(benchmark: Any, figures: Figures, kind: str) -> None:
    rng = random.Random(SEED)
    pairs = [KINDS[kind](rng) for _ in range(COUNT)]

    def decide_all() -> None:
        for left, right in pairs:
            assert decide(left, right, presburger=False, witness=False).trust is Trust.CERTIFIED

    benchmark.pedantic(decide_all, rounds=3)
    rate = COUNT / benchmark.stats.stats.median
    figures.add("random one-axis configurations, without Z3", kind, rate, "a second", least=500)

"""Witnesses of random refutations, run through PyTorch."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest

from symconv.conformance.replay import replay
from symconv.errors import LayerError
from symconv.prove.decide import bind_pair, decide


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"tests_prove_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAIRS = _module("random_pairs")


@pytest.mark.parametrize(("axes", "count"), [(1, 150), (2, 50)])
def test_witnesses_replay(axes: int, count: int) -> None:
    replayed = 0
    for seed in range(count):
        rng = random.Random(seed)
        channels = rng.choice((1, 2, 4))
        left = PAIRS.random_chain(rng, axes, channels)
        right = PAIRS.near_miss(rng, left)
        try:
            verdict = decide(left, right, channels=channels, presburger=False)
        except LayerError:
            continue
        assert verdict.trust is not None or verdict.relation == "unknown"
        if verdict.witness is None or verdict.witness["kind"] != "kernel":
            continue
        pair = bind_pair(left, right, channels)
        found = replay(pair.left, pair.right, pair.axes, verdict.witness)
        assert found.parts, (seed, verdict.left, verdict.right)
        assert found.annihilated is not False, (seed, verdict.left, verdict.right)
        replayed += 1
    assert replayed > count // 6

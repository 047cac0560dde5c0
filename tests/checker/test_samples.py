"""The cutoff: the sampled rows are all rows at all extents, tried far beyond the last extent that is visited."""

from __future__ import annotations

import random
from typing import Any

import pytest
from checker import torch_chain
from checker.test_rows import flat_reader, side_of

from symconv.checker.blocks import terms
from symconv.checker.extents import samples
from symconv.checker.faults import Budget, Rejected
from symconv.checker.rows import Side
from symconv.checker.stages import Stage

MODES = ["zeros", "reflect", "replicate", "circular"]


def varied(r: random.Random, layer: dict[str, Any]) -> dict[str, Any]:
    """The same layer with other borders, its output extents unchanged."""
    changed = dict(layer)
    for name in ("mode", "padding_mode"):
        if name in changed and changed["type"] != "Upsample":
            changed[name] = r.choice(MODES)
    if changed["type"] == "Upsample":
        changed["mode"] = r.choice(["nearest", "linear"])
    if changed["type"] == "AvgPool":
        changed["count_include_pad"] = r.random() < 0.5
    return changed


def pairs(sides: tuple[Side, Side], bias: bool, n: int | None, o: int) -> set[Any]:
    """All pairs of forms at the entries of one output sample."""
    found = set()
    for out in range(sides[0].channels[-1]):
        left, right = (flat_reader(side, bias).row([n], (out, o)) for side in sides)
        found |= {(terms(left.get(at, {})), terms(right.get(at, {}))) for at in left.keys() | right.keys()}
    return found


@pytest.mark.parametrize("seed", range(60))
def test_samples_are_all_rows(seed: int) -> None:
    r = random.Random(seed)
    channels = r.choice([1, 2, 4])
    layers = torch_chain.random_chain(r, 1, channels, r.randint(1, 3), parametric=r.random() < 0.8)
    sides = side_of(layers, channels, 1), side_of([varied(r, layer) for layer in layers], channels, 1)
    try:
        stage = Stage(*sides, Budget())
    except Rejected:
        return
    for bias in (False, True) if sides[0].free else (False,):
        tails = [(side.chains[0], side.tail if bias else 0) for side in sides]
        taken = list(samples(tails, stage.common[0][1], stage.common[0][0], Budget()))
        sampled: set[Any] = set()
        for n, o in taken:
            sampled |= pairs(sides, bias, n, o)
        last = max(n for n, _ in taken) + 3 * stage.common[0][0]
        for n in range(1, last + 1):
            if all(side.chains[0].valid(n) for side in sides):
                for o in range(sides[0].chains[0].output(n)):
                    assert pairs(sides, bias, n, o) <= sampled, (layers, bias, n, o)
        if all(side.windowed(0, bias) for side in sides):
            shift = sides[0].chains[0].shift * (stage.common[0][0] // sides[0].chains[0].period)
            infinite = set().union(*(pairs(sides, bias, None, o) for o in range(-shift, shift)))
            assert infinite - {((), ())} <= sampled | {((), ())} and sampled - {((), ())} <= infinite


def extending(r: random.Random, channels: int) -> list[dict[str, Any]]:
    """A chain of one axis of layers that zero padding makes."""
    layers: list[dict[str, Any]] = []
    while len(layers) < 3:
        make = torch_chain.random_parametric if not layers else torch_chain.random_fixed
        layer = make(r, 1, channels)
        if layer.get("mode", "zeros") in ("zeros", "nearest") and layer.get("padding_mode", "zeros") == "zeros":
            layers.append({**layer, "ceil_mode": False} if layer["type"] == "AvgPool" else layer)
            channels = torch_chain.channels_after(layer, channels)
    return layers


def test_windows_are_windows() -> None:
    """If a chain counts as windowed, its finite rows are those of the bi-infinite signal."""
    r, windows = random.Random(3), 0
    for _ in range(1500):
        channels = r.choice([1, 2])
        side = side_of(extending(r, channels), channels, 1)
        chain, reader = side.chains[0], flat_reader(side, False)
        valid = [n for n in range(1, 16) if chain.valid(n)]
        if not valid or not side.windowed(0, False):
            continue
        windows += 1
        n = r.choice(valid)
        for o in {0, chain.output(n) - 1, r.randrange(chain.output(n))}:
            finite = {at: terms(form) for at, form in reader.row([n], (0, o)).items()}
            infinite = {at: terms(form) for at, form in reader.row([None], (0, o)).items() if 0 <= at[1] < n}
            assert finite == infinite, (side.layers, n, o)
    assert windows > 300

"""A whole is never slower than it was: what does not show there is put back, the layers that save least first."""

from __future__ import annotations

import random

import pytest

from symconv.convert.fastest import clock, guard
from symconv.convert.fastest.clock import PROCESSOR, Lap
from symconv.convert.fastest.guard import at_least_as_fast, settle


def lap(ratio: float, spread: float = 0.0) -> Lap:
    return Lap(0.1 / ratio, ratio, ratio - spread, ratio + spread, 99)


class Whole:
    """A whole whose speed depends on which layers are replaced, and a race that tells it without noise."""

    def __init__(self, monkeypatch, speed, spread: float = 0.0) -> None:
        self.speed, self.spread, self.raced, self.now = speed, spread, [], frozenset()
        monkeypatch.setattr(guard, "race", self.race)

    def made(self, kept: frozenset[int]):
        self.now = kept
        return lambda: None

    def race(self, calls, seconds, *_, **__):
        if len(calls) == 1:
            return [lap(1.0)], lap(1.0, self.spread)
        self.raced.append((self.now, seconds))
        return [lap(1.0), lap(self.speed(self.now), self.spread)], lap(1.0, self.spread)

    def settled(self, gains, **options):
        return settle(lambda: None, self.made, gains, 1.0, **options)


def test_what_counts_as_not_slower() -> None:
    assert at_least_as_fast(lap(1.0), lap(1.0))
    assert at_least_as_fast(lap(1.01, 0.02), lap(1.0, 0.02))
    assert not at_least_as_fast(lap(0.99, 0.02), lap(1.0, 0.5))
    assert not at_least_as_fast(lap(1.01, 0.05), lap(1.0, 0.02))
    assert not at_least_as_fast(lap(1.01, 0.05), lap(1.2, 0.1))  # a control that is off allows no more


def test_all_stay_where_the_whole_is_faster(monkeypatch) -> None:
    whole = Whole(monkeypatch, lambda kept: 1.0 + len(kept) / 10)
    found = whole.settled([0.3, 0.1, 0.2])
    assert found.kept == {0, 1, 2}
    assert found.whole is not None and found.whole.ratio == 1.3
    assert len(whole.raced) == 1


def test_the_layers_that_save_least_go_first(monkeypatch) -> None:
    whole = Whole(monkeypatch, lambda kept: 1.1 if kept <= {2, 3} else 0.9)
    found = whole.settled([0.1, 0.2, 0.4, 0.3])
    assert found.kept == {2, 3}
    assert [kept for kept, _ in whole.raced] == [{0, 1, 2, 3}, {2, 3}]
    assert [tried.kept for tried in found.attempts] == [{0, 1, 2, 3}, {2, 3}]
    assert whole.now == {2, 3}


def test_nothing_stays_where_nothing_helps(monkeypatch) -> None:
    whole = Whole(monkeypatch, lambda _: 0.97)
    found = whole.settled([0.1] * 5)
    assert (found.kept, found.whole, found.before) == (frozenset(), None, found.after)
    assert whole.now == frozenset()
    assert len(whole.raced) == 3  # 5, 2, 1


def test_what_the_target_needs_stays_whatever_it_costs(monkeypatch) -> None:
    whole = Whole(monkeypatch, lambda kept: 0.8 if kept == {1} else 0.7)
    found = whole.settled([0.4, -0.1], needed=frozenset({1}))
    assert found.kept == {1}
    assert found.whole is not None and found.whole.ratio == 0.8


def test_a_race_in_doubt_is_repeated_with_more_time(monkeypatch) -> None:
    whole = Whole(monkeypatch, lambda _: 1.01, spread=0.0)
    monkeypatch.setattr(whole, "spread", 0.3)
    assert whole.settled([0.1]).kept == {0}  # the control is as wide
    whole.raced.clear()
    narrow = lap(1.0)
    monkeypatch.setattr(
        guard, "race", lambda calls, s, *_, **__: (whole.raced.append(s), ([lap(1.0), lap(1.01, 0.3)][: len(calls)], narrow))[1]
    )
    assert whole.settled([0.1]).kept == frozenset()
    assert whole.raced[:2] == [1.0, guard.AGAIN]


def test_real_calls() -> None:
    def spin(count: int):
        return lambda: sum(range(count))

    found = settle(spin(20_000), lambda kept: spin(30_000 if kept else 20_000), [1.0, 0.5], 0.1, clock=PROCESSOR)
    assert found.kept == frozenset()
    found = settle(spin(20_000), lambda _: spin(10_000), [1.0, 0.5], 0.1, clock=PROCESSOR)
    assert found.kept == {0, 1}
    assert found.whole is not None
    assert found.whole.ratio == pytest.approx(2, rel=0.4)


def test_how_often_noise_deceives(monkeypatch) -> None:
    """Calls that vary by 5 %: after 15 rounds 5 % slower hardly passes, and 5 % faster nearly always does."""
    chance = random.Random(0)

    def race(speed: float):
        def told(calls, seconds, *_, **__):
            rounds = round(15 * seconds)
            times = [[chance.lognormvariate(0, 0.05) / factor for _ in range(rounds)] for factor in (1.0, 1.0, speed)]
            control = clock._lap(times[0], times[1])
            return [control, clock._lap(times[0], times[2])][: len(calls)], control

        return told

    passed = {}
    for speed in (0.9, 0.95, 1.05, 1.1):
        monkeypatch.setattr(guard, "race", race(speed))
        passed[speed] = sum(bool(settle(lambda: None, lambda _: lambda: None, [1.0], 1.0).kept) for _ in range(400))
    assert passed[0.9] == 0
    assert passed[0.95] <= 8
    assert passed[1.05] >= 380
    assert passed[1.1] >= 398

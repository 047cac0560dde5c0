"""The statements and the decision engine agree on random instances, beyond the grids that the theorems themselves carry."""

from __future__ import annotations

import random

import pytest

from proofs.definitions import conv_layer, inserted_layer, reach, shuffled_layer, transposed_layer, unshuffled_layer
from proofs.dual_and_resize import strided
from proofs.run import surprise
from proofs.same_layer import universal_lowering, zero_insertion
from proofs.theorem import Case

INSTANCES = 60


def _draw(chance: random.Random) -> dict[str, int]:
    values = {"k": chance.randint(1, 9), "s": chance.randint(1, 6), "d": chance.randint(1, 4)}
    values["pb"] = chance.randint(0, int(reach(values["k"], values["d"])) // 2)
    values["pe"] = chance.randint(0, int(reach(values["k"], values["d"])) // 2)
    return values


def _lowering(chance: random.Random) -> Case | None:
    values = _draw(chance)
    form = universal_lowering.lowered(values, both=chance.random() < 0.5)
    if min(form["before"], form["after"]) < 0:  # crops in low resolution reject small extents, and some taps are dead there
        return None
    relation = "equal" if form["r"] * form["k"] == values["k"] else "left_in_right"
    return Case(transposed_layer(values), shuffled_layer(form), relation, left_dimension=values["k"])


def _insertion(chance: random.Random) -> Case:
    values = _draw(chance)
    return Case(transposed_layer(values), inserted_layer(zero_insertion.pads(values)), "equal", left_dimension=values["k"])


def _dual(chance: random.Random) -> Case | None:
    values = _draw(chance)
    form = strided.low(values)
    if form["after"] < 0:
        return None
    relation = "equal" if form["r"] * form["k"] == values["k"] else "left_in_right"
    return Case(conv_layer(values), unshuffled_layer(form), relation, left_dimension=values["k"])


def _resize(chance: random.Random) -> Case:
    k, r = chance.randint(1, 7), chance.randint(2, 5)
    pb, pe = chance.randint(0, k - 1), chance.randint(0, k - 1)
    left = f"Upsample(scale_factor={r}) >> ZeroPad1d(({pb}, {pe})) >> Conv1d(1, 1, {k}, bias=False)"
    right = transposed_layer({"k": k + r - 1, "s": r, "pb": k - 1 - pb, "pe": k - 1 - pe})
    return Case(left, right, "left_in_right", left_dimension=k, right_dimension=k + r - 1)


@pytest.mark.parametrize("draw", [_lowering, _insertion, _dual, _resize])
def test_the_engine_gives_the_relation_that_the_theorem_predicts(draw: object) -> None:
    chance = random.Random(20160925)
    cases = [case for _ in range(INSTANCES) if (case := draw(chance)) is not None]  # type: ignore[operator]
    assert len(cases) > INSTANCES // 3
    assert [problem for case in cases for problem in surprise(case)] == []

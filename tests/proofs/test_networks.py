"""Networks in low and in high resolution: random instances beyond the grids of the theorems, the table, what is regenerated."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import proofs
from proofs import regenerate, smt
from proofs.mutation import still_true
from proofs.networks import low_not_high
from proofs.networks.execution import draw, evaluate, lift, matrix, rank
from proofs.networks.high_in_low import high_layer, low_layer, lowered
from proofs.networks.low_resolution_input import copies, deep, split
from proofs.networks.super_resolution_cost import espcn_factor
from proofs.networks.table import balanced, row, table
from proofs.run import surprise
from proofs.theorem import Case


def test_the_engine_agrees_on_random_convolutions_in_high_resolution() -> None:
    chance = random.Random(20160922)
    cases: list[Case] = []
    while len(cases) < 60:
        v = {"r": chance.randint(2, 5), "k": chance.randint(1, 9), "d": chance.randint(1, 4)}
        v |= {"pb": chance.randint(0, 12), "pe": chance.randint(0, 12)}
        form = lowered(v)
        if min(form["before"], form["after"]) >= 0:
            size = form["k"] * v["r"] ** 2
            cases.append(Case(high_layer(v), low_layer(form), "left_in_right", left_dimension=v["k"], right_dimension=size))
    assert [problem for case in cases for problem in surprise(case)] == []


def test_one_tap_fewer_in_low_resolution_is_too_few() -> None:
    v = {"r": 3, "k": 5, "pb": 2, "pe": 2}
    form = lowered(v)
    assert form == {"r": 3, "k": 3, "before": 1, "after": 1, "back": 0}
    for before, after in ((0, 1), (1, 0)):
        fewer = low_layer({**form, "k": 2, "before": before, "after": after})
        assert list(surprise(Case(high_layer(v), fewer, "incomparable"))) == []


def test_the_engine_agrees_on_what_low_resolution_has_in_common_with_high() -> None:
    chance = random.Random(20160923)
    for _ in range(20):
        v = {"r": chance.randint(2, 5), "K": chance.randint(1, 6)}
        v["B"] = chance.randint(0, v["K"] - 1)
        more = chance.randint(1, 9)
        high, low = low_not_high._high(v, more), low_not_high._low(v)
        case = Case(high, low, "incomparable", intersection=v["r"] * (v["K"] - 1) + 1)
        assert list(surprise(case)) == []


@pytest.mark.parametrize(("r", "k", "pb"), [(2, 4, 0), (2, 4, 3), (3, 5, 1), (2, 1, 0)])
def test_a_lifted_kernel_is_the_same_layer_whatever_the_padding(r: int, k: int, pb: int) -> None:
    chance = random.Random(r * 100 + k * 10 + pb)
    kernel, x = draw(chance, (3, 2, k, k)), draw(chance, (2, 2 * r * r, 3, 2), 9)
    low = lift(kernel, r, pb)
    before, after = -(-pb // r), -(-(k - 1 - pb) // r)
    one = f"PixelShuffle({r}) >> ZeroPad2d(({pb}, {k - 1 - pb}, {pb}, {k - 1 - pb})) >> Conv2d(2, 3, {k}, bias=False)"
    two = f"ZeroPad2d(({before}, {after}, {before}, {after})) >> Conv2d({2 * r * r}, {3 * r * r}, {low.shape[2]}, bias=False)"
    assert (evaluate(one, [(kernel, None)], x) == evaluate(f"{two} >> PixelShuffle({r})", [(low, None)], x)).all()


def test_evaluation_refuses_what_it_cannot_know_exactly() -> None:
    with pytest.raises(ArithmeticError, match="not an exact integer"):
        evaluate("Conv1d(1, 1, 1, bias=False)", [(np.array([[[2**40]]]), None)], np.array([[[2**20]]]))
    with pytest.raises(ArithmeticError, match="not an exact integer"):
        evaluate("Sigmoid()", [], np.ones((1, 1, 1), dtype=np.int64))


def test_jacobian_and_rank_are_exact() -> None:
    found = matrix("Conv1d(1, 1, 2, bias=False) >> ReLU()", [(np.array([[[1, 2]]]), None)], np.array([[5, 5, 5]]))
    assert found.tolist() == [[1, 2, 0], [0, 1, 2]] and rank(found) == 2
    assert rank(np.array([[1, 2], [2, 4]])) == 1


def test_the_table_counts_as_pytorch_does_and_balances_cost() -> None:
    rows = table((2, 3), (4, 6), (1, 3), depth=3)
    assert len(rows) == 16
    for high, low in zip(rows[::2], rows[1::2], strict=True):
        assert (high.resolution, low.resolution, low.channels) == ("high", "low", high.factor * high.channels)
        assert high.multiplications == low.multiplications
        for line in (high, low):
            layer = torch.nn.Conv2d(line.channels, line.channels, line.kernel, bias=False)
            assert line.parameters == line.dimension == sum(p.numel() for p in layer.parameters())
        assert high.multiplications == high.factor**2 * high.parameters
        assert (high.receptive_field, low.receptive_field) == (1 + 3 * (high.kernel - 1), high.factor * (1 + 3 * (high.kernel - 1)))


def test_no_width_balances_where_the_square_is_none() -> None:
    assert balanced(2, 1, axes=1) is None and balanced(4, 3, axes=1) == 6 and balanced(4, 1, axes=3) == 8
    assert table((2,), (1,), (3,), axes=1) == ()
    assert row("low", 2, 6, 4).parameters == 576  # even kernels keep the extent too


def test_copies_and_splits_cover_every_tap_on_its_own_side() -> None:
    for h, B in itertools.product(range(1, 5), range(1, 15)):
        if h > B:
            continue
        for tap in range(-B, B + 1):
            shift, rest = split(tap, B, h)
            assert shift in copies(B, h) and shift + rest == tap and abs(rest) <= h and shift * rest >= 0


def test_too_few_copies_are_another_function() -> None:
    kernel = np.arange(1, 6, dtype=np.int64).reshape(1, 1, 5)
    network, weights = deep(kernel, 1, 1, relu=True)
    x = np.arange(1, 8, dtype=np.int64).reshape(1, 1, 7)
    layer = evaluate("Conv1d(1, 1, 5, padding=2, bias=False)", [(kernel, None)], x)
    assert (evaluate(network, weights, x) == layer).all()
    dropped = [(weights[0][0], None), (weights[1][0] * (np.arange(6) < 4)[None, :, None], None)]
    assert (evaluate(network, dropped, x) != layer).any()


def test_the_factor_of_espcn_as_counted_by_hand() -> None:
    for r in (2, 3, 4):
        first = r * r * (9 * 9 * 64 + 5 * 5 * 64 * 32 + 5 * 5 * 32)
        assert espcn_factor(r) * (5 * 5 * 64 + 3 * 3 * 64 * 32 + 3 * 3 * 32 * r * r) == first


def test_regenerating_gives_the_committed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    theorem = proofs.load("super-resolution-cost")
    committed = {path.name: path.read_text() for path in smt.FOLDER.glob(f"{theorem.name}.*")}
    record = tmp_path / "still_true.json"
    monkeypatch.setattr(regenerate, "RECORD", record)
    monkeypatch.setattr(smt, "FOLDER", tmp_path)
    monkeypatch.setattr(regenerate, "corpus", lambda: (theorem,))
    (tmp_path / "stale.smt2").write_text("")
    monkeypatch.setattr(smt.write, "__defaults__", (tmp_path,))
    assert regenerate.main() == 0
    assert {path.name: path.read_text() for path in tmp_path.glob("*.smt2")} == committed
    assert json.loads(record.read_text()) == {theorem.name: still_true()[theorem.name]}
    assert "still true: super-resolution-cost" in capsys.readouterr().out
    assert regenerate.main() == 0 and "still true:" not in capsys.readouterr().out

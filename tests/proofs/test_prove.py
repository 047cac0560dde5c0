"""`symconv prove` as a function: what it lists, proves, refuses; its exit codes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from symconv.app.prove import chosen, prove
from symconv.errors import UsageError
from symconv.report.corpus import package


def _json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def test_without_names_it_lists_everything_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove([], everything=False, as_json=True) == 0
    record = _json(capsys)
    assert record["schema"] == "symconv.prove/1" and record["outcome"] is None
    assert [item["name"] for item in record["theorems"]] == list(package().NAMES)
    assert {item["outcome"] for item in record["theorems"]} == {"not run"}


def test_one_theorem_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove(["zero-insertion"], everything=False, as_json=True) == 0
    record = _json(capsys)
    (item,) = record["theorems"]
    assert record["outcome"] == item["outcome"] == "proved"
    assert item["backends"]["z3"] == item["backends"]["cvc5"] == "proved"
    assert all(twin["counterexample"]["replayed"] for twin in item["twins"])


def test_two_theorems_in_two_processes(capsys: pytest.CaptureFixture[str]) -> None:
    assert prove(["7", "factorization"], everything=False, as_json=False) == 0
    assert "2 of 2 theorems proved" in capsys.readouterr().out


def test_a_theorem_is_chosen_by_name_number_or_group() -> None:
    assert chosen(["4"], everything=False) == ["universal-lowering"]
    assert chosen(["same_layer"], everything=False) == list(package().CORPUS["same_layer"])


def test_an_unknown_theorem_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="Did you mean `note-form`"):
        prove(["note-from"], everything=False, as_json=False)


def test_a_theorem_that_fails_gives_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib

    package().load("zero-insertion")
    smt = importlib.import_module("symconv._proofs.smt")
    monkeypatch.setitem(smt.SOLVERS, "cvc5", lambda text: "unknown")
    assert prove(["zero-insertion"], everything=False, as_json=True, processes=1) == 1
    assert _json(capsys)["outcome"] == "failed"

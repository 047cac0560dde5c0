"""Every theorem of the corpus is proved, every false twin refuted, every mutant caught, and the files are those of the corpus."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import attrs
import pytest

import proofs
from proofs import smt
from proofs.mutation import caught, mutants_of, still_true
from proofs.run import prove
from proofs.terms import implies, integers
from proofs.theorem import GROUPS, Obligation, Outcome, Theorem


@pytest.mark.parametrize("name", proofs.NAMES)
def test_theorem_is_proved_and_its_twins_are_refuted(name: str) -> None:
    theorem = proofs.load(name)
    result = prove(theorem)
    assert [check for check in result.checks if check.outcome is Outcome.FAILED] == []
    assert set(result.counterexamples) == {twin.name for twin in theorem.twins}
    assert result.outcome is Outcome.PROVED
    assert all(check.seconds < 2.1 for check in result.checks if check.backend in smt.SOLVERS)  # two scripts of a second


@pytest.mark.parametrize("name", proofs.NAMES)
def test_theorem_says_where_it_comes_from_and_can_fail(name: str) -> None:
    theorem = proofs.load(name)
    assert theorem.name == name and theorem.group in GROUPS and name in proofs.CORPUS[theorem.group]
    assert theorem.twins and theorem.statement and theorem.proof and theorem.source and theorem.scope
    assert theorem.obligations or theorem.identities or theorem.exact
    names = [item.name for item in theorem.obligations]
    assert len(names) == len(set(names))
    givens = " ".join(str(given) for item in theorem.obligations for given in item.given)
    assert all(str(item.formula) in givens and item.why for item in theorem.hypotheses)


def test_every_mutant_is_caught_or_recorded_as_true(capsys: pytest.CaptureFixture[str]) -> None:
    total, found = 0, {}
    for theorem in proofs.corpus():
        mutants = list(mutants_of(theorem))
        total += len(mutants)
        if survivors := sorted({mutant.change for mutant in mutants if not caught(mutant)}):
            found[theorem.name] = survivors
    assert found == still_true()
    flagged = sum(map(len, found.values()))
    with capsys.disabled():
        print(f"\n{total} mutants of {len(proofs.NAMES)} theorems: {total - flagged} caught, {flagged} true as altered and listed")
    assert total > 10 * flagged
    compared = [mutant for theorem in proofs.corpus() for mutant in mutants_of(theorem) if "compared with itself" in mutant.change]
    assert compared and all(map(caught, compared))


def test_smt_files_are_those_of_the_corpus() -> None:
    wanted = {name: text for theorem in proofs.corpus() for name, text in smt.files(theorem).items()}
    found = {path.name: path.read_text() for path in smt.FOLDER.glob("*.smt2")}
    assert found == wanted, "run `python -m proofs.regenerate`"


@pytest.mark.parametrize(
    ("obligation", "detail"),
    [
        ("one side is the other", "one side is compared with itself"),
        ("nothing can hold", "the hypotheses cannot hold together"),
        ("false", "refuted"),
    ],
)
@pytest.mark.parametrize("solver", list(smt.SOLVERS))
def test_an_obligation_that_says_nothing_is_no_proof(obligation: str, detail: str, solver: str) -> None:
    j, k = integers("j k")
    item = {
        "one side is the other": Obligation("x", (j >= 0,), j + k == j + k),
        "nothing can hold": Obligation("x", (j >= 1, j <= 0), k == j),
        "false": Obligation("x", (j >= 0,), implies(j <= k, j < k)),
    }[obligation]
    check = smt.check_with(solver, item)
    assert check.outcome is Outcome.FAILED and detail in check.detail


def test_a_missing_solver_is_not_run_and_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cvc5", None)
    theorem = attrs.evolve(proofs.load("zero-insertion"), definitions=(), agreements=(), twins=())
    result = prove(theorem)
    assert {check.outcome for check in result.checks if check.backend == "cvc5"} == {Outcome.NOT_RUN}
    monkeypatch.setitem(sys.modules, "z3", None)
    assert prove(theorem).outcome is Outcome.NOT_RUN


def test_a_broken_theorem_fails() -> None:
    theorem: Theorem = proofs.load("zero-insertion")
    item = theorem.obligations[1]
    broken = attrs.evolve(
        theorem, obligations=(attrs.evolve(item, goal=item.goal.args[0] == item.goal.args[1] + 1),), definitions=(), agreements=()
    )
    assert prove(broken).outcome is Outcome.FAILED


def test_proofs_import_relatively_so_that_the_wheel_can_hold_them_elsewhere() -> None:
    for path in Path(proofs.__file__).parent.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) proofs", path.read_text(), re.MULTILINE), path

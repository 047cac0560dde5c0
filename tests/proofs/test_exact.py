"""What is computed can fail: every comparison of every exact part is met, and what predicts or proves nothing is no proof."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator

import attrs
import pytest

import proofs
from proofs import smt
from proofs.run import prove, surprise
from proofs.terms import integers, term
from proofs.theorem import Agreement, Case, Check, Counterexample, Exact, Obligation, Outcome, Result, Theorem, Twin


def _denied(function: Callable[[], Iterable[str]]) -> Iterator[tuple[str, Callable[[], Iterable[str]]]]:
    """The function with one comparison denied, for each one that ends in a complaint."""
    source = textwrap.dedent(inspect.getsource(function))
    count = len(_complaints(ast.parse(source)))
    for place in range(count):
        tree = ast.parse(source)
        found = _complaints(tree)[place]
        if isinstance(found.test, ast.NamedExpr):  # what was told is kept: an empty complaint is one too
            found.test = ast.BoolOp(ast.Or(), [found.test, ast.Constant(value=True)])
        else:
            found.test = ast.UnaryOp(ast.Not(), found.test)
        space = dict(vars(sys.modules[function.__module__]))
        exec(compile(ast.fix_missing_locations(tree), function.__code__.co_filename, "exec"), space)
        yield f"line {found.lineno}", space[function.__name__]


def _complaints(tree: ast.AST) -> list[ast.If]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and any(isinstance(part, ast.Expr) and isinstance(part.value, ast.Yield) for part in node.body)
    ]


EXACT = [(theorem.name, item) for theorem in proofs.corpus() for item in theorem.exact]


@pytest.mark.parametrize(("theorem", "item"), EXACT, ids=[f"{name}: {item.name}" for name, item in EXACT])
def test_every_comparison_is_met(theorem: str, item: Exact) -> None:
    """A comparison that is never reached, or reached for no value, would hold whatever is true."""
    denied = list(_denied(item.failures))
    assert denied
    for where, function in denied:
        assert next(iter(function()), None) is not None, where


def _bare(**parts: object) -> Theorem:
    """A theorem of these parts alone."""
    none = dict.fromkeys(("hypotheses", "obligations", "agreements", "twins"), ())
    return attrs.evolve(proofs.load("bias"), **{**none, **parts})


def test_a_case_that_predicts_nothing_is_a_failure() -> None:
    case = Case("Conv1d(1, 1, 1)", "Conv1d(1, 1, 3)")
    assert "nothing is predicted" in next(surprise(case))
    assert prove(_bare(agreements=(Agreement("a", "s", "r", lambda: [case]),))).outcome is Outcome.FAILED


def test_a_goal_among_the_givens_proves_nothing() -> None:
    j, k = integers("j k")
    for given, goal in (
        ((j >= k,), j >= k),
        (((j >= 0) & (k >= 0),), k >= 0),
        ((j >= 0,), term(True)),
        ((j >= 0, k >= j), (k >= j) & (j >= 0)),
    ):
        item = Obligation("x", given, goal)
        assert smt.is_given(item) and smt.check_with("z3", item).outcome is Outcome.FAILED
    assert not smt.is_given(Obligation("x", (j >= 0, k >= j), (k >= j) & (k >= 0)))


def test_a_step_that_no_solver_ran_is_not_hidden_by_a_part_of_its_name() -> None:
    checks = tuple(
        Check(backend, "x", outcome, "", 0.0)
        for backend, outcome in (("z3", Outcome.NOT_RUN), ("cvc5", Outcome.NOT_RUN), ("exact", Outcome.PROVED), ("twin", Outcome.REFUTED))
    )
    assert Result("t", checks, {}, 0.0).outcome is Outcome.NOT_RUN
    assert Result("t", (attrs.evolve(checks[0], outcome=Outcome.PROVED), *checks[1:]), {}, 0.0).outcome is Outcome.PROVED


def test_a_twin_alone_proves_nothing() -> None:
    twin = Twin("t", "b", lambda: [{"a": 1}], lambda values: Counterexample(values, "so it is", None))
    assert prove(_bare(twins=(twin,))).outcome is Outcome.NOT_RUN

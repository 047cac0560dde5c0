"""Obligations as SMT-LIB text, decided by Z3 and by cvc5 from the same text.

Owns: the text, `decide` for each solver, the folder of files.
Must not know: theorems' names beyond a file name.

Each obligation is two scripts: the givens with the goal negated, which must be unsatisfiable, and the givens alone with
all integers between -BOUND and BOUND, which must be satisfiable (otherwise the obligation would hold vacuously).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .terms import Term, conjuncts, names_in
from .theorem import Check, Obligation, Outcome, Theorem

MILLISECONDS = 1000
"""The most time for one script in one solver."""

PATIENCE = 4
"""Times a script is tried while other processes take the processor from the solver."""

BOUND = 9
"""Hypotheses must be satisfiable by integers of at most this magnitude."""

FOLDER = Path(__file__).parent / "smt2"


class NotInstalled(Exception):
    """The solver's package is missing."""


def script(given: Sequence[Term], goal: Term | None, title: str = "") -> str:
    """The script whose unsatisfiability proves `goal`, or without a goal the one whose satisfiability shows that `given` can hold."""
    formulas = [part for formula in given for part in conjuncts(formula)]
    names = sorted(set().union(*map(names_in, formulas + ([] if goal is None else [goal]))))
    lines = [f"; {title}"] if title else []
    lines += ["(set-logic QF_NIA)", f"(set-info :status {'sat' if goal is None else 'unsat'})"]
    lines += [f"(declare-const {name} Int)" for name in names]
    lines += [f"(assert {formula})" for formula in formulas]
    if goal is None:
        lines += [f"(assert (and (<= (- {BOUND}) {name}) (<= {name} {BOUND})))" for name in names]
    else:
        lines += ["; the goal, negated", f"(assert (not {goal}))"]
    return "\n".join([*lines, "(check-sat)", "(exit)", ""])


def z3(text: str) -> str:
    """Z3's answer: sat, unsat or unknown."""
    try:
        import z3 as solver
    except ImportError:
        raise NotInstalled("z3-solver") from None
    one = solver.SimpleSolver()
    one.set("timeout", MILLISECONDS)
    one.from_string(text)
    return str(one.check())


def cvc5(text: str) -> str:
    """cvc5's answer: sat, unsat or unknown."""
    try:
        import cvc5 as solver
    except ImportError:
        raise NotInstalled("cvc5") from None
    one = solver.Solver(solver.TermManager())
    one.setOption("tlimit-per", str(MILLISECONDS))
    parser = solver.InputParser(one)
    parser.setStringInput(solver.InputLanguage.SMT_LIB_2_6, text, "obligation")
    symbols, answer = parser.getSymbolManager(), ""
    while not (command := parser.nextCommand()).isNull():
        if command.getCommandName() != "set-info":  # a status that is not met would be an error, not an answer
            answer += str(command.invoke(one, symbols)).strip()
    return answer.split(" ", maxsplit=1)[0]


SOLVERS: dict[str, Callable[[str], str]] = {"z3": z3, "cvc5": cvc5}


def check(obligation: Obligation) -> list[Check]:
    """What each solver says: proved, or failed with the reason (refuted, vacuous, out of time, one side is the other)."""
    return [check_with(name, obligation) for name in SOLVERS]


def check_with(name: str, obligation: Obligation) -> Check:
    """What one solver says."""
    solve = SOLVERS[name]
    start = time.perf_counter()
    try:
        outcome, detail = _verdict(solve, obligation)
    except NotInstalled as missing:
        outcome, detail = Outcome.NOT_RUN, f"{missing} is not installed"
    return Check(name, obligation.name, outcome, detail, time.perf_counter() - start)


def _verdict(solve: Callable[[str], str], obligation: Obligation) -> tuple[Outcome, str]:
    if is_empty(obligation.goal):
        return Outcome.FAILED, "one side is compared with itself"
    if is_given(obligation):
        return Outcome.FAILED, "the goal is among the givens"
    if (answer := _patiently(solve, script(obligation.given, obligation.goal))) != "unsat":
        return Outcome.FAILED, "refuted" if answer == "sat" else f"{answer}: no answer in {MILLISECONDS} ms"
    if (answer := _patiently(solve, script(obligation.given, None))) != "sat":
        return Outcome.FAILED, f"the hypotheses cannot hold together ({answer})"
    return Outcome.PROVED, "unsat"


def _patiently(solve: Callable[[str], str], text: str) -> str:
    """The answer; asked again where a busy machine left the solver less than its time."""
    for _ in range(PATIENCE):
        begun = time.process_time()
        answer = solve(text)
        if answer in ("sat", "unsat") or (time.process_time() - begun) * 1000 > 0.8 * MILLISECONDS:
            break
    return answer


def is_empty(goal: Term) -> bool:
    """Whether a goal says nothing: both sides of an equation, an equivalence or a bound are the same text."""
    if goal.op in ("=", "<=", "=>") and str(goal.args[0]) == str(goal.args[1]):
        return True
    return goal.op in ("and", "or") and any(map(is_empty, goal.args))


def is_given(obligation: Obligation) -> bool:
    """Whether every part of the goal is true by its form or one of the givens, so that there is nothing to prove."""
    given = {str(part) for formula in obligation.given for part in (formula, *conjuncts(formula))} | {"true"}
    return str(obligation.goal) in given or all(str(part) in given for part in conjuncts(obligation.goal))


def files(theorem: Theorem) -> dict[str, str]:
    """File name to script, for every obligation of a theorem."""
    out = {}
    for number, obligation in enumerate(theorem.obligations, 1):
        stem = f"{theorem.name}.{number:02}-{re.sub('[^a-z0-9]+', '-', obligation.name.lower()).strip('-')}"
        title = f"{theorem.name}: {obligation.name}"
        out[f"{stem}.smt2"] = script(obligation.given, obligation.goal, title)
        out[f"{stem}.can-hold.smt2"] = script(obligation.given, None, f"{title}: the givens can hold together")
    return out


def write(theorems: Sequence[Theorem], folder: Path = FOLDER) -> None:
    """Writes every script into `folder` and removes those of obligations that are no more."""
    wanted = {name: text for theorem in theorems for name, text in files(theorem).items()}
    for path in folder.glob("*.smt2"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text)

"""Formulas over the integers: written with Python's operators, read as mathematics, printed as SMT-LIB.

Owns: `Term`, the operators on it, `mutants` of a formula.
Must not know: solvers, theorems, layers.

A function that is written with the operators below works on terms and on plain integers alike, so one definition is both
what the solvers see and what is compared with symconv's layers at concrete values. (`&`, `|` and `equivalent` take the
place of `and`, `or` and `==` between truth values.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs


@attrs.frozen(eq=False)
class Term:
    """An operator of SMT-LIB and its arguments; a leaf is a name or a literal with no arguments.

    >>> print(within(var("j"), var("k")))
    (and (<= 0 j) (< j k))
    """

    op: str
    args: tuple[Term, ...] = ()

    def __str__(self) -> str:
        if not self.args:
            return f"(- {self.op[1:]})" if self.op.startswith("-") else self.op
        return f"({self.op} {' '.join(map(str, self.args))})"

    def __add__(self, other: Any) -> Term:
        return self if _is(other, 0) else Term("+", (self, term(other)))

    def __radd__(self, other: Any) -> Term:
        return Term("+", (term(other), self))

    def __sub__(self, other: Any) -> Term:
        return self if _is(other, 0) else Term("-", (self, term(other)))

    def __rsub__(self, other: Any) -> Term:
        return Term("-", (term(other), self))

    def __mul__(self, other: Any) -> Term:
        return self if _is(other, 1) else Term("*", (self, term(other)))

    def __rmul__(self, other: Any) -> Term:
        return self if _is(other, 1) else Term("*", (term(other), self))

    def __neg__(self) -> Term:
        return Term("-", (term(0), self))

    def __le__(self, other: Any) -> Term:
        return Term("<=", (self, term(other)))

    def __lt__(self, other: Any) -> Term:
        return Term("<", (self, term(other)))

    def __ge__(self, other: Any) -> Term:
        return Term("<=", (term(other), self))

    def __gt__(self, other: Any) -> Term:
        return Term("<", (term(other), self))

    def __eq__(self, other: object) -> Term:  # type: ignore[override]
        return Term("=", (self, term(other)))

    def __ne__(self, other: object) -> Term:  # type: ignore[override]
        return Term("not", (self == other,))

    def __and__(self, other: Any) -> Term:
        return Term("and", (self, term(other)))

    def __rand__(self, other: Any) -> Term:
        return Term("and", (term(other), self))

    def __or__(self, other: Any) -> Term:
        return Term("or", (self, term(other)))

    def __invert__(self) -> Term:
        return Term("not", (self,))

    def __bool__(self) -> bool:
        raise TypeError("a formula has no truth value; use `&`, `|`, `~` and `implies`")

    __hash__ = object.__hash__


def term(value: Any) -> Term:
    """`value` as a term: a term, an integer or a truth value."""
    if isinstance(value, Term):
        return value
    if isinstance(value, bool):
        return Term("true" if value else "false")
    return Term(str(int(value)))


def _is(value: Any, number: int) -> bool:
    return isinstance(value, int) and value == number


def var(name: str) -> Term:
    """The integer called `name`."""
    return Term(name)


def integers(names: str) -> tuple[Term, ...]:
    """Integers by name: `s, k = integers("s k")`."""
    return tuple(map(var, names.split()))


def within(j: Any, k: Any) -> Any:
    """0 <= j < k."""
    return (j >= 0) & (j < k)


def implies(one: Term, other: Any) -> Term:
    """`other` wherever `one`."""
    return Term("=>", (one, term(other)))


def equivalent(one: Term, other: Term) -> Term:
    """Both or neither."""
    return Term("=", (one, other))


def division(a: Any, b: Any, quotient: Any, rest: Any) -> Any:
    """a = b quotient + rest with 0 <= rest < b: names the quotient and the remainder of a by b."""
    return (a == b * quotient + rest) & within(rest, b)


def ceiling(a: Any, b: Any, result: Any) -> Any:
    """result = ceil(a / b), for b >= 1."""
    return (b * (result - 1) < a) & (a <= b * result)


def names_in(formula: Term) -> set[str]:
    """The integers that occur in a formula."""
    if formula.args:
        return set().union(*map(names_in, formula.args))
    return {formula.op} if formula.op[0].isalpha() and formula.op not in ("true", "false") else set()


def conjuncts(formula: Term) -> Iterator[Term]:
    """The parts that all must hold."""
    if formula.op == "and":
        for part in formula.args:
            yield from conjuncts(part)
    else:
        yield formula


def mutants(formula: Term, positive: bool = True) -> Iterator[tuple[str, Term]]:
    """One change at a time: a sign altered, or an equation or a bound moved by one in the direction that claims more.

    Args:
        formula: what is altered.
        positive: whether the formula is claimed (a bound is tightened) or assumed (it is loosened).
    """
    match formula.op:
        case "+" | "-":
            flipped = "-" if formula.op == "+" else "+"
            yield f"{formula} with the sign altered", Term(flipped, formula.args)
        case "=" if not _is_truth(formula.args[0]):
            yield f"{formula} off by one", Term("=", (formula.args[0], formula.args[1] + 1))
        case "<=" | "<":
            off = formula.args[0] + 1 if positive else formula.args[0] - 1
            yield f"{formula} off by one", Term(formula.op, (off, formula.args[1]))
        case _:
            pass
    for place, argument in enumerate(formula.args):
        turned = formula.op == "not" or (formula.op == "=>" and place == 0)
        for how, changed in mutants(argument, positive != turned):
            yield how, Term(formula.op, (*formula.args[:place], changed, *formula.args[place + 1 :]))


def _is_truth(formula: Term) -> bool:
    return formula.op in ("and", "or", "not", "=>", "=", "<", "<=", "true", "false")

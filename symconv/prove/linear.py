"""Exact linear algebra on joint rows: ranks, reshuffles, annihilators.

Owns: `compare_rows`. Must not know: layers, axes, extents.

A joint row is a pair of linear forms (a, b), one in the left and one in the right parameters. With A and B the stacked
forms, the left class is in the right one iff the columns of A are combinations of the columns of B. Rows that share no
parameter do not interact, so the question is solved component by component; python-flint does the elimination.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import attrs

from symconv.operators.budget import Budget
from symconv.operators.rows import Form, Param

JointForm = tuple[Form, Form]
Reshuffle = dict[Param, Form]
"""Left parameter -> combination of right parameters that realises it (missing: zero)."""


@attrs.frozen
class Annihilator:
    """A functional on operator entries: zero on one class, nonzero on the other's unit parameter `kernel`.

    Args:
        terms: (row number, coefficient).
        kernel: the parameter of the larger class.
        value: what the functional gives on that parameter.
        attempt: parameters of the smaller class that agree with `kernel` on every earlier row of the component.
        shown: what `kernel` alone gives on the row of each term.
    """

    terms: tuple[tuple[int, Fraction], ...]
    kernel: Param
    value: Fraction
    attempt: Form = attrs.field(factory=dict)
    shown: tuple[Fraction, ...] = ()


@attrs.frozen
class RowComparison:
    """How two classes compare on a set of joint rows.

    Args:
        left, right, both: dimensions of the two classes and of their intersection.
        forth: the reshuffle left to right, or None if the left class is not in the right one; `back` likewise.
        not_forth: an annihilator of the right class that sees the left one, or None; `not_back` likewise.
    """

    left: int
    right: int
    both: int
    forth: Reshuffle | None
    back: Reshuffle | None
    not_forth: Annihilator | None
    not_back: Annihilator | None


def compare_rows(rows: Sequence[JointForm], budget: Budget) -> RowComparison:
    """Compares the classes spanned by two families on the same rows; earlier rows are preferred in annihilators."""
    left = right = joint = 0
    forth: Reshuffle | None = {}
    back: Reshuffle | None = {}
    not_forth: Annihilator | None = None
    not_back: Annihilator | None = None
    for members in _components(rows, budget):
        part = _solve([rows[k] for k in members], members, budget)
        left, right, joint = left + part.left, right + part.right, joint + part.both
        forth = _merge(forth, part.forth)
        back = _merge(back, part.back)
        not_forth = _earliest(not_forth, part.not_forth)
        not_back = _earliest(not_back, part.not_back)
    return RowComparison(left, right, joint, forth, back, not_forth, not_back)


def _merge(total: Reshuffle | None, part: Reshuffle | None) -> Reshuffle | None:
    if total is None or part is None:
        return None
    total.update(part)
    return total


def _earliest(a: Annihilator | None, b: Annihilator | None) -> Annihilator | None:
    if a is None or b is None:
        return a or b
    return a if _cost(a) <= _cost(b) else b


def _cost(annihilator: Annihilator) -> tuple[int, int]:
    return max(row for row, _ in annihilator.terms), len(annihilator.terms)


def _components(rows: Sequence[JointForm], budget: Budget) -> list[list[int]]:
    """Row numbers grouped by shared parameters, each group ascending."""
    owner: dict[tuple[int, Param], int] = {}
    parent = list(range(len(rows)))

    def find(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for k, forms in enumerate(rows):
        for side, form in enumerate(forms):
            budget.spend(len(form))
            for param in form:
                first = owner.setdefault((side, param), k)
                if first != k:
                    parent[find(k)] = find(first)
    groups: dict[int, list[int]] = {}
    for k in range(len(rows)):
        groups.setdefault(find(k), []).append(k)
    return list(groups.values())


def _solve(rows: list[JointForm], numbers: list[int], budget: Budget) -> RowComparison:
    if len(rows) == 1:
        return _solve_one(rows[0], numbers[0])
    return _Dense(rows, numbers, budget).comparison()


def _solve_one(row: JointForm, number: int) -> RowComparison:
    """One row: each class is at most a line, and they are equal, or one of them is zero."""
    a, b = row
    both = 1 if a and b else 0
    return RowComparison(1 if a else 0, 1 if b else 0, both, _onto(a, b), _onto(b, a), _alone(a, b, number), _alone(b, a, number))


def _onto(a: Form, b: Form) -> Reshuffle | None:
    if not a:
        return {}
    if not b:
        return None
    target, scale = next(iter(b.items()))
    return {param: {target: Fraction(c) / scale} for param, c in a.items()}


def _alone(a: Form, b: Form, number: int) -> Annihilator | None:
    if not a or b:
        return None
    param, value = next(iter(a.items()))
    return Annihilator(((number, Fraction(1)),), param, Fraction(value), {}, (Fraction(value),))


class _Dense:
    """One component with several rows, solved by flint on integer matrices."""

    def __init__(self, rows: list[JointForm], numbers: list[int], budget: Budget) -> None:
        self.numbers = numbers
        self.params = [list(dict.fromkeys(param for row in rows for param in row[side])) for side in (0, 1)]
        width = sum(len(p) for p in self.params)
        budget.afford(len(rows) * width)
        budget.spend(len(rows) * width // 8)
        self.scaled = [_integers(row, self.params) for row in rows]
        self.budget = budget

    def comparison(self) -> RowComparison:
        import flint

        a = [row[0] for row in self.scaled]
        b = [row[1] for row in self.scaled]
        rank_a, rank_b = _rank(flint, a), _rank(flint, b)
        rank = _rank(flint, [x + y for x, y in zip(a, b, strict=True)])
        self.budget.check_time()
        forth = self._reshuffle(flint, 0) if rank == rank_b else None
        back = self._reshuffle(flint, 1) if rank == rank_a else None
        not_forth = self._annihilator(flint, 0) if rank > rank_b else None
        not_back = self._annihilator(flint, 1) if rank > rank_a else None
        return RowComparison(rank_a, rank_b, rank_a + rank_b - rank, forth, back, not_forth, not_back)

    def _reshuffle(self, flint: object, side: int) -> Reshuffle:
        """X with B X = A, from the reduced echelon form of [B | A]."""
        inner, outer = self.params[1 - side], self.params[side]
        matrix = flint.fmpq_mat(flint.fmpz_mat([row[1 - side] + row[side] for row in self.scaled]))  # type: ignore[attr-defined]
        reduced, rank = matrix.rref()
        pivots = _pivots(reduced, rank)
        out: Reshuffle = {}
        for position, param in enumerate(outer):
            form = {inner[pivot]: _fraction(reduced[k, len(inner) + position]) for k, pivot in enumerate(pivots)}
            out[param] = {key: value for key, value in form.items() if value}
        return out

    def _annihilator(self, flint: object, side: int) -> Annihilator:
        """f with f B = 0 and f A != 0, on the shortest prefix of the rows that has one."""
        low, high = 1, len(self.scaled)
        while low < high:
            middle = (low + high) // 2
            head = self.scaled[:middle]
            inner = _rank(flint, [row[1 - side] for row in head])
            if _rank(flint, [row[1 - side] + row[side] for row in head]) > inner:
                high = middle
            else:
                low = middle + 1
        found = self._functional(flint, self.scaled[:low], side)
        column = self.params[side].index(found.kernel)
        return attrs.evolve(found, attempt=self._attempt(flint, self.scaled[: low - 1], side, column))

    def _attempt(self, flint: object, head: list[list[list[int]]], side: int, column: int) -> Form:
        """A solution y of B y = a on the rows before the one that decides (one exists, as the prefix is shortest)."""
        inner = self.params[1 - side]
        if not head or not inner:
            return {}
        reduced, rank = flint.fmpq_mat(flint.fmpz_mat([row[1 - side] + [row[side][column]] for row in head])).rref()  # type: ignore[attr-defined]
        values = {inner[pivot]: _fraction(reduced[k, len(inner)]) for k, pivot in enumerate(_pivots(reduced, rank))}
        return {param: value for param, value in values.items() if value}

    def _functional(self, flint: object, head: list[list[list[int]]], side: int) -> Annihilator:
        inner = [row[1 - side] for row in head]
        basis = _left_null(flint, inner)
        best: Annihilator | None = None
        for vector in basis:
            image = [sum(f * row[side][j] for f, row in zip(vector, head, strict=True) if f) for j in range(len(self.params[side]))]
            hit = next((j for j, value in enumerate(image) if value), None)
            if hit is None:
                continue
            divisor = math.gcd(*vector)
            terms = tuple((self.numbers[k], Fraction(f * head[k][2][0], divisor)) for k, f in enumerate(vector) if f)
            shown = tuple(Fraction(head[k][side][hit], head[k][2][0]) for k, f in enumerate(vector) if f)
            candidate = Annihilator(terms, self.params[side][hit], Fraction(image[hit], divisor), {}, shown)
            if best is None or len(candidate.terms) < len(best.terms):
                best = candidate
        assert best is not None, "the rank says that there is an annihilator"
        return best


def _pivots(reduced: object, rank: int) -> list[int]:
    """Pivot columns of a reduced echelon form."""
    pivots, column = [], 0
    for k in range(rank):
        while reduced[k, column] == 0:  # type: ignore[index]
            column += 1
        pivots.append(column)
    return pivots


def _integers(row: JointForm, params: list[list[Param]]) -> list[list[int]]:
    """[left integers, right integers, [scale]]: the row times the least common denominator `scale`."""
    scale = math.lcm(1, *(c.denominator for form in row for c in form.values()))
    sides = [[int(form.get(param, 0) * scale) for param in names] for form, names in zip(row, params, strict=True)]
    return [*sides, [scale]]


def _rank(flint: object, rows: list[list[int]]) -> int:
    if not rows or not rows[0]:
        return 0
    return int(flint.fmpz_mat(rows).rank())  # type: ignore[attr-defined]


def _left_null(flint: object, rows: list[list[int]]) -> list[list[int]]:
    """A basis of the integer vectors f with f . rows = 0."""
    count = len(rows)
    if not rows[0]:
        return [[int(k == j) for k in range(count)] for j in range(count)]
    matrix, nullity = flint.fmpz_mat(rows).transpose().nullspace()  # type: ignore[attr-defined]
    return [[int(matrix[k, j]) for k in range(count)] for j in range(nullity)]


def _fraction(value: object) -> Fraction:
    return Fraction(int(value.p), int(value.q))  # type: ignore[attr-defined]

"""Extents as expressions: integer polynomials in the free dimensions of a model, with floors of quotients.

Owns: `Extent` and its exact arithmetic.
Must not know: nodes, layers.

An expression is a sum of integer multiples of monomials; an atom of a monomial is the name of a free dimension or a `Floor`.
Equal expressions are equal for all values of the atoms; two expressions may be equal for all values without being found so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

import attrs

MOST_TERMS = 32
LARGEST = 1 << 62


class Unbounded(ValueError):
    """An expression outgrew what is worth following; never reaches a user."""


@attrs.frozen(slots=False, eq=True)
class Floor:
    """floor(of / by), as an atom; by > 1, and no term of `of` is divisible as a whole."""

    of: Extent
    by: int

    def __str__(self) -> str:
        return f"floor(({self.of})/{self.by})"


Atom = str | Floor
Monomial = tuple[Atom, ...]


@attrs.frozen(slots=False)
class Extent:
    """A polynomial: pairs of a sorted monomial and its nonzero coefficient, sorted."""

    terms: tuple[tuple[Monomial, int], ...]

    @classmethod
    def of(cls, value: int | Atom) -> Extent:
        """A number, or one atom."""
        if isinstance(value, int):
            return cls((((), value),) if value else ())
        return cls((((value,), 1),))

    @cached_property
    def number(self) -> int | None:
        """The value, if it is the same for all values of the atoms."""
        if not self.terms:
            return 0
        return self.terms[0][1] if self.terms[0][0] == () and len(self.terms) == 1 else None

    def __add__(self, other: Extent | int) -> Extent:
        return _collect((*self.terms, *_extent(other).terms))

    def __neg__(self) -> Extent:
        return Extent(tuple((monomial, -c) for monomial, c in self.terms))

    def __sub__(self, other: Extent | int) -> Extent:
        return self + -_extent(other)

    def __mul__(self, other: Extent | int) -> Extent:
        right = _extent(other).terms
        if len(self.terms) * len(right) > MOST_TERMS:
            raise Unbounded
        return _collect((tuple(sorted((*a, *b), key=str)), c * d) for a, c in self.terms for b, d in right)

    def over(self, by: int) -> Extent:
        """floor(self / by), the whole part taken out of the floor; for negative numbers too."""
        whole = Extent(tuple((monomial, c // by) for monomial, c in self.terms if monomial == () or c % by == 0))
        whole = Extent(tuple((monomial, c) for monomial, c in whole.terms if c))
        rest = self - whole * by
        number = rest.number
        if number is not None:
            return whole + number // by
        return whole + Extent.of(Floor(rest, by))

    def divided(self, other: Extent) -> Extent | None:
        """The polynomial q with q * other = self, or None if there is none (0 is divided by nothing)."""
        if not other.terms or not self.terms:
            return None
        lead, c = other.terms[-1]
        for monomial, d in self.terms:
            left = _without(monomial, lead)
            if left is None or d % c:
                continue
            quotient = Extent(((left, d // c),))
            try:
                if quotient * other == self:
                    return quotient
            except Unbounded:
                return None
        if len(other.terms) == 1:
            parts = [(_without(monomial, lead), d) for monomial, d in self.terms]
            if all(left is not None and d % c == 0 for left, d in parts):
                return _collect((left, d // c) for left, d in parts if left is not None)
        return None

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        words = []
        for monomial, c in reversed(self.terms):
            body = "*".join(map(str, monomial))
            sign = "-" if c < 0 else "+"
            size = "" if abs(c) == 1 and body else f"{abs(c)}*" if body else str(abs(c))
            words.append(f"{sign} {size}{body}")
        text = " ".join(words)
        return text[2:] if text.startswith("+") else "-" + text[2:]


def product(extents: Iterable[Extent]) -> Extent:
    """The product of some extents; 1 of none."""
    return math.prod(extents, start=Extent.of(1))


def _extent(value: Extent | int) -> Extent:
    return value if isinstance(value, Extent) else Extent.of(value)


def _collect(terms: Iterable[tuple[Monomial, int]]) -> Extent:
    sums: dict[Monomial, int] = {}
    for monomial, c in terms:
        sums[monomial] = sums.get(monomial, 0) + c
    kept = {monomial: c for monomial, c in sums.items() if c}
    if len(kept) > MOST_TERMS or any(abs(c) > LARGEST or len(monomial) > MOST_TERMS for monomial, c in kept.items()):
        raise Unbounded
    return Extent(tuple(sorted(kept.items(), key=lambda item: (len(item[0]), tuple(map(str, item[0]))))))


def _without(monomial: Monomial, part: Monomial) -> Monomial | None:
    left = list(monomial)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)

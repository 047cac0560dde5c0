"""A block of a part: its two families' ranks, and the reshuffles and functionals that it gives, held against every row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

from .faults import Budget, at, need
from .rows import Form, Index, Reader
from .syntax import Number
from .wires import End, has_part, parts

Terms = tuple[tuple[Index, Number], ...]
"""A form's (parameter, coefficient) pairs, ascending, without zeros."""
Sample = tuple[int | None, int]
"""(n, o) on one axis."""


def terms(form: Form) -> Terms:
    """The form in its one normal shape."""
    return tuple(sorted(term for term in form.items() if term[1]))


def rank(forms: Iterable[Terms], budget: Budget) -> int:
    """The rank over the rationals, by elimination of each form's first parameter."""
    pivots: dict[Index, Form] = {}
    for form in forms:
        rest = dict(form)
        while rest:
            first = min(rest)
            pivot = pivots.setdefault(first, rest)
            budget.spend(len(rest) + len(pivot))
            if pivot is rest:
                break
            factor = Fraction(rest[first]) / pivot[first] if rest[first] != pivot[first] else 1
            for parameter, c in pivot.items():
                rest[parameter] = rest.get(parameter, 0) - factor * c
            rest = {parameter: c for parameter, c in rest.items() if c}
    return len(pivots)


class Table:
    """A block with axes: the different pairs (left form, right form) that occur at an entry of its rows."""

    def __init__(self, readers: Sequence[Reader], samples: Sequence[Sequence[Sample]], budget: Budget) -> None:
        self.readers, self.budget, self.pairs = readers, budget, set[tuple[Terms, Terms]]()
        outs = parts(readers[0].digits["out"], budget)
        for axes in product(*samples):
            extents, positions = [n for n, _ in axes], [o for _, o in axes]
            budget.spend(len(outs))
            for out in outs:
                left, right = (reader.row(extents, (out, *positions)) for reader in readers)
                self.pairs |= {(terms(left.get(entry, {})), terms(right.get(entry, {}))) for entry in left.keys() | right.keys()}

    def rank(self, side: int) -> int:
        """The dimension of one family."""
        return rank({pair[side] for pair in self.pairs}, self.budget)

    def both(self) -> int:
        """The dimension of the intersection: the ranks of both less that of their sum."""
        joint = (tuple([((0, *v), c) for v, c in left] + [((1, *w), c) for w, c in right]) for left, right in self.pairs)
        return self.rank(0) + self.rank(1) - rank(joint, self.budget)

    def check_reshuffle(self, source: int, reshuffle: Sequence[tuple[Index, Index, Number]]) -> None:
        """Every target form, each parameter w in it replaced by its sum of c v, must be the source form."""
        sums: dict[Index, list[tuple[Index, Number]]] = {}
        for v, w, c in reshuffle:
            need(self.readers[source].has(v) and self.readers[1 - source].has(w), "an entry for no parameter")
            sums.setdefault(w, []).append((v, c))
        need(len({(v, w) for v, w, c in reshuffle if c}) == len(reshuffle), "an entry is repeated, or has the coefficient 0")
        for pair in self.pairs:
            found: Form = {}
            for w, x in pair[1 - source]:
                for v, c in sums.get(w, ()):
                    found[v] = found.get(v, 0) + c * x
                    self.budget.spend(1)
            need(terms(found) == pair[source], "the reshuffled forms are not those of the source")


class Ties:
    """A block without axes, where a digit of an input or output index is free, or tied to another by passing through.

    A free side's family is all functions on the index values that its ties allow. A fixed side ties every digit, and its family is
    the multiples of the function that is 1 there.
    """

    def __init__(self, radices: dict[End, int], ties: Sequence[Sequence[Sequence[End]]], free: Sequence[bool]) -> None:
        self.radices, self.ties, self.free = radices, ties, free

    def rank(self, side: int) -> int:
        """The dimension of one family."""
        return self._count(self.ties[side]) if self.free[side] else 1

    def both(self) -> int:
        """The dimension of the intersection."""
        return self._count([*self.ties[0], *self.ties[1]]) if all(self.free) else int(self.included(self.free.index(False)))

    def included(self, source: int) -> bool:
        """Whether one family lies in the other: its ties imply the other's, and it is one function if the other is."""
        names = self._names(self.ties[source])
        return all(names[one] == names[other] for one, other in self.ties[1 - source]) and (self.free[1 - source] or not self.free[source])

    def check_reshuffle(self, source: int, reshuffle: Sequence[object]) -> None:
        """There is nothing to say: parameters at the same entry correspond."""
        need(not reshuffle, "a block without axes has an empty reshuffle")
        need(self.included(source), "the inclusion does not hold")

    def _names(self, ties: Iterable[Sequence[End]]) -> dict[End, End]:
        """Every digit's representative among those that are tied to it."""
        names = {end: end for end in self.radices}
        for one, other in ties:
            names = {end: names[other] if name == names[one] else name for end, name in names.items()}
        return names

    def _count(self, ties: Iterable[Sequence[End]]) -> int:
        return prod(self.radices[name] for name in set(self._names(ties).values()))


def check_functional(functional: dict[str, Any], source: Reader, target: Reader, interior: bool) -> None:
    """The sum of entries must vanish on the target family, and show the value at a parameter of the source family."""
    sums: tuple[Form, Form] = ({}, {})
    for k, (extents, out, entry, c) in enumerate(functional["terms"]):
        with at(f"terms[{k}]"):
            for total, reader in zip(sums, (source, target), strict=True):
                _check_entry(reader, extents, out, entry, interior)
                for parameter, x in reader.row([None if interior else n for n in extents], out).get(entry, {}).items():
                    total[parameter] = total.get(parameter, 0) + c * x
    need(not terms(sums[1]), "the functional is not zero on the larger class")
    need(0 != functional["value"] == sums[0].get(functional["kernel"], 0), "the functional does not show this value")


def _check_entry(reader: Reader, extents: Index, out: Index, entry: Index, interior: bool) -> None:
    """There is an entry at these extents and indices."""
    need(len(extents) == len(reader.axes) and len(out) == len(entry) == 1 + len(extents), "an index has the wrong length")
    need(has_part(out[0], reader.digits["out"]) and has_part(entry[0], reader.digits["in"]), "no such channel part")
    need(not (reader.bias and any(entry)), "a bias has no input")
    for chain, n, o, i in zip(reader.chains, extents, out[1:], entry[1:], strict=True):
        if interior:
            need(n == 0, "the extents of the bi-infinite signal are written 0")
        else:
            need(chain.valid(n) and 0 <= o < chain.output(n) and 0 <= i < n, f"no such sample at extent {n}")


@dataclass(frozen=True)
class Outcome:
    """What blocks establish: dimensions, inclusions, and the scale of forth between two fixed sides."""

    left: int
    right: int
    both: int
    forth: bool
    back: bool
    scale: Number


def check_block(block: dict[str, Any], readers: Sequence[Reader], table: Table | Ties, interior: bool) -> Outcome:
    """Everything that the block claims must hold."""
    for source, name in enumerate(("forth", "back")):
        need((block[name] is None) != (block[f"not_{name}"] is None), f"either {name} or not_{name} must be given")
        with at(name if block[name] is not None else f"not_{name}"):
            if block[name] is not None:
                table.check_reshuffle(source, block[name])
            else:
                check_functional(block[f"not_{name}"], readers[source], readers[1 - source], interior)
    forth, back = block["forth"] is not None, block["back"] is not None
    left, right = table.rank(0), table.rank(1)
    both = left if forth else right if back else table.both()
    for name, true in (("left_dim", left), ("right_dim", right), ("both_dim", both)):
        need(block[name] == true, f"{name} is {true}")
    return Outcome(left, right, both, forth, back, sum(c for _, _, c in block["forth"] or ()) if block["axes"] else 1)

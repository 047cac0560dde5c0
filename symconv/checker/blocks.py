"""A block of a part: the two families' dimensions, the reshuffles and functionals that it gives, each against every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .faults import Budget, Rejected, need
from .records import Block, Functional, Reshuffle
from .rows import Form, Index, Reader, form, rank
from .syntax import Number
from .wires import parts_of, values_of

Pair = tuple[Form, Form]
Sample = tuple[int | None, int]
"""(n, o) on one axis; n is None in the bi-infinite signal."""


@dataclass(frozen=True)
class Outcome:
    """What a block establishes. `scale` is the coefficient of forth between two fixed sides."""

    left: int
    right: int
    both: int
    forth: bool
    back: bool
    scale: Number


class Table:
    """All different pairs of forms (left, right) that occur at one entry of the block's rows."""

    def __init__(self, left: Reader, right: Reader, samples: Sequence[Sequence[Sample]], budget: Budget) -> None:
        self.budget, self.pairs = budget, set[Pair]()
        for axes in product(*samples):
            extents, out = [n for n, _ in axes], tuple(o for _, o in axes)
            for values, _ in parts_of(left.path.outputs):
                ours, theirs = left.row(extents, values, out), right.row(extents, values, out)
                for entry in ours.keys() | theirs.keys():
                    self.pairs.add((form(ours.get(entry, {})), form(theirs.get(entry, {}))))

    def dimensions(self) -> tuple[int, int, int]:
        """Ranks of the left family, the right family and both together."""
        joint = ([((0, *v), c) for v, c in left] + [((1, *w), c) for w, c in right] for left, right in self.pairs)
        left, right = ({pair[side] for pair in self.pairs} for side in (0, 1))
        return rank(left, self.budget), rank(right, self.budget), rank(map(tuple, joint), self.budget)

    def carried(self, reshuffle: Reshuffle, back: bool) -> bool:
        """Whether every target form, its parameters w replaced by their sums of c v, is the source form."""
        sums: dict[Index, list[tuple[Index, Number]]] = {}
        for v, w, c in reshuffle:
            sums.setdefault(w, []).append((v, c))
        for source, target in (pair[::-1] if back else pair for pair in self.pairs):
            found: dict[Index, Number] = {}
            for w, x in target:
                for v, c in sums.get(w, ()):
                    found[v] = found.get(v, 0) + c * x
                    self.budget.spend(1)
            if form(found) != source:
                return False
        return True


class Ties:
    """A block without axes: the digits that pass through, and what follows from them."""

    def __init__(self, block: Block, left: Side, right: Side) -> None:
        ...

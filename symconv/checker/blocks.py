"""A block of a part: the two families' dimensions, the reshuffles and functionals that it gives, each against every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from .faults import Budget, Fault, Rejected, need
from .records import Block, Functional, Reshuffle
from .rows import Form, Index, Reader, form, rank
from .syntax import Number
from .wires import parts_of

Sample = tuple[int | None, int]
"""(n, o) on one axis; n is None in the bi-infinite signal."""
Node = tuple[str, int]
"""An input or output digit."""


@dataclass(frozen=True)
class Outcome:
    """Dimensions, inclusions; `scale` is the coefficient of forth between two fixed sides."""

    left: int
    right: int
    both: int
    forth: bool
    back: bool
    scale: Number


class Table:
    """The different pairs (left form, right form) that occur at an entry of the block's rows."""

    def __init__(self, left: Reader, right: Reader, samples: Sequence[Sequence[Sample]], budget: Budget) -> None:
        self.budget, self.pairs = budget, set[tuple[Form, Form]]()
        for axes in product(*samples):
            extents, out = [n for n, _ in axes], tuple(o for _, o in axes)
            for values, _ in parts_of(left.path.outputs):
                ours, theirs = left.row(extents, values, out), right.row(extents, values, out)
                for entry in ours.keys() | theirs.keys():
                    self.pairs.add((form(ours.get(entry, {})), form(theirs.get(entry, {}))))

    def rank(self, side: int) -> int:
        """The dimension of one family."""
        return rank({pair[side] for pair in self.pairs}, self.budget)

    def joint_rank(self) -> int:
        """The dimension of the sum of both families."""
        return rank((tuple([((0, *v), c) for v, c in a] + [((1, *w), c) for w, c in b]) for a, b in self.pairs), self.budget)

    def carried(self, reshuffle: Reshuffle, source: int) -> bool:
        """Whether each target form, every parameter w in it replaced by the sum of its c v, is the source form."""
        sums: dict[Index, list[tuple[Index, Number]]] = {}
        for v, w, c in reshuffle:
            sums.setdefault(w, []).append((v, c))
        for pair in self.pairs:
            found: dict[Index, Number] = {}
            for w, x in pair[1 - source]:
                for v, c in sums.get(w, ()):
                    found[v] = found.get(v, 0) + c * x
                    self.budget.spend(1)
            if form(found) != pair[source]:
                return False
        return True


class Ties:
    """A block without axes: a digit is free, or tied to another by passing through.

    A free side's family is all functions on the index values that its ties allow. A fixed side ties every digit; its
    family is the multiples of the one function that is 1 there.
    """

    def __init__(self, radices: dict[Node, int], ties: Sequence[Sequence[tuple[Node, Node]]], free: Sequence[bool]) -> None:
        self.radices, self.ties, self.free = radices, ties, free

    def rank(self, side: int) -> int:
        """The dimension of one family."""
        return self._count(self.ties[side]) if self.free[side] else 1

    def both(self) -> int:
        """The dimension of the intersection."""
        if all(self.free):
            return self._count([*self.ties[0], *self.ties[1]])
        fixed = self.free.index(False)
        return int(self.included(fixed))

    def included(self, source: int) -> bool:
        """Whether the source family lies in the target family: its ties imply the target's, and it is no richer than one function
        if the target is one function."""
        names = self._names(self.ties[source])
        implied = all(names[one] == names[other] for one, other in self.ties[1 - source])
        return implied and (self.free[1 - source] or not self.free[source])

    def _names(self, ties: Sequence[tuple[Node, Node]]) -> dict[Node, Node]:
        """Every digit's representative."""
        names = {node: node for node in self.radices}
        for one, other in ties:
            old, new = names[one], names[other]
            names = {node: new if name == old else name for node, name in names.items()}
        return names

    def _count(self, ties: Sequence[tuple[Node, Node]]) -> int:
        return prod(self.radices[name] for name in set(self._names(ties).values()))


def check_block(block: Block, readers: tuple[Reader, Reader], table: Table | Ties, interior: bool) -> Outcome:
    """What the block establishes, after everything that it claims was found to hold."""
    found: list[bool] = []
    for source, inclusion in enumerate(("forth", "back")):
        reshuffle, functional = (block.forth, block.not_forth) if source == 0 else (block.back, block.not_back)
        need((reshuffle is None) != (functional is None), f"exactly one of {inclusion} and not_{inclusion} must be given")
        try:
            if reshuffle is not None:
                _check_reshuffle(reshuffle, readers[source], readers[1 - source], table, source)
            elif functional is not None:
                _check_functional(functional, readers[source], readers[1 - source], interior)
        except Fault as fault:
            raise fault.within(inclusion if functional is None else f"not_{inclusion}") from None
        found.append(functional is None)
    left, right = table.rank(0), table.rank(1)
    if isinstance(table, Ties):
        both = table.both()
    else:
        both = left if found[0] else right if found[1] else left + right - table.joint_rank()
    for name, given, true in (("left", block.left_dim, left), ("right", block.right_dim, right), ("both", block.both_dim, both)):
        need(given == true, f"{name}_dim is {true}")
    scale = sum(c for _, _, c in block.forth or ()) if block.axes else 1
    return Outcome(left, right, both, found[0], found[1], scale)


def _check_reshuffle(reshuffle: Reshuffle, source: Reader, target: Reader, table: Table | Ties, side: int) -> None:
    if isinstance(table, Ties):
        need(not reshuffle, "must be empty in a block without axes")
        need(table.included(side), "the inclusion does not hold")
        return
    for at, (v, w, c) in enumerate(reshuffle):
        if not (source.has(v) and target.has(w) and c):
            raise Rejected("no such parameter, or the coefficient 0").within(f"[{at}]")
    need(len({(v, w) for v, w, _ in reshuffle}) == len(reshuffle), "two entries for the same parameters")
    need(table.carried(reshuffle, side), "the reshuffled forms are not those of the source")


def _check_functional(functional: Functional, source: Reader, target: Reader, interior: bool) -> None:
    shown: dict[Index, Number] = {}
    hidden: dict[Index, Number] = {}
    for at, (extents, out, entry, c) in enumerate(functional.terms):
        try:
            for total, reader in ((shown, source), (hidden, target)):
                for parameter, x in reader.entry(extents, out, entry, interior).items():
                    total[parameter] = total.get(parameter, 0) + c * x
        except Fault as fault:
            raise fault.within(f"terms[{at}]") from None
    need(not form(hidden), "the functional is not zero on the larger class")
    need(functional.value != 0 and shown.get(functional.kernel, 0) == functional.value, "the functional does not have this value")

"""Rows of a block: what an output sample is, as linear forms of the parameters, one for each input sample; and their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product

from .extents import Extents, settle
from .faults import Budget
from .layers import Read
from .syntax import Number
from .wires import Path, State

Index = tuple[int, ...]
Form = tuple[tuple[Index, Number], ...]
"""A linear form: (parameter, coefficient), ascending, without zeros."""
Row = dict[Index, dict[Index, Number]]


class Reader:
    """One side of a block. `chains` are those of the block's axes, whole; `start` is the layer where the path begins."""

    def __init__(self, path: Path, axes: Sequence[int], chains: Sequence[Extents], start: int, bias: bool, budget: Budget) -> None:
        self.path, self.axes, self.chains, self.start, self.bias, self.budget = path, axes, chains, start, bias, budget

    def row(self, extents: Sequence[int | None], values: State, out: Index) -> Row:
        """The row at output digits `values` and positions `out`; None stands for the bi-infinite extent of an axis.

        Followed backwards: a state is (channel state, positions, parameter so far) and has a coefficient.
        """
        states: dict[tuple[State, Index, Index], Number] = {(values, out, ()): 1}
        before = [None if n is None else chain.all(n)[self.start :] for n, chain in zip(extents, self.chains, strict=True)]
        for at in reversed(range(len(self.path.layers))):
            layer, step = self.path.layers[at], self.path.steps[at]
            ends = [None if n is None else n[at] for n in before]
            fresh: dict[tuple[State, Index, Index], Number] = {}
            for (state, position, parameter), weight in states.items():
                for below, phases, chosen in step(state, position):
                    choices = [self._reads(at, a, position[a], ends[a], None if phases is None else phases[a]) for a in range(len(self.axes))]
                    for reads in product(*choices):
                        key = (
                            below,
                            tuple(x for x, _, _ in reads),
                            parameter if chosen is None else (*chosen, *(j for _, j, _ in reads)),
                        )
                        share = weight
                        for _, _, c in reads:
                            if c != 1:
                                share = share * c
                        fresh[key] = fresh.get(key, 0) + share
                        self.budget.spend(1)
            states = fresh
        row: Row = {}
        for (state, position, parameter), weight in states.items():
            part = sum(value * place for value, (_, place) in zip(state, self.path.inputs, strict=True))
            if self.bias:
                entry, parameter = (0,) * (1 + len(self.axes)), (part, 0) + (0,) * len(self.axes)
            else:
                entry, parameter = (part, *position), parameter or (0, 0) + (0,) * len(self.axes)
            forms = row.setdefault(entry, {})
            forms[parameter] = forms.get(parameter, 0) + weight
        return row

    def _reads(self, at: int, a: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        """The reads of one layer on one axis, with those beyond the ends settled."""
        layer, axis = self.path.layers[at], self.axes[a]
        self.budget.spend(layer.breadth(axis))
        reads = layer.reads(axis, o, n, phase)
        if n is None:
            return reads
        low, high = layer.inside(axis, n)
        if all(low <= x < high for x, _, _ in reads):
            return reads
        settled = ((x if low <= x < high else settle(layer, axis, x, n), j, c) for x, j, c in reads)
        return [(x, j, c) for x, j, c in settled if x is not None]


def form(found: dict[Index, Number]) -> Form:
    """A form without its zeros."""
    return tuple(sorted(item for item in found.items() if item[1]))


def rank(forms: Iterable[Form], budget: Budget) -> int:
    """The rank of linear forms over the rationals, by elimination of each form's smallest parameter."""
    pivots: dict[Index, dict[Index, Number]] = {}
    for given in forms:
        rest = dict(given)
        while rest:
            first = min(rest)
            pivot = pivots.get(first)
            budget.spend(len(rest))
            if pivot is None:
                pivots[first] = rest
                break
            budget.spend(len(pivot))
            factor = _quotient(rest[first], pivot[first])
            for parameter, c in pivot.items():
                value = rest.get(parameter, 0) - factor * c
                if value:
                    rest[parameter] = value
                else:
                    rest.pop(parameter, None)
    return len(pivots)


def _quotient(top: Number, bottom: Number) -> Number:
    if isinstance(top, int) and isinstance(bottom, int) and top % bottom == 0:
        return top // bottom
    return Fraction(top) / bottom

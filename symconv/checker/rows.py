"""Rows of a block: what an output sample is, as linear forms of the parameters, one for each input sample; and their ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product

from .extents import Extents, settle
from .faults import Budget, Rejected, need
from .layers import Read
from .syntax import Number
from .wires import Path, State, values_of

Index = tuple[int, ...]
Form = tuple[tuple[Index, Number], ...]
"""A linear form: (parameter, coefficient), ascending, without zeros."""
Row = dict[Index, dict[Index, Number]]


class Reader:
    """One side of a block: its path, and its chain on each axis of the block. `first` is the layer of the chain where the path begins."""

    def __init__(self, path: Path, chains: Sequence[Extents], first: int, bias: bool, budget: Budget) -> None:
        self.path, self.chains, self.first, self.bias, self.budget = path, chains, first, bias, budget
        self.axes = [chain.axis for chain in chains]

    def has(self, parameter: Index) -> bool:
        """Whether it is a parameter of the block on this side."""
        if len(parameter) != 2 + len(self.axes):
            return False
        kernels = [layer.taps(axis) for layer in self.path.layers if layer.parametric for axis in self.axes] or [1] * len(self.axes)
        p, q, *taps = parameter
        known = values_of(p, self.path.p) is not None and values_of(q, self.path.q) is not None
        return known and all(0 <= j < k for j, k in zip(taps, kernels, strict=True))

    def entry(self, extents: Index, out: Index, at: Index, interior: bool) -> dict[Index, Number]:
        """The form at output index `out` and input index `at`; Rejected if there is no such entry."""
        axes = len(self.axes)
        need(len(extents) == axes and len(out) == len(at) == 1 + axes, "one extent per axis, and indices of one entry more, are needed")
        values = values_of(out[0], self.path.outputs)
        known = values_of(at[0], self.path.inputs) is not None if not self.bias else not any(at)
        if values is None or not known:
            raise Rejected("no such channel part")
        if interior:
            need(not any(extents), "the extents of the bi-infinite signal are written 0")
            return self.row([None] * axes, values, out[1:]).get(at, {})
        for chain, n, o, i in zip(self.chains, extents, out[1:], at[1:], strict=True):
            need(chain.valid(n), f"{n} is no valid extent on axis {chain.axis}")
            need(0 <= o < chain.all(n)[-1] and 0 <= i < n, f"no such sample on axis {chain.axis}")
        return self.row(extents, values, out[1:]).get(at, {})

    def row(self, extents: Sequence[int | None], values: State, out: Index) -> Row:
        """The row at output digits `values` and positions `out`; None stands for the bi-infinite extent of an axis.

        Followed backwards: a state is (channel state, positions, parameter so far) and has a coefficient.
        """
        states: dict[tuple[State, Index, Index], Number] = {(values, out, ()): 1}
        before = [None if n is None else chain.all(n)[self.first :] for n, chain in zip(extents, self.chains, strict=True)]
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

"""What one layer is and does, as plain data: the object that `symconv explain --json` prints.

Owns: `Explanation`, `explain_layer`. Must not know: layout, options.

Parts that a layer does not have (a matrix of a nonlinear chain), or that are too large to show, are None, and
`omitted` says why.
"""

from __future__ import annotations

import itertools
import math
import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.errors import BudgetExceeded, LayerError, OutsideFragment, SymconvError
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, Sequential, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.domain import Domain, domain
from symconv.operators.steps import rates
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity
from symconv.report.extents import domain_text, extent_formula
from symconv.report.reduced import Chain, Reduced, one_axis, one_pair
from symconv.theory.verdict import Verdict

SCHEMA = "symconv.explain/1"
FORMS = ("lr-shuffle", "transposed", "zero-insertion", "unshuffle")
LETTERS = string.ascii_lowercase + string.ascii_uppercase

MOST_ROWS, MOST_COLUMNS = 36, 16
MOST_ENTRIES = 20_000
MOST_TERMS = 1_024
MOST_PHASES = 64
MOST_EXTENTS = 12

Index = tuple[int, ...]
Json = dict[str, Any]


@attrs.frozen(kw_only=True)
class Explanation:
    """One layer, explained.

    Args:
        layer: the layer as an expression.
        channels: (input, output).
        extents: per axis the output extent as a formula, and the valid extents.
        parameters, dimension: how many parameters there are, and how many the function can see; None if not decided.
        dead_taps: per axis, taps that no output of any extent depends on.
        taps: the kernel of one channel pair: shape, and a name for every tap.
        matrix: the operator matrix of one channel pair at small extents.
        seen: per axis, the taps that are seen at small extents, until all are.
        polyphase: the interior operator of one channel pair by phases; coefficients are named taps.
        phases: per axis, how many taps each output phase has.
        constants: what a constant input of ones gives in each output phase: sums of named taps.
        cost: multiplications for each input and output sample position, and parameters.
        forms: the layer in its other forms.
        omitted: part to reason, for what is None.
    """

    layer: str
    axes: int
    channels: tuple[int, int]
    extents: tuple[Json, ...]
    parameters: int
    dimension: int | None = None
    dead_taps: list[list[int]] | None = None
    taps: Json | None = None
    matrix: Json | None = None
    seen: list[Json] | None = None
    polyphase: Json | None = None
    phases: list[list[int]] | None = None
    constants: list[Json] | None = None
    cost: Json
    forms: tuple[Json, ...] = ()
    omitted: Mapping[str, str] = attrs.field(factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> Json:
        """The JSON object, with plain values only."""
        fields = attrs.asdict(self, recurse=False)
        return {"schema": SCHEMA} | {name: _plain(value) for name, value in fields.items()}

    @property
    def even_overlap(self) -> bool | None:
        """Whether every output phase has the same number of taps, so that a checkerboard is not built in."""
        return None if self.phases is None else all(len(set(counts)) == 1 for counts in self.phases)


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Fraction) else value


def explain_layer(layer: Layer, *, channels: int | None = None, extents: Sequence[int] | None = None, budget: float = 60.0) -> Explanation:
    """Everything about one layer.

    Args:
        layer: a weightless layer or chain.
        channels: input channels, where no layer says how many.
        extents: input extents of the operator matrix; small ones by default.
        budget: seconds; what does not fit into them is left out.

    Raises:
        LayerError: the chain does not fit together, or the extents have another number of axes.
        UsageError: the extents are not valid for the layer.
    """
    return _Explainer(layer, channels, extents, time.monotonic() + budget).explanation()


class _Explainer:
    """One layer on its way to an explanation."""

    def __init__(self, layer: Layer, channels: int | None, extents: Sequence[int] | None, deadline: float) -> None:
        pair = bind_pair(layer, layer, channels)
        self.started = time.perf_counter()
        self.chain, self.axes, self.channels, self.wanted = pair.left, pair.axes, pair.channels, extents
        if extents is not None and len(extents) != self.axes:
            raise LayerError(f"`--extents` must be {self.axes} integers, one a spatial axis; found {len(extents)}.")
        self.deadline = deadline
        self.omitted: dict[str, str] = {}
        linear = tuple(item for item in self.chain if not is_nonlinearity(item))
        self.words = words_of(linear, self.channels, self.axes) if self._can_lower(linear) else None
        self.domains = [] if self.words is None else [domain(word) for word in self.words]
        self.pair = self._one_pair()
        self.names = _names(self.pair)

    def _can_lower(self, linear: Chain) -> bool:
        try:
            words_of(linear, self.channels, self.axes)
        except (OutsideFragment, BudgetExceeded) as stop:
            self.omitted["extents"] = stop.detail
            return False
        return True

    def _one_pair(self) -> Reduced | None:
        if len([item for item in self.chain if is_nonlinearity(item)]):
            self.omitted["operator"] = "a chain with nonlinearities has no operator matrix; explain each linear stage on its own"
            return None
        if sum(map(is_parametric, self.chain)) > 1:
            self.omitted["operator"] = "two layers with parameters make a class that is no linear space; explain each on its own"
            return None
        found = one_pair(self.chain)
        if found is None:
            self.omitted["operator"] = "the channels do not come apart into pairs"
        return found

    def explanation(self) -> Explanation:
        verdict = self._attempt("dimension", self._verdict)
        dead = None if verdict is None or verdict.dead_taps is None else verdict.dead_taps.get("left")
        seen = self._attempt("seen", lambda: self._seen(dead)) if self.pair else None
        return Explanation(
            layer=format_layer(Sequential(self.chain), self.axes),
            axes=self.axes,
            channels=(self.channels, channels_through(self.chain, self.channels)[-1]),
            extents=tuple(self._extents()),
            parameters=self._cost()["parameters"],
            dimension=None if verdict is None or verdict.dimension is None else verdict.dimension.left,
            dead_taps=dead,
            taps=self._taps(),
            matrix=self._attempt("matrix", lambda: self._matrix(seen)) if self.pair else None,
            seen=seen,
            polyphase=self._attempt("polyphase", self._polyphase) if self.pair else None,
            phases=self._attempt("phases", self._phases) if self.pair else None,
            constants=self._attempt("constants", self._constants) if self.pair else None,
            cost=self._cost(),
            forms=tuple(self._forms()),
            omitted=self.omitted,
            seconds=round(time.perf_counter() - self.started, 6),
        )

    def _attempt(self, part: str, make: Callable[[], Any]) -> Any:
        """A part, or None and an entry in `omitted`."""
        try:
            if time.monotonic() > self.deadline:
                raise BudgetExceeded("the budget ran out; give more with --budget")
            return make()
        except (OutsideFragment, BudgetExceeded) as stop:
            self.omitted[part] = stop.detail
        except MemoryError:
            self.omitted[part] = "memory ran out"
        return None

    def _verdict(self) -> Verdict | None:
        """The layer against itself: its dimension, and the taps that nothing sees."""
        import symconv.api

        layer = Sequential(self.chain)
        verdict = symconv.api.check(layer, layer, channels=self.channels, budget=self._seconds(), presburger=False)
        if verdict.detail is not None:
            self.omitted["dimension"] = verdict.detail
        return verdict

    def _seconds(self) -> float:
        return max(0.1, self.deadline - time.monotonic())

    def _extents(self) -> Iterator[Json]:
        for word, valid in zip(self.words or (), self.domains, strict=True):
            p, q = rates(word)
            yield {
                "formula": extent_formula(word, valid),
                "valid": domain_text(valid),
                "first": valid.first(),
                "input_period": p,
                "output_period": q,
            }

    def _taps(self) -> Json | None:
        if self.pair is None or not self.names:
            return None
        kernels: dict[Index, dict[Index, str]] = {}
        for (_, *index), name in self.names.items():
            kernels.setdefault((index[0], index[1]), {})[tuple(index[2:])] = name
        listed = [{"kernel": list(pair), "names": [[list(tap), name] for tap, name in taps.items()]} for pair, taps in kernels.items()]
        return {"shape": list(_kernel(self.pair.chain)), "kernels": listed}

    # ---- the operator at small extents

    def _seen(self, dead: list[list[int]] | None) -> list[Json]:
        """Per axis: (extent, taps seen there), from the smallest valid extent until all taps that can be seen are."""
        assert self.pair is not None
        kernel = _kernel(self.pair.chain)
        return [self._seen_on(axis, kernel, set((dead or [[]] * self.axes)[axis])) for axis in range(self.axes)] if kernel else []

    def _seen_on(self, axis: int, kernel: Index, dead: set[int]) -> Json:
        from symconv.operators.denote import denote

        assert self.pair is not None
        part = one_axis(self.pair, axis)
        if part is None:
            raise OutsideFragment("the axes do not come apart")
        rows: list[tuple[int, list[int]]] = []
        for n in itertools.islice(self.domains[axis].members(), MOST_EXTENTS):
            if n * kernel[axis] * part.channels > MOST_ENTRIES:
                break
            table = denote(part.chain, part.channels, (n,))
            found = {int(p[-1]) for row in table.entries.values() for form in row.values() for p in form if p is not None and p[0] == "w"}
            rows.append((n, sorted(found)))
            if len(found) >= kernel[axis] - len(dead):
                break
        return {"axis": axis, "taps": kernel[axis], "extents": [{"extent": n, "seen": found} for n, found in rows]}

    def _matrix(self, seen: list[Json] | None) -> Json:
        """The operator matrix of one channel pair; entries are linear forms in named taps."""
        from symconv.operators.denote import ExtentRejected, denote
        from symconv.report.witness import UsageError  # type: ignore[attr-defined]

        raise NotImplementedError

"""What one layer is and does, as plain data: the object that `symconv explain --json` prints.

Owns: `Explanation`, `explain_layer`. Must not know: layout, options.

Parts that a layer does not have (a matrix of a nonlinear chain), or that are too large to show, are None, and
`omitted` says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

import symconv.api
from symconv.convert.cost import cost_of
from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.layers import Layer, Sequential, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.domain import domain
from symconv.operators.steps import rates
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity
from symconv.report.extents import domain_text, extent_formula
from symconv.report.operator import (
    Names,
    constant_gains,
    kernel_of,
    matrix,
    matrix_extents,
    phase_taps,
    polyphase_form,
    seen_taps,
    tap_names,
)
from symconv.report.reduced import Reduced, one_pair
from symconv.theory.verdict import Verdict

SCHEMA = "symconv.explain/1"
FORMS = ("lr-shuffle", "transposed", "zero-insertion", "unshuffle")

Json = dict[str, Any]


@attrs.frozen(kw_only=True)
class Explanation:
    """One layer, explained.

    Args:
        layer: the layer as an expression.
        axes, channels: spatial axes; (input, output) channels.
        extents: per axis the output extent as a formula, and the valid extents.
        parameters, dimension: how many parameters there are, and how many the function can see.
        dead_taps: per axis, taps that no output of any extent depends on.
        taps: the kernel of one channel pair: shape, and a name for every tap.
        matrix: the operator matrix of one channel pair at small extents.
        seen: per axis, the taps that are seen at small extents, until all are.
        polyphase: the interior operator of one channel pair by phases; coefficients are named taps.
        phases: per axis, how many taps each output phase has.
        constants: what an input of ones gives in each output phase, as sums of named taps.
        cost: multiplications for each input and each output sample position, all channels together.
        forms: the layer in its other forms.
        omitted: part to reason, for what is None.
    """

    layer: str
    axes: int
    channels: tuple[int, int]
    extents: tuple[Json, ...]
    parameters: int
    dimension: int | None
    dead_taps: list[list[int]] | None
    taps: Json | None
    matrix: Json | None
    seen: list[Json] | None
    polyphase: Json | None
    phases: list[list[int]] | None
    constants: list[Json] | None
    cost: Json
    forms: tuple[Json, ...]
    omitted: Mapping[str, str]
    seconds: float

    @property
    def even_overlap(self) -> bool | None:
        """Whether every output phase has the same number of taps; if not, a checkerboard is likely."""
        return None if self.phases is None else all(len(set(counts)) == 1 for counts in self.phases)

    @property
    def upsamples(self) -> bool:
        """Whether there is more than one output phase."""
        return any(len(counts) > 1 for counts in self.phases or ())

    def to_dict(self) -> Json:
        """The JSON object, with plain values only."""
        return {"schema": SCHEMA} | {name: _plain(value) for name, value in attrs.asdict(self, recurse=False).items()}


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
    return _Explainer(layer, channels, extents, budget).explanation()


@attrs.frozen
class Shown:
    """One channel pair, and the names of its taps."""

    one: Reduced
    names: Names


def _taps(shown: Shown) -> Json | None:
    """The names, kernel by kernel."""
    kernels: dict[tuple[int, int], list[Any]] = {}
    for (p, q, *tap), name in shown.names.items():
        kernels.setdefault((p, q), []).append([tap, name])
    listed = [{"output": p, "input": q, "names": names} for (p, q), names in kernels.items()]
    return {"shape": list(kernel_of(shown.one.chain)), "kernels": listed} if listed else None


class _Explainer:
    """One layer on its way to an explanation."""

    def __init__(self, layer: Layer, channels: int | None, extents: Sequence[int] | None, budget: float) -> None:
        self.started, self.deadline = time.perf_counter(), time.monotonic() + budget
        pair = bind_pair(layer, layer, channels)
        self.chain, self.axes, self.channels, self.wanted = pair.left, pair.axes, pair.channels, extents
        if extents is not None and len(extents) != self.axes:
            raise LayerError(f"`--extents` must be {self.axes} integer{'s' * (self.axes > 1)}, one a spatial axis; found {len(extents)}.")
        self.omitted: dict[str, str] = {}
        linear = tuple(item for item in self.chain if not is_nonlinearity(item))
        self.words = self._attempt("extents", lambda: words_of(linear, self.channels, self.axes)) or []
        self.domains = self._attempt("extents", lambda: [domain(word) for word in self.words]) or []
        self.one = self._one_pair() if self.domains else None
        self.shown = self._attempt("taps", self._named)

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

    def _one_pair(self) -> Reduced | None:
        if any(map(is_nonlinearity, self.chain)):
            self.omitted["operator"] = "a chain with nonlinearities has no operator matrix; explain each linear stage on its own"
            return None
        if sum(map(is_parametric, self.chain)) > 1:
            self.omitted["operator"] = "two layers with parameters do not make a linear family; explain each on its own"
            return None
        found = one_pair(self.chain)
        if found is None:
            self.omitted["operator"] = "the channels do not come apart into pairs"
        return found

    def _named(self) -> Shown | None:
        return None if self.one is None else Shown(self.one, tap_names(self.one))

    def explanation(self) -> Explanation:
        verdict = self._attempt("dimension", self._verdict)
        dead = None if verdict is None or verdict.dead_taps is None else verdict.dead_taps.get("left")
        seen = self._of_pair("seen", lambda shown: self._seen(shown, dead))
        cost = cost_of(self.chain, self.channels)
        return Explanation(
            layer=format_layer(Sequential(self.chain), self.axes),
            axes=self.axes,
            channels=(self.channels, channels_through(self.chain, self.channels)[-1]),
            extents=tuple(self._extents()),
            parameters=cost.parameters,
            dimension=None if verdict is None or verdict.dimension is None else verdict.dimension.left,
            dead_taps=dead,
            taps=self._of_pair("taps", _taps),
            matrix=self._of_pair("matrix", lambda shown: self._matrix(shown, seen)),
            seen=seen,
            polyphase=self._of_pair("polyphase", lambda shown: polyphase_form(shown.one, shown.names, self.axes)),
            phases=self._attempt("phases", lambda: None if self.one is None else phase_taps(self.one, self.axes)),
            constants=self._of_pair("constants", lambda shown: constant_gains(shown.one, shown.names, self.axes)),
            cost=self._cost(cost.multiplications),
            forms=tuple(self._forms()),
            omitted=self.omitted,
            seconds=round(time.perf_counter() - self.started, 6),
        )

    def _verdict(self) -> Verdict:
        """The layer against itself: its dimension, and the taps that nothing sees."""
        chain = Sequential(self.chain)
        verdict = symconv.api.check(chain, chain, channels=self.channels, budget=self._seconds(), presburger=False)
        if verdict.detail is not None:
            self.omitted["dimension"] = verdict.detail
        return verdict

    def _seconds(self) -> float:
        return max(0.1, self.deadline - time.monotonic())

    def _extents(self) -> Iterator[Json]:
        for word, valid in zip(self.words, self.domains, strict=False):
            p, q = rates(word)
            yield {
                "formula": extent_formula(word, valid),
                "valid": domain_text(valid),
                "first": valid.first(),
                "input_period": p,
                "output_period": q,
            }

    def _of_pair(self, part: str, make: Callable[[Shown], Any]) -> Any:
        shown = self.shown
        return None if shown is None else self._attempt(part, lambda: make(shown))

    def _seen(self, shown: Shown, dead: list[list[int]] | None) -> list[Json] | None:
        counts = [len(taps) for taps in dead] if dead else [0] * self.axes
        found = [seen_taps(shown.one, axis, self.domains[axis], counts[axis]) for axis in range(self.axes)]
        return None if None in found else [item for item in found if item is not None]

    def _matrix(self, shown: Shown, seen: list[Json] | None) -> Json:
        extents = self.wanted or matrix_extents(shown.one, self.domains, seen or [])
        return matrix(shown.one, shown.names, extents)

    def _cost(self, multiplications: Fraction) -> Json:
        """Multiplications for each sample position; outputs are counted by the rates of the axes."""
        growth = Fraction(1)
        for word in self.words:
            p, q = rates(word)
            growth *= Fraction(q, p)
        return {"per_input_sample": multiplications, "per_output_sample": multiplications / growth if self.words else None}

    def _forms(self) -> Iterator[Json]:
        """The layer in every form that it has, or why not."""
        from symconv.convert.layer import convert_layer

        known = {format_layer(Sequential(self.chain), self.axes)}
        for to in FORMS:
            try:
                found = convert_layer(Sequential(self.chain), to, channels=self.channels, budget=self._seconds(), presburger=False)
            except LayerError:
                continue
            if found.target in known:
                continue
            if found.target is not None:
                known.add(found.target)
            relation = None if found.verdict is None else found.verdict.relation.value
            domains = None if found.verdict is None or found.verdict.domain is None else found.verdict.domain.value
            yield {"to": to, "target": found.target, "relation": relation, "domain": domains, "reason": found.reason}

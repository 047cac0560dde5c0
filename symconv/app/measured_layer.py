"""One layer of an ONNX model: its ways compared on integers and raced in a runtime, as small models of the nodes that the file would have.

Owns: `measured`, `Place`.
Must not know: whole models, files of models, columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import attrs
import numpy as np

from symconv.certificate.encode import digest
from symconv.conformance.model_session import Session, open_session, version
from symconv.convert.choice import FORTH
from symconv.convert.cost import cost_of
from symconv.convert.fastest import cache
from symconv.convert.fastest.account import chain_account
from symconv.convert.fastest.equivalents import GIVEN, Form, Forms
from symconv.convert.fastest.found import Choice, stored
from symconv.convert.fastest.processor import processor
from symconv.convert.fastest.ranking import CHOSEN, MEASURED, REFUSED, Row, contest, lap_of, own_version, row_of
from symconv.convert.fastest.summands import largest_integer, terms
from symconv.convert.onnx.alternatives import Alternatives, Way
from symconv.convert.onnx.excerpt import NUMPY, Bits, Excerpt
from symconv.convert.onnx.plan import Change, Request
from symconv.errors import BudgetExceeded, LayerError, ModelError, OutsideFragment
from symconv.operators.domain import domain
from symconv.prove.stage import words_of

REVISION = 1
"""Raised when ways are written otherwise, so that old measurements are not believed."""
STARTS = ((1, 1), (2, 2), (1, 5), (1, 8))
"""Batch and first extent of inputs on which ways are compared, where the model leaves extents free."""
MOST_BYTES = 1 << 30
"""Of the weights of a layer that is measured."""

Pairs = list[tuple[np.ndarray, np.ndarray]]
"""Inputs and outputs."""

_REFUSALS = (ModelError, OutsideFragment, BudgetExceeded, MemoryError)


@attrs.frozen(kw_only=True)
class Place:
    """Where layers are measured, and how long.

    Args:
        runtime, device, threads: of the sessions.
        seconds, clock, cached: of the races.
    """

    runtime: str
    device: str
    threads: int
    seconds: float
    clock: str
    cached: bool

    @property
    def name(self) -> str:
        """For people."""
        title = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}[self.runtime]
        return f"{title} {version(self.runtime)}, {self.device}: {processor()}"

    def open(self, model: Any) -> Session:
        """A session of a part of a model."""
        return open_session(self.runtime, model, self.device, self.threads)


def measured(
    layer: Alternatives,
    excerpt: Excerpt,
    request: Request,
    shape: tuple[int, ...],
    place: Place,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Choice, Way | None]:
    """The choice for a layer, and the way that was chosen, None for the layer as it stands.

    Raises:
        LayerError: the layer cannot be measured alone; the message says why.
    """
    return _Measuring(layer, excerpt, request, shape, place, progress).answer()


class _Measuring:
    def __init__(
        self, layer: Alternatives, excerpt: Excerpt, request: Request, shape: tuple[int, ...], place: Place, progress: Callable[[str], None]
    ) -> None:
        self.layer, self.excerpt, self.request, self.shape, self.place = layer, excerpt, request, shape, place
        self.progress = progress
        self.axes = layer.stretch.axes
        self.forms = _forms(layer)

    def answer(self) -> tuple[Choice, Way | None]:
        self.require()
        known = cache.recall(self.question, self.place.seconds) if self.place.cached else None
        remembered = None if known is None else self.remembered(known)
        if remembered is not None:
            return remembered
        choice, way = self.raced()
        if self.place.cached:
            cache.remember(self.question, stored(choice), self.place.seconds)
        return choice, way

    @property
    def question(self) -> dict[str, Any]:
        """All that a measurement depends on."""
        return {
            "nodes": digest({"nodes": [list(_nameless(node.proto)) for node in self.layer.stretch.nodes]}),
            "layer": self.forms.source,
            "opset": self.excerpt.model.opset,
            "extents": list(self.excerpt.extents),
            "ways": [f"{way.form}: {way.engine}: {way.change.choice.texts[1]}" for way in self.layer.ways],
            "target": list(self.request.constraints.words),
            "shape": list(self.shape),
            "dtype": self.excerpt.dtype,
            "device": self.place.name,
            "threads": self.place.threads,
            "clock": self.place.clock,
            "symconv": own_version(),
            "revision": REVISION,
        }

    def require(self) -> None:
        """The layer by itself runs, and can be compared on integers."""
        held = self.excerpt.kernel
        if held.dtype not in NUMPY:
            raise LayerError(f"its weights are of type {held.dtype}, of which symconv makes no arrays")
        words = words_of(self.layer.stretch.layers, self.layer.channels, self.axes)
        if not all(n in domain(word) for word, n in zip(words, self.shape[2:], strict=True)):
            raise LayerError(f"it receives {list(self.shape)}, which it does not accept")
        if held.bytes > MOST_BYTES:
            raise LayerError(f"its weights take {held.bytes / 2**30:.1f} GiB, too many to be measured alone")
        if not self.most:
            raise LayerError(f"its sums have too many terms to be compared on integers in {self.excerpt.dtype[1:]}")

    @property
    def most(self) -> int:
        """The largest integer that weights and samples may be."""
        return largest_integer(terms(self.layer.stretch.layers), self.excerpt.significand)

    def raced(self) -> tuple[Choice, Way | None]:
        rng = np.random.default_rng(0)
        x = {self.layer.stretch.input: rng.standard_normal(self.shape, dtype=np.float32).astype(self.excerpt.dtype)}
        first = _row(GIVEN, GIVEN, "as it stands", self.counted(self.layer.stretch.layers))
        own = self.excerpt.own()
        rows, kept, calls = list[Row](), list[tuple[Way, Row]](), list[Callable[[], object]]()
        given = self.opened(self.excerpt.given(own))
        calls.append(self.call(given, x))
        for position, way in enumerate(self.layer.ways):
            self.progress(f"comparing {position + 1} of {len(self.layer.ways)}")
            row = _row(way.form, way.engine, way.why, self.counted(way.change.choice.target or ()))
            try:
                reason = self.differs(way)
                if reason is None:
                    call = self.place.open(self.excerpt.changed(way.change, self.request, own)).call(x)
                    call()
                    kept.append((way, row))
                    calls.append(call)
                    continue
            except _REFUSALS as error:
                reason = str(error).splitlines()[0]
            rows.append(attrs.evolve(row, status=REFUSED, reason=reason))
        if self.layer.needed:
            return self.fastest_allowed(first, kept, calls, rows)
        outcome = contest(calls, self.place.seconds, self.place.device, clock=self.place.clock, progress=self.progress)
        done = outcome.rows([first, *(row for _, row in kept)])
        winner = kept[outcome.best - 1][0] if outcome.best else None
        return self.choice((*done, *rows), outcome.control, outcome.confirmed, cached=False), winner

    def fastest_allowed(
        self, first: Row, kept: Sequence[tuple[Way, Row]], calls: Sequence[Callable[[], object]], refused: Sequence[Row]
    ) -> tuple[Choice, Way | None]:
        """The fastest of the ways that the target can run, whether or not the layer as it stands is faster."""
        from symconv.convert.fastest.clock import race

        if not kept:
            raise LayerError(f"{self.layer.needed}, and no other form runs: {refused[0].reason if refused else 'there is none'}")
        laps, control = race(calls, self.place.seconds, self.place.device, drop=False, clock=self.place.clock)
        best = max(range(1, len(calls)), key=lambda place: laps[place].ratio)
        done = [attrs.evolve(row, lap=lap, status=MEASURED) for row, lap in zip([first, *(row for _, row in kept)], laps, strict=True)]
        done[best] = attrs.evolve(done[best], status=CHOSEN)
        return self.choice((*done, *refused), control, laps[best], cached=False), kept[best - 1][0]

    def opened(self, model: Any) -> Session:
        try:
            return self.place.open(model)
        except _REFUSALS as error:
            raise LayerError(f"it does not run alone: {str(error).splitlines()[0]}") from error

    def call(self, session: Session, x: dict[str, np.ndarray]) -> Callable[[], object]:
        call = session.call(x)
        try:
            call()
        except _REFUSALS as error:
            raise LayerError(f"it does not run alone at {self.shape}: {str(error).splitlines()[0]}") from error
        return call

    def differs(self, way: Way) -> str | None:
        """What a way computes otherwise than the layer's own nodes, on integers, or None."""
        weights, pairs = self.free if way.change.choice.way == FORTH else self.reference(way.change)
        made = self.place.open(self.excerpt.changed(way.change, self.request, weights))
        for x, wanted in pairs:
            (found,) = made.run({self.layer.stretch.input: x})
            if found.shape != wanted.shape or not np.array_equal(found, wanted):
                return f"at {x.shape} it gives other numbers than the layer"
        return None if pairs else "not compared: the layer accepts none of the extents that were tried"

    @cached_property
    def free(self) -> tuple[Bits, Pairs]:
        """The reference for ways that take any weights."""
        return self.reference(None)

    def reference(self, change: Change | None) -> tuple[Bits, Pairs]:
        """Integers as weights, such as a change takes, and what the layer's own nodes give with them on integers."""
        rng = np.random.default_rng(1)
        weights = self.excerpt.integers(self.most, rng, change)
        given, pairs = self.place.open(self.excerpt.given(weights)), []
        for shape in self.compared_shapes():
            x = rng.integers(-self.most, self.most + 1, shape).astype(self.excerpt.dtype)
            with suppress(ModelError):  # the layer refuses the extents
                (wanted,) = given.run({self.layer.stretch.input: x})
                pairs.append((x, wanted))
        return weights, pairs

    def compared_shapes(self) -> Iterator[tuple[int, ...]]:
        free = self.excerpt.extents[:1] + self.excerpt.extents[2:]
        if not self.excerpt.side and not any(free):
            for batch, start in STARTS:
                yield (batch, self.shape[1], *range(start, start + self.axes))
        yield self.shape

    def counted(self, layers: Sequence[Any]) -> tuple[int, int, int]:
        """(multiplications, bytes moved, bytes of weights) of a chain."""
        size = np.dtype(self.excerpt.dtype).itemsize
        counts = chain_account(layers, self.axes, self.layer.channels, self.shape)
        return counts.multiplications, size * counts.moved, size * counts.weights

    def remembered(self, known: dict[str, Any]) -> tuple[Choice, Way | None] | None:
        """A choice of an earlier run, if its way is still there and still gives the layer's integers."""
        try:
            rows = tuple(row_of(item) for item in known["rows"])
            control, confirmed = lap_of(known["control"]), lap_of(known["confirmed"])
            (chosen,) = [row for row in rows if row.status == CHOSEN]
            given = rows[0]
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        if given.form != GIVEN or given.lap is None:
            return None
        if chosen is given:
            return None if self.layer.needed else (self.choice(rows, control, None, cached=True), None)
        way = next((way for way in self.layer.ways if (way.form, way.engine) == (chosen.form, chosen.engine)), None)
        try:
            if way is None or confirmed is None or self.differs(way) is not None:
                return None
        except _REFUSALS:
            return None
        return self.choice(rows, control, confirmed, cached=True), way

    def choice(self, rows: tuple[Row, ...], control: Any, confirmed: Any, *, cached: bool) -> Choice:
        return Choice(
            source=self.forms.source,
            shape=self.shape,
            device=self.place.name,
            dtype={"<f4": "float32", "<f8": "float64", "<f2": "float16"}[self.excerpt.dtype],
            threads=self.place.threads,
            clock=self.place.clock,
            rows=rows,
            control=control,
            confirmed=confirmed,
            cached=cached,
            forms=self.forms,
        )


def _row(form: str, engine: str, why: str, counts: tuple[int, int, int]) -> Row:
    multiplications, moved, weights = counts
    return Row(form=form, engine=engine, why=why, status=MEASURED, multiplications=multiplications, bytes=moved, weight_bytes=weights)


def _nameless(proto: Any) -> Iterator[str]:
    """A node without the names that a file gives it."""
    yield proto.op_type
    for attribute in sorted(proto.attribute, key=lambda item: item.name):
        yield attribute.SerializeToString(deterministic=True).hex()


def _forms(layer: Alternatives) -> Forms:
    """The layer's forms, as measurements speak of them."""
    stretch, found = layer.stretch, dict[str, Form]()
    found[GIVEN] = Form(name=GIVEN, layers=stretch.layers, multiplications=cost_of(stretch.layers, layer.channels).multiplications)
    for way in layer.ways:
        choice = way.change.choice
        assert choice.target is not None and choice.after is not None, "it was chosen"
        if way.form not in found:
            found[way.form] = Form(
                name=way.form, layers=choice.target, verdict=choice.verdict, multiplications=choice.after.multiplications
            )
    source = layer.ways[0].change.choice.texts[0]
    return Forms(source=source, axes=stretch.axes, channels=layer.channels, found=tuple(found.values()), refused=layer.refused)

"""Pairs of models opened for a number format and a kind of evidence, and proved to be the same once more.

Owns: `Openings`, `Opened`: small integers for weights, numbers that are fed, distances that are allowed.
Must not know: what is run, rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from symconv.conformance.graphs.crossval_cuts import Cutter
from symconv.conformance.graphs.crossval_extents import accepted
from symconv.conformance.graphs.crossval_inputs import draw_floats, draw_inputs
from symconv.conformance.graphs.crossval_integers import Whole
from symconv.conformance.graphs.crossval_pair import SIDES, ModelPair, Pair, Runnable, Subject
from symconv.conformance.graphs.opened import Cut, Opening
from symconv.conformance.plan import Plan
from symconv.conformance.precision import Precision, precision_on
from symconv.conformance.torch_runs import TorchSetting, rounded_to
from symconv.conformance.torch_switches import configured
from symconv.errors import OutsideFragment
from symconv.prove.graphs.compare import compare
from symconv.prove.graphs.dataflow import Dataflow, Value
from symconv.prove.graphs.outcome import Comparison, Likeness

LEVELS = ((63, 1.0, 3), (15, 1.0, 3), (3, 1.0, 2), (1, 1.0, 1), (1, 0.25, 1), (1, 1 / 16, 1), (1, 1 / 64, 1))
"""Largest weight, share of the weights that are not 0, largest input; tried in this order until no sum has to be left out. Two weights
that a fault exchanges have the same integer once in 126 instances at the first level, so it is not a small one."""
SLOW = 1.0
"""Seconds of the first proof from which on all instances have the same small integers for weights."""


@attrs.frozen(eq=False)
class Opened:
    """A pair opened for one number format and one kind of evidence, proved to be the same.

    Args:
        subjects: the models, with small integers for weights in exact mode.
        opening: where they are cut.
        graphs: the opened models.
        runs: the same, ready to run.
        allowances: shown left value to (distance, where its inputs come from) of parts that are equal up to a distance.
        kept: per side, value to the left value that says what it is: of extents alone.
        notes: remarks for the rows.
        most: the largest integer that is fed, or None.
    """

    subjects: tuple[Subject, Subject]
    opening: Opening
    graphs: tuple[Dataflow, Dataflow]
    runs: tuple[Runnable, Runnable]
    allowances: Mapping[Value, tuple[Fraction, str]]
    kept: tuple[Mapping[Value, Value], Mapping[Value, Value]]
    notes: tuple[str, ...]
    most: int | None


class Openings:
    """How one pair is opened, with numbers for it.

    Args:
        pair: the models.
        plan: whose seed and device count.
    """

    def __init__(self, pair: ModelPair, plan: Plan) -> None:
        self.pair, self.plan = pair, plan
        self.host = plan.device if plan.device == "cuda" else "cpu"
        self.reference = TorchSetting(self.host, "float64", algorithm="no-cudnn" if self.host == "cuda" else "no-onednn")
        self.accepted = accepted(pair, plan.extents, plan.seed)
        self.shapes = self.accepted.shapes
        self._wholes: dict[tuple[int, int], tuple[Subject, Subject]] = {}
        self._bad: dict[tuple[int, int], list[tuple[Pair, Pair]]] = {}

    def precision(self, dtype: str) -> Precision:
        """A number format as the device of the plan accumulates it."""
        return precision_on(dtype, self.plan.device)

    def inputs(self, dtype: str, draw: int, most: int | None, batch: int | None = None) -> dict[Value, Any]:
        """The models' inputs, by the left one's names; of that batch, where the models leave it free."""
        chance = np.random.default_rng([self.plan.seed, draw])
        shapes = {name: (batch, *shape[1:]) if batch and self._is_free(name) else shape for name, shape in self.shapes.items()}
        return draw_inputs(shapes, self.pair.declared, chance, self.precision(dtype).storage, most)

    def _is_free(self, name: Value) -> bool:
        dims = self.pair.declared[name].dims
        return bool(dims) and not isinstance((dims or (0,))[0], int)

    @property
    def has_batch(self) -> bool:
        """Whether the batch is free."""
        return any(map(self._is_free, self.shapes))

    def fed(self, cut: Cut, sample: Any, dtype: str, draw: int, most: int | None) -> Any:
        """What both models are fed at a cut: what the left one computes there, or small integers of that shape."""
        array = np.asarray(sample)
        if array.dtype.kind != "f":
            return array
        if most is None:
            return rounded_to(array, self.precision(dtype).storage).reshape(array.shape)
        number = int(cut.name.rsplit("_", maxsplit=1)[1])
        return draw_floats(array.shape, np.random.default_rng([self.plan.seed, draw, number]), "float64", most)

    def bounded(self, dtype: str, draw: int) -> Opened:
        """The pair opened for bounded evidence.

        Raises:
            OutsideFragment: nothing has a theorem, or the opened models are not proved to be the same.
        """
        pair = self.pair
        cutter = self._cutter(dtype, integers=False)
        for row in pair.found.rows:
            if row.relation is Likeness.UP_TO:
                for value in (row.since[0], row.at[0]):
                    if value in pair.partners.graphs[0].producers:
                        cutter.add(value, 0, "a part between is equal up to a distance only", passed=True)
        return self._found(pair.subjects, cutter, dtype, draw, None, ())

    def exact(self, dtype: str, draw: int) -> Opened:
        """The pair with small integers for weights, opened for exact evidence; raises as `bounded` does."""
        best: Opened | None = None
        for level, (most, share, fed) in enumerate(LEVELS):
            subjects = self._whole(Whole(self.plan.seed * 1009 + self.seed(draw), most, share), level, self.seed(draw))
            cutter, rows = self._cutter(dtype, integers=True), self._moved_badly(subjects, level, self.seed(draw))
            for at, since in rows:
                sources = (since,) if since[0] else None
                cutter.add(at[0], 0, "its weights are computed from those of the other model, not moved", passed=False, sources=sources)
            notes = (f"left out of the models: {len(rows)} part(s) whose weights are computed, not moved",) if rows else ()
            best = self._found(subjects, cutter, dtype, draw, fed, notes)
            if not any("sums may exceed" in cut.why and not cut.passed for cut in best.opening.cuts):
                return best
        assert best is not None, "there are levels"
        return best

    def _whole(self, to: Whole, level: int, seed: int) -> tuple[Subject, Subject]:
        key = level, seed
        if key not in self._wholes:
            made = [
                subject.whole(to, self.pair.folder / f"{side}-{level}-{seed}")
                for side, subject in zip(SIDES, self.pair.subjects, strict=True)
            ]
            self._wholes[key] = made[0], made[1]
        return self._wholes[key]

    def seed(self, draw: int) -> int:
        """Which small integers an instance has for weights: its own, unless files or proofs are large."""
        return 0 if self.pair.is_large or self.pair.found.seconds > SLOW else draw

    def _moved_badly(self, subjects: tuple[Subject, Subject], level: int, seed: int) -> list[tuple[Pair, Pair]]:
        """Parts that are not the same any more when numbers are replaced (sums of taps, folded factors): (what they compute, from what)."""
        key = level, seed
        if key not in self._bad:
            found = compare(subjects[0].graph, subjects[1].graph, seconds=self.pair.seconds)
            self._bad[key] = [(row.at, row.since) for row in found.rows if row.relation is not Likeness.IDENTICAL]
        return self._bad[key]

    def _cutter(self, dtype: str, *, integers: bool) -> Cutter:
        return Cutter(self.pair.partners, self.pair.inputs, self.precision(dtype), integers=integers, device=self.host)

    def _found(
        self, subjects: tuple[Subject, Subject], cutter: Cutter, dtype: str, draw: int, most: int | None, notes: tuple[str, ...]
    ) -> Opened:
        """Adds the cuts that are needed, and proves that the opened models are the same."""
        inputs = self.inputs(dtype, draw, most)
        graphs = subjects[0].graph.live(), subjects[1].graph.live()

        def natural(wanted: Sequence[Value]) -> dict[Value, Any]:
            return subjects[0].natural(inputs, list(wanted))

        samples: dict[str, Any] = {}

        def feed(cut: Cut, sample: Any) -> Any:
            samples[cut.name] = self.fed(cut, sample, dtype, draw, most)
            return samples[cut.name]

        with configured(self.reference):
            cutter.find(graphs, inputs, natural, feed)
        opening = cutter.opening()
        if not opening.shown:
            raise OutsideFragment("no value of the models is computed by operators that have a theorem")
        opened = opening.graph(graphs[0], 0), opening.graph(graphs[1], 1)
        proof = compare(*opened, seconds=self.pair.seconds)
        allowances = _allowances(proof, opening, opened[0].consumers(), exact=most is not None)
        runs = [subject.opened(opening.fed(k), opening.outputs(k), samples) for k, subject in enumerate(subjects)]
        return Opened(subjects, opening, opened, (runs[0], runs[1]), allowances, cutter.kept, notes, most)


def _allowances(proof: Comparison, opening: Opening, consumed: Collection[Value], *, exact: bool) -> dict[Value, tuple[Fraction, str]]:
    """What parts that are equal up to a distance allow, which nothing reads on: (distance, where they start) by the left value.

    Raises:
        OutsideFragment: the opened models are not proved to be the same.
    """
    found: dict[Value, tuple[Fraction, str]] = {}
    sources = {cut.name for cut in opening.cuts} | {a for a, _ in opening.inputs}
    ends = set(opening.outputs(0)) & set(opening.fed(0)) | {value for value in opening.outputs(0) if value not in consumed}
    for row in proof.rows:
        if row.relation is Likeness.IDENTICAL:
            continue
        known = row.relation is Likeness.UP_TO and row.distance is not None and row.at[0] in ends and row.since[0] in sources
        if exact or not known:
            why = row.cause or row.detail or row.reason or row.relation.value.replace("_", " ")
            raise OutsideFragment(f"the opened models are not proved to be the same at `{row.at[0]}`: {why}")
        assert row.distance is not None, "it is known"
        found[row.at[0]] = row.distance, row.since[0]
    return found

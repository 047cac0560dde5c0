"""Two whole models run on the same numbers under every setting, and compared value by value.

Owns: `ModelRuns`, `Instance`.
Must not know: the command line, rendering, file formats; where and why models are cut.

A model is opened (see `opened`) so that every operator in it is either held to a theorem or left out, by name. The opened models are
proved to be the same once more before they run; in exact mode with small integers for weights.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.evidence import Outcome, Row, severity
from symconv.conformance.graphs.crossval_openings import Opened, Openings
from symconv.conformance.graphs.crossval_pair import SIDES, Arrays, ModelPair
from symconv.conformance.graphs.values import evaluate
from symconv.conformance.judging import Part, Tally, judge, row_of
from symconv.conformance.plan import Plan
from symconv.conformance.torch_runs import INEXACT_ALGORITHMS, LEAST_BATCH, TorchSetting, Unsupported, refused
from symconv.conformance.torch_switches import configured
from symconv.errors import InternalError, OutsideFragment
from symconv.prove.graphs.dataflow import Value

LONG = 60.0
"""Seconds of one instance from which on there is no second one."""


@attrs.frozen(eq=False)
class Instance:
    """Numbers for an opened pair with what must come out.

    Args:
        draw: which one.
        opened: the pair.
        given: inputs by the opened models' names, one for each side.
        exact: per shown pair the exact value (its float64 value).
        bounds: per side and shown pair the largest error allowed; None: none at all.
        largest: the largest partial sum in units, in exact mode.
        extents: of the first input.
    """

    draw: int
    opened: Opened
    given: tuple[Arrays, Arrays]
    exact: tuple[Any, ...]
    bounds: tuple[tuple[Any, ...], tuple[Any, ...]] | None
    largest: float
    extents: tuple[int, ...]

    @property
    def is_exact(self) -> bool:
        """Whether results must be equal bit for bit."""
        return self.bounds is None


class ModelRuns:
    """One pair under one plan."""

    def __init__(self, pair: ModelPair, plan: Plan) -> None:
        self.pair, self.plan = pair, plan
        self.openings = Openings(pair, plan)
        self.opened: dict[tuple[str, str, int], Opened] = {}
        self.worst: tuple[tuple[bool, float], Row] | None = None
        self._instances: dict[tuple[str, str, int, int | None], Instance | str] = {}
        self._seconds: dict[tuple[str, str], float] = {}

    def rows(self) -> Iterator[Row]:
        """One row for every setting and kind of evidence."""
        for backend, setting in self.plan.settings():
            tallies = {kind: Tally() for kind in self.plan.evidence}
            for kind, tally in tallies.items():
                for draw in range(self.plan.count):
                    self._one(backend, setting, kind, draw, tally)
            for kind, tally in tallies.items():
                row = attrs.evolve(row_of(backend, setting, "forward", kind, tally, tallies.get("exact")), scope="model")
                if row.outcome is Outcome.DEVIATES and (self.worst is None or severity(row) > self.worst[0]):
                    self.worst = severity(row), row
                yield row

    def _one(self, backend: str, setting: TorchSetting, kind: str, draw: int, tally: Tally) -> None:
        sides = [k for k, subject in enumerate(self.pair.subjects) if backend in subject.backends]
        why = self._refused(backend, setting, kind, sides)
        if why is not None:
            tally.reasons[why] = None
            return
        if draw and self._seconds.get((setting.dtype, kind), 0.0) > LONG:
            tally.reasons[f"one instance, for one takes over {LONG:.0f} seconds to bound"] = None
            return
        instance = self._instance(setting.dtype, kind, draw, LEAST_BATCH.get(setting.algorithm) if backend == "torch" else None)
        if isinstance(instance, str):
            tally.reasons[instance] = None
            return
        try:
            results = {k: instance.opened.runs[k](setting, backend, instance.given[k]) for k in sides}
        except Unsupported as error:
            tally.reasons[str(error)] = None
            return
        finally:
            self._forget(instance)
        tally.reasons.update(dict.fromkeys(instance.opened.notes))
        blind = self.openings.accepted.blind
        if blind:
            tally.reasons[f"at these extents not every tap of `{blind[0]}`{' and others' if blind[1:] else ''} reads a sample"] = None
        if len(sides) == 1:
            tally.reasons[f"the {SIDES[sides[0]]} model alone, for {backend} does not run the other one"] = None
        tally.instances += 1
        if instance.is_exact:
            tally.bound = max(tally.bound, instance.largest)
        for k in sides:
            self._judge(instance, k, results[k], tally)

    def _forget(self, instance: Instance) -> None:
        """Lets go of what large models were loaded as."""
        if self.pair.is_large:
            for run in instance.opened.runs:
                run.forget()

    @property
    def shapes(self) -> Mapping[Value, tuple[int, ...]]:
        """Of the models' inputs, by the left one's names."""
        return self.openings.shapes

    def _refused(self, backend: str, setting: TorchSetting, kind: str, sides: Sequence[int]) -> str | None:
        """Why nothing can run under a setting."""
        if not sides:
            return f"{backend} runs no modules" if backend != "torch" else "PyTorch itself runs no ONNX files"
        if backend != "torch" and setting.dtype == "tf32":
            return f"tf32 is no number format of models in {backend}"
        for k in sides:
            formats = self.pair.subjects[k].formats
            if setting.dtype not in formats and setting.precision.storage not in formats:
                return f"the models compute in {' and '.join(formats) or 'no floats'}"
            if len(formats) > 1 and backend != "torch":
                return f"the models mix the number formats {' and '.join(formats)}"
        if backend == "torch" and setting.algorithm in LEAST_BATCH and not self.openings.has_batch:
            return f"{setting.algorithm} needs a batch of {LEAST_BATCH[setting.algorithm]}, and the models fix it"
        if kind == "bounded" and setting.algorithm in INEXACT_ALGORITHMS:
            return f"no bounded mode: {INEXACT_ALGORITHMS[setting.algorithm]}"
        return None

    def _judge(self, instance: Instance, side: int, results: Sequence[Any], tally: Tally) -> None:
        shown = instance.opened.opening.shown
        for j, (pair, found) in enumerate(zip(shown, results, strict=True)):
            bound = 0.0 if instance.bounds is None else instance.bounds[side][j]
            part = Part(
                f"value `{pair[side]}`", np.asarray(found, dtype=np.float64), np.asarray(instance.exact[j], dtype=np.float64), bound
            )
            judge(part, SIDES[side], instance, tally)

    # --- instances ----------------------------------------------------------------------------------------------

    def _instance(self, dtype: str, kind: str, draw: int, batch: int | None) -> Instance | str:
        key = dtype, kind, draw, batch
        if key not in self._instances:
            started = time.monotonic()
            try:
                self._instances[key] = self._drawn(dtype, kind, draw, batch)
            except OutsideFragment as error:
                self._instances[key] = f"no {kind} mode: {error}"
            except Unsupported as error:
                self._instances[key] = str(error)
            except (RuntimeError, MemoryError) as error:
                self._instances[key] = str(refused(error))
            self._seconds[dtype, kind] = time.monotonic() - started
        return self._instances[key]

    def _drawn(self, dtype: str, kind: str, draw: int, batch: int | None) -> Instance:
        key = kind, dtype, self.openings.seed(draw) if kind == "exact" else 0
        if key in self.opened:
            try:
                return self._numbers(self.opened[key], dtype, draw, batch)
            except OutsideFragment:  # these numbers need more cuts
                pass
        opened = self.openings.exact(dtype, draw) if kind == "exact" else self.openings.bounded(dtype, draw)
        self.opened.setdefault(key, opened)
        return self._numbers(opened, dtype, draw, batch)

    def _numbers(self, opened: Opened, dtype: str, draw: int, batch: int | None) -> Instance:
        """An instance of an opened pair.

        Raises:
            OutsideFragment: what was cut is not enough for these numbers.
        """
        inputs = self.openings.inputs(dtype, draw, opened.most, batch)
        wanted = [cut.left[0] for cut in opened.opening.cuts] + [value for kept in opened.kept for value in kept.values()]
        samples = opened.subjects[0].natural(inputs, list(dict.fromkeys(wanted))) if wanted else {}
        fed = {cut.name: self.openings.fed(cut, samples[cut.left[0]], dtype, draw, opened.most) for cut in opened.opening.cuts}
        given = tuple({pair[side]: inputs[pair[0]] for pair in self.pair.inputs} | fed for side in (0, 1))
        shapes = [{value: samples[other] for value, other in kept.items()} for kept in opened.kept]
        return self._evaluated(opened, (given[0], given[1]), shapes, dtype, draw)

    def _evaluated(self, opened: Opened, given: tuple[Arrays, Arrays], shapes: Sequence[Arrays], dtype: str, draw: int) -> Instance:
        integers = opened.most is not None
        precision = self.openings.precision(dtype)
        found = []
        for side, graph in enumerate(opened.graphs):
            known, keep = {**given[side], **shapes[side]}, opened.opening.outputs(side)
            with configured(self.openings.reference):  # sums in float64, term by term
                found.append(evaluate(graph, known, precision=precision, keep=keep, device=self.openings.host, integers=integers))
        exact = tuple(found[0].values[a] for a, _ in opened.opening.shown)
        first = next(iter(given[0].values()))
        extents = tuple(np.shape(first))[2:] or tuple(np.shape(first))
        if integers:
            if not all(item.exact for item in found):
                raise OutsideFragment(f"sums may exceed 2^{precision.sums}")
            for a, b in opened.opening.shown:
                if not np.array_equal(found[0].values[a], found[1].values[b]):
                    raise InternalError(f"values `{a}` and `{b}` are proved equal, and exact integers say that they are not")
            largest = max((size.worst for item in found for size in (item.sizes or {}).values()), default=0.0)
            return Instance(draw, opened, given, exact, None, largest, extents)
        own = found[0].own or {}
        bounds = []
        for side in (0, 1):
            errors = found[side].errors or {}
            bounds.append(
                tuple(
                    errors.get(pair[side], 0.0) + own.get(pair[0], 0.0) + (self._allowed(opened, pair[0], given[0]) if side else 0.0)
                    for pair in opened.opening.shown
                )
            )
        return Instance(draw, opened, given, exact, (bounds[0], bounds[1]), 0.0, extents)

    @staticmethod
    def _allowed(opened: Opened, value: Value, given: Arrays) -> float:
        """How far the right model may be from the left one there, rounding aside."""
        if value not in opened.allowances:
            return 0.0
        distance, source = opened.allowances[value]
        return float(distance) * (1 + 2.0**-20) * max(1.0, float(np.abs(given[source]).max(initial=0)))

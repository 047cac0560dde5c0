"""Cross-validation: both chains run on the same numbers under every setting, compared with what they must give.

Owns: `cross_validate`. Must not know: the command line, rendering.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import numpy as np

from symconv.conformance.environment import environment
from symconv.conformance.evidence import Evidence, Outcome, Row, severity
from symconv.conformance.instances import BATCH, Instance, check_extents, draw_exact, draw_extents, draw_real
from symconv.conformance.judging import Part, Prepared, Tally, judge, row_of
from symconv.conformance.pairing import Given, Pairing, absolute
from symconv.conformance.plan import Plan
from symconv.conformance.precision import precision_on
from symconv.conformance.rounding import Bounds, Gradients, backward_error, forward_error
from symconv.conformance.runtimes import load
from symconv.conformance.snippet import write_snippet
from symconv.conformance.stagewise import linear_stages, merged
from symconv.conformance.torch_runs import (
    INEXACT_ALGORITHMS,
    LEAST_BATCH,
    Results,
    TorchSetting,
    Unsupported,
    refused,
    run_torch,
)
from symconv.conformance.torch_switches import configured
from symconv.errors import OutsideFragment

SIDES = ("left", "right")
Errors = tuple[Any, Any]


def cross_validate(pairing: Pairing, plan: Plan, done: Callable[[Row], None] = lambda row: None) -> Evidence:
    """Runs the plan; a setting that cannot run is a row that says so.

    Chains with a nonlinearity that has neither exact integers nor a rounding theorem are run stage by stage.

    Raises:
        LayerError: extents that a side does not accept.
    """
    started = time.perf_counter()
    if plan.extents is not None:
        check_extents(pairing, plan.extents)
    parts = linear_stages(pairing)
    runs = [_Run(part, plan if k == 0 else attrs.evolve(plan, extents=None)) for k, part in enumerate(parts)]
    rows = []
    for several in zip(*(run.rows() for run in runs), strict=True):
        rows.append(several[0] if parts == (pairing,) else merged(several))
        done(rows[-1])
    worst = max((run.worst for run in runs if run.worst is not None), default=None)
    left, right = pairing.texts
    return Evidence(
        left=left,
        right=right,
        relation=pairing.relation,
        trust=pairing.trust,
        free=pairing.free if pairing.free == "own" or pairing.own == (None, None) else f"{pairing.free}_own",
        source=pairing.source,
        rows=tuple(rows),
        seed=plan.seed,
        count=plan.count,
        environment=environment([plan.device], plan.backends),
        snippet=None if worst is None else worst[1],
        seconds=round(time.perf_counter() - started, 3),
    )


class _Run:
    """One pair under one plan."""

    def __init__(self, pairing: Pairing, plan: Plan) -> None:
        self.pairing, self.plan = pairing, plan
        self.prepared: dict[tuple[str, str, int, int], Prepared | str] = {}
        self.worst: tuple[tuple[bool, float], str] | None = None
        host = plan.device if plan.device == "cuda" else "cpu"
        self.reference = TorchSetting(host, "float64", algorithm="no-cudnn" if host == "cuda" else "no-onednn")

    def rows(self) -> Iterator[Row]:
        for backend, setting in self.plan.settings():
            directions = directions_of(backend, self.plan.directions)
            tallies = {(direction, kind): Tally() for kind in self.plan.evidence for direction in directions}
            for kind in self.plan.evidence:
                for draw in range(self.plan.count):
                    self._one(backend, setting, kind, draw, tallies)
            for (direction, kind), tally in tallies.items():
                row = row_of(backend, setting, direction, kind, tally, tallies.get((direction, "exact")))
                if row.outcome is Outcome.DEVIATES and tally.failed is not None and (self.worst is None or severity(row) > self.worst[0]):
                    self.worst = severity(row), write_snippet(self.pairing, tally.failed.instance, setting, row, backend)
                yield row

    def _one(self, backend: str, setting: TorchSetting, kind: str, draw: int, tallies: dict[tuple[str, str], Tally]) -> None:
        """One instance under one setting, all directions."""
        mine = {direction: tally for (direction, of), tally in tallies.items() if of == kind}

        def all_say(reason: str) -> None:
            for tally in mine.values():
                tally.reasons[reason] = None

        if kind == "bounded" and setting.algorithm in INEXACT_ALGORITHMS:
            return all_say(f"no bounded mode: {INEXACT_ALGORITHMS[setting.algorithm]}")
        prepared = self._prepare(setting.dtype, kind, draw, LEAST_BATCH.get(setting.algorithm, BATCH))
        if isinstance(prepared, str):
            return all_say(prepared)
        if backend != "torch" and "forward" not in mine:
            return all_say(f"{backend} computes no gradients")
        try:
            if backend == "torch":
                results = self._torch(prepared, setting, any(direction != "forward" for direction in mine))
            else:
                results = self._runtime(backend, prepared, setting)
        except Unsupported as error:
            return all_say(str(error))
        for direction, tally in mine.items():
            self._compare(direction, prepared, results, tally)
        return None

    def _prepare(self, dtype: str, kind: str, draw: int, batch: int) -> Prepared | str:
        key = dtype, kind, draw, batch
        if key not in self.prepared:
            try:
                self.prepared[key] = self._drawn(*key)
            except (OutsideFragment, Unsupported) as error:
                self.prepared[key] = str(error)
            except (RuntimeError, MemoryError) as error:
                self.prepared[key] = str(refused(error))
        return self.prepared[key]

    def _drawn(self, dtype: str, kind: str, draw: int, batch: int) -> Prepared:
        pairing, precision = self.pairing, precision_on(dtype, self.plan.device)
        chance = np.random.default_rng([self.plan.seed, draw])
        extents = self.plan.extents or draw_extents(pairing, chance)
        wants = any(direction != "forward" for direction in self.plan.directions)
        if kind == "exact":
            instance = draw_exact(pairing, precision, extents, chance, batch)
            exact = self._reference(instance, wants)
            return Prepared(draw, instance, exact, None)
        instance = draw_real(pairing, precision, extents, chance, batch)
        bounds = tuple(self._bounds(side, instance, dtype, wants) for side in SIDES)
        if max(bound.largest for bound, _ in bounds) >= precision.largest:
            raise OutsideFragment(f"no bounded mode: values may exceed the largest number of {dtype}")
        exact = self._reference(instance, wants)
        return Prepared(draw, instance, exact, (bounds[0], bounds[1]), self._bounds("left", instance, "float64", wants))

    def _reference(self, instance: Instance, wants: bool) -> Results:
        gradients = (instance.g, instance.g_sparse) if wants else None
        return run_torch(self.pairing.left, instance.left, self.pairing.axes, instance.x, gradients, self.reference)

    def _bounds(self, side: str, instance: Instance, dtype: str, wants: bool) -> tuple[Bounds, Gradients | str]:
        chain, weights = self._side(side, instance)
        axes, precision, host = self.pairing.axes, precision_on(dtype, self.plan.device), self.reference.device
        with configured(self.reference):  # bounds are sums of magnitudes; an FFT would blur the small ones
            forward = forward_error(chain, weights, axes, instance.x, precision, host)
            if not wants:
                return forward, "not asked for"
            try:
                return forward, backward_error(chain, weights, axes, forward, instance.g, precision, host)
            except OutsideFragment as error:
                return forward, str(error)

    def _side(self, side: str, instance: Instance) -> tuple[Any, Given]:
        return (self.pairing.left, instance.left) if side == "left" else (self.pairing.right, instance.right)

    def _torch(self, prepared: Prepared, setting: TorchSetting, wants: bool) -> tuple[Results, Results]:
        instance = prepared.instance
        gradients = (instance.g, instance.g_sparse) if wants else None
        found = [
            run_torch(chain, weights, self.pairing.axes, instance.x, gradients, setting)
            for chain, weights in (self._side(side, instance) for side in SIDES)
        ]
        return found[0], found[1]

    def _runtime(self, backend: str, prepared: Prepared, setting: TorchSetting) -> tuple[Results, Results]:
        from symconv.conformance.onnx_builder import TYPES, to_onnx

        if setting.dtype not in TYPES:
            raise Unsupported(f"no ONNX models in {setting.dtype} are made")
        found = []
        for chain, weights in (self._side(side, prepared.instance) for side in SIDES):
            try:
                model = to_onnx(chain, self.pairing.axes, self.pairing.channels, weights, setting.dtype)
                call = load(backend).prepare(model, setting.dtype, setting.device)
                found.append(Results(call({"x": prepared.instance.x})["y"]))
            except OutsideFragment as error:
                raise Unsupported(str(error)) from error
            except Exception as error:  # a runtime raises what it likes
                raise Unsupported(f"{backend}: {_refusal(error)}") from error
        return found[0], found[1]

    def _compare(self, direction: str, prepared: Prepared, results: tuple[Results, Results], tally: Tally) -> None:
        parts = self._parts(direction, prepared, results)
        if not isinstance(parts, str) and not all(np.isfinite(part.bound).all() for own in parts for part in own):
            parts = "no bounded mode: so many terms that the rounding bound is infinite"
        if isinstance(parts, str):
            tally.reasons[parts] = None
            return
        tally.instances += 1
        if prepared.bounds is None:
            tally.bound = max(tally.bound, prepared.instance.bound or 0.0)
        for side, own in zip(SIDES, parts, strict=True):
            for part in own:
                judge(part, side, prepared, tally)

    def _parts(self, direction: str, prepared: Prepared, results: tuple[Results, Results]) -> tuple[list[Part], list[Part]] | str:
        """The arrays of both sides, or why there are none."""
        if direction == "weight-grad":
            return self._weight_parts(prepared, results)
        found = []
        for k in range(2):
            bound: Any = 0.0
            if prepared.bounds is not None:
                assert prepared.own is not None
                pair = [prepared.bounds[k], prepared.own]
                if direction == "forward":
                    bound = sum(forward.output.cpu().numpy() for forward, _ in pair)
                else:
                    gone = next((back for _, back in pair if isinstance(back, str)), None)
                    if gone is not None:
                        return gone
                    bound = sum(back.x.cpu().numpy() for _, back in pair if not isinstance(back, str))
            if direction == "forward":
                found.append([Part("output", results[k].forward, prepared.exact.forward, bound)])
            else:
                found.append([Part("input gradient", results[k].x, prepared.exact.x, bound)])
        return found[0], found[1]

    def _weight_parts(self, prepared: Prepared, results: tuple[Results, Results]) -> tuple[list[Part], list[Part]] | str:
        """Gradients of the free side's parameters; the other side's go through the transpose of the reshuffle."""
        pairing = self.pairing
        if pairing.free == "own":
            return "both layers bring weights, and no reshuffle joins their gradients"
        carries = [carry for carry in pairing.carries if carry.source is not None]
        if not carries:
            return "the layer whose parameters are free has none"
        if prepared.bounds is not None:
            gone = next((back for _, back in prepared.bounds if isinstance(back, str)), None)
            if gone is not None:
                return gone
        here, there = (1, 0) if pairing.free == "right" else (0, 1)
        parts: tuple[list[Part], list[Part]] = ([], [])
        for carry in carries:
            assert carry.source is not None
            own = results[here].parameters[carry.source]
            moved = carry.transpose(*results[there].parameters[carry.target])
            exact = prepared.exact.parameters[carry.source] if here == 0 else carry.transpose(*prepared.exact.parameters[carry.target])
            limits = self._weight_bounds(prepared, carry, here)
            for name, k in (("kernel", 0), ("bias", 1)):
                if own[k] is None:
                    continue
                what = f"{name} gradient of layer {carry.source} of the {pairing.free} side"
                parts[here].append(Part(what, own[k], exact[k], limits[0][k]))
                parts[there].append(Part(what, moved[k], exact[k], limits[1][k]))
        return parts

    def _weight_bounds(self, prepared: Prepared, carry: Any, here: int) -> tuple[Errors, Errors]:
        """Bounds for the free side's own gradients and for the carried ones, the reference's own error included."""
        if prepared.bounds is None:
            return (0.0, 0.0), (0.0, 0.0)
        assert prepared.own is not None

        def of(pair: tuple[Bounds, Gradients | str], at: int) -> Errors:
            assert not isinstance(pair[1], str)
            return pair[1].parameters[at]

        positive = absolute(carry)
        own = of(prepared.bounds[here], carry.source)
        moved = positive.transpose(*of(prepared.bounds[1 - here], carry.target))
        reference = of(prepared.own, carry.source) if here == 0 else positive.transpose(*of(prepared.own, carry.target))
        slack = 1 + 2.0**-20  # sums of a few gradients in float64 on the way through the transpose

        def add(one: Errors, two: Errors) -> Errors:
            return tuple(None if a is None or b is None else (a + b) * slack for a, b in zip(one, two, strict=True))  # type: ignore[return-value]

        return add(own, reference), add(moved, reference)


def directions_of(backend: str, asked: tuple[str, ...]) -> tuple[str, ...]:
    """Runtimes other than torch run forward only; asked for gradients alone they have rows that say so."""
    return ("forward",) if backend != "torch" and "forward" in asked else asked


def _refusal(error: Exception) -> str:
    """What a runtime says, in one line and without its own numbering."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", lines[0])[:160]

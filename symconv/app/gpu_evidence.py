"""`make gpu`: everything that is worth seeing on a device, in one command, as JSON and a table.

Owns: the matrix of pairs and settings, the division of time, the two files.
Must not know: how numbers are compared.

    python -m symconv.app.gpu_evidence -o docs/evidence/NAME.json [--device cuda] [--seconds 540] [--force]
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.app.equivalents import equivalents, random_pairs
from symconv.app.gathered import Clock, Gathered, plain
from symconv.certificate.encode import write_atomically
from symconv.conformance.real_layers import REAL_LAYERS, RealLayer
from symconv.errors import SymconvError, UsageError
from symconv.layers import Conv, ConvTranspose, Layer, flatten
from symconv.prove.reshuffle import kernel_shape

SCHEMA = "symconv.evidence/1"
RANDOM = 100_000
CASES = 4


def gather(
    device: str = "auto",
    seconds: float = 540.0,
    most_extent: int | None = None,
    seed: int = 0,
    backends: Sequence[str] = ("torch",),
    reals: Sequence[RealLayer] = REAL_LAYERS,
    randoms: int = RANDOM,
    theorems: Sequence[str] | None = None,
    compiler: str = "inductor",
) -> dict[str, Any]:
    """Runs the matrix and returns the record.

    Args:
        device: auto, cpu, cuda or mps.
        seconds: for everything; what is not reached is named in the record.
        most_extent: real layers at no larger extents than this, or None for their own.
        seed: of all random numbers.
        backends: runtimes.
        reals: the real layers.
        randoms: random layers at most.
        theorems: their names; None takes all.
        compiler: torch.compile's backend.

    Raises:
        UsageError: the device is not there.
    """
    from symconv.conformance.environment import environment
    from symconv.conformance.torch_runs import require_device

    found = require_device(device)
    reals = sorted(reals, key=_weight)
    run = _Matrix(found, seed, tuple(backends), most_extent, compiler, Clock(seconds))
    started = time.monotonic()
    parts: dict[str, Any] = {
        "real": run.real(reals),
        "compiled": run.compiled(reals),
        "times": run.times(reals),
        "random": run.random(randoms),
        "theorems": run.theorems(theorems),
    }
    record = {
        "schema": SCHEMA,
        "verdict": "deviates" if run.gathered.deviations else "agrees" if run.compared else "nothing_ran",
        "environment": environment([found], backends),
        "seed": seed,
        **parts,
        "settings": run.gathered.records(),
        "deviations": run.gathered.deviations,
        "left_out": run.left_out,
        "seconds": round(time.monotonic() - started, 1),
    }
    whole: dict[str, Any] = plain(record)
    return whole


def _weight(real: RealLayer) -> int:
    """How heavy a layer is: the light ones come first, so that as many as possible are reached."""
    return sum(math.prod(kernel_shape(layer)) for layer in flatten(real.layer) if isinstance(layer, (Conv, ConvTranspose)))


class _Matrix:
    """One run on one device."""

    def __init__(self, device: str, seed: int, backends: tuple[str, ...], most_extent: int | None, compiler: str, clock: Clock) -> None:
        self.device, self.seed, self.backends = device, seed, backends
        self.most_extent, self.compiler, self.clock = most_extent, compiler, clock
        self.gathered, self.compared = Gathered(), 0
        self.left_out: list[str] = []
        self.pairings: dict[tuple[str, str], Any] = {}
        self.forms: dict[str, list[tuple[str, Layer]]] = {}

    def plans(self) -> list[Any]:
        """The settings of a real layer, the most telling first."""
        from symconv.conformance.plan import Plan

        runtimes = tuple(name for name in self.backends if name != "torch")
        base = Plan(device=self.device, count=1, seed=self.seed, backends=("torch",), compiler=self.compiler)
        formats = ("contiguous", "channels_last")
        if self.device == "cuda":
            plans = [
                attrs.evolve(
                    base, dtypes=("float64", "float32", "tf32", "bfloat16", "float16"), memory_formats=formats, algorithms=("cudnn",)
                ),
                attrs.evolve(base, dtypes=("float32", "tf32", "float16"), algorithms=("cudnn-benchmark",)),
                attrs.evolve(base, dtypes=("float32", "bfloat16"), algorithms=("cudnn-deterministic", "no-cudnn")),
            ]
        elif self.device == "cpu":
            plans = [
                attrs.evolve(base, dtypes=("float64", "float32"), memory_formats=formats, algorithms=("onednn", "no-onednn")),
                attrs.evolve(base, dtypes=("bfloat16", "float16"), algorithms=("onednn", "no-onednn")),
            ]
        else:
            plans = [attrs.evolve(base, dtypes=("float32", "float16"), memory_formats=formats, algorithms=("default",))]
        if runtimes:
            plans.append(attrs.evolve(base, dtypes=("float32",), backends=runtimes, directions=("forward",)))
        return plans

    def real(self, reals: Sequence[RealLayer]) -> list[dict[str, Any]]:
        """Every real layer against each of its forms, under every plan."""
        self.clock.open("real layers")
        records = []
        for real, form, pairing in self._forms(reals, "every setting"):
            extents = self._extents(real, pairing)
            seen = [self._run(pairing, attrs.evolve(plan, extents=extents), f"{real.name} {form}") for plan in self.plans()]
            records.append(self._summary(real, form, pairing, extents, seen))
        return records

    def _forms(self, reals: Sequence[RealLayer], part: str) -> Iterator[tuple[RealLayer, str, Any]]:
        """(layer, form, pairing) while there is time; the rest is named."""
        for real in reals:
            if self.clock.over():
                self.left_out.append(f"{real.name}, {part}: no time left")
                continue
            if real.name not in self.forms:
                self.forms[real.name] = equivalents(real)
            for form, target in self.forms[real.name]:
                if self.clock.over():
                    self.left_out.append(f"{real.name} {form}, {part}: no time left")
                    continue
                pairing = self._pairing(real, form, target)
                if pairing is not None:
                    yield real, form, pairing

    def _pairing(self, real: RealLayer, form: str, target: Layer) -> Any:
        from symconv.conformance.pairing import pair_networks

        key = real.name, form
        if key not in self.pairings:
            try:
                self.pairings[key] = pair_networks(real.layer, target)
            except SymconvError as error:
                self.left_out.append(f"{real.name} {form}: {error}")
                self.pairings[key] = None
        return self.pairings[key]

    def _extents(self, real: RealLayer, pairing: Any) -> tuple[int, ...]:
        """The layer's own extents, or the next ones that both sides accept."""
        wanted = [n if self.most_extent is None else min(n, self.most_extent) for n in real.extents]
        found = [item.first(n) or item.first() for n, item in zip(wanted, pairing.domains, strict=True)]
        return tuple(int(n or 1) for n in found)

    def _run(self, pairing: Any, plan: Any, name: str) -> Any:
        from symconv.conformance.crossval import cross_validate

        evidence = cross_validate(pairing, plan)
        self.gathered.add(evidence, name)
        self.compared += len(evidence.ran)
        return evidence

    @staticmethod
    def _summary(real: RealLayer, form: str, pairing: Any, extents: tuple[int, ...], seen: Sequence[Any]) -> dict[str, Any]:
        left, right = pairing.texts
        rows = [row for evidence in seen for row in evidence.rows]
        outcomes: dict[str, int] = {}
        for row in rows:
            outcomes[row.outcome.value] = outcomes.get(row.outcome.value, 0) + 1
        return {
            "name": real.name,
            "form": form if len(form) < 20 else "other order",
            "left": left,
            "right": right,
            "source": real.source,
            "relation": pairing.relation,
            "trust": pairing.trust,
            "extents": list(extents),
            "outcomes": outcomes,
            "values": sum(row.values for row in rows),
            "ratio": max((row.ratio for row in rows if row.ratio is not None), default=None),
        }

    def compiled(self, reals: Sequence[RealLayer]) -> dict[str, Any]:
        """Real layers through torch.compile in float32, as many as there is time for."""
        from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan

        self.clock.open("compiled")
        algorithm = DEFAULT_ALGORITHMS[self.device][:1]
        plan = Plan(
            device=self.device,
            dtypes=("float32",),
            algorithms=algorithm,
            modes=("compile",),
            count=1,
            seed=self.seed,
            compiler=self.compiler,
        )
        done = []
        for real, form, pairing in self._forms(reals, "compiled"):
            self._run(pairing, attrs.evolve(plan, extents=self._extents(real, pairing)), f"{real.name} {form} compiled")
            done.append(f"{real.name} {form}")
        return {"compiler": self.compiler, "pairs": done}

    def times(self, reals: Sequence[RealLayer]) -> list[dict[str, Any]]:
        """Forward times of every real layer and its forms, interleaved."""
        self.clock.open("times")
        return [self._timed(real, form, pairing) for real, form, pairing in self._forms(reals, "times")]

    def _timed(self, real: RealLayer, form: str, pairing: Any) -> dict[str, Any]:
        import numpy as np

        from symconv.conformance.instances import draw_real
        from symconv.conformance.plan import DEFAULT_ALGORITHMS
        from symconv.conformance.precision import PRECISIONS
        from symconv.conformance.timing import interleaved
        from symconv.conformance.torch_runs import TorchSetting, Unsupported

        extents = self._extents(real, pairing)
        record: dict[str, Any] = {
            "name": real.name,
            "form": form if len(form) < 20 else "other order",
            "extents": list(extents),
            "batch": 2,
        }
        instance = draw_real(pairing, PRECISIONS["float32"], extents, np.random.default_rng(self.seed))
        sides = [(pairing.left, instance.left), (pairing.right, instance.right)]
        for dtype in ("float32", "tf32", "float16") if self.device == "cuda" else ("float32",):
            setting = TorchSetting(self.device, dtype, algorithm=DEFAULT_ALGORITHMS[self.device][0])
            try:
                left, right = interleaved(sides, pairing.axes, instance.x, setting)
            except Unsupported as error:
                record[dtype] = {"reason": str(error)}
                continue
            record[dtype] = {"layer": left, "form": right, "ratio": left / right if right else None}
        return record

    def random(self, most: int) -> dict[str, Any]:
        """Random layers with small extents, as many as there is time for."""
        from symconv.conformance.pairing import pair_networks
        from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan

        self.clock.open("random layers")
        dtypes = {"cuda": ("float64", "float32", "tf32", "bfloat16", "float16"), "mps": ("float32",)}.get(
            self.device, ("float64", "float32")
        )
        plan = Plan(device=self.device, dtypes=dtypes, algorithms=DEFAULT_ALGORITHMS[self.device][:2], count=1, seed=self.seed)
        pairs = deviating = 0
        for left, right in itertools.islice(random_pairs(self.seed), most):
            if self.clock.over():
                break
            evidence = self._run(pair_networks(left, right), plan, "random layer")
            pairs, deviating = pairs + 1, deviating + bool(evidence.deviations)
        return {"pairs": pairs, "deviating": deviating, "seed": self.seed}

    def theorems(self, names: Sequence[str] | None = None) -> list[dict[str, Any]]:
        """A few instances of every theorem that speaks of a layer."""
        from symconv.app.crossval import theorem_row
        from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan
        from symconv.report.corpus import package

        self.clock.open("theorems")
        dtypes = ("float32",) if self.device == "mps" else ("float64", "float32")
        plan = Plan(device=self.device, dtypes=dtypes, algorithms=DEFAULT_ALGORITHMS[self.device][:1], count=1, seed=self.seed)
        records = []
        for name in package().NAMES if names is None else names:
            theorem = package().load(name)
            if not theorem.agreements:
                continue
            if self.clock.over():
                self.left_out.append(f"theorem {name}: no time left")
                continue
            row = theorem_row(theorem, plan, CASES)
            records.append(
                {"name": name, "cases": row.cases, "confirmed": row.confirmed, "deviating": list(row.deviating), "numbers": row.numbers}
            )
            if row.deviating:
                self.gathered.deviations.append({"name": f"theorem {name}", "instances": list(row.deviating)})
        return records


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the matrix, writes both files and returns 0, 1 for a deviation, 2 for bad input, 3 if nothing ran."""
    parser = argparse.ArgumentParser(prog="python -m symconv.app.gpu_evidence", description="Cross-validates the whole matrix on a device.")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.json", help="where the evidence goes; a table beside it")
    parser.add_argument("--device", default="cuda", help="cuda (default), cpu, mps or auto")
    parser.add_argument("--seconds", type=float, default=540.0, help="time for everything")
    parser.add_argument("--most-extent", type=int, default=None, metavar="N", help="real layers at extents of at most N")
    parser.add_argument("--random", type=int, default=RANDOM, metavar="N", help="at most N random layers")
    parser.add_argument("--backend", default="torch", metavar="LIST", help="torch, onnxruntime, openvino")
    parser.add_argument("--compiler", default="inductor", help="torch.compile's backend")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    given = parser.parse_args(arguments)
    try:
        return _write(given)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _write(given: argparse.Namespace) -> int:
    from symconv.app.crossval import CODES
    from symconv.report.evidence import evidence_page
    from symconv.report.markdown import markdown

    table = given.output.with_suffix(".md")
    if given.output.suffix != ".json":
        raise UsageError(f"`--output` must be a file FILE.json; found {given.output}.")
    if not given.force and (given.output.exists() or table.exists()):
        raise UsageError(f"`{given.output}` or `{table}` already exists and is not overwritten; give another name or --force.")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    record = gather(
        given.device,
        given.seconds,
        given.most_extent,
        given.seed,
        tuple(given.backend.split(",")),
        randoms=given.random,
        compiler=given.compiler,
    )
    write_atomically(given.output, json.dumps(record, indent=1, allow_nan=False) + "\n", force=given.force)
    write_atomically(table, markdown(evidence_page(record)), force=given.force)
    print(f"{record['verdict']}: {given.output} and {table}, {record['seconds']} s")
    return CODES[record["verdict"]]


if __name__ == "__main__":
    sys.exit(main())

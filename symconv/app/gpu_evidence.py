"""`make gpu`: everything that is worth seeing on a device, in one command, as JSON and a table.

Owns: the matrix of pairs and settings, the division of time, the two files. Must not know: how numbers are compared, how a job is done.

    python -m symconv.app.gpu_evidence -o docs/evidence/NAME.json [--device cuda] [--seconds 540] [--workers N] [--force]

The files are written again and again while it runs, so that a run that is killed leaves what it had seen; `complete` says whether it ended.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from symconv.app.crew import Crew, Ended
from symconv.app.equivalents import equivalents
from symconv.app.evidence_jobs import BATCH_OF_PAIRS, COMPILED, RANDOM, REAL, THEOREMS, TIMES, Found, Job, Setup, perform, prepare, shown
from symconv.app.gathered import Clock, Gathered, plain
from symconv.certificate.encode import write_atomically
from symconv.conformance.real_layers import REAL_LAYERS, RealLayer
from symconv.errors import SymconvError, UsageError
from symconv.layers import Conv, ConvTranspose, Layer, flatten
from symconv.prove.reshuffle import kernel_shape

SCHEMA = "symconv.evidence/1"
MOST_RANDOM = 100_000
ON_CPU = 4e8
"""Multiplications of one pass of a real layer on a CPU, unless another number is asked for."""
BETWEEN = 10.0
"""Seconds between two writings of the files, at least."""
CODES = {"agrees": 0, "deviates": 1, "broken": 3, "nothing_ran": 3}

Save = Callable[[dict[str, Any]], None]
Tell = Callable[[str], None]


def gather(
    setup: Setup,
    seconds: float = 540.0,
    *,
    workers: int = 0,
    reals: Sequence[RealLayer] = REAL_LAYERS,
    randoms: int = MOST_RANDOM,
    theorems: Sequence[str] | None = None,
    save: Save = lambda record: None,
    tell: Tell = lambda line: None,
) -> dict[str, Any]:
    """Runs the matrix and returns the record.

    Args:
        setup: device, seed, runtimes and sizes; the device is there.
        seconds: for everything; what is not reached is named in the record.
        workers: processes that share the device; 0 runs all in this one.
        reals: the real layers.
        randoms: random pairs at most.
        theorems: their names; None takes all.
        save: given the record every few seconds, and at the end.
        tell: given a line a job.
    """
    run = _Run(setup, workers, Clock(seconds), save, tell)
    save(run.record())  # a folder that cannot be written to is found out now
    ordered = sorted(reals, key=_weight)
    with Crew(workers, perform, partial(prepare, setup)) as crew, Crew(min(workers, 1), perform, partial(prepare, setup)) as alone:
        run.part(crew, REAL, run.pairs(REAL, ordered, len(setup.plans())))
        run.part(alone, TIMES, run.pairs(TIMES, ordered))  # in a process of its own, and nothing beside it: others would disturb
        run.part(crew, COMPILED, run.pairs(COMPILED, ordered))
        run.part(crew, RANDOM, _batches(setup, randoms))
        run.part(crew, THEOREMS, _theorems(setup, theorems))
        for name, rest in ((REAL, crew), (TIMES, alone), (COMPILED, crew), (THEOREMS, crew), (RANDOM, crew)):
            run.rest(rest, name)
    run.complete = True
    record = run.record()
    save(record)
    return record


def _weight(real: RealLayer) -> int:
    """How heavy a layer is: the light ones come first, so that as many as possible are reached."""
    return sum(math.prod(kernel_shape(layer)) for layer in flatten(real.layer) if isinstance(layer, (Conv, ConvTranspose)))


def _batches(setup: Setup, most: int) -> Iterator[Job]:
    for number in range(-(-most // BATCH_OF_PAIRS)):
        yield Job(setup, RANDOM, number=number, count=min(BATCH_OF_PAIRS, most - number * BATCH_OF_PAIRS))


def _theorems(setup: Setup, names: Sequence[str] | None) -> Iterator[Job]:
    from symconv.report.corpus import package

    for name in package().NAMES if names is None else names:
        if package().load(name).agreements:
            yield Job(setup, THEOREMS, name=name)


class _Run:
    """One run: what was seen so far."""

    def __init__(self, setup: Setup, workers: int, clock: Clock, save: Save, tell: Tell) -> None:
        self.setup, self.workers, self.clock, self.save, self.tell = setup, workers, clock, save, tell
        self.gathered = Gathered()
        self.reals: dict[tuple[str, str], dict[str, Any]] = {}
        self.times: list[dict[str, Any]] = []
        self.compiled: list[str] = []
        self.random = {"pairs": 0, "deviating": 0, "seed": setup.seed}
        self.theorems: list[dict[str, Any]] = []
        self.left_out: list[str] = []
        self.later: dict[str, list[Job]] = {}
        self.failed: list[dict[str, str]] = []
        self.forms: dict[str, list[tuple[str, Layer]]] = {}
        self.sources: dict[str, str] = {}
        self.parts: dict[str, float] = {}
        self.complete, self.saved = False, 0.0

    def pairs(self, part: str, reals: Sequence[RealLayer], plans: int = 1) -> Iterator[Job]:
        """Plan by plan; every layer with its first form, then those that have a second one, ..."""
        for real in reals:
            if real.name not in self.forms:
                self.forms[real.name] = equivalents(real)
                self.sources[real.name] = real.source
        for number in range(plans):
            for place in range(max((len(found) for found in self.forms.values()), default=0)):
                for real in reals:
                    for form, target in self.forms[real.name][place : place + 1]:
                        yield Job(self.setup, part, real.name, form, real.layer, target, real.extents, number)

    def part(self, crew: Crew, name: str, jobs: Iterable[Job]) -> None:
        """Runs the jobs of one part until its share of the time is used up."""
        self.clock.open(name)
        self._jobs(crew, name, jobs)

    def rest(self, crew: Crew, name: str) -> None:
        """What was left of a part, with the time that others left over."""
        self.clock.open_all()
        self._jobs(crew, name, self.later.get(name, []))

    def _jobs(self, crew: Crew, name: str, jobs: Iterable[Job]) -> None:
        started, left = self.clock.passed, []
        for ended in crew.run(jobs, self.clock.over):
            if ended.left and not ended.stopped:
                left.append(ended.job)
            else:
                self._note(ended)
            if time.monotonic() > self.saved + BETWEEN:
                self._save()
        self.later[name] = left
        self.parts[name] = round(self.parts.get(name, 0.0) + self.clock.passed - started, 1)
        self._save()

    def _missing(self) -> list[str]:
        """What was not begun, by name; random layers are as many as there was time for."""
        missing = [f"{job.title}{self._plan(job)}: no time left" for name, jobs in self.later.items() if name != RANDOM for job in jobs]
        if self.later.get(RANDOM):
            missing.append(f"random layers: time for {self.random['pairs']} pairs, no more")
        return missing

    def _save(self) -> None:
        self.save(self.record())
        self.saved = time.monotonic()

    def _note(self, ended: Ended) -> None:
        job: Job = ended.job
        if ended.stopped:
            self.left_out.append(f"{job.title}{self._plan(job)}: stopped, it was still running when the part's time was up")
            return
        if ended.error:
            self.failed.append({"what": job.title + self._plan(job), "why": ended.error})
            self.tell(f"{self.clock.passed:6.1f} s  {job.title}: FAILED: {ended.error}")
            return
        found: Found = ended.value
        self.left_out += found.left_out
        for title, evidence in found.evidence:
            self.gathered.add(evidence, title)
        verdicts = {evidence.verdict for _, evidence in found.evidence}
        self.tell(f"{self.clock.passed:6.1f} s  {job.title}{self._plan(job)}: {', '.join(sorted(verdicts)) or 'done'}")
        {REAL: self._real, TIMES: self._time, COMPILED: self._compile, RANDOM: self._draw, THEOREMS: self._theorem}[job.part](job, found)

    def _plan(self, job: Job) -> str:
        return f", plan {job.number + 1}" if job.part == REAL else ""

    def _real(self, job: Job, found: Found) -> None:
        if not found.evidence:
            return
        left, right = found.record["texts"]
        about = {"name": job.name, "form": shown(job.form), "left": left, "right": right, "source": self.sources[job.name]}
        about |= {"relation": found.record["relation"], "trust": found.record["trust"]}
        fresh = about | {"runs": [], "outcomes": {}, "values": 0, "ratio": None}
        known = self.reals.setdefault((job.name, job.form), fresh)
        known["runs"].append(found.record["run"])
        if found.record["kernels"]:
            known["kernels"] = found.record["kernels"]
        for _, evidence in found.evidence:
            for row in evidence.rows:
                known["outcomes"][row.outcome.value] = known["outcomes"].get(row.outcome.value, 0) + 1
                known["values"] += row.values
                if row.ratio is not None:
                    known["ratio"] = max(row.ratio, known["ratio"] or 0.0)

    def _time(self, job: Job, found: Found) -> None:
        if found.record:
            self.times.append({"name": job.name, "form": shown(job.form)} | found.record)

    def _compile(self, job: Job, found: Found) -> None:
        if any(evidence.ran for _, evidence in found.evidence):
            self.compiled.append(f"{job.name} {shown(job.form)}")
        elif found.evidence:
            reasons = dict.fromkeys(row.reason for _, evidence in found.evidence for row in evidence.rows)
            self.left_out.append(f"{job.title}: {'; '.join(reasons)}")

    def _draw(self, job: Job, found: Found) -> None:
        self.random["pairs"] += len(found.evidence)
        self.random["deviating"] += sum(bool(evidence.deviations) for _, evidence in found.evidence)

    def _theorem(self, job: Job, found: Found) -> None:
        self.theorems.append({"name": job.name} | found.record)
        self.gathered.compared += found.record["confirmed"]
        if found.record["deviating"]:
            self.gathered.deviations.append({"name": f"theorem {job.name}", "instances": found.record["deviating"]})

    def record(self) -> dict[str, Any]:
        """Everything so far, plain values only."""
        from symconv.conformance.environment import environment
        from symconv.conformance.precision import PRECISIONS, precision_on

        setup = self.setup
        seen = self.gathered
        verdict = "deviates" if seen.deviations else "broken" if self.failed else "agrees" if seen.compared else "nothing_ran"
        dtypes = {key[2] for key in seen.settings}
        about = environment([setup.device], setup.backends)
        about |= {"threads": setup.threads or about["threads"], "workers": self.workers}
        order = {name: place for place, name in enumerate(real.name for real in REAL_LAYERS)}
        by_layer: Callable[[Any], Any] = lambda item: (order.get(item["name"], len(order)), item["name"])  # noqa: E731
        whole: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "verdict": verdict,
                "complete": self.complete,
                "environment": about,
                "assumptions": {name: precision_on(name, setup.device).model for name in PRECISIONS if name in dtypes},
                "seed": setup.seed,
                "options": {"seconds": self.clock.seconds, "most_multiplications": setup.most, "backends": list(setup.backends)},
                "real": [
                    real | {"runs": sorted(real["runs"], key=lambda run: run["plan"])} for real in sorted(self.reals.values(), key=by_layer)
                ],
                "compiled": {"compiler": setup.compiler, "pairs": sorted(self.compiled)},
                "times": sorted(self.times, key=by_layer),
                "random": self.random,
                "theorems": self.theorems,
                "settings": seen.records(),
                "deviations": seen.deviations,
                "failed": self.failed,
                "left_out": self.left_out + self._missing(),
                "parts": self.parts,
                "seconds": round(self.clock.passed, 1),
            }
        )
        return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the matrix, writes both files and returns 0, 1 for a deviation, 2 for bad input, 3 if nothing ran or something broke off."""
    parser = argparse.ArgumentParser(prog="python -m symconv.app.gpu_evidence", description="Cross-validates the whole matrix on a device.")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.json", help="where the evidence goes; a table beside it")
    parser.add_argument("--device", default="cuda", help="cuda (default), cpu, mps or auto")
    parser.add_argument("--seconds", type=float, default=540.0, help="time for everything")
    parser.add_argument("--workers", type=int, default=None, metavar="N", help="processes that share the device; 0 for this one alone")
    parser.add_argument(
        "--most-multiplications",
        type=float,
        default=None,
        metavar="X",
        help=f"real layers at smaller extents where one pass would take more ({ON_CPU:.0e} on a CPU; elsewhere the layers' own extents)",
    )
    parser.add_argument("--random", type=int, default=MOST_RANDOM, metavar="N", help="at most N random layers")
    parser.add_argument("--backend", default="torch", metavar="LIST", help="torch, onnxruntime, openvino")
    parser.add_argument("--compiler", default="inductor", help="torch.compile's backend")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    given = parser.parse_args(arguments)
    try:
        return _write(given)
    except SymconvError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _write(given: argparse.Namespace) -> int:
    table = given.output.with_suffix(".md")
    if given.output.suffix != ".json":
        raise UsageError(f"`--output` must be a file FILE.json; found {given.output}.")
    if not given.force and (given.output.exists() or table.exists()):
        raise UsageError(f"`{given.output}` or `{table}` already exists and is not overwritten; give another name or --force.")
    setup, workers = _setup(given)
    try:
        given.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"`{given.output.parent}` cannot be made: {error.strerror or error}.") from error
    record = gather(
        setup,
        given.seconds,
        workers=workers,
        randoms=given.random,
        save=partial(_files, given.output, table),
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"{record['verdict']}: {given.output} and {table}, {record['seconds']} s")
    return CODES[record["verdict"]]


def _files(target: Path, table: Path, record: dict[str, Any]) -> None:
    """Both files; what was there is this run's own, or was given up with --force."""
    from symconv.report.evidence import evidence_page
    from symconv.report.markdown import markdown

    write_atomically(target, json.dumps(record, indent=1, allow_nan=False) + "\n", force=True)
    write_atomically(table, markdown(evidence_page(record)), force=True)


def _setup(given: argparse.Namespace) -> tuple[Setup, int]:
    """What all jobs share, and how many processes there are.

    Raises:
        UsageError: a device, runtime or number that cannot be.
    """
    from symconv.conformance.plan import make_plan
    from symconv.conformance.torch_runs import require_working

    if not (given.seconds >= 0 and math.isfinite(given.seconds)):
        raise UsageError(f"`--seconds` must be a number of at least 0; found {given.seconds}.")
    if given.random < 0 or (given.workers is not None and not 0 <= given.workers <= 64):
        raise UsageError("`--random` must be at least 0, and `--workers` from 0 to 64.")
    if given.most_multiplications is not None and not given.most_multiplications >= 1:
        raise UsageError(f"`--most-multiplications` must be at least 1; found {given.most_multiplications}.")
    plan = make_plan(device=given.device, backends=given.backend, seed=given.seed)
    require_working(plan.device)
    cores = os.cpu_count() or 1
    usual = {"cuda": max(1, min(6, cores // 2)), "cpu": min(4, cores)}
    workers = usual.get(plan.device, 1) if given.workers is None else given.workers
    threads = max(1, cores // max(1, workers))
    most = ON_CPU if given.most_multiplications is None and plan.device == "cpu" else given.most_multiplications
    return Setup(plan.device, plan.seed, plan.backends, most, given.compiler, threads), workers


if __name__ == "__main__":
    sys.exit(main())

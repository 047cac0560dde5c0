"""The jobs of `make gpu`: one pair under one plan, one compiled pair, one timed pair, a few random pairs, one theorem.

Owns: `Setup`, `Job`, `perform`, `prepare`. Must not know: files, how time is divided, what other jobs found.

Everything here is small and picklable, for jobs run in processes of their own (`symconv.app.crew`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import attrs

from symconv.app.crew import Broken
from symconv.app.equivalents import random_pairs
from symconv.app.reach import telling
from symconv.errors import SymconvError
from symconv.layers import Layer

REAL, TIMES, COMPILED, RANDOM, THEOREMS = "real layers", "times", "compiled", "random layers", "theorems"
TIMED = {"cuda": ("float32", "tf32", "float16"), "cpu": ("float32",), "mps": ("float32",)}
KERNELS_OF = ("float32", "tf32", "bfloat16", "float16")
NARROW = ("bfloat16", "float16")
NARROW_SHARE = 0.05
"""Of the multiplications, for narrow formats on a CPU: without oneDNN PyTorch's products are plain loops there."""
BATCH_OF_PAIRS = 25
SEEDS = 1_000_003


@attrs.frozen
class Setup:
    """What all jobs of a run share.

    Args:
        device: cpu, cuda or mps.
        seed: of all random numbers.
        backends: runtimes, torch among them or not.
        most: multiplications of one pass of a real layer, or None for the layer's own extents.
        compiler: torch.compile's backend.
        threads: of a process on the CPU, or None.
        cases: instances of a theorem.
    """

    device: str
    seed: int = 0
    backends: tuple[str, ...] = ("torch",)
    most: float | None = None
    compiler: str = "inductor"
    threads: int | None = None
    cases: int = 4

    def plans(self) -> list[Any]:
        """The settings of a real layer, the most telling first."""
        from symconv.conformance.plan import Plan

        runtimes = tuple(name for name in self.backends if name != "torch")
        base = Plan(device=self.device, count=1, seed=self.seed, backends=("torch",), compiler=self.compiler)
        formats = ("contiguous", "channels_last")
        if self.device == "cuda":
            every = ("float64", "float32", "tf32", "bfloat16", "float16")
            plans = [
                attrs.evolve(base, dtypes=every, memory_formats=formats, algorithms=("cudnn",)),
                attrs.evolve(base, dtypes=("float32", "bfloat16"), algorithms=("cudnn-deterministic", "no-cudnn")),
                attrs.evolve(base, dtypes=("float32", "tf32", "float16"), algorithms=("cudnn-benchmark",)),  # slow: a search a shape
            ]
        elif self.device == "cpu":
            plans = [
                attrs.evolve(base, dtypes=("float64", "float32"), memory_formats=formats, algorithms=("onednn", "no-onednn")),
                attrs.evolve(base, dtypes=NARROW, algorithms=("onednn", "no-onednn")),
            ]
        else:
            plans = [attrs.evolve(base, dtypes=("float32", "float16"), memory_formats=formats, algorithms=("default",))]
        if runtimes:
            plans.insert(1, attrs.evolve(base, dtypes=("float32",), backends=runtimes, directions=("forward",)))
        return plans

    def random_plan(self) -> Any:
        """The settings of a random layer."""
        from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan

        dtypes = {"cuda": ("float64", "float32", "tf32", "bfloat16", "float16"), "mps": ("float32",)}.get(
            self.device, ("float64", "float32")
        )
        algorithms = DEFAULT_ALGORITHMS[self.device][: 1 if self.device == "cuda" else 2]
        return Plan(device=self.device, dtypes=dtypes, algorithms=algorithms, count=1, seed=self.seed)


@attrs.frozen
class Job:
    """One job.

    Args:
        setup: of the run.
        part: one of the five parts.
        name: of the layer or the theorem; of random layers, nothing.
        form: what the layer is compared with.
        left, right: the layers, where there are some.
        wanted: the layer's own extents.
        number: which plan, or which batch of random pairs.
        count: how many random pairs.
    """

    setup: Setup
    part: str
    name: str = ""
    form: str = ""
    left: Layer | None = attrs.field(default=None, repr=False)
    right: Layer | None = attrs.field(default=None, repr=False)
    wanted: tuple[int, ...] = ()
    number: int = 0
    count: int = 0

    @property
    def title(self) -> str:
        """For people."""
        return " ".join(word for word in (self.name, shown(self.form), f"({self.part})") if word)


def shown(form: str) -> str:
    """A form's name; expressions are long."""
    return form if len(form) < 20 else "other order"


@attrs.frozen
class Found:
    """What a job found: evidence by name, a record, and what was left out with the reason."""

    evidence: tuple[tuple[str, Any], ...] = ()
    record: dict[str, Any] = attrs.field(factory=dict)
    left_out: tuple[str, ...] = ()


def prepare(setup: Setup) -> None:
    """Called first in a process: threads, and no second crew of compilers below this one."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    from symconv.conformance.torch_runs import use_threads

    if setup.threads is not None:
        use_threads(setup.threads)


def perform(job: Job) -> Found:
    """Does one job.

    Raises:
        Broken: the device is lost for this process.
    """
    from symconv.conformance.torch_runs import DeviceLost, require_working

    actions = {REAL: _real, TIMES: _times, COMPILED: _compiled, RANDOM: _random, THEOREMS: _theorem}
    try:
        found = actions[job.part](job)
        require_working(job.setup.device)
    except DeviceLost as error:
        raise Broken(str(error)) from error
    except SymconvError as error:
        return Found(left_out=(f"{job.title}: {error}",))
    return found


@lru_cache(maxsize=128)
def _pairing(left: Layer, right: Layer) -> Any:
    from symconv.conformance.pairing import pair_networks

    return pair_networks(left, right)


def _pair(job: Job) -> Any:
    assert job.left is not None and job.right is not None
    return _pairing(job.left, job.right)


def _extents(job: Job, pairing: Any, dtypes: Sequence[str] = ()) -> tuple[int, ...]:
    from symconv.conformance.instances import BATCH

    most = job.setup.most
    if most is not None and job.setup.device == "cpu" and any(dtype in NARROW for dtype in dtypes):
        most *= NARROW_SHARE
    return telling(pairing, job.wanted, BATCH, most)


def _real(job: Job) -> Found:
    from symconv.conformance.crossval import cross_validate

    pairing, plan = _pair(job), job.setup.plans()[job.number]
    plan = attrs.evolve(plan, extents=_extents(job, pairing, plan.dtypes))
    evidence = cross_validate(pairing, plan)
    about = {"relation": pairing.relation, "trust": pairing.trust, "texts": list(pairing.texts)}
    run = {"plan": job.number + 1, "dtypes": list(plan.dtypes), "backends": list(plan.backends), "extents": list(plan.extents)}
    found = _kernels(job, pairing, plan.extents) if job.number == 0 and job.setup.device == "cuda" else {}
    return Found(((job.title, evidence),), about | {"run": run, "kernels": found})


def _kernels(job: Job, pairing: Any, extents: tuple[int, ...]) -> dict[str, Any]:
    """What runs on the device, number format by number format: the layer's kernels and the form's."""
    import numpy as np

    from symconv.conformance.instances import draw_real
    from symconv.conformance.precision import PRECISIONS
    from symconv.conformance.timing import kernels
    from symconv.conformance.torch_runs import TorchSetting, Unsupported

    instance = draw_real(pairing, PRECISIONS["float32"], extents, np.random.default_rng(job.setup.seed))
    sides = [(pairing.left, instance.left), (pairing.right, instance.right)]
    found: dict[str, Any] = {}
    for dtype in KERNELS_OF:
        try:
            found[dtype] = kernels(sides, pairing.axes, instance.x, TorchSetting("cuda", dtype, algorithm="cudnn"))
        except Unsupported as error:
            found[dtype] = str(error)
    return found


def _compiled(job: Job) -> Found:
    from symconv.conformance.crossval import cross_validate
    from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan

    pairing, setup = _pair(job), job.setup
    plan = Plan(
        device=setup.device,
        dtypes=("float32",),
        algorithms=DEFAULT_ALGORITHMS[setup.device][:1],
        modes=("compile",),
        count=1,
        seed=setup.seed,
        compiler=setup.compiler,
        extents=_extents(job, pairing),
    )
    return Found(((job.title, cross_validate(pairing, plan)),))


def _times(job: Job) -> Found:
    import numpy as np

    from symconv.conformance.instances import BATCH, draw_real
    from symconv.conformance.plan import DEFAULT_ALGORITHMS
    from symconv.conformance.precision import PRECISIONS
    from symconv.conformance.timing import interleaved
    from symconv.conformance.torch_runs import TorchSetting, Unsupported

    pairing, device = _pair(job), job.setup.device
    extents = _extents(job, pairing)
    algorithm = "cudnn-benchmark" if device == "cuda" else DEFAULT_ALGORITHMS[device][0]
    record: dict[str, Any] = {"extents": list(extents), "batch": BATCH, "algorithm": algorithm}
    instance = draw_real(pairing, PRECISIONS["float32"], extents, np.random.default_rng(job.setup.seed))
    sides = [(pairing.left, instance.left), (pairing.right, instance.right)]
    for dtype in TIMED[device]:
        try:
            left, right = interleaved(sides, pairing.axes, instance.x, TorchSetting(device, dtype, algorithm=algorithm))
        except Unsupported as error:
            record[dtype] = {"reason": str(error)}
            continue
        record[dtype] = {"layer": left.seconds, "form": right.seconds, "ratio": left.seconds / right.seconds if right.seconds else None}
        if device == "cuda":
            record[dtype]["memory"] = [left.memory, right.memory]
    return Found(record=record)


def _random(job: Job) -> Found:
    from symconv.conformance.crossval import cross_validate
    from symconv.conformance.pairing import pair_networks
    from symconv.conformance.torch_runs import DeviceLost

    plan = job.setup.random_plan()
    evidence, left_out = [], []
    for left, right in itertools.islice(random_pairs(job.setup.seed * SEEDS + job.number), job.count):
        try:
            evidence.append(("random layer", cross_validate(pair_networks(left, right), plan)))
        except DeviceLost:
            raise
        except SymconvError as error:
            left_out.append(f"random layer {left} against {right}: {error}")
    return Found(tuple(evidence), left_out=tuple(left_out))


def _theorem(job: Job) -> Found:
    from symconv.app.crossval import theorem_row
    from symconv.conformance.plan import DEFAULT_ALGORITHMS, Plan
    from symconv.report.corpus import package

    device = job.setup.device
    dtypes = ("float32",) if device == "mps" else ("float64", "float32")
    plan = Plan(device=device, dtypes=dtypes, algorithms=DEFAULT_ALGORITHMS[device][:1], count=1, seed=job.setup.seed)
    row = theorem_row(package().load(job.name), plan, job.setup.cases)
    return Found(record={"cases": row.cases, "confirmed": row.confirmed, "deviating": list(row.deviating), "numbers": row.numbers})

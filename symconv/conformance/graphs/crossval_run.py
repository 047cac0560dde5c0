"""Cross-validation of two whole models: proved to be the same, opened, run as wholes and part by part.

Owns: `cross_validate_models`, `open_subject`, what is reported about models.
Must not know: the command line, rendering.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.conformance.environment import environment
from symconv.conformance.evidence import Evidence, Models, OpenedAt, Row
from symconv.conformance.graphs.crossval_models import ModelRuns
from symconv.conformance.graphs.crossval_openings import Opened
from symconv.conformance.graphs.crossval_pair import ModelPair, Subject, pair_models
from symconv.conformance.graphs.crossval_parts import PartPair, model_parts, part_rows
from symconv.conformance.plan import Plan
from symconv.errors import ModelError, UsageError
from symconv.frontends.model_files import is_model_file
from symconv.frontends.reference import is_reference, load_module

Progress = Callable[[str], None]


def cross_validate_models(
    left: Any,
    right: Any,
    plan: Plan | Callable[[tuple[Subject, Subject]], Plan],
    *,
    part_backends: Sequence[str] = (),
    seconds: float = 60.0,
    done: Callable[[Row], None] = lambda row: None,
    told: Progress = lambda text: None,
) -> Evidence:
    """Runs the plan on two models; a setting that cannot run is a row that says so.

    Args:
        left, right: `model.onnx`, a path, `package.module:attribute`, or an nn.Module.
        plan: what is tried, or what makes it once the models are read.
        part_backends: runtimes that run the parts, besides those of the plan (PyTorch has their gradients).
        seconds: the budget of each proof.
        done: told every row.
        told: told what is done.

    Raises:
        UsageError: an argument is no model, or cannot be read.
        OutsideFragment: the models are not proved to be the same, or no input is accepted by both.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="symconv-") as folder:
        told("reading")
        subjects = open_subject(left, Path(folder) / "left"), open_subject(right, Path(folder) / "right")
        wanted = plan if isinstance(plan, Plan) else plan(subjects)
        told("proving that the models are the same")
        pair = pair_models(*subjects, Path(folder), seconds=seconds)
        by_parts = attrs.evolve(wanted, backends=tuple(dict.fromkeys((*part_backends, *wanted.backends))))
        return _run(pair, wanted, by_parts, started, done, told)


def _run(pair: ModelPair, plan: Plan, by_parts: Plan, started: float, done: Callable[[Row], None], told: Progress) -> Evidence:
    told("running the models")
    runs = ModelRuns(pair, plan)
    rows = []
    for row in runs.rows() if "forward" in plan.directions else ():
        rows.append(row)
        done(row)
    told("running the parts")
    parts = model_parts(pair.found, (pair.left.graph.live(), pair.right.graph.live()), pair.seconds)
    snippets = [None if runs.worst is None else _snippet(pair, plan, runs.worst[1])]
    for row, snippet in part_rows(parts, by_parts):
        rows.append(row)
        snippets.append(snippet)
        done(row)
    found = pair.found
    return Evidence(
        left=found.left,
        right=found.right,
        relation=found.relation.value,
        trust=None,
        free="own",
        source="compared here",
        rows=tuple(rows),
        seed=plan.seed,
        count=plan.count,
        environment=environment([plan.device], by_parts.backends),
        snippet=next((text for text in snippets if text is not None), None),
        seconds=round(time.perf_counter() - started, 3),
        models=_models(pair, parts, runs),
    )


def _models(pair: ModelPair, parts: Sequence[PartPair], runs: ModelRuns) -> Models:
    found = pair.found
    first: dict[tuple[str, str], Opened] = {}
    for (kind, dtype, _), opened in runs.opened.items():
        first.setdefault((kind, dtype), opened)
    return Models(
        operations=found.operations,
        congruent=found.congruent,
        shapes={name: list(shape) for name, shape in runs.shapes.items()},
        parts=tuple({"left": part.left_text, "right": part.right_text, "count": part.count, "reason": part.reason} for part in parts),
        opened=tuple(OpenedAt(evidence=kind, dtype=dtype, **_opened(opened)) for (kind, dtype), opened in first.items()),
        assumptions=found.assumptions,
    )


def _opened(opened: Opened) -> dict[str, Any]:
    cuts = opened.opening.cuts
    kinds = Counter((cut.op, cut.why, cut.passed) for cut in cuts)
    rows = [{"op": op, "why": why, "left_out": not passed, "count": count} for (op, why, passed), count in kinds.items()]
    return {"cuts": tuple(rows), "shown": len(opened.opening.shown), "operations": tuple(len(graph.operations) for graph in opened.graphs)}


def open_subject(model: Any, folder: Path) -> Subject:
    """What a caller named, copied and ready to be opened.

    Raises:
        UsageError: it is no model, or cannot be read.
    """
    if isinstance(model, Path) or (isinstance(model, str) and is_model_file(model)):
        if isinstance(model, str) and ".onnx::" in model:
            raise UsageError(f"`{model}`: one side is a whole model; a part of a model is compared with a layer.")
        from symconv.conformance.graphs.crossval_onnx import OnnxSubject

        return OnnxSubject.make(Path(model), folder)
    source = model if isinstance(model, str) else type(model).__name__
    if isinstance(model, str):
        if not is_reference(model):
            raise UsageError(f"`{model}` is no model. Give an ONNX file (its name ends in .onnx) or package.module:attribute.")
        model = load_module(model)
    if not any(base.__module__.startswith("torch.nn.") and base.__name__ == "Module" for base in type(model).__mro__):
        raise ModelError(f"a model must be an ONNX file or a torch.nn.Module; found {type(model).__name__}.")
    from symconv.conformance.graphs.crossval_modules import ModuleSubject

    return ModuleSubject.make(model, source)


def _snippet(pair: ModelPair, plan: Plan, row: Row) -> str:
    """Python text that runs the setting of a deviation again."""
    worst = row.deviation
    wanted = {
        "device": row.device,
        "dtypes": (row.dtype,),
        "memory_formats": (row.memory_format,),
        "algorithms": (row.algorithm or plan.algorithms[0],),
        "modes": (row.mode or "eager",),
        "directions": ("forward",),
        "backends": (row.backend,),
        "evidence": (row.evidence,),
        "count": 1 if worst is None else worst.draw + 1,
        "seed": plan.seed,
        "extents": plan.extents,
    }
    told = "" if worst is None else f"# {worst.side} {worst.what} at {list(worst.place)} is {worst.found!r}, exact is {worst.exact!r}\n"
    options = "".join(f"    {key}={value!r},\n" for key, value in wanted.items())
    return (
        f"# {row.evidence} mode: {row.outcome.value}\n{told}"
        "from symconv.conformance.graphs.crossval_run import cross_validate_models\n"
        "from symconv.conformance.plan import Plan\n\n"
        f"plan = Plan(\n{options})\n"
        f"left = {pair.found.left!r}\nright = {pair.found.right!r}\n"
        "for row in cross_validate_models(left, right, plan).rows:\n"
        "    print(row)\n"
    )

"""Two models compared: graphs decided by proof, and a difference of the whole shown by running both.

Owns: `diff`, what counts as a model.
Must not know: how graphs are compared, how results are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from symconv.conformance.model_runs import OnnxRunner, Runner, TorchRunner
from symconv.errors import ModelError, UsageError
from symconv.frontends.model_files import is_model_file, open_model
from symconv.frontends.reference import is_reference, load_module
from symconv.prove.graphs.compare import compare
from symconv.prove.graphs.dataflow import Dataflow, pairing
from symconv.prove.graphs.outcome import Comparison, Likeness, Row

if TYPE_CHECKING:
    from symconv.conformance.partings import Search

RUN_SECONDS = 20.0
PART_SECONDS = 5.0
Progress = Callable[[int, int], None]


@attrs.frozen(eq=False)
class Model:
    """A model as a graph, what runs it (None: nothing here does), and the number format that it then computes in."""

    graph: Dataflow
    runner: Callable[[], Runner | None]
    precision: str = "float32"


def diff(
    left: Any, right: Any, *, seconds: float, up_to: Fraction | None = None, run: bool = True, progress: Progress | None = None
) -> Comparison:
    """Compares two models: ONNX files or modules, both of one kind or mixed.

    Args:
        left, right: `model.onnx`, a path, `package.module:attribute`, or an nn.Module.
        seconds: the budget; what is not decided by then is `unknown`.
        up_to: parts at a proved distance of at most this count as equal up to a distance.
        run: whether the models are run, to show at the output what differs inside.
        progress: told how many parts are decided, and of how many that are known so far.

    Raises:
        UsageError: an argument is no model, cannot be read, or the models take different numbers of inputs.
    """
    started = time.perf_counter()
    one, two = open_as_graph(left), open_as_graph(right)
    found = compare(one.graph, two.graph, seconds=seconds, up_to=up_to, progress=progress)
    if found.relation is not Likeness.IDENTICAL:
        found = _concluded(found, one, two, run)
    return attrs.evolve(found, seconds=round(time.perf_counter() - started, 6))


def open_as_graph(model: Any) -> Model:
    """What a caller named, as a graph."""
    if isinstance(model, Path) or (isinstance(model, str) and is_model_file(model)):
        path = Path(model)
        if isinstance(model, str) and ".onnx::" in model:
            raise UsageError(f"`{model}`: whole models are compared; to compare single layers, use `symconv check`.")
        opened = open_model(path)
        from symconv.frontends.onnx.dataflow import dataflow

        graph = dataflow(opened)
        return Model(graph, lambda: _onnx_runner(path, graph), _precision(graph))
    if isinstance(model, str):
        if not is_reference(model):
            raise UsageError(f"`{model}` is no model. Give an ONNX file (its name ends in .onnx) or package.module:attribute.")
        return _module(load_module(model), model)
    return _module(model, type(model).__name__)


def _onnx_runner(path: Path, graph: Dataflow) -> Runner | None:
    try:
        return OnnxRunner(str(path), tuple(graph.inputs))
    except (ImportError, ModelError):
        return None


def _module(module: Any, source: str) -> Model:
    if not any(base.__module__.startswith("torch.nn.") and base.__name__ == "Module" for base in type(module).__mro__):
        raise ModelError(f"a model must be an ONNX file or a torch.nn.Module; found {type(module).__name__}.")
    from symconv.frontends.torch_graphs import dataflow

    graph = dataflow(module, source)
    return Model(graph, lambda: TorchRunner(module, tuple(graph.inputs)), "float64")


def _precision(graph: Dataflow) -> str:
    """The number format of a file's inputs."""
    formats = {"DOUBLE": "float64", "FLOAT16": "float16", "BFLOAT16": "bfloat16"}
    return next((formats[item.dtype] for item in graph.inputs.values() if item.dtype in formats), "float32")


def _concluded(found: Comparison, one: Model, two: Model, run: bool) -> Comparison:
    """The answer for the whole, from its parts and, where these differ, from running both models.

    Rounded numbers decide nothing: only a run that is exact, or whose bounds keep the two outputs apart, makes `different`.
    """
    if found.relation is Likeness.UP_TO:
        return attrs.evolve(found, cause=_first_cause(found.rows))
    declared = next((row for row in found.rows if row.reason == "inputs_differ"), None)
    if declared is not None:
        return attrs.evolve(found, relation=Likeness.DIFFERENT, evidence="proof", cause=declared.cause, reason=None)
    proof = _proof(found, one.graph.live())
    found, search, why = _tried(found, one, two) if run else (found, None, "the models were not run")
    cause = _first_cause(found.rows)
    parting = None if search is None else search.parting
    if parting is not None and (proof is not None or parting.is_proved):
        found = attrs.evolve(found, rows=_blamed(found.rows))
        evidence = "proof" if proof else parting.evidence
        return attrs.evolve(found, relation=Likeness.DIFFERENT, witness=parting.to_dict(), evidence=evidence, cause=cause, reason=None)
    if proof is not None:
        return attrs.evolve(found, relation=Likeness.DIFFERENT, witness=proof, evidence="proof", cause=cause, reason=None)
    if search is not None and parting is not None:
        detail = f"a run of both models parts, but with rounding, which is no proof: {search.obstacle or 'nothing bounds it'}"
        return attrs.evolve(found, witness=parting.to_dict(), evidence="run", cause=cause, detail=detail)
    parts = sum(row.relation is Likeness.DIFFERENT for row in found.rows)
    detail = f"{parts} {'part differs' if parts == 1 else 'parts differ'} inside, but {why}" if parts else why
    return attrs.evolve(found, cause=cause, detail=detail)


def _blamed(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Where all parts but one are identical and the whole is not, that one differs."""
    others = [row for row in rows if row.relation is not Likeness.IDENTICAL]
    if len(others) != 1 or others[0].relation is not Likeness.UNKNOWN:
        return rows
    detail = "the models part, and every other part is identical"
    return tuple(attrs.evolve(row, relation=Likeness.DIFFERENT, reason=None, detail=detail) if row is others[0] else row for row in rows)


def _proof(found: Comparison, graph: Dataflow) -> dict[str, Any] | None:
    """The witness of a part that is the whole model: from its input to its output."""
    for row in found.rows:
        whole = row.relation is Likeness.DIFFERENT and row.at[0] in graph.outputs and row.since[0] in graph.inputs
        if whole and row.witness is not None:
            return row.witness
    return None


def _tried(found: Comparison, one: Model, two: Model) -> tuple[Comparison, Search, str]:
    """The comparison with undecided operators tried, what running both models found, and what to say if that is nothing."""
    from symconv.conformance.part_witnesses import with_witnesses
    from symconv.conformance.partings import Side, find_parting

    found = with_witnesses(found, one.graph, two.graph, PART_SECONDS)
    by_place = one.graph.returned is not None or two.graph.returned is not None
    inputs = pairing(one.graph.inputs, two.graph.inputs, by_place=by_place)
    outputs = pairing(one.graph.outputs, two.graph.outputs, by_place=by_place)
    assert inputs is not None and outputs is not None, "compared before"
    sides = [Side(model.graph, model.runner(), model.precision) for model in (one, two)]
    search = find_parting(sides[0], sides[1], inputs, outputs, RUN_SECONDS)
    by = " in " + sides[0].runner.name if sides[0].runner is not None else ""
    reason = f" ({search.obstacle})" if search.obstacle else ""
    if not search.ran:
        return found, search, f"no input that was tried{by} is accepted by both models{reason}"
    return found, search, f"none of {search.ran} inputs that were tried{by} shows it at the output{reason}"


def _first_cause(rows: tuple[Row, ...]) -> str | None:
    """The cause of the first part that differs; those that are proved come first, small differences last."""
    order = {Likeness.DIFFERENT: 0, Likeness.UNKNOWN: 1, Likeness.UP_TO: 2}
    named = [row for row in rows if row.cause and row.relation in order]
    named.sort(key=lambda row: (not row.proved, order[row.relation]))
    return named[0].cause if named else None

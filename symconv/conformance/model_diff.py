"""Two models compared: graphs decided by proof, and a difference of the whole shown by running both.

Owns: `diff`, what counts as a model.
Must not know: how graphs are compared, how results are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs

from symconv.conformance.model_runs import OnnxRunner, Parting, Runner, TorchRunner, find_witness
from symconv.errors import ModelError, UsageError
from symconv.frontends.model_files import is_model_file, open_model
from symconv.frontends.reference import is_reference, load_module
from symconv.prove.graphs.compare import compare
from symconv.prove.graphs.dataflow import Dataflow, pairing
from symconv.prove.graphs.outcome import Comparison, Likeness, Row

RUN_SECONDS = 20.0
Progress = Callable[[int, int], None]


@attrs.frozen(eq=False)
class Model:
    """A model as a graph, and what runs it (None: nothing here does)."""

    graph: Dataflow
    runner: Callable[[], Runner | None]


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
        return Model(graph, lambda: _onnx_runner(path, graph))
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
    return Model(graph, lambda: TorchRunner(module, tuple(graph.inputs)))


def _concluded(found: Comparison, one: Model, two: Model, run: bool) -> Comparison:
    """The answer for the whole, from its parts and, where these differ, from running both models.

    Rounded numbers decide nothing by themselves: a run that is not exact makes `different` only where a part is proved to differ.
    """
    cause = _first_cause(found.rows)
    if found.relation is Likeness.UP_TO:
        return attrs.evolve(found, cause=cause)
    declared = next((row for row in found.rows if row.reason == "inputs_differ"), None)
    if declared is not None:
        return attrs.evolve(found, relation=Likeness.DIFFERENT, evidence="proof", cause=declared.cause, reason=None)
    proof = _proof(found, one.graph.live())
    parting, why = _shown(one, two) if run else (None, "the models were not run")
    if parting is not None:
        evidence = "proof" if proof else "exact run" if parting.exact else "run"
        if evidence == "run" and not any(row.relation is Likeness.DIFFERENT for row in found.rows):
            detail = "a run of both models parts, but with rounding, which is no proof; and no part is proved to differ"
            return attrs.evolve(found, relation=Likeness.UNKNOWN, witness=parting.to_dict(), evidence=evidence, cause=cause, detail=detail)
        if evidence != "run":
            found = attrs.evolve(found, rows=_blamed(found.rows))
        return attrs.evolve(found, relation=Likeness.DIFFERENT, witness=parting.to_dict(), evidence=evidence, cause=cause, reason=None)
    if proof is not None:
        return attrs.evolve(found, relation=Likeness.DIFFERENT, witness=proof, evidence="proof", cause=cause, reason=None)
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


def _shown(one: Model, two: Model) -> tuple[Parting | None, str]:
    runners = one.runner(), two.runner()
    if runners[0] is None or runners[1] is None:
        return None, "nothing here runs the models (for ONNX files install onnxruntime), so no input shows it"
    by_place = one.graph.returned is not None or two.graph.returned is not None
    inputs = pairing(one.graph.inputs, two.graph.inputs, by_place=by_place)
    outputs = pairing(one.graph.outputs, two.graph.outputs, by_place=by_place)
    assert inputs is not None and outputs is not None, "compared before"
    parting, ran = find_witness(runners[0], runners[1], (one.graph, two.graph), inputs, outputs, RUN_SECONDS)
    if not ran:
        return None, f"no input that was tried in {runners[0].name} is accepted by both models"
    return parting, f"none of {ran} inputs that were tried in {runners[0].name} shows it at the output"


def _first_cause(rows: tuple[Row, ...]) -> str | None:
    """The cause of the first part that differs; those that are proved come first, small differences last."""
    order = {Likeness.DIFFERENT: 0, Likeness.UNKNOWN: 1, Likeness.UP_TO: 2}
    named = [row for row in rows if row.cause and row.relation in order]
    named.sort(key=lambda row: (not row.proved, order[row.relation]))
    return named[0].cause if named else None

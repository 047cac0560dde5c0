"""`symconv crossval` for two whole models: what counts as one, and which settings are tried where nothing is said.

Owns: `are_models`, `evidence_of`. Must not know: how models are run or compared.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from symconv.errors import ModelError, UsageError
from symconv.frontends.model_files import is_model_file, open_model
from symconv.frontends.reference import is_reference, load_module

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization"})


def are_models(left: str, right: str) -> bool:
    """Whether both arguments name whole models, and one of them is more than a layer.

    Raises:
        ModelError: a file or a reference that does not load.
    """
    if not (_is_whole(left) and _is_whole(right)):
        return False
    return not (_is_layer(left) and _is_layer(right))


def _is_whole(argument: str) -> bool:
    return ".onnx::" not in argument if is_model_file(argument) else is_reference(argument)


def _is_layer(argument: str) -> bool:
    """Whether a model is a chain with one kernel at most: such pairs run as layers."""
    if is_model_file(argument):
        model = open_model(Path(argument))
        from symconv.frontends.onnx.network import whole

        if sum(node.op in WEIGHTED for node in model.nodes) > 1:
            return False
        try:
            whole(model)
        except ModelError:
            return False
        return True
    module = load_module(argument)
    from symconv.frontends.torch_modules import from_module
    from symconv.operators.wiring import is_parametric

    try:
        return sum(map(is_parametric, from_module(module, argument).members)) <= 1
    except ModelError:
        return False


def evidence_of(left: str, right: str, options: dict[str, Any], *, channels: int | None, budget: float, done: Callable[[Any], None]) -> Any:
    """Cross-validates two models.

    Args:
        left, right: what names them.
        options: of `make_plan`.
        channels: an option that means nothing here.
        budget: seconds of each proof.
        done: told every row.

    Raises:
        UsageError: an option that means nothing for models, or a device or runtime that is not there.
    """
    if channels is not None:
        raise UsageError("`--channels` is for layers; whole models have their own. Leave it out.")
    from symconv.conformance.graphs.crossval_run import cross_validate_models
    from symconv.conformance.plan import Plan, make_plan

    make_plan(**options)  # what is wrong with the options is said before anything is read

    def plan(subjects: Any) -> Plan:
        defaults = dict(options)
        if options["backends"] is None:
            defaults["backends"] = ",".join(dict.fromkeys(subject.backends[0] for subject in subjects))
        if options["dtypes"] is None:
            own = [subject.formats for subject in subjects if subject.backends[0] != "torch" and subject.formats]
            defaults["dtypes"] = ",".join(dict.fromkeys(name for formats in own for name in formats)) or None
        return make_plan(**defaults)

    gradients = ("torch",) if options["backends"] is None else ()
    return cross_validate_models(left, right, plan, part_backends=gradients, seconds=budget, done=done, told=_told())


def _told() -> Callable[[str], None]:
    """A line on a terminal's standard error that says what is done."""
    if not sys.stderr.isatty():
        return lambda text: None
    return lambda text: print(f"\r\x1b[K{text} ...", end="\r", file=sys.stderr, flush=True)

"""Two whole models that a proof says are the same.

Owns: `Subject`, `Runnable`: what a model must offer; `ModelPair`, `pair_models`.
Must not know: file formats, frameworks (the subjects do); extents, where models are cut, what is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from symconv.conformance.graphs.crossval_cuts import Partners
from symconv.conformance.graphs.crossval_inputs import joined
from symconv.conformance.graphs.crossval_integers import Whole
from symconv.conformance.torch_runs import TorchSetting
from symconv.errors import OutsideFragment
from symconv.prove.graphs.alignment import align
from symconv.prove.graphs.compare import compare
from symconv.prove.graphs.dataflow import Dataflow, Declared, Value, pairing
from symconv.prove.graphs.outcome import Comparison, Likeness

SIDES = ("left", "right")
LARGE = 1 << 28
"""Bytes of weights from which on a model is loaded for one run at a time, and has one set of small integers for weights."""
Arrays = Mapping[str, Any]
Pair = tuple[Value, Value]


class Runnable(Protocol):
    """An opened model."""

    def __call__(self, setting: TorchSetting, backend: str, inputs: Arrays) -> list[Any]:
        """The outputs, for inputs by name."""
        ...

    def forget(self) -> None:
        """Lets go of what was made ready."""
        ...


class Subject(Protocol):
    """A model that can be opened and run."""

    @property
    def graph(self) -> Dataflow: ...
    @property
    def formats(self) -> tuple[str, ...]: ...
    @property
    def backends(self) -> tuple[str, ...]: ...
    @property
    def bytes(self) -> int: ...
    def whole(self, to: Whole, folder: Path) -> Subject:
        """The same with small integers for weights."""
        ...

    def natural(self, inputs: Arrays, wanted: Sequence[Value]) -> dict[Value, Any]:
        """What the model computes at some of its values."""
        ...

    def opened(self, fed: Mapping[Value, str], outputs: Sequence[Value], samples: Arrays) -> Runnable:
        """The model cut, ready to run."""
        ...


@attrs.frozen(eq=False)
class ModelPair:
    """Two models that are proved to be the same.

    Args:
        left, right: the models.
        found: what was proved.
        inputs, outputs: their inputs and outputs, paired.
        partners: which values correspond.
        declared: what both say of the inputs.
        folder: where files of this run may lie.
        seconds: the budget of a proof.
    """

    left: Subject
    right: Subject
    found: Comparison
    inputs: tuple[tuple[Value, Value], ...]
    outputs: tuple[tuple[Value, Value], ...]
    partners: Partners
    declared: Mapping[Value, Declared]
    folder: Path
    seconds: float

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        """Left and right."""
        return self.left, self.right

    @property
    def is_large(self) -> bool:
        """Whether memory is to be spared."""
        return max(subject.bytes for subject in self.subjects) > LARGE


def pair_models(
    left: Subject, right: Subject, folder: Path, *, seconds: float, progress: Callable[[int, int], None] | None = None
) -> ModelPair:
    """Proves that two models are the same, exactly or up to a distance.

    Raises:
        ModelError: they take different inputs or have different numbers of outputs.
        OutsideFragment: they are not proved to be the same, so there is nothing that runs must show.
    """
    found = compare(left.graph, right.graph, seconds=seconds, progress=progress)
    if found.relation not in (Likeness.IDENTICAL, Likeness.UP_TO):
        raise OutsideFragment(_refusal(found))
    by_place = left.graph.returned is not None or right.graph.returned is not None
    inputs = pairing(left.graph.inputs, right.graph.inputs, by_place=by_place)
    outputs = pairing(left.graph.outputs, right.graph.outputs, by_place=by_place)
    assert inputs is not None and outputs is not None, "compared before"
    one, two = left.graph.live(), right.graph.live()
    live = [
        (one.outputs[left.graph.outputs.index(a)], two.outputs[right.graph.outputs.index(b)]) for a, b in outputs
    ]  # without operations that change nothing, an output may have another name
    alignment = align(one, two, inputs, live)
    partners = Partners(alignment, [pair for row in found.rows for pair in (row.at, row.since)])
    declared = joined(left.graph, right.graph, inputs)
    return ModelPair(left, right, found, tuple(inputs), tuple(live), partners, declared, folder, seconds)


def _refusal(found: Comparison) -> str:
    row = next((row for row in found.rows if row.relation not in (Likeness.IDENTICAL, Likeness.UP_TO)), None)
    cause = found.cause or (row and (row.cause or row.detail)) or found.detail or found.reason or "no reason is known"
    if row is not None and row.reason == "inputs_differ":
        return f"the models take different inputs, so nothing can be cross-validated: {cause}"
    told = "are proved to differ in a part" if row is not None and row.relation is Likeness.DIFFERENT else "are not proved to be the same"
    return f"the models {told}, so nothing can be cross-validated: {cause}. `symconv diff` says more."

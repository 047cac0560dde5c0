"""Where a pair of models is cut so that everything in between has a pass line that is a theorem.

Owns: `Cutter`: which values correspond, and the cuts that bounded or exact runs need.
Must not know: onnx, torch, runtimes; whether the cut models are the same (that is proved afterwards).

Bounded: an operator without a rounding theorem is left out, and a value is cut where its bound would say little after the next sums.
Exact: an operator that does not keep integers is left out, and a value is cut where the next sums might not be exact any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.graphs.opened import Cut, Opening
from symconv.conformance.graphs.values import Evaluated, evaluate, obstacle
from symconv.conformance.precision import Precision
from symconv.errors import OutsideFragment
from symconv.layers import BatchNorm, Conv, ConvTranspose, PReLU
from symconv.prove.graphs.alignment import Alignment
from symconv.prove.graphs.dataflow import Dataflow, Operation, Value

LOOSE = 2.0**-8
"""A bound of this share of the largest value is not carried through further sums."""
TOO_WIDE = "the rounding bound has become too wide for further sums"
SPARSE = 1 / 8
"""Integers of which fewer are not 0 are not carried through further sums."""
MOSTLY_ZERO = "most integers there are 0, and would show little"
MOST_CUTS = 2000
SUMMING = frozenset({"MatMul", "Gemm", "Einsum", "matmul", "linear", "Linear", "bmm", "addmm", "einsum"})
WEIGHTED = (Conv, ConvTranspose, BatchNorm, PReLU)
SHAPES = frozenset({"Shape", "Size", "size", "dim", "ndim", "numel"})
Arrays = Mapping[Value, Any]
Sources = tuple[tuple[Value, Value], ...]
Natural = Callable[[Sequence[Value]], dict[Value, Any]]


class Partners:
    """Which values of one model stand for which of the other."""

    def __init__(self, alignment: Alignment, more: Iterable[tuple[Value, Value]] = ()) -> None:
        self.alignment = alignment
        self.graphs = alignment.left, alignment.right
        self.order = tuple({v: k for k, op in enumerate(graph.operations) for v in op.outputs if v} for graph in self.graphs)
        taken = {value for graph in self.graphs for value in (*graph.producers, *graph.inputs, *graph.constants)}
        prefixes = ("symconv_opened" + "_" * k for k in itertools.count(1))
        self.prefix = next(text for text in prefixes if not any(value.startswith(text) for value in taken))
        known: dict[Value, Value] = dict(alignment.partner)
        known |= dict(alignment.outputs)
        known.update((a, b) for a, b in more if a and b)
        by_number = {number: value for value, number in alignment.numbers[1].items() if value in self.graphs[1].producers}
        for value, number in alignment.numbers[0].items():
            if number in by_number and value in self.graphs[0].producers:
                known.setdefault(value, by_number[number])
        self.known = (known, {b: a for a, b in reversed(known.items())})

    def of(self, value: Value, side: int) -> Value | None:
        """The value of the other side, if both can be named in a file."""
        other = self.known[side].get(value)
        return None if other is None or "\0" in value or "\0" in other else other

    def computed(self, value: Value, side: int) -> bool:
        """Whether an operation computes a value."""
        return value in self.graphs[side].producers

    def equals(self, value: Value, side: int) -> tuple[Value, ...]:
        """The value, and others of its model that are proved equal to it by congruence."""
        numbers, producers = self.alignment.numbers[side], self.graphs[side].producers
        number = numbers.get(value)
        return (value, *(v for v, k in numbers.items() if k == number and v != value and v in producers and "\0" not in v))

    def cut(self, value: Value, side: int, name: str, why: str, *, passed: bool, sources: Sources | None = None, op: str = "") -> Cut:
        """A cut at a value that has a partner; `op` is what has no theorem, if it is not what computes the value."""
        other = self.of(value, side)
        assert other is not None, "the caller asked before"
        left, right = (other, value) if side else (value, other)
        producer = self.graphs[0].producers[left]
        return Cut(
            name=name,
            left=self.equals(left, 0),
            right=self.equals(right, 1),
            op=op or producer.op,
            at=producer.name,
            why=why,
            passed=passed,
            sources=() if passed else self._sources(left) if sources is None else sources,
        )

    def _sources(self, value: Value) -> Sources:
        """The nearest values with a partner that a left value is computed from."""
        found: dict[Value, Value] = {}
        seen: set[Value] = set()
        waiting = [*self.graphs[0].producers[value].inputs]
        while waiting:
            source = waiting.pop()
            producer = self.graphs[0].producers.get(source)
            if producer is None or source in seen:
                continue
            seen.add(source)
            other = self.of(source, 0)
            if other is not None:
                found[source] = other
            else:
                waiting += producer.inputs
        return tuple(found.items())


@attrs.define(eq=False)
class _Known:
    """What is known of an operation: for which inputs, and what came out."""

    inputs: tuple[Any, ...]
    found: Evaluated | str


class Cutter:
    """Finds the cuts for one set of inputs.

    Args:
        partners: which values correspond.
        inputs: pairs of the models' inputs.
        precision: the number format.
        integers: exact or bounded.
        device: where the evaluation runs.

    `kept` has, per side, values that depend on extents alone and are not evaluated here; each is what the left model has at a value.
    """

    def __init__(
        self, partners: Partners, inputs: Sequence[tuple[Value, Value]], precision: Precision, *, integers: bool, device: str = "cpu"
    ) -> None:
        self.partners, self.inputs, self.precision, self.integers, self.device = partners, tuple(inputs), precision, integers, device
        self.cuts: list[Cut] = []
        self.shapes = tuple(_shapes(graph) for graph in partners.graphs)
        self.kept: tuple[dict[Value, Value], dict[Value, Value]] = ({}, {})
        self._memory: dict[tuple[int, str], _Known] = {}
        self._samples: dict[Value, Any] = {}

    def opening(self) -> Opening:
        """The models with the cuts so far."""
        alignment = self.partners.alignment
        return Opening.make(self.cuts, self.inputs, alignment.outputs, self.partners.order)

    def add(self, value: Value, side: int, why: str, *, passed: bool, sources: Sources | None = None, op: str = "") -> None:
        """A cut that is known to be needed; `sources` are the values that what is left out reads, and `op` what it is, if known.

        Raises:
            OutsideFragment: the value has no partner.
        """
        if self.partners.of(value, side) is None:
            raise OutsideFragment(f"no value of the other model is known to correspond to `{value}`: {why}")
        name = f"{self.partners.prefix}{len(self.cuts)}"
        self.cuts.append(self.partners.cut(value, side, name, why, passed=passed, sources=sources, op=op))

    def find(self, graphs: tuple[Dataflow, Dataflow], given: Arrays, natural: Natural, feed: Callable[[Cut, Any], Any]) -> None:
        """Adds cuts until both models have a theorem for everything.

        Args:
            graphs: the models, live; those of the partners, or the same with other weights.
            given: the left model's inputs.
            natural: what the left model computes at some values.
            feed: what is fed at a cut, given what the left model computes there.

        Raises:
            OutsideFragment: something has no theorem, and no values around it correspond.
        """
        fed = {cut.name: feed(cut, self._sample(cut, natural)) for cut in self.cuts}
        while len(self.cuts) <= MOST_CUTS:
            before = len(self.cuts)
            for side in (0, 1):
                if self._first_trouble(graphs[side], side, given, fed, natural):
                    break
            if len(self.cuts) == before:
                return
            for cut in self.cuts[before:]:
                fed[cut.name] = feed(cut, self._sample(cut, natural))
        raise OutsideFragment(f"the models would have to be cut at more than {MOST_CUTS} values")

    def _sample(self, cut: Cut, natural: Natural) -> Any:
        value = cut.left[0]
        if value not in self._samples:
            self._samples |= natural(self._unknown(value))
        return self._samples[value]

    def _unknown(self, value: Value) -> list[Value]:
        """The value, and others that are likely to be needed too, so that one run is enough."""
        graph = self.partners.graphs[0]
        more = [v for op in graph.operations if self._obstacle(op, graph) for v in op.outputs]
        more = [v for v in more if v and "\0" not in v and v not in self._samples]
        if value in more:
            return more
        every = [v for op in graph.operations for v in op.outputs if v and "\0" not in v and v not in self._samples]
        return every if more else [value, *every]

    # --- one walk through one model -----------------------------------------------------------------------------

    def _first_trouble(self, whole: Dataflow, side: int, given: Arrays, fed: Arrays, natural: Natural) -> bool:
        """Adds the first cut that is missing, if any."""
        graph = self.opening().graph(whole, side)
        values = {pair[side]: given[pair[0]] for pair in self.inputs if pair[0] in given} | dict(fed)
        errors: dict[Value, Any] = {}
        for operation in graph.operations:
            poor = self._too_poor(operation, side, values, errors)
            if poor is not None:
                self.add(poor, side, MOSTLY_ZERO if self.integers else TOO_WIDE, passed=True)
                return True
            found = self._evaluated(operation, graph, side, values, errors)
            if isinstance(found, str):
                known = self._shape_values(operation, side, natural)
                if known is None:
                    self._open(operation, side, values, found)
                    return True
                values |= known
                continue
            values |= found.values
            errors |= found.errors or {}
            if not side:
                self._samples |= {value: array for value, array in found.values.items() if value not in self._samples}
        return False

    def _shape_values(self, operation: Operation, side: int, natural: Natural) -> Arrays | None:
        """What an operation on extents gives, from a run of the left model; both models compute the same there."""
        pairs = {value: value if not side else self.partners.of(value, 1) for value in operation.outputs if value}
        if not all(value in self.shapes[side] and other and "\0" not in other for value, other in pairs.items()):
            return None
        wanted = {value: other for value, other in pairs.items() if other}
        missing = [other for other in wanted.values() if other not in self._samples]
        self._samples |= natural(missing) if missing else {}
        if not all(np.array_equal(self._samples[other], np.rint(self._samples[other])) for other in wanted.values()):
            return None
        self.kept[side].update(wanted)
        return {value: self._samples[other] for value, other in wanted.items()}

    def _evaluated(self, operation: Operation, graph: Dataflow, side: int, values: Arrays, errors: Arrays) -> Evaluated | str:
        """The outputs of one operation, or why it has none that a theorem speaks of."""
        read = _read(operation, graph, values)
        inputs = (*(values[value] for value in read), *(errors.get(value) for value in read))
        known = self._memory.get((side, operation.name))
        if known is None or len(known.inputs) != len(inputs) or any(a is not b for a, b in zip(known.inputs, inputs, strict=True)):
            known = _Known(
                inputs, self._computed(operation, graph, {v: values[v] for v in read}, {v: errors[v] for v in read if v in errors})
            )
            self._memory[side, operation.name] = known
        return known.found

    def _computed(self, operation: Operation, graph: Dataflow, given: Arrays, errors: Arrays) -> Evaluated | str:
        why = self._obstacle(operation, graph)
        if why is not None:
            return why
        wanted = [value for value in operation.outputs if value]
        try:
            found = evaluate(graph, given, precision=self.precision, errors=errors, keep=wanted, device=self.device, integers=self.integers)
        except OutsideFragment as error:
            return str(error).removeprefix(f"`{operation.name}`: ")
        if self.integers and not found.exact:
            return self._too_large
        return found

    def _obstacle(self, operation: Operation, graph: Dataflow) -> str | None:
        """Why an operation has no theorem, without a look at weights, which may be many: `evaluate` looks at them."""
        stretch = operation.stretch
        has_weights = stretch is not None and any(isinstance(layer, WEIGHTED) for layer in stretch.layers)
        return obstacle(operation, graph, integers=self.integers and not has_weights)

    @property
    def _too_large(self) -> str:
        return f"sums may exceed 2^{self.precision.sums}"

    def _too_poor(self, operation: Operation, side: int, values: Arrays, errors: Arrays) -> Value | None:
        """An input of sums that would show little, and at which the models can be cut."""
        if not _sums(operation):
            return None
        for value in operation.inputs:
            if value in values and self._can_be_cut(value, side, values) and self._shows_little(values[value], errors.get(value)):
                return value
        return None

    def _shows_little(self, values: Any, errors: Any) -> bool:
        """Integers that are mostly 0 (sparse weights and ReLU do that); a bound that is a large part of the values."""
        if self.integers:
            return bool(np.count_nonzero(values) < SPARSE * np.size(values))
        return errors is not None and bool(np.max(errors, initial=0) > LOOSE * np.abs(values).max(initial=0) > 0)

    def _can_be_cut(self, value: Value, side: int, values: Arrays) -> bool:
        found = self.partners.computed(value, side) and self.partners.of(value, side) is not None
        return found and value in values and np.asarray(values[value]).dtype.kind == "f" and value not in self.shapes[side]

    def _open(self, operation: Operation, side: int, values: Arrays, why: str) -> None:
        """Cuts the inputs if that may help, else the outputs; where they have no partners, the next values that have."""
        may_help = self.integers and why == self._too_large
        for value in sorted(operation.inputs, key=lambda v: -float(np.abs(values[v]).max(initial=0)) if v in values else 0.0):
            if may_help and self._can_be_cut(value, side, values):
                return self.add(value, side, f"{operation.op}: {why}", passed=True)
        op = operation.op
        if any("\0" in value for value in operation.outputs):  # a step of a normalisation that is one operator in the file
            op, why = "LayerNormalization", f"its {why}"
        outputs = [value for value in operation.outputs if value]
        if not all(self.partners.of(value, side) for value in outputs):
            outputs = [self._next(operation, side, why)]
        taken = {value for cut in self.cuts for value in cut.values(side)}
        for value in outputs:
            if value not in taken:
                self.add(value, side, why, passed=False, op=op)
        return None

    def _next(self, operation: Operation, side: int, why: str) -> Value:
        """The first value after an operation that has a partner."""
        reached = set(operation.outputs)
        for later in self.partners.graphs[side].operations:
            if not reached.intersection(later.inputs):
                continue
            reached.update(later.outputs)
            found = [value for value in later.outputs if value and self.partners.of(value, side) is not None]
            if len(found) == len(later.outputs) == 1:
                return found[0]
        raise OutsideFragment(f"{why}, and no value after `{operation.name}` is known to correspond to one of the other model")


def _read(operation: Operation, graph: Dataflow, values: Arrays) -> list[Value]:
    """The known values that an operation needs; extents on the way are none, so it is what they are extents of."""
    found: dict[Value, None] = {}
    waiting = [*operation.inputs]
    while waiting:
        value = waiting.pop()
        producer = graph.producers.get(value)
        if value in values:
            found[value] = None
        elif producer is not None:
            waiting += producer.inputs
    return list(found)


def _sums(operation: Operation) -> bool:
    stretch = operation.stretch
    if stretch is not None:
        return any(isinstance(layer, (Conv, ConvTranspose)) for layer in stretch.layers)
    return operation.op in SUMMING


def _shapes(graph: Dataflow) -> frozenset[Value]:
    """Values that depend on the extents of the inputs alone, or on nothing, not on the inputs' numbers."""
    found: set[Value] = set()
    for operation in graph.operations:
        varying = [value for value in operation.inputs if graph.varies(value)]
        is_shape = operation.op in SHAPES or (operation.op == "getattr" and operation.attributes.get("argument 1") == "shape")
        if not operation.impure and (is_shape or all(value in found for value in varying)):
            found.update(operation.outputs)
    return frozenset(found)

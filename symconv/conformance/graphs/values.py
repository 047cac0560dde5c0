"""Whole graphs evaluated: float64 values, rigorous bounds on rounding errors, and bounds on the sizes of integers.

Owns: `evaluate`, `Evaluated`, `obstacle`; which operations are needed, and when a value may be forgotten.
Must not know: what single operators compute (`layer_rules`, `onnx_rules`, `torch_rules` do), runtimes, verdicts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch

from symconv.conformance.graphs.layer_rules import apply_layer, layer_obstacle
from symconv.conformance.graphs.onnx_rules import OnnxRule, apply_onnx, onnx_rule
from symconv.conformance.graphs.torch_rules import TorchRule, apply_torch, torch_rule
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.conformance.graphs.wide import WideArithmetic
from symconv.conformance.magnitudes import Size
from symconv.conformance.precision import Precision
from symconv.errors import BudgetExceeded, ModelError, OutsideFragment
from symconv.prove.graphs.dataflow import Dataflow, Operation, Value

Array = np.ndarray[Any, np.dtype[Any]]


@attrs.frozen(eq=False)
class Evaluated:
    """What a graph computes.

    Args:
        values: float64 values (integers and truth values keep their own type).
        errors: elementwise bounds on |what a conforming runtime computes in `precision` - the exact real value|, or None.
        own: elementwise bounds on |`values` - the exact real value|, where there are errors.
        sizes: in integer mode, the magnitude, the unit and the largest partial sum in units up to and at each value, or None.
        exact: whether `values` are exact, and whatever runtime computes in `precision` has them bit for bit (integer mode).
    """

    values: dict[Value, Array]
    errors: dict[Value, Array] | None = None
    own: dict[Value, Array] | None = None
    sizes: dict[Value, Size] | None = None
    exact: bool = False


def obstacle(operation: Operation, graph: Dataflow, *, integers: bool = False) -> str | None:
    """Why an operation has no rounding theorem here, or (with `integers`) does not keep integers; None if it has or does.

    It looks at the operation alone. What depends on extents or values (a division near 0, a comparison of close numbers, sums
    beyond what a format holds) shows only in `evaluate`.
    """
    if operation.impure:
        return operation.impure
    stretch = operation.stretch
    if stretch is not None:
        weights = stretch.weights() if integers else (None,) * len(stretch.layers)
        reasons = (layer_obstacle(layer, own, integers=integers) for layer, own in zip(stretch.layers, weights, strict=True))
        return next((reason for reason in reasons if reason is not None), None)
    rule = _rule(operation)
    if isinstance(rule, str):
        return rule
    return rule.fractional if integers and rule.fractional else rule.theorem


def evaluate(
    graph: Dataflow,
    given: Mapping[Value, Array],
    *,
    precision: Precision | None = None,
    errors: Mapping[Value, Array] | None = None,
    keep: Collection[Value] | None = None,
    device: str = "cpu",
    integers: bool = False,
    seconds: float | None = None,
) -> Evaluated:
    """Evaluates what `keep` needs.

    Args:
        graph: the model.
        given: values by name; they are taken as they are, also where an operation would compute them.
        precision: the format for which errors are bounded; None: values alone (then operators without a theorem are evaluated too).
        errors: bounds on how far the runtime's given values are from `given`; left out: 0.
        keep: the values wanted; None: the outputs and what is given.
        device: where PyTorch computes.
        integers: whether partial sums are bounded, in units that all values are multiples of; `exact` is then about `precision`
            (None: float64).
        seconds: the budget; None: no limit.

    Raises:
        OutsideFragment: something on the way has no theorem, or is not evaluated here; the message says what.
        BudgetExceeded: the time ran out.
    """
    arithmetic = Arithmetic(precision, integers=integers, device=device, decimals=decimals_of(graph))
    return _exported(_Run(graph, arithmetic, given, errors or {}, seconds).values(_wanted(graph, given, keep)), arithmetic)


def decimals_of(*graphs: Dataflow) -> str:
    """What settings that are written as decimals stand for: those of files are float32 numbers, those of modules float64 numbers."""
    kinds = {"file" if graph.returned is None else "module" for graph in graphs}
    return kinds.pop() if len(kinds) == 1 else "either"


def enclose(
    graph: Dataflow,
    given: Mapping[Value, Array],
    *,
    keep: Collection[Value] | None = None,
    device: str = "cpu",
    decimals: str = "either",
    seconds: float | None = None,
    places: int | None = None,
) -> Evaluated:
    """Float64 values and bounds `own` on how far they are from the exact ones; no runtime is asked about.

    Operators whose accuracy in runtimes is specified nowhere are enclosed too, so that a difference of two models that is larger
    than both bounds is one of the functions that the models are.

    Args:
        graph, given, keep, device, seconds: as in `evaluate`.
        decimals: what settings that are written as decimals stand for (`decimals_of`).
        places: compute with so many binary places, for graphs at whose outputs the bounds of float64 say nothing; None: in float64.

    Raises:
        OutsideFragment: something on the way is not evaluated here; the message says what.
        BudgetExceeded: the time ran out.
    """
    arithmetic = Arithmetic(None, enclosing=True, device=device, decimals=decimals)
    if places is not None:
        arithmetic = WideArithmetic(places=places, device=device, decimals=decimals)
    return _exported(_Run(graph, arithmetic, given, {}, seconds).values(_wanted(graph, given, keep)), arithmetic)


def _widest(graph: Dataflow) -> int:
    """The significant bits of the widest floats in a model."""
    formats = [item.dtype for item in graph.inputs.values()]
    formats += [constant.digest.split(" ", 1)[0] for constant in graph.constants.values()]
    is_wide = any(name in ("DOUBLE", "tensor") or name.startswith("torch.") for name in formats)
    casts = any(operation.attributes.get("to", operation.attributes.get("dtype")) == 11 for operation in graph.operations)
    return 53 if is_wide or casts else 24


def _wanted(graph: Dataflow, given: Mapping[Value, Array], keep: Collection[Value] | None) -> list[Value]:
    return list(dict.fromkeys((*graph.outputs, *given) if keep is None else keep))


def _rule(operation: Operation) -> OnnxRule | TorchRule | str:
    """What an operation that is no layer computes, or why that is not known here."""
    key = operation.key
    is_traced = isinstance(key, tuple) and key and key[0] in ("call_function", "call_method", "module")
    return torch_rule(operation) if is_traced else onnx_rule(operation)


class _Run:
    """One evaluation; values are forgotten after their last use."""

    def __init__(
        self,
        graph: Dataflow,
        arithmetic: Arithmetic,
        given: Mapping[Value, Array],
        errors: Mapping[Value, Array],
        seconds: float | None,
    ) -> None:
        self.graph, self.arithmetic = graph, arithmetic
        arithmetic.widest = _widest(graph)
        self.deadline = math.inf if seconds is None else time.monotonic() + seconds
        self.known: dict[Value, Any] = {value: arithmetic.given(array, errors.get(value)) for value, array in given.items()}

    def values(self, wanted: Sequence[Value]) -> dict[Value, Traced]:
        """The wanted values."""
        operations = self._needed(wanted)
        left = dict.fromkeys(wanted, 1)
        for operation in operations:
            for value in operation.inputs:
                left[value] = left.get(value, 0) + 1
        with torch.no_grad():
            for operation in operations:
                self._compute(operation)
                for value in operation.inputs:
                    left[value] -= 1
                    if not left[value]:
                        self.known.pop(value, None)
        try:
            found = {value: self._known(value) for value in wanted}
        except ModelError as error:
            raise OutsideFragment(str(error)) from None
        return {value: item for value, item in found.items() if isinstance(item, Traced)}

    def _needed(self, wanted: Sequence[Value]) -> list[Operation]:
        """The operations that the wanted values need, in order."""
        seen, waiting = set(), [value for value in wanted if value not in self.known]
        needed = set()
        while waiting:
            value = waiting.pop()
            if value in seen or not value or value in self.known or value in self.graph.constants:
                continue
            seen.add(value)
            producer = self.graph.producers.get(value)
            if producer is None:
                raise OutsideFragment(f"the input `{value}` is not given")
            needed.add(id(producer))
            stretch = producer.stretch
            waiting += producer.inputs if stretch is None else (stretch.source,)
        return [operation for operation in self.graph.operations if id(operation) in needed]

    def _known(self, value: Value) -> Any:
        if value in self.known:
            return self.known[value]
        constant = self.graph.constants.get(value)
        if constant is None:
            raise OutsideFragment(f"the value `{value}` is not known")
        return self.arithmetic.constant(constant.array())

    def _compute(self, operation: Operation) -> None:
        if time.monotonic() > self.deadline:
            raise BudgetExceeded(f"the time for an evaluation ran out before `{operation.name}`")
        try:
            if operation.impure:
                raise OutsideFragment(operation.impure)
            found = self._stretch(operation) if operation.stretch is not None else self._opaque(operation)
        except (OutsideFragment, ModelError) as error:
            raise OutsideFragment(f"`{operation.name}`: {error}") from None
        except MemoryError:
            raise OutsideFragment(f"`{operation.name}` does not fit into memory") from None
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            text = str(error).splitlines()
            raise OutsideFragment(f"`{operation.name}` ({operation.op}) does not evaluate: {text[0][:120] if text else ''}") from None
        for value, item in zip(operation.outputs, found, strict=False):
            if value and value not in self.known:  # a given value stays what it is
                self.known[value] = item

    def _stretch(self, operation: Operation) -> list[Any]:
        stretch = operation.stretch
        assert stretch is not None
        x = self._known(stretch.source)
        if not isinstance(x, Traced):
            raise OutsideFragment("a layer of something that is no value")
        for layer, own in zip(stretch.layers, stretch.weights(), strict=True):
            x = apply_layer(self.arithmetic, layer, own, x)
        return [x]

    def _opaque(self, operation: Operation) -> list[Any]:
        rule = _rule(operation)
        if isinstance(rule, str):
            raise OutsideFragment(rule)
        inputs = [self._known(value) if value else None for value in operation.inputs]
        if isinstance(rule, OnnxRule):
            return apply_onnx(self.arithmetic, rule, operation, inputs)
        return [apply_torch(self.arithmetic, rule, operation, inputs)]


def _exported(found: Mapping[Value, Traced], arithmetic: Arithmetic) -> Evaluated:
    def array(tensor: torch.Tensor) -> Array:
        return np.asarray(tensor.detach().cpu().numpy())

    values = {value: array(item.value) for value, item in found.items()}
    if arithmetic.integers:
        sizes = {
            value: Size(float(item.value.abs().max()) if item.value.numel() else 0.0, item.bits, item.worst)
            for value, item in found.items()
            if item.is_real
        }
        worst = max((size.worst for size in sizes.values()), default=0.0)
        return Evaluated(values, None, None, sizes, exact=worst <= 2.0 ** min(arithmetic.format.sums, 53))
    if not arithmetic.tracks:
        return Evaluated(values)
    errors, own = (
        {value: array(torch.broadcast_to(arithmetic.errors(item)[k], item.value.shape)) for value, item in found.items()} for k in (-1, 0)
    )
    is_ours = all(track.ours for track in arithmetic.tracks)
    return Evaluated(values, None if is_ours else errors, own)

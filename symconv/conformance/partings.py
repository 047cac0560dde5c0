"""Inputs on which two whole models part, and what it rests on that they do.

Owns: `find_parting`, `Parting`, `Search`.
Must not know: how graphs are compared, how results are shown.

A runtime's numbers find an input quickly, but they are rounded and prove nothing. What is proved is proved by evaluating both
graphs here: either without rounding, where every partial sum is an integer that float32 holds in any order of summation, or with
both outputs enclosed by balls that do not meet. The runtime then replays the input, and must agree with that evaluation within its
own rounding bound where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.graphs.values import Evaluated, decimals_of, enclose, evaluate
from symconv.conformance.model_candidates import candidates, meet
from symconv.conformance.model_runs import Runner
from symconv.conformance.precision import PRECISIONS
from symconv.errors import BudgetExceeded, OutsideFragment
from symconv.prove.graphs.dataflow import Dataflow

MARGIN = 2.0**-12
"""A rounded run is shown where outputs are further apart than this part of the largest."""
MOST_SHOWN = 4096
PLACES = (256, 256, 640)
"""Binary places of the evaluations of both models that are tried where the bounds of float64 are too wide."""
CLEAR = 2.0**-10
NEAR = 0.25
"""Where no theorem bounds a runtime's rounding, it contradicts an evaluation if it is further off than this part of the largest value."""
UNKNOWN = "not evaluated here"
"""What more places do not help against."""
MEET = "the bounds on rounding are larger than the difference"
PROVED = ("exact run", "bounded run")

Arrays = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


@attrs.frozen(kw_only=True)
class Parting:
    """An input on which two models part.

    Args:
        inputs: name to array, by the left model's names.
        output: which output.
        at: the first place where they part, or None if the shapes differ.
        left, right: the values there, or the shapes.
        bounds: how far the exact values are from these at most; None: they are rounded and nothing is known.
        largest: the largest difference in that output; None if the shapes differ.
        evidence: "exact run", "bounded run" or "run".
        values: both outputs as they were evaluated, or None.
        by: what ran the models, or None.
        replayed: both values as the runtime has them, or None.
    """

    inputs: Arrays
    output: str
    at: tuple[int, ...] | None
    left: Any
    right: Any
    largest: float | None
    evidence: str
    values: tuple[Any, Any] | None = None
    bounds: tuple[float, float] | None = None
    by: str | None = None
    replayed: tuple[Any, Any] | None = None

    @property
    def is_proved(self) -> bool:
        """Whether it rests on more than rounded numbers."""
        return self.evidence in PROVED

    def to_dict(self) -> dict[str, Any]:
        """The JSON object; values of inputs that are too many are left out, their shapes are not."""
        return {
            "kind": "model",
            "inputs": shown(self.inputs),
            "output": self.output,
            "at": None if self.at is None else list(self.at),
            "left_value": _plain(self.left),
            "right_value": _plain(self.right),
            "left_bound": None if self.bounds is None else self.bounds[0],
            "right_bound": None if self.bounds is None else self.bounds[1],
            "largest_difference": self.largest,
            "exact": self.evidence == "exact run",
            "replayed_by": self.by,
            "replayed_values": None if self.replayed is None else [_plain(value) for value in self.replayed],
        }


def shown(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays in JSON: shape, type, and the values unless they are many."""
    return {
        name: {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "values": array.ravel().tolist() if array.size <= MOST_SHOWN else None,
        }
        for name, array in inputs.items()
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@attrs.frozen
class Search:
    """What a search found.

    Args:
        parting: the best one, or None.
        ran: inputs that both models took.
        obstacle: why a rounded run could not be made a proof, or None.
    """

    parting: Parting | None
    ran: int
    obstacle: str | None = None


@attrs.frozen(eq=False)
class Side:
    """One of two models: its graph without what no output depends on, what runs it, and the number format that it computes in."""

    graph: Dataflow
    runner: Runner | None
    precision: str = "float32"


def find_parting(left: Side, right: Side, inputs: Pairs, outputs: Pairs, seconds: float) -> Search:
    """The first input found on which the two models are proved to part, else one on which rounded runs do.

    Args:
        left, right: the models.
        inputs, outputs: names that stand for one another, left and right.
        seconds: the budget.
    """
    return _Search(left, right, inputs, outputs, time.monotonic() + seconds).run()


class _Search:
    """Two models tried on one input after the other."""

    def __init__(self, left: Side, right: Side, inputs: Pairs, outputs: Pairs, deadline: float) -> None:
        self.sides = left, right
        self.inputs, self.outputs, self.deadline = inputs, outputs, deadline
        self.names = tuple([pair[k] for pair in outputs] for k in (0, 1))
        self.decimals = decimals_of(left.graph, right.graph)
        self.obstacle: str | None = None
        self.rounded: Parting | None = None
        self.ran = self.tries = 0

    def run(self) -> Search:
        for given in self._candidates():
            found = self._try(given)
            if found is not None:
                return Search(found, self.ran)
        return Search(self.rounded, self.ran, self.obstacle)

    def _candidates(self) -> Iterator[Arrays]:
        left, right = (side.graph.inputs for side in self.sides)
        for given in candidates({a: meet(left[a], right[b]) for a, b in self.inputs}):
            if time.monotonic() > self.deadline:
                return
            yield given

    def _try(self, given: Arrays) -> Parting | None:
        """A parting that is proved, or None; a rounded one is kept."""
        try:
            replay = self._replay(given)
        except Exception:  # whatever a runtime raises on extents that a model does not take
            return None
        if replay is not None:
            self.ran += 1
            parting = self._rounded_parting(given, replay)
            if parting is None:
                return None  # the runtime sees nothing to prove
            if parting.at is None and parting.evidence == "exact run":
                return parting
            if self.rounded is None and (parting.at is None or _counts(parting, replay)):
                self.rounded = parting
        found: Parting | None = None
        for evidence, both_of in (("exact run", self._exact), ("bounded run", self._enclosed), ("bounded run", self._enclosed_widely)):
            if both_of == self._enclosed_widely and (self.tries >= len(PLACES) or (found is None and UNKNOWN in (self.obstacle or ""))):
                break
            try:
                both = both_of(given)
            except OutsideFragment as error:
                self.obstacle = str(error)
                continue
            except BudgetExceeded as error:
                self.obstacle = str(error)
                break
            self.ran += replay is None and both_of == self._enclosed
            found = (None if both is None else self._apart(given, both, evidence)) or found
            if found is not None and _is_clear(found):
                break
        return None if found is None else self._replayed(found, given, replay)

    # --- the runtime --------------------------------------------------------------------------------------------

    def _replay(self, given: Arrays) -> tuple[Arrays, Arrays] | None:
        """The outputs of both models in their runtimes, by name, or None."""
        renamed = dict(self.inputs)
        found = []
        for side, inputs in zip(self.sides, (given, {renamed[name]: array for name, array in given.items()}), strict=True):
            if side.runner is None:
                return None
            values = side.runner.run(inputs)
            if len(values) != len(side.graph.outputs):
                return None  # a module that returns numbers beside tensors
            found.append(dict(zip(side.graph.outputs, map(np.asarray, values), strict=True)))
        return found[0], found[1]

    def _rounded_parting(self, given: Arrays, replay: tuple[Arrays, Arrays]) -> Parting | None:
        """Where the runtime's numbers part at all, and by how much."""
        best: Parting | None = None
        for a, b in self.outputs:
            x, y = replay[0][a], replay[1][b]
            if x.shape != y.shape:
                evidence = "exact run" if all(_is_shaped_alike(side.graph) for side in self.sides) else "run"
                return Parting(inputs=given, output=a, at=None, left=x.shape, right=y.shape, largest=None, evidence=evidence, by=self._by())
            if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub" or not x.size:
                continue
            p, q = x.astype(np.float64), y.astype(np.float64)
            if not (np.isfinite(p).all() and np.isfinite(q).all()):
                continue
            gaps = np.abs(p - q)
            most = float(gaps.max())
            if most and (best is None or most > (best.largest or 0)):
                at = _first(gaps > min(MARGIN * float(np.abs(p).max()), 0.99 * most))
                best = Parting(
                    inputs=given, output=a, at=at, left=x[at].item(), right=y[at].item(), largest=most, evidence="run", by=self._by()
                )
        return best

    def _by(self) -> str | None:
        return None if self.sides[0].runner is None else self.sides[0].runner.name

    # --- proofs -------------------------------------------------------------------------------------------------

    def _both(self, given: Arrays, call: Callable[[Dataflow, Arrays, list[str], float], Evaluated]) -> tuple[Evaluated, Evaluated]:
        renamed = dict(self.inputs)
        seconds = max(self.deadline - time.monotonic(), 0.0)
        one = call(self.sides[0].graph, given, self.names[0], seconds)
        two = call(self.sides[1].graph, {renamed[name]: array for name, array in given.items()}, self.names[1], seconds)
        return one, two

    def _exact(self, given: Arrays) -> tuple[Evaluated, Evaluated] | None:
        """Both models without rounding, where float32 holds every partial sum."""
        single = PRECISIONS["float32"]
        both = self._both(given, lambda g, x, keep, s: evaluate(g, x, integers=True, precision=single, keep=keep, seconds=s))
        return both if all(side.exact for side in both) else None

    def _enclosed(self, given: Arrays) -> tuple[Evaluated, Evaluated]:
        return self._both(given, lambda g, x, keep, s: enclose(g, x, keep=keep, decimals=self.decimals, seconds=s))

    def _apart(self, given: Arrays, both: tuple[Evaluated, Evaluated], evidence: str) -> Parting | None:
        for a, b in self.outputs:
            if a not in both[0].values or b not in both[1].values:
                continue
            x, y = both[0].values[a], both[1].values[b]
            if x.shape != y.shape:
                return Parting(inputs=given, output=a, at=None, left=x.shape, right=y.shape, largest=None, evidence="exact run")
            if not x.size:
                continue
            gaps = np.abs(x.astype(np.float64) - y.astype(np.float64))
            reach = np.zeros(x.shape), np.zeros(x.shape)
            if evidence == "bounded run":
                assert both[0].own is not None and both[1].own is not None, "enclosed"
                reach = both[0].own.get(a, reach[0]), both[1].own.get(b, reach[1])
            clear = gaps > (reach[0] + reach[1]) * (1 + 2.0**-40)
            if clear.any():
                at = _first(clear if evidence == "exact run" else clear & (gaps >= 0.5 * gaps[clear].max()))
                bounds = (float(reach[0][at]), float(reach[1][at]))
                return Parting(
                    inputs=given, output=a, at=at, left=x[at].item(), right=y[at].item(), largest=float(gaps.max()), evidence=evidence,
                    values=(x, y), bounds=bounds,
                )  # fmt: skip
        if evidence == "bounded run":
            self.obstacle = MEET
        return None

    def _enclosed_widely(self, given: Arrays) -> tuple[Evaluated, Evaluated]:
        places = PLACES[self.tries]
        self.tries += 1
        return self._both(given, lambda g, x, keep, s: enclose(g, x, keep=keep, decimals=self.decimals, seconds=s, places=places))

    # --- the replay ---------------------------------------------------------------------------------------------

    def _replayed(self, found: Parting, given: Arrays, replay: tuple[Arrays, Arrays] | None) -> Parting | None:
        """The parting with the runtime's values; None if the runtime contradicts a bound."""
        if replay is None or found.at is None:
            return found
        other = dict(self.outputs)[found.output]
        values = replay[0][found.output][found.at], replay[1][other][found.at]
        renamed = dict(self.inputs)
        sides = ((self.sides[0], given, found.output), (self.sides[1], {renamed[k]: v for k, v in given.items()}, other))
        for k, (side, inputs, name) in enumerate(sides):
            assert found.values is not None, "a place has values"
            if not _agrees(side, inputs, name, replay[k][name], found.values[k], max(self.deadline - time.monotonic(), 1.0)):
                self.obstacle = f"{self._by()} is outside of its rounding bound at `{name}`, so that one of the two evaluations is wrong"
                return None
        return attrs.evolve(found, by=self._by(), replayed=(values[0].item(), values[1].item()))


def _is_clear(found: Parting) -> bool:
    """Whether the bounds are so small beside the difference that nobody has to look twice."""
    return found.bounds is None or sum(found.bounds) <= CLEAR * abs(found.left - found.right)


def _agrees(side: Side, inputs: Arrays, name: str, replayed: Any, proved: Any, seconds: float) -> bool:
    """Whether a runtime's values are within their rounding bound; where there is no theorem for that, whether they are near at all."""
    try:
        known = evaluate(side.graph, inputs, precision=PRECISIONS[side.precision], keep=[name], seconds=seconds)
        if known.own is not None and name in known.own:
            bound = known.own[name] if known.errors is None else known.own[name] + known.errors[name]
            return bool((np.abs(known.values[name].astype(np.float64) - replayed.astype(np.float64)) <= bound).all())
    except (OutsideFragment, BudgetExceeded):
        pass
    values = proved.astype(np.float64)
    return bool((np.abs(values - replayed.astype(np.float64)) <= NEAR * np.abs(values).max()).all())


DATA_SHAPED = frozenset({
    "Cast", "Compress", "If", "Loop", "NonMaxSuppression", "NonZero", "Scan", "SequenceMap", "Unique", "argwhere", "masked_select",
    "nonzero", "repeat_interleave", "unique", "getitem",
})  # fmt: skip
"""Operators by which rounding could reach a shape."""


def _is_shaped_alike(graph: Dataflow) -> bool:
    """Whether outputs have the same shapes whatever is rounded."""
    return not any(operation.op in DATA_SHAPED for operation in graph.operations)


def _counts(parting: Parting, replay: tuple[Arrays, Arrays]) -> bool:
    """Whether a rounded difference is large enough to be shown."""
    largest = float(np.abs(replay[0][parting.output].astype(np.float64)).max())
    return (parting.largest or 0.0) > MARGIN * largest


def _first(mask: Any) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(mask)[0])

"""Opened models: some values become inputs that both sides are fed alike, and others outputs that are compared.

Owns: `Cut`, `Opening`, `opened`.
Must not know: onnx, torch, runtimes, why a value is cut.

A *cut* at a pair of corresponding values feeds both models the same numbers there. If the opened models are the same function of
their inputs and of what they are fed, then runs of both must agree on every output of the opened models, and a bound on the rounding
of each is a bound from the cuts before it only. What is fed need not be what the whole model would compute there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from symconv.prove.graphs.dataflow import Dataflow, Declared, Operation, Value

ANYTHING = Declared("tensor", None)


@attrs.frozen(kw_only=True)
class Cut:
    """Values at which both models are fed the same numbers.

    Args:
        name: of the new input, the same on both sides.
        left, right: the values; one side may compute several that are equal.
        op: the operator that computes it on the left.
        at: the name of that operation on the left.
        why: why it is cut there, as a sentence about `op` without a full stop.
        passed: whether the value is still computed and compared. If not, what computes it is left out of the run.
        sources: pairs of values that what is left out reads; they are compared instead.
    """

    name: str
    left: tuple[Value, ...]
    right: tuple[Value, ...]
    op: str
    at: str
    why: str
    passed: bool
    sources: tuple[tuple[Value, Value], ...] = ()

    def values(self, side: int) -> tuple[Value, ...]:
        """The values of one side, 0 the left one."""
        return self.right if side else self.left


@attrs.frozen(kw_only=True)
class Opening:
    """How a pair of models is opened.

    Args:
        cuts: where both are fed.
        shown: pairs of values that are compared.
        inputs: pairs of the models' own inputs.
    """

    cuts: tuple[Cut, ...]
    shown: tuple[tuple[Value, Value], ...]
    inputs: tuple[tuple[Value, Value], ...]

    @classmethod
    def make(
        cls,
        cuts: Sequence[Cut],
        inputs: Sequence[tuple[Value, Value]],
        outputs: Sequence[tuple[Value, Value]],
        order: Sequence[Mapping[Value, int]],
    ) -> Opening:
        """The models cut; shown are their outputs, what passes a cut, and what is read by what is left out, where it is computed.

        Args:
            cuts, inputs: as above.
            outputs: pairs of the models' outputs.
            order: per side, the place of each value that an operation computes.
        """
        gone = [{value for cut in cuts if not cut.passed for value in cut.values(side)} for side in (0, 1)]
        pairs = [*outputs]
        for cut in cuts:
            pairs += [(cut.left[0], cut.right[0])] if cut.passed else cut.sources
        kept: dict[Value, Value] = {}
        for a, b in pairs:
            if a in order[0] and b in order[1] and a not in gone[0] and b not in gone[1]:
                kept.setdefault(a, b)
        shown = sorted(kept.items(), key=lambda pair: order[0][pair[0]])
        return cls(cuts=tuple(cuts), shown=tuple(shown), inputs=tuple(inputs))

    def fed(self, side: int) -> dict[Value, str]:
        """Value to the name of the input that replaces it for everything that reads it."""
        return {value: cut.name for cut in self.cuts for value in cut.values(side)}

    def outputs(self, side: int) -> tuple[Value, ...]:
        """What one side computes, in the order of `shown`."""
        return tuple(pair[side] for pair in self.shown)

    def graph(self, graph: Dataflow, side: int) -> Dataflow:
        """One side, opened."""
        return opened(graph, self.fed(side), self.outputs(side), [pair[side] for pair in self.inputs])


def opened(graph: Dataflow, fed: Mapping[Value, str], outputs: Sequence[Value], inputs: Sequence[Value]) -> Dataflow:
    """A graph whose readers of `fed` read new inputs instead, cut down to what `outputs` need.

    Args:
        graph: the model, live.
        fed: value to the name of the input that replaces it.
        outputs: values; one that is fed as well is what the model computes there.
        inputs: the model's inputs, in the order in which the other side has their partners.
    """
    operations = tuple(_reading(operation, fed) for operation in graph.operations)
    declared = {value: graph.inputs[value] for value in inputs}
    declared |= dict.fromkeys(dict.fromkeys(fed.values()), ANYTHING)
    kept = [*outputs]
    wanted = set(kept)
    needed: list[Operation] = []
    for operation in reversed(operations):
        if wanted.intersection(operation.outputs):
            needed.append(operation)
            wanted.update(operation.inputs)
    return attrs.evolve(graph, operations=tuple(reversed(needed)), inputs=declared, outputs=tuple(kept), returned=("opened", len(kept)))


def _reading(operation: Operation, fed: Mapping[Value, str]) -> Operation:
    if not any(value in fed for value in operation.inputs):
        return operation
    stretch = operation.stretch
    if stretch is not None:
        stretch = attrs.evolve(stretch, source=fed.get(stretch.source, stretch.source))
    return attrs.evolve(operation, inputs=tuple(fed.get(value, value) for value in operation.inputs), stretch=stretch)

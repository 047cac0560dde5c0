"""Congruence: values of two graphs that are equal because they are computed alike.

Owns: `Numbering`.
Must not know: what operations compute.

Two values with the same number are equal for all inputs: they are the same input, constants of the same bits, or the
same output of operations with the same key on inputs with the same numbers (in any order, where the operation commutes).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from symconv.prove.graphs.dataflow import Dataflow, Operation, Value


class Numbering:
    """Numbers of values; several graphs that share a numbering can be compared.

    Args:
        inputs: per graph, its inputs' names to what they stand for (the same for inputs that are paired).
    """

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable) -> int:
        """The number of a key; equal keys, equal numbers."""
        return self._numbers.setdefault(key, len(self._numbers))

    def values(self, graph: Dataflow, inputs: Mapping[Value, Hashable]) -> dict[Value, int]:
        """The number of every value of a graph, given what its inputs stand for."""
        found = {"": self.number(("absent",))}
        for name in graph.inputs:
            found[name] = self.number(("input", inputs[name]))
        for operation in graph.operations:
            for value in operation.inputs:
                if value not in found:
                    found[value] = self.number(("constant", graph.constants[value].digest))
            for value, number in zip(operation.outputs, self.outputs(operation, found), strict=True):
                if value:
                    found[value] = number
        for value in graph.outputs:
            if value not in found:
                found[value] = self.number(("constant", graph.constants[value].digest))
        return found

    def outputs(self, operation: Operation, known: Mapping[Value, int]) -> list[int]:
        """The numbers of an operation's outputs, given those of its inputs."""
        key = operation_key(operation, [known[value] for value in operation.inputs], known)
        return [self.number(("output", key, position)) for position in range(len(operation.outputs))]


def operation_key(operation: Operation, inputs: Sequence[int], known: Mapping[Value, int]) -> Hashable:
    """What decides the outputs of an operation."""
    if operation.impure:
        return ("impure", id(operation))
    stretch = operation.stretch
    if stretch is not None:
        return ("layers", stretch.key, known[stretch.source])
    return (operation.key, tuple(sorted(inputs)) if operation.commutative else tuple(inputs))

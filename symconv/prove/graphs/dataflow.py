"""A model as a graph of operations on values, free of any file format or framework.

Owns: `Dataflow`, `Operation`, `Stretch`, `Constant`.
Must not know: onnx, torch, what operations compute beyond the layers they are read as.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import attrs

from symconv.errors import ModelError
from symconv.layers import Identity, Layer, Weights

Value = str
"""The name of a value, unique within its graph; "" where an optional input is left out."""


@attrs.frozen
class Declared:
    """What a model says of an input.

    Args:
        dtype: element type; "tensor" where a model takes any.
        dims: an extent, a name or None for each axis; None if not even the rank is said.
    """

    dtype: str
    dims: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        return self.dtype if self.dims is None else f"{self.dtype}[{', '.join('?' if dim is None else str(dim) for dim in self.dims)}]"

    def agrees(self, other: Declared) -> bool:
        """Whether some tensor is accepted by both."""
        if "tensor" not in (self.dtype, other.dtype) and self.dtype != other.dtype:
            return False
        if self.dims is None or other.dims is None:
            return True
        pairs = list(zip(self.dims, other.dims, strict=False))
        return len(self.dims) == len(other.dims) and not any(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)

    def narrower(self, other: Declared) -> bool:
        """Whether this one fixes an extent that the other leaves free."""
        pairs = zip(self.dims or (), other.dims or (), strict=False)
        return any(isinstance(a, int) and not isinstance(b, int) for a, b in pairs)


@attrs.frozen(eq=False)
class Constant:
    """A stored or computed tensor that does not depend on the model's inputs.

    Args:
        shape: extents.
        digest: equal digests mean equal element types and equal contents, bit for bit.
        array: reads the content as numbers; called only when it is needed.
    """

    shape: tuple[int, ...]
    digest: str
    array: Callable[[], Any]


@attrs.frozen(eq=False)
class Stretch:
    """What an operation is as layers: from one value to one value.

    Args:
        layers: the chain; its members are bound where they have axes.
        axes: spatial axes, or None if any number fits.
        source, result: the values before and after.
        key: equal keys mean equal layers with equal weights, bit for bit.
        weights: reads the weights, one entry a layer.
        channels: of the source, or None if they are not known.
        extents: the only extents at which it is these layers, or None: all.
    """

    layers: tuple[Layer, ...]
    axes: int | None
    source: Value
    result: Value
    key: Hashable
    weights: Callable[[], tuple[Weights | None, ...]]
    channels: int | None = None
    extents: tuple[int, ...] | None = None


@attrs.frozen(eq=False)
class Operation:
    """One step of a graph.

    Args:
        name: for people; unique within the graph.
        op: what it is called, for people.
        key: operator and attributes; equal keys and equal inputs give equal outputs, unless `impure` says why not.
        inputs, outputs: value names, constants among the inputs; of operations that a stretch joins, those of all of them.
        commutative: whether its inputs may change places.
        impure: why equal inputs need not give equal outputs, or "".
        stretch: what it is as layers, or None.
        attributes: what a reader sees of the key: name to value.
        growth: how outputs can grow: "sum" of the inputs, "max" of them, as the "first" input (the others say only where); "" unknown.
    """

    name: str
    op: str
    key: Hashable
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    commutative: bool = False
    impure: str = ""
    stretch: Stretch | None = None
    attributes: Mapping[str, Any] = attrs.field(factory=dict)
    growth: str = ""


@attrs.frozen(eq=False)
class Dataflow:
    """A model.

    Args:
        source: where it came from, for people.
        operations: in an order in which every value is computed before it is used.
        inputs: value name to what is declared of it.
        outputs: value names.
        constants: value name to constant.
        assumptions: sentences that every verdict about this model rests on.
        returned: how a program nests its outputs; its inputs and outputs are told apart by their places. None: by their names.
    """

    source: str
    operations: tuple[Operation, ...]
    inputs: Mapping[Value, Declared]
    outputs: tuple[Value, ...]
    constants: Mapping[Value, Constant]
    assumptions: tuple[str, ...] = ()
    returned: Hashable = None
    producers: Mapping[Value, Operation] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        known = {*self.inputs, *self.constants, ""}
        producers: dict[Value, Operation] = {}
        for operation in self.operations:
            for value in operation.inputs:
                if value not in known:
                    raise ModelError(f"`{self.source}`: `{operation.name}` uses the value `{value}` before anything computes it.")
            for value in filter(None, operation.outputs):
                if value in known:
                    raise ModelError(f"`{self.source}`: the value `{value}` is computed twice.")
                known.add(value)
                producers[value] = operation
        for value in self.outputs:
            if value not in known:
                raise ModelError(f"`{self.source}`: the output `{value}` is computed by nothing.")
        object.__setattr__(self, "producers", producers)

    def live(self) -> Dataflow:
        """The same model without operations that change nothing (Identity), and without those that no output depends on."""
        return self._without_identities()._without_dead()

    def _without_identities(self) -> Dataflow:
        same: dict[Value, Value] = {}
        kept = []
        for operation in self.operations:
            stretch = operation.stretch
            if stretch is not None and all(isinstance(layer, Identity) for layer in stretch.layers):
                same[stretch.result] = same.get(stretch.source, stretch.source)
                continue
            if any(value in same for value in operation.inputs):
                operation = _renamed(operation, same)
            kept.append(operation)
        outputs = tuple(same.get(value, value) for value in self.outputs)
        return attrs.evolve(self, operations=tuple(kept), outputs=outputs)

    def _without_dead(self) -> Dataflow:
        wanted = set(self.outputs)
        kept = []
        for operation in reversed(self.operations):
            if wanted.intersection(operation.outputs):
                kept.append(operation)
                wanted.update(operation.inputs)
        return attrs.evolve(self, operations=tuple(reversed(kept)))

    def consumers(self) -> dict[Value, list[Operation]]:
        """Value to the operations that use it."""
        found: dict[Value, list[Operation]] = {}
        for operation in self.operations:
            for value in dict.fromkeys(operation.inputs):
                found.setdefault(value, []).append(operation)
        return found

    def repeated(self) -> tuple[str, ...]:
        """Names of extents that one input has on several axes."""
        dims = [item.dims or () for item in self.inputs.values()]
        found = [dim for item in dims for dim in {*item} if isinstance(dim, str) and item.count(dim) > 1]
        return tuple(dict.fromkeys(sorted(found)))

    def varies(self, value: Value) -> bool:
        """Whether a value depends on the model's inputs (a constant does not)."""
        return bool(value) and value not in self.constants


def _renamed(operation: Operation, same: Mapping[Value, Value]) -> Operation:
    stretch = operation.stretch
    if stretch is not None:
        stretch = attrs.evolve(stretch, source=same.get(stretch.source, stretch.source))
    return attrs.evolve(operation, inputs=tuple(same.get(value, value) for value in operation.inputs), stretch=stretch)


def pairing(left: Iterable[str], right: Iterable[str], *, by_place: bool = False) -> list[tuple[str, str]] | None:
    """Inputs or outputs of two models, paired: by name where both have the same names, else by place; None if the counts differ.

    Args:
        left, right: names, in order.
        by_place: never by name.
    """
    one, two = list(left), list(right)
    if len(one) != len(two):
        return None
    if set(one) == set(two) and len(set(one)) == len(one) and not by_place:
        return [(name, name) for name in one]
    return list(zip(one, two, strict=True))

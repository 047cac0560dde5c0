"""Inputs of whole models: extents that both accept, and numbers.

Owns: `Shapes`, `candidates`, `draw_inputs`.
Must not know: runtimes, bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.torch_runs import rounded_to
from symconv.errors import OutsideFragment, UsageError
from symconv.prove.graphs.dataflow import Dataflow, Declared, Value

BATCH = 2
EXTENTS = (4, 6, 8, 16, 5, 7, 32, 64, 128, 1, 256)
"""Extents that are tried where a model leaves one free, until both models accept them."""
MOST = 1 << 26
"""Numbers of one input, at most."""
TYPES = {"INT64": "i8", "INT32": "i4", "INT16": "i2", "INT8": "i1", "UINT8": "u1", "UINT16": "u2", "BOOL": "?"}
FLOATS = frozenset({"tensor", "FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"})
INTEGERS = 4
"""Inputs of integers are below it: they may be places or classes."""


@attrs.frozen
class Free:
    """An extent that a model leaves free: a name, or the input and the axis."""

    name: str
    is_batch: bool


def joined(left: Dataflow, right: Dataflow, pairs: Sequence[tuple[Value, Value]]) -> dict[Value, Declared]:
    """What both models say of each input, by the left one's names.

    Raises:
        OutsideFragment: of an input not even the rank is said.
    """
    found = {}
    for a, b in pairs:
        one, two = left.inputs[a], right.inputs[b]
        kind = two.dtype if one.dtype == "tensor" else one.dtype
        if kind not in FLOATS and kind not in TYPES:
            raise OutsideFragment(f"input `{a}` is of type {kind}, for which no numbers are drawn")
        dims = one.dims if two.dims is None else two.dims if one.dims is None else tuple(map(_narrower, one.dims, two.dims))
        if dims is None:
            raise OutsideFragment(f"nothing says how many axes input `{a}` has. Export both models to ONNX with shapes.")
        found[a] = Declared(kind, dims)
    return found


def _narrower(one: int | str | None, two: int | str | None) -> int | str | None:
    return one if isinstance(one, int) or two is None else two if isinstance(two, int) or one is None else one


def free(declared: Mapping[Value, Declared]) -> list[Free]:
    """The free extents in order, each named one once."""
    found: dict[str, Free] = {}
    for name, item in declared.items():
        for axis, dim in enumerate(item.dims or ()):
            if not isinstance(dim, int):
                key = dim or f"{name}, axis {axis}"
                found.setdefault(key, Free(key, axis == 0))
    return list(found.values())


def candidates(declared: Mapping[Value, Declared], asked: Sequence[int] | None) -> Iterator[dict[Value, tuple[int, ...]]]:
    """Shapes of the inputs, small ones first; with extents that are asked for, these alone.

    Raises:
        UsageError: another number of extents is asked for than there are free ones.
    """
    every = free(declared)
    inner = [item for item in every if not item.is_batch]
    if asked is not None:
        if len(asked) != len(inner) or any(n < 1 for n in asked):
            named = ", ".join(item.name for item in inner) or "none"
            raise UsageError(
                f"`--extents` must have one extent for each that the models leave free ({named}), {len(inner)} here; found {len(asked)}."
            )
        choices = [tuple(asked)]
    else:
        choices = [tuple(pair[k % 2] for k in range(len(inner))) for n in EXTENTS for pair in ((n, 2 * n), (n, n))]
    tried = set()
    for choice in choices:
        for batch in (BATCH, 1):
            given = {item.name: batch for item in every if item.is_batch} | dict(zip((item.name for item in inner), choice, strict=True))
            shapes = {name: _shape(name, item, given) for name, item in declared.items()}
            key = tuple(shapes.items())
            if key not in tried and all(math.prod(shape) <= MOST for shape in shapes.values()):
                tried.add(key)
                yield shapes


def _shape(name: str, item: Declared, given: Mapping[str, int]) -> tuple[int, ...]:
    dims = enumerate(item.dims or ())
    return tuple(dim if isinstance(dim, int) else given[dim or f"{name}, axis {axis}"] for axis, dim in dims)


def draw_inputs(
    shapes: Mapping[Value, tuple[int, ...]], declared: Mapping[Value, Declared], chance: np.random.Generator, storage: str, most: int | None
) -> dict[Value, Any]:
    """Numbers for every input: reals in [-1, 1] that the storage format holds, or integers up to `most`, none of them 0."""
    found: dict[Value, Any] = {}
    for name, shape in shapes.items():
        kind = declared[name].dtype
        if kind in FLOATS:
            found[name] = draw_floats(shape, chance, storage, most)
        elif kind == "BOOL":
            found[name] = chance.integers(0, 2, shape).astype(bool)
        else:
            found[name] = chance.integers(0, INTEGERS, shape).astype(TYPES[kind])
    return found


def draw_floats(shape: Sequence[int], chance: np.random.Generator, storage: str, most: int | None) -> Any:
    """As `draw_inputs` has them for one input of floats."""
    if most is None:
        return rounded_to(chance.uniform(-1, 1, tuple(shape)), storage).reshape(tuple(shape))
    return np.asarray(chance.integers(1, most + 1, tuple(shape)) * chance.choice((-1, 1), tuple(shape)), dtype=np.float64)

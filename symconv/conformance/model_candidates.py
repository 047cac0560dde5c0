"""Inputs of small integers on which two models are tried.

Owns: `candidates`, what two declarations of an input allow together.
Must not know: graphs beyond their declared inputs, runtimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from symconv.prove.graphs.dataflow import Declared

SIZES = (4, 6, 8, 16, 5, 7, 32, 64, 128)
"""Extents that are tried where a model leaves one free."""
Arrays = dict[str, Any]


def meet(one: Declared, two: Declared) -> Declared:
    """What both declarations allow."""
    dtype = two.dtype if one.dtype == "tensor" else one.dtype
    if one.dims is None or two.dims is None:
        return Declared(dtype, two.dims if one.dims is None else one.dims)
    return Declared(
        one.dtype, tuple(a if isinstance(a, int) else b if isinstance(b, int) else a or b for a, b in zip(one.dims, two.dims, strict=False))
    )


def candidates(declared: Mapping[str, Declared]) -> Iterator[Arrays]:
    """Inputs of small integers at growing extents."""
    free = any(not isinstance(dim, int) for item in declared.values() for dim in (item.dims or ()))
    for size in SIZES if free else (1,):
        shapes = {name: _shape(item, size) for name, item in declared.items()}
        if any(shape is None for shape in shapes.values()):
            return
        for seed, make in enumerate(_VALUES):
            rng = np.random.default_rng(seed)
            yield {name: make(rng, shape or (), declared[name].dtype) for name, shape in shapes.items()}


def _shape(item: Declared, size: int) -> tuple[int, ...] | None:
    """Free first axes (batches) are 1, other free ones `size`."""
    if item.dims is None:
        return None
    return tuple(dim if isinstance(dim, int) else 1 if axis == 0 else size for axis, dim in enumerate(item.dims))


DTYPES = {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2", "INT64": "i8", "INT32": "i4", "BOOL": "?", "UINT8": "u1", "INT8": "i1"}
_Make = Callable[[Any, tuple[int, ...], str], Any]


def _integers(low: int, high: int) -> _Make:
    def make(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
        kind = np.dtype(DTYPES.get(dtype, "f4"))
        return rng.integers(low if kind.kind == "f" else 0, high, shape).astype(kind)

    return make


_RANGES = ((0, 4), (-3, 4), (1, 2), (-1, 1), (-64, 65), (0, 1), (-4096, 4097))
_VALUES: tuple[_Make, ...] = tuple(_integers(low, high) for low, high in _RANGES)

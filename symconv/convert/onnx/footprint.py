"""The least memory that one pass of a model takes at given extents: what one node reads and writes at once.

Owns: `least_bytes`.
Must not know: runtimes, how much memory there is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from symconv.frontends.onnx.extents import Extent, Floor
from symconv.frontends.onnx.graph import OnnxModel
from symconv.frontends.onnx.shapes import analysis


def least_bytes(model: OnnxModel, inputs: Mapping[str, tuple[int, ...]], itemsize: int) -> int:
    """Bytes of the samples that the widest node reads and writes, as far as extents are known.

    Args:
        model: any.
        inputs: extents of its inputs, by name.
        itemsize: bytes of a sample.
    """
    shapes = analysis(model).shapes
    atoms: dict[str, int] = {}
    for name, shape in inputs.items():
        for extent, n in zip(shapes.get(name, ()), shape, strict=False):
            if len(extent.terms) == 1 and len(extent.terms[0][0]) == 1 and isinstance(extent.terms[0][0][0], str):
                atoms[extent.terms[0][0][0]] = n
    sizes = {}
    for name, found in shapes.items():
        values = [_value(extent, atoms) for extent in found]
        sizes[name] = math.prod(value for value in values if value is not None) if None not in values else 0
    return itemsize * max((sum(sizes.get(value, 0) for value in {*node.inputs, *node.outputs}) for node in model.nodes), default=0)


def _value(extent: Extent, atoms: Mapping[str, int]) -> int | None:
    """An extent at these values of its atoms; None where one is not known."""
    total = 0
    for monomial, coefficient in extent.terms:
        term = coefficient
        for atom in monomial:
            inner = _value(atom.of, atoms) if isinstance(atom, Floor) else atoms.get(atom)
            if inner is None:
                return None
            term *= inner // atom.by if isinstance(atom, Floor) else inner
        total += term
    return total

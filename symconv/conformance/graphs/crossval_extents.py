"""Extents at which two whole models are run: accepted by both, and large enough for every tap of what was converted to count.

Owns: `Accepted`, `accepted`, `sees_every_tap`.
Must not know: file formats, where models are cut, what is compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.graphs.crossval_inputs import candidates, draw_inputs, free
from symconv.conformance.graphs.crossval_pair import Arrays, ModelPair
from symconv.conformance.torch_runs import Unsupported
from symconv.errors import OutsideFragment
from symconv.layers import Conv, ConvTranspose, Layer
from symconv.prove.graphs.dataflow import Operation, Value

LARGER = 1024
"""Inputs this many times larger than the smallest ones are tried for the sake of taps that are not seen, and no larger ones."""


@attrs.frozen
class Accepted:
    """Inputs that both models run at.

    Args:
        shapes: by the left model's names.
        blind: operations of changed parts some of whose taps read nothing but padding there.
    """

    shapes: Mapping[Value, tuple[int, ...]]
    blind: tuple[str, ...]

    @property
    def size(self) -> int:
        """Numbers of all inputs."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def accepted(pair: ModelPair, extents: Sequence[int] | None, seed: int) -> Accepted:
    """Small inputs that both models run at, where every tap of a changed layer reads a sample, if there are such.

    Raises:
        OutsideFragment: none of those tried runs.
    """
    best: Accepted | None = None
    least, last = 0, "no extents are small enough"
    for shapes in candidates(pair.declared, extents):
        try:
            found = _tried(pair, shapes, seed)
        except Unsupported as error:
            last = str(error)
            continue
        if not found.blind:
            return found
        least = least or found.size
        best = found if best is None or len(found.blind) < len(best.blind) else best
        if found.size > LARGER * least:
            break
    if best is None:
        raise OutsideFragment(f"no input that was tried is accepted by both models: {last}")
    return best


def _tried(pair: ModelPair, shapes: Mapping[Value, tuple[int, ...]], seed: int) -> Accepted:
    """One candidate.

    Raises:
        Unsupported: a model does not run at it, or computes nothing.
    """
    drawn = draw_inputs(shapes, pair.declared, np.random.default_rng(seed), "float64", None)
    for side, subject in enumerate(pair.subjects):
        given = {names[side]: drawn[names[0]] for names in pair.inputs}
        found = subject.natural(given, list(dict.fromkeys(names[side] for names in pair.outputs)))
        if not all(np.size(array) for array in found.values()):
            raise Unsupported("an output is empty")
    if not free(pair.declared):
        return Accepted(shapes, ())
    return Accepted(shapes, tuple(_looked_through(pair, drawn)))


def _looked_through(pair: ModelPair, inputs: Arrays) -> list[str]:
    """The changed operations that do not see every tap; extents that a runtime accepts need not be fair ones.

    Raises:
        Unsupported: a layer computes nothing, or a pool is larger than what it pools.
    """
    operations = pair.partners.graphs[0].operations
    pools = [(op, tuple(op.attributes.get("kernel_shape", ()))) for op in operations if op.stretch is None and "Pool" in op.op]
    layers = [op.stretch for op in operations if op.stretch is not None]
    wanted = [value for stretch in layers for value in (stretch.source, stretch.result)] + [op.inputs[0] for op, kernel in pools if kernel]
    found: dict[Value, Any] = dict(inputs)
    found |= pair.left.natural(inputs, [value for value in dict.fromkeys(wanted) if pair.partners.computed(value, 0)])
    for value, array in found.items():
        if not np.size(array):
            raise Unsupported(f"the value `{value}` is empty")
    for op, kernel in pools:  # ONNX Runtime makes one sample of what is smaller than a pool, and OpenVINO none
        if op.inputs[0] in found and any(n < k for n, k in zip(np.shape(found[op.inputs[0]])[2:], kernel, strict=False)):
            raise Unsupported(f"`{op.name}` pools more than there is")
    return [op.name for op in _changed(pair) if not _sees(op, found)]


def _changed(pair: ModelPair) -> Iterator[Operation]:
    """Left operations of parts that are other layers on the right."""
    names = {name for row in pair.found.rows for name in row.left}
    return (op for op in pair.partners.graphs[0].operations if op.name in names and op.stretch is not None)


def _sees(operation: Operation, found: Arrays) -> bool:
    stretch = operation.stretch
    assert stretch is not None, "asked before"
    layer = next(iter(stretch.layers), None)
    return layer is None or stretch.source not in found or sees_every_tap(layer, np.shape(found[stretch.source])[2:])


def sees_every_tap(layer: Layer, extents: Sequence[int]) -> bool:
    """Whether every tap of a convolution reads a sample (not only padding) for some output that exists."""
    if not isinstance(layer, (Conv, ConvTranspose)) or len(extents) != len(layer.kernel):
        return True
    if isinstance(layer, Conv) and layer.padding_mode != "zeros":
        return True
    return all(_axis_is_seen(layer, axis, n) for axis, n in enumerate(extents))


def _axis_is_seen(layer: Conv | ConvTranspose, axis: int, n: int) -> bool:
    k, s, d, (before, after) = layer.kernel[axis], layer.stride[axis], layer.dilation[axis], layer.padding[axis]
    reach = d * (k - 1) + 1
    if isinstance(layer, ConvTranspose):  # x[i] meets y[o] in tap j: s i + d j = o + before
        m = (n - 1) * s + reach + layer.output_padding[axis] - before - after
        return all(any(0 <= s * i + d * j - before < m for i in range(n)) for j in range(k))
    m = (n + before + after - reach) // s + 1
    return all(any(0 <= s * o + d * j - before < n for o in range(m)) for j in range(k))

"""Ways to refute a bent statement: by layers that PyTorch runs, and by plain integers.

Owns: `by_size`, `layers_differ`, `reshuffle_fails`, `integers_differ`.
Must not know: particular theorems.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from symconv.api import check
from symconv.errors import LayerError
from symconv.frontends.text import parse
from symconv.layers import Sequential, flatten
from symconv.theory.relation import Relation

from .theorem import Counterexample, Values

Kernel = dict[Any, int]
"""Index into the kernel to value, zero elsewhere."""


def by_size(names: str, least: Values, most: int, where: Callable[[Values], bool] = lambda values: True) -> Callable[[], Iterator[Values]]:
    """All integers from `least` up to `most`, smallest sum first, then in the order of the names."""
    letters = names.split()

    def candidates() -> Iterator[Values]:
        found = itertools.product(*(range(least.get(name, 1), most + 1) for name in letters))
        for numbers in sorted(found, key=lambda numbers: (sum(numbers), numbers)):
            values = dict(zip(letters, numbers, strict=True))
            if where(values):
                yield values

    return candidates


def text(values: Values) -> str:
    """k=4, s=2."""
    return ", ".join(f"{name}={value}" for name, value in values.items())


def layers_differ(
    left: Callable[[Values], str], right: Callable[[Values], str], claimed: tuple[str, ...] = ("equal",), channels: int | None = None
) -> Callable[[Values], Counterexample | None]:
    """Refutes "the classes of `left` and `right` are in one of the relations `claimed`"; the engine's witness is run through PyTorch."""

    def refute(values: Values) -> Counterexample | None:
        one, two = left(values), right(values)
        try:
            verdict = check(one, two, presburger=False, channels=channels)
        except LayerError:
            return None
        if verdict.relation.value in claimed or verdict.relation is Relation.UNKNOWN:
            return None
        says = f"{text(values)}: {one} against {two}: {verdict.relation.value}"
        if verdict.relation is Relation.SHAPES_DIFFER:
            assert verdict.witness is not None
            return Counterexample(values, says, _shapes_replay(one, two, verdict.witness))
        return Counterexample(values, says, _replay(one, two, verdict.witness))

    return refute


def _replay(one: str, two: str, witness: dict[str, object] | None) -> bool:
    from symconv.conformance.replay import replay

    if witness is None:
        return False
    left, right = (parse(side) for side in (one, two))
    axes = left.axes or right.axes or 1
    left, right = left.bind(axes), right.bind(axes)
    told = replay(flatten(left), flatten(right), axes, witness)
    return told.parts and told.annihilated is not False


def _shapes_replay(one: str, two: str, witness: dict[str, object]) -> bool:
    import torch

    from symconv.conformance.torch_oracle import to_module

    layers = [parse(side) for side in (one, two)]
    axes = next(layer.axes for layer in layers if layer.axes)
    extents = witness.get("extents") or witness.get("input_extents") or witness.get("extent")
    size = tuple(extents) if isinstance(extents, (list, tuple)) else (int(str(extents)),) * axes
    channels = next((layer.channels[0] for side in layers for layer in flatten(side) if layer.channels), 1)
    x = torch.zeros((1, channels, *size), dtype=torch.float64)
    shapes = [to_module(layer.bind(axes), axes)(x).shape for layer in layers]
    return bool(shapes[0] != shapes[1])


def impulses(layer: str, kernel: Kernel, extents: tuple[int, ...], channels: int = 1) -> list[list[int]]:
    """The operator matrix that PyTorch computes for one kernel, in exact integers: rows are output samples."""
    import numpy as np

    from symconv.conformance.torch_oracle import operator_matrix
    from symconv.layers import Weights
    from symconv.prove.reshuffle import kernel_shape

    parsed = parse(layer)
    axes = parsed.axes or len(extents)
    chain = flatten(parsed.bind(axes))
    weights: list[Weights | None] = []
    for member in chain:
        if type(member).__name__ in ("Conv", "ConvTranspose"):
            array = np.zeros(kernel_shape(member))  # type: ignore[arg-type]
            for index, value in kernel.items():
                array[index] = value
            weights.append(Weights(array, None))
        else:
            weights.append(None)
    matrix = operator_matrix(Sequential(chain), axes, channels, extents, tuple(weights))
    return [[int(entry) for entry in row] for row in matrix.tolist()]


def reshuffle_fails(
    left: Callable[[Values], str],
    right: Callable[[Values], str],
    kernels: Callable[[Values], tuple[Kernel, Kernel]],
    extents: Iterable[tuple[int, ...]] = ((1,), (2,), (3,), (4,)),
    channels: Callable[[Values], int] = lambda values: 1,
) -> Callable[[Values], Counterexample | None]:
    """Refutes "`right` with this kernel is `left` with that one": PyTorch runs both on all impulses."""

    def refute(values: Values) -> Counterexample | None:
        one, two = left(values), right(values)
        first, second = kernels(values)
        for size in extents:
            try:
                a, b = (impulses(layer, kernel, size, channels(values)) for layer, kernel in ((one, first), (two, second)))
            except (RuntimeError, LayerError):
                continue
            if a != b:
                says = f"{text(values)}, extent {'x'.join(map(str, size))}: {one} gives {a}, {two} gives {b}"
                return Counterexample(values, says, True)
        return None

    return refute


def integers_differ(wrong: Callable[[Values], str | None]) -> Callable[[Values], Counterexample | None]:
    """Refutes a statement about integers alone: `wrong` says what is wrong at these values, or None."""

    def refute(values: Values) -> Counterexample | None:
        problem = wrong(values)
        return None if problem is None else Counterexample(values, f"{text(values)}: {problem}", None)

    return refute

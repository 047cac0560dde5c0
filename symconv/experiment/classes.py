"""Upscaling layers as classes of linear maps from a neighbourhood of low-resolution samples to r x r samples.

Owns: which classes are compared, and their bases, read off the engine's tap relation.
Must not know: images, how an optimum is found.

Away from the borders a layer's output sample (r q + phi) is a linear form in the parameters for each input sample (q + l): the tap
relation. So a class is, for each phase, a matrix from parameters to the weights of the neighbourhood.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import attrs

from symconv.convert.cost import Cost, cost_of
from symconv.layers import Layer, Sequential, flatten

AXES = 2
BICUBIC = "bicubic resize"


@attrs.frozen
class LinearClass:
    """One class of upscaling layers, from one channel to one.

    Args:
        name: the family: bicubic resize, low resolution and shuffle, transposed, bicubic or nearest first.
        factor: r.
        expression: the layer.
        group: LR taps k of the low-resolution layer that it is compared with, or None.
    """

    name: str
    factor: int
    expression: str
    group: int | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The chain, bound to two axes."""
        from symconv.frontends.text import parse

        return flatten(Sequential(flatten(parse(self.expression))).bind(AXES))

    @property
    def cost(self) -> Cost:
        """Multiplications for each low-resolution sample, and parameters."""
        return cost_of(self.layers, 1)


def linear_classes(factor: int, kernels: Sequence[int] = (1, 3, 5)) -> tuple[LinearClass, ...]:
    """The classes compared at one factor.

    For each odd k: the low-resolution layer of k x k taps; the transposed convolution of (k r) x (k r) taps, which multiplies
    as often; resize then k x k in high resolution (as often); resize then (k r) x (k r) (as many taps).
    """
    found = [LinearClass(BICUBIC, factor, f'Upsample(scale_factor={factor}, mode="bicubic")')]
    for k in kernels:
        found.append(LinearClass("LR and shuffle", factor, _shuffled(k, factor), k))
        found.append(LinearClass("transposed", factor, _transposed(k, factor), k))
        for mode in ("bicubic", "nearest"):
            for taps in dict.fromkeys((k, k * factor)):
                found.append(LinearClass(f"{mode} first", factor, _resized(mode, taps, factor), k))
    odd = factor % 2
    usual = f"ConvTranspose2d(1, 1, {2 * factor + odd}, stride={factor}, padding={(factor + odd) // 2}, bias=False)"
    found.append(LinearClass("transposed", factor, usual))
    unique = {item.expression: item for item in reversed(found)}
    return tuple(item for item in found if unique[item.expression] is item)


def _shuffled(k: int, r: int) -> str:
    return f"Conv2d(1, {r * r}, {k}{_padding(k)}, bias=False) >> PixelShuffle({r})"


def _transposed(k: int, r: int) -> str:
    pad = r * (k - 1) // 2
    return f"ConvTranspose2d(1, 1, {k * r}, stride={r}{f', padding={pad}' if pad else ''}, bias=False)"


def _resized(mode: str, taps: int, r: int) -> str:
    resize = f"Upsample(scale_factor={r}" + (f', mode="{mode}")' if mode != "nearest" else ")")
    before, after = (taps - 1) // 2, taps // 2
    if before == after:
        return f"{resize} >> Conv2d(1, 1, {taps}{_padding(taps)}, bias=False)"
    return f"{resize} >> ZeroPad2d(({before}, {after}, {before}, {after})) >> Conv2d(1, 1, {taps}, bias=False)"


def _padding(k: int) -> str:
    return f", padding={k // 2}" if k > 1 else ""


Term = tuple[tuple[int, int], tuple[int, int], Any, Fraction]
"""(phase, offset, parameter or None for a fixed coefficient, coefficient)."""


@attrs.define(slots=False)
class Basis:
    """The tap relation of a class without borders.

    Args:
        factor: r.
        parameters: names of the class's parameters, in order; none for a fixed layer.
        terms: (phase, offset, parameter or None, coefficient) for y[r q + phase] and x[q + offset].
    """

    factor: int
    parameters: tuple[Any, ...]
    terms: tuple[Term, ...]

    @cached_property
    def reach(self) -> int:
        """The largest offset, in low-resolution samples."""
        return max((abs(at) for _, offset, _, _ in self.terms for at in offset), default=0)

    def matrices(self, reach: int) -> tuple[Any, Any]:
        """The basis as arrays over the neighbourhood of (2 reach + 1)^2 samples, row-major.

        Returns:
            (phases, samples, parameters): weights for each parameter; and (phases, samples): those of the fixed part.
        """
        import numpy as np

        width = 2 * reach + 1
        columns = {name: k for k, name in enumerate(self.parameters)}
        linear = np.zeros((self.factor**2, width**2, len(columns)))
        fixed = np.zeros((self.factor**2, width**2))
        for (py, px), (y, x), name, coefficient in self.terms:
            phase, sample = py * self.factor + px, (y + reach) * width + x + reach
            if name is None:
                fixed[phase, sample] += float(coefficient)
            else:
                linear[phase, sample, columns[name]] += float(coefficient)
        return linear, fixed


def basis_of(item: LinearClass) -> Basis:
    """The tap relation of the engine, for one period of output samples."""
    from symconv.operators.symbolic import interior_row

    chain = item.layers
    channels = _channels(chain)
    terms: list[Term] = []
    for py, px in itertools.product(range(item.factor), repeat=AXES):
        for (_, y, x), form in interior_row(chain, channels, (0, py, px)).items():
            for param, coefficient in form.items():
                if coefficient:
                    terms.append(((py, px), (y, x), param, Fraction(coefficient)))
    names = sorted({param for _, _, param, _ in terms if param is not None})
    return Basis(item.factor, tuple(names), tuple(terms))


def _channels(chain: tuple[Layer, ...]) -> tuple[int, ...]:
    from symconv.layers import channels_through

    return channels_through(chain, 1)


def contained_pairs(classes: Sequence[LinearClass]) -> Iterator[tuple[LinearClass, LinearClass, bool]]:
    """(smaller, larger, equal) for every pair that the engine proves to be so, away from the borders."""
    from symconv.frontends.text import parse
    from symconv.prove.decide import decide
    from symconv.theory.relation import Relation

    for left, right in itertools.combinations(classes, 2):
        verdict = decide(parse(left.expression), parse(right.expression), channels=1, presburger=False, witness=False)
        relation = verdict.interior_relation
        if relation is Relation.EQUAL:
            yield left, right, True
        elif relation is Relation.LEFT_IN_RIGHT:
            yield left, right, False
        elif relation is Relation.RIGHT_IN_LEFT:
            yield right, left, False

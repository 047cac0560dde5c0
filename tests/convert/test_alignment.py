"""Formulas on one axis: the universal lowering, the second alignment, and that the synthesis is them."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from convert.cases import one_axis

from symconv.convert.alignment import least_lead, low_resolution
from symconv.convert.conversion import Conversion, convert_weights
from symconv.convert.layer import convert_layer
from symconv.convert.window import window_of
from symconv.layers import Conv, ConvTranspose, Layer, Pad, Sequential, Shuffle, flatten
from symconv.operators.budget import Budget
from symconv.operators.lowering import axis_word
from symconv.prove.decide import decide
from symconv.theory.relation import Relation

CONTAINED = (Relation.EQUAL, Relation.LEFT_IN_RIGHT)


def universal(k: int, s: int, d: int, pb: int, pe: int, op: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """The universal lowering on one axis: (taps, pads, crops)."""
    ke, a = d * (k - 1) + 1, -pb % s
    taps, shift = -(-(ke + a) // s), (pb + a) // s
    pads = taps - 1 - shift, -(-(ke - s - pb - pe + op) // s) + shift
    return taps, pads, (0, -(ke - pb - pe + op) % s)


def aligned(k: int, s: int, d: int, pb: int, pe: int, op: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """The second alignment on one axis, as the docstring of symconv.convert.alignment states it."""
    ke = d * (k - 1) + 1
    pads = -(-ke // s) - 1 - pb // s, -(-(ke + op - pe) // s) - 1
    return -(-ke // s), pads, (pb % s, (pe - ke - op) % s)


def by_formula(form: Any, config: tuple[int, int, int, int, int, int]) -> Layer:
    taps, pads, crops = form(*config)
    core = (Conv.make(1, 1, config[1], taps, bias=False), Shuffle((config[1],)))
    return Sequential((Pad((pads,)), *core, Pad(((-crops[0], -crops[1]),))))


@pytest.mark.parametrize("form", [universal, aligned])
def test_both_formulas_contain_the_transposed_convolution(form: Any) -> None:
    rng = random.Random(form.__name__)
    for _ in range(150):
        k, s, d, pb, pe, op = config = one_axis(rng)
        source = ConvTranspose.make(1, 1, 1, k, s, ((pb, pe),), op, 1, False, d)
        verdict = decide(source, by_formula(form, config), presburger=False, check=False)
        assert verdict.relation in CONTAINED, (config, verdict.relation)


def test_the_synthesis_is_the_formulas() -> None:
    rng = random.Random(5)
    for _ in range(2000):
        k, s, d, pb, pe, op = one_axis(rng)
        window = window_of(axis_word(ConvTranspose.make(1, 1, 1, k, s, ((pb, pe),), op, 1, False, d), 0), Budget())
        both, end = low_resolution(window, pb % s), low_resolution(window, 0)
        taps, pads, crops = aligned(k, s, d, pb, pe, op)
        assert (both.kernel - 1) * both.dilation + 1 == taps
        if min(pads) >= 0 or max(pads) <= 0:  # otherwise the crop of the input becomes one of the output
            assert (both.pads, both.crops) == (pads, crops)
        fewest = low_resolution(window, least_lead(window))
        assert (fewest.kernel - 1) * fewest.dilation + 1 == taps
        assert sum(fewest.crops) <= sum(both.crops)
        assert (end.kernel - 1) * end.dilation + 1 <= universal(k, s, d, pb, pe, op)[0]
        if d == 1 and k >= s:
            t = pb % s
            assert end.kernel == (-(-k // s) if t == 0 else -(-(k - t) // s) + 1)


def test_the_taps_go_where_the_formula_says() -> None:
    rng, numbers = random.Random(6), np.random.default_rng(6)
    done = 0
    while done < 40:
        k, s, d, pb, pe, op = one_axis(rng)
        taps = aligned(k, s, d, pb, pe, op)[0]
        conversion = convert_layer(ConvTranspose.make(1, 2, 1, k, s, ((pb, pe),), op, 1, False, d), "lr-shuffle", presburger=False)
        kernel = numbers.normal(size=(2, 1, k))
        moved = convert_weights(conversion, kernel)[0]
        if moved.shape != (s, 2, taps) or _lead(conversion) != pb % s:
            continue  # another c does as well, or the convolution is dilated
        written = np.zeros((2, taps * s))
        written[:, : d * (k - 1) + 1 : d] = kernel[:, 0]
        for phase, u in itertools.product(range(s), range(taps)):
            assert np.array_equal(moved[phase, :, u], written[:, phase + s * (taps - 1 - u)])
        done += 1


def _lead(conversion: Conversion) -> int:
    last = flatten(conversion.target_layer or Sequential())[-1]
    return -last.amounts[0][0] if isinstance(last, Pad) and isinstance(last.amounts, tuple) else 0

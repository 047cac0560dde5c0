"""Bugs that real converters shipped: the right layer is proved, the wrong one refuted with a witness."""

from __future__ import annotations

import numpy as np
import pytest

import symconv
from symconv.frontends.text import parse
from symconv.layers import Conv, ConvTranspose, Sequential, WeightedNetwork, Weights, flatten
from symconv.theory.relation import Relation

B = "bias=False"


def weighted(text: str, kernel: object) -> WeightedNetwork:
    """A chain whose one kernel layer has these taps."""
    chain = flatten(parse(text))
    values = np.array(kernel, dtype=float)
    return WeightedNetwork(Sequential(chain), tuple(Weights(values) if isinstance(x, (Conv, ConvTranspose)) else None for x in chain))


RIGHT = f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        # output padding split evenly between the sides: same shape, shifted values
        (RIGHT, f"ConvTranspose1d(1,1,3,stride=2,{B}) >> Crop(0,1)"),
        # output padding taken for zero padding of the output
        (RIGHT, f"ConvTranspose1d(1,1,3,stride=2,padding=1,{B}) >> ZeroPad1d((0,1))"),
        # rectangular pads swapped between the axes
        (f"Conv2d(1,1,3,padding=(1,0),{B}) >> ZeroPad2d((1,1,0,0))", f"Conv2d(1,1,3,padding=(0,1),{B}) >> ZeroPad2d((0,0,1,1))"),
    ],
)
def test_wrong_classes_are_refuted(right: str, wrong: str) -> None:
    verdict = symconv.check(right, wrong)
    assert verdict.relation in ("incomparable", "right_in_left", "left_in_right") and verdict.trust == "certified"
    assert verdict.witness is not None


def test_shift_of_one_sample() -> None:
    """x = [1, 2, 3], w = [1, 10, 100]: right [10, 102, 20, 203, 30, 300], wrong [1, 10, 102, 20, 203, 30]."""
    kernel = [[[1, 10, 100]]]
    right, wrong = weighted(RIGHT, kernel), weighted(f"ConvTranspose1d(1,1,3,stride=2,{B}) >> Crop(0,1)", kernel)
    verdict = symconv.check(right, wrong)
    assert verdict.relation is Relation.DIFFERENT and verdict.trust == "certified"
    same = weighted(f"ConvTranspose1d(1,1,3,stride=2,{B}) >> ZeroPad1d((0,1)) >> Crop(1,1)", kernel)
    assert symconv.check(right, same).relation == "identical"


def test_missing_flip() -> None:
    """Zero insertion needs the reversed kernel: as classes the reversal does not matter, as weights it does."""
    up, inserted = f"ConvTranspose1d(1,1,3,stride=2,{B})", f"ZeroInsert(2) >> ZeroPad1d(2) >> Conv1d(1,1,3,{B})"
    assert symconv.check(up, inserted).relation == "equal"
    assert symconv.check(weighted(up, [[[1, 2, 3]]]), weighted(inserted, [[[3, 2, 1]]])).relation == "identical"
    assert symconv.check(weighted(up, [[[1, 2, 3]]]), weighted(inserted, [[[1, 2, 3]]])).relation == "different"
    assert symconv.check(weighted(up, [[[1, 2, 1]]]), weighted(inserted, [[[1, 2, 1]]])).relation == "identical"


def test_dilation_ignored() -> None:
    """6 ones, kernel of ones: with d = 2 every other sample is 0; without it none is."""
    ones = [[[1, 1, 1]]]
    right = weighted(f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,dilation=2,{B}) >> Crop(1,1)", ones)
    wrong = weighted(RIGHT, ones)
    assert symconv.check(right, wrong).relation == "different"
    assert symconv.check(
        f"ConvTranspose1d(1,1,3,stride=2,padding=2,dilation=2,{B})", f"ConvTranspose1d(1,1,3,stride=2,padding=1,{B})"
    ).witness


@pytest.mark.parametrize(("channels", "relation"), [(4, "equal"), (8, "incomparable"), (12, "incomparable")])
def test_channel_order(channels: int, relation: str) -> None:
    """CRD taken for DCR agrees by luck for one output channel and for no more."""
    assert symconv.check("PixelShuffle(2)", "DepthToSpace(2)", channels=channels).relation == relation
    assert symconv.check("PixelShuffle(2)", "DepthToSpace(2, mode='CRD')", channels=channels).relation == "equal"


@pytest.mark.parametrize("factor", [2, 3])
def test_channel_order_of_weights(factor: int) -> None:
    """The same LR kernel under the other order is another function, at r = 2 as at r = 3."""
    kernel = np.arange(2 * factor**2 * 1.0).reshape(2 * factor**2, 1, 1, 1) + 1
    text = f"Conv2d(1,{2 * factor**2},1,{B}) >> {{}}({factor})"
    verdict = symconv.check(weighted(text.format("PixelShuffle"), kernel), weighted(text.format("DepthToSpace"), kernel))
    assert verdict.relation == "different" and verdict.witness is not None


def test_icnr_interleaves() -> None:
    """PS(W * f) = N(W0 * f) iff each output channel's r^2 sub-kernels are equal; tiled copies are wrong for two channels."""
    base = np.array([3.0, 5.0])
    near = weighted(f"Conv2d(1,2,1,{B}) >> Upsample(scale_factor=2)", base.reshape(2, 1, 1, 1))
    interleaved = weighted(f"Conv2d(1,8,1,{B}) >> PixelShuffle(2)", np.repeat(base, 4).reshape(8, 1, 1, 1))
    tiled = weighted(f"Conv2d(1,8,1,{B}) >> PixelShuffle(2)", np.tile(base, 4).reshape(8, 1, 1, 1))
    assert symconv.check(near, interleaved).relation == "identical"
    assert symconv.check(near, tiled).relation == "different"
    depth = weighted(f"Conv2d(1,8,1,{B}) >> DepthToSpace(2)", np.tile(base, 4).reshape(8, 1, 1, 1))
    assert symconv.check(near, depth).relation == "identical"

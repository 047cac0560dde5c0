"""Bugs that shipped in converters and frameworks: the right layer is proved, the wrong one refuted with a witness.

Each bug is a layer, what it should have become, and what it became. Weightless layers are compared as classes;
where only the weights can be wrong (a missing flip, a shifted output) the two are compared as functions.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import symconv
from symconv.conformance.replay import replay
from symconv.errors import LayerError, UsageError
from symconv.frontends.text import parse
from symconv.prove.decide import bind_pair
from symconv.theory.relation import Claim
from symconv.theory.verdict import Verdict

B = "bias=False"


def proved(left: str, right: str, relation: str = "equal", **more: Any) -> Verdict:
    """The relation, certified, in PyTorch's terms a drop-in replacement: the valid extents are the same."""
    verdict = symconv.check(left, right, presburger=False, **more)
    assert (verdict.relation, verdict.trust, verdict.domain) == (relation, "certified", "same")
    return verdict


def refuted(left: str, right: str, relation: str, **more: Any) -> Verdict:
    """The relation, certified, with a witness that holds in PyTorch."""
    verdict = symconv.check(left, right, presburger=False, **more)
    assert (verdict.relation, verdict.trust) == (relation, "certified")
    assert verdict.witness is not None
    if relation != "shapes_differ":
        pair = bind_pair(parse(left), parse(right), more.get("channels"))
        found = replay(pair.left, pair.right, pair.axes, verdict.witness)
        assert found.parts and found.annihilated is not False
    return verdict


def weighted(layer: nn.Module, weight: Any, bias: Sequence[float] | None = None) -> nn.Module:
    """The layer with this weight, in float64."""
    layer = layer.double()
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.array(weight, dtype=float)).reshape(layer.weight.shape))  # type: ignore[operator, union-attr, arg-type]
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(bias))  # type: ignore[operator, union-attr]
    return layer


def same(left: nn.Module, right: nn.Module) -> None:
    """The two are one function, certified."""
    verdict = symconv.check(left, right)
    assert (verdict.relation, verdict.trust, verdict.domain) == ("identical", "certified", "same")


def other(left: nn.Module, right: nn.Module) -> Verdict:
    """The two differ, certified, and the witness shows it in PyTorch, to the digit."""
    verdict = symconv.check(left, right)
    assert (verdict.relation, verdict.trust) == ("different", "certified")
    witness = verdict.witness
    assert witness is not None
    x = torch.zeros((1, *witness["input"]["shape"]), dtype=torch.float64)
    for index, value in witness["input"]["entries"]:
        x[(0, *index)] = float(Fraction(value))
    values = [Fraction(module(x)[(0, *witness["at"])].item()) for module in (left, right)]
    assert values == [Fraction(witness["left_value"]), Fraction(witness["right_value"])]
    assert values[0] != values[1]
    return verdict


# Output padding and the alignment of the output.


def test_output_padding_split_evenly_shifts_the_output() -> None:
    """(1d; k3, s2, p1, op1): right [10,102,20,203,30,300] for x = [1,2,3] and w = [1,10,100], wrong [1,10,102,20,203,30]."""
    source = weighted(nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False), [1, 10, 100])
    x = torch.tensor([[[1.0, 2.0, 3.0]]], dtype=torch.float64)
    assert source(x).flatten().tolist() == [10, 102, 20, 203, 30, 300]
    whole = weighted(nn.ConvTranspose1d(1, 1, 3, stride=2, bias=False), [1, 10, 100])
    right = nn.Sequential(whole, nn.ZeroPad1d((-1, 0)))
    wrong = nn.Sequential(copy.deepcopy(whole), nn.ZeroPad1d((0, -1)))
    assert wrong(x).flatten().tolist() == [1, 10, 102, 20, 203, 30]
    same(source, right)
    other(source, wrong)


@pytest.mark.parametrize("axes", [1, 2])
def test_the_class_of_the_shifted_output_is_another_one(axes: int) -> None:
    """Output padding belongs to the end: the low-resolution form reads one sample more there."""
    source = f"ConvTranspose{axes}d(1,1,3,stride=2,padding=1,output_padding=1,{B})"
    end, front = ((0, 1), (1, 0)) if axes == 1 else ((0, 1, 0, 1), (1, 0, 1, 0))
    rest = f"Conv{axes}d(1,{2**axes},2,{B}) >> PixelShuffle(2)"
    proved(source, f"ZeroPad{axes}d({end}) >> {rest}", "left_in_right")
    refuted(source, f"ZeroPad{axes}d({front}) >> {rest}", "incomparable")


def test_output_padding_is_no_zero_padding() -> None:
    """(2d; k3, s2, p1, op1) on 1x1 gives 2x2 with all four samples computed."""
    source = f"ConvTranspose2d(1,1,3,stride=2,padding=1,output_padding=1,{B})"
    proved(source, f"ConvTranspose2d(1,1,3,stride=2,{B}) >> Crop(1,0,1,0)")
    refuted(source, f"ConvTranspose2d(1,1,3,stride=2,padding=1,{B}) >> ZeroPad2d((0,1,0,1))", "incomparable")
    at_one = symconv.check(source, f"ConvTranspose2d(1,1,3,stride=2,padding=1,{B}) >> ZeroPad2d((0,1,0,1))", extents=(1, 1))
    assert at_one.dimension is not None
    assert (at_one.dimension.left, at_one.dimension.right) == (4, 1)


def test_output_padding_is_not_applied_to_the_input() -> None:
    source = f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})"
    refuted(source, f"ZeroPad1d((0,1)) >> ConvTranspose1d(1,1,3,stride=2,padding=1,{B})", "shapes_differ")
    proved(source, f"ZeroPad1d((0,1)) >> ConvTranspose1d(1,1,3,stride=2,padding=1,{B}) >> Crop(0,1)")


def test_output_padding_of_a_stride_or_more_is_refused() -> None:
    with pytest.raises(UsageError, match="output_padding"):
        symconv.check("ConvTranspose1d(1,1,3,stride=2,output_padding=2)", "Identity()")
    proved(  # PyTorch's rule is op < max(s, d), where other runtimes ask for op < s
        f"ConvTranspose1d(1,1,3,stride=1,dilation=3,output_padding=2,{B})",
        f"ZeroPad1d((6,8)) >> Conv1d(1,1,3,dilation=3,{B})",
    )


def test_shape_inference_and_runtime_disagree_by_output_padding() -> None:
    """op = 1, k3, s2 on 3 samples: 7 by the formula without padding, 6 with SAME."""
    verdict = refuted(
        f"ConvTranspose1d(1,1,3,stride=2,{B})", f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})", "shapes_differ"
    )
    assert verdict.witness is not None and verdict.witness["left_shape"] != verdict.witness["right_shape"]


# Padding.


def test_same_padding_of_a_transposed_convolution_has_its_odd_sample_at_one_end() -> None:
    """TensorFlow's SAME for (k3, s2) crops one sample at the end, which no symmetric padding does."""
    upper = f"ConvTranspose2d(16,32,3,stride=2,{B}) >> Crop(0,1,0,1)"
    lower = f"ConvTranspose2d(16,32,3,stride=2,{B}) >> Crop(1,0,1,0)"
    refuted(upper, lower, "incomparable")
    proved(lower, f"ConvTranspose2d(16,32,3,stride=2,padding=1,output_padding=1,{B})")
    refuted(upper, f"ConvTranspose2d(16,32,3,stride=2,padding=1,output_padding=1,{B})", "incomparable")


def test_same_padding_of_an_even_kernel_has_its_odd_sample_at_the_end() -> None:
    proved("Conv1d(1,1,4,padding='same')", "ZeroPad1d((1,2)) >> Conv1d(1,1,4)")
    refuted("Conv1d(1,1,4,padding='same')", "ZeroPad1d((2,1)) >> Conv1d(1,1,4)", "incomparable")


def test_pads_of_height_and_width_are_not_swapped() -> None:
    source = f"Conv2d(1,1,(3,5),padding=(1,2),{B})"
    proved(source, f"ZeroPad2d((2,2,1,1)) >> Conv2d(1,1,(3,5),{B})")
    refuted(source, f"ZeroPad2d((1,1,2,2)) >> Conv2d(1,1,(3,5),{B})", "shapes_differ")
    refuted(f"Conv2d(1,1,3,padding=(0,2),{B}) >> Crop(1,1,0,0)", f"Conv2d(1,1,3,padding=(2,0),{B}) >> Crop(0,0,1,1)", "shapes_differ")


def test_negative_effective_padding_crops_and_pads_axis_by_axis() -> None:
    """(k(2,5), s(1,2), p(3,0)): one axis is cropped where the other is padded."""
    source = f"ConvTranspose2d(1,1,(2,5),stride=(1,2),padding=(3,0),{B})"
    proved(source, f"ZeroInsert((1,2)) >> ZeroPad2d((4,4,-2,-2)) >> Conv2d(1,1,(2,5),{B})")
    refuted(source, f"ZeroInsert((1,2)) >> ZeroPad2d((4,4,-1,-3)) >> Conv2d(1,1,(2,5),{B})", "incomparable")


def test_pads_act_on_the_dilated_input_or_on_the_output() -> None:
    """Extent 128, k4, s4: VALID gives 512, pads of zero around the dilated input 506."""
    source = f"ConvTranspose1d(1,1,4,stride=4,{B})"
    proved(source, f"ZeroInsert(4) >> ZeroPad1d(3) >> Conv1d(1,1,4,{B})")
    verdict = refuted(source, f"ZeroInsert(4) >> Conv1d(1,1,4,{B})", "shapes_differ")
    assert verdict.witness is not None
    shapes = symconv.check(source, f"ZeroInsert(4) >> Conv1d(1,1,4,{B})", extents=(128,)).witness
    assert shapes is not None and (shapes["left_shape"], shapes["right_shape"]) == ([1, 512], [1, 506])


# Channel order.


@pytest.mark.parametrize("r", [2, 3])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_depth_to_space_in_the_wrong_order_agrees_for_one_channel_only(r: int, channels: int) -> None:
    left, right = f"DepthToSpace({r}, mode='CRD')", f"DepthToSpace({r}, mode='DCR')"
    proved(f"PixelShuffle({r})", left, channels=channels * r * r)
    if channels == 1:
        proved(left, right, channels=r * r)
    else:
        refuted(left, right, "incomparable", channels=channels * r * r)


@pytest.mark.parametrize("r", [2, 3])
def test_pixel_unshuffle_exported_in_the_other_order(r: int) -> None:
    proved(f"PixelUnshuffle({r})", f"SpaceToDepth({r}, mode='CRD')", channels=2)
    refuted(f"PixelUnshuffle({r})", f"SpaceToDepth({r})", "incomparable", channels=2)


def test_the_order_of_groups_survives_a_shuffle_in_one_order_only() -> None:
    source = f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B})"
    proved(source, f"Conv2d(2,16,1,groups=2,{B}) >> PixelShuffle(2)")
    verdict = refuted(source, f"Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2)", "incomparable")
    assert verdict.dimension is not None and verdict.dimension.intersection == 8
    proved(f"ConvTranspose2d(2,4,2,stride=2,{B})", f"Conv2d(2,16,1,{B}) >> DepthToSpace(2)")


def test_channels_are_concatenated_by_group_not_interleaved() -> None:
    source = f"Conv1d(4,4,3,groups=2,{B})"
    proved(source, f"ChannelShuffle(2) >> ChannelShuffle(2) >> Conv1d(4,4,3,groups=2,{B})")
    refuted(source, f"Conv1d(4,4,3,groups=2,{B}) >> ChannelShuffle(2)", "incomparable")
    refuted(source, f"ChannelShuffle(2) >> Conv1d(4,4,3,groups=2,{B})", "incomparable")
    proved(source, f"Conv1d(4,4,3,{B})", "left_in_right")


# Taps.


def test_a_missing_or_doubled_kernel_flip() -> None:
    """The classes are the same; the functions are not, unless the kernel is symmetric."""
    taps = [1.0, 2.0, 4.0]
    source = weighted(nn.ConvTranspose1d(1, 1, 3, padding=1, bias=False), taps)
    same(source, weighted(nn.Conv1d(1, 1, 3, padding=1, bias=False), taps[::-1]))
    other(source, weighted(nn.Conv1d(1, 1, 3, padding=1, bias=False), taps))
    same(
        weighted(nn.ConvTranspose1d(1, 1, 3, padding=1, bias=False), [1, 2, 1]),
        weighted(nn.Conv1d(1, 1, 3, padding=1, bias=False), [1, 2, 1]),
    )
    proved(f"ConvTranspose1d(1,1,3,padding=1,{B})", f"Conv1d(1,1,3,padding=1,{B})")


def test_one_axis_flipped_twice() -> None:
    taps = np.arange(1.0, 10.0).reshape(3, 3)
    source = weighted(nn.ConvTranspose2d(1, 1, 3, padding=1, bias=False), taps)
    same(source, weighted(nn.Conv2d(1, 1, 3, padding=1, bias=False), taps[::-1, ::-1]))
    other(source, weighted(nn.Conv2d(1, 1, 3, padding=1, bias=False), taps[::-1]))


def test_dilation_ignored() -> None:
    """(k3, s2, p1, op1, d2), six ones, a kernel of ones: right 0 2 0 3 0 3 ..., wrong 1 2 1 2 ..."""
    ones = [1.0, 1.0, 1.0]
    source = weighted(nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, dilation=2, bias=False), ones)
    wrong = weighted(nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, output_padding=1, bias=False), ones)
    x = torch.ones(1, 1, 6, dtype=torch.float64)
    assert source(x).flatten()[:6].tolist() == [0, 2, 0, 3, 0, 3]
    assert wrong(x).flatten()[:4].tolist() == [1, 2, 1, 2]
    spread = weighted(nn.ConvTranspose1d(1, 1, 5, stride=2, padding=1, output_padding=1, bias=False), [1, 0, 1, 0, 1])
    same(source, spread)
    other(source, nn.Sequential(wrong, nn.ZeroPad1d((0, 2))))
    left = f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,dilation=2,{B})"
    refuted(left, f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})", "shapes_differ")
    proved(left, f"ConvTranspose1d(1,1,5,stride=2,padding=1,output_padding=1,{B})", "left_in_right")


# Biases and initial values.


def test_a_bias_for_every_phase_is_one_more_than_there_was() -> None:
    source = "ConvTranspose2d(3,2,4,stride=2,padding=1)"
    verdict = proved(source, "Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)", "left_in_right")
    assert verdict.linear_relation == "equal"
    dimension = verdict.dimension
    assert dimension is not None and (dimension.left, dimension.right, dimension.intersection) == (98, 104, 98)


def test_initial_kernels_are_repeated_for_each_channel_not_tiled() -> None:
    """ICNR: a sub-pixel layer that starts as nearest interpolation repeats each kernel r^2 times in a row."""
    kernels = np.arange(1.0, 3.0).reshape(2, 1, 1, 1)
    resize = nn.Sequential(weighted(nn.Conv2d(1, 2, 1, bias=False), kernels), nn.Upsample(scale_factor=2, mode="nearest"))
    repeated, tiled = (
        nn.Sequential(weighted(nn.Conv2d(1, 8, 1, bias=False), values), nn.PixelShuffle(2))
        for values in (np.repeat(kernels, 4, axis=0), np.tile(kernels, (4, 1, 1, 1)))
    )
    same(resize, repeated)
    other(resize, tiled)
    single = weighted(nn.Conv2d(1, 1, 1, bias=False), [3.0])
    start = weighted(nn.Conv2d(1, 4, 1, bias=False), np.tile([3.0], 4))
    same(nn.Sequential(single, nn.Upsample(scale_factor=2, mode="nearest")), nn.Sequential(start, nn.PixelShuffle(2)))


# Real layers.


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (f"ConvTranspose2d(64,3,4,stride=2,padding=1,{B})", f"Conv2d(64,12,2,padding=1,{B}) >> PixelShuffle(2) >> Crop(1,1,1,1)"),
        (f"ConvTranspose2d(256,256,2,stride=2,{B})", f"Conv2d(256,1024,1,{B}) >> PixelShuffle(2)"),
        (f"ConvTranspose3d(320,320,2,stride=2,{B})", f"Conv3d(320,2560,1,{B}) >> PixelShuffle(2)"),
        (f"ConvTranspose1d(512,256,16,stride=8,padding=4,{B})", f"Conv1d(512,2048,2,padding=1,{B}) >> PixelShuffle(8) >> Crop(4,4)"),
        (
            f"ConvTranspose2d(21,21,64,stride=32,padding=16,{B})",
            f"Conv2d(21,21504,2,padding=1,{B}) >> PixelShuffle(32) >> Crop(16,16,16,16)",
        ),
    ],
)
def test_real_decoders(left: str, right: str) -> None:
    verdict = proved(left, right)
    assert verdict.proves(Claim.EQUAL)
    shorter = right.split(" >> Crop", maxsplit=1)[0]
    if shorter != right:
        refuted(left, shorter, "shapes_differ")


def test_channels_that_do_not_fit_are_refused_not_compared() -> None:
    with pytest.raises(LayerError, match="input channels"):
        symconv.check("Conv2d(3,8,2)", "Conv2d(4,8,2)")

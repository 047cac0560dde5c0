"""The oracle itself: its few lines of indexing against their definitions, its matrices against direct evaluation."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from symconv.conformance.torch_oracle import operator_matrix, parameter_families, to_module
from symconv.errors import LayerError, OutsideFragment
from symconv.frontends.text import parse
from symconv.layers import BatchNorm, Conv, ConvTranspose, Pad, PReLU, Sequential, Shuffle, Unshuffle, Weights, ZeroInsert


def _ramp(*shape: int) -> torch.Tensor:
    return torch.arange(1.0, 1 + math.prod(shape), dtype=torch.float64).reshape(shape)


def _integers(*shape: int) -> np.ndarray:
    return np.random.default_rng(math.prod(shape)).integers(-9, 10, shape)


# --- facts from outside -----------------------------------------------------------------------------------------------


def test_output_padding_extends_at_the_end_with_computed_values() -> None:
    layer = ConvTranspose.make(1, 1, 1, 3, 2, 1, 1)
    module = to_module(layer, 1, weights=(Weights(np.array([[[1, 10, 100]]])),))
    assert module(_ramp(1, 1, 3)).flatten().tolist() == [10, 102, 20, 203, 30, 300]


def test_dilation_spreads_the_taps() -> None:
    layer = ConvTranspose.make(1, 1, 1, 3, 2, 1, 1, dilation=2)
    module = to_module(layer, 1, weights=(Weights(np.ones((1, 1, 3))),))
    assert module(torch.ones(1, 1, 6, dtype=torch.float64)).flatten().tolist()[:6] == [0, 2, 0, 3, 0, 3]


def test_the_transposed_convolution_is_the_transposed_matrix() -> None:
    kernel = _integers(2, 3, 4)
    forward = operator_matrix(Conv.make(1, 3, 2, 4, 2, 2), 1, 3, (8,), (Weights(kernel),))
    backward = operator_matrix(ConvTranspose.make(1, 2, 3, 4, 2, 2), 1, 2, (5,), (Weights(kernel),))
    assert forward.shape == (2 * 5, 3 * 8)
    assert (forward == backward.T).all()


# --- indexing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize("factor", [(2,), (3,), (2, 2), (2, 3), (1, 2), (2, 1, 3), (2, 2, 2)])
def test_shuffles_by_their_definition(factor: tuple[int, ...], order: str) -> None:
    axes, phases, kept = len(factor), math.prod(factor), 3
    extents = (2, 3, 1)[:axes]
    x = _ramp(2, kept * phases, *extents)
    y = to_module(Shuffle(factor, order), axes)(x)
    for channel, place in itertools.product(range(kept), itertools.product(*map(range, extents))):
        for phase, offset in enumerate(itertools.product(*map(range, factor))):
            at = tuple(r * i + o for r, i, o in zip(factor, place, offset, strict=True))
            origin = channel * phases + phase if order == "CRD" else phase * kept + channel
            assert torch.equal(y[(slice(None), channel, *at)], x[(slice(None), origin, *place)])
    assert torch.equal(to_module(Unshuffle(factor, order), axes)(y), x)


@pytest.mark.parametrize("r", [2, 3])
def test_the_indexing_agrees_with_pytorch_s_own_shuffle(r: int) -> None:
    from symconv.conformance.torch_indexing import DepthToSpace, SpaceToDepth

    x, y = _ramp(1, 2 * r * r, 2, 3), _ramp(1, 2, 2 * r, 3 * r)
    assert torch.equal(DepthToSpace((r, r), "CRD")(x), functional.pixel_shuffle(x, r))
    assert torch.equal(SpaceToDepth((r, r), "CRD")(y), functional.pixel_unshuffle(y, r))


def test_zero_insertion() -> None:
    assert to_module(ZeroInsert((3,)), 1)(_ramp(1, 1, 3)).flatten().tolist() == [1, 0, 0, 2, 0, 0, 3]
    y = to_module(ZeroInsert((2, 1)), 2)(_ramp(1, 1, 2, 2))
    assert y.flatten().tolist() == [1, 2, 0, 0, 3, 4]


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("amounts", [((1, 2),), ((2, -1), (-1, 0)), ((1, 1), (0, 2), (-1, 1))])
def test_padding_is_pytorch_s_with_the_last_axis_first(amounts: Any, mode: str) -> None:
    x = _ramp(1, 2, *(4, 5, 3)[: len(amounts)])
    flat = [side for pair in reversed(amounts) for side in pair]
    expected = functional.pad(x, flat, "constant" if mode == "zeros" else mode)
    assert torch.equal(to_module(Pad(amounts, mode), len(amounts))(x), expected)


def test_channel_shuffle_on_one_axis() -> None:
    y = to_module(parse("ChannelShuffle(2)"), 1)(_ramp(1, 6, 1))
    assert y.flatten().tolist() == [1, 4, 2, 5, 3, 6]


# --- convolutions that PyTorch cannot say --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_asymmetric_convolution_is_padding_then_convolution(mode: str) -> None:
    pads, kernel, bias = ((1, 2), (2, 0)), _integers(2, 3, 3, 2), _integers(2)
    whole = Conv.make(2, 3, 2, (3, 2), (2, 1), pads, padding_mode=mode)
    module = to_module(whole, 2, weights=(Weights(kernel, bias),))
    x = _ramp(1, 3, 5, 4)
    padded = functional.pad(x, [2, 0, 1, 2], "constant" if mode == "zeros" else mode)
    expected = functional.conv2d(padded, torch.tensor(kernel).double(), torch.tensor(bias).double(), (2, 1))
    assert len(module) == 1 and torch.equal(module(x), expected)


@pytest.mark.filterwarnings("ignore:Using padding=.same")
def test_the_odd_sample_of_same_padding_is_at_the_end() -> None:
    kernel = np.array([[[1, 10, 100, 1000]]])
    ours = to_module(parse("Conv1d(1, 1, 4, padding='same', bias=False)"), 1, weights=(Weights(kernel),))(_ramp(1, 1, 4))
    assert torch.equal(ours, functional.conv1d(_ramp(1, 1, 4), torch.tensor(kernel).double(), padding="same"))


def test_asymmetric_transposed_convolution_is_cropped() -> None:
    kernel, bias = _integers(2, 3, 4, 3), _integers(3)
    layer = ConvTranspose.make(2, 2, 3, (4, 3), 2, ((1, 2), (0, 1)), 1)
    x = _ramp(1, 2, 3, 3)
    full = functional.conv_transpose2d(x, torch.tensor(kernel).double(), torch.tensor(bias).double(), 2, 0, 1)
    assert torch.equal(to_module(layer, 2, weights=(Weights(kernel, bias),))(x), full[:, :, 1:-2, 0:-1])


# --- modules ----------------------------------------------------------------------------------------------------------------

EVERY = (
    "Conv{a}d(4, 4, 3, padding=1) >> BatchNorm{a}d(4) >> LeakyReLU(0.5) >> PReLU(4) >> Hardtanh(-2, 2) >> ConvTranspose{a}d(4, 16, 2, 2)"
    " >> Crop(1) >> DepthToSpace(2) >> SpaceToDepth(2) >> ChannelShuffle(2) >> AvgPool{a}d(3, 1, 1) >> ZeroInsert(2) >> Identity()"
    " >> Upsample(scale_factor=2, mode='nearest-exact') >> ReplicationPad{a}d(1)"
)


@pytest.mark.parametrize("axes", [1, 3])
def test_every_kind_of_layer_runs_with_one_child_a_member(axes: int) -> None:
    factor = 2 ** (axes - 2) if axes > 1 else 1
    text = EVERY.format(a=axes).replace("4, 16, 2, 2", f"4, {16 * factor}, 2, 2")
    chain = parse(text)
    module = to_module(chain, axes)
    assert len(module) == len(chain.layers) and not module.training
    with torch.no_grad():
        assert not any(parameter.any() for parameter in module.parameters())
        assert module(torch.ones(1, 4, *(4,) * axes, dtype=torch.float64)).isfinite().all()


def test_parameters_are_zero_until_they_are_set_and_no_random_number_is_drawn() -> None:
    state = torch.get_rng_state()
    module = to_module(Conv.make(1, 1, 1, 2), 1, torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    assert module(torch.ones(1, 1, 2)).tolist() == [[[0.0]]]
    with torch.no_grad():
        module[0].weight.fill_(2)
    assert module(torch.ones(1, 1, 2)).tolist() == [[[4.0]]]


def test_weights_of_normalisation_and_slopes() -> None:
    chain = Sequential((BatchNorm(2, 1, eps=0), PReLU(2)))
    given = (Weights(np.array([2, 3]), np.array([-20, 5]), np.array([1, 2]), np.array([4, 9])), Weights(np.array([10, 1])))
    y = to_module(chain, 1, weights=given)(_ramp(1, 2, 2))
    assert y.tolist() == [[[-200, -190], [6, 7]]]


def test_another_number_of_axes_is_refused() -> None:
    with pytest.raises(LayerError):
        to_module(parse("Conv2d(1, 1, 3)"), 1)


def test_extents_that_pytorch_refuses_raise() -> None:
    with pytest.raises(RuntimeError):
        operator_matrix(Pad(((3, 0),), "reflect"), 1, 1, (3,))


@pytest.mark.gpu
def test_devices_agree_on_integers() -> None:
    layer, given = ConvTranspose.make(2, 3, 2, 4, 2, 1), Weights(_integers(3, 2, 4, 4), _integers(2))
    x = _ramp(1, 3, 5, 5)
    there = to_module(layer, 2, device="cuda", weights=(given,))(x.cuda()).cpu()
    assert torch.equal(there, to_module(layer, 2, weights=(given,))(x))


# --- operators ----------------------------------------------------------------------------------------------------------------

SMALL: list[tuple[str, int, int, tuple[int, ...]]] = [
    ("Conv1d(2, 3, 3, 2, 1)", 1, 2, (5,)),
    ("Conv2d(2, 4, (2, 3), padding=(1, 0), groups=2, bias=False)", 2, 2, (3, 4)),
    ("ReflectionPad1d(1) >> Conv1d(2, 8, 2) >> PixelShuffle(2)", 1, 2, (3,)),
    ("PixelUnshuffle(2) >> Conv2d(4, 2, 1)", 2, 1, (4, 2)),
    ("ZeroInsert(2) >> ConvTranspose1d(1, 2, 2, output_padding=0) >> Crop(1)", 1, 1, (4,)),
    ("Upsample(scale_factor=2) >> Conv2d(1, 1, 2, padding='same') >> DepthToSpace(1)", 2, 1, (2, 2)),
    ("Conv1d(1, 1, 2) >> AvgPool1d(3, 1, 1, count_include_pad=False)", 1, 1, (4,)),
    ("BatchNorm1d(2) >> Upsample(scale_factor=2, mode='linear')", 1, 2, (3,)),
]


@pytest.mark.parametrize(("text", "axes", "channels", "extents"), SMALL, ids=[text for text, *_ in SMALL])
def test_the_family_spans_the_operators(text: str, axes: int, channels: int, extents: tuple[int, ...]) -> None:
    """A(theta) x + b(theta) = sum of theta_i (A_i x + b_i), evaluated exactly."""
    chain = parse(text)
    family = parameter_families(chain, axes, channels, extents)
    free = next(index for index, layer in enumerate(chain.layers) if isinstance(layer, (Conv, ConvTranspose, BatchNorm)))
    module = to_module(chain, axes)
    parameters = list(module[free].parameters())
    assert len(family) == sum(parameter.numel() for parameter in parameters)
    theta = _integers(len(family))
    with torch.no_grad():
        offset = 0
        for parameter in parameters:
            parameter.copy_(torch.tensor(theta[offset : offset + parameter.numel()]).reshape(parameter.shape))
            offset += parameter.numel()
        if isinstance(chain.layers[free], BatchNorm):
            module[free].eps = 0.0
        x = _ramp(1, channels, *extents)
        expected = module(x).flatten().tolist()
    vector = np.array([int(value) for value in x.flatten().tolist()])
    found = sum(weight * (matrix @ vector + constant) for weight, (matrix, constant) in zip(theta.tolist(), family, strict=True))
    assert [float(value) for value in found] == pytest.approx(expected, abs=1e-9)
    assert all(value.dtype in (np.int64, object) for pair in family for value in pair)


def test_biases_are_constants_and_kernels_are_not() -> None:
    family = parameter_families(parse("Conv1d(1, 2, 2) >> ZeroPad1d(1)"), 1, 1, (3,))
    assert [(matrix.any(), constant.tolist()) for matrix, constant in family[4:]] == [
        (False, [0, 1, 1, 0, 0, 0, 0, 0]),
        (False, [0, 0, 0, 0, 0, 1, 1, 0]),
    ]
    assert all(matrix.any() and not constant.any() for matrix, constant in family[:4])


def test_the_matrix_leaves_biases_out() -> None:
    kernel = np.array([[[1, 2]]])
    with_bias = operator_matrix(Conv.make(1, 1, 1, 2), 1, 1, (3,), (Weights(kernel, np.array([7])),))
    assert with_bias.tolist() == [[1, 2, 0], [0, 1, 2]] and with_bias.dtype == np.int64


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.booleans(), st.booleans(), st.integers(5, 8))
@settings(max_examples=40)
def test_average_pooling_is_exact(k: int, s: int, pad: int, ceil: bool, include: bool, extent: int) -> None:
    pad = min(pad, k // 2)
    matrix = operator_matrix(parse(f"AvgPool1d({k}, {s}, {pad}, {ceil}, {include})"), 1, 1, (extent,))
    for row in matrix:
        entries = {Fraction(value) for value in row.tolist()} - {0}
        assert len(entries) == 1 and entries.pop().denominator <= k
        if pad == 0 and not ceil:
            assert sum(row.tolist()) == 1 and sum(value != 0 for value in row) == k


def test_interpolation_by_a_power_of_two_is_exact() -> None:
    matrix = operator_matrix(parse("Upsample(scale_factor=2, mode='linear')"), 1, 1, (2,))
    assert matrix.tolist() == [[1, 0], [Fraction(3, 4), Fraction(1, 4)], [Fraction(1, 4), Fraction(3, 4)], [0, 1]]


def test_averages_are_undone_over_two_axes() -> None:
    matrix = operator_matrix(parse("AvgPool2d((3, 2), 1, count_include_pad=False, divisor_override=7)"), 2, 1, (3, 2))
    assert matrix.tolist() == [[Fraction(1, 7)] * 6]


@pytest.mark.parametrize("text", ["ReLU()", "Conv1d(1, 1, 1) >> PReLU()"])
def test_nonlinear_chains_have_no_matrix(text: str) -> None:
    with pytest.raises(OutsideFragment):
        operator_matrix(parse(text), 1, 1, (2,))
    with pytest.raises(OutsideFragment):
        parameter_families(parse(text), 1, 1, (2,))


@pytest.mark.parametrize("text", ["PixelShuffle(1)", "Conv1d(1, 1, 1) >> Conv1d(1, 1, 1)"])
def test_a_family_needs_one_layer_with_parameters(text: str) -> None:
    with pytest.raises(OutsideFragment):
        parameter_families(parse(text), 1, 1, (2,))

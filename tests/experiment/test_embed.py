"""Embedding and projection, in exact integers: PyTorch runs both networks, at extents that were not used to build them."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import symconv
from symconv import api
from symconv.errors import LayerError, ModelError, OutsideFragment
from symconv.layers import BatchNorm, Conv, ConvTranspose, PReLU, Sequential, WeightedNetwork, Weights, flatten
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape

EXTENTS = ((1, 1), (1, 2), (2, 5), (4, 3), (9, 14))
SRCNN = "Conv2d(1, 3, 9, padding=4) >> ReLU() >> Conv2d(3, 2, 1) >> ReLU() >> Conv2d(2, 1, 5, padding=2)"
FIRST = {
    "nearest, 2": "Upsample(scale_factor=2)",
    "nearest, 3": "Upsample(scale_factor=3)",
    "bicubic, 2": "Upsample(scale_factor=2, mode='bicubic')",
    "bicubic, 4": "Upsample(scale_factor=4, mode='bicubic')",
    "bilinear, 2": "Upsample(scale_factor=2, mode='bilinear')",
    "DCGAN": "ConvTranspose2d(1, 1, 4, stride=2, padding=1)",
    "FSRCNN": "ConvTranspose2d(1, 1, 9, stride=3, padding=4, output_padding=2)",
    "ESPCN": "Conv2d(1, 9, 3, padding=1) >> PixelShuffle(3)",
    "in two steps": "Upsample(scale_factor=2) >> Conv2d(1, 2, 3, padding=1) >> ReLU() >> ConvTranspose2d(2, 1, 2, stride=2)",
}


def weighted(expression: str, seed: int = 0, axes: int = 2) -> WeightedNetwork:
    """The chain with small random integers as weights."""
    draw = np.random.default_rng(seed)
    members = tuple(layer.bind(axes) for layer in flatten(api.weightless(api.as_network(expression))))

    def integers(*shape: int) -> np.ndarray:
        return draw.integers(-3, 4, shape).astype(float)

    def weights(layer: object) -> Weights | None:
        if isinstance(layer, (Conv, ConvTranspose)):
            return Weights(integers(*kernel_shape(layer)), integers(bias_length(layer)) if has_bias(layer) else None)
        if isinstance(layer, PReLU):
            return Weights(integers(layer.num_parameters))
        if isinstance(layer, BatchNorm):  # variance 4 and eps 0, so that the square root is exact
            n = layer.num_features
            return Weights(integers(n), integers(n), integers(n), np.full(n, 4.0))
        return None

    return WeightedNetwork(Sequential(members), tuple(map(weights, members)))


def outputs(network: WeightedNetwork, extents: tuple[int, int], channels: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(extents[0] * 97 + extents[1])
    x = torch.randint(-8, 9, (2, channels, *extents), generator=generator).double() * 2**20  # cubic weights are over 2^20 at most
    with torch.no_grad():
        return symconv.to_module(network)(x)


@pytest.mark.parametrize("first", FIRST)
def test_embedded_networks_are_the_same_bit_for_bit(first: str) -> None:
    network = weighted(f"{FIRST[first]} >> {SRCNN}")
    found = symconv.embed(network)
    assert found.certified and found.exact and found.target.endswith(")")
    convolutions = [layer for layer in found.network.members if isinstance(layer, (Conv, ConvTranspose))]
    assert all(isinstance(layer, Conv) and layer.stride == (1, 1) for layer in convolutions)
    shuffles = found.network.members[-1:]
    assert type(shuffles[0]).__name__ == "Shuffle" and "Upsample" not in found.target and "Transpose" not in found.target
    for extents in EXTENTS:
        wanted = outputs(network, extents)
        assert float(wanted.abs().max()) < 2**53
        assert torch.equal(outputs(found.network, extents), wanted)


def test_layers_that_treat_channels_apart_are_repeated_for_each_phase() -> None:
    chain = "PixelShuffle(2) >> Conv2d(1, 3, 3, padding=1) >> PReLU(3) >> BatchNorm2d(3, eps=0) >> Tanhshrink() >> Conv2d(3, 1, 1)"
    network = weighted(chain.replace(" >> Tanhshrink()", ""))
    found = symconv.embed(network)
    assert "PReLU(12) >> BatchNorm2d(12" in found.target
    for extents in EXTENTS:
        assert torch.equal(outputs(found.network, extents, 4), outputs(network, extents, 4))
    assert "Tanhshrink()" in symconv.embed(chain).target


def test_one_axis_groups_and_the_class_of_an_expression() -> None:
    found = symconv.embed("ConvTranspose1d(4, 4, 4, stride=2, padding=1, groups=2) >> GELU() >> Conv1d(4, 2, 5, padding=2, dilation=1)")
    assert found.target == "Conv1d(4, 8, 3, padding=1, groups=2) >> GELU() >> Conv1d(8, 4, 3, padding=1) >> PixelShuffle(2)"


def test_a_module_moves_with_its_weights_and_says_when_one_was_rounded() -> None:
    module = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 1, 3, padding=1))
    found = symconv.embed(module)
    assert found.exact
    x = torch.rand(1, 1, 6, 7)
    with torch.no_grad():
        assert torch.allclose(symconv.to_module(found.network, torch.float32)(x), module(x), atol=1e-5)
    thirds = symconv.embed(weighted("Upsample(scale_factor=3, mode='bicubic') >> Conv2d(1, 1, 3, padding=1)"))
    assert thirds.certified and not thirds.exact


@pytest.mark.parametrize(
    "chain",
    [
        "Upsample(scale_factor=2) >> Conv2d(1, 1, 2)",  # the output extent is odd
        "ConvTranspose2d(1, 1, 3, stride=2) >> Conv2d(1, 1, 3, padding=1)",
        "PixelShuffle(2) >> Conv2d(1, 1, 3, padding=1, padding_mode='reflect')",
    ],
)
def test_what_has_no_such_form_is_refused_with_a_reason(chain: str) -> None:
    with pytest.raises(OutsideFragment, match="no low-resolution form"):
        symconv.embed(chain)


def member(kernel: np.ndarray) -> WeightedNetwork:
    """Conv2d(4, 4, 3) >> PixelShuffle(2) with this kernel."""
    chain = flatten(Sequential(flatten(api.as_network("Conv2d(4, 4, 3, padding=1, bias=False) >> PixelShuffle(2)"))).bind(2))
    return WeightedNetwork(Sequential(chain), (Weights(kernel), None))


HR = "PixelShuffle(2) >> Conv2d(1, 1, 3, padding=1, bias=False)"


def orbit(index: tuple[int, ...]) -> tuple[int, ...]:
    """r u + b - a on both axes, of kernel entry ((a_y, a_x), (b_y, b_x), u_y, u_x): theorem 23."""
    a, b, *u = index
    return tuple(2 * at + (b >> shift & 1) - (a >> shift & 1) for at, shift in zip(u, (1, 0), strict=True))


def test_the_distance_is_zero_exactly_where_theorem_23_says_so() -> None:
    indices = list(itertools.product(range(4), range(4), range(3), range(3)))
    draw = np.random.default_rng(1)
    taps = {t: float(draw.integers(-9, 10)) for t in itertools.product(range(1, 4), repeat=2)}  # |r (u - 1) + b - a| <= 1
    kernel = np.zeros((4, 4, 3, 3))
    for index in indices:
        kernel[index] = taps.get(orbit(index), 0.0)
    assert symconv.project(member(kernel), HR).squared_distance == 0
    for index in indices[::5]:  # one entry off by 1: the rest of its orbit of n members is off by 1 / n, and the distance is 1 - 1 / n
        moved = kernel.copy()
        moved[index] += 1
        size = sum(orbit(other) == orbit(index) for other in indices) if orbit(index) in taps else None
        assert symconv.project(member(moved), HR).squared_distance == (Fraction(1) if size is None else 1 - Fraction(1, size))


def test_the_projection_is_orthogonal_and_nearest() -> None:
    kernel = np.random.default_rng(2).integers(-5, 6, (4, 4, 3, 3)).astype(float)
    found = symconv.project(member(kernel), HR)
    again = symconv.embed(found.nearest)
    gap = kernel - again.network.weights[0].kernel
    assert Fraction(float((gap**2).sum())) == found.squared_distance == found.kernel_distance
    for j in itertools.product(range(3), repeat=2):
        unit = np.zeros((1, 1, 3, 3))
        unit[(0, 0, *j)] = 1
        direction = symconv.embed(WeightedNetwork(found.nearest.layer, (None, Weights(unit)))).network.weights[0].kernel
        assert (gap * direction).sum() == 0


def test_biases_are_projected_onto_tied_ones() -> None:
    layer = weighted("Conv2d(4, 4, 3, padding=1) >> PixelShuffle(2)")
    found = symconv.project(layer, "PixelShuffle(2) >> Conv2d(1, 1, 3, padding=1)")
    biases = [Fraction(int(value)) for value in layer.weights[0].bias]
    mean = sum(biases) / 4
    assert found.biases == {0: mean}
    assert found.squared_distance - found.kernel_distance == sum((value - mean) ** 2 for value in biases)


def test_columns_that_overlap_or_depend_on_one_another_are_solved_for() -> None:
    layer = weighted("Conv2d(1, 4, 3, padding=1, bias=False) >> PixelShuffle(2)", seed=3)
    found = symconv.project(layer, "Upsample(scale_factor=2) >> Conv2d(1, 1, 3, padding=1, bias=False)")
    again = symconv.embed(
        WeightedNetwork(
            found.nearest.layer,
            (None, Weights(np.array([[[[float(found.parameters[0, 0, y, x] * 2**20) for x in range(3)] for y in range(3)]]]))),
        )
    )
    gap = layer.weights[0].kernel * 2**20 - again.network.weights[0].kernel
    assert float((gap**2).sum()) == pytest.approx(float(found.squared_distance) * 2**40, rel=1e-9)


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(LayerError, match="must be contained"):
        symconv.project(weighted("Conv2d(1, 4, 1) >> PixelShuffle(2)"), "Conv2d(1, 4, 3, padding=1) >> PixelShuffle(2)")
    with pytest.raises(ModelError, match="must carry weights"):
        symconv.project(HR, HR)

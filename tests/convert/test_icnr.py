"""ICNR: the kernels that it makes are nearest-neighbour resizes, proved against the resize itself; the known mistake is refuted."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import symconv
from symconv.convert.icnr import shuffled_channels, transposed_taps
from symconv.convert.torch_modules.replacement import PeriodicShuffle
from symconv.errors import LayerError, ModelError


class Recorded:
    """Fills a base kernel with small random integers, and remembers it."""

    def __call__(self, base: Tensor) -> None:
        with torch.no_grad():
            base.copy_(torch.randint(-4, 5, base.shape))
        self.base = base.clone()


def _conv(axes: int, kernel: Tensor, bias: Tensor | None, padding: int = 0) -> nn.Module:
    made = getattr(nn, f"Conv{axes}d")(kernel.shape[1], kernel.shape[0], tuple(kernel.shape[2:]), padding=padding, bias=bias is not None)
    made.weight.data = kernel
    if bias is not None:
        made.bias.data = bias
    return made


@pytest.mark.parametrize("order", ("crd", "dcr"))
@pytest.mark.parametrize("axes", (1, 2, 3))
def test_before_a_shuffle_the_output_is_a_resized_convolution(axes: int, order: str) -> None:
    torch.manual_seed(axes)
    for factor, after in ((2, 2), (3, 1), (tuple(range(2, 2 + axes)), 2))[: 1 if axes == 3 else 3]:
        factors = factor if isinstance(factor, tuple) else (factor,) * axes
        phases = int(torch.tensor(factors).prod())
        init = Recorded()
        high = getattr(nn, f"Conv{axes}d")(1, after * phases, 2, padding=1)
        assert symconv.icnr_(high, factor, order=order, init=init) is high
        first = [shuffled_channels(after * phases, factors, order).index(channel) for channel in range(after)]
        low = _conv(axes, init.base, high.bias.detach()[first], padding=1)
        resized = nn.Sequential(low, nn.Upsample(scale_factor=tuple(map(float, factors))))
        shuffled = nn.Sequential(high, PeriodicShuffle(factors, order.upper()))
        assert symconv.check(shuffled, resized).relation.value == "identical"
        other = "dcr" if order == "crd" else "crd"
        if after > 1:  # the mistake that shipped: sub-kernels tiled where they are interleaved
            symconv.icnr_(high.weight, factor, order=other, init=lambda base, init=init: base.data.copy_(init.base))
            assert symconv.check(shuffled, resized).relation.value == "different"


@pytest.mark.parametrize("axes", (1, 2, 3))
def test_a_transposed_convolution_resizes_a_low_resolution_convolution(axes: int) -> None:
    torch.manual_seed(axes)
    proved = 0
    channels = (1, 2) if axes == 3 else (2, 3)
    for kernel, stride, padding, extra in itertools.product((2, 3, 4, 5, 6), (2, 3), (0, 1, 2), (0, 1)):
        whole = (kernel + extra - 2 * padding) % stride == 0
        if not whole or (kernel - padding % stride) // stride < 1 or (axes == 3 and (kernel > 4 or stride > 2)):
            continue
        init = Recorded()
        given = getattr(nn, f"ConvTranspose{axes}d")(*channels, kernel, stride, padding, extra)
        symconv.icnr_(given, init=init)
        taps, shift = init.base.shape[-1], padding // stride
        before = taps - 1 - shift
        after = (kernel + extra - 2 * padding - stride) // stride - before + taps - 1
        low = _conv(axes, init.base.transpose(0, 1).flip(tuple(range(2, 2 + axes))), given.bias.detach())
        resized = nn.Sequential(getattr(nn, f"ZeroPad{axes}d")((before, after) * axes), low, nn.Upsample(scale_factor=stride))
        assert symconv.check(given, resized).relation.value == "identical", (kernel, stride, padding, extra)
        proved += 1
    assert proved >= 3


def test_the_positions_are_those_of_the_definition() -> None:
    assert shuffled_channels(8, (2, 2), "CRD") == [0, 0, 0, 0, 1, 1, 1, 1]
    assert shuffled_channels(8, (2, 2), "dcr") == [0, 1] * 4
    assert transposed_taps(4, 2, 0) == [0, 0, 1, 1]
    assert transposed_taps(4, 2, 1) == [None, 0, 0, None]  # half blocks are zero
    assert transposed_taps(3, 1, 1, 2) == [0, 1, 2]


def test_grouped_and_rounded_kernels_keep_their_type() -> None:
    given = nn.ConvTranspose2d(4, 4, 4, 2, groups=2, dtype=torch.float16)
    symconv.icnr_(given, init=nn.init.ones_)
    assert given.weight.dtype is torch.float16 and given.weight.requires_grad and bool((given.weight == 1).all())
    plain = torch.empty(12, 2, 3)
    assert symconv.icnr_(plain, 3) is plain and torch.equal(plain[0], plain[2]) and not torch.equal(plain[0], plain[3])


def test_what_cannot_be_initialised_is_said() -> None:
    refused: list[tuple[Any, str]] = [
        (lambda: symconv.icnr_(nn.Conv2d(1, 4, 3)), "needs the factor"),
        (lambda: symconv.icnr_(nn.Conv2d(1, 6, 3), 2), "divisible by 4"),
        (lambda: symconv.icnr_(nn.Conv2d(1, 4, 3), 2, order="rcd"), "'crd', 'dcr'"),
        (lambda: symconv.icnr_(nn.Conv2d(1, 4, 3), (2, 0)), "positive integer"),
        (lambda: symconv.icnr_(torch.empty(4), 2), "1, 2 or 3 axes"),
        (lambda: symconv.icnr_(nn.ConvTranspose2d(1, 1, 2, 2), 3), "its stride"),
        (lambda: symconv.icnr_(nn.ConvTranspose2d(1, 1, 2, 2, 1)), "Use at least 3"),
        (lambda: symconv.icnr_(nn.ConvTranspose2d(1, 1, 3, 2, dilation=2)), "dilation 1"),
    ]
    for call, message in refused:
        with pytest.raises(LayerError, match=message):
            call()
    with pytest.raises(ModelError, match="found Linear"):
        symconv.icnr_(nn.Linear(2, 2), 2)

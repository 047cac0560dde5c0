"""Random sources for conversions, replay of converted weights through PyTorch, and a stopwatch.

Run as a script it times conversions: `python tests/convert/cases.py 500`.
"""

from __future__ import annotations

import itertools
import math
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from symconv.convert.conversion import Conversion, convert_weights
from symconv.convert.layer import convert_layer
from symconv.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    Weights,
    ZeroInsert,
    flatten,
)
from symconv.operators.domain import domain
from symconv.operators.wiring import is_parametric
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape
from symconv.prove.stage import words_of


def random_transposed(rng: random.Random) -> ConvTranspose:
    """1 to 3 axes, k to 9, s to 5, d to 4, asymmetric pads (also more than the kernel), output padding, groups, bias."""
    axes = rng.choice((1, 1, 1, 2, 2, 3))
    kernel, stride, padding, extra, dilation = [], [], [], [], []
    for _ in range(axes):
        k, s, d = rng.randint(1, 9), rng.randint(1, 5), rng.choice((1, 1, 2, 3, 4))
        reach = d * (k - 1)
        kernel.append(k)
        stride.append(s)
        dilation.append(d)
        padding.append((rng.randint(0, reach + 2), rng.randint(0, reach + 2)))
        extra.append(rng.randrange(max(s, d)))
    groups = rng.choice((1, 1, 2))
    ins, outs = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    return ConvTranspose.make(
        axes,
        ins,
        outs,
        tuple(kernel),
        tuple(stride),
        tuple(padding),
        tuple(extra),
        groups,
        rng.random() < 0.5,
        tuple(dilation),
    )


def one_axis(rng: random.Random) -> tuple[int, int, int, int, int, int]:
    """(k, s, d, pb, pe, op) of a transposed convolution."""
    k, s, d = rng.randint(1, 9), rng.randint(1, 5), rng.randint(1, 4)
    reach = d * (k - 1) + 2
    return k, s, d, rng.randint(0, reach), rng.randint(0, reach), rng.randrange(max(s, d))


def random_convolution(rng: random.Random) -> Conv:
    """A strided convolution on 1 or 2 axes in any padding mode."""
    axes = rng.choice((1, 1, 2))
    mode = rng.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular"))
    groups = rng.choice((1, 1, 2))
    kernel = tuple(rng.randint(1, 6) for _ in range(axes))
    padding = tuple((rng.randint(0, 3), rng.randint(0, 3)) for _ in range(axes))
    stride = tuple(rng.randint(1, 4) for _ in range(axes))
    dilation = tuple(rng.choice((1, 1, 2, 3)) for _ in range(axes))
    return Conv.make(
        axes, groups * rng.randint(1, 2), groups * rng.randint(1, 2), kernel, stride, padding, dilation, groups, rng.random() < 0.5, mode
    )


def random_chain(rng: random.Random) -> Layer:
    """A fixed layer or two around a convolution, in the ways people write upsampling and downsampling."""
    axes = rng.choice((1, 1, 2))
    r = tuple(rng.randint(1, 3) for _ in range(axes))
    phases = math.prod(r)
    c, out = rng.randint(1, 2), rng.randint(1, 2)
    order = rng.choice(("CRD", "DCR"))
    mode = rng.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular"))
    pads = tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(axes))
    trim = Pad(tuple((rng.randint(-1, 0), rng.randint(-1, 0)) for _ in range(axes)))
    kernel = tuple(rng.randint(1, 4) for _ in range(axes))
    bias = rng.random() < 0.4

    def conv(ins: int, outs: int, **more: Any) -> Conv:
        groups = rng.choice([g for g in (1, 2, 4) if ins % g == 0 and outs % g == 0])
        return Conv.make(axes, ins, outs, kernel, padding=pads, groups=groups, bias=bias, padding_mode=mode, **more)

    kind = rng.randrange(9)
    doubling = tuple(rng.choice((1, 2, 4)) for _ in range(axes))  # the weights of linear interpolation are dyadic then
    if kind == 0:
        return Sequential((conv(c * phases, out), trim))
    if kind == 1:
        return Sequential((conv(c, out * phases), Shuffle(r, order), trim))
    if kind == 2:
        return Sequential((Shuffle(r, order), conv(c, out)))
    if kind == 3:
        return Sequential((Upsample(doubling, rng.choice(("nearest", "nearest-exact", "linear"))), conv(c, out), trim))
    if kind == 4:
        return Sequential((ZeroInsert(r), Pad(tuple((rng.randint(-1, 3), rng.randint(-1, 3)) for _ in range(axes))), conv(c, out)))
    if kind == 5:
        return Sequential((Pad(pads, mode), Unshuffle(r, order), conv(c * phases, out)))
    if kind == 6:
        return Sequential((random_transposed(rng), rng.choice((Identity(), Pad(1), Pad(-1)))))
    if kind == 7:
        return Sequential((Unshuffle(r, order), conv(c * phases, out * phases), Shuffle(r, order)))
    return Sequential((conv(c, out, stride=tuple(rng.randint(1, 3) for _ in range(axes))), Upsample(r), trim))


FIXED = (
    "AvgPool1d(2)",
    "AvgPool2d(4, stride=2, padding=1)",
    "AvgPool2d(2, padding=1, count_include_pad=False)",
    "Upsample(scale_factor=2)",
    "Upsample(scale_factor=2, mode='bilinear')",
    "Upsample(scale_factor=2, mode='bicubic')",
    "Upsample(scale_factor=(4, 2), mode='bilinear') >> Crop(1)",
    "ZeroInsert(3)",
    "PixelShuffle(2)",
    "PixelUnshuffle(2)",
    "DepthToSpace(2)",
    "SpaceToDepth(2)",
    "ChannelShuffle(2)",
    "ReplicationPad2d(2)",
    "ReflectionPad1d((1, 2))",
    "CircularPad1d(1)",
    "ZeroPad2d((1, -1, 0, 2))",
    "Crop(2)",
    "Identity()",
)
"""Layers without parameters, for 4 channels; their weights are dyadic, so that float64 is exact."""


def whole(source: Layer, channels: int | None = None) -> tuple[tuple[Layer, ...], int, int]:
    """(bound members, axes, input channels) of a source."""
    from symconv.prove.decide import bind_pair

    pair = bind_pair(source, source, channels)
    return pair.left, pair.axes, pair.channels


def extents(source: Layer, target: Layer, count: int, rng: random.Random) -> Iterator[tuple[int, ...]]:
    """The smallest extents valid for both, then `count` random ones a little larger."""
    from symconv.prove.decide import bind_pair
    from symconv.prove.stages import is_nonlinearity

    pair = bind_pair(source, target)
    axes = []
    chains = [tuple(layer for layer in chain if not is_nonlinearity(layer)) for chain in (pair.left, pair.right)]
    for words in zip(*(words_of(chain, pair.channels, pair.axes) for chain in chains), strict=True):
        common = domain(words[0]).meet(domain(words[1]))
        axes.append(list(itertools.islice(common.members(), 5)))
    yield tuple(members[0] for members in axes)
    for _ in range(count):
        yield tuple(rng.choice(members) for members in axes)


def weights_of(members: tuple[Layer, ...], kernel: Any, bias: Any) -> tuple[Weights | None, ...]:
    """The weights of a chain whose one parametric member has these."""
    return tuple(Weights(kernel, bias) if is_parametric(layer) and not isinstance(layer, BatchNorm) else None for layer in members)


def random_weights(layer: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Integers, as float64."""
    kernel = rng.integers(-9, 10, kernel_shape(layer)).astype(np.float64)
    return kernel, rng.integers(-9, 10, bias_length(layer)).astype(np.float64) if has_bias(layer) else None


def replay(source: Layer, conversion: Conversion, rng: random.Random, count: int = 2, channels: int | None = None) -> int:
    """Compares PyTorch's outputs bit by bit on random integers; returns how many extents were compared."""
    import torch

    from symconv.conformance.torch_oracle import to_module

    numbers = np.random.default_rng(rng.randrange(2**32))
    members, axes, channels = whole(source, channels)
    free = next((layer for layer in members if is_parametric(layer)), None)
    kernel, bias = (None, None) if free is None else random_weights(free, numbers)
    moved = convert_weights(conversion, kernel, bias)
    assert conversion.target_layer is not None
    target = tuple(layer.bind(axes) for layer in flatten(conversion.target_layer))
    modules = [
        to_module(Sequential(chain), axes, weights=weights_of(chain, *pair)) for chain, pair in ((members, (kernel, bias)), (target, moved))
    ]
    done = 0
    with torch.no_grad():
        for ns in extents(source, conversion.target_layer, count, rng):
            x = torch.from_numpy(numbers.integers(-9, 10, (1, channels, *ns)).astype(np.float64))
            expected, found = (module(x) for module in modules)
            assert torch.equal(expected, found), (conversion.source, conversion.target, ns)
            done += 1
    return done


def main(count: int) -> None:
    """Prints conversions a second, one line a form."""
    rng = random.Random(0)
    for to, make in (("lr-shuffle", random_transposed), ("zero-insertion", random_transposed), ("unshuffle", random_convolution)):
        sources = [make(rng) for _ in range(count)]
        start = time.perf_counter()
        found = sum(convert_layer(source, to).target is not None for source in sources)
        seconds = time.perf_counter() - start
        print(f"{to:15s} {count / seconds:8.1f} a second, {found} of {count} exist")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

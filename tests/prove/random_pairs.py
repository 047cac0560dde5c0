"""Random layers and pairs for the tests of the decision."""

from __future__ import annotations

import random

from symconv.layers import (
    AvgPool,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
)


def random_conv(rng: random.Random, axes: int, inward: int, outward: int, groups: int | None = None) -> Conv:
    """A small Conv; strides, dilations and paddings of every mode."""
    kernel = tuple(rng.choice((1, 2, 2, 3, 3, 4)) for _ in range(axes))
    mode = rng.choice(("zeros", "zeros", "zeros", "reflect", "replicate", "circular"))
    padding = tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(axes))
    if rng.random() < 0.5:
        padding = tuple((b, b) for b, _ in padding)
    stride = tuple(rng.choice((1, 1, 2, 3)) for _ in range(axes))
    dilation = tuple(rng.choice((1, 1, 1, 2)) for _ in range(axes))
    g = groups or rng.choice([d for d in (1, 1, 2, 3) if inward % d == 0 and outward % d == 0])
    return Conv(inward, outward, kernel, stride, padding, dilation, g, rng.random() < 0.3, mode)


def random_transpose(rng: random.Random, axes: int, inward: int, outward: int) -> ConvTranspose:
    """A small ConvTranspose."""
    kernel = tuple(rng.choice((1, 2, 3, 4)) for _ in range(axes))
    stride = tuple(rng.choice((1, 2, 2, 3)) for _ in range(axes))
    dilation = tuple(rng.choice((1, 1, 2)) for _ in range(axes))
    padding = tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(axes))
    extra = tuple(rng.randrange(max(s, d)) if rng.random() < 0.4 else 0 for s, d in zip(stride, dilation, strict=True))
    g = rng.choice([d for d in (1, 1, 2) if inward % d == 0 and outward % d == 0])
    return ConvTranspose(inward, outward, kernel, stride, padding, extra, dilation, g, rng.random() < 0.3)


def random_fixed(rng: random.Random, axes: int, channels: int) -> Layer:
    """A layer without parameters that `channels` channels can enter."""
    phases = 2**axes
    choices = ["unshuffle", "pad", "upsample", "insert", "pool", "identity", "crop", "pool"]
    if channels % phases == 0:
        choices += ["shuffle"] * 4
    if channels % 2 == 0:
        choices.append("channels")
    kind = rng.choice(choices)
    if kind == "shuffle":
        return Shuffle((2,) * axes, rng.choice(("CRD", "DCR")))
    if kind == "unshuffle":
        return Unshuffle((2,) * axes, rng.choice(("CRD", "DCR")))
    if kind == "channels":
        return ChannelShuffle(2)
    if kind == "pad":
        mode = rng.choice(("zeros", "reflect", "replicate", "circular"))
        return Pad(tuple((rng.randint(-1, 2), rng.randint(-1, 2)) for _ in range(axes)), mode)
    if kind == "crop":
        return Pad(tuple((-rng.randint(0, 1), -rng.randint(0, 1)) for _ in range(axes)), "zeros")
    if kind == "upsample":
        modes = ("nearest", "nearest-exact", "linear") if axes != 2 else ("nearest", "linear", "cubic")
        return Upsample((2,) * axes, rng.choice(modes))
    if kind == "insert":
        return ZeroInsert(tuple(rng.choice((1, 2, 3)) for _ in range(axes)))
    if kind == "pool":
        kernel = tuple(rng.choice((1, 2, 3)) for _ in range(axes))
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        stride = tuple(rng.choice((1, 2)) for _ in range(axes))
        return AvgPool(kernel, stride, padding, rng.random() < 0.3, rng.random() < 0.6)
    return Identity()


def out_channels(layer: Layer, channels: int, axes: int) -> int:
    """Channels after a fixed layer."""
    if isinstance(layer, Shuffle):
        return channels // 2**axes
    return channels * 2**axes if isinstance(layer, Unshuffle) else channels


def random_chain(rng: random.Random, axes: int, inward: int) -> Sequential:
    """Up to two fixed layers, at most one with parameters, up to two fixed layers."""
    layers: list[Layer] = []
    channels = inward

    def fixed(most: int) -> None:
        nonlocal channels
        for _ in range(rng.choice((0, 0, 1, 1, 2)) if most > 1 else rng.choice((0, 1))):
            layers.append(random_fixed(rng, axes, channels))
            channels = out_channels(layers[-1], channels, axes)

    fixed(1 if axes > 1 else 2)
    if rng.random() < 0.85 and channels <= 8:
        outward = rng.choice((1, 2, 2**axes, 2 * 2**axes))
        make = rng.choice((random_conv, random_conv, random_transpose))
        layers.append(make(rng, axes, channels, outward))
        channels = outward
    fixed(2)
    return Sequential(tuple(layers))


def near_miss(rng: random.Random, chain: Sequential) -> Sequential:
    """The chain with one hyper-parameter changed, or one layer dropped or added."""
    import attrs

    layers = list(chain.layers)
    if not layers:
        return chain
    k = rng.randrange(len(layers))
    layer = layers[k]
    if isinstance(layer, (Conv, ConvTranspose)):
        axis = rng.randrange(layer.axes)
        b, e = layer.padding[axis]
        shifted = rng.choice(((b + 1, max(e - 1, 0)), (max(b - 1, 0), e + 1), (e, b), (b + 1, e), (b, e + 1)))
        padding = tuple(shifted if a == axis else pair for a, pair in enumerate(layer.padding))
        options: list[Layer] = [attrs.evolve(layer, padding=padding), attrs.evolve(layer, bias=not layer.bias)]
        if isinstance(layer, Conv):
            options.append(attrs.evolve(layer, padding_mode=rng.choice(("zeros", "reflect", "replicate", "circular"))))
        kernel = tuple(max(1, n + (a == axis) * rng.choice((-1, 1))) for a, n in enumerate(layer.kernel))
        options.append(attrs.evolve(layer, kernel=kernel))
        layers[k] = rng.choice(options)
    elif isinstance(layer, (Shuffle, Unshuffle)):
        layers[k] = attrs.evolve(layer, order="DCR" if layer.order == "CRD" else "CRD")
    elif isinstance(layer, Pad) and not isinstance(layer.amounts, int):
        layers[k] = attrs.evolve(layer, amounts=tuple((e, b) for b, e in layer.amounts))
    else:
        layers[k] = Identity()
    return Sequential(tuple(layers))

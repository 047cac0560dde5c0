"""The layers that the benchmarks compare.

Owns: real decoders, the universal lowering of a transposed convolution, random one-axis configurations.
Must not know: timing, how layers are decided.
"""

from __future__ import annotations

import random

import attrs

from symconv.layers import Conv, ConvTranspose, Layer, Pad, Sequential, Shuffle

AXES = (1, 2, 3)
CHANNELS = (1, 2048)


def upsampling(axes: int, channels: int) -> tuple[str, str]:
    """The transposed convolution of most decoders (kernel 4, stride 2, padding 1) and its LR form, as expressions."""
    fine = channels * 2**axes
    return (
        f"ConvTranspose{axes}d({channels}, {channels}, 4, stride=2, padding=1, bias=False)",
        f"Conv{axes}d({channels}, {fine}, 2, padding=1, bias=False) >> PixelShuffle(2) >> Crop(1)",
    )


DECODERS: dict[str, ConvTranspose] = {
    "DCGAN, 2-D k4 s2 p1, 512 to 256": ConvTranspose.make(2, 512, 256, 4, 2, 1, bias=False),
    "U-Net, 2-D k2 s2, 1024 to 512": ConvTranspose.make(2, 1024, 512, 2, 2),
    "FSRCNN, 2-D k9 s3 p4 op2, 56 to 1": ConvTranspose.make(2, 56, 1, 9, 3, 4, 2),
    "HiFi-GAN, 1-D k16 s8 p4, 512 to 256": ConvTranspose.make(1, 512, 256, 16, 8, 4),
    "nnU-Net, 3-D k2 s2, 320 to 320": ConvTranspose.make(3, 320, 320, 2, 2),
    "FCN-8s, 2-D k16 s8 p4, 21 to 21": ConvTranspose.make(2, 21, 21, 16, 8, 4, bias=False),
}
"""Layers of published networks; each is compared with its lowering."""

LARGE: dict[str, ConvTranspose] = {
    "1-D k1024 s256, 1026 to 1": ConvTranspose.make(1, 1026, 1, 1024, 256, bias=False),
    "1-D k9 s2 d99": ConvTranspose.make(1, 1, 1, 9, 2, dilation=99, bias=False),
    "2-D k64 s32 p16 g21, 21 to 21": ConvTranspose.make(2, 21, 21, 64, 32, 16, groups=21, bias=False),
}
"""Layers whose kernel, stride or dilation is large."""


def lowering(layer: ConvTranspose) -> Sequential:
    """The layer as pad, convolution in low resolution, periodic shuffling and crop.

    Per axis a = (-pb) mod s, P = (pb + a) / s, K = ceil((ke + a) / s) taps, K - 1 - P samples of padding before and
    ceil((ke - s - pb - pe + op) / s) + P after, and a crop at the end to the output extent of the layer.
    """
    taps, pads, crops = [], [], []
    hyper = zip(layer.kernel, layer.stride, layer.padding, layer.output_padding, layer.dilation, strict=True)
    for k, s, (pb, pe), op, d in hyper:
        ke = d * (k - 1) + 1
        a = -pb % s
        late = (pb + a) // s
        grown = ke - s - pb - pe + op
        more = -(-grown // s)
        taps.append(-(-(ke + a) // s))
        pads.append((taps[-1] - 1 - late, more + late))
        crops.append((0, grown - s * more))
    fine = layer.out_channels
    for s in layer.stride:
        fine *= s
    conv = Conv.make(layer.axes, layer.in_channels, fine, tuple(taps), groups=layer.groups, bias=layer.bias)
    chain: list[Layer] = [Pad(tuple(pads)), conv, Shuffle(layer.stride), Pad(tuple(crops))]
    return Sequential(tuple(item for item in chain if not isinstance(item, Pad) or any(map(any, item.amounts))))


def random_transpose(rng: random.Random) -> ConvTranspose:
    """Any one-axis transposed convolution: k to 9, s to 5, d to 4, unequal paddings, output padding, groups."""
    k, s, d = rng.randint(1, 9), rng.randint(1, 5), rng.randint(1, 4)
    padding = (rng.randint(0, k), rng.randint(0, k))
    groups = rng.choice((1, 1, 2))
    return ConvTranspose(
        groups * rng.randint(1, 3),
        groups * rng.randint(1, 3),
        (k,),
        (s,),
        (padding,),
        (rng.randrange(max(s, d)),),
        (d,),
        groups,
        rng.random() < 0.5,
    )


def near_miss(rng: random.Random, layer: Sequential) -> Sequential:
    """The same chain with its first padding shifted by one sample, or its shuffle in the other order."""
    first = layer.layers[0]
    shuffles = [k for k, item in enumerate(layer.layers) if isinstance(item, Shuffle)]
    if isinstance(first, Pad) and rng.random() < 0.7:
        ((before, after),) = first.amounts
        return Sequential((attrs.evolve(first, amounts=((before + 1, after - 1),)), *layer.layers[1:]))
    return Sequential(tuple(attrs.evolve(item, order="DCR") if k in shuffles else item for k, item in enumerate(layer.layers)))

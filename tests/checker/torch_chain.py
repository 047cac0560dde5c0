"""Chains in the certificate's wire form, run by PyTorch; random ones. Knows nothing of the checker."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Record = dict[str, Any]
DIVISIBLE = 12**6
"""Inputs are multiples of this, so that averages stay integers."""


def _torch_order(margins: list[list[int]]) -> list[int]:
    return [amount for pair in reversed(margins) for amount in pair]


def _pad(x: Tensor, margins: list[list[int]], mode: str) -> Tensor:
    if not any(map(any, margins)):
        return x
    for n, pair in zip(x.shape[2:], margins, strict=True):
        if mode == "circular" and n + min(pair[0], 0) + min(pair[1], 0) < max(1, *pair):
            raise RuntimeError("PyTorch would not refuse, but show memory that nobody wrote")
    return F.pad(x, _torch_order(margins), mode="constant" if mode == "zeros" else mode)


def run_layer(layer: Record, x: Tensor, weights: tuple[Tensor, Tensor | None] | None) -> Tensor:
    """One layer on a batch of one, shape (1, channels, *extents)."""
    axes, kind = x.dim() - 2, layer["type"]
    if kind == "Conv":
        x = _pad(x, layer["padding"], layer["padding_mode"])
        return getattr(F, f"conv{axes}d")(x, *weights, stride=layer["stride"], dilation=layer["dilation"], groups=layer["groups"])
    if kind == "ConvTranspose":
        kernel, bias = weights
        same = all(before == after for before, after in layer["padding"])
        y = getattr(F, f"conv_transpose{axes}d")(
            x,
            kernel,
            bias,
            stride=layer["stride"],
            padding=[before for before, _ in layer["padding"]] if same else 0,
            output_padding=layer["output_padding"],
            groups=layer["groups"],
            dilation=layer["dilation"],
        )
        return y if same else _pad(y, [[-before, -after] for before, after in layer["padding"]], "zeros")
    if kind == "BatchNorm":
        scale, shift = weights
        return x * scale.reshape(-1, *[1] * axes) + shift.reshape(-1, *[1] * axes)
    if kind in ("Shuffle", "Unshuffle"):
        return _shuffle(layer, x)
    if kind == "ChannelShuffle":
        return torch.nn.ChannelShuffle(layer["groups"])(x) if axes == 2 else _channel_shuffle(x, layer["groups"])
    if kind == "ZeroInsert":
        y = x.new_zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], layer["factor"], strict=True))))
        y[(slice(None), slice(None), *(slice(None, None, s) for s in layer["factor"]))] = x
        return y
    if kind == "Pad":
        return _pad(x, layer["amounts"], layer["mode"])
    if kind == "Upsample":
        mode = {"linear": ("linear", "bilinear", "trilinear")[axes - 1], "cubic": "bicubic"}.get(layer["mode"], layer["mode"])
        corners = None if mode.startswith("nearest") else layer["align_corners"]
        return F.interpolate(x, scale_factor=[float(r) for r in layer["factor"]], mode=mode, align_corners=corners)
    if kind == "AvgPool":
        names = ("kernel", "stride", "padding", "ceil_mode", "count_include_pad") + (("divisor_override",) if axes > 1 else ())
        return getattr(F, f"avg_pool{axes}d")(x, *(layer[name] for name in names))
    assert kind == "Identity", kind
    return x


def _channel_shuffle(x: Tensor, groups: int) -> Tensor:
    return x.reshape(1, groups, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)


def _shuffle(layer: Record, x: Tensor) -> Tensor:
    """By reshaping; on 2 axes in CRD order by PyTorch's own layer."""
    factors, axes = layer["factor"], x.dim() - 2
    if axes == 2 and layer["order"] == "CRD" and factors[0] == factors[1]:
        return (torch.nn.PixelShuffle if layer["type"] == "Shuffle" else torch.nn.PixelUnshuffle)(factors[0])(x)
    phases = list(range(2, 2 + axes)) if layer["order"] == "CRD" else list(range(1, 1 + axes))
    rest = 1 if layer["order"] == "CRD" else 1 + axes
    places = list(range(2 + axes, 2 + 2 * axes))
    pairs = [at for pair in zip(places, phases, strict=True) for at in pair]
    if layer["type"] == "Shuffle":
        channels = x.shape[1] // math.prod(factors)
        split = [channels, *factors] if layer["order"] == "CRD" else [*factors, channels]
        y = x.reshape(1, *split, *x.shape[2:]).permute(0, rest, *pairs)
        return y.reshape(1, channels, *(n * r for n, r in zip(x.shape[2:], factors, strict=True)))
    if any(n % r for n, r in zip(x.shape[2:], factors, strict=True)):
        raise RuntimeError("extent is not divisible")
    outer = [n // r for n, r in zip(x.shape[2:], factors, strict=True)]
    y = x.reshape(1, x.shape[1], *(v for pair in zip(outer, factors, strict=True) for v in pair))
    at_place, at_phase = [2 + 2 * a for a in range(axes)], [3 + 2 * a for a in range(axes)]
    order = [0, 1, *at_phase, *at_place] if layer["order"] == "CRD" else [0, *at_phase, 1, *at_place]
    return y.permute(order).reshape(1, -1, *outer)


def weight_shape(layer: Record) -> tuple[int, ...]:
    """The kernel in the format's order: (out channels, in channels of a group, *taps)."""
    if layer["type"] == "BatchNorm":
        return (layer["num_features"], 1, *[1] * layer["spatial_axes"])
    return (layer["out_channels"], layer["in_channels"] // layer["groups"], *layer["kernel"])


def to_torch(layer: Record, kernel: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """A kernel in the format's order as PyTorch wants it."""
    if layer["type"] == "BatchNorm":
        return kernel.reshape(-1), bias if bias is not None else kernel.new_zeros(kernel.shape[0])
    if layer["type"] == "Conv":
        return kernel, bias
    grouped = kernel.reshape(layer["groups"], -1, *kernel.shape[1:]).transpose(1, 2)
    return grouped.reshape(layer["in_channels"], -1, *kernel.shape[2:]), bias


def run(layers: list[Record], x: Tensor, kernel: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
    """A chain with at most one parametric layer."""
    for layer in layers:
        weights = to_torch(layer, kernel, bias) if layer["type"] in ("Conv", "ConvTranspose", "BatchNorm") else None
        x = run_layer(layer, x, weights)
        if min(x.shape) < 1:
            raise RuntimeError("an extent is empty")
    return x


def random_fixed(r: random.Random, axes: int, channels: int) -> Record:
    """A layer without weights that takes these channels."""

    def per_axis(low: int, high: int) -> list[int]:
        return [r.randint(low, high) for _ in range(axes)]

    kind = r.choice(["Shuffle", "Unshuffle", "ChannelShuffle", "ZeroInsert", "Pad", "Pad", "Upsample", "AvgPool", "AvgPool", "Identity"])
    if kind == "Shuffle":
        factor = [1] * axes
        for a in range(axes):
            factor[a] = r.choice([f for f in (1, 2, 3) if channels % (math.prod(factor) * f) == 0])
        return {"type": kind, "factor": factor, "order": r.choice(["CRD", "DCR"])}
    if kind == "Unshuffle":
        factor = per_axis(1, 2)
        return {"type": kind, "factor": factor if channels <= 4 else [1] * axes, "order": r.choice(["CRD", "DCR"])}
    if kind == "ChannelShuffle":
        return {"type": kind, "groups": r.choice([g for g in range(1, channels + 1) if channels % g == 0])}
    if kind == "ZeroInsert":
        return {"type": kind, "factor": per_axis(1, 3)}
    if kind == "Pad":
        amounts = [[r.randint(-3, 3), r.randint(-3, 3)] for _ in range(axes)]
        return {"type": kind, "amounts": amounts, "mode": r.choice(["zeros", "reflect", "replicate", "circular"])}
    if kind == "Upsample":
        mode = r.choice(["nearest", "nearest-exact", "linear", *(["cubic"] if axes == 2 else [])])
        factor = [r.choice([1, 2, 2, 4] if mode == "linear" else [1, 2]) for _ in range(axes)]
        return {"type": kind, "factor": factor, "mode": mode, "align_corners": False}
    if kind == "AvgPool":
        kernel = per_axis(1, 4)
        return {
            "type": kind,
            "kernel": kernel,
            "stride": per_axis(1, 3),
            "padding": [r.randint(0, k // 2) for k in kernel],
            "ceil_mode": r.random() < 0.5,
            "count_include_pad": r.random() < 0.5,
            "divisor_override": r.choice([None, None, 2, -3]) if axes > 1 else None,
        }
    return {"type": "Identity"}


def random_parametric(r: random.Random, axes: int, channels: int) -> Record:
    """A convolution, transposed convolution or BatchNorm."""
    if r.random() < 0.1:
        return {
            "type": "BatchNorm",
            "num_features": channels,
            "spatial_axes": axes,
            "eps": 1e-5,
            "affine": True,
            "track_running_stats": True,
        }

    def per_axis(low: int, high: int) -> list[int]:
        return [r.randint(low, high) for _ in range(axes)]

    out = r.choice([1, 2, 3, 4, 6, 8])
    groups = r.choice([g for g in range(1, channels + 1) if channels % g == 0 and out % g == 0])
    stride, dilation = per_axis(1, 3), per_axis(1, 2)
    layer = {
        "type": "Conv",
        "in_channels": channels,
        "out_channels": out,
        "kernel": per_axis(1, 3),
        "stride": stride,
        "padding": [[r.randint(0, 2), r.randint(0, 2)] for _ in range(axes)],
        "dilation": dilation,
        "groups": groups,
        "bias": r.random() < 0.5,
    }
    if r.random() < 0.5:
        return {**layer, "padding_mode": r.choice(["zeros", "zeros", "reflect", "replicate", "circular"])}
    return {
        **layer,
        "type": "ConvTranspose",
        "output_padding": [r.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)],
    }


def channels_after(layer: Record, channels: int) -> int:
    """The output channels."""
    if layer["type"] == "Shuffle":
        return channels // math.prod(layer["factor"])
    if layer["type"] == "Unshuffle":
        return channels * math.prod(layer["factor"])
    return layer.get("out_channels", channels)


def random_chain(r: random.Random, axes: int, channels: int, length: int, parametric: bool = True) -> list[Record]:
    """A chain with one parametric layer (or none) somewhere."""
    where = r.randrange(length) if parametric else -1
    layers: list[Record] = []
    for k in range(length):
        layers.append(random_parametric(r, axes, channels) if k == where else random_fixed(r, axes, channels))
        channels = channels_after(layers[-1], channels)
    return layers

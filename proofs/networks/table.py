"""Layers in high and in low resolution side by side: cost, parameters, dimension of the class, receptive field.

Owns: `Row`, `row`, `table`, `balanced`, the expressions of the two layers.
Must not know: theorems, how a table is printed.

High resolution: n channels on r^D times the samples. Low resolution: m channels, behind or before shufflings. All layers
keep the extent, take as many channels as they give, and have no bias. Multiplications and parameters are symconv's own
count (`symconv.convert.cost`), the dimension is the engine's answer; the receptive field is the formula of `equal-cost`,
which that theorem compares with what PyTorch's stacked layers read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from symconv.api import check
from symconv.convert.cost import cost_of
from symconv.frontends.text import parse
from symconv.layers import Conv, flatten


@attrs.frozen
class Row:
    """One layer.

    Args:
        resolution: "high" or "low".
        factor: r.
        axes: D.
        channels: n in high resolution, m in low resolution.
        kernel: taps on each axis, on the layer's own grid.
        multiplications: for each sample of the low-resolution grid, all channels together.
        parameters: of the layer.
        dimension: of its function class, from the engine.
        receptive_field: samples of the high-resolution grid on one axis that `depth` such layers read for one output.
        depth: layers stacked for the receptive field.
    """

    resolution: str
    factor: int
    axes: int
    channels: int
    kernel: int
    multiplications: int
    parameters: int
    dimension: int
    receptive_field: int
    depth: int


def balanced(r: int, n: int, axes: int = 2) -> int | None:
    """The low-resolution width that costs what n channels in high resolution cost, m = r^(D / 2) n; None if that is no integer."""
    square = r**axes * n * n
    root = math.isqrt(square)
    return root if root * root == square else None


def low_layer(m: int, k: int, axes: int) -> str:
    """A convolution of k taps in low resolution that keeps the extent."""
    return f"{_pad(k, axes)}Conv{axes}d({m}, {m}, {k}, bias=False)"


def high_layer(r: int, n: int, k: int, axes: int) -> str:
    """The same in high resolution, between shufflings."""
    return f"PixelShuffle({r}) >> {_pad(k, axes)}Conv{axes}d({n}, {n}, {k}, bias=False) >> PixelUnshuffle({r})"


def row(resolution: str, r: int, channels: int, k: int, axes: int = 2, depth: int = 1) -> Row:
    """One row.

    Args:
        resolution: "high" or "low".
        r: the shuffle factor.
        channels: of the layer.
        k: taps on each axis.
        axes: spatial axes.
        depth: layers stacked for the receptive field.
    """
    layer = high_layer(r, channels, k, axes) if resolution == "high" else low_layer(channels, k, axes)
    chain = flatten(parse(layer).bind(axes))
    inward = channels * r**axes if resolution == "high" else channels
    cost = cost_of(chain, inward)
    verdict = check(layer, layer, presburger=False)
    assert verdict.dimension is not None and cost.multiplications.denominator == 1
    taps = next(member.kernel[0] for member in chain if isinstance(member, Conv))
    span = 1 + depth * (taps - 1)
    return Row(
        resolution,
        r,
        axes,
        channels,
        k,
        int(cost.multiplications),
        cost.parameters,
        verdict.dimension.left,
        span * (1 if resolution == "high" else r),
        depth,
    )


def table(
    factors: Iterable[int] = (2, 3, 4),
    widths: Iterable[int] = (16, 32, 64),
    kernels: Iterable[int] = (1, 3, 5),
    axes: int = 2,
    depth: int = 1,
) -> tuple[Row, ...]:
    """For every r, n and k the layer in high resolution and the one in low resolution that costs as much (left out if m is no integer)."""
    return tuple(
        line
        for r in factors
        for n in widths
        if (m := balanced(r, n, axes)) is not None
        for k in kernels
        for line in (row("high", r, n, k, axes, depth), row("low", r, m, k, axes, depth))
    )


def _pad(k: int, axes: int) -> str:
    """Padding that keeps the extent, the odd sample at the end."""
    if k == 1:
        return ""
    sides = ", ".join([f"{(k - 1) // 2}, {k // 2}"] * axes)
    return f"ZeroPad{axes}d(({sides})) >> "

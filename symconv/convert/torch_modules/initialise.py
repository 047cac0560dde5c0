"""ICNR initialisation: kernels whose output starts as a nearest-neighbour resize, free of checkerboards.

Owns: `icnr_`. Must not know: how the positions follow (symconv.convert.icnr).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symconv.convert.icnr import shuffled_channels, transposed_taps
from symconv.convert.torch_modules.sites import CONV, TRANSPOSED
from symconv.errors import LayerError, ModelError

Init = Callable[[Tensor], Any]
AXES = (1, 2, 3)


def icnr_(target: Tensor | nn.Module, factor: int | Sequence[int] | None = None, order: str = "crd", init: Init | None = None) -> Any:
    """Fills a kernel in place so that the layer's output is the nearest-neighbour resize of a low-resolution convolution.

    PS(W * f) = N(W0 * f) for every f, with W0 drawn by `init`; for a transposed convolution ConvT(f) = N(W0 * f).

    Args:
        target: the kernel (out_channels, in_channels // groups, *kernel) of a convolution before a shuffle, or that convolution (its bias
            is set to what N commutes with: one value for all phases); or a transposed convolution.
        factor: the shuffle's factor, for all axes or one per axis. A transposed convolution has its own: its stride.
        order: "crd" (PixelShuffle) or "dcr" (DepthToSpace's default); a transposed convolution has none.
        init: fills W0 in place; torch.nn.init.kaiming_normal_ by default.

    Returns:
        The target.

    Raises:
        LayerError: the channels are not divisible by the phases, a kernel holds no whole block of its stride, or the phases of one output
            channel stand in several groups, and so read different channels.
        ModelError: no kernel, or one that is computed by a parametrization, so that it cannot be filled.

    Source: Aitken et al. 2017, arXiv 1707.02937; the sub-kernels' order for several channels is claim 18 of the theory pages.
    """
    fill = nn.init.kaiming_normal_ if init is None else init
    if isinstance(target, (*TRANSPOSED, *CONV)):
        _require_own(target)
    if isinstance(target, TRANSPOSED):
        _transposed(target, factor, fill)
    elif isinstance(target, CONV):
        _require_whole_groups(target, factor, order)
        _shuffled(target.weight, factor, order, fill)
        if target.bias is not None:
            _tie_bias(target, factor, order)
    elif isinstance(target, Tensor):
        _shuffled(target, factor, order, fill)
    else:
        raise ModelError(f"`icnr_` needs a kernel, a convolution or a transposed convolution; found {type(target).__name__}.")
    return target


def _require_own(layer: Any) -> None:
    if isinstance(layer._parameters.get("weight"), nn.Parameter) and isinstance(layer._parameters.get("bias"), nn.Parameter | None):
        return
    raise ModelError(
        f"`icnr_` fills kernels, but this {type(layer).__name__} computes its own (weight_norm, ...). Fill it before it is parametrized."
    )


def _require_whole_groups(conv: Any, factor: int | Sequence[int] | None, order: str) -> None:
    sources = shuffled_channels(conv.out_channels, _factors(factor, conv.weight.dim() - 2), order)
    width = conv.out_channels // conv.groups
    if len(set(sources)) != len({(source, channel // width) for channel, source in enumerate(sources)}):
        raise LayerError(
            f"`icnr_` needs all phases of an output channel in one group, for groups read different channels; found {conv.groups} groups "
            f"of {width} channels in order {order!r}."
        )


def _shuffled(weight: Tensor, factor: int | Sequence[int] | None, order: str, fill: Init) -> None:
    axes = weight.dim() - 2
    if axes not in AXES:
        raise LayerError(f"`icnr_` needs a kernel of 1, 2 or 3 axes; found a tensor of shape {tuple(weight.shape)}.")
    sources = shuffled_channels(weight.shape[0], _factors(factor, axes), order)
    base = weight.new_empty((max(sources) + 1, *weight.shape[1:]))
    fill(base)
    with torch.no_grad():
        weight.copy_(base[sources])


def _factors(factor: int | Sequence[int] | None, axes: int) -> tuple[int, ...]:
    if factor is None:
        raise LayerError("`icnr_` needs the factor of the shuffle that follows, such as icnr_(conv, 2).")
    factors = (factor,) * axes if isinstance(factor, int) else tuple(factor)
    if len(factors) != axes or any(not isinstance(r, int) or isinstance(r, bool) or r < 1 for r in factors):
        raise LayerError(f"`icnr_.factor` must be a positive integer, or {axes} of them; found {factor!r}.")
    return factors


def _tie_bias(conv: Any, factor: int | Sequence[int] | None, order: str) -> None:
    sources = shuffled_channels(conv.out_channels, _factors(factor, conv.weight.dim() - 2), order)
    with torch.no_grad():
        first = [sources.index(channel) for channel in sources]
        conv.bias.copy_(conv.bias[first])


def _transposed(layer: Any, factor: int | Sequence[int] | None, fill: Init) -> None:
    axes = layer.weight.dim() - 2
    if factor is not None and _factors(factor, axes) != tuple(layer.stride):
        raise LayerError(f"`icnr_.factor` of a transposed convolution is its stride {tuple(layer.stride)}; found {factor!r}. Leave it out.")
    rows = zip(layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    tables = [transposed_taps(*row) for row in rows]
    counts = [max(tap for tap in table if tap is not None) + 1 for table in tables]
    value = layer.weight.new_empty((*layer.weight.shape[:2], *counts))
    fill(value)
    for axis, table in enumerate(tables, start=2):
        taps = [counts[axis - 2] if tap is None else tap for tap in table]
        value = torch.cat([value, value.new_zeros(()).expand(*value.shape[:axis], 1, *value.shape[axis + 1 :])], axis)
        value = value.index_select(axis, torch.tensor(taps, device=value.device))
    with torch.no_grad():
        layer.weight.copy_(value)

"""PyTorch's functions that compute: arithmetic, reductions, pools, convolutions, curves, applied to traced values.

Owns: their rules.
Must not know: graphs, files.
Source: PyTorch 2.13, torch, torch.nn.functional and torch.Tensor.

A rule takes the arguments of the call, values among them traced, everything else as Python has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch.nn import functional

from symconv.conformance.graphs import operators
from symconv.conformance.graphs.layer_rules import apply_layer
from symconv.conformance.graphs.operators import Window
from symconv.conformance.graphs.torch_calls import Rule, value_of
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment
from symconv.layers import Shuffle, Unshuffle, Upsample


def pair(function: Callable[[Arithmetic, Traced, Traced], Traced]) -> Rule:
    """A function of two values, or of a value and a number."""

    def apply(arithmetic: Arithmetic, a: Any, b: Any) -> Traced:
        a, b = (value_of(arithmetic, x) if isinstance(x, Traced) or not _is_whole(other) else _whole(x) for x, other in ((a, b), (b, a)))
        return function(arithmetic, a, b)

    return apply


def _is_whole(x: Any) -> bool:
    return isinstance(x, Traced) and not x.is_real


def _whole(x: Any) -> Traced:
    if isinstance(x, float):
        raise OutsideFragment("a sum or product of integers and a float is not evaluated here")
    return Traced(torch.tensor(x))


def added(sign: int) -> Rule:
    """a + sign b."""

    def apply(arithmetic: Arithmetic, a: Any, b: Any, alpha: float = 1) -> Traced:
        if alpha != 1:
            raise OutsideFragment("a sum with `alpha` is not evaluated here")
        found: Traced = pair(lambda c, x, y: c.sum(x, y, sign))(arithmetic, a, b)
        return found

    return apply


def product(arithmetic: Arithmetic, a: Traced, b: Traced) -> Traced:
    """a b."""
    found = arithmetic.product(a, b, torch.mul)
    return attrs.evolve(found, terms=max(a.terms, b.terms) if a.is_sure or b.is_sure else 0)


def quotient(arithmetic: Arithmetic, a: Traced, b: Traced) -> Traced:
    """a / b."""
    if not a.is_real or not b.is_real:
        raise OutsideFragment("a division of integers is not evaluated here")
    return arithmetic.quotient(a, b)


def _axes(dim: Any, rank: int) -> list[int]:
    every = list(range(rank)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return [operators.axis_of(axis, rank) for axis in every]


def reduction(function: Callable[[Arithmetic, Traced, Sequence[int], bool], Traced]) -> Rule:
    """A function over some axes."""

    def apply(arithmetic: Arithmetic, x: Traced, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Traced:
        if dtype is not None:
            raise OutsideFragment("a reduction in a type of its own is not evaluated here")
        return function(arithmetic, x, _axes(dim, x.value.ndim), keepdim)

    return apply


def extreme(arithmetic: Arithmetic, x: Traced, other: Any = None, *, smallest: bool = False) -> Traced:
    """The larger (smaller) one of two values."""
    if not isinstance(other, Traced):
        raise OutsideFragment("a maximum with indices is not evaluated here")
    return arithmetic.chosen(x, other, torch.minimum if smallest else torch.maximum)


def clamp(arithmetic: Arithmetic, x: Traced, low: Any = None, high: Any = None, **renamed: Any) -> Traced:
    """clamp."""
    low, high = renamed.get("min", low), renamed.get("max", high)
    for bound, choose in ((low, torch.maximum), (high, torch.minimum)):
        if bound is not None:
            x = arithmetic.chosen(x, value_of(arithmetic, bound), choose)
    return x


def curve(name: str, *names: str, **defaults: Any) -> Rule:
    """A nonlinearity; `names` are its positional arguments."""

    def apply(arithmetic: Arithmetic, x: Traced, *args: Any, **given: Any) -> Traced:
        given.pop("inplace", None)
        arguments = dict(defaults) | dict(zip(names, args, strict=False)) | given
        return operators.curve(arithmetic, name, x, {key: value for key, value in arguments.items() if key in defaults})

    return apply


def softmax(arithmetic: Arithmetic, x: Traced, dim: int | None = None, *_: Any, **ignored: Any) -> Traced:
    """softmax."""
    axis = ignored.get("dim", dim)
    if axis is None or ignored.get("dtype") is not None:
        raise OutsideFragment("a softmax without an axis, or in a type of its own, is not evaluated here")
    return operators.softmax(arithmetic, x, axis)


def log_softmax(arithmetic: Arithmetic, x: Traced, dim: int | None = None, *_: Any, **ignored: Any) -> Traced:
    """log_softmax."""
    axis = ignored.get("dim", dim)
    if axis is None or ignored.get("dtype") is not None:
        raise OutsideFragment("a softmax without an axis, or in a type of its own, is not evaluated here")
    return operators.log_softmax(arithmetic, x, axis)


# --- pools, products, layers ------------------------------------------------------------------------------------------


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def max_pool(axes: int) -> Rule:
    """Max pooling over that many axes."""

    def apply(
        arithmetic: Arithmetic, x: Traced, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Traced:  # fmt: skip
        if return_indices:
            raise OutsideFragment("a maximum with indices is not evaluated here")
        return operators.max_pool(arithmetic, x, _window(axes, kernel_size, stride, padding, dilation), ceil=ceil_mode)

    return apply


def average_pool(axes: int) -> Rule:
    """Average pooling over that many axes."""

    def apply(
        arithmetic: Arithmetic, x: Traced, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: Any = None,
    ) -> Traced:  # fmt: skip
        if ceil_mode or divisor_override is not None:
            raise OutsideFragment("average pooling with ceil_mode or a divisor of its own is not evaluated here")
        return operators.average_pool(arithmetic, x, _window(axes, kernel_size, stride, padding, 1), counts_padding=count_include_pad)

    return apply


def _window(axes: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Window:
    kernels, gaps = _per_axis(kernel, axes), _per_axis(dilation, axes)
    steps = kernels if stride in (None, []) else _per_axis(stride, axes)
    pads = tuple((amount, amount) for amount in _per_axis(padding, axes))
    return Window(kernels, steps, pads, gaps)


def adaptive(axes: int) -> Rule:
    """Adaptive average pooling over that many axes."""

    def apply(arithmetic: Arithmetic, x: Traced, output_size: Any) -> Traced:
        wanted = (output_size,) * axes if output_size is None or isinstance(output_size, int) else tuple(output_size)
        return operators.adaptive_average(arithmetic, x, wanted)

    return apply


def matmul(arithmetic: Arithmetic, a: Traced, b: Traced) -> Traced:
    """matmul."""
    return operators.matrix_product(arithmetic, a, b)


def linear(arithmetic: Arithmetic, x: Traced, weight: Traced, bias: Traced | None = None) -> Traced:
    """x W^T + bias."""
    return operators.affine(arithmetic, x, weight, bias)


def conv(axes: int) -> Rule:
    """A convolution over that many axes with tensors of its own."""
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]

    def apply(
        arithmetic: Arithmetic, x: Traced, weight: Traced, bias: Traced | None = None, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1,
    ) -> Traced:  # fmt: skip
        return operators.convolved(arithmetic, x, weight, bias, lambda a, w: function(a, w, None, stride, padding, dilation, groups))

    return apply


def conv_transpose(axes: int) -> Rule:
    """A transposed convolution over that many axes with tensors of its own."""
    function = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[axes - 1]

    def apply(
        arithmetic: Arithmetic, x: Traced, weight: Traced, bias: Traced | None = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Traced:  # fmt: skip
        return operators.convolved(
            arithmetic, x, weight, bias, lambda a, w: function(a, w, None, stride, padding, output_padding, groups, dilation)
        )

    return apply


def shuffled(kind: type[Shuffle] | type[Unshuffle]) -> Rule:
    """pixel_shuffle and pixel_unshuffle."""
    return lambda arithmetic, x, factor: apply_layer(arithmetic, kind((factor,) * (x.value.ndim - 2), "CRD"), None, x)


def interpolate(
    arithmetic: Arithmetic, x: Traced, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Traced:  # fmt: skip
    """interpolate, by whole factors."""
    axes = x.value.ndim - 2
    kinds = {"nearest": "nearest", "nearest-exact": "nearest-exact", "linear": "linear", "bilinear": "linear", "trilinear": "linear",
             "bicubic": "cubic"}  # fmt: skip
    if antialias or align_corners or mode not in kinds:
        raise OutsideFragment(f"interpolation in mode {mode!r} with these settings is not evaluated here")
    if size is not None:
        wanted = (size,) * axes if isinstance(size, int) else tuple(size)
        ratios = [m / n for m, n in zip(wanted, x.value.shape[2:], strict=True)]
    else:
        ratios = [float(scale_factor)] * axes if isinstance(scale_factor, (int, float)) else [float(item) for item in scale_factor]
    if any(not ratio.is_integer() or ratio < 1 for ratio in ratios):
        raise OutsideFragment("interpolation by a factor that is no whole number is not evaluated here")
    return apply_layer(arithmetic, Upsample(tuple(int(ratio) for ratio in ratios), kinds[mode]), None, x)


def layer_norm(arithmetic: Arithmetic, x: Traced, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Traced:
    """layer_norm."""
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    axes = list(range(x.value.ndim - count, x.value.ndim))
    return operators.normalised(arithmetic, x, axes, eps, weight, bias, "LayerNorm")


def group_norm(arithmetic: Arithmetic, x: Traced, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Traced:
    """group_norm."""
    shape = tuple(x.value.shape)
    grouped = arithmetic.moved(x, lambda value: value.reshape(shape[0], num_groups, -1))
    found = operators.normalised(arithmetic, grouped, [2], eps, None, None, "GroupNorm")
    found = arithmetic.moved(found, lambda value: value.reshape(shape))
    column = (-1, *(1,) * (len(shape) - 2))
    if weight is not None:
        found = arithmetic.product(found, arithmetic.moved(weight, lambda value: value.reshape(column)), torch.mul)
    return found if bias is None else arithmetic.sum(found, arithmetic.moved(bias, lambda value: value.reshape(column)))

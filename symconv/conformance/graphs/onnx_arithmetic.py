"""ONNX operators that compute: sums, products, reductions, pools, convolutions, curves, applied to traced values.

Owns: their rules.
Must not know: files, the onnx package, graphs.
Source: ONNX operator specification, operator sets 9 to 26, of the default domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np
import torch

from symconv.conformance.graphs import operators
from symconv.conformance.graphs.functions import hard_sigmoid, kinked
from symconv.conformance.graphs.layer_rules import apply_layer
from symconv.conformance.graphs.onnx_calls import Call, Rule, axes_of
from symconv.conformance.graphs.operators import Window, integers
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment
from symconv.layers import BatchNorm, Upsample, Weights


def reduction(function: Callable[[Arithmetic, Traced, Sequence[int], bool], Traced]) -> Rule:
    """An operator over some axes, or all."""

    def apply(arithmetic: Arithmetic, call: Call) -> Traced:
        axes = axes_of(call)
        if not axes:
            if call.attribute("noop_with_empty_axes", 0):
                return call[0]
            axes = list(range(call.rank))
        return function(arithmetic, call[0], axes, bool(call.attribute("keepdims", 1)))

    return apply


def over_extents(function: Callable[[Arithmetic, Traced, Sequence[int], bool], Traced]) -> Rule:
    """An operator over all extents."""
    return lambda arithmetic, call: function(arithmetic, call[0], list(range(2, call.rank)), True)


def folded(function: Callable[[Arithmetic, Traced, Traced], Traced]) -> Rule:
    """An operator of any number of inputs, two at a time."""

    def apply(arithmetic: Arithmetic, call: Call) -> Traced:
        total = call[0]
        for place in range(1, len(call.inputs)):
            total = function(arithmetic, total, call[place])
        return total

    return apply


def mean(arithmetic: Arithmetic, call: Call) -> Traced:
    """Mean."""
    total = folded(lambda c, a, b: c.sum(a, b))(arithmetic, call)
    assert isinstance(total, Traced)
    return arithmetic.averaged(total, float(len(call.inputs)))


def product(arithmetic: Arithmetic, call: Call) -> Traced:
    """Mul."""
    a, b = call[0], call[1]
    if not a.is_real:
        return Traced(a.value * b.value)
    found = arithmetic.product(a, b, torch.mul)
    fixed = [x for x in (a, b) if x.is_sure]
    return attrs.evolve(found, terms=max(a.terms, b.terms) if fixed else 0)  # a scaled sum may still be added to


def quotient(arithmetic: Arithmetic, call: Call) -> Traced:
    """Div."""
    a, b = call[0], call[1]
    if a.is_real:
        return arithmetic.quotient(a, b)
    if not bool((a.value >= 0).all() and (b.value > 0).all()):
        raise OutsideFragment("a division of negative integers, whose rest the specification does not settle")
    return Traced(torch.div(a.value, b.value, rounding_mode="floor"))


def clip(arithmetic: Arithmetic, call: Call) -> Traced:
    """Clip."""
    found = call[0]
    for place, choose in ((1, torch.maximum), (2, torch.minimum)):
        bound = call.get(place)
        if bound is not None:
            found = arithmetic.chosen(found, bound, choose)
    return found


def prelu(arithmetic: Arithmetic, call: Call) -> Traced:
    """PRelu."""
    x, slope = call[0], call[1]
    if not slope.is_sure:
        raise OutsideFragment("PRelu with a slope that is computed")
    return kinked(arithmetic, x, slope.value)


def leaky(arithmetic: Arithmetic, call: Call) -> Traced:
    """LeakyRelu."""
    return operators.curve(arithmetic, "LeakyReLU", call[0], {"negative_slope": float(call.attribute("alpha", 0.01))})


def hard_sigmoid_of(arithmetic: Arithmetic, call: Call) -> Traced:
    """HardSigmoid."""
    if arithmetic.integers:
        raise OutsideFragment("HardSigmoid does not keep integers")
    return hard_sigmoid(arithmetic, call[0], float(call.attribute("alpha", 0.2)), float(call.attribute("beta", 0.5)))


def matmul(arithmetic: Arithmetic, call: Call) -> Traced:
    """MatMul."""
    return operators.matrix_product(arithmetic, call[0], call[1])


def gemm(arithmetic: Arithmetic, call: Call) -> Traced:
    """Gemm."""
    a, b, c = call[0], call[1], call.get(2)
    a, b = (arithmetic.moved(x, lambda value: value.T) if call.attribute(name, 0) else x for x, name in ((a, "transA"), (b, "transB")))
    found = operators.matrix_product(arithmetic, a, b)
    found = _scaled(arithmetic, found, float(call.attribute("alpha", 1.0)))
    return found if c is None else arithmetic.sum(found, _scaled(arithmetic, c, float(call.attribute("beta", 1.0))))


def _scaled(arithmetic: Arithmetic, x: Traced, by: float) -> Traced:
    return x if by == 1 else attrs.evolve(arithmetic.product(x, arithmetic.constant(np.array(by)), torch.mul), terms=x.terms)


def _window(call: Call, kernel: Sequence[int]) -> Window:
    axes = len(kernel)
    stride = tuple(call.attribute("strides") or (1,) * axes)
    dilation = tuple(call.attribute("dilations") or (1,) * axes)
    flat = tuple(call.attribute("pads") or (0,) * 2 * axes)
    mode = call.attribute("auto_pad", "NOTSET")
    pads = tuple((flat[k], flat[k + axes]) for k in range(axes))
    if mode == "VALID":
        pads = ((0, 0),) * axes
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(
            _same(n, k, s, d, lower=mode == "SAME_LOWER")
            for n, k, s, d in zip(call[0].value.shape[2:], kernel, stride, dilation, strict=True)
        )
    elif mode != "NOTSET":
        raise OutsideFragment(f"auto_pad {mode!r}")
    return Window(tuple(kernel), stride, pads, dilation)


def _same(n: int, k: int, s: int, d: int, *, lower: bool) -> tuple[int, int]:
    total = (-(-n // s) - 1) * s + d * (k - 1) + 1 - n
    if total < 0:
        raise OutsideFragment("pads by auto_pad that would be negative")
    return (total - total // 2, total // 2) if lower else (total // 2, total - total // 2)


def max_pool(arithmetic: Arithmetic, call: Call) -> Traced:
    """MaxPool."""
    if call.attribute("ceil_mode", 0) or call.outputs > 1 or call.attribute("storage_order", 0):
        raise OutsideFragment("MaxPool with ceil_mode, or with indices, is not evaluated here")
    return operators.max_pool(arithmetic, call[0], _window(call, call.attribute("kernel_shape")))


def average_pool(arithmetic: Arithmetic, call: Call) -> Traced:
    """AveragePool."""
    if call.attribute("ceil_mode", 0):
        raise OutsideFragment("AveragePool with ceil_mode is not evaluated here")
    counts = bool(call.attribute("count_include_pad", 0))
    return operators.average_pool(arithmetic, call[0], _window(call, call.attribute("kernel_shape")), counts_padding=counts)


def conv(arithmetic: Arithmetic, call: Call) -> Traced:
    """Conv with weights or a bias that are computed."""
    x, weight, groups = call[0], call[1], int(call.attribute("group", 1))
    window = _window(call, weight.value.shape[2:])
    flat = [side for pair in reversed(window.pads) for side in pair]
    conv = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[window.axes - 1]
    return operators.convolved(
        arithmetic,
        x,
        weight,
        call.get(2),
        lambda a, w: conv(torch.nn.functional.pad(a, flat), w, stride=window.stride, dilation=window.dilation, groups=groups),
    )


def conv_transpose(arithmetic: Arithmetic, call: Call) -> Traced:
    """ConvTranspose with weights or a bias that are computed."""
    x, weight, groups = call[0], call[1], int(call.attribute("group", 1))
    if call.attribute("auto_pad", "NOTSET") != "NOTSET" or call.attribute("output_shape"):
        raise OutsideFragment("ConvTranspose whose pads are computed, with weights or biases that are no constants")
    window = _window(call, weight.value.shape[2:])
    extra = tuple(call.attribute("output_padding") or (0,) * window.axes)
    conv = (torch.nn.functional.conv_transpose1d, torch.nn.functional.conv_transpose2d, torch.nn.functional.conv_transpose3d)[
        window.axes - 1
    ]
    margins = [side for (before, after), more in reversed(list(zip(window.pads, extra, strict=True))) for side in (-before, more - after)]

    def apply(a: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        whole = conv(a, w, stride=window.stride, dilation=window.dilation, groups=groups)
        return torch.nn.functional.pad(whole, margins)

    return operators.convolved(arithmetic, x, weight, call.get(2), apply)


def batch_norm(arithmetic: Arithmetic, call: Call) -> Traced:
    """BatchNormalization as it is when a model is run."""
    held = [call[place] for place in range(1, 5)]
    if call.attribute("training_mode", 0) or call.outputs > 1 or not all(part.is_sure for part in held):
        raise OutsideFragment("BatchNormalization in training mode, or with numbers that are computed or rounded, is not evaluated here")
    gamma, beta, mean, variance = (part.value.cpu().numpy() for part in held)
    axes = max(call.rank - 2, 1)
    return apply_layer(
        arithmetic, BatchNorm(len(gamma), axes, float(call.attribute("epsilon", 1e-5))), Weights(gamma, beta, mean, variance), call[0]
    )


NEAREST = (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"))
"""Coordinates and roundings that repeat every sample, where the factor is a whole number."""


def resize(arithmetic: Arithmetic, call: Call) -> Traced:
    """Resize."""
    mode, where = str(call.attribute("mode", "nearest")), str(call.attribute("coordinate_transformation_mode", "half_pixel"))
    spread = {"nearest": "nearest", "linear": "linear", "cubic": "cubic"}.get(mode)
    how = (where, str(call.attribute("nearest_mode", "round_prefer_floor")))
    plain = how in NEAREST if mode == "nearest" else where in ("half_pixel", "pytorch_half_pixel")
    odd = call.attribute("exclude_outside", 0) or call.attribute("antialias", 0) or call.attribute("axes")
    if spread is None or not plain or odd or (mode == "cubic" and call.attribute("cubic_coeff_a") != -0.75) or call.get(2) is call.get(3):
        raise OutsideFragment("Resize with these settings is not evaluated here")
    scales, sizes = call.get(2), call.get(3)
    if sizes is not None:
        ratios = [m / n for m, n in zip(integers(sizes), call[0].value.shape, strict=True)]
    else:
        assert scales is not None
        ratios = [float(item) for item in scales.value.flatten().tolist()]
    if len(ratios) != call.rank or ratios[:2] != [1, 1] or any(not ratio.is_integer() or ratio < 1 for ratio in ratios):
        raise OutsideFragment("Resize by factors that are no whole numbers is not evaluated here")
    return apply_layer(arithmetic, Upsample(tuple(int(ratio) for ratio in ratios[2:]), spread), None, call[0])

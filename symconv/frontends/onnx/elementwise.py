"""Nonlinearities, BatchNormalization and arithmetic with constants as layers.

Owns: which of them symconv knows, and the shapes of their constants.
Must not know: constants' values beyond single numbers.
Source: ONNX operators of these names, operator set 9 on.

A scale or shift by a constant for each channel is read as BatchNorm with mean 0, variance 1 and eps 0 (as a class: y = a x + b).
"""

from __future__ import annotations

import attrs
import numpy as np

from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.reading import Reading, Site
from symconv.layers import BatchNorm, Identity, Pointwise, PReLU

PLAIN = {"Relu": "ReLU", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Softsign": "Softsign", "Mish": "Mish", "HardSwish": "Hardswish"}
SELU = (1.67326319217681884765625, 1.05070102214813232421875)
FORMS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def read_pointwise(site: Site) -> Reading:
    """A nonlinearity without parameters."""
    return site.reading(_nonlinearity(site), axes=None)


def _nonlinearity(site: Site) -> Pointwise:
    match site.node.op:
        case op if op in PLAIN:
            return Pointwise(PLAIN[op])
        case "LeakyRelu":
            return Pointwise("LeakyReLU", (("negative_slope", site.decimal("alpha", 0.01)),))
        case "Elu":
            return Pointwise("ELU", (("alpha", site.decimal("alpha", 1.0)),))
        case "Celu":
            return Pointwise("CELU", (("alpha", site.decimal("alpha", 1.0)),))
        case "Selu":
            if (site.number("alpha", SELU[0]), site.number("gamma", SELU[1])) != SELU:
                site.fail("has other constants than SELU's")
            return Pointwise("SELU")
        case "Gelu":
            return Pointwise("GELU", (("approximate", site.text("approximate", "none")),))
        case "HardSigmoid":
            if (site.decimal("alpha", 0.2), site.decimal("beta", 0.5)) != (0.16666667, 0.5):
                site.fail("has other constants than alpha=1/6 and beta=1/2, which symconv knows")
            return Pointwise("Hardsigmoid")
        case "Swish":
            if site.number("alpha", 1.0) != 1:
                site.fail("has an alpha other than 1")
            return Pointwise("SiLU")
        case "ThresholdedRelu":
            return Pointwise("Threshold", (("threshold", site.decimal("alpha", 1.0)), ("value", 0.0)))
        case "Shrink":
            return _shrink(site)
        case _:
            return _clip(site)


def _shrink(site: Site) -> Pointwise:
    lambd, bias = site.decimal("lambd", 0.5), site.decimal("bias", 0.0)
    if bias not in (0, lambd) or lambd < 0:
        site.fail("has a bias that is neither 0 nor lambd")
    return Pointwise("Hardshrink" if bias == 0 else "Softshrink", (("lambd", lambd),))


def _clip(site: Site) -> Pointwise:
    if site.opset < 11:
        bounds = [site.decimal(name, default) for name, default in (("min", -3.4028234663852886e38), ("max", 3.4028234663852886e38))]
        low, high = bounds[0] if "min" in site.node.attributes else None, bounds[1] if "max" in site.node.attributes else None
    else:
        low, high = (_bound(site, position) for position in (1, 2))
    if low == 0 and high is None:
        return Pointwise("ReLU")
    if low is None or high is None:
        site.fail("has one bound only; symconv knows a lower bound of 0 alone, or two bounds")
    if low >= high:
        site.fail(f"has bounds {low} and {high} out of order")
    return Pointwise("ReLU6") if (low, high) == (0, 6) else Pointwise("Hardtanh", (("min_val", low), ("max_val", high)))


def _bound(site: Site, position: int) -> float | None:
    held = site.constant(position)
    if held is None:
        return None
    if held.size != 1 or not np.isfinite(held).all():
        site.fail("has a bound that is no finite number")
    value = held.reshape(-1)[0]
    return float(str(value)) if held.dtype == np.float32 else float(value)


def read_identity(site: Site) -> Reading:
    """Identity, and Dropout as it is when a model is run."""
    if site.node.op == "Dropout" and site.opset >= 12 and site.node.input(2):
        mode = site.constant(2)
        if mode is None or mode.size != 1 or bool(mode.reshape(-1)[0]):
            site.fail("runs in training mode")
    if any(site.model.consumers(value) or value in site.model.outputs for value in site.node.outputs[1:] if value):
        site.fail("has a mask that is used")
    return site.reading(Identity(), axes=None)


def read_prelu(site: Site) -> Reading:
    """PRelu with one slope, or one for each channel."""
    kernel, count, axes = _channelwise(site, 1)
    return site.reading(PReLU(count), axes=axes if count > 1 else None, kernel=kernel)


def read_batch_norm(site: Site) -> Reading:
    """BatchNormalization as it is when a model is run."""
    if site.integer("training_mode", 0) or any(
        site.model.consumers(value) or value in site.model.outputs for value in site.node.outputs[1:] if value
    ):
        site.fail("runs in training mode: it normalises by its own input")
    axes = site.axes()
    names = [site.parameter(position) for position in range(1, 5)]
    shapes = [site.shape(position) for position in range(1, 5)]
    counts = {None if shape is None or len(shape) != 1 else shape[0].number for shape in shapes}
    if len(counts) != 1 or not (count := counts.pop()):
        site.fail("has parameters that are not one number for each channel")
    eps = site.number("epsilon", float(np.float32(1e-5)))
    if eps < 0:
        site.fail(f"has a negative epsilon {eps}")
    complete = all(names)
    kernel, bias, mean, variance = names if complete else (None,) * 4
    return site.reading(BatchNorm(count, axes, eps), axes=axes, kernel=kernel, bias=bias, mean=mean, variance=variance)


def read_arithmetic(site: Site) -> Reading:
    """Add, Sub, Mul and Div by a constant that is one number, or one for each channel."""
    sides = [name for name in (0, 1) if site.node.input(name) and site.model.constant(site.node.input(name), 1 << 31) is not None]
    if len(sides) != 1:
        site.fail("combines two values that are not constant" if not sides else "has two constants")
    held = site.model.constant(site.node.input(sides[0]), 1 << 31)
    if held is None or held.dtype.kind != "f":
        site.fail("computes with integers, which are cut off or wrap around")
    form = FORMS[site.node.op]
    if sides[0] == 0 and form in ("subtract", "divide"):
        if form == "divide":
            site.fail("divides a constant by its input, which is not linear")
        form = "subtract-from"
    site = site if sides[0] == 1 else _swapped(site)
    axes = site.axes()
    kernel, _, _ = _channelwise(site, 1)
    return site.reading(BatchNorm(site.channels(), axes, 0.0), axes=axes, kernel=kernel, form=form)


def _swapped(site: Site) -> Site:
    """The same node with its constant second."""
    return attrs.evolve(site, node=attrs.evolve(site.node, inputs=(site.node.inputs[1], site.node.inputs[0])))


def _channelwise(site: Site, position: int) -> tuple[str | None, int, int | None]:
    """A constant's name, how many numbers it holds (1, or one a channel), and the spatial axes if the rank is known."""
    shape, found = site.shape(position), site.shape()
    if shape is None:
        site.fail("has a constant of unknown shape")
    if all(extent == Extent.of(1) for extent in shape):
        if found is not None and len(shape) > len(found):
            site.fail("has a constant of higher rank than its input")
        return site.parameter(position), 1, None if found is None else len(found) - 2
    axes = site.axes()
    padded = [Extent.of(1)] * (axes + 2 - len(shape)) + list(shape)
    others = padded[:1] + padded[2:]
    if len(padded) != axes + 2 or any(extent != Extent.of(1) for extent in others):
        site.fail("has a constant that varies with the batch or the position")
    given, count = site.shape(), padded[1].number
    if count is None or (given is not None and given[1].number not in (None, count)):
        site.fail("has a constant for another number of channels than its input has")
    return site.parameter(position), count, axes


ARITHMETIC: tuple[str, ...] = tuple(FORMS)
NONLINEAR: tuple[str, ...] = (
    *PLAIN,
    *("LeakyRelu", "Elu", "Celu", "Selu", "Gelu", "HardSigmoid", "Swish", "ThresholdedRelu", "Shrink", "Clip"),
)

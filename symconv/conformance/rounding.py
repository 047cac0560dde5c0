"""A-priori bounds on rounding errors: how far a computed output or gradient can be from the exact one.

Owns: `forward_error`, `backward_error`. Must not know: what was computed.

For every layer, with X >= |x| and e >= |computed x - x| sample by sample, |A| the operator with the magnitudes of its
taps, and rho the relative error of one of its sums:

    e' = |A| e + rho |A| (X + e) + t        X' = |A| X

t is what underflow can cost. Gradients go through the transposes in the same way; a parameter's gradient is bilinear in
the gradient at the layer's output and the layer's input. The bounds are themselves computed in float64 on numbers that
are not negative, so a margin of 2^-20 covers their own rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from symconv.conformance.magnitudes import copies, factors
from symconv.conformance.precision import Precision, gamma, relative
from symconv.conformance.taps import column_terms, meeting, row_terms
from symconv.conformance.torch_oracle import to_module
from symconv.conformance.torch_runs import rounded_to
from symconv.errors import OutsideFragment
from symconv.layers import AvgPool, BatchNorm, Conv, ConvTranspose, Layer, Pad, Pointwise, PReLU, Sequential, Upsample, Weights

MARGIN = 1 + 2.0**-20
LIPSCHITZ = ("ReLU", "ReLU6", "Hardtanh")
"""Nonlinearities that are computed without rounding and grow no difference."""


@attrs.frozen
class Bounds:
    """Per layer the magnitude and the error bound at its input, and the error bound at the output."""

    magnitudes: tuple[Tensor, ...]
    errors: tuple[Tensor, ...]
    output: Tensor
    largest: float


@attrs.frozen
class Gradients:
    """Error bounds of the gradients."""

    x: Tensor
    parameters: dict[int, tuple[Any, Any]]


class AbsoluteChain:
    """A chain with the magnitudes of its weights, layer by layer, in float64."""

    def __init__(self, chain: Sequence[Layer], weights: Sequence[Weights | None], axes: int, device: str) -> None:
        self.chain, self.weights, self.axes, self.device = tuple(chain), tuple(weights), axes, device
        for layer in self.chain:
            if isinstance(layer, Pointwise) and layer.name not in LIPSCHITZ:
                raise OutsideFragment(f"no bounded mode: {layer.name} has no rounding theorem here")
            if isinstance(layer, Upsample) and layer.align_corners:
                raise OutsideFragment("no bounded mode: interpolation with align_corners=True has no rounding theorem here")
            if isinstance(layer, AvgPool) and layer.ceil_mode:
                raise OutsideFragment("no bounded mode: AvgPool with ceil_mode has no rounding theorem here")

    def module(self, k: int, *, bias: bool = True) -> nn.Module:
        """Layer k with the magnitudes of its parameters (PReLU with the larger of 1 and its slope)."""
        layer, own = self.chain[k], self.weights[k]
        if isinstance(layer, Pointwise):
            return nn.Identity()
        if isinstance(layer, PReLU):
            assert own is not None
            return _Scale(float(max(1.0, np.abs(own.kernel).max())))
        if isinstance(layer, Upsample) and layer.mode == "cubic":
            return _Scale(1.375**self.axes, to_module(Upsample(layer.factor, "nearest"), self.axes, device=self.device), spread=2)
        positive = None if own is None else _magnitudes(layer, own, bias)
        return to_module(Sequential((layer,)), self.axes, device=self.device, weights=(positive,))


class _Scale(nn.Module):
    """A constant times another module; `spread` replaces every sample by the largest within that distance."""

    def __init__(self, constant: float, then: nn.Module | None = None, spread: int = 0) -> None:
        super().__init__()
        self.constant, self.then, self.spread = constant, then, spread

    def forward(self, x: Tensor) -> Tensor:
        if self.spread:
            x = x.amax(dim=tuple(range(2, x.ndim)), keepdim=True).expand_as(x)
        return self.constant * (x if self.then is None else self.then(x))


def _magnitudes(layer: Layer, own: Weights, bias: bool) -> Weights:
    """|parameters|; BatchNorm as |gamma| / sigma (x + |mean|) + |beta|."""
    absolute = {key: None if getattr(own, key) is None else np.abs(getattr(own, key)) for key in ("kernel", "bias")}
    if not bias and absolute["bias"] is not None:
        absolute["bias"] = np.zeros_like(absolute["bias"])
    if isinstance(layer, BatchNorm):
        mean = -np.abs(own.mean) if bias else np.zeros_like(own.mean)
        return Weights(absolute["kernel"], absolute["bias"], mean, own.variance)
    return Weights(absolute["kernel"], absolute["bias"])


def forward_error(
    chain: Sequence[Layer], weights: Sequence[Weights | None], axes: int, x: Any, precision: Precision, device: str = "cpu"
) -> Bounds:
    """Magnitudes and error bounds of a forward pass.

    Raises:
        OutsideFragment: a layer without a rounding theorem, or a bound that is infinite.
    """
    whole = AbsoluteChain(chain, weights, axes, device)
    magnitude = torch.from_numpy(np.abs(np.asarray(x, dtype=np.float64))).to(device)
    error = torch.zeros_like(magnitude)
    magnitudes, errors, largest = [], [], float(magnitude.max())
    with torch.no_grad():
        for k, layer in enumerate(chain):
            magnitudes.append(magnitude)
            errors.append(error)
            full, linear = whole.module(k), whole.module(k, bias=False)
            rho = _forward_rho(layer, weights[k], precision)
            total = full(magnitude + error)
            spread = _index_error(layer, magnitude, precision)
            error = (linear(error) + rho * total + spread + _underflow(layer, precision)) * MARGIN
            magnitude = full(magnitude)
            largest = max(largest, float(total.max()))
    if not math.isfinite(float(error.max())):
        raise OutsideFragment(f"no bounded mode: so many terms that the rounding bound of {precision.name} is infinite")
    return Bounds(tuple(magnitudes), tuple(errors), error, largest)


def _rounds(layer: Layer) -> bool:
    return isinstance(layer, (Conv, ConvTranspose, BatchNorm, AvgPool, PReLU)) or (
        isinstance(layer, Upsample) and not layer.mode.startswith("nearest")
    )


def _underflow(layer: Layer, precision: Precision) -> float:
    """What products and results below the normal numbers can lose."""
    if not _rounds(layer):
        return 0.0
    terms = row_terms(layer) + 1 if isinstance(layer, (Conv, ConvTranspose)) else 64
    return (terms * 2.0**-126 + 64 * precision.tiny) if precision.narrow else terms * precision.tiny


def _forward_rho(layer: Layer, own: Weights | None, precision: Precision) -> float:
    if isinstance(layer, (Conv, ConvTranspose)):
        stores = meeting(layer, scattered=isinstance(layer, ConvTranspose)) + 2
        return _with_weights(relative(precision, row_terms(layer) + 1, stores), own, precision)
    if isinstance(layer, BatchNorm):
        return _with_weights(relative(precision, 12, 6), own, precision)
    return _fixed_rho(layer, precision)


def _fixed_rho(layer: Layer, precision: Precision) -> float:
    if isinstance(layer, AvgPool):
        return relative(precision, math.prod(layer.kernel) + 2, 2)
    if isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
        return relative(precision, 24 * len(factors(layer)), 4)
    if isinstance(layer, PReLU):
        return relative(precision, 2, 2)
    return 0.0


def _with_weights(rho: float, own: Weights | None, precision: Precision) -> float:
    """Weights that the storage format does not hold are rounded to it first."""
    parts = [getattr(own, key) for key in ("kernel", "bias", "mean", "variance")] if own is not None else []
    stored = all(part is None or np.array_equal(rounded_to(part, precision.storage), part) for part in parts)
    return rho if stored else (1 + rho) * (1 + precision.unit) - 1


def _index_error(layer: Layer, magnitude: Tensor, precision: Precision) -> float:
    """Interpolation weights are functions of a position that is itself rounded (in float32 for narrow formats)."""
    if not isinstance(layer, Upsample) or layer.mode.startswith("nearest"):
        return 0.0
    steps = {"linear": 2.0, "cubic": 16.0}[layer.mode]
    reach = max(magnitude.shape[2:]) + 2
    return len(factors(layer)) * steps * 6 * reach * precision.accumulate * float(magnitude.max())


def backward_error(
    chain: Sequence[Layer],
    weights: Sequence[Weights | None],
    axes: int,
    bounds: Bounds,
    g: Any,
    precision: Precision,
    device: str = "cpu",
) -> Gradients:
    """Error bounds of the gradients of sum(g y), given the bounds of the forward pass.

    Raises:
        OutsideFragment: a nonlinearity's derivative jumps where rounding may move a sample across its kink.
    """
    if any(isinstance(layer, (Pointwise, PReLU)) for layer in chain):
        raise OutsideFragment("no bounded mode for gradients: a nonlinearity's derivative jumps where rounding moves a sample")
    whole = AbsoluteChain(chain, weights, axes, device)
    size = torch.from_numpy(np.abs(np.asarray(g, dtype=np.float64))).to(device)
    error = torch.zeros_like(size)
    parameters: dict[int, tuple[Any, Any]] = {}
    for k in reversed(range(len(chain))):
        layer, x = chain[k], bounds.magnitudes[k]
        module = whole.module(k, bias=False)
        if isinstance(layer, (Conv, ConvTranspose, BatchNorm)):
            parameters[k] = _parameter_error(whole, k, size, error, bounds, precision)
        rho, lost = _backward_rho(layer, weights[k], precision), _backward_underflow(layer, precision)
        back = partial(_cubic_adjoint, layer) if isinstance(layer, Upsample) and layer.mode == "cubic" else partial(_adjoint, module)
        spread = _back_index_error(layer, size, x, precision)
        error = (back(x, error) + rho * back(x, size + error) + spread + lost) * MARGIN
        size = back(x, size)
    return Gradients(error, parameters)


def _adjoint(module: nn.Module, like: Tensor, g: Tensor) -> Tensor:
    """The transpose of a linear module, applied to g."""
    x = torch.zeros_like(like).requires_grad_()
    y = module(x)
    (found,) = torch.autograd.grad(y, x, g)
    return found.detach()


def _cubic_adjoint(layer: Upsample, like: Tensor, g: Tensor) -> Tensor:
    """At least |A|^T g for a cubic interpolation: column sums times the largest value."""
    return torch.full_like(like, copies(layer) * float(g.max()))


def _backward_rho(layer: Layer, own: Weights | None, precision: Precision) -> float:
    if isinstance(layer, (Conv, ConvTranspose)):
        stores = meeting(layer, scattered=isinstance(layer, Conv)) + 2
        padded = copies(Pad(layer.padding, layer.padding_mode)) if isinstance(layer, Conv) else 1.0
        rho = relative(precision, column_terms(layer), stores)
        return _with_weights((1 + rho) * (1 + _copied(padded, precision)) - 1, own, precision)
    if isinstance(layer, BatchNorm):
        return _with_weights(relative(precision, 12, 6), own, precision)
    rho = _fixed_rho(layer, precision)
    return (1 + rho) * (1 + _copied(copies(layer) + 1, precision)) - 1 if copies(layer) > 1 else rho


def _copied(count: float, precision: Precision) -> float:
    """Samples that are read several times collect as many gradients, in the storage format."""
    return gamma(math.ceil(count), precision.unit) if count > 1 else 0.0


def _backward_underflow(layer: Layer, precision: Precision) -> float:
    if isinstance(layer, (Conv, ConvTranspose)):
        return (column_terms(layer) + 64) * (2.0**-126 if precision.narrow else precision.tiny) + 64 * precision.tiny
    return 64 * precision.tiny if _rounds(layer) else 0.0


def _back_index_error(layer: Layer, size: Tensor, x: Tensor, precision: Precision) -> float:
    return _index_error(layer, x, precision) / max(float(x.max()), 1e-300) * float(size.max()) * copies(layer) if _rounds(layer) else 0.0


def _parameter_error(whole: AbsoluteChain, k: int, size: Tensor, error: Tensor, bounds: Bounds, precision: Precision) -> tuple[Any, Any]:
    """(kernel, bias) error bounds: gamma_N dW(G + e_g, X + e_x) + dW(G + e_g, X + e_x) - dW(G, X), bilinear in both."""
    layer, x, e = whole.chain[k], bounds.magnitudes[k], bounds.errors[k]
    samples = size.shape[0] * max(math.prod(size.shape[2:]), math.prod(x.shape[2:]))
    rho = relative(precision, samples + 1, size.shape[0] + 2)
    outer = _parameter_gradient(whole, k, x + e, size + error)
    inner = _parameter_gradient(whole, k, x, size)
    rows = []
    for big, small in zip(outer, inner, strict=True):
        lost = samples * precision.tiny if not precision.narrow else samples * 2.0**-126 + 64 * precision.tiny
        rows.append(None if big is None else ((rho * big + (big - small).clip(min=0) + 2.0**-40 * big * _moved(e, error) + lost) * MARGIN))
    if isinstance(layer, BatchNorm):  # x - mean and 1 / sigma are rounded as well
        rows[0] = rows[0] + relative(precision, 12, 6) * outer[0] * 2
    return rows[0], rows[1]


def _moved(*errors: Tensor) -> float:
    """1 if there is an error to propagate: the difference of two nearly equal sums needs a margin of its own."""
    return 1.0 if any(float(error.max()) > 0 for error in errors) else 0.0


def _parameter_gradient(whole: AbsoluteChain, k: int, x: Tensor, g: Tensor) -> tuple[Any, Any]:
    module = whole.module(k)
    leaf: Any = next(part for part in module.modules() if getattr(part, "weight", None) is not None)
    wanted = [leaf.weight] + ([leaf.bias] if leaf.bias is not None else [])
    found = torch.autograd.grad(module(x), wanted, g)
    arrays = [item.detach().cpu().numpy() for item in found]
    return arrays[0], (arrays[1] if len(arrays) > 1 else None)

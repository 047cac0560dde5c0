"""A witness run through PyTorch: do the outputs part where it says, and does nothing the other side can do agree?

Owns: `replay`. Must not know: how witnesses are found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import torch

from symconv.conformance.torch_oracle import to_module
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, Sequential, Weights
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape

MOST_PARAMETERS = 512
"""Unit kernels of the smaller side that are run to confirm an annihilator; beyond, that part is left out."""


@attrs.frozen
class Replay:
    """What PyTorch says of a witness.

    Args:
        parts: whether the two outputs differ at the place named.
        annihilated: whether the functional is 0 on every unit kernel of the smaller side and as claimed on the larger
            side's kernel; None where there were too many kernels to run, or nothing to annihilate.
        left, right: both outputs at the place.
    """

    parts: bool
    annihilated: bool | None
    left: Fraction
    right: Fraction


def replay(left: Sequence[Layer], right: Sequence[Layer], axes: int, witness: dict[str, Any]) -> Replay:
    """Replays a `kernel` witness of a verdict on bound chains, in float64 on small rationals.

    Args:
        left, right: the chains, bound.
        axes: spatial axes.
        witness: `Verdict.witness` with kind "kernel".
    """
    chains = {"left": tuple(left), "right": tuple(right)}
    values = {}
    for side, chain in chains.items():
        module = _module(chain, axes, witness[f"{side}_kernel"])
        values[side] = _at(module, witness["input"], witness["at"])
    parts = not _close(values["left"], values["right"])
    if witness["annihilator"] is None:  # the other side is one function
        return Replay(parts, None, values["left"], values["right"])
    larger = witness["annihilator"]["sees"]
    smaller = "right" if larger == "left" else "left"
    claimed = Fraction(witness["annihilator"]["value"])
    seen = _functional(chains[larger], axes, witness[f"{larger}_kernel"], witness)
    annihilated: bool | None = None
    units = _units(chains[smaller])
    if len(units) <= MOST_PARAMETERS:
        annihilated = _close(seen, claimed) and all(
            _close(_functional(chains[smaller], axes, unit, witness), Fraction(0)) for unit in units
        )
    return Replay(parts, annihilated, values["left"], values["right"])


def _close(a: Fraction, b: Fraction) -> bool:
    """Equality up to the rounding of thirds and fifths in float64 (dyadic values are compared exactly)."""
    return a == b or abs(a - b) < Fraction(1, 10**9)


def _own(chain: Sequence[Layer]) -> int | None:
    return next((k for k, layer in enumerate(chain) if isinstance(layer, (Conv, ConvTranspose, BatchNorm))), None)


def _module(chain: tuple[Layer, ...], axes: int, record: dict[str, Any] | None) -> torch.nn.Module:
    weights: list[Weights | None] = [None] * len(chain)
    k = _own(chain)
    if record is not None and k is not None:
        kernel = np.zeros(record["shape"])
        for index, value in record["entries"]:
            kernel[tuple(index)] = float(Fraction(value))
        layer = chain[k]
        bias = None
        assert isinstance(layer, (Conv, ConvTranspose, BatchNorm))
        if has_bias(layer):
            bias = np.zeros(bias_length(layer))
            for index, value in record["bias"]:
                bias[tuple(index)] = float(Fraction(value))
        if isinstance(layer, BatchNorm):
            unit = 1.0 - layer.eps
            weights[k] = Weights(kernel, bias, np.zeros(layer.num_features), np.full(layer.num_features, unit))
        else:
            weights[k] = Weights(kernel, bias)
    return to_module(Sequential(chain), axes, weights=tuple(weights))


def _tensor(record: dict[str, Any]) -> torch.Tensor:
    x = torch.zeros([1, *record["shape"]], dtype=torch.float64)
    for index, value in record["entries"]:
        x[(0, *index)] = float(Fraction(value))
    return x


def _at(module: torch.nn.Module, x: dict[str, Any], place: Sequence[int]) -> Fraction:
    with torch.no_grad():
        return Fraction(float(module(_tensor(x))[(0, *place)]))


def _functional(chain: tuple[Layer, ...], axes: int, kernel: dict[str, Any] | None, witness: dict[str, Any]) -> Fraction:
    module = _module(chain, axes, kernel)
    channels = witness["input"]["shape"][0]
    total = Fraction(0)
    for term in witness["annihilator"]["terms"]:
        shape = [channels, *term["extents"]]
        constant = _at(module, {"shape": shape, "entries": []}, term["out"])
        value = constant
        if term["in"] is not None:  # an entry of the matrix is the response to an impulse less the response to zero
            value = _at(module, {"shape": shape, "entries": [[term["in"], "1"]]}, term["out"]) - constant
        total += Fraction(term["coefficient"]) * value
    return total


def _units(chain: tuple[Layer, ...]) -> list[dict[str, Any] | None]:
    """Every unit kernel and unit bias of a chain, as witness records (or the one function of a fixed chain)."""
    k = _own(chain)
    if k is None:
        return []
    layer = chain[k]
    assert isinstance(layer, (Conv, ConvTranspose, BatchNorm))
    shape = kernel_shape(layer)
    if math.prod(shape) > MOST_PARAMETERS:
        return [None] * (MOST_PARAMETERS + 1)
    units: list[dict[str, Any] | None] = [
        {"shape": list(shape), "entries": [[[int(n) for n in np.unravel_index(flat, shape)], "1"]], "bias": []}
        for flat in range(math.prod(shape))
    ]
    if has_bias(layer):
        units += [{"shape": list(shape), "entries": [], "bias": [[[b], "1"]]} for b in range(bias_length(layer))]
    return units

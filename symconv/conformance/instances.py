"""Random instances: parameters, inputs and gradients, as integers that stay exact or as reals.

Owns: `Instance`, `draw_exact`, `draw_real`, `draw_extents`.
Must not know: torch, devices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from symconv.conformance.magnitudes import backward_bounds, forward_bound, fraction_bits, kernel_bits, obstacle
from symconv.conformance.pairing import Given, Pairing, parametric, plain_batch_norm
from symconv.conformance.precision import Precision
from symconv.errors import OutsideFragment
from symconv.layers import BatchNorm, Layer, PReLU, Weights
from symconv.operators.domain import output_extent
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity

BATCH = 2
Chance = np.random.Generator
SIZES = ((3, 1.0), (2, 1.0), (1, 1.0), *((1, 2.0**-k) for k in range(1, 15)))
"""Largest magnitude of a parameter and the share of parameters that are not 0, tried in this order."""


@attrs.frozen(eq=False)
class Instance:
    """One pair of weighted chains with what goes in.

    Args:
        extents: input extents.
        left, right: weights of the two chains.
        x: the input, (batch, channels, *extents).
        g: the gradient at the output, for the input gradient.
        g_sparse: the same for gradients of parameters: few enough nonzero values for their sums to stay exact.
        bound: the largest |partial sum| over its unit, or None where values are no integers; it is at most 2^sums.
        density: the share of parameters drawn that are not 0.
    """

    extents: tuple[int, ...]
    left: Given
    right: Given
    x: Any
    g: Any
    g_sparse: Any
    bound: float | None = None
    density: float = 1.0


def out_shape(pairing: Pairing, extents: Sequence[int]) -> tuple[int, ...]:
    """(out_channels, *extents) of both chains."""
    from symconv.layers import channels_through

    linear = tuple(layer for layer in pairing.left if not is_nonlinearity(layer))
    words = words_of(linear, pairing.channels, pairing.axes)
    outs = tuple(output_extent(word, n) for word, n in zip(words, extents, strict=True))
    return (channels_through(pairing.left, pairing.channels)[-1], *outs)


def draw_extents(pairing: Pairing, chance: Chance, most: int = 9) -> tuple[int, ...]:
    """Extents that both layers accept, at or a little above the smallest ones."""
    drawn = []
    for item in pairing.domains:
        first = item.first()
        if first is None:
            raise OutsideFragment("no extent is valid for both layers")
        wanted = item.first(first + int(chance.integers(0, most)))
        drawn.append(wanted if wanted is not None else first)
    return tuple(drawn)


def check_extents(pairing: Pairing, extents: Sequence[int]) -> None:
    """Refuses extents that a side does not accept.

    Raises:
        LayerError: the wrong number of extents, or an extent that a layer refuses.
    """
    from symconv.errors import LayerError

    if len(extents) != pairing.axes:
        raise LayerError(f"`--extents` must have one extent a spatial axis, {pairing.axes} here; found {len(extents)}.")
    for axis, (n, item) in enumerate(zip(extents, pairing.domains, strict=True)):
        if n not in item:
            least = item.first()
            raise LayerError(f"extent {n} on axis {axis} is not valid for both layers. Use {least} or a larger valid one.")


def draw_exact(pairing: Pairing, precision: Precision, extents: tuple[int, ...], chance: Chance, batch: int = BATCH) -> Instance:
    """Integers so small that every partial sum, forward and backward, is exact in the format.

    Raises:
        OutsideFragment: the layers have fractional constants, or weights of their own that are no small integers.
    """
    for chain in (pairing.left, pairing.right):
        why = obstacle(chain)
        if why is not None:
            raise OutsideFragment(f"no exact mode: {why}")
    for most, density in SIZES:
        left, right = _whole(pairing, most, density, chance)
        found = _bounded_instance(pairing, precision, (batch, *extents), (left, right), most, density, chance)
        if found is not None:
            return found
        if _given(pairing) is not None and most == 1:
            raise OutsideFragment("no exact mode: the layers' own weights are no integers, or too large for exact sums")
    raise OutsideFragment(f"no exact mode: no nonzero integer weights keep all sums within 2^{precision.sums}")


def _given(pairing: Pairing) -> Given | None:
    """The weights that the free chain brings along, if any."""
    return pairing.own[1 if pairing.free == "right" else 0]


def _whole(pairing: Pairing, most: int, density: float, chance: Chance) -> tuple[Given, Given]:
    given = _given(pairing)
    if given is None:
        scale = math.lcm(*(carry.denominator for carry in pairing.carries)) if pairing.carries else 1
        given = tuple(_integers(layer, most, density, scale, chance) for layer in pairing.drawn)
    left, right = pairing.complete(given)
    return tuple(map(_rounded, left)), tuple(map(_rounded, right))


def _integers(layer: Layer, most: int, density: float, scale: int, chance: Chance) -> Weights | None:
    if isinstance(layer, PReLU):
        return Weights(np.full(layer.num_parameters, 2.0))
    if not parametric([layer]):
        return None
    kernel = _signed(kernel_shape(layer), most, density, chance) * scale  # type: ignore[arg-type]
    bias = _signed((bias_length(layer),), most, 1.0, chance) * scale if has_bias(layer) else None  # type: ignore[arg-type]
    return Weights(kernel, bias)


def _signed(shape: tuple[int, ...], most: int, density: float, chance: Chance) -> Any:
    """Integers of magnitude 1 to `most`; a share of them 0, but never all."""
    values = chance.integers(1, most + 1, shape) * chance.choice((-1, 1), shape)
    if density < 1:
        kept = chance.random(shape) < density
        kept.reshape(-1)[int(chance.integers(kept.size))] = True
        values = values * kept
    return values.astype(np.float64)


def _rounded(weights: Weights | None) -> Weights | None:
    """Carried integers as integers: thirds times 3 have been rounded on their way."""
    if weights is None:
        return None
    kernel = np.rint(weights.kernel)
    bias = None if weights.bias is None else np.rint(weights.bias)
    near = np.abs(kernel - weights.kernel).max(initial=0) < 1e-9 and (bias is None or np.abs(bias - weights.bias).max(initial=0) < 1e-9)
    if not near:
        return weights
    return attrs.evolve(weights, kernel=kernel, bias=bias)


def _bounded_instance(
    pairing: Pairing,
    precision: Precision,
    sizes: tuple[int, ...],
    weights: tuple[Given, Given],
    most: int,
    density: float,
    chance: Chance,
) -> Instance | None:
    """An instance whose sums all fit, or None; `sizes` are the batch and the extents."""
    batch, *extents = sizes
    limit, factor = 2.0**precision.sums, 2.0**precision.significant
    chains = (pairing.left, pairing.right)
    if any(not _is_dyadic(own) for side in weights for own in side):
        return None
    shape = (batch, *out_shape(pairing, extents))
    total = float(math.prod(shape) * most)
    worst, room = 0.0, math.inf
    for chain, own in zip(chains, weights, strict=True):
        size, at = forward_bound(chain, own, most)
        back, parameters, factor_back = backward_bounds(chain, own, at, most, total)
        room = min(room, total * limit / max(parameters, 1.0))
        factors = [item.most * 2.0**item.bits for item in at]
        factors += [float(np.abs(w.kernel).max(initial=0)) * 2.0 ** kernel_bits(w) for w in own if w is not None]
        if max(size.worst, back.worst) > limit or max([*factors, factor_back]) > factor:
            return None
        worst = max(worst, size.worst, back.worst, min(parameters, limit))
    x = _signed((batch, pairing.channels, *extents), most, 1.0, chance)
    g = _signed(shape, most, 1.0, chance)
    g_sparse = g if room >= total else _thinned(g, room / most, chance)
    if g_sparse is None:
        return None
    return Instance(tuple(extents), *weights, x, g, g_sparse, worst, density)


def _is_dyadic(weights: Weights | None) -> bool:
    parts = () if weights is None else (weights.kernel, weights.bias)
    return all(part is None or fraction_bits(part) is not None for part in parts)


def _thinned(g: Any, room: float, chance: Chance) -> Any:
    """g with at most `room` nonzero values, or None if there is room for none."""
    kept = int(min(room, g.size))
    if kept < 1:
        return None
    out = np.zeros(g.size)
    places = chance.choice(g.size, kept, replace=False)
    out[places] = g.reshape(-1)[places]
    return out.reshape(g.shape)


def draw_real(pairing: Pairing, precision: Precision, extents: tuple[int, ...], chance: Chance, batch: int = BATCH) -> Instance:
    """Values uniform in [-1, 1], rounded to the storage format, so that the format's own rounding of weights costs nothing."""
    from symconv.conformance.torch_runs import rounded_to

    def store(values: Any) -> Any:
        return rounded_to(values, precision.storage)

    given = _given(pairing)
    if given is None:
        given = tuple(_reals(layer, store, chance) for layer in pairing.drawn)
    left, right = pairing.complete(given)
    shape = (batch, *out_shape(pairing, extents))
    x = store(chance.uniform(-1, 1, (batch, pairing.channels, *extents)))
    g = store(chance.uniform(-1, 1, shape))
    return Instance(extents, left, right, x, g, g)


def _reals(layer: Layer, store: Any, chance: Chance) -> Weights | None:
    if isinstance(layer, PReLU):
        return Weights(store(chance.uniform(0.1, 0.9, layer.num_parameters)))
    if not parametric([layer]):
        return None
    kernel = store(chance.uniform(-1, 1, kernel_shape(layer)))  # type: ignore[arg-type]
    bias = store(chance.uniform(-1, 1, bias_length(layer))) if has_bias(layer) else None  # type: ignore[arg-type]
    return plain_batch_norm(layer, kernel, bias) if isinstance(layer, BatchNorm) else Weights(kernel, bias)

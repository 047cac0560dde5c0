"""Networks with integer weights, run by PyTorch in float64, where sums and products of small integers are exact.

Owns: `evaluate`, `matrix`, `rank`, `lift` (the reshuffle of theorem `high-in-low` on whole kernels).
Must not know: theorems.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from symconv.frontends.text import parse
from symconv.layers import Conv, ConvTranspose, Sequential, Weights, flatten

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 2**53
"""Above this magnitude float64 no longer holds every integer."""


def evaluate(expression: str, kernels: Sequence[tuple[Array, Array | None]], x: Array) -> Array:
    """The network's output as integers.

    Args:
        expression: the chain; its convolutions take `kernels` in order, as (kernel, bias).
        kernels: in PyTorch's layouts.
        x: (batch, channels, *extents), integers.

    Raises:
        ArithmeticError: a value is no integer, or too large to be known exactly.
    """
    import torch

    from symconv.conformance.torch_oracle import to_module

    axes = x.ndim - 2
    chain = flatten(parse(expression).bind(axes))
    waiting = iter(kernels)
    weights = tuple(Weights(*next(waiting)) if isinstance(layer, (Conv, ConvTranspose)) else None for layer in chain)
    signal = torch.from_numpy(x.astype(np.float64))
    with torch.no_grad():
        for module in to_module(Sequential(chain), axes, weights=weights):
            signal = module(signal)
            if float(signal.abs().max()) >= MOST or not bool((signal == signal.round()).all()):
                raise ArithmeticError(f"{expression}: a value is not an exact integer")
    found: Array = signal.numpy().astype(np.int64)
    return found


def matrix(expression: str, kernels: Sequence[tuple[Array, Array | None]], at: Array) -> Array:
    """The differences f(at + e) - f(at) for every unit vector e, as columns: the Jacobian where f is affine on the way.

    Args:
        at: (channels, *extents), integers; large enough that a unit step crosses no kink.
    """
    size = at.size
    steps = np.concatenate([np.zeros((1, size), dtype=np.int64), np.eye(size, dtype=np.int64)])
    outputs = evaluate(expression, kernels, at[None] + steps.reshape(size + 1, *at.shape)).reshape(size + 1, -1)
    jacobian: Array = (outputs[1:] - outputs[0]).T
    return jacobian


def rank(entries: Array) -> int:
    """The exact rank of an integer matrix."""
    import flint

    return int(flint.fmpz_mat([[int(value) for value in row] for row in entries.tolist()]).rank())


def draw(chance: random.Random, shape: tuple[int, ...], most: int = 3) -> Array:
    """Random integers of magnitude at most `most`."""
    return np.array([chance.randint(-most, most) for _ in range(int(np.prod(shape)))], dtype=np.int64).reshape(shape)


def lift(kernel: Array, r: int, pb: int) -> Array:
    """The low-resolution kernel of a high-resolution one whose extent is kept, the same pads on all axes.

    Args:
        kernel: (out, in, *taps), as many taps on every axis.
        r: the shuffle factor.
        pb: samples of padding before.

    Returns:
        (out r^D, in r^D, *taps') in CRD order, W[(o, a), (c, b), u] = w[o, c, r (u - B) + b - a + pb].
    """
    k, axes = kernel.shape[2], kernel.ndim - 2
    before, after = -(-pb // r), -(-(k - 1 - pb) // r)
    phases = list(itertools.product(range(r), repeat=axes))
    slots = list(itertools.product(range(before + after + 1), repeat=axes))
    low = np.zeros((kernel.shape[0] * r**axes, kernel.shape[1] * r**axes) + (before + after + 1,) * axes, dtype=np.int64)
    for (one, a), (two, b), u in itertools.product(enumerate(phases), enumerate(phases), slots):
        taps = tuple(r * (slot - before) + come - go + pb for slot, come, go in zip(u, b, a, strict=True))
        if all(0 <= tap < k for tap in taps):
            here: tuple[Any, ...] = (slice(one, None, r**axes), slice(two, None, r**axes), *u)
            there: tuple[Any, ...] = (slice(None), slice(None), *taps)
            low[here] = kernel[there]
    return low

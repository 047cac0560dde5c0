"""Rows, extents and channels as PyTorch has them, on random chains, in exact integers."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction
from typing import Any

import pytest
import torch
from checker import torch_chain

from symconv.checker.faults import Budget
from symconv.checker.layers import Layer
from symconv.checker.rows import Reader, Side


def side_of(layers: list[dict[str, Any]], channels: int, axes: int) -> Side:
    """The checker's view of a chain."""

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    made = [Layer(layer["type"], {name: frozen(value) for name, value in layer.items()}, axes) for layer in layers]
    counts = [channels]
    for layer in made:
        counts.append(layer.channels(counts[-1]))
    return Side(made, counts, axes)


def flat_reader(side: Side, bias: bool) -> Reader:
    """The whole side as one block."""
    weights = side.weights
    width = side.channels[side.tail - 1] // weights.groups if weights and not bias else 1
    digits = {"in": [(side.channels[0], 1)], "out": [(side.channels[-1], 1)], "p": [(side.channels[side.tail], 1)], "q": [(width, 1)]}
    return Reader(side, bias, range(len(side.chains)), digits, Budget())


@pytest.mark.parametrize("seed", range(150))
def test_chain_computes_what_pytorch_computes(seed: int) -> None:
    r = random.Random(seed)
    torch.manual_seed(seed)
    axes, channels = r.choice([1, 1, 2, 2, 3]), r.choice([1, 2, 4, 6])
    layers = torch_chain.random_chain(r, axes, channels, r.randint(1, 3), parametric=r.random() < 0.8)
    side = side_of(layers, channels, axes)
    weights = next((layer for layer in layers if layer["type"] in ("Conv", "ConvTranspose", "BatchNorm")), None)
    kernel = torch.randint(-9, 10, torch_chain.weight_shape(weights)).double() if weights else None
    bias = torch.randint(-9, 10, (kernel.shape[0],)).double() * torch_chain.DIVISIBLE if kernel is not None and side.bias else None
    tried = 0
    for extents in itertools.islice(_extents(r, axes), 12):
        x = torch.randint(-9, 10, (1, channels, *extents)).double() * torch_chain.DIVISIBLE
        try:
            expected = torch_chain.run(layers, x, kernel, bias)
        except RuntimeError:
            expected = None
        assert all(chain.valid(n) for chain, n in zip(side.chains, extents, strict=True)) == (expected is not None), (layers, extents)
        if expected is None:
            continue
        assert tuple(expected.shape[1:]) == (side.channels[-1], *(chain.output(n) for chain, n in zip(side.chains, extents, strict=True)))
        tried += 1
        if tried > 2:
            continue
        outs = list(itertools.product(*map(range, expected.shape[1:])))
        for out in r.sample(outs, min(len(outs), 6)):
            found = sum(_value(form, kernel) * int(x[0][at]) for at, form in flat_reader(side, False).row(extents, out).items())
            if bias is not None:
                found += sum(int(bias[p]) * c for form in flat_reader(side, True).row(extents, out).values() for (p, *_), c in form.items())
            assert Fraction(expected[0][out].item()) == found, (layers, extents, out)


def _extents(r: random.Random, axes: int) -> Any:
    while True:
        yield tuple(r.randint(1, 7 if axes == 3 else 9) for _ in range(axes))


def _value(form: dict[tuple[int, ...], Any], kernel: torch.Tensor | None) -> Any:
    return sum(c * (1 if kernel is None else int(kernel[parameter])) for parameter, c in form.items())


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_pads_of_all_signs(mode: str) -> None:
    for before, after, n in itertools.product(range(-3, 4), range(-3, 4), range(1, 6)):
        layer = {"type": "Pad", "amounts": [[before, after]], "mode": mode}
        side, x = side_of([layer], 1, 1), torch.arange(1, n + 1).double().reshape(1, 1, n)
        try:
            expected = torch_chain.run([layer], x)[0, 0]
        except RuntimeError:
            expected = None
        assert side.chains[0].valid(n) == (expected is not None), (before, after, n)
        for o in range(0 if expected is None else len(expected)):
            row = flat_reader(side, False).row([n], (0, o))
            assert sum(_value(form, None) * (at[1] + 1) for at, form in row.items()) == expected[o]


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_aligned_corners(mode: str) -> None:
    """Up to rounding: PyTorch's own sources are floats here."""
    axes = 1 if mode == "linear" else 2
    for r, n in itertools.product(range(1, 5), range(1, 6)):
        layer = {"type": "Upsample", "factor": [r] * axes, "mode": mode, "align_corners": True}
        side, x = side_of([layer], 1, axes), torch.rand(1, 1, *[n] * axes).double()
        expected = torch_chain.run([layer], x)[0, 0]
        for out in itertools.product(range(r * n), repeat=axes):
            row = flat_reader(side, False).row([n] * axes, (0, *out))
            found = sum(float(_value(form, None)) * float(x[0][at]) for at, form in row.items())
            assert abs(found - float(expected[out])) < 1e-6, (r, n, out)

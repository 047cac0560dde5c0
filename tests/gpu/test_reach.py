"""Extents at which real layers run: PyTorch says which samples an output reads."""

from __future__ import annotations

import pytest
import torch

from symconv.app.equivalents import equivalents
from symconv.app.reach import multiplications, samples_read, telling
from symconv.conformance.pairing import pair_networks
from symconv.conformance.real_layers import REAL_LAYERS
from symconv.conformance.torch_oracle import operator_matrix
from symconv.frontends.text import parse
from symconv.layers import Sequential, Weights, flatten
from symconv.prove.reshuffle import kernel_shape

CHAINS = (
    "Conv1d(1, 1, 3, bias=False)",
    "Conv1d(1, 1, 3, stride=2, dilation=2, padding=1, bias=False)",
    "ConvTranspose1d(1, 1, 5, stride=2, bias=False)",
    "ConvTranspose1d(1, 1, 4, stride=3, dilation=2, padding=1, bias=False)",
    "Conv1d(1, 3, 2, bias=False) >> PixelShuffle(3)",
    "PixelUnshuffle(2) >> Conv1d(2, 1, 2, bias=False)",
    "ZeroInsert(2) >> Conv1d(1, 1, 3, padding=2, bias=False)",
    "Upsample(scale_factor=2) >> Conv1d(1, 1, 3, padding=1, bias=False)",
    "Upsample(scale_factor=2, mode='linear') >> Conv1d(1, 1, 2, bias=False)",
    "AvgPool1d(3, stride=2)",
)


@pytest.mark.parametrize("text", CHAINS)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_no_outputs_read_more_and_some_read_as_much(text: str, count: int) -> None:
    chain = tuple(layer.bind(1) for layer in flatten(parse(text)))
    weights = tuple(
        Weights(torch.ones(kernel_shape(layer)).numpy()) if hasattr(layer, "kernel") and hasattr(layer, "groups") else None
        for layer in chain
    )
    matrix = operator_matrix(Sequential(chain), 1, 1, (30,), weights) != 0
    widths = []
    for first in range(matrix.shape[0] - count + 1):
        read = matrix[first : first + count].any(axis=0).nonzero()[0]
        widths.append(int(read[-1] - read[0]) + 1 if len(read) else 0)
    claimed = samples_read(chain, 0, count)
    assert max(widths) <= claimed <= max(widths) + (2 if "Upsample" in text else 1 if "ZeroInsert" in text or "Shuffle" in text else 0)


def test_real_layers_run_where_all_their_taps_meet_samples() -> None:
    for real in REAL_LAYERS[::4]:
        for _, target in equivalents(real):
            pair = pair_networks(real.layer, target)
            own, least, some = (telling(pair, *rest) for rest in ((real.extents, 2), ((1,) * pair.axes, 2), (real.extents, 2, 4e8)))
            assert all(n in item for sizes in (own, least, some) for n, item in zip(sizes, pair.domains, strict=True))
            assert all(a >= max(b, c) for a, b, c in zip(own, real.extents, least, strict=True))
            assert least == some or multiplications(pair, some, 2) <= 4e8
            for chain in (pair.left, pair.right):
                assert all(n >= samples_read(chain, axis, 3) for axis, n in enumerate(least))

"""Recurrent operators applied to traced values, a step of the sequence at a time.

Owns: `lstm`.
Must not know: names and attributes in files or modules.
Source: ONNX LSTM, operator sets 7 to 22, with the default activations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from symconv.conformance.graphs.operators import concatenated, curve, matrix_product, refuse_bounds, taken
from symconv.conformance.graphs.traced import Arithmetic, Traced


def lstm(
    arithmetic: Arithmetic, x: Traced, w: Traced, r: Traced, b: Traced | None, h: Traced | None, c: Traced | None, reverse: Sequence[bool]
) -> list[Traced]:
    """i, o, f = sigmoid, c~ = tanh of W x + R h + biases; c' = f c + i c~; h' = o tanh(c').

    Args:
        arithmetic: how values are computed.
        x: (steps, batch, inputs).
        w, r, b: (directions, 4 hidden, inputs), (directions, 4 hidden, hidden), (directions, 8 hidden): gates in the order i, o, f, c~.
        h, c: (directions, batch, hidden), or None: zeros.
        reverse: per direction, whether it runs from the last step to the first.

    Returns:
        All states (steps, directions, batch, hidden), the last h and the last c.
    """
    refuse_bounds(arithmetic, "LSTM")
    made = []
    for k, back in enumerate(reverse):
        bias, before, cell = (None if part is None else _at(arithmetic, part, 0, k) for part in (b, h, c))
        made.append(_direction(arithmetic, x, _at(arithmetic, w, 0, k), _at(arithmetic, r, 0, k), bias, before, cell, back))
    whole = [_unsqueezed(arithmetic, states, 1) for states, _, _ in made]
    last = [[_unsqueezed(arithmetic, item[k], 0) for item in made] for k in (1, 2)]
    return [concatenated(arithmetic, whole, 1), *(concatenated(arithmetic, items, 0) for items in last)]


def _direction(
    arithmetic: Arithmetic, x: Traced, w: Traced, r: Traced, b: Traced | None, h: Traced | None, c: Traced | None, back: bool
) -> tuple[Traced, Traced, Traced]:
    steps, batch, hidden = x.value.shape[0], x.value.shape[1], r.value.shape[-1]
    zeros = arithmetic.given(torch.zeros(batch, hidden, dtype=torch.float64).numpy())
    h, c = zeros if h is None else h, zeros if c is None else c
    across, along = (arithmetic.moved(part, lambda value: value.T) for part in (w, r))
    found: dict[int, Traced] = {}
    for t in reversed(range(steps)) if back else range(steps):
        gates = arithmetic.sum(matrix_product(arithmetic, _at(arithmetic, x, 0, t), across), matrix_product(arithmetic, h, along))
        for half in range(2 if b is not None else 0):
            assert b is not None
            places = torch.arange(half * 4 * hidden, (half + 1) * 4 * hidden)
            gates = arithmetic.sum(gates, taken(arithmetic, b, 0, places))
        i, o, f, new = (taken(arithmetic, gates, 1, torch.arange(k * hidden, (k + 1) * hidden)) for k in range(4))
        i, o, f = (curve(arithmetic, "Sigmoid", gate) for gate in (i, o, f))
        kept = arithmetic.product(f, c, torch.mul)
        c = arithmetic.sum(kept, arithmetic.product(i, curve(arithmetic, "Tanh", new), torch.mul))
        h = arithmetic.product(o, curve(arithmetic, "Tanh", c), torch.mul)
        found[t] = _unsqueezed(arithmetic, h, 0)
    return concatenated(arithmetic, [found[t] for t in range(steps)], 0), h, c


def _at(arithmetic: Arithmetic, x: Traced, axis: int, place: int) -> Traced:
    return arithmetic.moved(x, lambda value: value.select(axis, place))


def _unsqueezed(arithmetic: Arithmetic, x: Traced, axis: int) -> Traced:
    return arithmetic.moved(x, lambda value: value.unsqueeze(axis))

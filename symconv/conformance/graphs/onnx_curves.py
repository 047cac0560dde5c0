"""ONNX operators whose accuracy in runtimes is specified nowhere, applied to traced values.

Owns: their rules.
Must not know: files, the onnx package, graphs.
Source: ONNX operator specification, operator sets 9 to 26, of the default domain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from symconv.conformance.graphs import operators
from symconv.conformance.graphs.onnx_calls import Call, Rule
from symconv.conformance.graphs.operators import integers
from symconv.conformance.graphs.recurrent import lstm
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment


def curve(name: str, **renamed: tuple[str, float]) -> Rule:
    """A nonlinearity; `renamed` maps its arguments to (attribute, default)."""

    def apply(arithmetic: Arithmetic, call: Call) -> Traced:
        arguments = {name: float(call.attribute(key, default)) for name, (key, default) in renamed.items()}
        return operators.curve(arithmetic, name, call[0], arguments)

    return apply


def gelu(arithmetic: Arithmetic, call: Call) -> Traced:
    """Gelu."""
    return operators.curve(arithmetic, "GELU", call[0], {"approximate": str(call.attribute("approximate", "none"))})


def softplus(arithmetic: Arithmetic, call: Call) -> Traced:
    """Softplus."""
    return operators.curve(arithmetic, "Softplus", call[0], {"beta": 1.0, "threshold": 1e6})


def power(arithmetic: Arithmetic, call: Call) -> Traced:
    """Pow with one whole exponent."""
    exponent = call[1]
    if exponent.value.numel() != 1 or not exponent.is_sure or not call[0].is_real:
        raise OutsideFragment("Pow with an exponent that is computed, or not one number, is not evaluated here")
    found = operators.powered(arithmetic, call[0], float(exponent.value))
    shape = torch.broadcast_shapes(found.value.shape, exponent.value.shape)
    return arithmetic.moved(found, lambda value: value.expand(shape))


def softmax(arithmetic: Arithmetic, call: Call) -> Traced:
    """Softmax."""
    return operators.softmax(arithmetic, call[0], int(call.attribute("axis", -1)))


def instance_norm(arithmetic: Arithmetic, call: Call) -> Traced:
    """InstanceNormalization."""
    column = (-1, *(1,) * (call.rank - 2))
    scale, shift = (arithmetic.moved(call[place], lambda value: value.reshape(column)) for place in (1, 2))
    eps = float(call.attribute("epsilon", 1e-5))
    return operators.normalised(arithmetic, call[0], list(range(2, call.rank)), eps, scale, shift, "InstanceNormalization")


def reciprocal(arithmetic: Arithmetic, call: Call) -> Traced:
    """Reciprocal."""
    return arithmetic.quotient(arithmetic.constant(np.array(1.0)), call[0])


def l2(arithmetic: Arithmetic, x: Traced, axes: Sequence[int], keep: bool) -> Traced:
    """ReduceL2."""
    operators.refuse_bounds(arithmetic, "ReduceL2")
    return operators.curve(arithmetic, "Sqrt", operators.summed(arithmetic, arithmetic.product(x, x, torch.mul), axes, keep))


def log_softmax(arithmetic: Arithmetic, call: Call) -> Traced:
    """LogSoftmax."""
    return operators.log_softmax(arithmetic, call[0], int(call.attribute("axis", -1)))


def trilu(arithmetic: Arithmetic, call: Call) -> Traced:
    """Trilu."""
    k = integers(call.get(1))[0] if call.get(1) is not None else 0
    cut = torch.triu if call.attribute("upper", 1) else torch.tril
    return arithmetic.moved(call[0], lambda value: cut(value, k))


def gather_elements(arithmetic: Arithmetic, call: Call) -> Traced:
    """GatherElements."""
    axis = operators.axis_of(int(call.attribute("axis", 0)), call.rank)
    index, count = call[1].value.long(), call[0].value.shape[axis]
    places = torch.where(index < 0, index + count, index)
    return arithmetic.moved(call[0], lambda value: value.gather(axis, places.to(value.device)))


def recurrent_states(arithmetic: Arithmetic, call: Call) -> list[Traced]:
    """LSTM."""
    odd = [name for name in ("clip", "input_forget", "layout", "activations") if call.attribute(name)]
    if odd or call.get(4) is not None or call.get(7) is not None:
        raise OutsideFragment("LSTM with lengths, peepholes, or settings other than the default ones is not evaluated here")
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[str(call.attribute("direction", "forward"))]
    return lstm(arithmetic, call[0], call[1], call[2], call.get(3), call.get(5), call.get(6), ways)

"""Nonlinearities in ONNX's operators.

Owns: `spell_pointwise`. Must not know: layers with taps.
"""

from __future__ import annotations

from typing import Any, Protocol

from symconv.errors import OutsideFragment
from symconv.layers import NONLINEARITIES, Pointwise


class Writer(Protocol):
    """What this needs of a graph that is being written."""

    def node(self, kind: str, inputs: Any, output: str = "", **attributes: Any) -> str: ...

    def real(self, values: Any) -> str: ...


PLAIN = {"ReLU": "Relu", "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Mish": "Mish", "Softsign": "Softsign", "Hardswish": "HardSwish"}
"""PyTorch's name to ONNX's, the same function without arguments."""


def spell_pointwise(layer: Pointwise, value: str, graph: Writer) -> str:
    """Appends a nonlinearity and returns the name of its output.

    Raises:
        OutsideFragment: ONNX has no operator for it.
    """
    given: dict[str, Any] = dict(NONLINEARITIES[layer.name]) | dict(layer.arguments)
    if layer.name in PLAIN:
        return graph.node(PLAIN[layer.name], [value])
    match layer.name:
        case "LeakyReLU":
            return graph.node("LeakyRelu", [value], alpha=float(given["negative_slope"]))
        case "ELU" | "CELU":
            return graph.node("Elu" if layer.name == "ELU" else "Celu", [value], alpha=float(given["alpha"]))
        case "SELU":
            return graph.node("Selu", [value], alpha=1.6732632423543772, gamma=1.0507009873554805)
        case "GELU":
            return graph.node("Gelu", [value], approximate=str(given["approximate"]))
        case "ReLU6":
            return graph.node("Clip", [value, graph.real(0.0), graph.real(6.0)])
        case "Hardtanh":
            return graph.node("Clip", [value, graph.real(given["min_val"]), graph.real(given["max_val"])])
        case "Hardsigmoid":
            return graph.node("HardSigmoid", [value], alpha=1 / 6, beta=0.5)
        case "SiLU":
            return graph.node("Mul", [value, graph.node("Sigmoid", [value])])
        case "Tanhshrink":
            return graph.node("Sub", [value, graph.node("Tanh", [value])])
        case "LogSigmoid":
            return graph.node("Neg", [graph.node("Softplus", [graph.node("Neg", [value])])])
        case "Softplus" if float(given["beta"]) == 1:
            return graph.node("Softplus", [value])
        case "Softshrink":
            return graph.node("Shrink", [value], bias=float(given["lambd"]), lambd=float(given["lambd"]))
        case "Hardshrink":
            return graph.node("Shrink", [value], bias=0.0, lambd=float(given["lambd"]))
        case "Threshold":
            above = graph.node("Greater", [value, graph.real(given["threshold"])])
            return graph.node("Where", [above, value, graph.real(given["value"])])
    raise OutsideFragment(f"`{layer.name}` has no spelling in ONNX here")

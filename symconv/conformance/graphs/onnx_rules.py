"""ONNX operators that the front end does not read as layers: which ones are known, with what rules.

Owns: `ONNX`: operator to rule and the attributes it knows; `OnnxRule`, `onnx_rule`, `apply_onnx`.
Must not know: files, the onnx package, graphs.
Source: ONNX operator specification, operator sets 9 to 26, of the default domain.
"""

from __future__ import annotations

from typing import Any

import attrs
import torch

from symconv.conformance.graphs import onnx_arithmetic as sums
from symconv.conformance.graphs import onnx_curves as curves
from symconv.conformance.graphs import onnx_moves as moves
from symconv.conformance.graphs import operators
from symconv.conformance.graphs.onnx_calls import Call, Inputs, Rule
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.prove.graphs.dataflow import Operation


@attrs.frozen
class OnnxRule:
    """What an operator computes.

    Args:
        apply: the rule.
        attributes: those that it knows; any other one is an obstacle.
        theorem: why it has no rounding theorem, or None.
        fractional: why it does not keep integers, or None.
    """

    apply: Rule
    attributes: frozenset[str] = frozenset()
    theorem: str | None = None
    fractional: str | None = None


def _rule(apply: Rule, *attributes: str, fractional: str | None = None) -> OnnxRule:
    return OnnxRule(apply, frozenset(attributes), None, fractional)


def _opaque(name: str, apply: Rule, *attributes: str) -> OnnxRule:
    return OnnxRule(apply, frozenset(attributes), f"{name} has no rounding theorem here", f"{name} does not keep integers")


_REDUCED = ("keepdims", "noop_with_empty_axes")
_POOLED = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
_CONVOLVED = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")

ONNX: dict[str, OnnxRule] = {
    "Abs": _rule(lambda c, call: c.close(call[0], torch.abs)),
    "Neg": _rule(lambda c, call: operators.negated(c, call[0])),
    "Relu": _rule(lambda c, call: c.close(call[0], torch.relu)),
    "LeakyRelu": _rule(sums.leaky, "alpha"),
    "PRelu": _rule(sums.prelu),
    "Clip": _rule(sums.clip),
    "HardSigmoid": _rule(sums.hard_sigmoid_of, "alpha", "beta", fractional="HardSigmoid does not keep integers"),
    "HardSwish": _rule(lambda c, call: operators.curve(c, "Hardswish", call[0]), fractional="HardSwish does not keep integers"),
    "Softsign": _rule(lambda c, call: operators.curve(c, "Softsign", call[0]), fractional="Softsign does not keep integers"),
    "Add": _rule(lambda c, call: c.sum(call[0], call[1])),
    "Sub": _rule(lambda c, call: c.sum(call[0], call[1], -1)),
    "Mul": _rule(sums.product),
    "Div": _rule(sums.quotient),
    "Reciprocal": _rule(curves.reciprocal, fractional="Reciprocal does not keep integers"),
    "Sum": _rule(sums.folded(lambda c, a, b: c.sum(a, b))),
    "Mean": _rule(sums.mean),
    "Max": _rule(sums.folded(lambda c, a, b: c.chosen(a, b, torch.maximum))),
    "Min": _rule(sums.folded(lambda c, a, b: c.chosen(a, b, torch.minimum))),
    "MatMul": _rule(sums.matmul),
    "Gemm": _rule(sums.gemm, "alpha", "beta", "transA", "transB"),
    "Conv": _rule(sums.conv, *_CONVOLVED),
    "ConvTranspose": _rule(sums.conv_transpose, *_CONVOLVED, "output_padding", "output_shape"),
    "MaxPool": _rule(sums.max_pool, *_POOLED, "storage_order"),
    "AveragePool": _rule(sums.average_pool, *_POOLED, "count_include_pad"),
    "GlobalAveragePool": _rule(sums.over_extents(operators.mean)),
    "GlobalMaxPool": _rule(sums.over_extents(operators.extreme)),
    "ReduceMean": _rule(sums.reduction(operators.mean), *_REDUCED),
    "ReduceSum": _rule(sums.reduction(operators.summed), *_REDUCED),
    "ReduceL1": _rule(sums.reduction(lambda c, x, axes, keep: operators.summed(c, c.close(x, torch.abs), axes, keep)), *_REDUCED),
    "ReduceMax": _rule(sums.reduction(operators.extreme), *_REDUCED),
    "ReduceMin": _rule(sums.reduction(lambda c, x, axes, keep: operators.extreme(c, x, axes, keep, smallest=True)), *_REDUCED),
    "BatchNormalization": _rule(sums.batch_norm, "epsilon", "momentum", "training_mode", "spatial"),
    "Resize": _rule(
        sums.resize,
        *("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside", "extrapolation_value"),
        *("antialias", "axes", "keep_aspect_ratio_policy"),
    ),
    "Identity": _rule(lambda c, call: call[0]),
    "Dropout": _rule(lambda c, call: call[0], "ratio", "seed"),
    "Reshape": _rule(moves.reshape, "allowzero"),
    "Flatten": _rule(moves.flatten, "axis"),
    "Transpose": _rule(moves.transpose, "perm"),
    "Squeeze": _rule(moves.squeeze),
    "Unsqueeze": _rule(moves.unsqueeze),
    "Concat": _rule(moves.concat, "axis"),
    "Split": _rule(moves.split, "axis", "num_outputs", "outputs"),
    "Slice": _rule(moves.sliced),
    "Gather": _rule(moves.gather, "axis"),
    "GatherElements": _rule(curves.gather_elements, "axis"),
    "Trilu": _rule(curves.trilu, "upper"),
    "Expand": _rule(moves.expand),
    "Tile": _rule(moves.tile),
    "Pad": _rule(moves.pad, "mode", "pads", "value"),
    "DepthToSpace": _rule(moves.depth_to_space, "blocksize", "mode"),
    "SpaceToDepth": _rule(moves.space_to_depth, "blocksize"),
    "Where": _rule(lambda c, call: operators.where(c, call[0], call[1], call[2])),
    "Cast": _rule(moves.cast, "to"),
    "Shape": _rule(moves.shape, "start", "end"),
    "Size": _rule(lambda c, call: Traced(torch.tensor(call[0].value.numel(), dtype=torch.int64))),
    "Mod": _rule(moves.modulo, "fmod"),
    "Range": _rule(moves.ranged, "stash_type"),
    "ConstantOfShape": _rule(moves.constant_of_shape, "value"),
    "Sign": _rule(lambda c, call: operators.rounded(c, call[0], torch.sign)),
    "Floor": _rule(lambda c, call: operators.rounded(c, call[0], torch.floor)),
    "Ceil": _rule(lambda c, call: operators.rounded(c, call[0], torch.ceil)),
    "Equal": _rule(moves.compared(torch.eq)),
    "Less": _rule(moves.compared(torch.lt)),
    "LessOrEqual": _rule(moves.compared(torch.le)),
    "Greater": _rule(moves.compared(torch.gt)),
    "GreaterOrEqual": _rule(moves.compared(torch.ge)),
    "And": _rule(moves.logical(torch.logical_and)),
    "Or": _rule(moves.logical(torch.logical_or)),
    "Not": _rule(lambda c, call: Traced(torch.logical_not(call[0].value))),
    "Sigmoid": _opaque("Sigmoid", curves.curve("Sigmoid")),
    "Tanh": _opaque("Tanh", curves.curve("Tanh")),
    "Elu": _opaque("Elu", curves.curve("ELU", alpha=("alpha", 1.0)), "alpha"),
    "Mish": _opaque("Mish", curves.curve("Mish")),
    "Gelu": _opaque("Gelu", curves.gelu, "approximate"),
    "Softplus": _opaque("Softplus", curves.softplus),
    "Exp": _opaque("Exp", curves.curve("Exp")),
    "Log": _opaque("Log", curves.curve("Log")),
    "Sqrt": _opaque("Sqrt", curves.curve("Sqrt")),
    "Erf": _opaque("Erf", curves.curve("Erf")),
    "Sin": _opaque("Sin", curves.curve("Sin")),
    "Cos": _opaque("Cos", curves.curve("Cos")),
    "Pow": _opaque("Pow", curves.power),
    "Softmax": _opaque("Softmax", curves.softmax, "axis"),
    "InstanceNormalization": _opaque("InstanceNormalization", curves.instance_norm, "epsilon"),
    "LogSoftmax": _opaque("LogSoftmax", curves.log_softmax, "axis"),
    "LSTM": _opaque("LSTM", curves.recurrent_states, "activations", "clip", "direction", "hidden_size", "input_forget", "layout"),
    "ReduceL2": _opaque("ReduceL2", sums.reduction(curves.l2), *_REDUCED),
}
"""Operators of ONNX's default domain."""


def onnx_rule(operation: Operation) -> OnnxRule | str:
    """The rule of an operation that came from a file, or why there is none."""
    key: Any = operation.key
    known, captures, op = key[0], key[1], operation.op
    domain, version = known[0], known[2]
    if domain:
        return f"`{domain}.{op}` is no operator that is evaluated here"
    rule = ONNX.get(op)
    if rule is None or captures:
        return f"{op} is not evaluated here"
    odd = [name for name in operation.attributes if name not in rule.attributes]
    if odd:
        return f"{op} with `{odd[0]}` is not evaluated here"
    if op in ("Softmax", "LogSoftmax") and isinstance(version, tuple):
        return f"{op} of an operator set before 13 over several axes is not evaluated here"
    if op == "Resize" and (not isinstance(version, int) or version < 11):
        return "Resize of an operator set before 11 is not evaluated here"
    if op == "Clip" and version != "all":
        return "Clip of an operator set before 11 is not evaluated here"
    return rule


def apply_onnx(arithmetic: Arithmetic, rule: OnnxRule, operation: Operation, inputs: Inputs) -> list[Traced]:
    """The outputs of an operation."""
    found = rule.apply(arithmetic, Call(inputs, operation.attributes, len(operation.outputs)))
    return found if isinstance(found, list) else [found]

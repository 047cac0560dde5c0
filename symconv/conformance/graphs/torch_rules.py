"""PyTorch's functions, methods and modules that are not read as layers: which ones are known, with what rules.

Owns: `FUNCTIONS`, `MODULES`: name to rule; `TorchRule`, `torch_rule`, `apply_torch`.
Must not know: graphs, files.
Source: PyTorch 2.13, torch, torch.nn.functional and torch.Tensor.

A rule takes the arguments of the call, values among them traced, everything else as Python has it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch

from symconv.conformance.graphs import operators
from symconv.conformance.graphs import torch_arithmetic as sums
from symconv.conformance.graphs import torch_moves as moves
from symconv.conformance.graphs.torch_calls import Rule, thawed, value_of
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import LayerError, OutsideFragment
from symconv.layers import Shuffle, Unshuffle
from symconv.prove.graphs.dataflow import Operation

PYTHON: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "floordiv": operator.floordiv, "truediv": operator.truediv,
    "mod": operator.mod, "getitem": operator.getitem, "neg": operator.neg, "pow": operator.pow,
}  # fmt: skip
"""Functions of Python's own numbers and tuples."""


@attrs.frozen
class TorchRule:
    """What a function computes.

    Args:
        apply: the rule; its first argument is the arithmetic.
        theorem: why it has no rounding theorem, or None.
        fractional: why it does not keep integers, or None.
    """

    apply: Rule
    theorem: str | None = None
    fractional: str | None = None


def _rule(apply: Rule, fractional: str | None = None) -> TorchRule:
    return TorchRule(apply, None, fractional)


def _opaque(name: str, apply: Rule) -> TorchRule:
    return TorchRule(apply, f"{name} has no rounding theorem here", f"{name} does not keep integers")


def _numbers_alone(arithmetic: Arithmetic, *_: Any) -> Traced:
    raise OutsideFragment("whole division and rests of values are not evaluated here")


FUNCTIONS: dict[str, TorchRule] = {
    "add": _rule(sums.added(1)),
    "sub": _rule(sums.added(-1)),
    "rsub": _rule(lambda c, a, b: sums.added(-1)(c, b, a)),
    "mul": _rule(sums.pair(sums.product)),
    "floordiv": _rule(_numbers_alone),
    "mod": _rule(_numbers_alone),
    "truediv": _rule(sums.pair(sums.quotient)),
    "div": _rule(sums.pair(sums.quotient)),
    "neg": _rule(operators.negated),
    "abs": _rule(lambda c, x: c.close(x, torch.abs)),
    "relu": _rule(sums.curve("ReLU")),
    "relu6": _rule(sums.curve("ReLU6")),
    "leaky_relu": _rule(sums.curve("LeakyReLU", "negative_slope", negative_slope=0.01)),
    "hardtanh": _rule(sums.curve("Hardtanh", "min_val", "max_val", min_val=-1.0, max_val=1.0)),
    "hardsigmoid": _rule(sums.curve("Hardsigmoid"), "Hardsigmoid does not keep integers"),
    "hardswish": _rule(sums.curve("Hardswish"), "Hardswish does not keep integers"),
    "softsign": _rule(sums.curve("Softsign"), "Softsign does not keep integers"),
    "clamp": _rule(sums.clamp),
    "clip": _rule(sums.clamp),
    "maximum": _rule(lambda c, a, b: c.chosen(a, b, torch.maximum)),
    "minimum": _rule(lambda c, a, b: c.chosen(a, b, torch.minimum)),
    "max": _rule(sums.extreme),
    "min": _rule(lambda c, a, b=None: sums.extreme(c, a, b, smallest=True)),
    "amax": _rule(sums.reduction(operators.extreme)),
    "amin": _rule(sums.reduction(lambda c, x, axes, keep: operators.extreme(c, x, axes, keep, smallest=True))),
    "sum": _rule(sums.reduction(operators.summed)),
    "mean": _rule(sums.reduction(operators.mean)),
    "matmul": _rule(sums.matmul),
    "bmm": _rule(sums.matmul),
    "mm": _rule(sums.matmul),
    "linear": _rule(sums.linear),
    **{f"conv{axes}d": _rule(sums.conv(axes)) for axes in (1, 2, 3)},
    **{f"conv_transpose{axes}d": _rule(sums.conv_transpose(axes)) for axes in (1, 2, 3)},
    **{f"max_pool{axes}d": _rule(sums.max_pool(axes)) for axes in (1, 2, 3)},
    **{f"avg_pool{axes}d": _rule(sums.average_pool(axes)) for axes in (1, 2, 3)},
    **{f"adaptive_avg_pool{axes}d": _rule(sums.adaptive(axes)) for axes in (1, 2, 3)},
    "pixel_shuffle": _rule(sums.shuffled(Shuffle)),
    "pixel_unshuffle": _rule(sums.shuffled(Unshuffle)),
    "interpolate": _rule(sums.interpolate),
    "cat": _rule(moves.joined),
    "concat": _rule(moves.joined),
    "stack": _rule(moves.stack),
    "split": _rule(moves.cut(torch.split)),
    "chunk": _rule(moves.cut(torch.chunk)),
    "unbind": _rule(moves.cut(torch.unbind)),
    "getitem": _rule(moves.getitem),
    "getattr": _rule(moves.attribute_of),
    "size": _rule(moves.size_of),
    "view": _rule(moves.moved(lambda value, *shape: value.reshape(*shape))),
    "reshape": _rule(moves.moved(lambda value, *shape: value.reshape(*shape))),
    "flatten": _rule(moves.moved(torch.flatten)),
    "permute": _rule(moves.moved(lambda value, *order: value.permute(*order))),
    "transpose": _rule(moves.moved(torch.transpose)),
    "t": _rule(moves.moved(torch.t)),
    "squeeze": _rule(moves.moved(torch.squeeze)),
    "unsqueeze": _rule(moves.moved(torch.unsqueeze)),
    "expand": _rule(moves.moved(lambda value, *shape: value.expand(*shape))),
    "repeat": _rule(moves.moved(lambda value, *counts: value.repeat(*counts))),
    "repeat_interleave": _rule(moves.moved(torch.repeat_interleave)),
    "flip": _rule(moves.moved(lambda value, *axes: value.flip(*axes))),
    "roll": _rule(moves.moved(torch.roll)),
    "narrow": _rule(moves.moved(torch.narrow)),
    "select": _rule(moves.moved(torch.select)),
    "movedim": _rule(moves.moved(torch.movedim)),
    "contiguous": _rule(moves.unchanged),
    "clone": _rule(moves.unchanged),
    "detach": _rule(moves.unchanged),
    "dropout": _rule(moves.unchanged),
    "dropout2d": _rule(moves.unchanged),
    "pad": _rule(moves.extended),
    "where": _rule(lambda c, mask, a, b: operators.where(c, mask, value_of(c, a), value_of(c, b))),
    "masked_fill": _rule(moves.masked),
    "to": _rule(moves.converted),
    "float": _rule(lambda c, x: moves.cast(c, x, torch.float32)),
    "double": _rule(lambda c, x: moves.cast(c, x, torch.float64)),
    "gt": _rule(lambda c, a, b: operators.compared(c, a, value_of(c, b), torch.gt)),
    "lt": _rule(lambda c, a, b: operators.compared(c, a, value_of(c, b), torch.lt)),
    "ge": _rule(lambda c, a, b: operators.compared(c, a, value_of(c, b), torch.ge)),
    "le": _rule(lambda c, a, b: operators.compared(c, a, value_of(c, b), torch.le)),
    "sigmoid": _opaque("Sigmoid", sums.curve("Sigmoid")),
    "logsigmoid": _opaque("LogSigmoid", sums.curve("LogSigmoid")),
    "tanh": _opaque("Tanh", sums.curve("Tanh")),
    "silu": _opaque("SiLU", sums.curve("SiLU")),
    "mish": _opaque("Mish", sums.curve("Mish")),
    "gelu": _opaque("GELU", sums.curve("GELU", approximate="none")),
    "elu": _opaque("ELU", sums.curve("ELU", "alpha", alpha=1.0)),
    "softplus": _opaque("Softplus", sums.curve("Softplus", "beta", "threshold", beta=1.0, threshold=20.0)),
    "exp": _opaque("exp", sums.curve("Exp")),
    "log": _opaque("log", sums.curve("Log")),
    "sqrt": _opaque("sqrt", sums.curve("Sqrt")),
    "erf": _opaque("erf", sums.curve("Erf")),
    "sin": _opaque("sin", sums.curve("Sin")),
    "cos": _opaque("cos", sums.curve("Cos")),
    "pow": _opaque("pow", lambda c, x, exponent: operators.powered(c, x, float(exponent))),
    "softmax": _opaque("softmax", sums.softmax),
    "log_softmax": _opaque("log_softmax", sums.log_softmax),
    "layer_norm": _opaque("LayerNorm", sums.layer_norm),
    "group_norm": _opaque("GroupNorm", sums.group_norm),
}
"""Functions and methods, by their names without underscores at the ends."""


# --- modules ----------------------------------------------------------------------------------------------------------


def _normalising(kind: str) -> Rule:
    def apply(arithmetic: Arithmetic, x: Traced, held: Mapping[str, Traced], settings: Mapping[str, Any]) -> Traced:
        weight, bias, eps = held.get("weight"), held.get("bias"), float(settings["eps"])
        if kind == "LayerNorm":
            return sums.layer_norm(arithmetic, x, settings["normalized_shape"], weight, bias, eps)
        if kind == "GroupNorm":
            return sums.group_norm(arithmetic, x, settings["num_groups"], weight, bias, eps)
        if settings.get("track_running_stats"):
            raise OutsideFragment("InstanceNorm with running statistics is not evaluated here")
        return sums.group_norm(arithmetic, x, x.value.shape[1], weight, bias, eps)

    return apply


def _with_settings(rule: Rule, *names: str) -> Rule:
    def apply(arithmetic: Arithmetic, x: Traced, held: Mapping[str, Traced], settings: Mapping[str, Any]) -> Any:
        return rule(arithmetic, x, **{name: _plain(settings[name]) for name in names if name in settings})

    return apply


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _linear_module(arithmetic: Arithmetic, x: Traced, held: Mapping[str, Traced], settings: Mapping[str, Any]) -> Traced:
    return sums.linear(arithmetic, x, held["weight"], held.get("bias"))


def _embedding(arithmetic: Arithmetic, x: Traced, held: Mapping[str, Traced], settings: Mapping[str, Any]) -> Traced:
    if settings.get("max_norm") is not None or x.is_real:
        raise OutsideFragment("an Embedding with max_norm, or of floats, is not evaluated here")
    return operators.gathered(arithmetic, held["weight"], 0, x.value)


_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVERAGE = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
MODULES: dict[str, TorchRule] = {
    **{f"MaxPool{axes}d": _rule(_with_settings(sums.max_pool(axes), *_POOL)) for axes in (1, 2, 3)},
    **{f"AvgPool{axes}d": _rule(_with_settings(sums.average_pool(axes), *_AVERAGE)) for axes in (1, 2, 3)},
    **{f"AdaptiveAvgPool{axes}d": _rule(_with_settings(sums.adaptive(axes), "output_size")) for axes in (1, 2, 3)},
    "Flatten": _rule(_with_settings(moves.moved(torch.flatten), "start_dim", "end_dim")),
    "Unflatten": _rule(_with_settings(moves.moved(torch.unflatten), "dim", "sizes")),
    "Linear": _rule(_linear_module),
    "Embedding": _rule(_embedding),
    "Dropout": _rule(_with_settings(moves.unchanged)),
    "Dropout2d": _rule(_with_settings(moves.unchanged)),
    "Identity": _rule(_with_settings(moves.unchanged)),
    "Softmax": _opaque("Softmax", _with_settings(sums.softmax, "dim")),
    "LayerNorm": _opaque("LayerNorm", _normalising("LayerNorm")),
    "GroupNorm": _opaque("GroupNorm", _normalising("GroupNorm")),
    **{f"InstanceNorm{axes}d": _opaque("InstanceNorm", _normalising("InstanceNorm")) for axes in (1, 2, 3)},
}
"""Modules of torch.nn with one input, by their class names; a rule takes the input, the tensors held and the settings."""


def torch_rule(operation: Operation) -> TorchRule | str:
    """The rule of an operation that came from a module, or why there is none."""
    kind = operation.key[0]  # type: ignore[index]
    table = MODULES if kind == "module" else FUNCTIONS
    found = table.get(operation.op)
    return f"{operation.op} is not evaluated here" if found is None else found


def apply_torch(arithmetic: Arithmetic, rule: TorchRule, operation: Operation, inputs: Sequence[Any]) -> Any:
    """What an operation computes: a traced value, a list of them, or a Python number or tuple."""
    key: Any = operation.key
    kind, rest = key[0], key[1:]
    try:
        if kind == "module":
            _, settings, args, _ = rest
            count = len(args) - 1
            names = [item for item in settings if isinstance(item, str)]
            held = dict(zip(names, inputs[count:], strict=True))
            if count != 1:
                raise OutsideFragment(f"{operation.op} of {count} inputs is not evaluated here")
            return rule.apply(arithmetic, inputs[0], held, operation.attributes)
        where, _, args, kwargs = rest
        if str(where).endswith(" list"):
            raise OutsideFragment("an index that is a list of samples is not evaluated here")
        values = iter(inputs)
        given, named = thawed(args, values), thawed(kwargs, values)
        if not any(isinstance(item, Traced) for item in _flat(inputs)) and operation.op in PYTHON:
            return PYTHON[operation.op](*given)
        return rule.apply(arithmetic, *given, **named)
    except (TypeError, ValueError, KeyError, LayerError, ZeroDivisionError, IndexError, RuntimeError, AttributeError) as error:
        raise OutsideFragment(f"{operation.op} with these arguments is not evaluated here ({type(error).__name__})") from None


def _flat(values: Any) -> Iterator[Any]:
    for item in values:
        if isinstance(item, (list, tuple)):
            yield from _flat(item)
        else:
            yield item

"""A module of any structure as a graph of operations, for comparison with another.

Owns: `dataflow`.
Must not know: what modules of torch.nn mean as layers (`torch_modules` does), how graphs are compared.

The forward pass is traced with symbols (torch.fx), so it may not branch on values or extents. Modules of torch.nn are
operations; those of other classes are followed into what they call. The meaning is that of evaluation mode.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from symconv.errors import ModelError
from symconv.frontends.torch_modules import from_module, is_own_layer
from symconv.layers import WeightedNetwork
from symconv.prove.graphs.dataflow import Constant, Dataflow, Declared, Operation, Stretch

PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, torch.memory_format, torch.layout)
FRESH = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.BatchNorm1d, nn.BatchNorm2d,
         nn.BatchNorm3d, nn.Linear, nn.GroupNorm, nn.InstanceNorm2d, nn.LayerNorm)  # fmt: skip
"""Modules whose output shares no memory with anything, so that working in place on it is seen by nobody else."""
CASUAL = frozenset({"training", "_is_full_backward_hook", "_non_persistent_buffers_set", "call_super_init"})
RANDOM = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu"})
IN_PLACE = frozenset({"setitem", "iadd", "isub", "imul", "itruediv"})
WITH_FLAG = frozenset({"relu", "leaky_relu", "elu", "hardtanh", "silu"})
"""Functions that take `inplace` as an argument."""
MAKING = frozenset({"add", "mul", "sub", "cat", "matmul", "conv1d", "conv2d", "conv3d", "batch_norm", "linear"})
"""Functions whose result shares no memory with anything."""
DRAWN = frozenset({
    "normal", "log_normal", "uniform", "exponential", "geometric", "cauchy", "bernoulli", "multinomial", "poisson", "binomial",
    "sample", "rsample", "gumbel_softmax", "standard_gamma", "sample_dirichlet", "multi_head_attention_forward",
})  # fmt: skip
DRAWN_STARTS = ("rand", "fractional_max_pool")
UNSET_STARTS = ("empty", "new_empty", "resize")
COMMUTATIVE = frozenset({"add", "mul", "maximum", "minimum"})
GROWTH = {"add": "sum", "sub": "sum"} | dict.fromkeys(("cat", "maximum", "minimum"), "max")
GROWTH |= dict.fromkeys(("flatten", "view", "reshape", "permute", "transpose"), "first")
KEYWORDS = (operator.and_, operator.or_, operator.not_, operator.is_)
"""Functions whose names end as those that work in place do, since Python has a keyword of that name."""
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.Flatten, nn.AdaptiveAvgPool2d)


class Tracer(fx.Tracer):
    """Traces modules; layers of symconv's own are kept whole, as those of torch.nn are."""

    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        """Whether a module is one operation."""
        return is_own_layer(module) or bool(super().is_leaf_module(module, path))


def dataflow(module: nn.Module, source: str) -> Dataflow:
    """The graph of a module in evaluation mode; the module itself is left as it was.

    Raises:
        ModelError: it cannot be traced, or does something whose meaning depends on more than values.
    """
    if _hooked(module) or type(module).__call__ is not nn.Module.__call__:
        raise ModelError(
            f"`{source}` is changed by hooks or by what it does when it is called. Export both models to ONNX and compare the files."
        )
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    before = [(part, dict(vars(part))) for part in module.modules()]
    try:
        traced = Tracer().trace(module)
        _check_state(source, before)
        return _Builder(module, traced, source).graph()
    except ModelError:
        raise
    except Exception as error:
        cause = str(error).split("\n")[0][:160]
        raise ModelError(
            f"`{source}` cannot be traced as a graph: {type(error).__name__}: {cause}. Export both models to ONNX and compare the files."
        ) from None
    finally:
        for part, held in before:  # what the forward pass stores, and the tensors that tracing does
            vars(part).clear()
            vars(part).update(held)
        for part in training:
            part.training = True


def _check_state(source: str, before: Sequence[tuple[nn.Module, dict[str, Any]]]) -> None:
    """Refuses modules whose forward pass changes them: then equal inputs need not give equal outputs.

    Raises:
        ModelError: an attribute is not what it was; a part was switched to training mode, for example.
    """
    for part, held in before:
        now = vars(part)
        other = [name for name in held if now.get(name, held) is not held[name]]
        other += [name for name in now if name not in held and not name.startswith("_tensor_constant")]
        if other:
            raise ModelError(
                f"`{source}` sets `{other[0]}` of {type(part).__name__} while it runs, so its outputs depend on more than its inputs."
            )


class _Builder:
    """One traced module on its way."""

    def __init__(self, module: nn.Module, traced: fx.Graph, source: str) -> None:
        self.module, self.traced, self.source = module, traced, source
        self.constants: dict[str, Constant] = {}
        self.outputs: tuple[str, ...] = ()
        self.returned: Hashable = None
        self.inputs: dict[str, Declared] = {}

    def graph(self) -> Dataflow:
        operations = []
        for node in self.traced.nodes:
            if node.op == "placeholder":
                if not node.users and node.args:
                    continue  # an argument with a default that is not used
                self.inputs[node.name] = Declared("tensor", None)
            elif node.op == "output":
                self.outputs, self.returned = tuple(item.name for item in _nodes(node.args[0])), _returned(node.args[0])
            elif node.op == "get_attr":
                self.constants[node.name] = _held(_attribute(self.module, str(node.target)))
            else:
                operations.append(self._operation(node))
        if not self.outputs:
            raise ModelError(f"`{self.source}` returns no tensor.")
        self.inputs = {name: self._declared(name, operations) for name in self.inputs}
        note = "modules are compared in evaluation mode, in which they are traced with symbols"
        return Dataflow(self.source, tuple(operations), self.inputs, self.outputs, self.constants, (note,), self.returned)

    def _declared(self, name: str, operations: list[Operation]) -> Declared:
        """What the first layer that takes an input says of it."""
        for operation in operations:
            stretch = operation.stretch
            if stretch is not None and stretch.source == name and stretch.channels and stretch.axes:
                return Declared("tensor", (None, stretch.channels, *(None,) * stretch.axes))
        return Declared("tensor", None)

    def _operation(self, node: fx.Node) -> Operation:
        self._check_in_place(node)
        if node.op == "call_module":
            return self._module(node, self.module.get_submodule(str(node.target)))
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        where = "" if isinstance(node.target, str) else getattr(node.target, "__module__", "") or ""
        if name == "getitem" and len(node.args) > 1 and isinstance(node.args[1], list):
            where += " list"  # x[[0, 1]] takes two samples, x[0, 1] one; a key has both as sequences
        inputs = tuple(item.name for item in _nodes((node.args, node.kwargs)))
        key = (node.op, where, name, _frozen(node.args), _frozen(node.kwargs))
        short = name.strip("_").removeprefix("i") if name in ("iadd", "imul", "isub") else name.strip("_")
        commutative = short in COMMUTATIVE and len(node.args) == 2 and not node.kwargs and len(inputs) == 2
        attributes = {f"argument {k}": arg for k, arg in enumerate(node.args) if isinstance(arg, PLAIN)}
        attributes |= {k: arg for k, arg in node.kwargs.items() if isinstance(arg, PLAIN)}
        return Operation(
            node.name, short, key, inputs, (node.name,), commutative, _draws(node, name), None, attributes, GROWTH.get(short, "")
        )

    def _module(self, node: fx.Node, module: nn.Module) -> Operation:
        inputs = tuple(item.name for item in _nodes((node.args, node.kwargs)))
        label = str(node.target)
        if len(inputs) == 1 and not node.kwargs:
            try:
                network = from_module(module, label)
            except ModelError:
                pass
            else:
                return self._layers(label, type(module).__name__, inputs[0], node.name, network)
        if not all(type(part).__module__.startswith("torch.nn.modules.") and not _hooked(part) for part in module.modules()):
            raise ModelError(
                f"`{label}` ({type(module).__name__}) has hooks, parametrizations or parts that are not of torch.nn, "
                "so its class does not say what it does. Export both models to ONNX and compare the files."
            )
        held: list[str] = []
        settings: list[Hashable] = [(name, type(part).__name__, _frozen(_settings(part))) for name, part in module.named_modules()]
        for name, tensor in sorted((*module.named_parameters(), *module.named_buffers())):
            self.constants[f"{label}.{name}"] = _held(tensor)
            held.append(f"{label}.{name}")
            settings.append(name)
        key = ("module", type(module).__name__, tuple(settings), _frozen(node.args), _frozen(node.kwargs))
        growth = "first" if isinstance(module, POOLS) else ""
        impure = (
            f"`{type(module).__name__}` draws random numbers"
            if isinstance(module, (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d))
            else ""
        )
        return Operation(label, type(module).__name__, key, (*inputs, *held), (node.name,), False, impure, None, _settings(module), growth)

    def _layers(self, label: str, op: str, source: str, result: str, network: WeightedNetwork) -> Operation:
        layers = network.members
        digests = tuple(
            None if own is None else tuple(_digest(getattr(own, name)) for name in ("kernel", "bias", "mean", "variance"))
            for own in network.weights
        )
        channels = next((layer.channels[0] for layer in layers[:1] if layer.channels is not None), None)
        axes = next((layer.axes for layer in layers if layer.axes is not None), None)
        held = [digest for digest in digests if digest is not None]
        key = (layers, held[0] if held else (None,) * 4, "", None) if len(held) < 2 else (layers, digests)
        stretch = Stretch(layers, axes, source, result, key, lambda: network.weights, channels)
        return Operation(label, op, ("layers", stretch.key), (source,), (result,), stretch=stretch)

    def _check_in_place(self, node: fx.Node) -> None:
        """Refuses writing into a value that something else may still read: a graph of values would not show it."""
        if not self._writes(node):
            return
        target = next(iter(_nodes(node.args)), None)
        if target is None:
            return
        made = self.module.get_submodule(str(target.target)) if target.op == "call_module" else None
        name = getattr(target.target, "__name__", "") if target.op == "call_function" else ""
        is_fresh = isinstance(made, FRESH) or name in MAKING
        if not is_fresh or len(target.users) > 1:
            raise ModelError(
                f"`{self.source}`: `{node.name}` works in place on `{target.name}`, which may be read elsewhere. "
                "Use the form that is not in place, or export both models to ONNX."
            )

    def _writes(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return bool(getattr(self.module.get_submodule(str(node.target)), "inplace", False))
        if node.kwargs.get("inplace") or "out" in node.kwargs:
            return True
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if node.op == "call_function" and any(item is True for item in node.args) and name in WITH_FLAG:
            return True
        return name in IN_PLACE or (name.endswith("_") and not name.endswith("__") and node.target not in KEYWORDS)


def _nodes(value: Any) -> Iterator[fx.Node]:
    """The values in nested arguments, in order."""
    if isinstance(value, fx.Node):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _nodes(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _nodes(item)
    elif isinstance(value, slice):
        yield from _nodes((value.start, value.stop, value.step))


def _returned(value: Any) -> Hashable:
    """How outputs are nested, and what is returned besides tensors."""
    if isinstance(value, dict):
        return ("dict", *((str(key), _returned(item)) for key, item in value.items()))
    if isinstance(value, (tuple, list)):
        return ("list", *map(_returned, value))
    return _frozen(value)


def _frozen(value: Any) -> Hashable:
    """Arguments as a key: values by their place, everything else by what it is.

    Raises:
        ModelError: an argument is an object whose meaning is not known.
    """
    if isinstance(value, fx.Node):
        return ("value",)
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, PLAIN):
        return (type(value).__name__, str(value))
    if isinstance(value, dict):
        return ("dict", *((str(key), _frozen(value[key])) for key in sorted(value, key=str)))
    if isinstance(value, (tuple, list, torch.Size)):
        return ("list", *map(_frozen, value))
    if isinstance(value, slice):
        return ("slice", _frozen(value.start), _frozen(value.stop), _frozen(value.step))
    if value is Ellipsis:
        return ("...",)
    raise ModelError(f"an argument of type {type(value).__name__} is not understood. Export both models to ONNX and compare the files.")


def _draws(node: fx.Node, name: str) -> str:
    plain = name.strip("_")
    says = f"`{plain}` draws random numbers"
    if plain in RANDOM:
        is_training = node.kwargs.get("training", node.args[2] if len(node.args) > 2 else plain != "rrelu")
        return "" if is_training is False else says
    if plain == "scaled_dot_product_attention":
        chance = node.kwargs.get("dropout_p", node.args[4] if len(node.args) > 4 else 0.0)
        return says if isinstance(chance, fx.Node) or chance else ""
    if plain in DRAWN or plain.startswith(DRAWN_STARTS) or "dropout" in plain:
        return says
    return f"`{plain}` has values that nothing sets" if plain.startswith(UNSET_STARTS) else ""


def _settings(module: nn.Module) -> dict[str, Any]:
    """What a module was made with, as far as it keeps it: its public attributes that are neither tensors nor modules."""
    return {name: value for name, value in vars(module).items() if not name.startswith("_") and name not in CASUAL}


def _hooked(module: nn.Module) -> bool:
    own = any(callable(value) and hasattr(type(module), name) for name, value in vars(module).items())  # a method of this one object
    return own or bool(module._forward_hooks or module._forward_pre_hooks)


def _attribute(module: nn.Module, path: str) -> Any:
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name)
    if not isinstance(found, torch.Tensor):
        raise ModelError(f"`{path}` is used as a value, but is no tensor.")
    return found


def _held(tensor: torch.Tensor) -> Constant:
    if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized:
        raise ModelError("a parameter or buffer is on the meta device, sparse or quantized. Load or convert it first.")
    whole = tensor.detach().cpu().resolve_neg().resolve_conj().contiguous()
    raw = whole.reshape(-1).view(torch.uint8) if whole.numel() else whole
    digest = hashlib.sha256(memoryview(raw.numpy())).hexdigest()
    shape = tuple(tensor.shape)
    return Constant(shape, f"{tensor.dtype} {shape} {digest}", lambda: _array(whole))


def _array(tensor: torch.Tensor) -> Any:
    return tensor.to(torch.float64).numpy() if tensor.is_floating_point() else tensor.numpy()


def _digest(array: Any) -> str | None:
    """As the ONNX front end has it: of float32 where that holds the values."""
    if array is None:
        return None
    with np.errstate(over="ignore"):
        small = array.astype("<f4")
    kind, held = ("FLOAT", small) if np.array_equal(small, array) else ("DOUBLE", array)
    return f"{kind} {array.shape} {hashlib.sha256(np.ascontiguousarray(held).tobytes()).hexdigest()}"

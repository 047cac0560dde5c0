"""A module that can be opened and run: traced, cut by edits of its graph, run by PyTorch under a setting.

Owns: `ModuleSubject`.
Must not know: where a model is cut and why, what is compared.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, fx, nn

from symconv.conformance.graphs.crossval_integers import Whole
from symconv.conformance.torch_runs import TorchSetting, Unsupported, refused, require_working
from symconv.conformance.torch_switches import configured
from symconv.errors import ModelError
from symconv.frontends.torch_graphs import Tracer, dataflow
from symconv.frontends.torch_modules import is_own_layer
from symconv.prove.graphs.dataflow import Dataflow, Value

Arrays = Mapping[str, Any]
NOT_IN_PLACE: dict[Any, Any] = {
    operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul, operator.itruediv: operator.truediv,
}  # fmt: skip
AFFINE = frozenset({"add", "mul", "sub", "iadd", "imul", "isub", "matmul", "linear"})
"""Functions of which a stored tensor may become another one without a change of meaning."""


@attrs.frozen(eq=False)
class ModuleSubject:
    """A module, copied.

    Args:
        module: the copy, in evaluation mode.
        traced: its operations, by torch.fx.
        graph: the same for the engine; values have the names of the nodes.
        formats: the number formats that it can be run in.
    """

    module: nn.Module
    traced: fx.Graph
    graph: Dataflow
    formats: tuple[str, ...] = ("float64", "float32", "bfloat16", "float16")
    backends = ("torch",)

    @classmethod
    def make(cls, module: nn.Module, source: str) -> ModuleSubject:
        """The copy of a module.

        Raises:
            ModelError: it cannot be traced, or its weights are no numbers.
        """
        held = copy.deepcopy(module).eval()
        for name, tensor in (*held.named_parameters(), *held.named_buffers()):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise ModelError(f"`{source}`: the tensor `{name}` must be finite; found NaN or infinity. Nothing can be compared with it.")
        return cls._traced(held, source)

    @classmethod
    def _traced(cls, held: nn.Module, source: str) -> ModuleSubject:
        for part in held.modules():
            if getattr(part, "inplace", None) is True:  # what is computed stays to be compared
                part.inplace = False
        graph = dataflow(held, source)
        return cls(held, Tracer().trace(held), graph)

    @property
    def bytes(self) -> int:
        """Size of the weights."""
        return sum(tensor.nbytes for tensor in (*self.module.parameters(), *self.module.buffers()))

    def whole(self, to: Whole, folder: Path) -> ModuleSubject:
        """The same with small integers for weights."""
        held = copy.deepcopy(self.module)
        _made_whole(held, self.traced, to)
        return self._traced(held, self.graph.source)

    def natural(self, inputs: Arrays, wanted: Sequence[Value]) -> dict[Value, Any]:
        """What the module computes at some of its values, in float64 on the CPU.

        Raises:
            Unsupported: PyTorch refuses the inputs.
        """
        if not wanted:
            return {}
        found = self.opened({}, wanted, {})(TorchSetting("cpu", "float64", algorithm="no-onednn"), "torch", inputs)
        return dict(zip(wanted, found, strict=True))

    def opened(self, fed: Mapping[Value, str], outputs: Sequence[Value], samples: Arrays) -> ModuleRun:
        """The module cut as `opened.opened` says, ready to run."""
        graph, takes = _cut(self.traced, fed, outputs)
        return ModuleRun(self.module, graph, takes)


@attrs.define(eq=False)
class ModuleRun:
    """An opened module; the last setting that it was made ready for is kept."""

    root: nn.Module
    graph: fx.Graph
    takes: tuple[str, ...]
    _ready: tuple[TorchSetting, Callable[..., Any]] | None = None

    def __call__(self, setting: TorchSetting, backend: str, inputs: Arrays) -> list[Any]:
        """The outputs for inputs by name; inputs that nothing reads are left out.

        Raises:
            Unsupported: PyTorch refuses, or memory runs out.
        """
        try:
            with configured(setting), torch.no_grad():
                call = self._call(setting)
                found = call(*(_tensor(inputs[name], setting) for name in self.takes))
                return [_array(item) for item in found]
        except Unsupported:
            raise
        except Exception as error:  # PyTorch raises what it likes
            require_working(setting.device)
            raise refused(error) from error

    def forget(self) -> None:
        """Drops the copy that was made ready."""
        self._ready = None

    def _call(self, setting: TorchSetting) -> Callable[..., Any]:
        if self._ready is None or self._ready[0] != setting:
            self._ready = None
            self._ready = setting, self._made(setting)
        return self._ready[1]

    def _made(self, setting: TorchSetting) -> Callable[..., Any]:
        if setting.dtype == "tf32" and setting.device != "cuda":
            raise Unsupported(f"tf32 is a mode of CUDA devices, not of {setting.device}")
        if setting.device == "mps" and setting.dtype == "float64":
            raise Unsupported("mps has no float64")
        made: nn.Module = copy.deepcopy(fx.GraphModule(self.root, self.graph)).to(device=setting.device, dtype=setting.torch_dtype)
        if setting.memory_format == "channels_last":
            for part in made.modules():
                for tensor in part.parameters(recurse=False):
                    if tensor.ndim in LAST:
                        tensor.data = tensor.data.contiguous(memory_format=LAST[tensor.ndim])
        if setting.mode == "eager":
            return made
        torch._dynamo.reset()
        compiled: Callable[..., Any] = torch.compile(made, backend=setting.compiler, fullgraph=True, dynamic=False)
        return compiled


LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def _tensor(values: Any, setting: TorchSetting) -> Any:
    if isinstance(values, (int, float, bool, tuple)):
        return values
    array = np.ascontiguousarray(values)
    made = torch.from_numpy(array)
    if array.dtype.kind != "f":
        return made.to(setting.device)
    made = made.to(device=setting.device, dtype=setting.torch_dtype)
    if setting.memory_format == "channels_last" and made.ndim in LAST:
        made = made.to(memory_format=LAST[made.ndim])
    return made


def _array(found: Any) -> Any:
    """Floats as float64; what is no tensor as it is."""
    if not isinstance(found, Tensor):
        return found
    held = found.detach().cpu()
    return held.to(torch.float64).contiguous().numpy() if held.is_floating_point() else held.contiguous().numpy()


def _cut(traced: fx.Graph, fed: Mapping[Value, str], outputs: Sequence[Value]) -> tuple[fx.Graph, tuple[str, ...]]:
    """The graph cut down to what the outputs need, and the names of its inputs in order."""
    nodes = {node.name: node for node in traced.nodes}
    needed: set[str] = set()
    used: dict[str, None] = {}
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        for source in nodes[name].all_input_nodes:
            if source.name in fed:
                used[fed[source.name]] = None
            else:
                waiting.append(source.name)
    made = fx.Graph()
    places: dict[str, fx.Node] = {}
    takes: list[str] = []
    for node in traced.nodes:
        if node.op == "placeholder" and node.name in needed:
            takes.append(node.name)
            places[node.name] = made.placeholder(node.name)
    new = {name: made.placeholder(name) for name in sorted(used, key=list(dict.fromkeys(fed.values())).index)}
    for node in traced.nodes:
        if node.op in ("placeholder", "output") or node.name not in needed:
            continue
        places[node.name] = made.node_copy(node, lambda source: new[fed[source.name]] if source.name in fed else places[source.name])
        _out_of_place(places[node.name])
    made.output(tuple(places[name] for name in outputs))
    return made, (*takes, *new)


def _out_of_place(node: fx.Node) -> None:
    """Functions that write into their argument in the form that does not: what is computed stays to be compared."""
    if node.op == "call_function" and node.target in NOT_IN_PLACE:
        node.target = NOT_IN_PLACE[node.target]
    if node.kwargs.get("inplace") is True:
        node.kwargs = {**node.kwargs, "inplace": False}
    if node.op == "call_method" and str(node.target).endswith("_") and not str(node.target).endswith("__"):
        node.target = str(node.target).removesuffix("_")


def _made_whole(module: nn.Module, traced: fx.Graph, to: Whole) -> None:
    for part in module.modules():
        _without_norms(part)
    done: set[int] = set()

    def replace(tensors: Iterable[Any]) -> None:
        for tensor in tensors:
            if tensor is not None and tensor.is_floating_point() and id(tensor) not in done:  # some are shared
                done.add(id(tensor))
                tensor.data.copy_(torch.from_numpy(to(tensor.detach().cpu().to(torch.float64).numpy())))

    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_var is not None:
            part.running_var.fill_(1)
            part.eps = 0.0
            replace((part.running_mean, part.weight, part.bias))
        elif isinstance(part, nn.LeakyReLU):
            part.negative_slope = float(to(np.array([part.negative_slope]))[0])
        elif isinstance(part, (nn.modules.conv._ConvNd, nn.Linear, nn.PReLU)) or is_own_layer(part):
            replace(part.parameters(recurse=False))
    for node in traced.nodes:
        if node.op == "get_attr" and all(_is_affine(user) for user in node.users):
            found: Any = module
            for name in str(node.target).split("."):
                found = getattr(found, name)
            replace((found,))


def _is_affine(node: fx.Node) -> bool:
    return node.op == "call_function" and getattr(node.target, "__name__", "") in AFFINE


def _without_norms(part: nn.Module) -> None:
    """Weights that are computed from others, in their place."""
    for name in list(getattr(part, "parametrizations", {})):
        nn.utils.parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    for hook in list(part._forward_pre_hooks.values()):
        if type(hook).__name__ == "WeightNorm":
            nn.utils.remove_weight_norm(part, hook.name)

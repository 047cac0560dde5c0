"""Why a layer cannot be replaced as it stands, though its form might exist.

Owns: `refuse`: hooks, parametrizations, shared or unusual parameters, state that would be lost.
Must not know: forms.

What the layer computes is judged by the front end; what is refused here would be lost or changed by the replacement.
"""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm

from symconv.convert.torch_modules.sites import CONVERTED_KINDS, Census, Run, kind_name
from symconv.convert.torch_modules.tying import old_norm
from symconv.errors import ModelError
from symconv.frontends.torch_modules import layer_of
from symconv.layers import Layer

PARAMETERS = ("weight", "bias")

HOOKS = {
    "_backward_hooks": "backward hook",
    "_backward_pre_hooks": "backward hook",
    "_state_dict_hooks": "state_dict hook",
    "_state_dict_pre_hooks": "state_dict hook",
    "_load_state_dict_pre_hooks": "load_state_dict hook",
    "_load_state_dict_post_hooks": "load_state_dict hook",
}
NORMS = (torch.nn.utils.weight_norm, torch.nn.utils.spectral_norm)


def describe(run: Run, census: Census) -> tuple[Layer, ...]:
    """The layers of a run.

    Raises:
        ModelError: one of them computes something that its class does not say, or is no layer of torch.nn.
    """
    core = run.core
    if not isinstance(core, nn.Module) or isinstance(core, torch.jit.ScriptModule):
        _fail(core, census, "is compiled by TorchScript. Convert the module before it is compiled.")
    if kind_name(core) in CONVERTED_KINDS and type(core).__module__.startswith("torch.ao."):
        _fail(core, census, "is quantized; its weights are integers with scales. Convert the module before quantization.")
    return tuple(layer_of(member, census.name(member) or "module") for member in run.members)


def refuse(run: Run, census: Census, *, tie: bool, fold: bool) -> None:
    """Raises ModelError if the run's parameters or state would be lost, untied or changed by a replacement."""
    core = run.core
    if not run.alone and len(census.places[id(core)]) > 1:
        names = census.names[id(core)]
        _fail(
            core, census, f"stands at {len(names)} places (also `{names[1]}`), so it cannot be merged with its neighbours at one of them."
        )
    for member in run.members:
        _refuse_hooks(member, census)
    _refuse_state(core, census)
    for name in PARAMETERS:
        _refuse_norms(core, name, census, tie=tie, fold=fold)
    for name, parameter in core.named_parameters():
        _refuse_parameter(core, name, parameter, census, tie=tie)


def _refuse_hooks(module: nn.Module, census: Census) -> None:
    for table, kind in HOOKS.items():
        hooks = [hook for hook in getattr(module, table, {}).values() if not _of_norm(hook)]
        if hooks:
            _fail(module, census, f"has a {kind} `{_name(hooks[0])}`, which a replacement would lose. Remove the hook.")


def _of_norm(hook: Any) -> bool:
    """Whether a state hook belongs to torch's own weight or spectral norm."""
    return str(getattr(hook, "__module__", type(hook).__module__)).startswith("torch.nn.utils.") or type(hook).__module__.startswith(
        "torch.nn.utils."
    )


def _refuse_state(core: nn.Module, census: Census) -> None:
    own: Any = core
    known = {*PARAMETERS, *(f"{name}_{part}" for name in PARAMETERS for part in ("g", "v", "orig", "u"))}
    extra = [name for name in (*own._parameters, *own._buffers) if name not in known]
    extra += [name for name in own._modules if name != "parametrizations"]
    if extra:
        _fail(core, census, f"holds `{extra[0]}` besides its kernel and bias, which a replacement would lose.")


def _refuse_norms(core: nn.Module, name: str, census: Census, *, tie: bool, fold: bool) -> None:
    spectral = [hook for hook in core._forward_pre_hooks.values() if isinstance(hook, SpectralNorm) and hook.name == name]
    if spectral and not fold:
        _fail(
            core, census, "has torch.nn.utils.spectral_norm's hook. Use torch.nn.utils.parametrizations.spectral_norm with tie=True, or "
            "fold=True to keep the weight that it makes."
        )  # fmt: skip
    if tie or fold:
        return
    if old_norm(core, name) is not None:
        kind = "weight_norm"
    elif parametrize.is_parametrized(core, name):
        owner: Any = core
        kind = ", ".join(_kind(part) for part in owner.parametrizations[name])
    else:
        return
    _fail(
        core, census, f"computes its `{name}` by a parametrization ({kind}). Give tie=True to keep it (the converted {name} is computed "
        f"from it), or fold=True to keep only the {name} that it makes."
    )  # fmt: skip


def _kind(part: nn.Module) -> str:
    return type(part).__name__.lstrip("_")


def _refuse_parameter(core: nn.Module, name: str, parameter: nn.Parameter, census: Census, *, tie: bool) -> None:
    label = f"its `{name}`"
    if type(parameter) is not nn.Parameter:
        _fail(core, census, f"cannot be replaced: {label} is a {type(parameter).__name__}, not an ordinary parameter.")
    if parameter.layout is not torch.strided or parameter.is_quantized or not (parameter.is_floating_point() or parameter.is_complex()):
        _fail(core, census, f"cannot be replaced: {label} must be dense floating point; found {parameter.dtype}, {parameter.layout}.")
    if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None):
        _fail(core, census, f"cannot be replaced: {label} has a gradient hook, which would be lost. Remove the hook.")
    owners = census.owners.get(id(parameter), [])
    if len(owners) > 1 and not tie:
        _fail(
            core, census, f"shares {label} with `{_other(owners, census.name(core))}`, and a replacement would untie them. "
            "Give tie=True, which keeps the given parameters."
        )  # fmt: skip


def _other(owners: list[str], own: str) -> str:
    return next((owner for owner in owners if owner.rpartition(".")[0] != own), owners[-1])


def require_values(core: nn.Module, name: str, tensor: Any, shape: tuple[int, ...], census: Census) -> Tensor:
    """The tensor, if it is what the layer's attributes say."""
    if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape:
        found = tuple(tensor.shape) if isinstance(tensor, Tensor) else type(tensor).__name__
        _fail(core, census, f"says that its `{name}` has shape {shape}; found {found}.")
    return tensor


def _name(hook: Any) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__)


def _fail(module: nn.Module, census: Census, message: str) -> NoReturn:
    raise ModelError(f"`{census.name(module) or 'module'}` ({type(module).__name__}) {message}")

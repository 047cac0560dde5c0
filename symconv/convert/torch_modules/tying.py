"""Parameters of converted layers: moved once, or computed from the given ones at every step.

Owns: `Tied`, `moved`, `tied`.
Must not know: names, files, which layers are replaced.

A tied layer's parameters are a parametrization (torch.nn.utils.parametrize): the given layer's own parameters, with whatever
parametrization they had, followed by the reshuffle. Structural zeros and tied biases cannot be trained apart, and gradients reach the
given parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.weight_norm import WeightNorm

from symconv.convert.torch_modules.moving import Move
from symconv.frontends.torch_modules import effective

Memo = dict[int, Any]


class Tied(nn.Module):
    """The parametrization that moves a given kernel or bias to its place in the converted layer.

    Its positions are no buffers, so that neither `to_empty` nor a change of dtype can touch them; they follow the device.
    """

    def __init__(self, move: Move, device: torch.device) -> None:
        super().__init__()
        self.move = move if device.type == "meta" else move.on(device)

    def forward(self, given: Tensor) -> Tensor:
        """The converted parameter."""
        return self.move.forth(given)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        device = fn(torch.empty(0, device=self.move.source.outer.device)).device
        if device.type != "meta":
            self.move = self.move.on(device)
        return super()._apply(fn, recurse)

    def extra_repr(self) -> str:
        """The shapes."""
        return f"{self.move.source_shape} to {self.move.target_shape}"


def moved(conv: nn.Module, name: str, given: Tensor, move: Move, requires_grad: bool) -> None:
    """Gives a convolution one parameter, moved."""
    with torch.no_grad():
        value = move.carry(given)
        layout = _memory_format(given)
        if layout is not None and value.dim() == given.dim():
            value = value.contiguous(memory_format=layout)
    setattr(conv, name, nn.Parameter(value, requires_grad))


def tied(conv: nn.Module, name: str, given: nn.Module, move: Move, memo: Memo) -> None:
    """Gives a convolution one parameter, computed from the given layer's (copied through `memo`, so that sharing survives)."""
    device = effective(given, name).device  # as in evaluation: read in training, a spectral norm would take a step
    if move.is_identity and not parametrize.is_parametrized(given, name) and old_norm(given, name) is None:
        setattr(conv, name, copy.deepcopy(getattr(given, name), memo))
        return
    last = Tied(move, device)
    parametrize.register_parametrization(conv, name, last, unsafe=True)
    table: Any = conv.parametrizations
    norm = old_norm(given, name)
    if norm is not None:
        table[name] = _from_hook(given, name, norm, memo)
        table[name].append(last)
    elif parametrize.is_parametrized(given, name):
        owner: Any = given
        table[name] = copy.deepcopy(owner.parametrizations[name], memo)
        table[name].append(last)
    else:
        table[name].original = copy.deepcopy(getattr(given, name), memo)
    table[name].unsafe = True


def old_norm(module: nn.Module, name: str) -> WeightNorm | None:
    """The hook of torch.nn.utils.weight_norm on a parameter, or None."""
    return next((hook for hook in module._forward_pre_hooks.values() if isinstance(hook, WeightNorm) and hook.name == name), None)


def _from_hook(given: nn.Module, name: str, norm: WeightNorm, memo: Memo) -> Any:
    """The parametrization that computes what the hook computes, with its two parameters."""
    holder: Any = nn.Module()
    holder.weight = nn.Parameter(torch.ones_like(getattr(given, f"{name}_v").detach()))
    weight_norm(holder, "weight", norm.dim)
    made = holder.parametrizations.weight
    made.original0 = copy.deepcopy(getattr(given, f"{name}_g"), memo)
    made.original1 = copy.deepcopy(getattr(given, f"{name}_v"), memo)
    return made


def _memory_format(tensor: Tensor) -> torch.memory_format | None:
    """channels_last, if the tensor is laid out so and not in the plain way too."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(tensor.dim())
    return layout if layout is not None and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=layout) else None

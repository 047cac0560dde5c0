"""What stands in a module for a layer that was made faster.

Owns: `Fastest`: the given parameters under their names, and what the chosen engine needs, derived from them.
Must not know: how the choice was made.

Inference runs the chosen engine. Wherever a gradient is asked for, and while a model is traced, compiled or exported, the given layers
themselves run: training is unchanged, in the given class, with the given parameters. What the engine derives from the parameters (moved,
packed) is no state: it is made at the first call, and again after the parameters changed, were loaded or moved to another device.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from symconv.convert.fastest.routes import Route
from symconv.convert.torch_modules.replacement import FACE
from symconv.errors import ModelError
from symconv.frontends.torch_modules import register_stand_in

UNBATCHED = (nn.modules.conv._ConvNd, nn.PixelShuffle, nn.PixelUnshuffle, nn.modules.padding._ConstantPadNd, nn.Identity)
"""Modules that take a sample without a batch axis for what it is; `nn.Upsample` takes its channels for the batch."""


class Fastest(nn.Module):
    """A layer, executed along a route.

    Args:
        members: the given layers, in evaluation as in training; one of them has parameters.
        core: the one that has.
        route: how it is executed, or None for the given layers themselves.
        source: the given layers as an expression.
        strict: whether an engine that refuses an input which the given layers accept is an error; otherwise they run, with a warning.
    """

    def __init__(self, members: Sequence[nn.Module], core: nn.Module, route: Route | None, source: str, *, strict: bool = False) -> None:
        super().__init__()
        self._parameters = core._parameters  # the very same table: what happens to one happens to the other
        self._given = tuple(members)  # a tuple, so that they are not submodules and names stay as they were
        self.route, self.source, self.strict = route, source, strict
        self._derived: Any = None
        self.training = core.training
        for name in FACE if len(self._given) == 1 else ():
            if hasattr(core, name):
                setattr(self, name, getattr(core, name))

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """The given layers' output."""
        if self._original(input) or output_size is not None:
            return self._by_given(input, output_size)
        assert self.route is not None, "the given layers run otherwise"
        batched = input if input.dim() == self._rank else input.unsqueeze(0)
        if 0 in batched.shape:
            return self._by_given(input, None)
        try:
            made = self.route.engine.run(batched, self.derived(batched.shape))
        except RuntimeError as error:
            made = self._by_given(batched, None)  # refused here too, with the given layers' own words
            if made.numel():
                self._failed(error, tuple(batched.shape))
        if not made.numel():
            return self._by_given(input, None)  # they may refuse what leaves nothing
        return made if batched is input else made.squeeze(0)

    def _failed(self, error: RuntimeError, shape: tuple[int, ...]) -> None:
        """The engine refuses what the given layers accept."""
        if self.strict:
            raise error
        reason = (str(error).splitlines() or [""])[0]
        warnings.warn(f"{self.source}, input {shape}: the given layers run, for the chosen engine refuses it ({reason})", stacklevel=3)

    @property
    def _rank(self) -> int:
        weight: Any = self._parameters["weight"]
        return int(weight.dim())

    def _original(self, input: Tensor) -> bool:
        """Whether the given layers themselves are to run."""
        if self.route is None or torch.jit.is_tracing() or torch.compiler.is_compiling():
            return True
        weight: Any = self._parameters["weight"]
        if type(input) is not Tensor or input.dtype is not weight.dtype or input.device != weight.device:
            return True
        if input.dim() not in (weight.dim() - 1, weight.dim()):
            return True
        if input.dim() < weight.dim() and not all(isinstance(member, UNBATCHED) for member in self._given):
            return True
        if input.shape[1 if input.dim() == weight.dim() else 0] != self.route_channels or torch.is_autocast_enabled(input.device.type):
            return True
        if not self.route.engine.fits(input.device.type, input.dtype):
            return True
        return torch.is_grad_enabled() and (
            input.requires_grad or any(own is not None and own.requires_grad for own in self._parameters.values())
        )

    @property
    def route_channels(self) -> int:
        """Input channels of the given core."""
        return int(getattr(self, "in_channels", 0) or self._core.in_channels)

    @property
    def _core(self) -> Any:
        return next(member for member in self._given if member._parameters is self._parameters)

    def _by_given(self, input: Tensor, output_size: Any) -> Tensor:
        for member in self._given:
            sized = output_size is not None and member._parameters is self._parameters
            input = member(input, output_size) if sized else member(input)
        return input

    def derived(self, shape: Sequence[int]) -> Any:
        """What the engine needs, made from the parameters as they are now."""
        weight, bias = self._parameters["weight"], self._parameters.get("bias")
        marks = tuple((id(own), own._version, own.data_ptr()) for own in (weight, bias) if own is not None)
        if self._derived is None or self._derived[0] != marks:
            assert self.route is not None and weight is not None, "the given layers run otherwise"
            with torch.no_grad():
                moved = self.route.parameters(weight.detach(), None if bias is None else bias.detach())
                self._derived = (marks, self.route.engine.prepare(*moved, tuple(shape)))
        return self._derived[1]

    def train(self, mode: bool = True) -> Fastest:
        """Sets the mode of the given layers too."""
        for member in self._given:
            member.train(mode)
        super().train(mode)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": None}

    def extra_repr(self) -> str:
        """The given layers, and the route."""
        return f"{self.source}, by {'the given layers' if self.route is None else self.route.name}"


def _given(module: Any) -> nn.Module:
    if len(module._given) != 1:
        raise ModelError("a `Fastest` that stands for several layers cannot be read. Read the model that it was made from.")
    only: nn.Module = module._given[0]
    return only


register_stand_in(Fastest, _given)

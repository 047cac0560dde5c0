"""Engines that execute a convolution or transposed convolution as it stands, by other routines than PyTorch's choice.

Owns: `Direct`, `originals`.
Must not know: proofs, timing, forms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from symconv.convert.fastest.account import Account
from symconv.convert.fastest.arranging import MODES, flat
from symconv.convert.fastest.engines import has_onednn, lift, lift_list
from symconv.layers import Conv, ConvTranspose, Identity, Layer, Pad
from symconv.operators.domain import output_extent
from symconv.prove.stage import words_of


@attrs.frozen
class Direct:
    """[Pad >>] Conv or ConvTranspose [>> Pad or Crop], by one routine.

    Args:
        before, core, after: the chain.
        routine: "plain", "channels last", "packed" or "col2im".
    """

    before: tuple[Pad, ...]
    core: Conv | ConvTranspose
    after: tuple[Pad, ...]
    routine: str

    @property
    def name(self) -> str:
        """For people."""
        kind = "transposed convolution" if self._transposed else "convolution"
        return {
            "plain": kind,
            "channels last": f"{kind}, channels last",
            "packed": f"packed {kind}",
            "col2im": "matmul, col2im",
        }[self.routine]

    @property
    def why(self) -> str:
        """What may make it fast."""
        return {
            "plain": "PyTorch's choice",
            "channels last": "inner loops run over channels",
            "packed": "oneDNN; weights are packed once instead of at every call",
            "col2im": "one product on the input where it lies, then PyTorch's overlap-add; oneDNN is not asked",
        }[self.routine]

    @property
    def _transposed(self) -> bool:
        return isinstance(self.core, ConvTranspose)

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Whether the routine exists for the layer, there."""
        core = self.core
        if self.routine == "plain":
            return True
        alike = all(a == b for a, b in core.padding) and getattr(core, "padding_mode", "zeros") == "zeros"
        if self.routine == "packed":
            three = core.axes == 3 and self._transposed  # its packed weights are for two axes
            return alike and not three and device == "cpu" and dtype is torch.float32 and has_onednn("_convolution_transpose_pointwise")
        if self.routine == "col2im":
            return alike and self._transposed and core.groups == 1 and (device == "cpu" or core.axes == 2)
        return alike and core.axes > 1

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The kernel as the routine wants it."""
        if self.routine == "channels last":
            return weight.contiguous(memory_format=_last(weight)), bias
        if self.routine != "packed":
            return weight.contiguous(), bias
        pads, steps, dilation, more = self._numbers()
        lifted, core = lift(weight, self.core.axes).contiguous(), self.core
        sizes = [*shape[:2], *([1] if core.axes == 1 else []), *self._inner(shape[2:])]
        if self._transposed:
            return torch.ops.mkldnn._reorder_convolution_transpose_weight(lifted, pads, more, steps, dilation, core.groups, sizes), bias
        reorder = torch._C._nn.mkldnn_reorder_conv2d_weight if lifted.dim() == 4 else torch._C._nn.mkldnn_reorder_conv3d_weight
        return reorder(lifted.to_mkldnn(), pads, steps, dilation, core.groups, sizes), bias

    def _inner(self, extents: Sequence[int]) -> list[int]:
        for pad in self.before:
            extents = [n + sum(pair) for n, pair in zip(extents, pad.amounts, strict=True)]  # type: ignore[arg-type]
        return list(extents)

    def _numbers(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """(padding, stride, dilation, output padding) for two axes at least."""
        core = self.core
        more = core.output_padding if isinstance(core, ConvTranspose) else (0,) * core.axes
        return (
            lift_list([a for a, _ in core.padding], core.axes, 0),
            lift_list(core.stride, core.axes, 1),
            lift_list(core.dilation, core.axes, 1),
            lift_list(more, core.axes, 0),
        )

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Pad, convolve, pad."""
        weight, bias = state
        for pad in self.before:
            x = functional.pad(x, flat(pad.amounts), MODES[pad.mode])  # type: ignore[arg-type]
        x = self._core(x, weight, bias)
        for pad in self.after:
            x = functional.pad(x, flat(pad.amounts), MODES[pad.mode])  # type: ignore[arg-type]
        return x.contiguous()

    def _core(self, x: Tensor, weight: Any, bias: Tensor | None) -> Tensor:
        core, (pads, steps, dilation, more) = self.core, self._numbers()
        if self.routine == "packed":
            x = lift(x, core.axes)
            x = x.contiguous(memory_format=_last(x))
            if self._transposed:
                made = torch.ops.mkldnn._convolution_transpose_pointwise(
                    x, weight, bias, pads, more, steps, dilation, core.groups, "none", [], ""
                )
            else:
                made = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, pads, steps, dilation, core.groups, "none", [], "")
            return made.squeeze(2) if core.axes == 1 else made
        if self.routine == "col2im":
            return self._fold(x, weight, bias)
        if self.routine == "channels last":
            x = x.contiguous(memory_format=_last(x))
        return _plain(core, x, weight, bias)

    def _fold(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        axes, (pads, steps, dilation, more) = self.core.axes, self._numbers()
        x, weight = lift(x, axes), lift(weight, axes)
        routine = torch.ops.aten.slow_conv_transpose2d if axes < 3 else torch.ops.aten.slow_conv_transpose3d
        made: Tensor = routine(x, weight, list(weight.shape[2:]), bias, steps, pads, more, dilation)
        return made.squeeze(2) if axes == 1 else made

    def account(self, shape: Sequence[int]) -> Account:
        """Every tap with every sample that it reads or is read to; what the routine stores inside is not seen."""
        core = self.core
        extents = self._inner(shape[2:])
        pairs = core.in_channels * core.out_channels // core.groups
        inner = [output_extent(word, n) for word, n in zip(words_of((core,), core.in_channels, core.axes), extents, strict=True)]
        positions = math.prod(extents if self._transposed else inner)
        weights = pairs * math.prod(core.kernel)
        output = shape[0] * core.out_channels * math.prod(inner)
        again = 2 * output if self.after or self.routine == "channels last" else 0
        return Account(shape[0] * positions * weights, math.prod(shape) + weights + output + again, weights)


def _plain(core: Conv | ConvTranspose, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    axes = core.axes
    alike = all(a == b for a, b in core.padding)
    pads = [a for a, _ in core.padding]
    if isinstance(core, ConvTranspose):
        run = getattr(functional, f"conv_transpose{axes}d")
        made: Tensor = run(x, weight, bias, core.stride, pads if alike else 0, core.output_padding, core.groups, core.dilation)
        return made if alike else functional.pad(made, [-amount for amount in flat(core.padding)])
    if not alike or core.padding_mode != "zeros":
        x, pads = functional.pad(x, flat(core.padding), MODES[core.padding_mode]), [0] * axes
    return getattr(functional, f"conv{axes}d")(x, weight, bias, core.stride, pads, core.dilation, core.groups)


def _last(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.dim() == 4 else torch.channels_last_3d


def originals(layers: Sequence[Layer], *, plain: bool) -> list[Direct]:
    """Every routine for [Pad >>] (Conv or ConvTranspose) [>> Pad]; none for other chains. `plain` also lists PyTorch's choice."""
    rest = [layer for layer in layers if not isinstance(layer, Identity)]
    core = next((place for place, layer in enumerate(rest) if isinstance(layer, (Conv, ConvTranspose))), None)
    if core is None or not all(isinstance(layer, Pad) for layer in rest[:core] + rest[core + 1 :]):
        return []
    routines = (("plain",) if plain else ()) + ("channels last", "packed", "col2im")
    return [Direct(tuple(rest[:core]), rest[core], tuple(rest[core + 1 :]), routine) for routine in routines]  # type: ignore[arg-type]

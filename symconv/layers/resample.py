"""Fixed layers: padding and cropping, interpolation, average pooling, identity.

Owns: their hyper-parameters and PyTorch's rules for them.
Must not know: their weights (those follow in operators).
Source: torch.nn.ZeroPad2d and relatives, Upsample, AvgPool1d/2d/3d, PyTorch 2.13.
"""

from __future__ import annotations

from typing import Any

import attrs

from symconv.errors import LayerError
from symconv.layers.base import (
    Layer,
    Margins,
    PerAxis,
    axes_count,
    bound_factor,
    factor,
    factor_axes,
    flag,
    integer,
    one_of,
    per_axis,
)
from symconv.layers.convolution import PADDING_MODES

UPSAMPLE_MODES = ("nearest", "nearest-exact", "linear", "cubic")
"""PyTorch's bilinear and trilinear are `linear` on 2 and 3 axes; bicubic is `cubic` on 2."""


def _pad_mode(value: Any) -> str:
    return one_of("Pad", "mode", value, PADDING_MODES)


def _upsample_factor(value: Any) -> int | PerAxis:
    return factor("Upsample", "scale_factor", value)


def _upsample_mode(value: Any) -> str:
    return one_of("Upsample", "mode", value, UPSAMPLE_MODES)


def _align_corners(value: Any) -> bool:
    return flag("Upsample", "align_corners", value)


@attrs.frozen
class Identity(Layer):
    """The layer that changes nothing (also Dropout in evaluation mode)."""


@attrs.frozen
class Pad(Layer):
    """Extends (positive amounts) or crops (negative amounts) every axis.

    Args:
        amounts: per axis (before, after), first spatial axis first, in samples; or one int for every side.
        mode: zeros, reflect, replicate or circular.
    """

    amounts: int | Margins
    mode: str = attrs.field(default="zeros", converter=_pad_mode)

    @classmethod
    def from_torch(cls, owner: str, axes: int | None, padding: Any, mode: str = "zeros", sign: int = 1) -> Pad:
        """A Pad from PyTorch's order (last axis first, before then after); `sign=-1` makes it a crop."""
        if isinstance(padding, (tuple, list)):
            flat = [integer(owner, "padding", item) for item in padding]
            if len(flat) % 2 or not flat or (axes is not None and len(flat) != 2 * axes):
                wanted = "2, 4 or 6" if axes is None else str(2 * axes)
                raise LayerError(f"`{owner}.padding` must be one integer or {wanted} integers; found {len(flat)} values.")
            count = axes_count(owner, len(flat) // 2)
            return cls(tuple((sign * flat[2 * a], sign * flat[2 * a + 1]) for a in reversed(range(count))), mode)
        amount = sign * integer(owner, "padding", padding)
        return cls(amount if axes is None else ((amount, amount),) * axes, mode)

    @property
    def axes(self) -> int | None:
        return None if isinstance(self.amounts, int) else len(self.amounts)

    def bind(self, axes: int) -> Pad:
        super().bind(axes)
        return attrs.evolve(self, amounts=((self.amounts, self.amounts),) * axes) if isinstance(self.amounts, int) else self


@attrs.frozen
class Upsample(Layer):
    """Interpolation by an integer factor.

    Args:
        factor: r for all axes, or one per axis.
        mode: nearest, nearest-exact, linear (half-pixel, or align_corners) or cubic (a = -0.75).
        align_corners: PyTorch's; not shift-invariant, so decided at given extents only.
    """

    factor: int | PerAxis = attrs.field(converter=_upsample_factor)
    mode: str = attrs.field(default="nearest", converter=_upsample_mode)
    align_corners: bool = attrs.field(default=False, converter=_align_corners)

    def __attrs_post_init__(self) -> None:
        if self.align_corners and self.mode.startswith("nearest"):
            raise LayerError(f"`Upsample.align_corners` works in the linear and cubic modes only; found mode={self.mode!r}. Leave it out.")
        if self.mode == "cubic" and factor_axes(self.factor) not in (None, 2):
            raise LayerError(f"`Upsample.mode`='bicubic' acts on 2 axes; found {factor_axes(self.factor)}.")

    @property
    def axes(self) -> int | None:
        return 2 if self.mode == "cubic" else factor_axes(self.factor)

    def bind(self, axes: int) -> Upsample:
        super().bind(axes)
        return attrs.evolve(self, factor=bound_factor(self.factor, axes))


@attrs.frozen
class AvgPool(Layer):
    """Average pooling.

    Args:
        kernel, stride: per axis, positive.
        padding: per axis, at most half the kernel.
        ceil_mode: whether a last partial window counts.
        count_include_pad: whether padded zeros count in the divisor.
        divisor_override: divide by this instead, or None (2 and 3 axes only).
    """

    kernel: PerAxis
    stride: PerAxis
    padding: PerAxis
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    @classmethod
    def make(
        cls,
        axes: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> AvgPool:
        """An AvgPool from PyTorch's own arguments, in PyTorch's order, for `axes` axes."""
        owner = f"AvgPool{axes_count('AvgPool', axes)}d"
        kernel = per_axis(owner, "kernel_size", kernel_size, axes, 1)
        steps = kernel if stride is None else per_axis(owner, "stride", stride, axes, 1)
        pads = per_axis(owner, "padding", padding, axes, 0)
        for axis, (taps, pad) in enumerate(zip(kernel, pads, strict=True)):
            if pad > taps // 2:
                raise LayerError(
                    f"`{owner}.padding` must be at most half of kernel_size on every axis; "
                    f"axis {axis} has padding={pad}, kernel_size={taps}. Use at most {taps // 2}."
                )
        if divisor_override is not None:
            if axes == 1:
                raise LayerError("`AvgPool1d` has no argument `divisor_override`; leave it out.")
            integer(owner, "divisor_override", divisor_override)
            if divisor_override == 0:
                raise LayerError(f"`{owner}.divisor_override` must not be 0.")
        return cls(
            kernel, steps, pads, flag(owner, "ceil_mode", ceil_mode), flag(owner, "count_include_pad", count_include_pad), divisor_override
        )

    @property
    def axes(self) -> int:
        return len(self.kernel)

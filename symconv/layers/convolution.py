"""Layers with taps: convolution and transposed convolution.

Owns: their hyper-parameters and PyTorch's rules for them.
Must not know: what they compute.
Source: torch.nn.Conv1d/2d/3d and torch.nn.ConvTranspose1d/2d/3d, PyTorch 2.13.
"""

from __future__ import annotations

import attrs

from symconv.errors import LayerError
from symconv.layers.base import Layer, Margins, PerAxis, axes_count, flag, integer, margins, one_of, per_axis

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@attrs.frozen
class Conv(Layer):
    """Convolution (cross-correlation): y[o] = sum_j w[j] x~[s o + d j - pb] per axis.

    Args:
        in_channels, out_channels: positive, divisible by `groups`.
        kernel: taps per axis.
        stride, dilation: positive, per axis.
        padding: per axis (before, after), at least 0, in input samples.
        groups: channel groups.
        bias: whether a bias per output channel is added.
        padding_mode: how the input is extended: zeros, reflect, replicate or circular.

    The kernel has shape (out_channels, in_channels // groups, *kernel).

    Raises:
        LayerError: PyTorch refuses the combination.
    """

    in_channels: int
    out_channels: int
    kernel: PerAxis
    stride: PerAxis
    padding: Margins
    dilation: PerAxis
    groups: int = 1
    bias: bool = True
    padding_mode: str = "zeros"

    @classmethod
    def make(
        cls,
        axes: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | str | tuple[int, ...] | Margins = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> Conv:
        """A Conv from PyTorch's own arguments, in PyTorch's order, for `axes` axes."""
        owner = f"Conv{axes_count('Conv', axes)}d"
        kernel = per_axis(owner, "kernel_size", kernel_size, axes, 1)
        steps = per_axis(owner, "stride", stride, axes, 1)
        gaps = per_axis(owner, "dilation", dilation, axes, 1)
        if isinstance(padding, str):
            pads = _named_padding(owner, padding, kernel, steps, gaps)
        else:
            pads = margins(owner, "padding", padding, axes, 0)
        _check_channels(owner, in_channels, out_channels, groups)
        return cls(
            in_channels,
            out_channels,
            kernel,
            steps,
            pads,
            gaps,
            groups,
            flag(owner, "bias", bias),
            one_of(owner, "padding_mode", padding_mode, PADDING_MODES),
        )

    @property
    def axes(self) -> int:
        return len(self.kernel)

    @property
    def channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels


@attrs.frozen
class ConvTranspose(Layer):
    """Transposed convolution: y[o] = sum over s i + d j = o + pb of w[j] x[i] per axis.

    Args: as for `Conv`; `padding` removes output samples, `output_padding` appends computed ones at the end.

    The kernel has shape (in_channels, out_channels // groups, *kernel).

    Raises:
        LayerError: PyTorch refuses the combination.
    """

    in_channels: int
    out_channels: int
    kernel: PerAxis
    stride: PerAxis
    padding: Margins
    output_padding: PerAxis
    dilation: PerAxis
    groups: int = 1
    bias: bool = True

    @classmethod
    def make(
        cls,
        axes: int,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | Margins = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
        padding_mode: str = "zeros",
    ) -> ConvTranspose:
        """A ConvTranspose from PyTorch's own arguments, in PyTorch's order, for `axes` axes."""
        owner = f"ConvTranspose{axes_count('ConvTranspose', axes)}d"
        kernel = per_axis(owner, "kernel_size", kernel_size, axes, 1)
        steps = per_axis(owner, "stride", stride, axes, 1)
        gaps = per_axis(owner, "dilation", dilation, axes, 1)
        extra = per_axis(owner, "output_padding", output_padding, axes, 0)
        for axis, (more, step, gap) in enumerate(zip(extra, steps, gaps, strict=True)):
            if more >= max(step, gap):
                raise LayerError(
                    f"`{owner}.output_padding` must be smaller than stride or dilation on every axis; "
                    f"axis {axis} has output_padding={more}, stride={step}, dilation={gap}. Use at most {max(step, gap) - 1}."
                )
        if padding_mode != "zeros":
            raise LayerError(f"`{owner}.padding_mode` must be 'zeros'; found {padding_mode!r}.")
        _check_channels(owner, in_channels, out_channels, groups)
        pads = margins(owner, "padding", padding, axes, 0)
        return cls(in_channels, out_channels, kernel, steps, pads, extra, gaps, groups, flag(owner, "bias", bias))

    @property
    def axes(self) -> int:
        return len(self.kernel)

    @property
    def channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels


def same_padding(kernel: PerAxis, dilation: PerAxis) -> Margins:
    """PyTorch's padding='same': d(k-1) samples per axis, the odd one at the end."""
    totals = [gap * (taps - 1) for taps, gap in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def _named_padding(owner: str, name: str, kernel: PerAxis, stride: PerAxis, dilation: PerAxis) -> Margins:
    one_of(owner, "padding", name, ("same", "valid"))
    if name == "valid":
        return ((0, 0),) * len(kernel)
    if any(step != 1 for step in stride):
        raise LayerError(f"`{owner}.padding`='same' needs stride 1 on every axis; found stride={stride}. Give the padding as integers.")
    return same_padding(kernel, dilation)


def _check_channels(owner: str, in_channels: int, out_channels: int, groups: int) -> None:
    integer(owner, "in_channels", in_channels, 1)
    integer(owner, "out_channels", out_channels, 1)
    integer(owner, "groups", groups, 1)
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise LayerError(f"`{owner}.{name}` must be divisible by groups; found {name}={value}, groups={groups}.")

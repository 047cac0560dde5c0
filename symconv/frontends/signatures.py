"""PyTorch's constructors as symconv reads them: names, arguments, order, defaults, and the layer that each one makes.

Owns: `SIGNATURES`, one entry a constructor name; the rules that belong to a spelling rather than to a layer.
Must not know: expressions and their syntax, torch (a test compares every entry with the class in torch.nn).
Source: torch.nn, PyTorch 2.13; `ZeroInsert`, `Crop`, `DepthToSpace` and `SpaceToDepth` are symconv's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import attrs

from symconv.errors import LayerError
from symconv.layers import (
    NONLINEARITIES,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Pointwise,
    PReLU,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
)
from symconv.layers.base import factor, flag, one_of, per_axis
from symconv.layers.rearrange import ORDERS

REQUIRED: Final = inspect.Parameter.empty
"""The default of an argument that has none."""

INPLACE = (
    "ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid", "Hardtanh", "Threshold",
)  # fmt: skip
"""Nonlinearities whose last argument is `inplace`, which changes no output."""

DROPOUTS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")

PADS = {"ZeroPad": "zeros", "ReflectionPad": "reflect", "ReplicationPad": "replicate", "CircularPad": "circular"}

INTERPOLATIONS: dict[str, tuple[str, int | None]] = {
    "nearest": ("nearest", None),
    "nearest-exact": ("nearest-exact", None),
    "linear": ("linear", 1),
    "bilinear": ("linear", 2),
    "trilinear": ("linear", 3),
    "bicubic": ("cubic", 2),
}
"""`Upsample.mode` in PyTorch to the mode of the layer and the number of axes that it fixes."""

UNDECIDED = (
    "Linear", "Bilinear", "Flatten", "Unflatten", "MaxPool1d", "MaxPool2d", "MaxPool3d", "LPPool1d", "LPPool2d", "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool2d", "LayerNorm", "GroupNorm", "RMSNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "SyncBatchNorm", "Softmax", "LogSoftmax", "Softmin", "Softmax2d", "GLU", "RReLU", "Fold", "Unfold", "Embedding",
    "LSTM", "GRU", "RNN", "MultiheadAttention", "LazyConv1d", "LazyConv2d", "LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d",
    "LazyConvTranspose3d", "LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d",
)  # fmt: skip
"""Names in torch.nn that deserve a plain answer instead of a spelling suggestion."""


@attrs.frozen
class Parameter:
    """One argument of a constructor: its name, its default (`REQUIRED` if none), and whether it must be named."""

    name: str
    default: Any = REQUIRED
    keyword_only: bool = False

    def __str__(self) -> str:
        return self.name if self.default is REQUIRED else f"{self.name}={self.default!r}"


@attrs.frozen
class Signature:
    """A constructor: how its arguments are called, and the layer that they make.

    Args:
        name: PyTorch's class name.
        parameters: in PyTorch's order.
        build: takes every parameter by name; raises LayerError.
        collects: takes any number of positional arguments, as `build(arguments=...)`.
        ignores: takes any arguments whatever and ignores them.
    """

    name: str
    parameters: tuple[Parameter, ...]
    build: Callable[..., Layer]
    collects: bool = False
    ignores: bool = False

    def __str__(self) -> str:
        inner = "..." if self.collects or self.ignores else ", ".join(str(parameter) for parameter in self.parameters)
        return f"{self.name}({inner})"


def upsample(
    size: Any = None, scale_factor: Any = None, mode: Any = "nearest", align_corners: Any = None, recompute_scale_factor: Any = None
) -> Upsample:
    """The layer of torch.nn.Upsample's arguments; a mode such as 'bilinear' fixes the number of axes."""
    own_mode, axes = INTERPOLATIONS[one_of("Upsample", "mode", mode, tuple(INTERPOLATIONS))]
    if recompute_scale_factor is not None:  # for a whole factor both readings give the same scale
        flag("Upsample", "recompute_scale_factor", recompute_scale_factor)
    if align_corners is not None:
        flag("Upsample", "align_corners", align_corners)
        if axes is None:
            raise LayerError(f"`Upsample.align_corners` works with the linear and cubic modes only; found mode={mode!r}. Leave it out.")
    scale = _whole_factor("Upsample", size, scale_factor)
    return Upsample(scale if axes is None else per_axis("Upsample", "scale_factor", scale, axes, 1), own_mode, bool(align_corners))


def _upsampling(mode: str, align_corners: bool, name: str) -> Signature:
    def build(size: Any = None, scale_factor: Any = None) -> Upsample:
        return Upsample(per_axis(name, "scale_factor", _whole_factor(name, size, scale_factor), 2, 1), mode, align_corners)

    return _signature(name, build)


def _whole_factor(owner: str, size: Any, scale: Any) -> int | tuple[int, ...]:
    """`scale` with 2.0 read as 2; interpolation to a fixed size or by a fraction is refused."""
    if size is not None:
        raise LayerError(f"`{owner}.size` fixes the output extent, which no relation for all extents can use. Give scale_factor instead.")
    if scale is None:
        raise LayerError(f"`{owner}.scale_factor` is missing; give a whole number, or one per axis.")
    items = scale if isinstance(scale, (tuple, list)) else (scale,)
    for item in items:
        if isinstance(item, float) and not item.is_integer():
            raise LayerError(f"`{owner}.scale_factor` must be a whole number on every axis; found {scale!r}.")
    whole = tuple(int(item) if isinstance(item, float) else item for item in items)
    return factor(owner, "scale_factor", whole if isinstance(scale, (tuple, list)) else whole[0])


def _signature(name: str, build: Callable[..., Layer]) -> Signature:
    """The entry of a constructor whose builder already has PyTorch's argument names, order and defaults."""
    found = inspect.signature(build).parameters.values()
    return Signature(name, tuple(Parameter(p.name, p.default, p.kind is p.KEYWORD_ONLY) for p in found), build)


def _taps(name: str, make: Callable[..., Layer], axes: int) -> Signature:
    """A convolution: the layer's own arguments, but PyTorch's padding, which is alike on both sides of an axis."""

    def build(**given: Any) -> Layer:
        if isinstance(given["padding"], tuple):
            per_axis(name, "padding", given["padding"], axes)
        return make(axes, **given)

    return attrs.evolve(_signature(name, partial(make, axes)), build=build)


def _avg_pool1d(
    kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, count_include_pad: Any = True
) -> AvgPool:  # fmt: skip
    return AvgPool.make(1, kernel_size, stride, padding, ceil_mode, count_include_pad)


def _batch_norm(name: str, axes: int) -> Signature:
    def build(
        num_features: Any,
        eps: Any = 1e-5,
        momentum: Any = 0.1,
        affine: Any = True,
        track_running_stats: Any = True,
        *,
        bias: Any = True,
    ) -> BatchNorm:
        if momentum is not None:
            _number(name, "momentum", momentum)
        if not flag(name, "bias", bias):
            raise LayerError(f"`{name}.bias` must be True: symconv knows BatchNorm with both parameters or with none (affine=False).")
        return BatchNorm(num_features, axes, eps, affine, track_running_stats)

    return _signature(name, build)


def _pad(name: str, axes: int, mode: str) -> Signature:
    return _signature(name, lambda padding: Pad.from_torch(name, axes, padding, mode))


def _constant_pad(name: str, axes: int) -> Signature:
    def build(padding: Any, value: Any) -> Pad:
        if _number(name, "value", value) != 0:
            raise LayerError(f"`{name}.value` must be 0: padding with another constant is not linear; found {value!r}.")
        return Pad.from_torch(name, axes, padding)

    return _signature(name, build)


def _crop(arguments: tuple[Any, ...]) -> Pad:
    """Crop(1), Crop(1, 1, 0, 0) or Crop((1, 1, 0, 0)): last axis first, before then after."""
    if not arguments:
        raise LayerError("`Crop` needs the amounts to remove: one integer, or two per axis, the last axis first.")
    return Pad.from_torch("Crop", None, arguments[0] if len(arguments) == 1 else arguments, sign=-1)


def _pixel_shuffle(upscale_factor: Any) -> Shuffle:
    return Shuffle(factor("PixelShuffle", "upscale_factor", upscale_factor))


def _pixel_unshuffle(downscale_factor: Any) -> Unshuffle:
    return Unshuffle(factor("PixelUnshuffle", "downscale_factor", downscale_factor))


def _depth_to_space(r: Any, mode: Any = "DCR") -> Shuffle:
    return Shuffle(factor("DepthToSpace", "r", r), one_of("DepthToSpace", "mode", mode, ORDERS))


def _space_to_depth(r: Any, mode: Any = "DCR") -> Unshuffle:
    return Unshuffle(factor("SpaceToDepth", "r", r), one_of("SpaceToDepth", "mode", mode, ORDERS))


def _zero_insert(s: Any) -> ZeroInsert:
    return ZeroInsert(factor("ZeroInsert", "s", s))


def _dropout(name: str) -> Signature:
    def build(p: Any = 0.5, inplace: Any = False) -> Identity:
        flag(name, "inplace", inplace)
        if not 0 <= _number(name, "p", p) <= 1:
            raise LayerError(f"`{name}.p` must be between 0 and 1; found {p!r}.")
        return Identity()

    return _signature(name, build)


def _prelu(num_parameters: Any = 1, init: Any = 0.25) -> PReLU:
    _number("PReLU", "init", init)
    return PReLU(num_parameters)


def _nonlinearity(name: str) -> Signature:
    own = tuple(Parameter(key, REQUIRED if default is None else default) for key, default in NONLINEARITIES[name])
    inplace = (Parameter("inplace", False),) if name in INPLACE else ()

    def build(**given: Any) -> Pointwise:
        flag(name, "inplace", given.pop("inplace", False))
        return Pointwise(name, tuple((parameter.name, given[parameter.name]) for parameter in own))

    return Signature(name, own + inplace, build)


def _number(owner: str, name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise LayerError(f"`{owner}.{name}` must be a number; found {value!r}.")
    return value


def _on_axes(axes: int) -> tuple[Signature, ...]:
    """The constructors that exist once per number of spatial axes."""
    return (
        _taps(f"Conv{axes}d", Conv.make, axes),
        _taps(f"ConvTranspose{axes}d", ConvTranspose.make, axes),
        _signature(f"AvgPool{axes}d", _avg_pool1d if axes == 1 else partial(AvgPool.make, axes)),
        _batch_norm(f"BatchNorm{axes}d", axes),
        _constant_pad(f"ConstantPad{axes}d", axes),
        *(_pad(f"{prefix}{axes}d", axes, mode) for prefix, mode in PADS.items()),
    )


def _all() -> tuple[Signature, ...]:
    return (
        *(entry for axes in (1, 2, 3) for entry in _on_axes(axes)),
        _signature("PixelShuffle", _pixel_shuffle),
        _signature("PixelUnshuffle", _pixel_unshuffle),
        _signature("DepthToSpace", _depth_to_space),
        _signature("SpaceToDepth", _space_to_depth),
        _signature("ChannelShuffle", ChannelShuffle),
        _signature("ZeroInsert", _zero_insert),
        _signature("Upsample", upsample),
        _upsampling("nearest", False, "UpsamplingNearest2d"),
        _upsampling("linear", True, "UpsamplingBilinear2d"),
        Signature("Crop", (), _crop, collects=True),
        Signature("Identity", (), Identity, ignores=True),
        *(_dropout(name) for name in DROPOUTS),
        *(_nonlinearity(name) for name in NONLINEARITIES),
        _signature("PReLU", _prelu),
    )


SIGNATURES: dict[str, Signature] = {entry.name: entry for entry in _all()}
"""Every constructor that an expression may call, except `Sequential`."""

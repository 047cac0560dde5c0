"""The canonical expression of a layer: PyTorch's constructors chained with `>>`.

Owns: `format_layer`.
Must not know: how expressions are read back (frontends.text does; the two are inverse, by test).
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from symconv.errors import LayerError
from symconv.layers.base import Layer, Margins
from symconv.layers.convolution import Conv, ConvTranspose, same_padding
from symconv.layers.pointwise import NONLINEARITIES, BatchNorm, Pointwise, PReLU
from symconv.layers.rearrange import ChannelShuffle, Shuffle, Unshuffle, ZeroInsert
from symconv.layers.resample import AvgPool, Identity, Pad, Upsample
from symconv.layers.sequential import flatten

_PADS = {"zeros": "ZeroPad", "reflect": "ReflectionPad", "replicate": "ReplicationPad", "circular": "CircularPad"}
_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def format_layer(layer: Layer, axes: int | None = None) -> str:
    """The canonical expression; reading it back gives the same layer, flat and bound.

    Only arguments that differ from PyTorch's defaults are written, and a value that is the same on every axis is written
    once wherever the rest of the chain fixes the number of axes. PyTorch pads alike on both sides of an axis, so other
    paddings are written as a layer of their own, before a convolution and after a transposed one.

    Args:
        layer: a layer or a chain.
        axes: the number of spatial axes, if the reader of the expression will know it from elsewhere.

    Raises:
        LayerError: the layer has no spelling without `axes`, or acts on another number of axes.

    >>> format_layer(ConvTranspose.make(2, 3, 2, 4, stride=2, padding=1, bias=False))
    'ConvTranspose2d(3, 2, 4, stride=2, padding=1, bias=False)'
    """
    known = layer.axes if axes is None else axes
    members = flatten(layer)
    if known is not None:
        members = tuple(member.bind(known) for member in members)
    parts: list[str] = []
    fixed = axes is not None or any(_fixes_axes(member) for member in members)
    for member in members:
        parts += _spell(member, fixed)
        fixed = fixed or member.axes is not None
    return " >> ".join(parts) or "Sequential()"


def _fixes_axes(layer: Layer) -> bool:
    """Whether the layer's shortest spelling tells the number of axes."""
    if isinstance(layer, Pad):
        return not isinstance(layer.amounts, int) and not (_is_crop(layer) and _uniform(layer.amounts))
    if isinstance(layer, (Shuffle, Unshuffle, ZeroInsert, Upsample)):
        return not _uniform(layer.factor) or (isinstance(layer, Upsample) and layer.mode in ("linear", "cubic"))
    return layer.axes is not None


def _uniform(value: int | tuple[Any, ...]) -> bool:
    flat = value if isinstance(value, tuple) else (value,)
    return len({side for item in flat for side in (item if isinstance(item, tuple) else (item,))}) == 1


def _is_crop(layer: Pad) -> bool:
    amounts = ((layer.amounts,),) if isinstance(layer.amounts, int) else layer.amounts
    return layer.mode == "zeros" and all(side <= 0 for pair in amounts for side in pair)


def _value(value: Any, collapse: bool = True) -> str:
    """A literal; a tuple of equal entries as one of them if `collapse`."""
    if isinstance(value, tuple):
        return repr(value[0]) if collapse and _uniform(value) else repr(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value + 0)  # no negative zero
    return repr(value)


def _real(value: int | float | bool | str) -> str:
    """A real argument: 1 and 1.0 are the same, so they are spelled the same."""
    return _value(float(value) if isinstance(value, int) and int(float(value)) == value else value)


def _call(name: str, *positional: str, **keywords: str | None) -> str:
    named = [f"{key}={text}" for key, text in keywords.items() if text is not None]
    return f"{name}({', '.join([*positional, *named])})"


def _unless(default: Any, value: Any) -> str | None:
    """The literal of a value, or None where the default says it already."""
    same = all(item == default for item in value) if isinstance(value, tuple) else value == default
    return None if same else _value(value)


@singledispatch
def _spell(layer: Layer, fixed: bool) -> list[str]:
    """The constructor calls of one layer; `fixed` if the number of axes is known from elsewhere."""
    raise LayerError(f"`{type(layer).__name__}` has no expression.")


@_spell.register
def _conv(layer: Conv, fixed: bool) -> list[str]:
    before = tuple(pair[0] for pair in layer.padding)
    padding, mode, first = _unless(0, before), _unless("zeros", layer.padding_mode), []
    if any(left != right for left, right in layer.padding):
        if layer.padding == same_padding(layer.kernel, layer.dilation) and set(layer.stride) == {1}:
            padding = "'same'"
        else:
            padding, mode, first = None, None, _spell(Pad(layer.padding, layer.padding_mode), True)
    call = _call(
        f"Conv{layer.axes}d",
        *map(_value, (layer.in_channels, layer.out_channels, layer.kernel)),
        stride=_unless(1, layer.stride),
        padding=padding,
        dilation=_unless(1, layer.dilation),
        groups=_unless(1, layer.groups),
        bias=_unless(True, layer.bias),
        padding_mode=mode,
    )
    return [*first, call]


@_spell.register
def _conv_transpose(layer: ConvTranspose, fixed: bool) -> list[str]:
    alike = all(before == after for before, after in layer.padding)
    crop: Margins = tuple((-before, -after) for before, after in layer.padding)
    call = _call(
        f"ConvTranspose{layer.axes}d",
        *map(_value, (layer.in_channels, layer.out_channels, layer.kernel)),
        stride=_unless(1, layer.stride),
        padding=_unless(0, tuple(before for before, _ in layer.padding)) if alike else None,
        output_padding=_unless(0, layer.output_padding),
        groups=_unless(1, layer.groups),
        bias=_unless(True, layer.bias),
        dilation=_unless(1, layer.dilation),
    )
    return [call] if alike else [call, *_spell(Pad(crop), True)]


@_spell.register
def _shuffle(layer: Shuffle, fixed: bool) -> list[str]:
    return [_call("PixelShuffle" if layer.order == "CRD" else "DepthToSpace", _value(layer.factor, fixed))]


@_spell.register
def _unshuffle(layer: Unshuffle, fixed: bool) -> list[str]:
    return [_call("PixelUnshuffle" if layer.order == "CRD" else "SpaceToDepth", _value(layer.factor, fixed))]


@_spell.register
def _channel_shuffle(layer: ChannelShuffle, fixed: bool) -> list[str]:
    return [_call("ChannelShuffle", _value(layer.groups))]


@_spell.register
def _zero_insert(layer: ZeroInsert, fixed: bool) -> list[str]:
    return [_call("ZeroInsert", _value(layer.factor, fixed))]


@_spell.register
def _pad(layer: Pad, fixed: bool) -> list[str]:
    """Crop where nothing is added, otherwise the pad of its mode; the last axis first."""
    if isinstance(layer.amounts, int):
        if layer.mode != "zeros":
            raise LayerError(f"`Pad` in mode {layer.mode!r} has a name only on a known number of axes; pass `axes`.")
        return [_call("Crop", _value(-layer.amounts))]
    flat = tuple(side for pair in reversed(layer.amounts) for side in pair)
    if _is_crop(layer):
        sides = tuple(-side for side in flat)
        return [_call("Crop", *map(_value, sides[:1] if fixed and _uniform(sides) else sides))]
    return [_call(f"{_PADS[layer.mode]}{layer.axes}d", _value(flat))]


@_spell.register
def _upsample(layer: Upsample, fixed: bool) -> list[str]:
    mode = layer.mode
    if mode == "linear":
        if layer.axes is None:
            raise LayerError("`Upsample` in mode 'linear' has a name only on a known number of axes; pass `axes`.")
        mode = _LINEAR[layer.axes]
    mode = "bicubic" if mode == "cubic" else mode
    collapse = fixed or layer.mode in ("linear", "cubic")
    corners = _unless(False, layer.align_corners)
    return [_call("Upsample", scale_factor=_value(layer.factor, collapse), mode=_unless("nearest", mode), align_corners=corners)]


@_spell.register
def _avg_pool(layer: AvgPool, fixed: bool) -> list[str]:
    call = _call(
        f"AvgPool{layer.axes}d",
        _value(layer.kernel),
        stride=None if layer.stride == layer.kernel else _value(layer.stride),
        padding=_unless(0, layer.padding),
        ceil_mode=_unless(False, layer.ceil_mode),
        count_include_pad=_unless(True, layer.count_include_pad),
        divisor_override=_unless(None, layer.divisor_override),
    )
    return [call]


@_spell.register
def _identity(layer: Identity, fixed: bool) -> list[str]:
    return [_call("Identity")]


@_spell.register
def _pointwise(layer: Pointwise, fixed: bool) -> list[str]:
    given, defaults = dict(layer.arguments), NONLINEARITIES[layer.name]
    positional = [_real(given[name]) for name, default in defaults if default is None]
    named = {name: _real(given[name]) for name, default in defaults if default is not None and given.get(name, default) != default}
    return [_call(layer.name, *positional, **named)]


@_spell.register
def _prelu(layer: PReLU, fixed: bool) -> list[str]:
    return [_call("PReLU", *([] if layer.num_parameters == 1 else [_value(layer.num_parameters)]))]


@_spell.register
def _batch_norm(layer: BatchNorm, fixed: bool) -> list[str]:
    call = _call(
        f"BatchNorm{layer.spatial_axes}d",
        _value(layer.num_features),
        eps=None if layer.eps == 1e-5 else _real(layer.eps),
        affine=_unless(True, layer.affine),
        track_running_stats=_unless(True, layer.track_running_stats),
    )
    return [call]

"""PyTorch as an oracle: any chain as an executable module, and its operators by pushing unit impulses through it.

Owns: `to_module`, `operator_matrix`, `parameter_families`.
Must not know: what symconv thinks a layer computes. Everything here is PyTorch's own layer where there is one, and
otherwise a few lines of indexing (torch_indexing).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import singledispatch
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from symconv.conformance.torch_indexing import DepthToSpace, Expand, Extend, SpaceToDepth
from symconv.errors import OutsideFragment
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
    Weights,
    ZeroInsert,
    flatten,
)
from symconv.layers.sequential import name

Array = np.ndarray[Any, np.dtype[Any]]

_INTERPOLATION = {"linear": ("linear", "bilinear", "trilinear"), "cubic": ("", "bicubic", "")}


@attrs.frozen
class _Build:
    """What the modules of one chain share."""

    axes: int
    dtype: torch.dtype
    device: str

    def make(self, name: str, *args: Any, **kwargs: Any) -> nn.Module:
        """torch.nn's class `name` with all parameters zero (and no random numbers drawn)."""
        create: Any = skip_init
        module: nn.Module = create(getattr(nn, name), *args, **kwargs, dtype=self.dtype, device=self.device)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        return module


def to_module(
    layer: Layer,
    axes: int,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    weights: tuple[Weights | None, ...] | None = None,
) -> nn.Sequential:
    """The chain as a module in evaluation mode with one child a member.

    Args:
        layer: a layer or a chain.
        axes: the number of spatial axes; inputs have shape (batch, channels, *extents).
        dtype: of the parameters.
        device: where the parameters live.
        weights: one entry a member; without them every parameter is zero, and can be set.

    Raises:
        LayerError: the layer acts on another number of axes.
        RuntimeError: (when run) PyTorch's own, where it refuses the extents.
    """
    members = tuple(member.bind(axes) for member in flatten(layer))
    build = _Build(axes, dtype, device)
    modules = [_module(member, build) for member in members]
    for module, given in zip(modules, weights or (None,) * len(members), strict=True):
        if given is not None:
            _set(module, given)
    return nn.Sequential(*modules).eval()


def _set(module: nn.Module, weights: Weights) -> None:
    """Copies the weights into the only part of the module that has parameters."""
    pairs = (("weight", weights.kernel), ("bias", weights.bias), ("running_mean", weights.mean), ("running_var", weights.variance))
    with torch.no_grad():
        for part in module.modules():
            for key, value in pairs:
                tensor = getattr(part, key, None)
                if tensor is not None and value is not None:
                    tensor.copy_(torch.from_numpy(np.array(value, dtype=np.float64)).reshape(tensor.shape))


@singledispatch
def _module(layer: Layer, build: _Build) -> nn.Module:
    """The module of one bound layer."""
    raise OutsideFragment(f"`{name(layer)}` has no PyTorch counterpart")


@_module.register
def _conv(layer: Conv, build: _Build) -> nn.Module:
    alike = all(before == after for before, after in layer.padding)
    conv = build.make(
        f"Conv{build.axes}d",
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        layer.stride,
        tuple(before for before, _ in layer.padding) if alike else 0,
        layer.dilation,
        layer.groups,
        layer.bias,
        layer.padding_mode if alike else "zeros",
    )
    return conv if alike else nn.Sequential(Extend(layer.padding, layer.padding_mode), conv)


@_module.register
def _conv_transpose(layer: ConvTranspose, build: _Build) -> nn.Module:
    alike = all(before == after for before, after in layer.padding)
    conv = build.make(
        f"ConvTranspose{build.axes}d",
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        layer.stride,
        tuple(before for before, _ in layer.padding) if alike else 0,
        layer.output_padding,
        layer.groups,
        layer.bias,
        layer.dilation,
    )
    crop = tuple((-before, -after) for before, after in layer.padding)
    return conv if alike else nn.Sequential(conv, Extend(crop, "zeros"))


@_module.register
def _shuffle(layer: Shuffle, build: _Build) -> nn.Module:
    factor = _tuple(layer.factor)
    if layer.order == "CRD" and build.axes == 2 and factor[0] == factor[1]:
        return nn.PixelShuffle(factor[0])
    return DepthToSpace(factor, layer.order)


@_module.register
def _unshuffle(layer: Unshuffle, build: _Build) -> nn.Module:
    factor = _tuple(layer.factor)
    if layer.order == "CRD" and build.axes == 2 and factor[0] == factor[1]:
        return nn.PixelUnshuffle(factor[0])
    return SpaceToDepth(factor, layer.order)


@_module.register
def _channel_shuffle(layer: ChannelShuffle, build: _Build) -> nn.Module:
    return nn.ChannelShuffle(layer.groups)


@_module.register
def _zero_insert(layer: ZeroInsert, build: _Build) -> nn.Module:
    return Expand(_tuple(layer.factor))


@_module.register
def _pad(layer: Pad, build: _Build) -> nn.Module:
    assert not isinstance(layer.amounts, int), "layer is bound"
    return Extend(layer.amounts, layer.mode)


@_module.register
def _upsample(layer: Upsample, build: _Build) -> nn.Module:
    scale = tuple(float(r) for r in _tuple(layer.factor))
    if layer.mode.startswith("nearest"):
        return nn.Upsample(scale_factor=scale, mode=layer.mode)
    mode = _INTERPOLATION[layer.mode][build.axes - 1]
    return nn.Upsample(scale_factor=scale, mode=mode, align_corners=layer.align_corners)


@_module.register
def _avg_pool(layer: AvgPool, build: _Build) -> nn.Module:
    divisor = {} if build.axes == 1 else {"divisor_override": layer.divisor_override}
    pool: nn.Module = getattr(nn, f"AvgPool{build.axes}d")(
        layer.kernel, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad, **divisor
    )
    return pool


@_module.register
def _identity(layer: Identity, build: _Build) -> nn.Module:
    return nn.Identity()


@_module.register
def _pointwise(layer: Pointwise, build: _Build) -> nn.Module:
    given = dict(NONLINEARITIES[layer.name]) | dict(layer.arguments)
    module: nn.Module = getattr(nn, layer.name)(**given)
    return module


@_module.register
def _prelu(layer: PReLU, build: _Build) -> nn.Module:
    return build.make("PReLU", layer.num_parameters)


@_module.register
def _batch_norm(layer: BatchNorm, build: _Build) -> nn.Module:
    module: Any = build.make(
        f"BatchNorm{build.axes}d", layer.num_features, layer.eps, affine=layer.affine, track_running_stats=layer.track_running_stats
    )
    if layer.track_running_stats:
        module.reset_running_stats()
    own: nn.Module = module
    return own


def _tuple(factor: int | tuple[int, ...]) -> tuple[int, ...]:
    assert isinstance(factor, tuple), "layer is bound"
    return factor


def operator_matrix(
    layer: Layer, axes: int, in_channels: int, extents: tuple[int, ...], weights: tuple[Weights | None, ...] | None = None
) -> Array:
    """The operator matrix at fixed extents, biases left out: (out_channels * out samples, in_channels * in samples).

    Unit impulses go through in float64, so the result is exact wherever float64 is: integer weights of moderate size.
    Average pooling is kept exact by scaling the impulses with its divisors.

    Returns:
        int64, or object (fractions.Fraction) where an entry is no integer.

    Raises:
        OutsideFragment: the chain has a nonlinearity.
        RuntimeError: PyTorch refuses the extents.
    """
    members = flatten(layer)
    _require_linear(members)
    bare = tuple(None if given is None else _without_bias(given) for given in weights or (None,) * len(members))
    module = to_module(layer, axes, weights=bare)
    return _responses(module, in_channels, extents, _divisors(members))


def parameter_families(layer: Layer, axes: int, in_channels: int, extents: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """The linear family of a chain with one layer that has parameters, by brute force.

    Returns:
        One (matrix, constant) for each unit parameter: the kernel's entries in row-major order, then the biases. The
        constant is the output on zero input. BatchNorm counts as a depthwise convolution with one tap and a bias.

    Raises:
        OutsideFragment: the chain has a nonlinearity, or not exactly one layer with parameters.
        RuntimeError: PyTorch refuses the extents.
    """
    members = tuple(_as_depthwise(member, axes) for member in flatten(layer))
    _require_linear(members)
    free = [index for index, member in enumerate(members) if isinstance(member, (Conv, ConvTranspose))]
    if len(free) != 1:
        raise OutsideFragment(f"a linear family by brute force needs exactly one layer with parameters; found {len(free)}")
    scale = _divisors(members)
    modules = [to_module(member, axes) for member in members]
    chain = nn.Sequential(*modules)
    family: list[tuple[Array, Array]] = []
    silence = torch.zeros((1, in_channels, *extents), dtype=torch.float64)
    with torch.no_grad():
        for key, parameter in modules[free[0]].named_parameters():
            flat = parameter.view(-1)
            bias = key.endswith("bias")
            for index in range(flat.numel()):
                flat[index] = scale if bias else 1
                constant = _exact(chain(silence).flatten(), scale)
                if bias:
                    matrix = np.zeros((len(constant), in_channels * math.prod(extents)), dtype=np.int64)
                else:
                    matrix = _responses(chain, in_channels, extents, scale)
                family.append((matrix, constant))
                flat[index] = 0
    return family


def _require_linear(members: tuple[Layer, ...]) -> None:
    for member in members:
        if isinstance(member, (Pointwise, PReLU)):
            raise OutsideFragment(f"`{name(member)}` is not linear, so the chain has no operator matrix")


def _without_bias(weights: Weights) -> Weights:
    return attrs.evolve(weights, bias=None, mean=None)


def _as_depthwise(layer: Layer, axes: int) -> Layer:
    if isinstance(layer, BatchNorm):
        return Conv.make(axes, layer.num_features, layer.num_features, 1, groups=layer.num_features)
    return layer


def _divisors(members: tuple[Layer, ...]) -> int:
    """A common multiple of all products of divisors that the chain's average poolings use."""
    scale = 1
    for member in members:
        if isinstance(member, AvgPool):
            each = (math.lcm(*range(1, k + 1)) if member.ceil_mode or not member.count_include_pad else k for k in member.kernel)
            scale *= math.prod(each) if member.divisor_override is None else abs(member.divisor_override)
    return scale


def _responses(module: nn.Module, in_channels: int, extents: tuple[int, ...], scale: int) -> Array:
    """The outputs for all impulses of height `scale`, as columns, divided by it again."""
    count = in_channels * math.prod(extents)
    impulses = (scale * torch.eye(count, dtype=torch.float64)).reshape(count, in_channels, *extents)
    with torch.no_grad():
        return _exact(module(impulses).reshape(count, -1).T, scale)


def _exact(values: Tensor, scale: int) -> Array:
    array = values.detach().cpu().numpy()
    if (np.fmod(array, scale) == 0).all():
        return (array / scale).astype(np.int64)
    return np.array([Fraction(value) / scale for value in array.ravel().tolist()], dtype=object).reshape(array.shape)

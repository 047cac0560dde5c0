"""Instances of torch.nn modules as layers with their effective weights.

Owns: `from_module`, `layer_of`, `effective`, `register`; what is refused because its output could not be told from its class and
attributes.
Must not know: expressions, references, decisions.

The meaning is always that of evaluation mode, whatever `module.training` says: Dropout is the identity, BatchNorm uses its
running statistics, and a spectral norm takes no power iteration. The module itself is left as it was.
Source: torch.nn, PyTorch 2.13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NoReturn

import attrs
import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from symconv.errors import LayerError, ModelError
from symconv.frontends.signatures import DROPOUTS, PADS, upsample
from symconv.layers import (
    NONLINEARITIES,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Margins,
    Pad,
    Pointwise,
    PReLU,
    Sequential,
    Shuffle,
    Unshuffle,
    WeightedNetwork,
    Weights,
)

MAX_NESTING = 100

EXACT = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""Element types whose every finite value is a float64."""

HARMLESS = (
    "__init__", "__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__slots__", "__hash__", "__eq__", "__repr__",
    "__getstate__", "__setstate__", "__deepcopy__", "__constants__", "__class_getitem__", "__firstlineno__", "__static_attributes__",
    "extra_repr", "reset_parameters", "train", "eval", "weight", "bias", "_version", "call_super_init", "dump_patches",
    "state_dict", "load_state_dict", "_save_to_state_dict", "_load_from_state_dict",
)  # fmt: skip
"""What a subclass may redefine without changing what the layer computes (effective weights are read, so `weight` too)."""


@attrs.frozen
class _Site:
    """One module at its place in the whole, for instance `net.0`."""

    module: Any
    path: str
    bare: bool = False  # whether the values of parameters are left out

    def fail(self, message: str) -> NoReturn:
        """Raises ModelError about this module."""
        raise ModelError(f"`{self.path}` ({type(self.module).__name__}) {message}") from None

    def array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The effective parameter or buffer `name` as an exact float64 copy; nothing where values are left out."""
        if self.bare:
            return np.zeros(0)
        tensor = self.effective(name)
        label = f"`{self.path}.{name}`"
        _check_tensor(label, tensor)
        if tuple(tensor.shape) != shape:
            raise ModelError(f"{label} has shape {tuple(tensor.shape)}, but the attributes of its module say {shape}.")
        array = np.array(tensor.detach().to("cpu", torch.float64).resolve_neg().numpy(), order="C")
        if not np.isfinite(array).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ModelError(f"{label} must be finite; found {array[place]} at {place}.")
        return array

    def effective(self, name: str) -> Any:
        """The tensor that a forward pass would use: hooks and parametrizations applied."""
        try:
            with torch.no_grad(), _evaluating(self.module):
                for hook in self.module._forward_pre_hooks.values():
                    if isinstance(hook, WeightNorm) and hook.name == name:
                        return hook.compute_weight(self.module)
                    if isinstance(hook, SpectralNorm) and hook.name == name:
                        return hook.compute_weight(self.module, do_power_iteration=False)
                return getattr(self.module, name)
        except Exception as error:
            raise ModelError(f"`{self.path}.{name}` cannot be computed: {type(error).__name__}: {error}") from None


Read = tuple[Layer, Weights | None]
Reader = Callable[[_Site], Read]


def is_module(value: object) -> bool:
    """Whether the value is an nn.Module (so that others need not import torch to ask)."""
    return isinstance(value, nn.Module)


def from_module(module: nn.Module, source: str = "") -> WeightedNetwork:
    """The layers of a module, with its weights as float64 arrays of the same values.

    Args:
        module: an instance of a torch.nn class that symconv knows, or a torch.nn.Sequential of such.
        source: where it came from, for messages.

    Returns:
        A flat chain; weight norms, spectral norms and parametrizations are resolved into the weights that they make.
        BatchNorm's gamma and beta are written out (ones and zeros) where the module has none.

    Raises:
        ModelError: the module, or a part of it, is of another class, overrides or hooks what it computes, is not
            initialised, has values that are not finite real floating point, or has hyper-parameters that PyTorch refuses.
    """
    if not is_module(module):
        raise ModelError(f"an nn.Module is needed; found {type(module).__name__}.")
    parts = [_read(site) for site in _leaves(_Site(module, source or "module"))]
    return WeightedNetwork(Sequential(tuple(layer for layer, _ in parts)), tuple(weights for _, weights in parts), source)


def layer_of(module: nn.Module, path: str = "module") -> Layer:
    """What one module is, whatever its parameters hold (they may be on the meta device); refusals are those of `from_module`.

    Raises:
        ModelError: as `from_module`, but for the values; or the module is a chain.
    """
    site = _Site(module, path, bare=True)
    base = _base(site)
    _check_untouched(site, base)
    if base in _CHAINS:
        site.fail("is a chain of layers; name one of them.")
    return _read(site)[0]


def effective(module: nn.Module, name: str, path: str = "module") -> torch.Tensor:
    """The parameter `name` as a forward pass in evaluation mode would use it: hooks and parametrizations applied."""
    tensor: torch.Tensor = _Site(module, path).effective(name)
    return tensor


def register(base: type, reader: Callable[[Any], Layer] | None) -> None:
    """Makes a class of symconv's own known: what layer an instance is, or (None) that it is a chain of its children."""
    if reader is None:
        _CHAINS.add(base)
        return
    given = reader
    _OWN[base] = lambda site: (given(site.module), None)


def register_stand_in(base: type, given: Callable[[Any], nn.Module]) -> None:
    """Makes a class known that stands in for another module, with the same parameters: it is read as that one."""
    _OWN[base] = lambda site: _read(_Site(given(site.module), site.path, bare=site.bare))


def is_own_layer(module: nn.Module) -> bool:
    """Whether a module is of a class that `register` or `register_stand_in` made known as one layer."""
    return type(module) in _OWN


_CHAINS: set[type] = {nn.Sequential}
_OWN: dict[type, Reader] = {}


def _leaves(site: _Site, depth: int = 0) -> Iterator[_Site]:
    """The members of nested Sequentials, each checked to be what its class says."""
    base = _base(site)
    _check_untouched(site, base)
    if base not in _CHAINS:
        yield site
        return
    if depth > MAX_NESTING:
        site.fail(f"is nested more than {MAX_NESTING} deep, or contains itself.")
    for name, child in site.module._modules.items():
        yield from _leaves(_Site(child, f"{site.path}.{name}"), depth + 1)


def _read(site: _Site) -> Read:
    try:
        base = _base(site)
        return (_OWN.get(base) or _readers()[base])(site)
    except (LayerError, TypeError, AttributeError) as error:
        site.fail(f"is no layer that PyTorch allows: {error}")


def _base(site: _Site) -> type:
    """The torch.nn class that the module is an instance of."""
    if isinstance(site.module, nn.modules.lazy.LazyModuleMixin):
        site.fail("is not initialised; run it once, so that it knows its channels.")
    for base in type(site.module).__mro__:
        if base in _CHAINS or base in _OWN or base in _readers():
            return base
    site.fail("is not a layer that symconv knows. Name one of its layers, or a Sequential of them.")


def _check_untouched(site: _Site, base: type) -> None:
    """Refuses whatever could make the module compute something else than its class does."""
    module = site.module
    for owner in type(module).__mro__[: type(module).__mro__.index(base)]:
        changed = [name for name in vars(owner) if name not in HARMLESS and hasattr(base, name)]
        if changed:
            site.fail(f"redefines `{changed[0]}` of {base.__name__}, so its class does not say what it computes.")
    replaced = [name for name in vars(module) if callable(getattr(base, name, None))]
    if replaced:
        site.fail(f"has its method `{replaced[0]}` replaced, so its class does not say what it computes.")
    hooks = [*module._forward_hooks.values()]
    hooks += [hook for hook in module._forward_pre_hooks.values() if not isinstance(hook, (WeightNorm, SpectralNorm))]
    if hooks:
        name = getattr(hooks[0], "__qualname__", type(hooks[0]).__name__)
        site.fail(f"has a forward hook `{name}`, which may change what it computes. Remove the hook.")


def _check_tensor(label: str, tensor: Any) -> None:
    if isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)):
        raise ModelError(f"{label} is not initialised; run the module once.")
    if type(tensor) not in (torch.Tensor, nn.Parameter):
        raise ModelError(f"{label} must be an ordinary tensor; found {type(tensor).__name__}.")
    for kind, found in (("on the meta device, without values", tensor.is_meta), ("quantized", tensor.is_quantized)):
        if found:
            raise ModelError(f"{label} is {kind}; load or dequantize it first.")
    if tensor.layout != torch.strided:
        raise ModelError(f"{label} must be dense; found layout {tensor.layout}.")
    if tensor.dtype not in EXACT:
        raise ModelError(f"{label} must be real floating point (float64, float32, float16 or bfloat16); found {tensor.dtype}.")


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The module's parametrizations in evaluation mode, which they leave again."""
    owner: Any = module
    parts = [part for part in owner.parametrizations.modules() if part.training] if parametrize.is_parametrized(module) else []
    try:
        for part in parts:
            part.training = False
        yield
    finally:
        for part in parts:
            part.training = True


@cache
def _readers() -> dict[type, Reader]:
    """What reads each class; a module is read as the first of its classes that is named here."""
    table: dict[str, Reader] = {
        "PixelShuffle": lambda site: (Shuffle((site.module.upscale_factor,) * 2), None),
        "PixelUnshuffle": lambda site: (Unshuffle((site.module.downscale_factor,) * 2), None),
        "ChannelShuffle": lambda site: (ChannelShuffle(site.module.groups), None),
        "Upsample": _upsample,
        "UpsamplingNearest2d": partial(_upsample, axes=2),
        "UpsamplingBilinear2d": partial(_upsample, axes=2),
        "PReLU": _prelu,
        "ReLU6": _relu6,
    }
    for axes in (1, 2, 3):
        table[f"Conv{axes}d"] = partial(_conv, axes=axes)
        table[f"ConvTranspose{axes}d"] = partial(_conv_transpose, axes=axes)
        table[f"AvgPool{axes}d"] = partial(_avg_pool, axes=axes)
        table[f"BatchNorm{axes}d"] = partial(_batch_norm, axes=axes)
        table[f"ConstantPad{axes}d"] = partial(_pad, axes=axes, mode="zeros")
        for prefix, mode in PADS.items():
            table[f"{prefix}{axes}d"] = partial(_pad, axes=axes, mode=mode)
    for name in ("Identity", *DROPOUTS):
        table[name] = lambda site: (Identity(), None)
    for name in NONLINEARITIES:
        table.setdefault(name, partial(_pointwise, name=name))
    return {getattr(nn, name): reader for name, reader in table.items() if hasattr(nn, name)}


def _conv(site: _Site, axes: int) -> Read:
    module = site.module
    padding: Any = module.padding
    if module.padding_mode != "zeros":  # such a convolution pads by this attribute, not by `padding`
        padding = _margins(module._reversed_padding_repeated_twice)
    layer = Conv.make(
        axes,
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        module.stride,
        padding,
        module.dilation,
        module.groups,
        module.bias is not None,
        module.padding_mode,
    )
    return layer, _taps(site, (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel), layer)


def _margins(flat: Any) -> Margins:
    return tuple((flat[start], flat[start + 1]) for start in range(len(flat) - 2, -1, -2))


def _conv_transpose(site: _Site, axes: int) -> Read:
    module = site.module
    layer = ConvTranspose.make(
        axes,
        module.in_channels,
        module.out_channels,
        module.kernel_size,
        module.stride,
        module.padding,
        module.output_padding,
        module.groups,
        module.bias is not None,
        module.dilation,
        module.padding_mode,
    )
    return layer, _taps(site, (layer.in_channels, layer.out_channels // layer.groups, *layer.kernel), layer)


def _taps(site: _Site, shape: tuple[int, ...], layer: Conv | ConvTranspose) -> Weights:
    return Weights(site.array("weight", shape), site.array("bias", (layer.out_channels,)) if layer.bias else None)


def _avg_pool(site: _Site, axes: int) -> Read:
    module = site.module
    divisor = getattr(module, "divisor_override", None)
    layer = AvgPool.make(
        axes, module.kernel_size, module.stride, module.padding, module.ceil_mode, module.count_include_pad, divisor
    )  # fmt: skip
    return layer, None


def _batch_norm(site: _Site, axes: int) -> Read:
    module = site.module
    count = (module.num_features,)
    if module.running_mean is None or module.running_var is None:
        site.fail("has no running statistics, so it normalises by its own input, which is not linear.")
    layer = BatchNorm(module.num_features, axes, module.eps, module.weight is not None)
    gamma = np.ones(count) if module.weight is None else site.array("weight", count)
    beta = np.zeros(count) if module.bias is None else site.array("bias", count)
    variance = site.array("running_var", count)
    if (variance + module.eps <= 0).any():
        raise ModelError(f"`{site.path}.running_var` plus eps must be positive; found {variance.min()} + {module.eps}.")
    return layer, Weights(gamma, beta, site.array("running_mean", count), variance)


def _pad(site: _Site, axes: int, mode: str) -> Read:
    if getattr(site.module, "value", 0) != 0:
        site.fail(f"pads with {site.module.value!r}; only padding with 0 is linear.")
    return Pad.from_torch(f"{type(site.module).__name__}", axes, site.module.padding, mode), None


def _upsample(site: _Site, axes: int | None = None) -> Read:
    module = site.module
    layer = upsample(module.size, module.scale_factor, module.mode, module.align_corners, module.recompute_scale_factor)
    return (layer if axes is None else layer.bind(axes)), None


def _pointwise(site: _Site, name: str) -> Read:
    return Pointwise(name, tuple((key, getattr(site.module, key)) for key, _ in NONLINEARITIES[name])), None


def _relu6(site: _Site) -> Read:
    """ReLU6 is a Hardtanh, and runs as one."""
    bounds = (site.module.min_val, site.module.max_val)
    return (Pointwise("ReLU6"), None) if bounds == (0.0, 6.0) else _pointwise(site, "Hardtanh")


def _prelu(site: _Site) -> Read:
    layer = PReLU(site.module.num_parameters)
    return layer, Weights(site.array("weight", (layer.num_parameters,)))

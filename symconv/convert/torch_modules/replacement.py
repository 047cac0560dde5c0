"""What stands in a converted module: plain torch.nn layers in a small Sequential, and the rearrangements that torch.nn lacks.

Owns: `Rewritten`, `PeriodicShuffle`, `PeriodicUnshuffle`, `ZeroInsertion`, `build`.
Must not know: how forms are found, weights, models.

All of them are picklable, hold no state but what torch.nn's layers hold, and are known to the front end, so that they can be checked
like any other module.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import attrs
from torch import Tensor, nn

from symconv.errors import InternalError, OutsideFragment
from symconv.frontends.torch_modules import layer_of, register
from symconv.layers import Conv, ConvTranspose, Identity, Layer, Margins, Pad, Sequential, Shuffle, Unshuffle, ZeroInsert, flatten
from symconv.layers.sequential import name as layer_name

FACE = (
    "in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "dilation", "groups", "padding_mode", "transposed",
)  # fmt: skip
"""Hyper-parameters that a module may read from its layer (to trim its output, say): the given layer's stay readable."""

MODES = {"reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}


class Rewritten(nn.Sequential):
    """The layers that a given layer was rewritten to.

    `source` is the given layer as an expression. The given layer's hyper-parameters (`kernel_size`, `stride`, ...) can still be read; its
    kernel cannot, for it has another layout now: it is `conv.weight`.
    """

    source: str = ""

    def face(self, given: nn.Module | None, source: str) -> Rewritten:
        """This, with the hyper-parameters of the given layer to be read, if it was one layer."""
        self.source = source
        for name in FACE if given is not None else ():
            if hasattr(given, name):
                setattr(self, name, getattr(given, name))
        return self

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """The given layer's output.

        Raises:
            ValueError: `output_size` is given, and is not the size that the given layer's own output_padding makes.
        """
        for module in self:
            input = module(input)
        if output_size is not None:
            self._check_size(input, output_size)
        return input

    def _check_size(self, output: Tensor, wanted: Any) -> None:
        axes = len(self.kernel_size) if hasattr(self, "kernel_size") else output.dim() - 2
        made, asked = tuple(output.shape[-axes:]), tuple(wanted)[-axes:]
        if made != asked:
            raise ValueError(
                f"`output_size` {asked} asks for another output padding than the layer was converted with ({self.source}), which makes "
                f"{made}. Build the layer with that output_padding, and convert it again."
            )

    def extra_repr(self) -> str:
        """The given layer."""
        return f"from {self.source}" if self.source else ""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name in ("weight", "bias"):
                raise AttributeError(
                    f"`{name}` of {self.source or 'the given layer'} was moved to `conv.{name}`, in another layout; "
                    "ModuleConversion.revert_state_dict gives it back."
                ) from None
            raise


class _Rearrangement(nn.Module):
    """A fixed map of samples, by one factor an axis."""

    def __init__(self, factor: tuple[int, ...], order: str = "CRD") -> None:
        super().__init__()
        self.factor, self.order = tuple(factor), order

    def extra_repr(self) -> str:
        """The factors, and the channel order."""
        return f"{self.factor}, {self.order!r}"


class PeriodicShuffle(_Rearrangement):
    """Periodic shuffling on 1, 2 or 3 axes, in CRD (PixelShuffle's) or DCR order."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, C r^D, n, ...) to (batch, C, r n, ...)."""
        axes = len(self.factor)
        batch, extents = input.shape[: -axes - 1], input.shape[-axes:]
        first = len(batch)
        if self.order == "CRD":
            split, channel, phase = input.reshape(*batch, -1, *self.factor, *extents), first, first + 1
        else:
            split, channel, phase = input.reshape(*batch, *self.factor, -1, *extents), first + axes, first
        order = [*range(first), channel]
        for axis in range(axes):
            order += [first + 1 + axes + axis, phase + axis]
        return split.permute(order).reshape(*batch, -1, *(n * r for n, r in zip(extents, self.factor, strict=True)))


class PeriodicUnshuffle(_Rearrangement):
    """The inverse of `PeriodicShuffle`; every extent must be divisible by its factor."""

    def forward(self, input: Tensor) -> Tensor:
        """(batch, C, r n, ...) to (batch, C r^D, n, ...)."""
        axes = len(self.factor)
        batch, channels, extents = input.shape[: -axes - 1], input.shape[-axes - 1], input.shape[-axes:]
        first = len(batch)
        split = input.reshape(*batch, channels, *(size for n, r in zip(extents, self.factor, strict=True) for size in (n // r, r)))
        positions, phases = [first + 1 + 2 * axis for axis in range(axes)], [first + 2 + 2 * axis for axis in range(axes)]
        middle = [first, *phases] if self.order == "CRD" else [*phases, first]
        return split.permute([*range(first), *middle, *positions]).reshape(*batch, -1, *(split.shape[axis] for axis in positions))


class ZeroInsertion(_Rearrangement):
    """Zeros between the samples: extent n becomes (n - 1) s + 1."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., n, ...) to (..., (n - 1) s + 1, ...)."""
        for axis, step in enumerate(self.factor, start=input.dim() - len(self.factor)):
            if step > 1:
                before, extent, after = input.shape[:axis], input.shape[axis], input.shape[axis + 1 :]
                row = math.prod(after)
                spread = nn.functional.pad(input.reshape(-1, row), (0, (step - 1) * row)).reshape(*before, step * extent, *after)
                input = nn.functional.pad(spread, (*(0, 0) * len(after), 0, 1 - step))
        return input

    def extra_repr(self) -> str:
        """The factors."""
        return f"{self.factor}"


register(Rewritten, None)
register(PeriodicShuffle, lambda module: Shuffle(module.factor, module.order))
register(PeriodicUnshuffle, lambda module: Unshuffle(module.factor, module.order))
register(ZeroInsertion, lambda module: ZeroInsert(module.factor))


def build(target: Layer, axes: int, *, pixel_shuffle: bool = True) -> Rewritten:
    """The modules of a bound chain, on the meta device, named pad, unshuffle, expand, conv, shuffle and crop.

    Without `pixel_shuffle`, shuffles are reshapes and permutations on 2 axes too.

    Raises:
        OutsideFragment: a layer of the chain has no counterpart in torch.nn.
        InternalError: the modules, read again, are not the chain.
    """
    members: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in flatten(target):
        for name, module in _modules(layer.bind(axes), axes, after="conv" in members, pixel_shuffle=pixel_shuffle):
            members[_unused(name, members)] = module
    made = Rewritten(members)
    wanted = Sequential(tuple(layer.bind(axes) for layer in flatten(target)))
    if _normal(_read(made, axes)) != _normal(wanted):
        raise InternalError(f"the modules built for {wanted} are {made}")
    return made


def _unused(name: str, members: OrderedDict[str, nn.Module]) -> str:
    return name if name not in members else _unused(f"{name}_", members)


def _modules(layer: Layer, axes: int, *, after: bool, pixel_shuffle: bool) -> list[tuple[str, nn.Module]]:
    """One layer as named modules, and what pads or crops for it where torch.nn's layer cannot do so itself."""
    match layer:
        case Identity():
            return []
        case Pad(mode=mode, amounts=amounts):
            assert not isinstance(amounts, int), "layer is bound"
            return [("crop" if after else "pad", _pad(amounts, mode, axes))]
        case Shuffle(factor=factor, order=order):
            plain = pixel_shuffle and _is_pixel_shuffle(factor, order)
            return [("shuffle", nn.PixelShuffle(factor[0]) if plain else PeriodicShuffle(factor, order))]  # type: ignore[index,arg-type]
        case Unshuffle(factor=factor, order=order):
            plain = pixel_shuffle and _is_pixel_shuffle(factor, order)
            return [("unshuffle", nn.PixelUnshuffle(factor[0]) if plain else PeriodicUnshuffle(factor, order))]  # type: ignore[index,arg-type]
        case ZeroInsert(factor=factor):
            return [("expand", ZeroInsertion(factor))]  # type: ignore[arg-type]  # the layer is bound
        case Conv():
            return _conv(layer, axes)
        case ConvTranspose():
            return _conv_transpose(layer, axes)
    raise OutsideFragment(f"`{layer_name(layer)}` has no counterpart in torch.nn")


def _pad(amounts: Margins, mode: str, axes: int) -> nn.Module:
    flat = tuple(amount for pair in reversed(amounts) for amount in pair)
    if mode == "zeros":
        return getattr(nn, f"ZeroPad{axes}d")(flat)
    if min(flat) < 0:
        raise OutsideFragment(f"torch.nn has no padding by mode {mode!r} with a crop ({flat})")
    return getattr(nn, f"{MODES[mode]}Pad{axes}d")(flat)


def _is_pixel_shuffle(factor: Any, order: str) -> bool:
    """Whether torch.nn.PixelShuffle says it: two axes, one factor, CRD."""
    return len(factor) == 2 and factor[0] == factor[1] and order == "CRD"


def _conv(layer: Conv, axes: int) -> list[tuple[str, nn.Module]]:
    alike = all(before == after for before, after in layer.padding)
    made = getattr(nn, f"Conv{axes}d")(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        stride=layer.stride,
        padding=tuple(before for before, _ in layer.padding) if alike else 0,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias,
        padding_mode=layer.padding_mode if alike else "zeros",
        device="meta",
    )
    return [("conv", made)] if alike else [("pad", _pad(layer.padding, layer.padding_mode, axes)), ("conv", made)]


def _conv_transpose(layer: ConvTranspose, axes: int) -> list[tuple[str, nn.Module]]:
    alike = all(before == after for before, after in layer.padding)
    made = getattr(nn, f"ConvTranspose{axes}d")(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        stride=layer.stride,
        padding=tuple(before for before, _ in layer.padding) if alike else 0,
        output_padding=layer.output_padding,
        groups=layer.groups,
        bias=layer.bias,
        dilation=layer.dilation,
        device="meta",
    )
    crop = tuple((-before, -after) for before, after in layer.padding)
    return [("conv", made)] if alike else [("conv", made), ("crop", _pad(crop, "zeros", axes))]


def _read(made: Rewritten, axes: int) -> Sequential:
    return Sequential(tuple(layer_of(module, name).bind(axes) for name, module in made.named_children()))


def _normal(chain: Sequential) -> tuple[Layer, ...]:
    """The chain with the zero padding and the crop of convolutions written as layers of their own, and those that do nothing left out."""
    out: list[Layer] = []
    for layer in chain.layers:
        match layer:
            case Conv(padding=padding, padding_mode=mode):
                none = ((0, 0),) * len(padding)
                out += [Pad(padding, mode), _with(layer, padding=none, padding_mode="zeros")]
            case ConvTranspose(padding=padding):
                none = ((0, 0),) * len(padding)
                out += [_with(layer, padding=none), Pad(tuple((-before, -after) for before, after in padding))]
            case _:
                out.append(layer)
    return tuple(layer for layer in out if not _does_nothing(layer))


def _does_nothing(layer: Layer) -> bool:
    return isinstance(layer, Identity) or (isinstance(layer, Pad) and isinstance(layer.amounts, tuple) and not any(map(any, layer.amounts)))


def _with(layer: Layer, **fields: Any) -> Layer:
    return attrs.evolve(layer, **fields)

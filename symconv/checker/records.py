"""The objects of a certificate and their fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from .faults import Malformed
from .layers import (
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
from .syntax import Number, Reader, flag, listed, natural, number, optional, positive, radix, rational, record, row, whole, word

Index = tuple[int, ...]
FORMAT = "symconv.certificate/1"
MODES = word("zeros", "reflect", "replicate", "circular")
ORDERS = word("CRD", "DCR")
NONLINEARITIES = {name: () for name in "ReLU ReLU6 SELU Sigmoid LogSigmoid Tanh Tanhshrink SiLU Mish Softsign Hardswish Hardsigmoid".split()} | {
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "CELU": ("alpha",),
    "GELU": ("approximate",),
    "Softplus": ("beta", "threshold"),
    "Softshrink": ("lambd",),
    "Hardshrink": ("lambd",),
    "Hardtanh": ("min_val", "max_val"),
    "Threshold": ("threshold", "value"),
}


@dataclass(frozen=True)
class Functional:
    """A sum of rational multiples of operator entries, and the coefficient that it must show."""

    terms: tuple[tuple[Index, Index, Index, Number], ...]
    kernel: Index
    value: Number


Reshuffle = tuple[tuple[Index, Index, Number], ...]


@dataclass(frozen=True)
class Block:
    """A factor of the two families."""

    axes: Index
    inputs: Index
    outputs: Index
    left_dim: int
    right_dim: int
    both_dim: int
    forth: Reshuffle | None
    back: Reshuffle | None
    not_forth: Functional | None
    not_back: Functional | None


@dataclass(frozen=True)
class Part:
    """The weights or the bias of a stage."""

    in_digits: Index
    out_digits: Index
    blocks: tuple[Block, ...]
    flat: bool


@dataclass(frozen=True)
class Interior:
    """The bi-infinite question of a stage."""

    weights: Part
    bias: Part | None


@dataclass(frozen=True)
class Stage:
    """What lies between two nonlinearities, on both sides."""

    left: Index
    right: Index
    weights: Part
    bias: Part | None
    interior: Interior | None


@dataclass(frozen=True)
class Certificate:
    """The whole file."""

    axes: int
    in_channels: int
    left: tuple[Layer, ...]
    right: tuple[Layer, ...]
    claim: dict[str, Any]
    stages: tuple[Stage, ...] | None
    shapes: Index | None


def certificate(value: Any) -> Certificate:
    """The certificate that a JSON value spells; Malformed if it spells none."""
    if type(value) is not dict:
        raise Malformed("an object is needed")
    if value.get("format") != FORMAT:
        raise Malformed(f'"format" is not {FORMAT}')
    axes = value.get("axes")
    if type(axes) is not int or not 1 <= axes <= 3:
        raise Malformed('"axes" is not 1, 2 or 3')
    found: Certificate = _certificate(axes, "shapes" in value)(value)
    return found


@cache
def _certificate(axes: int, shapes: bool) -> Reader:
    layers, index = listed(_layer(axes)), listed(whole)
    functional = record(
        Functional, terms=listed(row(listed(natural), index, index, rational)), kernel=listed(natural), value=rational
    )
    reshuffle = listed(row(listed(natural), listed(natural), rational))
    block = record(
        _block,
        **{"axes": listed(natural), "in": listed(natural), "out": listed(natural)},
        **dict.fromkeys(("left_dim", "right_dim", "both_dim"), natural),
        **dict.fromkeys(("forth", "back"), optional(reshuffle)),
        **dict.fromkeys(("not_forth", "not_back"), optional(functional)),
    )
    part = record(Part, in_digits=listed(radix), out_digits=listed(radix), blocks=listed(block), flat=flag)
    interior = record(Interior, weights=part, bias=optional(part))
    places = listed(natural)
    stage = record(Stage, left=places, right=places, weights=part, bias=optional(part), interior=optional(interior))
    head = {"format": word(FORMAT), "axes": positive, "in_channels": positive, "left": layers, "right": layers, "claim": _claim()}
    if shapes:
        return record(_shapes, **head, shapes=record(lambda extents: extents, extents=listed(positive)))
    return record(_stages, **head, stages=listed(stage))


def _stages(format: str, **fields: Any) -> Certificate:
    return Certificate(**fields, shapes=None)


def _shapes(format: str, **fields: Any) -> Certificate:
    return Certificate(**fields, stages=None)


def _block(**fields: Any) -> Block:
    return Block(inputs=fields.pop("in"), outputs=fields.pop("out"), **fields)


def _claim() -> Reader:
    related = ("equal", "left_in_right", "right_in_left", "incomparable", "unknown", "shapes_differ")
    domain = record(dict, relation=word("same", "left_wider", "right_wider", "overlapping", "disjoint"), extents=optional(listed(positive)))
    dimension = record(dict, left=natural, right=natural, intersection=optional(natural))
    return record(
        dict,
        relation=word(*related),
        linear_relation=word(*related),
        interior_relation=optional(word(*related)),
        left_in_right=optional(flag),
        right_in_left=optional(flag),
        domain=domain,
        dimension=optional(dimension),
    )


def _layer(axes: int) -> Reader:
    def per_axis(reader: Reader) -> Reader:
        return row(*[reader] * axes)

    ones, margins = per_axis(positive), per_axis(row(natural, natural))
    channels = {"in_channels": positive, "out_channels": positive, "kernel": ones, "stride": ones, "padding": margins}
    tail = {"dilation": ones, "groups": positive, "bias": flag}
    kinds = {
        "Conv": record(Conv, **channels, **tail, padding_mode=MODES),
        "ConvTranspose": record(ConvTranspose, **channels, output_padding=per_axis(natural), **tail),
        "BatchNorm": record(BatchNorm, num_features=positive, spatial_axes=positive, eps=_eps, affine=flag, track_running_stats=flag),
        "Shuffle": record(Shuffle, factor=ones, order=ORDERS),
        "Unshuffle": record(Unshuffle, factor=ones, order=ORDERS),
        "ChannelShuffle": record(ChannelShuffle, groups=positive),
        "ZeroInsert": record(ZeroInsert, factor=ones),
        "Pad": record(lambda amounts, mode: Pad(amounts, mode), amounts=per_axis(row(whole, whole)), mode=MODES),
        "Upsample": record(
            lambda factor, mode, align_corners: Upsample(factor, mode, align_corners),
            factor=ones,
            mode=word("nearest", "nearest-exact", "linear", "cubic"),
            align_corners=flag,
        ),
        "AvgPool": record(
            AvgPool,
            kernel=ones,
            stride=ones,
            padding=per_axis(natural),
            ceil_mode=flag,
            count_include_pad=flag,
            divisor_override=optional(whole),
        ),
        "Identity": record(Identity),
        "Pointwise": _pointwise,
        "PReLU": record(PReLU, num_parameters=positive),
    }

    def read(value: Any) -> Layer:
        kind = value.get("type") if type(value) is dict else None
        if type(kind) is not str or kind not in kinds:
            raise Malformed("a layer of a known type is needed")
        found: Layer = kinds[kind]({name: field for name, field in value.items() if name != "type"})
        return found

    return read


def _eps(value: Any) -> float:
    if number(value) < 0:
        raise Malformed("a number of at least 0 is needed")
    return float(value)


def _pointwise(value: Any) -> Pointwise:
    names = NONLINEARITIES.get(value.get("name")) if type(value.get("name")) is str else None
    if names is None:
        raise Malformed("a nonlinearity of a known name is needed")
    values = [word("none", "tanh") if name == "approximate" else number for name in names]
    pairs = row(*[row(word(name), reader) for name, reader in zip(names, values, strict=True)])
    found: Pointwise = record(Pointwise, name=word(*NONLINEARITIES), arguments=pairs)(value)
    return found

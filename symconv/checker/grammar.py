"""The fields of every object in a certificate, and a Layer for every layer."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from .faults import Malformed
from .layers import Layer
from .syntax import CAP, maybe, read

RELATION = {"equal", "left_in_right", "right_in_left", "incomparable", "unknown", "shapes_differ"}
DOMAIN = {"same", "left_wider", "right_wider", "overlapping", "disjoint"}
MODE, ORDER, INTERPOLATION = {"zeros", "reflect", "replicate", "circular"}, {"CRD", "DCR"}, {"nearest", "nearest-exact", "linear", "cubic"}
PLAIN = "ReLU ReLU6 SELU Sigmoid LogSigmoid Tanh Tanhshrink SiLU Mish Softsign Hardswish Hardsigmoid"
ARGUMENTS: dict[str, dict[str, Any]] = {name: {} for name in PLAIN.split()} | {
    "LeakyReLU": {"negative_slope": float},
    "ELU": {"alpha": float},
    "CELU": {"alpha": float},
    "GELU": {"approximate": {"none", "tanh"}},
    "Softplus": {"beta": float, "threshold": float},
    "Softshrink": {"lambd": float},
    "Hardshrink": {"lambd": float},
    "Hardtanh": {"min_val": float, "max_val": float},
    "Threshold": {"threshold": float, "value": float},
}
INDEX, POSITION = [0], [-CAP]
FUNCTIONAL = {"terms": [(INDEX, POSITION, POSITION, Fraction)], "kernel": INDEX, "value": Fraction}
BLOCK = {
    **dict.fromkeys(("axes", "in", "out"), INDEX),
    **dict.fromkeys(("left_dim", "right_dim", "both_dim"), 0),
    **dict.fromkeys(("forth", "back"), maybe([(INDEX, INDEX, Fraction)])),
    **dict.fromkeys(("not_forth", "not_back"), maybe(FUNCTIONAL)),
}
PART = {"in_digits": [2], "out_digits": [2], "blocks": [BLOCK], "flat": bool}
PARTS = {"weights": PART, "bias": maybe(PART)}
STAGE = {"left": INDEX, "right": INDEX, **PARTS, "interior": maybe(PARTS)}
CLAIM = {
    **dict.fromkeys(("relation", "linear_relation"), RELATION),
    "interior_relation": maybe(RELATION),
    **dict.fromkeys(("left_in_right", "right_in_left"), maybe(bool)),
    "domain": {"relation": DOMAIN, "extents": maybe([1])},
    "dimension": maybe({"left": 0, "right": 0, "intersection": maybe(0)}),
}


@cache
def _layers(axes: int) -> dict[str, dict[str, Any]]:
    """The fields of every layer on so many axes, but for "type"."""
    ones, counts, pairs = (1,) * axes, (0,) * axes, ((0, 0),) * axes
    weights = {"in_channels": 1, "out_channels": 1, "kernel": ones, "stride": ones, "padding": pairs, "dilation": ones}
    return {
        "Conv": {**weights, "groups": 1, "bias": bool, "padding_mode": MODE},
        "ConvTranspose": {**weights, "output_padding": counts, "groups": 1, "bias": bool},
        "BatchNorm": {"num_features": 1, "spatial_axes": 1, "eps": float, "affine": bool, "track_running_stats": bool},
        "Shuffle": {"factor": ones, "order": ORDER},
        "Unshuffle": {"factor": ones, "order": ORDER},
        "ChannelShuffle": {"groups": 1},
        "ZeroInsert": {"factor": ones},
        "Pad": {"amounts": ((-CAP, -CAP),) * axes, "mode": MODE},
        "Upsample": {"factor": ones, "mode": INTERPOLATION, "align_corners": bool},
        "AvgPool": {"kernel": ones, "stride": ones, "padding": counts, **dict.fromkeys(("ceil_mode", "count_include_pad"), bool)}
        | {"divisor_override": maybe(-CAP)},
        "Identity": {},
        "Pointwise": {"name": set(ARGUMENTS)},
        "PReLU": {"num_parameters": 1},
    }


WEIGHTS = "symconv.weights/1"
ARRAY = {"shape": [1], "float64": str}
VALUES = dict.fromkeys(("kernel", "bias", "mean", "variance"), maybe(ARRAY))


def weights_certificate(value: dict[str, Any]) -> dict[str, Any]:
    """A weighted certificate's fields, with layers made; Malformed if it is not in the format."""
    fields = {**_chains(value), "format": {WEIGHTS}, "left_weights": [maybe(VALUES)], "right_weights": [maybe(VALUES)]}
    fields["stages"] = [{"left": INDEX, "right": INDEX, "distance": Fraction}]
    fields["claim"] = {"relation": {"identical", "different"}, "distance": Fraction, "domain": CLAIM["domain"]}
    found: dict[str, Any] = read(fields, value)
    return found


def certificate(value: Any) -> dict[str, Any]:
    """The certificate's fields, with layers made; Malformed if it is not in the format."""
    fields = {**_chains(value), "format": {"symconv.certificate/1"}, "claim": CLAIM}
    fields |= {"extents": [1]} if "extents" in value else {}
    fields |= {"shapes": {"extents": [1]}} if "shapes" in value else {"stages": [STAGE]}
    found: dict[str, Any] = read(fields, value)
    return found


def _chains(value: Any) -> dict[str, Any]:
    """The fields that every certificate has, for its number of axes; Malformed if it has none."""
    axes = value.get("axes") if type(value) is dict else None
    if type(axes) is not int or not 1 <= axes <= 3:
        raise Malformed("an object with 1, 2 or 3 axes is needed")

    def layer(value: Any) -> Layer:
        kind = str(value.get("type")) if type(value) is dict else ""
        fields = {"type": set(_layers(axes)), **_layers(axes).get(kind, {})}
        if kind == "Pointwise":
            wanted = ARGUMENTS.get(str(value.get("name")), {})
            fields["arguments"] = tuple(({name}, spec) for name, spec in wanted.items())
        return Layer(kind, read(fields, value), axes)

    return {"axes": 1, "in_channels": 1, "left": [layer], "right": [layer]}

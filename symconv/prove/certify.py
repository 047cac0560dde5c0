"""From results to a certificate record, and its acceptance by the independent checker.

Owns: the correspondence between results and docs/reference/certificate-format.md.
Must not know: how results were found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symconv.certificate.encode import FORMAT, layer_record, rational
from symconv.errors import InternalError
from symconv.layers import Layer, Weights
from symconv.layers.base import LIMIT
from symconv.prove.blocks import BlockResult, Functional
from symconv.prove.linear import Reshuffle
from symconv.prove.stage import PartResult, StageResult


def certificate(
    axes: int, channels: int, left: Sequence[Layer], right: Sequence[Layer], claim: dict[str, Any], at: tuple[int, ...] | None = None
) -> dict[str, Any]:
    """The certificate's frame; `stages` or `shapes` is added by the caller."""
    scope = {} if at is None else {"extents": list(at)}
    return {
        "format": FORMAT,
        "axes": axes,
        "in_channels": channels,
        **scope,
        "left": [layer_record(layer) for layer in left],
        "right": [layer_record(layer) for layer in right],
        "claim": claim,
    }


def stage_record(stage: StageResult, left: Sequence[int], right: Sequence[int]) -> dict[str, Any]:
    """A STAGE; `left` and `right` are the positions of its layers in the chains."""
    interior = None
    if stage.interior is not None and stage.interior_known:
        interior = {"weights": _part(stage.interior[0]), "bias": _part(stage.interior[1])}
    return {
        "left": list(left),
        "right": list(right),
        "weights": _part(stage.weights),
        "bias": _part(stage.bias),
        "interior": interior,
    }


def _part(part: PartResult | None) -> dict[str, Any] | None:
    if part is None:
        return None
    return {
        "in_digits": list(part.in_digits),
        "out_digits": list(part.out_digits),
        "blocks": [_block(block) for block in part.blocks],
        "flat": part.flat,
    }


def _block(result: BlockResult) -> dict[str, Any]:
    return {
        "axes": list(result.block.axes),
        "in": list(result.block.in_digits),
        "out": list(result.block.out_digits),
        "left_dim": result.left,
        "right_dim": result.right,
        "both_dim": result.both,
        "forth": _reshuffle(result.forth),
        "back": _reshuffle(result.back),
        "not_forth": _functional(result.not_forth),
        "not_back": _functional(result.not_back),
    }


def _reshuffle(reshuffle: Reshuffle | None) -> list[Any] | None:
    if reshuffle is None:
        return None
    return [[list(v), list(w), rational(c)] for v, form in sorted(reshuffle.items()) for w, c in sorted(form.items())]


def _functional(functional: Functional | None) -> dict[str, Any] | None:
    if functional is None:
        return None
    terms = [[list(place.extents), list(place.out), list(place.into), rational(c)] for place, c in functional.terms]
    return {"terms": terms, "kernel": list(functional.kernel), "value": rational(functional.value)}


LONGEST = 1500
"""Digits of a numerator or denominator in the format, at most."""
TOO_LARGE = "too large for the checker's budget"


def accept(record: dict[str, Any]) -> bool:
    """Runs the independent checker on a certificate of our own making: True if accepted, False if too large for it.

    Raises:
        InternalError: it was rejected, which is a bug in the engine or in the checker.
    """
    from symconv.checker import Malformed, check_certificate

    try:
        result = check_certificate(record)
    except Malformed:
        if _largest(record) > LIMIT or _has_long_rational(record):  # a dimension, say, of 2**40 by 2**40 channels
            return False
        raise
    if not result.accepted and result.reason == TOO_LARGE:
        return False
    if not result.accepted:
        raise InternalError(f"the independent checker rejects symconv's own certificate at {result.place}: {result.reason}")
    return True


def _largest(value: Any) -> int:
    """The largest magnitude of an integer in a record."""
    if isinstance(value, (dict, list)):
        return max(map(_largest, value.values() if isinstance(value, dict) else value), default=0)
    return abs(value) if isinstance(value, int) else 0


def _has_long_rational(value: Any) -> bool:
    """Whether a record holds a rational with more digits than the format has."""
    if isinstance(value, (dict, list)):
        return any(map(_has_long_rational, value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and len(value) > LONGEST and all(part.isdigit() for part in value.removeprefix("-").split("/"))


WEIGHTS_FORMAT = "symconv.weights/1"


def weights_record(weights: Sequence[Weights | None]) -> list[dict[str, Any] | None]:
    """The weights of a chain as the format's WEIGHTS objects."""
    names = ("kernel", "bias", "mean", "variance")
    return [None if w is None else {name: _array(getattr(w, name)) for name in names} for w in weights]


def _array(values: Any) -> dict[str, Any] | None:
    if values is None:
        return None
    import base64

    import numpy as np

    doubles = np.ascontiguousarray(values, dtype="<f8")
    return {"shape": list(doubles.shape), "float64": base64.b64encode(doubles.tobytes()).decode()}

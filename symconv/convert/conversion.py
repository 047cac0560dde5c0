"""What a conversion says: a frozen record with the fields of the JSON contract, and the moving of weights.

Owns: `Conversion`, `Candidate`, `convert_weights`.
Must not know: how candidates are made or decided, torch.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import attrs

from symconv.convert.cost import Cost
from symconv.errors import LayerError
from symconv.layers import Layer
from symconv.prove.reshuffle import Reshuffle, bias_length, kernel_shape
from symconv.theory.relation import DomainRelation, Relation
from symconv.theory.verdict import Verdict

SCHEMA = "symconv.convert/1"


@attrs.frozen(kw_only=True)
class Candidate:
    """One layer that a formula proposed and the deciders judged.

    Args:
        text: the layer as an expression.
        alignment: which formula; see `symconv.convert.forms`.
        relation, domain: how the source compares with it.
        multiplications: for each input sample position, in the limit of large extents.
        parameters: of all its layers.
        kernel: its taps per axis.
        chosen: whether it is the answer.
    """

    text: str
    alignment: str
    relation: Relation
    domain: DomainRelation | None
    multiplications: Fraction
    parameters: int
    kernel: tuple[int, ...]
    chosen: bool = False


@attrs.frozen(kw_only=True)
class Conversion:
    """The answer to one request for a form.

    Args:
        source: the layer as an expression.
        to: the form asked for.
        target: the converted layer as an expression, or None.
        target_layer: the same as a layer.
        verdict: source against target; without a target, source against the closest candidate.
        reshuffle: where the source's parameters go, or None without a target. For a source without parameters it
            starts from a depthwise 1x1 convolution before the source, whose kernel of ones is that source.
        candidates: everything that was decided.
        before, after: costs of source and target.
        notes: sentences for the reader.
        reason: why there is no target ("no: because ..." or "unknown: ..."), or None.
        witness: data that shows it, replayable, or None.
    """

    source: str
    to: str
    target: str | None = None
    target_layer: Layer | None = None
    verdict: Verdict | None = None
    reshuffle: Reshuffle | None = None
    candidates: tuple[Candidate, ...] = ()
    before: Cost
    after: Cost | None = None
    notes: tuple[str, ...] = ()
    reason: str | None = None
    witness: dict[str, Any] | None = None

    @property
    def cost(self) -> dict[str, dict[str, str | int] | None]:
        """Multiplications for each input sample position ("p/q") and parameters, before and after."""
        return {"before": _cost(self.before), "after": None if self.after is None else _cost(self.after)}

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, with plain values only; the reshuffle is in the verdict's certificate."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "to": self.to,
            "target": self.target,
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "candidates": [attrs.asdict(candidate, value_serializer=_plain) for candidate in self.candidates],
            "cost": self.cost,
            "notes": list(self.notes),
            "reason": self.reason,
            "witness": self.witness,
        }


def convert_weights(conversion: Conversion, kernel: Any = None, bias: Any = None) -> tuple[Any, Any]:
    """(kernel, bias) of the converted layer.

    Args:
        conversion: one with a target.
        kernel, bias: the source's, in PyTorch's layouts; None for a source without parameters.

    Returns:
        numpy arrays in PyTorch's layouts. Entries are moved bit for bit where the reshuffle only moves them.

    Raises:
        LayerError: there is no target, or the arrays have another shape than the source's parameters.
    """
    import numpy as np

    move = conversion.reshuffle
    if move is None:
        raise LayerError(f"there are no weights to convert: {conversion.reason or 'the converted layer has no parameters'}")
    if kernel is None:
        kernel = np.ones(kernel_shape(move.source))
    _check("kernel", kernel.shape, kernel_shape(move.source))
    if bias is not None:
        _check("bias", bias.shape, (bias_length(move.source),) if move.bias is not None else ())
    return move.apply(kernel, bias)


def _check(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if tuple(found) != wanted:
        raise LayerError(f"`{name}` must have shape {wanted}; found {tuple(found)}. Give the source layer's own array.")


def _cost(cost: Cost) -> dict[str, str | int]:
    return {"multiplications": str(cost.multiplications), "parameters": cost.parameters}


def _plain(_: Any, __: Any, value: Any) -> Any:
    if isinstance(value, (Relation, DomainRelation)):
        return value.value
    if isinstance(value, Fraction):
        return str(value)
    return list(value) if isinstance(value, tuple) else value

"""The Python interface: what `import symconv` offers.

Owns: turning what users pass (expressions, layers, modules, references) into chains, and the choice of decider.
Must not know: terminals, exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import CertificateError, ModelError
from symconv.layers import Layer, Sequential, WeightedNetwork
from symconv.operators.budget import DEFAULT_SECONDS
from symconv.theory.verdict import Verdict

LayerLike = Any
"""An expression, a `package.module:attribute` reference, a Layer, a WeightedNetwork or a torch.nn.Module."""


def as_network(layer: LayerLike) -> Layer | WeightedNetwork:
    """What a user passed as a chain of layers, with weights if it has any.

    Raises:
        ExpressionError: an expression that does not parse.
        ModelError: a reference that does not load, or an object that is no layer.
    """
    if isinstance(layer, (Layer, WeightedNetwork)):
        return layer
    if isinstance(layer, str):
        from symconv.frontends.reference import is_reference, load
        from symconv.frontends.text import parse

        return load(layer) if is_reference(layer) else parse(layer)
    if any(base.__module__.startswith("torch.nn.") and base.__name__ == "Module" for base in type(layer).__mro__):
        from symconv.frontends.torch_modules import from_module

        return from_module(layer)
    raise ModelError(
        f"a layer must be an expression, a `package.module:attribute`, a Layer or a torch.nn.Module; found {type(layer).__name__}."
    )


def weightless(network: Layer | WeightedNetwork) -> Layer:
    """The chain without its weights."""
    return network.layer if isinstance(network, WeightedNetwork) else network


def has_weights(network: Layer | WeightedNetwork) -> bool:
    """Whether the chain carries concrete parameters."""
    return isinstance(network, WeightedNetwork)


def check(
    left: LayerLike,
    right: LayerLike,
    *,
    channels: int | None = None,
    extents: Sequence[int] | None = None,
    budget: float = DEFAULT_SECONDS,
    presburger: bool = True,
) -> Verdict:
    """Decides whether two layers are the same, for every kernel, input and extent.

    Two layers with weights (modules, references) are compared as functions; otherwise their function classes are.

    Args:
        left, right: expressions, references, layers or modules.
        channels: input channels, where no layer says how many.
        extents: compare at these input extents only (one a spatial axis), in samples.
        budget: seconds; when they run out the verdict is `unknown`.
        presburger: whether Z3 decides the inclusions a second time, with symbolic extents.

    Returns:
        A frozen verdict; `.to_dict()` is what `symconv check --json` prints.

    Raises:
        UsageError: an argument is not a layer, or the two cannot be compared.

    >>> check("Conv1d(1, 1, 3, padding=1)", "Conv1d(1, 1, 3, padding=1, padding_mode='circular')").relation.value
    'incomparable'
    """
    one, two = as_network(left), as_network(right)
    if isinstance(one, WeightedNetwork) and isinstance(two, WeightedNetwork):
        from symconv.prove.weighted import decide_weighted

        if extents is not None:
            raise ModelError("`extents` is for layers without weights; layers with weights are compared at all extents. Leave it out.")
        return decide_weighted(one, two, channels=channels, seconds=budget)
    from symconv.prove.decide import decide

    at = None if extents is None else tuple(extents)
    verdict = decide(weightless(one), weightless(two), channels=channels, extents=at, seconds=budget, presburger=presburger)
    if has_weights(one) or has_weights(two):
        note = "only one side carries weights, so the layers are compared as classes and its weights are left out"
        verdict = attrs.evolve(verdict, assumptions=(*verdict.assumptions, note))
    return verdict


def convert(layer: LayerLike, to: str, *, channels: int | None = None, budget: float = DEFAULT_SECONDS) -> Any:
    """The equivalent layer of another form, with the reshuffle of its kernel and a certificate.

    Args:
        layer: an expression, reference, layer or module.
        to: lr-shuffle, transposed, zero-insertion or unshuffle.
        channels: input channels, where no layer says how many.
        budget: seconds.

    Returns:
        A `Conversion`; its `reason` says why not, where there is no such form.
    """
    from symconv.convert.layer import convert_layer

    return convert_layer(weightless(as_network(layer)), to, channels=channels, budget=budget)


@attrs.frozen
class Verification:
    """What the independent checker says of a certificate.

    Args:
        accepted: whether every claim in it holds.
        reason: why not, or "".
        place: where in the certificate.
        claim: the claim that holds, or None.
    """

    accepted: bool
    reason: str
    place: str
    claim: dict[str, Any] | None


def verify(certificate: str | Path | dict[str, Any]) -> Verification:
    """Runs the independent checker on a certificate (a file's path, or the object itself).

    Raises:
        CertificateError: it cannot be read, or is malformed.
    """
    from symconv.certificate.encode import read
    from symconv.checker import Malformed, check_certificate

    record = certificate if isinstance(certificate, dict) else read(Path(certificate))
    try:
        result = check_certificate(record)
    except Malformed as error:
        raise CertificateError(f"the certificate is malformed: {error}") from error
    return Verification(result.accepted, result.reason, result.place, result.claim)


__all__ = ["Layer", "Sequential", "Verdict", "Verification", "WeightedNetwork", "check", "convert", "verify"]

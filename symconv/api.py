"""The Python interface: what `import symconv` offers.

Owns: turning what users pass (expressions, layers, modules, references) into chains, and the choice of decider.
Must not know: terminals, exit codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import CertificateError, ModelError
from symconv.layers import Layer, Sequential, WeightedNetwork
from symconv.operators.budget import DEFAULT_SECONDS
from symconv.theory.verdict import Verdict

LayerLike = Any
"""An expression, a `package.module:attribute` reference, an ONNX file or a node of one, a Layer, a WeightedNetwork or a torch.nn.Module."""


def as_network(layer: LayerLike) -> Layer | WeightedNetwork:
    """What a user passed as a chain of layers, with weights if it has any.

    Raises:
        ExpressionError: an expression that does not parse.
        ModelError: a reference that does not load, or an object that is no layer.
    """
    if isinstance(layer, (Layer, WeightedNetwork)):
        return layer
    if isinstance(layer, str):
        from symconv.frontends import model_files
        from symconv.frontends.reference import is_reference, load
        from symconv.frontends.text import parse

        if model_files.is_model_file(layer):
            return model_files.layers(layer)
        return load(layer) if is_reference(layer) else parse(layer)
    if _is_module(layer):
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
    return isinstance(network, WeightedNetwork) and any(weights is not None for weights in network.weights)


def known_channels(*networks: Layer | WeightedNetwork) -> int | None:
    """The input channels that a model says one of its parts has, where two of them do not contradict each other."""
    found = {network.channels for network in networks if isinstance(network, WeightedNetwork)} - {None}
    return found.pop() if len(found) == 1 else None


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
    channels = channels or known_channels(one, two)
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


def convert(
    layer: LayerLike,
    to: str,
    *,
    channels: int | None = None,
    budget: float = DEFAULT_SECONDS,
    only: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    tie: bool = False,
    fold: bool = False,
    target: str | Iterable[str] = (),
    common_extents: bool = False,
    example: Any = None,
    seconds: float = 4.0,
) -> Any:
    """The equivalent layer of another form, with its kernel's reshuffle and a certificate; or a whole module with its layers rewritten.

    Args:
        layer: an expression or a layer; or a torch.nn.Module, or a reference to one.
        to: lr-shuffle, transposed, zero-insertion or unshuffle; for modules also fastest.
        channels: input channels, where no layer says how many.
        budget: seconds.
        only, exclude: modules: shell patterns of the layers' dotted names.
        tie: modules: keep the given parameters and compute the converted ones from them, so that training stays in the given class.
        fold: modules: drop parametrizations such as weight_norm, and keep the weights that they make.
        target: modules: what the target cannot run, such as "max-stride=2,no-groups".
        common_extents: modules: whether a form that accepts fewer extents will do.
        example: fastest: an input of the module, or a tuple of its arguments, as it is to be run.
        seconds: fastest: to measure each layer; `budget` is for its proofs.

    Returns:
        For a layer a `Conversion`; its `reason` says why not, where there is no such form. For a module a `ModuleConversion`: `.module`
        is a new module with every eligible layer rewritten and its weights moved, `.layers` says what was done to each, and
        `.convert_state_dict` and `.revert_state_dict` map checkpoints. For fastest a `FastestConversion`: `.module` executes every layer
        in the fastest certified way, with the same parameters under the same names; `.layers` holds the measurements.

    Raises:
        UsageError: an unknown form, options that do not fit, or what is not a layer.
    """
    module = _module(layer)
    if to == "fastest":
        from symconv.convert.fastest import Setting, convert_to_fastest

        if module is None or example is None:
            raise ModelError("`to='fastest'` needs a module and an `example` input to measure it with.")
        if tie or target or common_extents or channels is not None:
            raise ModelError("`tie`, `target`, `common_extents` and `channels` do not go with `to='fastest'`. Leave them out.")
        return convert_to_fastest(module, example, only=only, exclude=exclude, fold=fold, setting=Setting(seconds=seconds, budget=budget))
    if example is not None:
        raise ModelError("`example` is for `to='fastest'`. Leave it out.")
    if module is not None:
        from symconv.convert.torch_modules import convert_module

        if channels is not None:
            raise ModelError("`channels` is for expressions; a module's layers say how many they have. Leave it out.")
        options: dict[str, Any] = {
            "only": only,
            "exclude": exclude,
            "tie": tie,
            "fold": fold,
            "target": target,
            "common_extents": common_extents,
        }
        return convert_module(module, to, budget=budget, **options)
    if only or exclude or tie or fold or target or common_extents:
        raise ModelError(
            "`only`, `exclude`, `tie`, `fold`, `target` and `common_extents` are for modules, not for expressions. Leave them out."
        )
    from symconv.convert.layer import convert_layer

    return convert_layer(weightless(as_network(layer)), to, channels=channels, budget=budget)


def _module(layer: LayerLike) -> Any:
    """The nn.Module that a user passed or named, or None."""
    if isinstance(layer, str):
        from symconv.frontends import model_files
        from symconv.frontends.reference import is_reference, load_module

        return load_module(layer) if is_reference(layer) and not model_files.is_model_file(layer) else None
    return layer if _is_module(layer) else None


def _is_module(layer: object) -> bool:
    """Whether it is a torch.nn.Module, without importing torch to ask."""
    return any(base.__module__.startswith("torch.nn.") and base.__name__ == "Module" for base in type(layer).__mro__)


def icnr_(target: Any, factor: int | Sequence[int] | None = None, order: str = "crd", init: Any = None) -> Any:
    """Fills a kernel in place so that its layer starts as a nearest-neighbour resize; see `symconv.convert.torch_modules.icnr_`."""
    from symconv.convert.torch_modules import icnr_ as fill

    return fill(target, factor, order, init)


def embed(network: LayerLike, *, channels: int | None = None, budget: float = DEFAULT_SECONDS) -> Any:
    """The low-resolution network that computes what a high-resolution network does: theorems 4, 14 and 22 of the corpus, applied.

    The network upsamples first (a transposed convolution, a resize, PixelShuffle) and then convolves in high resolution, with pointwise
    nonlinearities anywhere. What comes out convolves in low resolution and shuffles in the end.

    Args:
        network: an expression, reference, layer or module; the weights of a module move along.
        channels: input channels, where no layer says how many.
        budget: seconds.

    Returns:
        An `Embedding`: `network` is what `check` and `to_module` take, `steps` are certified one by one, `exact` says that no weight
        had to be rounded.

    Raises:
        UsageError: the argument is no network.
        OutsideFragment: some part has no such form; the message says which.

    >>> embed("Upsample(scale_factor=2) >> Conv2d(1, 3, 5, padding=2) >> ReLU() >> Conv2d(3, 1, 3, padding=1)").target
    'Conv2d(1, 12, 3, padding=1) >> ReLU() >> Conv2d(12, 4, 3, padding=1) >> PixelShuffle(2)'
    """
    from symconv.convert.embed import embed_network

    return embed_network(as_network(network), channels=channels, seconds=budget)


def project(layer: LayerLike, onto: LayerLike, *, budget: float = DEFAULT_SECONDS) -> Any:
    """The member of the class `onto` that is nearest to a layer with weights, and its exact distance.

    Args:
        layer: a module, reference or `WeightedNetwork` with one convolution.
        onto: a layer or expression whose class is contained in the layer's own: say, `PixelShuffle(2) >> Conv2d(1, 1, 3, padding=1)`
            in `Conv2d(4, 4, 3, padding=1) >> PixelShuffle(2)`.
        budget: seconds.

    Returns:
        A `Projection`: `squared_distance` is a Fraction, 0 iff the layer is in the class.

    Raises:
        UsageError: an argument is not a layer, the layer carries no weights, or the class is not contained in its own.
        OutsideFragment: that could not be decided.
    """
    from symconv.convert.project import project_layer

    given = as_network(layer)
    if not isinstance(given, WeightedNetwork):
        raise ModelError("`layer` must carry weights: give a module, or package.module:attribute.")
    return project_layer(given, weightless(as_network(onto)), seconds=budget)


def to_module(network: LayerLike, dtype: Any = None) -> Any:
    """A network as a torch.nn.Sequential in evaluation mode; parameters are float64 if no other dtype is given.

    Args:
        network: a layer or a `WeightedNetwork`, such as the `network` of an embedding; without weights all parameters are zero.
        dtype: torch's.
    """
    from symconv.conformance import torch_oracle
    from symconv.prove.decide import DEFAULT_AXES

    given = as_network(network)
    layer = weightless(given)
    weights = given.weights if isinstance(given, WeightedNetwork) else None
    kind = {} if dtype is None else {"dtype": dtype}
    return torch_oracle.to_module(layer, layer.axes or DEFAULT_AXES, weights=weights, **kind)


def diff(
    left: Any,
    right: Any,
    *,
    budget: float = DEFAULT_SECONDS,
    up_to: Any = None,
    run: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Any:
    """Compares two whole models: aligned by structure, linear stretches as operators for all extents, the rest by congruence.

    Args:
        left, right: ONNX files, `package.module:attribute` references or torch.nn.Modules.
        budget: seconds; what is not decided by then is `unknown`.
        up_to: parts at a proved distance of at most this count as equal up to a distance (a number or a Fraction).
        run: whether the models are run, to show at the output what differs inside.
        progress: told how many parts are decided, and of how many.

    Returns:
        A frozen comparison; `.to_dict()` is what `symconv diff --json` prints.

    Raises:
        UsageError: an argument is no model, or the models take different numbers of inputs.
    """
    from fractions import Fraction

    from symconv.conformance.model_diff import diff as compare

    return compare(left, right, seconds=budget, up_to=None if up_to is None else Fraction(up_to), run=run, progress=progress)


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


__all__ = [
    "Layer",
    "Sequential",
    "Verdict",
    "Verification",
    "WeightedNetwork",
    "check",
    "convert",
    "diff",
    "embed",
    "icnr_",
    "project",
    "to_module",
    "verify",
]

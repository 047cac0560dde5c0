"""The forms of a layer in ONNX Runtime, raced like PyTorch's.

Owns: `measure`. Must not know: columns, how models are spelled.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from symconv.errors import LayerError, OutsideFragment, UsageError
from symconv.layers import Layer, Weights

if TYPE_CHECKING:
    from symconv.app.bench import Options
    from symconv.convert.fastest import Choice, Row
    from symconv.convert.fastest.equivalents import Form, Forms

Session = Callable[[Any], Any]
SIGNIFICAND = 24
"""Bits of float32's: sums of integers that they hold have no rounding."""


@attrs.frozen
class _Candidate:
    """A spelling of a form, ready to run on integers and on random weights."""

    row: Row
    session: Session


def measure(layer: Layer, shape: tuple[int, ...], options: Options, progress: Callable[[str], None]) -> Choice:
    """Every spelling of every form, compared on integers, then raced.

    Raises:
        UsageError: ONNX Runtime is absent, or an option is not for it.
        LayerError: the layer has no spelling that runs.
    """
    from symconv.convert.fastest import Choice
    from symconv.convert.fastest.equivalents import certified_forms
    from symconv.convert.fastest.processor import processor
    from symconv.convert.fastest.ranking import contest

    _require(options)
    progress("proving")
    forms = certified_forms(layer, channels=shape[1], budget=options.budget)
    threads = options.threads or os.cpu_count() or 1
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, dtype=np.float32)
    progress("comparing")
    kept, refused = _candidates(forms, shape, options, threads)
    if not kept or kept[0].row.form != "given":
        raise LayerError(f"`{forms.source}` does not run in ONNX Runtime: {refused[0].reason if refused else 'it has no spelling'}.")
    calls = [lambda own=own: own.session(x) for own in kept]
    outcome = contest(calls, options.seconds, clock=options.clock, progress=progress)
    return Choice(
        source=forms.source,
        shape=shape,
        device=f"ONNX Runtime, cpu: {processor()}",
        dtype="float32",
        threads=threads,
        clock=options.clock,
        rows=(*outcome.rows([own.row for own in kept]), *refused),
        control=outcome.control,
        confirmed=outcome.confirmed,
        cached=False,
        forms=forms,
    )


def _require(options: Options) -> None:
    if options.device not in ("cpu", "auto") or options.dtype != "float32":
        raise UsageError("`--runtime onnxruntime` measures on the cpu in float32. Leave `--device` and `--dtype` out.")
    from symconv.conformance.model_session import require

    require("onnxruntime")
    try:
        importlib.import_module("symconv.conformance.onnx_forms")
    except ImportError as error:
        raise UsageError(f"`--runtime onnxruntime` needs onnx and onnxruntime: pip install 'symconv[onnx]' ({error}).") from error


def _candidates(forms: Forms, shape: tuple[int, ...], options: Options, threads: int) -> tuple[list[_Candidate], list[Row]]:
    from symconv.conformance.onnx_session import session
    from symconv.convert.fastest import Row
    from symconv.convert.fastest.account import chain_account
    from symconv.convert.fastest.summands import largest_integer, terms

    rng = np.random.default_rng(1)
    most = largest_integer(terms(forms.found[0].layers), SIGNIFICAND)
    if not most:
        raise LayerError(f"`{forms.source}` has too many terms in a sum to be compared on integers in float32.")

    def integral(wanted: tuple[int, ...]) -> Any:
        return rng.integers(-most, most + 1, wanted).astype(np.float32)

    def normal(wanted: tuple[int, ...]) -> Any:
        return rng.standard_normal(wanted, dtype=np.float32)

    from symconv.conformance.onnx_forms import random_weights

    given = forms.found[0].layers
    whole, real = random_weights(given, integral), random_weights(given, normal)
    tests = [integral(wanted) for wanted in _shapes(forms, shape)]
    reference: Session | None = None
    kept, refused = [], []
    for form in forms.found:
        counts = chain_account(form.layers, forms.axes, forms.channels, shape)
        for (name, why, exact), (_, _, plain) in zip(_spelled(form, forms, whole), _spelled(form, forms, real), strict=True):
            row = Row(
                form=form.name,
                engine="given" if form.name == "given" and name == "as is" else name,
                why=why,
                status="measured",
                multiplications=counts.multiplications,
                bytes=4 * counts.moved,
                weight_bytes=4 * counts.weights,
            )
            try:
                tried = session(exact(), "cpu", threads)
                reason = None if reference is None else _differs(reference, tried, tests)
                reference = reference or tried
                if reason is None:
                    kept.append(_Candidate(row, session(plain(), "cpu", threads)))
                    kept[-1].session(np.zeros(shape, np.float32))
                    continue
            except (RuntimeError, OutsideFragment) as error:
                reason = str(error).splitlines()[0]
            refused.append(attrs.evolve(row, status="refused", reason=reason))
    return kept, refused


def _spelled(form: Form, forms: Forms, given: Sequence[Weights | None]) -> Iterator[Any]:
    from symconv.conformance.onnx_forms import spellings

    weights = list(given)
    if form.reshuffle is not None:
        own = next(item for item in given if item is not None)
        kernel, bias = form.reshuffle.apply(own.kernel, own.bias)
        weights = [Weights(kernel=kernel, bias=bias) if layer == form.reshuffle.target else None for layer in form.layers]
    return spellings(form.layers, forms.axes, forms.channels, weights, "float32")


def _differs(reference: Session, tried: Session, tests: Sequence[Any]) -> str | None:
    compared = 0
    for x in tests:
        try:
            wanted = reference(x)
        except RuntimeError:
            continue  # the layer refuses the extents
        made = tried(x)
        compared += 1
        if made.shape != wanted.shape or not np.array_equal(made, wanted):
            return f"at {x.shape} it gives other numbers than the layer"
    return None if compared else "not compared: the layer accepts none of the extents that were tried"


def _shapes(forms: Forms, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    starts = [(1, 1), (2, 2), (1, 5), (1, 8)]
    return [(batch, shape[1], *range(start, start + forms.axes)) for batch, start in starts] + [shape]

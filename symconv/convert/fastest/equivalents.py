"""The certified forms of a layer: every chain that may be executed in its place.

Owns: `Form`, `certified_forms`.
Must not know: how chains are executed or how long they take; torch.

A form counts only with a certificate that the independent checker accepted in this run, for all extents, and with the reshuffle that moves
the given weights to it. All alignments that `symconv.convert.layer` proposes are kept, not only the cheapest, for the one with fewer
multiplications is not always the faster one.
"""

from __future__ import annotations

import time
from fractions import Fraction

import attrs

from symconv.convert.conversion import Candidate
from symconv.convert.cost import cost_of
from symconv.convert.forms import FORMS
from symconv.convert.layer import REPLACES, convert_layer
from symconv.convert.memory import Memory
from symconv.convert.source import bind_source
from symconv.frontends.text import parse
from symconv.layers import Layer, flatten
from symconv.prove.decide import decide_stages
from symconv.prove.reshuffle import Reshuffle, reshuffle
from symconv.theory.verdict import Verdict

SANE = 8
"""A form with more than this many times the multiplications of the cheapest one is not measured."""

GIVEN = "given"


@attrs.frozen(kw_only=True)
class Form:
    """A chain that computes what the layer does.

    Args:
        name: "given", or the form and its alignment.
        layers: bound, in order.
        verdict: the layer against it, certified; None for the layer itself.
        reshuffle: where the given parameters go; None for the layer itself.
        multiplications: for each input sample position, in the limit of large extents.
    """

    name: str
    layers: tuple[Layer, ...]
    verdict: Verdict | None = None
    reshuffle: Reshuffle | None = None
    multiplications: Fraction


@attrs.frozen(kw_only=True)
class Forms:
    """What a layer is the same as.

    Args:
        source: the bound chain as an expression.
        axes, channels: its spatial axes and input channels.
        found: the layer itself first, then the others.
        refused: (form, reason) of those that it does not have, or that are not worth a measurement.
    """

    source: str
    axes: int
    channels: int
    found: tuple[Form, ...]
    refused: tuple[tuple[str, str], ...]


_MEMORY = Memory()


def certified_forms(layer: Layer, *, channels: int | None = None, budget: float = 60.0) -> Forms:
    """All forms of a layer or chain, found once in a run.

    Args:
        layer: weightless, with exactly one layer of parameters.
        channels: input channels, where no layer says how many.
        budget: seconds for all decisions.

    Raises:
        LayerError: the layers do not fit together.
    """
    forms: Forms = _MEMORY.recall((flatten(layer), channels), lambda: _search(layer, channels, budget))
    return forms


def _search(layer: Layer, channels: int | None, budget: float) -> Forms:
    source = bind_source(layer, channels)
    deadline = time.monotonic() + budget
    given = Form(name=GIVEN, layers=source.whole, multiplications=cost_of(source.whole, source.channels).multiplications)
    found, refused = [given], []
    for to in FORMS:
        answer = convert_layer(layer, to, channels=channels, budget=max(0.0, deadline - time.monotonic()), presburger=False, check=True)
        if answer.target_layer is None:
            refused.append((to, answer.reason or "unknown: not decided"))
            continue
        for candidate in sorted(answer.candidates, key=lambda item: not item.chosen):
            form = _form(layer, to, candidate, source.axes, source.channels, deadline)
            if isinstance(form, str):
                refused.append((f"{to}, {candidate.alignment}", form))
            elif all(form.layers != known.layers for known in found):
                found.append(form)
    least = min(form.multiplications for form in found)
    sane = [form for form in found if form.name == GIVEN or form.multiplications <= SANE * least]
    refused += [
        (form.name, f"not measured: {_ratio(form, least)} times the multiplications of the cheapest") for form in found if form not in sane
    ]
    return Forms(source=source.text, axes=source.axes, channels=source.channels, found=tuple(sane), refused=tuple(refused))


def _ratio(form: Form, least: Fraction) -> str:
    return f"{float(form.multiplications / least):.3g}" if least else "many"


def _form(layer: Layer, to: str, candidate: Candidate, axes: int, channels: int, deadline: float) -> Form | str:
    """A candidate decided by itself, with its certificate; or why it cannot be used."""
    target = parse(candidate.text)
    seconds = max(0.001, deadline - time.monotonic())
    verdict, stages = decide_stages(layer, target, channels=channels, seconds=seconds, presburger=False, check=True)
    if not verdict.left_in_right:
        return f"no: {candidate.relation.value}"
    if verdict.domain not in REPLACES:
        return "no: it does not accept every extent that the layer accepts"
    if verdict.certificate is None:
        return "no certificate"
    moves = [found for stage in stages if (found := reshuffle(stage)) is not None]
    if len(moves) != 1:
        return "unknown: its reshuffle is not that of one layer"
    bound = tuple(member.bind(axes) for member in flatten(target))
    cost = cost_of(bound, channels).multiplications
    return Form(name=f"{to}, {candidate.alignment}", layers=bound, verdict=verdict, reshuffle=moves[0], multiplications=cost)

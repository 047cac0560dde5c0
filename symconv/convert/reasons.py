"""Sentences about a conversion: why there is none, and what to know about one.

Owns: `refusal`, `remarks`.
Must not know: how candidates are made or decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symconv.convert.conversion import Candidate
from symconv.convert.window import Window
from symconv.layers import Shuffle
from symconv.operators.steps import Extend, Step
from symconv.prove.stage import StageResult
from symconv.theory.relation import DomainRelation, Relation
from symconv.theory.verdict import Verdict

CONTAINED = (Relation.EQUAL, Relation.LEFT_IN_RIGHT)

Words = Sequence[Sequence[Step]]


def refusal(to: str, verdict: Verdict, words: Words, windows: Sequence[Window]) -> tuple[str, dict[str, Any] | None]:
    """(reason, witness) of a form that does not exist; `verdict` is the closest candidate's."""
    if verdict.relation is Relation.UNKNOWN:
        return f"unknown: {verdict.detail}", None
    if verdict.left_in_right:
        extents = list(verdict.domain_extents or ())
        cause = f"the closest candidate, {verdict.right}, does not accept every extent that the layer accepts, such as {extents}"
        return f"no: because {cause}", {"kind": "domain", "extents": extents}
    cause = _shapes(to, windows) if verdict.relation is Relation.SHAPES_DIFFER else _classes(verdict, words)
    return f"no: because {cause}; the closest candidate is {verdict.right}{_shown(verdict.witness)}", verdict.witness


def _shapes(to: str, windows: Sequence[Window]) -> str:
    rates = ", ".join(f"{w.outward}/{w.inward}" for w in windows)
    if to == "transposed" and any(w.inward > 1 for w in windows):
        return f"each input sample makes {rates} output samples (axis by axis), and a transposed convolution makes a whole number of them"
    return f"the layer's output extents (growing by {rates} a sample) are not those of the form"


def _classes(verdict: Verdict, words: Words) -> str:
    if verdict.linear_relation in CONTAINED:
        return (
            "its biases do not fit, though its kernels do: the form has one bias for each output channel, "
            "and the layer's bias is more than that (free for each phase, or changed by what follows it)"
        )
    if verdict.interior_relation in CONTAINED:
        return f"the layer treats its borders differently: {_borders(words)}; away from the borders the two agree"
    return "no kernel of the form gives the same function for every kernel of the layer"


def _borders(words: Words) -> str:
    modes = list(dict.fromkeys(step.mode for word in words for step in word if isinstance(step, Extend) and step.mode != "zeros"))
    if modes:
        return f"it extends a signal by mode {' and '.join(repr(mode) for mode in modes)} where the form extends its input once"
    return "it reads zeros at places where the unlimited signal is not zero"


def _shown(witness: dict[str, Any] | None) -> str:
    if witness is None:
        return ""
    if witness["kind"] == "shapes":
        return f", which at extents {witness['extents']} gives {witness['right_shape']} instead of {witness['left_shape']}"
    if witness["annihilator"] is None:
        return f", which is one function; the layer differs from it at extents {witness['extents']}, output {witness['at']}"
    value = witness["annihilator"]["value"]
    terms = len(witness["annihilator"]["terms"])
    return (
        f", whose class an annihilator of {terms} operator entries sends to 0; on a kernel of the layer it gives {value} "
        f"(extents {witness['extents']}, output {witness['at']})"
    )


def remarks(
    to: str, verdict: Verdict, stage: StageResult | None, windows: Sequence[Window], candidates: Sequence[Candidate], fixed: bool
) -> tuple[str, ...]:
    """What a user of the converted layer should know."""
    notes = []
    if verdict.left == verdict.right:
        notes.append("the layer has this form already")
    notes += _form_notes(to, windows, candidates)
    if stage is not None and not fixed:
        notes += _freedom(stage)
    if fixed:
        notes.append("the layer has no parameters; the converted kernel is constant (convert_weights without arrays gives it)")
    return (*notes, *_domain_notes(verdict))


def _form_notes(to: str, windows: Sequence[Window], candidates: Sequence[Candidate]) -> list[str]:
    if to == "lr-shuffle" and all(w.outward == 1 for w in windows):
        return ["no shuffle is needed: no axis has more output samples than input samples"]
    if to == "unshuffle" and all(w.inward == 1 for w in windows):
        return ["no unshuffle is needed: no axis is subsampled"]
    if to == "unshuffle":
        rests = ", ".join(f"n = {w.divisible[0] % w.inward} mod {w.inward}" for w in windows)
        return [f"the converted layer takes extents {rests} (axis by axis), as an unshuffle must"]
    taps = {candidate.alignment: candidate.kernel for candidate in candidates if candidate.relation in CONTAINED}
    if to == "lr-shuffle" and len(taps) > 1:
        shapes = {name: "x".join(map(str, kernel)) for name, kernel in taps.items()}
        return [f"LR taps: {shapes['both']} with a crop on both sides, {shapes['end']} without a crop before the first sample"]
    return []


def _freedom(stage: StageResult) -> list[str]:
    notes = []
    weights, bias = stage.weights, stage.bias
    if weights.right > weights.left:
        notes.append(
            f"the kernels of the layer fill {weights.left} of the {weights.right} dimensions of the converted layer's; "
            "the other entries are zero or tied"
        )
    if bias is not None and all(stage.biased) and bias.right > bias.left:
        what = "LR layer" if any(isinstance(layer, Shuffle) for layer in stage.right) else "converted layer"
        more = bias.right - bias.left
        notes.append(f"the {what} has C(r^D-1) = {more} more bias freedom, C its output channels; converted weights tie them")
    return notes


def _domain_notes(verdict: Verdict) -> list[str]:
    shown = list(verdict.domain_extents or ())
    match verdict.domain:
        case DomainRelation.RIGHT_WIDER:
            return [f"the converted layer also accepts extents that the layer rejects, such as {shown}"]
        case DomainRelation.LEFT_WIDER | DomainRelation.OVERLAPPING:
            narrower = f"the converted layer rejects extents that the layer accepts, such as {shown}"
            return [f"{narrower}; a drop-in replacement needs the same domain"]
        case _:
            return []

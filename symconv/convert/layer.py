"""One layer rewritten in another form, by a proved reshuffle.

Owns: `convert_layer`: which candidates are tried, in which order, and which one is the answer.
Must not know: formulas of the forms, text syntax, torch.

Candidates come from formulas and are never trusted: each is decided against the source, and the answer is the cheapest
one whose class contains the source's and that accepts every extent the source accepts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import attrs

from symconv.convert.conversion import Candidate, Conversion
from symconv.convert.cost import Cost, cost_of
from symconv.convert.forms import FORMS, Frame, Proposal, proposals
from symconv.convert.reasons import CONTAINED, Words, refusal, remarks
from symconv.convert.source import Chain, Source, bind_source, parts
from symconv.convert.window import Window, window_of
from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, Sequential, Shuffle, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS, Budget
from symconv.operators.domain import domain
from symconv.operators.steps import Extend
from symconv.prove.decide import decide_stages
from symconv.prove.reshuffle import Reshuffle, reshuffle
from symconv.prove.stage import StageResult, has_bias, words_of
from symconv.theory.relation import DomainRelation, Relation
from symconv.theory.verdict import Verdict

CERTIFY = True
"""Whether candidates are certified by default: every answer then was accepted by the independent checker."""

REPLACES = (DomainRelation.SAME, DomainRelation.RIGHT_WIDER)
"""How the domains of a source and its drop-in replacement may compare."""


@attrs.frozen
class _Judged:
    """A proposal, decided."""

    proposal: Proposal
    verdict: Verdict
    stages: tuple[StageResult, ...]
    cost: Cost
    fits: bool

    @property
    def rank(self) -> tuple[object, ...]:
        """Drop-in replacements first, then cheaper ones, then shorter ones."""
        narrower = self.verdict.domain not in REPLACES
        return narrower, self.cost.multiplications, len(self.proposal.layers), self.cost.parameters

    @property
    def distance(self) -> tuple[bool, ...]:
        """How far a candidate that does not fit is from fitting; smaller is closer."""
        verdict = self.verdict
        return (
            verdict.relation is Relation.UNKNOWN,
            verdict.relation is Relation.SHAPES_DIFFER,
            not verdict.left_in_right,
            verdict.linear_relation not in CONTAINED,
            verdict.interior_relation not in CONTAINED,
        )


def convert_layer(
    source: Layer,
    to: str,
    *,
    channels: int | None = None,
    budget: float = DEFAULT_SECONDS,
    presburger: bool = True,
    check: bool = CERTIFY,
) -> Conversion:
    """The cheapest layer of the form `to` that does what `source` does, for every kernel, input and extent.

    Nonlinearities at both ends are kept. Fixed layers become part of the new convolution; a padding at the end that
    cannot is kept as it is.

    Args:
        source: a weightless layer or chain with at most one layer of parameters between its nonlinearities.
        to: "lr-shuffle" (convolution, then periodic shuffling), "transposed", "zero-insertion" or "unshuffle".
        channels: input channels, where no layer says how many.
        budget: seconds for everything; what is not decided by then is `unknown`.
        presburger: whether Z3 decides the inclusions again, with symbolic extents.
        check: whether the independent checker must accept the certificates.

    Returns:
        A conversion; without a target it says why. For "unshuffle" the target may accept fewer extents, and says so.

    Raises:
        LayerError: an unknown form, or a chain whose layers do not fit together or lack a number of channels.
    """
    if to not in FORMS:
        raise LayerError(f"`to` must be one of {', '.join(map(repr, FORMS))}; found {to!r}.")
    whole = bind_source(source, channels)
    deadline = time.monotonic() + budget
    answers = (_Decider(part, to, deadline, presburger, check).answer() for part in parts(whole))
    first = next(answers)
    return first if first.target is not None else next((answer for answer in answers if answer.target is not None), first)


class _Decider:
    """One request, from bound source to conversion."""

    def __init__(self, source: Source, to: str, deadline: float, presburger: bool, check: bool) -> None:
        self.source, self.to, self.deadline = source, to, deadline
        self.presburger, self.check = presburger, check

    def answer(self) -> Conversion:
        """The conversion, or the one that says what stopped it."""
        try:
            return self._conversion()
        except (OutsideFragment, BudgetExceeded) as stop:
            return self._failed(f"unknown: {stop.detail}")

    def _conversion(self) -> Conversion:
        if self.source.obstacle:
            return self._failed(f"unknown: {self.source.obstacle}")
        words = words_of(self.source.core, self.source.channels, self.source.axes)
        if any(domain(word).first() is None for word in words):
            return self._failed("no: because the layer accepts no extent at all", witness={"kind": "domain", "extents": []})
        budget = Budget(self._seconds())
        windows = [window_of(word, budget) for word in words]
        judged: list[_Judged] = []
        for frame in self._frames(words, windows):
            tier = self._judge_all(proposals(self.to, windows, frame))
            judged += tier
            for best in sorted((item for item in tier if item.fits), key=lambda item: item.rank):
                done = self._chosen(best, judged, windows)
                if done is not None:
                    return done
        closest = min(judged, key=lambda item: item.distance)
        reason, witness = refusal(self.to, closest.verdict, words, windows)
        return self._failed(reason, witness=witness, verdict=closest.verdict, candidates=_listed(judged, None))

    def _failed(self, reason: str, **known: Any) -> Conversion:
        before = cost_of(self.source.whole, self.source.channels)
        return Conversion(source=self.source.text, to=self.to, before=before, reason=reason, **known)

    def _seconds(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise BudgetExceeded("the budget ran out before the conversion was decided; give more with --budget")
        return left

    def _frames(self, words: Words, windows: list[Window]) -> Iterator[Frame]:
        """Border modes that the source uses itself, then zeros; its own groups, then a dense convolution."""
        modes = dict.fromkeys(step.mode for word in words for step in word if isinstance(step, Extend))
        outward = channels_through(self.source.core, self.source.channels)[-1]
        groups = self._groups(outward * (1 if self.to in ("transposed", "zero-insertion") else math.prod(w.outward for w in windows)))
        phase_major = any(isinstance(layer, Shuffle) and layer.order == "DCR" for layer in self.source.core)
        splits = [(groups, False)]
        if groups > 1 and phase_major:  # contiguous groups do not survive a phase-major shuffle
            splits = [(groups, True)] if self.to in ("lr-shuffle", "unshuffle") else []
        if groups > 1 or not splits:
            splits += [(1, False)]
        for mode in [*(mode for mode in modes if mode != "zeros"), "zeros"]:
            for number, transpose in splits:
                yield Frame(self.source.channels, outward, number, has_bias(self.source.core), mode, transpose)

    def _groups(self, outward: int) -> int:
        kernel = self.source.kernel
        if isinstance(kernel, BatchNorm):
            groups = kernel.num_features
        else:
            groups = kernel.groups if isinstance(kernel, (Conv, ConvTranspose)) else 0  # none: any diagonal is enough
        return math.gcd(groups, self.source.channels, outward)

    def _judge_all(self, tier: list[Proposal]) -> list[_Judged]:
        """Decides the cheapest first; once one fits, the others need no second opinion."""
        judged: list[_Judged] = []
        for proposal in sorted(tier, key=lambda item: cost_of(item.layers, self.source.channels).multiplications):
            verdict, stages = self._decide(self.source.core, proposal.layers, opinion=not any(item.fits for item in judged))
            fits = bool(verdict.left_in_right) and self._accepts(verdict.domain)
            judged.append(_Judged(proposal, verdict, stages, cost_of(proposal.layers, self.source.channels), fits))
        return judged

    def _decide(self, left: Chain, right: Chain, *, trusted: bool = True, opinion: bool = True) -> tuple[Verdict, tuple[StageResult, ...]]:
        return decide_stages(
            Sequential(left),
            Sequential(right),
            channels=self.source.channels,
            seconds=self._seconds(),
            presburger=self.presburger and opinion,
            check=self.check and trusted,
        )

    def _accepts(self, accepted: DomainRelation | None) -> bool:
        return accepted in REPLACES or (self.to == "unshuffle" and accepted is not DomainRelation.DISJOINT)

    def _chosen(self, best: _Judged, judged: list[_Judged], windows: list[Window]) -> Conversion | None:
        source = self.source
        if source.kept and best.proposal.layers == source.core:
            return None  # nothing was converted
        target = source.head + best.proposal.layers + source.tail
        verdict = best.verdict
        if source.head or source.tail:
            verdict, _ = self._decide(source.whole, target)
            if not verdict.left_in_right:
                return None
        candidates = _listed(judged, best)
        stage = next((item for item in best.stages), None)
        return Conversion(
            source=verdict.left,
            to=self.to,
            target=verdict.right,
            target_layer=Sequential(target) if len(target) != 1 else target[0],
            verdict=verdict,
            reshuffle=self._reshuffle(best),
            candidates=candidates,
            before=cost_of(source.whole, source.channels),
            after=cost_of(target, source.channels),
            notes=remarks(self.to, verdict, stage, windows, candidates, source.kernel is None) + self._kept(),
        )

    def _kept(self) -> tuple[str, ...]:
        if not self.source.kept:
            return ()
        rest = format_layer(Sequential(self.source.tail[: self.source.kept]), self.source.axes)
        return (f"{rest} stays as it is; only what stands before it has the form",)

    def _reshuffle(self, best: _Judged) -> Reshuffle | None:
        stages = best.stages
        if self.source.kernel is None:
            # The one function of a source without parameters is the all-ones member of this family.
            ones = Conv.make(self.source.axes, self.source.channels, self.source.channels, 1, groups=self.source.channels, bias=False)
            _, stages = self._decide((ones, *self.source.core), best.proposal.layers, trusted=False, opinion=False)
        return next((found for stage in stages if (found := reshuffle(stage)) is not None), None)


def _listed(judged: list[_Judged], best: _Judged | None) -> tuple[Candidate, ...]:
    return tuple(
        Candidate(
            text=item.verdict.right,
            alignment=item.proposal.alignment,
            relation=item.verdict.relation,
            domain=item.verdict.domain,
            multiplications=item.cost.multiplications,
            parameters=item.cost.parameters,
            kernel=item.proposal.kernel,
            chosen=item is best,
        )
        for item in judged
    )

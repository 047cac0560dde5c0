"""The form of one layer that a target takes: candidates, spelled as ONNX spells them, decided and certified.

Owns: `choose`, `alternatives`, `choose_member`, `Choice`.
Must not know: files, nodes, weights. Nothing that a formula proposes is trusted: the answer's certificate was accepted by the checker.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import attrs

from symconv.convert.constraints import Constraints
from symconv.convert.cost import Cost, cost_of
from symconv.convert.forms import Frame, proposals
from symconv.convert.layer import convert_layer
from symconv.convert.memory import Memory
from symconv.convert.spelling import Chain, spellings
from symconv.convert.window import Window, window_of
from symconv.errors import BudgetExceeded, OutsideFragment
from symconv.layers import Conv, ConvTranspose, Layer, Sequential, channels_through, flatten
from symconv.layers.expression import format_layer
from symconv.operators.budget import Budget
from symconv.prove.decide import decide_stages
from symconv.prove.reshuffle import Reshuffle, reshuffle
from symconv.prove.stage import has_bias, words_of
from symconv.theory.relation import DomainRelation, Trust
from symconv.theory.verdict import Verdict

DROP_IN = (DomainRelation.SAME, DomainRelation.RIGHT_WIDER)
FORTH, BACK = "forth", "back"
SANE = 8
MOST_PARAMETERS = 1 << 29
"""Of a layer that is written; a large stride makes a kernel of many zeros."""


@attrs.frozen
class Choice:
    """What becomes of one layer.

    Args:
        source, target: the chain as it is and as it will be; no target, then why in `reason`.
        verdict: source against target; its certificate was accepted.
        way: "forth" if the target's weights are the reshuffled ones of the source, "back" if the source's weights are those of the target
            reshuffled, so that the target has to be found in the source's larger class.
        moves: the reshuffle, from the source for "forth", from the target for "back".
        before, after: costs.
    """

    source: Chain
    before: Cost
    target: Chain | None = None
    after: Cost | None = None
    verdict: Verdict | None = None
    moves: Reshuffle | None = None
    way: str = FORTH
    reason: str = ""

    @property
    def texts(self) -> tuple[str, str]:
        """Both chains as expressions; the second is empty without a target."""
        axes = Sequential(self.source).axes
        return format_layer(Sequential(self.source), axes), "" if self.target is None else format_layer(Sequential(self.target), axes)


def choose(source: Layer, channels: int, to: str, constraints: Constraints, *, phase_major: bool, seconds: float, memory: Memory) -> Choice:
    """The cheapest chain of the form `to` that keeps the constraints and contains the class of `source`.

    Args:
        source: a bound chain without nonlinearities, with one layer of parameters.
        channels: its input channels.
        to: lr-shuffle, transposed, zero-insertion or unshuffle.
        constraints: what the target asks.
        phase_major: whether shuffles are to be in DCR order.
        seconds: budget.
        memory: answers of this run.

    Returns:
        A choice; for "unshuffle" its target may accept fewer extents, which the verdict's domain says.
    """
    question = ("choose", source, channels, to, constraints, phase_major)
    return memory.recall(question, lambda: _Choosing(source, channels, to, constraints, phase_major, seconds).answer())


def alternatives(
    source: Layer, channels: int, to: str, constraints: Constraints, *, phase_major: bool, seconds: float, memory: Memory
) -> tuple[tuple[tuple[str, Choice], ...], str]:
    """Every chain of the form `to` that keeps the constraints and contains the class of `source`, with the name of its alignment.

    Args are those of `choose`. Chains with more than SANE times the multiplications of the source are left out.

    Returns:
        The choices, the cheapest first; and why there is none, or why there may be more.
    """
    question = ("alternatives", source, channels, to, constraints, phase_major)
    return memory.recall(question, lambda: _Choosing(source, channels, to, constraints, phase_major, seconds).all())


class _Choosing:
    def __init__(self, source: Layer, channels: int, to: str, constraints: Constraints, phase_major: bool, seconds: float) -> None:
        self.layer, self.channels, self.to, self.constraints = source, channels, to, constraints
        self.chain, self.phase_major = flatten(source), phase_major
        self.deadline, self.before = time.monotonic() + seconds, cost_of(self.chain, channels)
        self.broken: dict[str, str] = {}
        self.large = 0

    def answer(self) -> Choice:
        try:
            found = self.found()
            reason = "" if found else self.refusal()
        except (OutsideFragment, BudgetExceeded) as stop:
            return self.failed(f"unknown: {stop.detail}")
        return found or self.failed(reason)

    def failed(self, reason: str) -> Choice:
        return Choice(self.chain, self.before, reason=reason)

    def found(self) -> Choice | None:
        return next((done for _, target in self.targets() if (done := self.decided(target)) is not None), None)

    def targets(self) -> Iterator[tuple[str, Chain]]:
        """Every candidate with the name of its alignment, frame by frame, the cheapest first."""
        axes = Sequential(self.chain).axes
        assert axes is not None, "a layer with taps has axes"
        budget = Budget(self.seconds())
        windows = [window_of(word, budget) for word in words_of(self.chain, self.channels, axes)]
        for frame in self.frames(windows):
            candidates = [(item.alignment, chain) for item in proposals(self.to, windows, frame) for chain in self.spelled(item.layers)]
            yield from sorted(candidates, key=lambda pair: self.rank(pair[1]))

    def all(self) -> tuple[tuple[tuple[str, Choice], ...], str]:
        """All that are certified and sane, and why there is none."""
        found, insane = list[tuple[str, Choice]](), ""
        try:
            for alignment, target in self.targets():
                count = cost_of(target, self.channels).multiplications
                if self.before.multiplications and count > SANE * self.before.multiplications:
                    insane = insane or f"no: because it takes {float(count / self.before.multiplications):.3g} times the multiplications"
                elif (done := self.decided(target)) is not None:
                    found.append((alignment, done))
            return tuple(found), "" if found else insane or self.refusal()
        except (OutsideFragment, BudgetExceeded) as stop:
            return tuple(found), f"unknown: {stop.detail}"

    def frames(self, windows: Sequence[Window]) -> Iterator[Frame]:
        """Zeros at the borders; the source's own groups, then a dense convolution."""
        outward = channels_through(self.chain, self.channels)[-1]
        kernel = next(layer for layer in self.chain if isinstance(layer, (Conv, ConvTranspose)))
        phases = 1 if self.to in ("transposed", "zero-insertion") else math.prod(window.outward for window in windows)
        groups = math.gcd(kernel.groups, self.channels, outward * phases)
        for count in dict.fromkeys([1] if "no-groups" in self.constraints.switches else [groups, 1]):
            yield Frame(self.channels, outward, count, has_bias(self.chain))

    def spelled(self, chain: Chain) -> Iterator[Chain]:
        """The spellings that keep the constraints."""
        for spelling in spellings(chain, phase_major=self.phase_major):
            faults = dict(self.constraints.broken_by(spelling))
            self.broken |= faults
            count = cost_of(spelling, self.channels).parameters
            if count > MOST_PARAMETERS:
                self.large = min(self.large or count, count)
                continue
            if not faults:
                yield spelling

    def rank(self, chain: Chain) -> tuple[object, ...]:
        cost = cost_of(chain, self.channels)
        return cost.multiplications, len(chain), cost.parameters, chain != self.chain

    def decided(self, target: Chain) -> Choice | None:
        verdict, stages = decide_stages(
            Sequential(self.chain), Sequential(target), channels=self.channels, seconds=self.seconds(), presburger=False, witness=False
        )
        fits = verdict.left_in_right and (verdict.domain in DROP_IN or self.to == "unshuffle")
        if not fits or verdict.trust is not Trust.CERTIFIED:
            return None
        moves = next((move for stage in stages if (move := reshuffle(stage)) is not None), None)
        return None if moves is None else Choice(self.chain, self.before, target, cost_of(target, self.channels), verdict, moves)

    def seconds(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise BudgetExceeded("the budget ran out before the layer was decided; give more with --budget")
        return left

    def refusal(self) -> str:
        """Why there is none."""
        if self.large:
            return f"no: because its kernel would have {self.large:,} entries in this form"
        if self.broken:
            return "no: because " + "; ".join(f"`{word}` is asked for, and {what}" for word, what in self.broken.items())
        return (
            convert_layer(self.layer, self.to, channels=self.channels, budget=self.seconds(), presburger=False).reason
            or "no: because it was not found"
        )


def choose_member(
    source: Layer, channels: int, candidate: Chain, *, phase_major: bool = False, seconds: float, memory: Memory
) -> Choice | None:
    """Whether the class of `candidate` lies in that of `source`, certified; None if not.

    The certificate compares the candidate (left) with the source (right).
    """

    def decide() -> Choice | None:
        chain = flatten(source)
        verdict, stages = decide_stages(
            Sequential(candidate), Sequential(chain), channels=channels, seconds=seconds, presburger=False, witness=False
        )
        if (
            not verdict.left_in_right
            or verdict.trust is not Trust.CERTIFIED
            or verdict.domain not in (DomainRelation.SAME, DomainRelation.LEFT_WIDER)
        ):
            return None
        moves = next((move for stage in stages if (move := reshuffle(stage)) is not None), None)
        if moves is None:
            return None
        return Choice(chain, cost_of(chain, channels), candidate, cost_of(candidate, channels), verdict, moves, BACK)

    return memory.recall(("member", source, channels, candidate), decide)

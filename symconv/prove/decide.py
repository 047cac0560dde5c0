"""The decision: two chains of layers in, a verdict out.

Owns: `decide`: binding, stages, domains, the portfolio of deciders, the certificate.
Must not know: text syntax, torch, rendering.
"""

from __future__ import annotations

import time
from typing import Any

import attrs

from symconv.errors import BudgetExceeded, InternalError, LayerError, OutsideFragment
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, Sequential, channels_through, flatten, input_channels
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS, Budget
from symconv.operators.domain import Domain, domain, extents_differ, output_extent
from symconv.prove.certify import accept, certificate, stage_record
from symconv.prove.reshuffle import parameter_count
from symconv.prove.stage import NoCommonExtent, ShapesDiffer, StageResult, Words, decide_stage, words_of
from symconv.prove.stages import cut_chain, is_nonlinearity, search
from symconv.theory.relation import DomainRelation, Relation, Trust
from symconv.theory.verdict import ALL_EXTENTS, Dimension, Verdict

DEFAULT_AXES = 2
"""Spatial axes of a comparison in which no layer says how many: PyTorch's PixelShuffle has two."""


@attrs.frozen
class Pair:
    """Two flat chains, bound to the same number of axes and input channels."""

    left: tuple[Layer, ...]
    right: tuple[Layer, ...]
    axes: int
    channels: int
    assumptions: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, str]:
        """Both chains as expressions."""
        return format_layer(Sequential(self.left), self.axes), format_layer(Sequential(self.right), self.axes)


def bind_pair(left: Layer, right: Layer, channels: int | None = None) -> Pair:
    """Settles axes and input channels of two chains.

    Raises:
        LayerError: the chains act on different numbers of axes, or on channels that do not fit.
    """
    one, two = Sequential(flatten(left)), Sequential(flatten(right))
    known = {chain.axes for chain in (one, two)} - {None}
    if len(known) > 1:
        raise LayerError(
            f"the two layers act on different numbers of spatial axes: {one.axes} and {two.axes}. Compare layers of the same kind."
        )
    axes = next((count for count in known if count is not None), DEFAULT_AXES)
    a, b = one.bind(axes).layers, two.bind(axes).layers
    wanted = {side: input_channels(chain) for side, chain in (("left", a), ("right", b))}
    numbers = {count for count in wanted.values() if count is not None}
    if channels is not None:
        numbers.add(channels)
    if len(numbers) > 1:
        listed = ", ".join(f"{side}: {count}" for side, count in wanted.items() if count is not None)
        given = f", --channels: {channels}" if channels is not None else ""
        raise LayerError(f"the two layers take different numbers of input channels ({listed}{given}). Give both the same.")
    assumptions: tuple[str, ...] = ()
    count = next((number for number in numbers if number is not None), None)
    if count is None:
        count, assumptions = _any_channels(a, b)
    channels_through(a, count)
    channels_through(b, count)
    return Pair(a, b, axes, count, assumptions)


def _any_channels(left: tuple[Layer, ...], right: tuple[Layer, ...]) -> tuple[int, tuple[str, ...]]:
    from symconv.layers import ChannelShuffle, Shuffle, Unshuffle

    if any(isinstance(layer, (ChannelShuffle, Shuffle, Unshuffle)) for layer in left + right):
        raise LayerError(
            "no layer says how many input channels there are, and the answer depends on it. "
            "Give the number with --channels (Python: channels=...)."
        )
    return 1, ("every layer acts on each channel alike, so one channel stands for any number of them",)


def decide(
    left: Layer,
    right: Layer,
    *,
    channels: int | None = None,
    extents: tuple[int, ...] | None = None,
    seconds: float = DEFAULT_SECONDS,
    presburger: bool = True,
    check: bool = True,
    witness: bool = True,
) -> Verdict:
    """Decides how the function classes of two layers compare, over all valid extents.

    Args:
        left, right: weightless layers or chains.
        channels: input channels, where no layer says how many.
        extents: compare at these input extents only, one a spatial axis.
        seconds: the budget; when it runs out the verdict is `unknown`.
        presburger: whether Z3 decides the inclusions again, with symbolic extents.
        check: whether the independent checker must accept the certificate.
        witness: whether a refutation is made into a replayable witness (the certificate has its functionals in any case).

    Returns:
        A verdict; `certified` if the checker accepted its certificate.

    Raises:
        LayerError: the two cannot be compared at all (axes, input channels).
        InternalError: two deciders contradict each other.
    """
    return decide_stages(
        left, right, channels=channels, extents=extents, seconds=seconds, presburger=presburger, check=check, witness=witness
    )[0]


def decide_stages(
    left: Layer,
    right: Layer,
    *,
    channels: int | None = None,
    extents: tuple[int, ...] | None = None,
    seconds: float = DEFAULT_SECONDS,
    presburger: bool = True,
    check: bool = True,
    witness: bool = True,
) -> tuple[Verdict, tuple[StageResult, ...]]:
    """`decide`, and the decided stages behind the verdict (none for an unknown or for different shapes)."""
    started = time.perf_counter()
    pair = bind_pair(left, right, channels)
    decision: _Decision | None = None
    try:
        decision = _Decision(pair, Budget(seconds), presburger, check, extents, witness)
        verdict = decision.verdict()
    except (OutsideFragment, BudgetExceeded) as stop:
        verdict = unknown(pair, stop.reason, stop.detail)
    except MemoryError:
        verdict = unknown(pair, "budget", "memory ran out")
    chosen = decision.chosen if decision is not None else ()
    return attrs.evolve(verdict, seconds=round(time.perf_counter() - started, 6)), chosen


def unknown(pair: Pair, reason: str, detail: str, **known: Any) -> Verdict:
    """The verdict for a question that was not decided."""
    left, right = pair.texts
    fields = {"interior_relation": Relation.UNKNOWN, "linear_relation": Relation.UNKNOWN, "assumptions": pair.assumptions} | known
    return Verdict(left=left, right=right, relation=Relation.UNKNOWN, reason=reason, detail=detail, **fields)


def compare_domains(left: tuple[Domain, ...], right: tuple[Domain, ...]) -> tuple[DomainRelation, tuple[int, ...] | None]:
    """How two products of domains compare, and the smallest extents that show a difference."""
    firsts = [a.meet(b).first() for a, b in zip(left, right, strict=True)]
    forth = [a.not_in(b) for a, b in zip(left, right, strict=True)]
    back = [b.not_in(a) for a, b in zip(left, right, strict=True)]
    if any(first is None for first in firsts):
        own = tuple(a.first() or 0 for a in left)
        return DomainRelation.DISJOINT, own
    if not any(forth) and not any(back):
        return DomainRelation.SAME, None
    extra = forth if any(forth) else back
    shown = _showing(extra, [int(first or 0) for first in firsts])
    if any(forth) and any(back):
        return DomainRelation.OVERLAPPING, shown
    return (DomainRelation.LEFT_WIDER if any(forth) else DomainRelation.RIGHT_WIDER), shown


def _showing(extra: list[int | None], firsts: list[int]) -> tuple[int, ...]:
    """Common extents everywhere but on one axis, where the smallest extra extent stands."""
    axis = min((k for k, n in enumerate(extra) if n is not None), key=lambda k: extra[k] or 0)
    return tuple(int(extra[axis] or 0) if k == axis else n for k, n in enumerate(firsts))


def _parameters(chain: tuple[Layer, ...]) -> int:
    return sum(parameter_count(layer) for layer in chain if isinstance(layer, (BatchNorm, Conv, ConvTranspose)))


class _Decision:
    """One comparison from bound pair to verdict."""

    def __init__(
        self, pair: Pair, budget: Budget, presburger: bool, check: bool, at: tuple[int, ...] | None = None, witness: bool = True
    ) -> None:
        self.pair, self.budget, self.presburger, self.check = pair, budget, presburger, check
        self.cuts = cut_chain(pair.left), cut_chain(pair.right)
        self.words = tuple(self._linear_words(chain) for chain in (pair.left, pair.right))
        self.domains = tuple(tuple(domain(word) for word in words) for words in self.words)
        self.domain, self.domain_extents = compare_domains(*self.domains)
        self.at = self._checked_extents(at)
        self.wants_witness = witness
        self.chosen: tuple[StageResult, ...] = ()
        self.stages: dict[tuple[tuple[int, ...], tuple[int, ...], int], StageResult | ShapesDiffer | NoCommonExtent] = {}

    def _linear_words(self, chain: tuple[Layer, ...]) -> Words:
        linear = tuple(layer for layer in chain if not is_nonlinearity(layer))
        return words_of(linear, self.pair.channels, self.pair.axes)

    def _checked_extents(self, at: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if at is None:
            return None
        if len(at) != self.pair.axes or min(at) < 1:
            raise LayerError(f"`extents` must be {self.pair.axes} positive integers, one a spatial axis; found {at}.")
        for side, domains in zip(("left", "right"), self.domains, strict=True):
            for axis, (n, valid) in enumerate(zip(at, domains, strict=True)):
                if n not in valid:
                    raise LayerError(f"the {side} layer does not accept extent {n} on axis {axis}. Give extents that both layers accept.")
        return at

    def verdict(self) -> Verdict:
        if self.domain is DomainRelation.DISJOINT:
            return self._unknown("disjoint_domains", "no input extent is valid for both layers, so there is nothing to compare")
        differ = self._shapes()
        if differ is not None:
            return self._shapes_verdict(differ)
        functions = [cut.nonlinearities for cut in self.cuts]
        if functions[0] != functions[1]:
            names = [", ".join(type(f).__name__ if not hasattr(f, "name") else f.name for f in fs) or "none" for fs in functions]
            return self._unknown("nonlinearities_differ", f"the nonlinearities differ (left: {names[0]}; right: {names[1]})")
        if not functions[0]:
            return self._one_stage()
        return self._several_stages()

    def _unknown(self, reason: str, detail: str) -> Verdict:
        return unknown(self.pair, reason, detail, domain=self.domain, domain_extents=self.domain_extents)

    def _common(self) -> tuple[Domain, ...]:
        return tuple(a.meet(b) for a, b in zip(*self.domains, strict=True))

    def _shapes(self) -> tuple[int, ...] | None:
        """() if output channels differ, the smallest common extents if output extents differ, else None."""
        counts = [channels_through(chain, self.pair.channels)[-1] for chain in (self.pair.left, self.pair.right)]
        if counts[0] != counts[1]:
            return ()
        common = self._common()
        if self.at is not None:
            outs = [tuple(output_extent(word, n) for word, n in zip(words, self.at, strict=True)) for words in self.words]
            return self.at if outs[0] != outs[1] else None
        for axis in range(self.pair.axes):
            n = extents_differ(self.words[0][axis], self.words[1][axis], common[axis])
            if n is not None:
                return tuple(n if k == axis else int(item.first() or 1) for k, item in enumerate(common))
        return None

    def _shapes_verdict(self, extents: tuple[int, ...]) -> Verdict:
        claim = self._claim(Relation.SHAPES_DIFFER, Relation.SHAPES_DIFFER, None, False, False, None)
        record = self._frame(claim) | {"shapes": {"extents": list(extents)}}
        return self._finish(
            record,
            relation=Relation.SHAPES_DIFFER,
            linear_relation=Relation.SHAPES_DIFFER,
            left_in_right=False,
            right_in_left=False,
            witness=self._shapes_witness(extents),
        )

    def _shapes_witness(self, extents: tuple[int, ...]) -> dict[str, Any]:
        shapes = []
        for words, chain in zip(self.words, (self.pair.left, self.pair.right), strict=True):
            ns = extents or tuple(int(item.first() or 1) for item in self._common())
            outs = [output_extent(word, n) for word, n in zip(words, ns, strict=True)]
            shapes.append([channels_through(chain, self.pair.channels)[-1], *outs])
        return {"kind": "shapes", "extents": list(ns), "left_shape": shapes[0], "right_shape": shapes[1]}

    def _decide(self, left: tuple[int, ...], right: tuple[int, ...], channels: int) -> StageResult | ShapesDiffer | NoCommonExtent:
        key = left, right, channels
        if key not in self.stages:
            one = tuple(self.pair.left[k] for k in left)
            two = tuple(self.pair.right[k] for k in right)
            outs = [channels_through(chain, channels)[-1] for chain in (one, two)]
            at = self._stage_extents(left)
            self.stages[key] = decide_stage(one, two, (channels, outs[0], outs[1]), self.pair.axes, self.budget, at)
        return self.stages[key]

    def _stage_extents(self, left: tuple[int, ...]) -> tuple[int, ...] | None:
        """The extents that reach a stage of the left chain when only some input extents count."""
        if self.at is None or not left:
            return self.at
        before = tuple(layer for layer in self.pair.left[: left[0]] if not is_nonlinearity(layer))
        words = words_of(before, self.pair.channels, self.pair.axes)
        return tuple(output_extent(word, n) for word, n in zip(words, self.at, strict=True))

    def _one_stage(self) -> Verdict:
        left, right = self.cuts[0].segments[0], self.cuts[1].segments[0]
        stage = self._decide(left, right, self.pair.channels)
        assert isinstance(stage, StageResult), "shapes and domains were compared before"
        relation, linear = stage.relation(), stage.relation(linear=True)
        interior = stage.relation(interior=True) if stage.interior_known else None
        forth, back = stage.inclusions()
        claim = self._claim(relation, linear, interior, forth, back, stage.dimension)
        record = self._frame(claim) | {"stages": [stage_record(stage, left, right)]}
        return self._finish(
            record,
            [stage],
            relation=relation,
            linear_relation=linear,
            interior_relation=interior,
            left_in_right=forth,
            right_in_left=back,
            dimension=Dimension(left=stage.dimension[0], right=stage.dimension[1], intersection=stage.dimension[2]),
            witness=self._witness(stage),
        )

    def _witness(self, stage: StageResult) -> dict[str, Any] | None:
        from symconv.prove.witness import inclusion_witness

        forth, back = stage.inclusions()
        return None if (forth and back) or not self.wants_witness else inclusion_witness(stage, self.pair.axes, refute_forth=not forth)

    def _several_stages(self) -> Verdict:
        goals = [self._plan(goal) for goal in ((True, True), (True, False), (False, True))]
        if goals[0] is not None:
            return self._network(goals[0], True, True)
        forth, back = goals[1] is not None, goals[2] is not None
        chosen = goals[1] if forth else goals[2]
        if chosen is not None:
            return self._network(chosen, forth, back if forth and back else not forth)
        return self._unknown(
            "stages_differ",
            "no cut at the nonlinearities makes every stage's class equal or included; networks can be equal all the same, "
            "so this refutes nothing",
        )

    def _plan(self, goal: tuple[bool, bool]) -> tuple[bool, ...] | None:
        """Where to put the movable layers so that every stage has the inclusions asked for."""

        def attempt(plan: tuple[bool, ...]) -> int:
            for stage in self._segments(plan):
                if not isinstance(stage, StageResult):
                    return -1
                have = stage.inclusions()
                if any(wanted and not has for wanted, has in zip(goal, have, strict=True)):
                    return -1
            return 0

        return search(len(self.cuts[0].bounds), attempt)

    def _segments(self, plan: tuple[bool, ...]) -> Any:
        channels = self.pair.channels
        for left, right in zip(self.cuts[0].moved(plan), self.cuts[1].moved(plan), strict=True):
            try:
                stage = self._decide(left, right, channels)
            except LayerError:
                yield None
                return
            yield stage
            channels = channels_through(tuple(self.pair.left[k] for k in left), channels)[-1]

    def _network(self, plan: tuple[bool, ...], forth: bool, back: bool) -> Verdict:
        stages: list[StageResult] = list(self._segments(plan))
        parts = list(zip(self.cuts[0].moved(plan), self.cuts[1].moved(plan), strict=True))
        equal = forth and back
        relation = Relation.EQUAL if equal else Relation.UNKNOWN

        def every(**which: bool) -> Relation | None:
            if not all(stage.interior_known for stage in stages) and which.get("interior"):
                return None
            pairs = [stage.inclusions(**which) for stage in stages]
            return Relation.EQUAL if all(a and b for a, b in pairs) else Relation.UNKNOWN

        dimension = self._network_dimension(stages, equal)
        linear, interior = every(linear=True), every(interior=True)
        claim = self._claim(relation, linear or Relation.UNKNOWN, interior, forth or None, back or None, dimension)
        record = self._frame(claim) | {"stages": [stage_record(s, *p) for s, p in zip(stages, parts, strict=True)]}
        one_way = "left in right" if forth else "right in left"
        return self._finish(
            record,
            stages,
            relation=relation,
            linear_relation=linear,
            interior_relation=interior,
            left_in_right=forth or None,
            right_in_left=back or None,
            dimension=Dimension(left=dimension[0], right=dimension[1], intersection=dimension[2]),
            reason=None if equal else "strictness_open",
            detail=None
            if equal
            else f"inclusion {one_way} is proved stage by stage; whether it is strict for networks with nonlinearities is open",
        )

    @staticmethod
    def _network_dimension(stages: list[StageResult], equal: bool) -> tuple[int, int, int | None]:
        left, right = (sum(stage.dimension[k] or 0 for stage in stages) for k in (0, 1))
        return left, right, left if equal else None

    def _claim(
        self,
        relation: Relation,
        linear: Relation,
        interior: Relation | None,
        forth: bool | None,
        back: bool | None,
        dimension: tuple[int, int, int | None] | None,
    ) -> dict[str, Any]:
        extents = None if self.domain_extents is None else list(self.domain_extents)
        counts = None if dimension is None else dict(zip(("left", "right", "intersection"), dimension, strict=True))
        return {
            "relation": relation.value,
            "linear_relation": linear.value,
            "interior_relation": None if interior is None else interior.value,
            "left_in_right": forth,
            "right_in_left": back,
            "domain": {"relation": self.domain.value, "extents": extents},
            "dimension": counts,
        }

    def _frame(self, claim: dict[str, Any]) -> dict[str, Any]:
        return certificate(self.pair.axes, self.pair.channels, self.pair.left, self.pair.right, claim, self.at)

    def _finish(self, record: dict[str, Any], stages: list[StageResult] | None = None, **fields: Any) -> Verdict:
        stages = stages or []
        self.chosen = tuple(stages)
        deciders = {"rank": "decided"}
        trust = None
        if self.check and accept(record):
            deciders["checker"] = "accepted"
            trust = Trust.CERTIFIED
        elif self.check:
            deciders["checker"] = "left out: too large for its budget"
        if self.presburger and stages and self.at is None:
            deciders["presburger"] = self._second_opinion(stages)
        if self.check and trust is None:
            if deciders.get("presburger") != "agrees":
                return self._unknown("budget", "decided by exact rank, but the certificate is too large for the independent checker")
            trust = Trust.SOLVER
        left, right = self.pair.texts
        cutoffs = [n for stage in stages for part in (stage.weights, stage.bias) if part for b in part.blocks for n in b.cutoffs.values()]
        return Verdict(
            left=left,
            right=right,
            domain=self.domain,
            domain_extents=self.domain_extents,
            cutoff=max(cutoffs, default=None),
            trust=trust,
            certificate=record,
            deciders=deciders,
            assumptions=self.pair.assumptions,
            dead_taps={side: [taps for stage in stages for taps in stage.dead_taps(k)] for k, side in enumerate(("left", "right"))},
            parameters={side: _parameters(chain) for side, chain in (("left", self.pair.left), ("right", self.pair.right))},
            scope=ALL_EXTENTS if self.at is None else "extents " + "x".join(map(str, self.at)),
            **fields,
        )

    def _second_opinion(self, stages: list[StageResult]) -> str:
        from symconv.prove.presburger import confirm

        answers = [confirm(stage, self.budget) for stage in stages]
        if "contradicts" in answers:
            raise InternalError(f"the rank decider and the Presburger decider contradict each other on {' | '.join(self.pair.texts)}")
        return answers[0] if len(set(answers)) == 1 else "; ".join(answers)

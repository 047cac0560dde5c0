"""A high-resolution network rewritten as the low-resolution network that computes the same function.

Owns: `embed_network`, `Embedding`: where a network is cut, and what stands behind the shuffle that is carried along.
Must not know: torch, formulas of the forms, verdicts' details. Nothing is trusted: every step is decided.

Periodic shuffling P moves samples only, so a pointwise f has f . P = P . f, and a high-resolution layer A has an LR convolution B
with A . P = P' . B. Going through the network from its input, P is carried to its end: theorems 4, 14 and 22 of the corpus.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import attrs

from symconv.convert.cost import cost_of
from symconv.convert.forms import Frame, proposals
from symconv.convert.window import window_of
from symconv.errors import OutsideFragment
from symconv.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Layer,
    PReLU,
    Sequential,
    Shuffle,
    WeightedNetwork,
    Weights,
    channels_after,
    channels_through,
    flatten,
)
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS, Budget
from symconv.operators.steps import Extend
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair, decide_stages
from symconv.prove.reshuffle import Reshuffle, kernel_shape, reshuffle, torch_indices
from symconv.prove.stage import words_of
from symconv.prove.stages import is_nonlinearity
from symconv.theory.relation import DomainRelation
from symconv.theory.verdict import Verdict

Member = tuple[Layer, Weights | None]


@attrs.frozen
class Step:
    """One part of a network before and after.

    Args:
        before: as an expression, the shuffle carried so far in front of it.
        after: as an expression, the shuffle that is carried on at its end.
        verdict: what vouches, or None where the layer stays as it is.
    """

    before: str
    after: str
    verdict: Verdict | None


@attrs.frozen
class Embedding:
    """A low-resolution network that computes what a high-resolution network does.

    Args:
        source, target: both as expressions.
        network: the target: with weights if the source had some, else as layers.
        steps: what became what, from input to output, with the verdict on each.
        exact: whether the new weights hold the source's exactly; False where a float64 had to be rounded (a cubic resize by 3
            has weights over 108), so that the two networks differ by that rounding.
    """

    source: str
    target: str
    network: Sequential | WeightedNetwork
    steps: tuple[Step, ...]
    exact: bool = True

    @property
    def certified(self) -> bool:
        """Whether the independent checker accepted every step."""
        return all(step.verdict.trust is not None and step.verdict.trust.value == "certified" for step in self.steps if step.verdict)


def embed_network(
    network: Layer | WeightedNetwork, *, channels: int | None = None, seconds: float = DEFAULT_SECONDS, presburger: bool = False
) -> Embedding:
    """The low-resolution network of a network that upsamples first and convolves in high resolution.

    Args:
        network: a chain of convolutions, transposed convolutions, fixed layers and pointwise nonlinearities, with or without weights.
        channels: input channels, where no layer says how many.
        seconds: the budget for everything.
        presburger: whether Z3 decides every step a second time.

    Raises:
        LayerError: the chain does not fit together.
        OutsideFragment: some part has no such form; the message says which, and why.
        BudgetExceeded: the budget ran out.
    """
    layer = network.layer if isinstance(network, WeightedNetwork) else network
    pair = bind_pair(layer, layer, channels)
    weights = network.weights if isinstance(network, WeightedNetwork) else (None,) * len(pair.left)
    build = _Build(pair.axes, pair.channels, isinstance(network, WeightedNetwork), Budget(seconds), presburger)
    rest = list(zip(pair.left, weights, strict=True))
    while rest:
        rest = rest[build.take(rest) :]
    chain = Sequential((*(layer for layer, _ in build.members), *build.carried))
    before, after = (format_layer(Sequential(flatten(part)), pair.axes) for part in (Sequential(pair.left), chain))
    if not isinstance(network, WeightedNetwork):
        return Embedding(before, after, chain, tuple(build.steps))
    moved = (*(held for _, held in build.members), *((None,) * len(build.carried)))
    return Embedding(before, after, WeightedNetwork(chain, moved, network.source), tuple(build.steps), build.exact)


class _Build:
    """The target so far: its members, and the shuffles carried behind them."""

    def __init__(self, axes: int, channels: int, weighted: bool, budget: Budget, presburger: bool) -> None:
        self.axes, self.channels, self.weighted, self.budget, self.presburger = axes, channels, weighted, budget, presburger
        self.members: list[Member] = []
        self.carried: tuple[Layer, ...] = ()
        self.steps: list[Step] = []
        self.exact = True

    def take(self, rest: list[Member]) -> int:
        """Takes the longest beginning of `rest` that can be rewritten at once, and returns its length."""
        layer, weights = rest[0]
        if isinstance(layer, Shuffle) and layer.order == "CRD":
            self.carried += (layer,)
            return 1
        if is_nonlinearity(layer) or isinstance(layer, BatchNorm):
            self._repeat(layer, weights)
            return 1
        if not self.carried and isinstance(layer, Conv):
            self._keep(layer, weights)
            return 1
        reasons = []
        for stop in range(_longest(rest), 0, -1):
            reason = self._lower(rest[:stop])
            if reason is None:
                return stop
            reasons.append(reason)
        raise OutsideFragment(f"the network has no low-resolution form: {reasons[-1]}")

    def _keep(self, layer: Layer, weights: Weights | None) -> None:
        text = format_layer(layer, self.axes)
        self._append(layer, weights)
        self.steps.append(Step(text, text, None))

    def _append(self, layer: Layer, weights: Weights | None) -> None:
        self.channels = channels_after(layer, self.channels)
        self.members.append((layer, weights))

    def _repeat(self, layer: Layer, weights: Weights | None) -> None:
        """A layer that treats every sample of a channel alike: its parameters stand once a phase."""
        phases = math.prod(shuffle.phases for shuffle in self.carried if isinstance(shuffle, Shuffle))
        if phases > 1 and isinstance(layer, (PReLU, BatchNorm)):
            many: Layer = layer
            if isinstance(layer, BatchNorm):
                many = attrs.evolve(layer, num_features=layer.num_features * phases)
            elif layer.num_parameters > 1:
                many = attrs.evolve(layer, num_parameters=layer.num_parameters * phases)
            if weights is not None and many != layer:
                weights = _repeated(weights, phases)
            self._step((layer,), many)
            self._append(many, weights)
        else:
            self._keep(layer, weights)

    def _step(
        self, before: tuple[Layer, ...], after: Layer, carried: tuple[Layer, ...] | None = None, verdict: Verdict | None = None
    ) -> None:
        behind = self.carried if carried is None else carried
        one, two = (format_layer(Sequential(flatten(Sequential(part))), self.axes) for part in ((*self.carried, *before), (after, *behind)))
        self.steps.append(Step(one, two, verdict))

    def _lower(self, part: list[Member]) -> str | None:
        """Rewrites shuffle and part as convolution and shuffle; returns why not where that fails."""
        core = (*self.carried, *(layer for layer, _ in part))
        text = format_layer(Sequential(core), self.axes)
        closest = f"`{text}` has none that needs no crop"
        for layers in self._candidates(core):
            source = core if any(map(is_parametric, core)) else (_ones(self.axes, self.channels), *core)
            verdict, stages = decide_stages(
                Sequential(core), Sequential(layers), channels=self.channels, seconds=self._seconds(), presburger=self.presburger
            )
            if not verdict.left_in_right or verdict.domain not in (DomainRelation.SAME, DomainRelation.RIGHT_WIDER):
                closest = f"`{text}` is not contained in `{verdict.right}` ({verdict.detail or verdict.relation.value})"
                continue
            if source != core:
                stages = decide_stages(
                    Sequential(source), Sequential(layers), channels=self.channels, seconds=self._seconds(), presburger=False, check=False
                )[1]
            found = next((move for stage in stages if (move := reshuffle(stage)) is not None), None)
            if found is None:
                closest = f"no reshuffle of `{text}` was found"
                continue
            self._replace(part, layers, verdict, found)
            return None
        return closest

    def _seconds(self) -> float:
        self.budget.check_time()
        return self.budget.remaining()

    def _candidates(self, core: tuple[Layer, ...]) -> list[tuple[Layer, ...]]:
        """Convolution and shuffle, no crop: the cheapest first."""
        words = words_of(core, self.channels, self.axes)
        windows = [window_of(word, self.budget) for word in words]
        outward = channels_through(core, self.channels)[-1]
        kernel = next((layer for layer in core if is_parametric(layer)), None)
        groups = [1]
        if not self.carried:
            own = kernel.groups if isinstance(kernel, (Conv, ConvTranspose)) else math.gcd(self.channels, outward)
            groups = [own, *groups] if own > 1 else groups
        bias = isinstance(kernel, (Conv, ConvTranspose)) and kernel.bias
        modes = dict.fromkeys(step.mode for word in words for step in word if isinstance(step, Extend))
        found: list[tuple[Layer, ...]] = []
        for mode in dict.fromkeys([*modes, "zeros"]):
            for number in groups:
                frame = Frame(self.channels, outward, number, bias, mode)
                found += [item.layers for item in proposals("lr-shuffle", windows, frame)]
        plain = [layers for layers in found if _is_plain(layers)]
        return sorted(plain, key=lambda layers: cost_of(layers, self.channels).multiplications)

    def _replace(self, part: list[Member], layers: tuple[Layer, ...], verdict: Verdict, found: Reshuffle) -> None:
        shuffles = tuple(layer for layer in layers if isinstance(layer, Shuffle))
        new = layers[: len(layers) - len(shuffles)]
        moved = self._moved(part, found) if self.weighted else None
        self._step(tuple(layer for layer, _ in part), Sequential(new), shuffles, verdict)
        for layer in new:
            self._append(layer, moved if isinstance(layer, Conv) else None)
        self.carried = shuffles

    def _moved(self, part: list[Member], found: Reshuffle) -> Weights:
        """The weights of the new convolution."""
        import numpy as np

        held = next((weights for _, weights in part if weights is not None), None)
        if held is None:  # the one function of a fixed part is the all-ones member of the family that `found` moves
            held = Weights(np.ones(kernel_shape(found.source)))
        kernel, bias = found.apply(np.asarray(held.kernel), None if held.bias is None else np.asarray(held.bias))
        self.exact = self.exact and _holds(found, held, kernel, bias)
        return Weights(kernel, bias if held.bias is not None else None)


def _holds(found: Reshuffle, held: Weights, kernel: Any, bias: Any) -> bool:
    """Whether the arrays hold the reshuffled weights exactly; asked slot by slot only where weights are added or scaled."""
    plain = all(c == 1 for _, moves in found.moves for _, _, c in moves)
    if plain and all(len({w for _, w, _ in moves}) == len(moves) for _, moves in found.moves):
        return True
    sums: dict[tuple[int, ...], Fraction] = {}
    for v, w, c in found.entries():
        at = tuple(map(int, torch_indices(found.target, list(w))))
        value = Fraction(float(held.kernel[tuple(map(int, torch_indices(found.source, list(v))))]))
        sums[at] = sums.get(at, Fraction(0)) + c * value
    shifts: dict[int, Fraction] = {}
    for b, d, c in found.bias_entries() if held.bias is not None else ():
        shifts[d] = shifts.get(d, Fraction(0)) + c * Fraction(float(held.bias[b]))
    return all(Fraction(float(kernel[at])) == total for at, total in sums.items()) and all(
        Fraction(float(bias[d])) == total for d, total in shifts.items()
    )


def _longest(rest: list[Member]) -> int:
    """How many members the linear stage at the beginning has, up to its second layer with parameters."""
    seen = 0
    for position, (layer, _) in enumerate(rest):
        seen += is_parametric(layer)
        if is_nonlinearity(layer) or isinstance(layer, BatchNorm) or seen > 1:
            return position
    return len(rest)


def _is_plain(layers: tuple[Layer, ...]) -> bool:
    """Whether the chain is [Pad >>] Conv [>> Shuffle], so that a network can go on behind it."""
    convolutions = [k for k, layer in enumerate(layers) if isinstance(layer, Conv)]
    return len(convolutions) == 1 and all(isinstance(layer, Shuffle) for layer in layers[convolutions[0] + 1 :])


def _ones(axes: int, channels: int) -> Conv:
    return Conv.make(axes, channels, channels, 1, groups=channels, bias=False)


def _repeated(weights: Weights, phases: int) -> Weights:
    import numpy as np

    fields = ("kernel", "bias", "mean", "variance")
    return Weights(*(None if getattr(weights, field) is None else np.repeat(getattr(weights, field), phases) for field in fields))

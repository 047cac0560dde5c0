"""Two chains that a proof says agree, and how the parameters of one become those of the other.

Owns: `Pairing`, `pair_networks`, `pair_certificate`: which side's parameters are free, the certified reshuffles that carry them.
Must not know: torch, devices, rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.api import known_channels
from symconv.errors import CertificateError, ModelError, OutsideFragment
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, PReLU, Sequential, WeightedNetwork, Weights, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS, Budget
from symconv.operators.domain import Domain, domain
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import Pair, bind_pair, decide_stages
from symconv.prove.reshuffle import Reshuffle, kernel_shape, reshuffle
from symconv.prove.stage import PartResult, StageResult, decide_stage, words_of
from symconv.prove.stages import is_nonlinearity
from symconv.prove.weighted import decide_weighted
from symconv.theory.relation import Relation
from symconv.theory.verdict import Verdict

Chain = tuple[Layer, ...]
Given = tuple[Weights | None, ...]
FORTH = (Relation.EQUAL, Relation.LEFT_IN_RIGHT)


@attrs.frozen
class Carry:
    """Where the parameters of one layer go.

    Args:
        source: position in the free chain, or None where the free side's stage is one function (its reshuffle then starts
            from a depthwise kernel of ones).
        target: position in the other chain.
        move: the reshuffle.
    """

    source: int | None
    target: int
    move: Reshuffle
    memory: dict[str, Any] = attrs.field(init=False, factory=dict, eq=False, repr=False)

    def apply(self, weights: Weights | None) -> Weights:
        """The target's parameters from the source's."""
        import numpy as np

        kernel = np.ones(kernel_shape(self.move.source)) if weights is None else weights.kernel
        given = None if weights is None else weights.bias
        places = self._places()
        if places is None:
            moved, bias = self.move.apply(kernel, given)
        else:
            moved = np.concatenate([np.zeros(1), np.ravel(kernel)])[places]
            bias = self.move.apply_bias(given)
        return plain_batch_norm(self.move.target, moved, bias) if isinstance(self.move.target, BatchNorm) else Weights(moved, bias)

    def transpose(self, kernel: Any, bias: Any = None) -> tuple[Any, Any]:
        """The transpose of the reshuffle: gradients of the target's parameters to those of the source's."""
        import numpy as np

        places, back = self._places(), _swapped(self.move)
        if places is None:
            return back.apply(kernel, bias)
        shape = kernel_shape(self.move.source)
        summed = np.bincount(places.ravel(), weights=np.ravel(kernel), minlength=math.prod(shape) + 1)[1:]
        return summed.reshape(shape), back.apply_bias(bias)

    def _places(self) -> Any:
        """For each target entry 1 + the flat source index, or 0; None where entries are scaled or summed. Found once."""
        import numpy as np

        if "places" not in self.memory:
            self.memory["places"] = None
            if all(c == 1 for _, moves in self.move.moves for _, _, c in moves):
                shape = kernel_shape(self.move.source)
                counts, _ = self.move.apply(np.ones(shape))
                if counts.max(initial=0) <= 1:
                    numbered, _ = self.move.apply(np.arange(1.0, math.prod(shape) + 1).reshape(shape))
                    self.memory["places"] = numbered.astype(np.int64)
        return self.memory["places"]

    @property
    def denominator(self) -> int:
        """A multiple of it makes integer parameters integers again."""
        parts = [*self.move.moves, *(self.move.bias or ())]
        return math.prod(math.lcm(*(c.denominator for _, _, c in moves)) if moves else 1 for _, moves in parts)


def _swapped(move: Reshuffle) -> Reshuffle:
    def turned(parts: Any) -> Any:
        return tuple((axes, tuple((w, v, c) for v, w, c in moves)) for axes, moves in parts)

    return Reshuffle(move.target, move.source, turned(move.moves), None if move.bias is None else turned(move.bias))


def absolute(carry: Carry) -> Carry:
    """The same with the magnitudes of its coefficients: it carries error bounds."""

    def positive(parts: Any) -> Any:
        return tuple((axes, tuple((v, w, abs(c)) for v, w, c in moves)) for axes, moves in parts)

    move = carry.move
    if all(c > 0 for _, moves in (*move.moves, *(move.bias or ())) for _, _, c in moves):
        return carry
    return attrs.evolve(carry, move=attrs.evolve(move, moves=positive(move.moves), bias=None if move.bias is None else positive(move.bias)))


def plain_batch_norm(layer: BatchNorm, gamma: Any, beta: Any) -> Weights:
    """BatchNorm with mean 0 and deviation 1, so that gamma and beta are the scale and the shift."""
    import numpy as np

    return Weights(gamma, beta, np.zeros(layer.num_features), np.full(layer.num_features, 1.0 - layer.eps))


@attrs.frozen(kw_only=True)
class Pairing:
    """What is cross-validated.

    Args:
        left, right: bound chains.
        axes, channels: spatial axes and input channels.
        domains: the extents that both accept, one an axis.
        relation: what was decided.
        trust: what vouches for it, or None.
        free: "left" or "right": whose parameters are drawn; "own" if both bring theirs.
        carries: to the other side, one for each of its layers with parameters.
        own: weights that a side brings, or None.
        source: where the relation comes from.
        stages: the decided stages behind it, none for layers with weights of their own.
    """

    left: Chain
    right: Chain
    axes: int
    channels: int
    domains: tuple[Domain, ...]
    relation: str
    trust: str | None
    free: str
    carries: tuple[Carry, ...]
    own: tuple[Given | None, Given | None] = (None, None)
    source: str = "decided here"
    stages: tuple[StageResult, ...] = ()

    @property
    def texts(self) -> tuple[str, str]:
        """Both chains as expressions."""
        return format_layer(Sequential(self.left), self.axes), format_layer(Sequential(self.right), self.axes)

    @property
    def drawn(self) -> Chain:
        """The chain whose parameters are drawn."""
        return self.right if self.free == "right" else self.left

    @property
    def carried(self) -> Chain:
        """The other one."""
        return self.left if self.free == "right" else self.right

    def complete(self, drawn: Given) -> tuple[Given, Given]:
        """Both chains' weights, (left, right), from those of the chain whose parameters are drawn."""
        if self.free == "own":
            assert self.own[0] is not None and self.own[1] is not None
            return self.own[0], self.own[1]
        others: list[Weights | None] = [None] * len(self.carried)
        slopes = iter([w for layer, w in zip(self.drawn, drawn, strict=True) if isinstance(layer, PReLU)])
        for k, layer in enumerate(self.carried):
            if isinstance(layer, PReLU):
                others[k] = next(slopes)
        for carry in self.carries:
            others[carry.target] = carry.apply(None if carry.source is None else drawn[carry.source])
        return (tuple(others), drawn) if self.free == "right" else (drawn, tuple(others))


def pair_networks(
    left: Layer | WeightedNetwork, right: Layer | WeightedNetwork, *, channels: int | None = None, seconds: float = DEFAULT_SECONDS
) -> Pairing:
    """Decides how two chains compare, and finds the reshuffles that make them agree.

    Raises:
        LayerError: they cannot be compared at all.
        OutsideFragment: no kernel of one side is known to make the other side agree with it.
    """
    layers = tuple(item.layer if isinstance(item, WeightedNetwork) else item for item in (left, right))
    channels = channels or known_channels(left, right)
    pair = bind_pair(layers[0], layers[1], channels)
    if isinstance(left, WeightedNetwork) and isinstance(right, WeightedNetwork):
        return _own(pair, left, right, channels, seconds)
    verdict, stages = decide_stages(layers[0], layers[1], channels=channels, seconds=seconds, presburger=False, witness=False)
    own = tuple(_flat_weights(item) for item in (left, right))
    return _pairing(pair, verdict, stages, (own[0], own[1]), seconds)


def _flat_weights(item: Layer | WeightedNetwork) -> Given | None:
    if not isinstance(item, WeightedNetwork) or all(weights is None for weights in item.weights):
        return None
    if any(isinstance(layer, BatchNorm) for layer in item.members):
        raise OutsideFragment("weights of BatchNorm are not carried by a reshuffle yet; give both layers with weights")
    finite(item)
    return item.weights


def finite(network: WeightedNetwork) -> None:
    """Refuses weights that are no numbers.

    Raises:
        ModelError: a weight is NaN or infinite.
    """
    import numpy as np

    for k, weights in enumerate(network.weights):
        for key in ("kernel", "bias", "mean", "variance") if weights is not None else ():
            values = getattr(weights, key)
            if values is not None and not np.isfinite(np.asarray(values, dtype=np.float64)).all():
                name = type(network.members[k]).__name__
                raise ModelError(
                    f"`{network.source or name}`: the {key} of layer {k} ({name}) must be finite; found NaN or infinity. "
                    "Nothing can be compared with it."
                )


def _domains(pair: Pair) -> tuple[Domain, ...]:
    sides = []
    for chain in (pair.left, pair.right):
        linear = tuple(layer for layer in chain if not is_nonlinearity(layer))
        sides.append([domain(word) for word in words_of(linear, pair.channels, pair.axes)])
    return tuple(a.meet(b) for a, b in zip(*sides, strict=True))


def _own(pair: Pair, left: WeightedNetwork, right: WeightedNetwork, channels: int | None, seconds: float) -> Pairing:
    finite(left)
    finite(right)
    verdict = decide_weighted(left, right, channels=channels, seconds=seconds)
    if verdict.relation is Relation.SHAPES_DIFFER or verdict.reason == "disjoint_domains":
        raise OutsideFragment(f"there is nothing to compare: {verdict.detail or 'the output shapes differ'}")
    return Pairing(
        left=pair.left,
        right=pair.right,
        axes=pair.axes,
        channels=pair.channels,
        domains=_domains(pair),
        relation=verdict.relation.value,
        trust=verdict.trust and verdict.trust.value,
        free="own",
        carries=(),
        own=(left.weights, right.weights),
    )


def _pairing(
    pair: Pair, verdict: Verdict, stages: Sequence[StageResult], own: tuple[Given | None, Given | None], seconds: float
) -> Pairing:
    forth, back = verdict.left_in_right, verdict.right_in_left
    if not stages or not (forth or back):
        why = verdict.detail or f"the relation is {verdict.relation.value.replace('_', ' ')}"
        raise OutsideFragment(f"no kernel of one side is known to make the other agree, so nothing can be cross-validated: {why}")
    free = "left" if forth and own[1] is None else "right"
    if (free == "right" and not back) or (own[0] is not None and free == "right"):
        side = "right" if own[1] is not None else "left"
        raise OutsideFragment(f"the weights of the {side} layer cannot be carried to the other one: {verdict.relation.value}")
    carries = _carries(pair, stages, free == "left", seconds)
    return Pairing(
        left=pair.left,
        right=pair.right,
        axes=pair.axes,
        channels=pair.channels,
        domains=_domains(pair),
        relation=verdict.relation.value,
        trust=verdict.trust and verdict.trust.value,
        free=free,
        carries=carries,
        own=own,
        stages=tuple(stages),
    )


def _carries(pair: Pair, stages: Sequence[StageResult], forth: bool, seconds: float) -> tuple[Carry, ...]:
    """One reshuffle a stage; the k-th layer with parameters of a chain belongs to the k-th stage that has one on that side."""
    source, target = (pair.left, pair.right) if forth else (pair.right, pair.left)
    sources = iter([k for k, layer in enumerate(source) if is_parametric(layer)])
    targets = iter([k for k, layer in enumerate(target) if is_parametric(layer)])
    found = []
    for stage in stages:
        own, other = (stage.left, stage.right) if forth else (stage.right, stage.left)
        start = next(sources) if any(map(is_parametric, own)) else None
        if not any(map(is_parametric, other)):
            continue
        end = next(targets)
        if start is None:
            stage = _opened(stage, own, other, pair.axes, seconds)
            move = reshuffle(stage)
        else:
            move = reshuffle(stage, forth=forth)
        if move is None:
            raise OutsideFragment("the relation is proved, but a stage has no reshuffle to carry parameters by")
        found.append(Carry(start, end, move))
    return tuple(found)


def _opened(stage: StageResult, own: Chain, other: Chain, axes: int, seconds: float) -> StageResult:
    """A stage without parameters on the free side as the all-ones member of a family."""
    ones = Conv.make(axes, stage.channels, stage.channels, 1, groups=stage.channels, bias=False)
    outs = [channels_through(chain, stage.channels)[-1] for chain in ((ones, *own), other)]
    found = decide_stage((ones, *own), other, (stage.channels, outs[0], outs[1]), axes, Budget(seconds))
    if not isinstance(found, StageResult) or not found.inclusions(linear=True)[0]:
        raise OutsideFragment("a layer without parameters equals a kernel of the other one, but no reshuffle says which")
    return found


def pair_certificate(record: Mapping[str, Any], source: str) -> Pairing:
    """The two chains that a certificate speaks of, joined by the reshuffle that it carries.

    Raises:
        CertificateError: the independent checker does not accept it, or it has nothing to cross-validate.
    """
    from symconv.checker import Malformed, check_certificate

    try:
        answer = check_certificate(dict(record))
    except Malformed as error:
        raise CertificateError(f"`{source}`: the certificate is malformed: {error}") from error
    if not answer.accepted:
        raise CertificateError(f"`{source}`: the checker rejects this certificate at {answer.place}: {answer.reason}")
    if "stages" not in record or "claim" not in record or record["claim"].get("left_in_right") is None:
        raise CertificateError(f"`{source}` certifies no inclusion of two classes, so there is no kernel to carry. Give the layers.")
    left, right = (tuple(layer_of(item) for item in record[side]) for side in ("left", "right"))
    pair = Pair(left, right, record["axes"], record["in_channels"], ())
    claim = record["claim"]
    if not (claim["left_in_right"] or claim["right_in_left"]):
        raise CertificateError(f"`{source}` refutes both inclusions: no kernel makes the two layers agree.")
    forth = bool(claim["left_in_right"])
    stages = [_certified_stage(pair, item, record, source) for item in record["stages"]]
    return Pairing(
        left=left,
        right=right,
        axes=pair.axes,
        channels=pair.channels,
        domains=_domains(pair) if "extents" not in record else tuple(Domain(n, n + 1, frozenset({n})) for n in record["extents"]),
        relation=claim["relation"],
        trust="certified",
        free="left" if forth else "right",
        carries=_carries(pair, stages, forth, DEFAULT_SECONDS),
        source=source,
        stages=tuple(stages),
    )


def layer_of(record: Mapping[str, Any]) -> Layer:
    """The layer of a LAYER object of the certificate format."""
    import symconv.layers as kinds

    def plain(value: Any) -> Any:
        return tuple(plain(item) for item in value) if isinstance(value, list) else value

    made: Layer = getattr(kinds, record["type"])(**{key: plain(value) for key, value in record.items() if key != "type"})
    return made


def _certified_stage(pair: Pair, item: Mapping[str, Any], record: Mapping[str, Any], source: str) -> StageResult:
    """A stage wired anew, with the certificate's reshuffles in place of our own."""
    left, right = tuple(pair.left[k] for k in item["left"]), tuple(pair.right[k] for k in item["right"])
    before = tuple(pair.left[k] for k in range(min(item["left"], default=0)))
    channels = channels_through(before, pair.channels)[-1]
    outs = [channels_through(chain, channels)[-1] for chain in (left, right)]
    stage = decide_stage(left, right, (channels, outs[0], outs[1]), pair.axes, Budget())
    if not isinstance(stage, StageResult):
        raise CertificateError(f"`{source}`: its layers have no common extent or different shapes.")
    weights = _with_moves(stage.weights, item["weights"], source)
    bias = None if stage.bias is None or item["bias"] is None else _with_moves(stage.bias, item["bias"], source)
    return attrs.evolve(stage, weights=weights, bias=bias)


def _with_moves(part: PartResult, record: Mapping[str, Any], source: str) -> PartResult:
    blocks = []
    for block, given in zip(part.blocks, record["blocks"], strict=False):
        if list(block.block.axes) != given["axes"] or len(part.blocks) != len(record["blocks"]):
            raise CertificateError(f"`{source}` cuts its channels into other blocks than symconv does. Give the layers instead.")
        blocks.append(attrs.evolve(block, forth=_moves(given["forth"]), back=_moves(given["back"])))
    return attrs.evolve(part, blocks=tuple(blocks))


def _moves(entries: Sequence[Any] | None) -> Any:
    if entries is None:
        return None
    out: dict[Any, dict[Any, Fraction]] = {}
    for v, w, c in entries:
        out.setdefault(tuple(v), {})[tuple(w)] = Fraction(c)
    return out


def parametric(chain: Sequence[Layer]) -> list[tuple[int, Conv | ConvTranspose | BatchNorm]]:
    """Positions and layers with a kernel."""
    return [(k, layer) for k, layer in enumerate(chain) if isinstance(layer, (Conv, ConvTranspose, BatchNorm))]

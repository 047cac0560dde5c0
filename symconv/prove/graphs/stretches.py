"""Two linear stretches compared as operators, for all extents.

Owns: `compare_parts`, `Finding`.
Must not know: graphs, names.

Small ones go to `decide_weighted`. Of large ones whose classes are included, the kernel of one side is first moved into the
layers of the other by the proved reshuffle, bit for bit; layers with equal descriptions then differ by the layer with the
difference of their weights, so the distance is its largest row sum. Nothing is rounded in what decides: differences are
split into two floats that add up to them exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs
import numpy as np

from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.layers import (
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    WeightedNetwork,
    Weights,
)
from symconv.prove.decide import decide_stages
from symconv.prove.graphs.folding import Part, fold, residues
from symconv.prove.graphs.outcome import Likeness
from symconv.prove.reshuffle import reshuffle
from symconv.prove.weighted import are_identical, decide_weighted
from symconv.theory.relation import DomainRelation, Relation

LARGE = 200_000
"""Parameters from which on kernels are moved before they are compared."""
SOME = 2_000
"""Parameters from which on the witness of a layer is looked for on one pair of channels."""
TRIAL_SECONDS = 2.0
"""For trying inputs on a part that is neither proved equal nor different."""
MOVING = (Shuffle, Unshuffle, ChannelShuffle, Identity, Pad)
"""Layers that only move samples, or add zeros or copies: the rows of a convolution beside them are seen whole in the interior."""


@attrs.frozen(kw_only=True)
class Finding:
    """How two stretches compare; the fields are those of a row.

    Args:
        shapes: whether the outputs have different shapes.
        trust: "certified" if the independent checker accepted what this rests on, "congruence" if equal layers were compared
            weight by weight, else None.
    """

    relation: Likeness
    distance: Fraction | None = None
    exact: bool = False
    domain: str | None = None
    witness: dict[str, Any] | None = None
    reason: str | None = None
    detail: str | None = None
    shapes: bool = False
    trust: str | None = None


Chain = tuple[tuple[Layer, ...], tuple[Weights | None, ...]]


def compare_parts(left: Chain, right: Chain, channels: int | None, seconds: float) -> Finding:
    """Decides whether two chains with weights are the same function; see `Finding`."""
    try:
        one, two = fold(*left), fold(*right)
        return _compare(one, two, channels, seconds)
    except (OutsideFragment, BudgetExceeded) as stop:
        return Finding(relation=Likeness.UNKNOWN, reason=stop.reason, detail=stop.detail)
    except LayerError as error:
        return Finding(relation=Likeness.UNKNOWN, reason="do_not_fit", detail=str(error))
    except MemoryError:
        return Finding(relation=Likeness.UNKNOWN, reason="budget", detail="memory ran out")


def same_parts(left: Chain, right: Chain, channels: int | None, seconds: float) -> bool:
    """Whether two chains are proved to be the same function, extents that they accept included; quick where they are not."""
    try:
        one, two = fold(*left), fold(*right)
        if one.error or two.error:
            return False
        found = same_layers(one, two, witness=False)
        if found is not None:
            return found.relation is Likeness.IDENTICAL
        if max(map(_parameters, (one, two))) > LARGE:
            found = _moved(one, two, channels, seconds)
            return found is not None and found.relation is Likeness.IDENTICAL
        return are_identical(_network(one), _network(two), channels=channels, seconds=seconds)
    except (OutsideFragment, BudgetExceeded, LayerError, MemoryError):
        return False


def _compare(left: Part, right: Part, channels: int | None, seconds: float) -> Finding:
    error = left.error + right.error
    found = same_layers(left, right, witness=not error)
    if found is None and max(map(_parameters, (left, right))) > LARGE:
        found = _moved(left, right, channels, seconds)
    if found is None:
        found = _decided(left, right, channels, seconds, 0.0 if error else TRIAL_SECONDS)  # rounded weights are not the model's
    if not error or found.distance is None:
        return found
    apart = found.distance > error  # below, the two may be the same: nothing smaller than the error is known
    relation = Likeness.DIFFERENT if apart else Likeness.UP_TO
    return attrs.evolve(found, relation=relation, distance=found.distance + error, exact=False, witness=None)


def _parameters(part: Part) -> int:
    return sum(int(np.size(own.kernel)) for own in part.weights if own is not None)


def _network(part: Part) -> WeightedNetwork:
    return WeightedNetwork(Sequential(part.layers), part.weights)


def _decided(left: Part, right: Part, channels: int | None, seconds: float, trial: float) -> Finding:
    verdict = decide_weighted(_network(left), _network(right), channels=channels, seconds=seconds, trial=trial)
    domain = None if verdict.domain in (None, DomainRelation.SAME) else verdict.domain.value
    trust = None if verdict.trust is None else verdict.trust.value
    match verdict.relation:
        case Relation.IDENTICAL:
            return Finding(relation=Likeness.IDENTICAL, distance=Fraction(0), exact=True, domain=domain, trust=trust)
        case Relation.DIFFERENT:
            distance = None if verdict.distance is None else Fraction(verdict.distance)
            exact = distance is not None
            return Finding(relation=Likeness.DIFFERENT, distance=distance, exact=exact, domain=domain, witness=verdict.witness, trust=trust)
        case Relation.SHAPES_DIFFER:
            return Finding(relation=Likeness.DIFFERENT, domain=domain, witness=verdict.witness, shapes=True)
        case _:
            return Finding(relation=Likeness.UNKNOWN, reason=verdict.reason, detail=verdict.detail, domain=domain)


def same_layers(left: Part, right: Part, *, witness: bool = True) -> Finding | None:
    """The comparison of equal layers (biases aside) with one convolution each, by their weights; None if they are others."""
    at = _own(left)
    if at is None or at != _own(right) or _no_bias(left.layers) != _no_bias(right.layers):
        return None
    if not all(isinstance(layer, MOVING) for k, layer in enumerate(left.layers) if k != at):
        return None
    layer = left.layers[at]
    a, b = left.weights[at], right.weights[at]
    assert isinstance(layer, (Conv, ConvTranspose)) and a is not None and b is not None
    worst = distance(layer, a, b)
    if not worst:
        return Finding(relation=Likeness.IDENTICAL, distance=Fraction(0), exact=True, trust="congruence")
    shown = _impulse(left, right) if witness else None
    return Finding(relation=Likeness.DIFFERENT, distance=worst, exact=True, witness=shown, trust="congruence")


def _own(part: Part) -> int | None:
    """The place of the one layer with weights, if it is a convolution."""
    places = [k for k, own in enumerate(part.weights) if own is not None]
    return places[0] if len(places) == 1 and isinstance(part.layers[places[0]], (Conv, ConvTranspose)) else None


def _no_bias(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return tuple(attrs.evolve(layer, bias=True) if isinstance(layer, (Conv, ConvTranspose)) else layer for layer in layers)


def distance(layer: Conv | ConvTranspose, left: Weights, right: Weights) -> Fraction:
    """The exact operator distance of one layer with two weightings: the largest sum of |differences| that an output sample sees.

    In the interior of a large signal an output sample sees all taps of its phase at once; at borders it sees fewer, or
    several of them on one sample, which makes no sum larger.
    """
    high, low = difference(left.kernel, right.kernel)
    zero = np.zeros(layer.out_channels)
    shift = difference(zero if left.bias is None else left.bias, zero if right.bias is None else right.bias)
    if not (high.any() or low.any() or shift[0].any() or shift[1].any()):
        return Fraction(0)
    numbers = _rows(layer)
    phases = residues(layer)[1] if isinstance(layer, ConvTranspose) else 1
    flat, count = numbers.ravel(), layer.out_channels * phases
    order = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[order], np.arange(count + 1))
    biases = [Fraction(float(a)) + Fraction(float(b)) for a, b in zip(*shift, strict=True)]
    sums = np.zeros(count)
    np.add.at(sums, flat, np.abs(high.ravel()))
    sums += np.repeat(np.abs(shift[0]), phases)
    near = np.nonzero(sums >= sums.max() * (1 - 2.0**-20))[0]  # float sums only choose which rows are summed exactly
    highs, lows = high.ravel()[order], low.ravel()[order]
    return max(exact_sum(highs[ends[k] : ends[k + 1]], lows[ends[k] : ends[k + 1]]) + abs(biases[int(k) // phases]) for k in near)


def difference(left: Any, right: Any) -> tuple[Any, Any]:
    """Two float arrays that add up to left - right exactly (Knuth's two-sum)."""
    a, b = (np.asarray(values, dtype=np.float64) for values in (left, right))
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise OutsideFragment("a weight is not finite", "not_finite")
    with np.errstate(over="ignore", invalid="ignore"):
        high = a - b
        part = high + b
        low = (a - part) - (b - (part - high))
    if not (np.isfinite(high).all() and np.isfinite(low).all()):
        raise OutsideFragment("the difference of two weights overflows", "not_finite")
    return high, low


def exact_sum(high: Any, low: Any) -> Fraction:
    """The sum of |high + low|, pairs added exactly; the sign of a pair is that of its first number unless that is 0."""
    signs = np.where(high != 0, np.sign(high), np.sign(low))
    terms = [*(high * signs).tolist(), *(low * signs).tolist()]
    return sum((Fraction(term) for term in terms if term), Fraction(0))


def _rows(layer: Conv | ConvTranspose) -> Any:
    """For every kernel entry the number of the rows that see it: output channel, then phase."""
    if isinstance(layer, Conv):
        own = np.arange(layer.out_channels).reshape(-1, *(1,) * (layer.axes + 1))
        return np.broadcast_to(own, (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel))
    inward, outward = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    channel = np.arange(layer.in_channels).reshape(-1, 1) // inward * outward + np.arange(outward)
    phase, count = residues(layer)
    return channel.reshape(*channel.shape, *(1,) * layer.axes) * count + phase


def _moved(left: Part, right: Part, channels: int | None, seconds: float) -> Finding | None:
    """Large kernels: one side's moved into the other's layers by a proved reshuffle of the classes, then compared."""
    sides = _own(left), _own(right)
    if None in sides or not all(
        isinstance(layer, MOVING) for part in (left, right) for k, layer in enumerate(part.layers) if k != _own(part)
    ):
        return None
    one, two = (_biased(part) for part in (left, right))
    verdict, stages = decide_stages(
        Sequential(one.layers), Sequential(two.layers), channels=channels, seconds=seconds, presburger=False, witness=False
    )
    if len(stages) != 1 or verdict.relation not in (Relation.EQUAL, Relation.LEFT_IN_RIGHT, Relation.RIGHT_IN_LEFT):
        return None
    if verdict.domain not in (DomainRelation.SAME, DomainRelation.RIGHT_WIDER):
        return None
    forth = verdict.relation is not Relation.RIGHT_IN_LEFT
    source, target = (one, two) if forth else (two, one)
    moves = reshuffle(stages[0], forth=forth)
    held = source.weights[_own(source) or 0]
    if moves is None or moves.bias is None or held is None or not _only_moves(moves):
        return None
    moved = Weights(*moves.apply(np.asarray(held.kernel, dtype=np.float64), np.asarray(held.bias, dtype=np.float64)))
    place = _own(target)
    part = Part(target.layers, tuple(moved if k == place else None for k in range(len(target.layers))))
    found = same_layers(part, target) if forth else same_layers(target, part)
    domain = None if verdict.domain is DomainRelation.SAME else verdict.domain.value
    trust = None if verdict.trust is None else verdict.trust.value
    return None if found is None else attrs.evolve(found, domain=domain, trust=trust)


def _only_moves(moves: Any) -> bool:
    """Whether every parameter goes to places of its own, with coefficient 1: nothing is added or multiplied."""
    for blocks in (moves.moves, moves.bias):
        for _, block in blocks:
            targets = [target for _, target, _ in block]
            if any(c != 1 for _, _, c in block) or len(set(targets)) != len(targets):
                return False
    return True


def _biased(part: Part) -> Part:
    """The same function, with a bias that may be zero."""
    at = _own(part)
    assert at is not None
    layer, own = part.layers[at], part.weights[at]
    assert isinstance(layer, (Conv, ConvTranspose)) and own is not None
    if own.bias is not None:
        return part
    made = attrs.evolve(layer, bias=True)
    filled = Weights(own.kernel, np.zeros(layer.out_channels))
    return Part(
        tuple(made if k == at else item for k, item in enumerate(part.layers)),
        tuple(filled if k == at else item for k, item in enumerate(part.weights)),
        part.error,
    )


def _impulse(left: Part, right: Part) -> dict[str, Any] | None:
    """The smallest witness; of a large layer that of the pair of channels whose weights differ most, None if other layers are beside it."""
    if _parameters(left) <= SOME:
        return decide_weighted(_network(left), _network(right), seconds=10, certify=False).witness
    layer, a, b = left.layers[0], left.weights[0], right.weights[0]
    if len(left.layers) > 1 or not isinstance(layer, (Conv, ConvTranspose)) or a is None or b is None:
        return None
    gaps = np.abs(difference(a.kernel, b.kernel)[0])
    first, second, *_ = np.unravel_index(int(gaps.argmax()), gaps.shape) if gaps.any() else (0, 0)
    inner, outer = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    if isinstance(layer, Conv):
        out, into = int(first), int(first) // outer * inner + int(second)
    else:
        into, out = int(first), int(first) // inner * outer + int(second)
    if not gaps.any():
        shifts = np.abs(difference(*(np.zeros(layer.out_channels) if w.bias is None else w.bias for w in (a, b)))[0])
        out, into = int(shifts.argmax()), 0
        first, second = (out, 0) if isinstance(layer, Conv) else (out // outer * inner, out % outer)
    one = attrs.evolve(layer, in_channels=1, out_channels=1, groups=1, bias=True)
    parts = []
    for own in (a, b):
        bias = np.zeros(1) if own.bias is None else np.asarray(own.bias)[out : out + 1]
        parts.append(Part((one,), (Weights(np.asarray(own.kernel)[first : first + 1, second : second + 1], bias),)))
    found = decide_weighted(_network(parts[0]), _network(parts[1]), seconds=10, certify=False).witness
    if found is None:
        return None
    entries = [[[into, *index[1:]], value] for index, value in found["input"]["entries"]]
    shape = [layer.in_channels, *found["input"]["shape"][1:]]
    return found | {"input": {"shape": shape, "entries": entries}, "at": [out, *found["at"][1:]]}

"""Concrete weights: identical functions, or the exact operator distance and a witness.

Owns: `decide_weighted`. Must not know: torch, rendering.

Floats are dyadic rationals, so differences of weights are exact numbers. For two linear stages the distance is
sup over inputs with |x| <= 1 of the largest output difference: the largest sum over a row of absolute differences,
plus the difference of the constants; over all extents it is a maximum over finitely many rows (the cutoff theorem).
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.certificate.encode import rational
from symconv.errors import BudgetExceeded, LayerError, OutsideFragment
from symconv.layers import BatchNorm, Layer, WeightedNetwork, Weights, channels_through
from symconv.operators.blocks import Assembly, assemble
from symconv.operators.budget import DEFAULT_SECONDS, Budget
from symconv.operators.domain import Domain, domain, extents_differ
from symconv.operators.rows import AxisProgram, Form
from symconv.operators.steps import Interpolate
from symconv.operators.wiring import Indivisible, is_parametric, refine, wire
from symconv.prove.certify import WEIGHTS_FORMAT, accept, certificate, weights_record
from symconv.prove.decide import Pair, bind_pair, compare_domains, unknown
from symconv.prove.entries import Entry, EntryList, axis_samples, list_entries
from symconv.prove.reshuffle import torch_indices
from symconv.prove.stage import has_bias, words_of
from symconv.prove.stages import cut_chain, is_nonlinearity
from symconv.prove.table import common_shift, seen_at
from symconv.prove.witness import torch_index
from symconv.theory.relation import DomainRelation, Relation, Trust
from symconv.theory.verdict import Verdict

TRIAL_SECONDS = 10.0
"""For trying inputs where nothing is proved, if so much is left of the budget."""
MOST_ENTRIES = 40_000_000
"""Operator entries that are listed at once; about 100 bytes each at the peak."""


@attrs.frozen
class Difference:
    """How two linear stages with weights differ: the distance, and the smallest entry (or constant) that shows it."""

    distance: Fraction
    extents: tuple[int, ...]
    out: tuple[int, ...]
    into: tuple[int, ...] | None
    left: Fraction
    right: Fraction


def decide_weighted(
    left: WeightedNetwork,
    right: WeightedNetwork,
    *,
    channels: int | None = None,
    seconds: float = DEFAULT_SECONDS,
    certify: bool = True,
    trial: float = TRIAL_SECONDS,
) -> Verdict:
    """Decides whether two weighted chains are the same function, at all extents valid for both.

    Args:
        left, right: the chains.
        channels: input channels, where no layer says how many.
        seconds: the budget.
        certify: whether a certificate is made and checked; without it the verdict has no trust.
        trial: seconds of the budget in which inputs are tried where nothing is proved.

    Returns:
        `identical`; or `different` with the exact operator distance and a witness; or `unknown`.

    Raises:
        LayerError: the two cannot be compared at all.
    """
    started = time.perf_counter()
    pair = bind_pair(left.layer, right.layer, channels)
    comparison: _Weighted | None = None
    try:
        comparison = _Weighted(pair, left, right, Budget(seconds), certify)
        verdict = comparison.verdict()
    except (OutsideFragment, BudgetExceeded) as stop:
        verdict = unknown(pair, stop.reason, stop.detail)
    except MemoryError:
        verdict = unknown(pair, "budget", "memory ran out")
    if comparison is not None and verdict.relation is Relation.UNKNOWN and verdict.reason != "disjoint_domains":
        verdict = comparison.refuted(min(trial, seconds - (time.perf_counter() - started))) or verdict
    return attrs.evolve(verdict, seconds=round(time.perf_counter() - started, 6))


def are_identical(left: WeightedNetwork, right: WeightedNetwork, *, channels: int | None = None, seconds: float = DEFAULT_SECONDS) -> bool:
    """Whether two weighted chains are proved to be the same function with the same domain; stops at the first difference.

    Raises:
        LayerError: the two cannot be compared at all.
    """
    pair = bind_pair(left.layer, right.layer, channels)
    try:
        verdict = _Weighted(pair, left, right, Budget(seconds), certify=False, quick=True).verdict()
    except (OutsideFragment, BudgetExceeded, MemoryError):
        return False
    return verdict.relation is Relation.IDENTICAL and verdict.domain is DomainRelation.SAME


class _Weighted:
    """One comparison of weighted chains, from bound pair to verdict; a `quick` one says nothing true of a difference but that it is one."""

    def __init__(
        self, pair: Pair, left: WeightedNetwork, right: WeightedNetwork, budget: Budget, certify: bool = True, quick: bool = False
    ) -> None:
        self.pair, self.budget, self.certify, self.quick = pair, budget, certify, quick
        self.chains = pair.left, pair.right
        self.weights = left.weights, right.weights
        linear = [tuple(layer for layer in chain if not is_nonlinearity(layer)) for chain in self.chains]
        self.words = [words_of(chain, pair.channels, pair.axes) for chain in linear]
        self.domains = [tuple(domain(word) for word in words) for words in self.words]
        self.domain, self.domain_extents = compare_domains(*self.domains)

    def verdict(self) -> Verdict:
        if any(isinstance(step, Interpolate) for words in self.words for word in words for step in word):
            return self._unknown(
                "not_shift_invariant", "`Upsample` with align_corners=True is not shift-invariant: its weights change with the extent"
            )
        if self.domain is DomainRelation.DISJOINT:
            return self._unknown("disjoint_domains", "no input extent is valid for both layers, so there is nothing to compare")
        shapes = self._shapes()
        if shapes is not None:
            return shapes
        apart = [_irrational(*side) for side in zip(self.chains, self.weights, strict=True)]
        cuts = [cut_chain(chain, also) for chain, also in zip(self.chains, apart, strict=True)]
        if cuts[0].nonlinearities != cuts[1].nonlinearities or not self._same_slopes(cuts[0].bounds, cuts[1].bounds):
            if any(apart):
                raise OutsideFragment(IRRATIONAL, "irrational")
            return self._unknown("nonlinearities_differ", "the nonlinearities, or their slopes, differ")
        if not cuts[0].bounds:
            parts = [cut.segments for cut in cuts]
            found = self._difference(parts[0][0], parts[1][0], self.pair.channels)
            return self._identical(parts) if found is None else self._different(found, parts)
        for early in (True, False):
            parts = [cut.moved((early,) * len(cut.bounds)) for cut in cuts]
            if self._stages_identical(parts):
                return self._identical(parts)
        return self._unknown(
            "stages_differ", "some stage between two nonlinearities differs; networks can be equal all the same, so this refutes nothing"
        )

    def _unknown(self, reason: str, detail: str) -> Verdict:
        return unknown(self.pair, reason, detail, domain=self.domain, domain_extents=self.domain_extents)

    def _fields(self) -> dict[str, Any]:
        left, right = self.pair.texts
        return {
            "left": left,
            "right": right,
            "domain": self.domain,
            "domain_extents": self.domain_extents,
            "assumptions": (*self.pair.assumptions, "weights are the exact values of the stored floats; arithmetic is exact"),
        }

    def _identical(self, parts: Sequence[Sequence[tuple[int, ...]]]) -> Verdict:
        vouched = self._certified(Relation.IDENTICAL, Fraction(0), parts)
        return Verdict(**self._fields(), **vouched, relation=Relation.IDENTICAL, distance="0", left_in_right=True, right_in_left=True)

    def _certified(self, relation: Relation, distance: Fraction, parts: Sequence[Sequence[tuple[int, ...]]]) -> dict[str, Any]:
        """The certificate, its trust and what the checker said; a certificate too large for the checker earns no trust."""
        if not self.certify:
            return {"deciders": {"exact": relation.value}}
        stages = [{"left": list(a), "right": list(b), "distance": rational(distance)} for a, b in zip(*parts, strict=True)]
        extents = None if self.domain_extents is None else list(self.domain_extents)
        domain = {"relation": self.domain.value, "extents": extents}
        claim = {"relation": relation.value, "distance": rational(distance), "domain": domain}
        record = certificate(self.pair.axes, self.pair.channels, *self.chains, claim) | {
            "format": WEIGHTS_FORMAT,
            "left_weights": weights_record(self.weights[0]),
            "right_weights": weights_record(self.weights[1]),
            "stages": stages,
        }
        if not accept(record):
            return {"deciders": {"exact": relation.value, "checker": "left out: too large for its budget"}}
        return {"certificate": record, "trust": Trust.CERTIFIED, "deciders": {"exact": relation.value, "checker": "accepted"}}

    def _different(self, found: Difference, parts: Sequence[Sequence[tuple[int, ...]]]) -> Verdict:
        vouched = self._certified(Relation.DIFFERENT, found.distance, parts)
        x = [] if found.into is None else [[list(found.into), "1"]]
        witness = {
            "kind": "input",
            "extents": list(found.extents),
            "input": {"shape": [self.pair.channels, *found.extents], "entries": x},
            "at": list(found.out),
            "left_value": rational(found.left),
            "right_value": rational(found.right),
        }
        return Verdict(**self._fields(), **vouched, relation=Relation.DIFFERENT, distance=rational(found.distance), witness=witness)

    def refuted(self, seconds: float) -> Verdict | None:
        """`different` by an input on which the two part, if one is found in time."""
        from symconv.prove.trial import find_parting

        networks = [(chain, own) for chain, own in zip(self.chains, self.weights, strict=True)]
        common = [a.meet(b) for a, b in zip(*self.domains, strict=True)]
        try:
            found = None if seconds <= 0 else find_parting(networks[0], networks[1], self.pair.channels, common, Budget(seconds))
        except (BudgetExceeded, MemoryError):
            return None
        if found is None:
            return None
        witness = {
            "kind": "input",
            "extents": list(found.extents),
            "input": {
                "shape": [self.pair.channels, *found.extents],
                "entries": [[list(index), rational(Fraction(value))] for index, value in found.entries],
            },
            "at": list(found.at),
            "left_value": rational(found.left),
            "right_value": rational(found.right),
            "radius": rational(found.radius),
        }
        return Verdict(**self._fields(), deciders={"enclosures": "different"}, relation=Relation.DIFFERENT, witness=witness)

    def _shapes(self) -> Verdict | None:
        counts = [channels_through(chain, self.pair.channels)[-1] for chain in self.chains]
        common = [a.meet(b) for a, b in zip(*self.domains, strict=True)]
        firsts = [int(item.first() or 1) for item in common]
        extents: tuple[int, ...] | None = () if counts[0] != counts[1] else None
        for axis in range(self.pair.axes) if extents is None else ():
            n = extents_differ(self.words[0][axis], self.words[1][axis], common[axis])
            if n is not None and extents is None:
                extents = tuple(n if k == axis else first for k, first in enumerate(firsts))
        if extents is None:
            return None
        witness = {"kind": "shapes", "extents": list(extents), "channels": counts}
        return Verdict(**self._fields(), relation=Relation.SHAPES_DIFFER, witness=witness, left_in_right=False, right_in_left=False)

    def _same_slopes(self, left: Sequence[int], right: Sequence[int]) -> bool:
        for a, b in zip(left, right, strict=True):
            one, two = self.weights[0][a], self.weights[1][b]
            if (one is None) != (two is None):
                return False
            for name in ("kernel", "bias", "mean", "variance") if one is not None else ():
                x, y = getattr(one, name), getattr(two, name)
                if (x is None) != (y is None) or (x is not None and x.tolist() != y.tolist()):
                    return False
        return True

    def _stages_identical(self, parts: Sequence[Sequence[tuple[int, ...]]]) -> bool:
        channels = self.pair.channels
        for left, right in zip(*parts, strict=True):
            chains = [tuple(chain[k] for k in part) for chain, part in zip(self.chains, (left, right), strict=True)]
            try:
                outs = [channels_through(chain, channels)[-1] for chain in chains]
            except LayerError:
                return False
            words = [words_of(chain, channels, self.pair.axes) for chain in chains]
            domains = [domain(a).meet(domain(b)) for a, b in zip(*words, strict=True)]
            if outs[0] != outs[1] or any(item.first() is None for item in domains):
                return False
            if any(extents_differ(a, b, d) is not None for a, b, d in zip(*words, domains, strict=True)):
                return False
            if self._difference(left, right, channels) is not None:
                return False
            channels = outs[0]
        return True

    def _difference(self, left: tuple[int, ...], right: tuple[int, ...], channels: int) -> Difference | None:
        sides = []
        for which, part in enumerate((left, right)):
            chain = tuple(self.chains[which][k] for k in part)
            sides.append(_Side(chain, tuple(exact_weights(layer, self.weights[which][k]) for layer, k in zip(chain, part, strict=True))))
        return stage_difference(sides[0], sides[1], channels, self.pair.axes, self.budget, quick=self.quick)


@attrs.frozen(eq=False)
class _Side:
    """A linear stage with weights; BatchNorm is already a scale and a shift."""

    chain: tuple[Layer, ...]
    weights: tuple[Weights | None, ...]

    @property
    def parametric(self) -> int:
        """How many layers have weights."""
        return sum(map(is_parametric, self.chain))

    @property
    def own(self) -> tuple[Layer, Weights] | None:
        """The one layer with weights, if any."""
        for layer, weights in zip(self.chain, self.weights, strict=True):
            if is_parametric(layer) and weights is not None:
                return layer, weights
        return None


IRRATIONAL = (
    "BatchNorm scales by 1 / sqrt(var + eps), which is irrational here, and the two sides do not have the same one at the same place; "
    "fold it into the layer before it"
)


def _irrational(chain: Sequence[Layer], weights: Sequence[Weights | None]) -> frozenset[int]:
    """Where BatchNorm has a scale that is irrational: a function of each sample, equal where the four vectors are."""
    return frozenset(k for k, (layer, own) in enumerate(zip(chain, weights, strict=True)) if _is_irrational(layer, own))


def _is_irrational(layer: Layer, own: Weights | None) -> bool:
    if not isinstance(layer, BatchNorm) or own is None or any(each is None for each in (own.kernel, own.bias, own.mean, own.variance)):
        return False
    squares = [exact(value) + exact(layer.eps) for gamma, value in zip(own.kernel, own.variance, strict=True) if gamma]
    return all(square > 0 for square in squares) and any(_exact_root(square) is None for square in squares)


def exact_weights(layer: Layer, weights: Weights | None) -> Weights | None:
    """The weights as they act: BatchNorm's four vectors become a scale and a shift.

    Raises:
        OutsideFragment: BatchNorm's scale is irrational, so no exact rational operator exists.
    """
    if not isinstance(layer, BatchNorm) or weights is None:
        return weights
    import numpy as np

    scales, shifts = [], []
    for k in range(layer.num_features):
        variance = Fraction(float(weights.variance[k])) + Fraction(float(layer.eps))
        root = _exact_root(variance)
        gamma = Fraction(1) if weights.kernel is None else Fraction(float(weights.kernel[k]))
        if root is None and gamma:
            raise OutsideFragment(
                "BatchNorm scales by 1 / sqrt(var + eps), which is irrational here; fold it into the layer before it", "irrational"
            )
        scale = gamma / root if root else Fraction(0)
        scales.append(scale)
        shifts.append(
            (Fraction(0) if weights.bias is None else Fraction(float(weights.bias[k]))) - Fraction(float(weights.mean[k])) * scale
        )
    return Weights(np.array(scales, dtype=object), np.array(shifts, dtype=object))


def _exact_root(value: Fraction) -> Fraction | None:
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    return Fraction(top, bottom) if value > 0 and top * top == value.numerator and bottom * bottom == value.denominator else None


def stage_difference(left: _Side, right: _Side, channels: int, axes: int, budget: Budget, *, quick: bool = False) -> Difference | None:
    """How two stages of equal shapes differ, or None if they are the same function; `quick` stops at the first difference."""
    from symconv.prove.dense import dense_difference

    words = words_of(left.chain, channels, axes), words_of(right.chain, channels, axes)
    domains = [domain(a).meet(domain(b)) for a, b in zip(*words, strict=True)]
    if max(left.parametric, right.parametric) <= 1:
        try:
            one, two = wire(left.chain, channels, axes), wire(right.chain, channels, axes)
            refine(one, two)
            return _Structured(left, right, assemble(one, two), _bias_assembly(left, right, one, two), domains, budget).difference(quick)
        except Indivisible:
            pass
    return dense_difference((left.chain, left.weights), (right.chain, right.weights), channels, domains, words, budget)


def _bias_assembly(left: _Side, right: _Side, one: Any, two: Any) -> Assembly | None:
    biased = has_bias(left.chain), has_bias(right.chain)
    if not any(biased):
        return None
    return assemble(one if biased[0] else two, two if biased[1] else one, constant=True)


class _Structured:
    """Stages with one weighted layer each whose channels factor: every entry by index arithmetic on the kernels."""

    def __init__(
        self, left: _Side, right: _Side, assembly: Assembly, biases: Assembly | None, domains: Sequence[Domain], budget: Budget
    ) -> None:
        self.sides = left, right
        self.assembly, self.biases, self.domains, self.budget = assembly, biases, domains, budget
        self.programs = {axis: (b.left.programs[axis], b.right.programs[axis]) for b in assembly.blocks for axis in b.axes}
        bias_programs = {
            axis: (b.left.programs[axis], b.right.programs[axis]) for b in (biases.blocks if biases else ()) for axis in b.axes
        }
        self.samples = [
            axis_samples([self.programs[axis], *([self._biased_programs(bias_programs[axis])] if biases else [])], domains[axis], budget)
            for axis in range(len(domains))
        ]

    def _biased_programs(self, pair: tuple[AxisProgram, AxisProgram]) -> tuple[AxisProgram | None, AxisProgram | None]:
        """The bias programs of the sides that have a bias (an assembly of one side alone holds it twice)."""
        left, right = (has_bias(side.chain) for side in self.sides)
        return pair[0] if left else None, pair[1] if right else None

    def difference(self, quick: bool = False) -> Difference | None:
        lists = list_entries(self.assembly, self.samples, self.budget)
        total = math.prod(len(item.entries) for item in lists)
        if total > MOST_ENTRIES:
            raise BudgetExceeded(f"the operators have {total:,} entries to compare, more than {MOST_ENTRIES:,}")
        constants = self._constants()
        product = _Product(lists, [self._own(which) for which in (0, 1)], len(self.domains))
        if quick:
            apart = any(a != b for a, b in constants.values()) or product.first_differing(self.budget)
            return Difference(Fraction(1), (), (), None, Fraction(1), Fraction(0)) if apart else None
        rows = product.row_sums(self.budget)
        worst: tuple[Fraction, tuple[int, ...]] | None = None
        for key in rows.keys() | constants.keys():
            left, right = constants.get(key, (Fraction(0), Fraction(0)))
            size = rows.get(key, Fraction(0)) + abs(left - right)
            if size and (worst is None or size > worst[0]):
                worst = size, key
        if worst is None:
            return None
        return self._smallest(product, constants, worst[0])

    def _own(self, which: int) -> tuple[Layer, Weights] | None:
        return self.sides[which].own

    def _constants(self) -> dict[tuple[int, ...], tuple[Fraction, Fraction]]:
        """(channel, sample numbers...) to both sides' constants."""
        if self.biases is None:
            return {}
        biased = [has_bias(side.chain) for side in self.sides]
        samples = self.samples
        if not all(biased):
            keep = 0 if biased[0] else 1
            samples = [[attrs.evolve(s, seen=(s.seen[keep], s.seen[keep])) for s in axis] for axis in samples]
        product = _Product(list_entries(self.biases, samples, self.budget), [None, None], len(self.domains))
        out: dict[tuple[int, ...], tuple[Fraction, Fraction]] = {}
        for key, _, forms in product.everything():
            values = []
            for which, form in enumerate(forms):
                own = self.sides[which].own
                bias = own[1].bias if own and biased[which] else None
                values.append(Fraction(0) if bias is None else sum((c * exact(bias[p[0]]) for p, c in form.items()), Fraction(0)))
            out[key] = values[0], values[1]
        return out

    def _smallest(self, product: _Product, constants: dict[tuple[int, ...], tuple[Fraction, Fraction]], distance: Fraction) -> Difference:
        """The difference at the smallest place: on an input impulse if an entry differs, else on the zero input."""
        differing = product.differing(self.budget) or [(key, None, *pair) for key, pair in constants.items() if pair[0] != pair[1]]
        candidates = [(self._place(key, into), left, right, key) for key, into, left, right in differing]
        (extents, out, into), left, right, key = min(candidates, key=lambda c: (max(c[0][0]), *c[0][0], *c[0][1], *(c[0][2] or ())))
        if into is not None:
            shift = constants.get(key, (Fraction(0), Fraction(0)))
            if left + shift[0] == right + shift[1]:  # the constants make up for it on this impulse, so they part on the zero input
                return Difference(distance, extents, out, None, *shift)
            left, right = left + shift[0], right + shift[1]
        return Difference(distance, extents, out, into, left, right)

    def _place(self, key: tuple[int, ...], into: tuple[int, ...] | None) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
        """(extents, output index, input index) of an entry given by sample numbers."""
        extents, out, where = [], [key[0]], [into[0] if into else 0]
        for axis, number in enumerate(key[1:]):
            sample = self.samples[axis][number]
            n, o, i = sample.extent, sample.position, into[axis + 1] if into else 0
            if n is None:
                programs = self.programs[axis]
                n, o, i = seen_at(programs[0], common_shift(programs), o, i, self.domains[axis])
            extents.append(n)
            out.append(o)
            where.append(i)
        return tuple(extents), tuple(out), tuple(where) if into else None


Term = tuple[tuple[int, ...], tuple[int, ...], tuple[Form, Form]]
"""(output channel and sample numbers, input channel and samples, both forms)."""


class _Product:
    """All entries of whole operators: the product of the blocks' entries."""

    def __init__(self, lists: Sequence[EntryList], owns: Sequence[tuple[Layer, Weights] | None], axes: int) -> None:
        self.lists, self.owns, self.axes = lists, owns, axes

    def everything(self) -> Iterator[Term]:
        """Every entry, one by one."""
        for combination in itertools.product(*(item.entries for item in self.lists)):
            yield self._join(combination)

    def _join(self, combination: Sequence[Entry]) -> Term:
        out, into = [0] * (self.axes + 1), [0] * (self.axes + 1)
        for item, entry in zip(self.lists, combination, strict=True):
            out[0] += entry.channel
            into[0] += entry.into[0]
            for k, axis in enumerate(item.block.axes):
                out[axis + 1] = entry.samples[k]
                into[axis + 1] = entry.into[k + 1]
        forms = tuple(self._form([entry.left if which == 0 else entry.right for entry in combination]) for which in (0, 1))
        return tuple(out), tuple(into), (forms[0], forms[1])

    def _form(self, forms: Sequence[Form]) -> Form:
        total: Form = {}
        for terms in itertools.product(*(form.items() for form in forms)):
            index = [0] * (self.axes + 2)
            for item, (param, _) in zip(self.lists, terms, strict=True):
                index[0] += param[0]
                index[1] += param[1]
                for k, axis in enumerate(item.block.axes):
                    index[axis + 2] = param[k + 2]
            key = tuple(index)
            total[key] = total.get(key, 0) + math.prod(c for _, c in terms)
        return total

    def value(self, form: Form, which: int) -> Fraction:
        """A form at this side's weights."""
        own = self.owns[which]
        if own is None:
            return Fraction(sum(form.values()))
        layer, weights = own
        return sum((c * exact(weights.kernel[torch_index(layer, param)]) for param, c in form.items()), Fraction(0))

    @functools.cached_property
    def _simple(self) -> bool:
        """Whether every form is one parameter with coefficient 1, or nothing."""
        forms = (form for item in self.lists for entry in item.entries for form in (entry.left, entry.right))
        return all(len(form) <= 1 and all(c == 1 for c in form.values()) for form in forms)

    def first_differing(self, budget: Budget) -> bool:
        """Whether an entry differs."""
        if self._simple:
            return next(self._suspects(budget), None) is not None
        return bool(self.differing(budget))

    def differing(self, budget: Budget) -> list[tuple[tuple[int, ...], tuple[int, ...] | None, Fraction, Fraction]]:
        """Every entry whose two values differ."""
        found: list[tuple[tuple[int, ...], tuple[int, ...] | None, Fraction, Fraction]] = []
        combinations = self._suspects(budget) if self._simple else itertools.product(*(item.entries for item in self.lists))
        for combination in combinations:
            out, into, forms = self._join(combination)
            left, right = self.value(forms[0], 0), self.value(forms[1], 1)
            budget.spend(len(forms[0]) + len(forms[1]) + 1)
            if left != right:
                found.append((out, into, left, right))
        return found

    def row_sums(self, budget: Budget) -> dict[tuple[int, ...], Fraction]:
        """Per output, the sum of absolute differences over the inputs."""
        sums: dict[tuple[int, ...], Fraction] = {}
        for out, _, left, right in self.differing(budget):
            sums[out] = sums.get(out, Fraction(0)) + abs(left - right)
        return sums

    def _suspects(self, budget: Budget) -> Iterator[Sequence[Entry]]:
        """Entries that differ, found by comparing stored numbers (exact: no arithmetic is done on them)."""
        import numpy as np

        sizes = [len(item.entries) for item in self.lists]
        if 0 in sizes:
            return
        values = [self._gather(which) for which in (0, 1)]
        budget.check_time()
        hits = np.nonzero(values[0] != values[1])[0]
        for flat in hits.tolist():
            index = np.unravel_index(flat, sizes)
            yield [item.entries[int(k)] for item, k in zip(self.lists, index, strict=True)]

    def _gather(self, which: int) -> Any:
        """The values of one side for every combination, in the order of the product."""
        import numpy as np

        columns = [np.zeros(1, dtype=np.int64) for _ in range(self.axes + 2)]
        present = np.ones(1, dtype=bool)
        for item in self.lists:
            forms = [entry.left if which == 0 else entry.right for entry in item.entries]
            params = [next(iter(form), None) for form in forms]
            own: dict[int, Any] = {
                0: [0 if p is None else p[0] for p in params],
                1: [0 if p is None else p[1] for p in params],
            } | {axis + 2: [0 if p is None else p[k + 2] for p in params] for k, axis in enumerate(item.block.axes)}
            zero = np.zeros(len(params), dtype=np.int64)
            columns = [np.add.outer(c, np.array(own[k], dtype=np.int64) if k in own else zero).ravel() for k, c in enumerate(columns)]
            present = np.logical_and.outer(present, np.array([p is not None for p in params])).ravel()
        if self.owns[which] is None:
            return present.astype(float)
        layer, weights = self.owns[which]  # type: ignore[misc]
        values = weights.kernel[torch_indices(layer, columns)]
        return np.where(present, values, np.zeros_like(values))


def exact(value: Any) -> Fraction:
    """A stored number as an exact rational."""
    return value if isinstance(value, Fraction) else Fraction(value.item() if hasattr(value, "item") else value)

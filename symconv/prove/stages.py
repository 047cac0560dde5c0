"""Networks cut into linear stages at their nonlinearities.

Owns: `cut_stages`, `StagePlan`, which layers commute with which nonlinearities.
Must not know: how a stage is decided.

A stage is a chain's part between two pointwise nonlinearities. Layers that only move samples (or add zeros, where
f(0) = 0) commute with a pointwise f, so they may be counted with the stage before it (early) or after it (late).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence

import attrs

from symconv.layers import BatchNorm, ChannelShuffle, Identity, Layer, Pad, Pointwise, PReLU, Shuffle, Unshuffle, Upsample, ZeroInsert

Segment = tuple[int, ...]
"""Positions in the chain, ascending."""


def is_nonlinearity(layer: Layer) -> bool:
    """Whether the layer ends a stage."""
    return isinstance(layer, (Pointwise, PReLU))


def commutes(layer: Layer, f: Layer) -> bool:
    """Whether `layer` and the pointwise nonlinearity `f` can change places: every output is one input, or a zero f keeps."""
    if isinstance(f, BatchNorm):
        return False
    assert isinstance(f, (Pointwise, PReLU))
    if isinstance(layer, (Shuffle, Unshuffle, ChannelShuffle)):
        return isinstance(f, Pointwise) or f.num_parameters == 1
    if isinstance(layer, Identity):
        return True
    if isinstance(layer, Upsample):
        return layer.mode.startswith("nearest")
    if isinstance(layer, ZeroInsert):
        return f.keeps_zero
    if isinstance(layer, Pad):
        assert not isinstance(layer.amounts, int), "layer is bound"
        grows = any(amount > 0 for pair in layer.amounts for amount in pair)
        return layer.mode != "zeros" or not grows or f.keeps_zero
    return False


@attrs.frozen
class Cut:
    """A chain cut into stages, before any layer changes stage."""

    layers: tuple[Layer, ...]
    segments: tuple[Segment, ...]
    bounds: tuple[int, ...]

    @property
    def nonlinearities(self) -> tuple[Layer, ...]:
        """The functions between the stages."""
        return tuple(self.layers[k] for k in self.bounds)

    def moved(self, early: Sequence[bool]) -> tuple[Segment, ...]:
        """The stages when every movable layer at bound b goes to the stage before it (`early[b]`) or after it."""
        segments = [list(segment) for segment in self.segments]
        for b, bound in enumerate(self.bounds):
            f = self.layers[bound]
            if early[b]:
                while segments[b + 1] and commutes(self.layers[segments[b + 1][0]], f):
                    segments[b].append(segments[b + 1].pop(0))
        for b in reversed(range(len(self.bounds))):
            if not early[b]:
                f = self.layers[self.bounds[b]]
                while segments[b] and commutes(self.layers[segments[b][-1]], f):
                    segments[b + 1].insert(0, segments[b].pop())
        return tuple(tuple(segment) for segment in segments)


def cut_chain(layers: tuple[Layer, ...], also: Collection[int] = ()) -> Cut:
    """Cuts a flat chain at its nonlinearities, and at the positions `also` (of BatchNorm that is taken as a function of each sample)."""
    segments: list[list[int]] = [[]]
    bounds = []
    for k, layer in enumerate(layers):
        if is_nonlinearity(layer) or k in also:
            bounds.append(k)
            segments.append([])
        else:
            segments[-1].append(k)
    return Cut(layers, tuple(tuple(s) for s in segments), tuple(bounds))


MOST_PLANS = 64


def plans(bounds: int) -> Iterator[tuple[bool, ...]]:
    """Ways to place movable layers: all early, all late, then mixtures, at most `MOST_PLANS`."""
    uniform = [(True,) * bounds, (False,) * bounds] if bounds else [()]
    yield from uniform
    mixed = (plan for plan in itertools.product((True, False), repeat=bounds) if plan not in uniform)
    yield from itertools.islice(mixed, MOST_PLANS)


def search(bounds: int, attempt: Callable[[tuple[bool, ...]], int]) -> tuple[bool, ...] | None:
    """The first plan of the best score (0 is perfect and ends the search); None if every attempt is negative."""
    best: tuple[int, tuple[bool, ...]] | None = None
    for plan in plans(bounds):
        score = attempt(plan)
        if score == 0:
            return plan
        if score > 0 and (best is None or score < best[0]):
            best = score, plan
    return best[1] if best else None

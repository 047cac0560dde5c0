"""Weighted layers against exact brute force: the distance is PyTorch's, the witness parts in PyTorch.

Integer weights go through PyTorch in float64 as impulse responses at every extent up to a bound; the operator distance
is the largest sum over a row of absolute differences plus the difference of the constants, as an exact fraction.
"""

from __future__ import annotations

import copy
import math
import random
import time
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from prove.test_brute_force import Chain, accepted, common_denominator, mixed_fixed, mixed_kernel, rewritten_pair
from torch import nn

import symconv
from symconv.conformance.torch_oracle import to_module
from symconv.errors import LayerError, UsageError
from symconv.frontends.torch_modules import from_module
from symconv.layers import BatchNorm, Layer, Sequential, WeightedNetwork, Weights, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair, decide_stages
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape, reshuffle
from symconv.prove.weighted import decide_weighted
from symconv.theory.verdict import Verdict

Network = tuple[Chain, tuple[Weights | None, ...]]


def random_weights(rng: random.Random, layer: Layer) -> Weights | None:
    """Small integers; BatchNorm's variances are squares of powers of two, and its eps is 0, so that it is rational."""
    if not is_parametric(layer):
        return None
    assert not isinstance(layer, Sequential)
    numbers = np.random.default_rng(rng.randrange(2**32))
    kernel = numbers.integers(-3, 4, kernel_shape(layer)).astype(float)  # type: ignore[arg-type]
    bias = numbers.integers(-3, 4, bias_length(layer)).astype(float) if has_bias(layer) else None  # type: ignore[arg-type]
    if isinstance(layer, BatchNorm):
        variance = numbers.choice([0.25, 1.0, 4.0], layer.num_features)
        return Weights(kernel, bias, numbers.integers(-2, 3, layer.num_features).astype(float), variance)
    return Weights(kernel, bias)


def impulse_rows(network: Network, channels: int, extent: int, scale: int) -> np.ndarray[Any, Any]:
    """(in samples + 1, out samples): scale times the operator matrix transposed, the last row the constants."""
    count = channels * extent
    impulses = torch.cat([torch.eye(count, dtype=torch.float64), torch.zeros(1, count, dtype=torch.float64)])
    with torch.no_grad():
        out = to_module(Sequential(network[0]), 1, weights=network[1])(impulses.reshape(count + 1, channels, extent))
    scaled = (out.reshape(count + 1, -1) * scale).numpy()
    whole = np.rint(scaled)
    assert np.abs(scaled - whole).max() < 1e-3
    whole[:-1] -= whole[-1:]
    return whole


def brute_distance(left: Network, right: Network, channels: int, most: int) -> Fraction:
    """The largest distance over all extents up to `most`."""
    scale = 64 * math.lcm(common_denominator(left[0]), common_denominator(right[0]))
    modules = [to_module(Sequential(chain), 1) for chain, _ in (left, right)]
    worst = 0
    for extent in range(1, most + 1):
        if any(accepted(chain, module, channels, (extent,)) is None for (chain, _), module in zip((left, right), modules, strict=True)):
            continue
        one, two = (impulse_rows(network, channels, extent, scale) for network in (left, right))
        worst = max(worst, int(np.abs(one - two).sum(axis=0).max()))
    return Fraction(worst, scale)


def check(left: Network, right: Network, channels: int, most: int) -> str:
    """The verdict of two chains on one axis against brute force."""
    networks = [WeightedNetwork(Sequential(chain), weights) for chain, weights in (left, right)]
    verdict = decide_weighted(networks[0], networks[1], channels=channels, seconds=10)
    relation = verdict.relation.value
    if relation not in ("identical", "different"):
        assert relation == "shapes_differ" or verdict.reason in ("disjoint_domains", "budget")
        return relation
    distance = brute_distance(left, right, channels, most)
    if relation == "identical":
        assert distance == 0
        return relation
    assert verdict.distance is not None
    claimed = Fraction(verdict.distance)
    assert verdict.witness is not None and claimed > 0
    if distance < claimed:  # the whole row is seen at larger extents only
        distance = brute_distance(left, right, channels, 4 * most)
    assert distance == claimed
    parted(left, right, verdict)
    mirrored = decide_weighted(networks[1], networks[0], channels=channels, seconds=10)
    assert (mirrored.relation, mirrored.distance) == (verdict.relation, verdict.distance)
    return relation


def parted(left: Network, right: Network, verdict: Verdict) -> None:
    """The witness in PyTorch: both values as printed, and not the same."""
    witness = verdict.witness
    assert witness is not None
    x = torch.zeros((1, *witness["input"]["shape"]), dtype=torch.float64)
    for index, value in witness["input"]["entries"]:
        x[(0, *index)] = float(Fraction(value))
    claimed = [Fraction(witness["left_value"]), Fraction(witness["right_value"])]
    assert claimed[0] != claimed[1]
    for (chain, weights), value in zip((left, right), claimed, strict=True):
        with torch.no_grad():
            found = to_module(Sequential(chain), x.dim() - 2, weights=weights)(x)[(0, *witness["at"])].item()
        assert found == pytest.approx(float(value), rel=1e-12, abs=1e-12)


def exact_batch_norm(layers: Chain) -> Chain:
    """BatchNorm without eps, whose scale is rational where the variance is a square."""
    return tuple(attrs.evolve(layer, eps=0.0) if isinstance(layer, BatchNorm) else layer for layer in layers)


def carried_weights(rng: random.Random, left: Network, right: Chain, channels: int) -> tuple[Weights | None, ...]:
    """Weights for the right chain: those of the left one reshuffled where its class is included, now and then off by one."""
    own = [random_weights(rng, layer) for layer in right]
    if rng.random() < 0.25:
        return tuple(own)
    verdict, stages = decide_stages(Sequential(left[0]), Sequential(right), channels=channels, check=False, presburger=False)
    moved = reshuffle(stages[0]) if verdict.left_in_right and len(stages) == 1 else None
    if moved is None or isinstance(moved.source, BatchNorm) or isinstance(moved.target, BatchNorm):
        return tuple(own)
    given = next(weights for weights in left[1] if weights is not None)
    kernel, bias = moved.apply(given.kernel, given.bias)
    if rng.random() < 0.4:
        kernel[tuple(rng.randrange(n) for n in kernel.shape)] += rng.choice((1, -1, 0.5))
    elif bias is not None and rng.random() < 0.4:
        bias[rng.randrange(len(bias))] += 1
    own[right.index(moved.target)] = Weights(kernel, bias)
    return tuple(own)


def run(seeds: range, most: int) -> dict[str, int]:
    """Random pairs with one weighted layer each (often the same function), on one axis."""
    torch.set_num_threads(1)
    seen: dict[str, int] = {}
    for seed in seeds:
        rng = random.Random(seed)
        channels = rng.choice((1, 2, 3, 4))
        one, two = rewritten_pair(rng, 1, channels, 2)
        try:
            pair = bind_pair(one, two, channels)
        except LayerError:
            continue
        left, right = exact_batch_norm(pair.left), exact_batch_norm(pair.right)
        source = left, tuple(random_weights(rng, layer) for layer in left)
        try:
            target = right, carried_weights(rng, source, right, channels)
            relation = check(source, target, channels, most)
        except Exception as error:
            error.add_note(f"seed {seed}, {channels} channels: {format_layer(Sequential(left), 1)} | {format_layer(Sequential(right), 1)}")
            raise
        seen[relation] = seen.get(relation, 0) + 1
    return seen


def run_deep(seeds: range, most: int) -> dict[str, int]:
    """Two weighted layers in a row, against themselves with one weight changed, or not, or with a layer that does nothing."""
    torch.set_num_threads(1)
    seen: dict[str, int] = {}
    for seed in seeds:
        rng = random.Random(seed)
        channels = rng.choice((1, 2))
        layers: list[Layer] = []
        for make in (mixed_kernel, mixed_fixed, mixed_kernel):
            layers.append(make(rng, 1, channels_through(tuple(layers), channels)[-1]))
        try:
            left = exact_batch_norm(bind_pair(Sequential(tuple(layers)), Sequential(tuple(layers)), channels).left)
        except LayerError:
            continue
        weights = tuple(random_weights(rng, layer) for layer in left)
        changed = copy.deepcopy(weights)
        chosen = rng.choice([item for item in changed if item is not None])
        if rng.random() < 0.5:
            part = chosen.kernel if chosen.bias is None or rng.random() < 0.5 else chosen.bias
            part[tuple(rng.randrange(n) for n in part.shape)] += 1
        try:
            relation = check((left, weights), (left, changed), channels, most)
        except Exception as error:
            error.add_note(f"seed {seed}, {channels} channels: {format_layer(Sequential(left), 1)}")
            raise
        seen[relation] = seen.get(relation, 0) + 1
    return seen


def test_random_weighted_pairs() -> None:
    seen = run(range(140), 14)
    assert min(seen["identical"], seen["different"]) >= 20


def test_random_weighted_pairs_with_two_weighted_layers() -> None:
    seen = run_deep(range(20, 44), 12)
    assert min(seen["identical"], seen["different"]) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_weighted_pairs(part: int) -> None:
    first = 10_000 * (part + 1)
    run(range(first, first + 700), 30)
    run_deep(range(first, first + 250), 30)


def conv(kind: str, shape: tuple[int, ...], weight: Any, bias: Any = None, dtype: torch.dtype = torch.float64, **more: Any) -> nn.Module:
    """A torch.nn convolution with these weights."""
    module: nn.Module = getattr(nn, kind)(*shape, bias=bias is not None, dtype=dtype, **more)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(weight, dtype=dtype).reshape(module.weight.shape))  # type: ignore[operator, union-attr, arg-type]
        if bias is not None:
            module.bias.copy_(torch.tensor(bias, dtype=dtype))  # type: ignore[operator, union-attr]
    return module


def one_tap(weight: float, bias: float | None = None, dtype: torch.dtype = torch.float64) -> nn.Module:
    """x -> weight x + bias on one channel."""
    return conv("Conv1d", (1, 1, 1), [weight], None if bias is None else [bias], dtype)


def test_a_bias_that_hides_a_weight_at_the_impulse_is_shown_on_another_input() -> None:
    """x and 1 agree on the impulse 1; they part at 0."""
    for left, right in (
        (one_tap(1.0, 0.0), one_tap(0.0, 1.0)),
        (nn.Sequential(one_tap(1.0, 0.0), one_tap(1.0)), nn.Sequential(one_tap(0.0, 1.0), one_tap(1.0))),
    ):
        verdict = symconv.check(left, right)
        assert (verdict.relation, verdict.distance) == ("different", "2")
        networks = [from_module(module) for module in (left, right)]
        parted(*((network.members, network.weights) for network in networks), verdict)


def test_a_bias_on_one_side_only_behind_more_borders() -> None:
    """The extents of a chain belong to its own words, also where only the longer one has a bias."""
    short = nn.Sequential(nn.ReflectionPad1d(1), one_tap(1.0))
    for bias, relation in ((0.0, "identical"), (1.0, "different")):
        long = nn.Sequential(nn.ReflectionPad1d(1), nn.ZeroPad1d(1), one_tap(1.0, bias), nn.ZeroPad1d(-1))
        assert symconv.check(short, long).relation == relation
        assert symconv.check(long, short).relation == relation


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        (one_tap(0.0, dtype=torch.float32), one_tap(1e-45, dtype=torch.float32), Fraction(1, 2**149)),
        (one_tap(0.0), one_tap(5e-324), Fraction(1, 2**1074)),
        (one_tap(1.0), one_tap(1.0 + 2**-52), Fraction(1, 2**52)),
        (conv("Conv1d", (1, 1, 2), [1e300, 1e-300]), conv("Conv1d", (1, 1, 2), [1e300, -1e-300]), 2 * Fraction(1e-300)),
        (one_tap(1e308), one_tap(-1e308), 2 * Fraction(1e308)),
        (one_tap(0.1, dtype=torch.float16), one_tap(0.1, dtype=torch.float32), abs(Fraction(0.0999755859375) - Fraction(13421773, 2**27))),
        (one_tap(0.1, dtype=torch.bfloat16), one_tap(0.100097656), abs(Fraction(0.10009765625) - Fraction(0.100097656))),
        (one_tap(1.0, 1e-45, dtype=torch.float32), one_tap(1.0, 0.0), Fraction(1, 2**149)),
    ],
)
def test_the_smallest_differences_count(left: nn.Module, right: nn.Module, distance: Fraction) -> None:
    verdict = symconv.check(left, right)
    assert verdict.relation == "different"
    assert verdict.distance is not None and Fraction(verdict.distance) == distance


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (one_tap(0.0), one_tap(-0.0)),
        (one_tap(0.5, dtype=torch.float16), one_tap(0.5)),
        (one_tap(1.0), nn.Identity()),
        (one_tap(2.0, 0.0), nn.Sequential(one_tap(4.0), one_tap(0.5))),
        # weights on taps that no input reaches
        (conv("Conv1d", (1, 1, 3), [5.0, 1.0, 7.0], padding=1), nn.Sequential(nn.ZeroPad1d(1), conv("Conv1d", (1, 1, 3), [5.0, 1.0, 7.0]))),
        (
            nn.Sequential(nn.ZeroPad1d((2, -2)), nn.ZeroPad1d((-2, 2)), conv("Conv1d", (1, 1, 1), [1.0]), nn.AvgPool1d(1)),
            nn.Sequential(nn.ZeroPad1d((2, -2)), nn.ZeroPad1d((-2, 2))),
        ),
        (
            conv("ConvTranspose1d", (1, 1, 3), [1.0, 9.0, 2.0], stride=2, dilation=1, padding=1, output_padding=1),
            nn.Sequential(
                nn.ZeroPad1d(0), conv("ConvTranspose1d", (1, 1, 5), [0.0, 1.0, 9.0, 2.0, 0.0], stride=2, padding=2, output_padding=1)
            ),
        ),
        (nn.AvgPool1d(2), conv("Conv1d", (1, 1, 2), [0.5, 0.5], stride=2)),
        (nn.Upsample(scale_factor=2, mode="nearest"), conv("ConvTranspose1d", (1, 1, 2), [1.0, 1.0], stride=2)),
        # groups of a transposed convolution against a dense one with zeros
        (
            conv("ConvTranspose1d", (2, 2, 2), [1.0, 2.0, 3.0, 4.0], stride=2, groups=2),
            conv("ConvTranspose1d", (2, 2, 2), [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0], stride=2),
        ),
        (
            nn.Sequential(one_tap(1.0), nn.ReLU(), nn.ReflectionPad1d(1), one_tap(2.0)),
            nn.Sequential(nn.ReflectionPad1d(1), one_tap(1.0), nn.ReLU(), one_tap(2.0)),
        ),
    ],
)
def test_different_modules_that_are_the_same_function(left: nn.Module, right: nn.Module) -> None:
    for one, two in ((left, right), (right, left)):
        verdict = symconv.check(one, two, channels=1 if isinstance(one, (nn.AvgPool1d, nn.Identity, nn.Upsample)) else None)
        assert verdict.relation == "identical"
        assert verdict.distance == "0"


def test_circular_borders_are_not_told_apart_by_the_smallest_extent_alone() -> None:
    """At n = 2 both pads are the same; they part from n = 3 on."""
    left = nn.Sequential(nn.CircularPad1d(2), conv("Conv1d", (1, 1, 1), [1.0]))
    right = nn.Sequential(nn.CircularPad1d(1), nn.CircularPad1d(1), conv("Conv1d", (1, 1, 1), [1.0]))
    verdict = symconv.check(left, right)
    assert (verdict.relation, verdict.distance) == ("different", "2")


def test_given_extents_are_refused_for_weighted_layers() -> None:
    """They are refused, not ignored."""
    turned = nn.Sequential(nn.CircularPad1d((3, 0)), nn.ZeroPad1d((0, -3)), one_tap(1.0))
    assert symconv.check(turned, one_tap(1.0)).relation == "different"
    with pytest.raises(UsageError, match="extents"):
        symconv.check(turned, one_tap(1.0), extents=(3,))


def test_weighted_interpolation_with_aligned_corners_is_outside_the_fragment_at_once() -> None:
    module = nn.Sequential(nn.Upsample(scale_factor=2, mode="linear", align_corners=True), one_tap(1.0))
    started = time.monotonic()
    verdict = symconv.check(module, copy.deepcopy(module), budget=10)
    assert (verdict.relation, verdict.reason) == ("unknown", "not_shift_invariant")
    assert time.monotonic() - started < 2


@pytest.mark.slow
def test_two_wide_convolutions_in_a_row_stay_within_the_budget() -> None:
    module = nn.Sequential(nn.Conv2d(192, 192, 3), nn.Conv2d(192, 192, 3))
    started = time.monotonic()
    verdict = symconv.check(module, module, budget=5)
    assert verdict.relation in ("identical", "unknown")
    assert time.monotonic() - started < 15

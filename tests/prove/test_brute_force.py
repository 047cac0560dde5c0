"""The decision against brute force: PyTorch's own impulse responses, stacked over extents, and their exact ranks.

The brute force here shares nothing with the engine but the layer descriptions: unit parameters and unit impulses go
through PyTorch in float64 on small integers (fractions of average pooling and interpolation are scaled to integers).
Pairs are a chain and the same chain after some rewrites that mostly keep its meaning, or two unrelated chains.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import flint
import numpy as np
import pytest
import torch
from prove.random_pairs import near_miss, random_chain

from symconv.conformance.torch_oracle import to_module
from symconv.errors import LayerError
from symconv.frontends.text import parse
from symconv.layers import (
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
    channels_through,
)
from symconv.layers.expression import format_layer
from symconv.operators.denote import ExtentRejected, output_extents
from symconv.operators.wiring import is_parametric
from symconv.prove.decide import bind_pair, decide
from symconv.theory.verdict import Verdict

Chain = tuple[Layer, ...]
Array = np.ndarray[Any, np.dtype[Any]]
Grid = Sequence[tuple[int, ...]]

MODES = ("zeros", "zeros", "reflect", "replicate", "circular")
NAMES = {(True, True): "equal", (True, False): "left_in_right", (False, True): "right_in_left", (False, False): "incomparable"}
MOST_NUMBERS = 250_000
"""Matrix entries that are computed for one pair; larger extents are left out beyond."""


# The brute force.


def common_denominator(chain: Chain) -> int:
    """A number that makes every entry of the chain's operators an integer."""
    scale = 1
    for layer in chain:
        if isinstance(layer, AvgPool) and layer.divisor_override is not None:
            scale *= abs(layer.divisor_override)
        elif isinstance(layer, AvgPool):
            each = (math.lcm(*range(1, k + 1)) if layer.ceil_mode or not layer.count_include_pad else k for k in layer.kernel)
            scale *= math.prod(each)
        elif isinstance(layer, Upsample) and not layer.mode.startswith("nearest"):
            assert isinstance(layer.factor, tuple)
            scale *= math.prod(4 * (2 * r) ** (3 if layer.mode == "cubic" else 1) for r in layer.factor if r > 1)
    return scale


def responses(chain: Chain, axes: int, channels: int, extents: tuple[int, ...], scale: int) -> Array:
    """(parameters, out samples, in samples + 1): the operator of each unit parameter, the last column its constant.

    A chain without parameters has one member. BatchNorm counts as a depthwise convolution with one tap and a bias.
    """
    chain = tuple(
        Conv.make(axes, layer.num_features, layer.num_features, 1, groups=layer.num_features) if isinstance(layer, BatchNorm) else layer
        for layer in chain
    )
    count = channels * math.prod(extents)
    impulses = torch.cat([torch.eye(count, dtype=torch.float64), torch.zeros(1, count, dtype=torch.float64)])
    free = next((k for k, layer in enumerate(chain) if is_parametric(layer)), len(chain))
    with torch.no_grad():
        x = to_module(Sequential(chain[:free]), axes)(impulses.reshape(count + 1, channels, *extents))
        if free == len(chain):
            members = [x]
        else:
            own, rest = to_module(chain[free], axes), to_module(Sequential(chain[free + 1 :]), axes)
            members = []
            for parameter in own.parameters():
                flat = parameter.view(-1)
                for index in range(flat.numel()):
                    flat[index] = 1
                    members.append(rest(own(x)))
                    flat[index] = 0
    return to_integers(torch.stack(members).reshape(len(members), count + 1, -1).transpose(1, 2), scale)


def to_integers(values: torch.Tensor, scale: int) -> Array:
    """values * scale as integers; entries less the constant in the last column."""
    scaled = (values * scale).numpy()
    whole = np.rint(scaled)
    assert np.abs(scaled - whole).max(initial=0) < 1e-4
    assert np.abs(whole).max(initial=0) < 2**50
    out: Array = whole.astype(np.int64)
    out[..., :-1] -= out[..., -1:]
    return out


def brute_force(left: Chain, right: Chain, axes: int, channels: int, grid: Grid) -> dict[str, Any]:
    """Relation, linear relation and dimensions on the stacked extents of `grid`."""
    scale = math.lcm(common_denominator(left), common_denominator(right))
    pairs = [tuple(responses(chain, axes, channels, extents, scale) for chain in (left, right)) for extents in grid]
    fixed = not any(map(is_parametric, left)), not any(map(is_parametric, right))
    whole = compare_families([(a.reshape(len(a), -1), b.reshape(len(b), -1)) for a, b in pairs], fixed)
    linear = compare_families([(a[..., :-1].reshape(len(a), -1), b[..., :-1].reshape(len(b), -1)) for a, b in pairs], fixed)
    return whole | {"linear": linear["relation"]}


def compare_families(parts: Sequence[tuple[Array, Array]], fixed: tuple[bool, bool]) -> dict[str, Any]:
    """The relation of two families of stacked vectors, each (parameters, entries); a fixed family is a point."""
    one, two = (np.concatenate([part[side] for part in parts], axis=1) for side in (0, 1))
    rows = np.concatenate([one, two]).T
    rows = np.unique(rows[rows.any(axis=1)], axis=0)
    a, b = rows[:, : len(one)], rows[:, len(one) :]
    rank_a, rank_b, joint = _rank(a), _rank(b), _rank(rows)
    if all(fixed):
        forth = back = inside = bool((a == b).all())
    elif any(fixed):
        zero = rank_a == 0 and rank_b == 0
        forth, back = (joint == rank_b, zero) if fixed[0] else (zero, joint == rank_a)
        inside = forth if fixed[0] else back
    else:
        forth, back, inside = joint == rank_b, joint == rank_a, True
    both: int | None = rank_a + rank_b - joint
    if any(fixed):
        both = 0 if inside else None
    dimension = (0 if fixed[0] else rank_a, 0 if fixed[1] else rank_b, both)
    return {"relation": NAMES[forth, back], "dimension": dimension}


def _rank(rows: Array) -> int:
    return int(flint.fmpz_mat(rows.tolist()).rank()) if rows.size else 0


def accepted(chain: Chain, module: torch.nn.Module, channels: int, extents: tuple[int, ...]) -> tuple[int, ...] | None:
    """The output shape (channels, *extents) where PyTorch runs the chain, else None.

    PyTorch returns uninitialised memory for some circular pads, which the textbook sum refuses: those count as refused.
    """
    try:
        output_extents(chain, extents)
        out = module(torch.zeros((1, channels, *extents), dtype=torch.float64))
    except (ExtentRejected, RuntimeError, ValueError):
        return None
    return tuple(out.shape[1:]) if out.numel() else None


# The pairs.


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _factor(rng: random.Random, axes: int) -> tuple[int, ...]:
    """Mixed factors such as (2, 1), at most 6 phases."""
    return rng.choice([f for f in itertools.product((1, 2, 3), repeat=axes) if 1 < math.prod(f) <= 6])


def mixed_fixed(rng: random.Random, axes: int, channels: int) -> Layer:
    """A layer without parameters, with mixed factors, wide pads and every kind of pooling."""
    order = rng.choice(("CRD", "DCR"))
    factors = [f for f in itertools.product((1, 2, 3), repeat=axes) if 1 < math.prod(f) <= 6 and channels % math.prod(f) == 0]
    kind = rng.choice(("shuffle", "shuffle", "unshuffle", "pad", "pad", "pool", "insert", "upsample", "channels"))
    if kind == "shuffle" and factors:
        return Shuffle(rng.choice(factors), order)
    if kind == "unshuffle" and channels <= 4:
        return Unshuffle(_factor(rng, axes), order)
    if kind == "pool":
        kernel = tuple(rng.randint(1, 4) for _ in range(axes))
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        stride = tuple(rng.randint(1, 3) for _ in range(axes))
        divisor = rng.choice((None, 2, -3)) if axes > 1 else None
        return AvgPool(kernel, stride, padding, rng.random() < 0.4, rng.random() < 0.5, divisor)
    if kind == "insert":
        return ZeroInsert(tuple(rng.randint(1, 3) for _ in range(axes)))
    if kind == "upsample":
        mode = rng.choice(("nearest", "linear", "cubic" if axes == 2 else "nearest-exact"))
        return Upsample(tuple(rng.randint(1, 3) for _ in range(axes)), mode)
    if kind == "channels":
        return ChannelShuffle(rng.choice(_divisors(channels)))
    return Pad(tuple((rng.randint(-2, 3), rng.randint(-2, 3)) for _ in range(axes)), rng.choice(MODES))


def mixed_kernel(rng: random.Random, axes: int, channels: int) -> Layer:
    """A layer with parameters: wide pads, stride, dilation, groups."""
    outward = rng.choice((1, 2, 3, 4, 6))
    kernel, stride = (tuple(rng.choice(choices) for _ in range(axes)) for choices in ((1, 2, 3, 3, 4), (1, 1, 2, 3)))
    dilation = tuple(rng.choice((1, 1, 2, 3)) for _ in range(axes))
    padding = tuple((rng.randint(0, 3), rng.randint(0, 3)) for _ in range(axes))
    groups = rng.choice([d for d in _divisors(channels) if outward % d == 0])
    bias = rng.random() < 0.4
    if rng.random() < 0.1:
        return BatchNorm(channels, axes)
    if rng.random() < 0.5:
        return Conv(channels, outward, kernel, stride, padding, dilation, groups, bias, rng.choice(MODES))
    extra = tuple(rng.randrange(max(s, d)) if rng.random() < 0.4 else 0 for s, d in zip(stride, dilation, strict=True))
    return ConvTranspose(channels, outward, kernel, stride, padding, extra, dilation, groups, bias)


def mixed_chain(rng: random.Random, axes: int, channels: int, most: int) -> list[Layer]:
    """Up to `most` fixed layers around at most one kernel."""
    layers: list[Layer] = []
    count = rng.randint(0, most)
    place = rng.randint(0, count) if rng.random() < 0.85 else -1
    for k in range(count + 1):
        now = channels_through(tuple(layers), channels)[-1]
        if k == place:
            layers.append(mixed_kernel(rng, axes, now))
            now = channels_through(tuple(layers), channels)[-1]
        if k < count:
            layers.append(mixed_fixed(rng, axes, now))
    return layers


def _split_pad(rng: random.Random, layers: list[Layer], channels: int) -> None:
    """One pad as two: the same for zeros and replicate, rarely so for reflect and circular."""
    k = rng.choice([k for k, layer in enumerate(layers) if isinstance(layer, Pad)])
    pad = layers[k]
    assert isinstance(pad, Pad) and not isinstance(pad.amounts, int)
    first = tuple((rng.randint(*sorted((0, b))), rng.randint(*sorted((0, e)))) for b, e in pad.amounts)
    rest = tuple((b - x, e - y) for (b, e), (x, y) in zip(pad.amounts, first, strict=True))
    layers[k : k + 1] = [Pad(first, pad.mode), Pad(rest, pad.mode)]


def _swap(rng: random.Random, layers: list[Layer], channels: int) -> None:
    """Two neighbours change places; pads are scaled where they pass a shuffle."""
    k = rng.randrange(len(layers) - 1)
    a, b = layers[k : k + 2]
    if isinstance(a, Pad) and isinstance(b, Shuffle) and not isinstance(a.amounts, int):
        assert isinstance(b.factor, tuple)
        a = attrs.evolve(a, amounts=tuple((x * r, y * r) for (x, y), r in zip(a.amounts, b.factor, strict=True)))
    layers[k : k + 2] = [b, a]


def _there_and_back(rng: random.Random, layers: list[Layer], channels: int) -> None:
    """A rearrangement and its inverse, now and then in the wrong order of channels."""
    k = rng.randint(0, len(layers))
    now = channels_through(tuple(layers), channels)[k]
    axes = next(layer.axes for layer in layers if layer.axes is not None)
    assert axes is not None
    order = rng.choice(("CRD", "DCR"))
    back = order if rng.random() < 0.8 else "CRD"
    factors = [f for f in itertools.product((1, 2, 3), repeat=axes) if 1 < math.prod(f) <= 6 and now % math.prod(f) == 0]
    groups = rng.choice(_divisors(now))
    options: list[list[Layer]] = [[ChannelShuffle(groups), ChannelShuffle(now // groups)]]
    if factors:
        options.append([Shuffle(factors[0], order), Unshuffle(factors[0], back)])
    if now <= 3:
        factor = _factor(rng, axes)
        options.append([Unshuffle(factor, order), Shuffle(factor, back)])
    layers[k:k] = rng.choice(options)


def _spell_out(rng: random.Random, layers: list[Layer], channels: int) -> None:
    """A convolution as padding, stride-1 convolution and decimation; a transposed one as zero insertion and convolution."""
    k = next(k for k, layer in enumerate(layers) if isinstance(layer, (Conv, ConvTranspose)))
    layer = layers[k]
    assert isinstance(layer, (Conv, ConvTranspose))
    ones, none = (1,) * layer.axes, ((0, 0),) * layer.axes
    if isinstance(layer, ConvTranspose):
        parts = zip(layer.dilation, layer.kernel, layer.padding, layer.output_padding, strict=True)
        margins = tuple((d * (taps - 1) - b, d * (taps - 1) - e + op) for d, taps, (b, e), op in parts)
        conv = Conv(layer.in_channels, layer.out_channels, layer.kernel, ones, none, layer.dilation, layer.groups, layer.bias)
        layers[k : k + 1] = [ZeroInsert(layer.stride), Pad(margins, "zeros"), conv]
    else:
        bare = attrs.evolve(layer, stride=ones, padding=none, padding_mode="zeros")
        layers[k : k + 1] = [Pad(layer.padding, layer.padding_mode), bare, AvgPool(ones, layer.stride, (0,) * layer.axes)]


def _other_kernel(rng: random.Random, layers: list[Layer], channels: int) -> None:
    """One tap more (with the padding that keeps it the same at one end), other groups, or the bias changed."""
    k = next(k for k, layer in enumerate(layers) if isinstance(layer, (Conv, ConvTranspose)))
    layer = layers[k]
    assert isinstance(layer, (Conv, ConvTranspose))
    groups = rng.choice(_divisors(math.gcd(layer.in_channels, layer.out_channels)))
    front = rng.random() < 0.5
    grown = tuple((b + d * front, e + d * (not front)) for (b, e), d in zip(layer.padding, layer.dilation, strict=True))
    wider = attrs.evolve(layer, kernel=tuple(taps + 1 for taps in layer.kernel), padding=grown)
    layers[k] = rng.choice((wider, attrs.evolve(layer, groups=groups), attrs.evolve(layer, bias=not layer.bias)))


def _near_miss(rng: random.Random, layers: list[Layer], channels: int) -> None:
    layers[:] = near_miss(rng, Sequential(tuple(layers))).layers


REWRITES: tuple[Callable[[random.Random, list[Layer], int], None], ...] = (
    _split_pad,
    _swap,
    _swap,
    _there_and_back,
    _spell_out,
    _other_kernel,
    _near_miss,
)


def rewritten_pair(rng: random.Random, axes: int, channels: int, most: int) -> tuple[Sequential, Sequential]:
    """A chain and what one to three rewrites make of it, in either order."""
    while True:
        left = mixed_chain(rng, axes, channels, most)
        right = list(left)
        try:
            for _ in range(rng.choice((1, 1, 2, 3))):
                rng.choice(REWRITES)(rng, right, channels)
            channels_through(tuple(left), channels)
            channels_through(tuple(right), channels)
        except (LayerError, IndexError, StopIteration, ValueError):
            continue  # the rewrite does not apply to this chain
        pair = Sequential(tuple(left)), Sequential(tuple(right))
        return pair if rng.random() < 0.5 else pair[::-1]


def unrelated_pair(rng: random.Random, axes: int, channels: int, most: int) -> tuple[Sequential, Sequential]:
    """Two chains of `random_pairs`, or one and its near miss."""
    left = random_chain(rng, axes, channels)
    return left, near_miss(rng, left) if rng.random() < 0.7 else random_chain(rng, axes, channels)


# The comparison.


def random_pair(seed: int, axes: int, most: int) -> tuple[Sequential, Sequential, int] | None:
    """Pair number `seed`, or None where the two have no input channels in common."""
    rng = random.Random(seed)
    channels = rng.choice((1, 2, 3, 4, 6) if axes == 1 else (1, 2, 4))
    make = rewritten_pair if rng.random() < 0.7 else unrelated_pair
    left, right = make(rng, axes, channels, most)
    try:
        bind_pair(left, right, channels)
    except LayerError:
        return None
    return left, right, channels


def check_pair(left: Layer, right: Layer, axes: int, channels: int, *, presburger: bool = False) -> None:
    """The verdict of one pair, its mirror image included, against PyTorch."""
    pair = bind_pair(left, right, channels)
    verdict = decide(left, right, channels=channels, presburger=presburger, seconds=10)
    mirrored = decide(right, left, channels=channels, presburger=False, check=False, seconds=10)
    assert _answer(mirrored, swap=True) == _answer(verdict)
    if verdict.relation.value == "unknown" and verdict.reason != "disjoint_domains":
        assert verdict.reason == "budget"
        return
    sides = pair.left, pair.right
    shapes = _shapes(sides, axes, channels, 4 if axes == 3 else 8 if axes == 2 else (verdict.cutoff or 0) + 8)
    _check_domain(verdict, shapes)
    common = [extents for extents, (a, b) in shapes.items() if a and b]
    differ = [extents for extents in common if shapes[extents][0] != shapes[extents][1]]
    if verdict.relation.value == "shapes_differ":
        assert verdict.witness is not None
        at = tuple(verdict.witness["extents"])
        assert axes > 1 or at == () or not differ or at == differ[0]
        return
    assert not differ
    grid = list(_affordable(sides, axes, channels, common))
    if not grid or verdict.dimension is None:
        return
    found = brute_force(*sides, axes, channels, grid)
    dimension = verdict.dimension.left, verdict.dimension.right, verdict.dimension.intersection
    decided = {"relation": verdict.relation.value, "dimension": dimension, "linear": verdict.linear_relation.value}  # type: ignore[union-attr]
    if axes == 1 and verdict.cutoff is not None and grid[-1][0] >= verdict.cutoff:
        assert decided == found
    assert not _says_more(decided["relation"], found["relation"])


SWAP = {"left_in_right": "right_in_left", "right_in_left": "left_in_right", "left_wider": "right_wider", "right_wider": "left_wider"}


def _answer(verdict: Verdict, *, swap: bool = False) -> tuple[Any, ...]:
    """What must be the same, mirrored, when the two sides change places."""
    words = [verdict.relation, verdict.linear_relation, verdict.interior_relation, verdict.domain]
    names = [None if word is None else SWAP.get(word.value, word.value) if swap else word.value for word in words]
    extents = None if names[3] in ("overlapping", "disjoint") else verdict.domain_extents  # shown for the left side
    dimension = verdict.dimension
    counts = () if dimension is None else (dimension.left, dimension.right, dimension.intersection)
    return *names, extents, (counts[1], counts[0], *counts[2:]) if counts and swap else counts, verdict.cutoff


def _says_more(decided: str, found: str) -> bool:
    """Whether an inclusion is claimed that fails on the extents looked at."""
    inclusions = {name: key for key, name in NAMES.items()}
    return any(claimed and not holds for claimed, holds in zip(inclusions[decided], inclusions[found], strict=True))


def _shapes(
    sides: tuple[Chain, Chain], axes: int, channels: int, most: int
) -> dict[tuple[int, ...], tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    modules = [to_module(Sequential(chain), axes) for chain in sides]
    out = {}
    for extents in itertools.product(range(1, most + 1), repeat=axes):
        one, two = (accepted(chain, module, channels, extents) for chain, module in zip(sides, modules, strict=True))
        out[extents] = one, two
    return out


def _check_domain(verdict: Verdict, shapes: dict[tuple[int, ...], tuple[Any, Any]]) -> None:
    assert verdict.domain is not None
    only_left = any(a and not b for a, b in shapes.values())
    only_right = any(b and not a for a, b in shapes.values())
    assert not only_left or verdict.domain.value not in ("same", "right_wider")
    assert not only_right or verdict.domain.value not in ("same", "left_wider")
    if verdict.domain.value == "disjoint":
        assert not any(a and b for a, b in shapes.values())
    elif verdict.domain_extents in shapes:
        a, b = shapes[verdict.domain_extents]
        assert (a is None) != (b is None)


def _affordable(sides: tuple[Chain, Chain], axes: int, channels: int, common: Grid) -> Iterator[tuple[int, ...]]:
    """The smaller extents, as many as the work allows."""
    sizes = [
        layer.in_channels * layer.out_channels // layer.groups * math.prod(layer.kernel) + 1
        for chain in sides
        for layer in chain
        if isinstance(layer, (Conv, ConvTranspose))
    ]
    spent = 0
    for extents in sorted(common, key=lambda ns: (max(ns), ns)):
        m = output_extents(sides[0], extents)
        spent += (sum(sizes) + 2) * channels * math.prod(extents) * math.prod(m) * channels_through(sides[0], channels)[-1]
        if spent > MOST_NUMBERS:
            return
        yield extents


def run(axes: int, seeds: range, most: int, *, presburger: bool = False) -> None:
    """All pairs of a range of seeds; a failure names the pair."""
    torch.set_num_threads(1)
    for seed in seeds:
        pair = random_pair(seed, axes, most)
        if pair is None:
            continue
        left, right, channels = pair
        try:
            check_pair(left, right, axes, channels, presburger=presburger)
        except Exception as error:
            error.add_note(f"seed {seed}, {channels} channels, {axes} axes: {format_layer(left, axes)} | {format_layer(right, axes)}")
            raise


@pytest.mark.parametrize("start", range(0, 200, 40))
def test_random_pairs_on_one_axis(start: int) -> None:
    run(1, range(start, start + 40), 3)


@pytest.mark.parametrize("start", range(0, 16, 8))
def test_random_pairs_on_two_axes(start: int) -> None:
    run(2, range(start, start + 8), 2)


def test_random_pairs_on_three_axes() -> None:
    run(3, range(6), 1)


def test_the_second_decider_agrees_on_random_pairs() -> None:
    run(1, range(1000, 1012), 2, presburger=True)


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "seeds", "most"), [(1, 4000, 5), (2, 800, 3), (3, 120, 2)])
@pytest.mark.parametrize("part", range(4))
def test_thousands_of_random_pairs(axes: int, seeds: int, most: int, part: int) -> None:
    first = 10_000 + seeds // 4 * part
    run(axes, range(first, first + seeds // 4), most, presburger=part == 0)


LONG = [
    ("CircularPad1d(2) >> CircularPad1d(2) >> Conv1d(1,1,3,bias=False)", "CircularPad1d(4) >> Conv1d(1,1,3,bias=False)"),
    ("Conv1d(1,1,3,padding=2,padding_mode='circular') >> CircularPad1d((3,0)) >> Crop(0,3)", "CircularPad1d(2) >> Conv1d(1,1,3)"),
    ("ReflectionPad1d(2) >> ReflectionPad1d(2) >> Conv1d(1,1,2,bias=False)", "ReflectionPad1d(4) >> Conv1d(1,1,2,bias=False)"),
    ("ReplicationPad1d(3) >> AvgPool1d(2) >> Conv1d(1,1,2)", "ReplicationPad1d(3) >> Conv1d(1,1,4,stride=2)"),
    (
        "AvgPool1d(3,stride=2,padding=1,ceil_mode=True) >> Conv1d(1,1,2)",
        "AvgPool1d(3,stride=2,padding=1,ceil_mode=True,count_include_pad=False) >> Conv1d(1,1,2)",
    ),
    (
        "ZeroInsert(3) >> AvgPool1d(1,stride=2) >> Conv1d(1,1,2,bias=False)",
        "ConvTranspose1d(1,1,4,stride=3,padding=2,output_padding=1,bias=False) >> AvgPool1d(1,stride=2) >> Crop(0,1)",
    ),
    ("PixelUnshuffle(3) >> ZeroPad1d(1) >> PixelShuffle(3) >> Conv1d(1,1,4)", "ZeroPad1d(3) >> Conv1d(1,1,4)"),
    ("PixelShuffle(2) >> PixelUnshuffle(4) >> Conv1d(4,1,2,bias=False)", "PixelShuffle(2) >> Conv1d(1,1,8,stride=4,bias=False)"),
    ("Conv1d(1,2,3) >> ReflectionPad1d(2) >> PixelShuffle(2)", "Conv1d(1,2,3) >> PixelShuffle(2) >> ReflectionPad1d(4)"),
    (
        "Upsample(scale_factor=2,mode='linear') >> Conv1d(1,1,3,bias=False)",
        "Conv1d(1,1,2,bias=False) >> Upsample(scale_factor=2,mode='linear')",
    ),
]


@pytest.mark.parametrize(("left", "right"), LONG)
def test_extents_far_beyond_the_cutoff_change_nothing(left: str, right: str) -> None:
    """The ranks at extents up to the cutoff are those at extents up to three times as large."""
    pair = bind_pair(parse(left), parse(right))
    verdict = decide(parse(left), parse(right), presburger=False)
    assert verdict.cutoff is not None
    sides = pair.left, pair.right
    shapes = _shapes(sides, 1, pair.channels, 3 * verdict.cutoff + 6)
    common = [extents for extents, (a, b) in shapes.items() if a and b]
    assert all(shapes[extents][0] == shapes[extents][1] for extents in common)
    dimension = verdict.dimension
    assert dimension is not None
    for grid in ([n for n in common if n[0] <= verdict.cutoff], common):
        found = brute_force(*sides, 1, pair.channels, grid)
        assert (found["relation"], found["linear"]) == (verdict.relation, verdict.linear_relation)
        assert found["dimension"] == (dimension.left, dimension.right, dimension.intersection)

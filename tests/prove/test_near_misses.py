"""Near misses of the universal lowering: what is wrong by one sample, one tap or one order is never proved.

The lowering is written out here once more, from its formulas. Every mutant goes to the weighted decider, and those that
change a layer to the decider of classes too. PyTorch on random integers has the last word: where it sees a difference
the verdict must not be `identical`, and every witness of a difference must show it in PyTorch.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from prove.test_brute_force import accepted, brute_force

from symconv.conformance.torch_oracle import to_module
from symconv.layers import Conv, ConvTranspose, Layer, Pad, Sequential, Shuffle, WeightedNetwork, Weights, channels_through
from symconv.layers.expression import format_layer
from symconv.operators.denote import output_extents
from symconv.prove.decide import bind_pair, decide
from symconv.prove.weighted import decide_weighted
from symconv.theory.verdict import Verdict

Array = np.ndarray[Any, np.dtype[Any]]


@attrs.frozen
class Lowered:
    """A zero-padded or cropped input, a convolution, a periodic shuffling, a crop at the end.

    Args:
        pads: per axis, before the convolution (negative: crops).
        conv: the low-resolution convolution, itself without padding.
        order: of the shuffling.
        factor: of the shuffling.
        crops: per axis, at the end.
        kernel, bias: of the convolution.
    """

    pads: tuple[tuple[int, int], ...]
    conv: Conv
    order: str
    factor: tuple[int, ...]
    crops: tuple[int, ...]
    kernel: Array
    bias: Array | None

    @property
    def chain(self) -> Sequential:
        """As layers."""
        crop = Pad(tuple((0, -c) for c in self.crops), "zeros")
        return Sequential((Pad(self.pads, "zeros"), self.conv, Shuffle(self.factor, self.order), crop))

    @property
    def network(self) -> WeightedNetwork:
        """As layers with weights."""
        return WeightedNetwork(self.chain, (None, Weights(self.kernel, self.bias), None, None))


def starts(layer: ConvTranspose) -> tuple[int, ...]:
    """a = (-pb) mod s, the zeros in front of the kernel that align its phases."""
    return tuple(-before % s for (before, _), s in zip(layer.padding, layer.stride, strict=True))


def lower(layer: ConvTranspose, kernel: Array, bias: Array | None, a: tuple[int, ...]) -> Lowered:
    """The universal lowering of docs; `a` other than `starts(layer)` is a near miss."""
    pads, crops, taps = [], [], []
    rows = zip(layer.kernel, layer.stride, layer.dilation, layer.padding, layer.output_padding, a, strict=True)
    for k, s, d, (before, after), extra, lead in rows:
        reach = d * (k - 1) + 1
        skipped = (before + lead) // s
        count = -(-(reach + lead) // s)
        pair = count - 1 - skipped, -(-(reach - s - before - after + extra) // s) + skipped
        pads.append(pair)
        taps.append(count)
        crops.append(s * (sum(pair) - count + 2) - (reach + extra - before - after))
    phases = math.prod(layer.stride)
    conv = Conv.make(len(taps), layer.in_channels, layer.out_channels * phases, tuple(taps), groups=layer.groups, bias=layer.bias)
    spread = _spread(layer, kernel, tuple(taps), a)
    tied = None if bias is None else np.repeat(bias, phases)
    return Lowered(tuple(pads), conv, "CRD", layer.stride, tuple(crops), _phases(layer, spread), tied)


def _spread(layer: ConvTranspose, kernel: Array, taps: tuple[int, ...], a: tuple[int, ...]) -> Array:
    """The kernel with its dilation written out, `a` zeros before and zeros up to K s behind."""
    out = np.zeros((*kernel.shape[:2], *(count * s for count, s in zip(taps, layer.stride, strict=True))))
    rows = zip(layer.kernel, layer.dilation, a, strict=True)
    out[(..., *(slice(lead, lead + d * (k - 1) + 1, d) for k, d, lead in rows))] = kernel
    return out


def _phases(layer: ConvTranspose, spread: Array) -> Array:
    """Phase phi takes the taps phi, phi + s, ..., reversed: (out_channels s^D, in_channels // groups, *K)."""
    axes = len(layer.stride)
    inner, outer = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    split = [part for extent, s in zip(spread.shape[2:], layer.stride, strict=True) for part in (extent // s, s)]
    whole = spread.reshape(layer.groups, inner, outer, *split)
    taps, phases = range(3, 3 + 2 * axes, 2), range(4, 4 + 2 * axes, 2)
    turned = np.flip(whole, tuple(taps)).transpose(0, 2, *phases, 1, *taps)
    return turned.reshape(layer.out_channels * math.prod(layer.stride), inner, *(split[::2]))


def _shifted(pads: tuple[tuple[int, int], ...], axis: int, by: int) -> tuple[tuple[int, int], ...]:
    return tuple((b + by, e - by) if k == axis else (b, e) for k, (b, e) in enumerate(pads))


def mutants(layer: ConvTranspose, kernel: Array, bias: Array | None, rng: random.Random) -> Iterator[tuple[str, Lowered]]:
    """Ways in which shipped lowerings were wrong (and the lowering itself, by luck, where a mutation changes nothing)."""
    a = starts(layer)
    right = lower(layer, kernel, bias, a)
    axes = len(layer.kernel)
    axis = rng.randrange(axes)
    spatial = tuple(range(2, 2 + axes))
    yield "taps unreversed", attrs.evolve(right, kernel=np.flip(right.kernel, spatial).copy())
    yield "one axis unreversed", attrs.evolve(right, kernel=np.flip(right.kernel, 2 + axis).copy())
    yield "the whole kernel flipped", lower(layer, np.flip(kernel, spatial).copy(), bias, a)
    yield "pads off by one", attrs.evolve(right, pads=_shifted(right.pads, axis, rng.choice((1, -1))))
    yield "pads swapped", attrs.evolve(right, pads=tuple((e, b) for b, e in right.pads))
    yield "axes of the pads swapped", attrs.evolve(right, pads=right.pads[::-1])
    yield "CRD for DCR", attrs.evolve(right, order="DCR")
    yield "phases in the wrong order", attrs.evolve(right, kernel=_phases_transposed(right, layer))
    yield "channels of the groups interleaved", attrs.evolve(right, kernel=_interleaved(right, layer.groups))
    wrong = tuple((lead + (k == axis)) % s for k, (lead, s) in enumerate(zip(a, layer.stride, strict=True)))
    yield "phases aligned one off", attrs.evolve(lower(layer, kernel, bias, wrong), crops=right.crops)
    split = tuple((b - (op + 1) // 2, e - op // 2) for (b, e), op in zip(layer.padding, layer.output_padding, strict=True))
    even = attrs.evolve(layer, padding=split, output_padding=(0,) * axes)
    yield "output padding split evenly", lower(even, kernel, bias, starts(even))
    flat = np.zeros_like(_spread(layer, kernel, right.conv.kernel, a))
    flat[(..., *(slice(lead, lead + k) for lead, k in zip(a, layer.kernel, strict=True)))] = kernel
    yield "dilation dropped", attrs.evolve(right, kernel=_phases(layer, flat))
    if bias is not None and right.bias is not None:
        other = right.bias.copy()
        other[rng.randrange(len(other))] += 1
        yield "one bias untied", attrs.evolve(right, bias=other)
        yield "biases tiled", attrs.evolve(right, bias=np.tile(bias, len(other) // len(bias)))
    nudged = right.kernel.copy()
    index = tuple(rng.choice(np.argwhere(nudged)))
    nudged[index] = np.nextafter(nudged[index], np.inf)
    yield "one weight off by its last bit", attrs.evolve(right, kernel=nudged)


def _phases_transposed(right: Lowered, layer: ConvTranspose) -> Array:
    """The phases column-major, as if the last axis came first."""
    shape = right.kernel.shape
    split = right.kernel.reshape(layer.out_channels, *layer.stride, *shape[1:])
    order = (0, *range(len(layer.stride), 0, -1), *range(1 + len(layer.stride), split.ndim))
    return split.transpose(order).reshape(shape)


def _interleaved(right: Lowered, groups: int) -> Array:
    shape = right.kernel.shape
    return right.kernel.reshape(groups, shape[0] // groups, *shape[1:]).swapaxes(0, 1).reshape(shape)


def random_layer(rng: random.Random, axes: int) -> ConvTranspose:
    """1 to 3 axes, k to 9, s to 5, d to 4 (smaller on more axes), asymmetric pads, output padding, groups, bias."""
    most_k, most_s, most_d = ((9, 5, 4), (4, 3, 2), (2, 2, 2))[axes - 1]
    kernel, stride, dilation = (tuple(rng.randint(1, most) for _ in range(axes)) for most in (most_k, most_s, most_d))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple((rng.randint(0, r + 1), rng.randint(0, r + 1)) for r in reach)
    extra = tuple(rng.randrange(max(s, d)) for s, d in zip(stride, dilation, strict=True))
    groups = rng.choice((1, 1, 2))
    ins, outs = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    return ConvTranspose.make(axes, ins, outs, kernel, stride, padding, extra, groups, rng.random() < 0.5, dilation)


def differs_in_torch(left: WeightedNetwork, right: WeightedNetwork, axes: int, channels: int, most: int) -> tuple[int, ...] | None:
    """Extents at which random integers, or the zero input, tell the two apart."""
    chains = bind_pair(left.layer, right.layer, channels)
    pairs = list(zip((chains.left, chains.right), (left.weights, right.weights), strict=True))
    modules = [to_module(Sequential(chain), axes, weights=weights) for chain, weights in pairs]
    generator = torch.Generator().manual_seed(0)
    for extents in itertools.product(range(1, most + 1), repeat=axes):
        if any(accepted(chain, module, channels, extents) is None for (chain, _), module in zip(pairs, modules, strict=True)):
            continue
        x = torch.randint(1, 2**16, (1, channels, *extents), generator=generator, dtype=torch.float64)
        with torch.no_grad():
            for given in (x, torch.zeros_like(x)):
                one, two = (module(given) for module in modules)
                if one.shape != two.shape or not torch.equal(one, two):
                    return extents
    return None


def shown_in_torch(left: WeightedNetwork, right: WeightedNetwork, axes: int, verdict: Verdict) -> bool:
    """Whether the witness of a difference is one in PyTorch."""
    witness = verdict.witness
    assert witness is not None
    chains = bind_pair(left.layer, right.layer, channels=int(witness["input"]["shape"][0])) if "input" in witness else None
    if chains is None:
        return True
    x = torch.zeros((1, *witness["input"]["shape"]), dtype=torch.float64)
    for index, value in witness["input"]["entries"]:
        x[(0, *index)] = float(Fraction(value))
    outputs = []
    for chain, weights in ((chains.left, left.weights), (chains.right, right.weights)):
        with torch.no_grad():
            outputs.append(to_module(Sequential(chain), axes, weights=weights)(x)[(0, *witness["at"])].item())
    claimed = [Fraction(witness[key]) for key in ("left_value", "right_value")]
    gap = abs(claimed[0] - claimed[1])
    if gap < Fraction(1, 10**6):  # the last bit of a weight, lost where a bias is added to it
        return gap > 0 and outputs == pytest.approx([float(value) for value in claimed])
    return outputs == [float(value) for value in claimed]


def integers(rng: random.Random, layer: ConvTranspose) -> tuple[Array, Array | None]:
    """Distinct weights, so that no two taps are alike by luck, and biases."""
    shape = (layer.in_channels, layer.out_channels // layer.groups, *layer.kernel)
    numbers = rng.sample(range(1, 4 * math.prod(shape) + 1), math.prod(shape))
    bias = np.array(rng.sample(range(1, 50), layer.out_channels), dtype=np.float64) if layer.bias else None
    return np.array(numbers, dtype=np.float64).reshape(shape), bias


def usable(layer: ConvTranspose) -> bool:
    """Whether some small extent is accepted (pads can crop everything away), and the operator stays small."""
    try:
        output_extents((layer,), (6 - len(layer.kernel),) * len(layer.kernel))
    except ValueError:
        return False
    return True


def compare(source: WeightedNetwork, mutant: WeightedNetwork, axes: int, channels: int) -> str:
    """The relation of two weighted networks, confirmed by PyTorch as far as it says anything."""
    verdict = decide_weighted(source, mutant, channels=channels, seconds=20)
    relation = verdict.relation.value
    if relation == "different":
        assert shown_in_torch(source, mutant, axes, verdict)
    elif relation == "identical":
        assert differs_in_torch(source, mutant, axes, channels, (14, 6, 4)[axes - 1]) is None
    else:
        assert relation == "shapes_differ" or verdict.reason in ("budget", "disjoint_domains")
    return relation


def compare_classes(source: Layer, mutant: Layer, axes: int, channels: int) -> str:
    """The relation of two classes; `equal` only if brute force on small extents says so too."""
    verdict = decide(source, mutant, channels=channels, presburger=False, check=False)
    if verdict.relation.value == "equal":
        pair = bind_pair(source, mutant, channels)
        modules = [to_module(Sequential(chain), axes) for chain in (pair.left, pair.right)]
        sides = list(zip((pair.left, pair.right), modules, strict=True))
        most = min((verdict.cutoff or 1) + 3, (12, 5, 3)[axes - 1])
        every = itertools.product(range(1, most + 1), repeat=axes)
        grid = [extents for extents in every if all(accepted(chain, module, channels, extents) for chain, module in sides)]
        assert not grid or brute_force(pair.left, pair.right, axes, channels, grid[-30:])["relation"] == "equal"
    return verdict.relation.value


def run(seed: int, axes: int, counts: dict[tuple[str, str], int]) -> int:
    """All mutants of one random layer; how many there were."""
    rng = random.Random(seed)
    layer = random_layer(rng, axes)
    if not usable(layer):
        return 0
    kernel, bias = integers(rng, layer)
    source = WeightedNetwork(Sequential((layer,)), (Weights(kernel, bias),))
    right = lower(layer, kernel, bias, starts(layer))
    channels_through(right.chain.bind(axes).layers, layer.in_channels)
    done = 0
    for name, mutant in (("the lowering", right), *mutants(layer, kernel, bias, rng)):
        try:
            relation = compare(source, mutant.network, axes, layer.in_channels)
            assert name != "the lowering" or relation == "identical"
            counts[name, relation] = counts.get((name, relation), 0) + 1
            if mutant.chain != right.chain or name == "the lowering":
                classes = compare_classes(layer, mutant.chain, axes, layer.in_channels)
                assert name != "the lowering" or classes in ("equal", "left_in_right")
        except Exception as error:
            error.add_note(f"seed {seed}, {name}: {format_layer(layer)} | {format_layer(mutant.chain, axes)}")
            raise
        done += 1
    return done


def run_all(seeds: range, axes: int) -> int:
    """Mutants of many layers; each kind must be told apart from the source at least once."""
    torch.set_num_threads(1)
    counts: dict[tuple[str, str], int] = {}
    done = sum(run(seed, axes, counts) for seed in seeds)
    harmless = {"the lowering"} | ({"axes of the pads swapped", "phases in the wrong order"} if axes == 1 else set())
    kinds = {name for name, _ in counts} - harmless
    refuted = {name for name, relation in counts if relation in ("different", "shapes_differ")}
    assert kinds <= refuted
    return done


@pytest.mark.parametrize(("axes", "seeds"), [(1, range(40)), (2, range(100, 112)), (3, range(200, 208))])
def test_near_misses_are_told_apart(axes: int, seeds: range) -> None:
    run_all(seeds, axes)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_twenty_thousand_near_misses(part: int) -> None:
    first = 10_000 * (part + 1)
    done = run_all(range(first, first + 160), 1) + run_all(range(first, first + 40), 2) + run_all(range(first, first + 25), 3)
    assert done >= 2500


B = "bias=False"
CLASSES = [
    # pads off by one, swapped, or at the wrong end
    (f"ConvTranspose1d(1,1,4,stride=2,padding=1,{B})", f"ZeroPad1d((2,0)) >> Conv1d(1,2,3,{B}) >> PixelShuffle(2)"),
    (f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B})", f"ZeroPad1d((1,0)) >> Conv1d(1,2,2,{B}) >> PixelShuffle(2)"),
    (f"ConvTranspose1d(1,1,3,stride=2,output_padding=1,{B})", f"ZeroPad1d((0,1)) >> Conv1d(1,2,2,{B}) >> PixelShuffle(2)"),
    (f"ConvTranspose2d(1,1,(3,5),padding=(1,2),{B})", f"ZeroPad2d((1,1,2,2)) >> Conv2d(1,1,(3,5),{B})"),
    # the order of channels
    (f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B})", f"Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2)"),
    (f"ConvTranspose1d(2,2,3,stride=3,groups=2,{B})", f"Conv1d(2,6,1,groups=2,{B}) >> DepthToSpace(3)"),
    (f"Conv2d(2,4,2,stride=2,groups=2,{B})", f"PixelUnshuffle(2) >> Conv2d(8,4,1,groups=4,{B})"),
    (f"Conv2d(2,4,2,stride=2,groups=2,{B})", f"SpaceToDepth(2) >> Conv2d(8,4,1,groups=2,{B})"),
    # a bias for every phase, or none
    ("ConvTranspose1d(1,1,4,stride=2,padding=2)", "Conv1d(1,2,2) >> PixelShuffle(2)"),
    ("ConvTranspose1d(1,1,4,stride=2,padding=2)", f"Conv1d(1,2,2,{B}) >> PixelShuffle(2)"),
    # a bias that zero padding, zero insertion or the mean over the border changes
    ("Conv1d(1,1,1) >> ZeroPad1d(1)", "ZeroPad1d(1) >> Conv1d(1,1,1)"),
    ("Conv1d(1,1,1) >> ZeroInsert(2)", "ZeroInsert(2) >> Conv1d(1,1,1)"),
    ("Conv1d(1,1,1) >> AvgPool1d(3,stride=1,padding=1)", "AvgPool1d(3,stride=1,padding=1) >> Conv1d(1,1,1)"),
    # taps dropped or dilated
    (
        f"ConvTranspose1d(1,1,3,stride=2,dilation=2,padding=2,{B})",
        f"ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1,{B}) >> Crop(0,1)",
    ),
    (f"Conv1d(1,1,3,dilation=2,padding=2,{B})", f"Conv1d(1,1,3,padding=1,{B})"),
    # other borders
    (f"Conv1d(1,1,3,padding=1,{B})", f"Conv1d(1,1,3,padding=1,padding_mode='circular',{B})"),
    (f"CircularPad1d(2) >> Conv1d(1,1,3,{B})", f"CircularPad1d(1) >> CircularPad1d(1) >> Conv1d(1,1,3,{B})"),
    (f"ReflectionPad1d(2) >> Conv1d(1,1,3,{B})", f"ReflectionPad1d(1) >> ReflectionPad1d(1) >> Conv1d(1,1,3,{B})"),
    (f"PixelShuffle(2) >> ReflectionPad1d(2) >> Conv1d(1,1,3,{B})", f"ReflectionPad1d(1) >> PixelShuffle(2) >> Conv1d(1,1,3,{B})"),
    (
        f"Upsample(scale_factor=2) >> ZeroPad1d(1) >> Conv1d(1,1,3,{B})",
        f"ZeroPad1d(1) >> Upsample(scale_factor=2) >> Crop(1,1) >> Conv1d(1,1,2,{B}) >> Crop(0,-1)",
    ),
    # means: the divisor, the last window
    ("AvgPool1d(3,stride=2,padding=1)", "AvgPool1d(3,stride=2,padding=1,count_include_pad=False)"),
    ("AvgPool1d(3,stride=2,padding=1,ceil_mode=True)", "AvgPool1d(3,stride=2,padding=1,ceil_mode=True,count_include_pad=False)"),
    ("AvgPool2d(2,divisor_override=2)", "AvgPool2d(2,divisor_override=3)"),
    ("Upsample(scale_factor=2,mode='linear')", "Upsample(scale_factor=2)"),
]


@pytest.mark.parametrize(("left", "right"), CLASSES)
def test_near_misses_of_classes_are_refuted(left: str, right: str) -> None:
    from symconv.frontends.text import parse

    verdict = decide(parse(left), parse(right), presburger=False)
    assert verdict.relation.value not in ("equal", "unknown")
    assert verdict.witness is not None
    pair = bind_pair(parse(left), parse(right))
    if verdict.relation.value != "shapes_differ":
        modules = [to_module(Sequential(chain), pair.axes) for chain in (pair.left, pair.right)]
        sides = list(zip((pair.left, pair.right), modules, strict=True))
        every = itertools.product(range(1, (verdict.cutoff or 1) + 4), repeat=pair.axes)
        grid = [extents for extents in every if all(accepted(chain, module, pair.channels, extents) for chain, module in sides)]
        found = brute_force(pair.left, pair.right, pair.axes, pair.channels, grid)
        assert (found["relation"], found["linear"]) == (verdict.relation, verdict.linear_relation)

"""More representation power at the same cost, for networks whose input is in low resolution.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, abstract.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..terms import division, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, text
from .execution import Array, draw, evaluate

Kernels = list[tuple[Array, Array | None]]

r, n, m, c, N, R, B, h, L, t, i, e, F, f, s, delta = integers("r n m c N R B h L t i e F f s delta")
g, g2, x, y, z, q, left = integers("g g2 x y z q left")

samples = Hypothesis(N >= 1, "N samples of the low-resolution grid: without samples there is no signal")
reachable = Hypothesis((L + 1) * h >= B, "L + 1 layers of 2 h + 1 taps read no further than (L + 1) h samples")
longer = Hypothesis(h <= B, "a layer of no more than 2 h + 1 taps needs no copies")


def copies(B: int, h: int) -> list[int]:
    """The shifts of the copies on one axis: 0, and min(i (h + 1), B - h) to each side for 1 <= i <= floor(B / (h + 1))."""
    out = [min(i * (h + 1), B - h) for i in range(1, B // (h + 1) + 1)] if h < B else []
    return [0, *out, *[-shift for shift in out]]


def split(t: int, B: int, h: int) -> tuple[int, int]:
    """Tap t, counted from the middle, as the copy and the tap of the last layer that together read it, both on the side of t."""
    sign, t = (1, t) if t >= 0 else (-1, -t)
    i = t // (h + 1)
    shift = min(i * (h + 1), B - h) if i and h < B else 0
    return sign * shift, sign * (t - shift)


def deep(kernel: Array, h: int, depth: int, relu: bool) -> tuple[str, Kernels]:
    """A network of depth + 1 layers of 2 h + 1 taps that is the one-axis layer with this kernel (out, in, 2 B + 1), borders included."""
    out, inward, width = kernel.shape
    B = width // 2
    shifts = copies(B, h)
    signs = (1, -1) if relu else (1,)
    channels = list(itertools.product(range(inward), shifts, signs))
    layers: Kernels = []
    done = [0] * len(channels)
    for layer in range(depth):
        weights = np.zeros((len(channels), len(channels) if layer else inward, 2 * h + 1), dtype=np.int64)
        for at, (source, shift, sign) in enumerate(channels):
            step = max(-h, min(h, shift - done[at]))
            done[at] += step
            weights[at, at if layer else source, h + step] = 1 if layer else sign
        layers.append((weights, None))
    assert done == [shift for _, shift, _ in channels]
    last = np.zeros((out, len(channels), 2 * h + 1), dtype=np.int64)
    for source, tap in itertools.product(range(inward), range(-B, B + 1)):
        shift, rest = split(tap, B, h)
        for sign in signs:
            last[:, channels.index((source, shift, sign)), h + rest] += sign * kernel[:, source, B + tap]
    layers.append((last, None))
    between = " >> ReLU() >> " if relu else " >> "
    shape = f"{2 * h + 1}, padding={h}, bias=False)"
    parts = [f"Conv1d({weights.shape[1]}, {weights.shape[0]}, {shape}" for weights, _ in layers]
    return between.join(parts), layers


def _deep() -> Iterator[str]:
    chance = random.Random(25)
    for B, h, depth, relu in itertools.product(range(1, 6), (1, 2), (1, 2, 4), (False, True)):
        if (depth + 1) * h < B:
            continue
        kernel = draw(chance, (4, 2, 2 * B + 1))
        network, weights = deep(kernel, h, depth, relu)
        if weights[0][0].shape[0] != 2 * (1 + 2 * (B // (h + 1) if h < B else 0)) * (2 if relu else 1):
            yield f"B={B}, h={h}: another number of channels"
        for extent in (1, 3, 8):
            at = draw(chance, (3, 2, extent), 9)
            layer = f"Conv1d(2, 4, {2 * B + 1}, padding={B}, bias=False)"
            if (evaluate(layer, [(kernel, None)], at) != evaluate(network, weights, at)).any():
                yield f"B={B}, h={h}, {depth + 1} layers, extent {extent}: the network is another function"


def kinked(r: int, n: int, axes: int = 2) -> tuple[str, Kernels, list[int]]:
    """A transposed convolution to n channels, ReLU, and a copy; at extent 1 unit t is max(0, t x - M); and the kinks M / t."""
    units = n * r**axes
    level = math.lcm(*range(1, units + 1))
    kernel = np.arange(1, units + 1, dtype=np.int64).reshape((1, n) + (r,) * axes)
    copy = np.eye(n, dtype=np.int64).reshape((n, n) + (1,) * axes)
    expression = f"ConvTranspose{axes}d(1, {n}, {r}, stride={r}) >> ReLU() >> Conv{axes}d({n}, {n}, 1, bias=False)"
    return expression, [(kernel, np.full(n, -level, dtype=np.int64)), (copy, None)], [level // t for t in range(1, units + 1)]


def bends(expression: str, kernels: Kernels, places: list[int], axes: int) -> int:
    """At how many of these inputs, at extent 1, the output has a second difference other than 0."""
    count = 0
    for place in places:
        at = np.array([place - 1, place, place + 1], dtype=np.int64).reshape((3, 1) + (1,) * axes)
        one, two, three = evaluate(expression, kernels, at)
        count += bool((one - 2 * two + three).any())
    return count


def _kinks() -> Iterator[str]:
    for r, n, axes in itertools.product((2, 3), (1, 2), (1, 2)):
        expression, kernels, places = kinked(r, n, axes)
        if len(set(places)) != n * r**axes or bends(expression, kernels, places, axes) != n * r**axes:
            yield f"r={r}, n={n}, {axes} axes: not {n * r**axes} kinks"


def _nearest() -> Iterator[str]:
    """Behind nearest neighbours, 3 taps, r <= 3: every high-resolution sample reads another combination of the input."""
    for r, n in itertools.product((2, 3), (1, 2, 3, 4)):
        kernel = {(0, 0, j): value for j, value in enumerate((1, 10, 100))}
        rows = impulses(f"Upsample(scale_factor={r}) >> Conv1d(1, 1, 3, padding=1, bias=False)", kernel, (n,))
        if len({tuple(row) for row in rows}) != r * n:
            yield f"r={r}, extent {n}: two samples read the same combination"


def _constant() -> Iterator[str]:
    """Random networks in high resolution behind upsampling: constant interior at zero input, and behind nearest at constant input."""
    chance = random.Random(250)
    tail = "ReLU() >> Conv2d(2, 2, 3, padding=1) >> ReLU() >> Conv2d(2, 1, 3, padding=1)"
    for r in (2, 3):
        rest: Kernels = [(draw(chance, (2, 2, 3, 3)), draw(chance, (2,))), (draw(chance, (1, 2, 3, 3)), draw(chance, (1,)))]
        heads: dict[str, tuple[int, ...]] = {
            f"ConvTranspose2d(1, 2, {2 * r}, stride={r}, padding={r // 2})": (1, 2, 2 * r, 2 * r),
            f"Upsample(scale_factor={r}) >> Conv2d(1, 2, 3, padding=1)": (2, 1, 3, 3),
        }
        for head, shape in heads.items():
            kernels: Kernels = [(draw(chance, shape), draw(chance, (2,))), *rest]
            for value in (0, 3) if head.startswith("Upsample") else (0,):
                out = evaluate(f"{head} >> {tail}", kernels, np.full((1, 1, 8, 8), value, dtype=np.int64))
                if np.unique(out[..., 6:-6, 6:-6]).size != 1:
                    yield f"{head}: the interior at input {value} is not constant"


def _one_hidden(values: Values) -> Counterexample | None:
    r, n = values["r"], values["n"]
    expression, kernels, places = kinked(r, n)
    found = bends(expression, kernels, places, 2)
    if found <= r * n:
        return None
    says = (
        f"{text(values)}, one sample x: {expression}, units max(0, t x - {places[0]}) for t = 1, ..., {found}, has kinks at"
        f" {', '.join(map(str, places))}; {r * n} units have at most {r * n}"
    )
    return Counterexample(values, says, True)


def _phases(bias: bool) -> Any:
    """Refutes "some network behind upsampling does what this layer does": a layer of one tap whose phases differ, on a constant input."""

    def refute(values: Values) -> Counterexample | None:
        r = values["r"]
        numbers = np.arange(r * r, dtype=np.int64)
        kernel = (0 * numbers if bias else numbers).reshape(r * r, 1, 1, 1)
        layer = f"Conv2d(1, {r * r}, 1, bias={bias}) >> PixelShuffle({r})"
        out = evaluate(layer, [(kernel, numbers if bias else None)], np.full((1, 1, 8, 8), 1 - bias, dtype=np.int64))
        middle = out[0, 0, 4 * r : 5 * r, 4 * r : 5 * r]
        if np.unique(middle).size == 1:
            return None
        given = f"biases {numbers.tolist()} turns the input 0" if bias else f"weights {numbers.tolist()} turns the input 1, everywhere,"
        return Counterexample(values, f"{text(values)}: {layer} with {given} into {middle.tolist()}, repeated", True)

    return refute


def _in_high(kernel: Array, r: int, ends: tuple[bool, bool]) -> Array:
    """The kernel (out, in, taps) of a layer of odd width in low resolution, for channels that each carry one phase.

    Args:
        kernel: out holds r phases of each output channel at the last layer.
        r: the shuffle factor.
        ends: whether the layer is the first, a transposed convolution of stride r, and whether it is the last.
    """
    out, inward, taps = kernel.shape
    first, last = ends
    spread = np.zeros(
        (out if last else r * out, inward if first else r * inward, r * taps if first else r * (taps - 1) + 1), dtype=np.int64
    )
    for b, u in itertools.product(range(r), range(taps)):
        if first:
            spread[b * out : (b + 1) * out, :, b + r * (taps - 1 - u)] = kernel[:, :, u]
        elif last:
            spread[b::r, b * inward : (b + 1) * inward, r * u] = kernel[b::r, :, u]
        else:
            spread[b * out : (b + 1) * out, b * inward : (b + 1) * inward, r * u] = kernel[:, :, u]
    if last:  # a phase of an output channel is carried by the channels of that phase alone, so they may be added
        spread = spread.reshape(out // r, r, *spread.shape[1:]).sum(axis=1)
    return spread.transpose(1, 0, 2) if first else spread


def _without_biases() -> Iterator[str]:
    """Three layers with ReLU and without biases: in low resolution, and behind a transposed convolution to r m channels."""
    chance = random.Random(251)
    for r, m, taps, extent in itertools.product((2, 3), (1, 2), (1, 3), (1, 4)):
        half = taps // 2
        shapes = ((m, 1, taps), (m, m, taps), (2 * r, m, taps))
        kernels = [draw(chance, shape) for shape in shapes]
        low = " >> ReLU() >> ".join(f"Conv1d({inward}, {out}, {taps}, padding={half}, bias=False)" for out, inward, _ in shapes)
        width, pad = r * (taps - 1) + 1, r * half
        head = f"ConvTranspose1d(1, {r * m}, {r * taps}, stride={r}, bias=False) >> Crop({pad})"
        tail = f"Conv1d({r * m}, {{}}, {width}, padding={pad}, bias=False)"
        high = f"{head} >> ReLU() >> {tail.format(r * m)} >> ReLU() >> {tail.format(2)}"
        lifted = [_in_high(kernel, r, (at == 0, at == 2)) for at, kernel in enumerate(kernels)]
        x = draw(chance, (3, 1, extent), 9)
        one = evaluate(f"{low} >> PixelShuffle({r})", [(kernel, None) for kernel in kernels], x)
        two = evaluate(high, [(kernel, None) for kernel in lifted], x)
        if one.shape != two.shape or (one != two).any():
            yield f"r={r}, m={m}, {taps} taps, extent {extent}: the networks differ"


THEOREM = Theorem(
    name="low-resolution-input",
    numbers=(25,),
    group="networks",
    title="From a low-resolution input ranks no longer separate the two at equal cost; counts of kinks and constant inputs do.",
    statement=(
        "Compare maps from c channels in low resolution to high resolution, r >= 2, D axes: networks that upsample first, by a",
        "zero-padded transposed convolution or a fixed resize, and go on in high resolution with n channels; and networks in low",
        "resolution, with one or more hidden signals of m channels and one shuffling at the end. At equal cost, on two axes, m = r n.",
        "Ranks: a linear map of the input has rank at most c N on N samples, so for c <= m no rank is in the way. For m < c <= r^D n",
        "it is: a transposed convolution can place the c channels at c phases of n channels (PS itself, for c = r^D n), and then the",
        "bottleneck of `representation-power` applies, with ReLU too.",
        "Linear: every low-resolution layer of 2 B + 1 taps and padding B an axis, shuffled (and so every transposed convolution and",
        "resize-convolution inside that class), is a linear network of L + 1 >= 2 layers of 2 h + 1 taps, h <= B <= (L + 1) h, with",
        "m = c (1 + 2 floor(B / (h + 1)))^D channels if B > h and m = c if B = h, borders included; and with ReLU in between it is",
        "a network of twice as many.",
        "ReLU, one hidden layer: the networks of m channels in low resolution contain all those of n channels behind a transposed",
        "convolution, of r N output samples, iff m >= r^D n, even for c = 1: so not at m = r n. With two or more hidden layers and c <= m",
        "the question is not settled here.",
        "The other inclusion is false at every cost with biases: at zero input the output of a network that upsamples first is constant",
        "on each channel, away from the borders; a low-resolution layer with biases, shuffled, has r^D values there. Without any biases it",
        "is false at every cost behind an upsampling that keeps constants (nearest, linear, cubic): a constant input gives a constant",
        "output away from the borders, and a low-resolution layer of one tap, shuffled, gives r^D values.",
        "Without biases and behind a free transposed convolution it holds, with ReLU or any pointwise f with f(0) = 0, if n = r^D m:",
        "not at equal cost.",
    ),
    proof=(
        "Linear: split tap t >= 0, counted from the middle, as t = s + delta with i = floor(t / (h + 1)), s = min(i (h + 1), B - h) and",
        "0 <= delta <= h (s = 0 for i = 0). The hidden layers carry, for each s, the copy of the input shifted by s <= L h, at most h a",
        "layer; the last layer has the tap at delta. Negative t likewise, and on D axes each axis for itself. As s and delta have one",
        "sign, a read outside the signal stays outside: zeros agree at the borders.",
        "With ReLU carry max(0, x) and max(0, -x), whose difference is x; ReLU leaves both as they are.",
        "ReLU, one hidden layer: if m >= r^D n lift both layers (`universal-lowering`, `high-in-low`). Else take extent 1 in low",
        "resolution and one input channel x: m units max(0, a x + b) have at most m kinks in all outputs together. A transposed",
        "convolution of r taps an axis whose n r^D taps t > 0 differ, with biases -1, then ReLU, then the identity (or one sum over",
        "the n channels: all bends have one sign) has max(0, t x - 1) in its outputs, with n r^D kinks 1 / t.",
        "(In general m N units bend on at most m N hyperplanes. Behind nearest neighbours, with 3 taps and r = 2, 3, the samples in high",
        "resolution bend on r N different ones an axis.)",
        "Zero input: the upsampling gives zero, and with a bias a constant; zero-padded convolutions and pointwise functions keep",
        "constants away from the borders. Constant input: the same, if the upsampling keeps constants.",
        "Where it holds: let channel (b, h) in high resolution carry the hidden signal h of the low-resolution network on phase b and 0 on",
        "the other phases. A transposed convolution does so (`note-form`), f keeps the zeros, and a convolution whose taps are r samples",
        "apart reads the low-resolution neighbours of one phase; from the r^D m channels the last one takes those of each phase.",
    ),
    source="arXiv 1609.07009, abstract; the statements are symconv's own",
    scope="all r, n, m, c, B, h, L, N; D by R = r^D; networks in PyTorch for B <= 5, h <= 2, L = 1, 2, 4 and r = 2, 3, n = 1, 2",
    hypotheses=(samples, reachable, longer),
    obligations=(
        Obligation(
            "a tap close to a copy",
            (h >= 0, division(t, h + 1, i, e), s == i * (h + 1), delta == t - s),
            within(delta, h + 1),
        ),
        Obligation(
            "a tap close to the last copy",
            (longer.formula, division(t, h + 1, i, e), t <= B, i * (h + 1) > B - h, s == B - h, delta == t - s),
            within(delta, h + 1) & (s >= 0),
        ),
        Obligation(
            "no more copies", (h >= 0, division(t, h + 1, i, e), division(B, h + 1, F, f), t <= B, x == i - F, y == h + 1), x * y <= f - e
        ),
        Obligation("no more copies: so i <= F", (h >= 0, y == h + 1, f < y, e >= 0, x == i - F, x * y <= f - e), i <= F),
        Obligation("no copy is too far", (reachable.formula, s <= B - h), s <= L * h),
        Obligation(
            "copies move on",
            (h >= 0, s >= 0, s <= L * h, (s < h) & (z == s) | (s >= h) & (z == h), L >= 1),
            within(z, h + 1) & (s - z >= 0) & (s - z <= (L - 1) * h),
            "the rest has one layer less to go",
        ),
        Obligation("zeros agree after the end", (delta >= 0, s >= 0, q + delta >= N), q + delta + s >= N),
        Obligation("nothing is lost before the end", (q >= 0, delta >= 0), q + delta >= 0),
        Obligation("kinks of different units differ", (g * x == left, g2 * x == left, left >= 1, y == g - g2), y * x == 0),
        Obligation("kinks of different units differ: no kink is at 0", (g * x == left, left >= 1), x != 0),
        Obligation("kinks of different units differ: so they are one unit", (y * x == 0, x != 0), y == 0),
        Obligation("fewer units, fewer kinks", (samples.formula, m < y), m * N < y * N),
        Obligation("equal cost has fewer units", (r >= 2, x >= 1), x < r * x, "x = r n"),
    ),
    exact=(
        Exact(
            "deep networks of few taps",
            "the network of copies is the layer of 2 B + 1 taps, linear and with ReLU, borders included, in PyTorch",
            "B <= 5, h = 1, 2, L = 1, 2, 4, 2 channels to 4, extents 1, 3, 8, one axis",
            _deep,
        ),
        Exact(
            "kinks", "the network behind a transposed convolution has n r^D kinks at extent 1, in PyTorch", "r = 2, 3, n, D = 1, 2", _kinks
        ),
        Exact(
            "hyperplanes behind nearest neighbours",
            "every high-resolution sample reads another combination of the input, in PyTorch",
            "r = 2, 3, 3 taps, extents up to 4, one axis",
            _nearest,
        ),
        Exact(
            "constants",
            "random networks that upsample first, two more layers, ReLU and biases: constant away from the borders, in PyTorch",
            "r = 2, 3; transposed convolution at zero input, nearest neighbours at constant inputs",
            _constant,
        ),
        Exact(
            "the other inclusion, without biases",
            "networks of three layers with ReLU give the same integers behind a transposed convolution to r m channels, in PyTorch",
            "r = 2, 3, m = 1, 2, 1 and 3 taps, extents 1 and 4, one axis, random integer weights",
            _without_biases,
        ),
    ),
    twins=(
        Twin(
            "one hidden layer at equal cost",
            "at m = r n low resolution contains the networks of one hidden layer behind a transposed convolution",
            by_size("r n", {"r": 2}, 3),
            _one_hidden,
        ),
        Twin(
            "upsampling first can do it, with biases",
            "a wide and deep enough network that upsamples first does what a low-resolution layer with biases does",
            by_size("r", {}, 4),
            _phases(bias=True),
        ),
        Twin(
            "upsampling first can do it, without biases",
            "behind nearest-neighbour upsampling a wide and deep enough network does what a low-resolution layer without biases does",
            by_size("r", {}, 4),
            _phases(bias=False),
        ),
    ),
    corrections=(
        "The linear obstruction vanishes for c <= r n only. With one hidden layer and ReLU inclusion at m = r n fails for c = 1 as well.",
        "Upsampling first cannot be undone by any network if it is fixed, or if there are biases; behind a free transposed convolution and",
        "without biases it can, by r^D times the channels.",
    ),
)

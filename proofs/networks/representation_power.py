"""More representation power at the same cost: the readings that are true and those that are false, on signals in high resolution.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, abstract.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np

from ..definitions import conv
from ..terms import division, equivalent, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, text
from .execution import Array, draw, evaluate, lift, matrix, rank

r, n, m, N, T, n2, x, y, z, o, p, j, k, pb, q, q2, a, b = integers("r n m N T n2 x y z o p j k pb q q2 a b")

factor = Hypothesis(r >= 2, "r = 1 is one resolution, and then the classes are equal")
samples = Hypothesis(N >= 1, "N samples of the low-resolution grid: without samples there is no signal")
high = Hypothesis(n >= 1, "a layer has a channel")

PICKS = "Conv2d({0}, {1}, 1, bias=False) >> ReLU() >> Conv2d({1}, {0}, 1, bias=False)"
"""A network in low resolution that passes through few channels, here with one tap."""


def identity(n: int, k: int) -> Array:
    """The kernel of k x k taps that copies n channels."""
    kernel = np.zeros((n, n, k, k), dtype=np.int64)
    for channel in range(n):
        kernel[channel, channel, k // 2, k // 2] = 1
    return kernel


def high_identity(r: int, n: int, depth: int) -> tuple[str, list[tuple[Array, Array | None]]]:
    """A ReLU network in high resolution that copies inputs that are not negative, between shufflings."""
    layers = " >> ".join([f"Conv2d({n}, {n}, 3, padding=1, bias=False) >> ReLU()"] * depth)
    return f"PixelShuffle({r}) >> {layers} >> PixelUnshuffle({r})", [(identity(n, 3), None)] * depth


def _narrow(r: int, n: int, m: int, chance: random.Random) -> tuple[str, list[tuple[Array, Array | None]]]:
    """A random ReLU network in low resolution from r^2 n channels through m channels and back."""
    wide = n * r * r
    ends = f"Conv2d({wide}, {m}, 3, padding=1, bias=False) >> ReLU() >> Conv2d({m}, {wide}, 3, padding=1, bias=False)"
    return ends, [(draw(chance, (m, wide, 3, 3)), None), (draw(chance, (wide, m, 3, 3)), None)]


def _identities() -> Iterator[str]:
    for r, n, depth, extents in itertools.product((2, 3), (1, 2), (1, 3), ((1, 1), (2, 1))):
        expression, kernels = high_identity(r, n, depth)
        at = np.full((n * r * r, *extents), 5, dtype=np.int64)
        found = rank(matrix(expression, kernels, at))
        if found != n * r * r * extents[0] * extents[1]:
            yield f"r={r}, n={n}, depth {depth}, extent {extents}: rank {found}"


def collision(r: int, n: int, m: int, extents: tuple[int, int], chance: random.Random) -> tuple[Array, Array, bool] | None:
    """Two different positive inputs to which a random network through m channels gives one output; None if a step left the region."""
    import flint

    expression, kernels = _narrow(r, n, m, chance)
    at = 1000 + draw(chance, (n * r * r, *extents), 200)
    jacobian = matrix(expression, kernels, at)
    basis, nullity = flint.fmpz_mat([[int(value) for value in row] for row in jacobian.tolist()]).nullspace()
    if not nullity:
        return None
    step = np.array([int(basis[row, 0]) for row in range(at.size)], dtype=object)
    step //= np.gcd.reduce(step)
    scale = 100 * int(abs(step).max())
    one = at * scale
    two = one + step.astype(np.int64).reshape(at.shape)
    outputs = [evaluate(expression, kernels, value[None]) for value in (one, two)]
    return one, two, bool((outputs[0] == outputs[1]).all())


def _collisions() -> Iterator[str]:
    chance = random.Random(25)
    found = 0
    for r, n, extents in itertools.product((2, 3), (1, 2), ((1, 1), (1, 2))):
        if n * r * r * extents[1] > 20:
            continue
        for _ in range(3):
            seen = collision(r, n, r * n, extents, chance)
            if seen is None or not seen[2]:
                yield f"r={r}, n={n}, extent {extents}: no collision at m = r n"
                continue
            expression, kernels = high_identity(r, n, 2)
            kept = [evaluate(expression, kernels, value[None]) for value in seen[:2]]
            if (kept[0] == kept[1]).all() or min(int(value.min()) for value in seen[:2]) <= 0:
                yield f"r={r}, n={n}, extent {extents}: the network in high resolution does not tell them apart"
            found += 1
    if not found:
        yield "nothing was tried"


def _contained() -> Iterator[str]:
    """Networks of n / r channels in high resolution, lifted into the r n channels that cost r^2 times as much."""
    chance = random.Random(251)
    for r, small, extents in itertools.product((2, 3), (1, 2), ((1, 2), (3, 2))):
        if small * r * r > 12:
            continue
        wide = small * r * r
        kernels = [(draw(chance, (small, small, 3, 3)), draw(chance, (small,))) for _ in range(2)]
        layers = " >> ReLU() >> ".join([f"Conv2d({small}, {small}, 3, padding=1)"] * 2)
        lower = " >> ReLU() >> ".join([f"Conv2d({wide}, {wide}, 3, padding=1)"] * 2)
        lifted = [(lift(kernel, r, 1), bias.repeat(r * r)) for kernel, bias in kernels]
        at = draw(chance, (1, wide, *extents), 9)
        if (evaluate(f"PixelShuffle({r}) >> {layers}", kernels, at) != evaluate(f"{lower} >> PixelShuffle({r})", lifted, at)).any():
            yield f"r={r}, {small} channels, extent {extents}: the lifted network differs"


def _shift(r: int, k: int, chance: random.Random) -> tuple[str, list[tuple[Array, Array | None]]]:
    return (
        f"Conv2d(1, 2, {k}, padding={k // 2}) >> ReLU() >> Conv2d(2, 1, {k}, padding={k // 2})",
        [(draw(chance, (2, 1, k, k)), draw(chance, (2,))), (draw(chance, (1, 2, k, k)), draw(chance, (1,)))],
    )


def _commutes() -> Iterator[str]:
    """Away from the borders random networks in high resolution commute with a shift by one sample."""
    chance = random.Random(252)
    for k in (1, 3, 5):
        expression, kernels = _shift(2, k, chance)
        reach = 2 * (k // 2)
        image = np.zeros((1, 1, 4 * reach + 6, 4 * reach + 6), dtype=np.int64)
        image[0, 0, 2 * reach + 2 : 2 * reach + 4, 2 * reach + 2 : 2 * reach + 4] = draw(chance, (2, 2), 9)
        moved = np.roll(image, 1, axis=3)
        one, two = evaluate(expression, kernels, image), evaluate(expression, kernels, moved)
        inner = slice(reach + 1, -reach - 1)
        if (np.roll(one, 1, axis=3)[..., inner, inner] != two[..., inner, inner]).any():
            yield f"k={k}: a network in high resolution does not commute with the shift"


def picked(r: int, position: int, extent: int) -> list[int]:
    """The response, on the middle row of the high-resolution grid, of the network that keeps phase 0, to an impulse on that row."""
    wide = r * r
    first = np.zeros((1, wide, 1, 1), dtype=np.int64)
    first[0, 0] = 1
    expression = f"PixelUnshuffle({r}) >> {PICKS.format(wide, 1)} >> PixelShuffle({r})"
    image = np.zeros((1, 1, r * extent, r * extent), dtype=np.int64)
    row = r * (extent // 2)
    image[0, 0, row, position] = 1
    out = evaluate(expression, [(first, None), (first.transpose(1, 0, 2, 3), None)], image)
    return [int(value) for value in out[0, 0, row]]


def _included(values: Values) -> Counterexample | None:
    """At m = r n: the identity in high resolution against the rank of what passes through m channels, extent 1x1."""
    r, n = values["r"], values["n"]
    expression, kernels = high_identity(r, n, 1)
    expression = expression.replace(" >> ReLU()", "")
    found = rank(matrix(expression, kernels, np.full((n * r * r, 1, 1), 5, dtype=np.int64)))
    chance = random.Random(1)
    narrow, weights = _narrow(r, n, r * n, chance)
    most = rank(matrix(narrow.replace(" >> ReLU()", ""), weights, np.full((n * r * r, 1, 1), 5, dtype=np.int64)))
    if found <= r * n:
        return None
    says = (
        f"{text(values)}, extent 1x1 in low resolution: the identity in high resolution has rank {found}, every linear network"
        f" through m = r n = {r * n} channels at most {r * n}"
    )
    return Counterexample(values, says, most <= r * n < found)


def _included_relu(values: Values) -> Counterexample | None:
    """The same with ReLU: the network whose r n channels each add up r phases, at two positive inputs."""
    r, n = values["r"], values["n"]
    wide, m = n * r * r, r * n
    adds = np.zeros((m, wide, 1, 1), dtype=np.int64)
    for channel in range(wide):
        adds[channel // r, channel] = 1
    expression = f"Conv2d({wide}, {m}, 1, bias=False) >> ReLU() >> Conv2d({m}, {wide}, 1, bias=False) >> ReLU()"
    kernels: list[tuple[Array, Array | None]] = [(adds, None), (adds.transpose(1, 0, 2, 3), None)]
    one, two = (np.ones((1, wide, 1, 1), dtype=np.int64) for _ in range(2))
    one[0, 0], two[0, 1] = 2, 2
    merged = evaluate(expression, kernels, one) == evaluate(expression, kernels, two)
    copies = high_identity(r, n, 2)
    kept = evaluate(*copies, one) != evaluate(*copies, two)
    says = (
        f"{text(values)}, extent 1x1: every network through m = {m} channels gives two positive inputs one output; the one that adds"
        f" up {r} phases a channel does so to {one.ravel().tolist()} and {two.ravel().tolist()}, which the network that copies keeps apart"
    )
    return Counterexample(values, says, bool(merged.all() and kept.any()))


def _equivariant(values: Values) -> Counterexample | None:
    """Keeping phase 0: two impulses next to each other."""
    r = values["r"]
    extent = 3
    at = r * (extent // 2)
    one, two = picked(r, at, extent), picked(r, at + 1, extent)
    if one[:-1] == two[1:]:
        return None
    says = (
        f"{text(values)}: keep phase 0, set the other phases to 0. The impulse at sample {at} gives {one}, the one at {at + 1} gives {two};"
        f" every network in high resolution gives shifted outputs, at extents that its borders do not reach"
    )
    return Counterexample(values, says, True)


THEOREM = Theorem(
    name="representation-power",
    numbers=(25,),
    group="networks",
    title="At equal cost low resolution has more parameters and the larger class, but neither side's functions include the other's.",
    statement=(
        "Compare maps from n channels to n channels of high-resolution signals, r >= 2, D axes: networks of extent-keeping zero-padded",
        "convolutions and pointwise functions with one or more hidden signals, of n channels in high resolution, or of m channels in low",
        "resolution between unshuffling and shuffling. At equal cost, on two axes, m = r n (`equal-cost`).",
        "True: a layer has r^2 times the parameters, and its class r^2 times the dimension.",
        "The width that suffices: the networks of m channels in low resolution contain all networks of n channels in high resolution,",
        "linear or with ReLU, iff m >= r^D n. At m = r^D n a layer costs r^D times as much, for as many taps.",
        "False, as inclusion of functions at m = r n: a linear network that somewhere passes through m < r^D n channels of the",
        "low-resolution grid is not the identity in high resolution, which has rank n r^D N on N low-resolution samples; and none with",
        "ReLU agrees with the identity on all inputs that are not negative, which any number of layers in high resolution does.",
        "What is contained at m = r n on two axes: all networks of n / r channels in high resolution, which cost 1 / r^2 of it.",
        "False, as the other inclusion, at every cost: the network that keeps phase 0 of one channel and sets all else to zero passes",
        "through one channel in low resolution, and no network in high resolution, of any width, depth and pointwise functions, equals it.",
        "So at equal cost the functions of the two are incomparable.",
    ),
    proof=(
        "If m >= r^D n lift every layer (`high-in-low`) and leave m - r^D n channels at zero. If m < r^D n, write the network as g . f",
        "with f into signals of m channels, that is m N numbers, N >= 1.",
        "Linear: rank g f <= m N < n r^D N, the rank of the identity.",
        "ReLU: f is continuous, and affine on each of finitely many polyhedra that cover the space; one of them meets the positive inputs",
        "in a set with interior. There f has rank at most m N, less than the number of inputs, so f, and with it g . f, takes one value at",
        "two positive inputs. The identity does not. (For any continuous functions in place of ReLU: by the theorem of Borsuk and Ulam no",
        "continuous map from an open set of a space into a space of fewer dimensions is injective.)",
        "Kernels with the single tap 1 in the middle make every layer in high resolution, with ReLU, the identity on such inputs.",
        "n2 channels need r^2 n2 <= r n, and n2 = n / r gives r^2 n2^2 k^2 = r^2 n^2 k^2 / r^2.",
        "Away from the borders entry (o + 1, p + 1) of a convolution in high resolution is entry (o, p), and a pointwise function is the",
        "same at all samples; so a network maps the impulse at p + 1 to the shifted output for p, once the extent exceeds its reach.",
        "The one that keeps phase 0 maps the impulse at p = r q to itself, and the one at p + 1, of another phase, to zero.",
    ),
    source="arXiv 1609.07009, abstract: more representation power at the same computational cost",
    scope="all r, n, m, N, depths; D by y = r^D n; ranks and collisions in PyTorch for r = 2, 3, n = 1, 2",
    hypotheses=(factor, samples, high),
    obligations=(
        Obligation("some numbers are carried", (samples.formula, high.formula, x == n * N), x >= 1),
        Obligation("equal cost carries too few numbers", (factor.formula, x >= 1), r * x < r * (r * x)),
        Obligation("the threshold: necessary", (samples.formula, m < y), m * N < y * N, "y = r^D n"),
        Obligation("the threshold: sufficient", (samples.formula, m * N < y * N), m < y, "y = r^D n"),
        Obligation("which networks fit: not more", (factor.formula, r * x >= 0), x >= 0),
        Obligation("which networks fit: times r", ((r * r) * n2 <= r * n, x == n - r * n2), r * x >= 0),
        Obligation("which networks fit: no fewer", (factor.formula, x >= 0, x == n - r * n2), (r * r) * n2 <= r * n),
        Obligation("what they cost", (n == r * n2,), (r * r) * ((r * r) * (n2 * n2) * T) == (r * r) * (n * n) * T),
        Obligation(
            "a shift by one sample in high resolution",
            (),
            equivalent(conv(o, p, j, s=1, k=k, d=1, pb=pb), conv(o + 1, p + 1, j, s=1, k=k, d=1, pb=pb)),
        ),
        Obligation("phase 0: the next sample, times r", (p == r * q, division(p + 1, r, q2, b), z == q2 - q), r * z == 1 - b),
        Obligation("phase 0: the next sample lies in one block", (factor.formula, within(b, r), r * z == 1 - b), z == 0),
        Obligation("phase 0: the next sample has another phase", (z == 0, r * z == 1 - b), b != 0),
    ),
    exact=(
        Exact(
            "the identity in high resolution",
            "networks of 1 and of 3 layers with ReLU have rank n r^2 N at a positive input, in PyTorch",
            "r = 2, 3, n = 1, 2, extents 1x1 and 2x1",
            _identities,
        ),
        Exact(
            "collisions at equal cost",
            "random networks with ReLU through m = r n channels give one output to two positive inputs, in PyTorch",
            "r = 2, 3, n = 1, 2, extents 1x1 and 1x2, up to 20 numbers, 3 networks each",
            _collisions,
        ),
        Exact(
            "what is contained",
            "networks of n / r channels with ReLU and biases give the same integers lifted, in PyTorch",
            "n / r = 1, 2 for r = 2, n / r = 1 for r = 3, extents 1x2 and 3x2",
            _contained,
        ),
        Exact("shifts", "random networks in high resolution commute with a shift, in PyTorch", "k = 1, 3, 5, two layers, ReLU", _commutes),
    ),
    twins=(
        Twin(
            "inclusion at equal cost",
            "at m = r n every linear function in high resolution is one of a network in low resolution",
            by_size("r n", {"r": 2}, 3),
            _included,
        ),
        Twin(
            "inclusion at equal cost, with ReLU",
            "at m = r n every function of a network with ReLU in high resolution is one of a network with ReLU in low resolution",
            by_size("r n", {"r": 2}, 3),
            _included_relu,
        ),
        Twin(
            "wide enough in high resolution",
            "every function in low resolution is one of a wide and deep enough network in high resolution",
            by_size("r", {}, 4),
            _equivariant,
        ),
    ),
    corrections=(
        "More representation power at the same cost holds for the number of parameters and for the dimension of a layer's class. It does",
        "not hold for the functions of networks on high-resolution signals: at equal cost neither side contains the other.",
    ),
)

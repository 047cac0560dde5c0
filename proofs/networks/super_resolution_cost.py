"""How much cheaper low-resolution super-resolution networks are than networks that upscale first.

Source: W. Shi et al., arXiv 1609.05158 (ESPCN); C. Dong et al., arXiv 1501.00092 (SRCNN), arXiv 1608.00367 (FSRCNN).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..terms import equivalent, integers
from ..theorem import Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, integers_differ, text
from .equal_cost import cost

R, S, t, x = integers("R S t x")

factor = Hypothesis(R >= 2, "R = r^D; r = 1 is one resolution")
hidden = Hypothesis(S >= 1, "S multiplications a sample in the layers before the last")
last = Hypothesis(t >= 1, "t multiplications a sample in the last layer")

TANH, RELU = " >> Tanh() >> ", " >> ReLU() >> "


def _chain(channels: tuple[int, ...], kernels: tuple[int, ...], between: str = TANH) -> str:
    """Convolutions that keep the extent, without biases."""
    pairs = zip(channels, channels[1:], kernels, strict=False)
    return between.join(f"Conv2d({a}, {b}, {k}, padding={k // 2}, bias=False)" for a, b, k in pairs)


def upscaled(r: int, channels: tuple[int, ...], kernels: tuple[int, ...]) -> str:
    """All layers behind an upscaling, which itself is not counted."""
    return f"Upsample(scale_factor={r}) >> {_chain(channels, kernels)}"


def shuffled(r: int, channels: tuple[int, ...], kernels: tuple[int, ...]) -> str:
    """All layers in low resolution, the last one to r^2 times the channels, and periodic shuffling."""
    return f"{_chain((*channels[:-1], channels[-1] * r * r), kernels)} >> PixelShuffle({r})"


def deconvolved(r: int, channels: tuple[int, ...], kernels: tuple[int, ...]) -> str:
    """All layers but the last in low resolution; the last one a transposed convolution of stride r."""
    k = kernels[-1]
    end = f"ConvTranspose2d({channels[-2]}, {channels[-1]}, {k}, stride={r}, padding={k // 2}, output_padding={r - 1}, bias=False)"
    return f"{_chain(channels[:-1], kernels[:-1])}{TANH}{end}"


WIDTHS = (1, 64, 32, 1)
SRCNN, ESPCN = (9, 5, 5), (5, 3, 3)


def fsrcnn(d: int, s: int, m: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels and kernels of the design (d, s, m): extract, shrink, m maps, expand, deconvolve."""
    return (1, d, s, *[s] * m, d, 1), (5, 1, *[3] * m, 1, 9)


def count(expression: str) -> Fraction:
    """Multiplications for each low-resolution sample, one channel in."""
    return cost(expression, 2, 1).multiplications


def espcn_factor(r: int) -> Fraction:
    """SRCNN behind upscaling over ESPCN, at widths 64 and 32."""
    return count(upscaled(r, WIDTHS, SRCNN)) / count(shuffled(r, WIDTHS, ESPCN))


def _numbers() -> Iterator[str]:
    for r in range(1, 9):
        found = count(upscaled(r, WIDTHS, SRCNN)), count(shuffled(r, WIDTHS, ESPCN))
        if found[0] != 57184 * r * r or found[1] != 20032 + 288 * r * r:
            yield f"r={r}: {found[0]} and {found[1]} multiplications"
        if (espcn_factor(r) >= Fraction(5, 2) * r * r) != (r <= 3) or espcn_factor(r) >= Fraction(57184, 20032) * r * r:
            yield f"r={r}: factor {espcn_factor(r)}"
    rounded = [round(100 * espcn_factor(r) / r**2) for r in (2, 3, 4)]
    if rounded != [270, 253, 232]:
        yield f"the factors over r^2 are {rounded} hundredths"


def _same_layers() -> Iterator[str]:
    """The same channels and kernels in low resolution: the factor of the whole network, and exactly r^2 before the last layer."""
    for kernels in (SRCNN, ESPCN, (3, 1, 7)):
        for r in range(2, 5):
            first, whole = count(upscaled(r, WIDTHS, kernels)), count(shuffled(r, WIDTHS, kernels))
            before = count(_chain(WIDTHS[:-1], kernels[:-1]))
            end = WIDTHS[-2] * WIDTHS[-1] * kernels[-1] ** 2
            if first != r * r * (before + end) or whole != before + r * r * end or not 1 < first / whole < r * r:
                yield f"r={r}, kernels {kernels}: {first} and {whole} multiplications"
            if count(deconvolved(r, WIDTHS, kernels)) * r * r != first:
                yield f"r={r}, kernels {kernels}: with a transposed convolution at the end it is not r^2"


def _fsrcnn() -> Iterator[str]:
    for v in by_size("r d s m", {"m": 0}, 4)():
        channels, kernels = fsrcnn(v["d"], v["s"], v["m"])
        found = count(deconvolved(v["r"], channels, kernels))
        if found != 9 * v["m"] * v["s"] ** 2 + 2 * v["s"] * v["d"] + 106 * v["d"]:
            yield f"{text(v)}: {found} multiplications"
        if count(upscaled(v["r"], channels, kernels)) != v["r"] ** 2 * found:
            yield f"{text(v)}: not r^2 times cheaper than upscaling first"


def _whole(v: Values) -> str | None:
    r = v["r"]
    found = count(upscaled(r, WIDTHS, ESPCN)) / count(shuffled(r, WIDTHS, ESPCN))
    return None if found == r * r else f"kernels 5-3-3 upscaled first cost {found} = {float(found):.3f} times as much, not {r * r}"


def _any_factor(v: Values) -> str | None:
    found = espcn_factor(v["r"]) / v["r"] ** 2
    return None if found >= Fraction(5, 2) else f"the factor is {found} r^2 = {float(found):.3f} r^2"


THEOREM = Theorem(
    name="super-resolution-cost",
    numbers=(27,),
    group="networks",
    title="Layers in low resolution are r^2 times cheaper than behind upscaling; whole networks are if they end in a deconvolution.",
    statement=(
        "Let a network, without biases, multiply S times a sample before its last layer and t times in it. Behind upscaling, which is not",
        "counted, that is r^2 (S + t) for each low-resolution sample.",
        "In low resolution with a transposed convolution of as many taps as the last layer: S + t, exactly r^2 times cheaper. So FSRCNN's",
        "design (d, s, m), 9 m s^2 + 2 s d + 106 d multiplications for each low-resolution sample whatever r is.",
        "In low resolution with a last layer of as many taps to r^2 times the channels and shuffling: S + r^2 t; the factor is above 1 and",
        "below r^2, near r^2 where S is much larger than r^2 t. The layers before the last are exactly r^2 times cheaper.",
        "ESPCN's kernels 5-3-3 in low resolution against 9-5-5 behind upscaling, widths 64 and 32, one channel: 57184 r^2 against",
        "20032 + 288 r^2 multiplications: 2.70 r^2 for r = 2, 2.53 r^2 for r = 3, 2.32 r^2 for r = 4; at least 2.5 r^2 iff r <= 3, and",
        "below 2.855 r^2 for every r.",
    ),
    proof=(
        "A layer multiplies parameters times output samples (transposed: input samples), r^2 samples in high resolution for each in low.",
        "r^2 (S + t) - (S + r^2 t) = (r^2 - 1) S and r^2 (S + r^2 t) - r^2 (S + t) = r^2 (r^2 - 1) t are positive.",
        "9-5-5: 81 * 64 + 25 * 64 * 32 + 25 * 32 = 57184. 5-3-3: 25 * 64 + 9 * 64 * 32 + 9 * 32 r^2 = 20032 + 288 r^2.",
        "57184 >= 2.5 (20032 + 288 r^2) iff r^2 <= 9.",
        "FSRCNN: 25 d + d s + 9 m s^2 + s d + 81 d.",
    ),
    source="claims about arXiv 1609.05158 and arXiv 1608.00367, counted anew from the layers; numbers of the papers are not quoted",
    scope="all r, S, t; networks counted by symconv for r <= 8 (ESPCN), r, d, s, m <= 4 (FSRCNN)",
    hypotheses=(factor, hidden, last),
    obligations=(
        Obligation("cheaper", (factor.formula, hidden.formula), S + R * t < R * (S + t)),
        Obligation("fewer than R times, divided by R", (factor.formula, last.formula), S + t < S + R * t),
        Obligation("fewer than R times", (factor.formula, S + t < x), R * (S + t) < R * x, "x = S + R t"),
        Obligation("ESPCN: at least 2.5 R iff R <= 9", (R >= 1,), equivalent(5 * (20032 + 288 * R) <= 2 * 57184, R <= 9)),
        Obligation("ESPCN: below 2.855 R", (R >= 1,), 2855 * (20032 + 288 * R) > 1000 * 57184),
    ),
    exact=(
        Exact("ESPCN", "symconv's counts, the factors and their roundings", "r <= 8; 57184 r^2 and 20032 + 288 r^2", _numbers),
        Exact(
            "the same layers",
            "r^2 (S + t) against S + r^2 t with shuffling and S + t with a transposed convolution",
            "kernels 9-5-5, 5-3-3 and 3-1-7, widths 64 and 32, r = 2, 3, 4",
            _same_layers,
        ),
        Exact("FSRCNN", "9 m s^2 + 2 s d + 106 d, and r^2 times cheaper than upscaling first", "r, d, s, m <= 4", _fsrcnn),
    ),
    twins=(
        Twin(
            "whole networks with shuffling",
            "ESPCN's layers are r^2 times cheaper than the same layers behind upscaling, the last one included",
            by_size("r", {"r": 2}, 4),
            integers_differ(_whole),
        ),
        Twin(
            "2.5 r^2 for every r",
            "ESPCN is at least 2.5 r^2 times cheaper than 9-5-5 behind upscaling, for every r",
            by_size("r", {}, 8),
            integers_differ(_any_factor),
        ),
    ),
    corrections=(
        "r^2 times cheaper is exact for the layers before the last, and for whole networks that end in a transposed convolution (FSRCNN);",
        "with shuffling (ESPCN) the last layer costs the same in both, and the factor of the whole network is below r^2.",
        "The factor against 9-5-5 is no multiple of r^2: 2.53 r^2 is its value for r = 3; it is 2.70 r^2 for r = 2 and 2.32 r^2 for r = 4.",
    ),
)

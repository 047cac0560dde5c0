"""Periodic shuffling is a permutation, and unshuffling is its transpose and inverse.

Source: W. Shi et al., Real-Time Single Image and Video Super-Resolution, arXiv 1609.05158, equation 4; torch.nn.PixelShuffle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, text

r, C, n, c, e, q, y, y2, phi, phi2, e2 = integers("r C n c e q y y2 phi phi2 e2")

factor = Hypothesis(r >= 1, "phases are residues modulo r")

READS = division(y, r, q, phi) & (c == r * e + phi)
"""One digit: sample y of channel e reads sample q = y div r of channel r e + (y mod r)."""


def _source(values: Values, axes: int) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(output index, input index) of periodic shuffling by one digit after the other, last axis innermost."""
    factor, channels, n = values["r"], values["C"], values["n"]
    for c, *at in itertools.product(range(channels), *[range(factor * n)] * axes):
        channel = c
        for position in at:
            channel = factor * channel + position % factor
        yield (c, *at), (channel, *(position // factor for position in at))


def _against_layer() -> Iterator[str]:
    from symconv.layers import Shuffle, Unshuffle
    from symconv.operators.denote import denote

    for axes, values in itertools.product((1, 2, 3), by_size("r C n", {}, 3, lambda v: v["r"] ** 3 * v["C"] * v["n"] <= 27)()):
        factor, channels, n = values["r"], values["C"], values["n"]
        table = denote((Shuffle(factor),), channels * factor**axes, (n,) * axes)
        back = denote((Unshuffle(factor),), channels, (factor * n,) * axes)
        pairs = dict(_source(values, axes))
        if {o: next(iter(row)) for o, row in table.entries.items()} != pairs or len(set(pairs.values())) != len(pairs):
            yield f"{axes} axes, {text(values)}: symconv's Shuffle moves other samples"
        if {next(iter(row)): o for o, row in back.entries.items()} != pairs:
            yield f"{axes} axes, {text(values)}: unshuffling is not the transpose"


VARIANTS: tuple[tuple[str, int, Callable[[int, int, int, int, int], int], Callable[[int, int], bool]], ...] = (
    ("c r mod(y, r) + c mod(x, r)", 0, lambda c, y, x, r, C: c * r * y + c * x, lambda r, C: r == C == 1),
    ("c r mod(y, r) + c mod(x, r)", 1, lambda c, y, x, r, C: c * r * y + c * x, lambda r, C: C == 1),
    ("C r mod(y, r) + C r mod(x, r) + c", 0, lambda c, y, x, r, C: C * r * y + C * r * x + c, lambda r, C: r == 1),
    ("C r mod(y, r) + C mod(x, r) + c", 0, lambda c, y, x, r, C: C * r * y + C * x + c, lambda r, C: True),
)
"""A channel formula, the first channel's number, and the r and C at which it is injective."""


def _printed() -> Iterator[str]:
    for (name, first, channel, injective), r, C in itertools.product(VARIANTS, range(1, 6), range(1, 6)):
        places = itertools.product(range(first, C + first), range(r), range(r))
        read = [channel(c, y, x, r, C) for c, y, x in places]
        if (len(set(read)) == len(read)) != injective(r, C):
            yield f"{name}, channels from {first}, r={r}, C={C}: reads {sorted(read)}"


def _instances() -> Iterator[Case]:
    for values in by_size("r C", {"r": 2}, 4)():
        same = f"Conv2d({values['C']}, {values['C']}, 1, bias=False)"
        yield Case(
            f"{same} >> PixelUnshuffle({values['r']}) >> PixelShuffle({values['r']})",
            f"PixelUnshuffle({values['r']}) >> PixelShuffle({values['r']}) >> {same}",
            "equal",
        )


def _collision(channel: Callable[[Values, int, int, int], int], claimed: int) -> Callable[[Values], Counterexample | None]:
    """Refutes "this channel formula, on two axes, reads every input sample once"."""

    def refute(values: Values) -> Counterexample | None:
        factor, channels = values["r"], values["C"]
        seen: dict[tuple[int, int, int], tuple[int, int, int]] = {}
        for c, y, x in itertools.product(range(channels), range(factor), range(factor)):
            source = (channel(values, c, y, x), y // factor, x // factor)
            if source in seen or not 0 <= source[0] < channels * factor**2:
                says = f"{text(values)}: outputs {seen.get(source)} and {(c, y, x)} (channel, y, x) both read channel {source[0]}"
                if source not in seen:
                    says = f"{text(values)}: output {(c, y, x)} reads channel {source[0]} of {channels * factor**2}"
                return Counterexample(values, says, _replay(factor, channels))
            seen[source] = (c, y, x)
        return None

    return refute


def _replay(factor: int, channels: int) -> bool:
    """PyTorch's own PixelShuffle reads every sample once."""
    import torch

    count = channels * factor**2
    x = torch.arange(count, dtype=torch.float64).reshape(1, count, 1, 1)
    return sorted(torch.nn.PixelShuffle(factor)(x).flatten().tolist()) == list(range(count))


THEOREM = Theorem(
    name="shuffling",
    numbers=(1,),
    group="same_layer",
    title="Periodic shuffling is a permutation of samples; unshuffling is its inverse and its transpose.",
    statement=(
        "One digit: sample y of channel e reads sample y div r of channel r e + (y mod r). It is a bijection from",
        "E channels of r n samples to r E channels of n samples. PS on D axes is D such digits, one an axis, in row-major order:",
        "channel c r^D + phase. So PS is a permutation for all r, C, D, and its inverse is its transpose, unshuffling.",
    ),
    proof=(
        "Two outputs that read the same sample have the same quotient by r and,",
        "since r e + phi determines e and phi, the same channel and phase.",
        "Every input sample (c, q) is read: by channel c div r at sample r q + (c mod r).",
        "A composition of D bijections is a bijection, and a permutation matrix has its transpose as its inverse.",
    ),
    source="arXiv 1609.05158, equation 4; torch.nn.PixelShuffle",
    scope="all r, C, n and D: one digit by the solvers, D digits by composition",
    hypotheses=(factor,),
    obligations=(
        Obligation(
            "no two outputs read one sample: same phase",
            (within(phi, r), within(phi2, r), r * e + phi == r * e2 + phi2),
            phi == phi2,
        ),
        Obligation(
            "no two outputs read one sample: same channel",
            (factor.formula, phi == phi2, r * e + phi == r * e2 + phi2),
            e == e2,
        ),
        Obligation(
            "no two outputs read one sample: same position",
            (y == r * q + phi, y2 == r * q + phi2, phi == phi2),
            y == y2,
        ),
        Obligation(
            "every sample is read: channels before",
            (factor.formula, division(c, r, e, phi), c >= 0),
            e >= 0,
        ),
        Obligation(
            "every sample is read: channels after",
            (factor.formula, division(c, r, e, phi), c < r * C),
            e < C,
        ),
        Obligation(
            "every sample is read: positions",
            (factor.formula, within(phi, r), within(q, n), y == r * q + phi),
            within(y, r * n),
        ),
    ),
    exact=(
        Exact(
            "digits are symconv's Shuffle",
            "D digits are Shuffle in CRD order, each sample read once, and Unshuffle is the transpose",
            "D <= 3, r, C, n <= 3, r^3 C n <= 27",
            _against_layer,
        ),
        Exact(
            "the printed variants",
            "which of them read every channel once, by r and C, with channels counted from 0 or from 1",
            "r, C <= 5, two axes",
            _printed,
        ),
    ),
    agreements=(Agreement("engine", "unshuffling then shuffling is the identity", "2 <= r <= 4, C <= 4", _instances),),
    twins=(
        Twin(
            "c r mod(y, r) + c mod(x, r)",
            "the channel of output (c, y, x) is c r (y mod r) + c (x mod r)",
            by_size("C r", {}, 4),
            _collision(lambda v, c, y, x: c * v["r"] * (y % v["r"]) + c * (x % v["r"]), 0),
        ),
        Twin(
            "C r mod(y, r) + C r mod(x, r) + c",
            "the channel of output (c, y, x) is C r (y mod r) + C r (x mod r) + c",
            by_size("C r", {}, 4),
            _collision(lambda v, c, y, x: v["C"] * v["r"] * (y % v["r"]) + v["C"] * v["r"] * (x % v["r"]) + c, 0),
        ),
    ),
    corrections=(
        "c r mod(y, r) + c mod(x, r) is injective only for r = C = 1 if channels count from 0, and iff C = 1 if they count from 1.",
        "C r mod(y, r) + C r mod(x, r) + c is injective iff r = 1. With C mod(x, r) for C r mod(x, r) it is a bijection for",
        "all r and C, the order DCR.",
    ),
)

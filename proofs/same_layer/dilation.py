"""How many phases of a dilated transposed convolution see any tap.

Source: symconv's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ..terms import division, integers
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, text

s, d, g, s1, d1, a, b, j, j2, x, y, z, w = integers("s d g s1 d1 a b j j2 x y z w")

common = Hypothesis(g >= 1, "g is the greatest common divisor of s and d")
coprime = Hypothesis(a * d1 + b * s1 == 1, "Bezout: s / g and d / g have no common divisor")
SPLIT_S, SPLIT_D = s == g * s1, d == g * d1


def seen_phases(k: int, s: int, d: int) -> int:
    """Phases of the interior output that see a tap, in PyTorch."""
    n = d * k + 1
    matrix = impulses(f"ConvTranspose1d(1, 1, {k}, stride={s}, dilation={d}, bias=False)", {(0, 0, t): 1 for t in range(k)}, (n,))
    start = d * (k - 1) // s * s + s
    return sum(any(matrix[start + phase]) for phase in range(s) if start + phase < len(matrix))


def _counts() -> Iterator[str]:
    for values in by_size("k s d", {}, 4)():
        k, s, d = values["k"], values["s"], values["d"]
        offsets = {d * tap % s for tap in range(k)}
        if len(offsets) != min(k, s // math.gcd(s, d)):
            yield f"{text(values)}: {len(offsets)} phases"


def _refute(claimed: Callable[[int, int, int], int]) -> Callable[[Values], Counterexample | None]:
    def refute(values: Values) -> Counterexample | None:
        k, s, d = values["k"], values["s"], values["d"]
        found = seen_phases(k, s, d)
        if found == claimed(k, s, d):
            return None
        return Counterexample(values, f"{text(values)}: {found} phases see a tap, not {claimed(k, s, d)}", True)

    return refute


def _two_axes() -> Iterator[str]:
    matrix = impulses(
        "ConvTranspose2d(1, 1, 3, stride=2, dilation=2, bias=False)", {(0, 0, y, x): 1 for y in range(3) for x in range(3)}, (3, 3)
    )
    side = math.isqrt(len(matrix))
    for index, row in enumerate(matrix):
        y, x = divmod(index, side)
        if any(row) != (y % 2 == 0 and x % 2 == 0):
            yield f"output ({y}, {x})"


THEOREM = Theorem(
    name="dilation",
    numbers=(11,),
    group="same_layer",
    title="Exactly min(k, s / gcd(d, s)) phases an axis see any tap.",
    statement=(
        "Taps j and j' of ConvTranspose(k, s, d) fall into one phase iff s / gcd(d, s) divides j - j'.",
        "So min(k, s / gcd(d, s)) phases an axis are not identically zero. For d = s = 2 on two axes that is one in four.",
    ),
    proof=(
        "The phase of tap j is (d j - pb) mod s. Write s = g s1, d = g d1, a d1 + b s1 = 1.",
        "If s divides d (j - j') then s1 divides d1 (j - j'), hence (a d1 + b s1)(j - j') = j - j'.",
        "Conversely d s1 = d1 s. Of k consecutive taps min(k, s1) are distinct modulo s1.",
    ),
    source="symconv's own",
    scope="all k, s, d, pb",
    hypotheses=(common, coprime),
    obligations=(
        Obligation("the common divisor cancels: times g", (SPLIT_S, SPLIT_D, d * x == s * z, w == d1 * x - s1 * z), g * w == 0),
        Obligation("the common divisor cancels", (common.formula, g * w == 0), w == 0),
        Obligation("Bezout", (coprime.formula, y == a * d1 + b * s1), y == 1),
        Obligation("Bezout, times j - j'", (y == 1,), x * y == x),
        Obligation("one phase, times a", (w == 0,), a * w == 0),
        Obligation(
            "one phase: j - j' is a multiple",
            (y == a * d1 + b * s1, x * y == x, w == d1 * x - s1 * z, a * w == 0),
            s1 * (a * z + b * x) == x,
        ),
        Obligation("a multiple: one phase", (SPLIT_S, SPLIT_D, j2 == j + s1 * z), d * j2 == d * j + s * (d1 * z)),
        Obligation(
            "fewer than s1 apart: another phase",
            (j >= 0, j < s1, j2 >= 0, j2 < s1, j - j2 == s1 * z),
            z == 0,
        ),
        Obligation("every tap has a first one of its phase", (division(j, s1, z, j2),), j - s1 * z == j2),
    ),
    exact=(
        Exact("counted", "distinct residues of d j modulo s", "k, s, d <= 4", _counts),
        Exact("two axes, d = s = 2", "three quarters of the output are zero, in PyTorch", "k = 3, extent 3x3", _two_axes),
    ),
    twins=(
        Twin("dilation ignored", "min(k, s) phases see a tap", by_size("k s d", {}, 4), _refute(lambda k, s, d: min(k, s))),
        Twin(
            "few taps ignored",
            "s / gcd(d, s) phases see a tap",
            by_size("k s d", {}, 4),
            _refute(lambda k, s, d: s // math.gcd(s, d)),
        ),
    ),
)

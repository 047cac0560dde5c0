"""The activation patterns of a sub-pixel kernel: which taps one phase of the output sees.

Source: W. Shi et al., arXiv 1609.05158, section 3.2: "there are exactly r^2 activation patterns".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..terms import ceiling, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, text

r, k, K, c, phi, phi2, q, q2, x = integers("r k K c phi phi2 q q2 x")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
phase = Hypothesis(phi >= 0, "phi is a residue")
COUNT = ceiling(k - phi, r, c)
SLOTS = ceiling(k, r, K)


def patterns(k: int, r: int) -> list[list[int]]:
    """Per phase the taps, numbered from 1, that an interior output sample of ConvTranspose1d(1, 1, k, stride=r) sees in PyTorch."""
    n = -(-k // r) + 1
    matrix = impulses(
        f"ConvTranspose1d(1, 1, {k}, stride={r}, output_padding={r - 1}, bias=False)", {(0, 0, t): t + 1 for t in range(k)}, (n,)
    )
    interior = (n - 1) * r
    return [sorted(value for value in matrix[interior + f] if value) for f in range(r)]


def _counts() -> Iterator[str]:
    for values in by_size("k r", {}, 5)():
        found = patterns(values["k"], values["r"])
        if [len(taps) for taps in found] != [max(0, -(-(values["k"] - f) // values["r"])) for f in range(values["r"])]:
            yield f"{text(values)}: {found}"
        if sorted(tap for taps in found for tap in taps) != list(range(1, values["k"] + 1)):
            yield f"{text(values)}: the patterns are no partition of the taps"


def _refute(wrong: Callable[[list[list[int]], int], bool]) -> Callable[[Values], Counterexample | None]:
    def refute(values: Values) -> Counterexample | None:
        found = patterns(values["k"], values["r"])
        if not wrong(found, -(-values["k"] // values["r"])):
            return None
        return Counterexample(values, f"{text(values)}: on one axis the phases see the taps {found}", True)

    return refute


THEOREM = Theorem(
    name="activation-patterns",
    numbers=(10,),
    group="same_layer",
    title="The taps split into r^D patterns, one a phase; none has more than ceil(k/r)^D taps, and none is empty iff k >= r.",
    statement=(
        "Per axis phase phi sees the taps phi, phi + r, ... below k: ceil((k - phi) / r) of them if phi < k, else none.",
        "The patterns of different phases share no tap. Each has at most ceil(k / r) taps, phase 0 has exactly that many,",
        "and all r are nonempty iff k >= r. On D axes the patterns are products: r^D, at most ceil(k / r)^D taps each.",
    ),
    proof=(
        "Tap phi + r q is below k iff q < ceil((k - phi) / r), which decreases with phi; it is at least 1 iff phi < k.",
        "phi + r q = phi' + r q' with 0 <= phi, phi' < r makes the phases equal.",
    ),
    source="arXiv 1609.05158, section 3.2",
    scope="all k, r",
    hypotheses=(factor, phase),
    obligations=(
        Obligation("taps of a phase, counted: below", (factor.formula, COUNT, x == c - 1 - q), r * q + phi + r * x < k),
        Obligation("taps of a phase, counted: and so below k", (factor.formula, r * q + phi + r * x < k, x >= 0), phi + r * q < k),
        Obligation("taps of a phase, counted: no others", (factor.formula, COUNT, phi + r * q < k), q < c),
        Obligation("at most ceil(k / r)", (factor.formula, phase.formula, COUNT, SLOTS), c <= K),
        Obligation("phase 0 has as many: times r", (ceiling(k, r, c), SLOTS, x == c - K), within(r - 1 + r * x, 2 * r - 1)),
        Obligation("phase 0 has as many", (factor.formula, within(r - 1 + r * x, 2 * r - 1)), x == 0),
        Obligation("not empty below k", (factor.formula, phi < k, COUNT), c >= 1),
        Obligation("empty from k on", (factor.formula, phi >= k, COUNT), c <= 0),
        Obligation(
            "patterns share no tap",
            (phase.formula, phi < r, phi2 >= 0, phi2 < r, phi + r * q == phi2 + r * q2),
            phi == phi2,
        ),
    ),
    exact=(Exact("patterns in PyTorch", "the taps of each phase, counted; together they are all taps", "k, r <= 5, one axis", _counts),),
    twins=(
        Twin(
            "exactly r^D nonempty patterns",
            "every phase sees a tap, for every kernel",
            by_size("k r", {}, 4),
            _refute(lambda found, most: not all(found)),
        ),
        Twin(
            "exactly ceil(k / r) taps",
            "every phase sees ceil(k / r) taps an axis, if k >= r",
            by_size("k r", {}, 4, lambda v: v["k"] >= v["r"]),
            _refute(lambda found, most: any(len(taps) != most for taps in found)),
        ),
    ),
    corrections=('"Exactly r^2 activation patterns" needs k >= r; below that, (r - k) phases an axis see nothing.',),
)

"""When the reshuffle of kernels is a bijection, and which taps an extent does not see.

Source: arXiv 1609.07009, which takes the kernel to be a multiple of r.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import TRANSPOSED, shuffled_layer, transposed_extent, transposed_layer
from ..terms import ceiling, division, equivalent, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ, text
from .universal_lowering import lowered

r, k, K, t, phi, q, e = integers("r k K t phi q e")
s, d, pb, pe, op, n, i, j, o, M, A, B = integers("s d pb pe op n i j o M A B")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
stride = Hypothesis(s >= 1, "input samples are s output samples apart")

SLOTS = ceiling(k, r, K)
OUTPUT = transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == M


def _low(values: Values) -> str:
    return shuffled_layer(lowered({"k": values["k"], "s": values["r"]}))


def _high(values: Values) -> str:
    return transposed_layer({"k": values["k"], "s": values["r"]})


def _instances() -> Iterator[Case]:
    for values in by_size("k r", {"r": 2}, 6)():
        slots = -(-values["k"] // values["r"]) * values["r"]
        relation = "equal" if slots == values["k"] else "left_in_right"
        yield Case(_high(values), _low(values), relation, left_dimension=values["k"], right_dimension=slots)
    for k, slots in ((3, 4), (4, 4), (5, 6)):
        relation = "equal" if k == slots else "left_in_right"
        left = f"ConvTranspose2d(1, 1, {k}, stride=2, bias=False)"
        right = f"Conv2d(1, 4, {slots // 2}, padding={slots // 2 - 1}, bias=False) >> PixelShuffle(2)"
        crop = f" >> Crop((0, {slots - k}, 0, {slots - k}))" if slots > k else ""
        yield Case(left, right + crop, relation, left_dimension=k * k, right_dimension=slots**2)


def _dead() -> Iterator[str]:
    """The taps that some entry of symconv's table holds at one extent, against the formula."""
    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.denote import ExtentRejected, denote

    for values in by_size("k s d pb pe n", {"pb": 0, "pe": 0}, 4, lambda v: v["d"] < 3 and v["s"] < 4 and v["pb"] + v["pe"] < 6)():
        if sum(values.values()) > 12:
            continue
        v = dict(values)
        n = v.pop("n")
        try:
            table = denote(flatten(parse(transposed_layer(v))), 1, (n,))
        except ExtentRejected:
            continue
        seen = {param[3] for row in table.entries.values() for form in row.values() for param in form if param is not None}
        if seen != {tap for tap in range(v["k"]) if sees(v, n, tap)}:
            yield f"{text(values)}: seen {sorted(seen)}"


def sees(values: Values, n: int, tap: int) -> bool:
    """Whether some entry at extent n holds the tap: max(0, A) <= min(n - 1, n - 1 + B)."""
    v = {"op": 0} | dict(values)
    before = -((v["d"] * tap - v["pb"]) // v["s"])
    after = (v["d"] * (v["k"] - 1 - tap) + v["op"] - v["pe"]) // v["s"]
    return max(0, before) <= min(n - 1, n - 1 + after)


THEOREM = Theorem(
    name="bijection",
    numbers=(8,),
    group="same_layer",
    title="The reshuffle is a bijection of kernels iff r divides k; a tap is dead at an extent iff an interval is empty.",
    statement=(
        "For aligned paddings the low-resolution form has K = ceil(k / r) taps a phase. Of its r K slots an axis, r K - k hold no tap,",
        "and fewer than r; none iff r divides k. Otherwise the transposed class is strictly smaller: dimension k^D against (r K)^D.",
        "Tap j is seen at extent n iff max(0, ceil((pb - d j) / s)) <= n - 1 + min(0, floor((d (k - 1 - j) + op - pe) / s)).",
        "At all large extents that holds for every tap: over all extents no tap of a transposed convolution is dead.",
    ),
    proof=(
        "Slot (phi, q) is offset t = phi + r q < r K, and it holds a tap iff t < k; r (K - 1) < k <= r K.",
        "Entry (o, i) with o = s i + d j - pb holds tap j. o >= 0 says i >= ceil((pb - d j) / s); o < m says",
        "s (n - 1 - i) + d (k - 1 - j) + op - pe >= 0, that is i <= n - 1 + floor((d (k - 1 - j) + op - pe) / s).",
    ),
    source="arXiv 1609.07009, with its silent condition made explicit",
    scope="all k, r and all k, s, d, pb, pe, op, n, j; strictness by the engine for k, r <= 6",
    hypotheses=(factor, stride),
    definitions=(TRANSPOSED,),
    obligations=(
        Obligation("slots are offsets below r K: from below", (factor.formula, within(phi, r), q >= 0, t == phi + r * q), t >= 0),
        Obligation("slots are offsets below r K: from above", (factor.formula, within(phi, r), q < K, t == phi + r * q), t < r * K),
        Obligation("fewer than r slots are empty", (SLOTS,), within(r * K - k, r)),
        Obligation("none is empty if r divides k", (factor.formula, within(r * K - k, r), k == r * q, e == K - q), r * e < r),
        Obligation("none is empty if r divides k: e < 1", (factor.formula, r * e < r), e < 1),
        Obligation(
            "an input sample that is late enough",
            (stride.formula, ceiling(pb - d * j, s, A), o == s * i + d * j - pb, o >= 0),
            i >= A,
        ),
        Obligation(
            "late enough is inside the output",
            (stride.formula, ceiling(pb - d * j, s, A), o == s * i + d * j - pb, i >= A),
            o >= 0,
        ),
        Obligation(
            "the end of the output", (OUTPUT, o == s * i + d * j - pb), equivalent(o < M, s * (n - 1 - i) + d * (k - 1 - j) + op - pe >= 0)
        ),
        Obligation(
            "an input sample that is early enough",
            (stride.formula, division(d * (k - 1 - j) + op - pe, s, B, e), s * (n - 1 - i) + d * (k - 1 - j) + op - pe >= 0),
            i <= n - 1 + B,
        ),
        Obligation(
            "early enough is inside the output",
            (stride.formula, division(d * (k - 1 - j) + op - pe, s, B, e), i <= n - 1 + B),
            s * (n - 1 - i) + d * (k - 1 - j) + op - pe >= 0,
        ),
    ),
    exact=(
        Exact(
            "dead taps", "the taps seen at one extent are those of the formula", "k, n <= 4, s <= 3, d <= 2, pads <= 4, sum <= 12", _dead
        ),
    ),
    agreements=(Agreement("engine", "equal iff r divides k; the dimensions", "k, r <= 6; two axes for k = 3, 4, 5", _instances),),
    twins=(
        Twin(
            "every kernel is a low-resolution kernel and back",
            "the classes are equal for every k and r",
            by_size("k r", {"r": 2}, 4),
            layers_differ(_high, _low),
        ),
    ),
    corrections=(
        "A tap can be dead at one extent, or at some small ones; over all extents no tap of a transposed convolution is dead.",
        "ceil(k / r) r - k empty slots an axis is for aligned paddings and for the form that is cropped at both ends; without a crop other",
        "paddings have more of them (`least-taps`).",
    ),
)

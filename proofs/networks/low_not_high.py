"""Which convolutions in low resolution are, between shufflings, convolutions in high resolution.

Source: symconv's own; the converse that arXiv 1609.07009 leaves open.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import Kernel, by_size, impulses, layers_differ, text
from .high_in_low import high_layer, low_layer

r, K, B, n, o, p, q, i, a, b, u, t, t0, t1, x = integers("r K B n o p q i a b u t t0 t1 x")

factor = Hypothesis(r >= 1, "phases are residues modulo r")

OUTPUT = division(o, r, q, a)
INPUT = (p == r * i + b) & within(b, r)
SLOT = u == i - q + B
OFFSET = t == r * u + b - a
PARTS = division(t, r, t1, t0)


def _low(v: Values, axes: int = 1) -> str:
    """A low-resolution layer of K taps, B samples of padding before and K - 1 - B after."""
    if axes == 1:
        return low_layer({"r": v["r"], "k": v["K"], "before": v["B"], "after": v["K"] - 1 - v["B"]})
    channels = v["r"] ** 2
    return f"Conv2d({channels}, {channels}, {v['K']}, padding={v['K'] // 2}, bias=False) >> PixelShuffle({v['r']})"


def _high(v: Values, more: int = 0) -> str:
    """A high-resolution layer of r (K - 1) + 1 taps, and `more` on each side."""
    pads = {"pb": v["r"] * v["B"] + more, "pe": v["r"] * (v["K"] - 1 - v["B"]) + more}
    return high_layer({"r": v["r"], "k": v["r"] * (v["K"] - 1) + 1 + 2 * more, **pads})


def _instances() -> Iterator[Case]:
    for v in by_size("r K B", {"r": 2, "B": 0}, 4, lambda v: v["B"] < v["K"])():
        size, slots = v["r"] * (v["K"] - 1) + 1, v["r"] ** 2 * v["K"]
        yield Case(_high(v), _low(v), "left_in_right", left_dimension=size, right_dimension=slots, intersection=size)
        for more in (1, 2 * v["r"]):
            yield Case(_high(v, more), _low(v), "incomparable", left_dimension=size + 2 * more, intersection=size)
    low = _low({"r": 2, "K": 3}, axes=2)
    for k, relation in ((3, "left_in_right"), (5, "left_in_right"), (7, "incomparable")):
        high = f"PixelShuffle(2) >> Conv2d(1, 1, {k}, padding={k // 2}, bias=False)"
        yield Case(high, low, relation, left_dimension=k * k, right_dimension=144, intersection=min(k, 5) ** 2)


def _depends() -> Iterator[str]:
    """The kernels whose entries repeat under a shift by one high-resolution sample, from symconv's own table: their dimension."""
    import flint

    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.denote import denote

    for v in by_size("r K B", {"B": 0}, 4, lambda v: v["B"] < v["K"])():
        r, taps = v["r"], v["K"]
        extent = 3 * taps + 2
        table = denote(flatten(parse(_low(v))), r, (extent,))
        rows = []
        slots: dict[tuple[int, ...], int] = {slot: at for at, slot in enumerate(itertools.product(range(r), range(r), range(taps)))}
        for at, start in itertools.product(range(r * taps, r * taps + r), range(r * extent - 1)):
            forms = [table.entries[0, at + e].get(((start + e) % r, (start + e) // r), {}) for e in (0, 1)]
            row = [0] * len(slots)
            for sign, form in zip((1, -1), forms, strict=True):
                for param in form:
                    assert param is not None
                    row[slots[tuple(map(int, param[1:]))]] += sign
            if any(row):
                rows.append(row)
        found = len(slots) - (int(flint.fmpz_mat(rows).rank()) if rows else 0)
        if found != r * (taps - 1) + 1:
            yield f"{text(v)}: dimension {found}"


def _literal(v: Values) -> Counterexample | None:
    """A kernel that depends on r u + b - a alone, but is not zero at both ends: the operator is no convolution in high resolution."""
    r, taps = v["r"], v["K"]
    slots = itertools.product(range(r), range(r), range(taps))
    kernel: Kernel = {(go, come, u): r * (u + 1) + come - go for go, come, u in slots}
    matrix = impulses(_low(v), kernel, (taps + 2,), channels=r)
    columns = [[row[(at % r) * (taps + 2) + at // r] for row in matrix] for at in range(r * (taps + 2))]
    middle = r * v["B"] + r
    for at in range(middle, middle + r):
        one, two = columns[at], columns[at + 1]
        if one[:-1] != two[1:]:
            says = (
                f"{text(v)}: W[a, b, u] = r (u + 1) + b - a; the responses {one} and {two} to the high-resolution impulses"
                f" {at} and {at + 1} are no shifts of each other"
            )
            return Counterexample(v, says, True)
    return None


THEOREM = Theorem(
    name="low-not-high",
    numbers=(23,),
    group="networks",
    title="A convolution in low resolution is one in high resolution iff its kernel, extended by zero, depends on r u + b - a alone.",
    statement=(
        "Per axis and pair of channels let W[a, b, u], 0 <= u < K, be the kernel from input phase b to output phase a; 0 for other u.",
        "PS . Conv_LR(K, pads B and A) . PS^-1 is a convolution in high resolution, of any kernel and pads, iff there is a sequence v with",
        "W[a, b, u] = v[r u + b - a] for all phases a and b and all integers u. Then v is zero outside 0, ..., r (K - 1), and the",
        "convolution is the one with the r (K - 1) + 1 taps v and the pads r B and r A, borders included.",
        "So the kernels that are convolutions in high resolution have dimension (r (K - 1) + 1)^D among (r^2 K)^D: for r = 2, K = 3, D = 2",
        "it is 25 among 144, of which the kernels of 3 taps in high resolution are 9.",
    ),
    proof=(
        "Entry (o, p) of the operator, o = r q + a and p = r i + b, holds slot u = i - q + B of W[a, b], and p - o + r B = r u + b - a.",
        "A convolution in high resolution has entries that depend on p - o alone, and each a, b and 0 <= u < K occurs at some entry:",
        "that defines v.",
        "Conversely W[a, b, u] = v[r u + b - a] makes entry (o, p) the tap t = p - o + r B of v.",
        "v is zero outside: let t = r t1 + t0. The phases a = 0, b = t0 have their slot of offset t at u = t1, which is outside if t < 0",
        "or t1 >= K; and for t0 >= 1 the phases a = r - t0, b = 0 have it at u = t1 + 1, which is outside if t1 >= K - 1.",
        "For 0 <= t <= r (K - 1) all slots of offset t are inside: no tap is lost and none is cut.",
    ),
    source="symconv's own",
    scope="all r, K, B, n; dimension by exact rank for r, K <= 4; the engine for r, K <= 4 and the example on two axes",
    hypotheses=(factor,),
    obligations=(
        Obligation("the offset in high resolution", (OUTPUT, INPUT, SLOT), p - o + r * B == r * u + b - a),
        Obligation(
            "every slot is an entry",
            (factor.formula, within(u, K), within(a, r), q >= 0, q >= B, i == u + q - B, n >= q + K - B),
            SLOT & within(i, n) & (r * q + a >= 0),
            "the output sample q is there too, once n is large enough",
        ),
        Obligation("no tap is lost before: times r", (OFFSET, a >= 0, b < r, t >= 0), r * u > 0 - r),
        Obligation("no tap is lost before", (factor.formula, r * u > 0 - r), u >= 0),
        Obligation("no tap is lost after: times r", (OFFSET, a < r, b >= 0, t <= r * (K - 1), x == u - (K - 1)), r * x < r),
        Obligation("no tap is lost after", (factor.formula, r * x < r, x == u - (K - 1)), u < K),
        Obligation(
            "an end before is zero: a slot outside holds it", (factor.formula, PARTS, t < 0, a == 0, b == t0, u == t1), OFFSET & (u < 0)
        ),
        Obligation(
            "an end after is zero: a slot outside holds it, whole",
            (PARTS, t0 == 0, t > r * (K - 1), a == 0, b == 0, u == t1, x == u - (K - 1)),
            OFFSET & (r * x > 0),
        ),
        Obligation("an end after is zero: whole, so outside", (factor.formula, r * x > 0, x == u - (K - 1)), u >= K),
        Obligation(
            "an end after is zero: a slot outside holds it, in part",
            (PARTS, t0 >= 1, t > r * (K - 1), a == r - t0, b == 0, u == t1 + 1, x == u - (K - 1)),
            OFFSET & within(a, r) & (r * x > 0),
        ),
    ),
    exact=(
        Exact(
            "dimension",
            "the kernels whose entries repeat under a shift by one sample have dimension r (K - 1) + 1",
            "r, K <= 4, every B, one axis, one pair of channels",
            _depends,
        ),
    ),
    agreements=(
        Agreement(
            "engine",
            "the classes of r (K - 1) + 1 taps and of K taps meet in dimension r (K - 1) + 1, and longer kernels add nothing",
            "2 <= r <= 4, K <= 4, every B; r = 2, K = 3 on two axes",
            _instances,
        ),
    ),
    twins=(
        Twin(
            "the converse",
            "every convolution in low resolution is one in high resolution, of up to r (K - 1) + 1 taps",
            by_size("r K B", {"r": 2, "B": 0}, 4, lambda v: v["B"] < v["K"]),
            layers_differ(_low, _high, ("equal", "left_in_right")),
        ),
        Twin(
            "not extended by zero",
            "it is enough that W[a, b, u] depends on r u + b - a for u = 0, ..., K - 1",
            by_size("r K B", {"r": 2, "B": 0}, 4, lambda v: v["B"] < v["K"]),
            _literal,
        ),
    ),
    corrections=(
        "W must depend on r u + b - a with W extended by zero. Without that the dimension would be r K + r - 1 an axis, and the kernels",
        "with v[t] not zero for some t < 0 or t > r (K - 1) are no convolutions in high resolution.",
        "9 among 144 counts the kernels of 3 taps in high resolution; all low-resolution kernels of 3 taps that are convolutions in high",
        "resolution have dimension 25, those of 5 taps.",
    ),
)

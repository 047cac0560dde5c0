"""Strided convolution is unshuffling and a convolution in low resolution.

Source: symconv's own; the space-to-depth form of W. Shi et al., arXiv 1609.05158, read backwards.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import CONV, UNSHUFFLED, conv, conv_layer, reach, unshuffled_layer
from ..terms import ceiling, division, equivalent, integers
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

s, k, d, pb, pe, n, o, i, j, j2 = integers("s k d pb pe n o i j j2")
a, B, A, K, F, z, q, rho, u, m, low_n, x = integers("a B A K F z q rho u m l x")

stride = Hypothesis(s >= 1, "phases are residues modulo s")
dilation = Hypothesis(d >= 1, "two taps may not share an offset, or a slot would receive both")
front = Hypothesis(a >= 0, "the kernel is padded by a zeros at the front")

ALIGNED = s * B == pb + a
SLOTS = ceiling(reach(k, d) + a, s, K)
PHASE = division(i, s, q, rho)
SLOT = u == q - o + B
RESHUFFLE = a + d * j == s * u + rho


def low(values: Values) -> dict[str, int]:
    """The hyper-parameters of the low-resolution form."""
    v = {"d": 1, "pb": 0, "pe": 0} | dict(values)
    zeros = -v["pb"] % v["s"]
    before = (v["pb"] + zeros) // v["s"]
    extent = int(reach(v["k"], v["d"]))
    slots = -(-(extent + zeros) // v["s"])
    return {"r": v["s"], "k": slots, "before": before, "after": (v["pb"] + v["pe"] - extent) // v["s"] + slots - before}


def _instances() -> Iterator[Case]:
    for v in by_size("k s d pb pe", {"s": 2, "pb": 0, "pe": 0}, 3)():
        form = low(v)
        if form["after"] < 0:
            continue
        relation = "equal" if form["r"] * form["k"] == v["k"] else "left_in_right"
        yield Case(conv_layer(v), unshuffled_layer(form), relation, left_dimension=v["k"])


def _aligned(values: Values) -> str:
    """The low-resolution form of ceil(k / s) taps with the padding divided by s."""
    v, step = values, values["s"]
    slots, before = -(-v["k"] // step), v["pb"] // step
    return unshuffled_layer({"r": step, "k": slots, "before": before, "after": (v["pb"] + v["pe"] - v["k"]) // step + slots - before})


THEOREM = Theorem(
    name="strided",
    numbers=(16,),
    group="dual_and_resize",
    title="Strided convolution is unshuffling followed by a low-resolution convolution; the classes coincide iff no slot stays empty.",
    statement=(
        "At extents n = s l: Conv(k, s, d, pb, pe) = Conv(K, pads B and A) . Unshuffle(s) with a = -pb mod s, s B = pb + a,",
        "K = ceil((ke + a) / s), A = floor((pb + pe - ke) / s) + K - B, and the kernel W[rho, u] = w[j] where a + d j = s u + rho.",
        "With s | k, s | pb and d = 1 every slot holds a tap and the classes are equal. Unshuffling accepts multiples of s only,",
        "so the strided convolution has the wider domain.",
    ),
    proof=(
        "Write i = s q + rho and u = q - o + B. Then i = s o + d j - pb says a + d j = s u + rho, and 0 <= j < k gives 0 <= u < K.",
        "n + pb + pe - ke = s l + (pb + pe - ke), so m = l + floor((pb + pe - ke) / s) + 1 = l + B + A - K + 1.",
    ),
    source="symconv's own; the transpose of `universal-lowering`",
    scope="all k, s, d, pb, pe, at all extents that s divides; borders included",
    hypotheses=(stride, dilation, front),
    definitions=(CONV, UNSHUFFLED),
    obligations=(
        Obligation("one equation", (ALIGNED, PHASE, SLOT), equivalent(conv(o, i, j, s=s, k=k, d=d, pb=pb).args[0], RESHUFFLE)),
        Obligation("no tap before the first slot", (stride.formula, dilation.formula, front.formula, j >= 0, rho < s, RESHUFFLE), u >= 0),
        Obligation("offsets grow with the tap", (dilation.formula, j < k), d * j <= d * (k - 1)),
        Obligation(
            "no tap after the last slot: times s",
            (SLOTS, rho >= 0, RESHUFFLE, d * j <= d * (k - 1), x == K - u),
            s * x >= 1,
        ),
        Obligation("no tap after the last slot", (stride.formula, s * x >= 1), x >= 1),
        Obligation("one tap a slot", (dilation.formula, RESHUFFLE, a + d * j2 == s * u + rho), j == j2),
        Obligation(
            "one extent: times s",
            (
                n == s * low_n,
                division(pb + pe - reach(k, d), s, F, z),
                division(n + pb + pe - reach(k, d), s, m - 1, q),
                x == m - 1 - low_n - F,
            ),
            s * x == z - q,
        ),
        Obligation("one extent", (s * x == z - q, z >= 0, z < s, q >= 0, q < s), x == 0),
        Obligation("the low-resolution extent", (A == F + K - B,), low_n + B + A - K + 1 == low_n + F + 1),
    ),
    agreements=(Agreement("engine", "inside, and equal iff s K = k", "k, d, pb, pe <= 3, s = 2, 3, nonnegative pads", _instances),),
    twins=(
        Twin(
            "padding rounded to the stride",
            "pb need not be a multiple of s: pad by its quotient in low resolution",
            by_size("k s pb pe", {"s": 2, "pb": 0, "pe": 0}, 4),
            layers_differ(conv_layer, _aligned, ("equal", "left_in_right")),
        ),
    ),
)

"""Every transposed convolution is a convolution in low resolution, periodic shuffling and a crop.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, generalised.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import SHUFFLED, TRANSPOSED, reach, shuffled_layer, transposed, transposed_extent, transposed_layer
from ..terms import ceiling, division, equivalent, integers, within
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import Kernel, by_size, layers_differ, reshuffle_fails

s, k, d, pb, pe, op, n, o, i, j, j2 = integers("s k d pb pe op n o i j j2")
a, c, P, K, E, m, phi, u, q, M, left = integers("a c P K E m phi u q M left")

stride = Hypothesis(s >= 1, "phases are residues modulo s")
dilation = Hypothesis(d >= 1, "two taps may not share an offset, or a slot would receive both")
taps = Hypothesis(a >= 0, "the kernel is padded by a zeros at the front")
front = Hypothesis(c >= 0, "c samples are cropped at the front")

ALIGNED = pb + a - c == s * P
SLOTS = ceiling(reach(k, d) + a, s, K)
PHASE = division(o + c, s, m, phi)
SLOT = u == i - m + (K - 1 - P)
LARGE = ceiling(reach(k, d) - s - pb - pe + op + c, s, E)
OUTPUT = transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == M
ROOM = within(s * (n + E) - c - M, s)
INSIDE = transposed(o, i, j, s=s, k=k, d=d, pb=pb)
RESHUFFLE = a + d * j == phi + s * (K - 1 - u)


def lowered(values: Values, both: bool = False) -> dict[str, int]:
    """The hyper-parameters of the low-resolution form; `both` crops at both ends and has the fewest taps."""
    v = {"d": 1, "pb": 0, "pe": 0, "op": 0} | dict(values)
    step, pad = v["s"], v["pb"]
    lead = pad % step if both else 0
    zeros = 0 if both else -pad % step
    shift = (pad + zeros - lead) // step
    extent = reach(v["k"], v["d"])
    slots = -(-(extent + zeros) // step)
    large = -(-(extent - step - pad - v["pe"] + v["op"] + lead) // step)
    # the outputs that are one too many: s (n + E) - c - m, the same at every n
    back = step * (1 + large) - lead - transposed_extent(1, s=step, k=v["k"], d=v["d"], pb=pad, pe=v["pe"], op=v["op"])
    return {"r": step, "k": slots, "before": slots - 1 - shift, "after": large + shift, "front": lead, "back": back}


def _instances() -> Iterator[Case]:
    for values in by_size("k s d pb pe", {"pb": 0, "pe": 0}, 3, lambda v: v["pb"] + v["pe"] < reach(v["k"], v["d"]))():
        for both in (False, True):
            form = lowered(values, both)
            if min(form["before"], form["after"]) < 0:
                continue
            relation = "equal" if form["r"] * form["k"] == values["k"] else "left_in_right"
            yield Case(transposed_layer(values), shuffled_layer(form), relation, left_dimension=values["k"])


def _aligned_wrongly(values: Values) -> str:
    """The low-resolution form whose padding is only rounded, for p that s does not divide."""
    form = lowered({**values, "pb": values["pb"] // values["s"] * values["s"]})
    return shuffled_layer({**form, "back": form["back"] + values["pb"] % values["s"]})


def _unreversed(values: Values) -> tuple[Kernel, Kernel]:
    step, form = values["s"], lowered(values)
    kernel = {(0, 0, t): t + 1 for t in range(values["k"])}
    slots = {(t % step, 0, t // step): t + 1 for t in range(values["k"]) if t // step < form["k"]}
    return kernel, slots


THEOREM = Theorem(
    name="universal-lowering",
    numbers=(4,),
    group="same_layer",
    title="Every transposed convolution is a low-resolution convolution, periodic shuffling and a crop.",
    statement=(
        "Per axis choose a, c >= 0 with pb + a - c = s P. Let K = ceil((ke + a) / s) and E = ceil((ke - s - pb - pe + op + c) / s).",
        "Then ConvTranspose(k, s, d, pb, pe, op) = Crop(c, s (n + E) - c - m) . PS(s) . Conv(K, pads K - 1 - P and E + P)",
        "with the kernel W[phi, u] = w[j] where a + d j = phi + s (K - 1 - u), and 0 where there is no such tap j.",
        "c = 0 and a = -pb mod s crops at the end only; a = 0 and c = pb mod s needs the fewest taps, ceil(ke / s).",
    ),
    proof=(
        "Write o + c = s m + phi and u = i - m + K - 1 - P, the only slot through which output o can see input i.",
        "Then s i + d j = o + pb says the same as a + d j = phi + s (K - 1 - u): entry and slot hold the same tap.",
        "0 <= j < k puts the slot inside the kernel, 0 <= u < K; so no tap is lost, and slots without a tap hold zero.",
        "The low-resolution output has n + E samples, s (n + E) - c >= m with less than s to spare, and every o has its m there.",
        "Axes act independently (see `factorization`); groups carry over because CRD keeps each group's outputs together (`groups`).",
    ),
    source="arXiv 1609.07009, section on equivalence; generalised to every stride, dilation, padding and output padding",
    scope="all k, s, d, pb, pe, op, n; borders included; both alignments and all between",
    hypotheses=(stride, dilation, taps, front),
    definitions=(TRANSPOSED, SHUFFLED),
    obligations=(
        Obligation("one equation", (ALIGNED, PHASE, SLOT), equivalent(INSIDE.args[0], RESHUFFLE)),
        Obligation("offsets grow with the tap", (dilation.formula, j < k), d * j <= d * (k - 1)),
        Obligation(
            "no tap before the first slot",
            (stride.formula, SLOTS, phi >= 0, RESHUFFLE, d * j <= d * (k - 1)),
            u >= 0,
            "s (K - 1 - u) = a + d j - phi <= a + ke - 1 < s K",
        ),
        Obligation(
            "no tap after the last slot",
            (stride.formula, dilation.formula, taps.formula, phi < s, RESHUFFLE, j >= 0),
            u < K,
            "s (K - 1 - u) = a + d j - phi > -s",
        ),
        Obligation(
            "one tap a slot",
            (dilation.formula, RESHUFFLE, a + d * j2 == phi + s * (K - 1 - u)),
            j == j2,
        ),
        Obligation(
            "a slot for every tap",
            (stride.formula, dilation.formula, taps.formula, SLOTS, within(j, k), division(a + d * j, s, q, phi), u == K - 1 - q),
            within(u, K) & RESHUFFLE,
        ),
        Obligation(
            "enough output samples, and less than s to spare",
            (LARGE, OUTPUT),
            ROOM,
        ),
        Obligation(
            "no output sample before the low-resolution ones",
            (stride.formula, front.formula, o >= 0, phi < s, o + c == s * m + phi),
            m >= 0,
        ),
        Obligation(
            "no output sample after the low-resolution ones: times s",
            (o < M, s * (n + E) - c - M >= 0, phi >= 0, o + c == s * m + phi),
            s * (n + E - m) >= 1,
        ),
        Obligation(
            "no output sample after the low-resolution ones",
            (stride.formula, s * left >= 1, left == n + E - m),
            m < n + E,
        ),
        Obligation(
            "every read lies in the padded signal",
            (SLOT, within(m, n + E), within(u, K)),
            within(i + (K - 1 - P), n + (K - 1 - P) + (E + P)),
        ),
    ),
    agreements=(
        Agreement(
            "engine",
            "the transposed class is inside the low-resolution class, and equal to it iff s K = k",
            "k, s, d <= 3, pb, pe <= 3, pb + pe < ke, nonnegative low-resolution pads, both alignments",
            _instances,
        ),
    ),
    twins=(
        Twin(
            "padding rounded to the stride",
            "pb need not be aligned: round it down to a multiple of s, crop only at the end",
            by_size("k s pb", {"pb": 0}, 4),
            layers_differ(transposed_layer, _aligned_wrongly, ("equal", "left_in_right")),
        ),
        Twin(
            "phases not reversed",
            "phase phi takes the taps phi, phi + s, ... in this order",
            by_size("k s", {}, 4),
            reshuffle_fails(transposed_layer, lambda v: shuffled_layer(lowered(v)), _unreversed),
        ),
    ),
)

"""When the kernel (o, i, k r, k r) is the low-resolution kernel (o r^2, i, k, k), with no crop.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, abstract and figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..definitions import SHUFFLED, TRANSPOSED, shuffled_layer, transposed, transposed_extent, transposed_layer
from ..terms import division, equivalent, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Identity, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

r, k, pb, pe, before, after, n, o, i, j, m, phi, u, M, past = integers("r k pb pe before after n o i j m phi u M past")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
START = pb == r * (k - 1 - before)
END = pe == r * (k - 1 - after)
PHASE = division(o, r, m, phi)
SLOT = u == i - m + before
RESHUFFLE = j == phi + r * (k - 1 - u)
EXTENT = transposed_extent(n, s=r, k=k * r, d=1, pb=pb, pe=pe, op=0) == M


def _high(values: Values) -> str:
    v = values
    return transposed_layer({"k": v["k"] * v["r"], "s": v["r"], "pb": v["pb"], "pe": v["pe"]})


def _low(values: Values) -> str:
    return shuffled_layer(values)


def _instances() -> Iterator[Case]:
    ranges = by_size("k r before after pb pe", {"before": 0, "after": 0, "pb": 0, "pe": 0}, 3)
    for v in ranges():
        start, end = v["r"] * (v["k"] - 1 - v["before"]), v["r"] * (v["k"] - 1 - v["after"])
        if v["before"] >= v["k"] or v["after"] >= v["k"] or v["pb"] + v["pe"] != start + end or v["r"] > 2:
            continue
        relation = "equal" if v["pb"] == start else "incomparable"
        size = v["k"] * v["r"] if v["pb"] == start else None
        yield Case(_high(v), _low(v), relation, left_dimension=size, right_dimension=size)


def _two_axes() -> tuple[Any, Any]:
    """Polyphase forms, without borders, of the (1, 1, 4, 4) kernel and of the (4, 1, 2, 2) kernel that holds its taps."""
    import sympy

    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.symbolic import polyphase

    left = polyphase(flatten(parse("ConvTranspose2d(1, 1, 4, stride=2, padding=2, bias=False)").bind(2)), 1, 2).matrix()
    right = polyphase(flatten(parse("Conv2d(1, 4, 2, bias=False) >> PixelShuffle(2)").bind(2)), 1, 2).matrix()
    taps = {}
    for a in range(2):
        for b in range(2):
            for y in range(2):
                for x in range(2):
                    slot = sympy.Symbol(f"w_{2 * a + b}_0_{y}_{x}")
                    taps[slot] = sympy.Symbol(f"t_0_0_{a + 2 * (1 - y)}_{b + 2 * (1 - x)}")
    names = {sympy.Symbol(f"w_0_0_{y}_{x}"): sympy.Symbol(f"t_0_0_{y}_{x}") for y in range(4) for x in range(4)}
    return left.subs(names, simultaneous=True), right.subs(taps, simultaneous=True)


def _matrices() -> Iterator[str]:
    """The same with borders: operator matrices with one distinct integer a tap, in PyTorch."""
    from ..twins import impulses

    for extents in ((2, 2), (2, 3), (4, 4)):
        kernel = {(0, 0, y, x): 1 + 4 * y + x for y in range(4) for x in range(4)}
        slots = {
            (2 * a + b, 0, y, x): kernel[0, 0, a + 2 * (1 - y), b + 2 * (1 - x)]
            for a in range(2)
            for b in range(2)
            for y in range(2)
            for x in range(2)
        }
        left = impulses("ConvTranspose2d(1, 1, 4, stride=2, padding=2, bias=False)", kernel, extents)
        if left != impulses("Conv2d(1, 4, 2, bias=False) >> PixelShuffle(2)", slots, extents):
            yield f"the matrices differ at extents {extents}"


THEOREM = Theorem(
    name="note-form",
    numbers=(5,),
    group="same_layer",
    title="A kernel of k r taps is a low-resolution kernel of k taps, without a crop, iff the paddings swap sides.",
    statement=(
        "Per axis, ConvTranspose(k r, stride r, pb, pe) = PS(r) . Conv(k, pads `before`, `after`) as classes",
        "iff pb = r (k - 1 - before) and pe = r (k - 1 - after). The kernel then is W[phi, u] = w[phi + r (k - 1 - u)], a bijection:",
        "(o, i, k r, k r) becomes (o r^2, i, k, k), and (1, 1, 4, 4) with r = 2 becomes (4, 1, 2, 2).",
    ),
    proof=(
        "If pb = r (k - 1 - before), then with o = r m + phi and u = i - m + before, r i + j = o + pb reads j = phi + r (k - 1 - u),",
        "and 0 <= j < k r says 0 <= u < k. The extents agree because pb + pe = r (2 (k - 1) - before - after).",
        "If pb is larger, entry (r i - pb, i) holds tap 0 of the transposed convolution, and no slot: its u is not below k. It is in the",
        "matrix as soon as i >= 0 and r i >= pb.",
        "If pb is smaller, entry (r i - r (k - 1 - before), i) holds slot u = k - 1 of phase 0, and no tap: its j is negative.",
        "If pb is right and pe is not, the output extents differ.",
    ),
    source="arXiv 1609.07009; the example of two axes is the note's own",
    scope="all k, r, pads and n",
    hypotheses=(factor,),
    definitions=(TRANSPOSED, SHUFFLED),
    obligations=(
        Obligation("one equation", (START, PHASE, SLOT), equivalent(r * i + j == o + pb, RESHUFFLE)),
        Obligation(
            "a slot in the kernel holds a tap in the kernel", (factor.formula, within(phi, r), within(u, k), RESHUFFLE), within(j, k * r)
        ),
        Obligation("a tap in the kernel lies in a slot: not before", (factor.formula, phi >= 0, RESHUFFLE, j < k * r), u >= 0),
        Obligation("a tap in the kernel lies in a slot: not after", (factor.formula, phi < r, RESHUFFLE, j >= 0), u < k),
        Obligation("the extents agree", (START, END, EXTENT), r * (n + before + after - k + 1) == M),
        Obligation(
            "larger pb: the transposed convolution has tap 0 at entry (r i - pb, i)",
            (factor.formula, k >= 1),
            transposed(r * i - pb, i, 0, s=r, k=k * r, d=1, pb=pb),
        ),
        Obligation(
            "larger pb: its slot, times r",
            (pb > r * (k - 1 - before), r * i - pb == r * m + phi, phi >= 0, SLOT),
            r * (u - k + 1) >= 1,
        ),
        Obligation("larger pb: its slot is outside", (factor.formula, r * past >= 1, past == u - k + 1), u >= k),
        Obligation(
            "smaller pb: an entry that only the low-resolution form has",
            (factor.formula, pb < r * (k - 1 - before), o == r * m, m == i - (k - 1 - before), SLOT),
            ~within(o + pb - r * i, k * r) & (u == k - 1),
        ),
        Obligation(
            "wrong pe: the extents differ",
            (START, ~END, EXTENT),
            r * (n + before + after - k + 1) != M,
        ),
    ),
    identities=(Identity("the note's example on two axes", "polyphase matrices of (1, 1, 4, 4) and (4, 1, 2, 2) agree", _two_axes),),
    exact=(
        Exact(
            "the note's example with borders",
            "operator matrices of ConvTranspose2d(1, 1, 4, stride 2, padding 2) and of Conv2d(1, 4, 2) >> PixelShuffle(2) agree",
            "extents 2x2, 2x3 and 4x4, all taps distinct",
            _matrices,
        ),
    ),
    agreements=(
        Agreement("engine", "equal iff the pads swap sides, else incomparable", "k <= 3, r <= 2, pads <= 3, equal extents", _instances),
    ),
    twins=(
        Twin(
            "sides not swapped",
            "pb = r (k - 1 - after) and pe = r (k - 1 - before)",
            by_size("k r before after", {"before": 0, "after": 0}, 4, lambda v: max(v["before"], v["after"]) < v["k"]),
            layers_differ(
                lambda v: _high({**v, "pb": v["r"] * (v["k"] - 1 - v["after"]), "pe": v["r"] * (v["k"] - 1 - v["before"])}), _low
            ),
        ),
        Twin(
            "the padding multiplied",
            "pb = r before and pe = r after",
            by_size("k r before", {"before": 0}, 4, lambda v: v["before"] < v["k"]),
            layers_differ(
                lambda v: _high({**v, "pb": v["r"] * v["before"], "pe": v["r"] * v["before"]}), lambda v: _low({**v, "after": v["before"]})
            ),
        ),
    ),
)

"""Kernel equal to stride: a 1x1 convolution in low resolution.

Source: folklore; arXiv 1609.07009 with k = 1.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import SHUFFLED, TRANSPOSED, shuffled, transposed, transposed_extent, transposed_layer
from ..terms import division, equivalent, integers
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

s, n, o, i, j, m, phi, x = integers("s n o i j m phi x")

stride = Hypothesis(s >= 1, "phases are residues modulo s")
PHASE = division(o, s, m, phi)
SLOT = shuffled(i, j, 0, m=m, phi=phi, k=1, before=0)
TAP = transposed(o, i, j, s=s, k=s, d=1, pb=0)


def _low(values: Values) -> str:
    return f"Conv1d(1, {values['s']}, 1, bias=False) >> PixelShuffle({values['s']})"


def _instances() -> Iterator[Case]:
    for s in (1, 2, 3, 5):
        yield Case(transposed_layer({"k": s, "s": s}), _low({"s": s}), "equal", left_dimension=s, right_dimension=s)
    left = "ConvTranspose2d(3, 5, (2, 3), stride=(2, 3))"
    yield Case(left, "Conv2d(3, 30, 1, bias=False) >> PixelShuffle((2, 3))", linear_relation="equal")


THEOREM = Theorem(
    name="one-by-one",
    numbers=(9,),
    group="same_layer",
    title="ConvTranspose(k = s, p = 0) is a 1x1 convolution in low resolution and periodic shuffling; no reversal shows.",
    statement=("ConvTranspose(s, stride s) = PS(s) . Conv(1) with W[phi] = w[phi], a bijection in the same order.",),
    proof=("s i + j = o = s m + phi with 0 <= j, phi < s holds iff i = m and j = phi.",),
    source="arXiv 1609.07009 with k = 1",
    scope="all s and n",
    hypotheses=(stride,),
    definitions=(TRANSPOSED, SHUFFLED),
    obligations=(
        Obligation("a slot holds its tap", (PHASE, SLOT), TAP),
        Obligation("a tap lies in its slot: quotient", (PHASE, TAP, x == m - i), s * x == j - phi),
        Obligation("a tap lies in its slot: same sample", (stride.formula, s * x < s, s * x > -s), x == 0),
        Obligation("a tap lies in its slot: same phase", (PHASE, TAP), equivalent(j == phi, SLOT)),
        Obligation("the extents agree", (), transposed_extent(n, s=s, k=s, d=1, pb=0, pe=0, op=0) == s * n),
    ),
    agreements=(Agreement("engine", "equal, dimension s", "s in 1, 2, 3, 5; two axes with channels", _instances),),
    twins=(
        Twin(
            "k below s",
            "with output_padding s - k it is still every 1x1 convolution",
            by_size("k s", {"s": 2}, 4, lambda v: v["k"] <= v["s"]),
            layers_differ(lambda v: transposed_layer({**v, "op": v["s"] - v["k"]}), _low),
        ),
    ),
)

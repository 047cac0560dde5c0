"""Transposed convolution is zero insertion and a convolution with the reversed kernel: sub-pixel convolution.

Source: W. Shi et al., arXiv 1609.07009; V. Dumoulin and F. Visin, A guide to convolution arithmetic, arXiv 1603.07285, chapter 4.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import INSERTED, TRANSPOSED, inserted, inserted_layer, reach, transposed, transposed_extent, transposed_layer
from ..terms import equivalent, integers
from ..theorem import Agreement, Case, Obligation, Theorem, Twin, Values
from ..twins import Kernel, by_size, layers_differ, reshuffle_fails

s, k, d, pb, pe, op, n, o, i, j, v = integers("s k d pb pe op n o i j v")

REVERSED = v == k - 1 - j
BEFORE = d * (k - 1) - pb
AFTER = d * (k - 1) - pe + op


def pads(values: Values) -> dict[str, int]:
    """The padding of the convolution after the insertion."""
    w = {"d": 1, "pb": 0, "pe": 0, "op": 0} | dict(values)
    extent = w["d"] * (w["k"] - 1)
    return {"s": w["s"], "k": w["k"], "d": w["d"], "before": extent - w["pb"], "after": extent - w["pe"] + w["op"]}


def _instances() -> Iterator[Case]:
    for w in by_size("k s d pb pe", {"pb": 0, "pe": 0}, 3, lambda w: w["pb"] + w["pe"] < reach(w["k"], w["d"]))():
        yield Case(transposed_layer(w), inserted_layer(pads(w)), "equal")


def _forward(values: Values) -> tuple[Kernel, Kernel]:
    kernel = {(0, 0, t): t + 1 for t in range(values["k"])}
    return kernel, kernel


THEOREM = Theorem(
    name="zero-insertion",
    numbers=(3,),
    group="same_layer",
    title="Transposed convolution is zero insertion followed by a stride-1 convolution with the reversed kernel.",
    statement=(
        "ConvTranspose(k, s, d, pb, pe, op) = Conv(k, 1, d, pads d (k - 1) - pb and d (k - 1) - pe + op) . ZeroInsert(s)",
        "with the kernel v = k - 1 - j; a negative pad is a crop.",
        "As classes the reversal changes nothing, since it is a bijection of kernels; as layers with weights it does,",
        "unless the kernel equals its own reverse.",
    ),
    proof=(
        "Output o reads position o + d v - (d (k - 1) - pb) of the inserted signal, which is x[i] where that is s i.",
        "With v = k - 1 - j this is o + pb - d j = s i. The extents are those of the two layers in turn.",
        "Every position read lies in the padded signal, which is what a crop has to leave.",
    ),
    source="arXiv 1609.07009; arXiv 1603.07285, relationships 8 to 14",
    scope="all k, s, d, pb, pe, op, n; borders included",
    hypotheses=(),
    definitions=(TRANSPOSED, INSERTED),
    obligations=(
        Obligation(
            "one tap",
            (REVERSED,),
            equivalent(transposed(o, i, j, s=s, k=k, d=d, pb=pb), inserted(o, i, v, s=s, k=k, d=d, before=BEFORE)),
        ),
        Obligation(
            "one extent",
            (),
            (n - 1) * s + 1 + BEFORE + AFTER - d * (k - 1) == transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op),
        ),
    ),
    agreements=(Agreement("engine", "the classes are equal", "k, s, d <= 3, pb, pe <= 3, pb + pe < ke", _instances),),
    twins=(
        Twin(
            "kernel not reversed",
            "the same kernel does on both sides",
            by_size("k s", {}, 3),
            reshuffle_fails(transposed_layer, lambda w: inserted_layer(pads(w)), _forward),
        ),
        Twin(
            "the padding kept",
            "the convolution is padded by pb and pe, as the transposed convolution is",
            by_size("k s pb", {"pb": 0}, 3, lambda w: 2 * w["pb"] < w["k"]),
            layers_differ(
                lambda w: transposed_layer({**w, "pe": w["pb"]}),
                lambda w: inserted_layer({"s": w["s"], "k": w["k"], "before": w["pb"], "after": w["pb"]}),
            ),
        ),
    ),
    corrections=("The condition p <= k - 1 of the claim is not needed: a padding larger than d (k - 1) crops the inserted signal.",),
)

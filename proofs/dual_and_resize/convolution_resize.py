"""Convolution then nearest-neighbour resize, which is what ICNR initialises a sub-pixel layer to.

Source: A. Aitken et al., Checkerboard artifact free sub-pixel convolution, arXiv 1707.02937.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import Kernel, by_size, layers_differ, reshuffle_fails

R, C, c, phi, x, e, f, w = integers("R C c phi x e f w")

phases = Hypothesis(R >= 1, "R = r^D copies of one sub-kernel")


def _conv(v: Values) -> str:
    return f"Conv1d(1, {v['C']}, 1, bias=False) >> Upsample(scale_factor={v['r']})"


def _shuffled(v: Values, order: str = "PixelShuffle") -> str:
    return f"Conv1d(1, {v['C'] * v['r']}, 1, bias=False) >> {order}({v['r']})"


def _copies(v: Values, tiled: bool) -> tuple[Kernel, Kernel]:
    width = v["C"] * v["r"]
    source = {(c, 0, 0): c + 1 for c in range(v["C"])}
    return source, {(x, 0, 0): (x % v["C"] if tiled else x // v["r"]) + 1 for x in range(width)}


def _instances() -> Iterator[Case]:
    for v in by_size("C r", {}, 4)():
        relation = "equal" if v["r"] == 1 else "left_in_right"
        for order in ("PixelShuffle", "DepthToSpace"):
            yield Case(_conv(v), _shuffled(v, order), relation, left_dimension=v["C"], right_dimension=v["C"] * v["r"])
    left = "Conv2d(3, 2, 3, padding=1, bias=False) >> Upsample(scale_factor=2)"
    right = "Conv2d(3, 8, 3, padding=1, bias=False) >> PixelShuffle(2)"
    yield Case(left, right, "left_in_right", left_dimension=54, right_dimension=216)


THEOREM = Theorem(
    name="convolution-resize",
    numbers=(18,),
    group="dual_and_resize",
    title="Convolution then nearest-neighbour resize is the sub-pixel layer whose r^D sub-kernels are equal; CRD interleaves the copies.",
    statement=(
        "PS(W * f) = Nearest(W0 * f) for all f iff W[x] = W0[x div R] for every low-resolution channel x, R = r^D: each sub-kernel R",
        "times in a row. In DCR order it is W[x] = W0[x mod C]: the whole of W0 tiled R times. Each is wrong in the other order",
        "as soon as C and R are both at least 2.",
    ),
    proof=(
        "Output channel c at phase phi is channel x = c R + phi of W * f on one side, channel c of W0 * f on the other; f is arbitrary.",
        "In DCR order x = phi C + c, and x mod C = c.",
    ),
    source="arXiv 1707.02937",
    scope="all r, D, C, kernels and extents",
    hypotheses=(phases,),
    obligations=(
        Obligation("CRD: the channel, times R", (x == c * R + phi, x == R * e + f, w == c - e), R * w == f - phi),
        Obligation("CRD: interleaved", (within(phi, R), within(f, R), R * w == f - phi), w == 0),
        Obligation("DCR: the channel, times C", (x == phi * C + c, x == C * e + f, w == phi - e), C * w == f - c),
        Obligation("DCR: tiled", (within(c, C), within(f, C), C * w == f - c), f == c),
        Obligation("every channel is a copy of some sub-kernel", (phases.formula, division(x, R, e, f), x < C * R), e < C),
    ),
    agreements=(Agreement("engine", "strict inclusion for r >= 2, in both orders", "C, r <= 4; an example on two axes", _instances),),
    twins=(
        Twin(
            "tiling in CRD order",
            "initialise PixelShuffle's convolution with r^D copies of W0 one after the other",
            by_size("C r", {}, 3),
            reshuffle_fails(_conv, _shuffled, lambda v: _copies(v, tiled=True), extents=((1,),)),
        ),
        Twin(
            "interleaving in DCR order",
            "initialise depth-to-space's convolution with each sub-kernel r^D times in a row",
            by_size("C r", {}, 3),
            reshuffle_fails(_conv, lambda v: _shuffled(v, "DepthToSpace"), lambda v: _copies(v, tiled=False), extents=((1,),)),
        ),
        Twin("no loss", "the classes are equal", by_size("C r", {}, 3), layers_differ(_conv, _shuffled)),
    ),
)

"""Channel groups under periodic shuffling.

Source: symconv's own; torch.nn.Conv2d, argument groups.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..terms import integers
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

R, G, g, c, c1, phi, w = integers("R G g c c1 phi w")

phases = Hypothesis(R >= 1, "R = r^D phases of one output channel")


def _high(v: Values) -> str:
    return f"ConvTranspose1d({v['G']}, {v['G'] * v['w']}, {v['r']}, stride={v['r']}, groups={v['G']}, bias=False)"


def _low(v: Values, after: str) -> str:
    return f"Conv1d({v['G']}, {v['G'] * v['w'] * v['r']}, 1, groups={v['G']}, bias=False) >> {after}"


def _instances() -> Iterator[Case]:
    for v in by_size("G w r", {"r": 2}, 3)():
        yield Case(_high(v), _low(v, f"PixelShuffle({v['r']})"), "equal")
        yield Case(_high(v), _low(v, f"ChannelShuffle({v['G'] * v['w']}) >> DepthToSpace({v['r']})"), "equal")


THEOREM = Theorem(
    name="groups",
    numbers=(13,),
    group="same_layer",
    title="Contiguous groups survive shuffling in CRD order unchanged; in DCR order they need a channel permutation.",
    statement=(
        "Let output channel c = g w + c' lie in group g of w channels. In CRD order it is made of the low-resolution channels",
        "c R + phi, which all lie in group g of w R channels, at place c' R + phi. So ConvTranspose(groups = G) is",
        "PS . Conv(groups = G) with the reshuffle of `universal-lowering` in each group.",
        "In DCR order channel phi C + c lies in another group as a rule; ChannelShuffle(C) before the shuffle repairs it.",
    ),
    proof=("(g w + c') R + phi = g (w R) + (c' R + phi), and 0 <= c' R + phi < w R.",),
    source="symconv's own",
    scope="all r, D, groups, channels",
    hypotheses=(phases,),
    obligations=(
        Obligation("the same place", (c == g * w + c1,), c * R + phi == g * (w * R) + (c1 * R + phi)),
        Obligation("inside the group: before", (phases.formula, c1 >= 0, phi >= 0), c1 * R + phi >= 0),
        Obligation("inside the group: after", (phases.formula, c1 < w, phi < R), c1 * R + phi < w * R),
    ),
    agreements=(Agreement("engine", "equal in CRD, and in DCR after ChannelShuffle(C)", "G, w <= 3, 2 <= r <= 3", _instances),),
    twins=(
        Twin(
            "DCR keeps the groups",
            "with depth-to-space in DCR order the groups survive too",
            by_size("G w r", {}, 3),
            layers_differ(_high, lambda v: _low(v, f"DepthToSpace({v['r']})")),
        ),
    ),
)

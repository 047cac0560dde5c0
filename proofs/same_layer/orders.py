"""The two orders of depth-to-space, CRD and DCR.

Source: ONNX DepthToSpace-13, attribute mode; tf.nn.depth_to_space; torch.nn.PixelShuffle.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..terms import integers, within
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

R, C, c, phi, x, e, f, e2 = integers("R C c phi x e f e2")

channels = Hypothesis(C >= 1, "there is a channel")


def _fixed(v: Values, layer: str) -> str:
    width = v["C"] * v["r"]
    return f"Conv1d({width}, {width}, 1, groups={width}, bias=False) >> {layer}"


def _instances() -> Iterator[Case]:
    for v in by_size("C r", {}, 4)():
        same = v["C"] == 1 or v["r"] == 1
        crd, dcr = f"PixelShuffle({v['r']})", f"DepthToSpace({v['r']})"
        yield Case(_fixed(v, crd), _fixed(v, dcr), "equal" if same else "incomparable")
        yield Case(_fixed(v, crd), _fixed(v, f"ChannelShuffle({v['C']}) >> {dcr}"), "equal")


THEOREM = Theorem(
    name="orders",
    numbers=(15,),
    group="same_layer",
    title="CRD and DCR agree iff C = 1 or r = 1; otherwise one channel permutation, ChannelShuffle(C), turns one into the other.",
    statement=(
        "CRD puts channel c R + phi at phase phi of channel c, DCR channel phi C + c. The two agree on all of them iff C = 1 or R = 1.",
        "Moving channel c R + phi to phi C + c, which is ChannelShuffle(C), is a permutation, and CRD = DCR . ChannelShuffle(C).",
    ),
    proof=(
        "C = 1 leaves c = 0 and phi = phi; R = 1 leaves phi = 0 and c = c. Otherwise channel 0 at phase 1 reads 1 in CRD and C in DCR.",
        "x determines (c, phi) by division by R, and (phi, c) gives the target by division by C: a bijection of [0, C R).",
    ),
    source="ONNX DepthToSpace-13; tf.nn.depth_to_space; torch.nn.PixelShuffle",
    scope="all r, D, C",
    hypotheses=(channels,),
    obligations=(
        Obligation("one channel: they agree", (c == 0, C == 1), c * R + phi == phi * C + c),
        Obligation("no shuffling: they agree", (phi == 0, R == 1), c * R + phi == phi * C + c),
        Obligation("else they differ at channel 0, phase 1", (C >= 2, c == 0, phi == 1), c * R + phi != phi * C + c),
        Obligation("the target is a channel: before", (channels.formula, phi >= 0, c >= 0), phi * C + c >= 0),
        Obligation("the target is a channel: after", (channels.formula, phi < R, c < C), phi * C + c < R * C),
        Obligation(
            "no two channels move to one: times C",
            (x == phi * C + c, x == f * C + e, e2 == phi - f),
            C * e2 == e - c,
        ),
        Obligation("no two channels move to one", (within(c, C), within(e, C), C * e2 == e - c), e2 == 0),
    ),
    agreements=(Agreement("engine", "equal iff C = 1 or r = 1; equal after ChannelShuffle(C)", "C, r <= 4", _instances),),
    twins=(
        Twin(
            "the orders agree",
            "PixelShuffle and DepthToSpace in ONNX's default mode are the same layer",
            by_size("C r", {}, 3),
            layers_differ(lambda v: _fixed(v, f"PixelShuffle({v['r']})"), lambda v: _fixed(v, f"DepthToSpace({v['r']})")),
        ),
    ),
)

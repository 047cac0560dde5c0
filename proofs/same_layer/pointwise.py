"""Nonlinearities and per-channel layers before and after periodic shuffling.

Source: symconv's own; arXiv 1609.07009 silently puts activations after the shuffling or before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

R, C, c, phi, x, e, f, w = integers("R C c phi x e f w")

phases = Hypothesis(R >= 1, "R = r^D phases of one output channel")


def _commutes() -> Iterator[str]:
    """In PyTorch, in exact integers: PReLU with slopes of whole numbers, tied and not."""
    import torch

    for r, C in itertools.product((1, 2, 3), (1, 2, 3)):
        shuffle = torch.nn.PixelShuffle(r)
        x = torch.arange(-7, C * r * r * 4 - 7, dtype=torch.float64).reshape(1, C * r * r, 2, 2)
        slopes = torch.arange(1, C + 1, dtype=torch.float64)
        before, after = slopes.repeat_interleave(r * r), slopes
        left = shuffle(torch.nn.functional.prelu(x, before))
        right = torch.nn.functional.prelu(shuffle(x), after)
        if not torch.equal(left, right):
            yield f"r={r}, C={C}: tied slopes do not commute"
        if not torch.equal(shuffle(torch.relu(x)), torch.relu(shuffle(x))):
            yield f"r={r}, C={C}: ReLU does not commute"


def _after(v: Values) -> str:
    return f"PixelShuffle({v['r']}) >> BatchNorm2d({v['C']})"


def _before(v: Values) -> str:
    return f"BatchNorm2d({v['C'] * v['r'] ** 2}) >> PixelShuffle({v['r']})"


def _instances() -> Iterator[Case]:
    for v in by_size("C r", {}, 3)():
        after, before = 2 * v["C"], 2 * v["C"] * v["r"] ** 2
        relation = "equal" if v["r"] == 1 else "left_in_right"
        yield Case(_after(v), _before(v), relation, left_dimension=after, right_dimension=before)
    for name in ("ReLU()", "Tanh()", "Sigmoid()"):
        low = f"Conv2d(2, 8, 3, padding=1) >> {name} >> PixelShuffle(2)"
        yield Case(low, f"Conv2d(2, 8, 3, padding=1) >> PixelShuffle(2) >> {name}", "equal")


THEOREM = Theorem(
    name="pointwise",
    numbers=(14,),
    group="same_layer",
    title="A pointwise nonlinearity commutes with shuffling; a per-channel layer does so iff it is tied over each group of r^D channels.",
    statement=(
        "PS only moves samples, so f(PS x) = PS f(x) for every f that acts on each sample alike.",
        "Let f act on channel c by f_c. Then f . PS = PS . g, with g_x acting on channel x, iff g_x = f_(x div R) for every x, R = r^D.",
        "As classes (BatchNorm in evaluation, PReLU with a slope a channel) the one after PS is inside the one before it,",
        "strictly for r >= 2.",
    ),
    proof=(
        "Output channel c at phase phi is input channel x = c R + phi, and every pair (c, phi) occurs; so the two sides agree iff",
        "f_c = g_(c R + phi) for all c and phi, and x div R = c.",
    ),
    source="symconv's own",
    scope="all r, D, C and every function; PReLU and BatchNorm as instances",
    hypotheses=(phases,),
    obligations=(
        Obligation("the channel that is read: times R", (x == c * R + phi, x == R * e + f, w == c - e), R * w == f - phi),
        Obligation("the channel that is read", (within(phi, R), within(f, R), R * w == f - phi), w == 0),
        Obligation("every channel is read", (phases.formula, division(x, R, e, f), x < C * R), e < C),
    ),
    exact=(Exact("in PyTorch", "ReLU commutes, and PReLU with tied slopes", "r, C <= 3, whole-number slopes, extent 2x2", _commutes),),
    agreements=(Agreement("engine", "BatchNorm: strict inclusion for r >= 2; ReLU, Tanh, Sigmoid: equal", "C, r <= 3", _instances),),
    twins=(
        Twin(
            "per-channel layers commute",
            "BatchNorm before the shuffling is BatchNorm after it",
            by_size("C r", {}, 3),
            layers_differ(_after, _before),
        ),
    ),
)

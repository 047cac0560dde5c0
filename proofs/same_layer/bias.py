"""The bias of a transposed convolution among the biases of its low-resolution form.

Source: torch.nn.ConvTranspose2d and torch.nn.Conv2d.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

R, C, c, phi, x, e, f, e2, f2 = integers("R C c phi x e f e2 f2")

phases = Hypothesis(R >= 1, "R = r^D phases of one output channel")


def _high(values: Values) -> str:
    return f"ConvTranspose1d(1, {values['C']}, {values['r']}, stride={values['r']})"


def _low(values: Values) -> str:
    return f"Conv1d(1, {values['C'] * values['r']}, 1) >> PixelShuffle({values['r']})"


def _instances() -> Iterator[Case]:
    for v in by_size("C r", {"r": 2}, 4)():
        weights, extra = v["C"] * v["r"], v["C"] * (v["r"] - 1)
        bias = v["C"]
        yield Case(_high(v), _low(v), "left_in_right", "equal", left_dimension=weights + bias, right_dimension=weights + bias + extra)
    for C, r in ((1, 2), (3, 2), (2, 3)):
        weights = 2 * C * r * r
        left, right = f"ConvTranspose2d(2, {C}, {r}, stride={r})", f"Conv2d(2, {C * r * r}, 1) >> PixelShuffle({r})"
        yield Case(left, right, "left_in_right", "equal", left_dimension=weights + C, right_dimension=weights + C * r * r)


THEOREM = Theorem(
    name="bias",
    numbers=(12,),
    group="same_layer",
    title="The transposed bias is the low-resolution bias tied over each group of r^D channels; free, it adds C (r^D - 1) dimensions.",
    statement=(
        "With R = r^D, output channel c at phase phi receives the low-resolution bias of channel c R + phi. That is b[c] for all",
        "positions iff the low-resolution bias is b[x div R]. The free low-resolution bias has C R dimensions, the transposed one C.",
    ),
    proof=(
        "Every phase of every channel occurs in the output, so equality of outputs is equality of biases for every x = c R + phi,",
        "and x div R = c. The map (c, phi) to x is a bijection onto [0, C R), so the ties are C (R - 1) independent equations.",
    ),
    source="torch.nn.ConvTranspose2d, torch.nn.Conv2d",
    scope="all r, D, C; dimensions by the engine",
    hypotheses=(phases,),
    obligations=(
        Obligation("the tied index: times R", (x == c * R + phi, x == R * e + f, f2 == c - e), R * f2 == f - phi),
        Obligation("the tied index: same channel", (within(phi, R), within(f, R), R * f2 == f - phi), f2 == 0),
        Obligation("channels before", (phases.formula, division(x, R, e, f), x >= 0), e >= 0),
        Obligation("channels after", (phases.formula, division(x, R, e, f), x < C * R), e < C),
    ),
    agreements=(Agreement("engine", "linear parts equal, strict by C (r^D - 1)", "C <= 4, 2 <= r <= 4; two axes", _instances),),
    twins=(Twin("free biases", "with biases the classes are equal too", by_size("C r", {}, 3), layers_differ(_high, _low)),),
)

"""What the efficient sub-pixel layer contains: transposed convolutions and fixed upscalings.

Source: W. Shi et al., arXiv 1609.05158 and 1609.07009.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import TRANSPOSED, shuffled_layer, transposed_extent, transposed_layer
from ..terms import integers
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

r, k, h, n, pb, pe, j, phi, u = integers("r k h n pb pe j phi u")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
fits = Hypothesis(h <= k * r, "a longer kernel has a tap without a slot")
RESHUFFLE = j == phi + r * (k - 1 - u)


def _low(v: Values) -> str:
    return shuffled_layer({"r": v["r"], "k": v["k"], "before": v["k"] - 1, "after": v["k"] - 1})


def _high(v: Values) -> str:
    """A kernel of h taps, aligned at the front and cropped at the end to the extent of the low-resolution form."""
    more = v["h"] - v["k"] * v["r"]
    return transposed_layer({"k": v["h"], "s": v["r"], "pb": 0, "pe": more})


def _instances() -> Iterator[Case]:
    for v in by_size("k r h", {"r": 2}, 6, lambda v: v["k"] <= 2 and v["r"] <= 3 and 0 <= v["k"] * v["r"] - v["h"] < v["r"])():
        more = v["k"] * v["r"] - v["h"]
        left = transposed_layer({"k": v["h"], "s": v["r"], "op": more})
        yield Case(left, _low(v), "left_in_right" if more else "equal", left_dimension=v["h"], right_dimension=v["k"] * v["r"])
    sub_pixel = "Conv2d(1, 4, 5, padding=2, bias=False) >> PixelShuffle(2)"
    yield Case("Upsample(scale_factor=2, mode='bicubic')", sub_pixel, "incomparable", interior_relation="left_in_right", channels=1)
    yield Case("Upsample(scale_factor=2, mode='nearest')", sub_pixel, "left_in_right", channels=1)


THEOREM = Theorem(
    name="efficient-layer",
    numbers=(21,),
    group="dual_and_resize",
    title="The efficient sub-pixel layer contains aligned transposed convolutions of up to k r taps; bicubic upscaling in the interior.",
    statement=(
        "For h <= k r the class of ConvTranspose(h, stride r, pb = r (k - 1 - before)), its extent fitted,",
        "is inside PS(r) . Conv(k, pads before, after): its taps fill h of the k r slots an axis.",
        "Fixed upscalings by r with k low-resolution samples of support are members: nearest with its borders, bicubic (k = 5) in the",
        "interior; at the borders bicubic repeats samples and the zero-padded layer does not.",
    ),
    proof=(
        "A kernel of h taps is a kernel of k r taps whose last k r - h are zero, with pe smaller by as much: same entries, same extent.",
        "`note-form` puts those k r taps into the k r slots.",
    ),
    source="arXiv 1609.05158, section 3.2; arXiv 1609.07009",
    scope="all k, r, h, pads, n; upscalings by the engine for r = 2, all extents",
    hypotheses=(factor, fits),
    definitions=(TRANSPOSED,),
    obligations=(
        Obligation("a slot for every tap: before", (factor.formula, fits.formula, j < h, phi >= 0, RESHUFFLE), u >= 0),
        Obligation("a slot for every tap: after", (factor.formula, j >= 0, phi < r, RESHUFFLE), u < k),
        Obligation(
            "the extent is kept",
            (),
            transposed_extent(n, s=r, k=h, d=1, pb=pb, pe=pe - (k * r - h), op=0)
            == transposed_extent(n, s=r, k=k * r, d=1, pb=pb, pe=pe, op=0),
        ),
    ),
    agreements=(
        Agreement(
            "engine", "inside, equal iff h = k r; nearest; bicubic in the interior", "k <= 2, r <= 3, k r - r < h <= k r", _instances
        ),
    ),
    twins=(
        Twin(
            "one tap more",
            "a kernel of k r + 1 taps fits too",
            by_size("k r h", {"r": 2}, 7, lambda v: v["h"] == v["k"] * v["r"] + 1),
            layers_differ(_high, _low, ("equal", "left_in_right")),
        ),
        Twin(
            "bicubic with its borders",
            "the zero-padded layer of k taps contains bicubic upscaling by 2, borders included",
            by_size("k", {"k": 5}, 9, lambda v: v["k"] % 2 == 1),
            layers_differ(
                lambda v: "Upsample(scale_factor=2, mode='bicubic')",
                lambda v: f"Conv2d(1, 4, {v['k']}, padding={v['k'] // 2}, bias=False) >> PixelShuffle(2)",
                ("equal", "left_in_right"),
                channels=1,
            ),
        ),
    ),
)

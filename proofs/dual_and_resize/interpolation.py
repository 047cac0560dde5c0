"""Linear and cubic resize then convolution, and transposed convolution.

Source: torch.nn.Upsample, modes linear and bicubic, align_corners=False.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..terms import integers, within
from ..theorem import Agreement, Case, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

r, L, n, o, i, x = integers("r L n o i x")

factor = Hypothesis(r >= 1, "the grid is refined r times")


def _sides(r: int, k: int, lobes: int) -> tuple[int, int, int]:
    """(taps, pb, pe) of the transposed convolution on the input extended by `lobes` samples on each side."""
    low = (r - 1) // 2 - lobes * r + 1
    high = r - 1 - low
    taps = high - low + k
    return taps, taps - 1 - high + r * lobes, taps + low - r * (1 - lobes)


def _resize(v: Values, mode: str = "linear", axes: int = 1) -> str:
    pad = f", padding={v['p']}" if v.get("p") else ""
    return f"Upsample(scale_factor={v['r']}, mode='{mode}') >> Conv{axes}d(1, 1, {v['k']}{pad}, bias=False)"


def _extended(v: Values, lobes: int = 1, axes: int = 1, mode: str = "ReplicationPad") -> str:
    taps, pb, pe = _sides(v["r"], v["k"], lobes)
    pad = f"{mode}{axes}d({lobes}) >> " if mode else f"ZeroPad{axes}d({lobes}) >> "
    crop = ", ".join([str(pb), str(pe)] * axes)
    return f"{pad}ConvTranspose{axes}d(1, 1, {taps}, stride={v['r']}, bias=False) >> Crop(({crop}))"


def _wider(v: Values) -> str:
    """Replicate padding by L + 1, and crops that give the extent of the padded convolution."""
    taps, pb, pe = _sides(v["r"], v["k"], 1)
    more = v["r"] - v["p"]
    return f"ReplicationPad1d(2) >> ConvTranspose1d(1, 1, {taps}, stride={v['r']}, bias=False) >> Crop(({pb + more}, {pe + more}))"


def _instances() -> Iterator[Case]:
    for v in by_size("k r", {"r": 2}, 4, lambda v: v["k"] <= 3)():
        yield Case(_resize(v), _extended(v), "left_in_right", interior_relation="left_in_right", left_dimension=v["k"])
        yield Case(_resize(v), _extended(v, mode=""), "incomparable", interior_relation="left_in_right")
    for v in ({"k": 1, "r": 2}, {"k": 3, "r": 2}):
        yield Case(
            _resize(v, "bicubic", 2), _extended(v, 2, 2), "left_in_right", interior_relation="left_in_right", left_dimension=v["k"] ** 2
        )
    v = {"k": 1, "r": 2}
    yield Case(_resize(v, "bilinear", 2), _extended(v, 1, 2), "left_in_right", left_dimension=1)


THEOREM = Theorem(
    name="interpolation",
    numbers=(19,),
    group="dual_and_resize",
    title="Linear or cubic resize then convolution is a transposed convolution after replicate padding; without it, in the interior only.",
    statement=(
        "Interpolation with half-pixel centres, support L (linear 1, cubic 2) low-resolution samples to each side, reads x~[i] with",
        "-L <= i < n + L, where x~ repeats the first and the last sample. So Conv(k) . Resize(r) = Crop . ConvTranspose . ReplicatePad(L).",
        "Without the replicate padding the two agree in the interior; at the borders, for r >= 2, neither class contains the other.",
    ),
    proof=(
        "y[o] = sum over i of h((o - (r - 1) / 2) / r - i) x~[i] and h vanishes outside (-L, L): |2 o - (r - 1) - 2 r i| < 2 r L.",
        "With 0 <= o < r n that gives -L <= i < n + L. On the extended signal the sum is an expansion by r and a fixed correlation,",
        "and with the convolution's taps a transposed convolution whose kernel is the convolution of both.",
    ),
    source="torch.nn.Upsample",
    scope="reads: all r, L, n; classes by the engine for k <= 3, 2 <= r <= 4 (linear), k = 1, 3, r = 2 (cubic, two axes), all extents",
    hypotheses=(factor,),
    obligations=(
        Obligation("reads before: times r", (within(o, r * n), 2 * o - (r - 1) - 2 * r * i < 2 * r * L, x == i + L), 2 * (r * x) >= 2 - r),
        Obligation("reads before", (factor.formula, 2 * (r * x) >= 2 - r), x >= 0),
        Obligation(
            "reads after: times r", (within(o, r * n), 2 * o - (r - 1) - 2 * r * i > -2 * r * L, x == i - L - n), 2 * (r * x) <= -r - 2
        ),
        Obligation("reads after", (factor.formula, 2 * (r * x) <= -r - 2), x < 0),
    ),
    agreements=(
        Agreement(
            "engine", "inside after replicate padding, incomparable with zeros, inside in the interior", "as in the scope", _instances
        ),
    ),
    twins=(
        Twin(
            "borders included without padding",
            "linear resize then convolution is a transposed convolution, borders included",
            by_size("k r", {"r": 2}, 4),
            layers_differ(_resize, lambda v: _extended(v, mode=""), ("equal", "left_in_right")),
        ),
        Twin(
            "with padding in the convolution",
            "a zero padding of the convolution after the resize can be had by replicate padding and a crop too",
            by_size("k r p", {"r": 2}, 4, lambda v: v["k"] == 2 * v["p"] + 1),
            layers_differ(_resize, _wider, ("equal", "left_in_right")),
        ),
    ),
    corrections=(
        "The exact form needs a convolution without zero padding of its own: zeros beside the resized image are no replicated samples.",
    ),
)

"""Nearest-neighbour resize then convolution, among the transposed convolutions.

Source: A. Odena, V. Dumoulin, C. Olah, Deconvolution and Checkerboard Artifacts, Distill 2016; J. Sohl-Dickstein's remark there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..definitions import TRANSPOSED, grid, transposed, transposed_extent, transposed_layer
from ..terms import division, equivalent, integers, within
from ..theorem import Agreement, Case, Definition, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ

r, k, pb, pe, n, o, i, j, t, q = integers("r k pb pe n o i j t q")

factor = Hypothesis(r >= 1, "each sample is repeated r times")


def _resized_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    return {(0, 0, j) for j in range(v["k"]) if (o + j - v["pb"]) // v["r"] == i}


RESIZED = Definition(
    "nearest-neighbour resize, convolution",
    "y[o] = sum over j with (o + j - pb) div r = i of w[j] x[i]",
    lambda v: f"Upsample(scale_factor={v['r']}) >> ZeroPad1d(({v['pb']}, {v['pe']})) >> Conv1d(1, 1, {v['k']}, bias=False)",
    _resized_taps,
    lambda v, n: v["r"] * n + v["pb"] + v["pe"] - v["k"] + 1,
    grid(r=(1, 2, 3), k=(1, 2, 3, 4), pb=(0, 1, 2), pe=(0, 2)),
)


def _resize(v: Values, axes: int = 1) -> str:
    return f"Upsample(scale_factor={v['r']}) >> Conv{axes}d(1, 1, {v['k']}, padding={v['p']}, bias=False)"


def _transposed(v: Values) -> str:
    pad = v["k"] - 1 - v["p"]
    return transposed_layer({"k": v["k"] + v["r"] - 1, "s": v["r"], "pb": pad, "pe": pad})


def _checkerboard_free_axis() -> Iterator[str]:
    """Rank of the resize kernels in the space of kernels of k + r - 1 taps against that of the equal phase sums."""
    import flint

    for k, r in itertools.product(range(1, 8), range(2, 6)):
        width = k + r - 1
        boxes = flint.fmpq_mat([[int(t - r < j <= t) for t in range(width)] for j in range(k)])
        sums = flint.fmpq_mat([[(t % r == 0) - (t % r == phase) for t in range(width)] for phase in range(1, r)])
        if int(boxes.rank()) != k or width - int(sums.rank()) != k:
            yield f"k={k}, r={r}: {boxes.rank()} against {width - int(sums.rank())}"
        if any(any(row) for row in (sums * boxes.transpose()).tolist()):
            yield f"k={k}, r={r}: a resize kernel has unequal phase sums"


def _two_axes() -> Iterator[str]:
    """k^2 dimensions among 2 (k - 1) (r - 1) more among (k + r - 1)^2; for k = 3, r = 2 nine among thirteen among sixteen."""
    import flint

    for k, r in itertools.product(range(1, 5), range(1, 5)):
        width = k + r - 1
        cells = list(itertools.product(range(width), repeat=2))
        shifts = itertools.product(range(k), repeat=2)
        boxes = flint.fmpq_mat([[int(y - r < a <= y and x - r < b <= x) for y, x in cells] for a, b in shifts])
        phases = itertools.product(range(r), repeat=2)
        sums = flint.fmpq_mat([[(y % r == x % r == 0) - ((y % r, x % r) == phase) for y, x in cells] for phase in phases])
        found = int(boxes.rank()), len(cells) - int(sums.rank()), len(cells)
        if found != (k * k, k * k + 2 * (k - 1) * (r - 1), width * width):
            yield f"k={k}, r={r}: dimensions {found}"
        if any(any(row) for row in (sums * boxes.transpose()).tolist()):
            yield f"k={k}, r={r}: a resize kernel has unequal phase sums"


def _instances() -> Iterator[Case]:
    for v in by_size("k r p", {"p": 0}, 4, lambda v: v["p"] < v["k"])():
        relation = "equal" if v["r"] == 1 else "left_in_right"
        yield Case(_resize(v), _transposed(v), relation, left_dimension=v["k"], right_dimension=v["k"] + v["r"] - 1)
    left = "Upsample(scale_factor=2) >> Conv2d(1, 1, 3, padding=1, bias=False)"
    right = "ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)"
    yield Case(left, right, "left_in_right", left_dimension=9, right_dimension=16)


THEOREM = Theorem(
    name="resize-convolution",
    numbers=(17,),
    group="dual_and_resize",
    title="Nearest-neighbour resize then convolution is a transposed convolution of k + r - 1 taps; on one axis any checkerboard-free one.",
    statement=(
        "Conv(k, pb, pe) . Nearest(r) = ConvTranspose(k + r - 1, stride r, k - 1 - pb, k - 1 - pe), borders included, with",
        "V[t] = sum over j and 0 <= q < r with t = k - 1 - j + q of w[j]: the reversed kernel, box filtered.",
        "The class is strictly smaller for r >= 2: dimension k^D against (k + r - 1)^D.",
        "On one axis it is exactly the kernels whose r phases have equal tap sums; on two it has 2 (k - 1) (r - 1) dimensions fewer than",
        "those, so it is a strict subclass iff k, r >= 2: for k = 3, r = 2 dimension 9 among 13 among 16.",
    ),
    proof=(
        "Output o reads position o + j - pb of the resized signal, which is x[i] iff o + j - pb = r i + q with 0 <= q < r.",
        "With t = k - 1 - j + q that is r i + t = o + k - 1 - pb, an entry of the transposed convolution, and 0 <= t < k + r - 1.",
        "Box filtering is injective (its polynomial is not 0), so the dimension is k. Every window of r taps has one of each phase, so the",
        "phase sums agree; r - 1 independent equations leave k + r - 1 - (r - 1) = k dimensions, all of them.",
        "On two axes r^2 - 1 equations leave (k + r - 1)^2 - (r^2 - 1) = k^2 + 2 (k - 1) (r - 1).",
    ),
    source="Distill 2016, doi 10.23915/distill.00003",
    scope="all k, r, pb, pe, n, borders included; dimensions for k <= 7, r <= 5 on one axis, k, r <= 4 on two",
    hypotheses=(factor,),
    definitions=(RESIZED, TRANSPOSED),
    obligations=(
        Obligation(
            "one equation",
            (t == k - 1 - j + q,),
            equivalent(division(o + j - pb, r, i, q), (r * i + t == o + (k - 1 - pb)) & within(q, r)),
        ),
        Obligation(
            "the box-filtered tap is in the kernel",
            (t == k - 1 - j + q, within(j, k), within(q, r), r * i + t == o + (k - 1 - pb)),
            transposed(o, i, t, s=r, k=k + r - 1, d=1, pb=k - 1 - pb),
        ),
        Obligation("a window of r taps is no longer than the kernel", (factor.formula, within(j, k)), k - 1 - j + (r - 1) < k + r - 1),
        Obligation(
            "one extent",
            (),
            r * n + pb + pe - k + 1 == transposed_extent(n, s=r, k=k + r - 1, d=1, pb=k - 1 - pb, pe=k - 1 - pe, op=0),
        ),
    ),
    exact=(
        Exact("one axis", "the class is the kernels with equal phase sums", "k <= 7, 2 <= r <= 5", _checkerboard_free_axis),
        Exact("two axes", "k^2 of k^2 + 2 (k - 1) (r - 1) of (k + r - 1)^2", "k, r <= 4", _two_axes),
    ),
    agreements=(
        Agreement("engine", "strict inclusion for r >= 2, with the dimensions", "k, r <= 4, p < k; the example on two axes", _instances),
    ),
    twins=(
        Twin(
            "resize-convolution is every transposed convolution",
            "the classes are equal",
            by_size("k r p", {"p": 0}, 4, lambda v: v["p"] < v["k"]),
            layers_differ(_resize, _transposed),
        ),
        Twin(
            "the same kernel size",
            "resize then Conv(k) is inside ConvTranspose(k, stride r) cropped to the same extent",
            by_size("k r", {"r": 2}, 4, lambda v: v["k"] >= v["r"]),
            layers_differ(
                lambda v: _resize({**v, "p": 0}),
                lambda v: transposed_layer({"k": v["k"], "s": v["r"], "pb": v["k"] - 1, "pe": v["k"] - v["r"]}),
                ("equal", "left_in_right"),
            ),
        ),
    ),
    corrections=("On two axes the class is a strict subclass of the checkerboard-free kernels iff k >= 2: for k = 1 they are the same.",),
)

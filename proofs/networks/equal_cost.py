"""What a layer costs in high and in low resolution, and what it has at equal cost.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, second question.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from symconv.convert.cost import Cost, cost_of
from symconv.frontends.text import parse
from symconv.layers import flatten

from ..terms import ceiling, division, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, integers_differ, text
from .table import balanced, row, table

r, n, m, c, L, T, R, x, y, w, k, j, t, s = integers("r n m c L T R x y w k j t s")
i, b, q, a, q2, a2, z, z2, gap = integers("i b q a q2 a2 z z2 gap")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
taps = Hypothesis(T >= 1, "without taps every width costs nothing")
wide = Hypothesis(m >= 1, "m and -m have one square")
high = Hypothesis(n >= 1, "a layer has a channel")

WIDTH = m == r * n
"""The width of equal cost on two axes."""

FROM = division(s, r, q, a)
UPTO = division(s + w - 1, r, q2, a2)
SPAN = r * gap == w - 1 + a - a2


def cost(expression: str, axes: int, channels: int) -> Cost:
    """symconv's count for a chain on `channels` input channels."""
    return cost_of(flatten(parse(expression).bind(axes)), channels)


def networks(v: Values) -> tuple[str, str]:
    """Networks of L hidden layers of equal cost, from c channels to c channels: behind upsampling, and before shuffling; k = 3."""
    r, n, c, deep = (v[name] for name in ("r", "n", "c", "L"))
    m = r * n
    inside = "".join(f"Conv2d({n}, {n}, 3, padding=1, bias=False) >> ReLU() >> " for _ in range(deep))
    below = "".join(f"Conv2d({m}, {m}, 3, padding=1, bias=False) >> ReLU() >> " for _ in range(deep))
    ends = "Conv2d({0}, {1}, 3, padding=1, bias=False)"
    one = f"Upsample(scale_factor={r}) >> {ends.format(c, n)} >> ReLU() >> {inside}{ends.format(n, c)}"
    two = f"{ends.format(c, m)} >> ReLU() >> {below}{ends.format(m, c * r * r)} >> PixelShuffle({r})"
    return one, two


def _layers() -> Iterator[str]:
    """The table of symconv's own counts and of the engine's dimensions, against the formulas."""
    for axes, kernels in ((1, (1, 2, 3, 5)), (2, (1, 2, 3, 5)), (3, (1, 3))):
        rows = table((2, 3, 4, 9), (1, 2, 3, 8, 64), kernels, axes, depth=2)
        if not rows:
            yield f"{axes} axes: no row"
        for one, two in zip(rows[::2], rows[1::2], strict=True):
            r, n, m, size = one.factor, one.channels, two.channels, one.kernel**axes
            if one.multiplications != r**axes * n * n * size or two.multiplications != m * m * size:
                yield f"{one} costs {one.multiplications}, {two} costs {two.multiplications}"
            if one.multiplications != two.multiplications or two.parameters != r**axes * one.parameters:
                yield f"{two} has not r^D times the parameters of {one} at equal cost"
            if (one.dimension, two.dimension) != (one.parameters, two.parameters):
                yield f"the dimensions are {one.dimension} and {two.dimension}"
            if two.receptive_field != r * one.receptive_field or one.receptive_field != 1 + 2 * (one.kernel - 1):
                yield f"the receptive fields are {one.receptive_field} and {two.receptive_field}"


def _unequal() -> Iterator[str]:
    """Every other width costs another number of multiplications; no width is equal where r^D n^2 is no square."""
    for axes, r, n in itertools.product((1, 2, 3), (2, 3, 4), (1, 2, 3)):
        wanted = balanced(r, n, axes)
        target = row("high", r, n, 3, axes).multiplications
        equal = [m for m in range(1, 4 * n * r**2) if m * m * 3**axes == target]
        if equal != ([] if wanted is None else [wanted]):
            yield f"D={axes}, r={r}, n={n}: the widths {equal} cost as much"


def _whole() -> Iterator[str]:
    for v in by_size("r n c L", {"r": 2, "L": 0}, 4)():
        one, two = (cost(layers, 2, v["c"]).multiplications for layers in networks(v))
        if two - one != v["c"] * v["n"] * v["r"] * 9 * (v["r"] - 1) ** 2:
            yield f"{text(v)}: the networks cost {one} and {two}"


def _reads(expression: str, k: int, extent: int, r: int = 1) -> list[int]:
    """How many input samples each output sample reads, with all taps of r x r channels 1, in PyTorch."""
    ones = dict.fromkeys(itertools.product(range(r), range(r), range(k)), 1)
    return [sum(value != 0 for value in line) for line in impulses(expression, ones, (extent,))]


def _fields() -> Iterator[str]:
    for r, k, deep in itertools.product((2, 3, 4), (1, 2, 3), (1, 2, 3)):
        pad = f"ZeroPad1d(({(k - 1) // 2}, {k // 2})) >> "
        span = 1 + deep * (k - 1)
        above = " >> ".join([f"{pad}Conv1d(1, 1, {k}, bias=False)"] * deep)
        below = " >> ".join([f"{pad}Conv1d({r}, {r}, {k}, bias=False)"] * deep)
        extent = r * (2 * span + 1)
        middle = extent // 2
        found = _reads(above, k, extent)[middle], _reads(f"PixelUnshuffle({r}) >> {below} >> PixelShuffle({r})", k, extent, r)[middle]
        if found != (span, r * span):
            yield f"r={r}, k={k}, {deep} layers: {found} samples are read"
        counts = _reads(f"Upsample(scale_factor={r}) >> {above}", k, 2 * span + 1)[r * span : r * span + r]
        if (min(counts), max(counts)) != (-(-span // r), -(-(span - 1) // r) + 1):
            yield f"r={r}, k={k}, {deep} layers behind nearest neighbours: {counts} samples are read"


def _axes(v: Values) -> str | None:
    """m = r n where there are not two axes, by symconv's count."""
    r, n, axes = v["r"], v["n"], v["D"]
    one, two = row("high", r, n, 1, axes).multiplications, row("low", r, r * n, 1, axes).multiplications
    return None if one == two else f"{one} multiplications in high resolution, {two} in low resolution with m = r n"


def _biases(v: Values) -> str | None:
    r, n = v["r"], v["n"]
    one, two = (cost(f"Conv2d({width}, {width}, 1)", 2, width).parameters for width in (n, r * n))
    return None if two == r * r * one else f"{one} and {two} parameters, biases included, which is not {r * r} times as many"


def _ends(v: Values) -> str | None:
    one, two = (cost(layers, 2, v["c"]).multiplications for layers in networks(v))
    return None if one == two else f"with kernels of 3 taps the networks cost {one} and {two} multiplications a low-resolution sample"


def _seen(v: Values) -> Counterexample | None:
    """The low-resolution samples that are read behind nearest-neighbour upsampling, times r, against those of a low-resolution layer."""
    r, k = v["r"], v["k"]
    counts = _reads(f"Upsample(scale_factor={r}) >> ZeroPad1d(({k // 2}, {k // 2})) >> Conv1d(1, 1, {k}, bias=False)", k, 2 * k)
    found = counts[r * k : r * k + r]
    if all(r * count == k for count in found):
        return None
    says = f"{text(v)}: behind nearest neighbours the phases read {found} low-resolution samples, the layer in low resolution {k}"
    return Counterexample(v, says, True)


THEOREM = Theorem(
    name="equal-cost",
    numbers=(24,),
    group="networks",
    title="On two axes r n channels in low resolution cost what n cost in high resolution, with r^2 times the parameters.",
    statement=(
        "A layer without bias that keeps the extent does parameters times samples multiplications, so for each low-resolution sample:",
        "r^D n^2 k^D with n channels in high resolution, m^2 k^D with m channels in low resolution.",
        "They are equal iff m^2 = r^D n^2: on two axes iff m = r n; on other numbers of axes iff m = r^(D/2) n, where that is an integer.",
        "Then the layer in low resolution has exactly r^D times the parameters, and its class r^D times the dimension,",
        "and L such layers read r (1 + L (k - 1)) samples of the high-resolution grid an axis, exactly r times the 1 + L (k - 1) samples",
        "that L layers of as many taps read in high resolution.",
        "At m = r n, r >= 2, whole networks from c to c channels on two axes, first and last layer included, do not cost the same: the one",
        "in low resolution does c n r k^2 (r - 1)^2 multiplications more for each low-resolution sample, whatever the depth. Its hidden",
        "layers cost the same.",
        "In samples of a low-resolution input, w = 1 + L (k - 1) high-resolution samples behind nearest-neighbour upsampling are",
        "between ceil(w / r) and ceil((w - 1) / r) + 1 samples, as the phase has it, against w in low resolution.",
    ),
    proof=(
        "m^2 k^D = r^D n^2 k^D iff m^2 = r^D n^2, since k^D >= 1; for D = 2 that is (m - r n) (m + r n) = 0.",
        "The parameters are then m^2 k^D = r^D (n^2 k^D). All taps of such a layer are seen, so the dimensions are the parameters.",
        "A layer of k taps reads k samples next to each other; by induction L layers read 1 + L (k - 1), each of which is",
        "t = j + (t - j) for a tap j and a sample t - j that the layers before read. In low resolution each of them is r samples of",
        "the high-resolution grid.",
        "Ends: c m + m c r^2 - r^2 (c n + n c) = c n r (1 + r^2 - 2 r) at m = r n.",
        "Positions s, ..., s + w - 1 meet floor((s + w - 1) / r) - floor(s / r) + 1 blocks of r samples.",
    ),
    source="arXiv 1609.07009, second question",
    scope="all r, n, m, k, L, c; counts and dimensions from symconv and its engine for r <= 9, n <= 64, k <= 5, D <= 3",
    hypotheses=(factor, taps, wide, high),
    obligations=(
        Obligation("m = r n costs as much", (WIDTH, r * r == R), (m * m) * T == R * (n * n) * T),
        Obligation("equal cost: the difference of the squares", ((m * m) * T == R * (n * n) * T, y == m * m - R * (n * n)), y * T == 0),
        Obligation("equal cost: the squares are equal", (taps.formula, y * T == 0), y == 0),
        Obligation("equal cost on two axes: factored", (r * r == R, x == m - r * n, m * m == R * (n * n)), x * (m + r * n) == 0),
        Obligation("the product of two widths is positive", (factor.formula, high.formula, z == r * n), z >= 1),
        Obligation("equal cost on two axes: m = r n", (wide.formula, z >= 1, x * (m + z) == 0, x == m - z), m == z),
        Obligation("r^D times the parameters", (m * m == R * (n * n),), (m * m) * T == R * ((n * n) * T)),
        Obligation(
            "whole networks",
            (WIDTH,),
            (c * m + L * (m * m) + m * (c * (r * r))) - r * r * (c * n + L * (n * n) + n * c) == c * n * r * ((r - 1) * (r - 1)),
            "times k^2",
        ),
        Obligation("receptive field: nothing outside", (within(t, w), within(j, k)), within(t + j, w + k - 1)),
        Obligation(
            "receptive field: nothing left out",
            (w >= 1, within(t, w + k - 1), within(j, k), (t < k) & (j == t) | (t >= k) & (j == k - 1)),
            within(t - j, w),
            "the first taps reach the first samples, the last tap the rest",
        ),
        Obligation("there is such a tap", (k >= 1, t >= 0, (t < k) & (j == t) | (t >= k) & (j == k - 1)), within(j, k)),
        Obligation("each is r samples: inside", (factor.formula, within(i, w), within(b, r), x == w - 1 - i), r * x + (r - 1 - b) >= 0),
        Obligation("each is r samples: so below r w", (x == w - 1 - i, r * x + (r - 1 - b) >= 0), r * i + b < r * w),
        Obligation("blocks that are met", (FROM, UPTO, gap == q2 - q), SPAN),
        Obligation("at most: times r", (SPAN, ceiling(w - 1, r, z), a < r, a2 >= 0, x == gap - z), r * x < r),
        Obligation("at most ceil((w - 1) / r) + 1", (factor.formula, r * x < r, x == gap - z), gap + 1 <= z + 1),
        Obligation("at least: times r", (SPAN, ceiling(w, r, z2), a >= 0, a2 < r, x == gap + 1 - (z2 - 1)), r * x > 0),
        Obligation("at least ceil(w / r)", (factor.formula, r * x > 0, x == gap + 1 - (z2 - 1)), gap + 1 >= z2),
    ),
    exact=(
        Exact(
            "the table",
            "symconv's counts, the engine's dimensions and the receptive fields are those of the formulas",
            "r = 2, 3, 4, 9, n = 1, 2, 3, 8, 64, k = 1, 2, 3, 5 (on three axes k = 1, 3), D <= 3, wherever m is an integer",
            _layers,
        ),
        Exact("no other width", "m costs as much iff m^2 = r^D n^2", "r = 2, 3, 4, n <= 3, D <= 3, k = 3, m < 4 n r^2", _unequal),
        Exact("whole networks", "the difference is c n r k^2 (r - 1)^2", "r, n, c, L <= 4, k = 3, two axes", _whole),
        Exact(
            "receptive fields in PyTorch",
            "the samples read in high resolution, in low resolution, and behind nearest-neighbour upsampling",
            "r = 2, 3, 4, k, L <= 3, one axis, all taps 1",
            _fields,
        ),
    ),
    twins=(
        Twin("any number of axes", "m = r n costs as much on one axis and on three axes", by_size("r n D", {}, 3), integers_differ(_axes)),
        Twin(
            "biases included",
            "at m = r n there are r^2 times as many parameters, biases included",
            by_size("r n", {}, 4),
            integers_differ(_biases),
        ),
        Twin(
            "whole networks",
            "whole networks on two axes, first and last layer included, cost the same at m = r n",
            by_size("r n c L", {"L": 0}, 4),
            integers_differ(_ends),
        ),
        Twin(
            "r times the samples of the input",
            "a network behind nearest-neighbour upsampling reads an r-th of the samples that one in low resolution reads",
            by_size("r k", {}, 4, lambda v: v["k"] % 2 == 1),
            _seen,
        ),
    ),
    corrections=(
        "m = r n is for two axes; in general m = r^(D/2) n, and on one axis, say, no width of a layer costs what n = 1, r = 2 costs.",
        "Exactly r^2 times the parameters holds without biases; with them it is less, since there are only r times as many biases.",
        "Equal cost at m = r n is for hidden layers. The last layer has r^2 times the outputs: whole networks of equal hidden layers cost",
        "c n r k^2 (r - 1)^2 more in low resolution.",
        "r times the receptive field counts samples of the high-resolution grid. Of the samples of a low-resolution input a network behind",
        "nearest-neighbour upsampling reads an r-th or more, up to ceil((w - 1) / r) + 1 of w.",
    ),
)

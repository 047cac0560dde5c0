"""A deconvolution can be replaced by a convolution in low resolution; upsampling first cannot be undone.

Source: W. Shi et al., arXiv 1609.07009, and the misreading of it that a convolution has less representation power.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..definitions import shuffled_layer, transposed_layer
from ..same_layer.universal_lowering import lowered
from ..terms import ceiling, division, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, integers_differ, layers_differ, text
from .equal_cost import cost

s, k, K, q, x, z, h, j, phi, t, t2, w = integers("s k K q x z h j phi t t2 w")

stride = Hypothesis(s >= 1, "phases are residues modulo s")
taps = Hypothesis(k >= 1, "a layer has a tap")
SLOTS = ceiling(k, s, K)


def _low(v: Values) -> str:
    """The form that crops at both ends and has the fewest taps."""
    return shuffled_layer(lowered(v, both=True))


def _resize(v: Values) -> str:
    return f"Upsample(scale_factor={v['r']}) >> Conv1d(1, 1, {v['h']}, padding={v['h'] // 2}, bias=False)"


def _layer(v: Values) -> str:
    return f"Conv1d(1, {v['r']}, {v['K']}, padding={v['K'] // 2}, bias=False) >> PixelShuffle({v['r']})"


def forms(v: Values, axes: int) -> dict[str, Fraction]:
    """Multiplications for each low-resolution sample of four forms of one layer, 3 channels to 5."""
    step, size = v["s"], v["k"]
    slots = -(-size // step)
    found = {
        "transposed": f"ConvTranspose{axes}d(3, 5, {size}, stride={step}, bias=False)",
        "low resolution": f"Conv{axes}d(3, {5 * step**axes}, {slots}, bias=False) >> PixelShuffle({step})",
        "zero insertion": f"ZeroInsert({step}) >> Conv{axes}d(3, 5, {size}, bias=False)",
        "nearest neighbours": f"Upsample(scale_factor={step}) >> Conv{axes}d(3, 5, {size}, bias=False)",
    }
    return {name: cost(expression, axes, 3).multiplications for name, expression in found.items()}


def _costs() -> Iterator[str]:
    for axes in (1, 2, 3):
        for v in by_size("s k", {}, 7)():
            found, size, slots = forms(v, axes), v["k"], v["s"] * -(-v["k"] // v["s"])
            high = 15 * (v["s"] * size) ** axes
            wanted = [15 * size**axes, 15 * slots**axes, high, high]
            if [int(value) for value in found.values()] != wanted:
                yield f"{text(v)}, {axes} axes: {found}"
            if (found["transposed"] == found["low resolution"]) != (size % v["s"] == 0):
                yield f"{text(v)}, {axes} axes: equal cost and divisibility part"


def _instances() -> Iterator[Case]:
    for v in by_size("s k pb pe", {"s": 2, "pb": 0, "pe": 0}, 4, lambda v: v["pb"] + v["pe"] < v["k"])():
        form = lowered(v, both=True)
        if min(form["before"], form["after"]) < 0:
            continue
        slots = form["k"] * v["s"]
        relation = "equal" if slots == v["k"] else "left_in_right"
        yield Case(transposed_layer(v), _low(v), relation, left_dimension=v["k"], right_dimension=slots)


def _resizes() -> Iterator[Case]:
    for v in by_size("r h", {"r": 2}, 9, lambda v: v["h"] % 2 == 1 and v["r"] < 4)():
        relation = "left_in_right" if v["h"] // 2 <= v["r"] else "incomparable"
        yield Case(_resize(v), _layer({**v, "K": 3}), relation, left_dimension=v["h"], right_dimension=3 * v["r"])


def _dearer(v: Values) -> str | None:
    found = forms(v, 1)
    if found["transposed"] == found["low resolution"]:
        return None
    return (
        f"3 channels to 5, one axis: {found['transposed']} multiplications a low-resolution sample transposed,"
        f" {found['low resolution']} in low resolution, zero taps included"
    )


THEOREM = Theorem(
    name="replacement",
    numbers=(26,),
    group="networks",
    title="A deconvolution can be replaced by a convolution in low resolution, at the same cost iff s divides k; upsampling first cannot.",
    statement=(
        "Every transposed convolution is a convolution in low resolution of K = ceil(k / s) taps an axis, shuffling and a crop",
        "(`universal-lowering`, d = 1). For each low-resolution sample and pair of channels it multiplies k^D times, the low-resolution",
        "form (s K)^D times, with k^D taps and zeros else: the same iff s divides k, and s K <= k + s - 1.",
        "Its class is contained in that of the low-resolution form, and equal to it iff s divides k. So a convolution in low resolution",
        "never has less representation power than the deconvolution that it replaces, and has more where s does not divide k.",
        "Zero insertion and a convolution of k taps in high resolution is the same layer at s^D times the multiplications.",
        "Nearest-neighbour upsampling and a convolution of h taps in high resolution multiplies (s h)^D times. For s >= 2 and any h",
        "its class does not contain that of a low-resolution layer, even of one tap: on every axis the tap sums of its s phases agree.",
    ),
    proof=(
        "s K - k is in 0, ..., s - 1, and it is 0 iff s divides k; (s K)^D = k^D iff s K = k, as both are positive.",
        "The classes: `universal-lowering` and `bijection`. Zero insertion: `zero-insertion`, k^D multiplications for each of s^D samples.",
        "Nearest neighbours: tap j of the kernel is spread over s consecutive taps of the transposed convolution",
        "(`resize-convolution`), of which each phase has exactly one. So every phase has the tap sum of the whole kernel, whatever h is.",
        "The layer of one tap whose phases hold 0, 1, ... has unequal tap sums.",
    ),
    source="arXiv 1609.07009, second question, and common readings of it",
    scope="all s, k, h; counts from symconv for s, k <= 7, D <= 3; classes by the engine for s, k <= 4 and r = 2, 3, h <= 9",
    hypotheses=(stride, taps),
    obligations=(
        Obligation("fewer than s zeros an axis", (SLOTS,), within(s * K - k, s)),
        Obligation("no zeros if s divides k: times s", (SLOTS, k == s * q, z == K - q), within(s * z, s)),
        Obligation("no zeros if s divides k", (within(s * z, s),), z == 0),
        Obligation("s divides k if there are no zeros", (s * K - k == 0,), k == s * K),
        Obligation("equal cost on two axes: factored", (z == x - k, x * x == k * k), z * (x + k) == 0),
        Obligation("equal cost on two axes: no zeros", (taps.formula, x >= k, z == x - k, z * (x + k) == 0), z == 0),
        Obligation(
            "nearest neighbours: a tap in every phase", (division(phi - (h - 1 - j), s, w, q), t == h - 1 - j + q), t + s * w == phi
        ),
        Obligation(
            "nearest neighbours: no other, times s", (t - t2 == s * w, within(t - (h - 1 - j), s), within(t2 - (h - 1 - j), s)), s * w < s
        ),
        Obligation("nearest neighbours: no other", (stride.formula, s * w < s, s * w > 0 - s), w == 0),
    ),
    exact=(
        Exact(
            "multiplications",
            "symconv's counts of the four forms are those of the formulas; transposed and low resolution agree iff s divides k",
            "s, k <= 7, 3 channels to 5, D <= 3",
            _costs,
        ),
    ),
    agreements=(
        Agreement(
            "engine", "inside, and equal iff s divides k", "2 <= s <= 4, k <= 4, pb + pe < k, no negative low-resolution pads", _instances
        ),
        Agreement(
            "upsampling first",
            "resize-convolutions of 1 to 9 taps never contain the layer of 3 taps in low resolution; inside iff the taps fit",
            "r = 2, 3, h = 1, 3, 5, 7, 9, one axis",
            _resizes,
        ),
    ),
    twins=(
        Twin(
            "at the same cost for every kernel",
            "the low-resolution form costs what the deconvolution costs",
            by_size("s k", {}, 4),
            integers_differ(_dearer),
        ),
        Twin(
            "the convolution has less representation power",
            "the low-resolution class is inside that of the deconvolution which it replaces",
            by_size("s k", {"s": 2}, 4),
            layers_differ(_low, transposed_layer, ("equal", "left_in_right")),
        ),
        Twin(
            "upsampling first can be undone",
            "nearest-neighbour upsampling and a large kernel, of 4 r + 1 taps, contains every low-resolution layer of one tap",
            by_size("r", {"r": 2}, 4),
            layers_differ(lambda v: _layer({**v, "K": 1}), lambda v: _resize({**v, "h": 4 * v["r"] + 1}), ("equal", "left_in_right")),
        ),
    ),
    corrections=(
        "Always replaced, but at the same cost only if s divides k; otherwise zeros are multiplied, unless an implementation skips them.",
        "Upsampling first cannot be undone where the upsampling is fixed. A free transposed convolution whose kernel s divides is a",
        "low-resolution convolution and back (`note-form`); zero insertion first is the same layer, only dearer.",
    ),
)

"""A convolution in high resolution, between shufflings, is a convolution in low resolution.

Source: W. Shi et al., Is the deconvolution layer the same as a convolutional layer? arXiv 1609.07009, second question, made precise.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

from ..definitions import conv, reach
from ..terms import ceiling, division, equivalent, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, layers_differ, text
from .execution import draw, evaluate, lift

r, k, d, pb, pe, n, o, p, i, j, j2 = integers("r k d pb pe n o p i j j2")
q, a, b, u, B, A, K, E, M, x, out = integers("q a b u B A K E M x out")

factor = Hypothesis(r >= 1, "phases are residues modulo r")
dilation = Hypothesis(d >= 1, "two taps may not share an offset, or a slot would receive both")

OUTPUT = division(o, r, q, a)
INPUT = (p == r * i + b) & within(b, r)
SLOT = u == i - q + B
BEFORE = ceiling(pb, r, B)
AFTER = ceiling(reach(k, d) - 1 - pb, r, A)
LARGE = ceiling(pb + pe - (reach(k, d) - 1), r, E)
EXTENT = r * n + pb + pe - (reach(k, d) - 1) == M
TAP = conv(o, p, j, s=1, k=k, d=d, pb=pb)


def reshuffle(j: Any, a: Any, b: Any, u: Any, *, r: Any, d: Any, pb: Any, before: Any) -> Any:
    """Slot u from phase b to phase a holds tap j: d j = r (u - before) + b - a + pb."""
    return d * j == r * (u - before) + b - a + pb


RESHUFFLE = reshuffle(j, a, b, u, r=r, d=d, pb=pb, before=B)


def lowered(values: Values) -> dict[str, int]:
    """The low-resolution convolution: taps, pads, and the samples cropped behind the shuffling."""
    v = {"d": 1} | dict(values)
    extent, step = int(reach(v["k"], v["d"])), v["r"]
    before, after = -(-v["pb"] // step), -(-(extent - 1 - v["pb"]) // step)
    more = -(-(v["pb"] + v["pe"] - extent + 1) // step)
    back = step * more - (v["pb"] + v["pe"] - extent + 1)
    return {"r": step, "k": before + after + 1, "before": before, "after": after + more, "back": back}


def high_layer(values: Values, mode: str = "zeros") -> str:
    """Shuffling, then a convolution of k taps in high resolution, on one axis."""
    v = {"d": 1} | dict(values)
    if mode != "zeros":
        return f"PixelShuffle({v['r']}) >> Conv1d(1, 1, {v['k']}, padding={v['pb']}, padding_mode='{mode}', bias=False)"
    pad = f"ZeroPad1d(({v['pb']}, {v['pe']})) >> " if v["pb"] or v["pe"] else ""
    return f"PixelShuffle({v['r']}) >> {pad}Conv1d(1, 1, {v['k']}, dilation={v['d']}, bias=False)"


def low_layer(values: Values, mode: str = "zeros") -> str:
    """A convolution in low resolution, shuffling, and a crop at the end."""
    v = {"back": 0} | dict(values)
    channels = f"{v['r']}, {v['r']}"
    if mode != "zeros":
        return f"Conv1d({channels}, {v['k']}, padding={v['before']}, padding_mode='{mode}', bias=False) >> PixelShuffle({v['r']})"
    pad = f"ZeroPad1d(({v['before']}, {v['after']})) >> " if v["before"] or v["after"] else ""
    crop = f" >> Crop((0, {v['back']}))" if v["back"] else ""
    return f"{pad}Conv1d({channels}, {v['k']}, bias=False) >> PixelShuffle({v['r']}){crop}"


def _entries() -> Iterator[str]:
    """Every entry of symconv's tables of both layers, against the formulas evaluated at integers."""
    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.denote import ExtentRejected, denote

    for values in by_size("r k d pb pe", {"pb": 0, "pe": 0}, 3, lambda v: v["d"] < 3)():
        form = lowered(values)
        for extent in (1, 2, 4):
            sides = [flatten(parse(layer)) for layer in (high_layer(values), low_layer(form))]
            try:
                high, low = (denote(side, values["r"], (extent,)) for side in sides)
            except ExtentRejected:
                continue
            if high.out_shape != low.out_shape:
                yield f"{text(values)}, extent {extent}: output extents {high.out_shape[1]} and {low.out_shape[1]}"
                continue
            for at, phase, sample in itertools.product(range(high.out_shape[1]), range(values["r"]), range(extent)):
                if problem := _entry(values, form, high, low, (at, phase, sample)):
                    yield f"{text(values)}, extent {extent}: {problem}"


def _entry(v: Values, form: Values, high: Any, low: Any, place: tuple[int, int, int]) -> str | None:
    """Output sample, phase and input sample: the taps that both tables hold there, and those of the formulas."""
    at, phase, sample = place
    block, turn = divmod(at, v["r"])
    held = {param[3] for param in high.entries[0, at].get((phase, sample), {})}
    position = v["r"] * sample + phase
    said = {tap for tap in range(v["k"]) if conv(at, position, tap, s=1, k=v["k"], d=v["d"], pb=v["pb"])}
    slots = {param[1:] for param in low.entries[0, at].get((phase, sample), {})}
    slot = sample - block + form["before"]
    if slots != ({(turn, phase, slot)} if 0 <= slot < form["k"] else set()):
        return f"entry {place} of the low-resolution layer holds {slots}"
    shared = {"r": v["r"], "d": v["d"], "pb": v["pb"], "before": form["before"]}
    moved = {tap for _, _, u in slots for tap in range(v["k"]) if reshuffle(tap, turn, phase, u, **shared)}
    if not held == said == moved:
        return f"entry {place} holds the taps {held}, by formula {said}, in low resolution {moved}"
    return None


def _instances() -> Iterator[Case]:
    for values in by_size("r k d pb pe", {"r": 2, "pb": 0, "pe": 0}, 4, lambda v: v["d"] < 3 and v["r"] < 4 and v["pb"] + v["pe"] <= 4)():
        form = lowered(values)
        if min(form["before"], form["after"]) < 0:  # crops in low resolution reject small extents
            continue
        size = form["k"] * values["r"] ** 2
        yield Case(high_layer(values), low_layer(form), "left_in_right", left_dimension=values["k"], right_dimension=size)
    high, low = "Conv2d(3, 2, 3, padding=1)", "Conv2d(12, 8, 3, padding=1)"
    yield Case(f"PixelShuffle(2) >> {high}", f"{low} >> PixelShuffle(2)", "left_in_right", left_dimension=56, right_dimension=872)
    high, low = "Conv3d(1, 1, 5, padding=2, bias=False)", "Conv3d(27, 27, 3, padding=1, bias=False)"
    yield Case(f"PixelShuffle(3) >> {high}", f"{low} >> PixelShuffle(3)", "left_in_right", left_dimension=125, right_dimension=27**3)


HEADS = (
    ("ConvTranspose2d(1, 2, 4, stride=2, padding=1)", "Conv2d(1, 8, 3, padding=1) >> PixelShuffle(2)"),
    ("ConvTranspose2d(1, 2, 6, stride=3, padding=2, output_padding=1)", "Conv2d(1, 18, 3, padding=1) >> PixelShuffle(3)"),
    ("Upsample(scale_factor=2) >> Conv2d(1, 2, 3, padding=1)", "Conv2d(1, 8, 3, padding=1) >> PixelShuffle(2)"),
    ("ZeroInsert(2) >> ZeroPad2d((2, 3, 2, 3)) >> Conv2d(1, 2, 5)", "Conv2d(1, 8, 3, padding=1) >> PixelShuffle(2)"),
)
"""What networks begin with, and a low-resolution layer that contains it."""


def _heads() -> Iterator[Case]:
    for head, low in HEADS:
        yield Case(head, low, "left_in_right")


def _networks() -> Iterator[str]:
    """Three layers with ReLU and biases, in PyTorch: in high resolution, and lifted."""
    chance = random.Random(22)
    for r, k, extents in itertools.product((2, 3), (1, 3, 5), ((1, 1), (2, 3), (4, 3))):
        up = f"ConvTranspose2d(1, 2, {r}, stride={r})"
        wide, size, taps = 2 * r * r, k // 2, 2 * -(-(k // 2) // r) + 1
        high = f"{up} >> ReLU() >> Conv2d(2, 2, {k}, padding={size}) >> ReLU() >> Conv2d(2, 1, {k}, padding={size})"
        inner = f"Conv2d({wide}, {{}}, {taps}, padding={taps // 2})"
        low = f"Conv2d(1, {wide}, 1) >> ReLU() >> {inner.format(wide)} >> ReLU() >> {inner.format(r * r)} >> PixelShuffle({r})"
        first, second, third = draw(chance, (1, 2, r, r)), draw(chance, (2, 2, k, k)), draw(chance, (1, 2, k, k))
        biases = [draw(chance, (channels,)) for channels in (2, 2, 1)]
        lifted = [first.transpose(1, 2, 3, 0).reshape(wide, 1, 1, 1), lift(second, r, size), lift(third, r, size)]
        tied = [bias.repeat(r * r) for bias in biases]
        x = draw(chance, (1, 1, *extents))
        one = evaluate(high, list(zip((first, second, third), biases, strict=True)), x)
        two = evaluate(low, list(zip(lifted, tied, strict=True)), x)
        if one.shape != two.shape or (one != two).any():
            yield f"r={r}, k={k}, extent {extents[0]}x{extents[1]}: the two networks differ"


def _circular() -> Iterator[Case]:
    for values in by_size("r k", {"r": 2}, 5, lambda v: v["k"] % 2 == 1 and v["r"] < 4)():
        v = {**values, "pb": values["k"] // 2, "pe": values["k"] // 2}
        yield Case(high_layer(v, "circular"), low_layer(lowered(v), "circular"), "left_in_right", left_dimension=v["k"])


THEOREM = Theorem(
    name="high-in-low",
    numbers=(22,),
    group="networks",
    title="Every convolution in high resolution is, between shufflings, one in low resolution; of no more taps if d = 1 and 0 <= pb < k.",
    statement=(
        "Per axis let B = ceil(pb / r), A = ceil((ke - 1 - pb) / r), k' = A + B + 1 and E = ceil((pb + pe - ke + 1) / r).",
        "Then, borders included,",
        "Conv_HR(k, d, pb, pe) . PS(r) = Crop(0, r E - (pb + pe - ke + 1)) . PS(r) . Conv_LR(k', pads B and A + E)",
        "with the kernel W[(o, a), (c, b), u] = w[o, c, j] where d j = r (u - B) + b - a + pb, and 0 where there is no such tap j;",
        "o and c are channels in high resolution, a and b phases of the output and of the input.",
        "Nothing is cropped iff r divides pb + pe - ke + 1; where the extent is kept, pb + pe = ke - 1, also E = 0: n goes to n.",
        "If d = 1 and 0 <= pb <= k - 1 then k' <= k, and k' < k iff r >= 2 and one of pb and k - 1 - pb is at least 2.",
        "For r >= 2 the class is strictly smaller: (k / (r^2 k'))^D of the dimension for each pair of channels.",
        "Hence a network that begins with a zero-padded transposed convolution (nearest-neighbour upsampling and zero insertion",
        "included) whose output extents are multiples of r, and goes on with extent-keeping zero-padded convolutions and pointwise",
        "functions in high resolution, is a network in low resolution with r^D times the channels, followed by one shuffling;",
        "biases become biases, each tied over r^D channels.",
    ),
    proof=(
        "Write the output sample as o = r q + a and the position that is read as p = r i + b. Then p = o + d j - pb says",
        "d j = r (i - q) + b - a + pb, and i - q = u - B names the only slot. So entry and slot hold the same tap.",
        "0 <= j < k gives r u > -r and r (u - B - A) < r, hence 0 <= u < k': no tap is lost, and a slot without a tap holds zero.",
        "The position r i + b is inside the high-resolution signal, 0 <= r i + b < r n, iff 0 <= i < n: both sides read the same zeros.",
        "The low-resolution output has n + E samples and r (n + E) exceeds the output extent by less than r.",
        "B <= pb and A <= k - 1 - pb, since ceil(t / r) <= t for integers t >= 0, with equality iff r = 1 or t <= 1.",
        "A network: the first layer is PS . Conv_LR (`universal-lowering`, no crop), a pointwise function passes PS (`pointwise`),",
        "and each convolution passes it by the above; at the end one PS is left.",
    ),
    source="arXiv 1609.07009, second question; in Rocq too: hr_convolution_is_lr, hr_extent, hr_taps_bound in proofs/rocq",
    scope="all r, k, d, pb, pe, n, channels; borders included; networks by composition, instances of two axes by the engine",
    hypotheses=(factor, dilation),
    obligations=(
        Obligation("one equation", (OUTPUT, INPUT, SLOT), equivalent(TAP.args[0], RESHUFFLE)),
        Obligation("offsets grow with the tap", (dilation.formula, j < k), d * j <= d * (k - 1)),
        Obligation("no tap before the first slot: times r", (BEFORE, dilation.formula, j >= 0, a >= 0, b < r, RESHUFFLE), r * u > 0 - r),
        Obligation("no tap before the first slot", (factor.formula, r * u > 0 - r), u >= 0),
        Obligation(
            "no tap after the last slot: times r",
            (AFTER, d * j <= d * (k - 1), a < r, b >= 0, RESHUFFLE, x == u - B - A),
            r * x < r,
        ),
        Obligation("no tap after the last slot", (factor.formula, r * x < r, x == u - B - A, K == A + B + 1), u < K),
        Obligation("one tap a slot", (dilation.formula, RESHUFFLE, reshuffle(j2, a, b, u, r=r, d=d, pb=pb, before=B)), j == j2),
        Obligation("inside one signal, inside the other: before", (factor.formula, within(b, r)), equivalent(r * i + b >= 0, i >= 0)),
        Obligation("inside one signal, inside the other: after, times r", (within(b, r), r * i + b < r * n, x == n - i), r * x >= 1),
        Obligation("inside one signal, inside the other: after", (factor.formula, r * x >= 1, x == n - i), i < n),
        Obligation("inside the other, inside the one: after, times r", (factor.formula, x >= 1), r * x >= r),
        Obligation("inside the other, inside the one: after", (within(b, r), r * x >= r, x == n - i), r * i + b < r * n),
        Obligation("enough output samples, and less than r to spare", (LARGE, EXTENT), within(r * (n + E) - M, r)),
        Obligation("the low-resolution extent", (K == A + B + 1,), n + B + (A + E) - K + 1 == n + E),
        Obligation("no output sample beyond: times r", (o < M, r * (n + E) - M >= 0, OUTPUT, x == n + E - q), r * x >= 1),
        Obligation("no output sample beyond", (factor.formula, r * x >= 1, x == n + E - q), q < n + E),
        Obligation("the extent is kept: times r", (pb + pe == reach(k, d) - 1, LARGE), within(r * E, r)),
        Obligation("the extent is kept", (factor.formula, within(r * E, r)), E == 0),
        Obligation("no more pad than in high resolution", (factor.formula, pb >= 0, BEFORE), pb >= B),
        Obligation("less pad than in high resolution", (r >= 2, pb >= 2, BEFORE), pb > B),
        Obligation("a pad of at most 1 is kept", (factor.formula, within(pb, 2), BEFORE), pb == B),
        Obligation(
            "no more taps than in high resolution",
            (d == 1, pb >= B, reach(k, d) - 1 - pb >= A, K == A + B + 1),
            k >= K,
            "A is to k - 1 - pb what B is to pb",
        ),
    ),
    exact=(
        Exact(
            "the formulas are symconv's layers",
            "entry by entry both tables hold the taps of the formulas, and the extents agree",
            "r, k, pb, pe <= 3, d <= 2, extents 1, 2, 4",
            _entries,
        ),
        Exact(
            "networks",
            "a network of a transposed convolution and two convolutions with ReLU and biases gives the same integers lifted, in PyTorch",
            "r = 2, 3, k = 1, 3, 5, two axes, extents 1x1, 2x3, 4x3, random integer weights",
            _networks,
        ),
    ),
    agreements=(
        Agreement(
            "engine",
            "strictly inside, dimensions k and r^2 k'; with channels and biases on two axes; on three axes",
            "r = 2, 3, k <= 4, d <= 2, pb + pe <= 4, low-resolution pads not negative; Conv2d(3, 2, 3), r = 2; Conv3d(1, 1, 5), r = 3",
            _instances,
        ),
        Agreement(
            "first layers",
            "what networks begin with is a low-resolution layer and shuffling, biases included",
            "transposed convolutions with r = 2 and r = 3, nearest neighbours, zero insertion; two axes",
            _heads,
        ),
        Agreement("circular padding", "the same holds with circular padding on both sides", "r = 2, 3, k = 1, 3, 5", _circular),
    ),
    twins=(
        Twin(
            "any padding mode",
            "the same holds with replicate padding on both sides",
            by_size("r k", {"r": 2}, 4, lambda v: v["k"] % 2 == 1),
            layers_differ(
                lambda v: high_layer({**v, "pb": v["k"] // 2, "pe": v["k"] // 2}, "replicate"),
                lambda v: low_layer(lowered({**v, "pb": v["k"] // 2, "pe": v["k"] // 2}), "replicate"),
                ("equal", "left_in_right"),
            ),
        ),
        Twin(
            "cropped in between",
            "it still holds if the shuffled signal is cropped before the convolution, and the low-resolution form cropped at the end",
            by_size("r k", {"r": 2}, 4, lambda v: v["k"] % 2 == 1),
            layers_differ(
                lambda v: f"PixelShuffle({v['r']}) >> Crop((0, 1)) >> Conv1d(1, 1, {v['k']}, padding={v['k'] // 2}, bias=False)",
                lambda v: f"Conv1d({v['r']}, {v['r']}, 3, padding=1, bias=False) >> PixelShuffle({v['r']}) >> Crop((0, 1))",
                ("equal", "left_in_right"),
            ),
        ),
        Twin(
            "ceil(k / r) taps",
            "a kernel of k taps in high resolution needs ceil(k / r) taps in low resolution, as a transposed convolution does",
            by_size("r k", {"r": 2}, 5, lambda v: v["k"] % 2 == 1 and -(-v["k"] // v["r"]) % 2 == 1),
            layers_differ(
                lambda v: high_layer({**v, "pb": v["k"] // 2, "pe": v["k"] // 2}),
                lambda v: (
                    f"Conv1d({v['r']}, {v['r']}, {-(-v['k'] // v['r'])}, padding={-(-v['k'] // v['r']) // 2}, bias=False)"
                    f" >> PixelShuffle({v['r']})"
                ),
                ("equal", "left_in_right"),
            ),
        ),
    ),
    corrections=(
        "k' <= k holds for k = 1 too; what it needs is 0 <= pb <= k - 1. For k = 1 with pads 1 and -1, r >= 2, k' is 2.",
        "The extent need not be kept: any pads do, with a crop of fewer than r samples at the end; no crop iff r divides pb + pe - ke + 1.",
        "The consequence for networks needs output extents of the first layer that are multiples of r: after a crop the next convolution",
        "reads zeros where a low-resolution network has samples. It covers zero and circular padding, not replicate or reflect padding;",
        "so a network behind linear or bicubic upsampling is a low-resolution network in the interior only (`interpolation`).",
    ),
)

"""Paddings of TensorFlow, JAX and ONNX in PyTorch's terms.

Source: tf.nn.convolution and tf.nn.conv2d_transpose; jax.lax.conv_transpose; ONNX Conv-11 and ConvTranspose-11, attributes auto_pad
and output_shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..definitions import grid, reach, transposed_extent, transposed_layer
from ..terms import ceiling, division, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, integers_differ, layers_differ, text

s, k, d, n, m, pb, pe, p, op, total, e, length, front, q, z, x, out = integers("s k d n m pb pe p op total e length front q z x out")

stride = Hypothesis(s >= 1, "an output sample every s input samples")
SAME = ceiling(n, s, m)
HALVES = division(total, 2, pb, e)
"""pb = floor(total / 2), the rest at the end: TensorFlow, and ONNX's SAME_UPPER."""


def _same(v: Values) -> tuple[int, int]:
    """The padding of SAME at extent n; v["lower"] is 1 for SAME_LOWER."""
    extent = reach(v["k"], v["d"])
    total = max((-(-v["n"] // v["s"]) - 1) * v["s"] + extent - v["n"], 0)
    first = -(-total // 2) if v["lower"] else total // 2
    return first, total - first


def _has_one_padding(v: Values) -> bool:
    """Whether the statement says that one padding serves every extent."""
    extent = reach(v["k"], v["d"])
    return v["s"] == 1 or extent == 1 or (extent == 2 and not v["lower"]) or (v["s"] == 2 and extent % 2 == v["lower"])


def _serves(v: Values, pads: tuple[int, int]) -> bool:
    """Whether the convolution with these pads reads what SAME reads at all extents up to two strides beyond the kernel."""

    def reads(n: int, sides: tuple[int, int]) -> list[list[tuple[int, int]]]:
        """For each output sample the taps and the input samples that they meet."""
        extent = (n + sum(sides) - reach(v["k"], v["d"])) // v["s"] + 1
        places = [[(j, v["s"] * o + v["d"] * j - sides[0]) for j in range(v["k"])] for o in range(extent)]
        return [[(j, i) for j, i in line if 0 <= i < n] for line in places]

    return all(reads(n, pads) == reads(n, _same({**v, "n": n})) for n in range(1, reach(v["k"], v["d"]) + 2 * v["s"] + 1))


def _one_padding() -> Iterator[str]:
    for v in grid(k=(1, 2, 3, 4), s=(1, 2, 3), d=(1, 2), lower=(0, 1))():
        whole = reach(v["k"], v["d"]) - 1
        found = [pads for pads in itertools.product(range(whole + 2), range(whole + 2)) if _serves(v, pads)]
        wanted = -(-whole // 2) if v["lower"] else whole // 2
        if bool(found) != _has_one_padding(v) or (found and (wanted, whole - wanted) not in found):
            yield f"{text(v)}: {found} serve every extent"


def _none(values: Values) -> str | None:
    """No padding at all serves every extent."""
    v = {**values, "d": 1, "lower": 0}
    whole = values["k"] - 1
    if any(_serves(v, pads) for pads in itertools.product(range(whole + 2), range(whole + 2))):
        return None
    return f"SAME pads {' and '.join(str(_same({**v, 'n': n})) for n in (values['k'] + 2, values['k'] + 3))} at two extents"


def _tensorflow(v: Values) -> str:
    """TensorFlow's SAME transposed convolution for k >= s: total k - s, the odd sample at the end."""
    total = v["k"] - v["s"]
    return transposed_layer({"k": v["k"], "s": v["s"], "pb": total // 2, "pe": total - total // 2})


def _symmetric(v: Values) -> str:
    """What PyTorch offers with the same extents: padding ceil(total / 2) and output_padding for the rest."""
    total = v["k"] - v["s"]
    pad = -(-total // 2)
    return f"ConvTranspose1d(1, 1, {v['k']}, stride={v['s']}, padding={pad}, output_padding={2 * pad - total}, bias=False)"


def _instances() -> Iterator[Case]:
    for v in by_size("k s", {"s": 2}, 6, lambda v: v["k"] >= v["s"])():
        relation = "equal" if (v["k"] - v["s"]) % 2 == 0 else "incomparable"
        yield Case(_tensorflow(v), _symmetric(v), relation)


def _same_convolution() -> Iterator[str]:
    """TensorFlow's SAME convolution, enumerated: its extent, and that the padding changes with n for s > 1."""
    for v in by_size("k s n", {}, 7)():
        k, s, n = v["k"], v["s"], v["n"]
        m = -(-n // s)
        total = max((m - 1) * s + k - n, 0)
        if (n + total - k) // s + 1 != m:
            yield f"{text(v)}: extent {(n + total - k) // s + 1}, not {m}"


THEOREM = Theorem(
    name="conventions",
    numbers=(29,),
    group="arithmetic",
    title="TensorFlow's, JAX's and ONNX's paddings are pairs (pb, pe) by one rule each; symmetric ones exist iff the total is even.",
    statement=(
        "SAME convolution (TensorFlow, ONNX): m = ceil(n / s), total = max((m - 1) s + ke - n, 0), pb = floor(total / 2) or, for",
        "SAME_LOWER, the rest. For s = 1 the total is ke - 1 at every n; for s > 1 it depends on n mod s. One fixed padding serves all n",
        "iff s = 1, or ke = 1, or for SAME_UPPER ke = 2, or s = 2 and ke is even (SAME_LOWER: odd): pb = floor((ke - 1) / 2) (SAME_LOWER:",
        "its ceiling), pe = ke - 1 - pb. So (1, 2) is TensorFlow's SAME for k = 4, s = 2, and for k = 3, s = 2 there is none.",
        "SAME transposed convolution, ke >= s: pb + pe = ke - s and op = 0 give m = n s.",
        "ONNX with output_shape: pb + pe = s (n - 1) + op + ke - m.",
        "JAX conv_transpose: pb = k - 1 - pad_a, pe = k - 1 - pad_b; SAME gives m = n s with pb = floor((k - s) / 2) for k > s.",
        "VALID gives m = n s + max(k - s, 0).",
        "PyTorch's symmetric p with output_padding gives the extent n s iff 2 p - op = ke - s. If ke - s is odd, then p is larger than",
        "floor((ke - s) / 2), and the layer is TensorFlow's shifted by the difference, one sample for op = 1: the shapes agree and the",
        "classes do not.",
        "For s = d = 1 output_padding must be 0, and for even k no symmetric padding keeps the extent.",
    ),
    proof=(
        "Put each convention's paddings into the extent formulas. If n <= s m < n + s then the total of SAME brings back m: either it",
        "makes n + total - ke = (m - 1) s, or it is 0 and n - ke lies less than s above.",
        "One padding: the outputs read from s o - pb on, so pb may not change with n. The total is largest, ke - 1, where s divides n - 1,",
        "and least, max(ke - s, 0), where s divides n. Their halves, rounded one way, agree iff both are 0 (or 0 and 1, rounded down), or",
        "they differ by one and the rounding hides it, or s = 1. Then the largest total serves all n: for less of it the rest is not read.",
        "2 p - op = 2 pb + 1 with p = pb would need op = -1.",
    ),
    source="TensorFlow's guide to padding; jax.lax.conv_transpose; ONNX operators Conv-11, ConvTranspose-11",
    scope="all k, s, d, n, pads; one padding for SAME on paper, computed for k <= 4, s <= 3; classes by the engine for k, s <= 6",
    hypotheses=(stride,),
    obligations=(
        Obligation(
            "SAME convolution: padded to fit",
            (stride.formula, total == (m - 1) * s + reach(k, d) - n),
            division(n + total - reach(k, d), s, m - 1, 0),
        ),
        Obligation(
            "SAME convolution: no padding needed",
            (SAME, (m - 1) * s + reach(k, d) - n <= 0, reach(k, d) >= 1, z == n - reach(k, d) - s * (m - 1)),
            within(z, s),
        ),
        Obligation(
            "SAME convolution at unit stride: one padding for every n",
            (s == 1, SAME, total == (m - 1) * s + reach(k, d) - n),
            total == reach(k, d) - 1,
        ),
        Obligation(
            "SAME transposed convolution",
            (pb + pe == reach(k, d) - s,),
            transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=0) == n * s,
        ),
        Obligation(
            "ONNX output_shape",
            (pb + pe == s * (n - 1) + op + reach(k, d) - out,),
            transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == out,
        ),
        Obligation(
            "JAX SAME: the extent",
            (length == k + s - 2, pb == k - 1 - front, pe == k - 1 - (length - front)),
            transposed_extent(n, s=s, k=k, d=1, pb=pb, pe=pe, op=0) == n * s,
        ),
        Obligation(
            "JAX SAME: TensorFlow's alignment",
            (ceiling(k + s - 2, 2, front), pb == k - 1 - front),
            (2 * pb <= k - s) & (k - s <= 2 * pb + 1),
        ),
        Obligation(
            "JAX VALID: the extent, x = max(k - s, 0)",
            (length == k + s - 2 + x, pb == 0, pe == k - 1 - (length - (k - 1))),
            transposed_extent(n, s=s, k=k, d=1, pb=pb, pe=pe, op=0) == n * s + x,
        ),
        Obligation(
            "symmetric padding: the extent",
            (2 * p - op == reach(k, d) - s,),
            transposed_extent(n, s=s, k=k, d=d, pb=p, pe=p, op=op) == n * s,
        ),
        Obligation("odd total: symmetric padding is another alignment", (HALVES, e == 1, op >= 0, 2 * p - op == total), p >= pb + 1),
        Obligation("even total: the same alignment", (HALVES, op == 0, 2 * p - op == total), p == pb),
        Obligation(
            "unit stride and dilation, even kernel: the difference is odd",
            (s == 1, within(op, s), k == 2 * q, x == q - p, z == (2 * p - op) - (k - s)),
            z == 1 - 2 * x,
            "PyTorch asks for an output padding below the stride or the dilation",
        ),
        Obligation("unit stride and dilation, even kernel: no symmetric padding", (z == 1 - 2 * x,), z != 0),
    ),
    exact=(
        Exact("SAME convolution", "the extent is ceil(n / s)", "k, s, n <= 7", _same_convolution),
        Exact(
            "one padding for SAME convolution",
            "which paddings give the matrix of SAME at all extents; the one named is among them",
            "k <= 4, s <= 3, d <= 2, both roundings, pads up to ke, extents up to ke + 2 s",
            _one_padding,
        ),
    ),
    agreements=(Agreement("engine", "symmetric padding is TensorFlow's layer iff k - s is even", "k, s <= 6, s <= k, s >= 2", _instances),),
    twins=(
        Twin(
            "one padding for every extent",
            "some fixed padding is TensorFlow's SAME convolution at every extent, for every kernel and stride",
            by_size("k s", {}, 4),
            integers_differ(_none),
        ),
        Twin(
            "TensorFlow's SAME with output_padding",
            "padding ceil((k - s) / 2) and output_padding make PyTorch's layer TensorFlow's",
            by_size("k s", {"s": 2}, 6, lambda v: v["k"] >= v["s"]),
            layers_differ(_tensorflow, _symmetric),
        ),
    ),
    corrections=(
        "That SAME with a stride has no fixed padding is not so for every kernel: for s = 2 and even ke, say k = 4, one does, since the",
        "totals differ at the end only, where the sample more is not read.",
        "A symmetric padding with the right extent exists in PyTorch for odd ke - s too, with an output padding, unless s = d = 1, which",
        "allows none; but it is another layer then. Equal extents are not equal layers.",
    ),
)

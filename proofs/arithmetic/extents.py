"""Output extents: the fifteen relationships of the guide to convolution arithmetic, from PyTorch's formulas.

Source: V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import CONV, TRANSPOSED, grid, reach, transposed_extent
from ..terms import Term, division, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, text

s, k, d, p, n, m, z, a, h = integers("s k d p n m z a h")

stride = Hypothesis(s >= 1, "an output sample every s input samples")
EXTENT = division(n + 2 * p - reach(k, d), s, m - 1, z)
"""m is PyTorch's output extent of Conv(k, s, p, d) at extent n."""


def _back(op: Term | int, pad: Term | int) -> Term:
    """The output extent of ConvTranspose(k, s, pad, op) at extent m."""
    out: Term = transposed_extent(m, s=s, k=k, d=d, pb=pad, pe=pad, op=op)
    return out


UNIT = (s == 1, d == 1, EXTENT)
PLAIN = (d == 1, EXTENT)

RELATIONSHIPS = (
    Obligation("relationship 1: no padding, unit stride", (*UNIT, p == 0), m == n - k + 1),
    Obligation("relationship 2: padding, unit stride", UNIT, m == n - k + 2 * p + 1),
    Obligation("relationship 3: half padding, odd kernel", (*UNIT, k == 2 * h + 1, p == h), m == n),
    Obligation("relationship 4: full padding", (*UNIT, p == k - 1), m == n + (k - 1)),
    Obligation("relationship 5: no padding, stride", (*PLAIN, p == 0), division(n - k, s, m - 1, z)),
    Obligation("relationship 6: padding, stride", PLAIN, division(n + 2 * p - k, s, m - 1, z)),
    Obligation(
        "relationship 7: pooling", (*PLAIN, p == 0), division(n - k, s, m - 1, z), "a pooling window is a kernel without taps of its own"
    ),
    Obligation("relationship 8: transposed, no padding, unit stride", (*UNIT, p == 0), (_back(0, 0) == n) & (_back(0, 0) == m + (k - 1))),
    Obligation("relationship 9: transposed, padding, unit stride", UNIT, (_back(0, p) == n) & (_back(0, p) == m + (k - 1) - 2 * p)),
    Obligation("relationship 10: transposed, half padding", (*UNIT, k == 2 * h + 1, p == h), (_back(0, p) == n) & (_back(0, p) == m)),
    Obligation("relationship 11: transposed, full padding", (*UNIT, p == k - 1), (_back(0, p) == n) & (_back(0, p) == m - (k - 1))),
    Obligation(
        "relationship 12: transposed, stride, divisible", (*PLAIN, p == 0, z == 0), (_back(0, 0) == n) & (_back(0, 0) == s * (m - 1) + k)
    ),
    Obligation(
        "relationship 13: transposed, padding, stride, divisible",
        (*PLAIN, z == 0),
        (_back(0, p) == n) & (_back(0, p) == s * (m - 1) + k - 2 * p),
    ),
    Obligation(
        "relationship 14: transposed, any extent", (*PLAIN, a == z), (_back(a, p) == n) & (_back(a, p) == s * (m - 1) + a + k - 2 * p)
    ),
    Obligation("relationship 15: dilation", (EXTENT,), division(n + 2 * p - k - (k - 1) * (d - 1), s, m - 1, z)),
    Obligation(
        "no other output padding gives the extent back, and PyTorch takes it",
        (stride.formula, EXTENT, _back(a, p) == n),
        (a == z) & within(a, s),
    ),
)


def _run(layer: str, n: int) -> int:
    """PyTorch's own output extent; 0 if it refuses."""
    import torch

    from symconv.conformance.torch_oracle import to_module
    from symconv.frontends.text import parse

    try:
        return int(to_module(parse(layer), 1)(torch.zeros((1, 1, n), dtype=torch.float64)).shape[-1])
    except RuntimeError:
        return 0


def _pytorch() -> Iterator[str]:
    for v in grid(n=(3, 6, 7), k=(1, 2, 3), s=(1, 2, 3), p=(0, 1), d=(1, 2))():
        n, k, s, p, d = v["n"], v["k"], v["s"], v["p"], v["d"]
        room = n + 2 * p - d * (k - 1) - 1
        out = max(0, room // s + 1)
        shared = f"1, 1, {k}, stride={s}, padding={p}, dilation={d}"
        if _run(f"Conv1d({shared})", n) != out:
            yield f"{text(v)}: PyTorch gives {_run(f'Conv1d({shared})', n)}, not {out}"
        if out and _run(f"ConvTranspose1d({shared}, output_padding={room % s})", out) != n:
            yield f"{text(v)}: the transposed convolution does not give {n} back"


def _not_back(values: Values) -> Counterexample | None:
    """Relationship 13 where s does not divide n + 2 p - k."""
    n, k, s, p = (values[name] for name in ("n", "k", "s", "p"))
    m = _run(f"Conv1d(1, 1, {k}, stride={s}, padding={p})", n)
    back = _run(f"ConvTranspose1d(1, 1, {k}, stride={s}, padding={p})", m) if m else n
    if back == n:
        return None
    return Counterexample(values, f"{text(values)}: convolution gives extent {m}, transposed convolution {back}, not {n}", True)


def _not_same(values: Values) -> Counterexample | None:
    """Half padding with an even kernel."""
    n, k = values["n"], values["k"]
    m = _run(f"Conv1d(1, 1, {k}, padding={k // 2})", n)
    if m == n:
        return None
    return Counterexample(values, f"{text(values)}: padding {k // 2} gives extent {m}", True)


THEOREM = Theorem(
    name="extents",
    numbers=(28,),
    group="arithmetic",
    title="The fifteen relationships of the guide to convolution arithmetic follow from PyTorch's two extent formulas.",
    statement=(
        "Conv: m = floor((n + 2 p - d (k - 1) - 1) / s) + 1. ConvTranspose: n' = (m - 1) s - 2 p + d (k - 1) + op + 1.",
        "Relationships 1 to 7 and 15 are the first formula with parameters fixed. Relationships 8 to 14 say what the second gives at",
        "extent m, and that it is n: with op = 0 if s divides n + 2 p - k, and in general with op = (n + 2 p - k) mod s.",
    ),
    proof=(
        "Name the quotient: n + 2 p - ke = s (m - 1) + z with 0 <= z < s. Every relationship is then linear in s (m - 1),",
        "and op = z gives (m - 1) s + ke + z - 2 p = n. z < s is what PyTorch asks of an output padding.",
    ),
    source="arXiv 1603.07285, relationships 1 to 15; torch.nn.Conv2d, torch.nn.ConvTranspose2d",
    scope="all n, k, s, p, d",
    hypotheses=(stride,),
    definitions=(CONV, TRANSPOSED),
    obligations=RELATIONSHIPS,
    exact=(
        Exact(
            "PyTorch's own extents", "both formulas, and the extent that comes back", "n in 3, 6, 7, k, s <= 3, p <= 1, d <= 2", _pytorch
        ),
    ),
    twins=(
        Twin(
            "relationship 13 for every extent",
            "the transposed convolution with the same k, s, p gives the extent back, divisible or not",
            by_size("n k s p", {"p": 0}, 4),
            _not_back,
        ),
        Twin("half padding, any kernel", "padding floor(k / 2) keeps the extent for every k", by_size("n k", {}, 4), _not_same),
    ),
)

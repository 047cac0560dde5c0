"""Transposed convolution is the transpose of a convolution.

Source: arXiv 1609.07009 (the example of extent 8, k = 4, s = 2); torch.nn.ConvTranspose2d, note on output_padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..definitions import CONV, TRANSPOSED, conv, grid, reach, transposed, transposed_extent
from ..terms import division, equivalent, integers
from ..theorem import Counterexample, Exact, Identity, Obligation, Theorem, Twin, Values
from ..twins import Kernel, by_size, impulses, text

s, k, d, pb, pe, op, n, m, o, i, j = integers("s k d pb pe op n m o i j")

REMAINDER = division(n + pb + pe - reach(k, d), s, m - 1, op)

EXAMPLE = (
    (2, 3, 0, 0, 0, 0, 0, 0),
    (0, 1, 2, 3, 0, 0, 0, 0),
    (0, 0, 0, 1, 2, 3, 0, 0),
    (0, 0, 0, 0, 0, 1, 2, 3),
    (0, 0, 0, 0, 0, 0, 0, 1),
)


def _layers(values: Values, op: int) -> tuple[str, str]:
    w = {"d": 1, "p": 0} | dict(values)
    shared = f"1, 1, {w['k']}, stride={w['s']}, padding={w['p']}, dilation={w['d']}, bias=False"
    return f"Conv1d({shared})", f"ConvTranspose1d({shared}, output_padding={op})"


def _remainder(values: Values) -> tuple[int, int]:
    """(m, op) of the convolution at extent n."""
    w = {"d": 1, "p": 0} | dict(values)
    whole, rest = divmod(w["n"] + 2 * w["p"] - int(reach(w["k"], w["d"])), w["s"])
    return whole, rest


def _matrices() -> Iterator[str]:
    for values in grid(k=(1, 3), s=(1, 2, 3), p=(0, 1), d=(1, 2), n=(3, 4, 5))():
        whole, op = _remainder(values)
        if whole < 0:
            continue
        kernel = {(0, 0, t): t + 1 for t in range(values["k"])}
        one, two = _layers(values, op)
        forward, back = impulses(one, kernel, (values["n"],)), impulses(two, kernel, (whole + 1,))
        if [list(column) for column in zip(*forward, strict=True)] != back:
            yield f"{text(values)}: {one} and {two} are no transposes"


def _note() -> tuple[Any, Any]:
    """The matrix of Conv1d(1, 1, 4, stride 2, padding 2) at extent 8 against the transpose of the deconvolution's, 5 to 8."""
    return _symbolic("Conv1d(1, 1, 4, stride=2, padding=2, bias=False)", 8), _symbolic(
        "ConvTranspose1d(1, 1, 4, stride=2, padding=2, bias=False)", 5
    ).T


def _printed() -> tuple[Any, Any]:
    """The same matrix against the one written out by hand."""
    import sympy

    rows = [[0] * 8 for _ in range(5)]
    for o in range(5):
        for t in range(4):
            if 0 <= 2 * o + t - 2 < 8:
                rows[o][2 * o + t - 2] = sympy.Symbol(f"w_0_0_{t}")
    return _symbolic("Conv1d(1, 1, 4, stride=2, padding=2, bias=False)", 8), sympy.Matrix(rows)


def _symbolic(layer: str, n: int) -> Any:
    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.denote import denote
    from symconv.operators.symbolic import operator_matrix

    return operator_matrix(denote(flatten(parse(layer)), 1, (n,)))


def _refute(op: bool, flip: bool) -> Any:
    """The counterexample to "ConvTranspose, with output_padding 0 or the reversed kernel, is the transpose"."""

    def refute(values: Values) -> Counterexample | None:
        whole, rest = _remainder(values)
        if whole < 0:
            return None
        one, two = _layers(values, rest if op else 0)
        kernel: Kernel = {(0, 0, t): t + 1 for t in range(values["k"])}
        other = {(0, 0, t): values["k"] - t for t in range(values["k"])} if flip else kernel
        forward = impulses(one, kernel, (values["n"],))
        back = impulses(two, other, (whole + 1,))
        if [list(column) for column in zip(*forward, strict=True)] == back:
            return None
        return Counterexample(values, f"{text(values)}: {one} is {forward}, {two} is {back}", True)

    return refute


THEOREM = Theorem(
    name="transpose",
    numbers=(2,),
    group="same_layer",
    title="Transposed convolution is the transpose of the convolution with the same kernel, if output_padding is the lost remainder.",
    statement=(
        "Let m be the output extent of Conv(k, s, d, pb, pe) at extent n and op = (n + pb + pe - ke) mod s.",
        "Then ConvTranspose(k, s, d, pb, pe, op) at extent m has output extent n, and its matrix is the transpose of the",
        "convolution's, with the same kernel, not reversed.",
    ),
    proof=(
        "Entry (o, i) of the convolution holds tap j iff s o + d j = i + pb,",
        "and so does entry (i, o) of the transposed convolution.",
        "n + pb + pe - ke = s (m - 1) + op, so (m - 1) s + ke + op - pb - pe = n.",
    ),
    source="arXiv 1609.07009; torch.nn.ConvTranspose2d",
    scope="all k, s, d, pb, pe, n",
    hypotheses=(),
    definitions=(CONV, TRANSPOSED),
    obligations=(
        Obligation(
            "one tap",
            (),
            equivalent(conv(o, i, j, s=s, k=k, d=d, pb=pb), transposed(i, o, j, s=s, k=k, d=d, pb=pb)),
        ),
        Obligation("the extent comes back", (REMAINDER,), transposed_extent(m, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == n),
    ),
    identities=(
        Identity("the note's matrix and its transpose", "extent 8, k = 4, s = 2, p = 2: 5 x 8, and the deconvolution 5 to 8", _note),
        Identity("the note's matrix, written out", "row o holds w0 w1 w2 w3 from column 2 o - 2 on", _printed),
    ),
    exact=(Exact("matrices in PyTorch", "the two matrices are transposes", "k in 1, 3, s <= 3, d <= 2, p <= 1, n in 3, 4, 5", _matrices),),
    twins=(
        Twin("output padding left out", "op = 0 always does", by_size("k s n p", {"p": 0}, 4), _refute(op=False, flip=False)),
        Twin(
            "the kernel reversed",
            "the transpose needs the reversed kernel",
            by_size("k s n p", {"p": 0}, 4),
            _refute(op=True, flip=True),
        ),
    ),
)

"""The cutoff of a zero-padded transposed convolution: one extent shows everything that any extent shows.

Source: symconv's docs, theory/soundness, theorems 1 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator

from symconv.api import check

from ..definitions import TRANSPOSED, conv, shuffled, transposed, transposed_extent, transposed_layer
from ..terms import equivalent, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, layers_differ, text

s, k, d, pb, pe, op, o, i, j, t, n, M, q, x = integers("s k d pb pe op o i j t n M q x")
m, phi, u, f, before = integers("m phi u f before")

stride = Hypothesis(s >= 1, "a shift of one input sample is a shift of s output samples")
dilation = Hypothesis(d >= 1, "the last tap reaches furthest")
left_margin = Hypothesis(s * n >= s + pb, "the cutoff is far enough from the front")
right_margin = Hypothesis(s * (n - 1) >= pe - op, "the cutoff is far enough from the end")
period = Hypothesis(s <= M, "one period of output samples")

OUTPUT = transposed_extent(n, s=s, k=k, d=d, pb=pb, pe=pe, op=op) == M


def cutoff(v: Values) -> int:
    """The least extent that the theorem names."""
    w = {"d": 1, "pb": 0, "pe": 0, "op": 0} | dict(v)
    n = 1
    while not (
        w["s"] * n >= w["s"] + w["pb"]
        and w["s"] * (n - 1) >= w["pe"] - w["op"]
        and transposed_extent(n, **{name: w[name] for name in ("s", "k", "d", "pb", "pe", "op")}) >= w["s"]
    ):
        n += 1
    return n


def _entries(v: Values, n: int) -> set[tuple[int, int, int]]:
    """(o, i, tap) of symconv's own table, shifted as far to the front as it goes."""
    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.denote import ExtentRejected, denote

    try:
        table = denote(flatten(parse(transposed_layer(v))), 1, (n,))
    except ExtentRejected:
        return set()
    found = set()
    for (_, o), row in table.entries.items():
        for (_, i), form in row.items():
            shift = min(i, o // v["s"])
            found |= {(o - v["s"] * shift, i - shift, int(param[3])) for param in form if param is not None}
    return found


def _enumerated() -> Iterator[str]:
    for v in by_size("k s d pb pe", {"pb": 0, "pe": 0}, 3, lambda v: sum(v.values()) <= 9)():
        shown = _entries(v, cutoff(v))
        for n in range(1, cutoff(v) + 4):
            if not _entries(v, n) <= shown:
                yield f"{text(v)}: extent {n} shows entries that extent {cutoff(v)} does not"


def _short(values: Values) -> Counterexample | None:
    """Two convolutions of the same extent that agree at extent n and not at all extents."""
    k, n = values["k"], values["n"]
    left, right = f"Conv1d(1, 1, {k}, padding={k // 2}, bias=False)", f"Conv1d(1, 1, {k + 2}, padding={k // 2 + 1}, bias=False)"
    if check(left, right, extents=(n,), presburger=False).relation.value != "equal":
        return None
    return layers_differ(lambda v: left, lambda v: right)(values)


def _strides(values: Values) -> Counterexample | None:
    """Strides s and 1: at extent 1, an n* for both, the matrices are one column of k taps."""
    left, right = (transposed_layer({**values, "s": stride}) for stride in (values["s"], 1))
    assert cutoff(values) == cutoff({**values, "s": 1}) == 1
    kernel = {(0, 0, j): j + 1 for j in range(values["k"])}
    if impulses(left, kernel, (1,)) != impulses(right, kernel, (1,)):
        return None
    return layers_differ(lambda v: left, lambda v: right)(values)


THEOREM = Theorem(
    name="cutoff",
    numbers=(31,),
    group="engine_laws",
    title="Entries of a zero-padded transposed convolution repeat: agreement at one computed extent is agreement at all.",
    statement=(
        "Whether entry (o, i) holds tap j does not depend on the extent, and it holds it iff entry (o + s, i + 1) does; so too for the",
        "low-resolution form, and for Conv with (o + 1, i + s). Let s n* >= s + pb, s (n* - 1) >= pe - op and m(n*) >= s. Then every entry",
        "that holds a tap at any extent is a shift of one at extent n*. So two transposed convolutions of one stride s that agree at an n*",
        "for both agree at every extent.",
    ),
    proof=(
        "Shift (o, i) forward by t = min(i, o div s). If then i = 0, o = d j - pb <= d (k - 1) - pb < m(n*). If o < s, then o < m(n*),",
        "and s i = o + pb - d j < s + pb <= s n*. So the shifted entry lies inside the matrix at n*. With one s the shifts of two layers",
        "are the same, and output extents that agree at n* agree at every extent.",
    ),
    source="docs/theory/soundness, theorems 1 and 2, for one free layer with zero padding",
    scope="all k, s, d, pb, pe, op and extents; other border modes and longer chains are proved on paper and by the checker's own rules",
    hypotheses=(stride, dilation, left_margin, right_margin, period),
    definitions=(TRANSPOSED,),
    obligations=(
        Obligation(
            "transposed convolution repeats",
            (),
            equivalent(
                transposed(o, i, j, s=s, k=k, d=d, pb=pb),
                transposed(o + s, i + 1, j, s=s, k=k, d=d, pb=pb),
            ),
        ),
        Obligation(
            "the low-resolution form repeats",
            (),
            equivalent(
                shuffled(i, f, u, m=m, phi=phi, k=k, before=before),
                shuffled(i + 1, f, u, m=m + 1, phi=phi, k=k, before=before),
            ),
        ),
        Obligation(
            "convolution repeats",
            (),
            equivalent(conv(o, i, j, s=s, k=k, d=d, pb=pb), conv(o + 1, i + s, j, s=s, k=k, d=d, pb=pb)),
        ),
        Obligation("offsets grow with the tap", (dilation.formula, j < k), d * j <= d * (k - 1)),
        Obligation(
            "shifted to the first input sample: inside the output",
            (right_margin.formula, OUTPUT, i == 0, s * i + d * j == o + pb, d * j <= d * (k - 1)),
            o < M,
        ),
        Obligation("shifted to the first period: inside the output", (period.formula, o < s), o < M),
        Obligation("offsets are not negative", (dilation.formula, j >= 0), d * j >= 0),
        Obligation(
            "shifted to the first period: inside the input, times s",
            (left_margin.formula, o < s, s * i + d * j == o + pb, d * j >= 0, x == n - i),
            s * x >= 1,
        ),
        Obligation("shifted to the first period: inside the input", (stride.formula, s * x >= 1), x >= 1),
        Obligation("a shift by o div s leaves one period", (o == s * t + q, within(q, s)), within(o - s * t, s)),
    ),
    exact=(Exact("enumerated", "every entry up to three extents beyond is shown at n*", "k, s, d, pads <= 3, sum <= 9", _enumerated),),
    twins=(
        Twin(
            "of any two strides",
            "two transposed convolutions that agree at an n* for both agree at every extent, whatever their strides",
            by_size("k s", {"s": 2}, 4, lambda v: v["k"] >= v["s"]),
            _strides,
        ),
        Twin(
            "any extent will do",
            "two layers that agree at some extent agree at all",
            by_size("k n", {}, 4, lambda v: v["k"] % 2 == 1),
            _short,
        ),
    ),
)

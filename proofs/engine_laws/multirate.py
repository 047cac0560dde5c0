"""Multirate laws: noble identities, cascades, polyphase decomposition.

Source: P. P. Vaidyanathan, Multirate Systems and Filter Banks (1993), sections 4.2 and 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..terms import division, integers, within
from ..theorem import Agreement, Case, Exact, Hypothesis, Identity, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, layers_differ, text

s, t, k, n, o, i, j, j2, m, phi, q, rho, v, x, y, z, l1, l2 = integers("s t k n o i j j2 m phi q rho v x y z l1 l2")

stride = Hypothesis(s >= 1, "every s-th sample is kept, or has s - 1 zeros after it")


def _decimate_first(w: Values) -> str:
    return f"AvgPool1d(1, stride={w['s']}) >> Conv1d(1, 1, {w['k']}, bias=False)"


def _decimate_last(w: Values, dilated: bool = True) -> str:
    gap = w["s"] if dilated else 1
    return f"Conv1d(1, 1, {w['k']}, dilation={gap}, bias=False) >> AvgPool1d(1, stride={w['s']})"


def _expand_first(w: Values, dilated: bool = True) -> str:
    gap = w["s"] if dilated else 1
    return f"ZeroInsert({w['s']}) >> Conv1d(1, 1, {w['k']}, dilation={gap}, bias=False)"


def _expand_last(w: Values) -> str:
    return f"Conv1d(1, 1, {w['k']}, bias=False) >> ZeroInsert({w['s']})"


def _instances() -> Iterator[Case]:
    for w in by_size("k s", {}, 4)():
        yield Case(_decimate_first(w), _decimate_last(w), "equal")
        yield Case(_expand_first(w), _expand_last(w), "equal")
    for s, t in ((2, 2), (2, 3), (3, 2)):
        one = "Conv1d(1, 1, 3, bias=False)"
        yield Case(f"{one} >> AvgPool1d(1, stride={s}) >> AvgPool1d(1, stride={t})", f"{one} >> AvgPool1d(1, stride={s * t})", "equal")
        yield Case(f"{one} >> ZeroInsert({s}) >> ZeroInsert({t})", f"{one} >> ZeroInsert({s * t})", "equal")
        yield Case(f"{one} >> ZeroInsert({s}) >> AvgPool1d(1, stride={s})", one, "equal")


def _cascade() -> Iterator[str]:
    """Conv after Conv with strides, in PyTorch: the kernels convolved, the first one's stride spread over the second's taps."""
    for w in by_size("k k2 s s2", {}, 3)():
        first = {(0, 0, j): j + 1 for j in range(w["k"])}
        second = {(0, 0, j): 2 * j + 1 for j in range(w["k2"])}
        both: dict[Any, int] = {}
        for (_, _, a), value in first.items():
            for (_, _, b), other in second.items():
                at = (0, 0, a + w["s"] * b)
                both[at] = both.get(at, 0) + value * other
        width = w["k"] + w["s"] * (w["k2"] - 1)
        n = width + w["s"] * w["s2"] + 1
        one = impulses(f"Conv1d(1, 1, {w['k']}, stride={w['s']}, bias=False)", first, (n,))
        two = impulses(f"Conv1d(1, 1, {w['k2']}, stride={w['s2']}, bias=False)", second, (len(one),))
        product = [[sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*one, strict=True)] for row in two]
        if product != impulses(f"Conv1d(1, 1, {width}, stride={w['s'] * w['s2']}, bias=False)", both, (n,)):
            yield f"{text(w)}: the cascade is another matrix"


def _polyphase() -> tuple[Any, Any]:
    """A generic kernel of 7 taps against the sum of its 3 components, in Laurent polynomials."""
    import sympy

    z = sympy.Symbol("z")
    w = sympy.symbols("w0:7")
    whole = sympy.Add(*(tap * z**j for j, tap in enumerate(w)))
    parts = [sympy.Add(*(w[q] * z ** (q // 3) for q in range(phase, 7, 3))) for phase in range(3)]
    return whole, sympy.Add(*(z**phase * part.subs(z, z**3) for phase, part in enumerate(parts)))


def _adjoint() -> tuple[Any, Any]:
    """The polyphase matrix of a transposed convolution against the convolution's, transposed, with 1/z for z."""
    from symconv.frontends.text import parse
    from symconv.layers import flatten
    from symconv.operators.symbolic import polyphase, shift_symbols

    (z,) = shift_symbols(1)
    up = polyphase(flatten(parse("ConvTranspose1d(1, 1, 7, stride=3, padding=2, bias=False)")), 1, 1).matrix()
    down = polyphase(flatten(parse("Conv1d(1, 1, 7, stride=3, padding=2, bias=False)")), 1, 1).matrix()
    return up, down.T.subs(z, 1 / z)


THEOREM = Theorem(
    name="multirate",
    numbers=(30,),
    group="engine_laws",
    title="Noble identities, cascades of strided layers and the polyphase decomposition hold for finite signals, extents included.",
    statement=(
        "Decimating by s then Conv(k) is Conv(k, dilation s) then decimating by s. Conv(k) then expanding by s is expanding by s then",
        "Conv(k, dilation s). Conv(k1, s1) then Conv(k2, s2) is a convolution of stride s1 s2 with taps w1[j1] w2[j2] at j1 + s1 j2.",
        "Every kernel is the sum of its s polyphase components, component phi expanded by s and shifted by phi.",
        "Expanding then decimating by s is the identity; expansions compose by the product, decimations too.",
    ),
    proof=(
        "Both sides of the first law read x[s (o + j)] = x[s o + s j]. In the second, z[o + s j] with z[s i] = x[i] is not zero only if",
        "o = s m, and is x[m + j] then. In the third, s1 (s2 o + j2) + j1 = s1 s2 o + (j1 + s1 j2). Extents: name the quotients.",
        "Every tap is s q + phi for one q and one phase phi.",
    ),
    source="Multirate Systems and Filter Banks, sections 4.2 and 4.3",
    scope="all s, k, n; polyphase identities on generic kernels of 7 taps, s = 3",
    hypotheses=(stride,),
    obligations=(
        Obligation("decimation first: one read", (i == s * v, v == o + j), i == s * o + s * j),
        Obligation(
            "decimation first: one extent",
            (division(n - 1, s, x, z), division(n - s * (k - 1) - 1, s, y, q), v == y - x + k - 1),
            s * v == z - q,
        ),
        Obligation("decimation first: one extent, exactly", (within(z, s), within(q, s), s * v == z - q), v == 0),
        Obligation("expansion first: a tap meets a sample only at multiples of s", (o + s * j == s * i, v == i - j), o == s * v),
        Obligation("expansion first: one read", (o == s * m, o + s * j == s * i, v == i - j - m), s * v == 0),
        Obligation("expansion first: the same sample", (stride.formula, s * v == 0), v == 0),
        Obligation("expansion first: one extent", (), (n - 1) * s + 1 - s * (k - 1) == (n - (k - 1) - 1) * s + 1),
        Obligation("cascade: one read", (v == t * o + j2, i == s * v + j), i == (s * t) * o + (j + s * j2)),
        Obligation(
            "cascade: one extent, times s t",
            (
                n - l1 == s * x + z,
                x + 1 - l2 == t * y + q,
                v == s * q + z,
            ),
            n - l1 - s * (l2 - 1) == (s * t) * y + v,
        ),
        Obligation("cascade: the remainder, before", (stride.formula, within(z, s), q >= 0, v == s * q + z), v >= 0),
        Obligation("cascade: the remainder, after", (stride.formula, within(z, s), q <= t - 1, v == s * q + z), v < s * t),
        Obligation(
            "polyphase: one phase a tap",
            (s * x + phi == s * y + rho, v == x - y),
            s * v == rho - phi,
        ),
        Obligation("polyphase: the same place", (within(phi, s), within(rho, s), s * v == rho - phi), v == 0),
    ),
    identities=(
        Identity("polyphase decomposition", "W(z) = sum of z^phi W_phi(z^3)", _polyphase),
        Identity("adjoint", "the transposed convolution's polyphase matrix is the convolution's, transposed, with 1/z", _adjoint),
    ),
    exact=(
        Exact("cascade in PyTorch", "the product of the matrices is the matrix of the convolved kernel", "k, k2, s, s2 <= 3", _cascade),
    ),
    agreements=(Agreement("engine", "both noble identities, cascades, expansion undone", "k, s <= 4; (s, t) of 2 and 3", _instances),),
    twins=(
        Twin(
            "decimation without dilation",
            "Conv(k) and decimation commute as they are",
            by_size("k s", {}, 4),
            layers_differ(_decimate_first, lambda w: _decimate_last(w, dilated=False)),
        ),
        Twin(
            "expansion without dilation",
            "Conv(k) and expansion commute as they are",
            by_size("k s", {}, 4),
            layers_differ(_expand_last, lambda w: _expand_first(w, dilated=False)),
        ),
    ),
)

"""Output extents as formulas: m = 2 n - 2, m = floor((n + 1) / 2).

Owns: `extent_formula`, `domain_text`, `extents_text`. Must not know: layers, channels, verdicts.

A word with rates (P, Q) has m(n + P) = m(n) + Q for every valid n, and so has M floor((A n + b) / P) + c with
M A = Q. A formula of this shape that is right on one period of valid extents is therefore right on all of them:
what is printed is found by solving for b and c on one period, not by rewriting.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import gcd

from symconv.operators.domain import Domain, output_extent
from symconv.operators.steps import Step, rates

LONGEST_PERIOD = 4096
"""Valid extents beyond which no formula is looked for."""

Pairs = list[tuple[int, int]]
"""(n, m) on one period of valid extents."""


def extent_formula(word: Sequence[Step], valid: Domain, name: str = "n") -> str:
    """The output extent as a formula in the input extent, such as `floor((n + 1)/2)`.

    Args:
        word: the steps of one axis.
        valid: the extents that the word accepts.
        name: how the input extent is called.

    Returns:
        A formula that holds at every valid extent; a list by residue where no short one exists; empty if nothing is valid.
    """
    p, q = rates(word)
    first = valid.first()
    if first is None:
        return ""
    if p > LONGEST_PERIOD:
        return f"grows by {q} when {name} grows by {p}"
    members = itertools.takewhile(lambda n: n < first + p * valid.period // gcd(p, valid.period), valid.members())
    pairs = [(n, output_extent(word, n)) for n in members]
    if p > 1 and len(pairs) == 1:
        return _exact(pairs[0], p, q, name)
    for outer in (outer for outer in range(1, q + 1) if q % outer == 0):
        found = _floor(pairs, p, q // outer, outer, name)
        if found is not None:
            return found
    return _by_residue(pairs, p, q, name)


def _exact(pair: tuple[int, int], p: int, q: int, name: str) -> str:
    """The affine formula where only multiples of a period are valid: m = (q/p) n + c."""
    n, m = pair
    shared = gcd(p, q)
    numerator, denominator = q // shared, p // shared
    rest = m * denominator - numerator * n
    body = _times(numerator, name) if denominator == 1 else f"{_times(numerator, name)}/{denominator}"
    if rest % denominator == 0:
        return _plus(body, rest // denominator)
    return f"({_plus(_times(numerator, name), rest)})/{denominator}"


def _floor(pairs: Pairs, p: int, inner: int, outer: int, name: str) -> str | None:
    """M floor((A n + b)/P) + c with A = `inner`, M = `outer`, or None if no b and c fit."""
    c = pairs[0][1] % outer
    if any((m - c) % outer for _, m in pairs):
        return None
    quotients = [(n, (m - c) // outer) for n, m in pairs]
    low = max(p * m - inner * n for n, m in quotients)
    high = min(p * (m + 1) - inner * n for n, m in quotients) - 1
    if low > high:
        return None
    if p == 1:
        return _plus(_times(outer * inner, name), outer * low + c)
    choices = [b for b in range(low, high + 1) if b % p == 0] or [low]
    b = min(choices, key=abs)
    whole, b = (b // p, 0) if b % p == 0 else _carry(b, p)
    shared = gcd(inner, p)
    if b == 0 and shared == p:
        return _plus(_times(outer * inner // p, name), outer * whole + c)
    body = f"floor({_fraction(inner, b, p, name)})"
    return _plus(body if outer == 1 else f"{outer} {body}", outer * whole + c)


def _carry(b: int, p: int) -> tuple[int, int]:
    """Whole periods out of b: all that make the rest small, none where that leaves no constant behind."""
    return (0, b) if abs(b) < p else (b // p, b % p)


def _fraction(factor: int, b: int, p: int, name: str) -> str:
    top = _plus(_times(factor, name), b)
    return f"{top}/{p}" if b == 0 else f"({top})/{p}"


def _by_residue(pairs: Pairs, p: int, q: int, name: str) -> str:
    if len(pairs) > 8:
        return f"grows by {q} when {name} grows by {p}"
    parts = [f"{_exact(pair, p, q, name)} if {name} mod {p} = {pair[0] % p}" for pair in pairs]
    return "; ".join(parts)


def _times(factor: int, name: str) -> str:
    return name if factor == 1 else f"{factor} {name}"


def _plus(text: str, constant: int) -> str:
    if constant == 0:
        return text
    return f"{text} {'+' if constant > 0 else '-'} {abs(constant)}"


def domain_text(valid: Domain, name: str = "n") -> str:
    """The valid extents in words: `n >= 4`, `even n >= 2`, `n >= 3, n mod 3 = 0`."""
    first = valid.first()
    if first is None:
        return "no extent"
    if len(valid.residues) == valid.period:
        return f"{name} >= {first}"
    if valid.period == 2:
        return f"{'odd' if 1 in valid.residues else 'even'} {name} >= {first}"
    if valid.residues == {0}:
        return f"{name} >= {first}, a multiple of {valid.period}"
    shown = sorted(valid.residues)
    listed = ", ".join(map(str, shown[:6])) + (", ..." if len(shown) > 6 else "")
    return (
        f"{name} >= {first}, {name} mod {valid.period} in {{{listed}}}"
        if len(shown) > 1
        else (f"{name} >= {first}, {name} mod {valid.period} = {shown[0]}")
    )


def extents_text(extents: Sequence[int]) -> str:
    """`8 x 8`; `5` on one axis."""
    return " x ".join(map(str, extents))

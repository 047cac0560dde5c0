"""Rationals as people read them.

Owns: `number`, `approximately`. Must not know: what they are.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

SHORT = 9
"""Characters of a rational that is printed exactly, and significant digits of one that is not."""


def number(value: Fraction) -> str:
    """A rational exactly where that is short, otherwise to nine significant digits."""
    if value.denominator.bit_length() + value.numerator.bit_length() < 8 * SHORT and len(str(value)) <= SHORT:
        return str(value)
    return approximately(value, SHORT)


def approximately(value: Fraction, digits: int) -> str:
    """A rational to some significant digits, beyond the range of floats too."""
    try:
        nearest = float(value)
    except OverflowError:
        nearest = 0.0
    if nearest or not value:
        return f"{nearest:.{digits}g}"
    context = Context(prec=digits + 5, Emax=10**9, Emin=-(10**9))
    found = context.divide(_decimal(value.numerator), _decimal(value.denominator))
    return f"{found.normalize(Context(prec=digits, Emax=10**9, Emin=-(10**9))):g}"


def _decimal(value: int) -> Decimal:
    """An integer of any length, its first digits right: Python does not print the longest ones."""
    context = Context(prec=40, Emax=10**9, Emin=-(10**9))
    shift = max(0, value.bit_length() - 128)
    return context.multiply(Decimal(value >> shift), context.power(Decimal(2), shift))

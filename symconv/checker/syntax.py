"""The spelling of a certificate: JSON text to plain values, each checked for its type. Nothing here knows what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import gcd, isfinite
from typing import Any

from .faults import Malformed

Number = int | Fraction
Reader = Callable[[Any], Any]
CAP = 2**62
LONGEST_RATIONAL = 400
_RATIONAL = re.compile(r"(-?[1-9][0-9]*|0)(?:/([1-9][0-9]*))?", re.ASCII)


def load(text: str) -> Any:
    """JSON without duplicate keys, NaN, infinities or integers beyond 2**62."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except Malformed:
        raise
    except ValueError as error:
        raise Malformed(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a key occurs twice in one object")
    return found


def _integer(text: str) -> int:
    return whole(int(text)) if len(text) <= 20 else _constant("an integer of this size")


def _float(text: str) -> float:
    value = float(text)
    return value if isfinite(value) else float(_constant(text[:20]))


def _constant(name: str) -> int:
    raise Malformed(f"{name} is not allowed")


def whole(value: Any, least: int = -CAP) -> int:
    """An integer in [least, 2**62]."""
    if type(value) is not int:
        raise Malformed("an integer is needed")
    if not least <= value <= CAP:
        raise Malformed(f"an integer of at least {least} and at most 2**62 is needed")
    return value


natural: Reader = partial(whole, least=0)
positive: Reader = partial(whole, least=1)
radix: Reader = partial(whole, least=2)


def number(value: Any) -> int | float:
    """A finite JSON number."""
    if type(value) is float and isfinite(value):
        return value
    return whole(value)


def flag(value: Any) -> bool:
    """true or false."""
    if type(value) is not bool:
        raise Malformed("true or false is needed")
    return value


def rational(value: Any) -> Number:
    """ "p/q" in lowest terms or "p"; an int where it is one."""
    if value == "1":
        return 1
    match = _RATIONAL.fullmatch(value) if type(value) is str and len(value) <= LONGEST_RATIONAL else None
    if match is None:
        raise Malformed('a rational "p/q" or "p" is needed')
    top, bottom = int(match[1]), match[2]
    if bottom is None:
        return top
    if bottom == "1" or gcd(top, int(bottom)) != 1:
        raise Malformed("a rational must be in lowest terms")
    return Fraction(top, int(bottom))


def word(*choices: str) -> Reader:
    """One of some strings."""

    def read(value: Any) -> str:
        if type(value) is not str or value not in choices:
            raise Malformed(f"one of {', '.join(choices)} is needed")
        return value

    return read


def optional(reader: Reader) -> Reader:
    """null, or what `reader` reads."""
    return lambda value: None if value is None else reader(value)


def row(*readers: Reader) -> Reader:
    """A list of fixed length, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(readers):
            raise Malformed(f"a list of length {len(readers)} is needed")
        items: list[Any] = []
        try:
            for reader, item in zip(readers, value, strict=True):
                items.append(reader(item))
        except Malformed as fault:
            raise fault.within(f"[{len(items)}]") from None
        return tuple(items)

    return read


def listed(reader: Reader) -> Reader:
    """A list of any length, as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise Malformed("a list is needed")
        items: list[Any] = []
        try:
            for item in value:
                items.append(reader(item))
        except Malformed as fault:
            raise fault.within(f"[{len(items)}]") from None
        return tuple(items)

    return read


def record(make: Callable[..., Any], **fields: Reader) -> Reader:
    """An object with exactly these fields, given to `make` by name."""

    def read(value: Any) -> Any:
        if type(value) is not dict or value.keys() != fields.keys():
            raise Malformed(f"an object with exactly the fields {', '.join(fields)} is needed")
        found: dict[str, Any] = {}
        name = ""
        try:
            for name, reader in fields.items():
                found[name] = reader(value[name])
        except Malformed as fault:
            raise fault.within(name) from None
        return make(**found)

    return read

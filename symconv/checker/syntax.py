"""The spelling of values: JSON text, and values of the types that a specification asks for. What they mean is not known here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from math import gcd, isfinite
from typing import Any

from .faults import Malformed, at

Number = int | Fraction
CAP = 2**62
RATIONAL = re.compile(r"(-?[1-9][0-9]{0,1499}|0)(?:/([1-9][0-9]{0,1499}))?", re.ASCII)


def load(text: str) -> Any:
    """JSON without duplicate keys, NaN, infinities or integers beyond 2**62."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_float)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from None


def _be(right: bool, wanted: str) -> None:
    if not right:
        raise Malformed(f"{wanted} is needed")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _be(len(dict(pairs)) == len(pairs), "an object without duplicate keys")
    return dict(pairs)


def _integer(text: str) -> int:
    _be(len(text) <= 20 and abs(int(text)) <= CAP, "an integer of at most 2**62")
    return int(text)


def _float(text: str) -> float:
    _be(isfinite(float(text)), "a finite number")
    return float(text)


def read(spec: Any, value: Any) -> Any:
    """The value, if it is what the specification says, with tuples for lists.

    int: an integer of at least that; bool; float: a number; Fraction: a rational; a set: one of these strings; [spec]: a list;
    (spec, ...): a list with these items; {name: spec}: an object with these fields; a function: what it makes of the value.
    """
    if type(spec) is int:
        _be(type(value) is int and spec <= value <= CAP, f"an integer from {spec} to 2**62")
    elif spec is bool:
        _be(type(value) is bool, "true or false")
    elif spec is str:
        _be(type(value) is str, "a string")
    elif spec is float:
        _be((type(value) is int and abs(value) <= CAP) or (type(value) is float and isfinite(value)), "a number")
    elif spec is Fraction:
        return _rational(value)
    elif type(spec) is set:
        _be(type(value) is str and value in spec, " or ".join(sorted(spec)))
    elif type(spec) is list:
        _be(type(value) is list, "a list")
        return tuple(_each((f"[{k}]", spec[0], item) for k, item in enumerate(value)))
    elif type(spec) is tuple:
        _be(type(value) is list and len(value) == len(spec), f"a list of {len(spec)}")
        return tuple(_each((f"[{k}]", *pair) for k, pair in enumerate(zip(spec, value, strict=True))))
    elif type(spec) is dict:
        _be(type(value) is dict and value.keys() == spec.keys(), f"an object with exactly the fields {', '.join(spec)}")
        return dict(zip(spec, _each((name, of, value[name]) for name, of in spec.items()), strict=True))
    else:
        return spec(value)
    return value


def _each(triples: Iterable[tuple[str, Any, Any]]) -> list[Any]:
    found = []
    for place, spec, value in triples:
        try:
            found.append(read(spec, value))
        except Malformed as fault:
            with at(place):
                raise fault from None
    return found


def _rational(value: Any) -> Number:
    """The number of "p/q", in lowest terms, or "p"; an int where it is one."""
    found = RATIONAL.fullmatch(value) if type(value) is str else None
    top, bottom = (int(found[1]), int(found[2] or 0)) if found else (0, 1)
    _be(bottom != 1 and (bottom == 0 or gcd(top, bottom) == 1), 'a rational "p/q" in lowest terms')
    return Fraction(top, bottom) if bottom else top


def maybe(spec: Any) -> Callable[[Any], Any]:
    """None, or what the specification says."""
    return lambda value: None if value is None else read(spec, value)

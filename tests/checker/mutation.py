"""Every small damage to a certificate: one place changed, all places in turn."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]
WORDS = [
    ["zeros", "reflect", "replicate", "circular"],
    ["CRD", "DCR"],
    ["nearest", "nearest-exact", "linear", "cubic"],
    ["equal", "left_in_right", "right_in_left", "incomparable", "unknown", "shapes_differ"],
    ["same", "left_wider", "right_wider", "overlapping", "disjoint"],
    ["Conv", "ConvTranspose", "BatchNorm", "Identity"],
    ["ReLU", "Sigmoid", "Tanh"],
]


def places(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All places of a JSON value with what stands there."""
    yield at, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*at, key))


def replacements(value: Any) -> Iterator[Any]:
    """What may stand there instead."""
    if isinstance(value, bool):
        yield from (not value, None)
    elif isinstance(value, int):
        yield from (value + 1, value - 1, None, str(value))
    elif isinstance(value, str):
        if value.lstrip("-").replace("/", "").isdigit():
            top, _, bottom = value.partition("/")
            yield from (f"{int(top) + 1}/{bottom}".rstrip("/"), f"{-int(top)}/{bottom}".rstrip("/"), f"{top}/{int(bottom or 1) + 1}", "0")
        yield from (word for words in WORDS if value in words for word in words if word != value)
        yield from ("", 1)
    elif value is None:
        yield from (True, False, 1, "equal", [], [1], {})
    elif isinstance(value, list):
        for k in range(len(value)):
            yield value[:k] + value[k + 1 :]
            yield [*value[:k], value[k], *value[k:]]
            if k and value[k] != value[k - 1]:
                yield [*value[: k - 1], value[k], value[k - 1], *value[k + 1 :]]
        yield from (None, {}, [*value, 0], [*value, 1])
    elif isinstance(value, dict):
        for key in value:
            yield {name: item for name, item in value.items() if name != key}
            for other in value:
                if other > key and value[other] != value[key]:
                    yield {**value, key: value[other], other: value[key]}
        yield from (None, [], {**value, "extra": 0})


def mutants(record: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """(place, damaged certificate) for every place and every replacement there that differs."""
    for at, value in list(places(record)):
        for other in replacements(value):
            if other == value and type(other) is type(value):
                continue
            damaged = copy.deepcopy(record)
            if not at:
                yield at, other
                continue
            target = damaged
            for key in at[:-1]:
                target = target[key]
            target[at[-1]] = copy.deepcopy(other)
            yield at, damaged

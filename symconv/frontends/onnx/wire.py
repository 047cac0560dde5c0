"""A protobuf message as the bytes of its fields, so that a file can be copied or compared without being written anew.

Owns: `Field`, `fields`, `only`.
Must not know: what the fields mean.
Source: protobuf's encoding, protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from symconv.errors import ModelError

VARINT, FIXED64, BYTES, START, END, FIXED32 = range(6)
MOST_NESTING = 100


@attrs.frozen
class Field:
    """One field of a message.

    Args:
        number, kind: its number and wire type.
        start, body, stop: where it starts in the buffer (its tag), where its content starts, where it ends.
    """

    number: int
    kind: int
    start: int
    body: int
    stop: int


def fields(buffer: Any, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """The fields of the message between two places of a buffer, in the order in which they are stored.

    Raises:
        ModelError: the bytes are no message.
    """
    stop = len(buffer) if stop is None else stop
    at = start
    while at < stop:
        tag, body = _varint(buffer, at, stop)
        field = _field(buffer, tag, at, body, stop)
        yield field
        at = field.stop


def only(buffer: Any, number: int, start: int = 0, stop: int | None = None) -> Field | None:
    """The one field of that number that holds bytes; None if there is none.

    Raises:
        ModelError: there are several, which protobuf would merge.
    """
    found = [field for field in fields(buffer, start, stop) if field.number == number and field.kind == BYTES]
    if len(found) > 1:
        raise ModelError(f"the file stores its field {number} in {len(found)} pieces, which no ONNX tool writes. Save the model again.")
    return found[0] if found else None


def _field(buffer: Any, tag: int, start: int, body: int, stop: int, depth: int = 0) -> Field:
    number, kind = tag >> 3, tag & 7
    if kind == VARINT:
        end = _varint(buffer, body, stop)[1]
    elif kind in (FIXED64, FIXED32):
        end = body + (8 if kind == FIXED64 else 4)
    elif kind == BYTES:
        size, body = _varint(buffer, body, stop)
        end = body + size
    elif kind == START and depth < MOST_NESTING:
        end = _group(buffer, number, body, stop, depth)
    else:
        raise ModelError(f"the bytes at {start} are no field of a message.")
    if number == 0 or end > stop:
        raise ModelError(f"the bytes at {start} are no field of a message, or the file is truncated.")
    return Field(number, kind, start, body, end)


def _group(buffer: Any, number: int, at: int, stop: int, depth: int) -> int:
    while at < stop:
        tag, body = _varint(buffer, at, stop)
        if tag == number << 3 | END:
            return body
        at = _field(buffer, tag, at, body, stop, depth + 1).stop
    return stop + 1


def _varint(buffer: Any, at: int, stop: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            break
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ModelError(f"the bytes at {at} are no number; the file is truncated or damaged.")

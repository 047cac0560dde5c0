"""Tensors stored in an ONNX file or beside it: sizes that are checked, contents that are read when asked for.

Owns: `Tensor`; where external data may lie.
Must not know: nodes, layers.
Source: ONNX IR specification (TensorProto, external data), IR version 13.
"""

from __future__ import annotations

import hashlib
import math
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from onnx import TensorProto, numpy_helper

from symconv.errors import ModelError

CHUNK = 1 << 20
MOST_AXES = 64

BITS = {
    "FLOAT": 32, "UINT8": 8, "INT8": 8, "UINT16": 16, "INT16": 16, "INT32": 32, "INT64": 64, "BOOL": 8, "FLOAT16": 16, "DOUBLE": 64,
    "UINT32": 32, "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128, "BFLOAT16": 16, "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8,
    "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8, "FLOAT8E8M0": 8, "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2,
}  # fmt: skip
"""Bits of one element, by the name of its type; strings have no fixed size."""

DTYPES = {
    "FLOAT": "<f4", "DOUBLE": "<f8", "FLOAT16": "<f2", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?", "BFLOAT16": "<u2",
}  # fmt: skip
"""How numpy reads the raw content; bfloat16 has no type there, so its bits are widened to float32, which is exact."""

FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
FIELD = {"FLOAT": "float_data", "COMPLEX64": "float_data", "INT64": "int64_data", "DOUBLE": "double_data", "COMPLEX128": "double_data",
         "UINT32": "uint64_data", "UINT64": "uint64_data"}  # fmt: skip
"""Which typed field holds the elements of a type; `int32_data` those not named here."""


@attrs.frozen(eq=False)
class Tensor:
    """One stored tensor; its content is read only when asked for.

    Args:
        name: the value's name.
        shape: non-negative extents.
        dtype: ONNX's name of the element type, such as "FLOAT" or "BFLOAT16".
        bytes: size of the raw content.
        proto: what the file holds.
        folder: the folder that external data is relative to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    proto: Any
    folder: Path

    @classmethod
    def make(cls, proto: Any, folder: Path, name: str | None = None) -> Tensor:
        """A tensor whose claimed size is the size of what is stored.

        Raises:
            ModelError: it is malformed, or its external data is not where it may be.
        """
        label = shown(proto.name if name is None else name)
        try:
            dtype = TensorProto.DataType.Name(proto.data_type)
        except ValueError:
            raise ModelError(f"tensor {label} has the element type {proto.data_type}, which ONNX does not define.") from None
        shape = tuple(proto.dims)
        if len(shape) > MOST_AXES or any(extent < 0 for extent in shape):
            raise ModelError(f"tensor {label} must have at most {MOST_AXES} axes of non-negative extent; found {shown(str(shape))}.")
        tensor = cls(proto.name if name is None else name, shape, dtype, _claimed(label, dtype, shape), proto, folder)
        tensor._check()
        return tensor

    @property
    def elements(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    @property
    def external(self) -> bool:
        """Whether the content lies in another file."""
        return bool(self.proto.data_location == TensorProto.EXTERNAL)

    def location(self) -> tuple[Path, int]:
        """The file that holds an external tensor, and the offset of its first byte; checked each time.

        Raises:
            ModelError: the place is outside the model's folder, is no file, or does not hold that many bytes.
        """
        return _place(shown(self.name), {entry.key: entry.value for entry in self.proto.external_data}, self.folder, self.bytes)

    def array(self) -> np.ndarray:
        """The content as a read-only numpy array; bfloat16 as float32 of the same values, external data mapped, not loaded.

        Raises:
            ModelError: the element type is no number that numpy has, or the external file has changed.
        """
        if self.dtype not in DTYPES:
            raise ModelError(f"tensor {shown(self.name)} has elements of type {self.dtype}, which are not read as numbers.")
        raw = self._raw()
        found = np.frombuffer(raw, dtype=DTYPES[self.dtype]) if raw is not None else self._typed()
        if self.dtype == "BFLOAT16":
            found = (found.astype("<u4") << 16).view("<f4")
        found = found.reshape(self.shape)
        found.flags.writeable = False
        return found

    def chunks(self) -> Iterator[Any]:
        """The raw little-endian content, piece by piece."""
        raw = self._raw()
        if raw is None:
            yield self._typed().tobytes() if self.dtype in DTYPES else self.proto.SerializeToString(deterministic=True)
            return
        view = memoryview(raw)
        for start in range(0, len(view), CHUNK):
            yield view[start : start + CHUNK]

    def digest(self) -> str:
        """SHA-256 of the raw little-endian content, in hexadecimal."""
        hashed = hashlib.sha256()
        for piece in self.chunks():
            hashed.update(piece)
        return hashed.hexdigest()

    def _raw(self) -> Any:
        """The raw content as a buffer, or None if the elements are in a typed field."""
        if not self.external:
            return self.proto.raw_data if self.proto.HasField("raw_data") else None
        path, offset = self.location()
        if not self.bytes:
            return b""
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        with _regular(shown(self.name), path) as file:
            mapped = mmap.mmap(file.fileno(), offset - start + self.bytes, access=mmap.ACCESS_READ, offset=start)
        return memoryview(mapped)[offset - start :]

    def _typed(self) -> np.ndarray:
        """The elements of a typed field, laid out as raw content would be."""
        if self.dtype in ("FLOAT16", "BFLOAT16"):
            return np.array(self.proto.int32_data, dtype=np.int64).astype("<u2").view(DTYPES[self.dtype])
        return np.ascontiguousarray(numpy_helper.to_array(self.proto), dtype=DTYPES[self.dtype]).reshape(-1)

    def _check(self) -> None:
        label = shown(self.name)
        if self.proto.HasField("segment"):
            raise ModelError(f"tensor {label} is stored in segments, which ONNX does not use. Save the model again.")
        if self.external:
            if self.dtype == "STRING":
                raise ModelError(f"tensor {label} holds strings, which cannot be external data.")
            self.location()
            return
        if self.dtype == "STRING":
            stored, claimed, unit = len(self.proto.string_data), self.elements, "strings"
        elif self.proto.HasField("raw_data"):
            stored, claimed, unit = len(self.proto.raw_data), self.bytes, "bytes"
        else:
            field = FIELD.get(self.dtype, "int32_data")
            stored, unit = len(getattr(self.proto, field)), f"elements of {field}"
            claimed = -(-self.elements * BITS[self.dtype] // 8) if BITS[self.dtype] < 8 else self.elements
            claimed *= 2 if self.dtype.startswith("COMPLEX") else 1
        if stored != claimed:
            raise ModelError(
                f"tensor {label} of type {self.dtype} and shape {shown(str(self.shape))} needs {claimed} {unit}; the file holds {stored}."
            )


def shown(text: str, width: int = 80) -> str:
    """A name from a file, in backticks, short and printable."""
    safe = "".join(character if character.isprintable() else "\ufffd" for character in text[: width + 1])
    return f"`{safe if len(text) <= width else safe[:width] + '...'}`"


def _claimed(label: str, dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of raw content; a claim beyond what any file holds is refused."""
    if dtype == "UNDEFINED":
        raise ModelError(f"tensor {label} has no element type.")
    claimed = -(-math.prod(shape) * BITS.get(dtype, 8) // 8)
    if claimed >= 1 << 62:
        raise ModelError(f"tensor {label} claims to have {math.prod(shape)} elements, more than any file holds.")
    return claimed


def _place(label: str, entries: dict[str, str], folder: Path, needed: int) -> tuple[Path, int]:
    location = entries.get("location", "")
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or location[0] in "/\\" or ":" in parts[0] or ".." in parts or len(location) > 4096:
        raise ModelError(
            f"tensor {label} has its data in {shown(location)}; external data must be named relative to the model's folder, without `..`."
        )
    numbers = {}
    for key in ("offset", "length"):
        text = entries.get(key, "0" if key == "offset" else str(needed))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise ModelError(f"tensor {label}: `{key}` of its external data must be a non-negative integer; found {shown(text)}.")
        numbers[key] = int(text)
    if numbers["length"] != needed:
        raise ModelError(f"tensor {label} needs {needed} bytes of external data; the model names {numbers['length']}.")
    base = folder.resolve()
    try:
        path = (base / location).resolve(strict=True)
        status = path.stat()
    except (OSError, ValueError, RuntimeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ModelError(f"tensor {label}: its external data {shown(location)} cannot be read: {cause}.") from None
    if not path.is_relative_to(base):
        raise ModelError(f"tensor {label}: its external data {shown(location)} is a link that leads out of the model's folder.")
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"tensor {label}: its external data {shown(location)} is not a file.")
    if numbers["offset"] + needed > status.st_size:
        raise ModelError(
            f"tensor {label} needs bytes {numbers['offset']} to {numbers['offset'] + needed} of {shown(location)}, "
            f"which has {status.st_size}. The file is truncated, or belongs to another model."
        )
    return path, numbers["offset"]


def _regular(label: str, path: Path) -> Any:
    """The file opened for reading; never one that a link or a pipe was put in place of."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        return os.fdopen(descriptor, "rb")
    except OSError as error:
        raise ModelError(f"tensor {label}: its external data cannot be read: {error.strerror or error}.") from None

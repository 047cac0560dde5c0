"""Certificates as JSON: layers, rationals, canonical text, atomic files.

Owns: the spelling of docs/reference/certificate-format.md. Must not know: how certificates are found or checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import BudgetExceeded, CertificateError
from symconv.layers import Layer

FORMAT = "symconv.certificate/1"
LARGEST_FILE = 64 * 2**20
MOST_BITS = 13_000
"""Of a numerator or denominator that is written down; Python prints no more than 4,300 digits."""


def layer_record(layer: Layer) -> dict[str, Any]:
    """A bound layer as the format's LAYER object."""
    fields = {field.name: _plain(getattr(layer, field.name)) for field in attrs.fields(type(layer))}
    return {"type": type(layer).__name__, **fields}


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def rational(value: Fraction | int) -> str:
    """ "p/q" in lowest terms, or "p".

    Raises:
        BudgetExceeded: it is too long to be written down.
    """
    exact = Fraction(value)
    if max(exact.numerator.bit_length(), exact.denominator.bit_length()) > MOST_BITS:
        raise BudgetExceeded("an exact number of this answer has more than 4,000 digits")
    return str(exact)


def canonical(record: dict[str, Any], indent: int | None = None) -> str:
    """The record as JSON text that does not depend on anything but its content."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=separators, indent=indent)


def digest(record: dict[str, Any]) -> str:
    """SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(record).encode()).hexdigest()


def write_atomically(path: Path, text: str | bytes, *, force: bool = False) -> None:
    """Writes a file in one step, text as UTF-8; nothing is left behind on failure.

    Raises:
        CertificateError: the file exists (without `force`), or cannot be written.
    """
    if path.exists() and not force:
        raise CertificateError(f"`{path}` already exists and is not overwritten; give another name or --force.")
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent or Path("."), prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode() if isinstance(text, str) else text)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise CertificateError(
            f"`{path}` cannot be written: {error.strerror or error}. Choose a folder that exists and is writable."
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CertificateError: it cannot be read or is not a JSON object.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise CertificateError(f"`{path}` is larger than {LARGEST_FILE >> 20} MB; that is no certificate that symconv writes.")
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CertificateError(f"`{path}` cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise CertificateError(f"`{path}` is not valid JSON: {str(error)[:200]}.") from error
    if not isinstance(record, dict):
        raise CertificateError(f"`{path}` must hold one JSON object; found {type(record).__name__}.")
    return record

"""Command-line arguments as values: layers, extents, budgets, files.

Owns: what the commands' arguments mean beyond their types, and the messages for those that mean nothing.
Must not know: what the commands do.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from symconv.api import as_network
from symconv.errors import CertificateError, UsageError
from symconv.layers import Layer, WeightedNetwork
from symconv.layers.base import LIMIT

MOST_AXES = 3


def read_layer(argument: str) -> Layer | WeightedNetwork:
    """The chain that a layer argument names: an expression, `package.module:attribute`, `model.onnx` or `model.onnx::node`.

    Raises:
        ExpressionError: an expression that does not parse.
        ModelError: a reference or a file that does not load.
    """
    return as_network(argument)


def read_extents(text: str | None) -> tuple[int, ...] | None:
    """Extents given as `8,8`.

    Raises:
        UsageError: not 1 to 3 positive integers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not 1 <= len(parts) <= MOST_AXES or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise UsageError(f"`--extents` must be 1 to {MOST_AXES} positive integers, such as 8,8; found {_shown(text)!r}.")
    values = tuple(map(int, parts))
    if not all(1 <= value <= LIMIT for value in values):
        raise UsageError(f"`--extents` must be at least 1 on every axis; found {_shown(text)!r}.")
    return values


def read_budget(seconds: float) -> float:
    """A budget in seconds.

    Raises:
        UsageError: not a positive, finite number.
    """
    if not math.isfinite(seconds) or seconds <= 0:
        raise UsageError(f"`--budget` must be a positive number of seconds; found {seconds}.")
    return seconds


def read_channels(channels: int | None) -> int | None:
    """A number of input channels.

    Raises:
        UsageError: less than 1.
    """
    if channels is not None and not 1 <= channels <= LIMIT:
        raise UsageError(f"`--channels` must be at least 1; found {channels}.")
    return channels


def writable(path: Path | None, *, force: bool) -> Path | None:
    """The path of a certificate to be written, once it is known that nothing stands in its way.

    Asked before a decision is made, so that no proof is lost to a full name.

    Raises:
        CertificateError: it exists (without `force`), or its folder does not exist or cannot be written.
    """
    if path is None:
        return None
    if "\0" in str(path):
        raise CertificateError("`--certificate` must be the name of a file; found one with a NUL character.")
    try:
        if path.is_dir():
            raise CertificateError(f"`{path}` is a folder; give the name of a file.")
        exists, folder = path.exists(), path.absolute().parent
        if not folder.is_dir():
            raise CertificateError(f"`{path}` cannot be written: there is no folder {folder}. Make it first.")
    except OSError as error:
        raise CertificateError(f"`{_shown(str(path))}` cannot be written: {error.strerror or error}. Give another name.") from error
    if exists and not force:
        raise CertificateError(f"`{path}` already exists and is not overwritten; give another name or --force.")
    if not os.access(folder, os.W_OK):
        raise CertificateError(f"`{path}` cannot be written: the folder {folder} is read-only. Choose another one.")
    return path


def one_output(as_json: bool, as_format: str) -> None:
    """Refuses a report and a JSON object at once.

    Raises:
        UsageError: both are asked for.
    """
    if as_json and as_format != "text":
        raise UsageError(f"`--json` prints one JSON object and `--format {as_format}` a report; give one of the two.")


def _shown(text: str, width: int = 80) -> str:
    safe = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return safe if len(safe) <= width else safe[:width] + "..."

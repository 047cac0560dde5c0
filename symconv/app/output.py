"""Standard output and files: one JSON object, or one report; certificates.

Owns: `emit`, `save`. Must not know: what is in them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from symconv.certificate.encode import canonical, write_atomically
from symconv.report.page import Page


def emit(record: Callable[[], Mapping[str, Any]], page: Callable[[], Page], *, as_json: bool, as_format: str) -> None:
    """Prints a result: as one JSON object on one line, as Markdown, or for the terminal. Only what is asked for is built."""
    if as_json:
        sys.stdout.write(json.dumps(record(), ensure_ascii=True, allow_nan=False) + "\n")
    elif as_format == "md":
        from symconv.report.markdown import markdown

        sys.stdout.write(markdown(page()))
    else:
        from symconv.report.terminal import console, print_page

        print_page(page(), console())


def save(certificate: Mapping[str, Any] | None, path: Path | None, *, force: bool) -> str | None:
    """Writes a certificate, if a file is asked for; says on standard error if there is none to write.

    Returns:
        The file's name, or None if nothing was written.
    """
    if path is None:
        return None
    if certificate is None:
        print("note: this verdict has no certificate, so none was written", file=sys.stderr)
        return None
    write_atomically(path, canonical(dict(certificate)) + "\n", force=force)
    return str(path)

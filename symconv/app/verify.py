"""`symconv verify`: certificates in, accepted or rejected out.

Owns: the exit code of several files: 4 if any is rejected, else 2 if any cannot be read, else 0.
Must not know: what makes a certificate valid.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import symconv.api
from symconv.app.arguments import one_output
from symconv.app.output import emit
from symconv.errors import CertificateError
from symconv.report.page import Page
from symconv.report.verify import Checked, verify_page, verify_record

REJECTED, UNREADABLE = 4, 2


def verify(certificates: Sequence[Path], *, as_json: bool, as_format: str) -> int:
    """Checks every file, reports, and returns the exit code."""
    one_output(as_json, as_format)
    checked: list[Checked] = []
    unreadable = 0
    for path in certificates:
        try:
            checked.append(_checked(path))
        except CertificateError as error:
            unreadable += 1
            print(f"error: {error}", file=sys.stderr)
    if checked and not (as_json and unreadable):
        results = tuple(checked)

        def page() -> Page:
            return verify_page(results)

        emit(lambda: verify_record(results), page, as_json=as_json, as_format=as_format)
    if not all(item.result.accepted for item in checked):
        return REJECTED
    return UNREADABLE if unreadable else 0


def _checked(path: Path) -> Checked:
    from symconv.certificate.encode import read

    if "\0" in str(path):
        raise CertificateError("a certificate must be the name of a file; found one with a NUL character.")
    record = read(path)
    try:
        return Checked(str(path), record, symconv.api.verify(record))
    except CertificateError as error:
        raise CertificateError(f"`{path}`: {error}") from error

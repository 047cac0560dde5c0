"""`symconv verify`: certificates, or a bundle and its models, in; accepted or rejected out.

Owns: the exit code of several files: 4 if any is rejected, else 2 if any cannot be read, else 0.
Must not know: what makes a certificate valid.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import symconv.api
from symconv.app.arguments import one_output
from symconv.app.output import emit
from symconv.errors import CertificateError, UsageError
from symconv.report.page import Page
from symconv.report.verify import Checked, verify_page, verify_record

REJECTED, UNREADABLE = 4, 2


def verify(certificates: Sequence[Path], *, as_json: bool, as_format: str, model: Path | None = None, original: Path | None = None) -> int:
    """Checks every file, reports, and returns the exit code."""
    one_output(as_json, as_format)
    if model is not None or original is not None or _holds_bundle(certificates):
        return _verify_bundle(certificates, model, original, as_json=as_json, as_format=as_format)
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


def _holds_bundle(certificates: Sequence[Path]) -> bool:
    from symconv.certificate.bundle import is_bundle
    from symconv.certificate.encode import read

    for path in certificates:
        with contextlib.suppress(CertificateError, ValueError):
            if path.suffix == ".json" and is_bundle(read(path)):
                return True
    return False


def _verify_bundle(certificates: Sequence[Path], model: Path | None, original: Path | None, *, as_json: bool, as_format: str) -> int:
    """Checks one bundle against its two models."""
    from symconv.app.progress import steps
    from symconv.certificate.bundle import is_bundle, read_bundle
    from symconv.certificate.encode import read
    from symconv.frontends.model_files import open_model
    from symconv.report.verify_bundle import bundle_page, bundle_record

    if len(certificates) != 1 or model is None or original is None:
        raise UsageError(
            "a bundle is checked with the two models that it is about: symconv verify BUNDLE --model OUT.onnx --original MODEL.onnx."
        )
    record = read(certificates[0])
    if not is_bundle(record):
        raise UsageError(f"`{certificates[0]}` is no bundle; `--model` and `--original` are for bundles. Leave them out.")
    bundle = read_bundle(record, str(certificates[0]))
    before, after = open_model(original), open_model(model)
    from symconv.conformance.bundle import check_bundle

    with steps()("checking") as report:
        result = check_bundle(bundle, before, after, progress=report)
    paths = {"bundle": str(certificates[0]), "model": str(model), "original": str(original)}
    emit(lambda: bundle_record(bundle, result, paths), lambda: bundle_page(bundle, result, paths), as_json=as_json, as_format=as_format)
    return 0 if result.accepted else REJECTED

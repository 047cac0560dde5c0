"""`symconv convert MODEL.onnx --to fastest` as a command: what its options mean, the report.

Owns: which options go together. Must not know: how anything is measured, columns.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symconv.app.output import emit
from symconv.errors import UsageError

if TYPE_CHECKING:
    from symconv.app.bench import Options

RUNTIMES = ("onnxruntime", "openvino")


def fastest_file(path: Path, options: Options, *, runtime: str, as_json: bool, as_format: str, **model_options: Any) -> int:
    """Measures the layers of a model and the whole, writes what is faster, reports, and returns the exit code."""
    from symconv.app.fastest_model import fastest_model
    from symconv.app.measured_layer import Place
    from symconv.app.progress import steps

    if runtime not in RUNTIMES:
        raise UsageError(f"`--runtime` must be one of {', '.join(RUNTIMES)}; found {runtime!r}.")
    if options.dtype != "float32" or options.channels is not None or not options.frugal:
        raise UsageError(
            "`--dtype`, `--channels` and `--any-memory` are not for ONNX files, which say themselves what they take. Leave them out."
        )
    device = "cpu" if options.device == "auto" else options.device
    place = Place(
        runtime=runtime,
        device=device,
        threads=options.threads or os.cpu_count() or 1,
        seconds=options.seconds,
        clock=options.clock,
        cached=options.cached,
    )
    made, written = fastest_model(
        path, place=place, extents=options.extents, batch=options.batch, budget=options.budget, progress=steps(), **model_options
    )
    files = (None, None, None) if written is None else (written.model, written.bundle, written.data)
    dry_run = bool(model_options["dry_run"])
    from symconv.report.fastest_model import fastest_model_page, fastest_model_record

    emit(
        lambda: fastest_model_record(made, files, dry_run),
        lambda: fastest_model_page(made, files, dry_run),
        as_json=as_json,
        as_format=as_format,
    )
    if written is None and not dry_run:
        print("note: nothing is faster, so no file was written", file=sys.stderr)
    return made.exit_code

"""`symconv convert MODEL.onnx`: a model in, the rewritten model and its bundle out.

Owns: which files are written and in which order, the check before they appear, the exit code. A plan may come from elsewhere.
Must not know: forms, nodes, bytes.

Everything is written into a folder beside the output, read again, and held against the original by the code that `symconv verify` uses;
then the files take their names, the model last. Whatever goes wrong before leaves nothing but what was there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from symconv.certificate.bundle import bundle_path, read_bundle
from symconv.certificate.encode import canonical, write_atomically
from symconv.errors import InternalError, ModelError, UsageError

if TYPE_CHECKING:
    from symconv.convert.onnx.plan import Plan
    from symconv.frontends.onnx.graph import OnnxModel

Progress = Callable[[int, int, str], None]


@attrs.frozen
class Files:
    """What a conversion writes; `data` only if tensors lie outside the model's file."""

    model: Path
    bundle: Path
    data: Path | None = None


@attrs.frozen(eq=False)
class ModelConversion:
    """A planned conversion, and the files that it made (None for a dry run, or where nothing changes)."""

    plan: Plan
    files: Files | None

    @property
    def exit_code(self) -> int:
        """0 if no layer that the form is for is left, 1 if one has no such form or is refused, 3 if that is not known."""
        found = {stay.status for stay in self.plan.stays}
        return 1 if found & {"no", "refused"} else 3 if "unknown" in found else 0


def convert_model(
    path: Path,
    to: str,
    *,
    output: Path | None,
    dry_run: bool = False,
    only: Sequence[str] = (),
    leave: Sequence[str] = (),
    target: Sequence[str] = (),
    common_extents: bool = False,
    budget: float = 60.0,
    force: bool = False,
    check: bool = True,
    progress: Callable[[str], Any] | None = None,
) -> ModelConversion:
    """Plans a conversion, and (unless it is a dry run, or nothing changes) writes and checks it.

    Raises:
        UsageError: the model cannot be read, the output stands in the way of something, or an option means nothing.
    """
    from symconv.convert.constraints import Constraints
    from symconv.convert.onnx.plan import Request, plan
    from symconv.frontends.model_files import open_model

    step = progress or _silent
    request = Request(to, Constraints.parse(target), tuple(only), tuple(leave), common_extents, budget)
    model = open_model(path)
    files = None if dry_run else wanted_files(model, output, force=force)
    with step("deciding") as report:
        planned = plan(model, request, progress=report)
    if files is None or not planned.changes:
        return ModelConversion(planned, None)
    return ModelConversion(planned, write_files(planned, files, force=force, check=check, step=step))


@contextmanager
def _silent(_: str) -> Iterator[Progress]:
    yield lambda *_: None


def wanted_files(model: OnnxModel, output: Path | None, *, force: bool) -> Files:
    """The files to be written, once it is known that they stand in nothing's way.

    Raises:
        UsageError: they do.
    """
    if output is None:
        raise UsageError("give -o OUT.onnx for the rewritten model, or --dry-run to see what would change.")
    if "\0" in str(output) or not output.name:
        raise UsageError("`-o` must be the name of a file.")
    files = Files(output, bundle_path(output), output.with_name(output.name + ".data"))
    folder = output.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"`{output}` cannot be written: there is no folder {folder}. Make it first.")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"`{output}` cannot be written: the folder {folder} is read-only. Choose another one.")
    sources = _sources(model)
    for path in (files.model, files.bundle, files.data):
        assert path is not None, "all are named"
        if path.is_dir():
            raise UsageError(f"`{path}` is a folder; give the name of a file.")
        if any(_same(path, source) for source in sources):
            raise UsageError(f"`{path}` belongs to the model that is converted, which stays as it is. Give another name.")
        if path.exists() and not force:
            raise UsageError(f"`{path}` already exists and is not overwritten; give another name or --force.")
    return files


def _sources(model: OnnxModel) -> set[Path]:
    found = {model.path.absolute()}
    for item in model.proto.graph.initializer:
        tensor = model.initializer(item.name)
        if tensor is not None and tensor.external:
            found.add(tensor.location()[0])
    return found


def _same(path: Path, source: Path) -> bool:
    try:
        return os.path.samefile(path, source)
    except OSError:
        return path.absolute() == source


def write_files(planned: Plan, files: Files, *, force: bool, check: bool, step: Callable[[str], Any]) -> Files:
    """Writes everything beside the output, checks it, and gives the files their names."""
    from symconv.conformance.bundle import check_bundle, untouched
    from symconv.convert.onnx.graph_edit import edits
    from symconv.convert.onnx.record import added, bundle_record, removed
    from symconv.convert.onnx.splice import write_model
    from symconv.frontends.onnx.graph import load
    from symconv.frontends.onnx.shapes import say
    from symconv.layers import input_channels

    try:
        place = Path(tempfile.mkdtemp(prefix=f".{files.model.name}.", dir=files.model.absolute().parent))
    except OSError as error:
        raise UsageError(f"`{files.model}` cannot be written: {error.strerror or error}.") from error
    try:
        changed = edits(planned)
        with step("writing") as report:
            written = write_model(planned.model, changed, place / files.model.name, progress=report)
        converted = load(written.model)
        for change in planned.changes:
            say(converted, change.stretch.input, input_channels(change.stretch.layers) or 0, change.stretch.axes)
        lists = {"original": removed(planned, changed), "converted": added(changed, converted)}
        digests = {
            "original": untouched(planned.model, lists["original"]["nodes"], lists["original"]["initializers"], converted),
            "converted": untouched(converted, lists["converted"]["nodes"], lists["converted"]["initializers"], planned.model),
        }
        names = {"original": planned.model.path.name, "converted": files.model.name}
        record = bundle_record(planned, changed, converted, digests, names)
        bundle = place / files.bundle.name
        write_atomically(bundle, canonical(record) + "\n")
        if check:
            with step("checking") as report:
                result = check_bundle(read_bundle(record, files.bundle.name), load(planned.model.path), converted, progress=report)
            if not result.accepted:
                raise InternalError(f"the rewritten model does not pass its own check at {result.place}: {result.reason}")
        return _appear(files, bundle, written.data, written.model, force=force)
    except OSError as error:
        raise ModelError(f"`{files.model}` cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _appear(files: Files, bundle: Path, data: Path | None, model: Path, *, force: bool) -> Files:
    """Gives the files their names; an old model goes first and the new one comes last, so that none is ever seen with another's data."""
    assert files.data is not None, "all are named"
    if force and files.model.exists():
        files.model.unlink()
    elif not force and files.model.exists():
        raise UsageError(f"`{files.model}` already exists and is not overwritten; give another name or --force.")
    if data is not None:
        os.replace(data, files.data)
    os.replace(bundle, files.bundle)
    os.replace(model, files.model)
    return Files(files.model, files.bundle, files.data if data is not None else None)

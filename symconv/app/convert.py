"""`symconv convert`: a layer, a module or a model in, the same in another form out.

Owns: the exit code of a conversion. Must not know: forms, formulas, deciders.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symconv.api import weightless
from symconv.app.arguments import one_output, read_budget, read_channels, read_layer, writable
from symconv.app.output import emit, save
from symconv.convert.conversion import Conversion
from symconv.errors import UsageError
from symconv.frontends.model_files import is_model_file, split
from symconv.frontends.reference import is_reference
from symconv.layers import WeightedNetwork
from symconv.report.page import Page


def convert(
    layer: str,
    to: str,
    *,
    channels: int | None,
    budget: float,
    certificate: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
    presburger: bool,
    output: Path | None = None,
    dry_run: bool = False,
    **model_options: Any,
) -> int:
    """Converts, reports, and returns 0 for a converted layer, 1 where there is none, 3 where that is not known."""
    from symconv.convert.layer import convert_layer

    one_output(as_json, as_format)
    if is_model_file(layer) and not split(layer)[1]:
        if channels is not None or certificate is not None:
            raise UsageError("`--channels` and `--certificate` are for one layer. Leave them out, or name the layer: model.onnx::node.")
        options = {"output": output, "dry_run": dry_run, "budget": read_budget(budget), "force": force, **model_options}
        return convert_onnx(split(layer)[0], to, as_json=as_json, as_format=as_format, **options)
    seconds, count, path = read_budget(budget), read_channels(channels), writable(certificate, force=force)
    if is_reference(layer) and not is_model_file(layer) and count is None:
        if output is not None:
            raise UsageError("`-o` is for files, MODEL.onnx. What becomes of a module is shown here; symconv.convert in Python makes it.")
        return convert_module(
            layer, to, budget=seconds, path=path, force=force, as_json=as_json, as_format=as_format, presburger=presburger, **model_options
        )
    if output is not None or dry_run or any(model_options.values()):
        raise UsageError(
            "`-o`, `--dry-run`, `--only`, `--except`, `--target` and `--common-extents` are for models. Give a file, MODEL.onnx, or a "
            "reference, package.module:attribute."
        )
    network = read_layer(layer)
    if isinstance(network, WeightedNetwork):
        print("note: the weights are left out; the layer is converted for every kernel", file=sys.stderr)
    conversion = convert_layer(weightless(network), to, channels=count, budget=seconds, presburger=presburger, check=True)
    found = conversion.target is not None
    proof = conversion.verdict.certificate if found and conversion.verdict is not None else None
    saved = save(proof, path, force=force)

    def page() -> Page:
        from symconv.report.convert import convert_page

        return convert_page(conversion, saved)

    emit(conversion.to_dict, page, as_json=as_json, as_format=as_format)
    return exit_code(conversion)


def convert_onnx(path: Path, to: str, *, dry_run: bool, as_json: bool, as_format: str, **options: Any) -> int:
    """Rewrites the layers of a model, reports, and returns 0 if none is left that the form is for, 1 if one has no such form or is refused,
    3 if that is not known.
    """
    from symconv.app.convert_model import convert_model
    from symconv.app.progress import steps
    from symconv.report.convert_model import model_conversion_page, model_conversion_record

    done = convert_model(path, to, dry_run=dry_run, progress=steps(), **options)
    files = (None, None, None) if done.files is None else (done.files.model, done.files.bundle, done.files.data)
    emit(
        lambda: model_conversion_record(done.plan, files, dry_run),
        lambda: model_conversion_page(done.plan, files, dry_run),
        as_json=as_json,
        as_format=as_format,
    )
    if done.files is None and not dry_run:
        print("note: nothing was rewritten, so no file was written", file=sys.stderr)
    return done.exit_code


def convert_module(
    reference: str,
    to: str,
    *,
    budget: float,
    path: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
    presburger: bool,
    only: Sequence[str] = (),
    leave: Sequence[str] = (),
    target: Sequence[str] = (),
    common_extents: bool = False,
) -> int:
    """Rewrites the layers of a referenced module, reports, and returns 0 if none is left that has the form, 1 if one has no such form or is
    refused, 3 if that is not known.
    """
    from symconv.convert.torch_modules import convert_module as run
    from symconv.frontends.reference import load_module

    conversion = run(
        load_module(reference), to, only=only, exclude=leave, target=target, common_extents=common_extents, budget=budget,
        presburger=presburger,
    )  # fmt: skip
    proofs = {id(made.conversion): made.conversion for made in conversion.converted}
    if path is not None and len(proofs) > 1:
        raise UsageError(f"`--certificate` is for one rewriting; `{reference}` has {len(proofs)}. Take the certificates from --json.")
    verdict = next((made.verdict for made in proofs.values() if made is not None), None)
    saved = save(None if verdict is None else verdict.certificate, path, force=force)

    def page() -> Page:
        from symconv.report.converted_module import module_page

        return module_page(conversion, reference, saved)

    emit(conversion.to_dict, page, as_json=as_json, as_format=as_format)
    statuses = {layer.status for layer in conversion.layers}
    return 1 if statuses & {"no", "refused"} else 3 if "unknown" in statuses else 0


def exit_code(conversion: Conversion) -> int:
    """0 converted, 1 no such form, 3 unknown."""
    if conversion.target is not None:
        return 0
    return 1 if (conversion.reason or "").startswith("no:") else 3

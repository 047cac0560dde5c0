"""`symconv power`: low-resolution against high-resolution networks: what they cost, and what they reach on images.

Owns: the options, the progress bar, which part runs. Must not know: how anything is computed or shown.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symconv.app.arguments import one_output
from symconv.app.output import emit
from symconv.errors import UsageError
from symconv.report.corpus import package
from symconv.report.page import Page

PARTS = ("cost", "linear", "trained")
MOST = 4096
NEEDED = {"linear": ("numpy", "PIL"), "trained": ("torch", "PIL", "skimage")}
AXES = 2


def power(
    *,
    parts: str,
    factors: str,
    widths: str,
    kernels: str,
    depth: int,
    timing: bool,
    extent: int,
    images: Path | None,
    grid: str,
    seeds: int | None,
    device: str,
    processes: int,
    state: Path,
    results: Path | None,
    against: Path | None,
    output: Path | None,
    page: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
) -> int:
    """Measures, or reads results of before; reports; and returns 0, or 1 for results that are not those of before (`against`)."""
    one_output(as_json, as_format)
    wanted = _parts(parts)
    _writable(output, force)
    before = None if against is None else _read(against)
    if results is not None:
        record = _read(results)
    else:
        options = {
            "factors": _numbers("factors", factors, least=2),
            "widths": _numbers("widths", widths),
            "kernels": _numbers("kernels", kernels),
            "depth": _positive("depth", depth),
            "timing": {"extent": _positive("extent", extent), "rounds": 7, "device": _device(device)} if timing else None,
            "images": images,
            "grid": grid,
            "seeds": seeds if seeds is None else _positive("seeds", seeds),
            "device": _device(device),
            "processes": _positive("processes", processes),
            "state": state,
        }
        record = _measured(wanted, options)
    if output is not None:
        from symconv.certificate.encode import write_atomically

        write_atomically(output, json.dumps(record, indent=1) + "\n", force=force)
    if page is not None:
        from symconv.report.power_document import write_document

        write_document(record, page, source=str(output or results or "results.json"), force=force)

    if before is not None:
        from symconv.experiment.reproduce import compare_results

        record = record | {"against": compare_results(record, before)}

    def shown() -> Page:
        from symconv.report.power import power_page

        return power_page(record)

    emit(lambda: record, shown, as_json=as_json, as_format=as_format)
    return 1 if before is not None and record["against"]["problems"] else 0


def _read(path: Path) -> dict[str, Any]:
    from symconv.experiment.parts import read_results

    return read_results(path)


def _measured(wanted: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Every part asked for, in order."""
    from symconv.experiment.parts import SCHEMA, cost_part, environment, linear_part, trained_part

    _check_divisible(options)
    if "linear" in wanted and any(k % 2 == 0 for k in options["kernels"]):
        raise UsageError("`--kernels` must be odd for the part linear, so that layers keep the extent; leave the even ones out.")
    record: dict[str, Any] = {"schema": SCHEMA, "environment": environment(options["device"])}
    found = None
    if set(wanted) & set(NEEDED):
        found = _images(wanted, options["images"])
        record |= {"images": found.records, "skipped": [list(item) for item in found.skipped]}
    if "trained" in wanted:
        _check_grid(options, found)
    with _progress() as bar:
        if "cost" in wanted:
            bar("cost: counting", 0.0)
            table = importlib.import_module(f"{package().__name__}.networks.table")
            rows = table.table(options["factors"], options["widths"], options["kernels"], AXES, options["depth"])
            record["cost"] = cost_part(rows, table.low_layer, timing=options["timing"], progress=bar)
        if "linear" in wanted:
            record["linear"] = linear_part(found, options["factors"], kernels=options["kernels"], progress=bar)  # type: ignore[arg-type]
        if "trained" in wanted:
            record["trained"] = trained_part(
                found,  # type: ignore[arg-type]
                options["grid"],
                options["state"],
                device=options["device"],
                processes=options["processes"],
                seeds=options["seeds"],
                timing=options["timing"],
                progress=bar,
            )
    return record


def _images(wanted: tuple[str, ...], path: Path | None) -> Any:
    from symconv.experiment.images import bundled, folder

    missing = sorted({name for part in wanted for name in NEEDED.get(part, ()) if importlib.util.find_spec(name) is None})
    if missing:
        raise UsageError(f"this part needs {', '.join(missing)}, not installed. Use: pip install 'symconv[experiment]'")
    found = bundled() if path is None else folder(path)
    for name, why in found.skipped:
        print(f"note: `{name}` is skipped: {why}", file=sys.stderr)
    return found


def _check_divisible(options: dict[str, Any]) -> None:
    if options["timing"] is None:
        return
    for r in options["factors"]:
        if options["timing"]["extent"] % r:
            raise UsageError(
                f"`--extent` must be divisible by every factor; {options['timing']['extent']} is not divisible by r = {r}. "
                f"Use {options['timing']['extent'] // r * r or r}."
            )


def _check_grid(options: dict[str, Any], found: Any) -> None:
    """Refuses at once what training would refuse later."""
    from symconv.experiment.grid import chosen
    from symconv.experiment.images import FIT, HELD_OUT
    from symconv.experiment.training import pairs_of

    plan = chosen(options["grid"])
    for r in plan.factors:
        plan.schedule.check(r)
        for split in (FIT, HELD_OUT):
            pairs_of(found.of(split), r, max(plan.least, plan.schedule.patch), "cpu")
        if options["timing"] is not None and options["timing"]["extent"] % r:
            raise UsageError(
                f"`--extent` must be divisible by every factor of the grid; {options['timing']['extent']} is not divisible by {r}."
            )


def _parts(text: str) -> tuple[str, ...]:
    if text == "all":
        return PARTS
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in PARTS:
            raise UsageError(f"`--part` must be all, or some of {', '.join(PARTS)}; found {name!r}.")
    return tuple(part for part in PARTS if part in names)


def _numbers(name: str, text: str, least: int = 1) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 8 and least <= int(part) <= MOST for part in parts):
        raise UsageError(f"`--{name}` must be integers from {least} to {MOST}, such as 2,3,4; found {text[:80]!r}.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _positive(name: str, value: int) -> int:
    if not 1 <= value <= MOST:
        raise UsageError(f"`--{name}` must be from 1 to {MOST}; found {value}.")
    return value


def _device(name: str) -> str:
    if name not in ("cpu", "cuda"):
        raise UsageError(f"`--device` must be cpu or cuda; found {name!r}.")
    if name == "cuda":
        from symconv.experiment.parts import check_cuda

        check_cuda()
    return name


def _writable(path: Path | None, force: bool) -> None:
    from symconv.app.arguments import writable

    writable(path, force=force)


@contextmanager
def _progress() -> Iterator[Callable[[str, float], None]]:
    """A bar on a terminal's standard error, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda text, part: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda text, part: bar.update(task, completed=part, description=text)

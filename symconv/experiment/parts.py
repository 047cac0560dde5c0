"""The three parts of the comparison as plain records: what layers cost, the best linear layers, the trained networks.

Owns: the schema of the results, and what is put into each part.
Must not know: the command line, how results are shown, where the table of costs comes from.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import UsageError
from symconv.experiment.images import FIT, HELD_OUT, ImageSet

SCHEMA = "symconv.power/1"
LARGEST_FILE = 64 * 2**20

Progress = Callable[[str, float], None]
"""(what is done now, part of everything done, in [0, 1])."""


def cost_part(
    rows: Sequence[Any], layer: Callable[[int, int, int], str], *, timing: dict[str, Any] | None, progress: Progress
) -> dict[str, Any]:
    """The table of hidden layers at equal multiplications, HR and LR rows in turns.

    Args:
        rows: of the corpus's table.
        layer: (channels, taps, axes) to the expression of a layer that keeps the extent.
        timing: `extent`, `rounds` and `device`; None leaves times and memory out.
        progress: told row by row.
    """
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    records = []
    for number, pair in enumerate(pairs):
        progress(f"r = {pair[0].factor}, n = {pair[0].channels}, k = {pair[0].kernel}", number / len(pairs))
        records.append({"high": attrs.asdict(pair[0]), "low": attrs.asdict(pair[1])} | (_timed(pair, layer, timing) if timing else {}))
    return {"timing": None if timing is None else timing | {"threads": _threads(timing["device"])}, "pairs": records}


def _timed(pair: tuple[Any, Any], layer: Callable[[int, int, int], str], timing: dict[str, Any]) -> dict[str, Any]:
    from symconv.experiment.measure import compare

    high, low = pair
    networks = {
        "high": (_body(high, layer), high.channels, 1),
        "low": (_body(low, layer), low.channels, low.factor),
    }
    found = compare(networks, timing["extent"], rounds=timing["rounds"], device=timing["device"])
    return {
        "measured": {name: item.record for name, item in found.items()},
        "time_ratio": found["high"].ratio(found["low"]),
    }


def _body(row: Any, layer: Callable[[int, int, int], str]) -> Any:
    """The hidden layers of a network as a module, ReLU between them."""
    import torch

    from symconv.conformance.torch_oracle import to_module
    from symconv.frontends.text import parse

    one = layer(row.channels, row.kernel, row.axes)
    module = to_module(parse(" >> ReLU() >> ".join([one] * row.depth)), row.axes, torch.float32)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.05, generator=generator)
    return module


def linear_part(images: ImageSet, factors: Iterable[int], *, kernels: Sequence[int], progress: Progress) -> dict[str, Any]:
    """The best member of every class, fitted on some images and measured on the others, and which class contains which."""
    wanted = tuple(factors)
    return {
        "kernels": list(kernels),
        "images": [image.name for image in images.of(HELD_OUT)],
        "factors": [_linear(images, r, kernels, _share(progress, k, len(wanted))) for k, r in enumerate(wanted)],
    }


def _share(progress: Progress, number: int, of: int) -> Progress:
    """Progress of one of several parts."""
    return lambda text, part: progress(text, (number + part) / of)


def _linear(images: ImageSet, factor: int, kernels: Sequence[int], progress: Progress) -> dict[str, Any]:
    from symconv.experiment.classes import basis_of, contained_pairs, linear_classes
    from symconv.experiment.images import degraded, trimmed
    from symconv.experiment.optimum import error_of, moments, optimum, psnr, total

    classes = linear_classes(factor, kernels)
    progress(f"r = {factor}: tap relations", 0.0)
    bases = [basis_of(item) for item in classes]
    reach = max(basis.reach for basis in bases)
    held: dict[str, Any] = {}
    for image in images.images:
        high = trimmed(image.luminance, factor)
        held[image.name] = moments(degraded(high, factor), high, factor, reach)
    fit = total([held[image.name] for image in images.of(FIT)])
    test = [held[image.name] for image in images.of(HELD_OUT)]
    records = []
    for item, basis in zip(classes, bases, strict=True):
        best = optimum(basis, fit)
        records.append(
            {
                "name": item.name,
                "expression": item.expression,
                "group": item.group,
                "multiplications": int(item.cost.multiplications),
                "parameters": len(basis.parameters),
                "rank": best.rank,
                "condition": best.condition,
                "fit_error": best.error,
                "fit_psnr": psnr(best.error),
                "psnr": [psnr(error_of(best.weights, one)) for one in test],
            }
        )
    number = {item.expression: k for k, item in enumerate(classes)}
    pairs, of = [], len(classes) * (len(classes) - 1) / 2
    for done, found in enumerate(contained_pairs(classes)):
        progress(f"r = {factor}: which class contains which", min(1.0, done / of))
        pairs.append([number[found[0].expression], number[found[1].expression], found[2]])
    return {"factor": factor, "margin": reach, "classes": records, "contained": pairs}


def trained_part(
    images: ImageSet,
    grid: str,
    state: Path,
    *,
    device: str,
    processes: int,
    seeds: int | None,
    timing: dict[str, Any] | None,
    progress: Progress,
) -> dict[str, Any]:
    """The trained networks, and what each of them takes to run."""
    from symconv.experiment.grid import chosen, run

    plan = chosen(grid)
    if seeds is not None:
        plan = attrs.evolve(plan, seeds=seeds)
    found = run(plan, images, state, device=device, processes=processes, progress=lambda name, part, whole: progress(name, whole))
    record = {"grid": grid} | found
    if timing is not None:
        _add_times(record["networks"], plan, timing)
    return record


def _add_times(networks: list[dict[str, Any]], plan: Any, timing: dict[str, Any]) -> None:
    """Inference times: the arms of one factor, width and depth take turns."""
    from symconv.experiment.measure import compare
    from symconv.experiment.training import build

    groups: dict[tuple[int, int, int], list[tuple[dict[str, Any], Any]]] = {}
    for record, shape in zip(networks, plan.shapes, strict=True):
        groups.setdefault((shape.factor, shape.width, shape.hidden), []).append((record, shape))
    for members in groups.values():
        modules = {shape: (build(shape, 0).eval(), 1, shape.factor) for _, shape in members}
        times = compare(modules, timing["extent"], rounds=timing["rounds"], device=timing["device"])
        for record, shape in members:
            record["measured"] = times[shape].record


def _threads(device: str) -> int:
    import torch

    return torch.get_num_threads() if device == "cpu" else 0


def check_cuda() -> None:
    """Refuses a device that is not there.

    Raises:
        UsageError: PyTorch finds no CUDA device.
    """
    import torch

    if not torch.cuda.is_available():
        raise UsageError("`--device cuda` needs a CUDA device, and PyTorch finds none here. Use --device cpu.")


def environment(device: str) -> dict[str, Any]:
    """The versions that the numbers depend on."""
    from importlib import metadata

    versions = {}
    for name in ("torch", "numpy", "pillow", "scikit-image", "scikit-learn"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    hardware = platform.machine()
    if device != "cpu":
        import torch

        hardware = torch.cuda.get_device_name()
    return {"python": platform.python_version(), "device": hardware, **versions}


def read_results(path: Path) -> dict[str, Any]:
    """Results from a file.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UsageError(f"`{path}` is larger than {LARGEST_FILE >> 20} MB; symconv writes no results that large.")
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"`{path}` cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"`{path}` is not valid JSON: {str(error)[:100]}.") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise UsageError(f"`{path}` must hold results of `symconv power` with the schema {SCHEMA}.")
    return record

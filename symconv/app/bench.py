"""`symconv bench`, and `symconv convert LAYER --to fastest`: layers measured where they are to run.

Owns: what the options mean, modules and inputs for expressions, the exit code.
Must not know: how a choice is made, columns.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from symconv.app.arguments import one_output, read_budget, read_channels, read_extents, read_layer
from symconv.app.output import emit
from symconv.errors import UsageError
from symconv.frontends.model_files import is_model_file, split
from symconv.frontends.reference import is_reference
from symconv.layers import Layer, WeightedNetwork, flatten, input_channels

if TYPE_CHECKING:
    from symconv.convert.fastest import Choice
    from symconv.report.page import Page

DTYPES = ("float32", "float64", "bfloat16", "float16")
CLOCKS = ("wall", "processor")
RUNTIMES = ("torch", "onnxruntime")
DEFAULT_EXTENTS = {1: (1024,), 2: (64, 64), 3: (16, 16, 16)}
SCHEMA = "symconv.bench/1"


@attrs.frozen(kw_only=True)
class Options:
    """Where and how long, as the command line says."""

    extents: tuple[int, ...] | None
    channels: int | None
    batch: int
    device: str
    dtype: str
    threads: int | None
    seconds: float
    cached: bool
    budget: float = 60.0
    frugal: bool = True
    clock: str = "wall"

    @classmethod
    def read(cls, **given: Any) -> Options:
        """The options, once they mean something.

        Raises:
            UsageError: one does not.
        """
        if given["batch"] < 1:
            raise UsageError(f"`--batch` must be at least 1; found {given['batch']}.")
        if given["threads"] is not None and not 1 <= given["threads"] <= 1024:
            raise UsageError(f"`--threads` must be from 1 to 1024; found {given['threads']}.")
        if not math.isfinite(given["seconds"]) or given["seconds"] <= 0:
            raise UsageError(f"`--seconds` must be a positive number of seconds; found {given['seconds']}.")
        if given["clock"] not in CLOCKS:
            raise UsageError(f"`--clock` must be one of {', '.join(CLOCKS)}; found {given['clock']!r}.")
        if given["clock"] == "processor" and (given["threads"] != 1 or given["device"] != "cpu"):
            raise UsageError("`--clock processor` counts what one thread uses on the cpu. Give --threads 1, and no other device.")
        if given["dtype"] not in DTYPES:
            raise UsageError(f"`--dtype` must be one of {', '.join(DTYPES)}; found {given['dtype']!r}.")
        given["extents"], given["channels"] = read_extents(given["extents"]), read_channels(given["channels"])
        given["budget"] = read_budget(given.get("budget", 60.0))
        return cls(**given)


@attrs.frozen(kw_only=True)
class Measured:
    """One layer's name and what was found for it."""

    name: str
    choice: Choice


def fastest(
    layer: str,
    *,
    runtime: str | None,
    example: Path | None,
    model_options: Mapping[str, Any],
    as_json: bool,
    as_format: str,
    certificate: Path | None = None,
    force: bool = False,
    **given: Any,
) -> int:
    """Measures all routes of a layer, or of every layer of a referenced module or an ONNX file, reports, and returns the exit code."""
    from symconv.app.arguments import writable
    from symconv.app.output import save

    one_output(as_json, as_format)
    if is_model_file(layer) and not split(layer)[1]:
        from symconv.app.fastest_command import fastest_file

        if certificate is not None:
            raise UsageError("`--certificate` is for one layer. The certificates of a model are in the bundle beside it.")
        options, more = Options.read(**given), {**model_options, "force": force, "example": example}
        return fastest_file(split(layer)[0], options, runtime=runtime or "onnxruntime", as_json=as_json, as_format=as_format, **more)
    if any(model_options.values()):
        raise UsageError(
            "`-o`, `--dry-run`, `--only`, `--except`, `--target` and `--common-extents` go with `--to fastest` for ONNX files, MODEL.onnx."
        )
    if runtime is not None or example is not None:
        raise UsageError("`--runtime` and `--example` are for ONNX files, MODEL.onnx. Layers are measured in PyTorch; see also `bench`.")
    path = writable(certificate, force=force)
    options = Options.read(**given)
    with _environment(options) as (device, dtype), _progress() as progress:
        if is_reference(layer) and not is_model_file(layer):
            if path is not None:
                raise UsageError("`--certificate` is for one layer. Take the certificates of a module from --json.")
            return _module(layer, options, device, dtype, progress, as_json=as_json, as_format=as_format)
        choice = _measure(read_layer(layer), options.extents, options, device, dtype, progress)
    form = next(form for form in choice.forms.found if form.name == choice.chosen.form)
    saved = save(None if form.verdict is None else form.verdict.certificate, path, force=force)

    def page() -> Page:
        from symconv.report.bench import choice_page

        return choice_page(choice, saved)

    emit(lambda: {"schema": "symconv.fastest-layer/1", **choice.to_dict()}, page, as_json=as_json, as_format=as_format)
    return 0


def _module(
    reference: str,
    options: Options,
    device: str,
    dtype: Any,
    progress: Callable[[str], None],
    *,
    as_json: bool,
    as_format: str,
) -> int:
    from symconv.conformance.bench_setting import channels_of, example
    from symconv.convert.fastest import Setting, convert_to_fastest
    from symconv.frontends.reference import load_module

    module = load_module(reference).to(device, dtype)
    if options.extents is None:
        raise UsageError(f"`{reference}` is a module: give the extents of its input with --extents, such as 64,64.")
    channels = options.channels or channels_of(module)
    if channels is None:
        raise UsageError(f"`{reference}` does not say how many input channels it takes. Give the number with --channels.")
    given = example((options.batch, channels, *options.extents), device, dtype)
    made = convert_to_fastest(module, given, setting=_setting(options, Setting), progress=progress)

    def page() -> Page:
        from symconv.report.bench import module_page

        return module_page(made, reference)

    emit(made.to_dict, page, as_json=as_json, as_format=as_format)
    return 0


def bench(
    layers: Sequence[str],
    *,
    real: bool,
    only: str | None,
    runtime: str,
    plot: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
    **given: Any,
) -> int:
    """Measures layers beside each other, reports, and returns 0."""
    one_output(as_json, as_format)
    options = Options.read(cached=False, **given)
    if runtime not in RUNTIMES:
        raise UsageError(f"`--runtime` must be one of {', '.join(RUNTIMES)}; found {runtime!r}.")
    _require_plot(plot, force=force)
    work = [*_named(layers), *_real(real, only)]
    if not work:
        raise UsageError("give at least one LAYER, or --real for the layers that people ship.")
    with _environment(options) as (device, dtype), _progress() as progress:
        results = []
        for place, (name, layer, extents) in enumerate(work):

            def step(text: str, head: str = f"{place + 1} of {len(work)}, {name}") -> None:
                progress(f"{head}: {text}")

            at = options.extents or extents
            if runtime == "torch":
                results.append(Measured(name=name, choice=_measure(layer, at, options, device, dtype, step)))
            else:
                from symconv.app.bench_onnx import measure

                results.append(Measured(name=name, choice=measure(weightless(layer), _shape(layer, at, options), options, step)))
        record = _record(results, runtime, device)
    if plot is not None:
        from symconv.certificate.encode import write_atomically
        from symconv.report.bench_plot import draw

        write_atomically(plot, draw(record, plot.suffix[1:].lower()), force=force)

    def page() -> Page:
        from symconv.report.bench import bench_page

        return bench_page(record)

    emit(lambda: record, page, as_json=as_json, as_format=as_format)
    return 0


def weightless(layer: Layer | WeightedNetwork) -> Layer:
    """The chain without weights."""
    return layer.layer if isinstance(layer, WeightedNetwork) else layer


def _named(layers: Sequence[str]) -> Iterator[tuple[str, Layer | WeightedNetwork, tuple[int, ...] | None]]:
    for text in layers:
        yield text, read_layer(text), None


def _real(real: bool, only: str | None) -> Iterator[tuple[str, Layer, tuple[int, ...]]]:
    if only is not None and not real:
        raise UsageError("`--only` chooses among the real layers; give --real too.")
    if not real:
        return
    from symconv.conformance.real_layers import REAL_LAYERS

    chosen = [item for item in REAL_LAYERS if only is None or only.lower() in item.name.lower()]
    if not chosen:
        raise UsageError(f"`--only` {only!r} names no real layer; there are {', '.join(item.name for item in REAL_LAYERS)}.")
    for item in chosen:
        yield item.name, item.layer, item.extents


def _shape(layer: Layer | WeightedNetwork, extents: tuple[int, ...] | None, options: Options) -> tuple[int, ...]:
    chain = weightless(layer)
    channels = options.channels or input_channels(flatten(chain))
    if channels is None:
        raise UsageError("no layer says how many input channels there are. Give the number with --channels.")
    axes = chain.axes or (len(extents) if extents else 2)
    chosen = extents or DEFAULT_EXTENTS[axes]
    if len(chosen) == 1:
        chosen = chosen * axes
    if len(chosen) != axes:
        raise UsageError(f"`--extents` must be {axes} numbers for this layer; found {','.join(map(str, chosen))}.")
    return (options.batch, channels, *chosen)


def _measure(
    layer: Layer | WeightedNetwork,
    extents: tuple[int, ...] | None,
    options: Options,
    device: str,
    dtype: Any,
    progress: Callable[[str], None],
) -> Choice:
    """The choice for one layer, with random weights."""
    from symconv.conformance.bench_setting import random_members, require_size
    from symconv.convert.fastest import Setting, choose

    shape = _shape(layer, extents, options)
    require_size(shape, dtype)
    chain = weightless(layer)
    return choose(chain, random_members(chain, len(shape) - 2, device, dtype), shape, _setting(options, Setting), progress)


def _setting(options: Options, kind: Any) -> Any:
    return kind(seconds=options.seconds, cached=options.cached, frugal=options.frugal, budget=options.budget, clock=options.clock)


def _environment(options: Options) -> AbstractContextManager[tuple[str, Any]]:
    """Device and number format, with the number of threads set for as long as it takes.

    Raises:
        UsageError: torch or the device is absent.
    """
    try:
        from symconv.conformance.bench_setting import measuring
    except ImportError as error:
        raise UsageError(f"measuring needs PyTorch, and it cannot be imported ({error}). pip install torch") from error
    return measuring(options.device, options.dtype, options.threads)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on standard error that changes, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.update


def _record(results: Sequence[Measured], runtime: str, device: str) -> dict[str, Any]:
    from symconv.conformance.environment import environment

    speeds = [item.choice.speed_up for item in results]
    layers = []
    for item in results:
        plain = item.choice.to_dict()
        del plain["verdict"]
        layers.append({"name": item.name, **plain})
    return {
        "schema": SCHEMA,
        "runtime": runtime,
        "environment": environment([device], () if runtime == "torch" else (runtime,)),
        "layers": layers,
        "geometric_mean": math.exp(sum(map(math.log, speeds)) / len(speeds)),
        "least": min(speeds),
    }


def _require_plot(plot: Path | None, *, force: bool) -> None:
    if plot is None:
        return
    from symconv.app.arguments import writable

    if plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"`--plot` must be a file named *.png, *.svg or *.pdf; found {str(plot)!r}.")
    writable(plot, force=force)
    try:
        import importlib.util

        found = importlib.util.find_spec("matplotlib") is not None
    except ValueError:
        found = False
    if not found:
        raise UsageError("`--plot` needs matplotlib: pip install 'symconv[report]'.")

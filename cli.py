"""The command line of symconv: what each command takes. What it does is in symconv.app, loaded when a command runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LAYER = "an expression such as 'Conv2d(3, 12, 3, padding=1) >> PixelShuffle(2)', package.module:attribute, or model.onnx::node"
MODEL = "an ONNX file, or package.module:attribute"

Left = Annotated[str, typer.Argument(metavar="LEFT", help=f"The left layer: {LAYER}.", show_default=False)]
Right = Annotated[str, typer.Argument(metavar="RIGHT", help="The right layer.", show_default=False)]
TheLayer = Annotated[str, typer.Argument(metavar="LAYER", help=f"The layer: {LAYER}.", show_default=False)]
Channels = Annotated[int | None, typer.Option(help="Input channels, where no layer says how many.", show_default=False)]
Budget = Annotated[float, typer.Option(metavar="SECONDS", help="Time after which the answer is `unknown`.")]
Certificate = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the certificate to this file.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing certificate file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps; one that is absent is an error.")]
NumberFormat = Annotated[str, typer.Option(metavar="NAME", help="float32, float64, bfloat16 or float16.")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", help="Threads of PyTorch, or of the runtime; its own number by default.", show_default=False)
]
Batch = Annotated[int, typer.Option(metavar="N", help="Samples in the input that is timed.")]
RaceSeconds = Annotated[float, typer.Option(metavar="SECONDS", help="Time to measure each layer; its proofs come on top.")]
InputExtents = Annotated[str | None, typer.Option(metavar="N,N", help="Extents of the input that is timed.", show_default=False)]
Clock = Annotated[str, typer.Option(metavar="NAME", help="wall; or processor, for --threads 1 on a busy machine.")]
NoPeak = Annotated[bool, typer.Option("--any-memory", help="Forms may use more memory than the layer.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
NoPresburger = Annotated[bool, typer.Option("--no-presburger", help="Leave out the second decision, by Z3 with symbolic extents.")]


class Claim(StrEnum):
    """What `check` is asked to prove."""

    EQUAL = "equal"
    LEFT_IN_RIGHT = "left-in-right"
    RIGHT_IN_LEFT = "right-in-left"


class Form(StrEnum):
    """What `convert` rewrites a layer to."""

    LR_SHUFFLE = "lr-shuffle"
    TRANSPOSED = "transposed"
    ZERO_INSERTION = "zero-insertion"
    UNSHUFFLE = "unshuffle"
    FASTEST = "fastest"


class Format(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    MARKDOWN = "md"


AsFormat = Annotated[Format, typer.Option("--format", help="How the report is printed.")]

app = typer.Typer(
    help="Proves whether two neural-network layers are the same layer, for every kernel, input and extent.",
    epilog="Exit codes: 0 proved, 1 refuted, 2 bad input, 3 unknown, 4 certificate rejected, 70 internal error.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from symconv.app.version import version

        typer.echo(f"symconv {version()}")
        raise typer.Exit


@app.callback()
def root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Proves whether two neural-network layers are the same layer, for every kernel, input and extent."""


@app.command(short_help="Decide how two layers compare.")
def check(
    left: Left,
    right: Right,
    claim: Annotated[Claim, typer.Option(help="What is to be proved; it decides the exit code.")] = Claim.EQUAL,
    interior: Annotated[bool, typer.Option("--interior", help="Judge the claim for signals without borders.")] = False,
    common_extents: Annotated[bool, typer.Option("--common-extents", help="A narrower domain does not refute the claim.")] = False,
    extents: Annotated[str | None, typer.Option(metavar="N,N", help="Compare at these input extents only.", show_default=False)] = None,
    channels: Channels = None,
    budget: Budget = 60.0,
    certificate: Certificate = None,
    force: Force = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
    no_presburger: NoPresburger = False,
) -> int:
    """Decide how two layers compare: equal, one inside the other, incomparable, or of different shapes."""
    from symconv.app.check import check as run

    return run(
        left,
        right,
        claim=claim.value,
        interior=interior,
        common_extents=common_extents,
        extents=extents,
        channels=channels,
        budget=budget,
        certificate=certificate,
        force=force,
        as_json=as_json,
        as_format=as_format.value,
        presburger=not no_presburger,
    )


@app.command(short_help="Rewrite a layer in another form.")
def convert(
    layer: TheLayer,
    to: Annotated[Form, typer.Option(help="The form to rewrite the layer to.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT.onnx", help="Models: where the rewritten model goes.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Models: say what would change, and write nothing.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="PATTERN", help="Models: only nodes of such names.", show_default=False)] = None,
    leave: Annotated[
        list[str] | None, typer.Option("--except", metavar="PATTERN", help="Models: no nodes of such names.", show_default=False)
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST",
            help="Models: what the target cannot do: max-stride=N, symmetric-pads, no-output-padding, no-groups, no-dilation, "
            "no-transposed-convolution, no-depth-to-space.",
            show_default=False,
        ),
    ] = None,
    common_extents: Annotated[bool, typer.Option("--common-extents", help="Models: a form that accepts fewer extents will do.")] = False,
    extents: InputExtents = None,
    batch: Batch = 1,
    device: Device = "cpu",
    dtype: NumberFormat = "float32",
    threads: Threads = None,
    seconds: RaceSeconds = 4.0,
    clock: Clock = "wall",
    any_memory: NoPeak = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="fastest: measure again, and keep nothing.")] = False,
    runtime: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="fastest, models: onnxruntime or openvino.", show_default="onnxruntime"),
    ] = None,
    example: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="fastest, models: inputs as a .npz file, by name; instead of --extents.", show_default=False),
    ] = None,
    channels: Channels = None,
    budget: Budget = 60.0,
    certificate: Certificate = None,
    force: Force = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
    no_presburger: NoPresburger = False,
) -> int:
    """Rewrite a layer in another form, with the reshuffle of its kernel and a certificate; or a model, MODEL.onnx, layer by layer."""
    if to is Form.FASTEST:
        from symconv.app.bench import fastest

        return fastest(
            layer,
            runtime=runtime,
            example=example,
            model_options={
                "output": output,
                "dry_run": dry_run,
                "only": only or [],
                "leave": leave or [],
                "target": target or [],
                "common_extents": common_extents,
            },
            extents=extents,
            batch=batch,
            device=device,
            dtype=dtype,
            threads=threads,
            seconds=seconds,
            clock=clock,
            frugal=not any_memory,
            cached=not no_cache,
            channels=channels,
            budget=budget,
            certificate=certificate,
            force=force,
            as_json=as_json,
            as_format=as_format.value,
        )
    from symconv.app.convert import convert as run

    return run(
        layer,
        to.value,
        output=output,
        dry_run=dry_run,
        only=only or [],
        leave=leave or [],
        target=target or [],
        common_extents=common_extents,
        channels=channels,
        budget=budget,
        certificate=certificate,
        force=force,
        as_json=as_json,
        as_format=as_format.value,
        presburger=not no_presburger,
    )


@app.command(short_help="Compare two models, part by part.")
def diff(
    left: Annotated[str, typer.Argument(metavar="A", help=f"The left model: {MODEL}.", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="B", help="The right model.", show_default=False)],
    up_to: Annotated[
        str | None,
        typer.Option("--up-to", metavar="X", help="Parts at a proved distance of at most X count as the same.", show_default=False),
    ] = None,
    budget: Budget = 60.0,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not run the models to show a difference at the output.")] = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Compare two models: identical, equal up to a proved distance, or different with an input that shows it and the cause."""
    from symconv.app.diff import diff as run

    return run(left, right, up_to=up_to, budget=budget, run=not no_run, as_json=as_json, as_format=as_format.value)


@app.command(short_help="Show what a layer is and does.")
def explain(
    layer: TheLayer,
    extents: Annotated[
        str | None, typer.Option(metavar="N,N", help="Input extents of the operator matrix; small ones by default.", show_default=False)
    ] = None,
    channels: Channels = None,
    budget: Budget = 60.0,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Show what a layer is: operator matrix, polyphase form, extents, dimension, dead taps, cost, checkerboard, other forms."""
    from symconv.app.explain import explain as run

    return run(layer, extents=extents, channels=channels, budget=budget, as_json=as_json, as_format=as_format.value)


@app.command(short_help="Re-check certificates.")
def verify(
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERTIFICATE...", help="Certificate files, or one bundle.", show_default=False)
    ],
    model: Annotated[Path | None, typer.Option(metavar="OUT.onnx", help="Bundles: the rewritten model.", show_default=False)] = None,
    original: Annotated[
        Path | None, typer.Option(metavar="MODEL.onnx", help="Bundles: the model that it was made from.", show_default=False)
    ] = None,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Re-check certificates with the independent checker; or a bundle, with the two models that it is about."""
    from symconv.app.verify import verify as run

    return run(certificates, model=model, original=original, as_json=as_json, as_format=as_format.value)


@app.command(short_help="Prove the theorems behind it all.")
def prove(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Theorems, numbers of claims or groups; none lists them.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All theorems.")] = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Prove theorems of the corpus for all hyper-parameters, in every backend that is installed, and refute their false twins."""
    from symconv.app.prove import prove as run

    return run(names or [], everything=everything, as_json=as_json, as_format=as_format.value)


@app.command(short_help="Run two layers or models on devices and compare the numbers.")
def crossval(
    left: Annotated[
        str | None, typer.Argument(metavar="[LEFT]", help=f"The left layer or model: {LAYER}; or a certificate.", show_default=False)
    ] = None,
    right: Annotated[str | None, typer.Argument(metavar="[RIGHT]", help="The right layer or model.", show_default=False)] = None,
    corpus: Annotated[bool, typer.Option("--corpus", help="The layers that the theorems of the corpus speak of.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps; one that is absent is an error.")] = "auto",
    dtype: Annotated[
        str | None, typer.Option(metavar="LIST", help="float64, float32, tf32, bfloat16, float16; or all.", show_default="float64,float32")
    ] = None,
    memory_format: Annotated[
        str | None, typer.Option(metavar="LIST", help="contiguous, channels_last; or all.", show_default="contiguous")
    ] = None,
    algorithms: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="cpu: onednn, no-onednn, nnpack; cuda: cudnn, cudnn-benchmark, cudnn-deterministic, no-cudnn; or all.",
            show_default="all but nnpack and no-cudnn",
        ),
    ] = None,
    mode: Annotated[str | None, typer.Option(metavar="LIST", help="eager, compile; or all.", show_default="eager")] = None,
    directions: Annotated[
        str | None, typer.Option(metavar="LIST", help="forward, input-grad, weight-grad; or all.", show_default="all")
    ] = None,
    backend: Annotated[str | None, typer.Option(metavar="LIST", help="torch, onnxruntime, openvino; or all.", show_default="torch")] = None,
    compiler: Annotated[str, typer.Option(help="The backend of torch.compile.")] = "inductor",
    extents: Annotated[
        str | None, typer.Option(metavar="N,N", help="Input extents; small ones are drawn by default.", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(help="Random instances for each setting.")] = 3,
    seed: Annotated[int, typer.Option(help="Of all random numbers.")] = 0,
    channels: Channels = None,
    budget: Budget = 60.0,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Run two layers with parameters that a certified reshuffle makes the same, and compare every number they give.

    Two whole models are run as wholes and part by part, once they are proved to be the same.

    Exit codes: 0 all agree, 1 something deviates, 2 bad input, 3 nothing could run.
    """
    from symconv.app.crossval import crossval as run

    return run(
        left,
        right,
        corpus=corpus,
        device=device,
        dtype=dtype,
        memory_format=memory_format,
        algorithms=algorithms,
        mode=mode,
        directions=directions,
        backend=backend,
        compiler=compiler,
        extents=extents,
        count=count,
        seed=seed,
        channels=channels,
        budget=budget,
        as_json=as_json,
        as_format=as_format.value,
    )


@app.command(short_help="Measure LR against HR networks at equal cost.")
def power(
    part: Annotated[str, typer.Option(metavar="PARTS", help="all, or some of cost, linear, trained.")] = "cost",
    factors: Annotated[str, typer.Option(metavar="R,R", help="Factors of cost and linear.")] = "2,3,4",
    widths: Annotated[str, typer.Option(metavar="N,N", help="HR channels of cost.")] = "16",
    kernels: Annotated[str, typer.Option(metavar="K,K", help="Taps on an axis of cost and linear.")] = "1,3,5",
    depth: Annotated[int, typer.Option(help="Hidden layers of cost.")] = 2,
    no_timing: Annotated[bool, typer.Option("--no-timing", help="Leave out times and memory.")] = False,
    extent: Annotated[int, typer.Option(metavar="N", help="HR samples on an axis where time is measured.")] = 480,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder of your own images.", show_default=False)] = None,
    grid: Annotated[str, typer.Option(help="What is trained: tiny, default or large.")] = "default",
    seeds: Annotated[int | None, typer.Option(help="Seeds, instead of the grid's own number.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    processes: Annotated[int, typer.Option(help="Networks trained at once on the cpu.")] = 2,
    state: Annotated[Path, typer.Option(metavar="DIR", help="Checkpoints; a killed run goes on from them.")] = Path("build/power"),
    results: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Report results of before; measure nothing.", show_default=False)
    ] = None,
    against: Annotated[Path | None, typer.Option(metavar="FILE", help="Compare with results of before.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the results.", show_default=False)] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE.md", help="Write the page and its plots.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Measure low-resolution against high-resolution networks: what they cost, the best linear layers on images, trained networks."""
    from symconv.app.power import power as run

    return run(
        parts=part,
        factors=factors,
        widths=widths,
        kernels=kernels,
        depth=depth,
        timing=not no_timing,
        extent=extent,
        images=images,
        grid=grid,
        seeds=seeds,
        device=device,
        processes=processes,
        state=state,
        results=results,
        against=against,
        output=output,
        page=page,
        force=force,
        as_json=as_json,
        as_format=as_format.value,
    )


@app.command(short_help="Print a proof report.")
def report(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...",
            help="Theorems, numbers of claims or groups; files written by --json or --certificate. None is the whole corpus.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="FILE.md, FILE.html or FILE.pdf.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    everything: Annotated[bool, typer.Option("--all", help="All theorems, beside the files named.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> int:
    """Print theorems and saved verdicts as one file: statements, proofs, figures, false twins, and how to check it again."""
    from symconv.app.report import print_report as run

    return run(what or [], output, everything=everything, force=force)


@app.command(short_help="Measure the forms of layers beside each other.")
def bench(
    layers: Annotated[list[str] | None, typer.Argument(metavar="[LAYER]...", help=f"Layers: {LAYER}.", show_default=False)] = None,
    real: Annotated[bool, typer.Option("--real", help="The layers that people ship in decoders.")] = False,
    only: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of the real layers those whose name holds TEXT.", show_default=False)
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="torch or onnxruntime.")] = "torch",
    extents: InputExtents = None,
    batch: Batch = 1,
    device: Device = "cpu",
    dtype: NumberFormat = "float32",
    threads: Threads = None,
    seconds: RaceSeconds = 4.0,
    clock: Clock = "wall",
    any_memory: NoPeak = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw FILE.png, FILE.svg or FILE.pdf.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    channels: Channels = None,
    budget: Budget = 60.0,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Measure the certified forms of layers beside each other, in interleaved rounds, and say which one is the fastest here."""
    from symconv.app.bench import bench as run

    return run(
        layers or [],
        real=real,
        only=only,
        runtime=runtime,
        extents=extents,
        batch=batch,
        device=device,
        dtype=dtype,
        threads=threads,
        seconds=seconds,
        clock=clock,
        frugal=not any_memory,
        plot=plot,
        force=force,
        channels=channels,
        budget=budget,
        as_json=as_json,
        as_format=as_format.value,
    )

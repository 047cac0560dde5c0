"""The command line of symconv: what each command takes. What it does is in symconv.app, loaded when a command runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LAYER = "an expression such as 'Conv2d(3, 12, 3, padding=1) >> PixelShuffle(2)', or package.module:attribute"

Left = Annotated[str, typer.Argument(metavar="LEFT", help=f"The left layer: {LAYER}.", show_default=False)]
Right = Annotated[str, typer.Argument(metavar="RIGHT", help="The right layer.", show_default=False)]
TheLayer = Annotated[str, typer.Argument(metavar="LAYER", help=f"The layer: {LAYER}.", show_default=False)]
Channels = Annotated[int | None, typer.Option(help="Input channels, where no layer says how many.", show_default=False)]
Budget = Annotated[float, typer.Option(metavar="SECONDS", help="Time after which the answer is `unknown`.")]
Certificate = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the certificate to this file.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing certificate file.")]
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
    channels: Channels = None,
    budget: Budget = 60.0,
    certificate: Certificate = None,
    force: Force = False,
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
    no_presburger: NoPresburger = False,
) -> int:
    """Rewrite a layer in another form, with the reshuffle of its kernel and a certificate."""
    from symconv.app.convert import convert as run

    return run(
        layer,
        to.value,
        channels=channels,
        budget=budget,
        certificate=certificate,
        force=force,
        as_json=as_json,
        as_format=as_format.value,
        presburger=not no_presburger,
    )


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
    certificates: Annotated[list[Path], typer.Argument(metavar="CERTIFICATE...", help="Certificate files.", show_default=False)],
    as_json: Json = False,
    as_format: AsFormat = Format.TEXT,
) -> int:
    """Re-check certificates with the independent checker."""
    from symconv.app.verify import verify as run

    return run(certificates, as_json=as_json, as_format=as_format.value)


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

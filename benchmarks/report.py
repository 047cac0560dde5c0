"""Turns build/benchmarks.json into docs/benchmarks.md.

make bench
python benchmarks/report.py
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

WIDTH = 138

HEAD = """\
# Benchmarks

Made by

```sh
make bench
.venv/bin/python benchmarks/report.py
```

from one run on {cores} cores ({cpu}), Python {python};
{libraries}.

Times within a process are medians of processor time of one core; times of commands are wall-clock time, the least of seven runs. They are
those of one machine on one day; ratios within the run mean more. An aim stands beside a figure where the project has set one, and is called
missed where it is.
"""

ABOUT = {
    "check in process": (
        "`symconv.check` of `ConvTransposeNd(c, c, 4, stride=2, padding=1)` against its low-resolution form, from the two expressions to "
        "the verdict: decided by exact rank and again by Z3, certificate made, and accepted by the independent checker. The six cases are "
        "interleaved in one run, and the ratios are ratios of their medians. Nothing here depends on an image size: the answer is about "
        "every extent."
    ),
    "check in process, without Z3": "The same with `presburger=False`.",
    "large hyper-parameters": "A transposed convolution against its universal lowering.",
    "the checker": "`symconv.checker.check_certificate` on the certificate of one layer against its low-resolution form.",
    "as a process, cold": (
        "Start to exit of one command on two layers given as expressions (2-D, 64 channels); the files are in the page cache. "
        "Memory is the largest resident set of the process."
    ),
    "random one-axis configurations, without Z3": (
        "Random transposed convolutions with k to 9, s to 5, d to 4, paddings to k on each side, output padding, groups and bias: "
        "decided, certificate made and checked, on one core."
    ),
    "a model of 500 layers and 1 GB, external data": (
        "`symconv convert --to lr-shuffle` and `symconv verify` as processes, on a generated file whose tensors lie outside of it, against "
        "the least that a conversion does: read all bytes, hash what was and what comes, write."
    ),
    "a model of 1.25 GB with one tensor of 256 MB": (
        "The same for memory: the aim is twice the largest tensor and 160 MB for the interpreter, its packages, the graph and the bundle."
    ),
    "the same question, three ways": (
        "Whether `ConvTransposeNd(c, c, 4, stride=2, padding=1, bias=False)` is `ConvNd >> PixelShuffle(2) >> Crop(1)`, measured in the "
        "same run. *SymPy matrices*: both operator matrices with generic kernels, the reshuffle put in by hand, compared entry by entry. "
        "*Ranks through PyTorch*: every unit kernel run through PyTorch, exact ranks of the matrices stacked over extents. Both answer for "
        "the extents tried and for no others, and grow with extents, axes and channels."
    ),
}


def document(record: Mapping[str, Any]) -> str:
    """The page."""
    libraries = ", ".join(f"{name} {version}" for name, version in record["libraries"].items())
    parts = [HEAD.format(**record["machine"], libraries=libraries)]
    for group in sorted({figure["group"] for figure in record["figures"]}, key=list(ABOUT).index):
        figures = [figure for figure in record["figures"] if figure["group"] == group]
        parts.append(f"\n## {group[0].upper()}{group[1:]}\n\n{textwrap.fill(ABOUT[group], WIDTH)}\n\n" + "\n".join(table(figures)) + "\n")
    return "".join(parts)


def table(figures: list[dict[str, Any]]) -> Iterator[str]:
    """The rows of one group; columns that would be empty are left out."""
    aims, notes = any(_aim(f) for f in figures), any(f["note"] for f in figures)
    yield "| what | measured |" + " aim | |" * aims + " |" * notes
    yield "|---|---:|" + "---:|---|" * aims + "---|" * notes
    for f in figures:
        met = {None: "", True: "met", False: "missed"}[f["met"]]
        yield f"| {f['name']} | {_value(f)} |" + f" {_aim(f)} | {met} |" * aims + f" {f['note']} |" * notes


def _value(figure: Mapping[str, Any]) -> str:
    value, unit = figure["value"], figure["unit"]
    if unit == "ms" and value >= 1000:
        value, unit = value / 1000, "s"
    digits = max(0, 3 - len(str(int(value)))) if value >= 1 else 2
    return f"{value:,.{digits}f} {unit}"


def _aim(figure: Mapping[str, Any]) -> str:
    if figure["most"] is not None:
        most, unit = figure["most"], figure["unit"]
        return f"under {most / 1000:g} s" if unit == "ms" and most >= 1000 else f"under {most:g} {unit}"
    return "" if figure["least"] is None else f"over {figure['least']:g} {figure['unit']}"


def main() -> None:
    """Reads the figures of the last run and writes the page."""
    record = json.loads((ROOT / "build" / "benchmarks.json").read_text(encoding="utf-8"))
    (ROOT / "docs" / "benchmarks.md").write_text(document(record), encoding="utf-8")


if __name__ == "__main__":
    main()

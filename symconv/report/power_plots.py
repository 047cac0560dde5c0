"""The plots of the experiment: each a function from results to the bytes of an image file, the same bytes every time.

Owns: `plots`, colours and markers. Must not know: files, Markdown, how anything was measured.
"""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs

from symconv.errors import UsageError
from symconv.report.power_trained import scores
from symconv.report.power_words import ARM, mean, spread

Record = dict[str, Any]

STYLE = {
    "svg.hashsalt": "symconv",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}
MARKS = {
    "low": ("#1b5e9c", "o", "-"),
    "low-parameters": ("#6baed6", "o", "--"),
    "bicubic": ("#b3410e", "s", "-"),
    "nearest": ("#e08214", "^", "-"),
    "transposed": ("#7b3294", "D", "-"),
}
"""Colour, marker and line: apart in lightness and in shape."""
FAMILIES = {
    "LR and shuffle": ("#1b5e9c", "o"),
    "transposed": ("#7b3294", "x"),
    "bicubic first": ("#b3410e", "s"),
    "nearest first": ("#e08214", "^"),
}
TITLES = {"original": "original", "interpolated": "bicubic alone"}


@attrs.frozen
class Plot:
    """One plot.

    Args:
        name: of its file.
        caption: what is seen.
        draw: makes the file's bytes.
    """

    name: str
    caption: str
    draw: Callable[[], bytes]


def plots(record: Record) -> tuple[Plot, ...]:
    """What there is to draw in these results."""
    return tuple(_plots(record))


def _plots(record: Record) -> Iterator[Plot]:
    if "linear" in record:
        caption = (
            "The best linear layer of each class: PSNR on held-out images beyond bicubic interpolation, against multiplications for each "
            "low-resolution sample, resizes included."
        )
        yield Plot("linear.svg", caption, partial(_linear, record["linear"]))
    if "trained" in record:
        trained = record["trained"]
        caption = (
            "Trained networks: PSNR on held-out images against multiplications; bars are one standard deviation over the seeds each way."
        )
        yield Plot("psnr.svg", caption, partial(_psnr, trained))
        yield Plot("parameters.svg", "Trained networks: parameters against multiplications.", partial(_parameters, trained))
        if trained["crops"]:
            one = trained["crops"][0]
            caption = (
                f"A part of {one['image']} (held out), r = {one['factor']}, from the first seed's networks with the most hidden layers."
            )
            yield Plot("crops.png", caption, partial(_crops, trained["crops"]))


def _plain_ticks(panel: Any) -> None:
    """Numbers on a logarithmic axis as numbers, at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(NullLocator())


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("plots need matplotlib, which is not installed. Use: pip install 'symconv[experiment]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _saved(figure: Any, kind: str) -> bytes:
    stream = io.BytesIO()
    empty = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, metadata=empty, bbox_inches="tight", dpi=120)
    _pyplot().close(figure)
    return stream.getvalue()


def _linear(linear: Record) -> bytes:
    pyplot = _pyplot()
    with pyplot.rc_context(STYLE):
        factors = linear["factors"]
        figure, panels = pyplot.subplots(1, len(factors), figsize=(3.3 * len(factors), 3.2), squeeze=False)
        for panel, item in zip(panels[0], factors, strict=True):
            fixed = next(mean(one["psnr"]) for one in item["classes"] if one["name"] == "bicubic resize")
            for name, (colour, mark) in FAMILIES.items():
                found = [(one["multiplications"], mean(one["psnr"]) - fixed) for one in item["classes"] if one["name"] == name]
                panel.plot(*zip(*sorted(found), strict=True), color=colour, marker=mark, markersize=5, linewidth=0.8, label=name)
            panel.axhline(0, color="black", linewidth=0.8)
            panel.set(xscale="log", title=f"r = {item['factor']}", xlabel="multiplications a low-resolution sample")
            _plain_ticks(panel)
        panels[0][0].set_ylabel("dB beyond bicubic")
        panels[0][0].legend(fontsize=8)
        figure.tight_layout()
        return _saved(figure, "svg")


def _panels(trained: Record, label: str) -> tuple[Any, list[tuple[Any, list[Record]]]]:
    """A figure with a panel a factor, and each panel's networks."""
    factors = sorted({one["factor"] for one in trained["networks"]})
    figure, panels = _pyplot().subplots(1, len(factors), figsize=(4.2 * len(factors), 3.6), squeeze=False)
    found = []
    for panel, r in zip(panels[0], factors, strict=True):
        panel.set(xscale="log", title=f"r = {r}", xlabel="multiplications a high-resolution sample")
        _plain_ticks(panel)
        found.append((panel, [one for one in trained["networks"] if one["factor"] == r]))
    panels[0][0].set_ylabel(label)
    return figure, found


def _psnr(trained: Record) -> bytes:
    pyplot = _pyplot()
    with pyplot.rc_context(STYLE):
        figure, panels = _panels(trained, "PSNR in dB, mean over images and seeds")
        for panel, networks in panels:
            for arm, (colour, mark, line) in MARKS.items():
                found = sorted((one["multiplications"], mean(scores(one)), spread(scores(one))) for one in networks if one["arm"] == arm)
                x, y, bars = zip(*found, strict=True)
                panel.errorbar(
                    x, y, yerr=bars, color=colour, marker=mark, linestyle=line, linewidth=1, markersize=5, capsize=3, label=ARM[arm]
                )
            base = next(one for one in trained["baseline"] if one["factor"] == networks[0]["factor"])
            panel.axhline(mean(base["psnr"]), color="black", linewidth=0.8, linestyle=":", label="bicubic alone")
        panels[0][0].legend(fontsize=8)
        figure.tight_layout()
        return _saved(figure, "svg")


def _parameters(trained: Record) -> bytes:
    pyplot = _pyplot()
    with pyplot.rc_context(STYLE):
        figure, panels = _panels(trained, "parameters")
        for panel, networks in panels:
            for arm, (colour, mark, line) in MARKS.items():
                found = sorted((one["multiplications"], one["parameters"]) for one in networks if one["arm"] == arm)
                panel.plot(*zip(*found, strict=True), color=colour, marker=mark, linestyle=line, linewidth=1, markersize=5, label=ARM[arm])
            panel.set_yscale("log")
        panels[0][0].legend(fontsize=8)
        figure.tight_layout()
        return _saved(figure, "svg")


def _crops(crops: list[Record]) -> bytes:
    import numpy as np

    pyplot = _pyplot()
    with pyplot.rc_context(STYLE | {"axes.grid": False}):
        figure, panels = pyplot.subplots(1, len(crops), figsize=(1.75 * len(crops), 2.2))
        for panel, one in zip(panels, crops, strict=True):
            raw = zlib.decompress(base64.b64decode(one["samples"]["zlib"]))
            panel.imshow(
                np.frombuffer(raw, dtype=np.uint8).reshape(one["samples"]["shape"]), cmap="gray", vmin=0, vmax=255, interpolation="nearest"
            )
            title = str(TITLES.get(one["title"]) or ARM[one["title"]])
            panel.set_title(title.replace(", ", "\n") + ("" if one["psnr"] is None else f"\n{one['psnr']:.2f} dB"), fontsize=8)
            panel.set_axis_off()
        figure.tight_layout()
        return _saved(figure, "png")

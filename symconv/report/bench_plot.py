"""The plot of a benchmark: for every layer its forms' speed-ups on a logarithmic axis.

Owns: `draw`. Must not know: files, how anything was measured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

STYLE = {
    "svg.hashsalt": "symconv",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.axisbelow": True,
}
FAMILIES = (
    ("given", "#555555", "o"),
    ("lr-shuffle", "#1b5e9c", "s"),
    ("transposed", "#7b3294", "D"),
    ("zero-insertion", "#e08214", "^"),
    ("unshuffle", "#2d7d46", "v"),
)
"""Form, colour and marker: apart in lightness and in shape."""


def draw(record: Mapping[str, Any], kind: str) -> bytes:
    """The bytes of an image file of this kind (png, svg or pdf)."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    layers = record["layers"][::-1]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.5, 1.2 + 0.28 * len(layers)), layout="constrained")
        axes = figure.subplots()
        for family, colour, marker in FAMILIES:
            points = [
                (row["lap"]["ratio"], place, row["status"] == "chosen")
                for place, item in enumerate(layers)
                for row in item["rows"]
                if row["lap"] and row["form"].split(",")[0] == family
            ]
            if points:
                axes.scatter(
                    [x for x, _, _ in points],
                    [y for _, y, _ in points],
                    s=16,
                    c=colour,
                    marker=marker,
                    alpha=0.6,
                    label=family,
                    linewidths=0,
                )
                kept = [(x, y) for x, y, chosen in points if chosen]
                axes.scatter([x for x, _ in kept], [y for _, y in kept], s=60, c=colour, marker=marker)
        axes.axvline(1.0, color="black", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(range(len(layers)), [item["name"] if item["name"] != item["source"] else item["source"][:48] for item in layers])
        axes.set_xlabel("speed-up over the layer as given (large marks: kept)")
        axes.set_ylim(-0.6, len(layers) - 0.4)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(FAMILIES), fontsize=7)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


__all__ = ["draw"]

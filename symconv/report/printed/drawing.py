"""Drawings of kernels and matrices as SVG, by matplotlib.

Owns: colours, sizes, the canvas. Must not know: theorems, what a drawing means.

Colours differ in lightness as well, and every coloured cell carries its name: on grey paper nothing is lost. The same drawing is
the same bytes: no date, fixed identifiers, matplotlib's own fonts as outlines.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from typing import Any

from symconv.errors import UsageError

COLOURS = ("#fbe7b2", "#e9a96b", "#b8648a", "#3f3f86", "#d9e8dc", "#8fb8a8", "#5f8a9c", "#22304a", "#f3d4d8")
INK = ("#1a1a1a", "#1a1a1a", "#ffffff", "#ffffff", "#1a1a1a", "#1a1a1a", "#ffffff", "#ffffff", "#1a1a1a")
EMPTY = "#ffffff"
RULE = "#9a9a9a"
STYLE = {
    "svg.hashsalt": "symconv", "svg.fonttype": "path", "font.family": "STIXGeneral", "mathtext.fontset": "stix", "font.size": 10,
    "path.simplify": False, "figure.dpi": 100, "savefig.dpi": 100, "axes.unicode_minus": True,
}  # fmt: skip

Cells = dict[tuple[int, int], int]
"""(row, column) to the number of the tap or phase that stands there."""


class _Canvas:
    """A drawing in units of one cell."""

    def __init__(self, width: float, height: float, cell: float = 0.36) -> None:
        try:
            from matplotlib.backends.backend_svg import FigureCanvasSVG
            from matplotlib.figure import Figure as Drawing
        except ImportError:
            raise UsageError(
                "figures need the package `matplotlib`, which is not installed. Run `pip install 'symconv[report]'`, or ask for FILE.md."
            ) from None
        self.drawing = Drawing(figsize=(width * cell, height * cell))
        FigureCanvasSVG(self.drawing)
        self.axes = self.drawing.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(height, 0)
        self.axes.axis("off")

    def cell(self, x: float, y: float, text: str = "", number: int | None = None, *, faint: bool = False) -> None:
        """A square with a text; coloured by number."""
        from matplotlib.patches import Rectangle

        fill = EMPTY if number is None else COLOURS[number % len(COLOURS)]
        ink = "#8c8c8c" if number is None else INK[number % len(INK)]
        self.axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor=RULE, linewidth=0.6, linestyle=":" if faint else "-"))
        if text:
            self.axes.text(x + 0.5, y + 0.53, text, ha="center", va="center", color=ink, fontsize=10)

    def text(self, x: float, y: float, text: str, *, ha: str = "center", size: float = 9.5) -> None:
        self.axes.text(x, y, text, ha=ha, va="center", color="#333333", fontsize=size)

    def arrow(self, x0: float, y0: float, x1: float, y1: float) -> None:
        self.axes.annotate("", (x1, y1), (x0, y0), arrowprops={"arrowstyle": "-|>", "color": "#555555", "linewidth": 0.9})

    def outline(self, x: float, y: float, width: float, height: float) -> None:
        from matplotlib.patches import Rectangle

        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor="#1a1a1a", linewidth=1.1))

    def svg(self) -> bytes:
        stream = io.BytesIO()
        self.drawing.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return stream.getvalue()


def drawn(draw: Callable[..., _Canvas]) -> Callable[..., bytes]:
    """A drawing made under one style, whatever matplotlib's settings are."""

    def made(*args: Any) -> bytes:
        try:
            import matplotlib
        except ImportError:
            raise UsageError(
                "figures need the package `matplotlib`, which is not installed. Run `pip install 'symconv[report]'`, or ask for FILE.md."
            ) from None
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return draw(*args).svg()

    return made


@drawn
def draw_grids(grids: Any, titles: Any, letter: str) -> _Canvas:
    """Matrices side by side, coloured by tap."""
    gap = 2.0
    canvas = _Canvas(sum(grid[1] for grid in grids) + gap * (len(grids) - 1) + 0.4, max(grid[0] for grid in grids) + 1.4)
    left = 0.2
    tallest = max(grid[0] for grid in grids)
    for (rows, columns, cells), title in zip(grids, titles, strict=True):
        top = 1.2 + (tallest - rows) / 2
        for y, x in itertools.product(range(rows), range(columns)):
            number = cells.get((y, x))
            canvas.cell(left + x, top + y, "" if number is None else f"${letter}_{{{number}}}$", number)
        canvas.outline(left, top, columns, rows)
        canvas.text(left + columns / 2, top - 0.55, title)
        left += columns + gap
    return canvas


@drawn
def draw_insertion() -> _Canvas:
    """Four samples, zeros between them, and a kernel of four taps at two neighbouring output samples."""
    canvas = _Canvas(15.2, 8.2)
    for i in range(4):
        canvas.cell(4.2 + 2 * i + 0.5, 0.2, f"$x_{{{i}}}$")
    canvas.text(3.9, 0.7, "input", ha="right")
    for position in range(9):
        sample = position % 2 == 1
        canvas.cell(3.2 + position + 0.5, 2.2, f"$x_{{{position // 2}}}$" if sample else "0", None)
        if sample:
            canvas.arrow(3.2 + position + 1.0, 1.25, 3.2 + position + 1.0, 2.15)
    canvas.text(3.4, 2.7, "inserted zeros", ha="right")
    for line, start in enumerate((2, 3)):
        for place in range(4):
            tap, meets = 3 - place, (start + place) % 2 == 1
            canvas.cell(3.7 + start + place, 4.2 + 2 * line, f"$w_{{{tap}}}$", tap if meets else None, faint=not meets)
        taps = [3 - place for place in range(4) if (start + place) % 2 == 1]
        canvas.text(3.4, 4.7 + 2 * line, f"output sample $o{'' if line == 0 else ' + 1'}$", ha="right")
        canvas.text(11.0, 4.7 + 2 * line, " and ".join(f"$w_{{{tap}}}$" for tap in taps) + " meet samples", ha="left")
    return canvas


@drawn
def draw_slots(ends: list[Cells], both: list[Cells]) -> _Canvas:
    """Four taps and the slots of two phases, in two alignments."""
    canvas = _Canvas(18.5, 4.6)
    for tap in range(4):
        canvas.cell(0.3 + tap, 1.9, f"$w_{{{tap}}}$", tap)
    canvas.text(2.3, 1.3, "kernel")
    for left, count, rows, title in ((7.6, 3, ends, "cropped at the end only"), (14.6, 2, both, "cropped on both sides")):
        canvas.text(left + count / 2, 0.5, title)
        for phase, cells in enumerate(rows):
            for u in range(count):
                held = cells.get((0, u))
                canvas.cell(left + u, 1.2 + 1.5 * phase, "0" if held is None else f"$w_{{{held}}}$", held)
            canvas.text(left - 0.25, 1.7 + 1.5 * phase, f"phase {phase}", ha="right")
    canvas.arrow(4.5, 2.4, 5.6, 2.4)
    return canvas


@drawn
def draw_reshuffle(kernel: Cells, parts: list[Cells], letters: dict[int, str]) -> _Canvas:
    """A kernel and its parts, coloured by phase."""
    canvas = _Canvas(18.6, 5.6)
    for (y, x), tap in kernel.items():
        canvas.cell(0.3 + x, 1.2 + y, f"${letters[tap]}$", 2 * (y % 2) + x % 2)
    canvas.outline(0.3, 1.2, 4, 4)
    canvas.text(2.3, 0.5, "(1, 1, 4, 4)")
    canvas.arrow(4.7, 3.2, 6.1, 3.2)
    for number, part in enumerate(parts):
        left = 6.6 + 3.05 * number
        for (y, x), tap in part.items():
            canvas.cell(left + x, 2.2 + y, f"${letters[tap]}$", number)
        canvas.outline(left, 2.2, 2, 2)
        canvas.text(left + 1, 4.75, f"phase {number // 2}, {number % 2}")
    canvas.text(12.2, 1.2, "(4, 1, 2, 2)")
    return canvas


@drawn
def draw_patterns() -> _Canvas:
    """The taps that each phase sees, for kernels of 4 and of 3 taps an axis."""
    canvas = _Canvas(22.4, 9.9)
    top = 0.9
    for k in (4, 3):
        canvas.text(2.6, top + k / 2, f"$k = {k}$", ha="right")
        for number, (a, b) in enumerate(itertools.product(range(2), repeat=2)):
            left = 3.2 + 4.9 * number + (4 - k) / 2
            for y, x in itertools.product(range(k), repeat=2):
                held = (y % 2, x % 2) == (a, b)
                canvas.cell(left + x, top + y, f"{y}{x}" if held else "", number if held else None)
            canvas.outline(left, top, k, k)
            if k == 4:
                canvas.text(left + k / 2, 0.4, f"phase {a}, {b}")
        top += k + 1.2
    return canvas


@drawn
def draw_contributions(counts: dict[int, list[int]]) -> _Canvas:
    """A pile for each output sample, as high as the number of contributions."""
    from matplotlib.patches import Rectangle

    canvas = _Canvas(25, 5.0, cell=0.3)
    for number, (k, row) in enumerate(counts.items()):
        left = 1.2 + 12.6 * number
        canvas.text(left + 5, 0.5, f"$k = {k}$, $s = 2$", size=10)
        for place, count in enumerate(row):
            for level in range(count):
                canvas.axes.add_patch(
                    Rectangle((left + place, 3.6 - level - 1), 0.92, 0.92, facecolor=COLOURS[1 + place % 2], edgecolor=RULE, linewidth=0.6)
                )
            canvas.text(left + place + 0.46, 4.1, str(count))
    return canvas

"""The figures of the report: what is pictured beside which theorem, as a drawing and in characters.

Owns: `figures`, captions. Must not know: results, writers, matplotlib.

What a picture shows is computed by symconv's own layers or by the theorem's reshuffle, never drawn by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import partial

from symconv.frontends.text import parse
from symconv.layers import flatten
from symconv.operators.denote import denote
from symconv.report.printed import drawing
from symconv.report.printed.document import Figure
from symconv.report.printed.drawing import Cells
from symconv.report.printed.prose import prose


def figures(name: str) -> tuple[Figure, ...]:
    """The figures of the theorem called `name`."""
    return tuple(make() for make in FIGURES.get(name, ()))


def operator_cells(layer: str, extent: int) -> tuple[int, int, Cells]:
    """The operator matrix of a layer with one kernel and one axis: rows, columns, and which tap stands where."""
    table = denote(flatten(parse(layer)), 1, (extent,))
    cells: Cells = {}
    for o in range(table.out_shape[1]):
        for (_, i), form in table.entries[(0, o)].items():
            (param,) = filter(None, form)
            cells[o, i] = int(param[-1])
    return table.out_shape[1], extent, cells


def _matrices() -> Figure:
    forward = operator_cells("Conv1d(1, 1, 4, stride=2, padding=2, bias=False)", 8)
    back = operator_cells("ConvTranspose1d(1, 1, 4, stride=2, padding=2, bias=False)", 5)
    lines = [*_grid_lines(*forward, "w"), "", *_grid_lines(*back, "w")]
    titles = ("convolution, 8 to 5", "transposed convolution, 5 to 8")
    return Figure(
        partial(drawing.draw_grids, (forward, back), titles, "w"),
        tuple(lines),
        prose(
            "The operator matrices of the note's example: k = 4, s = 2, p = 2. Left the strided convolution at extent 8, 5 x 8; right the "
            "transposed convolution with the same kernel at extent 5, 8 x 5: its transpose. Equal taps have equal colours; empty entries "
            "are 0."
        ),
        0.92,
        "Two matrices of taps, 5 by 8 and 8 by 5; the second is the transpose of the first.",
    )


def _insertion() -> Figure:
    lines = (
        "inserted zeros            0 x0  0 x1  0 x2  0 x3  0",
        "output sample o                w3 w2 w1 w0             w2 and w0 meet samples",
        "output sample o + 1               w3 w2 w1 w0          w3 and w1 meet samples",
    )
    return Figure(
        drawing.draw_insertion,
        lines,
        prose(
            "Zero insertion, k = 4, s = 2. The reversed kernel slides over the inserted signal; at every position only the taps of one "
            "phase meet samples, the others meet inserted zeros: w0 and w2, then w1 and w3. Those pairs are the kernels of the "
            "low-resolution form."
        ),
        0.74,
        "A signal with zeros inserted, and the kernel at two neighbouring positions with the taps that meet samples.",
    )


def _slots(k: int, s: int, front: int, count: int) -> list[Cells]:
    """Per phase one row of `count` slots: which tap a kernel of k taps behind `front` zeros puts there, a + j = phi + s (K - 1 - u)."""
    rows: list[Cells] = [{} for _ in range(s)]
    for tap in range(k):
        quotient, phase = divmod(front + tap, s)
        rows[phase][0, count - 1 - quotient] = tap
    return rows


def _lowered() -> Figure:
    ends, both = _slots(4, 2, 1, 3), _slots(4, 2, 0, 2)
    lines = ["kernel              w0 w1 w2 w3"]
    for title, rows, count in (("crop at the end", ends, 3), ("crop on both sides", both, 2)):
        for phase, cells in enumerate(rows):
            told = " ".join(f"w{cells[0, u]}" if (0, u) in cells else " 0" for u in range(count))
            lines.append(f"{title if phase == 0 else '':18}  {told}   phase {phase}")
    return Figure(
        partial(drawing.draw_slots, ends, both),
        tuple(lines),
        prose(
            "The low-resolution kernels of ConvTranspose(4, stride 2, padding 1) on one axis. With a = 1 zero in front and no crop at the "
            "front each phase has K = 3 slots, 2 of the 6 stay empty; with a crop of one sample on each side K = 2 and none is empty. "
            "Every phase takes its taps in reversed order."
        ),
        0.9,
        "Four taps and their places in the slots of two phases, for both alignments.",
    )


def _reshuffled() -> tuple[Cells, list[Cells]]:
    """The 4 x 4 kernel numbered by tap, and the four 2 x 2 kernels: j = phi + 2 (1 - u) on each axis."""
    kernel = {(y, x): 4 * y + x for y, x in itertools.product(range(4), repeat=2)}
    parts: list[Cells] = []
    for a, b in itertools.product(range(2), repeat=2):
        parts.append({(y, x): kernel[a + 2 * (1 - y), b + 2 * (1 - x)] for y, x in itertools.product(range(2), repeat=2)})
    return kernel, parts


def _reshuffle() -> Figure:
    kernel, parts = _reshuffled()
    letters = _letters(kernel.values())
    lines = [" ".join(letters[kernel[y, x]] for x in range(4)) for y in range(4)]
    small = [[" ".join(letters[part[y, x]] for x in range(2)) for part in parts] for y in range(2)]
    return Figure(
        partial(drawing.draw_reshuffle, kernel, parts, letters),
        (*lines, "", "phase 0,0   phase 0,1   phase 1,0   phase 1,1", *("         ".join(line) for line in small)),
        prose(
            "The kernel reshuffle of the note: a transposed convolution's kernel (1, 1, 4, 4) with stride 2, left, is the low-resolution "
            "kernel "
            "(4, 1, 2, 2), right: one 2 x 2 kernel for each output phase, in reversed order on both axes. Colours are phases."
        ),
        0.94,
        "A kernel of 4 by 4 taps coloured by phase, and the four kernels of 2 by 2 taps that it is split into.",
    )


def _patterns() -> Figure:
    lines: list[str] = []
    for k in (4, 3):
        lines.append(f"k = {k}, r = 2: taps seen by phase 0,0 / 0,1 / 1,0 / 1,1")
        for y in range(k):
            cells = (["#" if (y % 2, x % 2) == phase else "." for x in range(k)] for phase in itertools.product(range(2), repeat=2))
            lines.append("   ".join(" ".join(row) for row in cells))
        lines.append("")
    return Figure(
        drawing.draw_patterns,
        tuple(lines[:-1]),
        prose(
            "Activation patterns for r = 2: the taps that the four phases of the output see, above for k = 4 (four each), below for k = 3 "
            "(4, 2, 2 and 1). The patterns are disjoint and together they are the kernel."
        ),
        0.8,
        "Two rows of four kernels; in each the taps of one phase are filled.",
    )


def overlap(k: int, s: int, samples: int) -> list[int]:
    """How many contributions each output sample gets in the interior, counted in symconv's table of a transposed convolution."""
    extent = samples // s + k
    table = denote(flatten(parse(f"ConvTranspose1d(1, 1, {k}, stride={s}, bias=False)")), 1, (extent,))
    start = -(-k // s) * s
    return [len(table.entries[(0, o)]) for o in range(start, start + samples)]


def _contributions() -> Figure:
    counts = {k: overlap(k, 2, 10) for k in (3, 4)}
    lines = [f"k = {k}, s = 2: contributions per output sample  {' '.join(map(str, row))} ..." for k, row in counts.items()]
    return Figure(
        partial(drawing.draw_contributions, counts),
        tuple(lines),
        prose(
            "Contributions to each interior output sample for r = 2: a kernel of 3 taps is uneven (2, 1, 2, 1), a kernel of 4 taps even. "
            "Even counts do "
            "not make the output of a constant input constant; equal sums of taps over the phases do."
        ),
        0.8,
        "Bars of the number of contributions to each output sample, uneven for kernel 3 and even for kernel 4.",
    )


FIGURES: dict[str, tuple[Callable[[], Figure], ...]] = {
    "transpose": (_matrices,),
    "zero-insertion": (_insertion,),
    "universal-lowering": (_lowered,),
    "note-form": (_reshuffle,),
    "activation-patterns": (_patterns,),
    "checkerboard": (_contributions,),
}


def _grid_lines(rows: int, columns: int, cells: Cells, letter: str) -> list[str]:
    return [" ".join(f"{letter}{cells[y, x]}" if (y, x) in cells else " ." for x in range(columns)) for y in range(rows)]


def _letters(taps: Iterable[int]) -> dict[int, str]:
    return {tap: chr(ord("a") + place) for place, tap in enumerate(sorted(taps))}

"""Kernel slots as a picture: which tap of one layer goes to which slot of the other.

Owns: `kernel_pictures`. Must not know: widths, colours, how a reshuffle was found.

Everything is read off a certificate: a reshuffle is a tensor product over blocks, so the picture of one channel pair is
the product of the blocks that have axes, and all channel pairs look alike.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.report.page import Block, Grid, Grids, Lines, Picture, Prose

Json = Mapping[str, Any]
Index = tuple[int, ...]
Slot = tuple[int, Index]
"""(kernel number, tap): kernels are numbered in the order in which they are drawn."""

MOST_GRIDS = 16
MOST_CELLS = 64
MOST_TAPS = 256
MOST_PHASES = 8
MOST_ROW = 16
WIDEST_LABEL = 14
LETTERS = string.ascii_lowercase + string.ascii_uppercase
PARAMETRIC = ("Conv", "ConvTranspose", "BatchNorm")


@attrs.frozen
class _Side:
    """One stage of one network, read off a certificate."""

    layers: tuple[Json, ...]

    @property
    def free(self) -> Json | None:
        """The layer with parameters, or None for a fixed stage."""
        return next((layer for layer in self.layers if layer["type"] in PARAMETRIC), None)

    @property
    def kernel(self) -> Index:
        """Taps per axis (none for a fixed stage, one for BatchNorm)."""
        layer = self.free
        return () if layer is None else tuple(layer.get("kernel", (1,) * layer.get("spatial_axes", 1)))

    def phases(self) -> tuple[str, dict[Index, str]]:
        """("output" or "input", {(p, q): name of the phase}) if one shuffle ties the kernel's channels to phases."""
        free = self.free
        if free is None or free["type"] == "BatchNorm":
            return "", {}
        at = self.layers.index(free)
        before, after = self.layers[:at], self.layers[at + 1 :]
        kinds = [layer["type"] for layer in self.layers]
        if kinds.count("Shuffle") + kinds.count("Unshuffle") != 1 or "ChannelShuffle" in kinds:
            return "", {}
        shuffle = next((layer for layer in after if layer["type"] == "Shuffle"), None)
        if shuffle is not None:
            return "output", {(p, 0): name for p, name in _phase_channels(shuffle, free["out_channels"])}
        shuffle = next((layer for layer in before if layer["type"] == "Unshuffle"), None)
        if shuffle is not None and free["groups"] == 1:
            return "input", {(0, q): name for q, name in _phase_channels(shuffle, free["in_channels"])}
        return "", {}


def _phase_channels(shuffle: Json, channels: int) -> Iterator[tuple[int, str]]:
    """(channel, name) of every phase of the first coarse channel."""
    factors = shuffle["factor"]
    place = 1 if shuffle["order"] == "CRD" else channels // math.prod(factors)
    if math.prod(factors) > MOST_TAPS:
        return
    for number, phase in enumerate(itertools.product(*map(range, factors))):
        yield number * place, "phase " + ",".join(map(str, phase))


@attrs.frozen
class _Moves:
    """The product of the blocks with axes, for the first channel pair."""

    source: _Side
    target: _Side
    entries: tuple[tuple[Index, Index, Fraction], ...]

    @property
    def is_identity(self) -> bool:
        """Whether both stages are the same layers and no tap moves."""
        return self.source == self.target and all(v == w and c == 1 for v, w, c in self.entries)


def kernel_pictures(certificate: Json | None, *, forth: bool = True, names: tuple[str, str] = ("left", "right")) -> tuple[Block, ...]:
    """The blocks that show a reshuffle: pictures, and what they leave out; nothing if there is no reshuffle.

    Args:
        certificate: of a decided comparison.
        forth: from the left layer to the right one, or back.
        names: what the left and the right layer are called.
    """
    stages = (certificate or {}).get("stages") or ()
    if any("weights" not in stage for stage in stages):  # layers with weights are compared as functions: nothing is reshuffled
        return ()
    blocks: list[Block] = []
    several = sum(bool(stage["left"] or stage["right"]) for stage in stages) > 1
    for number, stage in enumerate(stages):
        drawn = _stage_pictures(certificate or {}, stage, forth, names if forth else names[::-1])
        if drawn and several:
            blocks.append(Prose(f"Stage {number + 1} of {len(stages)}:"))
        blocks += drawn
    return tuple(blocks)


def _stage_pictures(certificate: Json, stage: Json, forth: bool, names: tuple[str, str]) -> list[Block]:
    left, right = (_Side(tuple(certificate[side][k] for k in stage[side])) for side in ("left", "right"))
    source, target = (left, right) if forth else (right, left)
    part = stage["weights"]
    key = "forth" if forth else "back"
    if target.free is None or any(block[key] is None for block in part["blocks"]):
        return []
    with_axes = [block for block in part["blocks"] if block["axes"]]
    pairs = "" if part["flat"] else _channel_pairs(left if forth else right)
    if _is_small(source, target, with_axes, key):
        moves = _Moves(source, target, _product(with_axes, key, certificate["axes"]))
        if moves.is_identity:
            return [Prose("Every tap stays where it is.")]
        drawn = _draw(moves, names)
        if drawn is not None:
            return [*([Prose(pairs)] if pairs else []), *drawn]
    return _axis_pictures(source, target, with_axes, key, names)


def _channel_pairs(source: _Side) -> str:
    free = source.free
    if free is None or free["type"] == "BatchNorm":
        return ""
    count = free["in_channels"] * free["out_channels"] // free["groups"]
    return f"One channel pair is shown; all {count} pairs look alike." if count > 1 and not source.phases()[1] else ""


def _is_small(source: _Side, target: _Side, blocks: Sequence[Json], key: str) -> bool:
    moves = math.prod(len(block[key]) for block in blocks)
    return max(math.prod(source.kernel), math.prod(target.kernel)) <= MOST_TAPS and moves <= 4 * MOST_TAPS


def _product(blocks: Sequence[Json], key: str, axes: int) -> tuple[tuple[Index, Index, Fraction], ...]:
    found = []
    for combination in itertools.product(*(block[key] for block in blocks)):
        ends = []
        for end in (0, 1):
            index = [0] * (axes + 2)
            for block, move in zip(blocks, combination, strict=True):
                index[0] += move[end][0]
                index[1] += move[end][1]
                for k, axis in enumerate(block["axes"]):
                    index[axis + 2] = move[end][k + 2]
            ends.append(tuple(index))
        found.append((ends[0], ends[1], math.prod((Fraction(move[2]) for move in combination), start=Fraction(1))))
    return tuple(found)


def _draw(moves: _Moves, names: tuple[str, str]) -> list[Block] | None:
    """Source kernels with a letter a tap, target kernels with those letters; None if it would not fit."""
    sources = _kernels(moves.source, {v[:2] for v, _, _ in moves.entries})
    targets = _kernels(moves.target, {w[:2] for _, w, _ in moves.entries})
    kernel, slots = moves.source.kernel, moves.target.kernel
    taps = max(1, len(sources)) * math.prod(kernel)
    if len(targets) > MOST_GRIDS or len(sources) > MOST_GRIDS or taps > MOST_TAPS or math.prod(slots) > MOST_CELLS:
        return None
    letters = _letters(list(sources), kernel, taps)
    filled: dict[tuple[Index, Index], list[tuple[str, Fraction]]] = {}
    for v, w, c in moves.entries:
        filled.setdefault((w[:2], w[2:]), []).append((letters.get((v[:2], v[2:]), ""), c))
    labels = {place: _label(terms) for place, terms in filled.items()}
    sums = {place: text for place, text in labels.items() if len(text) > WIDEST_LABEL}
    named = {text: f"s{number}" for number, text in enumerate(dict.fromkeys(sums.values()), 1)}
    labels = {place: named.get(text, text) for place, text in labels.items()}
    groups = []
    if moves.source.free is not None:
        drawn = tuple(_grid(name, kernel, {tap: letters[pair, tap] for tap in _taps(kernel)}) for pair, name in sources.items())
        groups.append(Grids(f"{names[0]} kernel", drawn))
    drawn = tuple(_grid(name, slots, {tap: labels.get((pair, tap), ".") for tap in _taps(slots)}) for pair, name in targets.items())
    where, phases = moves.target.phases()
    where = where if targets == phases else ""
    groups.append(Grids(f"{names[1]} kernel" + (f", by {where} phase" if where else ""), drawn))
    blocks: list[Block] = [Picture(tuple(groups))]
    if named:
        blocks.append(Lines(tuple(f"{name} = {text}" for text, name in named.items())))
    return blocks


def _kernels(side: _Side, seen: set[Index]) -> dict[Index, str]:
    """The kernels (p, q) to draw and their titles: every phase where channels are phases, else those that appear."""
    phases = side.phases()[1]
    if phases and seen <= phases.keys():
        return phases
    if len(seen) == 1:
        return dict.fromkeys(seen, "")
    many_p, many_q = len({p for p, _ in seen}) > 1, len({q for _, q in seen}) > 1
    return {(p, q): ", ".join([f"output {p}"] * many_p + [f"input {q}"] * many_q) for p, q in sorted(seen)}


def _letters(kernels: list[Index], kernel: Index, taps: int) -> dict[tuple[Index, Index], str]:
    """A short name for every tap: letters where they suffice, otherwise its coordinates."""
    places = [(pair, tap) for pair in kernels for tap in _taps(kernel)]
    if taps <= len(LETTERS):
        return dict(zip(places, LETTERS, strict=False))
    compact = max(kernel) <= 10
    number = {pair: f"{k}:" if len(kernels) > 1 else "" for k, pair in enumerate(kernels)}
    return {(pair, tap): number[pair] + ("" if compact else ",").join(map(str, tap)) for pair, tap in places}


def _label(terms: Sequence[tuple[str, Fraction]]) -> str:
    """a; a+b; 3/4a+1/4b; 1/2 where there is no tap to name."""
    text = ""
    for name, c in terms:
        size = "" if abs(c) == 1 and name else str(abs(c))
        text += ("-" if c < 0 else "+" if text else "") + size + name
    return text


def _taps(kernel: Index) -> Iterator[Index]:
    return itertools.product(*map(range, kernel))


def _grid(title: str, kernel: Index, cells: Mapping[Index, str]) -> Grid:
    """A kernel as rows; a third axis becomes slices."""
    *outer, height, width = (1, 1, *kernel) if len(kernel) == 1 else (1, *kernel) if len(kernel) == 2 else kernel
    slices = []
    for z in range(outer[0] if outer else 1):
        rows = [[cells[(z, y, x)[-len(kernel) :]] for x in range(width)] for y in range(height)]
        slices.append(tuple(map(tuple, rows)))
    return Grid(title, tuple(slices))


def _axis_pictures(source: _Side, target: _Side, blocks: Sequence[Json], key: str, names: tuple[str, str]) -> list[Block]:
    """Axis by axis, for kernels too large to draw whole: the whole map is the product of these."""
    if any(len(block["axes"]) != 1 for block in blocks):
        return [Prose("The reshuffle is too large to draw and does not split over the axes; the certificate lists it.")]
    drawn: dict[tuple[str, ...], list[int]] = {}
    for block in blocks:
        drawn.setdefault(_axis_lines(block, source, target, key, names), []).append(block["axes"][0])
    out: list[Block] = []
    for lines, axes in drawn.items():
        where = "Per axis" if len(axes) == len(blocks) else f"Axis {', '.join(map(str, axes))}"
        out += [Prose(f"{where}: the taps of the {names[0]} kernel, by slot of the {names[1]} kernel."), Lines(lines)]
    if len(blocks) > 1:
        out.append(Prose("The kernel is moved by all axes at once: the tap (i, j) goes where i and j go."))
    return out


def _axis_lines(block: Json, source: _Side, target: _Side, key: str, names: tuple[str, str]) -> tuple[str, ...]:
    axis = block["axes"][0]
    taps = len(target.kernel) and target.kernel[axis]
    many = len({tuple(v[:2]) for v, _, _ in block[key]}) > 1
    rows: dict[Index, dict[int, list[tuple[str, Fraction]]]] = {}
    for v, w, c in block[key]:
        name = f"{v[0] or v[1]}:{v[2]}" if many else str(v[2])
        rows.setdefault(tuple(w[:2]), {}).setdefault(w[2], []).append((name, Fraction(c)))
    wide = "phase 0:  " if len(rows) > 1 else ""
    lines = [" " * len(wide) + " ".join(str(slot).rjust(4) for slot in range(min(taps, MOST_ROW))) + "   slot", ""]
    for number, (_, slots) in enumerate(sorted(rows.items())):
        if number == MOST_PHASES:
            lines.append(f"... {len(rows) - MOST_PHASES} more phases")
            break
        cells = ["+".join(name for name, _ in slots[slot]) if slot in slots else "." for slot in range(min(taps, MOST_ROW))]
        head = f"phase {number}:  " if len(rows) > 1 else ""
        lines.append(head + " ".join(cell.rjust(4) for cell in cells) + (f" ... {taps - MOST_ROW} more" if taps > MOST_ROW else ""))
    return tuple(lines)

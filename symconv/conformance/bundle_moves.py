"""What a certificate says about weights, applied to bits: read from its record and from the checker's own wires alone.

Owns: `Moves`: the entries that an inclusion moves, and whether the larger layer's weights are the smaller one's, moved.
Must not know: how conversions are made (nothing of `convert` or `prove` is used), files.

A block with axes lists its moves. In a block without axes a parameter goes to the one at the same entry: each digit of p and q is an input
or an output digit of the stage, so running through the values of those digits gives both parameters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.checker.grammar import certificate as parsed
from symconv.checker.wires import End, Wiring, digits

PIECE = 1 << 20
Columns = tuple[np.ndarray, np.ndarray]
"""Parameters [p, q, j...] of both sides, a row each; row k of the left goes to row k of the right."""


class NotMoves(Exception):
    """The inclusion adds up or scales weights, or has no reshuffle at all."""


@attrs.frozen(eq=False)
class Moves:
    """The reshuffle of a one-stage certificate from left to right.

    Args:
        left, right: the two parametric layers, as the checker reads them.
        weights, bias: blocks; `bias` is None if there is none on one side.
        axes: spatial axes.
    """

    left: Any
    right: Any
    weights: tuple[Columns, ...]
    bias: tuple[Columns, ...] | None
    axes: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Moves:
        """Of a certificate that the checker has accepted.

        Raises:
            NotMoves: its inclusion is no plain move of weights.
        """
        found = parsed(record)
        axes = found["axes"]
        if "shapes" in found or "extents" in found or len(found["stages"]) != 1:
            raise NotMoves("it is not about one stage at all extents")
        if any(layer.nonlinear for name in ("left", "right") for layer in found[name]):
            raise NotMoves("it has nonlinearities")
        sides = [_Side(found[name], found["in_channels"]) for name in ("left", "right")]
        stage = found["stages"][0]
        if any(side.weights is None or side.weights.kind not in ("Conv", "ConvTranspose") for side in sides):
            raise NotMoves("a side has no kernel")
        weights = tuple(_block(stage["weights"], block, sides, False, axes) for block in stage["weights"]["blocks"])
        bias = None
        if stage["bias"] is not None and all(side.weights is not None and side.weights.biased for side in sides):
            bias = tuple(_block(stage["bias"], block, sides, True, axes) for block in stage["bias"]["blocks"])
        return cls(sides[0].weights, sides[1].weights, weights, bias, axes)

    def kernel_fault(self, left: np.ndarray, right: np.ndarray) -> str:
        """Why the right kernel is not the left one, moved, with 0 where nothing goes; "" if it is. Bits, in PyTorch's and ONNX's layout."""
        for name, bits, layer in (("smaller", left, self.left), ("larger", right, self.right)):
            if bits.shape != _shape(layer):
                return f"the {name} class's kernel has shape {bits.shape}, the certificate's layer {_shape(layer)}"
        moved = 0
        for small, large in self._pieces(self.weights):
            one, two = _plane(self.left, left, small), _plane(self.right, right, large)
            if not np.array_equal(one, two):
                k, m = np.argwhere(one != two)[0]
                return f"entry {[int(start + a[k] + b[m]) for start, a, b in large]} is not the weight that the certificate moves there"
            moved += int(np.count_nonzero(one))
        if moved != np.count_nonzero(right):  # every entry is moved to once at most
            return "an entry that the certificate leaves at zero is not zero"
        return ""

    def bias_fault(self, left: np.ndarray, right: np.ndarray) -> str:
        """The same for the biases."""
        counts = [(layer.fields["out_channels"],) for layer in (self.left, self.right)]
        if self.bias is None or [left.shape, right.shape] != counts:
            return "the certificate moves no such biases"
        expected = np.zeros_like(right)
        for small, large in self._pieces(self.bias):
            expected[_spread(large[0])] = left[_spread(small[0])]
        if np.array_equal(expected, right):
            return ""
        return f"entry {int(np.flatnonzero(expected != right)[0])} is not the bias that the certificate moves there"

    def _pieces(self, blocks: Sequence[Columns]) -> Iterator[tuple[Parts, Parts]]:
        """One row of each block but the two largest, and those two: the parameters are the sums."""
        ordered = sorted(blocks, key=lambda block: block[0].shape[1], reverse=True)
        none = (np.zeros((self.axes + 2, 1), np.int64),) * 2
        one, two = [*ordered, none, none][:2]
        few = ordered[2:]
        step = max(1, PIECE // two[0].shape[1])
        for rows in itertools.product(*(range(block[0].shape[1]) for block in few)):
            start = [
                sum((block[side][:, k] for block, k in zip(few, rows, strict=True)), np.zeros(self.axes + 2, np.int64)) for side in (0, 1)
            ]
            for first in range(0, one[0].shape[1], step):
                sides = (
                    [(int(start[side][k]), one[side][k, first : first + step], two[side][k]) for k in range(self.axes + 2)]
                    for side in (0, 1)
                )
                left, right = sides
                yield left, right


Part = tuple[int, np.ndarray, np.ndarray]
Parts = list[Part]
"""Of one number of a parameter: a start, and what each of two blocks adds to it."""


def _spread(part: Part) -> np.ndarray:
    start, one, two = part
    return np.add.outer(one + start, two)


def _plane(layer: Any, bits: np.ndarray, parts: Parts) -> np.ndarray:
    """The entries of a piece as an array with an axis for each of the two blocks; a view of the kernel where its axes are theirs."""
    p, q, *taps = parts
    plain = layer.kind == "Conv" or layer.fields["groups"] == 1
    dims = (p, q) if layer.kind == "Conv" else (q, p)
    if plain and not any(one.any() or two.any() for _, one, two in taps):
        for swapped in (False, True):
            own, other = zip(*((dim[1], dim[2]) if (k == 0) != swapped else (dim[2], dim[1]) for k, dim in enumerate(dims)), strict=True)
            slices = [_slice(dim[0], values) for dim, values in zip(dims, own, strict=True)]
            if not any(values.any() for values in other) and None not in slices:
                view: np.ndarray = bits[(*slices, *(start for start, _, _ in taps))]
                return view.T if swapped else view
    return bits[_index(layer, [_spread(part) for part in parts])]


def _slice(start: int, values: np.ndarray) -> slice | None:
    """The places start + values as a slice, if they have a steady step."""
    step = int(values[1] - values[0]) if values.size > 1 else 1
    if step < 1 or not np.array_equal(values, values[0] + step * np.arange(values.size)):
        return None
    begin = start + int(values[0])
    return slice(begin, begin + step * (values.size - 1) + 1, step)


class _Side:
    """One chain: its layers, the channels before each and after the last, its parametric layer."""

    def __init__(self, layers: Sequence[Any], channels: int) -> None:
        self.layers, self.channels = list(layers), [channels]
        for layer in layers:
            self.channels.append(layer.channels(self.channels[-1]))
        free = [k for k, layer in enumerate(layers) if layer.parametric]
        self.weights = layers[free[0]] if free else None
        self.tail = free[0] + 1 if free else 0

    def wiring(self, part: dict[str, Any], bias: bool) -> Wiring:
        """The wires of a part."""
        start = self.tail if bias else 0
        return Wiring(self.layers[start:], self.channels[start:], part["in_digits"], part["out_digits"], bias)


def _block(part: dict[str, Any], block: dict[str, Any], sides: Sequence[_Side], bias: bool, axes: int) -> Columns:
    """The moves of one block as columns."""
    if block["forth"] is None:
        raise NotMoves("the left class is not in the right one")
    if block["axes"]:
        return _listed(block, axes)
    return _entries(part, block, [side.wiring(part, bias) for side in sides], axes)


def _listed(block: dict[str, Any], axes: int) -> Columns:
    moves = block["forth"]
    if any(c != 1 for _, _, c in moves) or len({w for _, w, _ in moves}) != len(moves):
        raise NotMoves("weights are added up or scaled")
    out = []
    for side in (0, 1):
        columns = np.zeros((axes + 2, len(moves)), dtype=np.int64)
        for at, position in [(0, 0), (1, 1), *((axis + 2, k + 2) for k, axis in enumerate(block["axes"]))]:
            columns[at] = [move[side][position] for move in moves]
        out.append(columns)
    return out[0], out[1]


def _entries(part: dict[str, Any], block: dict[str, Any], wirings: Sequence[Wiring], axes: int) -> Columns:
    """The parameters at every entry that the left side has."""
    radices = {(kind, k): part[f"{kind}_digits"][k] for kind in ("in", "out") for k in block[kind]}
    leader = {end: end for end in radices}
    for wire in wirings[0].wires:  # a digit that passes through is one digit
        ends = sorted(end for end in wire.ends if end in radices)
        if len(ends) == 2:
            leader = {end: leader[ends[0]] if lead == leader[ends[1]] else lead for end, lead in leader.items()}
    free = sorted(set(leader.values()))
    grids = np.indices([radices[end] for end in free], dtype=np.int64).reshape(len(free), -1) if free else np.zeros((0, 1), np.int64)
    values = {end: grids[free.index(lead)] for end, lead in leader.items()}
    count = math.prod(radices[end] for end in free)
    left, right = (_parameters(wiring, values, count, axes) for wiring in wirings)
    if np.unique(right, axis=1).shape[1] != count:
        raise NotMoves("weights are added up")
    return left, right


def _parameters(wiring: Wiring, values: dict[End, np.ndarray], count: int, axes: int) -> np.ndarray:
    columns = np.zeros((axes + 2, count), dtype=np.int64)
    for row, wires in ((0, wiring.p), (1, wiring.q)):
        for wire, (_, place) in digits(wires):
            end = next((end for end in sorted(wire.ends) if end in values), None)
            if end is not None:
                columns[row] += place * values[end]
    return columns


def _shape(layer: Any) -> tuple[int, ...]:
    has = layer.fields
    inward, outward, groups = has["in_channels"], has["out_channels"], has["groups"]
    first = (outward, inward // groups) if layer.kind == "Conv" else (inward, outward // groups)
    return (*first, *has["kernel"])


def _index(layer: Any, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Parameters (p, q, taps) as an index: p the output channel, q the input channel within its group."""
    p, q, *taps = columns
    if layer.kind == "Conv":
        return (p, q, *taps)
    has = layer.fields
    outward, inward = has["out_channels"] // has["groups"], has["in_channels"] // has["groups"]
    return (p // outward * inward + q, p % outward, *taps)

"""Random stretches of Reshape and Transpose whose targets are written as exporters write them: from Shape, with -1 and 0, or fixed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from onnx import ModelProto, NodeProto

from tests.frontends.onnx.build import node, proto

Digit = tuple[int, int, int]
"""(axis of the input, numerator, denominator): an extent n_axis * numerator / denominator, or a plain number where the axis is -1."""


class Writer:
    """Collects nodes and constants."""

    def __init__(self, rng: random.Random, channels: int, axes: int) -> None:
        self.rng, self.channels, self.axes = rng, channels, axes
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, list[int]] = {}
        self.count = itertools.count()

    def constant(self, *items: int) -> str:
        name = f"c{next(self.count)}"
        self.constants[name] = list(items)
        return name

    def add(self, op: str, inputs: str, **attributes: object) -> str:
        name = f"v{next(self.count)}"
        self.nodes.append(node(op, inputs, name, **attributes))
        return name

    def extent(self, row: Sequence[Digit]) -> str:
        """A one-element tensor with the product of a row's extents, computed from the input's shape."""
        number, out = 1, ""
        for axis, up, down in row:
            if axis in (-1, 1):
                number *= up * (self.channels if axis == 1 else 1) // down
                continue
            value = self.add("Gather", f"{self.shape()} {self.constant(axis)}", axis=0)
            value = self.add("Div", f"{value} {self.constant(down)}") if down > 1 else value
            out = value if not out else self.add("Mul", f"{out} {value}")
        if not out:
            return self.constant(number)
        return out if number == 1 else self.add("Mul", f"{out} {self.constant(number)}")

    def shape(self) -> str:
        return self.add("Shape", "x")

    def reshape(self, value: str, rows: Sequence[Sequence[Digit]], before: Sequence[Sequence[Digit]]) -> str:
        """Reshape to the rows; one extent may be left to -1, and those that stay where they are may be 0."""
        free = self.rng.randrange(len(rows)) if self.rng.random() < 0.5 else -1
        parts = []
        for place, row in enumerate(rows):
            kept = place < len(before) and list(before[place]) == list(row)
            if place == free:
                parts.append(self.constant(-1))
            elif kept and self.rng.random() < 0.5:
                parts.append(self.constant(0))
            else:
                parts.append(self.extent(row))
        return self.add("Reshape", f"{value} {self.add('Concat', ' '.join(parts), axis=0)}")


def chain(seed: int) -> tuple[ModelProto, int, int]:
    """A model of one stretch, its channels and its spatial axes."""
    rng = random.Random(seed)
    axes, r = rng.choice((1, 2, 2)), rng.choice((2, 3))
    up = rng.random() < 0.5
    count = rng.choice((1, 2))
    channels = count * r**axes if up else count
    writer = Writer(rng, channels, axes)
    batch: list[Digit] = [(0, 1, 1)]
    whole = [[(axis, 1, 1)] for axis in range(axes + 2)]
    if up:
        digits = [(-1, count, 1)] + [(-1, r, 1)] * axes
        order = rng.choice((list(range(axes + 1)), [*range(1, axes + 1), 0], rng.sample(range(axes + 1), axes + 1)))
        rows = [batch, *([digits[k]] for k in order), *whole[2:]]
        target = [[0], [order.index(0) + 1]] + [[axes + 2 + k, order.index(k + 1) + 1] for k in range(axes)]
    else:
        rows = [batch, whole[1], *([digit] for k in range(axes) for digit in ((k + 2, 1, r), (-1, r, 1)))]
        phases = [3 + 2 * k for k in range(axes)]
        merged = rng.choice(([1, *phases], [*phases, 1], rng.sample([1, *phases], axes + 1)))
        target = [[0], merged] + [[2 + 2 * k] for k in range(axes)]
    if rng.random() < 0.15:
        rng.shuffle(target[rng.choice((1, len(target) - 1))])
    value = writer.reshape("x", rows, whole)
    perm = [place for row in target for place in row]
    value = writer.add("Transpose", value, perm=perm)
    moved = [rows[place] for place in perm]
    joined = [[digit for place in row for digit in rows[place]] for row in target]
    value = writer.reshape(value, joined, moved)
    if rng.random() < 0.2:
        value = writer.add("Reshape", f"{value} {writer.constant(*[0] * (axes + 2))}")
    names = ["n", channels, *(f"s{k}" for k in range(axes))]
    return proto(writer.nodes, {"x": names}, [value], dict(writer.constants)), channels, axes

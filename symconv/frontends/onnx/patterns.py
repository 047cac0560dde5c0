"""Reshape, Transpose, Squeeze and Unsqueeze that together move samples between channels and positions.

Owns: `moves`: which stretches of such nodes are periodic shuffling, its inverse or channel shuffling, for all extents.
Must not know: other operators.

Every axis is a row of *digits*, most significant first. Transpose permutes the rows, Reshape splits and joins them; what is left in the end
is compared with the two channel orders of shuffling. Extents are expressions, so that targets computed from Shape are followed.

Where a target holds floor(n / r) the digits fit only if r divides n. Then it must also be shown that the model rejects all other extents,
as `Unshuffle` does. A Reshape whose target is free of -1 does: its product is that of its input only if every floor is exact. And so does a
-1 that stands for n / r itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from symconv.frontends.onnx.extents import Extent, Floor, Unbounded, product
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.reading import Reading
from symconv.frontends.onnx.shapes import analysis, given_axes
from symconv.layers import ChannelShuffle, Identity, Layer, Sequential, Shuffle, Unshuffle

VIEWS = frozenset(("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten"))
LONGEST = 16
"""Nodes of one stretch that are looked at together."""

ONE = Extent.of(1)


@attrs.frozen
class Digit:
    """A part of one axis of the input.

    Args:
        axis: the axis of the input.
        place: which part: 0 the more, 1 the less significant half of what it was split from, and so on.
        extent: how many values it takes.
    """

    axis: int
    place: tuple[int, ...]
    extent: Extent


Rows = list[list[Digit]]
Condition = tuple[Extent, int]
"""An extent that the number must divide."""


class _NoMove(Exception):
    """Why a stretch cannot be followed further."""


def moves(model: OnnxModel) -> dict[int, Reading]:
    """For each node of such stretches what it is part of, by the node's index; made once for a model."""
    return model.remembered("moves", lambda: _all_moves(model))


def _all_moves(model: OnnxModel) -> dict[int, Reading]:
    found: dict[int, Reading] = {}
    for node in model.nodes:
        if _is_view(node) and node.index not in found:
            reading = _first_move(model, _stretch(model, node))
            for part in reading.span:
                found[part.index] = reading
    return found


def _is_view(node: Node) -> bool:
    return not node.domain and node.op in VIEWS


def _stretch(model: OnnxModel, node: Node) -> list[Node]:
    """The nodes that follow one another with nothing else in between looking at the values (their extents aside)."""
    out = [node]
    while len(out) < LONGEST:
        value = out[-1].outputs[0]
        users = [user for user in model.consumers(value) if user.op != "Shape" or user.domain]
        if value in model.outputs or len(users) != 1 or not _is_view(users[0]) or list(users[0].inputs).count(value) != 1:
            break
        if users[0].inputs[0] != value:
            break
        out.append(users[0])
    return out


def _first_move(model: OnnxModel, stretch: list[Node]) -> Reading:
    """The shortest start of the stretch that moves samples; else its first node alone."""
    shape = analysis(model).shape(stretch[0].input(0))
    reason, still = "the rank of its input is not known", None
    if shape is not None:
        walk = _Walk(model, list(shape))
        for count, node in enumerate(stretch, 1):
            try:
                walk.step(node)
            except (_NoMove, Unbounded, ValueError, IndexError, KeyError, TypeError) as error:
                reason = str(error) if isinstance(error, _NoMove) else "its target is not understood"
                break
            layer = walk.layer()
            if isinstance(layer, str):
                reason = layer
                continue
            reading = _reading(layer, stretch[:count], walk)
            if not isinstance(layer, Identity):
                return reading
            still = still or reading
    if still is not None:
        return still
    node = stretch[0]
    text = f"`{node.op}` moves samples in no way that symconv knows: {reason}"
    return Reading(None, None, None, None, (node,), node.input(0), next(iter(node.outputs), ""), text)


def _reading(layer: Layer, span: Sequence[Node], walk: _Walk) -> Reading:
    axes = len(walk.shape) - 2
    fixed = tuple(extent.number for extent in walk.shape[2:])
    return Reading(
        layer=Sequential((layer.bind(axes),)),
        kernel=None,
        bias=None,
        axes=axes,
        span=tuple(span),
        input=span[0].input(0),
        output=span[-1].outputs[0],
        extents=() if all(extent is None for extent in fixed) else fixed,
    )


class _Walk:
    """The digits of the current value, from the input of a stretch on."""

    def __init__(self, model: OnnxModel, shape: list[Extent]) -> None:
        self.known = analysis(model)
        self.shape = shape
        parts = [_primitive(extent) for extent in shape]
        self.names = {part: Extent.of(f"({part})") for part, _ in parts if part.number is None and not _is_atom(part)}
        named = [self.names.get(part, part) * content for part, content in parts]
        self.total = product(named)
        self.rows: Rows = [[] if extent == ONE else [Digit(axis, (), extent)] for axis, extent in enumerate(named)]
        self.needed: set[Condition] = set()
        self.enforced: set[Condition] = set()

    def step(self, node: Node) -> None:
        """Follows one node."""
        rank = len(self.rows)
        match node.op:
            case "Transpose":
                perm = node.attributes.get("perm") or tuple(reversed(range(rank)))
                if sorted(perm) != list(range(rank)):
                    raise _NoMove("its permutation is none of the axes of its input")
                self.rows = [self.rows[axis] for axis in perm]
            case "Squeeze":
                axes = given_axes(self.known.integers, node)
                if axes is None and any(digit.extent.number is None for row in self.rows for digit in row):
                    raise _NoMove("it drops every axis that is 1, which depends on the extents")
                dropped = {axis % rank for axis in axes} if axes is not None else {axis for axis, row in enumerate(self.rows) if not row}
                if any(self.rows[axis] for axis in dropped):
                    raise _NoMove("it drops an axis that is not 1")
                self.rows = [row for axis, row in enumerate(self.rows) if axis not in dropped]
            case "Unsqueeze":
                axes = given_axes(self.known.integers, node)
                places = {axis % (rank + len(axes or ())) for axis in axes or ()}
                rest = iter(self.rows)
                self.rows = [[] if axis in places else next(rest) for axis in range(rank + len(places))]
            case "Flatten":
                start = node.attributes.get("axis", 1) % (rank + 1)
                self.rows = [[digit for row in part for digit in row] for part in (self.rows[:start], self.rows[start:])]
            case "Reshape":
                self.reshape(node)

    def reshape(self, node: Node) -> None:
        target = self.known.integers(node.input(1))
        if target is None or any(item is None for item in target):
            raise _NoMove("its target is not known before it runs")
        extents = [product(digit.extent for digit in row) for row in self.rows]
        copies = not node.attributes.get("allowzero", 0)
        settled, certain = self.needed <= self.enforced, True
        wanted: list[Extent | None] = []
        for axis, item in enumerate(target):
            assert item is not None, "checked above"
            copied = item.number == 0 and copies
            certain = certain and (settled or not copied)  # an extent that is copied may be another than the one assumed
            wanted.append(extents[axis] if copied else None if item.number == -1 else self.renamed(item))
        known = product(item for item in wanted if item is not None)
        if wanted.count(None) > 1:
            raise _NoMove("it has two axes of -1")
        if None in wanted:
            wanted[wanted.index(None)] = self.left_over(known, enforce=certain)
        elif self.ratio(known, self.total, enforce=certain) != (ONE, 1):
            raise _NoMove("its target is not the size of its input at every extent")
        self.rows = self.regroup([digit for row in self.rows for digit in row], [item for item in wanted if item is not None])

    def renamed(self, item: Extent) -> Extent:
        """An extent of a target in terms of the input's, each of which is one atom here."""
        floors = {part.by for monomial, _ in item.terms for part in monomial if isinstance(part, Floor)}
        for extent, atom in self.names.items():
            for by in floors:
                if extent.over(by) == item:  # floor((n + 3) / 3) comes as floor(n / 3) + 1
                    return atom.over(by)
            if len(item.terms) == 1 and len(item.terms[0][0]) == 1 and isinstance(floor := item.terms[0][0][0], Floor):
                inner = floor.of.divided(extent)
                if inner is not None and inner.number is not None:
                    return Extent.of(Floor(atom * inner, floor.by)) * item.terms[0][1]
            quotient = item.divided(extent)
            if quotient is not None and len(quotient.terms) == 1:
                return atom * self.renamed(quotient)
        return item

    def left_over(self, rest: Extent, *, enforce: bool) -> Extent:
        """What -1 stands for."""
        before = set(self.needed)
        above, below = self.ratio(self.total, rest)
        if below == 1:
            return above
        if self.needed == before and _is_atom(above):
            self.needed.add((above, below))
            if enforce:
                self.enforced.add((above, below))
            return above.over(below)
        raise _NoMove("what its -1 stands for is not known at every extent")

    def ratio(self, above: Extent, below: Extent, *, enforce: bool = False) -> tuple[Extent, int]:
        """The quotient of two extents as (numerator, denominator), floors taken as exact and noted as conditions.

        Raises:
            _NoMove: it is no polynomial over a number.
        """
        (top, over), first = _exact(above)
        (bottom, under), second = _exact(below)
        quotient = (top * under).divided(bottom * over)
        denominator = 1
        if quotient is None and bottom.terms and len(bottom.terms) == 1:
            c = abs(bottom.terms[0][1] * over)
            quotient = (top * under * c).divided(bottom * over)
            denominator = c
        if quotient is None:
            raise _NoMove("its extents do not divide at every extent")
        for divisor in range(min(denominator, 1 << 12), 1, -1):
            if denominator % divisor == 0 and all(c % divisor == 0 for _, c in quotient.terms):
                quotient, denominator = Extent(tuple((m, c // divisor) for m, c in quotient.terms)), denominator // divisor
        self.needed |= first | second
        if enforce:
            self.enforced |= first | second
        return quotient, denominator

    def divides(self, part: Extent, whole: Extent) -> Extent | None:
        """whole / part, if that is an extent."""
        before = set(self.needed)
        try:
            quotient, denominator = self.ratio(whole, part)
        except _NoMove:
            quotient, denominator = ONE, 0
        if denominator != 1:
            self.needed = before
            return None
        return quotient

    def regroup(self, digits: list[Digit], wanted: list[Extent]) -> Rows:
        """The digits, split and joined to rows of the wanted extents."""
        rest = list(reversed(digits))
        rows: Rows = []
        for extent in wanted:
            row: list[Digit] = []
            need = extent
            while need != ONE:
                if not rest:
                    raise _NoMove("its target is larger than its input")
                digit = rest.pop()
                if (left := self.divides(digit.extent, need)) is not None:
                    row.append(digit)
                    need = left
                elif (low := self.divides(need, digit.extent)) is not None:
                    row.append(Digit(digit.axis, (*digit.place, 0), need))
                    rest.append(Digit(digit.axis, (*digit.place, 1), low))
                    need = ONE
                else:
                    raise _NoMove(f"{need} and {digit.extent} have no common split at every extent")
            rows.append(row)
        if rest:
            raise _NoMove("its target is smaller than its input")
        return rows

    def layer(self) -> Layer | str:
        """What has been done so far, or why that is none of the layers."""
        axes = len(self.shape) - 2
        if len(self.rows) != len(self.shape) or not 1 <= axes <= 3:
            return f"from rank {len(self.shape)} it comes to rank {len(self.rows)}"
        if not self.needed <= self.enforced:
            extent, factor = min(self.needed - self.enforced, key=str)
            return f"it does not reject extents {extent} that {factor} does not divide"
        parts = {axis: sorted((d for row in self.rows for d in row if d.axis == axis), key=lambda d: d.place) for axis in range(axes + 2)}
        batch, channels, *spatial = self.rows
        if batch != parts[0]:
            return "it moves samples between the batch and other axes"
        return (
            _shuffle(channels, spatial, parts) or _unshuffle(channels, spatial, parts) or "its channels are in neither order of shuffling"
        )


def _primitive(extent: Extent) -> tuple[Extent, int]:
    """An extent as an expression times the greatest number that divides all of its coefficients."""
    content = math.gcd(*(c for _, c in extent.terms))
    return (extent, 1) if content < 2 or extent.number is not None else (Extent(tuple((m, c // content) for m, c in extent.terms)), content)


def _is_atom(extent: Extent) -> bool:
    """Whether an extent is a single free dimension."""
    return len(extent.terms) == 1 and extent.terms[0][1] == 1 and len(extent.terms[0][0]) == 1 and isinstance(extent.terms[0][0][0], str)


def _exact(extent: Extent) -> tuple[tuple[Extent, int], set[Condition]]:
    """An extent with the floors of its one term taken as exact: (numerator, denominator) and the conditions for that."""
    if len(extent.terms) != 1:
        return (extent, 1), set()
    (monomial, c), denominator = extent.terms[0], 1
    numerator, conditions = Extent.of(c), set()
    for atom in monomial:
        if isinstance(atom, Floor):
            numerator, denominator = numerator * atom.of, denominator * atom.by
            conditions.add((atom.of, atom.by))
        else:
            numerator = numerator * Extent.of(atom)
    return (numerator, denominator), conditions


def _shuffle(channels: list[Digit], spatial: Rows, parts: dict[int, list[Digit]]) -> Layer | None:
    """Digits of the channel that follow those of an axis are its phases."""
    phases: Rows = []
    for axis, row in enumerate(spatial, 2):
        own = parts[axis]
        if row[: len(own)] != own or any(digit.axis != 1 for digit in row[len(own) :]):
            return None
        phases.append(row[len(own) :])
    if any(digit.axis != 1 for digit in channels):
        return None
    flat, before = [digit for row in phases for digit in row], parts[1]
    if not flat:
        return _channel_shuffle(channels, before)
    factors = tuple(product(digit.extent for digit in row).number for row in phases)
    if None in factors:
        return None
    for order, expected in (("CRD", [*channels, *flat]), ("DCR", [*flat, *channels])):
        if before == expected:
            return Shuffle(tuple(factor or 1 for factor in factors), order)
    return None


def _channel_shuffle(after: list[Digit], before: list[Digit]) -> Layer | None:
    if after == before:
        return Identity()
    for cut in range(1, len(before)):
        groups = product(digit.extent for digit in before[:cut]).number
        if after == [*before[cut:], *before[:cut]] and groups:
            return ChannelShuffle(groups)
    return None


def _unshuffle(channels: list[Digit], spatial: Rows, parts: dict[int, list[Digit]]) -> Layer | None:
    """The less significant digits of every axis stand beside the channel's."""
    phases: Rows = []
    for axis, row in enumerate(spatial, 2):
        if row != parts[axis][: len(row)]:
            return None
        phases.append(parts[axis][len(row) :])
    flat = [digit for row in phases for digit in row]
    factors = tuple(product(digit.extent for digit in row).number for row in phases)
    if None in factors:
        return None
    for order, expected in (("CRD", [*parts[1], *flat]), ("DCR", [*flat, *parts[1]])):
        if channels == expected:
            return Unshuffle(tuple(factor or 1 for factor in factors), order)
    return None

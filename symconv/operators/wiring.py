"""Channels as mixed-radix digits: how shuffles, groups and kernels tie channel digits to axes.

Owns: `Wiring` (one stage compiled to digits and per-axis step words) and `refine` (a common refinement of two stages).
Must not know: rows, ranks, verdicts.

A channel index is a tuple of digits, most significant first. A shuffle turns a digit into a phase of one axis; groups
pass their digit through the convolution; everything else of a dense kernel's channels ends (input) or begins (output)
at the kernel. So a stage is a tensor product over connected wires and axes, and nothing ever grows with channel counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from symconv.errors import OutsideFragment
from symconv.layers import BatchNorm, ChannelShuffle, Conv, ConvTranspose, Layer, Shuffle, Unshuffle, channels_through
from symconv.operators.lowering import axis_word
from symconv.operators.steps import Correlate, Join, Split, Step

Parametric = Conv | ConvTranspose | BatchNorm


class Indivisible(Exception):
    """A digit cannot be cut where a layer needs it; the stage must be treated flat."""


class Wire:
    """One channel digit; cutting it replaces it everywhere by two digits."""

    __slots__ = ("low", "radix", "high")

    def __init__(self, radix: int) -> None:
        self.radix = radix
        self.high: Wire | None = None
        self.low: Wire | None = None

    def leaves(self) -> list[Wire]:
        """The digits this one was cut into, most significant first; digits of radix 1 are left out."""
        if self.high is None or self.low is None:
            return [self] if self.radix > 1 else []
        return self.high.leaves() + self.low.leaves()


def _open(wires: Iterable[Wire]) -> list[Wire]:
    return [leaf for wire in wires for leaf in wire.leaves()]


def cut(wires: list[Wire], size: int) -> tuple[list[Wire], list[Wire]]:
    """Splits a digit list so that the right part has `size` values, cutting a digit if needed.

    Raises:
        Indivisible: no cut of the digits gives that size.
    """
    digits = _open(wires)
    right: list[Wire] = []
    have = 1
    while have < size:
        if not digits:
            raise Indivisible
        wire = digits.pop()
        if size % have == 0 and wire.radix * have > size:
            inner = size // have
            if wire.radix % inner:
                raise Indivisible
            wire.high, wire.low = Wire(wire.radix // inner), Wire(inner)
            digits.append(wire.high)
            wire = wire.low
        right.insert(0, wire)
        have *= wire.radix
    if have != size:
        raise Indivisible
    return digits, right


@attrs.define(eq=False)
class FreeLayer:
    """The stage's one layer with parameters, and its channels as digits."""

    layer: Parametric
    groups: list[Wire]
    inputs: list[Wire]
    outputs: list[Wire]

    @property
    def bias(self) -> bool:
        """Whether it has bias parameters."""
        return True if isinstance(self.layer, BatchNorm) else self.layer.bias


@attrs.define(eq=False)
class Wiring:
    """One stage compiled: digits at both ends, per axis the steps in order, and the layer with parameters."""

    axes: int
    inputs: list[Wire]
    outputs: list[Wire]
    words: list[list[Step | tuple[type[Join] | type[Split], int, list[Wire]]]]
    free: FreeLayer | None

    def input_digits(self) -> list[Wire]:
        """Digits of the stage's input channel."""
        return _open(self.inputs)

    def output_digits(self) -> list[Wire]:
        """Digits of the stage's output channel."""
        return _open(self.outputs)


def is_parametric(layer: Layer) -> bool:
    """Whether the layer has parameters of its own (nonlinearities are not asked)."""
    return isinstance(layer, (Conv, ConvTranspose, BatchNorm))


def wire(layers: tuple[Layer, ...], in_channels: int, axes: int) -> Wiring:
    """Compiles a bound stage.

    Raises:
        Indivisible: some cut of the channel digits does not come out; use the flat meaning instead.
        OutsideFragment: two layers with parameters, or a layer that is not linear.
        LayerError: the channels do not fit.
    """
    counts = channels_through(layers, in_channels)
    if sum(is_parametric(layer) for layer in layers) > 1:
        raise OutsideFragment(
            "two layers with parameters stand in one linear stage; their composition is multilinear in the parameters, "
            "and its class is not a linear space"
        )
    start = Wire(in_channels)
    build = Wiring(axes, [start], [start], [[] for _ in range(axes)], None)
    for layer, before, after in zip(layers, counts, counts[1:], strict=False):
        _extend_wiring(build, layer, before, after)
    return build


def _extend_wiring(build: Wiring, layer: Layer, before: int, after: int) -> None:
    if isinstance(layer, (Conv, ConvTranspose, BatchNorm)):
        build.free = _connect_kernel(build.outputs, layer, before, after)
        build.outputs = build.free.groups + build.free.outputs
    elif isinstance(layer, Shuffle):
        _join(build, layer, after)
        return
    elif isinstance(layer, Unshuffle):
        _split(build, layer)
        return
    elif isinstance(layer, ChannelShuffle):
        high, low = cut(build.outputs, before // layer.groups)
        build.outputs = low + high
    for axis in range(build.axes):
        build.words[axis].extend(axis_word(layer, axis))


def _connect_kernel(wires: list[Wire], layer: Parametric, before: int, after: int) -> FreeLayer:
    groups = layer.num_features if isinstance(layer, BatchNorm) else layer.groups
    through, ending = cut(wires, before // groups)
    return FreeLayer(layer, through, ending, [Wire(after // groups)])


def _join(build: Wiring, layer: Shuffle, channels: int) -> None:
    assert isinstance(layer.factor, tuple), "layer is bound"
    if layer.order == "CRD":
        kept, phases = cut(build.outputs, layer.phases)
    else:
        phases, kept = cut(build.outputs, channels)
    for axis in reversed(range(build.axes)):
        r = layer.factor[axis]
        phases, digit = cut(phases, r)
        if r > 1:
            build.words[axis].append((Join, r, digit))
    build.outputs = kept


def _split(build: Wiring, layer: Unshuffle) -> None:
    assert isinstance(layer.factor, tuple), "layer is bound"
    phases = []
    for axis, r in enumerate(layer.factor):
        if r > 1:
            phases.append(Wire(r))
            build.words[axis].append((Split, r, [phases[-1]]))
    build.outputs = build.outputs + phases if layer.order == "CRD" else phases + build.outputs


def boundaries(wires: list[Wire]) -> list[int]:
    """The sizes of all right parts of a digit list: the places where it is cut."""
    sizes, have = [], 1
    for digit in reversed(_open(wires)):
        have *= digit.radix
        sizes.append(have)
    return sizes


def refine(left: Wiring, right: Wiring) -> None:
    """Cuts the digits of both stages until their input digits agree and their output digits agree.

    Raises:
        Indivisible: there is no common refinement.
    """
    while True:
        before = _shape(left), _shape(right)
        for one, other in ((left, right), (right, left)):
            for size in boundaries(one.inputs):
                cut(other.inputs, size)
            for size in boundaries(one.outputs):
                cut(other.outputs, size)
        if (_shape(left), _shape(right)) == before:
            return


def _shape(build: Wiring) -> tuple[list[int], list[int]]:
    return boundaries(build.inputs), boundaries(build.outputs)


def places(wires: list[Wire]) -> dict[Wire, int]:
    """The place value of every digit of a list: index = sum of place times digit."""
    out, place = {}, 1
    for digit in reversed(_open(wires)):
        out[digit] = place
        place *= digit.radix
    return out


def free_step(word: list[Step]) -> int | None:
    """Index of the step with free taps in a word, if any."""
    for index, step in enumerate(word):
        if isinstance(step, Correlate) and step.free:
            return index
    return None


def count(wires: list[Wire]) -> int:
    """Number of values of a digit list."""
    return math.prod(digit.radix for digit in _open(wires))

"""Layers as ONNX nodes, in the operator set that a model has.

Owns: `emit`, `Emitted`, `Names`, `has_steps`.
Must not know: which layers are wanted, or why.
Source: ONNX operator specification, opsets 9 to 26.

    Conv, ConvTranspose    one node; pads before and after, all attributes written out
    Pad                    Slice where it crops, then Pad where it extends (negative pads are not portable)
    Shuffle, Unshuffle     DepthToSpace, SpaceToDepth on 2 axes, where the target has them; else Reshape, Transpose, Reshape.
                           Stepwise, a shuffle in CRD order on 2 axes moves the phases of the last axis behind its samples, then those of
                           the other one as whole rows: both moves together can be faster than DepthToSpace
    ZeroInsert             channels of zeros (Pad), shuffled; the zeros behind the last sample are cropped, or take the place of padding

Extents stay free: a Reshape copies or infers what it can, and takes the rest from Shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import numpy as np
from onnx import NodeProto, helper

from symconv.errors import LayerError
from symconv.layers import Conv, ConvTranspose, Layer, Pad, Shuffle, Unshuffle, ZeroInsert, channels_through
from symconv.layers.expression import format_layer

END = (1 << 63) - 1
"""As the end of a Slice: the end of the axis."""


class Names:
    """Names that nothing in a model has."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = set(taken)

    def fresh(self, base: str) -> str:
        """`base`, or `base` with a number appended; taken from now on."""
        for number in itertools.count():
            name = f"{base}_{number}" if number else base
            if name not in self.taken:
                self.taken.add(name)
                return name
        raise AssertionError("there are infinitely many numbers")


@attrs.frozen(eq=False)
class Emitted:
    """What stands for a chain.

    Args:
        nodes: in order; the last one computes the chain's output.
        constants: small integer tensors that they use, by name.
        main: the index of the node that has the chain's weights; None if there are none.
    """

    nodes: tuple[NodeProto, ...]
    constants: dict[str, np.ndarray]
    main: int | None


def emit(
    chain: Sequence[Layer],
    channels: int,
    *,
    input: str,
    output: str,
    kernel: str,
    bias: str | None,
    base: str,
    names: Names,
    opset: int,
    depth_to_space: bool = True,
    even: bool = False,
    stepwise: bool = False,
) -> Emitted:
    """The nodes of a bound chain.

    Args:
        chain, channels: the layers, and how many channels arrive.
        input, output, kernel, bias: names of values.
        base: what new names start with.
        names: the model's names.
        opset: of the default domain.
        depth_to_space: whether DepthToSpace and SpaceToDepth may be used.
        even: whether pads that are alike on both sides must stay so.
        stepwise: whether shuffles that can be are written axis by axis.

    Raises:
        LayerError: a layer that has no such nodes.
    """
    writer = _Writer(input, base, names, opset, depth_to_space, stepwise)
    steps = _insertions(tuple(chain), even)
    for layer, inward in zip(steps, channels_through(steps, channels), strict=False):
        writer.write(layer, inward, kernel, bias)
    if not writer.nodes:
        writer.node("Identity", [writer.value])
    writer.nodes[-1].output[0] = output
    return Emitted(tuple(writer.nodes), writer.constants, writer.main)


def has_steps(factors: Sequence[int], order: str) -> bool:
    """Whether a shuffle can be written axis by axis."""
    return len(factors) == 2 and min(factors) > 1 and order == "CRD"


def _insertions(chain: tuple[Layer, ...], even: bool) -> tuple[Layer, ...]:
    """The chain with what follows a zero insertion as it is written: s - 1 zeros stand behind the last sample."""
    out: list[Layer] = []
    surplus: list[int] = []
    for layer in chain:
        if surplus and not even and isinstance(layer, Conv) and layer.padding_mode == "zeros":
            taken = [more if end >= more else 0 for more, (_, end) in zip(surplus, layer.padding, strict=True)]
            layer = attrs.evolve(layer, padding=tuple((b, e - t) for (b, e), t in zip(layer.padding, taken, strict=True)))
            surplus = [more - used for more, used in zip(surplus, taken, strict=True)]
        out += _crop(surplus)
        out.append(layer)
        surplus = [factor - 1 for factor in layer.factor] if isinstance(layer, ZeroInsert) and isinstance(layer.factor, tuple) else []
    return (*out, *_crop(surplus))


def _crop(surplus: Sequence[int]) -> list[Layer]:
    return [Pad(tuple((0, -more) for more in surplus))] if any(surplus) else []


class _Writer:
    """The nodes so far, and the value that they have come to."""

    def __init__(self, value: str, base: str, names: Names, opset: int, depth_to_space: bool, stepwise: bool) -> None:
        self.value, self.base, self.names, self.opset, self.depth_to_space = value, base, names, opset, depth_to_space
        self.stepwise = stepwise
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.main: int | None = None

    def write(self, layer: Layer, channels: int, kernel: str, bias: str | None) -> None:
        match layer:
            case Conv(padding_mode="zeros") | ConvTranspose():
                self.main = len(self.nodes)
                self.convolution(layer, kernel, bias)
            case Pad(mode="zeros", amounts=tuple() as amounts):
                self.pad(amounts)
            case Shuffle(factor=tuple() as factors):
                self.shuffle(factors, channels, layer.order)
            case Unshuffle(factor=tuple() as factors):
                self.unshuffle(factors, channels, layer.order)
            case ZeroInsert(factor=tuple() as factors):
                self.zero_insertion(factors, channels)
            case _:
                raise LayerError(f"`{format_layer(layer)}` is not written as ONNX nodes.")

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node; its output becomes the value."""
        output = self.names.fresh(f"{self.base}/{op}_output")
        name = self.names.fresh(f"{self.base}/{op}") if self.base else ""
        self.nodes.append(helper.make_node(op, list(inputs), [output], name, **attributes))
        self.value = output
        return output

    def constant(self, role: str, values: Sequence[int]) -> str:
        """The name of a tensor of integers."""
        name = self.names.fresh(f"{self.base}/{role}")
        self.constants[name] = np.array(values, dtype=np.int64)
        return name

    def convolution(self, layer: Conv | ConvTranspose, kernel: str, bias: str | None) -> None:
        pads = [before for before, _ in layer.padding] + [end for _, end in layer.padding]
        more = {"output_padding": list(layer.output_padding)} if isinstance(layer, ConvTranspose) and any(layer.output_padding) else {}
        self.node(
            type(layer).__name__,
            [self.value, kernel, *([bias] if layer.bias and bias is not None else [])],
            kernel_shape=list(layer.kernel),
            strides=list(layer.stride),
            dilations=list(layer.dilation),
            pads=pads,
            group=layer.groups,
            **more,
        )

    def pad(self, amounts: Sequence[tuple[int, int]]) -> None:
        axes = range(2, 2 + len(amounts))
        cut = [(axis, max(-b, 0), -max(-e, 0) or END) for axis, (b, e) in zip(axes, amounts, strict=True) if b < 0 or e < 0]
        if cut:
            self.slice([start for _, start, _ in cut], [end for _, _, end in cut], [axis for axis, _, _ in cut])
        if any(b > 0 or e > 0 for b, e in amounts):
            self.extend([0, 0, *(max(b, 0) for b, _ in amounts), 0, 0, *(max(e, 0) for _, e in amounts)])

    def slice(self, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> str:
        if self.opset < 10:
            return self.node("Slice", [self.value], starts=list(starts), ends=list(ends), axes=list(axes))
        held = [self.constant(role, values) for role, values in (("starts", starts), ("ends", ends), ("axes", axes))]
        return self.node("Slice", [self.value, *held])

    def extend(self, pads: Sequence[int]) -> None:
        if self.opset < 11:
            self.node("Pad", [self.value], mode="constant", pads=list(pads))
        else:
            self.node("Pad", [self.value, self.constant("pads", pads)], mode="constant")

    def reshape(self, shape: Sequence[int]) -> None:
        self.node("Reshape", [self.value, self.constant("shape", shape)])

    def reshape_to(self, head: Sequence[int], extents: str, of: str = "") -> None:
        """To the extents of a computed tensor, with known ones before them."""
        value = of or self.value
        shape = self.node("Concat", [self.constant("head", head), extents], axis=0)
        self.node("Reshape", [value, shape])

    def extents(self, axes: int) -> str:
        """The spatial extents of the value, as a tensor."""
        value = self.value
        self.node("Shape", [value])
        found = self.slice([2], [2 + axes], [0])
        self.value = value
        return found

    def scaled(self, op: str, extents: str, factors: Sequence[int]) -> str:
        value = self.value
        found = self.node(op, [extents, self.constant("factors", factors)])
        self.value = value
        return found

    def shuffle(self, factors: Sequence[int], channels: int, order: str) -> None:
        """y[c, r i + phase] = x[(c, phase), i]."""
        axes, phases = len(factors), int(np.prod(factors))
        rest = channels // phases
        if self.stepwise and has_steps(factors, order):
            self.shuffle_by_axis(factors, rest)
            return
        if self.native(factors) and (order == "DCR" or self.opset >= 11):
            mode = {"mode": order} if self.opset >= 11 else {}
            self.node("DepthToSpace", [self.value], blocksize=factors[0], **mode)
            return
        head = [0, rest, *factors] if order == "CRD" else [0, *factors, rest]
        first = 1 if order == "CRD" else axes + 1  # where the axis of the channels that stay stands
        phase = 2 if order == "CRD" else 1
        permutation = [0, first, *(at for axis in range(axes) for at in (axes + 2 + axis, phase + axis))]
        if axes == 1:
            self.reshape([*head, -1])
            self.node("Transpose", [self.value], perm=permutation)
            self.reshape([0, rest, -1])
            return
        extents = self.extents(axes)
        self.reshape_to(head, extents)
        value = self.node("Transpose", [self.value], perm=permutation)
        larger = self.scaled("Mul", extents, factors)
        self.value = value
        self.reshape_to([0, rest], larger)

    def shuffle_by_axis(self, factors: Sequence[int], rest: int) -> None:
        """y[c, r i + phase] = x[(c, phase), i] on 2 axes: (c p q, n, m) to (c p, n m, q), then (c, p, n, m q) to (c, n, p, m q)."""
        source, (high, low) = self.value, factors
        before = self.extents(2)
        wide, larger = self.scaled("Mul", before, [1, low]), self.scaled("Mul", before, factors)
        self.value = source
        self.reshape([0, rest * high, low, -1])
        columns = self.node("Transpose", [self.value], perm=[0, 1, 3, 2])
        if rest == 1:  # else what the next Reshape makes could be taken for the whole of a shuffle by (1, q)
            self.reshape_to([-1, 1, high], wide, of=columns)
            rows = self.node("Transpose", [self.value], perm=[0, 1, 3, 2, 4])
        else:
            self.reshape_to([-1, high], wide, of=columns)
            rows = self.node("Transpose", [self.value], perm=[0, 2, 1, 3])
        self.reshape_to([-1, rest], larger, of=rows)

    def unshuffle(self, factors: Sequence[int], channels: int, order: str) -> None:
        """y[(c, phase), i] = x[c, r i + phase]."""
        axes, phases = len(factors), int(np.prod(factors))
        if self.native(factors) and order == "DCR":
            self.node("SpaceToDepth", [self.value], blocksize=factors[0])
            return
        positions, phase = [2 + 2 * axis for axis in range(axes)], [3 + 2 * axis for axis in range(axes)]
        permutation = [0, 1, *phase, *positions] if order == "CRD" else [0, *phase, 1, *positions]
        if axes == 1:
            self.reshape([0, 0, -1, factors[0]])
            self.node("Transpose", [self.value], perm=permutation)
            self.node("Reshape", [self.value, self.constant("shape", [0, channels * phases, -1])])
            return
        value = self.value
        smaller = self.scaled("Div", self.extents(axes), factors)
        self.value = value
        self.interleaved([0, channels], smaller, factors)
        value = self.node("Transpose", [self.value], perm=permutation)
        self.reshape_to([0, channels * phases], smaller)

    def interleaved(self, head: Sequence[int], extents: str, factors: Sequence[int]) -> None:
        """To extents that alternate with factors: [head..., n_1, r_1, n_2, r_2, ...]."""
        value = self.value
        columns = []
        for axis, factor in enumerate(factors):
            self.value = extents
            columns += [self.slice([axis], [axis + 1], [0]), self.constant("factor", [factor])]
        shape = self.node("Concat", [self.constant("head", head), *columns], axis=0)
        self.node("Reshape", [value, shape])

    def zero_insertion(self, factors: Sequence[int], channels: int) -> None:
        """y[s i] = x[i], zero elsewhere up to s n: channels of zeros as the other phases of a shuffle."""
        phases, axes = int(np.prod(factors)), len(factors)
        self.extend([0] * (2 + axes) + [0, (phases - 1) * channels] + [0] * axes)
        self.shuffle(factors, channels * phases, "DCR")

    def native(self, factors: Sequence[int]) -> bool:
        """Whether DepthToSpace and SpaceToDepth say it."""
        return self.depth_to_space and len(factors) == 2 and factors[0] == factors[1]

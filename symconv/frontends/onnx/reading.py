"""What one node, or a few that belong together, is: the result type of reading, and how readers get at a node's attributes.

Owns: `Reading`, `Site`, `Unreadable`.
Must not know: operators.
"""

from __future__ import annotations

from typing import Any, NoReturn

import attrs
import numpy as np

from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.graph import Node, OnnxModel
from symconv.frontends.onnx.shapes import Shape, analysis
from symconv.layers import Layer, Sequential

INTEGERS = 1 << 62


@attrs.frozen(eq=False)
class Reading:
    """What one node, or a few that belong together, is.

    Args:
        layer: a flat Sequential, bound to its axes where it has any; None if it is none that symconv knows.
        kernel, bias, mean, variance: names of the values that hold the parameters of the one member that has them. Each is found by
            `OnnxModel.initializer` or, where it is computed from constants, by `OnnxModel.constant`; None: none, or not constant.
        axes: spatial axes; None if any number fits.
        span: the nodes that are covered, in order.
        input, output: the value before and after.
        reason: why `layer` is None; a sentence without a full stop that starts with the operator.
        form: how the kernel becomes weights: "" as it is; "add", "subtract", "subtract-from", "multiply" or "divide" for arithmetic.
        extents: per spatial axis the only input extent for which it is that layer (the model fixes it), or None; () if it is for all.
        notes: what was assumed.
    """

    layer: Sequential | None
    kernel: str | None
    bias: str | None
    axes: int | None
    span: tuple[Node, ...]
    input: str
    output: str
    reason: str = ""
    mean: str | None = None
    variance: str | None = None
    form: str = ""
    extents: tuple[int | None, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def all_extents(self) -> bool:
        """Whether it is that layer at every extent that it accepts."""
        return all(extent is None for extent in self.extents)


class Unreadable(Exception):
    """Why a node is no layer; never reaches a user as an exception."""


@attrs.frozen(eq=False)
class Site:
    """A node in its model, with typed access to what it is given."""

    model: OnnxModel
    node: Node

    def fail(self, reason: str) -> NoReturn:
        """Gives up on this node."""
        raise Unreadable(f"`{self.node.op}` {reason}")

    @property
    def opset(self) -> int:
        """The version of the default operator set."""
        return self.model.opset

    def shape(self, position: int = 0) -> Shape | None:
        """The extents of an input."""
        return analysis(self.model).shape(self.node.input(position))

    def rank(self) -> int:
        """The rank of the first input."""
        shape = self.shape()
        if shape is None:
            self.fail("has an input of unknown rank")
        return len(shape)

    def axes(self, axes: int | None = None) -> int:
        """Spatial axes: those of the weights, which the input must have too, or those of the input."""
        shape = self.shape()
        if axes is None and self.rank() < 3:
            self.fail(f"has an input of rank {self.rank()}; layers act on a batch, channels and 1 to 3 spatial axes")
        if axes is None:
            axes = self.rank() - 2
        elif shape is not None and len(shape) != axes + 2:
            self.fail(f"has {axes} spatial axes by its weights, but its input has rank {len(shape)}")
        if not 1 <= axes <= 3:
            self.fail(f"acts on {axes} spatial axes; symconv knows layers on 1, 2 and 3")
        return axes

    def spatial(self, axes: int) -> Shape | None:
        """The spatial extents of the first input."""
        shape = self.shape()
        return None if shape is None or len(shape) != axes + 2 else shape[2:]

    def channels(self) -> int:
        """The channels of the first input."""
        shape = self.shape()
        found = None if shape is None or len(shape) < 2 else shape[1].number
        if not found:
            self.fail("has an input with an unknown number of channels")
        return found

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, int) or isinstance(found, bool) or abs(found) > INTEGERS:
            self.fail(f"has an attribute `{name}` that is no integer")
        return found

    def number(self, name: str, default: float) -> float:
        """A float attribute, the exact value of the stored float32."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, (int, float)) or not np.isfinite(found):
            self.fail(f"has an attribute `{name}` that is no finite number")
        return float(found)

    def decimal(self, name: str, default: float) -> float:
        """A float attribute as the shortest decimal that float32 rounds to it: 0.01, not 0.009999999776482582."""
        return float(str(np.float32(self.number(name, default))))

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        found = self.node.attributes.get(name, default)
        if not isinstance(found, str):
            self.fail(f"has an attribute `{name}` that is no string")
        return found

    def listed(self, name: str, count: int, default: int, least: int | None = None) -> tuple[int, ...]:
        """An attribute of `count` integers."""
        found = self.node.attributes.get(name)
        if found is None or found == ():
            return (default,) * count
        if (
            not isinstance(found, tuple)
            or len(found) != count
            or not all(isinstance(item, int) and abs(item) <= INTEGERS for item in found)
        ):
            self.fail(f"has an attribute `{name}` that must hold {count} integers")
        if least is not None and min(found) < least:
            self.fail(f"has an attribute `{name}` that must be at least {least}; found {min(found)}")
        return tuple(found)

    def constant(self, position: int, limit: int = 1 << 16) -> np.ndarray | None:
        """A constant input; None if it is left out."""
        name = self.node.input(position)
        if not name:
            return None
        found = self.model.constant(name, limit)
        if found is None:
            self.fail(f"has an input {position} that is not constant")
        return found

    def integers(self, position: int) -> tuple[Extent | None, ...] | None:
        """The elements of an integer input, as far as they are known."""
        return analysis(self.model).integers(self.node.input(position))

    def parameter(self, position: int) -> str | None:
        """The name of a parameter that is constant; None if it is left out or computed."""
        name = self.node.input(position)
        if not name:
            return None
        if self.model.initializer(name) is not None or self.model.constant(name, 1 << 31) is not None:
            return name
        return None

    def reading(self, *layers: Layer, axes: int | None, **fields: Any) -> Reading:
        """The result for this one node."""
        chain = Sequential(tuple(layer.bind(axes) if axes is not None else layer for layer in layers))
        return Reading(
            layer=chain,
            kernel=fields.pop("kernel", None),
            bias=fields.pop("bias", None),
            axes=axes,
            span=(self.node,),
            input=self.node.input(0),
            output=self.node.outputs[0],
            **fields,
        )

"""The root of all layer descriptions, and the validators that they share.

Owns: the `Layer` base class, per-axis tuples, integer validation in PyTorch's terms.
Must not know: what a layer computes, text syntax, torch.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from symconv.errors import LayerError

PerAxis = tuple[int, ...]
Margins = tuple[tuple[int, int], ...]
"""Per axis, first spatial axis first: (amount before, amount after)."""

LIMIT = 2**62
MAX_AXES = 3
Self = TypeVar("Self", bound="Layer")


@attrs.frozen
class Layer:
    """A frozen, weightless description of one layer; two descriptions are equal iff their fields are."""

    @property
    def axes(self) -> int | None:
        """Number of spatial axes, or None if the layer fits any number (for example `ReLU()`)."""
        return None

    @property
    def channels(self) -> tuple[int, int] | None:
        """(in_channels, out_channels), or None if the layer takes any number."""
        return None

    def bind(self: Self, axes: int) -> Self:
        """The same layer with every per-axis value written out for `axes` axes.

        Raises:
            LayerError: the layer is made for another number of axes.
        """
        if self.axes not in (None, axes):
            raise LayerError(
                f"`{type(self).__name__}` acts on {self.axes} spatial axes, but the layers around it act on {axes}. "
                "Use the variant for the same number of axes throughout."
            )
        return self


def integer(owner: str, name: str, value: Any, least: int | None = None) -> int:
    """`value` as an int of at least `least`; raises LayerError that names `owner.name`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise LayerError(f"`{owner}.{name}` must be an integer; found {value!r}.")
    if abs(value) > LIMIT:
        raise LayerError(f"`{owner}.{name}` must be smaller than 2**62 in magnitude; found a number of {value.bit_length()} bits.")
    if least is not None and value < least:
        raise LayerError(f"`{owner}.{name}` must be at least {least}; found {value}.")
    return value


def per_axis(owner: str, name: str, value: Any, axes: int, least: int | None = None) -> PerAxis:
    """An int or a sequence of ints as a tuple of `axes` ints of at least `least`."""
    if isinstance(value, (tuple, list)):
        if len(value) != axes:
            raise LayerError(f"`{owner}.{name}` must be one integer or {axes} integers; found {len(value)} values: {tuple(value)}.")
        return tuple(integer(owner, name, item, least) for item in value)
    return (integer(owner, name, value, least),) * axes


def flag(owner: str, name: str, value: Any) -> bool:
    """`value` as a bool; raises LayerError otherwise."""
    if not isinstance(value, bool):
        raise LayerError(f"`{owner}.{name}` must be True or False; found {value!r}.")
    return value


def one_of(owner: str, name: str, value: Any, choices: tuple[str, ...]) -> str:
    """`value` if it is one of `choices`; raises LayerError otherwise."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise LayerError(f"`{owner}.{name}` must be one of {listed}; found {value!r}.")
    return str(value)


def axes_count(owner: str, axes: Any) -> int:
    """`axes` if it is 1, 2 or 3."""
    if axes not in (1, 2, 3) or isinstance(axes, bool):
        raise LayerError(f"`{owner}` acts on 1, 2 or 3 spatial axes; found {axes!r}.")
    return int(axes)


def margins(owner: str, name: str, value: Any, axes: int, least: int | None = None) -> Margins:
    """An int, or per axis an int or a (before, after) pair, as `axes` pairs."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = (value,) * axes
    if not isinstance(value, (tuple, list)) or len(value) != axes:
        raise LayerError(f"`{owner}.{name}` must be one integer or {axes} entries, one per axis; found {value!r}.")
    pairs = []
    for item in value:
        pair = item if isinstance(item, (tuple, list)) else (item, item)
        if len(pair) != 2:
            raise LayerError(f"`{owner}.{name}` must hold an integer or a (before, after) pair per axis; found {item!r}.")
        pairs.append((integer(owner, name, pair[0], least), integer(owner, name, pair[1], least)))
    return tuple(pairs)


def factor(owner: str, name: str, value: Any) -> int | PerAxis:
    """A positive int for all axes, or a tuple of 1 to 3 of them, one per axis."""
    if isinstance(value, (tuple, list)):
        axes_count(f"{owner}.{name}", len(value))
        return per_axis(owner, name, tuple(value), len(value), 1)
    return integer(owner, name, value, 1)


def bound_factor(value: int | PerAxis, axes: int) -> PerAxis:
    """`value` written out for `axes` axes (a tuple is returned as it is)."""
    return value if isinstance(value, tuple) else (value,) * axes


def factor_axes(value: int | PerAxis) -> int | None:
    """How many axes a factor is made for; None for a scalar, which fits any number."""
    return len(value) if isinstance(value, tuple) else None

"""Layers that act on one sample at a time: nonlinearities and BatchNorm in evaluation mode.

Owns: names, parameters, and the two facts that chains need: is f(0) = 0, is f the same for all channels.
Must not know: numeric implementations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs

from symconv.errors import LayerError
from symconv.layers.base import Layer, flag, integer

Number = int | float | bool | str

NONLINEARITIES: dict[str, tuple[tuple[str, Number], ...]] = {
    "ReLU": (),
    "ReLU6": (),
    "LeakyReLU": (("negative_slope", 0.01),),
    "ELU": (("alpha", 1.0),),
    "CELU": (("alpha", 1.0),),
    "SELU": (),
    "GELU": (("approximate", "none"),),
    "Sigmoid": (),
    "LogSigmoid": (),
    "Tanh": (),
    "Tanhshrink": (),
    "SiLU": (),
    "Mish": (),
    "Softplus": (("beta", 1.0), ("threshold", 20.0)),
    "Softsign": (),
    "Softshrink": (("lambd", 0.5),),
    "Hardshrink": (("lambd", 0.5),),
    "Hardtanh": (("min_val", -1.0), ("max_val", 1.0)),
    "Hardswish": (),
    "Hardsigmoid": (),
    "Threshold": (("threshold", None), ("value", None)),  # type: ignore[dict-item]
}
"""Constructor name to its arguments with PyTorch's defaults (None: no default)."""

_RULES: dict[str, tuple[str, Callable[[dict[str, Any]], bool]]] = {
    "CELU": ("alpha other than 0", lambda values: values["alpha"] != 0),
    "Softshrink": ("lambd of at least 0", lambda values: values["lambd"] >= 0),
    "Hardtanh": ("max_val greater than min_val", lambda values: values["max_val"] > values["min_val"]),
}
"""What PyTorch refuses when such a layer is made or run."""

_ZERO_TO_NONZERO = {"Sigmoid", "LogSigmoid", "Softplus", "Hardsigmoid"}


@attrs.frozen
class Pointwise(Layer):
    """A nonlinearity applied to every sample alike.

    Args:
        name: PyTorch's class name, a key of `NONLINEARITIES`.
        arguments: (name, value) pairs, every argument written out, in PyTorch's order.
    """

    name: str
    arguments: tuple[tuple[str, Number], ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.name not in NONLINEARITIES:
            raise LayerError(f"`{self.name}` is not a pointwise nonlinearity that symconv knows.")
        for name, value in self.arguments:
            if self.name == "GELU":
                if value not in ("none", "tanh"):
                    raise LayerError(f"`GELU.approximate` must be 'none' or 'tanh'; found {value!r}.")
            elif isinstance(value, (bool, str)) or not isinstance(value, (int, float)):
                raise LayerError(f"`{self.name}.{name}` must be a number; found {value!r}.")
            elif not _is_finite(value):
                raise LayerError(f"`{self.name}.{name}` must be finite, and no larger than a float64 holds; found {value!r:.40}.")
        rule, holds = _RULES.get(self.name, ("", lambda values: True))
        if not holds(dict(NONLINEARITIES[self.name]) | dict(self.arguments)):
            raise LayerError(f"`{self.name}` needs {rule}; found {', '.join(f'{name}={value!r}' for name, value in self.arguments)}.")

    @property
    def keeps_zero(self) -> bool:
        """Whether f(0) = 0, so that zero padding and zero insertion commute with it."""
        values = dict(self.arguments)
        if self.name == "Hardtanh":
            return float(values["min_val"]) <= 0 <= float(values["max_val"])
        if self.name == "Threshold":
            return float(values["threshold"]) < 0 or float(values["value"]) == 0
        return self.name not in _ZERO_TO_NONZERO


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _num_parameters(value: Any) -> int:
    return integer("PReLU", "num_parameters", value, 1)


@attrs.frozen
class PReLU(Layer):
    """x if x >= 0, else a x, with a learned slope a for all channels or one per channel.

    Args:
        num_parameters: 1 (tied) or the number of channels.
    """

    num_parameters: int = attrs.field(default=1, converter=_num_parameters)

    @property
    def channels(self) -> tuple[int, int] | None:
        return None if self.num_parameters == 1 else (self.num_parameters, self.num_parameters)

    @property
    def keeps_zero(self) -> bool:
        """PReLU maps 0 to 0."""
        return True


@attrs.frozen
class BatchNorm(Layer):
    """BatchNorm in evaluation mode: y = gamma (x - mean) / sqrt(var + eps) + beta per channel.

    Args:
        num_features: channels.
        spatial_axes: 1, 2 or 3.
        eps: positive, or 0.
        affine: whether gamma and beta are parameters.
        track_running_stats: must be True: without running statistics the layer is not linear.
    """

    num_features: int
    spatial_axes: int
    eps: float = 1e-5
    affine: bool = True
    track_running_stats: bool = True

    def __attrs_post_init__(self) -> None:
        owner = f"BatchNorm{self.spatial_axes}d"
        integer(owner, "num_features", self.num_features, 1)
        flag(owner, "affine", self.affine)
        flag(owner, "track_running_stats", self.track_running_stats)
        if isinstance(self.eps, bool) or not isinstance(self.eps, (int, float)) or not 0 <= self.eps < float("inf"):
            raise LayerError(f"`{owner}.eps` must be a finite number of at least 0; found {self.eps!r}.")

    @property
    def axes(self) -> int:
        return self.spatial_axes

    @property
    def channels(self) -> tuple[int, int]:
        return self.num_features, self.num_features


Nonlinearity = Pointwise | PReLU

"""Routes: a certified form with an engine that executes it.

Owns: `Route`, `routes`: what is measured.
Must not know: timing, modules, files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import attrs
import torch
from torch import Tensor, nn

from symconv.convert.fastest.account import Account, chain_account
from symconv.convert.fastest.arranging import Span
from symconv.convert.fastest.engines import engines_for
from symconv.convert.fastest.equivalents import GIVEN, Form, Forms
from symconv.convert.fastest.lowered import Lowered, lowered
from symconv.convert.fastest.originals import originals
from symconv.convert.torch_modules.moving import Move, bias_move, kernel_move
from symconv.convert.torch_modules.replacement import build
from symconv.errors import OutsideFragment
from symconv.layers import Layer


class Executes(Protocol):
    """What every engine offers."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def why(self) -> str:
        """What may make it fast."""

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Whether it can be tried there."""

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The kernel and bias as it wants them, for inputs of about this shape."""

    def run(self, x: Tensor, state: Any) -> Tensor:
        """The output."""

    def account(self, shape: Sequence[int]) -> Account:
        """What it does."""


@attrs.frozen(eq=False)
class Route:
    """A way to compute what the layer computes.

    Args:
        form: the certified form's name.
        layers: its chain.
        engine: how it is executed.
        kernel, bias: how the given parameters move to it; None where they stay.
    """

    form: str
    layers: tuple[Layer, ...]
    engine: Executes
    kernel: Move | None = None
    bias: Move | None = None

    @property
    def name(self) -> str:
        """Form and engine."""
        return f"{self.form}: {self.engine.name}"

    def parameters(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The given parameters, moved."""
        if self.kernel is None:
            return weight, bias
        moved = None if bias is None or self.bias is None else self.bias.carry(bias)
        return self.kernel.carry(weight), moved

    @property
    def exact(self) -> bool:
        """Whether every weight is moved bit for bit (False: some are sums of given ones, rounded once)."""
        return self.kernel is None or self.kernel.moves_only


@attrs.frozen
class Chain:
    """Any other chain, by torch.nn's own modules."""

    layers: tuple[Layer, ...]
    axes: int
    channels: int

    name = "modules, one by one"
    why = "PyTorch's own layers"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Everywhere."""
        return True

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The modules, with their parameters."""
        from symconv.layers import Sequential

        made = build(Sequential(self.layers), self.axes).requires_grad_(False)
        conv: Any = made.conv
        conv.weight = nn.Parameter(weight, requires_grad=False)
        conv.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        return made.eval()

    def run(self, x: Tensor, state: Any) -> Tensor:
        """All modules."""
        made: Tensor = state(x)
        return made.contiguous()

    def account(self, shape: Sequence[int]) -> Account:
        """Every layer reads its input and writes its output."""
        return chain_account(self.layers, self.axes, self.channels, shape)


def routes(forms: Forms, device: str, dtype: torch.dtype) -> list[Route]:
    """Everything that can be tried on a device, without the given modules themselves."""
    found = [route for form in forms.found for route in _of(form, forms)]
    return [route for route in found if route.engine.fits(device, dtype)]


def _of(form: Form, forms: Forms) -> Iterator[Route]:
    kernel = None if form.reshuffle is None else kernel_move(form.reshuffle)
    bias = None if form.reshuffle is None else bias_move(form.reshuffle)
    low = lowered(form.layers)
    found: list[Executes] = [*originals(form.layers, plain=form.name != GIVEN)]
    if low is not None and (low.phases > 1 or not found):
        found = [*engines_for(low, _reads(low, kernel))]
    elif low is not None:  # a plain convolution: matrix products too
        found += [engine for engine in engines_for(low, _reads(low, kernel)) if engine.name not in ("convolution", "packed convolution")]
    if not found and form.name != GIVEN:
        found = _chain(form, forms)
    for engine in found:
        yield Route(form.name, form.layers, engine, kernel, bias)


def _chain(form: Form, forms: Forms) -> list[Executes]:
    from symconv.layers import Sequential

    try:
        build(Sequential(form.layers), forms.axes)
    except OutsideFragment:
        return []
    return [Chain(form.layers, forms.axes, forms.channels)]


def _reads(low: Lowered, kernel: Move | None) -> tuple[tuple[Span, ...], ...]:
    """For each axis and phase the span of taps that can be other than zero, seen by moving a kernel of ones."""
    full = tuple(((0, k),) * r for k, r in zip(low.kernel, low.factors, strict=True))
    if kernel is None:
        return full
    moved = kernel.forth(torch.ones(kernel.source_shape, dtype=torch.float64)) != 0
    seen = moved.view(low.out_channels, *low.factors, -1, *low.kernel)
    axes, found = low.axes, []
    for axis in range(axes):
        others = [dim for dim in range(seen.dim()) if dim not in (1 + axis, 2 + axes + axis)]
        spans = []
        for row in seen.any(others) if others else seen:
            places = row.nonzero().flatten().tolist()
            spans.append((places[0], places[-1] + 1) if places else (0, 0))
        found.append(tuple(spans))
    return tuple(found)


__all__ = ["Chain", "Executes", "Route", "routes"]

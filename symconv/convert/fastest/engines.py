"""Engines: ways to execute a low-resolution chain. All of them compute the same sums over the same kernel, arranged differently.

Owns: `Engine` and its kinds, `engines_for`.
Must not know: proofs, timing, modules.

An engine is trusted only after it gave the layer's own integers, bit for bit, at several extents (`symconv.convert.fastest.exactness`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from symconv.convert.fastest.account import Account
from symconv.convert.fastest.arranging import Span, channels_behind, columns, extended, finish, flat, overlap, phase_bias, rows
from symconv.convert.fastest.lowered import Lowered
from symconv.convert.fastest.products import BLAS, PRODUCTS, Product

FEW_TAPS = 64
"""More taps than this are not executed one by one."""


@attrs.frozen
class Engine:
    """A way to execute.

    Args:
        low: the chain.
    """

    low: Lowered

    @property
    def name(self) -> str:
        """For people."""
        raise NotImplementedError

    @property
    def why(self) -> str:
        """What may make it fast."""
        raise NotImplementedError

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Whether it can be tried there."""
        return True

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The chain's kernel and bias as the engine wants them, for inputs of about this shape."""
        raise NotImplementedError

    def run(self, x: Tensor, state: Any) -> Tensor:
        """The output."""
        raise NotImplementedError

    def account(self, shape: Sequence[int]) -> Account:
        """What it does at an input shape (batch, channels, *extents)."""
        return self._account(shape, self._taps(shape), self._between(shape))

    def _taps(self, shape: Sequence[int]) -> int:
        low = self.low
        return math.prod(low.blocks(shape[2:])) * low.phases * low.taps

    def _between(self, shape: Sequence[int]) -> int:
        """Samples stored between the passes, each written and read once: the blocks before they are shuffled."""
        return shape[0] * self.low.out_channels * self.low.phases * math.prod(self.low.blocks(shape[2:]))

    def _account(self, shape: Sequence[int], taps: int, between: int) -> Account:
        low = self.low
        pairs = low.in_channels * low.out_channels // low.groups
        weights = pairs * low.phases * low.taps
        output = shape[0] * low.out_channels * math.prod(low.output(shape[2:]))
        return Account(shape[0] * taps * pairs, math.prod(shape) + weights + 2 * between + output, weights)


@attrs.frozen
class Convolve(Engine):
    """PyTorch's convolution, then shuffle, crop and bias in one copy."""

    name = "convolution"
    why = "PyTorch's convolution; the shuffle is one copy"

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """As they are."""
        return weight.contiguous(), bias

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Pad, convolve, shuffle."""
        low, (weight, bias) = self.low, state
        x = extended(x, low)
        if not _symmetric(low):
            x = functional.pad(x, flat(low.pads))
        convolve = getattr(torch, f"conv{low.axes}d")
        made = convolve(x, weight, bias, 1, _own_pads(low), 1, low.groups)
        return finish(made.unflatten(1, (low.out_channels, *low.factors)), low, None)


@attrs.frozen
class PackedConvolve(Engine):
    """oneDNN's convolution with its weights packed once, channels last inside."""

    name = "packed convolution"
    why = "oneDNN's convolution; weights are packed once instead of at every call"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """On the CPU, in float32."""
        return device == "cpu" and dtype is torch.float32 and has_onednn("_convolution_pointwise")

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The packed weights."""
        low = self.low
        inner = [*shape[:2], *low.extended(shape[2:])]
        if not _symmetric(low):
            inner[2:] = [n + a + b for n, (a, b) in zip(inner[2:], low.pads, strict=True)]
        lifted = lift(weight, low.axes)
        ones = [1] * (lifted.dim() - 2)
        sizes = [*inner[:2], *([1] if low.axes == 1 else []), *inner[2:]]
        reorder = torch._C._nn.mkldnn_reorder_conv2d_weight if lifted.dim() == 4 else torch._C._nn.mkldnn_reorder_conv3d_weight
        return reorder(lifted.contiguous().to_mkldnn(), lift_list(_own_pads(low), low.axes, 0), ones, ones, low.groups, sizes), bias

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Pad, convolve, shuffle."""
        low, (weight, bias) = self.low, state
        x = extended(x, low)
        if not _symmetric(low):
            x = functional.pad(x, flat(low.pads))
        x = lift(x, low.axes)
        ones = [1] * (x.dim() - 2)
        x = x.contiguous(memory_format=torch.channels_last if x.dim() == 4 else torch.channels_last_3d)
        pads = lift_list(_own_pads(low), low.axes, 0)
        made = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, pads, ones, ones, low.groups, "none", [], "")
        made = made.squeeze(2) if low.axes == 1 else made
        return finish(made.unflatten(1, (low.out_channels, *low.factors)), low, None)


@attrs.frozen
class Multiply(Engine):
    """All taps of all phases in one matrix product: (phases, taps) times (taps, blocks)."""

    product: Product = BLAS

    @property
    def name(self) -> str:
        """For people."""
        return self.product.name

    @property
    def why(self) -> str:
        """What may make it fast."""
        return f"one product; {self.product.why}"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Where the product does."""
        return self.low.groups == 1 and self.product.fits(device, dtype)

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The kernel as a matrix; a bias is one more column where the samples are copied anyway."""
        matrix = weight.movedim(1, -1).flatten(1)
        own = bias is None or self.product.by_rows or not self._copies
        if bias is not None and not own:
            matrix = torch.cat((matrix, bias.reshape(-1, 1)), 1)
        late = None if bias is None or not own else bias
        return self.product.prepare(matrix, shape[0] * math.prod(self.low.blocks(shape[2:]))), late, not own

    @property
    def _copies(self) -> bool:
        return self.low.taps > 1

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Arrange, multiply, shuffle."""
        low, (matrix, bias, ones) = self.low, state
        x = extended(x, low)
        spans = [(0, k) for k in low.kernel]
        blocks = tuple(n + a + b - k + 1 for n, (a, b), k in zip(x.shape[2:], low.pads, low.kernel, strict=True))
        if self.product.by_rows:
            made = self.product.run(matrix, rows(x, low, spans)).view(x.shape[0], *blocks, low.out_channels, *low.factors)
            made = made.movedim(tuple(range(1, 1 + low.axes)), tuple(range(-low.axes, 0)))
        else:
            made = self.product.run(matrix, columns(x, low, spans, ones)).view(x.shape[0], low.out_channels, *low.factors, *blocks)
        return finish(made, low, phase_bias(bias, low))

    def _between(self, shape: Sequence[int]) -> int:
        copied = shape[0] * math.prod(self.low.blocks(shape[2:])) * self.low.in_channels * self.low.taps
        return super()._between(shape) + (copied if self._copies or self.product.by_rows else 0)


@attrs.frozen
class Shifted(Engine):
    """One product for each tap with the input shifted under it, added up in place; nothing is copied but the padding."""

    @property
    def name(self) -> str:
        """For people."""
        return "sum of shifted products"

    @property
    def why(self) -> str:
        """What may make it fast."""
        return "one product a tap on the input where it lies; no taps are copied"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """For one group with more than one tap."""
        return self.low.groups == 1 and 1 < self.low.taps <= FEW_TAPS

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """A matrix a tap."""
        taps = weight.flatten(2).unbind(2)
        return [tap.contiguous() for tap in taps], None if bias is None else bias.reshape(-1, 1)

    def run(self, x: Tensor, state: Any) -> Tensor:
        """The padded input as one row a channel: a tap is an offset in it. Blocks that wrap around a border are not used."""
        low, (taps, bias) = self.low, state
        x = extended(x, low)
        x = functional.pad(x, flat(low.pads)) if any(map(any, low.pads)) else x.contiguous()
        wide = x.shape[2:]
        steps = [math.prod(wide[axis + 1 :]) for axis in range(low.axes)]
        blocks = tuple(n - k + 1 for n, k in zip(wide, low.kernel, strict=True))
        count = sum((m - 1) * step for m, step in zip(blocks, steps, strict=True)) + 1
        store = x.new_empty((x.shape[0], taps[0].shape[0], blocks[0] * steps[0]))
        offsets = [sum(u * step for u, step in zip(tap, steps, strict=True)) for tap in itertools.product(*map(range, low.kernel))]
        for sample, kept in zip(x.flatten(2), store, strict=True):
            total = kept.narrow(1, 0, count)
            for place, (matrix, offset) in enumerate(zip(taps, offsets, strict=True)):
                here = sample.narrow(1, offset, count)
                if place:
                    total.addmm_(matrix, here)
                elif bias is None:
                    torch.mm(matrix, here, out=total)
                else:
                    torch.addmm(bias, matrix, here, out=total)
        made = store.view(x.shape[0], -1, blocks[0], *wide[1:])
        for axis in range(1, low.axes):
            made = made.narrow(2 + axis, 0, blocks[axis])
        return finish(made.unflatten(1, (low.out_channels, *low.factors)), low, None)

    def _between(self, shape: Sequence[int]) -> int:
        return super()._between(shape) * self.low.taps + (math.prod(shape) if any(map(any, self.low.pads)) else 0)


@attrs.frozen
class OverlapAdd(Engine):
    """The product first, once for each tap and input sample, then every block adds up what falls on it."""

    product: Product = BLAS

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.product.name}, overlap-add"

    @property
    def why(self) -> str:
        """What may make it fast."""
        return f"input read once, no padding is multiplied; {self.product.why}"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """For one group with more than one tap."""
        return self.low.groups == 1 and 1 < self.low.taps <= FEW_TAPS and self.product.fits(device, dtype)

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """The matrix of all taps, one under the other."""
        matrix = weight.flatten(2).permute(2, 0, 1).flatten(0, 1)
        return self.product.prepare(matrix, shape[0] * math.prod(shape[2:])), bias

    def run(self, x: Tensor, state: Any) -> Tensor:
        """Multiply, add shifted, shuffle."""
        low, (matrix, bias) = self.low, state
        x = extended(x, low)
        blocks = tuple(n + a + b - k + 1 for n, (a, b), k in zip(x.shape[2:], low.pads, low.kernel, strict=True))
        width = low.out_channels * low.phases
        if self.product.by_rows:
            made = self.product.run(matrix, channels_behind(x).flatten(0, -2)).view(*(x.shape[0], *x.shape[2:]), low.taps, width)
            total = made.new_zeros((x.shape[0], *blocks, width))
            self._add(total, [made.select(-2, tap) for tap in range(low.taps)], 1)
            whole = total.view(x.shape[0], *blocks, low.out_channels, *low.factors)
            return finish(whole.movedim(tuple(range(1, 1 + low.axes)), tuple(range(-low.axes, 0))), low, phase_bias(bias, low))
        made = self.product.run(matrix, x.contiguous().flatten(2)).view(x.shape[0], low.taps, width, *x.shape[2:])
        total = made.new_zeros((x.shape[0], width, *blocks))
        self._add(total, [made.select(1, tap) for tap in range(low.taps)], 2)
        return finish(total.view(x.shape[0], low.out_channels, *low.factors, *blocks), low, phase_bias(bias, low))

    def _add(self, total: Tensor, parts: Sequence[Tensor], first: int) -> None:
        for taps, part in zip(itertools.product(*map(range, self.low.kernel)), parts, strict=True):
            there, here = total, part
            for axis, tap in enumerate(taps):
                at = first + axis
                start, sample, count = overlap(tap, self.low.pads[axis][0], part.shape[at], total.shape[at])
                there, here = there.narrow(at, min(start, total.shape[at]), count), here.narrow(at, max(sample, 0) if count else 0, count)
            if here.numel():
                there.add_(here)

    def _taps(self, shape: Sequence[int]) -> int:
        return math.prod(self.low.extended(shape[2:])) * self.low.phases * self.low.taps

    def _between(self, shape: Sequence[int]) -> int:
        scattered = shape[0] * math.prod(shape[2:]) * self.low.out_channels * self.low.phases * self.low.taps
        return super()._between(shape) * self.low.taps + scattered


@attrs.frozen
class Depthwise(Engine):
    """One channel a group: each phase is a sum of a few shifted inputs, sample by sample."""

    reads: tuple[tuple[Span, ...], ...] = ()

    name = "sum of shifted samples"
    why = "one multiplication a tap, no matrix product; only the taps that a phase reads"

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """For depthwise layers."""
        low = self.low
        return low.groups == low.in_channels == low.out_channels and low.taps * low.phases <= FEW_TAPS

    def prepare(self, weight: Tensor, bias: Tensor | None, shape: Sequence[int]) -> Any:
        """A number for each channel, phase and tap."""
        low = self.low
        split = weight.reshape(low.out_channels, *low.factors, *low.kernel)
        shift = None if bias is None else bias.reshape(low.out_channels, *low.factors)
        shape_of = (1, -1, *(1,) * low.axes)
        return {
            phase: (
                {tap: split[(slice(None), *phase, *tap)].reshape(shape_of).contiguous() for tap in self._window(phase)},
                None if shift is None else shift[(slice(None), *phase)].reshape(shape_of).contiguous(),
            )
            for phase in itertools.product(*map(range, low.factors))
        }

    def _window(self, phase: Sequence[int]) -> list[tuple[int, ...]]:
        return list(itertools.product(*(range(*self.reads[axis][p]) for axis, p in enumerate(phase))))

    def run(self, x: Tensor, state: Any) -> Tensor:
        """A fused multiplication and addition a tap."""
        low = self.low
        x = extended(x, low)
        x = functional.pad(x, flat(low.pads)) if any(map(any, low.pads)) else x
        blocks = tuple(n - k + 1 for n, k in zip(x.shape[2:], low.kernel, strict=True))
        made = x.new_empty((x.shape[0], low.out_channels, *low.factors, *blocks))
        for phase, (taps, bias) in state.items():
            total = made[(slice(None), slice(None), *phase)]
            for place, (tap, factor) in enumerate(taps.items()):
                here = x
                for axis, u in enumerate(tap):
                    here = here.narrow(2 + axis, u, blocks[axis])
                if place:
                    total.addcmul_(here, factor)
                elif bias is None:
                    torch.mul(here, factor, out=total)
                else:
                    torch.addcmul(bias.expand_as(here), here, factor, out=total)
            if not taps:
                total.zero_() if bias is None else total.copy_(bias.expand_as(total))
        return finish(made, low, None)

    def _taps(self, shape: Sequence[int]) -> int:
        return math.prod(self.low.blocks(shape[2:])) * read_taps(self.reads)

    def _between(self, shape: Sequence[int]) -> int:
        return super()._between(shape) * self.low.taps


def engines_for(low: Lowered, reads: tuple[tuple[Span, ...], ...]) -> list[Engine]:
    """Every engine for a chain; `reads` holds for each axis and phase the span of taps that can be other than zero."""
    from symconv.convert.fastest.phasewise import Phasewise

    found: list[Engine] = [Convolve(low), PackedConvolve(low)]
    if low.groups == 1:
        found += [Multiply(low, product) for product in PRODUCTS]
        found += [Shifted(low)] if low.taps > 1 else []
        found += [OverlapAdd(low, product) for product in PRODUCTS] if low.taps > 1 else []
        if read_taps(reads) < low.phases * low.taps:
            found += [Phasewise(low, product, reads) for product in PRODUCTS]
    else:
        found.append(Depthwise(low, reads))
    return found


def read_taps(reads: tuple[tuple[Span, ...], ...]) -> int:
    """Taps that can be other than zero, over all phases."""
    return math.prod(sum(stop - start for start, stop in axis) for axis in reads)


def has_onednn(name: str) -> bool:
    """Whether this build of PyTorch has an operator of oneDNN."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, name)


def lift(tensor: Tensor, axes: int) -> Tensor:
    """A 1-D layer's tensor as a 2-D layer's, with a unit axis."""
    return tensor.unsqueeze(2) if axes == 1 else tensor


def lift_list(values: Sequence[int], axes: int, unit: int) -> list[int]:
    """The same for a list of one number an axis."""
    return [unit, *values] if axes == 1 else list(values)


def _symmetric(low: Lowered) -> bool:
    """Whether the convolution itself can pad."""
    return all(a == b >= 0 for a, b in low.pads)


def _own_pads(low: Lowered) -> list[int]:
    return [a for a, _ in low.pads] if _symmetric(low) else [0] * low.axes

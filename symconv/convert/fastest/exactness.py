"""Whether an engine computes what the layer computes: on integers so small that every order of summation gives the same bits.

Owns: `Reference`, `Size`, `size_for`, `integers`, `largest`, `terms_of`.
Must not know: timing, which engine is fast.

The certificate speaks of the form; this test of the code that executes it. Weights and samples are drawn so that every partial sum of
the longest row stays below 2^(p - 1), p the significand of the number format: then no rounding can happen, and outputs must be equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor, nn

from symconv.convert.fastest.equivalents import Forms
from symconv.convert.fastest.summands import largest_integer, terms
from symconv.layers import Conv, ConvTranspose, Pad, Upsample

PRECISION = {torch.float64: 53, torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}
IMPULSES = 3
DRAWS = 8
"""Inputs of impulses at each shape."""


def largest(count: int, dtype: torch.dtype) -> int:
    """The largest integer v with count * v * v < 2^(p - 1), at most 8; 0 if there is none."""
    return largest_integer(count, PRECISION[dtype])


def integers(shape: Sequence[int], most: int, like: Tensor, seed: int) -> Tensor:
    """Random integers from -most to most."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, tuple(shape), generator=generator).to(like.device, like.dtype)


@attrs.frozen
class Size:
    """How large integers may be.

    Args:
        most: the largest magnitude of parameters and samples; 0 if there is none.
        impulses: how many samples of an input are other than zero, where a full input has too many terms; None for full inputs.
    """

    most: int
    impulses: int | None = None


def size_for(forms: Forms, dtype: torch.dtype) -> Size:
    """Full inputs where they can be exact; in narrow formats a few impulses, which meet as many parameters one by one."""
    full = largest(terms_of(forms), dtype)
    if full >= 2:
        return Size(full)
    return Size(largest(IMPULSES * _repeats(forms) + 1, dtype), IMPULSES)


class Reference:
    """What a module with integers as parameters gives on integers, at several shapes.

    Args:
        given: in evaluation mode.
        shapes: of inputs; those that the module refuses are left out.
        like: a tensor of the device and dtype.
        size: of the integers.
    """

    def __init__(self, given: nn.Module, shapes: Iterable[Sequence[int]], like: Tensor, size: Size) -> None:
        self.size, self.dtype, self.pairs = size, like.dtype, list[tuple[Tensor, Tensor]]()
        times = 1 if size.impulses is None else DRAWS
        for seed, shape in enumerate(shape for shape in shapes for _ in range(times)) if size.most else ():
            x = integers(shape, size.most, like, seed)
            if size.impulses is not None:
                x = _sparse(x, size.impulses, seed)
            x = x.transpose(0, -1).contiguous().transpose(0, -1) if seed % 2 else x  # every other one lies in memory another way
            with torch.no_grad():
                try:
                    wanted = given(x)
                except RuntimeError:
                    continue  # the layer refuses the extents
            if wanted.numel():
                self.pairs.append((x, wanted))

    def deviation(self, other: nn.Module) -> str | None:
        """What a module that shares the parameters gives otherwise, or None."""
        if not self.size.most:
            return f"not compared: too many terms for exact integers in {str(self.dtype).removeprefix('torch.')}"
        if not self.pairs:
            return "not compared: the layer accepts none of the extents that were tried"
        for x, wanted in self.pairs:
            with torch.no_grad():
                made = other(x)
            if made.shape != wanted.shape:
                return f"at {tuple(x.shape)} it gives shape {tuple(made.shape)}, not {tuple(wanted.shape)}"
            if not torch.equal(made, wanted):
                place = tuple(int(k) for k in (made != wanted).nonzero()[0])
                return f"at {tuple(x.shape)} output {place} is {made[place].item():g}, not {wanted[place].item():g}"
        return None


def _sparse(x: Tensor, count: int, seed: int) -> Tensor:
    """The input with `count` samples kept."""
    generator = torch.Generator().manual_seed(seed)
    flat = torch.zeros(x.numel())
    flat[torch.randperm(x.numel(), generator=generator)[:count]] = 1
    return x * flat.reshape(x.shape).to(x.device, x.dtype)


def _repeats(forms: Forms) -> int:
    """How often one input sample may come into one output sample: where a resize or a border repeats it, at most once a tap."""
    layers = forms.found[0].layers
    modes = [layer.padding_mode if isinstance(layer, Conv) else layer.mode for layer in layers if isinstance(layer, (Conv, Pad))]
    if all(mode == "zeros" for mode in modes) and not any(isinstance(layer, Upsample) for layer in layers):
        return 1
    return max(math.prod(layer.kernel) for layer in layers if isinstance(layer, (Conv, ConvTranspose)))


def terms_of(forms: Forms) -> int:
    """The most products that one output sample of any form adds up, counted by the kernel entries of the layer that it reads."""
    return terms(forms.found[0].layers)

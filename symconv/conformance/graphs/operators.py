"""Operators that are no layers, free of any framework's spelling: pools, reductions, selections, products, normalisation.

Owns: what they make of traced values.
Must not know: names and attributes in files or modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from symconv.conformance.graphs.functions import ELEMENTARY, FUNCTIONS
from symconv.conformance.graphs.traced import Arithmetic, Kernel, Traced
from symconv.errors import OutsideFragment

Margins = Sequence[tuple[int, int]]


def integers(x: Traced | None) -> list[int]:
    """A tensor of integers as a list.

    Raises:
        OutsideFragment: it is of floats.
    """
    if x is None or x.value.dtype == torch.bool or (x.is_real and x.value.numel()):
        raise OutsideFragment("an argument that must be integers is none")
    return [int(item) for item in x.value.flatten().tolist()]


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        raise OutsideFragment(f"axis {axis} of a value of rank {rank}")
    return axis % rank


# --- selections -------------------------------------------------------------------------------------------------------


def taken(arithmetic: Arithmetic, x: Traced, axis: int, places: Tensor) -> Traced:
    """The samples at some places of an axis."""
    at = axis_of(axis, x.value.ndim)
    return arithmetic.moved(x, lambda value: value.index_select(at, places.to(value.device)))


def sliced(arithmetic: Arithmetic, x: Traced, axis: int, start: int, end: int, step: int) -> Traced:
    """ONNX's Slice of one axis: out-of-range starts and ends are clamped."""
    at = axis_of(axis, x.value.ndim)
    count = x.value.shape[at]
    if not step:
        raise OutsideFragment("a slice with step 0")
    first, last = (item + count if item < 0 else item for item in (start, end))
    if step > 0:
        places = range(min(max(first, 0), count), min(max(last, 0), count), step)
    else:
        places = range(min(max(first, 0), count - 1), min(max(last, -1), count - 1), step) if count else range(0)
    return taken(arithmetic, x, at, torch.tensor(list(places), dtype=torch.int64))


def gathered(arithmetic: Arithmetic, x: Traced, axis: int, index: Tensor) -> Traced:
    """Samples at the places that a tensor of integers names."""
    at = axis_of(axis, x.value.ndim)
    count = x.value.shape[at]
    places = index.long().flatten()
    places = torch.where(places < 0, places + count, places)
    if places.numel() and not 0 <= int(places.min()) <= int(places.max()) < count:
        raise OutsideFragment("a gather beyond the end of its axis")
    shape = (*x.value.shape[:at], *index.shape, *x.value.shape[at + 1 :])
    found = taken(arithmetic, x, at, places)
    return arithmetic.moved(found, lambda value: value.reshape(shape))


def padded(arithmetic: Arithmetic, x: Traced, margins: Margins, mode: str, fill: Traced | None = None) -> Traced:
    """Every axis extended or cropped; `mode` is constant, reflect, edge or wrap."""
    for axis, (before, after) in enumerate(margins):
        if before < 0 or after < 0:
            if mode != "constant" and max(before, after) > 0:
                raise OutsideFragment("a Pad that both extends and crops")
            count = x.value.shape[axis]
            x = taken(arithmetic, x, axis, torch.arange(max(-before, 0), max(count - max(-after, 0), 0)))
        if max(before, after) <= 0:
            continue
        count = x.value.shape[axis]
        if mode == "constant":
            x = _extended(arithmetic, x, axis, max(before, 0), max(after, 0), fill)
        elif mode in ("reflect", "edge", "wrap") and count and (mode != "reflect" or max(before, after) < count):
            places = np.pad(np.arange(count), (max(before, 0), max(after, 0)), mode)  # type: ignore[call-overload]
            x = taken(arithmetic, x, axis, torch.from_numpy(places))
        else:
            raise OutsideFragment(f"a Pad in mode {mode!r} that is wider than its input")
    return x


def _extended(arithmetic: Arithmetic, x: Traced, axis: int, before: int, after: int, fill: Traced | None) -> Traced:
    parts = []
    for amount in (before, after):
        shape = list(x.value.shape)
        shape[axis] = amount
        if fill is None:
            part = Traced(x.value.new_zeros(shape), tuple(error.new_zeros(shape) for error in x.errors))
        else:
            part = arithmetic.moved(fill, lambda value, shape=shape: value.reshape(-1)[0].expand(shape))  # type: ignore[misc]
        parts.append(part)
    return arithmetic.joined([parts[0], x, parts[1]], lambda values: torch.cat(values, axis))


def concatenated(arithmetic: Arithmetic, xs: Sequence[Traced], axis: int) -> Traced:
    """Values joined along an axis."""
    return arithmetic.joined(list(xs), lambda values: torch.cat(values, axis))


def where(arithmetic: Arithmetic, condition: Traced, a: Traced, b: Traced) -> Traced:
    """a where the condition holds, b elsewhere."""
    mask = condition.value.bool()
    return arithmetic.joined([a, b], lambda values: torch.where(mask, *values))


# --- comparisons ------------------------------------------------------------------------------------------------------


def compared(arithmetic: Arithmetic, a: Traced, b: Traced, test: Callable[[Tensor, Tensor], Tensor]) -> Traced:
    """A comparison, where no error can change its answer."""
    distance = (a.value.double() - b.value.double()).abs()
    for e, f in zip(arithmetic.errors(a), arithmetic.errors(b), strict=True):
        reach = e + f + arithmetic.errors(a)[0] + arithmetic.errors(b)[0]
        if not bool(((reach == 0) | (distance > reach * (1 + 2.0**-40))).all()):
            raise OutsideFragment("two values are so close that rounding may change which one is larger")
    return Traced(test(a.value, b.value))


def rounded(arithmetic: Arithmetic, x: Traced, apply: Callable[[Tensor], Tensor]) -> Traced:
    """Floor, ceil and round, where no error can change the answer."""
    if not x.is_real:
        return x
    for error in x.errors:
        reach = (x.errors[0] + error) * (1 + 2.0**-40)
        if not bool((apply(x.value - reach) == apply(x.value + reach)).all()):
            raise OutsideFragment("a value is so close to a jump that rounding may carry it across")
    return attrs.evolve(x, value=apply(x.value), errors=tuple(torch.zeros_like(e) for e in x.errors), terms=0)


def as_integers(arithmetic: Arithmetic, x: Traced, dtype: torch.dtype) -> Traced:
    """A float made an integer (cut towards 0) or a truth value, where no error can change the answer."""
    cut = (
        rounded(arithmetic, x, torch.trunc) if dtype != torch.bool else compared(arithmetic, x, Traced(torch.zeros_like(x.value)), torch.ne)
    )
    return Traced(cut.value.to(dtype))


def as_floats(arithmetic: Arithmetic, x: Traced, significant: int, least: float) -> Traced:
    """A value rounded to a float format of its own, beside that of the runtime."""
    if not x.is_real:
        return arithmetic.given(x.value.double().cpu().numpy())
    if arithmetic.integers:
        if x.value.numel() and float(x.value.abs().max()) * 2.0**x.bits > 2.0**significant:
            raise OutsideFragment("a Cast rounds integers that are too large for it")
        return x
    if significant >= arithmetic.widest or not arithmetic.tracks:
        return x
    small = (x.value == x.value.round()) & (x.value.abs() <= 2.0**significant)
    if any(not track.ours and track.precision.significant > significant for track in arithmetic.tracks):
        raise OutsideFragment("a Cast to a narrower format, in which a runtime may go on computing, has no rounding theorem here")
    errors = []
    for error in x.errors:
        rounding = 2.0 ** (1 - significant) * (x.value.abs() + x.errors[0] + error) + least
        errors.append(torch.where(small & (error == 0) & (x.errors[0] == 0), error, error + rounding))
    return attrs.evolve(x, errors=tuple(errors), terms=0)


def negated(arithmetic: Arithmetic, x: Traced) -> Traced:
    """-x."""
    if arithmetic.is_wide:
        return arithmetic.sum(arithmetic.given(np.array(0.0)), x, -1)
    return attrs.evolve(x, value=-x.value)


# --- sums, means, products --------------------------------------------------------------------------------------------


def summed(arithmetic: Arithmetic, x: Traced, axes: Sequence[int], keep: bool) -> Traced:
    """The sum over some axes."""
    if not x.is_real:
        return Traced(x.value.sum(dim=tuple(axes), keepdim=keep))
    count = math.prod(x.value.shape[axis] for axis in axes)

    def apply(value: Tensor) -> Tensor:
        return value.sum(dim=tuple(axes), keepdim=keep) if axes else value

    return arithmetic.linear(x, apply, apply, terms=count + x.terms, stores=2, kernel=Kernel(lambda _: apply))


def mean(arithmetic: Arithmetic, x: Traced, axes: Sequence[int], keep: bool) -> Traced:
    """The mean over some axes."""
    count = math.prod(x.value.shape[axis] for axis in axes)
    if not count:
        raise OutsideFragment("a mean of nothing")
    return attrs.evolve(arithmetic.averaged(summed(arithmetic, x, axes, keep), float(count)), terms=count)


def extreme(arithmetic: Arithmetic, x: Traced, axes: Sequence[int], keep: bool, *, smallest: bool = False) -> Traced:
    """The largest (smallest) sample over some axes."""
    if not all(x.value.shape[axis] for axis in axes):
        raise OutsideFragment("the largest sample of none")

    def largest(value: Tensor) -> Tensor:
        return value.amax(dim=tuple(axes), keepdim=keep)

    apply = (lambda value: value.amin(dim=tuple(axes), keepdim=keep)) if smallest else largest
    return arithmetic.extremal(x, apply, largest)


def matrix_product(arithmetic: Arithmetic, a: Traced, b: Traced) -> Traced:
    """numpy's matmul."""
    if not (a.is_real and b.is_real):
        return Traced(torch.matmul(a.value, b.value))
    inner = a.value.shape[-1] if a.value.ndim else 0
    return arithmetic.product(a, b, torch.matmul, terms=inner, stores=2)


def affine(arithmetic: Arithmetic, x: Traced, weight: Traced, bias: Traced | None) -> Traced:
    """x W^T + bias."""
    turned = arithmetic.moved(weight, lambda value: value.transpose(-1, -2))
    found = matrix_product(arithmetic, x, turned)
    return found if bias is None else arithmetic.sum(found, bias)


def convolved(arithmetic: Arithmetic, x: Traced, weight: Traced, bias: Traced | None, apply: Callable[[Tensor, Tensor], Tensor]) -> Traced:
    """A convolution whose weights or bias are computed; `apply` is linear in both."""
    taps = math.prod(weight.value.shape) // max(1, min(weight.value.shape[:2]))
    found = arithmetic.product(x, weight, apply, terms=taps, stores=math.prod(weight.value.shape[2:]) + 2)
    if bias is None:
        return found
    column = arithmetic.moved(bias, lambda value: value.reshape(-1, *(1,) * (found.value.ndim - 2)))
    return arithmetic.sum(found, column)


# --- pools ------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Window:
    """How a pool moves: kernel, stride, pads (before, after) and dilation of each axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def axes(self) -> int:
        """Spatial axes."""
        return len(self.kernel)


def max_pool(arithmetic: Arithmetic, x: Traced, window: Window, *, ceil: bool = False) -> Traced:
    """The largest sample of each window; padding counts as minus infinity."""
    _check_window(x, window)
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[window.axes - 1]
    flat = [side for pair in reversed(window.pads) for side in pair]

    def apply(value: Tensor, fill: float) -> Tensor:
        found: Tensor = pool(functional.pad(value, flat, value=fill), window.kernel, window.stride, 0, window.dilation, ceil_mode=ceil)
        return found

    found = arithmetic.extremal(x, lambda value: apply(value, -math.inf), lambda value: apply(value, 0.0))
    if not bool(torch.isfinite(found.value).all()):
        raise OutsideFragment("a pooling window that lies in the padding")
    return found


def average_pool(arithmetic: Arithmetic, x: Traced, window: Window, *, counts_padding: bool, divisor: int | None = None) -> Traced:
    """The mean of each window; `counts_padding`: whether padded zeros count in the divisor, unless there is one of its own."""
    _check_window(x, window)
    if any(gap != 1 for gap in window.dilation):
        raise OutsideFragment("average pooling with dilation is not evaluated here")
    flat = [side for pair in reversed(window.pads) for side in pair]
    ones = torch.ones((1, x.value.shape[1], *window.kernel), dtype=torch.float64, device=x.value.device).transpose(0, 1)

    def apply(value: Tensor) -> Tensor:
        conv = (functional.conv1d, functional.conv2d, functional.conv3d)[window.axes - 1]
        found: Tensor = conv(functional.pad(value, flat), ones, stride=window.stride, groups=value.shape[1])
        return found

    total = arithmetic.linear(x, apply, apply, terms=math.prod(window.kernel), stores=2, kernel=Kernel(lambda _: apply))
    if divisor is not None:
        return arithmetic.averaged(total, float(divisor))
    counts = apply(torch.ones_like(x.value[:1])) if not counts_padding else float(math.prod(window.kernel))
    if not counts_padding and not bool(torch.as_tensor(counts).all()):
        raise OutsideFragment("a pooling window that lies in the padding")
    return arithmetic.averaged(total, counts)


def _check_window(x: Traced, window: Window) -> None:
    if x.value.ndim != window.axes + 2 or not 1 <= window.axes <= 3:
        raise OutsideFragment(f"a pool over {window.axes} axes of a value of rank {x.value.ndim}")
    for n, k, d, (before, after) in zip(x.value.shape[2:], window.kernel, window.dilation, window.pads, strict=True):
        if n + before + after < d * (k - 1) + 1:
            raise OutsideFragment("an input that is smaller than the pooling window")


def adaptive_average(arithmetic: Arithmetic, x: Traced, extents: Sequence[int | None]) -> Traced:
    """PyTorch's adaptive average pooling: window k of m covers samples floor(k n / m) to ceil((k + 1) n / m)."""
    axes = len(extents)
    for place, wanted in enumerate(extents):
        at = x.value.ndim - axes + place
        count, m = x.value.shape[at], x.value.shape[at] if wanted is None else wanted
        parts = []
        for k in range(m):
            inside = torch.arange(k * count // m, -(-(k + 1) * count // m))
            parts.append(mean(arithmetic, taken(arithmetic, x, at, inside), [at], True))
        x = concatenated(arithmetic, parts, at)
    return x


# --- operators without a theorem for runtimes -------------------------------------------------------------------------


def softmax(arithmetic: Arithmetic, x: Traced, axis: int) -> Traced:
    """exp(x - c) / sum of these, c the largest value held: any c gives the same function."""
    refuse_bounds(arithmetic, "Softmax")
    shifted, at = _shifted(arithmetic, x, axis)
    powers = ELEMENTARY["Exp"].apply(arithmetic, shifted, {})
    return attrs.evolve(arithmetic.quotient(powers, summed(arithmetic, powers, [at], True)), terms=0)


def log_softmax(arithmetic: Arithmetic, x: Traced, axis: int) -> Traced:
    """x - c - log of the sum of exp(x - c)."""
    refuse_bounds(arithmetic, "LogSoftmax")
    shifted, at = _shifted(arithmetic, x, axis)
    total = summed(arithmetic, ELEMENTARY["Exp"].apply(arithmetic, shifted, {}), [at], True)
    return arithmetic.sum(shifted, ELEMENTARY["Log"].apply(arithmetic, total, {}), -1)


def _shifted(arithmetic: Arithmetic, x: Traced, axis: int) -> tuple[Traced, int]:
    at = axis_of(axis, x.value.ndim)
    largest = x.value.amax(dim=at, keepdim=True)
    return arithmetic.sum(x, arithmetic.given(largest.cpu().numpy()), -1), at


def normalised(
    arithmetic: Arithmetic, x: Traced, axes: Sequence[int], eps: float, scale: Traced | None, shift: Traced | None, name: str
) -> Traced:
    """(x - mean) / sqrt(variance + eps), scaled and shifted."""
    refuse_bounds(arithmetic, name)
    centred = arithmetic.sum(x, mean(arithmetic, x, axes, True), -1)
    variance = mean(arithmetic, arithmetic.product(centred, centred, torch.mul), axes, True)
    root = ELEMENTARY["Sqrt"].apply(arithmetic, arithmetic.sum(variance, doubtful(arithmetic, eps)), {})
    found = arithmetic.quotient(centred, root)
    found = found if scale is None else arithmetic.product(found, scale, torch.mul)
    return found if shift is None else arithmetic.sum(found, shift)


def doubtful(arithmetic: Arithmetic, number: float) -> Traced:
    """A setting that files hold as a float32 and modules as a float64."""
    value, doubt = arithmetic.decimal(number)
    found = arithmetic.given(np.array(value))
    return attrs.evolve(found, errors=tuple(error + doubt for error in found.errors))


def powered(arithmetic: Arithmetic, x: Traced, exponent: float) -> Traced:
    """x to a whole power from 1 to 4, or 1/2."""
    refuse_bounds(arithmetic, "Pow")
    if exponent == 0.5:
        return ELEMENTARY["Sqrt"].apply(arithmetic, x, {})
    if exponent not in (1, 2, 3, 4):
        if arithmetic.tracks or arithmetic.integers:
            raise OutsideFragment(f"Pow with exponent {exponent} is not evaluated here")
        return Traced(x.value**exponent)
    found = x
    for _ in range(int(exponent) - 1):
        found = arithmetic.product(found, x, torch.mul)
    return attrs.evolve(found, terms=0)


def curve(arithmetic: Arithmetic, name: str, x: Traced, arguments: dict[str, Any] | None = None) -> Traced:
    """A function by its name: one that is a layer, or an elementary one."""
    return (FUNCTIONS.get(name) or ELEMENTARY[name]).apply(arithmetic, x, arguments or {})


def refuse_bounds(arithmetic: Arithmetic, name: str) -> None:
    """For operators whose accuracy in runtimes is specified nowhere.

    Raises:
        OutsideFragment: a runtime's error, or integers, are asked for.
    """
    if arithmetic.integers:
        raise OutsideFragment(f"{name} does not keep integers")
    if any(not track.ours for track in arithmetic.tracks):
        raise OutsideFragment(f"{name} has no rounding theorem here")

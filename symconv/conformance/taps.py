"""How many taps meet in one output of a layer with a kernel, and how large they are together.

Owns: per-phase sums of |taps| over rows and columns of the operator, and the number of terms in them.
Must not know: torch, number formats.

A row belongs to an output sample, a column to an input sample. Row sums bound every partial sum of a forward pass,
column sums every one of an input gradient, whatever the extents: borders only leave taps out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from symconv.layers import Conv, ConvTranspose

Array = np.ndarray[Any, np.dtype[Any]]


def classes(kernel: int, stride: int, dilation: int) -> list[list[int]]:
    """The taps of one axis that meet in one sample of the strided grid: those with the same d j mod s."""
    found: dict[int, list[int]] = {}
    for j in range(kernel):
        found.setdefault(dilation * j % stride, []).append(j)
    return list(found.values())


def _groups(layer: Conv | ConvTranspose) -> Iterator[list[list[int]]]:
    per_axis = [classes(k, s, d) for k, s, d in zip(layer.kernel, layer.stride, layer.dilation, strict=True)]
    for choice in itertools.product(*per_axis):
        yield list(choice)


def meeting(layer: Conv | ConvTranspose, *, scattered: bool) -> int:
    """The largest number of taps (of one channel pair) that meet in one sample."""
    if not scattered:
        return math.prod(layer.kernel)
    sizes = ([len(c) for c in classes(k, s, d)] for k, s, d in zip(layer.kernel, layer.stride, layer.dilation, strict=True))
    return math.prod(max(item) for item in sizes)


def row_terms(layer: Conv | ConvTranspose) -> int:
    """Products in one output sample, at most."""
    return layer.in_channels // layer.groups * meeting(layer, scattered=isinstance(layer, ConvTranspose))


def column_terms(layer: Conv | ConvTranspose) -> int:
    """Products in one sample of the input gradient, at most."""
    return layer.out_channels // layer.groups * meeting(layer, scattered=isinstance(layer, Conv))


def row_sums(layer: Conv | ConvTranspose, kernel: Any) -> Array:
    """Per output channel, the largest sum of |taps| in one output sample."""
    size = np.abs(np.asarray(kernel, dtype=np.float64))
    if isinstance(layer, Conv):
        return _flat(size.sum(axis=tuple(range(1, size.ndim))))
    grouped = size.reshape(layer.groups, layer.in_channels // layer.groups, *size.shape[1:]).sum(axis=1)
    return _flat(_largest(layer, grouped))


def column_sums(layer: Conv | ConvTranspose, kernel: Any) -> Array:
    """Per input channel, the largest sum of |taps| in one sample of the input gradient."""
    size = np.abs(np.asarray(kernel, dtype=np.float64))
    if isinstance(layer, ConvTranspose):
        return _flat(size.sum(axis=tuple(range(1, size.ndim))))
    grouped = size.reshape(layer.groups, layer.out_channels // layer.groups, *size.shape[1:]).sum(axis=1)
    return _flat(_largest(layer, grouped))


def _largest(layer: Conv | ConvTranspose, summed: Array) -> Array:
    """The largest sum over one class of taps; `summed` has two leading axes."""
    best = np.zeros(summed.shape[:2])
    for choice in _groups(layer):
        picked = summed[np.ix_(range(summed.shape[0]), range(summed.shape[1]), *choice)]
        best = np.maximum(best, picked.sum(axis=tuple(range(2, picked.ndim))))
    return best


def _flat(values: Array) -> Array:
    return values.reshape(-1)

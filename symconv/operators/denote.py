"""The definition-level meaning of every layer: textbook sums at concrete extents, slow on purpose.

Owns: `Table`, the sum that each layer is, output extents and what PyTorch rejects at run time.
Must not know: lowered forms, numpy, sympy, torch. Faster code is tested against this module, never the other way round.
Source: the documentation of torch.nn, PyTorch 2.13; where the text is silent, what torch 2.13 returns on a CPU.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import singledispatch
from typing import Any

import attrs

from symconv.errors import OutsideFragment
from symconv.layers import (
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Sequential,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
    flatten,
)
from symconv.layers.base import PerAxis, bound_factor, margins
from symconv.layers.sequential import channels_after, name

Index = tuple[int, ...]
"""(channel, *positions), or an index into a kernel."""
Param = tuple[str | int, ...] | None
"""("w", *kernel index), ("b", channel), or None for the constant 1."""
Scalar = int | Fraction
Form = dict[Param, Scalar]
"""A linear form in the parameters: parameter to nonzero coefficient."""
Row = dict[Index, Form]
Term = tuple[Index, Index | None, Param, Scalar]
"""(output index, input index or None for a bias, parameter, coefficient): one summand of one output sample."""
Taps = list[tuple[int, Scalar]]


class ExtentRejected(ValueError):
    """PyTorch rejects this extent: an empty output, a reflection wider than the signal, ...; never reaches a user.

    Args:
        axis: the first spatial axis that is rejected.
        extent: the extent on that axis at the layer that rejects it, in samples.
        reason: why, as a sentence without a full stop.
    """

    def __init__(self, axis: int, extent: int, reason: str) -> None:
        self.axis, self.extent, self.reason = axis, extent, reason
        super().__init__(f"axis {axis}, extent {extent}: {reason}")


@attrs.frozen
class Table:
    """A chain's operator at concrete extents: y[o] = sum_i entries[o][i] x[i] + constants[o].

    Args:
        in_shape, out_shape: (channels, *extents).
        entries: for every output index the nonzero entries of its row, each a linear form in the parameters.
        constants: the bias of each output index that has one.
    """

    in_shape: Index
    out_shape: Index
    entries: dict[Index, Row]
    constants: dict[Index, Form]


def denote(layers: tuple[Layer, ...], in_channels: int, extents: PerAxis) -> Table:
    """The table of a chain with at most one layer that has parameters.

    Args:
        layers: the chain, from input to output.
        in_channels: channels of the input.
        extents: spatial extents of the input, in samples; their number is the number of axes.

    Raises:
        LayerError: a layer does not accept the channels or the number of axes.
        OutsideFragment: two layers with parameters, or one that is not linear.
        ExtentRejected: PyTorch rejects these extents.
    """
    chain = flatten(Sequential(layers).bind(len(extents)))
    free = [name(layer) for layer in chain if isinstance(layer, (Conv, ConvTranspose, BatchNorm))]
    if len(free) > 1:
        raise OutsideFragment(f"a chain with {len(free)} layers that have parameters ({', '.join(free)}) is not linear in them")
    shape = (in_channels, *output_extents((), extents))
    table = Table(shape, shape, {o: {o: {None: 1}} for o in indices(shape)}, {})
    for layer in chain:
        table = compose(table, layer_table(layer, table.out_shape))
    return table


def layer_table(layer: Layer, in_shape: Index) -> Table:
    """The table of one bound layer: the sum of its `terms`; raises as `denote` does."""
    out_shape = (channels_after(layer, in_shape[0]), *output_extents((layer,), in_shape[1:]))
    entries: dict[Index, Row] = {o: {} for o in indices(out_shape)}
    constants: Row = {}
    for output, sample, param, coefficient in terms(layer, in_shape, out_shape):
        if sample is None:
            accumulate(constants, output, {param: coefficient})
        else:
            accumulate(entries[output], sample, {param: coefficient})
    return Table(in_shape, out_shape, {o: _nonzero(row) for o, row in entries.items()}, _nonzero(constants))


def compose(first: Table, then: Table) -> Table:
    """The table of `first` followed by `then`: the matrix product, one of whose factors is free of parameters."""
    entries: dict[Index, Row] = {}
    constants: Row = {o: dict(form) for o, form in then.constants.items()}
    for output, row in then.entries.items():
        entries[output] = {}
        for middle, form in row.items():
            for sample, inner in first.entries[middle].items():
                accumulate(entries[output], sample, times(form, inner))
            if middle in first.constants:
                accumulate(constants, output, times(form, first.constants[middle]))
    return Table(first.in_shape, then.out_shape, {o: _nonzero(row) for o, row in entries.items()}, _nonzero(constants))


def apply(table: Table, kernel_values: Mapping[Param, Scalar], x: Mapping[Index, Scalar] | Sequence[Any]) -> dict[Index, Scalar]:
    """The exact output for concrete parameters and one input.

    Args:
        table: the operator.
        kernel_values: a value for every parameter of the table.
        x: samples by (channel, *positions), those left out being 0; or nested sequences of shape (channels, *extents).

    Returns:
        Every output sample, by (channel, *positions).
    """
    samples = x if isinstance(x, Mapping) else dict(_nested(x))

    def value(form: Form) -> Scalar:
        return sum(c * (1 if param is None else kernel_values[param]) for param, c in form.items())

    return {
        o: sum((value(form) * samples.get(i, 0) for i, form in row.items()), value(table.constants.get(o, {})))
        for o, row in table.entries.items()
    }


def indices(shape: Iterable[int]) -> Iterator[Index]:
    """All index tuples of an array of this shape, row-major."""
    return itertools.product(*(range(extent) for extent in shape))


def times(left: Form, right: Form) -> Form:
    """The product of two forms, of which one at least is a constant."""
    fixed, free = (left, right) if set(left) <= {None} else (right, left)
    return {param: fixed[None] * c for param, c in free.items()} if fixed else {}


def accumulate(row: Row, key: Index, form: Form) -> None:
    """Adds `form` to `row[key]`."""
    held = row.setdefault(key, {})
    for param, c in form.items():
        held[param] = held.get(param, 0) + c


def _nonzero(row: Row) -> Row:
    kept = {key: {param: c for param, c in form.items() if c} for key, form in row.items()}
    return {key: form for key, form in kept.items() if form}


def _nested(x: Any, prefix: Index = ()) -> Iterator[tuple[Index, Scalar]]:
    for position, item in enumerate(x):
        if isinstance(item, (list, tuple)):
            yield from _nested(item, (*prefix, position))
        else:
            yield (*prefix, position), item


# Extents: what comes out, and what PyTorch refuses to run.


def output_extents(layers: tuple[Layer, ...], extents: PerAxis) -> PerAxis:
    """The output extents of a chain; raises ExtentRejected at the first layer that PyTorch refuses to run, on an empty output included."""
    for layer in (Identity(), *flatten(Sequential(layers).bind(len(extents)))):
        after = tuple(_extent(layer, axis, n, len(extents)) for axis, n in enumerate(extents))
        for axis, (n, m) in enumerate(zip(extents, after, strict=True)):
            if m < 1:
                raise ExtentRejected(axis, n, f"the output of `{name(layer)}` would be empty")
        extents = after
    return extents


@singledispatch
def _extent(layer: Layer, axis: int, n: int, axes: int) -> int:
    """The output extent m on one axis; most layers, nonlinearities among them, keep it."""
    return n


@_extent.register
def _conv_extent(layer: Conv, axis: int, n: int, axes: int) -> int:
    """m = floor((n + pb + pe - d (k - 1) - 1) / s) + 1."""
    before, after = layer.padding[axis]
    _check_padding(layer.padding_mode, axis, n, before, after)
    return (n + before + after - layer.dilation[axis] * (layer.kernel[axis] - 1) - 1) // layer.stride[axis] + 1


@_extent.register
def _transpose_extent(layer: ConvTranspose, axis: int, n: int, axes: int) -> int:
    """m = (n - 1) s + d (k - 1) + 1 + op - pb - pe."""
    reach = layer.dilation[axis] * (layer.kernel[axis] - 1) + 1
    return (n - 1) * layer.stride[axis] + reach + layer.output_padding[axis] - sum(layer.padding[axis])


@_extent.register
def _pad_extent(layer: Pad, axis: int, n: int, axes: int) -> int:
    before, after = margins("Pad", "amounts", layer.amounts, axes)[axis]
    _check_padding(layer.mode, axis, n, before, after)
    return n + before + after


@_extent.register(Shuffle)
@_extent.register(Upsample)
def _multiplied_extent(layer: Shuffle | Upsample, axis: int, n: int, axes: int) -> int:
    return n * bound_factor(layer.factor, axes)[axis]


@_extent.register
def _unshuffle_extent(layer: Unshuffle, axis: int, n: int, axes: int) -> int:
    r = bound_factor(layer.factor, axes)[axis]
    if n % r:
        raise ExtentRejected(axis, n, f"`Unshuffle` needs a multiple of {r}")
    return n // r


@_extent.register
def _insert_extent(layer: ZeroInsert, axis: int, n: int, axes: int) -> int:
    return (n - 1) * bound_factor(layer.factor, axes)[axis] + 1


@_extent.register
def _pool_extent(layer: AvgPool, axis: int, n: int, axes: int) -> int:
    """m as for convolution, rounded up with ceil_mode, where the last window must start inside the input or its front padding."""
    k, s, p = layer.kernel[axis], layer.stride[axis], layer.padding[axis]
    # PyTorch's 3-D pooling compares with the input alone: neither padding nor ceil_mode helps.
    if axes == 3 and n < k:
        raise ExtentRejected(axis, n, f"`AvgPool` on 3 axes needs at least kernel_size={k} samples before padding")
    m = (n + 2 * p - k + (s - 1 if layer.ceil_mode else 0)) // s + 1
    return m - 1 if layer.ceil_mode and (m - 1) * s >= n + p else m


def _check_padding(mode: str, axis: int, n: int, before: int, after: int) -> None:
    """Raises ExtentRejected where torch.nn.functional.pad does, or where its result is uninitialised memory."""
    kept = n + min(before, 0) + min(after, 0)
    if mode == "zeros" and kept < 0:
        raise ExtentRejected(axis, n, f"{n - kept} samples cannot be cropped")
    if mode == "reflect" and max(before, after) >= n:
        raise ExtentRejected(axis, n, f"reflect padding must be smaller than the extent; found {max(before, after)}")
    if mode == "circular" and max(before, after) > kept:
        raise ExtentRejected(axis, n, f"circular padding must be at most the {kept} samples left; found {max(before, after)}")


# Meanings: every layer as a sum of terms.


@singledispatch
def terms(layer: Layer, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """The summands of every output sample of one bound layer; shapes are (channels, *extents).

    Raises:
        OutsideFragment: the layer is not linear in its input.
    """
    raise OutsideFragment(f"`{name(layer)}` is not linear in its input")


@terms.register
def _conv(layer: Conv, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y[o] = b + sum_j w[j] x~[s o + d j - pb], over the input channels of the output channel's group."""
    inner = layer.in_channels // layer.groups
    for c, *o in indices(out_shape):
        group = c // (layer.out_channels // layer.groups)
        for a, *j in indices((inner, *layer.kernel)):
            axes = zip(o, j, in_shape[1:], layer.stride, layer.dilation, layer.padding, strict=True)
            i = [extended(layer.padding_mode, s * at + d * tap - pads[0], n, pads) for at, tap, n, s, d, pads in axes]
            if None not in i:
                yield (c, *o), (group * inner + a, *(at for at in i if at is not None)), ("w", c, a, *j), 1
        if layer.bias:
            yield (c, *o), None, ("b", c), 1


@terms.register
def _transpose(layer: ConvTranspose, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """Every x[i] is scattered: w[j] x[i] is added to y[s i + d j - pb]; what falls outside the output is lost."""
    outer = layer.out_channels // layer.groups
    for a, *i in indices(in_shape):
        group = a // (layer.in_channels // layer.groups)
        for c, *j in indices((outer, *layer.kernel)):
            axes = zip(i, j, layer.stride, layer.dilation, layer.padding, strict=True)
            o = tuple(s * at + d * tap - pads[0] for at, tap, s, d, pads in axes)
            if all(0 <= at < m for at, m in zip(o, out_shape[1:], strict=True)):
                yield (group * outer + c, *o), (a, *i), ("w", a, c, *j), 1
    if layer.bias:
        yield from ((o, None, ("b", o[0]), 1) for o in indices(out_shape))


@terms.register
def _batch_norm(layer: BatchNorm, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y = a_c x + b_c with both free: for given statistics gamma and beta reach every such map, and no other."""
    if not (layer.affine and layer.track_running_stats):
        raise OutsideFragment("`BatchNorm` without affine parameters or without running statistics is no linear family")
    for o in indices(out_shape):
        yield o, o, ("w", o[0]), 1
        yield o, None, ("b", o[0]), 1


@terms.register
def _shuffle(layer: Shuffle, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y[c, o] = x[channel of (c, o mod r), floor(o / r)]."""
    yield from ((o, folded(layer, o, out_shape[0]), None, 1) for o in indices(out_shape))


@terms.register
def _unshuffle(layer: Unshuffle, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y[channel of (c, i mod r), floor(i / r)] = x[c, i]."""
    yield from ((folded(layer, i, in_shape[0]), i, None, 1) for i in indices(in_shape))


@terms.register
def _channel_shuffle(layer: ChannelShuffle, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y[b g + a] = x[a (C / g) + b] for a < g and b < C / g."""
    for o in indices(out_shape):
        b, a = divmod(o[0], layer.groups)
        yield o, (a * (in_shape[0] // layer.groups) + b, *o[1:]), None, 1


@terms.register
def _pool(layer: AvgPool, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """y[o] = (sum of x over [s o - p, s o - p + k)) / divisor.

    The divisor is divisor_override, or the window's samples clipped to the padded input (count_include_pad) or to the input.
    """
    for c, *o in indices(out_shape):
        axes = zip(o, in_shape[1:], layer.kernel, layer.stride, layer.padding, strict=True)
        padded = [range(s * at - p, min(s * at - p + k, n + p)) for at, n, k, s, p in axes]
        windows = [range(max(w.start, 0), min(w.stop, n)) for w, n in zip(padded, in_shape[1:], strict=True)]
        counted = math.prod(len(w) for w in (padded if layer.count_include_pad else windows))
        for i in itertools.product(*windows):
            yield (c, *o), (c, *i), None, Fraction(1, layer.divisor_override or counted)


@terms.register(Identity)
@terms.register(Pad)
@terms.register(ZeroInsert)
@terms.register(Upsample)
def _axis_by_axis(layer: Layer, in_shape: Index, out_shape: Index) -> Iterator[Term]:
    """Each channel alone, and the product over the axes of the one-axis weights."""
    for c, *o in indices(out_shape):
        axes = enumerate(zip(o, in_shape[1:], out_shape[1:], strict=True))
        for taps in itertools.product(*(_axis_taps(layer, axis, at, n, m, len(o)) for axis, (at, n, m) in axes)):
            yield (c, *o), (c, *(i for i, _ in taps)), None, math.prod(weight for _, weight in taps)


@singledispatch
def _axis_taps(layer: Layer, axis: int, o: int, n: int, m: int, axes: int) -> Taps:
    """(input position, weight) pairs of output position `o` on one axis, from extent n to extent m; here of `Identity`."""
    return [(o, 1)]


@_axis_taps.register
def _pad_taps(layer: Pad, axis: int, o: int, n: int, m: int, axes: int) -> Taps:
    """y[o] = x~[o - pb]."""
    pads = margins("Pad", "amounts", layer.amounts, axes)[axis]
    i = extended(layer.mode, o - pads[0], n, pads)
    return [] if i is None else [(i, 1)]


@_axis_taps.register
def _insert_taps(layer: ZeroInsert, axis: int, o: int, n: int, m: int, axes: int) -> Taps:
    """y[s i] = x[i], zeros between."""
    i, between = divmod(o, bound_factor(layer.factor, axes)[axis])
    return [] if between else [(i, 1)]


@_axis_taps.register
def _upsample_taps(layer: Upsample, axis: int, o: int, n: int, m: int, axes: int) -> Taps:
    """The mode's weights at the real position of `o` on the input grid; positions outside are clamped.

    Half-pixel: (o + 1/2) / r - 1/2. align_corners: o (n - 1) / (m - 1), and 0 where m = 1.
    """
    position = Fraction(2 * o + 1, 2 * bound_factor(layer.factor, axes)[axis]) - Fraction(1, 2)
    if layer.align_corners:
        position = Fraction(o * (n - 1), max(m - 1, 1))
    return [(min(max(i, 0), n - 1), weight) for i, weight in interpolation(layer.mode, position)]


def interpolation(mode: str, position: Fraction) -> Taps:
    """(index, weight) pairs of a mode at a real position on the bi-infinite input grid.

    nearest and nearest-exact: floor(position + 1/2), since floor(o / r) = floor((o + 1/2) / r) for integer r. linear: 1 - |t|.
    cubic (Keys): (a + 2)|t|^3 - (a + 3)|t|^2 + 1 up to |t| = 1, a (|t|^3 - 5 |t|^2 + 8 |t| - 4) up to 2, with a = -3/4.
    """
    if mode.startswith("nearest"):
        return [(math.floor(position + Fraction(1, 2)), 1)]
    first, a = math.floor(position), Fraction(-3, 4)
    if mode == "linear":
        return [(i, 1 - abs(position - i)) for i in (first, first + 1)]
    near = [(i, abs(position - i)) for i in range(first - 1, first + 3)]
    return [(i, ((a + 2) * t - (a + 3)) * t * t + 1 if t <= 1 else a * (((t - 5) * t + 8) * t - 4)) for i, t in near]


def extended(mode: str, t: int, n: int, pads: tuple[int, int]) -> int | None:
    """The position on the input that the extended input x~ shows at `t`, which lies in [-pb, n + pe); None for a zero.

    A crop on one side does not change what a reflection or replication shows on the other, but a circular signal is cropped first:
    its period is what the crop leaves.
    """
    if 0 <= t < n and mode != "circular":
        return t
    if mode == "zeros":
        return None
    if mode == "replicate":
        return min(max(t, 0), n - 1)
    if mode == "reflect":
        return -t if t < 0 else 2 * (n - 1) - t
    start, stop = max(-pads[0], 0), n - max(-pads[1], 0)
    return start + (t - start) % (stop - start)


def folded(layer: Shuffle | Unshuffle, fine: Index, channels: int) -> Index:
    """Where periodic shuffling keeps sample (c, *o) of the fine grid on the coarse grid.

    That is (c r^D + phase, *floor(o / r)) for CRD and (phase C + c, *floor(o / r)) for DCR, phase = o mod r row-major over the axes.
    """
    factors = bound_factor(layer.factor, len(fine) - 1)
    phase = 0
    for at, r in zip(fine[1:], factors, strict=True):
        phase = phase * r + at % r
    channel = fine[0] * math.prod(factors) + phase if layer.order == "CRD" else phase * channels + fine[0]
    return (channel, *(at // r for at, r in zip(fine[1:], factors, strict=True)))

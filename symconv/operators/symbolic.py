"""Operator matrices and polyphase forms as SymPy expressions.

Owns: symbols for parameters, operator matrices, polyphase matrices in the interior (the bi-infinite signal, no borders).
Must not know: how they are printed, which relation they are used for.
This is the only module that imports sympy, which is slow to load: import this module where it is used.
Source: P. P. Vaidyanathan, Multirate Systems and Filter Banks (1993), sections 4.2 and 4.3, with correlation in place of convolution.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import singledispatch

import attrs
import sympy

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
    channels_through,
    flatten,
)
from symconv.layers.base import PerAxis, bound_factor, margins
from symconv.layers.sequential import name
from symconv.operators.denote import Form, Index, Param, Row, Table, accumulate, folded, indices, interpolation, times

Step = tuple[Index, Form]
"""(input index, coefficient): one summand of an output sample of the bi-infinite signal; positions may be negative."""


def symbol(param: Param) -> sympy.Expr:
    """w_0_1_2 for the tap ("w", 0, 1, 2), b_0 for the bias ("b", 0), 1 for None."""
    return sympy.S.One if param is None else sympy.Symbol("_".join(str(part) for part in param))


def expression(form: Form) -> sympy.Expr:
    """A linear form in the parameters as an expression."""
    return sympy.Add(*(sympy.Rational(c.numerator, c.denominator) * symbol(param) for param, c in form.items()))


def operator_matrix(table: Table) -> sympy.Matrix:
    """The matrix A of y = A x + b at the table's extents.

    Returns:
        Shape (out_channels * output samples, in_channels * input samples); rows and columns channel-major, then row-major.
    """
    columns = list(indices(table.in_shape))
    rows = [table.entries[o] for o in indices(table.out_shape)]
    return sympy.Matrix(len(rows), len(columns), [expression(row.get(i, {})) for row in rows for i in columns])


def bias_vector(table: Table) -> sympy.Matrix:
    """The vector b of y = A x + b at the table's extents, one row for each row of `operator_matrix`."""
    return sympy.Matrix([expression(table.constants.get(o, {})) for o in indices(table.out_shape)])


def shift_symbols(axes: int) -> tuple[sympy.Symbol, ...]:
    """z_0, z_1, ...: one for each axis. z_a^l stands for reading l periods further along axis a; z_a^-1 is a delay."""
    return tuple(sympy.Symbol(f"z_{axis}") for axis in range(axes))


@attrs.frozen
class Polyphase:
    """The interior operator of a chain, periodic with `up` output samples for every `down` input samples.

    With X_rho(z) = sum_q x[down q + rho] z^-q and Y_phi(z) = sum_q y[up q + phi] z^-q, per axis, over all integers q:

        Y_(c, phi)(z) = sum over (a, rho) of E_(c, phi),(a, rho)(z) X_(a, rho)(z)

    so the coefficient of z^l in E is the entry of y[up q + phi] at x[down (q + l) + rho], the same for every q. Hence per axis

        Conv           up 1, down s: E_rho = sum over taps with (d j - pb) mod s = rho of w[j] z^((d j - pb - rho) / s)
        ConvTranspose  up s, down 1: E_phi = sum over taps with (d j - pb) mod s = phi of w[j] z^-((d j - pb - phi) / s)

    which are each other with 1/z for z: they are adjoint. Biases are left out: they are the same in the interior as elsewhere.

    Args:
        up, down: per axis, in samples; the least pair that the chain's layers give.
        in_channels, out_channels: of the chain.
        components: ((c, *phi), (a, *rho)) to a Laurent polynomial in `shift_symbols`, zero ones left out.
    """

    up: PerAxis
    down: PerAxis
    in_channels: int
    out_channels: int
    components: dict[tuple[Index, Index], sympy.Expr]

    def component(self, output: Index, sample: Index) -> sympy.Expr:
        """E_(c, phi),(a, rho) for `output` = (c, *phi) and `sample` = (a, *rho)."""
        return self.components.get((output, sample), sympy.S.Zero)

    def matrix(self) -> sympy.Matrix:
        """E: rows (c, *phi), columns (a, *rho), each channel-major, then row-major."""
        rows, columns = list(indices((self.out_channels, *self.up))), list(indices((self.in_channels, *self.down)))
        return sympy.Matrix(len(rows), len(columns), [self.component(o, i) for o in rows for i in columns])


def polyphase(layers: tuple[Layer, ...], in_channels: int, axes: int) -> Polyphase:
    """The polyphase form of a chain with at most one layer that has parameters: its meaning without borders.

    Args:
        layers: the chain, from input to output: one layer, or for example the low-resolution form `Conv >> Shuffle >> Pad`.
        in_channels: channels of the input.
        axes: number of spatial axes.

    Raises:
        LayerError: a layer does not accept the channels or the number of axes.
        OutsideFragment: two layers with parameters, or one that is not linear or not shift-invariant.
    """
    chain = flatten(Sequential(layers).bind(axes))
    free = [name(layer) for layer in chain if isinstance(layer, (Conv, ConvTranspose, BatchNorm))]
    if len(free) > 1:
        raise OutsideFragment(f"a chain with {len(free)} layers that have parameters ({', '.join(free)}) is not linear in them")
    channels = channels_through(chain, in_channels)
    up, down = _period(chain, axes)
    z = shift_symbols(axes)
    components: dict[tuple[Index, Index], list[sympy.Expr]] = {}
    for output in indices((channels[-1], *up)):
        for (a, *i), form in interior_row(chain, channels, output).items():
            rho = tuple(at % period for at, period in zip(i, down, strict=True))
            power = [shift ** (at // period) for shift, at, period in zip(z, i, down, strict=True)]
            components.setdefault((output, (a, *rho)), []).append(sympy.Mul(expression(form), *power))
    sums = {key: sympy.expand(sympy.Add(*summands)) for key, summands in components.items()}
    return Polyphase(up, down, in_channels, channels[-1], {key: value for key, value in sums.items() if value != 0})


def interior_row(chain: tuple[Layer, ...], channels: tuple[int, ...], output: Index) -> Row:
    """Every input sample that one output sample sees, with its coefficient: the chain unrolled from its end."""
    row: Row = {output: {None: 1}}
    for layer, count in reversed(list(zip(chain, channels, strict=False))):
        before: Row = {}
        for middle, form in row.items():
            for sample, inner in interior(layer, middle, count):
                accumulate(before, sample, times(form, inner))
        row = before
    return row


def _period(chain: tuple[Layer, ...], axes: int) -> tuple[PerAxis, PerAxis]:
    """Per axis the least (up, down) that is a multiple of every layer's period on its own grid."""
    up, down = [1] * axes, [1] * axes
    for layer in chain:
        for axis, (more, fewer) in enumerate(_rate(layer, axes)):
            shared = math.lcm(up[axis], fewer)
            up[axis], down[axis] = more * shared // fewer, down[axis] * shared // up[axis]
    return tuple(up), tuple(down)


def _rate(layer: Layer, axes: int) -> list[tuple[int, int]]:
    """Per axis (output samples, input samples) of the layer's own period."""
    if isinstance(layer, (Conv, AvgPool)):
        return [(1, s) for s in layer.stride]
    if isinstance(layer, Unshuffle):
        return [(1, r) for r in bound_factor(layer.factor, axes)]
    if isinstance(layer, ConvTranspose):
        return [(s, 1) for s in layer.stride]
    if isinstance(layer, (Shuffle, Upsample, ZeroInsert)):
        return [(r, 1) for r in bound_factor(layer.factor, axes)]
    return [(1, 1)] * axes


@singledispatch
def interior(layer: Layer, output: Index, in_channels: int) -> Iterator[Step]:
    """The summands of one output sample of a bound layer on the bi-infinite signal.

    Raises:
        OutsideFragment: the layer is not linear, or has no meaning without borders.
    """
    raise OutsideFragment(f"`{name(layer)}` has no polyphase form")


@interior.register
def _identity(layer: Identity, output: Index, in_channels: int) -> Iterator[Step]:
    yield output, {None: 1}


@interior.register
def _conv(layer: Conv, output: Index, in_channels: int) -> Iterator[Step]:
    """y[o] = sum_j w[j] x[s o + d j - pb], whatever the padding mode."""
    c, *o = output
    inner = layer.in_channels // layer.groups
    group = c // (layer.out_channels // layer.groups)
    for a, *j in indices((inner, *layer.kernel)):
        axes = zip(o, j, layer.stride, layer.dilation, layer.padding, strict=True)
        yield (group * inner + a, *(s * at + d * tap - pads[0] for at, tap, s, d, pads in axes)), {("w", c, a, *j): 1}


@interior.register
def _transpose(layer: ConvTranspose, output: Index, in_channels: int) -> Iterator[Step]:
    """y[o] = sum over the taps for which i = (o + pb - d j) / s is an integer of w[j] x[i]."""
    c, *o = output
    inner, outer = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for *j, a in itertools.product(*map(range, layer.kernel), range(c // outer * inner, (c // outer + 1) * inner)):
        axes = zip(o, j, layer.stride, layer.dilation, layer.padding, strict=True)
        i = [Fraction(at + pads[0] - d * tap, s) for at, tap, s, d, pads in axes]
        if all(at.denominator == 1 for at in i):
            yield (a, *map(int, i)), {("w", a, c % outer, *j): 1}


@interior.register
def _batch_norm(layer: BatchNorm, output: Index, in_channels: int) -> Iterator[Step]:
    if not (layer.affine and layer.track_running_stats):
        raise OutsideFragment("`BatchNorm` without affine parameters or without running statistics is no linear family")
    yield output, {("w", output[0]): 1}


@interior.register
def _shuffle(layer: Shuffle, output: Index, in_channels: int) -> Iterator[Step]:
    yield folded(layer, output, in_channels // layer.phases), {None: 1}


@interior.register
def _unshuffle(layer: Unshuffle, output: Index, in_channels: int) -> Iterator[Step]:
    """The one sample of the fine grid that folds onto `output`."""
    factors = bound_factor(layer.factor, len(output) - 1)
    corner = [at * r for at, r in zip(output[1:], factors, strict=True)]
    for c, *phase in indices((in_channels, *factors)):
        fine = (c, *(at + offset for at, offset in zip(corner, phase, strict=True)))
        if folded(layer, fine, in_channels) == output:
            yield fine, {None: 1}


@interior.register
def _channel_shuffle(layer: ChannelShuffle, output: Index, in_channels: int) -> Iterator[Step]:
    b, a = divmod(output[0], layer.groups)
    yield (a * (in_channels // layer.groups) + b, *output[1:]), {None: 1}


@interior.register
def _pad(layer: Pad, output: Index, in_channels: int) -> Iterator[Step]:
    """Without borders a pad or a crop is a shift by its amount at the front, whatever the mode."""
    amounts = margins("Pad", "amounts", layer.amounts, len(output) - 1)
    yield (output[0], *(at - before for at, (before, _) in zip(output[1:], amounts, strict=True))), {None: 1}


@interior.register
def _insert(layer: ZeroInsert, output: Index, in_channels: int) -> Iterator[Step]:
    factors = bound_factor(layer.factor, len(output) - 1)
    if not any(at % s for at, s in zip(output[1:], factors, strict=True)):
        yield (output[0], *(at // s for at, s in zip(output[1:], factors, strict=True))), {None: 1}


@interior.register
def _upsample(layer: Upsample, output: Index, in_channels: int) -> Iterator[Step]:
    if layer.align_corners:
        raise OutsideFragment("`Upsample` with align_corners=True is not shift-invariant: it has no polyphase form")
    factors = bound_factor(layer.factor, len(output) - 1)
    positions = [Fraction(2 * at + 1, 2 * r) - Fraction(1, 2) for at, r in zip(output[1:], factors, strict=True)]
    for taps in itertools.product(*(interpolation(layer.mode, position) for position in positions)):
        yield (output[0], *(i for i, _ in taps)), {None: math.prod(weight for _, weight in taps)}


@interior.register
def _pool(layer: AvgPool, output: Index, in_channels: int) -> Iterator[Step]:
    """Without borders every window is whole."""
    weight = Fraction(1, layer.divisor_override or math.prod(layer.kernel))
    for j in indices(layer.kernel):
        axes = zip(output[1:], j, layer.stride, layer.padding, strict=True)
        yield (output[0], *(s * at + tap - p for at, tap, s, p in axes)), {None: weight}

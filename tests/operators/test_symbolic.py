"""Operator matrices written out, and polyphase forms against the tables far from the borders."""

from __future__ import annotations

import pytest
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
    Pointwise,
    Shuffle,
    Unshuffle,
    Upsample,
    ZeroInsert,
)
from symconv.operators.denote import Index, denote, indices
from symconv.operators.symbolic import Polyphase, bias_vector, expression, operator_matrix, polyphase, shift_symbols

(Z,) = shift_symbols(1)


def w(*index: int) -> sympy.Symbol:
    return sympy.Symbol("_".join(["w", *map(str, index)]))


# Operator matrices.


def test_strided_convolution_of_eight_samples_and_its_transpose() -> None:
    w0, w1, w2, w3 = (w(0, 0, j) for j in range(4))
    conv = operator_matrix(denote((Conv.make(1, 1, 1, 4, 2, 2, bias=False),), 1, (8,)))
    assert conv == sympy.Matrix(
        [
            [w2, w3, 0, 0, 0, 0, 0, 0],
            [w0, w1, w2, w3, 0, 0, 0, 0],
            [0, 0, w0, w1, w2, w3, 0, 0],
            [0, 0, 0, 0, w0, w1, w2, w3],
            [0, 0, 0, 0, 0, 0, w0, w1],
        ]
    )
    assert operator_matrix(denote((ConvTranspose.make(1, 1, 1, 4, 2, 2, bias=False),), 1, (5,))) == conv.T


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "extents"),
    [((3,), (2,), (1,), (2,), (8,)), ((2, 3), (2, 1), (1, 0), (1, 2), (4, 5)), ((1, 2, 2), (1, 2, 3), (0, 1, 0), (1, 1, 1), (2, 2, 4))],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolution_is_the_transpose(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    extents: tuple[int, ...],
    groups: int,
) -> None:
    """With op = (n + 2 p - ke) mod s; the kernels' layouts agree index by index, groups included."""
    axes = len(kernel)
    conv = denote((Conv.make(axes, 2, 4, kernel, stride, padding, dilation, groups, bias=False),), 2, extents)
    sides = zip(extents, padding, kernel, dilation, stride, strict=True)
    extra = tuple((n + 2 * p - d * (k - 1) - 1) % s for n, p, k, d, s in sides)
    back = ConvTranspose.make(axes, 4, 2, kernel, stride, padding, extra, groups, bias=False, dilation=dilation)
    there = denote((back,), 4, conv.out_shape[1:])
    assert there.out_shape == conv.in_shape
    assert operator_matrix(there) == operator_matrix(conv).T


def test_rows_and_columns_are_channel_major() -> None:
    table = denote((Unshuffle(2),), 1, (4,))
    assert operator_matrix(table) == sympy.Matrix([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def test_fractions_and_biases() -> None:
    averaged = denote((Conv.make(1, 1, 1, 1), AvgPool.make(1, 3, 1, 1)), 1, (2,))
    assert operator_matrix(averaged) == sympy.Rational(1, 3) * w(0, 0, 0) * sympy.ones(2, 2)
    assert bias_vector(averaged) == sympy.Rational(2, 3) * sympy.Symbol("b_0") * sympy.ones(2, 1)
    assert bias_vector(denote((Identity(),), 1, (2,))) == sympy.zeros(2, 1)


# Polyphase forms.


def coefficients(form: Polyphase, output: Index, sample: Index) -> dict[Index, sympy.Expr]:
    """Power of each axis's z to coefficient, of one component."""
    z = shift_symbols(len(form.up))
    found: dict[Index, sympy.Expr] = {}
    for term in sympy.Add.make_args(form.component(output, sample)):
        powers = tuple(int(term.as_powers_dict().get(shift, 0)) for shift in z)
        rest = term / sympy.Mul(*(shift**power for shift, power in zip(z, powers, strict=True)))
        found[powers] = sympy.expand(found.get(powers, 0) + rest)
    return {powers: value for powers, value in found.items() if value != 0}


def check_far_from_borders(layers: tuple[Layer, ...], in_channels: int, extents: tuple[int, ...]) -> None:
    """The middle period of the table is what the polyphase form says: y[up q + phi] sees x[down (q + l) + rho] through z^l."""
    table, form = denote(layers, in_channels, extents), polyphase(layers, in_channels, len(extents))
    assert (table.in_shape[0], table.out_shape[0]) == (form.in_channels, form.out_channels)
    middle = tuple(m // period // 2 for m, period in zip(table.out_shape[1:], form.up, strict=True))
    for c, *phi in indices((form.out_channels, *form.up)):
        o = (c, *(period * q + phase for period, q, phase in zip(form.up, middle, phi, strict=True)))
        said: dict[Index, sympy.Expr] = {}
        for a, *rho in indices((in_channels, *form.down)):
            for powers, value in coefficients(form, (c, *phi), (a, *rho)).items():
                sides = zip(form.down, middle, powers, rho, strict=True)
                said[(a, *(period * (q + power) + phase for period, q, power, phase in sides))] = value
        assert said == {i: expression(entry) for i, entry in table.entries[o].items()}


@pytest.mark.parametrize(
    ("chain", "in_channels", "extents"),
    [
        ((Conv.make(1, 2, 2, 3, 2, 1, 2, groups=2, padding_mode="reflect"),), 2, (15,)),
        ((Conv.make(2, 1, 2, (2, 3), (1, 2), (1, 0)),), 1, (6, 11)),
        ((ConvTranspose.make(1, 2, 4, 5, 3, 2, 1, groups=2, dilation=2),), 2, (12,)),
        ((ConvTranspose.make(2, 1, 2, (3, 2), (2, 3), ((0, 1), (2, 0)), (1, 2)),), 1, (6, 5)),
        ((ConvTranspose.make(3, 1, 1, (1, 2, 3), (1, 2, 2), (0, 1, 1)),), 1, (2, 4, 6)),
        ((Pad(((1, -2),), "circular"), Conv.make(1, 1, 6, 2), Shuffle(3, "DCR"), Pad(((-2, 0),))), 1, (10,)),
        ((Unshuffle((2, 1), "DCR"), Conv.make(2, 4, 4, 2), ChannelShuffle(2), Shuffle((1, 2))), 2, (8, 4)),
        ((ZeroInsert(3), AvgPool.make(1, 2, 2, 1)), 1, (12,)),
        ((Upsample(3, "nearest-exact"), Conv.make(1, 1, 1, 3, 2)), 1, (8,)),
        ((Upsample((2, 3), "linear"), BatchNorm(1, 2)), 1, (6, 6)),
        ((AvgPool.make(2, 2, 1, divisor_override=3), Upsample(2, "cubic")), 1, (9, 9)),
        ((ConvTranspose.make(1, 1, 1, 3, 4), AvgPool.make(1, 3, 6)), 1, (18,)),
    ],
)
def test_polyphase_forms_are_the_tables_far_from_borders(chain: tuple[Layer, ...], in_channels: int, extents: tuple[int, ...]) -> None:
    check_far_from_borders(chain, in_channels, extents)


HYPER = [
    (4, 2, 1, 1, 0),
    (3, 2, 0, 1, 1),
    (5, 3, 4, 1, 2),
    (2, 3, 1, 2, 0),
    (3, 2, 2, 2, 1),
    (4, 3, 5, 2, 2),
    (1, 1, 0, 1, 0),
    (2, 4, 0, 1, 3),
]
"""(k, s, p, d, op)."""


@pytest.mark.parametrize(("k", "s", "p", "d", "op"), HYPER)
def test_components_of_one_layer(k: int, s: int, p: int, d: int, op: int) -> None:
    """The two formulas of `Polyphase`, and that the layers are adjoint: 1/z for z."""
    down = polyphase((Conv.make(1, 1, 1, k, s, p, d),), 1, 1)
    up = polyphase((ConvTranspose.make(1, 1, 1, k, s, p, op, dilation=d),), 1, 1)
    assert (down.up, down.down, up.up, up.down) == ((1,), (s,), (s,), (1,))
    for phi in range(s):
        taps = [(j, (d * j - p - phi) // s) for j in range(k) if (d * j - p) % s == phi]
        assert down.component((0, 0), (0, phi)) == sum((w(0, 0, j) * Z**power for j, power in taps), sympy.S.Zero)
        assert up.component((0, phi), (0, 0)) == sum((w(0, 0, j) * Z**-power for j, power in taps), sympy.S.Zero)
    assert up.matrix() == down.matrix().T.subs(Z, 1 / Z)


def low_resolution(k: int, s: int, p: int, d: int) -> tuple[tuple[Layer, ...], dict[sympy.Symbol, sympy.Expr]]:
    """The low-resolution form of a transposed convolution on one axis, aligned at the front, and its kernel as a substitution."""
    a = -p % s
    front, width = (p + a) // s, -(-(d * (k - 1) + 1 + a) // s)
    spread = {a + d * j: w(0, 0, j) for j in range(k)}
    kernel = {w(phi, 0, t): spread.get(phi + s * (width - 1 - t), sympy.S.Zero) for phi in range(s) for t in range(width)}
    return (Pad(((width - 1 - front, width),)), Conv.make(1, 1, s, width, bias=False), Shuffle(s)), kernel


@pytest.mark.parametrize(("k", "s", "p", "d", "op"), HYPER)
def test_low_resolution_form_has_the_components_of_the_transposed_convolution(k: int, s: int, p: int, d: int, op: int) -> None:
    chain, kernel = low_resolution(k, s, p, d)
    here, there = polyphase((ConvTranspose.make(1, 1, 1, k, s, p, op, dilation=d),), 1, 1), polyphase(chain, 1, 1)
    assert (here.up, here.down) == (there.up, there.down)
    assert there.matrix().subs(kernel, simultaneous=True).expand() == here.matrix()


@pytest.mark.parametrize(("k", "s", "p", "d", "op"), HYPER)
def test_zero_insertion_and_the_reversed_kernel(k: int, s: int, p: int, d: int, op: int) -> None:
    reach = d * (k - 1)
    chain = (ZeroInsert(s), Pad(((reach - p, reach - p + op),)), Conv.make(1, 1, 1, k, dilation=d))
    reverse = {w(0, 0, j): w(0, 0, k - 1 - j) for j in range(k)}
    there = polyphase(chain, 1, 1).matrix().subs(reverse, simultaneous=True)
    assert there == polyphase((ConvTranspose.make(1, 1, 1, k, s, p, op, dilation=d),), 1, 1).matrix()


def test_noble_identity() -> None:
    """Filtering by a kernel dilated by s and then keeping every s-th sample is filtering by the kernel after it."""
    before = polyphase((Conv.make(1, 1, 1, 3, dilation=2), AvgPool.make(1, 1, 2)), 1, 1)
    after = polyphase((AvgPool.make(1, 1, 2), Conv.make(1, 1, 1, 3)), 1, 1)
    assert before == after
    assert before.matrix() == sympy.Matrix([[w(0, 0, 0) + w(0, 0, 1) * Z + w(0, 0, 2) * Z**2, 0]])


def test_shuffling_and_its_inverse_cancel() -> None:
    for order in ("CRD", "DCR"):
        assert polyphase((Unshuffle(2, order), Shuffle(2, order)), 2, 1).matrix() == sympy.eye(4)
        assert polyphase((Shuffle((2, 2), order), Unshuffle((2, 2), order)), 8, 2).matrix() == sympy.eye(8)


def test_what_has_no_polyphase_form() -> None:
    conv = Conv.make(1, 1, 1, 1)
    for chain in [(Upsample(2, "linear", True),), (Pointwise("ReLU"),), (conv, conv), (BatchNorm(1, 1, affine=False),)]:
        with pytest.raises(OutsideFragment):
            polyphase(chain, 1, 1)

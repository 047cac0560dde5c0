"""Values on their way through a graph, and the arithmetic that carries bounds beside them.

Owns: `Traced`, `Track`, `Arithmetic`: sums, products, quotients, maxima and selections of values with bounds.
Must not know: graphs, operators' names, attributes.

Write v for the float64 value held, x for the exact real one, r for what a runtime computes in precision p, and
o >= |v - x|, e >= |r - x| for the bounds held. A linear operator A of n products a sum, whose sums are rounded with relative
error rho against the sum of magnitudes (Higham, sections 3.1 and 4.2), has

    |r' - x'| <= |A| e + rho |A| (|v| + o + e) + t,        |v' - x'| <= |A| o + rho' |A| |v| + t',

t is what underflow can cost. A runtime may fold neighbouring affine operators into one (`FOLDS` more roundings of each product)
and may add an addend into the sum that precedes it (the addend then takes part in all of that sum's roundings: `terms`).
The bounds are computed in float64 on numbers that are not negative; `MARGIN` covers their own rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from symconv.conformance.magnitudes import fraction_bits
from symconv.conformance.precision import PRECISIONS, Precision, relative
from symconv.conformance.torch_runs import rounded_to
from symconv.errors import OutsideFragment

MARGIN = 1 + 2.0**-20
FOLDS = 8
"""Roundings that folding affine operators into one another may add to each product, at most."""
OURS = PRECISIONS["float64"]


@attrs.frozen
class Track:
    """One computation that is bounded.

    Args:
        precision: its number format.
        ours: whether it is the evaluation here, operator by operator; otherwise it is that of any runtime.
    """

    precision: Precision
    ours: bool

    def rho(self, terms: int, stores: int = 1) -> float:
        """The relative error of a sum of that many products."""
        more = 0 if self.ours else FOLDS
        return relative(self.precision, terms + more, stores + (0 if self.ours else 2))

    def lost(self, terms: int) -> float:
        """What underflow can cost in a sum of that many products."""
        narrow = self.precision.narrow
        return (terms + 1) * 2.0**-126 + 64 * self.precision.tiny if narrow else (terms + 8) * self.precision.tiny


@attrs.frozen(eq=False)
class Traced:
    """A value.

    Args:
        value: float64 values; integers and truth values in their own type, and these are exact.
        errors: one elementwise bound for each track, the first one being ours.
        bits: all values are multiples of 2^-bits (integer mode).
        worst: the largest partial sum up to here, in units (integer mode).
        terms: products in the sums that the value is, as far as a runtime may add something into them.
        wide: the same value with more places (`wide` owns it), or None.
    """

    value: Tensor
    errors: tuple[Tensor, ...] = ()
    bits: int = 0
    worst: float = 0.0
    terms: int = 0
    wide: object = None

    @property
    def is_real(self) -> bool:
        """Whether it is of floats."""
        return self.value.is_floating_point()

    @property
    def is_sure(self) -> bool:
        """Whether every track has these values exactly."""
        return not any(bool(error.any()) for error in self.errors)


Apply = Callable[[Tensor], Tensor]


def stored_as(array: Any, storage: str) -> Any:
    """A float64 array with every value rounded to a storage format (and back)."""
    if storage == "bfloat16":
        return rounded_to(np.array(array), storage).reshape(np.shape(array))
    with np.errstate(over="ignore"):
        return array.astype(storage).astype(np.float64)


@attrs.frozen(eq=False)
class Kernel:
    """A linear operator as what it is made of, for arithmetic that takes it apart.

    Args:
        apply: the operator with given weights, without bias; exact on integers that float64 holds together with their sums.
        weights: its weights, or None if it has none (its coefficients are integers).
        shift: what is added behind it, or None.
    """

    apply: Callable[[Any], Apply]
    weights: Any = None
    shift: Traced | None = None


class Arithmetic:
    """How values are computed in one evaluation.

    Args:
        precision: the runtime's format, or None.
        integers: whether partial sums are bounded in units.
        enclosing: whether our own error is bounded although no runtime's is.
        device: where PyTorch computes.
        decimals: what a setting written as a decimal stands for: "file" (the float32 nearest to it), "module" (the float64), or
            "either", where two models are compared that do not mean the same by it.

    `widest` is the largest number of significant bits of any float in the model; formats that hold them round nothing.
    """

    is_wide = False
    """Whether values have more places than float64."""

    def __init__(
        self,
        precision: Precision | None,
        *,
        integers: bool = False,
        enclosing: bool = False,
        device: str = "cpu",
        decimals: str = "either",
    ) -> None:
        self.device, self.integers, self.decimals = device, integers, decimals
        self.widest = 53
        self.format = precision or OURS
        ours = Track(OURS, True)
        self.tracks: tuple[Track, ...] = ()
        if not integers and (enclosing or precision is not None):
            self.tracks = (ours,) if precision is None else (ours, Track(precision, False))

    # --- where values come from ---------------------------------------------------------------------------------

    def given(self, array: Any, error: Any = None) -> Traced:
        """A value that is given; `error` bounds how far the runtime's is from it."""
        value = self.tensor(array)
        if not value.is_floating_point():
            return Traced(value)
        if self.integers:
            return self._in_units(value)
        none = torch.zeros_like(value)
        far = none if error is None else torch.broadcast_to(self.tensor(error), value.shape)
        return Traced(value, tuple(none if track.ours else far for track in self.tracks))

    def constant(self, array: Any) -> Traced:
        """A stored value; a runtime rounds it to its format where it does not fit."""
        held = np.asarray(array)
        if held.dtype.kind != "f" or self.integers or all(track.ours for track in self.tracks):
            return self.given(held)
        exact = held.astype(np.float64)
        return self.given(exact, np.abs(stored_as(exact, self.format.storage) - exact))

    def decimal(self, number: float) -> tuple[float, float]:
        """A setting, and how far what it stands for may be from that."""
        with np.errstate(over="ignore"):
            stored = float(np.float32(number))
        if self.decimals == "file" and math.isfinite(stored):
            return stored, 0.0
        return number, 0.0 if self.decimals == "module" or not math.isfinite(stored) else abs(stored - number)

    def either(self, number: float) -> tuple[float, float]:
        """A constant of an operator that ONNX's text gives exactly and its function body as a float32 number: both readings are held."""
        return number, 0.0 if self.decimals == "module" else abs(float(np.float32(number)) - number)

    def bound(self, number: float) -> tuple[float, float]:
        """A bound of a Clip, which files hold as a tensor: a float32 number if the model has no wider floats."""
        if self.decimals == "file" and self.widest > PRECISIONS["float32"].significant:
            return number, abs(float(np.float32(number)) - number)
        return self.decimal(number)

    def tensor(self, array: Any) -> Tensor:
        """An array on the device, floats as float64.

        Raises:
            OutsideFragment: it is of other things than numbers, or holds infinities or NaN.
        """
        held = np.asarray(array)
        if held.dtype.kind not in "fiub":
            raise OutsideFragment(f"values of type {held.dtype} are not evaluated here")
        if held.dtype.kind == "f":
            held = held.astype(np.float64)
        if held.dtype in (np.uint16, np.uint32, np.uint64):
            held = held.astype(np.int64)
        return torch.from_numpy(np.array(held, order="C")).to(self.device)

    def _in_units(self, value: Tensor) -> Traced:
        bits = fraction_bits(value.detach().cpu().numpy())
        if bits is None:
            raise OutsideFragment("a value is no integer, and no binary fraction of few bits")
        return self.sized(value, bits, value.abs(), ())

    # --- selections ---------------------------------------------------------------------------------------------

    def moved(self, x: Traced, apply: Apply) -> Traced:
        """Samples put elsewhere, repeated or left out."""
        return attrs.evolve(x, value=apply(x.value), errors=tuple(map(apply, x.errors)))

    def joined(self, xs: Sequence[Traced], apply: Callable[[list[Tensor]], Tensor]) -> Traced:
        """Samples of several values put together."""
        value = apply([x.value for x in xs])
        reals = [x for x in xs if x.is_real]
        if not reals or not value.is_floating_point():
            return Traced(value)
        errors = tuple(apply([self.errors(x)[k] for x in xs]) for k in range(len(self.tracks)))
        found = attrs.evolve(self._merged(value, xs, value.abs()), errors=errors) if self.integers else Traced(value, errors)
        return attrs.evolve(found, terms=max(x.terms for x in reals))

    # --- maxima and other functions that bring no two numbers further apart ------------------------------------------

    def close(self, x: Traced, apply: Apply) -> Traced:
        """A pointwise function that is computed without rounding and brings no two numbers further apart."""
        value = apply(x.value)
        found = self._merged(value, (x,), value.abs()) if self.integers else x
        return attrs.evolve(found, value=value, terms=0)

    def extremal(self, x: Traced, apply: Apply, largest: Apply) -> Traced:
        """Largest (or smallest) samples of windows or axes; `largest` takes the largest of the same samples."""
        return attrs.evolve(x, value=apply(x.value), errors=tuple(map(largest, x.errors)), terms=0)

    def chosen(self, a: Traced, b: Traced, apply: Callable[[Tensor, Tensor], Tensor]) -> Traced:
        """The larger (or smaller) one of two values."""
        value = apply(a.value, b.value)
        if not value.is_floating_point():
            return Traced(value)
        errors = tuple(torch.maximum(e, f) for e, f in zip(self.errors(a), self.errors(b), strict=True))
        return attrs.evolve(self._merged(value, (a, b), value.abs()), errors=errors) if self.integers else Traced(value, errors)

    def errors(self, x: Traced) -> tuple[Tensor, ...]:
        """The bounds of a value; integers are exact."""
        return x.errors if x.is_real else tuple(torch.zeros(x.value.shape, dtype=torch.float64, device=self.device) for _ in self.tracks)

    # --- sums and products --------------------------------------------------------------------------------------

    def linear(
        self,
        x: Traced,
        apply: Apply,
        absolute: Apply,
        *,
        terms: int,
        stores: int = 1,
        bias: Tensor | None = None,
        bits: int = 0,
        extra: Callable[[Track], float] = lambda track: 0.0,
        spread: Callable[[Track], float] = lambda track: 0.0,
        kernel: Kernel | None = None,
    ) -> Traced:
        """A linear operator, computed as sums of products in any order.

        Args:
            x: its input.
            apply: the operator, the bias added.
            absolute: the operator of the magnitudes, without bias.
            terms: products in one sum, at most; a bias counts as one.
            stores: how often a partial result may be rounded to a narrow storage format.
            bias: magnitudes of the bias, as they broadcast against the result.
            bits: fraction bits of the operator's coefficients (integer mode).
            extra: per track, a relative error of the coefficients.
            spread: per track, a further absolute error.
            kernel: the operator as what it is made of, where that is known (it is used where values have more places).
        """
        value = apply(x.value)
        size = x.value.abs()
        if self.integers:
            magnitude = absolute(size) if bias is None else absolute(size) + bias
            return attrs.evolve(self.sized(value, x.bits + bits, magnitude, (x,), factors=True), terms=terms)
        errors = []
        for track, error in zip(self.tracks, x.errors, strict=True):
            rho = (1 + track.rho(terms, stores)) * (1 + extra(track)) - 1
            reach = size if track.ours else size + x.errors[0] + error
            found = absolute(error + rho * reach)
            found = found if bias is None else found + rho * bias
            errors.append((found + track.lost(terms) + spread(track)) * MARGIN)
        return self._checked(Traced(value, tuple(errors), terms=terms))

    def product(self, a: Traced, b: Traced, apply: Callable[[Tensor, Tensor], Tensor], terms: int = 1, stores: int = 1) -> Traced:
        """A product that is linear in both: a matrix product, or sample by sample (`terms` 1)."""
        value = apply(a.value, b.value)
        if not value.is_floating_point():
            return Traced(value)
        left, right = a.value.abs().double(), b.value.abs().double()
        if self.integers:
            return attrs.evolve(self.sized(value, a.bits + b.bits, apply(left, right), (a, b), factors=True), terms=terms)
        errors = []
        for track, e, f in zip(self.tracks, self.errors(a), self.errors(b), strict=True):
            rho = track.rho(terms, stores)
            x, y = (left, right) if track.ours else (left + self.errors(a)[0] + e, right + self.errors(b)[0] + f)
            size = apply(x, rho * y + f)
            if bool(e.any()):
                size = size + apply(e, right + self.errors(b)[0])
            errors.append((size + track.lost(terms)) * MARGIN)
        found = Traced(value, tuple(errors), terms=terms)
        return self._checked(self._rounded_only_where_needed(found, a, b) if terms == 1 else found)

    def sum(self, a: Traced, b: Traced, sign: int = 1) -> Traced:
        """a + b, or a - b."""
        value = a.value + b.value if sign > 0 else a.value - b.value
        if not value.is_floating_point():
            return Traced(value)
        left, right = a.value.abs().double(), b.value.abs().double()
        if self.integers:
            return attrs.evolve(self._merged(value, (a, b), left + right), terms=a.terms + b.terms + 1)
        errors = []
        for track, e, f in zip(self.tracks, self.errors(a), self.errors(b), strict=True):
            reach = value.abs() if track.ours else left + right + self.errors(a)[0] + self.errors(b)[0] + e + f
            rho = track.rho(1 if track.ours else a.terms + b.terms + 1)
            errors.append((e + f + rho * reach + track.lost(1)) * MARGIN)
        found = Traced(value, tuple(errors), terms=a.terms + b.terms + 1)
        return self._checked(self._rounded_only_where_needed(found, a, b))

    def quotient(self, a: Traced, b: Traced) -> Traced:
        """a / b, where every track's b is away from 0.

        Raises:
            OutsideFragment: a divisor may be 0; or, in integer mode, is no power of 2.
        """
        value = a.value / b.value
        if self.integers:
            return self._shifted(a, b, value)
        if not bool(torch.isfinite(value).all()):
            raise OutsideFragment("a division by 0")
        errors = []
        for track, e, f in zip(self.tracks, self.errors(a), self.errors(b), strict=True):
            least = b.value.abs() - self.errors(b)[0]
            low = least - f
            if not bool((low > 0).all()):
                raise OutsideFragment("a division by a number that may be 0 within its bound")
            ratio = (a.value.abs() + self.errors(a)[0]) / least
            moved = (e + ratio * f) / low
            errors.append((moved + track.rho(3) * (ratio + moved) + track.lost(1)) * MARGIN)
        whole = value == value.round()
        return self._checked(self._rounded_only_where_needed(Traced(value, tuple(errors)), a, b, whole & (value * b.value == a.value)))

    def _shifted(self, a: Traced, b: Traced, value: Tensor) -> Traced:
        mantissa, exponent = torch.frexp(b.value.double())
        if not bool((mantissa.abs() == 0.5).all()):
            raise OutsideFragment("a division by a number that is no power of 2")
        more = max(int(exponent.max()) - 1, 0) if exponent.numel() else 0
        return self.sized(value, a.bits + more, value.abs(), (a, b))

    def averaged(self, x: Traced, count: Tensor | float) -> Traced:
        """Sums divided by how many samples they have."""
        divisor = torch.as_tensor(count, dtype=torch.float64, device=self.device)
        none = torch.zeros_like(divisor)
        exact = Traced(divisor, tuple(none for _ in self.tracks))
        return attrs.evolve(self.quotient(x, exact), terms=x.terms)

    def _rounded_only_where_needed(self, found: Traced, a: Traced, b: Traced, also: Tensor | None = None) -> Traced:
        """Without rounding errors where both operands are exact integers and the result is a small one (`also`: where it is one)."""
        if not found.errors:
            return found
        whole = (a.value == a.value.round()) & (b.value == b.value.round())
        whole = whole if also is None else whole & also
        errors = []
        for k, track in enumerate(self.tracks):
            sure = whole & (found.value.abs() <= 2.0**track.precision.significant)
            for x in (a, b):
                sure = sure & (self.errors(x)[k] == 0) & (self.errors(x)[0] == 0)
            errors.append(found.errors[k].masked_fill(sure, 0.0))
        return attrs.evolve(found, errors=tuple(errors))

    # --- what a result must be ----------------------------------------------------------------------------------

    def _checked(self, found: Traced) -> Traced:
        """Refuses what may overflow, and bounds that say nothing."""
        for track, error in zip(self.tracks, found.errors, strict=True):
            reach = found.value.abs() + found.errors[0] + error
            if reach.numel() and not float(reach.max()) <= track.precision.largest:
                raise OutsideFragment(f"a value or its rounding bound is beyond the numbers of {track.precision.name}")
        return found

    def sized(self, value: Tensor, bits: int, magnitude: Tensor, xs: Sequence[Traced], *, factors: bool = False) -> Traced:
        """A value in integer mode; `factors`: whether the inputs were multiplied, so that formats with short factors count."""
        most = float(magnitude.max()) if magnitude.numel() else 0.0
        worst = max([most * 2.0**bits, *(x.worst for x in xs)])
        if factors and self.format.significant < self.format.sums:
            short = 2.0 ** (self.format.sums - self.format.significant)
            worst = max([worst, *(float(x.value.abs().max()) * 2.0**x.bits * short for x in xs if x.value.numel())])
        return Traced(value, (), bits, worst)

    def _merged(self, value: Tensor, xs: Sequence[Traced], magnitude: Tensor) -> Traced:
        return self.sized(value, max([x.bits for x in xs if x.is_real], default=0), magnitude, xs)

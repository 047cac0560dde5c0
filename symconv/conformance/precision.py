"""Number formats: how many bits a value has, how sums are accumulated, what both mean for rounding.

Owns: `Precision`, `PRECISIONS`, `precision_on`, `gamma`. Must not know: torch, layers.

The accumulation model is an assumption about the hardware and is printed with every bounded result:

    float64, float32   every product and every sum is rounded to the format itself or to a wider one, in any order
    tf32               the factors are cut to 11 significant bits, then as float32, or on tensor cores
    bfloat16, float16  sums are accumulated in float32, in any order; a result is rounded to the format once a tap at most
    tensor cores       (tf32, bfloat16 and float16 on CUDA devices) products are exact; a few of them and the sum so far are aligned to the
                       largest, cut off after at least 23 bits behind its leading one, added, and the result is rounded towards zero

A tensor core's step on l products differs from nearest rounding: each of its l + 1 addends loses up to 2^-23 of the largest, the result
2^-23 of itself. Together that is (l + 2) 2^-23 <= l 2^-21 times the sum of magnitudes, as much as l roundings of 2^-21 each
(`docs/theory/device-arithmetic.md` has the proof). So `precision_on` a CUDA device has the unit 2^-21 for sums in these formats, eight
times that of float32.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 4.2; M. Fasi, N. Higham, M. Mikaitis,
S. Pranesh, Numerical behavior of NVIDIA tensor cores, PeerJ CS 7:e330 (2021).
"""

from __future__ import annotations

import math

import attrs


@attrs.frozen
class Precision:
    """One setting of `--dtype`.

    Args:
        name: as in `--dtype`.
        storage: the name of torch's (and numpy's) type that tensors have.
        significant: bits of a factor that reach a product.
        sums: bits of an integer sum that is exact in any order.
        unit: unit roundoff of storage.
        accumulate: unit roundoff of sums.
        cut: relative error of a factor before it is multiplied.
        tiny: the smallest normal number of storage (results below may be flushed to zero).
        largest: the largest finite number of storage.
    """

    name: str
    storage: str
    significant: int
    sums: int
    unit: float
    accumulate: float
    cut: float
    tiny: float
    largest: float

    @property
    def narrow(self) -> bool:
        """Whether sums are accumulated in a wider format than results are stored in."""
        return self.accumulate < self.unit

    @property
    def model(self) -> str:
        """The accumulation model in words."""
        unit = f"unit roundoff 2^{math.log2(self.accumulate):.0f}"
        core = "; a tensor core's blocks and its cut digits are within that" if self.accumulate == _CORE else ""
        if self.narrow:
            return f"sums in float32 ({unit}{core}), each tap's result rounded to {self.name}"
        cut = f", factors cut to {self.significant} bits" if self.cut else ""
        return f"sums and products rounded to {self.storage} or wider ({unit}{core}){cut}"


_F32 = 2.0**-24
_CORE = 2.0**-21
TENSOR_CORES = ("tf32", "bfloat16", "float16")
"""What CUDA devices may compute on tensor cores."""
PRECISIONS = {
    item.name: item
    for item in (
        Precision("float64", "float64", 53, 53, 2.0**-53, 2.0**-53, 0.0, 2.0**-1022, 2.0**1023),
        Precision("float32", "float32", 24, 24, _F32, _F32, 0.0, 2.0**-126, 2.0**127),
        Precision("tf32", "float32", 11, 24, _F32, _F32, 2.0**-10, 2.0**-126, 2.0**127),
        Precision("bfloat16", "bfloat16", 8, 8, 2.0**-8, _F32, 0.0, 2.0**-126, 2.0**127),
        Precision("float16", "float16", 11, 11, 2.0**-11, _F32, 0.0, 2.0**-14, 65504.0),
    )
}


def precision_on(name: str, device: str) -> Precision:
    """A number format as a device accumulates it."""
    found = PRECISIONS[name]
    return attrs.evolve(found, accumulate=_CORE) if device == "cuda" and name in TENSOR_CORES else found


def gamma(terms: float, unit: float) -> float:
    """n u / (1 - n u): the relative error of a sum of products with n roundings on any path; infinite where n u >= 1."""
    product = terms * unit
    return math.inf if product >= 1 else product / (1 - product)


def relative(precision: Precision, terms: int, stores: int) -> float:
    """The relative error, against the sum of magnitudes, of a sum of `terms` products.

    Args:
        precision: the number format.
        terms: products in the sum; a bias counts as one.
        stores: how often a partial result may be rounded to a narrow storage format.
    """
    factors = (1 + precision.cut) ** 2
    summed = 1 + gamma(terms + 1, precision.accumulate)
    stored = 1 + gamma(stores, precision.unit) if precision.narrow else 1.0
    return factors * summed * stored - 1

"""What each layer is and does, from its definition: legality, channels, extents, samples read, window analysis.

Every linear layer is, on each axis, a sum over reads: y[o] = sum of c w[j] x~[x], where x~ is the input continued
beyond its ends in the layer's `mode`. Channels are the business of wires.py. o output sample, n input extent.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import ClassVar

from .faults import need
from .syntax import Number

Read = tuple[int, int, Number]
"""(x, j, c): input sample, tap or phase, coefficient."""
Primitive = tuple[str, int, int]
PerAxis = tuple[int, ...]
Margins = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Layer:
    """What holds for a layer unless it says otherwise: y[o] = x[o]."""

    parametric: ClassVar[bool] = False
    nonlinear: ClassVar[bool] = False

    @property
    def biased(self) -> bool:
        """Whether it is parametric and has a bias."""
        return self.parametric and bool(getattr(self, "bias", True))

    def channels(self, given: int, axes: int) -> int:
        """Output channels; Rejected if the layer is illegal or does not take `given` channels."""
        return given

    def least(self, axis: int) -> int:
        """The smallest input extent that is accepted (the output must have an extent of at least 1 besides)."""
        return 1

    def divisor(self, axis: int) -> int:
        """What the input extent must be divisible by."""
        return 1

    def extent(self, axis: int, n: int) -> int:
        """The output extent; exactly quasi-linear for all integers n, see `rate`."""
        return n

    def rate(self, axis: int) -> tuple[int, int]:
        """(up, down): moving the input by `down` samples moves the output by `up`."""
        return 1, 1

    def mode(self, axis: int) -> str:
        """How samples beyond the ends are answered: zeros, reflect, replicate or circular."""
        return "zeros"

    def inside(self, axis: int, n: int) -> tuple[int, int]:
        """The samples lo <= x < hi that are there; reads of others are answered by `mode`."""
        return 0, n

    def taps(self, axis: int) -> int:
        """The kernel's taps."""
        return 1

    def breadth(self, axis: int) -> int:
        """An upper bound of the number of reads."""
        return max(4, self.taps(axis))

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        """The reads of output sample o. n is None for the bi-infinite signal; phase None means any (Unshuffle)."""
        return [(o, 0, 1)]

    def window(self, axis: int) -> list[Primitive] | None:
        """The primitives that it is made of, as the format has them, or None if it is no window of its bi-infinite self."""
        return []

    def commutes(self, other: Layer) -> bool:
        """Whether it may change places with the nonlinearity `other`."""
        return False


@dataclass(frozen=True)
class Conv(Layer):
    """y[o] = sum_j w[j] x~[s o + d j - pb], m = floor((n + pb + pe - d (k-1) - 1) / s) + 1."""

    parametric: ClassVar[bool] = True
    in_channels: int
    out_channels: int
    kernel: PerAxis
    stride: PerAxis
    padding: Margins
    dilation: PerAxis
    groups: int
    bias: bool
    padding_mode: str

    def channels(self, given: int, axes: int) -> int:
        need(self.in_channels == given, f"in_channels is not {given}, the channels that arrive")
        need(self.in_channels % self.groups == 0 == self.out_channels % self.groups, "channels are not divisible by groups")
        return self.out_channels

    def least(self, axis: int) -> int:
        return {"reflect": max(self.padding[axis]) + 1, "circular": max(1, *self.padding[axis])}.get(self.padding_mode, 1)

    def extent(self, axis: int, n: int) -> int:
        return (n + sum(self.padding[axis]) - self._reach(axis) - 1) // self.stride[axis] + 1

    def rate(self, axis: int) -> tuple[int, int]:
        return 1, self.stride[axis]

    def mode(self, axis: int) -> str:
        return self.padding_mode

    def taps(self, axis: int) -> int:
        return self.kernel[axis]

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        start, d = self.stride[axis] * o - self.padding[axis][0], self.dilation[axis]
        return [(start + d * j, j, 1) for j in range(self.kernel[axis])]

    def window(self, axis: int) -> list[Primitive] | None:
        if self.padding_mode != "zeros" and any(self.padding[axis]):
            return None
        return [("extend", *self.padding[axis]), ("correlate", self._reach(axis), 0), ("decimate", self.stride[axis], 0)]

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1)


@dataclass(frozen=True)
class ConvTranspose(Layer):
    """y[o] = sum of w[j] x[i] over s i + d j = o + pb, m = (n-1) s + d (k-1) + 1 + op - pb - pe."""

    parametric: ClassVar[bool] = True
    in_channels: int
    out_channels: int
    kernel: PerAxis
    stride: PerAxis
    padding: Margins
    output_padding: PerAxis
    dilation: PerAxis
    groups: int
    bias: bool

    def channels(self, given: int, axes: int) -> int:
        need(self.in_channels == given, f"in_channels is not {given}, the channels that arrive")
        need(self.in_channels % self.groups == 0 == self.out_channels % self.groups, "channels are not divisible by groups")
        small = all(more < max(s, d) for more, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True))
        need(small, "output_padding is not smaller than stride or dilation")
        return self.out_channels

    def extent(self, axis: int, n: int) -> int:
        return (n - 1) * self.stride[axis] + self._reach(axis) + 1 + self.output_padding[axis] - sum(self.padding[axis])

    def rate(self, axis: int) -> tuple[int, int]:
        return self.stride[axis], 1

    def taps(self, axis: int) -> int:
        return self.kernel[axis]

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        s, d, full = self.stride[axis], self.dilation[axis], o + self.padding[axis][0]
        return [((full - d * j) // s, j, 1) for j in range(self.kernel[axis]) if (full - d * j) % s == 0]

    def window(self, axis: int) -> list[Primitive] | None:
        reach, (before, after) = self._reach(axis), self.padding[axis]
        margins = (reach - before, reach - after + self.output_padding[axis])
        return [("expand", self.stride[axis], 0), ("extend", *margins), ("correlate", reach, 0)]

    def _reach(self, axis: int) -> int:
        return self.dilation[axis] * (self.kernel[axis] - 1)


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Evaluation mode: y[o] = w x[o] + b per channel, w and b any numbers."""

    parametric: ClassVar[bool] = True
    num_features: int
    spatial_axes: int
    eps: float
    affine: bool
    track_running_stats: bool

    def channels(self, given: int, axes: int) -> int:
        need(self.num_features == given, f"num_features is not {given}, the channels that arrive")
        need(self.spatial_axes == axes, "made for another number of axes")
        need(self.affine and self.track_running_stats, "BatchNorm must be affine and have running statistics")
        return given

    @property
    def groups(self) -> int:
        """One channel each; so are in_channels and out_channels."""
        return self.num_features

    in_channels = out_channels = groups


@dataclass(frozen=True)
class Shuffle(Layer):
    """y[c, o] = x[(c, o mod r), o div r]; the phase is the read's j. m = n r."""

    factor: PerAxis
    order: str

    def channels(self, given: int, axes: int) -> int:
        need(given % prod(self.factor) == 0, "channels are not divisible by the factors")
        return given // prod(self.factor)

    def extent(self, axis: int, n: int) -> int:
        return n * self.factor[axis]

    def rate(self, axis: int) -> tuple[int, int]:
        return self.factor[axis], 1

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        return [(o // self.factor[axis], o % self.factor[axis], 1)]

    def window(self, axis: int) -> list[Primitive] | None:
        return [("expand", self.factor[axis], 0)]

    def commutes(self, other: Layer) -> bool:
        return alike(other)


@dataclass(frozen=True)
class Unshuffle(Layer):
    """y[(c, phase), o] = x[c, r o + phase]; n must be divisible by r, m = n / r."""

    factor: PerAxis
    order: str

    def channels(self, given: int, axes: int) -> int:
        return given * prod(self.factor)

    def divisor(self, axis: int) -> int:
        return self.factor[axis]

    def extent(self, axis: int, n: int) -> int:
        return n // self.factor[axis]

    def rate(self, axis: int) -> tuple[int, int]:
        return 1, self.factor[axis]

    def breadth(self, axis: int) -> int:
        return self.factor[axis]

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        start = o * self.factor[axis]
        return [(start + j, j, 1) for j in (range(self.factor[axis]) if phase is None else (phase,))]

    def window(self, axis: int) -> list[Primitive] | None:
        return [("unshuffle", self.factor[axis], 0)]

    def commutes(self, other: Layer) -> bool:
        return alike(other)


@dataclass(frozen=True)
class ChannelShuffle(Layer):
    """y[b g + a] = x[a C/g + b], a < g."""

    groups: int

    def channels(self, given: int, axes: int) -> int:
        need(given % self.groups == 0, "channels are not divisible by groups")
        return given

    def commutes(self, other: Layer) -> bool:
        return alike(other)


@dataclass(frozen=True)
class ZeroInsert(Layer):
    """y[s i] = x[i], zeros between; m = (n-1) s + 1."""

    factor: PerAxis

    def extent(self, axis: int, n: int) -> int:
        return (n - 1) * self.factor[axis] + 1

    def rate(self, axis: int) -> tuple[int, int]:
        return self.factor[axis], 1

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        return [] if o % self.factor[axis] else [(o // self.factor[axis], 0, 1)]

    def window(self, axis: int) -> list[Primitive] | None:
        return [("expand", self.factor[axis], 0)]

    def commutes(self, other: Layer) -> bool:
        return keeps_zero(other)


@dataclass(frozen=True)
class Pad(Layer):
    """y[o] = x~[o - b], m = n + b + e; circular crops first and wraps what is left."""

    amounts: Margins
    padding_mode: str

    def least(self, axis: int) -> int:
        (before, after), cropped = self.amounts[axis], -sum(min(amount, 0) for amount in self.amounts[axis])
        most = max(before, after)
        return {"zeros": max(cropped, 1), "reflect": max(most, 0) + 1, "circular": max(most, 1) + cropped}.get(self.padding_mode, 1)

    def extent(self, axis: int, n: int) -> int:
        return n + sum(self.amounts[axis])

    def mode(self, axis: int) -> str:
        return self.padding_mode

    def inside(self, axis: int, n: int) -> tuple[int, int]:
        before, after = self.amounts[axis]
        return (max(0, -before), n - max(0, -after)) if self.padding_mode == "circular" else (0, n)

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        return [(o - self.amounts[axis][0], 0, 1)]

    def window(self, axis: int) -> list[Primitive] | None:
        return None if self.padding_mode != "zeros" and max(self.amounts[axis]) > 0 else [("extend", *self.amounts[axis])]

    def commutes(self, other: Layer) -> bool:
        return self.padding_mode != "zeros" or max(map(max, self.amounts)) <= 0 or keeps_zero(other)


@dataclass(frozen=True)
class Upsample(Layer):
    """By r, m = n r. Nearest: x[o div r]. Linear, cubic: around the source t = (o + 1/2) / r - 1/2, indices clamped."""

    factor: PerAxis
    interpolation: str
    align_corners: bool

    def channels(self, given: int, axes: int) -> int:
        need(not self.align_corners, "align_corners is not shift-invariant")
        need(self.interpolation != "cubic" or axes == 2, "cubic interpolation is for 2 axes")
        return given

    def extent(self, axis: int, n: int) -> int:
        return n * self.factor[axis]

    def rate(self, axis: int) -> tuple[int, int]:
        return self.factor[axis], 1

    def mode(self, axis: int) -> str:
        return "replicate"

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        r = self.factor[axis]
        if self._nearest or r == 1:
            return [(o // r, 0, 1)]
        x, t = (2 * o + 1 - r) // (2 * r), Fraction((2 * o + 1 - r) % (2 * r), 2 * r)
        weights = [(0, 1 - t), (1, t)] if self.interpolation == "linear" else [(at, _cubic(abs(t - at))) for at in (-1, 0, 1, 2)]
        return [(x + at, 0, weight) for at, weight in weights if weight]

    def window(self, axis: int) -> list[Primitive] | None:
        r = self.factor[axis]
        if not self._nearest:
            return [] if r == 1 else None
        return [("expand", r, 0), ("extend", r - 1, r - 1), ("correlate", r - 1, 0)]

    def commutes(self, other: Layer) -> bool:
        return self._nearest

    @property
    def _nearest(self) -> bool:
        return self.interpolation.startswith("nearest")


def _cubic(t: Fraction) -> Fraction:
    """Keys' cubic kernel with a = -3/4 at distance 0 <= t <= 2."""
    a = Fraction(-3, 4)
    return ((a + 2) * t - (a + 3)) * t * t + 1 if t <= 1 else ((t - 5) * t + 8) * a * t - 4 * a


@dataclass(frozen=True)
class AvgPool(Layer):
    """y[o] = sum of x[s o - p + j] over 0 <= j < k, over a divisor.

    m = floor((n + 2p - k) / s) + 1; with ceil_mode the ceiling instead, less one if (m-1) s >= n + p (that
    window would start behind the signal). The divisor is k; with count_include_pad the part of the window before n + p; without, the part inside the
    signal; or divisor_override for all axes together (it stands at axis 0).
    """

    kernel: PerAxis
    stride: PerAxis
    padding: PerAxis
    ceil_mode: bool
    count_include_pad: bool
    divisor_override: int | None

    def channels(self, given: int, axes: int) -> int:
        need(all(2 * p <= k for p, k in zip(self.padding, self.kernel, strict=True)), "padding is more than half the kernel")
        need(self.divisor_override is None or (axes > 1 and self.divisor_override != 0), "divisor_override is not allowed")
        return given

    def least(self, axis: int) -> int:
        return self.kernel[axis] if len(self.kernel) == 3 else 1

    def extent(self, axis: int, n: int) -> int:
        k, s, p = self.kernel[axis], self.stride[axis], self.padding[axis]
        if not self.ceil_mode:
            return (n + 2 * p - k) // s + 1
        m = -((k - n - 2 * p) // s) + 1
        return m - 1 if (m - 1) * s >= n + p else m

    def rate(self, axis: int) -> tuple[int, int]:
        return 1, self.stride[axis]

    def breadth(self, axis: int) -> int:
        return self.kernel[axis]

    def reads(self, axis: int, o: int, n: int | None, phase: int | None) -> list[Read]:
        k, p, start = self.kernel[axis], self.padding[axis], o * self.stride[axis] - self.padding[axis]
        if self.divisor_override is not None:
            over = 1 if axis else self.divisor_override
        elif n is None:
            over = k
        else:
            over = min(start + k, n + p) - start if self.count_include_pad else min(start + k, n) - max(start, 0)
        share: Number = 1 if over == 1 else Fraction(1, over)
        return [(start + j, 0, share) for j in range(k)]

    def window(self, axis: int) -> list[Primitive] | None:
        p, inside_only = self.padding[axis], not self.count_include_pad and self.divisor_override is None
        if self.ceil_mode or (p > 0 and inside_only):
            return None
        return [("extend", p, p), ("correlate", self.kernel[axis] - 1, 0), ("decimate", self.stride[axis], 0)]


@dataclass(frozen=True)
class Identity(Layer):
    """y = x."""

    def commutes(self, other: Layer) -> bool:
        return True


@dataclass(frozen=True)
class Pointwise(Layer):
    """y[o] = f(x[o]), f without parameters."""

    nonlinear: ClassVar[bool] = True
    name: str
    arguments: tuple[tuple[str, float | str], ...]

    def channels(self, given: int, axes: int) -> int:
        values = dict(self.arguments)
        need(self.name != "CELU" or values["alpha"] != 0, "alpha is 0")
        need(self.name != "Softshrink" or float(values["lambd"]) >= 0, "lambd is negative")
        need(self.name != "Hardtanh" or float(values["min_val"]) < float(values["max_val"]), "max_val is not above min_val")
        return given


@dataclass(frozen=True)
class PReLU(Layer):
    """y[o] = x[o] if x[o] >= 0 else a x[o], a learned, for all channels or for each."""

    nonlinear: ClassVar[bool] = True
    num_parameters: int

    def channels(self, given: int, axes: int) -> int:
        need(self.num_parameters in (1, given), f"num_parameters is neither 1 nor {given}")
        return given


def alike(nonlinearity: Layer) -> bool:
    """Whether it does the same to every channel."""
    return not isinstance(nonlinearity, PReLU) or nonlinearity.num_parameters == 1


def keeps_zero(nonlinearity: Layer) -> bool:
    """Whether f(0) = 0."""
    if not isinstance(nonlinearity, Pointwise):
        return True
    values = {name: value for name, value in nonlinearity.arguments if not isinstance(value, str)}
    if nonlinearity.name == "Hardtanh":
        return values["min_val"] <= 0 <= values["max_val"]
    if nonlinearity.name == "Threshold":
        return values["threshold"] < 0 or values["value"] == 0
    return nonlinearity.name not in ("Sigmoid", "LogSigmoid", "Softplus", "Hardsigmoid")

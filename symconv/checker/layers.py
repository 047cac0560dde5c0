"""What each layer is, and what it does on one axis, from its definition. (What it does to channels is in wires.py.)

Every linear layer is a sum of reads y[o] = sum of c w[j] x~[x], where x~ is the input, continued beyond its ends in the layer's `mode`.
n is the input extent, m the output extent; None stands for the extent of the bi-infinite signal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from .faults import need
from .syntax import CAP, Number

Read = tuple[int, int, Number]
"""(x, j, c): input sample, tap (or phase), coefficient."""

PARAMETRIC = ("Conv", "ConvTranspose", "BatchNorm")
NONLINEAR = ("Pointwise", "PReLU")
LETTERS = {"kernel": "k", "stride": "s", "dilation": "d", "output_padding": "op", "factor": "r"}


@dataclass(frozen=True)
class Line:
    """A layer on one axis: kernel k, stride s, dilation d, padding b before and e after, output padding op, factor r."""

    kind: str
    mode: str = "zeros"
    k: int = 1
    s: int = 1
    d: int = 1
    b: int = 0
    e: int = 0
    op: int = 0
    r: int = 1
    interpolation: str = "nearest"
    corners: bool = False
    ceil: bool = False
    counts_padding: bool = True
    divisor: int | None = None
    least_kernel: bool = False

    @property
    def reach(self) -> int:
        """The distance from the first tap to the last."""
        return self.d * (self.k - 1)

    def extent(self, n: int) -> int:
        """The output extent. As a formula it holds for all integers n: moving n by `down` moves it by `up`."""
        return EXTENT[self.kind](self, n) if self.kind in EXTENT else n

    @property
    def up(self) -> int:
        """What the layer multiplies distances by."""
        return self.s if self.kind == "ConvTranspose" else self.r if self.kind in ("Shuffle", "ZeroInsert", "Upsample") else 1

    @property
    def down(self) -> int:
        """What the layer divides distances by."""
        return self.s if self.kind in ("Conv", "AvgPool") else self.r if self.kind == "Unshuffle" else 1

    def least(self) -> int:
        """The smallest input extent that it accepts (its output must have an extent of at least 1 besides)."""
        if self.kind not in ("Conv", "Pad"):
            return self.k if self.least_kernel else 1
        most, cropped = max(self.b, self.e, 0), -min(self.b, 0) - min(self.e, 0)
        return {"zeros": max(cropped, 1), "reflect": most + 1, "replicate": 1, "circular": max(most, 1) + cropped}[self.mode]

    def accepts(self, n: int) -> bool:
        """Whether an input of extent n is accepted."""
        return n >= self.least() and self.extent(n) >= 1 and (self.kind != "Unshuffle" or n % self.r == 0)

    def inside(self, n: int) -> tuple[int, int]:
        """The samples low <= x < high that are there; circular padding crops before it wraps."""
        return (max(0, -self.b), n - max(0, -self.e)) if self.mode == "circular" else (0, n)

    def settle(self, x: int, n: int) -> int | None:
        """Where the read of a sample beyond the ends goes: to another one, or (zeros) nowhere."""
        low, high = self.inside(n)
        if self.mode == "zeros":
            return None
        if self.mode == "circular":
            x += high - low if x < low else low - high
        elif self.mode == "reflect":
            x = 2 * low - x if x < low else 2 * (high - 1) - x
        else:
            x = low if x < low else high - 1
        need(low <= x < high, "a read leaves an extent that was taken for valid")
        return x

    def breadth(self) -> int:
        """An upper bound of the number of reads."""
        return max(self.k, self.r if self.kind == "Unshuffle" else 4)

    def reads(self, o: int, n: int | None, phase: int | None = None) -> list[Read]:
        """The reads of output sample o, not settled; those of Unshuffle for one phase or (None) for all."""
        if self.kind == "Unshuffle" and phase is not None:
            return [(self.r * o + phase, phase, 1)]
        return READS[self.kind](self, o, n) if self.kind in READS else [(o, 0, 1)]

    def window(self) -> list[tuple[str, int, int]] | None:
        """Its primitives as the format lists them, or None if it is not a window of its bi-infinite self."""
        return WINDOW[self.kind](self) if self.kind in WINDOW else []


def _pooled(t: Line, n: int) -> int:
    """floor((n + 2p - k) / s) + 1; in ceil_mode the ceiling, less one if that window starts behind the signal."""
    if not t.ceil:
        return (n + 2 * t.b - t.k) // t.s + 1
    m = -((t.k - n - 2 * t.b) // t.s) + 1
    return m - 1 if (m - 1) * t.s >= n + t.b else m


def _pool(t: Line, o: int, n: int | None) -> list[Read]:
    """x[s o - p + j] / divisor: divisor_override, or k; finite: the window before n + p, or (padding not counted) in the signal."""
    start, divisor = t.s * o - t.b, t.k
    if t.divisor is not None:
        divisor = t.divisor
    elif n is not None:
        divisor = min(start + t.k, n + t.b) - start if t.counts_padding else min(start + t.k, n) - max(start, 0)
    share = 1 if divisor == 1 else Fraction(1, divisor)
    return [(start + j, 0, share) for j in range(t.k)]


def _interpolate(t: Line, o: int, n: int | None) -> list[Read]:
    """x[o div r], or around the source x + f the linear weights 1 - |t|, or Keys' cubic ones with a = -3/4.

    The source is (o + 1/2) / r - 1/2; with align_corners, which has no bi-infinite meaning, o (n - 1) / (m - 1), and 0 where m = 1.
    """
    if t.r == 1 or t.interpolation.startswith("nearest"):
        return [(o // t.r, 0, 1)]
    source = Fraction(2 * o + 1 - t.r, 2 * t.r)
    if t.corners and n is not None:
        source = Fraction(o * (n - 1), max(t.r * n - 1, 1))
    x, f = divmod(source, 1)
    kernel, reach = (_cubic, 2) if t.interpolation == "cubic" else (lambda t: 1 - t, 1)
    weights = ((x + j, kernel(abs(f - j))) for j in range(1 - reach, reach + 1))
    return [(at, 0, weight) for at, weight in weights if weight]


def _cubic(t: Fraction) -> Fraction:
    a = Fraction(-3, 4)
    return ((a + 2) * t - (a + 3)) * t * t + 1 if t <= 1 else (((t - 5) * t + 8) * t - 4) * a


EXTENT: dict[str, Callable[[Line, int], int]] = {
    "Conv": lambda t, n: (n + t.b + t.e - t.reach - 1) // t.s + 1,
    "ConvTranspose": lambda t, n: (n - 1) * t.s + t.reach + 1 + t.op - t.b - t.e,
    "Shuffle": lambda t, n: n * t.r,
    "Unshuffle": lambda t, n: n // t.r,
    "ZeroInsert": lambda t, n: (n - 1) * t.r + 1,
    "Pad": lambda t, n: n + t.b + t.e,
    "Upsample": lambda t, n: n * t.r,
    "AvgPool": _pooled,
}
READS: dict[str, Callable[[Line, int, int | None], list[Read]]] = {
    "Conv": lambda t, o, n: [(t.s * o + t.d * j - t.b, j, 1) for j in range(t.k)],
    "ConvTranspose": lambda t, o, n: [((o + t.b - t.d * j) // t.s, j, 1) for j in range(t.k) if (o + t.b - t.d * j) % t.s == 0],
    "Shuffle": lambda t, o, n: [(o // t.r, o % t.r, 1)],
    "Unshuffle": lambda t, o, n: [(t.r * o + phase, phase, 1) for phase in range(t.r)],
    "ZeroInsert": lambda t, o, n: [] if o % t.r else [(o // t.r, 0, 1)],
    "Pad": lambda t, o, n: [(o - t.b, 0, 1)],
    "Upsample": _interpolate,
    "AvgPool": _pool,
}
WINDOW: dict[str, Callable[[Line], list[tuple[str, int, int]] | None]] = {
    "Conv": lambda t: (
        None if t.mode != "zeros" and max(t.b, t.e) > 0 else [("extend", t.b, t.e), ("correlate", t.reach, 0), ("decimate", t.s, 0)]
    ),
    "ConvTranspose": lambda t: [("expand", t.s, 0), ("extend", t.reach - t.b, t.reach - t.e + t.op), ("correlate", t.reach, 0)],
    "Shuffle": lambda t: [("expand", t.r, 0)],
    "Unshuffle": lambda t: [("unshuffle", t.r, 0)],
    "ZeroInsert": lambda t: [("expand", t.r, 0)],
    "Pad": lambda t: None if t.mode != "zeros" and max(t.b, t.e) > 0 else [("extend", t.b, t.e)],
    "Upsample": lambda t: (
        [("expand", t.r, 0), ("extend", t.r - 1, t.r - 1), ("correlate", t.r - 1, 0)]
        if t.interpolation.startswith("nearest")
        else None
        if t.r > 1
        else []
    ),
    "AvgPool": lambda t: (
        None
        if t.ceil or (t.b > 0 and not t.counts_padding and t.divisor is None)
        else [("extend", t.b, t.e), ("correlate", t.k - 1, 0), ("decimate", t.s, 0)]
    ),
}


class Layer:
    """A layer: its type, its fields, and its line on each axis."""

    def __init__(self, kind: str, fields: dict[str, Any], axes: int) -> None:
        self.kind, self.fields = kind, fields
        self.parametric, self.nonlinear = kind in PARAMETRIC, kind in NONLINEAR
        self.biased = self.parametric and bool(fields.get("bias", True))
        self.lines = [self._line(axis, axes) for axis in range(axes)]

    def _line(self, axis: int, axes: int) -> Line:
        given = self.fields
        values = {letter: given[name][axis] for name, letter in LETTERS.items() if name in given}
        padding = given.get("amounts", given.get("padding", ((0, 0),) * axes))[axis]
        values["b"], values["e"] = (padding, padding) if self.kind == "AvgPool" else padding
        if self.kind == "Upsample":
            values |= {"mode": "replicate", "interpolation": given["mode"], "corners": given["align_corners"]}
        elif self.kind == "AvgPool":
            divisor = given["divisor_override"] if axis == 0 or given["divisor_override"] is None else 1
            values |= {"ceil": given["ceil_mode"], "counts_padding": given["count_include_pad"]}
            values |= {"divisor": divisor, "least_kernel": axes == 3}
        else:
            values["mode"] = given.get("mode", given.get("padding_mode", "zeros"))
        return Line(self.kind, **values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layer) and (self.kind, self.fields) == (other.kind, other.fields)

    __hash__ = None  # type: ignore[assignment]

    @property
    def groups(self) -> int:
        """Groups of channels; in BatchNorm every channel is one."""
        return int(self.fields.get("groups") or self.fields["num_features"])

    def channels(self, given: int) -> int:
        """The output channels; Rejected if the layer is illegal, or takes other channels than `given`."""
        has = self.fields
        phases = prod(has["factor"]) if self.kind in ("Shuffle", "Unshuffle") else 1
        if self.kind in ("Conv", "ConvTranspose"):
            need(has["in_channels"] == given, f"{given} channels arrive")
            need(given % has["groups"] == 0 == has["out_channels"] % has["groups"], "channels are not divisible by groups")
            need(all(t.op < max(t.s, t.d) for t in self.lines), "output_padding is not smaller than stride or dilation")
        elif self.kind == "BatchNorm":
            need(has["num_features"] == given and has["spatial_axes"] == len(self.lines), "made for other channels or axes")
            need(has["affine"] and has["track_running_stats"] and has["eps"] >= 0, "only affine with running statistics is linear")
        elif self.kind in ("Shuffle", "ChannelShuffle"):
            need(given % (phases if self.kind == "Shuffle" else has["groups"]) == 0, f"{given} channels are not divisible")
        elif self.kind == "Upsample":
            need(has["mode"] != "cubic" or len(self.lines) == 2, "cubic interpolation acts on 2 axes")
            need(not (has["align_corners"] and has["mode"].startswith("nearest")), "align_corners goes with linear and cubic")
        elif self.kind == "AvgPool":
            need(all(2 * t.b <= t.k for t in self.lines), "padding is more than half the kernel")
            need(
                has["divisor_override"] is None or (has["divisor_override"] != 0 and len(self.lines) > 1), "divisor_override is not allowed"
            )
        elif self.kind == "PReLU":
            need(has["num_parameters"] in (1, given), f"{given} channels arrive")
        elif self.kind == "Pointwise" and has["name"] in LEGAL:
            need(LEGAL[has["name"]](dict(has["arguments"])), "PyTorch does not allow these arguments")
        found = int(has.get("out_channels", given * phases if self.kind == "Unshuffle" else given // phases))
        need(found <= CAP, "too large for the checker's budget")
        return found

    def commutes(self, f: Layer) -> bool:
        """Whether the layer may change places with the nonlinearity f."""
        if f.kind == "BatchNorm":
            return False
        moves = self.kind in ("Shuffle", "Unshuffle", "ChannelShuffle")
        nearest = self.kind == "Upsample" and self.fields["mode"].startswith("nearest")
        inserts = self.kind == "ZeroInsert" or any(t.mode == "zeros" and max(t.b, t.e) > 0 for t in self.lines)
        if moves and f.kind == "PReLU" and f.fields["num_parameters"] > 1:
            return False
        return (moves or nearest or self.kind in ("ZeroInsert", "Pad", "Identity")) and (not inserts or f.keeps_zero())

    def keeps_zero(self) -> bool:
        """Whether the nonlinearity has f(0) = 0."""
        name, values = self.fields.get("name", ""), dict(self.fields.get("arguments", ()))
        if name == "Hardtanh":
            return bool(values["min_val"] <= 0 <= values["max_val"])
        if name == "Threshold":
            return bool(values["threshold"] < 0 or values["value"] == 0)
        return name not in ("Sigmoid", "LogSigmoid", "Softplus", "Hardsigmoid")


LEGAL: dict[str, Callable[[dict[str, Any]], bool]] = {
    "CELU": lambda has: bool(has["alpha"] != 0),
    "Softshrink": lambda has: bool(has["lambd"] >= 0),
    "Hardtanh": lambda has: bool(has["min_val"] < has["max_val"]),
}

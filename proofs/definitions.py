"""The layers as formulas: which tap of which kernel one entry of an operator holds, and the output extent.

Owns: the formulas, and for each the symconv layer that it is compared with wherever a theorem uses it.
Must not know: theorems.

The functions in lower case work on integers and on terms alike. Per axis; o output index, i input index, j tap.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from .terms import within
from .theorem import Definition, Values


def conv(o: Any, i: Any, j: Any, *, s: Any, k: Any, d: Any, pb: Any) -> Any:
    """Conv: y[o] = sum_j w[j] x[s o + d j - pb]."""
    return (i == s * o + d * j - pb) & within(j, k)


def transposed(o: Any, i: Any, j: Any, *, s: Any, k: Any, d: Any, pb: Any) -> Any:
    """ConvTranspose: y[o] = sum over s i + d j = o + pb of w[j] x[i]."""
    return (s * i + d * j == o + pb) & within(j, k)


def inserted(o: Any, i: Any, v: Any, *, s: Any, k: Any, d: Any, before: Any) -> Any:
    """ZeroInsert, Pad, Conv: y[o] = sum_v w[v] z[o + d v - before] with z[s i] = x[i] and zero elsewhere."""
    return (o + d * v - before == s * i) & within(v, k)


def shuffled(i: Any, f: Any, u: Any, *, m: Any, phi: Any, k: Any, before: Any) -> Any:
    """Conv in low resolution, then periodic shuffling: y[r m + phi] = sum_u W[phi, u] x[m + u - before]."""
    return (f == phi) & (i == m + u - before) & within(u, k)


def unshuffled(o: Any, f: Any, u: Any, *, q: Any, rho: Any, k: Any, before: Any) -> Any:
    """Unshuffling, then Conv in low resolution: y[o] = sum_(f, u) W[f, u] x[r (o + u - before) + f], at i = r q + rho."""
    return (f == rho) & (q == o + u - before) & within(u, k)


def reach(k: Any, d: Any) -> Any:
    """ke = d (k - 1) + 1, the extent of a dilated kernel."""
    return d * (k - 1) + 1


def transposed_extent(n: Any, *, s: Any, k: Any, d: Any, pb: Any, pe: Any, op: Any) -> Any:
    """m = (n - 1) s + ke + op - pb - pe."""
    return (n - 1) * s + reach(k, d) + op - pb - pe


def grid(**ranges: Iterable[int]) -> Callable[[], Iterable[Values]]:
    """Every combination of the values given for each letter."""
    names = tuple(ranges)
    held = [tuple(values) for values in ranges.values()]
    return lambda: (dict(zip(names, numbers, strict=True)) for numbers in itertools.product(*held))


def conv_layer(values: Values) -> str:
    """The layer of `conv`."""
    v = {"d": 1, "s": 1, "pb": 0, "pe": 0} | dict(values)
    return f"ZeroPad1d(({v['pb']}, {v['pe']})) >> Conv1d(1, 1, {v['k']}, stride={v['s']}, dilation={v['d']}, bias=False)"


def transposed_layer(values: Values) -> str:
    """The layer of `transposed`."""
    v = {"d": 1, "s": 1, "pb": 0, "pe": 0, "op": 0} | dict(values)
    core = f"ConvTranspose1d(1, 1, {v['k']}, stride={v['s']}, output_padding={v['op']}, dilation={v['d']}, bias=False)"
    return f"{core} >> Crop(({v['pb']}, {v['pe']}))"


def inserted_layer(values: Values) -> str:
    """The layer of `inserted`, with `before` and `after` samples of padding."""
    v = {"d": 1} | dict(values)
    pad = f"ZeroPad1d(({v['before']}, {v['after']}))"
    return f"ZeroInsert({v['s']}) >> {pad} >> Conv1d(1, 1, {v['k']}, dilation={v['d']}, bias=False)"


def shuffled_layer(values: Values) -> str:
    """The layer of `shuffled`: `before` and `after` samples of padding, r phases, `front` and `back` samples cropped."""
    v = {"front": 0, "back": 0} | dict(values)
    crop = f" >> Crop(({v['front']}, {v['back']}))" if v["front"] or v["back"] else ""
    pad = f"ZeroPad1d(({v['before']}, {v['after']}))"
    return f"{pad} >> Conv1d(1, {v['r']}, {v['k']}, bias=False) >> PixelShuffle({v['r']}){crop}"


def unshuffled_layer(values: Values) -> str:
    """The layer of `unshuffled`."""
    v = dict(values)
    pad = f"ZeroPad1d(({v['before']}, {v['after']}))"
    return f"PixelUnshuffle({v['r']}) >> {pad} >> Conv1d({v['r']}, 1, {v['k']}, bias=False)"


def _transposed_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    return {(0, 0, j) for j in range(v["k"]) if transposed(o, i, j, s=v["s"], k=v["k"], d=v["d"], pb=v["pb"])}


def _conv_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    return {(0, 0, j) for j in range(v["k"]) if conv(o, i, j, s=v["s"], k=v["k"], d=v["d"], pb=v["pb"])}


def _inserted_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    return {(0, 0, j) for j in range(v["k"]) if inserted(o, i, j, s=v["s"], k=v["k"], d=v["d"], before=v["before"])}


def _shuffled_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    m, phi = divmod(o + v["front"], v["r"])
    slots = itertools.product(range(v["r"]), range(v["k"]))
    return {(f, 0, u) for f, u in slots if shuffled(i, f, u, m=m, phi=phi, k=v["k"], before=v["before"])}


def _unshuffled_taps(v: Values, n: int, o: int, i: int) -> set[tuple[int, ...]]:
    q, rho = divmod(i, v["r"])
    slots = itertools.product(range(v["r"]), range(v["k"]))
    return {(0, f, u) for f, u in slots if unshuffled(o, f, u, q=q, rho=rho, k=v["k"], before=v["before"])}


CONV = Definition(
    "convolution",
    "y[o] = sum over j of w[j] x[s o + d j - pb], m = floor((n + pb + pe - ke) / s) + 1",
    conv_layer,
    _conv_taps,
    lambda v, n: (n + v["pb"] + v["pe"] - reach(v["k"], v["d"])) // v["s"] + 1,
    grid(s=(1, 2, 3), k=(1, 2, 3), d=(1, 2), pb=(0, 2), pe=(0, 1)),
)

TRANSPOSED = Definition(
    "transposed convolution",
    "y[o] = sum over s i + d j = o + pb of w[j] x[i], m = (n - 1) s + ke + op - pb - pe",
    transposed_layer,
    _transposed_taps,
    lambda v, n: transposed_extent(n, **v),
    grid(s=(2, 3), k=(1, 2, 4), d=(1, 2), pb=(0, 1, 3), pe=(0, 2), op=(0, 1)),
)

INSERTED = Definition(
    "zero insertion, padding, convolution",
    "y[o] = sum over v of w[v] z[o + d v - before], z[s i] = x[i], else 0",
    inserted_layer,
    _inserted_taps,
    lambda v, n: (n - 1) * v["s"] + 1 + v["before"] + v["after"] - v["d"] * (v["k"] - 1),
    grid(s=(1, 2, 3), k=(1, 2, 3), d=(1, 2), before=(-1, 0, 2), after=(0, 1)),
)

SHUFFLED = Definition(
    "convolution in low resolution, periodic shuffling, crop",
    "y[o] = sum over u of W[phi, u] x[m + u - before] with o + front = r m + phi, 0 <= phi < r",
    shuffled_layer,
    _shuffled_taps,
    lambda v, n: v["r"] * (n + v["before"] + v["after"] - v["k"] + 1) - v["front"] - v["back"],
    grid(r=(1, 2, 3), k=(1, 2, 3), before=(-1, 0, 2), after=(0, 1), front=(0, 1), back=(0, 2)),
)

UNSHUFFLED = Definition(
    "unshuffling, convolution in low resolution",
    "y[o] = sum over f and u of W[f, u] x[r (o + u - before) + f]",
    unshuffled_layer,
    _unshuffled_taps,
    lambda v, n: n // v["r"] + v["before"] + v["after"] - v["k"] + 1,
    grid(r=(1, 2, 3), k=(1, 2, 3), before=(-1, 0, 2), after=(0, 1)),
    extents=(2, 3, 4, 6, 9),
)

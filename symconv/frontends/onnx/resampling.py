"""DepthToSpace, SpaceToDepth, Pad, Slice, Resize, Upsample and AveragePool as layers.

Owns: which of their settings are layers that symconv knows, for all extents.
Must not know: nodes with weights.
Source: ONNX operators of these names, all versions from operator set 9 on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from symconv.frontends.onnx.convolutions import window_margins
from symconv.frontends.onnx.cuts import cuts
from symconv.frontends.onnx.extents import Extent
from symconv.frontends.onnx.reading import Reading, Site
from symconv.frontends.onnx.shapes import analysis
from symconv.layers import AvgPool, Identity, Layer, Margins, Pad, Shuffle, Unshuffle, Upsample

PAD_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
HALF_PIXEL = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
LARGEST_FACTOR = 1 << 20


def read_shuffle(site: Site) -> Reading:
    """DepthToSpace and SpaceToDepth; the latter is DCR before operator set 28."""
    r = site.integer("blocksize", 0)
    if r < 1:
        site.fail(f"needs a positive blocksize; found {r}")
    axes = site.axes(2)
    up = site.node.op == "DepthToSpace"
    order = site.text("mode", "DCR")
    since = 11 if up else 28
    if order not in ("DCR", "CRD") or (order == "CRD" and site.opset < since):
        site.fail(f"has mode={order!r}, which operator set {site.opset} does not have")
    return site.reading(Shuffle((r,) * axes, order) if up else Unshuffle((r,) * axes, order), axes=axes)


def read_pad(site: Site) -> Reading:
    """Pad: an extension, or a crop where pads are negative."""
    rank, axes = site.rank(), site.axes()
    pads = site.integers(1) if site.opset >= 11 else tuple(Extent.of(item) for item in site.listed("pads", 2 * rank, 0))
    if pads is None or any(item is None or item.number is None for item in pads):
        site.fail("has pads that are not constant")
    amounts = [item.number for item in pads if item is not None and item.number is not None]
    places = _axes(site, 3, rank)
    if len(amounts) != 2 * len(places):
        site.fail(f"has {len(amounts)} pads for {len(places)} axes")
    margins = [(0, 0)] * rank
    for axis, before, after in zip(places, amounts[: len(places)], amounts[len(places) :], strict=True):
        margins[axis] = before, after
    if any(margins[0]) or any(margins[1]):
        site.fail("pads the batch or the channels")
    mode = site.text("mode", "constant")
    if mode not in PAD_MODES:
        site.fail(f"has an unknown mode {mode!r}")
    spatial = [amount for pair in margins[2:] for amount in pair]
    if mode == "constant":
        _check_zero(site, any(amount > 0 for amount in spatial))
    elif min(spatial) < 0 < max(spatial):
        site.fail(f"both extends and crops in mode {mode!r}, whose order the specification does not settle")
    chosen = PAD_MODES[mode] if any(amount > 0 for amount in spatial) else "zeros"
    return site.reading(Pad(tuple(margins[2:]), chosen), axes=axes)


def _check_zero(site: Site, extends: bool) -> None:
    held = site.constant(2) if site.opset >= 11 else None
    value = (
        site.number("value", 0.0) if site.opset < 11 else 0.0 if held is None else float(held.reshape(-1)[0]) if held.size == 1 else None
    )
    if extends and value != 0:
        site.fail(f"pads with {value}; only padding with 0 is linear")


def _axes(site: Site, position: int, rank: int) -> list[int]:
    """The axes that an attribute or an optional input names; all of them if it is left out."""
    if "axes" in site.node.attributes:
        found: Sequence[int | None] = site.node.attributes["axes"]
    elif site.node.input(position) and site.node.op == "Pad":
        held = site.integers(position)
        found = [None] if held is None else [None if item is None else item.number for item in held]
    else:
        return list(range(rank))
    if any(axis is None or not isinstance(axis, int) or not -rank <= axis < rank for axis in found):
        site.fail(f"has axes that are not constant axes of a tensor of rank {rank}")
    places = [axis % rank for axis in found if axis is not None]
    if len(set(places)) != len(places):
        site.fail("names an axis twice")
    return places


def read_slice(site: Site) -> Reading:
    """Slice: a crop, where it takes the same samples off both ends at every extent."""
    axes, shape = site.axes(), site.shape()
    assert shape is not None, "its rank is known"
    found = cuts(site.model, site.node, shape, analysis(site.model).integers)
    if isinstance(found, str):
        site.fail(f"is no crop at every extent: {found}")
    if any(any(found.get(axis, ())) for axis in (0, 1)):
        site.fail("takes a part of the batch or of the channels")
    margins = tuple(found.get(axis, (0, 0)) for axis in range(2, axes + 2))
    fixed = tuple(extent.number if any(cut) else None for extent, cut in zip(shape[2:], margins, strict=True))
    layer: Layer = Pad(tuple((-before, -after) for before, after in margins)) if any(map(any, margins)) else Identity()
    return site.reading(layer, axes=axes, extents=() if all(extent is None for extent in fixed) else fixed)


def read_resize(site: Site) -> Reading:
    """Resize and Upsample by integer factors."""
    rank, axes = site.rank(), site.axes()
    factors, extents = _factors(site, rank)
    if factors[0] != 1 or factors[1] != 1:
        site.fail("resizes the batch or the channels")
    ratios = factors[2:]
    if all(ratio == 1 for ratio in ratios) and site.text("coordinate_transformation_mode", "half_pixel") in HALF_PIXEL:
        return site.reading(Identity(), axes=axes, extents=extents)
    if any(ratio.denominator != 1 or ratio > LARGEST_FACTOR for ratio in ratios):
        site.fail(f"resizes by {', '.join(f'{float(ratio):g}' for ratio in ratios)}; only whole factors are layers at every extent")
    whole = tuple(int(ratio) for ratio in ratios)
    layer = _interpolation(site, axes, whole)
    return site.reading(layer, axes=axes, extents=extents)


def _factors(site: Site, rank: int) -> tuple[list[Fraction], tuple[int | None, ...]]:
    """The factor of every axis, and the extents for which it is that."""
    old = site.node.op == "Upsample" or site.opset < 11
    places, out = (list(range(rank)) if old else _axes(site, -1, rank)), [Fraction(1)] * rank
    if not old and site.node.input(3):
        if site.node.input(2) and (held := site.constant(2)) is not None and held.size:
            site.fail("has both scales and sizes")
        return _sized(site, places, out)
    if "scales" in site.node.attributes:
        scales = [site.node.attributes["scales"]][0]
    else:
        held = site.constant(1 if old else 2)
        scales = () if held is None else tuple(held.reshape(-1))
    if len(scales) != len(places) or not all(math.isfinite(scale) and scale > 0 for scale in scales):
        site.fail(f"needs a positive scale for each of {len(places)} axes")
    for place, scale in zip(places, scales, strict=True):
        out[place] = Fraction(float(scale))
    return out, ()


def _sized(site: Site, places: Sequence[int], out: list[Fraction]) -> tuple[list[Fraction], tuple[int | None, ...]]:
    shape, sizes = site.shape(), site.integers(3)
    if site.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        site.fail("keeps the aspect ratio, so its factor depends on the extents")
    if shape is None or sizes is None or len(sizes) != len(places):
        site.fail("has sizes that are not known before it runs")
    extents: list[int | None] = [None] * len(shape)
    for place, size in zip(places, sizes, strict=True):
        if size == shape[place]:
            continue
        factor = None if size is None else size.divided(shape[place])
        number, extent = (None if factor is None else factor.number), shape[place].number
        if number is None and (extent is None or size is None or size.number is None):
            site.fail(f"has a size on axis {place} that is no whole multiple of its input's extent at every extent")
        if size is not None and size.number is not None and extent is not None:
            extents[place], number = extent, None
            out[place] = Fraction(size.number, extent)
        if number is not None:
            out[place] = Fraction(number)
    fixed = tuple(extents[2:])
    return out, () if all(extent is None for extent in fixed) else fixed


def _interpolation(site: Site, axes: int, factors: tuple[int, ...]) -> Layer:
    mode, old = site.text("mode", "nearest"), site.node.op == "Upsample" or site.opset < 11
    place = "asymmetric" if old else site.text("coordinate_transformation_mode", "half_pixel")
    if site.integer("exclude_outside", 0) or site.integer("antialias", 0):
        site.fail("leaves out or smooths samples (exclude_outside, antialias), which no layer of symconv does")
    if mode == "nearest":
        rounding = "floor" if old else site.text("nearest_mode", "round_prefer_floor")
        if not _repeats(place, rounding, factors):
            site.fail(f"takes nearest samples by {place} and {rounding}, which for the factors {factors} is no repetition of each")
        return Upsample(factors, "nearest")
    if mode not in ("linear", "cubic"):
        site.fail(f"has an unknown mode {mode!r}")
    if mode == "cubic" and axes != 2:
        site.fail(f"interpolates cubically on {axes} axes; symconv knows that on 2")
    if mode == "cubic" and site.number("cubic_coeff_a", -0.75) != -0.75:
        site.fail(f"has cubic_coeff_a={site.number('cubic_coeff_a', -0.75)}; symconv knows -0.75")
    if place not in (*HALF_PIXEL, "align_corners"):
        site.fail(f"interpolates in {place} coordinates, which no layer of symconv does")
    return Upsample(factors, mode, place == "align_corners")


def _repeats(place: str, rounding: str, factors: Sequence[int]) -> bool:
    """Whether a nearest resize shows every sample r times: it takes sample i at r i + phi, for every phase phi."""
    shift = {"tf_half_pixel_for_nn": (Fraction(1, 2), 0), "asymmetric": (Fraction(0), 0)}.get(place)
    shift = (Fraction(1, 2), Fraction(1, 2)) if place in HALF_PIXEL else shift  # type: ignore[assignment]
    rounds = {
        "floor": math.floor,
        "ceil": math.ceil,
        "round_prefer_floor": lambda x: math.ceil(x - Fraction(1, 2)),
        "round_prefer_ceil": lambda x: math.floor(x + Fraction(1, 2)),
    }
    if shift is None or rounding not in rounds:
        return False
    return all(rounds[rounding]((phi + shift[0]) / r - shift[1]) == 0 for r in factors for phi in range(min(r, LARGEST_FACTOR)))


def read_average_pool(site: Site) -> Reading:
    """AveragePool."""
    found = site.node.attributes.get("kernel_shape")
    if not isinstance(found, tuple) or not found:
        site.fail("has no kernel_shape")
    axes = site.axes(len(found))
    kernel, steps = site.listed("kernel_shape", axes, 1, 1), site.listed("strides", axes, 1, 1)
    if any(gap != 1 for gap in site.listed("dilations", axes, 1, 1)):
        site.fail("has dilations; symconv averages neighbours only")
    if site.text("auto_pad", "NOTSET").startswith("SAME") and any(k < s for k, s in zip(kernel, steps, strict=True)):
        site.fail("pads by auto_pad with windows smaller than its stride, where the specification's pads would be negative")
    margins, extents = window_margins(site, axes, kernel, steps)
    if min(amount for pair in margins for amount in pair) < 0:
        site.fail("has negative pads")
    ceil, counts = bool(site.integer("ceil_mode", 0)), bool(site.integer("count_include_pad", 0))
    if ceil:
        _check_ceil(site, kernel, steps, margins)
    elif counts or not any(map(any, margins)):
        layers: list[Layer] = [Pad(margins)] if any(map(any, margins)) else []
        return site.reading(*layers, AvgPool.make(axes, kernel, steps), axes=axes, extents=extents)
    if axes == 3:
        site.fail("pads or rounds up on 3 axes; symconv's pooling there rejects extents below the kernel, as PyTorch's does")
    padding, after = _symmetric(site, kernel, steps, margins, ceil=ceil)
    cut: list[Layer] = [Pad(after)] if any(map(any, after)) else []
    return site.reading(AvgPool.make(axes, kernel, steps, padding, ceil, counts), *cut, axes=axes, extents=extents)


def _check_ceil(site: Site, kernel: Sequence[int], steps: Sequence[int], margins: Margins) -> None:
    """With ceil_mode the last window may start in the padding: operator set 22 leaves it out, older ones do not say."""
    for k, s, (_, after) in zip(kernel, steps, margins, strict=True):
        if s > k - after and site.opset < 22:
            site.fail("has ceil_mode and windows that may start in the padding, which its operator set does not settle")


def _symmetric(site: Site, kernel: Sequence[int], steps: Sequence[int], margins: Margins, *, ceil: bool) -> tuple[tuple[int, ...], Margins]:
    """A padding equal on both sides, and the crop of the output that takes off the windows added by it."""
    padding, after = [], []
    for k, s, (pb, pe) in zip(kernel, steps, margins, strict=True):
        if (pe - pb) % s or (ceil and pb != pe):
            site.fail(f"leaves pads out of its average and has different ones on the two sides, {pb} and {pe}")
        amount = max(pb, pe)
        if amount > k // 2:
            site.fail(f"has pads of {amount}, more than half its kernel {k}")
        padding.append(amount)
        after.append((-((amount - pb) // s), -((amount - pe) // s)))
    return tuple(padding), tuple(after)

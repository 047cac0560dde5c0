"""Conv and ConvTranspose as layers.

Owns: padding by name, output_shape, negative pads and large output padding.
Must not know: weights' values.
Source: ONNX Conv-1, -11, -22 and ConvTranspose-1, -11, -22.

Where the specification and others disagree, the specification is followed: SAME and output_shape of ConvTranspose put the extra sample at
the begin for NOTSET and SAME_LOWER and at the end for SAME_UPPER (its equation in versions 11 and 22), and output_padding takes part in the
total. A negative odd total, halved downwards, adds the extra sample at the end for NOTSET, as ONNX's own node test has it.
Version 1's equation has the two sides the other way round, against its own text, so an odd total is refused there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from symconv.frontends.onnx.reading import Reading, Site
from symconv.layers import Conv, ConvTranspose, Layer, Margins, Pad

LARGEST = 1 << 48
"""Elements of weights, at most."""

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def read_conv(site: Site) -> Reading:
    """Conv: a convolution, with a crop before it where pads are negative."""
    kernel, axes = _kernel(site)
    group = site.integer("group", 1)
    steps, gaps = site.listed("strides", axes, 1, 1), site.listed("dilations", axes, 1, 1)
    reach = [gap * (taps - 1) + 1 for taps, gap in zip(kernel[2:], gaps, strict=True)]
    margins, extents = window_margins(site, axes, reach, steps)
    bias = _bias(site, kernel[0])
    outside = tuple((max(before, 0), max(after, 0)) for before, after in margins)
    layers: list[Layer] = crop(margins)
    layers.append(Conv.make(axes, kernel[1] * group, kernel[0], kernel[2:], steps, outside, gaps, group, bias))
    return site.reading(*layers, axes=axes, kernel=site.parameter(1), bias=site.parameter(2), extents=extents)


def read_conv_transpose(site: Site) -> Reading:
    """ConvTranspose: a transposed convolution, of an input extended by zeros where its output reaches beyond what the taps do."""
    kernel, axes = _kernel(site)
    group = site.integer("group", 1)
    steps, gaps = site.listed("strides", axes, 1, 1), site.listed("dilations", axes, 1, 1)
    extra = site.listed("output_padding", axes, 0, 0)
    for axis in range(axes):
        if extra[axis] >= max(steps[axis], gaps[axis]):
            site.fail(f"has output_padding {extra[axis]} on axis {axis}; ONNX wants it smaller than stride or dilation")
    reach = [gap * (taps - 1) + 1 for taps, gap in zip(kernel[2:], gaps, strict=True)]
    margins, extents = _transpose_margins(site, axes, reach, steps, extra)
    bias = _bias(site, kernel[1] * group)
    zeros = tuple((max(-(before // step), 0), max(-(after // step), 0)) for (before, after), step in zip(margins, steps, strict=True))
    cropped = tuple((b + s * zb, e + s * ze) for (b, e), (zb, ze), s in zip(margins, zeros, steps, strict=True))
    layers: list[Layer] = [Pad(zeros)] if any(map(any, zeros)) else []
    layers.append(ConvTranspose.make(axes, kernel[0], kernel[1] * group, kernel[2:], steps, cropped, extra, group, bias, gaps))
    derived = site.node.attributes.get("output_shape") or _auto_pad(site).startswith("SAME")
    notes: tuple[str, ...] = ()
    if derived and any(sum(pair) < 0 for pair in margins):
        text = "asks for samples that no tap reaches; by the specification they are zeros, ONNX Runtime leaves them out"
        notes = (f"`{site.node.name}` {text}",)
    return site.reading(*layers, axes=axes, kernel=site.parameter(1), bias=site.parameter(2), extents=extents, notes=notes)


def window_margins(site: Site, axes: int, reach: Sequence[int], steps: Sequence[int]) -> tuple[Margins, tuple[int | None, ...]]:
    """Samples added before and after the input of a window that slides, and the extents for which that holds (see `Reading`)."""
    mode = _auto_pad(site)
    if mode in ("NOTSET", "VALID"):
        return _explicit(site, axes, mode), ()
    totals, extents = [], []
    spatial = site.spatial(axes)
    for axis in range(axes):
        extent = None
        if steps[axis] == 1 or reach[axis] == 1:
            total = reach[axis] - 1
        else:
            extent = None if spatial is None else spatial[axis].number
            if extent is None:
                site.fail(f"pads by auto_pad={mode} with stride {steps[axis]}, so its pads depend on the extent")
            total = max((-(-extent // steps[axis]) - 1) * steps[axis] + reach[axis] - extent, 0)
        totals.append(total)
        extents.append(extent)
    return _split(totals, upper=mode == "SAME_UPPER"), () if all(extent is None for extent in extents) else tuple(extents)


def crop(margins: Margins) -> list[Layer]:
    """A layer that takes off what negative margins say."""
    inside = tuple((min(before, 0), min(after, 0)) for before, after in margins)
    return [Pad(inside)] if any(map(any, inside)) else []


def _transpose_margins(
    site: Site, axes: int, reach: Sequence[int], steps: Sequence[int], extra: Sequence[int]
) -> tuple[Margins, tuple[int | None, ...]]:
    """Samples cropped before and after, and the extents for which that holds."""
    mode, fixed = _auto_pad(site), site.node.attributes.get("output_shape")
    if not fixed and mode in ("NOTSET", "VALID"):
        return _explicit(site, axes, mode), ()
    extents: tuple[int | None, ...] = ()
    if fixed:
        extents, totals = _fixed_totals(site, axes, reach, steps, extra)
    else:
        totals = [r + op - s for r, op, s in zip(reach, extra, steps, strict=True)]  # the output has s samples for each of the input
    for axis, total in enumerate(totals):
        if total % 2 and (site.opset < 11 or (total < 0 and mode == "SAME_UPPER")):
            why = "its equation in operator set 1 contradicts its text" if site.opset < 11 else "it is negative and auto_pad is SAME_UPPER"
            site.fail(f"has an odd total padding of {total} on axis {axis}, whose sides the specification does not settle: {why}")
    return _split(totals, upper=mode == "SAME_UPPER"), extents


def _fixed_totals(
    site: Site, axes: int, reach: Sequence[int], steps: Sequence[int], extra: Sequence[int]
) -> tuple[tuple[int | None, ...], list[int]]:
    found = site.node.attributes["output_shape"]
    if not isinstance(found, tuple) or len(found) not in (axes, axes + 2) or not all(isinstance(item, int) and item > 0 for item in found):
        site.fail(f"has an output_shape that is not one extent for each of its {axes} axes")
    spatial = site.spatial(axes)
    extents = [None if spatial is None else extent.number for extent in (spatial or (None,) * axes)]  # type: ignore[union-attr]
    if None in extents:
        site.fail(f"has the fixed output_shape {found[-axes:]}, so its pads depend on the extent")
    known = [extent for extent in extents if extent is not None]
    totals = [s * (n - 1) + op + r - m for n, s, op, r, m in zip(known, steps, extra, reach, found[-axes:], strict=True)]
    return tuple(extents), totals


def _explicit(site: Site, axes: int, mode: str) -> Margins:
    pads = site.listed("pads", 2 * axes, 0)
    if mode == "VALID" and any(pads):
        site.fail("has both auto_pad=VALID and pads")
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _split(totals: Sequence[int], *, upper: bool) -> Margins:
    """Totals halved, the odd sample at the end (`upper`) or at the begin."""
    halves = [total // 2 for total in totals]
    return tuple((half, total - half) if upper else (total - half, half) for total, half in zip(totals, halves, strict=True))


def _auto_pad(site: Site) -> str:
    mode = site.text("auto_pad", "NOTSET")
    if mode not in AUTO_PADS:
        site.fail(f"has an unknown auto_pad {mode!r}")
    if mode.startswith("SAME") and any(site.node.attributes.get("pads") or ()):
        site.fail(f"has both auto_pad={mode} and pads")
    return mode


def _kernel(site: Site) -> tuple[tuple[int, ...], int]:
    """The shape of the weights, and the number of spatial axes."""
    shape = site.shape(1)
    numbers = [] if shape is None else [extent.number for extent in shape]
    if len(numbers) < 3 or any(not extent for extent in numbers):
        site.fail("has weights of unknown shape" if shape is None or None in numbers else "has weights that are empty or of too low a rank")
    kernel = tuple(extent for extent in numbers if extent is not None)
    axes = site.axes(len(kernel) - 2)
    if site.listed("kernel_shape", axes, 0) not in ((0,) * axes, kernel[2:]):
        site.fail(f"has kernel_shape {site.node.attributes['kernel_shape']}, but weights of shape {kernel}")
    if math.prod(kernel) > LARGEST:
        site.fail(f"has weights of shape {kernel}, which nothing holds")
    group = site.integer("group", 1)
    if group < 1 or kernel[0] % group:
        site.fail(f"has group={group}, which does not divide the {kernel[0]} channels of its weights")
    found = site.shape()
    inward = kernel[1] * group if site.node.op == "Conv" else kernel[0]
    given = None if found is None else found[1].number
    if given is not None and given != inward:
        site.fail(f"has weights for {inward} input channels, but receives {given}")
    return kernel, axes


def _bias(site: Site, channels: int) -> bool:
    if not site.node.input(2):
        return False
    shape = site.shape(2)
    if shape is None or [extent.number for extent in shape] != [channels]:
        site.fail(f"has a bias that is not one number for each of {channels} output channels")
    return True

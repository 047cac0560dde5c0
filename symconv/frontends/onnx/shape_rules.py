"""Extents of what a node computes, operator by operator.

Owns: `SHAPE_RULES`, `target_shape`, `given_axes`. A rule raises where the result does not follow.
Must not know: layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symconv.frontends.onnx.cuts import cuts
from symconv.frontends.onnx.extents import Extent, product
from symconv.frontends.onnx.graph import Node
from symconv.frontends.onnx.state import MOST_INTEGERS, Shape, State
from symconv.frontends.onnx.tensors import MOST_AXES


def _spatial(node: Node, name: str, axes: int, default: int) -> Sequence[int]:
    found = node.attributes.get(name)
    if found is None or len(found) == 0:
        return (default,) * axes
    if len(found) != axes:
        raise ValueError
    return tuple(found)


def _windows(state: State, node: Node, shape: Shape, kernel: Sequence[int]) -> Shape:
    axes = len(kernel)
    steps, gaps = _spatial(node, "strides", axes, 1), _spatial(node, "dilations", axes, 1)
    pads = node.attributes.get("pads") or (0,) * (2 * axes)
    mode = node.attributes.get("auto_pad", "NOTSET")
    if len(shape) != axes + 2 or len(pads) != 2 * axes or min(*steps, *gaps, *kernel) < 1:
        raise ValueError
    out = []
    for axis, n in enumerate(shape[2:]):
        reach = gaps[axis] * (kernel[axis] - 1) + 1
        total = pads[axis] + pads[axes + axis] if mode == "NOTSET" else 0
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            out.append((n + (steps[axis] - 1)).over(steps[axis]))
        else:
            rest = n + (total - reach)
            out.append(((rest + (steps[axis] - 1)) if node.attributes.get("ceil_mode", 0) else rest).over(steps[axis]) + 1)
    return tuple(out)


def _batch_of(state: State, node: Node, rank: int) -> Shape:
    """The extents of an input; atoms of its own where nothing is known of them but that the node takes that rank."""
    name = node.input(0)
    return state.shapes.get(name) or tuple(Extent.of(f"{name}[{axis}]") for axis in range(rank))


def _conv_shape(state: State, node: Node) -> Shape:
    kernel = state.shapes[node.input(1)]
    shape = _batch_of(state, node, len(kernel))
    taps = [extent.number for extent in kernel[2:]]
    return (shape[0], kernel[0], *_windows(state, node, shape, [tap for tap in taps if tap is not None]))


def _transpose_conv_shape(state: State, node: Node) -> Shape:
    kernel = state.shapes[node.input(1)]
    shape = _batch_of(state, node, len(kernel))
    axes = len(kernel) - 2
    taps = [extent.number or 0 for extent in kernel[2:]]
    steps, gaps, extra = (
        _spatial(node, name, axes, default) for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads, mode = node.attributes.get("pads") or (0,) * (2 * axes), node.attributes.get("auto_pad", "NOTSET")
    if len(shape) != axes + 2 or len(pads) != 2 * axes or min(*steps, *gaps, *taps) < 1:
        raise ValueError
    channels = kernel[1] * int(node.attributes.get("group", 1))
    if fixed := node.attributes.get("output_shape"):
        return (shape[0], channels, *map(Extent.of, fixed[-axes:]))
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return (shape[0], channels, *(n * step for n, step in zip(shape[2:], steps, strict=True)))
    total = [pads[axis] + pads[axes + axis] if mode == "NOTSET" else 0 for axis in range(axes)]
    reach = [gap * (tap - 1) + 1 for gap, tap in zip(gaps, taps, strict=True)]
    return (shape[0], channels, *((n - 1) * s + (r + e - t) for n, s, r, e, t in zip(shape[2:], steps, reach, extra, total, strict=True)))


def _pool_shape(state: State, node: Node) -> Shape:
    shape = state.shapes[node.input(0)]
    return (*shape[:2], *_windows(state, node, shape, node.attributes["kernel_shape"]))


def _shuffled(state: State, node: Node) -> Shape:
    r, (batch, channels, high, wide) = node.attributes["blocksize"], state.shapes[node.input(0)]
    if r < 1:
        raise ValueError
    if node.op == "DepthToSpace":
        return batch, channels.over(r * r), high * r, wide * r
    return batch, channels * (r * r), high.over(r), wide.over(r)


def _padded(state: State, node: Node) -> Shape:
    shape = list(state.shapes[node.input(0)])
    pads = list(node.attributes["pads"]) if "pads" in node.attributes else state.plain(node, 1)
    axes = state.plain(node, 3) if node.input(3) else range(len(shape))
    count = len(pads) // 2
    for axis, before, after in zip(axes, pads[:count], pads[count:], strict=True):
        shape[axis] = shape[axis] + (before + after)
    return tuple(shape)


def _cut(state: State, node: Node) -> Shape:
    shape = list(state.shapes[node.input(0)])
    found = cuts(state.model, node, state.shapes[node.input(0)], lambda name: state.numbers[name].items if name in state.numbers else None)
    if isinstance(found, str):
        raise ValueError(found)
    for axis, (before, after) in found.items():
        shape[axis] = shape[axis] - (before + after)
    return tuple(shape)


def _resized(state: State, node: Node) -> Shape:
    shape = list(state.shapes[node.input(0)])
    axes = [axis % len(shape) for axis in node.attributes.get("axes", range(len(shape)))]
    upsample = node.op == "Upsample"
    scales = node.input(1) if upsample or state.model.opset < 11 else node.input(2)
    if "scales" in node.attributes:
        found = [float(item) for item in node.attributes["scales"]]
    elif not upsample and (sizes := node.input(3)) and state.model.opset >= 11:
        for axis, extent in zip(axes, state.operand(node, 3).items, strict=True):
            if extent is None or node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
                raise ValueError(sizes)
            shape[axis] = extent
        return tuple(shape)
    else:
        held = state.model.constant(scales, MOST_INTEGERS)
        if held is None:
            raise ValueError
        found = [float(item) for item in held.reshape(-1)]
    for axis, scale in zip(axes, found, strict=True):
        numerator, denominator = scale.as_integer_ratio()
        shape[axis] = (shape[axis] * numerator).over(denominator)
    return tuple(shape)


def _reshaped(state: State, node: Node) -> Shape:
    shape = state.shapes[node.input(0)]
    found = target_shape(shape, state.operand(node, 1).items, zero_copies=not node.attributes.get("allowzero", 0))
    return tuple(Extent.of(f"{node.outputs[0]}[{axis}]") if extent is None else extent for axis, extent in enumerate(found))


def target_shape(shape: Shape, target: Sequence[Extent | None], *, zero_copies: bool) -> tuple[Extent | None, ...]:
    """The extents that Reshape gives, 0 and -1 resolved; None for what -1 stands for, if that does not follow.

    Raises:
        ValueError: another extent does not follow, or this is no Reshape.
    """
    out: list[Extent | None] = []
    for axis, extent in enumerate(target):
        if extent is None or (extent.number is not None and extent.number < -1):
            raise ValueError
        out.append(shape[axis] if extent.number == 0 and zero_copies else None if extent.number == -1 else extent)
    if out.count(None) > 1:
        raise ValueError
    if None in out:
        out[out.index(None)] = _left_over(shape, [extent for extent in out if extent is not None])
    return tuple(out)


def _left_over(shape: Shape, others: list[Extent]) -> Extent | None:
    """What -1 stands for: the quotient of two products after equal factors are left out."""
    left, rest = list(shape), []
    for extent in others:
        if extent in left:
            left.remove(extent)
        else:
            rest.append(extent)
    below, above = product(rest), product(left)
    if above == below:
        return Extent.of(1)
    return above.over(below.number) if below.number else above.divided(below)


def _transposed(state: State, node: Node) -> Shape:
    shape = state.shapes[node.input(0)]
    perm = node.attributes.get("perm") or tuple(reversed(range(len(shape))))
    if sorted(perm) != list(range(len(shape))):
        raise ValueError
    return tuple(shape[axis] for axis in perm)


def given_axes(state_integers: Callable[[str], Sequence[Extent | None] | None], node: Node, position: int = 1) -> list[int] | None:
    """The axes of Squeeze, Unsqueeze, Pad or Slice: an attribute or a constant input; None if left out.

    Raises:
        ValueError: they are not constant.
    """
    if "axes" in node.attributes:
        return [int(axis) for axis in node.attributes["axes"]]
    if not node.input(position):
        return None
    found = state_integers(node.input(position))
    if found is None or any(item is None or item.number is None for item in found):
        raise ValueError
    return [item.number for item in found if item is not None and item.number is not None]


def without_ones(shape: Shape, axes: list[int] | None) -> Shape:
    """What Squeeze leaves.

    Raises:
        ValueError: it does not follow, or is no Squeeze.
    """
    if axes is None:
        if any(extent.number is None for extent in shape):
            raise ValueError
        return tuple(extent for extent in shape if extent.number != 1)
    places = {axis % len(shape) for axis in axes}
    if any(shape[place].number != 1 for place in places):
        raise ValueError
    return tuple(extent for axis, extent in enumerate(shape) if axis not in places)


def with_ones(shape: Shape, axes: list[int]) -> Shape:
    """What Unsqueeze gives."""
    rank = len(shape) + len(axes)
    places, rest = {axis % rank for axis in axes}, iter(shape)
    if len(places) != len(axes) or rank > MOST_AXES:
        raise ValueError
    return tuple(Extent.of(1) if axis in places else next(rest) for axis in range(rank))


def _squeezed(state: State, node: Node) -> Shape:
    items = {name: held.items for name, held in state.numbers.items()} if node.input(1) else {}
    return without_ones(state.shapes[node.input(0)], given_axes(items.get, node))


def _unsqueezed(state: State, node: Node) -> Shape:
    items = {node.input(1): state.numbers[node.input(1)].items} if node.input(1) in state.numbers else {}
    axes = given_axes(items.get, node)
    if axes is None:
        raise ValueError
    return with_ones(state.shapes[node.input(0)], axes)


def _concatenated(state: State, node: Node) -> Shape:
    shapes = [state.shapes[name] for name in node.inputs]
    axis = node.attributes["axis"] % len(shapes[0])
    total = Extent.of(0)
    for shape in shapes:
        total = total + shape[axis]
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _multiplied(state: State, node: Node) -> Shape:
    left, right = state.shapes[node.input(0)], state.shapes[node.input(1)]
    if len(left) < 2 or len(right) < 2:
        raise ValueError
    batch = state.broadcast([left[:-2], right[:-2]], node.outputs[0]) if len(left) > 2 or len(right) > 2 else ()
    if batch is None:
        raise ValueError
    return (*batch, left[-2], right[-1])


def _gemm(state: State, node: Node) -> Shape:
    left, right = state.shapes[node.input(0)], state.shapes[node.input(1)]
    return left[1 if node.attributes.get("transA", 0) else 0], right[0 if node.attributes.get("transB", 0) else 1]


def _reduced(state: State, node: Node) -> Shape:
    shape = state.shapes[node.input(0)]
    lookup = {node.input(1): state.numbers[node.input(1)].items} if node.input(1) in state.numbers else {}
    axes = given_axes(lookup.get, node)
    if axes is None and node.attributes.get("noop_with_empty_axes", 0):
        return shape
    places = set(range(len(shape))) if axes is None else {axis % len(shape) for axis in axes}
    if node.attributes.get("keepdims", 1):
        return tuple(Extent.of(1) if axis in places else extent for axis, extent in enumerate(shape))
    return tuple(extent for axis, extent in enumerate(shape) if axis not in places)


def _global(state: State, node: Node) -> Shape:
    shape = state.shapes[node.input(0)]
    return (*shape[:2], *(Extent.of(1),) * (len(shape) - 2))


SHAPE_RULES: dict[str, Callable[[State, Node], Shape]] = {
    "Conv": _conv_shape,
    "ConvTranspose": _transpose_conv_shape,
    "AveragePool": _pool_shape,
    "MaxPool": _pool_shape,
    "GlobalAveragePool": _global,
    "GlobalMaxPool": _global,
    **dict.fromkeys((f"Reduce{name}" for name in ("L1", "L2", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare", "LogSumExp")), _reduced),
    "DepthToSpace": _shuffled,
    "SpaceToDepth": _shuffled,
    "Pad": _padded,
    "Slice": _cut,
    "Resize": _resized,
    "Upsample": _resized,
    "Reshape": _reshaped,
    "Transpose": _transposed,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Concat": _concatenated,
    "MatMul": _multiplied,
    "Gemm": _gemm,
}

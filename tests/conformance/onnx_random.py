"""Random ONNX nodes with small integer weights, and random inputs for them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSETS = (9, 10, 11, 13, 16, 18, 19, 21, 22)


@attrs.frozen
class Case:
    """A model of one node, the channels and extents of an input for it, and whether its extents are declared."""

    model: ModelProto
    channels: int
    extents: tuple[int, ...]
    fixed: bool

    @property
    def node(self) -> Any:
        return self.model.graph.node[0]

    def input(self, seed: int) -> np.ndarray:
        """One input of small integers, without the batch axis."""
        return np.random.default_rng(seed).integers(-4, 5, (self.channels, *self.extents)).astype(np.float32)

    def __str__(self) -> str:
        attributes = {item.name: helper.get_attribute_value(item) for item in self.node.attribute}
        held = {item.name: numpy_helper.to_array(item).tolist() for item in self.model.graph.initializer if item.name not in "WB"}
        shapes = {item.name: list(item.dims) for item in self.model.graph.initializer if item.name in "WB"}
        return (
            f"{self.node.op_type}-{self.model.opset_import[0].version} {attributes} {held} {shapes} at {self.extents}, fixed={self.fixed}"
        )


def build(
    op: str, opset: int, channels: int, extents: tuple[int, ...], fixed: bool, constants: dict[str, np.ndarray | None], **attributes: Any
) -> Case:
    """The model; a constant of None is an input that is left out."""
    dims: list[Any] = [1 if fixed else "batch", channels, *(extents if fixed else (f"n{axis}" for axis in range(len(extents))))]
    names = [name if value is not None else "" for name, value in constants.items()]
    while names and not names[-1]:
        names.pop()
    kept = {name: value for name, value in attributes.items() if value is not None}
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *names], ["y"], name="it", **kept)],
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * len(dims))],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if value is not None],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return Case(model, channels, extents, fixed)


def _axes(rng: random.Random) -> int:
    return rng.choice((1, 1, 2, 2, 3))


def _list(rng: random.Random, axes: int, low: int, high: int) -> list[int]:
    return [rng.randint(low, high) for _ in range(axes)]


def _weights(rng: random.Random, shape: list[int]) -> np.ndarray:
    return np.random.default_rng(rng.getrandbits(32)).integers(-5, 6, shape).astype(np.float32)


def conv(rng: random.Random) -> Case:
    axes, group = _axes(rng), rng.choice((1, 1, 2, 3))
    inner, outer = rng.randint(1, 2), group * rng.randint(1, 2)
    kernel, steps, gaps = _list(rng, axes, 1, 4), _list(rng, axes, 1, 3), _list(rng, axes, 1, 2)
    mode = rng.choice(("NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    if mode.startswith("SAME"):
        steps = rng.choice(([1] * axes, steps))
    constants = {"W": _weights(rng, [outer, inner, *kernel]), "B": rng.choice((None, _weights(rng, [outer])))}
    return build(
        "Conv",
        rng.choice(OPSETS),
        inner * group,
        tuple(_list(rng, axes, 1, 7)),
        rng.random() < 0.5,
        constants,
        auto_pad=rng.choice((None, "NOTSET")) if mode == "NOTSET" else mode,
        pads=_list(rng, 2 * axes, 0, 3) if mode == "NOTSET" and rng.random() < 0.8 else None,
        strides=steps if steps != [1] * axes or rng.random() < 0.5 else None,
        dilations=gaps if gaps != [1] * axes or rng.random() < 0.5 else None,
        group=group if group > 1 else None,
        kernel_shape=rng.choice((None, kernel)),
    )


def conv_transpose(rng: random.Random) -> Case:
    axes, group = _axes(rng), rng.choice((1, 1, 2))
    inner, outer = rng.randint(1, 2), rng.randint(1, 2)
    kernel, steps, gaps = _list(rng, axes, 1, 4), _list(rng, axes, 1, 3), _list(rng, axes, 1, 2)
    mode = rng.choice(("NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    extra = [rng.randint(0, max(s, d) - 1) for s, d in zip(steps, gaps, strict=True)]
    extents, fixed = tuple(_list(rng, axes, 1, 5)), rng.random() < 0.5
    shape = None
    if mode != "VALID" and rng.random() < 0.25:
        natural = [s * (n - 1) + d * (k - 1) + 1 for s, n, d, k in zip(steps, extents, gaps, kernel, strict=True)]
        shape = [max(m + rng.randint(-3, 2), 1) for m in natural]
        fixed = fixed or rng.random() < 0.8
    constants = {"W": _weights(rng, [inner * group, outer, *kernel]), "B": rng.choice((None, _weights(rng, [outer * group])))}
    return build(
        "ConvTranspose",
        rng.choice(OPSETS),
        inner * group,
        extents,
        fixed,
        constants,
        auto_pad=mode if mode != "NOTSET" else None,
        pads=_list(rng, 2 * axes, 0, 2) if mode == "NOTSET" and rng.random() < 0.8 and shape is None else None,
        strides=steps if steps != [1] * axes or rng.random() < 0.5 else None,
        dilations=gaps if gaps != [1] * axes or rng.random() < 0.5 else None,
        output_padding=extra if any(extra) and rng.random() < 0.7 else None,
        output_shape=shape,
        group=group if group > 1 else None,
    )


def shuffle(rng: random.Random) -> Case:
    r, up, opset = rng.randint(1, 3), rng.random() < 0.5, rng.choice(OPSETS)
    extents = _list(rng, 2, 1, 4)
    mode = rng.choice((None, "DCR", "CRD")) if up and opset >= 11 else None
    channels = rng.randint(1, 3) * (r * r if up else 1)
    at = tuple(extents if up or rng.random() < 0.1 else (n * r for n in extents))
    return build("DepthToSpace" if up else "SpaceToDepth", opset, channels, at, rng.random() < 0.5, {}, blocksize=r, mode=mode)


def pad(rng: random.Random) -> Case:
    axes, opset = _axes(rng), rng.choice(OPSETS)
    mode = rng.choice(("constant", "constant", "reflect", "edge") + (("wrap",) if opset >= 19 else ()))
    extents = tuple(_list(rng, axes, 3, 6))
    pads = _list(rng, 2 * axes, -1 if rng.random() < 0.3 else 0, 2)
    chosen = mode if mode != "constant" or rng.random() < 0.5 else None
    if opset < 11:
        return build("Pad", opset, 2, extents, rng.random() < 0.5, {}, mode=chosen, pads=[0, 0, *pads[:axes], 0, 0, *pads[axes:]])
    whole = np.array([0, 0, *pads[:axes], 0, 0, *pads[axes:]], dtype=np.int64)
    constants: dict[str, np.ndarray | None] = {"P": whole, "V": rng.choice((None, np.zeros((), np.float32)))}
    if opset >= 18 and rng.random() < 0.5:
        places = rng.sample(range(2, axes + 2), axes)
        constants["P"] = np.array([pads[a - 2] for a in places] + [pads[axes + a - 2] for a in places], dtype=np.int64)
        constants["A"] = np.array([a - rng.choice((0, axes + 2)) for a in places], dtype=np.int64)
    return build("Pad", opset, 2, extents, rng.random() < 0.5, constants, mode=chosen)


def cut(rng: random.Random) -> Case:
    axes, opset = _axes(rng), rng.choice(OPSETS)
    places = rng.sample(range(2, axes + 2), rng.randint(1, axes))
    extents = tuple(_list(rng, axes, 4, 7))
    starts = [rng.choice((0, 1, 2, -(2**31), -3)) for _ in places]
    ends = [rng.choice((2**31 - 1, 2**63 - 1, -1, -2, 3, 1000)) for _ in places]
    if opset < 10:
        return build("Slice", opset, 2, extents, rng.random() < 0.5, {}, starts=starts, ends=ends, axes=places)
    columns = {name: np.array(items, dtype=np.int64) for name, items in (("S", starts), ("E", ends), ("A", places))}
    columns["T"] = None if rng.random() < 0.5 else np.ones(len(places), np.int64)  # type: ignore[assignment]
    return build("Slice", opset, 2, extents, rng.random() < 0.5, dict(columns))


def resize(rng: random.Random) -> Case:
    axes, opset = rng.choice((1, 2, 2, 3)), rng.choice(OPSETS)
    factors = [rng.choice((1, 2, 2, 3, 4, 4)) for _ in range(axes)]
    extents = tuple(_list(rng, axes, 1, 4))
    fixed, mode = rng.random() < 0.5, rng.choice(("nearest", "nearest", "linear", "cubic"))
    scales = np.array([1, 1, *factors], np.float32)
    if opset < 11:
        return build("Upsample" if opset == 9 else "Resize", opset, 2, extents, fixed, {"S": scales}, mode="nearest")
    places = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]
    places += ["tf_half_pixel_for_nn"] if opset < 13 else []
    places += ["half_pixel_symmetric"] if opset >= 19 else []
    if mode == "cubic":
        axes, factors, extents = 2, (factors * 2)[:2], (extents * 2)[:2]
        scales = np.array([1, 1, *factors], np.float32)
    constants: dict[str, np.ndarray | None] = {"R": np.zeros(0, np.float32), "S": scales}
    if fixed and rng.random() < 0.5:
        sizes = np.array([1, 2, *(n * r for n, r in zip(extents, factors, strict=True))], np.int64)
        constants = (
            {"R": None, "S": None, "Z": sizes} if opset >= 13 else {"R": np.zeros(0, np.float32), "S": np.zeros(0, np.float32), "Z": sizes}
        )
    axis_list = None
    if opset >= 18 and "Z" not in constants and rng.random() < 0.5:
        axis_list = list(range(2, axes + 2))
        constants["S"] = scales[2:]
    return build(
        "Resize",
        opset,
        2,
        extents,
        fixed,
        constants,
        mode=mode,
        coordinate_transformation_mode=rng.choice(places),
        nearest_mode=rng.choice(("floor", "round_prefer_floor", "round_prefer_ceil", "ceil")) if mode == "nearest" else None,
        axes=axis_list,
    )


def average_pool(rng: random.Random) -> Case:
    axes, opset = _axes(rng), rng.choice(OPSETS)
    kernel, steps = _list(rng, axes, 1, 4), _list(rng, axes, 1, 3)
    mode = rng.choice(("NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    pads = [rng.randint(0, (k + 1) // 2) for k in kernel]
    ends = pads if rng.random() < 0.6 else [rng.randint(0, (k + 1) // 2) for k in kernel]
    return build(
        "AveragePool",
        opset,
        2,
        tuple(_list(rng, axes, 1, 7)),
        rng.random() < 0.5,
        {},
        kernel_shape=kernel,
        strides=steps if rng.random() < 0.8 else None,
        pads=[*pads, *ends] if mode == "NOTSET" else None,
        auto_pad=mode if mode != "NOTSET" else None,
        ceil_mode=rng.choice((None, None, 1)) if opset >= 10 and mode == "NOTSET" else None,
        count_include_pad=rng.choice((None, 1)),
    )


KINDS: dict[str, Callable[[random.Random], Case]] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Shuffle": shuffle,
    "Pad": pad,
    "Slice": cut,
    "Resize": resize,
    "AveragePool": average_pool,
}

"""Shuffling spelled with Reshape and Transpose: what is recognised is right at every size, and what exporters write is recognised."""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from symconv.conformance.onnx_evaluate import evaluate
from symconv.frontends.onnx.graph import OnnxModel, load
from symconv.frontends.onnx.network import network, whole
from symconv.frontends.onnx.nodes import Reading, readings
from symconv.layers import Identity, Shuffle, Unshuffle
from symconv.layers.expression import format_layer
from symconv.operators.denote import ExtentRejected
from tests.frontends.onnx.build import node, opened, proto
from tests.frontends.onnx.view_chains import chain


def moved(model: OnnxModel) -> Reading:
    """The one reading that moves samples, or that of the first node."""
    found = {id(reading): reading for reading in readings(model).values() if reading.layer is not None}
    kept = [reading for reading in found.values() if reading.span[0].op in ("Reshape", "Transpose", "Unsqueeze")]
    return kept[0] if kept else next(reading for reading in readings(model).values() if reading.span[0].op == "Reshape")


SIZES = {1: (1, 2, 3, 4, 5, 6), 2: (1, 2, 3, 6)}


def agrees(seed: int, folder: Path) -> str:
    """Compares one random stretch with ONNX Runtime at several sizes; what is not recognised is not compared."""
    from symconv.conformance.onnx_runtime import RuntimeRejects, Session

    proto_, channels, axes = chain(seed)
    model = opened(folder, proto_)
    reading = moved(model)
    if reading.layer is None or reading.output != model.outputs[0] or reading.input != "x":
        return "unread"
    assert reading.all_extents
    chained = network(model, reading.span)
    session = Session(model.path.read_bytes())
    for batch, *extents in itertools.product((1, 2, 3), *([SIZES[axes]] * axes)):
        x = np.arange(batch * channels * int(np.prod(extents)), dtype=np.float32).reshape(batch, channels, *extents)
        try:
            (theirs,) = session.run({"x": x})
        except RuntimeRejects:
            theirs = None
        try:
            ours = np.stack([evaluate(chained, item).values for item in x])
        except ExtentRejected:
            ours = None
        assert (ours is None) == (theirs is None), (seed, x.shape, reading.layer)
        assert ours is None or (ours.shape == theirs.shape and (ours == theirs).all()), (seed, x.shape, reading.layer)
    return type(reading.layer.layers[0]).__name__


def test_random_stretches(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    counts = Counter(agrees(seed, tmp_path) for seed in range(30))
    assert counts["Shuffle"] >= 4 and counts["Unshuffle"] >= 4 and counts["unread"] >= 4, counts


@pytest.mark.slow
def test_many_random_stretches(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    counts = Counter(agrees(seed, tmp_path) for seed in range(1000, 1700))
    assert counts["Shuffle"] >= 120 and counts["Unshuffle"] >= 120, counts


def einops(folder: Path, reshape: list[Any], perm: list[int], target: list[Any], shape: list[Any]) -> Reading:
    """Reshape, Transpose, Reshape with fixed targets."""
    nodes = [node("Reshape", "x a", "u"), node("Transpose", "u", "v", perm=perm), node("Reshape", "v b", "y")]
    model = opened(folder, proto(nodes, {"x": shape}, constants={"a": reshape, "b": target}))
    return readings(model)[0]


def test_a_fixed_target_holds_at_its_extents_only(tmp_path: Path) -> None:
    fixed = einops(tmp_path, [2, 2, 2, 2, 6, 10], [0, 1, 4, 2, 5, 3], [2, 2, 12, 20], [2, 8, 6, 10])
    assert fixed.layer is not None and fixed.layer.layers == (Shuffle((2, 2), "CRD"),) and fixed.extents == (6, 10)
    free = einops(tmp_path, [2, 2, 2, 2, 6, 10], [0, 1, 4, 2, 5, 3], [2, 2, 12, 20], [2, 8, "h", "w"])
    assert free.layer is None


def test_an_order_of_neither_kind(tmp_path: Path) -> None:
    """Phases with their axes exchanged: the extents of PixelShuffle, other samples."""
    found = einops(tmp_path, [2, 2, 2, 2, 6, 10], [0, 1, 4, 3, 5, 2], [2, 2, 12, 20], [2, 8, 6, 10])
    assert found.layer is None and "neither order" in found.reason


def test_a_batch_that_absorbs_what_does_not_divide(tmp_path: Path) -> None:
    """[-1, c, h // 2, 2] lets odd extents through for some batches, and mixes the samples; it is not PixelUnshuffle."""
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s two", "n", axis=0), node("Div", "n half", "m"), node("Concat", "free c m half", "t", axis=0),
        node("Reshape", "x t", "u"), node("Transpose", "u", "v", perm=[0, 1, 3, 2]), node("Concat", "free d m", "q", axis=0),
        node("Reshape", "v q", "y"),
    ]  # fmt: skip
    constants = {"two": [2], "half": [2], "free": [-1], "c": [3], "d": [6]}
    model = opened(tmp_path, proto(nodes, {"x": ["n", 3, "t"]}, constants=constants))
    found = readings(model)[4]
    assert found.layer is None and "does not reject" in found.reason
    nodes[-2] = node("Concat", "batch d m", "q", axis=0)
    kept = [*nodes[:-2], node("Gather", "s zero", "batch", axis=0), *nodes[-2:]]
    model = opened(tmp_path, proto(kept, {"x": ["n", 3, "t"]}, constants={**constants, "zero": [0]}))
    found = readings(model)[4]
    assert found.layer is not None and found.layer.layers == (Unshuffle((2,), "CRD"),)


def test_nodes_between_are_seen_elsewhere(tmp_path: Path) -> None:
    nodes = [
        node("Reshape", "x a", "u"),
        node("Transpose", "u", "v", perm=[0, 1, 4, 2, 5, 3]),
        node("Reshape", "v b", "y"),
        node("Relu", "v", "z"),
    ]
    constants = {"a": [2, 2, 2, 2, 6, 10], "b": [2, 2, 12, 20]}
    model = opened(tmp_path, proto(nodes, {"x": [2, 8, 6, 10]}, ["y", "z"], constants))
    assert all(len(reading.span) == 1 for reading in readings(model).values())


def test_a_reshape_that_does_nothing(tmp_path: Path) -> None:
    model = opened(tmp_path, proto([node("Reshape", "x t", "y")], {"x": ["n", 4, "h", "w"]}, constants={"t": [0, 0, 0, -1]}))
    found = readings(model)[0]
    assert found.layer is not None and isinstance(found.layer.layers[0], Identity) and found.all_extents


def exported(folder: Path, module: Any, shape: tuple[int, ...], *, dynamo: bool) -> OnnxModel:
    """A module as PyTorch exports it, batch and spatial axes dynamic."""
    import torch

    free = [axis for axis in range(len(shape)) if axis != 1]
    path, x = folder / "exported.onnx", torch.randn(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            dynamic = (dict.fromkeys(free, torch.export.Dim.DYNAMIC),)
            torch.onnx.export(module.eval(), (x,), path, dynamic_shapes=dynamic, dynamo=True, verbose=False)
        else:
            names = {axis: f"d{axis}" for axis in free}
            torch.onnx.export(module.eval(), (x,), path, dynamic_axes={"x": names}, input_names=["x"], dynamo=False)
    return load(path)


def modules() -> dict[str, tuple[Any, tuple[int, ...], str]]:
    from torch import nn
    from torch.nn import functional

    class Function(nn.Module):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = function

        def forward(self, x: Any) -> Any:
            return self.function(x)

    def depth_to_space(x: Any) -> Any:
        b, c, h, w = x.shape
        return x.view(b, 2, 2, c // 4, h, w).permute(0, 3, 4, 1, 5, 2).contiguous().view(b, c // 4, 2 * h, 2 * w)

    def expand(x: Any) -> Any:
        b, c, h, w = x.shape
        return x.permute(0, 2, 3, 1).view(b, h, w, 2, 2, c // 4).permute(0, 5, 1, 3, 2, 4).reshape(b, c // 4, 2 * h, 2 * w)

    def fold(x: Any) -> Any:
        b, c, n = x.shape
        return x.view(b, c // 2, 2, n).permute(0, 1, 3, 2).reshape(b, c // 2, 2 * n)

    image = (2, 8, 6, 10)
    return {
        "shuffle": (nn.PixelShuffle(2), image, "PixelShuffle(2)"),
        "unshuffle": (nn.PixelUnshuffle(2), image, "PixelUnshuffle(2)"),
        "depth to space": (Function(depth_to_space), image, "DepthToSpace(2)"),
        "expand": (Function(expand), image, "DepthToSpace(2)"),
        "fold": (Function(fold), (2, 8, 6), "PixelShuffle(2)"),
        "resize": (nn.Upsample(scale_factor=2), image, "Upsample(scale_factor=2)"),
        "size": (Function(lambda x: functional.interpolate(x, size=(2 * x.shape[2], 3 * x.shape[3]))), image, "Upsample(scale_factor=(2, 3))"),
        "bicubic": (nn.Upsample(scale_factor=3, mode="bicubic"), image, "Upsample(scale_factor=3, mode='bicubic')"),
        "transposed": (nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), image, "ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)"),
        "reflect": (nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"), image, "Conv2d(8, 4, 3, padding=1, padding_mode='reflect')"),
        "trimmed": (Function(lambda x: x[..., 1 : x.shape[-1] - 2]), image, "Crop(1, 2, 0, 0)"),
        "pad": (Function(lambda x: functional.pad(x, (-1, 2, 1, 0))), image, "ZeroPad2d((-1, 2, 1, 0))"),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_what_exporters_write(tmp_path: Path, dynamo: bool) -> None:
    pytest.importorskip("onnxscript")
    for name, (module, shape, expected) in modules().items():
        model = exported(tmp_path, module, shape, dynamo=dynamo)
        assert format_layer(network(model, whole(model)).layer, len(shape) - 2) == expected, name


@pytest.mark.slow
def test_channel_shuffle_as_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    from torch import nn

    model = exported(tmp_path, nn.ChannelShuffle(2), (2, 8, 6, 10), dynamo=True)
    assert format_layer(network(model, whole(model)).layer, 2) == "ChannelShuffle(2)"

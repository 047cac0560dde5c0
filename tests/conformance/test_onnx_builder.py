"""Chains written as ONNX models compute what PyTorch's do, bit for bit on small integers, at several extents of one model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from symconv.conformance.onnx_builder import to_onnx
from symconv.conformance.runtimes import RUNTIMES, load
from symconv.conformance.torch_runs import TorchSetting, run_torch
from symconv.errors import OutsideFragment, UsageError
from symconv.frontends.text import parse
from symconv.layers import BatchNorm, Conv, ConvTranspose, PReLU, Weights
from symconv.prove.decide import bind_pair
from symconv.prove.reshuffle import bias_length, has_bias, kernel_shape

CHAINS = [
    "Conv1d(2, 4, 3, stride=2, padding=1, dilation=2)",
    "Conv2d(4, 6, (3, 2), padding=(1, 0), groups=2, bias=False)",
    "Conv3d(2, 2, 2, padding=1)",
    *(f"Conv2d(2, 2, 3, padding=(1, 2), padding_mode='{mode}')" for mode in ("reflect", "replicate", "circular")),
    "ConvTranspose1d(2, 4, 5, stride=3, padding=1, output_padding=2, groups=2)",
    "ConvTranspose1d(2, 3, 3, stride=2, padding=1, dilation=4, output_padding=3)",  # runtimes refuse output padding of the stride or more
    "ConvTranspose1d(2, 3, 1, stride=1, dilation=3, output_padding=2)",
    "ConvTranspose2d(2, 3, (4, 3), stride=(2, 1), padding=(1, 0))",
    "ConvTranspose3d(2, 2, 2, stride=2)",
    *(f"Conv{d}d(1, {2 * 2**d}, 2) >> DepthToSpace(2, mode='{mode}')" for d in (1, 2, 3) for mode in ("CRD", "DCR")),
    "Conv2d(1, 12, 2) >> PixelShuffle((2, 3))",
    *(f"SpaceToDepth(2, mode='{mode}') >> Conv{d}d({2 * 2**d}, 2, 1)" for d in (1, 2, 3) for mode in ("CRD", "DCR")),
    "PixelUnshuffle((2, 1)) >> Conv2d(4, 2, 1)",
    "Conv1d(1, 6, 2) >> ChannelShuffle(3)",
    "ZeroInsert(3) >> Conv1d(2, 2, 3)",
    "ZeroInsert((2, 3)) >> ZeroPad2d((1, 0, 2, 1)) >> Conv2d(1, 2, 2)",
    "ZeroPad1d((3, -1)) >> Conv1d(1, 2, 2)",
    "ReflectionPad2d((1, 2, 0, 1)) >> Crop((1, 0, 0, 2)) >> Conv2d(1, 1, 1)",
    "ReplicationPad3d(1) >> Conv3d(1, 1, 2)",
    "CircularPad1d((2, 1)) >> Conv1d(1, 1, 2)",
    "Upsample(scale_factor=3) >> Conv2d(1, 1, 2)",
    "Upsample(scale_factor=(2, 4), mode='nearest-exact') >> Conv2d(1, 1, 1)",
    "Upsample(scale_factor=2, mode='bilinear') >> Conv2d(1, 2, 1)",
    "Upsample(scale_factor=4, mode='linear') >> Conv1d(1, 2, 1)",
    "AvgPool2d(2, padding=1) >> Conv2d(1, 2, 1)",
    "AvgPool2d(3, stride=2, padding=1, divisor_override=8) >> Conv2d(1, 2, 1)",
    "Conv1d(1, 3, 2) >> PReLU(3) >> Conv1d(3, 1, 1)",
    "Conv1d(1, 3, 2) >> ReLU6() >> Hardtanh(-1, 4) >> Threshold(2, 1)",
]
INEXACT = [
    "Upsample(scale_factor=2, mode='bicubic') >> Conv2d(1, 2, 1)",
    "BatchNorm2d(2)",
    "Conv1d(1, 2, 1) >> GELU() >> Mish()",
    "Conv1d(1, 2, 1) >> LogSigmoid() >> SiLU()",
    "Conv1d(1, 2, 1) >> ELU() >> Softshrink(0.3) >> Tanhshrink() >> SELU()",
]


def weighted(text: str) -> tuple[Any, tuple[Weights | None, ...], int, int]:
    """(chain, integer weights, axes, channels)."""
    pair = bind_pair(parse(text), parse(text))
    chance = np.random.default_rng(7)
    weights: list[Weights | None] = []
    for layer in pair.left:
        if isinstance(layer, PReLU):
            weights.append(Weights(np.arange(layer.num_parameters) + 2.0))
        elif isinstance(layer, BatchNorm):
            drawn = [chance.uniform(0.5, 2, layer.num_features) for _ in range(4)]
            weights.append(Weights(*drawn))
        elif isinstance(layer, (Conv, ConvTranspose)):
            kernel = chance.integers(-3, 4, kernel_shape(layer)).astype(float)
            weights.append(Weights(kernel, chance.integers(-3, 4, bias_length(layer)).astype(float) if has_bias(layer) else None))
        else:
            weights.append(None)
    return pair.left, tuple(weights), pair.axes, pair.channels


@pytest.mark.parametrize("backend", RUNTIMES)
@pytest.mark.parametrize("text", CHAINS + INEXACT)
def test_runtimes_agree_with_pytorch(text: str, backend: str) -> None:
    chain, weights, axes, channels = weighted(text)
    model = to_onnx(chain, axes, channels, weights)
    onnx.checker.check_model(model, full_check=True)
    call = load(backend).prepare(model, "float32", "cpu")
    chance = np.random.default_rng(3)
    for extents in ((6,) * axes, (4, 8, 6)[:axes]):  # one model, several extents
        x = chance.integers(-3, 4, (2, channels, *extents)).astype(float)
        expected = run_torch(chain, weights, axes, x, None, TorchSetting(dtype="float64")).forward
        if text in CHAINS:
            assert np.array_equal(call({"x": x})["y"], expected)
        else:
            assert np.allclose(call({"x": x})["y"], expected, rtol=1e-4, atol=1e-4)


def test_a_dynamic_model_names_its_free_extents() -> None:
    chain, weights, axes, channels = weighted("Conv2d(2, 8, 3) >> PixelShuffle(2)")
    model = to_onnx(chain, axes, channels, weights, "float16")
    shape = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in shape] == ["batch", 2, "height", "width"]
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert [node.op_type for node in model.graph.node] == ["Conv", "DepthToSpace", "Identity"]


def test_what_onnx_lacks_is_refused() -> None:
    with pytest.raises(OutsideFragment, match="Softplus"):
        to_onnx(parse("Softplus(beta=2)"), 1, 1, (None,))
    with pytest.raises(UsageError, match="torch, onnxruntime, openvino"):
        load("tensorrt")

"""Every layer that is written as ONNX nodes computes what PyTorch's does, in every operator set, at extents that nothing fixes."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from symconv.conformance.torch_oracle import to_module
from symconv.convert.onnx.emission import Names, emit
from symconv.frontends.text import parse
from symconv.layers import Conv, ConvTranspose, Weights, channels_through, flatten
from symconv.prove.reshuffle import kernel_shape

ort = pytest.importorskip("onnxruntime")
OPSETS = (9, 10, 11, 12, 13, 18, 21, 23)
CASES = {
    "ConvTranspose2d(2, 4, (3, 4), stride=2, padding=(1, 0), output_padding=(1, 0), groups=2, dilation=1)": (3, 4),
    "ZeroPad2d((1, -1, 0, 2)) >> Conv2d(2, 3, 2)": (4, 5),
    "Crop((1, 0, 2, 1))": (5, 4),
    "Conv2d(2, 8, 3, padding=1) >> PixelShuffle(2)": (3, 4),
    "Conv2d(2, 8, 3, padding=1) >> DepthToSpace(2)": (3, 4),
    "Conv1d(2, 6, 3, padding=1) >> PixelShuffle(3) >> Crop((1, 2))": (5,),
    "Conv1d(2, 6, 3, padding=1) >> DepthToSpace(3)": (5,),
    "Conv3d(1, 16, 1) >> PixelShuffle(2)": (2, 3, 4),
    "Conv3d(1, 16, 1) >> DepthToSpace(2)": (2, 3, 4),
    "PixelUnshuffle(2)": (4, 6),
    "SpaceToDepth(2)": (4, 6),
    "PixelUnshuffle(3) >> Conv1d(6, 1, 2)": (9,),
    "SpaceToDepth(3) >> Conv1d(6, 1, 2)": (9,),
    "PixelUnshuffle(2) >> Conv3d(16, 1, 1)": (2, 4, 6),
    "SpaceToDepth(2) >> Conv3d(16, 1, 1)": (2, 4, 6),
    "ZeroInsert(3)": (4,),
    "ZeroInsert(2)": (2, 3),
    "ZeroInsert(2) >> Conv2d(2, 1, 3, padding=1)": (2, 3),
    "ZeroInsert((3, 2)) >> Conv2d(2, 1, 3, padding=1)": (2, 3),
    "ZeroInsert(2) >> Conv3d(2, 1, 2)": (2, 3, 2),
    "Conv2d(2, 6, 3, padding=1) >> PixelShuffle((3, 1))": (3, 4),
}


def run(model, value):
    onnx.checker.check_model(model)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": value})[0]


def exercised(text, opset, native, extents):
    axes = len(extents)
    chain = flatten(parse(text).bind(axes))
    random = np.random.default_rng(0)
    channels = next((layer.channels[0] for layer in chain[:1] if layer.channels), 2)
    counts = channels_through(chain, channels)
    weights, held = [], None
    for layer in chain:
        taps = isinstance(layer, (Conv, ConvTranspose))
        if taps:
            held = Weights(
                random.integers(-9, 9, kernel_shape(layer)).astype("f4"), random.integers(-9, 9, layer.out_channels).astype("f4")
            )
        weights.append(held if taps else None)
    free = [f"n{axis}" for axis in range(axes)]
    made = emit(
        chain,
        channels,
        input="x",
        output="y",
        kernel="w",
        bias="b",
        base="layer",
        names=Names({"x", "y", "w", "b"}),
        opset=opset,
        depth_to_space=native,
    )
    constants = dict(made.constants)
    if held is not None:
        constants |= {"w": held.kernel, "b": held.bias}
    graph = helper.make_graph(
        list(made.nodes), "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", channels, *free])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * (axes + 2))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=4 if opset < 11 else 8)
    module = to_module(parse(text).bind(axes), axes, torch.float64, weights=tuple(weights))
    for scale in (1, 2, 3):
        value = random.integers(-9, 9, (2, channels, *(n * scale for n in extents))).astype("f4")
        wanted = module(torch.from_numpy(value).double()).detach().numpy()
        found = run(model, value)
        assert found.shape == wanted.shape and counts[-1] == found.shape[1]
        assert np.array_equal(found, wanted), text
    return made


@pytest.mark.parametrize("text", CASES)
def test_nodes_compute_the_layer(text):
    for opset in (9, 11, 18):
        for native in (True, False):
            made = exercised(text, opset, native, CASES[text])
            assert native or not {"DepthToSpace", "SpaceToDepth"} & {node.op_type for node in made.nodes}


@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
def test_every_operator_set(opset):
    for text, extents in CASES.items():
        for native in (True, False):
            exercised(text, opset, native, extents)


def test_names_do_not_collide():
    taken = {"layer/Conv", "layer/Conv_output", "layer/starts"}
    chain = flatten(parse("Conv2d(1, 1, 1) >> Crop(1)").bind(2))
    made = emit(chain, 1, input="x", output="y", kernel="w", bias="b", base="layer", names=Names(taken), opset=13)
    names = [node.name for node in made.nodes] + [value for node in made.nodes for value in node.output] + list(made.constants)
    assert not taken & set(names) and len(set(names)) == len(names)

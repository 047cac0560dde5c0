"""Small ONNX models for conversions, with whatever a file may hold besides layers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = {"f4": TensorProto.FLOAT, "f8": TensorProto.DOUBLE, "f2": TensorProto.FLOAT16}


def integers(shape, dtype="f4", seed=0):
    """Small integers other than 0, so that every tap is seen and sums are exact."""
    random = np.random.default_rng(seed)
    return (random.integers(1, 5, shape) * random.choice([-1, 1], shape)).astype(dtype)


def model(
    nodes, initializers, *, inputs=("x",), outputs=("y",), rank=4, channels=2, opset=17, dtype="f4", ir=8, graph_fields=None, **fields
):
    """A model with free batch and extents."""
    free = ["batch", channels, *(f"n{axis}" for axis in range(rank - 2))]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(name, FLOAT[dtype], free) for name in inputs],
        [helper.make_tensor_value_info(name, FLOAT[dtype], [None] * rank) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
        **(graph_fields or {}),
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir, **fields)


def upsampler(name="up", value="x", output="y", kernel="w", bias="b", **attributes):
    """A ConvTranspose k4 s2 p1, or as told."""
    settings = {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]} | attributes
    return helper.make_node("ConvTranspose", [value, kernel, *([bias] if bias else [])], [output], name, **settings)


def simple(dtype="f4", **fields):
    """One ConvTranspose2d(2, 3, 4, stride=2, padding=1)."""
    return model([upsampler()], {"w": integers((2, 3, 4, 4), dtype), "b": integers((3,), dtype, 1)}, dtype=dtype, **fields)


def save(proto, path, **options):
    """Writes it; returns the path."""
    onnx.save(proto, str(path), **options)
    return path

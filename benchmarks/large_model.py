"""A large synthetic ONNX model with external data: many transposed convolutions side by side.

Owns: `write_large_model`.
Must not know: what is measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper

KINDS = (
    {"kernel_shape": [4, 4], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]},
    {"kernel_shape": [5, 5], "strides": [2, 2], "pads": [2, 2, 2, 2], "output_padding": [1, 1]},
    {"kernel_shape": [6, 6], "strides": [2, 2], "pads": [2, 2, 2, 2]},
)


def write_large_model(folder: Path, layers: int, megabytes: int, widest: int = 0) -> Path:
    """Writes model.onnx and model.bin.

    Args:
        folder: where.
        layers: how many.
        megabytes: of weights, about, over all layers.
        widest: megabytes of one more layer, whose kernel is the largest tensor; none if 0.

    Returns:
        The path of the model.
    """
    taps = sum(np.prod(kind["kernel_shape"]) for kind in KINDS) / len(KINDS)
    channels = int((megabytes * 2**20 / (4 * layers * taps)) ** 0.5)
    random = np.random.default_rng(0)
    noise = random.standard_normal(1 << 20, dtype=np.float32)
    nodes, tensors, at = [], [], 0
    with open(folder / "model.bin", "wb") as sink:
        sizes = [(channels, channels, KINDS[k % len(KINDS)]) for k in range(layers)]
        if widest:
            sizes.append((channels, int(widest * 2**20 / (4 * 16 * channels)), KINDS[0]))
        for k, (inward, outward, kind) in enumerate(sizes):
            for name, shape in ((f"w{k}", (inward, outward, *kind["kernel_shape"])), (f"b{k}", (outward,))):
                count = int(np.prod(shape))
                tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
                for key, value in (("location", "model.bin"), ("offset", str(at)), ("length", str(4 * count))):
                    tensor.external_data.add(key=key, value=value)
                tensors.append(tensor)
                for start in range(0, count, noise.size):
                    sink.write(noise[: min(noise.size, count - start)].tobytes())
                at += 4 * count
            nodes.append(helper.make_node("ConvTranspose", ["x", f"w{k}", f"b{k}"], [f"y{k}"], f"up{k}", **kind))
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", channels, "h", "w"])],
        [helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, [None] * 4) for k in range(len(nodes))],
    )
    graph.initializer.extend(tensors)
    proto: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(proto.SerializeToString())
    return folder / "model.onnx"

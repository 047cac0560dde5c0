"""Files that a bundle must not vouch for."""

import json

import numpy as np
import onnx
import pytest
from convert.onnx_models import integers, model, save, upsampler
from onnx import TensorProto, helper

from symconv.app.convert_model import convert_model
from symconv.certificate.bundle import read_bundle
from symconv.conformance.bundle import check_bundle
from symconv.errors import ModelError
from symconv.frontends.onnx.graph import load


def test_content_beside_the_file_that_no_digest_covers_is_refused(tmp_path):
    """A Constant's tensor may lie in a file of its own: two models with equal bytes, in two folders, may then hold different numbers."""
    constant = helper.make_node("Constant", [], ["c"], "c", value=helper.make_tensor("c", TensorProto.FLOAT, [1], [2.0]))
    nodes = [upsampler("up", "x", "m"), constant, helper.make_node("Mul", ["m", "c"], ["y"], "mul")]
    weights = {"w": integers((2, 4, 4, 4)), "b": integers((4,), seed=1)}
    path = save(model(nodes, weights), tmp_path / "m.onnx")
    convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    bundle = read_bundle(json.loads((tmp_path / "o.symconv.json").read_text()), "bundle")
    assert check_bundle(bundle, load(path), load(tmp_path / "o.onnx")).accepted
    moved = []
    for name, value in (("m.onnx", 2.0), ("o.onnx", 7.0)):
        proto = onnx.load(tmp_path / name)
        tensor = next(node for node in proto.graph.node if node.op_type == "Constant" and node.name == "c").attribute[0].t
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in (("location", "c.bin"), ("offset", "0"), ("length", "4")):
            tensor.external_data.add(key=key, value=text)
        folder = tmp_path / name[0]
        folder.mkdir()
        np.float32([value]).tofile(folder / "c.bin")
        onnx.save(proto, folder / name)
        moved.append(load(folder / name))
    with pytest.raises(ModelError, match="external data"):
        check_bundle(bundle, *moved)

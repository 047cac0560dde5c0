"""Files that a bundle must not vouch for, models that must not pass for identical, and targets that must get what they ask for."""

import json

import numpy as np
import onnx
import pytest
from convert.onnx_models import integers, model, save, upsampler
from onnx import TensorProto, helper

from symconv.app.convert_model import convert_model
from symconv.certificate.bundle import read_bundle
from symconv.conformance.bundle import check_bundle, untouched
from symconv.conformance.model_diff import diff
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


def feature_map(name, *dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def graph(nodes, weights, inputs):
    """A model with the inputs that are given."""
    proto = model(nodes, weights)
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    return proto


def shuffled(head, tail, size):
    """A convolution and the three nodes that shuffle, which take the extents of the value `size`."""
    return [
        helper.make_node("Conv", ["x", "w"], ["m"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Shape", [size], ["s"], "shape", start=2, end=4),
        helper.make_node("Concat", [head, "s"], ["t1"], "c1", axis=0),
        helper.make_node("Reshape", ["m", "t1"], ["r1"], "r1"),
        helper.make_node("Transpose", ["r1"], ["r2"], "t", perm=[0, 1, 4, 2, 5, 3]),
        helper.make_node("Mul", ["s", "two"], ["s2"], "mul"),
        helper.make_node("Concat", [tail, "s2"], ["t2"], "c2", axis=0),
        helper.make_node("Reshape", ["r2", "t2"], ["y"], "r3"),
    ]


def constants():
    return {"w": integers((12, 2, 3, 3)), "head": np.array([0, 3, 2, 2]), "tail": np.array([0, 3]), "two": np.array([2])}


def changes(proto, folder, to):
    return len(convert_model(save(proto, folder / "m.onnx"), to, output=folder / "o.onnx", force=True).plan.changes)


def test_a_dimension_may_be_named_like_an_extent_of_another_value(tmp_path):
    """The input x has the dimension "z[2]"; it is not the extent of z on axis 2."""
    nodes = shuffled("head", "tail", "z")
    other = feature_map("z", None, None, None, None)
    assert changes(graph(nodes, constants(), [feature_map("x", "n", 2, "z[2]", "z[3]"), other]), tmp_path, "transposed") == 0
    own = shuffled("head", "tail", "m")
    assert changes(graph(own, constants(), [feature_map("x", "n", 2, "z[2]", "z[3]")]), tmp_path, "transposed") == 1


def test_what_a_caller_may_override_is_no_constant(tmp_path):
    """A kernel made of an input with a default, and a target of Reshape that is one, stay as they are."""
    x, kernel = feature_map("x", "n", 2, 4, 5), integers((2, 3, 4, 4))
    nodes = [helper.make_node("Identity", ["w"], ["k"], "id"), upsampler("up", "x", "y", "k", None)]
    assert changes(graph(nodes, {"w": kernel}, [x]), tmp_path, "lr-shuffle") == 1
    assert changes(graph(nodes, {"w": kernel}, [x, feature_map("w", 2, 3, 4, 4)]), tmp_path, "lr-shuffle") == 0
    targets = {"w": integers((12, 2, 3, 3)), "t1": np.array([0, 3, 2, 2, 4, 5]), "t2": np.array([0, 3, 8, 10])}
    nodes = [node for node in shuffled("head", "tail", "m") if node.name in ("conv", "r1", "t", "r3")]
    free = helper.make_tensor_value_info("t2", TensorProto.INT64, [4])
    assert changes(graph(nodes, targets, [x]), tmp_path, "transposed") == 1
    assert changes(graph(nodes, targets, [x, free]), tmp_path, "transposed") == 0


def forged(record, folder, original, converted):
    """The verdict on two models, once the digests of what the bundle does not list are made to fit."""
    for name, proto in (("fm.onnx", original), ("fo.onnx", converted)):
        onnx.save(proto, folder / name)
    models = {"original": load(folder / "fm.onnx"), "converted": load(folder / "fo.onnx")}
    for side, other in (("original", "converted"), ("converted", "original")):
        listed = record[side]
        listed["untouched"] = untouched(models[side], listed["nodes"], listed["initializers"], models[other])
    return check_bundle(read_bundle(record, "bundle"), models["original"], models["converted"])


def test_a_bundle_vouches_for_no_bias_that_is_computed(tmp_path):
    """Both layers add a bias that an input holds, each another one: with no content, no digest can say that they are alike."""
    path = save(model([upsampler()], {"w": integers((2, 3, 4, 4)), "b": integers((3,), seed=1)}), tmp_path / "m.onnx")
    convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    record = json.loads((tmp_path / "o.symconv.json").read_text())
    protos = [onnx.load(path), onnx.load(tmp_path / "o.onnx")]
    names = ("b", record["layers"][0]["after"]["bias"]["value"])
    assert forged(record, tmp_path, *protos).accepted
    for proto, own, side, key, given in zip(protos, names, ("original", "converted"), ("before", "after"), ("one", "two"), strict=True):
        proto.graph.input.extend([feature_map("one", 3), feature_map("two", 12)])
        proto.graph.initializer.remove(next(item for item in proto.graph.initializer if item.name == own))
        next(node for node in proto.graph.node if node.op_type.startswith("Conv")).input[2] = given
        record[side]["initializers"].remove(own)
        record["layers"][0][key]["bias"] = None
    assert not forged(record, tmp_path, *protos).accepted


def test_a_bundle_believes_no_extents_that_the_new_nodes_declare(tmp_path):
    """The new Reshape takes its extents from a node that turns the axes, of which the file says that it does not."""
    weights = {"w": integers((2, 3, 4, 4)), "b": integers((3,), seed=1)}
    path = save(graph([helper.make_node("Relu", ["x"], ["v"], "relu"), upsampler(value="v")], weights, [feature_map("x", 1, 2, 3, 5)]),
                tmp_path / "m.onnx")  # fmt: skip
    convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx", target=["no-depth-to-space"])
    record = json.loads((tmp_path / "o.symconv.json").read_text())
    proto = onnx.load(tmp_path / "o.onnx")
    size = next(node for node in proto.graph.node if node.op_type == "Shape")
    proto.graph.node.append(helper.make_node("Einsum", [size.input[0]], ["z"], "turned", equation="abcd->abdc"))
    proto.graph.value_info.append(feature_map("z", 1, 12, 4, 6))
    size.input[0] = "z"
    record["converted"]["nodes"].append("turned")
    result = forged(record, tmp_path, onnx.load(path), proto)
    assert not result.accepted
    assert "Einsum" in result.reason


def test_a_bias_that_is_an_input_tells_models_apart(tmp_path):
    """Two models with one kernel, whose layers add two different inputs, are not identical."""
    inputs = [feature_map("x", "n", 2, "h", "w"), feature_map("b1", 3), feature_map("b2", 3)]
    for name in ("b1", "b2"):
        save(graph([upsampler(bias=name)], {"w": integers((2, 3, 4, 4))}, inputs), tmp_path / f"{name}.onnx")
    found = [diff(str(tmp_path / "b1.onnx"), str(tmp_path / f"{name}.onnx"), seconds=30).relation.value for name in ("b1", "b2")]
    assert found == ["identical", "different"]  # a run that is exact, or bounded, shows it


@pytest.mark.parametrize(
    ("node", "shape", "to", "target"),
    [
        (("ConvTranspose", {"strides": [2, 2], "dilations": [3, 3], "pads": [1, 0, 1, 0], "group": 2}), (2, 1, 5, 2), "zero-insertion",
         ["symmetric-pads"]),
        (("ConvTranspose", {"strides": [2, 2]}), (1, 1, 3, 3), "zero-insertion", ["no-depth-to-space"]),
        (("Conv", {"strides": [4, 1], "pads": [1, 1, 3, 0]}), (2, 2, 4, 4), "unshuffle", []),
        (("Conv", {"strides": [3, 4], "pads": [1, 2, 2, 2], "dilations": [1, 2]}), (2, 2, 4, 4), "unshuffle", []),
    ],
)  # fmt: skip
def test_what_is_written_passes_its_own_check_and_keeps_the_constraints(tmp_path, node, shape, to, target):
    """One channel has its phases alike in both orders; pads that the stride divides leave a sum behind the floor; pads stay even."""
    ort = pytest.importorskip("onnxruntime")
    op, attributes = node
    proto = model([helper.make_node(op, ["x", "w"], ["y"], "up", **attributes)], {"w": integers(shape)}, channels=shape[0])
    path = save(proto, tmp_path / "m.onnx")
    assert convert_model(path, to, output=tmp_path / "o.onnx", target=target, common_extents=True).files is not None
    for made in onnx.load(tmp_path / "o.onnx").graph.node:
        pads = next((list(item.ints) for item in made.attribute if item.name == "pads"), [])
        assert "symmetric-pads" not in target or pads[: len(pads) // 2] == pads[len(pads) // 2 :]
    given = {"x": integers((1, shape[0], 24, 24), seed=3)}
    runs = [
        ort.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"]).run(None, given)[0] for name in ("m.onnx", "o.onnx")
    ]
    assert np.array_equal(*runs)

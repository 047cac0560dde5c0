"""Models rewritten: the function stays, weights move bit for bit, everything else is the same bytes."""

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from convert.onnx_models import integers, model, save, simple, upsampler
from onnx import TensorProto, helper, numpy_helper

from symconv.app.convert_model import convert_model
from symconv.app.main import main
from symconv.errors import ModelError, UsageError
from symconv.frontends.onnx.wire import BYTES, fields, only

ort = pytest.importorskip("onnxruntime")


def outputs(path, value, **more):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: value, **more})


def same(one, two, channels=2, extents=((3, 4), (5, 2), (1, 1)), seed=7):
    """Both models give the same numbers, exactly: all of them are small integers."""
    for n in extents:
        value = integers((2, channels, *n), seed=seed)
        for left, right in zip(outputs(one, value), outputs(two, value), strict=True):
            assert left.shape == right.shape and np.array_equal(left, right)


def converted(tmp_path, proto, to="lr-shuffle", name="model", **options):
    """(conversion, path of the original, path of the rewritten model)."""
    path = save(proto, tmp_path / f"{name}.onnx")
    done = convert_model(path, to, output=tmp_path / "out.onnx", force=True, **options)
    return done, path, tmp_path / "out.onnx"


def verified(tmp_path, model, original):
    return main(["verify", str(tmp_path / "out.symconv.json"), "--model", str(model), "--original", str(original), "--json"])


def ops(path):
    return [node.op_type for node in onnx.load(str(path), load_external_data=False).graph.node]


def raw(path, number=None):
    """The bytes of the graph's fields of one number."""
    content = path.read_bytes()
    graph = only(content, 7)
    return [content[f.start : f.stop] for f in fields(content, graph.body, graph.stop) if number is None or f.number == number]


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 17, 22, 25])
@pytest.mark.parametrize("to", ["lr-shuffle", "zero-insertion"])
def test_function_stays_and_the_way_back_gives_the_original_weights(tmp_path, to, opset, capsys):
    proto = simple(opset=opset, ir=4 if opset < 11 else 10)
    done, path, out = converted(tmp_path, proto, to)
    assert done.exit_code == 0 and "ConvTranspose" not in ops(out)
    onnx.checker.check_model(str(out), full_check=True)
    same(path, out)
    assert verified(tmp_path, out, path) == 0
    back = convert_model(out, "transposed", output=tmp_path / "back.onnx")
    assert back.exit_code == 0 and ops(tmp_path / "back.onnx") == ["ConvTranspose"]
    (node,) = onnx.load(str(tmp_path / "back.onnx")).graph.node
    held = {item.name: item.raw_data for item in onnx.load(str(tmp_path / "back.onnx")).graph.initializer}
    assert [held[node.input[1]], held[node.input[2]]] == [item.raw_data for item in proto.graph.initializer]
    assert list(node.output) == ["y"] and node.name == "up"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("axes", "attributes", "shape"),
    [
        (1, {"kernel_shape": [16], "strides": [8], "pads": [4, 4]}, (3, 2, 16)),
        (1, {"kernel_shape": [3], "strides": [2], "pads": [1, 1], "output_padding": [1]}, (2, 3, 3)),
        (1, {"kernel_shape": [5], "strides": [3], "pads": [0, 2], "dilations": [2]}, (2, 3, 5)),
        (1, {"kernel_shape": [2], "strides": [4], "pads": [0, 0], "output_padding": [1]}, (2, 3, 2)),
        (2, {"kernel_shape": [4, 3], "strides": [2, 3], "pads": [1, 0, 0, 1], "group": 2}, (4, 3, 4, 3)),
        (2, {"kernel_shape": [9, 9], "strides": [3, 3], "pads": [4, 4, 4, 4], "output_padding": [2, 2]}, (4, 1, 9, 9)),
        (2, {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [0, 0, 0, 0]}, (2, 3, 3, 3)),
        (3, {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2], "pads": [0] * 6}, (2, 3, 2, 2, 2)),
        (3, {"kernel_shape": [3, 4, 2], "strides": [2, 2, 1], "pads": [1, 1, 0, 0, 1, 1]}, (2, 1, 3, 4, 2)),
    ],
)
def test_hyperparameters(tmp_path, axes, attributes, shape):
    group = attributes.get("group", 1)
    weights = {"w": integers(shape), "b": integers((shape[1] * group,), seed=1)}
    for to in ("lr-shuffle", "zero-insertion"):
        proto = model([upsampler(**attributes)], weights, rank=axes + 2, channels=shape[0])
        done, path, out = converted(tmp_path, proto, to)
        assert len(done.plan.changes) == 1
        same(path, out, channels=shape[0], extents=((3,) * axes, tuple(range(2, axes + 2)), (5,) + (2,) * (axes - 1)))


@pytest.mark.parametrize("dtype", ["f2", "f8", "bfloat16"])
def test_bits_move_in_every_element_type(tmp_path, dtype):
    """NaN payloads, infinities and -0.0 among them."""
    width = {"f2": 16, "f8": 64, "bfloat16": 16}[dtype]
    kind = {"f2": TensorProto.FLOAT16, "f8": TensorProto.DOUBLE, "bfloat16": TensorProto.BFLOAT16}[dtype]
    bits = np.random.default_rng(0).integers(0, 1 << 16, (2, 3, 4, 4)).astype(f"u{width // 8}") << (width - 16)
    proto = simple()
    for item in proto.graph.initializer:
        part = bits if item.name == "w" else bits.reshape(-1)[:3]
        item.ClearField("float_data")
        item.data_type, item.raw_data = kind, part.tobytes()
    for item in (*proto.graph.input, *proto.graph.output):
        item.type.tensor_type.elem_type = kind
    _, _, out = converted(tmp_path, proto)
    moved = next(item for item in onnx.load(str(out)).graph.initializer if item.name.startswith("w."))
    assert moved.data_type == kind
    found = np.frombuffer(moved.raw_data, bits.dtype)
    assert sorted(found[found != 0]) == sorted(bits[bits != 0].reshape(-1))
    convert_model(out, "transposed", output=tmp_path / "back.onnx")
    held = {item.raw_data for item in onnx.load(str(tmp_path / "back.onnx")).graph.initializer}
    assert held == {bits.tobytes(), bits.reshape(-1)[:3].tobytes()}


def crowded():
    """Two layers that share a kernel, one of which is used elsewhere too; subgraphs, functions, metadata, names that nearly collide."""
    inner = helper.make_graph(
        [upsampler("inside", "x", "branch", bias=None)], "then", [], [helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)]
    )
    other = helper.make_graph(
        [helper.make_node("Identity", ["b_out"], ["branch2"])],
        "else",
        [],
        [helper.make_tensor_value_info("branch2", TensorProto.FLOAT, None)],
    )
    nodes = [
        upsampler("up", "x", "a_out", doc_string="first"),
        upsampler("up2", "x", "b_out", kernel="w", bias="b2"),
        helper.make_node("If", ["flag"], ["chosen"], "choose", then_branch=inner, else_branch=other),
        helper.make_node("Add", ["a_out", "chosen"], ["sum"], "add"),
        helper.make_node("ReduceSum", ["shared"], ["total"], "total", keepdims=0),
        upsampler("third", "x", "c_out", kernel="shared", bias=None),
        helper.make_node("Add", ["sum", "c_out"], ["sum2"], "add2"),
        helper.make_node("Mul", ["sum2", "total"], ["y"], "mul"),
        helper.make_node("Identity", ["x"], ["up/Conv_output"], "up/Conv"),
    ]
    weights = {
        "w": integers((2, 3, 4, 4)),
        "b": integers((3,), seed=1),
        "b2": integers((3,), seed=2),
        "shared": integers((2, 3, 4, 4), seed=3),
    }
    weights |= {"flag": np.array(True), "w.lr-shuffle": integers((1,)), "unused": integers((2, 2))}
    proto = model(nodes, weights, opset=17, producer_name="someone", doc_string="a model")
    proto.graph.doc_string = "its graph"
    proto.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3, "h", "w"]) for name in ("a_out", "sum")
    )
    proto.metadata_props.add(key="author", value="someone")
    proto.functions.append(
        helper.make_function(
            "own", "f", ["p"], ["q"], [helper.make_node("ConvTranspose", ["p", "p"], ["q"], "in f")], [helper.make_opsetid("", 17)]
        )
    )
    return proto


def test_everything_else_is_left_byte_for_byte(tmp_path):
    proto = crowded()
    path = tmp_path / "model.onnx"
    strange = b"\xf2\x3e\x05hello" + b"\xa8\x3e\x07"  # fields 1006 and 997, which ONNX does not have
    graph = proto.graph.SerializeToString() + strange
    rest = onnx.ModelProto()
    rest.CopyFrom(proto)
    rest.ClearField("graph")
    varint = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7 & 0x7F | 0x80, len(graph) >> 14])
    path.write_bytes(strange + b"\x3a" + varint + graph + rest.SerializeToString())
    done = convert_model(path, "lr-shuffle", output=tmp_path / "out.onnx")
    out = tmp_path / "out.onnx"
    assert [change.name for change in done.plan.changes] == ["up", "up2", "third"]
    stays = {stay.name: stay for stay in done.plan.stays}
    assert stays["inside"].status == stays["in f"].status == "refused" and done.exit_code == 1
    onnx.checker.check_model(str(out))
    same(path, out)

    before, after = path.read_bytes(), out.read_bytes()
    outer = [[data[f.start : f.stop] for f in fields(data) if f.number != 7 or f.kind != BYTES] for data in (before, after)]
    assert outer[0] == outer[1]
    for number in {f.number for f in fields(before, only(before, 7).body, only(before, 7).stop)} - {1, 5}:
        assert raw(path, number) == raw(out, number)
    kept = [node for node, name in zip(raw(path, 1), [n.name for n in proto.graph.node], strict=True) if name not in ("up", "up2", "third")]
    assert [node for node in raw(out, 1) if node in kept] == kept
    names = [item.name for item in onnx.load(str(out)).graph.initializer]
    assert {"w", "shared", "unused"} <= set(names)  # `w` is used inside the subgraph, `shared` by ReduceSum
    assert "b" not in names and "b2" not in names and len(set(names)) == len(names)
    kernels = [node.input[1] for node in onnx.load(str(out)).graph.node if node.op_type == "Conv"]
    assert kernels[0] == kernels[1] != kernels[2] and kernels[0] not in ("w.lr-shuffle", "w")
    first = next(node for node in onnx.load(str(out)).graph.node if node.name == "up")
    assert first.op_type == "Conv" and first.doc_string == "first"
    assert verified(tmp_path, out, path) == 0


def test_old_models_whose_initializers_are_inputs(tmp_path):
    proto = simple(opset=9, ir=3)
    proto.graph.input.extend(helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in proto.graph.initializer)
    _, path, out = converted(tmp_path, proto)
    onnx.checker.check_model(str(out))
    same(path, out)
    assert raw(path, 11) == raw(out, 11) and raw(path, 5) == raw(out, 5)
    assert verified(tmp_path, out, path) == 0


def test_kernels_that_are_constants_or_views_of_them(tmp_path):
    weights = {"t": integers((3, 2, 4, 4))}
    held = numpy_helper.from_array(integers((3,), seed=1), "c")
    nodes = [
        helper.make_node("Transpose", ["t"], ["w"], "turn", perm=[1, 0, 2, 3]),
        helper.make_node("Constant", [], ["b"], "held", value=held),
        upsampler(),
    ]
    done, path, out = converted(tmp_path, model(nodes, weights))
    assert len(done.plan.changes) == 1
    same(path, out)
    assert "Transpose" not in ops(out) and verified(tmp_path, out, path) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (2, 3, 4, 4))), "a caller may replace it"),
        (lambda p: p.graph.node.insert(0, helper.make_node("Mul", ["v", "v"], ["w"], "norm")), "computed while the model runs"),
        (lambda p: p.graph.node[0].attribute.append(helper.make_attribute("output_shape", [7, 7])), "depend on the extent"),
    ],
)
def test_refusals_say_why(tmp_path, change, reason):
    proto = simple()
    change(proto)
    if "norm" in reason or "computed" in reason:
        proto.graph.initializer[0].name = "v"
    done, _, out = converted(tmp_path, proto)
    (stay,) = done.plan.stays
    assert done.files is None and not out.exists() and done.exit_code == 1
    assert stay.status == "refused" and reason in stay.reason


def test_values_inside_a_stretch_that_are_seen_elsewhere(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["inner"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["inner"], ["y"], "shuffle", blocksize=2, mode="CRD"),
    ]
    weights = {"w": integers((8, 2, 3, 3))}
    done, path, out = converted(tmp_path, model(nodes, weights), "transposed")
    assert [change.choice.texts[1] for change in done.plan.changes] == ["ConvTranspose2d(2, 2, 6, stride=2, padding=2, bias=False)"]
    same(path, out)
    out.unlink()
    for seen in (True, False):
        proto = model([*nodes, helper.make_node("Identity", ["inner"], ["z"], "look")], weights, outputs=("y", "z" if seen else "inner"))
        done, _, _ = converted(tmp_path, proto, "transposed")
        (stay,) = (stay for stay in done.plan.stays if stay.status != "kept")
        assert "`inner` inside it" in stay.reason and done.exit_code == 1


def test_biases_and_weights_decide_whether_it_is_transposed(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["inner"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["inner"], ["y"], "shuffle", blocksize=2, mode="DCR"),
    ]
    free = {"w": integers((8, 2, 3, 3)), "b": integers((8,), seed=1)}
    done, _, _ = converted(tmp_path, model(nodes, free), "transposed")
    assert "differ between the phases" in done.plan.stays[0].reason
    tied = free | {"b": np.tile(integers((2,), seed=1), 4)}  # DCR: phase-major
    done, path, out = converted(tmp_path, model(nodes, tied), "transposed")
    same(path, out)
    sparse = np.zeros((8, 2, 3, 3), "f4")
    sparse[:, :, 1, 1] = integers((8, 2))
    done, path, out = converted(tmp_path, model(nodes, tied | {"w": sparse}), "transposed")
    assert done.plan.changes[0].choice.texts[1] == "ConvTranspose2d(2, 2, 2, stride=2)"
    same(path, out)


TARGETS = [
    ("lr-shuffle", "symmetric-pads", {"kernel_shape": [9, 9], "strides": [3, 3], "pads": [4] * 4, "output_padding": [2, 2]}, (2, 1, 9, 9)),
    ("lr-shuffle", "no-groups", {"group": 2}, (2, 1, 4, 4)),
    ("lr-shuffle", "no-depth-to-space,no-transposed-convolution", {}, (2, 3, 4, 4)),
    ("transposed", "no-output-padding", {"kernel_shape": [3, 3], "output_padding": [1, 1]}, (2, 3, 3, 3)),
    ("transposed", "no-output-padding,symmetric-pads", {"kernel_shape": [3, 3], "output_padding": [1, 1]}, (2, 3, 3, 3)),
    ("transposed", "symmetric-pads", {"pads": [1, 0, 0, 1]}, (2, 3, 4, 4)),
    ("lr-shuffle", "no-dilation", {"kernel_shape": [3, 3], "dilations": [2, 2]}, (2, 3, 3, 3)),
    ("transposed", "no-dilation", {"kernel_shape": [3, 3], "dilations": [2, 3]}, (2, 3, 3, 3)),
    ("transposed", "no-groups", {"group": 2}, (2, 1, 4, 4)),
]


@pytest.mark.parametrize(("to", "words", "attributes", "shape"), TARGETS)
def test_target_constraints_choose_another_form(tmp_path, to, words, attributes, shape):
    group = attributes.get("group", 1)
    proto = model([upsampler(**attributes)], {"w": integers(shape), "b": integers((shape[1] * group,))})
    done, path, out = converted(tmp_path, proto, to, target=[words])
    assert len(done.plan.changes) == 1 and done.exit_code == 0
    for node in onnx.load(str(out)).graph.node:
        held = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        pads = held.get("pads", [])
        if "symmetric-pads" in words and node.op_type in ("Conv", "ConvTranspose"):
            assert pads[: len(pads) // 2] == pads[len(pads) // 2 :]
        assert "no-dilation" not in words or max(held.get("dilations", [1])) == 1
        assert "no-groups" not in words or held.get("group", 1) == 1
        assert "no-output-padding" not in words or not any(held.get("output_padding", []))
        assert "no-depth-to-space" not in words or node.op_type != "DepthToSpace"
    same(path, out, channels=shape[0])
    assert verified(tmp_path, out, path) == 0


def test_a_target_that_nothing_keeps_to(tmp_path):
    done, _, out = converted(tmp_path, simple(), "transposed", target=["max-stride=1"])
    assert done.exit_code == 1 and not out.exists()
    assert done.plan.stays[0].reason == "no: because `max-stride=1` is asked for, and its transposed convolution has stride 2"
    with pytest.raises(UsageError, match="max-stride=N"):
        converted(tmp_path, simple(), target=["max-strides=2"])


def test_strided_convolutions_unshuffled(tmp_path):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "down", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    proto = model([node], {"w": integers((3, 2, 3, 3))})
    done, _, _ = converted(tmp_path, proto, "unshuffle")
    assert done.files is None and "--common-extents" in done.plan.stays[0].reason
    done, path, out = converted(tmp_path, proto, "unshuffle", common_extents=True)
    same(path, out, extents=((4, 6), (2, 2), (8, 4)))
    assert ops(out)[0] == "SpaceToDepth"
    for dim, n in zip(proto.graph.input[0].type.tensor_type.shape.dim[2:], (6, 8), strict=True):
        dim.dim_value = n
    done, path, out = converted(tmp_path, proto, "unshuffle")
    assert len(done.plan.changes) == 1
    same(path, out, extents=((6, 8),))


def test_only_and_except(tmp_path):
    nodes = [upsampler("a/up", "x", "m"), upsampler("b/up", "m", "y", kernel="v", bias=None)]
    proto = model(nodes, {"w": integers((2, 3, 4, 4)), "b": integers((3,)), "v": integers((3, 2, 4, 4))})
    for options, expected in (
        ({"only": ["a/*"]}, ["a/up"]),
        ({"leave": ["a/*"]}, ["b/up"]),
        ({"only": ["*"], "leave": ["b/up"]}, ["a/up"]),
    ):
        done, path, out = converted(tmp_path, proto, **options)
        assert [change.name for change in done.plan.changes] == expected and done.exit_code == 0
        same(path, out)
    with pytest.raises(UsageError, match="matches 'a/upp'"):
        converted(tmp_path, proto, only=["a/upp"])


def test_external_data(tmp_path):
    source = tmp_path / "in"
    target = tmp_path / "out"
    source.mkdir(), target.mkdir()
    proto = simple()
    proto.graph.initializer.extend([numpy_helper.from_array(integers((40, 40), seed=5), name) for name in ("kept", "kept too")])
    path = save(proto, source / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    original = (source / "m.bin").read_bytes()
    done = convert_model(path, "lr-shuffle", output=target / "out.onnx")
    assert done.files.data == target / "out.onnx.data" and sorted(os.listdir(target)) == ["out.onnx", "out.onnx.data", "out.symconv.json"]
    assert (source / "m.bin").read_bytes() == original
    same(path, target / "out.onnx")
    loaded = onnx.load(str(target / "out.onnx"))
    assert {item.name for item in loaded.graph.initializer} >= {"kept", "kept too"} and "w" not in {
        i.name for i in loaded.graph.initializer
    }
    assert verified(target, target / "out.onnx", path) == 0
    content = bytearray((target / "out.onnx.data").read_bytes())
    content[-1] ^= 1
    (target / "out.onnx.data").write_bytes(content)
    assert verified(target, target / "out.onnx", path) == 4
    with pytest.raises(UsageError, match="belongs to the model"):
        os.rename(source / "m.bin", source / "o.onnx.data")
        for item in proto.graph.initializer:
            item.external_data[0].value = "o.onnx.data"
        (source / "m.onnx").write_bytes(proto.SerializeToString())
        convert_model(path, "lr-shuffle", output=source / "o.onnx", force=True)


def test_weights_leave_a_file_that_would_grow_too_large(tmp_path):
    from symconv.convert.onnx.graph_edit import edits
    from symconv.convert.onnx.plan import Request, plan
    from symconv.convert.onnx.splice import write_model
    from symconv.frontends.onnx.graph import load

    path = save(simple(), tmp_path / "m.onnx")
    written = write_model(load(path), edits(plan(load(path), Request("lr-shuffle"))), tmp_path / "out.onnx", limit=500)
    assert written.data is not None and written.model.stat().st_size < 1500
    same(path, written.model)


def test_files_that_stand_in_the_way(tmp_path):
    path = save(simple(), tmp_path / "m.onnx")
    before = path.read_bytes()
    os.link(path, tmp_path / "link.onnx")
    for output, force, message in (
        (path, True, "belongs to the model"),
        (tmp_path / "link.onnx", True, "belongs to the model"),
        (tmp_path / "none" / "o.onnx", False, "no folder"),
        (tmp_path, False, "is a folder"),
        (None, False, "--dry-run"),
    ):
        with pytest.raises(UsageError, match=message):
            convert_model(path, "lr-shuffle", output=output, force=force)
    (tmp_path / "o.symconv.json").write_text("mine")
    with pytest.raises(UsageError, match="not overwritten"):
        convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    assert (tmp_path / "o.symconv.json").read_text() == "mine" and path.read_bytes() == before
    convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx", force=True)
    assert path.read_bytes() == before and json.loads((tmp_path / "o.symconv.json").read_text())["schema"] == "symconv.bundle/1"


@pytest.mark.parametrize("stop", ["write_model", "check_bundle", "untouched"])
def test_nothing_is_left_behind_when_it_stops_in_between(tmp_path, monkeypatch, stop):
    def fail(*_, **__):
        raise KeyboardInterrupt

    place = "symconv.convert.onnx.splice" if stop == "write_model" else "symconv.conformance.bundle"
    path = save(simple(), tmp_path / "m.onnx")
    monkeypatch.setattr(f"{place}.{stop}", fail)
    with pytest.raises(KeyboardInterrupt):
        convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_a_killed_conversion_leaves_no_output(tmp_path):
    path = save(simple(), tmp_path / "m.onnx")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nimport symconv.conformance.bundle as b\nfrom symconv.app.convert_model import convert_model\n"
        "b.check_bundle = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert_model(Path(sys.argv[1]), 'lr-shuffle', output=Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), str(tmp_path / "o.onnx")], check=False, timeout=60)
    assert done.returncode == -9
    assert [name for name in os.listdir(tmp_path) if not name.startswith(".")] == ["m.onnx"]


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "kernel rank", "cycle", "escape"])
def test_hostile_files(tmp_path, damage, capsys):
    proto = simple()
    if damage == "kernel rank":
        del proto.graph.initializer[0].dims[2:]
        proto.graph.initializer[0].dims[0] = 32
    if damage == "cycle":
        proto.graph.node[0].input[0] = "y"
    if damage == "escape":
        item = proto.graph.initializer[0]
        item.ClearField("raw_data"), item.external_data.add(key="location", value="../secret")
        item.data_location = TensorProto.EXTERNAL
    content = {"empty": b"", "text": b"not a model", "cut": proto.SerializeToString()[:-40]}.get(damage, proto.SerializeToString())
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    code = main(["convert", str(path), "--to", "lr-shuffle", "-o", str(tmp_path / "o.onnx")])
    error = capsys.readouterr().err
    assert code in (1, 2) and "Traceback" not in error and os.listdir(tmp_path) == ["m.onnx"] and path.read_bytes() == content
    assert code == 1 or error.startswith("error: ")


def test_strides_that_would_fill_the_disk(tmp_path):
    for stride, reason in ((1 << 14, "entries in this form"), (1 << 30, "unknown:"), ((1 << 62) - 1, "")):
        proto = model([upsampler(strides=[stride] * 2, kernel_shape=[1, 1], pads=[0] * 4, bias=None)], {"w": integers((2, 3, 1, 1))})
        done, _, _ = converted(tmp_path, proto)
        (stay,) = done.plan.stays
        assert done.files is None and done.exit_code in (1, 3) and reason in stay.reason
        assert os.listdir(tmp_path) == ["model.onnx"]


def test_standard_operators_that_a_model_defines_anew(tmp_path):
    proto = simple()
    body = [helper.make_node("Neg", ["p"], ["r"])]
    proto.functions.append(helper.make_function("", "Conv", ["p", "q", "b"], ["r"], body, [helper.make_opsetid("", 17)]))
    with pytest.raises(ModelError, match="has the name of an operator of ONNX"):
        converted(tmp_path, proto)
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_nested_external_data_is_refused(tmp_path):
    held = numpy_helper.from_array(integers((3,), seed=1), "c")
    proto = model([helper.make_node("Constant", [], ["b"], "held", value=held), upsampler()], {"w": integers((2, 3, 4, 4))})
    path = save(proto, tmp_path / "m.onnx", save_as_external_data=True, convert_attribute=True, location="m.bin", size_threshold=0)
    with pytest.raises(ModelError, match="Save the model with these inside the file"):
        convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    assert sorted(os.listdir(tmp_path)) == ["m.bin", "m.onnx"]


def test_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(simple(), tmp_path / "m.onnx")
    assert main(["convert", "m.onnx", "--to", "lr-shuffle", "--dry-run", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema"] == "symconv.convert-model/1" and record["output"] is None and os.listdir() == ["m.onnx"]
    (change,) = record["changes"]
    assert change["layer"] == "ConvTranspose2d(2, 3, 4, stride=2, padding=1)" and change["trust"] == "certified"
    assert change["target"] == "Conv2d(2, 12, 2, padding=1) >> PixelShuffle(2) >> Crop(1)"
    assert main(["convert", "m.onnx", "--to", "lr-shuffle", "-o", "o.onnx"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("1 layer rewritten, each proved and checked") and "o.symconv.json" in text
    assert main(["verify", "o.symconv.json", "--model", "o.onnx", "--original", "m.onnx"]) == 0
    assert capsys.readouterr().out.startswith("accepted: 1 layer rewritten")
    for arguments, message in (
        (["convert", "m.onnx", "--to", "lr-shuffle"], "give -o OUT.onnx"),
        (["convert", "m.onnx", "--to", "lr-shuffle", "--dry-run", "--channels", "3"], "are for one layer"),
        (["convert", "ReLU()", "--to", "lr-shuffle", "--dry-run"], "are for models"),
        (["verify", "o.symconv.json"], "with the two models"),
        (["verify", "m.onnx", "--model", "o.onnx", "--original", "m.onnx"], "not valid JSON"),
        (["convert", "none.onnx", "--to", "lr-shuffle", "--dry-run"], "cannot be read"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err

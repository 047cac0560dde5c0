"""ONNX files as graphs: names, order, extents, tensors; and what is malformed or hostile."""

from __future__ import annotations

import hashlib
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import ModelProto, TensorProto, helper, numpy_helper

from symconv.errors import ModelError
from symconv.frontends.onnx.graph import load
from symconv.frontends.onnx.network import network
from symconv.frontends.onnx.nodes import readings
from tests.frontends.onnx.build import node, opened, proto

IMAGE = {"x": ["n", 3, "h", "w"]}
KERNEL = np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3)


def small() -> ModelProto:
    nodes = [node("Conv", "x k", "a", "first", pads=[1] * 4), node("Relu", "a", "b"), node("Resize", "b _ s", "y", mode="nearest")]
    return proto(nodes, IMAGE, constants={"k": KERNEL, "s": [1.0, 1.0, 2.0, 2.0]})


def test_names_order_and_neighbours(tmp_path: Path) -> None:
    model = opened(tmp_path, small())
    assert [item.name for item in model.nodes] == ["first", "b", "y"]
    assert (model.inputs, model.outputs, model.opset) == (("x",), ("y",), 17)
    assert model.node("first") is model.node("a") is model.producer("a")
    assert [item.name for item in model.consumers("a")] == ["b"]
    assert model.producer("x") is None and model.initializer("x") is None
    assert [model.shape(value) for value in "xaby"] == [
        ("n", 3, "h", "w"),
        ("n", 2, "h", "w"),
        ("n", 2, "h", "w"),
        ("n", 2, "2*h", "2*w"),
    ]


def test_an_unsorted_file_is_sorted_and_equal_names_are_told_apart(tmp_path: Path) -> None:
    nodes = [node("Relu", "b", "y", "same"), node("Relu", "x", "a", "same"), node("Relu", "a", "b", "same#2"), node("Relu", "x", "same")]
    model = opened(tmp_path, proto(nodes, IMAGE))
    assert [(item.name, item.index) for item in model.nodes] == [("same#3", 1), ("same#2", 2), ("same", 0), ("same#4", 3)]
    assert len({item.name for item in model.nodes}) == 4


def test_subgraphs_are_opaque_but_what_they_use_is_known(tmp_path: Path) -> None:
    branch = helper.make_graph([node("Relu", "a", "r")], "branch", [], [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)])
    model = opened(
        tmp_path, proto([node("Relu", "x", "a"), node("If", "c", "y", then_branch=branch, else_branch=branch)], {**IMAGE, "c": []})
    )
    assert [item.op for item in model.consumers("a")] == ["If"]
    assert model.nodes[1].captures == ("a",)


def test_a_close_name_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no node `frist`\. Did you mean `first`"):
        opened(tmp_path, small()).node("frist")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("raw", [True, False])
def test_tensors(tmp_path: Path, dtype: str, raw: bool) -> None:
    values = np.array([[0, 1, 2], [3, 1, 7]]).astype(dtype)
    model = small()
    model.graph.initializer.append(
        numpy_helper.from_array(values, "t")
        if raw
        else helper.make_tensor("t", helper.np_dtype_to_tensor_dtype(values.dtype), values.shape, values.reshape(-1))
    )
    tensor = opened(tmp_path, model).initializer("t")
    assert tensor is not None
    assert (tensor.shape, tensor.bytes) == ((2, 3), values.nbytes)
    assert np.array_equal(tensor.array(), values) and tensor.array().dtype == values.dtype
    assert tensor.digest() == hashlib.sha256(values.tobytes()).hexdigest()


@pytest.mark.parametrize("raw", [True, False])
def test_bfloat16_keeps_its_values(tmp_path: Path, raw: bool) -> None:
    bits = np.array([0x3F80, 0xC049, 0x0001, 0x7F7F], dtype=np.uint16)
    model = small()
    model.graph.initializer.append(helper.make_tensor("t", TensorProto.BFLOAT16, [4], bits.tobytes(), raw=True))
    if not raw:
        model.graph.initializer[-1].ClearField("raw_data")
        model.graph.initializer[-1].int32_data.extend(int(item) for item in bits)
    tensor = opened(tmp_path, model).initializer("t")
    assert tensor is not None
    assert np.array_equal(tensor.array(), (bits.astype(np.uint32) << 16).view(np.float32))
    assert tensor.digest() == hashlib.sha256(bits.tobytes()).hexdigest()


def external(folder: Path, location: str = "weights.bin", offset: str | None = "8", length: str | None = "216") -> ModelProto:
    model = small()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
    (folder / "weights.bin").write_bytes(b"\0" * 8 + KERNEL.tobytes())
    return model


def test_external_data_is_mapped_when_asked_for(tmp_path: Path) -> None:
    model = opened(tmp_path, external(tmp_path))
    tensor = model.initializer("k")
    assert tensor is not None and tensor.external
    assert np.array_equal(tensor.array(), KERNEL)
    assert tensor.digest() == hashlib.sha256(KERNEL.tobytes()).hexdigest()
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="truncated"):
        tensor.array()


HOSTILE_PLACES = {
    "/etc/passwd": "must be named relative",
    "../weights.bin": "must be named relative",
    "a/../../weights.bin": "must be named relative",
    "..\\weights.bin": "must be named relative",
    "C:\\weights.bin": "must be named relative",
    "": "must be named relative",
    "nothing.bin": "cannot be read: No such file",
    "outside.bin": "leads out of the model's folder",
    "folder": "is not a file",
    "pipe": "is not a file",
}


@pytest.mark.parametrize("place", HOSTILE_PLACES)
def test_external_data_stays_in_the_folder(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (tmp_path / "secret.bin").write_bytes(b"\0" * 300)
    (folder / "outside.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(ModelError, match=HOSTILE_PLACES[place]):
        opened(folder, external(folder, place))


@pytest.mark.parametrize(
    ("offset", "length", "message"),
    [
        ("8", "215", "needs 216 bytes"),
        ("9", "216", "truncated"),
        ("-1", "216", "`offset`"),
        ("9" * 30, None, "`offset`"),
        (str(2**62), None, "truncated"),
    ],
)
def test_external_data_lies_inside_its_file(tmp_path: Path, offset: str, length: str | None, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        opened(tmp_path, external(tmp_path, offset=offset, length=length))


def broken(change: str) -> ModelProto:
    """A model with one thing wrong."""
    model = small()
    graph = model.graph
    tensor = graph.initializer[0]
    match change:
        case "cycle":
            graph.node[0].input[0] = "b"
        case "own output":
            graph.node[1].input[0] = "b"
        case "missing input":
            graph.node[1].input[0] = "nowhere"
        case "missing output":
            graph.output[0].name = "nowhere"
        case "two producers":
            graph.node[1].output[0] = "a"
        case "shadowed input":
            graph.node[1].output[0] = "x"
        case "shadowed initializer":
            graph.node[1].output[0] = "k"
        case "two inputs":
            graph.input.append(graph.input[0])
        case "two initializers":
            graph.initializer.append(tensor)
        case "huge":
            tensor.dims[:] = [1 << 20, 1 << 20]
        case "huger":
            tensor.dims[:] = [1 << 62] * 8
        case "negative":
            tensor.dims[0] = -2
        case "too many axes":
            tensor.dims[:] = [1] * 1000
        case "short":
            tensor.raw_data = tensor.raw_data[:-1]
        case "typed short":
            tensor.ClearField("raw_data")
            tensor.float_data.extend([1.0])
        case "type":
            tensor.data_type = 99
        case "no type":
            tensor.data_type = 0
        case "subgraph tensor":
            inner = helper.make_graph([], "inner", [], [])
            inner.initializer.append(tensor)
            inner.initializer[0].raw_data = b""
            graph.node.append(node("If", "x", "z", then_branch=inner))
        case "attribute twice":
            graph.node[0].attribute.append(graph.node[0].attribute[0])
        case "no operator":
            graph.node[0].op_type = ""
        case "no opset":
            del model.opset_import[:]
        case "two opsets":
            model.opset_import.append(helper.make_opsetid("ai.onnx", 3))
        case "no graph":
            model.ClearField("graph")
    return model


MESSAGES = {
    "cycle": "has a cycle",
    "own output": "has a cycle",
    "missing input": "uses the value `nowhere`, which nothing computes",
    "missing output": "output `nowhere` is computed by nothing",
    "two producers": "computed by node `a` and also by node `first`",
    "shadowed input": "also by an input or initializer",
    "shadowed initializer": "also by an input or initializer",
    "two inputs": "two inputs have the name `x`",
    "two initializers": "two initializers have the name `k`",
    "huge": "needs 4398046511104 bytes; the file holds 216",
    "huger": "more than any file holds",
    "negative": "non-negative extent",
    "too many axes": "at most 64 axes",
    "short": "needs 216 bytes; the file holds 215",
    "typed short": "needs 54 elements of float_data; the file holds 1",
    "type": "element type 99",
    "no type": "has no element type",
    "subgraph tensor": "needs 216 bytes; the file holds 0",
    "attribute twice": "two attributes `pads`",
    "no operator": "names no operator",
    "no opset": "must name one version",
    "two opsets": "must name one version",
    "no graph": "holds no graph",
}


@pytest.mark.parametrize("change", MESSAGES)
def test_malformed(tmp_path: Path, change: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ModelError, match=MESSAGES[change]) as caught:
        opened(tmp_path, broken(change))
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
    assert time.perf_counter() - started < 2


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name, message in (
        ("no.onnx", "No such file"),
        ("pipe.onnx", "not a file"),
        ("", "not a file"),
        ("text.onnx", "not an ONNX model"),
        ("empty.onnx", "no graph"),
    ):
        with pytest.raises(ModelError, match=message):
            load(tmp_path / name)


def test_deep_and_long_graphs(tmp_path: Path) -> None:
    """A chain of constants too long for recursion, and subgraphs as deep as a message may be."""
    chain = [node("Identity", "s" if k == 0 else f"v{k - 1}", f"v{k}") for k in range(20_000)]
    model = opened(tmp_path, proto([*chain, node("Reshape", "x v19999", "y")], IMAGE, constants={"s": [0, 0, -1]}))
    assert model.shape("y") == ("n", 3, "h*w")
    inner = helper.make_graph([], "leaf", [], [])
    for _ in range(30):
        inner = helper.make_graph([node("If", "x", "z", then_branch=inner)], "level", [], [])
    assert opened(tmp_path, proto([node("If", "x", "y", then_branch=inner)], IMAGE)).nodes[0].captures == ("x",)


def mutated(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    if rng.random() < 0.2:
        return bytes(data[: rng.randrange(len(data))])
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        place = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                data[place] = rng.choice((0, 1, 2, 127, 128, 255))
            case 2:
                data[place : place + rng.randrange(1, 4)] = rng.randbytes(rng.randrange(4))
    return bytes(data)


def survives(content: bytes, path: Path) -> bool:
    """Whether bytes are refused with a ModelError, or read to the end without another error."""
    path.write_bytes(content)
    try:
        model = load(path)
    except ModelError as error:
        return len(str(error)) < 1500
    for reading in readings(model).values():
        if reading.layer is not None:
            try:
                network(model, reading.span)
            except ModelError:
                continue
    return all(model.shape(value) is None or len(model.shape(value) or ()) <= 64 for item in model.nodes for value in item.outputs)


def seeds() -> list[bytes]:
    """Models whose damaged copies reach every reader."""
    shuffle = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n zero", "n1"), node("Concat", "n1 rest", "t", axis=0),
        node("Reshape", "x t", "a"), node("Transpose", "a", "b", perm=[0, 1, 4, 2, 5, 3]), node("Reshape", "b u", "y"),
    ]  # fmt: skip
    many = [
        node("Pad", "x p", "a", mode="reflect"), node("Conv", "a k c", "b", strides=[2, 2]), node("BatchNormalization", "b c c c c", "d"),
        node("ConvTranspose", "d w", "e", strides=[2, 2], output_padding=[1, 1]), node("AveragePool", "e", "f", kernel_shape=[2, 2]),
        node("Slice", "f zero ends axes", "g"), node("Mul", "g two", "h"), node("PRelu", "h two", "i"), node("Clip", "i two four", "y"),
    ]  # fmt: skip
    constants = {
        "p": [0, 0, 1, 1, 0, 0, 1, 1], "k": KERNEL, "c": np.ones(2, np.float32), "w": KERNEL[:, :2], "zero": [0], "ends": [-1], "axes": [2],
        "two": np.full((), 2, np.float32), "four": np.full((), 4, np.float32),
    }  # fmt: skip
    return [
        small().SerializeToString(),
        proto(
            shuffle, {"x": ["n", 4, "h", "w"]}, constants={"zero": [0], "rest": [1, 2, 2, 5, 7], "u": [0, 1, 10, 14]}
        ).SerializeToString(),
        proto(many, IMAGE, constants=constants).SerializeToString(),
    ]


@pytest.mark.parametrize("number", range(3))
def test_damaged_files(tmp_path: Path, number: int) -> None:
    rng = random.Random(number)
    content = seeds()[number]
    assert survives(content, tmp_path / "m.onnx")
    assert all(survives(mutated(content, rng), tmp_path / "m.onnx") for _ in range(250))
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_many_damaged_files(tmp_path: Path, number: int) -> None:
    rng = random.Random(1000 + number)
    content = seeds()[number]
    assert all(survives(content[:end], tmp_path / "m.onnx") for end in range(len(content)))
    assert all(survives(mutated(content, rng), tmp_path / "m.onnx") for _ in range(4_000))

"""ONNX files on the command line and in Python."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import symconv
from symconv.app.main import main
from symconv.errors import ModelError
from tests.frontends.onnx.build import node, proto

KERNEL = np.arange(96, dtype=np.float32).reshape(4, 2, 3, 4) - 40


def written(path: Path, kernel: np.ndarray = KERNEL) -> Path:
    nodes = [
        node("ConvTranspose", "x k", "a", "up", strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0]), node("Relu", "a", "b", "act..1"),
        node("MaxPool", "b", "c", "pool", kernel_shape=[2, 2]), node("DepthToSpace", "c", "y", "shuffle", blocksize=1, mode="CRD"),
    ]  # fmt: skip
    path.write_bytes(proto(nodes, {"x": ["n", 4, "h", "w"]}, constants={"k": kernel}).SerializeToString())
    return path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_a_node_against_an_expression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layer = f"{written(tmp_path / 'm.onnx')}::up"
    same = "ConvTranspose2d(4, 2, (3, 4), stride=2, padding=1, output_padding=(1, 0), bias=False)"
    code, out, _ = said(capsys, "check", layer, same, "--json")
    assert (code, json.loads(out)["relation"]) == (0, "equal")
    code, out, _ = said(capsys, "check", layer, same.replace("(1, 0)", "0"), "--json")
    assert (code, json.loads(out)["relation"]) == (1, "shapes_differ")


def test_two_nodes_are_functions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left = written(tmp_path / "a.onnx")
    bit = KERNEL.copy()
    bit[1, 1, 2, 3] = np.nextafter(bit[1, 1, 2, 3], np.float32(np.inf))
    right = written(tmp_path / "b.onnx", bit)
    code, out, _ = said(capsys, "check", f"{left}::up..act..1", f"{right}::up..act..1", "--json")
    assert (code, json.loads(out)["relation"]) == (1, "different")  # an input shows it through the nonlinearity
    code, out, _ = said(capsys, "check", f"{left}::up", f"{right}::a", "--json")
    assert (code, json.loads(out)["relation"]) == (1, "different")
    code, out, _ = said(capsys, "check", f"{left}::up..act..1", f"{left}::a..b", "--json")
    assert (code, json.loads(out)["relation"]) == (0, "identical")


def test_the_model_says_how_many_channels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    nodes = [node("DepthToSpace", "x", "y", "s", blocksize=2)]
    for channels, relation in ((4, "equal"), (8, "incomparable")):
        path.write_bytes(proto(nodes, {"x": ["n", channels, "h", "w"]}).SerializeToString())
        assert symconv.check(f"{path}::s", "PixelShuffle(2)").relation.value == relation
        assert symconv.check(str(path), "DepthToSpace(2)").relation.value == "equal"


def test_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = str(written(tmp_path / "m.onnx"))
    code, out, _ = said(capsys, "explain", path, "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["nodes"]) == (0, "symconv.explain-model/1", 4)
    up, pool, shuffle = found["layers"]
    assert (up["name"], up["direction"], up["multiplications"]) == ("up", "up", "96")
    assert {form["to"] for form in up["forms"] if form["target"]} >= {"lr-shuffle", "zero-insertion"}
    assert (pool["layer"], pool["reason"]) == (None, "`MaxPool` is no layer that symconv knows")
    assert shuffle["direction"] == ""
    code, out, _ = said(capsys, "explain", path)
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    assert out.startswith("1 upsampling layer and 0 downsampling layers among 4 nodes; 1 more not read\n")
    assert said(capsys, "explain", f"{path}::up")[0] == 0


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "m.onnx")
    (tmp_path / "broken.onnx").write_bytes(path.read_bytes()[:-7])
    for argument, message in (
        (f"{path}::upp", "Did you mean `up`"),
        (f"{path}::up..shuffl", "has no node `shuffl`. Did you mean `shuffle`"),
        (f"{path}::pool", "`MaxPool` is no layer that symconv knows"),
        (f"{path}::shuffle..up", "there is no path without branches"),
        (str(path), "`MaxPool` is no layer that symconv knows"),
        (str(tmp_path / "broken.onnx"), "is damaged"),
        (str(tmp_path / "no.onnx"), "No such file"),
        (str(tmp_path / "no.onnx::up"), "No such file"),
    ):
        code, out, err = said(capsys, "check", argument, "ReLU()")
        assert code == 2 and not out and message in err and err.count("\n") == 1, err
    code, _, err = said(capsys, "explain", str(path), "--channels", "3")
    assert code == 2 and "model.onnx::node" in err
    with pytest.raises(ModelError):
        symconv.check(f"{path}::nothing", "ReLU()")

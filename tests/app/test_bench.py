"""`bench` and `convert --to fastest`: what they print, files, and what is no input."""

from __future__ import annotations

import json

import numpy as np
import pytest

from symconv.app.main import main
from symconv.conformance.onnx_forms import random_weights, spellings
from symconv.conformance.onnx_session import session
from symconv.frontends.text import parse
from symconv.layers import flatten

LAYER = "ConvTranspose1d(3, 2, 4, stride=2, padding=1)"
QUICK = ["--seconds", "0.02", "--threads", "1", "--extents", "9"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_fastest_prints_one_table(capsys) -> None:
    code, out, _ = run(capsys, "convert", LAYER, "--to", "fastest", *QUICK)
    assert code == 0
    assert "speed-up" in out
    assert "the layer against itself" in out
    assert out.count("lr-shuffle, both: matmul") >= 1
    code, out, _ = run(capsys, "convert", LAYER, "--to", "fastest", *QUICK, "--json")
    record = json.loads(out)
    assert record["schema"] == "symconv.fastest-layer/1"
    assert record["cached"]
    assert record["shape"] == [1, 3, 9]
    assert sum(row["status"] == "chosen" for row in record["rows"]) == 1


def test_a_module_by_reference(capsys, tmp_path, monkeypatch) -> None:
    (tmp_path / "bench_example.py").write_text(
        "import torch\nnet = torch.nn.Sequential(torch.nn.ConvTranspose1d(3, 2, 4, 2, 1))\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    code, out, _ = run(capsys, "convert", "bench_example:net", "--to", "fastest", *QUICK, "--json")
    record = json.loads(out)
    assert code == 0
    assert [layer["name"] for layer in record["layers"]] == ["0"]
    code, _, err = run(capsys, "convert", "bench_example:net", "--to", "fastest")
    assert code == 2
    assert "--extents" in err


@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_bench_says_the_same_in_text_and_json(capsys, runtime: str) -> None:
    code, out, _ = run(capsys, "bench", LAYER, "--runtime", runtime, *QUICK, "--json")
    assert code == 0
    record = json.loads(out)
    assert record["schema"] == "symconv.bench/1"
    assert record["runtime"] == runtime
    (layer,) = record["layers"]
    assert layer["rows"][0]["form"] == layer["rows"][0]["engine"] == "given"
    assert layer["control"]["rounds"] >= 7
    assert record["least"] == layer["speed_up"]
    assert not [row for row in layer["rows"] if row["status"] == "refused" and "numbers" in row["reason"]]
    code, out, _ = run(capsys, "bench", LAYER, "ConvTranspose1d(1, 1, 2, stride=2)", "--runtime", runtime, *QUICK)
    assert code == 0
    assert "The fastest form of each layer" in out


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_plot(capsys, tmp_path, kind: str) -> None:
    path = tmp_path / f"plot.{kind}"
    assert run(capsys, "bench", LAYER, *QUICK, "--plot", str(path))[0] == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")
    code, _, err = run(capsys, "bench", LAYER, *QUICK, "--plot", str(path))
    assert code == 2
    assert "already exists" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench"],
        ["bench", LAYER, "--runtime", "tflite"],
        ["bench", LAYER, "--runtime", "onnxruntime", "--dtype", "float64"],
        ["bench", LAYER, "--device", "cuda"],
        ["bench", LAYER, "--dtype", "int8"],
        ["bench", LAYER, "--threads", "0"],
        ["bench", LAYER, "--seconds", "nan"],
        ["bench", LAYER, "--batch", "0"],
        ["bench", LAYER, "--clock", "sundial"],
        ["bench", LAYER, "--clock", "processor"],
        ["bench", LAYER, "--extents", "3,3"],
        ["bench", LAYER, "--extents", "9999999999999"],
        ["bench", LAYER, "--extents", "4000000000"],
        ["bench", LAYER, "--plot", "plot.gif"],
        ["bench", LAYER, "--only", "x"],
        ["bench", "--real", "--only", "no such layer"],
        ["bench", "PixelShuffle(2)", "--channels", "4"],
        ["bench", "Conv2d(3, 4, 5, stride=2)", "--extents", "4,4"],
        ["bench", "Upsample(scale_factor=2, mode='bilinear') >> Conv2d(3, 3, 3)", "--extents", "8,8"],
        ["convert", LAYER, "--to", "fastest", "--dry-run"],
        ["convert", "absent.onnx", "--to", "fastest"],
    ],
)
def test_bad_input(capsys, arguments: list[str]) -> None:
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    code, out, err = run(capsys, *arguments)
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 4


@pytest.mark.parametrize(
    "text",
    [
        "ConvTranspose1d(3, 2, 4, stride=2, padding=1)",
        "ConvTranspose1d(2, 3, 7, stride=3, padding=2, output_padding=2)",
        "ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1)",
        "Conv1d(3, 6, 3, padding=1) >> PixelShuffle(2)",
        "Upsample(scale_factor=2) >> Conv1d(2, 3, 3, padding=1)",
        "ConvTranspose1d(3, 2, 8, stride=4) >> Crop((0, 4))",
    ],
)
def test_spellings_in_onnx_give_the_layers_integers(text: str) -> None:
    from symconv.conformance.bench_setting import random_members

    layer = parse(text)
    layers = tuple(member.bind(layer.axes) for member in flatten(layer))
    rng = np.random.default_rng(0)
    weights = random_weights(layers, lambda shape: rng.integers(-8, 9, shape).astype(np.float32))
    import torch

    members = torch.nn.Sequential(*random_members(layer, layer.axes, "cpu", torch.float32))
    own = next(item for item in weights if item is not None)
    weight, bias = members.parameters()
    weight.copy_(torch.from_numpy(own.kernel))
    bias.copy_(torch.from_numpy(own.bias))
    found = list(spellings(layers, layer.axes, _channels(layer), weights, "float32"))
    assert len(found) >= 2
    for name, _, make in found:
        call = session(make(), "cpu", 1)
        for n in (3, 5, 8):
            x = rng.integers(-8, 9, (2, _channels(layer), *range(n, n + layer.axes))).astype(np.float32)
            assert np.array_equal(call(x), members(torch.from_numpy(x)).numpy()), name


def _channels(layer) -> int:
    from symconv.layers import input_channels

    return input_channels(flatten(layer))

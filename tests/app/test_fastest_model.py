"""`convert MODEL.onnx --to fastest`: files, report, cache, the races of the whole, and what is no input."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import onnx
import pytest
from convert.onnx_models import integers, model, save, simple, upsampler
from onnx import helper

from symconv.app.main import main
from symconv.app.model_inputs import model_inputs
from symconv.conformance.model_session import Port, open_session
from symconv.convert.fastest import cache, guard, ranking
from symconv.convert.fastest.clock import Lap
from symconv.convert.onnx import excerpt
from symconv.convert.onnx.footprint import least_bytes
from symconv.errors import ModelError, UsageError
from symconv.frontends.onnx.graph import load

ort = pytest.importorskip("onnxruntime")
QUICK = ["--seconds", "0.02", "--threads", "1", "--extents", "5,6"]


def lap(ratio: float, spread: float = 0.0) -> Lap:
    return Lap(0.1 / ratio, ratio, ratio - spread, ratio + spread, 9)


def decoder(**fields):
    """Two upsamplers with a nonlinearity between them, and one that nothing can be done for."""
    nodes = [
        upsampler("first", output="u"),
        helper.make_node("Relu", ["u"], ["v"], "relu"),
        upsampler("second", "v", "t", "w2", "b2"),
        helper.make_node("MaxPool", ["t"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    weights = {"w": integers((2, 3, 4, 4)), "b": integers((3,)), "w2": integers((3, 1, 4, 4), seed=2), "b2": integers((1,))}
    return model(nodes, weights, **fields)


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return save(decoder(), tmp_path / "model.onnx")


@pytest.fixture
def faster(monkeypatch) -> dict[str, float]:
    """Races that say that every other way is twice as fast, the first of them most of all, and the whole too."""
    speed = {"layers": 2.0, "whole": 2.0}

    def race(key):
        def told(calls, *_, **__):
            for call in calls:
                call()
            return [lap(1.0), *(lap(speed[key] - k / 100) for k in range(len(calls) - 1))], lap(1.0)

        return told

    monkeypatch.setattr(ranking, "race", race("layers"))
    monkeypatch.setattr(guard, "race", race("whole"))
    return speed


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main([str(item) for item in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def output(path, x):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_what_is_faster_is_written_and_verified(capsys, given, tmp_path, faster, runtime) -> None:
    pytest.importorskip(runtime)
    out = tmp_path / "out.onnx"
    code, text, err = run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, "--json", "--runtime", runtime)
    assert code == 0, err
    record = json.loads(text)
    assert record["schema"] == "symconv.fastest/1"
    assert record["runtime"] == runtime
    assert record["inputs"] == {"x": [1, 2, 5, 6]}
    assert [(layer["name"], layer["status"]) for layer in record["layers"]] == [
        ("first", "faster"),
        ("second", "faster"),
        ("pool", "refused"),
    ]
    assert record["layers"][1]["shape"] == [1, 3, 10, 12]
    assert record["layers"][0]["choice"]["verdict"]["trust"] == "certified"
    assert [change["node"] for change in record["changes"]] == ["first", "second"]
    assert record["whole"]["ratio"] == 2.0
    verified = ["verify", tmp_path / "out.symconv.json", "--model", out, "--original", given]
    assert run(capsys, *verified)[0] == 0
    x = np.random.default_rng(0).integers(-3, 4, (2, 2, 7, 4)).astype("f4")
    assert np.array_equal(output(out, x), output(given, x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "model.onnx", "out.onnx", "out.symconv.json"]
    code, _, err = run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, "--runtime", runtime)
    assert (code, "already exists" in err) == (2, True)


def test_force_writes_over(capsys, given, tmp_path, faster) -> None:
    out = tmp_path / "out.onnx"
    out.write_bytes(b"something else")
    assert run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK)[0] == 2
    assert out.read_bytes() == b"something else"
    assert run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, "--force")[0] == 0
    assert onnx.load(out).graph.node


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_external_data(capsys, tmp_path, monkeypatch, faster, runtime) -> None:
    pytest.importorskip(runtime)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = save(decoder(), tmp_path / "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    out = tmp_path / "out.onnx"
    code, _, err = run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, "--runtime", runtime)
    assert code == 0, err
    x = integers((1, 2, 5, 6))
    assert np.array_equal(output(out, x), output(given, x))
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.onnx", "out.onnx.data", "out.symconv.json"]


@pytest.mark.parametrize("dtype", ["f8", "f2"])
def test_other_number_formats(capsys, tmp_path, monkeypatch, faster, dtype) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = save(simple(dtype), tmp_path / "model.onnx")
    code, text, err = run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json")
    if code == 2:
        assert dtype == "f8"
        assert "does not load" in err  # ONNX Runtime has no transposed convolution in float64
        return
    (layer,) = json.loads(text)["layers"]
    assert (layer["status"], layer["choice"]["dtype"]) == ("faster", {"f8": "float64", "f2": "float16"}[dtype])


def test_weights_without_a_type_in_numpy_stay(capsys, tmp_path, monkeypatch, faster) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    proto = simple()
    for tensor in proto.graph.initializer:  # float32, with a cast to it before the layer
        bits = onnx.numpy_helper.to_array(tensor).view(np.uint32) >> 16
        tensor.CopyFrom(onnx.TensorProto(name=tensor.name, data_type=16, dims=tensor.dims, raw_data=bits.astype("u2").tobytes()))
    for value, cast in (("x", "x16"), ("y16", "y")):
        kind = onnx.TensorProto.BFLOAT16 if cast == "x16" else onnx.TensorProto.FLOAT
        proto.graph.node.append(helper.make_node("Cast", [value], [cast], f"to {cast}", to=kind))
    proto.graph.node[0].input[0], proto.graph.node[0].output[0] = "x16", "y16"
    code, text, err = run(capsys, "convert", save(proto, tmp_path / "model.onnx"), "--to", "fastest", "--dry-run", *QUICK, "--json")
    if code == 2:
        assert "does not load" in err  # this build computes no bfloat16
        return
    assert "BFLOAT16" in json.loads(text)["layers"][0]["reason"]


def test_a_dry_run_writes_nothing(capsys, given, tmp_path, faster) -> None:
    code, text, _ = run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK)
    assert code == 0
    assert "2 layers would be rewritten" in text
    assert "lr-shuffle, both" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "model.onnx"]


def test_what_the_whole_is_not_faster_with_is_put_back(capsys, given, tmp_path, faster) -> None:
    faster["whole"] = 0.9
    code, text, err = run(capsys, "convert", given, "--to", "fastest", "-o", tmp_path / "out.onnx", *QUICK)
    assert code == 0
    assert "nothing is written: the whole is not faster" in text
    assert "put back" in text
    assert "0.90 times its" in " ".join(text.split())
    assert "note: nothing is faster" in err
    assert not (tmp_path / "out.onnx").exists()
    record = json.loads(run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json")[1])
    assert [layer["status"] for layer in record["layers"]] == ["put back", "put back", "refused"]
    assert (record["whole"], record["changes"], record["output"]) == (None, [], None)


def test_ties_go_to_the_layer(capsys, given, tmp_path, faster) -> None:
    faster["layers"] = 1.0
    record = json.loads(run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json")[1])
    assert [layer["status"] for layer in record["layers"]] == ["kept", "kept", "refused"]
    assert record["layers"][0]["choice"]["chosen"] == "given"


def test_a_way_with_other_numbers_is_refused(capsys, given, faster, monkeypatch) -> None:
    """One weight of what a change writes is moved: the integers tell, whatever the clock says."""
    right = excerpt._tensor

    def wrong(name, dtype, shape, bits):
        return right(name, dtype, shape, np.roll(bits, 1) if len(shape) == 4 and shape[0] in (12, 4) else bits)

    monkeypatch.setattr(excerpt, "_tensor", wrong)
    record = json.loads(run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json")[1])
    rows = [row for layer in record["layers"][:2] for row in layer["choice"]["rows"] if row["form"].startswith("lr-shuffle")]
    assert rows
    assert all(row["status"] == "refused" and "other numbers" in row["reason"] for row in rows)


def test_only_except_and_target(capsys, given, tmp_path, faster) -> None:
    record = json.loads(run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json", "--only", "sec*")[1])
    assert [layer["status"] for layer in record["layers"]] == ["left out", "faster", "refused"]
    faster |= {"layers": 0.5, "whole": 0.5}
    target = ["--target", "no-transposed-convolution", "--except", "second"]
    out = tmp_path / "out.onnx"
    code, text, _ = run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, *target)
    assert code == 0
    assert "0.50 times as fast: 1 layer rewritten" in text
    assert [node.op_type for node in onnx.load(out).graph.node].count("ConvTranspose") == 1
    code, text, _ = run(
        capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--target", "no-transposed-convolution", "--budget", "1e-9"
    )
    assert code == 3
    assert "no other form keeps to the target" in " ".join(text.split())


class TestCache:
    def ask(self, capsys, given) -> dict:
        return json.loads(run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--json")[1])

    def test_a_second_run_does_not_measure_layers(self, capsys, given, faster, monkeypatch) -> None:
        first = self.ask(capsys, given)
        monkeypatch.setattr(ranking, "race", lambda *_, **__: pytest.fail("measured again"))
        second = self.ask(capsys, given)
        assert [layer["choice"]["cached"] for layer in second["layers"][:2]] == [True, True]
        assert second["changes"] == first["changes"]
        assert second["layers"][0]["choice"]["rows"] == first["layers"][0]["choice"]["rows"]

    def test_the_report_says_what_was_not_measured_now(self, capsys, given, faster) -> None:
        faster["layers"] = 1.0
        ask = ["convert", given, "--to", "fastest", "--dry-run", *QUICK]
        assert "earlier run" not in run(capsys, *ask)[1]
        assert "the times of first second are from one; --no-cache measures again" in " ".join(run(capsys, *ask)[1].split())

    def test_other_questions_are_other_files(self, capsys, given, faster) -> None:
        self.ask(capsys, given)
        known = len(list(cache.folder().iterdir()))
        assert known == 2
        run(capsys, "convert", given, "--to", "fastest", "--dry-run", "--seconds", "0.02", "--threads", "1", "--extents", "7,8")
        assert len(list(cache.folder().iterdir())) == 2 * known
        run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK, "--no-cache", "--threads", "2")
        assert len(list(cache.folder().iterdir())) == 2 * known

    @pytest.mark.parametrize("text", ["", "{", '{"schema": "symconv.fastest-cache/1"}'])
    def test_a_corrupt_file_counts_as_absent(self, capsys, given, faster, text) -> None:
        self.ask(capsys, given)
        for path in cache.folder().iterdir():
            path.write_text(text, encoding="utf-8")
        assert not any(layer["choice"]["cached"] for layer in self.ask(capsys, given)["layers"][:2])

    def test_more_seconds_measure_again(self, capsys, given, faster) -> None:
        """A race that was too short to tell is no answer to someone who gives it more time; a longer one is to who gives less."""
        ask = ["convert", given, "--to", "fastest", "--dry-run", "--threads", "1", "--extents", "5,6", "--json", "--seconds"]
        for seconds, cached in (("0.02", False), ("0.04", False), ("0.03", True)):
            assert [layer["choice"]["cached"] for layer in json.loads(run(capsys, *ask, seconds)[1])["layers"][:2]] == [cached] * 2

    @pytest.mark.parametrize(
        ("key", "value"),
        [("multiplications", "many"), ("form", 3), ("lap", {"seconds": "long"}), ("lap", {"ratio": None}), ("lap", {"ratio": 0})],
    )
    def test_a_changed_number_is_measured_again(self, capsys, given, faster, key, value) -> None:
        self.ask(capsys, given)
        for path in cache.folder().iterdir():
            record = json.loads(path.read_text(encoding="utf-8"))
            row = record["answer"]["rows"][1]
            row[key] = row[key] | value if isinstance(value, dict) else value
            path.write_text(json.dumps(record), encoding="utf-8")
        assert not any(layer["choice"]["cached"] for layer in self.ask(capsys, given)["layers"][:2])

    def test_a_changed_answer_is_no_proof(self, capsys, given, faster) -> None:
        """A cached winner must be one of the certified ways."""
        self.ask(capsys, given)
        for path in cache.folder().iterdir():
            record = json.loads(path.read_text(encoding="utf-8"))
            for row in record["answer"]["rows"]:
                if row["status"] == "chosen":
                    row["form"] = "a form of one's own"
            path.write_text(json.dumps(record), encoding="utf-8")
        found = self.ask(capsys, given)
        assert not any(layer["choice"]["cached"] for layer in found["layers"][:2])
        assert all(change["target"].startswith("Conv2d") for change in found["changes"])


def test_real_races_never_make_it_slower(capsys, given, tmp_path) -> None:
    out = tmp_path / "out.onnx"
    record = json.loads(run(capsys, "convert", given, "--to", "fastest", "-o", out, *QUICK, "--clock", "processor", "--json")[1])
    assert out.exists() == bool(record["changes"])
    assert record["whole"] is None or record["whole"]["ratio"] >= 1
    assert record["control"]["rounds"] >= 7


def test_torch_is_not_imported(given, tmp_path) -> None:
    code = (
        "import sys; from symconv.app.main import main; "
        f"code = main({['convert', str(given), '--to', 'fastest', '--dry-run', *QUICK, '--json']!r}); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def bad_model(path):
    node = helper.make_node("NoSuchOperator", ["x"], ["y"], "odd")
    return save(model([node], {}), path)


def wide(path):
    """Reshape to a target that only one extent fits."""
    nodes = [helper.make_node("Reshape", ["x", "s"], ["v"], "reshape"), upsampler(value="v")]
    weights = {"s": np.array([1, 2, 6, 6]), "w": integers((2, 3, 4, 4)), "b": integers((3,))}
    return save(model(nodes, weights), path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dry-run"], "free"),
        (["--dry-run", "--extents", "4"], ""),
        (["--dry-run", "--extents", "3,3,3"], "must be 2 numbers"),
        (["--dry-run", "--extents", "0,3"], "at least 1"),
        (["--dry-run", "--extents", "8000000,8000000"], "GiB are free"),
        (["--dry-run", "--extents", "20000,20000"], "GiB are free"),
        (["--dry-run", *QUICK, "--device", "cuda"], "cuda"),
        (["--dry-run", *QUICK, "--runtime", "tflite"], "--runtime"),
        (["--dry-run", *QUICK, "--runtime", "openvino", "--device", "cuda"], "OpenVINO"),
        (["--dry-run", *QUICK, "--dtype", "float64"], "--dtype"),
        (["--dry-run", *QUICK, "--channels", "3"], "--channels"),
        (["--dry-run", *QUICK, "--any-memory"], "--any-memory"),
        (["--dry-run", *QUICK, "--certificate", "c.json"], "--certificate"),
        (["--dry-run", *QUICK, "--example", "absent.npz"], "--example"),
        (["--dry-run", "--example", "absent.npz"], "absent.npz"),
        (["--dry-run", *QUICK, "--only", "nothing"], "no node"),
        (["--dry-run", *QUICK, "--target", "no-such-thing"], "--target"),
        (["--dry-run", *QUICK, "--budget", "0"], "--budget"),
        (QUICK, "-o"),
        ([*QUICK, "-o", "nowhere/out.onnx"], "no folder"),
        ([*QUICK, "-o", "model.onnx", "--force"], "belongs to the model"),
    ],
)
def test_bad_input(capsys, given, tmp_path, monkeypatch, faster, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    if "cuda" in arguments and "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("there is a CUDA provider here")
    code, out, err = run(capsys, "convert", "model.onnx", "--to", "fastest", *arguments)
    if not message:  # one number stands for both axes
        assert code == 0, err
        return
    assert code == 2, err
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert len(err.splitlines()) <= 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"]


def test_models_that_do_not_run(capsys, given, tmp_path) -> None:
    code, _, err = run(capsys, "convert", bad_model(tmp_path / "bad.onnx"), "--to", "fastest", "--dry-run", *QUICK)
    assert (code, "does not load" in err) == (2, True)
    code, _, err = run(capsys, "convert", wide(tmp_path / "wide.onnx"), "--to", "fastest", "--dry-run", *QUICK)
    assert (code, "does not run on inputs x [1, 2, 5, 6]" in err) == (2, True)
    assert run(capsys, "convert", tmp_path / "wide.onnx", "--to", "fastest", "--dry-run", "--extents", "6,6", "--seconds", "0.02")[0] == 0


def test_openvino_says_why_it_does_not_load(capsys, given, tmp_path) -> None:
    pytest.importorskip("openvino")
    bad = bad_model(tmp_path / "bad.onnx")
    code, _, err = run(capsys, "convert", bad, "--to", "fastest", "--dry-run", *QUICK, "--runtime", "openvino")
    assert (code, "NoSuchOperator" in err) == (2, True)


def test_an_input_of_unknown_rank(capsys, given, tmp_path, faster) -> None:
    proto = onnx.load(given)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    path = save(proto, tmp_path / "rankless.onnx")
    code, _, err = run(capsys, "convert", path, "--to", "fastest", "--dry-run", *QUICK)
    assert (code, "how many extents its input `x` has" in err) == (2, True)
    np.savez(tmp_path / "x.npz", x=integers((1, 2, 5, 6)))
    out = tmp_path / "out.onnx"
    code, text, err = run(capsys, "convert", path, "--to", "fastest", "-o", out, *QUICK[:4], "--example", tmp_path / "x.npz", "--json")
    assert code == 0, err
    assert [layer["status"] for layer in json.loads(text)["layers"]][:2] == ["faster", "faster"]
    x = integers((2, 2, 7, 4))
    assert np.array_equal(output(out, x), output(path, x))


def test_the_widest_node_is_known_at_all_extents(given) -> None:
    """The second upsampler: 3 channels of 2 n x 2 m in, 1 channel of 4 n x 4 m out; and the pool reads that and writes a quarter."""
    found = least_bytes(load(given), {"x": (2, 2, 5, 6)}, 4)
    assert found == 4 * 2 * (3 * 10 * 12 + 20 * 24) + 4 * (3 * 16 + 1)


def test_without_the_runtime(capsys, given, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, _, err = run(capsys, "convert", given, "--to", "fastest", "--dry-run", *QUICK)
    assert (code, "needs the package onnxruntime" in err) == (2, True)


def test_layers_and_modules_take_no_file_options(capsys) -> None:
    for extra in (["--runtime", "openvino"], ["--example", "x.npz"], ["--dry-run"], ["-o", "out.onnx"]):
        code, _, err = run(capsys, "convert", "ConvTranspose1d(3, 2, 4, stride=2)", "--to", "fastest", *extra)
        assert (code, "ONNX files" in err) == (2, True)


def too_large(shapes) -> None:
    raise UsageError("too large: " + "x".join(map(str, shapes["x"])))


class TestInputs:
    PORTS = (Port("x", "float32", ("batch", 3, "h", "w")), Port("mask", "int64", ("batch", "h")), Port("scale", "float16", ()))

    def test_names_count_everywhere(self) -> None:
        found = model_inputs(self.PORTS, extents=(4, 5), batch=2)
        assert {name: (array.shape, array.dtype.name) for name, array in found.items()} == {
            "x": ((2, 3, 4, 5), "float32"),
            "mask": ((2, 4), "int64"),
            "scale": ((), "float16"),
        }
        assert not found["mask"].any()
        assert found["x"].std() > 0.5

    def test_examples(self, tmp_path) -> None:
        arrays = model_inputs(self.PORTS, extents=(4, 5))
        path = tmp_path / "x.npz"
        np.savez(path, **arrays)
        assert model_inputs(self.PORTS, extents=None, example=path)["x"].tobytes() == arrays["x"].tobytes()
        with pytest.raises(UsageError, match="of its own"):
            model_inputs(self.PORTS, extents=(3, 3), example=path)
        with pytest.raises(UsageError, match="must hold arrays named x"):
            model_inputs(self.PORTS[:1], extents=None, example=path)
        np.savez(path, **arrays | {"x": arrays["x"].astype("f8")})
        with pytest.raises(UsageError, match="float32"):
            model_inputs(self.PORTS, extents=None, example=path)
        np.savez(path, **arrays | {"x": arrays["x"][:, :2]})
        with pytest.raises(UsageError, match="batchx3xhxw"):
            model_inputs(self.PORTS, extents=None, example=path)
        np.save(tmp_path / "x.npy", arrays["x"])
        assert model_inputs(self.PORTS[:1], extents=None, example=tmp_path / "x.npy")["x"].shape == (1, 3, 4, 5)
        with pytest.raises(UsageError, match="one array"):
            model_inputs(self.PORTS, extents=None, example=tmp_path / "x.npy")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"no array")
        with pytest.raises(UsageError, match="cannot be read"):
            model_inputs(self.PORTS[:1], extents=None, example=path)
        with pytest.raises(UsageError, match="too large: 1x3x4x5"):
            model_inputs(self.PORTS[:1], extents=None, example=tmp_path / "x.npy", admit=too_large)
        for content in (b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"):
            path.write_bytes(content)
            with pytest.raises(UsageError, match="cannot be read"):
                model_inputs(self.PORTS, extents=None, example=path)

    @pytest.mark.parametrize(
        ("ports", "options", "message"),
        [
            ([Port("x", "float32", ("b", 3, None, None))], {}, "--extents"),
            ([Port("x", "float32", ("b", "c", 4, 4))], {}, "--example"),
            ([Port("x", "float32", (1, 3, 8, 8))], {"extents": (4, 4)}, "fixes them"),
            ([Port("x", "float32", (1, 3, 8, 8))], {"batch": 4}, "fixes them"),
            ([Port("x", "string", (1,))], {}, "type string"),
            ([Port("x", "float32", (), ranked=False)], {"extents": (4, 4)}, "how many extents"),
            ([], {"extents": (4, 4)}, "has no inputs"),
            ([Port("x", "float32", ("b", 1, "n", "m"))], {"extents": (10**6,)}, "TiB"),
            ([Port("x", "float32", ("b", 1, "n")), Port("z", "float32", ("b", 1, 5, "n"))], {"extents": (5,)}, ""),
            ([Port("x", "float32", ("n", 1, "n"))], {"extents": (5,), "batch": 2}, "would be 2 and 5"),
        ],
    )
    def test_what_stays_free(self, ports, options, message) -> None:
        if not message:
            assert model_inputs(ports, **options)["z"].shape == (1, 1, 5, 5)
            return
        with pytest.raises(UsageError, match=message):
            model_inputs(ports, **{"extents": None, **options})


def test_a_session_on_a_device_gives_the_same(given) -> None:
    """The path that other devices than the cpu take, on the cpu: inputs are bound once, outputs stay there."""
    session = open_session("onnxruntime", given)
    x = {"x": integers((1, 2, 5, 6))}
    binding = session.bound(x, "cpu")()
    assert np.array_equal(binding.copy_outputs_to_cpu()[0], session.run(x)[0])
    with pytest.raises(ModelError, match="refuses the inputs"):
        session.run({"x": integers((1, 3, 5, 6))})

"""`symconv diff` as a command: exit codes, one JSON object, widths, and clear errors for what is no model."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from models_for_diff import branching, changed, model, mutations, weighted
from onnx import TensorProto, helper, numpy_helper

import symconv
from symconv.app.diff import read_distance
from symconv.app.main import main
from symconv.errors import UsageError
from symconv.layers import Conv, Weights


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    part = weighted(Conv.make(2, 2, 2, 3, padding=1))
    near = changed(part, Conv, lambda layer, own: (layer, Weights(own.kernel + np.float32(2**-20), own.bias)))
    far = changed(part, Conv, lambda layer, own: (layer, Weights(-own.kernel, own.bias)))
    return {name: str(model(p, 2, folder / f"{name}.onnx")) for name, p in {"a": part, "near": near, "far": far}.items()}


def test_exit_codes(files, capsys):
    assert main(["diff", files["a"], files["a"]]) == 0
    assert main(["diff", files["a"], files["near"]]) == 1
    assert main(["diff", files["a"], files["near"], "--up-to", "1e-3"]) == 0
    assert main(["diff", files["a"], files["near"], "--up-to", "1e-9"]) == 1
    assert main(["diff", files["a"], files["far"]]) == 1
    assert main(["diff", files["a"], files["far"], "--no-run"]) == 3
    assert main(["diff", files["a"], "missing.onnx"]) == 2
    assert main(["diff", files["a"], "Conv2d(1, 1, 3)"]) == 2
    assert main(["diff", files["a"], files["a"] + "::node"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_json_is_one_object_with_every_field(files, capsys):
    assert main(["diff", files["a"], files["far"], "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "symconv.diff/1" and found["relation"] == "different" and found["evidence"] == "exact run"
    assert found["cause"].startswith("the weights of") and "other sign" in found["cause"]
    assert {"left", "right", "rows", "operations", "congruent", "bound", "witness", "reason", "detail", "assumptions", "seconds"} <= set(
        found
    )
    assert found["rows"][0]["distance"] == str(
        2 * max(abs(weighted(Conv.make(2, 2, 2, 3, padding=1))[0][1].kernel).sum((1, 2, 3))).astype(int)
    )


def test_outputs_of_other_shapes_are_one_json_object_too(files, tmp_path, capsys):
    shorter = model(weighted(Conv.make(2, 2, 2, 3)), 2, tmp_path / "shorter.onnx")
    assert main(["diff", files["a"], str(shorter), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["witness"]["left_value"] != found["witness"]["right_value"] and found["witness"]["at"] is None


@pytest.mark.parametrize("columns", [80, 120])
def test_reports_keep_to_the_width(files, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for right in files.values():
        main(["diff", files["a"], right])
    lines = capsys.readouterr().out.splitlines()
    paths = [line for line in lines if len(line) > columns]
    assert not [line for line in paths if ".onnx" not in line]  # only a path that has no space may stick out


def test_a_model_that_differs_ends_with_the_cause(files, capsys):
    main(["diff", files["a"], files["far"]])
    assert "have the other sign" in capsys.readouterr().out.rstrip().splitlines()[-1]


def test_markdown(files, capsys):
    assert main(["diff", files["a"], files["far"], "--format", "md"]) == 1
    assert capsys.readouterr().out.startswith("**different")


def test_models_that_take_other_inputs(files, tmp_path, capsys):
    other = model(weighted(Conv.make(2, 3, 3, 3, padding=1)), 3, tmp_path / "three.onnx")
    assert main(["diff", files["a"], str(other)]) == 1
    assert "input `x`" in capsys.readouterr().out
    one = onnx.load(files["a"])
    one.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    onnx.save(one, tmp_path / "two.onnx")
    assert main(["diff", files["a"], str(tmp_path / "two.onnx")]) == 2
    assert "different numbers of inputs" in capsys.readouterr().err


def test_malformed_files_are_clear_errors(files, tmp_path, capsys):
    raw = Path(files["a"]).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.onnx"
    for k in range(40):
        content = raw[: rng.integers(len(raw))] if k % 2 else bytearray(raw)
        if not k % 2:
            for place in rng.integers(0, len(raw), 4):
                content[place] = rng.integers(256)
        path.write_bytes(bytes(content))
        assert main(["diff", files["a"], str(path), "--budget", "5"]) in (0, 1, 2, 3)
        err = capsys.readouterr().err
        assert "Traceback" not in err and "internal error" not in err


@pytest.mark.parametrize("text", ["-1", "x", "1e999", "nan", "1/0", ""])
def test_distances_that_are_none(text):
    with pytest.raises(UsageError, match="--up-to"):
        read_distance(text)


def test_a_budget_that_runs_out_is_unknown(files, tmp_path):
    path = branching(tmp_path / "m.onnx")
    ((_, proto),) = mutations(onnx.load(path), 3, 1)
    onnx.save(proto, tmp_path / "n.onnx")
    found = symconv.diff(path, tmp_path / "n.onnx", budget=1e-9, run=False)
    assert found.relation.value == "unknown"
    assert found.rows[0].reason == "budget"


def test_random_operators_and_subgraphs(tmp_path):
    """Random numbers are never equal to themselves; subgraphs are, if they hold the same and take the same."""
    given, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 2]) for n in "xy")
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])]
    noisy = tmp_path / "noisy.onnx"
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "g", [given], [out]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9), noisy
    )
    assert symconv.diff(noisy, noisy).relation.value == "unknown"

    def branch(name, op):
        return helper.make_graph(
            [helper.make_node(op, ["x"], [name])], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2])]
        )

    files = []
    for op in ("Neg", "Abs"):
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch("t", "Relu"), else_branch=branch("e", op))
        held = [numpy_helper.from_array(np.array(True), "c")]
        graph = helper.make_graph([node], "g", [given], [out], held)
        files.append(tmp_path / f"{op}.onnx")
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), files[-1])
    assert symconv.diff(files[0], files[0]).relation.value == "identical"
    assert symconv.diff(*files).relation.value in ("unknown", "different")

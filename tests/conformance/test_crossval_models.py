"""Whole models cross-validated: converted models agree, planted faults are seen, what has no theorem is left out by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import onnx
import pytest
import torch
from app.commands import run
from conformance.model_faults import StandIn, faults
from models_for_diff import branching, integers, save
from onnx import helper, numpy_helper
from torch import nn

import symconv
from symconv.app.convert_model import convert_model
from symconv.conformance.evidence import Evidence, Outcome
from symconv.conformance.graphs import crossval_openings
from symconv.conformance.graphs.crossval_extents import sees_every_tap
from symconv.conformance.graphs.crossval_integers import Whole, changeable
from symconv.conformance.graphs.crossval_models import ModelRuns
from symconv.conformance.graphs.crossval_onnx import OnnxSubject
from symconv.conformance.graphs.crossval_pair import ModelPair, pair_models
from symconv.conformance.graphs.crossval_run import cross_validate_models
from symconv.conformance.graphs.opened import opened
from symconv.conformance.plan import Plan
from symconv.errors import InternalError, ModelError, OutsideFragment
from symconv.frontends.model_files import open_model
from symconv.layers import Conv, ConvTranspose

pytest.importorskip("onnxruntime")
FILES = Plan(dtypes=("float32",), backends=("onnxruntime",), count=2)
MODULES = Plan(dtypes=("float32",), algorithms=("onednn",), count=1)


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def converted(path: Path, to: str = "lr-shuffle") -> Path:
    out = path.with_name(f"{path.stem}-{to}.onnx")
    assert convert_model(path, to, output=out).exit_code == 0
    return out


def pair_of(left: Path, right: Path, folder: Path) -> ModelPair:
    subjects = [OnnxSubject.make(path, folder / side) for side, path in (("left", left), ("right", right))]
    return pair_models(*subjects, folder, seconds=30)


def outcomes(evidence: Evidence, kind: str, scope: str = "model") -> set[Outcome]:
    return {row.outcome for row in evidence.rows if row.evidence == kind and row.scope == scope}


def left_out(evidence: Evidence, kind: str) -> dict[str, int]:
    (found,) = [item for item in evidence.models.opened if item.evidence == kind]
    return {cut["op"]: cut["count"] for cut in found.cuts if cut["left_out"]}


def attention(path: Path) -> Path:
    """A convolution, self-attention over its samples, LayerNormalization, a transposed convolution, Tanh."""
    node, rng = helper.make_node, np.random.default_rng(0)
    weights = {
        "w1": rng.normal(size=(8, 4, 3, 3)).astype("f4"), "q": rng.normal(size=(8, 8)).astype("f4"), "g": rng.normal(size=8).astype("f4"),
        "w2": rng.normal(size=(8, 4, 4, 4)).astype("f4"), "b2": rng.normal(size=4).astype("f4"), "to": np.array([0, 8, -1]),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["a"], ["b"], alpha=0.1),
        node("Shape", ["b"], ["shape"]),
        node("Reshape", ["b", "to"], ["c"]),
        node("Transpose", ["c"], ["d"], perm=[0, 2, 1]),
        node("MatMul", ["d", "q"], ["e"]),
        node("MatMul", ["e", "c"], ["f"]),
        node("Softmax", ["f"], ["h"], axis=-1),
        node("MatMul", ["h", "d"], ["i"]),
        node("LayerNormalization", ["i", "g"], ["j"]),
        node("Transpose", ["j"], ["k"], perm=[0, 2, 1]),
        node("Reshape", ["k", "shape"], ["l"]),
        node("ConvTranspose", ["l", "w2", "b2"], ["m"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Tanh", ["m"], ["y"]),
    ]
    return save(nodes, weights, path)


# --- what agrees --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_converted_model_agrees(backend: str, tmp_path: Path) -> None:
    pytest.importorskip(backend)
    left = branching(tmp_path / "model.onnx")
    evidence = cross_validate_models(str(left), str(converted(left)), attrs.evolve(FILES, backends=(backend,)))
    assert evidence.verdict == "agrees" and evidence.relation == "identical"
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL} and outcomes(evidence, "bounded") == {Outcome.WITHIN}
    assert not left_out(evidence, "exact") and not left_out(evidence, "bounded")
    row = next(row for row in evidence.rows if row.evidence == "exact")
    assert row.values > 1000 and row.bound is not None and row.limit is not None and row.bound <= row.limit
    assert [part["count"] for part in evidence.models.parts] == [1]


def test_operators_without_a_theorem_are_left_out_and_the_rest_is_compared(tmp_path: Path) -> None:
    left = attention(tmp_path / "model.onnx")
    evidence = cross_validate_models(str(left), str(converted(left)), FILES)
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL} and outcomes(evidence, "bounded") == {Outcome.WITHIN}
    for kind in ("exact", "bounded"):
        gone = left_out(evidence, kind)
        assert gone == {"Softmax": 1, "Tanh": 1, "LayerNormalization": 1}
        assert next(item.shown for item in evidence.models.opened if item.evidence == kind) >= 3


def test_gradients_come_from_the_parts(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    evidence = cross_validate_models(str(left), str(converted(left)), FILES, part_backends=("torch",))
    parts = [row for row in evidence.rows if row.scope == "parts" and row.backend == "torch"]
    assert {row.direction for row in parts} == {"forward", "input-grad", "weight-grad"}
    assert {row.outcome for row in parts} == {Outcome.IDENTICAL, Outcome.WITHIN}


def decoder() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8), nn.LeakyReLU(0.2, inplace=True), nn.ConvTranspose1d(8, 4, 4, 2, 1)]
    module = nn.Sequential(*layers, nn.Tanh(), nn.Conv1d(4, 4, 3)).eval()
    module[1].running_mean.uniform_(-0.3, 0.3), module[1].running_var.uniform_(0.5, 1.5)
    return module


def test_a_converted_module_agrees_in_every_number_format() -> None:
    plan = attrs.evolve(MODULES, dtypes=("float64", "float32", "bfloat16", "float16"), memory_formats=("contiguous",))
    module = decoder()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    evidence = cross_validate_models(module, symconv.convert(module, to="lr-shuffle").module, plan)
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL} and outcomes(evidence, "bounded") == {Outcome.WITHIN}
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())  # it was copied


@pytest.mark.slow
def test_a_compiled_module_agrees() -> None:
    plan = attrs.evolve(MODULES, modes=("compile",), compiler="aot_eager", directions=("forward",))
    module = decoder()
    evidence = cross_validate_models(module, symconv.convert(module, to="lr-shuffle").module, plan)
    assert evidence.verdict == "agrees" and len(evidence.ran) == len(evidence.rows)


def folded(module: nn.Module) -> nn.Module:
    return nn.Sequential(nn.utils.fusion.fuse_conv_bn_eval(module[0], module[1]), *module[2:])


def test_folded_normalisation_is_within_its_proved_distance_and_not_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module, plan = decoder(), attrs.evolve(MODULES, dtypes=("float64",))
    evidence = cross_validate_models(module, folded(module), plan)
    assert evidence.relation == "equal_up_to" and evidence.verdict == "agrees"
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}
    assert any("computed, not moved" in row.reason for row in evidence.rows)
    monkeypatch.setattr(ModelRuns, "_allowed", staticmethod(lambda *given: 0.0))
    assert cross_validate_models(module, folded(module), plan).verdict == "deviates"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_and_a_module_run_side_by_side(tmp_path: Path) -> None:
    module = decoder()
    path = tmp_path / "decoder.onnx"
    torch.onnx.export(module, (torch.zeros(1, 3, 8),), str(path), dynamo=False, dynamic_axes={"x": {0: "n", 2: "e"}}, input_names=["x"])
    evidence = cross_validate_models(module, str(path), attrs.evolve(MODULES, backends=("torch", "onnxruntime")))
    assert evidence.verdict == "agrees"
    alone = {row.backend: row.reason for row in evidence.rows if row.scope == "model" and row.evidence == "bounded"}
    assert "the left model alone" in alone["torch"] and "the right model alone" in alone["onnxruntime"]


# --- what does not --------------------------------------------------------------------------------------------------------


def caught(left: Path, right: Path, folder: Path, plan: Plan, only: tuple[str, ...] = ()) -> dict[str, dict[str, Outcome]]:
    """What runs say of every planted fault (or those whose name ends so), the proof being that of the right model."""
    pair = pair_of(left, right, folder)
    found = {}
    for k, (name, wrong) in enumerate(faults(onnx.load(str(right)))):
        if only and not name.endswith(only):
            continue
        path = folder / f"wrong{k}.onnx"
        onnx.save(wrong, str(path))
        assert isinstance(pair.right, OnnxSubject)
        bad = StandIn(pair.right, OnnxSubject.make(path, folder / f"staged{k}"))
        rows = ModelRuns(attrs.evolve(pair, right=bad, folder=folder / f"runs{k}"), plan).rows()
        found[name] = {row.evidence: row.outcome for row in rows}
    return found


def test_planted_faults_are_seen_by_runs(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    found = caught(left, converted(left), tmp_path, attrs.evolve(FILES, count=1), ("up", "up/DepthToSpace", "both"))
    assert {name.split()[0] for name in found} == {"tap", "bias", "pad", "order", "inputs"}
    assert {outcome["exact"] for outcome in found.values()} == {Outcome.DEVIATES}
    within = [name for name, outcome in found.items() if outcome["bounded"] is Outcome.WITHIN]
    assert within == ["bias of up"]  # less than the rounding bound at the output


@pytest.mark.slow
def test_every_planted_fault_is_seen_in_exact_mode(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    found = caught(left, converted(left), tmp_path, FILES)
    assert len(found) == 17 and {outcome["exact"] for outcome in found.values()} == {Outcome.DEVIATES}
    bounded = [outcome["bounded"] for outcome in found.values()]
    assert bounded.count(Outcome.DEVIATES) >= 12 and set(bounded) == {Outcome.DEVIATES, Outcome.WITHIN}  # the others are below the bound


def test_a_deviation_says_where_and_how_to_see_it_again(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    right = converted(left)
    pair = pair_of(left, right, tmp_path)
    name, wrong = next(faults(onnx.load(str(right))))
    path = tmp_path / "wrong.onnx"
    onnx.save(wrong, str(path))
    assert name == "tap of first" and isinstance(pair.right, OnnxSubject)
    runs = ModelRuns(attrs.evolve(pair, right=StandIn(pair.right, OnnxSubject.make(path, tmp_path / "wrong"))), FILES)
    rows = list(runs.rows())
    worst = rows[0].deviation
    assert worst is not None and worst.side == "right" and worst.what.startswith("value `") and runs.worst is not None
    assert worst.found != worst.exact and worst.bound == 0


def test_models_that_are_not_the_same_are_not_run(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    _, wrong = next(faults(onnx.load(str(left))))
    onnx.save(wrong, str(tmp_path / "wrong.onnx"))
    with pytest.raises(OutsideFragment, match="proved to differ in a part"):
        cross_validate_models(str(left), str(tmp_path / "wrong.onnx"), FILES)


def test_a_wrong_proof_is_an_internal_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact integers of both sides must agree before anything runs: two deciders that contradict each other."""
    left = branching(tmp_path / "model.onnx")
    _, wrong = next(faults(onnx.load(str(left))))
    onnx.save(wrong, str(tmp_path / "wrong.onnx"))
    pair = pair_of(left, left, tmp_path / "good")
    bad = attrs.evolve(pair, right=OnnxSubject.make(tmp_path / "wrong.onnx", tmp_path / "bad"), folder=tmp_path)
    proved = pair.found
    monkeypatch.setattr(crossval_openings, "compare", lambda *given, **more: proved)
    with pytest.raises(InternalError, match="proved equal"):
        list(ModelRuns(bad, attrs.evolve(FILES, evidence=("exact",))).rows())


ODD = {
    "tokens": (
        [("Gather", "E t", "e"), ("MatMul", "e M", "m"), ("Softmax", "m", "y"), ("ArgMax", "m", "k")],
        {"t": (onnx.TensorProto.INT64, ["n", "s"])}, "y k", {"Softmax": 1, "ArgMax": 1},
    ),
    "taken names": (
        [("Conv", "x W", "symconv_opened_0"), ("Tanh", "symconv_opened_0", "b"), ("Conv", "b W", "y")],
        {"x": (onnx.TensorProto.FLOAT, ["n", 4, "h", "w"])}, "y", {"Tanh": 1},
    ),
    "two outputs": (
        [("Conv", "x W", "a"), ("TopK", "a k", "v i"), ("Cast", "i", "f"), ("Add", "v f", "y")],
        {"x": (onnx.TensorProto.FLOAT, ["n", 4, "h", "w"])}, "y", {"TopK": 2},
    ),
    "twice": (
        [("Conv", "x W", "a"), ("Tanh", "a", "t"), ("Tanh", "a", "u"), ("Add", "t u", "v"), ("Conv", "v W", "y")],
        {"x": (onnx.TensorProto.FLOAT, ["n", 4, "h", "w"])}, "y v", {"Tanh": 1},
    ),
    "scalars": (
        [("Conv", "x W", "a"), ("Mul", "a s", "b"), ("Where", "c b x", "y")],
        {"x": (onnx.TensorProto.FLOAT, ["n", 4, "h", "w"]), "s": (onnx.TensorProto.FLOAT, []), "c": (onnx.TensorProto.BOOL, ["n", 4, "h", "w"])},
        "y", {},
    ),
}  # fmt: skip
"""Operators with inputs and outputs; the models' inputs and outputs; what is left out."""


@pytest.mark.parametrize("name", ODD)
def test_odd_models(name: str, tmp_path: Path) -> None:
    steps, inputs, outputs, gone = ODD[name]
    rng = np.random.default_rng(0)
    held = {"E": rng.normal(size=(9, 8)), "M": rng.normal(size=(8, 8)), "W": rng.normal(size=(4, 4, 3, 3))}
    stored = [numpy_helper.from_array(values.astype("f4"), key) for key, values in held.items()]
    more: dict[str, dict[str, Any]] = {"Conv": {"pads": [1] * 4}, "Cast": {"to": onnx.TensorProto.FLOAT}, "ArgMax": {"axis": -1}}
    nodes = [helper.make_node(op, given.split(), made.split(), **more.get(op, {})) for op, given, made in steps]
    graph = helper.make_graph(
        nodes,
        "odd",
        [helper.make_tensor_value_info(key, *about) for key, about in inputs.items()],
        [onnx.ValueInfoProto(name=key) for key in outputs.split()],
        [*stored, numpy_helper.from_array(np.array([2]), "k")] if name != "tokens" else stored,
    )
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    evidence = cross_validate_models(str(path), str(path), attrs.evolve(FILES, count=1))
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL} and outcomes(evidence, "bounded") == {Outcome.WITHIN}
    assert left_out(evidence, "bounded") == gone


# --- weights of small integers ------------------------------------------------------------------------------------------


def test_the_map_to_integers_commutes_with_moving_taps() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=1000), [0.0, -0.0, 5e-324, 1e300]]).astype(np.float64)
    to = Whole(3, 15)
    found = to(values)
    order = rng.permutation(values.size)
    assert np.array_equal(to(values[order]), found[order]) and np.array_equal(to(-values), -found)
    assert np.array_equal(found, np.rint(found)) and (found == 0).sum() == 2 and set(np.abs(found[found != 0])) == set(range(1, 16))
    assert (Whole(4, 15)(values) != found).mean() > 0.8
    assert 0.15 < (Whole(3, 15, 0.25)(values) != 0).mean() < 0.35
    narrow = values[:1000].astype(np.float32)
    assert np.array_equal(to(narrow), to(narrow.astype(np.float64))) and to(narrow).dtype == np.float32


def test_only_numbers_without_a_meaning_of_their_own_are_changed(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Resize", ["x", "", "scales"], ["a"], mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"),
        node("Conv", ["a", "w"], ["b"]),
        node("Clip", ["b", "low", "high"], ["c"]),
        node("Mul", ["c", "half"], ["d"]),
        node("Pow", ["d", "two"], ["e"]),
        node("Add", ["e", "two"], ["y"]),
    ]
    weights = {
        "scales": np.array([1, 1, 2, 2], "f4"), "w": integers((2, 4, 3, 3)), "low": np.float32(0.1), "high": np.float32(0.2),
        "half": np.float32(0.5), "two": np.float32(2),
    }  # fmt: skip
    changed, ones = changeable(open_model(save(nodes, weights, tmp_path / "model.onnx")))
    assert changed == {"w", "half"} and not ones  # `two` is an exponent as well


def test_summed_taps_are_left_out_in_exact_mode() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 3, padding=1)).eval()
    module[2].weight.data = (module[2].weight.data * 64).round() / 64  # so that sums of taps are exact
    evidence = cross_validate_models(module, symconv.convert(module, to="lr-shuffle").module, MODULES)
    assert evidence.relation == "identical" and evidence.verdict == "agrees" and left_out(evidence, "exact")
    assert any("computed, not moved" in row.reason for row in evidence.rows)
    assert outcomes(evidence, "exact", "parts") == {Outcome.IDENTICAL}  # there the sums of drawn taps are carried


# --- cutting ------------------------------------------------------------------------------------------------------------


def test_extents_at_which_taps_are_seen() -> None:
    up, wide = ConvTranspose.make(1, 2, 2, 4, stride=2, padding=1), Conv.make(2, 2, 2, 7, padding=3)
    assert not sees_every_tap(up, (1,)) and sees_every_tap(up, (2,))
    assert not sees_every_tap(wide, (3, 9)) and sees_every_tap(wide, (4, 4))


def test_opened_graphs(tmp_path: Path) -> None:
    from symconv.frontends.onnx.dataflow import dataflow

    graph = dataflow(open_model(attention(tmp_path / "model.onnx"))).live()
    cut = opened(graph, {"h": "fed", "b": "more"}, ("f", "i", "b"), ("x",))
    assert tuple(cut.inputs) == ("x", "fed", "more") and cut.outputs == ("f", "i", "b")
    readers = {operation.op: operation.inputs for operation in cut.operations}
    assert "Softmax" not in readers and "Tanh" not in readers and "Conv" in readers  # `b` is computed, and fed to what reads it
    assert {value for inputs in readers.values() for value in inputs} >= {"fed", "more"}
    assert not any(value in ("h", "b") for inputs in readers.values() for value in inputs)


def half(path: Path) -> Path:
    """A float16 model of two layers."""
    node = helper.make_node
    weights = {"w": integers((4, 4, 3, 3)).astype("f2") / 8, "v": integers((4, 4, 4, 4), 1).astype("f2") / 8}
    nodes = [node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["b"])]
    nodes.append(node("ConvTranspose", ["b", "v"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]))
    proto = onnx.load(str(save(nodes, weights, path)))
    for item in (*proto.graph.input, *proto.graph.output):
        item.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(proto, str(path))
    return path


def test_a_format_that_a_runtime_does_not_compute_is_a_row_that_says_so(tmp_path: Path) -> None:
    left = half(tmp_path / "half.onnx")
    evidence = cross_validate_models(str(left), str(converted(left)), attrs.evolve(FILES, dtypes=("float16", "float32")))
    for row in evidence.rows:
        assert row.outcome is not Outcome.DEVIATES and (row.reason or row.outcome is not Outcome.UNSUPPORTED)
    other = [row for row in evidence.rows if row.scope == "model" and row.dtype == "float32"]
    assert all(row.reason == "the models compute in float16" for row in other)


def test_weights_beside_the_file_and_nonfinite_ones(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    proto = onnx.load(str(left))
    beside = tmp_path / "beside.onnx"
    onnx.save(proto, str(beside), save_as_external_data=True, location="beside.bin", size_threshold=0)
    evidence = cross_validate_models(str(beside), str(converted(left)), attrs.evolve(FILES, count=1))
    assert evidence.verdict == "agrees"
    proto = onnx.load(str(left))
    bad = np.array(numpy_helper.to_array(proto.graph.initializer[0]))
    bad.reshape(-1)[0] = np.nan
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(bad, proto.graph.initializer[0].name))
    onnx.save(proto, str(tmp_path / "bad.onnx"))
    with pytest.raises(ModelError, match="must be finite"):
        cross_validate_models(str(left), str(tmp_path / "bad.onnx"), FILES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["DCGAN", "FCN8s", "FSRCNN", "UNet3d"])
def test_networks_of_papers(name: str, tmp_path: Path) -> None:
    from models_from_papers import PAPERS

    make, width, shape, _ = PAPERS[name]
    torch.manual_seed(0)
    module: Callable[..., Any] = make(width).eval()
    path = tmp_path / "model.onnx"
    axes = {axis: f"e{axis}" for axis in (0, *range(2, len(shape) + 1))}
    torch.onnx.export(module, (torch.zeros(2, *shape),), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": axes})
    plan = attrs.evolve(FILES, backends=("onnxruntime", "openvino"))
    evidence = cross_validate_models(str(path), str(converted(path)), plan, part_backends=("torch",))
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL} and outcomes(evidence, "bounded") == {Outcome.WITHIN}
    assert outcomes(evidence, "exact", "parts") == {Outcome.IDENTICAL}
    found = caught(path, converted(path, "zero-insertion"), tmp_path, attrs.evolve(FILES, evidence=("exact",)), ("ConvTranspose",))
    assert len(found) >= 2 and {outcome["exact"] for outcome in found.values()} == {Outcome.DEVIATES}


def test_the_evidence_is_plain_json(tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    record = json.loads(json.dumps(cross_validate_models(str(left), str(left), attrs.evolve(FILES, count=1)).to_dict(), allow_nan=False))
    assert record["schema"] == "symconv.crossval/1" and record["models"]["operations"] == [12, 12] and record["models"]["parts"] == []
    assert {row["scope"] for row in record["rows"]} == {"model"}


# --- the command ----------------------------------------------------------------------------------------------------------


def test_the_report_names_what_was_left_out(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    left = attention(tmp_path / "model.onnx")
    done = run(capsys, "crossval", str(left), str(converted(left)), "--device", "cpu", "--count", "1", "--backend", "onnxruntime")
    assert done.code == 0 and done.out.startswith("agrees: both models") and max(map(len, done.out.splitlines())) <= 80
    for text in ("1 Softmax", "left out", "Tanh has no rounding theorem", "1 part is proved", "The parts by themselves", "inputs"):
        assert text in " ".join(done.out.split())


def test_bad_models_and_bad_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    proto = onnx.load(str(left))
    _, wrong = next(faults(proto))
    onnx.save(wrong, str(tmp_path / "wrong.onnx"))
    (tmp_path / "broken.onnx").write_bytes(left.read_bytes()[:-100])
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    onnx.save(proto, str(tmp_path / "other.onnx"))
    cases = [
        ("wrong.onnx", (), 3, "proved to differ in a part"),
        ("other.onnx", (), 3, "take different inputs"),
        ("gone.onnx", (), 2, "cannot be read"),
        ("broken.onnx", (), 2, "damaged"),
        ("model.onnx", ("--extents", "4"), 2, "2 here; found 1"),
        ("model.onnx", ("--channels", "4"), 2, "whole models have their own"),
        ("model.onnx", ("--backend", "tensorrt"), 2, "tensorrt"),
        ("model.onnx", ("--dtype", "float64", "--backend", "onnxruntime"), 3, "the models compute in float32"),
    ]
    for name, options, code, text in cases:
        done = run(capsys, "crossval", str(left), str(tmp_path / name), "--device", "cpu", "--count", "1", *options)
        assert done.code == code and text in " ".join((done.err + done.out).split()), (name, options, done)
        assert "Traceback" not in done.err


def test_extents_are_those_that_are_free(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    left = branching(tmp_path / "model.onnx")
    options = ("--device", "cpu", "--count", "1", "--backend", "onnxruntime", "--directions", "forward", "--json")
    done = run(capsys, "crossval", str(left), str(left), "--extents", "5,3", *options)
    assert done.code == 0 and json.loads(done.out)["models"]["shapes"] == {"x": [2, 4, 5, 3]}

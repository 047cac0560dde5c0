"""`symconv crossval` as a command: exit codes, JSON, certificates, references, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from app.commands import Run, run

from symconv.app.crossval import MOST_CASES, theorem_row
from symconv.conformance.evidence import SCHEMA
from symconv.conformance.plan import Plan
from symconv.report.corpus import package

LEFT, RIGHT = "ConvTranspose1d(2, 3, 4, stride=2, padding=1)", "Conv1d(2, 6, 3, padding=1) >> PixelShuffle(2)"
QUICK = ("--device", "cpu", "--count", "1")


def crossval(capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    return run(capsys, "crossval", *arguments, *QUICK)


def test_the_report_says_what_was_seen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = crossval(capsys, LEFT, RIGHT)
    assert done.code == 0
    assert done.out.startswith("agrees:")
    assert max(map(len, done.out.splitlines())) <= 80
    for word in ("left in right (certified; decided here)", "no-onednn", "weight-grad", "identical", "of 2^24"):
        assert word in done.out


def test_the_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    done = crossval(capsys, LEFT, RIGHT, "--json", "--dtype", "float32,tf32", "--extents", "5", "--seed", "4", "--algorithms", "onednn")
    record = json.loads(done.out)
    assert record["schema"] == SCHEMA and record["verdict"] == "agrees" and record["seed"] == 4 and record["snippet"] is None
    assert record["environment"]["packages"]["torch"] and record["environment"]["devices"]["cpu"]["name"]
    assert len(record["rows"]) == 2 * 3 * 2
    gone = [row for row in record["rows"] if row["outcome"] == "unsupported"]
    assert gone and all(row["dtype"] == "tf32" and "CUDA" in row["reason"] for row in gone)


def test_runtimes_run_forward(capsys: pytest.CaptureFixture[str]) -> None:
    done = crossval(capsys, LEFT, RIGHT, "--backend", "onnxruntime,openvino", "--dtype", "float32", "--json")
    rows = json.loads(done.out)["rows"]
    assert done.code == 0
    assert {(row["backend"], row["direction"], row["outcome"]) for row in rows if row["evidence"] == "exact"} == {
        ("onnxruntime", "forward", "identical"),
        ("openvino", "forward", "identical"),
    }


def test_a_certificate_stands_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    assert run(capsys, "check", LEFT, RIGHT, "--claim", "left-in-right", "--certificate", str(proof)).code == 0
    done = crossval(capsys, str(proof), "--dtype", "float64", "--json")
    record = json.loads(done.out)
    assert done.code == 0 and record["source"] == str(proof) and record["trust"] == "certified"
    assert crossval(capsys, str(proof), RIGHT).code == 2
    changed = json.loads(proof.read_text())
    changed["claim"]["relation"] = "equal"
    proof.write_text(json.dumps(changed))
    assert "the checker rejects" in crossval(capsys, str(proof)).err


MODULES = """
import torch

def one(seed=0, shift=0.0):
    torch.manual_seed(seed)
    layer = torch.nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1)
    layer.weight.data += shift
    return layer

def other():
    return one(1)

def small():
    layer = one()
    layer.weight.data = layer.weight.data.sign() * 3
    layer.bias.data.fill_(2)
    return layer

def wrong():
    return one(0, float("nan"))
"""


def test_weighted_layers_use_their_own_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crossval_modules.py").write_text(MODULES)
    monkeypatch.chdir(tmp_path)
    same = crossval(capsys, "crossval_modules:one", RIGHT, "--dtype", "float32", "--json")
    assert same.code == 0 and json.loads(same.out)["parameters"] == "left_own"
    exact = [row for row in json.loads(same.out)["rows"] if row["evidence"] == "exact"]
    assert all(row["outcome"] == "unsupported" and "no integers" in row["reason"] for row in exact)
    whole = json.loads(crossval(capsys, "crossval_modules:small", RIGHT, "--dtype", "float32", "--json").out)
    assert {row["outcome"] for row in whole["rows"] if row["evidence"] == "exact"} == {"identical"}
    differ = crossval(capsys, "crossval_modules:one", "crossval_modules:other", "--dtype", "float32")
    assert differ.code == 1 and differ.out.startswith("deviates:") and "found" in differ.out
    wrong = crossval(capsys, "crossval_modules:wrong", RIGHT)
    assert wrong.code == 2 and "finite" in wrong.err


BAD = [
    ((LEFT,), 2, "needs a second layer"),
    ((), 2, "needs two layers"),
    (("--corpus", LEFT), 2, "leave LEFT and RIGHT out"),
    (("gone.json",), 2, "no such file"),
    ((LEFT, RIGHT, "--dtype", "float8"), 2, "float8"),
    ((LEFT, RIGHT, "--backend", "tensorrt"), 2, "tensorrt"),
    ((LEFT, RIGHT, "--algorithms", "cudnn"), 2, "on cpu"),
    ((LEFT, RIGHT, "--mode", "fast"), 2, "fast"),
    ((LEFT, RIGHT, "--directions", "sideways"), 2, "sideways"),
    ((LEFT, RIGHT, "--memory-format", "strided"), 2, "strided"),
    ((LEFT, RIGHT, "--extents", "5,5"), 2, "one extent a spatial axis"),
    ((LEFT, RIGHT, "--seed", "-1"), 2, "--seed"),
    ((LEFT, "Conv1d(2, 6, 5, padding=1) >> PixelShuffle(2)"), 3, "nothing can be cross-validated"),
    ((LEFT, RIGHT, "--dtype", "tf32"), 3, ""),
]


@pytest.mark.parametrize(("arguments", "code", "text"), BAD)
def test_bad_input_and_nothing_to_run(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, text: str) -> None:
    done = crossval(capsys, *arguments)
    assert done.code == code
    assert text in done.err and "Traceback" not in done.err


@pytest.mark.parametrize("device", ["cuda", "mps", "tpu"])
def test_a_device_that_is_absent_is_an_error(capsys: pytest.CaptureFixture[str], device: str) -> None:
    from symconv.conformance.torch_runs import devices

    if device in devices():
        pytest.skip("this machine has it")
    done = run(capsys, "crossval", LEFT, RIGHT, "--device", device)
    assert done.code == 2 and device in done.err and not done.out


def test_out_of_memory_is_a_row_that_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    done = crossval(capsys, LEFT, RIGHT, "--extents", str(2**44), "--dtype", "float32", "--algorithms", "onednn", "--json")
    assert done.code == 3
    assert all("memory" in row["reason"] for row in json.loads(done.out)["rows"])


def test_theorems_are_confirmed() -> None:
    plan = Plan(dtypes=("float32",), algorithms=("onednn",), count=1)
    row = theorem_row(package().load("orders"), plan, 6)
    assert row.cases == row.confirmed == 6 and not row.deviating and row.numbers > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in package().NAMES if package().load(name).agreements])
def test_every_theorem_that_speaks_of_a_layer_is_confirmed(name: str) -> None:
    row = theorem_row(package().load(name), Plan(count=1), MOST_CASES)
    assert not row.deviating
    assert row.confirmed + len(row.left_out) == row.cases


def test_a_theorem_that_is_false_is_seen() -> None:
    """The corpus run can fail: a case whose layers do not agree is refused or deviates, and is never confirmed."""
    theorem = package().load("orders")
    agreement = theorem.agreements[0]
    wrong = [attrs.evolve(case, relation="equal") for case in agreement.cases() if case.relation == "incomparable"]
    bent = attrs.evolve(theorem, agreements=(attrs.evolve(agreement, cases=lambda: wrong),))
    row = theorem_row(bent, Plan(dtypes=("float32",), count=1), 4)
    assert wrong and row.confirmed == 0 and len(row.left_out) == 4


def test_check_and_prove_do_not_import_torch() -> None:
    code = (
        "import sys; from symconv.app.main import main\n"
        f"main(['check', '{LEFT}', '{RIGHT}', '--no-presburger']); main(['prove'])\n"
        "sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False).returncode == 0

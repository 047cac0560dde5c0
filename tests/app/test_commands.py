"""The contract of the commands: exit codes, JSON, files, errors."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from app.commands import run

LEFT = "ConvTranspose1d(1,1,4,stride=2,padding=2,bias=False)"
SAME = "Conv1d(1,2,2,bias=False) >> PixelShuffle(2)"
WIDER = "Conv1d(1,2,4,padding=1,bias=False) >> PixelShuffle(2)"
INSIDE = "ConvTranspose1d(1,1,4,stride=2,padding=1,bias=False)"
AROUND = "Conv1d(1,2,3,padding=1,bias=False) >> PixelShuffle(2)"
ZEROS = "Conv1d(1,1,3,padding=1,bias=False)"
REFLECT = "Conv1d(1,1,3,padding=1,padding_mode='reflect',bias=False)"
STRIDED = "Conv1d(1,1,4,stride=2,bias=False)"
UNSHUFFLED = "PixelUnshuffle(2) >> Conv1d(2,1,2,bias=False)"

CHECK_FIELDS = {
    "schema", "left", "right", "relation", "interior_relation", "linear_relation", "domain", "scope", "cutoff", "trust", "dimension",
    "reason", "witness", "certificate", "seconds",
}  # fmt: skip

EXIT_CODES = [
    (0, ["check", LEFT, SAME]),
    (0, ["check", INSIDE, AROUND, "--claim", "left-in-right"]),
    (1, ["check", INSIDE, AROUND]),
    (1, ["check", INSIDE, AROUND, "--claim", "right-in-left"]),
    (0, ["check", AROUND, INSIDE, "--claim", "right-in-left"]),
    (1, ["check", ZEROS, REFLECT]),
    (0, ["check", ZEROS, REFLECT, "--interior"]),
    (0, ["check", INSIDE, AROUND, "--interior", "--claim", "left-in-right"]),
    (1, ["check", INSIDE, AROUND, "--interior"]),
    (1, ["check", STRIDED, UNSHUFFLED]),
    (1, ["check", STRIDED, UNSHUFFLED, "--claim", "left-in-right"]),
    (0, ["check", STRIDED, UNSHUFFLED, "--claim", "right-in-left"]),
    (0, ["check", STRIDED, UNSHUFFLED, "--common-extents"]),
    (1, ["check", INSIDE, LEFT]),
    (3, ["check", "Conv1d(1,1,3) >> Conv1d(1,1,3)", "Conv1d(1,1,5)"]),
    (3, ["check", "Conv1d(1,1,1000000000)", "Conv1d(1,1,1000000000)"]),
    (3, ["check", LEFT, SAME, "--budget", "1e-9"]),
    (0, ["check", "PixelShuffle(2)", "PixelShuffle(2)", "--channels", "4"]),
    (0, ["convert", INSIDE, "--to", "lr-shuffle"]),
    (0, ["convert", STRIDED, "--to", "unshuffle"]),
    (1, ["convert", STRIDED, "--to", "transposed"]),
    (3, ["convert", "Conv1d(1,1,3) >> Conv1d(1,1,3)", "--to", "transposed"]),
    (0, ["explain", ZEROS]),
    (0, ["--version"]),
    (0, ["--help"]),
]


@pytest.mark.parametrize(("code", "arguments"), EXIT_CODES)
def test_exit_codes(capsys: pytest.CaptureFixture[str], code: int, arguments: list[str]) -> None:
    result = run(capsys, *arguments)
    assert result.code == code, result
    assert result.out
    assert "Traceback" not in result.err


BAD = [
    ["check", LEFT],
    ["check", LEFT, SAME, "--no-such-option"],
    ["check", LEFT, SAME, "--claim", "bigger"],
    ["check", "Conv1d(", SAME],
    ["check", "", SAME],
    ["check", "-Conv1d(1,1,3)", SAME],
    ["check", "Conv1d(1,1,3)\0", SAME],
    ["check", "Konv1d(1,1,3)", SAME],
    ["check", "Conv1d(1,1,3,strides=2)", SAME],
    ["check", "Conv1d(1,1,'3')", SAME],
    ["check", "ConvTranspose1d(1,1,3,stride=2,output_padding=2)", SAME],
    ["check", "Conv1d(3,4,3,groups=2)", SAME],
    ["check", "Conv1d(1,1,3) >> " * 20_000 + "Conv1d(1,1,3)", SAME],
    ["check", "Sequential(" * 500 + ")" * 500, SAME],
    ["check", "Conv1d(1,1,3) >> Conv2d(1,1,3)", SAME],
    ["check", "Conv2d(1,1,3)", SAME],
    ["check", "Conv1d(2,1,3)", SAME],
    ["check", "PixelShuffle(2)", "PixelShuffle(2)"],
    ["check", "no_such_module:net", SAME],
    ["check", "model.onnx", SAME],
    ["check", "model.onnx::/up/Conv", SAME],
    ["check", LEFT, SAME, "--budget", "0"],
    ["check", LEFT, SAME, "--budget", "-1"],
    ["check", LEFT, SAME, "--budget", "nan"],
    ["check", LEFT, SAME, "--budget", "inf"],
    ["check", LEFT, SAME, "--budget", "soon"],
    ["check", LEFT, SAME, "--channels", "0"],
    ["check", LEFT, SAME, "--channels", "2"],
    ["check", LEFT, SAME, "--extents", "0"],
    ["check", LEFT, SAME, "--extents", "eight"],
    ["check", LEFT, SAME, "--extents", "8,8"],
    ["check", LEFT, SAME, "--extents", "1,2,3,4"],
    ["check", LEFT, SAME, "--certificate", "/no/such/folder/proof.json"],
    ["check", LEFT, SAME, "--certificate", "."],
    ["check", LEFT, SAME, "--certificate", "proof\0.json"],
    ["check", LEFT, SAME, "--certificate", "x" * 5_000],
    ["check", LEFT, SAME, "--json", "--format", "md"],
    ["check", LEFT, SAME, "--format", "pdf"],
    ["convert", LEFT],
    ["convert", LEFT, "--to", "fastest", "--extents", "0"],
    ["convert", LEFT, "--to", "something"],
    ["convert", "ReLU()", "--to", "transposed", "--channels", "1"],
    ["explain", "Conv1d("],
    ["explain", ZEROS, "--extents", "3,3"],
    ["explain", ZEROS, "--extents", "99999999999999999999"],
    ["explain", STRIDED, "--extents", "2"],
    ["verify"],
    ["verify", "no-such-file.json"],
    ["verify", "."],
    ["verify", "proof\0.json"],
    ["no-such-command"],
]


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: " ".join(arguments)[:60].encode("unicode_escape").decode())
def test_bad_input(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    started = time.perf_counter()
    result = run(capsys, *arguments)
    assert time.perf_counter() - started < 5
    assert result.code == 2, result
    assert result.out == ""
    assert result.err and len(result.err) < 2_000
    assert "Traceback" not in result.err


@pytest.mark.parametrize("arguments", [BAD[3], BAD[22]])
def test_bad_input_with_json_leaves_standard_output_empty(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    result = run(capsys, *arguments, "--json")
    assert (result.code, result.out) == (2, "")


def test_a_reference_that_is_no_module(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    result = run(capsys, "check", "json:dumps", SAME)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: `json:dumps`")


def test_errors_show_the_place(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "check", "Conv1d(1, 1, 3) >> Konv1d(1, 1, 3)", SAME)
    assert "Did you mean `Conv1d`?" in result.err
    assert result.err.splitlines()[-1].endswith("^")


@pytest.mark.parametrize(
    ("left", "right", "relation"),
    [
        (LEFT, SAME, "equal"),
        (INSIDE, AROUND, "left_in_right"),
        (ZEROS, REFLECT, "incomparable"),
        (INSIDE, LEFT, "shapes_differ"),
        ("Conv1d(1,1,3) >> Conv1d(1,1,3)", "Conv1d(1,1,5)", "unknown"),
    ],
)
def test_check_json(capsys: pytest.CaptureFixture[str], left: str, right: str, relation: str) -> None:
    import symconv

    record = json.loads(run(capsys, "check", left, right, "--json").out)
    assert record.keys() >= CHECK_FIELDS
    assert (record["schema"], record["relation"]) == ("symconv.check/1", relation)
    again = symconv.check(left, right, presburger=False).to_dict()
    assert {**record, "seconds": 0} == {**json.loads(json.dumps(again)), "seconds": 0}


def test_check_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, "check", INSIDE, AROUND, "--json")
    assert result.out.count("\n") == 1 and result.err == ""
    record = json.loads(result.out)
    assert record["dimension"] == {"left": 4, "right": 6, "intersection": 4}
    assert record["trust"] == "certified"
    assert record["witness"]["refutes"] == "right_in_left"


def test_convert_json(capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(run(capsys, "convert", INSIDE, "--to", "lr-shuffle", "--json").out)
    assert record["schema"] == "symconv.convert/1"
    assert record["target"] == "Conv1d(1, 2, 2, padding=1, bias=False) >> PixelShuffle(2) >> Crop(1)"
    assert record["verdict"]["relation"] == "equal" and record["verdict"]["trust"] == "certified"


def test_explain_json(capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(run(capsys, "explain", ZEROS, "--json", "--extents", "4").out)
    assert (record["schema"], record["dimension"], record["matrix"]["extents"]) == ("symconv.explain/1", 3, [4])


def test_a_certificate_is_written_and_verified(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    result = run(capsys, "check", LEFT, SAME, "--certificate", str(path))
    assert result.code == 0
    assert str(path) in result.out.replace("\n", "").replace(" ", "")
    assert run(capsys, "verify", str(path)).out.startswith("accepted: equal\n")
    record = json.loads(run(capsys, "verify", str(path), "--json").out)
    assert (record["schema"], record["accepted"], record["results"][0]["claim"]["relation"]) == ("symconv.verify/1", True, "equal")


def test_a_certificate_is_not_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_text("mine", encoding="utf-8")
    assert run(capsys, "check", LEFT, SAME, "--certificate", str(path)).code == 2
    assert path.read_text(encoding="utf-8") == "mine"
    assert run(capsys, "convert", LEFT, "--to", "lr-shuffle", "--certificate", str(path), "--force").code == 0
    assert json.loads(path.read_text(encoding="utf-8"))["format"].startswith("symconv.certificate/")


def test_a_verdict_without_certificate_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    result = run(capsys, "check", "Conv1d(1,1,3) >> Conv1d(1,1,3)", "Conv1d(1,1,5)", "--certificate", str(path))
    assert result.code == 3 and not path.exists()
    assert "no certificate" in result.err


def test_verify_rejects_a_false_claim(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = _certificate(capsys, tmp_path)
    record = json.loads(path.read_text(encoding="utf-8"))
    record["claim"]["relation"] = "equal"
    path.write_text(json.dumps(record), encoding="utf-8")
    result = run(capsys, "verify", str(path))
    assert result.code == 4
    assert result.out.startswith("rejected: ")
    assert json.loads(run(capsys, "verify", str(path), "--json").out)["accepted"] is False


@pytest.mark.parametrize("cut", [0, 1, 100, -2])
def test_verify_names_a_truncated_certificate(capsys: pytest.CaptureFixture[str], tmp_path: Path, cut: int) -> None:
    path = _certificate(capsys, tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:cut], encoding="utf-8")
    result = run(capsys, "verify", str(path))
    assert (result.code, result.out) == (2, "")
    assert str(path) in result.err


def test_verify_several(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good = _certificate(capsys, tmp_path)
    assert run(capsys, "verify", str(good), str(good)).out.startswith("2 of 2 certificates accepted\n")
    result = run(capsys, "verify", str(good), str(tmp_path / "missing.json"))
    assert result.code == 2 and result.out.startswith("accepted") and "missing.json" in result.err
    assert run(capsys, "verify", str(good), str(tmp_path / "missing.json"), "--json").out == ""


def _certificate(capsys: pytest.CaptureFixture[str], folder: Path) -> Path:
    path = folder / "proof.json"
    assert run(capsys, "check", INSIDE, AROUND, "--certificate", str(path)).code == 1
    return path


@pytest.mark.parametrize("arguments", [["check", INSIDE, AROUND], ["convert", INSIDE, "--to", "lr-shuffle"], ["explain", INSIDE]])
def test_markdown(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    out = run(capsys, *arguments, "--format", "md").out
    assert out.startswith("**") and "```text" in out


WEIGHTS = """
import torch
torch.manual_seed(0)
print("loading")
def net():
    return torch.nn.ConvTranspose1d(1, 1, 4, stride=2, padding=1, bias=False)
one = net()
other = net()
"""


def test_references(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    (tmp_path / "two_nets.py").write_text(WEIGHTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    same = run(capsys, "check", "two_nets:one", "two_nets:one")
    assert same.code == 0 and same.out.startswith("identical: ")
    different = run(capsys, "check", "two_nets:one", "two_nets:other")
    assert different.code == 1 and different.out.startswith("different: outputs differ by up to ")
    classes = run(capsys, "check", "two_nets:one", AROUND)
    assert classes.code == 1 and classes.out.startswith("left in right, strictly")
    assert "only one side carries weights" in classes.out
    converted = run(capsys, "convert", "two_nets:one", "--to", "lr-shuffle")
    assert converted.code == 0 and converted.out.startswith("1 of 1 layer converted to lr-shuffle")
    weightless = run(capsys, "convert", "two_nets:one", "--to", "lr-shuffle", "--channels", "1")
    assert weightless.code == 0 and "weights are left out" in weightless.err

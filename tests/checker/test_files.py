"""The certificates in accepted/, rejected/ and malformed/, through the function and through the command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from checker import make_files

import symconv.checker
from symconv.checker import Malformed, check_certificate
from symconv.checker.__main__ import check_file, main

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE.parents[1] / "docs" / "reference" / "certificate.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PACKAGE = Path(symconv.checker.__file__).parent


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (HERE / folder).glob("*.json"))


def test_the_folders_are_what_make_files_writes() -> None:
    assert set(names("accepted")) == set(make_files.ACCEPTED)
    assert set(names("rejected")) == set(make_files.LIES)
    assert set(names("malformed")) == set(make_files.malformed())


@pytest.mark.parametrize("name", names("accepted"))
def test_accepted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = HERE / "accepted" / f"{name}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    VALIDATOR.validate(record)
    result = check_certificate(record)
    assert result.accepted and result.claim is not None and not result.reason
    assert result.claim["relation"] == record["claim"]["relation"]
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"accepted {path}: ")


@pytest.mark.parametrize("name", names("rejected"))
def test_rejected_for_the_right_reason(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = HERE / "rejected" / f"{name}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    VALIDATOR.validate(record)
    started = time.perf_counter()
    result = check_certificate(record)
    assert time.perf_counter() - started < 5
    assert not result.accepted and result.claim is None
    assert re.search(make_files.LIES[name][2], result.reason), result
    assert main([str(path)]) == 4
    assert capsys.readouterr().out.startswith(f"rejected {path}: ")


@pytest.mark.parametrize("name", names("malformed"))
def test_malformed(name: str) -> None:
    path = HERE / "malformed" / f"{name}.json"
    code, line = check_file(str(path))
    assert code == 2 and line.startswith(f"malformed {path}: ") and "\n" not in line
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return
    if name in ("duplicate_key", "nan", "infinity", "float_overflow"):
        return  # JSON's own rules, lost when it is read
    with pytest.raises(Malformed):
        check_certificate(record)
    if name not in ("rational_not_reduced", "float_for_integer"):  # what a schema cannot say
        assert not VALIDATOR.is_valid(record)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("value", [None, 1, "x", [], True, float("nan")])
def test_what_is_no_object_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        check_certificate(value)  # type: ignore[arg-type]


def test_place_of_a_rejection() -> None:
    record = json.loads((HERE / "rejected" / "taps_unreversed.json").read_text(encoding="utf-8"))
    assert check_certificate(record).place == "stages[0].weights.blocks[0].forth"


def test_several_files_and_exit_codes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    good, lie, bad = (str(HERE / name) for name in ("accepted/dcr.json", "rejected/claims_equal.json", "malformed/nan.json"))
    assert [main([good, good]), main([good, lie]), main([good, bad]), main([str(tmp_path / "none")]), main([str(tmp_path)])] == [
        0,
        4,
        2,
        2,
        2,
    ]
    assert main([lie, bad]) == 4
    assert main([]) == 2
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_too_large_a_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    code, line = check_file(str(path))
    assert code == 2 and "64 MB" in line


def test_alone_from_a_copy_of_the_folder(tmp_path: Path) -> None:
    """`python -I -S PATH/checker`: nothing but the standard library and this folder."""
    copied = tmp_path / "elsewhere" / "checker"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    good, lie = HERE / "accepted" / "decoder.json", HERE / "rejected" / "claims_equal.json"
    for arguments in (
        [str(copied)],
        [
            "-c",
            f"import sys; sys.path.insert(0, {str(copied.parent)!r}); import runpy; sys.argv[0] = ''; "
            "runpy.run_module('checker', run_name='__main__', alter_sys=True)",
        ],
    ):
        ran = subprocess.run(
            [sys.executable, "-I", "-S", *arguments, str(good), str(lie)], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert ran.returncode == 4 and not ran.stderr, ran.stderr
        assert [line.split()[0] for line in ran.stdout.splitlines()] == ["accepted", "rejected"]


def test_imports_are_of_the_standard_library() -> None:
    for path in PACKAGE.glob("*.py"):
        for found in re.finditer(r"^\s*(?:from (\.?)([\w.]*) import|import ([\w.]+))", path.read_text(encoding="utf-8"), re.MULTILINE):
            module = (found[2] or found[3]).split(".")[0]
            assert found[1] or module in sys.stdlib_module_names, (path.name, module)

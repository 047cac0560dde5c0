"""symconv as users get it: the built wheel, in a fresh environment, outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
HEAVY = ("torch", "z3", "sympy", "flint", "numpy", "typer", "rich", "onnx", "cvc5")
LEFT = "ConvTranspose1d(1,1,4,stride=2,padding=2,bias=False)"
RIGHT = "Conv1d(1,2,2,bias=False) >> PixelShuffle(2)"


@attrs.frozen
class Installed:
    """An environment with the wheel in it, and a folder outside the checkout to run from."""

    environment: Path
    elsewhere: Path

    @property
    def scripts(self) -> Path:
        return self.environment / ("Scripts" if os.name == "nt" else "bin")

    @property
    def site_packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.environment), "platbase": str(self.environment)}))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = command
        return subprocess.run(
            [str(self.scripts / program), *arguments],
            cwd=self.elsewhere,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _must_run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    (built,) = folder.glob("symconv-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel alone in a fresh environment; its dependencies are borrowed from the one that runs the tests."""
    here = Installed(tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere"))
    venv.create(here.environment, with_pip=False)
    _must_run([sys.executable, "-m", "pip", "--python", str(here.environment), "install", "--quiet", "--no-deps", "--no-index", str(wheel)])
    (here.site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return here


def test_wheel_has_one_top_level_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"symconv", f"symconv-{VERSION}.dist-info"}
    assert "symconv/cli.py" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("cli", "proofs", "tests"))]


def test_site_packages_gain_no_stray_modules(installed: Installed) -> None:
    found = {path.name for path in installed.site_packages.iterdir()}
    assert "symconv" in found
    assert not found & {"cli.py", "cli", "proofs", "tests", "docs", "benchmarks"}


def test_the_package_is_the_installed_one(installed: Installed) -> None:
    result = installed.run("python", "-c", "import symconv; print(symconv.__file__)")
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(installed.site_packages)


@pytest.mark.parametrize("module", ["symconv", "symconv.app.main"])
def test_importing_is_cheap(installed: Installed, module: str) -> None:
    code = f"import {module}, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = installed.run("python", "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("symconv",), ("python", "-m", "symconv")])
def test_version(installed: Installed, command: tuple[str, ...]) -> None:
    result = installed.run(*command, "--version")
    assert result.returncode == 0, result.stderr
    assert VERSION in result.stdout


def test_check_and_verify(installed: Installed) -> None:
    _skip_until_there(installed, "check")
    result = installed.run("symconv", "check", LEFT, RIGHT, "--json", "--certificate", "proof.json")
    assert result.returncode == 0, result.stdout + result.stderr
    verdict = json.loads(result.stdout)
    assert (verdict["schema"], verdict["relation"], verdict["trust"]) == ("symconv.check/1", "equal", "certified")
    result = installed.run("symconv", "verify", "proof.json")
    assert result.returncode == 0, result.stdout + result.stderr


def test_usage_errors_end_with_2(installed: Installed) -> None:
    _skip_until_there(installed, "check")
    for command in (["check", "Conv1d(", RIGHT], ["check", LEFT], ["no-such-command"], ["check", LEFT, RIGHT, "--no-such-option"]):
        result = installed.run("symconv", *command)
        assert result.returncode == 2, (command, result.stdout, result.stderr)
        assert result.stderr
        assert "Traceback" not in result.stderr


def _skip_until_there(installed: Installed, command: str) -> None:
    if installed.run("symconv", command, "--help").returncode != 0:
        pytest.skip(f"`symconv {command}` does not exist yet")


def _must_run(command: Sequence[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

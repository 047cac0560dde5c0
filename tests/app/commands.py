"""Running a command in this process, as its exit code and its two outputs."""

from __future__ import annotations

import attrs
import pytest

from symconv.app.main import main


@attrs.frozen
class Run:
    """One command that has run."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    """Runs `symconv ARGUMENTS...`; without Z3, which has tests of its own, unless the arguments ask for something else."""
    extra = ["--no-presburger"] if arguments and arguments[0] in ("check", "convert") else []
    code = main([*arguments, *extra])
    captured = capsys.readouterr()
    return Run(code, captured.out, captured.err)

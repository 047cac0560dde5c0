"""Figures: what the benchmarks report beside pytest-benchmark's own table.

Owns: the `figures` fixture, the table at the end of a run, build/benchmarks.json.
Must not know: what is measured.
"""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pytest

SCHEMA = "symconv.benchmarks/1"
LIBRARIES = ("python-flint", "z3-solver", "sympy", "torch")


@attrs.frozen
class Figure:
    """One measured number.

    Args:
        group, name: where it stands in the tables.
        value, unit: the number.
        most, least: the aim, or None where there is none.
        note: what else to know.
    """

    group: str
    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.most is None and self.least is None:
            return None
        return (self.most is None or self.value < self.most) and (self.least is None or self.value > self.least)


class Figures:
    """All figures of a run, in the order in which they came."""

    def __init__(self) -> None:
        self.found: list[Figure] = []

    def add(self, group: str, name: str, value: float, unit: str, **rest: Any) -> None:
        """Takes one figure down."""
        self.found.append(Figure(group, name, float(value), unit, **rest))

    def record(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "schema": SCHEMA,
            "machine": {"cores": os.cpu_count(), "cpu": _cpu(), "python": platform.python_version()},
            "libraries": {name: _version(name) for name in LIBRARIES},
            "figures": [{**attrs.asdict(figure), "met": figure.met} for figure in self.found],
        }


ALL = Figures()


@pytest.fixture
def figures() -> Figures:
    """Where a benchmark puts its numbers."""
    return ALL


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not ALL.found:
        return
    path = Path(session.config.rootpath) / "build" / "benchmarks.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(ALL.record(), indent=1) + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not ALL.found:
        return
    width = max(len(figure.name) for figure in ALL.found)
    for group in dict.fromkeys(figure.group for figure in ALL.found):
        terminalreporter.section(group)
        for figure in ALL.found:
            if figure.group == group:
                aim = {None: "", True: "  (aim met)", False: "  (aim missed)"}[figure.met]
                terminalreporter.write_line(f"{figure.name:{width}}  {figure.value:10.4g} {figure.unit}{aim}")
    terminalreporter.write_line("")
    terminalreporter.write_line("written to build/benchmarks.json; `python benchmarks/report.py` turns it into docs/benchmarks.md")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"

"""Progress of long work on a terminal's standard error; nothing where it is none.

Owns: `steps`.
Must not know: what the work is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Report = Callable[[int, int, str], None]
Step = Callable[[str], AbstractContextManager[Report]]
WIDEST_NAME = 40


def steps() -> Step:
    """A maker of steps: `with step("writing") as report:` shows a bar that `report(done, total, name)` moves."""
    return _bar if sys.stderr.isatty() else _silent


@contextmanager
def _silent(_: str) -> Iterator[Report]:
    yield lambda *_: None


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn(f"{title:<9}"),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[name]}", markup=False),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(title, total=None, name="")

        def report(done: int, total: int, name: str) -> None:
            progress.update(task, completed=done, total=total, name=name[-WIDEST_NAME:])

        yield report

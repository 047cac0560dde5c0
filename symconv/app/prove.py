"""`symconv prove`: runs theorems of the corpus, in parallel, and reports what was proved.

Owns: the choice of theorems, processes, the progress bar, the exit code. Must not know: how a theorem is proved.
"""

from __future__ import annotations

import difflib
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

from symconv.app.output import emit
from symconv.errors import UsageError
from symconv.report.corpus import list_page, package, prove_page, prove_record
from symconv.report.page import Page

PROCESSES = 2


def prove(names: Sequence[str], *, everything: bool, as_json: bool, as_format: str = "text", processes: int = PROCESSES) -> int:
    """Proves the theorems named, or lists what there is if none is.

    Args:
        names: theorems' names, numbers of claims, or groups.
        everything: all theorems.
        as_json: print one JSON object.
        as_format: text or md.
        processes: how many run at once.

    Returns:
        0 if everything asked for is proved (or only listed), 1 if anything fails, 3 if a theorem had no backend to run it.

    Raises:
        UsageError: a name that no theorem has.
    """
    wanted = chosen(names, everything=everything)
    theorems = [package().load(name) for name in wanted]
    if not names and not everything:
        emit(lambda: prove_record(theorems, {}), lambda: list_page(theorems), as_json=as_json, as_format=as_format)
        return 0
    results = run(wanted, processes=processes)

    def page() -> Page:
        return prove_page(theorems, results)

    emit(lambda: prove_record(theorems, results), page, as_json=as_json, as_format=as_format)
    outcomes = {result.outcome.value for result in results.values()}
    return 1 if "failed" in outcomes else 0 if outcomes == {"proved"} else 3


def chosen(names: Sequence[str], *, everything: bool) -> list[str]:
    """The theorems' names, in the order of reading; all of them if none is named."""
    corpus = package()
    theorems = {name: corpus.load(name) for name in corpus.NAMES}
    if everything or not names:
        return list(theorems)
    keys: dict[str, set[str]] = {}
    for name, theorem in theorems.items():
        for key in (name, theorem.group, *map(str, theorem.numbers)):
            keys.setdefault(key, set()).add(name)
    for name in names:
        if name not in keys:
            near = difflib.get_close_matches(name, keys, 1)
            hint = f"Did you mean `{near[0]}`?" if near else "`symconv prove` lists them."
            raise UsageError(f"`{name}` must be a theorem, a claim's number or a group; there is none of that name. {hint}")
    asked = set().union(*(keys[name] for name in names))
    return [name for name in theorems if name in asked]


def run(names: Sequence[str], *, processes: int = PROCESSES) -> dict[str, Any]:
    """Name to result, in the order given; a theorem runs in one process."""
    if len(names) == 1 or processes == 1:
        found = {}
        with _progress(len(names)) as advance:
            for name in names:
                found[name] = prove_one(name)
                advance(name)
        return found
    fresh = multiprocessing.get_context("spawn")  # a fork would inherit the locks of torch's and z3's threads
    with (
        ProcessPoolExecutor(min(processes, len(names)), mp_context=fresh, initializer=_one_thread) as pool,
        _progress(len(names)) as advance,
    ):
        waiting = {pool.submit(prove_one, name): name for name in names}
        found = {}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            advance(waiting[done])
    return {name: found[name] for name in names}


def _one_thread() -> None:
    """Each process computes on one thread: the theorems are the parallel part."""
    os.environ["OMP_NUM_THREADS"] = "1"


def prove_one(name: str) -> Any:
    """The result of one theorem, in this process."""
    import importlib

    corpus = package()
    return importlib.import_module(f"{corpus.__name__}.run").prove(corpus.load(name))


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on a terminal's standard error, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("theorems", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)

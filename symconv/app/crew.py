"""Jobs in several processes: one that dies, hangs or loses its device costs one job, and another takes its place.

Owns: `Crew`, `Ended`, `Broken`. Must not know: what the jobs do.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

import attrs

PATIENCE = 20.0
"""Seconds that a job may go on for when time is up."""
LOSSES = 8
"""So many processes in a row may end early before the crew gives up."""


class Broken(Exception):
    """Raised by a job after which its process is of no use any more; the message says why."""


@attrs.frozen
class Ended:
    """How a job ended.

    Args:
        job: the job.
        value: what it returned, if it did.
        error: what went wrong, or "".
        left: whether it was not done because time was up; `stopped` if it had begun.
    """

    job: Any
    value: Any = None
    error: str = ""
    left: bool = False
    stopped: bool = False


@attrs.define
class _Worker:
    process: BaseProcess
    line: Connection
    job: Any = None
    busy: bool = False


class Crew:
    """Processes that call one function.

    Args:
        count: how many; 0 runs every job here, one after another.
        call: a function of a module; every process has its own copy of the module.
        prepare: called first in every new process, or None.
    """

    def __init__(self, count: int, call: Callable[[Any], Any], prepare: Callable[[], None] | None = None) -> None:
        self.count, self.call, self.prepare = count, call, prepare
        self.workers: list[_Worker] = []
        self.losses = 0
        self.back: list[Any] = []

    def __enter__(self) -> Self:
        if self.count == 0 and self.prepare is not None:
            self.prepare()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self.workers:
            if worker.busy or kind is not None:
                worker.process.kill()
            else:
                _tell(worker, None)
        for worker in self.workers:
            worker.process.join(10)
            if worker.process.is_alive():
                worker.process.kill()
            worker.line.close()
        self.workers = []

    def run(self, jobs: Iterable[Any], over: Callable[[], bool], patience: float = PATIENCE) -> Iterator[Ended]:
        """Every job's end, in the order in which they end; jobs not begun when `over()` are left."""
        waiting = iter(jobs)
        yield from self._here(waiting, over) if self.count == 0 else self._there(waiting, over, patience)
        yield from (Ended(job, left=True) for job in (*self.back, *waiting))
        self.back = []

    def _here(self, waiting: Iterator[Any], over: Callable[[], bool]) -> Iterator[Ended]:
        while not over() and self.losses == 0:
            job = next(waiting, None)
            if job is None:
                return
            try:
                yield Ended(job, self.call(job))
            except Broken as error:
                self.losses += 1
                yield Ended(job, error=str(error))
            except Exception as error:
                yield Ended(job, error=_told(error))

    def _there(self, waiting: Iterator[Any], over: Callable[[], bool], patience: float) -> Iterator[Ended]:
        since: float | None = None
        more = True
        while True:
            late = over() or self.losses > LOSSES
            since = None if not late else since or time.monotonic()
            while more and not late and (worker := self._idle()) is not None:
                job = self.back.pop() if self.back else next(waiting, None)
                more = job is not None
                if more and not _tell(worker, job):  # it ended while it was idle: the job goes to another one
                    self.back.append(job)
                    self.losses += 1
                    self._gone(worker, "")
                    break
                if more:
                    worker.job, worker.busy = job, True
            busy = [worker for worker in self.workers if worker.busy]
            if not busy and (late or not more):
                return
            ready = wait([worker.line for worker in busy], timeout=0.5)
            for worker in busy:
                if worker.line in ready:
                    yield self._heard(worker)
                elif since is not None and time.monotonic() > since + patience:
                    worker.process.kill()
                    self._gone(worker, "")
                    yield Ended(worker.job, left=True, stopped=True)

    def _idle(self) -> _Worker | None:
        """A process without a job; a new one while there are too few."""
        free = next((worker for worker in self.workers if not worker.busy), None)
        if free is None and len(self.workers) < self.count:
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, self.call, self.prepare), daemon=False)
            process.start()
            there.close()
            free = _Worker(process, here)
            self.workers.append(free)
        return free

    def _heard(self, worker: _Worker) -> Ended:
        try:
            value, error, broken = worker.line.recv()
        except (EOFError, OSError):
            worker.process.join(10)
            self.losses += 1
            return self._gone(worker, f"its process ended with exit code {worker.process.exitcode}")
        if broken:
            self.losses += 1
            return self._gone(worker, error)
        self.losses, worker.busy = 0, False
        return Ended(worker.job, value, error)

    def _gone(self, worker: _Worker, why: str) -> Ended:
        self.workers.remove(worker)
        worker.process.join(10)
        worker.line.close()
        return Ended(worker.job, error=why)


def _tell(worker: _Worker, job: Any) -> bool:
    try:
        worker.line.send(job)
    except (OSError, ValueError):
        return False
    return True


def _serve(line: Connection, call: Callable[[Any], Any], prepare: Callable[[], None] | None) -> None:
    """One process: jobs in, (value, error, whether the process is of no use any more) out, until None comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the first process's to answer
    if prepare is not None:
        prepare()
    while True:
        try:
            job = line.recv()
        except EOFError:
            return
        if job is None:
            return
        try:
            answer: tuple[Any, str, bool] = (call(job), "", False)
        except Broken as error:
            line.send((None, str(error), True))
            return
        except Exception as error:
            answer = (None, _told(error), False)
        line.send(answer)


def _told(error: Exception) -> str:
    """The error and where it was raised, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f", at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}{where}"

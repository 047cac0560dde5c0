"""Jobs in processes: results come back, errors and deaths cost one job each, time that is up is kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from symconv.app import crew as crew_module
from symconv.app.crew import Broken, Crew, Ended


def work(job: Any) -> Any:
    """What the processes do."""
    what, value = job
    if what == "raise":
        raise ValueError(f"no {value}")
    if what == "lose":
        raise Broken("the device is gone")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "sleep":
        time.sleep(value)
    return os.getpid() if what == "who" else value


def never() -> bool:
    return False


def ran(crew: Crew, jobs: Any, over: Callable[[], bool] = never, **options: Any) -> list[Ended]:
    return list(crew.run(jobs, over, **options))


def test_jobs_come_back_and_one_that_fails_costs_only_itself() -> None:
    jobs = [("add", 1), ("raise", 2), ("die", 3), ("lose", 4), *(("add", k) for k in range(5, 12)), ("who", 0)]
    with Crew(2, work) as crew:
        found = {ended.job: ended for ended in ran(crew, jobs)}
    assert sorted(found) == sorted(jobs) and not any(ended.left for ended in found.values())
    assert [found["add", k].value for k in (1, *range(5, 12))] == [1, *range(5, 12)]
    assert found["raise", 2].error.startswith("ValueError: no 2, at test_crew.py:")
    assert "exit code -9" in found["die", 3].error and found["lose", 4].error == "the device is gone"
    assert found["who", 0].value != os.getpid()
    assert not crew.workers


def test_time_that_is_up_leaves_the_rest_and_stops_what_runs() -> None:
    began = time.monotonic()
    with Crew(1, work) as crew:
        found = ran(crew, [("sleep", 60), ("add", 1), ("add", 2)], lambda: time.monotonic() > began + 1.0, patience=0.5)
    assert time.monotonic() - began < 30
    assert [ended.stopped for ended in found] == [True, False, False] and all(ended.left and not ended.error for ended in found)


def test_a_crew_whose_processes_all_end_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew_module, "LOSSES", 1)
    with Crew(1, work) as crew:
        found = ran(crew, [("lose", k) for k in range(4)])
    assert sum(bool(ended.error) for ended in found) == 2 and sum(ended.left for ended in found) == 2


def test_a_process_that_ends_while_idle_loses_no_job() -> None:
    with Crew(1, work) as crew:
        assert ran(crew, [("add", 1)])[0].value == 1
        crew.workers[0].process.kill()
        crew.workers[0].process.join()
        assert [ended.value for ended in ran(crew, [("add", 2), ("add", 3)])] == [2, 3]


@pytest.mark.parametrize("count", [0, 1])
def test_one_process_keeps_the_order(count: int) -> None:
    with Crew(count, work) as crew:
        assert [ended.value for ended in ran(crew, [("add", k) for k in range(4)])] == [0, 1, 2, 3]


def test_without_processes_an_error_is_told_and_a_lost_device_ends_it() -> None:
    with Crew(0, work) as crew:
        found = ran(crew, [("raise", 1), ("add", 2), ("lose", 3), ("add", 4)])
        assert [bool(ended.error) for ended in found] == [True, False, True, False] and found[3].left
        assert ran(crew, [("add", 5)])[0].left
        assert ran(Crew(0, work), [("add", 6)], lambda: True)[0].left

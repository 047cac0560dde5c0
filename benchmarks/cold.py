"""Runs one command from the start and prints {"seconds", "processor", "megabytes", "code"}.

Wall-clock seconds, processor seconds (of the system too) and the largest resident memory.

A small program of its own, for a process inherits the memory figure of the one that starts it.

    python -I -S benchmarks/cold.py COMMAND [ARGUMENT...]
"""

import json
import os
import sys
import time

PER_MEGABYTE = 2**20 if sys.platform == "darwin" else 2**10
"""ru_maxrss is in bytes there, in KiB elsewhere."""


def main(command: list[str]) -> None:
    """Runs the command with its standard output thrown away."""
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=silent)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    figures = {
        "seconds": seconds,
        "processor": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / PER_MEGABYTE,
        "code": os.waitstatus_to_exitcode(status),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])

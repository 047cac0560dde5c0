"""The command: `python -m symconv.checker FILE...`, or `python -I -S PATH/TO/checker FILE...` from a copy of this folder alone.

One line a file. Exit code 0: all accepted; 4: one is rejected; 2: one is malformed or cannot be read, and none is rejected.
"""

import sys
from pathlib import Path
from typing import Any

if not __package__:  # run as a folder: it is found through its parent, as the package that it is
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = Path(__file__).resolve().parent.name
    __import__(__package__)

from .certificate import check_certificate
from .faults import Malformed
from .syntax import load

LARGEST = 64 * 2**20


def words(claim: dict[str, Any]) -> str:
    """An accepted claim in a few words."""
    relation, domain = str(claim["relation"]), str(claim["domain"]["relation"])
    if relation == "unknown":
        relation = "left_in_right" if claim["left_in_right"] else "right_in_left" if claim["right_in_left"] else relation
    if relation == "shapes_differ":
        return relation
    return f"{relation}, all extents" + ("" if domain == "same" else f" valid for both (domain: {domain})")


def check_file(name: str) -> tuple[int, str]:
    """(exit code, line) for one file."""
    try:
        with open(name, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            return 2, f"malformed {name}: larger than {LARGEST >> 20} MB"
        result = check_certificate(load(content.decode()))
    except (OSError, UnicodeDecodeError, Malformed) as error:
        return 2, f"malformed {name}: {getattr(error, 'place', '')} {getattr(error, 'strerror', None) or error}".replace(":  ", ": ")
    except (RecursionError, MemoryError):
        return 4, f"rejected {name}: too large for the checker's budget"
    if result.claim is not None:
        return 0, f"accepted {name}: {words(result.claim)}"
    return 4, f"rejected {name}: {result.place} {result.reason}".replace(":  ", ": ")


def main(names: list[str]) -> int:
    """Checks all files, prints one line each, returns the exit code."""
    if not names:
        print("usage: python -m symconv.checker FILE...", file=sys.stderr)
        return 2
    codes = []
    for name in names:
        code, line = check_file(name)
        print(line, flush=True)
        codes.append(code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which theorems have machine-checked proofs in Rocq, read from the corpus's own list.

Owns: `machine_checked`. Must not know: Rocq; nothing is compiled here, and nothing is said to be proved by it.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs

from symconv.report.corpus import package


@attrs.frozen
class Machine:
    """One line of proofs/rocq/README.md: claims, lemmas, the file that has them."""

    claims: tuple[int, ...]
    lemmas: tuple[str, ...]
    file: str


def machine_checked() -> tuple[Machine, ...]:
    """Every line of the list; empty where the corpus is shipped without the folder."""
    readme = Path(str(package().__file__)).parent / "rocq" / "README.md"
    if not readme.exists():
        return ()
    rows = re.findall(r"^\| ([\d, ]+) \| (.+?) \| (\w+\.v) \|", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return tuple(
        Machine(tuple(int(number) for number in re.findall(r"\d+", claims)), tuple(re.findall(r"`(\w+)`", lemmas)), file)
        for claims, lemmas, file in rows
    )

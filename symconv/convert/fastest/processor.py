"""The processor's name, so that measurements of one machine are not taken for another's.

Owns: `processor`, `described`. Must not know: what is measured.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path


def processor() -> str:
    """The model's name with family and model number, and how many processors there are."""
    return f"{described('model name', 'cpu family', 'model')}, {os.cpu_count()} processors"


@functools.cache
def described(*fields: str) -> str:
    """What the system says of its first processor in these fields; where it does not say, what Python knows of the machine."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = [re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE) for field in fields]
    return " ".join(match[1].strip() for match in found if match) or platform.processor() or platform.machine()

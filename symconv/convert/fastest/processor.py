"""The processor's name, so that measurements of one machine are not taken for another's.

Owns: `processor`. Must not know: what is measured.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from pathlib import Path


@functools.cache
def processor() -> str:
    """The model's name with family and model number, and how many processors there are."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = [re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE) for field in ("model name", "cpu family", "model")]
    name = " ".join(match[1].strip() for match in found if match) or platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} processors"

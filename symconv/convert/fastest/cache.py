"""Measurements kept between runs, one small file a question.

Owns: `recall`, `remember`, `folder`.
Must not know: what is measured.

$XDG_CACHE_HOME/symconv/fastest/<hash of the question>.json, written atomically. A file that cannot be read, or that answers another
question, counts as absent: it is measured again. So does one that was measured for less time than is asked for. Only times come from here;
certificates and comparisons are made anew in every run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symconv.certificate.encode import write_atomically
from symconv.errors import SymconvError

SCHEMA = "symconv.fastest-cache/1"


def folder() -> Path:
    """Where the files lie."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache") / "symconv" / "fastest"


def _path(question: Mapping[str, Any]) -> Path:
    text = json.dumps(question, sort_keys=True, ensure_ascii=True)
    return folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def recall(question: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
    """The answer to a question that was measured for that time at least, or None."""
    try:
        record = json.loads(_path(question).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA or record.get("question") != dict(question):
        return None
    answer, spent = record.get("answer"), record.get("seconds")
    if not isinstance(spent, int | float) or not spent >= seconds:
        return None
    return answer if isinstance(answer, dict) else None


def remember(question: Mapping[str, Any], answer: Mapping[str, Any], seconds: float) -> bool:
    """Writes an answer that was measured for that time; False where the folder cannot be written, which is no error."""
    path = _path(question)
    record = {"schema": SCHEMA, "question": dict(question), "seconds": seconds, "answer": dict(answer)}
    text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False)
    with contextlib.suppress(OSError, SymconvError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text + "\n", force=True)
        return True
    return False

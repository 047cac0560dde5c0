"""What early releases of Python 3.11 misread stays out of the sources."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_no_possessive_quantifier() -> None:
    """Before 3.11.5 a possessive group, such as (?:a|b)*+, can lose what it matched; expressions with commas did not parse there."""
    possessive = re.compile(r"[\])][*+?]\+|\(\?>")
    found = [path for path in (ROOT / "symconv").rglob("*.py") if possessive.search(path.read_text(encoding="utf-8"))]
    assert not found

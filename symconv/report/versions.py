"""Versions of what a result was made with.

Owns: `versions`. Must not know: results.
"""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = ("symconv", "z3-solver", "cvc5", "sympy", "python-flint", "numpy", "torch")


def versions() -> dict[str, str]:
    """Package to version; `not installed` where it is missing."""
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed" if package != "symconv" else "from a checkout"
    return found

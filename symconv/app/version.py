"""The version of symconv that runs.

Owns: `version`. Must not know: anything else.
"""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """The installed version; `unknown` where symconv runs from a folder that was never installed."""
    try:
        return metadata.version("symconv")
    except metadata.PackageNotFoundError:
        return "unknown"

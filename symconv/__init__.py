"""symconv: is this layer the same as that one?

>>> import symconv
>>> symconv.check("ConvTranspose1d(1, 1, 2, stride=2)", "Conv1d(1, 2, 1) >> PixelShuffle(2)").relation.value
'left_in_right'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symconv.api import Verdict, Verification, check, convert, diff, embed, icnr_, project, to_module, verify

__all__ = ["Verdict", "Verification", "check", "convert", "diff", "embed", "icnr_", "project", "to_module", "verify"]


def __getattr__(name: str) -> Any:
    """Loads the interface on first use, so that `import symconv` costs nothing."""
    if name in __all__:
        import importlib

        return getattr(importlib.import_module("symconv.api"), name)
    raise AttributeError(f"module 'symconv' has no attribute {name!r}")

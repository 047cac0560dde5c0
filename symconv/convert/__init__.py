"""Layers rewritten by proved reshuffles.

The package is callable: the interface has a function `symconv.convert`, and importing this package binds the same name.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """This package, which `symconv.convert(...)` may find in place of the function of the same name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Calls `symconv.api.convert`."""
        return importlib.import_module("symconv.api").convert(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage

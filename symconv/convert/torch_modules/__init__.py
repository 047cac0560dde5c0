"""Modules rewritten by proved reshuffles: the one place in `convert` that imports torch.

Owns: what of it others may use. Must not know: how it works.
"""

from __future__ import annotations

from symconv.convert.torch_modules.initialise import icnr_
from symconv.convert.torch_modules.record import LayerChange, ModuleConversion
from symconv.convert.torch_modules.rewrite import convert_module

__all__ = ["LayerChange", "ModuleConversion", "convert_module", "icnr_"]

"""The fastest of the certified-equivalent forms of a layer, measured where it is to run.

Owns: what of it others may use; torch is imported when what needs it is asked for. Must not know: how it works.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from symconv.convert.fastest.clock import Lap, race
from symconv.convert.fastest.found import Choice, Site
from symconv.convert.fastest.ranking import Row

if TYPE_CHECKING:
    from symconv.convert.fastest.choosing import Setting, choose
    from symconv.convert.fastest.modules import FastestConversion, convert_to_fastest
    from symconv.convert.fastest.replacement import Fastest

_PLACES = {
    **dict.fromkeys(("Setting", "choose"), "choosing"),
    **dict.fromkeys(("FastestConversion", "convert_to_fastest"), "modules"),
    "Fastest": "replacement",
}

__all__ = ["Choice", "Fastest", "FastestConversion", "Lap", "Row", "Setting", "Site", "choose", "convert_to_fastest", "race"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)

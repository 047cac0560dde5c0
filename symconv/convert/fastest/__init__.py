"""The fastest of the certified-equivalent forms of a layer, measured where it is to run.

Owns: what of it others may use. Must not know: how it works.
"""

from __future__ import annotations

from symconv.convert.fastest.choosing import Choice, Row, Setting, choose
from symconv.convert.fastest.clock import Lap, race
from symconv.convert.fastest.modules import FastestConversion, Site, convert_to_fastest
from symconv.convert.fastest.replacement import Fastest

__all__ = ["Choice", "Fastest", "FastestConversion", "Lap", "Row", "Setting", "Site", "choose", "convert_to_fastest", "race"]

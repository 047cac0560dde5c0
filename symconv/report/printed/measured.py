"""Results of `symconv power` as a chapter: tables, plots, and the answers in words.

Owns: `Measured`, `measured_chapters`. Must not know: how anything was measured, writers.

What is measured is never marked as proved.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from symconv.report.power import power_page
from symconv.report.power_plots import Plot, plots
from symconv.report.printed.document import Block, Box, Figure, Heading, Mark, Paragraph, Steps, words
from symconv.report.printed.verdicts import page_block

SCHEMA = "symconv.power/1"
WIDTHS = {"crops.png": 1.0}
"""The part of the text's width that a plot takes, where it is not 0.9."""


@attrs.frozen
class Measured:
    """Results read from a file.

    Args:
        name: of the file.
        record: the object in it, schema symconv.power/1.
    """

    name: str
    record: Mapping[str, Any]


def measured_chapters(measured: Sequence[Measured]) -> list[Block]:
    """One chapter a file, in the order given."""
    return [block for place, item in enumerate(measured, 1) for block in _chapter(place, item)]


def _chapter(place: int, item: Measured) -> Iterator[Block]:
    record = dict(item.record)
    page = power_page(record)
    yield Heading(1, words("What low resolution is worth, measured"), f"measured-{place}")
    lead, *sections = page.sections
    told = tuple(words(line) for block in lead.blocks for line in getattr(block, "lines", ()) if line)
    yield Box(words(page.headline), Mark.PLAIN, (Steps(told, numbered=False),))
    yield Paragraph(
        words(
            f"Nothing in this chapter is a proof: it holds for the images and networks that were run. The results are from {item.name}; "
            "make experiment measures them again."
        )
    )
    for plot in plots(record):
        yield Figure(
            _drawing(plot), (f"[{plot.name}: see the HTML or PDF report]",), words(plot.caption), WIDTHS.get(plot.name, 0.9), plot.caption
        )
    for section in sections:
        yield Heading(2, words(section.title)) if section.title else Paragraph(())
        yield from map(page_block, section.blocks)


def _drawing(plot: Plot) -> Callable[[], bytes]:
    return partial(_framed, plot.draw) if plot.name.endswith(".png") else plot.draw


def _framed(draw: Callable[[], bytes]) -> bytes:
    """A PNG inside an SVG of its size, the one form of drawing that the writers take."""
    png = draw()
    wide, high = struct.unpack(">II", png[16:24])
    data = base64.b64encode(png).decode()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}"><image width="{wide}" height="{high}" xlink:href="data:image/png;base64,{data}"/></svg>'
    ).encode()

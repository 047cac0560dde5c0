"""`symconv convert`: one layer in, the same layer in another form out.

Owns: the exit code of a conversion. Must not know: forms, formulas, deciders.
"""

from __future__ import annotations

import sys
from pathlib import Path

from symconv.api import weightless
from symconv.app.arguments import one_output, read_budget, read_channels, read_layer, writable
from symconv.app.output import emit, save
from symconv.convert.conversion import Conversion
from symconv.errors import UsageError
from symconv.layers import WeightedNetwork
from symconv.report.page import Page

NOT_YET = ("fastest",)


def convert(
    layer: str,
    to: str,
    *,
    channels: int | None,
    budget: float,
    certificate: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
    presburger: bool,
) -> int:
    """Converts, reports, and returns 0 for a converted layer, 1 where there is none, 3 where that is not known."""
    from symconv.convert.layer import convert_layer

    one_output(as_json, as_format)
    if to in NOT_YET:
        raise UsageError(f"`--to {to}` is not available yet; give lr-shuffle, transposed, zero-insertion or unshuffle.")
    seconds, count, path = read_budget(budget), read_channels(channels), writable(certificate, force=force)
    network = read_layer(layer)
    if isinstance(network, WeightedNetwork):
        print("note: the weights are left out; the layer is converted for every kernel", file=sys.stderr)
    conversion = convert_layer(weightless(network), to, channels=count, budget=seconds, presburger=presburger, check=True)
    found = conversion.target is not None
    proof = conversion.verdict.certificate if found and conversion.verdict is not None else None
    saved = save(proof, path, force=force)

    def page() -> Page:
        from symconv.report.convert import convert_page

        return convert_page(conversion, saved)

    emit(conversion.to_dict, page, as_json=as_json, as_format=as_format)
    return exit_code(conversion)


def exit_code(conversion: Conversion) -> int:
    """0 converted, 1 no such form, 3 unknown."""
    if conversion.target is not None:
        return 0
    return 1 if (conversion.reason or "").startswith("no:") else 3

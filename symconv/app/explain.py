"""`symconv explain`: one layer in, what it is and does out.

Owns: the options. Must not know: what is explained, and how.
"""

from __future__ import annotations

import sys

from symconv.api import weightless
from symconv.app.arguments import one_output, read_budget, read_channels, read_extents, read_layer
from symconv.app.output import emit
from symconv.layers import WeightedNetwork
from symconv.report.page import Page


def explain(layer: str, *, extents: str | None, channels: int | None, budget: float, as_json: bool, as_format: str) -> int:
    """Explains, and returns 0."""
    from symconv.report.explanation import explain_layer

    one_output(as_json, as_format)
    seconds, count, at = read_budget(budget), read_channels(channels), read_extents(extents)
    network = read_layer(layer)
    if isinstance(network, WeightedNetwork):
        print("note: the weights are left out; the layer is explained for every kernel", file=sys.stderr)
    found = explain_layer(weightless(network), channels=count, extents=at, budget=seconds)

    def page() -> Page:
        from symconv.report.explain import explain_page

        return explain_page(found)

    emit(found.to_dict, page, as_json=as_json, as_format=as_format)
    return 0

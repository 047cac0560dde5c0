"""`symconv explain`: one layer in, what it is and does out; or a model, and which of its layers change extents.

Owns: the options. Must not know: what is explained, and how.
"""

from __future__ import annotations

import sys

from symconv.api import has_weights, known_channels, weightless
from symconv.app.arguments import one_output, read_budget, read_channels, read_extents, read_layer
from symconv.app.output import emit
from symconv.errors import UsageError
from symconv.frontends.model_files import is_model_file, open_model, split
from symconv.report.page import Page


def explain(layer: str, *, extents: str | None, channels: int | None, budget: float, as_json: bool, as_format: str) -> int:
    """Explains, and returns 0."""
    from symconv.report.explanation import explain_layer

    one_output(as_json, as_format)
    seconds, count, at = read_budget(budget), read_channels(channels), read_extents(extents)
    if is_model_file(layer) and not split(layer)[1]:
        if at is not None or count is not None:
            raise UsageError(
                "`--extents` and `--channels` are for one layer; a model has its own. Leave them out, or name model.onnx::node."
            )
        return _explain_model(layer, seconds, as_json=as_json, as_format=as_format)
    network = read_layer(layer)
    if has_weights(network):
        print("note: the weights are left out; the layer is explained for every kernel", file=sys.stderr)
    found = explain_layer(weightless(network), channels=count or known_channels(network), extents=at, budget=seconds)

    def page() -> Page:
        from symconv.report.explain import explain_page

        return explain_page(found)

    emit(found.to_dict, page, as_json=as_json, as_format=as_format)
    return 0


def _explain_model(layer: str, seconds: float, *, as_json: bool, as_format: str) -> int:
    """The layers of a whole model."""
    model = open_model(split(layer)[0])
    from symconv.report.model_layers import explain_model

    found = explain_model(model, budget=seconds)

    def page() -> Page:
        from symconv.report.model_page import model_page

        return model_page(found)

    emit(found.to_dict, page, as_json=as_json, as_format=as_format)
    return 0

"""What was done to a model, as the bundle says it.

Owns: `bundle_record`, `tools`.
Must not know: files, how a bundle is checked.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

from symconv.certificate.bundle import SCHEMA
from symconv.certificate.encode import digest
from symconv.convert.choice import FORTH
from symconv.convert.onnx.graph_edit import Edits, Rewritten
from symconv.convert.onnx.plan import Plan
from symconv.frontends.onnx.graph import OnnxModel


def bundle_record(plan: Plan, edits: Edits, converted: OnnxModel, untouched: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    """The bundle of a conversion.

    Args:
        plan, edits: what was planned and done.
        converted: the new model, read.
        untouched: digest of what is the same, for "original" and "converted".
        names: file names for both.
    """
    certificates: dict[str, Any] = {}
    layers = [_layer(rewritten, converted, certificates) for rewritten in edits.layers]
    return {
        "schema": SCHEMA,
        "to": plan.request.to,
        "target": list(plan.request.constraints.words),
        "tools": tools(),
        "original": {"file": names["original"], "untouched": untouched["original"], **removed(plan, edits)},
        "converted": {"file": names["converted"], "untouched": untouched["converted"], **added(edits, converted)},
        "certificates": certificates,
        "layers": layers,
    }


def removed(plan: Plan, edits: Edits) -> dict[str, list[str]]:
    """Nodes and initializers that went."""
    nodes = [node.name for node in plan.model.nodes if node.index in edits.removed_nodes]
    return {"nodes": nodes, "initializers": sorted(edits.removed_initializers)}


def added(edits: Edits, converted: OnnxModel) -> dict[str, list[str]]:
    """Nodes and initializers that came."""
    new = {value for nodes in edits.new_nodes.values() for node in nodes for value in node.output}
    nodes = [node.name for node in converted.nodes if node.outputs and node.outputs[0] in new]
    return {"nodes": nodes, "initializers": [tensor.name for tensor in edits.new_tensors]}


def tools() -> dict[str, str]:
    """The programs that took part, and their versions."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "onnx")}
    try:
        own = importlib.metadata.version("symconv")
    except importlib.metadata.PackageNotFoundError:
        own = "unknown"
    return {"symconv": own, "python": platform.python_version(), **packages}


def _layer(rewritten: Rewritten, converted: OnnxModel, certificates: dict[str, Any]) -> dict[str, Any]:
    from symconv.frontends.onnx.chains import Stretch, chain_to

    change = rewritten.change
    verdict = change.choice.verdict
    assert verdict is not None and verdict.certificate is not None, "it was certified"
    certificate = verdict.certificate
    key = digest(dict(certificate))
    certificates[key] = certificate
    digests = rewritten.digests()
    after = chain_to(converted, change.stretch.output, lambda value: value == change.stretch.input)
    kernel, bias = change.kernel, change.bias
    shapes = change.kernel_moves.target if change.choice.way == FORTH else change.kernel_moves.source
    before_side = {
        "nodes": [node.name for node in change.stretch.nodes],
        "kernel": _tensor(kernel.name, kernel.dtype, kernel.shape, digests["kernel"][0]),
        "bias": None if bias is None else _tensor(bias.name, bias.dtype, bias.shape, digests["bias"][0]),
    }
    after_bias = None
    if bias is not None and rewritten.bias is not None and change.bias_moves is not None:
        length = change.bias_moves.target if change.choice.way == FORTH else change.bias_moves.source
        after_bias = _tensor(rewritten.bias, bias.dtype, length, digests["bias"][1])
    after_side = {
        "nodes": [node.name for node in after.nodes] if isinstance(after, Stretch) else [],
        "kernel": _tensor(rewritten.kernel, kernel.dtype, shapes, digests["kernel"][1]),
        "bias": after_bias,
    }
    return {
        "name": change.name,
        "input": change.stretch.input,
        "output": change.stretch.output,
        "certificate": key,
        "way": change.choice.way,
        "before": before_side,
        "after": after_side,
    }


def _tensor(value: str, dtype: str, shape: tuple[int, ...], sha256: str) -> dict[str, Any]:
    return {"value": value, "dtype": dtype, "shape": list(shape), "sha256": sha256}

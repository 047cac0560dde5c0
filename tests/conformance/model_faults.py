"""Planted faults in whole ONNX models, and a model that stands in a proof for a faulty one, so that only runs can tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import onnx
from onnx import numpy_helper

from symconv.conformance.graphs.crossval_onnx import OnnxSubject


@attrs.frozen(eq=False)
class StandIn:
    """Proved as `right`, run as `wrong`: a proof would refuse the wrong one before anything runs."""

    right: OnnxSubject
    wrong: OnnxSubject
    backends = ("onnxruntime", "openvino")

    @property
    def graph(self) -> Any:
        return self.right.graph

    @property
    def formats(self) -> Any:
        return self.right.formats

    @property
    def bytes(self) -> int:
        return self.right.bytes

    def whole(self, to: Any, folder: Path) -> StandIn:
        return StandIn(self.right.whole(to, folder / "right"), self.wrong.whole(to, folder / "wrong"))

    def natural(self, inputs: Any, wanted: Any) -> Any:
        return self.right.natural(inputs, wanted)

    def opened(self, fed: Any, outputs: Any, samples: Any) -> Any:
        return self.wrong.opened(fed, outputs, samples)


def faults(proto: onnx.ModelProto, seed: int = 0) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The model with one fault each, every kind at every place where there is one."""
    rng = np.random.default_rng(seed)
    for k, node in enumerate(proto.graph.node):
        if node.op_type in ("Conv", "ConvTranspose"):
            yield from _in_layer(proto, k, rng)
        if node.op_type == "DepthToSpace":
            wrong = _copy(proto)
            mode = next((item for item in wrong.graph.node[k].attribute if item.name == "mode"), None)
            was = b"DCR" if mode is None else mode.s
            kept = [item for item in wrong.graph.node[k].attribute if item.name != "mode"]
            del wrong.graph.node[k].attribute[:]
            wrong.graph.node[k].attribute.extend([*kept, onnx.helper.make_attribute("mode", "CRD" if was == b"DCR" else "DCR")])
            yield f"order of {node.name or node.output[0]}", wrong
        if node.op_type in ("Concat", "Sub") and len(set(node.input)) > 1:
            wrong = _copy(proto)
            wrong.graph.node[k].input[:] = [node.input[1], node.input[0], *node.input[2:]]
            yield f"inputs of {node.name or node.output[0]}", wrong


def _in_layer(proto: onnx.ModelProto, k: int, rng: np.random.Generator) -> Iterator[tuple[str, onnx.ModelProto]]:
    node = proto.graph.node[k]
    name = node.name or node.output[0]
    stored = {item.name: place for place, item in enumerate(proto.graph.initializer)}
    if node.input[1] in stored:
        values = np.array(numpy_helper.to_array(proto.graph.initializer[stored[node.input[1]]]))
        rows = values.reshape(values.shape[0] * values.shape[1], -1)
        places = np.argwhere(rows[:, :-1] != rows[:, 1:])
        if len(places):
            row, tap = places[int(rng.integers(len(places)))]
            rows[row, [tap, tap + 1]] = rows[row, [tap + 1, tap]]
            yield f"tap of {name}", _with(proto, stored[node.input[1]], values)
    if len(node.input) > 2 and node.input[2] in stored:
        values = np.array(numpy_helper.to_array(proto.graph.initializer[stored[node.input[2]]]))
        yield f"bias of {name}", _with(proto, stored[node.input[2]], values + np.float32(0.25))
    pads = next((item for item in node.attribute if item.name == "pads"), None)
    if pads is not None and pads.ints[0] > 0:
        wrong = _copy(proto)
        item = next(item for item in wrong.graph.node[k].attribute if item.name == "pads")
        half = len(item.ints) // 2
        item.ints[0] -= 1
        item.ints[half] += 1
        yield f"pad of {name}", wrong


def _copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    return made


def _with(proto: onnx.ModelProto, place: int, values: np.ndarray) -> onnx.ModelProto:
    made = _copy(proto)
    made.graph.initializer[place].CopyFrom(numpy_helper.from_array(values, proto.graph.initializer[place].name))
    return made

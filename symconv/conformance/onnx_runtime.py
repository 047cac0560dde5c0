"""ONNX Runtime as an oracle: a model run on given inputs, on the CPU, one thread, nothing fused.

Owns: `Session`, `run`. Must not know: layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

FATAL = 4


class RuntimeRejects(ValueError):
    """ONNX Runtime does not load or run the model; the text is its own."""


class Session:
    """A model made ready to run.

    Args:
        model: a file, or a serialised ModelProto without external data.
        fused: whether the runtime may rewrite the graph.

    Raises:
        RuntimeRejects: the runtime refuses the model.
    """

    def __init__(self, model: Path | bytes, *, fused: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if not fused:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        source: Any = str(model) if isinstance(model, Path) else model
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common base that is documented
            raise RuntimeRejects(str(error).split("\n")[0]) from None

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs, in the model's order.

        Raises:
            RuntimeRejects: the runtime refuses the inputs.
        """
        try:
            return list(self._session.run(None, dict(inputs)))
        except Exception as error:
            raise RuntimeRejects(str(error).split("\n")[0]) from None


def run(model: Path | bytes, inputs: Mapping[str, np.ndarray], *, fused: bool = False) -> list[np.ndarray]:
    """The outputs of a model for one set of inputs; see `Session`."""
    return Session(model, fused=fused).run(inputs)

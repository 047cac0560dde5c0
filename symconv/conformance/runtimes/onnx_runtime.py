"""ONNX Runtime.

Owns: `Adapter`. Must not know: layers, what is compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Adapter:
    """Runs a model in one session, on one thread."""

    name = "onnxruntime"

    def version(self) -> str:
        """The runtime's version."""
        return str(onnxruntime.__version__)

    def prepare(self, model: Any, dtype: str, device: str) -> Callable[[Any], Any]:
        """A function from input to output, both float64 arrays."""
        provider = PROVIDERS.get(device, "")
        if provider not in onnxruntime.get_available_providers():
            raise RuntimeError(f"this build of ONNX Runtime has no provider for {device}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider])

        def call(x: Any) -> Any:
            (y,) = session.run(["y"], {"x": np.ascontiguousarray(x, dtype=dtype)})
            return np.asarray(y, dtype=np.float64)

        return call

"""ONNX Runtime as people run it: all its graph rewriting, any number of threads, arrays in and out without a copy.

Owns: `session`. Must not know: layers, timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def session(model: Any, device: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from an array in the model's number format to its output.

    Args:
        model: an onnx.ModelProto with input x and output y.
        device: cpu or cuda.
        threads: of one operator.

    Raises:
        RuntimeError: the runtime has no provider for the device, or refuses the model.
    """
    provider = PROVIDERS.get(device, "")
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError(f"this build of ONNX Runtime has no provider for {device}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        made = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider])
    except Exception as error:  # its errors have no common base that is documented
        raise RuntimeError(str(error).split("\n", maxsplit=1)[0][:160]) from None

    def call(x: np.ndarray) -> np.ndarray:
        try:
            (y,) = made.run(["y"], {"x": x})
        except Exception as error:
            raise RuntimeError(str(error).split("\n", maxsplit=1)[0][:160]) from None
        return np.asarray(y)

    return call

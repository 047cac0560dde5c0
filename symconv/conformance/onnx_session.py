"""A small model with input x and output y in ONNX Runtime, as an array function.

Owns: `session`. Must not know: layers, timing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from symconv.conformance.model_session import open_session
from symconv.errors import UsageError


def session(model: Any, device: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from an array in the model's number format to its output.

    Args:
        model: an onnx.ModelProto with input x and output y.
        device: cpu or cuda.
        threads: of one operator.

    Raises:
        RuntimeError: the runtime has no provider for the device, or refuses the model.
    """
    try:
        made = open_session("onnxruntime", model, device, threads)
    except UsageError as error:
        raise RuntimeError(str(error)) from None

    def call(x: np.ndarray) -> np.ndarray:
        try:
            (y,) = made.run({"x": x})
        except UsageError as error:
            raise RuntimeError(str(error)) from None
        return np.asarray(y)

    return call

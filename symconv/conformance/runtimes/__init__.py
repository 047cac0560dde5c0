"""Runtimes other than PyTorch; each is one module of this folder with an `Adapter`.

Owns: `RUNTIMES`, `load`, the protocol `Runtime`. Must not know: what is compared.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol

from symconv.errors import UsageError

RUNTIMES = {"onnxruntime": "onnx_runtime", "openvino": "openvino_runtime"}
"""Name in `--backend` to the module beside this one; the name is also what is imported."""


class Runtime(Protocol):
    """What an adapter offers."""

    name: str

    def version(self) -> str:
        """The runtime's version."""
        ...

    def prepare(self, model: Any, dtype: str, device: str) -> Any:
        """Something that maps a float64 array (batch, channels, *extents) to the model's output, as a float64 array.

        Args:
            model: an onnx.ModelProto with input x and output y.
            dtype: float32, float64 or float16: what x has to be.
            device: cpu or cuda.

        Raises:
            Exception: anything, where the runtime refuses; its first line becomes the row's reason.
        """
        ...


def load(name: str) -> Runtime:
    """The adapter of a runtime.

    Raises:
        UsageError: there is no such runtime, or it is not installed.
    """
    if name not in RUNTIMES:
        raise UsageError(f"`--backend` must be one of torch, {', '.join(RUNTIMES)}; found {name!r}.")
    for needed in ("onnx", name):
        try:
            importlib.import_module(needed)
        except ImportError as error:
            raise UsageError(f"`--backend {name}` needs the package {needed}: pip install 'symconv[onnx,runtimes]' ({error}).") from error
    adapter: Runtime = importlib.import_module(f"{__name__}.{RUNTIMES[name]}").Adapter()
    return adapter

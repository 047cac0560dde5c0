"""Runtimes other than PyTorch; each is one module of this folder with an `Adapter`.

Owns: `RUNTIMES`, `load`, the protocol `Runtime`, `serialised`. Must not know: what is compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from symconv.errors import UsageError

RUNTIMES = {"onnxruntime": "onnx_runtime", "openvino": "openvino_runtime"}
"""Name in `--backend` to the module beside this one; the name is also what is imported."""

Arrays = Mapping[str, Any]
Call = Callable[[Arrays], dict[str, Any]]


class Runtime(Protocol):
    """What an adapter offers."""

    name: str

    def version(self) -> str:
        """The runtime's version."""
        ...

    def prepare(self, model: Any, dtype: str, device: str) -> Call:
        """Something that maps arrays by the names of the model's inputs to arrays by the names of its outputs.

        Args:
            model: an onnx.ModelProto, or the path of a file, which may keep its weights in another one beside it.
            dtype: float32, float64 or float16: the number format of the model, and what it has to be computed in.
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


def serialised(model: Any) -> Any:
    """A model as runtimes take it: the name of its file, or its bytes."""
    return str(model) if isinstance(model, Path) else model.SerializeToString()


def given(arrays: Arrays, dtype: str) -> dict[str, Any]:
    """Inputs as a model takes them: floats in its number format, integers and truth values as they are."""
    return {name: _typed(np.asarray(array), dtype) for name, array in arrays.items()}


def _typed(array: Any, dtype: str) -> Any:
    made = np.empty(array.shape, dtype if array.dtype.kind == "f" else array.dtype.name)  # some arrays are of another int64
    made[...] = array
    return made


def plain(array: Any) -> Any:
    """An output with floats as float64."""
    found = np.asarray(array)
    return found.astype(np.float64) if found.dtype.kind == "f" else found

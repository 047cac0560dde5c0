"""Whole models in the runtimes that they are made for.

Owns: `Runner`, `OnnxRunner`, `TorchRunner`.
Must not know: how graphs are compared, what is run on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from symconv.errors import ModelError

Arrays = dict[str, Any]


class Runner(Protocol):
    """A model that can be run."""

    name: str

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs, in order; raises whatever the runtime raises."""
        ...


class OnnxRunner:
    """A model file in ONNX Runtime, on the CPU, without graph optimisations."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        self.names = tuple(names)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"`{path}` does not load in ONNX Runtime: {str(error).splitlines()[0][:200]}") from None

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs in the file's order."""
        return list(self._session.run(None, {name: inputs[name] for name in self.names}))


class TorchRunner:
    """A module in evaluation mode, in float64."""

    def __init__(self, module: Any, names: Sequence[str]) -> None:
        import copy

        import torch

        self.name = f"PyTorch {torch.__version__.split('+', maxsplit=1)[0]}"
        self.names = tuple(names)
        self._module = copy.deepcopy(module).double().eval()

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs, nested ones in order."""
        import torch

        with torch.no_grad():
            given = [
                torch.from_numpy(inputs[name].astype(np.float64) if inputs[name].dtype.kind == "f" else inputs[name]) for name in self.names
            ]
            found = self._module(*given)
        return [item.numpy() for item in _tensors(found)]


def _tensors(found: Any) -> Iterator[Any]:
    if hasattr(found, "numpy"):
        yield found
    elif isinstance(found, Mapping):
        for item in found.values():
            yield from _tensors(item)
    elif isinstance(found, (tuple, list)):
        for item in found:
            yield from _tensors(item)

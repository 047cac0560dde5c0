"""ONNX Runtime.

Owns: `Adapter`. Must not know: layers, what is compared.
"""

from __future__ import annotations

from typing import Any

import onnxruntime

from symconv.conformance.runtimes import Arrays, Call, given, plain, serialised

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}
"""Without it float32 is TF32 on a CUDA device."""


class Adapter:
    """Runs a model in one session, on one thread, with the graph rewriting that the runtime does by default."""

    name = "onnxruntime"

    def version(self) -> str:
        """The runtime's version."""
        return str(onnxruntime.__version__)

    def prepare(self, model: Any, dtype: str, device: str) -> Call:
        """A function from inputs to outputs by their names."""
        provider = PROVIDERS.get(device, "")
        if provider not in onnxruntime.get_available_providers():
            raise RuntimeError(f"this build of ONNX Runtime has no provider for {device}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(serialised(model), options, providers=[(provider, OPTIONS.get(provider, {}))])
        names = [item.name for item in session.get_outputs()]

        def call(arrays: Arrays) -> dict[str, Any]:
            return dict(zip(names, map(plain, session.run(names, given(arrays, dtype))), strict=True))

        return call

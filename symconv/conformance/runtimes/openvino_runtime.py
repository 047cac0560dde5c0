"""OpenVINO.

Owns: `Adapter`. Must not know: layers, what is compared.
"""

from __future__ import annotations

from typing import Any

import openvino

from symconv.conformance.runtimes import Arrays, Call, given, plain, serialised

DEVICES = {"cpu": "CPU"}


class Adapter:
    """Compiles a model for the CPU; computes in the model's own number format, not in a narrower one."""

    name = "openvino"

    def __init__(self) -> None:
        self.core = openvino.Core()

    def version(self) -> str:
        """The runtime's version."""
        return str(openvino.__version__).split("-", maxsplit=1)[0]

    def prepare(self, model: Any, dtype: str, device: str) -> Call:
        """A function from inputs to outputs by their names."""
        if device not in DEVICES:
            raise RuntimeError(f"OpenVINO has no plug-in for {device}")
        source = serialised(model)
        read = self.core.read_model(source) if isinstance(source, str) else self.core.read_model(source, b"")
        precision = {"float32": "f32", "float16": "f16"}.get(dtype)
        if precision is None:
            raise RuntimeError(f"OpenVINO's CPU plug-in computes no {dtype}: it would convert to float32")
        hints = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1}
        compiled = self.core.compile_model(read, DEVICES[device], hints)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        if used != precision:  # the hint is one that the CPU plug-in may pass over
            raise RuntimeError(f"OpenVINO computes {dtype} models in {used} on this CPU")

        def call(arrays: Arrays) -> dict[str, Any]:
            found = compiled(given(arrays, dtype))
            return {name: plain(found[output]) for output in compiled.outputs for name in output.get_names()}

        return call

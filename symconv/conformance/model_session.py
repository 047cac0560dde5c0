"""Whole models and parts of them in the runtimes that people ship with, as they run there: all graph rewriting, any number of threads.

Owns: `open_session`, `Session`, `Port`, `RUNTIMES`.
Must not know: layers, timing, where models come from.

Several sessions are raced beside each other in one process. ONNX Runtime's threads go on spinning for a while after a run, and would
take the processor from the next session; so they are told to stop when a run ends. Within a run they spin as ever.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from symconv.errors import ModelError, UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
EXTRAS = {"onnxruntime": "onnx", "openvino": "runtimes"}
LONGEST = 200
"""Characters of a runtime's message that are shown."""

Arrays = Mapping[str, np.ndarray]
Source = Path | Any
"""A file, or an onnx.ModelProto."""


@attrs.frozen
class Port:
    """An input of a model: its name, numpy's name of the element type, and its extents (a name or None where one is free).

    Runtimes show an input without a declared rank as one of rank 0; who knows better says that it is not `ranked`.
    """

    name: str
    dtype: str
    extents: tuple[int | str | None, ...]
    ranked: bool = True


class Session(Protocol):
    """A model that is ready to run."""

    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]

    def run(self, inputs: Arrays) -> list[np.ndarray]:
        """The outputs in order; raises ModelError where the runtime refuses the inputs."""

    def call(self, inputs: Arrays) -> Callable[[], object]:
        """One pass over these inputs, which lie where the device reads them; raises ModelError as `run` does."""


def open_session(runtime: str, source: Source, device: str = "cpu", threads: int = 1, folder: Path | None = None) -> Session:
    """A session of a model.

    Args:
        runtime: a key of `RUNTIMES`.
        source: a file, or a ModelProto, which may be changed; `folder` is then where its external data lies.
        device: cpu or cuda.
        threads: of one operator.

    Raises:
        UsageError: the runtime is not installed, or has nothing for the device.
        ModelError: it refuses the model.
    """
    require(runtime, device)
    return RUNTIMES[runtime](source, device, threads, folder)


def require(runtime: str, device: str = "cpu") -> None:
    """Raises UsageError where a runtime is not installed, or has nothing for a device."""
    try:
        found = importlib.import_module(runtime)
    except ImportError as error:
        raise UsageError(
            f"`--runtime {runtime}` needs the package {runtime}: pip install 'symconv[{EXTRAS[runtime]}]' ({error})."
        ) from None
    if runtime == "onnxruntime":
        there = found.get_available_providers()
        if PROVIDERS.get(device) not in there:
            raise UsageError(f"this build of ONNX Runtime has nothing for `--device {device}`; it has {', '.join(there)}.")
    elif device != "cpu":
        raise UsageError(f"OpenVINO is measured on the cpu here; found `--device {device}`. Leave it out.")


def version(runtime: str) -> str:
    """The runtime's version."""
    return str(importlib.import_module(runtime).__version__).split("-", maxsplit=1)[0]


class OnnxRuntime:
    """A session of ONNX Runtime."""

    def __init__(self, source: Source, device: str, threads: int, folder: Path | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        self.device = device
        providers = list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))
        try:
            given = str(source) if isinstance(source, Path) else source.SerializeToString()
            self._session = onnxruntime.InferenceSession(given, options, providers=providers)
        except Exception as error:  # its errors have no common base that is documented
            raise ModelError(f"ONNX Runtime does not load {_named(source)}: {_first(error)}") from None
        self.inputs = tuple(Port(item.name, _numpy(item.type), tuple(item.shape)) for item in self._session.get_inputs())
        self.outputs = tuple(item.name for item in self._session.get_outputs())

    def run(self, inputs: Arrays) -> list[np.ndarray]:
        """The outputs in order."""
        return list(self._run(dict(inputs)))

    def _run(self, feeds: dict[str, np.ndarray]) -> Any:
        try:
            return self._session.run(None, feeds)
        except Exception as error:
            raise ModelError(f"ONNX Runtime refuses the inputs: {_first(error)}") from None

    def call(self, inputs: Arrays) -> Callable[[], object]:
        """One pass over these inputs; on another device than the cpu they are copied there once, and outputs stay there."""
        feeds = dict(inputs)
        if self.device == "cpu":
            return lambda: self._run(feeds)
        return self.bound(feeds, self.device)

    def bound(self, feeds: Arrays, device: str) -> Callable[[], object]:
        """One pass, finished when it returns."""
        import onnxruntime

        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device, 0))
        for name in self.outputs:
            binding.bind_output(name, device)
        binding.synchronize_inputs()

        def once() -> object:
            try:
                self._session.run_with_iobinding(binding)
            except Exception as error:
                raise ModelError(f"ONNX Runtime refuses the inputs: {_first(error)}") from None
            binding.synchronize_outputs()
            return binding

        return once


class OpenVino:
    """A session of OpenVINO on the cpu, in the model's own number format."""

    def __init__(self, source: Source, device: str, threads: int, folder: Path | None) -> None:
        import openvino

        core = openvino.Core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        try:
            model = core.read_model(str(source) if isinstance(source, Path) else _file(source, folder))
            self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        except Exception as error:
            raise ModelError(f"OpenVINO does not load {_named(source)}: {_first(error)}") from None
        self._model = model
        self.inputs = tuple(
            Port(port.any_name, np.dtype(port.element_type.to_dtype()).name, tuple(_dimension(item) for item in port.partial_shape))
            for port in model.inputs
        )
        self.outputs = tuple(port.any_name for port in model.outputs)

    def run(self, inputs: Arrays) -> list[np.ndarray]:
        """The outputs in order."""
        found = self._infer(dict(inputs))
        return [np.array(found[port]) for port in self._request.model_outputs]

    def _infer(self, feeds: dict[str, np.ndarray], **sharing: bool) -> Any:
        try:
            return self._request.infer(feeds, **sharing)
        except Exception as error:
            raise ModelError(f"OpenVINO refuses the inputs: {_first(error)}") from None

    def call(self, inputs: Arrays) -> Callable[[], object]:
        """One pass over these inputs."""
        feeds = dict(inputs)
        return lambda: self._infer(feeds, share_inputs=True, share_outputs=True)


RUNTIMES: dict[str, Callable[[Source, str, int, Path | None], Session]] = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def _file(source: Any, folder: Path | None) -> Any:
    """A model as a file in memory, with its external data in it."""
    import io

    import onnx

    if folder is not None:
        onnx.load_external_data_for_model(source, str(folder))
    return io.BytesIO(source.SerializeToString())


def _dimension(item: Any) -> int | None:
    return int(item.get_length()) if item.is_static else None


def _numpy(kind: str) -> str:
    """Numpy's name of `tensor(float)`; the name itself where numpy has none."""
    inner = kind.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)


def _named(source: Source) -> str:
    return f"`{source}`" if isinstance(source, Path) else "a part of the model"


def _first(error: BaseException) -> str:
    """The first line that says something; OpenVINO begins with places in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    empty = ("FrontEnd API failed", "Model wasn't fully converted", "While validating", "Summary:", "-- Conversion is failed for")
    telling = [line for line in lines if not line.startswith(("Exception from ", "Check ", *empty)) or len(lines) == 1]
    return ((telling or lines)[0] if lines else type(error).__name__)[:LONGEST]

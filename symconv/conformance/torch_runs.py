"""PyTorch under a setting: device, number format, memory format, algorithm, eager or compiled; outputs and gradients.

Owns: `TorchSetting`, `run_torch`, `rounded_to`, `devices`, `require_device`, `require_working`, `use_threads`, `measured`.
Must not know: what the results are compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from symconv.conformance.precision import Precision, precision_on
from symconv.conformance.torch_oracle import to_module
from symconv.conformance.torch_switches import configured
from symconv.errors import UsageError
from symconv.layers import Layer, Sequential, Weights

DEVICES = ("cpu", "cuda", "mps")
ALGORITHMS = {
    "cpu": ("onednn", "no-onednn", "nnpack"),
    "cuda": ("cudnn", "cudnn-benchmark", "cudnn-deterministic", "no-cudnn"),
    "mps": ("default",),
}
"""What each device chooses between; the first one is PyTorch's default."""
INEXACT_ALGORITHMS = {"nnpack": "NNPACK may use Winograd's or FFT's transforms, whose constants are fractions"}
"""Algorithms that are not exact even on small integers, and why."""
LEAST_BATCH = {"nnpack": 16, "cudnn-benchmark": 3}
"""Batches that an algorithm needs: PyTorch takes NNPACK from 16 on; and it looks up cuDNN's plans by shape before it asks whether to
benchmark, so that at a shape which ran before nothing would be benchmarked (aten/src/ATen/native/cudnn/Conv_v8.cpp, run_single_conv)."""
DIRECTIONS = ("forward", "input-grad", "weight-grad")
MEMORY_FORMATS = ("contiguous", "channels_last")
MODES = ("eager", "compile")
REFUSALS = (RuntimeError, NotImplementedError, TypeError, MemoryError)
"""What PyTorch raises where it refuses; compilers raise what they like."""


class Unsupported(Exception):
    """PyTorch or the device does not do this; the message says what it said."""


@attrs.frozen
class TorchSetting:
    """How PyTorch runs.

    Args:
        device: cpu, cuda or mps.
        dtype: a name of `PRECISIONS`.
        memory_format: contiguous or channels_last.
        algorithm: one of `ALGORITHMS[device]`.
        mode: eager or compile.
        compiler: torch.compile's backend.
    """

    device: str = "cpu"
    dtype: str = "float64"
    memory_format: str = "contiguous"
    algorithm: str = ""
    mode: str = "eager"
    compiler: str = "inductor"

    @property
    def precision(self) -> Precision:
        """The number format, as this device accumulates it."""
        return precision_on(self.dtype, self.device)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The type of the tensors."""
        found: torch.dtype = getattr(torch, self.precision.storage)
        return found


def devices() -> tuple[str, ...]:
    """The devices that are there."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found.append("cuda")
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def require_device(name: str) -> str:
    """The device of that name; `auto` takes cuda, then mps, then cpu.

    Raises:
        UsageError: it is not there.
    """
    there = devices()
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if device in there)
    if name not in DEVICES:
        raise UsageError(f"`--device` must be one of auto, {', '.join(DEVICES)}; found {name!r}.")
    if name not in there:
        without = name == "cuda" and torch.version.cuda is None and torch.version.hip is None
        why = "is built without" if without else "does not see here"
        raise UsageError(f"`--device {name}` asks for a device that PyTorch {torch.__version__} {why}. Use {' or '.join(there)}.")
    return name


def use_threads(count: int) -> None:
    """How many threads one operator has on the CPU, in this process."""
    torch.set_num_threads(count)


def rounded_to(values: Any, storage: str) -> Any:
    """A float64 array with every value rounded to a storage format (and back)."""
    array = np.asarray(values, dtype=np.float64)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.to(getattr(torch, storage)).to(torch.float64).numpy()


def build(chain: Sequence[Layer], weights: Sequence[Weights | None], axes: int, setting: TorchSetting) -> nn.Module:
    """The chain as a module on the device.

    Raises:
        Unsupported: the setting means nothing for it.
    """
    if setting.dtype == "tf32" and setting.device != "cuda":
        raise Unsupported(f"tf32 is a mode of CUDA devices, not of {setting.device}")
    if setting.device == "mps" and setting.dtype == "float64":
        raise Unsupported("mps has no float64")
    module: nn.Module = to_module(Sequential(tuple(chain)), axes, setting.torch_dtype, setting.device, tuple(weights))
    if setting.memory_format == "channels_last":
        if axes == 1:
            raise Unsupported("one spatial axis has no channels-last memory format")
        module = module.to(memory_format=_memory_format(axes))
    return module


def _memory_format(axes: int) -> torch.memory_format:
    return torch.channels_last if axes == 2 else torch.channels_last_3d


def tensor(values: Any, axes: int, setting: TorchSetting) -> Tensor:
    """An array on the device, in the setting's formats."""
    made = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).to(device=setting.device, dtype=setting.torch_dtype)
    return made.to(memory_format=_memory_format(axes)) if setting.memory_format == "channels_last" else made


@attrs.frozen(eq=False)
class Results:
    """What one chain computed, as float64 arrays: the output, the input gradient, and (kernel, bias) gradients a layer."""

    forward: Any
    x: Any = None
    parameters: dict[int, tuple[Any, Any]] = attrs.field(factory=dict)


def run_torch(
    chain: Sequence[Layer],
    weights: Sequence[Weights | None],
    axes: int,
    x: Any,
    gradients: tuple[Any, Any] | None,
    setting: TorchSetting,
) -> Results:
    """The output of a chain, and its gradients if (g for the input, g for the parameters) are given.

    Raises:
        Unsupported: PyTorch refuses, or memory runs out.
        DeviceLost: the device answers nothing any more.
    """
    try:
        with configured(setting):
            return _run(build(chain, weights, axes, setting), x, gradients, axes, setting)
    except Unsupported:
        if setting.mode != "eager":  # what was compiled has run
            require_working(setting.device)
        raise
    except Exception as error:
        if setting.mode == "eager" and not isinstance(error, REFUSALS):
            raise
        require_working(setting.device)
        raise refused(error) from error


class DeviceLost(UsageError):
    """The device answers nothing any more: after a fault in a kernel every later call of the process fails."""

    def __init__(self, device: str, why: str) -> None:
        super().__init__(
            f"`{device}` answers nothing any more after a fault there ({why}). Start again, without the setting that ran last."
        )


def require_working(device: str) -> None:
    """Called after a refusal: gives unused memory back, and tells a refusal from a device that is lost.

    Raises:
        DeviceLost: it is. What is done next in this process would only look unsupported.
    """
    if device != "cuda":
        return
    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        if float(torch.ones(2, device="cuda").sum()) != 2.0:
            raise DeviceLost(device, "1 + 1 is not 2")
    except torch.OutOfMemoryError:
        return  # other processes hold the memory
    except RuntimeError as error:
        raise DeviceLost(device, _one_line(error)) from error


def refused(error: BaseException) -> Unsupported:
    """What PyTorch or the machine refuses, in one line."""
    text = _one_line(error)
    short = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "not enough memory" in text or "can't allocate memory" in text
    return Unsupported("out of memory" if short else text)


def _one_line(error: BaseException, width: int = 160) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0] if lines else ''}"
    return text if len(text) <= width else text[: width - 3] + "..."


def _run(module: nn.Module, x: Any, gradients: tuple[Any, Any] | None, axes: int, setting: TorchSetting) -> Results:
    call = compiled(module, setting)
    own = {k: _leaf(part) for k, part in enumerate(module.children()) if _leaf(part) is not None}
    given = tensor(x, axes, setting)
    if gradients is None:
        with torch.no_grad():
            return Results(_array(call(given)))
    for_input, for_parameters = (tensor(g, axes, setting) for g in gradients)
    given.requires_grad_()
    output = call(given)
    wanted = [given] if given.requires_grad else []
    (back,) = torch.autograd.grad(output, wanted, for_input, retain_graph=bool(own) and setting.mode == "eager")
    found: dict[int, tuple[Any, Any]] = {}
    if own:
        if setting.mode != "eager":  # a compiled graph is not kept for a second pass
            output = call(given)
        flat = [part for leaf in own.values() for part in (leaf.weight, leaf.bias) if part is not None]
        values = iter(torch.autograd.grad(output, flat, for_parameters))
        for k, leaf in own.items():
            kernel = _array(next(values))
            found[k] = kernel, _array(next(values)) if leaf.bias is not None else None
    return Results(_array(output), _array(back), found)


def _leaf(module: nn.Module) -> Any:
    """The part of a member that has a kernel and takes part in reshuffles."""
    kinds = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)
    return next((part for part in module.modules() if isinstance(part, kinds)), None)


def _array(values: Tensor) -> Any:
    return (
        values.detach().to(device="cpu", dtype=torch.float64).contiguous().numpy()
        if values.device.type != "mps"
        else (values.detach().cpu().to(torch.float64).contiguous().numpy())
    )


def compiled(module: nn.Module, setting: TorchSetting) -> Callable[[Tensor], Tensor]:
    """The module itself, or what torch.compile makes of it."""
    if setting.mode == "eager":
        return module
    torch._dynamo.reset()
    try:
        made: Callable[[Tensor], Tensor] = torch.compile(module, backend=setting.compiler, fullgraph=True, dynamic=False)
    except Exception as error:
        raise Unsupported(f"torch.compile: {_one_line(error)}") from error

    def call(x: Tensor) -> Tensor:
        try:
            return made(x)
        except Exception as error:
            raise Unsupported(f"torch.compile: {_one_line(error)}") from error

    return call


def measured(call: Callable[[], Any], device: str, repeats: int = 10) -> list[float]:
    """Seconds of each of `repeats` calls: device events on CUDA, the clock elsewhere. Call it once before."""
    times = []
    for _ in range(repeats):
        if device == "cuda":
            start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            call()
            stop.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(stop) / 1000)
        else:
            begun = time.perf_counter()
            call()
            if device == "mps":
                torch.mps.synchronize()
            times.append(time.perf_counter() - begun)
    return times

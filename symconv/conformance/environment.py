"""What the numbers were computed with: devices, drivers, libraries.

Owns: `environment`. Must not know: layers, results.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from typing import Any

import torch

from symconv.convert.fastest.processor import described

OVERRIDES = (
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUBLAS_EMULATE_SINGLE_PRECISION",
    "CUBLAS_EMULATE_DOUBLE_PRECISION",
    "TORCH_CUDNN_V8_API_LRU_CACHE_LIMIT",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
)
"""Environment variables that change what a library computes, or with what."""


def environment(devices: Iterable[str], backends: Iterable[str] = ()) -> dict[str, Any]:
    """Names and versions, plain values only."""
    packages = ["symconv", "torch", "numpy", *(("onnx",) if any(b != "torch" for b in backends) else ())]
    packages += [name for name in backends if name != "torch"]
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in dict.fromkeys(packages)},
        "threads": torch.get_num_threads(),
        "devices": {name: _device(name) for name in devices},
        "overrides": {name: os.environ[name] for name in OVERRIDES if name in os.environ},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device(name: str) -> dict[str, Any]:
    if name == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory": properties.total_memory,
            "cuda": torch.version.cuda or torch.version.hip,
            "cudnn": torch.backends.cudnn.version(),
            "triton": _version("triton"),
            "driver": _driver(),
        }
    if name == "mps":
        return {"name": platform.processor() or "mps", "system": platform.mac_ver()[0]}
    found = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    capability = torch.backends.cpu.get_cpu_capability()
    return {"name": described("model name"), "capability": capability, "onednn": found and found[1]}


@functools.cache
def _driver() -> str | None:
    """The driver's version, asked for once: it takes a process, and environments are asked for at every pair."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.split()
    return lines[0] if lines else None

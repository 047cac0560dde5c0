"""PyTorch's global switches for one run: which library, which algorithm, and float32 that means float32.

Owns: `configured`. Must not know: layers, results.

What a caller, a test or an environment variable set before must not reach the run, in particular

    TF32 and bfloat16 in the place of float32   two interfaces, the old `allow_tf32` and `fp32_precision` (PyTorch 2.9), each per library;
                                                reading the old one raises where the two disagree, and switching the old one off leaves
                                                TF32 on where the wider `torch.backends.fp32_precision` asks for it
    deterministic algorithms                    make cuDNN choose otherwise, and some operators refuse
    accumulation in half precision              of cuBLAS

and everything is put back afterwards.

Source: PyTorch 2.13, aten/src/ATen/Context.cpp, torch/backends/{__init__,cuda/__init__,cudnn/__init__,mkldnn/__init__}.py.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch

OPERATIONS = {"cpu": (("mkldnn", "conv"), ("mkldnn", "matmul")), "cuda": (("cuda", "conv"), ("cuda", "rnn"), ("cuda", "matmul"))}
TWO_INTERFACES = hasattr(torch._C, "_get_fp32_precision_getter")
"""Whether this PyTorch has the new interface; before 2.9 there is the old one alone."""
REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction", "allow_fp16_accumulation")


class Switched(Protocol):
    """What decides about the switches: a `TorchSetting`."""

    @property
    def device(self) -> str:
        """cpu, cuda or mps."""

    @property
    def dtype(self) -> str:
        """A name of `PRECISIONS`."""

    @property
    def algorithm(self) -> str:
        """One of `ALGORITHMS[device]`."""


@contextlib.contextmanager
def configured(setting: Switched) -> Iterator[None]:
    """PyTorch's switches set for one run and put back after it."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        _any_algorithm(stack)
        if setting.device == "cpu":
            stack.enter_context(torch.backends.mkldnn.flags(enabled=setting.algorithm not in ("no-onednn", "nnpack")))
            stack.enter_context(torch.backends.nnpack.flags(enabled=setting.algorithm == "nnpack"))
            _float32(stack, "cpu", allowed=False)
        elif setting.device == "cuda":
            _cuda_switches(stack, setting)
        yield


def _any_algorithm(stack: contextlib.ExitStack) -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if before[0]:
        torch.use_deterministic_algorithms(False)
        stack.callback(torch.use_deterministic_algorithms, before[0], warn_only=before[1])


def _cuda_switches(stack: contextlib.ExitStack, setting: Switched) -> None:
    cudnn: Any = torch.backends.cudnn
    for name, value in (
        ("enabled", setting.algorithm != "no-cudnn"),
        ("benchmark", setting.algorithm == "cudnn-benchmark"),
        ("deterministic", setting.algorithm == "cudnn-deterministic"),
    ):
        _set(stack, cudnn, name, value)
    # In the narrow formats nothing is TF32; but to forbid it there makes cuDNN's front end in PyTorch leave tensor cores out.
    allowed = setting.dtype not in ("float64", "float32")
    _float32(stack, "cuda", allowed=allowed)
    for name in REDUCTIONS:
        _set(stack, torch.backends.cuda.matmul, name, False)


def _set(stack: contextlib.ExitStack, where: Any, name: str, value: bool) -> None:
    before = getattr(where, name, value)  # older versions lack some
    if before != value:
        setattr(where, name, value)
        stack.callback(setattr, where, name, before)


def _float32(stack: contextlib.ExitStack, device: str, *, allowed: bool) -> None:
    """TF32 allowed or forbidden by both interfaces; the old one is left alone where it already contradicts the new one."""
    cudnn: Any = torch.backends.cudnn
    cublas: Any = torch.backends.cuda.matmul
    held = {operation: _precision(operation) for several in OPERATIONS.values() for operation in several if TWO_INTERFACES}
    convolutions = _readable(lambda: cudnn.allow_tf32)
    products, level = _readable(lambda: cublas.allow_tf32), _readable(torch.get_float32_matmul_precision)

    def put_back() -> None:
        if device == "cuda" and convolutions is not None:
            cudnn.allow_tf32 = convolutions
        if device == "cuda" and products is not None and level is not None:
            torch.set_float32_matmul_precision(level)
        for operation, value in held.items():
            _restore(operation, value)

    stack.callback(put_back)
    if device == "cuda" and convolutions is not None:
        cudnn.allow_tf32 = allowed
    if device == "cuda" and products is not None and level is not None:
        cublas.allow_tf32 = allowed
    for operation in OPERATIONS[device] if TWO_INTERFACES else ():
        torch._C._set_fp32_precision_setter(*operation, "tf32" if allowed else "ieee")


def _readable(read: Callable[[], Any]) -> Any:
    """What an old switch says, or None where it contradicts the new ones and so says nothing."""
    try:
        return read()
    except RuntimeError:
        return None


def _precision(operation: tuple[str, str]) -> str:
    """What counts for an operation: its own setting, or else the library's, or else the one for everything."""
    return str(torch._C._get_fp32_precision_getter(*operation))


def _restore(operation: tuple[str, str], held: str) -> None:
    """The setting from before; where it was inherited it is inherited again."""
    torch._C._set_fp32_precision_setter(*operation, "none")
    if _precision(operation) != held:
        torch._C._set_fp32_precision_setter(*operation, held)

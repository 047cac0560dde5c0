"""A CUDA device that is not there: the CPU computes, but tensors remember where they claim to be.

A function mode marks the storages of tensors that are made on, or moved to, `cuda`; what an operation makes of marked tensors is marked.
As on a real device, operations on tensors of both kinds raise, and so does `numpy()` on a marked one. So the code for devices runs from
end to end on a machine without one, and mistakes about where a tensor is are found. What kernels compute there, it does not tell.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
MOVES = ("to", "copy_", "cpu", "cuda")
SAYS = ("device", "is_cuda", "is_cpu")
INDEXING = ("__getitem__", "__setitem__")
EMPTY = "_fake_cuda"
"""The mark of tensors without storage."""
READS = ("device", "_parse_to", "_has_compatible_shallow_copy_type", "__set__")
"""What reads where things are, or gives a tensor other contents, wherever they are."""


def asks_for_cuda(value: Any) -> bool:
    """Whether a value names the device."""
    return (isinstance(value, str) and value.startswith("cuda")) or (isinstance(value, torch.device) and value.type == "cuda")


class FakeCuda(TorchFunctionMode):
    """The mode.

    Args:
        memory: bytes that there are; tensors that are larger run out of it.
    """

    def __init__(self, memory: int = 2**30) -> None:
        super().__init__()
        self.memory = memory
        self.marked: dict[int, Any] = {}  # storages are kept, so that no address comes twice
        self.operations = 0
        self.broken = ""

    def is_there(self, value: Any) -> bool:
        """Whether a tensor claims to be on the device."""
        with torch._C.DisableTorchFunction():
            if not isinstance(value, Tensor) or value.is_meta:
                return False
            return value.untyped_storage().data_ptr() in self.marked if value.numel() else hasattr(value, EMPTY)

    def _mark(self, value: Any) -> Any:
        if isinstance(value, Tensor) and not value.numel():
            setattr(value, EMPTY, True)
        elif isinstance(value, Tensor) and not value.is_meta:
            storage = value.untyped_storage()
            if storage.nbytes() > self.memory:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate a lot.")
            self.marked[storage.data_ptr()] = storage
        return value

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(function, "__name__", "")
        with torch._C.DisableTorchFunction():
            return self._called(function, name, args, kwargs)

    def _called(self, function: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        owner = getattr(getattr(function, "__self__", None), "__name__", "")
        if name == "__get__" and owner in SAYS:
            there = self.is_there(args[0])
            return {"device": CUDA if there else function(*args), "is_cuda": there, "is_cpu": not there}[owner]
        if name in ("numpy", "__array__") and self.is_there(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
        if name in READS:
            return function(*args, **kwargs)
        if name in MOVES:
            return self._moved(function, name, args, kwargs)
        wanted = any(asks_for_cuda(value) for value in (*args, *kwargs.values()))
        args, kwargs = tree_map(lambda value: CPU if asks_for_cuda(value) else value, (tuple(args), kwargs))
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        there = [self.is_there(value) for value in tensors if value.dim() > 0 and value.numel() > 0 and not value.is_meta]
        if len(set(there)) > 1 and not (name in INDEXING and there[0]):
            raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})")
        on_device = wanted or any(self.is_there(value) for value in tensors)
        if on_device:
            self.operations += 1
            if self.broken:
                raise torch.AcceleratorError(self.broken)
        made = function(*args, **kwargs)
        return tree_map(self._mark, made) if on_device else made

    def _moved(self, function: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        first = args[0]
        if name == "copy_":
            return function(*args, **kwargs)
        target: bool | None = {"cpu": False, "cuda": True}.get(name)
        if name == "to":
            words = [*args[1:], *kwargs.values()]
            places = [value for value in words if isinstance(value, (str, torch.device))]
            like = next((value for value in words if isinstance(value, Tensor)), None)
            target = asks_for_cuda(places[0]) if places else None if like is None else self.is_there(like)
            args, kwargs = tree_map(lambda value: CPU if asks_for_cuda(value) else value, (tuple(args), kwargs))
            made = function(*args, **kwargs)
        else:
            made = first
        there = self.is_there(first)
        target = there if target is None else target
        if target != there and made.untyped_storage().data_ptr() == first.untyped_storage().data_ptr():
            made = made.clone()
        if self.broken and (target or there):
            raise torch.AcceleratorError(self.broken)
        return self._mark(made) if target else made


class FakeEvent:
    """A torch.cuda.Event that took a millisecond."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.enable_timing = enable_timing

    def record(self) -> None:
        """Nothing."""

    def elapsed_time(self, other: FakeEvent) -> float:
        """In milliseconds."""
        assert self.enable_timing and other.enable_timing
        return 1.0


@contextlib.contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch, memory: int = 2**30) -> Iterator[FakeCuda]:
    """The device is there, as far as this process can tell."""
    mode = FakeCuda(memory)
    properties = SimpleNamespace(name="fake", major=9, minor=0, multi_processor_count=1, total_memory=memory)

    def synchronize(device: Any = None) -> None:
        if mode.broken:
            raise torch.AcceleratorError(mode.broken)

    replaced = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "get_device_name": lambda *_: "fake",
        "get_device_properties": lambda *_: properties,
        "synchronize": synchronize,
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None,
        "memory_allocated": lambda: 0,
        "max_memory_allocated": lambda: 4096,
        "Event": FakeEvent,
    }
    with monkeypatch.context() as patch:
        for name, value in replaced.items():
            patch.setattr(torch.cuda, name, value)
        with mode:
            yield mode

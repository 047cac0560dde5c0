"""What is measured and where: the device, number format and threads of a benchmark, modules with random weights, inputs.

Owns: `measuring`, `random_members`, `example`. Must not know: forms, timing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from symconv.conformance.torch_oracle import to_module
from symconv.conformance.torch_runs import require_device
from symconv.errors import UsageError
from symconv.layers import Layer

MOST_BYTES = 2**40


@contextmanager
def measuring(device: str, dtype: str, threads: int | None) -> Iterator[tuple[str, torch.dtype]]:
    """The device and number format, with the number of threads set for as long as it takes.

    Raises:
        UsageError: the device is absent, or memory ran out.
    """
    found, before = require_device(device), torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield found, getattr(torch, dtype)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise UsageError("memory ran out. Give smaller extents, or a smaller batch.") from error
    except RuntimeError as error:
        if "allocate" in str(error):
            raise UsageError("memory ran out. Give smaller extents, or a smaller batch.") from error
        raise
    finally:
        torch.set_num_threads(before)


def random_members(chain: Layer, axes: int, device: str, dtype: torch.dtype) -> list[nn.Module]:
    """The modules of a chain, with normally distributed parameters."""
    made = to_module(chain, axes, dtype, device).requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return list(made)


def example(shape: Sequence[int], device: str, dtype: torch.dtype) -> Tensor:
    """A normally distributed input.

    Raises:
        UsageError: it would take more than 1 TiB.
    """
    require_size(shape, dtype)
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(0)).to(device, dtype)


def require_size(shape: Sequence[int], dtype: torch.dtype) -> None:
    """Raises UsageError for an input that no machine here holds."""
    if math.prod(shape) * dtype.itemsize > MOST_BYTES:
        raise UsageError(f"an input of shape {tuple(shape)} takes more than 1 TiB. Give smaller extents.")


def channels_of(module: Any) -> int | None:
    """The input channels of the first layer that says so."""
    return next((int(own.in_channels) for own in module.modules() if hasattr(own, "in_channels")), None)

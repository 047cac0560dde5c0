"""Matrix products, one class a library routine.

Owns: `Product` and its kinds: a fixed matrix (rows, inner), prepared once, times many others.
Must not know: convolutions, where the matrices come from.
"""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch import Tensor


@attrs.frozen
class Product:
    """A routine. `by_rows`: whether it takes the samples as rows (count, inner) and gives (count, rows), or as columns."""

    name: str
    why: str
    by_rows: bool = False

    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """Whether the routine exists there."""
        return True

    def prepare(self, matrix: Tensor, count: int) -> Any:
        """The fixed matrix as the routine likes it, for `count` samples or so."""
        return matrix.contiguous()

    def run(self, prepared: Any, samples: Tensor) -> Tensor:
        """The product: (batch, inner, count) to (batch, rows, count), or (count, inner) to (count, rows)."""
        raise NotImplementedError


class Blas(Product):
    """PyTorch's own matrix product: MKL or OpenBLAS on the CPU, cuBLAS on a GPU."""

    def run(self, prepared: Tensor, samples: Tensor) -> Tensor:
        """W X, sample by sample."""
        if samples.shape[0] == 1:
            return torch.mm(prepared, samples[0]).unsqueeze(0)
        return torch.matmul(prepared, samples)


def _has(name: str) -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, name)


class _OneDnn(Product):
    def fits(self, device: str, dtype: torch.dtype) -> bool:
        """On the CPU, in float32."""
        return device == "cpu" and dtype is torch.float32 and _has("_linear_pointwise") and _has("_reorder_linear_weight")


class OneDnnColumns(_OneDnn):
    """oneDNN's matrix product with the samples in the place of the weights, read where they lie: no transposition, no packed copy."""

    def run(self, prepared: Tensor, samples: Tensor) -> Tensor:
        """W X, sample by sample."""
        parts = [torch.ops.mkldnn._linear_pointwise(prepared, sample.t(), None, "none", [], "") for sample in samples]
        return parts[0].unsqueeze(0) if len(parts) == 1 else torch.stack(parts)


class OneDnnRows(_OneDnn):
    """oneDNN's matrix product with the fixed matrix packed once for the kernel that will run."""

    def prepare(self, matrix: Tensor, count: int) -> Any:
        """The packed matrix."""
        return torch.ops.mkldnn._reorder_linear_weight(matrix.contiguous(), count)

    def run(self, prepared: Any, samples: Tensor) -> Tensor:
        """X W^T."""
        made: Tensor = torch.ops.mkldnn._linear_pointwise(samples, prepared, None, "none", [], "")
        return made


BLAS = Blas("matmul", "PyTorch's matrix product")
ONEDNN = OneDnnColumns("oneDNN matmul", "oneDNN's matrix product, input not rearranged")
PACKED = OneDnnRows("packed matmul", "oneDNN's matrix product, weights packed once", by_rows=True)
PRODUCTS = (BLAS, ONEDNN, PACKED)

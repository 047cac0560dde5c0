"""PSNR and SSIM of networks on held-out images.

Owns: `measure`, `quality`, the margin that counts nowhere. Must not know: training.
"""

from __future__ import annotations

import math
from typing import Any

MARGIN = 4
"""Low-resolution samples at the borders that no measure counts: the reach of the largest closed form."""
MIDDLE = 0.5
"""Subtracted from samples before a network and added after it, for all networks alike."""


def measure(network: Any, factor: int, held_out: Any) -> dict[str, Any]:
    """PSNR and SSIM of every held-out image, without `MARGIN` low-resolution samples at its borders."""
    import torch

    psnr, ssim = [], []
    network.eval()
    with torch.no_grad():
        for low, high in zip(held_out.low, held_out.high, strict=True):
            scores = quality(network(low - MIDDLE) + MIDDLE, high, factor)
            psnr.append(scores[0])
            ssim.append(scores[1])
    return {"images": list(held_out.names), "psnr": psnr, "ssim": ssim}


def quality(found: Any, wanted: Any, factor: int) -> tuple[float, float]:
    """(PSNR in decibels, SSIM) of a tensor (1, 1, rows, columns) in [0, 1], borders left out.

    Source: Z. Wang et al. 2004 for SSIM (Gaussian window of 1.5 samples), as scikit-image computes it.
    """
    import numpy as np
    from skimage.metrics import structural_similarity

    edge = MARGIN * factor
    one, two = (tensor[0, 0, edge:-edge, edge:-edge].cpu().numpy().astype(np.float64) for tensor in (found.clamp(0, 1), wanted))
    error = float(np.mean((one - two) ** 2))
    similar = structural_similarity(one, two, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return (-10 * math.log10(error) if error > 0 else math.inf), float(similar)

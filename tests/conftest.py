"""What all tests share: hypothesis profiles, and the skip of GPU tests where there is no GPU."""

from __future__ import annotations

import functools
import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("symconv", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("symconv-ci", settings.get_profile("symconv"), derandomize=True, database=None, print_blob=True)
settings.load_profile("symconv-ci" if os.environ.get("CI") else "symconv")


@functools.cache
def _cuda_is_available() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips at set-up, not at collection: the fast suite must not import torch to deselect."""
    if item.get_closest_marker("gpu") and not _cuda_is_available():
        pytest.skip("needs a CUDA device")

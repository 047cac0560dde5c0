"""The independent checker in process, one certificate a layer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.configurations import DECODERS, lowering, upsampling
from benchmarks.conftest import Figures
from symconv.api import check
from symconv.checker import check_certificate

pytestmark = pytest.mark.benchmark(timer=time.process_time)

PAIRS: dict[str, tuple[Any, Any]] = {
    "2-D k4 s2 p1, 1 to 1": upsampling(2, 1),
    "2-D k4 s2 p1, 2048 to 2048": upsampling(2, 2048),
    **{name: (layer, lowering(layer)) for name, layer in DECODERS.items()},
}


@pytest.mark.parametrize("name", PAIRS)
def test_layer(benchmark: Any, figures: Figures, name: str) -> None:
    certificate = check(*PAIRS[name]).certificate
    assert check_certificate(certificate).accepted
    benchmark.pedantic(check_certificate, (certificate,), rounds=31, warmup_rounds=1)
    figures.add("the checker", name, 1000 * benchmark.stats.stats.median, "ms", most=50)

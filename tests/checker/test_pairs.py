"""The engine's certificates, whole: pairs that must be seen to hold, and random ones."""

from __future__ import annotations

import json

import pytest
from checker import pairs

from symconv.checker import check_certificate


@pytest.mark.parametrize("pair", pairs.PAIRS)
def test_pair(pair: str) -> None:
    channels = 4 if pair.startswith(("Upsample", "AvgPool")) and "Conv" not in pair else None
    result = check_certificate(json.loads(pairs.certificate(pair, channels)))
    assert result.accepted, result
    assert result.claim is not None and result.claim["relation"] == pairs.PAIRS[pair]


@pytest.mark.parametrize("seed", range(12))
def test_random_pairs(seed: int) -> None:
    for pair, record in pairs.random_certificates(seed, 10):
        assert check_certificate(record).accepted, (pair, check_certificate(record))


def test_channels_cost_nothing() -> None:
    """The same work is done whatever the channels."""
    spent = set()
    for count in (2, 64, 2048):
        left, right = f"ConvTranspose2d({count},{count},4,2,1)", f"Conv2d({count},{4 * count},3,1,1) >> PixelShuffle(2)"
        spent.add(_work(json.loads(pairs.certificate(f"{left} | {right}"))))
    assert len(spent) == 1


def _work(record: dict[str, object]) -> int:
    from symconv.checker import faults

    total = 0
    spend = faults.Budget.spend

    def counted(self: faults.Budget, work: int) -> None:
        nonlocal total
        total += work
        spend(self, work)

    faults.Budget.spend = counted  # type: ignore[method-assign]
    try:
        assert check_certificate(record).accepted
    finally:
        faults.Budget.spend = spend  # type: ignore[method-assign]
    return total

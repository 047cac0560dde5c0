"""Random layers, each with a form that it may have.

Owns: `random_layers`. Must not know: torch, how a layer is converted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

MOST_TAPS = {1: 9, 2: 5, 3: 3}


def random_layers(seed: int, axes: tuple[int, ...] = (1, 2, 3)) -> Iterator[tuple[str, str]]:
    """An endless row of (expression, form of `convert`), the same for the same seed; some expressions PyTorch refuses."""
    chance = random.Random(seed)
    while True:
        yield _drawn(chance, chance.choice(axes))


def _drawn(chance: random.Random, axes: int) -> tuple[str, str]:
    kind = chance.choice(("transposed", "transposed", "transposed", "strided", "shuffled", "resized"))
    if kind == "transposed":
        return _transposed(chance, axes), chance.choice(("lr-shuffle", "zero-insertion"))
    groups = chance.choice((1, 1, 2))
    inward, outward = groups * chance.randint(1, 3), groups * chance.randint(1, 3)
    k = chance.randint(1, MOST_TAPS[axes] - 1)
    bias = chance.choice((True, False))
    if kind == "strided":
        s, p = chance.randint(2, 3), chance.randint(0, k // 2)
        return f"Conv{axes}d({inward}, {outward}, {k}, stride={s}, padding={p}, groups={groups}, bias={bias})", "unshuffle"
    r = chance.randint(2, 3)
    if kind == "shuffled":
        p, order = chance.randint(0, k // 2), chance.choice(("CRD", "DCR"))
        made = f"Conv{axes}d({inward}, {outward * r**axes}, {k}, padding={p}, groups={groups}, bias=False)"
        return f"{made} >> DepthToSpace({r}, mode='{order}')", "transposed"
    p = chance.randint(0, k - 1)
    made = f"Conv{axes}d({inward}, {outward}, {k}, padding={p}, groups={groups}, bias={bias})"
    return f"Upsample(scale_factor={r}) >> {made}", chance.choice(("transposed", "lr-shuffle"))


def _transposed(chance: random.Random, axes: int) -> str:
    def each(low: int, high: int) -> list[int]:
        return [chance.randint(low, high) for _ in range(axes)]

    kernel, stride, dilation = each(1, MOST_TAPS[axes]), each(1, 4), each(1, 2)
    if chance.random() < 0.5:
        kernel, stride, dilation = ([values[0]] * axes for values in (kernel, stride, dilation))
    padding = [chance.randint(0, d * (k - 1) // 2 + 1) for k, d in zip(kernel, dilation, strict=True)]
    output = [chance.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]
    groups = chance.choice((1, 1, 2, 3))
    inward, outward = groups * chance.randint(1, 3), groups * chance.randint(1, 3)
    return (
        f"ConvTranspose{axes}d({inward}, {outward}, {tuple(kernel)}, stride={tuple(stride)}, padding={tuple(padding)}, "
        f"output_padding={tuple(output)}, groups={groups}, bias={chance.choice((True, False))}, dilation={tuple(dilation)})"
    )

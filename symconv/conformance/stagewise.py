"""Networks whose nonlinearities have no exact arithmetic: their linear stages, each a pair of its own.

Owns: `linear_stages`, `merged`. Must not know: torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from symconv.conformance.evidence import Outcome, Row
from symconv.conformance.magnitudes import KEEPS_INTEGERS
from symconv.conformance.pairing import Carry, Pairing
from symconv.layers import Pointwise, PReLU, Weights
from symconv.operators.wiring import is_parametric

GRADES = (Outcome.DEVIATES, Outcome.TRANSFORM, Outcome.WITHIN, Outcome.IDENTICAL, Outcome.UNSUPPORTED)
"""The worst first: several stages are as good as their worst one."""


def linear_stages(pairing: Pairing) -> tuple[Pairing, ...]:
    """The pair itself, or its stages if a nonlinearity rounds in a way that nothing is proved about."""
    rounds = any(isinstance(layer, Pointwise) and layer.name not in KEEPS_INTEGERS for layer in pairing.left)
    return _stages(pairing) if rounds and pairing.stages else (pairing,)


def _stages(pairing: Pairing) -> tuple[Pairing, ...]:
    carries = list(pairing.carries)
    parts = []
    given = [_with_kernel(pairing, k) for k in range(2)]
    for stage in pairing.stages:
        chains = (stage.left, stage.right)
        free = 1 if pairing.free == "right" else 0
        spots = [next((k for k, layer in enumerate(chain) if is_parametric(layer)), None) for chain in chains]
        own: list[tuple[Weights | None, ...] | None] = []
        for k, chain in enumerate(chains):
            weights = given[k].pop(0) if given[k] and spots[k] is not None else None
            own.append(None if weights is None else tuple(weights if j == spots[k] else None for j in range(len(chain))))
        target = spots[1 - free]
        moved: tuple[Carry, ...] = ()
        if target is not None:
            moved = (attrs.evolve(carries.pop(0), source=spots[free], target=target),)
        part = attrs.evolve(
            pairing,
            left=stage.left,
            right=stage.right,
            channels=stage.channels,
            domains=stage.domains,
            carries=moved,
            own=(own[0], own[1]),
            stages=(),
        )
        parts.append(part)
    return tuple(part for part in parts if part.left or part.right)


def _with_kernel(pairing: Pairing, side: int) -> list[Weights]:
    """The weights that a side brings for its layers with a kernel, in order."""
    chain = (pairing.left, pairing.right)[side]
    own = pairing.own[side]
    if own is None:
        return []
    return [w for layer, w in zip(chain, own, strict=True) if w is not None and not isinstance(layer, PReLU)]


def merged(rows: Sequence[Row], remark: str = "stage by stage: the nonlinearities between are left out") -> Row:
    """The rows of several stages (or parts) under one setting as one, with a remark."""
    worst = min(rows, key=lambda row: GRADES.index(row.outcome))
    reasons = dict.fromkeys(part for row in rows for part in row.reason.split("; ") if part)
    reasons |= {remark: None} if remark else {}

    def largest(values: Sequence[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    return attrs.evolve(
        worst,
        instances=max(row.instances for row in rows),
        values=sum(row.values for row in rows),
        bound=largest([row.bound for row in rows]),
        limit=largest([row.limit for row in rows]),
        ratio=largest([row.ratio for row in rows]),
        reason="; ".join(reasons),
        deviation=next((row.deviation for row in rows if row.deviation is not None), None),
    )

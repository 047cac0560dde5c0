"""Assertions for test suites.

Owns: `assert_same_layer`. Must not know: how verdicts are found.
"""

from __future__ import annotations

from symconv.api import LayerLike, check
from symconv.theory.relation import Claim, Relation
from symconv.theory.verdict import Verdict


def assert_same_layer(
    a: LayerLike, b: LayerLike, *, channels: int | None = None, common_extents: bool = False, budget: float = 60.0
) -> Verdict:
    """Asserts that two layers are proved to be the same.

    Layers with weights must be the same function, others the same function class; the valid extents must be the same
    unless `common_extents`. An `unknown` fails: it is no proof.

    Args:
        a, b: expressions, references, layers or modules.
        channels: input channels, where no layer says how many.
        common_extents: whether only extents valid for both count.
        budget: seconds.

    Returns:
        The verdict.

    Raises:
        AssertionError: they are not the same, or it is not known; the message says where they part.
        UsageError: they cannot be compared.

    >>> assert_same_layer("Conv1d(1, 1, 1)", "ConvTranspose1d(1, 1, 1)").relation.value
    'equal'
    """
    verdict = check(a, b, channels=channels, budget=budget)
    if verdict.proves(Claim.EQUAL, common_extents=common_extents):
        return verdict
    raise AssertionError(_message(verdict))


def _message(verdict: Verdict) -> str:
    lines = [f"not proved to be the same layer: {verdict.relation.value}", f"  left:  {verdict.left}", f"  right: {verdict.right}"]
    if verdict.relation is Relation.UNKNOWN:
        lines.append(f"  reason: {verdict.reason}: {verdict.detail}")
    if verdict.distance not in (None, "0"):
        lines.append(f"  distance: {verdict.distance}")
    if verdict.domain is not None and verdict.domain.value != "same":
        lines.append(f"  valid extents: {verdict.domain.value}, shown by {list(verdict.domain_extents or ())}")
    if verdict.witness is not None:
        lines.append(f"  witness: {verdict.witness}")
    return "\n".join(lines)

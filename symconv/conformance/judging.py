"""One array against what it must be: equal bit for bit, within its bound, right after rounding, or wrong.

Owns: `Prepared`, `Part`, `Tally`, `judge`. Must not know: how anything was computed.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from symconv.conformance.evidence import Deviation
from symconv.conformance.instances import Instance
from symconv.conformance.rounding import Bounds, Gradients
from symconv.conformance.torch_runs import Results


@attrs.frozen
class Part:
    """One array to compare: what it is, the value, and the largest error allowed (0: none)."""

    what: str
    found: Any
    exact: Any
    bound: Any


@attrs.frozen(eq=False)
class Prepared:
    """An instance with its exact results, and the error bounds of both sides for bounded evidence."""

    draw: int
    instance: Instance
    exact: Results
    bounds: tuple[tuple[Bounds, Gradients | str], tuple[Bounds, Gradients | str]] | None
    own: tuple[Bounds, Gradients | str] | None = None


@attrs.define
class Tally:
    """What one row has seen so far."""

    instances: int = 0
    values: int = 0
    bound: float = 0.0
    ratio: float = 0.0
    transformed: float = 0.0
    deviation: Deviation | None = None
    excess: float = 0.0
    reasons: dict[str, None] = attrs.field(factory=dict)
    failed: Prepared | None = None


def judge(part: Part, side: str, prepared: Prepared, tally: Tally) -> None:
    """Compares one array and remembers its worst value."""
    found, exact = np.asarray(part.found), np.asarray(part.exact)
    tally.values += found.size
    if found.shape != exact.shape:
        tally.deviation = _deviation(part, side, prepared, (), float("nan"), float("nan"), 0.0)
        tally.failed = prepared
        return
    if not found.size:
        return
    with np.errstate(all="ignore"):
        error = np.abs(found - exact)
    error = np.where(np.isfinite(found), error, np.inf)
    if prepared.bounds is None:
        worst = int(error.argmax())
        if error.reshape(-1)[worst] == 0:
            return
        if rounds_back(found, exact):
            tally.transformed = max(tally.transformed, float(error.max()))
            return
        _keep(part, side, prepared, tally, worst, float(error.max()), 0.0)
        return
    bound = np.broadcast_to(np.asarray(part.bound), found.shape)
    with np.errstate(all="ignore"):
        ratio = np.where(error == 0, 0.0, error / bound)
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    worst = int(ratio.argmax())
    tally.ratio, tally.bound = max(tally.ratio, float(ratio.max())), max(tally.bound, float(bound.max()))
    if ratio.max() > 1:
        _keep(part, side, prepared, tally, worst, float(ratio.max()), float(bound.reshape(-1)[worst]))


def rounds_back(found: Any, exact: Any) -> bool:
    """No integer where it is wrong, and right after rounding: no sum of integers does that, in any order."""
    wrong = found != exact
    whole = np.rint(exact) == exact
    return bool(whole.all() and (np.rint(found) == exact).all() and (np.rint(found) != found)[wrong].all())


def _keep(part: Part, side: str, prepared: Prepared, tally: Tally, worst: int, excess: float, bound: float) -> None:
    if excess <= tally.excess:
        return
    place = tuple(int(k) for k in np.unravel_index(worst, np.shape(part.found)))
    values = float(np.asarray(part.found).reshape(-1)[worst]), float(np.asarray(part.exact).reshape(-1)[worst])
    tally.excess, tally.failed = excess, prepared
    tally.deviation = _deviation(part, side, prepared, place, *values, bound)


def _deviation(part: Part, side: str, prepared: Prepared, place: tuple[int, ...], found: float, exact: float, bound: float) -> Deviation:
    return Deviation(
        side=side,
        what=part.what,
        place=place,
        found=found,
        exact=exact,
        bound=bound,
        extents=prepared.instance.extents,
        draw=prepared.draw,
    )

"""One array against what it must be: equal bit for bit, within its bound, right after rounding, or wrong.

Owns: `Drawn`, `Prepared`, `Part`, `Tally`, `judge`, `row_of`. Must not know: how anything was computed.
"""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import numpy as np

from symconv.conformance.evidence import Deviation, Outcome, Row
from symconv.conformance.instances import Instance
from symconv.conformance.rounding import Bounds, Gradients
from symconv.conformance.torch_runs import INEXACT_ALGORITHMS, Results, TorchSetting


@attrs.frozen
class Part:
    """One array to compare: what it is, the value, and the largest error allowed (0: none)."""

    what: str
    found: Any
    exact: Any
    bound: Any


class Drawn(Protocol):
    """Numbers that something is run on.

    draw: which ones; with the seed they can be drawn again.
    extents: of the input.
    is_exact: whether results must be equal bit for bit.
    """

    @property
    def draw(self) -> int: ...
    @property
    def extents(self) -> tuple[int, ...]: ...
    @property
    def is_exact(self) -> bool: ...


@attrs.frozen(eq=False)
class Prepared:
    """An instance with its exact results, and the error bounds of both sides for bounded evidence."""

    draw: int
    instance: Instance
    exact: Results
    bounds: tuple[tuple[Bounds, Gradients | str], tuple[Bounds, Gradients | str]] | None
    own: tuple[Bounds, Gradients | str] | None = None

    @property
    def extents(self) -> tuple[int, ...]:
        """Of the input."""
        return self.instance.extents

    @property
    def is_exact(self) -> bool:
        """Whether there are no bounds."""
        return self.bounds is None


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
    failed: Any = None


def judge(part: Part, side: str, prepared: Drawn, tally: Tally) -> None:
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
    if prepared.is_exact:
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


def _keep(part: Part, side: str, prepared: Drawn, tally: Tally, worst: int, excess: float, bound: float) -> None:
    if excess <= tally.excess:
        return
    place = tuple(int(k) for k in np.unravel_index(worst, np.shape(part.found)))
    values = float(np.asarray(part.found).reshape(-1)[worst]), float(np.asarray(part.exact).reshape(-1)[worst])
    tally.excess, tally.failed = excess, prepared
    tally.deviation = _deviation(part, side, prepared, place, *values, bound)


def _deviation(part: Part, side: str, prepared: Drawn, place: tuple[int, ...], found: float, exact: float, bound: float) -> Deviation:
    return Deviation(
        side=side,
        what=part.what,
        place=place,
        found=found,
        exact=exact,
        bound=bound,
        extents=prepared.extents,
        draw=prepared.draw,
    )


def row_of(backend: str, setting: TorchSetting, direction: str, kind: str, tally: Tally, exact: Tally | None) -> Row:
    """A row from what was seen.

    Args:
        backend, setting, direction, kind: of the row.
        tally: what was seen.
        exact: what was seen of exact evidence under the same setting, if there is any.
    """
    outcome = Outcome.IDENTICAL if kind == "exact" else Outcome.WITHIN
    reason = "; ".join(tally.reasons)
    if not tally.instances:
        outcome = Outcome.UNSUPPORTED
    elif tally.deviation is not None:
        outcome = Outcome.DEVIATES
        if kind == "bounded" and exact is not None and exact.transformed and exact.deviation is None:
            outcome, reason = Outcome.TRANSFORM, f"{tally.ratio:.3g} times the bound, by an algorithm with fractional constants"
    elif tally.transformed:
        outcome = Outcome.TRANSFORM
        named = INEXACT_ALGORITHMS.get(setting.algorithm, "an algorithm with fractional constants, such as Winograd's or FFT")
        reason = f"up to {tally.transformed:.3g} away, the exact integers after rounding: {named}"
    other = backend != "torch"
    return Row(
        backend=backend,
        device=setting.device,
        dtype=setting.dtype,
        memory_format=setting.memory_format,
        algorithm="" if other else setting.algorithm,
        mode="" if other else setting.mode,
        direction=direction,
        evidence=kind,
        outcome=outcome,
        instances=tally.instances,
        values=tally.values,
        bound=tally.bound if tally.instances else None,
        limit=2.0**setting.precision.sums if kind == "exact" and tally.instances else None,
        ratio=tally.ratio if kind == "bounded" and tally.instances else None,
        reason=reason,
        deviation=tally.deviation if outcome is Outcome.DEVIATES else None,
    )

"""What was found for an ONNX model whose layers were measured.

Owns: `FastestModel`.
Must not know: how anything was measured, which files were written, columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from symconv.convert.fastest.found import Site
from symconv.convert.fastest.guard import Settled
from symconv.convert.onnx.plan import Plan


@attrs.frozen(eq=False, kw_only=True)
class FastestModel:
    """A model, its layers and the whole.

    Args:
        plan: the layers that are rewritten, each in its own form.
        layers: every layer that changes the sampling rate, with its measurements.
        settled: the whole, before and after.
        runtime, where: what measured, and on what, for people.
        threads, clock: as for `race`.
        inputs: extents of the inputs, by name.
        unmet: of the layers that the target cannot run and that stay: "no" (there is no other form) or "refused"; and "unknown" of those
            of which no form was decided.
    """

    plan: Plan
    layers: tuple[Site, ...]
    settled: Settled
    runtime: str
    where: str
    threads: int
    clock: str
    inputs: Mapping[str, tuple[int, ...]]
    unmet: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 if the target cannot run a layer and there is no other form of it, 3 if a layer was not decided."""
        return 1 if {"no", "refused"} & set(self.unmet) else 3 if self.unmet else 0

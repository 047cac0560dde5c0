"""The theorem corpus: every statement about the layers, with what proves it and the bent variants that are refuted.

Owns: `NAMES`, the order of reading; `load`. One module a theorem, named as the theorem is.
A client of symconv; symconv itself never imports it except to run and to print it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .theorem import Theorem

CORPUS: dict[str, tuple[str, ...]] = {
    "same_layer": (
        "shuffling",
        "transpose",
        "zero-insertion",
        "universal-lowering",
        "note-form",
        "least-taps",
        "whole-phases",
        "bijection",
        "one-by-one",
        "activation-patterns",
        "dilation",
        "bias",
        "groups",
        "pointwise",
        "orders",
    ),
    "dual_and_resize": ("strided", "resize-convolution", "convolution-resize", "interpolation", "checkerboard", "efficient-layer"),
    "networks": (
        "high-in-low",
        "low-not-high",
        "equal-cost",
        "representation-power",
        "low-resolution-input",
        "replacement",
        "super-resolution-cost",
    ),
    "arithmetic": ("extents", "conventions"),
    "engine_laws": ("multirate", "cutoff", "factorization"),
}
"""Group to the names of its theorems."""

NAMES = tuple(name for names in CORPUS.values() for name in names)


def load(name: str) -> Theorem:
    """The theorem called `name`.

    Raises:
        KeyError: there is none.
    """
    group = next((group for group, names in CORPUS.items() if name in names), None)
    if group is None:
        raise KeyError(name)
    module = importlib.import_module(f".{group}.{name.replace('-', '_')}", __name__)
    theorem: Theorem = module.THEOREM
    return theorem


def corpus() -> tuple[Theorem, ...]:
    """Every theorem, in the order of reading."""
    return tuple(map(load, NAMES))

"""Random ONNX nodes, exactly: what symconv reads and what ONNX Runtime computes on small integers.

Where the two part, the specification is with symconv; the reasons are listed in `excuse`, and nothing else is let through.
"""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper

from symconv.conformance.onnx_evaluate import UNIT, Evaluated, evaluate, exact
from symconv.conformance.onnx_runtime import RuntimeRejects, run
from symconv.frontends.onnx.graph import load
from symconv.frontends.onnx.network import network
from symconv.frontends.onnx.nodes import read
from symconv.operators.denote import ExtentRejected
from tests.conformance.onnx_random import KINDS, Case

INTERPOLATION = 128 * UNIT
"""How far float32 can be off in one weight of linear or cubic interpolation on one axis.

Extents are at most 4, so a position is off by at most 16 units, which a weight passes on at most twice (its slope); the cubic is a
Horner scheme of six roundings of numbers up to 13.
"""


def excuse(case: Case) -> str | None:
    """Why ONNX Runtime may part from the specification here."""
    held = {item.name: helper.get_attribute_value(item) for item in case.node.attribute}
    mode = held.get("auto_pad", b"NOTSET").decode()
    shapes = {item.name: list(item.dims) for item in case.model.graph.initializer}
    axes = len(case.extents)
    kernel = shapes["W"][2:] if "W" in shapes else held.get("kernel_shape", [1] * axes)
    steps, gaps, extra = held.get("strides", [1] * axes), held.get("dilations", [1] * axes), held.get("output_padding", [0] * axes)
    reach = [d * (k - 1) + 1 for d, k in zip(gaps, kernel, strict=True)] if case.node.op_type in ("Conv", "ConvTranspose") else list(kernel)
    columns = list(zip(case.extents, reach, steps, extra, strict=True))
    match case.node.op_type:
        case "Conv" if mode.startswith("SAME") and max(gaps) > 1:
            return "refuses auto_pad with dilations"
        case "ConvTranspose" if any(op >= s for op, s in zip(extra, steps, strict=True) if op):
            return "refuses output_padding of the stride or more, even where the dilation is larger"
        case "ConvTranspose" if shape := held.get("output_shape"):
            if any(s * (n - 1) + op + r < m for (n, r, s, op), m in zip(columns, shape, strict=True)):
                return "takes a negative total padding as 0"
        case "ConvTranspose" if mode.startswith("SAME") and any(r + op < s for _, r, s, op in columns):
            return "takes a negative total padding as 0"
        case "AveragePool":
            pads = held.get("pads", [0] * (2 * axes))
            totals = [a + b for a, b in zip(pads[:axes], pads[axes:], strict=True)]
            if any(n + total < k for n, total, k in zip(case.extents, totals, kernel, strict=True)):
                return "rounds a negative quotient towards zero, so that a window larger than the input gives an output"
            if any(pad >= k for pad, k in zip(pads, [*kernel, *kernel], strict=True)):
                return "refuses pads of the kernel or more"
    return None


def rounding(case: Case, found: Evaluated, x: np.ndarray) -> np.ndarray | Fraction:
    """What float32 may be off."""
    mode = next((item.s for item in case.node.attribute if item.name == "mode"), b"")
    if case.node.op_type == "Resize" and mode in (b"linear", b"cubic"):
        taps = (2 if mode == b"linear" else 4) ** x[0].ndim
        return found.bound() + taps * x[0].ndim * 2 * INTERPOLATION * Fraction(float(np.abs(x).max()))
    return found.bound()


def outcome(case: Case, seed: int, folder: Path) -> str:
    """How the two compare; anything but agreement, a reason of reading or an excuse is an error."""
    path = folder / "node.onnx"
    path.write_bytes(case.model.SerializeToString())
    model = load(path)
    reading = read(model, model.nodes[0])
    if reading.layer is None:
        assert reading.reason.startswith(f"`{case.node.op_type}` ")
        return "unread"
    assert reading.all_extents or case.fixed
    x = case.input(seed)
    try:
        (theirs,) = run(path.read_bytes(), {"x": x[None]})
        y = theirs[0] if theirs.size else None
    except RuntimeRejects:
        y = None
    try:
        ours = evaluate(network(model, model.nodes, fixed_extents=True), x)
    except ExtentRejected:
        ours = None
    if ours is None and y is None:
        return "rejected"
    if ours is not None and y is not None and ours.values.shape == y.shape:
        away = np.abs(ours.values - np.vectorize(exact, otypes=[object])(y))
        if not away.any():
            return "exact"
        if (away <= rounding(case, ours, x)).all():
            return "rounded"
    assert excuse(case) is not None, f"seed {seed}: {case}"
    return "excused"


def compared(kind: str, seeds: range, folder: Path) -> Counter[str]:
    return Counter(outcome(KINDS[kind](random.Random(f"{kind}{seed}")), seed, folder) for seed in seeds)


@pytest.mark.parametrize("kind", KINDS)
def test_random_nodes(kind: str, tmp_path: Path) -> None:
    counts = compared(kind, range(60), tmp_path)
    assert counts["exact"] + counts["rounded"] >= 24, counts


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_random_nodes(kind: str, tmp_path: Path) -> None:
    counts = compared(kind, range(1000, 2500), tmp_path)
    assert counts["exact"] + counts["rounded"] >= 600, counts
    assert counts["rounded"] == 0 or kind in ("Resize", "AveragePool"), counts

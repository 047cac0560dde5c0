"""Checkerboards: how many contributions an output sample has, and when a constant input gives a constant output.

Source: A. Odena, V. Dumoulin, C. Olah, Deconvolution and Checkerboard Artifacts, Distill 2016.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

from ..terms import ceiling, integers, within
from ..theorem import Counterexample, Exact, Hypothesis, Obligation, Theorem, Twin, Values
from ..twins import by_size, impulses, text

r, k, K, c, phi, x = integers("r k K c phi x")

divides = Hypothesis(k == r * K, "r divides k")
COUNT = ceiling(k - phi, r, c)


def _phases(width: int, r: int, axes: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Taps of a kernel and phases of its stride on so many axes."""
    return list(itertools.product(range(width), repeat=axes)), list(itertools.product(range(r), repeat=axes))


def _dimension() -> Iterator[str]:
    import flint

    for axes, most in ((1, 8), (2, 5)):
        for width, r in itertools.product(range(1, most + 1), range(2, 5)):
            taps, phases = _phases(width, r, axes)
            residues = [tuple(at % r for at in tap) for tap in taps]
            rows = [[int(residue == phase) - int(residue == phases[0]) for residue in residues] for phase in phases[1:]]
            found = len(taps) - int(flint.fmpq_mat(rows).rank())
            wanted = width**axes - (r**axes - 1) if width >= r else 0
            if found != wanted:
                yield f"k={width}, r={r}, {axes} axes: dimension {found}, not {wanted}"


def project(kernel: Sequence[Fraction], r: int) -> list[Fraction]:
    """The nearest kernel on one axis whose phases have equal sums: w_j - (S_phi - t) / c_phi, for k >= r."""
    counts = [len(kernel[phase::r]) for phase in range(r)]
    sums = [sum(kernel[phase::r], Fraction(0)) for phase in range(r)]
    level = sum((total / count for total, count in zip(sums, counts, strict=True)), Fraction(0)) / sum(Fraction(1, c) for c in counts)
    return [value - (sums[j % r] - level) / counts[j % r] for j, value in enumerate(kernel)]


def _projection() -> Iterator[str]:
    for width, r in itertools.product(range(1, 9), range(1, 5)):
        if width < r:
            continue
        units = [[Fraction(int(j == at)) for j in range(width)] for at in range(width)]
        images = [project(unit, r) for unit in units]
        for unit, image in zip(units, images, strict=True):
            if len({sum(image[phase::r], Fraction(0)) for phase in range(r)}) != 1:
                yield f"k={width}, r={r}: the phase sums of {image} differ"
            if project(image, r) != image:
                yield f"k={width}, r={r}: projecting twice changes {image}"
            gap = [a - b for a, b in zip(unit, image, strict=True)]
            if any(sum(a * b for a, b in zip(gap, other, strict=True)) for other in images):
                yield f"k={width}, r={r}: not the nearest kernel"


def _constant() -> Iterator[str]:
    """In PyTorch: the interior output of a constant input is the phase's tap sum."""
    for width, r in itertools.product(range(1, 6), range(1, 4)):
        for phase, total in enumerate(_response(width, r, {j: j * j + 1 for j in range(width)})):
            if total != sum(j * j + 1 for j in range(phase, width, r)):
                yield f"k={width}, r={r}, phase {phase}: {total}"


def _response(width: int, r: int, kernel: dict[int, int]) -> list[int]:
    """One interior period of the output of ConvTranspose1d on a constant input of ones."""
    n = -(-width // r) + 1
    layer = f"ConvTranspose1d(1, 1, {width}, stride={r}, output_padding={r - 1}, bias=False)"
    matrix = impulses(layer, {(0, 0, j): value for j, value in kernel.items()}, (n,))
    return [sum(matrix[(n - 1) * r + phase]) for phase in range(r)]


def _uneven(values: Values) -> Counterexample | None:
    """A kernel of which one tap is 1, on a constant input of ones."""
    found = _response(values["k"], values["r"], {0: 1})
    if len(set(found)) == 1:
        return None
    return Counterexample(values, f"{text(values)}: the kernel 1, 0, ... turns a constant input of ones into {found}, repeated", True)


THEOREM = Theorem(
    name="checkerboard",
    numbers=(20,),
    group="dual_and_resize",
    title="A kernel that r divides gives every output sample as many contributions; constant in, constant out needs equal phase sums.",
    statement=(
        "If r | k every phase has k / r taps an axis, so every interior output sample has (k / r)^D contributions.",
        "A constant input gives a constant interior output iff the tap sums of all r^D phases agree, per channel pair.",
        "Those kernels are a linear subspace: for k >= r of dimension k^D - (r^D - 1), for k < r only of 0 (a phase is then empty).",
        "On one axis the nearest such kernel is w_j - (S_phi - t) / c_phi with c_phi taps and sum S_phi in the phase of j and",
        "t = (sum of S_phi / c_phi) / (sum of 1 / c_phi), the mean of the sums where r | k.",
    ),
    proof=(
        "Phase phi has ceil((k - phi) / r) taps, which is K for k = r K and 0 <= phi < r.",
        "On a constant input an interior sample of phase phi is the constant times S_phi. Equal sums are r^D - 1 equations, independent",
        "because the phases share no tap and none is empty. The correction is constant on each phase and sums to 0 over the phases:",
        "a combination of the equations, so orthogonal to the subspace.",
    ),
    source="doi 10.23915/distill.00003, with the sufficiency that is often read into it refuted",
    scope="counts for all k, r; dimension for k <= 8 (one axis), k <= 5 (two), r <= 4; projection for k <= 8, r <= 4",
    hypotheses=(divides,),
    obligations=(
        Obligation("as many taps in every phase: times r", (divides.formula, COUNT, x == c - K), within(r * x + phi, r)),
        Obligation("as many taps in every phase", (within(phi, r), within(r * x + phi, r)), x == 0),
    ),
    exact=(
        Exact("dimension", "k^D - (r^D - 1), or 0 for k < r", "k <= 8, D = 1; k <= 5, D = 2; 2 <= r <= 4", _dimension),
        Exact("projection", "equal sums, idempotent, orthogonal", "r <= k <= 8, r <= 4, one axis", _projection),
        Exact("constant input", "the interior output is the phase's tap sum, in PyTorch", "k <= 5, r <= 3, one axis", _constant),
    ),
    twins=(
        Twin(
            "a divisible kernel avoids checkerboards",
            "if r divides k a constant input gives a constant output",
            by_size("k r", {}, 4, lambda v: v["k"] % v["r"] == 0),
            _uneven,
        ),
    ),
    corrections=(
        "The dimension k^D - (r^D - 1) and the projection are for k >= r. For k < r some phase has no tap, so all sums must be 0, and only",
        "the kernel 0 is left.",
    ),
)

"""The best layer of a class on images, in closed form.

Owns: moments of images, the optimum, its error on any images.
Must not know: expressions, training.

With p the neighbourhood of a low-resolution sample and y_phi the samples to predict, the mean squared error of weights v_phi is

    E = (1 / N) sum over phi of  v_phi' C v_phi - 2 v_phi' b_phi + y_phi' y_phi,    C = sum p p',  b_phi = sum p y_phi

so images enter through their moments C, b and y'y alone, and every class is measured on the same samples. For weights
v_phi = E_phi theta the optimum solves the normal equations (sum E_phi' C E_phi) theta = sum E_phi' b_phi. They are solved as
the least squares problem with the matrix L' E_phi, C = L L', so that rounding grows with the root of the condition number only.

Borders: a sample counts if its whole neighbourhood lies in the image; the rest, `reach` low-resolution samples wide, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import attrs

from symconv.errors import UsageError
from symconv.experiment.classes import Basis

Array = Any
BLOCK = 64
"""Rows of low-resolution samples that are unfolded at once."""


@attrs.frozen(eq=False)
class Moments:
    """Sums over the samples of one or several images.

    Args:
        factor, reach: r, and the half width of the neighbourhood in low-resolution samples.
        gram: C, shape (samples, samples).
        cross: b, shape (phases, samples).
        energy: the sum of y^2.
        count: high-resolution samples.
    """

    factor: int
    reach: int
    gram: Array
    cross: Array
    energy: float
    count: int

    def __add__(self, other: Moments) -> Moments:
        assert (self.factor, self.reach) == (other.factor, other.reach), "moments of one kind"
        gram, cross = self.gram + other.gram, self.cross + other.cross
        return Moments(self.factor, self.reach, gram, cross, self.energy + other.energy, self.count + other.count)


def moments(low: Array, high: Array, factor: int, reach: int) -> Moments:
    """The moments of one image.

    Args:
        low: the low-resolution image, shape (rows, columns).
        high: the image, shape (factor rows, factor columns).
        factor, reach: as in `Moments`.

    Raises:
        UsageError: the image is smaller than one neighbourhood.
    """
    import numpy as np

    width = 2 * reach + 1
    rows, columns = low.shape
    if min(rows, columns) < width:
        raise UsageError(f"an image of {rows} x {columns} low-resolution samples is too small; at least {width} x {width} are needed.")
    blocks = high.reshape(rows, factor, columns, factor).transpose(1, 3, 0, 2).reshape(factor**2, rows, columns)
    target = blocks[:, reach : rows - reach, reach : columns - reach]
    gram, cross = np.zeros((width**2, width**2)), np.zeros((factor**2, width**2))
    for start in range(0, rows - width + 1, BLOCK):
        part = low[start : min(start + BLOCK, rows - width + 1) + width - 1]
        patches = np.lib.stride_tricks.sliding_window_view(part, (width, width)).reshape(-1, width**2)
        wanted = target[:, start : start + BLOCK].reshape(factor**2, -1)
        gram += patches.T @ patches
        cross += wanted @ patches
    return Moments(factor, reach, gram, cross, float(np.sum(target**2)), int(target.size))


@attrs.frozen(eq=False)
class Optimum:
    """The best member of a class.

    Args:
        weights: of each phase over the neighbourhood, shape (phases, samples).
        error: the mean squared error on the images it was fitted on.
        condition: of the normal equations; 1 for a class without parameters.
        rank: of the normal equations.
    """

    weights: Array
    error: float
    condition: float
    rank: int


def optimum(basis: Basis, held: Moments) -> Optimum:
    """The member of least mean squared error."""
    import numpy as np

    linear, fixed = basis.matrices(held.reach)
    factor = np.linalg.cholesky(held.gram)
    goal = np.linalg.solve(factor, held.cross.T).T
    rest = goal - fixed @ factor
    unreachable = held.energy - float(np.sum(goal**2))
    if not basis.parameters:
        return Optimum(fixed, (unreachable + float(np.sum(rest**2))) / held.count, 1.0, 0)
    design = np.einsum("st,fsp->ftp", factor, linear, optimize=True).reshape(-1, len(basis.parameters))
    theta, _, rank, singular = np.linalg.lstsq(design, rest.reshape(-1), rcond=None)
    left = rest.reshape(-1) - design @ theta
    condition = float((singular[0] / singular[-1]) ** 2) if singular[-1] > 0 else math.inf
    return Optimum(fixed + linear @ theta, (unreachable + float(left @ left)) / held.count, condition, int(rank))


def error_of(weights: Array, held: Moments) -> float:
    """The mean squared error of given weights."""
    import numpy as np

    quadratic = np.einsum("fs,st,ft->", weights, held.gram, weights, optimize=True)
    return float(quadratic - 2 * np.sum(weights * held.cross) + held.energy) / held.count


def psnr(error: float) -> float:
    """Decibels, for samples in [0, 1]."""
    return -10 * math.log10(error) if error > 0 else math.inf


def total(parts: Sequence[Moments]) -> Moments:
    """The moments of several images together."""
    return reduce(lambda a, b: a + b, parts)

"""The networks that are trained: ESPCN's shape in low resolution, SRCNN's in high resolution, as expressions.

Owns: `Shape`, the arms of the comparison, their widths at equal multiplications and at equal parameters.
Must not know: images, training, torch.

Kernels are 5, 3, ..., 3 taps wide, ReLU between them; one luminance channel in, one out. In low resolution the last layer has
r^2 channels, which periodic shuffling turns into samples; in high resolution a resize or a transposed convolution comes first.
Source: W. Shi et al. 2016 (ESPCN), C. Dong et al. 2014 (SRCNN), with smaller kernels.
"""

from __future__ import annotations

from fractions import Fraction

import attrs

from symconv.convert.cost import Cost, cost_of
from symconv.errors import UsageError
from symconv.layers import Layer, Sequential, flatten

AXES = 2
LOW, LOW_PARAMETERS = "low", "low-parameters"
HIGH = ("bicubic", "nearest", "transposed")
ARMS = (LOW, *HIGH, LOW_PARAMETERS)
"""LR at equal multiplications; HR by what comes first; LR at equal parameters."""
TITLES = {
    LOW: "LR, equal multiplications",
    LOW_PARAMETERS: "LR, equal parameters",
    "bicubic": "HR, bicubic first",
    "nearest": "HR, nearest first",
    "transposed": "HR, transposed first",
}


@attrs.frozen
class Shape:
    """One network.

    Args:
        arm: a member of `ARMS`.
        factor: r.
        width: channels n of the high-resolution networks that it is compared with.
        hidden: layers between the first and the last one.
    """

    arm: str
    factor: int
    width: int
    hidden: int

    @property
    def channels(self) -> int:
        """The network's own width: n, m = r n, or the widest LR network with no more parameters than HR ones of width n."""
        if self.arm == LOW:
            return self.factor * self.width
        return _equal_parameters(self) if self.arm == LOW_PARAMETERS else self.width

    @property
    def expression(self) -> str:
        """The chain as an expression."""
        own = self.channels
        body = f"Conv2d(1, {own}, 5, padding=2) >> ReLU()" + f" >> Conv2d({own}, {own}, 3, padding=1) >> ReLU()" * self.hidden
        if self.arm in (LOW, LOW_PARAMETERS):
            return f"{body} >> Conv2d({own}, {self.factor**2}, 3, padding=1) >> PixelShuffle({self.factor})"
        return f"{_upsampling(self.arm, self.factor)} >> {body} >> Conv2d({own}, 1, 3, padding=1)"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The chain, bound to two axes."""
        from symconv.frontends.text import parse

        return flatten(Sequential(flatten(parse(self.expression))).bind(AXES))

    @property
    def cost(self) -> Cost:
        """Multiplications for each low-resolution sample, resizes included, and parameters, biases included."""
        return cost_of(self.layers, 1)

    @property
    def multiplications(self) -> Fraction:
        """Multiplications for each high-resolution sample."""
        return self.cost.multiplications / self.factor**2

    @property
    def name(self) -> str:
        """A file name."""
        return f"r{self.factor}-n{self.width}-h{self.hidden}-{self.arm}"


def _upsampling(arm: str, r: int) -> str:
    if arm == "bicubic":
        return f'Upsample(scale_factor={r}, mode="bicubic")'
    if arm == "nearest":
        return f"Upsample(scale_factor={r})"
    if arm == "transposed":
        odd = r % 2
        return f"ConvTranspose2d(1, 1, {2 * r + odd}, stride={r}, padding={(r + odd) // 2})"
    raise UsageError(f"`arm` must be one of {', '.join(ARMS)}; found {arm!r}.")


def _equal_parameters(shape: Shape) -> int:
    """The largest width whose LR network has no more parameters than the HR network behind a resize."""
    allowed = attrs.evolve(shape, arm="bicubic").cost.parameters
    width = 0
    while _low_parameters(width + 1, shape) <= allowed:
        width += 1
    if not width:
        raise UsageError(
            f"no LR network has as few parameters ({allowed}) as an HR one of width {shape.width} at r = {shape.factor}. Use wider ones."
        )
    return width


def _low_parameters(m: int, shape: Shape) -> int:
    """Kernels and biases of 5 x 5, `hidden` times 3 x 3, and 3 x 3 to r^2 channels."""
    return 26 * m + shape.hidden * (9 * m * m + m) + shape.factor**2 * (9 * m + 1)


def shapes(factors: tuple[int, ...], widths: tuple[int, ...], hidden: tuple[int, ...]) -> tuple[Shape, ...]:
    """Every arm at every factor, width and depth."""
    return tuple(Shape(arm, r, n, h) for r in factors for n in widths for h in hidden for arm in ARMS)

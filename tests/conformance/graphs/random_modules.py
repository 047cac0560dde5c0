"""Random modules that branch, for tests of bounds: what torch.fx traces, with functions, methods and modules of torch."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

Step = Callable[[Any, list[Any]], Any]


class Steps(nn.Module):
    """Steps one after the other; each one takes the values so far and adds one. All values are (1, 4, height, width)."""

    def __init__(self, seed: int, count: int, steps: list[Any]) -> None:
        super().__init__()
        self.rng = random.Random(seed)
        torch.manual_seed(seed)
        self.parts = nn.ModuleList()
        self.extents = (self.rng.choice((4, 6)), self.rng.choice((4, 6)))
        self.steps = [self.rng.choice(steps)(self) for _ in range(count)]

    def keep(self, module: nn.Module) -> int:
        self.parts.append(module)
        return len(self.parts) - 1

    def forward(self, x: Any) -> Any:
        values = [x]
        for step in self.steps:
            values.append(step(self, values))
        return tuple(values[1:])


def _module(make: Callable[[], nn.Module]) -> Callable[[Steps], Step]:
    def build(net: Steps) -> Step:
        place = net.keep(make())
        return lambda own, values: own.parts[place](values[-1])

    return build


def _two(function: Callable[[Any, Any], Any]) -> Callable[[Steps], Step]:
    def build(net: Steps) -> Step:
        back = net.rng.randint(1, 3)
        return lambda own, values: function(values[-1], values[-min(back, len(values))])

    return build


def _one(function: Callable[[Any], Any]) -> Callable[[Steps], Step]:
    return lambda net: lambda own, values: function(values[-1])


def _linear(net: Steps) -> Step:
    place = net.keep(nn.Linear(net.extents[1], net.extents[1]))
    return lambda own, values: own.parts[place](values[-1])


def _chunks(x: Any) -> Any:
    a, b = x.chunk(2, 1)
    return torch.cat((b, a), dim=1)


def _attention(x: Any) -> Any:
    flat = x.flatten(2)
    return (torch.matmul(flat, flat.transpose(1, 2)) @ flat).view(x.shape) * 0.01


STEPS: list[Callable[[Steps], Step]] = [
    _module(lambda: nn.Conv2d(4, 4, 3, padding=1)),
    _module(lambda: nn.Conv2d(4, 4, 3, padding=1, groups=2, padding_mode="reflect")),
    _module(lambda: nn.ConvTranspose2d(4, 4, 3, padding=1)),
    _module(lambda: nn.Sequential(nn.Conv2d(4, 8, 2, 2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 4, 1))),
    _module(lambda: nn.BatchNorm2d(4)),
    _module(nn.ReLU),
    _module(lambda: nn.LeakyReLU(0.3)),
    _module(lambda: nn.PReLU(4)),
    _module(nn.Hardswish),
    _module(lambda: nn.MaxPool2d(3, 1, 1)),
    _module(lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
    _module(lambda: nn.Sequential(nn.Conv2d(4, 16, 1), nn.PixelShuffle(2), nn.MaxPool2d(2))),
    _linear,
    _two(torch.add),
    _two(lambda a, b: a - b),
    _two(lambda a, b: a * b * 0.1),
    _two(torch.maximum),
    _two(lambda a, b: torch.cat([a[:, :2], b[:, 2:]], 1)),
    _two(lambda a, b: torch.stack((a, b)).mean(0)),
    _one(functional.relu),
    _one(lambda x: functional.leaky_relu(x, 0.1)),
    _one(lambda x: x.clamp(-1.5, 2)),
    _one(torch.abs),
    _one(lambda x: -x),
    _one(lambda x: x / 3 + 0.7),
    _one(lambda x: x - x.mean(dim=(2, 3), keepdim=True)),
    _one(lambda x: x * functional.hardsigmoid(functional.adaptive_avg_pool2d(x, 1))),
    _one(lambda x: x / (1 + x.abs().amax(dim=1, keepdim=True))),
    _one(lambda x: functional.interpolate(functional.max_pool2d(x, 2), scale_factor=2, mode="nearest")),
    _one(lambda x: functional.pad(x, (1, 1, 0, 0), mode="replicate")[..., 1:-1]),
    _one(lambda x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)),
    _one(lambda x: x.flip(-1)),
    _one(lambda x: torch.roll(x, 1, 2)),
    _one(lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1, -1).sum(1)),
    _one(_chunks),
    _one(_attention),
]

CURVED: list[Callable[[Steps], Step]] = [
    _module(nn.Sigmoid),
    _module(nn.GELU),
    _module(lambda: nn.GroupNorm(2, 4)),
    _module(lambda: nn.InstanceNorm2d(4, affine=True)),
    _one(torch.tanh),
    _one(lambda x: torch.softmax(x, dim=1)),
    _one(functional.silu),
    _one(lambda x: torch.exp(x.clamp(-2, 2))),
]
"""Steps without a rounding theorem."""

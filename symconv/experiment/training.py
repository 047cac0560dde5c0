"""One network trained on one thread or one device, resumable at every epoch.

Owns: `Schedule`, `Patches`, `build`, `train`.
Must not know: which networks are trained, where images come from, the form of checkpoints, how results are shown.

A run is a function of the network, the schedule, the images and the seed. After each epoch everything that the next one depends on
(parameters, the optimizer, the generator of patches, the global generators) is written in one atomic step, so a run that is killed
goes on from the last whole epoch and ends with the same bits on the same device and number of threads.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import UsageError
from symconv.experiment.checkpoint import finished, key_of, parameters_digest, restore, store, write
from symconv.experiment.images import Image, degraded, trimmed
from symconv.experiment.networks import Shape
from symconv.experiment.quality import MARGIN, MIDDLE, measure

STEPS_OF_FACTORS = 12
"""Images are trimmed to multiples of this, so that every factor up to 4 sees the same samples."""
FORMAT = "symconv.training/1"

Progress = Callable[[int, int, float], None]
"""(epochs done, epochs in all, loss of the last one)."""


@attrs.frozen
class Schedule:
    """How every network is trained.

    Args:
        epochs, steps: steps an epoch; the learning rate falls with a half cosine over all of them.
        batch: patches a step.
        patch: high-resolution samples of a patch on each axis.
        rate: the first learning rate of Adam; the loss is the mean squared error.
    """

    epochs: int
    steps: int
    batch: int = 16
    patch: int = 24
    rate: float = 3e-3

    def check(self, factor: int) -> None:
        """Refuses a patch that the factor does not divide.

        Raises:
            UsageError: it does not.
        """
        if self.patch % factor:
            raise UsageError(f"the patch of {self.patch} samples must be divisible by r = {factor}; it leaves {self.patch % factor} over.")


@attrs.frozen(eq=False)
class Pairs:
    """Image pairs as tensors: low-resolution and high-resolution luminance, each (1, 1, rows, columns), float32."""

    names: tuple[str, ...]
    low: tuple[Any, ...]
    high: tuple[Any, ...]


def pairs_of(images: Sequence[Image], factor: int, least: int, device: str) -> Pairs:
    """The pairs of some images at one factor.

    Args:
        images: of one side of the split.
        factor: r.
        least: high-resolution samples that every image must have on each axis.
        device: where the tensors live.

    Raises:
        UsageError: there is no image, or one is too small.
    """
    import torch

    if not images:
        raise UsageError("there must be at least one image on each side of the split; found none.")
    low: list[Any] = []
    high: list[Any] = []
    for image in images:
        whole = trimmed(image.luminance, math.lcm(STEPS_OF_FACTORS, factor))
        if min(whole.shape) < max(least, (2 * MARGIN + 1) * factor):
            rows, columns = image.luminance.shape
            raise UsageError(f"`{image.name}` has {rows} x {columns} samples; patches and margins need {least} on each axis.")
        for array, held in ((degraded(whole, factor), low), (whole, high)):
            held.append(torch.tensor(array, dtype=torch.float32, device=device)[None, None])
    return Pairs(tuple(image.name for image in images), tuple(low), tuple(high))


def build(shape: Shape, seed: int) -> Any:
    """The network as a module: PyTorch's own initial parameters, and bilinear interpolation for a transposed convolution.

    Source: J. Long et al. 2015 (FCN) for the latter; a random one costs such a network many steps and sometimes all of its ReLUs.
    """
    import torch

    from symconv.conformance.torch_oracle import to_module

    network = to_module(_chain(shape), 2, torch.float32)
    torch.manual_seed(seed)
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None)
        if reset is not None:
            reset()
        if isinstance(module, torch.nn.ConvTranspose2d):
            _interpolate(module)
    return network.train()


def _interpolate(module: Any) -> None:
    """Taps 1 - |t - middle| / r, and no bias."""
    import torch

    (stride, _), (taps, _) = module.stride, module.kernel_size
    hat = (1 - (torch.arange(taps) - (taps - 1) / 2).abs() / stride).clamp(min=0)
    with torch.no_grad():
        module.weight.copy_(torch.outer(hat, hat)[None, None])
        module.bias.zero_()


def _chain(shape: Shape) -> Any:
    from symconv.layers import Sequential

    return Sequential(shape.layers)


@attrs.frozen(eq=False)
class Patches:
    """Random patches of some pairs, in the eight orientations, gathered from one flat tensor for each resolution.

    Args:
        factor, patch, batch: r; high-resolution samples of a patch on each axis; patches at once.
        low, high: all samples of all images, one image after the other.
        places: for each image its rows and columns in low resolution, and where it starts in `low`; shape (images, 3).
    """

    factor: int
    patch: int
    batch: int
    low: Any
    high: Any
    places: Any

    @classmethod
    def of(cls, pairs: Pairs, schedule: Schedule, factor: int) -> Patches:
        """The patches of a schedule."""
        import torch

        flat = [torch.cat([image.reshape(-1) for image in side]) for side in (pairs.low, pairs.high)]
        places, start = [], 0
        for image in pairs.low:
            places.append((image.shape[-2], image.shape[-1], start))
            start += image.numel()
        return cls(factor, schedule.patch, schedule.batch, flat[0], flat[1], torch.tensor(places))

    def draw(self, generator: Any) -> tuple[Any, Any]:
        """The next (low, high) of shape (batch, 1, patch, patch); what is drawn does not depend on the network."""
        import torch

        small = self.patch // self.factor
        pick, row, column, turn = torch.randint(2**31 - 1, (4, self.batch), generator=generator)
        rows, columns, start = self.places[pick % len(self.places)].unbind(-1)
        y, x = row % (rows - small + 1), column % (columns - small + 1)
        low = self._gathered(self.low, start, columns, y, x, turn, small)
        r = self.factor
        return low, self._gathered(self.high, start * r * r, columns * r, y * r, x * r, turn, self.patch)

    def _gathered(self, samples: Any, start: Any, columns: Any, y: Any, x: Any, turn: Any, extent: int) -> Any:
        import torch

        line = torch.arange(extent)
        down, right = line[:, None].expand(extent, extent), line[None, :].expand(extent, extent)
        swap, mirrored, upside = (((turn >> bit) & 1).bool()[:, None, None] for bit in (0, 1, 2))
        down, right = torch.where(swap, right, down), torch.where(swap, down, right)
        down = torch.where(upside, extent - 1 - down, down)
        right = torch.where(mirrored, extent - 1 - right, right)
        index = start[:, None, None] + (y[:, None, None] + down) * columns[:, None, None] + x[:, None, None] + right
        return samples[index.to(samples.device)][:, None]


def train(
    shape: Shape,
    schedule: Schedule,
    seed: int,
    fit: Pairs,
    held_out: Pairs,
    folder: Path,
    *,
    device: str = "cpu",
    digest: str = "",
    progress: Progress = lambda done, of, loss: None,
) -> dict[str, Any]:
    """Trains a network, or goes on where a killed run stopped, and measures it.

    Args:
        shape, schedule, seed: what is trained, and how.
        fit, held_out: image pairs at the network's factor.
        folder: holds this run's checkpoint and, in the end, its result; made if need be.
        device: cpu or cuda.
        digest: of the images, so that a checkpoint of other ones is refused.
        progress: told after every epoch.

    Raises:
        UsageError: the folder holds another run.
    """
    import torch

    schedule.check(shape.factor)
    key = key_of(shape.expression, attrs.asdict(schedule), seed, digest, device)
    result = folder / "result.json"
    if result.exists():
        return finished(result, key)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.use_deterministic_algorithms(True)
    network = build(shape, seed).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.rate, foreach=False)
    generator = torch.Generator().manual_seed(seed)
    patches = Patches.of(fit, schedule, shape.factor)
    state: dict[str, Any] = {"epoch": 0, "seconds": 0.0, "losses": []}
    restore(folder / "checkpoint.pt", key, network, optimizer, generator, state)
    while state["epoch"] < schedule.epochs:
        started = time.perf_counter()
        loss = _epoch(network, optimizer, schedule, patches, generator, state["epoch"])
        state["seconds"] += time.perf_counter() - started
        state["losses"].append(loss)
        state["epoch"] += 1
        store(folder / "checkpoint.pt", key, network, optimizer, generator, state)
        progress(state["epoch"], schedule.epochs, loss)
    record = {
        "format": FORMAT,
        "key": key,
        **measure(network, shape.factor, held_out),
        "training_seconds": state["seconds"],
        "losses": state["losses"],
        "parameters_sha256": parameters_digest(network),
    }
    write(result, (json.dumps(record) + "\n").encode())
    return record


def _epoch(network: Any, optimizer: Any, schedule: Schedule, patches: Patches, generator: Any, epoch: int) -> float:
    import torch

    total = 0.0
    for step in range(schedule.steps):
        done = (epoch * schedule.steps + step) / (schedule.epochs * schedule.steps)
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate * 0.5 * (1 + math.cos(math.pi * done))
        low, high = patches.draw(generator)
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.mse_loss(network(low - MIDDLE) + MIDDLE, high)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / schedule.steps


def load(shape: Shape, folder: Path) -> Any:
    """The trained network of a finished run, in evaluation mode."""
    import torch

    network = build(shape, 0)
    network.load_state_dict(torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)["network"])
    return network.eval()

"""Inputs for one run of a whole model: from a file, or drawn at the extents that the model declares and the user gives.

Owns: `model_inputs`.
Must not know: runtimes, what the run is for.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from symconv.errors import UsageError

MOST_BYTES = 2**40
KINDS = "fiub"


class Port(Protocol):
    """An input of a model."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def dtype(self) -> str:
        """Numpy's name of its element type."""

    @property
    def extents(self) -> tuple[int | str | None, ...]:
        """Its extents; a name or None where one is free."""

    @property
    def ranked(self) -> bool:
        """Whether the model says how many there are."""


def model_inputs(
    ports: Sequence[Port],
    *,
    extents: tuple[int, ...] | None,
    batch: int = 1,
    example: Path | None = None,
    admit: Callable[[Mapping[str, tuple[int, ...]]], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """Arrays by the names of the inputs.

    Args:
        ports: what the model takes.
        extents: of the free spatial axes; one number stands for all of them.
        batch: the free first axes.
        example: a .npz file with an array for each input, or a .npy file for the only one; then the others are left out.
        admit: raises where inputs of these extents are too large; asked before arrays are drawn, and of those of a file.

    Raises:
        UsageError: an extent stays free, a file does not fit, or an input is no tensor of numbers.
    """
    if example is not None:
        if extents is not None or batch != 1:
            raise UsageError("`--example` has extents of its own. Leave out `--extents` and `--batch`.")
        arrays = _fitting(ports, _read(example, ports), example)
        admit({name: array.shape for name, array in arrays.items()})
        return arrays
    shapes = _Shapes(ports, extents, batch).answer()
    admit({port.name: shape for port, shape in zip(ports, shapes, strict=True)})
    return {port.name: _drawn(port, shape, seed) for seed, (port, shape) in enumerate(zip(ports, shapes, strict=True))}


class _Shapes:
    """The extents of every input, with one value for each name."""

    def __init__(self, ports: Sequence[Port], extents: tuple[int, ...] | None, batch: int) -> None:
        self.ports, self.extents, self.batch = ports, extents, batch
        self.named: dict[str, int] = {}
        self.used = {"--extents": extents is None, "--batch": batch == 1}

    def answer(self) -> list[tuple[int, ...]]:
        """All shapes; names that one input settles count for the others."""
        for port in self.ports:
            if not port.ranked:
                raise UsageError(
                    f"the model does not say how many extents its input `{port.name}` has. Give inputs with --example FILE.npz."
                )
        for port in self.ports:
            for axis, extent in enumerate(port.extents):
                value = self.given(port, axis)
                if isinstance(extent, str) and value is not None and self.named.setdefault(extent, value) != value:
                    raise UsageError(
                        f"the extent {extent!r} of the model would be {self.named[extent]} and {value}. Give --example FILE.npz."
                    )
        shapes = [tuple(self.settled(port, axis) for axis in range(len(port.extents))) for port in self.ports]
        for option, used in self.used.items():
            if not used:
                fixed = ", ".join(f"`{port.name}` {_shown(port.extents)}" for port in self.ports)
                why = f"the model fixes them: {fixed}" if fixed else "the model has no inputs"
                raise UsageError(f"`{option}` is for free extents, and {why}. Leave it out.")
        return shapes

    def given(self, port: Port, axis: int) -> int | None:
        """What an option says of a free extent."""
        extent, spatial = port.extents[axis], len(port.extents) - 2
        if isinstance(extent, int):
            if axis >= 2 and self.extents is not None and spatial in (len(self.extents), spatial * (len(self.extents) == 1)):
                wanted = self.extents[axis - 2 if len(self.extents) > 1 else 0]
                self.used["--extents"] |= extent == wanted
            return None
        if axis == 0 and len(port.extents) > 0:
            self.used["--batch"] = True
            return self.batch
        if axis < 2 or self.extents is None:
            return None
        if len(self.extents) not in (1, spatial):
            raise UsageError(f"`--extents` must be {spatial} numbers for `{port.name}` {_shown(port.extents)}; found {len(self.extents)}.")
        self.used["--extents"] = True
        return self.extents[axis - 2 if len(self.extents) > 1 else 0]

    def settled(self, port: Port, axis: int) -> int:
        extent = port.extents[axis]
        found = extent if isinstance(extent, int) else self.given(port, axis)
        if found is None and isinstance(extent, str):
            found = self.named.get(extent)
        if found is None:
            spatial = len(port.extents) > 2 and axis >= 2
            how = (
                "Give them with --extents, such as 64,64, or inputs with --example FILE.npz."
                if spatial
                else "Give inputs with --example FILE.npz."
            )
            raise UsageError(f"the model leaves extents of its input `{port.name}` {_shown(port.extents)} free. {how}")
        return found


def _drawn(port: Port, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Normal numbers; zeros where the input takes integers or truth values, which may be indices."""
    kind = _dtype(port)
    if math.prod(shape) * kind.itemsize > MOST_BYTES:
        raise UsageError(f"an input of shape {shape} takes more than 1 TiB. Give smaller extents.")
    try:
        if kind.kind != "f":
            return np.zeros(shape, kind)
        return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32).astype(kind, copy=False)
    except MemoryError:
        raise UsageError(f"memory runs out at input shape {shape}. Give smaller extents.") from None


def _dtype(port: Port) -> np.dtype[Any]:
    try:
        kind = np.dtype(port.dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind.kind not in KINDS:
        raise UsageError(f"the model's input `{port.name}` is of type {port.dtype}, of which symconv makes no arrays.")
    return kind


def _read(path: Path, ports: Sequence[Port]) -> Mapping[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            if len(ports) != 1:
                raise UsageError(f"`{path}` holds one array, and the model has {len(ports)} inputs. Give a .npz file with their names.")
            return {ports[0].name: found}
        with found:
            arrays = {name: found[name] for name in found.files}
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError("numpy gives the bytes of a member that is no array")
        return arrays
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        if isinstance(error, UsageError):
            raise
        why = getattr(error, "strerror", None) or "it is none, or holds more than plain arrays"
        raise UsageError(f"`{path}` cannot be read as a .npz or .npy file: {why}.") from None


def _fitting(ports: Sequence[Port], arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    wanted, given = {port.name for port in ports}, set(arrays)
    if wanted != given:
        if not wanted:
            raise UsageError("`--example` is for inputs, and the model has none. Leave it out.")
        raise UsageError(f"`{path}` must hold arrays named {', '.join(sorted(wanted))}; found {', '.join(sorted(given)) or 'none'}.")
    for port in ports:
        array, kind = arrays[port.name], _dtype(port)
        fits = not port.ranked or (
            len(array.shape) == len(port.extents)
            and all(not isinstance(extent, int) or extent == n for extent, n in zip(port.extents, array.shape, strict=True))
        )
        if array.dtype != kind or not fits:
            wanted_shape = _shown(port.extents) if port.ranked else "of any rank"
            raise UsageError(
                f"the model takes {kind} {wanted_shape} as `{port.name}`; `{path}` has {array.dtype} {_shown(array.shape)} there."
            )
    return {port.name: np.ascontiguousarray(arrays[port.name]) for port in ports}


def _shown(extents: Sequence[int | str | None]) -> str:
    return "x".join("?" if extent is None else str(extent) for extent in extents) or "of rank 0"

"""Where in a module a layer can be replaced.

Owns: `Census` (every module, its names and its places), `Run`, `runs`: the stretches to be tried for a form.
Must not know: how a stretch is converted.

A transposed or strided convolution is replaced by itself. A convolution is replaced together with its neighbours in an nn.Sequential:
an Upsample (and paddings between) before it, a PixelShuffle right after it.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from torch import nn

from symconv.convert.torch_modules.replacement import PeriodicShuffle, ZeroInsertion
from symconv.errors import ModelError

CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
UPSAMPLE = (nn.Upsample, ZeroInsertion)
SHUFFLE = (nn.PixelShuffle, PeriodicShuffle)
PAD = tuple(
    getattr(nn, f"{kind}Pad{axes}d")
    for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular")
    for axes in (1, 2, 3)
    if hasattr(nn, f"{kind}Pad{axes}d")
)
CONVERTED_KINDS = ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")


@attrs.frozen(eq=False)
class Run:
    """Consecutive members of a Sequential, or one layer anywhere.

    Args:
        core: the layer with parameters.
        parent: the path of the Sequential, or None for a layer on its own.
        keys: the members' keys in the Sequential.
        members: the modules, in order.
    """

    core: nn.Module
    parent: str | None
    keys: tuple[str, ...]
    members: tuple[nn.Module, ...]

    @property
    def alone(self) -> bool:
        """Whether only the layer itself is replaced."""
        return len(self.members) == 1


class Census:
    """Every module of a tree with all of its names, and every parameter with its owners."""

    def __init__(self, root: nn.Module) -> None:
        self.modules: dict[int, nn.Module] = {}
        self.names: dict[int, list[str]] = {}
        self.places: dict[int, set[tuple[int, str]]] = {}
        self._visit(root, "", [])
        self.owners: dict[int, list[str]] = {}
        for key, module in self.modules.items():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    self.owners.setdefault(id(parameter), []).append(join(self.names[key][0], name))

    def _visit(self, module: nn.Module, path: str, above: list[int]) -> None:
        if id(module) in above:
            raise ModelError(f"`{path}` ({type(module).__name__}) contains itself; a tree of modules is needed.")
        self.modules.setdefault(id(module), module)
        self.names.setdefault(id(module), []).append(path)
        for key, child in module._modules.items():
            if child is not None:
                self.places.setdefault(id(child), set()).add((id(module), key))
                self._visit(child, join(path, key), [*above, id(module)])

    def name(self, module: nn.Module) -> str:
        """The first name."""
        return self.names[id(module)][0]


def join(path: str, key: str) -> str:
    """A dotted name; the root's is empty."""
    return f"{path}.{key}" if path else key


def runs(census: Census, to: str) -> Iterator[tuple[nn.Module, tuple[Run, ...]]]:
    """Every layer that the form concerns, with what is to be replaced, the longest stretch first."""
    within: dict[int, list[tuple[nn.Sequential, int]]] = {}
    for module in census.modules.values():
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            for index, child in enumerate(module):
                within.setdefault(id(child), []).append((module, index))
    for module in census.modules.values():
        found = tuple(_of(module, to, within.get(id(module), [])[:1], census))
        if found:
            yield module, found


def _of(module: nn.Module, to: str, within: list[tuple[nn.Sequential, int]], census: Census) -> Iterator[Run]:
    if isinstance(module, CONV):
        for chain, index in within:
            for first, last in _stretches(list(chain), index, to):
                keys, members = tuple(chain._modules)[first:last], tuple(chain)[first:last]
                yield Run(module, census.name(chain), keys, members)
    if _concerned(module, to):
        yield Run(module, None, (), (module,))


def _concerned(module: nn.Module, to: str) -> bool:
    """Whether the form says something about the layer on its own (layers that are no longer torch.nn's are refused later)."""
    if to in ("lr-shuffle", "zero-insertion"):
        return isinstance(module, TRANSPOSED) or kind_name(module) in CONVERTED_KINDS
    return to == "unshuffle" and isinstance(module, CONV) and any(step > 1 for step in _tuple(module.stride))


def kind_name(module: nn.Module) -> str:
    """The class's name, also of what TorchScript made of it."""
    return str(getattr(module, "original_name", type(module).__name__)).removeprefix("Lazy")


def _tuple(value: object) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else ()


def _stretches(members: list[nn.Module], index: int, to: str) -> Iterator[tuple[int, int]]:
    """(first, after last) of the stretches around a convolution that the form concerns, the longest first."""
    before, after = _upsample_before(members, index), _shuffle_after(members, index)
    if to == "lr-shuffle":
        after = None
    if to == "unshuffle":
        before = after = None
    if before is not None and after is not None:
        yield before, after
    if after is not None:
        yield index, after
    if before is not None:
        yield before, index + 1


def _upsample_before(members: list[nn.Module], index: int) -> int | None:
    place = index - 1
    while place >= 0 and isinstance(members[place], (*PAD, nn.Identity)):
        place -= 1
    return place if place >= 0 and isinstance(members[place], UPSAMPLE) else None


def _shuffle_after(members: list[nn.Module], index: int) -> int | None:
    place = index + 1
    while place < len(members) and isinstance(members[place], nn.Identity):
        place += 1
    return place + 1 if place < len(members) and isinstance(members[place], SHUFFLE) else None

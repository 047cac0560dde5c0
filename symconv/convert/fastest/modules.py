"""A module with its upsampling and strided layers executed in the fastest way, and what was found for each of them.

Owns: `convert_to_fastest`, `FastestConversion`.
Must not know: how a layer's routes are found or timed, when the whole passes.

The example says at which extents: every layer is timed at the shape that it receives when the example runs through. Other extents stay
valid. The new module has the same parameters under the same names, so checkpoints fit both ways.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm

from symconv.convert.fastest.choosing import Setting, choose
from symconv.convert.fastest.clock import Lap
from symconv.convert.fastest.found import FASTER, KEPT, LEFT_OUT, PUT_BACK, REFUSED, SCHEMA, UNUSED, Choice, Site, put_back
from symconv.convert.fastest.guard import Settled, settle
from symconv.convert.fastest.replacement import Fastest
from symconv.convert.torch_modules.refusals import describe, refuse
from symconv.convert.torch_modules.rewrite import _Names as Names
from symconv.convert.torch_modules.sites import Census, Run, runs
from symconv.errors import LayerError, ModelError, OutsideFragment
from symconv.frontends.torch_modules import effective
from symconv.layers import Layer, Sequential
from symconv.layers.expression import format_layer

CONCERNED = ("lr-shuffle", "transposed", "unshuffle")
"""Forms whose sites are looked at: transposed convolutions, resize-convolutions, convolutions with a shuffle, strided convolutions."""


@attrs.frozen(kw_only=True, repr=False)
class FastestConversion:
    """A module, made faster for inference.

    Args:
        module: the new module, in the mode of the given one; it shares no tensor with it.
        layers: every layer that was looked at.
        before, after: seconds of one pass of the example (medians of interleaved rounds).
        whole: the pass of the new module against the given one's; None if no layer is faster.
        control: the pass of the given module against itself.
    """

    module: nn.Module
    layers: tuple[Site, ...]
    before: float
    after: float
    whole: Lap | None
    control: Lap | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, with plain values only."""
        return {
            "schema": SCHEMA,
            "before": self.before,
            "after": self.after,
            "whole": None if self.whole is None else attrs.asdict(self.whole),
            "control": None if self.control is None else attrs.asdict(self.control),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def __repr__(self) -> str:
        faster = sum(layer.status == FASTER for layer in self.layers)
        return f"FastestConversion({faster} of {len(self.layers)} layers faster, {self.before * 1e3:.3g} ms to {self.after * 1e3:.3g} ms)"


def convert_to_fastest(
    module: nn.Module,
    example: Any,
    *,
    only: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    fold: bool = False,
    setting: Setting | None = None,
    progress: Callable[[str], None] | None = None,
) -> FastestConversion:
    """A new module in which every layer that has a faster certified form is executed in it.

    Args:
        module: any nn.Module; it is left as it was.
        example: an input tensor, or a tuple of the module's arguments, on the device and in the number format that count.
        only, exclude: shell patterns of dotted names.
        fold: for parametrized weights (weight_norm, ...): keep the weight that they make, without the parametrization.
        setting: how long, and whether measurements are kept on disk.
        progress: told what is under way.

    Raises:
        ModelError: no nn.Module, a pattern that names nothing, a module that cannot be copied, or that does not run on the example.
    """
    if not isinstance(module, nn.Module) or isinstance(module, torch.jit.ScriptModule):
        raise ModelError(f"an nn.Module that is not compiled is needed; found {type(module).__name__}.")
    arguments = example if isinstance(example, tuple) else (example,)
    return _Making(module, arguments, only, exclude, fold, setting or Setting(), progress or (lambda _: None)).answer()


def _copied(module: nn.Module) -> nn.Module:
    memo: dict[int, Any] = {}
    for own in module.modules():
        for hook in own._forward_pre_hooks.values():
            if isinstance(hook, (WeightNorm, SpectralNorm)):  # what it computes is no leaf, and torch refuses to copy it
                tensor = getattr(own, hook.name)
                memo[id(tensor)] = tensor.detach().clone()
    try:
        made: nn.Module = copy.deepcopy(module, memo)
    except Exception as error:
        raise ModelError(f"the module cannot be copied: {type(error).__name__}: {error}") from None
    return made


@attrs.frozen(eq=False)
class _Place:
    """A place in the copy, the module that stands there, and the one that may take it; no key for the copy itself."""

    parent: str
    key: str
    old: nn.Module
    new: nn.Module


class _Making:
    """One conversion under way: the given module is read, a copy of it is changed."""

    def __init__(
        self,
        module: nn.Module,
        arguments: tuple[Any, ...],
        only: str | Iterable[str],
        exclude: str | Iterable[str],
        fold: bool,
        setting: Setting,
        progress: Callable[[str], None],
    ) -> None:
        self.given, self.arguments, self.fold, self.setting, self.progress = module, arguments, fold, setting, progress
        self.module = _copied(module)
        self.modes = [(own, own.training) for own in self.module.modules()]
        self.module.eval()
        self.census = Census(module)
        self.left_out = Names(self.census, only, exclude)
        self.shapes: dict[int, Counter[tuple[int, ...]]] = {}
        self.choices: dict[tuple[Layer, tuple[int, ...]], Choice] = {}
        self.places: dict[int, list[_Place]] = {}

    def answer(self) -> FastestConversion:
        """Watches the example, chooses layer by layer, and races the whole; what it is not faster with is put back."""
        found = self._sites()
        self._watch({id(run.members[0]): self._copy_of(run.members[0]) for _, stretches in found for run in stretches})
        layers = tuple(self._site(place, core, stretches) for place, (core, stretches) in enumerate(found))
        settled = self._settled(layers)
        layers = tuple(
            layer
            if layer.status != FASTER or place in settled.kept
            else attrs.evolve(layer, status=PUT_BACK, reason=put_back(settled, place))
            for place, layer in enumerate(layers)
        )
        for own, mode in self.modes:
            own.training = mode
        return FastestConversion(
            module=self.module, layers=layers, before=settled.before, after=settled.after, whole=settled.whole, control=settled.control
        )

    def _copy_of(self, own: nn.Module) -> nn.Module:
        name = self.census.name(own)
        return self.module.get_submodule(name) if name else self.module

    def _sites(self) -> list[tuple[nn.Module, tuple[Run, ...]]]:
        """Every layer with its stretches, the longest first."""
        found: dict[int, tuple[nn.Module, list[Run]]] = {}
        for form in CONCERNED:
            for core, stretches in runs(self.census, form):
                own = found.setdefault(id(core), (core, []))[1]
                own += [run for run in stretches if all(run.members != known.members for known in own)]
        return [(core, tuple(sorted(own, key=lambda run: -len(run.members)))) for core, own in found.values()]

    def _watch(self, first: dict[int, nn.Module]) -> None:
        """Runs the example, and notes what the layers receive."""

        def note(key: int, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                self.shapes.setdefault(key, Counter())[tuple(inputs[0].shape)] += 1

        hooks = [module.register_forward_pre_hook(lambda _, inputs, key=key: note(key, inputs)) for key, module in first.items()]
        try:
            with torch.no_grad():
                self.module(*self.arguments)
        except Exception as error:
            lines = str(error).splitlines()
            raise ModelError(f"the module does not run on the example: {type(error).__name__}: {lines[0] if lines else ''}") from error
        finally:
            for hook in hooks:
                hook.remove()

    def _site(self, place: int, core: nn.Module, stretches: Sequence[Run]) -> Site:
        names = tuple(self.census.names[id(core)])
        site = Site(name=names[0], names=names, source=type(core).__name__, status=REFUSED)
        reason = self.left_out(core)
        if reason is not None:
            return attrs.evolve(site, source=self._shown(stretches[0]), status=LEFT_OUT, reason=reason)
        tried = []
        for run in stretches:
            attempt = self._attempt(place, run, attrs.evolve(site, source=self._shown(run)))
            if attempt.choice is not None:
                return attempt
            tried.append(attempt)
        return tried[0]

    def _shown(self, run: Run) -> str:
        try:
            layers = Sequential(describe(run, self.census))
        except (ModelError, LayerError):
            return type(run.core).__name__
        return format_layer(layers, layers.axes) if layers.axes else type(run.core).__name__

    def _attempt(self, place: int, run: Run, site: Site) -> Site:
        try:
            layers = Sequential(describe(run, self.census))
            refuse(run, self.census, tie=False, fold=self.fold)
            for member in run.members:
                _refuse_hooks(member)
            seen = self.shapes.get(id(run.members[0]))
            if not seen:
                return attrs.evolve(site, status=UNUSED, reason="the example does not run through it")
            run = self._copied_run(run)
            if self.fold:
                _fold(run.core)
            shape = seen.most_common(1)[0][0]
            batched = shape if len(shape) == (layers.axes or 0) + 2 else (1, *shape)
            self.progress(f"{site.name or 'the module'}: {site.source}")
            choice = self._chosen(layers, run, batched)
        except (ModelError, LayerError, OutsideFragment) as error:
            return attrs.evolve(site, reason=str(error))
        site = attrs.evolve(site, shape=shape, choice=choice, status=KEPT if choice.route is None else FASTER)
        if choice.route is not None:
            self.places[place] = self._replacement(run, choice, site.names)
        return site

    def _copied_run(self, run: Run) -> Run:
        """The same stretch in the copy."""
        return attrs.evolve(run, core=self._copy_of(run.core), members=tuple(self._copy_of(member) for member in run.members))

    def _chosen(self, layers: Layer, run: Run, shape: tuple[int, ...]) -> Choice:
        question = (layers, shape)
        if question not in self.choices:
            self.choices[question] = choose(layers, run.members, shape, self.setting, lambda text: self.progress(f"  {text}"))
        return self.choices[question]

    def _replacement(self, run: Run, choice: Choice, names: Sequence[str]) -> list[_Place]:
        """The places of a stretch in the copy, with what stands there and what comes; for what is alone, all of its places."""
        made = Fastest(run.members, run.core, choice.route, choice.source)
        if run.parent is not None:
            news = [made if member is run.core else nn.Identity().eval() for member in run.members]
            return [_Place(run.parent, key, old, new) for key, old, new in zip(run.keys, run.members, news, strict=True)]
        return [_Place(*_split(name), run.core, made) for name in names]

    def _put(self, place: _Place, module: nn.Module) -> None:
        if not place.key:
            self.module = module
            return
        parent = self.module.get_submodule(place.parent) if place.parent else self.module
        parent._modules[place.key] = module

    def _with(self, kept: frozenset[int]) -> None:
        """Puts the new layers in at these sites, and the given ones everywhere else."""
        for site, places in self.places.items():
            for place in places:
                self._put(place, place.new if site in kept else place.old)

    def _settled(self, layers: Sequence[Site]) -> Settled:
        """Races the whole in evaluation mode, and puts back what it is not faster with."""
        modes = {own: own.training for own in self.given.modules()}
        device = next((own.device.type for own in self.given.parameters()), "cpu")
        found = [place for place, layer in enumerate(layers) if layer.status == FASTER]

        def made(kept: frozenset[int]) -> Callable[[], object]:
            self._with(frozenset(found[place] for place in kept))
            return lambda: self.module(*self.arguments)

        self.given.eval()
        try:
            with torch.no_grad():
                settled = settle(
                    lambda: self.given(*self.arguments),
                    made,
                    [layers[place].saved for place in found],
                    self.setting.seconds,
                    device,
                    clock=self.setting.clock,
                    progress=self.progress,
                )
        finally:
            for own, mode in modes.items():
                own.training = mode
        attempts = tuple(attrs.evolve(tried, kept=frozenset(found[place] for place in tried.kept)) for tried in settled.attempts)
        return attrs.evolve(settled, kept=frozenset(found[place] for place in settled.kept), attempts=attempts)


def _split(name: str) -> tuple[str, str]:
    parent, _, key = name.rpartition(".")
    return parent, key


def _refuse_hooks(member: nn.Module) -> None:
    norms = (WeightNorm, SpectralNorm)
    hooks: Iterator[Any] = (hook for table in (member._forward_pre_hooks, member._forward_hooks) for hook in table.values())
    if any(not isinstance(hook, norms) for hook in hooks):
        raise ModelError(f"{type(member).__name__} has a forward hook, which the fast path would not call. Remove the hook.")


def _fold(core: nn.Module) -> None:
    """Drops parametrizations, and keeps the weights that they make."""
    for hook in list(core._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(core, hook.name)
        elif isinstance(hook, SpectralNorm):
            nn.utils.remove_spectral_norm(core, hook.name)
    if not parametrize.is_parametrized(core):
        return
    values = {name: effective(core, name).detach().clone() for name in core.parametrizations}
    core.__class__ = parametrize.type_before_parametrizations(core)  # the class is shared with the given layer: it must stay as it is
    del core._modules["parametrizations"]
    for name, value in values.items():
        core.register_parameter(name, nn.Parameter(value))

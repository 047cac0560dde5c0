"""A module with its layers rewritten, and what was done to each of them.

Owns: `convert_module`.
Must not know: formulas of forms, expressions, files.

Every stretch of layers is decided once for its hyper-parameters (`symconv.convert.layer`), and its proof serves all layers that have them.
"""

from __future__ import annotations

import copy
import difflib
import fnmatch
import time
from collections.abc import Iterable
from typing import Any

import attrs
import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from symconv.convert.choice import choose
from symconv.convert.constraints import Constraints
from symconv.convert.conversion import Conversion
from symconv.convert.forms import FORMS
from symconv.convert.layer import REPLACES, convert_layer
from symconv.convert.memory import Memory
from symconv.convert.torch_modules.checkpoint import Rule, rules_of
from symconv.convert.torch_modules.moving import Move, bias_move, kernel_move
from symconv.convert.torch_modules.record import CONVERTED, LEFT_OUT, NO, REFUSED, UNKNOWN, LayerChange, ModuleConversion
from symconv.convert.torch_modules.refusals import describe, refuse, require_values
from symconv.convert.torch_modules.replacement import Rewritten, build
from symconv.convert.torch_modules.sites import Census, Run, runs
from symconv.convert.torch_modules.tying import Memo, moved, tied
from symconv.errors import LayerError, ModelError, OutsideFragment
from symconv.frontends.torch_modules import effective
from symconv.layers import Layer, Sequential, input_channels
from symconv.layers.expression import format_layer
from symconv.operators.budget import DEFAULT_SECONDS

WHOLE = "`{}` is run as a whole: its members are not called one by one"


def convert_module(
    module: nn.Module,
    to: str,
    *,
    only: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    tie: bool = False,
    fold: bool = False,
    target: str | Iterable[str] = (),
    common_extents: bool = False,
    budget: float = DEFAULT_SECONDS,
    presburger: bool = True,
) -> ModuleConversion:
    """A new module in which every layer that has the form `to` is rewritten, with its weights.

    Args:
        module: any nn.Module; it is left as it was.
        to: "lr-shuffle", "transposed", "zero-insertion" or "unshuffle".
        only, exclude: shell patterns of dotted names, such as "decoder.*".
        tie: keep the given parameters, and compute the converted ones from them at every step; training stays in the given class.
        fold: for parametrized weights (weight_norm, ...): keep the weight that they make, without the parametrization.
        target: what the target cannot run, such as "max-stride=2,no-groups" (see `symconv convert --target`); the cheapest spelling that
            keeps it is taken.
        common_extents: whether a form that accepts fewer extents than the layer will do ("unshuffle" takes divisible ones only).
        budget: seconds for all decisions; what is not decided by then is `unknown`, and stays as it is.
        presburger: whether Z3 decides the inclusions again, with symbolic extents.

    Returns:
        A conversion; `.module` is the new module, `.layers` says what was done to each layer and why not to others.

    Raises:
        UsageError: an unknown form or constraint.
        ModelError: no nn.Module, a pattern that names nothing, or a module that cannot be copied.
    """
    if not isinstance(module, nn.Module):
        raise ModelError(f"an nn.Module is needed; found {type(module).__name__}.")
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError("the module is compiled by TorchScript, and its layers cannot be replaced. Convert it before it is compiled.")
    if to not in FORMS:
        raise LayerError(f"`to` must be one of {', '.join(map(repr, FORMS))}; found {to!r}.")
    if tie and fold:
        raise LayerError("`tie` keeps a parametrization and `fold` drops it; give one of the two.")
    census = Census(module)
    chosen = _Names(census, only, exclude)
    asked = Constraints.parse((target,) if isinstance(target, str) else tuple(target))
    work = _Rewriting(
        census, to, asked, tie=tie, fold=fold, common_extents=common_extents, deadline=time.monotonic() + budget, presburger=presburger
    )
    layers = tuple(work.layer(core, found, chosen(core)) for core, found in runs(census, to))
    made = work.copied(module)
    counts = (_count(module), _count(made))
    return ModuleConversion(module=made, to=to, layers=layers, tie=tie, parameters=counts, rules=tuple(work.rules))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if not nn.parameter.is_lazy(parameter))


def _narrower(conversion: Conversion) -> bool:
    """Whether the converted layer rejects extents that the given one accepts."""
    return conversion.verdict is None or conversion.verdict.domain not in REPLACES


def _fewer(conversion: Conversion) -> str:
    extents = () if conversion.verdict is None else conversion.verdict.domain_extents or ()
    return (
        f"{conversion.target} does the same, but rejects extents that the layer accepts, such as {list(extents)}. "
        "If they do not occur, allow it with common_extents=True (--common-extents)."
    )


class _Names:
    """Which layers were asked for."""

    def __init__(self, census: Census, only: str | Iterable[str], exclude: str | Iterable[str]) -> None:
        self.census = census
        self.only, self.exclude = self._patterns("only", only), self._patterns("exclude", exclude)

    def _patterns(self, option: str, given: str | Iterable[str]) -> tuple[str, ...]:
        patterns = (given,) if isinstance(given, str) else tuple(given)
        names = [name for found in self.census.names.values() for name in found]
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in names):
                close = difflib.get_close_matches(pattern, names, n=2)
                hint = f" Did you mean {' or '.join(f'`{name}`' for name in close)}?" if close else ""
                raise ModelError(f"`{option}` pattern {pattern!r} matches no submodule.{hint}")
        return patterns

    def __call__(self, module: nn.Module) -> str | None:
        """Why a layer is left out, or None."""
        names = self.census.names[id(module)]
        if self.only and not _match(names, self.only):
            return "`only` does not name it"
        return "`exclude` names it" if _match(names, self.exclude) else None


def _match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


@attrs.frozen(eq=False)
class _Plan:
    """A decision, and how its weights move."""

    conversion: Conversion
    kernel: Move | None = None
    bias: Move | None = None


class _Rewriting:
    """One conversion under way."""

    def __init__(
        self,
        census: Census,
        to: str,
        constraints: Constraints,
        *,
        tie: bool,
        fold: bool,
        common_extents: bool,
        deadline: float,
        presburger: bool,
    ) -> None:
        self.common_extents = common_extents
        self.census, self.to, self.constraints, self.tie, self.fold = census, to, constraints, tie, fold
        self.memory = Memory()
        self.deadline, self.presburger = deadline, presburger
        self.plans: dict[tuple[Layer, ...], _Plan] = {}
        self.memo: Memo = {}
        self.dropped: list[tuple[str, str, bool]] = []
        self.rules: list[Rule] = []
        self.kept = [*census.modules.values()]  # ids in the memo stay those of living objects

    def layer(self, core: nn.Module, found: tuple[Run, ...], left_out: str | None) -> LayerChange:
        """Replaces one layer by the first of its stretches that has the form."""
        names = tuple(self.census.names[id(core)])
        if left_out is not None:
            return LayerChange(name=names[0], names=names, before=self._shown(found[0]), status=LEFT_OUT, reason=left_out)
        tried = []
        for run in found:
            change = self._attempt(run, names)
            if change.status == CONVERTED:
                return change
            tried.append(change)
        return tried[0]

    def _attempt(self, run: Run, names: tuple[str, ...]) -> LayerChange:
        change = LayerChange(name=names[0], names=names, before=self._shown(run), status=REFUSED)
        try:
            layers = describe(run, self.census)
            plan = self._plan(layers)
            if plan.conversion.target_layer is None:
                status, _, reason = (plan.conversion.reason or "unknown: not decided").partition(": ")
                return attrs.evolve(change, status=NO if status == "no" else UNKNOWN, reason=reason, conversion=plan.conversion)
            if not self.common_extents and _narrower(plan.conversion):
                return attrs.evolve(change, status=NO, reason=_fewer(plan.conversion), conversion=plan.conversion)
            refuse(run, self.census, tie=self.tie, fold=self.fold)
            self._replace(run, plan)
        except (ModelError, LayerError, OutsideFragment) as error:
            return attrs.evolve(change, reason=str(error))
        return attrs.evolve(
            change,
            after=plan.conversion.target,
            status=CONVERTED,
            conversion=plan.conversion,
            assumptions=() if run.alone else (WHOLE.format(run.parent or "the module"),),
            exact=plan.kernel is None or plan.kernel.moves_only,
        )

    def _shown(self, run: Run) -> str:
        try:
            layers = describe(run, self.census)
        except (ModelError, LayerError):
            return type(run.core).__name__
        axes = Sequential(layers).axes
        return format_layer(Sequential(layers), axes) if axes else type(run.core).__name__

    def _plan(self, layers: tuple[Layer, ...]) -> _Plan:
        if layers not in self.plans:
            conversion = self._decided(layers, max(0.0, self.deadline - time.monotonic()))
            move = conversion.reshuffle
            known = (None, None) if conversion.target is None or move is None else (kernel_move(move), bias_move(move))
            self.plans[layers] = _Plan(conversion, *known)
        return self.plans[layers]

    def _decided(self, layers: tuple[Layer, ...], seconds: float) -> Conversion:
        if not self.constraints.words:
            return convert_layer(Sequential(layers), self.to, budget=seconds, presburger=self.presburger)
        source, channels = Sequential(layers).bind(Sequential(layers).axes or 0), input_channels(layers)
        assert channels is not None, "a convolution says how many channels it has"
        found = choose(source, channels, self.to, self.constraints, phase_major=False, seconds=seconds, memory=self.memory)
        given, made = found.texts
        return Conversion(
            source=given,
            to=self.to,
            target=made or None,
            target_layer=None if found.target is None else Sequential(found.target),
            verdict=found.verdict,
            reshuffle=found.moves,
            before=found.before,
            after=found.after,
            reason=found.reason or None,
        )

    def _replace(self, run: Run, plan: _Plan) -> None:
        """Builds what stands in for a run, and remembers it for the copy."""
        core, conversion = run.core, plan.conversion
        target = conversion.target_layer
        assert target is not None, "only what has a target is replaced"
        if plan.kernel is None:
            raise ModelError("its weights cannot be moved: the reshuffle is unknown")
        made = build(target, target.axes or 0, pixel_shuffle=self.constraints.depth_to_space)
        self._fill(core, made.conv, plan)
        self._settle(made, core)
        made.face(core if run.alone else None, conversion.source)
        self.memo[id(core)] = made
        if run.parent is not None:
            self.dropped += [
                (run.parent, key, member.training) for key, member in zip(run.keys, run.members, strict=True) if member is not core
            ]
        for name in self.census.names[id(core)]:
            self.rules += rules_of(core, name, plan.kernel, plan.bias, tie=self.tie)

    def _fill(self, core: nn.Module, conv: Any, plan: _Plan) -> None:
        for name, move in (("weight", plan.kernel), ("bias", plan.bias)):
            if move is None:
                continue
            given = effective(core, name, self.census.name(core) or "module")
            require_values(core, name, given, move.source_shape, self.census)
            if self.tie:
                tied(conv, name, core, move, self.memo)
            else:
                parts = [parameter for key, parameter in core.named_parameters() if name in key]
                moved(conv, name, given, move, any(part.requires_grad for part in parts))

    def _settle(self, made: Rewritten, core: nn.Module) -> None:
        """The given layer's mode, but for parametrizations, which keep their own."""
        for part in (made, *made.children()):
            part.training = core.training

    def copied(self, module: nn.Module) -> nn.Module:
        """The whole module, copied with the replacements in their places."""
        for own in self.census.modules.values():
            for hook in own._forward_pre_hooks.values():
                if isinstance(hook, (WeightNorm, SpectralNorm)) and id(own) not in self.memo:
                    tensor = getattr(own, hook.name)  # computed, so torch refuses to copy it; the hook computes it again
                    self.memo[id(tensor)] = tensor.detach().clone()
        try:
            made: nn.Module = copy.deepcopy(module, self.memo)
        except Exception as error:
            raise ModelError(f"the module cannot be copied: {type(error).__name__}: {error}") from None
        for parent, key, training in self.dropped:
            made.get_submodule(parent)._modules[key] = nn.Identity().train(training)
        self._require_replaced(made)
        return made

    def _require_replaced(self, made: nn.Module) -> None:
        for key, module in self.census.modules.items():
            for name in self.census.names[key] if key in self.memo and isinstance(self.memo[key], Rewritten) else ():
                if made.get_submodule(name) is not self.memo[key]:
                    raise ModelError(f"`{name}` ({type(module).__name__}) cannot be replaced: a module above it makes its own copies.")

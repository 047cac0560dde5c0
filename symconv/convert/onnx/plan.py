"""What will be done to a model: which layers become what, and why the others stay.

Owns: `plan`, `Plan`, `Change`, `Stay`, `Request`; how a layer's choice becomes a change.
Must not know: how files are written, what is printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

import attrs

from symconv.convert.choice import BACK, DROP_IN, Choice, choose
from symconv.convert.constraints import Constraints
from symconv.convert.memory import Memory
from symconv.convert.onnx.bits import Transfer
from symconv.convert.onnx.members import member
from symconv.convert.onnx.stretches import Site, sites
from symconv.convert.onnx.weights import Held, held_by
from symconv.errors import UsageError
from symconv.frontends.onnx.chains import Stretch
from symconv.frontends.onnx.graph import OnnxModel
from symconv.layers import Conv, Sequential, input_channels
from symconv.layers.expression import format_layer
from symconv.operators.domain import domain
from symconv.prove.stage import has_bias, words_of

MAJOR_BEFORE = 11
"""DepthToSpace has no mode before this operator set; it is DCR there."""
LEFT_OUT, ALREADY = "left out by --only or --except", "it has this form already"
KEPT = {LEFT_OUT: "kept", ALREADY: "kept"}


@attrs.frozen
class Request:
    """What is asked for.

    Args:
        to: the form.
        constraints: what the target asks of the layers that are written.
        only, leave: patterns of node names; no `only` means all.
        common_extents: whether a form that accepts fewer extents will do.
        seconds: budget for each layer.
    """

    to: str
    constraints: Constraints = attrs.field(factory=Constraints)
    only: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    common_extents: bool = False
    seconds: float = 60.0

    def wants(self, name: str) -> bool:
        """Whether a node is asked for."""
        wanted = not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)
        return wanted and not any(fnmatchcase(name, pattern) for pattern in self.leave)


@attrs.frozen(eq=False)
class Change:
    """A layer that will be rewritten.

    Args:
        name, kind: node and operator.
        stretch: the nodes.
        choice: what becomes of them, certified.
        kernel, bias: the weights before.
        kernel_moves, bias_moves: where they go ("back": where they come from).
        form: what it is written as.
        notes: what to know about it.
        stepwise: whether shuffles are written axis by axis.
    """

    name: str
    kind: str
    stretch: Stretch
    choice: Choice
    kernel: Held
    bias: Held | None
    kernel_moves: Transfer
    bias_moves: Transfer | None
    form: str
    notes: tuple[str, ...] = ()
    stepwise: bool = False


@attrs.frozen
class Stay:
    """A layer that changes the sampling rate and stays.

    Args:
        name, kind: node and operator.
        status: "kept" if the form is not for it, or it was left out; "no" if it has no such form; "refused" if the model does not allow it;
            "unknown" if it was not decided.
        reason: why.
        text: its expression, "" if it has none.
    """

    name: str
    kind: str
    status: str
    reason: str
    text: str = ""


@attrs.frozen(eq=False)
class Plan:
    """What will be done to a model, in the order of its nodes."""

    model: OnnxModel
    request: Request
    changes: tuple[Change, ...]
    stays: tuple[Stay, ...]


Progress = Callable[[int, int, str], None]
"""Called with how many are done, of how many, and the name of the next."""


def plan(model: OnnxModel, request: Request, *, memory: Memory | None = None, progress: Progress = lambda *_: None) -> Plan:
    """Decides for every layer what becomes of it.

    Raises:
        UsageError: a pattern of `only` or `leave` matches no node.
    """
    model = model.without_defaults()
    check_patterns(model, (*request.only, *request.leave))
    memory = memory or Memory()
    named = frozenset(pattern for pattern in request.only if not re.search(r"[*?\[]", pattern))
    found = sites(model, request.to, named)
    changes, stays = list[Change](), list[Stay]()
    for position, site in enumerate(found):
        progress(position, len(found), site.name)
        result = _decided(model, site, request, memory)
        if isinstance(result, Change):
            changes.append(result)
        else:
            stays.append(result)
    progress(len(found), len(found), "")
    return Plan(model, request, tuple(changes), tuple(stays))


def check_patterns(model: OnnxModel, patterns: Iterable[str]) -> None:
    """Raises UsageError for a pattern that matches no node."""
    names = [node.name for node in model.nodes]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            import difflib

            close = difflib.get_close_matches(pattern, names[:100_000], n=3, cutoff=0.5)
            hint = f" Did you mean {', '.join(close)}?" if close else ""
            raise UsageError(f"no node of `{model.path}` has a name that matches {pattern[:80]!r}.{hint}")


def _decided(model: OnnxModel, site: Site, request: Request, memory: Memory) -> Change | Stay:
    stretch = site.stretch
    if stretch is None:
        wanted = site.meant and request.wants(site.name)
        return Stay(site.name, site.kind, "refused" if wanted else "kept", site.reason)
    try:
        return _changed(model, site, stretch, request, memory)
    except Stays as stays:
        return stay(site, stretch, str(stays))


def stay(site: Site, stretch: Stretch, reason: str) -> Stay:
    """The layer as one that stays."""
    status = KEPT.get(reason) or next((word for word in ("no", "unknown") if reason.startswith(f"{word}:")), "refused")
    return Stay(site.name, site.kind, status, reason, format_layer(Sequential(stretch.layers), stretch.axes))


class Stays(Exception):
    """Why a layer stays as it is; never reaches a user as an exception."""


def _changed(model: OnnxModel, site: Site, stretch: Stretch, request: Request, memory: Memory) -> Change:
    kernel, bias = weights_of(model, site, stretch, request)
    choice = _choice(model, stretch, kernel, bias, request, memory)
    if choice.target == stretch.layers:
        raise Stays(ALREADY)
    return change_to(model, site, stretch, choice, (kernel, bias), request, request.to)


Weights = tuple[Held, Held | None]
"""Kernel and bias."""


def weights_of(model: OnnxModel, site: Site, stretch: Stretch, request: Request) -> Weights:
    """Those of a layer that may be rewritten.

    Raises:
        Stays: it may not.
    """
    if not request.wants(site.name):
        raise Stays(LEFT_OUT)
    kernel = _held(model, stretch.kernel, "kernel")
    bias = _held(model, stretch.bias, "bias") if has_bias(stretch.layers) else None
    if bias is not None and bias.dtype != kernel.dtype:
        raise Stays(f"its bias is of type {bias.dtype} and its kernel of type {kernel.dtype}")
    _check_inner(model, stretch)
    _check_extents(model, stretch)
    return kernel, bias


def _check_extents(model: OnnxModel, stretch: Stretch) -> None:
    """Where the model fixes extents they are such as the layer accepts; else the nodes behind it have no extents at all."""
    shape: Sequence[object] = (model.shape(stretch.input) or ())[2:]
    domains = [domain(word) for word in words_of(stretch.layers, input_channels(stretch.layers) or 0, stretch.axes)]
    if len(shape) == len(domains) and any(isinstance(n, int) and n not in valid for n, valid in zip(shape, domains, strict=True)):
        raise Stays(f"the model gives it extents {[n if isinstance(n, int) else '?' for n in shape]}, which it does not accept")


def change_to(model: OnnxModel, site: Site, stretch: Stretch, choice: Choice, weights: Weights, request: Request, form: str) -> Change:
    """The change that a choice is.

    Raises:
        Stays: its weights cannot be moved, or it accepts too few extents.
    """
    assert choice.target is not None and choice.moves is not None and choice.verdict is not None, "it was chosen"
    kernel, bias = weights
    kernel_moves = Transfer.of_kernel(choice.moves)
    bias_moves = Transfer.of_bias(choice.moves) if bias is not None else None
    if kernel_moves is None or (bias is not None and bias_moves is None):
        raise Stays("no: because its weights would have to be added up, not moved")
    notes = _domain_notes(model, stretch, choice, request)
    return Change(site.name, site.kind, stretch, choice, kernel, bias, kernel_moves, bias_moves, form, notes)


def _choice(model: OnnxModel, stretch: Stretch, kernel: Held, bias: Held | None, request: Request, memory: Memory) -> Choice:
    channels = input_channels(stretch.layers)
    assert channels is not None, "a layer with taps has channels"
    if request.to == "transposed" and any(isinstance(layer, Conv) for layer in stretch.layers):
        found = member(
            stretch.layers,
            channels,
            kernel.load(),
            None if bias is None else bias.load(),
            request.constraints,
            seconds=request.seconds,
            memory=memory,
        )
        if isinstance(found, str):
            raise Stays(found)
        return found
    major = phase_major(model, request.constraints, request.to)
    choice = choose(
        Sequential(stretch.layers), channels, request.to, request.constraints, phase_major=major, seconds=request.seconds, memory=memory
    )
    if choice.target is None:
        raise Stays(choice.reason)
    return choice


def phase_major(model: OnnxModel, constraints: Constraints, to: str) -> bool:
    """Whether a form's shuffles are to be in DCR order, which DepthToSpace and SpaceToDepth have in every operator set."""
    return constraints.depth_to_space and (to == "unshuffle" or model.opset < MAJOR_BEFORE)


def _held(model: OnnxModel, name: str | None, what: str) -> Held:
    found = held_by(model, name, what)
    if isinstance(found, str):
        raise Stays(found)
    return found


def _check_inner(model: OnnxModel, stretch: Stretch) -> None:
    """Values inside the stretch must be seen by nothing outside, but for what computes sizes for it alone."""
    own = {node.index for node in stretch.nodes}
    waiting = [value for node in stretch.nodes for value in node.outputs if value and value != stretch.output]
    seen = set(waiting)
    while waiting:
        value = waiting.pop()
        if value in model.outputs:
            raise Stays(f"the value `{value}` inside it is an output of the model")
        for user in model.consumers(value):
            if user.index in own:
                continue
            if not user.outputs or user.captures or len(seen) > 1000:
                raise Stays(f"the value `{value}` inside it is used by node `{user.name}`")
            fresh = [item for item in user.outputs if item and item not in seen]
            if stretch.output in fresh or not any(map(model.consumers, user.outputs)):
                raise Stays(f"the value `{value}` inside it is used by node `{user.name}`")
            seen.update(fresh)
            waiting += fresh


def _domain_notes(model: OnnxModel, stretch: Stretch, choice: Choice, request: Request) -> tuple[str, ...]:
    """What is said of a target that accepts fewer extents; refused unless the model's extents are among them."""
    assert choice.verdict is not None and choice.target is not None, "it was chosen"
    if choice.verdict.domain in DROP_IN or choice.way == BACK:
        return ()
    shown = list(choice.verdict.domain_extents or ())
    shape: Sequence[object] = (model.shape(stretch.input) or ())[2:]
    channels = input_channels(stretch.layers) or 0
    domains = [domain(word) for word in words_of(choice.target, channels, stretch.axes)]
    if len(shape) == len(domains) and all(isinstance(n, int) and n in valid for n, valid in zip(shape, domains, strict=True)):
        return (f"accepts the model's extents {list(shape)}, but not every extent that the layer accepts, such as {shown}",)
    if request.common_extents:
        return (f"rejects extents that the layer accepts, such as {shown}",)
    raise Stays(f"no: because the form rejects extents that the layer accepts, such as {shown}; --common-extents rewrites it all the same")

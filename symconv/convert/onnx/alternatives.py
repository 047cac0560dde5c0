"""Every certified way in which each layer of a model could be written, for a choice by measurement.

Owns: `alternatives`, `Alternatives`, `Way`.
Must not know: how they are measured, files.

A way is a form in one alignment (`lr-shuffle, both`), written node by node, or with its shuffle axis by axis. The layer as it stands may be
written another way too: the same layers in other nodes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import attrs

from symconv.convert.choice import Choice, choose_member
from symconv.convert.choice import alternatives as choices
from symconv.convert.forms import FORMS
from symconv.convert.memory import Memory
from symconv.convert.onnx.emission import has_steps
from symconv.convert.onnx.members import member
from symconv.convert.onnx.plan import Change, Progress, Request, Stay, Stays, change_to, check_patterns, phase_major, stay, weights_of
from symconv.convert.onnx.stretches import MEANT, Site, sites, with_crops
from symconv.frontends.onnx.chains import Stretch, normal
from symconv.frontends.onnx.graph import OnnxModel
from symconv.layers import Conv, ConvTranspose, Layer, Sequential, Shuffle, channels_through, input_channels
from symconv.operators.domain import domain, output_extent
from symconv.prove.stage import words_of

SEEDS = ("transposed", "unshuffle", "lr-shuffle")
"""Forms whose sites are looked at: convolutions with a shuffle, strided convolutions, transposed convolutions."""
GIVEN = "given"
AS_IS, STEPWISE = "as is", "by axis"
WHY = {
    GIVEN: "the same layers",
    "lr-shuffle": "a convolution adds every sample up in one place, and its phases are moved once",
    "transposed": "each input sample is multiplied once, and nothing is moved behind it",
    "zero-insertion": "a convolution and nothing else, of which most products are with zeros",
    "unshuffle": "a convolution without a stride, of samples that are moved once",
}
BY_AXIS = "the shuffle moves the phases of one axis at a time, in long runs"
NONE = "it has no other form"
UNMET = ", and no other form keeps to the target"


@attrs.frozen(eq=False)
class Way:
    """A certified way to write a layer.

    Args:
        form: the form and its alignment, or "given" for the layer's own.
        engine: how its nodes are written.
        change: what it is as a change of the model.
    """

    form: str
    engine: str
    change: Change

    @property
    def why(self) -> str:
        """What may make it fast."""
        why = WHY[self.form.partition(",")[0].partition(" ")[0]]
        return f"{why}; {BY_AXIS}" if self.engine == STEPWISE else why


@attrs.frozen(eq=False)
class Alternatives:
    """A layer with its ways.

    Args:
        site, stretch: the layer as it stands.
        ways: without that.
        refused: (form, reason) of the forms that it has not.
        needed: why the target cannot run the layer as it stands, or "".
    """

    site: Site
    stretch: Stretch
    ways: tuple[Way, ...]
    refused: tuple[tuple[str, str], ...]
    needed: str = ""

    @property
    def name(self) -> str:
        """Of the node that stands for it."""
        return self.site.name

    @property
    def channels(self) -> int:
        """Input channels."""
        found = input_channels(self.stretch.layers)
        assert found is not None, "a layer with taps has channels"
        return found


def alternatives(
    model: OnnxModel, request: Request, *, memory: Memory | None = None, progress: Progress = lambda *_: None
) -> tuple[tuple[Alternatives, ...], tuple[Stay, ...]]:
    """The layers of a model that change the sampling rate, with their ways; and those that have none.

    Args:
        model: read without defaults that a caller may override.
        request: its form is not looked at.

    Raises:
        UsageError: a pattern of `only` or `leave` matches no node.
    """
    check_patterns(model, (*request.only, *request.leave))
    memory = memory or Memory()
    found = _sites(model, request)
    ways, stays = list[Alternatives](), list[Stay]()
    for position, site in enumerate(found):
        progress(position, len(found), site.name)
        result = _Finding(model, site, request, memory).result()
        if isinstance(result, Stay):
            stays.append(result)
        else:
            ways.append(result)
    progress(len(found), len(found), "")
    return tuple(ways), tuple(stays)


def _sites(model: OnnxModel, request: Request) -> list[Site]:
    """One site a layer, with the longest stretch that does not meet another one's; in the order of the nodes."""
    named = frozenset(pattern for pattern in request.only if not re.search(r"[*?\[]", pattern))
    groups: dict[str, list[Site]] = {}
    for form in SEEDS:
        for site in sites(model, form, named):
            groups.setdefault(site.name, []).append(attrs.evolve(site, meant=site.meant and site.kind == MEANT.get(form)))
    chosen = [max(group, key=lambda site: (len(site.stretch.nodes) if site.stretch else 0, site.meant)) for group in groups.values()]
    found, covered = list[Site](), set[int]()
    for site in sorted(chosen, key=lambda site: -len(site.stretch.nodes) if site.stretch else 0):
        stretch = None if site.stretch is None else with_crops(model, site.stretch)
        own = {node.index for node in stretch.nodes} if stretch else set()
        if stretch is None:
            if not _stands_in(model, site.name, covered):
                found.append(site)
        elif not own & covered:
            covered |= own
            found.append(attrs.evolve(site, stretch=stretch))
    place = {node.name: position for position, node in enumerate(model.nodes)}
    return sorted(found, key=lambda site: place.get(site.name, len(place)))


def _stands_in(model: OnnxModel, name: str, covered: set[int]) -> bool:
    return model.has_node(name) and model.node(name).index in covered


class _Finding:
    """The ways of one layer."""

    def __init__(self, model: OnnxModel, site: Site, request: Request, memory: Memory) -> None:
        self.model, self.site, self.request, self.memory = model, site, request, memory
        self.refused: dict[str, str] = {}

    def result(self) -> Alternatives | Stay:
        stretch = self.site.stretch
        if stretch is None:
            wanted = self.site.meant and self.request.wants(self.site.name)
            return Stay(self.site.name, self.site.kind, "refused" if wanted else "kept", self.site.reason or NONE)
        try:
            self.weights = weights_of(self.model, self.site, stretch, self.request)
        except Stays as stays:
            return stay(self.site, stretch, str(stays))
        ways = tuple(_numbered(self.written(stretch)))
        needed = self.broken(stretch)
        if not ways:
            reason = self.why_none()
            if not needed:
                return stay(self.site, stretch, reason)
            kind, _, rest = reason.partition(": ") if reason.startswith(("no: ", "unknown: ")) else ("no", "", reason)
            return stay(self.site, stretch, f"{kind}: {needed}{UNMET} ({rest})")
        return Alternatives(self.site, stretch, ways, tuple(self.refused.items()), needed)

    def why_none(self) -> str:
        """The reason that says most: what was not decided, what does not fit, or that there is nothing to try."""
        reasons = sorted(self.refused.values(), key=lambda reason: not reason.startswith("unknown:"))
        return reasons[0] if reasons else NONE

    def broken(self, stretch: Stretch) -> str:
        """Why the target cannot run the layer as it stands."""
        constraints = self.request.constraints
        faults = [what for _, what in constraints.broken_by(stretch.layers)]
        if not constraints.depth_to_space and any(node.op in ("DepthToSpace", "SpaceToDepth") for node in stretch.nodes):
            faults.append("it is written with a node that the target lacks")
        return "; ".join(faults)

    def written(self, stretch: Stretch) -> Iterator[Way]:
        """Every way, with what differs in its nodes alone after what it differs from."""
        seen = {normal(stretch.layers)}
        own = self.own(stretch)
        if own is not None and (self.broken(stretch) or self.steps(stretch, own.target or ())):
            yield from self.ways(stretch, GIVEN, own, plain=bool(self.broken(stretch)))
        strided = any(isinstance(layer, Conv) and max(layer.stride) > 1 for layer in stretch.layers)
        for form in FORMS if strided else (form for form in FORMS if form != "unshuffle"):
            for alignment, choice in self.choices(stretch, form):
                assert choice.target is not None, "it was chosen"
                if normal(choice.target) in seen or _more_taps(stretch.layers, choice):
                    continue
                seen.add(normal(choice.target))
                yield from self.ways(stretch, f"{form}, {alignment}", choice, plain=True)

    def own(self, stretch: Stretch) -> Choice | None:
        """The layer as a member of its own class."""
        if any(self.request.constraints.broken_by(stretch.layers)):
            return None
        channels = input_channels(stretch.layers) or 0
        layers = Sequential(stretch.layers)
        return choose_member(layers, channels, _as_read(stretch.layers, channels), seconds=self.request.seconds, memory=self.memory)

    def choices(self, stretch: Stretch, form: str) -> tuple[tuple[str, Choice], ...]:
        channels, request = input_channels(stretch.layers) or 0, self.request
        if form == "transposed" and any(isinstance(layer, Conv) for layer in stretch.layers):
            return self.members(stretch, channels)
        major = phase_major(self.model, request.constraints, form)
        found, reason = choices(
            Sequential(stretch.layers), channels, form, request.constraints, phase_major=major, seconds=request.seconds, memory=self.memory
        )
        if reason:
            self.refused[form] = reason
        return found

    def members(self, stretch: Stretch, channels: int) -> tuple[tuple[str, Choice], ...]:
        """The transposed convolution that a convolution with its shuffle is, where its weights allow it."""
        if not any(isinstance(layer, Shuffle) for layer in stretch.layers):
            return ()
        kernel, bias = self.weights
        held = None if bias is None else bias.load()
        found = member(
            stretch.layers, channels, kernel.load(), held, self.request.constraints, seconds=self.request.seconds, memory=self.memory
        )
        if isinstance(found, str):
            self.refused["transposed"] = found
            return ()
        return (("exact", found),)

    def ways(self, stretch: Stretch, form: str, choice: Choice, *, plain: bool) -> Iterator[Way]:
        word = form.partition(",")[0]
        try:
            change = change_to(self.model, self.site, stretch, choice, self.weights, self.request, word)
        except Stays as stays:
            self.refused[form] = str(stays)
            return
        if plain:
            yield Way(form, AS_IS, change)
        if self.steps(stretch, choice.target or ()):
            yield Way(form, STEPWISE, attrs.evolve(change, stepwise=True))

    def steps(self, stretch: Stretch, chain: tuple[Layer, ...]) -> bool:
        """Whether a chain has a shuffle that can be written axis by axis, and is read as one shuffle then.

        Where an axis is known to have one sample, a part of the steps is a shuffle already.
        """
        channels = input_channels(chain) or input_channels(stretch.layers) or 0
        extents = list((self.model.shape(stretch.input) or ())[2:])
        for layer, inward in zip(chain, channels_through(chain, channels) if chain else (), strict=False):
            if isinstance(layer, Shuffle) and has_steps(_factors(layer), layer.order):
                return 1 not in extents
            words = words_of((layer,), inward, stretch.axes)
            extents = [
                output_extent(word, n) if isinstance(n, int) and n in domain(word) else None
                for word, n in zip(words, extents, strict=False)
            ]
        return False


def _factors(layer: Shuffle) -> tuple[int, ...]:
    assert isinstance(layer.factor, tuple), "chains are bound"
    return layer.factor


def _as_read(chain: tuple[Layer, ...], channels: int) -> tuple[Layer, ...]:
    """The chain as it is read where its shuffle is written with Reshape and Transpose: into one channel, both orders are one."""
    counts = channels_through(chain, channels)
    return tuple(
        attrs.evolve(layer, order="CRD") if isinstance(layer, Shuffle) and inward == math.prod(_factors(layer)) else layer
        for layer, inward in zip(chain, counts, strict=False)
    )


def _more_taps(given: tuple[Layer, ...], choice: Choice) -> bool:
    """Whether a transposed convolution only becomes one with taps of zero."""
    both = (given, choice.target or ())
    transposed = all(any(isinstance(layer, ConvTranspose) for layer in chain) for chain in both)
    return transposed and choice.after is not None and choice.after.multiplications > choice.before.multiplications


def _numbered(ways: Iterator[Way]) -> Iterator[Way]:
    """The ways with names that differ."""
    seen = Counter[tuple[str, str]]()
    for way in ways:
        seen[way.form, way.engine] += 1
        count = seen[way.form, way.engine]
        yield way if count == 1 else attrs.evolve(way, form=f"{way.form} {count}")


__all__ = ["AS_IS", "GIVEN", "STEPWISE", "Alternatives", "Way", "alternatives"]

"""The whole certificate: chains, stages, domain, claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .extents import Extents, common, compare_domains
from .faults import Budget, Fault, Malformed, Rejected, need
from .layers import Layer
from .records import Certificate, Stage, certificate
from .stages import Inclusions, Side, check_stage

RELATIONS = {(True, True): "equal", (True, False): "left_in_right", (False, True): "right_in_left", (False, False): "incomparable"}


@dataclass(frozen=True)
class Result:
    """Whether a certificate is accepted; if not, why and where in it; if so, the claim that now holds."""

    accepted: bool
    reason: str
    claim: dict[str, Any] | None
    place: str


def check_certificate(record: dict[str, Any]) -> Result:
    """Checks a certificate as JSON has it.

    Raises:
        Malformed: it is not in the format.
    """
    found = certificate(record)
    try:
        _check(found, Budget())
    except Malformed:
        raise
    except Fault as fault:
        return Result(False, fault.reason, None, fault.place)
    return Result(True, "", found.claim, "")


def _check(found: Certificate, budget: Budget) -> None:
    chains: list[list[Extents]] = []
    channels: list[list[int]] = []
    for name, layers in (("left", found.left), ("right", found.right)):
        channels.append(_channels(layers, found.in_channels, found.axes, name))
        chains.append([Extents(layers, axis) for axis in range(found.axes)])
    claimed = found.claim
    shared = _check_domain(claimed["domain"], chains[0], chains[1], budget)
    if found.stages is None:
        expected = _shapes(found, chains, channels)
    else:
        need(shared, "no extent is valid for both sides")
        established = _stages(found, found.stages, channels, budget)
        expected = _one(established[0]) if len(established) == 1 else _several(established)
    for name, value in expected.items():
        if claimed[name] != value or type(claimed[name]) is not type(value):
            raise Rejected(f"is {value}").within(f"claim.{name}")


def _channels(layers: Sequence[Layer], given: int, axes: int, name: str) -> list[int]:
    """The channels before each layer and behind the last, every layer being legal."""
    channels = [given]
    for at, layer in enumerate(layers):
        try:
            channels.append(layer.channels(channels[-1], axes))
        except Fault as fault:
            raise fault.within(f"{name}[{at}]") from None
    return channels


def _check_domain(domain: dict[str, Any], left: Sequence[Extents], right: Sequence[Extents], budget: Budget) -> bool:
    """Compares the valid extents, as products over axes; whether there are common ones."""
    found = []
    for one, other in zip(left, right, strict=True):
        _, first, second = common(one, other, budget)
        need(any(first) and any(second), "one side accepts no extent at all")
        found.append(compare_domains(first, second))
    forth, back, shared = (all(facts) for facts in zip(*found, strict=True))
    relation = (
        "same" if forth and back else "right_wider" if forth else "left_wider" if back else "overlapping" if shared else "disjoint"
    )
    try:
        need(domain["relation"] == relation, f"the domain is {relation}")
        extents = domain["extents"]
        need((extents is None) == (relation == "same"), "extents are given exactly if the domains differ")
        if extents is not None:
            need(len(extents) == len(left), "one extent per axis is needed")
            valid = [all(chain.valid(n) for chain, n in zip(chains, extents, strict=True)) for chains in (left, right)]
            allowed = {"left_wider": [[True, False]], "right_wider": [[False, True]], "disjoint": [[True, False]]}
            need(valid in allowed.get(relation, [[True, False], [False, True]]), "the extents do not show the difference")
    except Fault as fault:
        raise fault.within("claim.domain") from None
    return shared


def _shapes(found: Certificate, chains: Sequence[Sequence[Extents]], channels: Sequence[Sequence[int]]) -> dict[str, Any]:
    """The claim of two chains whose outputs differ in shape."""
    extents = found.shapes or ()
    more, rates = channels[0][-1] != channels[1][-1], [[(chain.period, chain.shift) for chain in side] for side in chains]
    if extents:
        need(len(extents) == found.axes, "one extent per axis is needed")
        both = [(left, right, n) for left, right, n in zip(*chains, extents, strict=True)]
        need(all(left.valid(n) and right.valid(n) for left, right, n in both), "the extents are not valid for both sides")
        need(any(left.all(n)[-1] != right.all(n)[-1] for left, right, n in both), "the output extents do not differ")
    else:
        need(more, "the output channels do not differ")
    interior = found.claim["interior_relation"]
    if interior is not None and not more and rates[0] == rates[1]:
        interior = None
    differ = dict.fromkeys(("relation", "linear_relation"), "shapes_differ")
    interior = None if interior is None else "shapes_differ"
    return {**differ, "interior_relation": interior, "left_in_right": False, "right_in_left": False, "dimension": None}


def _stages(found: Certificate, stages: Sequence[Stage], channels: Sequence[Sequence[int]], budget: Budget) -> list[Inclusions]:
    """What each stage establishes, after the stages were found to cut both chains rightly."""
    nonlinear = [[layer for layer in layers if layer.nonlinear] for layers in (found.left, found.right)]
    need(nonlinear[0] == nonlinear[1], "the nonlinearities differ")
    need(len(stages) == len(nonlinear[0]) + 1, "there must be one stage more than nonlinearities")
    for name, layers, lists in (("left", found.left, [s.left for s in stages]), ("right", found.right, [s.right for s in stages])):
        _check_cut(name, layers, lists)
    established = []
    now = [found.in_channels, found.in_channels]
    for at, stage in enumerate(stages):
        try:
            sides = []
            for k, (layers, indices) in enumerate(((found.left, stage.left), (found.right, stage.right))):
                own = [layers[index] for index in indices]
                sides.append(Side(own, _channels(own, now[k], found.axes, "layers"), found.axes))
                now[k] = sides[k].channels[-1]
            established.append(check_stage(stage, sides[0], sides[1], budget))
        except Fault as fault:
            raise fault.within(f"stages[{at}]") from None
    return established


def _check_cut(name: str, layers: Sequence[Layer], stages: Sequence[Sequence[int]]) -> None:
    """The stages list every linear layer once, in order; one that left its place commutes with all that it crossed."""
    linear = [at for at, layer in enumerate(layers) if not layer.nonlinear]
    need([index for stage in stages for index in stage] == linear, f"the stages do not list the {name} layers once and in order")
    functions = [layer for layer in layers if layer.nonlinear]
    for stands, stage in enumerate(stages):
        for index in stage:
            belongs = sum(layer.nonlinear for layer in layers[:index])
            crossed = functions[min(stands, belongs) : max(stands, belongs)]
            need(all(layers[index].commutes(f) for f in crossed), f"{name}[{index}] does not commute with the nonlinearities that it crosses")


def _one(found: Inclusions) -> dict[str, Any]:
    """The claim of a single stage."""
    left, right, both = found.dimension
    return {
        "relation": RELATIONS[found.whole],
        "linear_relation": RELATIONS[found.linear],
        "interior_relation": None if found.interior is None else RELATIONS[found.interior],
        "left_in_right": found.whole[0],
        "right_in_left": found.whole[1],
        "dimension": {"left": left, "right": right, "intersection": both},
    }


def _several(found: Sequence[Inclusions]) -> dict[str, Any]:
    """The claim of several stages: inclusion where every stage has it, never strictness."""

    def relation(pick: Callable[[Inclusions], tuple[bool, bool]]) -> str:
        return "equal" if all(pick(stage) == (True, True) for stage in found) else "unknown"

    forth, back = (all(stage.whole[side] for stage in found) for side in (0, 1))
    interiors = [stage.interior for stage in found if stage.interior is not None]
    both = [stage.dimension[2] for stage in found if stage.dimension[2] is not None]
    equal = forth and back
    return {
        "relation": "equal" if equal else "unknown",
        "linear_relation": relation(lambda stage: stage.linear),
        "interior_relation": None if len(interiors) < len(found) else "equal" if set(interiors) == {(True, True)} else "unknown",
        "left_in_right": forth or None,
        "right_in_left": back or None,
        "dimension": {
            "left": sum(stage.dimension[0] for stage in found),
            "right": sum(stage.dimension[1] for stage in found),
            "intersection": sum(both) if equal and len(both) == len(found) else None,
        },
    }

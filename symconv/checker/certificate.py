"""The whole certificate: legal chains, the stages that they are cut into, domains, and the claim that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import lcm
from typing import Any

from .extents import Chain
from .faults import Budget, Rejected, at, need
from .grammar import WEIGHTS, certificate, weights_certificate
from .layers import Layer
from .rows import Side
from .stages import Both, Established, Stage
from .weights import Network, Values, exact_values, stage_distance

DISJOINT = "no extent is valid for both sides"
RELATION = {(True, True): "equal", (True, False): "left_in_right", (False, True): "right_in_left", (False, False): "incomparable"}


@dataclass(frozen=True)
class Result:
    """Whether a certificate is accepted: then its claim holds; otherwise why not, and where in it."""

    accepted: bool
    reason: str
    claim: dict[str, Any] | None
    place: str


def check_certificate(obj: dict[str, Any]) -> Result:
    """Checks a certificate, given as the object that its JSON text spells.

    Raises:
        Malformed: it is not in the format.
    """
    weighted = type(obj) is dict and obj.get("format") == WEIGHTS
    found = weights_certificate(obj) if weighted else certificate(obj)
    try:
        expected = _weighed(found, Budget()) if weighted else _expected(found, Budget())
        for name, value in expected.items():
            with at(f"claim.{name}"):
                need(found["claim"][name] == value, f"is {value}")
    except Rejected as fault:
        return Result(False, str(fault), None, fault.place)
    return Result(True, "", obj["claim"], "")


def _expected(found: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """What the claim has to say, but for the domain, which is checked here."""
    axes, names = range(found["axes"]), ("left", "right")
    channels = [_channels(name, found[name], found["in_channels"]) for name in names]
    chains = [[Chain(found[name], axis) for axis in axes] for name in names]
    with at("claim.domain"):
        shared = _check_domain(found["claim"]["domain"], chains, budget)
    given = found.get("extents")
    _check_given(given, found, chains)
    if "shapes" in found:
        with at("shapes"):
            need(given is None or found["shapes"]["extents"] in ((), given), "only the given extents count")
            return _shapes(found["shapes"]["extents"], chains, channels[0][-1] != channels[1][-1], found["claim"]["interior_relation"])
    need(shared, DISJOINT)
    f, g = ([layer for layer in found[name] if layer.nonlinear] for name in names)
    need(f == g, "the nonlinearities differ")
    need(len(found["stages"]) == len(f) + 1, "there must be one stage more than nonlinearities")
    for name in names:
        _check_cut(name, found[name], [stage[name] for stage in found["stages"]], budget)
    established, now = list[Established](), [found["in_channels"]] * 2
    for k, record in enumerate(found["stages"]):
        with at(f"stages[{k}]"):
            layers = [[found[name][index] for index in record[name]] for name in names]
            passed = [_channels(name, own, count) for name, own, count in zip(names, layers, now, strict=True)]
            left, right = (Side(own, counts, len(axes)) for own, counts in zip(layers, passed, strict=True))
            established.append(Stage(left, right, budget, given).check(record))
            given = None if given is None else tuple(chain.output(n) for chain, n in zip(left.chains, given, strict=True))
            now = [counts[-1] for counts in passed]
    return _claim(established)


def _check_given(given: Sequence[int] | None, found: dict[str, Any], chains: Sequence[Sequence[Chain]]) -> None:
    """Extents that alone are asked for must be valid; only with them does align_corners have a meaning."""
    upsamplings = [layer for name in ("left", "right") for layer in found[name] if layer.fields.get("align_corners")]
    corners = any(line.r > 1 for layer in upsamplings for line in layer.lines)
    need(given is not None or not corners or "shapes" in found, "align_corners needs given extents")
    with at("extents"):
        for side in chains if given is not None else ():
            need(given is not None and len(given) == len(side), "one extent per axis is needed")
            need(all(chain.valid(n) for chain, n in zip(side, given or (), strict=True)), "the extents are not valid for both")


def _weighed(found: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """What the claim of a weighted certificate has to say, but for the domain."""
    axes, names = found["axes"], ("left", "right")
    chains = [[Chain(found[name], axis) for axis in range(axes)] for name in names]
    with at("claim.domain"):
        need(_check_domain(found["claim"]["domain"], chains, budget), DISJOINT)
    _check_given(None, found, chains)
    values = {name: _values(name, found, budget) for name in names}  # says of each BatchNorm whether it is linear here
    f, g = ([(layer, value) for layer, value in zip(found[name], values[name], strict=True) if layer.nonlinear] for name in names)
    need(f == g, "the nonlinearities or their slopes differ")
    need(len(found["stages"]) == len(f) + 1, "there must be one stage more than nonlinearities")
    now = [found["in_channels"]] * 2
    for k, record in enumerate(found["stages"]):
        with at(f"stages[{k}]"):
            networks = []
            for side, name in enumerate(names):
                layers = [found[name][index] for index in record[name]]
                counts = _channels(name, layers, now[side])
                networks.append(Network(layers, counts, [values[name][index] for index in record[name]], axes, budget))
                now[side] = counts[-1]
            need(record["distance"] == stage_distance(networks[0], networks[1], budget), "this is not the distance")
    same = all(record["distance"] == 0 for record in found["stages"])
    need(same or len(found["stages"]) == 1, "stages that differ say nothing about the whole")
    return {"relation": "identical" if same else "different", "distance": found["stages"][0]["distance"]}


def _values(name: str, found: dict[str, Any], budget: Budget) -> list[Values | None]:
    """The exact weights of one side's layers, whose channels and cut are checked on the way."""
    counts, records = _channels(name, found[name], found["in_channels"]), found[f"{name}_weights"]
    need(len(records) == len(found[name]), f"one entry in {name}_weights for each layer is needed")
    ends = pairwise(counts)
    values = [exact_values(layer, pair, record) for layer, pair, record in zip(found[name], ends, records, strict=True)]
    _check_cut(name, found[name], [stage[name] for stage in found["stages"]], budget)
    return values


def _channels(name: str, layers: Sequence[Layer], given: int) -> list[int]:
    """The channels before each layer and after the last, every layer being legal."""
    found = [given]
    for k, layer in enumerate(layers):
        with at(f"{name}[{k}]"):
            found.append(layer.channels(found[-1]))
    return found


def _check_domain(domain: dict[str, Any], chains: Sequence[Sequence[Chain]], budget: Budget) -> bool:
    """Compares the sets of valid extents, products over axes; returns whether there are common ones."""
    inside, shared = [True, True], True
    for pair in zip(*chains, strict=True):
        period = lcm(*(chain.period for chain in pair))
        firsts = [chain.firsts(period, budget) for chain in pair]
        need(all(any(of) for of in firsts), "a side accepts no extent at all")
        for side in (0, 1):
            inside[side] &= all(n is None or (m is not None and m <= n) for n, m in zip(firsts[side], firsts[1 - side], strict=True))
        shared &= any(n is not None and m is not None for n, m in zip(*firsts, strict=True))
    names = {(True, True): "same", (False, True): "left_wider", (True, False): "right_wider"}
    relation = names.get((inside[0], inside[1]), "overlapping" if shared else "disjoint")
    need(domain["relation"] == relation, f"the relation is {relation}")
    shown = domain["extents"]
    need((shown is None) == (relation == "same"), "extents are null exactly if the domains are the same")
    if shown is not None:
        need(len(shown) == len(chains[0]), "one extent per axis is needed")
        valid = tuple(all(chain.valid(n) for chain, n in zip(side, shown, strict=True)) for side in chains)
        allowed = {"overlapping": ((True, False), (False, True)), "right_wider": ((False, True),)}
        need(valid in allowed.get(relation, ((True, False),)), "the extents do not show the difference")
    return shared


def _shapes(extents: Sequence[int], chains: Sequence[Sequence[Chain]], channels_differ: bool, interior: str | None) -> dict[str, Any]:
    """Output shapes differ: in channels, or at the given extents. The interior differs (or nothing is said) if channels or rates do."""
    if extents:
        need(len(extents) == len(chains[0]), "one extent per axis is needed")
        need(all(chain.valid(n) for side in chains for chain, n in zip(side, extents, strict=True)), "the extents are not valid for both")
        outputs = [[chain.output(n) for chain, n in zip(side, extents, strict=True)] for side in chains]
        need(outputs[0] != outputs[1], "the output extents do not differ")
    else:
        need(channels_differ, "the output channels do not differ")
    rates = [[(chain.period, chain.shift) for chain in side] for side in chains]
    says = interior is not None and (channels_differ or rates[0] != rates[1])
    return dict.fromkeys(("relation", "linear_relation"), "shapes_differ") | {
        "interior_relation": "shapes_differ" if says else None,
        "left_in_right": False,
        "right_in_left": False,
        "dimension": None,
    }


def _check_cut(name: str, layers: Sequence[Layer], stages: Sequence[Sequence[int]], budget: Budget) -> None:
    """The stages list every linear layer once, in order; one in another stage than its own commutes with all nonlinearities between."""
    linear = [k for k, layer in enumerate(layers) if not layer.nonlinear]
    need([k for stage in stages for k in stage] == linear, f"the stages do not list the {name} layers once, in order")
    nonlinear = [layer for layer in layers if layer.nonlinear]
    belongs = list(accumulate((layer.nonlinear for layer in layers), initial=0))
    for stands, stage in enumerate(stages):
        for k in stage:
            crossed = nonlinear[min(stands, belongs[k]) : max(stands, belongs[k])]
            budget.spend(len(crossed))
            need(all(layers[k].commutes(f) for f in crossed), f"{name}[{k}] does not commute with the nonlinearities that it crosses")


def _claim(stages: Sequence[Established]) -> dict[str, Any]:
    """What the stages say of the chains. One stage says all; of several, every inclusion must be there, and a strict one shows nothing."""
    single = len(stages) == 1

    def relation(inclusions: Sequence[Both]) -> str:
        both = all(forth for forth, _ in inclusions), all(back for _, back in inclusions)
        return RELATION[both] if single or both == (True, True) else "unknown"

    forth, back = (all(stage.whole[side] for stage in stages) for side in (0, 1))
    interiors = [stage.interior for stage in stages if stage.interior is not None]
    left, right, shared = zip(*(stage.dimensions for stage in stages), strict=True)
    return {
        "relation": relation([stage.whole for stage in stages]),
        "linear_relation": relation([stage.linear for stage in stages]),
        "interior_relation": relation(interiors) if len(interiors) == len(stages) else None,
        "left_in_right": forth or (False if single else None),
        "right_in_left": back or (False if single else None),
        "dimension": {
            "left": sum(left),
            "right": sum(right),
            "intersection": sum(shared) if None not in shared and (single or (forth and back)) else None,
        },
    }

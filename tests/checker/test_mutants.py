"""Every mutant of a certificate is rejected or malformed, unless it is still true, which is then shown without the checker.

A mutant may be accepted only if it is one of these:

- *order*: the same reshuffle entries, functional terms or blocks in another order;
- *functional*: another functional within not_forth or not_back, whose entries, computed by PyTorch, vanish on the one
  class and show the value on the other (chains of one axis; elsewhere a change of its extents alone);
- *flat*: `flat` of a part that has one channel at either end and one block, where both readings are the same;
- *chain*: other layers, that PyTorch finds to be the same function at many extents, and valid at the same ones; or of which
  the claim holds by brute force, the ranks of whole chains over many extents and PyTorch's word on which are valid;
- *shapes*: a claim about shapes that PyTorch confirms at the given extents;
- *domain*: another extent that shows the difference of the domains, as PyTorch confirms.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema
import pytest
import torch
from checker import mutation, torch_chain
from checker.make_files import raw
from checker.test_files import SCHEMA
from checker.test_truth import claim_holds

from symconv.checker import Malformed, check_certificate

CHECKED = {"sub_pixel": 1, "reflect": 2, "circular": 4, "unshuffle": 4, "average": 1, "shapes_differ": 1, "two_averages": 2} | {
    "cropped": 8,
    "zero_padding_crosses_tanh": 5,
    "given_extents": 2,
}
"""Accepted certificates; every so many of their mutants is tried."""


@pytest.mark.parametrize("name", CHECKED)
def test_mutants_are_rejected_unless_true(name: str) -> None:
    record = raw(name)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert check_certificate(record).accepted
    for count, (place, mutant) in enumerate(itertools.islice(mutation.mutants(record), 0, None, CHECKED[name])):
        try:
            accepted = check_certificate(mutant).accepted
            if count % 20 == 0:
                assert validator.is_valid(mutant), place
        except Malformed as fault:
            accepted = False
            if count % 20 == 0 and "lowest terms" not in str(fault):
                assert not validator.is_valid(mutant), place
        if accepted:
            assert still_true(record, mutant, place), (place, _at(record, place), _at(mutant, place))


def _at(record: Any, place: mutation.Place) -> Any:
    for key in place:
        record = record[key]
    return record


def still_true(record: dict[str, Any], mutant: dict[str, Any], place: mutation.Place) -> bool:
    """Whether the mutant is of a kind that may be true, and is."""
    heads = ("axes", "in_channels", "extents", "left", "right", "claim", "shapes")
    changed = [name for name in heads if record.get(name) != mutant.get(name)]
    if "shapes" in record:
        return shapes_hold(mutant)
    if changed == ["claim"]:
        claims = [{**each["claim"], "domain": {**each["claim"]["domain"], "extents": None}} for each in (record, mutant)]
        return claims[0] == claims[1] and domain_holds(mutant)
    if changed:
        same = "extents" not in changed and all(same_function(record[side], mutant[side], record) for side in ("left", "right"))
        return set(changed) <= {"left", "right", "extents"} and (
            same or (domain_holds(mutant) and claim_holds(mutant, 14 if record["axes"] == 1 else 3))
        )
    if _sorted(record) == _sorted(mutant):
        return True
    if place[-1] == "flat":
        part = _at(record, place[:-1])
        return part["in_digits"] == part["out_digits"] == [] and len(part["blocks"]) == 1
    if "not_forth" in place or "not_back" in place:
        return functional_holds(mutant, place) if record["axes"] == 1 else _extents_alone(record, mutant, place)
    return False


def _sorted(value: Any) -> Any:
    """A JSON value with the lists whose order means nothing in one order."""
    if isinstance(value, dict):
        found = {name: _sorted(item) for name, item in value.items()}
        return {
            name: sorted(item, key=json.dumps) if name in ("forth", "back", "terms", "blocks") and item else item
            for name, item in found.items()
        }
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _extents_alone(record: dict[str, Any], mutant: dict[str, Any], place: mutation.Place) -> bool:
    depth = place.index("terms") if "terms" in place else len(place)
    return len(place) > depth + 2 and place[depth + 2] == 0 and mutant["claim"] == record["claim"]


def _run(layers: list[dict[str, Any]], x: torch.Tensor, seed: int) -> torch.Tensor | None:
    """All layers with reproducible weights, nonlinearities left out; None where PyTorch refuses."""
    r = torch.Generator().manual_seed(seed)
    try:
        for layer in layers:
            if layer["type"] in ("Pointwise", "PReLU"):
                continue
            kernel = bias = None
            if layer["type"] in ("Conv", "ConvTranspose", "BatchNorm"):
                shape = torch_chain.weight_shape(layer)
                kernel = torch.randint(-9, 10, shape, generator=r).double()
                offsets = torch.randint(-9, 10, shape[:1], generator=r).double()
                bias = offsets if layer.get("bias", True) else None
            x = torch_chain.run([layer], x, kernel, bias)
    except RuntimeError:
        return None
    return x


def same_function(one: list[dict[str, Any]], other: list[dict[str, Any]], record: dict[str, Any]) -> bool:
    """Whether two chains compute the same, with the same weights, at many extents, and are refused at the same."""
    extents = range(1, 11) if record["axes"] == 1 else range(1, 7)
    for extent in itertools.product(*[extents] * record["axes"]):
        x = torch.randint(-9, 10, (1, record["in_channels"], *extent)).double() * torch_chain.DIVISIBLE
        a, b = _run(one, x, 1), _run(other, x, 1)
        if (a is None) != (b is None) or (a is not None and b is not None and not torch.equal(a, b)):
            return False
    return True


def _accepts(record: dict[str, Any], side: str, extents: tuple[int, ...]) -> torch.Size | None:
    found = _run(record[side], torch.zeros(1, record["in_channels"], *extents).double(), 1)
    return None if found is None else found.shape[1:]


def shapes_hold(record: dict[str, Any]) -> bool:
    """Whether the shapes differ where the certificate says, and the domains compare as it says."""
    extents, channels = tuple(record["shapes"]["extents"]), [_channels(record, side) for side in ("left", "right")]
    if extents:
        left, right = (_accepts(record, side, extents) for side in ("left", "right"))
        if left is None or right is None or left[1:] == right[1:]:
            return False
    elif channels[0] == channels[1]:
        return False
    return domain_holds(record)


def _channels(record: dict[str, Any], side: str) -> int:
    channels = record["in_channels"]
    for layer in record[side]:
        channels = torch_chain.channels_after(layer, channels)
    return int(channels)


def domain_holds(record: dict[str, Any]) -> bool:
    """Whether the domain claim holds at the extents up to 12, one axis at a time (the others large)."""
    axes, claim = record["axes"], record["claim"]["domain"]
    forth = back = True
    for axis in range(axes):
        for n in range(1, 13):
            extents = tuple(n if a == axis else 12 for a in range(axes))
            left, right = (_accepts(record, side, extents) is not None for side in ("left", "right"))
            forth, back = forth and (right or not left), back and (left or not right)
    relation = {(True, True): "same", (True, False): "right_wider", (False, True): "left_wider", (False, False): "overlapping"}[forth, back]
    if claim["relation"] != relation:
        return False
    if claim["extents"] is None:
        return relation == "same"
    left, right = (_accepts(record, side, tuple(claim["extents"])) is not None for side in ("left", "right"))
    return (left, right) in {"left_wider": [(True, False)], "right_wider": [(False, True)]}.get(relation, [(True, False), (False, True)])


def functional_holds(record: dict[str, Any], place: mutation.Place) -> bool:
    """Evaluates a functional of a stage on one axis by pushing unit kernels (or biases) through PyTorch.

    A functional of a block is one of the whole stage: every other digit is 0, so its channel parts are channels.
    """
    index = place.index("not_forth") if "not_forth" in place else place.index("not_back")
    functional, stage = _at(record, place[: index + 1]), record["stages"][place[1]]
    if len(record["stages"]) > 1 or 0 not in _at(record, place[:index])["axes"]:
        return False
    bias, source = "bias" in place[:index], "left" if place[index] == "not_forth" else "right"
    interior = "interior" in place[:index]
    for side in ("left", "right"):
        layers = [record[side][k] for k in stage[side]]
        weights = next((layer for layer in layers if layer["type"] in ("Conv", "ConvTranspose", "BatchNorm")), None)
        shape = torch_chain.weight_shape(weights) if weights else ()
        for unit in itertools.product(*map(range, shape[:1] if bias else shape)):
            kernel = torch.zeros(shape).double() if weights else None
            offsets = torch.zeros(shape[:1]).double() if weights else None
            if weights:
                (offsets if bias else kernel)[unit] = 1  # type: ignore[index]
            total = sum(
                _fraction(c) * _entry(layers, record["in_channels"], term, kernel, offsets, bias, interior)
                for *term, c in functional["terms"]
            )
            parameter = [unit[0], 0, 0] if bias else list(unit) or [0, 0, 0]
            wanted = _fraction(functional["value"]) if side == source and parameter == functional["kernel"] else 0
            if (side != source or wanted) and abs(total - wanted) > 1e-9:
                return False
    return True


def _entry(layers: Any, channels: int, term: list[list[int]], kernel: Any, offsets: Any, bias: bool, interior: bool) -> float:
    (n,), (c, o), (q, i) = term
    shift = 60 if interior else 0
    x = torch.zeros(1, channels, n or 120).double()
    if not bias:
        x[0, q, i + shift] = 1
    out = torch_chain.run(layers, x, kernel, offsets)
    scale = out.shape[2] / x.shape[2]
    return float(out[0, c, o + round(shift * scale)])


def _fraction(text: str) -> float:
    top, _, bottom = text.partition("/")
    return int(top) / int(bottom or 1)

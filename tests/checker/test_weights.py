"""Certificates of weighted layers and of questions at given extents: accepted as written, rejected when bent."""

from __future__ import annotations

import base64
import copy
import struct
from typing import Any

import pytest
import torch
from torch import nn

import symconv
from symconv.checker import Malformed, check_certificate


def accepted(record: dict[str, Any]) -> bool:
    try:
        return check_certificate(record).accepted
    except Malformed:
        return False


def normalised() -> nn.Sequential:
    """Statistics and parameters of a trained BatchNorm, whose scales are irrational."""
    made = nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.ConvTranspose1d(3, 2, 4, stride=2)).eval()
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(made[1], name).uniform_(0.5, 1.5)
    return made


def pairs() -> list[tuple[str, nn.Module, nn.Module]]:
    torch.manual_seed(3)
    one = nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.Conv1d(3, 2, 3, padding=1, padding_mode="reflect"))
    two = copy.deepcopy(one)
    with torch.no_grad():
        two[1].bias[0] += 2**-10
    conv = nn.Conv2d(4, 4, 3, padding=1, groups=2, stride=2)
    other = copy.deepcopy(conv)
    with torch.no_grad():
        other.weight[3, 1, 2, 0] = torch.nextafter(other.weight[3, 1, 2, 0], torch.tensor(9.0))
    up = nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1, dilation=2)
    normed = normalised()
    return [
        ("BatchNorm, itself", normed, copy.deepcopy(normed)),
        ("two layers in a row, themselves", one, copy.deepcopy(one)),
        ("a bias of the second", one, two),
        ("one last bit", conv, other),
        ("transposed, itself", up, copy.deepcopy(up)),
        ("a slope", nn.Sequential(conv, nn.PReLU()), nn.Sequential(copy.deepcopy(conv), nn.PReLU())),
    ]


@pytest.mark.parametrize("name", [name for name, _, _ in pairs()])
def test_weighted_certificates(name: str) -> None:
    _, left, right = next(pair for pair in pairs() if pair[0] == name)
    verdict = symconv.check(left, right)
    assert verdict.trust == "certified" and verdict.certificate is not None
    record = verdict.certificate
    assert accepted(record)
    bent = copy.deepcopy(record)
    bent["claim"]["relation"] = "identical" if record["claim"]["relation"] == "different" else "different"
    assert not accepted(bent)
    for place in ("claim", "stages"):
        bent = copy.deepcopy(record)
        target = bent[place] if place == "claim" else bent[place][0]
        target["distance"] = "1/7"
        assert not accepted(bent)


@pytest.mark.parametrize("side", ["left_weights", "right_weights"])
def test_every_weight_counts(side: str) -> None:
    _, left, right = next(pair for pair in pairs() if pair[0] == "transposed, itself")
    record = symconv.check(left, right).certificate
    assert record is not None
    kernel = base64.b64decode(record[side][0]["kernel"]["float64"])
    values = list(struct.unpack(f"<{len(kernel) // 8}d", kernel))
    for k in range(len(values)):
        bent = copy.deepcopy(record)
        changed = [*values[:k], values[k] + 2.0**-40, *values[k + 1 :]]
        bent[side][0]["kernel"]["float64"] = base64.b64encode(struct.pack(f"<{len(values)}d", *changed)).decode()
        assert not accepted(bent), k


@pytest.mark.parametrize("name", ["kernel", "bias", "mean", "variance"])
def test_every_statistic_counts(name: str) -> None:
    record = symconv.check(normalised(), normalised()).certificate
    assert record is None, "other weights"
    module = normalised()
    record = symconv.check(module, copy.deepcopy(module)).certificate
    assert record is not None and accepted(record)
    values = list(struct.unpack("<3d", base64.b64decode(record["left_weights"][1][name]["float64"])))
    for k in range(3):
        bent = copy.deepcopy(record)
        changed = [*values[:k], values[k] + 2.0**-40, *values[k + 1 :]]
        bent["left_weights"][1][name]["float64"] = base64.b64encode(struct.pack("<3d", *changed)).decode()
        assert not accepted(bent)


def test_batch_norm_is_no_layer_of_a_stage() -> None:
    """An irrational scale cannot be summed, and nothing crosses it."""
    module = normalised()
    record = symconv.check(module, copy.deepcopy(module)).certificate
    assert record is not None and [stage["left"] for stage in record["stages"]] == [[0], [], [3]]
    for cut in ([[0, 1], [], [3]], [[0], [3], []], [[0, 1], [3]], [[0], [3]]):
        bent = copy.deepcopy(record)
        bent["stages"] = [{"left": part, "right": part, "distance": "0"} for part in cut]
        assert not accepted(bent)
    bent = copy.deepcopy(record)
    bent["left"][1]["eps"] = 2e-5
    assert not accepted(bent)
    bent = copy.deepcopy(record)
    for side in ("left_weights", "right_weights"):  # the root of a negative number is none
        bent[side][1]["variance"]["float64"] = base64.b64encode(struct.pack("<3d", -1.0, 1.0, 1.0)).decode()
    assert not accepted(bent)


def test_malformed_weights() -> None:
    record = symconv.check(*pairs()[3][1:]).certificate
    assert record is not None
    for change in ("AAAA", "not base64!", base64.b64encode(struct.pack("<d", float("nan")) * 24).decode()):
        bent = copy.deepcopy(record)
        bent["left_weights"][0]["kernel"]["float64"] = change
        assert not accepted(bent)
    bent = copy.deepcopy(record)
    bent["left_weights"][0]["bias"] = None
    assert not accepted(bent)


def test_given_extents() -> None:
    corners = 'Upsample(scale_factor=2, mode="bilinear", align_corners=True) >> Conv2d(1, 1, 3, padding=1, bias=False)'
    verdict = symconv.check(corners, "ConvTranspose2d(1, 1, 6, stride=2, padding=2, bias=False)", extents=(3, 4))
    assert (verdict.relation, verdict.scope, verdict.trust) == ("incomparable", "extents 3x4", "certified")
    record = verdict.certificate
    assert record is not None and accepted(record)
    without = {key: value for key, value in record.items() if key != "extents"}
    assert not accepted(without)
    assert not accepted(record | {"extents": [4, 4]})
    assert not accepted(record | {"extents": [3]})
    small = symconv.check("Conv1d(1, 1, 3, padding=1)", "Conv1d(1, 1, 3, padding=1, padding_mode='replicate')", extents=(1,))
    assert small.certificate is not None and accepted(small.certificate)
    for n in (2, 3, 9):  # what holds at one extent is not accepted at another
        assert not accepted(small.certificate | {"extents": [n]})


def test_wrapping_reads_do_not_mix() -> None:
    """CircularPad1d(2) and CircularPad1d(1) twice agree at extent 2 and nowhere else: the class stays open at 2."""
    verdict = symconv.check("CircularPad1d(2)", "CircularPad1d(1) >> CircularPad1d(1)")
    assert verdict.relation == "incomparable"
    record = copy.deepcopy(verdict.certificate)
    assert record is not None
    block = record["stages"][0]["weights"]["blocks"][0]
    same = [[[0, 0, 0], [0, 0, 0], "1"]]
    block |= {"both_dim": 1, "forth": same, "back": same, "not_forth": None, "not_back": None}
    record["claim"] |= {"relation": "equal", "linear_relation": "equal", "left_in_right": True, "right_in_left": True}
    record["claim"]["dimension"]["intersection"] = 0
    assert not accepted(record)

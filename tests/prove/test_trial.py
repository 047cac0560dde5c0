"""Networks that part are refuted with an input that PyTorch replays; equal ones never are."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
import torch
from torch import nn

import symconv
from symconv.conformance.torch_oracle import to_module
from symconv.frontends.text import parse
from symconv.frontends.torch_modules import from_module
from symconv.layers import Pointwise, Sequential, Weights
from symconv.layers.pointwise import NONLINEARITIES
from symconv.operators.budget import Budget
from symconv.prove import trial
from symconv.prove.trial import enclose
from symconv.theory.relation import Claim, Relation, Trust


def network(act: nn.Module, seed: int = 0, axes: int = 2) -> nn.Sequential:
    torch.manual_seed(seed)
    conv, up = getattr(nn, f"Conv{axes}d"), getattr(nn, f"ConvTranspose{axes}d")
    return nn.Sequential(conv(2, 3, 3, padding=1), act, up(3, 2, 4, 2, 1))


def changed(module: nn.Module, change: Callable[[Any], None]) -> nn.Module:
    other = copy.deepcopy(module)
    with torch.no_grad():
        change(other)
    return other


def moved(module: Any) -> None:
    module[2].weight[0, 1].view(-1)[:2] = module[2].weight[0, 1].view(-1)[[1, 0]].clone()


def last_bit(module: Any) -> None:
    weight = module[0].weight.view(-1)
    weight[5] = torch.nextafter(weight[5], torch.tensor(9.0))


def replayed(left: nn.Module, right: nn.Module, witness: dict[str, Any]) -> None:
    """Both modules in float64 give the values of the witness."""
    x = torch.zeros((1, *witness["input"]["shape"]), dtype=torch.float64)
    for index, value in witness["input"]["entries"]:
        x[(0, *index)] = float(Fraction(value))
    values = []
    for module in (left, right):
        with torch.no_grad():
            values.append(float(copy.deepcopy(module).double().eval()(x)[(0, *witness["at"])]))
    named = [float(Fraction(witness[f"{side}_value"])) for side in ("left", "right")]
    assert values == pytest.approx(named, rel=1e-11, abs=1e-13)
    assert abs(Fraction(witness["left_value"]) - Fraction(witness["right_value"])) > 2 * Fraction(witness["radius"])


ACTIVATIONS = {
    "relu against leaky": (nn.ReLU(), nn.LeakyReLU(0.1)),
    "gelu against its tanh form": (nn.GELU(), nn.GELU(approximate="tanh")),
    "silu against mish": (nn.SiLU(), nn.Mish()),
    "slopes": (nn.PReLU(3, init=0.25), nn.PReLU(3, init=0.2)),
    "tied slope against none": (nn.PReLU(), nn.ReLU()),
    "missing": (nn.ReLU(), nn.Identity()),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("axes", [1, 2])
def test_other_nonlinearities_are_refuted(name: str, axes: int) -> None:
    left, right = (network(act, axes=axes) for act in ACTIVATIONS[name])
    verdict = symconv.check(left, right)
    assert verdict.relation is Relation.DIFFERENT and verdict.proves(Claim.EQUAL) is False
    assert verdict.trust is None and verdict.certificate is None and verdict.distance is None
    assert verdict.witness is not None
    replayed(left, right, verdict.witness)


@pytest.mark.parametrize("act", [nn.ReLU(), nn.Tanh(), nn.GELU(), nn.Softplus(), nn.PReLU()], ids=str)
@pytest.mark.parametrize("change", [moved, last_bit])
def test_changed_weights_are_refuted(act: nn.Module, change: Callable[[Any], None]) -> None:
    left = network(act)
    right = changed(left, change)
    verdict = symconv.check(left, right)
    assert verdict.relation is Relation.DIFFERENT and verdict.witness is not None
    replayed(left, right, verdict.witness)


def test_rational_values_are_exact() -> None:
    left = network(nn.ReLU())
    witness = symconv.check(left, changed(left, moved)).witness
    assert witness is not None and witness["radius"] == "0"
    curved = network(nn.Tanh())
    witness = symconv.check(curved, changed(curved, moved)).witness
    assert witness is not None and 0 < Fraction(witness["radius"]) < Fraction(1, 10**12)


def test_statistics_that_are_irrational_are_refuted() -> None:
    left = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1)).eval()
    right = changed(left, lambda module: module[1].running_var.mul_(1.01))
    verdict = symconv.check(left, right)
    assert verdict.relation is Relation.DIFFERENT and verdict.witness is not None
    replayed(left, right, verdict.witness)


def test_the_same_statistics_are_identical() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4)).eval()
    verdict = symconv.check(module, copy.deepcopy(module))
    assert verdict.relation is Relation.IDENTICAL and verdict.trust is Trust.CERTIFIED


def test_two_layers_with_weights_in_one_stage_are_refuted() -> None:
    left = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Conv1d(2, 1, 3))
    verdict = symconv.check(left, changed(left, lambda module: module[0].weight.mul_(1.5)))
    assert verdict.relation is Relation.DIFFERENT


def symmetric(seed: int) -> tuple[nn.Module, nn.Module]:
    """A network, and the same with its hidden channels in another order and rescaled: another stage by stage, the same function."""
    rng = np.random.default_rng(seed)
    left = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 3))
    right = copy.deepcopy(left)
    order = torch.from_numpy(rng.permutation(4))
    scale = torch.from_numpy(2.0 ** rng.integers(-2, 3, 4)).float()
    first: Any = right[0]
    last: Any = right[2]
    with torch.no_grad():
        first.weight[:] = first.weight[order] * scale[:, None, None]
        first.bias[:] = first.bias[order] * scale
        last.weight[:] = last.weight[:, order] / scale[None, :, None]
    return left, right


@pytest.mark.parametrize("seed", range(6))
def test_networks_equal_by_a_symmetry_are_never_refuted(seed: int) -> None:
    assert symconv.check(*symmetric(seed)).relation is Relation.UNKNOWN


SOME = {"Threshold": (("threshold", 0.5), ("value", -2.0))}


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_every_nonlinearity_is_enclosed(name: str) -> None:
    """PyTorch's float64 value lies within a few units in the last place of a ball of negligible radius."""
    arguments = SOME.get(name, NONLINEARITIES[name])
    layer = Pointwise(name, arguments)
    points = [-30.0, -7.25, -6.0, -3.0, -1.0, -0.5, -0.37, 0.0, 0.11, 0.5, 1.0, 2.5, 3.0, 6.0, 19.99, 20.01, 31.0]
    convolution = parse("Conv1d(1, 17, 1)").layers[0]
    weights = Weights(np.zeros((17, 1, 1)), np.array(points))
    found = enclose(((convolution, layer), (weights, None)), (1, 1), {}, Budget(10))
    assert found is not None
    with torch.no_grad():
        wanted = to_module(Sequential((layer,)), 1)(torch.tensor(points, dtype=torch.float64).reshape(1, 17, 1))[0, :, 0].tolist()
    for channel, value in enumerate(wanted):
        ball = found[1].get((channel, 0), flint.arb(0))
        assert float(ball.rad()) <= 1e-60
        assert float(ball.mid()) == pytest.approx(value, rel=2e-14, abs=1e-15)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "Hardshrink", "Softplus", "ELU", "Threshold", "Hardtanh"])
def test_a_ball_over_a_kink_holds_both_sides(name: str) -> None:
    f = trial.FUNCTIONS[name]
    arguments = {key: flint.arb(value) for key, value in SOME.get(name, NONLINEARITIES[name])}
    kinks = {"Hardshrink": 0.5, "Softplus": 20.0, "Threshold": 0.5, "Hardtanh": 1.0}
    at = kinks.get(name, 0.0)
    wide = f(flint.arb(at, 0.25), arguments)
    for offset in (-0.25, -0.1, 0.0, 0.1, 0.25):
        assert wide.overlaps(f(flint.arb(at + offset), arguments))


@pytest.mark.parametrize("seed", range(30))
def test_random_chains_agree_with_pytorch(seed: int) -> None:
    """The enclosure of a random network on a random input holds what PyTorch computes in float64, up to its rounding."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    torch.manual_seed(seed)
    acts = [nn.ReLU(), nn.Tanh(), nn.PReLU(4, init=0.1), nn.Sigmoid(), nn.Softshrink(0.1), nn.SELU()]
    modes: list[Any] = ["zeros", "reflect", "replicate", "circular"]
    module = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding=1, padding_mode=rng.choice(modes)),
        rng.choice(acts),
        rng.choice([nn.PixelShuffle(1), nn.AvgPool1d(2), nn.Upsample(scale_factor=2), nn.Identity()]) if seed % 3 else nn.BatchNorm1d(4),
        nn.ConvTranspose1d(4, 2, rng.choice([2, 3, 4]), rng.choice([1, 2]), groups=2),
    ).eval()
    if isinstance(module[2], nn.PixelShuffle):
        module[2] = nn.Identity()
    made = from_module(module)
    bound = made.layer.bind(1).layers
    n = rng.choice([4, 5, 7])
    x = numbers.integers(-3, 4, (2, n))
    entries: dict[tuple[int, ...], int] = {(int(c), int(i)): int(x[c, i]) for c, i in np.argwhere(x)}
    found = enclose((bound, made.weights), (2, n), entries, Budget(20))
    assert found is not None
    with torch.no_grad():
        wanted = module.double()(torch.from_numpy(x[None].astype(float)))[0].numpy()
    assert found[0] == wanted.shape
    for index in np.ndindex(wanted.shape):
        assert float(found[1].get(index, flint.arb(0)).mid()) == pytest.approx(float(wanted[index]), rel=1e-11, abs=1e-13)


def test_large_questions_end() -> None:
    """Too many products to try: still an answer, in time."""
    left = nn.Sequential(nn.Conv2d(256, 256, 3), nn.ReLU(), nn.Conv2d(256, 256, 3))
    verdict = symconv.check(left, changed(left, lambda module: module[2].weight[0, 0, 0, 0].mul_(2)), budget=3)
    assert verdict.relation in (Relation.UNKNOWN, Relation.DIFFERENT) and verdict.seconds < 6
    assert verdict.trust is not Trust.CERTIFIED
    assert flint.ctx.prec == 53

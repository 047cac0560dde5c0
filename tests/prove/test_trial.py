"""Networks that part are refuted with an input that PyTorch replays; equal ones never are."""

from __future__ import annotations

import copy
import random
import threading
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
from symconv.prove.graphs.outcome import Likeness
from symconv.prove.graphs.stretches import compare_parts
from symconv.prove.trial import enclose
from symconv.report.check import Question, check_page
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
    for value, said in zip(values, named, strict=True):
        assert abs(value - said) <= float(Fraction(witness["radius"])) + 1e-11 * abs(said) + 1e-13
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
    assert len(witness["radius"]) < 30, "nobody reads a number of hundreds of digits"


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
        settings = name in ("SELU", "Hardsigmoid", "Hardswish", "LeakyReLU")  # of numbers that files hold as float32
        assert float(ball.rad()) <= (1e-6 if settings else 1e-60)
        assert ball.overlaps(flint.arb(value, 2e-14 * abs(value) + 1e-15))


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
        ball, value = found[1].get(index, flint.arb(0)), float(wanted[index])
        assert float(ball.rad()) <= 1e-6
        assert ball.overlaps(flint.arb(value, 1e-11 * abs(value) + 1e-13))


def scaled(weight: float, *rest: nn.Module) -> nn.Sequential:
    first = nn.Conv1d(1, 1, 1, bias=False).double()
    with torch.no_grad():
        first.weight.fill_(weight)
    return nn.Sequential(first, *rest)


STEEP = [nn.Sigmoid(), nn.LogSigmoid(), nn.GELU(), nn.SiLU(), nn.Softplus(-1.0), nn.CELU(-0.5), nn.Tanh()]


@pytest.mark.parametrize("weight", [1e4, 1e8, 1e12, 1e300])
@pytest.mark.parametrize("act", STEEP, ids=str)
def test_extreme_values_are_shown_or_left_out(act: nn.Module, weight: float) -> None:
    """exp(-1e12) parts from exp(-2e12), but no number of a sensible length says so."""
    left, right = scaled(weight, act), scaled(1.5 * weight, act)
    verdict = symconv.check(left, right)
    assert verdict.seconds < 2
    if verdict.witness is None:
        assert verdict.relation is Relation.UNKNOWN
    else:
        assert all(len(verdict.witness[f"{side}_value"]) < 2500 for side in ("left", "right"))
        replayed(left, right, verdict.witness)


@pytest.mark.parametrize("weight", [1e200, 1e-200])
@pytest.mark.parametrize("act", [nn.Tanh(), nn.ReLU()], ids=str)
def test_values_beyond_floats_are_left_out(act: nn.Module, weight: float) -> None:
    deep = [layer for _ in range(20) for layer in scaled(weight)]
    left, right = scaled(1.0, act, *deep), scaled(1.0, act, *deep, *scaled(2.0))
    assert symconv.check(left, right).relation is Relation.UNKNOWN


def test_shown_values_are_apart() -> None:
    ball = flint.arb
    assert trial._shown(ball(0), ball(1, 0.75)) is None, "disjoint, but not by twice the larger radius"
    shown = trial._shown(ball(1) / 3, ball(2) / 3)
    assert shown is not None and shown[0] == Fraction(1 / 3) and abs(Fraction(1, 3) - shown[0]) <= shown[2]
    tiny = ball((1, -(10**15)))
    assert trial._shown(tiny, 2 * tiny) is None
    assert trial._shown(tiny, ball(1)) == (Fraction(0), Fraction(1), shown_radius(tiny))


def shown_radius(tiny: Any) -> Fraction:
    """What a number that is shown as 0 is off, as the next power of 2."""
    found = trial._near(tiny)
    assert found[0] == 0 and found[1] == Fraction(2) ** (trial.SMALLEST - 1)
    return 2 * found[1]


def test_threads_leave_the_precision() -> None:
    left = network(nn.Tanh(), axes=1)
    right = changed(left, moved_bias)
    found: list[Relation] = []
    threads = [threading.Thread(target=lambda: found.append(symconv.check(left, right).relation)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Relation.DIFFERENT] * 6 and flint.ctx.prec == 53


def moved_bias(module: Any) -> None:
    module[2].bias[0] += 1


def test_a_kernel_in_the_padding_ends() -> None:
    """Nearly every product reads padding, so hardly a term comes out; they are counted beforehand."""
    layer = nn.Conv2d(1, 1, 1501, padding=750)
    verdict = symconv.check(nn.Sequential(nn.Tanh(), layer), nn.Sequential(nn.Softsign(), layer), budget=1)
    assert verdict.seconds < 12


def test_large_questions_end() -> None:
    """Too many products to try: still an answer, in time."""
    left = nn.Sequential(nn.Conv2d(256, 256, 3), nn.ReLU(), nn.Conv2d(256, 256, 3))
    verdict = symconv.check(left, changed(left, lambda module: module[2].weight[0, 0, 0, 0].mul_(2)), budget=3)
    assert verdict.relation in (Relation.UNKNOWN, Relation.DIFFERENT) and verdict.seconds < 6
    assert verdict.trust is not Trust.CERTIFIED
    assert flint.ctx.prec == 53


def numbers(*values: float) -> nn.Sequential:
    """Convolutions of one weight each."""
    layers = [nn.Conv1d(1, 1, 1, bias=False).double() for _ in values]
    with torch.no_grad():
        for layer, value in zip(layers, values, strict=True):
            layer.weight.fill_(value)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("power", [1, 2, 5, 30])
@pytest.mark.parametrize("weight", [1e200, 1e-300])
def test_exact_numbers_too_long_to_write_are_unknown(weight: float, power: int) -> None:
    """The distance of linear chains is exact, however long; the checker and Python's printing have limits."""
    left, right = numbers(*[weight] * power), numbers(*[weight] * (power - 1), 2 * weight)
    verdict = symconv.check(left, right)
    assert verdict.relation in (Relation.DIFFERENT, Relation.UNKNOWN)
    assert verdict.relation is Relation.DIFFERENT or power == 30
    assert check_page(verdict, Question(claim=Claim.EQUAL, holds=verdict.proves(Claim.EQUAL))).headline


def scaled_statistics(seed: int) -> tuple[nn.Module, nn.Module]:
    """BatchNorm with (gamma, variance, eps) and with (3 gamma, 9 variance, 9 eps): the same function, other floats when folded."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    gamma, variance = ([rng.randint(1, 99) / 16 for _ in range(3)] for _ in range(2))
    norms = []
    for times in (1, 3):
        norm = nn.BatchNorm2d(3, eps=times**2 * 2.0**-7).double().eval()
        with torch.no_grad():
            norm.weight.copy_(times * torch.tensor(gamma, dtype=torch.float64))
            norm.running_var.copy_(times**2 * torch.tensor(variance, dtype=torch.float64))
        norms.append(norm)
    conv = nn.Conv2d(2, 3, 3).double()
    return nn.Sequential(conv, norms[0], nn.ReLU()), nn.Sequential(conv, norms[1], nn.ReLU())


@pytest.mark.parametrize("seed", range(5))
def test_weights_rounded_by_folding_refute_nothing(seed: int) -> None:
    left, right = scaled_statistics(seed)
    assert symconv.check(left, right).relation is Relation.UNKNOWN
    one, two = ((made.layer.bind(2).layers, made.weights) for made in map(from_module, (left, right)))
    assert compare_parts(one, two, None, 10).relation in (Likeness.UNKNOWN, Likeness.UP_TO)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_corners_of_a_factor_of_one_change_nothing(mode: str) -> None:
    verdict = symconv.check(f"Upsample(scale_factor=1, mode='{mode}', align_corners=True)", "Identity()")
    assert verdict.relation is Relation.EQUAL and verdict.trust is Trust.CERTIFIED


FLOAT32 = float(np.float32(0.1))
READINGS = {
    "a slope": (Pointwise("LeakyReLU", (("negative_slope", 0.1),)), FLOAT32, 0.1),
    "an exact slope": (Pointwise("LeakyReLU", (("negative_slope", 0.125),)), 0.125, 0.125),
}


@pytest.mark.parametrize("name", READINGS)
def test_a_setting_is_read_as_files_and_as_modules_hold_it(name: str) -> None:
    """A file's 0.1 is a float32 number, a module's a float64 one: neither reading may be refuted."""
    layer, *slopes = READINGS[name]
    values: dict[tuple[int, ...], int] = {(0, 0): -1}
    found = enclose(((layer,), (None,)), (1, 1), values, Budget(5))
    assert found is not None
    ball = found[1][0, 0]
    assert all(ball.contains(flint.arb(-slope)) for slope in slopes)
    assert not ball.overlaps(flint.arb(-0.1001))
    assert (float(ball.rad()) == 0) == (slopes[0] == slopes[1])


def test_all_constants_of_files_lie_in_their_balls() -> None:
    """float32 constants of HardSigmoid, Selu and Gelu in files, and the exact ones of their definitions."""
    for value in (1 / 6, 1.6732632423543772, 1.0507009873554805, 0.044715, 0.7978845608028654):
        ball = trial.setting(value)
        assert ball.contains(flint.arb(value)) and ball.contains(flint.arb(float(np.float32(value))))
    assert trial._sixth().contains(flint.arb(flint.fmpq(1, 6)))
    assert trial.setting(1e300).is_exact() and trial.setting(0.5).is_exact()
    assert trial.setting(1073741800.0).contains(flint.arb(1073741824))  # the shortest decimal of a float32 number


@pytest.mark.parametrize("scale", [1e-40, 5e-324])
def test_settings_below_float32_are_enclosed(scale: float) -> None:
    assert trial.setting(scale).contains(flint.arb(scale))

"""Modules compared: traced as graphs, their layers as operators, the rest by congruence."""

import copy
from fractions import Fraction

import pytest
import torch
from models_from_papers import PAPERS
from torch import nn
from torch.nn import functional as F

import symconv
from symconv.errors import ModelError
from symconv.prove.graphs.outcome import Likeness


class Residual(nn.Module):
    def __init__(self, order=(0, 1), inplace=False):
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.relu, self.order = nn.ReLU(inplace), order

    def forward(self, x):
        y = self.relu(self.one(x))
        parts = [y, F.gelu(self.two(y))]
        return parts[self.order[0]] - parts[self.order[1]]


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name == "FCN8s" else []) for name in PAPERS])
def test_a_network_is_its_copy_and_not_its_mutant(name):
    torch.manual_seed(0)
    constructor, width, *_ = PAPERS[name]
    one = constructor(width).eval()
    two = copy.deepcopy(one)
    assert symconv.diff(one, two).relation is Likeness.IDENTICAL
    parameter = [p for p in two.parameters() if p.ndim > 2][-1]
    with torch.no_grad():
        parameter.view(-1)[0] += 0.5
    found = symconv.diff(one, two)
    assert found.relation is Likeness.DIFFERENT and "[0, 0, 0, 0" in found.cause
    assert found.witness["replayed_by"].startswith("PyTorch")


def test_swapped_inputs_are_named():
    torch.manual_seed(0)
    one = Residual()
    two = Residual((1, 0))
    two.load_state_dict(one.state_dict())
    found = symconv.diff(one, two)
    assert found.relation is Likeness.DIFFERENT and found.evidence == "bounded run"
    assert found.witness["left_bound"] + found.witness["right_bound"] < abs(found.witness["left_value"] - found.witness["right_value"])
    (row,) = found.rows
    assert row.relation is Likeness.DIFFERENT and row.witness["kind"] == "operators"
    assert Fraction(row.witness["left_value"]) == -Fraction(row.witness["right_value"]) != 0
    assert found.cause == "the inputs of `sub` (sub) are swapped"


def test_the_training_flag_is_left_as_it_was_and_does_not_matter():
    one = Residual()
    two = copy.deepcopy(one).eval()
    assert symconv.diff(one.train(), two).relation is Likeness.IDENTICAL
    assert one.training and one.relu.training and not two.training


def test_a_converted_module_is_identical():
    torch.manual_seed(0)
    one = nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.Tanh())
    kernel, bias = symconv.convert("ConvTranspose2d(2, 3, 4, stride=2, padding=1)", "lr-shuffle").reshuffle.apply(
        *(p.detach().numpy() for p in (one[0].weight, one[0].bias))
    )
    conv = nn.Conv2d(2, 12, kernel.shape[2:], padding=1)
    conv.weight.data, conv.bias.data = torch.from_numpy(kernel), torch.from_numpy(bias)
    two = nn.Sequential(conv, nn.PixelShuffle(2), nn.ZeroPad2d(-1), nn.Tanh())
    assert symconv.diff(one, two).relation is Likeness.IDENTICAL
    with torch.no_grad():
        conv.bias[0] += 1
    assert symconv.diff(one, two).relation is Likeness.DIFFERENT


class Shared(nn.Module):
    """Works in place on a value that is read afterwards."""

    def forward(self, x):
        y = x + 1
        z = y.relu_()
        return y + z


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Noisy(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.5, training=True)


def test_what_a_graph_of_values_does_not_show_is_refused():
    with pytest.raises(ModelError, match="works in place"):
        symconv.diff(Shared(), Shared())
    with pytest.raises(ModelError, match="cannot be traced"):
        symconv.diff(Branching(), Branching())
    assert symconv.diff(Residual(inplace=True), Residual(inplace=True)).relation is not None


def test_random_numbers_are_never_called_the_same():
    found = symconv.diff(Noisy(), Noisy())
    assert found.relation is Likeness.UNKNOWN
    assert "random" in found.rows[0].detail


class WithConstant(nn.Module):
    def forward(self, x):
        return x * torch.tensor([1.0, 2.0])


def test_the_module_is_left_as_it_was():
    one = WithConstant()
    before = dict(vars(one))
    assert symconv.diff(one, WithConstant()).relation is Likeness.IDENTICAL
    assert vars(one) == before


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_what_a_class_of_torch_hides_is_refused():
    """A quantized layer keeps its weights where they are no parameters."""
    one, two = (nn.Sequential(torch.ao.nn.quantized.Linear(2, 2)) for _ in range(2))
    two[0].set_weight_bias(torch.quantize_per_tensor(torch.ones(2, 2), 1.0, 0, torch.qint8), None)
    with pytest.raises(ModelError, match=r"torch\.nn"):
        symconv.diff(one, two)


@pytest.mark.parametrize(
    "change", [lambda m: setattr(m, "eps", 0.5), lambda m: m.weight.data.add_(1), lambda m: setattr(m, "num_groups", 1)]
)
def test_modules_that_are_not_read_as_layers_are_the_same_only_if_all_of_them_is(change):
    one = nn.Sequential(nn.GroupNorm(2, 4))
    two = copy.deepcopy(one)
    assert symconv.diff(one, two).relation is Likeness.IDENTICAL
    change(two[0])
    assert symconv.diff(one, two).relation is not Likeness.IDENTICAL


def test_a_hooked_module_is_refused():
    one = nn.Sequential(nn.Linear(2, 2))
    one[0].register_forward_hook(lambda module, args, out: 2 * out)
    with pytest.raises(ModelError, match="hooks"):
        symconv.diff(one, one)

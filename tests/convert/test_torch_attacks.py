"""Modules that a conversion must leave as they are, and kernels that must not be filled in vain."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, weight_norm

import symconv
from symconv.errors import LayerError, ModelError


def test_a_tied_spectral_norm_in_training_is_as_it_was():
    """Reading a parametrized weight in training takes a step of the power iteration; a conversion takes none."""
    torch.manual_seed(0)
    given = parametrizations.spectral_norm(nn.ConvTranspose2d(2, 3, 4, stride=2, padding=1).double()).train()
    before = copy.deepcopy(given.state_dict())
    made = symconv.convert(given, to="lr-shuffle", tie=True).module
    assert all(torch.equal(value, before[name]) for name, value in given.state_dict().items())
    signal = torch.randn(1, 2, 4, 5, dtype=torch.float64)
    for _ in range(3):  # both take the same steps from the same start
        assert torch.allclose(given(signal), made(signal), rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm, weight_norm])
@pytest.mark.parametrize("layer", [nn.Conv2d(2, 8, 3), nn.ConvTranspose2d(2, 2, 4, stride=2)])
def test_icnr_does_not_fill_a_kernel_that_is_computed(norm, layer):
    with pytest.raises(ModelError, match="computes its own"):
        symconv.icnr_(norm(copy.deepcopy(layer)), *([2] if isinstance(layer, nn.Conv2d) else []))


@pytest.mark.parametrize(
    ("channels", "groups", "order", "fits"),
    [(24, 3, "crd", True), (12, 2, "crd", False), (24, 2, "dcr", False), (24, 1, "dcr", True)],
)
def test_icnr_wants_the_phases_of_a_channel_in_one_group(channels, groups, order, fits):
    """Phases in several groups read different channels, and no kernel makes a nearest-neighbour resize of that."""
    conv = nn.Conv2d(6, channels, 3, groups=groups)
    if fits:
        symconv.icnr_(conv, 2, order)
    else:
        with pytest.raises(LayerError, match="one group"):
            symconv.icnr_(conv, 2, order)

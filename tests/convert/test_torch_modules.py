"""Modules rewritten: the same function on exact integers, weights bit for bit both ways, and refusals that say why."""

from __future__ import annotations

import copy
import math
import pickle
import random
from typing import Any

import pytest
import torch
from models_from_papers import PAPERS
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import symconv
from symconv.convert import layer as layer_module
from symconv.convert.torch_modules import convert_module
from symconv.errors import LayerError, ModelError, UsageError

FORMS = ("lr-shuffle", "transposed", "zero-insertion", "unshuffle")
torch.set_num_threads(1)


class Decoder(nn.Module):
    """A few eligible layers at different depths, one of them at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 4, stride=2, padding=1)
        self.deep = nn.ModuleDict({"blocks": nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1), nn.Sequential(nn.ReLU(), self.up)])})
        self.resize = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3, padding=1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.deep["blocks"][0](self.up(x))
        return self.resize(self.up(x[:, :3]))


def integers(module: nn.Module, seed: int = 0, bound: int = 2) -> nn.Module:
    """The module in float64 and evaluation mode, with small integers for parameters and statistics that divide by 1."""
    source = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eps = 0.0
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-bound, bound + 1, parameter.shape, generator=source))
    return module


def signal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(seed)).double()


def same_bits(one: Tensor, other: Tensor) -> bool:
    return one.dtype is other.dtype and one.shape == other.shape and torch.equal(_bits(one), _bits(other))


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def same_state(one: dict[str, Any], other: dict[str, Any], ordered: bool = True) -> bool:
    order = list if ordered else set
    return order(one) == order(other) and all(same_bits(value, other[key]) for key, value in one.items())


# --- the same function -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", FORMS)
@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_s_network_is_the_same_function_at_other_extents(name: str, to: str) -> None:
    make, width, shape, others = PAPERS[name]
    given = integers(make(width=width), bound=1)
    conversion = convert_module(given, to, presburger=False)
    if to in ("lr-shuffle", "zero-insertion"):
        transposed = [path for path, part in given.named_modules() if isinstance(part, (nn.ConvTranspose2d, nn.ConvTranspose3d))]
        assert {layer.name for layer in conversion.converted} == set(transposed)
        assert all(layer.conversion.verdict.trust.value == "certified" and layer.exact for layer in conversion.converted)
        assert not any(isinstance(part, (nn.ConvTranspose2d, nn.ConvTranspose3d)) for part in conversion.module.modules())
    with torch.no_grad():
        for extents in others:
            x = signal(2, shape[0], *extents)
            assert torch.equal(given(x), conversion.module(x))
    state = given.state_dict()
    moved = conversion.convert_state_dict(state)
    assert same_state(moved, conversion.module.state_dict())
    assert same_state(conversion.revert_state_dict(moved), state)


def _random_layer(source: random.Random, axes: int, transposed: bool) -> nn.Module:
    groups = source.choice((1, 1, 2, 3))
    inward, outward = groups * source.randint(1, 2), groups * source.randint(1, 2)
    kernel, stride = [tuple(source.randint(1, top) for _ in range(axes)) for top in (5, 3)]
    dilation = tuple(source.choice((1, 1, 2)) for _ in range(axes))
    padding = tuple(source.randint(0, max(0, d * (k - 1))) for k, d in zip(kernel, dilation, strict=True))
    bias = source.random() < 0.5
    if transposed:
        extra = tuple(source.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
        return getattr(nn, f"ConvTranspose{axes}d")(inward, outward, kernel, stride, padding, extra, groups, bias, dilation)
    return getattr(nn, f"Conv{axes}d")(inward, outward, kernel, stride, padding, dilation, groups, bias)


@pytest.mark.parametrize("to", ("lr-shuffle", "zero-insertion", "unshuffle"))
def test_random_layers_are_the_same_function_and_come_back_bit_for_bit(to: str) -> None:
    source, converted = random.Random(f"modules {to}"), 0
    for seed in range(24):
        axes = source.choice((1, 1, 2, 3)) if seed % 4 else 2
        layer = _random_layer(source, axes, transposed=to != "unshuffle")
        given = integers(nn.Sequential(layer, nn.ReLU()), seed)
        for tie in (False, True):
            conversion = convert_module(given, to, presburger=False, tie=tie, common_extents=True)
            assert all(change.status == "converted" for change in conversion.layers), conversion.layers
            converted += len(conversion.converted)
            step = math.lcm(*layer.stride) if to == "unshuffle" else 1
            x = signal(1, layer.in_channels, *(step * (9 // step + source.randint(1, 3)) for _ in range(axes)), seed=seed)
            assert torch.equal(given(x), conversion.module(x)), (layer, to)
            state = given.state_dict()
            assert same_state(conversion.revert_state_dict(conversion.convert_state_dict(state)), state)
    assert converted > 30


@pytest.mark.parametrize("tie", (False, True))
@pytest.mark.parametrize("to", FORMS[:3])
def test_neighbours_are_replaced_with_their_convolution(to: str, tie: bool) -> None:
    given = integers(
        nn.Sequential(
            nn.Conv2d(2, 8, 3, bias=False),
            nn.PixelShuffle(2),
            nn.ReLU(),
            nn.Upsample(scale_factor=3),
            nn.ZeroPad2d((1, 0, 2, 1)),
            nn.Conv2d(2, 3, 2),
        )
    )
    conversion = convert_module(given, to, presburger=False, tie=tie)
    assert len(conversion.converted) == (1 if to == "lr-shuffle" else 2)
    assert len(conversion.module) == len(given) and not any(isinstance(part, nn.Upsample) for part in conversion.module.modules())
    assert all("run as a whole" in layer.assumptions[0] for layer in conversion.converted)
    for extents in ((5, 5), (4, 7), (3, 9)):
        x = signal(1, 2, *extents)
        assert torch.equal(given(x), conversion.module(x))
    if to == "lr-shuffle":
        assert conversion.converted[0].exact is False  # taps were added up
        if not tie:
            with pytest.raises(ModelError, match="taps were added up"):
                conversion.revert_state_dict(conversion.module.state_dict())
    if tie:  # the given parameters are still there
        assert same_state(conversion.revert_state_dict(conversion.module.state_dict()), given.state_dict(), ordered=False)


def test_a_replaced_layer_is_read_and_proved_like_any_other() -> None:
    torch.manual_seed(0)
    for given in (nn.ConvTranspose2d(2, 3, 5, 3, 1, 2), nn.ConvTranspose1d(2, 4, 4, 2, groups=2), nn.ConvTranspose3d(1, 2, 2, 2)):
        for to in ("lr-shuffle", "zero-insertion"):
            for tie in (False, True):
                made = symconv.convert(given, to=to, tie=tie).module
                assert symconv.check(given, made).relation.value == "identical"
    wrong = symconv.convert(given, to="lr-shuffle").module
    with torch.no_grad():
        wrong.conv.weight[0, 0, 0, 0, 0] += 2**-20
    assert symconv.check(given, wrong).relation.value == "different"


def test_one_proof_serves_all_layers_with_its_hyper_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    decide = layer_module.decide_stages
    monkeypatch.setattr(layer_module, "decide_stages", lambda *given, **options: asked.append(given) or decide(*given, **options))
    given = nn.ModuleList(nn.ConvTranspose2d(8, 8, 4, 2, 1) for _ in range(500))
    conversion = symconv.convert(given, to="lr-shuffle")
    assert len(conversion.converted) == 500 and len(asked) <= 4


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_the_given_module_is_left_alone_and_nothing_is_shared() -> None:
    given = Decoder()
    before, names = copy.deepcopy(given.state_dict()), [name for name, _ in given.named_modules()]
    made = symconv.convert(given, to="lr-shuffle").module
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1)
    assert same_state(given.state_dict(), before) and [name for name, _ in given.named_modules()] == names


def test_a_layer_at_two_places_is_replaced_once_and_stays_at_two_places() -> None:
    given = integers(Decoder())
    conversion = symconv.convert(given, to="lr-shuffle")
    made = conversion.module
    assert made.up is made.deep["blocks"][1][1] and conversion.layers[0].names == ("up", "deep.blocks.1.1")
    assert len(conversion.layers) == 2
    x = signal(1, 3, 3, 4)
    assert torch.equal(given(x), made(x))
    assert same_state(conversion.convert_state_dict(given.state_dict()), made.state_dict())
    merged = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 1, 3))
    conversion = symconv.convert(nn.ModuleList([merged, merged[1]]), to="lr-shuffle")
    assert conversion.layers[0].status == "refused" and "2 places" in conversion.layers[0].reason


@pytest.mark.parametrize("tie", (False, True))
def test_mode_dtype_layout_and_requires_grad_are_kept(tie: bool) -> None:
    given = nn.Sequential(nn.ConvTranspose2d(2, 4, 4, 2), nn.Dropout(), nn.ConvTranspose2d(4, 4, 3, 2))
    given = given.to(torch.bfloat16).to(memory_format=torch.channels_last)
    given[0].eval().bias.requires_grad_(False)
    made = symconv.convert(given, to="lr-shuffle", tie=tie).module
    assert [part.training for part in (made, made[0], made[0].conv, made[1], made[2].conv)] == [True, False, False, True, True]
    assert {parameter.dtype for parameter in made.parameters()} == {torch.bfloat16}
    bias, weight = (next(value for name, value in made[0].named_parameters() if part in name) for part in ("bias", "weight"))
    assert not bias.requires_grad and weight.requires_grad
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_bits_are_kept_whatever_they_mean() -> None:
    given = nn.ConvTranspose1d(1, 1, 4, 2)
    odd = torch.tensor([[[-0.0, math.nan, math.inf, 2**-149]]])
    given.weight.data = odd.clone()
    conversion = symconv.convert(given, to="lr-shuffle")
    assert same_bits(conversion.revert_state_dict(conversion.module.state_dict())["weight"], odd)
    assert same_bits(conversion.module.conv.weight[:, 0, :], torch.stack([odd[0, 0, [2, 0]], odd[0, 0, [3, 1]]]))


def test_modules_on_the_meta_device_are_converted_and_filled_later() -> None:
    given = integers(Decoder())
    with torch.device("meta"):
        hollow = Decoder().double()
    for tie in (False, True):
        conversion = symconv.convert(hollow, to="lr-shuffle", tie=tie)
        made = conversion.module.to_empty(device="cpu")
        made.load_state_dict(conversion.convert_state_dict(given.state_dict()))
        x = signal(1, 3, 4, 4)
        assert torch.equal(given(x), made.eval()(x))


def test_copies_pickles_and_prints() -> None:
    given = Decoder()
    made, again = (symconv.convert(given, to="lr-shuffle").module for _ in range(2))
    x = torch.randn(1, 3, 4, 4)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert torch.equal(other(x), made(x))
    assert repr(made) == repr(again) and "from ConvTranspose2d(3, 4, 4, stride=2, padding=1)" in repr(made)
    tied = symconv.convert(given, to="lr-shuffle", tie=True).module
    assert torch.equal(copy.deepcopy(tied)(x), tied(x))


def test_a_replacement_answers_for_the_given_layer() -> None:
    made = symconv.convert(nn.ConvTranspose2d(2, 3, 4, 2, 1, output_padding=1), to="lr-shuffle").module
    assert (made.kernel_size, made.stride, made.output_padding, made.out_channels) == ((4, 4), (2, 2), (1, 1), 3)
    assert not hasattr(made, "weight")
    with pytest.raises(AttributeError, match=r"moved to `conv.weight`"):
        made.weight  # noqa: B018
    x = torch.randn(1, 2, 3, 3)
    assert made(x, output_size=[7, 7]).shape == made(x).shape == (1, 3, 7, 7)
    with pytest.raises(ValueError, match="asks for another output padding"):
        made(x, output_size=(6, 6))


# --- state dicts -----------------------------------------------------------------------------------------------------


def test_checkpoints_are_read_from_files_without_running_code(tmp_path: Any) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    given = nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2), nn.BatchNorm2d(3))
    conversion = symconv.convert(given, to="lr-shuffle")
    safetensors.save_file(given.state_dict(), tmp_path / "a.safetensors")
    torch.save(given.state_dict(), tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        moved = conversion.convert_state_dict(tmp_path / name)
        conversion.module.load_state_dict(moved)
        assert {key: tuple(value.shape) for key, value in moved.items()}["0.conv.weight"] == (12, 2, 2, 2)

    class Hostile:
        def __reduce__(self) -> Any:
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"0.weight": Hostile()}, tmp_path / "hostile.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:200])
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:40])
    for name in ("hostile.pt", "cut.pt", "cut.safetensors", "none.pt"):
        with pytest.raises(ModelError, match=r"cannot be read as a checkpoint|is no file"):
            conversion.convert_state_dict(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_checkpoints_that_do_not_fit_are_refused() -> None:
    given = nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2), nn.Conv2d(3, 3, 1))
    conversion = symconv.convert(given, to="lr-shuffle")
    state = given.state_dict()
    moved = conversion.convert_state_dict(state)
    assert moved["1.weight"] is state["1.weight"]
    half = {key: value.half() for key, value in state.items()}
    assert conversion.convert_state_dict(half)["0.conv.weight"].dtype is torch.float16
    wrapped = {f"module.{key}": value for key, value in state.items()}
    assert set(conversion.convert_state_dict(wrapped, prefix="module.")) == {f"module.{key}" for key in moved}
    refused: list[tuple[Any, str]] = [
        (moved, "converted already"),
        (state | moved, "would be overwritten"),
        (wrapped, r"give prefix='module\.'"),
        ({"model": state}, r"checkpoint\['model'\]"),
        ({"1.weight": state["1.weight"]}, "no `0.weight`, `0.bias`"),
        (state | {"0.weight": torch.zeros(2, 3, 4, 5)}, r"must have shape \(2, 3, 4, 4\)"),
        (state | {"0.weight": 3}, "must be a tensor"),
        ([1], "a state_dict"),
    ]
    for bad, message in refused:
        with pytest.raises(ModelError, match=message):
            conversion.convert_state_dict(bad)
    assert conversion.convert_state_dict({"1.weight": 1}, strict=False) == {"1.weight": 1}


def test_what_the_given_layer_cannot_be_is_not_reverted() -> None:
    conversion = symconv.convert(nn.ConvTranspose2d(1, 1, 3, 2), to="lr-shuffle")
    for key, place in (("conv.weight", (3, 0, 0, 0)), ("conv.bias", (1,))):
        state = conversion.module.state_dict()
        state[key] = state[key].clone()
        state[key][place] += 1
        with pytest.raises(ModelError, match=rf"`{key}` cannot be reverted: entry .* where the given layer allows only"):
            conversion.revert_state_dict(state)


# --- parametrizations, tying -----------------------------------------------------------------------------------------


def _normed() -> list[tuple[nn.Module, str]]:
    torch.manual_seed(3)
    with pytest.warns(FutureWarning):
        old = torch.nn.utils.weight_norm(nn.ConvTranspose1d(4, 3, 4, 2, 1))
    new = parametrizations.weight_norm(nn.ConvTranspose1d(4, 3, 4, 2, 1), dim=1)
    spectral = parametrizations.spectral_norm(nn.ConvTranspose1d(4, 3, 4, 2, 1)).eval()
    twice = parametrizations.spectral_norm(parametrizations.weight_norm(nn.ConvTranspose1d(4, 3, 4, 2, 1))).eval()
    return [(old, "weight_norm"), (new, "WeightNorm"), (spectral, "SpectralNorm"), (twice, "WeightNorm, SpectralNorm")]


def test_parametrizations_are_refused_kept_or_folded() -> None:
    x = torch.randn(1, 4, 7)
    for given, kind in _normed():
        refused = symconv.convert(given, to="lr-shuffle").layers[0]
        assert refused.status == "refused" and f"parametrization ({kind})" in refused.reason and "tie=True" in refused.reason
        weight = given.weight.detach().clone()
        folded, tied = (symconv.convert(given, to="lr-shuffle", **{how: True}) for how in ("fold", "tie"))
        expected = symconv.convert(_plain(given, weight), to="lr-shuffle").module
        for conversion in (folded, tied):
            assert same_bits(conversion.module.conv.weight, expected.conv.weight)
            assert torch.equal(conversion.module(x), expected(x))
        assert not parametrize.is_parametrized(folded.module.conv)
        with pytest.raises(ModelError, match="folded"):
            folded.convert_state_dict(given.state_dict())
        state = given.state_dict()
        assert same_state(tied.convert_state_dict(state), tied.module.state_dict(), ordered=False)
        assert same_state(tied.revert_state_dict(tied.convert_state_dict(state)), state)


def _plain(given: Any, weight: Tensor) -> nn.Module:
    made = nn.ConvTranspose1d(4, 3, 4, 2, 1)
    made.load_state_dict({"weight": weight, "bias": given.bias.detach()})
    return made


def test_tied_training_is_training_of_the_given_layer() -> None:
    given = integers(nn.Sequential(nn.ConvTranspose2d(2, 2, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(2, 1, 4, 2)))
    tied, free = (symconv.convert(given, to="lr-shuffle", tie=tie) for tie in (True, False))
    x = signal(1, 2, 3, 3)
    for module in (given, tied.module, free.module):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
        module(x).square().sum().backward()
        optimizer.step()
    assert same_state(tied.convert_state_dict(given.state_dict()), tied.module.state_dict(), ordered=False)
    with pytest.raises(ModelError, match="left the given layer's class"):  # the lr-shuffle class is strictly larger
        free.revert_state_dict(free.module.state_dict())


def test_shared_parameters_are_refused_or_stay_shared() -> None:
    given = nn.ModuleDict({"a": nn.ConvTranspose2d(2, 2, 4, 2), "b": nn.ConvTranspose2d(2, 2, 4, 2, 1)})
    given["b"].weight = given["a"].weight
    refused = symconv.convert(given, to="lr-shuffle")
    assert all(layer.status == "refused" and "shares its `weight`" in layer.reason for layer in refused.layers)
    assert "`b.weight`" in refused.layers[0].reason
    made = symconv.convert(given, to="lr-shuffle", tie=True).module
    one, two = (made[key].conv.parametrizations.weight.original for key in "ab")
    assert one is two and one is not given["a"].weight


# --- refusals --------------------------------------------------------------------------------------------------------


class Own(nn.ConvTranspose2d):
    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        return super().forward(x).relu()


class Extra(nn.ConvTranspose2d):
    def __init__(self) -> None:
        super().__init__(1, 1, 2, 2)
        self.scale = nn.Parameter(torch.ones(()))


def _with(action: Any) -> nn.Module:
    layer = nn.ConvTranspose2d(1, 1, 2, 2)
    action(layer)
    return layer


def _whole(layer: Any) -> None:
    layer.weight = nn.Parameter(layer.weight.detach().int(), requires_grad=False)


def _subclassed(layer: Any) -> None:
    class Special(nn.Parameter):
        pass

    layer.weight = Special(layer.weight.detach())


REFUSED = {
    "a forward hook": (lambda: _with(lambda m: m.register_forward_hook(lambda *_: None)), "has a forward hook"),
    "a forward pre-hook": (lambda: _with(lambda m: m.register_forward_pre_hook(lambda *_: None)), "has a forward hook"),
    "a backward hook": (lambda: _with(lambda m: m.register_full_backward_hook(lambda *_: None)), "has a backward hook"),
    "a state hook": (lambda: _with(lambda m: m.register_state_dict_pre_hook(lambda *_: None)), "has a state_dict hook"),
    "a gradient hook": (lambda: _with(lambda m: m.weight.register_hook(lambda g: g)), "gradient hook"),
    "its own forward": (lambda: Own(1, 1, 2, 2), "redefines `forward`"),
    "a replaced forward": (lambda: _with(lambda m: setattr(m, "forward", lambda x: x)), "`forward` replaced"),
    "another parameter": (Extra, "holds `scale` besides"),
    "a lazy layer": (lambda: nn.LazyConvTranspose2d(1, 2, 2), "is not initialised"),
    "a kernel of integers": (lambda: _with(_whole), "dense floating point"),
    "a special parameter": (lambda: _with(_subclassed), "not an ordinary parameter"),
    "a wrong shape": (lambda: _with(lambda m: setattr(m, "weight", nn.Parameter(torch.ones(1, 1, 3, 3)))), "has shape"),
    "TorchScript": (lambda: torch.jit.script(nn.ConvTranspose2d(1, 1, 2, 2)), "TorchScript"),
    "a quantized layer": (lambda: torch.ao.nn.quantized.ConvTranspose2d(1, 1, 2, 2), "quantized"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", REFUSED)
def test_layers_that_would_change_are_refused_by_name(what: str) -> None:
    make, message = REFUSED[what]
    given = nn.ModuleDict({"fine": nn.ConvTranspose2d(1, 1, 2, 2), "odd": make()})
    conversion = symconv.convert(given, to="lr-shuffle")
    fine, odd = conversion.layers
    assert fine.status == "converted"
    assert (odd.name, odd.status, odd.after) == ("odd", "refused", None) and "`odd`" in odd.reason and message in odd.reason
    assert type(conversion.module["odd"]) is type(given["odd"])


def test_the_old_spectral_norm_is_refused_or_folded() -> None:
    given = torch.nn.utils.spectral_norm(nn.ConvTranspose2d(2, 3, 4, 2))
    given(torch.randn(1, 2, 3, 3))
    for options in ({}, {"tie": True}):
        assert "parametrizations.spectral_norm" in symconv.convert(given, to="lr-shuffle", **options).layers[0].reason
    made = symconv.convert(given, to="lr-shuffle", fold=True).module
    x = torch.randn(1, 2, 3, 3)
    torch.testing.assert_close(made(x), given.eval()(x))


def test_norms_of_layers_that_stay_are_copied() -> None:
    with pytest.warns(FutureWarning):
        normed = torch.nn.utils.weight_norm(nn.Conv2d(2, 2, 3))
    given = nn.Sequential(normed, nn.ConvTranspose2d(2, 2, 2, 2))
    made = symconv.convert(given, to="lr-shuffle").module
    x = torch.randn(1, 2, 4, 4)
    torch.testing.assert_close(made(x), given(x))
    with torch.no_grad():
        made[0].weight_g.mul_(2)
    assert not torch.equal(made[0](x), given[0](x))


def test_forms_that_do_not_exist_are_said_not_to() -> None:
    given = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.PixelShuffle(2), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(1, 1, 3, padding=1)
    )
    one, two = symconv.convert(given, to="transposed").layers
    assert one.status == "no" and "biases do not fit" in one.reason
    assert two.status == "no" and "borders differently" in two.reason
    assert one.conversion.verdict.trust.value == "certified"
    late = nn.Sequential(nn.Upsample(size=(4, 4)), nn.Conv2d(1, 1, 3))
    assert symconv.convert(late, to="lr-shuffle").layers[0].status == "refused"


def test_unshuffle_says_that_it_takes_fewer_extents() -> None:
    given = integers(nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Conv1d(3, 3, 3)))
    kept = symconv.convert(given, to="unshuffle").layers[0]
    assert kept.status == "no" and "rejects extents that the layer accepts, such as [1, 2]" in kept.reason
    conversion = symconv.convert(given, to="unshuffle", common_extents=True)
    (change,) = conversion.layers
    assert change.conversion.verdict.domain.value == "left_wider" and any("takes extents" in note for note in change.conversion.notes)
    x = signal(1, 2, 6, 4)
    assert torch.equal(given[0](x), conversion.module[0](x))
    with pytest.raises(RuntimeError):
        conversion.module[0](signal(1, 2, 5, 4))


def test_patterns_choose_layers() -> None:
    given = nn.ModuleDict({name: nn.ConvTranspose1d(1, 1, 2, 2) for name in ("enc", "dec1", "dec2")})

    def converted(**options: Any) -> list[str]:
        return [layer.name for layer in symconv.convert(given, to="lr-shuffle", **options).converted]

    assert converted(only="dec*") == ["dec1", "dec2"]
    assert converted(only=("dec*", "enc"), exclude=["*1"]) == ["enc", "dec2"]
    left = symconv.convert(given, to="lr-shuffle", exclude="enc").layers[0]
    assert (left.status, left.reason) == ("left out", "`exclude` names it")
    with pytest.raises(ModelError, match=r"matches no submodule. Did you mean `dec"):
        converted(only="dec3")


def test_wrong_arguments_and_nothing_to_do() -> None:
    layer = nn.ConvTranspose1d(1, 1, 2, 2)
    nothing = symconv.convert(nn.Linear(2, 2), to="lr-shuffle")
    assert nothing.layers == () and isinstance(nothing.module, nn.Linear)
    with pytest.raises(LayerError, match="`to` must be one of"):
        symconv.convert(layer, to="sideways")
    with pytest.raises(LayerError, match="`tie` keeps"):
        symconv.convert(layer, to="lr-shuffle", tie=True, fold=True)
    with pytest.raises(ModelError, match="`channels` is for expressions"):
        symconv.convert(layer, to="lr-shuffle", channels=3)
    with pytest.raises(UsageError, match="are for modules"):
        symconv.convert("ConvTranspose1d(1, 1, 2, stride=2)", to="lr-shuffle", tie=True)
    with pytest.raises(ModelError, match="needed; found int"):
        convert_module(3, "lr-shuffle")
    with pytest.raises(ModelError, match="TorchScript"):
        symconv.convert(torch.jit.trace(layer, torch.ones(1, 1, 3)), to="lr-shuffle")
    layer.weight = nn.Parameter(layer.weight.detach().to_sparse())
    with pytest.raises(ModelError, match="cannot be copied"):
        symconv.convert(layer, to="lr-shuffle")
    loop = nn.Sequential(nn.ReLU())
    loop.append(loop)
    with pytest.raises(ModelError, match="contains itself"):
        symconv.convert(loop, to="lr-shuffle")
    out = symconv.convert(nn.ConvTranspose1d(1, 1, 2, 2), to="lr-shuffle", budget=1e-9)
    assert out.layers[0].status == "unknown" and "budget" in out.layers[0].reason


def test_a_target_s_constraints_choose_the_spelling() -> None:
    given = integers(nn.Sequential(nn.ConvTranspose2d(2, 2, 3, 2, 1, 1, groups=2), nn.ReLU(), nn.ConvTranspose2d(2, 1, 4, 2, 1)))
    made = symconv.convert(given, to="lr-shuffle", target="no-groups,no-depth-to-space,symmetric-pads").module
    assert not any(
        isinstance(part, nn.PixelShuffle) or getattr(part, "groups", 1) > 1 for part in made.modules() if not hasattr(part, "source")
    )
    x = signal(1, 2, 4, 3)
    assert torch.equal(given(x), made(x))
    none = (
        symconv.convert(given, to="transposed", target="no-groups").layers
        + symconv.convert(given[1:2], to="unshuffle", target="max-stride=1").layers
    )
    assert none == ()
    with pytest.raises(UsageError, match="takes max-stride=N"):
        symconv.convert(given, to="lr-shuffle", target="no-fun")


def test_the_record_is_plain() -> None:
    import json

    record = symconv.convert(Decoder(), to="lr-shuffle").to_dict()
    assert json.loads(json.dumps(record)) == record and record["schema"] == "symconv.convert-module/1"
    assert record["layers"][0]["conversion"]["verdict"]["trust"] == "certified"


@pytest.mark.gpu
@pytest.mark.parametrize("tie", (False, True))
def test_devices_are_kept_and_followed(tie: bool) -> None:
    given = integers(Decoder())
    x = signal(1, 3, 4, 5)
    there = symconv.convert(copy.deepcopy(given).cuda(), to="lr-shuffle", tie=tie).module
    moved = symconv.convert(given, to="lr-shuffle", tie=tie).module.cuda()
    on_device = copy.deepcopy(given).cuda()(x.cuda())  # Tanh rounds there as it likes; what comes before it is integers
    for made in (there, moved):
        assert all(parameter.is_cuda for parameter in made.parameters()) and torch.equal(made(x.cuda()), on_device)
    assert torch.equal(there.cpu()(x), given(x))

"""Modules of torch.nn: what they read as, what is refused, and that symconv refuses what PyTorch refuses."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from symconv.conformance.torch_oracle import to_module
from symconv.errors import ExpressionError, ModelError
from symconv.frontends.reference import is_reference, load
from symconv.frontends.signatures import SIGNATURES
from symconv.frontends.text import parse
from symconv.frontends.torch_modules import _readers, from_module
from symconv.layers import NONLINEARITIES, Conv, Identity, Layer, Pointwise, Shuffle, Upsample

CHANNELS, EXTENTS = 4, (5, 6, 7)


def _randomise(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.randint(1, 8, tensor.shape, generator=generator).to(tensor.dtype))
    return module


# an expression in torch's own names is also the code that makes the module
MODULES = [
    *(
        f"Conv{a}d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, padding_mode='{mode}')"
        for a in (1, 2, 3)
        for mode in ("zeros", "reflect")
    ),
    "Conv2d(4, 2, (2, 3), padding='same')",
    "Conv1d(4, 2, 4, padding='same', padding_mode='circular', bias=False)",
    *(f"ConvTranspose{a}d(4, 6, 3, 2, 1, 1, 2, False, 2)" for a in (1, 2, 3)),
    "PixelShuffle(2)",
    "ChannelShuffle(2)",
    "Upsample(scale_factor=2)",
    "Upsample(scale_factor=(2, 3), mode='bilinear')",
    "Upsample(scale_factor=2, mode='trilinear', align_corners=True)",
    "Upsample(scale_factor=2, mode='bicubic')",
    "UpsamplingNearest2d(scale_factor=2)",
    "UpsamplingBilinear2d(scale_factor=2)",
    *(f"{kind}Pad{a}d(2)" for a in (1, 2, 3) for kind in ("Zero", "Reflection", "Replication", "Circular")),
    "ReflectionPad2d((1, 2, 3, -1))",
    "ConstantPad2d((1, 2, -1, 0), 0.0)",
    *(f"AvgPool{a}d(3, 2, 1, True, False)" for a in (1, 2, 3)),
    "AvgPool2d(2, divisor_override=-3)",
    *(f"BatchNorm{a}d(4, eps=0.5)" for a in (1, 2, 3)),
    "BatchNorm2d(4, affine=False)",
    "Identity(3, unused=4)",
    "Dropout2d(0.5)",
    "PReLU(4)",
    "ReLU6()",
    "Threshold(0.5, -1.0)",
    "Softplus(2, 3)",
    *(f"{name}()" for name in sorted(set(NONLINEARITIES) - {"Threshold", "ReLU6"})),
    "Sequential(Sequential(Conv1d(4, 6, 3)), Dropout(), Sequential(ReLU(), Sequential()), ConvTranspose1d(6, 4, 2, 2))",
]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("text", MODULES)
def test_reads_what_pytorch_computes(text: str) -> None:
    module = _randomise(eval(text, vars(nn).copy())).double().eval()
    network = from_module(module)
    axes = network.layer.axes or 2
    assert network.layer.bind(axes) == parse(text).bind(axes)
    assert len(network.weights) == len(network.members)
    x = torch.randn((2, CHANNELS, *EXTENTS[:axes]), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(to_module(network.layer, axes, weights=network.weights)(x), module(x))


def test_pixel_unshuffle_reads_what_pytorch_computes() -> None:
    x = torch.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    assert torch.equal(to_module(from_module(nn.PixelUnshuffle(2)).layer, 2)(x), nn.PixelUnshuffle(2)(x))


def test_expressions_and_modules_know_the_same_layers() -> None:
    assert {base.__name__ for base in _readers()} == set(SIGNATURES) - {"DepthToSpace", "SpaceToDepth", "ZeroInsert", "Crop"}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_exact_copies(dtype: torch.dtype) -> None:
    module = nn.Conv2d(2, 3, 3).to(dtype)
    before = module.weight.detach().clone()
    (weights,) = from_module(module).weights
    assert weights is not None and weights.kernel.dtype == np.float64 and weights.kernel.shape == (3, 2, 3, 3)
    assert (torch.from_numpy(weights.kernel).to(dtype) == before).all()
    assert weights.kernel.ravel().tolist() == before.double().flatten().tolist()
    weights.kernel[...] = 0
    assert torch.equal(module.weight, before)


def test_batch_norm_is_read_in_evaluation_mode() -> None:
    (weights,) = from_module(nn.BatchNorm1d(3, affine=False).train()).weights
    assert weights is not None
    assert [a.tolist() for a in (weights.kernel, weights.bias, weights.mean, weights.variance)] == [[1] * 3, [0] * 3, [0] * 3, [1] * 3]


def test_relu6_with_other_bounds_is_the_hardtanh_that_it_runs_as() -> None:
    module = nn.ReLU6()
    module.max_val = 3.0
    assert from_module(module).members == (Pointwise("Hardtanh", (("min_val", 0.0), ("max_val", 3.0))),)


def test_a_padding_mode_reads_the_padding_that_runs() -> None:
    module = nn.Conv1d(1, 1, 3, padding=1, padding_mode="reflect")
    module.padding = (2,)  # what runs is fixed when the module is made
    (layer,) = from_module(module).members
    assert isinstance(layer, Conv) and layer.padding == ((1, 1),)


# --- weights that are computed -----------------------------------------------------------------------------------------


def _old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(nn.ConvTranspose1d(2, 3, 4).double())


class Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


NORMS = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Conv1d(2, 3, 4).double()),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Conv1d(2, 3, 4).double()),
    "own": lambda: parametrize.register_parametrization(nn.Conv1d(2, 3, 4).double(), "bias", Doubled()),
    "old weight_norm": _old_weight_norm,
    "old spectral_norm": lambda: nn.utils.spectral_norm(nn.Conv1d(2, 3, 4).double()),
}


@pytest.mark.parametrize("make", NORMS.values(), ids=NORMS.keys())
def test_effective_weights(make: Any) -> None:
    module = make().train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3)  # what an old hook has stored is stale now
    before = {key: value.clone() for key, value in module.state_dict().items()}
    network = from_module(module)
    assert module.training and all(part.training for part in module.modules())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    x = torch.randn(1, 2, 9, dtype=torch.float64)
    assert torch.equal(to_module(network.layer, 1, weights=network.weights)(x), module.eval()(x))


# --- what is refused ------------------------------------------------------------------------------------------------


class Overrides(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1


class OverridesInside(nn.Conv2d):
    def _conv_forward(self, *arguments: Any) -> torch.Tensor:
        return super()._conv_forward(*arguments) + 1


class Residual(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(x)


class Plain(nn.Conv2d):
    """A subclass that computes the same."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3)

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def fuse(self) -> None:
        """A new name changes nothing."""


def _changed(module: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def _filled(value: float) -> nn.Module:
    module = nn.Conv1d(1, 1, 2)
    nn.init.constant_(module.weight, value)
    return module


def _hooked(register: str) -> nn.Module:
    module = nn.ReLU()
    getattr(module, register)(lambda *arguments: None)
    return module


def _contains_itself() -> nn.Module:
    module = nn.Sequential()
    module.append(module)
    return module


REFUSED = {
    "another class": (lambda: nn.Linear(2, 2), "`module` (Linear) is not a layer"),
    "inside": (lambda: nn.Sequential(nn.ReLU(), nn.Sequential(nn.MaxPool2d(2))), "`module.1.0` (MaxPool2d)"),
    "container": (lambda: nn.ModuleList([nn.ReLU()]), "not a layer"),
    "forward": (lambda: Overrides(1, 1, 3), "redefines `forward` of Conv2d"),
    "_conv_forward": (lambda: OverridesInside(1, 1, 3), "redefines `_conv_forward`"),
    "residual": (lambda: Residual(nn.ReLU()), "redefines `forward` of Sequential"),
    "patched": (lambda: _changed(nn.ReLU(), forward=lambda x: x), "method `forward` replaced"),
    "forward hook": (lambda: _hooked("register_forward_hook"), "has a forward hook"),
    "pre-hook": (lambda: _hooked("register_forward_pre_hook"), "has a forward hook"),
    "hook on a chain": (lambda: nn.Sequential(nn.ReLU(), _hooked("register_forward_hook")), "`module.1` (ReLU) has a forward hook"),
    "pruned": (lambda: prune.l1_unstructured(nn.Conv1d(1, 1, 3), "weight", 1), "hook `L1Unstructured`"),
    "lazy": (lambda: nn.LazyConv2d(3, 3), "not initialised; run it once"),
    "lazy in a chain": (lambda: nn.Sequential(nn.LazyConvTranspose1d(3, 3)), "`module.0` (LazyConvTranspose1d) is not initialised"),
    "meta": (lambda: nn.Conv1d(1, 1, 3, device="meta"), "`module.weight` is on the meta device"),
    "complex": (lambda: nn.Conv1d(1, 1, 3, dtype=torch.complex64), "`module.weight` must be real floating point"),
    "integers": (lambda: _changed(nn.Conv1d(1, 1, 3), weight=nn.Parameter(torch.ones(1, 1, 3).int(), False)), "found torch.int32"),
    "sparse": (lambda: _changed(nn.Conv1d(1, 1, 3), weight=nn.Parameter(torch.ones(1, 1, 3).to_sparse())), "must be dense"),
    "infinite": (lambda: _filled(float("inf")), "`module.weight` must be finite; found inf at (0, 0, 0)"),
    "nan": (lambda: _filled(float("nan")), "found nan"),
    "another shape": (lambda: _changed(nn.Conv1d(1, 1, 3), kernel_size=(2,)), "has shape (1, 1, 3), but"),
    "refused by PyTorch": (lambda: nn.ConvTranspose1d(1, 1, 3, 2, output_padding=2), "Use at most 1."),
    "size": (lambda: nn.Upsample(size=4), "`Upsample.size`"),
    "fraction": (lambda: nn.Upsample(scale_factor=1.5), "whole number"),
    "constant": (lambda: nn.ConstantPad1d(1, 2.0), "only padding with 0"),
    "no statistics": (lambda: nn.BatchNorm1d(2, track_running_stats=False), "no running statistics"),
    "no variance": (lambda: _changed(nn.BatchNorm1d(1, eps=0), running_var=torch.zeros(1)), "must be positive"),
    "itself": (_contains_itself, "contains itself"),
    "no module": (lambda: "Conv2d", "an nn.Module is needed; found str"),
    "no member": (lambda: _changed(nn.Sequential(nn.ReLU()), **{"0": None}), "`module.0` (NoneType)"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(make: Any, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        from_module(make())
    assert words in str(caught.value)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_modules_are_refused() -> None:
    from torch.ao.nn import quantized

    for module in (quantized.Conv2d(1, 1, 3), nn.Sequential(quantized.ConvTranspose1d(1, 1, 3))):
        with pytest.raises(ModelError, match="not a layer"):
            from_module(module)


def test_subclasses_that_change_nothing_are_read() -> None:
    (layer,) = from_module(Plain(2)).members
    assert layer == Conv.make(2, 2, 2, 3)


def test_a_lazy_module_is_read_once_it_has_run() -> None:
    module = nn.LazyConv1d(2, 3)
    module(torch.zeros(1, 4, 5))
    assert from_module(module).members == (Conv.make(1, 4, 2, 3),)


# --- references -----------------------------------------------------------------------------------------------------

SOURCE = """
import torch
from torch import nn
print("on standard output")
net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.PixelShuffle(1))
class Net(nn.Sequential):
    def __init__(self, channels=2):
        super().__init__(nn.ReLU())
class Holder:
    up = nn.Upsample(scale_factor=2)
    @property
    def broken(self):
        raise RuntimeError("first line\\nsecond line")
holder = Holder()
def make(): return nn.Dropout()
def needs(x): return x
def leaves(): raise SystemExit(3)
number = 3
"""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a.b:c", True),
        (" a:b.c.0 ", True),
        ("a/b.py:c", True),
        ("a:", True),
        ("ReLU()", False),
        ("ReLU() # x: y", False),
        ("ReLU", False),
        ("lambda: ReLU()", False),
        ("", False),
    ],
)
def test_references_are_told_from_expressions(text: str, meant: bool) -> None:
    assert is_reference(text) == meant


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "their").mkdir()
    (tmp_path / "their" / "__init__.py").write_text("")
    (tmp_path / "their" / "model.py").write_text(SOURCE)
    (tmp_path / "raises.py").write_text("raise ValueError('first line\\nsecond line')")
    (tmp_path / "leaves.py").write_text("raise SystemExit(0)")
    (tmp_path / "misses.py").write_text("import not_there_at_all")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("their", "their.model", "raises", "leaves", "misses"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("reference", "members"),
    [
        ("their.model:net", (Conv.make(2, 1, 2, 3), Shuffle((1, 1)))),
        ("their.model:net.1", (Shuffle((1, 1)),)),
        ("their.model:Net", (Pointwise("ReLU"),)),
        ("their.model:holder.up", (Upsample(2),)),
        ("their.model:Holder.up", (Upsample(2),)),
        ("their.model:make", (Identity(),)),
    ],
)
def test_load(folder: Path, capsys: pytest.CaptureFixture[str], reference: str, members: tuple[Layer, ...]) -> None:
    path = list(sys.path)
    network = load(reference)
    assert network.members == members and network.source == reference
    assert sys.path == path
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("their.model", "has the form `package.module:attribute`"),
        ("their.model:", "has the form"),
        ("their/model.py:net", "has the form"),
        (":net", "has the form"),
        ("nothere:net", "there is no module `nothere`"),
        ("their.nothere:net", "there is no module `their.nothere`"),
        ("their.model.deeper:net", "there is no module `their.model.deeper`"),
        ("misses:net", "importing `misses` fails: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("raises:net", "importing `raises` fails: ValueError: first line"),
        ("leaves:net", "importing `leaves` fails: SystemExit: 0"),
        ("their.model:nett", "there is no attribute `nett`. Did you mean `net`"),
        ("their.model:net.7", "there is no attribute `7`"),
        ("their.model:holder.broken", "reading `broken` fails: RuntimeError: first line"),
        ("their.model:number", "must be an nn.Module or make one; found int"),
        ("their.model:needs", "cannot be called without arguments: TypeError"),
        ("their.model:leaves", "cannot be called without arguments: SystemExit"),
        ("their.model:Holder", "must return an nn.Module; found Holder"),
        ("their.model:nn.Linear", "cannot be called without arguments: TypeError"),
        ("their.model:torch.nn.Softmax", "`their.model:torch.nn.Softmax` (Softmax) is not a layer"),
    ],
)
def test_load_fails_in_one_line(folder: Path, reference: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(reference)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# --- symconv refuses a layer iff PyTorch does --------------------------------------------------------------------------

EXTENT = {1: 24, 2: 16, 3: 12}
MODES = st.sampled_from(["zeros", "reflect", "replicate", "circular"])


def _ints(axes: int, low: int, high: int, odd: int = 0) -> st.SearchStrategy[Any]:
    """Mostly legal values, seldom `odd`, as an int or one per axis."""
    value = st.integers(low, high) if low == odd else st.one_of(st.integers(low, high), st.integers(low, high), st.integers(odd, high))
    return value | st.tuples(*[value] * axes)


def _agree(name: str, axes: int, channels: int, arguments: dict[str, Any]) -> None:
    refusal: ExpressionError | None = None
    try:
        parse(f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})")
    except ExpressionError as error:
        refusal = error
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            getattr(nn, name)(**arguments)(torch.zeros((1, max(channels, 1), *[EXTENT[axes]] * axes)))
        except (RuntimeError, ValueError, TypeError, NotImplementedError, IndexError) as error:
            assert refusal is not None, f"PyTorch refuses: {error}"
        else:
            assert refusal is None, f"PyTorch allows: {refusal}"


@given(st.integers(1, 3), st.data())
@settings(max_examples=80)
def test_conv_is_legal_iff_pytorch_allows_it(axes: int, data: st.DataObject) -> None:
    mode = data.draw(MODES)
    least = -1 if mode == "zeros" else 0  # PyTorch takes negative paddings in the other modes; symconv writes them as Crop
    arguments = {
        "in_channels": data.draw(st.integers(1, 6)),
        "out_channels": data.draw(st.integers(0, 6)),
        "kernel_size": data.draw(_ints(axes, 1, 3)),
        "stride": data.draw(_ints(axes, 1, 3)),
        "padding": data.draw(_ints(axes, 0, 2, least) | st.sampled_from(["same", "valid", "full"])),
        "dilation": data.draw(_ints(axes, 1, 3)),
        "groups": data.draw(st.sampled_from([1, 1, 2, 3, 0, -1])),
        "padding_mode": mode,
    }
    _agree(f"Conv{axes}d", axes, arguments["in_channels"], arguments)


@given(st.integers(1, 3), st.data())
@settings(max_examples=80)
def test_conv_transpose_is_legal_iff_pytorch_allows_it(axes: int, data: st.DataObject) -> None:
    arguments = {
        "in_channels": data.draw(st.integers(1, 6)),
        "out_channels": data.draw(st.integers(0, 6)),
        "kernel_size": data.draw(_ints(axes, 1, 3)),
        "stride": data.draw(_ints(axes, 1, 3)),
        "padding": data.draw(_ints(axes, 0, 2, -1)),
        "output_padding": data.draw(_ints(axes, 0, 3, -1)),
        "groups": data.draw(st.sampled_from([1, 1, 2, 3, 0])),
        "dilation": data.draw(_ints(axes, 1, 3)),
        "padding_mode": data.draw(st.sampled_from(["zeros", "zeros", "zeros", "reflect", "circular"])),
    }
    _agree(f"ConvTranspose{axes}d", axes, arguments["in_channels"], arguments)


@given(st.integers(1, 3), st.data())
@settings(max_examples=80)
def test_avg_pool_is_legal_iff_pytorch_allows_it(axes: int, data: st.DataObject) -> None:
    arguments = {
        "kernel_size": data.draw(_ints(axes, 1, 5, -1)),
        "stride": data.draw(st.none() | _ints(axes, 1, 3, -1)),
        "padding": data.draw(_ints(axes, 0, 3, -1)),
        "ceil_mode": data.draw(st.booleans()),
        "count_include_pad": data.draw(st.booleans()),
    }
    if axes > 1:
        arguments["divisor_override"] = data.draw(st.sampled_from([None, None, 3, -2, 0]))
    _agree(f"AvgPool{axes}d", axes, 2, arguments)


@pytest.mark.parametrize("r", [-2, -1, 0, 1, 2, 3, 2.0, "2", None])
@pytest.mark.parametrize("name", ["PixelShuffle", "PixelUnshuffle"])
def test_pixel_shuffle_is_legal_iff_pytorch_allows_it(name: str, r: object) -> None:
    extent = 12
    try:
        getattr(nn, name)(r)(torch.zeros(1, 36, extent, extent))
        allowed = True
    except (RuntimeError, TypeError):
        allowed = False
    try:
        parse(f"{name}({r!r})")
        ours = True
    except ExpressionError:
        ours = False
    assert ours == allowed


ARGUMENTS = st.sampled_from([-2.0, -1, -0.5, 0, 0.5, 1, 2.5])


@given(st.sampled_from(sorted(name for name in NONLINEARITIES if NONLINEARITIES[name] and name != "GELU")), st.data())
@settings(max_examples=60)
def test_nonlinearities_are_legal_iff_pytorch_allows_them(name: str, data: st.DataObject) -> None:
    values = [data.draw(ARGUMENTS) for _ in NONLINEARITIES[name]]
    try:
        getattr(nn, name)(*values)(torch.zeros(1))
        allowed = True
    except (RuntimeError, AssertionError):
        allowed = False
    try:
        parse(f"{name}({', '.join(map(repr, values))})")
        ours = True
    except ExpressionError:
        ours = False
    assert ours == allowed

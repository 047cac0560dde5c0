"""Models that people ship, from installed packages with random weights: every transposed convolution is rewritten, or refused rightly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn

import symconv

torch.set_num_threads(1)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@attrs.frozen
class Case:
    """A model, and how to run it at an extent."""

    make: Callable[[], nn.Module]
    run: Callable[[Any, int], Any]
    extents: tuple[int, int, int]
    refused: tuple[str, ...] = ()
    """Layers that are not rewritten, for they hold a parametrization; tie=True rewrites them."""


def _sam() -> nn.Module:
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    vision = SamVisionConfig(
        hidden_size=16, output_channels=16, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16, mlp_dim=16,
        window_size=2, global_attn_indexes=[0],
    )  # fmt: skip
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16)
    return SamModel(
        SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompt.to_dict(), mask_decoder_config=decoder.to_dict())
    )


def _run_sam(model: Any, n: int) -> Any:
    image, position = noise(1, 16, n, n + 1), noise(1, 16, n, n + 1, seed=2)
    return model.mask_decoder(
        image_embeddings=image, image_positional_embeddings=position, sparse_prompt_embeddings=noise(1, 1, 2, 16),
        dense_prompt_embeddings=noise(1, 16, n, n + 1, seed=3), multimask_output=True,
    )  # fmt: skip


def _dpt() -> nn.Module:
    from transformers import DPTConfig, DPTForDepthEstimation

    return DPTForDepthEstimation(
        DPTConfig(
            hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
            neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, backbone_out_indices=[0, 1, 2, 3], is_hybrid=False,
        )
    )  # fmt: skip


def _vits() -> nn.Module:
    from transformers import VitsConfig, VitsModel

    return VitsModel(
        VitsConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, ffn_dim=16, flow_size=8, spectrogram_bins=17, upsample_initial_channel=16,
            upsample_rates=[4, 2], upsample_kernel_sizes=[8, 4], resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1, 3]],
            duration_predictor_filter_channels=16, prior_encoder_num_wavenet_layers=1, posterior_encoder_num_wavenet_layers=1,
            depth_separable_channels=2, vocab_size=10,
        )
    )  # fmt: skip


def _hifigan() -> nn.Module:
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    return SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=8, upsample_initial_channel=32, upsample_rates=[4, 2, 3], upsample_kernel_sizes=[8, 4, 7], resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3]],
        )
    )  # fmt: skip


def _encodec() -> nn.Module:
    from transformers import EncodecConfig, EncodecModel

    return EncodecModel(
        EncodecConfig(
            hidden_size=16,
            num_filters=4,
            num_residual_layers=1,
            upsampling_ratios=[4, 2],
            codebook_size=8,
            codebook_dim=16,
            num_lstm_layers=1,
        )
    )


def _swin() -> nn.Module:
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    return Swin2SRForImageSuperResolution(Swin2SRConfig(embed_dim=16, depths=[1], num_heads=[2], window_size=4, image_size=16, upscale=2))


CASES = {
    "SAM": Case(_sam, _run_sam, (3, 5, 6)),
    "DPT": Case(_dpt, lambda model, n: model(noise(1, 3, 8 * n, 8 * n)), (2, 3, 6)),
    "VITS": Case(_vits, lambda model, n: model(torch.arange(n)[None] % 10), (3, 6, 9)),
    "HiFi-GAN": Case(_hifigan, lambda model, n: model(noise(2, n, 8)), (5, 7, 11)),
    "EnCodec": Case(
        _encodec, lambda model, n: model(noise(1, 1, n)), (64, 100, 131), ("decoder.layers.3.conv", "decoder.layers.6.conv")
    ),
    "Swin2SR": Case(_swin, lambda model, n: model(noise(1, 3, n, n + 4)), (8, 12, 20)),
}  # fmt: skip


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(seed)).double() / 8


def _dyadic(model: nn.Module) -> nn.Module:
    """Weights that are multiples of 1/64, as far as they are no product of a parametrization."""
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-16, 17, parameter.shape, generator=source).double() / 64 + (parameter.dim() == 1) / 8)
    return model


def _onto_grid(model: nn.Module, names: list[str]) -> None:
    """What a layer receives is rounded to multiples of 2**-10; its weights are multiples of 2**-12 already.

    Then every sum is exact in float64, whatever its order, and the two models must agree to the last bit.
    """
    for name in names:
        model.get_submodule(name).register_forward_pre_hook(lambda _, given: (torch.round(given[0] * 1024).clamp(-(2**20), 2**20) / 1024,))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        yield from itertools.chain.from_iterable(map(_tensors, value))
    elif hasattr(value, "values"):
        yield from itertools.chain.from_iterable(map(_tensors, value.values()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("to", ("lr-shuffle", "zero-insertion"))
@pytest.mark.parametrize("name", CASES)
def test_shipped_models_are_rewritten_exactly(name: str, to: str) -> None:
    pytest.importorskip("transformers")
    case = CASES[name]
    torch.manual_seed(0)
    given = _dyadic(case.make().double().eval())
    transposed = [path for path, part in given.named_modules() if isinstance(part, TRANSPOSED)]
    plain = symconv.convert(given, to=to)
    refused = {layer.name: layer for layer in plain.layers if layer.status == "refused"}
    assert set(refused) == set(case.refused) and all("WeightNorm" in layer.reason for layer in refused.values())
    assert {layer.name for layer in plain.converted if layer.name in transposed} == set(transposed) - set(case.refused)

    _round_weights(given, case.refused)
    conversion = symconv.convert(given, to=to, tie=bool(case.refused))
    assert not any(isinstance(part, TRANSPOSED) for part in conversion.module.modules())
    assert all(layer.conversion.verdict.trust.value == "certified" for layer in conversion.converted)
    _onto_grid(given, transposed)
    _onto_grid(conversion.module, transposed)
    for extent in case.extents:
        with torch.no_grad():
            outputs = []
            for model in (given, conversion.module):
                torch.manual_seed(5)
                outputs.append(list(_tensors(case.run(model, extent))))
        assert any(out.is_floating_point() and out.unique().numel() > 2 for out in outputs[0])
        assert all(torch.equal(one, other) for one, other in zip(*outputs, strict=True)), (name, extent)
    state = given.state_dict()
    moved = conversion.convert_state_dict(state)
    conversion.module.load_state_dict(moved)
    back = conversion.revert_state_dict(moved)
    assert list(back) == list(state) and all(torch.equal(value, back[key]) for key, value in state.items())


def _round_weights(model: nn.Module, names: tuple[str, ...]) -> None:
    """Appends a rounding to parametrizations, so that the weights that they make are dyadic too."""
    for name in names:
        nn.utils.parametrize.register_parametrization(model.get_submodule(name), "weight", _Round())


class _Round(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return torch.round(weight * 4096) / 4096


class Small(nn.Module):
    """One layer of each kind that a conversion may leave in a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.ConvTranspose2d(2, 3, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(3, 2, 3, 3, 1, 1))
        self.resize = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 3, padding=1))
        self.line = nn.ConvTranspose1d(2, 3, 5, 2, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.line(self.resize(self.up(x)).flatten(2))


def _integers(module: nn.Module) -> nn.Module:
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=source))
    return module.eval()


SIZES = ((1, 4, 7), (3, 6, 3), (1, 2, 2))


def _dynamic() -> Any:
    dim = torch.export.Dim
    return ({0: dim("batch", min=1), 2: dim("height", min=2, max=512), 3: dim("width", min=2, max=512)},)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tie", (False, True))
@pytest.mark.parametrize("to", ("lr-shuffle", "transposed", "zero-insertion"))
def test_converted_modules_export_and_compile_with_free_extents(to: str, tie: bool) -> None:
    given = _integers(Small())
    made = symconv.convert(given, to=to, tie=tie).module
    x = torch.ones(2, 2, 5, 6)
    torch._dynamo.reset()
    exported = torch.export.export(made, (x,), dynamic_shapes=_dynamic()).module()
    compiled = torch.compile(made, backend="aot_eager", fullgraph=True, dynamic=True)
    with torch.no_grad():
        for batch, height, width in SIZES:
            x = torch.randint(-3, 4, (batch, 2, height, width)).float()
            assert torch.equal(exported(x), given(x)) and torch.equal(compiled(x), given(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tie", (False, True))
@pytest.mark.parametrize("to", ("lr-shuffle", "zero-insertion"))
def test_converted_modules_run_in_onnx_runtime_with_free_extents(to: str, tie: bool, tmp_path: Any) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    given = _integers(Small())
    path = str(tmp_path / "made.onnx")
    made = symconv.convert(given, to=to, tie=tie).module
    torch.onnx.export(made, (torch.ones(2, 2, 5, 6),), path, dynamo=True, dynamic_shapes=_dynamic(), verbose=False)
    assert not any(node.op_type == "ConvTranspose" for node in onnx.load(path).graph.node)
    session = runtime.InferenceSession(path)
    for batch, height, width in SIZES:
        x = torch.randint(-3, 4, (batch, 2, height, width)).float()
        (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        with torch.no_grad():
            assert torch.equal(torch.from_numpy(out), given(x))

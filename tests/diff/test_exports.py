"""Real models, exported: the same across operator sets, up to a proved distance where BatchNorm is folded, and after conversion."""

import warnings

import onnx
import pytest
import torch
from models_for_diff import mutations
from models_from_papers import PAPERS

import symconv
from symconv.app.main import main
from symconv.prove.graphs.outcome import Likeness

pytestmark = pytest.mark.slow


def export(module, inputs, path, opset, fold=False, dynamic=True):
    axes = {"x": {k: f"d{k}" for k in range(inputs.ndim) if k != 1}} if dynamic else None
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (inputs,), str(path), input_names=["x"], opset_version=opset, dynamo=False, dynamic_axes=axes, training=mode,
            do_constant_folding=fold,
        )  # fmt: skip
    return path


def paper(name):
    torch.manual_seed(0)
    constructor, width, shape, _ = PAPERS[name]
    module = constructor(width).eval()
    for part in module.modules():
        if hasattr(part, "running_var"):
            part.running_var.uniform_(0.5, 2)
            part.running_mean.normal_()
    return module, torch.zeros(1, *shape)


@pytest.mark.parametrize("name", PAPERS)
def test_an_export_is_itself_at_another_operator_set_and_after_conversion(name, tmp_path, capsys):
    module, x = paper(name)
    a, b = export(module, x, tmp_path / "a.onnx", 13), export(module, x, tmp_path / "b.onnx", 17)
    assert symconv.diff(a, b).relation is Likeness.IDENTICAL
    for form in ("lr-shuffle", "zero-insertion"):
        out = tmp_path / f"{form}.onnx"
        assert main(["convert", str(b), "-o", str(out), "--to", form]) == 0
        assert out.exists() or name == "ESPCN"  # which has no transposed convolution
        if out.exists():
            found = symconv.diff(a, out)
            assert found.relation is Likeness.IDENTICAL and found.rows, form
    if name in ("ESPCN", "FSRCNN"):
        assert symconv.diff(module, b).relation is Likeness.IDENTICAL
    capsys.readouterr()


def test_folded_batch_norm_is_equal_up_to_a_proved_distance(tmp_path):
    module, x = paper("UNet3d")
    a, b = export(module, x, tmp_path / "a.onnx", 17), export(module, x, tmp_path / "b.onnx", 17, fold=True)
    found = symconv.diff(a, b, budget=240)
    assert found.relation is Likeness.UP_TO
    assert all(row.distance < row.gain / 10**5 for row in found.rows)


def small_transformers():
    import transformers as t

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 32,
        "patch_size": 16,
    }
    dpt = t.DPTConfig(**sizes, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 16, 16, 16], fusion_hidden_size=16, is_hybrid=False)
    swin = t.Swin2SRConfig(image_size=16, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4, upscale=2, mlp_ratio=2.0)
    codec = t.EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=16, target_bandwidths=[1.5])
    yield "dpt", t.DPTForDepthEstimation(dpt), (1, 3, 32, 32)
    yield "swin2sr", t.Swin2SRForImageSuperResolution(swin), (1, 3, 16, 16)
    yield "hifigan", t.SpeechT5HifiGan(t.SpeechT5HifiGanConfig(model_in_dim=8, upsample_initial_channel=16)), (1, 20, 8)
    yield "encodec", t.EncodecModel(codec).decoder, (1, 16, 20)


@pytest.mark.parametrize("which", range(4))
def test_transformers_across_operator_sets_and_mutated(which, tmp_path):
    name, module, shape = list(small_transformers())[which]
    x = torch.zeros(shape)
    a, b = (export(module.eval(), x, tmp_path / f"{opset}.onnx", opset, fold=True, dynamic=False) for opset in (14, 17))
    assert symconv.diff(a, b).relation is Likeness.IDENTICAL, name  # LayerNormalization is one operator in 17, nine in 14
    mutant, refuted = tmp_path / "mutant.onnx", 0
    for what, proto in mutations(onnx.load(a), 7, 10):
        onnx.save(proto, mutant)
        found = symconv.diff(a, mutant)
        assert found.relation is not Likeness.IDENTICAL, what
        assert found.cause, what
        refuted += found.relation is Likeness.DIFFERENT
    assert refuted >= {"dpt": 8, "swin2sr": 5, "hifigan": 7, "encodec": 4}[name]  # the others: last bits, shapes no runtime takes

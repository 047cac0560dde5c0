"""Models that people ship, exported by PyTorch with free extents: every transposed convolution is rewritten, exactly, and back."""

import inspect
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from models_from_papers import PAPERS
from onnx import TensorProto, helper

from symconv.app.convert_model import convert_model
from symconv.app.main import main

ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
torch.set_num_threads(1)
nn = torch.nn


def make_integer(module):
    """Sparse weights of -1, 0 and 1, so that sums of many layers stay integers below 2^24: every runtime computes them exactly."""
    random = np.random.default_rng(0)
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                child.eps = 0.0
                child.running_mean.zero_(), child.running_var.fill_(1), child.weight.fill_(1), child.bias.fill_(1)
                continue
            for parameter in child.parameters(recurse=False):
                values = np.zeros(parameter.shape, dtype="f4").reshape(parameter.shape[0], -1)
                for row in values:
                    row[random.integers(0, row.size, 2)] = random.choice([-1, 1], 2)
                parameter.copy_(torch.from_numpy(values.reshape(parameter.shape)))
    for child in module.modules():  # what convolves on transposed axes needs more than two taps to be told from its mirror image
        if isinstance(child, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            with torch.no_grad():
                child.weight.copy_(torch.from_numpy(random.integers(-1, 2, child.weight.shape).astype("f4")))
    return module.eval()


def exported(module, arguments, free, path, *, dynamo):
    """Writes the model; `free` has the axes of each argument that stay free."""
    names = list(inspect.signature(module.forward).parameters)[: len(arguments)]
    axes = dict(zip(names, free, strict=True))
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = {name: dict.fromkeys(axes[name], torch.export.Dim.DYNAMIC) or None for name in names}
            torch.onnx.export(
                module, arguments, str(path), dynamo=True, dynamic_shapes=shapes, input_names=names, verbose=False, external_data=False
            )
        else:
            named = {name: {axis: f"{name}_{axis}" for axis in held} for name, held in axes.items()}
            torch.onnx.export(module, arguments, str(path), dynamo=False, dynamic_axes=named, input_names=names, opset_version=17)
    logging.disable(logging.NOTSET)


def session(proto):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # else the same node may sum in another order
    content = proto if isinstance(proto, (str, bytes)) else proto.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(path, values):
    found = session(str(path))
    return found.run(None, {item.name: value for item, value in zip(found.get_inputs(), values, strict=True)})


def whole_numbers(shape, seed):
    return np.random.default_rng(seed).integers(-2, 3, shape).astype("f4")


def layer_model(proto, start, end, channels):
    """The nodes from one value to another as a model of their own."""
    graph = proto.graph
    producers = {value: node for node in graph.node for value in node.output}
    stored = {item.name: item for item in graph.initializer}
    wanted, waiting, tensors = [], [end], {}
    while waiting:
        value = waiting.pop()
        if value in stored:
            tensors[value] = stored[value]
        elif value != start and value and producers[value] not in wanted:
            wanted.append(producers[value])
            waiting += producers[value].input
    rank = next(
        len(item.dims) for node in wanted if node.op_type in ("Conv", "ConvTranspose") for item in [_kernel(node, stored, producers)]
    )
    free = ["n", channels, *(f"e{axis}" for axis in range(rank - 2))]
    made = helper.make_graph(
        [node for node in graph.node if node in wanted], "layer", [helper.make_tensor_value_info(start, TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, [None] * rank)], list(tensors.values()),
    )  # fmt: skip
    return helper.make_model(made, opset_imports=list(proto.opset_import), ir_version=proto.ir_version), rank


def _kernel(node, stored, producers):
    name = node.input[1]
    return stored[name] if name in stored else next(a.t for a in producers[name].attribute if a.name == "value")


def check(folder, path, inputs, *, count, exact):
    """Rewrites, verifies, runs at extents that the export did not see, compares layer by layer and as a whole, and goes back."""
    before = onnx.load(str(path))
    for to in ("lr-shuffle", "zero-insertion"):
        out, back = folder / f"{to}.onnx", folder / f"{to}-back.onnx"
        done = convert_model(path, to, output=out)
        assert done.exit_code == 0 and len(done.plan.changes) == count, [stay for stay in done.plan.stays if stay.status != "kept"]
        if not count:
            return
        after = onnx.load(str(out))
        assert "ConvTranspose" not in {node.op_type for node in after.graph.node}
        assert all(change.choice.verdict.trust.value == "certified" for change in done.plan.changes)
        onnx.checker.check_model(str(out), full_check=True)
        for values in inputs:
            for left, right in zip(run(path, values), run(out, values), strict=True):
                assert left.shape == right.shape
                if exact:
                    assert np.isfinite(left).all() and np.array_equal(left, right)
        record = json.loads((folder / f"{to}.symconv.json").read_text())
        for layer in record["layers"]:
            certificate = record["certificates"][layer["certificate"]]
            models = [layer_model(proto, layer["input"], layer["output"], certificate["in_channels"]) for proto in (before, after)]
            for n in (1, 3, 4):
                value = whole_numbers((1, certificate["in_channels"], *(n + axis for axis in range(models[0][1] - 2))), n)
                left, right = (session(proto).run(None, {layer["input"]: value})[0] for proto, _ in models)
                assert left.shape == right.shape and np.array_equal(left, right), layer["name"]
        names = tuple(layer["name"] for layer in record["layers"])
        changed = convert_model(out, "transposed", output=back, only=names)
        held = {(tuple(item.dims), item.raw_data) for item in onnx.load(str(back)).graph.initializer}
        assert len(changed.plan.changes) == len(names) and changed.exit_code == 0  # a crop of the model's own may have joined its layer
        for layer in record["layers"]:
            for tensor in filter(None, (layer["before"]["kernel"], layer["before"]["bias"])):
                assert _stored(before, tensor["value"]) in held


def _stored(proto, name):
    for item in proto.graph.initializer:
        if item.name == name:
            return tuple(item.dims), item.raw_data
    node = next(node for node in proto.graph.node if name in node.output)
    if node.op_type == "Identity":
        return _stored(proto, node.input[0])
    held = next(a.t for a in node.attribute if a.name == "value")
    return tuple(held.dims), held.raw_data


COUNTS = {"DCGAN": 5, "FCN8s": 3, "FSRCNN": 1, "ESPCN": 0, "UNet3d": 3}


@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PAPERS)
def test_networks_of_papers(tmp_path, name, dynamo):
    make, width, shape, others = PAPERS[name]
    module, path = make_integer(make(width)), tmp_path / "model.onnx"
    sample = torch.zeros(2, shape[0], *(2 * n if dynamo else n for n in shape[1:]))
    exported(
        module,
        (sample,),
        [range(2, len(shape) + 1) if dynamo and name != "UNet3d" else () if dynamo else (0, *range(2, len(shape) + 1))],
        path,
        dynamo=dynamo,
    )
    extents = others if not (dynamo and name == "UNet3d") else (tuple(sample.shape[2:]),)
    inputs = [[whole_numbers((2, shape[0], *n), k)] for k, n in enumerate(extents)]
    check(tmp_path, path, inputs, count=COUNTS[name], exact=True)


def sam():
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    vision = SamVisionConfig(
        hidden_size=16, output_channels=16, num_hidden_layers=1, num_attention_heads=2, image_size=64, patch_size=16, mlp_dim=16,
        window_size=2, global_attn_indexes=[0],
    )  # fmt: skip
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=64, patch_size=16, mask_input_channels=4)
    mask = SamMaskDecoderConfig(hidden_size=16, mlp_dim=16, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=16)
    parts = {"vision_config": vision.to_dict(), "prompt_encoder_config": prompt.to_dict(), "mask_decoder_config": mask.to_dict()}
    decoder = SamModel(SamConfig(**parts)).mask_decoder

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = decoder

        def forward(self, image, position, sparse, dense):
            return self.decoder(
                image_embeddings=image, image_positional_embeddings=position, sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense, multimask_output=True,
            )[0]  # fmt: skip

    shapes = [[(1, 16, h, w), (1, 16, h, w), (1, 1, 2, 16), (1, 16, h, w)] for h, w in ((4, 5), (3, 3), (6, 4), (2, 7))]
    return Decoder(), shapes, [(2, 3), (2, 3), (), (2, 3)], 2


def dpt():
    from transformers import DPTConfig, DPTForDepthEstimation

    config = DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, backbone_out_indices=[0, 1, 2, 3], is_hybrid=False,
    )  # fmt: skip
    inner = DPTForDepthEstimation(config)

    class Depth(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, pixels):
            return self.inner(pixels).predicted_depth

    return Depth(), [[(n, 3, 32, 32)] for n in (2, 1, 3, 4)], [(0,)], 2  # its position embeddings fix the extents


RESBLOCKS = {"resblock_kernel_sizes": [3, 7], "resblock_dilation_sizes": [[1, 3], [1, 3]]}
"""Two, so that their mean is exact."""


def hifi_gan():
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    config = SpeechT5HifiGanConfig(model_in_dim=8, upsample_initial_channel=32, leaky_relu_slope=0.0, **RESBLOCKS)
    return SpeechT5HifiGan(config), [[(n, 8)] for n in (5, 3, 7, 11)], [(0,)], 4


def vits():
    from transformers import VitsConfig
    from transformers.models.vits.modeling_vits import VitsHifiGan

    config = VitsConfig(hidden_size=16, flow_size=8, upsample_initial_channel=32, leaky_relu_slope=0.0, **RESBLOCKS)
    return VitsHifiGan(config), [[(1, 8, n)] for n in (5, 3, 7, 11)], [(2,)], 4


def encodec():
    from transformers import EncodecConfig, EncodecModel

    config = EncodecConfig(hidden_size=16, num_filters=4, codebook_size=16, codebook_dim=16, upsampling_ratios=[4, 2], num_lstm_layers=1)
    return EncodecModel(config).decoder, [[(1, 16, n)] for n in (6, 4, 9, 13)], [(2,)], 2


def swin2sr():
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    inner = Swin2SRForImageSuperResolution(
        Swin2SRConfig(image_size=16, embed_dim=12, depths=[1], num_heads=[2], window_size=4, upscale=4, upsampler="pixelshuffle")
    )

    class Resolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, pixels):
            return self.inner(pixels).reconstruction

    return Resolution(), [[(n, 3, 16, 16)] for n in (2, 1, 3, 4)], [(0,)], 0


SHIPPED = {"sam": sam, "dpt": dpt, "hifi_gan": hifi_gan, "vits": vits, "encodec": encodec, "swin2sr": swin2sr}
EXACT = ("hifi_gan", "vits")
"""Models of convolutions and functions of one number alone; the others normalise or attend, and are compared layer by layer."""


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_models_of_transformers(tmp_path, name, dynamo):
    pytest.importorskip("transformers")
    if name == "encodec" and dynamo:
        pytest.skip("torch.export refuses its padding, which depends on data")
    torch.manual_seed(0)
    module, shapes, free, count = SHIPPED[name]()
    for child in module.modules():
        for held in list(getattr(child, "parametrizations", ())):  # weight normalisation, which makes no integers
            torch.nn.utils.parametrize.remove_parametrizations(child, held)
    module, path = make_integer(module), tmp_path / "model.onnx"
    exported(module, tuple(torch.zeros(shape) for shape in shapes[0]), free, path, dynamo=dynamo)
    inputs = [[whole_numbers(shape, k) for k, shape in enumerate(held)] for held in shapes[1:]]
    check(tmp_path, path, inputs, count=count, exact=name in EXACT)


@pytest.mark.slow
def test_weight_norm_in_the_graph_is_refused_with_its_reason(tmp_path, capsys):
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(2, 3, 4, 2, 1))
    exported(layer, (torch.zeros(1, 2, 5),), [(2,)], tmp_path / "model.onnx", dynamo=False)
    kernel = next(node.input[1] for node in onnx.load(str(tmp_path / "model.onnx")).graph.node if node.op_type == "ConvTranspose")
    stored = {item.name for item in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    code = main(["convert", str(tmp_path / "model.onnx"), "--to", "lr-shuffle", "--dry-run", "--json"])
    record = json.loads(capsys.readouterr().out)
    if kernel in stored:  # this exporter folded it
        assert code == 0 and len(record["changes"]) == 1
    else:
        assert code == 1 and "computed while the model runs" in record["stays"][0]["reason"]
    assert not list(Path(tmp_path).glob("*.json"))

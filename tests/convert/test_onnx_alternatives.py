"""Every way in which a layer of a model may be written: certified, accepted by the verifier, and giving the same integers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from convert.onnx_models import integers, model, save, upsampler
from onnx import helper

from symconv.app.convert_model import Files, write_files
from symconv.certificate.bundle import bundle_path
from symconv.convert.constraints import Constraints
from symconv.convert.onnx.alternatives import STEPWISE, alternatives
from symconv.convert.onnx.plan import Plan, Request
from symconv.convert.onnx.plan import plan as convert_plan
from symconv.frontends.onnx.graph import load
from symconv.theory.relation import Trust

ort = pytest.importorskip("onnxruntime")


def shuffled(channels=1, factor=2, bias=True, mode="CRD", **fields):
    kernel = integers((channels * factor**2, 2, 3, 3))
    nodes = [
        helper.make_node("Conv", ["x", "w", *(["b"] if bias else [])], ["v"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["v"], ["y"], "shuffle", blocksize=factor, mode=mode),
    ]
    return model(nodes, {"w": kernel} | ({"b": integers((kernel.shape[0],), seed=1)} if bias else {}), **fields)


def transposed(axes=2, kernel=4, stride=2, channels=(2, 3), group=1, crop=0, output_padding=0, **fields):
    shape = (channels[0], channels[1] // group, *(kernel,) * axes)
    nodes = [
        upsampler(
            output="v" if crop else "y",
            kernel_shape=[kernel] * axes,
            strides=[stride] * axes,
            pads=[0 if crop else 1] * 2 * axes,
            group=group,
            output_padding=[output_padding] * axes,
        )
    ]
    weights = {"w": integers(shape), "b": integers((channels[1],), seed=1)}
    if crop:
        weights |= {"s": np.array([0]), "e": np.array([-crop]), "a": np.array([2])}
        nodes.append(helper.make_node("Slice", ["v", "s", "e", "a"], ["y"], "crop"))
    return model(nodes, weights, rank=2 + axes, channels=channels[0], **fields)


def narrow(*extents):
    """An axis has one sample, and the model says so."""
    made = transposed()
    for axis, extent in zip((0, 2, 3), (1, *extents), strict=True):
        made.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = extent
    return made


def strided():
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1])
    made = model([node], {"w": integers((3, 2, 4, 4))})
    for axis, extent in ((2, 8), (3, 6)):
        made.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = extent
    return made


MODELS = {
    "transposed": transposed(),
    "transposed, old operators": transposed(opset=9, ir=4),
    "factor 3, output padding": transposed(kernel=5, stride=3, output_padding=1),
    "one output channel": transposed(channels=(3, 1)),
    "grouped": transposed(channels=(4, 4), group=4),
    "one axis, cropped": transposed(axes=1, crop=2),
    "three axes": transposed(axes=3, kernel=2, channels=(2, 2)),
    "shuffled": shuffled(2),
    "shuffled, one channel": shuffled(1, 3),
    "shuffled without bias": shuffled(2, bias=False),
    "shuffled, phases first": shuffled(2, mode="DCR"),
    "shuffled, one channel, phases first": shuffled(1, 3, mode="DCR"),
    "strided": strided(),
    "one sample on the last axis": narrow(5, 1),
    "one sample on the first axis": narrow(1, 5),
}
FEWEST = {"transposed": 5, "shuffled": 1, "one axis, cropped": 3, "shuffled without bias": 2, "strided": 1}


def found_in(proto, folder, **request):
    given = load(save(proto, folder / "given.onnx"))
    return given, alternatives(given.without_defaults(), Request("fastest", **request))


def run(proto, x):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize("name", MODELS)
def test_every_way_is_accepted_by_the_verifier_and_gives_the_same_integers(name, tmp_path) -> None:
    proto = MODELS[name]
    given, ((layer,), stays) = found_in(proto, tmp_path)
    assert not stays
    assert len(layer.ways) >= FEWEST.get(name, 1)
    names = [(way.form, way.engine) for way in layer.ways]
    assert len(names) == len(set(names))
    dims = [dim.dim_value for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    shape = (dims[0] or 2, dims[1], *(fixed or 4 + axis for axis, fixed in enumerate(dims[2:])))
    x = np.random.default_rng(0).integers(-8, 9, shape).astype("f4")
    wanted = run(proto, x)
    for position, way in enumerate(layer.ways):
        verdict = way.change.choice.verdict
        assert verdict is not None
        assert verdict.trust is Trust.CERTIFIED
        out = tmp_path / f"out{position}.onnx"
        plan = Plan(given.without_defaults(), Request("fastest"), (way.change,), ())
        files = Files(out, bundle_path(out), out.with_name(out.name + ".data"))
        write_files(plan, files, force=False, check=True, step=_silent)  # raises where the verifier rejects
        made = onnx.load(out)
        assert np.array_equal(run(made, x), wanted), names[position]
        assert (way.engine == STEPWISE) == (sum(node.op_type == "Transpose" for node in made.graph.node) == 2), names[position]


def test_a_way_by_axis_uses_no_depth_to_space(tmp_path) -> None:
    _, ((layer,), _) = found_in(MODELS["transposed"], tmp_path)
    assert [way.form for way in layer.ways if way.engine == STEPWISE] == ["lr-shuffle, both", "lr-shuffle, end"]


def test_the_target_rules_ways_out_and_makes_one_needed(tmp_path) -> None:
    given, ((layer,), stays) = found_in(MODELS["transposed"], tmp_path, constraints=Constraints.parse(["no-transposed-convolution"]))
    assert "transposed convolution" in layer.needed
    assert not stays
    for way in layer.ways:
        assert not list(Constraints.parse(["no-transposed-convolution"]).broken_by(way.change.choice.target))
    _, (found, stays) = found_in(
        MODELS["three axes"], tmp_path, constraints=Constraints.parse(["no-transposed-convolution,max-stride=1,no-groups"])
    )
    assert len(found) == 1
    _, (found, stays) = found_in(MODELS["strided"], tmp_path, constraints=Constraints.parse(["max-stride=1,no-depth-to-space"]))
    assert found[0].needed
    _, ((layer,), _) = found_in(MODELS["shuffled"], tmp_path, constraints=Constraints.parse(["no-depth-to-space"]))
    assert layer.needed
    assert {(way.form, way.engine) for way in layer.ways} >= {("given", "as is"), ("given", "by axis")}
    assert given is not None


def test_a_shuffle_into_one_channel_without_depth_to_space(tmp_path) -> None:
    """Both orders of phases are one there, and the nodes that are written for it are read in one of them."""
    proto = MODELS["shuffled, one channel, phases first"]
    request = Request("fastest", Constraints.parse(["no-depth-to-space"]))
    given, ((layer,), _) = found_in(proto, tmp_path, constraints=request.constraints)
    x = integers((2, 2, 4, 5))
    assert {way.form for way in layer.ways} >= {"given"}
    for position, way in enumerate(layer.ways):
        out = tmp_path / f"out{position}.onnx"
        files = Files(out, bundle_path(out), out.with_name(out.name + ".data"))
        write_files(Plan(given.without_defaults(), request, (way.change,), ()), files, force=False, check=True, step=_silent)
        assert np.array_equal(run(onnx.load(out), x), run(proto, x)), (way.form, way.engine)


def test_a_pad_before_a_transposed_convolution_stays_beside_the_convolution_that_takes_its_place(tmp_path) -> None:
    """A Pad and its Conv are read as one layer, but this Pad is none of the rewritten layer's nodes."""
    nodes = [helper.make_node("Pad", ["x", "p"], ["v"], "pad"), upsampler(value="v")]
    proto = model(nodes, {"w": integers((2, 3, 4, 4)), "b": integers((3,)), "p": np.array([0, 0, 1, 0, 0, 0, 0, 2])})
    given, ((layer,), _) = found_in(proto, tmp_path)
    x = integers((2, 2, 4, 5))
    for position, way in enumerate(layer.ways):
        out = tmp_path / f"out{position}.onnx"
        files = Files(out, bundle_path(out), out.with_name(out.name + ".data"))
        plan = Plan(given.without_defaults(), Request("fastest"), (way.change,), ())
        write_files(plan, files, force=False, check=True, step=_silent)
        assert np.array_equal(run(onnx.load(out), x), run(proto, x)), (way.form, way.engine)


def test_a_layer_of_a_stored_tensor_keeps_it(tmp_path) -> None:
    """What the layer reads is no input and computed by nothing, and the new nodes read it too."""
    proto = model([upsampler(value="stored")], {"w": integers((2, 3, 4, 4)), "b": integers((3,)), "stored": integers((1, 2, 4, 5))})
    given, ((layer,), _) = found_in(proto, tmp_path)
    out = tmp_path / "out.onnx"
    files = Files(out, bundle_path(out), out.with_name(out.name + ".data"))
    plan = Plan(given.without_defaults(), Request("fastest"), (layer.ways[0].change,), ())
    write_files(plan, files, force=False, check=True, step=_silent)
    x = integers((1, 2, 3, 3))
    assert np.array_equal(run(onnx.load(out), x), run(proto, x))


def test_what_stays_says_why(tmp_path) -> None:
    nodes = [
        upsampler(output="v"),
        helper.make_node("Resize", ["v", "", "scales"], ["u"], "resize", mode="nearest"),
        helper.make_node("MaxPool", ["u"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    proto = model(nodes, {"w": integers((2, 3, 4, 4)), "b": integers((3,)), "scales": np.array([1, 1, 2, 2], "f4")})
    _, (found, stays) = found_in(proto, tmp_path, leave=("up",))
    assert not found
    assert {stay.name: stay.reason for stay in stays} == {
        "up": "left out by --only or --except",
        "resize": "it has no kernel, and none stands before it that it could join",
        "pool": "it is not linear",
    }
    _, (_, stays) = found_in(proto, tmp_path, seconds=1e-9)
    assert next(stay for stay in stays if stay.name == "up").status == "unknown"


@pytest.mark.parametrize("form", ["fastest", "lr-shuffle"])
def test_a_layer_with_fixed_extents_that_it_rejects_stays(form, tmp_path) -> None:
    """2 x 2 samples, of which the layer would crop more than it makes."""
    proto = model([upsampler(kernel="w", bias=None, kernel_shape=[1, 1], strides=[1, 2], pads=[1, 1, 2, 2])], {"w": integers((2, 2, 1, 1))})
    for axis in (2, 3):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 2
    given = load(save(proto, tmp_path / "given.onnx"))
    stays = alternatives(given, Request(form))[1] if form == "fastest" else convert_plan(given, Request(form)).stays
    assert [(stay.status, "which it does not accept" in stay.reason) for stay in stays] == [("refused", True)]


def test_a_layer_that_others_look_into_stays(tmp_path) -> None:
    proto = shuffled(2)
    proto.graph.output.append(helper.make_tensor_value_info("v", onnx.TensorProto.FLOAT, None))
    _, (found, stays) = found_in(proto, tmp_path)
    assert not found
    assert any("output of the model" in stay.reason or "other form" in stay.reason for stay in stays)


@pytest.mark.slow
def test_random_layers_in_every_way(tmp_path) -> None:
    """Random nodes, with extents fixed or free, old and new operator sets: what is written is accepted, and gives the same integers."""
    import random

    from conformance.onnx_random import conv, conv_transpose

    written = 0
    for seed in range(250):
        case = (conv_transpose if seed % 3 else conv)(random.Random(seed))
        given, (found, _) = found_in(case.model, tmp_path)
        x = case.input(seed)[None]
        for position, way in enumerate(found[0].ways if found else ()):
            out = tmp_path / f"{seed}-{position}.onnx"
            plan = Plan(given.without_defaults(), Request("fastest"), (way.change,), ())
            files = Files(out, bundle_path(out), out.with_name(out.name + ".data"))
            write_files(plan, files, force=False, check=True, step=_silent)
            try:
                both = run(case.model, x), run(onnx.load(out), x)
            except Exception as error:  # ONNX Runtime has kernels for fewer attributes than there are
                assert "ONNXRuntimeError" in str(error)
                continue
            assert np.array_equal(*both), (seed, way.form, way.engine, str(case))
            written += 1
    assert written > 500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DCGAN", "FCN8s", "FSRCNN", "ESPCN", "UNet3d"])
def test_real_models_in_every_way(name, tmp_path) -> None:
    """The models of papers at a small width, exported with free extents: each layer in its k-th way, for every k."""
    torch = pytest.importorskip("torch")
    from convert.test_onnx_real_models import exported, make_integer, whole_numbers
    from models_from_papers import PAPERS

    kind, width, sample, _ = PAPERS[name]
    path = tmp_path / "given.onnx"
    free = [(0, *range(2, 1 + len(sample)))]
    exported(make_integer(kind(width)), (torch.zeros(1, *sample),), free, path, dynamo=False)
    given = load(path).without_defaults()
    request = Request("fastest")
    found, _ = alternatives(given, request)
    assert found
    values = whole_numbers((2, *sample), 0)

    def outputs(model):
        options = ort.SessionOptions()
        options.log_severity_level = 4
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: values})

    wanted = outputs(path)
    for k in range(max(len(layer.ways) for layer in found)):
        out = tmp_path / f"out{k}.onnx"
        plan = Plan(given, request, tuple(layer.ways[k % len(layer.ways)].change for layer in found), ())
        write_files(plan, Files(out, bundle_path(out), out.with_name(out.name + ".data")), force=False, check=True, step=_silent)
        for left, right in zip(wanted, outputs(out), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(left).max())))


class _silent:
    def __init__(self, _: str) -> None: ...

    def __enter__(self):
        return lambda *_: None

    def __exit__(self, *_: object) -> None: ...

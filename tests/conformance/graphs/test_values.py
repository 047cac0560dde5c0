"""Whole graphs evaluated: bounds that hold in the runtimes people use, integers bit by bit, and clear words where there is no theorem."""

from fractions import Fraction

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from symconv.conformance.graphs.values import _Run, enclose, evaluate, obstacle
from symconv.conformance.precision import PRECISIONS
from symconv.errors import BudgetExceeded, OutsideFragment
from symconv.frontends.model_files import open_model
from symconv.frontends.onnx.dataflow import dataflow
from symconv.frontends.torch_graphs import dataflow as traced
from tests.conformance.graphs.random_graphs import Growing
from tests.conformance.graphs.random_modules import CURVED, STEPS, Steps

SINGLE = PRECISIONS["float32"]
node = helper.make_node
LEVELS = onnxruntime.GraphOptimizationLevel


def run(path, x, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level, options.log_severity_level = level, 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"x": x})


def compared(seed, tmp_path, integers):
    """How many values were compared; the largest share of a bound that ONNX Runtime used."""
    growing = Growing(seed, integers=integers).grow(1 + seed % 7)
    x, count, worst = growing.input(seed), 0, 0.0
    if not growing.nodes:
        return 0, 0.0
    for every, level in ((True, LEVELS.ORT_DISABLE_ALL), (False, LEVELS.ORT_ENABLE_ALL)):
        path = growing.save(tmp_path / f"{every}.onnx", every=every)
        try:
            found = run(path, x, level)
        except Exception:  # extents that the runtime does not take
            continue
        graph = dataflow(open_model(path))
        known = evaluate(graph, {"x": x}, precision=SINGLE, integers=integers, keep=graph.outputs)
        for name, y in zip(graph.outputs, found, strict=True):
            assert known.values[name].shape == y.shape
            count += 1
            if integers:
                assert known.sizes[name].worst > 2.0**24 or np.array_equal(known.values[name], y), (seed, name)
                continue
            gaps = np.abs(known.values[name] - y.astype(np.float64))
            bound = known.errors[name] + known.own[name]
            assert (gaps <= bound).all(), (seed, name, level)
            worst = max(worst, float((gaps[gaps > 0] / bound[gaps > 0]).max(initial=0)))
    return count, worst


@pytest.mark.parametrize("integers", [False, True])
def test_random_graphs_in_onnx_runtime(integers, tmp_path):
    found = [compared(seed, tmp_path, integers) for seed in range(40)]
    assert sum(count for count, _ in found) > 150
    assert integers or max(worst for _, worst in found) > 0.01  # bounds that say something


@pytest.mark.slow
@pytest.mark.parametrize("integers", [False, True])
def test_thousands_of_random_graphs_in_onnx_runtime(integers, tmp_path):
    found = [compared(seed, tmp_path, integers) for seed in range(1000, 3000)]
    assert sum(count for count, _ in found) > 10_000


def modules(seeds, steps=STEPS):
    for seed in seeds:
        net = Steps(seed, 1 + seed % 8, steps).eval()
        x = torch.randn(1, 4, *net.extents, generator=torch.Generator().manual_seed(seed))
        graph = traced(net, "net")
        yield seed, net, x, graph, next(iter(graph.inputs))


def check_modules(seeds, dtype):
    count = 0
    for seed, net, x, graph, name in modules(seeds):
        x = x.to(dtype)
        try:
            known = evaluate(graph, {name: x.double().numpy()}, precision=PRECISIONS[str(dtype).removeprefix("torch.")])
        except OutsideFragment as error:  # bounds that are too wide to divide by
            assert "may be 0 within its bound" in str(error) or "beyond the numbers" in str(error), seed
            continue
        with torch.no_grad():
            found = net.to(dtype)(x)
        for value, y in zip(graph.outputs, found, strict=True):
            bound = known.own[value] if known.errors is None else known.own[value] + known.errors[value]
            assert (np.abs(known.values[value] - y.double().numpy()) <= bound).all(), (seed, value)
            count += 1
    return count


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_random_modules_in_pytorch(dtype):
    assert check_modules(range(25), dtype) > 80


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_thousands_of_random_modules_in_pytorch(dtype):
    assert check_modules(range(1000, 2500), dtype) > 5000


def test_enclosures_with_many_places_and_in_float64_meet():
    """Two evaluations by other means, whose balls hold the same numbers; the wide ones are far narrower."""
    for seed, _, x, graph, name in modules(range(12), [*STEPS, *CURVED, *CURVED]):
        given = {name: x.numpy()}
        one = enclose(graph, given, decimals="module")
        two = enclose(graph, given, decimals="module", places=256)
        for value in graph.outputs:
            assert (np.abs(one.values[value] - two.values[value]) <= one.own[value] + two.own[value]).all(), (seed, value)
            assert two.own[value].max() <= 2.0**-50 * np.abs(two.values[value]).max() + 2.0**-120, (seed, value)


def save(nodes, weights=(), shape=(1, 2, 4, 4), dtype=TensorProto.FLOAT, opset=17, outputs=("y",)):
    given = [helper.make_tensor_value_info("x", dtype, list(shape))]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    held = [numpy_helper.from_array(np.asarray(values), name) for name, values in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", given, made, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def graph_of(tmp_path, *args, **kwargs):
    path = tmp_path / "m.onnx"
    path.write_bytes(save(*args, **kwargs).SerializeToString())
    return dataflow(open_model(path))


X = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4) - 9


def test_values_may_be_given_anywhere(tmp_path):
    graph = graph_of(tmp_path, [node("Softmax", ["x"], ["s"], axis=1), node("Add", ["s", "s"], ["y"])])
    with pytest.raises(OutsideFragment, match="Softmax has no rounding theorem"):
        evaluate(graph, {"x": X}, precision=SINGLE)
    found = evaluate(graph, {"s": X}, precision=SINGLE, errors={"s": np.full(X.shape, 0.5)}, keep=["y"])
    assert np.array_equal(found.values["y"], 2 * X)
    assert (found.errors["y"] >= 1).all() and (found.errors["y"] < 1.001).all()
    assert not evaluate(graph, {"s": X}, precision=SINGLE, keep=["y"]).errors["y"].any()  # small integers, no rounding
    plain = evaluate(graph, {"x": X})
    assert plain.errors is None and np.allclose(plain.values["y"], 2 * torch.softmax(torch.from_numpy(X).double(), 1).numpy())


@pytest.mark.parametrize(
    ("op", "attributes", "real", "whole"),
    [
        ("Relu", {}, None, None),
        ("Sigmoid", {}, "Sigmoid has no rounding theorem", "Sigmoid does not keep integers"),
        ("LeakyRelu", {"alpha": 0.01}, None, "no binary fraction"),
        ("LeakyRelu", {"alpha": 0.25}, None, None),
        ("Softmax", {"axis": 1}, "no rounding theorem", "does not keep integers"),
        ("HardSigmoid", {}, None, "does not keep integers"),
        ("LRN", {"size": 3}, "not evaluated", "not evaluated"),
        ("MaxPool", {"kernel_shape": [2, 2]}, None, None),
    ],
)
def test_obstacles_are_named(op, attributes, real, whole, tmp_path):
    graph = graph_of(tmp_path, [node(op, ["x"], ["y"], **attributes)])
    (operation,) = graph.operations
    for reason, expected in ((obstacle(operation, graph), real), (obstacle(operation, graph, integers=True), whole)):
        assert (reason is None) == (expected is None) and (expected is None or expected in reason)


def test_an_operator_of_another_domain_is_not_taken_for_its_namesake(tmp_path):
    made = save([helper.make_node("Relu", ["x"], ["y"], domain="mine")])
    made.opset_import.append(helper.make_opsetid("mine", 1))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    graph = dataflow(open_model(tmp_path / "m.onnx"))
    with pytest.raises(OutsideFragment, match=r"mine\.Relu"):
        evaluate(graph, {"x": X})


@pytest.mark.parametrize(
    ("nodes", "weights", "reason"),
    [
        ([node("Relu", ["x"], ["r"]), node("Div", ["x", "r"], ["y"])], {}, "division"),
        ([node("Mul", ["x", "k"], ["a"]), node("Cast", ["a"], ["b"], to=7), node("Cast", ["b"], ["y"], to=1)],
         {"k": np.float32(1 / 3)}, "close to a jump"),
        ([node("Mul", ["x", "k"], ["a"]), node("Less", ["a", "a"], ["c"]), node("Where", ["c", "x", "a"], ["y"])],
         {"k": np.float32(1 / 3)}, "which one is larger"),
    ],
)  # fmt: skip
def test_what_rounding_could_turn_over_is_refused(nodes, weights, reason, tmp_path):
    with pytest.raises(OutsideFragment, match=reason):
        evaluate(graph_of(tmp_path, nodes, weights), {"x": X}, precision=SINGLE)


def test_overflow_and_time_are_refused(tmp_path):
    graph = graph_of(tmp_path, [node("Mul", ["x", "x"], ["a"]), node("Mul", ["a", "a"], ["y"])])
    with pytest.raises(OutsideFragment, match="beyond the numbers of float16"):
        evaluate(graph, {"x": X}, precision=PRECISIONS["float16"])
    with pytest.raises(BudgetExceeded):
        evaluate(graph, {"x": X}, seconds=-1.0)


def test_integers_beyond_the_format_are_not_exact(tmp_path):
    weights = {"w": np.full((2, 2, 1, 1), 1000, np.float32)}
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Conv", ["a", "w"], ["y"])]
    graph = graph_of(tmp_path, nodes, weights)
    for precision, is_exact in ((None, True), (SINGLE, False), (PRECISIONS["bfloat16"], False)):
        found = evaluate(graph, {"x": X}, integers=True, precision=precision, keep=["y"])
        assert found.exact == is_exact
        pixel = np.abs(X[0]).sum(0)
        assert found.sizes["y"].worst == 2 * pixel.max() * 1000 * 1000 or found.sizes["y"].worst >= np.abs(found.values["y"]).max()


def test_factors_of_few_bits_count_where_a_format_has_few(tmp_path):
    graph = graph_of(tmp_path, [node("Conv", ["x", "w"], ["y"])], {"w": np.ones((1, 2, 1, 1), np.float32)})
    big = X * 0 + 4095
    for name, is_exact in (("float32", True), ("tf32", False)):  # 12 bits do not fit into tf32's factors
        assert evaluate(graph, {"x": big}, integers=True, precision=PRECISIONS[name]).exact == is_exact


def test_a_wide_value_is_exact_where_a_rational_says_so(tmp_path):
    weights = {"w": np.array([[[[0.1]], [[1e-20]]]], np.float32), "k": np.float32(3)}
    nodes = [node("Conv", ["x", "w"], ["a"]), node("Div", ["a", "k"], ["b"]), node("Mul", ["b", "b"], ["y"])]
    found = enclose(graph_of(tmp_path, nodes, weights), {"x": X}, places=300, decimals="file")
    for at in ((0, 0, 0), (0, 3, 3)):
        terms = [Fraction(float(X[0, c, *at[1:]])) * Fraction(float(weights["w"][0, c, 0, 0])) for c in range(2)]
        exact = (sum(terms) / 3) ** 2
        assert (
            abs(Fraction(float(found.values["y"][(0, *at)])) - exact)
            <= Fraction(float(found.own["y"][(0, *at)]))
            <= exact / 2**50 + Fraction(1, 2**120)
        )


def test_values_that_nothing_needs_any_more_are_forgotten(tmp_path, monkeypatch):
    nodes = [node("Relu" if k % 2 else "Neg", [f"v{k}"], [f"v{k + 1}"]) for k in range(500)]
    graph = graph_of(tmp_path, [node("Abs", ["x"], ["v0"]), *nodes, node("Add", ["v500", "x"], ["y"])])
    held, compute = [], _Run._compute
    monkeypatch.setattr(_Run, "_compute", lambda run, operation: (compute(run, operation), held.append(len(run.known))))
    assert np.array_equal(evaluate(graph, {"x": X}, keep=["y"]).values["y"], X)
    assert len(held) == 502 and max(held) <= 3


def test_what_cannot_be_read_as_numbers_is_refused_in_words(tmp_path):
    eighths = helper.make_tensor("k", TensorProto.FLOAT8E4M3FN, [1], [1.0])
    nodes = [node("Cast", ["k"], ["c"], to=1), node("Mul", ["x", "c"], ["y"])]
    made = save(nodes, opset=19)
    made.graph.initializer.append(eighths)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(OutsideFragment, match="FLOAT8"):
        evaluate(dataflow(open_model(tmp_path / "m.onnx")), {"x": X})
    graph = graph_of(tmp_path, [node("Conv", ["x", "w"], ["y"])], {"w": np.full((1, 2, 1, 1), np.inf, np.float32)})
    with pytest.raises(OutsideFragment, match="finite"):
        evaluate(graph, {"x": X})


def test_extents_that_a_module_computes_with_are_followed():
    class Halved(torch.nn.Module):
        def forward(self, x):
            n, c, h, w = x.shape
            return x.reshape(n, c * 2, h // 2, w)[:, : x.size(1)] + h % 3

    graph = traced(Halved(), "net")
    x = torch.arange(64.0).reshape(1, 2, 8, 4)
    found = evaluate(graph, {next(iter(graph.inputs)): x.numpy()}, precision=SINGLE)
    assert np.array_equal(found.values[graph.outputs[0]], Halved()(x).numpy())

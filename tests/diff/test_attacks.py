"""Pairs of models that look the same and are not: none of them may be called identical, and what an answer rests on is said."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import symconv
from symconv.errors import ModelError

F = TensorProto.FLOAT
node = helper.make_node
SIGNAL = (("x", F, ["N", 4, "H", "W"]),)


def save(path, nodes, weights=(), inputs=SIGNAL, outputs=("y",), dtype=F, functions=(), domains=(), opset=17):
    """A file of nodes; weights are arrays by name, or stored tensors."""
    given = [helper.make_tensor_value_info(*item) for item in inputs]
    made = [helper.make_tensor_value_info(name, dtype, None) for name in outputs]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", given, made, held)
    sets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    proto = helper.make_model(graph, opset_imports=sets, functions=functions)
    proto.ir_version = 10
    path.parent.mkdir(exist_ok=True)
    onnx.save(proto, path)
    return path


def relation(left, right):
    return symconv.diff(left, right, run=False, budget=20).relation.value


def branch(nodes, result, tensors=()):
    return helper.make_graph(nodes, result, [], [helper.make_tensor_value_info(result, F, None)], tensors)


def chosen(path, nodes, tensors=(), **options):
    """A model with some nodes, which compute `o`, in one branch of an If."""
    other = branch([node("Identity", ["x"], ["p"])], "p")
    own = node("If", ["c"], ["y"], then_branch=branch(nodes, "o", tensors), else_branch=other)
    return save(path, [own], inputs=(("x", F, ["N", 4]), ("c", TensorProto.BOOL, [])), **options)


def external(folder, values):
    folder.mkdir()
    np.asarray(values, np.float32).tofile(folder / "w.bin")
    tensor = TensorProto(name="w", data_type=F, dims=[len(values)], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", str(4 * len(values)))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def function(factor, domain="loc", name="f", overload=""):
    nodes = [node("Constant", [], ["k"], value_float=float(factor)), node("Mul", ["a", "k"], ["b"])]
    return helper.make_function(domain, name, ["a"], ["b"], nodes, [helper.make_opsetid("", 17)], overload=overload)


def test_external_content_in_subgraphs_counts(tmp_path):
    models = [
        chosen(tmp_path / name / "m.onnx", [node("Add", ["x", "w"], ["o"])], [external(tmp_path / name, values)])
        for name, values in (("a", [1, 2, 3, 4]), ("b", [1, 2, 3, 5]), ("c", [1, 2, 3, 4]))
    ]
    assert relation(models[0], models[1]) != "identical"
    assert relation(models[0], models[2]) == "identical"


def test_functions_called_inside_subgraphs_count(tmp_path):
    call = [node("f", ["x"], ["o"], domain="loc")]
    models = [chosen(tmp_path / f"{k}.onnx", call, functions=[function(k)], domains=["loc"]) for k in (2, 3)]
    assert relation(*models) != "identical"
    assert relation(models[0], models[0]) == "identical"


def test_overloads_count(tmp_path):
    models = []
    for name in "ab":
        call = node("f", ["x"], ["y"], domain="loc")
        call.overload = name
        models.append(save(tmp_path / name, [call], functions=[function(2, overload="a"), function(3, overload="b")], domains=["loc"]))
        models[-1] = models[-1].rename(models[-1].with_suffix(".onnx"))
    assert relation(*models) != "identical"


def test_a_function_in_the_name_of_an_operator_is_refused(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], functions=[function(2, "ai.onnx", "Relu")])
    with pytest.raises(ModelError, match="name of an operator"):
        relation(path, path)


def test_random_numbers_in_functions_and_subgraphs(tmp_path):
    drawn = helper.make_function("loc", "f", ["a"], ["b"], [node("RandomNormalLike", ["a"], ["b"])], [helper.make_opsetid("", 17)])
    called = save(tmp_path / "f.onnx", [node("f", ["x"], ["y"], domain="loc")], functions=[drawn], domains=["loc"])
    inside = chosen(tmp_path / "g.onnx", [node("f", ["x"], ["o"], domain="loc")], functions=[drawn], domains=["loc"])
    training = numpy_helper.from_array(np.array(True), "t")
    dropped = chosen(tmp_path / "d.onnx", [node("Dropout", ["x", "", "t"], ["o"])], [training])
    foreign = save(tmp_path / "h.onnx", [node("BitmaskDropout", ["x"], ["y"], domain="com.microsoft")], domains=["com.microsoft"])
    for path in (called, inside, dropped, foreign):
        assert relation(path, path) == "unknown", path


def test_integers_are_cut_off(tmp_path):
    inputs = (("x", TensorProto.INT32, ["N", 4, "H", "W"]),)
    halved = [node("Div", ["x", "two"], ["v"]), node("Mul", ["v", "two"], ["y"])]
    left = save(tmp_path / "a.onnx", halved, {"two": np.array(2, np.int32)}, inputs, dtype=TensorProto.INT32)
    right = save(tmp_path / "b.onnx", [node("Identity", ["x"], ["y"])], (), inputs, dtype=TensorProto.INT32)
    assert relation(left, right) != "identical"


def test_outputs_in_another_order(tmp_path):
    nodes = [node("Relu", ["x"], ["p"]), node("Neg", ["x"], ["q"])]
    left, right = (save(tmp_path / f"{o[0]}.onnx", nodes, outputs=o) for o in (("p", "q"), ("q", "p")))
    found = symconv.diff(left, right, run=False)
    assert (
        found.relation.value == "identical"
        and "outputs are paired by name; the two models have them in different orders" in found.assumptions
    )
    twice = [save(tmp_path / f"twice{k}.onnx", nodes, outputs=o) for k, o in enumerate((("p", "p", "q"), ("p", "q", "q")))]
    assert relation(*twice) != "identical"


def test_what_an_answer_rests_on_is_said(tmp_path):
    pair = [node("SpaceToDepth", ["x"], ["v"], blocksize=2), node("DepthToSpace", ["v"], ["y"], blocksize=2)]
    left, right = save(tmp_path / "a.onnx", pair), save(tmp_path / "b.onnx", [node("Identity", ["x"], ["y"])])
    assert "only extents that the left model accepts count: the right one accepts more" in symconv.diff(left, right, run=False).assumptions
    square = save(tmp_path / "c.onnx", pair, inputs=(("x", F, ["N", 4, "S", "S"]),))
    assert "extents of the inputs that have the same name are equal: S" in symconv.diff(square, square, run=False).assumptions


def test_samples_beyond_the_taps_are_said_and_not_converted(tmp_path):
    up = node("ConvTranspose", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[3, 3])
    path = save(tmp_path / "m.onnx", [up], {"w": np.ones((4, 4, 2, 2), np.float32)})
    assert any("ONNX Runtime leaves them out" in text for text in symconv.diff(path, path, run=False).assumptions)
    from symconv.app.convert_model import convert_model

    before = hashlib.sha256(path.read_bytes()).digest()
    convert_model(path, "lr-shuffle", output=tmp_path / "o.onnx")
    assert not Path(tmp_path / "o.onnx").exists() and hashlib.sha256(path.read_bytes()).digest() == before


def test_poolings_that_pad_differently_and_large_strides(tmp_path):
    pools = [save(tmp_path / f"p{k}.onnx", [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[k] * 4)]) for k in (0, 1)]
    assert relation(*pools) == "different"
    ones = {"w": np.ones((4, 4, 1, 1), np.float32)}
    large = [
        save(tmp_path / f"s{k}.onnx", [node("ConvTranspose", ["x", "w"], ["y"], strides=[1 << 20, (1 << 20) + k])], ones) for k in (0, 1)
    ]
    assert relation(*large) == "different"


def test_an_input_of_an_unknown_element_type_is_refused(tmp_path):
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"])], inputs=(("x", 61, [1]),))
    with pytest.raises(ModelError, match="element type 61"):
        relation(path, path)


# --- modules ---------------------------------------------------------------------------------------------------------


def pairs():
    torch = pytest.importorskip("torch")
    nn, functional = torch.nn, torch.nn.functional

    class Two(nn.Module):
        def __init__(self, order):
            super().__init__()
            self.a, self.b, self.order = nn.ReLU(), nn.Tanh(), order

        def forward(self, x):
            return self.order(self.a(x), self.b(x))

    class After(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.c, self.function = nn.Conv2d(4, 4, 1), function
            nn.init.ones_(self.c.weight)
            nn.init.zeros_(self.c.bias)

        def forward(self, x):
            return self.function(self.c(x))

    class Called(nn.ReLU):
        def __call__(self, x):
            return 2 * super().__call__(x)

    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.runs = 0

        def forward(self, x):
            self.runs = self.runs + 1
            return x * self.runs

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.d = nn.Dropout()

        def forward(self, x):
            self.d.train()
            return self.d(x)

    yield Two(lambda p, q: (p, q)), Two(lambda p, q: (q, p))
    yield Two(lambda p, q: (p, p, q)), Two(lambda p, q: (p, q, q))
    yield Two(lambda p, q: (p, 2)), Two(lambda p, q: (p, 3))
    yield Two(lambda p, q: {"a": p, "b": q}), Two(lambda p, q: {"b": p, "a": q})
    yield Two(lambda p, q: p[0, 1]), Two(lambda p, q: p[[0, 1]])  # one sample, and two
    hooked = nn.Sequential(nn.ReLU())
    hooked.register_forward_hook(lambda module, given, result: 2 * result)
    yield hooked, nn.Sequential(nn.ReLU())
    replaced = nn.Sequential(nn.ReLU())
    replaced.forward = lambda x: 2 * x
    yield replaced, nn.Sequential(nn.ReLU())
    yield Called(), nn.ReLU()
    patched = [nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)]
    patched[1].load_state_dict(patched[0].state_dict())
    for factor, conv in enumerate(patched, 2):
        conv._conv_forward = lambda x, w, b, factor=factor: functional.conv2d(x, factor * w, b)
    yield nn.Sequential(patched[0]), nn.Sequential(patched[1])
    yield Counting(), Counting()
    yield Dropping(), Dropping()
    yield Dropping(), nn.Identity()
    yield nn.Sequential(nn.FractionalMaxPool2d(2, output_size=3)), nn.Sequential(nn.FractionalMaxPool2d(2, output_size=3))
    for drawn in (
        lambda x: x.exponential_(),
        lambda x: x.uniform_(),
        lambda x: torch.feature_dropout(x, 0.5, True),
        lambda x: torch.native_dropout(x, 0.5, True)[0],
        functional.gumbel_softmax,
        lambda x: functional.fractional_max_pool2d(x, 2, output_size=2),
        lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
        lambda x: x + torch.empty_like(x),
    ):
        yield After(drawn), After(drawn)


def test_modules_that_look_the_same():
    for number, (left, right) in enumerate(pairs()):
        try:
            assert relation(left, right) != "identical", number
        except ModelError:
            continue  # refused


def test_comparing_leaves_modules_as_they_were():
    torch = pytest.importorskip("torch")

    class Keeping(torch.nn.Module):
        def forward(self, x):
            self.last = x
            return x

    module = Keeping()
    with pytest.raises(ModelError, match="sets `last`"):
        relation(module, module)
    assert not hasattr(module, "last") and module.training


def single(value):
    return np.float32(value)


SAME_SETTINGS = {
    "a slope": (
        [node("LeakyRelu", ["x"], ["y"], alpha=0.1)], {},
        [node("PRelu", ["x", "z"], ["y"])], {"z": single([0.1])},
    ),
    "a slope that is an integer with a shorter decimal": (
        [node("LeakyRelu", ["x"], ["y"], alpha=1073741824.0)], {},
        [node("PRelu", ["x", "z"], ["y"])], {"z": single([1073741824.0])},
    ),
    "HardSigmoid written out": (
        [node("HardSigmoid", ["x"], ["y"], alpha=0.16666667, beta=0.5)], {},
        [node("Mul", ["x", "c"], ["a"]), node("Add", ["a", "h"], ["b"]), node("Clip", ["b", "lo", "hi"], ["y"])],
        {"c": single(0.16666667), "h": single(0.5), "lo": single(0), "hi": single(1)},
    ),
    "Selu written out": (
        [node("Selu", ["x"], ["y"])], {},
        [node("Elu", ["x"], ["a"], alpha=1.67326319217681884765625), node("Mul", ["a", "c"], ["y"])],
        {"c": single(1.05070102214813232421875)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_SETTINGS)
def test_settings_that_a_file_holds_as_float32_refute_nothing(tmp_path, name):
    """Both files hold the same float32 number; the decimal that is shown for it is another number."""
    nodes, weights, others, constants = SAME_SETTINGS[name]
    found = symconv.diff(save(tmp_path / "a.onnx", nodes, weights), save(tmp_path / "b.onnx", others, constants), budget=20)
    assert found.relation.value != "different"
    assert not any(row.relation.value == "different" for row in found.rows)


def test_hard_swish_is_read_as_its_text_and_as_its_body(tmp_path):
    """ONNX's text says 1/6, the function body has the float32 number: a file that spells one of them out is not refuted."""
    spelled = [
        node("Add", ["x", "three"], ["a"]),
        node("Clip", ["a", "lo", "six"], ["b"]),
        node("Mul", ["x", "b"], ["c"]),
        node("Div", ["c", "six"], ["y"]),
    ]
    left = save(tmp_path / "a.onnx", [node("HardSwish", ["x"], ["y"])])
    right = save(tmp_path / "b.onnx", spelled, {"three": single(3), "lo": single(0), "six": single(6)})
    assert symconv.diff(left, right, budget=20).relation.value == "unknown"
    other = save(tmp_path / "c.onnx", spelled, {"three": single(3), "lo": single(0), "six": single(6.001)})
    assert symconv.diff(left, other, budget=20).relation.value == "different"


def test_other_slopes_are_refuted(tmp_path):
    left = save(tmp_path / "a.onnx", [node("LeakyRelu", ["x"], ["y"], alpha=0.1)])
    right = save(tmp_path / "b.onnx", [node("PRelu", ["x", "z"], ["y"])], {"z": single([0.10001])})
    assert symconv.diff(left, right, budget=20).relation.value == "different"


def test_logical_operators_are_not_in_place():
    import torch
    from torch import nn

    class Masked(nn.Module):
        def __init__(self, joined):
            super().__init__()
            self.joined = joined

        def forward(self, x):
            inside = (x > 0) & (x < 2) if self.joined else (x > 0) | (x < 2)
            return torch.where(inside, x, -x)

    assert relation(Masked(True), Masked(True)) == "identical"
    assert relation(Masked(True), Masked(False)) != "identical"

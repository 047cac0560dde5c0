"""What a difference rests on: exact and bounded runs are proofs, rounded ones are not, and what the rest of a model hides is not different."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from models_for_diff import save
from onnx import helper
from torch import nn

import symconv
from symconv.conformance import model_diff
from symconv.conformance.model_runs import OnnxRunner
from symconv.prove.graphs.outcome import Likeness

node = helper.make_node
C = (np.random.default_rng(0).normal(size=(1, 4, 4, 4)) * 3).astype(np.float32)
BIG = {"c": (C * 2**24).astype(np.float32)}
SHAPE = [1, 4, 4, 4]


def pair(tmp_path, one, two, weights=(), shape=SHAPE, **options):
    files = [save(nodes, dict(weights), tmp_path / f"{name}.onnx", shape) for name, nodes in (("a", one), ("b", two))]
    return symconv.diff(*files, **options)


def between(*middle):
    """Operators between two that no rounding theorem covers."""
    names = [f"m{k}" for k in range(len(middle) + 1)]
    nodes = [node("Sigmoid", ["x"], ["m0"], "before")]
    for (op, more, attributes), a, b in zip(middle, names, names[1:], strict=False):
        nodes.append(node(op, [a, *more], [b], f"{op}-{b}", **attributes))
    return [*nodes, node("Softmax", [names[-1]], ["y"], "after", axis=1)]


CHANGES = [
    ("a dropped operator", [("Sub", ["k"], {}), ("Relu", [], {})], [("Sub", ["k"], {})]),
    ("another operator", [("Mul", ["k"], {}), ("Sin", [], {})], [("Mul", ["k"], {}), ("Cos", [], {})]),
    ("another slope", [("Sub", ["k"], {}), ("LeakyRelu", [], {"alpha": 0.2})], [("Sub", ["k"], {}), ("LeakyRelu", [], {"alpha": 0.21})]),
    ("another pool", [("MaxPool", [], {"kernel_shape": [2, 2]})], [("AveragePool", [], {"kernel_shape": [2, 2]})]),
    ("another axis", [("Softmax", [], {"axis": 2})], [("Softmax", [], {"axis": 3})]),
    ("another order", [("Transpose", [], {"perm": [0, 1, 3, 2]})], [("Transpose", [], {"perm": [0, 1, 2, 3]})]),
    ("a last bit", [("Mul", ["k"], {})], [("Mul", ["l"], {})]),
]


@pytest.mark.parametrize(("left", "right"), [change[1:] for change in CHANGES], ids=[change[0] for change in CHANGES])
def test_a_changed_operator_between_opaque_ones_is_refuted(left, right, tmp_path):
    k = C[:, :, :1]
    found = pair(tmp_path, between(*left), between(*right), {"k": k, "l": np.nextafter(k, np.float32(9))})
    assert found.relation is Likeness.DIFFERENT and found.evidence == "bounded run"
    witness = found.witness
    assert abs(witness["left_value"] - witness["right_value"]) > witness["left_bound"] + witness["right_bound"]
    assert np.allclose(witness["replayed_values"], [witness["left_value"], witness["right_value"]], rtol=1e-3, atol=1e-6)
    assert all(row.relation is Likeness.DIFFERENT for row in found.rows)


HIDDEN = {
    "the rest does not care": ([node("Sub", ["x", "c"], ["a"]), node("Abs", ["a"], ["y"])],
                               [node("Sub", ["c", "x"], ["a"]), node("Abs", ["a"], ["y"])]),
    "nothing gets there": ([node("Relu", ["x"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Relu", ["b"], ["d"]), node("Relu", ["d"], ["y"])],
                           [node("Relu", ["x"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Relu", ["b"], ["d"]), node("Abs", ["d"], ["y"])]),
    "rounding alone": ([node("Add", ["x", "c"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Softmax", ["b"], ["y"], axis=1)],
                       [node("Softmax", ["x"], ["y"], axis=1)]),
    "rounding that grows": ([node("Add", ["x", "c"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Sub", ["b", "x"], ["d"]),
                             node("Mul", ["d", "c"], ["y"])],
                            [node("Sub", ["x", "x"], ["d"]), node("Mul", ["d", "c"], ["y"])]),
}  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
def test_what_the_rest_hides_and_what_is_only_rounding_is_never_different(name, tmp_path):
    """The two are the same function; in float32 the last two part by as much as the largest output."""
    found = pair(tmp_path, *HIDDEN[name], BIG)
    assert found.relation in (Likeness.UNKNOWN, Likeness.IDENTICAL), found
    assert found.evidence in (None, "run")
    assert found.relation is Likeness.IDENTICAL or found.detail


def test_an_operator_that_is_not_known_leaves_a_rounded_run_without_proof(tmp_path):
    rest = [node("LRN", ["a"], ["y"], size=3)]
    found = pair(tmp_path, [node("Exp", ["x"], ["a"]), *rest], [node("Sin", ["x"], ["a"]), *rest])
    assert found.relation is Likeness.UNKNOWN and found.evidence == "run" and found.witness is not None
    assert "LRN is not evaluated here" in found.detail
    assert [row.relation for row in found.rows] == [Likeness.DIFFERENT]  # exp(0) = 1, sin(0) = 0: the part differs for sure


def test_without_a_runtime_the_proof_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(model_diff, "_onnx_runner", lambda path, graph: None)
    found = pair(tmp_path, [node("Exp", ["x"], ["y"])], [node("Sin", ["x"], ["y"])], shape=["N", 2])
    assert found.relation is Likeness.DIFFERENT
    assert found.witness["kind"] == "input" or found.witness["replayed_by"] is None


def test_a_runtime_that_leaves_its_bound_proves_nothing(tmp_path, monkeypatch):
    """Where a runtime and the evaluation contradict each other, one of them is wrong, and nothing is claimed."""
    run = OnnxRunner.run
    monkeypatch.setattr(OnnxRunner, "run", lambda self, inputs: [value + (value == 0) for value in run(self, inputs)])
    found = pair(tmp_path, [node("Relu", ["x"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Relu", ["b"], ["y"])],
                 [node("Abs", ["x"], ["a"]), node("Sub", ["a", "c"], ["b"]), node("Relu", ["b"], ["y"])], {"c": C})  # fmt: skip
    assert found.relation is Likeness.UNKNOWN and "outside of its rounding bound" in found.detail


def test_the_witness_of_operators_is_replayed_by_pytorch():
    class Two(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.conv, self.function = nn.Conv2d(2, 2, 3), function

        def forward(self, x):
            y = self.conv(x)
            return torch.tanh(self.function(y, torch.sigmoid(y)))

    torch.manual_seed(0)
    one = Two(lambda a, b: torch.cat([a, b], 1))
    two = Two(lambda a, b: torch.cat([b, a], 1))
    two.load_state_dict(one.state_dict())
    found = symconv.diff(one, two)
    assert found.relation is Likeness.DIFFERENT and found.evidence == "bounded run"
    (row,) = found.rows
    given = [torch.tensor(item["values"]).reshape(item["shape"]) for item in row.witness["inputs"].values()]
    at = tuple(row.witness["at"])
    assert Fraction(torch.cat(given, 1)[at].item()) == Fraction(row.witness["left_value"])
    assert Fraction(torch.cat(given[::-1], 1)[at].item()) == Fraction(row.witness["right_value"])
    assert row.witness["exact"] and row.witness["left_value"] != row.witness["right_value"]


def test_a_deep_network_needs_many_places(tmp_path):
    """24 layers lose more digits than float64 has; the bounds of the evaluation with many places are small all the same."""
    rng = np.random.default_rng(0)
    weights = {f"w{k}": (rng.normal(size=(16, 4 if k == 0 else 16, 3, 3)) * (2 / 144) ** 0.5).astype(np.float32) for k in range(24)}

    def nodes(without):
        made, value = [], "x"
        for k in range(24):
            made.append(node("Conv", [value, f"w{k}"], [f"c{k}"], f"conv{k}", pads=[1, 1, 1, 1]))
            value = f"c{k}"
            if k != without:
                made.append(node("Relu", [value], [f"r{k}"], f"relu{k}"))
                value = f"r{k}"
        return [*made, node("Tanh", [value], ["y"], "tanh")]

    found = pair(tmp_path, nodes(99), nodes(12), weights)
    assert found.relation is Likeness.DIFFERENT and found.evidence == "bounded run"
    gap = abs(found.witness["left_value"] - found.witness["right_value"])
    assert found.witness["left_bound"] + found.witness["right_bound"] < 2.0**-10 * gap

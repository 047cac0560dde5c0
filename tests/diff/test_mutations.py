"""Planted mutations: none is called identical, and what is called different parts in ONNX Runtime."""

from collections import Counter

import onnx
import pytest
from models_for_diff import branching, curved, mutations

import symconv
from symconv.prove.graphs.outcome import Likeness

PROVED = ("proof", "exact run", "bounded run")


def verdicts(path, tmp_path, seed, count):
    """What each mutant is called, and what that rests on; a mutant is never identical, and a rounded run proves nothing."""
    mutant, found = tmp_path / "mutant.onnx", Counter()
    for what, proto in mutations(onnx.load(path), seed, count):
        onnx.save(proto, mutant)
        answer = symconv.diff(path, mutant, budget=30)
        assert answer.cause and answer.relation is not Likeness.IDENTICAL, what
        if "last bit" in what:
            assert answer.relation is Likeness.UP_TO and answer.rows[0].distance > 0, what
        if answer.relation is Likeness.DIFFERENT:
            assert answer.evidence in PROVED and answer.witness is not None, what
            assert any(row.relation is Likeness.DIFFERENT for row in answer.rows), what
        else:
            assert answer.evidence not in PROVED, what
        found[answer.relation.value] += 1
    return found


def test_a_branching_model_is_itself_and_no_mutant_is(tmp_path):
    path = branching(tmp_path / "model.onnx")
    assert symconv.diff(path, path).relation is Likeness.IDENTICAL
    assert verdicts(path, tmp_path, 1, 40) == {"different": 36, "equal_up_to": 4}


def test_with_real_weights_and_curves_mutants_are_refuted_by_bounds(tmp_path):
    path = curved(tmp_path / "model.onnx")
    assert symconv.diff(path, path).relation is Likeness.IDENTICAL
    found = verdicts(path, tmp_path, 5, 20)
    assert found["different"] + found["equal_up_to"] == 20 and found["different"] >= 16


@pytest.mark.slow
@pytest.mark.parametrize("make", [branching, curved])
@pytest.mark.parametrize("seed", range(2))
def test_hundreds_of_mutants(seed, make, tmp_path):
    found = verdicts(make(tmp_path / "model.onnx"), tmp_path, 100 + seed, 150)
    assert found["unknown"] <= 1 and found["different"] >= 130


def test_names_and_the_order_of_nodes_do_not_matter(tmp_path):
    path = branching(tmp_path / "model.onnx")
    proto = onnx.load(path)
    for number, node in enumerate(proto.graph.node):
        node.name = f"n{number}"
        for values in (node.input, node.output):
            for k, value in enumerate(values):
                values[k] = value if value in ("x", "y", "") else f"_{value}"
        if node.op_type == "Add":
            node.input[0], node.input[1] = node.input[1], node.input[0]
    for item in proto.graph.initializer:
        item.name = f"_{item.name}"
    onnx.save(proto, tmp_path / "renamed.onnx")
    found = symconv.diff(path, tmp_path / "renamed.onnx")
    assert found.relation is Likeness.IDENTICAL and not found.rows

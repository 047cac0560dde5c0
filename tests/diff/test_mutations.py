"""Planted mutations: none is called identical, and what is called different parts in ONNX Runtime."""

import onnx
import pytest
from models_for_diff import branching, mutations

import symconv
from symconv.prove.graphs.outcome import Likeness


def miss(path, tmp_path, seed, count):
    """Mutants that were called identical; how many were shown at the output, and how many of these are proved to differ."""
    mutant, missed, shown, proved = tmp_path / "mutant.onnx", [], 0, 0
    for what, proto in mutations(onnx.load(path), seed, count):
        onnx.save(proto, mutant)
        found = symconv.diff(path, mutant, budget=30)
        assert found.cause, what
        if found.relation is Likeness.IDENTICAL:
            missed.append(what)
        if "last bit" in what:
            assert found.relation is Likeness.UP_TO and found.rows[0].distance > 0, what
        if found.relation is Likeness.DIFFERENT:  # never by rounded numbers alone
            assert found.evidence != "run" or any(row.relation is Likeness.DIFFERENT for row in found.rows), what
        else:
            assert found.relation in (Likeness.UP_TO, Likeness.UNKNOWN), what
        shown += found.witness is not None
        proved += found.relation is Likeness.DIFFERENT
    return missed, shown, proved


def test_a_branching_model_is_itself_and_no_mutant_is(tmp_path):
    path = branching(tmp_path / "model.onnx")
    assert symconv.diff(path, path).relation is Likeness.IDENTICAL
    missed, shown, proved = miss(path, tmp_path, 1, 40)
    assert not missed
    assert shown >= 30 and proved >= 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_hundreds_of_mutants(seed, tmp_path):
    missed, shown, proved = miss(branching(tmp_path / "model.onnx"), tmp_path, 100 + seed, 150)
    assert not missed
    assert shown >= 120 and proved >= 80


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

"""ONNX's own node tests: what is evaluated has their outputs, and the rest is refused in words."""

import warnings

import numpy as np
import pytest

from symconv.conformance.graphs.onnx_rules import ONNX
from symconv.conformance.graphs.values import evaluate
from symconv.errors import ModelError, OutsideFragment
from symconv.frontends.model_files import open_model
from symconv.frontends.onnx.dataflow import dataflow

pytestmark = pytest.mark.slow


def test_onnx_node_cases(tmp_path):
    import onnx
    from onnx.backend.test.case.node import collect_testcases

    same, operators, path = 0, set(), tmp_path / "m.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        used = {node.op_type for node in case.model.graph.node}
        if not used <= set(ONNX):
            continue
        onnx.save(case.model, path)
        for inputs, outputs in case.data_sets:
            try:
                graph = dataflow(open_model(path))
                given = {item.name: np.asarray(value) for item, value in zip(case.model.graph.input, inputs, strict=False)}
                found = evaluate(graph, given, keep=graph.outputs)
            except (OutsideFragment, ModelError):
                continue
            for name, wanted in zip(graph.outputs, outputs, strict=True):
                near = 1e-2 if np.asarray(wanted).dtype == np.float16 else 1e-4
                np.testing.assert_allclose(found.values[name], np.asarray(wanted), rtol=10 * near, atol=near, err_msg=case.name)
                same += 1
                operators |= used
    assert same > 500 and len(operators) > 80

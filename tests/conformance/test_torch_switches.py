"""PyTorch's switches: what a program set before reaches no run, and everything is as it was afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from symconv.conformance import torch_switches
from symconv.conformance.torch_runs import TorchSetting
from symconv.conformance.torch_switches import configured
from symconv.convert.fastest.choosing import _tf32

NEW = [(library, what) for library in ("cuda", "mkldnn") for what in ("all", "conv", "rnn", "matmul")] + [("generic", "all")]
BEFORE: dict[str, Callable[[], Any]] = {
    "nothing": lambda: None,
    "medium products": lambda: torch.set_float32_matmul_precision("medium"),
    "TF32 everywhere": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "only the new switch": lambda: setattr(torch.backends.cudnn.conv, "fp32_precision", "ieee"),
    "only the old switch": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "new products": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
    "deterministic": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "half sums": lambda: setattr(torch.backends.cuda.matmul, "allow_fp16_accumulation", True),
}


def seen() -> dict[Any, Any]:
    """All switches."""

    def old(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except RuntimeError:
            return "contradictory"

    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    reductions = ("allow_fp16_accumulation", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
    return {key: torch._C._get_fp32_precision_getter(*key) for key in NEW} | {
        "old": [old(lambda: cudnn.allow_tf32), old(lambda: matmul.allow_tf32), old(torch.get_float32_matmul_precision)],
        "cudnn": [cudnn.enabled, cudnn.benchmark, cudnn.deterministic],
        "cublas": [getattr(matmul, name) for name in reductions],
        "others": [torch.backends.mkldnn.enabled, torch.are_deterministic_algorithms_enabled()],
    }


@pytest.fixture(autouse=True)
def _untouched() -> Iterator[None]:
    before = seen()
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cuda.matmul.allow_fp16_accumulation = False
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")
    for key in (("generic", "all"), ("mkldnn", "all"), ("mkldnn", "conv"), ("mkldnn", "rnn"), ("mkldnn", "matmul"), ("cuda", "all")):
        torch._C._set_fp32_precision_setter(*key, "none")
    torch._C._set_fp32_precision_setter("cuda", "matmul", "none")
    for key in (("cuda", "conv"), ("cuda", "rnn")):
        torch._C._set_fp32_precision_setter(*key, "tf32")
    assert seen() == before


@pytest.mark.parametrize("name", BEFORE)
def test_a_setting_means_what_it_says_and_leaves_no_trace(name: str) -> None:
    BEFORE[name]()
    before = seen()
    assert len(_tf32()) == 2  # what measurements are remembered by is read without a complaint
    algorithms = {"cpu": ("onednn", "no-onednn", "nnpack"), "cuda": ("cudnn", "cudnn-benchmark", "cudnn-deterministic", "no-cudnn")}
    for device, dtype in itertools.product(algorithms, ("float64", "float32", "tf32", "bfloat16", "float16")):
        for algorithm in algorithms[device]:
            with configured(TorchSetting(device, dtype, algorithm=algorithm)):
                inside = seen()
            assert seen() == before, (device, dtype, algorithm)
            assert inside["others"][1] is False
            if device == "cpu":
                assert inside["mkldnn", "conv"] == inside["mkldnn", "matmul"] == "ieee"
                assert inside["others"][0] is (algorithm == "onednn")
                continue
            wanted = "ieee" if dtype in ("float64", "float32") else "tf32"
            assert {inside["cuda", what] for what in ("conv", "rnn", "matmul")} == {wanted}
            assert inside["cublas"] == [False, False, False]
            assert inside["cudnn"] == [algorithm != "no-cudnn", algorithm == "cudnn-benchmark", algorithm == "cudnn-deterministic"]
            if "contradictory" not in before["old"]:  # torch.compile reads the old switches
                assert inside["old"][:2] == [wanted == "tf32"] * 2


def test_switches_are_put_back_after_an_error() -> None:
    before = seen()
    with pytest.raises(KeyError), configured(TorchSetting("cuda", "tf32", algorithm="no-cudnn")):
        raise KeyError
    assert seen() == before


def test_a_pytorch_with_the_old_switches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_switches, "TWO_INTERFACES", False)
    before = seen()
    for dtype, wanted in (("float32", False), ("tf32", True), ("float16", True)):
        with configured(TorchSetting("cuda", dtype, algorithm="cudnn")):
            assert seen()["old"][:2] == [wanted, wanted]
        assert seen()["old"] == before["old"]

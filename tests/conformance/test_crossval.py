"""Cross-validation: equivalent layers agree bit for bit and within proved bounds, wrong ones do not."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from symconv.app.equivalents import equivalents, random_pairs
from symconv.conformance import instances
from symconv.conformance.crossval import cross_validate
from symconv.conformance.evidence import Evidence, Outcome
from symconv.conformance.faults import FAULTS, plant
from symconv.conformance.instances import Instance
from symconv.conformance.judging import rounds_back
from symconv.conformance.pairing import Pairing, pair_networks
from symconv.conformance.plan import Plan
from symconv.conformance.real_layers import REAL_LAYERS
from symconv.conformance.snippet import write_snippet
from symconv.conformance.stagewise import linear_stages
from symconv.conformance.torch_runs import DIRECTIONS, TorchSetting
from symconv.errors import LayerError, OutsideFragment
from symconv.frontends.text import parse

TRANSPOSED = "ConvTranspose2d(3, 4, 4, stride=2, padding=1)"
SHUFFLED = "Conv2d(3, 16, 3, padding=1) >> PixelShuffle(2)"


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairing(left: str, right: str, channels: int | None = None) -> Pairing:
    return pair_networks(parse(left), parse(right), channels=channels)


def outcomes(evidence: Evidence, kind: str) -> set[Outcome]:
    return {row.outcome for row in evidence.rows if row.evidence == kind}


def test_a_conversion_agrees_in_every_number_format_and_direction() -> None:
    dtypes = ("float64", "float32", "bfloat16", "float16")
    evidence = cross_validate(pairing(TRANSPOSED, SHUFFLED), Plan(dtypes=dtypes, memory_formats=("contiguous", "channels_last"), count=2))
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}
    assert outcomes(evidence, "bounded") == {Outcome.WITHIN}
    assert len(evidence.rows) == len(dtypes) * 2 * 2 * len(DIRECTIONS) * 2
    assert all(
        row.bound is not None and row.limit is not None and row.bound <= row.limit for row in evidence.rows if row.evidence == "exact"
    )
    assert all(row.instances == 2 and row.values > 0 for row in evidence.rows)
    # the bounds mean something: the worst error is a fair part of what is allowed
    assert max(row.ratio for row in evidence.rows if row.ratio is not None) > 0.05


PAIRS = [
    ("AvgPool2d(2)", "Conv2d(2, 2, 2, stride=2, groups=2, bias=False)", 2),
    ("AvgPool1d(3)", "Conv1d(2, 2, 3, stride=3, groups=2)", 2),
    ("Upsample(scale_factor=2) >> Conv2d(2, 2, 3, padding=1)", "ConvTranspose2d(2, 2, 4, stride=2, padding=1)", None),
    ("Conv1d(1, 4, 3, padding=1, padding_mode='circular')", "CircularPad1d(1) >> Conv1d(1, 4, 3)", None),
    (
        "Conv2d(2, 8, 3) >> ReLU() >> PixelShuffle(2) >> Conv2d(2, 2, 3)",
        "Conv2d(2, 8, 3) >> PixelShuffle(2) >> ReLU() >> Conv2d(2, 2, 3)",
        None,
    ),
    ("PixelShuffle(2) >> BatchNorm2d(2)", "BatchNorm2d(8) >> PixelShuffle(2)", None),
    ("Upsample(scale_factor=3, mode='bicubic') >> Conv2d(1, 2, 3)", "Upsample(scale_factor=3, mode='bicubic') >> Conv2d(1, 2, 3)", None),
    (
        "Upsample(scale_factor=2, mode='linear') >> Conv1d(1, 2, 3)",
        "ReplicationPad1d(1) >> Upsample(scale_factor=2, mode='linear') >> Crop(2) >> Conv1d(1, 2, 3)",
        None,
    ),
    ("Conv3d(1, 2, 2, stride=2)", "PixelUnshuffle(2) >> Conv3d(8, 2, 1)", None),
    ("Conv1d(2, 4, 3) >> PReLU()", "Conv1d(2, 4, 3) >> PReLU()", None),
]


@pytest.mark.parametrize(("left", "right", "channels"), PAIRS)
def test_fixed_layers_networks_and_odd_relations_agree(left: str, right: str, channels: int | None) -> None:
    evidence = cross_validate(pairing(left, right, channels), Plan(count=1, algorithms=("onednn",)))
    assert evidence.verdict == "agrees", evidence
    assert outcomes(evidence, "exact") <= {Outcome.IDENTICAL, Outcome.UNSUPPORTED}
    assert outcomes(evidence, "bounded") <= {Outcome.WITHIN, Outcome.UNSUPPORTED}
    forward = [row for row in evidence.rows if row.direction == "forward"]
    assert all(row.outcome is not Outcome.UNSUPPORTED or row.reason for row in evidence.rows)
    assert any(row.outcome is not Outcome.UNSUPPORTED for row in forward)


def test_nonlinearities_without_a_theorem_are_left_out_stage_by_stage() -> None:
    network = pairing(
        "Conv1d(1, 4, 3) >> Tanh() >> PixelShuffle(2) >> Conv1d(2, 2, 3)", "Conv1d(1, 4, 3) >> PixelShuffle(2) >> Tanh() >> Conv1d(2, 2, 3)"
    )
    assert len(linear_stages(network)) == 2
    evidence = cross_validate(network, Plan(count=1))
    assert evidence.verdict == "agrees"
    assert all("stage by stage" in row.reason for row in evidence.rows)


def test_pairs_without_a_common_kernel_are_refused() -> None:
    with pytest.raises(OutsideFragment, match="no kernel of one side"):
        pairing("Conv1d(1, 1, 3)", "Conv1d(1, 1, 5)")
    with pytest.raises(LayerError, match="extent 3"):
        cross_validate(pairing("Conv1d(1, 2, 2, stride=2)", "PixelUnshuffle(2) >> Conv1d(2, 2, 1)"), Plan(extents=(3,)))


def test_random_layers_agree() -> None:
    for left, right in itertools.islice(random_pairs(5), 8):
        evidence = cross_validate(pair_networks(left, right), Plan(count=1))
        assert evidence.verdict == "agrees", (evidence.left, evidence.right, evidence.deviations)
        assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}


@pytest.mark.slow
def test_a_thousand_random_layers_agree() -> None:
    for left, right in itertools.islice(random_pairs(6), 1000):
        evidence = cross_validate(pair_networks(left, right), Plan(dtypes=("float64", "float32", "bfloat16", "float16"), count=1))
        assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}, (evidence.left, evidence.right, evidence.deviations)
        assert outcomes(evidence, "bounded") == {Outcome.WITHIN}, (evidence.left, evidence.right, evidence.deviations)


@pytest.mark.slow
@pytest.mark.parametrize("real", REAL_LAYERS, ids=lambda real: real.name)
def test_every_real_layer_agrees_with_its_forms(real: Any) -> None:
    for form, target in equivalents(real):
        pair = pair_networks(real.layer, target)
        extents = tuple(item.first(min(n, 4)) or 1 for n, item in zip(real.extents, pair.domains, strict=True))
        evidence = cross_validate(pair, Plan(dtypes=("float64", "float32", "bfloat16"), extents=extents, count=1))
        assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}, (form, evidence.deviations)
        assert outcomes(evidence, "bounded") == {Outcome.WITHIN}, (form, evidence.deviations)


@pytest.mark.slow
def test_every_real_layer_has_a_form_to_compare_it_with() -> None:
    assert len(REAL_LAYERS) >= 25
    assert all(equivalents(real) for real in REAL_LAYERS)


def test_compiled_modules_agree() -> None:
    evidence = cross_validate(
        pairing(TRANSPOSED, SHUFFLED),
        Plan(dtypes=("float32",), modes=("compile",), compiler="aot_eager", algorithms=("onednn",), count=1, evidence=("exact",)),
    )
    assert evidence.verdict == "agrees"
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}


@pytest.mark.slow
@pytest.mark.parametrize(
    "real",
    [real for real in REAL_LAYERS if real.name in ("DCGAN 5", "FSRCNN x3", "ESPCN x3", "HiFi-GAN 4", "Kokoro")],
    ids=lambda real: real.name,
)
def test_inductor_agrees(real: Any) -> None:
    form, target = equivalents(real)[0]
    evidence = cross_validate(
        pair_networks(real.layer, target), Plan(modes=("compile",), algorithms=("onednn",), dtypes=("float32",), count=1)
    )
    assert evidence.verdict == "agrees", (form, evidence.deviations)
    assert outcomes(evidence, "exact") == {Outcome.IDENTICAL}


# Planted faults. Each one must be seen in exact mode whenever it changes the function at all, which here it always does.

FAULTY = [
    (TRANSPOSED, SHUFFLED),
    ("ConvTranspose1d(2, 3, 5, stride=3, padding=1, output_padding=1)", "ZeroInsert(3) >> ZeroPad1d((3, 4)) >> Conv1d(2, 3, 5)"),
    ("Conv2d(2, 8, 3, padding=1) >> PixelShuffle(2)", "Conv2d(2, 8, 3, padding=1) >> ChannelShuffle(2) >> DepthToSpace(2)"),
    ("Conv1d(2, 4, 4, stride=2, padding=2)", "ZeroPad1d(2) >> PixelUnshuffle(2) >> Conv1d(4, 4, 2)"),
]


def _planted(monkeypatch: pytest.MonkeyPatch, name: str, pair: Pairing, seed: int) -> Pairing | None:
    """The pair with a fault on its carried side; instances are drawn for the right pair and then spoiled."""
    planted = plant(name, pair, np.random.default_rng(seed))
    if planted is None:
        return None
    faulty, change = planted

    def spoiled(draw: Callable[..., Instance]) -> Callable[..., Instance]:
        return lambda _, *rest: change(draw(pair, *rest))

    monkeypatch.setattr("symconv.conformance.crossval.draw_exact", spoiled(instances.draw_exact))
    monkeypatch.setattr("symconv.conformance.crossval.draw_real", spoiled(instances.draw_real))
    return attrs.evolve(faulty, domains=pair.domains)


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_seen(monkeypatch: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    exact, bounded = [], []
    for seed, (left, right) in itertools.product(range(4), FAULTY):
        with monkeypatch.context() as patch:
            pair = pairing(left, right)
            faulty = _planted(patch, name, pair, seed)
            if faulty is None:
                continue
            plan = Plan(dtypes=("float32",), algorithms=("onednn",), directions=("forward",), count=1, seed=seed, extents=_extents(pair))
            evidence = cross_validate(faulty, plan)
            exact.append(Outcome.DEVIATES in outcomes(evidence, "exact"))
            bounded.append(Outcome.DEVIATES in outcomes(evidence, "bounded"))
    with capsys.disabled():
        print(f"\n  {name}: seen in {sum(exact)} of {len(exact)} exact and {sum(bounded)} of {len(bounded)} bounded runs at float32")
    assert len(exact) >= 4
    assert all(exact)
    assert all(bounded)


def _extents(pair: Pairing) -> tuple[int, ...]:
    return tuple(item.first(6) or 6 for item in pair.domains)


def test_a_bounded_run_passes_a_fault_below_its_bound_and_sees_one_above() -> None:
    """The bound decides, not a tolerance: one tap is moved by a little less, then a little more than what rounding may do."""
    pair = pairing("Conv1d(1, 1, 3, bias=False)", "Conv1d(1, 1, 3, bias=False)")
    plan = Plan(dtypes=("float32",), algorithms=("onednn",), directions=("forward",), evidence=("bounded",), count=1)
    allowed = cross_validate(pair, plan).rows[0].bound
    assert allowed is not None and 0 < allowed < 1e-5
    drawn = instances.draw_real
    for factor, outcome in ((0.1, Outcome.WITHIN), (10.0, Outcome.DEVIATES)):

        def changed(p: Pairing, *rest: Any, size: float = factor * allowed) -> Instance:
            found = drawn(p, *rest)
            own = found.right[0]
            assert own is not None
            kernel = np.array(own.kernel)
            kernel[0, 0, 1] += size / np.abs(found.x).max()
            return attrs.evolve(found, right=(attrs.evolve(own, kernel=kernel),))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("symconv.conformance.crossval.draw_real", changed)
            assert cross_validate(pair, plan).rows[0].outcome is outcome


def test_a_transform_is_named_and_not_hidden() -> None:
    """Values that are no integers but round to the exact ones come from fractional constants; a wrong integer is a deviation."""
    exact = np.array([3.0, -2.0])
    assert rounds_back(np.array([3.0, -2.0 + 2**-20]), exact)
    assert not rounds_back(np.array([4.0, -2.0 + 2**-20]), exact)
    assert not rounds_back(np.array([3.0, np.nan]), exact)


def test_winograd_in_nnpack_is_seen_as_a_transform() -> None:
    """With oneDNN off and a batch of 16 PyTorch takes NNPACK, whose Winograd transforms are no integers."""
    if not torch.backends.nnpack.is_available():
        pytest.skip("this build of PyTorch has no NNPACK")
    pair = pairing(
        "Conv2d(16, 16, 3, padding=1) >> PixelShuffle(2)", "Conv2d(16, 16, 3, padding=1) >> ChannelShuffle(4) >> DepthToSpace(2)"
    )
    plan = Plan(
        dtypes=("float32",), algorithms=("no-onednn", "nnpack"), directions=("forward",), evidence=("exact",), extents=(16, 16), count=1
    )
    plain, transformed = cross_validate(pair, plan).rows
    assert plain.outcome is Outcome.IDENTICAL
    assert transformed.outcome is Outcome.TRANSFORM and "Winograd" in transformed.reason


def _printed(text: str) -> str:
    """What a snippet prints when it is run with names of its own."""
    out = io.StringIO()
    with torch.backends.mkldnn.flags(enabled=True), torch.backends.nnpack.flags(enabled=True), contextlib.redirect_stdout(out):
        exec(compile(text, "snippet", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def test_a_snippet_runs_by_itself_and_shows_the_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = pairing(
        "ConvTranspose1d(2, 3, 5, stride=3, padding=1, output_padding=1)", "ZeroInsert(3) >> ZeroPad1d((3, 4)) >> Conv1d(2, 3, 5)"
    )
    faulty = _planted(monkeypatch, "a tap moved", pair, 0)
    assert faulty is not None
    evidence = cross_validate(faulty, Plan(dtypes=("float32",), algorithms=("no-onednn",), count=1))
    worst = evidence.worst
    assert worst is not None and worst.deviation is not None and evidence.snippet is not None
    assert "symconv" not in evidence.snippet
    shown = _printed(evidence.snippet)
    if worst.direction != "weight-grad":
        assert float(shown.split("largest difference:")[1].split()[0]) == abs(worst.deviation.found - worst.deviation.exact)


def test_a_snippet_is_the_same_function() -> None:
    """Spelled modules compute what the oracle's do: no deviation shows where there is none."""
    pair = pairing(
        "Conv2d(2, 8, 3, padding=1) >> PReLU() >> PixelShuffle(2)",
        "Conv2d(2, 8, 3, padding=1) >> PReLU() >> ChannelShuffle(2) >> DepthToSpace(2)",
    )
    from symconv.conformance.precision import PRECISIONS

    instance = instances.draw_exact(pair, PRECISIONS["float64"], (4, 4), np.random.default_rng(0))
    row = cross_validate(pair, Plan(dtypes=("float64",), count=1)).rows[0]
    text = write_snippet(pair, instance, TorchSetting(algorithm="onednn"), row, "torch")
    assert float(_printed(text).split("largest difference:")[1].split()[0]) == 0

"""`symconv crossval`: two layers, a certificate, two whole models or the whole corpus, run on devices.

Owns: what the arguments name, the exit code: 0 all agrees, 1 something deviates, 3 nothing could run.
Must not know: how numbers are compared.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from symconv.app.arguments import one_output, read_budget, read_channels, read_extents, read_layer
from symconv.app.crossval_models import are_models, evidence_of
from symconv.app.output import emit
from symconv.errors import CertificateError, LayerError, OutsideFragment, UsageError
from symconv.report.page import Page

CODES = {"agrees": 0, "deviates": 1, "nothing_ran": 3}


def crossval(
    left: str | None,
    right: str | None,
    *,
    corpus: bool = False,
    device: str = "auto",
    dtype: str | None = None,
    memory_format: str | None = None,
    algorithms: str | None = None,
    mode: str | None = None,
    directions: str | None = None,
    backend: str | None = None,
    compiler: str = "inductor",
    extents: str | None = None,
    count: int = 3,
    seed: int = 0,
    channels: int | None = None,
    budget: float = 60.0,
    as_json: bool = False,
    as_format: str = "text",
) -> int:
    """Cross-validates, prints and returns the exit code.

    Raises:
        UsageError: layers, options or a device that are not there.
        OutsideFragment: nothing is known to agree, so there is nothing to run.
    """
    one_output(as_json, as_format)
    wanted = read_extents(extents)
    read_budget(budget)
    _arguments(left, right, corpus)
    if corpus and wanted is not None:
        raise UsageError("`--extents` is for two layers; the instances of the corpus have different numbers of axes. Leave it out.")
    options = {
        "device": device,
        "dtypes": dtype,
        "memory_formats": memory_format,
        "algorithms": algorithms,
        "modes": mode,
        "directions": directions,
        "backends": backend,
        "extents": wanted,
        "count": count,
        "seed": seed,
        "compiler": compiler,
    }
    if left is not None and right is not None and are_models(left, right):
        found = evidence_of(left, right, options, channels=channels, budget=budget, done=_progress())
        return _shown(found, as_json=as_json, as_format=as_format)
    networks = None if corpus else _networks(left or "", right)
    from symconv.conformance.plan import make_plan

    plan = make_plan(**options)  # type: ignore[arg-type]
    if networks is None:
        return _corpus(plan, as_json=as_json, as_format=as_format)
    from symconv.conformance.crossval import cross_validate

    pairing = _pairing(networks, left or "", channels, budget)
    return _shown(cross_validate(pairing, plan, _progress()), as_json=as_json, as_format=as_format)


def _shown(evidence: Any, *, as_json: bool, as_format: str) -> int:
    """Prints what was seen; the exit code."""
    from symconv.report.crossval import crossval_page

    def page() -> Page:
        return crossval_page(evidence)

    emit(evidence.to_dict, page, as_json=as_json, as_format=as_format)
    return CODES[evidence.verdict]


def _arguments(left: str | None, right: str | None, corpus: bool) -> None:
    if corpus and left is not None:
        raise UsageError("`--corpus` runs the theorems' own layers; leave LEFT and RIGHT out.")
    if not corpus and left is None:
        raise UsageError("`crossval` needs two layers, one certificate, or --corpus.")


def is_certificate(argument: str) -> bool:
    """Whether an argument names a certificate file."""
    return argument.endswith(".json") and "(" not in argument


def _networks(left: str, right: str | None) -> Any:
    """Two chains, or the record of a certificate."""
    if right is None:
        if not is_certificate(left):
            raise UsageError("`crossval` needs a second layer; only a certificate (FILE.json) stands alone.")
        from symconv.certificate.encode import read

        path = Path(left)
        if not path.exists():
            raise CertificateError(f"`{left}` cannot be read: there is no such file.")
        return read(path)
    if is_certificate(left) or is_certificate(right):
        raise UsageError("a certificate speaks of two layers itself; give it alone, without a second layer.")
    return read_layer(left), read_layer(right)


def _pairing(networks: Any, name: str, channels: int | None, budget: float) -> Any:
    from symconv.conformance.pairing import pair_certificate, pair_networks

    if isinstance(networks, dict):
        return pair_certificate(networks, name)
    return pair_networks(*networks, channels=read_channels(channels), seconds=budget)


def _progress() -> Any:
    """A line on a terminal's standard error that names the setting just done."""
    if not sys.stderr.isatty():
        return lambda row: None

    def show(row: Any) -> None:
        text = f"{row.backend} {row.device} {row.dtype} {row.algorithm} {row.mode} {row.direction}: {row.outcome.value}"
        print(f"\r\x1b[K{text}", end="\r", file=sys.stderr, flush=True)

    return show


PREDICTS_AGREEMENT = ("equal", "left_in_right", "right_in_left")
MOST_CASES = 24
"""Instances of one theorem that are run; spread evenly over all it has."""


def _corpus(plan: Any, *, as_json: bool, as_format: str) -> int:
    from symconv.conformance.environment import environment
    from symconv.report.corpus import package
    from symconv.report.crossval import corpus_page, corpus_record

    theorems = [package().load(name) for name in package().NAMES]
    rows = [theorem_row(theorem, plan) for theorem in theorems if theorem.agreements]
    about = environment([plan.device], plan.backends)
    emit(lambda: corpus_record(rows, about, plan.seed), lambda: corpus_page(rows, about), as_json=as_json, as_format=as_format)
    return 1 if any(row.deviating for row in rows) else 0 if any(row.confirmed for row in rows) else 3


def theorem_row(theorem: Any, plan: Any, most: int = MOST_CASES) -> Any:
    """A theorem's instances that predict agreement, each under the whole plan."""
    from symconv.conformance.crossval import cross_validate
    from symconv.conformance.pairing import pair_networks
    from symconv.frontends.text import parse
    from symconv.report.crossval import TheoremRow

    cases = [case for agreement in theorem.agreements for case in agreement.cases() if case.relation in PREDICTS_AGREEMENT]
    confirmed, numbers, largest = 0, 0, 0.0
    deviating: list[str] = []
    left_out: dict[str, None] = {}
    chosen = _spread(cases, most)
    for case in chosen:
        name = f"{case.left} against {case.right}"
        try:
            evidence = cross_validate(pair_networks(parse(case.left), parse(case.right), channels=case.channels), plan)
        except (OutsideFragment, LayerError) as error:
            left_out[f"{name}: {error}"] = None
            continue
        numbers += sum(row.values for row in evidence.rows)
        largest = max(largest, *(row.ratio or 0.0 for row in evidence.rows))
        if evidence.deviations:
            deviating.append(name)
        elif evidence.ran:
            confirmed += 1
        else:
            left_out[f"{name}: {evidence.rows[0].reason}"] = None
    return TheoremRow(theorem.name, theorem.title, len(chosen), confirmed, tuple(deviating), tuple(left_out), numbers, largest)


def _spread(cases: Sequence[Any], most: int) -> list[Any]:
    if len(cases) <= most:
        return list(cases)
    return [cases[k * len(cases) // most] for k in range(most)]

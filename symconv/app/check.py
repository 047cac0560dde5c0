"""`symconv check`: two layers in, the relation out.

Owns: the claim's outcome as an exit code. Must not know: how relations are decided or shown.
"""

from __future__ import annotations

from pathlib import Path

import symconv.api
from symconv.app.arguments import one_output, read_budget, read_channels, read_extents, read_layer, writable
from symconv.app.output import emit, save
from symconv.report.page import Page
from symconv.theory.relation import Claim, Relation
from symconv.theory.verdict import Verdict

EXIT_CODE = {True: 0, False: 1, None: 3}
"""The claim is proved, refuted, left open."""


def check(
    left: str,
    right: str,
    *,
    claim: str,
    interior: bool,
    common_extents: bool,
    extents: str | None,
    channels: int | None,
    budget: float,
    certificate: Path | None,
    force: bool,
    as_json: bool,
    as_format: str,
    presburger: bool,
) -> int:
    """Decides, reports, and returns the exit code."""
    one_output(as_json, as_format)
    seconds, count, at = read_budget(budget), read_channels(channels), read_extents(extents)
    path = writable(certificate, force=force)
    one, two = read_layer(left), read_layer(right)
    verdict = symconv.api.check(one, two, channels=count, extents=at, budget=seconds, presburger=presburger)
    holds = outcome(verdict, Claim(claim), interior=interior, common_extents=common_extents)
    saved = save(verdict.certificate, path, force=force)

    def page() -> Page:
        from symconv.report.check import Question, check_page

        question = Question(claim=Claim(claim), holds=holds, interior=interior, common_extents=common_extents, saved=saved)
        return check_page(verdict, question)

    emit(verdict.to_dict, page, as_json=as_json, as_format=as_format)
    return EXIT_CODE[holds]


def outcome(verdict: Verdict, claim: Claim, *, interior: bool, common_extents: bool) -> bool | None:
    """Whether a claim is proved, refuted or open; without borders (`interior`) domains do not count."""
    if not interior:
        return verdict.proves(claim, common_extents=common_extents)
    wanted = {
        Claim.EQUAL: {Relation.EQUAL},
        Claim.LEFT_IN_RIGHT: {Relation.EQUAL, Relation.LEFT_IN_RIGHT},
        Claim.RIGHT_IN_LEFT: {Relation.EQUAL, Relation.RIGHT_IN_LEFT},
    }
    if verdict.interior_relation in (None, Relation.UNKNOWN):
        return None
    return verdict.interior_relation in wanted[claim]

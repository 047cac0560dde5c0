"""Results of theorems and verdicts: fresh ones, and saved ones held against the corpus and the checker.

Owns: `Found`, `fresh`, `read_theorems`, `SavedVerdict`, `read_verdict`; what a saved record must have to be believed.
Must not know: pages, writers.

A saved record is never believed beyond what it says in full: a theorem counts as proved if the record is of the same statement and
has every part of the corpus's theorem as proved; a verdict counts as certified if its certificate is accepted again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from symconv.api import Verification, verify
from symconv.errors import CertificateError, SymconvError, UsageError
from symconv.report.corpus import digest
from symconv.theory.relation import DomainRelation, Relation, Trust
from symconv.theory.verdict import ALL_EXTENTS, Dimension, Verdict

SOLVERS = ("z3", "cvc5")


@attrs.frozen
class Checked:
    """What one backend said of one part; `seconds` only where a saved record tells them."""

    backend: str
    part: str
    outcome: str
    detail: str
    seconds: float | None


@attrs.frozen
class Shown:
    """A counterexample to a false twin; `replayed` as in the corpus."""

    text: str
    replayed: bool | None


@attrs.frozen
class Found:
    """What is known of one theorem.

    Args:
        checks: of every part, by every backend that ran.
        counterexamples: twin to counterexample.
        seconds: of the whole, where a saved record tells them.
        origin: the file that the results were read from; empty if they were found in making the report.
    """

    checks: tuple[Checked, ...]
    counterexamples: Mapping[str, Shown]
    seconds: float | None = None
    origin: str = ""

    def of(self, backend: str, part: str) -> Checked | None:
        """What one backend said of one part."""
        return next((check for check in self.checks if (check.backend, check.part) == (backend, part)), None)


def parts(theorem: Any) -> dict[str, tuple[tuple[str, str], ...]]:
    """Part to the (backend, part) pairs any of which proves it."""
    named = [
        ("symconv's definitions", theorem.definitions),
        ("sympy", theorem.identities),
        ("exact", theorem.exact),
        ("engine", theorem.agreements),
        ("twin", theorem.twins),
    ]
    wanted = {f"{backend}: {part.name}": ((backend, part.name),) for backend, held in named for part in held}
    return wanted | {f"step: {step.name}": tuple((solver, step.name) for solver in SOLVERS) for step in theorem.obligations}


def status(theorem: Any, found: Found | None) -> str:
    """proved, failed or not run; nothing is proved of which some part was not run."""
    if found is None or not found.checks:
        return "not run"
    if any(check.outcome not in (_good(check.backend), "not run") for check in found.checks):
        return "failed"
    good = {(check.backend, check.part) for check in found.checks if check.outcome == _good(check.backend)}
    replayed = all(shown.replayed is not False for shown in found.counterexamples.values())
    shown = {twin.name for twin in theorem.twins} <= set(found.counterexamples)
    every = all(any(pair in good for pair in pairs) for pairs in parts(theorem).values())
    return "proved" if every and replayed and shown else "not run"


def _good(backend: str) -> str:
    """What a backend must say of its part: a twin is to be refuted, all else proved."""
    return "refuted" if backend == "twin" else "proved"


def fresh(result: Any) -> Found:
    """A result of `symconv prove` in this process; times are left out, so that a report does not depend on the clock."""
    checks = tuple(Checked(check.backend, check.part, check.outcome.value, check.detail, None) for check in result.checks)
    shown = {name: Shown(example.text, example.replayed) for name, example in result.counterexamples.items()}
    return Found(checks, shown)


def read_theorems(path: Path, record: Mapping[str, Any], corpus: Mapping[str, Any]) -> dict[str, Found]:
    """The results in the object of `symconv prove --json`.

    Args:
        path: for messages.
        record: the object.
        corpus: name to theorem.

    Raises:
        UsageError: it is not of that form, or of another version of the corpus.
    """
    out: dict[str, Found] = {}
    try:
        for item in record["theorems"]:
            theorem = corpus.get(item["name"])
            if theorem is None or not _same(theorem, item):
                raise UsageError(
                    f"`{path}`: the theorem `{item['name']}` is not the one of this version of symconv. Run `symconv prove --json` again."
                )
            if theorem.name in out:
                raise UsageError(f"`{path}` must have every theorem once; `{theorem.name}` stands there twice.")
            out[theorem.name] = _found(item, str(path.name))
            _refuse_strangers(path, theorem, out[theorem.name])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"`{path}` must be what `symconv prove --json` prints; {type(error).__name__} at {error}.") from error
    return out


def _same(theorem: Any, item: Mapping[str, Any]) -> bool:
    twins = [(twin.name, twin.bend) for twin in theorem.twins]
    told = [(twin["name"], twin["bend"]) for twin in item.get("twins", [])]
    same = (item["title"], item["statement"], item["digest"]) == (theorem.title, list(theorem.statement), digest(theorem))
    return same and (not told or told == twins)


def _found(item: Mapping[str, Any], origin: str) -> Found:
    checks = tuple(
        Checked(str(check["backend"]), str(check["part"]), str(check["outcome"]), str(check["detail"]), float(check["seconds"]))
        for check in item.get("checks", [])
    )
    shown = {
        str(twin["name"]): Shown(str(twin["counterexample"]["text"]), _replayed(twin["counterexample"]["replayed"]))
        for twin in item.get("twins", [])
        if twin["counterexample"] is not None
    }
    return Found(checks, shown, None if item["seconds"] is None else float(item["seconds"]), origin)


def _replayed(told: object) -> bool | None:
    """Whether PyTorch showed it, as a truth value or null.

    Raises:
        ValueError: neither.
    """
    if told is None or isinstance(told, bool):
        return told
    raise ValueError("replayed")


def _refuse_strangers(path: Path, theorem: Any, found: Found) -> None:
    known = {pair for pairs in parts(theorem).values() for pair in pairs}
    for check in found.checks:
        if (check.backend, check.part) not in known:
            raise UsageError(
                f"`{path}`: `{theorem.name}` has no part `{check.part}` ({check.backend}) in this version of symconv. "
                "Run `symconv prove --json` again."
            )


class Standing(enum.Enum):
    """What the independent checker says of a saved verdict, in making the report; the value is the message."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOTHING = "not re-checked"


@attrs.frozen
class SavedVerdict:
    """A verdict or a certificate read from a file, and what became of it.

    Args:
        name: of the file.
        verdict: the verdict, or None for a certificate alone.
        certificate: the certificate, or None.
        checked: what the checker says, or None where there is nothing to check.
        standing: accepted only if the checker accepts and its claim is what the verdict says.
        why: for what is not accepted.
    """

    name: str
    verdict: Verdict | None
    certificate: Mapping[str, Any] | None
    checked: Verification | None
    standing: Standing
    why: str = ""


def read_verdict(path: Path, record: Mapping[str, Any]) -> SavedVerdict:
    """The object of `symconv check --json`, of `symconv convert --json`, or a certificate.

    Raises:
        UsageError: it is none of them, or malformed.
    """
    if record.get("schema") == "symconv.convert/1" and isinstance(record.get("verdict"), dict):
        record = record["verdict"]
    if "format" in record:
        return _certificate(path, record)
    if record.get("schema") != "symconv.check/1":
        raise UsageError(
            f"`{path}` must be what `symconv prove`, `check` or `convert` prints with --json, or a certificate; "
            f"found schema {str(record.get('schema'))[:60]!r}."
        )
    try:
        verdict = _verdict(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"`{path}` must be what `symconv check --json` prints; {type(error).__name__} at {error}.") from error
    if verdict.certificate is None:
        why = "the record holds no certificate, so nothing in it was checked again"
        return SavedVerdict(path.name, verdict, None, None, Standing.NOTHING, why)
    checked = _verify(path, verdict.certificate)
    why = checked.reason if not checked.accepted else _contradiction(verdict, checked)
    if why or not checked.accepted:
        return SavedVerdict(path.name, verdict, verdict.certificate, checked, Standing.REJECTED, why)
    return SavedVerdict(path.name, _vouched(verdict), verdict.certificate, checked, Standing.ACCEPTED)


def _certificate(path: Path, record: Mapping[str, Any]) -> SavedVerdict:
    checked = _verify(path, dict(record))
    standing = Standing.ACCEPTED if checked.accepted else Standing.REJECTED
    return SavedVerdict(path.name, None, record, checked, standing, checked.reason)


def _verify(path: Path, record: dict[str, Any]) -> Verification:
    try:
        return verify(record)
    except CertificateError as error:
        raise UsageError(f"`{path}`: {error}") from error


def _verdict(record: Mapping[str, Any]) -> Verdict:
    held = {name: record.get(name) for name in (field.name for field in attrs.fields(Verdict))}
    held["relation"] = Relation(record["relation"])
    for name in ("interior_relation", "linear_relation"):
        held[name] = None if record.get(name) is None else Relation(record[name])
    held["domain"] = None if record.get("domain") is None else DomainRelation(record["domain"])
    held["trust"] = None if record.get("trust") is None else Trust(record["trust"])
    held["dimension"] = None if held["dimension"] is None else Dimension(**held["dimension"])
    held["domain_extents"] = None if held["domain_extents"] is None else tuple(held["domain_extents"])
    held["assumptions"] = tuple(held["assumptions"] or ())
    held["deciders"] = dict(held["deciders"] or {})
    held["seconds"] = float(held["seconds"] or 0)
    held["scope"] = str(held["scope"])
    verdict = Verdict(**held)  # type: ignore[arg-type]
    for side in ("left", "right"):
        if not isinstance(getattr(verdict, side), str):
            raise ValueError(side)
    return verdict


CLAIMED = ("relation", "linear_relation", "interior_relation", "left_in_right", "right_in_left", "dimension", "distance")
"""Fields of a record that its certificate claims too."""


def _contradiction(verdict: Verdict, checked: Verification) -> str:
    """Where the record says something that its certificate does not; empty if nowhere."""
    from symconv.report.verify import Checked as Certificate

    claim, told = checked.claim or {}, verdict.to_dict()
    for field in CLAIMED:
        if field in claim and told[field] != claim[field]:
            return f"the record's {field} is {told[field]}, its certificate's {claim[field]}"
    domain = claim.get("domain") or {}
    if (told["domain"], told["domain_extents"]) != (domain.get("relation"), domain.get("extents")):
        return "the record's domain is not that of its certificate"
    if (verdict.scope != ALL_EXTENTS) != ("extents" in (verdict.certificate or {})):
        return f"the record's scope is {verdict.scope}, and its certificate's is not"
    certificate = Certificate("", verdict.certificate or {}, checked)
    for side in ("left", "right"):
        if _layers(certificate.layer(side)) != _layers(getattr(verdict, side)):
            return f"the record's {side} layer is not that of its certificate"
    return _moved(verdict)


SHOWN = ("kernel", "shapes")
"""Kinds of witnesses that are run again, and so may be printed."""


def _vouched(verdict: Verdict) -> Verdict:
    """The verdict without what only the record says: nothing in a report stands under a certificate that does not vouch for it."""
    witness = verdict.witness if verdict.witness is not None and verdict.witness.get("kind") in SHOWN else None
    return attrs.evolve(
        verdict,
        witness=witness,
        cutoff=None,
        dead_taps=None,
        parameters=None,
        detail=None,
        trust=Trust.CERTIFIED,
        deciders={"checker": "accepted"},
    )


def _layers(expression: str) -> str:
    """One spelling for one chain, as far as it parses."""
    from symconv.frontends.text import parse
    from symconv.layers import flatten

    try:
        return str(flatten(parse(expression)))
    except SymconvError:
        return expression


def _moved(verdict: Verdict) -> str:
    """What is wrong with the record's witness; empty if PyTorch shows it, if its shapes are right, or if none is printed."""
    from symconv.frontends.text import parse
    from symconv.prove.decide import bind_pair

    if verdict.witness is None or verdict.witness.get("kind") not in SHOWN:
        return ""
    try:
        pair = bind_pair(parse(verdict.left), parse(verdict.right), (verdict.certificate or {}).get("in_channels"))
        return (_shapes_wrong if verdict.witness["kind"] == "shapes" else _kernels_wrong)(pair, verdict.witness)
    except (SymconvError, KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError):
        return "the record's witness cannot be run"


def _kernels_wrong(pair: Any, witness: dict[str, Any]) -> str:
    from symconv.conformance.replay import replay

    told = replay(pair.left, pair.right, pair.axes, witness)
    return "" if told.parts and told.annihilated is not False else "PyTorch does not show the record's witness"


def _shapes_wrong(pair: Any, witness: dict[str, Any]) -> str:
    from symconv.layers import channels_through
    from symconv.operators.domain import output_extent
    from symconv.prove.stage import words_of
    from symconv.prove.stages import is_nonlinearity

    shapes = []
    for chain in (pair.left, pair.right):
        steps = words_of(tuple(layer for layer in chain if not is_nonlinearity(layer)), pair.channels, pair.axes)
        extents = [output_extent(word, n) for word, n in zip(steps, witness["extents"], strict=True)] if witness["extents"] else []
        shapes.append([channels_through(chain, pair.channels)[-1], *extents])
    told = [list(witness[key]) for key in ("left_shape", "right_shape") if key in witness] or [[count] for count in witness["channels"]]
    return (
        ""
        if [shape[: len(one)] for shape, one in zip(shapes, told, strict=True)] == told
        else "the record's shapes are not those of its layers"
    )

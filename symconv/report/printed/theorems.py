"""A theorem as a chapter: statement, hypotheses, proof, steps, false twins, how to check it again.

Owns: `summary`, `chapters`. Must not know: writers, how theorems are proved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from symconv.report.corpus import package
from symconv.report.printed.document import (
    Block,
    Box,
    Code,
    Display,
    Formula,
    Heading,
    Labelled,
    Link,
    Mark,
    Paragraph,
    Span,
    Steps,
    Strong,
    Table,
    Text,
    Words,
    words,
)
from symconv.report.printed.figures import figures
from symconv.report.printed.mathematics import Node, Row, Sign, from_term, lines, parts_of
from symconv.report.printed.prose import matrix, paragraphs, prose
from symconv.report.printed.record import SOLVERS, Found, status
from symconv.report.printed.rocq import Machine, machine_checked

SHOWN = {"z3": "Z3", "cvc5": "cvc5", "sympy": "SymPy", "symconv's definitions": "definitions", "exact": "exact", "engine": "engine"}
LARGEST_MATRIX = 10


def summary(theorems: Sequence[Any], results: Mapping[str, Found]) -> list[Block]:
    """One row a theorem."""
    timed = any(found.seconds is not None for found in results.values())
    columns = ("", "theorem", "claim", "backends", "false twins", "outcome", *(("s",) if timed else ()))
    rows = []
    for place, theorem in enumerate(theorems, 1):
        found = results.get(theorem.name)
        refuted = sum(check.backend == "twin" and check.outcome == "refuted" for check in found.checks) if found else 0
        row: tuple[Text, ...] = (
            words(str(place)),
            (Link(_called(theorem), theorem.name),),
            words(", ".join(map(str, theorem.numbers))),
            words(", ".join(_backends(theorem, found))),
            words(f"{refuted} of {len(theorem.twins)} refuted"),
            (Strong(status(theorem, found)),),
        )
        rows.append((*row, words("" if found is None or found.seconds is None else f"{found.seconds:.1f}")) if timed else row)
    origins = sorted({found.origin for found in results.values() if found.origin})
    times = f"Seconds are those of {', '.join(origins)}." if timed else "Every solver answered each step within its limit of one second."
    if not timed and not any(_solved(found) for found in results.values()):
        times = ""
    return [
        Heading(1, words("Summary"), "summary"),
        Table(columns, tuple(rows), (0, 2.4, 0, 3, 1.7, 1.2, *((0,) if timed else ())), words(times)),
    ]


def _solved(found: Found) -> bool:
    return any(check.backend in SOLVERS and check.outcome == "proved" for check in found.checks)


def _backends(theorem: Any, found: Found | None) -> Iterator[str]:
    for backend in theorem.backends:
        seen = {check.outcome for check in found.checks if check.backend == backend} if found else set()
        worst = next((outcome for outcome in ("failed", "not run") if outcome in seen or not seen), "")
        yield SHOWN.get(backend, backend) + (f" ({'not run' if not seen else worst})" if worst else "")


def chapters(theorems: Sequence[Any], results: Mapping[str, Found]) -> list[Block]:
    """The theorems by group, in the order of reading."""
    groups = _theorem_module().GROUPS
    known = {theorem.name for theorem in theorems}
    machine = machine_checked()
    blocks: list[Block] = []
    last = ""
    for place, theorem in enumerate(theorems, 1):
        if theorem.group != last:
            last = theorem.group
            blocks.append(Heading(1, words(groups[last]), last.replace("_", "-")))
        rows = [row for row in machine if set(row.claims) & set(theorem.numbers)]
        blocks += _chapter(place, theorem, results.get(theorem.name), known, rows)
    return blocks


def _theorem_module() -> Any:
    import importlib

    return importlib.import_module(f"{package().__name__}.theorem")


def _chapter(place: int, theorem: Any, found: Found | None, known: set[str], machine: list[Machine]) -> list[Block]:
    def said(text: str) -> Text:
        return prose(text, links=lambda name: name if name in known else None)

    outcome = Mark(status(theorem, found))
    blocks: list[Block] = [Heading(2, words(f"{place}  {_called(theorem)}"), theorem.name)]
    blocks.append(
        Box(said(theorem.title), outcome, tuple(block for text in paragraphs(theorem.statement) for block in displayed(said(text))))
    )
    facts = [("claim", words(", ".join(map(str, theorem.numbers)))), ("scope", said(theorem.scope)), ("source", said(theorem.source))]
    blocks.append(Labelled(tuple(facts)))
    if theorem.hypotheses:
        rows = tuple(((Formula(from_term(item.formula)),), said(item.why)) for item in theorem.hypotheses)
        blocks += [Heading(3, words("Hypotheses, and why each is needed")), Table(("assumed", "because"), rows, (1, 2.2))]
    if theorem.definitions:
        blocks += [Heading(3, words("Definitions")), Labelled(tuple((item.name, said(item.statement)) for item in theorem.definitions))]
    blocks += [Heading(3, words("Proof")), *_proof(theorem, said)]
    blocks += figures(theorem.name)
    blocks += _steps(theorem, found, said)
    blocks += _also(theorem, found, said)
    blocks += [_twin(twin, found, said) for twin in theorem.twins]
    blocks += (
        [Box(words("Corrected"), Mark.PLAIN, tuple(Paragraph(said(text)) for text in paragraphs(theorem.corrections)))]
        if theorem.corrections
        else []
    )
    blocks += _again(theorem, machine)
    return blocks


def _called(theorem: Any) -> str:
    called = theorem.name.replace("-", " ")
    return called[0].upper() + called[1:]


def displayed(text: Text) -> list[Block]:
    """A paragraph, with its equations between layers on lines of their own."""
    blocks: list[Block] = []
    held: list[Span] = []
    rest = list(text)
    while rest:
        span = rest.pop(0)
        if not (isinstance(span, Formula) and _is_equation(span.node)):
            held.append(span)
            continue
        mark = ""
        if rest and isinstance(rest[0], Words):
            mark = rest[0].text[0] if rest[0].text[0] in ".,;:" else ""
            rest[0] = Words(rest[0].text[len(mark) :].lstrip())
        blocks += [Paragraph(tuple(held))] if _says(held) else []
        blocks.append(Display(lines(span.node), mark))
        held = []
    return [*blocks, Paragraph(tuple(held))] if _says(held) else blocks


def _says(spans: Sequence[Span]) -> bool:
    return any(not isinstance(span, Words) or span.text.strip() for span in spans)


def _is_equation(node: Node) -> bool:
    """Whether a formula equates chains of layers."""
    signs = [part.text for part in node.parts if isinstance(part, Sign)] if isinstance(node, Row) else []
    return "=" in signs and "∘" in signs


def _proof(theorem: Any, said: Any) -> list[Block]:
    texts = [said(text) for text in paragraphs(theorem.proof)]
    texts[-1] = (*texts[-1], Words(" "), Formula(Sign("□", "prefix")))
    return [Paragraph(texts[0])] if len(texts) == 1 else [Steps(tuple(texts))]


def _steps(theorem: Any, found: Found | None, said: Any) -> list[Block]:
    if not theorem.obligations:
        return []
    timed = found is not None and found.seconds is not None
    rows = []
    for number, step in enumerate(theorem.obligations, 1):
        note: Text = (Words(". By hand: "), *said(step.note)) if step.note else ()
        first = (Words(f"{number}. "), *said(step.name), *_exceptions(found, step.name))
        row = (first, _listed(step.given), (Formula(from_term(step.goal)), *note))
        rows.append((*row, words(_times(found, step.name))) if timed and found is not None else row)
    return [
        Heading(3, words("Steps checked by solvers")),
        Paragraph(words(_solver_sentence(theorem, found))),
        Table(("step", "given", "then", *(("Z3, cvc5",) if timed else ())), tuple(rows), (1.3, 2, 1.7, *((0,) if timed else ()))),
    ]


def _listed(given: Sequence[Any]) -> Text:
    """Formulas with commas between them."""
    spans: list[Span] = []
    for node in (node for formula in given for node in parts_of(formula)):
        spans += [Words(", ")] if spans else []
        spans.append(Formula(node))
    return tuple(spans) or words("nothing")


def _solver_sentence(theorem: Any, found: Found | None) -> str:
    count = len(theorem.obligations)
    if found is None or not found.checks:
        return f"{count} steps; no solver was run."
    parts = []
    for solver in SOLVERS:
        outcomes = [check.outcome for check in found.checks if check.backend == solver]
        proved = outcomes.count("proved")
        if not outcomes or set(outcomes) == {"not run"}:
            parts.append(f"{SHOWN[solver]} was not run")
        else:
            parts.append(f"{SHOWN[solver]} proved {'all ' + str(count) if proved == count else f'{proved} of {count}'}")
    return "; ".join(parts) + ". For each one the solver also found integers for which its givens hold, so none is empty."


def _exceptions(found: Found | None, part: str) -> Text:
    """What a solver said that is neither proved nor, for all steps alike, not run."""
    if found is None:
        return ()
    told = [found.of(solver, part) for solver in SOLVERS]
    bad = [check for check in told if check is not None and check.outcome == "failed"]
    return tuple(span for check in bad for span in (Words(" "), Strong(f"{SHOWN[check.backend]}: failed, {check.detail}")))


def _times(found: Found, part: str) -> str:
    told = [found.of(solver, part) for solver in SOLVERS]
    return ", ".join(
        "not run" if check is None or check.outcome == "not run" else f"{1000 * (check.seconds or 0):.0f} ms" for check in told
    )


def _also(theorem: Any, found: Found | None, said: Any) -> list[Block]:
    held = [("sympy", item, "all kernels") for item in theorem.identities]
    held += [("exact", item, item.range) for item in theorem.exact]
    held += [("engine", item, item.range) for item in theorem.agreements]
    held += [("symconv's definitions", item, "") for item in theorem.definitions]
    if not held:
        return []
    rows = []
    for backend, item, reach in held:
        what = said(item.statement) if backend != "symconv's definitions" else words("as symconv's layer, entry by entry")
        name: Text = () if item.name == backend else (*said(item.name), Words(": "))
        check = None if found is None else found.of(backend, item.name)
        outcome = "not run" if check is None else check.outcome
        detail = words(f", {check.detail}") if check is not None and outcome == "failed" else ()
        rows.append((words(SHOWN[backend]), (*name, *what), said(reach) if reach else words("a grid"), (Strong(outcome), *detail)))
    return [Heading(3, words("Also checked")), Table(("backend", "what", "range", "outcome"), tuple(rows), (1, 3.2, 2.3, 0.8))]


def _twin(twin: Any, found: Found | None, said: Any) -> Block:
    shown = None if found is None else found.counterexamples.get(twin.name)
    check = None if found is None else found.of("twin", twin.name)
    refuted = shown is not None and check is not None and check.outcome == "refuted" and shown.replayed is not False
    mark = Mark.REFUTED if refuted else Mark.NOT_RUN if check is None or check.outcome == "not run" else Mark.FAILED
    blocks: list[Block] = [Paragraph((Words("It is said: "), *said(twin.bend), Words("."))) if twin.bend != twin.name else Paragraph(())]
    if shown is None:
        blocks.append(Paragraph(words("No counterexample was found." if check else "No counterexample was looked for.")))
    else:
        source = f", says {found.origin}" if found is not None and found.origin else ""
        told = f" PyTorch's own layers show it, in whole numbers{source}." if shown.replayed else ""
        blocks.append(
            Paragraph((Strong("Smallest counterexample:"), Words(" "), *counterexample(shown.text), Words(f".{told}".replace("'", "’"))))
        )
    return Box((Words("False twin: "), *said(twin.name)), mark, tuple(block for block in blocks if block != Paragraph(())))


def counterexample(text: str) -> Text:
    """A counterexample's text: lists of rows are set as matrices, underscores of relations as words."""
    spans: list[Span] = []
    start = 0
    for found in re.finditer(r"\[\[[-\d, \[\]]*\]\]", text):
        rows = json.loads(found.group())
        widths = {len(line) for line in rows}
        if len(widths) == 1 and 0 not in widths and max(len(rows), *widths) <= LARGEST_MATRIX:
            spans += [*prose(_relation(text[start : found.start()])), Formula(matrix(rows))]
            start = found.end()
    spans += prose(_relation(text[start:]))
    return tuple(_shortened(span) for span in spans)


def _relation(text: str) -> str:
    for name, words_ in (
        ("left_in_right", "left in right, strictly"),
        ("right_in_left", "right in left, strictly"),
        ("shapes_differ", "shapes differ"),
    ):
        text = text.replace(name, words_)
    return text


def _shortened(span: Span) -> Span:
    """An expression without the arguments that have their defaults."""
    from symconv.errors import SymconvError
    from symconv.frontends.text import parse
    from symconv.layers.expression import format_layer

    if not isinstance(span, Code) or "(" not in span.text:
        return span
    try:
        layer = parse(span.text)
        return Code(format_layer(layer, layer.axes or 1))
    except (SymconvError, ValueError, TypeError):
        return span


def _again(theorem: Any, machine: list[Machine]) -> list[Block]:
    spans: list[Span] = [Words("To check it again: "), Code(f"symconv prove {theorem.name}")]
    if theorem.obligations:
        spans += [Words("; the steps for any SMT solver: "), Code(f"proofs/smt2/{theorem.name}.*.smt2")]
    spans.append(Words("."))
    blocks: list[Block] = [Paragraph(tuple(spans), small=True)]
    if machine:
        rows: list[Span] = [Words("Rocq has machine-checked proofs on this claim (not run in making this report): ")]
        for place, row in enumerate(machine):
            rows += [Words("; ")] if place else []
            for at, lemma in enumerate(row.lemmas):
                rows += [Words(", ")] if at else []
                rows.append(Code(lemma))
            rows.append(Words(f" in {row.file}"))
        blocks.append(Paragraph((*rows, Words(".")), small=True))
    return blocks

"""The last pages: what the report rests on, versions, how to check everything again.

Owns: the words on trust. Must not know: writers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symconv.report.printed.document import Block, Box, Heading, Labelled, Listing, Mark, Paragraph, Steps, words
from symconv.report.printed.prose import prose
from symconv.report.printed.record import Found, SavedVerdict
from symconv.report.versions import versions

TRUST = (
    "Z3 and cvc5 are believed when they say that a formula has no solution. They are independent programs and read the same text; the "
    "text is "
    "kept, so that any solver can be asked.",
    "That the formulas mean the layers is checked, not believed: each one is compared with symconv's own layers on a grid of "
    "hyper-parameters, "
    "and symconv's layers with PyTorch in whole numbers by the tests.",
    "A proof in words joins the steps. It is short, and printed; it is the part that a reader has to read.",
    "A proof that could not fail would be worth nothing: the givens of every step can hold together, every theorem has a bent twin that "
    "is refuted, "
    "and the tests alter every formula and see that the altered theorem is caught.",
    "No verdict comes from rounded numbers. Floats are only ever handled as the rationals that they are.",
    "Certificates of verdicts are accepted by a checker that needs nothing but Python's standard library and believes nothing that a "
    "certificate says.",
)


def appendix(theorems: Sequence[Any], results: Mapping[str, Found], saved: Sequence[SavedVerdict]) -> list[Block]:
    """Trust, versions, and what to type."""
    blocks: list[Block] = [Heading(1, words("What it rests on"), "trust"), Steps(tuple(prose(text) for text in TRUST), numbered=False)]
    blocks += [Heading(2, words("Versions"), "versions"), Paragraph(words(_origin(results)))]
    blocks.append(Labelled(tuple((package, words(version)) for package, version in versions().items())))
    blocks += [Heading(2, words("How to check it again"), "again")]
    if theorems:
        blocks += [_do("Every theorem again, and the numbers of this report into a file:", "symconv prove --all --json > proofs.json")]
        blocks += [_do("This report from that file:", "symconv report proofs.json -o report.pdf")]
        blocks += [
            _do(
                "The steps in any solver that reads SMT-LIB; each file says what it expects:",
                "z3 proofs/smt2/universal-lowering.01-one-equation.smt2",
            )
        ]
        blocks += [_do("The machine-checked proofs, with the assumptions of every one printed (none):", "proofs/rocq/check.sh --recheck")]
    if saved:
        blocks += [
            _do(
                "A certificate, with symconv or from a copy of the checker's folder alone:",
                "symconv verify FILE",
                "python -I -S checker FILE",
            )
        ]
    return blocks


def _do(text: str, *commands: str) -> Block:
    return Box(words(text), Mark.PLAIN, (Listing(commands),))


def _origin(results: Mapping[str, Found]) -> str:
    files = sorted({found.origin for found in results.values() if found.origin})
    if files:
        return (
            f"The results of theorems were read from {', '.join(files)} and held against the corpus of the version below; they were not "
            f"found again "
            "in making this report. Made with:"
        )
    return "Made with:"

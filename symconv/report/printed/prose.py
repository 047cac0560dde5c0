"""The corpus's texts as printed text: formulas are set as formulas, expressions as code.

Owns: `prose`, `paragraphs`, `matrix`; quotation marks. Must not know: theorems, writers.

The corpus is written in plain characters, "0 <= j < k" and "ceil(k / r)^D".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from symconv.report.printed.document import Code, Span, Text, Words
from symconv.report.printed.mathematics import Matrix, Node, Sign, number, row
from symconv.report.printed.reader import Reader
from symconv.report.printed.tokens import expressions, tokens


def prose(text: str, *, links: Callable[[str], str | None] = lambda name: None) -> Text:
    """A text of the corpus with its formulas set.

    Args:
        text: as it stands in the corpus.
        links: the anchor that a name in backquotes refers to, if any.
    """
    spans: list[Span] = []
    for piece, is_code in expressions(text):
        if is_code:
            spans.append(Code(piece))
        else:
            spans += Reader(tokens(piece), links).spans()
    return _tidy(spans)


def paragraphs(lines: Sequence[str]) -> list[str]:
    """Lines joined into paragraphs; a line that ends a sentence ends a paragraph."""
    out, held = [], ""
    for line in lines:
        held = f"{held} {line}".strip()
        if re.search(r"\.$", line):
            out.append(held)
            held = ""
    return [*out, held] if held else out


def matrix(rows: list[list[int]]) -> Matrix:
    """Integers as a matrix."""
    return Matrix(tuple(tuple(_integer(value) for value in line) for line in rows))


def _integer(value: int) -> Node:
    return number(str(value)) if value >= 0 else row(Sign("−", "prefix"), number(str(-value)))


def _tidy(spans: list[Span]) -> Text:
    """Neighbouring words joined, quotation marks and apostrophes as a printer sets them."""
    out: list[Span] = []
    for span in spans:
        if isinstance(span, Words) and out and isinstance(out[-1], Words):
            out[-1] = Words(out[-1].text + span.text)
        else:
            out.append(span)
    return _quoted(out)


def _quoted(spans: list[Span]) -> Text:
    """Quotation marks open and close in turn, over formulas too; apostrophes and arrows as a printer sets them."""
    out: list[Span] = []
    opened = False
    for span in spans:
        if not isinstance(span, Words):
            out.append(span)
            continue
        text = ""
        for sign in span.text:
            text += ("”" if opened else "“") if sign == '"' else sign
            opened ^= sign == '"'
        for written, sign in (("<=", "≤"), (">=", "≥"), ("->", "→"), ("'", "’")):
            text = text.replace(written, sign)
        out.append(Words(text))
    return tuple(out)

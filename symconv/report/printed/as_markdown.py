"""The report as Markdown: GitHub's dialect, formulas as LaTeX between dollar signs, figures in characters.

Owns: `markdown`, `latex`. Must not know: theorems, verdicts.
"""

from __future__ import annotations

from symconv.report.printed.document import (
    Block,
    Box,
    Break,
    Code,
    Contents,
    Display,
    Document,
    Figure,
    Formula,
    Heading,
    Labelled,
    Link,
    Listing,
    Mark,
    Paragraph,
    Span,
    Steps,
    Strong,
    Table,
    Text,
    Words,
)
from symconv.report.printed.mathematics import GREEK, Fence, Matrix, Node, Row, Script, Sign, Symbol

_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~$"})
_LETTERS = {letter: f"\\{'varphi' if word == 'phi' else word}" for word, letter in GREEK.items()}
_SIGNS = {
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "<": r"\lt", ">": r"\gt", "⇒": r"\Rightarrow", "⇔": r"\Leftrightarrow", "−": "-",
    "∗": r"\ast", "∘": r"\circ", "⊗": r"\otimes", "∩": r"\cap", "∣": r"\mid", "⋅": r"\cdot", "×": r"\times", "¬": r"\neg",
    "≈": r"\approx", "□": r"\square", "\u2009": r"\,", "\u2002": r"\ ",
}  # fmt: skip
_FENCES = {"⌈": r"\lceil", "⌉": r"\rceil", "⌊": r"\lfloor", "⌋": r"\rfloor", "|": r"\vert"}
_MARKS = {Mark.PROVED: "✓ ", Mark.REFUTED: "✗ ", Mark.FAILED: "⚠ ", Mark.NOT_RUN: "? ", Mark.PLAIN: ""}


def markdown(document: Document) -> str:
    """The document as Markdown text that ends with a line break."""
    parts = [f"# {_escape(document.title)}", _escape(document.subtitle), f"**{_escape(document.headline)}**"]
    for block in document.blocks:
        parts += _block(block, document)
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block, document: Document) -> list[str]:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            mark = f'<a id="{anchor}"></a>\n\n' if anchor else ""
            return [f"{mark}{'#' * (level + 1)} {_text(text)}"]
        case Display(lines=lines, after=after):
            held = " \\\\\n& \\quad ".join(map(latex, lines))
            return [f"$$\n\\begin{{aligned}}\n& {held}{after}\n\\end{{aligned}}\n$$"]
        case Paragraph(text=text):
            return [_text(text)]
        case Steps(items=items, numbered=numbered):
            return ["\n".join(f"{f'{place}.' if numbered else '-'} {_text(item)}" for place, item in enumerate(items, 1))]
        case Labelled(rows=rows):
            return ["\n".join(["| | |", "|---|---|", *(f"| {_escape(label)} | {_cell(text)} |" for label, text in rows)])]
        case Table():
            return [_table(block), *([_text(block.caption)] if block.caption else [])]
        case Figure(alternative=lines, caption=caption):
            return ["\n".join(["```text", *lines, "```"]), f"*{_text(caption)}*"]
        case Listing(lines=lines):
            return ["\n".join(["```text", *lines, "```"])]
        case Box(title=title, mark=mark, blocks=blocks):
            inner = "\n\n".join([f"**{_MARKS[mark]}{_text(title)}**", *(part for item in blocks for part in _block(item, document))])
            return ["\n".join(f"> {line}".rstrip() for line in inner.split("\n"))]
        case Contents():
            heads = [item for item in document.blocks if isinstance(item, Heading) and item.level < 3 and item.anchor]
            return ["\n".join(f"{'  ' * (head.level - 1)}- [{_text(head.text)}](#{head.anchor})" for head in heads)]
        case Break():
            return []


def _table(table: Table) -> str:
    heads = " | ".join(map(_escape, table.columns))
    rules = " | ".join("---" for _ in table.columns)
    rows = [" | ".join(_cell(cell) for cell in line) for line in table.rows]
    return "\n".join(f"| {line} |" for line in (heads, rules, *rows))


def _text(text: Text) -> str:
    return "".join(map(_span, text)).strip()


def _cell(text: Text) -> str:
    return _text(text).replace("\n", " ").replace("|", r"\|") if any(isinstance(span, Code) for span in text) else _text(text)


def _span(span: Span) -> str:
    match span:
        case Words(text=text):
            return _escape(text)
        case Formula(node=node):
            return f"${latex(node)}$"
        case Code(text=text):
            return f"`{text}`"
        case Strong(text=text):
            return f"**{_escape(text)}**"
        case Link(text=text, anchor=anchor):
            return f"[{_escape(text)}](#{anchor})"


def _escape(text: str) -> str:
    return text.translate(_ESCAPED).replace("\n", " ")


def latex(node: Node) -> str:
    """A formula as LaTeX.

    >>> latex(Script(Symbol("r"), None, Symbol("D")))
    'r^{D}'
    """
    match node:
        case Symbol():
            return _symbol(node)
        case Sign(text=text, kind=kind):
            return f"\\;\\text{{{text}}}\\;" if kind == "word" else _SIGNS.get(text, text)
        case Script(base=base, sub=sub, sup=sup):
            below = "" if sub is None else f"_{{{latex(sub)}}}"
            above = "" if sup is None else f"^{{{latex(sup)}}}".replace("^{′}", "'").replace("^{′′}", "''")
            return f"{latex(base)}{below}{above}"
        case Fence(open=opened, body=body, close=closed):
            return f"{_FENCES.get(opened, opened)} {latex(body)} {_FENCES.get(closed, closed)}".replace("( ", "(").replace(" )", ")")
        case Row(parts=parts):
            return " ".join(map(latex, parts))
        case Matrix(rows=rows):
            return r"\begin{pmatrix}" + r" \\ ".join(" & ".join(map(latex, line)) for line in rows) + r"\end{pmatrix}"


def _symbol(symbol: Symbol) -> str:
    if symbol.style == "number":
        return symbol.text
    if symbol.style == "upright":
        return f"\\operatorname{{{symbol.text}}}" if symbol.text.isalnum() else f"\\text{{{symbol.text}}}"
    text = _LETTERS.get(symbol.text, symbol.text if len(symbol.text) == 1 else f"\\mathit{{{symbol.text}}}")
    return f"\\tilde{{{text}}}" if symbol.tilde else text

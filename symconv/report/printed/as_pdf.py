"""The report as PDF, typeset by typst.

Owns: `pdf`, `source`, `typst_math`; the look of the page. Must not know: theorems, verdicts.

Fonts are those that typst carries, never the system's; no date and no name of a machine is written: the same document gives
the same bytes.
"""

from __future__ import annotations

import json

from symconv.errors import UsageError
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
from symconv.report.printed.mathematics import Fence, Matrix, Node, Row, Script, Sign, Symbol

TEMPLATE = r"""
#let ink = rgb("#1a1a1a")
#let dim = rgb("#555555")
#let wash = rgb("#f4f3ef")
#let colours = ("proved": rgb("#1b6b4a"), "refuted": rgb("#9b2226"), "failed": rgb("#9b2226"), "not run": rgb("#8a6d00"),
  "": rgb("#8c8c8c"))
#set page(
  paper: "a4", margin: (x: 2.5cm, top: 2.7cm, bottom: 2.5cm),
  header: context {
    let here = counter(page).get().first()
    let heads = query(heading.where(level: 2)).filter(h => h.location().page() <= here)
    let parts = query(heading.where(level: 1)).filter(h => h.location().page() <= here)
    if here > 1 and parts.len() > 0 {
      set text(8.5pt, fill: dim)
      let part = parts.last()
      let chapter = if heads.len() > 0 and (heads.last().location().page() > part.location().page()
        or heads.last().location().position().y > part.location().position().y
        and heads.last().location().page() == part.location().page()) { heads.last().body } else { [] }
      grid(columns: (1fr, auto), part.body, chapter)
      v(-0.75em)
      line(length: 100%, stroke: 0.4pt + dim)
    }
  },
  footer: context align(center, text(8.5pt, fill: dim, counter(page).display("1"))),
)
#set text(font: ("New Computer Modern", "New Computer Modern Math"), size: 10.2pt, lang: "en", region: "gb", fill: ink)
#set par(justify: true, leading: 0.62em, spacing: 0.95em)
#show math.equation: set text(font: "New Computer Modern Math")
#show raw: set text(font: "DejaVu Sans Mono", size: 0.98em)
#let named(word) = text(font: "New Computer Modern", style: "italic", word)
#show raw.where(block: true): it => block(fill: wash, inset: 8pt, width: 100%, it)
#show heading: set par(justify: false)
#show heading: set text(hyphenate: false)
#show heading.where(level: 1): it => { pagebreak(weak: true); block(below: 1.1em, text(17pt, it.body)) }
#show heading.where(level: 2): it => block(above: 2.1em, below: 0.9em, sticky: true, text(13pt, it.body))
#show heading.where(level: 3): it => block(above: 1.4em, below: 0.7em, sticky: true, text(10.2pt, it.body))
#show link: it => it
#show figure.caption: it => block(width: 92%, align(left, text(8.8pt, fill: dim, it.body)))
#set figure(gap: 0.8em)
#show outline.entry.where(level: 1): set block(above: 1.1em)
#show outline.entry.where(level: 1): strong
#show table: set text(8.9pt)
#show table: set par(justify: false, leading: 0.55em)
#set table(stroke: none, inset: (x: 4pt, y: 3.2pt))
#let framed(word, title, body) = block(
  width: 100%, breakable: false, fill: wash, stroke: (left: 2.5pt + colours.at(word)), inset: (left: 10pt, right: 9pt, y: 8pt),
  above: 1.1em, below: 1.1em,
)[
  #set par(justify: false)
  #block(below: 0.7em, sticky: true)[#if word != "" [#text(fill: colours.at(word), smallcaps(word))#h(0.6em)]#strong(title)]
  #body
]
#let labelled(..rows) = block(above: 0.9em, below: 0.9em, text(9.4pt, grid(columns: (auto, 1fr), column-gutter: 1em, row-gutter: 0.62em,
  ..rows.pos().map(((label, body)) => (text(fill: dim, label), par(justify: false, body))).flatten())))
#let ruled(columns, heads, caption, ..cells) = {
  block(above: 1em, below: 1em, width: 100%)[
    #table(columns: columns, align: left,
      table.hline(stroke: 0.8pt), table.header(..heads.map(h => text(fill: dim, h))), table.hline(stroke: 0.5pt), ..cells.pos(),
      table.hline(stroke: 0.8pt))
    #if caption != none { v(-0.4em); text(8.8pt, fill: dim, caption) }
  ]
}
"""


def pdf(document: Document) -> bytes:
    """The document as the bytes of a PDF file.

    Raises:
        UsageError: typst is not installed.
    """
    try:
        import typst
    except ImportError:
        raise UsageError("a PDF needs the package `typst`, which is not installed. Run `pip install 'symconv[report]'`.") from None
    made = typst.compile(source(document).encode(), format="pdf", ignore_system_fonts=True, timestamp=0)
    if not isinstance(made, bytes):
        raise TypeError(f"typst gave {type(made).__name__}")
    return made


def source(document: Document) -> str:
    """The document as typst's markup."""
    body = "\n\n".join(_block(block) for block in document.blocks)
    head = (
        f"#block(below: 1em, par(justify: false, leading: 0.45em, text(21pt, hyphenate: false, weight: 700, {_string(document.title)})))\n"
        f"#block(below: 1.2em, text(10pt, fill: dim, {_string(document.subtitle)}))\n"
        f"#block(below: 1.6em, text(11pt, weight: 700, fill: colours.at({_string(document.mark.value)}), {_string(document.headline)}))\n"
    )
    return f"#set document(title: {_string(document.title)}, date: none)\n{TEMPLATE}\n{head}\n{body}\n"


def _block(block: Block) -> str:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            outlined = "true" if level < 3 and anchor else "false"
            label = f" <{anchor}>" if anchor else ""
            return f"#heading(level: {level}, outlined: {outlined}, bookmarked: {outlined})[{_text(text)}]{label}"
        case Display(lines=lines, after=after):
            held = r" \ & quad ".join(map(typst_math, lines))
            return f"$ & {held}{_string(after) if after else ''} $"
        case Paragraph(text=text, small=small):
            return f"#par(text(8.8pt, fill: dim)[{_text(text)}])" if small else f"#par[{_text(text)}]"
        case Steps(items=items, numbered=numbered):
            made = ", ".join(f"[{_text(item)}]" for item in items)
            return f"#{'enum' if numbered else 'list'}(tight: false, spacing: 0.75em, {made})"
        case Labelled(rows=rows):
            return f"#labelled({', '.join(f'([{_plain(label)}], [{_text(text)}])' for label, text in rows)})"
        case Table():
            return _table(block)
        case Figure(caption=caption, width=width, spoken=spoken):
            svg = _string(block.draw().decode())
            image = f'image(bytes({svg}), format: "svg", width: {width:.0%}, alt: {_string(spoken)})'
            return f"#figure({image}, caption: [{_text(caption)}], kind: image, supplement: none, numbering: none)"
        case Listing(lines=lines):
            return f"#raw(block: true, {_string(chr(10).join(lines))})"
        case Box(title=title, mark=mark, blocks=blocks):
            return f"#framed({_string(mark.value)}, [{_text(title)}], [{chr(10).join(map(_block, blocks))}])"
        case Break():
            return "#pagebreak(weak: true)"
        case Contents():
            return "#outline(title: none, depth: 2, indent: 1.2em)"


def _table(table: Table) -> str:
    widths = ", ".join("auto" if width == 0 else f"{width}fr" for width in table.widths)
    heads = ", ".join(f"[{_plain(head)}]" for head in table.columns)
    cells = ", ".join(f"[{_text(cell)}]" for line in table.rows for cell in line)
    caption = f"[{_text(table.caption)}]" if table.caption else "none"
    return f"#ruled(({widths},), ({heads},), {caption}, {cells})"


def _text(text: Text) -> str:
    return "".join(map(_span, text))


def _span(span: Span) -> str:
    match span:
        case Words(text=text):
            return _plain(text)
        case Formula(node=node):
            return f"${typst_math(node)}$"
        case Code(text=text):
            return f"#raw({_string(_breakable(text))})"
        case Strong(text=text):
            return f"#strong[{_plain(text)}]"
        case Link(text=text, anchor=anchor):
            return f"#link(<{anchor}>)[{_plain(text)}]"


def _plain(text: str) -> str:
    return f"#{_string(text)};" if text else ""


def _breakable(text: str) -> str:
    """Long words of code may break after a slash, a dot or an underscore."""
    return "".join(f"{sign}\u200b" if sign in "/_." else sign for sign in text) if len(text) > 24 else text


def _string(text: str) -> str:
    """A string literal: typst's escapes are those of JSON, but for the braces of a code point."""
    return json.dumps(text, ensure_ascii=False)


_SIGNS = {"\u2009": "thin", "\u2002": "#h(0.3em)", "|": "|", "∣": "divides", "∗": "ast.op", "′": "'", "*": "ast.op", "/": "slash"}


def typst_math(node: Node) -> str:
    """A formula in typst's mathematics.

    >>> typst_math(Script(Symbol("r"), None, Symbol("D")))
    'r^(D)'
    """
    match node:
        case Symbol():
            return _symbol(node)
        case Sign(text=text, kind=kind):
            if kind == "word":
                return f'class("binary", {_string(text)})'
            return _SIGNS.get(text, text)
        case Script(base=base, sub=sub, sup=sup):
            below = "" if sub is None else f"_({typst_math(sub)})"
            above = "" if sup is None else "'" * len(sup.text) if isinstance(sup, Sign) and "′" in sup.text else f"^({typst_math(sup)})"
            return f"{typst_math(base)}{above if above.startswith(chr(39)) else ''}{below}{'' if above.startswith(chr(39)) else above}"
        case Fence(open=opened, body=body, close=closed):
            left, right = _edges(opened, closed)
            return f"{left}{typst_math(body)}{right}"
        case Row(parts=parts):
            return " ".join(map(typst_math, parts))
        case Matrix(rows=rows):
            return f'mat(delim: "(", {"; ".join(", ".join(map(typst_math, line)) for line in rows)})'


def _edges(opened: str, closed: str) -> tuple[str, str]:
    if (opened, closed) in (("(", ")"), ("[", "]"), ("⌈", "⌉"), ("⌊", "⌋")):
        return opened, closed
    if opened == "|":
        return 'class("opening", |) ', ' class("closing", |)'
    return f"\\{opened}", f"\\{closed}"


def _symbol(symbol: Symbol) -> str:
    if symbol.style == "number":
        return symbol.text
    if symbol.style == "upright":
        return f"op({_string(symbol.text)})"
    text = symbol.text if len(symbol.text) == 1 else f"#named({_string(symbol.text)})"
    return f"tilde({text})" if symbol.tilde else text


MARKS = tuple(mark.value for mark in Mark)
"""The words that `framed` has colours for."""

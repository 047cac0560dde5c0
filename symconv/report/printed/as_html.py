"""The report as one HTML file: formulas in MathML, drawings embedded, nothing fetched.

Owns: `html`, `mathml`. Must not know: theorems, verdicts.
"""

from __future__ import annotations

import base64
from html import escape

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

STYLE = """
:root { --ink: #1a1a1a; --dim: #5c5c5c; --rule: #c9c9c9; --paper: #fff; --wash: #f5f4f0; --good: #1b6b4a; --bad: #9b2226; --open: #8a6d00; }
* { box-sizing: border-box; }
body { color: var(--ink); background: var(--paper); font: 17px/1.55 "Libertinus Serif", "Source Serif 4", Charter, Cambria, Georgia, serif;
  max-width: 46rem; margin: 3rem auto 6rem; padding: 0 1.2rem; hyphens: auto; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; hyphens: none; }
h2 { font-size: 1.5rem; margin: 3.4rem 0 .8rem; padding-top: .8rem; border-top: 2px solid var(--ink); hyphens: none; }
h3 { font-size: 1.22rem; margin: 2.6rem 0 .6rem; hyphens: none; }
h4 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
.subtitle, .small, figcaption { color: var(--dim); } .small, figcaption, table { font-size: .88rem; line-height: 1.45; }
.headline { font-weight: 700; font-size: 1.1rem; margin: 1rem 0 2rem; }
.proved { --mark: var(--good); } .refuted, .failed { --mark: var(--bad); } .not-run { --mark: var(--open); } .plain { --mark: var(--rule); }
.headline { color: var(--mark); }
.box { border-left: 4px solid var(--mark); background: var(--wash); padding: .7rem 1rem; margin: 1rem 0; break-inside: avoid; }
.box > :first-child { margin-top: 0; } .box > :last-child { margin-bottom: 0; }
.box > .title { font-weight: 700; } .box > .title .word { color: var(--mark); font-variant: small-caps; }
.display { overflow-x: auto; margin: .6rem 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
th { text-align: left; border-bottom: 1px solid var(--ink); } th, td { padding: .28rem .9rem .28rem 0; vertical-align: top; }
tr + tr > td { border-top: 1px solid #e8e6e0; } caption { text-align: left; color: var(--dim); padding: .2rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; } dt { color: var(--dim); } dd { margin: 0; }
code, pre { font: .84em/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--wash); padding: .8rem 1rem; overflow-x: auto; }
figure { margin: 1.6rem 0; text-align: center; break-inside: avoid; } figure img { max-width: 100%; } figcaption { text-align: left; }
nav ul { list-style: none; padding-left: 1.2rem; margin: .2rem 0; } nav > ul { padding-left: 0; }
a { color: inherit; text-decoration-color: var(--rule); text-underline-offset: .18em; }
math { font-size: 1.02em; } mi.word { font-style: italic; }
li { margin: .35rem 0; }
@media print {
  body { font-size: 10.5pt; max-width: none; margin: 0; }
  h2 { break-before: page; border-top: 0; } h2, h3, h4 { break-after: avoid; } @page { size: A4; margin: 2.2cm; } }
"""


def html(document: Document) -> str:
    """The document as one self-contained HTML file."""
    body = "\n".join(_block(block, document) for block in document.blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(document.title)}</h1>\n<p class="subtitle">{escape(document.subtitle)}</p>\n'
        f'<p class="headline {_class(document.mark)}">{escape(document.headline)}</p></header>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _block(block: Block, document: Document) -> str:
    match block:
        case Heading(level=level, text=text, anchor=anchor):
            place = f' id="{escape(anchor)}"' if anchor else ""
            return f"<h{level + 1}{place}>{_text(text)}</h{level + 1}>"
        case Display(lines=lines, after=after):
            return f'<div class="display">{_display(lines, after)}</div>'
        case Paragraph(text=text, small=small):
            return f'<p class="small">{_text(text)}</p>' if small else f"<p>{_text(text)}</p>"
        case Steps(items=items, numbered=numbered):
            tag = "ol" if numbered else "ul"
            return f"<{tag}>{''.join(f'<li>{_text(item)}</li>' for item in items)}</{tag}>"
        case Labelled(rows=rows):
            return f"<dl>{''.join(f'<dt>{escape(label)}</dt><dd>{_text(text)}</dd>' for label, text in rows)}</dl>"
        case Table():
            return _table(block)
        case Figure():
            drawn = base64.b64encode(block.draw()).decode("ascii")
            image = f'<img style="width:{block.width:.0%}" alt="{escape(block.spoken)}" src="data:image/svg+xml;base64,{drawn}">'
            return f"<figure>{image}<figcaption>{_text(block.caption)}</figcaption></figure>"
        case Listing(lines=lines):
            return f"<pre>{escape(chr(10).join(lines))}</pre>"
        case Box(title=title, mark=mark, blocks=blocks):
            inner = "".join(_block(item, document) for item in blocks)
            word = f'<span class="word">{escape(mark.value)}</span> ' if mark.value else ""
            return f'<div class="box {_class(mark)}"><p class="title">{word}{_text(title)}</p>{inner}</div>'
        case Contents():
            return _contents(document)
        case Break():
            return ""


def _class(mark: Mark) -> str:
    return mark.value.replace(" ", "-") or "plain"


def _table(table: Table) -> str:
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    heads = "".join(f"<th>{escape(head)}</th>" for head in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in line)}</tr>" for line in table.rows)
    return f'<div class="scroll"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _contents(document: Document) -> str:
    out, depth = "", 0
    for block in document.blocks:
        if not isinstance(block, Heading) or not block.anchor or block.level > 2:
            continue
        while depth < block.level:
            out, depth = out + "<ul>", depth + 1
        while depth > block.level:
            out, depth = out + "</ul>", depth - 1
        out += f'<li><a href="#{escape(block.anchor)}">{_text(block.text)}</a></li>'
    return f"<nav>{out}{'</ul>' * depth}</nav>"


def _text(text: Text) -> str:
    return "".join(map(_span, text))


def _span(span: Span) -> str:
    match span:
        case Words(text=text):
            return escape(text, quote=False)
        case Formula(node=node):
            return f'<math xmlns="http://www.w3.org/1998/Math/MathML"><mrow>{mathml(node)}</mrow></math>'
        case Code(text=text):
            return f"<code>{escape(text, quote=False)}</code>"
        case Strong(text=text):
            return f"<strong>{escape(text, quote=False)}</strong>"
        case Link(text=text, anchor=anchor):
            return f'<a href="#{escape(anchor)}">{escape(text, quote=False)}</a>'


def _display(lines: tuple[Node, ...], after: str) -> str:
    cells = [('<mspace width="1.5em"/>' if place else "") + mathml(line) for place, line in enumerate(lines)]
    cells[-1] += f"<mtext>{escape(after)}</mtext>" if after else ""
    rows = "".join(f'<mtr><mtd style="text-align:left">{cell}</mtd></mtr>' for cell in cells)
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mtable>{rows}</mtable></math>'


def mathml(node: Node) -> str:
    """A formula as presentation MathML.

    >>> mathml(Script(Symbol("r"), None, Symbol("D")))
    '<msup><mi>r</mi><mi>D</mi></msup>'
    """
    match node:
        case Symbol():
            return _symbol(node)
        case Sign(text=text, kind=kind):
            if kind == "word":
                return f'<mspace width="0.4em"/><mtext>{escape(text)}</mtext><mspace width="0.4em"/>'
            if text in ("\u2009", "\u2002"):
                return '<mspace width="0.25em"/>'
            form = {"prefix": ' form="prefix"', "comma": ' separator="true"'}.get(kind, "")
            return f"<mo{form}>{escape(text)}</mo>"
        case Script(base=base, sub=sub, sup=sup):
            return _script(base, sub, sup)
        case Fence(open=opened, body=body, close=closed):
            edge = '<mo stretchy="false"{}>{}</mo>'.format
            left, right = edge(' form="prefix"', escape(opened)), edge(' form="postfix"', escape(closed))
            return f"<mrow>{left}{mathml(body)}{right}</mrow>"
        case Row(parts=parts):
            return "".join(map(mathml, parts))
        case Matrix(rows=rows):
            cells = "".join(f"<mtr>{''.join(f'<mtd>{mathml(cell)}</mtd>' for cell in line)}</mtr>" for line in rows)
            return f"<mrow><mo>(</mo><mtable>{cells}</mtable><mo>)</mo></mrow>"


def _script(base: Node, sub: Node | None, sup: Node | None) -> str:
    held = [f"<mrow>{mathml(part)}</mrow>" if isinstance(part, Row) else mathml(part) for part in (base, sub, sup) if part is not None]
    tag = "msubsup" if sub is not None and sup is not None else "msub" if sub is not None else "msup"
    return f"<{tag}>{''.join(held)}</{tag}>"


def _symbol(symbol: Symbol) -> str:
    if symbol.style == "number":
        return f"<mn>{symbol.text}</mn>"
    if symbol.style == "upright":
        return f'<mi mathvariant="normal">{escape(symbol.text)}</mi>'
    opened = '<mi class="word">' if len(symbol.text) > 1 else "<mi>"
    text = f"{opened}{escape(symbol.text)}</mi>"
    return f'<mover accent="true">{text}<mo>~</mo></mover>' if symbol.tilde else text

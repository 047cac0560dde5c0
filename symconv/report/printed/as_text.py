"""Formulas as plain characters, for the terminal.

Owns: `characters`. Must not know: which texts hold formulas.
"""

from __future__ import annotations

from symconv.report.printed.mathematics import Fence, Matrix, Node, Row, Script, Sign, Symbol


def characters(node: Node) -> str:
    """A formula on one line: an index follows its letter, a product is written with a space.

    >>> from symconv.report.printed.mathematics import Sign, name, number, row
    >>> characters(row(name("r"), name("phi2"), Sign("≥", "relation"), number("1")))
    'r φ2 ≥ 1'
    """
    if isinstance(node, Symbol):
        return node.text + "~" * node.tilde
    if isinstance(node, Sign):
        return node.text
    if isinstance(node, Script):
        power = "" if node.sup is None else characters(node.sup)
        raised = power if isinstance(node.sup, Sign) or not power else f"^{power}"
        return characters(node.base) + ("" if node.sub is None else characters(node.sub)) + raised
    if isinstance(node, Fence):
        return f"{node.open}{characters(node.body)}{node.close}"
    if isinstance(node, Matrix):
        return "[" + "; ".join(" ".join(map(characters, line)) for line in node.rows) + "]"
    return _row(node)


def _row(node: Row) -> str:
    text = ""
    for part in node.parts:
        tight = not text or text.endswith("\0") or (isinstance(part, Sign) and part.kind == "comma")
        text = text.removesuffix("\0") + ("" if tight else " ") + characters(part)
        text += "\0" * (isinstance(part, Sign) and part.kind == "prefix")
    return text.removesuffix("\0")

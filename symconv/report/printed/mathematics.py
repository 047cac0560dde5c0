"""Formulas as trees: symbols, signs, scripts and brackets, in the order in which they are set.

Owns: the nodes; `from_term`, which sets a formula of the corpus exactly; spellings of names.
Must not know: typst, MathML, LaTeX; which texts hold formulas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import attrs

GREEK = {
    "alpha": "α", "beta": "β", "delta": "δ", "eta": "η", "theta": "θ", "lambda": "λ", "mu": "μ", "phi": "φ", "psi": "ψ",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "Sigma": "Σ",
}  # fmt: skip
SPELLED = {"pb": ("p", "b"), "pe": ("p", "e"), "ke": ("k", "e")}
"""Names of two letters that are a letter with an index."""


@attrs.frozen
class Symbol:
    """A variable (italic), a number or a name (upright)."""

    text: str
    style: str = "italic"
    tilde: bool = False


@attrs.frozen
class Sign:
    """An operator; `kind` is relation, binary, prefix, comma or word (set upright, with space around)."""

    text: str
    kind: str = "binary"


@attrs.frozen
class Script:
    """A base with an index, an exponent, or both."""

    base: Node
    sub: Node | None = None
    sup: Node | None = None


@attrs.frozen
class Fence:
    """Something in brackets."""

    open: str
    body: Node
    close: str


@attrs.frozen
class Row:
    """Parts side by side; two operands without a sign between them are a product."""

    parts: tuple[Node, ...]


@attrs.frozen
class Matrix:
    """Numbers or symbols in rows and columns."""

    rows: tuple[tuple[Node, ...], ...]


Node = Symbol | Sign | Script | Fence | Row | Matrix


def number(text: str) -> Symbol:
    """A number."""
    return Symbol(text, "number")


def upright(text: str) -> Symbol:
    """A name that is no variable, such as Conv or max."""
    return Symbol(text, "upright")


def name(text: str) -> Node:
    """The variable of this name: phi2 is a Greek letter with an index, pb a p with an index b, j' primed.

    >>> name("phi2")
    Script(base=Symbol(text='φ', style='italic', tilde=False), sub=Symbol(text='2', style='number', tilde=False), sup=None)
    """
    found = re.fullmatch(r"([A-Za-z]+)(~?)(\d*)('*)(?:_(\w+))?", text)
    if found is None:
        return Symbol(text)
    letters, tilde, digits, primes, index = found.groups()
    if letters in SPELLED:
        letter, first = SPELLED[letters]
        below: list[Node] = [Symbol(first)]
    else:
        letter, below = GREEK.get(letters, letters), []
    below += [number(digits)] if digits else []
    below += [_index(index)] if index else []
    if not below and not primes:
        return Symbol(letter, tilde=bool(tilde))
    sup = Sign("′" * len(primes), "prefix") if primes else None
    return Script(Symbol(letter, tilde=bool(tilde)), row(*below) if below else None, sup)


def _index(text: str) -> Node:
    if text.isdigit():
        return number(text)
    return Symbol(GREEK.get(text, text), "italic" if len(text) == 1 or text in GREEK else "upright")


def row(*parts: Node) -> Node:
    """The parts side by side, flat."""
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, Row) else (part,)
    return flat[0] if len(flat) == 1 else Row(tuple(flat))


def brackets(body: Node) -> Fence:
    """(body)"""
    return Fence("(", body, ")")


_RANK = {"=>": 0, "or": 1, "and": 2, "not": 3, "=": 4, "<": 4, "<=": 4, "+": 5, "-": 5, "*": 6}
_SIGN = {"<": "<", "<=": "≤", "=": "=", "+": "+", "-": "−"}
_TURNED = {"<": ">", "<=": "≥", "=": "="}
_TRUTHS = ("and", "or", "not", "=>", "=", "<", "<=", "true", "false")


def from_term(term: Any) -> Node:
    """A formula of the corpus (`proofs.terms.Term`), read as it is, brackets where the reading needs them."""
    return _set(term)


def parts_of(term: Any) -> list[Node]:
    """The conjuncts of a formula, chains such as 0 <= j < k taken together."""
    return list(_conjuncts(term))


def _set(term: Any) -> Node:
    if not term.args:
        return _leaf(term.op)
    match term.op:
        case "and":
            return _joined(_conjuncts(term), "and")
        case "or":
            return _joined((_at_least(part, 3) for part in term.args), "or")
        case "=>":
            one, other = term.args
            return row(_at_least(one, 1), Sign("⇒", "relation"), _at_least(other, 1))
        case "not":
            return _negated(term.args[0])
        case "=" if _is_truth(term.args[0]):
            one, other = term.args
            return row(_at_least(one, 5), Sign("⇔", "relation"), _at_least(other, 5))
        case "=" | "<" | "<=":
            return _chain([term.args[0], term.args[1]], [term.op])
        case "*":
            return _product(term)
        case "-" if str(term.args[0]) == "0":
            return row(Sign("−", "prefix"), _at_least(term.args[1], 6))
        case _:
            one, other = term.args
            loose = term.op == "+" and other.op == "+"
            return row(_at_least(one, 5), Sign(_SIGN[term.op]), _at_least(other, 5 if loose else 6, negative=True))


def _leaf(op: str) -> Node:
    if op.startswith("-"):
        return row(Sign("−", "prefix"), number(op[1:]))
    if op.isdigit():
        return number(op)
    return upright(op) if op in ("true", "false") else name(op)


def _at_least(term: Any, rank: int, *, negative: bool = False) -> Node:
    """The term, in brackets if it binds more weakly than `rank`; a negative number too, after another sign."""
    signed = not term.args and term.op.startswith("-")
    weak = bool(term.args) and _RANK[term.op] < rank
    return brackets(_set(term)) if weak or (signed and negative) else _set(term)


def _negated(term: Any) -> Node:
    if term.op == "=" and not _is_truth(term.args[0]):
        return row(_at_least(term.args[0], 5), Sign("≠", "relation"), _at_least(term.args[1], 5))
    return row(Sign("¬", "prefix"), brackets(_set(term)) if term.args else _set(term))


def _product(term: Any) -> Node:
    """Factors side by side, a variable that follows itself as a power."""
    powers: list[tuple[Any, int]] = []
    for factor in _factors(term):
        again = powers and not factor.args and not _is_number(factor) and factor.op == powers[-1][0].op and not powers[-1][0].args
        powers[-1:] = [(factor, powers[-1][1] + 1)] if again else [*powers[-1:], (factor, 1)]
    parts: list[Node] = []
    for place, (factor, power) in enumerate(powers):
        if place and _is_number(factor):
            parts.append(Sign("⋅"))
        held = _at_least(factor, 6, negative=place > 0)
        parts.append(held if power == 1 else raised(held, number(str(power))))
    return row(*parts)


def raised(node: Node, power: Node) -> Node:
    """The power of the last factor only."""
    if isinstance(node, Row) and node.parts:
        return Row((*node.parts[:-1], raised(node.parts[-1], power)))
    if isinstance(node, Script) and node.sup is None:
        return Script(node.base, node.sub, power)
    return Script(brackets(node) if isinstance(node, Script) else node, None, power)


def _factors(term: Any) -> Iterator[Any]:
    for factor in term.args:
        if factor.op == "*":
            yield from _factors(factor)
        else:
            yield factor


def _is_number(term: Any) -> bool:
    return not term.args and term.op.lstrip("-").isdigit()


def _is_truth(term: Any) -> bool:
    return term.op in _TRUTHS


def _flat(term: Any) -> Iterator[Any]:
    if term.op == "and":
        for part in term.args:
            yield from _flat(part)
    elif term.op != "true":
        yield term


def _conjuncts(term: Any) -> Iterator[Node]:
    """Each conjunct; bounds that follow one another on the same middle term become one chain."""
    waiting: tuple[list[Any], list[str]] | None = None
    for part in _flat(term):
        bound = part.op in ("<", "<=")
        if waiting and bound and str(waiting[0][-1]) == str(part.args[0]):
            waiting[0].append(part.args[1])
            waiting[1].append(part.op)
            continue
        if waiting:
            yield _chain(*waiting)
            waiting = None
        if bound:
            waiting = ([part.args[0], part.args[1]], [part.op])
        else:
            yield _at_least(part, 3) if part.op in ("=>", "or") or (part.op == "=" and _is_truth(part.args[0])) else _set(part)
    if waiting:
        yield _chain(*waiting)


def _chain(terms: list[Any], signs: list[str]) -> Node:
    if len(signs) == 1 and _is_number(terms[0]) and not _is_number(terms[1]):
        return row(_at_least(terms[1], 5), Sign(_TURNED[signs[0]], "relation"), _at_least(terms[0], 5))
    parts = [_at_least(terms[0], 5)]
    for sign, term in zip(signs, terms[1:], strict=True):
        parts += [Sign(_SIGN[sign], "relation"), _at_least(term, 5)]
    return row(*parts)


def _joined(parts: Any, word: str) -> Node:
    found: list[Node] = []
    for part in parts:
        found += [Sign(word, "word"), part] if found else [part]
    return row(*found)


LINE = 64
"""Characters of a displayed formula after which it is broken."""


def width(node: Node) -> int:
    """About how many characters wide a formula is."""
    match node:
        case Symbol(text=text) | Sign(text=text):
            return len(text)
        case Script(base=base, sub=sub, sup=sup):
            return width(base) + max((width(part) for part in (sub, sup) if part is not None), default=0)
        case Fence(body=body):
            return width(body) + 2
        case Row(parts=parts):
            return sum(width(part) + (2 if isinstance(part, Sign) and part.kind in ("relation", "binary") else 0) for part in parts)
        case Matrix(rows=rows):
            return sum(max(width(line[column]) + 1 for line in rows) for column in range(len(rows[0])))


def lines(node: Node) -> tuple[Node, ...]:
    """A formula on as many lines as it needs: broken before its `=`, then before its compositions."""
    out: list[Node] = [node]
    for signs in (("=", "⇔"), ("∘",)):
        out = [piece for line in out for piece in (_broken(line, signs) if width(line) > LINE else [line])]
    return tuple(out)


def _broken(node: Node, signs: tuple[str, ...]) -> list[Node]:
    """The formula cut before the signs, as much on each line as fits."""
    pieces: list[list[Node]] = [[]]
    for part in node.parts if isinstance(node, Row) else (node,):
        if isinstance(part, Sign) and part.text in signs and pieces[-1]:
            pieces.append([])
        pieces[-1].append(part)
    filled = [pieces[0]]
    for piece in pieces[1:]:
        if width(row(*filled[-1], *piece)) <= LINE:
            filled[-1] = [*filled[-1], *piece]
        else:
            filled.append(piece)
    return [row(*piece) for piece in filled]

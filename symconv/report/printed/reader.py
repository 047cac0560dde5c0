"""Which characters of a text are mathematics, and what formula they are.

Owns: `Reader`, `is_variable`. Must not know: theorems, writers, layer expressions.

A formula is a run of variables (single letters, and names such as pb, ke and phi), numbers, signs and brackets; it is set in the
order in which it is written, so its meaning is that of the text. What is not surely a formula stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from symconv.report.printed.document import Code, Formula, Link, Span, Words
from symconv.report.printed.mathematics import Fence, Node, Row, Script, Sign, Symbol, brackets, name, number, raised, row, upright
from symconv.report.printed.tokens import Token

VARIABLES = frozenset(
    {"pb", "pe", "ke", "op", "phi", "rho", "theta", "eta", "sigma", "delta", "pad_a", "pad_b", "pb_LR", "pe_LR"}
    | {"before", "after", "front", "back", "total"}
)
WEAK = frozenset({"before", "after", "front", "back", "total", "a", "A", "I"})
"""Variables that are words of English too: formulas only next to a sign or inside brackets."""
NAMES = frozenset({"Z3"})
"""Names that look like variables."""
FUNCTIONS = frozenset({"max", "min", "gcd", "dim", "rank"})
WORD_SIGNS = {"mod": "mod", "div": "div", "meet": "∩"}
RELATIONS = {"<=": "≤", ">=": "≥", "!=": "≠", "=": "=", "<": "<", ">": ">", "~=": "≈"}
BINARY = {"+": "+", "-": "−", "/": "/", "*": "∗"}


class Reader:
    """Reads tokens from left to right; at each one the longest formula that begins there."""

    def __init__(self, tokens: list[Token], links: Callable[[str], str | None]) -> None:
        self.tokens, self.links = tokens, links

    def spans(self) -> list[Span]:
        out: list[Span] = []
        at = 0
        while at < len(self.tokens):
            node, after = self._formula(at)
            if node is not None:
                out.append(Formula(node))
                at = after
            else:
                out.append(self._span(self.tokens[at]))
                at += 1
        return out

    def _span(self, token: Token) -> Span:
        if token.kind == "code":
            anchor = self.links(token.text[1:-1])
            return Link(token.text[1:-1], anchor) if anchor else self._quoted(token.text[1:-1])
        if token.kind == "dotted":
            return Code(token.text)
        if token.kind == "grid":
            return Words(token.text.replace("x", "×"))
        return Words("…" if token.kind == "dots" else token.text)

    def _quoted(self, text: str) -> Span:
        return Formula(name(text)) if is_variable(text) else Code(text)

    # Formulas. Each method returns what was read, or None, and the place after it.

    def _formula(self, at: int) -> tuple[Node | None, int]:
        if self._weak(at) and not self._beside_sign(at):
            return None, at
        node, after = self._run(at)
        if node is None or not self._worth(at, after):
            return None, at
        return node, after

    def _worth(self, at: int, after: int) -> bool:
        """Whether the tokens are a formula rather than a number, or a word in brackets."""
        held = self.tokens[at:after]
        names = [token for token in held if token.kind == "name"]
        if len(held) == 1:
            return held[0].kind == "name"
        if held[0].kind == "open" and not any(token.kind == "sign" or token.text in WORD_SIGNS for token in held):
            return len(names) >= 1 and any(token.text == "," for token in held)
        return bool(names) or any(token.kind == "sign" or token.text == "x" for token in held) or held[0].kind == "open"

    def _run(self, at: int) -> tuple[Node | None, int]:
        """Operands and signs; ends with an operand, or with a relation that words complete."""
        parts: list[Node] = []
        end, place = at, at
        while True:
            sign = self._prefix(place)
            start = place + (1 if sign else 0)
            node, after = self._operand(start)
            if node is None:
                break
            parts += [sign, node] if sign else [node]
            end = place = after
            joint, after = self._joint(place)
            if joint is None:
                break
            if isinstance(joint, Sign):
                following, _ = self._operand(after + (1 if self._prefix(after) else 0))
                if following is None:
                    if joint.kind == "relation" and self._kind(after) in ("name", "word"):
                        parts.append(joint)
                        end = after - (1 if self._kind(after - 1) == "space" else 0)
                    break
                parts.append(joint)
            place = after
        return (row(*parts) if parts else None), end

    def _joint(self, at: int) -> tuple[Node | None, int]:
        """The sign between two operands; an empty row where they stand side by side."""
        spaced = self._kind(at) == "space"
        place = at + 1 if spaced else at
        token = self._token(place)
        if token is None:
            return None, at
        behind = self._kind(place + 1) == "space"
        if token.kind == "sign" and token.text in RELATIONS:
            return Sign(RELATIONS[token.text], "relation"), self._skip(place + 1)
        if token.text == "|" and spaced and behind:
            return Sign("∣", "relation"), self._skip(place + 1)
        if token.text == "*" and spaced and behind and self._kind(at - 1) == "number" and self._kind(place + 2) == "number":
            return Sign("⋅"), place + 2
        if token.kind == "sign" and token.text in BINARY and (spaced == behind):
            return Sign(BINARY[token.text]), self._skip(place + 1)
        if spaced and behind and token.text == "." and self._composes(place + 2):
            return Sign("∘"), place + 2
        if spaced and behind and token.text in WORD_SIGNS and (token.text != "meet" or self._are_spaces(at - 1, place + 2)):
            sign = WORD_SIGNS[token.text]
            return Sign(sign, "binary" if len(sign) == 1 else "word"), place + 2
        if spaced and behind and token.text == "x" and self._kind(at - 1) == "number" and self._kind(place + 2) == "number":
            return Sign("×"), place + 2
        if spaced and [t.text for t in self.tokens[place : place + 3]] == ["(", "x", ")"]:
            return Sign("⊗"), self._skip(place + 3)
        if (
            spaced
            and (token.text == "A" or not self._weak(place))
            and token.kind in ("name", "number", "open")
            and self._kind(at - 1) != "open"
        ):
            node, _ = self._operand(place)
            both = token.kind == "number" and self._kind(at - 1) == "number"
            return (Row(()), place) if node is not None and not both else (None, at)
        return None, at

    def _are_spaces(self, *places: int) -> bool:
        """Whether the names there are those of linear spaces, so that "meet" is no verb."""
        return all(re.fullmatch(r"[A-Z]\d*", token.text) for token in map(self._token, places) if token is not None)

    def _composes(self, at: int) -> bool:
        """After " . ": a layer, an operator or a function, not the next sentence."""
        token = self._token(at)
        if token is None or token.kind != "name":
            return False
        return len(token.text) == 1 or token.text.isupper() or self._kind(at + 1) == "open" or token.text[0].isupper()

    def _prefix(self, at: int) -> Sign | None:
        token = self._token(at)
        if token is not None and token.text == "-" and self._kind(at + 1) in ("name", "number", "open"):
            return Sign("−", "prefix")
        return None

    def _operand(self, at: int) -> tuple[Node | None, int]:
        token = self._token(at)
        if token is None:
            return None, at
        node: Node | None
        if token.kind == "number":
            node, after = (number(token.text), at + 1) if re.fullmatch(r"\d+|\d{1,3}\.\d{1,3}", token.text) else (None, at)
        elif token.kind == "name":
            node, after = self._named(at)
        elif token.kind == "open":
            node, after = self._bracketed(at)
        elif token.text == "|":
            node, after = self._absolute(at)
        else:
            return None, at
        return (None, at) if node is None else self._scripts(node, after)

    def _named(self, at: int) -> tuple[Node | None, int]:
        text = self.tokens[at].text
        after = self._token(at + 1)
        called = after is not None and after.text == "("
        if text in ("ceil", "floor") and called:
            body, end = self._bracketed(at + 1)
            if isinstance(body, Fence):
                pair = ("⌈", "⌉") if text == "ceil" else ("⌊", "⌋")
                return Fence(pair[0], body.body, pair[1]), end
            return None, at
        if text in FUNCTIONS or (text in ("mod", "div") and called):
            if called:
                body, end = self._bracketed(at + 1)
                return (None, at) if body is None else (row(upright(text), body), end)
            node, end = self._operand(self._skip(at + 1))
            return (
                (None, at) if node is None or self._kind(at + 1) != "space" else (row(upright(text), Sign("\u2009", "prefix"), node), end)
            )
        if is_variable(text):
            return name(text), at + 1
        if called and text[0].isupper() and text.replace("_", "").isalpha():
            body, end = self._arguments(at + 1)
            return (None, at) if body is None else (row(_operator(text), body), end)
        if text == "PS" and self._kind(at + 1) == "space" and self._kind(at + 2) == "name":
            operand, end = self._named(at + 2)
            if operand is not None and len(self.tokens[at + 2].text) == 1:
                operand, end = self._scripts(operand, end)
                return row(upright(text), Sign("\u2009", "prefix"), operand), end
        if text[0].isupper() and len(text) > 1 and (self._is_composed(at) or (text == "PS" and after is not None and after.text == "^")):
            return _operator(text), at + 1
        return None, at

    def _is_composed(self, at: int) -> bool:
        """Whether a capitalised name stands beside a composition: `DCR . ChannelShuffle(C)`, `PS . g`."""
        texts = [t.text for t in self.tokens]
        left, right = texts[max(0, at - 3) : at], texts[at + 1 : at + 4]
        return (left[-2:] == [".", " "] and left[:1] == [" "] and self._tight(at - 4)) or (right[:2] == [" ", "."] and right[2:] == [" "])

    def _tight(self, at: int) -> bool:
        return at >= 0 and self._kind(at) in ("name", "close")

    def _bracketed(self, at: int) -> tuple[Node | None, int]:
        """Brackets that hold formulas with commas between them, and nothing else."""
        parts: list[Node] = []
        place = at + 1
        while True:
            node, after = self._run(self._skip(place))
            if node is None:
                return None, at
            parts.append(node)
            place = after
            token = self._token(place)
            if token is None:
                return None, at
            if token.text == ",":
                parts.append(Sign(",", "comma"))
                place += 1
            elif token.kind == "close":
                return Fence(self.tokens[at].text, row(*parts), token.text), place + 1
            else:
                return None, at

    def _arguments(self, at: int) -> tuple[Node | None, int]:
        """The arguments of a layer: formulas, and words such as `pads` or `dilation`."""
        parts: list[Node] = []
        place = at + 1
        while (token := self._token(place)) is not None and token.kind != "close":
            node, after = self._run(place)
            if node is not None:
                parts.append(node)
                place = after
                continue
            if token.text == ",":
                parts.append(Sign(",", "comma"))
            elif token.kind in ("name", "word", "code"):
                following = self._kind(self._skip(place + 1))
                shown: Node = upright(token.text.strip("`")) if token.text.strip("`") not in VARIABLES else name(token.text.strip("`"))
                parts.append(shown)
                if following in ("name", "number", "open", "code", "word"):
                    parts.append(Sign("\u2002", "prefix"))
            elif token.text == "=":
                parts.append(Sign("=", "relation"))
            elif token.kind != "space":
                return None, at
            elif parts and self._kind(place + 1) in ("name", "word") and isinstance(parts[-1], Symbol | Script | Row) and _ended(parts[-1]):
                parts.append(Sign("\u2002", "prefix"))
            place += 1
        return (None, at) if token is None else (brackets(row(*parts) if parts else Row(())), place + 1)

    def _absolute(self, at: int) -> tuple[Node | None, int]:
        if self._kind(at + 1) == "space":
            return None, at
        node, after = self._run(at + 1)
        token = self._token(after)
        if node is None or token is None or token.text != "|":
            return None, at
        return Fence("|", node, "|"), after + 1

    def _scripts(self, node: Node, at: int) -> tuple[Node, int]:
        """What sticks to an operand: w[j], f(x), n*, r^D."""
        while (token := self._token(at)) is not None:
            if token.text == "[" or (token.text == "(" and isinstance(node, Symbol | Script | Fence) and not _is_number(node)):
                body, after = self._bracketed(at)
                if body is None:
                    break
                node, at = row(node, body), after
            elif token.text == "_" and self._kind(at + 1) == "open" and isinstance(node, Symbol):
                body, after = self._bracketed(at + 1)
                if not isinstance(body, Fence):
                    break
                node, at = Script(node, body.body), after
            elif token.text == "*" and self._kind(at + 1) != "name":
                node, at = Script(node, None, Sign("∗", "prefix")), at + 1
            elif token.text == "^":
                sign = self._prefix(at + 1)
                power, after = self._operand(at + (2 if sign else 1))
                if power is None:
                    break
                power = row(sign, power) if sign else power
                node, at = raised(node, power.body if isinstance(power, Fence) and power.open == "(" else power), after
            else:
                break
        return node, at

    def _weak(self, at: int) -> bool:
        token = self._token(at)
        return token is not None and token.text in WEAK

    def _beside_sign(self, at: int) -> bool:
        """Whether a word of English that may be a variable has a sign or a comma of a formula next to it."""
        place = self._skip(at + 1)
        token, before = self._token(place), self._token(at - 1)
        if self.tokens[at].text == "a" and (self._kind(at + 1) in ("other", "") or (token is not None and token.text == "and")):
            return True  # no article stands before a comma, a full stop or `and`
        if token is None:
            return False
        if before is not None and before.text == "(" and token.text in (",", ")"):
            return False
        if token.text == "," and self.tokens[at].text in ("a", "A"):
            following = self._token(self._skip(place + 1))
            return following is not None and following.kind == "name" and is_variable(following.text)
        if token.kind == "sign":
            return token.text in RELATIONS or token.text in BINARY or token.text == "^"
        return bool(self.tokens[at].text == "a" and re.fullmatch(r"[a-z]\d", token.text))

    def _token(self, at: int) -> Token | None:
        return self.tokens[at] if 0 <= at < len(self.tokens) else None

    def _kind(self, at: int) -> str:
        token = self._token(at)
        return "" if token is None else token.kind

    def _skip(self, at: int) -> int:
        return at + 1 if self._kind(at) == "space" else at


def is_variable(text: str) -> bool:
    """Whether a word is the name of a variable: a single letter or one of the corpus's names, with indices and primes.

    >>> [is_variable(text) for text in ("phi2", "pb_LR", "S_phi", "taps")]
    [True, True, True, False]
    """
    found = re.fullmatch(r"([A-Za-z]+)~?\d*'*(_\w+)?", text)
    if found is None or text in NAMES:
        return False
    return text in VARIABLES or len(found.group(1)) == 1 or (found.group(1) in VARIABLES and not found.group(2))


def _operator(text: str) -> Node:
    """The name of a layer, with its index: Conv, Conv_LR."""
    letters, _, index = text.partition("_")
    return Script(upright(letters), upright(index)) if index else upright(letters)


def _is_number(node: Node) -> bool:
    return isinstance(node, Symbol) and node.style == "number"


def _ended(node: Node) -> bool:
    return not (isinstance(node, Row) and node.parts and isinstance(node.parts[-1], Sign))

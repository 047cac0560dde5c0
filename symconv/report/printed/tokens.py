"""The corpus's texts cut into tokens, and into layer expressions and what stands between them.

Owns: the signs that tokens are made of; what is an expression. Must not know: formulas.
"""

from __future__ import annotations

import re

import attrs

_CONSTRUCTOR = (
    r"(?:[A-Z]\w*[123]d|PixelShuffle|PixelUnshuffle|DepthToSpace|SpaceToDepth|Upsample|ZeroInsert|Crop|ChannelShuffle|ReLU|Tanh|Sigmoid)"
)
_CALL = re.compile(rf"(?<![\w.]){_CONSTRUCTOR}(?=\()")
_TOKEN = re.compile(
    r"(?P<code>`[^`]+`)"
    r"|(?P<dotted>[A-Za-z_]\w+(?:\.[A-Za-z_]\w*)+|\b[a-z]{2,}_[a-z]{3,}\w*|\b[A-Z]\w*[123]d\b)"
    r"|(?P<grid>\d+(?:x\d+)+|\d+(?:-\d+)+)"
    r"|(?P<word>[A-Za-z]{2,}'s\b|[A-Za-z]'s\b|(?:[A-Za-z]+\d*-)+[A-Za-z]{2,}\w*(?:-\w+)*(?:'s\b)?|[A-Za-z]{2,}(?:-\d+)+)"
    r"|(?P<name>[A-Za-z]+~?\d*'*(?:_\w+)?)"
    r"|(?P<number>\d+(?:\.\d+)*(?:/\d{4,}[\w./]*)?)"
    r"|(?P<dots>\.\.\.)"
    r"|(?P<sign><=|>=|!=|~=|>>|[-+*/=<>^|])"
    r"|(?P<open>[(\[])|(?P<close>[)\]])"
    r"|(?P<space>\s+)"
    r"|(?P<other>.)"
)


@attrs.frozen
class Token:
    """A piece of text and what it is: a group of the pattern above."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """The text, nothing left out."""
    return [Token(str(found.lastgroup), found.group()) for found in _TOKEN.finditer(text)]


def expressions(text: str) -> list[tuple[str, bool]]:
    """The text cut into layer expressions, brackets balanced and chained by `>>`, and what stands between them."""
    found, start = [], 0
    for match in _CALL.finditer(text):
        if match.start() < start:
            continue
        end = _call_end(text, match.end())
        while end and (more := re.match(rf"\s*>>\s*{_CONSTRUCTOR}\(", text[end:])):
            end = _call_end(text, end + more.end() - 1)
        piece = text[match.start() : end]
        if end and _is_expression(piece):
            found += [(text[start : match.start()], False), (piece, True)]
            start = end
    return [*found, (text[start:], False)]


def _is_expression(piece: str) -> bool:
    """Whether a call is a layer that symconv reads, rather than a formula such as Crop(c, m) or Conv(k)."""
    return bool(re.match(r"\w+[123]d\b|Pixel|Upsample", piece) or ">>" in piece or re.fullmatch(r"\w+\([\d(), -]*\)", piece))


def _call_end(text: str, start: int) -> int:
    depth = 0
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place + 1
    return 0

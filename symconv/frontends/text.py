"""Layer expressions: PyTorch's constructors chained with `>>`, parsed and never evaluated.

Owns: `parse`; the places and texts of its errors; the limits on what it reads.
Must not know: which constructors exist and what they make (`signatures` does), torch.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from symconv.errors import ExpressionError, LayerError
from symconv.frontends.signatures import REQUIRED, SIGNATURES, UNDECIDED, Signature
from symconv.layers import Layer, Sequential, channels_after, input_channels
from symconv.layers.base import LIMIT

MAX_CHARACTERS = 20_000
MAX_LAYERS = 200
MAX_NESTING = 32
MAX_ITEMS = 16
MAX_LITERAL = 100
"""Characters of one number or string."""

CHAIN = "Sequential"
FORM = "An expression is a chain of layers, such as `Conv2d(3, 12, 3, padding=1) >> PixelShuffle(2)`."

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\n\r\f\v]+|\#[^\n\r]*)
      | (?P<string>'[^'\\\n\r\ud800-\udfff]*'|"[^"\\\n\r\ud800-\udfff]*")
      | (?P<number>\.?[0-9](?:[0-9A-Za-z_.]|(?<=[0-9._][eE])[+-])*)
      | (?P<name>[^\W\d]\w*)
      | (?P<chain>>>)
      | (?P<open>[(\[])
      | (?P<close>[)\]])
      | (?P<mark>[.,=+\-])""",
    re.VERBOSE,
)
_HINTS = dict.fromkeys(">|→≫»;&", "Chain layers with `>>`.") | {
    ":": "A reference `package.module:attribute` stands alone; it cannot be part of an expression.",
    "*": "Arguments are literals; write every one of them out.",
    "'": "A string ends on its own line and holds no backslash.",
    '"': "A string ends on its own line and holds no backslash.",
    "“": "Use straight quotes.",
    "’": "Use straight quotes.",
    "\u00a0": "Use an ordinary space.",
}


@attrs.frozen
class _Source:
    """The text, and the one line that the syntax tree's offsets refer to (blanks for comments and line breaks)."""

    text: str
    line: str
    lead: int

    def fail(self, message: str, place: ast.AST | int) -> NoReturn:
        """Raises ExpressionError with the caret on a node or an offset; the text is made safe to print."""
        shown = "".join(character if character.isprintable() or character in "\n\t" else "\ufffd" for character in self.text)
        raise ExpressionError(message, shown, place if isinstance(place, int) else self.offset(place)) from None

    @contextmanager
    def blaming(self, node: ast.AST) -> Iterator[None]:
        """A LayerError inside becomes an ExpressionError with the caret on the node."""
        try:
            yield
        except LayerError as error:
            self.fail(str(error), node)

    def offset(self, node: ast.AST) -> int:
        """Where a node begins in the text; the tree counts UTF-8 bytes, the text characters."""
        return self.lead + len(self.line.encode()[: getattr(node, "col_offset", 0)].decode())


def parse(text: str) -> Sequential:
    """The chain of layers that an expression describes.

    Args:
        text: constructor calls in PyTorch's spelling (a prefix `nn.` or `torch.nn.` is allowed), chained with `>>` or
            listed in `Sequential(...)`. Arguments are literals; line breaks and `#` comments are blanks.

    Returns:
        A flat Sequential, also for a single layer, not bound to a number of axes unless its layers are.

    Raises:
        ExpressionError: the text is not such an expression, PyTorch refuses a layer's arguments, or two layers of the
            chain do not fit together; the error holds the place.

    >>> parse("ZeroInsert(2) >> nn.Conv1d(1, 1, 3, bias=False)").axes
    1
    """
    source = _scan(text)
    calls = _calls(source, _tree(source))
    layers = tuple(_layer(source, call, signature) for call, signature in calls)
    _check_chain(source, [call for call, _ in calls], layers)
    return Sequential(layers)


def _scan(text: str) -> _Source:
    """The text with comments and line breaks blanked, once its characters and its sizes are known to be harmless.

    What follows is a parser with recursion and number limits of its own, so they are checked here, with a place.
    """
    if not isinstance(text, str):
        raise ExpressionError(f"a layer expression must be a string; found {type(text).__name__}.")
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"a layer expression has at most {MAX_CHARACTERS} characters; found {len(text)}.", text, MAX_CHARACTERS)
    plain = _Source(text, text, 0)
    pieces: list[str] = []
    position = depth = chained = 0
    previous = ""
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            plain.fail(_unexpected(text[position]), position)
        kind, token = str(match.lastgroup), match.group()
        depth += (kind == "open") - (kind == "close")
        chained += kind == "chain"
        if depth > MAX_NESTING:
            plain.fail(f"brackets are nested more than {MAX_NESTING} deep. Write a flat chain with `>>`.", position)
        if chained >= MAX_LAYERS:
            _too_many_layers(plain, position)
        _check_token(plain, kind, token, previous, position)
        pieces.append(" " * len(token) if kind == "blank" else token)
        previous, position = kind, match.end()
    line = "".join(pieces)
    if not line.strip():
        plain.fail(f"the expression is empty. {FORM}", 0)
    return _Source(text, line.lstrip(), len(line) - len(line.lstrip()))


def _check_token(plain: _Source, kind: str, token: str, previous: str, position: int) -> None:
    if kind in ("number", "string") and len(token) > MAX_LITERAL:
        plain.fail(f"a {kind} has at most {MAX_LITERAL} characters; found {len(token)}.", position)
    if kind == "number" and not _is_number(token):
        plain.fail(f"`{token}` is not a number.", position)
    if kind == "string" and previous == "name":
        plain.fail("a string takes no prefix.", position)
    if kind == "name" and keyword.iskeyword(token) and token not in ("None", "True", "False"):
        plain.fail(f"`{token}` has no meaning in a layer expression. {FORM}", position)


def _unexpected(character: str) -> str:
    shown = f"`{character}` (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
    return f"the character {shown} has no meaning in a layer expression. {_HINTS.get(character, FORM)}"


def _is_number(token: str) -> bool:
    for read in (lambda: int(token, 0), lambda: float(token)):
        try:
            read()
        except ValueError:
            continue
        return True
    return False


def _too_many_layers(source: _Source, place: ast.AST | int) -> NoReturn:
    source.fail(f"a chain has at most {MAX_LAYERS} layers.", place)


def _tree(source: _Source) -> ast.expr:
    try:
        return ast.parse(source.line, mode="eval").body
    except SyntaxError as error:
        end = len(source.line.rstrip())
        column = min(error.offset - 1, end) if error.offset else end
        cause = error.msg if error.msg.endswith("?") else f"{error.msg}."
        source.fail(f"the expression does not parse: {cause} {FORM}", source.lead + column)
    except (MemoryError, RecursionError, ValueError):
        source.fail(f"the expression is nested too deeply. {FORM}", source.lead)


def _calls(source: _Source, root: ast.expr) -> list[tuple[ast.Call, Signature]]:
    """The constructor calls from left to right, `>>` and `Sequential` opened, without recursion."""
    found: list[tuple[ast.Call, Signature]] = []
    stack: list[ast.expr] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift):
            stack += (node.right, node.left)
        elif isinstance(node, ast.BinOp):
            source.fail("layers are chained with `>>` and nothing else.", node.right)
        elif not isinstance(node, ast.Call):
            _not_a_call(source, node)
        elif (name := _name(source, node.func)) == CHAIN:
            stack += reversed(_members(source, node))
        else:
            found.append((node, _known(source, name, node.func)))
        if len(found) + len(stack) > MAX_LAYERS:
            _too_many_layers(source, stack[-1] if stack else node)
    return found


def _not_a_call(source: _Source, node: ast.expr) -> NoReturn:
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = _name(source, node)
        if name != CHAIN:
            _known(source, name, node)
        source.fail(f"`{name}` must be called; write `{name}(...)` with its arguments.", node)
    source.fail(f"a layer is expected here. {FORM}", node)


def _members(source: _Source, call: ast.Call) -> list[ast.expr]:
    for named in call.keywords:
        source.fail(f"`{CHAIN}` takes layers, not named arguments.", named)
    return call.args


def _name(source: _Source, node: ast.expr) -> str:
    """`Conv2d` of `Conv2d`, `nn.Conv2d` or `torch.nn.Conv2d`."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = node.value
        if isinstance(base, ast.Name) and base.id == "nn":
            return node.attr
        if isinstance(base, ast.Attribute) and base.attr == "nn" and isinstance(base.value, ast.Name) and base.value.id == "torch":
            return node.attr
        source.fail("only the prefixes `nn.` and `torch.nn.` are known; leave it out.", node)
    source.fail(f"the name of a layer is expected here. {FORM}", node)


def _known(source: _Source, name: str, node: ast.expr) -> Signature:
    if name in SIGNATURES:
        return SIGNATURES[name]
    if name in UNDECIDED:
        source.fail(f"`{name}` is a PyTorch layer that symconv does not decide.", node)
    source.fail(f"`{_shown(name)}` is not a layer that symconv knows.{_suggest(name, [*SIGNATURES, CHAIN])}", node)


def _shown(name: str, width: int = 60) -> str:
    return name if len(name) <= width else name[:width] + "..."


def _suggest(word: str, candidates: Iterable[str]) -> str:
    """' Did you mean `a` or `b`?', or nothing."""
    folded = {candidate.casefold(): candidate for candidate in candidates}
    close = [word.casefold()] if word.casefold() in folded else difflib.get_close_matches(word.casefold(), folded, n=2, cutoff=0.7)
    return f" Did you mean {' or '.join(f'`{folded[match]}`' for match in close)}?" if close else ""


def _layer(source: _Source, call: ast.Call, signature: Signature) -> Layer:
    arguments = _bind(source, call, signature)
    with source.blaming(call):
        return signature.build(**arguments)


def _bind(source: _Source, call: ast.Call, signature: Signature) -> dict[str, Any]:
    """Every parameter of the signature with its value, as PyTorch's constructor would receive it."""
    given = tuple(_literal(source, argument) for argument in call.args)
    named = _named(source, call, signature)
    if signature.ignores:
        return {}
    if signature.collects:
        return {"arguments": given}
    places = [parameter.name for parameter in signature.parameters if not parameter.keyword_only]
    if len(given) > len(places):
        extra = call.args[len(places)]
        source.fail(f"`{signature.name}` takes at most {len(places)} positional arguments: {signature}; found {len(given)}.", extra)
    bound = dict(zip(places, given, strict=False))
    for key, (node, value) in named.items():
        if key in bound:
            source.fail(f"`{signature.name}.{key}` is given twice: {signature}.", node)
        bound[key] = value
    missing = [p.name for p in signature.parameters if p.default is REQUIRED and p.name not in bound]
    if missing:
        source.fail(f"`{signature.name}` needs {', '.join(f'`{name}`' for name in missing)}: {signature}.", call)
    return {parameter.name: bound.get(parameter.name, parameter.default) for parameter in signature.parameters}


def _named(source: _Source, call: ast.Call, signature: Signature) -> dict[str, tuple[ast.keyword, Any]]:
    names = {parameter.name for parameter in signature.parameters}
    found: dict[str, tuple[ast.keyword, Any]] = {}
    for node in call.keywords:
        name = str(node.arg)  # never None: `**` does not pass the scan
        if name in found:
            source.fail(f"`{signature.name}.{_shown(name)}` is given twice.", node)
        if name not in names and not signature.ignores:
            if name in ("device", "dtype"):
                source.fail(f"`{signature.name}` takes no `{name}` here: a layer expression has no weights. Leave it out.", node)
            source.fail(f"`{signature.name}` has no argument `{_shown(name)}`: {signature}.{_suggest(name, names)}", node)
        found[name] = (node, _literal(source, node.value))
    return found


def _literal(source: _Source, node: ast.expr) -> Any:
    """The value of a literal; lists become tuples."""
    if isinstance(node, (ast.Tuple, ast.List)):
        if len(node.elts) > MAX_ITEMS:
            source.fail(f"a tuple has at most {MAX_ITEMS} items; found {len(node.elts)}.", node)
        return tuple(_literal(source, item) for item in node.elts)
    inner: ast.expr = node
    sign = 1
    while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, (ast.UAdd, ast.USub)):
        sign = -sign if isinstance(inner.op, ast.USub) else sign
        inner = inner.operand
    value = inner.value if isinstance(inner, ast.Constant) else ...
    if isinstance(value, str) and len(value) > MAX_LITERAL:  # adjacent strings are one
        source.fail(f"a string has at most {MAX_LITERAL} characters; found {len(value)}.", node)
    if value is None or isinstance(value, (bool, str)):
        if inner is node:
            return value
        source.fail("a sign stands before numbers only.", node)
    if not isinstance(value, (int, float)):
        source.fail("an argument must be a literal: a number, a string, True, False, None, or a tuple of these.", node)
    if isinstance(value, int) and value > LIMIT:
        source.fail("an integer must be at most 2**62 in magnitude.", node)
    return sign * value


def _check_chain(source: _Source, calls: list[ast.Call], layers: tuple[Layer, ...]) -> None:
    """All layers act on the same number of axes and pass on the channels that the next one expects."""
    axes = next((layer.axes for layer in layers if layer.axes is not None), None)
    if axes is None:
        return
    bound: list[Layer] = []
    for call, layer in zip(calls, layers, strict=True):
        with source.blaming(call):
            bound.append(layer.bind(axes))
    fixing = next((call for call, layer in zip(calls, layers, strict=True) if layer.channels is not None), calls[0])
    with source.blaming(fixing):
        channels = input_channels(tuple(bound))
    for call, layer in zip(calls, bound, strict=True):
        with source.blaming(call):
            channels = None if channels is None else channels_after(layer, channels)

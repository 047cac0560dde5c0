"""Formulas of the corpus as they are printed: they mean what the terms mean, and texts are read as they are written."""

from __future__ import annotations

import importlib
import random
from xml.etree import ElementTree

import pytest

from symconv.report.corpus import package
from symconv.report.printed.as_html import mathml
from symconv.report.printed.as_markdown import latex
from symconv.report.printed.document import Code, Formula, Link, Words
from symconv.report.printed.mathematics import Fence, Row, Script, Sign, Symbol, from_term, lines, parts_of, row, width
from symconv.report.printed.prose import paragraphs, prose

WRITTEN = {"−": "-", "⋅": "*", "=": "==", "≤": "<=", "≥": ">=", "≠": "!=", "⇔": "==", "¬": "not ", "and": " and ", "or": " or "}


def terms_of_the_corpus():
    for theorem in package().corpus():
        for hypothesis in theorem.hypotheses:
            yield hypothesis.formula
        for step in theorem.obligations:
            yield from (*step.given, step.goal)


def meaning(term, values):
    """What a term says, by the rules of SMT-LIB."""
    if not term.args:
        return {"true": True, "false": False}.get(term.op, values.get(term.op)) if term.op[0].isalpha() else int(term.op)
    held = [meaning(argument, values) for argument in term.args]
    match term.op:
        case "+":
            return sum(held)
        case "*":
            product = 1
            for factor in held:
                product *= factor
            return product
        case "-":
            return held[0] - sum(held[1:])
        case "=":
            return held[0] == held[1]
        case "<":
            return held[0] < held[1]
        case "<=":
            return held[0] <= held[1]
        case "not":
            return not held[0]
        case "=>":
            return not held[0] or held[1]
        case "and":
            return all(held)
        case "or":
            return any(held)
    raise AssertionError(term.op)


def names_of(term):
    if term.args:
        return set().union(*map(names_of, term.args))
    return {term.op} if term.op[0].isalpha() and term.op not in ("true", "false") else set()


def python(node, spelled):
    """A printed formula as Python: operands side by side are multiplied, chains of bounds are Python's own."""
    match node:
        case Script(sup=Symbol(text=power, style="number")):
            return f"({python(Script(node.base, node.sub) if node.sub else node.base, spelled)})**{power}"
        case Symbol() | Script():
            if isinstance(node, Symbol) and node.style != "italic":
                return node.text.title()  # a number, true or false
            return spelled[latex(node)]
        case Fence(body=body):
            return f"({python(body, spelled)})"
        case Sign(text="⇒"):
            raise AssertionError("an implication is written with its sides in brackets or not at all")
        case Sign(text=text):
            return WRITTEN.get(text, text)
        case Row(parts=parts):
            out = ""
            for place, part in enumerate(parts):
                product = place and not isinstance(part, Sign) and not isinstance(parts[place - 1], Sign)
                out += ("*" if product else "") + python(part, spelled)
            return out
    raise AssertionError(node)


def test_printed_terms_mean_what_the_terms_mean():
    """Every formula of the corpus, printed, read back with Python's rules and evaluated beside the term."""
    rng = random.Random(7)
    from symconv.report.printed.mathematics import name

    count = 0
    for term in terms_of_the_corpus():
        if "=>" in str(term):
            continue
        names = sorted(names_of(term))
        spelled = {latex(name(letter)): f"v_{letter}" for letter in names}
        assert len(spelled) == len(names), names  # no two variables look alike
        source = compile(python(from_term(term), spelled), str(term), "eval")
        for _ in range(12):
            values = {letter: rng.randint(-3, 4) for letter in names}
            told = eval(source, {}, {f"v_{letter}": value for letter, value in values.items()})
            assert told == meaning(term, values), (str(term), latex(from_term(term)), values)
            count += 1
    assert count > 5000


def test_parts_are_the_conjuncts():
    terms = importlib.import_module(f"{package().__name__}.terms")
    j, k, a = terms.integers("j k a")
    assert [latex(part) for part in parts_of(terms.within(j, k) & (a >= 1))] == [r"0 \le j \lt k", r"a \ge 1"]
    assert latex(from_term(j - (k - 1) * 2 == -a)) == r"j - (k - 1) \cdot 2 = - a"
    assert latex(from_term(~(j == k))) == r"j \ne k"


def code(text):
    """A text with its formulas as LaTeX between dollar signs, expressions between backquotes."""
    spelled = {Words: "{}", Formula: "${}$", Code: "`{}`", Link: "<{}>"}
    return "".join(spelled[type(span)].format(latex(span.node) if isinstance(span, Formula) else span.text) for span in prose(text))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a tap of phase a, with K taps", "a tap of phase $a$, with $K$ taps"),
        ("0 <= j < k r says 0 <= u < k.", r"$0 \le j \lt k r$ says $0 \le u \lt k$."),
        ("at most ceil(k / r)^D taps", r"at most $\lceil k / r \rceil^{D}$ taps"),
        ("x div R = c, and L1 (x) L2 meet nothing", r"$x \;\text{div}\; R = c$, and $L_{1} \otimes L_{2}$ meet nothing"),
        ("dim (L meet R)", r"$\operatorname{dim} \, (L \cap R)$"),
        ("a d1 + b s1 = 1", "$a d_{1} + b s_{1} = 1$"),
        (
            "Crop(c, m) . PS(s) . Conv(K, pads P and E)",
            r"$\operatorname{Crop} (c , m) \circ \operatorname{PS} (s) \circ \operatorname{Conv} (K , \operatorname{pads} \  P \  \operatorname{and} \  E)$",
        ),
        ("kernels 9-5-5 and 2x2, 5 x 8", r"kernels 9-5-5 and 2×2, $5 \times 8$"),
        ("arXiv 1609.07009, section 3.2; torch.nn.ConvTranspose2d", "arXiv 1609.07009, section 3.2; `torch.nn.ConvTranspose2d`"),
        ("Conv1d(1, 2, 3) >> PixelShuffle(2) has 4", "`Conv1d(1, 2, 3) >> PixelShuffle(2)` has 4"),
        ("2.53 r^2 for r = 3", r"$2.53 r^{2}$ for $r = 3$"),
        ("Positions s + w - 1 meet floor(w / r) blocks", r"Positions $s + w - 1$ meet $\lfloor w / r \rfloor$ blocks"),
        ('Z3 and "op" of PyTorch\'s layer', "Z3 and “$\\mathit{op}$” of PyTorch’s layer"),
        ("I saw A kernel; A linear map", "I saw A kernel; A linear map"),
    ],
)
def test_texts(text, read):
    assert code(text) == read


def test_nothing_is_lost():
    """Letters and digits of every text of the corpus are all printed, in their order."""
    for theorem in package().corpus():
        for text in (theorem.title, *theorem.statement, *theorem.proof, *theorem.corrections, theorem.scope):
            kept = "".join(sign for sign in code(text) if sign.isdigit())
            assert kept == "".join(sign for sign in text if sign.isdigit()), text


def test_mathml_is_well_formed():
    for term in terms_of_the_corpus():
        ElementTree.fromstring(f"<math>{mathml(from_term(term))}</math>")


def test_long_equations_are_broken():
    text = "ConvTranspose(k, s, d, pb, pe, op) = Crop(c, s (n + E) - c - m) . PS(s) . Conv(K, pads K - 1 - P and E + P)"
    (formula,) = prose(text)
    broken = lines(formula.node)
    assert len(broken) == 3
    assert row(*broken) == formula.node
    assert max(map(width, broken)) < 64


def test_paragraphs_end_with_sentences():
    assert paragraphs(("Let k be", "odd. Then", "it holds.", "Also:", "this")) == ["Let k be odd. Then it holds.", "Also: this"]

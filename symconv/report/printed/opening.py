"""The first pages: the note's two questions answered in plain words, how to read the report, what was corrected.

Owns: the plain words. Must not know: how theorems are proved, writers.

Each sentence stands on theorems, named beside it with what became of them in this report; a sentence whose theorems are not in the
report is left out, and nothing is called proved that was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from symconv.report.printed.document import (
    Block,
    Box,
    Formula,
    Heading,
    Link,
    Mark,
    Paragraph,
    Span,
    Steps,
    Strong,
    Table,
    Text,
    Words,
    words,
)
from symconv.report.printed.mathematics import name
from symconv.report.printed.prose import paragraphs, prose
from symconv.report.printed.record import Found, status


@attrs.frozen
class Sentence:
    """What is to be said, and the claims that it stands on; `false` marks a belief that they refute."""

    text: str
    claims: tuple[int, ...]
    false: bool = False


SAME = (
    Sentence(
        "Every transposed convolution (a deconvolution layer) is an ordinary convolution on the low-resolution grid, followed by periodic "
        "shuffling and a crop: for every kernel, stride, padding, output padding, dilation and input extent, borders included.",
        (4,),
    ),
    Sentence(
        "The note's form, in which the numbers of a kernel (o, i, k r, k r) are those of a low-resolution kernel (o r^2, i, k, k), "
        "holds without a crop if the paddings fit, and only then. Its example, (1, 1, 4, 4) and (4, 1, 2, 2), is such a case.",
        (5,),
    ),
    Sentence("It is also zero insertion followed by an ordinary convolution, whose kernel is the reversed one.", (3,)),
    Sentence(
        "The kernels of the two layers correspond one to one if the stride divides the kernel, and only then; otherwise the "
        "low-resolution layer can do strictly more. A free bias in low resolution is more as well.",
        (8, 12),
    ),
    Sentence(
        "The commonest deconvolution, k = 4, s = 2, p = 1, is often said to be a same-size convolution with a kernel of 2 x 2 and "
        "shuffling. "
        "It is not: it needs 3 x 3 taps for each of the 4 phases, 20 of these 36 zero, or a crop of one pixel on each side.",
        (6,),
        false=True,
    ),
)
POWER = (
    Sentence(
        "A deconvolution can always be computed in low resolution, and loses nothing by it; at the same cost if the stride divides the "
        "kernel. "
        "So “the convolution has less representation power” is false.",
        (26,),
    ),
    Sentence(
        "Every zero-padded convolution that works in high resolution is, between shufflings, a low-resolution one, with no more taps an "
        "axis if it is not dilated and padded by less than its kernel. So "
        "a network that first upsamples by a zero-padded transposed convolution and then works in high resolution is a low-resolution "
        "network, where the extents fit.",
        (22,),
    ),
    Sentence(
        "The converse fails: most low-resolution convolutions are no high-resolution ones. For one channel, r = 2 and kernels of 3 x 3, "
        "the "
        "low-resolution class has dimension 144; 25 of them belong to convolutions in high resolution, 9 to those of 3 x 3 taps.",
        (23,),
    ),
    Sentence(
        "At the same cost, on two axes with r times as many channels, a hidden layer in low resolution has r^2 times the parameters and "
        "reads "
        "r times as far.",
        (24,),
    ),
    Sentence(
        "“More representation power at the same cost” is therefore true of parameters and of the dimension of a layer's class. Read as "
        "inclusion "
        "of functions it is false, with ReLU too: the identity in high resolution needs more numbers than the low-resolution layer of "
        "the same cost carries.",
        (25,),
        false=True,
    ),
    Sentence(
        "Layers in low resolution are r^2 times cheaper than the same layers behind upscaling; whole networks are if they end in a "
        "deconvolution, and somewhat less if they end in shuffling.",
        (27,),
    ),
)


@attrs.frozen
class Question:
    """A question of the note, the answer in one line, and the sentences that make it exact."""

    asked: str
    answer: str
    sentences: tuple[Sentence, ...]
    needs: tuple[int, ...]


QUESTIONS = (
    Question(
        "Is the deconvolution layer the same as a convolutional layer?",
        "Yes: as classes of functions, and in exactly this sense.",
        SAME,
        (4,),
    ),
    Question(
        "Why convolve in low-resolution space: which has more representation power?",
        "At the same cost low resolution has more parameters and a class of larger dimension; but neither side contains the other.",
        POWER,
        (22, 23, 24, 25, 26),
    ),
)


def answers(theorems: Sequence[Any], results: Mapping[str, Found]) -> list[Block]:
    """The questions that the report's theorems answer."""
    blocks: list[Block] = []
    for question in QUESTIONS:
        told = [sentence for sentence in question.sentences if _of(theorems, sentence.claims)]
        if not told:
            continue
        held = [item for claim in question.needs for item in _of(theorems, (claim,))]
        proved = all(_of(theorems, (claim,)) for claim in question.needs) and all(_proved(item, results) for item in held)
        lead = question.answer if proved else "What this report holds of the answer:"
        blocks += [
            Heading(3, words(question.asked)),
            Box(
                words(lead),
                Mark.PROVED if proved else Mark.PLAIN,
                (Steps(tuple(_said(s, theorems, results) for s in told), numbered=False),),
            ),
        ]
    return blocks


def _said(sentence: Sentence, theorems: Sequence[Any], results: Mapping[str, Found]) -> Text:
    spans: list[Span] = [Strong("A false belief."), Words(" ")] if sentence.false else []
    spans += [*prose(sentence.text), Words(" [")]
    for place, theorem in enumerate(_of(theorems, sentence.claims)):
        spans += [Words("; ")] if place else []
        spans += [Link(theorem.name, theorem.name), Words(f": {status(theorem, results.get(theorem.name))}")]
    return (*spans, Words("]"))


def _of(theorems: Sequence[Any], claims: Sequence[int]) -> list[Any]:
    return [theorem for theorem in theorems if set(theorem.numbers) & set(claims)]


def _proved(theorem: Any, results: Mapping[str, Found]) -> bool:
    return status(theorem, results.get(theorem.name)) == "proved"


NOTATION = (
    ("n m", "input and output extent, in samples"),
    ("o i j", "output sample, input sample, tap"),
    ("k s d", "kernel size, stride, dilation"),
    ("r", "shuffle factor; it is the stride of the transposed convolution"),
    ("pb pe op", "padding before and after (pb and pe in the sources), output padding"),
    ("ke", "d (k - 1) + 1, the extent of a dilated kernel"),
    ("phi", "phase: the residue of the output sample modulo the stride"),
    ("w W", "kernel of the transposed convolution, and of the low-resolution one"),
    ("C D", "channels, axes"),
)

BACKENDS = (
    (
        "Z3, cvc5",
        "one step of the proof, all hyper-parameters integers without bounds: the step denied has no solution; its givens have one",
        "all",
    ),
    ("definitions", "the formulas of the theorem against symconv's layers, entry by entry", "the grid named"),
    ("SymPy", "an identity of polynomials or matrices with a symbol for each tap", "all kernels"),
    ("exact", "integers and rationals computed without rounding, PyTorch's layers among them", "the range named"),
    ("engine", "what `symconv check` answers on instances, each with a certificate", "the range named"),
    (
        "false twin",
        "a bent statement refuted by its smallest counterexample; layers in it are run by PyTorch in whole numbers",
        "one example refutes",
    ),
)


def reading() -> list[Block]:
    """How to read the report."""
    signs = tuple((_letters(letters), prose(meaning)) for letters, meaning in NOTATION)
    backends = tuple((words(backend), prose(what), words(reach)) for backend, what, reach in BACKENDS)
    return [
        Heading(1, words("How to read this report"), "reading"),
        Paragraph(
            prose(
                "A layer without weights is a family of operators, linear in its kernel; its class is the set of all of them, as "
                "functions on signals of "
                "every valid extent. Two layers are the same if their classes are. The kernel map that turns one into the other is a "
                "reshuffle. "
                "Convolution means cross-correlation, as in PyTorch. Formulas are per axis."
            )
        ),
        Table(("sign", "meaning"), signs, (1, 4)),
        Paragraph(
            prose(
                "Each theorem names its hypotheses and why they are needed, the proof in words, and the steps that solvers checked. "
                "What a backend vouches for reaches as far as the last column says; a range that is finite is evidence beyond it, not "
                "proof, and the "
                "theorem's scope says which parts are which."
            )
        ),
        Table(("backend", "checks", "reach"), backends, (1.1, 4.4, 1.2)),
        Paragraph(
            prose(
                "“Proved” stands beside a theorem if nothing failed and every part was run: each step by at least one solver, and, where "
                "both are "
                "installed, by both. What was not run is named, and is never called proved."
            )
        ),
    ]


def _letters(letters: str) -> Text:
    spans: list[Span] = []
    for letter in letters.split():
        spans += [Words(", ")] if spans else []
        spans.append(Formula(name(letter)))
    return tuple(spans)


def corrections(theorems: Sequence[Any]) -> list[Block]:
    """What the claims got wrong or left out."""
    rows = [(theorem, text) for theorem in theorems for text in paragraphs(theorem.corrections)]
    if not rows:
        return []
    items = tuple((Link(theorem.name, theorem.name), Words(": "), *prose(text)) for theorem, text in rows)
    return [
        Heading(1, words("What was corrected"), "corrections"),
        Paragraph(
            words("Claims that are false as they are usually stated, or that need a condition, stand here as the theorems have them.")
        ),
        Steps(items, numbered=False),
    ]

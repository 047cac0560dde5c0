"""Refutations in words and grids: kernels, an input, both outputs side by side, and why no kernel helps.

Owns: `witness_blocks`. Must not know: widths, colours, how a witness was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from symconv.report.extents import extents_text
from symconv.report.numbers import approximately, number
from symconv.report.page import Block, Fact, Facts, Grid, Grids, Picture, Prose

Json = Mapping[str, Any]
Index = tuple[int, ...]

SIDES = ("left", "right")
MOST_ENTRIES = 6
MOST_ROWS, MOST_COLUMNS = 12, 12
MOST_TERMS = 4


def witness_blocks(witness: Json) -> tuple[Block, ...]:
    """The blocks that show a witness: of kind `shapes`, `kernel` (two classes) or `input` (two functions)."""
    if witness["kind"] == "shapes":
        return (Facts(_shapes(witness)),)
    if witness["kind"] == "input":
        return (Facts(_values(witness)),)
    rows = [Fact("extent", extents_text(witness["extents"]))]
    for side in SIDES:
        kernel = witness[f"{side}_kernel"]
        rows.append(Fact(f"{side} kernel", "none: one fixed function" if kernel is None else _kernel(kernel)))
    rows.append(Fact("input", _entries(witness["input"]["entries"], "x")))
    return (Facts(tuple(rows)), *_outputs(witness), *_reason(witness))


def _shapes(witness: Json) -> tuple[Fact, ...]:
    rows = [Fact("input", f"extent {extents_text(witness['extents'])}")] if witness["extents"] else []
    for side, place_of in zip(SIDES, (0, 1), strict=True):
        shape = witness.get(f"{side}_shape") or [witness["channels"][place_of]]
        channels = f"{shape[0]} channel{'' if shape[0] == 1 else 's'}"
        rows.append(Fact(f"{side} output", channels + (f" of extent {extents_text(shape[1:])}" if shape[1:] else "")))
    return tuple(rows)


def _values(witness: Json) -> tuple[Fact, ...]:
    """One input on which two weighted layers part, and what each gives there."""
    at = place("y", witness["at"])
    values = [Fraction(witness[f"{side}_value"]) for side in SIDES]
    radius = Fraction(witness.get("radius", "0"))
    return (
        Fact("extent", extents_text(witness["extents"])),
        Fact("input", _entries(witness["input"]["entries"], "x")),
        *(Fact(f"{side} output", f"{at} = {number(value)}") for side, value in zip(SIDES, values, strict=True)),
        Fact("difference", number(values[0] - values[1])),
        *([Fact("within", f"{approximately(radius, 2)} of each value")] if radius else []),
    )


def place(name: str, index: Sequence[int]) -> str:
    """y[0,1], without blanks so that no line breaks inside."""
    return f"{name}[{','.join(map(str, index))}]"


def _kernel(kernel: Json) -> str:
    """The entries that are not zero, in PyTorch's layout."""
    listed = [_entries(kernel[key], name, rest=False) for key, name in (("entries", "weight"), ("bias", "bias")) if kernel[key]]
    return f"{', '.join(listed)}; all else 0" if listed else "all zero"


def _entries(entries: Sequence[Any], name: str, rest: bool = True) -> str:
    if not entries:
        return "all zero"
    shown = [f"{place(name, index)} = {value}" for index, value in entries[:MOST_ENTRIES]]
    if len(entries) > MOST_ENTRIES:
        shown.append(f"{len(entries) - MOST_ENTRIES} more")
    return ", ".join(shown) + ("; all else 0" if rest else "")


def _outputs(witness: Json) -> list[Block]:
    """Both outputs of the channel in which they part, samples that differ in brackets."""
    at = tuple(witness["at"])
    outputs = [witness[f"{side}_output"] for side in SIDES]
    if any(output is None for output in outputs):
        return [Prose(f"The outputs part at {place('y', at)}; they are too large to print.")]
    tables = [{tuple(index): str(value) for index, value in output["entries"]} for output in outputs]
    differing = {index for index in tables[0].keys() | tables[1].keys() if tables[0].get(index, "0") != tables[1].get(index, "0")}
    shape = outputs[0]["shape"]
    grids = [Grids(f"{side} output", (_output(table, shape, at, differing),)) for side, table in zip(SIDES, tables, strict=True)]
    return [Picture(tuple(grids))]


def _output(table: Mapping[Index, str], shape: Sequence[int], at: Index, differing: set[Index]) -> Grid:
    """One channel of an output; of a large one the part around `at`; of three axes the slice through `at`."""
    plane = 1 if len(shape) == 2 else 2
    head = at[: len(shape) - plane]
    height, width = (1, shape[-1]) if plane == 1 else (shape[-2], shape[-1])
    rows = _window(height, at[-2] if plane == 2 else 0, MOST_ROWS)
    columns = _window(width, at[-1], MOST_COLUMNS)

    def cell(y: int, x: int) -> str:
        index = (*head, *((x,) if plane == 1 else (y, x)))
        text = table.get(index, "0")
        return f"[{text}]" if index in differing else f" {text} "

    parts = [f"channel {head[0]}"] if shape[0] > 1 else []
    parts += [f"slice {head[1]}"] if len(head) > 1 else []
    parts += [f"rows {rows[0]} to {rows[-1]}"] if len(rows) < height else []
    parts += [f"samples {columns[0]} to {columns[-1]}"] if len(columns) < width else []
    return Grid(", ".join(parts), (tuple(tuple(cell(y, x) for x in columns) for y in rows),))


def _window(extent: int, at: int, most: int) -> range:
    """At most `most` samples around `at`."""
    start = max(0, min(at - most // 2, extent - most))
    return range(start, min(extent, start + most))


def _reason(witness: Json) -> tuple[Block, ...]:
    """The annihilator as a sentence: what always holds for one class, and fails for this kernel of the other."""
    annihilator = witness.get("annihilator")
    kernels = {side: witness.get(f"{side}_kernel") for side in SIDES}
    if all(kernel is None for kernel in kernels.values()):
        return ()  # two functions: the outputs above say it all
    larger = annihilator["sees"] if annihilator else next(side for side in SIDES if kernels[side] is not None)
    smaller = SIDES[1 - SIDES.index(larger)]
    if annihilator is None or kernels[smaller] is None:
        return (Prose(f"The {smaller} layer is one function, and the {larger} layer realises others."),)
    terms = [(term, Fraction(term["coefficient"])) for term in annihilator["terms"]]
    value = Fraction(annihilator["value"])
    sizes = {tuple(term["extents"]) for term in annihilator["terms"]}
    where = f" at extent {extents_text(next(iter(sizes)))}" if len(sizes) == 1 else ""
    law, broken = _law(terms, value, several=len(sizes) > 1)
    return (Prose(f"{law}{where} for every {smaller} kernel, but {broken} for the {larger} kernel above."),)


def _law(terms: Sequence[tuple[Json, Fraction]], value: Fraction, several: bool) -> tuple[str, str]:
    """(what holds for the smaller class, how the larger one breaks it); `several` if the terms stand at several extents."""
    first, c = terms[0]
    if len(terms) == 1:
        return f"{_capital(_entry(first, several))} is 0", f"it is {value / c}"
    if len(terms) == 2 and terms[1][1] == -c:
        return f"{_capital(_entry(first, several))} equals {_entry(terms[1][0], several)}", f"they differ by {abs(value / c)}"
    if len(terms) > MOST_TERMS:
        return f"A combination of {len(terms)} operator entries (the certificate lists it) is 0", f"it is {value}"
    total = " ".join(
        f"{'-' if c < 0 else '+' if k else ''} {_factor(c)}{_short(term, several)}".strip() for k, (term, c) in enumerate(terms)
    )
    meaning = "the constant in y[o]" if first["in"] is None else "the coefficient of x[i] in y[o]"
    letters = "A(o)" if first["in"] is None else "A(o;i)"
    at = f", and {letters[:-1]}@n) for extent n" if several else ""
    return f"Write {letters} for {meaning}{at}. Then {total} is 0", f"it is {value}"


def _factor(c: Fraction) -> str:
    return "" if abs(c) == 1 else f"{abs(c)} "


def _short(term: Json, several: bool) -> str:
    """An entry in symbols: A(0,1;0,0), at extent 2 x 2 A(0,1;0,0@2x2)."""
    parts = [",".join(map(str, term[key])) for key in ("out", "in") if term[key] is not None]
    return f"A({';'.join(parts)}{'@' + 'x'.join(map(str, term['extents'])) if several else ''})"


def _entry(term: Json, several: bool) -> str:
    """An entry of the operator in words."""
    at = f" (extent {extents_text(term['extents'])})" if several else ""
    if term["in"] is None:
        return f"the constant in {place('y', term['out'])}{at}"
    return f"the coefficient of {place('x', term['in'])} in {place('y', term['out'])}{at}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

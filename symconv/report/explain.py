"""The page of an explanation.

Owns: `explain_page`. Must not know: how anything was computed, widths, colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from symconv.report import words
from symconv.report.check import formula_text
from symconv.report.convert import number
from symconv.report.explanation import Explanation
from symconv.report.extents import extents_text
from symconv.report.page import Block, Fact, Facts, Grid, Grids, Lines, Page, Picture, Prose, Section, Table, Tone
from symconv.theory.relation import DomainRelation, Relation

Json = Mapping[str, Any]

MOST_GRIDS = 16
MOST_COMPONENTS = 16
MOST_GAINS = 16
MOST_LISTED = 24


def explain_page(explanation: Explanation) -> Page:
    """The report of one layer."""
    sections = [
        Section("", (Facts(tuple(_facts(explanation))),)),
        *_kernel(explanation),
        *_matrix(explanation),
        *_polyphase(explanation),
        *_checkerboard(explanation),
        *_forms(explanation),
        *_omitted(explanation),
    ]
    return Page(_headline(explanation), Tone.PLAIN, tuple(sections))


def _headline(explanation: Explanation) -> str:
    inward, outward = explanation.channels
    parts = [f"{inward} to {outward} channel{'s' * (outward > 1)}"]
    formulas = list(dict.fromkeys(item["formula"] for item in explanation.extents))
    if formulas:
        parts.append(f"extent n to {' and '.join(formulas)}")
    if explanation.parameters == 0:
        parts.append("no parameters")
    elif explanation.dimension is not None:
        seen = "all" if explanation.dimension == explanation.parameters else str(explanation.dimension)
        parts.append(f"{explanation.parameters} parameters, {seen} of them seen")
    return ", ".join(parts)


def _facts(explanation: Explanation) -> list[Fact]:
    axes = [(item["formula"], item["valid"]) for item in explanation.extents]
    rows = [
        Fact("layer", explanation.layer, is_expression=True),
        Fact("extents", formula_text(axes) if axes else ""),
        Fact("dimension", _dimension(explanation)),
        Fact("dead taps", _dead(explanation.dead_taps)),
        Fact("seen", _seen(explanation.seen)),
        Fact("cost", _cost(explanation)),
    ]
    return [row for row in rows if row.text]


def _dimension(explanation: Explanation) -> str:
    if explanation.parameters == 0:
        return "0 (one function)"
    if explanation.dimension is None:
        return f"not decided; {explanation.parameters} parameters"
    return f"{explanation.dimension} of {explanation.parameters} parameters"


def _dead(taps: Sequence[Sequence[int]] | None) -> str:
    if taps is None:
        return ""
    listed = [f"axis {axis}: {_listed(dead)}" for axis, dead in enumerate(taps) if dead]
    return "; ".join(listed) + ", which no output of any extent depends on" if listed else "none"


def _listed(numbers: Sequence[int]) -> str:
    """0 to 3, 5: runs are drawn together."""
    runs: list[list[int]] = []
    for value in numbers:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    texts = [str(run[0]) if len(run) == 1 else f"{run[0]}, {run[1]}" if len(run) == 2 else f"{run[0]} to {run[-1]}" for run in runs]
    return ", ".join(texts[:MOST_LISTED]) + (", ..." if len(texts) > MOST_LISTED else "")


def _seen(axes: Sequence[Json] | None) -> str:
    """Which taps small extents show."""
    if not axes:
        return ""
    texts = []
    for item in axes:
        parts = [f"extent {row['extent']}: {_those(row['seen'], item['taps'])}" for row in item["extents"]]
        texts.append("; ".join(parts[:4]) + ("; ..." if len(parts) > 4 else ""))
    if len(set(texts)) == 1:
        return texts[0] + (" (every axis)" if len(texts) > 1 else "")
    return "; ".join(f"axis {axis}, {text}" for axis, text in enumerate(texts))


def _those(seen: Sequence[int], taps: int) -> str:
    if len(seen) == taps:
        return "every tap"
    return f"tap{'s' * (len(seen) != 1)} {_listed(seen)}" if seen else "no tap"


def _cost(explanation: Explanation) -> str:
    cost = explanation.cost
    text = f"{number(Fraction(cost['per_input_sample']))} multiplications for each input sample"
    if cost["per_output_sample"] is not None:
        text += f", {number(Fraction(cost['per_output_sample']))} for each output sample"
    return text + " (all channels together, away from the borders)"


def _kernel(explanation: Explanation) -> list[Section]:
    """The names of the taps, as kernels."""
    taps = explanation.taps
    if taps is None or not _has_letters(taps) or len(taps["kernels"]) > MOST_GRIDS:
        return []
    many = len(taps["kernels"]) > 1
    grids = tuple(_named_grid(taps["shape"], item, many) for item in taps["kernels"])
    return [Section("Taps of one channel pair", (Picture((Grids("kernel", grids),)),))]


def _has_letters(taps: Json) -> bool:
    return all(len(name) == 1 for item in taps["kernels"] for _, name in item["names"])


def _named_grid(shape: Sequence[int], kernel: Json, many: bool) -> Grid:
    names = {tuple(tap): name for tap, name in kernel["names"]}
    depth, height, width = (1,) * (3 - len(shape)) + tuple(shape)
    plane = [tuple(tuple(names[(z, y, x)[3 - len(shape) :]] for x in range(width)) for y in range(height)) for z in range(depth)]
    return Grid(f"output {kernel['output']}, input {kernel['input']}" if many else "", tuple(plane))


def _matrix(explanation: Explanation) -> list[Section]:
    found = explanation.matrix
    if found is None:
        return []
    rows, columns = list(_indices(found["out_shape"])), list(_indices(found["in_shape"]))
    cells = {(tuple(o), tuple(i)): text.replace(" ", "") for o, i, text in found["entries"]}
    head = ("", *(_index("x", column, found["in_shape"]) for column in columns))
    body = tuple((_index("y", row, found["out_shape"]), *(cells.get((row, column), ".") for column in columns)) for row in rows)
    title = f"Operator matrix at extent {extents_text(found['extents'])}"
    return [Section(title, (Picture((Grids("one channel pair", (Grid("", ((head, *body),)),)),)),))]


def _indices(shape: Sequence[int]) -> Any:
    import itertools

    return itertools.product(*map(range, shape))


def _index(name: str, index: Sequence[int], shape: Sequence[int]) -> str:
    """y01: without the channel where there is one only, without commas where every extent is below 10."""
    shown = index if shape[0] > 1 else index[1:]
    return name + ("" if max(shape) <= 10 else ",").join(map(str, shown))


def _polyphase(explanation: Explanation) -> list[Section]:
    found = explanation.polyphase
    if found is None:
        return []
    several = [set(found[key]) != {1} or any(item[end][0] for item in found["components"]) for end, key in enumerate(("up", "down"))]
    lines = [f"{_component(o, i, several)} = {text}" for o, i, text in found["components"][:MOST_COMPONENTS]]
    if len(found["components"]) > MOST_COMPONENTS:
        lines.append(f"... {len(found['components']) - MOST_COMPONENTS} more")
    z = "z" if explanation.axes == 1 else f"z{explanation.axes - 1}"
    period = extents_text(found["down"])
    step = "one sample" if set(found["down"]) == {1} else f"one period of {period} samples"
    read = f"{z}^-1 reads {step} earlier" + ("" if explanation.axes == 1 else f" on axis {explanation.axes - 1}")
    return [Section("Polyphase form of the interior", (Prose(f"{_phase_words(found)}; {read}."), Lines(tuple(lines))))]


def _phase_words(found: Json) -> str:
    up, down = found["up"], found["down"]
    if set(up) == {1} and set(down) == {1}:
        return "One phase"
    parts = []
    if set(up) != {1}:
        parts.append(f"E_phi gives the outputs o with o mod {extents_text(up)} = phi")
    if set(down) != {1}:
        parts.append(f"{'E_rho' if set(up) == {1} else 'E_phi,rho'} reads the inputs i with i mod {extents_text(down)} = rho")
    return ", ".join(parts)


def _component(o: Sequence[int], i: Sequence[int], several: Sequence[bool]) -> str:
    parts = ["".join(map(str, _phase(index))) for index, many in ((o, several[0]), (i, several[1])) if many]
    return "E" + ("_" + ",".join(parts) if parts else "")


def _phase(index: Sequence[int]) -> Sequence[Any]:
    """The phase, and before it the channel if it is not channel 0."""
    return [*([f"{index[0]}:"] if index[0] else []), *index[1:]]


def _checkerboard(explanation: Explanation) -> list[Section]:
    if explanation.phases is None or not explanation.upsamples:
        return []
    blocks: list[Block] = [Prose(_overlap(explanation))]
    gains = explanation.constants
    if gains:
        blocks += _gains(gains)
    return [Section("Checkerboard", tuple(blocks))]


def _overlap(explanation: Explanation) -> str:
    counts = list(explanation.phases or ())
    what = "taps" if explanation.parameters else "coefficients"
    shown = [str(axis[0]) if len(set(axis)) == 1 else ", ".join(map(str, axis[:MOST_GAINS])) for axis in counts]
    shown = [text + (", ..." if len(set(axis)) > 1 and len(axis) > MOST_GAINS else "") for text, axis in zip(shown, counts, strict=True)]
    if len(set(shown)) == 1:
        where = shown[0] + (" on every axis" if len(shown) > 1 else "")
    else:
        where = "; ".join(f"{text} on axis {axis}" for axis, text in enumerate(shown))
    if explanation.even_overlap:
        return f"Every output phase has the same number of {what} ({where}), so the overlap is even."
    return f"The output phases have different numbers of {what} ({where}), so the overlap is uneven, which invites a checkerboard."


def _gains(gains: Sequence[Json]) -> list[Block]:
    """The condition under which a constant input gives a constant output."""
    values = list(dict.fromkeys(item["gain"] for item in gains))
    if len(values) == 1:
        return [Prose(f"A constant input always gives a constant output: every phase sums to {values[0]}.")]
    if all(_is_number(value) for value in values):
        return [Prose(f"A constant input gives different values by phase: {', '.join(values[:MOST_GAINS])}.")]
    lines = [f"{'  ' if k == 0 else '= '}{value.replace(' ', '')}" for k, value in enumerate(values[:MOST_GAINS])]
    if len(values) > MOST_GAINS:
        lines.append(f"... {len(values) - MOST_GAINS} more")
    return [Prose("A constant input gives a constant output exactly if the taps of every phase have the same sum:"), Lines(tuple(lines))]


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace("/", "").isdigit()


def _forms(explanation: Explanation) -> list[Section]:
    """The forms that there are, then those that there are not, by reason."""
    found = [item for item in explanation.forms if item["target"] is not None]
    refused: dict[str, list[str]] = {}
    for item in explanation.forms:
        if item["target"] is None:
            refused.setdefault(_reason(item), []).append(item["to"])
    rows = [(item["to"], item["target"], _relation(item)) for item in found]
    facts = tuple(Fact(", ".join(forms), reason) for reason, forms in refused.items() if reason.startswith("no:"))
    blocks: list[Block] = [Table(("form", "layer", "relation"), tuple(rows))] if rows else []
    blocks += [Lines(tuple(f"{fact.label}: {fact.text}" for fact in facts))] if facts else []
    return [Section("Other forms", tuple(blocks))] if blocks else []


def _relation(item: Json) -> str:
    if item["target"] is None:
        return ""
    text = "can do more" if item["relation"] == Relation.LEFT_IN_RIGHT.value else words.RELATION[Relation(item["relation"])]
    wider = item["domain"] not in (None, DomainRelation.SAME.value)
    return text + (f", domain {words.DOMAIN[DomainRelation(item['domain'])]}" if wider else "")


def _reason(item: Json) -> str:
    return str(item["reason"] or "").split("; the closest candidate", 1)[0]


def _omitted(explanation: Explanation) -> list[Section]:
    if not explanation.omitted:
        return []
    return [Section("Left out", (Facts(tuple(Fact(part, reason) for part, reason in explanation.omitted.items())),))]

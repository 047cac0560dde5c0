"""The page of a model's layers.

Owns: `model_page`. Must not know: how anything was computed, widths, colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from symconv.report import words
from symconv.report.check import formula_text
from symconv.report.convert import number
from symconv.report.model_layers import Equivalent, ModelExplanation, ModelLayer
from symconv.report.page import Fact, Facts, Page, Section, Table, Tone
from symconv.theory.relation import DomainRelation, Relation

DIRECTION = {"up": "upsamples", "down": "downsamples", "": "keeps its rate"}


def model_page(found: ModelExplanation) -> Page:
    """The report of one model: an overview, then each different layer with its other forms."""
    read = [layer for layer in found.layers if layer.layer is not None]
    sections = [Section("", (Facts(tuple(_facts(found))),))]
    if read:
        sections.append(Section("Layers that change extents", (_overview(read),)))
    for group in _groups(read):
        sections.append(_section(group))
    unread = [layer for layer in found.layers if layer.layer is None]
    if unread:
        sections.append(Section("Not read", (Facts(tuple(Fact(layer.name, layer.reason) for layer in unread)),)))
    return Page(_headline(found), Tone.PLAIN, tuple(sections))


def _headline(found: ModelExplanation) -> str:
    counts = {key: sum(layer.layer is not None and layer.direction == key for layer in found.layers) for key in DIRECTION}
    unread = sum(layer.layer is None for layer in found.layers)
    parts = [f"{counts[key]} {word} layer{'s' * (counts[key] != 1)}" for key, word in (("up", "upsampling"), ("down", "downsampling"))]
    text = " and ".join(parts) + f" among {found.nodes} node{'s' * (found.nodes != 1)}"
    return text + (f"; {unread} more not read" if unread else "")


def _facts(found: ModelExplanation) -> list[Fact]:
    rows = [
        Fact("model", found.model),
        Fact("opset", str(found.opset)),
        Fact("inputs", "\n".join(f"{name} {shape}" for name, shape in found.inputs)),
        Fact("outputs", "\n".join(f"{name} {shape}" for name, shape in found.outputs)),
    ]
    if found.overridable:
        rows.append(Fact("assumes", f"inputs with defaults are read at their defaults: {', '.join(found.overridable[:8])}"))
    return rows


def _overview(layers: Sequence[ModelLayer]) -> Table:
    rows = tuple(
        (layer.name, " ".join(layer.operators), _extents(layer), _count(layer.multiplications), _others(layer)) for layer in layers
    )
    return Table(("node", "operators", "extents", "multiplications", "other forms"), rows, frozenset({3}))


def _extents(layer: ModelLayer) -> str:
    return ", ".join(dict.fromkeys(formula for formula, _ in layer.extents))


def _count(text: str | None) -> str:
    return "" if text is None else number(Fraction(text))


def _others(layer: ModelLayer) -> str:
    """The forms that there are."""
    return ", ".join(form.to for form in layer.forms if form.target is not None) or "none"


def _groups(layers: Sequence[ModelLayer]) -> list[list[ModelLayer]]:
    """Layers with the same description together."""
    groups: dict[tuple[str | None, object], list[ModelLayer]] = {}
    for layer in layers:
        groups.setdefault((layer.layer, (layer.channels, layer.fixed)), []).append(layer)
    return list(groups.values())


def _section(group: Sequence[ModelLayer]) -> Section:
    layer = group[0]
    channels = "" if layer.channels is None else f"{layer.channels[0]} to {layer.channels[1]} channels, "
    rows = [Fact("layer", layer.layer or "", is_expression=True)]
    if layer.reason:
        rows.append(Fact("left out", layer.reason))
        return Section(_names(group), (Facts(tuple(rows)),))
    rows.append(Fact("extents", f"{channels}{formula_text(list(layer.extents))}"))
    if any(extent is not None for extent in layer.fixed):
        at = ", ".join("any" if extent is None else str(extent) for extent in layer.fixed)
        rows.append(Fact("only at", f"{at}: the model fixes these input extents, and at others it is no such layer"))
    rows.append(Fact("cost", f"{_count(layer.multiplications)} multiplications for each input sample, {layer.parameters} parameters"))
    for form in layer.forms:
        if form.target is not None:
            rows.append(Fact(form.to, form.target, is_expression=True))
            rows.append(Fact("", f"{_relation(form)}; {_count(form.multiplications)} multiplications, {form.parameters} parameters"))
    refused: dict[str, list[str]] = {}
    for form in layer.forms:
        if form.target is None and form.reason:
            refused.setdefault(form.reason, []).append(form.to)
    rows += [Fact(", ".join(forms), reason) for reason, forms in refused.items()]
    return Section(_names(group), (Facts(tuple(rows)),))


def _names(group: Sequence[ModelLayer]) -> str:
    names = [member.name for member in group]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _relation(form: Equivalent) -> str:
    text = (
        "can do more"
        if form.relation == Relation.LEFT_IN_RIGHT.value
        else words.RELATION[Relation(form.relation or Relation.UNKNOWN.value)]
    )
    return text + ("" if form.domain in (None, DomainRelation.SAME.value) else f", domain {words.DOMAIN[DomainRelation(form.domain)]}")

"""The page of a converted module: a table of what changed, then each rewriting once, then what did not change and why.

Owns: `module_page`. Must not know: widths, colours, exit codes, torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from symconv.convert.conversion import Conversion
from symconv.report.convert import convert_page, number
from symconv.report.page import Fact, Facts, Lines, Page, Prose, Section, Table, Tone
from symconv.theory.relation import DomainRelation

if TYPE_CHECKING:
    from symconv.convert.torch_modules import LayerChange, ModuleConversion

UNIT = "Multiplications for each sample of the layer's input, all channels together."
STATUS = {"no": "no such form", "refused": "refused", "unknown": "unknown", "left out": "left out"}


def module_page(conversion: ModuleConversion, source: str, saved: str | None = None) -> Page:
    """The report of one converted module; `source` is how it was named, `saved` the file that the certificate was written to."""
    done = conversion.converted
    rows = [
        Fact("module", source),
        Fact("form", conversion.to),
        Fact("parameters", f"{conversion.parameters[0]} before, {conversion.parameters[1]} after"),
    ]
    sections = [Section("", (Facts(tuple(rows)),))]
    if done:
        sections.append(Section("What changes", (Prose(UNIT), _changes(done))))
        sections += _rewritings(done, saved)
    rest = [layer for layer in conversion.layers if layer not in done]
    sections += [Section(f"{shown(layer)} stays as it is", (Facts(_stays(layer)),)) for layer in rest]
    assumptions = list(dict.fromkeys(text for layer in done for text in layer.assumptions))
    if assumptions:
        sections.append(Section("Assumes", (Lines(tuple(f"- {text}" for text in assumptions)),)))
    return Page(_headline(conversion), _tone(conversion), tuple(sections))


def _headline(conversion: ModuleConversion) -> str:
    if not conversion.layers:
        return f"nothing to convert: no layer of the module is one that {conversion.to} replaces"
    done, count = len(conversion.converted), len(conversion.layers)
    narrow = any(layer.conversion is not None and _extents(layer.conversion) for layer in conversion.converted)
    return f"{done} of {count} layer{'s' * (count > 1)} converted to {conversion.to}{', which takes fewer extents' if narrow else ''}"


def _tone(conversion: ModuleConversion) -> Tone:
    if len(conversion.converted) == len(conversion.layers):
        return Tone.PROVED if conversion.layers else Tone.PLAIN
    return Tone.REFUTED if any(layer.status in ("no", "refused") for layer in conversion.layers) else Tone.OPEN


def _changes(layers: Iterable[LayerChange]) -> Table:
    rows = []
    for layer in layers:
        decided = layer.conversion
        assert decided is not None and decided.after is not None, "a converted layer was decided"
        costs = [number(cost.multiplications) for cost in (decided.before, decided.after)]
        sizes = [str(cost.parameters) for cost in (decided.before, decided.after)]
        weights = "moved" if layer.exact else "added up"
        rows.append((shown(layer), *costs, *sizes, weights))
    return Table(("layer", "mult.", "after", "param.", "after", "weights"), tuple(rows), frozenset({1, 2, 3, 4}))


def _rewritings(layers: Sequence[LayerChange], saved: str | None) -> list[Section]:
    """Each distinct rewriting with the layers that it serves; if there is only one, with all its details."""
    groups: dict[int, list[LayerChange]] = {}
    for layer in layers:
        groups.setdefault(id(layer.conversion), []).append(layer)
    if len(groups) == 1:
        decided = layers[0].conversion
        assert decided is not None, "a converted layer was decided"
        page = convert_page(decided, saved)
        return [Section("The rewriting", page.sections[0].blocks), *page.sections[1:]]
    return [Section(", ".join(map(shown, group)), (Facts(tuple(_rewriting(group))),)) for group in groups.values()]


def _rewriting(group: Sequence[LayerChange]) -> list[Fact]:
    decided = group[0].conversion
    assert decided is not None and decided.target is not None and decided.verdict is not None, "a converted layer was decided"
    trust = decided.verdict.trust
    return [
        Fact("given", decided.source, is_expression=True),
        Fact("converted", decided.target, is_expression=True),
        Fact("proof", f"{'' if trust is None else trust.value}, for every kernel, input and extent{_extents(decided)}"),
        *(Fact("note", note) for note in decided.notes if "takes extents" in note or "rejects extents" in note),
    ]


def _extents(decided: Conversion) -> str:
    domain = None if decided.verdict is None else decided.verdict.domain
    return "" if domain in (DomainRelation.SAME, DomainRelation.RIGHT_WIDER) else " that both accept"


def _stays(layer: LayerChange) -> tuple[Fact, ...]:
    reason = (layer.reason or "").split("; the closest candidate", 1)[0].removeprefix("because ")
    return Fact("given", layer.before, is_expression=True), Fact(STATUS[layer.status], reason)


def shown(layer: LayerChange) -> str:
    """The layer's name, for people."""
    return layer.name or "the module"

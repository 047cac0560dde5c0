"""The page and the JSON object of a verification.

Owns: `verify_page`, `verify_record`. Must not know: how certificates are checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from symconv import layers
from symconv.api import Verification
from symconv.errors import SymconvError
from symconv.layers.expression import format_layer
from symconv.report import words
from symconv.report.page import Fact, Facts, Page, Section, Table, Tone
from symconv.theory.relation import Relation

SCHEMA = "symconv.verify/1"


@attrs.frozen
class Checked:
    """One certificate file, its object, and what the checker says of it."""

    path: str
    record: Mapping[str, Any]
    result: Verification

    def layer(self, side: str) -> str:
        """The left or the right network as an expression; empty if the record cannot be read as one."""
        try:
            chain = layers.Sequential(tuple(_layer(item) for item in self.record[side]))
            return format_layer(chain, self.record["axes"])
        except (SymconvError, KeyError, TypeError, AttributeError, ValueError):
            return ""

    @property
    def relation(self) -> str:
        """The claim's relation in words; of a rejected one nothing is known."""
        claim = self.result.claim or {}
        return words.RELATION[Relation(claim["relation"])] if "relation" in claim else ""


def _layer(record: Mapping[str, Any]) -> layers.Layer:
    fields = {name: _tuples(value) for name, value in record.items() if name != "type"}
    layer = getattr(layers, record["type"])(**fields)
    if not isinstance(layer, layers.Layer):
        raise TypeError(record["type"])
    return layer


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def verify_record(checked: Sequence[Checked]) -> dict[str, Any]:
    """The JSON object, schema symconv.verify/1."""
    results = [
        {
            "certificate": item.path,
            "accepted": item.result.accepted,
            "reason": item.result.reason or None,
            "place": item.result.place or None,
            "claim": item.result.claim,
        }
        for item in checked
    ]
    return {"schema": SCHEMA, "accepted": all(item.result.accepted for item in checked), "results": results}


def verify_page(checked: Sequence[Checked]) -> Page:
    """One certificate with its claim, or a table of several."""
    rejected = [item for item in checked if not item.result.accepted]
    tone = Tone.REFUTED if rejected else Tone.PROVED
    if len(checked) == 1:
        return Page(_headline(checked[0]), tone, (Section("", (Facts(_facts(checked[0])),)),))
    rows = tuple((item.path, "accepted" if item.result.accepted else "rejected", item.relation or item.result.reason) for item in checked)
    head = f"{len(checked) - len(rejected)} of {len(checked)} certificates accepted"
    return Page(head, tone, (Section("", (Table(("certificate", "checker", "claim"), rows),)),))


def _headline(item: Checked) -> str:
    if item.result.accepted:
        return f"accepted: {item.relation}"
    return f"rejected: {item.result.reason}"


def _facts(item: Checked) -> tuple[Fact, ...]:
    rows = [Fact("certificate", item.path)]
    rows += [Fact(side, item.layer(side), is_expression=True) for side in ("left", "right")]
    if not item.result.accepted:
        rows.append(Fact("place", item.result.place))
        return tuple(row for row in rows if row.text)
    claim = item.result.claim or {}
    rows.append(Fact("relation", item.relation))
    for key, label in (("linear_relation", "without bias"), ("interior_relation", "interior")):
        if claim.get(key) not in (None, claim.get("relation")):
            rows.append(Fact(label, words.RELATION[Relation(claim[key])]))
    domain, dimension = claim.get("domain") or {}, claim.get("dimension")
    rows.append(Fact("domain", str(domain.get("relation", "")).replace("_", " ")))
    if dimension:
        shared = dimension["intersection"]
        text = f"left {dimension['left']}, right {dimension['right']}, intersection {'empty' if shared is None else shared}"
        rows.append(Fact("dimension", text))
    return tuple(row for row in rows if row.text)

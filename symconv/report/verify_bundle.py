"""The page and the JSON object of a bundle's verification.

Owns: `bundle_page`, `bundle_record`. Must not know: how bundles are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symconv.report.page import Fact, Facts, Lines, Page, Prose, Section, Tone

if TYPE_CHECKING:
    from symconv.conformance.bundle import BundleResult

SCHEMA = "symconv.verify-bundle/1"
ESTABLISHED = (
    "The checker accepts every certificate; the layers that the two models hold are those of the certificates, at all extents; the weights "
    "are the original ones, moved as the certificates say, bit for bit; everything else in the two models is the same, byte for byte. So "
    "both compute the same function, up to the rounding of their runtimes."
)


def bundle_record(bundle: Mapping[str, Any], result: BundleResult, paths: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object."""
    return {
        "schema": SCHEMA,
        **paths,
        "accepted": result.accepted,
        "reason": result.reason or None,
        "place": result.place or None,
        "layers": [layer["name"] for layer in bundle["layers"]],
        "certificates": result.certificates,
        "notes": list(result.notes),
    }


def bundle_page(bundle: Mapping[str, Any], result: BundleResult, paths: Mapping[str, str]) -> Page:
    """The report: accepted, and what that says; or the first place where the bundle does not hold."""
    rows = [Fact(label, paths[label]) for label in ("bundle", "model", "original")]
    rows.append(Fact("layers", f"{result.layers}, with {result.certificates} different certificates" if result.layers else "none"))
    if not result.accepted:
        rows.append(Fact("place", result.place))
        return Page(f"rejected: {result.reason}", Tone.REFUTED, (Section("", (Facts(tuple(rows)),)),))
    sections = [Section("", (Facts(tuple(rows)),)), Section("What holds", (Prose(ESTABLISHED),))]
    if result.notes:
        sections.append(Section("Notes", (Lines(tuple(f"- {note}" for note in result.notes)),)))
    head = (
        f"accepted: {result.layers} layers rewritten, on common extents" if result.notes else f"accepted: {result.layers} layers rewritten"
    )
    return Page(head.replace("1 layers", "1 layer") if result.layers == 1 else head, Tone.PROVED, tuple(sections))

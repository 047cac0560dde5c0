"""Layers with what they are the same as: real layers and random ones with their converted forms.

Owns: `equivalents`, `random_pairs`. Must not know: torch, terminals.
"""

from __future__ import annotations

from collections.abc import Iterator

from symconv.conformance.random_layers import random_layers
from symconv.conformance.real_layers import RealLayer
from symconv.convert.forms import FORMS
from symconv.convert.layer import convert_layer
from symconv.errors import LayerError
from symconv.frontends.text import parse
from symconv.layers import Layer

SANE = 16
"""A form that needs more than this many times the multiplications of the layer is left out."""


def equivalents(real: RealLayer) -> list[tuple[str, Layer]]:
    """(form, layer) of everything that a real layer is compared with; forms that it does not have are left out."""
    found: list[tuple[str, Layer]] = []
    for form in real.forms:
        if form not in FORMS:
            found.append((form, parse(form)))
            continue
        answer = convert_layer(real.layer, form, presburger=False)
        if answer.target_layer is None or answer.after is None or answer.target_layer == real.layer:
            continue
        if answer.after.multiplications <= SANE * answer.before.multiplications:
            found.append((form, answer.target_layer))
    return found


def random_pairs(seed: int, axes: tuple[int, ...] = (1, 2, 3)) -> Iterator[tuple[Layer, Layer]]:
    """An endless row of (layer, equivalent layer), the same for the same seed."""
    for text, form in random_layers(seed, axes):
        try:
            source = parse(text)
            target = convert_layer(source, form, presburger=False, check=False).target_layer
        except LayerError:
            continue
        if target is not None and target != source:
            yield source, target

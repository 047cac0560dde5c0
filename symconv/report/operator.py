"""One channel pair's operator with named taps: matrix at small extents, taps seen there, polyphase form, phases.

Owns: `tap_names`, `matrix`, `seen_taps`, `polyphase_form`, `phase_taps`, `constant_gains`. Must not know: layout.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from symconv.errors import OutsideFragment, UsageError
from symconv.layers import BatchNorm, Conv, ConvTranspose
from symconv.operators.domain import Domain
from symconv.operators.wiring import is_parametric
from symconv.report.extents import domain_text, extents_text
from symconv.report.reduced import Chain, Reduced, one_axis

LETTERS = string.ascii_lowercase + string.ascii_uppercase
MOST_ROWS, WIDEST = 24, 76
MOST_WORK = 200_000
MOST_TERMS = 1024
MOST_COMPONENTS = 64
MOST_EXTENTS = 12

Index = tuple[int, ...]
Json = dict[str, Any]
Names = Mapping[Index, str]
"""(p, q, taps...) of every tap to its name: p output channel, q input channel."""


def kernel_of(chain: Chain) -> Index:
    """Taps per axis of the layer with parameters; empty if there is none."""
    layer = next((item for item in chain if is_parametric(item)), None)
    if isinstance(layer, (Conv, ConvTranspose)):
        return layer.kernel
    return (1,) * layer.spatial_axes if isinstance(layer, BatchNorm) else ()


def tap_names(reduced: Reduced) -> dict[Index, str]:
    """A letter for every tap, kernel by kernel; w[p,q,j] where letters do not suffice."""
    layer = next((item for item in reduced.chain if is_parametric(item)), None)
    kernel = kernel_of(reduced.chain)
    if isinstance(layer, (Conv, ConvTranspose)):
        pairs = itertools.product(range(layer.out_channels), range(layer.in_channels))
    elif isinstance(layer, BatchNorm):
        pairs = itertools.product(range(layer.num_features), range(1))
    else:
        return {}
    if math.prod(layer.channels) * math.prod(kernel) > MOST_TERMS:
        raise OutsideFragment("the kernel of one channel pair is too large to show")
    taps = [(*pair, *tap) for pair in pairs for tap in itertools.product(*map(range, kernel))]
    if len(taps) <= len(LETTERS):
        return dict(zip(taps, LETTERS, strict=False))
    many = len({tap[:2] for tap in taps}) > 1
    return {tap: f"w[{','.join(map(str, tap if many else tap[2:]))}]" for tap in taps}


def _place(reduced: Reduced, param: Sequence[Any]) -> Index:
    """(p, q, taps...) of a parameter ("w", *index) in PyTorch's layout."""
    index = tuple(int(item) for item in param[1:])
    if any(isinstance(item, ConvTranspose) for item in reduced.chain):
        return (index[1], index[0], *index[2:])
    if any(isinstance(item, BatchNorm) for item in reduced.chain):
        return (index[0], 0, *(0,) * len(kernel_of(reduced.chain)))
    return index


def _form(reduced: Reduced, names: Names, form: Mapping[Any, Any]) -> str:
    """A linear form in named taps: a, 3/4a + 1/4b, 1/2."""
    return joined((Fraction(c), "" if param is None else names[_place(reduced, param)]) for param, c in form.items())


def joined(terms: Any) -> str:
    """(coefficient, name) pairs as a sum; an empty name stands for 1, an empty sum is 0."""
    text = ""
    for c, name in terms:
        sign = (" - " if c < 0 else " + ") if text else ("-" if c < 0 else "")
        size = str(abs(c)) if abs(c) != 1 or not name else ""
        text += sign + (f"{size} {name}" if size and name else size + name)
    return text or "0"


def matrix(reduced: Reduced, names: Names, extents: Sequence[int]) -> Json:
    """The operator matrix at given extents: entries [output index, input index, linear form in named taps].

    Raises:
        UsageError: the layer rejects these extents.
        OutsideFragment: the matrix is too large to show.
    """
    from symconv.operators.denote import ExtentRejected, denote

    work = reduced.channels * math.prod(extents) * max(1, len(names))
    if work > MOST_WORK:
        raise OutsideFragment(f"the operator matrix at extents {extents_text(extents)} is too large to show")
    try:
        table = denote(reduced.chain, reduced.channels, tuple(extents))
    except ExtentRejected as error:
        raise UsageError(f"`--extents` {extents_text(extents)} is not valid for the layer: {error.reason} (axis {error.axis}).") from None
    entries = [[list(o), list(i), _form(reduced, names, form)] for o, row in table.entries.items() for i, form in sorted(row.items())]
    return {"extents": list(extents), "in_shape": list(table.in_shape), "out_shape": list(table.out_shape), "entries": entries}


def seen_taps(reduced: Reduced, axis: int, valid: Domain, dead: int) -> Json | None:
    """Which taps of one axis are seen at its smallest extents, up to the one that shows all but the `dead` ones."""
    from symconv.operators.denote import denote

    part = one_axis(reduced, axis)
    if part is None or not kernel_of(part.chain):
        return None
    taps = kernel_of(part.chain)[0]
    rows: list[Json] = []
    for n in itertools.islice(valid.members(), MOST_EXTENTS):
        if n * taps * part.channels > MOST_WORK:
            break
        table = denote(part.chain, part.channels, (n,))
        params = {p for row in table.entries.values() for form in row.values() for p in form if p is not None}
        seen = sorted({_place(part, p)[2] for p in params})
        rows.append({"extent": n, "seen": seen})
        if len(seen) >= taps - dead:
            break
    return {"axis": axis, "taps": taps, "extents": rows}


def polyphase_form(reduced: Reduced, names: Names, axes: int) -> Json:
    """The interior operator by phases: components [(channel, phase), (channel, phase), Laurent polynomial].

    Raises:
        OutsideFragment: it has none, or is too large to show.
    """
    from symconv.operators.symbolic import polyphase

    _refuse_large(reduced, axes)
    found = polyphase(reduced.chain, reduced.channels, axes)
    components = [[list(o), list(i), _laurent(reduced, names, terms(e), axes)] for (o, i), e in sorted(found.components.items())]
    return {"up": list(found.up), "down": list(found.down), "components": components}


def phase_taps(reduced: Reduced, axes: int) -> list[list[int]]:
    """Per axis: how many taps (or fixed coefficients) each output phase of the interior has.

    Raises:
        OutsideFragment: the axes do not come apart, or the layer has no interior form.
    """
    from symconv.operators.symbolic import polyphase

    out = []
    for axis in range(axes):
        part = one_axis(reduced, axis)
        if part is None:
            raise OutsideFragment("the axes do not come apart")
        _refuse_large(part, 1, most=MOST_WORK)
        found = polyphase(part.chain, part.channels, 1)
        counts = [0] * found.up[0]
        for (o, _), e in found.components.items():
            if o[0] == 0:
                counts[o[1]] += len(terms(e))
        out.append(counts)
    return out


def constant_gains(reduced: Reduced, names: Names, axes: int) -> list[Json]:
    """What each output phase of channel 0 gives for an input of ones: a sum of named taps, or a number.

    Raises:
        OutsideFragment: the layer has no interior form, or is too large to show.
    """
    from symconv.operators.symbolic import polyphase

    _refuse_large(reduced, axes)
    found = polyphase(reduced.chain, reduced.channels, axes)
    sums: dict[Index, dict[str, Fraction]] = {phase: {} for phase in itertools.product(*map(range, found.up))}
    for (o, _), e in found.components.items():
        if o[0] == 0:
            total = sums[o[1:]]
            for c, name, _ in (_read(reduced, names, term) for term in terms(e)):
                total[name] = total.get(name, Fraction(0)) + c
    return [{"phase": list(phase), "gain": joined((c, name) for name, c in sorted(total.items()) if c)} for phase, total in sums.items()]


def _refuse_large(reduced: Reduced, axes: int, most: int = MOST_TERMS) -> None:
    """Raises OutsideFragment before symbols are made of a layer with too many taps or phases."""
    size = 1
    for layer in reduced.chain:
        if isinstance(layer, (Conv, ConvTranspose)):
            size *= math.prod(layer.kernel) * layer.in_channels * layer.out_channels
        factor = getattr(layer, "factor", None)
        size *= math.prod(factor) if isinstance(factor, tuple) and not hasattr(layer, "order") else 1
    if size > most:
        raise OutsideFragment("too many taps and phases to show")


def terms(polynomial: Any) -> list[Any]:
    """The summands of a SymPy sum."""
    return list(polynomial.as_ordered_terms())


def _read(reduced: Reduced, names: Names, term: Any) -> tuple[Fraction, str, dict[int, int]]:
    """(coefficient, tap, {axis: power of z}) of a summand."""
    c, name, powers = Fraction(1), "", {}
    for base, power in term.as_powers_dict().items():
        kind, *index = str(base).split("_")
        if kind == "z":
            powers[int(index[0])] = int(power)
        elif kind == "w":
            name = names[_place(reduced, (kind, *map(int, index)))]
        else:
            c *= Fraction(str(base)) ** int(power)
    return c, name, powers


def _laurent(reduced: Reduced, names: Names, summands: Sequence[Any], axes: int) -> str:
    """b + d z^-1; on several axes z0, z1, ..."""
    order = {name: number for number, name in enumerate(names.values())}
    parts = sorted((_read(reduced, names, term) for term in summands), key=lambda item: (order.get(item[1], -1), sorted(item[2].items())))
    return joined((c, " ".join(part for part in (name, _monomial(powers, axes)) if part)) for c, name, powers in parts)


def _monomial(powers: Mapping[int, int], axes: int) -> str:
    shown = [("z" if axes == 1 else f"z{axis}") + ("" if power == 1 else f"^{power}") for axis, power in sorted(powers.items()) if power]
    return " ".join(shown)


def matrix_extents(reduced: Reduced, domains: Sequence[Domain], seen: Sequence[Json | None]) -> tuple[int, ...]:
    """Small extents at which all taps are seen, or the smallest valid ones where that makes too large a matrix.

    Raises:
        OutsideFragment: even those are too large, or no extent is valid.
    """
    least = [valid.first() for valid in domains]
    if any(n is None for n in least):
        raise OutsideFragment(f"no extent is valid: {'; '.join(map(domain_text, domains))}")
    first = tuple(int(n or 1) for n in least)
    full = tuple(
        item["extents"][-1]["extent"] if item and item["extents"] else n for item, n in zip(seen or [None] * len(first), first, strict=True)
    )
    more = tuple(valid.first(n + 1) or n for valid, n in zip(domains, full, strict=True))
    for extents in (more, full, first):
        if _fits(reduced, extents):
            return extents
    raise OutsideFragment("even the smallest operator matrix is too large to show")


def _fits(reduced: Reduced, extents: tuple[int, ...]) -> bool:
    from symconv.layers import channels_through
    from symconv.operators.denote import output_extents

    rows = channels_through(reduced.chain, reduced.channels)[-1] * math.prod(output_extents(reduced.chain, extents))
    columns = reduced.channels * math.prod(extents)
    cell = max(1 + len(extents) + (reduced.channels > 1), 1 if kernel_of(reduced.chain) else 5)
    return rows <= MOST_ROWS and (columns + 1) * (cell + 1) <= WIDEST

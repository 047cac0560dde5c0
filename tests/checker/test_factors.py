"""A part without flat is the tensor product of its blocks: their rows multiply to those of the whole chain."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from checker import pairs
from checker.test_rows import flat_reader

from symconv.checker.blocks import terms
from symconv.checker.faults import Budget
from symconv.checker.grammar import certificate
from symconv.checker.rows import Side
from symconv.checker.stages import View


def product_row(view: View, extents: tuple[int | None, ...], out: tuple[int, ...], axes: int) -> dict[Any, dict[Any, Any]]:
    """The product of the blocks' rows at one output index."""
    row: dict[Any, dict[Any, Any]] = {(0,) * (1 + axes): {(0,) * (2 + axes): 1}}
    for k, block in enumerate(view.part["blocks"]):
        reader = view.reader(k)
        part = sum(out[0] // place % radix * place for radix, place in reader.digits["out"])
        factor = reader.row([extents[a] for a in block["axes"]], (part, *(out[1 + a] for a in block["axes"])))
        merged: dict[Any, dict[Any, Any]] = {}
        for (at, form), (at2, form2) in itertools.product(row.items(), factor.items()):
            entry = _put(at, at2, block["axes"], 1)
            for (v, c), (w, x) in itertools.product(form.items(), form2.items()):
                forms = merged.setdefault(entry, {})
                forms[_put(v, w, block["axes"], 2)] = forms.get(_put(v, w, block["axes"], 2), 0) + c * x
        row = merged
    return row


def _put(whole: tuple[int, ...], part: tuple[int, ...], axes: Any, head: int) -> tuple[int, ...]:
    found = list(whole)
    for k in range(head):
        found[k] += part[k]
    for a, value in zip(axes, part[head:], strict=True):
        found[head + a] = value
    return tuple(found)


@pytest.mark.parametrize("seed", range(15))
def test_blocks_multiply_to_the_whole(seed: int) -> None:
    r = random.Random(seed)
    for pair, record in pairs.random_certificates(seed, 5):
        found = certificate(record)
        if "stages" not in found:
            continue
        channels = {"left": found["in_channels"], "right": found["in_channels"]}
        for stage in found["stages"]:
            for name in ("left", "right"):
                layers = [found[name][k] for k in stage[name]]
                counts = [channels[name]]
                for layer in layers:
                    counts.append(layer.channels(counts[-1]))
                channels[name] = counts[-1]
                side = Side(layers, counts, found["axes"])
                for bias, part in ((False, stage["weights"]), (True, stage["bias"])):
                    if part is None or part["flat"] or (bias and not side.bias):
                        continue
                    view, whole = View(part, side, bias, Budget()), flat_reader(side, bias)
                    for extents in [(None,) * found["axes"], *_valid(side, r)]:
                        out = (
                            r.randrange(counts[-1]),
                            *(r.randrange(_rows(chain, n)) for chain, n in zip(side.chains, extents, strict=True)),
                        )
                        one = {at: terms(form) for at, form in whole.row(extents, out).items()}
                        two = {at: terms(form) for at, form in product_row(view, extents, out, found["axes"]).items()}
                        assert _shown(one) == _shown(two), (pair, name, bias, extents, out)


def _rows(chain: Any, n: int | None) -> int:
    return 7 if n is None else int(chain.output(n))


def _shown(row: dict[Any, Any]) -> dict[Any, Any]:
    return {at: form for at, form in row.items() if form}


def _valid(side: Side, r: random.Random) -> list[tuple[int, ...]]:
    choices = [[n for n in range(1, 14) if chain.valid(n)] for chain in side.chains]
    return [tuple(map(r.choice, choices)) for _ in range(3)] if all(choices) else []

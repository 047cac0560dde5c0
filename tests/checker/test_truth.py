"""Accepted claims against brute force: whole chains, all channels at once, rows stacked over many extents."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from checker import pairs
from checker.test_rows import flat_reader

from symconv.checker import check_certificate
from symconv.checker.blocks import rank, terms
from symconv.checker.faults import Budget
from symconv.checker.grammar import certificate
from symconv.checker.rows import Side


def sides_of(record: dict[str, Any]) -> tuple[Side, Side]:
    """Both chains, whole (one stage)."""
    found = certificate(record)
    sides = []
    for name in ("left", "right"):
        counts = [found["in_channels"]]
        for layer in found[name]:
            counts.append(layer.channels(counts[-1]))
        sides.append(Side(found[name], counts, found["axes"]))
    return sides[0], sides[1]


def ranks(sides: tuple[Side, Side], bias: bool, extents: list[tuple[int, ...]]) -> tuple[int, int, int]:
    """Ranks of the left rows, of the right ones and of both together, stacked over the extents."""
    kinds: tuple[set[Any], set[Any], set[Any]] = (set(), set(), set())
    readers = [flat_reader(side, bias) if side.bias or not bias else None for side in sides]
    for extent in extents:
        outs = [range(chain.output(n)) for chain, n in zip(sides[0].chains, extent, strict=True)]
        for out in itertools.product(range(sides[0].channels[-1]), *outs):
            left, right = (reader.row(extent, out) if reader else {} for reader in readers)
            for at in left.keys() | right.keys():
                v, w = terms(left.get(at, {})), terms(right.get(at, {}))
                for kind, form in zip(kinds, (v, w, [((0, *k), c) for k, c in v] + [((1, *k), c) for k, c in w]), strict=True):
                    kind.add(tuple(form))
    left_rank, right_rank, both = (rank(kind, Budget()) for kind in kinds)
    return left_rank, right_rank, both


def expected(sides: tuple[Side, Side], extents: list[tuple[int, ...]]) -> dict[str, Any]:
    """The claim, from the ranks: A lies in B iff B together with A has no larger rank."""
    left, right = sides
    facts = {"linear": ranks(sides, False, extents), "bias": ranks(sides, True, extents)}
    (a, b, ab), (p, q, pq) = facts["linear"], facts["bias"]
    same = ab == a == b == 0 or _equal(sides, extents) if not left.free and not right.free else False
    linear = (
        same if not left.free and not right.free else (ab == b if right.free else a == b == 0),
        same if not left.free and not right.free else (ab == a if left.free else a == b == 0),
    )
    whole = linear[0] and pq == q, linear[1] and pq == p
    dims = (a + p if left.free else 0, b + q if right.free else 0)
    return {"left_in_right": whole[0], "right_in_left": whole[1], "left": dims[0], "right": dims[1], "linear": linear} | (
        {"intersection": a + b - ab + p + q - pq} if left.free and right.free else {}
    )


def _equal(sides: tuple[Side, Side], extents: list[tuple[int, ...]]) -> bool:
    for extent in extents:
        outs = [range(chain.output(n)) for chain, n in zip(sides[0].chains, extent, strict=True)]
        for out in itertools.product(range(sides[0].channels[-1]), *outs):
            rows = [{at: terms(form) for at, form in flat_reader(side, False).row(extent, out).items()} for side in sides]
            if {k: v for k, v in rows[0].items() if v} != {k: v for k, v in rows[1].items() if v}:
                return False
    return True


NAMES = {(True, True): "equal", (True, False): "left_in_right", (False, True): "right_in_left", (False, False): "incomparable"}


def claim_holds(record: dict[str, Any], count: int = 14) -> bool:
    """Whether the relations and dimensions of a certificate of one stage are those of the ranks over `count` extents an axis."""
    sides = sides_of(record)
    axes = zip(*(side.chains for side in sides), strict=True)
    valid = [[n for n in range(1, 40) if all(chain.valid(n) for chain in pair)][:count] for pair in axes]
    valid = [[n] for n in record["extents"]] if "extents" in record else valid
    true, claim = expected(sides, list(itertools.product(*valid))), record["claim"]
    return (
        (claim["left_in_right"], claim["right_in_left"]) == (true["left_in_right"], true["right_in_left"])
        and claim["relation"] == NAMES[true["left_in_right"], true["right_in_left"]]
        and claim["linear_relation"] == NAMES[true["linear"]]
        and all(claim["dimension"][name] == true[name] for name in ("left", "right", "intersection") if name in true)
    )


@pytest.mark.parametrize("seed", range(15))
def test_claims_are_true(seed: int) -> None:
    for pair, record in pairs.random_certificates(1000 + seed, 4):
        if record["axes"] > 1 or len(record.get("stages", ())) != 1 or record["in_channels"] > 4:
            continue
        result = check_certificate(record)
        assert result.accepted, (pair, result)
        assert claim_holds(record), (pair, record["claim"])


def test_rank_is_that_of_numpy() -> None:
    r = random.Random(5)
    for _ in range(200):
        rows, columns, inner = r.randint(1, 7), r.randint(1, 7), r.randint(1, 4)
        matrix = np.array([[r.randint(-3, 3) for _ in range(inner)] for _ in range(rows)]) @ np.array(
            [[r.randint(-3, 3) for _ in range(columns)] for _ in range(inner)]
        )
        forms = [terms({(k,): int(c) for k, c in enumerate(row)}) for row in matrix]
        assert rank(forms, Budget()) == np.linalg.matrix_rank(matrix)

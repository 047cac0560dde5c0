"""A stage: two sides with at most one parametric layer each, compared part by part and block by block, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from .blocks import Outcome, Sample, Table, Ties, check_block
from .extents import check_outputs, common_starts, samples
from .faults import Budget, at, need
from .rows import Reader, Side
from .wires import Digit, Wire, Wiring, digits

Both = tuple[bool, bool]
"""(left in right, right in left)."""
KINDS = (("axis", "axes"), ("in", "in"), ("out", "out"))


class View:
    """A side of a part, split into the part's blocks."""

    def __init__(self, part: dict[str, Any], side: Side, bias: bool, budget: Budget) -> None:
        start = side.tail if bias else 0
        layers, channels = side.layers[start:], side.channels[start:]
        self.part, self.side, self.bias, self.budget = part, side, bias, budget
        self.inside: list[set[Wire]] = [set() for _ in part["blocks"]]
        self.wiring = None if part["flat"] else Wiring(layers, channels, part["in_digits"], part["out_digits"], bias)
        homes = {(kind, k): home for home, block in enumerate(part["blocks"]) for kind, name in KINDS for k in block[name]}
        for wire in self.wiring.wires if self.wiring else ():
            need(sum(kind == "axis" for kind, _ in wire.ends) <= 1, "a digit is tied to two axes, but the part is not flat")
            found = {homes[end] for end in wire.ends}
            need(len(found) == 1, "digits and axes that are tied lie in different blocks")
            self.inside[found.pop()].add(wire)

    def reader(self, k: int) -> Reader:
        """The rows of a block."""
        block, inside, known = self.part["blocks"][k], self.inside[k], dict[str, list[Digit]]()
        for name in ("in", "out"):
            radices = self.part[f"{name}_digits"]
            known[name] = [(radices[at], prod(radices[at + 1 :])) for at in block[name]]
        if self.wiring:
            wires = {"p": self.wiring.p, "q": self.wiring.q}
            known |= {name: [digit for wire, digit in digits(of) if wire in inside] for name, of in wires.items()}
        else:
            weights, channels, tail = self.side.weights, self.side.channels, self.side.tail
            known["p"] = [(channels[tail] if weights else 1, 1)]
            known["q"] = [(channels[tail - 1] // weights.groups if weights and not self.bias else 1, 1)]
        return Reader(self.side, self.bias, block["axes"], known, self.budget)

    def ties(self, k: int) -> list[list[tuple[str, int]]]:
        """Input and output digit of each wire of a block that passes through."""
        return [sorted(wire.ends) for wire in self.inside[k] if {kind for kind, _ in wire.ends} == {"in", "out"}]


class Stage:
    """Two sides with the same output extents at all their common valid extents, or at the given ones, which then alone count."""

    def __init__(self, left: Side, right: Side, budget: Budget, given: Sequence[int] | None = None) -> None:
        self.sides, self.budget, self.given = (left, right), budget, given
        need(left.channels[-1] == right.channels[-1], "output channels differ")
        self.common = [common_starts(*pair, budget) for pair in zip(left.chains, right.chains, strict=True)]
        for axis, (one, other) in enumerate(zip(left.chains, right.chains, strict=True)):
            if given is None:
                check_outputs(one, other, self.common[axis][1])
            else:
                need(one.valid(given[axis]) and other.valid(given[axis]), "the extents are not valid for both")
                need(one.output(given[axis]) == other.output(given[axis]), "output extents differ")

    def check(self, record: dict[str, Any]) -> Established:
        """Everything that the stage's record claims must hold."""
        whole, linear, dimensions = self._combine(record, False)
        plain = all(side.windowed(axis, False) for side in self.sides for axis in range(len(self.common)))
        plain_bias = all(side.windowed(axis, True) for side in self.sides if side.bias for axis in range(len(self.common)))
        flat, flat_bias = record["weights"]["flat"] and not plain, bool(record["bias"] and record["bias"]["flat"] and not plain_bias)
        undecided = self.given is not None or flat or flat_bias
        need((record["interior"] is None) == (undecided or (plain and plain_bias)), "interior is null exactly if it says nothing new")
        interior: Both | None = None if undecided else whole
        if record["interior"] is not None:
            with at("interior"):
                interior, _, _ = self._combine(record["interior"], True)
        return Established(whole, linear, interior, dimensions)

    def _combine(self, record: dict[str, Any], interior: bool) -> tuple[Both, Both, tuple[int, int, int | None]]:
        """Inclusions with biases, without, and the dimensions.

        A product of families lies in another iff it is zero or each factor lies in its counterpart. A fixed side is one function, and
        has no bias; a free side with a bias that shows lies in none without.
        """
        left, right = self.sides
        with at("weights"):
            found = self._part(record["weights"], self.sides, False, interior)
        need((record["bias"] is None) == (not left.bias and not right.bias), "bias is null exactly if no side has one")
        bias = Outcome(0, 0, 0, True, True, 1)
        if record["bias"] is not None:
            with at("bias"):
                bias = self._part(record["bias"], (left if left.bias else right, right if right.bias else left), True, interior)
        zero, shared = found.left == 0 == found.right, left.bias and right.bias
        if left.free or right.free:
            linear = (found.left == 0 or found.forth) if right.free else zero, (found.right == 0 or found.back) if left.free else zero
        else:
            linear = (zero or (found.forth and found.back and found.left != 0 and found.scale == 1),) * 2
        extra = (bias.left if left.bias else 0, bias.right if right.bias else 0)
        whole = linear[0] and (extra[0] == 0 or (shared and bias.forth)), linear[1] and (extra[1] == 0 or (shared and bias.back))
        both: int | None = found.both + (bias.both if shared else 0)
        if not (left.free and right.free):
            both = 0 if whole[int(left.free)] else None
        return whole, linear, (found.left + extra[0] if left.free else 0, found.right + extra[1] if right.free else 0, both)

    def _part(self, part: dict[str, Any], compared: tuple[Side, Side], bias: bool, interior: bool) -> Outcome:
        """All blocks of a part; dimensions are products over them."""
        need(max(len(part["in_digits"]), len(part["out_digits"])) <= 62, "there are too many digits")
        need(prod(part["in_digits"]) == (1 if bias else compared[0].channels[0]), "in_digits do not make up the input channels")
        need(prod(part["out_digits"]) == compared[0].channels[-1], "out_digits do not make up the output channels")
        counts = {"axes": len(self.common), "in": len(part["in_digits"]), "out": len(part["out_digits"])}
        for name, count in counts.items():
            lists = [block[name] for block in part["blocks"]]
            need(sorted(k for indices in lists for k in indices) == list(range(count)), f"the blocks do not partition {name}")
            need(all(list(indices) == sorted(indices) for indices in lists), f"{name} must ascend in every block")
        need(all(block["axes"] or block["in"] or block["out"] for block in part["blocks"]), "a block is empty")
        one = len(part["blocks"]) == 1 and max(counts["in"], counts["out"]) <= 1
        need(one or not part["flat"], "a flat part has one block and one digit for all channels")
        views, found = [View(part, side, bias, self.budget) for side in compared], list[Outcome]()
        for k, block in enumerate(part["blocks"]):
            with at(f"blocks[{k}]"):
                readers = [view.reader(k) for view in views]
                if block["axes"]:
                    taken = [self._samples(axis, compared, bias, interior) for axis in block["axes"]]
                    table: Table | Ties = Table(readers, taken, self.budget)
                else:
                    radices = {(name, at): part[f"{name}_digits"][at] for name in ("in", "out") for at in block[name]}
                    table = Ties(radices, [view.ties(k) for view in views], [side.free for side in compared])
                self._check_places(block)
                found.append(check_block(block, readers, table, interior))
        left, right, both, scale = (prod(getattr(each, name) for each in found) for name in ("left", "right", "both", "scale"))
        return Outcome(left, right, both, all(each.forth for each in found), all(each.back for each in found), scale)

    def _check_places(self, block: dict[str, Any]) -> None:
        """If extents are given, functionals stand there."""
        if self.given is None:
            return
        wanted = tuple(self.given[axis] for axis in block["axes"])
        for name in ("not_forth", "not_back"):
            need(block[name] is None or all(term[0] == wanted for term in block[name]["terms"]), "only the given extents count")

    def _samples(self, axis: int, compared: tuple[Side, Side], bias: bool, interior: bool) -> list[Sample]:
        """Samples on one axis whose rows are all that there are."""
        chain, (period, starts) = self.sides[0].chains[axis], self.common[axis]
        if self.given is not None:
            self.budget.spend(chain.output(self.given[axis]))
            return [(self.given[axis], o) for o in range(chain.output(self.given[axis]))]
        if interior or all(side.windowed(axis, bias) for side in compared):
            shift = chain.shift * (period // chain.period)
            self.budget.spend(shift)
            return [(None, o) for o in range(shift)]
        tails = [(side.chains[axis], side.tail if bias else 0) for side in dict.fromkeys(compared)]
        return list(samples(tails, starts, period, self.budget))


@dataclass(frozen=True)
class Established:
    """What holds of a stage."""

    whole: Both
    linear: Both
    interior: Both | None
    dimensions: tuple[int, int, int | None]

"""Two graphs aligned by structure: which operation of one stands for which of the other.

Owns: `align`, `Alignment`.
Must not know: verdicts. An alignment is a guess that makes the work small; nothing is concluded from it.

Operations with equal numbers come first (they are equal, proved). The others are matched along a canonical order (from the
outputs back through the inputs), first where a key occurs once on each side, then by the longest common run in between;
last, forward and backward, where the operations around two of them are matched already. Names only break ties.
"""

from __future__ import annotations

import bisect
import difflib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import attrs

from symconv.prove.graphs.dataflow import Dataflow, Operation, Value
from symconv.prove.graphs.numbering import Numbering, operation_key

MOST_CELLS = 4_000_000
"""Product of lengths up to which two runs without a unique key are compared."""


@attrs.frozen(eq=False)
class Alignment:
    """Matched operations, and the values that correspond because of it.

    Args:
        left, right: the graphs, live.
        numbers: per side, value to number; values with one number are equal.
        partner: left value to right value, where an input or a matched operation makes them correspond.
        matched: pairs of operations, left ones in order.
        inputs, outputs: the paired inputs and outputs.
    """

    left: Dataflow
    right: Dataflow
    numbers: tuple[Mapping[Value, int], Mapping[Value, int]]
    partner: Mapping[Value, Value]
    matched: tuple[tuple[Operation, Operation], ...]
    inputs: tuple[tuple[Value, Value], ...]
    outputs: tuple[tuple[Value, Value], ...]

    def correspond(self, left: Value, right: Value) -> bool:
        """Whether two values are equal whenever what comes before them is."""
        return self.numbers[0][left] == self.numbers[1][right] or self.partner.get(left) == right


def align(left: Dataflow, right: Dataflow, inputs: Sequence[tuple[Value, Value]], outputs: Sequence[tuple[Value, Value]]) -> Alignment:
    """Aligns two live graphs whose inputs and outputs are paired."""
    return _Aligner(left, right, inputs, outputs).alignment()


class _Aligner:
    """One alignment on its way."""

    def __init__(
        self, left: Dataflow, right: Dataflow, inputs: Sequence[tuple[Value, Value]], outputs: Sequence[tuple[Value, Value]]
    ) -> None:
        self.graphs, self.pairs, self.outputs = (left, right), tuple(inputs), tuple(outputs)
        self.numbering = Numbering()
        stands = [{pair[side]: k for k, pair in enumerate(inputs)} for side in (0, 1)]
        self.numbers = (self.numbering.values(left, stands[0]), self.numbering.values(right, stands[1]))
        self.matched: dict[int, tuple[Operation, Operation]] = {}
        self.taken: set[int] = set()
        self.partner: dict[Value, Value] = dict(inputs)

    def alignment(self) -> Alignment:
        self._match_equal()
        self._match_runs()
        self._match_forward()
        self._match_backward()
        order = {id(operation): place for place, operation in enumerate(self.graphs[0].operations)}
        pairs = sorted(self.matched.values(), key=lambda pair: order[id(pair[0])])
        return Alignment(*self.graphs, self.numbers, self.partner, tuple(pairs), self.pairs, self.outputs)

    def _match(self, left: Operation, right: Operation) -> None:
        self.matched[id(left)] = left, right
        self.taken.add(id(right))
        self.partner.update(zip(left.outputs, right.outputs, strict=True))

    def _match_equal(self) -> None:
        """Operations with equal numbers; several left ones may stand for one right one."""
        known = {self.numbers[1][value]: operation for operation in self.graphs[1].operations for value in operation.outputs[:1]}
        for operation in self.graphs[0].operations:
            if not operation.outputs[0]:
                continue
            found = known.get(self.numbers[0][operation.outputs[0]])
            if found is not None:
                self._match(operation, found)

    def _match_runs(self) -> None:
        keys = []
        shared = frozenset(self.numbers[0].values()) & frozenset(self.numbers[1].values())
        orders = [canonical_order(graph, self.numbers[side], shared) for side, graph in enumerate(self.graphs)]
        equal = {id(a): ("equal", self.numbers[0][a.outputs[0]]) for a, _ in self.matched.values()}
        equal |= {id(b): ("equal", self.numbers[1][b.outputs[0]]) for _, b in self.matched.values()}
        for side, order in enumerate(orders):
            keys.append([equal.get(id(item)) or self._content(item, side) for item in order])
        for a, b in common(*keys):
            one, two = orders[0][a], orders[1][b]
            if id(one) not in self.matched and id(two) not in self.taken and len(one.outputs) == len(two.outputs):
                self._match(one, two)

    def _content(self, operation: Operation, side: int) -> Hashable:
        """What an operation is, constants included, wherever it stands."""
        stretch = operation.stretch
        if operation.impure:
            return ("impure", id(operation))
        if stretch is not None:
            return ("layers", stretch.key)
        graph, numbers = self.graphs[side], self.numbers[side]
        return (operation.key, tuple(numbers[v] if v in graph.constants else graph.varies(v) for v in operation.inputs))

    def _corresponding(self, left: Operation) -> Hashable:
        """The key that an unmatched operation would have on the right side, or one that none has."""
        known = {}
        for value in (*left.inputs, *((left.stretch.source,) if left.stretch else ())):
            other = self.partner.get(value)
            known[value] = self.numbers[0][value] if other is None else self.numbers[1][other]
        return operation_key(left, [known[value] for value in left.inputs], known)

    def _match_forward(self) -> None:
        """Operations with equal keys on corresponding inputs."""
        free: dict[Hashable, list[Operation]] = {}
        for operation in self.graphs[1].operations:
            if id(operation) not in self.taken:
                key = operation_key(operation, [self.numbers[1][value] for value in operation.inputs], self.numbers[1])
                free.setdefault(key, []).append(operation)
        for operation in self.graphs[0].operations:
            if id(operation) in self.matched or operation.impure:
                continue
            candidates = [c for c in free.get(self._corresponding(operation), ()) if id(c) not in self.taken]
            if candidates:
                self._match(operation, next((c for c in candidates if c.name == operation.name), candidates[0]))

    def _match_backward(self) -> None:
        """Operations with equal content that compute corresponding outputs or inputs of matched operations."""
        wanted = list(self.outputs)
        for one, two in self.matched.values():
            wanted += zip(one.inputs, two.inputs, strict=False)
        while wanted:
            a, b = wanted.pop()
            former, latter = self.graphs[0].producers.get(a), self.graphs[1].producers.get(b)
            if former is None or latter is None or id(former) in self.matched or id(latter) in self.taken:
                continue
            one, two = former, latter
            alike = one.outputs.index(a) == two.outputs.index(b) and len(one.outputs) == len(two.outputs)
            if alike and self._content(one, 0) == self._content(two, 1):
                self._match(one, two)
                wanted += zip(one.inputs, two.inputs, strict=False)


def canonical_order(graph: Dataflow, numbers: Mapping[Value, int], shared: frozenset[int]) -> list[Operation]:
    """Operations from the outputs back, each after what it needs; the same for graphs that are drawn alike.

    Of inputs that may change places, those whose numbers both graphs have come first; the numbers of others say nothing.
    """
    order: list[Operation] = []
    seen: set[int] = set()
    stack: list[tuple[Operation, bool]] = []
    for value in graph.outputs:
        producer = graph.producers.get(value)
        if producer is not None:
            stack.append((producer, False))
        while stack:
            operation, done = stack.pop()
            if done:
                order.append(operation)
                continue
            if id(operation) in seen:
                continue
            seen.add(id(operation))
            stack.append((operation, True))
            needed: Sequence[Value] = operation.inputs
            if operation.commutative:
                needed = sorted(needed, key=lambda v: (numbers[v] not in shared, numbers[v] if numbers[v] in shared else 0))
            stack.extend((graph.producers[v], False) for v in reversed(needed) if v in graph.producers)
    return order


def common(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Positions of equal keys in increasing order on both sides: ends first, then keys that occur once, then the longest runs."""
    found: list[tuple[int, int]] = []
    work = [(0, len(left), 0, len(right))]
    while work:
        a, b, c, d = work.pop()
        while a < b and c < d and left[a] == right[c]:
            found.append((a, c))
            a, c = a + 1, c + 1
        while a < b and c < d and left[b - 1] == right[d - 1]:
            b, d = b - 1, d - 1
            found.append((b, d))
        if a == b or c == d:
            continue
        anchors = _unique(left[a:b], right[c:d])
        if not anchors and (b - a) * (d - c) <= MOST_CELLS:
            matcher = difflib.SequenceMatcher(None, left[a:b], right[c:d], autojunk=False)
            found += [(a + m.a + k, c + m.b + k) for m in matcher.get_matching_blocks() for k in range(m.size)]
            continue
        at = (a, c)
        for x, y in anchors:
            found.append((a + x, c + y))
            work.append((at[0], a + x, at[1], c + y))
            at = (a + x + 1, c + y + 1)
        if anchors:
            work.append((at[0], b, at[1], d))
    return sorted(found)


def _unique(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """The longest increasing run of positions whose keys occur once on each side."""
    counts = Counter(left), Counter(right)
    place = {key: k for k, key in enumerate(right) if counts[1][key] == 1}
    pairs = [(k, place[key]) for k, key in enumerate(left) if counts[0][key] == 1 and key in place]
    tails: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for k, (_, y) in enumerate(pairs):
        length = bisect.bisect_left(tails, y)
        before.append(last[length - 1] if length else -1)
        if length == len(tails):
            tails.append(y)
            last.append(k)
        else:
            tails[length], last[length] = y, k
    run = []
    k = last[-1] if last else -1
    while k >= 0:
        run.append(pairs[k])
        k = before[k]
    return run[::-1]

"""The second decider: every inclusion again as linear integer arithmetic with symbolic extents, decided by Z3.

Owns: `confirm`, and its own meaning of the primitives on symbolic samples and extents. Of the rank decider it uses the answer
only: not its rows, its cutoff or its window theorem. This is the only module that imports z3.
Must not know: layers, certificates, verdicts.

On one axis let n be the input extent and o an output sample, each split by its residue:

    n = P u + rho,  0 <= rho < P        o = Q t + phi,  0 <= phi < Q

That is a complete distinction of cases for any P and Q; they are chosen so that every quotient below is a line a t + b u + c.
In one case (rho, phi) the sample o is followed backwards through the steps. Each path ends at an input sample, a line x; it
holds under a guard, a conjunction of lines >= 0 (inside the signal, or beyond which border); it carries a parameter and a
rational weight. With X the reshuffle of left parameters to right ones, inclusion says that for every left parameter v

    sum of weight [guard and x = i], paths of v  =  sum of X[v][w] weight [guard and x = i], paths of every right w

for all integers u, t, i with n valid for both sides, o in the output and i in the input. Z3 must find the negation
unsatisfiable, over all cases at once: no extent is left out, and none is singled out.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.operators.blocks import Block, Side
from symconv.operators.budget import Budget
from symconv.operators.rows import AxisProgram, Form, Param
from symconv.operators.steps import Average, Correlate, Decimate, Expand, Extend, Interpolate, Join, Number, Split, Step
from symconv.prove.blocks import BlockResult, Functional
from symconv.prove.linear import Reshuffle
from symconv.prove.stage import StageResult
from symconv.prove.table import Place

SECONDS = 2.0
"""The most time for one stage, whatever the budget."""

MOST_PATHS = 50_000
"""The most paths that are followed for one block, over all its cases."""

Line = tuple[int, int, int]
"""(a, b, c): a t + b u + c."""

Guard = tuple[Line, ...]
"""Lines that must be >= 0, at most one for each direction (a, b), in order."""

Indices = tuple[int, int, int]
"""(input channel part, p part, q part)."""

Key = tuple[int, Param]
"""(input channel part, parameter)."""

End = tuple[tuple[Line, ...], tuple[Guard, ...]]
"""Where a path ends and under which guards, an axis each."""


class _LeftOut(Exception):
    """The question is not put to the solver, or it has no answer; the argument says why."""


class _Contradiction(Exception):
    """The rank decider's answer does not hold here."""


def confirm(stage: StageResult, budget: Budget) -> str:
    """Decides again, with symbolic extents, every inclusion of a decided stage, and replays every refutation.

    Args:
        stage: as the rank decider left it.
        budget: the time that remains bounds the solver's, which is 2 seconds at most.

    Returns:
        "agrees", "contradicts", or "left out: " and the reason.
    """
    solver = _Solver(min(budget.remaining(), SECONDS))
    reasons: list[str] = []
    for part in (stage.weights, stage.bias):
        if part is None:
            continue
        if part.flat:
            reasons.append("channels do not factor")
            continue
        for result in part.blocks:
            try:
                _confirm_block(result, part.out_digits, solver)
            except _Contradiction:
                return "contradicts"
            except _LeftOut as stop:
                reasons.append(str(stop))
    return f"left out: {reasons[0]}" if reasons else "agrees"


def _confirm_block(result: BlockResult, radices: Sequence[int], solver: _Solver) -> None:
    if not result.block.axes:
        return  # channel digits alone: no extents, nothing to ask
    block = _Block(result.block, radices, solver)
    for which, (reshuffle, functional) in enumerate(((result.forth, result.not_forth), (result.back, result.not_back))):
        if reshuffle is not None:
            block.prove(reshuffle, which)
        elif functional is not None:
            block.replay(functional, which)


# Lines and guards.


def _plus(x: Line, y: Line) -> Line:
    return x[0] + y[0], x[1] + y[1], x[2] + y[2]


def _minus(x: Line, y: Line) -> Line:
    return x[0] - y[0], x[1] - y[1], x[2] - y[2]


def _shift(x: Line, c: int) -> Line:
    return x[0], x[1], x[2] + c


def _times(x: Line, f: int) -> Line:
    return x[0] * f, x[1] * f, x[2] * f


def _quotient(x: Line, f: int) -> tuple[Line, int]:
    """x // f and x % f: a line and a number, since f divides both slopes where the cases are fine enough."""
    if x[0] % f or x[1] % f:
        raise _LeftOut("the distinction of cases is too coarse")
    return (x[0] // f, x[1] // f, x[2] // f), x[2] % f


def _value(x: Line, t: int, u: int) -> int:
    return x[0] * t + x[1] * u + x[2]


def _within(x: Line, extent: Line) -> tuple[Line, Line]:
    """0 <= x < extent, as lines >= 0."""
    return x, _shift(_minus(extent, x), -1)


def _is(x: Line, c: int) -> tuple[Line, Line]:
    """x = c, as lines >= 0."""
    return _shift(x, -c), _shift(_times(x, -1), c)


def _meet(guard: Guard, lines: Iterable[Line]) -> Guard | None:
    """The guard and `lines`; None if one of them is never >= 0.

    For integers, g (a t + b u) + c >= 0 is a t + b u + floor(c / g) >= 0.
    """
    least = {(a, b): c for a, b, c in guard}
    for a, b, c in lines:
        content = math.gcd(a, b)
        if content:
            direction, c = (a // content, b // content), c // content
            least[direction] = min(c, least.get(direction, c))
        elif c < 0:
            return None
    return tuple((a, b, c) for (a, b), c in sorted(least.items()))


def _holds(guard: Guard, t: int, u: int) -> bool:
    return all(_value(line, t, u) >= 0 for line in guard)


# Extents, forwards.


def _periods(steps: Sequence[Step]) -> tuple[int, int]:
    """(P, Q) that make lines of all extents (slopes in u, forwards) and all samples (slopes in t, backwards).

    Nothing rests on this choice: one too coarse is refused by `_quotient`.
    """
    return _slopes(steps), _slopes(steps[::-1], backwards=True)


def _slopes(steps: Sequence[Step], backwards: bool = False) -> int:
    """The least slope to start with that stays whole."""
    start, slope = 1, Fraction(1)
    for step in steps:
        match step:
            case Expand(factor=f) | Join(factor=f):
                slope = slope / f if backwards else slope * f
            case Decimate(factor=f) | Split(factor=f) | Average(stride=f):
                slope = slope * f if backwards else slope / f
            case _:
                continue
        start = math.lcm(start, slope.denominator)
    return start


def _extents(steps: Sequence[Step], n: Line) -> tuple[list[Line], Guard] | None:
    """Extents before each step and after the last, and when all of them are valid; None if never."""
    seen, guard = [n], _meet((), [(0, 1, 0), _shift(n, -1)])
    for step in steps:
        found = _next_extent(step, seen[-1])
        if found is None or guard is None:
            return None
        seen.append(found[0])
        guard = _meet(guard, [*found[1], _shift(found[0], -1)])
    return None if guard is None else (seen, guard)


def _next_extent(step: Step, n: Line) -> tuple[Line, list[Line]] | None:
    """The extent after a step, and the lines that must be >= 0 besides; None if no n of this case is divisible."""
    match step:
        case Extend(mode=mode, before=before, after=after, room=room):
            reach = max(before, after)
            needed = {"reflect": reach + 1, "circular": reach}.get(mode, 0)
            return _shift(n, before + after), [_shift(n, -room), _shift(n, -needed)]
        case Expand(factor=f):
            return _shift(_times(_shift(n, -1), f), 1), []
        case Correlate(span=span):
            return _shift(n, -span), []
        case Decimate(factor=f):
            return _shift(_quotient(_shift(n, -1), f)[0], 1), []
        case Join(factor=f):
            return _times(n, f), []
        case Split(factor=f):
            m, rest = _quotient(n, f)
            return None if rest else (m, [])
        case Average(room=room):
            return _pooled(step, n), [_shift(n, -room)]
        case Interpolate():
            raise _LeftOut("weights that change with the extent (align_corners=True) are not linear arithmetic")


def _pooled(step: Average, n: Line) -> Line:
    """(n + 2 pad - k) / s rounded down, plus 1; or rounded up, without a last window that starts beyond n + pad."""
    spare = _shift(n, 2 * step.pad - step.kernel)
    if not step.ceil:
        return _shift(_quotient(spare, step.stride)[0], 1)
    last, _ = _quotient(_shift(spare, step.stride - 1), step.stride)
    a, b, beyond = _minus(_times(last, step.stride), _shift(n, step.pad))
    assert (a, b) == (0, 0), "the stride divides the slope"
    return last if beyond >= 0 else _shift(last, 1)


# Samples, backwards.


@attrs.frozen
class _Path:
    """One way from an output sample back to a sample of an earlier signal."""

    at: Line
    guard: Guard
    digits: tuple[int, ...]
    tap: int = 0
    weight: Number = 1

    def to(self, at: Line, lines: Iterable[Line] = (), weight: Number = 1) -> Iterator[_Path]:
        """The path prolonged, if the lines can be >= 0."""
        guard = _meet(self.guard, lines)
        if guard is not None:
            yield _Path(at, guard, self.digits, self.tap, self.weight * weight)


def _before(step: Step, path: _Path, extent: Line, program: AxisProgram) -> Iterator[_Path]:
    """The path, which stands behind a step, prolonged to the signal in front of it, which has `extent` samples."""
    match step:
        case Extend():
            yield from _before_extend(step, path, extent)
        case Expand(factor=f):
            at, rest = _quotient(path.at, f)
            if not rest:
                yield from path.to(at)
        case Correlate(offsets=offsets, coefficients=None, taps=taps):
            for digits in _opened(path.digits, program):
                for offset, tap in zip(offsets, taps, strict=True):
                    yield _Path(_shift(path.at, offset), path.guard, digits, tap, path.weight)
        case Correlate(offsets=offsets, coefficients=coefficients):
            for offset, weight in zip(offsets, coefficients or (), strict=True):
                yield from path.to(_shift(path.at, offset), weight=weight)
        case Decimate(factor=f):
            yield from path.to(_times(path.at, f))
        case Join(factor=f, digits=places):
            at, phase = _quotient(path.at, f)
            values = dict(enumerate(path.digits)) | {slot: phase // place % radix for slot, place, radix in places}
            yield _Path(at, path.guard, tuple(values.values()), path.tap, path.weight)
        case Split(factor=f, digits=places):
            phase = sum(place * path.digits[slot] for slot, place, _ in places)
            yield from path.to(_shift(_times(path.at, f), phase))
        case Average():
            yield from _before_average(step, path, extent)
        case Interpolate():
            raise AssertionError("extents were asked for first")


def _opened(digits: tuple[int, ...], program: AxisProgram) -> Iterator[tuple[int, ...]]:
    """All values of the digits that end at the kernel: an output sums over the kernel's input channels."""
    ending = (slot.place_q and not slot.place_p for slot in program.slots)
    choices = (range(s.radix) if ends else (v,) for s, v, ends in zip(program.slots, digits, ending, strict=True))
    return itertools.product(*choices)


def _before_extend(step: Extend, path: _Path, extent: Line) -> Iterator[_Path]:
    at = _shift(path.at, -step.before)
    yield from path.to(at, _within(at, extent))
    if step.mode == "zeros":
        return
    last, back, beyond = _shift(extent, -1), _times(at, -1), _minus(at, extent)
    low, high = {
        "reflect": (back, _plus(last, _minus(last, at))),
        "replicate": ((0, 0, 0), last),
        "circular": (_plus(at, extent), beyond),
    }[step.mode]
    yield from path.to(low, [_shift(back, -1)])
    yield from path.to(high, [beyond])


def _before_average(step: Average, path: _Path, extent: Line) -> Iterator[_Path]:
    """Every sample of the window, once for every divisor that the borders can give it.

    `early` samples of the window lie before the signal and `late` ones behind it; both are few, so division is by constants.
    """
    k, pad = step.kernel, step.pad
    first = _shift(_times(path.at, step.stride), -pad)
    overhang = _minus(_shift(first, k), extent)
    for j in range(k):
        at = _shift(first, j)
        inside = _within(at, extent)
        if step.fixed_divisor is not None:
            yield from path.to(at, inside, Fraction(1, step.fixed_divisor))
        elif step.include_pad:
            yield from path.to(at, [*inside, _shift(_times(overhang, -1), pad)], Fraction(1, k))
            for late in range(pad + 1, k - j):
                yield from path.to(at, [*inside, *_is(overhang, late)], Fraction(1, k - late + pad))
        else:
            for early, late in itertools.product(range(j + 1), range(k - j)):
                front = _is(first, -early) if early else [first]
                behind = _is(overhang, late) if late else [_times(overhang, -1)]
                yield from path.to(at, [*front, *behind], Fraction(1, k - early - late))


# Blocks: cases, paths with their parameters, obligations.


@attrs.frozen
class _Case:
    """One pair of residues on one axis: the output sample, both sides' extents, and when all of them are valid."""

    residues: tuple[int, int]
    sample: Line
    extents: tuple[list[Line], list[Line]]
    guard: Guard


class _Axis:
    """The cases of one axis of a block.

    Args:
        programs: both sides' steps.
    """

    def __init__(self, programs: Sequence[AxisProgram]) -> None:
        periods = [_periods(program.steps) for program in programs]
        self.p, self.q = (math.lcm(*numbers) for numbers in zip(*periods, strict=True))
        self.cases: dict[tuple[int, int], _Case] = {}
        self.uneven: list[tuple[Guard, Line]] = []  # valid extents, and the difference of the two output extents
        taps = max((_taps(step) for program in programs for step in program.steps), default=1)
        self.too_many = f"{taps:,} taps in {self.p * self.q:,} cases on one axis are too many for the solver"
        if self.p * self.q * taps > MOST_PATHS:
            raise _LeftOut(self.too_many)
        for rho in range(self.p):
            self._add(programs, rho)

    def _add(self, programs: Sequence[AxisProgram], rho: int) -> None:
        left, right = (_extents(program.steps, (0, self.p, rho)) for program in programs)
        valid = None if left is None or right is None else _meet(left[1], right[1])
        if left is None or right is None or valid is None:
            return
        m_left, m_right = left[0][-1], right[0][-1]
        if m_left != m_right:
            self.uneven.append((valid, _minus(m_left, m_right)))
        for phi in range(self.q):
            sample = self.q, 0, phi
            guard = _meet(valid, [*_within(sample, m_left), *_within(sample, m_right)])
            if guard is not None:
                self.cases[rho, phi] = _Case((rho, phi), sample, (left[0], right[0]), guard)


def _taps(step: Step) -> int:
    return len(step.offsets) if isinstance(step, Correlate) else step.kernel if isinstance(step, Average) else 1


class _Block:
    """One block as obligations.

    Args:
        block: a block with axes.
        radices: of all output digits.
        solver: where the obligations go.
    """

    def __init__(self, block: Block, radices: Sequence[int], solver: _Solver) -> None:
        self.block, self.radices, self.solver = block, radices, solver
        self.axes = [_Axis([side.programs[axis] for side in block.sides]) for axis in block.axes]
        self.followed = 0
        self.known: dict[object, list[tuple[Key, End, Number]]] = {}

    def prove(self, reshuffle: Reshuffle, which: int) -> None:
        """Proves that the class of side `which` lies in the other one, by `reshuffle`.

        Raises:
            _Contradiction: the solver has a counterexample, or finds no valid extent at all.
            _LeftOut: the solver is not asked, or does not know.
        """
        used: dict[Param, list[tuple[Param, Number]]] = defaultdict(list)
        for param, form in reshuffle.items():
            for other, coefficient in form.items():
                used[other].append((param, coefficient))
        valid, failures = set(), {_uneven(k, *pair) for k, axis in enumerate(self.axes) for pair in axis.uneven}
        for cases in itertools.product(*(axis.cases.values() for axis in self.axes)):
            here = " ".join(_valid(case, k) for k, case in enumerate(cases))
            valid.add(f"(and {here})")
            differences = {text for digits in self._digits() for text in self._differences(cases, digits, used, which)}
            failures.add(f"(and {here} {_some(differences)})")
        self.solver.refute(len(self.axes), valid, failures)

    def _digits(self) -> Iterator[dict[int, int]]:
        names = self.block.out_digits
        for values in itertools.product(*(range(self.radices[d]) for d in names)):
            yield dict(zip(names, values, strict=True))

    def _differences(
        self, cases: tuple[_Case, ...], digits: dict[int, int], used: dict[Param, list[tuple[Param, Number]]], which: int
    ) -> Iterator[str]:
        """For each input channel and parameter of side `which`: that the two sums are not equal."""
        sums: dict[Key, tuple[dict[End, Number], dict[End, Number]]] = defaultdict(lambda: (defaultdict(int), defaultdict(int)))
        for key, end, weight in self._paths(cases, digits, which):
            sums[key][0][end] += weight
        for (channel, other), end, weight in self._paths(cases, digits, 1 - which):
            for param, coefficient in used.get(other, ()):
                sums[channel, param][1][end] += weight * coefficient
        return (_unequal(*pair) for pair in sums.values())

    def replay(self, functional: Functional, which: int) -> None:
        """Evaluates a refutation at its places: it sees its kernel of side `which`, and no parameter of the other side.

        Raises:
            _Contradiction: it does not, or a place is not valid.
        """
        totals: tuple[Form, Form] = defaultdict(int), defaultdict(int)
        for place, factor in functional.terms:
            for param, side, weight in self._entry(place):
                totals[side][param] += factor * weight
        if not functional.value or totals[which].get(functional.kernel) != functional.value or any(totals[1 - which].values()):
            raise _Contradiction

    def _entry(self, place: Place) -> Iterator[tuple[Param, int, Number]]:
        """What both sides have at one place: (parameter, side, weight)."""
        cases, points = [], []
        for axis, n, o in zip(self.axes, place.extents, place.out[1:], strict=True):
            (u, rho), (t, phi) = divmod(n, axis.p), divmod(o, axis.q)
            case = axis.cases.get((rho, phi))
            if case is None or not _holds(case.guard, t, u):
                raise _Contradiction
            cases.append(case)
            points.append((t, u))
        digits = {d: place.out[0] // self.block.out_places[d] % self.radices[d] for d in self.block.out_digits}
        for side in (0, 1):
            for (channel, param), (ends, guards), weight in self._paths(tuple(cases), digits, side):
                into = tuple(_value(x, *point) for x, point in zip(ends, points, strict=True))
                held = all(_holds(guard, *point) for guard, point in zip(guards, points, strict=True))
                if held and (channel, *into) == place.into:
                    yield param, side, weight

    def _paths(self, cases: tuple[_Case, ...], digits: dict[int, int], which: int) -> list[tuple[Key, End, Number]]:
        """All paths of one side from one output sample: the product over the axes and the digits that no axis touches."""
        key = tuple(case.residues for case in cases), tuple(digits.values()), which
        if key not in self.known:
            self.known[key] = list(self._follow(cases, digits, which))
        return self.known[key]

    def _follow(self, cases: tuple[_Case, ...], digits: dict[int, int], which: int) -> Iterator[tuple[Key, End, Number]]:
        parts = [self._axis_paths(k, case, digits, which) for k, case in enumerate(cases)]
        free = list(_free_digits(self.block.sides[which], digits))
        for paths in itertools.product(*parts):
            self._spend(len(free))
            end = tuple(path.at for _, path in paths), tuple(path.guard for _, path in paths)
            taps, weight = tuple(path.tap for _, path in paths), math.prod(path.weight for _, path in paths)
            for indices in free:
                channel, p, q = _sum([indices, *(own for own, _ in paths)])
                yield (channel, (p, q, *taps)), end, weight

    def _axis_paths(self, k: int, case: _Case, digits: dict[int, int], which: int) -> list[tuple[Indices, _Path]]:
        """The paths of one axis, each with its share of the indices; where the input is the constant 1 they all end at 0."""
        side, axis = self.block.sides[which], self.block.axes[k]
        program = side.programs[axis]
        paths = [_Path(case.sample, (), tuple(-1 if d is None else digits[d] for d in side.slot_outputs[axis]))]
        for index in reversed(range(program.start, len(program.steps))):
            step, extent = program.steps[index], case.extents[which][index]
            paths = [before for path in paths for before in _before(step, path, extent, program)]
            self._spend(len(paths) + 1)
        if program.start:
            paths = [attrs.evolve(path, at=(0, 0, 0), tap=0) for path in paths]
        return [(_indices(program, path.digits), path) for path in paths]

    def _spend(self, paths: int) -> None:
        self.followed += paths
        if self.followed > MOST_PATHS:
            raise _LeftOut(self.axes[0].too_many)
        self.solver.check_time()


def _indices(program: AxisProgram, digits: tuple[int, ...]) -> Indices:
    return _sum([(s.place_in * v, s.place_p * v, s.place_q * v) for s, v in zip(program.slots, digits, strict=True)])


def _free_digits(side: Side, digits: dict[int, int]) -> Iterator[Indices]:
    """What digits that no axis touches add to the indices, for every value of those that end at the kernel."""
    choices = []
    for wire in side.pure:
        values = range(wire.radix) if wire.out_digit is None else (digits[wire.out_digit],)
        place = 0 if wire.in_digit is None else wire.place_in
        choices.append([(place * v, wire.place_p * v, wire.place_q * v) for v in values])
    return (_sum(chosen) for chosen in itertools.product(*choices))


def _sum(rows: Iterable[Indices]) -> Indices:
    channel = p = q = 0
    for row in rows:
        channel, p, q = channel + row[0], p + row[1], q + row[2]
    return channel, p, q


# Obligations as SMT-LIB text, in the variables t, u and i of each axis.


def _term(x: Line, k: int) -> str:
    return f"(+ (* {x[0]} t{k}) (* {x[1]} u{k}) {x[2]})"


def _all(guard: Guard, k: int) -> str:
    return " ".join(["true", *(f"(<= 0 {_term(line, k)})" for line in guard)])


def _some(alternatives: Iterable[str]) -> str:
    """A disjunction; equal sets have equal texts."""
    return "(or false " + "\n ".join(sorted(alternatives)) + ")"


def _valid(case: _Case, k: int) -> str:
    """That n is valid for both sides, o lies in the output and i in the input."""
    return f"{_all(case.guard, k)} (<= 0 i{k}) (< i{k} {_term(case.extents[0][0], k)})"


def _uneven(k: int, valid: Guard, difference: Line) -> str:
    return f"(and {_all(valid, k)} (not (= 0 {_term(difference, k)})))"


def _unequal(*sums: dict[End, Number]) -> str:
    """That two sums of guarded weights differ at i, in whole numbers."""
    scale = math.lcm(*(Fraction(weight).denominator for ends in sums for weight in ends.values()))
    one, two = sorted(_weighted(ends, scale) for ends in sums)
    return f"(not (= {one} {two}))"


def _weighted(ends: dict[End, Number], scale: int) -> str:
    summands = [f"(ite (and {_ends_at_i(end)}) {_whole(weight * scale)} 0)" for end, weight in sorted(ends.items()) if weight]
    return f"(+ 0 {' '.join(summands)})"


def _ends_at_i(end: End) -> str:
    return " ".join(f"(= i{k} {_term(x, k)}) {_all(guard, k)}" for k, (x, guard) in enumerate(zip(*end, strict=True)))


def _whole(weight: Number) -> str:
    return str(int(weight))


_local = threading.local()


def _context() -> Any:
    """Z3's terms must not be shared between threads, and a context takes a millisecond to make."""
    import z3

    if not hasattr(_local, "context"):
        _local.context = z3.Context()
    return _local.context


class _Solver:
    """Z3 with one deadline for all obligations of a stage; what was asked before is not asked again.

    Args:
        seconds: from now.
    """

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.proved: set[str] = set()

    def check_time(self) -> None:
        """Raises _LeftOut if the time is up."""
        if time.monotonic() > self.deadline:
            raise _LeftOut("the solver gave no answer in time")

    def refute(self, axes: int, valid: set[str], failures: set[str]) -> None:
        """Proves that no failure can happen, and that something can: an obligation without instances proves nothing.

        Raises:
            _Contradiction: a failure can happen, or no hypothesis holds anywhere.
            _LeftOut: the solver does not know.
        """
        names = [f"{name}{k}" for k in range(axes) for name in "tui"]
        script = "\n".join([*(f"(declare-const {name} Int)" for name in names), "(declare-const failing Bool)"])
        script += f"\n(assert (ite failing {_some(failures)} {_some(valid)}))\n"
        if script in self.proved:
            return
        if not self._ask(script):
            raise _Contradiction
        self.proved.add(script)

    def _ask(self, script: str) -> bool:
        """Whether the script is satisfiable without a failure and unsatisfiable with one."""
        import z3

        context = _context()
        solver = z3.SimpleSolver(ctx=context)
        failing = z3.Bool("failing", context)
        try:
            solver.from_string(script)
            self.check_time()
            solver.set("timeout", max(1, int(1000 * (self.deadline - time.monotonic()))))
            answers = solver.check(z3.Not(failing)), solver.check(failing)
        except z3.Z3Exception as stop:
            raise _LeftOut(f"the solver stopped ({stop})") from None
        if z3.unknown in answers:
            raise _LeftOut("the solver gave no answer in time")
        return bool(answers == (z3.sat, z3.unsat))

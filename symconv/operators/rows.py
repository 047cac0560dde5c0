"""Rows of a stage's operator on one axis, computed backwards from an output sample.

Owns: `AxisProgram`, `Row` and the record of which border a row touched (what the cutoff theorem needs).
Must not know: how rows are compared.

A row maps an input index (channel part, sample) to a linear form in the parameters. Indices of channels, kernel
outputs (p) and kernel inputs (q) are additive parts: the full index is the sum of the parts over all blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import attrs

from symconv.errors import OutsideFragment
from symconv.operators.budget import Budget
from symconv.operators.denote import interpolation
from symconv.operators.steps import Average, Correlate, Decimate, Expand, Extend, Interpolate, Join, Number, Split, Step
from symconv.operators.steps import extents as extents_of

Param = tuple[int, ...]
"""(p part, q part, tap on each axis of the block)."""

InIndex = tuple[int, ...]
"""(input channel part, sample on each axis of the block)."""

Form = dict[Param, Number]
Entries = dict[InIndex, Form]

LEFT, RIGHT, BOTH = 1, 2, 3


@attrs.frozen
class Slot:
    """One digit that is tied to an axis, with its place value in each index that contains it (0: not in it)."""

    radix: int
    place_in: int = 0
    place_out: int = 0
    place_p: int = 0
    place_q: int = 0


Reach = tuple[tuple[int, int] | None, int | None, int | None]
"""(least and greatest sample reached without wrapping, least one reached by wrapping to the right end, greatest one
reached by wrapping to the left end); None where there is none."""


@attrs.define
class Row:
    """One row: its entries, which borders its paths touched (LEFT | RIGHT; BOTH rules both anchors out), its reach."""

    entries: Entries
    touched: int
    reach: Reach = (None, None, None)


State = tuple[int, tuple[int, ...], int, Number, int]
"""(position, digit values (-1 unknown), tap, coefficient, anchor: +1 wrapped to the right end, -1 to the left)."""


class AxisProgram:
    """The steps of one stage on one axis, with the digits tied to it.

    Args:
        steps: the word, digits of Join and Split given as (slot, place, radix).
        slots: the digits.
        start: rows are followed back to the input of this step: 0, or one past the free step for the bias family,
            whose input there is the constant 1.
    """

    def __init__(self, steps: Sequence[Step], slots: Sequence[Slot], start: int = 0) -> None:
        self.steps = tuple(steps)
        self.slots = tuple(slots)
        self.start = start
        self.constant = constant = start > 0
        self._outputs: dict[int, int] = {}
        self._branch = tuple(index for index, slot in enumerate(slots) if slot.place_q and not slot.place_p) if not constant else ()
        self._backward = tuple((index, self.steps[index]) for index in reversed(range(start, len(self.steps))))

    def output(self, n: int) -> int:
        """The output extent on a valid input extent (remembered: places of rows ask for the same few again and again)."""
        if n not in self._outputs:
            seen = extents_of(self.steps, n)
            assert isinstance(seen, tuple), "n is a valid extent"
            self._outputs[n] = seen[-1]
        return self._outputs[n]

    def row(self, position: int, digits: tuple[int, ...], extents: Sequence[int] | None, budget: Budget) -> Row:
        """The row of output `position` with the output digits given (-1 where a slot is no output digit).

        Args:
            position: output sample; any integer if `extents` is None.
            digits: one value a slot.
            extents: extents before each step and after the last, or None for the bi-infinite signal.
            budget: charged one unit a path.
        """
        states: list[State] = [(position, digits, 0, 1, 0)]
        touched = 0
        for index, step in self._backward:
            if type(step) is Extend:
                if extents is None:
                    states = [(s[0] - step.before, s[1], s[2], s[3], s[4]) for s in states]
                else:
                    states, touch = _extend_back(step, states, extents[index])
                    touched |= touch
            elif type(step) is Interpolate:
                states = _interpolate_back(step, states, None if extents is None else extents[index])
                touched = BOTH
            elif type(step) is Average:
                states, touch = _average_back(step, states, None if extents is None else extents[index])
                touched |= touch
            else:
                states = self._back(step, states)
            budget.spend(len(states) + 1)
        reach = (None, None, None) if extents is None or self.constant else _reach(states)
        return Row(self._collect(states), touched, reach)

    def _back(self, step: Step, states: list[State]) -> list[State]:
        match step:
            case Correlate(offsets=offsets, coefficients=None, taps=taps):
                opened = self._open_digits(states)
                return [(p + off, env, tap, c, a) for p, env, _, c, a in opened for off, tap in zip(offsets, taps, strict=True)]
            case Correlate(offsets=offsets, coefficients=coefficients):
                assert coefficients is not None
                return [(p + off, env, t, c * w, a) for p, env, t, c, a in states for off, w in zip(offsets, coefficients, strict=True)]
            case Expand(factor=f):
                return [(p // f, env, t, c, a) for p, env, t, c, a in states if p % f == 0]
            case Decimate(factor=f):
                return [(p * f, env, t, c, a) for p, env, t, c, a in states]
            case Join(factor=f, digits=digits):
                return [(p // f, _write(env, digits, p % f), t, c, a) for p, env, t, c, a in states]
            case Split(factor=f, digits=digits):
                return [(p * f + _read(env, digits), env, t, c, a) for p, env, t, c, a in states]
            case _:
                raise AssertionError(step)

    def _open_digits(self, states: list[State]) -> list[State]:
        for slot in self._branch:
            radix = self.slots[slot].radix
            states = [(p, (*env[:slot], v, *env[slot + 1 :]), t, c, a) for p, env, t, c, a in states for v in range(radix)]
        return states

    def _collect(self, states: list[State]) -> Entries:
        entries: Entries = {}
        for position, env, tap, coefficient, _ in states:
            channel = p = q = 0
            for slot, value in zip(self.slots, env, strict=True):
                channel += slot.place_in * value
                p += slot.place_p * value
                q += slot.place_q * value
            key = (0, 0) if self.constant else (channel, position)
            form = entries.setdefault(key, {})
            param = (p, 0, 0) if self.constant else (p, q, tap)
            total = form.get(param, 0) + coefficient
            if total:
                form[param] = total
            else:
                form.pop(param, None)
        return {key: form for key, form in entries.items() if form}


def _write(env: tuple[int, ...], digits: tuple[tuple[int, int, int], ...], phase: int) -> tuple[int, ...]:
    values = list(env)
    for slot, place, radix in digits:
        values[slot] = phase // place % radix
    return tuple(values)


def _read(env: tuple[int, ...], digits: tuple[tuple[int, int, int], ...]) -> int:
    return sum(place * env[slot] for slot, place, _ in digits)


def _extend_back(step: Extend, states: list[State], extent: int) -> tuple[list[State], int]:
    """Resolves reads beyond the borders, and says which border they touched."""
    kept: list[State] = []
    touched = 0
    for p, env, t, c, anchor in states:
        q = p - step.before
        if 0 <= q < extent:
            kept.append((q, env, t, c, anchor))
            continue
        side = LEFT if q < 0 else RIGHT
        far = (anchor > 0 and side == LEFT) or (anchor < 0 and side == RIGHT)
        touched |= BOTH if far else (side if anchor == 0 else 0)
        if step.mode == "reflect":
            kept.append((-q if q < 0 else 2 * (extent - 1) - q, env, t, c, anchor))
        elif step.mode == "replicate":
            kept.append((0 if q < 0 else extent - 1, env, t, c, anchor))
        elif step.mode == "circular":
            wrapped = 1 if side == LEFT else -1
            kept.append((q + extent * wrapped, env, t, c, 0 if anchor else wrapped))
    return kept, touched


def _interpolate_back(step: Interpolate, states: list[State], extent: int | None) -> list[State]:
    """Clamped taps around the real position o (n - 1) / (m - 1)."""
    if extent is None:
        raise OutsideFragment(
            "`Upsample` with align_corners=True is not shift-invariant: its weights change with the extent; "
            "give the extents to compare at with --extents",
            "not_shift_invariant",
        )
    n, last = extent, max(extent * step.factor - 1, 1)
    return [
        (min(max(q, 0), n - 1), env, t, c * weight, anchor)
        for p, env, t, c, anchor in states
        for q, weight in interpolation(step.mode, Fraction(p * (n - 1), last))
        if weight
    ]


def _average_back(step: Average, states: list[State], extent: int | None) -> tuple[list[State], int]:
    kept: list[State] = []
    touched = 0
    for p, env, t, c, anchor in states:
        first, stop, divisor = step.window(p, extent)
        weight = c * Fraction(1, divisor)
        kept.extend((q, env, t, weight, anchor) for q in range(first, stop))
        start = p * step.stride - step.pad
        for side, hit in ((LEFT, start < 0), (RIGHT, extent is not None and start + step.kernel > extent)):
            if extent is not None and hit:
                far = (anchor > 0 and side == LEFT) or (anchor < 0 and side == RIGHT)
                touched |= BOTH if far else (side if anchor == 0 else 0)
    return kept, touched


def _reach(states: list[State]) -> Reach:
    plain = [s[0] for s in states if s[4] == 0]
    if len(plain) == len(states):
        return ((min(plain), max(plain)) if plain else None), None, None
    right = [s[0] for s in states if s[4] > 0]
    left = [s[0] for s in states if s[4] < 0]
    return (min(plain), max(plain)) if plain else None, min(right, default=None), max(left, default=None)


def collide(reaches: Sequence[Reach]) -> bool:
    """Whether samples reached by wrapping do not lie strictly on their own side of all the others.

    The reaches are those of everything that is compared at one output sample: an entry that is anchored to the left
    end and one that is anchored to the right end must not meet, as they part at larger extents.
    """
    plain = [reach[0] for reach in reaches if reach[0] is not None]
    right = [reach[1] for reach in reaches if reach[1] is not None]
    left = [reach[2] for reach in reaches if reach[2] is not None]
    if not right and not left:
        return False
    if right and left:
        return True
    if right:
        return any(high >= min(right) for _, high in plain)
    return any(low <= max(left) for low, _ in plain)


def pure(program: AxisProgram) -> bool:
    """Whether every finite operator is a window of the bi-infinite one, so that borders change no entry.

    Signals are zero outside their extent. A step that reads padded zeros where the untruncated signal may not be
    zero breaks this; `left` and `right` bound how far that signal reaches beyond the window (negative: inside).
    For the constant input any positive extension breaks it.
    """
    left = right = 0
    for step in program.steps[program.start :]:
        match step:
            case Extend(mode=mode, before=before, after=after):
                grows = before > 0 or after > 0
                if grows and (program.constant or mode != "zeros"):
                    return False
                if (before > 0 and left > 0) or (after > 0 and right > 0):
                    return False
                left, right = left - before, right - after
            case Average() | Interpolate():
                return False
            case Expand(factor=f) | Join(factor=f):
                left, right = left * f, right * f
            case Decimate(factor=f):
                left, right = left // f, -(-right // f)
            case Split(factor=f):
                left, right = -(-left // f), -(-right // f)
            case Correlate(offsets=offsets, span=span):
                if offsets:
                    left, right = left + max(offsets), right - min(offsets) + span
    return True

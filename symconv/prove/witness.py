"""Refutations as data that PyTorch can replay: kernels, an input, both outputs.

Owns: `inclusion_witness`. Must not know: torch, rendering.

For a block whose left class is not in the right one the engine has a functional on operator entries. Times one
entry of every other block it is a functional on whole operators, zero for every right kernel and not for one left
kernel. The witness holds that kernel, the right kernel that agrees with it at all smaller entries, and the input
impulse on which the two part.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import attrs

from symconv.certificate.encode import rational
from symconv.layers import BatchNorm, Conv, ConvTranspose, Layer, channels_through
from symconv.operators.blocks import Block
from symconv.operators.denote import Param as TableParam
from symconv.operators.denote import apply, denote
from symconv.operators.domain import output_extent
from symconv.operators.rows import Form, Param
from symconv.operators.wiring import is_parametric
from symconv.prove.blocks import BlockResult
from symconv.prove.reshuffle import kernel_shape
from symconv.prove.stage import PartResult, StageResult
from symconv.prove.table import Place

LARGEST_TABLE = 2_000
"""Entries up to which whole outputs are computed; beyond, only the sample at which the outputs part."""

Index = tuple[int, ...]


@attrs.frozen
class _Global:
    """A functional on whole operators, with both sides' kernels."""

    terms: tuple[tuple[Index, Index, Index, Fraction], ...]
    larger: dict[Param, Fraction]
    smaller: dict[Param, Fraction]
    value: Fraction
    annihilates: bool = True
    """False where the other side is one function: the two outputs are proof enough, and no functional is needed."""


def inclusion_witness(stage: StageResult, axes: int, *, refute_forth: bool) -> dict[str, Any]:
    """The witness that the left class is not in the right one (or, with refute_forth=False, the converse)."""
    which = 0 if refute_forth else 1
    weights_hold = stage.inclusions(linear=True)[which]
    part = stage.bias if weights_hold else stage.weights
    assert part is not None, "something is refuted"
    if any(stage.fixed) and not weights_hold:
        found = _fixed_case(part, stage, axes, which)
    elif weights_hold and not stage.biased[1 - which]:
        found = _alone(part, stage, axes, which)
    else:
        found = _global(part, stage, axes, which)
    return _record(found, stage, axes, which, "bias" if weights_hold else "weights")


def _functional(block: BlockResult, which: int) -> Any:
    return block.not_back if which else block.not_forth


def _cost(block: BlockResult, which: int) -> tuple[int, int]:
    terms = _functional(block, which).terms
    return max(max(place.extents, default=0) for place, _ in terms), len(terms)


def _global(part: PartResult, stage: StageResult, axes: int, which: int) -> _Global:
    """The cheapest separating block's functional, times one entry of every other block."""
    separating = [block for block in part.blocks if _functional(block, which) is not None]
    chosen = min(separating, key=lambda block: _cost(block, which))
    functional = _functional(chosen, which)
    others = [block for block in part.blocks if block is not chosen]
    samples = [_sample(block, which) for block in others]
    terms = tuple((*_join(stage, axes, [(chosen.block, place), *_sample_places(others, samples)]), c) for place, c in functional.terms)
    kernel = {functional.kernel: Fraction(1)}
    picks = [next(iter(form.items())) for _, form in samples]
    value = functional.value * math.prod((Fraction(c) for _, c in picks), start=Fraction(1))
    larger = _tensor([(chosen.block, kernel), *((b.block, {p: Fraction(1)}) for b, (p, _) in zip(others, picks, strict=True))], axes)
    follow = [(b.block, _follow(b, p, which)) for b, (p, _) in zip(others, picks, strict=True)]
    smaller = _tensor([(chosen.block, {k: Fraction(v) for k, v in functional.attempt.items()}), *follow], axes)
    if not smaller:  # the zero kernel parts from the larger side wherever that one is not zero
        last = max(k for k, value in enumerate(functional.shown) if value)
        terms = (*terms[:last], *terms[last + 1 :], terms[last])
    return _Global(terms, larger, smaller, value)


def _sample_places(blocks: Sequence[BlockResult], samples: Sequence[tuple[Place, Form]]) -> list[tuple[Block, Place]]:
    """Pairs each block with the place of its sample entry."""
    return [(block.block, place) for block, (place, _) in zip(blocks, samples, strict=True)]


def _sample(block: BlockResult, which: int) -> tuple[Place, Form]:
    sample = block.sample[which]
    assert sample is not None, "the larger class is not zero"
    return sample


def _follow(block: BlockResult, param: Param, which: int) -> dict[Param, Fraction]:
    """The other side's parameters that stand for `param` in a block that does not separate (empty if it does)."""
    reshuffle = block.back if which else block.forth
    if reshuffle is None:
        return {}
    if block.block.axes:
        return {key: Fraction(c) for key, c in reshuffle.get(param, {}).items()}
    entry = block.sample[1 - which]
    return {next(iter(entry[1])): Fraction(1)} if entry else {}


def _alone(part: PartResult, stage: StageResult, axes: int, which: int) -> _Global:
    """The other side has no such parameters at all: any nonzero entry of this side separates."""
    samples = [_sample(block, which) for block in part.blocks]
    picks = [next(iter(form.items())) for _, form in samples]
    term = (*_join(stage, axes, _sample_places(part.blocks, samples)), Fraction(1))
    larger = _tensor([(b.block, {p: Fraction(1)}) for b, (p, _) in zip(part.blocks, picks, strict=True)], axes)
    return _Global((term,), larger, {}, math.prod((Fraction(c) for _, c in picks), start=Fraction(1)))


def _fixed_case(part: PartResult, stage: StageResult, axes: int, which: int) -> _Global:
    """One function against a class, or against another function."""
    if not stage.fixed[1 - which]:
        return _global(part, stage, axes, which)
    other_zero = (part.left if which else part.right) == 0
    this_zero = (part.right if which else part.left) == 0
    source = which if other_zero else 1 - which
    if this_zero or other_zero or not stage.fixed[which]:
        samples = [_sample(block, source) for block in part.blocks]
        picks = [next(iter(form.items())) for _, form in samples]
        value = math.prod((Fraction(c) for _, c in picks), start=Fraction(1))
        term = (*_join(stage, axes, _sample_places(part.blocks, samples)), Fraction(1))
        kernel = _tensor([(b.block, {p: Fraction(1)}) for b, (p, _) in zip(part.blocks, picks, strict=True)], axes)
        return _Global((term,), kernel if source == which else {}, {}, value if source == which else -value, annihilates=False)
    separating = [block for block in part.blocks if _functional(block, which) is not None]
    if separating:
        return _global(part, stage, axes, which)
    samples = [_sample(block, which) for block in part.blocks]
    mine = math.prod((Fraction(next(iter(form.values()))) for _, form in samples), start=Fraction(1))
    term = (*_join(stage, axes, _sample_places(part.blocks, samples)), Fraction(1))
    theirs = mine / part.scale if which == 0 else mine * part.scale
    return _Global((term,), {}, {}, mine - theirs, annihilates=False)


def _join(stage: StageResult, axes: int, places: Sequence[tuple[Block, Place]]) -> tuple[Index, Index, Index]:
    """(extents, output index, input index) of the entry whose shares in the blocks are given."""
    extents = [int(domain.first() or 1) for domain in stage.domains]
    out, into = [0] * (axes + 1), [0] * (axes + 1)
    for block, place in places:
        out[0] += place.out[0]
        into[0] += place.into[0]
        for k, axis in enumerate(block.axes):
            extents[axis] = place.extents[k]
            out[axis + 1] = place.out[k + 1]
            into[axis + 1] = place.into[k + 1]
    return tuple(extents), tuple(out), tuple(into)


def _tensor(parts: Sequence[tuple[Block, dict[Param, Fraction]]], axes: int) -> dict[Param, Fraction]:
    """The tensor product of parameters given block by block, as full parameters (p, q, taps...)."""
    total: dict[Param, Fraction] = {}
    for combination in itertools.product(*(values.items() for _, values in parts)):
        index = [0] * (axes + 2)
        for (block, _), (param, _) in zip(parts, combination, strict=True):
            index[0] += param[0]
            index[1] += param[1]
            for k, axis in enumerate(block.axes):
                index[axis + 2] = param[k + 2]
        total[tuple(index)] = math.prod((value for _, value in combination), start=Fraction(1))
    return total


def _record(found: _Global, stage: StageResult, axes: int, which: int, part: str) -> dict[str, Any]:
    bias = part == "bias"
    kernels = (found.larger, found.smaller) if which == 0 else (found.smaller, found.larger)
    chains = stage.left, stage.right
    records = [kernel_record(chain, kernel, bias) for chain, kernel in zip(chains, kernels, strict=True)]
    candidates = found.terms[::-1] if all(stage.fixed) else found.terms[-1:]  # two functions part at some term, not always the last
    for extents, at, into, _ in candidates:
        x: dict[Index, Fraction] = {} if bias else {into: Fraction(1)}
        outputs = [_output(chain, stage, kernel, x, extents, bias) for chain, kernel in zip(chains, kernels, strict=True)]
        if outputs[0] is None or outputs[1] is None or outputs[0].get(at, 0) != outputs[1].get(at, 0):
            break
    shape = _output_shape(stage, extents)
    terms = [
        {"extents": list(n), "out": list(o), "in": None if bias else list(i), "coefficient": rational(c)} for n, o, i, c in found.terms
    ]
    side = ("left", "right")[which]
    return {
        "kind": "kernel",
        "refutes": "left_in_right" if which == 0 else "right_in_left",
        "extents": list(extents),
        "left_kernel": records[0],
        "right_kernel": records[1],
        "input": {"shape": [stage.channels, *extents], "entries": [[list(k), rational(v)] for k, v in x.items()]},
        "left_output": None if outputs[0] is None else _sparse(outputs[0], shape),
        "right_output": None if outputs[1] is None else _sparse(outputs[1], shape),
        "at": list(at),
        "annihilator": {"terms": terms, "sees": side, "value": rational(found.value)} if found.annihilates else None,
    }


def _output_shape(stage: StageResult, extents: Sequence[int]) -> list[int]:
    outs = [output_extent(word, n) for word, n in zip(stage.words[0], extents, strict=True)]
    return [channels_through(stage.left, stage.channels)[-1], *outs]


def _sparse(values: dict[Index, Any], shape: list[int]) -> dict[str, Any]:
    return {"shape": shape, "entries": [[list(k), rational(v)] for k, v in sorted(values.items()) if v]}


def _output(
    chain: tuple[Layer, ...], stage: StageResult, kernel: dict[Param, Fraction], x: dict[Index, Fraction], extents: Index, bias: bool
) -> dict[Index, Any] | None:
    """The whole output by the definition-level tables, or None where they would be large."""
    shape = _output_shape(stage, extents)
    positions = max(math.prod(extents), math.prod(shape[1:]))
    counts = channels_through(chain, stage.channels)
    sizes = [
        math.prod(layer.kernel) * layer.in_channels * layer.out_channels for layer in chain if isinstance(layer, (Conv, ConvTranspose))
    ]
    if positions * max([*sizes, *counts]) > LARGEST_TABLE:
        return None
    layer = next((item for item in chain if is_parametric(item)), None)
    values: dict[TableParam, int | Fraction] = (
        {(("b", key[0]) if bias else ("w", *torch_index(layer, key))): value for key, value in kernel.items()} if layer else {}
    )
    return apply(denote(chain, stage.channels, tuple(extents)), defaultdict(int, values), x)


def torch_index(layer: Layer | None, param: Param) -> Index:
    """A parameter (p, q, taps...) as an index into PyTorch's weight tensor."""
    p, q, *taps = param
    if isinstance(layer, BatchNorm):
        return (p,)
    if isinstance(layer, ConvTranspose):
        group, out = divmod(p, layer.out_channels // layer.groups)
        return (group * (layer.in_channels // layer.groups) + q, out, *taps)
    return (p, q, *taps)


def kernel_record(chain: tuple[Layer, ...], kernel: dict[Param, Fraction], bias: bool) -> dict[str, Any] | None:
    """The parameters of a chain's one parametric layer as sparse entries, or None for a fixed chain."""
    layer = next((item for item in chain if is_parametric(item)), None)
    if not isinstance(layer, (Conv, ConvTranspose, BatchNorm)):
        return None
    if bias:
        entries = [[[p[0]], rational(v)] for p, v in sorted(kernel.items()) if v]
        return {"shape": list(kernel_shape(layer)), "entries": [], "bias": entries}
    entries = [[list(torch_index(layer, p)), rational(v)] for p, v in sorted(kernel.items()) if v]
    return {"shape": list(kernel_shape(layer)), "entries": entries, "bias": []}

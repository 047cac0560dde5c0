"""The transposed convolution that a convolution with a shuffle behind it is, where its weights allow it.

Owns: `member`.
Must not know: files, nodes.

Without biases the class of Conv >> Shuffle is that of a transposed convolution with one tap a phase and LR tap. Taps of it that the
weights leave at zero may be taken off at both ends, and out of a grid. What remains is a smaller class, and the certificate says that it
lies in the class of the given layer; the weights lie in it if its reshuffle makes exactly them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from symconv.convert.choice import Choice, choose, choose_member
from symconv.convert.constraints import Constraints
from symconv.convert.cost import cost_of
from symconv.convert.forms import Frame, proposals
from symconv.convert.memory import Memory
from symconv.convert.onnx.bits import Transfer
from symconv.convert.spelling import Chain, spellings
from symconv.convert.window import Window, window_of
from symconv.layers import Conv, ConvTranspose, Layer, Sequential, channels_through
from symconv.operators.budget import Budget
from symconv.prove.stage import has_bias, words_of


def member(
    chain: Chain, channels: int, kernel: np.ndarray, bias: np.ndarray | None, constraints: Constraints, *, seconds: float, memory: Memory
) -> Choice | str:
    """The smallest transposed convolution of which the chain with these weights is a member, or why there is none.

    Args:
        chain, channels: a convolution with what belongs to it, and its input channels.
        kernel, bias: the bits of its weights.
        constraints: what the target asks.
    """
    bare = tuple(attrs.evolve(layer, bias=False) if isinstance(layer, Conv) else layer for layer in chain)
    widest = choose(Sequential(bare), channels, "transposed", Constraints(), phase_major=False, seconds=seconds, memory=memory)
    if widest.target is None or widest.moves is None:
        return widest.reason
    spread = Transfer.of_kernel(widest.moves)
    if spread is None:
        return "no: because its taps would have to be added up, not moved"
    taps = _taps_in_use(spread, kernel)
    broken: dict[str, str] = {}
    refused = ""
    for candidate in _candidates(widest.target, channels, taps, has_bias(chain), seconds):
        faults = dict(constraints.broken_by(candidate))
        if faults:
            broken |= faults
            continue
        choice = choose_member(Sequential(chain), channels, candidate, seconds=seconds, memory=memory)
        if choice is None:
            continue
        refused = _outside(choice, kernel, bias)
        if not refused:
            return choice
    if refused:
        return refused
    if broken:
        return "no: because " + "; ".join(f"`{word}` is asked for, and {what}" for word, what in broken.items())
    return "no: because no transposed convolution with these taps lies in its class"


def _taps_in_use(spread: Transfer, kernel: np.ndarray) -> list[list[int]]:
    """Per axis the taps of the widest kernel that some weight uses."""
    used = spread.forth((kernel != 0).astype(np.uint8)).reshape(spread.target)
    found = []
    for axis in range(2, used.ndim):
        others = tuple(k for k in range(used.ndim) if k != axis)
        found.append(np.flatnonzero(used.any(axis=others)).tolist())
    return found


def _candidates(widest: Chain, channels: int, taps: Sequence[Sequence[int]], bias: bool, seconds: float) -> Iterator[Chain]:
    """Transposed convolutions that read what these taps read, the cheapest first."""
    layer = next(layer for layer in widest if isinstance(layer, ConvTranspose))
    budget = Budget(seconds)
    words = words_of(widest, channels, layer.axes)
    windows = [_narrowed(window_of(word, budget), widest, axis, used) for axis, (word, used) in enumerate(zip(words, taps, strict=True))]
    frame = Frame(channels, channels_through(widest, channels)[-1], layer.groups, bias)
    chains = [chain for item in proposals("transposed", windows, frame) for chain in spellings(item.layers)]
    yield from sorted(dict.fromkeys(chains), key=lambda chain: (cost_of(chain, channels).multiplications, len(chain), _uneven(chain)))


def _uneven(chain: Chain) -> int:
    """How far a chain is from what frameworks without uneven pads can say."""
    return sum(abs(before - after) for layer in chain if isinstance(layer, ConvTranspose) for before, after in layer.padding)


def _narrowed(window: Window, widest: Sequence[Layer], axis: int, taps: Sequence[int]) -> Window:
    """The window of the taps in use: output o reads i through tap x where s i + d x = o + pb."""
    layer = next(layer for layer in widest if isinstance(layer, ConvTranspose))
    step, gap, kept = layer.stride[axis], layer.dilation[axis], set(taps)
    offset = _offset(widest, axis)
    support = tuple(
        tuple(i for i in reads if (o + offset - step * i) % gap == 0 and (o + offset - step * i) // gap in kept)
        for o, reads in enumerate(window.support)
    )
    return attrs.evolve(window, support=support)


def _offset(widest: Sequence[Layer], axis: int) -> int:
    """pb, with what is cropped (or, negative, padded) behind."""
    from symconv.layers import Pad

    layer = next(layer for layer in widest if isinstance(layer, ConvTranspose))
    behind = sum(-layer.amounts[axis][0] for layer in widest if isinstance(layer, Pad) and isinstance(layer.amounts, tuple))
    return layer.padding[axis][0] + behind


def _outside(choice: Choice, kernel: np.ndarray, bias: np.ndarray | None) -> str:
    """Why the weights are none of the candidate's, or ""."""
    assert choice.moves is not None, "it was decided"
    transfer = Transfer.of_kernel(choice.moves)
    if transfer is None or transfer.back(kernel) is None:
        return "no: because its weights are not those of a transposed convolution"
    if bias is not None:
        tied = Transfer.of_bias(choice.moves)
        if tied is None or tied.back(bias) is None:
            return "no: because its biases differ between the phases of one output channel, where a transposed convolution has one bias"
    return ""

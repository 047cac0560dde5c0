"""Why two parts differ, in one sentence: bends that converters make, tried and proved.

Owns: `explain_layers`, `Cause`.
Must not know: graphs' structure, runtimes.

A cause is proved if undoing that bend, and nothing else, makes the two parts identical. The first that is proved is said.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from symconv.errors import LayerError
from symconv.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Identity,
    Layer,
    Pad,
    Pointwise,
    PReLU,
    Shuffle,
    Unshuffle,
    Weights,
)
from symconv.layers.expression import format_layer
from symconv.prove.graphs.dataflow import Operation
from symconv.prove.graphs.stretches import same_parts
from symconv.prove.graphs.weighting import weights_cause

Chain = tuple[tuple[Layer, ...], tuple[Weights | None, ...]]
MOST_TRIES = 120
FIELDS = {
    "padding": "padding", "output_padding": "output padding", "dilation": "dilation", "stride": "stride", "groups": "groups",
    "kernel": "kernel", "order": "channel order", "factor": "factor", "mode": "mode", "amounts": "amounts", "eps": "eps",
    "align_corners": "align_corners", "ceil_mode": "ceil_mode", "count_include_pad": "count_include_pad", "padding_mode": "padding mode",
    "divisor_override": "divisor", "num_parameters": "number of slopes",
}  # fmt: skip
"""Fields of layers as people say them."""


@attrs.frozen
class Cause:
    """One sentence, and whether it was proved to be all that differs."""

    text: str
    proved: bool = True


def explain_layers(
    left_operations: Sequence[Operation],
    right_operations: Sequence[Operation],
    left: Chain,
    right: Chain,
    channels: int | None,
    seconds: float,
) -> Cause | None:
    """The first cause that is found for two chains that differ, or None."""
    names = tuple(_named(operations) for operations in (left_operations, right_operations))
    one, two = _plain(left), _plain(right)
    found = _place_by_place(one, two, names[0] or names[1])
    if found is not None:
        return found
    deadline = time.monotonic() + seconds
    for text, a, b in itertools.islice(_bends(one, two), MOST_TRIES):
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        if same_parts(a, b, channels, min(remaining, 5.0)):
            return Cause(text)
    return None


def _named(operations: Sequence[Operation]) -> str:
    """The operation that a sentence is about: the last one with weights, else the last."""
    with_weights = [
        op for op in operations if op.stretch and any(isinstance(x, (Conv, ConvTranspose, BatchNorm)) for x in op.stretch.layers)
    ]
    chosen = with_weights[-1:] or list(operations[-1:])
    return f"`{chosen[0].name}`" if chosen else ""


def _plain(chain: Chain) -> Chain:
    kept = [(layer, own) for layer, own in zip(*chain, strict=True) if not isinstance(layer, Identity)]
    return tuple(layer for layer, _ in kept), tuple(own for _, own in kept)


# --- the same layers, but for one ---------------------------------------------------------------------------------


def _place_by_place(left: Chain, right: Chain, name: str) -> Cause | None:
    """Chains of the same kinds of layers in which one place differs: what differs there is the cause, and it is all there is."""
    if [type(layer) for layer in left[0]] != [type(layer) for layer in right[0]]:
        return None
    places = [
        k for k, (a, b, v, w) in enumerate(zip(left[0], right[0], left[1], right[1], strict=True)) if a != b or not _same_weights(v, w)
    ]
    if len(places) != 1:
        return None
    k = places[0]
    one, two, v, w = left[0][k], right[0][k], left[1][k], right[1][k]
    of = name if len(left[0]) == 1 else f"{name} ({type(one).__name__})"
    fields = [field.name for field in attrs.fields(type(one)) if getattr(one, field.name) != getattr(two, field.name)]
    if fields in ([], ["bias"]):
        text = None if v is None or w is None else weights_cause(one, v, w, of)
        return None if text is None else Cause(text)
    if not _same_weights(v, w) or "bias" in fields:
        return None
    if isinstance(one, Pointwise) and isinstance(two, Pointwise) and one.name != two.name:
        return Cause(f"`{_short(one)}` became `{_short(two)}` at {of}")
    texts = [_field(one, two, field) for field in fields if field in FIELDS or field == "arguments"]
    return Cause(f"{', '.join(texts)} at {of}") if len(texts) == len(fields) else None


def _same_weights(left: Weights | None, right: Weights | None) -> bool:
    if left is None or right is None:
        return left is right
    pairs = [(getattr(left, n), getattr(right, n)) for n in ("kernel", "bias", "mean", "variance")]
    return all((a is None) == (b is None) and (a is None or np.array_equal(a, b)) for a, b in pairs)


def _short(layer: Layer) -> str:
    try:
        return format_layer(layer)
    except LayerError:
        return type(layer).__name__


def _field(one: Any, two: Any, field: str) -> str:
    a, b = getattr(one, field), getattr(two, field)
    if field == "order":
        return order_text(one, a, b)
    if field == "padding" and isinstance(a, tuple) and isinstance(b, tuple):
        was, now = (tuple(item if isinstance(item, tuple) else (item, item) for item in pads) for pads in (a, b))  # poolings pad alike
        return pads_text(was, now)
    if field == "amounts" and isinstance(a, tuple) and isinstance(b, tuple):
        return pads_text(a, b) if any(x > 0 for pair in (*a, *b) for x in pair) else pads_text(_negated(a), _negated(b), "crops")
    if field == "arguments":
        return f"`{_short(one)}` became `{_short(two)}`"
    return f"{FIELDS[field]} {_value(a)} became {_value(b)}"


def _negated(pads: Any) -> Any:
    return tuple((-x, -y) for x, y in pads)


def _value(value: Any) -> str:
    if isinstance(value, tuple) and len(set(value)) == 1:
        value = value[0]
    return str(value)


def order_text(layer: Layer, was: str, now: str) -> str:
    """What another channel order of a shuffle is called."""
    what = "depth-to-space reads" if isinstance(layer, Shuffle) else "space-to-depth writes"
    return f"{what} its channels in {now} order; the original used {was}"


def pads_text(was: Any, now: Any, what: str = "pads") -> str:
    """What other pads are called."""
    totals = [sum(pair) for pair in was] == [sum(pair) for pair in now]
    shifts = {b[0] - a[0] for a, b in zip(was, now, strict=True)} - {0}
    axes = [axis for axis, (a, b) in enumerate(zip(was, now, strict=True)) if a != b]
    where = "" if len(was) == 1 or len({*was}) == len({*now}) == 1 else f" on axis {', '.join(map(str, axes))}"
    a, b = (pads[axes[0]] if len({pads[axis] for axis in axes}) == 1 else pads for pads in (was, now))
    if totals and len(shifts) == 1:
        by = abs(shifts.pop())
        return f"{what} are shifted by {'one' if by == 1 else by}{where}: {b} instead of {a}"
    if len(was) > 1 and tuple(reversed(was)) == tuple(now):
        return f"{what} of the axes are swapped: {now} instead of {was}"
    return f"{what} are {b} instead of {a}{where}"


# --- bends --------------------------------------------------------------------------------------------------------

Bend = tuple[str, Chain, Chain]


def _bends(left: Chain, right: Chain) -> Iterator[Bend]:
    """Sentences, each with both chains after the bend is undone (on the right), or made (on the left)."""
    yield from _left_out(left, right)
    yield from _orders(left, right)
    yield from _flips(left, right)
    yield from _biases(left, right)
    yield from _shifts(left, right)
    yield from _ignored(left, right)
    yield from _permuted(left, right)


def _with(chain: Chain, k: int, layer: Layer | None = None, own: Weights | None = None) -> Chain:
    layers, weights = list(chain[0]), list(chain[1])
    layers[k] = layers[k] if layer is None else layer
    weights[k] = weights[k] if own is None else own
    return tuple(layers), tuple(weights)


def _without(chain: Chain, k: int) -> Chain:
    return chain[0][:k] + chain[0][k + 1 :], chain[1][:k] + chain[1][k + 1 :]


def _left_out(left: Chain, right: Chain) -> Iterator[Bend]:
    for k, layer in enumerate(left[0]):
        if len(left[0]) > len(right[0]) or isinstance(layer, (Pointwise, PReLU)):
            yield f"`{_short(layer)}` is missing on the right", _without(left, k), right
    for k, layer in enumerate(right[0]):
        if len(right[0]) > len(left[0]) or isinstance(layer, (Pointwise, PReLU)):
            yield f"`{_short(layer)}` is on the right only", left, _without(right, k)


def _orders(left: Chain, right: Chain) -> Iterator[Bend]:
    for chain, is_right in ((right, True), (left, False)):
        for k, layer in enumerate(chain[0]):
            if isinstance(layer, (Shuffle, Unshuffle)):
                other = "CRD" if layer.order == "DCR" else "DCR"
                changed = _with(chain, k, attrs.evolve(layer, order=other))
                if is_right:
                    yield order_text(layer, other, layer.order), left, changed
                else:
                    yield f"the channels are taken in {other} order; the original used {layer.order}", changed, right


def _flips(left: Chain, right: Chain) -> Iterator[Bend]:
    kinds = {type(layer) for layer in (*left[0], *right[0])} & {Conv, ConvTranspose}
    for k, own in enumerate(right[1]):
        layer = right[0][k]
        if own is None or not isinstance(layer, (Conv, ConvTranspose)):
            continue
        every = tuple(range(layer.axes))
        choices = [every, *((axis,) for axis in every if layer.axes > 1)]
        for axes in choices:
            flipped = attrs.evolve(own, kernel=np.flip(own.kernel, tuple(axis + 2 for axis in axes)))
            where = "" if axes == every else f" on axis {axes[0]}"
            word = "not reversed" if len(kinds) == 2 else "reversed"
            yield f"the kernel is {word}{where}", left, _with(right, k, own=flipped)
        if len(kinds) == 2:
            yield from _reversed_left(left, right)
        square = own.kernel.shape[0] == own.kernel.shape[1]
        if square:
            yield (
                "input and output channels of the kernel are swapped",
                left,
                _with(right, k, own=attrs.evolve(own, kernel=own.kernel.swapaxes(0, 1))),
            )
        if layer.axes == 2 and layer.kernel[0] == layer.kernel[1]:
            yield "the two axes of the kernel are swapped", left, _with(right, k, own=attrs.evolve(own, kernel=own.kernel.swapaxes(2, 3)))


def _reversed_left(left: Chain, right: Chain) -> Iterator[Bend]:
    """Conversions that move the taps as if the kernel were the reversed one."""
    for k, own in enumerate(left[1]):
        layer = left[0][k]
        if own is not None and isinstance(layer, (Conv, ConvTranspose)):
            every = tuple(range(layer.axes))
            for axes in [every, *((axis,) for axis in every if layer.axes > 1)]:
                turned = attrs.evolve(own, kernel=np.flip(own.kernel, tuple(axis + 2 for axis in axes)))
                where = "" if axes == every else f" on axis {axes[0]}"
                yield f"the kernel is not reversed as it must be{where}", _with(left, k, own=turned), right


def _biases(left: Chain, right: Chain) -> Iterator[Bend]:
    for chain, other, is_left in ((left, right, True), (right, left, False)):
        for k, own in enumerate(chain[1]):
            if own is None or own.bias is None or own.mean is not None or not np.any(own.bias):
                continue
            changed = _with(chain, k, own=attrs.evolve(own, bias=np.zeros_like(own.bias)))
            yield (
                ("the bias is missing", changed, other) if is_left else ("a bias is added that the original does not have", other, changed)
            )
    phases = next((layer.phases for layer in right[0] if isinstance(layer, (Shuffle, Unshuffle))), 1)
    for k, own in enumerate(right[1]):
        if own is not None and own.bias is not None and own.mean is None and phases > 1 and own.bias.size % phases == 0:
            once = np.asarray(own.bias)
            tiled, repeated = once.reshape(phases, -1).T.ravel(), once.reshape(-1, phases).T.ravel()
            yield "the bias is tiled over the phases; each one must be repeated", left, _with(right, k, own=attrs.evolve(own, bias=tiled))
            yield "each bias is repeated; they must be tiled over the phases", left, _with(right, k, own=attrs.evolve(own, bias=repeated))


def _shifts(left: Chain, right: Chain) -> Iterator[Bend]:
    for k, layer in enumerate(right[0]):
        if isinstance(layer, (Conv, ConvTranspose)):
            pads, field = layer.padding, "padding"
        elif isinstance(layer, Pad) and not isinstance(layer.amounts, int):
            pads, field = layer.amounts, "amounts"
        else:
            continue
        every = tuple(range(len(pads)))
        for by, axes in itertools.product((1, -1, 2, -2), [every, *((axis,) for axis in every if len(pads) > 1)]):
            moved = tuple((a + by, b - by) if axis in axes else (a, b) for axis, (a, b) in enumerate(pads))
            if field == "padding" and min(x for pair in moved for x in pair) < 0:
                continue
            yield pads_text(moved, pads), left, _with(right, k, _padded(layer, moved))
        if len(pads) > 1 and len(set(pads)) > 1:
            swapped = tuple(reversed(pads))
            yield pads_text(swapped, pads), left, _with(right, k, _padded(layer, swapped))


def _padded(layer: Conv | ConvTranspose | Pad, pads: Any) -> Layer:
    """The layer with other pads."""
    return attrs.evolve(layer, amounts=pads) if isinstance(layer, Pad) else attrs.evolve(layer, padding=pads)


def _ignored(left: Chain, right: Chain) -> Iterator[Bend]:
    """Bends made on the left: a hyper-parameter taken as its default, pads shifted or swapped."""
    for k, layer in enumerate(left[0]):
        if not isinstance(layer, (Conv, ConvTranspose)):
            continue
        ones = (1,) * layer.axes
        if any(d != 1 for d in layer.dilation):
            yield f"dilation {_value(layer.dilation)} is ignored", _with(left, k, attrs.evolve(layer, dilation=ones)), right
        if len(set(layer.padding)) > 1:
            swapped = tuple(reversed(layer.padding))
            yield pads_text(layer.padding, swapped), _with(left, k, attrs.evolve(layer, padding=swapped)), right
        if not isinstance(layer, ConvTranspose):
            continue
        none = (0,) * layer.axes
        if any(layer.output_padding):
            changed = _with(left, k, attrs.evolve(layer, output_padding=none))
            yield f"output padding {_value(layer.output_padding)} became 0", changed, right
            grown = tuple((0, extra) for extra in layer.output_padding)
            (layers, weights), rest = changed, slice(k + 1, None)
            zeros = (*layers[: k + 1], Pad(grown), *layers[rest]), (*weights[: k + 1], None, *weights[rest])
            yield "output padding is taken for zero padding", zeros, right
        for by in (1, -1, 2, -2):
            moved = tuple((a + by, b - by) for a, b in layer.padding)
            lowest = min(x for pair in moved for x in pair)
            if lowest >= 0:
                text = f"the output is shifted by {'one sample' if abs(by) == 1 else f'{abs(by)} samples'}: "
                yield (
                    text + f"it crops {moved[0]} where the original crops {layer.padding[0]}",
                    _with(left, k, attrs.evolve(layer, padding=moved)),
                    right,
                )
            elif all(
                a + by >= 0 and b - by < 0 and op + by - b < max(s, d)
                for (a, b), op, s, d in zip(layer.padding, layer.output_padding, layer.stride, layer.dilation, strict=True)
            ):
                cropped = tuple((a + by, 0) for a, _ in layer.padding)
                extra = tuple(op + by - b for (_, b), op in zip(layer.padding, layer.output_padding, strict=True))
                made = attrs.evolve(layer, padding=cropped, output_padding=extra)
                yield (
                    f"the output is shifted by {abs(by)}: it crops {cropped[0]} where the original crops {layer.padding[0]}",
                    _with(left, k, made),
                    right,
                )


def _permuted(left: Chain, right: Chain) -> Iterator[Bend]:
    """Channels of groups that are interleaved where they must follow one another."""
    for k, own in enumerate(right[1]):
        layer = right[0][k]
        grouped = next((x.groups for x in (*right[0], *left[0]) if isinstance(x, (Conv, ConvTranspose)) and x.groups > 1), 1)
        if own is None or grouped == 1 or not isinstance(layer, (Conv, ConvTranspose)):
            continue
        count = own.kernel.shape[0]
        if count % grouped:
            continue
        for parts in dict.fromkeys((grouped, count // grouped)):
            order = np.arange(count).reshape(-1, parts).T.ravel()
            bias = None if own.bias is None or own.bias.size != count else own.bias[order]
            changed = attrs.evolve(own, kernel=own.kernel[order], bias=own.bias if bias is None else bias)
            yield "the channels of the groups are interleaved; they must follow one another", left, _with(right, k, own=changed)
            yield (
                "the kernels of the groups are interleaved; they must follow one another",
                left,
                _with(right, k, own=attrs.evolve(own, kernel=own.kernel[order])),
            )

"""One chain written in the several ways that ONNX has for it.

Owns: `spellings`: pads inside or before a convolution, crops inside or after a transposed one, output padding or less of a crop,
dilation or taps of zero.
Must not know: which of them a target takes. Nothing here is trusted; what comes of it is decided.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from symconv.layers import Conv, ConvTranspose, Layer, Pad, Shuffle, Unshuffle

Chain = tuple[Layer, ...]


def spellings(chain: Chain, *, phase_major: bool = False) -> list[Chain]:
    """The ways to write a chain, without repetitions; with `phase_major` its shuffles in DCR order, where channels are free to move."""
    if phase_major and all(layer.groups == 1 for layer in chain if isinstance(layer, Conv)):
        chain = tuple(_phase_major(layer) for layer in chain)
    chain = tuple(part for layer in chain for part in _split(layer))
    found = dict.fromkeys([chain, _merged(chain)])
    for known in list(found):
        found |= dict.fromkeys(_transposed(known))
    for known in list(found):
        found |= dict.fromkeys([tuple(_dense(layer) for layer in known)])
    return list(found)


def _dense(layer: Layer) -> Layer:
    """A convolution with its dilation written out: taps of zero between the others."""
    if not isinstance(layer, (Conv, ConvTranspose)) or max(layer.dilation) == 1:
        return layer
    kernel = tuple(d * (k - 1) + 1 for k, d in zip(layer.kernel, layer.dilation, strict=True))
    if isinstance(layer, ConvTranspose) and any(op >= s for op, s in zip(layer.output_padding, layer.stride, strict=True)):
        return layer
    return attrs.evolve(layer, kernel=kernel, dilation=(1,) * len(kernel))


def _phase_major(layer: Layer) -> Layer:
    if not isinstance(layer, (Shuffle, Unshuffle)) or not isinstance(layer.factor, tuple):
        return layer
    return attrs.evolve(layer, order="DCR") if len(layer.factor) == 2 and len(set(layer.factor)) == 1 else layer


def _split(layer: Layer) -> tuple[Layer, ...]:
    """A padding that crops and extends as a crop, then an extension: two nodes."""
    if not isinstance(layer, Pad) or layer.mode != "zeros":
        return (layer,)
    amounts = _amounts(layer)
    return (*_pad([(min(b, 0), min(e, 0)) for b, e in amounts]), *_pad([(max(b, 0), max(e, 0)) for b, e in amounts]))


def _merged(chain: Chain) -> Chain:
    """Zero padding that precedes a convolution in its pads, a crop that follows a transposed one in its."""
    out: list[Layer] = []
    for layer in chain:
        before = out[-1] if out else None
        if isinstance(layer, Conv) and layer.padding_mode == "zeros" and isinstance(before, Pad) and before.mode == "zeros":
            amounts = _amounts(before)
            if min(map(min, amounts)) >= 0:
                out.pop()
                layer = attrs.evolve(layer, padding=tuple((p + b, q + e) for (p, q), (b, e) in zip(layer.padding, amounts, strict=True)))
        elif isinstance(layer, Pad) and layer.mode == "zeros" and isinstance(before, ConvTranspose):
            amounts = _amounts(layer)
            if max(map(max, amounts)) <= 0:
                pads = tuple((p - b, q - e) for (p, q), (b, e) in zip(before.padding, amounts, strict=True))
                out[-1] = attrs.evolve(before, padding=pads)
                continue
        out.append(layer)
    return tuple(out)


def _transposed(chain: Chain) -> Iterator[Chain]:
    """The chain with its transposed convolution without output padding, and with pads alike on both sides."""
    for position, layer in enumerate(chain):
        if isinstance(layer, ConvTranspose):
            for other in (_without_output_padding(layer), _balanced(layer), _widened(layer)):
                if other is not None:
                    yield (*chain[:position], other, *chain[position + 1 :])


def _without_output_padding(layer: ConvTranspose) -> ConvTranspose | None:
    """Crops less at the end instead."""
    pads = tuple((b, e - more) for (b, e), more in zip(layer.padding, layer.output_padding, strict=True))
    if any(e < 0 for _, e in pads):
        return None
    return attrs.evolve(layer, padding=pads, output_padding=(0,) * len(pads))


def _balanced(layer: ConvTranspose) -> ConvTranspose | None:
    """Crops as much at the end as before, and takes back the rest as output padding."""
    more = tuple(extra + b - e for (b, e), extra in zip(layer.padding, layer.output_padding, strict=True))
    if any(not 0 <= extra < max(s, d) for extra, s, d in zip(more, layer.stride, layer.dilation, strict=True)):
        return None
    return attrs.evolve(layer, padding=tuple((b, b) for b, _ in layer.padding), output_padding=more)


def _widened(layer: ConvTranspose) -> ConvTranspose | None:
    """Taps of zero at one end, so that pads alike on both sides and no output padding give the same output extent."""
    kernel, pads = [], []
    for k, d, (before, end), extra in zip(layer.kernel, layer.dilation, layer.padding, layer.output_padding, strict=True):
        missing = before - (end - extra)
        if missing % d:
            return None
        kernel.append(k + abs(missing) // d)
        pads.append((max(before, before - missing),) * 2)
    return attrs.evolve(layer, kernel=tuple(kernel), padding=tuple(pads), output_padding=(0,) * len(pads))


def _amounts(pad: Pad) -> tuple[tuple[int, int], ...]:
    assert isinstance(pad.amounts, tuple), "chains are bound"
    return pad.amounts


def _pad(amounts: list[tuple[int, int]]) -> tuple[Pad, ...]:
    return (Pad(tuple(amounts)),) if any(any(pair) for pair in amounts) else ()

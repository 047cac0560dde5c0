"""Planted faults: what a wrong conversion would look like, to show that cross-validation sees it.

Owns: `FAULTS`, `plant`. Must not know: how faults are found.

Each fault changes the carried side alone, so the other side and the reference stay right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from symconv.conformance.instances import Instance
from symconv.conformance.pairing import Given, Pairing, parametric
from symconv.layers import Conv, ConvTranspose, Layer, Pad, Shuffle, Weights

Planted = tuple[Pairing, Callable[[Instance], Instance]]


def plant(name: str, pairing: Pairing, chance: np.random.Generator) -> Planted | None:
    """The pairing with one fault, and the change of its instances; None where the fault has no place.

    Args:
        name: a key of `FAULTS`.
        pairing: one whose carried side gets the fault.
        chance: where it goes, if there is a choice.
    """
    return FAULTS[name](pairing, chance)


def _side(pairing: Pairing) -> str:
    return "left" if pairing.free == "right" else "right"


def _weights_changed(pairing: Pairing, change: Callable[[Weights], Weights | None]) -> Callable[[Instance], Instance]:
    side, at = _side(pairing), parametric(pairing.carried)[0][0]

    def changed(instance: Instance) -> Instance:
        given: Given = getattr(instance, side)
        own = given[at]
        assert own is not None
        new = (*given[:at], change(own), *given[at + 1 :])
        return attrs.evolve(instance, left=new) if side == "left" else attrs.evolve(instance, right=new)

    return changed


def _tap_moved(pairing: Pairing, chance: np.random.Generator) -> Planted | None:
    """Two neighbouring taps of one channel pair change places."""
    if not parametric(pairing.carried) or int(np.prod(getattr(_kernel(pairing), "kernel", (1,)))) < 2:
        return None
    draw = float(chance.random())

    def moved(own: Weights) -> Weights:
        kernel = np.array(own.kernel)
        rows = kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
        places = np.argwhere(rows[:, :-1] != rows[:, 1:])
        if len(places):
            row, tap = places[int(draw * len(places))]
            rows[row, [tap, tap + 1]] = rows[row, [tap + 1, tap]]
        return attrs.evolve(own, kernel=kernel)

    return pairing, _weights_changed(pairing, moved)


def _kernel(pairing: Pairing) -> Conv | ConvTranspose:
    layer: Any = parametric(pairing.carried)[0][1]
    return layer


def _bias_untied(pairing: Pairing, chance: np.random.Generator) -> Planted | None:
    """One of the biases that should be equal is not."""
    if not parametric(pairing.carried) or not getattr(_kernel(pairing), "bias", False):
        return None
    at = float(chance.random())

    def untied(own: Weights) -> Weights:
        bias = np.array(own.bias)
        bias[int(at * len(bias))] += 1
        return attrs.evolve(own, bias=bias)

    return pairing, _weights_changed(pairing, untied)


def _other_order(pairing: Pairing, chance: np.random.Generator) -> Planted | None:
    """DCR where CRD is meant."""

    def turned(layer: Layer) -> Layer:
        return attrs.evolve(layer, order="DCR" if layer.order == "CRD" else "CRD") if isinstance(layer, Shuffle) else layer

    return _layers_changed(pairing, turned)


def _pad_shifted(pairing: Pairing, chance: np.random.Generator) -> Planted | None:
    """One sample of padding (or of a crop) on the wrong side."""
    done = False

    def shifted(layer: Layer) -> Layer:
        nonlocal done
        pads = layer.padding if isinstance(layer, (Conv, ConvTranspose)) else layer.amounts if isinstance(layer, Pad) else ()
        if done or isinstance(pads, int):
            return layer
        for axis, (before, after) in enumerate(pads):
            if before > 0 or after > 0 or (isinstance(layer, Pad) and (before or after)):
                done = True
                step = 1 if before > 0 or (before == 0 and after < 0) else -1
                moved = (*pads[:axis], (before - step, after + step), *pads[axis + 1 :])
                return attrs.evolve(layer, **{"amounts" if isinstance(layer, Pad) else "padding": moved})
        return layer

    return _layers_changed(pairing, shifted)


def _layers_changed(pairing: Pairing, change: Callable[[Layer], Layer]) -> Planted | None:
    chain = tuple(map(change, pairing.carried))
    if chain == pairing.carried:
        return None
    changed = attrs.evolve(pairing, left=chain) if _side(pairing) == "left" else attrs.evolve(pairing, right=chain)
    return changed, lambda instance: instance


FAULTS: dict[str, Callable[[Pairing, np.random.Generator], Planted | None]] = {
    "a tap moved": _tap_moved,
    "a bias untied": _bias_untied,
    "DCR for CRD": _other_order,
    "a pad shifted": _pad_shifted,
}
"""Name to what plants it."""

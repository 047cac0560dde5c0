"""What a target cannot run, and which layers that rules out.

Owns: `Constraints`, how they are written.
Must not know: how candidates are made, ONNX.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from symconv.errors import UsageError
from symconv.layers import Conv, ConvTranspose, Layer, Shuffle, Unshuffle

SWITCHES = ("symmetric-pads", "no-output-padding", "no-groups", "no-dilation", "no-transposed-convolution", "no-depth-to-space")
STRIDE = "max-stride"


@attrs.frozen
class Constraints:
    """What a target asks of every layer that is written for it.

    Args:
        stride: the largest stride, or None.
        switches: those of SWITCHES that are on.
    """

    stride: int | None = None
    switches: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Constraints:
        """Constraints as `max-stride=2,symmetric-pads`, in one text or several.

        Raises:
            UsageError: a word that is none of them.
        """
        stride, switches = None, set[str]()
        for word in (part.strip() for text in texts for part in text.split(",")):
            name, equals, value = word.partition("=")
            if name == STRIDE and value.isascii() and value.isdigit() and int(value[:9]) >= 1 and len(value) < 10:
                stride = int(value) if stride is None else min(stride, int(value))
            elif word in SWITCHES and not equals:
                switches.add(word)
            elif word:
                listed = ", ".join((f"{STRIDE}=N", *SWITCHES))
                raise UsageError(f"`--target` takes {listed}, separated by commas; found {word[:60]!r}.")
        return cls(stride, frozenset(switches))

    @property
    def words(self) -> tuple[str, ...]:
        """The constraints as they are written, in a fixed order."""
        first = () if self.stride is None else (f"{STRIDE}={self.stride}",)
        return (*first, *(word for word in SWITCHES if word in self.switches))

    @property
    def depth_to_space(self) -> bool:
        """Whether DepthToSpace and SpaceToDepth may be written."""
        return "no-depth-to-space" not in self.switches

    def broken_by(self, layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
        """(constraint, what breaks it) for each that a chain does not keep. Shuffles are spelled as the target needs them."""
        for layer in layers:
            if isinstance(layer, (Conv, ConvTranspose)):
                yield from self._broken(layer)

    def _broken(self, layer: Conv | ConvTranspose) -> Iterator[tuple[str, str]]:
        name = "transposed convolution" if isinstance(layer, ConvTranspose) else "convolution"
        if self.stride is not None and max(layer.stride) > self.stride:
            yield f"{STRIDE}={self.stride}", f"its {name} has stride {_plain(layer.stride)}"
        if "symmetric-pads" in self.switches and any(before != after for before, after in layer.padding):
            yield "symmetric-pads", f"its {name} has pads {_plain(layer.padding)}"
        if "no-groups" in self.switches and layer.groups > 1:
            yield "no-groups", f"its {name} has {layer.groups} groups"
        if "no-dilation" in self.switches and max(layer.dilation) > 1:
            yield "no-dilation", f"its {name} has dilation {_plain(layer.dilation)}"
        if isinstance(layer, ConvTranspose):
            if "no-output-padding" in self.switches and max(layer.output_padding) > 0:
                yield "no-output-padding", f"its {name} has output padding {_plain(layer.output_padding)}"
            if "no-transposed-convolution" in self.switches:
                yield "no-transposed-convolution", "it is a transposed convolution"


def is_shuffle(layer: Layer) -> bool:
    """Whether the layer is one that `no-depth-to-space` is about."""
    return isinstance(layer, (Shuffle, Unshuffle))


def _plain(values: Sequence[object]) -> str:
    """One value where all axes have the same."""
    return str(values[0] if len(set(values)) == 1 else tuple(values))

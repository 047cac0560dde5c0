"""One ONNX operation with its inputs, as rules see it.

Owns: `Call`, `axes_of`.
Must not know: what operators compute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from symconv.conformance.graphs.operators import axis_of, integers
from symconv.conformance.graphs.traced import Arithmetic, Traced
from symconv.errors import OutsideFragment

Inputs = Sequence[Traced | None]
Rule = Callable[[Arithmetic, "Call"], "Traced | list[Traced]"]


@attrs.frozen(eq=False)
class Call:
    """One operation with its inputs.

    Args:
        inputs: values; None where an optional one is left out.
        attributes: as the front end wrote them out.
        outputs: how many outputs there are.
    """

    inputs: Inputs
    attributes: Mapping[str, Any]
    outputs: int

    def __getitem__(self, place: int) -> Traced:
        found = self.get(place)
        if found is None:
            raise OutsideFragment(f"input {place} is left out")
        return found

    def get(self, place: int) -> Traced | None:
        """An input that may be left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    @property
    def rank(self) -> int:
        """The rank of the first input."""
        return self[0].value.ndim


def axes_of(call: Call, place: int = 1) -> list[int] | None:
    """The axes that an optional input names, counted from the front."""
    held = call.get(place)
    return None if held is None else [axis_of(axis, call.rank) for axis in integers(held)]

"""What a module's conversion says: a record of every layer, the new module, checkpoints both ways.

Owns: `LayerChange`, `ModuleConversion`.
Must not know: how layers are found or replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from torch import nn

from symconv.convert.conversion import Conversion
from symconv.convert.torch_modules.checkpoint import Rule, translate

SCHEMA = "symconv.convert-module/1"

CONVERTED, NO, REFUSED, UNKNOWN, LEFT_OUT = "converted", "no", "refused", "unknown", "left out"


@attrs.frozen(kw_only=True)
class LayerChange:
    """What was done to one layer of a module.

    Args:
        name: its first dotted name; "" is the module itself. `names` are all of them, if it stands at several places.
        before: the layer, with the neighbours that are replaced with it, as an expression (the class's name where it cannot be read).
        after: what it was rewritten to, or None.
        status: "converted"; "no": the form does not exist for it; "refused": it cannot be replaced as it stands; "unknown"; "left out".
        reason: why it was not converted, or None.
        conversion: the decision and its certificate, shared by all layers with these hyper-parameters; None where it was not asked.
        assumptions: what the replacement rests on besides the proof.
        exact: whether every weight is moved bit for bit (False: some are sums of given ones, rounded once).
    """

    name: str
    names: tuple[str, ...]
    before: str
    after: str | None = None
    status: str
    reason: str | None = None
    conversion: Conversion | None = attrs.field(default=None, repr=False)
    assumptions: tuple[str, ...] = ()
    exact: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values only; the conversion as `Conversion.to_dict` gives it."""
        fields = {name: getattr(self, name) for name in ("name", "before", "after", "status", "reason", "exact")}
        return {
            **fields,
            "names": list(self.names),
            "assumptions": list(self.assumptions),
            "conversion": None if self.conversion is None else self.conversion.to_dict(),
        }


@attrs.frozen(kw_only=True, repr=False)
class ModuleConversion:
    """A module with its layers rewritten.

    Args:
        module: the new module. It shares no tensor with the given one, which is left as it was.
        to: the form.
        layers: every layer that the form concerns, in the module's order.
        tie: whether parameters are tied (see `convert_module`).
        parameters: of the given and of the new module.
    """

    module: nn.Module
    to: str
    layers: tuple[LayerChange, ...]
    tie: bool = False
    parameters: tuple[int, int]
    rules: tuple[Rule, ...] = ()

    @property
    def converted(self) -> tuple[LayerChange, ...]:
        """The layers that were rewritten."""
        return tuple(layer for layer in self.layers if layer.status == CONVERTED)

    def convert_state_dict(self, state: Mapping[str, Any] | str | Path, *, prefix: str = "", strict: bool = True) -> dict[str, Any]:
        """A checkpoint of the given module as one of the new module.

        Args:
            state: a state_dict, or the path of a file: safetensors, or what torch.load reads with weights_only=True.
            prefix: what stands before every name, for instance "module.".
            strict: whether every rewritten layer's parameters must be there.

        Returns:
            A dict in the same order; tensors of other layers are the very same objects, rewritten ones are new, dtype and device kept.

        Raises:
            ModelError: a name is missing, would be overwritten, or holds a tensor of another shape; or the file cannot be read so.
        """
        return translate(state, self.rules, forth=True, prefix=prefix, strict=strict)

    def revert_state_dict(self, state: Mapping[str, Any] | str | Path, *, prefix: str = "", strict: bool = True) -> dict[str, Any]:
        """A checkpoint of the new module as one of the given module, bit for bit.

        Raises:
            ModelError: as `convert_state_dict`; or a weight is not one that the given layer can have (its structural zeros or tied biases
                were trained apart), or taps were added up in the conversion.
        """
        return translate(state, self.rules, forth=False, prefix=prefix, strict=strict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, with plain values only."""
        return {
            "schema": SCHEMA,
            "to": self.to,
            "tie": self.tie,
            "parameters": {"before": self.parameters[0], "after": self.parameters[1]},
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def __repr__(self) -> str:
        return f"ModuleConversion(to={self.to!r}, {len(self.converted)} of {len(self.layers)} layers converted)"

"""The weights of one layer as bits: where they are held, of which element type, and what makes them unfit to be moved.

Owns: `Held`, `held_by`.
Must not know: where they go.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import attrs
import numpy as np

from symconv.errors import ModelError
from symconv.frontends.onnx.graph import OnnxModel
from symconv.frontends.onnx.tensors import DTYPES

FLOATS = {"FLOAT": np.uint32, "DOUBLE": np.uint64, "FLOAT16": np.uint16, "BFLOAT16": np.uint16}
"""Element types that weights may have, and the integers that their bits are moved as."""
LARGEST = 1 << 31


@attrs.frozen(eq=False)
class Held:
    """A tensor of weights.

    Args:
        name: the value's name.
        dtype: ONNX's name of the element type.
        shape: its extents.
        external: whether its content lies in another file.
        load: its bits, flat, as unsigned integers; read when asked for.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    external: bool
    load: Callable[[], np.ndarray]

    @property
    def bytes(self) -> int:
        """Size of the content."""
        return math.prod(self.shape) * np.dtype(FLOATS[self.dtype]).itemsize


def held_by(model: OnnxModel, name: str | None, what: str) -> Held | str:
    """The tensor behind a value, or why it cannot be moved."""
    if name is None:
        return f"its {what} is computed while the model runs, so there are no weights to move"
    if name in model.overridable:
        return f"its {what} `{name}` is an input of the model too, so a caller may replace it"
    tensor = model.initializer(name)
    if tensor is not None:
        if tensor.dtype not in FLOATS:
            return f"its {what} `{name}` has elements of type {tensor.dtype}"
        return Held(name, tensor.dtype, tensor.shape, tensor.external, lambda: _bits(tensor.array(), tensor.dtype))
    try:
        found = model.constant(name, LARGEST)
    except (ModelError, MemoryError) as error:
        return f"its {what} `{name}` cannot be read: {error}"
    types = {code: text for text, code in DTYPES.items() if text in FLOATS and text != "BFLOAT16"}
    dtype = None if found is None else types.get(found.dtype.newbyteorder("<").str)
    brief = any(item.data_type == item.BFLOAT16 for item in model.proto.graph.initializer)  # constants of it are read as float32
    if found is None or dtype is None or brief:
        return f"its {what} `{name}` is computed while the model runs, so there are no weights to move"
    return Held(name, dtype, found.shape, False, lambda: _bits(found, dtype))


def digest(bits: np.ndarray) -> str:
    """SHA-256 of the content as it is stored, in hexadecimal."""
    little = bits if bits.dtype.byteorder != ">" else bits.byteswap()
    return hashlib.sha256(np.ascontiguousarray(little).reshape(-1).view(np.uint8).data).hexdigest()


def _bits(array: np.ndarray, dtype: str) -> np.ndarray:
    flat = np.ascontiguousarray(array).reshape(-1)
    if dtype == "BFLOAT16":
        return (flat.view(np.uint32) >> 16).astype(np.uint16)
    return flat.view(FLOATS[dtype])

"""One layer of a model as a model of its own, as it stands and as it would be written, with any weights.

Owns: `Excerpt`, `side_values`.
Must not know: runtimes, what the excerpts are for.

The nodes are those of the file, and those that a change puts in. What the former take besides the layer's input and weights (targets of
Reshape, pads, sizes) is stored with the values that it has in one run of the whole model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs
import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from symconv.convert.choice import BACK, FORTH
from symconv.convert.onnx.bits import Transfer
from symconv.convert.onnx.emission import Names
from symconv.convert.onnx.graph_edit import written
from symconv.convert.onnx.plan import Change, Plan, Request
from symconv.convert.onnx.weights import FLOATS, Held
from symconv.errors import InternalError
from symconv.frontends.onnx.chains import Stretch
from symconv.frontends.onnx.graph import OnnxModel
from symconv.prove.reshuffle import has_bias

SIGNIFICANDS = {"FLOAT": 24, "DOUBLE": 53, "FLOAT16": 11}
NUMPY = {"FLOAT": "<f4", "DOUBLE": "<f8", "FLOAT16": "<f2"}
"""Element types that runtimes take from numpy; bits of weights are seen as these."""

Bits = dict[str, np.ndarray]


@attrs.frozen(eq=False)
class Excerpt:
    """A layer of a model.

    Args:
        model, stretch: where it stands.
        kernel, bias: its weights.
        side: what its nodes take besides, by the name of the value.
        extents: of its input as the runtime knows them in the whole; None where one is free.
    """

    model: OnnxModel
    stretch: Stretch
    kernel: Held
    bias: Held | None
    side: Mapping[str, np.ndarray]
    extents: tuple[int | None, ...]

    @property
    def dtype(self) -> str:
        """Numpy's name of the element type."""
        return NUMPY[self.kernel.dtype]

    @property
    def significand(self) -> int:
        """Bits of the element type's significand."""
        return SIGNIFICANDS[self.kernel.dtype]

    def own(self) -> Bits:
        """The weights that the file holds."""
        return {held.name: held.load() for held in self._held()}

    def integers(self, most: int, random: np.random.Generator, change: Change | None = None) -> Bits:
        """Integers up to a magnitude in their place, as bits; with a change, such as that can write."""
        found = {}
        for held in self._held():
            moves = None if change is None else change.kernel_moves if held is self.kernel else change.bias_moves
            back = change is not None and change.choice.way == BACK and moves is not None
            drawn = _bits(random.integers(-most, most + 1, moves.source if back and moves else held.shape), held.dtype)
            found[held.name] = moves.forth(drawn) if back and moves else drawn
        return found

    def given(self, weights: Bits) -> ModelProto:
        """The layer as it stands."""
        stored = [_tensor(held.name, held.dtype, held.shape, weights[held.name]) for held in self._held()]
        stored += [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in self.side.items()]
        return self._model([node.proto for node in self.stretch.nodes], stored)

    def changed(self, change: Change, request: Request, weights: Bits) -> ModelProto:
        """The layer as a change writes it."""
        names = Names((self.stretch.input, self.stretch.output, *(held.name for held in self._held())))
        moves = change.choice.moves
        assert moves is not None, "it was chosen"
        kernel = self._moved(change, self.kernel, change.kernel_moves, weights)
        bias, after = None, moves.target if change.choice.way == FORTH else moves.source
        if self.bias is not None and change.bias_moves is not None and has_bias(after):
            bias = self._moved(change, self.bias, change.bias_moves, weights)
        made = written(Plan(self.model, request, (), ()), change, self.kernel.name, None if bias is None else bias.name, names)
        constants = [numpy_helper.from_array(array, name) for name, array in made.constants.items()]
        return self._model(made.nodes, [kernel, *([] if bias is None else [bias]), *constants])

    def _held(self) -> Iterator[Held]:
        yield self.kernel
        if self.bias is not None:
            yield self.bias

    def _moved(self, change: Change, held: Held, moves: Transfer, weights: Bits) -> TensorProto:
        forth = change.choice.way == FORTH
        moved = moves.forth(weights[held.name]) if forth else moves.back(weights[held.name])
        if moved is None:
            raise InternalError(f"the weights `{held.name}` are not those that were planned with; the file changed while it was read")
        return _tensor(held.name, held.dtype, moves.target if forth else moves.source, moved)

    def _model(self, nodes: Sequence[NodeProto], stored: Sequence[TensorProto]) -> ModelProto:
        kind = TensorProto.DataType.Value(self.kernel.dtype)
        dims = [f"free_{axis}" if extent is None else extent for axis, extent in enumerate(self.extents)]
        inputs = [helper.make_tensor_value_info(self.stretch.input, kind, dims)]
        outputs = [helper.make_tensor_value_info(self.stretch.output, kind, None)]
        graph = helper.make_graph(list(nodes), "excerpt", inputs, outputs, list(stored))
        opsets = [helper.make_opsetid("", self.model.opset)]
        made: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=max(4, self.model.proto.ir_version))
        return made


def side_values(stretch: Stretch) -> list[str]:
    """The values that a layer's nodes take besides its input, its weights and each other's outputs."""
    inner = {stretch.input, stretch.kernel, stretch.bias} | {value for node in stretch.nodes for value in node.outputs}
    return list(dict.fromkeys(value for node in stretch.nodes for value in node.inputs if value and value not in inner))


def _tensor(name: str, dtype: str, shape: Sequence[int], bits: np.ndarray) -> TensorProto:
    little = bits if bits.dtype.byteorder != ">" else bits.byteswap()
    return TensorProto(
        name=name, data_type=TensorProto.DataType.Value(dtype), dims=shape, raw_data=np.ascontiguousarray(little).reshape(-1).tobytes()
    )


def _bits(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(NUMPY[dtype]).reshape(-1).view(FLOATS[dtype])

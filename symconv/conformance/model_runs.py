"""Two whole models run on the same inputs: where do their outputs part?

Owns: `find_witness`, `Runner`, `OnnxRunner`, `TorchRunner`.
Must not know: how graphs are compared.

Inputs are small integers. Where every weight is an integer too, every operator on the way keeps integers and all sums stay below
2^24, a run in float32 is exact, and so is what it shows. Elsewhere a difference counts only if it is larger than `MARGIN` of the
largest output, far beyond what rounding does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Protocol

import attrs
import numpy as np

from symconv.errors import ModelError
from symconv.layers import BatchNorm, Conv, ConvTranspose, Identity, Pad, Pointwise, PReLU, Shuffle, Unshuffle, Upsample, ZeroInsert
from symconv.layers.rearrange import ChannelShuffle
from symconv.prove.graphs.dataflow import Dataflow, Declared, Operation
from symconv.prove.graphs.folding import size_of

MARGIN = 2.0**-12
EXACT = Fraction(2**24)
MOST_SHOWN = 4096
SIZES = (4, 6, 8, 16, 5, 7, 32, 64, 128)
"""Extents that are tried where a model leaves one free."""
WHOLE = frozenset({"ReLU", "ReLU6", "Hardtanh"})
EXACT_OPERATORS = frozenset({
    "Abs", "Add", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "Max", "MaxPool", "Min", "Neg",
    "Pad", "ReduceMax", "ReduceMin", "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Sum", "Tile", "Transpose",
    "Unsqueeze",
})  # fmt: skip
"""Operators that keep integers and make none larger than their inputs, or than their sum."""

Arrays = dict[str, Any]


class Runner(Protocol):
    """A model that can be run."""

    name: str

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs, in order; raises whatever the runtime raises."""
        ...


@attrs.frozen
class Parting:
    """An input on which two models part.

    Args:
        inputs: name to array, by the left model's names.
        output: which output.
        at: the first place where they part, or None if the shapes differ.
        left, right: the values there, or the shapes.
        largest: the largest difference in that output; None if the shapes differ.
        exact: whether both runs are free of rounding.
        by: what ran them.
    """

    inputs: Arrays
    output: str
    at: tuple[int, ...] | None
    left: Any
    right: Any
    largest: float | None
    exact: bool
    by: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON object; values of inputs that are too many are left out, their seed and shape are not."""
        shown = {}
        for name, array in self.inputs.items():
            values = array.ravel().tolist() if array.size <= MOST_SHOWN else None
            shown[name] = {"shape": list(array.shape), "dtype": str(array.dtype), "values": values}
        return {
            "kind": "model",
            "inputs": shown,
            "output": self.output,
            "at": None if self.at is None else list(self.at),
            "left_value": _plain(self.left),
            "right_value": _plain(self.right),
            "largest_difference": self.largest,
            "exact": self.exact,
            "replayed_by": self.by,
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class OnnxRunner:
    """A model file in ONNX Runtime, on the CPU, without graph optimisations."""

    def __init__(self, path: str, names: Sequence[str]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        self.names = tuple(names)
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelError(f"`{path}` does not load in ONNX Runtime: {str(error).splitlines()[0][:200]}") from None

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs in the file's order."""
        return list(self._session.run(None, {name: inputs[name] for name in self.names}))


class TorchRunner:
    """A module in evaluation mode, in float64."""

    def __init__(self, module: Any, names: Sequence[str]) -> None:
        import copy

        import torch

        self.name = f"PyTorch {torch.__version__.split('+', maxsplit=1)[0]}"
        self.names = tuple(names)
        self._module = copy.deepcopy(module).double().eval()

    def run(self, inputs: Arrays) -> list[Any]:
        """The outputs, nested ones in order."""
        import torch

        with torch.no_grad():
            given = [
                torch.from_numpy(inputs[name].astype(np.float64) if inputs[name].dtype.kind == "f" else inputs[name]) for name in self.names
            ]
            found = self._module(*given)
        return [item.numpy() for item in _tensors(found)]


def _tensors(found: Any) -> Iterator[Any]:
    if hasattr(found, "numpy"):
        yield found
    elif isinstance(found, Mapping):
        for item in found.values():
            yield from _tensors(item)
    elif isinstance(found, (tuple, list)):
        for item in found:
            yield from _tensors(item)


def find_witness(
    left: Runner,
    right: Runner,
    graphs: tuple[Dataflow, Dataflow],
    pairs: Sequence[tuple[str, str]],
    outputs: Sequence[tuple[str, str]],
    seconds: float,
) -> tuple[Parting | None, int]:
    """The first input found on which the two models part, small ones first, or None; and how many inputs both accepted."""
    declared = {a: _meet(graphs[0].inputs[a], graphs[1].inputs[b]) for a, b in pairs}
    renamed = dict(pairs)
    deadline = time.monotonic() + seconds
    bounds = _Exactness(graphs)
    ran = 0
    for inputs in _candidates(declared):
        if time.monotonic() > deadline:
            return None, ran
        try:
            one = left.run(inputs)
            two = right.run({renamed[name]: array for name, array in inputs.items()})
        except Exception:  # the models, or the runtime, do not take these extents
            continue
        ran += 1
        names = [list(graph.outputs) for graph in graphs]
        for a, b in outputs:
            x, y = one[names[0].index(a)], two[names[1].index(b)]
            found = _part(x, y, a, inputs, bounds, f"{left.name}")
            if found is not None:
                return found, ran
    return None, ran


def _part(x: Any, y: Any, output: str, inputs: Arrays, bounds: _Exactness, by: str) -> Parting | None:
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape:
        return Parting(inputs, output, None, x.shape, y.shape, None, True, by)
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub" or not x.size:
        return None
    a, b = x.astype(np.float64), y.astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    gaps = np.abs(a - b)
    most = float(gaps.max())
    if not most:
        return None
    is_exact = bounds.holds(inputs)
    if not is_exact and most <= MARGIN * float(np.abs(a).max()):
        return None
    places = np.argwhere(gaps > (0 if is_exact else MARGIN * float(np.abs(a).max())))
    at = tuple(int(k) for k in places[0])
    return Parting(inputs, output, at, x[at].item(), y[at].item(), most, is_exact, by)


def _meet(one: Declared, two: Declared) -> Declared:
    """What both declarations allow."""
    dtype = two.dtype if one.dtype == "tensor" else one.dtype
    if one.dims is None or two.dims is None:
        return Declared(dtype, two.dims if one.dims is None else one.dims)
    return Declared(
        one.dtype, tuple(a if isinstance(a, int) else b if isinstance(b, int) else a or b for a, b in zip(one.dims, two.dims, strict=False))
    )


def _candidates(declared: Mapping[str, Declared]) -> Iterator[Arrays]:
    """Inputs of small integers at growing extents."""
    free = any(not isinstance(dim, int) for item in declared.values() for dim in (item.dims or ()))
    for size in SIZES if free else (1,):
        shapes = {name: _shape(item, size) for name, item in declared.items()}
        if any(shape is None for shape in shapes.values()):
            return
        for seed, make in enumerate(_VALUES):
            rng = np.random.default_rng(seed)
            yield {name: make(rng, shape or (), declared[name].dtype) for name, shape in shapes.items()}


def _shape(item: Declared, size: int) -> tuple[int, ...] | None:
    """Free first axes (batches) are 1, other free ones `size`."""
    if item.dims is None:
        return None
    return tuple(dim if isinstance(dim, int) else 1 if axis == 0 else size for axis, dim in enumerate(item.dims))


DTYPES = {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2", "INT64": "i8", "INT32": "i4", "BOOL": "?", "UINT8": "u1", "INT8": "i1"}
_Make = Callable[[Any, tuple[int, ...], str], Any]


def _integers(low: int, high: int) -> _Make:
    def make(rng: Any, shape: tuple[int, ...], dtype: str) -> Any:
        kind = np.dtype(DTYPES.get(dtype, "f4"))
        return rng.integers(low if kind.kind == "f" else 0, high, shape).astype(kind)

    return make


_RANGES = ((0, 4), (-3, 4), (1, 2), (-1, 1), (-64, 65), (0, 1), (-4096, 4097))
_VALUES: tuple[_Make, ...] = tuple(_integers(low, high) for low, high in _RANGES)


class _Exactness:
    """Whether runs of both models on given inputs are free of rounding."""

    def __init__(self, graphs: tuple[Dataflow, Dataflow]) -> None:
        self.graphs = graphs
        self._known: dict[int, bool] = {}

    def holds(self, inputs: Arrays) -> bool:
        """Both models compute integers below 2^24 only, on integers of this size."""
        most = max(1, *(int(np.abs(array.astype(np.float64)).max()) if array.size else 0 for array in inputs.values()))
        if most not in self._known:
            self._known[most] = all(_whole(graph.live(), Fraction(most)) for graph in self.graphs)
        return self._known[most]


def _whole(graph: Dataflow, most: Fraction) -> bool:
    sizes: dict[str, Fraction] = dict.fromkeys(graph.inputs, most)
    for operation in graph.operations:
        found = _grown(operation, graph, sizes)
        if found is None or found >= EXACT:
            return False
        sizes |= dict.fromkeys(operation.outputs, found)
    return True


def _grown(operation: Operation, graph: Dataflow, sizes: Mapping[str, Fraction]) -> Fraction | None:
    stretch = operation.stretch
    if stretch is not None:
        size: Fraction | None = sizes.get(stretch.source)
        for layer, own in zip(stretch.layers, stretch.weights(), strict=True):
            if size is None or not _keeps_integers(layer, own):
                return None
            size = size_of(layer, own, size)
            if size is None or size >= EXACT:
                return None
        return size
    if operation.op not in EXACT_OPERATORS:
        return None
    found = []
    for value in filter(None, operation.inputs):
        constant = graph.constants.get(value)
        if constant is None:
            if value not in sizes:
                return None
            found.append(sizes[value])
            continue
        array = np.asarray(constant.array())
        if array.dtype.kind == "f":
            if not np.array_equal(array, np.rint(array)):
                return None
            found.append(Fraction(float(np.abs(array).max())) if array.size else Fraction(0))
    if not found:
        return None
    return sum(found, Fraction(0)) if operation.growth == "sum" else max(found)


def _keeps_integers(layer: Any, own: Any) -> bool:
    if isinstance(layer, Pointwise):
        return layer.name in WHOLE and all(float(value).is_integer() for _, value in layer.arguments if not isinstance(value, str))
    if isinstance(layer, (Conv, ConvTranspose, PReLU)):
        return own is not None and all(array is None or np.array_equal(array, np.rint(array)) for array in (own.kernel, own.bias))
    if isinstance(layer, BatchNorm):
        plain = own is not None and layer.eps == 0 and bool((own.variance == 1).all())
        return plain and all(array is None or np.array_equal(array, np.rint(array)) for array in (own.kernel, own.bias, own.mean))
    if isinstance(layer, Upsample):
        return layer.mode.startswith("nearest")
    return isinstance(layer, (Identity, Pad, Shuffle, Unshuffle, ChannelShuffle, ZeroInsert))

"""Random ONNX graphs of layers and of operators around them, for tests of bounds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Growing:
    """A graph that grows by one operator at a time; all values are images (batch, channels, height, width) until the end."""

    def __init__(self, seed: int, *, integers: bool, opset: int = 17) -> None:
        self.rng, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.integers, self.opset = integers, opset
        self.nodes: list[Any] = []
        self.held: dict[str, np.ndarray] = {}
        self.count = 0
        self.shape = [self.rng.choice((1, 2)), self.rng.choice((2, 4)), self.rng.randint(4, 9), self.rng.randint(4, 9)]
        self.first = list(self.shape)
        self.value = "x"
        self.earlier: list[tuple[str, list[int]]] = [("x", list(self.shape))]

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.held)}"
        if self.integers:
            values = self.numbers.integers(-2, 3, shape)
        else:
            values = self.numbers.normal(size=shape) * 10.0 ** self.rng.choice((-2, 0, 0, 0, 1))
        self.held[name] = values.astype(np.float32)
        return name

    def whole(self, *numbers: int) -> str:
        name = f"i{len(self.held)}"
        self.held[name] = np.array(numbers, dtype=np.int64)
        return name

    def add(self, op: str, *more: str, shape: list[int] | None = None, source: str | None = None, **attributes: Any) -> str:
        self.count += 1
        out = f"v{self.count}"
        self.nodes.append(helper.make_node(op, [source or self.value, *more], [out], name=f"n{self.count}", **attributes))
        self.value, self.shape = out, list(self.shape if shape is None else shape)
        self.earlier.append((out, list(self.shape)))
        return out

    # --- steps ------------------------------------------------------------------------------------------------

    def conv(self) -> None:
        n, c, h, w = self.shape
        out, k, group = self.rng.choice((2, 4, 6)), self.rng.choice((1, 3)), self.rng.choice((1, 1, 2))
        more = [self.weight(out, c // group, k, k)] + ([self.weight(out)] if self.rng.random() < 0.6 else [])
        self.add("Conv", *more, shape=[n, out, h, w], pads=[k // 2] * 4, group=group)

    def conv_transpose(self) -> None:
        n, c, h, w = self.shape
        if h * w > 400:
            return self.conv()
        out = self.rng.choice((2, 4))
        more = [self.weight(c, out, 4, 4)] + ([self.weight(out)] if self.rng.random() < 0.6 else [])
        return self.add("ConvTranspose", *more, shape=[n, out, 2 * h, 2 * w], pads=[1] * 4, strides=[2, 2]) and None

    def arithmetic(self) -> None:
        op = self.rng.choice(("Add", "Sub", "Mul", "Max", "Min", "Sum"))
        c = self.shape[1]
        kind = self.rng.random()
        alike = [name for name, shape in self.earlier[:-1] if shape == self.shape]
        if kind < 0.6 and alike:
            other = self.rng.choice(alike)
            if op == "Mul" and self.integers:
                op = "Add"
        else:
            other = self.weight(*self.rng.choice(((1,), (c, 1, 1), (1, c, 1, 1), (1, 1, self.shape[2], 1))))
        first, second = (self.value, other) if self.rng.random() < 0.5 else (other, self.value)
        self.add(op, second, source=first)

    def divide(self) -> None:
        if self.integers:
            return self.arithmetic()
        name = self.weight(self.shape[1], 1, 1)
        self.held[name] = np.where(np.abs(self.held[name]) < 0.1, np.float32(0.7), self.held[name])
        return self.add("Div", name) and None

    def activation(self) -> None:
        op = self.rng.choice(("Relu", "Abs", "Neg", "LeakyRelu", "PRelu", "Clip", "HardSigmoid", "HardSwish", "Softsign"))
        if self.integers and op in ("LeakyRelu", "HardSigmoid", "HardSwish", "Softsign"):
            op = "Relu"
        if op == "LeakyRelu":
            self.add(op, alpha=self.rng.choice((0.01, 0.2, 1.5)))
        elif op == "HardSigmoid":
            self.add(op, alpha=0.3, beta=0.4)
        elif op == "PRelu":
            self.add(op, self.weight(self.shape[1], 1, 1))
        elif op == "Clip":
            low, high = self.weight(), self.weight()
            self.held[low], self.held[high] = np.float32(-3), np.float32(5) if self.integers else np.float32(2.7)
            self.add(op, low, high)
        else:
            self.add(op)

    def pool(self) -> None:
        n, c, h, w = self.shape
        if min(h, w) < 4:
            return self.activation()
        op = self.rng.choice(("MaxPool", "AveragePool", "AveragePool"))
        k, s, p = self.rng.choice(((2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 1, 0)))
        if self.integers and op == "AveragePool":
            k, s, p = 2, 2, 0
        pads = [p, self.rng.choice((0, p)), p, p]
        shape = [n, c, (h + pads[0] + pads[2] - k) // s + 1, (w + pads[1] + pads[3] - k) // s + 1]
        more = {"count_include_pad": self.rng.choice((0, 1))} if op == "AveragePool" else {}
        return self.add(op, shape=shape, kernel_shape=[k, k], strides=[s, s], pads=pads, **more) and None

    def batch_norm(self) -> None:
        if self.integers:
            return self.arithmetic()
        c = self.shape[1]
        names = [self.weight(c) for _ in range(4)]
        self.held[names[3]] = np.abs(self.held[names[3]]) + np.float32(0.01)
        return self.add("BatchNormalization", *names) and None

    def select(self) -> None:
        n, c, h, w = self.shape
        kind = self.rng.choice(
            ("Slice", "Concat", "Pad", "Transpose", "Gather", "Tile", "Split", "Reshape", "DepthToSpace", "SpaceToDepth")
        )
        alike = [(name, shape) for name, shape in self.earlier if [shape[0], *shape[2:]] == [n, h, w]]
        if kind == "Slice" and h > 3:
            self.add(kind, self.whole(h - 1), self.whole(-h - 9), self.whole(2), self.whole(-1), shape=[n, c, h, w])
        elif kind == "Concat" and c < 9:
            name, shape = self.rng.choice(alike)
            self.add(kind, name, shape=[n, c + shape[1], h, w], axis=1)
        elif kind == "Pad":
            mode = self.rng.choice(("constant", "reflect", "edge"))
            more = (self.weight(),) if mode == "constant" and self.rng.random() < 0.5 else ()
            self.add(kind, self.whole(0, 0, 1, 0, 0, 0, 0, 2), *more, shape=[n, c, h + 1, w + 2], mode=mode)
        elif kind == "Transpose":
            self.add(kind, shape=[n, c, w, h], perm=[0, 1, 3, 2])
        elif kind == "Gather":
            self.add(kind, self.whole(*(self.rng.randrange(-c, c) for _ in range(c))), axis=1)
        elif kind == "Tile" and c < 5:
            self.add(kind, self.whole(1, 2, 1, 1), shape=[n, 2 * c, h, w])
        elif kind == "Split" and c % 2 == 0:
            self.count += 1
            outs = [f"v{self.count}a", f"v{self.count}b"]
            self.nodes.append(helper.make_node("Split", [self.value], outs, name=f"n{self.count}", axis=1))
            self.value, self.shape = outs[1], [n, c // 2, h, w]
            self.earlier += [(name, list(self.shape)) for name in outs]
        elif kind == "Reshape":
            self.add(kind, self.whole(0, -1, h * w), shape=[n, c, h * w, 1])
            self.add(kind, self.whole(n, c, h, w), shape=[n, c, h, w])
        elif kind == "DepthToSpace" and c % 4 == 0:
            self.add(kind, shape=[n, c // 4, 2 * h, 2 * w], blocksize=2, mode=self.rng.choice(("DCR", "CRD")))
        elif kind == "SpaceToDepth" and h % 2 == w % 2 == 0:
            self.add(kind, shape=[n, 4 * c, h // 2, w // 2], blocksize=2)

    def resize(self) -> None:
        n, c, h, w = self.shape
        if h * w > 300:
            return
        name = f"s{len(self.held)}"
        self.held[name] = np.array([1, 1, 2, 2], dtype=np.float32)
        mode = self.rng.choice(("nearest", "linear") if not self.integers else ("nearest",))
        more = {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"} if mode == "nearest" else {}
        self.add("Resize", "", name, shape=[n, c, 2 * h, 2 * w], mode=mode, **more)

    def finish(self) -> None:
        n, c, h, w = self.shape
        kind = self.rng.choice(
            ("none", "none", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax", "Gemm", "MatMul")
        )
        if kind in ("GlobalAveragePool", "GlobalMaxPool") and not (self.integers and kind == "GlobalAveragePool"):
            self.add(kind, shape=[n, c, 1, 1])
        elif kind in ("ReduceMax", "ReduceMean") and not (self.integers and kind == "ReduceMean"):
            self.add(kind, shape=[n, c, h], axes=[-1], keepdims=0)
        elif kind == "ReduceSum":
            self.add(kind, self.whole(1, 2), shape=[n, 1, 1, w], keepdims=1)
        elif kind == "Gemm":
            self.add("Flatten", shape=[n, c * h * w])
            more = {} if self.integers else {"alpha": 0.3, "beta": 0.7}
            self.add(kind, self.weight(5, c * h * w), self.weight(5), shape=[n, 5], transB=1, **more)
        elif kind == "MatMul":
            self.add(kind, self.weight(w, 3), shape=[n, c, h, 3])
            self.add("Add", self.weight(3), shape=[n, c, h, 3])

    def grow(self, steps: int) -> Growing:
        for _ in range(steps):
            step = self.rng.choice((self.conv, self.conv, self.conv_transpose, self.arithmetic, self.arithmetic, self.divide, self.activation,
                                    self.activation, self.pool, self.batch_norm, self.select, self.select, self.resize))  # fmt: skip
            step()
            if int(np.prod(self.shape)) > 4000:
                break
        self.finish()
        return self

    def save(self, path: Path, *, every: bool) -> Path:
        """The model; `every`: all values are outputs."""
        names = [name for node in self.nodes for name in node.output] if every else [self.value]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
        given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.first)]
        held = [numpy_helper.from_array(np.asarray(values), name) for name, values in self.held.items()]
        graph = helper.make_graph(self.nodes, "random", given, made, held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.save(model, path)
        return path

    def input(self, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if self.integers:
            return rng.integers(-3, 4, self.first).astype(np.float32)
        return (rng.normal(size=self.first) * 10.0 ** int(rng.integers(-2, 3))).astype(np.float32)

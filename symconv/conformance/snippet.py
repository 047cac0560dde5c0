"""A deviation as Python text that shows it again, with PyTorch alone.

Owns: `write_snippet`, `spell`. Must not know: how the deviation was found.

The text holds both chains, their weights and the input. Layers that torch.nn lacks come with the source of their modules.
"""

from __future__ import annotations

import base64
import inspect
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from symconv.conformance import torch_indexing
from symconv.conformance.evidence import Row
from symconv.conformance.instances import Instance
from symconv.conformance.pairing import Pairing
from symconv.conformance.torch_oracle import to_module
from symconv.conformance.torch_runs import TorchSetting
from symconv.layers import Layer, Sequential, Weights

LARGEST = 200_000
"""Characters of packed numbers; beyond, the instance is drawn again by symconv."""

_ARGUMENTS = {
    nn.modules.conv._ConvTransposeNd: ("stride", "padding", "output_padding", "groups", "bias", "dilation"),
    nn.modules.conv._ConvNd: ("stride", "padding", "dilation", "groups", "bias", "padding_mode"),
}


def write_snippet(pairing: Pairing, instance: Instance, setting: TorchSetting, row: Row, backend: str) -> str:
    """Text that computes both sides under the setting and prints the worst value of each."""
    left, right = pairing.texts
    head = f"# {left}\n# {right}\n# {row.direction}, {row.evidence} mode: {_told(row)}\n"
    if backend != "torch":
        return head + _again(pairing, setting, row, backend)
    packed = {
        name: _packed(values)
        for name, values in (("x", instance.x), ("g", instance.g_sparse if row.direction == "weight-grad" else instance.g))
    }
    weights = {side: [_states(own) for own in given] for side, given in (("left", instance.left), ("right", instance.right))}
    drawn = pairing.own == (None, None)
    if drawn and sum(map(len, packed.values())) + len(repr(weights)) > LARGEST:
        return head + _again(pairing, setting, row, backend)
    chains = {"left": pairing.left, "right": pairing.right}
    modules = {side: _chain(chain, pairing.axes) for side, chain in chains.items()}
    shapes = {"x": list(instance.x.shape), "g": list(instance.g.shape)}
    parts = [head, _PRELUDE, _definitions(modules)]
    parts += [f"{side} = torch.nn.Sequential({', '.join(texts)})\n" for side, texts in modules.items()]
    parts += [f"weights = {weights!r}\n", f'x = unpack("{packed["x"]}", {shapes["x"]})\n', f'g = unpack("{packed["g"]}", {shapes["g"]})\n']
    parts.append(_LOADING.format(dtype=str(setting.torch_dtype), device=setting.device, switches=_switches(setting), run=_run(setting)))
    parts.append(_closing(row))
    return "".join(parts)


def _told(row: Row) -> str:
    worst = row.deviation
    if worst is None:
        return row.outcome.value
    return f"{worst.side} {worst.what} at {list(worst.place)} is {worst.found!r}, exact is {worst.exact!r}"


_PRELUDE = """import base64, zlib
import numpy as np
import torch


def unpack(text, shape):
    return torch.from_numpy(np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype="<f8").reshape(shape).copy())


"""

_LOADING = """
for side, chain in (("left", left), ("right", right)):
    for module, states in zip(chain, weights[side]):
        for name, (text, shape) in states.items():
            for part in module.modules():
                if getattr(part, name, None) is not None:
                    getattr(part, name).data.copy_(unpack(text, shape))
{switches}
results = []
for chain in (left, right):
    chain = chain.eval().to(device="{device}", dtype={dtype})
    given = x.to(device="{device}", dtype={dtype}).requires_grad_()
    {run}
"""


def _run(setting: TorchSetting) -> str:
    lines = []
    if setting.memory_format == "channels_last":
        kind = "torch.channels_last if x.ndim == 4 else torch.channels_last_3d"
        lines.append(f"chain, given = chain.to(memory_format={kind}), given.detach().to(memory_format={kind}).requires_grad_()")
    call = "chain" if setting.mode == "eager" else f"torch.compile(chain, backend={setting.compiler!r}, dynamic=False)"
    lines.append(f"y = {call}(given)")
    lines.append(f'y.backward(g.to(device="{setting.device}", dtype={setting.torch_dtype}))')
    lines.append(
        "results.append((y.detach().double().cpu(), given.grad.double().cpu(), [p.grad.double().cpu() for p in chain.parameters()]))"
    )
    return "\n    ".join(lines)


def _closing(row: Row) -> str:
    index = {"forward": 0, "input-grad": 1}.get(row.direction)
    if index is None:
        return 'print("left:", results[0][2])\nprint("right:", results[1][2])\n'
    where = (
        ""
        if row.deviation is None
        else f'print("there:", results[0][{index}][{row.deviation.place}], results[1][{index}][{row.deviation.place}])\n'
    )
    return f'print("largest difference:", (results[0][{index}] - results[1][{index}]).abs().max().item())\n{where}'


def _switches(setting: TorchSetting) -> str:
    if setting.device == "cpu":
        lines = [f"torch.backends.mkldnn.set_flags({setting.algorithm not in ('no-onednn', 'nnpack')})"]
        lines.append(f"torch.backends.nnpack.set_flags({setting.algorithm == 'nnpack'})")
    else:
        lines = [
            f"torch.backends.cudnn.enabled = {setting.algorithm != 'no-cudnn'}",
            f"torch.backends.cudnn.benchmark = {setting.algorithm == 'cudnn-benchmark'}",
            f"torch.backends.cudnn.deterministic = {setting.algorithm == 'cudnn-deterministic'}",
            f"torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = {setting.dtype not in ('float64', 'float32')}",
        ]
    return "\n".join(lines)


def _again(pairing: Pairing, setting: TorchSetting, row: Row, backend: str) -> str:
    """A text that draws the instance again by symconv: for instances too large to be written out, and other runtimes."""
    left, right = pairing.texts
    wanted = {
        "device": setting.device,
        "dtypes": (setting.dtype,),
        "memory_formats": (setting.memory_format,),
        "algorithms": (setting.algorithm,),
        "modes": (setting.mode,),
        "directions": (row.direction,),
        "backends": (backend,),
        "evidence": (row.evidence,),
    }
    worst = row.deviation
    extents = None if worst is None else worst.extents
    draw = 0 if worst is None else worst.draw
    options = ", ".join(f"{key}={value!r}" for key, value in wanted.items())
    note = (
        ""
        if pairing.own == (None, None)
        else "# The weights were the layers' own: put the layers that brought them in place of the expressions.\n"
    )
    return note + (
        "from symconv.conformance.crossval import cross_validate\n"
        "from symconv.conformance.pairing import pair_networks\n"
        "from symconv.conformance.plan import Plan\n"
        "from symconv.frontends.text import parse\n\n"
        f"pairing = pair_networks(parse({left!r}), parse({right!r}), channels={pairing.channels})\n"
        f"plan = Plan({options}, extents={extents!r}, count={draw + 1})\n"
        "for row in cross_validate(pairing, plan).rows:\n"
        "    print(row)\n"
    )


def _packed(values: Any) -> str:
    return base64.b85encode(zlib.compress(np.ascontiguousarray(values, dtype="<f8").tobytes(), 9)).decode()


def _states(own: Weights | None) -> dict[str, tuple[str, list[int]]]:
    if own is None:
        return {}
    pairs = (("weight", own.kernel), ("bias", own.bias), ("running_mean", own.mean), ("running_var", own.variance))
    return {name: (_packed(values), list(np.shape(values))) for name, values in pairs if values is not None}


def _chain(chain: Sequence[Layer], axes: int) -> list[str]:
    return [spell(module) for module in to_module(Sequential(tuple(chain)), axes)]


def spell(module: nn.Module) -> str:
    """The constructor call of a module that the oracle makes."""
    kind = type(module).__name__
    if isinstance(module, nn.Sequential):
        return f"torch.nn.Sequential({', '.join(spell(part) for part in module)})"
    for base, names in _ARGUMENTS.items():
        if isinstance(module, base):
            values: dict[str, Any] = {name: getattr(module, name) for name in names if name != "bias"}
            values["bias"] = module.bias is not None
            rest = ", ".join(f"{name}={value!r}" for name, value in values.items())
            return f"torch.nn.{kind}({module.in_channels}, {module.out_channels}, {module.kernel_size!r}, {rest})"
    if isinstance(module, torch_indexing.Extend):
        pairs = tuple(zip(module.flat[::2], module.flat[1::2], strict=True))[::-1]
        mode = {"constant": "zeros"}.get(module.mode, module.mode)
        return f"Extend({pairs!r}, {mode!r})"
    if isinstance(module, torch_indexing.Expand):
        return f"Expand({module.factor!r})"
    if isinstance(module, (torch_indexing.DepthToSpace, torch_indexing.SpaceToDepth)):
        return f"{kind}({module.factor!r}, {module.order!r})"
    if isinstance(module, nn.PReLU):
        return f"torch.nn.PReLU({module.num_parameters})"
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        return f"torch.nn.{kind}({module.num_features}, eps={module.eps!r})"
    if isinstance(module, nn.GELU):
        return f"torch.nn.GELU({module.approximate!r})"
    if isinstance(module, nn.ReLU):
        return "torch.nn.ReLU()"
    return f"torch.nn.{module!r}"


def _definitions(modules: dict[str, list[str]]) -> str:
    """The source of the modules that torch.nn lacks, where they are used."""
    text = " ".join(part for parts in modules.values() for part in parts)
    used = [name for name in ("Extend", "Expand", "DepthToSpace", "SpaceToDepth") if f"{name}(" in text]
    if not used:
        return ""
    sources = [inspect.getsource(getattr(torch_indexing, name)) for name in used]
    head = "import math\nfrom typing import Any\nfrom torch import Tensor, nn\nfrom torch.nn import functional\n\n"
    return f"{head}Margins = Any\n_MODES = {torch_indexing._MODES!r}\n\n\n" + "\n\n".join(sources) + "\n\n"

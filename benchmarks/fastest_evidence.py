"""Evidence for `--to fastest`: the real layers in PyTorch and ONNX Runtime, and whole models before and after, in one file.

    python -m benchmarks.fastest_evidence -o docs/evidence/fastest-cpu.json --threads 2

Wall clock times mean something on a quiet machine only; the load before and after is written down. Each part is written as soon as it is
there, and a part that the file has already is not measured again (--force begins anew).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from symconv.app.bench import Measured, Options, _measure, _record, _shape
from symconv.certificate.encode import write_atomically
from symconv.conformance.real_layers import REAL_LAYERS
from symconv.convert.fastest import Setting, convert_to_fastest
from symconv.report.bench import bench_page, duration
from symconv.report.markdown import markdown

SCHEMA = "symconv.fastest-evidence/1"
WHOLE = {"models": "PyTorch", "onnxruntime models": "ONNX Runtime", "openvino models": "OpenVINO"}
"""Parts that are whole models, and what runs them."""
Model = tuple[nn.Module, tuple[Any, ...]]


def dcgan() -> Model:
    """The generator, for one image of 64 x 64."""
    from tests.models_from_papers import DCGAN

    return DCGAN(), (torch.randn(1, 100, 1, 1),)


def fcn8s() -> Model:
    """FCN-8s on an image of 224 x 224."""
    from tests.models_from_papers import FCN8s

    return FCN8s(), (torch.randn(1, 3, 224, 224),)


def hifi_gan() -> Model:
    """HiFi-GAN V1: 80 mel bands, 100 frames, 256 samples a frame."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    config = SpeechT5HifiGanConfig(upsample_rates=[8, 8, 2, 2], upsample_kernel_sizes=[16, 16, 4, 4])
    return SpeechT5HifiGan(config), (torch.randn(100, 80),)


class Decoder(nn.Module):
    """SAM's mask decoder with its inputs in one call."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import SamMaskDecoderConfig
        from transformers.models.sam.modeling_sam import SamMaskDecoder

        self.decoder = SamMaskDecoder(SamMaskDecoderConfig())

    def forward(self, image: torch.Tensor, position: torch.Tensor, sparse: torch.Tensor, dense: torch.Tensor) -> Any:
        return self.decoder(image, position, sparse, dense, multimask_output=True)


def sam_decoder() -> Model:
    """SAM's mask decoder at its true size: 256 channels, 64 x 64, one point."""
    return Decoder(), (torch.randn(1, 256, 64, 64), torch.randn(1, 256, 64, 64), torch.randn(1, 1, 2, 256), torch.randn(1, 256, 64, 64))


def espcn() -> Model:
    """ESPCN for factor 3, an image of 64 x 64."""
    from tests.models_from_papers import ESPCN

    return ESPCN(), (torch.randn(1, 1, 64, 64),)


def fsrcnn() -> Model:
    """FSRCNN for factor 3, an image of 64 x 64."""
    from tests.models_from_papers import FSRCNN

    return FSRCNN(), (torch.randn(1, 1, 64, 64),)


class Upscaler(nn.Module):
    """EDSR's plan at its baseline width with four residual blocks: convolutions at LR, one upsampling block, one convolution at HR."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 3, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)) for _ in range(4)
        )
        self.up = nn.Sequential(nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x)
        for block in self.body:
            x = x + block(x)
        return self.tail(self.up(x))


def edsr() -> Model:
    """A small EDSR for factor 2, an image of 48 x 48."""
    return Upscaler(), (torch.randn(1, 3, 48, 48),)


MODELS: dict[str, Callable[[], Model]] = {"DCGAN": dcgan, "FCN-8s": fcn8s, "HiFi-GAN V1": hifi_gan, "SAM mask decoder": sam_decoder}
FILES: dict[str, Callable[[], Model]] = {**MODELS, "ESPCN": espcn, "FSRCNN": fsrcnn, "EDSR, 4 blocks": edsr}
"""Models that are exported and measured as ONNX files."""


def layers(runtime: str, options: Options) -> dict[str, Any]:
    """The record of `symconv bench --real`."""
    found = []
    for item in REAL_LAYERS:
        print(runtime, item.name, file=sys.stderr, flush=True)
        if runtime == "torch":
            choice = _measure(item.layer, item.extents, options, "cpu", torch.float32, lambda _: None)
        else:
            from symconv.app.bench_onnx import measure

            choice = measure(item.layer, _shape(item.layer, item.extents, options), options, lambda _: None)
        found.append(Measured(name=item.name, choice=choice))
    return _record(found, runtime, "cpu")


def model(name: str, options: Options) -> dict[str, Any]:
    """One whole model, before and after."""
    print(name, file=sys.stderr, flush=True)
    torch.manual_seed(0)
    module, arguments = MODELS[name]()
    module.eval().requires_grad_(False)
    setting = Setting(seconds=options.seconds, cached=False, clock=options.clock)
    made = convert_to_fastest(module, arguments, fold=True, setting=setting)
    plain = made.to_dict()
    for layer in plain["layers"]:
        choice = layer.pop("choice")
        layer["chosen"], layer["speed_up"] = (None, 1.0) if choice is None else (choice["chosen"], choice["speed_up"])
    return {"name": name, **plain}


def export(name: str, path: Path) -> None:
    """Writes a model as an ONNX file with its extents fixed."""
    import logging
    import warnings

    torch.manual_seed(0)
    module, arguments = FILES[name]()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval().requires_grad_(False), arguments, path, dynamo=False, opset_version=17)
    logging.disable(logging.NOTSET)


def file(name: str, options: Options, runtime: str) -> dict[str, Any]:
    """One whole ONNX file, before and after."""
    from symconv.app.fastest_model import fastest_model
    from symconv.app.measured_layer import Place
    from symconv.report.fastest_model import fastest_model_record

    print(runtime, name, file=sys.stderr, flush=True)
    place = Place(
        runtime=runtime, device="cpu", threads=options.threads or 1, seconds=options.seconds, clock=options.clock, cached=False
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "model.onnx"), Path(folder, "out.onnx")
        export(name, path)
        made, written = fastest_model(path, place=place, output=out)
        plain = fastest_model_record(made, (None, None, None), written is None)
    for layer in plain["layers"]:
        choice = layer.pop("choice")
        layer["chosen"], layer["speed_up"] = (None, 1.0) if choice is None else (choice["chosen"], choice["speed_up"])
    plain["layers"] = [layer for layer in plain["layers"] if layer["chosen"] is not None]
    kept = {key: plain[key] for key in ("before", "after", "whole", "control", "layers", "runtime", "inputs")}
    return {"name": name, "written": written is not None, **kept}


def page(record: dict[str, Any]) -> str:
    """The tables beside the JSON file."""
    loads = "; ".join(f"{part}: {before} to {after}" for before, after, part in record["load"])
    texts = [f"# The fastest form of each layer, on one machine\n\nLoad of the machine while measuring: {loads}.\n"]
    for part, title in WHOLE.items():
        if record.get(part):
            texts.append(f"## Whole models in {title}\n\n| model | before | after | speed-up | layers |\n|---|--:|--:|--:|---|")
            texts += [_line(item) for item in record[part]]
            texts.append("")
    for runtime in ("torch", "onnxruntime"):
        if runtime in record:
            title = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}[runtime]
            texts.append(f"\n## {title}\n\n{markdown(bench_page(record[runtime]))}")
    return "\n".join(texts)


def measured(part: str, options: Options) -> Any:
    """One part of the evidence."""
    if part == "models":
        return [model(name, options) for name in MODELS]
    if part in WHOLE:
        return [file(name, options, part.partition(" ")[0]) for name in FILES]
    return layers(part, options)


def _line(item: dict[str, Any]) -> str:
    whole = item["whole"] or {"ratio": 1.0, "low": 1.0, "high": 1.0}
    speed = f"{whole['ratio']:.2f} ({whole['low']:.2f} to {whole['high']:.2f})" if item["whole"] else "as it was"
    marks = {"faster": "", "put back": ", put back"}
    parts = [f"{layer['name']}: {layer['speed_up']:.2f}{marks[layer['status']]}" for layer in item["layers"] if layer["status"] in marks]
    return f"| {item['name']} | {duration(item['before'])} | {duration(item['after'])} | {speed} | {'; '.join(parts)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--parts", default=",".join(("torch", "onnxruntime", *WHOLE)))
    parser.add_argument("--force", action="store_true")
    given = parser.parse_args()
    options = Options.read(
        extents=None, channels=None, batch=1, device="cpu", dtype="float32", threads=given.threads, seconds=given.seconds, cached=False,
        clock=given.clock,
    )  # fmt: skip
    torch.set_num_threads(given.threads)
    record: dict[str, Any] = {"schema": SCHEMA, "load": []}
    if given.output.exists() and not given.force:
        record = json.loads(given.output.read_text(encoding="utf-8"))
    for part in given.parts.split(","):
        if part in record:
            continue
        record["load"].append([round(os.getloadavg()[0], 2)])
        start = time.monotonic()
        record[part] = measured(part, options)
        record["load"][-1] += [round(os.getloadavg()[0], 2), f"{part}, {time.monotonic() - start:.0f} s"]
        write_atomically(given.output, json.dumps(record, indent=1, allow_nan=False) + "\n", force=True)
        write_atomically(given.output.with_suffix(".md"), page(record), force=True)


if __name__ == "__main__":
    main()

"""`python -m symconv.app.demo`: the decoders that people ship, each converted, certified and re-checked.

Owns: the list of layers and the table. Must not know: how conversions are found.

A layer with a transposed convolution gets its low-resolution form (convolution, then periodic shuffling); a layer that
has that form already gets its transposed convolution. The certificates are written to a folder, read back from there
and given to the independent checker.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

import symconv.api
from symconv.certificate.encode import canonical, write_atomically
from symconv.convert.conversion import Candidate, Conversion
from symconv.convert.layer import convert_layer
from symconv.errors import SymconvError
from symconv.frontends.text import parse
from symconv.layers import Conv, ConvTranspose, Sequential
from symconv.layers.expression import format_layer
from symconv.report import words
from symconv.report.page import Lines, Page, Section, Table, Tone
from symconv.theory.relation import Relation, Trust
from symconv.theory.verdict import Verdict

DECODERS = (
    ("DCGAN", "ConvTranspose2d(512, 256, 4, stride=2, padding=1)"),
    ("FCN-32s", "ConvTranspose2d(21, 21, 64, stride=32, padding=16)"),
    ("FCN-8s, last", "ConvTranspose2d(21, 21, 16, stride=8, padding=4)"),
    ("FCN-8s, first", "ConvTranspose2d(21, 21, 4, stride=2, padding=1)"),
    ("U-Net", "ConvTranspose2d(128, 64, 2, stride=2)"),
    ("Mask R-CNN", "ConvTranspose2d(256, 256, 2, stride=2)"),
    ("SAM", "ConvTranspose2d(256, 64, 2, stride=2)"),
    ("DPT, Depth Anything", "ConvTranspose2d(48, 48, 4, stride=4)"),
    ("DPT, Depth Anything", "ConvTranspose2d(96, 96, 2, stride=2)"),
    ("Keypoint R-CNN", "ConvTranspose2d(512, 17, 4, stride=2, padding=1)"),
    ("FSRCNN", "ConvTranspose2d(56, 1, 9, stride=3, padding=4, output_padding=2)"),
    ("ESPCN", "Conv2d(32, 9, 3, padding=1) >> PixelShuffle(3)"),
    ("EDSR, Swin2SR x2", "Conv2d(64, 256, 3, padding=1) >> PixelShuffle(2)"),
    ("EDSR, Swin2SR x3", "Conv2d(64, 576, 3, padding=1) >> PixelShuffle(3)"),
    ("HiFi-GAN 1", "ConvTranspose1d(512, 256, 16, stride=8, padding=4)"),
    ("HiFi-GAN 2", "ConvTranspose1d(256, 128, 16, stride=8, padding=4)"),
    ("HiFi-GAN 3", "ConvTranspose1d(128, 64, 4, stride=2, padding=1)"),
    ("HiFi-GAN 4", "ConvTranspose1d(64, 32, 4, stride=2, padding=1)"),
    ("EnCodec 1", "ConvTranspose1d(512, 256, 16, stride=8) >> Crop(0, 8)"),
    ("EnCodec 2", "ConvTranspose1d(256, 128, 10, stride=5) >> Crop(0, 5)"),
    ("EnCodec 3", "ConvTranspose1d(128, 64, 8, stride=4) >> Crop(0, 4)"),
    ("EnCodec 4", "ConvTranspose1d(64, 32, 4, stride=2) >> Crop(0, 2)"),
    ("Kokoro", "ConvTranspose1d(512, 512, 3, stride=2, padding=1, output_padding=1, groups=512)"),
    ("spectrogram inversion", "ConvTranspose1d(1026, 1, 1024, stride=256)"),
    ("nnU-Net", "ConvTranspose3d(320, 320, 2, stride=2)"),
)
"""Layers as they are shipped, with a bias; EnCodec trims in its forward pass, Kokoro's is depthwise."""

COLUMNS = ("decoder", "layer", "other form", "without bias", "with bias", "taps", "trust", "time")


@attrs.frozen
class Case:
    """One layer, with or without its bias, and its other form.

    Args:
        layer, form: as expressions.
        verdict: the transposed convolution (left) against the sub-pixel form (right).
        taps: of the low-resolution kernel, cropped at both ends / without a crop before the first sample.
        seconds: from expression to certificate.
    """

    layer: str
    form: str
    verdict: Verdict
    taps: str
    seconds: float

    @property
    def certified(self) -> bool:
        """Whether the inclusion is proved and the checker accepted it."""
        return bool(self.verdict.left_in_right) and self.verdict.trust is Trust.CERTIFIED

    @property
    def answer(self) -> str:
        """`equal, 16` or `inside, 17 in 20`: the relation and the dimensions."""
        dimension = self.verdict.dimension
        relation = "inside" if self.verdict.relation is Relation.LEFT_IN_RIGHT else words.RELATION[self.verdict.relation]
        if dimension is None:
            return relation
        counts = str(dimension.left) if dimension.left == dimension.right else f"{dimension.left} in {dimension.right}"
        return f"{relation}, {counts}"


@attrs.frozen
class Shown:
    """One row of the demonstration: a decoder's layer without its bias, and as it is shipped."""

    name: str
    plain: Case
    biased: Case

    @property
    def cases(self) -> tuple[Case, Case]:
        """Both."""
        return self.plain, self.biased

    @property
    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        seconds = sum(case.seconds for case in self.cases)
        trust = "certified" if all(case.certified for case in self.cases) else "not certified"
        answers = tuple(case.answer for case in self.cases)
        return self.name, self.biased.layer, self.biased.form, *answers, self.plain.taps, trust, words.duration(seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demonstration; returns 0 if every layer is certified and every certificate accepted, otherwise 1."""
    parser = argparse.ArgumentParser(prog="python -m symconv.app.demo", description="Converts and certifies the decoders that people ship.")
    parser.add_argument("--out", type=Path, default=Path("build/demo"), metavar="DIR", help="folder of the certificates (build/demo)")
    out = parser.parse_args(arguments).out
    started = time.perf_counter()
    try:
        out.mkdir(parents=True, exist_ok=True)
        shown = [_show(name, parse(text)) for name, text in DECODERS]
        paths = [path for number, item in enumerate(shown, 1) for path in _save(item, number, out)]
        accepted = [symconv.api.verify(path).accepted for path in paths]
    except (SymconvError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    certified = [case.certified for item in shown for case in item.cases]
    _print(shown, sum(certified), sum(accepted), out, time.perf_counter() - started)
    return 0 if all(accepted) and all(certified) else 1


def _show(name: str, shipped: Sequential) -> Shown:
    make = _subpixel if isinstance(shipped.layers[0], Conv) else _transposed
    return Shown(name, make(_unbiased(shipped)), make(shipped))


def _unbiased(layer: Sequential) -> Sequential:
    return Sequential(tuple(attrs.evolve(item, bias=False) if isinstance(item, (Conv, ConvTranspose)) else item for item in layer.layers))


def _transposed(layer: Sequential) -> Case:
    """A layer inside its low-resolution form."""
    started = time.perf_counter()
    found = convert_layer(layer, "lr-shuffle", check=True)
    verdict = _decided(found)
    return Case(verdict.left, found.target or "none", verdict, _taps(found.candidates), time.perf_counter() - started)


def _subpixel(layer: Sequential) -> Case:
    """A transposed convolution inside the layer, whose biases may differ by phase."""
    started = time.perf_counter()
    own, form = layer.layers[0], convert_layer(_unbiased(layer), "transposed").target_layer
    if not isinstance(own, Conv) or not isinstance(form, ConvTranspose):
        raise SymconvError(f"{format_layer(layer)} has no transposed form")
    verdict = symconv.api.check(attrs.evolve(form, bias=own.bias), layer)
    return Case(verdict.right, verdict.left, verdict, "x".join(map(str, own.kernel)), time.perf_counter() - started)


def _decided(found: Conversion) -> Verdict:
    if found.verdict is None:
        raise SymconvError(f"{found.source}: {found.reason}")
    return found.verdict


def _taps(candidates: Sequence[Candidate]) -> str:
    """2x2 / 3x3: cropped at both ends, without a crop before the first sample."""
    taps = {candidate.alignment: "x".join(map(str, candidate.kernel)) for candidate in candidates}
    first, second = taps.get("both"), taps.get("end")
    if first is None or second is None or first == second:
        return str(first or second or "")
    return f"{first} / {second}"


def _save(item: Shown, number: int, out: Path) -> Iterator[Path]:
    """Writes the certificates of both cases, over those of an earlier run."""
    slug = "-".join("".join(character if character.isalnum() else " " for character in item.name.lower()).split())
    for case, suffix in zip(item.cases, ("no-bias", "bias"), strict=True):
        path = out / f"{number:02d}-{slug}-{suffix}.json"
        write_atomically(path, canonical(case.verdict.certificate or {}) + "\n", force=True)
        yield path


def _print(shown: Sequence[Shown], certified: int, accepted: int, out: Path, seconds: float) -> None:
    from symconv.report.terminal import console, print_page

    count = 2 * len(shown)
    head = f"{certified} of {count} layers certified, {accepted} of {count} certificates accepted from {out}"
    lines = (
        "equal: the transposed convolution and the sub-pixel form realise the same functions.",
        "inside: the transposed convolution is inside the sub-pixel form, which is free to do more.",
        "taps: of the low-resolution kernel, cropped at both ends / without a crop before the first sample.",
        f"Check the certificates again: symconv verify {out}/*.json",
        f"All in {words.duration(seconds)}.",
    )
    table = Table(COLUMNS, tuple(item.row for item in shown), frozenset({7}))
    tone = Tone.PROVED if certified == accepted == count else Tone.REFUTED
    print_page(Page(head, tone, (Section("", (table, Lines(lines))),)), console())


if __name__ == "__main__":
    sys.exit(main())

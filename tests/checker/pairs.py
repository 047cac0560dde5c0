"""Pairs of chains as expressions, with certificates by the engine; what they decide is not relied on here."""

from __future__ import annotations

import functools
import json
import random
from typing import Any

from symconv.errors import SymconvError
from symconv.frontends.text import parse
from symconv.prove.decide import decide

B = "bias=False"
PAIRS = {
    f"ConvTranspose1d(1,1,4,stride=2,padding=2,{B}) | Conv1d(1,2,2,{B}) >> PixelShuffle(2)": "equal",
    f"ConvTranspose2d(3,2,4,stride=2,padding=1,{B}) | Conv2d(3,8,2,padding=1,{B}) >> PixelShuffle(2) >> Crop(1,1,1,1)": "equal",
    f"ConvTranspose2d(3,2,4,stride=2,padding=1,{B}) | Conv2d(3,8,3,padding=1,{B}) >> PixelShuffle(2)": "left_in_right",
    "ConvTranspose2d(3,2,4,stride=2,padding=1) | Conv2d(3,8,2,padding=1) >> PixelShuffle(2) >> Crop(1,1,1,1)": "left_in_right",
    f"ConvTranspose2d(1,1,3,stride=2,padding=1,output_padding=1,{B}) | ZeroPad2d((0,1,0,1)) >> Conv2d(1,4,2,{B}) >> PixelShuffle(2)": (
        "left_in_right"
    ),
    f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B}) | Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2,mode='CRD')": "equal",
    f"ConvTranspose2d(2,4,2,stride=2,groups=2,{B}) | Conv2d(2,16,1,groups=2,{B}) >> DepthToSpace(2,mode='DCR')": "incomparable",
    f"ConvTranspose2d(2,4,2,stride=2,{B}) | Conv2d(2,16,1,{B}) >> DepthToSpace(2,mode='DCR')": "equal",
    f"Upsample(scale_factor=2) >> Conv1d(1,1,3,padding=1,{B}) | ConvTranspose1d(1,1,4,stride=2,padding=1,{B})": "left_in_right",
    f"Upsample(scale_factor=2,mode='bilinear') >> Conv2d(1,1,3,padding=1,{B}) | ConvTranspose2d(1,1,6,2,2,{B})": "incomparable",
    f"PixelShuffle(2) >> Conv2d(1,1,3,padding=1,{B}) | Conv2d(4,4,3,padding=1,{B}) >> PixelShuffle(2)": "left_in_right",
    f"Conv2d(1,2,4,stride=2,{B}) | PixelUnshuffle(2) >> Conv2d(4,2,2,{B})": "equal",
    f"ConvTranspose1d(1,1,2,stride=2,dilation=2,{B}) | Conv1d(1,2,2,padding=1,{B}) >> PixelShuffle(2) >> Crop(0,1)": "left_in_right",
    f"Conv1d(1,1,3,padding=1,{B}) | Conv1d(1,1,3,padding=1,padding_mode='reflect',{B})": "incomparable",
    f"Conv1d(1,1,3,padding=1,{B}) | Conv1d(1,1,3,padding=1,padding_mode='circular',{B})": "incomparable",
    "ConvTranspose1d(1,1,3,stride=2,padding=1) | ConvTranspose1d(1,1,3,stride=2,padding=1,output_padding=1)": "shapes_differ",
    f"AvgPool1d(2) | Conv1d(1,1,2,stride=2,{B})": "left_in_right",
    f"ConvTranspose3d(1,1,2,stride=2,{B}) | Conv3d(1,8,1,{B}) >> PixelShuffle(2)": "equal",
    f"Conv1d(2,2,1,groups=2,{B}) | Identity()": "right_in_left",
    f"AvgPool2d(2,divisor_override=3) | Conv2d(1,1,2,stride=2,{B})": "left_in_right",
    "AvgPool2d(3,padding=1,count_include_pad=False) | AvgPool2d(3,padding=1)": "incomparable",
    "AvgPool1d(3,2,1,ceil_mode=True) | AvgPool1d(3,2,1,ceil_mode=True,count_include_pad=False)": "incomparable",
    "AvgPool2d(2) | AvgPool2d(2,divisor_override=4)": "equal",
    "Upsample(scale_factor=2,mode='bicubic') | Upsample(scale_factor=2,mode='bilinear')": "incomparable",
    "Conv2d(3,8,3,padding=1) >> ReLU() >> PixelShuffle(2) | Conv2d(3,8,3,padding=1) >> PixelShuffle(2) >> ReLU()": "equal",
    "Conv1d(2,2,3) >> PReLU(2) >> ZeroInsert(2) >> Conv1d(2,2,3) | Conv1d(2,2,3) >> ZeroInsert(2) >> PReLU(2) >> Conv1d(2,2,3)": "equal",
    "BatchNorm2d(4) | Conv2d(4,4,1,groups=4)": "equal",
    "Conv2d(6,6,3,groups=3) >> ChannelShuffle(3) | Conv2d(6,6,3,groups=2)": "incomparable",
    f"CircularPad1d((-1,2)) >> Conv1d(1,1,3,{B}) | Crop(1,0) >> CircularPad1d((0,2)) >> Conv1d(1,1,3,{B})": "equal",
    f"Conv1d(1,1,3,padding=1,padding_mode='circular',{B}) | CircularPad1d(1) >> Conv1d(1,1,3,{B})": "equal",
    f"Conv1d(1,1,1) >> ZeroInsert(2) >> Crop(1,0) >> AvgPool1d(1,2) | Conv1d(1,1,1,{B}) >> ZeroInsert(2) >> Crop(1,0) >> AvgPool1d(1,2)": (
        "equal"
    ),
    "Conv2d(1,1,3) | Conv2d(1,2,3)": "shapes_differ",
    "Conv2d(4,4,1) >> SpaceToDepth(2,mode='CRD') >> DepthToSpace(2,mode='DCR') | Conv2d(4,4,1)": "incomparable",
}


@functools.cache
def certificate(pair: str, channels: int | None = None, extents: tuple[int, ...] | None = None) -> str:
    """The engine's certificate for a pair as text, of all extents or of the given ones."""
    left, right = pair.split(" | ")
    verdict = decide(parse(left), parse(right), channels=channels, extents=extents, check=False, presburger=False)
    return json.dumps(interior_extents(verdict.certificate))


def interior_extents(record: dict[str, Any]) -> dict[str, Any]:
    """Interior functionals with their extents written 0."""
    for stage in record.get("stages", ()):
        for part in (stage["interior"] or {}).values():
            for block in part["blocks"] if part else ():
                for name in ("not_forth", "not_back"):
                    for term in block[name]["terms"] if block[name] else ():
                        term[0] = [0] * len(term[0])
    return record


MODES = ["zeros", "reflect", "replicate", "circular"]


def random_pair(r: random.Random) -> tuple[str, int]:
    """A random pair of chains with much in common, and its input channels."""
    axes, given, out = r.choice([1, 1, 1, 2, 2, 3]), r.choice([1, 2, 4, 6]), r.choice([1, 2, 4, 6])
    left, right = r.choice([_lowered, _alike, _alike, _resized, _unshuffled])(r, axes, given, out)
    if r.random() < 0.2:
        tail = f" >> ReLU() >> Conv{axes}d({out},2,1)"
        left, right = left + tail, right + tail
    return " | ".join([left, right] if r.random() < 0.7 else [right, left]), given


def _groups(r: random.Random, given: int, out: int) -> int:
    return r.choice([g for g in (1, 1, 2, 3, 4, 6) if given % g == 0 and out % g == 0])


def _lowered(r: random.Random, axes: int, given: int, out: int) -> tuple[str, str]:
    """A transposed convolution, and a convolution with shuffling and cropping of the same output extent."""
    k, s, d, p, bias, groups = r.randint(1, 5), r.randint(1, 3), r.randint(1, 2), r.randint(0, 2), r.random() < 0.5, _groups(r, given, out)
    op, taps, total = r.randint(0, max(s, d) - 1), r.randint(1, 4), r.randint(0, 4)
    crop = s * (total - taps + 1) + s - (d * (k - 1) + 1) - op + 2 * p
    before, start = r.randint(0, total), r.randint(min(0, crop), max(0, crop))
    pads, crops = ",".join([f"{before},{total - before}"] * axes), ",".join([f"{start},{crop - start}"] * axes)
    left = f"ConvTranspose{axes}d({given},{out},{k},stride={s},padding={p},output_padding={op},dilation={d},groups={groups},bias={bias})"
    right = f"ZeroPad{axes}d(({pads})) >> Conv{axes}d({given},{out * s**axes},{taps},groups={groups},bias={bias})"
    return left, f"{right} >> DepthToSpace({s},mode='{r.choice(['CRD', 'DCR'])}') >> Crop({crops})"


def _alike(r: random.Random, axes: int, given: int, out: int) -> tuple[str, str]:
    """Two convolutions (or an average) of the same reach, with different borders, groups, dilations."""
    s, reach, p = r.choice([1, 1, 2, 3]), r.randint(0, 4), r.randint(0, 2)

    def one() -> str:
        if given == out and r.random() < 0.2:
            return (
                f"AvgPool{axes}d({reach + 1},stride={s},padding={min(p, (reach + 1) // 2)},"
                f"count_include_pad={r.random() < 0.5},ceil_mode={r.random() < 0.3})"
            )
        d = r.choice([d for d in (1, 2, 3, 4) if reach % d == 0])
        return (
            f"Conv{axes}d({given},{out},{reach // d + 1},stride={s},padding={p},dilation={d},groups={_groups(r, given, out)},"
            f"bias={r.random() < 0.5},padding_mode='{r.choice(MODES)}')"
        )

    left, right = one(), one()
    if r.random() < 0.4:
        amounts = tuple(r.randint(-1, 2) for _ in range(2 * axes))
        tails = [f"{r.choice(['Zero', 'Reflection', 'Replication', 'Circular'])}Pad{axes}d({amounts})" for _ in "ab"]
        tails = r.choice([tails, [tails[0]] * 2, [f"SpaceToDepth(2,mode='{r.choice(['CRD', 'DCR'])}')" for _ in "ab"]])
        left, right = f"{left} >> {tails[0]}", f"{right} >> {tails[1]}"
    return left, right


def _resized(r: random.Random, axes: int, given: int, out: int) -> tuple[str, str]:
    """Two ways to enlarge before a convolution."""
    factor, k, p = r.randint(1, 3), r.randint(1, 3), r.randint(0, 1)
    ways = [f"Upsample(scale_factor={factor},mode='{mode}')" for mode in ("nearest", ("linear", "bilinear", "trilinear")[axes - 1])]
    ways.append(f"ZeroInsert({factor}) >> Crop({','.join([f'0,{1 - factor}'] * axes)})")

    def one() -> str:
        way, bias, mode = r.choice(ways), r.random() < 0.5, r.choice(MODES)
        return f"{way} >> Conv{axes}d({given},{out},{k},padding={p},bias={bias},padding_mode='{mode}')"

    return one(), one()


def _unshuffled(r: random.Random, axes: int, given: int, out: int) -> tuple[str, str]:
    """A strided convolution and its space-to-depth form."""
    k, p, groups = r.randint(1, 3), r.randint(0, 1), _groups(r, given, out)
    modes, bias = [r.choice(["zeros", "zeros", *MODES]) for _ in "ab"], r.random() < 0.5
    left = f"Conv{axes}d({given},{out},{2 * k},stride=2,padding={2 * p},bias={bias},groups={groups},padding_mode='{modes[0]}')"
    right = f"Conv{axes}d({given * 2**axes},{out},{k},padding={p},bias={bias},groups={groups},padding_mode='{modes[1]}')"
    return left, f"SpaceToDepth(2,mode='{r.choice(['CRD', 'DCR'])}') >> {right}"


def random_certificates(seed: int, count: int) -> list[tuple[str, dict[str, Any]]]:
    """(pair, certificate) for random pairs that the engine decides."""
    r, found = random.Random(seed), list[tuple[str, dict[str, Any]]]()
    while len(found) < count:
        pair, channels = random_pair(r)
        try:
            found.append((pair, json.loads(certificate(pair, channels))))
        except (SymconvError, AttributeError):
            continue
    return found

"""The part of the page on the best linear layers.

Owns: `linear_answers`, `linear_blocks`, `best_linear`. Must not know: how an optimum is found.
"""

from __future__ import annotations

from collections.abc import Iterator

from symconv.report.page import Block, Lines, Prose, Table
from symconv.report.power_words import Record, between, mean


def linear_comparisons(item: Record) -> Iterator[Record]:
    """The LR layer of each width against HR layers: of as many taps an axis, and of as many taps in all."""
    classes = item["classes"]
    fixed = next(one for one in classes if one["name"] == "bicubic resize")
    for k in sorted({one["group"] for one in classes if one["group"] is not None and one["group"] > 1}):
        low = next(one for one in classes if one["name"] == "LR and shuffle" and one["group"] == k)
        found: Record = {"kernel": k, "fixed": _difference(low, fixed)}
        for mode in ("nearest", "bicubic"):
            taps = {one["parameters"]: one for one in classes if one["name"] == f"{mode} first"}
            ends = taps[k * k], taps[low["parameters"]]
            found[mode] = [(_difference(low, one), one["multiplications"] / low["multiplications"]) for one in ends]
        yield found


def _difference(one: Record, two: Record) -> float:
    return mean(one["psnr"]) - mean(two["psnr"])


def linear_answers(linear: Record) -> Iterator[str]:
    """Where LR wins among linear layers, in sentences."""
    found = [one for item in linear["factors"] for one in linear_comparisons(item)]
    if not found:
        return
    small, large = ({mode: [one[mode][end] for one in found] for mode in ("nearest", "bicubic")} for end in (0, 1))
    yield (
        f"Best linear layers, held-out images: LR is {between([one['fixed'] for one in found])} dB from bicubic interpolation. "
        f"At equal multiplications it is {_gaps(small['nearest'])} dB from nearest first, and {_gaps(small['bicubic'])} dB from "
        f"bicubic first with as many taps an axis, which multiplies {_times(small['bicubic'])} times as much, the resize included."
    )
    exact = [gap for item in linear["factors"] for gap in _equal_multiplications(item)]
    if exact:
        yield f"Where LR and bicubic first multiply equally often, the resize included, LR is {between(exact)} dB from it."
    yield (
        f"With as many taps HR multiplies {_times(large['nearest'])} times as much (nearest first): LR is {_gaps(large['nearest'])} dB "
        f"from it, and {_gaps(large['bicubic'])} dB from bicubic first. Positive: LR is better."
    )


def _equal_multiplications(item: Record) -> Iterator[float]:
    """LR against bicubic first wherever the table has both with one number of multiplications: k^2 = 16 + j^2, as for 5 and 3 taps."""
    for low in item["classes"]:
        for one in item["classes"]:
            if (low["name"], one["name"]) == ("LR and shuffle", "bicubic first") and low["multiplications"] == one["multiplications"]:
                yield _difference(low, one)


def _gaps(pairs: list[tuple[float, float]]) -> str:
    return between([gap for gap, _ in pairs])


def _times(pairs: list[tuple[float, float]]) -> str:
    return between([times for _, times in pairs], signed=False)


def _linear_lines(item: Record) -> Iterator[str]:
    for one in linear_comparisons(item):
        parts = [
            f"{gap:+.2f} dB from {mode} first at {times:.1f} x the multiplications"
            for mode in ("nearest", "bicubic")
            for gap, times in one[mode]
        ]
        yield f"LR, {one['kernel']} x {one['kernel']} taps: {one['fixed']:+.2f} dB from bicubic alone; {'; '.join(parts)}."


def _gap(one: Record, two: Record) -> str:
    return f"{_difference(one, two):+.2f}"


def linear_blocks(item: Record) -> tuple[Block, ...]:
    """The best member of every class at one factor, by what it multiplies, and the proved inclusions."""
    fixed = next(one for one in item["classes"] if one["name"] == "bicubic resize")
    rows = []
    for one in sorted(item["classes"], key=lambda one: (one["multiplications"], -mean(one["psnr"]))):
        rows.append(
            (
                f"{one['name']}{_taps(one)}",
                str(one["multiplications"]),
                str(one["parameters"]),
                f"{mean(one['psnr']):.2f}",
                _gap(one, fixed),
                f"{one['fit_psnr']:.2f}",
                f"{one['condition']:.0e}",
            )
        )
    table = Table(("class", "mult.", "taps", "PSNR", "to bicubic", "fit", "condition"), tuple(rows), frozenset(range(1, 7)))
    strict = sum(not equal for _, _, equal in item["contained"])
    text = (
        "PSNR on the held-out images, mean over the images, and on the fitting images (fit); multiplications for each low-resolution "
        "sample, the resize included (16 for a sample of a cubic one); condition of the normal equations. Samples within "
        f"{item['margin']} low-resolution samples of the border are left out. `symconv check` proves {strict} of the pairs to be strict "
        f"inclusions and {len(item['contained']) - strict} to be equal, away from the borders; the optimum of a contained class is never "
        "better on the fitting images."
    )
    return table, Lines(tuple(_linear_lines(item))), Prose(text)


def _taps(one: Record) -> str:
    if not one["parameters"]:
        return ""
    from symconv.frontends.text import parse
    from symconv.layers import Conv, ConvTranspose, flatten

    kernel = next(layer.kernel for layer in flatten(parse(one["expression"])) if isinstance(layer, (Conv, ConvTranspose)))
    return f", {kernel[0]} x {kernel[1]}"


def best_linear(record: Record) -> str:
    """What the best low-resolution layer of the closed forms reaches, at the factors that were trained."""
    texts = []
    for item in record.get("linear", {}).get("factors", []):
        found = [one for one in item["classes"] if one["name"] == "LR and shuffle"]
        if found and item["factor"] in {one["factor"] for one in record["trained"]["networks"]}:
            best = max(found, key=lambda one: mean(one["psnr"]))
            each = best["multiplications"] / item["factor"] ** 2
            texts.append(f"r = {item['factor']}: {mean(best['psnr']):.2f} dB with {each:.0f} multiplications (LR and shuffle{_taps(best)})")
    return "; ".join(texts) or "not measured here"

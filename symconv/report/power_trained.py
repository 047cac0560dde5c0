"""The part of the page on trained networks.

Owns: `groups`, `comparisons` and what counts as seen, `trained_answers`, `trained_blocks`, `schedule_facts`.
Must not know: how anything was trained.
"""

from __future__ import annotations

from collections.abc import Iterator

from symconv.report.page import Block, Fact, Facts, Lines, Table
from symconv.report.power_linear import best_linear
from symconv.report.power_words import ARM, HIGH, Record, between, mean, spread

CERTAIN, FEWEST = 2.0, 3
"""A difference counts as seen if it is this many standard errors of the paired differences from 0, over so many seeds."""


def groups(trained: Record) -> list[list[Record]]:
    """The networks that are compared with one another: one factor, width and depth."""
    found: dict[tuple[int, int, int], list[Record]] = {}
    for network in trained["networks"]:
        found.setdefault((network["factor"], network["width"], network["hidden"]), []).append(network)
    return list(found.values())


def group_title(group: list[Record]) -> str:
    """A factor, a width and a depth."""
    one = group[0]
    hidden = one["hidden"]
    return f"Trained networks, r = {one['factor']}, n = {one['width']}, {hidden} hidden layer{'s' if hidden != 1 else ''}"


def scores(network: Record, field: str = "psnr") -> list[float]:
    """One number a seed: the mean over the held-out images."""
    return [mean(run[field]) for run in network["runs"]]


def comparisons(group: list[Record]) -> Iterator[Record]:
    """LR at equal multiplications against each HR network: paired over the seeds."""
    low = next(one for one in group if one["arm"] == "low")
    for one in group:
        if one["arm"] not in HIGH:
            continue
        gaps = [a - b for a, b in zip(scores(low), scores(one), strict=True)]
        error = spread(gaps) / len(gaps) ** 0.5
        middle = mean(gaps)
        seen = 0 if len(gaps) < FEWEST or abs(middle) <= CERTAIN * error else (1 if middle > 0 else -1)
        yield {"arm": one["arm"], "gap": middle, "spread": spread(gaps), "seen": seen}


WORDS = {1: "better", -1: "worse", 0: "undecided"}


def trained_answers(trained: Record) -> Iterator[str]:
    """Where LR wins among trained networks, in sentences."""
    found = [gap for group in groups(trained) for gap in comparisons(group)]
    for arm in HIGH:
        gaps = [gap for gap in found if gap["arm"] == arm]
        counts = ", ".join(f"{word} in {sum(gap['seen'] == seen for gap in gaps)}" for seen, word in WORDS.items())
        yield (
            f"Trained, equal multiplications: LR is {between([gap['gap'] for gap in gaps])} dB from {arm} first "
            f"({counts} of {len(gaps)} comparisons, {trained['seeds']} seeds)."
        )
    few = [gap for group in groups(trained) if (gap := _few(group))]
    if few:
        yield (
            f"Trained, no more parameters: LR is {between([gap['gap'] for gap in few])} dB from the best HR network, "
            f"at {between([gap['cost'] for gap in few], signed=False)} of its multiplications."
        )


def _few(group: list[Record]) -> Record | None:
    """LR at equal parameters against the best HR network."""
    few = next((one for one in group if one["arm"] == "low-parameters"), None)
    if few is None:
        return None
    best = max((one for one in group if one["arm"] in HIGH), key=lambda one: mean(scores(one)))
    return {"gap": mean(scores(few)) - mean(scores(best)), "cost": few["multiplications"] / best["multiplications"]}


def trained_blocks(group: list[Record]) -> tuple[Block, ...]:
    """The arms of one comparison, and the differences."""
    lines = [
        f"LR at equal multiplications: {gap['gap']:+.2f} dB (sd {gap['spread']:.2f}) from {gap['arm']} first: {WORDS[gap['seen']]}"
        for gap in comparisons(group)
    ]
    few = _few(group)
    if few is not None:
        lines.append(
            f"LR with no more parameters: {few['gap']:+.2f} dB from the best HR network, at {few['cost']:.2f} of its multiplications"
        )
    return trained_table(group), Lines(tuple(lines))


def trained_table(group: list[Record]) -> Table:
    """The arms of one comparison."""
    timed = all("measured" in one for one in group)
    columns = ("network", "width", "mult.", "param.", "PSNR", "sd", "SSIM", "train s", *(("ms/MP",) if timed else ()))
    rows = []
    for one in group:
        found = scores(one)
        cells = [ARM[one["arm"]], str(one["channels"]), f"{one['multiplications']:.0f}", f"{one['parameters']:,}"]
        cells += [f"{mean(found):.2f}", f"{spread(found):.2f}", f"{mean(scores(one, 'ssim')):.4f}"]
        cells += [f"{mean([run['training_seconds'] for run in one['runs']]):.0f}"]
        if timed:
            cells.append(f"{1000 * one['measured']['seconds']:.0f}")
        rows.append(tuple(cells))
    return Table(columns, tuple(rows), frozenset(range(1, len(columns))))


def schedule_facts(record: Record) -> Facts:
    """What all networks share."""
    trained = record["trained"]
    plan = trained["schedule"]
    base = "; ".join(f"r = {one['factor']}: {mean(one['psnr']):.2f} dB, SSIM {mean(one['ssim']):.4f}" for one in trained["baseline"])
    rows = [
        Fact("bicubic alone", base),
        Fact("best linear layer", best_linear(record)),
        Fact("seeds", f"{trained['seeds']}, the same patches for all networks of a seed"),
        Fact(
            "schedule",
            f"{plan['epochs']} epochs of {plan['steps']} steps, {plan['batch']} patches of {plan['patch']} x {plan['patch']} samples; "
            f"Adam from {plan['rate']:g}, half a cosine; mean squared error",
        ),
        Fact("columns", "mult. for each high-resolution sample, resizes included; sd over the seeds; ms for a million samples"),
        Fact("device", f"{trained['device']}; one thread a network" if trained["device"] == "cpu" else trained["device"]),
        Fact("versions", ", ".join(f"{name} {text}" for name, text in record["environment"].items())),
    ]
    return Facts(tuple(rows))

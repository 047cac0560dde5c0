"""The page of `symconv power`: what layers cost at equal multiplications, the best linear layers, the trained networks.

Owns: `power_page`, the words of the answer. Must not know: how anything was measured, Markdown files, plots.

Everything is made from the results' record (schema symconv.power/1), whatever they say: no sentence presumes who wins.
"""

from __future__ import annotations

from collections.abc import Iterator

from symconv.report.page import Block, Fact, Facts, Lines, Page, Prose, Section, Table, Tone
from symconv.report.power_linear import linear_answers, linear_blocks
from symconv.report.power_trained import comparisons, group_title, groups, schedule_facts, trained_answers, trained_blocks
from symconv.report.power_words import Record


def power_page(record: Record) -> Page:
    """The whole page."""
    sections = [Section("", (Lines(tuple(answers(record))),))]
    if "cost" in record:
        sections.append(Section("Hidden layers at equal multiplications", cost_blocks(record["cost"])))
    if "linear" in record:
        for item in record["linear"]["factors"]:
            sections.append(Section(f"The best linear layers, r = {item['factor']}", linear_blocks(item)))
    if "trained" in record:
        for group in groups(record["trained"]):
            sections.append(Section(group_title(group), trained_blocks(group)))
        sections.append(Section("How they were trained", (schedule_facts(record),)))
    if "against" in record:
        sections.append(Section("Against the results of before", (against_facts(record["against"]),)))
    sections.append(Section("What is proved", (proved(),)))
    if "images" in record:
        sections.append(Section("Images", (images_table(record["images"]),)))
    return Page(headline(record), Tone.PLAIN, tuple(sections))


def headline(record: Record) -> str:
    """The answer in one line."""
    if "trained" in record:
        gaps = [gap for group in groups(record["trained"]) for gap in comparisons(group)]
        won, lost = sum(gap["seen"] > 0 for gap in gaps), sum(gap["seen"] < 0 for gap in gaps)
        return (
            f"at equal multiplications LR networks are better in {won} of {len(gaps)} comparisons, worse in {lost}, "
            f"undecided in {len(gaps) - won - lost}"
        )
    if "linear" in record:
        return "the best linear layers of each class, in closed form"
    return "low resolution against high resolution at equal multiplications"


def answers(record: Record) -> list[str]:
    """Where LR wins, where it does not, and by how much, in a few sentences."""
    lines: list[str] = []
    if "cost" in record:
        lines += list(_cost_answers(record["cost"]))
    if "linear" in record:
        lines += list(linear_answers(record["linear"]))
    if "trained" in record:
        lines += list(trained_answers(record["trained"]))
    return lines


def proved() -> Block:
    """The theorems about networks, by name."""
    from symconv.report.corpus import package

    corpus = package()
    rows = tuple((item.name, ", ".join(map(str, item.numbers)), item.title) for item in map(corpus.load, corpus.CORPUS["networks"]))
    if not rows:
        return Prose("The theorems about networks are listed by `symconv prove networks`.")
    return Table(("theorem", "claims", "statement"), rows)


def _cost_answers(cost: Record) -> Iterator[str]:
    pairs = cost["pairs"]
    more = sorted({pair["low"]["parameters"] // pair["high"]["parameters"] for pair in pairs})
    yield f"Hidden layers, equal multiplications: LR has {_choices(more)} times the parameters, and as many times the class dimension."
    if cost["timing"]:
        ratios = [pair["time_ratio"] for pair in pairs]
        yield f"The HR layers take {min(ratios):.1f} to {max(ratios):.1f} times as long as the LR layers that multiply as often."


def cost_blocks(cost: Record) -> tuple[Block, ...]:
    """The table of layers, and what its columns are."""
    timed = cost["timing"] is not None
    columns: tuple[str, ...] = ("r", "", "channels", "k", "mult.", "parameters", "dimension", "field")
    rows = []
    for pair in cost["pairs"]:
        for name in ("high", "low"):
            row = pair[name]
            cells = [str(row["factor"]), "HR" if name == "high" else "LR"]
            cells += [
                f"{row[field]:,}" for field in ("channels", "kernel", "multiplications", "parameters", "dimension", "receptive_field")
            ]
            if timed:
                held = pair["measured"][name]
                cells += [f"{1000 * held['seconds']:.0f}", "-" if held["megabytes"] is None else f"{held['megabytes']:.0f}"]
            rows.append(tuple(cells))
    columns += ("ms/MP", "MB/MP") if timed else ()
    depth = cost["pairs"][0]["high"]["depth"] if cost["pairs"] else 1
    text = (
        "Multiplications of one layer for each low-resolution sample; the dimension of its class is the engine's answer; "
        f"field: high-resolution samples on an axis that {depth} such layers read."
    )
    if timed:
        text += (
            f" ms/MP and MB/MP: time and peak memory of {depth} layers for a million high-resolution samples, {_place(cost['timing'])}; "
            "each pair takes turns, the median of the rounds is shown."
        )
    return Table(columns, tuple(rows), frozenset(range(10)) - {1}), Prose(text)


def _place(timing: Record) -> str:
    where = "on cuda" if timing["device"] != "cpu" else f"on the CPU with {timing['threads']} threads"
    return f"{where}, at {timing['extent']} x {timing['extent']}"


def against_facts(found: Record) -> Facts:
    """Whether the results of before were found again."""
    rows = [
        Fact("closed forms", f"{found['linear']['compared']} compared" + _largest(found["linear"], ".1e")),
        Fact("trained", f"{found['trained']['compared']} networks compared" + _largest(found["trained"], ".3f")),
        Fact("verdict", "\n".join(found["problems"]) or "reproduced: closed forms to 1e-6 dB, trained networks within two standard errors"),
    ]
    return Facts(tuple(rows))


def _largest(part: Record, form: str) -> str:
    return "" if part["largest"] is None else f", the largest difference {part['largest']:{form}} dB"


def images_table(images: list[Record]) -> Table:
    """Every image, its side of the split, where it is from and the beginning of its digest."""
    rows = tuple((one["name"], one["split"], "x".join(map(str, one["extents"])), one["source"], one["sha256"][:12]) for one in images)
    return Table(("image", "split", "extents", "source", "SHA-256"), rows)


def _choices(values: list[int]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"

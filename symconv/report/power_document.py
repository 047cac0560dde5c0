"""docs/representation-power.md: the page of the experiment with its plots, from results alone.

Owns: `document`, `write_document`: the order of reading, what is said around tables and plots.
Must not know: how anything was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symconv.certificate.encode import write_atomically
from symconv.errors import UsageError
from symconv.report.markdown import markdown
from symconv.report.page import Block, Page, Prose, Section, Tone
from symconv.report.power import answers, cost_blocks, headline, images_table, proved
from symconv.report.power_linear import linear_blocks
from symconv.report.power_plots import Plot, plots
from symconv.report.power_trained import group_title, groups, schedule_facts, trained_blocks

Record = dict[str, Any]

OPENING = """\
# Representation power, measured

"Why are convolutions in LR space a better choice?" is the second question of [arXiv 1609.07009](https://arxiv.org/abs/1609.07009).
LR is low resolution: convolve first, then shuffle periodically. HR is high resolution: upsample first, then convolve. Theorems say
what each side can express at the same cost; this page says what that is worth on real images. It is generated from
[the results]({link}); no sentence or table of results is written by hand, whichever side wins.
"""

MEASURED = """\
## How to measure it again

```sh
make experiment   # all parts with the default grid; goes on where it was stopped
symconv power --part all --grid large --device cuda --state build/power-large -o large.json   # a larger grid, on a GPU
symconv power --part all --images DIR --state build/power-mine -o mine.json                   # your own images
symconv power --results {source} --page docs/representation-power.md --force   # this page
```

- Luminance is Y of ITU-R BT.601, over 255. Low-resolution images are made with Pillow's bicubic filter, widened by r so that nothing
  aliases, and are not rounded to bytes. Bicubic interpolation is PyTorch's (a = -3/4), at half-pixel positions, borders replicated.
- Images are split as whole images, never by patch. Nothing is downloaded: scikit-image and scikit-learn ship the images, and their
  digests are checked. Images are trimmed at their ends to multiples of r (of 12 for trained networks).
- Borders: what lies within four low-resolution samples of a border counts in no PSNR or SSIM, for every layer and network alike.
- Closed forms: the squared error is quadratic in a class's parameters, so its minimum solves the normal equations over the class's own
  basis, which is the engine's tap relation away from the borders. No training, no seed. They reproduce to 1e-6 dB.
- Trained networks: kernels of 5, 3, ..., 3 taps, ReLU, all with the same patches, schedule and loss. LR networks have m = r n channels;
  with these kernels whole networks then multiply nearly alike (the tables show the counts). "Few parameters" is the widest LR network
  with no more parameters than the HR one. Transposed convolutions begin as bilinear interpolation, everything else as PyTorch makes it.
- A difference is called better or worse if its mean over the seeds, paired, is more than two standard errors from 0, over three seeds
  or more.
- Times are of one run on one machine; what is compared takes turns. Times of training are of networks trained side by side.
"""


def document(record: Record, source: str, link: str, folder: str) -> str:
    """The page as Markdown.

    Args:
        record: results.
        source: where they are, from the root of the project.
        link: the same, as the page links to them.
        folder: where the plots are, as the page links to them.
    """
    drawn = {plot.name: plot for plot in plots(record)}
    parts = [OPENING.format(link=link), _section("The answer", *map(Prose, answers(record)), first=headline(record))]
    parts.append(_section("What is proved", proved()))
    if "cost" in record:
        parts.append(_section("What is measured: layers at equal multiplications", *cost_blocks(record["cost"])))
    if "linear" in record:
        parts.append("## What is measured: the best linear layers")
        parts.append(_figure(drawn["linear.svg"], folder))
        parts += [_section(f"r = {item['factor']}", *linear_blocks(item), level=3) for item in record["linear"]["factors"]]
    if "trained" in record:
        parts.append("## What is measured: trained networks")
        parts += [_figure(drawn[name], folder) for name in ("psnr.svg", "parameters.svg", "crops.png") if name in drawn]
        parts += [
            _section(group_title(group).removeprefix("Trained networks, "), *trained_blocks(group), level=3)
            for group in groups(record["trained"])
        ]
        parts.append(_section("Conditions", schedule_facts(record), level=3))
    if "images" in record:
        parts.append(_section("Images", images_table(record["images"])))
    parts.append(MEASURED.format(source=source))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _section(title: str, *blocks: Block, level: int = 2, first: str = "") -> str:
    """A section of the page as Markdown; `first` is its opening line."""
    text = markdown(Page(first or title, Tone.PLAIN, (Section("", tuple(blocks)),)))
    opening, rest = text.split("\n\n", 1)
    return f"{'#' * level} {title}\n\n" + (f"{opening}\n\n" if first else "") + rest


def _figure(plot: Plot, folder: str) -> str:
    return f"![{plot.caption}]({folder}/{plot.name})\n\n*{plot.caption}*"


def write_document(record: Record, page: Path, *, source: str, force: bool) -> None:
    """Writes the page, and its plots into the folder beside it that has its name.

    Raises:
        UsageError: the page is no .md file, or a file exists and is not to be overwritten.
    """
    import os

    if page.suffix != ".md":
        raise UsageError(f"`--page` must be the name of a .md file; found {page}.")
    if page.exists() and not force:
        raise UsageError(f"`{page}` already exists and is not overwritten; give another name or --force.")
    folder = page.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"`{folder}` cannot be made: {error.strerror or error}.") from error
    for plot in plots(record):
        write_atomically(folder / plot.name, plot.draw(), force=force)
    link = os.path.relpath(source, page.parent or Path("."))
    write_atomically(page, document(record, source, link, folder.name), force=force)

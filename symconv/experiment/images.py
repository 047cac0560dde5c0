"""Images: which ones, how they are split, and how a low-resolution image is made of one.

Owns: the registry of bundled images with their digests, folders of a user's own, luminance, the split, degradation.
Must not know: networks, results. Nothing is downloaded and no file is changed.

Luminance is Y of ITU-R BT.601 in its studio range, over 255, as super-resolution papers evaluate it. Low-resolution images are made with
Pillow's bicubic filter (a = -1/2, widened by the factor, so that nothing aliases), and are not rounded to bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import attrs

from symconv.errors import UsageError

Array = Any
"""A float64 array of shape (rows, columns)."""

FIT, HELD_OUT = "fit", "held-out"
EVERY = 3
"""In a folder, in the order of the names, every third image is held out."""
LEAST_EXTENT = 96
"""Samples that an image must have on each axis."""
MOST_SAMPLES = 50_000_000


@attrs.frozen
class Bundled:
    """An image that an installed package ships.

    Args:
        name: its file.
        package, folder: where it is.
        split: fit or held-out.
        sha256: of the file.
        source: who made it, and its licence.
    """

    name: str
    package: str
    folder: str
    split: str
    sha256: str
    source: str


BUNDLED = (
    Bundled(
        "astronaut.png",
        "skimage",
        "data",
        FIT,
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "Eileen Collins, NASA Great Images; public domain",
    ),
    Bundled(
        "brick.png",
        "skimage",
        "data",
        FIT,
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "CC0Textures Bricks25; CC0",
    ),
    Bundled(
        "china.jpg",
        "sklearn",
        "datasets/images",
        FIT,
        "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
        "danielbuechele, Flickr; CC BY 2.0",
    ),
    Bundled(
        "coins.png",
        "skimage",
        "data",
        FIT,
        "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba",
        "Brooklyn Museum Collection; no known restrictions",
    ),
    Bundled(
        "grass.png",
        "skimage",
        "data",
        FIT,
        "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89",
        "linolafett, DeviantArt; CC0",
    ),
    Bundled(
        "gravel.png",
        "skimage",
        "data",
        FIT,
        "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12",
        "CC0Textures Gravel04; CC0",
    ),
    Bundled(
        "moon.png",
        "skimage",
        "data",
        FIT,
        "78739619d11f7eb9c165bb5d2efd4772cee557812ec847532dbb1d92ef71f577",
        "surface of the moon, shipped with scikit-image; public domain",
    ),
    Bundled(
        "motorcycle_left.png",
        "skimage",
        "data",
        FIT,
        "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "Middlebury stereo benchmark 2014, Scharstein et al.; CC0 by the authors",
    ),
    Bundled(
        "camera.png",
        "skimage",
        "data",
        HELD_OUT,
        "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
        "Lav Varshney; CC0",
    ),
    Bundled(
        "chelsea.png",
        "skimage",
        "data",
        HELD_OUT,
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "Stefan van der Walt; CC0",
    ),
    Bundled(
        "coffee.png",
        "skimage",
        "data",
        HELD_OUT,
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "Rachel Michetti, Pikolo Espresso Bar; CC0",
    ),
    Bundled(
        "flower.jpg",
        "sklearn",
        "datasets/images",
        HELD_OUT,
        "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
        "vultilion, Flickr; CC BY 2.0",
    ),
    Bundled(
        "rocket.jpg",
        "skimage",
        "data",
        HELD_OUT,
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
        "SpaceX, Falcon 9 carrying DSCOVR; CC0",
    ),
)
"""Photographs and photographed textures. motorcycle_right shows what motorcycle_left does, so it is left out."""


@attrs.frozen(eq=False)
class Image:
    """One image's luminance.

    Args:
        name: its file.
        split: fit or held-out.
        sha256: of the file.
        source: who made it; the folder for a user's own.
        luminance: in [0, 1], shape (rows, columns).
    """

    name: str
    split: str
    sha256: str
    source: str
    luminance: Array

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of it beside the results."""
        return {
            "name": self.name,
            "split": self.split,
            "extents": list(self.luminance.shape),
            "sha256": self.sha256,
            "source": self.source,
        }


@attrs.frozen(eq=False)
class ImageSet:
    """Images, split for good.

    Args:
        images: fit and held-out ones.
        skipped: (file, why) of those that cannot be used.
    """

    images: tuple[Image, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def of(self, split: str) -> tuple[Image, ...]:
        """The images of one side of the split."""
        return tuple(image for image in self.images if image.split == split)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What is kept of the images beside the results."""
        return [image.record for image in self.images]


def bundled() -> ImageSet:
    """The images that scikit-image and scikit-learn ship.

    Raises:
        UsageError: a package is not installed, or its image is missing or another one.
    """
    return ImageSet(tuple(_bundled(item) for item in BUNDLED))


def _bundled(item: Bundled) -> Image:
    spec = importlib.util.find_spec(item.package)
    if spec is None or spec.origin is None:
        raise UsageError(f"the images of `{item.package}` are needed, and it is not installed. Use: pip install 'symconv[experiment]'")
    path = Path(spec.origin).parent / item.folder / item.name
    if not path.is_file():
        raise UsageError(f"`{item.name}` is not among the images of the installed {item.package}. Give your own with --images DIR.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != item.sha256:
        raise UsageError(f"`{item.name}` of the installed {item.package} is another image than the registered one. Give --images DIR.")
    return Image(item.name, item.split, digest, f"{item.package}: {item.source}", read_luminance(path))


def folder(path: Path, least: int = LEAST_EXTENT) -> ImageSet:
    """The images of a user's folder, every third one held out; files that cannot be used are named in `skipped`.

    Raises:
        UsageError: no folder, or fewer than two usable images.
    """
    if not path.is_dir():
        raise UsageError(f"`--images` must be a folder of images; there is no folder {path}.")
    usable: list[tuple[Path, Array]] = []
    skipped: list[tuple[str, str]] = []
    for file in sorted(item for item in path.iterdir() if item.is_file() and not item.name.startswith(".")):
        try:
            luminance = read_luminance(file)
        except UsageError as error:
            skipped.append((file.name, str(error)))
            continue
        if min(luminance.shape) < least:
            rows, columns = luminance.shape
            skipped.append((file.name, f"it has {rows} x {columns} samples; at least {least} are needed on each axis"))
        else:
            usable.append((file, luminance))
    if len(usable) < 2:
        why = "".join(f"\n  {name}: {reason}" for name, reason in skipped)
        raise UsageError(
            f"`{path}` must hold at least two usable images, one to fit on and one to hold out; found {len(usable)}. "
            f"Each needs {least} samples or more on each axis.{why}"
        )
    images = []
    for number, (file, luminance) in enumerate(usable):
        split = HELD_OUT if number % EVERY == 1 else FIT
        images.append(Image(file.name, split, hashlib.sha256(file.read_bytes()).hexdigest(), str(path), luminance))
    return ImageSet(tuple(images), tuple(skipped))


def read_luminance(path: Path) -> Array:
    """The luminance of an image file, in [0, 1].

    Raises:
        UsageError: Pillow cannot read it.
    """
    import warnings

    import numpy as np
    import PIL.Image

    try:
        with warnings.catch_warnings(), PIL.Image.open(path) as image:
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            if image.width * image.height > MOST_SAMPLES:
                raise UsageError(f"it has {image.width} x {image.height} samples, more than {MOST_SAMPLES:,}")
            if image.mode.startswith("I") or image.mode == "F":
                values = np.asarray(image, dtype=np.float64)
                if image.mode == "F" or values.min() < 0 or values.max() > 65535:
                    raise UsageError(f"its mode {image.mode} has no fixed range; convert it to 8 or 16 bits")
                return (16 + 219 * values / 65535) / 255
            rgb = np.asarray(image.convert("RGB"), dtype=np.float64) / 255
    except UsageError:
        raise
    except Exception as error:  # Pillow's plugins raise anything on broken files
        raise UsageError(f"Pillow cannot read it ({type(error).__name__}: {str(error)[:100] or 'no message'})") from error
    return (16 + rgb @ np.array([65.481, 128.553, 24.966])) / 255


def trimmed(luminance: Array, factor: int) -> Array:
    """The image without the last samples that `factor` leaves over."""
    rows, columns = (extent // factor * factor for extent in luminance.shape)
    return luminance[:rows, :columns]


def degraded(luminance: Array, factor: int) -> Array:
    """The low-resolution image of a trimmed image."""
    import numpy as np
    import PIL.Image

    rows, columns = luminance.shape
    if rows % factor or columns % factor:
        raise UsageError(f"the extents {rows} x {columns} must be divisible by r = {factor}. Trim the image first.")
    image = PIL.Image.fromarray(luminance.astype(np.float32))
    small = image.resize((columns // factor, rows // factor), PIL.Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.float64)

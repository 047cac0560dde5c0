"""Images: the registered ones, a folder of one's own, the split, degradation."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from skimage.color import rgb2ycbcr

from symconv.errors import UsageError
from symconv.experiment.images import BUNDLED, FIT, HELD_OUT, bundled, degraded, folder, read_luminance, trimmed

Samples = np.ndarray


def noise(rows: int, columns: int, channels: int = 3) -> Samples:
    return np.random.default_rng(rows * columns).integers(0, 256, (rows, columns, channels), dtype=np.uint8)


def test_the_registered_images_are_there_and_split_by_image() -> None:
    images = bundled()
    assert len(images.images) == len(BUNDLED) == len({image.sha256 for image in images.images})
    assert len(images.of(FIT)) + len(images.of(HELD_OUT)) == len(BUNDLED) and len(images.of(HELD_OUT)) == 5
    for image in images.images:
        assert 16 / 255 - 1e-12 <= image.luminance.min() < image.luminance.max() <= 235 / 255 + 1e-12


def test_an_image_that_is_another_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import attrs

    from symconv.experiment import images

    monkeypatch.setattr(images, "BUNDLED", (attrs.evolve(BUNDLED[0], sha256="0" * 64),))
    with pytest.raises(UsageError, match="another image"):
        bundled()


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "ppm"])
def test_luminance_is_that_of_scikit_image(tmp_path: Path, kind: str) -> None:
    samples = noise(12, 17)
    PIL.Image.fromarray(samples).save(tmp_path / f"a.{kind}")
    assert np.abs(read_luminance(tmp_path / f"a.{kind}") - rgb2ycbcr(samples)[..., 0] / 255).max() < 1e-12


def test_grey_palette_alpha_and_16_bits(tmp_path: Path) -> None:
    grey = noise(12, 17)[..., 0]
    PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
    PIL.Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    PIL.Image.fromarray(grey).convert("RGBA").save(tmp_path / "alpha.png")
    PIL.Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    found = [read_luminance(tmp_path / f"{name}.png") for name in ("grey", "palette", "alpha", "deep")]
    assert all(np.abs(one - (16 + 219 * (grey / 255)) / 255).max() < 1e-12 for one in found)


def test_a_folder_is_read_and_nothing_in_it_changes(tmp_path: Path) -> None:
    for name in "dcba":
        PIL.Image.fromarray(noise(100, 120)).save(tmp_path / f"{name}.png")
    PIL.Image.fromarray(noise(20, 200)).save(tmp_path / "small.png")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "inside").mkdir()
    before = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir() if path.is_file()}
    found = folder(tmp_path)
    assert [(image.name, image.split) for image in found.images] == [("a.png", FIT), ("b.png", HELD_OUT), ("c.png", FIT), ("d.png", FIT)]
    assert {name: why.split(" ")[0] for name, why in found.skipped} == {"broken.jpg": "Pillow", "notes.txt": "Pillow", "small.png": "it"}
    assert before == {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir() if path.is_file()}


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_are_refused(tmp_path: Path, count: int) -> None:
    for number in range(count):
        PIL.Image.fromarray(noise(100, 100)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UsageError, match=rf"found {count}\.[\s\S]*broken\.png"):
        folder(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        folder(tmp_path / "nowhere")


@pytest.mark.parametrize("r", [2, 3, 4])
def test_low_resolution_keeps_constants_and_ramps_at_phase_centres(r: int) -> None:
    ramp = np.add.outer(np.arange(12.0 * r), 2 * np.arange(10.0 * r)) / 100
    low = degraded(ramp, r)
    centre = np.add.outer(r * np.arange(12.0) + (r - 1) / 2, 2 * (r * np.arange(10.0) + (r - 1) / 2)) / 100
    assert low.shape == (12, 10) and np.abs(low - centre)[3:-3, 3:-3].max() < 1e-6  # float32 samples
    with pytest.raises(UsageError, match="divisible by r"):
        degraded(ramp[:-1], r)
    assert trimmed(ramp[:-1, :-1], r).shape == (11 * r, 9 * r)

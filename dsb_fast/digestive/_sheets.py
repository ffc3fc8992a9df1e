"""Sheets and animations of the GI-tract model, as files with the names and sizes that stylegan2-pytorch gives them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from .. import _animation, _files, _images, random
from .._cli.common import progress_bar
from .._latents import seed_slerp
from .._parallel import ordered
from .._synthetic import Mark

_NOISE, _SECOND_LATENTS = 1, 2  # streams
_LAST_RATIO, _FRAMES_A_SECOND = 8.0, 12.5
_JPEG = {"quality": 75, "subsampling": "4:2:0"}  # what Pillow does for the originals, which ask for nothing


def write_sheets(plain, ema, stem: str, rows: int, outputs: int, psi: float, seed: int) -> None:
    """``stem-<n>``, ``stem-<n>-ema`` and ``stem-<n>-mr`` for n below ``outputs``, each of ``rows`` by ``rows`` images.

    ``plain`` and ``ema`` are generators of the trained and of the averaged network, ``psi`` the truncation.
    """
    tiles, progress = rows * rows, progress_bar(False, "sheet")
    file = _Files(ema, seed)
    for n in range(outputs):
        first = n * tiles
        for ending, generator in (("", plain), ("-ema", ema)):
            images = generator.sample(tiles, seed=seed, start=first, truncation=psi)
            file.write(f"{stem}-{n}{ending}", _images.make_grid(images, rows), first, tiles)
        file.write(f"{stem}-{n}-mr", _images.make_grid(mixed(ema, seed, n, rows, psi), rows))
        if progress:
            progress(n + 1, outputs)


def write_animation(generator, stem: str, rows: int, steps: int, save_frames: bool, psi: float, seed: int) -> None:
    """``stem.gif`` of ``steps`` sheets, and with ``save_frames`` each of them in folder ``stem``."""
    progress, file = progress_bar(False, "frame"), _Files(generator, seed)
    if save_frames:
        os.makedirs(stem, exist_ok=True)

    def sheets():
        for k, images in enumerate(interpolated(generator, seed, rows, steps, psi)):
            sheet = _opaque(_images.make_grid(images, rows))
            if save_frames:
                file.write(os.path.join(stem, str(k)), sheet)
            yield sheet
            if progress:
                progress(k + 1, steps)

    _animation.write(f"{stem}.gif", sheets(), _FRAMES_A_SECOND, mark=file.mark)


class _Files:
    """Images as the files that the originals make: PNG where they are transparent, else JPEG."""

    def __init__(self, generator, seed: int):
        self.mark = Mark.of({**generator.info, "seed": seed})

    def write(self, path: str, image: np.ndarray, first: int | None = None, count: int = 1) -> None:
        """``path`` and an ending. ``first`` and ``count`` are the numbers of the samples that it shows."""
        ending, options = ("png", {}) if image.shape[2] == 4 else ("jpg", _JPEG)
        data = _images.encode(image, ending, self.mark, first=first, count=count, **options)
        _files.write_atomically(f"{path}.{ending}", data)


def mixed(generator, seed: int, sheet: int, rows: int, psi: float) -> np.ndarray:
    """Images of mixing sheet number ``sheet``, uint8 [rows * rows, H, W, C].

    Row a takes the first half of the blocks' styles, rounded down, from latent a, column b the rest from latent b;
    latent j of the sheet is number ``sheet * rows + j`` of stream 2.
    """
    mean, tiles = generator.mean_style, rows * rows
    latents = random.normal(seed, sheet * rows, rows, len(mean), _SECOND_LATENTS)
    styles = mean + np.float32(psi) * (generator.mapping(latents) - mean)
    half = styles.shape[1] // 2
    down, across = np.repeat(styles[:, :half], rows, axis=0), np.tile(styles[:, half:], (rows, 1, 1))
    styles = np.concatenate([down, across], axis=1)
    noise = _noise(generator, seed, sheet * tiles, tiles)

    def made(part: slice) -> np.ndarray:
        return _grey_levels(generator, generator.synthesis(styles[part], noise[part]))

    threads = generator.backend.parallel
    parts = _parts(tiles, min(generator.batch_size, -(-tiles // threads)))
    return np.concatenate(list(ordered(made, parts, threads, threads)))


def interpolated(generator, seed: int, rows: int, steps: int, psi: float) -> Iterator[np.ndarray]:
    """The images of each frame, uint8 [rows * rows, H, W, C]; the noise stands still.

    Image k goes from latent 2 k of stream 2 to 2 k + 1 and beyond, at float32 ratios from 0 to 8, both included.
    """
    tiles = rows * rows
    ends = random.normal(seed, 0, 2 * tiles, len(generator.mean_style), _SECOND_LATENTS)
    noise = _noise(generator, seed, 0, tiles)

    def made(ratio: np.float32) -> np.ndarray:
        z = seed_slerp(float(ratio), ends[0::2], ends[1::2]).astype(np.float32)
        images = [
            generator.run(z=z[part], noise=noise[part], truncation_psi=psi)["image"]
            for part in _parts(tiles, generator.batch_size)
        ]
        return np.concatenate([_grey_levels(generator, image) for image in images])

    threads = generator.backend.parallel
    return ordered(made, np.linspace(0.0, _LAST_RATIO, steps, dtype=np.float32), threads, threads)


def _noise(generator, seed: int, first: int, count: int) -> np.ndarray:
    return random.uniform(seed, first, count, (generator.info["image_size"],) * 2, _NOISE)


def _parts(count: int, size: int) -> list[slice]:
    return [slice(at, at + size) for at in range(0, count, size)]


def _grey_levels(generator, image: np.ndarray) -> np.ndarray:
    return generator.model.outputs({"image": image}, None)


def _opaque(image: np.ndarray) -> np.ndarray:
    """A transparent image [H, W, 4] on white, still with its alpha; any other as it is."""
    if image.shape[2] != 4:
        return image
    return np.dstack([_images.on_white(image), np.full(image.shape[:2], 255, np.uint8)])

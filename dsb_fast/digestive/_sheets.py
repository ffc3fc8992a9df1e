"""Sheets and animations of the GI-tract model, as files with the names and sizes that stylegan2-pytorch gives them."""

from __future__ import annotations

import os

import numpy as np

from .. import _files, _images, random
from .._cli.common import progress_bar
from .._latents import seed_slerp
from .._synthetic import Mark

_NOISE, _SECOND_LATENTS = 1, 2  # streams
_LAST_RATIO, _FRAME_MS = 8.0, 80
_JPEG = {"quality": 75, "subsampling": "4:2:0"}  # what Pillow does for the originals, which ask for nothing


def write_sheets(plain, ema, stem: str, rows: int, outputs: int, psi: float, seed: int) -> None:
    """``stem-<n>``, ``stem-<n>-ema`` and ``stem-<n>-mr`` for ``outputs`` numbers n, each of ``rows`` by ``rows`` images.

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
    sheets = []
    for images in interpolated(generator, seed, rows, steps, psi):
        sheets.append(on_white(_images.make_grid(images, rows)))
        if progress:
            progress(len(sheets), steps)
    _files.write_atomically(f"{stem}.gif", _animation.gif([sheet[..., :3] for sheet in sheets], _FRAME_MS, file.mark))
    if save_frames:
        os.makedirs(stem, exist_ok=True)
        for k, sheet in enumerate(sheets):
            file.write(os.path.join(stem, str(k)), sheet)


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
    return _grey_levels(generator, lambda part: generator.synthesis(styles[part], noise[part]), tiles)


def interpolated(generator, seed: int, rows: int, steps: int, psi: float):
    """The images of each frame, uint8 [rows * rows, H, W, C]; the noise stands still.

    Image k goes from latent 2 k of stream 2 to 2 k + 1 and beyond, at float32 ratios from 0 to 8, both included.
    """
    tiles = rows * rows
    ends = random.normal(seed, 0, 2 * tiles, len(generator.mean_style), _SECOND_LATENTS)
    noise = _noise(generator, seed, 0, tiles)
    for ratio in np.linspace(0.0, _LAST_RATIO, steps, dtype=np.float32):
        z = seed_slerp(float(ratio), ends[0::2], ends[1::2]).astype(np.float32)

        def image_of(part, z=z):
            return generator.run(z=z[part], noise=noise[part], truncation_psi=psi)["image"]

        yield _grey_levels(generator, image_of, tiles)


def _noise(generator, seed: int, first: int, count: int) -> np.ndarray:
    return random.uniform(seed, first, count, (generator.info["image_size"],) * 2, _NOISE)


def _grey_levels(generator, image_of, count: int) -> np.ndarray:
    """Images 0 to ``count - 1`` of ``image_of(slice)``, float32 NCHW, in parts that the network takes at once."""
    size = generator.batch_size
    parts = [image_of(slice(at, at + size)) for at in range(0, count, size)]
    return np.concatenate([generator.model.outputs({"image": part}, None) for part in parts])


def on_white(image: np.ndarray) -> np.ndarray:
    """A transparent image [H, W, 4] on white, opaque; any other as it is. Pillow's arithmetic, as in the original."""
    if image.shape[2] != 4:
        return image
    from PIL import Image

    white = Image.new("RGBA", (image.shape[1], image.shape[0]), "white")
    return np.asarray(Image.alpha_composite(white, Image.fromarray(image)))

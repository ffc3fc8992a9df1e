"""Images to the bytes of files, one core: the formats' encoders against Pillow."""

from __future__ import annotations

import io

import numpy as np
from harness import Alternative, Comparison, WrongAnswer
from PIL import Image

from dsb_fast._bulk import writers

SUMMARY = "128 x 128 images to png and jpg, one core: dsb_fast's formats against Pillow with its defaults"
COUNT = "images an alternative encodes in a round (400)"
_BASELINE = "Pillow, png"


def _images(count: int) -> np.ndarray:
    """Smooth colours with some noise, as a generator of photographs makes them."""
    random = np.random.default_rng(2021)
    rows, columns = np.mgrid[0:128, 0:128] / 128
    phases = random.uniform(0, 2 * np.pi, (count, 3, 1, 1))
    waves = np.sin(6 * rows + phases) * np.cos(5 * columns + 2 * phases)
    levels = 128 + 80 * waves + random.normal(0, 2, (count, 3, 128, 128))
    return np.clip(levels, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1).copy()


def _format(name: str) -> writers.Format:
    kind = writers.find(name, writers.IMAGE)
    about = {"model": "benchmark", "sample_shape": [128, 128, 3], "sample_dtype": "uint8", "options": {}, "seed": 0}
    return kind(writers.FormatContext.of({**about, "format": name, "format_options": dict(kind.options)}))


def _pillow(image: np.ndarray, name: str, **how) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, name, **how)
    return buffer.getvalue()


def _decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def prepare(count: int | None) -> Comparison:
    """Every encoder's first file is decoded and compared: equal where lossless, close where not."""
    images = _images(count or 400)
    formats = {name: _format(name) for name in ("png", "jpg", "webp")}
    for name, format_ in formats.items():
        apart = np.abs(_decoded(bytes(format_.encode(images[:1], 0)[0])).astype(int) - images[0])
        if apart.mean() > (4 if name == "jpg" else 0):
            raise WrongAnswer(f"{name}: decoded images are {apart.mean():.1f} grey levels off on average")

    def ours(format_):
        return lambda: [format_.encode(images[k : k + 64], k) for k in range(0, len(images), 64)]

    def theirs(name: str, **how):
        return lambda: [_pillow(image, name, **how) for image in images]

    rows = [Alternative(f"dsb_fast, {name}", ours(format_), len(images)) for name, format_ in formats.items()]
    rows += [
        Alternative(_BASELINE, theirs("png"), len(images), setting="compress_level 6"),
        Alternative("Pillow, png 1", theirs("png", compress_level=1), len(images), setting="compress_level 1"),
        Alternative("Pillow, jpg", theirs("jpeg", quality=95), len(images), setting="quality 95"),
    ]
    return Comparison(
        "images/s", _BASELINE, rows, f"{len(images)} images of 128 x 128; the first decoded: equal, jpg close",
        note="dsb_fast's files have the mark that says synthetic, and of webp the lossless kind",
    )  # fmt: skip

"""A small image generator with what the bulk engine and ``interpolate`` need of one; it stands in for StyleGAN2."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from dsb_fast import InputError, _images, random
from dsb_fast._models.card import NEAR

LATENT, BLOCKS = 6, 3


@dataclass(frozen=True)
class Options:
    """What shapes an image."""

    truncation: float = 0.75


class ImageModel:
    """Smooth colours from a latent, a little noise on top."""

    name, default_format, dtype = "digestive.gitract", "png", np.uint8

    def __init__(self, size: int, channels: int):
        self.size, self.channels = size, channels

    def options(self, **given) -> Options:
        if unknown := set(given) - {"truncation"}:
            raise InputError(f"no option is called {unknown}")
        return Options(**given)

    def near(self, precision):
        return NEAR[precision]

    def context(self, options) -> dict:
        return _images.recipe_entries(self.channels)

    def sample_shape(self, options) -> tuple[int, ...]:
        return (self.size, self.size, self.channels)

    def outputs(self, arrays, options) -> np.ndarray:
        levels = np.clip(arrays["image"], 0, 1) * np.float32(255) + np.float32(0.5)
        return np.ascontiguousarray(levels.astype(np.uint8).transpose(0, 2, 3, 1))

    def info(self) -> dict:
        return {
            "model": self.name,
            "title": "Test images <&> more",
            "licence": "MIT",
            "citation": "none",
            "weights_sha256": "ab" * 32,
            "inputs": {
                "z": {"shape": ["N", LATENT]},
                "noise": {"shape": ["N", self.size, self.size]},
                "truncation_psi": {"shape": []},
            },
        }


class ImageGenerator:
    """What ``dsb_fast.load`` would return for :class:`ImageModel`."""

    precision, flavour, graph_sha256, batch_size, forced = "fp32", "portable", "cd" * 32, 4, None

    def __init__(self, size: int = 16, channels: int = 3, grade: str = "repeatable"):
        self.model = ImageModel(size, channels)
        self.backend = SimpleNamespace(
            name="onnxruntime", grade=grade, depends_on={"onnxruntime": "1"}, parallel=2, batch_size=4
        )
        self.info = {**self.model.info(), "grade": grade}
        self.mean_style = np.linspace(-1, 1, LATENT, dtype=np.float32)
        self.calls: list[dict] = []

    def share(self, count, threads):
        return max(1, -(-count // threads))

    def mapping(self, z, label=None):
        w = np.asarray(z, np.float32)[:, ::-1] * np.float32(2)
        return np.repeat(w[:, None], BLOCKS, axis=1)

    def synthesis(self, w, noise=None):
        self.calls.append({"w": w, "noise": noise})
        y, x = np.mgrid[: self.model.size, : self.model.size].astype(np.float32) / self.model.size
        images = []
        for sample, plane in zip(np.asarray(w).mean(1), noise, strict=True):
            a = np.resize(sample, (self.model.channels, 3))
            images.append([0.5 + 0.3 * np.sin(p[0] + 4 * p[1] * x + 4 * p[2] * y) + 0.02 * plane for p in a])
        return np.array(images, np.float32)

    def run(self, *, z, noise, truncation_psi=1.0):
        w = self.mean_style + np.float32(truncation_psi) * (self.mapping(z) - self.mean_style)
        return {"image": self.synthesis(w, noise)}

    def make(self, seed, start, count, options):
        z = random.normal(seed, start, count, LATENT)
        noise = random.uniform(seed, start, count, (self.model.size,) * 2, 1)
        image = self.run(z=z, noise=noise, truncation_psi=options.truncation)["image"]
        return self.model.outputs({"image": image}, options)

    def batches(self, seed, start, count, options):
        return (self.make(seed, start + k, min(3, count - k), options) for k in range(0, count, 3))

    def sample(self, count, seed=0, start=0, **options):
        return self.make(seed, start, count, self.model.options(**options))

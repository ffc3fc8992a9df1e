"""Samples of NVIDIA's and rosinality's networks by the contract's formulas alone, in float64, and files to load."""

from __future__ import annotations

import numpy as np
import torch
from dsb_fast.export import nvlabs, rosinality

from dsb_fast._generator import Generator
from dsb_fast._models.opening import open_model
from references import nv_network, philox, rosinality_network
from references.stylegan2_generator import Nvlabs, Rosinality

GOLDEN = {
    **{f"nvlabs/{name}.pkl": "nvidia-stylegan2" for name in (
        "ada32_uncond_skip", "ada64_cond_resnet", "sg3repo32_uncond_resnet", "sg3repo64_cond_skip",
    )},
    **{f"rosinality/{name}.pt": "rosinality-stylegan2" for name in ("size32", "size64_train")},
}  # fmt: skip


def generator(path, flavour: str = "portable", network: str = "ema") -> Generator:
    """The model on the CPU, with the graphs of ``flavour``."""
    model = open_model(path, network=network)
    model.source.flavour = lambda able: flavour
    return Generator(model, "cpu")


def pickled(path, family: str = "ada", seed: int = 0, **arguments):
    """A small NVIDIA file at ``path`` (see :func:`nv_network.generator`); returns the path."""
    tree = {"G": nv_network.generator(family, seed + 1, **arguments), "D": None}
    path.write_bytes(nv_network.dumps({**tree, "G_ema": nv_network.generator(family, seed, **arguments)}))
    return path


def saved(path, **more):
    """A small rosinality file at ``path``, of 8 pixels; returns the path."""
    torch.save({"g_ema": rosinality_network.state_dict(), **more}, path)
    return path


class Exact:
    """A file's network in float64, with what the contract draws for it."""

    def __init__(self, path, network: str = "ema"):
        if str(path).endswith(".pkl"):
            self.network = nvlabs.from_file(path, network)
            self.exact, self.labels, self.z_dim = Nvlabs(self.network), self.network.c_dim, self.network.z_dim
            self.mean, self.w_dim = self.network.w_avg, self.network.w_dim
        else:
            self.network = rosinality.from_file(path, network)
            self.exact, self.labels, self.z_dim = Rosinality(self.network), 0, self.network.style_dim
            self.mean, self.w_dim = self.network.latent_avg, self.network.style_dim
        self.rows = self.network.num_ws
        self.sides = [4 << (k + 1) // 2 for k in range(self.rows - 1)]
        if self.mean is None:
            self.mean = self._estimate()

    def styles(self, z, label=None):
        """w of one row, [N, w_dim]."""
        if isinstance(self.exact, Rosinality):
            return self.exact.mapping(z)
        return self.exact.mapping(z, label)[:, 0]

    def _estimate(self):
        z = np.stack([philox.normal(0, i, 3, self.z_dim) for i in range(2000)])
        return self.styles(z, self.label_rows(0, range(2000), "random")).mean(0)

    def label_rows(self, seed, numbers, label):
        """[N, labels]; None of a network without labels."""
        if not self.labels:
            return None
        if label == "random":
            label = [int(float(philox.uniform(seed, i, 4, 1, 0, 1)[0]) * self.labels) for i in numbers]
            return np.eye(self.labels)[label]
        return np.repeat(np.eye(self.labels)[label][None] if isinstance(label, int) else [label], len(numbers), axis=0)

    def images(self, seed, numbers, truncation=1.0, cutoff=None, label="random", noise="const", mixing=False, **how):
        """float64 [N, channels, S, S]."""
        z = [np.random.RandomState(seed + i).randn(self.z_dim) for i in numbers] if how.get("numpy_seed") else None
        z = np.stack([philox.normal(seed, i, 0, self.z_dim) for i in numbers]) if z is None else np.float32(z)
        label = self.label_rows(seed, numbers, label)
        w = np.repeat(self.styles(z, label)[:, None], self.rows, axis=1)
        if mixing:
            second = np.stack([philox.normal(seed, i, 2, self.z_dim) for i in numbers])
            w[:, self.rows // 2 :] = self.styles(second, label)[:, None]
        if isinstance(self.exact, Rosinality):
            truncation = min(truncation, 1.0)
        w[:, :cutoff] = self.mean + truncation * (w[:, :cutoff] - self.mean)
        return self._synthesis(w, noise, seed, numbers)

    def _synthesis(self, w, noise, seed, numbers):
        ends = np.cumsum([0, *(side * side for side in self.sides)])
        if noise == "random":
            joined = np.stack([philox.normal(seed, i, 1, int(ends[-1])) for i in numbers]).astype(np.float64)
            noise = [joined[:, ends[k] : ends[k + 1]].reshape(-1, 1, side, side) for k, side in enumerate(self.sides)]
        if isinstance(self.exact, Nvlabs):
            return self.exact.synthesis(w, noise)
        stored = dict(self.exact.tensors)
        for k, side in enumerate(self.sides if noise != "const" else []):
            self.exact.tensors[f"noises.noise_{k}"] = np.zeros((1, 1, side, side)) if noise == "none" else noise[k]
        image = self.exact.synthesis(w)
        self.exact.tensors = stored
        return image

    def samples(self, *arguments, **how):
        """uint8 [N, S, S, channels]."""
        levels = np.clip(self.images(*arguments, **how) * 127.5 + 128, 0, 255)
        return levels.astype(np.uint8).transpose(0, 2, 3, 1)


def alike(got: np.ndarray, expected: np.ndarray) -> None:
    """Grey levels that are equal but for roundings, and no flat pictures."""
    assert got.dtype == np.uint8 and got.shape == expected.shape
    apart = np.abs(got.astype(int) - expected)
    assert (apart == 0).mean() >= 0.995 and apart.max() <= 1
    assert expected.std() > 5

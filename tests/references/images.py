"""Golden image models in both flavours, and samples made by the contract's formulas alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from dsb_fast.export import lucid

from dsb_fast import _kernels
from dsb_fast._generator import Generator
from dsb_fast._library import has_library
from dsb_fast._models.opening import open_model
from references import lucid_generator, philox

NAMES = ("attn64", "fmap32", "plain32", "rgba_noconst32", "v190_attn32")
FLAVOURS = ("portable", "fused") if has_library() and _kernels.native else ("portable",)


def folder(data: Path, name: str) -> Path:
    """The model folder of a golden checkpoint."""
    return data / "lucid/models" / name


def golden(data: Path, name: str) -> dict[str, np.ndarray]:
    """Its golden numbers; noise as [N, S, S]."""
    with np.load(data / f"lucid/golden/{name}.npz", allow_pickle=False) as file:
        values = dict(file)
    values["noise"] = values["noise"][..., 0]
    return values


def generator(path, flavour: str, network: str = "ema", name: str | None = None) -> Generator:
    """The model on the CPU, with the graphs of ``flavour``."""
    model = open_model(path, network=network) if name is None else open_model(name, path, network=network)
    model.source.flavour = lambda able: flavour
    return Generator(model, "cpu")


def styles(weights: dict, z: np.ndarray, lr_mlp: float) -> np.ndarray:
    """The mapping network, float64 [N, D]."""
    w = z.astype(np.float64) / np.linalg.norm(z.astype(np.float64), axis=1, keepdims=True)
    for layer in sorted({int(name.split(".")[1]) for name in weights}):
        y = w @ (weights[f"net.{layer}.weight"].T * lr_mlp) + weights[f"net.{layer}.bias"] * lr_mlp
        w = np.where(y > 0, y, 0.2 * y)
    return w


def samples(path, seed: int, numbers, truncation: float, mixing: bool = False, network: str = "ema") -> np.ndarray:
    """Grey levels of samples ``numbers`` in float64, with random numbers in plain Python."""
    checkpoint, _ = lucid.load(path)
    tensors, size, latent = checkpoint.network(network), checkpoint.image_size, checkpoint.latent_dim

    def drawn(stream: int) -> np.ndarray:
        return styles(tensors.mapping, np.stack([philox.normal(seed, i, stream, latent) for i in numbers]), rate)

    rate, blocks = checkpoint.lr_mlp, checkpoint.blocks
    w = np.repeat(drawn(0)[:, None], blocks, axis=1)
    if mixing:
        w[:, blocks // 2 :] = drawn(2)[:, None]
    w = mean_style(path) * (1 - truncation) + truncation * w
    noise = np.stack([philox.uniform(seed, i, 1, size * size, 0, 1).reshape(size, size, 1) for i in numbers])
    weights = {name: values.astype(np.float64) for name, values in tensors.generator.items()}
    image = lucid_generator.synthesis(lucid_generator.operators("torch"), weights, w, noise.astype(np.float64))
    assert image.dtype == np.float64
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)


@cache
def mean_style(path) -> np.ndarray:
    """The mean of the plain mapping network's first 2000 styles of seed 0, stream 3, float64 [D]."""
    checkpoint, _ = lucid.load(path)
    z = np.stack([philox.normal(0, i, 3, checkpoint.latent_dim) for i in range(2000)])
    return styles(checkpoint.networks["plain"].mapping, z, checkpoint.lr_mlp).mean(0)

"""The mean style of a stylegan2-pytorch mapping network, which truncation draws styles toward.

The package estimates it from 2000 random latents each time it is asked. Here the latents are those of stream 3, and
every sum has one order and is made of single products and sums in float64 (no BLAS, whose order varies with the
processor), because the result is part of a sample's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from dsb_fast import random

COUNT, STREAM = 2000, 3
_SLOPE = 0.2
_ROWS = 128  # latents at once: their styles and one product, half a megabyte, stay in a core's own cache
_THREADS = 2


def styles(mapping: Mapping[str, np.ndarray], z: np.ndarray, lr_mlp: float) -> np.ndarray:
    """Styles float64 [N, D] of latents ``z`` [N, D]; a latent's style does not depend on those beside it.

    z is divided by its length, then ``leaky_relu((lr_mlp W) x + lr_mlp b)`` for each layer, slope 0.2.
    """
    layers = sorted({int(name.split(".")[1]) for name in mapping})
    matrices = [np.ascontiguousarray(mapping[f"net.{k}.weight"].T, np.float64) * lr_mlp for k in layers]
    biases = [mapping[f"net.{k}.bias"].astype(np.float64) * lr_mlp for k in layers]

    def part(first: int) -> np.ndarray:
        x = _normalised(z[first : first + _ROWS].astype(np.float64))
        for matrix, bias in zip(matrices, biases, strict=True):
            x = product(x, matrix)
            x += bias
            np.maximum(x, x * _SLOPE, out=x)
        return x

    with ThreadPoolExecutor(_THREADS) as pool:
        return np.concatenate(list(pool.map(part, range(0, len(z), _ROWS))))


def of_styles(w: np.ndarray) -> np.ndarray:
    """The mean of ``w`` [N, D], summed in float64 in order, as float32 [D]."""
    total = np.zeros(w.shape[1])
    for style in w:
        total += style
    return (total / len(w)).astype(np.float32)


def estimate(mapping: Mapping[str, np.ndarray], lr_mlp: float) -> np.ndarray:
    """The mean style float32 [D]: that of samples 0 to 1999 of seed 0, stream 3."""
    latent = mapping["net.0.weight"].shape[1]
    return of_styles(styles(mapping, random.normal(0, 0, COUNT, latent, STREAM), lr_mlp))


def _normalised(z: np.ndarray) -> np.ndarray:
    return z / np.maximum(np.sqrt(squares(z)), 1e-12)[:, None]


def squares(x: np.ndarray) -> np.ndarray:
    """The sum of the squares of each row, in order of the columns."""
    total = np.zeros(len(x))
    for column in x.T:
        total += column * column
    return total


def product(x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``x @ matrix``, each sum in order of the inner index, products and sums rounded one after the other."""
    total = np.zeros((len(x), matrix.shape[1]))
    term = np.empty_like(total)
    for k, row in enumerate(matrix):
        np.multiply(x[:, k : k + 1], row, out=term)
        total += term
    return total

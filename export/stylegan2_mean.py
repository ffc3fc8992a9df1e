"""The mean of w of a network whose file has none: that of samples 0 to 1999 of seed 0, stream 3.

As in :mod:`dsb_fast.export.mean_style` every sum has one order and is made in float64 without BLAS, because the result
is part of a sample's identity. A conditional network's latents have the random labels of the same numbers.
"""

from __future__ import annotations

import numpy as np

from dsb_fast import _labels, random
from dsb_fast._parallel import ordered

from .mean_style import COUNT, STREAM, product, squares
from .stylegan2_network import StyleGan2Network

_VALUES = 1 << 20  # at once
_SCALE, _ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717  # of SELU


def _exponential(x: np.ndarray) -> np.ndarray:
    return np.expm1(np.minimum(x, 0))


_ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "lrelu": lambda x: np.maximum(x, 0.2 * x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, _exponential(x)),
    "selu": lambda x: _SCALE * np.where(x > 0, x, _ALPHA * _exponential(x)),
    "softplus": lambda x: np.logaddexp(x, 0),
    "swish": lambda x: x / (1 + np.exp(-x)),
}


def styles(network: StyleGan2Network, z: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """One row of w, float64 [N, w_dim], for each of ``z`` [N, z_dim] and, of a conditional network, ``classes`` [N]."""
    x = _normalised(z.astype(np.float64))
    with np.errstate(over="ignore"):
        if network.embed is not None:
            embedded = network.embed.weight.T[classes].astype(np.float64) + network.embed.bias
            x = np.concatenate([x, _normalised(embedded)], axis=1)
        for layer in network.mapping:
            x = product(x, np.ascontiguousarray(layer.weight.T, np.float64)) + layer.bias.astype(np.float64)
            x = layer.gain * _ACTIVATIONS[layer.activation](x)
    return x


def estimate(network: StyleGan2Network) -> np.ndarray:
    """float32 [w_dim]."""
    widest = max(max(layer.weight.shape) for layer in network.mapping)
    rows = max(1, min(128, _VALUES // widest))
    total = np.zeros(network.w_dim)
    jobs = ((first, min(rows, COUNT - first)) for first in range(0, COUNT, rows))
    for part in ordered(lambda job: styles(network, *_drawn(network, *job)), jobs, 2, 2):
        for style in part:
            total += style
    return (total / COUNT).astype(np.float32)


def _drawn(network: StyleGan2Network, first: int, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Latents, and classes of a conditional network."""
    z = random.normal(0, first, count, network.z_dim, STREAM, threads=1)
    if not network.c_dim:
        return z, None
    return z, _labels.classes(0, first, count, network.c_dim)


def _normalised(x: np.ndarray) -> np.ndarray:
    """x / sqrt(mean of x^2 + 1e-8)."""
    return x / np.sqrt(squares(x) / x.shape[1] + 1e-8)[:, None]

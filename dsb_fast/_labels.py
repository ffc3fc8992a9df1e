"""Labels of conditional image networks: a class of each sample's own, and labels as the network takes them."""

from __future__ import annotations

import numpy as np

from . import random

STREAM = 4
RANDOM = "random"  # the option label where each sample has a class of its own


def classes(seed: int, start: int, count: int, labels: int) -> np.ndarray:
    """Random classes 0 to ``labels - 1`` of samples, int64 [count].

    ``floor(u * labels)`` in float64, ``u`` the uniform value in [0, 1) of the sample in stream 4.
    """
    uniform = random.uniform(seed, start, count, 1, STREAM, threads=1)[:, 0]
    return np.floor(uniform.astype(np.float64) * labels).astype(np.int64)


def one_hot(numbers: np.ndarray, labels: int) -> np.ndarray:
    """Labels float32 [N, labels] of classes."""
    out = np.zeros((len(numbers), labels), np.float32)
    out[np.arange(len(numbers)), numbers] = 1
    return out


def rows(seed: int, start: int, count: int, label: int | list[float] | str, labels: int) -> np.ndarray:
    """Labels float32 [count, labels] of samples: of one class, the numbers of one label, or "random" ones."""
    if isinstance(label, str):
        return one_hot(classes(seed, start, count, labels), labels)
    if isinstance(label, int):
        return one_hot(np.full(count, label), labels)
    return np.repeat(np.array(label, np.float32)[None], count, axis=0)

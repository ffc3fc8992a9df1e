"""Latents as NVIDIA's tools number them: those of seed ``s`` are ``numpy.random.RandomState(s).randn(z_dim)``.

numpy keeps that generator's stream as it is (NEP 19), so published seed numbers give the published images.
"""

from __future__ import annotations

import numpy as np

from ._errors import InputError

SEEDS = 1 << 32


def latents(seed: int, start: int, count: int, size: int) -> np.ndarray:
    """z float32 [count, size] of samples; that of sample i is numpy's of seed + i. Raises InputError."""
    check_range(seed, start, count)
    drawn = [np.random.RandomState(seed + start + k).randn(size) for k in range(count)]
    return np.array(drawn, np.float32).reshape(count, size)


def check(options, seed: int, start: int, count: int) -> None:
    """Raises InputError if ``options`` ask for latents of numpy and a sample's number has none."""
    if getattr(options, "numpy_seed", False):
        check_range(seed, start, count)


def check_range(seed: int, start: int, count: int) -> None:
    """Raises InputError where seed + i is no seed of numpy's generator."""
    last = seed + start + max(count, 1) - 1
    if last >= SEEDS:
        raise InputError(f"numpy_seed: seed and number of the last sample make {last}; numpy's seeds end at 2^32-1")

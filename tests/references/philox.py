"""Philox4x32-10 in plain Python integers, and what the contract makes of its words, in numpy."""

from __future__ import annotations

import numpy as np

_MASK = 0xFFFFFFFF


def block(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Ten rounds on one counter."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3


def words(seed: int, index: int, stream: int, count: int) -> np.ndarray:
    """The first ``count`` words of a sample's tensor."""
    key = (seed & _MASK, seed >> 32)
    out: list[int] = []
    for k in range(-(-count // 4)):
        out += block(key, (k, stream, index & _MASK, index >> 32))
    return np.array(out[:count], np.uint32)


def uniform(seed: int, index: int, stream: int, count: int, low: float, high: float) -> np.ndarray:
    """Uniform values in [low, high), each operation rounded to float32."""
    u = (words(seed, index, stream, count) >> 8).astype(np.float32) * np.float32(2.0**-24)
    span = np.float32(high - low)
    return (np.float32(low) + (span * u).astype(np.float32)).astype(np.float32)


def normal(seed: int, index: int, stream: int, count: int) -> np.ndarray:
    """Box-Muller in float64 with the platform's libm, rounded to float32."""
    w = words(seed, index, stream, -(-count // 4) * 4).reshape(-1, 2).astype(np.float64)
    r = np.sqrt(-2.0 * np.log((w[:, 0] + 1.0) * 2.0**-32))
    angle = 2.0 * np.pi * (w[:, 1] * 2.0**-32)
    return np.stack((r * np.cos(angle), r * np.sin(angle)), 1).astype(np.float32).reshape(-1)[:count]

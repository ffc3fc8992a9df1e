"""dsb_fast.random's numbers made by torch where they are used: Philox4x32-10 in 64-bit integers.

Uniform numbers have the bits of docs/identity.md on every device. Normal ones are float64 by torch's own logarithm,
sine and cosine, so that one in some ten million may be rounded to the neighbouring float32.
"""

from __future__ import annotations

import math

import torch

_MASK = 0xFFFFFFFF
_MULTIPLIERS, _WEYL = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)


def _words(seed, start, count: int, elements: int, stream: int):
    """Random words int64 [count, elements rounded up to fours]; ``seed`` and ``start`` int64 0-d tensors, wrapped."""
    device = seed.device
    index = (start + torch.arange(count, device=device))[:, None]
    a, b = torch.arange(-(-elements // 4), device=device)[None], torch.full((1, 1), stream, device=device)
    c, d = index & _MASK, (index >> 32) & _MASK
    key = [seed & _MASK, (seed >> 32) & _MASK]
    for _ in range(10):
        one, two = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]  # modulo 2^64, the sign bit is one as any other
        a, b = ((two >> 32) & _MASK) ^ b ^ key[0], two & _MASK
        c, d = ((one >> 32) & _MASK) ^ d ^ key[1], one & _MASK
        key = [(k + w) & _MASK for k, w in zip(key, _WEYL, strict=True)]
    return torch.stack(torch.broadcast_tensors(a, b, c, d), -1).reshape(count, -1)


def uniform(seed, start, count: int, elements: int, stream: int, low: float = 0.0, high: float = 1.0):
    """float32 [count, elements] in [low, high), as :func:`dsb_fast.random.uniform` has them."""
    share = (_words(seed, start, count, elements, stream)[:, :elements] >> 8).to(torch.float32) * 2.0**-24
    return low + share * (high - low)


def normal(seed, start, count: int, elements: int, stream: int):
    """float32 [count, elements], as :func:`dsb_fast.random.normal` has them."""
    words = _words(seed, start, count, elements, stream).to(torch.float64).reshape(count, -1, 2)
    length = torch.sqrt(-2 * torch.log((words[..., 0] + 1) * 2.0**-32))
    angle = words[..., 1] * (2 * math.pi * 2.0**-32)
    pairs = torch.stack((length * torch.cos(angle), length * torch.sin(angle)), -1)
    return pairs.reshape(count, -1)[:, :elements].to(torch.float32)

"""What the image networks have in common: weights on a device, and the modulated convolution by factors.

Modulation scales a layer's input, demodulation what it makes, so that all samples share the weights. Styles are
divided by their largest and weights by their length before they meet; both are in the factors afterwards, so that
sums of float16 stay near the size of the activations.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as f

_LEAST = 1e-8
ORDER = dict.fromkeys((torch.float32, torch.float16, torch.bfloat16), torch.channels_last)  # of activations


class Weights:
    """Arrays as tensors: where they are to be, in float32 or the network's own type."""

    def __init__(self, device, dtype):
        self.device, self.dtype, self._order = device, dtype, ORDER[dtype]

    def single(self, values) -> torch.Tensor:
        """float32."""
        return torch.tensor(np.asarray(values, np.float32), device=self.device)

    def conv(self, values) -> torch.Tensor:
        """A convolution's weight [out, in, h, w]."""
        return self.ordered(self.single(values).to(self.dtype))

    def ordered(self, x: torch.Tensor) -> torch.Tensor:
        """Activations or weights in the order of axes that ORDER had for their type when the network was made."""
        return x.contiguous(memory_format=self._order)

    def vector(self, values) -> torch.Tensor:
        """What is added to or multiplied into activations, [..., 1, 1] of its last axis."""
        return self.single(values).to(self.dtype)[..., None, None]


class ModulatedWeight:
    """Weights [out, in, h, w] of unit length a filter, and what turns styles into factors before and after them."""

    def __init__(self, weights: Weights, values: np.ndarray, demodulate: bool):
        exact = np.float64(values)
        length = np.sqrt((exact**2).sum(axis=(1, 2, 3)))
        length = np.where(length > 0, length, 1)
        self.unit = weights.conv(exact / length[:, None, None, None])
        self.turned = weights.conv((exact / length[:, None, None, None]).transpose(1, 0, 2, 3))  # of transposed ones
        self._length = weights.single(length)
        self._energies = weights.single((exact**2).sum(axis=(2, 3))) if demodulate else None

    def factors(self, style: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of float32 styles [N, in]: what the input is multiplied by [N, in, 1, 1], and the sums [N, out, 1, 1]."""
        most = style.abs().amax(1, keepdim=True).clamp_min(1e-30)
        after = most * self._length
        if self._energies is not None:
            after = after * torch.rsqrt(f.linear(style.square(), self._energies) + _LEAST)
        return (style / most)[..., None, None], after[..., None, None]


def bilinear(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, corners not aligned."""
    return f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

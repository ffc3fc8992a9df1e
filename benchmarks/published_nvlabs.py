"""NVIDIA's "skip" StyleGAN2 in eager torch, operator for operator as its repository runs it without its CUDA kernels.

Weights are modulated for every sample and run as one grouped convolution, up-sampling layers as a grouped transposed
convolution and then the filter.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as f
from dsb_fast.export.stylegan2_network import Linear, Modulated, StyleGan2Network

SLOPE, EPSILON = 0.2, 1e-8


class PublishedNetwork:
    """Mapping, truncation and synthesis of an unconditional network of leaky ReLUs with four filter taps an axis."""

    def __init__(self, network: StyleGan2Network, dtype=torch.float32, device="cpu"):
        self._network, self._dtype, self._device = network, dtype, device
        self._mean, self._const, self._filter = map(self._tensor, (network.mean_style, network.const, network.filter))
        self._kept: dict[str, tuple] = {}

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values).to(self._device, self._dtype)

    def _pair(self, layer: Linear | Modulated) -> tuple[torch.Tensor, torch.Tensor]:
        if layer.name not in self._kept:
            self._kept[layer.name] = self._tensor(layer.weight), self._tensor(layer.bias)
        return self._kept[layer.name]

    def forward(self, z: torch.Tensor, planes: list[torch.Tensor], psi: float) -> torch.Tensor:
        """Image [N, 3, S, S], not clamped, of z [N, D] and the planes [N, 1, h, h] in forward order."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + EPSILON)
        for layer in self._network.mapping:
            w = f.leaky_relu_(f.linear(w, *self._pair(layer)), SLOPE)
        w, planes = self._mean + psi * (w - self._mean), iter(planes)
        x, image = self._const.expand(len(z), -1, -1, -1), None
        for block in self._network.blocks:
            for conv in block.convs:
                weight, bias = self._pair(conv)
                x = self._modulated(conv, x, weight, w).add_(next(planes) * conv.noise_strength)
                x = f.leaky_relu_(x.add_(bias[:, None, None]), SLOPE).mul_(conv.gain)
                x = x.clamp_(-conv.clamp, conv.clamp)
            weight, bias = self._pair(block.rgb)
            colours = self._modulated(block.rgb, x, weight, w).add_(bias[:, None, None])
            colours = colours.clamp_(-block.rgb.clamp, block.rgb.clamp)
            image = colours if image is None else self._enlarged(image).add_(colours)
        return image

    def _modulated(self, layer: Modulated, x, weight, w):
        styles = f.linear(w, *self._pair(layer.style))
        weights = weight[None] * styles[:, None, :, None, None]  # one set of weights a sample
        if layer.demodulate:
            weights = weights * torch.rsqrt(weights.square().sum((2, 3, 4), keepdim=True) + EPSILON)
        count, _, *size = x.shape
        x = x.reshape(1, -1, *size)
        if not layer.up:
            x = f.conv2d(x, weights.flatten(0, 1), padding=weight.shape[-1] // 2, groups=count)
            return x.reshape(count, -1, *size)
        x = f.conv_transpose2d(x, weights.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
        return self._filtered(x.reshape(count, -1, *x.shape[2:]), 1, 1)

    def _filtered(self, x, before: int, after: int):
        """With zeros around it."""
        channels = x.shape[1]
        taps = (4 * self._filter).flip((0, 1)).expand(channels, 1, -1, -1)
        return f.conv2d(f.pad(x, (before, after, before, after)), taps, groups=channels)

    def _enlarged(self, image):
        count, channels, height, width = image.shape
        image = f.pad(image.reshape(count, channels, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
        return self._filtered(image.reshape(count, channels, 2 * height, 2 * width), 2, 1)

    def image(self, z: np.ndarray, planes: list[np.ndarray], psi: float) -> np.ndarray:
        """The same for numpy arrays."""
        with torch.no_grad():
            return self.forward(self._tensor(z), [self._tensor(plane) for plane in planes], psi).cpu().numpy()

    def generate(self, count: int, batch: int, psi: float) -> int:
        """Make ``count`` images as the repository's programs do, numbers drawn on the device; how many values."""
        values, sides = 0, self._network.noise_sizes
        with torch.no_grad():
            for _ in range(0, count, batch):
                z = torch.randn(batch, self._network.z_dim, device=self._device)
                planes = [torch.randn(batch, 1, side, side, device=self._device) for side in sides]
                image = self.forward(z, planes, psi).mul(127.5).add_(128).clamp_(0, 255)
                values += image.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy().size
        return values

"""The GI-tract network in eager torch, operator for operator as stylegan2-pytorch 1.5.10 runs it.

Weights are modulated for every sample and run as one grouped convolution; attention is two einsums; nothing is folded.
It is written from the conventions of that version's files, for networks that begin with a learned map.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as f

HEADS, SLOPE, EPSILON = 8, 0.2, 1e-8


class PublishedNetwork:
    """Mapping, truncation and synthesis of the tensors of one network, names without their prefix."""

    def __init__(self, mapping, generator, mean_style: np.ndarray, lr_mlp: float, dtype=torch.float32, device="cpu"):
        self._mapping, self._generator = (
            {name: torch.tensor(np.asarray(value)).to(device, dtype) for name, value in tensors.items()}
            for tensors in (mapping, generator)
        )
        self._mean, self._lr, self._dtype, self._device = (
            torch.tensor(mean_style).to(device, dtype),
            lr_mlp,
            dtype,
            device,
        )
        self._depth = len(mapping) // 2
        self._blocks = 1 + max(int(name.split(".")[1]) for name in generator if name.startswith("blocks."))
        taps = torch.tensor([1.0, 2.0, 1.0], dtype=dtype, device=device)
        self._blur_taps = (torch.outer(taps, taps) / 16).expand(3, 1, 3, 3).clone()  # the exporter wants its size known
        self.latent_dim, self.image_size = len(mean_style), 2 << self._blocks

    def forward(self, z: torch.Tensor, noise: torch.Tensor, psi: float) -> torch.Tensor:
        """Image [N, 3, S, S], not clamped, of z [N, D] and noise [N, S, S, 1]."""
        w = self._mean + psi * (self._styles(z) - self._mean)
        styles = w[:, None].expand(-1, self._blocks, -1)
        x = self._generator["initial_block"].expand(len(z), -1, -1, -1)
        x = f.conv2d(x, *self._pair("initial_conv"), padding=1)
        image = None
        for index in range(self._blocks):
            if f"attns.{index}.0.fn.g" in self._generator:
                x = self._attention(f"attns.{index}", x)
            if index:
                x = _upsample(x)
            x, image = self._block(f"blocks.{index}", x, image, styles[:, index], noise)
            if index < self._blocks - 1:
                image = self._blur(_upsample(image))
        return image

    def _pair(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self._generator[f"{name}.weight"], self._generator[f"{name}.bias"]

    def _styles(self, z: torch.Tensor) -> torch.Tensor:
        w = f.normalize(z, dim=1)
        for k in range(self._depth):
            weight, bias = self._mapping[f"net.{2 * k}.weight"], self._mapping[f"net.{2 * k}.bias"]
            w = f.leaky_relu_(f.linear(w, weight * self._lr, bias * self._lr), SLOPE)
        return w

    def _block(self, name: str, x, image, style, noise):
        part = noise[:, : x.shape[2], : x.shape[3]]
        planes = [f.linear(part, *self._pair(f"{name}.to_noise{k}")).permute(0, 3, 2, 1) for k in "12"]
        for k, plane in zip("12", planes, strict=True):
            factors = f.linear(style, *self._pair(f"{name}.to_style{k}"))
            x = f.leaky_relu_(self._modulated(f"{name}.conv{k}", x, factors, demodulate=True) + plane, SLOPE)
        factors = f.linear(style, *self._pair(f"{name}.to_rgb.to_style"))
        colours = self._modulated(f"{name}.to_rgb.conv", x, factors, demodulate=False)
        return x, colours if image is None else colours + image

    def _modulated(self, name: str, x, factors, demodulate: bool):
        weight = self._generator[f"{name}.weight"]
        weights = weight[None] * (factors[:, None, :, None, None] + 1)  # one set of weights a sample
        if demodulate:
            weights = weights * torch.rsqrt(weights.square().sum((2, 3, 4), keepdim=True) + EPSILON)
        count, _, *size = x.shape
        y = f.conv2d(x.reshape(1, -1, *size), weights.flatten(0, 1), padding=weight.shape[-1] // 2, groups=count)
        return y.reshape(count, -1, *size)

    def _blur(self, image):
        return f.conv2d(f.pad(image, (1, 1, 1, 1), mode="reflect"), self._blur_taps, groups=3)

    def _attention(self, name: str, x):
        attend, feed = f"{name}.0.fn", f"{name}.1.fn"
        count, _, height, width = x.shape
        q, k, v = (
            f.conv2d(x, *self._pair(f"{attend}.fn.to_{part}")).reshape(count, HEADS, -1, height * width)
            for part in "qkv"
        )
        scale = q.shape[2] ** -0.25
        q, k = (q * scale).softmax(2), (k * scale).softmax(3)
        context = torch.einsum("bhdn,bhen->bhde", k, v)
        y = torch.einsum("bhdn,bhde->bhen", q, context).reshape(count, -1, height, width)
        x = x + f.conv2d(y, *self._pair(f"{attend}.fn.to_out")) * self._generator[f"{attend}.g"]
        y = f.leaky_relu_(f.conv2d(x, *self._pair(f"{feed}.fn.0")), SLOPE)
        return x + f.conv2d(y, *self._pair(f"{feed}.fn.2")) * self._generator[f"{feed}.g"]

    def image(self, z: np.ndarray, noise: np.ndarray, psi: float) -> np.ndarray:
        """The same for numpy arrays, noise [N, S, S]."""
        with torch.no_grad():
            z, noise = (torch.from_numpy(array).to(self._device, self._dtype) for array in (z, noise[..., None]))
            return self.forward(z, noise, psi).cpu().numpy()

    def generate(self, count: int, batch: int, psi: float) -> int:
        """Make ``count`` images as the package does, its own numbers drawn, and bytes of them; how many values."""
        values, size = 0, self.image_size
        with torch.no_grad():
            for _ in range(0, count, batch):
                z, noise = torch.randn(batch, self.latent_dim), torch.empty(batch, size, size, 1).uniform_(0.0, 1.0)
                image = self.forward(z.to(self._device), noise.to(self._device), psi).clamp_(0.0, 1.0)
                image = image.mul(255).add_(0.5).clamp_(0, 255).permute(0, 2, 3, 1)
                values += image.to("cpu", torch.uint8).numpy().size
        return values


def _upsample(x):
    return f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

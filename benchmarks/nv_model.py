"""A StyleGAN2 network of NVIDIA's public 256 x 256 configuration, random but with every path alive.

stylegan2-ada-pytorch's ``paper256``: z and w of 512, eight mapping layers, channels min(16384 / side, 512), "skip".
"""

from __future__ import annotations

import math

import numpy as np
from dsb_fast.export.stylegan2_network import Block, Linear, Modulated, StyleGan2Network

SIZE, LATENT, DEPTH, CHANNEL_BASE, CHANNEL_MAX = 256, 512, 8, 16384, 512
CLAMP = 256.0
TRUNCATION = 0.75
_ROOT2 = math.sqrt(2)


class _Drawn:
    """Normal weights whose layers keep the size of what passes through them."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)

    def values(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return np.float32(scale) * self._random.standard_normal(shape, np.float32)

    def linear(self, name: str, inputs: int, outputs: int, gain: float = 1.0, bias: float = 0.0) -> Linear:
        weight = self.values(outputs, inputs, scale=gain / math.sqrt(inputs))
        return Linear(name, weight, np.full(outputs, bias, np.float32) + self.values(outputs, scale=0.1 * gain))

    def mapping(self, name: str) -> Linear:
        layer = self.linear(name, LATENT, LATENT, _ROOT2)
        return Linear(layer.name, layer.weight, layer.bias, "lrelu")

    def style(self, name: str, inputs: int, gain: float = 1.0) -> Linear:
        return self.linear(f"{name}.affine", LATENT, inputs, 0.5 * gain, gain)

    def conv(self, name: str, row: int, inputs: int, outputs: int) -> Modulated:
        return Modulated(
            name, row, self.style(name, inputs), self.values(outputs, inputs, 3, 3), self.values(outputs, scale=0.1),
            up=name.endswith("conv0"), activation="lrelu", gain=_ROOT2, clamp=CLAMP, noise_strength=0.1,
        )  # fmt: skip

    def rgb(self, name: str, row: int, inputs: int) -> Modulated:
        style = self.style(name, inputs, 1 / math.sqrt(inputs))
        weight, bias = self.values(3, inputs, 1, 1), self.values(3, scale=0.1)
        return Modulated(name, row, style, weight, bias, demodulate=False, clamp=CLAMP)


def network(size: int, seed: int = 0) -> StyleGan2Network:
    """The network of ``size`` x ``size`` pixels."""
    draw, blocks, inputs, row = _Drawn(seed), [], 0, 0
    mapping = tuple(draw.mapping(f"mapping.fc{k}") for k in range(DEPTH))
    for side in (1 << k for k in range(2, size.bit_length())):
        outputs, name = min(CHANNEL_BASE // side, CHANNEL_MAX), f"synthesis.b{side}"
        convs = [draw.conv(f"{name}.conv0", row, inputs, outputs)] if inputs else []
        convs.append(draw.conv(f"{name}.conv1", row + len(convs), outputs, outputs))
        row += len(convs)
        blocks.append(Block(name, side, tuple(convs), draw.rgb(f"{name}.torgb", row, outputs), None))
        inputs = outputs
    taps = np.float32([1, 3, 3, 1]) / 8
    const, mean = draw.values(len(blocks[0].convs[0].bias), 4, 4), draw.values(LATENT, scale=0.3)
    return StyleGan2Network(
        "nvlabs", "skip", size, 3, LATENT, 0, LATENT, 2 * len(blocks), mean, None, mapping, const,
        np.multiply.outer(taps, taps), tuple(blocks),
    )  # fmt: skip

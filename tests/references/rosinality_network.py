"""State dicts of rosinality/stylegan2-pytorch generators, of any size, with random tensors."""

from __future__ import annotations

import collections
import itertools

import torch


def state_dict(
    size: int = 8, style_dim: int = 2, n_mlp: int = 1, channels=(2, 2), seed: int = 0, taps=(1, 3, 3, 1)
) -> collections.OrderedDict:
    """The tensors of a generator; ``channels`` are those of 4, 8, ... pixels."""
    generator = torch.Generator().manual_seed(seed)
    state = collections.OrderedDict()
    kernel = torch.tensor(taps, dtype=torch.float32)
    kernel = kernel[:, None] * kernel[None, :]
    kernel = 4 * kernel / kernel.sum()

    def draw(name, *shape):
        state[name] = torch.randn(shape, generator=generator)

    def modulated(name, inputs, outputs, k, blur=False):
        draw(f"{name}.weight", 1, outputs, inputs, k, k)
        if blur:
            state[f"{name}.blur.kernel"] = kernel.clone()
        draw(f"{name}.modulation.weight", inputs, style_dim)
        draw(f"{name}.modulation.bias", inputs)

    def styled(name, inputs, outputs, blur=False):
        modulated(f"{name}.conv", inputs, outputs, 3, blur)
        draw(f"{name}.noise.weight", 1)
        draw(f"{name}.activate.bias", outputs)

    for layer in range(1, n_mlp + 1):
        draw(f"style.{layer}.weight", style_dim, style_dim)
        draw(f"style.{layer}.bias", style_dim)
    draw("input.input", 1, channels[0], 4, 4)
    styled("conv1", channels[0], channels[0])
    draw("to_rgb1.bias", 1, 3, 1, 1)
    modulated("to_rgb1.conv", channels[0], 3, 1)
    draw("noises.noise_0", 1, 1, 4, 4)
    for block, (inputs, outputs) in enumerate(itertools.pairwise(channels)):
        side = 8 << block
        assert side <= size
        styled(f"convs.{2 * block}", inputs, outputs, blur=True)
        styled(f"convs.{2 * block + 1}", outputs, outputs)
        draw(f"to_rgbs.{block}.bias", 1, 3, 1, 1)
        state[f"to_rgbs.{block}.upsample.kernel"] = kernel.clone()
        modulated(f"to_rgbs.{block}.conv", outputs, 3, 1)
        draw(f"noises.noise_{2 * block + 1}", 1, 1, side, side)
        draw(f"noises.noise_{2 * block + 2}", 1, 1, side, side)
    return state

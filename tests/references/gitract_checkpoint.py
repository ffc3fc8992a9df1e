"""Random checkpoints in the layout of the published GI-tract model, every path of the network alive.

``python tests/references/gitract_checkpoint.py FOLDER`` writes FOLDER/model_1000.pt: stylegan2-pytorch 1.5.10, 128
pixels, capacity 16, attention at layers 1 and 2, no .config.json; other models by the options. Images lie about the
middle of [0, 1]. numpy's generator makes the numbers, so a seed gives the same tensors everywhere.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

ATTENTION = 8 * 64  # heads and features
# Standard deviations and means that keep images of every size and capacity from being clamped.
STYLE, NOISE, NOISE_BIAS, REZERO = 0.6, 0.5, 0.3, 0.7
COLOUR, GREY = 0.32, 0.9


class _State:
    """A state dict under construction."""

    def __init__(self, seed: int):
        self.random, self.tensors = np.random.default_rng(seed), {}

    def normal(self, name: str, *shape: int, std: float = 1.0, mean: float = 0.0) -> None:
        values = self.random.standard_normal(shape, np.float32) * np.float32(std) + np.float32(mean)
        self.tensors[name] = torch.from_numpy(values)

    def layer(self, name: str, *shape: int, gain: float = 1.0, bias: float = 0.1) -> None:
        """Weight and bias; the output of normal inputs has the variance gain squared."""
        self.normal(f"{name}.weight", *shape, std=gain / np.prod(shape[1:]) ** 0.5)
        self.normal(f"{name}.bias", shape[0], std=bias)


def widths(image_size: int, capacity: int, fmap_max: int = 512) -> list[int]:
    """Channels that each block makes, the one at 4 x 4 first."""
    blocks = int(image_size).bit_length() - 2
    return [min(capacity * 2 ** (power + 1), fmap_max) for power in reversed(range(blocks))]


def _mapping(state: _State, part: str, latent_dim: int, style_depth: int, lr_mlp: float) -> None:
    for k in range(style_depth):
        gain = 2**0.5 / lr_mlp * (1 if k else latent_dim**0.5)  # the first layer's input has the norm 1
        state.layer(f"{part}.net.{2 * k}", latent_dim, latent_dim, gain=gain, bias=0.1 / lr_mlp)


def _attention(state: _State, name: str, channels: int) -> None:
    attend, feed = f"{name}.0.fn", f"{name}.1.fn"
    state.normal(f"{attend}.g", 1, std=0.05, mean=REZERO)
    for part in "qkv":
        state.layer(f"{attend}.fn.to_{part}", ATTENTION, channels, 1, 1, gain=1.5)
    state.layer(f"{attend}.fn.to_out", channels, ATTENTION, 1, 1)
    state.normal(f"{feed}.g", 1, std=0.05, mean=REZERO)
    state.layer(f"{feed}.fn.0", 2 * channels, channels, 1, 1)
    state.layer(f"{feed}.fn.2", channels, 2 * channels, 1, 1)


def _block(state: _State, name: str, inputs: int, outputs: int, latent_dim: int, channels: int, blocks: int) -> None:
    for k, wide in ((1, inputs), (2, outputs)):
        state.layer(f"{name}.to_style{k}", wide, latent_dim, gain=STYLE)
        state.normal(f"{name}.to_noise{k}.weight", outputs, 1, std=NOISE)
        state.normal(f"{name}.to_noise{k}.bias", outputs, std=0.1, mean=NOISE_BIAS)
        state.normal(f"{name}.conv{k}.weight", outputs, wide, 3, 3)
    state.layer(f"{name}.to_rgb.to_style", outputs, latent_dim, gain=STYLE)
    state.normal(f"{name}.to_rgb.conv.weight", channels, outputs, 1, 1, std=COLOUR / (outputs * blocks) ** 0.5)
    colours = state.tensors[f"{name}.to_rgb.conv.weight"]
    colours += GREY / (outputs * blocks) - colours.mean(1, keepdim=True)  # so that no colour is at an end of the range


def _generator(state: _State, part: str, latent_dim: int, wide: list[int], attn_layers, channels, no_const) -> None:
    blocks, first = len(wide), wide[0]
    if no_const:
        state.normal(f"{part}.to_initial_block.weight", latent_dim, first, 4, 4, std=latent_dim**-0.5)
    else:
        state.normal(f"{part}.initial_block", 1, first, 4, 4)
    state.layer(f"{part}.initial_conv", first, first, 3, 3)
    for index, (inputs, outputs) in enumerate(zip([first, *wide], wide, strict=False)):
        block = f"{part}.blocks.{index}"
        _block(state, block, inputs, outputs, latent_dim, channels, blocks)
        if index < blocks - 1:
            state.tensors[f"{block}.to_rgb.upsample.1.f"] = torch.tensor([1.0, 2.0, 1.0])
        if blocks - index in attn_layers:
            _attention(state, f"{part}.attns.{index}", inputs)


def state_dict(
    image_size: int = 128, capacity: int = 16, attn_layers=(1, 2), latent_dim: int = 512, style_depth: int = 8,
    lr_mlp: float = 0.1, transparent: bool = False, no_const: bool = False, discriminator: bool = False, seed: int = 0,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """S, G, SE and GE, each with numbers of its own; ``discriminator`` adds a token of D and D_aug."""
    state = _State(seed)
    channels, wide = 4 if transparent else 3, widths(image_size, capacity)
    for mapping, generator in (("S", "G"), ("SE", "GE")):
        _mapping(state, mapping, latent_dim, style_depth, lr_mlp)
        _generator(state, generator, latent_dim, wide, attn_layers, channels, no_const)
        if discriminator and generator == "G":
            state.layer("D.to_logit", 1, 4 * wide[0])
    if discriminator:
        state.tensors |= {f"D_aug.{k}": v for k, v in state.tensors.items() if k.startswith("D.")}
    return state.tensors


def write(folder, number: int = 1000, config: bool = False, version: str = "1.5.10", **options) -> Path:
    """Writes ``folder``/model_``number``.pt, and .config.json if ``config``; ``options`` are :func:`state_dict`'s."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"model_{number}.pt"
    torch.save({"GAN": state_dict(**options), "version": version}, path)
    if config:
        said = {
            "image_size": options.get("image_size", 128), "network_capacity": options.get("capacity", 16),
            "lr_mlp": options.get("lr_mlp", 0.1), "transparent": options.get("transparent", False),
            "fq_layers": [], "fq_dict_size": 256, "attn_layers": list(options.get("attn_layers", (1, 2))),
            "no_const": options.get("no_const", False),
        }  # fmt: skip
        (folder / ".config.json").write_text(json.dumps(said))
    return path


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER")
    parser.add_argument("--number", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--capacity", type=int, default=16)
    parser.add_argument("--attn-layers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--latent-dim", type=int, default=512)
    parser.add_argument("--style-depth", type=int, default=8)
    parser.add_argument("--lr-mlp", type=float, default=0.1)
    parser.add_argument("--transparent", action="store_true")
    parser.add_argument("--no-const", action="store_true")
    parser.add_argument("--discriminator", action="store_true", help="with a token of D and D_aug")
    parser.add_argument("--config", action="store_true", help="with .config.json")
    print(write(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()

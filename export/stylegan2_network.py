"""One StyleGAN2 generator, NVIDIA's or rosinality's, as both flavours of graph are built from it.

What the families write differently is settled here: names are those of NVIDIA's state dicts (``synthesis.b8.conv0``),
constant factors (learning rates, 1 / sqrt(inputs), gains of activations that let them through) are multiplied into
weights and biases in float64 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .nvlabs import NvNetwork
from .rosinality import Rosinality

ROOT2 = math.sqrt(2)
_GAINS = {"relu": ROOT2, "lrelu": ROOT2, "swish": ROOT2}  # of activations; 1 for the rest
HOMOGENEOUS = frozenset(["linear", "relu", "lrelu"])  # act(gain * x) is gain * act(x)


@dataclass(frozen=True, eq=False)
class Linear:
    """gain * activation(weight x + bias); ``weight`` [out, in], ``bias`` [out], the gain 1 where it could be folded."""

    name: str
    weight: np.ndarray
    bias: np.ndarray
    activation: str = "linear"
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class Modulated:
    """clamp(gain * activation(modulated convolution + noise_strength * noise + bias)).

    ``weight`` [out, in, k, k] as the file has it: correlated, turned where the layer is ``up`` (to twice the size);
    ``row`` of w goes through ``style``. ``clamp`` and ``noise_strength`` are None without, ``noise_const`` [h, h] is
    the stored plane.
    """

    name: str
    row: int
    style: Linear
    weight: np.ndarray
    bias: np.ndarray
    up: bool = False
    demodulate: bool = True
    activation: str = "linear"
    gain: float = 1.0
    clamp: float | None = None
    noise_strength: float | None = None
    noise_const: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """The layers of one resolution; ``rgb`` is None where it makes no colours, ``skip`` [out, in] that of a resnet."""

    name: str
    resolution: int
    convs: tuple[Modulated, ...]
    rgb: Modulated | None
    skip: np.ndarray | None


@dataclass(frozen=True, eq=False)
class StyleGan2Network:
    """A whole generator.

    ``family`` is "nvlabs" or "rosinality", ``architecture`` "skip", "resnet" or "orig"; ``c_dim`` is 0 without labels.
    ``mean_style`` is the mean of w, float32 [w_dim], None where the file has none. ``filter`` are the taps of the
    upsampling, whose sum is 1: a matrix, or one axis of a separable filter. ``const`` is the learned start, [channels,
    4, 4].
    """

    family: str
    architecture: str
    resolution: int
    img_channels: int
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    mean_style: np.ndarray | None
    embed: Linear | None
    mapping: tuple[Linear, ...]
    const: np.ndarray
    filter: np.ndarray
    blocks: tuple[Block, ...]

    @property
    def noisy(self) -> tuple[Modulated, ...]:
        """The layers that add noise, in forward order."""
        return tuple(conv for block in self.blocks for conv in block.convs if conv.noise_strength is not None)

    @property
    def noise_sizes(self) -> tuple[int, ...]:
        """Sides of their planes, in forward order."""
        noisy = set(map(id, self.noisy))
        return tuple(block.resolution for block in self.blocks for conv in block.convs if id(conv) in noisy)

    @property
    def has_stored_noise(self) -> bool:
        """Whether every layer that adds noise has a plane in the file."""
        return bool(self.noisy) and all(layer.noise_const is not None for layer in self.noisy)


def from_nvlabs(network: NvNetwork) -> StyleGan2Network:
    """What a generator of NVIDIA's repositories computes."""
    tensors, mapping, rate = network.tensors, network.mapping, network.mapping.lr_multiplier
    layers = [
        _linear(tensors, f"mapping.fc{k}", rate, activation=mapping.activation) for k in range(mapping.num_layers)
    ]
    return StyleGan2Network(
        "nvlabs", network.architecture, network.resolution, network.img_channels, network.z_dim, network.c_dim,
        network.w_dim, network.num_ws, network.w_avg, _linear(tensors, "mapping.embed") if network.c_dim else None,
        tuple(layers), tensors["synthesis.b4.const"], tensors["synthesis.b8.conv0.resample_filter"],
        tuple(_nvlabs_block(network, 4 << k) for k in range(network.num_ws // 2)),
    )  # fmt: skip


def from_rosinality(network: Rosinality) -> StyleGan2Network:
    """What a generator of rosinality's repository computes, which is NVIDIA's "skip" with other names and scales."""
    tensors = network.tensors
    mapping = [
        _linear(tensors, f"style.{k + 1}", network.lr_mlp, f"mapping.fc{k}", "lrelu") for k in range(network.n_mlp)
    ]
    return StyleGan2Network(
        "rosinality", "skip", network.size, 3, network.style_dim, 0, network.style_dim, network.num_ws,
        network.latent_avg, None, tuple(mapping), tensors["input.input"][0],
        tensors["convs.0.conv.blur.kernel"] / np.float32(4),
        tuple(_rosinality_block(network, k) for k in range(network.num_ws // 2)),
    )  # fmt: skip


def scaled(values: np.ndarray, gain: float) -> np.ndarray:
    """float32 values times a number: in float64, rounded once."""
    return (np.float64(values) * gain).astype(np.float32)


def _linear(
    tensors: Mapping[str, np.ndarray], there: str, rate: float = 1.0, name: str = "", activation: str = "linear",
    gain: float = 1.0,
) -> Linear:  # fmt: skip
    """The layer called ``there`` in the file; ``rate`` is its learning rate's multiplier."""
    weight, bias = tensors[f"{there}.weight"], tensors[f"{there}.bias"]
    gain *= _GAINS.get(activation, 1.0)
    folded, left = (gain, 1.0) if activation in HOMOGENEOUS else (1.0, gain)
    shares = rate / math.sqrt(weight.shape[1])
    return Linear(name or there, scaled(weight, folded * shares), scaled(bias, folded * rate), activation, left)


def _nvlabs_block(network: NvNetwork, side: int) -> Block:
    tensors, settings, name = network.tensors, network.synthesis, f"synthesis.b{side}"
    is_resnet = network.architecture == "resnet" and side > 4
    first_row = max(0, 2 * (side.bit_length() - 3) - 1)

    def layer(part: str, row: int, gain: float = 1.0) -> Modulated:
        full, clamp = f"{name}.{part}", settings.conv_clamp
        strength = tensors.get(f"{full}.noise_strength")
        return Modulated(
            full, row, _linear(tensors, f"{full}.affine"), tensors[f"{full}.weight"], tensors[f"{full}.bias"],
            part == "conv0", True, settings.activation, gain * _GAINS.get(settings.activation, 1.0),
            None if clamp is None else clamp * gain, None if strength is None else float(strength),
            tensors.get(f"{full}.noise_const"),
        )  # fmt: skip

    convs = [layer("conv0", first_row)] if side > 4 else []
    convs.append(layer("conv1", first_row + len(convs), math.sqrt(0.5) if is_resnet else 1.0))
    rgb = skip = None
    if f"{name}.torgb.weight" in tensors:
        full = f"{name}.torgb"
        style = _linear(tensors, f"{full}.affine", gain=1 / math.sqrt(tensors[f"{full}.weight"].shape[1]))
        rgb = Modulated(
            full, first_row + len(convs), style, tensors[f"{full}.weight"], tensors[f"{full}.bias"], demodulate=False,
            clamp=settings.conv_clamp,
        )  # fmt: skip
    if is_resnet:
        weight = tensors[f"{name}.skip.weight"][:, :, 0, 0]
        skip = scaled(weight, math.sqrt(0.5 / weight.shape[1]))
    return Block(name, side, tuple(convs), rgb, skip)


def _rosinality_block(network: Rosinality, index: int) -> Block:
    tensors, side = network.tensors, 4 << index
    name, first_row = f"synthesis.b{side}", max(0, 2 * index - 1)

    def weight(there: str) -> np.ndarray:
        found = tensors[f"{there}.conv.weight"][0]
        return scaled(found, 1 / math.sqrt(found[0].size))

    def layer(part: str, there: str, row: int) -> Modulated:
        plane = tensors.get(f"noises.noise_{row}")
        return Modulated(
            f"{name}.{part}", row, style(part, there), weight(there), tensors[f"{there}.activate.bias"],
            part == "conv0", True, "lrelu", ROOT2, None, float(tensors[f"{there}.noise.weight"][0]),
            None if plane is None else plane[0, 0],
        )  # fmt: skip

    def style(part: str, there: str) -> Linear:
        return _linear(tensors, f"{there}.conv.modulation", name=f"{name}.{part}.affine")

    if index:
        convs = [layer(f"conv{k}", f"convs.{2 * index - 2 + k}", first_row + k) for k in (0, 1)]
    else:
        convs = [layer("conv1", "conv1", 0)]
    there = f"to_rgbs.{index - 1}" if index else "to_rgb1"
    rgb = Modulated(
        f"{name}.torgb", first_row + len(convs), style("torgb", there), weight(there),
        tensors[f"{there}.bias"].reshape(-1), demodulate=False,
    )  # fmt: skip
    return Block(name, side, tuple(convs), rgb, None)

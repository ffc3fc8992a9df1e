"""NVIDIA's and rosinality's StyleGAN2 as graphs of flavour "cuda"."""

from __future__ import annotations

import numpy as np

from .cuda_graph import CudaGraph
from .cuda_lucid import with_image, with_levels
from .cuda_modulation import Modulation, bounded, clamp_of, colours, modulation
from .lucid_builder import SLOPE, StandardPart
from .stylegan2_filters import filters
from .stylegan2_network import Block, StyleGan2Network
from .stylegan2_network import Modulated as Layer
from .stylegan2_portable import linear

_LEVELS = {"scale": 127.5, "offset": 128.0}  # of black -1 and white 1


class CudaSynthesis:
    """The nodes of a synthesis network; ``noise`` is "input", "const" or "none"."""

    def __init__(self, g: CudaGraph, network: StyleGan2Network, noise: str):
        self.g, self.network, self.noise = g, network, noise
        self.filters = filters(network.filter)
        self.planes = {layer.name: index for index, layer in enumerate(network.noisy)}
        self.made: dict[str, Modulation] = {}
        height, width = network.filter.shape[0], network.filter.shape[-1]
        self.padding = [(width + 1) // 2, (width - 2) // 2, (height + 1) // 2, (height - 2) // 2]
        taps = np.float64(network.filter)
        single = _single_axis(taps) if taps.ndim == 2 else taps
        self.taps = g.constant("filter", taps if single is None else single)

    def build(self) -> str:
        """All blocks, to the image, float32 [N, S, S, channels]."""
        layers = [conv for block in self.network.blocks for conv in block.convs]
        following = dict(zip((layer.name for layer in layers), [*layers[1:], None], strict=True))
        start = self.g.constant("synthesis.b4.const", self.network.const.transpose(1, 2, 0)[None], self.g.kind)
        x = scaled = self.g.scale(start, self.modulation(layers[0]).scale, "synthesis.b4.scaled")
        image = ""
        for block in self.network.blocks:
            x, scaled, image = self.block(block, x, scaled, image, following)
        return image

    def part(self, name: str) -> StandardPart:
        return StandardPart(self.g, {}, f"{name}.")

    def style(self, part: StandardPart, layer: Layer) -> str:
        row = self.g.constant(f"integer.{layer.row}", layer.row, np.int64)
        return linear(self.g, layer.style, part.node("Gather", ["w", row], "w", axis=1))

    def modulation(self, layer: Layer) -> Modulation:
        """Made at the first call: the layer before multiplies its result by this one's style."""
        if layer.name not in self.made:
            part = self.part(layer.name)
            taps = float(np.prod([np.abs(f.taps).sum() for f in self.filters])) if layer.up else 1.0
            self.made[layer.name] = modulation(part, self.style(part, layer), layer.weight, taps)
        return self.made[layer.name]

    def block(self, block: Block, x: str, scaled: str, image: str, following: dict) -> tuple[str, str, str]:
        """The block's activations, the same times the next layer's style, and the image so far."""
        branch = self.branch(block, x) if block.skip is not None else ""
        for conv in block.convs:
            last, after = conv is block.convs[-1], following[conv.name]
            scale = self.modulation(after).scale if after else ""
            made = self.convolution(conv, scaled, branch if last else "", scale, keep=last)
            x, scaled = made if isinstance(made, tuple) else (made, made)
        if block.rgb is None:
            return x, scaled, image
        below = self.enlarged(f"{block.name}.enlarged", image) if image else ""
        return x, scaled, self.colours(block, x, below)

    def convolution(self, layer: Layer, x: str, residual: str, scale: str, keep: bool):
        """A layer of ``x``, which its style is in already; what Epilogue returns."""
        g, how = self.g, self.modulation(layer)
        plane, strength = self.noise_of(layer)
        return g.epilogue(
            self.sums(layer, how.weight, x), f"{layer.name}.out", layer.activation,
            alpha=SLOPE if layer.activation == "lrelu" else None, gain=layer.gain, clamp=clamp_of(g, layer.clamp),
            demodulation=how.demodulation, plane=plane, plane_weight=strength,
            bias=g.constant(f"{layer.name}.bias", layer.bias), residual=residual, scale=scale, keep=keep or not scale,
        )  # fmt: skip

    def sums(self, layer: Layer, weight: np.ndarray, x: str) -> str:
        """The convolution, to twice the size where ``up``: transposed, then the filter."""
        g, name, side = self.g, layer.name, weight.shape[2]
        if not layer.up:
            return g.conv(x, name, weight, pads=[side // 2] * 4)
        x, too_many = self.transposed(layer, weight, x)
        for index, f in enumerate(self.filters):
            top, left, bottom, right = f.ends(side)
            single = _single_axis(f.taps)
            taps = g.constant(f"filter.{index}", f.taps if single is None else single)
            padding = [left, right - too_many * f.x, top, bottom - too_many * f.y]
            how = {"up": [1, 1], "down": [1, 1], "padding": padding}
            x = g.ours("Upfirdn2d", [x, taps], [f"{name}.filtered.{index}"], **how)[0]
        return x

    def transposed(self, layer: Layer, weight: np.ndarray, x: str) -> tuple[str, int]:
        """The transposed convolution with stride 2, and how many rows and columns of zeros it has at its end.

        Its four phases are one convolution of the points, the taps of the shorter ones filled up with zeros.
        """
        g, name, (out, _, side, _) = self.g, layer.name, weight.shape
        length, size = -(-side // 2), layer_size(self.network, layer) // 2 + -(-side // 2) - 1
        taps = np.zeros((2, 2, out, weight.shape[1], length, length))
        for row in range(side):
            for column in range(side):
                where = length - 1 - row // 2, length - 1 - column // 2
                taps[row % 2, column % 2, :, :, where[0], where[1]] = weight[:, :, row, column]
        y = g.conv(x, name, taps.reshape(-1, *taps.shape[3:]), pads=[length - 1] * 4)
        y = g.node("Reshape", [y, g.shape(0, size, size, 2, 2, out)], f"{name}.phases")
        y = g.node("Transpose", [y], f"{name}.interleaved", perm=[0, 1, 3, 2, 4, 5])
        y = g.node("Reshape", [y, g.shape(0, 2 * size, 2 * size, out)], f"{name}.transposed")
        return y, 2 * length - side

    def noise_of(self, layer: Layer) -> tuple[str, str]:
        """A layer's plane [N or 1, h, h] and, an output channel, its strength; '' where it adds none."""
        if layer.noise_strength is None or self.noise == "none":
            return "", ""
        g = self.g
        strength = g.constant(f"{layer.name}.noise_strength", np.full(len(layer.bias), layer.noise_strength))
        if self.noise == "const":
            return g.constant(f"{layer.name}.noise_const", layer.noise_const[None]), strength
        plane = f"noise_{self.planes[layer.name]}"
        side = self.network.noise_sizes[self.planes[layer.name]]
        return g.node("Reshape", [plane, g.shape(0, side, side)], f"{layer.name}.plane"), strength

    def enlarged(self, name: str, image: str) -> str:
        """Twice the size: zeros between the samples, then the filter."""
        how = {"up": [2, 2], "down": [1, 1], "padding": self.padding, "gain": 4.0}
        return self.g.ours("Upfirdn2d", [image, self.taps], [name], **how)[0]

    def branch(self, block: Block, x: str) -> str:
        """A resnet's side branch."""
        g, name, weight = self.g, f"{block.name}.skip", block.skip[:, :, None, None]
        if not g.half:
            return self.enlarged(f"{name}.enlarged", g.conv(x, name, weight))
        weight, sizes = bounded(weight, float(np.abs(np.float64(self.network.filter)).sum()) * 4)
        x = self.enlarged(f"{name}.enlarged", g.conv(x, name, weight))
        sizes = g.constant(f"{name}.sizes", np.minimum(sizes, 32768.0)[None], g.kind)
        return g.epilogue(x, f"{name}.out", demodulation=sizes, clamp=clamp_of(g, None))

    def colours(self, block: Block, x: str, below: str) -> str:
        """RGB of the block, and what came from below."""
        g, rgb, part = self.g, block.rgb, self.part(block.rgb.name)
        sums, restored = colours(part, self.style(part, rgb), rgb.weight, x, block.resolution)
        return g.epilogue(
            sums, f"{rgb.name}.out", demodulation=restored, bias=g.constant(f"{rgb.name}.bias", rgb.bias),
            residual=below, clamp=rgb.clamp,
        )  # fmt: skip


def ended(g: CudaGraph, network: StyleGan2Network, name: str, inputs: dict, noise: str, levels: bool):
    """The model of a synthesis, ``w`` to ``image`` or, with ``levels``, to grey levels: see cuda_lucid.py."""
    image, size = CudaSynthesis(g, network, noise).build(), network.resolution
    shape = ["N", network.img_channels, size, size]
    if levels:
        return with_levels(g, image, name, inputs, shape, _LEVELS)
    return with_image(g, image, name, inputs, shape)


def layer_size(network: StyleGan2Network, layer: Layer) -> int:
    """Side of what the layer makes."""
    return next(block.resolution for block in network.blocks if any(conv is layer for conv in block.convs))


def _single_axis(taps: np.ndarray) -> np.ndarray | None:
    """The taps of each axis of a separable square filter [t, t] whose axes are alike, or None."""
    total = taps.sum()
    if taps.shape[0] != taps.shape[1] or total <= 0:
        return None
    single = taps.sum(axis=0) / np.sqrt(total)
    return single if np.allclose(np.outer(single, single), taps, rtol=1e-7, atol=0) else None
